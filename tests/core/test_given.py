"""What a notebook is given is checked by the notebook itself, whoever runs it."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.given import RULES, check_given, check_range, check_value, literals
from selfie_utils.core.run_folder import open_run

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
DECLARED = """run_dir = "runs/demo"  # the run folder
rows = 20  # rows
share = 0.5  # 0 to 1
others = ["a"]  # texts
"""


@pytest.fixture
def history(monkeypatch):
    """Let a kernel have run some cells."""

    def remember(*cells):
        shell = SimpleNamespace(user_ns={"In": ["", "import numpy", *cells]})
        monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))

    return remember


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("rowz = 3", "the notebook has no parameter 'rowz': did you mean 'rows'?"),
        ("rows = 3\nnothing_like_it = 1", "no parameter 'nothing_like_it': it knows others, rows, share"),
        ('rows = "3"', "rows: got '3', expected a whole number, 1 or more, such as 20"),
        ("rows = 2.5", "rows: got 2.5, expected a whole number, 1 or more, such as 20"),
        ("share = True", "share: got True, expected a number such as 0.5"),
        ('others = "a"', "others: got 'a', expected a list"),
    ],
)
def test_what_is_unknown_or_of_another_kind_is_refused_before_anything_is_opened(history, told, sentence):
    history(DECLARED, "# Parameters\n" + told)
    with pytest.raises(SelfieError, match=sentence.replace("?", r"\?")):
        open_run("no such folder")


@pytest.mark.parametrize(
    "told",
    [
        "# Parameters\nrun_dir = 'x'\nrows = 3\nshare = 1\nothers = []",
        "# Parameters\nshare = None",
        "rowz = 3",
    ],
)
def test_what_fits_and_what_nobody_gave_passes(history, told):
    history(DECLARED, told, "anything = open")
    check_given()


def test_outside_a_kernel_nothing_is_looked_at(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    check_given()
    monkeypatch.delitem(sys.modules, "IPython")
    check_given()


def test_values_that_are_no_literals_fit_anything():
    assert literals("a = 1\nb = open\nc: int = 2\nd = -0.5\nprint(a)") == {"a": 1, "b": None, "d": -0.5}


def test_what_somebody_types_into_a_notebook_is_checked_as_it_was_typed_last(history):
    for rows in ("0", '"many"', "2.5", "True", "None", "-3"):
        history("run_dir = 'x'\nrows = 5", f"run_dir = 'x'\nrows = {rows}", "run = open_run(run_dir)")
        with pytest.raises(
            SelfieError, match=r"^Parameters, rows: got .*, expected a whole number, 1 or more\.$"
        ):
            open_run("no such folder")
    history("run_dir = 'x'\nrows = 0", "run_dir = 'x'\nrows = 4 * 5", "rows = 0")
    check_given()


def plainly_possible(value):
    return value == value and abs(value) != float("inf")


@pytest.mark.parametrize("name", sorted(RULES))
@given(value=st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
                       st.lists(st.integers(-1, 1), max_size=3)))  # fmt: skip
def test_a_rule_takes_what_it_says_and_refuses_the_rest_in_one_sentence(name, value):
    rule, default = RULES[name].beside(1), 1
    if rule.fits(value):
        ends = (rule.least, rule.most, rule.above)
        assert (type(value) in (*rule.kinds, int) and type(value) is not bool) or bool in rule.kinds
        if ends != (None,) * 3 and isinstance(value, int | float):
            assert value >= (ends[0] or 0) and value <= (ends[1] or value) and plainly_possible(value)
        return
    with pytest.raises(SelfieError) as told:
        check_range("Parameters", name, value, default)
    assert str(told.value).count("expected") == 1 and "\n" not in str(told.value)[:30]


def test_photos_are_a_number_in_one_notebook_and_a_folder_in_another():
    for value, default in ((3, 10), ("mine", "test")):
        check_value("demo.yaml", "photos", value, {"photos": default})
        check_range("Parameters", "photos", value)  # typed: the default is gone
    for value, default, expected in ((3, "test", "a text"), ("mine", 10, "a whole number, 1 or more")):
        with pytest.raises(SelfieError, match=f"photos: got {value!r}, expected {expected}"):
            check_value("demo.yaml", "photos", value, {"photos": default})


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_defaults_of_every_notebook_are_possible(path):
    (cell,) = (
        c for c in json.loads(path.read_text())["cells"] if "parameters" in c["metadata"].get("tags", [])
    )
    defaults = literals("".join(cell["source"]))
    assert defaults
    for name, value in defaults.items():
        check_range(path.stem, name, value)
