"""Known answers: compare what the network shows with the rules by which simulated posts were liked."""

import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy.stats import spearmanr

from selfie_utils.analysis.appeal import EFFECTS, ONLY_FOR
from selfie_utils.analysis.attributes import READABLE
from selfie_utils.analysis.base_rates import compare
from selfie_utils.analysis.effects import fit_by_user, log_odds_of, summarise
from selfie_utils.analysis.ranking import extreme

REAL = "These posts are real: nobody planted anything, so there is no truth to compare with."
CELEBRITIES = (
    "The embedded celebrities are synthetic people with invented names, drawn by the rules that drew the "
    "posts. Fame was planted in one place only: a group selfie costs nothing where the famous four are on "
    "it. For all others the right answer is that there is nothing to see."
)
SIGNS = {"more": 1, "less": -1, "no clear difference": 0}
FAMOUS = "The Famous Four"
FEMALE = "presented gender: female"
TONE, AGE = "skin tone (a standard deviation deeper)", "age (a standard deviation older)"


def fame_in_words(rated: pd.DataFrame) -> str:
    """Say in Markdown what fame is worth in the simulation, and where the famous group stands.

    `rated` has the name and the score of each embedded celebrity.
    """
    place = int((rated["score"] > rated.loc[rated["name"] == FAMOUS, "score"].item()).sum()) + 1
    return (
        f"{CELEBRITIES} The four stand at place **{place}** of {len(rated)}. From one photo nobody can tell "
        "whether the network has learned that; what any other group selfie costs, `11_what_it_rewards` says."
    )


def planted_effects(presented: str | None = None) -> dict[str, float]:
    """Return the planted effect of each attribute by its readable name; for one presented gender, or all.

    Some tastes are for one presented gender only: a cut-off forehead is worth nothing to males.
    """
    effects = {name: EFFECTS[column] for column, name in READABLE.items()} | {FEMALE: EFFECTS["female"]}
    for column, only in ONLY_FOR.items():
        if presented not in (None, only):
            effects[READABLE[column]] = 0.0
    return effects


def oracle_gallery(
    known: pd.DataFrame, scores: pd.DataFrame, truth: pd.DataFrame | None, count: int, end: str = "best"
) -> pd.DataFrame | None:
    """Compare (`base_rates.compare`) the `count` posts at an end that the oracle would show with all scored.

    The oracle ranks the same posts by their true appeal. `known` has rows as `scores`. None for real posts.
    """
    if truth is None:
        return None
    by_appeal = scores.assign(score=appeal_of(truth, scores).to_numpy())
    return compare(known, scores, extreme(by_appeal, count, end))


def against_oracle(
    comparison: pd.DataFrame, ideal: pd.DataFrame, presented: str | None = None
) -> pd.DataFrame:
    """Put what a gallery shows (`base_rates.compare`) next to the oracle's (`oracle_gallery`).

    A planted effect alone does not say what a gallery should show: attributes come together, and one that is
    liked in males only is rare among the best where males are. Adds planted (float), for (str: the presented
    gender that likes it, or ""), oracle (its share) and found (str): "as the oracle" (the same verdict, or a
    share within the interval), "not seen" (clear in the oracle's gallery alone), "against", or "made up"
    (clear here alone).
    """
    effects, shown = planted_effects(presented), ideal.reindex(comparison.index)
    table = comparison[comparison.index.isin(effects)].copy()
    table["planted"] = [effects[name] for name in table.index]
    only = {READABLE[column]: gender for column, gender in ONLY_FOR.items()}
    table["for"] = ["" if presented else only.get(name, "") for name in table.index]
    table["oracle"] = shown["share"]
    seen, wanted = (some["verdict"].map(SIGNS)[table.index] for some in (table, shown))
    within = (seen != 0) & table["oracle"].between(table["low"], table["high"])
    table["found"] = np.select(
        [(seen == wanted) | within, seen == 0, wanted == 0],
        ["as the oracle", "not seen", "made up"],
        "against",
    )
    return table.sort_values("planted", ascending=False)


def report(
    comparison: pd.DataFrame, ideal: pd.DataFrame | None, presented: str | None = None
) -> list[pd.DataFrame | Markdown]:
    """Return what to display of a gallery beside the oracle's: a table and a sentence, or a sentence."""
    if ideal is None:
        return [Markdown(REAL)]
    checked = against_oracle(comparison, ideal, presented)
    return [as_text(checked), Markdown(verdicts_in_words(checked))]


