"""Parameter files: one YAML per reproduction, compared with the notebooks before anything runs."""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import yaml

from selfie_utils.core.errors import SelfieError, did_you_mean
from selfie_utils.core.given import check_value
from selfie_utils.core.run_folder import notebooks_root

DAY = 24 * 60 * 60
SECTIONS = {"run_dir": str, "all": dict, "notebooks": dict, "leave_out": list, "cell_timeout": int}


NUMBERS = {
    "int": r"[-+]?(0|[1-9][0-9_]*)",
    "float": r"[-+]?((\d+\.\d*|\.\d+)(e[-+]?\d+)?|\d+e[-+]?\d+|\.inf)|\.nan",
}


class _Loader(yaml.SafeLoader):
    """YAML with numbers as everybody expects them, and no key twice.

    1e-4 is a number, and neither 010 is 8 nor 1:40 a hundred: they stay texts, as dates do, which may name a
    folder. Of two equal keys YAML would take the last, without a word.
    """

    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, known) for tag, known in pairs if tag.rpartition(":")[2] not in {*NUMBERS, "timestamp"}]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        """Return a mapping; raise ConstructorError where it has a key twice."""
        seen = set()
        for key, _ in node.value:
            word = (key.tag, key.value) if isinstance(key, yaml.ScalarNode) else None
            if word in seen and word:
                told = f"found the key {key.value} twice"
                raise yaml.constructor.ConstructorError(None, None, told, key.start_mark)
            seen.add(word)
        return super().construct_mapping(node, deep)


for _kind, _pattern in NUMBERS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_kind}", re.compile(rf"(?i:{_pattern})$"), list("-+0123456789.")
    )


@dataclass(frozen=True)
class ParameterFile:
    """What one YAML file asks for: where to run, values for every notebook, values for single ones."""

    path: Path
    run_dir: str = "runs/demo"
    everywhere: dict[str, Any] = field(default_factory=dict)
    by_notebook: dict[str, dict[str, Any]] = field(default_factory=dict)
    leave_out: tuple[str, ...] = ()  # notebooks that run only where `--only` names them
    cell_timeout: int = DAY  # seconds that one cell may take


def find_notebooks(root: Path) -> dict[str, Path]:
    """Find the numbered notebooks of a project, by name, in the order in which they run."""
    found = sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    if not found:
        raise SelfieError(
            f"There are no notebooks in {root / 'notebooks'}: run this inside a clone of the project, or in "
            "a folder that `selfie init` made."
        )
    return {path.stem: path for path in found}


def find_parameter_file(asked: Path | None) -> Path:
    """Return the parameter file that is meant: one here, else one of the notebooks; the demo's by default.

    So `notebooks/parameters/smoke.yaml` is found from anywhere, also where it came with the library.
    """
    if asked is not None and asked.exists():
        return asked
    there = notebooks_root() / (asked or "notebooks/parameters/demo.yaml")
    return there if asked is None or there.is_file() else asked


def full_name(name: object, notebooks: Iterable[str]) -> str:
    """Return the notebook that `name` means: its name or its number; raise SelfieError for any other."""
    short = str(name).removesuffix(".ipynb").rpartition("/")[2]
    short = short.zfill(2) if short.isdigit() else short
    hits = [n for n in notebooks if short in (n, n.partition("_")[0])]
    if len(hits) != 1:
        raise SelfieError(f"There is no notebook {name!s}: expected one of {', '.join(notebooks)}.")
    return hits[0]


