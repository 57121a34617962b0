"""Tell whether a notebook has to run again: fingerprints of everything that its results depend on."""

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from selfie_utils.core.code import fingerprint, imported_by
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import from_root
from selfie_utils.posts.data_folder import DEMO, EMBEDDED, is_record, open_data

KEY_PACKAGES = (
    "numpy", "pandas", "pillow", "matplotlib", "scikit-learn", "scipy", "onnxruntime", "torch", "torchvision",
    "timm", "openTSNE", "papermill", "pillow-heif",
)  # fmt: skip
MOST_FILES = 20_000  # of a folder of photos; looking at more would take longer than it saves

REASONS = {
    "source": "the notebook was edited",
    "parameters": "its parameters changed",
    "library": "code that it imports changed",
    "kernel": "another kernel",
    "inputs": "a file that it is given changed",
    "upstream": "what it reads was made anew",
}


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide what the notebooks compute."""
    found = {"python": sys.version.split()[0]}
    for package in KEY_PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "missing"
    return found


def code_fingerprint(notebook: Path) -> str:
    """Hash the modules of the suite that a notebook needs, however indirectly, and the key packages."""
    modules = set().union(*(_imports(cell) for cell in read_cells(notebook) if cell["cell_type"] == "code"))
    return f"{fingerprint(*sorted(modules))} {versions()}"


def _imports(cell: dict[str, Any]) -> set[str]:
    try:
        return imported_by("".join(cell["source"]))
    except SyntaxError:  # a magic, or an error that the notebook will show
        return set()


def read_cells(notebook: Path) -> list[dict[str, Any]]:
    """Return the cells of a notebook; raise SelfieError where it is none."""
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
        return [{key: cell[key] for key in ("cell_type", "source", "metadata")} for cell in cells]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise SelfieError(f"{notebook} cannot be read as a notebook: restore the file.") from None


def source_fingerprint(notebook: Path) -> str:
    """Hash the cells of a notebook; outputs, counts and what an editor adds do not matter."""
    kept = [[c["cell_type"], "".join(c["source"]), c["metadata"].get("tags")] for c in read_cells(notebook)]
    return hashlib.sha256(json.dumps(kept).encode()).hexdigest()


def stamp(path: Path) -> str:
    """Return a short text that changes with the size or date of a file, or of the files of a folder."""
    digest = hashlib.sha256()
    for count, file in enumerate(_files(path)):
        if count == MOST_FILES:
            break
        info = file.stat()
        digest.update(f"{file.relative_to(path)} {info.st_size} {info.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _files(path: Path):
    """Walk over the files at `path` in a fixed order, those of Python's own cache left out."""
    if path.is_file():
        yield path
    for folder, folders, names in os.walk(path):
        folders[:] = sorted(f for f in folders if f != "__pycache__")
        yield from (Path(folder, name) for name in sorted(names) if Path(folder, name).is_file())


def input_stamps(values: dict[str, Any]) -> dict[str, str]:
    """Stamp every file or folder that a parameter names."""
    texts = {k: v for k, v in values.items() if isinstance(v, str) and v and k != "run_dir"}
    paths = {key: from_root(text) for key, text in texts.items() if _exists(from_root(text))}
    paths |= {key: EMBEDDED for key, text in texts.items() if text == DEMO}
    # The photos of a data folder may lie elsewhere.
    elsewhere = {f"photos of {key}": open_data(path).images for key, path in paths.items() if is_record(path)}
    return {key: stamp(path) for key, path in (paths | elsewhere).items()}


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a text that is too long for a file name, for example
        return False


def read_stamps(reads: Iterable[str], run: Path) -> dict[str, str]:
    """Stamp the artefacts of a run folder that a notebook reads."""
    return {name: stamp(run / name) for name in reads}


def why_due(now: dict[str, Any], before: dict[str, Any] | None, run: Path) -> str | None:
    """Return why a notebook has to run, or None where nothing has changed since it did.

    `now` is its present fingerprint, `before` what the last run left: fingerprint and outputs, or None.
    """
    if not before or "fingerprint" not in before:
        return "failed last time" if before else "has not run here"
    for part, reason in REASONS.items():
        if now[part] != before["fingerprint"].get(part):
            return reason
    lost = [name for name in before["outputs"] if not (run / name).exists()]
    return f"{lost[0]} is gone" if lost else None
