"""Every origin ends in the same data folder; what is left out has its reason; the source stays as it is."""

import datetime
import io
import json
import os
import sqlite3
import tarfile
import tempfile
import unicodedata
import zipfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import open_images
from selfie_utils.posts.data_folder import open_data
from selfie_utils.posts.gather import open_gathered
from selfie_utils.posts.importers.folder import read_folder
from selfie_utils.posts.importers.mastodon import read_mastodon
from selfie_utils.posts.importers.origin import Source, drop_list, label_by_score
from selfie_utils.posts.importers.table import TableOptions, read_posts_table
from selfie_utils.posts.importers.ucf import read_ucf
from selfie_utils.posts.importing import import_posts
from selfie_utils.posts.labels import LabelRules, label_posts
from selfie_utils.posts.table import read_posts
from selfie_utils.posts.takedown import forget


def jpeg(colour="orange"):
    out = io.BytesIO()
    Image.new("RGB", (30, 20), colour).save(out, "JPEG")
    return out.getvalue()


def photos(folder, names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(jpeg())


def imported(kind, source, out, **options):
    """Import and read back: posts, dropped as pairs, summary."""
    summary = import_posts(kind, source, out, **options)
    dropped = pd.read_parquet(out / "dropped.parquet")
    return read_posts(open_data(out).posts), list(dropped.itertuples(index=False, name=None)), summary


# --- UCF ---------------------------------------------------------------------------------------------------


# As the data set's own README lists them, in the order of the columns.
ATTRIBUTES = [
    "partial_faces", "is_female", "baby", "child", "teenager", "youth", "middle_age", "senior", "white",
    "black", "asian", "oval_face", "round_face", "heart_face", "smiling", "mouth_open", "frowning",
    "wearing_glasses", "wearing_sunglasses", "wearing_lipstick", "tongue_out", "duck_face", "black_hair",
    "blond_hair", "brown_hair", "red_hair", "curly_hair", "straight_hair", "braid_hair", "showing_cellphone",
    "using_earphone", "using_mirror", "braces", "wearing_hat", "harsh_lighting", "dim_lighting",
]  # fmt: skip


def write_ucf(folder, rows, more=()):
    """Write the data set's own layout, with a photo for each row."""
    (folder / "images").mkdir(parents=True)
    lines = [" ".join(row) for row in rows]
    (folder / "selfie_dataset.txt").write_text("\n".join([*lines, *more]) + "\n\n")
    photos(folder / "images", [f"{row[0]}.jpg" for row in rows])


@pytest.fixture
def ucf(tmp_path):
    """21 rows of the right form, their scores in no order, five of a wrong one, a photo missing."""
    rng = np.random.default_rng(0)
    scores = rng.permutation(21)  # row 10 is not in the middle of them
    rows = [
        [f"{i:05d}_abc_{i}", f"{1 + scores[i] * 0.3:.3f}", *map(str, rng.integers(-1, 2, len(ATTRIBUTES)))]
        for i in range(21)
    ]
    wrong = ["short 4.2 1 1 -1", " ".join(["two", "3", *["1"] * 34, "2", "0"])]
    wrong += [
        " ".join([name, score, *["1"] * 36]) for name, score in (("a", "many"), ("b", "nan"), ("c", "inf"))
    ]
    folder = tmp_path / "Selfie-dataset"
    write_ucf(folder, rows, wrong)
    lost = next(row[0] for row in rows if float(row[1]) == 1)
    (folder / "images" / f"{lost}.jpg").unlink()
    return folder, rows, lost


def test_ucf_becomes_halves_by_score_with_annotations(ucf, tmp_path):
    folder, rows, lost = ucf
    posts, dropped, summary = imported("ucf", read_ucf(folder), tmp_path / "out")
    (middle,) = (row[0] for row in rows if float(row[1]) == 4)  # of 1 to 7
    assert dropped == [
        ("short.jpg", "row has 5 columns, expected 38"),
        ("two.jpg", "an attribute is 2, expected -1, 0 or 1"),
        ("a.jpg", "popularity is many, expected a number"),
        ("b.jpg", "popularity is nan, expected a number"),
        ("c.jpg", "popularity is inf, expected a number"),
        (f"{middle}.jpg", "in the middle of the scores"),
        (f"{lost}.jpg", "photo is missing"),
    ]
    assert len(posts) == 19 and summary[0] == "ucf: 19 posts by 19 users"
    assert summary[-1] == (
        "Labels are halves by popularity score. Users are unknown: each photo counts as one of its own."
    )
    by_id = posts.set_index("post_id")
    for name, score, *flags in (row for row in rows if row[0] not in (middle, lost)):
        row = by_id.loc[name]
        assert row["popularity"] == float(score) and row["label"] == (float(score) > 4)
        assert (row["image"], row["user_id"]) == (f"{name}.jpg", name)
        known = dict(zip(ATTRIBUTES, flags, strict=True))
        gender = {"1": "female", "-1": "male", "0": None}[known.pop("is_female")]
        assert row["presented_gender"] == gender or (gender is None and pd.isna(row["presented_gender"]))
        for attribute, flag in known.items():
            assert pd.isna(row[attribute]) if flag == "0" else row[attribute] == (flag == "1"), attribute
    assert "is_female" not in posts


def test_of_an_even_number_of_ucf_rows_none_is_in_the_middle(tmp_path):
    rows = [
        [name, score, *["0"] * 36] for name, score in zip("dbac", ("-2.5", "1e1", "3", "-7"), strict=True)
    ]
    write_ucf(tmp_path, rows)
    source = read_ucf(tmp_path)
    assert source.posts.set_index("post_id")["label"].to_dict() == {"d": 0, "b": 1, "a": 1, "c": 0}
    assert source.dropped.empty and source.images == tmp_path / "images"


def test_ucf_is_found_from_the_folder_around_it_and_nowhere_else(ucf, tmp_path):
    assert len(read_ucf(ucf[0].parent).posts) == 20
    with pytest.raises(SelfieError, match=r"no selfie_dataset\.txt in .*give the folder Selfie-dataset"):
        read_ucf(tmp_path / "elsewhere")


def test_a_table_with_as_many_wrong_rows_as_right_ones_is_not_that_of_ucf(tmp_path):
    right, table = " ".join(["a", "1", *["0"] * 36]), tmp_path / "selfie_dataset.txt"
    for lines, reason in {
        "": "empty",
        "image,score\na,1\n": "row has 1 columns, expected 38",
        f"{right}\nwrong 1\n": "row has 2 columns, expected 38",
    }.items():
        table.write_text(lines)
        with pytest.raises(SelfieError, match=f"is not the table of the UCF Selfie data set: {reason}"):
            read_ucf(tmp_path)
    table.write_text(f"{right}\n{right.replace('a', 'b')}\nwrong 1\n")
    assert len(read_ucf(tmp_path).posts) == 2
    table.write_bytes(table.read_bytes().replace(b"wrong", b"f\xfcr"))  # of another encoding
    assert read_ucf(tmp_path).dropped["image"].tolist() == ["für.jpg"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
@pytest.mark.parametrize("sep", [" ", ",", ", ", "\t", "   "])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_table_of_ucf_is_read_however_it_was_saved_again(tmp_path, encoding, sep, end):
    rows = [[f"é{i}", f"{i}.5", *["1.0", "-1", "0.0"] * 12] for i in range(4)]
    header = ["name", "popularity", *ATTRIBUTES]
    photos(tmp_path / "images", [f"é{i}.jpg" for i in range(4)])
    text = end.join(sep.join(row) for row in [header, *rows]) + end
    (tmp_path / "selfie_dataset.txt").write_bytes(text.encode(encoding))
    source = read_ucf(tmp_path)
    assert source.posts["post_id"].tolist() == [f"é{i}" for i in range(4)] and source.dropped.empty
    assert source.posts["label"].tolist() == [0, 0, 1, 1] and (source.posts["partial_faces"]).all()


# --- tables ------------------------------------------------------------------------------------------------


def write_csv(folder, **columns):
    path = folder / "mine.csv"
    pd.DataFrame(columns).to_csv(path, index=False)
    photos(folder, [str(name) for name in columns.get("image", columns.get("file", [])) if name])
    return path


COUNTS = {
    "file": ["a.jpg", "b.jpg"], "favourites": [3, 4], "fans": [100, 200],
    "when": ["2015-01-01", "2015-01-02"], "seen": ["2015-06-01", "2015-06-01"],
}  # fmt: skip
MAP = ("image=file", "likes=favourites", "followers=fans", "posted_at=when", "collected_at=seen")


def read(folder, options=None, **columns):
    """Write a table and read it as a source."""
    return read_posts_table(write_csv(folder, **columns), options)


def test_columns_of_any_name_are_mapped(tmp_path):
    path = write_csv(tmp_path, **COUNTS, mood=["gay", "sad"])
    posts, dropped, summary = imported(
        "table", read_posts_table(path, TableOptions(columns=MAP)), tmp_path / "out"
    )
    assert posts[["image", "post_id", "user_id", "likes", "followers", "tags", "mood"]].values.tolist() == [
        ["a.jpg", "a", "a", 3, 100, 0, "gay"], ["b.jpg", "b", "b", 4, 200, 0, "sad"],
    ]  # fmt: skip
    assert posts["posted_at"].dt.day.tolist() == [1, 2] and (posts["collected_at"].dt.month == 6).all()
    assert not dropped
    assert summary == [
        "table: 2 posts by 2 users",
        f"photos: 2 found, 0 missing, in {tmp_path}",
        "posted: 2015-01-01 to 2015-01-02",
        "labels: to be made from likes and followers",
        "groups: 2 posts; a group needs 100: give --group-size 2 below, or label by a column of your own "
        "here (--map label=COLUMN or --score COLUMN)",
        "dropped: 0",
        "post_id is the file name.",
        "There is no user_id: each post counts as one of a user of its own.",
        "There are no tags: audience is the number of followers alone.",
    ]


def test_columns_may_be_swapped_and_one_in_the_way_makes_room(tmp_path):
    columns = {"image": ["a.jpg"], "likes": [1], "followers": [2], "views": [3], "a=b": ["x"]}
    swapped = read(
        tmp_path, TableOptions(columns=("likes=followers", "followers=likes", "mood=a=b")), **columns
    )
    assert swapped.posts[["likes", "followers", "views", "mood"]].values.tolist() == [["2", "1", 3, "x"]]
    replaced = read(tmp_path, TableOptions(columns=("likes=views",)), **columns).posts
    assert replaced["likes"].tolist() == ["3"] and "views" not in replaced
    assert replaced.columns.tolist()[:3] == ["image", "followers", "likes"]


def test_what_the_table_knows_is_not_made_up(tmp_path):
    source = read(
        tmp_path, image=["a.jpg", "b.jpg"], post_id=[8, 9], user_id=["u", "u"], likes=[1, 2], followers=5,
        tags=[3, 4], posted_at="2015-01-01", collected_at="2015-06-01",
    )  # fmt: skip
    assert source.posts[["post_id", "user_id", "tags"]].astype(str).values.tolist() == [
        ["8", "u", "3"], ["9", "u", "4"],
    ]  # fmt: skip
    assert source.notes == [] and source.dropped.empty and source.images == tmp_path
    assert source.dropped.dtypes.astype(str).to_dict() == {"image": "str", "reason": "str"}


def test_photos_of_the_same_name_in_other_folders_are_called_by_their_path(tmp_path):
    source = read(tmp_path, image=["x/a.jpg", "y/a.jpg", "y\\b.jpg", "x/a.jpg"], label=[1, 0, 1, 1])
    ids = ["x/a.jpg", "y/a.jpg", "b", "x/a.jpg#2"]
    assert source.posts["post_id"].tolist() == source.posts["user_id"].tolist() == ids
    assert source.posts["image"].tolist() == ["x/a.jpg", "y/a.jpg", "y/b.jpg", "x/a.jpg"]  # as Windows writes
    told = "post_id is the file name, with its path and suffix where several photos are called so."
    assert source.notes[0] == told


PATHS = st.from_regex(r"([xy]/)?[ab]\.(jpg|png)(\.png)?", fullmatch=True)


@settings(max_examples=20, deadline=None)
@given(st.lists(PATHS, min_size=1, max_size=6, unique=True), st.randoms(use_true_random=False))
def test_ids_made_of_names_differ_and_do_not_hang_on_the_order_of_rows(names, random):
    with tempfile.TemporaryDirectory() as folder:
        columns = {"likes": 1, "followers": 9}
        posts = read(Path(folder), image=names, **columns).posts
        mixed = read(Path(folder), image=random.sample(names, len(names)), **columns).posts
    ids = posts.set_index("image")["post_id"].to_dict()
    assert mixed.set_index("image")["post_id"].to_dict() == ids
    assert len(set(ids.values())) == len(names)
    stems = [name.rpartition("/")[2].rpartition(".")[0] for name in names]
    for name, stem in zip(names, stems, strict=True):
        assert ids[name] in (stem, name)
        assert ids[name] == stem or len(set(stems)) < len(stems)


ONE_SUFFIX = st.from_regex(r"([xy]/)?[abc]\.(jpg|png)", fullmatch=True)


@settings(max_examples=20, deadline=None)
@given(st.lists(ONE_SUFFIX, min_size=2, max_size=6, unique=True), st.data())
def test_a_post_that_was_taken_down_stays_out_and_no_other_whatever_rows_come(names, data):
    """Although its id may be another one then: of the file's name, or of its path."""
    first = data.draw(st.lists(st.sampled_from(names), min_size=2, unique=True))
    with tempfile.TemporaryDirectory() as folder:
        out, columns = Path(folder, "out"), {"likes": 1, "followers": 9}
        import_posts("table", read(Path(folder), image=first, **columns), out)
        gone = pd.read_parquet(out / "posts.parquet").set_index("post_id")["image"].iloc[:1]
        forget(gone.index, [out], lambda told: None)
        import_posts("table", read(Path(folder), image=names, **columns), out)
        assert set(pd.read_parquet(out / "posts.parquet")["image"]) == set(names) - set(gone)


def test_rows_that_name_one_photo_are_counted_where_nobody_says_that_they_are_posts(tmp_path):
    columns = {"image": ["a.jpg", "b.jpg", "a.jpg", "a.jpg"], "likes": [1, 2, 3, 4], "followers": 100}
    told = "2 rows name a photo that stands above already, such as a.jpg: each row counts as a post."
    path = write_csv(tmp_path, **columns)
    assert told in read_posts_table(path).notes
    path = write_csv(tmp_path, **columns, post_id=["p", "q", "r", "s"])
    assert told not in read_posts_table(path).notes


def test_a_name_that_several_photos_bear_is_not_called_missing(tmp_path):
    photos(tmp_path, ["x/a.jpg", "y/A.jpg", "x/b.jpg"])
    path = write_csv(tmp_path, image=["a.jpg", "b.jpg", "c.jpg"], likes=[1, 2, 3], followers=100)
    for name in "abc":
        (tmp_path / f"{name}.jpg").unlink()
    posts, dropped, _ = imported("table", read_posts_table(path), tmp_path / "out")
    assert posts["image"].tolist() == ["x/b.jpg"]
    assert dropped == [
        ("a.jpg", "several photos are called so: write the folder before its name"),
        ("c.jpg", "photo is missing"),
    ]


def test_the_day_the_table_was_saved_stands_for_collected_at(tmp_path):
    path = write_csv(tmp_path, image=["a.jpg"], likes=[1], followers=[2], posted_at=["2015-01-01"])
    saved = datetime.datetime(2015, 10, 25, 23, 30, tzinfo=datetime.UTC).timestamp() + 0.75
    os.utime(path, (saved, saved))
    source = read_posts_table(path)
    assert source.posts["collected_at"].tolist() == ["2015-10-25T23:30:00+00:00"]
    assert source.notes[-1] == (
        "There is no collected_at: the day the table was saved, 2015-10-25, stands for it."
    )


def test_whole_numbers_that_a_gap_made_floats_stay_names(tmp_path):
    images, numbers = ["a.jpg", "b.jpg", "c.jpg"], ["12", "13", None]
    options = TableOptions(columns=("post_id=number",))
    source = read(tmp_path, options, image=images, number=numbers, user_id="u", label=1)
    posts, dropped, _ = imported("table", source, tmp_path / "out")
    assert posts["post_id"].tolist() == ["12", "13"] and dropped == [("c.jpg", "post_id is not a name")]
    halves = TableOptions(columns=("user_id=number",))
    source = read(tmp_path, halves, image=images, number=[1.5, 2, 3], post_id=["12", "13", "14"], label=1)
    assert source.posts["user_id"].tolist() == ["1.5", "2.0", "3.0"]  # as it is written


def test_photos_may_lie_elsewhere(tmp_path):
    photos(tmp_path / "there", ["a.jpg"])
    path = tmp_path / "mine.csv"
    path.write_text("image,label\na.jpg,1\n")
    source = read_posts_table(path, TableOptions(images=tmp_path / "there"))
    assert imported("table", source, tmp_path / "out")[0]["label"].tolist() == [1]
    with pytest.raises(SelfieError, match=r"There is no table .*no\.csv: give the path"):
        read_posts_table(tmp_path / "no.csv")


def test_photos_without_likes_labels_or_score_can_only_be_scored(tmp_path):
    for columns in ({}, {"label": [None, None]}):
        posts, _, summary = imported(
            "table", read(tmp_path, image=["a.jpg", "b.jpg"], **columns), tmp_path / "out"
        )
        assert posts["label"].isna().all() and "labels: none" in summary
    note = "There are neither likes nor labels nor a score: these photos can only be scored."
    source = read(tmp_path, image=["a.jpg"], post_id=["1"], user_id=["u"])
    assert source.notes == [note] and list(source.posts) == ["image", "post_id", "user_id", "label"]


def test_a_column_gender_becomes_the_annotation_that_the_galleries_ask_for(tmp_path):
    source = read_posts_table(
        write_csv(tmp_path, image=["a.jpg", "b.jpg"], label=[1, 0], gender=["male", "female"])
    )
    assert source.posts["presented_gender"].tolist() == ["male", "female"] and "gender" not in source.posts
    assert source.notes[-1] == "gender is taken for presented_gender, an annotation of the photo."
    both = write_csv(tmp_path, image=["a.jpg"], label=[1], gender=["x"], presented_gender=["male"])
    assert read_posts_table(both).posts["presented_gender"].tolist() == ["male"]


@pytest.mark.parametrize(
    "words", [["good", "bad"], [1, 0], [1.0, 0.0], ["True", "False"], ["Yes", "no "], [" GOOD", "0"]]
)
def test_labels_of_ones_own_may_be_words(tmp_path, words):
    path = write_csv(tmp_path, image=["a.jpg", "b.jpg"], verdict=words)
    posts, _, summary = imported(
        "table", read_posts_table(path, TableOptions(columns=("label=verdict",))), tmp_path / "out"
    )
    assert posts["label"].tolist() == [1, 0] and "labels: 1 good, 1 bad" in summary


def test_labels_of_other_words_are_an_error_and_rows_without_one_are_left_out(tmp_path):
    """Left out one by one, posts of one label only would be missing."""
    images = ["a.jpg", "b.jpg", "c.jpg"]
    with pytest.raises(
        SelfieError, match=r"Column label holds good \(1\), great \(1\) and bad \(1\), expected"
    ):
        read(tmp_path, image=images, label=["good", "great", "bad"])
    source = read(tmp_path, image=images, label=["good", None, "bad"])
    posts, dropped, _ = imported("table", source, tmp_path / "out")
    assert posts["label"].tolist() == [1, 0] and dropped == [("b.jpg", "label is empty")]
    with pytest.raises(SelfieError, match="Column label holds good or nothing: where nothing means"):
        read(tmp_path, image=images, label=["good", None, "good"])


def test_a_score_makes_halves_or_outer_shares(tmp_path):
    stars = [5, 1, 4, 2, 3, 9, "inf", 8, 7, 6, None]
    path = write_csv(tmp_path, image=[f"{i}.jpg" for i in range(11)], stars=stars, label=1)
    halves, dropped, _ = imported(
        "table", read_posts_table(path, TableOptions(score="stars")), tmp_path / "out"
    )
    assert dropped == [
        ("6.jpg", "stars is no number"),
        ("10.jpg", "stars is no number"),
        ("0.jpg", "in the middle of the scores"),
    ]
    assert (halves["label"] == (halves["stars"] > 5)).all() and len(halves) == 8
    source = read_posts_table(path, TableOptions(score="stars", outer=0.25))
    assert not any("share their" in note for note in source.notes)
    outer, _, _ = imported("table", source, tmp_path / "out")
    assert outer.set_index("stars")["label"].to_dict() == {9: 1, 8: 1, 1: 0, 2: 0}


def test_equal_scores_are_counted(tmp_path):
    stars = [3, 1, 3, 2, 1, 3, 7]
    source = read(tmp_path, TableOptions(score="stars"), image=[f"{i}.jpg" for i in range(7)], stars=stars)
    assert "5 posts share their stars with another; on the border, lots decided." in source.notes


@pytest.mark.parametrize("stars", [[3, 3, 3, 3], [2.5, None, 2.5, 2.5], ["3", "3.0", "3", "three"]])
def test_a_score_that_all_posts_share_labels_none(tmp_path, stars):
    with pytest.raises(SelfieError, match=r"^Every post has the same stars, (3|2\.5): nothing to label by"):
        read(tmp_path, TableOptions(score="stars"), image=[f"{i}.jpg" for i in range(4)], stars=stars)


def test_up_to_half_of_the_scores_may_be_missing(tmp_path):
    images = [f"{i}.jpg" for i in range(4)]
    source = read(tmp_path, TableOptions(score="stars"), image=images, stars=["x", 3, "inf", -1])
    assert source.posts.set_index("image")["label"].to_dict() == {"1.jpg": 1, "3.jpg": 0}
    with pytest.raises(SelfieError, match="Column stars holds 'x', expected numbers to score by"):
        read(tmp_path, TableOptions(score="stars"), image=images, stars=["x", 3, "inf", "-inf"])


@pytest.mark.parametrize("odd", [np.inf, -np.inf, np.nan])
def test_a_score_that_is_not_finite_is_none_in_a_table_of_numbers_too(tmp_path, odd):
    photos(tmp_path, [f"{i}.jpg" for i in range(3)])
    posts = pd.DataFrame({"image": [f"{i}.jpg" for i in range(3)], "stars": [odd, 3, 1]})
    posts.to_parquet(tmp_path / "posts.parquet")
    source = read_posts_table(tmp_path / "posts.parquet", TableOptions(score="stars"))
    assert source.posts.set_index("image")["label"].to_dict() == {"1.jpg": 1, "2.jpg": 0}


def test_photos_may_be_named_by_numbers_with_a_fraction(tmp_path):
    photos(tmp_path, ["1.5.jpg", "2.0.jpg"])
    pd.DataFrame({"image": [1.5, 2.0], "label": [1, 0]}).to_parquet(tmp_path / "posts.parquet")
    assert read_posts_table(tmp_path / "posts.parquet").posts["image"].tolist() == ["1.5.jpg", "2.0.jpg"]


@pytest.mark.parametrize("odd", ["inf", "-inf", "nan", ""])
def test_a_score_that_is_not_finite_is_none(tmp_path, odd):
    source = read(
        tmp_path, TableOptions(score="stars"), image=[f"{i}.jpg" for i in range(3)], stars=[odd, 3, 1]
    )
    assert source.posts.set_index("image")["label"].to_dict() == {"1.jpg": 1, "2.jpg": 0}
    assert source.dropped.to_numpy().tolist() == [["0.jpg", "stars is no number"]]


def score(values, outer=0.5):
    values = pd.Series(values, dtype="float64")
    labels = label_by_score(values, values.index.astype(str).to_series(), outer)
    assert labels.dtype == "Int64"
    return labels.fillna(-1).tolist()


def test_scores_may_be_below_zero_and_close_to_each_other():
    assert score([-3, -1, 0, -2]) == [0, 1, 1, 0]
    assert score([1.000001, 1.000003, 1.000002, 1]) == [0, 1, 1, 0]
    assert score([5e8 - 1, 5e8, -5e8, 1 - 5e8]) == [1, 1, 0, 0]


@pytest.mark.parametrize(
    ("count", "outer", "each"),
    # 100 x 0.29 is 28.999... in floats
    [(2, 0.5, 1), (7, 0.5, 3), (9, 1 / 3, 3), (8, 1 / 3, 2), (100, 0.29, 29), (10, 0.1, 1), (10, 0.4, 4)],
)
def test_an_outer_share_is_counted_on_each_side(count, outer, each):
    assert score(range(count), outer) == [0] * each + [-1] * (count - 2 * each) + [1] * each


@pytest.mark.parametrize("outer", [0, -0.1, 0.51, 1])
def test_an_outer_share_lies_above_0_and_at_most_at_a_half(outer):
    with pytest.raises(SelfieError, match=f"outer is {outer:g}, expected a share above 0 and at most 0.5"):
        score(range(10), outer)


@pytest.mark.parametrize(("count", "outer"), [(1, 0.5), (9, 0.1), (0, 0.5)])
def test_too_few_scores_are_told(count, outer):
    with pytest.raises(
        SelfieError, match=f"^{count} posts have a score, too few to label the outer {outer:.0%}"
    ):
        score(range(count), outer)


@settings(max_examples=25)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=40), st.randoms(use_true_random=False))
def test_labels_by_score_are_halves_in_order_whatever_the_order_of_rows(scores, random):
    ids = pd.Series([f"p{i}" for i in range(len(scores))])
    scores = pd.Series(scores)
    labels = label_by_score(scores, ids)
    good, bad = (scores[labels == side] for side in (1, 0))
    assert len(good) == len(bad) == len(scores) // 2 and good.min() >= bad.max()
    order = random.sample(range(len(scores)), len(scores))
    assert label_by_score(scores[order], ids[order]).sort_index().equals(labels)


