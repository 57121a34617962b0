"""The house rules of notebooks, held for every one that is found, and tried on bad ones."""

import ast
import copy
import json
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from io import StringIO
from itertools import groupby
from pathlib import Path

import pytest
import yaml
from papermill import inspect_notebook

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
PARAMETER_FILES = sorted((FOLDER / "parameters").glob("*.yaml"))
# The last ones ask the network of the run.
NEED_TORCH = {
    "00_data",
    "01_train",
    "07_celebrities",
    "10_optimal_crop",
    "11_what_it_rewards",
    "12_under_the_hood",
    "13_rate_yours",
}
LITERALS = (str, int, float, bool, type(None))
KEPT_METADATA = {"kernelspec", "language_info", "selfie"}
BANNED_WORDS = ("sys.path", "filterwarnings", "simplefilter", "pip install", "get_ipython")


def read(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell: dict) -> str:
    return "".join(cell["source"])


def code_cells(notebook: dict) -> list[dict]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def parameter_cells(notebook: dict) -> list[dict]:
    return [c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", [])]


def faults(name: str, notebook: dict) -> list[str]:
    """List how a notebook breaks the rules, in words; none for a good one."""
    try:
        for cell in code_cells(notebook):
            ast.parse(source(cell))
    except SyntaxError as error:
        return [f"is not plain Python: {error.text}"]
    checks = (stripped(notebook), declared(notebook), shape(name, notebook))
    checks += (parameters(notebook), code(notebook))
    return [fault for check in checks for fault in check]


def stripped(notebook: dict) -> Iterator[str]:
    """Find traces of a run."""
    if set(notebook["metadata"]) - KEPT_METADATA:
        yield f"keeps metadata {sorted(set(notebook['metadata']) - KEPT_METADATA)}"
    if notebook["metadata"].get("kernelspec", {}).get("name") != "python3":
        yield "has another kernelspec than python3"
    for cell in notebook["cells"]:
        if cell.get("outputs") or cell.get("execution_count") is not None:
            yield "keeps outputs or counts"
        if set(cell["metadata"]) - {"tags"}:
            yield f"keeps cell metadata {sorted(cell['metadata'])}"


def declared(notebook: dict) -> Iterator[str]:
    """Check that a notebook says what it reads and writes of the run folder: names of files, sorted."""
    told = notebook["metadata"].get("selfie")
    if not isinstance(told, dict) or set(told) != {"reads", "writes"}:
        yield "does not declare what it reads and writes"
        return
    for side, names in told.items():
        if not all(isinstance(name, str) and "." in name for name in names) or names != sorted(set(names)):
            yield f"declares {side} that are no sorted names of files"


def shape(name: str, notebook: dict) -> Iterator[str]:
    """Check the order of cells, and how many there are."""
    cells = notebook["cells"]
    count = len(
        list(
            groupby(enumerate(cells), lambda pair: "prose" if pair[1]["cell_type"] == "markdown" else pair[0])
        )
    )
    if not 12 <= count <= 30:  # prose of which a part has something to say only where it is true counts once
        yield f"has {count} cells, not 12 to 30"
    titles = [c for c in cells if c["cell_type"] == "markdown" and source(c).startswith("# ")]
    if titles != cells[:1]:
        yield "does not open with its one H1"
    if not any("\n## " in "\n" + source(c) for c in cells[3:] if c["cell_type"] == "markdown"):
        yield "has no H2 sections"
    if cells[-1]["cell_type"] != "code" or not writes_metrics(cells[-1], name):
        yield "does not end by writing its metrics"
    if parameter_cells(notebook) != cells[2:3]:
        yield "does not have its one parameters cell right after the imports"


def writes_metrics(cell: dict, name: str) -> bool:
    """Tell whether a cell calls `run.write_metrics` with the notebook's own name."""
    return any(
        isinstance(node, ast.Call)
        and ast.unparse(node.func) == "run.write_metrics"
        and ast.unparse(node.args[0]) == repr(name)
        for node in ast.walk(ast.parse(source(cell)))
    )


def parameters(notebook: dict) -> Iterator[str]:
    """Check that parameters are few plain literals, one a line, each with its comment."""
    for cell in parameter_cells(notebook):
        lines = ast.parse(source(cell)).body
        if not 1 <= len(lines) <= 11:
            yield f"has {len(lines)} parameters, not 1 to 11"
        if not source(cell).startswith("run_dir = "):
            yield "does not have run_dir as its first parameter"
        comments = {
            token.start[0]
            for token in tokenize.generate_tokens(StringIO(source(cell)).readline)
            if token.type == tokenize.COMMENT
        }
        for line in lines:
            if not (isinstance(line, ast.Assign) and is_plain(line.value)):
                yield f"has a parameter that is no plain literal: {ast.unparse(line)}"
            if line.lineno != line.end_lineno or line.lineno not in comments:
                yield f"has a parameter without a comment on its one line: {ast.unparse(line)}"


def is_plain(value: ast.expr) -> bool:
    """Tell whether an expression is a str, int, float, bool, None or a list of them."""
    try:
        value = ast.literal_eval(value)
    except ValueError:
        return False
    return all(isinstance(v, LITERALS) for v in (value if isinstance(value, list) else [value]))


def code(notebook: dict) -> Iterator[str]:
    """Check what code cells may hold."""
    with_imports = [c for c in code_cells(notebook) if has(c, ast.Import, ast.ImportFrom)]
    if with_imports != notebook["cells"][1:2]:
        yield "imports elsewhere than in its second cell"
    for cell in code_cells(notebook):
        text = source(cell)
        if len(text.splitlines()) > 20:
            yield f"has a code cell of {len(text.splitlines())} lines"
        if has(cell, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef):
            yield "defines what belongs in the library"
        yield from (f"uses {word}" for word in BANNED_WORDS if word in text)


def has(cell: dict, *kinds: type) -> bool:
    return any(isinstance(node, kinds) for node in ast.walk(ast.parse(source(cell))))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_keeps_the_house_rules(path):
    assert faults(path.stem, read(path)) == []


FACTS = {"truth", "labels", "likes"}  # what a run may have, besides figures


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_what_a_cell_needs_is_a_fact_or_a_figure_of_its_notebook(path):
    notebook = read(path)
    drawn = {
        ast.literal_eval(call.args[1])
        for cell in code_cells(notebook)
        for call in ast.walk(ast.parse(source(cell)))
        if isinstance(call, ast.Call)
        and ast.unparse(call.func).endswith(("save_figure", "explore", "save_film"))
    }
    needed = {tag for cell in notebook["cells"] for tag in cell["metadata"].get("tags", [])} - {"parameters"}
    assert all(tag.startswith("with:") for tag in needed)
    assert {tag.removeprefix("with:") for tag in needed} <= drawn | FACTS


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_papermill_sees_every_parameter_with_its_comment(path):
    names = [line.targets[0].id for line in ast.parse(source(parameter_cells(read(path))[0])).body]
    seen = inspect_notebook(str(path))
    assert list(seen) == names
    assert all(parameter["help"] for parameter in seen.values())


def cells_of_a_good_notebook() -> list[dict]:
    texts = ["# A question\n\nAnd what it reads.", "import math", 'run_dir = "runs/demo"  # the run folder']
    texts += ["pi = math.pi", "## 1. A section", "pi", "It is what it is.", "pi", "Prose.", "pi", "Prose."]
    texts += ['run.write_metrics(\n    "good",\n    {"pi": pi},\n)']
    kinds = ["code" if text[0] in "ipr" else "markdown" for text in texts]
    empty = {"markdown": {}, "code": {"outputs": [], "execution_count": None}}
    return [
        {"cell_type": kind, "metadata": {}, "source": [text], **copy.deepcopy(empty[kind])}
        for kind, text in zip(kinds, texts, strict=True)
    ]


@pytest.fixture
def good() -> dict:
    """A small notebook that keeps every rule."""
    cells = cells_of_a_good_notebook()
    cells[2]["metadata"]["tags"] = ["parameters"]
    told = {"reads": ["data.json", "scores.parquet"], "writes": []}
    return {"metadata": {"kernelspec": {"name": "python3"}, "selfie": told}, "cells": cells}


def test_a_good_notebook_has_no_faults(good):
    assert faults("good", good) == []


def write(cell: int, text: str):
    return lambda notebook: notebook["cells"][cell].update(source=[text])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (write(0, "A question"), "H1"),
        (write(4, "# A second title"), "H1"),
        (write(4, "1. A section"), "H2"),
        (write(1, "import math\n!pip install x"), "plain Python"),
        (write(1, "import math, sys\nsys.path.append('.')"), "sys.path"),
        (write(1, "import warnings\nwarnings.filterwarnings('ignore')"), "filterwarnings"),
        (write(3, "import os"), "imports elsewhere"),
        (write(3, "def f():\n    return 1"), "defines"),
        (write(3, "class C:\n    pass"), "defines"),
        (write(3, "\n".join(["pi"] * 21)), "21 lines"),
        (write(11, "print(pi)"), "metrics"),
        (write(11, 'run.write_metrics("other", {})'), "metrics"),
        (write(2, "run_dir = 'a'"), "comment"),
        (write(2, "run_dir = (\n    'a'  # a folder\n)"), "one line"),
        (write(2, "seed = 0  # a seed\nrun_dir = 'a'  # a folder"), "first parameter"),
        (write(2, "run_dir = 'a'  # a folder\nn = 2 * 3  # derived"), "plain literal"),
        (write(2, "run_dir = 'a'  # a folder\nn = (1, 2)  # a tuple"), "plain literal"),
        (write(2, "run_dir = 'a'  # a folder\nn = len('a')  # a call"), "plain literal"),
        (write(2, "run_dir = 'a'  # f\n" + "\n".join(f"p{i} = {i}  # p" for i in range(11))), "12 param"),
        (lambda n: n["cells"][2]["metadata"].clear(), "parameters cell"),
        (lambda n: n["cells"][5]["metadata"].update(tags=["parameters"]), "parameters cell"),
        (lambda n: n["cells"][5].update(execution_count=3), "counts"),
        (lambda n: n["cells"][5]["outputs"].append({"output_type": "stream"}), "outputs"),
        (lambda n: n["cells"][5]["metadata"].update(papermill={}), "cell metadata"),
        (lambda n: n["metadata"].update(papermill={}), "keeps metadata"),
        (lambda n: n["metadata"].update(kernelspec={"name": "mine"}), "kernelspec"),
        (lambda n: n["metadata"].pop("selfie"), "declare"),
        (lambda n: n["metadata"]["selfie"].pop("writes"), "declare"),
        (lambda n: n["metadata"]["selfie"].update(makes=[]), "declare"),
        (lambda n: n["metadata"]["selfie"].update(writes=["scores"]), "declares writes"),
        (lambda n: n["metadata"]["selfie"]["reads"].reverse(), "declares reads"),
        (lambda n: n["cells"].pop(6), "11 cells"),
        (lambda n: n["cells"].extend(n["cells"] * 2), "36 cells"),
    ],
)
def test_the_rules_find_a_fault_in_a_bad_notebook(good, spoil, fault):
    spoil(good)
    assert any(fault in found for found in faults("good", good))


