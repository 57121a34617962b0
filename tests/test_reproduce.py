"""The runner: what runs again and what does not, and what becomes of failures."""

import io
import json
import os
import shutil
import subprocess
import sys
import time

import pytest
from toy_project import make_project, write_notebook

from selfie_utils import freshness, reproduce
from selfie_utils.errors import SelfieError
from selfie_utils.files import locked
from selfie_utils.narration import Narrator
from selfie_utils.reproduce import Wish, read_state


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A toy project; reproduce() is called as from its root."""
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def finished_once(tmp_path_factory):
    """A toy project in which everything has run, with what was told; to be copied."""
    root = tmp_path_factory.mktemp("finished")
    make_project(root)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        return root, run()


@pytest.fixture
def finished(finished_once, tmp_path, monkeypatch):
    """A toy project in which everything has run."""
    shutil.copytree(finished_once[0], tmp_path / "project")  # dates of files are kept
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def run(yaml=None, **wish) -> str:
    """Reproduce the toy project and return what was told."""
    from pathlib import Path

    file = Path("notebooks/parameters/demo.yaml")
    if yaml is not None:
        file.write_text(yaml)
    told = io.StringIO()
    reproduce.reproduce(file, Wish(**wish), Narrator(told))
    return told.getvalue()


def plan(text: str) -> dict[str, str]:
    """Read the plan out of what was told: notebook -> run or skip, with the reason."""
    lines = (line.split(maxsplit=1) for line in text.splitlines() if line.startswith("  "))
    return {name: " ".join(rest.split()) for name, rest in lines if name[:2].isdigit()}


def test_a_second_run_skips_everything_within_five_seconds(finished_once, finished):
    assert set(plan(finished_once[1]).values()) == {"run has not run here"}
    report = (finished / "runs/demo/reports/index.html").stat().st_mtime_ns
    command = [sys.executable, "-m", "selfie_utils.cli", "reproduce"]
    begun = time.monotonic()
    second = subprocess.run(command, cwd=finished, capture_output=True, text=True)
    assert time.monotonic() - begun < 5
    assert second.returncode == 0 and set(plan(second.stdout).values()) == {"skip unchanged"}
    assert (finished / "runs/demo/reports/index.html").stat().st_mtime_ns == report


def test_what_changes_runs_again_and_so_does_what_depends_on_it(finished):
    assert plan(run("all: {rows: 2}\nnotebooks:\n  02_gallery: {rows: 5}\n")) == {
        "00_data": "run its parameters changed",
        "01_train": "run its parameters changed",
        "02_gallery": "run its parameters changed",
    }
    assert json.loads((finished / "runs/demo/notebooks/02_gallery.ipynb").read_text())["cells"][-1][
        "outputs"
    ][0]["text"] == ["5\n"]
    notebook = finished / "notebooks/01_train.ipynb"
    write_notebook(notebook, "'other'")
    assert plan(run()) == {
        "00_data": "skip unchanged",
        "01_train": "run the notebook was edited",
        "02_gallery": "run after 01_train",
    }
    (finished / "runs/demo/posts.parquet").unlink()
    assert plan(run())["00_data"] == "run posts.parquet is gone"


def test_outputs_and_counts_in_a_notebook_do_not_count_as_an_edit(project):
    notebook = project / "notebooks/02_gallery.ipynb"
    before = freshness.source_fingerprint(notebook)
    content = json.loads(notebook.read_text())
    content["cells"][-1] |= {"execution_count": 7, "outputs": []}
    content["metadata"]["language_info"] = {"name": "python"}
    notebook.write_text(json.dumps(content, indent=1))
    assert freshness.source_fingerprint(notebook) == before
    content["cells"][-1]["source"] += "  # edited"
    notebook.write_text(json.dumps(content))
    assert freshness.source_fingerprint(notebook) != before


def test_a_changed_library_kernel_or_input_runs_the_notebook_again(project, monkeypatch):
    (project / "mine.csv").write_text("a")
    yaml = "notebooks:\n  00: {posts: mine.csv}\n"
    run(yaml, only=("00",))
    (project / "mine.csv").write_text("ab")
    assert plan(run(yaml, only=("00",)))["00_data"] == "run a file that it is given changed"
    monkeypatch.setattr(reproduce, "kernel_command", lambda name: ["other"])
    assert plan(run(yaml, only=("00",)))["00_data"] == "run another kernel"
    monkeypatch.setattr(freshness, "versions", lambda: {"numpy": "0"})
    assert plan(run(yaml, only=("00",)))["00_data"] == "run the library changed"


def test_the_library_fingerprint_follows_code_and_data_but_not_the_runner(tmp_path):
    for name in ("labels.py", "cli.py", "data/photo.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    before = freshness.library_fingerprint(tmp_path)
    (tmp_path / "cli.py").write_text("2")
    assert freshness.library_fingerprint(tmp_path) == before
    (tmp_path / "labels.py").write_text("2")
    after_code = freshness.library_fingerprint(tmp_path)
    (tmp_path / "data/photo.jpg").write_text("two")
    assert len({before, after_code, freshness.library_fingerprint(tmp_path)}) == 3


def test_artefacts_made_by_hand_are_noticed(finished):
    (finished / "runs/demo/scores.parquet").write_text("trained again in JupyterLab")
    assert plan(run())["02_gallery"] == "run what it reads was made anew"


def test_only_from_and_force_choose_notebooks(finished):
    assert plan(run(only=("2",), force=True)) == {
        "00_data": "skip not asked for",
        "01_train": "skip not asked for",
        "02_gallery": "run asked for",
    }
    assert plan(run(start="01_train"))["00_data"] == "skip not asked for"


def test_a_failed_notebook_is_kept_apart_and_the_old_one_does_not_pretend(finished):
    write_notebook(finished / "notebooks/01_train.ipynb", "1 + 1", "raise ValueError('no light <b>')")
    with pytest.raises(
        SelfieError, match=r"01_train failed, cell \[4\]: ValueError: no light <b>.*--from 01_train"
    ):
        run()
    kept = sorted(p.name for p in (finished / "runs/demo/notebooks").iterdir())
    assert kept == ["00_data.ipynb", "01_train.failed.ipynb", "02_gallery.ipynb"]
    state = read_state(finished / "runs/demo")["notebooks"]
    assert state["01_train"]["status"] == "failed" and "fingerprint" not in state["01_train"]
    assert "Failed." in (finished / "runs/demo/reports/index.html").read_text()
    assert plan(run(start="02"))["02_gallery"] == "skip unchanged"
    write_notebook(finished / "notebooks/01_train.ipynb", "1 + 1")
    assert plan(run())["01_train"] == "run failed last time"
    assert not (finished / "runs/demo/notebooks/01_train.failed.ipynb").exists()


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("import os; os.kill(os.getpid(), 9)", r"cell \[3\]: the kernel died"),
        ("raise SystemExit(0)", r"cell \[3\]: SystemExit: 0"),
        ("import time; time.sleep(60)", r"cell \[3\]: the cell took longer than cell_timeout"),
        (
            "from selfie_utils.errors import SelfieError; raise SelfieError('There is no light.')",
            r"failed, cell \[3\]: There is no light\. The notebook",
        ),
    ],
)
def test_whatever_ends_a_notebook_early_is_a_failure_told_in_time(project, source, told):
    write_notebook(project / "notebooks/00_data.ipynb", source, "print('not reached')")
    begun = time.monotonic()
    with pytest.raises(SelfieError, match=told):
        run("cell_timeout: 2", only=("00",))
    assert time.monotonic() - begun < 30
    assert (project / "runs/demo/notebooks/00_data.failed.ipynb").exists()


def test_kernels_see_no_front_end_and_our_environment_stays(project, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "lab")
    write_notebook(
        project / "notebooks/00_data.ipynb", "import os\nassert 'JPY_SESSION_NAME' not in os.environ"
    )
    run(only=("00",))
    assert os.environ["JPY_SESSION_NAME"] == "lab" and "TQDM_NROWS" not in os.environ


def test_kernels_work_in_the_root_of_the_project(project, monkeypatch):
    write_notebook(
        project / "notebooks/00_data.ipynb", f"import os\nassert os.getcwd() == {str(project)!r}, os.getcwd()"
    )
    monkeypatch.chdir(project / "notebooks")
    reproduce.reproduce("parameters/demo.yaml", Wish(only=("00",)), Narrator(io.StringIO()))
    assert (project / "runs/demo/notebooks/00_data.ipynb").exists()


def test_executed_notebooks_tell_no_paths_of_this_machine(project):
    run(only=("00",))
    assert str(project) not in (project / "runs/demo/notebooks/00_data.ipynb").read_text()


def test_two_reproductions_do_not_share_a_run_folder(project):
    lock = project / "runs/demo/.lock"
    lock.parent.mkdir(parents=True)
    lock.write_text("999999")  # left by a process that was killed
    with (
        locked(lock, ""),
        pytest.raises(SelfieError, match=f"by process {os.getpid()}:"),
    ):
        run(only=("00",))
    assert plan(run(only=("02",)))["02_gallery"] == "run has not run here"


@pytest.mark.parametrize(
    ("yaml", "wish", "sentence"),
    [
        (
            "notebooks:\n  02_gallery: {rosw: 3}",
            {},
            "demo.yaml, 02_gallery: .*no parameter 'rosw': did you mean 'rows'",
        ),
        ("all: {sed: 1}", {}, "demo.yaml, all: no notebook has a parameter 'sed'"),
        ("notebooks:\n  02_gallery: {rows: many}", {}, "rows: got 'many', expected a whole number such as 2"),
        ("notebooks:\n  02_gallery: {rows: 2015-01-01}", {}, "expected a whole number such as 2"),
        ("notebooks:\n  02_gallery: {run_dir: elsewhere}", {}, "set it at the top"),
        ("notebooks:\n  09_none: {rows: 3}", {}, "no notebook 09_none: expected one of 00_data, 01_train"),
        ("runs: here", {}, "unknown key 'runs': it knows all"),
        ("all: [1, 2]", {}, "key all: got .*expected names with their values"),
        ("- a list", {}, "expected the keys run_dir"),
        ("a: [1", {}, "not readable YAML"),
        ("", {"only": ("09",)}, "no notebook 09: expected one of"),
        ("", {"start": "x"}, "no notebook x: expected one of"),
        ("", {"start": "02", "only": ("00",)}, "leave no notebook"),
        ("", {"kernel": "none"}, "no kernel 'none': installed are .*python3"),
        ("", {"only": ("02",)}, "no run folder .*: run 00_data first"),
        ("", {"data": "nowhere"}, "no posts table in .*nowhere: make such a folder with `selfie import`"),
        ("", {"network": "nowhere"}, "no run folder .*nowhere"),
    ],
)
def test_bad_wishes_are_one_sentence_and_nothing_is_written(project, yaml, wish, sentence):
    with pytest.raises(SelfieError, match=sentence) as error:
        run(yaml, **wish)
    assert "\n" not in str(error.value)
    assert not (project / "runs").exists()


def test_a_missing_parameter_file_and_a_broken_notebook_are_told(project):
    with pytest.raises(SelfieError, match=r"no parameter file nowhere\.yaml"):
        reproduce.reproduce("nowhere.yaml")
    (project / "notebooks/02_gallery.ipynb").write_text("{")
    with pytest.raises(SelfieError, match=r"02_gallery\.ipynb cannot be read as a notebook"):
        run()


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_log_keeps_the_last_state_of_a_bar_and_a_terminal_all_of_them():
    log, terminal = io.StringIO(), Terminal()
    for out in (log, terminal):
        narrator = Narrator(out)
        narrator.begin("[1/1] 00_data")
        for percent in range(0, 101, 10):
            narrator.write(f"\rfaces: {percent}%")
        narrator.write("\n")
        narrator.end("9.0 s")
    assert log.getvalue() == "[1/1] 00_data \n    faces: 100%\n    9.0 s\n"
    assert "faces: 50%" in terminal.getvalue()


def test_a_long_bar_gives_a_log_signs_of_life():
    log = io.StringIO()
    narrator = Narrator(log, every=0)
    narrator.begin("01_train")
    for step in range(3):
        narrator.write(f"\rstep {step}")
    narrator.end("1 s")
    assert log.getvalue() == "01_train \n    step 0\n    step 1\n    step 2\n    1 s\n"
