"""A data folder is found with its photos, or what is missing is named."""

import ast
import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.posts import data_folder
from selfie_utils.posts.data_folder import (
    is_record,
    keep_truth,
    locate_celebrities,
    locate_twins,
    open_data,
    truth_beside,
)


def make(folder, *names, record=None):
    """Make empty files and, where the name ends so, folders."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.mkdir() if name.endswith("/") else path.write_text("")
    if record:
        (folder / "import.json").write_text(json.dumps({"images": str(record)}))


@pytest.mark.parametrize(
    ("names", "record", "posts", "images"),
    [
        (["posts.csv", "images/"], None, "posts.csv", "images"),
        (["posts.csv", "posts.parquet", "images.zip", "images/"], None, "posts.parquet", "images.zip"),
        (["posts.parquet", "images.zip", "images/", "here/"], "here", "posts.parquet", "here"),
        (["posts.parquet", "images/", "pack.zip"], "pack.zip", "posts.parquet", "pack.zip"),
    ],
)
def test_posts_and_photos_are_found_in_the_order_that_is_told(tmp_path, names, record, posts, images):
    make(tmp_path, *names, record=record)
    found = open_data(str(tmp_path))
    assert (found.posts, found.images) == (tmp_path / posts, tmp_path / images)
    assert is_record(tmp_path) == bool(record)


def test_photos_may_lie_outside_the_folder(tmp_path):
    make(tmp_path / "data", "posts.parquet", "images/", record=tmp_path / "photos")
    (tmp_path / "photos").mkdir()
    assert open_data(tmp_path / "data").images == tmp_path / "photos"


def test_a_relative_path_counts_from_the_project(tmp_path, monkeypatch):
    make(
        tmp_path,
        "notebooks/parameters/demo.yaml",
        "notebooks/posts.csv",
        "data/mine/posts.csv",
        "faces/a.jpg",
    )
    make(tmp_path / "data" / "mine", "images/")
    monkeypatch.chdir(tmp_path / "notebooks")
    assert open_data("data/mine").posts == tmp_path / "data" / "mine" / "posts.csv"
    assert locate_celebrities("faces") == tmp_path / "faces"


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "3"])
def test_a_damaged_record_is_told(tmp_path, content):
    make(tmp_path, "posts.csv", "images/")
    (tmp_path / "import.json").write_text(content)
    with pytest.raises(SelfieError, match=r"import\.json is damaged: import again into the same --out"):
        open_data(tmp_path)


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(
        SelfieError, match=r"no posts table in .*/nowhere: make such a folder with `selfie imp"
    ):
        open_data(tmp_path / "nowhere")
    make(tmp_path, "posts.parquet/", "posts.csv")  # a folder is no table
    missing = (
        f"The photos of {tmp_path} are not at {tmp_path}/images.zip or {tmp_path}/images: put them there"
    )
    with pytest.raises(SelfieError, match=missing):
        open_data(tmp_path)
    make(tmp_path, "images/", record="/gone")
    with pytest.raises(
        SelfieError, match=f"^The photos of {tmp_path} are not at /gone: put them there, or imp"
    ):
        open_data(tmp_path)


def test_the_demo_has_posts_photos_truth_and_celebrities():
    data = open_data("demo")
    assert data.posts.name == "posts.parquet" and data.images.name == "images.zip"
    assert truth_beside(data.posts).is_file()
    assert len(list(locate_celebrities("demo").glob("*.jpg"))) == 60


def test_twins_lie_beside_the_photos_or_nowhere(tmp_path):
    embedded = locate_twins(open_data("demo").images)
    pairs = pd.read_parquet(embedded.table)
    assert len(pairs) == 540 and pairs["change"].nunique() == 9 and embedded.images.is_file()
    make(tmp_path, "images.zip", "twins.zip")
    assert locate_twins(tmp_path / "images.zip") is None  # photos without a table
    make(tmp_path, "twins.parquet")
    assert locate_twins(str(tmp_path / "images.zip")).table == tmp_path / "twins.parquet"


def test_the_truth_is_kept_without_descriptions_and_cleared_away_for_real_posts(tmp_path):
    simulated, real = tmp_path / "simulated" / "posts.parquet", tmp_path / "real" / "posts.parquet"
    make(tmp_path, "simulated/posts.parquet", "real/posts.parquet")
    truth = pd.DataFrame({"post_id": ["a", "b"], "appeal": [1.5, -2.0], "description": ["{}", "{}"]})
    truth.to_parquet(simulated.with_name("truth.parquet"))
    run = RunFolder(tmp_path / "run")
    keep_truth(simulated, run)
    assert run.read_truth().to_dict("list") == {"post_id": ["a", "b"], "appeal": [1.5, -2.0]}
    truth.drop(columns="description").to_parquet(simulated.with_name("truth.parquet"))  # an older data set
    keep_truth(simulated, run)
    assert list(run.read_truth()) == ["post_id", "appeal"]
    assert truth_beside(real) is None
    for _ in range(2):
        keep_truth(real, run)
        assert run.read_truth() is None


def test_nothing_is_defined_twice():
    body = ast.parse(Path(data_folder.__file__).read_text(encoding="utf-8")).body
    names = Counter(target.id for node in body if isinstance(node, ast.Assign) for target in node.targets)
    assert "NO_CELEBRITIES" in names and set(names.values()) == {1}
