"""The article's Do and Don't, in its words and order, and what is known of each post about them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from selfie_utils.analysis.appeal import EFFECTS, FALL_OFF, FARTHEST, ONLY_FOR
from selfie_utils.analysis.attributes import READABLE
from selfie_utils.core.errors import SelfieError, did_you_mean
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.photos.edits import FACE_OF_HEAD, HALF, THIRD
from selfie_utils.posts.words import read_flag, read_gender

DO, DONT, ASKED = "Do", "Don't", "Readers asked"
GOES_ON = "… "  # how the words of a rule begin that goes on with the one before
STEPS = 3.0  # of skin tone, from 1 to 8, that the twins were moved by
OWN = {"image", "post_id", "user_id", "label", "split", "followers", "likes", "tags"}
OWN |= {"posted_at", "collected_at"}  # columns that say nothing of a photo


@dataclass(frozen=True)
class Rule:
    """One rule, and how each column asks for it."""

    words: str  # the article's where they are in italics there
    section: str
    column: str  # what holds where the rule is kept: of `describe`
    only: str | None = None  # presented gender that it is asked of
    edit: tuple[str, float] | None = None  # name and dose that do it to a photo
    twin: str | None = None  # change that does it to a scene

    @property
    def planted(self) -> float:
        """What it is worth to the simulated audience, in log-odds."""
        if self.column == "third":
            return FALL_OFF * (HALF - THIRD) ** 2
        if self.column in ONLY_FOR and self.only not in (None, ONLY_FOR[self.column]):
            return 0.0
        return EFFECTS.get(self.column, 0.0)


RULES = (
    Rule("Be female", DO, "female", twin="presented_gender"),
    Rule(
        "Face should occupy about 1/3 of the image (not 1/2)",
        DO,
        "third",
        None,
        ("head at a third", THIRD),
        "zoom",
    ),
    Rule("… slightly tilted", DO, "tilted"),
    Rule("… in the center", DO, "centred"),
    Rule("… and at the top", DO, "at_top"),
    Rule("Cut off your forehead (women)", DO, "forehead_cut", "female", ("forehead cut", 0.2)),
    Rule("Show your long hair (women)", DO, "long_hair", "female", twin="hair_length"),
    Rule("Oversaturate the face", DO, "over_exposed", None, ("exposure", 1.0)),
    Rule("Put a filter on it: faded", DO, "faded", None, ("faded filter", 1.0)),
    Rule("… black and white", DO, "black_and_white", None, ("colour", -1.0)),
    Rule("Add a border", DO, "border", None, ("white border", 0.05)),
    Rule("Hair combed upwards (men)", DO, "upward_hair", "male"),
    Rule("Take selfies in low lighting", DONT, "low_light", None, ("low light", 2.0), "light"),
    Rule("Frame your head too large", DONT, "large_head", None, ("head too large", 0.6)),
    Rule("Take group shots", DONT, "group", twin="group"),
    Rule("Glasses", ASKED, "glasses", twin="glasses"),
    Rule("A pout", ASKED, "pout", twin="pout"),
    Rule("Cut off your forehead (men)", ASKED, "forehead_cut", "male", ("forehead cut", 0.2)),
    Rule("Deeper skin (three steps of eight)", ASKED, "skin", twin="skin_tone"),
)

MEASURED = {"third", "skin"}  # numbers, where the other rules are kept or not
RULED = {rule.column for rule in RULES}


def describe(run: RunFolder, scores: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of each scored post, rows as in `scores`; float64, nan where it is not known.

    Columns, where they are known: those of `attributes.READABLE` (0 or 1), female, third (minus the squared
    distance of the head's share of the width from a third; 1 more of it leads from a half to a third), skin
    (in three steps). Then, as they are, presented_gender and whatever else is annotated. For simulated posts
    all comes from the truth, for real ones from what `00_data` measured and the posts table.
    """
    posts = scores[["post_id"]].merge(run.read_table("posts"), on="post_id", how="left")
    notes = posts.drop(columns=[c for c in posts if c in OWN])
    truth = run.read_truth()
    if truth is None:
        source = scores[["image"]].merge(run.read_table("attributes"), on="image", how="left")
        share = source["face_width"] / FACE_OF_HEAD
    else:
        source = scores[["post_id"]].merge(truth, on="post_id", how="left")
        share = source["face_share"]
        notes = source.drop(columns=[c for c in source if c in OWN | {"appeal", "head_boxes", "face_boxes"}])
    known = {c: _number(source[c]) for c in READABLE if c in source}
    flags = {c: read_flag(notes[c]) for c in READABLE if c in notes and c not in known}
    known |= {c: _number(flag) for c, flag in flags.items() if flag is not None}
    if "famous_group" in source:
        known["group"] *= 1 - _number(source["famous_group"])  # the one group that is not disliked
    known["third"] = -((share - THIRD).abs().clip(upper=FARTHEST) ** 2) / (HALF - THIRD) ** 2
    if "presented_gender" in notes:
        gender = read_gender("presented_gender", notes["presented_gender"])
        if gender is not None:
            notes["presented_gender"] = gender
            known["female"] = (gender == "female").where(gender.notna()).astype(float)
    if "skin_tone" in notes and pd.api.types.is_numeric_dtype(notes["skin_tone"]):
        known["skin"] = notes["skin_tone"] / STEPS
    rest = notes[[c for c in notes if c not in known]]
    return pd.concat([pd.DataFrame(known), rest], axis=1).set_index(scores.index)


