"""Draw charts: every function takes numbers and returns a Figure; none touches pyplot's global state."""

import textwrap
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, ParamSpec

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend
from sklearn.metrics import roc_curve

# Okabe and Ito's palette: colour-blind people tell these apart.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6E6E6E"
GOOD, BAD = BLUE, ORANGE

MANY = 20  # scores that are worth a histogram
LONG = 24  # letters of a row's name that stay on one line of a narrow chart
STYLE: dict[Any, Any] = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 12,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "axes.axisbelow": True,
    "figure.facecolor": "white",
}


Given = ParamSpec("Given")
NARROW = 5.0  # inches, of 72 px each: what a telephone shows without making letters smaller
_narrow = ContextVar("narrow", default=False)  # whether charts are being drawn for narrow screens


class Chart(Figure):
    """A figure that can be drawn once more for narrow screens."""

    draw_narrow: Callable[[], Figure] | None = None


def for_any_width(draw: Callable[Given, Figure]) -> Callable[Given, Figure]:
    """Let the figure that `draw` returns tell how it is drawn for narrow screens (`draw_narrow`)."""

    @wraps(draw)
    def drawn(*given: Given.args, **named: Given.kwargs) -> Figure:
        figure = draw(*given, **named)
        if isinstance(figure, Chart):
            figure.draw_narrow = partial(_drawn_narrow, draw, *given, **named)
        return figure

    return drawn


def _drawn_narrow(draw: Callable[..., Figure], *given: Any, **named: Any) -> Figure:
    """Draw a chart for a narrow screen: fewer panels side by side, long words on several lines."""
    before = _narrow.set(True)
    try:
        figure = draw(*given, **named)
    finally:
        _narrow.reset(before)
    for axes in figure.axes:
        _break_lines(axes)
    for legend in [*figure.legends, *(axes.get_legend() for axes in figure.axes)]:
        if legend and getattr(legend, "_ncols", 1) > 1:
            _stack(figure, legend)
    return figure


