"""Photos that are no selfies: views, plates of food, cups, flowers."""

import numpy as np
from PIL import Image
from scipy import ndimage

from selfie_utils.synthetic import scenes
from selfie_utils.synthetic.effects import filmic, filtered, to_image
from selfie_utils.synthetic.geometry import norm

KINDS = {"view": 0.5, "plate": 0.2, "cups": 0.12, "flowers": 0.18}
FILTERS = {"none": 0.6, "faded": 0.12, "black_and_white": 0.08, "warm": 0.08, "vivid": 0.12}
TABLES = ((0.62, 0.42, 0.26), (0.36, 0.22, 0.14), (0.86, 0.84, 0.80), (0.30, 0.32, 0.35), (0.80, 0.72, 0.60))
FOOD = ((0.80, 0.20, 0.12), (0.36, 0.58, 0.16), (0.95, 0.72, 0.25), (0.55, 0.30, 0.16), (0.92, 0.86, 0.70))
PETALS = ((0.92, 0.30, 0.45), (0.97, 0.80, 0.20), (0.95, 0.93, 0.90), (0.55, 0.35, 0.80), (0.95, 0.45, 0.20))


def still_life(seed: int, size: int) -> Image.Image:
    """Make a photo (size, size) without a face; a function of its arguments."""
    rng = np.random.default_rng(seed)
    kind = str(rng.choice(list(KINDS), p=list(KINDS.values())))
    make = {"view": _view, "plate": _plate, "cups": _cups, "flowers": _flowers}[kind]
    image = filtered(make(rng, size), str(rng.choice(list(FILTERS), p=list(FILTERS.values()))))
    return to_image(image + rng.normal(size=image.shape) * 0.008)


def _view(rng: np.random.Generator, size: int) -> np.ndarray:
    """Look into a panorama through a camera of its own, sharp."""
    names = [*scenes.panorama_names(), *scenes.HDRIS]
    name = str(rng.choice([name for name in names if name != "studio"]))
    dark = name.startswith(("night", "party"))
    turn, rise, focal = rng.uniform(0, 2 * np.pi), rng.normal(0.05, 0.1), rng.uniform(0.6, 1.0)
    forward = np.array([np.cos(turn) * np.cos(rise), np.sin(turn) * np.cos(rise), np.sin(rise)])
    right = norm(np.cross(forward, [0, 0, 1.0]))
    middle = (np.arange(size) + 0.5) / size - 0.5
    across, down = middle[None, :, None] / focal, -middle[:, None, None] / focal
    rays = norm(forward + across * right + down * np.cross(right, forward))
    seen = scenes.exposed(scenes.look_around(name, rays, 0.0), 0.09 if dark else 0.42)
    image = filmic(seen) ** (1 / 2.2)
    return np.clip(image + 0.6 * (image - ndimage.gaussian_filter(image, (1.5, 1.5, 0))), 0, 1)


def _grid(size: int) -> tuple[np.ndarray, np.ndarray]:
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return x, y


