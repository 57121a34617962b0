"""A tiny project of three notebooks, for tests of the runner and of the report site."""

import json
from pathlib import Path

PARAMETERS = 'run_dir = "runs/demo"  # folder\nposts = "none"  # table\nrows = 2  # rows'
WRITE = "from pathlib import Path\nPath(run_dir).mkdir(parents=True, exist_ok=True)\n"
CELLS = {
    "00_data": [WRITE + 'Path(run_dir, "posts.parquet").write_text(str(rows))'],
    "01_train": [WRITE + 'Path(run_dir, "scores.parquet").write_text("scores")'],
    "02_gallery": ["print(rows)"],
}
# What a notebook of this name declares to read and to write.
DECLARED = {
    "00_data": ([], ["posts.parquet"]),
    "01_train": (["posts.parquet"], ["scores.parquet"]),
    "02_gallery": (["posts.parquet", "scores.parquet"], []),
    "08_label_choices": (["posts.parquet"], ["label_choices.parquet"]),
}


def cell(source: str, kind: str = "code", tags: tuple[str, ...] = ()) -> dict:
    """One cell as nbformat has it."""
    made = {
        "cell_type": kind,
        "source": source,
        "metadata": {"tags": list(tags)},
        "id": f"c{abs(hash(source))}",
    }
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def write_notebook(path: Path, *sources: str, parameters: str = PARAMETERS) -> Path:
    """Write a notebook: title, parameters, then `sources` as code cells; it declares what DECLARED says."""
    title = cell(f"# About {path.stem}\n\nA first sentence. A second one.", "markdown")
    cells = [title, cell(parameters, tags=("parameters",)), *map(cell, sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    reads, writes = DECLARED.get(path.stem, ([], []))
    metadata = {"kernelspec": kernel, "selfie": {"reads": reads, "writes": writes}}
    content = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def make_project(root: Path, yaml: str = "run_dir: runs/demo\n") -> Path:
    """Write the project and return its parameter file."""
    for name, sources in CELLS.items():
        write_notebook(root / "notebooks" / f"{name}.ipynb", *sources)
    file = root / "notebooks" / "parameters" / "demo.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(yaml, encoding="utf-8")
    return file
