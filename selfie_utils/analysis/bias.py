"""Does the network treat groups of people alike? Scores, errors and calibration by group, and the labels'."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from selfie_utils.analysis.appeal import EFFECTS
from selfie_utils.analysis.effects import fit_by_user, mean_by_user, summarise
from selfie_utils.core.shares import wilson_interval

FEWEST = 30  # posts; of a smaller group nothing is said
MOST_VALUES = 5  # of an annotation in words
PLANTED = {"presented_gender": EFFECTS["female"], "age": EFFECTS["age"], "skin_tone": EFFECTS["skin_tone"]}


COLUMNS_IN_WORDS = (
    "The last column is the mean score minus the share labelled good, in points, 0 where the network is "
    "calibrated, and ± half of its 95% interval. A network that repeats its audience shows the differences "
    "that the labels had already; what goes beyond them it added itself."
)


def groups_of(known: pd.DataFrame, annotations: Sequence[str]) -> dict[str, pd.Series]:
    """Put posts into groups by each annotation that there is: texts, missing where it is not known.

    A number is cut into thirds of the posts, named by their range; words make a group each. What is missing,
    the same for all, or has more than five words is left out, and so are groups of fewer than 30 posts.
    """
    found = {}
    for name in annotations:
        if name in known and known[name].notna().any():
            groups = _thirds(known[name]) if _is_number(known[name]) else known[name].astype("str")
            groups = groups.where(known[name].notna())
            sizes = groups.value_counts()
            groups = groups.where(groups.isin(sizes[sizes >= FEWEST].index))
            if 2 <= groups.nunique() <= MOST_VALUES:
                found[name] = groups
    return found


def _is_number(column: pd.Series) -> bool:
    numeric = pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column)
    return numeric and column.nunique() > MOST_VALUES


def _thirds(column: pd.Series) -> pd.Series:
    """Name the third of the posts that a number is in by its range, so that names sort as the numbers do."""
    third = (column.rank(method="first") - 1) * 3 // column.notna().sum()
    ends = column.groupby(third).agg(["min", "max"])
    names = {i: f"{row['min']:.1f} to {row['max']:.1f}" for i, row in ends.iterrows()}
    return third.map(names)


def by_group(
    scores: pd.DataFrame, groups: Mapping[str, pd.Series], seed: int, draws: int = 400
) -> pd.DataFrame:
    """Return a row a group: annotation, group, posts, score, score_low, score_high (mean P(good), by user).

    With labels also good (share labelled so), accuracy, low, high (Wilson, 95%), bad_called_good,
    good_called_bad, and gap, gap_low, gap_high: mean score minus share of good ones, 0 where calibrated.
    """
    rows = []
    for annotation, names in groups.items():
        for name in sorted(names.dropna().unique(), key=_first_number):
            some = scores[(names == name).to_numpy()]
            found = _with_ends("score", mean_by_user(some["score"], some["user_id"], seed, draws))
            judged = _judge(some, seed, draws) if some["label"].notna().all() else {}
            rows.append({"annotation": annotation, "group": name, "posts": len(some), **found, **judged})
    return pd.DataFrame(rows)


def _first_number(name: str) -> tuple[float, str]:
    """Sort ranges by their start, and words by the alphabet."""
    try:
        return float(name.split(" to ")[0]), name
    except ValueError:
        return 0.0, name


def _with_ends(name: str, found: Mapping[str, float]) -> dict[str, float]:
    return {name: found["effect"], f"{name}_low": found["low"], f"{name}_high": found["high"]}


def _judge(some: pd.DataFrame, seed: int, draws: int) -> dict[str, float]:
    """Compare the scores of one group with its labels."""
    good, called = (some["label"] == 1).to_numpy(), (some["score"] > 0.5).to_numpy()
    right = int((good == called).sum())
    low, high = wilson_interval(right, len(some))
    gap = mean_by_user(some["score"] - good, some["user_id"], seed, draws)
    return {
        "good": good.mean(),
        "accuracy": right / len(some),
        "low": low,
        "high": high,
        "bad_called_good": called[~good].mean() if (~good).any() else np.nan,
        "good_called_bad": (~called[good]).mean() if good.any() else np.nan,
        **_with_ends("gap", gap),
    }


def differences(
    scores: pd.DataFrame, groups: Mapping[str, pd.Series], simulated: bool, seed: int, draws: int = 400
) -> pd.DataFrame:
    """Return a row an annotation: by how much its last group differs from its first, in shares of 0 to 1.

    Columns: between (str), score, score_low, score_high; with labels also good, good_low, good_high, and
    in_labels: the share of the difference in scores, 0 to 1, that the labels have as well; nan where there
    may be no difference. Simulated posts have planted (log-odds), 0 where the audience does not care.
    """
    rows: dict[str, dict[str, str | float]] = {}
    for annotation, names in groups.items():
        ordered = sorted(names.dropna().unique(), key=_first_number)
        rows[annotation] = {"between": f"{ordered[-1]} minus {ordered[0]}"}
        some = names.isin([ordered[0], ordered[-1]]).to_numpy()
        is_last = (names[some] == ordered[-1]).to_numpy(float)
        rows[annotation] |= _gaps(scores[some], is_last, seed, draws)
        if simulated and annotation in PLANTED:
            rows[annotation]["planted"] = PLANTED[annotation] * (-1 if ordered[-1] == "male" else 1)
    return pd.DataFrame.from_dict(rows, orient="index")


def _gaps(some: pd.DataFrame, is_last: np.ndarray, seed: int, draws: int) -> dict[str, float]:
    """Return the difference between two groups in score and in labels, with intervals by user."""
    design = np.column_stack([np.ones(len(some)), is_last])
    targets = {"score": some["score"].to_numpy(float)}
    if some["label"].notna().all():
        targets["good"] = (some["label"] == 1).to_numpy(float)
    found: dict[str, float] = {}
    for name, target in targets.items():
        fitted = fit_by_user(design, target, some["user_id"].to_numpy(), seed, draws)
        found |= _with_ends(name, summarise(*fitted).iloc[1])
    if "good" in found:
        sure = found["score_low"] * found["score_high"] > 0
        found["in_labels"] = float(np.clip(found["good"] / found["score"], 0, 1)) if sure else np.nan
    return found


def groups_as_text(table: pd.DataFrame) -> pd.DataFrame:
    """Format what `by_group` returns for a reader."""
    named = [f"{row.annotation.replace('_', ' ')}: {row.group}" for row in table.itertuples()]
    text = {"posts": table["posts"].map("{:,}".format), "score": table["score"].map("{:.1%}".format)}
    if "good" in table:
        columns = {"labelled good": "good", "right": "accuracy", "bad called good": "bad_called_good"}
        columns["good called bad"] = "good_called_bad"
        text |= {title: table[column].map("{:.0%}".format) for title, column in columns.items()}
        half = (table["gap_high"] - table["gap_low"]) / 2
        gaps = zip(100 * table["gap"], 100 * half, strict=True)
        text["score - good"] = [f"{gap:+.1f}\u00a0±\u00a0{end:.1f}" for gap, end in gaps]
    return pd.DataFrame(text).set_axis(named)


def in_words(found: pd.DataFrame, asked: Sequence[str]) -> str:
    """Say in Markdown what `differences` found, and what is not known for want of annotations."""
    lines = [_one_in_words(name.replace("_", " "), row) for name, row in found.iterrows()]
    missing = [name.replace("_", " ") for name in asked if name not in found.index]
    if missing:
        lines.append(
            f"Of {' and '.join(missing)} these posts say nothing, or too little: whether the network treats "
            "such groups alike is not known."
        )
    return "\n".join(f"- {line}" for line in lines)


def _one_in_words(name: str, row: pd.Series) -> str:
    told = (
        f"**{name}** ({row['between']}): the mean score differs by **{100 * row['score']:+.1f} points** "
        f"[{100 * row['score_low']:+.1f} to {100 * row['score_high']:+.1f}]"
    )
    if "good" in row and pd.notna(row["good"]):
        told += (
            f", the share labelled good by {100 * row['good']:+.1f} [{100 * row['good_low']:+.1f} to "
            f"{100 * row['good_high']:+.1f}]"
        )
        if pd.notna(row["in_labels"]):
            told += f": {row['in_labels']:.0%} of the network's difference was in the labels already"
    if "planted" in row and pd.notna(row["planted"]):
        told += (
            f"; {row['planted']:+.1f} log-odds were planted" if row["planted"] else "; nothing was planted"
        )
    return told + "."


def as_metrics(found: pd.DataFrame) -> dict[str, float]:
    """Return for metrics.json what `differences` found: each annotation's gap, and its part in labels."""
    ends = {"score": "score_gap_{}", "score_low": "score_gap_{}_low", "score_high": "score_gap_{}_high"}
    ends |= {"good": "label_gap_{}", "in_labels": "in_labels_{}"}
    kept = {form.format(name): row.get(end) for name, row in found.iterrows() for end, form in ends.items()}
    return {name: value for name, value in kept.items() if pd.notna(value)}
