"""Every origin ends in the same data folder; what is left out has its reason; the source stays as it is."""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfie_utils.dataset import open_data
from selfie_utils.errors import SelfieError
from selfie_utils.images import open_images
from selfie_utils.importing import import_posts
from selfie_utils.posts import read_posts
from selfie_utils.sources import label_by_score
from selfie_utils.sources.folder import read_folder
from selfie_utils.sources.table import TableWish, read_posts_table
from selfie_utils.sources.ucf import ATTRIBUTES, read_ucf


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


@pytest.fixture
def ucf(tmp_path):
    """The data set's own layout: 21 rows of the right form, two of a wrong one, a photo missing."""
    folder, rng = tmp_path / "Selfie-dataset", np.random.default_rng(0)
    rows = [
        [f"{i:05d}_abc_{i}", f"{1 + i * 0.3:.3f}", *map(str, rng.integers(-1, 2, len(ATTRIBUTES)))]
        for i in range(21)
    ]
    lines = [" ".join(row) for row in rows]
    lines += ["short 4.2 1 1 -1", " ".join(["odd", "many", *["1"] * len(ATTRIBUTES)])]
    (folder / "images").mkdir(parents=True)
    (folder / "selfie_dataset.txt").write_text("\n".join(lines) + "\n")
    photos(folder / "images", [f"{row[0]}.jpg" for row in rows[1:]])
    return folder, rows


def test_ucf_becomes_halves_by_score_with_annotations(ucf, tmp_path):
    folder, rows = ucf
    assert len(ATTRIBUTES) == 36
    posts, dropped, summary = imported("ucf", read_ucf(folder), tmp_path / "out")
    assert dropped == [
        ("short.jpg", "row has 5 columns, expected 38"),
        ("odd.jpg", "popularity is many, expected a number"),
        (f"{rows[10][0]}.jpg", "in the middle of the scores"),
        (f"{rows[0][0]}.jpg", "photo is missing"),
    ]
    assert len(posts) == 19 and summary[0] == "ucf: 19 posts by 19 users"
    assert (posts["label"] == (posts["popularity"] > 4)).all()
    by_id = posts.set_index("post_id")
    for name, _, *flags in rows[1:10]:
        known = dict(zip(ATTRIBUTES, flags, strict=True))
        gender = {"1": "female", "-1": "male", "0": None}[known.pop("is_female")]
        assert (by_id.loc[name, "presented_gender"] or None) == gender or pd.isna(
            by_id.loc[name, "presented_gender"]
        )
        for attribute, flag in known.items():
            value = by_id.loc[name, attribute]
            assert pd.isna(value) if flag == "0" else value == (flag == "1"), attribute


def test_ucf_is_found_from_the_folder_around_it_and_nowhere_else(ucf, tmp_path):
    assert len(read_ucf(ucf[0].parent).posts) == 20
    with pytest.raises(SelfieError, match=r"no selfie_dataset\.txt in .*give the folder Selfie-dataset"):
        read_ucf(tmp_path / "elsewhere")
    (ucf[0] / "selfie_dataset.txt").write_text("image,score\na,1\n")
    with pytest.raises(SelfieError, match="is not the table of the UCF Selfie data set"):
        read_ucf(ucf[0])


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


def test_columns_of_any_name_are_mapped(tmp_path):
    source = read_posts_table(write_csv(tmp_path, **COUNTS, mood=["gay", "sad"]), TableWish(columns=MAP))
    posts, dropped, summary = imported("table", source, tmp_path / "out")
    assert posts[["image", "post_id", "likes", "followers", "tags", "mood"]].values.tolist() == [
        ["a.jpg", "a", 3, 100, 0, "gay"], ["b.jpg", "b", 4, 200, 0, "sad"],
    ]  # fmt: skip
    assert not dropped and "labels: to be made from likes and followers" in summary
    assert "There are no tags: audience is the number of followers alone." in summary


def test_a_column_gender_becomes_the_annotation_that_the_galleries_ask_for(tmp_path):
    source = read_posts_table(
        write_csv(tmp_path, image=["a.jpg", "b.jpg"], label=[1, 0], gender=["male", "female"])
    )
    assert source.posts["presented_gender"].tolist() == ["male", "female"] and "gender" not in source.posts
    both = write_csv(tmp_path, image=["a.jpg"], label=[1], gender=["x"], presented_gender=["male"])
    assert read_posts_table(both).posts["presented_gender"].tolist() == ["male"]


