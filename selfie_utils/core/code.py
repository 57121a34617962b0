"""The code that a result depends on: modules, those that they import, and so on."""

import ast
import hashlib
import importlib.util
from collections.abc import Iterable
from functools import cache
from pathlib import Path

SUITE = "selfie_utils"
COMPANIONS = {".js", ".css", ".html"}  # `inspector.js` belongs to `inspector.py`


@cache
def _graph(package: str):
    import grimp  # half a second, which only those who ask for fingerprints pay

    return grimp.build_graph(package, cache_dir=None)


def closure(modules: Iterable[str], package: str = SUITE) -> list[str]:
    """Return the modules of `package` that some modules need, themselves included, sorted by name.

    Imports inside functions count, and so does the `__init__` of every folder on the way, which Python runs
    first; a name that is no module is left out.
    """
    graph = _graph(package)
    waiting, found = [name for name in modules if name in graph.modules], set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += graph.find_modules_directly_imported_by(name)
            waiting += [name.rpartition(".")[0]] if "." in name else []
    return sorted(found)


@cache
def fingerprint(*modules: str, package: str = SUITE) -> str:
    """Return a short text that changes with the source of any module that `modules` need.

    What stands beside a module under its name, such as a widget's JavaScript, is part of its source. It is
    read once: what is edited while a process runs takes no part in it.
    """
    digest = hashlib.sha256()
    for name in closure(modules, package):
        digest.update(name.encode() + _source(name))
    return digest.hexdigest()[:16]


def _source(module: str) -> bytes:
    spec = importlib.util.find_spec(module)
    assert spec and spec.origin, f"{module} has no file"  # the graph holds only modules of files
    path = Path(spec.origin)
    beside = [file for file in path.parent.glob(f"{path.stem}.*") if file.suffix in COMPANIONS]
    return b"".join(file.read_bytes() for file in [path, *sorted(beside)])


def imported_by(source: str, package: str = SUITE) -> set[str]:
    """Return the modules of `package` that a piece of code imports by name, whether they exist or not."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name.split(".")[0] == package}
