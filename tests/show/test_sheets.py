"""Rankings are sorted, sheets have the right tiles in the right places, and shrink with the data."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.analysis import ranking
from selfie_utils.core.errors import SelfieError
from selfie_utils.photos import images
from selfie_utils.photos.images import ImageFolder
from selfie_utils.show import sheets

POSTS = 17  # prime, so that no sheet divides it
BOX_COLOUR, LANDMARK_COLOUR = (240, 228, 66), (86, 180, 233)  # yellow and sky blue of Okabe and Ito
DARK, GREY = (24, 24, 24), (96, 96, 96)


@pytest.fixture
def photos(tmp_path):
    """Seventeen plain photos, each its own grey: photo i has the value 10 i."""
    for i in range(POSTS):
        Image.new("RGB", (40, 30), (10 * i,) * 3).save(tmp_path / f"{i}.png")
    return ImageFolder(tmp_path)


def some_scores(n=POSTS):
    """Photo i has the i-th lowest score; rows, index and ids stand in other orders."""
    order = np.random.default_rng(0).permutation(n)
    return pd.DataFrame(
        {
            "post_id": [f"p{7 * i % n:02d}" for i in order],
            "image": [f"{i}.png" for i in order],
            "score": order / n,
        },
        index=3 * np.random.default_rng(1).permutation(n) + 5,
    )


def greys(sheet, size, gutter=1):
    """The grey in the middle of every tile, row by row."""
    pixels, step = np.asarray(sheet), size + gutter
    return pixels[size // 2 :: step, size // 2 :: step, 0].tolist()


@given(rows=st.integers(1, 40), columns=st.integers(1, 40), available=st.integers(1, 2000))
def test_a_sheet_never_asks_for_more_posts_than_there_are(rows, columns, available):
    fitted = ranking.fit(rows, columns, available)
    assert 1 <= fitted[0] <= rows and 1 <= fitted[1] <= columns
    assert fitted[0] * fitted[1] <= available
    if rows * columns <= available:
        assert fitted == (rows, columns)


@pytest.mark.parametrize(
    ("asked", "available", "fitted"),
    [
        ((30, 10), 300, (30, 10)), ((30, 10), 299, (30, 9)),
        ((10, 10), 25, (5, 5)), ((20, 12), 60, (10, 6)),  # half as wide and high for a quarter of the posts
        ((20, 12), 103, (13, 7)),  # 13.1 rows of 7.9 columns
        ((30, 10), 75, (15, 5)), ((5, 7), 10, (3, 3)), ((1, 10), 3, (1, 3)), ((10, 1), 3, (3, 1)),
        ((23, 23), 169, (13, 13)),  # 23 times the root of 169 / 529 is a hair below 13 in floats
        ((2, 10), 1, (1, 1)),
    ],
)  # fmt: skip
def test_a_sheet_keeps_its_shape_when_it_shrinks(asked, available, fitted):
    assert ranking.fit(*asked, available) == fitted


def test_a_sheet_without_any_post_is_refused():
    with pytest.raises(SelfieError, match="no post to show"):
        ranking.fit(3, 3, 0)


def test_the_best_come_first_and_the_worst_from_the_other_end():
    scores = some_scores()
    assert ranking.best_first(scores)["image"].tolist() == [f"{i}.png" for i in reversed(range(POSTS))]
    assert ranking.best_first(scores).index.tolist() == list(range(POSTS))
    assert ranking.extreme(scores, 3)["image"].tolist() == ["16.png", "15.png", "14.png"]
    assert ranking.extreme(scores, 3, "best")["image"].tolist() == ["16.png", "15.png", "14.png"]
    assert ranking.extreme(scores, 2, "worst")["image"].tolist() == ["0.png", "1.png"]


def test_equal_scores_are_ordered_by_post_id_in_the_order_of_text():
    scores = pd.DataFrame(
        {"post_id": ["9", "b", "10", "a"], "image": list("wxyz"), "score": [0.5, 0.5, 0.5, 0.9]}
    )
    for mixed in (scores, scores.iloc[::-1], scores.sample(frac=1, random_state=1)):
        assert ranking.best_first(mixed)["post_id"].tolist() == ["a", "10", "9", "b"]
        assert ranking.extreme(mixed, 2, "worst")["post_id"].tolist() == ["b", "9"]


@pytest.mark.parametrize(("posts", "quarter"), [(16, 4), (17, 5), (4, 1), (1, 1)])
def test_the_top_is_never_more_than_a_quarter_of_the_posts_rounded_up(posts, quarter):
    scores = some_scores(posts)
    best = [f"{i}.png" for i in reversed(range(posts))]
    assert ranking.top_share(scores, 100)["image"].tolist() == best[:quarter]
    assert ranking.top_share(scores, quarter)["image"].tolist() == best[:quarter]
    assert ranking.top_share(scores, quarter - 1)["image"].tolist() == best[: quarter - 1]


def test_a_continuum_takes_evenly_spaced_ranks_from_the_best_to_the_worst():
    chosen = ranking.continuum(some_scores(), rows=2, columns=3)
    # Of ranks 0 to 16 every 3.2nd: 0, 3.2, 6.4, 9.6, 12.8, 16.
    assert chosen["image"].tolist() == [f"{16 - rank}.png" for rank in (0, 3, 6, 10, 13, 16)]


@pytest.mark.parametrize(
    ("end", "shown"),
    [("best", [[160, 130, 100], [60, 30, 0]]), ("worst", [[0, 30, 60], [100, 130, 160]])],
)
def test_the_continuums_tiles_show_the_photos_of_those_ranks(photos, end, shown):
    sheet = sheets.draw_continuum(photos, some_scores(), rows=2, columns=3, size=20, end=end)
    assert sheet.size == (3 * 21 - 1, 2 * 21 - 1) and greys(sheet, 20) == shown


@pytest.mark.parametrize(
    ("end", "shown"), [("best", [[160, 150, 140], [130, 120, 110]]), ("worst", [[0, 10, 20], [30, 40, 50]])]
)
def test_extremes_are_drawn_row_by_row_the_most_extreme_top_left(photos, end, shown):
    sheet = sheets.draw_extreme(photos, some_scores(), rows=2, columns=3, size=20, end=end)
    assert sheet.size == (3 * 21 - 1, 2 * 21 - 1) and greys(sheet, 20) == shown


def test_the_worst_posts_have_tiles_of_48_px_at_most():
    assert sheets.UNRECOGNISABLE == 48


def test_tiles_fill_their_place_and_a_dark_gutter_runs_between(photos):
    pixels = np.asarray(sheets.contact_sheet(images.tiles(photos, ["9.png"] * 5, 8), columns=3, gutter=2))
    assert pixels.shape == (2 * 10 - 2, 3 * 10 - 2, 3)
    wanted = np.full(pixels.shape, DARK, np.uint8)
    for row, column in ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1)):  # the sixth place stays empty
        wanted[row * 10 : row * 10 + 8, column * 10 : column * 10 + 8] = 90
    assert (pixels == wanted).all()
    narrow = sheets.contact_sheet(images.tiles(photos, ["9.png"] * 2, 8), columns=2)
    assert narrow.size == (17, 8) and narrow.getpixel((8, 4)) == DARK  # 1 px unless asked otherwise


def test_a_tile_is_the_whole_photo_squished_as_pillow_does_it(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 200, 3), dtype=np.uint8)
    noise[:20, -50:] = (255, 0, 0)  # a mark in the top right corner
    Image.fromarray(noise).save(tmp_path / "wide.png")
    tile = images.tile(ImageFolder(tmp_path), "wide.png", 24)
    assert (np.asarray(tile) == Image.fromarray(noise).resize((24, 24), Image.Resampling.BILINEAR)).all()
    assert tile.getpixel((21, 3)) == (255, 0, 0) != tile.getpixel((3, 3))


def test_a_large_jpeg_is_decoded_no_larger_than_its_tile_needs(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.jpg")
    with Image.open(tmp_path / "large.jpg") as small:
        small.draft("RGB", (40, 40))
        assert small.size == (80, 60)
        wanted = small.resize((40, 40), Image.Resampling.BILINEAR)
    tile = images.tile(ImageFolder(tmp_path), "large.jpg", 40)
    assert (np.asarray(tile) == np.asarray(wanted)).all()


def test_tiles_of_other_photos_folders_and_sizes_are_not_confused(photos, tmp_path):
    (tmp_path / "other").mkdir()
    Image.new("RGB", (30, 40), "white").save(tmp_path / "other" / "3.png")
    tiles = images.tiles(photos, ["3.png", "5.png", "3.png"], 12)
    assert [tile.getpixel((6, 6))[0] for tile in tiles] == [30, 50, 30]
    assert images.tile(ImageFolder(tmp_path / "other"), "3.png", 12).getpixel((6, 6)) == (255, 255, 255)
    assert images.tile(photos, "3.png", 9).size == (9, 9)


def test_a_sheet_carries_no_exif(tmp_path):
    exif = Image.Exif()
    exif[0x9286] = "here I live"  # UserComment
    Image.new("RGB", (30, 30), "white").save(tmp_path / "a.jpg", exif=exif)
    sheet = sheets.contact_sheet(images.tiles(ImageFolder(tmp_path), ["a.jpg"], 20), 1)
    out = io.BytesIO()
    sheet.save(out, "JPEG")
    assert not Image.open(out).getexif() and b"here I live" not in out.getvalue()


def test_a_photo_that_vanished_or_broke_leaves_a_grey_tile(photos):
    (photos.root / "broken.png").write_bytes(b"no photo")
    for name in ("gone.png", "broken.png"):
        tile = images.tile(photos, name, 16)
        assert tile.size == (16, 16) and tile.getcolors() == [(256, GREY)]


def test_an_empty_sheet_is_refused():
    with pytest.raises(SelfieError, match="no photo to show"):
        sheets.contact_sheet([], 3)


def is_written(tile, number, height):
    """Tell whether a number stands somewhere in a tile, white on dark, in Pillow's font of that height."""
    font = ImageFont.load_default(height)
    left, top, right, bottom = font.getbbox(number)
    drawn = Image.new("RGB", (right - left, bottom - top), DARK)
    ImageDraw.Draw(drawn).text((-left, -top), number, font=font, fill="white")
    wanted, found = np.asarray(drawn.convert("L"), int), np.asarray(tile.convert("L"), int)
    windows = np.lib.stride_tricks.sliding_window_view(found, wanted.shape)
    return bool((abs(windows - wanted).max(axis=(2, 3)) <= 2).any())


