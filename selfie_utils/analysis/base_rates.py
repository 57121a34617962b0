"""Compare what a gallery shows with the whole test set: shares with intervals, never impressions alone."""

from html import escape

import numpy as np
import pandas as pd

from selfie_utils.analysis.ranking import best_first
from selfie_utils.core.shares import share

NOTHING = "No attribute is known that some of these posts have and others have not."


def share_in_words(found: dict[str, float] | pd.Series, what: str) -> str:
    """Write a share with its interval as a Markdown sentence; one of which nothing is known says so."""
    if not found["known"]:
        return "Nobody has said which of these posts are good or bad."
    return f"**{found['share']:.0%}** [{found['low']:.0%} to {found['high']:.0%}] {what}."


def as_metrics(name: str, found: dict[str, float]) -> dict[str, float]:
    """Return a share with its interval for metrics.json; nothing where nothing is known."""
    ends = {name: "share", f"{name}_low": "low", f"{name}_high": "high"}
    return {key: found[end] for key, end in ends.items()} if found["known"] else {}


def that_vary(attributes: pd.DataFrame) -> pd.DataFrame:
    """Return the attributes that some posts have and others have not: only these can set posts apart."""
    return attributes.loc[:, [attributes[name].nunique() > 1 for name in attributes]]


def compare(attributes: pd.DataFrame, scores: pd.DataFrame, chosen: pd.DataFrame) -> pd.DataFrame:
    """Compare each attribute's share among `chosen` posts with all scored posts.

    `attributes` has boolean columns, rows as in `scores`; one that all of these posts have, or none, is left
    out. Returns one row per attribute: share, low, high (of the chosen, 95%, by user), base (share in all
    scored posts), times (share / base), verdict ("more", "less" or "no clear difference": the interval holds
    the base rate), sorted by share minus base.
    """
    attributes = that_vary(attributes)
    picked = scores["post_id"].isin(chosen["post_id"]).to_numpy()
    users = scores["user_id"].to_numpy()[picked]
    rows = {name: share(column[picked], users) for name, column in attributes.items()}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["share", "low", "high", "known"])
    table["base"] = [share(column)["share"] for _, column in attributes.items()]
    table["times"] = table["share"] / table["base"]
    table["verdict"] = np.select(
        [table["low"] > table["base"], table["high"] < table["base"]], ["more", "less"], "no clear difference"
    )
    order = (table["share"] - table["base"]).sort_values(ascending=False).index
    return table.loc[order].rename_axis("attribute")


def share_by_band(column: pd.Series, scores: pd.DataFrame, bands: int = 5) -> pd.DataFrame:
    """Cut scored posts into equal bands from best (1) to worst; return the share of True in each.

    `column` is boolean, rows as in `scores`. Columns: band (int), share, low, high (95%, by user), known.
    """
    ranked = best_first(scores.assign(value=column.to_numpy()))
    has, users = ranked["value"].astype("boolean"), ranked["user_id"].to_numpy()
    band = np.arange(len(ranked)) * bands // len(ranked) + 1
    return pd.DataFrame([{"band": b, **share(has[band == b], users[band == b])} for b in range(1, bands + 1)])


def in_words(comparison: pd.DataFrame, chosen: str, base: str = "the whole test set") -> str:
    """Say in Markdown what a comparison shows: more frequent, rarer, and too close to call."""
    if comparison.empty:
        return NOTHING
    lines = [f"Compared with {base}, {chosen} show"]
    for verdict, opening in (("more", "more of"), ("less", "less of")):
        found = comparison[comparison["verdict"] == verdict]
        lines.append(
            f"- **{opening}** " + ("; ".join(map(_one_in_words, *_columns(found))) or "nothing in particular")
        )
    close = comparison[comparison["verdict"] == "no clear difference"]
    lines.append("- **no clear difference** in " + (", ".join(map(escape, close.index)) or "nothing"))
    return "\n".join([lines[0], "", *lines[1:]])


def _columns(table: pd.DataFrame) -> list[list]:
    return [list(table.index)] + [table[c].tolist() for c in ("share", "low", "high", "base")]


def _one_in_words(name: str, share: float, low: float, high: float, base: float) -> str:
    return f"{escape(name)} ({share:.0%} [{low:.0%} to {high:.0%}], base rate {base:.0%})"
