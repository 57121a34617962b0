"""The posts table is read whole or refused in one sentence; an importer sifts it row by row."""

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.core.errors import SelfieError
from selfie_utils.posts.table import check_posts, read_posts, sift_posts

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
WITHOUT_COUNTS = dict.fromkeys(["followers", "likes", "tags", "posted_at", "collected_at"])


def table(**changes):
    """The good table with some columns changed, or left out where they are None."""
    return pd.DataFrame({k: v for k, v in {**GOOD, **changes}.items() if v is not None})


def write(tmp_path, **changes):
    path = tmp_path / "posts.csv"
    table(**changes).to_csv(path, index=False)
    return path


def many(n, **columns):
    """A good table of n rows, with some columns changed."""
    posts = pd.DataFrame(
        {"image": [f"{i}.jpg" for i in range(n)], "post_id": [f"p{i}" for i in range(n)], "user_id": "u"}
    )
    counts = dict.fromkeys(("followers", "likes", "tags"), 1)
    dates = {"posted_at": "2015-01-01", "collected_at": "2015-06-01"}
    return posts.assign(**counts, **dates).assign(**columns)


def test_a_good_table_is_typed(tmp_path):
    posts = read_posts(write(tmp_path, mood=["happy", "sad"], split=["test", "train"]))
    types = {name: str(kind) for name, kind in posts.dtypes.items()}
    for column in ("image", "post_id", "user_id"):
        assert types[column] == "str"
    for column in ("followers", "likes", "tags"):
        assert types[column] == "int64"
    for column in ("posted_at", "collected_at"):
        assert types[column].startswith("datetime64[") and types[column].endswith(", UTC]")
    assert posts[["image", "post_id", "user_id", "followers", "likes", "tags"]].values.tolist() == [
        ["a.jpg", "1", "u", 10, 1, 0], ["b.jpg", "2", "v", 20, 2, 3],
    ]  # fmt: skip
    assert posts["posted_at"].dt.day.tolist() == [1, 2] and (posts["collected_at"].dt.month == 6).all()
    assert posts[["mood", "split"]].values.tolist() == [["happy", "test"], ["sad", "train"]]


def test_parquet_and_csv_agree(tmp_path):
    from_csv = read_posts(write(tmp_path))
    from_csv.to_parquet(tmp_path / "posts.parquet")
    pd.testing.assert_frame_equal(read_posts(tmp_path / "posts.parquet"), from_csv)


def test_ids_and_names_are_text_even_where_they_look_like_numbers(tmp_path):
    ids = {"image": ["007", "1e3"], "post_id": ["0012", "12"], "user_id": ["1.0", "1"]}
    from_csv = read_posts(write(tmp_path, **ids))
    assert from_csv[["image", "post_id", "user_id"]].to_dict("list") == ids
    assert check_posts(table(post_id=[12, 7]))["post_id"].tolist() == ["12", "7"]


def test_dates_with_and_without_a_zone_are_brought_to_utc():
    times = ["2015-10-25T18:30:00+02:00", "2015-10-25T18:30:00Z", "2015-10-25 18:30", "2015-10-25"]
    hours = [16.5, 18.5, 18.5, 0]
    wanted = [pd.Timestamp("2015-10-25", tz="UTC") + pd.Timedelta(hours=hour) for hour in hours]
    assert check_posts(many(4, posted_at=times))["posted_at"].tolist() == wanted
    without_zone = pd.to_datetime(pd.Series(["2015-10-25 18:30"] * 2))
    assert check_posts(table(posted_at=without_zone))["posted_at"].tolist() == wanted[1:3]
    berlin = without_zone.dt.tz_localize("Europe/Berlin")  # an hour ahead of UTC since that morning
    assert check_posts(table(posted_at=berlin))["posted_at"].dt.hour.tolist() == [17, 17]