@pytest.mark.parametrize("words", [["good", "bad"], [1, 0], ["True", "False"], ["Yes", "no "]])
def test_labels_of_ones_own_may_be_words(tmp_path, words):
    path = write_csv(tmp_path, image=["a.jpg", "b.jpg"], verdict=words)
    posts, _, _ = imported(
        "table", read_posts_table(path, TableWish(columns=("label=verdict",))), tmp_path / "out"
    )
    assert posts["label"].tolist() == [1, 0]


def test_a_score_makes_halves_or_outer_shares(tmp_path):
    path = write_csv(tmp_path, image=[f"{i}.jpg" for i in range(10)], stars=[5, 1, 4, 2, 3, 9, 8, 7, 6, None])
    halves, dropped, _ = imported("table", read_posts_table(path, TableWish(score="stars")), tmp_path / "out")
    assert dropped == [("9.jpg", "stars is no number"), ("0.jpg", "in the middle of the scores")]
    assert (halves["label"] == (halves["stars"] > 5)).all() and len(halves) == 8
    outer, _, _ = imported(
        "table", read_posts_table(path, TableWish(score="stars", outer=0.25)), tmp_path / "out"
    )
    assert outer.set_index("stars")["label"].to_dict() == {9: 1, 8: 1, 1: 0, 2: 0}


@given(st.lists(st.integers(0, 5), min_size=2, max_size=60), st.randoms(use_true_random=False))
def test_labels_by_score_are_halves_in_order_whatever_the_order_of_rows(scores, random):
    table = pd.DataFrame({"score": scores, "post_id": [f"p{i}" for i in range(len(scores))]})
    table["label"] = label_by_score(table["score"], table["post_id"])
    good, bad = (table.loc[table["label"] == side, "score"] for side in (1, 0))
    assert len(good) == len(bad) == len(scores) // 2 and good.min() >= bad.max()
    order = random.sample(range(len(scores)), len(scores))
    again = table.iloc[order].reset_index(drop=True)
    again["label"] = label_by_score(again["score"], again["post_id"])
    pd.testing.assert_frame_equal(
        again.set_index("post_id").sort_index(), table.set_index("post_id").sort_index()
    )


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
        ("nan", "row names no photo"),
        ("b.jpg", "likes is not a whole number, zero or more"),
        ("../e.jpg", "image is not a path inside the image folder"),
        ("f.jpg", "likes is not a whole number, zero or more"),
        ("g.jpg", "posted_at is not a date such as 2015-10-25 or 2015-10-25T18:30:00Z"),
        ("c.jpg", "photo is missing"),
    ]
    assert "photos: 2 found, 1 missing, in " + str(tmp_path) in summary


@pytest.mark.parametrize(
    ("columns", "wish", "sentence"),
    [
        ({"photo": ["a.jpg"]}, TableWish(), "has no column image: say which one .*it has photo"),
        ({"image": ["a.jpg"]}, TableWish(columns=("likes=favorites",)), "no column 'favorites'"),
        (
            {"image": ["a.jpg"], "favourites": [1]},
            TableWish(columns=("likes=favorites",)),
            "did you mean 'favourites'",
        ),
        ({"image": ["a.jpg"]}, TableWish(columns=("likes",)), "expected OURS=THEIRS"),
        ({"image": ["a.jpg"], "stars": [1]}, TableWish(score="star"), "did you mean 'stars'"),
        ({"image": ["a.jpg"], "stars": ["x"]}, TableWish(score="stars"), "holds 'x', expected numbers"),
        ({"image": ["a.jpg"], "stars": [1]}, TableWish(score="stars"), "too few to label"),
        ({"image": ["a.jpg"], "stars": [1]}, TableWish(score="stars", outer=0.7), "expected a share above 0"),
        ({"image": ["a.jpg"], "likes": [1]}, TableWish(), "has no column followers, posted_at"),
        ({"image": ["a.jpg"], "label": ["great"]}, TableWish(), "got 'great', expected 1"),
    ],
)
def test_a_table_that_does_not_fit_is_told_in_one_sentence(tmp_path, columns, wish, sentence):
    path = write_csv(tmp_path, **columns)
    with pytest.raises(SelfieError, match=sentence) as error:
        import_posts("table", read_posts_table(path, wish), tmp_path / "out")
    assert "\n" not in str(error.value) and not (tmp_path / "out").exists()


