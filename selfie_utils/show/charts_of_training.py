"""Draw charts of trainings: curves, ROC, calibration, and what another recipe or more data would change."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.metrics import roc_curve

from selfie_utils.show.chart import BLUE, GREEN, GREY, ORANGE, around_nothing, for_any_width, new_axes


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
    return around_nothing(compared["gap"], compared["gap_low"], compared["gap_high"], "change of the AUC")
