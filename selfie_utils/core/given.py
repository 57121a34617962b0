"""Parameters that a notebook is given, checked against those that it declares."""

import ast
import sys
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from selfie_utils.core.errors import SelfieError, did_you_mean

INJECTED = "# Parameters\n"  # how the cell begins into which papermill writes what is given


def check_given() -> None:
    """Refuse what papermill has given to this notebook and the notebook does not know or cannot use.

    papermill itself only warns of unknown names. It writes what is given into a cell of its own, below the
    one that declares the parameters, and the history of the kernel holds both. Outside a kernel, or where
    nobody gave anything, nothing happens. Raises SelfieError.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    cells = shell.user_ns.get("In", []) if shell else []
    for declaring, given in pairwise(cells):
        if given.startswith(INJECTED):
            defaults = literals(declaring)
            for key, value in literals(given).items():
                check_value("Parameters", key, value, defaults)


def literals(source: str) -> dict[str, Any]:
    """Return the names that a cell assigns, with their values; None where one is no plain literal."""
    found = {}
    for line in ast.parse(source).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            try:
                found[line.targets[0].id] = ast.literal_eval(line.value)
            except ValueError:
                found[line.targets[0].id] = None
    return found


def check_value(where: str, key: str, value: Any, defaults: Mapping[str, Any]) -> None:
    """Refuse a parameter that is unknown, or whose value is of another kind than the default's.

    A default of None fits any value, as None fits any default. Raises SelfieError, which begins with `where`.
    """
    if key not in defaults:
        hint = did_you_mean(key, set(defaults) - {"run_dir"})
        raise SelfieError(f"{where}: the notebook has no parameter {key!r}: {hint}")
    if not _fits(value, defaults[key]):
        raise SelfieError(
            f"{where}, {key}: got {value!r}, expected {_kind(defaults[key])} such as {defaults[key]!r}."
        )


def _fits(value: Any, default: Any) -> bool:
    """Tell whether a value is a plain literal of the same kind as the default."""
    if isinstance(value, list):
        plain = all(isinstance(v, str | int | float | bool | None) for v in value)
        return plain and isinstance(default, list | None)
    if value is None or default is None:
        return isinstance(value, str | int | float | bool | None)
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool)
    return type(value) is type(default)


def _kind(default: Any) -> str:
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}
    return names.get(type(default), "a plain value")
