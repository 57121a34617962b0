"""Whatever a result depends on is noticed when it changes, even with the same name and size."""

import ast
import json
import os
import re
import sys
from functools import partial
from importlib import metadata
from pathlib import Path

import pytest
from toy_project import cell, make_project, write_notebook

from selfie_utils.core import code
from selfie_utils.core.errors import SelfieError
from selfie_utils.runner import freshness
from selfie_utils.runner.parameters import find_notebooks, read_parameter_file
from selfie_utils.runner.reproduce import Options, Reproduction, make_jobs, make_plan

PROJECT = Path(__file__).parents[2]


def edit(path):
    """Write other bytes of the same length into a file, a moment later."""
    before = path.read_bytes()
    path.write_bytes(bytes(255 - byte for byte in before))
    later(path)
    assert path.stat().st_size == len(before) > 0


def later(path):
    """Give a file a later date, as any edit does on a disk with a finer clock."""
    moment = path.stat().st_mtime_ns + 1000
    os.utime(path, ns=(moment, moment))


# --- fingerprints ------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path):
    for name in ("b/2.jpg", "a.txt", "b/1.jpg", "b/c/3.jpg", "empty"):
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("" if name == "empty" else name)
    return tmp_path / "folder"


@pytest.mark.parametrize("name", ["a.txt", "b/2.jpg", "b/c/3.jpg"])
def test_a_stamp_changes_with_any_file_of_a_folder_and_with_nothing_else(folder, name):
    before = freshness.stamp(folder)
    assert freshness.stamp(folder) == before
    (folder / "__pycache__").mkdir()
    (folder / "__pycache__" / "a.pyc").write_text("compiled")
    (folder / "b" / "nothing").mkdir()
    assert freshness.stamp(folder) == before
    file, moment = folder / name, (folder / name).stat().st_mtime_ns
    edit(file)
    stamps = [before, freshness.stamp(folder)]
    os.utime(file, ns=(moment, moment))
    assert freshness.stamp(folder) == before  # nothing but size and date is looked at
    file.write_text(name + "x")
    os.utime(file, ns=(moment, moment))
    stamps.append(freshness.stamp(folder))
    file.rename(file.with_name("other"))
    stamps.append(freshness.stamp(folder))
    file.with_name("other").unlink()
    stamps.append(freshness.stamp(folder))
    assert len(set(stamps)) == 5


def test_a_stamp_of_a_file_changes_with_its_size_and_its_date(tmp_path):
    file = tmp_path / "a.txt"
    stamps = [freshness.stamp(file)]  # there is none yet
    file.write_text("ab")
    stamps.append(freshness.stamp(file))
    later(file)
    stamps.append(freshness.stamp(file))
    moment = file.stat().st_mtime_ns
    file.write_text("abc")
    os.utime(file, ns=(moment, moment))
    stamps.append(freshness.stamp(file))
    assert len(set(stamps)) == 4


def test_of_a_huge_folder_only_the_first_files_are_looked_at(folder, monkeypatch):
    monkeypatch.setattr(freshness, "MOST_FILES", 3)  # a.txt, empty, b/1.jpg
    before = freshness.stamp(folder)
    edit(folder / "b/2.jpg")
    assert freshness.stamp(folder) == before
    edit(folder / "b/1.jpg")
    assert freshness.stamp(folder) != before


LIBRARY = {  # module -> source
    "__init__": "", "labels": "import math", "charts": "", "cli": "from {name} import labels, charts",
    "deep/__init__": "", "deep/people": "def draw():\n    from {name}.labels import math",
}  # fmt: skip


@pytest.fixture
def library(tmp_path, monkeypatch):
    """A library of its own name, which the fingerprint of a notebook's code looks at instead of ours."""
    name = f"library_of_{tmp_path.name}"
    for module, source in LIBRARY.items():
        path = tmp_path / name / f"{module}.py"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"# {module}\n{source.format(name=name)}")
    monkeypatch.syspath_prepend(tmp_path)
    for function in ("fingerprint", "imported_by"):
        monkeypatch.setattr(freshness, function, partial(getattr(code, function), package=name))
    return tmp_path / name


