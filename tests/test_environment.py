"""Who sets up with conda gets what who sets up with pip gets."""

import copy
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PROJECT = Path(__file__).parent.parent
CONDA_NAMES = {"pytorch": "torch", "matplotlib-base": "matplotlib"}


def by_name(requirements: list[str]) -> dict[str, str]:
    """Return the version bounds of each package, by the name that PyPI knows it under."""
    parsed = [Requirement(text) for text in requirements]
    return {canonicalize_name(CONDA_NAMES.get(one.name, one.name)): str(one.specifier) for one in parsed}


def split(environment: dict) -> tuple[list[str], list[str]]:
    """Return what conda installs, and what pip installs."""
    from_conda = [one for one in environment["dependencies"] if isinstance(one, str)]
    from_pip = [one["pip"] for one in environment["dependencies"] if isinstance(one, dict)]
    return from_conda, from_pip[0]


def differences(environment: dict, project: dict) -> list[str]:
    """List where an environment departs from a project, in words."""
    from_conda, from_pip = split(environment)
    ours = by_name(from_conda + [one for one in from_pip if one != "-e ."])
    wanted = by_name(project["dependencies"]) | {"python": project["requires-python"], "pip": ""}
    return [
        f"{name}: {ours.get(name, 'missing')} in environment.yml, {wanted.get(name, 'missing')} in pyproject"
        for name in sorted(ours.keys() | wanted.keys())
        if ours.get(name) != wanted.get(name)
    ]


@pytest.fixture
def environment() -> dict:
    """environment.yml, parsed."""
    return yaml.safe_load((PROJECT / "environment.yml").read_text())


@pytest.fixture
def project() -> dict:
    """The [project] table of pyproject.toml, parsed."""
    return tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]


def test_the_environment_has_the_packages_and_bounds_of_the_project(environment, project):
    assert differences(environment, project) == []


def test_the_environment_installs_the_project_itself_from_conda_forge(environment, project):
    assert environment["channels"] == ["conda-forge", "nodefaults"]
    assert environment["name"] == project["name"]
    assert split(environment)[1][-1] == "-e ."


def test_python_is_3_11_or_newer(project):
    assert project["requires-python"] == ">=3.11"


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("numpy>=1.26", "numpy>=1.25", "numpy: >=1.25"),
        ("pytorch>=2.5", None, "torch: missing in environment.yml"),
        ("python>=3.11", "python>=3.9", "python: >=3.9"),
        (None, "plotly>=5", "plotly: >=5 in environment.yml, missing"),
    ],
)
def test_a_difference_is_found(environment, project, old, new, named):
    changed = copy.deepcopy(environment)
    if old:
        changed["dependencies"].remove(old)
    if new:
        changed["dependencies"].insert(0, new)
    assert [line for line in differences(changed, project) if line.startswith(named)]
