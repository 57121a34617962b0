"""What all charts share: a figure that fits narrow screens too, its axes, its colours; no global state."""

import textwrap
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial, wraps
from typing import Any, ParamSpec

import matplotlib
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

# Okabe and Ito's palette: colour-blind people tell these apart.
BLUE, ORANGE, GREEN, RED, PURPLE, GREY = "#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#6E6E6E"
GOOD, BAD = BLUE, ORANGE

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


def around_nothing(middle: pd.Series, low: pd.Series, high: pd.Series, named: str) -> Figure:
    """Draw a dot and its 95% interval for each name, around the line of no change."""
    figure, (axes,) = new_axes(8, 0.5 * len(middle) + 1.1)
    places = range(len(middle))
    axes.hlines(places, low, high, color=BLUE, linewidth=2.5)
    axes.plot(middle, places, "o", color=BLUE, markersize=8)
    axes.axvline(0, color=ORANGE, linestyle="--")
    axes.set_yticks(places, middle.index)
    axes.set(xlabel=f"{named}, bars are 95% intervals", ylim=(len(middle) - 0.5, -0.5))
    return figure
