"""What code a result depends on: the modules that it imports, those that they import, and so on."""

import subprocess
import sys

import pytest

from selfie_utils.core import code

# module -> source; {name} is the package's own name
TOY = {
    "__init__": "",
    "ranking": "from {name} import shares\nimport json",
    "shares": "import numpy",
    "training": "def train():\n    from {name}.deep.network import Network",
    "deep/__init__": "from {name} import settings",
    "deep/network": "",
    "deep/unused": "import {name}.ranking",
    "settings": "",
    "one": "import {name}.two",
    "two": "import {name}.one",
    "renderer": "import {name}.ranking, {name}.training",
}  # fmt: skip


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """A package of a name that no other test has, on the path."""
    name = f"toy_of_{tmp_path.name}"
    for module, source in TOY.items():
        path = tmp_path / name / f"{module}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source.format(name=name))
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / name


def closure(toy, *modules):
    """The closure of modules of the toy, all without the package's name; "" is the package."""
    found = code.closure([f"{toy.name}.{module}" for module in modules], toy.name)
    assert found == sorted(found)
    return {name.removeprefix(toy.name).lstrip(".") for name in found}


@pytest.mark.parametrize(
    ("modules", "needed"),
    [
        (["shares"], {"shares"}),
        (["ranking"], {"ranking", "shares"}),
        (["training"], {"training", "deep", "deep.network", "settings"}),  # inside a function, in a package
        (["deep.network"], {"deep", "deep.network", "settings"}),  # whose __init__ runs first
        (["deep"], {"deep", "settings"}),
        (["deep.unused"], {"deep", "deep.unused", "ranking", "shares", "settings"}),
        (["one"], {"one", "two"}),  # in a circle
        (["ranking", "settings"], {"ranking", "shares", "settings"}),
    ],
)
def test_the_closure_holds_what_is_imported_and_nothing_else(toy, modules, needed):
    assert closure(toy, *modules) == needed | {""}


def test_a_name_that_is_no_module_is_left_out(toy):
    assert closure(toy, "none", "shares.share", "shares") == {"", "shares"}
    assert code.closure(["json", "numpy", "selfie_utils.core.code"], toy.name) == []
    assert code.closure([], toy.name) == []
    nothing = code.fingerprint(package=toy.name)
    assert code.fingerprint(f"{toy.name}.none", package=toy.name) == nothing
    assert code.fingerprint(f"{toy.name}.shares", package=toy.name) != nothing


def fingerprint(toy, module="training"):
    """The fingerprint as a new process would find it."""
    code.fingerprint.cache_clear()
    code._graph.cache_clear()
    return code.fingerprint(f"{toy.name}.{module}", package=toy.name)


def test_a_fingerprint_changes_with_the_source_of_what_is_needed_and_of_nothing_else(toy):
    before, changed_with = fingerprint(toy), set()
    assert fingerprint(toy) == before and len(before) >= 16
    for module in TOY:
        path = toy / f"{module}.py"
        kept = path.read_bytes()
        path.write_bytes(kept + b"\n")
        changed_with |= {module} if fingerprint(toy) != before else set()
        path.write_bytes(kept)
    assert changed_with == {"__init__", "training", "deep/__init__", "deep/network", "settings"}
    assert fingerprint(toy) == before


def test_a_widgets_javascript_is_part_of_its_module(toy):
    before = fingerprint(toy)
    (toy / "settings.js").write_text("export default {}")
    after = fingerprint(toy)
    (toy / "settings.js").write_text("export default { render }")
    (toy / "other.js").write_text("")  # beside no module that is needed
    (toy / "ranking.js").write_text("")
    assert len({before, after, fingerprint(toy), fingerprint(toy, "shares")}) == 4
    (toy / "settings.js").unlink()
    assert fingerprint(toy) == before


def test_a_fingerprint_changes_where_a_module_is_imported_that_was_not(toy):
    before = fingerprint(toy, "shares")
    (toy / "shares.py").write_text("import numpy\n\ndef share():\n    from . import settings")
    after = fingerprint(toy, "shares")
    (toy / "settings.py").write_text("SEED = 1")
    assert len({before, after, fingerprint(toy, "shares")}) == 3


def test_code_that_moves_from_one_module_to_another_is_noticed(toy):
    before = fingerprint(toy, "one")
    one, two = (toy / "one.py").read_text(), (toy / "two.py").read_text()
    (toy / "one.py").write_text(two)
    (toy / "two.py").write_text(one)
    assert fingerprint(toy, "one") != before


def test_what_is_edited_while_a_process_runs_takes_no_part_in_it(toy):
    before = fingerprint(toy)
    (toy / "settings.py").write_text("SEED = 1")
    assert code.fingerprint(f"{toy.name}.training", package=toy.name) == before
    assert fingerprint(toy) != before


def test_two_processes_agree_on_a_fingerprint(toy):
    program = "import sys; from selfie_utils.core.code import fingerprint\n"
    program += "print(fingerprint(f'{sys.argv[1]}.training', package=sys.argv[1]))"
    for hashing in ("1", "2"):  # by which Python orders sets of texts
        done = subprocess.run(
            [sys.executable, "-c", program, toy.name], capture_output=True, text=True,
            env={"PYTHONPATH": str(toy.parent), "PYTHONHASHSEED": hashing},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == fingerprint(toy)


def test_what_a_piece_of_code_imports_is_read_without_running_it():
    source = """
import numpy, toy
import toy.deep.network as network
from toy import ranking, shares as parts
from toy.settings import *
from toys import other
from . import near
raise SystemExit
def f():
    from toy.training import train
"""
    assert code.imported_by(source, "toy") == {
        "toy", "toy.deep.network", "toy.ranking", "toy.shares", "toy.settings", "toy.settings.*",
        "toy.training", "toy.training.train",
    }  # fmt: skip
    assert code.imported_by("from selfie_utils.core import code") == {
        "selfie_utils.core", "selfie_utils.core.code",
    }  # fmt: skip
    with pytest.raises(SyntaxError):
        code.imported_by("%time 1")


def test_of_our_own_library_a_training_needs_no_chart_and_a_chart_no_training():
    training, charts = (
        code.closure([name]) for name in ("selfie_utils.model.training", "selfie_utils.show.charts")
    )
    assert {"selfie_utils.model.network", "selfie_utils.posts.labels", "selfie_utils.photos.pack"} <= set(
        training
    )
    assert not [name for name in training if name.split(".")[1:2] == ["show"]]
    assert not [name for name in charts if name.split(".")[1:2] == ["model"]]
