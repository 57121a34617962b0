"""Crop photos of one's own as the network likes them best, and save the crops at full resolution."""

import shlex
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from selfie_utils.analysis.best_crops import EVALUATIONS, crop_each
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.crops import NUMBERS, SMALLEST, boxes_of
from selfie_utils.photos.images import TOO_LARGE, Images, UnreadableImage, decode, written
from selfie_utils.photos.named import photos_at

QUALITY = 95  # of a saved JPEG
ENOUGH = 2000  # px a side


def best_crops(
    scorer: Scorer,
    photos: Sequence[Path | str],
    evaluations: int = EVALUATIONS,
    smallest: float = SMALLEST,
    seed: int = 0,
) -> pd.DataFrame:
    """Find the best crop of photos, of all those of a folder or archive, and of file:// addresses.

    Returns a row each, as `find_crops`, with photo (how to call it) and place (its Images, None without). One
    that can't be cropped has a reason and no numbers; others have an empty reason.
    """
    tables = []
    for given in photos:
        try:
            place = photos_at(given)
        except SelfieError as error:
            row = {"photo": written(str(given)), "place": None, "reason": str(error).rstrip(".")}
            tables.append(pd.DataFrame([row]))
            continue
        table, _ = crop_each(scorer, place.images, place.names, evaluations, smallest, seed)
        tables.append(table.assign(photo=place.shown, place=[place.images] * len(table)))
    return pd.concat(tables, ignore_index=True)


def gains_in_words(scorer: Scorer, photos: Sequence[str]) -> list[str]:
    """Say for each photo what its best square crop would score; nothing of those that can't be cropped."""
    table = best_crops(scorer, photos)
    return [
        f"The best square crop of {row.photo} would score {row.crop_score:.1%} "
        f"({100 * row.gain:+.1f} points): selfie crop {shlex.quote(str(row.photo))} --out crops saves it."
        for row in table[table["reason"] == ""].itertuples()
    ]


def save_crop(
    images: Images, name: str, numbers: Sequence[float], out: Path, smallest: float = SMALLEST
) -> Path:
    """Cut one crop out of a photo at full resolution; returns the new file, in the folder `out`.

    It is upright and holds nothing but pixels: no EXIF, no place. A PNG stays one, all others become JPEG,
    and one of more pixels than can be decoded safely is cut at half of its size or less. No file is ever
    overwritten: where the name is taken, a number is added. Raises UnreadableImage.
    """
    whole, path = _as_large_as_can_be(images.read(name)), Path(name)
    (box,) = boxes_of(np.array([numbers]), whole.size, smallest).tolist()
    kind = ".png" if path.suffix.lower() == ".png" else ".jpg"
    target = _free(Path(out).expanduser() / f"{path.stem}_crop{kind}")
    with written_whole(target) as partial:
        _only_pixels(whole.crop(box)).save(partial, quality=QUALITY)
    return target


def save_crops(table: pd.DataFrame, out: Path, smallest: float = SMALLEST) -> pd.DataFrame:
    """Save the crop of each row of `best_crops` that has one; returns the table with saved, the new file.

    One that cannot be saved has its reason instead, and stops no other.
    """
    out = Path(out).expanduser()
    if out.exists() and not out.is_dir():
        raise SelfieError(f"{out} is a file, not a folder: give another --out.")
    rows = []
    for row in table.to_dict("records"):
        if row["reason"] == "":
            try:
                row["saved"] = save_crop(row["place"], row["image"], [row[n] for n in NUMBERS], out, smallest)
            except UnreadableImage as error:
                row["reason"] = str(error)
        rows.append(row)
    return pd.DataFrame(rows, columns=[*table.columns, "saved"])


def _as_large_as_can_be(data: bytes) -> Image.Image:
    """Decode a photo whole; a JPEG that is too large for that, at a fraction that still has `ENOUGH` px."""
    try:
        return decode(data)
    except UnreadableImage as error:
        if str(error) != TOO_LARGE:
            raise
    return decode(data, at_least=ENOUGH)


def _free(path: Path) -> Path:
    """Return a name that no file has yet."""
    names = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in range(2, 10_000))
    return path if not path.exists() else next(name for name in names if not name.exists())


def _only_pixels(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image))
