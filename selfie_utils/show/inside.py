"""Pictures of a network's inside: filters, what excites channels, and maps of what the score hangs on."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.core.errors import SelfieError
from selfie_utils.show.sheets import GUTTER_COLOUR, contact_sheet

GAP, LABEL = 16, 26  # px between pictures, and above them for their names
FOR, AGAINST = (0, 114, 178), (230, 159, 0)  # charts' blue for good, orange for bad
WORDS = 16  # px for the names of a portrait's three squares
PARTS = ("excited by", "what does it there", "grown to excite it")
STRONG, CLEAR = 99.5, 97  # percentile of a map's and of a gradient's values that gets its full colour


class Portrait(NamedTuple):
    """What is known of one channel."""

    title: str
    patches: Sequence[np.ndarray]  # uint8 (h, w, 3): parts of photos, the most exciting first
    gradients: Sequence[np.ndarray]  # float (h, w, 3): what of each patch excites it, 0 is nothing
    wish: np.ndarray  # float (P, P, 3), 0..1: what it would like to see


def draw_filters(filters: np.ndarray, columns: int, size: int) -> Image.Image:
    """Draw filters (C, K, K, 3), 0..1, as tiles of about `size` px, each number a plain square of colour."""
    side = max(1, size // filters.shape[1]) * filters.shape[1]  # whole squares
    tiles = [_enlarged(one, side) for one in filters]
    return contact_sheet(tiles, min(columns, len(tiles)), gutter=4)


def _enlarged(values: np.ndarray, side: int) -> Image.Image:
    pixels = (values.clip(0, 1) * 255).round().astype(np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST)


def draw_portraits(portraits: Sequence[Portrait], columns: int, tile: int = 48) -> Image.Image:
    """Draw channels, `columns` in a row: patches of `tile` px, their gradients, what it would like to see."""
    if not portraits:
        raise SelfieError("There is no channel to draw: choose one at least.")
    return _in_rows([_portrait(one, tile) for one in portraits], columns)


def _portrait(one: Portrait, tile: int) -> Image.Image:
    """Draw one channel: three squares side by side under its title."""
    across = max(1, int(np.ceil(len(one.patches) ** 0.5)))
    seen = contact_sheet([_fitted(Image.fromarray(p), tile) for p in one.patches], across)
    why = contact_sheet([_fitted(_around_grey(g), tile) for g in one.gradients], across)
    wish = Image.fromarray((one.wish.clip(0, 1) * 255).round().astype(np.uint8))
    wish = wish.resize((seen.width, seen.width), Image.Resampling.LANCZOS)
    return _titled(one.title, [seen, why, wish])


def _fitted(picture: Image.Image, tile: int) -> Image.Image:
    """Fit a picture into a dark square of `tile` px, enlarged in whole pixels, not stretched."""
    scale = tile / max(picture.size)
    size = [max(1, round(side * scale)) for side in picture.size]
    kind = Image.Resampling.NEAREST if scale > 1 else Image.Resampling.LANCZOS
    square = Image.new("RGB", (tile, tile), GUTTER_COLOUR)
    square.paste(picture.resize(size, kind), ((tile - size[0]) // 2, (tile - size[1]) // 2))
    return square


def _around_grey(values: np.ndarray) -> Image.Image:
    """Draw signed values (h, w, 3) around middle grey, the strongest in full colour."""
    most = max(np.percentile(abs(values), CLEAR), 1e-12)
    return Image.fromarray(((0.5 + values / (2 * most)).clip(0, 1) * 255).round().astype(np.uint8))


def _titled(title: str, pictures: Sequence[Image.Image]) -> Image.Image:
    """Lay a portrait's three pictures next to each other under its title, each under its name."""
    width, top = sum(p.width for p in pictures) + 4 * (len(pictures) - 1), LABEL + WORDS
    sheet = Image.new("RGB", (width, top + max(p.height for p in pictures)), "white")
    draw, small = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    draw.text((0, 4), title, font=ImageFont.load_default(14), fill="black")
    left = 0
    for name, picture in zip(PARTS, pictures, strict=True):
        draw.text((left, LABEL), name, font=small, fill=(90, 90, 90))
        sheet.paste(picture, (left, top))
        left += picture.width + 4
    return sheet


def _in_rows(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """Lay pictures of about one size out in rows on white."""
    width, height = max(p.width for p in pictures) + GAP, max(p.height for p in pictures) + GAP
    columns = min(columns, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * width - GAP, rows * height - GAP), "white")
    for i, picture in enumerate(pictures):
        sheet.paste(picture, (i % columns * width, i // columns * height))
    return sheet


def overlay(photo: np.ndarray, values: np.ndarray) -> Image.Image:
    """Lay a map (S, S) over a pale grey photo, uint8 (S, S, 3): blue speaks for it, orange against."""
    pale = 90 + 0.6 * photo.mean(2, keepdims=True)
    most = max(np.percentile(abs(values), STRONG), 1e-12)
    weight = (abs(values) / most).clip(0, 1)[..., None] * 0.85
    colours = np.where(values[..., None] > 0, np.array(FOR, float), np.array(AGAINST, float))
    return Image.fromarray(((1 - weight) * pale + weight * colours).round().astype(np.uint8))


def draw_maps(
    photos: np.ndarray, maps: Mapping[str, np.ndarray], titles: Sequence[str], most: int
) -> Image.Image:
    """Draw a row a photo: itself, then each map over it, under the maps' names; titles stand under photos.

    `photos` are uint8 (N, S, S, 3), `maps` (N, S, S) by name; of many, `most` are drawn, from first to last.
    """
    if not len(photos):
        raise SelfieError("There is no photo to show: choose one at least.")
    rows = np.linspace(0, len(photos) - 1, min(most, len(photos))).round().astype(int)
    photos, titles = photos[rows], [titles[row] for row in rows]
    maps = {name: values[rows] for name, values in maps.items()}
    side = photos.shape[1]
    columns = {"photo": [Image.fromarray(p) for p in photos]}
    columns |= {n: [overlay(*pair) for pair in zip(photos, m, strict=True)] for n, m in maps.items()}
    step, head = side + 8, 2 * LABEL - 8
    sheet = Image.new("RGB", (len(columns) * step - 8, head + len(photos) * (side + LABEL)), "white")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for column, (name, pictures) in enumerate(columns.items()):
        draw.multiline_text((column * step, 4), name.replace(", ", ",\n"), font=font, fill="black")
        for row, picture in enumerate(pictures):
            sheet.paste(picture, (column * step, head + row * (side + LABEL)))
    for row, title in enumerate(titles):
        draw.text((0, head + row * (side + LABEL) + side + 4), title, font=font, fill=(90, 90, 90))
    return sheet
