"""Crop photos of one's own as the network likes them best, and save the crops at full resolution."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from selfie_utils.analysis.best_crops import EVALUATIONS, find_crops
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.crops import NUMBERS, SMALLEST, boxes_of
from selfie_utils.photos.images import ImageFolder, decode

QUALITY = 95  # of a saved JPEG


def best_crops(
    run: RunFolder,
    photos: Sequence[Path],
    device: str = "auto",
    evaluations: int = EVALUATIONS,
    smallest: float = SMALLEST,
    seed: int = 0,
) -> pd.DataFrame:
    """Find the best crop of any photos with the network of a run; a row each, as `find_crops`, and photo.

    A photo that can't be cropped has a reason and no numbers; others have an empty reason.
    """
    # A drive's root as folder, so that photos from anywhere are cropped in one go.
    paths = [Path(photo).expanduser().resolve() for photo in photos]
    if not paths:
        raise SelfieError("There is no photo to crop: give one at least.")
    folder = ImageFolder(Path(paths[0].anchor))
    names = [path.relative_to(path.anchor).as_posix() for path in paths]
    table, _ = find_crops(Scorer(run, device), folder, names, evaluations, smallest, seed)
    return table.assign(photo=[str(photo) for photo in photos])


def gains_in_words(run: RunFolder, photos: Sequence[Path], device: str = "auto") -> list[str]:
    """Say for each photo what its best square crop would score; nothing of those that can't be cropped."""
    try:
        table = best_crops(run, photos, device)
    except SelfieError:  # all are too small
        return []
    return [
        f"The best square crop of {row.photo} would score {row.crop_score:.1%} "
        f"({100 * row.gain:+.1f} points): selfie crop {row.photo} --out crops saves it."
        for row in table[table["reason"] == ""].itertuples()
    ]


def save_crop(photo: Path, numbers: Sequence[float], out: Path, smallest: float = SMALLEST) -> Path:
    """Cut one crop out of a photo at full resolution; returns the new file, in the folder `out`.

    It is upright and holds nothing but pixels: no EXIF, no place. A PNG stays one, all others become JPEG. No
    file is ever overwritten: where the name is taken, a number is added.
    """
    photo = Path(photo).expanduser().resolve()
    whole = decode(ImageFolder(photo.parent).read(photo.name))
    (box,) = boxes_of(np.array([numbers]), whole.size, smallest).tolist()
    kind = ".png" if photo.suffix.lower() == ".png" else ".jpg"
    target = _free(Path(out).expanduser() / f"{photo.stem}_crop{kind}")
    with written_whole(target) as partial:
        _only_pixels(whole.crop(box)).save(partial, quality=QUALITY)
    return target


def save_crops(table: pd.DataFrame, out: Path, smallest: float = SMALLEST) -> list[Path]:
    """Save the crop of each row of `best_crops` that has one; returns the files."""
    out = Path(out).expanduser()
    if out.exists() and not out.is_dir():
        raise SelfieError(f"{out} is a file, not a folder: give another --out.")
    found = table[table["reason"] == ""]
    return [
        save_crop(Path(row["photo"]), [row[n] for n in NUMBERS], out, smallest) for _, row in found.iterrows()
    ]


def _free(path: Path) -> Path:
    """Return a name that no file has yet."""
    names = (path.with_name(f"{path.stem}_{number}{path.suffix}") for number in range(2, 10_000))
    return path if not path.exists() else next(name for name in names if not name.exists())


def _only_pixels(image: Image.Image) -> Image.Image:
    return Image.fromarray(np.asarray(image))
