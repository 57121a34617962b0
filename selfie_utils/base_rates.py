"""Hold what a gallery shows against the whole test set: shares with intervals, never impressions alone."""

import numpy as np
import pandas as pd

from selfie_utils.gallery import best_first
from selfie_utils.metrics import wilson_interval


def share(values: pd.Series) -> dict[str, float]:
    """Return the share of True among known values with its 95% Wilson interval: share, low, high, known."""
    known = values.dropna()
    low, high = wilson_interval(int(known.sum()), len(known)) if len(known) else (np.nan, np.nan)
    return {
        "share": float(known.mean()) if len(known) else np.nan,
        "low": low,
        "high": high,
        "known": len(known),
    }


def compare(attributes: pd.DataFrame, scores: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Compare each attribute's share among `chosen` posts with all scored posts.

    `attributes` has boolean columns, rows as in `scores`. Returns one row an attribute: share, low, high (of
    the chosen, 95%), base (share in all scored posts), times (share / base), verdict ("more", "less" or
    "no clear difference": the interval holds the base rate), sorted by share minus base.
    """
    picked = scores["post_id"].isin(chosen["post_id"]).to_numpy()
    rows = {name: share(column[picked]) for name, column in attributes.items()}
    table = pd.DataFrame(rows).T
    table["base"] = [share(column)["share"] for _, column in attributes.items()]
    table["times"] = table["share"] / table["base"].where(table["base"] > 0)
    table["verdict"] = np.select(
        [table["low"] > table["base"], table["high"] < table["base"]], ["more", "less"], "no clear difference"
    )
    order = (table["share"] - table["base"]).sort_values(ascending=False).index
    return table.loc[order].rename_axis("attribute")


def share_by_band(column: pd.Series, scores: pd.DataFrame, bands: int = 5) -> pd.DataFrame:
    """Cut scored posts into equal bands from best (1) to worst; return the share of True in each.

    `column` is boolean, rows as in `scores`. Columns: band (int), share, low, high (95%), known.
    """
    ranked = best_first(scores.assign(value=column.to_numpy()))["value"].astype("boolean")
    band = np.arange(len(ranked)) * bands // len(ranked) + 1
    return pd.DataFrame([{"band": b, **share(ranked[band == b])} for b in range(1, bands + 1)])


def against_planted(comparison: pd.DataFrame, effects: dict[str, float], end: str = "best") -> pd.DataFrame:
    """Put the planted effects of simulated posts beside what a gallery shows.

    A positive effect should make an attribute more frequent among the best and rarer among the worst; an
    effect of 0 should show no clear difference. Adds planted (float) and found:
    "as planted", "not seen" (planted, but no clear difference), "against", or "made up" (a difference where
    none is planted).
    """
    table = comparison[comparison.index.isin(effects)].copy()
    table["planted"] = table.index.map(effects).astype(float)
    seen = table["verdict"].map({"more": 1, "less": -1, "no clear difference": 0})
    wanted = np.sign(table["planted"]) * (1 if end == "best" else -1)
    table["found"] = np.select(
        [seen == wanted, seen == 0, wanted == 0], ["as planted", "not seen", "made up"], "against"
    )
    return table