def read_parameter_file(path: str | Path) -> ParameterFile:
    """Read a parameter file; raise SelfieError where it is missing, no YAML, or has unknown sections."""
    path = Path(path)
    content = _read_yaml(path)
    for section, value in content.items():
        _check_section(path, str(section), value)
    return ParameterFile(
        path,
        content.get("run_dir") or ParameterFile.run_dir,
        content.get("all") or {},
        content.get("notebooks") or {},
        tuple(content.get("leave_out") or ()),
        content.get("cell_timeout") or DAY,
    )


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        content = yaml.load(path.read_bytes(), _Loader)  # which knows UTF-16 by its mark
    except (FileNotFoundError, IsADirectoryError):
        raise SelfieError(f"There is no parameter file {path}: give the path of a .yaml file.") from None
    except (yaml.YAMLError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise SelfieError(f"{path} is not readable YAML ({reason}): correct it there.") from None
    if content is not None and not isinstance(content, dict):
        raise SelfieError(f"{path} holds {type(content).__name__}, expected the keys {', '.join(SECTIONS)}.")
    return content or {}


def read_settings(texts: Iterable[str], notebooks: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Read single parameters such as 00_data.group_size=10, with values as in YAML; returned by notebook."""
    found: dict[str, dict[str, Any]] = {}
    for text in texts:
        place, given, value = text.partition("=")
        notebook, _, key = place.strip().partition(".")
        if not given or not key:
            raise SelfieError(
                f"--set is {text!r}, expected NOTEBOOK.PARAMETER=VALUE such as 00_data.group_size=10."
            )
        try:
            found.setdefault(full_name(notebook, notebooks), {})[key] = yaml.load(value, _Loader)
        except yaml.YAMLError:
            raise SelfieError(f"--set is {text!r}, whose value is no YAML: put it in quotes.") from None
    return found


def _check_section(path: Path, section: str, value: Any) -> None:
    """Refuse a section that is unknown or of the wrong kind."""
    if section not in SECTIONS:
        raise SelfieError(f"{path} has an unknown key {section!r}: {did_you_mean(section, SECTIONS)}")
    nested = value.values() if section == "notebooks" and isinstance(value, dict) else []
    fits = isinstance(value, SECTIONS[section] | None) and all(isinstance(v, dict | None) for v in nested)
    if section == "cell_timeout" and value is not None:
        fits = type(value) is int and value >= 1  # true is an int, too
    if fits:
        return
    expected = {
        "run_dir": "the path of a folder",
        "leave_out": "a list of notebooks",
        "cell_timeout": "a whole number of seconds, 1 or more",
    }
    raise SelfieError(
        f"{path}, key {section}: got {value!r}, expected {expected.get(section, 'names with their values')}."
    )


def declared_parameters(notebook: Path) -> dict[str, Any]:
    """Return the parameters that a notebook declares and their default values, as papermill sees them."""
    from papermill import inspect_notebook  # a second to import

    try:
        found = inspect_notebook(notebook)
    except Exception as error:  # nbformat and papermill raise many kinds on a broken file
        reason = " ".join(str(error).split())[:100]
        raise SelfieError(f"{notebook} cannot be read as a notebook ({reason}): restore the file.") from None
    return {name: _literal(p["default"]) for name, p in found.items()}


def _literal(source: str) -> Any:
    """Evaluate a default value; one that is no plain literal counts as None, which fits any value."""
    try:
        return ast.literal_eval(source)
    except (ValueError, SyntaxError):
        return None


def assign_parameters(
    asked: ParameterFile, declared: dict[str, dict[str, Any]], extra: dict[str, dict[str, Any]] | None = None
) -> dict[str, dict[str, Any]]:
    """Work out the values that each notebook is given.

    `declared` holds each notebook's parameters with defaults, `extra` values that outrank the file's.
    Raises SelfieError for a key that no notebook has, a notebook that there is not, or a value of another
    type than the default's.
    """
    single: dict[str, dict[str, Any]] = {}
    for n, values in asked.by_notebook.items():
        if full_name(n, declared) in single:
            raise SelfieError(f"{asked.path} names notebook {full_name(n, declared)} twice: put both in one.")
        single[full_name(n, declared)] = values or {}
    _check_everywhere(asked, declared)
    given = {}
    for name, defaults in declared.items():
        values = {key: value for key, value in asked.everywhere.items() if key in defaults}
        typed = (extra or {}).get(name, {})
        values |= single.get(name, {}) | typed
        for key, value in values.items():
            where = f"{'The command line' if key in typed else asked.path}, {name}"
            check_value(where, str(key), value, defaults)
            if key == "run_dir":
                raise SelfieError(
                    f"{where}: run_dir is one for all notebooks: set it at the top of the file or with --run."
                )
        if "run_dir" in defaults:
            values["run_dir"] = asked.run_dir
        given[name] = values
    return given


def _check_everywhere(asked: ParameterFile, declared: dict[str, dict[str, Any]]) -> None:
    """Refuse a key under `all` that no notebook has."""
    known = {key for defaults in declared.values() for key in defaults}
    for key in asked.everywhere:
        if key not in known:
            raise SelfieError(
                f"{asked.path}, all: no notebook has a parameter {key!r}: {did_you_mean(str(key), known)}"
            )