def _table(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paint a table top: planks of wood or plain, brighter on the window's side."""
    x, y = _grid(size)
    colour = np.array(TABLES[rng.integers(len(TABLES))])
    grain = ndimage.gaussian_filter(rng.normal(size=(size, size)), (0.7, size / 8))
    grain = grain / grain.std() * 0.05 - 0.25 * (np.abs((y * 2.5) % 1 - 0.5) > 0.48)
    turn = rng.uniform(0, 2 * np.pi)
    light = 1 + 0.2 * (np.cos(turn) * x + np.sin(turn) * y)
    return colour * ((1 + grain) * light)[..., None]


def _disc(image, middle, radius, colour, height=0.03, squeeze=1.0, shine=0.25) -> np.ndarray:
    """Lay a round thing on an image: a soft shadow, a shaded disc, an edge."""
    size = len(image)
    x, y = _grid(size)
    far = np.hypot(x - middle[0], (y - middle[1]) / squeeze) / radius
    shadow = np.hypot(x - middle[0] - height, (y - middle[1] - 1.5 * height) / squeeze) / radius
    image = image * (1 - 0.45 * np.clip((1.12 - shadow) * 5, 0, 1))[..., None]
    shade = 1 + shine * ((middle[0] - x) + (middle[1] - y)) / radius * 0.5 - 0.12 * far**4
    inside = np.clip((1 - far) * radius * size / 2 + 0.5, 0, 1)[..., None]
    return image * (1 - inside) + np.asarray(colour) * shade[..., None] * inside


def _plate(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paint a plate of food seen from above, with a glass beside it."""
    middle, radius = rng.normal(0, 0.1, 2), rng.uniform(0.6, 0.75)
    image = _disc(_table(rng, size), middle, radius, (0.93, 0.92, 0.90), 0.05, shine=0.06)
    image = _disc(image, middle, radius * 0.72, (0.88, 0.87, 0.85), 0.0, shine=-0.1)
    for _ in range(rng.integers(14, 40)):
        away, turn = radius * 0.58 * np.sqrt(rng.random()), rng.uniform(0, 2 * np.pi)
        at = middle + away * np.array([np.cos(turn), np.sin(turn)])
        colour = np.array(FOOD[rng.integers(len(FOOD))]) * rng.uniform(0.8, 1.1)
        image = _disc(image, at, rng.uniform(0.05, 0.15), colour, 0.02, rng.uniform(0.5, 1), 0.5)
    corner = rng.choice([-1, 1], 2) * rng.uniform(0.8, 0.95, 2)
    return _disc(image, corner, 0.2, (0.75, 0.82, 0.85), 0.06, shine=0.4)


def _cups(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paint cups of coffee on saucers, seen from above."""
    image = _table(rng, size)
    for place in ((-0.35, -0.25), (0.45, 0.4))[: rng.integers(1, 3)]:
        at, radius = np.array(place) + rng.normal(0, 0.08, 2), rng.uniform(0.36, 0.46)
        china = np.array((0.92, 0.91, 0.88)) * rng.uniform(0.5, 1, 3) ** 0.3
        image = _disc(image, at, radius, china, 0.05, shine=0.1)
        image = _disc(image, at + np.array([radius * 0.68, 0]), radius * 0.2, china, 0.04)
        image = _disc(image, at, radius * 0.62, china, 0.06)
        image = _disc(image, at, radius * 0.54, (0.36, 0.20, 0.10), 0, shine=0.2)
        image = _disc(image, at, radius * rng.uniform(0.2, 0.4), (0.80, 0.62, 0.42), 0, rng.uniform(0.7, 1))
    return image


def _flowers(rng: np.random.Generator, size: int) -> np.ndarray:
    """Paint flowers before blurred leaves."""
    leaves = ndimage.gaussian_filter(rng.normal(size=(size, size)), size / 28)
    share = np.clip(0.5 + 0.3 * leaves / leaves.std(), 0, 1)[..., None]
    image = np.array((0.10, 0.22, 0.08)) * (1 - share) + np.array((0.48, 0.66, 0.28)) * share
    colour = np.array(PETALS[rng.integers(len(PETALS))])
    for _ in range(rng.integers(3, 9)):
        middle, radius = rng.uniform(-0.75, 0.75, 2), rng.uniform(0.16, 0.34)
        petals, first = rng.integers(5, 10), rng.uniform(0, 2 * np.pi)
        for turn in first + np.arange(petals) * 2 * np.pi / petals:
            at = middle + radius * 0.6 * np.array([np.cos(turn), np.sin(turn)])
            image = _disc(image, at, radius * 0.45, colour * rng.uniform(0.85, 1.05), 0.015, shine=0.3)
        image = _disc(image, middle, radius * 0.28, (0.75, 0.55, 0.12), 0.01, shine=0.5)
    return image