@pytest.mark.parametrize("likes", [[0, 2**62], ["0", "17"], [3.0, 4.0]])
def test_whole_numbers_from_zero_on_are_counts(likes):
    assert check_posts(table(likes=likes))["likes"].tolist() == [int(n) for n in likes]


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"likes": None}, "has no column likes: it needs image, post_id, user_id, followers, likes, tags, "),
        ({"user_id": None, "tags": None}, "has no column user_id, tags: it needs"),
        ({"likes": [1, -2]}, "column likes, row 1: got -2, expected a whole number, zero or more."),
        ({"likes": [1, 2.5]}, "column likes, row 1: got 2.5, expected a whole number"),
        ({"likes": [1, None]}, "column likes, row 1: got an empty cell, expected a whole number"),
        ({"likes": [1e30, 1]}, "column likes, row 0: got 1e+30, expected a whole number"),
        ({"tags": ["inf", 1]}, "column tags, row 0: got inf, expected a whole number"),
        ({"followers": ["many", 2]}, "column followers, row 0: got 'many', expected a whole number"),
        ({"posted_at": ["2015-01-01", "soon"]}, "column posted_at, row 1: got 'soon', expected a date such"),
        ({"posted_at": ["2015-01-01", "2558-10-25"]}, "row 1: got '2558-10-25', expected a date such"),
        ({"posted_at": ["0015-01-01", "2015-10-25"]}, "row 0: got '0015-01-01', expected a date such"),
        (
            {"posted_at": ["2015-01-01", None]},
            "column posted_at, row 1: got an empty cell, expected a date such",
        ),
        (
            {"collected_at": [3, 4]},
            "column collected_at, row 0: got 3, expected a date such as 2015-10-25 or",
        ),
        ({"post_id": ["7", "7"]}, "column post_id, row 1: got '7', expected found once only."),
        (
            {"user_id": [" ", None]},
            "column user_id, row 0 (and 1 more rows): got an empty cell, expected a name.",
        ),
        ({"image": ["a.jpg", "../b.jpg"]}, "column image, row 1: got '../b.jpg', expected a path inside"),
        ({"image": ["/etc/passwd", "b.jpg"]}, "row 0: got '/etc/passwd', expected a path inside"),
        ({"image": ["a.jpg", "c\\..\\b.jpg"]}, "column image, row 1: got"),
        ({"image": ["C:\\a.jpg", "a.jpg"]}, "column image, row 0: got"),
        ({"image": ["\\\\host\\a.jpg", "a.jpg"]}, "column image, row 0: got"),
        ({"image": ["a.jpg", None]}, "column image, row 1: got an empty cell, expected a name."),
        ({"label": [1, 2]}, "column label, row 1: got 2, expected 1 (good) or 0 (bad)."),
        ({"label": [1, None]}, "column label, row 1: got an empty cell, expected 1 (good) or 0 (bad)."),
        ({"label": [0.5, 1]}, "column label, row 0: got 0.5, expected 1 (good) or 0 (bad)."),
        ({"split": ["train", "dev"]}, "row 1: got 'dev', expected one of train, validation, test."),
        ({"split": [None, "test"]}, "column split, row 0: got an empty cell, expected one of"),
        ({c: [] for c in GOOD}, "has no rows: at least one post is needed."),
    ],
)
def test_a_bad_table_is_told_in_one_sentence(tmp_path, changes, sentence):
    path = write(tmp_path, **changes)
    with pytest.raises(SelfieError) as error:
        read_posts(path)
    told = str(error.value)
    assert told.startswith(str(path)) and sentence in told and "\n" not in told


def test_the_first_bad_row_is_told_and_the_others_counted():
    likes = [5, -1, 3, -7, "x", 2]
    sentence = r"^my table, column likes, row 1 \(and 2 more rows\): got -1,"
    with pytest.raises(SelfieError, match=sentence):
        check_posts(many(6, likes=likes).set_index(pd.Index(range(10, 16))), "my table")


@pytest.mark.parametrize("name", ["a..b.jpg", "deep/er/a.jpg", "...jpg", ".hidden.jpg", "a b/ü.jpg"])
def test_names_that_only_look_like_a_way_out_are_inside(name):
    assert check_posts(table(image=[name, "b.jpg"]))["image"].tolist() == [name, "b.jpg"]


def test_own_labels_need_no_counts(tmp_path):
    posts = read_posts(write(tmp_path, label=[0, 1], **WITHOUT_COUNTS))
    assert list(posts["label"]) == [0, 1] and posts["label"].dtype == "int64"
    assert check_posts(table(label=["1", "0"], **WITHOUT_COUNTS))["label"].tolist() == [1, 0]
    with pytest.raises(SelfieError, match=r"no column user_id: it needs image, post_id, user_id\.$"):
        check_posts(table(label=[0, 1], user_id=None, **WITHOUT_COUNTS))


def test_labels_that_are_empty_throughout_stay_unknown():
    posts = check_posts(table(label=[None, None], **WITHOUT_COUNTS))
    assert posts["label"].isna().all() and posts["label"].dtype == "Int64"


def test_the_table_that_was_given_stays_as_it_is():
    given = table(label=[1, 0]).set_index(pd.Index([4, 9]))
    before = given.copy()
    assert check_posts(given).index.tolist() == [0, 1]
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize(
    "likes",
    [[0.25, 0.75], [1.0, 2.5], [Decimal("1.250"), Decimal("2.000")], pd.array([1.5, None], "Float64")],
)
def test_a_fraction_of_a_like_is_refused_also_where_the_table_has_types(likes):
    """Cut off to whole numbers, likes of 0 to 1 would all be none."""
    with pytest.raises(SelfieError, match=r"column likes, row \d.*: got \d\.\d+, expected a whole number"):
        check_posts(table(likes=likes))


def test_names_that_are_fractions_stay_as_they_are_and_whole_ones_lose_their_point():
    assert check_posts(table(user_id=[1.5, 2.0]))["user_id"].tolist() == ["1.5", "2.0"]
    assert check_posts(table(user_id=[1.0, 2.0]))["user_id"].tolist() == ["1", "2"]


def test_a_split_is_known_in_any_case():
    assert check_posts(table(split=["Train ", "TEST"]))["split"].tolist() == ["train", "test"]


