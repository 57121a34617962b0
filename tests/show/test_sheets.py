"""Sheets have the right tiles in the right places; who is to stay small is never drawn larger."""

import io
from functools import partial

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos import images
from selfie_utils.photos.images import ImageFolder
from selfie_utils.show import sheets

POSTS = 17  # prime, so that no sheet divides it
BOX_COLOUR, LANDMARK_COLOUR = (240, 228, 66), (86, 180, 233)  # yellow and sky blue of Okabe and Ito
DARK, GREY = (24, 24, 24), (96, 96, 96)
RANKED = [f"{i}.png" for i in reversed(range(POSTS))]  # the best first


@pytest.fixture
def photos(tmp_path):
    """Seventeen plain photos, each its own grey: photo i has the value 10 i."""
    for i in range(POSTS):
        Image.new("RGB", (40, 30), (10 * i,) * 3).save(tmp_path / f"{i}.png")
    return ImageFolder(tmp_path)


def greys(sheet, size, gutter=1):
    """The grey in the middle of every tile, row by row."""
    pixels, step = np.asarray(sheet), size + gutter
    return pixels[size // 2 :: step, size // 2 :: step, 0].tolist()


@pytest.mark.parametrize(
    ("end", "shown"),
    [("best", [[160, 130, 100], [60, 30, 0]]), ("worst", [[0, 30, 60], [100, 130, 160]])],
)
def test_a_continuum_takes_evenly_spaced_ranks_from_the_best_to_the_worst(photos, end, shown):
    """Of ranks 0 to 16 every 3.2nd: 0, 3.2, 6.4, 9.6, 12.8, 16."""
    sheet = sheets.draw_continuum(photos, RANKED, rows=2, columns=3, size=20, end=end)
    assert sheet.size == (3 * 21 - 1, 2 * 21 - 1) and greys(sheet, 20) == shown


@pytest.mark.parametrize(
    ("end", "shown"), [("best", [[160, 150, 140], [130, 120, 110]]), ("worst", [[0, 10, 20], [30, 40, 50]])]
)
def test_extremes_are_drawn_row_by_row_the_most_extreme_top_left(photos, end, shown):
    sheet = sheets.draw_extreme(photos, RANKED, rows=2, columns=3, size=20, end=end)
    assert sheet.size == (3 * 21 - 1, 2 * 21 - 1) and greys(sheet, 20) == shown


@pytest.mark.parametrize("draw", [sheets.draw_continuum, sheets.draw_extreme])
def test_a_sheet_knows_where_each_photo_stands(photos, draw):
    sheet = draw(photos, RANKED, rows=2, columns=3, size=20, end="best")
    places = sheets.places_of(sheet)
    assert [(p.left, p.top, p.size) for p in places] == [
        (0, 0, 20), (21, 0, 20), (42, 0, 20), (0, 21, 20), (21, 21, 20), (42, 21, 20)
    ]  # fmt: skip
    shown = [sheet.getpixel((p.left + 10, p.top + 10))[0] for p in places]
    assert shown == [10 * int(p.image.removesuffix(".png")) for p in places]


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
    step = 97
    sheet = sheets.draw_extreme(photos, RANKED, True, rows=3, columns=4, size=96, end="best")
    for i in range(12):
        left, top = i % 4 * step, i // 4 * step
        tile = sheet.crop((left, top, left + 96, top + 96))
        assert is_written(tile.crop((0, 0, 32, 24)), str(i + 1), 10), i
        marked = np.argwhere(np.asarray(tile)[:, :, 0] != 10 * (16 - i))
        assert marked.max(axis=0).tolist() < [24, 32]  # the rest of the photo is left alone
    plain = sheets.draw_extreme(photos, RANKED, rows=3, columns=4, size=96, end="best")
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


def test_a_single_photo_stands_beside_many(photos):
    sheet = sheets.side_by_side(photos, ["16.png"], ["1.png", "2.png", "3.png"], columns=2, size=16)
    right = sheet.crop((sheet.width - 33, 0, sheet.width, 33))
    assert greys(right, 16) == [[10, 20], [30, 24]] and greys(sheet.crop((0, 0, 16, 16)), 16) == [[160]]


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
    folder = ImageFolder(tmp_path)
    row = face("a.png", *edges)
    sheet = sheets.face_check(folder, pd.DataFrame([row]), columns=1, size=100, seed=0)
    tile = sheet.crop((0, 0, 100, 100))
    assert reach(tile, BOX_COLOUR) == [60, 10, 90, 35]
    assert tile.getpixel((75, 14)) == (255, 255, 255) and tile.getpixel((50, 50)) == (40, 40, 40)
    for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"):
        x, y = round(100 * row[f"{point}_x"]), round(100 * row[f"{point}_y"])
        assert tile.getpixel((x, y)) == LANDMARK_COLOUR, point
        assert tile.getpixel((x + 4, y)) != LANDMARK_COLOUR != tile.getpixel((x, y + 4))
    # The kept tile, which galleries share, has no marks.
    assert (np.ptp(np.asarray(images.tile(folder, "a.png", 100)), axis=2) == 0).all()


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


@pytest.mark.parametrize(("asked", "shown"), [(47, 47), (48, 48), (49, 48), (160, 48)])
def test_the_worst_are_drawn_in_tiles_of_48_px_at_most_whoever_asks(photos, asked, shown):
    sheet = sheets.draw_extreme(photos, RANKED, rows=2, columns=3, size=asked, end="worst")
    assert sheet.size == (3 * (shown + 1) - 1, 2 * (shown + 1) - 1)
    assert sheet.getpixel((shown + 1 + shown // 2, shown // 2)) == (10, 10, 10)  # the last but one
    best = sheets.draw_extreme(photos, RANKED, rows=2, columns=3, size=asked, end="best")
    assert best.size == (3 * (asked + 1) - 1, 2 * (asked + 1) - 1)


def on_a_grid(rows):
    """Six photos on a grid of 2 x 3, row by row from the top left."""
    assert rows == 2
    names = ["4.png", "16.png", "9.png", "1.png", "12.png", "7.png"]
    return pd.DataFrame({"image": names, "row": [0, 0, 0, 1, 1, 1], "column": [0, 1, 2, 0, 1, 2]})


def test_a_map_shows_each_photo_in_its_cell(photos):
    sheet = sheets.draw_map(photos, on_a_grid, rows=2, size=10)
    assert sheet.size == (32, 21)  # tiles of 10 px and gutters
    assert greys(sheet, 10) == [[40, 160, 90], [10, 120, 70]]


@pytest.fixture
def noisy(tmp_path):
    """Seventeen photos of noise, lighter than the ground: every pixel that is shown differs from it."""
    rng = np.random.default_rng(0)
    for i in range(POSTS):
        pixels = rng.integers(90, 256, (200, 300, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    return ImageFolder(tmp_path)


SMALL = {"1.png", "12.png", "16.png"}
DRAWN = {  # what a sheet is drawn with, and its photos in order
    "extreme": (partial(sheets.draw_extreme, rows=2, columns=3, end="best"), RANKED, RANKED[:6]),
    "continuum": (partial(sheets.draw_continuum, rows=4, columns=4, end="best"), RANKED[:16], RANKED[:16]),
    "upwards": (partial(sheets.draw_continuum, rows=4, columns=4, end="worst"), RANKED[:16], RANKED[15::-1]),
    "map": (partial(sheets.draw_map, rows=2), on_a_grid, on_a_grid(2)["image"].tolist()),
}


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("size", [16, 48, 49, 64, 128])
def test_photos_to_be_kept_small_have_48_px_at_most_in_the_middle_of_their_tile(noisy, kind, size):
    draw, given, names = DRAWN[kind]
    sheet = np.asarray(draw(noisy, given, small=SMALL, size=size))
    columns, step = (sheet.shape[1] + 1) // (size + 1), size + 1
    margin = max(0, (size - 48) // 2)
    for i, name in enumerate(names):
        row, column = divmod(i, columns)
        tile = sheet[row * step : row * step + size, column * step : column * step + size]
        most = min(size, 48) if name in SMALL else size
        edge = margin if name in SMALL else 0
        shown = tile[edge : edge + most, edge : edge + most]
        assert (shown == np.asarray(images.tile(noisy, name, most))).all(), name
        assert (tile != DARK).any(axis=2).sum() == most**2, name  # and nothing of it anywhere else


@pytest.mark.parametrize("kind", DRAWN)
def test_where_nobody_is_to_be_kept_small_every_photo_fills_its_tile(noisy, kind):
    draw, given, _ = DRAWN[kind]
    plain, nobody = (np.asarray(draw(noisy, given, size=64, **kept)) for kept in ({}, {"small": ()}))
    assert np.array_equal(plain, nobody) and (plain != DARK).any(axis=2).mean() > 0.96


def test_tiles_stand_in_a_row_below_their_titles():
    tiles = [Image.new("RGB", (64, 64), (value,) * 3) for value in (200, 90)]
    pixels = np.asarray(sheets.titled(tiles, ["as it was\nscore 12.3", "faded\nscore 45.6"]))[..., 0]
    top = pixels.shape[0] - 64 - 4
    assert pixels.shape[1] == 2 * (64 + 4) + 4
    assert (pixels[top : top + 64, 4:68] == 200).all() and (pixels[top : top + 64, 72:136] == 90).all()
    assert (pixels[:top] > 200).any() and (pixels[-4:] == DARK[0]).all() and pixels[0, 0] == DARK[0]


@pytest.fixture
def pair(tmp_path):
    """An oblong photo of 120 x 60 px, light, with a red square that its best crop shows."""
    photo = Image.new("RGB", (120, 60), (200, 200, 200))
    photo.paste((255, 0, 0), (60, 0, 120, 60))
    photo.save(tmp_path / "me.png")
    row = {"image": "me.png", "left": 0.5, "top": 0.0, "right": 1.0, "bottom": 1.0}
    return ImageFolder(tmp_path), pd.DataFrame([row | {"score": 0.4449, "crop_score": 0.9}])


def test_a_pair_shows_the_original_left_with_its_crop_marked_and_the_crop_right_scores_above(pair):
    folder, crops = pair
    sheet = sheets.draw_pairs(folder, crops, pairs=3, columns=3, size=120)
    caption, gap = 16, 12
    assert sheet.size == (241 + 2 * gap, 120 + caption + 2 * gap)  # one pair needs no room for three
    left, right = (sheet.crop((x, gap + caption, x + 120, gap + caption + 120)) for x in (gap, gap + 121))
    assert right.getcolors() == [(120 * 120, (255, 0, 0))]
    # The original keeps its shape, in the middle of a dark square; its crop has a thin line around it.
    assert left.getpixel((30, 29)) == DARK and left.getpixel((30, 31)) == (200, 200, 200)
    assert reach(left, BOX_COLOUR) == [60, 30, 119, 89] and left.getpixel((90, 60)) == (255, 0, 0)
    above = sheet.crop((0, 0, sheet.width, gap + caption))
    assert is_written(above.crop((0, 0, gap + 120, gap + caption)), "score 44.5", 10)
    assert is_written(above.crop((gap + 121, 0, sheet.width, gap + caption)), "score 90.0", 10)


@pytest.mark.parametrize("size", [40, 48, 160])
def test_of_real_people_at_the_bottom_a_pair_shows_48_px_at_most_and_the_crop_to_the_same_scale(noisy, size):
    box = {"left": 0.2, "top": 0.1, "right": 0.8, "bottom": 1.0, "score": 0.01, "crop_score": 0.02}
    crops = pd.DataFrame([{"image": name, **box} for name in ("1.png", "2.png")])
    sheet = np.asarray(sheets.draw_pairs(noisy, crops, small=SMALL, pairs=2, columns=2, size=size))
    caption, gap, most = max(16, size // 8), max(8, size // 10), min(size, 48)
    tops = slice(gap + caption, gap + caption + size)
    for i, shown in ((0, most), (1, size)):
        for half in range(2):
            start = gap + i * (2 * size + 1 + gap) + half * (size + 1)
            lit = (sheet[tops, start : start + size] != DARK).any(axis=2)
            rows, columns = np.flatnonzero(lit.any(1)), np.flatnonzero(lit.any(0))
            wide, high = np.ptp(columns) + 1, np.ptp(rows) + 1
            if half:  # the crop is 180 px of the photo's 300
                assert wide == high == (shown if i else round(180 * shown / 300))
            else:
                assert wide == shown and high == round(200 * shown / 300)


def test_every_place_of_the_controls_of_pairs_shows_another_sheet(photos):
    box = {"left": 0, "top": 0, "right": 0.5, "bottom": 0.5, "score": 0.1, "crop_score": 0.2}
    crops = pd.DataFrame([{"image": f"{i}.png", **box} for i in range(1, 8)])
    knobs = sheets.knobs_of_pairs(len(crops))
    start = {key: spec[0] for key, spec in knobs.items()}
    for key, (_, least, most, *step) in knobs.items():
        drawn = [
            sheets.draw_pairs(photos, crops, **start | {key: at}) for at in range(least, most + 1, *step)
        ]
        assert len({sheet.tobytes() for sheet in drawn}) == len(drawn) > 4
    assert [sheets.knobs_of_pairs(1)[key] for key in ("pairs", "columns")] == [(1, 1, 1)] * 2


def test_pairs_fill_rows_and_a_photo_that_vanished_is_grey(photos):
    box = {"left": 0, "top": 0, "right": 0.5, "bottom": 0.5, "score": 0.1, "crop_score": 0.2}
    crops = pd.DataFrame([{"image": f"{i}.png", **box} for i in (16, 9, 99, 3, 4)])
    sheet = sheets.draw_pairs(photos, crops, pairs=4, columns=2, size=40)
    assert sheet.size == (2 * (81 + 8) + 8, 2 * (56 + 8) + 8)  # the fifth is not shown
    middles = [
        sheet.getpixel((8 + c * 89 + 41 + 20, 8 + r * 64 + 16 + 20))[0] for r in range(2) for c in range(2)
    ]
    assert middles == [160, 90, 96, 30]
    with pytest.raises(SelfieError, match="sheet of pairs needs one crop"):
        sheets.draw_pairs(photos, crops.head(0), pairs=1, columns=1, size=40)
