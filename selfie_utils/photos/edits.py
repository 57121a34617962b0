"""Edits of a photo, each with a dose: borders, filters, light, framing, and placebos that nobody sees."""

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from selfie_utils.photos.measure import FEATURES, FOREHEAD

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # Rec. 601
GRAIN = 0.01  # of white, per stop of light that is missing
GAMMA = 2.2  # of a screen: light = pixel ** GAMMA
FACE_OF_HEAD = 0.85  # width of a detected face / of the head with its hair: the median of the embedded posts
THIRD, HALF, TOO_LARGE = 1 / 3, 1 / 2, 0.6  # of the photo's width that the head takes
ALMOST = 0.45  # of the width: large, but not too large yet
ROOM = 0.08  # of the head's height that stays free above a forehead that is not cut
SMALLEST = 0.4  # of the photo's width that a window keeps: of less, too few pixels are left


class Head(NamedTuple):
    """Where a head is, in shares of the photo; it may reach beyond it."""

    x: float  # of its middle
    y: float  # of its middle
    top: float
    width: float
    height: float


def head_of(face: Mapping[str, float]) -> Head | None:
    """Estimate the head around a face, a row of faces.parquet; None where no face was found."""
    if not face["left"] < face["right"]:  # nan without a face
        return None
    eyes, mouth = ((face[f"{a}_y"] + face[f"{b}_y"]) / 2 for a, b in FEATURES)
    top = min(eyes - FOREHEAD * (mouth - eyes), face["top"])
    width = (face["right"] - face["left"]) / FACE_OF_HEAD
    middle = (face["left"] + face["right"]) / 2, (top + face["bottom"]) / 2
    return Head(*middle, top, width, face["bottom"] - top)


def _whole(values: np.ndarray) -> np.ndarray:
    """Round to 8 bits, without wrapping round."""
    return (values.clip(0, 255) + 0.5).astype(np.uint8)


def _grey(photo: np.ndarray) -> np.ndarray:
    """Return luminance, float32 (..., H, W, 1)."""
    return (photo.astype(np.float32) @ LUMA)[..., None]


def _resize(photo: np.ndarray, height: int, width: int, box: tuple | None = None) -> np.ndarray:
    """Resize a photo, or the part of it in `box` (left, top, right, bottom in px), smoothly."""
    return np.asarray(Image.fromarray(photo).resize((width, height), Image.Resampling.BILINEAR, box))


def border(photo: np.ndarray, dose: float) -> np.ndarray:
    """Lay the photo, made smaller, on white paper; `dose` is the width of each edge / the photo's."""
    height, width = photo.shape[:2]
    down, across = round(height * dose), round(width * dose)
    paper = np.full_like(photo, 255)
    paper[down : height - down, across : width - across] = _resize(
        photo, height - 2 * down, width - 2 * across
    )
    return paper


def bars(photo: np.ndarray, dose: float) -> np.ndarray:
    """Cover the left and the right edge with white; `dose` is the width of each bar / the photo's."""
    across, covered = round(photo.shape[1] * dose), photo.copy()
    covered[:, :across] = covered[:, photo.shape[1] - across :] = 255
    return covered


def fade(photo: np.ndarray, dose: float) -> np.ndarray:
    """Fade as old film does; at `dose` 1, black is lifted to 15% of white and white sinks to 95%.

    Colours lose a fifth of their strength at 1. Any photos, (..., H, W, 3).
    """
    grey = _grey(photo)
    soft = grey + (photo - grey) * (1 - 0.2 * dose)
    return _whole(soft * (1 - 0.2 * dose) + 255 * 0.15 * dose)


def saturate(photo: np.ndarray, dose: float) -> np.ndarray:
    """Strengthen colours by the share `dose`; -1 takes them away. Any photos, (..., H, W, 3)."""
    grey = _grey(photo)
    return _whole(grey + (photo - grey) * (1 + dose))


def black_and_white(photo: np.ndarray, dose: float) -> np.ndarray:
    """Take the share `dose` of all colour away; luminance stays as it is. Any photos, (..., H, W, 3)."""
    return saturate(photo, -dose)


def expose(photo: np.ndarray, dose: float) -> np.ndarray:
    """Expose by `dose` stops more: each doubles the light, a negative one halves it. (..., H, W, 3)."""
    return _whole(photo * np.float32(2 ** (dose / GAMMA)))


def darken(photo: np.ndarray, dose: float) -> np.ndarray:
    """Take `dose` stops of light away, and add the grain that a phone has in such light."""
    return noise(expose(photo, -dose), GRAIN * dose) if dose else photo


def noise(photo: np.ndarray, dose: float) -> np.ndarray:
    """Add grain whose standard deviation is the share `dose` of white; the same photo gets the same grain."""
    rng = np.random.default_rng(int(photo.sum(dtype=np.int64)))
    return _whole(photo + rng.normal(0, 255 * dose, photo.shape))


def blur(photo: np.ndarray, dose: float) -> np.ndarray:
    """Blur by a Gaussian whose standard deviation is the share `dose` of the photo's width."""
    sigma = dose * photo.shape[1]
    return _whole(gaussian_filter(photo.astype(np.float32), (sigma, sigma, 0))) if sigma else photo


def mirror(photo: np.ndarray, dose: float) -> np.ndarray:
    """Swap left and right; `dose` is 0 or 1."""
    return photo[:, ::-1] if dose else photo