def test_a_part_of_a_split_under_another_name_is_read_or_refused_and_never_left_out():
    words = ["training", "val", "Valid", "validation", "testing", "test"]
    posts = many(120, split=words * 20)
    kept, reasons = sift_posts(posts)
    assert reasons.empty
    assert kept["split"].tolist() == ["train", *["validation"] * 3, "test", "test"] * 20
    with pytest.raises(SelfieError, match=r"column split, row 7: got 'holdout', expected one of train, val"):
        sift_posts(posts.assign(split=[*words, "", "holdout", *words * 18, *words[:4]]))
    kept, reasons = sift_posts(posts.assign(split=["", *words * 19, *words[:5]]))
    assert len(kept) == 119 and reasons[0].startswith("split is not one of train, validation, test")


def test_a_decimal_of_parquet_is_the_number_that_it_is():
    likes = [Decimal("250.000"), Decimal("12.000")]  # as text, nobody could tell what their dot means
    assert check_posts(table(likes=likes))["likes"].tolist() == [250, 12]


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.integers(10**14, 10**15 - 1), st.integers(1, 999)), min_size=2, unique_by=lambda t: t[0]
    ),
    st.sampled_from(["post_id", "user_id"]),
    st.sampled_from([lambda n: f"{n:.5E}", lambda n: repr(float(n)), lambda n: str(n // 1000 * 1000)]),
)
def test_ids_keep_each_digit_or_are_refused(parts, column, lose):
    """Excel writes zeros for all but 15 digits of a number, or E+17, which makes one user of several."""
    ids = [head * 1000 + tail for head, tail in parts]
    posts = many(len(ids))
    assert check_posts(posts.assign(**{column: [str(n) for n in ids]}))[column].tolist() == [
        str(n) for n in ids
    ]
    with pytest.raises(
        SelfieError, match=rf"column {column}, row 0.* expected (names as text|a name: a long number)"
    ):
        check_posts(posts.assign(**{column: [lose(n) for n in ids]}))


def test_a_list_in_a_cell_is_shown_in_a_sentence():
    with pytest.raises(SelfieError, match=r"column tags, row 0 .*got \['a', 'b'\], expected a whole number"):
        check_posts(table(tags=[["a", "b"], ["c"]]))


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(SelfieError, match=r"no posts table .*none\.parquet: give the path"):
        read_posts(tmp_path / "none.parquet")
    with pytest.raises(SelfieError, match="no posts table"):
        read_posts(tmp_path)  # a folder
    (tmp_path / "bad.parquet").write_bytes(b"not parquet")
    with pytest.raises(SelfieError, match=r"bad\.parquet cannot be read as a table \(.*\): save it") as error:
        read_posts(tmp_path / "bad.parquet")
    assert "\n" not in str(error.value)
    (tmp_path / "bad.csv").write_bytes(b"a,b\n1,2\n4,5,6,7,8\n")
    with pytest.raises(SelfieError, match=r"bad\.csv has 2 columns, and more cells in 1 of its rows"):
        read_posts(tmp_path / "bad.csv")


# --- sifting ---------------------------------------------------------------------------------------------


def test_bad_rows_are_sifted_out_each_with_its_first_reason():
    likes = [1, "many", 3, -4, 5, 6, 7, 8, 9, 10, 11]
    images = [f"{i}.jpg" for i in range(10)] + ["../10.jpg"]
    ids = ["a", "b", "c", "d", "e", "f", "g", "g", "i", None, "k"]
    dates = ["2015-01-01"] * 11
    dates[1] = dates[5] = "soon"
    posts, reasons = sift_posts(many(11, image=images, post_id=ids, likes=likes, posted_at=dates))
    assert posts["image"].tolist() == ["0.jpg", "2.jpg", "4.jpg", "6.jpg", "8.jpg"]
    assert posts.index.tolist() == [0, 1, 2, 3, 4] and posts["likes"].tolist() == [1, 3, 5, 7, 9]
    assert reasons.to_dict() == {
        1: "likes is not a whole number, zero or more",  # its date comes after it
        3: "likes is not a whole number, zero or more",
        5: "posted_at is not a date such as 2015-10-25 or 2015-10-25T18:30:00Z",
        7: "post_id is not found once only",  # the first of the two stays
        9: "post_id is not a name",
        10: "image is not a path inside the image folder",
    }


@pytest.mark.parametrize("bad", [0, 1, 4])
def test_up_to_half_of_the_rows_may_have_the_same_fault(bad):
    posts, reasons = sift_posts(many(8, tags=[-1] * bad + [1] * (8 - bad)))
    assert len(posts) == 8 - bad and reasons.index.tolist() == list(range(bad))


def test_where_more_than_half_have_the_same_fault_the_column_is_to_blame():
    with pytest.raises(SelfieError, match=r"^the source, column tags, row 2 \(and 4 more rows\): got -1"):
        sift_posts(many(9, tags=[1, 1, *[-1] * 5, 1, 1]), "the source")
    half_and_half = many(8, tags=[-1] * 4 + [1] * 4, likes=[1] * 4 + [-1] * 4)
    posts, reasons = sift_posts(half_and_half)  # neither column alone is to blame
    assert posts.empty and len(reasons) == 8 and np.unique(reasons).size == 2
