"""What many tests share: one run of the whole suite with smoke parameters, made once."""

import subprocess
import sys
from pathlib import Path

import pytest

from selfie_utils.run_folder import RunFolder

PROJECT = Path(__file__).parent.parent


def run_selfie(*arguments: object) -> subprocess.CompletedProcess:
    """Run the `selfie` command of this environment in the project, as a user would."""
    command = [str(Path(sys.executable).parent / "selfie"), *map(str, arguments)]
    return subprocess.run(command, cwd=PROJECT, capture_output=True, text=True)


@pytest.fixture(scope="session")
def selfie():
    """The `selfie` command: call it with its arguments."""
    return run_selfie


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory) -> RunFolder:
    """Everything that `selfie reproduce notebooks/parameters/smoke.yaml` leaves behind."""
    root = tmp_path_factory.mktemp("runs") / "smoke"
    done = run_selfie("reproduce", "notebooks/parameters/smoke.yaml", "--run", root)
    assert done.returncode == 0, done.stdout + done.stderr
    return RunFolder(root)