def test_bad_rows_are_dropped_with_their_reason_and_the_rest_is_kept(tmp_path):
    images = ["a.jpg", "b.jpg", "c.jpg", None, "../e.jpg", "f.jpg", "g.jpg", "h.jpg"]
    path = write_csv(
        tmp_path, image=images, likes=[1, "many", 3, 4, 5, -6, 7, 8], followers=100,
        posted_at=["2015-01-01"] * 6 + ["soon", "2015-01-01"], collected_at="2015-06-01",
    )  # fmt: skip
    (tmp_path / "c.jpg").unlink()
    posts, dropped, summary = imported("table", read_posts_table(path), tmp_path / "out")
    assert posts["image"].tolist() == ["a.jpg", "h.jpg"]
    assert dropped == [
        ("row 3", "row names no photo"),
        ("b.jpg", "likes is not a whole number, zero or more"),
        ("../e.jpg", "image is not a path inside the image folder"),
        ("f.jpg", "likes is not a whole number, zero or more"),
        ("g.jpg", "posted_at is not a date such as 2015-10-25 or 2015-10-25T18:30:00Z"),
        ("c.jpg", "photo is missing"),
    ]
    assert "photos: 2 found, 1 missing, in " + str(tmp_path) in summary


@pytest.mark.parametrize(
    ("columns", "options", "sentence"),
    [
        ({"photo": ["a.jpg"]}, TableOptions(), "has no column image: say which one .*it has photo"),
        ({"image": ["a.jpg"]}, TableOptions(columns=("likes=favorites",)), "no column 'favorites'"),
        (
            {"image": ["a.jpg"], "favourites": [1]},
            TableOptions(columns=("likes=favorites",)),
            "did you mean 'favourites'",
        ),
        ({"image": ["a.jpg"]}, TableOptions(columns=("likes",)), "--map 'likes': expected OURS=THEIRS"),
        ({"image": ["a.jpg"], "stars": [1]}, TableOptions(score="star"), "did you mean 'stars'"),
        ({"image": ["a.jpg"], "stars": ["x"]}, TableOptions(score="stars"), "holds 'x', expected numbers"),
        ({"image": ["a.jpg"], "stars": [1]}, TableOptions(score="stars"), "^1 posts have a score, too few"),
        (
            {"image": ["a.jpg"], "stars": [1]},
            TableOptions(score="stars", outer=0.7),
            "expected a share above 0",
        ),
        ({"image": ["a.jpg"], "likes": [1]}, TableOptions(), "has no column followers: it needs"),
        (
            {"image": ["a.jpg"], "hearts": [1], "stars": [2]},
            TableOptions(columns=("likes=hearts", "likes=stars")),
            "--map likes is given twice: one column can be likes, name that alone",
        ),
        (
            {"image": ["a.jpg"], "label": ["great"]},
            TableOptions(),
            r"Column label holds great \(1\), expected 1",
        ),
    ],
)
def test_a_table_that_does_not_fit_is_told_in_one_sentence(tmp_path, columns, options, sentence):
    path = write_csv(tmp_path, **columns)
    with pytest.raises(SelfieError, match=sentence) as error:
        import_posts("table", read_posts_table(path, options), tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("mapped", [True, False])
def test_ids_of_18_digits_stay_whole_where_one_is_missing(tmp_path, mapped):
    ids = [f"12345678901234567{i}" for i in range(9)] + [None]
    options = TableOptions(columns=("user_id=owner",) if mapped else ())
    source = read(tmp_path, options, image=[f"{i}.jpg" for i in range(10)], owner=ids, label=[1, 0] * 5)
    posts, _, _ = imported("table", source, tmp_path / "out")
    assert posts["user_id" if mapped else "owner"].dropna().astype(str).tolist() == ids[:9]


@pytest.mark.parametrize("column", ["user_id", "post_id", "mood"])
def test_words_that_look_like_nothing_are_names(tmp_path, column):
    names = ["NA", "None", "null", "nan", "N/A", "NULL", "-", "NaN", "n/a", "<NA>", "#N/A", "inf"]
    source = read(tmp_path, image=[f"{i}.jpg" for i in range(12)], label=[1, 0] * 6, **{column: names})
    posts, dropped, _ = imported("table", source, tmp_path / "out")
    assert posts[column].tolist() == names and not dropped


@pytest.mark.parametrize("picture", [b"\xff\xd8\xff" * 10**5, {"bytes": b"\xff" * 10**5, "path": "a.jpg"}])
def test_pictures_inside_a_table_are_told_in_a_short_sentence(tmp_path, picture):
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"image": [picture], "label": [1]}).to_parquet(path)
    with pytest.raises(
        SelfieError, match="holds the pictures themselves, expected their file names"
    ) as error:
        read_posts_table(path)
    assert len(str(error.value)) < 200