# --- folders -----------------------------------------------------------------------------------------------


def test_folders_good_and_bad_are_labels(tmp_path):
    photos(tmp_path / "in", ["good/a.jpg", "bad/b.PNG", "bad/deep/c.webp", "other/d.jpg", "good/notes.txt"])
    posts, dropped, _ = imported("folder", read_folder(tmp_path / "in"), tmp_path / "out")
    assert posts.set_index("image")["label"].to_dict() == {
        "good/a.jpg": 1,
        "bad/b.PNG": 0,
        "bad/deep/c.webp": 0,
    }
    assert dropped == [
        ("good/notes.txt", "not a photo, by its name"),
        ("other/d.jpg", "neither in good nor in bad"),
    ]


def test_a_folder_of_photos_has_no_labels(tmp_path):
    photos(tmp_path / "in", ["a.jpg", "b.jpg"])
    posts, _, summary = imported("folder", read_folder(tmp_path / "in"), tmp_path / "out")
    assert posts["label"].isna().all() and "labels: none" in summary
    (tmp_path / "empty").mkdir()
    with pytest.raises(SelfieError, match="holds no photo"):
        read_folder(tmp_path / "empty")


# --- data folders ------------------------------------------------------------------------------------------


@pytest.fixture
def table(tmp_path):
    return read_posts_table(write_csv(tmp_path, **COUNTS), TableWish(columns=MAP))


def test_photos_stay_where_they_lie_or_are_packed(table, tmp_path):
    import_posts("table", table, tmp_path / "out")
    assert open_data(tmp_path / "out").images == tmp_path and not (tmp_path / "out" / "images.zip").exists()
    import_posts("table", table, tmp_path / "packed", pack=True)
    (tmp_path / "packed").rename(tmp_path / "moved")  # a packed folder can go anywhere
    images = open_images(open_data(tmp_path / "moved").images)
    assert images.names() == ["a.jpg", "b.jpg"] and images.read("a.jpg") == (tmp_path / "a.jpg").read_bytes()
    with zipfile.ZipFile(tmp_path / "moved" / "images.zip") as archive:
        assert all(entry.date_time == (1980, 1, 1, 0, 0, 0) for entry in archive.infolist())


def test_posts_that_were_taken_down_stay_out(table, tmp_path):
    import_posts("table", table, tmp_path / "out")
    (tmp_path / "out" / "forgotten.txt").write_text("a\n")
    posts, dropped, _ = imported("table", table, tmp_path / "out")
    assert posts["post_id"].tolist() == ["b"] and dropped == [("a.jpg", "was taken down")]


def test_posts_of_another_make_are_not_written_over(table, tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "posts.csv").write_text("mine")
    with pytest.raises(SelfieError, match="choose another --out, they are kept"):
        import_posts("table", table, tmp_path / "own")
    assert (tmp_path / "own" / "posts.csv").read_text() == "mine"


def test_nothing_left_is_an_error_that_says_why(table, tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).unlink()
    with pytest.raises(SelfieError, match="No post can be used: photo is missing"):
        import_posts("table", table, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_data_folder_says_what_is_missing(table, tmp_path):
    with pytest.raises(
        SelfieError, match=r"There is no posts table in .*make such a folder with `selfie import`"
    ):
        open_data(tmp_path / "nowhere")
    import_posts("table", table, tmp_path / "out")
    record = tmp_path / "out" / "import.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | {"images": "/gone"}))
    with pytest.raises(SelfieError, match=r"The photos of .* are not at /gone"):
        open_data(tmp_path / "out")


def test_the_commands_say_what_came_in_and_how_to_go_on(selfie, tmp_path):
    write_csv(tmp_path, **COUNTS)
    options = [part for pair in MAP for part in ("--map", pair)]
    done = selfie("import", "table", tmp_path / "mine.csv", *options, "--out", tmp_path / "out")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "table: 2 posts by 2 users"
    assert done.stdout.splitlines()[-1] == f"Next: selfie reproduce --data {tmp_path / 'out'}"
    done = selfie("import", "folder", tmp_path, "--out", tmp_path / "unlabelled")
    assert done.stdout.splitlines()[-1].endswith("--network RUN")
    done = selfie("import", "ucf", tmp_path, "--out", tmp_path / "no")
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1 and not Path(tmp_path / "no").exists()
