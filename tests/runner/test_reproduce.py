"""The runner: what runs again and what does not, and what becomes of failures."""

import datetime
import io
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image
from toy_project import WRITE, make_project, write_notebook

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
from selfie_utils.runner import freshness, reproduce
from selfie_utils.runner.jupyter import batch_environment
from selfie_utils.runner.narration import Narrator
from selfie_utils.runner.parameters import find_notebooks, read_parameter_file
from selfie_utils.runner.reproduce import Options, read_state


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


def run(yaml=None, **options) -> str:
    """Reproduce the toy project and return what was told."""
    file = Path("notebooks/parameters/demo.yaml")
    if yaml is not None:
        file.write_text(yaml)
    told = io.StringIO()
    reproduce.reproduce(file, Options(**options), Narrator(told))
    return told.getvalue()


def planned(**options) -> dict[str, str]:
    """Return what would run in the toy project as it is, and why; nothing is run."""
    asked = read_parameter_file(Path("notebooks/parameters/demo.yaml"))
    jobs = reproduce.make_jobs(asked, find_notebooks(Path.cwd()), Options(**options))
    work = reproduce.Reproduction(Path(asked.run_dir), jobs, "python3", 60)
    return reproduce.make_plan(work, [job.name for job in jobs], False)


def plan(text: str) -> dict[str, str]:
    """Read the plan out of what was told: notebook -> run or skip, with the reason."""
    lines = (line.split(maxsplit=1) for line in text.splitlines() if line.startswith("  "))
    return {name: " ".join(rest.split()) for name, rest in lines if name[:2].isdigit()}


def test_a_second_run_skips_everything_within_five_seconds(finished_once, finished):
    assert set(plan(finished_once[1]).values()) == {"run has not run here"}
    report = (finished / "runs/demo/reports/index.html").stat().st_mtime_ns
    command = [sys.executable, "-m", "selfie_utils.apps.cli", "reproduce"]
    before = os.times()
    second = subprocess.run(command, cwd=finished, capture_output=True, text=True)
    after = os.times()  # of a processor: a busy machine takes longer
    assert after.children_user + after.children_system - before.children_user - before.children_system < 5
    assert second.returncode == 0 and set(plan(second.stdout).values()) == {"skip unchanged"}
    assert (finished / "runs/demo/reports/index.html").stat().st_mtime_ns == report


def test_notebooks_run_in_their_order_and_each_is_told_with_its_number(finished_once):
    told = finished_once[1].splitlines()
    assert told[0] == f"Run folder {finished_once[0] / 'runs/demo'}, kernel python3"
    assert [line.split()[0] for line in told[1:4]] == ["00_data", "01_train", "02_gallery"]
    begun = [line.split()[:2] for line in told if line.startswith("[")]
    assert begun == [["[1/3]", "00_data"], ["[2/3]", "01_train"], ["[3/3]", "02_gallery"]]
    assert told[-1] == f"Report: {finished_once[0] / 'runs/demo/reports/index.html'}"


def test_the_first_pages_can_be_read_while_the_next_notebook_runs(project):
    keep = 'import shutil\nshutil.copytree(Path(run_dir, "reports"), "seen")'
    write_notebook(project / "notebooks/01_train.ipynb", WRITE + keep)
    told = run()
    assert f"Read along: {(project / 'runs/demo/reports/index.html').as_uri()}" in told.splitlines()
    assert {path.name for path in (project / "seen").iterdir()} == {"index.html", "00_data.html"}
    seen = (project / "seen/index.html").read_text()
    assert "<strong>01_train</strong> was running; still to come: 02_gallery" in seen
    assert "was running" not in (project / "runs/demo/reports/index.html").read_text()


def test_what_each_notebook_made_and_on_what_is_kept(finished):
    state = read_state(finished / "runs/demo")
    assert state["facts"]["kernel"] == "python3" and state["facts"]["cores"] == os.cpu_count()
    assert state["facts"]["versions"] == freshness.versions()
    kept = state["notebooks"]
    assert {name: entry["outputs"] for name, entry in kept.items()} == {
        "00_data": ["notebooks/00_data.ipynb", "posts.parquet"],
        "01_train": ["notebooks/01_train.ipynb", "scores.parquet"],
        "02_gallery": ["notebooks/02_gallery.ipynb"],
    }
    ended = [datetime.datetime.fromisoformat(entry["finished"]) for entry in kept.values()]
    assert ended == sorted(ended) and all(moment.tzinfo for moment in ended)
    for entry in kept.values():
        assert entry["status"] == "done" and 0 < entry["seconds"] < 600
        assert entry["defaults"] == {"run_dir": "runs/demo", "posts": "none", "rows": 2}