def test_places_from_1_on_are_printed_in_the_corner_of_every_tile(photos):
    scores, step = some_scores(), 97
    sheet = sheets.draw_extreme(photos, scores, True, rows=3, columns=4, size=96, end="best")
    for i in range(12):
        left, top = i % 4 * step, i // 4 * step
        tile = sheet.crop((left, top, left + 96, top + 96))
        assert is_written(tile.crop((0, 0, 32, 24)), str(i + 1), 10), i
        marked = np.argwhere(np.asarray(tile)[:, :, 0] != 10 * (16 - i))
        assert marked.max(axis=0).tolist() < [24, 32]  # the rest of the photo is left alone
    plain = sheets.draw_extreme(photos, scores, rows=3, columns=4, size=96, end="best")
    assert plain.getpixel((0, 0)) == (160, 160, 160) and plain.crop((0, 0, 96, 96)).getcolors() == [
        (96 * 96, (160, 160, 160))
    ]


def test_printed_places_grow_with_the_tile(photos):
    (tile,) = images.tiles(photos, ["9.png"], 240)
    sheet = sheets.contact_sheet([tile], 1, numbered=True)
    assert is_written(sheet.crop((0, 0, 60, 60)), "1", 20) and not is_written(
        sheet.crop((0, 0, 60, 60)), "1", 10
    )
    assert tile.getcolors() == [(240 * 240, (90, 90, 90))]  # the number is on the sheet, not on the tile


