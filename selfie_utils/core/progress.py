"""Progress bars: on stderr in a terminal, on stdout in a notebook, where JupyterLab paints stderr red."""

import sys
from typing import Any

from tqdm import tqdm as plain_tqdm


class tqdm(plain_tqdm):
    """tqdm's bar; in a kernel it is written where text is no alarm. Options are tqdm's."""

    def __init__(self, *given: Any, **options: Any):
        if options.get("file") is None and _in_kernel():
            options["file"] = sys.stdout
        super().__init__(*given, **options)


def _in_kernel() -> bool:
    """Tell whether what is printed becomes the output of a cell."""
    return type(sys.stdout).__module__ == "ipykernel.iostream"