def test_where_no_column_is_called_likes_one_that_may_be_is_named(tmp_path):
    source = read(tmp_path, image=["a.jpg", "b.jpg"], Smiling=["7", "8"], **{"Like count": ["1", "2"]})
    assert source.notes[-1].endswith("scored (where Like count says it: --map likes='Like count').")


def test_ids_that_have_lost_digits_are_refused(tmp_path):
    images = ["a.jpg", "b.jpg"]
    source = read(tmp_path, image=images, label=[1, 0], user_id=["1.23457E+17", "u"])
    with pytest.raises(
        SelfieError,
        match=r"user_id, row 0: got '1\.23457E\+17', expected a name: a long number was shortened",
    ):
        import_posts("table", source, tmp_path / "out")
    path = tmp_path / "mine.parquet"
    for ids, whole in (([2**53 - 1, None], True), ([2**53, None], False)):
        pd.DataFrame({"image": images, "label": [1, 0], "user_id": ids}).to_parquet(path)
        if whole:
            assert imported("table", read_posts_table(path), tmp_path / "out")[0]["user_id"].tolist() == [
                str(2**53 - 1)
            ]
        else:
            with pytest.raises(SelfieError, match="so long a number has lost digits"):
                import_posts("table", read_posts_table(path), tmp_path / "out")


