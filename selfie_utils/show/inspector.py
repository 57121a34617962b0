"""The widget of a contact sheet: photos are named under the pointer, and opened by a click or Enter."""

from pathlib import Path

import anywidget
import traitlets

HERE = Path(__file__)
SCRIPT, STYLE = HERE.with_suffix(".js"), HERE.with_suffix(".css")  # report pages take them too


class Inspector(anywidget.AnyWidget):
    """A contact sheet in a live notebook; `table` as from `Closer.table`, empty where nothing opens."""

    _esm = SCRIPT
    _css = STYLE
    value = traitlets.Bytes().tag(sync=True)  # the picture as JPEG
    alt = traitlets.Unicode().tag(sync=True)
    table = traitlets.Dict().tag(sync=True)
