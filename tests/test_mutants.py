"""The tool that looks for slips that no test notices: what it changes, and what it says of a toy project."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from slips import find_slips

TOOL = Path(__file__).with_name("mutants.py")
MODULE = '''"""A toy."""

from collections.abc import Sequence

MOST = 3


def is_full(room: Sequence[int]) -> bool:
    """Tell whether 3 or more are in a room."""
    return len(room) >= MOST


def largest_first(values):
    if not values:
        raise ValueError(f"{values} holds nothing, expected 1 or more")
    return sorted(values, reverse=True)
'''
TESTS = """from selfie_utils.toy import is_full, largest_first

def test_four_fill_a_room_and_two_do_not():
    assert is_full([1, 2, 3, 4]) and not is_full([1, 2])

def test_the_largest_is_first():
    assert largest_first([2, 1, 3]) == [3, 2, 1]

def test_red_anyway():
    assert False
"""
# Nobody looks at a room of three, or at nothing.
SURVIVORS = [
    "toy.py:5 constant\n```diff\n- MOST = 3\n+ MOST = 4\n```",
    "toy.py:10 comparison\n```diff\n- return len(room) >= MOST\n+ return len(room) > MOST\n```",
    "toy.py:14 condition replaced\n```diff\n- if not values:\n+ if False:\n```",
]
EQUIVALENT = """
- module: toy.py
  before: "return len(room) >= MOST"
  after: "return len(room) > MOST"
  why: an example
"""


def changes(source: str) -> set[str]:
    """Return what the lines of a source become."""
    return {slip.after for slip in find_slips(source)}


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a < b", {"a <= b", "a >= b"}),
        ("a <= b < c", {"a < b < c", "a > b < c", "a <= b <= c", "a <= b >= c"}),
        ("a is not b", {"a is b"}),
        ("a not in b", {"a in b"}),
        ("a and b", {"a or b", "((a))", "((b))"}),
        ("a - b", {"a + b"}),
        ("a //= b", {"a /= b"}),
        ("not a", {"(a)"}),
        ("a = -b", {"a = (b)"}),
        ("a = 2", {"a = 3"}),
        ("a = 0.5", {"a = 0.75"}),
        ("a = True", {"a = False"}),
        ("a = 'left'", {'a = "right"'}),
        ("a = max(b)", {"a = min(b)"}),
        ("a = b.argmin()", {"a = b.argmax()"}),
        ("a = sorted(b)", {"a = list(b)"}),
        ("a = b.sort_values()", {"a = b"}),
        ("a = np.sort(b)", {"a = b"}),
        ("a = f(b, seed=c)", {"a = f(b, )"}),
        ("a = f(seed=b, size=c)", {"a = f( size=c)", "a = f(seed=b, )"}),
        ("a = f(b, c)", {"a = f(c, b)"}),
        ("a = b[c:]", {"a = b[:]"}),
        ("a = b if c else d", {"a = b if True else d", "a = b if False else d"}),
        ("a = [b for b in c if d]", {"a = [b for b in c if True]"}),
        ("f(a)", {"pass"}),
        ("def f():\n    return a", {"return None"}),
        ("def f():\n    return a, b", {"return b, a"}),
        ("for a in b:\n    break", {"continue"}),
    ],
)
def test_each_kind_of_slip_is_made(source, expected):
    assert changes(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        '"""A docstring of 3 lines."""',
        "raise ValueError(1 + a)",
        'a = f"{b + 1} of {c}"',
        "assert a < b",
        "print(a - 1)",
        "a = isinstance(b, c)",
        "def f(a: Sequence[3]) -> Literal[4]: b",
        "a: tuple[1, 2]",
        "@cache(maxsize=3)\ndef f(): a",
        "a = zip(b, strict=True)",
    ],
)
def test_what_only_a_reader_would_notice_is_left_alone(source):
    assert changes(source) == set()


def test_a_slip_leaves_the_rest_as_it_was():
    source = "é = 'ä'  # größer\nif (\n    a  # one\n    < b\n):\n    c"
    (slip,) = (slip for slip in find_slips(source) if "<=" in slip.source)
    assert slip.source == source.replace("<", "<=") and slip.line == 3


def mutants(root: Path, *arguments: str) -> str:
    command = [sys.executable, str(TOOL), "--root", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """A project of one module whose tests forget something."""
    root = tmp_path_factory.mktemp("toy")
    for name, text in {"__init__.py": "", "toy.py": MODULE}.items():
        (root / "selfie_utils").mkdir(exist_ok=True)
        (root / "selfie_utils" / name).write_text(text)
    (root / "tests").mkdir()
    (root / "tests" / "test_toy.py").write_text(TESTS)
    (root / "tests" / "test_other.py").write_text("def test_that_would_notice_everything(): assert False")
    return root


@pytest.fixture(scope="module")
def said(toy) -> str:
    return mutants(toy, "toy")


def test_survivors_are_told_with_their_line_and_the_others_are_noticed(toy, said):
    table = (toy / ".mutants" / "table.md").read_text()
    assert said.endswith(table + "\n")
    assert all(survivor in table for survivor in SURVIVORS)
    # By hand: MOST, the comparison twice, None for each result, `not`, its condition twice, the sort, reverse
    # twice.
    assert "| toy.py | 11 | 8 | 3 | 0 | 73% |" in table and "| all | 11 | 8 | 3 | 0 | 73% |" in table


def test_what_is_red_anyway_notices_nothing(said):
    assert "red without any slip, left out: tests/test_toy.py::test_red_anyway" in said
    assert "test_other" not in said


def test_the_project_itself_is_left_alone(toy, said):
    assert (toy / "selfie_utils" / "toy.py").read_text() == MODULE
    assert {path.name for path in toy.iterdir()} == {"selfie_utils", "tests", ".mutants"}


def test_a_second_run_only_tries_what_was_edited_and_equivalents_are_told_apart(toy, said):
    found = toy / ".mutants" / "found.jsonl"
    before = found.read_text()
    (toy / "tests" / "equivalent_mutants.yaml").write_text(EQUIVALENT)
    assert "| all | 11 | 8 | 2 | 1 | 80% |" in mutants(toy, "toy") and found.read_text() == before
    with (toy / "tests" / "test_toy.py").open("a") as tests:
        tests.write("\n\ndef test_three_fill_a_room():\n    assert is_full([1, 2, 3])\n")
    assert "| all | 11 | 10 | 1 | 0 | 91% |" in mutants(toy, "toy")


def test_a_module_that_no_test_names_is_tested_by_those_of_its_importers(toy, tmp_path):
    toy = shutil.copytree(toy, tmp_path / "toy")
    package = toy / "selfie_utils"
    (package / "part.py").write_text("LEAST = 3\n\n\ndef enough(room):\n    return len(room) >= LEAST\n")
    (package / "whole.py").write_text("from selfie_utils.part import enough\n")
    (toy / "tests" / "test_whole.py").write_text(
        "from selfie_utils.whole import enough\n\n\n"
        "def test_three_are_enough():\n    assert enough('abc') and not enough('ab')\n"
    )
    assert "| part.py | 4 | 4 | 0 | 0 | 100% |" in mutants(toy, "part")


def test_the_same_seed_draws_the_same_sample_and_another_seed_another(toy, said):
    some = [mutants(toy, "toy", "--sample", "4", "--seed", seed) for seed in "112"]
    assert some[0] == some[1] != some[2] and some[0].count("toy.py:") >= 4