@pytest.mark.parametrize("content", [None, "{", "[]", "3", '{"notebooks": {}}'])
def test_a_state_that_is_missing_or_damaged_counts_as_empty(tmp_path, content):
    if content is not None:
        (tmp_path / "state.json").write_text(content)
    assert read_state(tmp_path) == {"facts": {}, "notebooks": {}}


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
    assert planned() == {"01_train": "the notebook was edited", "02_gallery": "after 01_train"}
    (finished / "runs/demo/posts.parquet").unlink()
    assert planned()["00_data"] == "posts.parquet is gone"


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
    assert "00_data" not in planned()
    (project / "mine.csv").write_text("ab")
    assert planned()["00_data"] == "a file that it is given changed"
    monkeypatch.setattr(reproduce, "kernel_command", lambda name: ["other"])
    assert planned()["00_data"] == "another kernel"
    monkeypatch.setattr(freshness, "versions", lambda: {"numpy": "0"})
    assert planned()["00_data"] == "code that it imports changed"


def test_artefacts_made_by_hand_are_noticed(finished):
    (finished / "runs/demo/scores.parquet").write_text("trained again in JupyterLab")
    assert planned() == {"02_gallery": "what it reads was made anew"}


NAMES = ["00_data", "01_train", "02_gallery", "09_experiments"]


@pytest.mark.parametrize(
    ("options", "leave_out", "chosen"),
    [
        (Options(), (), NAMES),
        (Options(), ("09",), NAMES[:3]),
        (Options(), ("02_gallery", "00"), ["01_train", "09_experiments"]),
        (Options(only=("9",)), ("09",), ["09_experiments"]),  # what is named runs
        (Options(only=("02", "00_data")), (), ["00_data", "02_gallery"]),  # in order, however they are named
        (Options(start="01"), (), NAMES[1:]),
        (Options(start="01"), ("09",), NAMES[1:3]),
        (Options(start="01", only=("00", "01", "09")), ("09",), ["01_train", "09_experiments"]),
        (Options(start="09", only=("00",)), (), []),
    ],
)
def test_only_from_and_what_the_file_leaves_out_choose_notebooks(options, leave_out, chosen):
    assert reproduce.choose(NAMES, options, leave_out) == chosen


def test_only_from_and_force_choose_notebooks(finished):
    assert plan(run(only=("2",), force=True)) == {
        "00_data": "skip not asked for",
        "01_train": "skip not asked for",
        "02_gallery": "run asked for",
    }
    assert plan(run(start="01_train")) == {
        "00_data": "skip not asked for",
        "01_train": "skip unchanged",
        "02_gallery": "skip unchanged",
    }


@pytest.fixture
def own_things(project):
    """Posts and a finished run in the toy project, and notebooks that could use them."""
    (project / "own/images").mkdir(parents=True)
    for name in ("good", "bad"):
        Image.new("RGB", (8, 8)).save(project / f"own/images/{name}.png")
    (project / "own/posts.csv").write_text("post_id,image,user_id,label\na,good.png,u,1\nb,bad.png,v,0\n")
    (project / "runs/old/network").mkdir(parents=True)
    (project / "runs/old/network/network.json").write_text("{}")
    first = 'run_dir = "runs/demo"\ndata = "demo"\nseed = 0'
    write_notebook(project / "notebooks/00_data.ipynb", "data", parameters=first)
    second = 'run_dir = "runs/demo"\nweights = "imagenet"\nepochs = 3\nseed = 0'
    write_notebook(project / "notebooks/01_train.ipynb", "weights", parameters=second)
    return project


def given(**options) -> dict[str, dict]:
    """Return the values that each notebook of the toy project would be given."""
    asked = read_parameter_file(reproduce.project_root() / "notebooks/parameters/demo.yaml")
    jobs = reproduce.make_jobs(asked, find_notebooks(reproduce.project_root()), Options(**options))
    return {job.name: job.given for job in jobs}


