"""From linear light to a photo: exposure, noise, filters, borders."""

import math

import numpy as np
from PIL import Image
from scipy import ndimage
from scipy.signal import fftconvolve

from selfie_utils.analysis.appeal import BAR, FRAME
from selfie_utils.synthetic.description import Photo
from selfie_utils.synthetic.skin import skin_rgb

LUMA = np.array([0.299, 0.587, 0.114])  # of the finished photo
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])  # of linear light
DARK_LIGHTS = ("low", "party")
BRIGHTNESS = (0.46, 0.60)  # between which the mean of a photo is brought, as a phone's automatic does
DARK_BRIGHTNESS = (0.27, 0.32)
SATURATION, CONTRAST = 1.2, 0.06
# Luminance of a face / (albedo of its skin + 0.05), before exposure: medians of 130 photos.
FACE_LIGHT = {
    **{"flash": 1.65, "golden": 1.39, "lamp": 0.71, "low": 0.35, "overcast": 0.71},
    **{"party": 0.55, "ring": 0.67, "studio": 0.92, "sun": 1.27, "window": 1.01},
}


def filmic(light: np.ndarray) -> np.ndarray:
    """Compress linear light to 0..1 as film does: softly, so that skin does not turn orange."""
    return np.clip(1.02 * (1 - np.exp(-1.15 * light)) - 0.004, 0, 1)


def disc_blur(image: np.ndarray, radius: float) -> np.ndarray:
    """Blur (h, w, 3) as a lens does out of focus: lights become discs of `radius` px."""
    if radius < 0.6:
        return image
    reach = math.ceil(radius)
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1]
    disc = np.clip(radius + 0.5 - np.hypot(x, y), 0, 1)
    padded = np.pad(image, ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    blurred = fftconvolve(padded, (disc / disc.sum())[..., None], mode="valid", axes=(0, 1))
    return np.maximum(blurred, 0)


def develop(light: np.ndarray, photo: Photo, known: dict) -> dict:
    """Develop what was rendered into the photo; what is known of it follows.

    `light` is linear RGB (S, S, 3) of any brightness: it is exposed on the first face. `known` has the boxes
    and eyes, 0 to 1.
    """
    rng = np.random.default_rng(photo.seed + 1)
    light = np.clip(light, 0, 60)
    light = light * _gain(light, photo, known["face_boxes"][0])
    image = filmic(light) ** (1 / 2.2)
    image = _graded(image, SATURATION, CONTRAST * (0.4 + photo.contrast))
    image = _brightened(image, photo)
    image = _with_noise(image, photo.noise, rng)
    image = filtered(image, photo.effect)
    if photo.vignette:
        y, x = np.mgrid[-1 : 1 : len(image) * 1j, -1 : 1 : len(image) * 1j]
        image = image * (1 - photo.vignette * ((x**2 + y**2) / 2)[..., None])
    return _bordered(to_image(image), photo.border, known)


def to_image(image: np.ndarray) -> Image.Image:
    """Turn RGB of 0 to 1 into an image of 8 bits."""
    return Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8))


def _gain(light: np.ndarray, photo: Photo, box: list[float]) -> float:
    """Return the factor that exposes the face."""
    luminance, size = light @ LUMINANCE, len(light)
    if seen_from_behind(photo):
        return 0.4 * photo.exposure / max(np.percentile(luminance, 80), 1e-4)
    left, top, right, bottom = np.clip(np.array(box) * size, 0, size - 1).astype(int)
    return _wanted(photo) / max(np.percentile(luminance[top : bottom + 1, left : right + 1], 62), 1e-4)


def seen_from_behind(photo: Photo) -> bool:
    """Tell whether the camera stands behind the people, who show no face."""
    return math.cos(photo.camera.yaw) < 0


def _albedo(photo: Photo) -> float:
    return float(skin_rgb(photo.people[0][0].skin_tone) @ LUMINANCE)


def _wanted(photo: Photo) -> float:
    """Return how bright the face shall be: dark skin stays dark, light skin light, glare glares."""
    albedo = _albedo(photo)
    wanted = (0.24 + 0.46 * albedo) * photo.exposure
    glare = np.clip((photo.exposure - 1.3) / 0.4, 0, 1)
    wanted += glare * ((0.95 + 0.8 * albedo) * photo.exposure / 1.9 - wanted)
    return 0.08 + 0.42 * wanted if photo.light in DARK_LIGHTS else wanted  # in the dark, still to be seen


def before_exposure(background: np.ndarray, photo: Photo) -> np.ndarray:
    """Return how bright a background must be where it is rendered, to have its own brightness in the photo.

    The gain is known only when the face is rendered; what it is in such light stands in for it, so that
    backgrounds come out darker or brighter by a third now and then, as they do.
    """
    gain = _wanted(photo) / (FACE_LIGHT[photo.light] * (_albedo(photo) + 0.05))
    return background * photo.exposure**0.6 / gain


