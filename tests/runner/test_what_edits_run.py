"""What an edit of the library makes run again: shown in a copy of the project, on a copy of the smoke run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
DATA = Path("selfie_utils/posts/data")
PLAN = """
import json
from dataclasses import replace
from pathlib import Path
from selfie_utils.runner.parameters import find_notebooks, read_parameter_file
from selfie_utils.runner.reproduce import Options, Reproduction, make_jobs, make_plan
file = replace(read_parameter_file("notebooks/parameters/smoke.yaml"), run_dir="{run}")
notebooks = find_notebooks(Path("."))
work = Reproduction(Path("{run}"), make_jobs(file, notebooks, Options()), "python3", 600)
print(json.dumps(make_plan(work, list(notebooks), force=False)))
"""


class Copy:
    """A project and a finished run of it, to edit and run again."""

    def __init__(self, root: Path):
        self.root, self.run = root / "project", root / "run"

    def python(self, *arguments: object) -> str:
        """Run Python with the copy's library, in the copy; return what it prints."""
        environment = os.environ | {"PYTHONPATH": str(self.root), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, *map(str, arguments)]
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def plan(self) -> dict[str, str]:
        return json.loads(self.python("-c", PLAN.replace("{run}", str(self.run))))

    def reproduce(self, *names: str) -> None:
        only = [part for name in names for part in ("--only", name)]
        parameters = "notebooks/parameters/smoke.yaml"
        self.python("-m", "selfie_utils.apps.cli", "reproduce", parameters, "--run", self.run, *only)

    def edit(self, module: str, before: str, after: str) -> None:
        path = self.root / "selfie_utils" / module
        source = path.read_text(encoding="utf-8")
        assert before in source
        path.write_text(source.replace(before, after), encoding="utf-8")

    def bytes_of(self, name: str) -> bytes:
        return (self.run / name).read_bytes()


@pytest.fixture
def copy(smoke_run, tmp_path):
    copied = Copy(tmp_path)
    for name in ("notebooks", "selfie_utils"):
        leave_out = shutil.ignore_patterns("__pycache__", "data" if name == "selfie_utils" else "")
        shutil.copytree(PROJECT / name, copied.root / name, ignore=leave_out)
    (copied.root / DATA).symlink_to(PROJECT / DATA)
    shutil.copytree(smoke_run.root, copied.run)
    # The run was made where it no longer is.
    state = copied.run / "state.json"
    state.write_text(state.read_text().replace(str(smoke_run.root), str(copied.run)))
    assert copied.plan() == {}
    return copied


def test_an_edit_of_a_chart_draws_again_and_does_not_train(copy):
    scores, network = copy.bytes_of("scores.parquet"), copy.run / "network" / "model.safetensors"
    trained = network.stat().st_mtime_ns
    copy.edit("show/chart.py", "def new_axes", "EDITED = True\n\n\ndef new_axes")
    assert {"01_train", "03_top_100", "05_male_gallery"} <= set(copy.plan())
    copy.reproduce("01_train")
    assert network.stat().st_mtime_ns == trained
    assert copy.bytes_of("scores.parquet") == scores


def test_an_edit_of_the_renderer_runs_nothing(copy):
    copy.edit("synthetic/rendering.py", '"""Render one', '"""Draw one')
    copy.edit("synthetic/hair.py", '"""Hair', '"""All hair')
    assert copy.plan() == {}


def test_an_edit_of_the_label_rule_runs_all_of_it_and_trains_again(copy):
    scores, network = copy.bytes_of("scores.parquet"), copy.bytes_of("network/model.safetensors")
    copy.edit("posts/labels.py", "good = np.zeros(keys.shape, bool)", "good = np.ones(keys.shape, bool)")
    copy.edit("posts/labels.py", "put_along_axis(good, chosen, True", "put_along_axis(good, chosen, False")
    everything = {path.stem for path in (copy.root / "notebooks").glob("*.ipynb")}
    assert set(copy.plan()) == everything
    copy.reproduce("00_data", "01_train")
    assert copy.bytes_of("network/model.safetensors") != network
    assert copy.bytes_of("scores.parquet") != scores
