"""Show a picture in a notebook and keep it in the run folder: one way for charts and contact sheets."""

import base64
import io
import os
from collections.abc import Callable
from numbers import Integral
from typing import Any

import pandas as pd
from IPython.display import Image as Shown
from matplotlib.figure import Figure
from PIL import Image

from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import RunFolder

Picture = Figure | Image.Image

NARROW = "application/vnd.selfie.narrow+png"  # a chart as narrow screens show it, beside the usual one
# Front ends that can show widgets set one of these for their kernels: JupyterLab, VS Code, Colab, Kaggle;
# papermill and nbconvert don't.
LIVE_MARKS = ("JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE")
NOBODY_THERE = "Batch"  # what Kaggle's says while a saved notebook runs by itself


class Both(Shown):
    """An image, and the same chart for narrow screens, which report pages choose there."""

    narrow: bytes = b""

    def _repr_mimebundle_(self, include=None, exclude=None):
        data, metadata = super()._repr_mimebundle_(include, exclude)
        return data | {NARROW: base64.b64encode(self.narrow).decode()}, metadata


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
        return out.getvalue(), "png"
    picture.save(out, format="JPEG", quality=85, optimize=True)
    return out.getvalue(), "jpeg"


def show(picture: Picture, alt: str, name: str = "") -> Shown:
    """Return what a notebook displays: one image with its alternative text (PIL's own would come twice).

    `name` is the figure's: report pages leave out what is written about figures that were not drawn.
    """
    data, kind = encode(picture)
    told: dict[str, Any] = {"format": kind, "alt": alt, "metadata": {"figure": name} if name else {}}
    if not isinstance(picture, Figure):
        return Shown(data, width=picture.width, **told)
    # A chart is drawn at twice its size, so that it stays sharp on a dense screen.
    told["width"] = int(picture.get_figwidth() * 72)
    draw_narrow = getattr(picture, "draw_narrow", None)
    shown = Both(data, **told) if draw_narrow else Shown(data, **told)
    if draw_narrow:
        shown.narrow = encode(draw_narrow())[0]
    return shown


def save_figure(run: RunFolder, name: str, picture: Picture, alt: str) -> Shown:
    """Write a picture to figures/NAME.png or .jpg of the run folder and return it for display."""
    shown = show(picture, alt, name)
    suffix = {"png": ".png", "jpeg": ".jpg"}[shown.format]
    with written_whole(run.root / "figures" / f"{name}{suffix}") as partial:
        partial.write_bytes(shown.data)
    return shown


def is_live() -> bool:
    """Tell whether somebody sits in front of this kernel and can move a slider."""
    return any(os.environ.get(mark, NOBODY_THERE) != NOBODY_THERE for mark in LIVE_MARKS)


def explore(
    run: RunFolder, name: str, draw: Callable[..., Image.Image], alt: str, **controls: tuple | list
) -> Any:
    """Save the picture that `draw` makes by default; live, return it with controls to change it.

    Each control is named after a keyword of `draw`: a tuple (value, smallest, largest[, step]) becomes a
    slider, a list per choice whose first entry is the default. In batch runs and reports the saved picture
    stands alone. What can stand at one place only gets no control.
    """
    start = {key: spec[0] for key, spec in controls.items()}
    shown = save_figure(run, name, draw(**start), alt)
    return _with_controls(shown, draw, controls) if is_live() else shown


def _with_controls(shown: Shown, draw: Callable[..., Image.Image], controls: dict[str, tuple | list]) -> Any:
    """Put sliders and choices above a picture, drawn again whenever one of them is let go."""
    import ipywidgets as widgets  # only live kernels pay for it

    # The picture takes the width of the page at most, its own at best.
    frame = widgets.Image(
        value=shown.data, format="jpeg", layout=widgets.Layout(max_width="100%", align_self="flex-start")
    )
    frame.add_class("selfie-picture")
    start = {key: spec[0] for key, spec in controls.items()}
    knobs = {key: _knob(widgets, key, spec) for key, spec in controls.items() if _has_a_choice(spec)}

    def redraw(_change):
        frame.value = encode(draw(**start | {key: knob.value for key, knob in knobs.items()}))[0]

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
