"""Draw charts of effects: what an edit does to the score, and whether maps of it can be trusted."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from selfie_utils.show.chart import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, for_any_width, new_axes
from selfie_utils.show.charts import shares_against_base

FOREST = {  # how each column of a forest plot is drawn: colour, marker
    "seen": (GREY, "o"),
    "all else equal": (BLUE, "s"),
    "done": (ORANGE, "D"),
    "re-rendered": (GREEN, "^"),
}


@for_any_width
def forest(table: pd.DataFrame, floor: float, planted: pd.Series | None = None, scale: float = 1.0) -> Figure:
    """Draw a row a rule: each column's effect with its 95% interval, told ones filled, others hollow.

    `table` has rule, section, column, effect, low, high and verdict, in the order of the rules. `floor` is
    the largest effect of a placebo. `planted` holds effects by rule, drawn at `scale` times their size.
    """
    rules = pd.unique(table["rule"]).tolist()
    columns = [name for name in FOREST if (table["column"] == name).any()]
    figure, (axes,) = new_axes(9, 0.44 * len(rules) + 1.7)
    axes.axvspan(-floor, floor, color=PURPLE, alpha=0.25, linewidth=0, label=f"placebos (±{floor:.2f})")
    axes.axvline(0, color="black", linewidth=1)
    for i, name in enumerate(columns):
        shift = 0.6 * ((i + 0.5) / len(columns) - 0.5)
        _forest_column(axes, table[table["column"] == name], rules, shift, name)
    if planted is not None:
        known = planted.reindex(rules).to_numpy(float) * scale
        label = f"planted, x {scale:.2f} to fit the scores"
        axes.plot(known, range(len(rules)), "|", color="black", markersize=20, markeredgewidth=2)
        axes.plot([], [], "|", color="black", markersize=11, markeredgewidth=2, label=label)
    _name_rules(axes, table, rules)
    axes.set_xlabel("change of the score's log-odds (bars: 95%; filled: told)")
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.4, 1), ncols=3 if len(columns) > 3 else 2, frameon=False
    )
    return figure


def _forest_column(axes: Axes, some: pd.DataFrame, rules: list[str], shift: float, name: str) -> None:
    """Draw one column's dots and intervals, `shift` rows below the middle of each rule's."""
    colour, marker = FOREST[name]
    heights = some["rule"].map({rule: i for i, rule in enumerate(rules)}) + shift
    axes.hlines(heights, some["low"], some["high"], color=colour, linewidth=1.8)
    told = some["verdict"].isin(["more", "less"]).to_numpy()
    for which, fill in ((told, colour), (~told, "white")):
        dots, label = some[which], name if fill == colour else None
        axes.plot(dots["effect"], heights[which], marker, color=colour, markerfacecolor=fill, label=label)


def _name_rules(axes: Axes, table: pd.DataFrame, rules: list[str]) -> None:
    """Write the rules at the left, best rule on top, and a line and a name where a section begins."""
    sections = table.drop_duplicates("rule").set_index("rule")["section"]
    axes.set_yticks(range(len(rules)), rules)
    axes.set_ylim(len(rules) - 0.5, -0.5)
    axes.grid(False, axis="y")
    for row, rule in enumerate(rules):
        if row == 0 or sections[rule] != sections[rules[row - 1]]:
            axes.axhline(row - 0.5, color=GREY, linewidth=0.8)
            at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
            axes.annotate(sections[rule], (1, row - 0.5), (4, -4), **at, va="top", weight="bold", fontsize=10)


@for_any_width
def dose_response(average: pd.DataFrame, floor: float) -> Figure:
    """Draw the effect of each edit by its dose, a small chart an edit, on one scale, with 95% intervals.

    `average` has edit, dose, unit, effect, low and high; edits of a single dose are left out. No dose has no
    effect. The band is the largest effect of a placebo.
    """
    average = average[average.groupby("edit")["dose"].transform("size") > 1]
    edits = pd.unique(average["edit"])
    columns = min(4, len(edits))
    rows = -(-len(edits) // columns)
    figure, axes = new_axes(2.6 * columns, 2.3 * rows + 0.3, columns, rows, len(edits))
    low, high = min(average["low"].min(), -floor), max(average["high"].max(), floor)
    for one, edit in zip(axes, edits, strict=False):
        some = average[average["edit"] == edit].sort_values("dose")
        ends = np.abs(some[["low", "high"]].to_numpy(float).T - some["effect"].to_numpy(float))
        one.axhspan(-floor, floor, color=PURPLE, alpha=0.25, linewidth=0)
        one.axhline(0, color="black", linewidth=0.8)
        one.errorbar(some["dose"], some["effect"], yerr=ends, fmt="o", color=BLUE, capsize=3, markersize=4)
        doses, effects = np.append(some["dose"], 0.0), np.append(some["effect"], 0.0)
        one.plot(np.sort(doses), effects[np.argsort(doses)], color=BLUE, linewidth=1.5)
        one.set(title=edit, xlabel=some["unit"].iloc[0], ylim=(low * 1.08, high * 1.08))
        one.set_xticks(some["dose"], _apart(some["dose"].to_numpy(float)))
        one.title.set_fontsize(10)
        one.xaxis.label.set_fontsize(9)
        one.tick_params(labelsize=9)
    for empty in axes[len(edits) :]:
        empty.set_visible(False)
    figure.supylabel("change of the score's log-odds", fontsize=10)
    return figure


def _apart(doses: np.ndarray) -> list[str]:
    """Write doses below their ticks, the largest first, and none where the next one is too near."""
    nearest, texts = 0.18 * np.ptp([0, *doses]), [""] * len(doses)
    for i in np.argsort(-np.abs(doses), kind="stable"):
        if all(abs(doses[i] - doses[j]) >= nearest for j, text in enumerate(texts) if text):
            texts[i] = f"{doses[i]:g}"
    return texts


@for_any_width
def following_curves(curves: pd.DataFrame) -> Figure:
    """Draw mean scores while photos lose and gain pixels; `curves` as from `faithfulness.follow`.

    A panel a kind, a line an order of pixels; the last order, the random one, is dashed.
    """
    kinds = list(curves.index.unique("kind"))
    figure, panels = new_axes(10, 3.8, columns=len(kinds))
    colours = (BLUE, GREEN, PURPLE, RED)
    for axes, kind in zip(panels, kinds, strict=True):
        means = curves.xs(kind, level="kind").groupby(level="order", sort=False).mean() * 100
        for place, (name, line) in enumerate(means.iterrows()):
            chance = place == len(means) - 1
            look: dict[str, Any] = (
                {"color": ORANGE, "linestyle": "--"} if chance else {"color": colours[place % 4]}
            )
            axes.plot(means.columns.astype(float) * 100, line, marker="o", markersize=3, label=name, **look)
        axes.set(xlabel="pixels exchanged (%)", ylabel="mean score (%)", title=kind)
    panels[0].legend(frameon=False)
    return figure


@for_any_width
def hits_and_areas(hits: pd.DataFrame) -> Figure:
    """Draw how often maps point at a target, and the target's area; `hits` as from `pointing.count_hits`."""
    named = hits.set_axis([f"{target} ({method})" for target, method in hits.index])
    figure = shares_against_base(named, "maps that point at it", "its share of the photo")
    figure.axes[0].set(xlabel="share (%), bars are 95% intervals")
    return figure
