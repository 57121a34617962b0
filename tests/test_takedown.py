"""A post that is taken down is gone from everywhere, and does not come back."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.errors import SelfieError
from selfie_utils.importing import import_posts
from selfie_utils.sources import Source
from selfie_utils.takedown import find_folders, forget


def jpeg():
    out = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(out, "JPEG")
    return out.getvalue()


@pytest.fixture
def source(tmp_path):
    """Four posts of two users; p3 shows the photo of p2 again."""
    posts = pd.DataFrame({"post_id": ["p0", "p1", "p2", "p3"], "user_id": ["ann", "ann", "bob", "bob"]})
    posts["image"], posts["label"] = ["0.jpg", "1.jpg", "2.jpg", "2.jpg"], [0, 1, 0, 1]
    (tmp_path / "photos").mkdir()
    for name in posts["image"].unique():
        (tmp_path / "photos" / name).write_bytes(jpeg())
    return Source(posts, tmp_path / "photos")


@pytest.fixture
def run(tmp_path):
    """A run folder that has scored them all."""
    root = tmp_path / "runs" / "mine"
    for name in ("figures", "notebooks", "reports", "faces.log", "packed", "network"):
        (root / name).mkdir(parents=True)
        (root / name / "file").write_text("x")
    posts = pd.DataFrame({"post_id": ["p0", "p1", "p2", "p3"], "user_id": ["ann", "ann", "bob", "bob"]})
    posts["image"] = ["0.jpg", "1.jpg", "2.jpg", "2.jpg"]
    for name in ("posts", "labels", "scores", "map", "copies"):
        posts.to_parquet(root / f"{name}.parquet")
    for name in ("faces", "attributes"):
        pd.DataFrame({"image": ["0.jpg", "1.jpg", "2.jpg"]}).to_parquet(root / f"{name}.parquet")
    np.save(root / "features.npy", np.arange(8).reshape(4, 2))
    for name in ("data.json", "metrics.json", "state.json"):
        (root / name).write_text("{}")
    return root


def test_rows_photos_and_pictures_go_from_a_packed_folder_and_a_run(source, run, tmp_path):
    packed = tmp_path / "data" / "packed"
    import_posts("table", source, packed, pack=True)
    assert find_folders(tmp_path) == [packed, run]
    removed = forget(["p1", "p3"], find_folders(tmp_path))
    assert removed["photos"] == 1  # p2 still shows the photo of p3
    with zipfile.ZipFile(packed / "images.zip") as archive:
        assert sorted(archive.namelist()) == ["0.jpg", "2.jpg"] and archive.read("0.jpg") == jpeg()
    for path in [packed / "posts.parquet", *run.glob("*.parquet")]:
        table = pd.read_parquet(path)
        assert not {"p1", "p3"} & set(table.get("post_id", [])) and "1.jpg" not in set(table["image"])
        assert "2.jpg" in set(table["image"])
    assert np.load(run / "features.npy").tolist() == [[0, 1], [4, 5]]
    assert not any(
        (run / name).exists()
        for name in ("figures", "notebooks", "reports", "faces.log", "packed", "metrics.json")
    )
    assert (run / "network").exists() and (run / "data.json").exists()


def test_a_second_time_there_is_nothing_left_to_do(source, run, tmp_path):
    import_posts("table", source, tmp_path / "data" / "packed", pack=True)
    said = []
    assert forget(["p1"], find_folders(tmp_path), said.append)["rows"] > 0
    assert said[-1].startswith("Networks keep what they learned")
    assert forget(["p1"], find_folders(tmp_path), said.append) == {"rows": 0, "photos": 0}
    assert said[-1].startswith("None of p1 was found")


def test_photos_that_are_not_ours_stay_and_are_named(source, tmp_path):
    import_posts("table", source, tmp_path / "data" / "linked")
    said = []
    forget(["p1"], find_folders(tmp_path), said.append)
    assert (tmp_path / "photos" / "1.jpg").exists()
    assert f"{tmp_path / 'photos' / '1.jpg'} is not ours to delete" in said[0]
    import_posts("table", source, tmp_path / "data" / "linked")  # and it stays out
    assert "p1" not in set(pd.read_parquet(tmp_path / "data" / "linked" / "posts.parquet")["post_id"])


def test_a_user_takes_all_posts_along(source, run, tmp_path):
    import_posts("table", source, tmp_path / "data" / "packed", pack=True)
    forget(["@ann"], find_folders(tmp_path))
    assert set(pd.read_parquet(run / "scores.parquet")["post_id"]) == {"p2", "p3"}
    assert set(pd.read_parquet(tmp_path / "data" / "packed" / "posts.parquet")["user_id"]) == {"bob"}


def test_other_runs_keep_what_they_show(source, run, tmp_path):
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    forget(["p9"], [run])
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


def test_nowhere_to_look_is_an_error(tmp_path):
    with pytest.raises(SelfieError, match="nothing to look in"):
        forget(["p1"], find_folders(tmp_path))


def test_the_command_looks_where_it_is_told(source, run, selfie):
    done = selfie("forget", "p1", "--in", run)
    assert done.returncode == 0, done.stderr
    assert "Networks keep what they learned" in done.stdout
    assert "p1" not in set(pd.read_parquet(run / "posts.parquet")["post_id"])
