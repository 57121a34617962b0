"""Contact sheets as the post shows them: choose posts by rank, cut square tiles, lay them side by side."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.errors import SelfieError
from selfie_utils.images import ImageFolder, ImageZip, UnreadableImage, decode, squish

GUTTER_COLOUR = (24, 24, 24)
MISSING_COLOUR = (96, 96, 96)

# The post took its best and worst out of 50,000 selfies. Where there are fewer, a gallery is never more
# than a quarter of them: beyond that, "best" and "worst" would soon mean "average".
LARGEST_SHARE = 0.25


def fit(rows: int, columns: int, available: int) -> tuple[int, int]:
    """Shrink a sheet to what `available` posts can fill, keeping its shape; returns (rows, columns)."""
    if available < 1:
        raise SelfieError("There is no post to show: score some test posts first.")
    scale = min(1.0, math.sqrt(available / (rows * columns)))
    columns = max(1, math.floor(columns * scale + 1e-9))
    return max(1, min(rows, round(rows * scale), available // columns)), columns


def best_first(scores: pd.DataFrame) -> pd.DataFrame:
    """Sort scored posts from best to worst; equal scores by post_id, so that every run agrees."""
    return scores.sort_values(["score", "post_id"], ascending=[False, True]).reset_index(drop=True)


def top_share(scores: pd.DataFrame, wanted: int) -> pd.DataFrame:
    """Return the best `wanted` posts, or the best quarter where the test set is smaller than that takes."""
    return best_first(scores).head(min(wanted, math.ceil(len(scores) * LARGEST_SHARE)))


def continuum(scores: pd.DataFrame, rows: int, columns: int) -> pd.DataFrame:
    """Choose evenly spaced ranks for a sheet: the best posts in its top row, the worst in its last."""
    ranked = best_first(scores)
    ranks = np.linspace(0, len(ranked) - 1, rows * columns).round().astype(int)
    return ranked.iloc[ranks]


def extreme(scores: pd.DataFrame, count: int, end: str = "best") -> pd.DataFrame:
    """Choose the `count` best or worst posts, the most extreme first."""
    ranked = best_first(scores)
    return ranked.head(count) if end == "best" else ranked.iloc[::-1].head(count)


@lru_cache(maxsize=4096)
def tile(images: ImageFolder | ImageZip, name: str, size: int) -> Image.Image:
    """Return one photo squished to `size` x `size` px, RGB; a grey tile where it can't be read any more."""
    try:
        return squish(decode(images.read(name), at_least=size), size)
    except UnreadableImage:
        return Image.new("RGB", (size, size), MISSING_COLOUR)


def tiles(images: ImageFolder | ImageZip, names: Sequence[str], size: int) -> list[Image.Image]:
    """Return the photos `names` as square tiles of `size` px."""
    return [tile(images, name, size) for name in names]


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
    images: ImageFolder | ImageZip, scores: pd.DataFrame, *, rows: int, columns: int, size: int, end: str
) -> Image.Image:
    """Draw the best or worst posts, the most extreme top left."""
    chosen = extreme(scores, rows * columns, end)
    return contact_sheet(tiles(images, chosen["image"], size), columns)


def draw_continuum(
    images: ImageFolder | ImageZip, scores: pd.DataFrame, *, rows: int, columns: int, size: int, end: str
) -> Image.Image:
    """Draw the continuum from the best to the worst row, or the other way round."""
    chosen = continuum(scores, rows, columns)
    chosen = chosen if end == "best" else chosen.iloc[::-1]
    return contact_sheet(tiles(images, chosen["image"], size), columns)
