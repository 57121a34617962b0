"""The house keeps its order: every module has its line in the library's README, as its docstring says it."""

import ast
import json
from collections import defaultdict
from pathlib import Path

PROJECT = Path(__file__).parents[1]
LIBRARY = PROJECT / "selfie_utils"


def test_the_library_s_readme_has_a_line_for_each_module_and_for_nothing_else():
    told = [line for line in (LIBRARY / "README.md").read_text().splitlines() if line.startswith("| `")]
    expected = []
    for path in sorted(LIBRARY.rglob("*.py")):
        if path.name != "__init__.py":
            room = path.relative_to(LIBRARY).parts[0]
            name = path.relative_to(LIBRARY / room).with_suffix("")
            summary = ast.get_docstring(ast.parse(path.read_text())).splitlines()[0]
            expected.append(f"| `{name}` | {summary} |")
    assert sorted(told) == sorted(expected)


def test_tests_stand_in_the_folders_of_what_they_test():
    rooms = {path.name for path in LIBRARY.iterdir() if path.is_dir()}
    folders = {path.parent.name for path in (PROJECT / "tests").rglob("test_*.py")}
    assert folders <= rooms | {"tests", "notebooks"}


def test_few_lines_of_notebooks_stand_in_another_notebook_too():
    where, lines = defaultdict(set), []
    for path in (PROJECT / "notebooks").glob("*.ipynb"):
        cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
        for line in "\n".join("".join(cell["source"]) for cell in cells).splitlines():
            if line.strip() and not line.strip().startswith(("import ", "from ", "#")):
                where[line.strip()].add(path.stem)
                lines.append(line.strip())
    repeated = sum(len(where[line]) > 1 for line in lines)
    assert len(lines) > 300  # they were found
    assert repeated / len(lines) < 0.12