def _break_lines(axes: Axes) -> None:
    """Break what is written around a narrow chart into lines."""
    place = axes.get_subplotspec()
    panels = place.get_gridspec().ncols if place else 1
    for text in (axes.title, axes.xaxis.label, axes.yaxis.label):
        text.set_text(textwrap.fill(text.get_text(), 46 // panels))
    labels = [label.get_text() for label in axes.get_yticklabels()]
    if any(len(label) > LONG for label in labels):
        axes.set_yticks(axes.get_yticks(), [textwrap.fill(label, LONG) for label in labels], fontsize=9)


def _stack(figure: Figure, legend: Legend) -> None:
    """Set a legend that is too wide for a narrow chart above it, one entry a line."""
    names = [text.get_text() for text in legend.get_texts()]
    handles = [handle for handle in legend.legend_handles if handle is not None]
    figure.legend(handles, names, loc="outside upper center", frameon=False, fontsize=9)
    figure.set_figheight(figure.get_figheight() + 0.18 * len(names))
    legend.remove()


def is_first(axes: Axes) -> bool:
    """Tell whether a panel stands at the left of its figure."""
    place = axes.get_subplotspec()
    return place is None or place.is_first_col()


def new_axes(
    width: float = 7.0, height: float = 4.0, columns: int = 1, rows: int = 1, needed: int = 0
) -> tuple[Figure, list[Axes]]:
    """Return a Figure of `width` x `height` inches and its axes row by row, in the suite's style.

    On a narrow screen it is NARROW inches wide at most, with as many panels side by side as stay readable,
    and has no more rows than the `needed` panels take; 0: all.
    """
    if _narrow.get():
        panels, each, across = needed or columns * rows, height / rows, width / columns
        columns = min(columns, max(1, round(NARROW / across)))
        rows = -(-panels // columns)
        width, height = min(width, NARROW), each * rows
    with matplotlib.rc_context(STYLE):
        figure = Chart(figsize=(width, height), layout="constrained", dpi=144)
        axes = figure.subplots(rows, columns, squeeze=False).ravel()
    return figure, list(axes)


@for_any_width
def funnel_bars(funnel: pd.Series) -> Figure:
    """Draw how many posts are left after each step; `funnel` as from `label_posts`."""
    figure, (axes,) = new_axes(8, 0.45 * len(funnel) + 0.9)
    bars = axes.barh(range(len(funnel)), funnel, color=BLUE)
    axes.bar_label(bars, labels=[f"{n:,}" for n in funnel], padding=4)
    axes.set_yticks(range(len(funnel)), funnel.index)
    axes.invert_yaxis()
    axes.set(xlabel="posts", xlim=(0, funnel.max() * 1.12), title="Posts left after each step")
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.grid(False, axis="y")
    return figure


@for_any_width
def audience_and_likes(posts: pd.DataFrame) -> Figure:
    """Draw what was published: audience, and likes by audience; `posts` has audience, likes, label."""
    figure, (left, right) = new_axes(10, 4, columns=2)
    edges = np.geomspace(max(posts["audience"].min(), 1), posts["audience"].max() + 1, 40).tolist()
    left.hist(posts["audience"], bins=edges, color=GREY)
    left.set(xscale="log", xlabel="audience (followers, raised for tags)", ylabel="posts", title="Audience")
    for label, name, colour in ((0, "bad", BAD), (1, "good", GOOD)):
        some = posts[posts["label"] == label]
        some = some.sample(min(len(some), 5000), random_state=0)  # more would only cover each other
        right.scatter(
            some["audience"], some["likes"] + 0.5, s=5, alpha=0.4, color=colour, label=name, linewidths=0
        )
    right.set(xscale="log", yscale="log", xlabel="audience", ylabel="likes (0 drawn as 0.5)")
    right.set_title("Likes: good and bad part at the group's median")
    right.legend(markerscale=3, frameon=False)
    return figure


@for_any_width
def shares_against_base(comparison: pd.DataFrame, chosen: str, base: str = "all test posts") -> Figure:
    """Draw each attribute's share among the chosen posts, with 95% interval, compared with its base rate."""
    table = comparison.iloc[::-1]
    figure, (axes,) = new_axes(8, 0.4 * len(table) + 1.6)
    rows = np.arange(len(table))
    sides = np.abs(table[["low", "high"]].to_numpy(float).T - table["share"].to_numpy(float)) * 100
    axes.errorbar(table["share"] * 100, rows, xerr=sides, fmt="o", color=BLUE, capsize=3, label=chosen)
    axes.scatter(table["base"] * 100, rows, marker="D", color=ORANGE, zorder=3, label=base)
    axes.set_yticks(rows, table.index)
    axes.set(xlabel="share of posts (%), bars are 95% intervals", xlim=(-2, None))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return figure


@for_any_width
def shares_by_band(bands: dict[str, pd.DataFrame], overall: dict[str, float]) -> Figure:
    """Draw how the share of each attribute runs from the best to the worst fifth; one small chart each."""
    columns = min(4, len(bands))
    rows = -(-len(bands) // columns)
    figure, axes = new_axes(2.6 * columns, 2.2 * rows + 0.3, columns, rows, len(bands))
    for one, (name, band) in zip(axes, bands.items(), strict=False):
        one.fill_between(
            band["band"], band["low"] * 100, band["high"] * 100, color=BLUE, alpha=0.2, linewidth=0
        )
        one.plot(band["band"], band["share"] * 100, color=BLUE, marker="o", markersize=3)
        one.axhline(overall[name] * 100, color=ORANGE, linestyle="--", linewidth=1.2)
        one.set(title=name, xticks=[band["band"].iloc[0], band["band"].iloc[-1]], ylim=(0, None))
        one.set_xticklabels(["best", "worst"])
        one.title.set_fontsize(10)
    for empty in axes[len(bands) :]:
        empty.set_visible(False)
    figure.supylabel("share of posts (%)", fontsize=10)
    return figure


@for_any_width
def good_by_band(bands: pd.DataFrame) -> Figure:
    """Draw the share of good posts per band, the best first, with 95% intervals, compared with chance."""
    figure, (axes,) = new_axes(7, 3.6)
    sides = np.abs(bands[["low", "high"]].to_numpy(float).T - bands["share"].to_numpy(float)) * 100
    axes.bar(bands["band"], bands["share"] * 100, yerr=sides, color=BLUE, width=0.7, capsize=4)
    axes.axhline(50, color=ORANGE, linestyle="--", linewidth=1.5, label="chance")
    names = [f"band {b}" for b in bands["band"]]
    names[0], names[-1] = "best", "worst"
    axes.set_xticks(bands["band"], names)
    axes.set(ylabel="labelled good (%)", ylim=(0, 100), title="Good posts along the ranking, 95% intervals")
    axes.legend(frameon=False)
    axes.grid(False, axis="x")
    return figure


@for_any_width
def planted_and_recovered(effects: pd.DataFrame) -> Figure:
    """Draw each planted effect and what the network makes of it; `effects` as from `recover_effects`."""
    table = effects.iloc[::-1]
    # Scores are not in the units of likes: one common factor brings both onto the same axis.
    scale = (table["planted"] @ table["recovered"]) / max(table["planted"] @ table["planted"], 1e-12)
    figure, (axes,) = new_axes(8.5, 0.4 * len(table) + 1.6)
    rows = np.arange(len(table))
    sides = np.abs(table[["low", "high"]].to_numpy().T - table["recovered"].to_numpy())
    axes.axvline(0, color=GREY, linewidth=1)
    axes.errorbar(table["recovered"], rows, xerr=sides, fmt="o", color=BLUE, capsize=3, label="network, 95%")
    axes.scatter(
        table["planted"] * scale,
        rows,
        marker="D",
        color=ORANGE,
        zorder=3,
        label=f"planted, x {scale:.2f} to fit the scores",
    )
    axes.set_yticks(rows, table.index)
    axes.set(xlabel="change of the score's log-odds")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, frameon=False)
    return figure


@for_any_width
def scores_against_crowd(scores: pd.Series, crowd: pd.Series) -> Figure:
    """Draw some scores over the histogram of everybody's: each as a line, many also as a histogram."""
    figure, (axes,) = new_axes(8, 3.6)
    edges, percent = np.linspace(0, 100, 41).tolist(), scores * 100
    axes.hist(crowd * 100, bins=edges, color=GREY, alpha=0.6, label="test posts", density=True)
    named = {"color": BLUE, "label": "this folder"}
    if len(scores) >= MANY:
        axes.hist(percent, bins=edges[::4], histtype="step", linewidth=2, density=True, **named)
        axes.plot(percent, np.zeros(len(scores)), "|", color=BLUE, markersize=14, clip_on=False)
    else:
        axes.vlines(percent, 0, 0.4, transform=axes.get_xaxis_transform(), linewidth=2, **named)
    axes.axvline(crowd.median() * 100, color=ORANGE, linestyle="--", label="middle of the test posts")
    axes.set(xlabel="score (%)", ylabel="density", xlim=(0, 100))
    axes.legend(frameon=False)
    return figure


@for_any_width
def map_scatter(points: np.ndarray, scores: np.ndarray) -> Figure:
    """Draw every post as a dot where t-SNE put it, coloured by score; `scores` from 0 to 1."""
    figure, (axes,) = new_axes(7.6, 6.4)
    percent = np.asarray(scores) * 100
    # The colours run over the middle 96%, or a few extreme posts would leave all others alike.
    low, high = np.percentile(percent, [2, 98])
    dots = axes.scatter(
        points[:, 0],
        points[:, 1],
        c=percent,
        cmap="cividis",
        vmin=low,
        vmax=high,
        s=np.clip(12_000 / len(points), 1, 30),
        linewidths=0,
    )
    bar = figure.colorbar(dots, ax=axes, label="score (%)", extend="both", shrink=0.8)
    bar.outline.set_visible(False)
    axes.set(
        xlabel="t-SNE, first axis (no unit)", ylabel="t-SNE, second axis (no unit)", xticks=[], yticks=[]
    )
    axes.set_aspect("equal", adjustable="datalim")
    return figure


@for_any_width
def region_maps(panels: dict[str, np.ndarray]) -> Figure:
    """Draw the share of each attribute over the photo map; `panels` float (R, R), 0 to 1, by title."""
    columns = min(4, len(panels))
    rows = -(-len(panels) // columns)
    figure, axes = new_axes(2.7 * columns, 2.5 * rows, columns, rows, len(panels))
    for one, (title, shares) in zip(axes, panels.items(), strict=False):
        picture = one.imshow(
            shares * 100, cmap="cividis", vmin=0, vmax=np.nanmax(shares) * 100, interpolation="nearest"
        )
        bar = figure.colorbar(picture, ax=one, shrink=0.75, format="%d%%")
        bar.outline.set_visible(False)
        bar.ax.tick_params(labelsize=8)
        one.set(title=title, xticks=[], yticks=[])
        one.title.set_fontsize(10)
        one.grid(False)
        one.spines[:].set_visible(False)
    for empty in axes[len(panels) :]:
        empty.set_visible(False)
    return figure


@for_any_width
def neighbours_against_shuffles(judged: pd.DataFrame, baseline: pd.DataFrame) -> Figure:
    """Draw how often neighbours share each attribute on the map, on a map of the pixels, and after shuffling.

    `judged` and `baseline` as from `neighbours.judge`, for the same posts.
    """
    table = judged.iloc[::-1]
    figure, (axes,) = new_axes(8, 0.4 * len(table) + 1.6)
    rows = np.arange(len(table))
    axes.hlines(rows, table["low"] * 100, table["high"] * 100, color=ORANGE, linewidth=7, alpha=0.7)
    pixels = baseline["neighbours"].reindex(table.index)
    axes.plot(pixels * 100, rows, "D", color=GREEN, fillstyle="none", label="on a map of the pixels")
    axes.plot(table["neighbours"] * 100, rows, "o", color=BLUE, label="on the map of fc7")
    axes.plot([], [], color=ORANGE, linewidth=7, alpha=0.7, label="shuffled (middle 95%)")
    axes.set_yticks(rows, table.index)
    axes.set(xlabel="neighbours that share it (%)", xlim=(-2, None))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)
    return figure


@for_any_width
def training_curves(history: pd.DataFrame) -> Figure:
    """Draw loss and accuracy by epoch; `history` as from `fine_tune`."""
    figure, (left, right) = new_axes(10, 3.8, columns=2)
    for split, colour, marker in (("train", GREY, "o"), ("validation", BLUE, "s")):
        left.plot(history["epoch"], history[f"{split}_loss"], color=colour, marker=marker, label=split)
        right.plot(
            history["epoch"], history[f"{split}_accuracy"] * 100, color=colour, marker=marker, label=split
        )
    left.axhline(np.log(2), color=ORANGE, linestyle="--", label="chance")
    right.axhline(50, color=ORANGE, linestyle="--", label="chance")
    left.set(xlabel="epoch", ylabel="cross-entropy", xticks=history["epoch"])
    right.set(xlabel="epoch", ylabel="accuracy (%)", xticks=history["epoch"])
    right.legend(frameon=False)
    return figure


@for_any_width
def accuracies(rows: list[tuple[str, float, float, float]]) -> Figure:
    """Draw accuracies with their intervals: rows of (name, accuracy, low, high), a point where low is nan."""
    figure, (axes,) = new_axes(8, 0.5 * len(rows) + 1.1)
    for place, (_, value, low, high) in enumerate(rows):
        axes.plot([low * 100, high * 100], [place, place], color=BLUE, linewidth=2.5)
        axes.plot(value * 100, place, "o", color=BLUE, markersize=8)
        axes.annotate(f"{value:.1%}", (value * 100, place), (0, 9), textcoords="offset points", ha="center")
    axes.axvline(50, color=ORANGE, linestyle="--")
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set(xlabel="accuracy (%), bars are 95% intervals", ylim=(len(rows) - 0.5, -0.7))
    return figure


@for_any_width
def accuracy_by_group(groups: pd.DataFrame, overall: float) -> Figure:
    """Draw the accuracy of each group with its interval, around that of all (0..1), as a dashed line."""
    figure, (axes,) = new_axes(8, 0.34 * len(groups) + 1.1)
    places = range(len(groups))
    axes.hlines(places, groups["low"] * 100, groups["high"] * 100, color=BLUE, linewidth=2)
    axes.plot(groups["accuracy"] * 100, places, "o", color=BLUE, markersize=6)
    axes.axvline(overall * 100, color=ORANGE, linestyle="--")
    titles = [f"{row.group} ({row.posts:,} posts)" for row in groups.itertuples()]
    axes.set_yticks(places, titles)
    axes.set(xlabel="accuracy (%), bars are 95% intervals; dashed: all", ylim=(len(groups) - 0.5, -0.7))
    return figure


@for_any_width
def roc_curves(labels: np.ndarray, named_scores: dict[str, np.ndarray]) -> Figure:
    """Draw the ROC curve of each named set of scores, compared with chance; the first is the network's."""
    figure, (axes,) = new_axes(5.6, 5.2)
    axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", label="chance")
    for (name, scores), colour in zip(named_scores.items(), (BLUE, ORANGE, GREEN), strict=False):
        wrong, right, _ = roc_curve(labels, scores)
        axes.plot(wrong * 100, right * 100, color=colour, label=name, linewidth=2)
    axes.set(xlabel="bad posts called good (%)", ylabel="good posts called good (%)", aspect="equal")
    axes.legend(frameon=False, loc="lower right")
    return figure


@for_any_width
def calibration_curve(bins: pd.DataFrame, scores: np.ndarray) -> Figure:
    """Draw the share of good posts by score, with 95% intervals, above the scores' histogram."""
    figure, (axes,) = new_axes(6.4, 4.6)
    sides = np.abs(bins[["low", "high"]].to_numpy().T - bins["share"].to_numpy()) * 100
    axes.plot([0, 100], [0, 100], color=GREY, linestyle="--", label="calibrated")
    axes.errorbar(
        bins["score"] * 100, bins["share"] * 100, yerr=sides, fmt="o", color=BLUE, capsize=3, label="network"
    )
    counts, edges = np.histogram(scores * 100, bins=40, range=(0, 100))
    axes.bar(
        edges[:-1], counts / counts.max() * 15, width=2.5, align="edge", color=GREY, alpha=0.4, label="scores"
    )
    axes.set(xlabel="score (%)", ylabel="labelled good (%)", xlim=(0, 100), ylim=(0, 100))
    axes.legend(frameon=False, loc="upper left")
    return figure


@for_any_width
def agreement_matrix(kappas: pd.DataFrame) -> Figure:
    """Draw Cohen's kappa between any two ways to label, a number in each field."""
    figure, (axes,) = new_axes(0.75 * len(kappas) + 2.4, 0.5 * len(kappas) + 2.2)
    axes.imshow(kappas, cmap="cividis", vmin=0, vmax=1, aspect="auto")
    for row, column in np.ndindex(kappas.shape):
        value = kappas.iloc[row, column]
        if np.isfinite(value):
            colour = "black" if value > 0.5 else "white"
            axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(len(kappas)), kappas.columns, rotation=40, ha="right")
    axes.set_yticks(range(len(kappas)), kappas.index)
    axes.grid(False)
    axes.spines[:].set_visible(False)
    return figure


@for_any_width
def right_by_choice(table: pd.DataFrame) -> Figure:
    """Draw the share of right labels by choice, with intervals; `table` as from `right_labels`."""
    rows = [(f"{name} ({row.posts:,.0f})", row.share, row.low, row.high) for name, row in table.iterrows()]
    figure = accuracies(rows)
    figure.axes[0].set(xlabel="right labels (%), with 95% intervals; in brackets, labelled posts")
    return figure


@for_any_width
def learning_curve(compared: pd.DataFrame) -> Figure:
    """Draw accuracy and AUC by number of training posts, with 95% intervals.

    `compared` as from `experiments.compare`, the rows of one recipe on shares of the data.
    """
    table = compared.sort_values("posts")
    figure, panels = new_axes(10, 3.8, columns=2)
    for axes, name, title, times in (
        (panels[0], "accuracy", "accuracy (%)", 100), (panels[1], "auc", "area under the ROC curve", 1),
    ):  # fmt: skip
        ends = np.abs(table[[f"{name}_low", f"{name}_high"]].to_numpy(float).T - table[name].to_numpy(float))
        axes.errorbar(table["posts"], table[name] * times, yerr=ends * times, fmt="o-", color=BLUE, capsize=3)
        axes.axhline(0.5 * times, color=ORANGE, linestyle="--")
        axes.set_xscale("log", base=2)
        axes.set_xticks(table["posts"], [f"{posts:,.0f}" for posts in table["posts"]])
        axes.minorticks_off()
        axes.set(xlabel="training posts", ylabel=title)
    return figure


@for_any_width
def gaps(compared: pd.DataFrame) -> Figure:
    """Draw by how much each other recipe's AUC differs from that as trained, with 95% intervals."""
    figure, (axes,) = new_axes(8, 0.5 * len(compared) + 1.1)
    places = range(len(compared))
    axes.hlines(places, compared["gap_low"], compared["gap_high"], color=BLUE, linewidth=2.5)
    axes.plot(compared["gap"], places, "o", color=BLUE, markersize=8)
    axes.axvline(0, color=ORANGE, linestyle="--")
    axes.set_yticks(places, compared.index)
    axes.set(xlabel="change of the AUC, bars are 95% intervals", ylim=(len(compared) - 0.5, -0.5))
    return figure


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
    axes.legend(loc="lower center", bbox_to_anchor=(0.4, 1), ncols=3, frameon=False)
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
        one.set_xticks(some["dose"], [f"{dose:g}" for dose in some["dose"]])
        one.title.set_fontsize(10)
        one.xaxis.label.set_fontsize(9)
        one.tick_params(labelsize=9)
    for empty in axes[len(edits) :]:
        empty.set_visible(False)
    figure.supylabel("change of the score's log-odds", fontsize=10)
    return figure


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
    panels = (
        (
            left,
            percent[best[0]].T,
            (1, 2),
            "left to right",
            "top to bottom",
            "places, at the best crop's size",
        ),
        (
            middle,
            percent.max(axis=2),
            (1, 0),
            "left to right",
            "smallest to largest",
            "the best of each column",
        ),
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
    figure, (axes,) = new_axes(8, 0.5 * len(table) + 1.1)
    places = range(len(table))
    axes.hlines(places, table["low"], table["high"], color=BLUE, linewidth=2.5)
    axes.plot(table["mean"], places, "o", color=BLUE, markersize=8)
    axes.axvline(0, color=ORANGE, linestyle="--")
    axes.set_yticks(places, table.index)
    axes.set(xlabel="mean change (points), bars are 95% intervals", ylim=(len(table) - 0.5, -0.5))
    return figure