def test_what_is_set_outranks_the_file_and_what_network_means_and_is_checked_alike(own_things):
    (own_things / "notebooks/parameters/demo.yaml").write_text("notebooks:\n  01: {epochs: 5, seed: 1}\n")
    found = given(network="runs/old", settings=("01.epochs=2", "01_train.weights = a=b ", "00.seed=4"))
    assert (found["01_train"]["epochs"], found["01_train"]["seed"], found["00_data"]["seed"]) == (2, 1, 4)
    assert found["01_train"]["weights"] == "a=b"
    for text, said in (
        (
            "01.epoch=2",
            "The command line, 01_train: the notebook has no parameter 'epoch': did you mean 'epochs'",
        ),
        ("01.epochs=two", "The command line, 01_train, epochs: got 'two', expected a whole number"),
        ("00.run_dir=x", "run_dir is one for all notebooks"),
    ):
        with pytest.raises(SelfieError, match=said):
            given(settings=(text,))


def test_data_and_network_of_the_command_line_outrank_every_value_of_the_file(own_things, monkeypatch):
    (own_things / "notebooks/parameters/demo.yaml").write_text(
        "run_dir: runs/new\nall: {data: everywhere, epochs: 4, seed: 7}\n"
        "notebooks:\n  00: {data: other}\n  01: {weights: faces.pth, epochs: 5}\n"
    )
    for folder, above in ((".", ""), ("notebooks", "../")):  # paths are those of who types them
        monkeypatch.chdir(own_things / folder)
        found = given(data=f"{above}own", network=f"{above}runs/old")
        assert found.pop("02_gallery") == {"run_dir": "runs/new"}
        assert {name: set(values) for name, values in found.items()} == {
            "00_data": {"data", "seed", "run_dir"}, "01_train": {"weights", "epochs", "seed", "run_dir"},
        }  # fmt: skip
        assert Path(found["00_data"]["data"]).resolve() == own_things / "own"
        assert Path(found["01_train"]["weights"]).resolve() == own_things / "runs/old"
        assert all(Path(found[n][k]).is_absolute() for n, k in (("00_data", "data"), ("01_train", "weights")))
        assert found["01_train"]["epochs"] == 0 and found["00_data"]["seed"] == 7
    monkeypatch.chdir(own_things / "notebooks")
    assert given(data="demo")["00_data"]["data"] == "demo"  # a name, where there is no such folder
    assert given(network="runs/old")["01_train"] | {"weights": ""} == {
        "weights": "", "epochs": 0, "seed": 7, "run_dir": "runs/new",
    }  # fmt: skip
    unasked = given()
    assert unasked["00_data"]["data"] == "other" and unasked["01_train"]["epochs"] == 5


def test_what_is_asked_on_the_command_line_reaches_the_notebooks_that_can_answer(own_things):
    asking = 'run_dir = "runs/demo"\nask = None'
    write_notebook(own_things / "notebooks/02_gallery.ipynb", "ask", parameters=asking)
    found = given(ask=("wearing_glasses", "hat"))
    assert found["02_gallery"]["ask"] == ["wearing_glasses", "hat"]
    assert "ask" not in found["00_data"] and "ask" not in given()["02_gallery"]


def test_data_that_cannot_be_read_and_a_run_without_a_network_are_refused(own_things):
    (own_things / "runs/old/network/network.json").unlink()
    notebook = own_things / "notebooks/01_train.ipynb"
    content = json.loads(notebook.read_text())
    content["metadata"]["selfie"]["writes"] = ["network/network.json"]  # as the real one declares
    notebook.write_text(json.dumps(content))
    with pytest.raises(SelfieError, match=r"network\.json is missing: run notebooks/01_train"):
        given(network="runs/old")
    (own_things / "own/posts.csv").write_text("post_id\na\n")
    with pytest.raises(SelfieError, match="has no column"):
        given(data="own")
    shutil.rmtree(own_things / "own/images")
    with pytest.raises(SelfieError, match=r"The photos of .*own are not at"):
        given(data="own")


def test_what_a_notebook_declares_is_read_anew_where_it_was_edited(finished):
    notebook = finished / "notebooks/02_gallery.ipynb"
    content = notebook.read_text()
    state = json.loads((finished / "runs/demo/state.json").read_text())
    state["notebooks"]["02_gallery"]["defaults"]["rows"] = 3  # to see where they come from

    def default():
        (finished / "runs/demo/state.json").write_text(json.dumps(state))
        asked = read_parameter_file(Path("notebooks/parameters/demo.yaml"))
        return reproduce.make_jobs(asked, find_notebooks(finished), Options())[2].defaults["rows"]

    assert default() == 3
    notebook.write_text(content.replace("rows = 2", "rows = 4"))
    assert default() == 4
    notebook.write_text(content)
    del state["notebooks"]["02_gallery"]["defaults"]
    assert default() == 2


