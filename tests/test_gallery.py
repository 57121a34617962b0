"""Rankings are sorted, sheets have the right tiles in the right places, and shrink with the data."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfie_utils import gallery
from selfie_utils.errors import SelfieError
from selfie_utils.images import ImageFolder


@pytest.fixture
def photos(tmp_path):
    """Sixteen plain photos, each its own grey: photo i has the value 10 i."""
    for i in range(16):
        Image.new("RGB", (40, 30), (10 * i,) * 3).save(tmp_path / f"{i}.png")
    return ImageFolder(tmp_path)


def some_scores(n=16):
    rng = np.random.default_rng(0)
    order = rng.permutation(n)
    return pd.DataFrame(
        {"post_id": [f"p{i}" for i in order], "image": [f"{i}.png" for i in order], "score": order / n}
    )


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), available=st.integers(1, 2000))
def test_a_sheet_never_asks_for_more_posts_than_there_are(rows, columns, available):
    fitted = gallery.fit(rows, columns, available)
    assert 1 <= fitted[0] <= rows and 1 <= fitted[1] <= columns
    assert fitted[0] * fitted[1] <= available
    if rows * columns <= available:
        assert fitted == (rows, columns)


def test_the_best_come_first_and_the_worst_from_the_other_end():
    scores = some_scores()
    assert gallery.extreme(scores, 3)["image"].tolist() == ["15.png", "14.png", "13.png"]
    assert gallery.extreme(scores, 2, "worst")["image"].tolist() == ["0.png", "1.png"]
    assert len(gallery.top_share(scores, 100)) == 4  # a quarter of sixteen, not all of them


def test_equal_scores_have_one_order():
    scores = some_scores().assign(score=0.5)
    assert gallery.best_first(scores).equals(gallery.best_first(scores.sample(frac=1, random_state=1)))


def test_a_continuum_runs_from_the_best_to_the_worst():
    chosen = gallery.continuum(some_scores(), rows=2, columns=3)
    assert chosen["score"].is_monotonic_decreasing and chosen["image"].is_unique
    assert (chosen["image"].iloc[0], chosen["image"].iloc[-1]) == ("15.png", "0.png")


def test_tiles_lie_row_by_row_with_a_dark_gutter(photos):
    sheet = gallery.draw_extreme(photos, some_scores(), rows=2, columns=3, size=20, end="best")
    pixels = np.asarray(sheet)
    assert sheet.size == (3 * 21 - 1, 2 * 21 - 1)
    middles = [[int(pixels[r * 21 + 10, c * 21 + 10, 0]) for c in range(3)] for r in range(2)]
    assert middles == [[150, 140, 130], [120, 110, 100]]
    assert (pixels[:, 20] == gallery.GUTTER_COLOUR).all() and (pixels[20] == gallery.GUTTER_COLOUR).all()


def test_a_sheet_carries_no_exif(tmp_path):
    exif = Image.Exif()
    exif[0x9286] = "here I live"  # UserComment
    Image.new("RGB", (30, 30), "white").save(tmp_path / "a.jpg", exif=exif)
    sheet = gallery.contact_sheet(gallery.tiles(ImageFolder(tmp_path), ["a.jpg"], 20), 1)
    out = io.BytesIO()
    sheet.save(out, "JPEG")
    assert not Image.open(out).getexif() and b"here I live" not in out.getvalue()


def test_a_photo_that_vanished_leaves_a_grey_tile(photos):
    assert gallery.tile(photos, "gone.png", 16).getpixel((8, 8)) == gallery.MISSING_COLOUR


def test_an_empty_sheet_is_refused():
    with pytest.raises(SelfieError, match="no photo to show"):
        gallery.contact_sheet([], 3)


def test_places_are_printed_on_request(photos):
    plain, numbered = (
        gallery.contact_sheet(gallery.tiles(photos, ["9.png"], 64), 1, numbered=n) for n in (False, True)
    )
    assert np.asarray(plain).std() == 0 < np.asarray(numbered).std()


def test_males_are_chosen_by_annotation_or_by_hand(tmp_path):
    scores = some_scores(4)
    posts = pd.DataFrame(
        {"post_id": ["p0", "p1", "p2", "p3"], "presented_gender": ["male", "female", None, "male"]}
    )
    by_annotation = gallery.is_wanted(posts, scores, "presented_gender", "male")
    assert set(scores["post_id"][by_annotation]) == {"p0", "p3"}
    assert not gallery.is_wanted(posts, scores, "no_such_column", "male").any()
    (tmp_path / "picked.txt").write_text("p2\nunknown\n")
    by_hand = gallery.is_wanted(posts, scores, "presented_gender", "male", str(tmp_path / "picked.txt"))
    assert set(scores["post_id"][by_hand]) == {"p2"}
    with pytest.raises(SelfieError, match="no file"):
        gallery.is_wanted(posts, scores, "", "", str(tmp_path / "missing.txt"))
    (tmp_path / "empty.txt").write_text("")
    with pytest.raises(SelfieError, match="names no scored post"):
        gallery.is_wanted(posts, scores, "", "", str(tmp_path / "empty.txt"))
