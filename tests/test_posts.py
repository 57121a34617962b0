"""The posts table is read whole or refused in one sentence."""

import pandas as pd
import pytest

from selfie_utils.errors import SelfieError
from selfie_utils.posts import read_posts

GOOD = {
    "image": ["a.jpg", "b.jpg"],
    "post_id": ["1", "2"],
    "user_id": ["u", "v"],
    "followers": [10, 20],
    "likes": [1, 2],
    "tags": [0, 3],
    "posted_at": ["2015-01-01", "2015-01-02"],
    "collected_at": ["2015-06-01", "2015-06-01"],
}


def write(tmp_path, **changes):
    table = pd.DataFrame({k: v for k, v in {**GOOD, **changes}.items() if v is not None})
    path = tmp_path / "posts.csv"
    table.to_csv(path, index=False)
    return path


def test_a_good_table_is_typed(tmp_path):
    posts = read_posts(write(tmp_path, mood=["happy", "sad"]))
    assert posts["likes"].dtype == "int64"
    assert str(posts["posted_at"].dt.tz) == "UTC"
    assert list(posts["post_id"]) == ["1", "2"]
    assert list(posts["mood"]) == ["happy", "sad"]


def test_parquet_and_csv_agree(tmp_path):
    from_csv = read_posts(write(tmp_path))
    from_csv.to_parquet(tmp_path / "posts.parquet")
    pd.testing.assert_frame_equal(read_posts(tmp_path / "posts.parquet"), from_csv)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"likes": None}, ["no column likes"]),
        ({"likes": [1, -2]}, ["likes", "row 1", "-2"]),
        ({"likes": [1, 2.5]}, ["likes", "row 1", "2.5"]),
        ({"followers": ["many", 2]}, ["followers", "row 0", "many"]),
        ({"posted_at": ["2015-01-01", "the other day"]}, ["posted_at", "row 1", "the other day"]),
        ({"collected_at": [3, 4]}, ["collected_at", "dates"]),
        ({"post_id": ["7", "7"]}, ["post_id", "row 1", "once"]),
        ({"image": ["a.jpg", "../b.jpg"]}, ["image", "row 1", "inside"]),
        ({"image": ["/etc/passwd", "b.jpg"]}, ["image", "row 0", "inside"]),
        ({"image": ["a.jpg", None]}, ["image", "row 1"]),
        ({"label": [1, 2]}, ["label", "row 1", "2"]),
        ({"split": ["train", "dev"]}, ["split", "row 1", "dev"]),
        ({c: [] for c in GOOD}, ["no rows"]),
    ],
)
def test_a_bad_table_is_named_in_one_sentence(tmp_path, changes, words):
    with pytest.raises(SelfieError) as error:
        read_posts(write(tmp_path, **changes))
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), str(error.value)


def test_own_labels_need_no_counts(tmp_path):
    changes = dict.fromkeys(["followers", "likes", "tags", "posted_at", "collected_at"])
    posts = read_posts(write(tmp_path, label=[0, 1], **changes))
    assert list(posts["label"]) == [0, 1]


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(SelfieError, match="no posts table"):
        read_posts(tmp_path / "none.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(SelfieError, match=r"bad\.parquet cannot be read"):
        read_posts(tmp_path / "bad.parquet")
