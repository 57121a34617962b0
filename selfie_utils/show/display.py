"""Show a picture in a notebook and keep it in the run folder: one way for charts and contact sheets."""

import base64
import io
import os
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any

import matplotlib
import pandas as pd
from IPython.core.display_functions import display
from IPython.display import HTML
from IPython.display import Image as Shown
from matplotlib.figure import Figure
from PIL import Image

from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.show.closer import MIME, Closer

Picture = Figure | Image.Image

NARROW = "application/vnd.selfie.narrow+png"  # a chart as narrow screens show it, beside the usual one
VIEW = "application/vnd.jupyter.widget-view+json"
# Between a picture and the widget that takes its place. Where the notebook is opened again without the
# widget, JupyterLab would say below the picture that it is missing.
STILL = """<span class="selfie-still"></span><style>
.jp-OutputArea-child:has(.selfie-still),
.jp-OutputArea-child:has(.selfie-still) + .jp-OutputArea-child:not(:has(.selfie-alive)) { display: none }
.jp-OutputArea-child:has(+ * .selfie-still):has(+ * + * .selfie-alive) { display: none }
</style>"""
# Front ends that can show widgets set one of these for their kernels: JupyterLab, VS Code, Colab, Kaggle;
# papermill and nbconvert don't.
LIVE_MARKS = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")
NOBODY_THERE = "Batch"  # what Kaggle's says while a saved notebook runs by itself


def facts(**found: object) -> pd.DataFrame:
    """Return the table of what this run is about: a row per fact, whose name has blanks for underscores."""
    texts = {name.replace("_", " "): _in_words(value) for name, value in found.items()}
    return pd.Series(texts, name="this run", dtype="str").to_frame()


def _in_words(value: object) -> str:
    """Write a count with commas, anything else as it is."""
    return f"{value:,}" if isinstance(value, Integral) and not isinstance(value, bool) else str(value)


def encode(picture: Picture) -> tuple[bytes, str]:
    """Return the file of a picture and its format: PNG for charts, JPEG for photos."""
    out = io.BytesIO()
    if isinstance(picture, Figure):
        picture.savefig(out, format="png")
        picture.set_layout_engine("none")  # where things stand now, they stand in the SVG too
        return out.getvalue(), "png"
    picture.save(out, format="JPEG", quality=85, optimize=True)
    return out.getvalue(), "jpeg"


class Displayed(Shown):
    """An image, and what report pages find beside it: a chart for narrow screens, a table of photos."""

    beside: dict[str, Any]

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> Any:
        data, metadata = super()._repr_mimebundle_(include, exclude)
        return data | self.beside, metadata


def show(picture: Picture, alt: str, name: str = "", closer: Closer | None = None) -> Displayed:
    """Return what a notebook displays: one image with its alternative text (PIL's own would come twice).

    `name` is the figure's: report pages leave out what is written about figures that were not drawn.
    `closer` lets a report page open the photos of a contact sheet.
    """
    data, kind = encode(picture)
    # A chart is drawn at twice its size, so that it stays sharp on a dense screen.
    width = int(picture.get_figwidth() * 72) if isinstance(picture, Figure) else picture.width
    told = {"figure": name} if name else {}
    shown = Displayed(data, format=kind, alt=alt, width=width, metadata=told)
    shown.beside = _narrow(picture) if isinstance(picture, Figure) else _table(picture, closer)
    return shown


def _narrow(chart: Figure) -> dict[str, str]:
    draw = getattr(chart, "draw_narrow", None)
    return {NARROW: base64.b64encode(encode(draw())[0]).decode()} if draw else {}


def _table(sheet: Image.Image, closer: Closer | None) -> dict[str, Any]:
    table = closer.table(sheet) if closer else {}
    return {MIME: table} if table else {}