def test_a_run_folder_of_the_command_line_outranks_the_files_and_a_file_is_none(project):
    (project / "file").write_text("")
    for yaml, options in (("run_dir: file", {}), ("run_dir: runs/demo", {"run_dir": "file"})):
        with pytest.raises(SelfieError, match=r"file is a file, not a folder: choose another run folder\."):
            run(yaml, **options)
    with pytest.raises(SelfieError, match=r"no run folder .*runs/new: run 00_data first"):
        run("run_dir: runs/demo", run_dir="runs/new", start="01")
    assert not (project / "runs").exists()


def test_what_a_killed_run_left_half_written_goes_and_nothing_else(finished):
    root = finished / "runs/demo"
    halves = ["notebooks/.01_train.running.ipynb", ".scores.parquet.part", "network/.model.part7"]
    others = ["notebooks/mine.running.ipynb", ".hidden", "network/model.part", "part.csv"]
    for name in (*halves, *others):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    run()
    assert [name for name in (*halves, *others) if (root / name).exists()] == others


def test_artefacts_are_all_files_but_those_of_the_runner(tmp_path):
    ours = ["reports/index.html", "metrics.json", "notebooks/00_data.ipynb", "state.json", ".lock"]
    ours += ["network/.lock", "faces.lock", ".lock.process", "network/.lock.process"]
    for name in ("a.parquet", "figures/b.png", "checkpoints/deep/1.pt", *ours):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    found = reproduce._listing(tmp_path)
    assert list(found) == ["a.parquet", "checkpoints/deep/1.pt", "figures/b.png"]
    assert found["a.parquet"] == (9, (tmp_path / "a.parquet").stat().st_mtime_ns)


def test_errors_are_told_in_one_line_of_500_characters_at_most():
    assert reproduce._cell_error("ValueError", "no\n  light ") == "ValueError: no light"
    assert reproduce._cell_error("KeyboardInterrupt", "") == "KeyboardInterrupt"
    assert reproduce._cell_error("SelfieError", "There is\nno light.") == "There is no light."
    assert len(reproduce._one_line("x" * 501)) == 500 == len(reproduce._one_line("x" * 500))
    assert reproduce._in_words(OSError(28, "No space")) == "OSError: [Errno 28] No space"


@pytest.mark.parametrize("status", ["done", "failed"])
def test_of_a_good_and_a_failed_notebook_the_older_goes(tmp_path, status):
    for name in ("00_data.ipynb", "00_data.failed.ipynb"):
        (tmp_path / name).write_text("old")
    running = tmp_path / ".00_data.running.ipynb"
    paths = {"input_path": "/home/a.ipynb", "output_path": "/home/b.ipynb", "duration": 1}
    running.write_text(json.dumps({"cells": ["é"], "metadata": {"papermill": paths}}))
    reproduce._keep_notebook(running, "00_data", status)
    left = {path.name: path.read_text() for path in tmp_path.iterdir() if path != running}
    kept = "00_data.ipynb" if status == "done" else "00_data.failed.ipynb"
    assert set(left) == {kept} and "é" in left[kept] and "/home" not in left[kept]
    assert json.loads(left[kept])["metadata"]["papermill"] == {
        "input_path": kept, "output_path": kept, "duration": 1,
    }  # fmt: skip


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
        ("import time; time.sleep(600)", r"cell \[3\]: the cell took longer than cell_timeout"),
        (
            "from selfie_utils.core.errors import SelfieError; raise SelfieError('There is no light.')",
            r"failed, cell \[3\]: There is no light\. The notebook",
        ),
    ],
)
def test_whatever_ends_a_notebook_early_is_a_failure_told_in_time(project, source, told):
    write_notebook(project / "notebooks/00_data.ipynb", source, "print('not reached')")
    begun = time.monotonic()
    with pytest.raises(SelfieError, match=told):
        run("cell_timeout: 2", only=("00",))
    assert time.monotonic() - begun < 300  # a busy machine takes long to start a kernel
    assert (project / "runs/demo/notebooks/00_data.failed.ipynb").exists()