@pytest.mark.parametrize("odd", ["1,2500", "10K+", "12.50", "~9000", "1.2 B", "一万"])
def test_counts_of_another_style_are_not_left_out_however_few_they_are(tmp_path, odd):
    images, likes = [f"{i}.jpg" for i in range(30)], [*range(29), odd]
    source = read(tmp_path, image=images, likes=likes, followers=9)
    with pytest.raises(SelfieError, match=r"column likes, row 29: got .*, expected"):
        import_posts("table", source, tmp_path / "out")


def test_a_table_without_dates_is_labelled_by_likes(tmp_path):
    images = [f"{i}.jpg" for i in range(30)]
    source = read(tmp_path, image=images, followers=100, likes=range(30), tags=1)
    posts, _, summary = imported("table", source, tmp_path / "out")
    assert not {"posted_at", "collected_at"} & set(posts) and not any(
        line.startswith("posted") for line in summary
    )
    assert "There is no posted_at: every post counts as old enough for its likes to settle." in summary
    assert (
        "groups: 30 posts; a group needs 100: give --group-size 10 below, or label by a column of your own "
        "here (--map label=COLUMN or --score COLUMN)"
    ) in summary
    faces = pd.DataFrame({"image": images, "faces": 1})
    labels, funnel = label_posts(posts, faces, LabelRules(group_size=10))
    good = labels.loc[labels["label"] == 1, "post_id"].astype(int)
    assert len(good) == 15 and not any("online" in step for step in funnel.index)