def unknown_keys(settings: dict, known: dict[str, set[str]]) -> list[str]:
    """List what a parameter file sets and no notebook has."""
    everywhere = set().union(*known.values())
    unknown = [f"all: {key}" for key in settings.get("all", {}) if key not in everywhere]
    for name, given in settings.get("notebooks", {}).items():
        unknown += [f"{name}: {key}" for key in given or {} if key not in known.get(name, set())]
    return unknown


@pytest.fixture(scope="module")
def known_parameters() -> dict[str, set[str]]:
    """The parameters of each notebook."""
    return {path.stem: set(inspect_notebook(str(path))) for path in NOTEBOOKS}


@pytest.mark.parametrize("path", PARAMETER_FILES, ids=lambda path: path.stem)
def test_a_parameter_file_sets_only_what_its_notebooks_have(path, known_parameters):
    assert unknown_keys(yaml.safe_load(path.read_text()), known_parameters) == []


def test_misspelt_parameters_of_a_file_are_found(known_parameters):
    settings = {"all": {"sed": 0, "seed": 0}, "notebooks": {"06_tsne": {"rowz": 3}, "08_none": {"rows": 3}}}
    assert unknown_keys(settings, known_parameters) == ["all: sed", "06_tsne: rowz", "08_none: rows"]


def loads_torch(imports: dict[str, str]) -> str:
    """Run cells of imports in one fresh Python; return the name of the first that loads torch, or nothing."""
    program = (
        "import json, sys\n"
        "for name, cell in json.loads(sys.stdin.read()).items():\n"
        "    exec(cell)\n"
        "    if 'torch' in sys.modules: sys.exit(print(name))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], input=json.dumps(imports), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_gallery_notebooks_do_not_load_torch():
    galleries = [path for path in NOTEBOOKS if path.stem not in NEED_TORCH]
    assert len(galleries) >= 6
    assert loads_torch({path.stem: source(read(path)["cells"][1]) for path in galleries}) == ""


def test_a_notebook_that_loads_torch_is_found(tmp_path):
    stand_in = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import torch"
    (tmp_path / "torch.py").write_text("")
    assert loads_torch({"good": "import math", "heavy": stand_in}) == "heavy"