def _brightened(image: np.ndarray, photo: Photo) -> np.ndarray:
    """Bring the mean into the range of its light by a gamma, which keeps black and white."""
    low, high = DARK_BRIGHTNESS if photo.light in DARK_LIGHTS else BRIGHTNESS
    if photo.exposure > 1.3:
        low, high = low + 0.04, 0.74
    luma, gamma = image @ LUMA, 1.0
    wanted = np.clip(luma.mean(), low, high)
    for _ in range(4):  # Newton's method, in the logarithm of the mean
        mean = (luma**gamma).mean()
        slope = (luma**gamma * np.log(luma.clip(1e-4))).mean() / mean
        gamma -= np.log(mean / wanted) / slope
    return image ** np.clip(gamma, 0.6, 2.0)


def _graded(image: np.ndarray, saturation: float, contrast: float) -> np.ndarray:
    """Change saturation (1 keeps it) and contrast (0 keeps it: a curve in the shape of an S)."""
    grey = (image @ LUMA)[..., None]
    image = np.clip(grey + (image - grey) * saturation, 0, 1)
    return np.clip(image + contrast * np.sin((image - 0.5) * 2 * np.pi), 0, 1)


def _with_noise(image: np.ndarray, strength: float, rng: np.random.Generator) -> np.ndarray:
    """Add a phone's noise: fine and coarse, more in the shadows."""
    if not strength:
        return image
    fine, coarse = rng.normal(size=(2, *image.shape)) * strength
    noise = 0.6 * fine + 1.2 * ndimage.gaussian_filter(coarse, (0.8, 0.8, 0))
    return image + noise * (1.3 - 0.8 * image)


def filtered(image: np.ndarray, effect: str) -> np.ndarray:
    """Apply a filter, one of EFFECTS, to RGB of 0 to 1."""
    grey = (image @ LUMA)[..., None]
    if effect == "black_and_white":
        low, high = np.percentile(grey, [1, 99])
        stretched = (grey - low) / max(high - low, 0.3)
        return np.repeat(np.clip(0.4 * grey + 0.6 * stretched, 0, 1), 3, 2)
    if effect == "faded":
        # Lifted blacks and soft colours, a hint of warmth in the shadows; white stays nearly white.
        return (grey + (image - grey) * 0.78) * 0.80 + np.array([0.155, 0.145, 0.14])
    if effect == "warm":
        return image * [1.06, 1.0, 0.88] + [0.01, 0.0, -0.01]
    if effect == "cool":
        return image * [0.93, 1.0, 1.07]
    return grey + (image - grey) * 1.3 if effect == "vivid" else image


def _bordered(image: Image.Image, border: str, known: dict) -> dict:
    """Put the photo into a border; boxes, eyes and window follow."""
    scale, shift, window = 1.0, np.zeros(2), np.array([0.0, 0.0, 1.0, 1.0])
    if border != "none":
        paper = Image.new("RGB", image.size, (255, 255, 255) if border.startswith("white") else (8, 8, 8))
        if border in ("white", "black"):
            scale, shift, window = _framed(image, paper)
        else:
            shift, window = _cropped(image, paper, border.endswith("_sides"), known["face_boxes"][0])
        image = paper

    def moved(points):
        points = np.asarray(points, float)
        return (points * scale + np.tile(shift, points.shape[-1] // 2)).tolist()

    return {name: moved(points) for name, points in known.items()} | {
        "image": image,
        "window": window.tolist(),
    }


def _framed(image: Image.Image, paper: Image.Image) -> tuple:
    """Paste the photo, made smaller, into the middle of `paper`; returns scale, shift and window."""
    size = image.width
    edge = round(size * FRAME)
    paper.paste(image.resize((size - 2 * edge, size - 2 * edge), Image.Resampling.LANCZOS), (edge, edge))
    share = edge / size
    return 1 - 2 * share, np.full(2, share), np.array([share, share, 1 - share, 1 - share])


def _cropped(image: Image.Image, paper: Image.Image, sides: bool, box: list[float]) -> tuple:
    """Paste the part of the photo around the face between two bars; returns shift and window."""
    size, axis = image.width, 0 if sides else 1
    bar = round(size * BAR)
    kept = size - 2 * bar
    start = int(np.clip((box[axis] + box[axis + 2]) / 2 * size - kept / 2, 0, size - kept))
    crop = (start, 0, start + kept, size) if sides else (0, start, size, start + kept)
    paper.paste(image.crop(crop), (bar, 0) if sides else (0, bar))
    shift, window = np.zeros(2), np.array([0.0, 0.0, 1.0, 1.0])
    shift[axis] = (bar - start) / size
    window[[axis, axis + 2]] = bar / size, 1 - bar / size
    return shift, window