@pytest.mark.parametrize(("count", "said"), [(99, True), (100, False)])
def test_a_hundred_posts_are_enough_for_a_group(tmp_path, count, said):
    source = read(tmp_path, image=[f"{i}.jpg" for i in range(count)], followers=100, likes=range(count))
    summary = import_posts("table", source, tmp_path / "out")
    assert any(line.startswith("groups: 99 posts; a group needs 100") for line in summary) == said


def test_found_means_readable(tmp_path):
    contents = {"a.jpg": jpeg(), "b.jpg": b"", "c.jpg": b"version https://git-lfs.github.com/spec/v1\n",
                "d.jpg": b"<html>404</html>", "e.jpg": jpeg()}  # fmt: skip
    path = write_csv(tmp_path, image=[*contents, "f.jpg"], label=[1, 0] * 3)
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "f.jpg").unlink()
    posts, dropped, summary = imported("table", read_posts_table(path), tmp_path / "out")
    assert (
        posts["image"].tolist() == ["a.jpg", "e.jpg"]
        and f"photos: 2 found, 1 missing, in {tmp_path}" in summary
    )
    assert [(name, reason.split(":")[0]) for name, reason in dropped] == [
        ("b.jpg", "photo can't be read"), ("c.jpg", "photo can't be read"), ("d.jpg", "photo can't be read"),
        ("f.jpg", "photo is missing"),
    ]  # fmt: skip


def test_photos_are_found_under_the_names_that_a_table_gives_them(tmp_path):
    photos(tmp_path / "in", ["deep/0001.JPG", "deep/0002.JPG", "deep/0010.JPG"])
    path = tmp_path / "mine.csv"
    path.write_text("Image;Likes;followers\nhttps://x.example/1.jpg?w=9;1.250;9\n2;880;9\n10;7;9\n")
    source = read_posts_table(path, TableOptions(images=tmp_path / "in"))
    posts, _, _ = imported("table", source, tmp_path / "out")
    assert posts["image"].tolist() == ["deep/0001.JPG", "deep/0002.JPG", "deep/0010.JPG"]
    assert posts["likes"].tolist() == [1250, 880, 7]
    assert (
        "3 photos have another name in the table, such as 'https://x.example/1.jpg?w=9' for deep/0001.JPG."
        in (source.notes)
    )


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 1), (3, 5), ("no", "Yes"), ("bad", "GOOD ")])
def test_a_score_of_two_values_is_a_label(tmp_path, low, high):
    source = read(tmp_path, TableOptions(score="s"), image=["a.jpg", "b.jpg", "c.jpg"], s=[low, low, high])
    assert source.posts["label"].tolist() == [0, 0, 1] and source.notes[-1].startswith(
        "s has two values, and is a label"
    )


