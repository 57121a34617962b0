"""A name in a table finds its photo where only one can be meant, and no other."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.posts.photo_names import clean, match_names

PHOTOS = ["p1.jpg", "p2.jpg", "p3.jpg"]


@pytest.mark.parametrize(
    ("wanted", "there"),
    [
        (["p1.JPG", "P2.jpg", "p3.Jpg"], PHOTOS),
        (["p1.jpg", "p2.jpg", "p3.jpg"], ["P1.JPG", "P2.JPG", "P3.JPG"]),
        (["p1.jpeg", "p2.JPEG", "p3.jpe"], PHOTOS),
        (["p1", "p2", "p3"], PHOTOS),
        ([" p1.jpg ", "p2.jpg\t", "'p3.jpg'"], PHOTOS),
        (["./p1.jpg", ".\\p2.jpg", "//p3.jpg"], PHOTOS),
        (["https://x.example/a/p1.jpg?w=640", "http://x.example/a/p2.jpg#top", "https://y/p3.jpg"], PHOTOS),
        (["C:\\Users\\me\\p1.jpg", "C:\\Users\\me\\p2.jpg", "C:\\Users\\me\\p3.jpg"], PHOTOS),
        (["/home/me/p1.jpg", "/home/me/p2.jpg", "/home/me/p3.jpg"], PHOTOS),
        (["\\\\host\\share\\p1.jpg", "\\\\host\\share\\p2.jpg", "\\\\host\\share\\p3.jpg"], PHOTOS),
        (PHOTOS, ["top/p1.jpg", "top/p2.jpg", "top/p3.jpg"]),
        (PHOTOS, ["a/p1.jpg", "b/p2.jpg", "c/d/p3.jpg"]),
        (["x/1.jpg", "y/1.jpg"], ["top/x/1.jpg", "top/y/1.jpg"]),
        (["/me/x/1.jpg", "/me/y/1.jpg"], ["x/1.jpg", "y/1.jpg"]),
        (["1", "2", "30"], ["000001.jpg", "000002.jpg", "000030.jpg"]),
        (["1.0", "2.0"], ["01.png", "02.png"]),
        (["M\u00fcller.jpg"], ["Mu\u0308ller.jpg"]),
        (["a%20b.jpg", "https://x/c%20d.jpg"], ["a%20b.jpg", "c d.jpg"]),
        (["straße.JPG"], ["STRASSE.jpg"]),
        (["a%20b.jpg", "c%C3%A9.JPG", "100%.jpg"], ["a b.jpg", "cé.jpg", "100%.jpg"]),
        (["https://x/photo/1?size=l", "https://x/photo/2?size=l"], ["1.jpg", "2.jpg"]),
    ],
)  # fmt: skip
def test_names_of_another_look_find_their_photos(wanted, there):
    others = ["posts.csv", "notes.txt"]
    assert (
        match_names(wanted, there)
        == match_names(wanted, there + others)
        == dict(zip(wanted, there, strict=True))
    )


@pytest.mark.parametrize(
    ("wanted", "there", "found"),
    [
        (["p1.jpg", "P1.JPG"], ["p1.jpg"], {"p1.jpg": "p1.jpg"}),  # the other may be another photo
        (["x/1.jpg", "y/1.jpg"], ["1.jpg"], {}),
        (["1.jpg"], ["x/1.jpg", "y/1.jpg"], {}),
        (["p1"], ["p1.jpg", "p1.png"], {}),
        (["p1.png"], ["p1.jpg"], {}),  # of another kind
        (["1"], ["01.jpg", "001.jpg"], {}),
        (["https://x/photo?id=1", "https://x/photo?id=2"], ["photo.jpg"], {}),
        (["https://x/photo?id=1", "https://x/photo?id=2"], ["photo", "2.jpg"], {}),
        (["a%20b.jpg", "a b.jpg"], ["a b.jpg"], {"a b.jpg": "a b.jpg"}),
        (["1", "01"], ["0001.jpg"], {}),
        (["p4.jpg"], PHOTOS, {}),
        ([], PHOTOS, {}),
        (["p1.jpg"], [], {}),
    ],
)
def test_where_two_may_be_meant_none_is(wanted, there, found):
    assert match_names(wanted, there) == found


def test_a_name_twice_is_one_name():
    assert match_names(["p1.JPG", "p1.JPG", " p1.JPG"], PHOTOS) == {"p1.JPG": "p1.jpg", " p1.JPG": "p1.jpg"}


NAMES = st.lists(
    st.tuples(st.sampled_from(["", "a/", "b/"]), st.text("abAB019", min_size=1, max_size=3)).map("".join),
    max_size=8,
    unique=True,
)  # fmt: skip


@settings(max_examples=100)
@given(NAMES, NAMES)
def test_no_photo_is_given_to_two_names_and_exact_names_come_first(wanted, there):
    wanted, there = [f"{name}.jpg" for name in wanted], [f"{name}.JPG" for name in there] + ["x.jpg"]
    found = match_names(wanted, there)
    assert len(set(found.values())) == len(found) and set(found.values()) <= set(there)
    again = match_names(there, there)
    assert again == {name: name for name in there}


def test_an_address_or_a_path_is_cleaned():
    assert clean("https://x.example/a%20b/c.jpg?w=1#f") == "/a b/c.jpg"
    assert clean(" .\\a\\b.jpg ") == "a/b.jpg"
    assert (
        clean("//x.example/b.jpg?w=1") == "/x.example/b.jpg"
        and clean("media/b.PNG?v=2&w=3#f") == "media/b.PNG"
    )
    assert clean("a#1.jpg") == "a#1.jpg" and clean("a.jpg#1.jpg") == "a.jpg"
    assert clean("what?.jpg") == "what?.jpg"  # a file may be called so