def window(photo: np.ndarray, left: float, top: float, side: float) -> np.ndarray:
    """Return a window of the photo at the photo's size; `left`, `top` and `side` in shares of the photo.

    Beyond its edges the photo is mirrored.
    """
    height, width = photo.shape[:2]
    beyond = max(0.0, -left, -top, left + side - 1, top + side - 1)
    down, across = math.ceil(beyond * height), math.ceil(beyond * width)
    wide = np.pad(photo, ((down, down), (across, across), (0, 0)), mode="symmetric") if beyond else photo
    corner = across + left * width, down + top * height
    return _resize(wide, height, width, (*corner, corner[0] + side * width, corner[1] + side * height))


def zoom(photo: np.ndarray, dose: float, head: Head) -> np.ndarray:
    """Zoom in by `dose` doublings, out where it is negative; the head stays where it is."""
    side = 2.0**-dose
    return window(photo, head.x * (1 - side), head.y * (1 - side), side)


def head_at(photo: np.ndarray, dose: float, head: Head) -> np.ndarray | None:
    """Zoom in until the head takes the share `dose` of the width; None where it takes more already."""
    side = head.width / dose
    return zoom(photo, -math.log2(side), head) if SMALLEST <= side <= 1 else None


def cut_forehead(photo: np.ndarray, dose: float, head: Head) -> np.ndarray | None:
    """Cut off the share `dose` of the head's height by a window that reaches from there to the bottom.

    None where there is no room above the head now, or too little of the photo would be left.
    """
    return _lowered(photo, head.top + dose * head.height, dose, head)


def keep_forehead(photo: np.ndarray, dose: float, head: Head) -> np.ndarray | None:
    """Return a window as large as that of `cut_forehead`, but with the forehead and a little room above."""
    return _lowered(photo, max(0.0, head.top - ROOM * head.height), dose, head)


def _lowered(photo: np.ndarray, top: float, dose: float, head: Head) -> np.ndarray | None:
    if not dose:
        return photo
    side = 1 - head.top - dose * head.height
    return window(photo, head.x * (1 - side), top, side) if head.top > 0 and side >= SMALLEST else None


def encode_again(photo: np.ndarray, dose: float) -> np.ndarray:
    """Encode as JPEG with quality 100 - `dose` and decode; 0 changes nothing."""
    out = io.BytesIO()
    if not dose:
        return photo
    Image.fromarray(photo).save(out, "JPEG", quality=round(100 - dose), subsampling=0)
    return np.asarray(Image.open(out))


def shift(photo: np.ndarray, dose: float) -> np.ndarray:
    """Move the photo `dose` px to the right and down; the edges are repeated."""
    by = round(dose)
    wide = np.pad(photo, ((by, 0), (by, 0), (0, 0)), mode="edge")
    return wide[: photo.shape[0], : photo.shape[1]]


def resize_and_back(photo: np.ndarray, dose: float) -> np.ndarray:
    """Enlarge by the share `dose`, and make it as small as it was."""
    height, width = photo.shape[:2]
    return _resize(_resize(photo, round(height * (1 + dose)), round(width * (1 + dose))), height, width)


@dataclass(frozen=True)
class Edit:
    """One way to change a photo, in several doses."""

    name: str
    change: Callable[..., np.ndarray | None]  # of a photo, a dose and, where `needs_head`, a Head
    doses: tuple[float, ...]
    unit: str  # what a dose is, for charts
    placebo: bool = False  # changes nothing that anybody would see
    needs_head: bool = False
    # What the edited photo is compared with, and its dose, where that is not the photo as it is.
    before: Callable[..., np.ndarray | None] | None = None
    before_dose: float | None = None


EDITS = (
    Edit("white border", border, (0.02, 0.05, 0.1, 0.2), "width of each edge"),
    Edit("white bars", bars, (0.14,), "width of each bar"),
    Edit("faded filter", fade, (0.5, 1.0), "strength"),
    Edit("colour", saturate, (-1.0, -0.5, 0.5), "more; -1 is black and white"),
    Edit("exposure", expose, (-1.0, 0.5, 1.0), "stops"),
    Edit("low light", darken, (2.0,), "stops less, and grain"),
    Edit("noise", noise, (0.02, 0.05), "of white"),
    Edit("blur", blur, (0.005, 0.015), "of the width"),
    Edit("zoom", zoom, (-0.3, 0.3, 0.6), "doublings", needs_head=True),
    Edit("head at a third", head_at, (THIRD,), "", needs_head=True, before=head_at, before_dose=HALF),
    Edit("head too large", head_at, (TOO_LARGE,), "", needs_head=True, before=head_at, before_dose=ALMOST),
    Edit("forehead cut", cut_forehead, (0.1, 0.2), "of the head", needs_head=True, before=keep_forehead),
    Edit("mirror", mirror, (1.0,), ""),
    Edit("encoded again", encode_again, (8.0,), "", placebo=True),
    Edit("shifted by a pixel", shift, (1.0,), "", placebo=True),
    Edit("resized and back", resize_and_back, (0.25,), "", placebo=True),
)


def apply(edit: Edit, photo: np.ndarray, dose: float, head: Head | None) -> tuple | None:
    """Return (before, after) of one photo, uint8 (H, W, 3) each; None where the edit does not apply to it."""
    if edit.needs_head and head is None:
        return None
    known = (head,) if edit.needs_head else ()
    before: np.ndarray | None = photo
    if edit.before:
        before = edit.before(photo, dose if edit.before_dose is None else edit.before_dose, *known)
    after = edit.change(photo, dose, *known)
    return None if before is None or after is None else (before, after)
