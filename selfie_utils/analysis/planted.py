"""Known answers: compare what the network shows with the rules by which simulated posts were liked."""

import numpy as np
import pandas as pd
from IPython.display import Markdown
from scipy.stats import spearmanr

from selfie_utils.analysis.appeal import EFFECTS, ONLY_FOR
from selfie_utils.analysis.attributes import READABLE
from selfie_utils.analysis.effects import fit_by_user, log_odds_of, summarise

REAL = "These posts are real: nobody planted anything, so there is no truth to compare with."
CELEBRITIES = (
    "The embedded celebrities are synthetic people with invented names, drawn by the rules that drew the "
    "posts. Fame was planted in one place only: a group selfie costs nothing where the famous four are on "
    "it. For all others the right answer is that there is nothing to see."
)
FEMALE = "presented gender: female"
TONE, AGE = "skin tone (a standard deviation deeper)", "age (a standard deviation older)"


def planted_effects(presented: str | None = None) -> dict[str, float]:
    """Return the planted effect of each attribute by its readable name; for one presented gender, or all.

    Some tastes are for one presented gender only: a cut-off forehead is worth nothing to males.
    """
    effects = {name: EFFECTS[column] for column, name in READABLE.items()} | {FEMALE: EFFECTS["female"]}
    for column, only in ONLY_FOR.items():
        if presented not in (None, only):
            effects[READABLE[column]] = 0.0
    return effects


def against_planted(
    comparison: pd.DataFrame, end: str = "best", presented: str | None = None
) -> pd.DataFrame:
    """Put the planted effects of simulated posts next to what a gallery shows (`base_rates.compare`).

    A positive effect should make an attribute more frequent among the best and rarer among the worst; an
    effect of 0 should show no clear difference. Adds planted (float) and found (str): "as planted",
    "not seen" (planted, but no clear difference), "against", or "made up" (a difference where none is
    planted).
    """
    effects = planted_effects(presented)
    table = comparison[comparison.index.isin(effects)].copy()
    table["planted"] = [effects[name] for name in table.index]
    seen = table["verdict"].map({"more": 1, "less": -1, "no clear difference": 0}).astype(int)
    wanted = np.sign(table["planted"]) * (1 if end == "best" else -1)
    table["found"] = np.select(
        [seen == wanted, seen == 0, wanted == 0], ["as planted", "not seen", "made up"], "against"
    )
    return table.sort_values("planted", ascending=False)


def report(
    comparison: pd.DataFrame, truth: pd.DataFrame | None, end: str = "best", presented: str | None = None
) -> list[pd.DataFrame | Markdown]:
    """Return what to display of planted effects: a table and a sentence, or, for real posts, a sentence."""
    if truth is None:
        return [Markdown(REAL)]
    checked = against_planted(comparison, end, presented)
    return [as_text(checked), Markdown(verdicts_in_words(checked))]


def as_text(planted: pd.DataFrame) -> pd.DataFrame:
    """Format what `against_planted` returns for a reader."""
    return pd.DataFrame(
        {
            "planted effect": planted["planted"].map("{:+.2f}".format),
            "share": planted["share"].map("{:.0%}".format),
            "base rate": planted["base"].map("{:.0%}".format),
            "seen": planted["verdict"],
            "verdict": planted["found"],
        }
    )


def verdicts_in_words(planted: pd.DataFrame) -> str:
    """Count the verdicts of `against_planted` in one Markdown sentence."""
    counts = planted["found"].value_counts()
    right = int(counts.get("as planted", 0))
    others = [f"{n} {verdict}" for verdict, n in counts.items() if verdict != "as planted"]
    return f"**{right} of {len(planted)}** show as planted" + (f", {', '.join(others)}." if others else ".")


def rank_correlation(truth: pd.DataFrame, scores: pd.DataFrame) -> float:
    """Return Spearman's rank correlation of the scores with the true appeal, from -1 to 1."""
    appeal = scores[["post_id"]].merge(truth, on="post_id", how="left")["appeal"]
    return float(spearmanr(scores["score"], appeal).statistic)


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
    nothing = f"of {', '.join(made_up)} it makes something" if len(made_up) else "it makes nothing of them"
    return (
        f"Of the {len(planted)} planted effects **{int(clear.sum())}** are found, with the right sign. "
        f"{len(null)} attributes mean nothing: {nothing}. The ranking correlates with the true appeal "
        f"by **{correlation:.2f}** (1 is the oracle, 0 is chance)."
    )
