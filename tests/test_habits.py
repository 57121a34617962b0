"""Habits of the repository: links lead somewhere, README is short, files for tools are what tools expect."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

PROJECT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
PAGES = sorted(
    [*PROJECT.glob("*.md"), *PROJECT.glob("docs/*.md"), PROJECT / "figures" / "README.md"],
    key=lambda page: page.as_posix(),
)
WORDS_OF_README = 1200
PYTHONS = ["3.11", "3.12", "3.13"]


def links_of(page: Path) -> list[str]:
    """List the links of a Markdown page that stay inside the repository."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = re.findall(r"\]\(([^)\s]+)\)|<img src=\"([^\"]+)\"", text)
    return [link for pair in found for link in pair if link and "://" not in link]


def anchors_of(page: Path) -> set[str]:
    """Return the anchors that a repository's web page gives to the headings of a Markdown page."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def broken_links(page: Path) -> list[str]:
    """List the links of a page that lead nowhere."""
    broken = []
    for link in links_of(page):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors_of(target)):
            broken.append(link)
    return broken


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(PROJECT).as_posix())
def test_every_link_of_a_page_leads_somewhere(page):
    assert broken_links(page) == []


def test_a_broken_link_is_found(tmp_path):
    (tmp_path / "b.md").write_text("# One thing, said\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[1](b.md) [2](b.md#one-thing-said) [3](c.md) [4](b.md#two) ![5](d.png) [6](https://e.org)"
    )
    assert broken_links(page) == ["c.md", "b.md#two", "d.png"]


def test_every_page_of_docs_is_reached_from_readme():
    linked = {link.partition("#")[0] for link in links_of(PROJECT / "README.md")}
    assert {page.relative_to(PROJECT).as_posix() for page in (PROJECT / "docs").glob("*.md")} <= linked


def test_readme_is_short_and_shows_both_commands_before_its_first_heading():
    text = (PROJECT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) < WORDS_OF_README
    opening = text.split("\n## ")[0]
    assert all(part in opening for part in ("make reproduce", "make test", "figures/README.md", "![")), (
        opening
    )


def test_figures_are_small():
    assert sum(path.stat().st_size for path in (PROJECT / "figures").iterdir()) < 3e6


def lint(workflow: Path) -> subprocess.CompletedProcess:
    return subprocess.run([BIN / "actionlint", workflow], capture_output=True, text=True)


def test_the_workflows_are_right():
    for workflow in (PROJECT / ".github" / "workflows").glob("*.yml"):
        done = lint(workflow)
        assert done.returncode == 0, done.stdout


def test_a_slip_in_a_workflow_is_found(tmp_path):
    text = (PROJECT / ".github" / "workflows" / "ci.yml").read_text()
    (tmp_path / "ci.yml").write_text(text.replace("matrix.python", "matrix.pyhton"))
    assert lint(tmp_path / "ci.yml").returncode == 1


def test_the_workflow_runs_the_tests_on_every_python_and_publishes_the_report():
    jobs = yaml.safe_load((PROJECT / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == PYTHONS
    assert [step["run"] for step in jobs["test"]["steps"] if "run" in step] == ["bash .ci/run"]
    assert "make test" in (PROJECT / ".ci" / "run").read_text()
    assert "make reproduce" in [step.get("run") for step in jobs["reproduce"]["steps"]]
    assert jobs["publish"]["needs"] == "reproduce"


def test_the_citation_agrees_with_the_project():
    cited = yaml.safe_load((PROJECT / "CITATION.cff").read_text())
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert {"cff-version", "message", "title", "authors"} <= cited.keys()  # what the format asks for
    assert (cited["version"], cited["license"]) == (project["version"], project["license"])


def test_the_hook_for_notebooks_leaves_committed_ones_as_they_are_and_strips_a_run_one(tmp_path):
    hooks = {
        hook["id"]: hook["args"]
        for repo in yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
        for hook in repo["hooks"]
        if "args" in hook
    }
    before = (PROJECT / "notebooks" / "02_continuum.ipynb").read_text()
    ran = json.loads(before)
    code = next(cell for cell in ran["cells"] if cell["cell_type"] == "code")
    code |= {"execution_count": 3, "outputs": [{"output_type": "stream", "name": "stdout", "text": ["x"]}]}
    ran["metadata"]["papermill"] = {"duration": 1.0}
    for name, text in {"kept": before, "ran": json.dumps(ran, indent=1, ensure_ascii=False)}.items():
        (tmp_path / f"{name}.ipynb").write_text(text)
    files = sorted(tmp_path.glob("*.ipynb"))
    subprocess.run([BIN / "nbstripout", *hooks["nbstripout"], *files], check=True)
    assert [json.loads(file.read_text()) for file in files] == [json.loads(before)] * 2
