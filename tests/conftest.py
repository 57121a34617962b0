"""What many tests share: one run of the whole suite with smoke parameters, made once for all workers."""

import os

if "PYTEST_XDIST_WORKER" in os.environ:  # workers side by side: a core each, for what they start as well
    os.environ["OMP_NUM_THREADS"] = "1"

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hues
import hypothesis
import pytest
from filelock import FileLock

from selfie_utils.core.run_folder import RunFolder

PROJECT = Path(__file__).parent.parent
SMOKE = "notebooks/parameters/smoke.yaml"
# Fixtures that run several notebooks: what uses them is `whole`.
WHOLE = {"smoke_run", "unlabelled_run", "undisturbed_run"}
# The longest files start first, or else one worker has nothing to do while the other is in the last.
# The first two are begun side by side: one makes the run that all share, the other what is killed.
LONGEST = ("checkpoints", "browser", "notebooks_run", "processes", "training", "face_filter", "benchmarks")

hypothesis.settings.register_profile("any machine", deadline=None)  # a busy one takes long, and is right
hypothesis.settings.load_profile("any machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what runs whole suites, and put the longest files first."""
    for item in items:
        if WHOLE & set(item.fixturenames):
            item.add_marker("whole")
    whole = {item.path.stem for item in items if item.get_closest_marker("whole")}
    order = [f"test_{name}" for name in LONGEST]
    # Last what waits for a run that another worker is still making.
    order += sorted(whole - set(order), key=lambda name: (name == "test_privacy", name))
    places = {name: place for place, name in enumerate(order)}
    items.sort(key=lambda item: places.get(item.path.stem, len(places)))


def run_selfie(*arguments: object) -> subprocess.CompletedProcess:
    """Run the `selfie` command of this environment in the project, as a user would."""
    command = [str(Path(sys.executable).parent / "selfie"), *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)


@pytest.fixture(scope="session")
def selfie():
    """The `selfie` command: call it with its arguments."""
    return run_selfie


def made_once(tmp_path_factory, name: str, make: Callable[[Path], None]) -> RunFolder:
    """Return the run folder `name` that `make` fills: by the first worker that needs it, the others wait."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent  # of all workers
    root, made = shared / name, shared / f"{name}.made"
    with FileLock(shared / f"{name}.lock"):
        if not made.exists():
            make(root)
            made.touch()
    return RunFolder(root)


def done_well(*arguments: object) -> None:
    done = run_selfie(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory) -> RunFolder:
    """Everything that `selfie reproduce notebooks/parameters/smoke.yaml` leaves behind; not to be changed."""
    return made_once(tmp_path_factory, "smoke", lambda root: done_well("reproduce", SMOKE, "--run", root))


@pytest.fixture(scope="session")
def unlabelled_run(tmp_path_factory, smoke_run) -> RunFolder:
    """What all notebooks make of 40 photos without labels, by a network from elsewhere; not to be changed.

    Each photo has a colour of its own, which tells it wherever it is drawn: see `tests/hues.py`.
    """

    def make(root: Path) -> None:
        photos, data = root.with_name("tinted"), root.with_name("tinted_data")
        hues.tint_photos(photos, 40)
        done_well("import", "folder", photos, "--out", data)
        done_well("reproduce", SMOKE, "--data", data, "--network", smoke_run.root, "--run", root)

    return made_once(tmp_path_factory, "unlabelled", make)
