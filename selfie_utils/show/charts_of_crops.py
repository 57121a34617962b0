"""Draw charts of crops: how well each search finds the best one, the landscape it walks, what crops lose."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from selfie_utils.show.chart import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    around_nothing,
    for_any_width,
    is_first,
    new_axes,
)


@for_any_width
def regret_by_evaluations(summary: pd.DataFrame, wanted: tuple[float, float] | None = None) -> Figure:
    """Draw how far each search stays from the best crop, by number of evaluations: median, and worst.

    `summary` as from `crop_search.summarise`; bands, of the first search and the fifth, are 95% intervals.
    `wanted` are two limits, dotted.
    """
    figure, panels = new_axes(11, 4.6, columns=2)
    looks = _looks(list(summary["method"].unique()))
    titles = {"median": "half of the searches stay within", "worst": "95% of the searches stay within"}
    for axes, (name, title), limit in zip(panels, titles.items(), wanted or (None, None), strict=True):
        for method, some in summary.groupby("method", sort=False):
            at, look = some["evaluations"], looks[method]
            axes.plot(at, some[name], label=method, markersize=5, linewidth=1.6, **look)
            if look["color"] in (GREY, BLUE):  # of the first and of ours: more would hide each other
                low, high = some[f"{name}_low"], some[f"{name}_high"]
                axes.fill_between(at, low, high, color=look["color"], alpha=0.08, linewidth=0)
        if limit is not None:
            axes.axhline(limit, color=GREY, linestyle=":", linewidth=1.5)
        ticks = sorted(summary.loc[summary["method"].duplicated(keep=False), "evaluations"].unique())
        axes.set(xscale="log", xlabel="evaluations per photo", title=title, ylim=(0, None))
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
    panels[0].set_ylabel("regret (points below the best crop)")
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _looks(methods: list[str]) -> dict[str, dict]:
    """Give each search a colour; gradients have one by their parameters, and are hollow if blurred first."""
    colours, looks = iter([GREY, ORANGE, GREEN, PURPLE, BLUE, RED] * 2), {}
    for method in methods:
        if method.startswith("gradient"):
            colour = "#56B4E9" if "3 parameters" in method else "black"
            style, marker = ":" if "blurred" in method else "--", "v" if method.endswith("start") else "^"
            fill = "white" if "blurred" in method else colour
            looks[method] = {"color": colour, "marker": marker, "linestyle": style, "markerfacecolor": fill}
        else:
            looks[method] = {"color": next(colours), "marker": "o"}
    return looks


def _size_with_a_choice(scores: np.ndarray, best: int) -> int:
    """Return the size of the best crop, or the next smaller one at which a place can be chosen at all.

    The largest square of a square photo has one place only.
    """
    differ = np.ptp(scores.reshape(len(scores), -1), axis=1) > 0
    return next((size for size in range(best, -1, -1) if differ[size]), best)


@for_any_width
def crop_landscape(scores: np.ndarray, paths: np.ndarray, profiles: np.ndarray) -> Figure:
    """Draw the scores of all crops of one photo, and why gradients get stuck on it.

    `scores` float (scales, places, places), 0..1, by scale, x and y; `paths` numbers (starts, steps, 3);
    `profiles` (starts, points), scores on the straight way from the end of each path to the best crop.
    """
    figure, (left, middle, right) = new_axes(13, 4.4, columns=3)
    percent, best = 100 * scores, np.unravel_index(int(np.argmax(scores)), scores.shape)
    ends = np.array(best) / (np.array(scores.shape) - 1)
    # The largest crops are almost all the same, and would hide the others: so places are shown at one size.
    size = _size_with_a_choice(scores, int(best[0]))
    places = "at the best crop's size" if size == best[0] else "at the next smaller size"
    panels = (
        (left, percent[size].T, (1, 2), "left to right", "top to bottom", f"places, {places}"),
        (middle, percent.max(2), (1, 0), "left to right", "smallest to largest", "the best of each column"),
    )
    for axes, shown, (x, y), across, down, title in panels:
        limits = {"vmin": percent.min(), "vmax": percent.max()}
        # A crop of the grid stands in the middle of its cell, so the outer cells reach beyond 0 and 1.
        high, wide = (0.5 / (cells - 1) for cells in shown.shape)
        extent = (-wide, 1 + wide, 1 + high, -high)
        drawn = axes.imshow(shown, extent=extent, cmap="cividis", aspect="auto", **limits)
        for path in paths:
            axes.plot(path[:, x], path[:, y], color="white", linewidth=1)
            axes.plot(path[0, x], path[0, y], "o", color="white", markersize=3)
            axes.plot(path[-1, x], path[-1, y], "X", color=RED, markersize=7, markeredgecolor="white")
        if axes is middle or size == best[0]:
            axes.plot(ends[x], ends[y], "*", color=ORANGE, markersize=16, markeredgecolor="black")
        axes.set(xlabel=across, ylabel=down, xticks=[0, 1], yticks=[0, 1], title=title)
        axes.set(xlim=extent[:2], ylim=extent[2:])
        axes.grid(False)
    middle.invert_yaxis()
    figure.colorbar(drawn, ax=[left, middle], label="score (%)", shrink=0.85)
    along = np.linspace(0, 1, profiles.shape[1])
    right.plot(along, 100 * profiles.T, color=RED, linewidth=0.9, alpha=0.7)
    right.plot(1, percent.max(), "*", color=ORANGE, markersize=16, markeredgecolor="black")
    right.set(ylabel="score (%)", xticks=[0, 1], title="the straight way on")
    right.set_xticklabels(["where a gradient\nended", "the best\ncrop"])
    return figure


@for_any_width
def before_and_after(table: pd.DataFrame) -> Figure:
    """Draw what photos were and what their crops are: a small chart a measure.

    `table` has a row a measure and a way ("whole photo", "best crop", "drawn by score", "any crop"): measure,
    way, mean, low, high, in the unit that the measure's name tells.
    """
    measures = list(table["measure"].unique())
    columns = min(3, len(measures))
    rows = -(-len(measures) // columns)
    figure, axes = new_axes(3.6 * columns, 2.1 * rows, columns, rows, len(measures))
    for empty in axes[len(measures) :]:
        empty.set_visible(False)
    for one, measure in zip(axes, measures, strict=False):
        some = table[table["measure"] == measure].reset_index(drop=True)
        colours = {"whole photo": GREY, "any crop": ORANGE, "drawn by score": GREEN, "best crop": BLUE}
        for place, row in some.iterrows():
            colour = colours.get(row["way"], BLUE)
            one.plot([row["low"], row["high"]], [place, place], color=colour, linewidth=2.5)
            one.plot(row["mean"], place, "o", color=colour, markersize=8)
        one.set_yticks(range(len(some)), some["way"] if is_first(one) else [""] * len(some))
        one.set(title=measure, ylim=(len(some) - 0.5, -0.5))
        one.title.set_fontsize(10)
    return figure


@for_any_width
def losses(table: pd.DataFrame, title: str) -> Figure:
    """Draw how often crops lose somebody, by group and way to choose; `table` as from `losses_by_group`."""
    groups, ways = list(table["group"].unique()), list(table["way"].unique())
    figure, (axes,) = new_axes(8, 0.28 * len(groups) * len(ways) + 1.4)
    for i, (way, colour) in enumerate(zip(ways, (BLUE, GREEN, ORANGE), strict=False)):
        some = table[table["way"] == way].set_index("group").reindex(groups)
        places = np.arange(len(groups)) + (i - (len(ways) - 1) / 2) * 0.22
        axes.hlines(places, some["low"] * 100, some["high"] * 100, color=colour, linewidth=2.5)
        axes.plot(some["share"] * 100, places, "o", color=colour, markersize=6, label=way)
    known = table[table["way"] == ways[0]].set_index("group")["known"]
    axes.set_yticks(range(len(groups)), [f"{group} ({known[group]:,.0f})" for group in groups])
    axes.set(xlabel=f"{title} (%), bars are 95% intervals; in brackets, photos", xlim=(-2, 102))
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return figure


@for_any_width
def gaps_in_points(table: pd.DataFrame) -> Figure:
    """Draw means with their 95% intervals around no change; `table` by name: mean, low, high (points)."""
    return around_nothing(table["mean"], table["low"], table["high"], "mean change (points)")