def start_anew():
    """Forget what this process has read of a library, as a new one has read nothing."""
    code.fingerprint.cache_clear()
    code._graph.cache_clear()


def code_of(notebook):
    start_anew()
    return freshness.code_fingerprint(notebook)


@pytest.mark.parametrize("name", freshness.KEY_PACKAGES)
def test_the_code_changes_with_the_version_of_every_key_package(tmp_path, library, monkeypatch, name):
    notebook = write_notebook(tmp_path / "a.ipynb", f"import {library.name}.charts")
    before, version = code_of(notebook), metadata.version
    assert code_of(notebook) == before
    monkeypatch.setattr(metadata, "version", lambda asked: "0.0" if asked == name else version(asked))
    assert code_of(notebook) != before


@pytest.mark.parametrize(
    ("cell", "changes_with"),
    [
        ("import {}.charts", {"__init__", "charts"}),
        ("from {} import charts, labels as good", {"__init__", "charts", "labels"}),
        ("from {}.deep.people import draw", {"__init__", "deep/__init__", "deep/people", "labels"}),
        ("if run_dir:\n    import {}.labels", {"__init__", "labels"}),
        ("%time import {}.charts", set()),  # what is no plain Python is not looked into
        ("import math", set()),
    ],
)
def test_the_code_of_a_notebook_is_what_its_cells_import_however_indirectly(
    tmp_path, library, cell, changes_with
):
    notebook = write_notebook(tmp_path / "a.ipynb", "1 + 1", cell.format(library.name))
    before, noticed = code_of(notebook), set()
    for module in LIBRARY:
        path = library / f"{module}.py"
        kept = path.read_bytes()
        path.write_bytes(kept + b"# edited")
        noticed |= {module} if code_of(notebook) != before else set()
        path.write_bytes(kept)
    assert noticed == changes_with and code_of(notebook) == before


