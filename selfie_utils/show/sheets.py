"""Contact sheets as the post shows them: choose posts by rank, cut square tiles, lay them side by side."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import from_root
from selfie_utils.photos.images import ImageFolder, ImageZip, UnreadableImage, decode, squish

GUTTER_COLOUR = (24, 24, 24)
MISSING_COLOUR = (96, 96, 96)

# The post took its best and worst out of 50,000 selfies. Where there are fewer, a gallery is never more
# than a quarter of them: beyond that, "best" and "worst" would soon mean "average".
LARGEST_SHARE = 0.25

UNRECOGNISABLE = 48  # px a tile; the worst posts are never shown larger


def fit(rows: int, columns: int, available: int) -> tuple[int, int]:
    """Shrink a sheet to what `available` posts can fill, keeping its shape; returns (rows, columns)."""
    if available < 1:
        raise SelfieError("There is no post to show: score some test posts first.")
    scale = min(1.0, math.sqrt(available / (rows * columns)))
    columns = min(available, max(1, math.floor(columns * scale + 1e-9)))
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


def is_wanted(
    posts: pd.DataFrame, scores: pd.DataFrame, annotation: str, value: str, picked_ids: str = ""
) -> np.ndarray:
    """Tell which scored posts to choose from: bool (N,), rows as in `scores`.

    By the value of an annotation column (nobody, where the posts have none of that name), or by a text file
    of hand-picked post ids, one a line. Raises SelfieError where the file is missing or names no scored post.
    """
    if picked_ids:
        path = from_root(picked_ids)
        if not path.is_file():
            raise SelfieError(f"There is no file {path}: save the hand-picked post ids there, one a line.")
        wanted = scores["post_id"].isin(path.read_text(encoding="utf-8").split()).to_numpy()
        if not wanted.any():
            raise SelfieError(f"{path} names no scored post: it needs post ids of the test set, one a line.")
        return wanted
    if annotation not in posts:
        return np.zeros(len(scores), bool)
    known = scores[["post_id"]].merge(posts[["post_id", annotation]], on="post_id", how="left")
    # A gap has made floats of whole numbers: 31 is asked for, not 31.0.
    said = known[annotation].convert_dtypes().astype("string")
    return (said == value).fillna(False).to_numpy(dtype=bool)


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
    images: ImageFolder | ImageZip,
    scores: pd.DataFrame,
    numbered: bool = False,
    *,
    rows: int,
    columns: int,
    size: int,
    end: str,
) -> Image.Image:
    """Draw the best or worst posts, the most extreme top left; the worst of `UNRECOGNISABLE` px at most."""
    size = size if end == "best" else min(size, UNRECOGNISABLE)
    chosen = extreme(scores, rows * columns, end)
    return contact_sheet(tiles(images, chosen["image"], size), columns, numbered=numbered)


def draw_continuum(
    images: ImageFolder | ImageZip, scores: pd.DataFrame, *, rows: int, columns: int, size: int, end: str
) -> Image.Image:
    """Draw the continuum from the best to the worst row, or the other way round."""
    chosen = continuum(scores, rows, columns)
    chosen = chosen if end == "best" else chosen.iloc[::-1]
    return contact_sheet(tiles(images, chosen["image"], size), columns)


def side_by_side(
    images: ImageFolder | ImageZip, left: Sequence[str], right: Sequence[str], columns: int, size: int
) -> Image.Image:
    """Draw two contact sheets beside each other with a wide gutter between."""
    halves = [contact_sheet(tiles(images, names, size), columns) for names in (left, right)]
    gap = size // 4
    height = max(half.height for half in halves)
    sheet = Image.new("RGB", (halves[0].width + gap + halves[1].width, height), "white")
    sheet.paste(halves[0], (0, 0))
    sheet.paste(halves[1], (halves[0].width + gap, 0))
    return sheet


def face_check(
    images: ImageFolder | ImageZip, faces: pd.DataFrame, columns: int, size: int, seed: int
) -> Image.Image:
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
    draw = ImageDraw.Draw(photo)
    box = [face[edge] * side for edge in ("left", "top", "right", "bottom")]
    draw.rectangle(box, outline=(240, 228, 66), width=2)
    for point in ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right"):
        x, y = face[f"{point}_x"] * side, face[f"{point}_y"] * side
        draw.ellipse((x - 2, y - 2, x + 2, y + 2), fill=(86, 180, 233))
    return photo