def test_two_sheets_stand_side_by_side_with_a_wide_white_gap(photos):
    left, right = ["16.png", "15.png", "14.png"], ["1.png", "2.png", "3.png", "4.png", "5.png"]
    sheet = sheets.side_by_side(photos, left, right, columns=2, size=16)
    assert sheet.size == (33 + 4 + 33, 3 * 17 - 1)
    assert greys(sheet.crop((0, 0, 33, 33)), 16) == [[160, 150], [140, 24]]
    assert greys(sheet.crop((37, 0, 70, 50)), 16) == [[10, 20], [30, 40], [50, 24]]
    assert sheet.crop((33, 0, 37, 50)).getcolors() == [(4 * 50, (255, 255, 255))]
    assert sheet.crop((0, 33, 33, 50)).getcolors() == [(33 * 17, (255, 255, 255))]


def face(image, left, top, right, bottom):
    """A face table's row: eyes above, nose in the middle, mouth below, none at the same height."""
    width, height = right - left, bottom - top
    points = {
        "left_eye": (0.25, 0.2), "right_eye": (0.75, 0.3), "nose": (0.5, 0.5), "mouth_left": (0.35, 0.75),
        "mouth_right": (0.65, 0.85),
    }  # fmt: skip
    marks = {f"{name}_x": left + x * width for name, (x, _) in points.items()}
    marks |= {f"{name}_y": top + y * height for name, (_, y) in points.items()}
    return {"image": image, "faces": 1, "left": left, "top": top, "right": right, "bottom": bottom} | marks


