"""A folder to work in: the notebooks and parameter files that came with the library, copied."""

import os
import shlex
from pathlib import Path

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import shipped_root
from selfie_utils.runner.parameters import find_notebooks

README = """# What a deep neural network thinks about your #selfie

The notebooks of the selfie suite, to run and to change; each asks one question.

```
selfie reproduce   # run them in order on the embedded posts; the report is runs/demo/reports/index.html
jupyter lab        # or read and run them one by one, 00_data first
```

Relative paths such as `runs/demo` count from this folder, in every notebook and in every folder below. For
other values copy `notebooks/parameters/demo.yaml`, change it, and give it to `selfie reproduce`.

Posts of your own:

```
selfie import table posts.csv --images photos/ --out data/mine
selfie reproduce --data data/mine --run runs/mine
```

`selfie init` never overwrites: to have a notebook as it was, delete it here and run `selfie init` again.
"""


def copy_project(folder: str | Path) -> list[str]:
    """Copy notebooks, parameter files and a short README to `folder`; return what was done, in lines.

    A file that exists is left alone, whatever is in it. Raises SelfieError where nothing can be written.
    """
    folder, written, kept = Path(folder).expanduser(), [], []
    for name, content in _contents().items():
        if os.path.lexists(folder / name):
            kept.append(name)
        else:
            _write(folder / name, content)
            written.append(name)
    files = "1 file" if len(written) == 1 else f"{len(written)} files"
    told = [f"{files} copied to {folder}."] if written else []
    told += [f"Left alone, since they exist: {', '.join(kept)}."] if kept else []
    return [*told, f"Next: cd {shlex.quote(str(folder))} && selfie reproduce"]


def _contents() -> dict[str, bytes]:
    """Return every file of the folder by its name in it."""
    root = shipped_root()
    parameters = sorted((root / "notebooks" / "parameters").glob("*.yaml"))
    paths = [*find_notebooks(root).values(), *parameters]
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in paths} | {"README.md": README.encode()}


def _write(path: Path, content: bytes) -> None:
    """Write a file that is the user's own: its permissions are not those of the installed one."""
    try:
        with written_whole(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        raise SelfieError(
            f"{path} cannot be written ({error.strerror}): give a folder that is yours to write to."
        ) from None