def test_a_score_of_three_values_is_none(tmp_path):
    source = read(tmp_path, TableOptions(score="s"), image=[f"{i}.jpg" for i in range(4)], s=[-1, 0, 0, 1])
    assert sorted(source.posts["label"]) == [0, 0, 1, 1]


@pytest.mark.parametrize("labels", [[1, -1], ["+1", "-1"], ["True", "false"], ["Yes", "N"], [" GOOD", "Bad"]])
def test_labels_have_many_words(tmp_path, labels):
    assert read(tmp_path, image=["a.jpg", "b.jpg"], label=labels).posts["label"].tolist() == [1, 0]


def test_what_says_who_is_male_becomes_an_annotation_where_it_is_clear(tmp_path):
    images = ["a.jpg", "b.jpg"]
    for column, options in {"Male": (), "x": ("male=x",), "y": ("presented_gender=y",)}.items():
        values = ["m", "f"] if column == "y" else [1, -1]
        source = read(tmp_path, TableOptions(columns=options), image=images, label=[1, 0], **{column: values})
        assert source.posts["presented_gender"].tolist() == ["male", "female"]
    source = read(tmp_path, image=images, label=[1, 0], gender=[0, 1])
    assert "presented_gender" not in source.posts and source.notes[-1] == (
        "gender holds 0 (1) and 1 (1), which does not say who is male: give --map male=gender where 1 means "
        "male, or --map female=gender where 1 means female."
    )
    source = read(tmp_path, image=images, label=[1, 0], is_male=[1, 2])
    assert source.notes[-1].endswith("which does not say who is male: write male and female there.")
    source = read(tmp_path, TableOptions(columns=("male=gender",)), image=images, label=[1, 0], gender=[0, 1])
    assert source.posts["presented_gender"].tolist() == ["female", "male"]


# --- folders -----------------------------------------------------------------------------------------------


def test_folders_good_and_bad_are_labels(tmp_path):
    names = ["good/a.jpg", "bad/b.PNG", "Bad/deep/c.webp", "other/good/d.jpg", "top.jpg", "good/bad/f"]
    photos(tmp_path / "in", [*names, "GOOD/e.JPEG", "zoo/good"])
    for name in ("good/notes.txt", "zoo/list.jpg"):
        (tmp_path / "in" / name).write_text("notes")
    source = read_folder(tmp_path / "in")
    posts, dropped, summary = imported("folder", source, tmp_path / "out")
    assert posts.set_index("image")["label"].to_dict() == {
        "good/a.jpg": 1, "GOOD/e.JPEG": 1, "bad/b.PNG": 0, "Bad/deep/c.webp": 0,
        "other/good/d.jpg": 1, "good/bad/f": 0,
    }  # fmt: skip
    assert (posts["post_id"] == posts["image"]).all() and (posts["user_id"] == posts["image"]).all()
    assert list(posts) == ["image", "post_id", "user_id", "label"]
    assert dropped == [
        ("good/notes.txt", "not a photo, by its content"),
        ("top.jpg", "neither in good nor in bad"),
        ("zoo/good", "neither in good nor in bad"),
        ("zoo/list.jpg", "not a photo, by its content"),
    ]
    assert summary[-2:] == [
        "Labels are the folders good and bad.",
        "Users are unknown: each photo counts as one of its own.",
    ]


@pytest.mark.parametrize(
    "names", [["a.jpg", "b.jpg"], ["good/a.jpg", "good/b.jpg"], ["bad/a.jpg", "c/b.jpg"]]
)
def test_photos_without_both_folders_have_no_labels(tmp_path, names):
    photos(tmp_path / "in", names)
    posts, dropped, summary = imported("folder", read_folder(tmp_path / "in"), tmp_path / "out")
    assert posts["image"].tolist() == names and not dropped
    assert posts["label"].isna().all() and "labels: none" in summary
    note = "There are no folders good and bad: these photos can only be scored, with --network RUN."
    assert note in summary


def test_photos_may_lie_in_an_archive_and_have_many_kinds_of_names(tmp_path):
    names = ["a.jpg_large", "b.jpg_orig", "c", "d.JPG", "e.jpg-large", "f.pdf", "g.jfif", "jpg"]
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in names:
            archive.writestr(name, jpeg())
        for name in ("page.jpg", "film.mp4"):
            archive.writestr(name, b"<html>")
    source = read_folder(tmp_path / "photos.zip")
    assert source.posts["image"].tolist() == names
    assert source.dropped["image"].tolist() == ["film.mp4", "page.jpg"]


@given(st.data())
def test_the_innermost_folder_labels_a_photo_however_deep_and_in_whatever_case(data):
    folders = data.draw(st.lists(st.sampled_from(["good", "bad", "Good", "BAD", "new", "train"]), max_size=4))
    words = [folder.lower() for folder in folders if folder.lower() in ("good", "bad")]
    with tempfile.TemporaryDirectory() as place:
        name = "/".join([*folders, "photo"])
        photos(Path(place), ["good/1", "bad/1", name])
        found = read_folder(Path(place)).posts.set_index("image")["label"].to_dict()
    label = {"good": 1, "bad": 0}[words[-1]] if words else None
    assert found == {"good/1": 1, "bad/1": 0} | ({name: label} if words else {})


def test_folders_train_and_test_are_the_split_and_some_of_train_validates(tmp_path):
    names = [f"{split}/{label}/{i}.jpg" for split in ("Train", "test") for label in ("good", "bad")
             for i in range(60)]  # fmt: skip
    photos(tmp_path / "in", names)
    posts, _, summary = imported("folder", read_folder(tmp_path / "in"), tmp_path / "out")
    outer = posts["image"].str.split("/").str[0]
    assert set(posts["split"][outer == "test"]) == {"test"}
    held_out = (posts["split"] == "validation").sum()
    assert set(posts["split"][outer == "Train"]) == {"train", "validation"} and 3 <= held_out <= 30
    assert any(line.startswith("The split is the folders train and test;") for line in summary)
    photos(tmp_path / "in", ["valid/good/1.jpg"])
    split = read_folder(tmp_path / "in").posts.set_index("image")["split"]
    assert split["valid/good/1.jpg"] == "validation" and (split == "validation").sum() == 1
    photos(tmp_path / "in", ["good/1.jpg"])  # of which nobody says
    assert "split" not in read_folder(tmp_path / "in").posts


def test_a_file_whose_name_is_not_utf_8_is_left_out_and_stops_nothing(tmp_path):
    photos(tmp_path, ["a.jpg"])
    (tmp_path / os.fsdecode(b"J\xfcrgen.jpg")).write_bytes(jpeg())
    posts, dropped, _ = imported("folder", read_folder(tmp_path), tmp_path / "out")
    assert posts["image"].tolist() == ["a.jpg"]
    assert dropped == [("J\ufffdrgen.jpg", "its file name is not UTF-8: rename it")]


def test_a_folder_of_pointers_says_what_they_are_and_what_to_do(tmp_path):
    for name in ("good/1.jpg", "bad/1.jpg"):
        photos(tmp_path, [name])
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with pytest.raises(SelfieError, match=r"pointer of Git LFS: .*git lfs pull`: 2, such as bad/1\.jpg"):
        read_folder(tmp_path)