def reach(tile, colour):
    """How far a colour reaches in a tile: left, top, right, bottom, each the last pixel that has it."""
    rows, columns = np.nonzero((np.asarray(tile) == colour).all(axis=2))
    return [columns.min(), rows.min(), columns.max(), rows.max()]


@pytest.mark.parametrize("shape", [(200, 60), (60, 200)])
def test_a_face_is_marked_where_it_is_also_on_oblong_photos(tmp_path, shape):
    """The face is a white patch far from the diagonal; its marks must lie around it and in it."""
    edges = (0.6, 0.1, 0.9, 0.35)
    width, height = shape
    photo = Image.new("RGB", shape, (40, 40, 40))
    photo.paste((255, 255, 255), [round(e * s) for e, s in zip(edges, (width, height) * 2, strict=True)])
    photo.save(tmp_path / "a.png")
    images = ImageFolder(tmp_path)
    row = face("a.png", *edges)
    sheet = sheets.face_check(images, pd.DataFrame([row]), columns=1, size=100, seed=0)
    tile = sheet.crop((0, 0, 100, 100))
    assert reach(tile, BOX_COLOUR) == [60, 10, 90, 35]
    assert tile.getpixel((75, 14)) == (255, 255, 255) and tile.getpixel((50, 50)) == (40, 40, 40)
    for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"):
        x, y = round(100 * row[f"{point}_x"]), round(100 * row[f"{point}_y"])
        assert tile.getpixel((x, y)) == LANDMARK_COLOUR, point
        assert tile.getpixel((x + 4, y)) != LANDMARK_COLOUR != tile.getpixel((x, y + 4))
    # The kept tile, which galleries share, has no marks.
    assert (np.ptp(np.asarray(images.tile(images, "a.png", 100)), axis=2) == 0).all()