def test_versions_are_those_that_are_installed(monkeypatch):
    found = freshness.versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    wanted = {"numpy", "pandas", "pillow", "matplotlib", "scikit-learn", "scipy", "onnxruntime", "torch",
              "torchvision", "timm", "openTSNE", "papermill", "pillow-heif"}  # fmt: skip
    assert set(found) == {"python"} | wanted
    import numpy

    assert found["numpy"] == numpy.__version__

    def gone(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", gone)
    assert set(freshness.versions().values()) == {found["python"], "missing"}


def imports_of(source):
    """The modules of our library that a piece of code imports."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("selfie_utils"):
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.startswith("selfie_utils")}
    return found


def test_a_notebook_of_ours_depends_on_what_it_imports_and_on_no_renderer_runner_or_command():
    files = {
        ".".join(path.relative_to(PROJECT).with_suffix("").parts): path
        for path in (PROJECT / "selfie_utils").rglob("*.py")
    }
    for notebook in sorted((PROJECT / "notebooks").glob("*.ipynb")):
        cells = [c for c in json.loads(notebook.read_text())["cells"] if c["cell_type"] == "code"]
        text = "\n".join("".join(c["source"]) for c in cells)
        waiting, seen = imports_of(text), set()
        while waiting:
            name = waiting.pop()
            if name in files and name not in seen:
                seen.add(name)
                waiting |= imports_of(files[name].read_text())
        found = {name for name in code.closure(code.imported_by(text)) if name in files}
        assert found == seen and len(seen) > 8, notebook.name
        assert {name.split(".")[1] for name in seen} <= {
            "core",
            "photos",
            "posts",
            "model",
            "analysis",
            "show",
            "apps",  # widgets, which import no command
        }
        assert not seen & {"selfie_utils.apps.cli", "selfie_utils.apps.cli_data", "selfie_utils.apps.init"}


def test_a_notebook_changes_with_its_cells_and_with_nothing_that_an_editor_adds(tmp_path):
    notebook = tmp_path / "a.ipynb"
    made = {"cells": [cell("# A", "markdown"), cell("a = 1", tags=("parameters",)), cell("b = 2")]}
    found = []

    def keep(content):
        notebook.write_text(json.dumps(content))
        found.append(freshness.source_fingerprint(notebook))

    keep(made)
    same = json.loads(json.dumps(made))
    same["cells"][2] |= {"outputs": [{"text": "2"}], "execution_count": 3, "id": "other"}
    same["cells"][2]["metadata"]["collapsed"] = True
    same["cells"][1]["source"] = ["a ", "= 1"]
    same["metadata"] = {"language_info": {"name": "python"}}
    keep(same)
    assert found[0] == found[1]
    for change in range(5):
        other = json.loads(json.dumps(made))
        if change == 0:
            other["cells"][2]["source"] = "b = 3"
        elif change == 1:
            other["cells"][0]["source"] = "# B"
        elif change == 2:
            other["cells"][2]["cell_type"] = "markdown"
        elif change == 3:
            other["cells"][1]["metadata"]["tags"] = []
        else:
            other["cells"].reverse()
        keep(other)
    assert len(set(found)) == 6
    for text in ("{", "{}", '{"cells": 3}', "[]"):
        notebook.write_text(text)
        with pytest.raises(SelfieError, match=r"a\.ipynb cannot be read as a notebook: restore the file"):
            freshness.source_fingerprint(notebook)


def test_only_parameters_that_name_a_file_or_folder_are_stamped(tmp_path, monkeypatch):
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path / "notebooks")  # paths count from the project
    (tmp_path / "mine.csv").write_text("a")
    (tmp_path / "3").write_text("a")
    (tmp_path / "runs/demo").mkdir(parents=True)
    values = {
        "posts": "mine.csv", "absolute": str(tmp_path / "notebooks"), "run_dir": "runs/demo", "rows": 3,
        "name": "none.csv", "empty": "", "long": "x" * 5000, "no": None, "list": ["mine.csv"], "on": True,
    }  # fmt: skip
    found = freshness.input_stamps(values)
    assert found == {
        "posts": freshness.stamp(tmp_path / "mine.csv"),
        "absolute": freshness.stamp(tmp_path / "notebooks"),
    }


def test_the_embedded_data_are_stamped_where_a_parameter_names_them(tmp_path, folder, monkeypatch):
    make_project(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(freshness, "EMBEDDED", folder)
    values = {"data": "demo", "folder": "demo", "name": "demonstration"}
    before = freshness.input_stamps(values)
    assert before == {"data": freshness.stamp(folder), "folder": freshness.stamp(folder)}
    edit(folder / "b/2.jpg")
    after = freshness.input_stamps(values)
    assert all(after[key] != before[key] for key in before)


def test_artefacts_that_a_notebook_reads_are_stamped_one_by_one(tmp_path):
    (tmp_path / "network").mkdir()
    for name in ("scores.parquet", "network/network.json", "map.parquet"):
        (tmp_path / name).write_text(name)
    reads = ("scores.parquet", "network/network.json", "truth.parquet")
    before = freshness.read_stamps(reads, tmp_path)
    assert list(before) == list(reads)
    edit(tmp_path / "map.parquet")
    assert freshness.read_stamps(reads, tmp_path) == before
    edit(tmp_path / "network/network.json")
    (tmp_path / "truth.parquet").write_text("new")
    after = freshness.read_stamps(reads, tmp_path)
    assert [after[name] != before[name] for name in reads] == [False, True, True]


PARTS = ("source", "parameters", "library", "kernel", "inputs", "upstream")


def test_a_notebook_that_never_ran_failed_or_lost_something_is_due(tmp_path):
    now = {part: part for part in PARTS}
    (tmp_path / "a.txt").write_text("")
    ran = {"fingerprint": dict(now), "outputs": ["a.txt"]}
    assert freshness.why_due(now, ran, tmp_path) is None
    assert freshness.why_due(now, None, tmp_path) == "has not run here"
    assert freshness.why_due(now, {"status": "failed"}, tmp_path) == "failed last time"
    lost = ran | {"outputs": ["a.txt", "figures/b.png", "c.txt"]}
    assert freshness.why_due(now, lost, tmp_path) == "figures/b.png is gone"


@pytest.mark.parametrize(
    ("part", "reason"),
    [
        ("source", "the notebook was edited"), ("parameters", "its parameters changed"),
        ("library", "code that it imports changed"), ("kernel", "another kernel"),
        ("inputs", "a file that it is given changed"), ("upstream", "what it reads was made anew"),
    ],
)  # fmt: skip
def test_every_part_of_a_fingerprint_that_changes_is_a_reason_of_its_own(tmp_path, part, reason):
    before = {"fingerprint": {one: one for one in PARTS}, "outputs": []}
    now = dict(before["fingerprint"]) | {part: "other"}
    assert freshness.why_due(now, before, tmp_path) == reason
    del before["fingerprint"][part]  # as an older version may have left it
    assert freshness.why_due(now, before, tmp_path) == reason


# --- the plan: one input after the other changes, with the same name and size -------------------------------

YAML = """
notebooks:
  00: {posts: mine.csv, data: data/imported}
  02: {posts: plain, data: data/plain}
"""
PARAMETERS = 'run_dir = "runs/demo"\nposts = "none"\ndata = "none"\nrows = 2'


IMPORTS = {
    "00_data": "from {} import labels", "01_train": "import {}.deep.people",
    "02_gallery": "import {}.charts", "08_label_choices": "import math",
}  # fmt: skip


@pytest.fixture
def project(tmp_path, library, monkeypatch):
    """A project in which all four notebooks have run, as far as the runner knows; no kernel is started."""
    root = tmp_path / "project"
    make_project(root, YAML)
    for name, imports in IMPORTS.items():
        sources = (imports.format(library.name), f"print('{name}')")
        write_notebook(root / "notebooks" / f"{name}.ipynb", *sources, parameters=PARAMETERS)
    for name in (
        "mine.csv", "plain/a.txt", "plain/deep/b.txt", "data/plain/posts.csv", "data/plain/images/1.jpg",
        "data/imported/posts.csv", "elsewhere/2014/1.jpg", "runs/demo/posts.parquet",
        "runs/demo/scores.parquet", "runs/demo/label_choices.parquet", "runs/demo/else.parquet",
    ):  # fmt: skip
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"# {name}")
    (root / "data/imported/import.json").write_text(json.dumps({"images": "../../elsewhere"}))
    kernel = root / "kernels" / "mine" / "kernel.json"
    kernel.parent.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    kernel.write_text(json.dumps({"argv": command, "display_name": "Mine", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(root))
    monkeypatch.chdir(root)
    work = at_work(root)
    for job in work.jobs:
        work.remember(job, {"fingerprint": work.fingerprint(job), "outputs": [], "defaults": job.defaults})
    assert plan(root) == {}
    return root


def at_work(root, **options):
    asked = read_parameter_file(root / "notebooks/parameters/demo.yaml")
    jobs = make_jobs(asked, find_notebooks(root), Options(**options))
    return Reproduction(root / "runs/demo", jobs, "mine", 10)


def plan(root, **options):
    start_anew()
    work = at_work(root, **options)
    return make_plan(work, [job.name for job in work.jobs], False)


ALL = ["00_data", "01_train", "02_gallery", "08_label_choices"]
GIVEN, CODE = "a file that it is given changed", "code that it imports changed"


def because(reason, *names):
    """A plan in which some notebooks run for a reason, and others after those that they read."""
    found = dict.fromkeys(names, reason)
    if "00_data" in found:
        found = {"01_train": "after 00_data", "08_label_choices": "after 00_data"} | found
    if "01_train" in found:
        found = {"02_gallery": "after 01_train"} | found
    return found


@pytest.mark.parametrize(
    ("name", "reason", "notebooks"),
    [
        ("mine.csv", GIVEN, ["00_data"]),
        ("data/imported/posts.csv", GIVEN, ["00_data"]),
        ("elsewhere/2014/1.jpg", GIVEN, ["00_data"]),  # a photo of the imported folder
        ("data/plain/posts.csv", GIVEN, ["02_gallery"]),
        ("data/plain/images/1.jpg", GIVEN, ["02_gallery"]),
        ("plain/a.txt", GIVEN, ["02_gallery"]),
        ("plain/deep/b.txt", GIVEN, ["02_gallery"]),
        ("runs/demo/posts.parquet", "what it reads was made anew", ALL[1:]),
        ("runs/demo/scores.parquet", "what it reads was made anew", ["02_gallery"]),
        ("runs/demo/label_choices.parquet", "", []),  # which nobody reads
        ("runs/demo/else.parquet", "", []),
    ],
)  # fmt: skip
def test_a_file_edited_to_the_same_size_is_named_by_the_plan(project, name, reason, notebooks):
    edit(project / name)
    assert plan(project) == because(reason, *notebooks)


@pytest.mark.parametrize(
    ("module", "notebooks"),
    [
        ("labels", ["00_data", "01_train"]),
        ("deep/people", ["01_train"]),
        ("charts", ["02_gallery"]),
        ("cli", []),
    ],
)
def test_a_module_edited_to_the_same_size_is_named_by_the_plan(project, library, module, notebooks):
    path = library / f"{module}.py"
    replaced(path, f"# {module[0]}", "# X")
    assert plan(project) == because(CODE, *notebooks)


def test_a_photo_that_is_new_or_gone_is_named_by_the_plan(project):
    (project / "elsewhere/2.jpg").write_text("new")
    assert plan(project) == because(GIVEN, "00_data")
    (project / "elsewhere/2.jpg").unlink()
    assert plan(project) == {}
    (project / "elsewhere/2014/1.jpg").rename(project / "elsewhere/1.jpg")
    assert plan(project) == because(GIVEN, "00_data")


def replaced(path, old, new):
    text = path.read_text()
    assert old in text and len(old) == len(new)
    path.write_text(text.replace(old, new))


def test_a_notebook_edited_to_the_same_size_is_named_by_the_plan(project):
    replaced(project / "notebooks/08_label_choices.ipynb", "print", "Print")
    assert plan(project) == {"08_label_choices": "the notebook was edited"}
    replaced(project / "notebooks/01_train.ipynb", "print", "Print")
    assert plan(project) == {
        "01_train": "the notebook was edited", "02_gallery": "after 01_train",
        "08_label_choices": "the notebook was edited",
    }  # fmt: skip


def test_a_parameter_file_edited_to_the_same_size_is_named_by_the_plan(project):
    file = project / "notebooks/parameters/demo.yaml"
    replaced(file, "{posts: plain", "{posts: other")
    assert plan(project) == {"02_gallery": "its parameters changed"}
    replaced(file, "{posts: other", "{posts: plain")
    file.write_text(YAML + "all: {rows: 2}")  # what is given counts, even where it is the default
    assert plan(project) == because("its parameters changed", *ALL)


def test_another_kernel_of_the_same_name_is_named_by_the_plan(project):
    replaced(project / "kernels/mine/kernel.json", "ipykernel_launcher", "ipykernel_Launcher")
    assert plan(project) == because("another kernel", *ALL)


def test_another_version_of_a_package_is_named_by_the_plan(project, monkeypatch):
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: re.sub(r"^\d", "0", version(name)))
    assert plan(project) == because(CODE, *ALL)


def test_what_the_command_line_changes_is_named_by_the_plan(project):
    from PIL import Image

    for name in ("good", "bad"):
        (project / f"own/images/{name}").parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8)).save(project / f"own/images/{name}.png")
    (project / "own/posts.csv").write_text("post_id,image,user_id,label\na,good.png,u,1\nb,bad.png,v,0\n")
    found = plan(project, data=str(project / "own"))
    assert found == because("its parameters changed", "00_data")


def test_everything_or_a_part_can_be_forced(project):
    work = at_work(project)
    assert make_plan(work, ["01_train", "08_label_choices"], True) == {
        "01_train": "asked for", "08_label_choices": "asked for",
    }  # fmt: skip
    edit(project / "mine.csv")
    work = at_work(project)
    assert make_plan(work, ["02_gallery"], False) == {}  # what is not asked for does not draw others in
    assert make_plan(work, ["00_data", "02_gallery"], False) == {
        "00_data": GIVEN, "02_gallery": "after 00_data",
    }  # fmt: skip
