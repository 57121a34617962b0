"""The run folder: what is in it, by name, and which notebook to run where it is not."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import (
    RunFolder,
    create_run,
    from_root,
    notebooks_root,
    open_run,
    project_root,
)

PROJECT = Path(__file__).parents[2]


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A clone with a folder below its notebooks."""
    (tmp_path / "clone/notebooks/parameters").mkdir(parents=True)
    (tmp_path / "clone/notebooks/deep").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    return tmp_path / "clone"


def test_the_root_is_the_nearest_folder_upwards_with_notebooks(project, monkeypatch):
    for folder in (".", "notebooks", "notebooks/deep"):
        monkeypatch.chdir(project / folder)
        assert project_root() == project and from_root("runs/x") == project / "runs/x"
    monkeypatch.chdir(project.parent)
    assert project_root() == project.parent  # nowhere: where we are
    (project / "notebooks/deep/notebooks").mkdir()
    monkeypatch.chdir(project / "notebooks/deep")
    assert project_root() == project  # notebooks of something else
    (project / "notebooks/deep/notebooks/parameters").mkdir()
    monkeypatch.chdir(project / "notebooks/deep/notebooks")
    assert project_root() == project / "notebooks/deep"


def test_notebooks_are_those_of_the_project_and_elsewhere_those_that_came_with_the_library(
    project, monkeypatch
):
    monkeypatch.chdir(project / "notebooks/deep")
    assert notebooks_root() == project
    monkeypatch.chdir(project.parent)
    assert notebooks_root() == PROJECT
    assert project_root() == project.parent  # paths count from here all the same


def test_absolute_paths_and_those_of_ones_home_are_left_as_they_are(project, monkeypatch):
    monkeypatch.setenv("HOME", str(project.parent))
    assert from_root("~/runs") == project.parent / "runs"
    assert from_root(project.parent / "x") == project.parent / "x"


@pytest.mark.parametrize(
    ("name", "maker"),
    [
        ("data.json", "00_data"), ("posts.parquet", "00_data"), ("faces.parquet", "00_data"),
        ("copies.parquet", "00_data"), ("labels.parquet", "00_data"), ("attributes.parquet", "00_data"),
        ("network/network.json", "01_train"), ("network/model.safetensors", "01_train"),
        ("training.csv", "01_train"), ("scores.parquet", "01_train"), ("features.npy", "01_train"),
        ("map.parquet", "06_tsne"), ("label_choices.parquet", "08_label_choices"),
        ("unheard_of.parquet", "00_data"),
    ],
)  # fmt: skip
def test_what_is_missing_names_the_notebook_that_makes_it(tmp_path, monkeypatch, name, maker):
    monkeypatch.chdir(PROJECT)
    run = create_run(tmp_path)
    with pytest.raises(SelfieError) as error:
        run.need(name)
    told = f"is missing: run notebooks/{maker}.ipynb on this run folder first."
    assert str(error.value) == f"{tmp_path / name} {told}"
    (run.root / name).parent.mkdir(exist_ok=True)
    (run.root / name).write_text("")
    assert run.need(name) == run.root / name


def test_a_run_folder_is_made_by_the_first_notebook_only(project):
    with pytest.raises(SelfieError, match=r"no run folder .*runs/x: run notebooks/00_data\.ipynb with"):
        open_run("runs/x")
    assert not (project / "runs").exists()
    assert create_run("runs/x") == create_run("runs/x") == open_run("runs/x") == RunFolder(project / "runs/x")
    (project / "file").write_text("")
    with pytest.raises(SelfieError, match="file is a file, not a folder: choose another run_dir"):
        create_run("file")
    with pytest.raises(SelfieError, match="no run folder"):
        open_run("file")


def test_tables_json_features_and_truth_come_back_as_they_were(tmp_path):
    run = RunFolder(tmp_path)
    table = pd.DataFrame({"post_id": ["b", "a"], "score": [0.5, np.nan]})
    run.write_table("scores", table)
    pd.testing.assert_frame_equal(run.read_table("scores"), table)
    run.write_json("data", {"images": "é", "rules": {"seed": 3}})
    assert run.read_json("data") == {"images": "é", "rules": {"seed": 3}}
    assert run.read_truth() is None
    run.write_table("truth", table)
    pd.testing.assert_frame_equal(run.read_truth(), table)
    np.save(tmp_path / "features.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    assert run.read_features().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert isinstance(run.read_features(), np.memmap)  # too large for memory, where there are millions
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_each_notebook_keeps_its_metrics_beside_those_of_the_others(tmp_path):
    run = RunFolder(tmp_path)
    assert run.read_metrics() == {}
    run.write_metrics("01_train", {"auc": 0.7, "old": 1})
    run.write_metrics("00_data", {"posts": 3})
    run.write_metrics("01_train", {"auc": 0.8})
    assert run.read_metrics() == {"00_data": {"posts": 3}, "01_train": {"auc": 0.8}}
    assert json.loads((tmp_path / "metrics.json").read_text()) == run.read_metrics()


@pytest.mark.parametrize("content", ["", "{", "[1]", "7"])
def test_damaged_metrics_are_told_and_written_anew_by_the_next_notebook(tmp_path, content):
    (tmp_path / "metrics.json").write_text(content)
    run = RunFolder(tmp_path)
    with pytest.raises(SelfieError, match=r"metrics.json is damaged: run `selfie reproduce --force`"):
        run.read_metrics()
    run.write_metrics("03_top_100", {"shown": 9})
    assert run.read_metrics() == {"03_top_100": {"shown": 9}}


def test_notebooks_that_end_at_once_lose_no_metrics(tmp_path):
    run = RunFolder(tmp_path)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: run.write_metrics(f"{i:02d}", {"is": i}), range(40)))
    assert run.read_metrics() == {f"{i:02d}": {"is": i} for i in range(40)}


@pytest.mark.parametrize("content", [b"", b"PAR1 and no more"])
def test_a_damaged_truth_is_told(tmp_path, content):
    (tmp_path / "truth.parquet").write_bytes(content)
    with pytest.raises(SelfieError, match=r"truth.parquet is damaged: run notebooks/00_data"):
        RunFolder(tmp_path).read_truth()


@pytest.mark.parametrize("content", [b"", b"{", b"PAR1 and no more"])
def test_what_is_damaged_names_the_notebook_that_makes_it(tmp_path, monkeypatch, content):
    monkeypatch.chdir(PROJECT)
    run = create_run(tmp_path)
    for name in ("data.json", "scores.parquet"):
        (tmp_path / name).write_bytes(content)
    with pytest.raises(SelfieError, match=r"data\.json is damaged: run notebooks/00_data\.ipynb on this run"):
        run.read_json("data")
    with pytest.raises(SelfieError, match=r"scores\.parquet is damaged: run notebooks/01_train\.ipynb on"):
        run.read_table("scores")