def as_text(checked: pd.DataFrame) -> pd.DataFrame:
    """Format what `against_oracle` returns for a reader."""
    effects = zip(checked["planted"], checked["for"], strict=True)
    shares = {"share": "share", "oracle": "the oracle's", "base": "base rate"}
    return pd.DataFrame(
        {
            "planted effect": [
                f"{effect:+.2f} ({who})" if who else f"{effect:+.2f}" for effect, who in effects
            ],
            **{title: checked[name].map("{:.0%}".format) for name, title in shares.items()},
            "seen": checked["verdict"],
            "verdict": checked["found"],
        },
        index=checked.index,
    )


def verdicts_in_words(planted: pd.DataFrame) -> str:
    """Count the verdicts of `against_oracle` in one Markdown sentence."""
    counts = planted["found"].value_counts()
    right = int(counts.get("as the oracle", 0))
    others = [f"{n} {verdict}" for verdict, n in counts.items() if verdict != "as the oracle"]
    told = f"**{right} of {len(planted)}** show as in the gallery of the oracle"
    return told + (f", {', '.join(others)}." if others else ".")


def rank_correlation(truth: pd.DataFrame, scores: pd.DataFrame) -> float:
    """Return Spearman's rank correlation of the scores with the true appeal, from -1 to 1."""
    return float(spearmanr(scores["score"], appeal_of(truth, scores)).statistic)


def appeal_of(truth: pd.DataFrame, scores: pd.DataFrame) -> pd.Series:
    """Return the true appeal of scored posts: float64 (N,), rows as in `scores`."""
    return scores[["post_id"]].merge(truth, on="post_id", how="left")["appeal"]


def recover_effects(truth: pd.DataFrame, scores: pd.DataFrame, seed: int, draws: int = 300) -> pd.DataFrame:
    """Measure what each planted attribute is worth to the network, everything else being equal.

    Least squares of the score's log-odds on all planted attributes, with 95% intervals from `draws`
    bootstrap samples of users. Returns one row per attribute: planted, recovered, low, high (float64).
    """
    design, effects = _design(scores[["post_id"]].merge(truth, on="post_id", how="left"))
    with_constant = np.column_stack([np.ones(len(design)), design])
    users = scores["user_id"].to_numpy()
    found = summarise(*fit_by_user(with_constant, log_odds_of(scores), users, seed, draws)).iloc[1:]
    found = found.set_axis(design.columns).rename(columns={"effect": "recovered"})
    table = found[["recovered", "low", "high"]]
    table.insert(0, "planted", pd.Series(effects))
    return table.dropna().sort_values("planted", ascending=False)


def _design(truth: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, float]]:
    """Return the planted attributes as numbers, float64 (N, K), and the effect of each by name."""
    female = (truth["presented_gender"] == "female").astype(float)
    design, effects = truth[list(READABLE)].astype(float), {}
    if "famous_group" in truth:
        design["group"] *= ~truth["famous_group"].astype(bool)  # the one group that is not disliked
    for column, only in ONLY_FOR.items():
        holds = design.pop(column)
        for gender, presented in (("female", female), ("male", 1 - female)):
            name = f"{READABLE[column]} ({gender})"
            design[name], effects[name] = holds * presented, EFFECTS[column] * (gender == only)
    design = design.rename(columns=READABLE).assign(**{FEMALE: female})
    for column, name in (("skin_tone", TONE), ("age", AGE)):
        value = truth[column].fillna(truth[column].mean())
        design[name], effects[name] = (value - value.mean()) / (value.std() or 1), EFFECTS[column]
    # Not reported, but it must be held equal: the planted taste for faces of a third of the image.
    design["distance from a third"] = (truth["face_share"].fillna(1 / 3) - 1 / 3) ** 2
    return design.loc[:, design.std() > 0], planted_effects() | effects


def recovery_in_words(effects: pd.DataFrame, correlation: float) -> str:
    """Say in Markdown how well the network's tastes agree with the planted ones."""
    planted, null = effects[effects["planted"] != 0], effects[effects["planted"] == 0]
    clear = (np.sign(planted["recovered"]) == np.sign(planted["planted"])) & (
        planted["low"] * planted["high"] > 0
    )
    made_up = null.index[null["low"] * null["high"] > 0]
    made = f"something of {', '.join(made_up)}" if len(made_up) else "nothing of them"
    return (
        f"Of the {len(planted)} planted effects **{int(clear.sum())}** are found, with the right sign. "
        f"{len(null)} attributes mean nothing; the network makes {made}. The ranking correlates with the "
        f"true appeal by **{correlation:.2f}** (1 is the oracle, 0 is chance)."
    )
