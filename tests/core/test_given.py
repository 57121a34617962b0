"""What a notebook is given is checked by the notebook itself, whoever runs it."""

import sys
from types import SimpleNamespace

import pytest

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.given import check_given, literals
from selfie_utils.core.run_folder import open_run

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
    ("given", "sentence"),
    [
        ("rowz = 3", "the notebook has no parameter 'rowz': did you mean 'rows'?"),
        ("rows = 3\nnothing_like_it = 1", "no parameter 'nothing_like_it': it knows others, rows, share"),
        ('rows = "3"', "rows: got '3', expected a whole number such as 20"),
        ("rows = 2.5", "rows: got 2.5, expected a whole number such as 20"),
        ("share = True", "share: got True, expected a number such as 0.5"),
        ('others = "a"', "others: got 'a', expected a list"),
    ],
)
def test_what_is_unknown_or_of_another_kind_is_refused_before_anything_is_opened(history, given, sentence):
    history(DECLARED, "# Parameters\n" + given)
    with pytest.raises(SelfieError, match=sentence.replace("?", r"\?")):
        open_run("no such folder")


@pytest.mark.parametrize(
    "given",
    [
        "# Parameters\nrun_dir = 'x'\nrows = 3\nshare = 1\nothers = []",
        "# Parameters\nrows = None",
        "rowz = 3",
    ],
)
def test_what_fits_and_what_nobody_gave_passes(history, given):
    history(DECLARED, given, "anything = open")
    check_given()


def test_outside_a_kernel_nothing_is_looked_at(monkeypatch):
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    check_given()
    monkeypatch.delitem(sys.modules, "IPython")
    check_given()


def test_values_that_are_no_literals_fit_anything():
    assert literals("a = 1\nb = open\nc: int = 2\nd = -0.5\nprint(a)") == {"a": 1, "b": None, "d": -0.5}