def _is_flag(column: pd.Series) -> bool:
    return set(column.dropna().unique()) <= {True, False}


def _number(column: pd.Series) -> pd.Series:
    """Return a flag as float64 of 0, 1 and nan."""
    return column.astype("boolean").astype("Float64").astype(float)


def own_rules(ask: str | Sequence[str] | None, known: pd.DataFrame) -> tuple[tuple[Rule, ...], pd.DataFrame]:
    """Turn annotations that somebody asks about into rules; returns them and `known` with their columns.

    A flag becomes one rule, other annotations of two to five values one a value (of two values, the first), a
    number a rule for one standard deviation more. Raises SelfieError for a column that there is not.
    """
    asked = [ask] if ask and isinstance(ask, str) else list(ask or [])
    ours = {rule.column for rule in applying(RULES, known)}
    already = {"presented_gender", "skin_tone", *ours}  # rows for these there are
    rules: list[Rule] = []
    columns: dict[str, pd.Series] = {}
    for name in dict.fromkeys(asked):
        if name not in known:
            raise SelfieError(f"ask: the posts have no annotation {name!r}: {did_you_mean(str(name), known)}")
        spread = {} if name in already else _spread(name, known[name])
        rules += [Rule(words, ASKED, words, twin=name) for words in spread]
        columns |= spread
    return tuple(rules), known.assign(**columns)


def _spread(name: str, column: pd.Series) -> dict[str, pd.Series]:
    """Turn an annotation into numbers by name; raise SelfieError for free text."""
    words, said = name.replace("_", " "), column.convert_dtypes()
    values = sorted(said.dropna().unique(), key=str)
    if (flags := read_flag(column)) is not None:
        return {words: _number(flags)}
    if len(values) <= 5:
        each = {
            f"{words}: {value}": _number((said == value).astype("boolean").mask(said.isna()))
            for value in values
        }
        return dict(list(each.items())[: 1 if len(values) == 2 else None])
    if pd.api.types.is_numeric_dtype(said):
        return {f"{words} (a standard deviation more)": (column - column.mean()) / (column.std() or 1)}
    raise SelfieError(
        f"ask: {name} has {len(values):,} different texts, expected a flag, a number or up to five values."
    )


def applying(rules: Sequence[Rule], known: pd.DataFrame) -> list[Rule]:
    """Return the rules that something is known of; without genders, those for one are asked of everybody.

    An annotation that bears the name of a rule and says more than yes and no, such as kinds of glasses, keeps
    no rule.
    """
    there = [rule for rule in rules if rule.column in known and _tells(rule.column, known[rule.column])]
    if "female" not in known:
        once = {rule.column: rule for rule in reversed(there)}  # the first of each column
        there = [_of_all(rule) for rule in there if once[rule.column] is rule]
    return [_in_full(rule, rules, there) for rule in there]


def _of_all(rule: Rule) -> Rule:
    """Ask a rule of everybody."""
    return replace(rule, words=rule.words.split(" (")[0], only=None) if rule.only else rule


def _in_full(rule: Rule, rules: Sequence[Rule], there: Sequence[Rule]) -> Rule:
    """Let a rule that goes on with the sentence of another stand alone where that other is not there."""
    if not rule.words.startswith(GOES_ON):
        return rule
    place = [other.column for other in rules].index(rule.column)
    leader = next(other for other in reversed(rules[:place]) if not other.words.startswith(GOES_ON))
    if any(other.column == leader.column for other in there):
        return rule
    return replace(rule, words=rule.words.removeprefix(GOES_ON).capitalize())


def _tells(name: str, column: pd.Series) -> bool:
    """Tell whether a column says which posts keep a rule, or how far, and does not say the same of all."""
    is_measured = name in MEASURED and pd.api.types.is_numeric_dtype(column)
    return column.nunique() > 1 and (is_measured or _is_flag(column) or name not in RULED)


def is_asked_of(rule: Rule, gender: pd.Series | None) -> np.ndarray | bool:
    """Tell of which rows a rule is asked: by presented gender, or of all."""
    return (gender == rule.only).to_numpy() if rule.only and gender is not None else True
