"""Parameters that a notebook is given, checked against those that it declares."""

import ast
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from selfie_utils.core.errors import SelfieError, did_you_mean

INJECTED = "# Parameters\n"  # how the cell begins into which papermill writes what is given
UNKNOWN = object()
DECLARING = "run_dir = "  # how the cell begins that declares the parameters
KINDS = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", list: "a list"}


@dataclass(frozen=True)
class Rule:
    """What a parameter may be, in every notebook that has it."""

    kinds: tuple[type, ...]
    least: float | None = None
    most: float | None = None
    above: float | None = None
    each: "Rule | None" = None  # of a list
    length: int | None = None  # of a list
    as_default: bool = False  # of these kinds, only that of the notebook's own default

    def beside(self, default: Any) -> "Rule":
        """Return the rule in a notebook whose default is known."""
        if not self.as_default or type(default) not in self.kinds:
            return self
        return Rule((type(default),), None if isinstance(default, str) else self.least)

    def fits(self, value: Any) -> bool:
        """Tell whether a value is possible; a whole number is a number, True is none."""
        kinds = (*self.kinds, int) if float in self.kinds else self.kinds
        if type(value) not in kinds:
            return False
        if isinstance(value, list):
            return self.length in (None, len(value)) and all(map(self.each.fits, value) if self.each else ())
        return not isinstance(value, int | float) or self._in_range(value)

    def _in_range(self, value: float) -> bool:
        low = (self.least is None or value >= self.least) and (self.above is None or value > self.above)
        return low and (self.most is None or value <= self.most) and value - value == 0  # no nan, no inf

    def in_words(self) -> str:
        """Say what is expected."""
        told = " or ".join(KINDS[kind] for kind in self.kinds if kind in KINDS)
        if self.each:
            told += f" of {self.length or 'some'}, each {self.each.in_words()}"
        ends = [f"{self.least:g} or more" if self.least is not None else ""]
        ends += [f"more than {self.above:g}" if self.above is not None else ""]
        ends += [f"at most {self.most:g}" if self.most is not None else ""]
        return ", ".join([told, *filter(None, ends)])


def _whole(least: int) -> Rule:
    return Rule((int,), least)


TEXT, POSITIVE, TEXTS = Rule((str,)), Rule((float,), above=0), Rule((list,), each=Rule((str,)))
SHARE = Rule((float,), least=0, most=1)
RULES: dict[str, Rule] = {
    **dict.fromkeys(("run_dir", "data", "folder", "backbone", "weights", "device", "copies"), TEXT),
    **dict.fromkeys(("annotation", "value", "picked_ids"), TEXT),
    **dict.fromkeys(("max_posts", "max_tags", "seed", "epochs"), _whole(0)),
    **dict.fromkeys(("rows", "columns", "tile_size", "more_rows", "more_columns"), _whole(1)),
    **dict.fromkeys(("bands", "among", "nearest", "shuffles", "seeds", "evaluations"), _whole(1)),
    **dict.fromkeys(("truth_photos", "starts", "maps", "steps", "judged", "pointed"), _whole(1)),
    **dict.fromkeys(("learning_rate", "perplexity"), POSITIVE),
    **dict.fromkeys(("min_days", "tag_bonus", "worth_telling"), Rule((float,), least=0)),
    **dict.fromkeys(("settings", "others", "annotations", "channels"), TEXTS),
    "followers_range": Rule((list,), each=_whole(0), length=2),
    "group_size": _whole(2),
    **dict.fromkeys(("more_tile_size", "batch_size"), _whole(1)),
    "image_size": _whole(32),
    "replace": Rule((bool,)),
    "group_sizes": Rule((list,), each=_whole(2)),
    "tag_bonuses": Rule((list,), each=Rule((float,), least=0)),
    "outer": Rule((float,), above=0, most=0.5),
    "shares": Rule((list,), each=Rule((float,), above=0, most=1)),
    "grid": Rule((list,), each=_whole(2), length=2),
    "draws": _whole(2),
    "photo": Rule((str, int), least=0),
    "photos": Rule((int, str), least=1, as_default=True),  # how many, or where they are
    "ask": Rule((type(None), str, list), each=Rule((str,))),
}  # fmt: skip


def check_given() -> None:
    """Refuse parameters that a notebook does not know or cannot use, however it came by them.

    Those that somebody typed into the notebook, in JupyterLab, and those that papermill gave, which itself
    only warns of unknown names: it writes them into a cell of its own, below the one that declares the
    parameters. The history of the kernel holds both. Outside a kernel nothing happens. Raises SelfieError.
    """
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    cells = shell.user_ns.get("In", []) if shell else []
    for declaring, given in pairwise(cells):
        if given.startswith(INJECTED):
            defaults = literals(declaring)
            for key, value in literals(given).items():
                check_value("Parameters", key, value, defaults)
    typed = [cell for cell in cells if cell.startswith(DECLARING)][-1:]
    for key, value in literals("".join(typed), UNKNOWN).items():
        if value is not UNKNOWN:
            check_range("Parameters", key, value)


def literals(source: str, unknown: Any = None) -> dict[str, Any]:
    """Return the names that a cell assigns, with their values; `unknown` where one is no plain literal."""
    found = {}
    for line in ast.parse(source).body:
        if isinstance(line, ast.Assign) and isinstance(line.targets[0], ast.Name):
            try:
                found[line.targets[0].id] = ast.literal_eval(line.value)
            except ValueError:
                found[line.targets[0].id] = unknown
    return found


def check_value(where: str, key: str, value: Any, defaults: Mapping[str, Any]) -> None:
    """Refuse a parameter that is unknown, or whose value is of another kind than the default's.

    A default of None fits any value, as None fits any default; RULES say more of those that are listed
    there. Raises SelfieError, which begins with `where`.
    """
    if key not in defaults:
        hint = did_you_mean(key, set(defaults) - {"run_dir"})
        raise SelfieError(f"{where}: the notebook has no parameter {key!r}: {hint}")
    check_range(where, key, value, defaults[key])
    if key not in RULES and not _fits(value, defaults[key]):
        raise SelfieError(_expected(where, key, value, _kind(defaults[key]), defaults[key]))


def check_range(where: str, key: str, value: Any, default: Any = UNKNOWN) -> None:
    """Refuse a value that RULES don't allow under the name `key`; raises SelfieError."""
    rule = RULES[key].beside(default) if key in RULES else None
    if rule and not rule.fits(value):
        raise SelfieError(_expected(where, key, value, rule.in_words(), default))


def _expected(where: str, key: str, value: Any, kind: str, default: Any) -> str:
    such = "" if default is UNKNOWN else f"{',' if ',' in kind else ''} such as {default!r}"
    return f"{where}, {key}: got {value!r}, expected {kind}{such}."


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
    return KINDS.get(type(default), "a plain value")
