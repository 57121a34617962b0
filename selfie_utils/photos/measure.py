"""Measure what a photo is like, on all cores: its light, its colours, its framing."""

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.parallel import in_advance
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.images import Images, UnreadableImage, decode, squish

SMALL = 32  # px; statistics of a photo for the baseline
GRID = 4  # cells per side, whose mean light is a statistic each
SIZE = 64  # px; measures of light and colour need no more
WHITE, BLACK = 0.93, 0.07  # luminance: borders are at least so white or so black
EVEN = 1 / 255  # standard deviation of luminance; a photo with less shows nothing
GLARE = 0.8  # luminance that skin does not have unless over-exposed
FOREHEAD = 1.6  # from the eyes to the top of the head / from the eyes to the mouth
FEATURES = (("left_eye", "right_eye"), ("mouth_left", "mouth_right"))


def measure(images: Images, faces: pd.DataFrame) -> pd.DataFrame:
    """Measure the light, colour and framing of photos; `faces` as from `filter_faces`, one row per photo.

    Returns image (str) and, as float64, all inside the border: brightness; shadow and highlight (the darkest
    and the lightest luminance at `SIZE` px), all 0 to 1; colour (what luminance does not explain of the
    channels, in standard deviations of luminance: 0 in black and white and in toned photos alike, the same
    for a photo that is darkened or faded); face_glare (share of pixels in the face brighter than skin is).
    Then, 0 to 1 as well, border_width (of the photo's height or
    width, the narrower of two facing white edges), face_width (of the photo's, from the face box), face_top
    (where the head begins below the border, in heights of the face, estimated from eyes and mouth; negative
    where it is cut) and faces (int). Photos that can't be read are left out.
    """
    known = faces.to_dict("records")
    rows = _of_each(images, faces["image"], SIZE, lambda pixels, i: _measures(pixels, known[i]))
    found = [{"image": face["image"], **row} for face, row in zip(known, rows, strict=True) if row]
    if not found:
        raise SelfieError("None of the photos can be read: check the images path.")
    return pd.DataFrame(found)


def _of_each(
    images: Images, names: Sequence[str], size: int, work: Callable[[np.ndarray, int], Any]
) -> list[Any]:
    """Return work(pixels, position) for each photo, on all cores; None for one that can't be read.

    Pixels are float32 (size, size, 3) in 0..1.
    """

    def one(place: tuple[int, str]) -> Any:
        try:
            photo = squish(decode(images.read(place[1]), at_least=size), size)
        except UnreadableImage:
            return None
        return work(np.asarray(photo, np.float32) / 255, place[0])

    found = in_advance(one, enumerate(names), os.cpu_count() or 1)
    return list(tqdm(found, "measuring photos", len(names), mininterval=2, unit="photo"))


def _measures(pixels: np.ndarray, face: dict) -> dict[str, float]:
    """Measure one photo, float32 (SIZE, SIZE, 3) in 0..1."""
    luminance = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # (SIZE, SIZE), Rec. 601
    white, edges = _edges(luminance > WHITE), _edges((luminance > WHITE) | (luminance < BLACK))
    top, bottom, left, right = edges if max(edges) < SIZE // 3 else (0, 0, 0, 0)
    inside = slice(top + 1, SIZE - bottom - 1), slice(left + 1, SIZE - right - 1)  # 1 px: edges are blurred
    return {
        "brightness": float(luminance[inside].mean()),
        "shadow": float(luminance[inside].min()),
        "highlight": float(luminance[inside].max()),
        "colour": _colour(pixels[inside], luminance[inside]),
        "border_width": max(min(white[:2]), min(white[2:])) / SIZE,
        "face_glare": _glare(luminance, face),
        "faces": int(face["faces"]),
        "face_width": float(face["right"] - face["left"]),
        "face_top": _head_top(face, top / SIZE),
    }


def _edges(even: np.ndarray) -> tuple[int, ...]:
    """Count the rows at top and bottom, and the columns at left and right, that are nearly all True."""
    counts = []
    for lines in (even, even[::-1], even.T, even.T[::-1]):
        broken = ~(lines.mean(1) > 0.97)
        counts.append(int(broken.argmax()) if broken.any() else SIZE)
    return tuple(counts)


def _colour(pixels: np.ndarray, luminance: np.ndarray) -> float:
    """Return the mean distance of the channels from parabolas of luminance, in its standard deviations.

    `pixels` float32 (H, W, 3) in 0..1. What darkens or fades a photo shrinks both alike.
    """
    light = luminance.ravel()
    design = np.stack([np.ones_like(light), light, light**2], 1)  # (H*W, 3)
    channels = pixels.reshape(-1, 3)
    explained = design @ np.linalg.lstsq(design, channels, rcond=None)[0]
    return float(np.abs(channels - explained).mean() / max(light.std(), EVEN))


def _glare(luminance: np.ndarray, face: dict) -> float:
    """Return the share of glaring pixels inside the face box, NaN without a face."""
    box = np.array([face["left"], face["top"], face["right"], face["bottom"]], float)
    if np.isnan(box).any():
        return np.nan
    left, top, right, bottom = (np.clip(box, 0, 1) * SIZE).round().astype(int)
    inside = luminance[top : max(bottom, top + 1), left : max(right, left + 1)]
    return float((inside > GLARE).mean()) if inside.size else np.nan


def _head_top(face: dict, edge: float) -> float:
    """Estimate where the head begins, from eyes and mouth: `FOREHEAD` times their distance above the eyes."""
    eyes, mouth = ((face[f"{a}_y"] + face[f"{b}_y"]) / 2 for a, b in FEATURES)
    height = max(mouth - eyes, 1e-6)
    return float((eyes - FOREHEAD * height - edge) / height)


def image_statistics(images: Images, names: Sequence[str]) -> np.ndarray:
    """Measure photos, float32 (N, 31), in 0..1.

    Means and standard deviations of the three channels, mean and spread of saturation, percentiles of
    luminance, strength of edges across and down, whiteness of two edges, and the light on a coarse grid.
    A photo that can't be read gets the mean of the others.
    """
    rows = _of_each(images, names, SMALL, lambda pixels, _: _statistics(pixels))
    known = [row for row in rows if row is not None]
    middle = np.mean(known, axis=0) if known else np.zeros(31)
    return np.array([middle if row is None else row for row in rows], np.float32)


def _statistics(pixels: np.ndarray) -> np.ndarray:
    """Return the statistics of one photo, float32 (SMALL, SMALL, 3) in 0..1, as (31,)."""
    luminance = pixels.mean(axis=2)
    saturation = np.ptp(pixels, axis=2)
    cell = SMALL // GRID
    grid = luminance.reshape(GRID, cell, GRID, cell).mean(axis=(1, 3))
    edges = (luminance[:3], luminance[-3:], luminance[:, :3], luminance[:, -3:])
    return np.concatenate(
        [
            pixels.mean(axis=(0, 1)),
            pixels.std(axis=(0, 1)),
            [saturation.mean(), saturation.std()],
            np.percentile(luminance, [5, 50, 95]) - luminance.mean(),
            [np.abs(np.diff(luminance, axis=a)).mean() for a in (0, 1)],
            [(edge > 0.9).mean() for edge in edges[::2]],
            grid.ravel(),
        ]
    )
