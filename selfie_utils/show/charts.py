"""Draw charts of posts and of what rankings are made of."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from selfie_utils.show.chart import BAD, BLUE, GOOD, GREEN, GREY, ORANGE, for_any_width, new_axes

MANY = 20  # scores that are worth a histogram


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
    named: dict[str, Any] = {"color": BLUE, "label": "these photos"}
    if len(scores) >= MANY:
        axes.hist(percent, bins=edges[::4], histtype="step", linewidth=2, density=True, **named)
        axes.plot(percent, np.zeros(len(scores)), "|", color=BLUE, markersize=14, clip_on=False)
    else:
        axes.vlines(percent, 0, 0.4, transform=axes.get_xaxis_transform(), linewidth=2, **named)
    axes.axvline(crowd.median() * 100, color=ORANGE, linestyle="--", label="middle of the test posts")
    axes.set(xlabel="score (%)", ylabel="density", xlim=(0, 100))
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, frameon=False)  # off the bars
    return figure


@for_any_width
def map_scatter(points: np.ndarray, scores: np.ndarray) -> Figure:
    """Draw every post as a dot where t-SNE put it, coloured by score; `scores` from 0 to 1."""
    wide, high = np.ptp(points, axis=0) + 1e-9
    figure, (axes,) = new_axes(7.6, np.clip(6.2 * high / wide, 2.5, 7) + 0.4)
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
