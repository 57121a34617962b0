"""Instagram's JSON is read at the edges too: counts, dates, and whose JSON it is."""

import datetime
import math

import pytest

from selfie_utils.posts.importers import instagram

UTC = datetime.UTC


@pytest.mark.parametrize(
    ("value", "count"),
    [
        (0, 0), (-1, -1), (7.0, 7), ("1,250", 1250), (" 12 ", 12),
        (2**62 - 1, 2**62 - 1), (-(2**62) + 1, 1 - 2**62),
        (2**62, None), (-(2**62), None), (7.5, None), (math.inf, None), (-math.inf, None), (math.nan, None),
        (True, None), ("1.2k", None), ("1,25", None), ("", None), (None, None), ([7], None),
    ],
)  # fmt: skip
def test_a_count_is_a_whole_number_below_2_to_the_62(value, count):
    assert instagram.whole_number(value) == count


@pytest.mark.parametrize(
    ("value", "date"),
    [
        (0, datetime.datetime(1970, 1, 1, tzinfo=UTC)),
        (1_600_000_000, datetime.datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
        ("1600000000", datetime.datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),
        (1_600_000_000_999, datetime.datetime(2020, 9, 13, 12, 26, 40, tzinfo=UTC)),  # ms
        (10**11 - 1, datetime.datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        (10**11, datetime.datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),  # the first that counts ms
        (10**14 - 1000, datetime.datetime(5138, 11, 16, 9, 46, 39, tzinfo=UTC)),
        ("2021-03-01T12:00:00+02:00", datetime.datetime(2021, 3, 1, 10, tzinfo=UTC)),
        ("2021-03-01 12:00", datetime.datetime(2021, 3, 1, 12, tzinfo=UTC)),
        (10**14, None), (-1, None), (math.nan, None), (math.inf, None), ("inf", None), (True, None),
        ("soon", None), (None, None), ("0001-01-01T00:00:00+23:00", None),
    ],
)  # fmt: skip
def test_a_date_is_seconds_milliseconds_or_iso(value, date):
    assert instagram.date_of(value) == date


ITEM = {"uri": "media/1.jpg"}
EXPORTS = [
    [{"media": [ITEM]}],
    [ITEM | {"creation_timestamp": 1}],
    [{"path": "photos/1.jpg", "taken_at": "2019-01-01"}],
    {"photos": [{"path": "photos/1.jpg", "taken_at": "2019-01-01"}]},
    {"ig_stories": [ITEM | {"creation_timestamp": 1}]},
]


@pytest.mark.parametrize("content", EXPORTS)
def test_ones_own_export_is_known_by_what_it_says_of_a_photo(content):
    assert "Instagram's own export" in instagram.other_make(content)


@pytest.mark.parametrize("name", ["GraphImages", "GraphStories", "GraphProfileInfo"])
def test_another_scraper_is_known_by_its_names(name):
    assert instagram.other_make({name: []}).startswith("instagram-scraper's JSON")


@pytest.mark.parametrize(
    "content",
    [
        {}, [], None, "text", [None], [ITEM], {"photos": []}, {"photos": {}}, [{"media": []}],
        [{"media": ITEM}],
        [{"creation_timestamp": 1}], {"node": {"taken_at_timestamp": 1}},
    ],
)  # fmt: skip
def test_what_nobody_knows_is_not_named(content):
    assert instagram.other_make(content) == ""


@pytest.mark.parametrize(
    ("node", "likes"),
    [
        ({"edge_media_preview_like": {"count": 5}, "like_count": 7}, 5),
        ({"edge_liked_by": {"count": 0}}, 0),
        ({"like_count": "1,250"}, 1250),
        ({"iphone_struct": {"like_count": 3}}, 3),
        ({"like_count": -1}, "likes are hidden or unknown"),
        ({}, "likes are hidden or unknown"),
        ({"like_count": 5, "like_and_view_counts_disabled": True}, "likes are hidden or unknown"),
        (
            {"like_count": 5, "iphone_struct": {"like_and_view_counts_disabled": True}},
            "likes are hidden or unknown",
        ),
        ({"like_count": "many"}, "likes are not a whole number"),
        ({"like_count": 1.5}, "likes are not a whole number"),
    ],
)
def test_likes_are_a_count_or_the_reason_why_not(node, likes):
    assert instagram.likes_of(node) == likes


@pytest.mark.parametrize(
    "node",
    [
        {"__typename": "GraphVideo"}, {"is_video": True}, {"video_url": "x"}, {"video_versions": [{}]},
        {"media_type": 2}, {"iphone_struct": {"media_type": 2}},
    ],
)  # fmt: skip
def test_a_video_is_known_however_its_make_says_so(node):
    assert instagram.is_video(node)


@pytest.mark.parametrize(
    "node", [{}, None, {"__typename": "GraphImage"}, {"is_video": False}, {"media_type": 1}]
)
def test_a_photo_is_no_video(node):
    assert not instagram.is_video(node)