def test_a_kernel_works_in_the_root_sees_no_front_end_and_tells_no_path_of_this_machine(project, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "lab")
    monkeypatch.setenv("TQDM_NCOLS", "40")
    source = "import json, os, sys\n"
    source += "print('this is', 'told', file=sys.stderr)\n"
    source += "known = {k: os.environ.get(k) for k in ('JPY_SESSION_NAME', 'TQDM_NCOLS', 'TQDM_NROWS')}\n"
    source += "known['folder'] = os.getcwd()\n"
    source += "open('known.json', 'w').write(json.dumps(known))"
    write_notebook(project / "notebooks/00_data.ipynb", source)
    monkeypatch.chdir(project / "notebooks")
    told = io.StringIO()
    run_folder = reproduce.reproduce("parameters/demo.yaml", Options(only=("00",)), Narrator(told))
    assert run_folder == project / "runs/demo"
    assert json.loads((project / "known.json").read_text()) == {
        "JPY_SESSION_NAME": None, "TQDM_NCOLS": "96", "TQDM_NROWS": "24", "folder": str(project),
    }  # fmt: skip
    assert "    this is told\n" in told.getvalue()
    assert os.environ["JPY_SESSION_NAME"] == "lab" and os.environ["TQDM_NCOLS"] == "40"
    assert "TQDM_NROWS" not in os.environ
    assert str(project) not in (project / "runs/demo/notebooks/00_data.ipynb").read_text()


def test_our_environment_comes_back_after_an_error_too(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "lab")
    monkeypatch.delenv("TQDM_NCOLS", raising=False)
    before = dict(os.environ)
    with pytest.raises(KeyError), batch_environment():
        assert os.environ["TQDM_NCOLS"] == "96" and "JPY_SESSION_NAME" not in os.environ
        os.environ["MADE_MEANWHILE"] = "1"
        raise KeyError
    assert dict(os.environ) == before


def test_two_reproductions_do_not_share_a_run_folder(finished):
    lock = finished / "runs/demo/.lock"
    lock.with_name(".lock.process").write_text("999999")  # left by a process that was killed
    with (
        locked(lock, ""),
        pytest.raises(SelfieError, match=f"by process {os.getpid()}:"),
    ):
        run(only=("00",))
    assert plan(run(only=("02",)))["02_gallery"] == "skip unchanged"


@pytest.mark.parametrize(
    ("yaml", "options", "sentence"),
    [
        (
            "notebooks:\n  02_gallery: {rosw: 3}",
            {},
            "demo.yaml, 02_gallery: .*no parameter 'rosw': did you mean 'rows'",
        ),
        ("all: {sed: 1}", {}, "demo.yaml, all: no notebook has a parameter 'sed'"),
        (
            "notebooks:\n  02_gallery: {rows: many}",
            {},
            "rows: got 'many', expected a whole number, 1 or more, such as 2",
        ),
        ("notebooks:\n  02_gallery: {rows: 2015-01-01}", {}, "expected a whole number, 1 or more, such as 2"),
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
def test_bad_wishes_are_one_sentence_and_nothing_is_written(project, yaml, options, sentence):
    with pytest.raises(SelfieError, match=sentence) as error:
        run(yaml, **options)
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


def test_a_group_size_of_ones_own_goes_to_the_notebook_that_labels():
    assert reproduce.own_values(Options(group_size=20), {}) == {"00_data": {"group_size": 20}}
    assert reproduce.own_values(Options(), {}) == {}
    for odd in (0, 7):
        with pytest.raises(SelfieError, match=f"group_size is {odd}, expected an even number"):
            reproduce.own_values(Options(group_size=odd), {})


def test_a_notebook_that_fails_stops_only_those_that_read_what_it_writes(project):
    write_notebook(project / "notebooks/01_train.ipynb", "raise ValueError('no light')")
    write_notebook(project / "notebooks/08_label_choices.ipynb", "print(rows)")
    with pytest.raises(SelfieError, match=r"01_train failed, .*no light"):
        run()
    state = read_state(project / "runs/demo")["notebooks"]
    assert {name: entry["status"] for name, entry in state.items()} == {
        "00_data": "done", "01_train": "failed", "08_label_choices": "done",
    }  # fmt: skip
    assert (project / "runs/demo/reports/08_label_choices.html").exists()