@pytest.mark.parametrize("suffix", [".tar", ".tar.gz", ".tar.xz", ".zip"])
def test_an_archive_with_a_folder_around_is_imported_whole(tmp_path, suffix):
    names = ["selfies/good/b.jpg", "selfies/bad/a.jpg", "selfies/good/Grüße.jpg"]
    photos(tmp_path / "in", [*names, "selfies/._a.jpg"])
    (tmp_path / "in" / "selfies" / "list.txt").write_text("notes")
    path = tmp_path / f"photos{suffix}"
    if suffix == ".zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.write(tmp_path / "in" / name, name)
            archive.writestr("__MACOSX/selfies/good/._b.jpg", jpeg())
    else:
        with tarfile.open(path, f"w:{suffix[5:]}") as archive:
            archive.add(tmp_path / "in", ".")
    posts, _, summary = imported("folder", read_folder(path), tmp_path / "out")
    assert sorted(posts["image"]) == sorted(names) and "labels: 2 good, 1 bad" in summary
    images = open_images(open_data(tmp_path / "out").images)
    assert all(images.read(name) == jpeg() for name in names)
    assert (tmp_path / "out" / "images.zip").exists() == (suffix in (".tar.gz", ".tar.xz"))
    bare = open_images(path)  # a table may name them without the folder around
    assert bare.read("good/b.jpg") == jpeg() and bare.stamp("b.jpg") == "" != bare.stamp("good/b.jpg")


def test_one_photo_that_cannot_be_read_does_not_stop_packing(tmp_path):
    source = source_of(tmp_path / "in", image=["a.jpg", "b.jpg"], post_id=["1", "2"], user_id="u", label=1)
    (tmp_path / "in" / "a.jpg").unlink()
    (tmp_path / "in" / "a.jpg").mkdir()
    import_posts("mine", source, tmp_path / "out", pack=True)
    with zipfile.ZipFile(tmp_path / "out" / "images.zip") as archive:
        assert archive.namelist() == ["b.jpg"]


def test_a_folder_without_a_photo_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("")
    with pytest.raises(
        SelfieError, match=rf"{tmp_path} holds no photo \(file is empty: 1, such as list\.txt\): put"
    ):
        read_folder(tmp_path)


# --- gathered from Mastodon ------------------------------------------------------------------------------


def test_gathered_posts_come_with_their_photo_and_the_others_with_a_reason(tmp_path):
    columns = "post_id, user_id, followers, likes, tags, posted_at, collected_at, url, alt_text, image, state"
    dates = ("2015-01-01T10:00:00+00:00", "2015-06-01T10:00:00+00:00")
    with open_gathered(tmp_path / "in") as base, base:
        for row in (
            ("9", "ann@x", 10, 1, 2, *dates, "https://x/9", "a cat", "09/9.jpg", "present", ""),
            ("8", "bob@y", 20, 3, 4, *dates, "https://x/8", None, "08/8.jpg", "present", ""),
            ("7", "bob@y", 20, 3, 4, *dates, "https://x/7", None, None, "pending", None),
            ("6", "bob@y", 20, 3, 4, *dates, "https://x/6", None, None, "gone", "image is gone (404)"),
        ):
            base.execute(f"INSERT INTO posts ({columns}, reason) VALUES ({', '.join('?' * 12)})", row)
        base.execute("INSERT INTO left_out VALUES ('5', 'by a bot')")
    photos(tmp_path / "in" / "images", ["09/9.jpg", "08/8.jpg"])
    source = read_mastodon(tmp_path / "in")
    posts, dropped, summary = imported("mastodon", source, tmp_path / "out")
    wanted = ["post_id", "user_id", "followers", "likes", "tags", "image", "url"]
    assert posts[wanted].values.tolist() == [
        ["9", "ann@x", 10, 1, 2, "09/9.jpg", "https://x/9"],
        ["8", "bob@y", 20, 3, 4, "08/8.jpg", "https://x/8"],
    ]
    assert posts["alt_text"][0] == "a cat" and posts["alt_text"].isna()[1]
    assert (posts["posted_at"] == pd.Timestamp(dates[0])).all()
    assert (posts["collected_at"] == pd.Timestamp(dates[1])).all()
    assert dropped == [("7", "image has not come yet"), ("6", "image is gone (404)"), ("5", "by a bot")]
    assert summary[-1] == (
        "Posts younger than a month are labelled only after `selfie gather mastodon --refresh`."
    )
    with pytest.raises(SelfieError, match=rf"no gathered\.sqlite in {tmp_path}: gather there first"):
        read_mastodon(tmp_path)
    assert not (tmp_path / "gathered.sqlite").exists()


def test_where_no_gathered_post_can_be_used_the_reasons_are_told(tmp_path):
    with open_gathered(tmp_path / "in"):
        pass
    with pytest.raises(SelfieError, match=r"^Nothing was gathered in .*: run `selfie gather mastodon` again"):
        read_mastodon(tmp_path / "in")
    with open_gathered(tmp_path / "in") as base, base:  # there is no folder of photos yet
        base.execute("INSERT INTO left_out VALUES ('5', 'by a bot')")
    with pytest.raises(SelfieError, match=r"^No post can be used, of 1 \(by a bot: 1, such as 5\)"):
        import_posts("mastodon", read_mastodon(tmp_path / "in"), tmp_path / "out")


def test_a_gathered_folder_that_is_damaged_or_in_use_is_told(tmp_path, monkeypatch):
    (tmp_path / "gathered.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(SelfieError, match=r"gathered\.sqlite cannot be used \(file is not a database\)"):
        read_mastodon(tmp_path)
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda path: connect(path, timeout=0.1))
    with open_gathered(tmp_path / "in") as base:
        base.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SelfieError, match=r"cannot be used \(database is locked\): wait for what else"):
            read_mastodon(tmp_path / "in")


# --- data folders ------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    return read_posts_table(write_csv(tmp_path, **COUNTS), TableOptions(columns=MAP))


def test_photos_stay_where_they_lie_or_are_packed(table, tmp_path):
    import_posts("table", table, tmp_path / "out")
    assert open_data(tmp_path / "out").images == tmp_path and not (tmp_path / "out" / "images.zip").exists()
    import_posts("table", table, tmp_path / "packed", pack=True)
    (tmp_path / "packed").rename(tmp_path / "moved")  # a packed folder can go anywhere
    images = open_images(open_data(tmp_path / "moved").images)
    assert images.names() == ["a.jpg", "b.jpg"] and images.read("a.jpg") == (tmp_path / "a.jpg").read_bytes()
    with zipfile.ZipFile(tmp_path / "moved" / "images.zip") as archive:
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in archive.infolist())