def save_figure(run: RunFolder, name: str, picture: Picture, alt: str, closer: Closer | None = None) -> Any:
    """Write a picture to figures/NAME.png or .jpg of the run folder and return it for display.

    A chart comes as NAME.svg too, which prints sharp at any size. With `closer` the photos of a contact sheet
    can be opened: on a report page, and live.
    """
    shown = show(picture, alt, name, closer)
    suffix = {"png": ".png", "jpeg": ".jpg"}[shown.format]
    with written_whole(run.root / "figures" / f"{name}{suffix}") as partial:
        partial.write_bytes(shown.data)
    if isinstance(picture, Figure):
        with written_whole(run.root / "figures" / f"{name}.svg") as partial:
            _write_svg(picture, partial)
    return Live(shown, _inspector(shown)) if MIME in shown.beside and is_live() else shown


def _write_svg(chart: Figure, path: Path) -> None:
    """Write a chart as lines and curves: the same chart makes the same bytes."""
    with matplotlib.rc_context({"svg.hashsalt": "selfie"}):
        chart.savefig(path, format="svg", metadata={"Date": None})


def is_live() -> bool:
    """Tell whether somebody sits in front of this kernel and can move a slider."""
    return any(os.environ.get(mark, NOBODY_THERE) != NOBODY_THERE for mark in LIVE_MARKS)


class Live:
    """A widget, and what stands in its place when the notebook is opened again without a kernel."""

    def __init__(self, still: Any, widget: Any):
        self.still, self.widget = still, widget

    def _show_still(self) -> None:
        display(self.still)

    def _ipython_display_(self) -> None:
        self._show_still()
        display(HTML(STILL))
        # As ipywidgets would, but without a text, which would remain.
        display({VIEW: {"version_major": 2, "version_minor": 0, "model_id": self.widget.model_id}}, raw=True)


def _inspector(shown: Any) -> Any:
    """Make the widget in which the photos of a sheet can be opened."""
    from selfie_utils.show.inspector import Inspector  # only live kernels pay for it

    return Inspector(value=shown.data, alt=shown.alt, table=shown.beside.get(MIME, {}))


def explore(
    run: RunFolder,
    name: str,
    draw: Callable[..., Image.Image],
    alt: str,
    closer: Closer | None = None,
    **controls: tuple | list,
) -> Any:
    """Save the picture that `draw` makes by default; live, return it with controls to change it.

    Each control is named after a keyword of `draw`: a tuple (value, smallest, largest[, step]) becomes a
    slider, a list per choice whose first entry is the default. In batch runs and reports the saved picture
    stands alone. What can stand at one place only gets no control. `closer` as in `save_figure`.
    """
    start = {key: spec[0] for key, spec in controls.items()}
    saved = save_figure(run, name, draw(**start), alt, closer)
    if not is_live():
        return saved
    still = saved.still if isinstance(saved, Live) else saved
    return Live(still, _with_controls(still, draw, closer, controls))


def _with_controls(
    shown: Any, draw: Callable[..., Image.Image], closer: Closer | None, controls: dict[str, tuple | list]
) -> Any:
    """Put sliders and choices above a picture, drawn again whenever one of them is let go."""
    import ipywidgets as widgets

    frame = _inspector(shown)
    start = {key: spec[0] for key, spec in controls.items()}
    knobs = {key: _knob(widgets, key, spec) for key, spec in controls.items() if _has_a_choice(spec)}

    def redraw(_change):
        drawn = draw(**start | {key: knob.value for key, knob in knobs.items()})
        with frame.hold_sync():
            frame.value, frame.table = encode(drawn)[0], {}
        frame.table = _table(drawn, closer).get(MIME, {})  # later, for it takes longer than the picture

    for knob in knobs.values():
        knob.observe(redraw, names="value")
    return widgets.VBox([widgets.HBox(list(knobs.values())), frame])


def _has_a_choice(spec: tuple | list) -> bool:
    """Tell whether a control has more than one place to stand."""
    return len(spec) > 1 if isinstance(spec, list) else spec[1] < spec[0] or spec[2] > min(spec[:2])


def _knob(widgets: Any, key: str, spec: tuple | list) -> Any:
    """Make one control: a slider for numbers, a drop-down for named choices."""
    if isinstance(spec, list):
        return widgets.Dropdown(options=spec, value=spec[0], description=key)
    value, smallest, largest, *step = spec
    return widgets.IntSlider(
        value=value,
        min=min(smallest, value),
        max=max(largest, value),
        step=step[0] if step else 1,
        description=key,
        continuous_update=False,
    )
