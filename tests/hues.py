"""Photos that are told apart by their colour, however small or where they are drawn."""

import io
from collections.abc import Collection
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import binary_closing, find_objects, label

from selfie_utils.photos.images import open_images
from selfie_utils.posts.data_folder import DEMO, open_data

SATURATION = 153  # of 255; pictures have other colours too, but few as pale
LEAST = 150  # px; smaller patches are the noise of JPEG


def tint_photos(folder: Path, count: int) -> None:
    """Write `count` embedded photos into a folder, 000.png and so on, each in a hue of its own."""
    images = open_images(open_data(DEMO).images)
    folder.mkdir()
    for place, name in enumerate(images.names()[:count]):
        with Image.open(io.BytesIO(images.read(name))) as photo:
            light = photo.convert("L")
        plain = [Image.new("L", light.size, value) for value in (hue_of(place, count), SATURATION)]
        # Nothing is black, where no hue is to be seen.
        merged = Image.merge("HSV", [*plain, light.point(lambda value: 90 + value * 165 // 255)])
        merged.convert("RGB").save(folder / f"{place:03d}.png")


def hue_of(place: int, count: int) -> int:
    """Return the hue of a photo, 0 to 255."""
    return place * 256 // count


def sides_of(picture: Image.Image, hues: Collection[int], apart: float) -> list[int]:
    """Return the longer side in px of each patch of some hues in a picture; those of others are `apart`."""
    found = np.asarray(picture.convert("RGB").convert("HSV")).astype(np.int16)
    coloured = (abs(found[..., 1] - SATURATION) < 40) & (found[..., 2] > 70)
    return [side for hue in hues for side in _sides(coloured, found[..., 0], hue, apart)]


def _sides(coloured: np.ndarray, found: np.ndarray, hue: int, apart: float) -> list[int]:
    known = coloured & (abs((found - hue + 128) % 256 - 128) < 0.4 * apart)
    if known.sum() < LEAST:
        return []
    patches, _ = label(binary_closing(known, iterations=2))
    places = enumerate(find_objects(patches), 1)
    large = [box for place, box in places if (known[box] & (patches[box] == place)).sum() >= LEAST]
    return [max(side.stop - side.start for side in box) for box in large]
