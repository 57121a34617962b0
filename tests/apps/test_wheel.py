"""Installed as a wheel, without a clone around: the notebooks come along and run where the user is."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.whole


def files_below(folder: Path) -> set[str]:
    """Name every file but those that Python compiles."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """The folder that an installer would unpack the wheel into."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-index"]
    build = [*pip, "--no-deps", "--no-build-isolation", "--wheel-dir", folder, PROJECT]
    done = subprocess.run(build, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = folder.glob("selfie_suite-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "library")
    return folder / "library"


def python(library: Path, here: Path, *arguments: object) -> str:
    """Run Python in the folder `here` with the unpacked wheel; return what it says."""
    environment = os.environ | {"PYTHONPATH": str(library)}
    command = [sys.executable, *map(str, arguments)]
    done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_wheel_holds_the_library_with_its_data_and_templates_and_each_notebook(library):
    held = files_below(library / "selfie_utils")
    # What editors hide there, such as .ipynb_checkpoints, stays at home.
    there = files_below(PROJECT / "notebooks")
    notebooks = {f"notebooks/{name}" for name in there if not name.startswith(".")}
    assert {"notebooks/00_data.ipynb", "notebooks/parameters/demo.yaml"} <= notebooks
    assert {name for name in held if name.startswith("notebooks/")} == notebooks
    assert {"runner/templates/page.html.j2", "posts/data/selfies/images.zip"} <= held
    assert files_below(PROJECT / "selfie_utils") <= held
    assert {path.name.partition("-")[0] for path in library.iterdir()} == {"selfie_utils", "selfie_suite"}


def test_notebooks_run_in_place_and_leave_everything_in_the_folder_where_one_is(library, tmp_path):
    before = files_below(library)
    few = ["--set", "00_data.max_posts=40"]
    asked = ["reproduce", "notebooks/parameters/smoke.yaml", "--only", "00", *few]
    told = python(library, tmp_path, "-m", "selfie_utils.apps.cli", *asked)
    assert f"Run folder {tmp_path / 'runs/smoke'}, kernel python3" in told
    assert "00_data             run   has not run here" in told
    assert "12_under_the_hood   skip  not asked for" in told
    made = files_below(tmp_path)
    assert {f"runs/smoke/{name}" for name in ("labels.parquet", "reports/index.html")} <= made
    assert all(name.startswith("runs/smoke/") for name in made)
    assert files_below(library) == before


# Before `selfie init`, and after it in one of its folders: which project, which notebooks, where runs/x is.
BEFORE_AND_AFTER = """
import os
from itertools import islice
from selfie_utils.apps.diagnosis import diagnose
from selfie_utils.apps.init import copy_project
from selfie_utils.core.run_folder import from_root

def where():
    print(*(finding for topic, finding in islice(diagnose("python3"), 2)), from_root("runs/x"), sep="\\n")

where()
print(copy_project("my work")[-1])
os.chdir("my work/notebooks/parameters")
where()
"""


def test_init_copies_a_project_whose_paths_mean_the_same_in_each_of_its_folders(library, tmp_path):
    count = len(list((PROJECT / "notebooks").glob("*.ipynb")))
    shipped, mine = library / "selfie_utils/notebooks", tmp_path / "my work"
    assert python(library, tmp_path, "-c", BEFORE_AND_AFTER).splitlines() == [
        str(tmp_path),
        f"{count} in {shipped} (they came with the library; `selfie init DIR` copies them)",
        str(tmp_path / "runs/x"),
        "Next: cd 'my work' && selfie reproduce",
        str(mine),
        f"{count} in {mine / 'notebooks'}",
        str(mine / "runs/x"),
    ]
    assert files_below(mine) == {f"notebooks/{name}" for name in files_below(shipped)} | {"README.md"}