def faces_of(count, without):
    """Photo i below `count` has a face i px from the middle of 48, the next ones have none; rows shuffled."""
    found = [face(f"{i}.png", (26 + i) / 48, 2 / 48, (38 + i) / 48, 20 / 48) for i in range(count)]
    none = [{"image": f"{count + i}.png", "faces": 0} for i in range(without)]
    return pd.DataFrame(found + none).sample(frac=1, random_state=3)


def test_photos_with_a_face_stand_above_photos_without_one(photos):
    faces = faces_of(9, 8)
    sheet = sheets.face_check(photos, faces, columns=4, size=48, seed=0)
    above, below = greys(sheet, 48)
    assert sheet.size == (4 * 49 - 1, 2 * 49 - 1)
    assert len(set(above)) == len(set(below)) == 4 and max(above) < 90 <= min(below)
    tiles = [sheet.crop(place) for place in boxes(4, 2, 48)]
    # Each has its own face: that of photo i starts i px right of the others' common edge.
    assert [reach(tile, BOX_COLOUR)[0] for tile in tiles[:4]] == [26 + grey // 10 for grey in above]
    assert not any((np.asarray(tile) == BOX_COLOUR).all(axis=2).any() for tile in tiles[4:])
    again, other = (sheets.face_check(photos, faces, columns=4, size=48, seed=s) for s in (0, 1))
    assert (np.asarray(again) == np.asarray(sheet)).all() and greys(other, 48) != greys(sheet, 48)


def boxes(columns, rows, size):
    step = size + 1
    return [
        (c * step, r * step, c * step + size, r * step + size) for r in range(rows) for c in range(columns)
    ]


def test_where_few_photos_have_a_face_those_without_one_still_start_a_row(photos):
    sheet = sheets.face_check(photos, faces_of(1, 16), columns=3, size=48, seed=0)
    above, below = greys(sheet, 48)
    assert above == [0, 24, 24] and len(below) == 3 and min(below) >= 10


def test_males_are_chosen_by_annotation():
    scores = some_scores(5)
    men = {"p00", "p02", "p04"}
    posts = pd.DataFrame(
        {
            "post_id": ["p03", "other", "p04", "p02", "p00"],  # none for p01, and one that has no score
            "presented_gender": [None, "male", "male", "male", "male"],
        }
    )
    wanted = ranking.is_wanted(posts, scores, "presented_gender", "male")
    assert wanted.dtype == bool and wanted.tolist() == [post in men for post in scores["post_id"]]
    ages = scores[["post_id"]].assign(age=[30, 31, 30, 31, 31]).iloc[::-1]
    assert ranking.is_wanted(ages, scores, "age", "31").tolist() == [False, True, False, True, True]
    nobody = ranking.is_wanted(posts, scores, "no_such_column", "male")
    assert nobody.dtype == bool and nobody.tolist() == [False] * 5


def test_posts_picked_by_hand_come_before_the_annotation(tmp_path):
    scores = some_scores(5)
    posts = scores[["post_id"]].assign(presented_gender="male")
    (tmp_path / "picked.txt").write_text("p02\nunknown\r\n  p04 \n\n")
    by_hand = ranking.is_wanted(posts, scores, "presented_gender", "male", str(tmp_path / "picked.txt"))
    assert by_hand.tolist() == [post in ("p02", "p04") for post in scores["post_id"]]
    with pytest.raises(SelfieError, match=r"no file .*missing\.txt"):
        ranking.is_wanted(posts, scores, "", "", str(tmp_path / "missing.txt"))
    with pytest.raises(SelfieError, match="no file"):
        ranking.is_wanted(posts, scores, "", "", str(tmp_path))  # a folder is no list
    (tmp_path / "others.txt").write_text("p2\n")
    with pytest.raises(SelfieError, match=r"others\.txt names no scored post"):
        ranking.is_wanted(posts, scores, "", "", str(tmp_path / "others.txt"))
