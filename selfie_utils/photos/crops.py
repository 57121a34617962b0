"""Square crops of a photo by three numbers in 0..1: how large, how far right, how far down."""

from collections.abc import Sequence

import numpy as np
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import squish

SMALLEST = 0.6  # of the photo's shorter side, which the smallest crop takes: of less, most faces get lost
LEAST = 16  # px of a crop's side: with fewer there is nothing to be seen
NUMBERS = ("scale", "x", "y")  # 0 is the smallest crop, at the left, at the top
DECODED = 2  # sizes of the network: a crop of half the photo still has all the network's pixels
WHOLE = (1.0, 0.5, 0.5)  # the largest square, in the middle


def boxes_of(numbers: np.ndarray, size: tuple[int, int], smallest: float = SMALLEST) -> np.ndarray:
    """Turn numbers, float (N, 3) in 0..1, into boxes of whole pixels: int64 (N, 4), left, top, right, bottom.

    `size` is the photo's width and height in px. Raises SelfieError where the smallest crop would have fewer
    than `LEAST` px a side, and for numbers outside of 0..1.
    """
    numbers = np.atleast_2d(np.asarray(numbers, float))
    check_size(size, smallest)
    if numbers.shape[1:] != (3,) or not ((numbers >= 0) & (numbers <= 1)).all():
        raise SelfieError("A crop is three numbers from 0 to 1 (scale, x, y): these are not.")
    side = np.round((smallest + (1 - smallest) * numbers[:, :1]) * min(size)).astype(int)  # (N, 1)
    corner = np.round(numbers[:, 1:] * (np.array(size) - side)).astype(int)  # (N, 2)
    return np.hstack([corner, corner + side])


def check_size(size: tuple[int, int], smallest: float = SMALLEST) -> None:
    """Raise SelfieError where a photo is too small for the smallest crop, or no crop can be so small."""
    if not 0 < smallest <= 1:
        raise SelfieError(f"The smallest crop is {smallest} of the shorter side, expected 0 to 1.")
    if smallest * min(size) < LEAST:
        raise SelfieError(
            f"The photo has {size[0]} x {size[1]} px: its smallest crop would have "
            f"{smallest * min(size):.0f} px a side, expected {LEAST} or more; give a larger photo."
        )


def numbers_of(boxes: np.ndarray, size: tuple[float, float], smallest: float = SMALLEST) -> np.ndarray:
    """Turn boxes, (N, 4) in px, into numbers, float64 (N, 3): the nearest crops that there are."""
    boxes, sides = np.atleast_2d(np.asarray(boxes, float)), np.array(size, float)
    side = (
        (boxes[:, 2:] - boxes[:, :2]).mean(1, keepdims=True).clip(smallest * min(size), min(size))
    )  # (N, 1)
    room = sides - side
    corner = (boxes[:, :2] + boxes[:, 2:] - side) / 2
    scale = (side / min(size) - smallest) / max(1 - smallest, 1e-9)
    return np.hstack([scale, np.where(room > 0.5, corner / np.maximum(room, 1e-9), 0.5)]).clip(0, 1)


def as_shares(boxes: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return boxes in px, (N, 4), as shares of the photo's width and height, float64."""
    return np.asarray(boxes) / np.array([*size, *size], float)


def fit_for_crops(photo: Image.Image, size: int) -> Image.Image:
    """Return a photo whose shorter side has `DECODED` x `size` px at most: much faster to cut from."""
    shrink = DECODED * size / min(photo.size)
    if shrink >= 1:
        return photo
    return photo.resize([max(1, round(side * shrink)) for side in photo.size], Image.Resampling.BILINEAR)


def cut(photo: Image.Image, boxes: np.ndarray, size: int) -> np.ndarray:
    """Cut boxes of whole px, (N, 4), out of an RGB photo, each `size` px a side: uint8 (N, size, size, 3).

    The pixels are those of Pillow's crop, squished as every photo that the network sees.
    """
    crops = np.empty((len(boxes), size, size, 3), np.uint8)
    for crop, box in zip(crops, np.asarray(boxes).tolist(), strict=True):
        crop[:] = np.asarray(squish(photo.crop(box), size))
    return crops


def as_sharp_as(photo: Image.Image, sides: Sequence[int], size: int) -> np.ndarray:
    """Return the whole photo as blurred as crops of `sides` px are at `size` px: uint8 (N, size, size, 3).

    A crop that has fewer pixels than the network looks at is enlarged, and blurred by that. The whole photo
    with as few pixels, enlarged likewise, tells what the blur alone is worth.
    """
    whole = squish(photo, size)
    seen = [whole if side >= size else squish(squish(photo, int(side)), size) for side in sides]
    return np.stack([np.asarray(one) for one in seen]) if seen else np.empty((0, size, size, 3), np.uint8)
