"""Contact sheets as the article shows them: square tiles, laid side by side on a dark ground."""

from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import MISSING_COLOUR, Images, UnreadableImage, decode, squish, tile, tiles

GUTTER_COLOUR = (24, 24, 24)
MARK = (240, 228, 66)  # yellow, of boxes drawn on photos
BOX = ("left", "top", "right", "bottom")
UNRECOGNISABLE = 48  # px per photo; the worst posts are never shown larger
PLACES = "places"  # what `sheet.info` calls the places of its photos


class Place(NamedTuple):
    """Where a photo stands on a sheet, in px of the sheet, its dark frame left out."""

    image: str
    left: int
    top: int
    size: int  # px a side
    is_small: bool = False  # nobody may show it larger than `UNRECOGNISABLE`
    is_plain: bool = True  # the photo as it is; else something that was made of it, such as a crop


def places_of(sheet: Image.Image) -> list[Place]:
    """Return where photos stand on a sheet, in the order in which they are read; none of other pictures."""
    return sheet.info.get(PLACES, [])


def place_in_grid(
    sheet: Image.Image, names: Sequence[str], columns: int, size: int, small: Collection[str]
) -> Image.Image:
    """Note on a sheet with gutters of 1 px where each photo stands; the note stays out of saved files."""
    corners = ((i % columns * (size + 1), i // columns * (size + 1)) for i in range(len(names)))
    sheet.info[PLACES] = [_place(name, *c, size, small) for name, c in zip(names, corners, strict=True)]
    return sheet


def _place(name: str, left: int, top: int, size: int, small: Collection[str], is_plain: bool = True) -> Place:
    """Say where the photo in a tile at (left, top) stands; a small one has a frame, as from `framed`."""
    shown = min(size, UNRECOGNISABLE) if name in small else size
    frame = (size - shown) // 2
    return Place(name, left + frame, top + frame, shown, name in small, is_plain)


def contact_sheet(
    tiles: Sequence[Image.Image], columns: int, gutter: int = 1, numbered: bool = False
) -> Image.Image:
    """Lay square tiles row by row on a dark sheet, `gutter` px apart; EXIF and names stay behind.

    `numbered` prints each tile's place, from 1, in its corner.
    """
    if not tiles:
        raise SelfieError("There is no photo to show: a contact sheet needs one at least.")
    step = tiles[0].width + gutter
    rows = -(-len(tiles) // columns)
    sheet = Image.new("RGB", (columns * step - gutter, rows * step - gutter), GUTTER_COLOUR)
    for i, one in enumerate(tiles):
        sheet.paste(one, (i % columns * step, i // columns * step))
        if numbered:
            _print_place(sheet, i + 1, (i % columns * step, i // columns * step), one.width)
    return sheet


def _print_place(sheet: Image.Image, place: int, corner: tuple[int, int], size: int) -> None:
    """Print a small number on a dark chip in the corner of a tile."""
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(max(10, size // 12))
    at = (corner[0] + size // 32, corner[1] + size // 32)
    left, top, right, bottom = draw.textbbox(at, str(place), font=font)
    draw.rectangle((left - 4, top - 3, right + 4, bottom + 3), fill=GUTTER_COLOUR)
    draw.text(at, str(place), font=font, fill="white")


def draw_extreme(
    images: Images,
    ranked: Sequence[str],
    numbered: bool = False,
    *,
    small: Collection[str] = (),
    rows: int,
    columns: int,
    size: int,
    end: str,
) -> Image.Image:
    """Draw the best or worst photos of `ranked`, the best first; the most extreme stands top left.

    Tiles of the worst have `UNRECOGNISABLE` px at most; `small` as in `small_among`.
    """
    size = size if end == "best" else min(size, UNRECOGNISABLE)
    chosen = list(ranked)[:: 1 if end == "best" else -1][: rows * columns]
    # Where some may not be enlarged, real people are shown: then nobody is, on a sheet of the worst.
    small = frozenset(chosen) if small and end != "best" else small
    sheet = contact_sheet(small_among(images, chosen, size, small), columns, numbered=numbered)
    return place_in_grid(sheet, chosen, columns, size, small)


def draw_continuum(
    images: Images,
    ranked: Sequence[str],
    *,
    small: Collection[str] = (),
    rows: int,
    columns: int,
    size: int,
    end: str,
) -> Image.Image:
    """Draw photos at even ranks of `ranked`, the best first, from the best to the worst row or upwards.

    `small` as in `small_among`.
    """
    ranked = list(ranked)
    places = np.linspace(0, len(ranked) - 1, rows * columns).round().astype(int)
    chosen = [ranked[i] for i in (places if end == "best" else places[::-1])]
    sheet = contact_sheet(small_among(images, chosen, size, small), columns)
    return place_in_grid(sheet, chosen, columns, size, small)


def small_among(images: Images, names: Sequence[str], size: int, small: Collection[str]) -> list[Image.Image]:
    """Return photos as square tiles of `size` px; those in `small` with the photo at `UNRECOGNISABLE` px.

    A small photo stands in the middle of its tile, on the dark ground. Who is ranked at the bottom shall not
    be recognised, however large a gallery is drawn; `ranking.open_gallery` says whose photos these are.
    """
    most = min(size, UNRECOGNISABLE)
    return [
        framed(tile(images, name, most), size) if name in small else tile(images, name, size)
        for name in names
    ]


def outlined(tile: Image.Image) -> Image.Image:
    """Return a tile with a yellow line around it: the one that is meant."""
    found, thick = tile.copy(), max(2, tile.width // 40)
    ImageDraw.Draw(found).rectangle((0, 0, tile.width - 1, tile.height - 1), outline=MARK, width=thick)
    return found


def framed(photo: Image.Image, size: int) -> Image.Image:
    """Put a square photo into the middle of a dark square of `size` px."""
    frame, margin = Image.new("RGB", (size, size), GUTTER_COLOUR), (size - photo.width) // 2
    frame.paste(photo, (margin, margin))
    return frame


def titled(tiles: Sequence[Image.Image], titles: Sequence[str], points: int = 0) -> Image.Image:
    """Lay square tiles in a row on a dark ground, each below its title of one or two lines.

    Letters have `points` px; with 0, what goes with the tiles.
    """
    size, gap = tiles[0].width, tiles[0].width // 16
    points = points or max(11, size // 16)
    lines = 1 + any("\n" in title for title in titles)
    font, above = ImageFont.load_default(points), round((1 + 1.2 * lines) * points)
    sheet = Image.new("RGB", (len(tiles) * (size + gap) + gap, above + size + gap), GUTTER_COLOUR)
    draw = ImageDraw.Draw(sheet)
    for i, (one, title) in enumerate(zip(tiles, titles, strict=True)):
        left = gap + i * (size + gap)
        draw.multiline_text((left, above - gap // 2), title, font=font, fill="white", anchor="ld")
        sheet.paste(one, (left, above))
    return sheet


def side_by_side(
    images: Images, left: Sequence[str], right: Sequence[str], columns: int, size: int
) -> Image.Image:
    """Draw two contact sheets beside each other with a wide gutter between."""
    halves = [contact_sheet(tiles(images, names, size), columns) for names in (left, right)]
    gap = size // 4
    height = max(half.height for half in halves)
    sheet = Image.new("RGB", (halves[0].width + gap + halves[1].width, height), "white")
    sheet.paste(halves[0], (0, 0))
    sheet.paste(halves[1], (halves[0].width + gap, 0))
    return sheet


def face_check(images: Images, faces: pd.DataFrame, columns: int, size: int, seed: int) -> Image.Image:
    """Draw a row of photos with the face found in each above a row without one, chosen at random."""
    shuffled = faces.sample(frac=1, random_state=seed)
    some = shuffled[shuffled["faces"] > 0].head(columns), shuffled[shuffled["faces"] == 0].head(columns)
    found = [_mark_face(tile(images, f["image"], size), f) for f in some[0].to_dict("records")]
    blank = Image.new("RGB", (size, size), GUTTER_COLOUR)
    found += [blank] * (columns - len(found))
    return contact_sheet(found + tiles(images, some[1]["image"], size), columns)


def _mark_face(photo: Image.Image, face: dict) -> Image.Image:
    """Draw the box and the five landmarks of a face on a copy of its tile."""
    photo, side = photo.copy(), photo.width
    draw, thick = ImageDraw.Draw(photo), max(1, round(side / 56))
    box = [face[edge] * side for edge in ("left", "top", "right", "bottom")]
    draw.rectangle(box, outline=MARK, width=thick)
    for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"):
        x, y = face[f"{point}_x"] * side, face[f"{point}_y"] * side
        draw.ellipse((x - thick, y - thick, x + thick, y + thick), fill=(86, 180, 233))
    return photo


def draw_map(
    images: Images,
    fill_grid: Callable[..., pd.DataFrame],
    *,
    small: Collection[str] = (),
    rows: int,
    size: int,
) -> Image.Image:
    """Draw a full grid of at most `rows` x `rows` tiles of `size` px; `fill_grid(rows=...)` fills it.

    It returns image and column, row by row from the top left, as `map_layout.fill_grid` does. `small` as in
    `small_among`.
    """
    shown = fill_grid(rows=rows)
    columns = int(shown["column"].max()) + 1
    sheet = contact_sheet(small_among(images, shown["image"], size, small), columns)
    return place_in_grid(sheet, shown["image"].tolist(), columns, size, small)


def draw_pairs(
    images: Images,
    crops: pd.DataFrame,
    *,
    small: Collection[str] = (),
    pairs: int,
    columns: int,
    size: int,
) -> Image.Image:
    """Draw pairs as the article does: the original left, with the crop marked, the crop right, scores above.

    `crops` has image, left, top, right, bottom (0..1 of the photo), score and crop_score (0..1); the first
    `pairs` are shown. Photo and crop fill tiles of `size` px; of photos in `small` the photo has
    `UNRECOGNISABLE` px at most, and its crop is drawn to the same scale.
    """
    shown = crops.head(pairs).to_dict("records")
    if not shown:
        raise SelfieError("There is no photo to show: a sheet of pairs needs one crop at least.")
    caption, gap = max(16, size // 8), max(8, size // 10)
    drawn = [_pair(images, row, size, caption, row["image"] in small) for row in shown]
    columns = min(columns, len(drawn))
    width, height = drawn[0].width + gap, drawn[0].height + gap
    lines = -(-len(drawn) // columns)
    sheet = Image.new("RGB", (columns * width + gap, lines * height + gap), GUTTER_COLOUR)
    sheet.info[PLACES] = []
    for i, (pair, row) in enumerate(zip(drawn, shown, strict=True)):
        left, top = gap + i % columns * width, gap + i // columns * height
        sheet.paste(pair, (left, top))
        for half in (left, left + size + 1):
            sheet.info[PLACES].append(_place(row["image"], half, top + caption, size, small, is_plain=False))
    return sheet


def _pair(images: Images, row: dict, size: int, caption: int, is_small: bool) -> Image.Image:
    """Draw one pair; a photo that can't be read any more is two grey tiles."""
    most = min(size, UNRECOGNISABLE) if is_small else size
    try:
        photo = decode(images.read(row["image"]), at_least=4 * most)
        halves = [marked(photo, row, most), cropped(photo, row, size_of_crop(photo, row, most, is_small))]
    except UnreadableImage:
        halves = [Image.new("RGB", (most, most), MISSING_COLOUR)] * 2
    pair = Image.new("RGB", (2 * size + 1, size + caption), GUTTER_COLOUR)
    draw, font = ImageDraw.Draw(pair), ImageFont.load_default(caption * 2 // 3)
    for i, (half, score) in enumerate(zip(halves, (row["score"], row["crop_score"]), strict=True)):
        pair.paste(framed(half, size), (i * (size + 1), caption))
        middle = i * (size + 1) + size // 2
        draw.text((middle, caption // 2), f"score {100 * score:.1f}", "white", font, anchor="mm")
    return pair


def size_of_crop(photo: Image.Image, row: dict, most: int, is_small: bool) -> int:
    """Return the side of a crop in px: `most`, or what keeps the scale of a whole photo of `most` px."""
    across = (row["right"] - row["left"]) * photo.width / max(photo.size)
    return max(1, round(most * across)) if is_small else most


def knobs_of_pairs(count: int) -> dict[str, tuple]:
    """Return the controls of a sheet of `count` pairs, as `display.explore` takes them."""
    columns = min(5, count)
    return {
        "pairs": (min(9, count), 1, min(50, count)),
        "columns": (min(3, columns), 1, columns),
        "size": (160, 64, 256, 32),
    }


def marked(photo: Image.Image, row: dict, size: int) -> Image.Image:
    """Fit the whole photo into a dark square, with a thin line around its crop."""
    shrink = size / max(photo.size)
    width, height = (max(1, round(side * shrink)) for side in photo.size)
    fitted = photo.resize((width, height), Image.Resampling.BILINEAR)
    left, top, right, bottom = (row[edge] * (width, height)[i % 2] for i, edge in enumerate(BOX))
    ImageDraw.Draw(fitted).rectangle((left, top, right - 1, bottom - 1), outline=MARK)
    square = Image.new("RGB", (size, size), GUTTER_COLOUR)
    square.paste(fitted, ((size - width) // 2, (size - height) // 2))
    return square


def cropped(photo: Image.Image, row: dict, size: int) -> Image.Image:
    """Return the crop as a square tile."""
    left, top, right, bottom = (round(row[edge] * photo.size[i % 2]) for i, edge in enumerate(BOX))
    return squish(photo.crop((left, top, right, bottom)), size)