def test_the_record_says_where_from_when_and_what_came(table, tmp_path):
    before = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    summary = import_posts("table", table, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    when = datetime.datetime.fromisoformat(record.pop("imported_at"))
    assert record == {"kind": "table", "images": str(tmp_path.resolve()), "summary": summary}
    assert before <= when <= datetime.datetime.now(datetime.UTC)
    import_posts("other", table, tmp_path / "out", pack=True)  # again, over what was imported before
    record = json.loads((tmp_path / "out" / "import.json").read_text())
    assert record["images"] == "images.zip" and record["kind"] == "other"


def source_of(folder, **columns):
    """A source whose rows have numbers of their own, and whose photos are there."""
    posts = pd.DataFrame(columns)
    posts.index = [7, 3, 9, 4, 8, 1, 2, 6][: len(posts)]
    photos(folder, [name for name in posts["image"].unique() if not name.startswith("..")])
    return Source(posts, folder, drop_list([("x.txt", "not a photo")]), ["A note."])


def test_the_summary_counts_photos_users_labels_and_reasons(tmp_path):
    images = ["1.jpg", "1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg", "6.jpg"]
    source = source_of(
        tmp_path / "in", image=images, post_id=[f"p{i}" for i in range(7)], user_id=list("uuvuvwx"),
        label=[1, 1, 0, 1, 2, 0, 1], posted_at="2015-02-03", collected_at="2015-06-01",
    )  # fmt: skip
    source.posts.loc[[7, 6 + 2], "posted_at"] = ["2014-12-31", "2016-01-01"]  # the last one is dropped
    for name in ("5.jpg", "6.jpg"):
        (tmp_path / "in" / name).unlink()
    posts, dropped, summary = imported("mine", source, tmp_path / "out")
    assert posts["post_id"].tolist() == ["p0", "p1", "p2", "p3"] and list(posts) == list(source.posts)
    assert dropped == [
        ("x.txt", "not a photo"),
        ("4.jpg", "label is not 1 (good) or 0 (bad)"),
        ("5.jpg", "photo is missing"),
        ("6.jpg", "photo is missing"),
    ]
    assert summary == [
        "mine: 4 posts by 2 users",
        f"photos: 3 found, 2 missing, in {tmp_path / 'in'}",
        "posted: 2014-12-31 to 2015-02-03",
        "labels: 3 good, 1 bad",
        "dropped: 4, because",
        "          2  photo is missing",
        "          1  not a photo",
        "          1  label is not 1 (good) or 0 (bad)",
        "A note.",
    ]


def test_a_photo_of_two_posts_is_packed_once_and_as_it_is(tmp_path):
    source = source_of(
        tmp_path / "in", image=["b.jpg", "a/ü.jpg", "b.jpg"], post_id=["1", "2", "3"], user_id="u", label=1
    )
    (tmp_path / "in" / "unused.jpg").write_bytes(jpeg())
    import_posts("mine", source, tmp_path / "out", pack=True)
    with zipfile.ZipFile(tmp_path / "out" / "images.zip") as archive:
        assert archive.namelist() == ["a/ü.jpg", "b.jpg"]
        assert all(entry.compress_type == zipfile.ZIP_STORED for entry in archive.infolist())
        assert archive.read("b.jpg") == jpeg()


@pytest.mark.parametrize(("here", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_photo_is_found_however_its_umlauts_are_spelled(tmp_path, here, there):
    photos(tmp_path / "in", [unicodedata.normalize(there, "müsli.jpg")])
    posts = pd.DataFrame(
        {"image": [unicodedata.normalize(here, "müsli.jpg")], "post_id": "1", "user_id": "u"}
    )
    imported_posts, _, _ = imported("mine", Source(posts.assign(label=1), tmp_path / "in"), tmp_path / "out")
    assert len(imported_posts) == 1


def test_posts_that_were_taken_down_stay_out(table, tmp_path):
    import_posts("table", table, tmp_path / "out")
    (tmp_path / "out" / "forgotten.txt").write_text("c\na\n")
    posts, dropped, _ = imported("table", table, tmp_path / "out")
    assert posts["post_id"].tolist() == ["b"] and dropped == [("a.jpg", "was taken down")]
    (tmp_path / "a.jpg").unlink()  # gone as well, which is one reason, not two
    assert imported("table", table, tmp_path / "out")[1] == [("a.jpg", "was taken down")]
    assert (tmp_path / "out" / "forgotten.txt").read_text() == "c\na\n"


ODD_IDS = st.text('aä \t\n\r\x0b\x1c\x85\u2028"\\#;,', min_size=1, max_size=6).filter(str.strip)


@settings(max_examples=25, deadline=None)
@given(st.lists(ODD_IDS, min_size=2, max_size=5, unique_by=lambda one: " ".join(one.splitlines())), st.data())
def test_ids_of_any_signs_stay_out_once_they_were_taken_down(ids, data):
    gone = data.draw(st.sets(st.sampled_from(ids), max_size=len(ids) - 1))
    with tempfile.TemporaryDirectory() as folder:
        photos(Path(folder), ["a.jpg"])
        posts = pd.DataFrame({"post_id": ids, "image": "a.jpg", "user_id": "u", "label": 1})
        source, out = Source(posts, Path(folder)), Path(folder, "out")
        import_posts("mine", source, out)
        for one in gone:
            forget([one], [out], lambda told: None)
        import_posts("mine", source, out)
        assert set(pd.read_parquet(out / "posts.parquet")["post_id"]) == set(ids) - gone


class Killed(BaseException):
    """What nothing catches."""


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("how", [Killed(), OSError(28, "No space left on device")])
def test_an_import_that_was_stopped_anywhere_is_finished_by_the_same_command(
    tmp_path, monkeypatch, how, again
):
    """It is stopped before each naming of a file, until it is not stopped at all."""
    source = source_of(
        tmp_path / "in", image=["a.jpg", "b.jpg"], post_id=["1", "2"], user_id="u", label=[1, 0]
    )
    replace, finished = os.replace, False
    for stop in range(20):
        out, steps = tmp_path / f"out{stop}", count()
        if again:
            import_posts("mine", source, out)

        def stopping(old, new, steps=steps, stop=stop):
            if next(steps) == stop:
                raise how
            replace(old, new)

        with monkeypatch.context() as patched, suppress(Killed, OSError):
            patched.setattr(os, "replace", stopping)
            import_posts("mine", source, out, pack=True)
            finished = True
        posts, _, _ = imported("mine", source, out, pack=True)
        assert posts["post_id"].tolist() == ["1", "2"] and open_data(out).images == out / "images.zip"
        if finished:
            break
    assert finished and stop >= 4


@pytest.mark.parametrize("name", ["posts.csv", "posts.parquet"])
def test_posts_of_another_make_are_not_written_over(table, tmp_path, name):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / name).write_text("mine")
    with pytest.raises(SelfieError, match=r"/own holds posts .*choose another --out, they are kept"):
        import_posts("table", table, tmp_path / "own")
    assert [p.name for p in (tmp_path / "own").iterdir()] == [name]
    assert (tmp_path / "own" / name).read_text() == "mine"


def test_nothing_left_is_an_error_that_gives_the_most_frequent_reasons_with_an_example_each(tmp_path):
    images = ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"]
    source = source_of(
        tmp_path / "in", image=images, post_id=list("abcde"), user_id="u", label=[1, 2, 3, 0, 1]
    )
    for name in ("1.jpg", "4.jpg", "5.jpg"):
        (tmp_path / "in" / name).unlink()
    with pytest.raises(
        SelfieError,
        match=r"No post can be used, of 6 \(photo is missing: 3, such as 1\.jpg; .* that is there: 2\.jpg",
    ):
        import_posts("mine", source, tmp_path / "out")
    assert not (tmp_path / "out").exists()
