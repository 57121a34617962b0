"""Backgrounds as small photos: rooms, walls, streets, gardens, evening lights; float (S, S, 3) in 0..1."""

import colorsys

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, zoom


def colour(rng: np.random.Generator, hue=(0, 1), saturation=(0.1, 0.5), value=(0.4, 0.9)) -> np.ndarray:
    """Draw one colour, float (3,) in 0..1, with hue, saturation and value from the given ranges."""
    return np.array(colorsys.hsv_to_rgb(rng.uniform(*hue) % 1, rng.uniform(*saturation), rng.uniform(*value)))


def noise(rng: np.random.Generator, size: int, cells: int, octaves: int = 4) -> np.ndarray:
    """Return cloudy noise, float (size, size) in 0..1: coarse cells with finer and fainter ones on top."""
    total = np.zeros((size, size))
    for octave in range(octaves):
        count = min(cells * 2**octave, size)
        grid = rng.random((count + 1, count + 1))
        total += zoom(grid, (size + 1) / count, order=1)[:size, :size] / 2**octave
    return (total - total.min()) / np.ptp(total)


def blend(first: np.ndarray, second: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Mix two colours or photos by a weight (S, S) in 0..1."""
    return first + (second - first) * weight[..., None]


def _down(size: int) -> np.ndarray:
    """Return a ramp from 0 at the top to 1 at the bottom, (size, size)."""
    return np.repeat(np.linspace(0, 1, size)[:, None], size, axis=1)


def _light(rng: np.random.Generator, size: int) -> np.ndarray:
    """Return light falling from one side, (size, size, 1), around 1."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.35)
    rows, columns = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    return (1 + strength * (rows * np.sin(angle) + columns * np.cos(angle)))[..., None]


def _paint(scene: np.ndarray, draw_shapes) -> np.ndarray:
    """Let `draw_shapes` draw on a scene with Pillow."""
    image = Image.fromarray((scene.clip(0, 1) * 255).astype("uint8"))
    draw_shapes(ImageDraw.Draw(image))
    return np.asarray(image) / 255


def _rgb(values: np.ndarray) -> tuple[int, ...]:
    return tuple(int(v) for v in (np.clip(values, 0, 1) * 255))


def wall(rng: np.random.Generator, size: int) -> np.ndarray:
    """A painted wall, with a picture frame or the edge of a door now and then."""
    paint = colour(rng, saturation=(0.03, 0.4), value=(0.45, 0.95))
    scene = np.ones((size, size, 3)) * paint
    scene *= 0.96 + 0.08 * noise(rng, size, 6)[..., None]
    if rng.random() < 0.5:
        scene = _paint(scene, lambda draw: _frame(rng, draw, size, paint))
    return gaussian_filter(scene, (size / 200, size / 200, 0)) * _light(rng, size)


def _frame(rng: np.random.Generator, draw: ImageDraw.ImageDraw, size: int, paint: np.ndarray) -> None:
    left, top = rng.uniform(-0.1, 0.8) * size, rng.uniform(-0.2, 0.3) * size
    width, height = rng.uniform(0.15, 0.4, 2) * size
    rim = max(2, size // 60)
    draw.rectangle((left, top, left + width, top + height), fill=_rgb(paint * rng.uniform(0.2, 0.6)))
    inner = (left + rim, top + rim, left + width - rim, top + height - rim)
    draw.rectangle(inner, fill=_rgb(colour(rng, saturation=(0.1, 0.6))))


def room(rng: np.random.Generator, size: int) -> np.ndarray:
    """A room out of focus: wall, floor, a bright window, furniture."""
    scene = blend(colour(rng, (0.02, 0.15)), colour(rng, (0.02, 0.12), value=(0.2, 0.5)), _down(size) > 0.75)

    def furnish(draw: ImageDraw.ImageDraw) -> None:
        for _ in range(rng.integers(3, 8)):
            left, top = rng.uniform(-0.1, 0.9) * size, rng.uniform(0.1, 0.8) * size
            width, height = rng.uniform(0.08, 0.45, 2) * size
            draw.rectangle((left, top, left + width, top + height), fill=_rgb(colour(rng, value=(0.15, 0.8))))
        if rng.random() < 0.6:
            left = rng.uniform(-0.1, 0.8) * size
            draw.rectangle(
                (left, 0.05 * size, left + 0.3 * size, 0.5 * size),
                fill=_rgb(colour(rng, (0.1, 0.6), (0, 0.1), (0.9, 1))),
            )

    scene = _paint(scene, furnish)
    return gaussian_filter(scene, (size / 45, size / 45, 0)) * _light(rng, size)


def evening_lights(rng: np.random.Generator, size: int) -> np.ndarray:
    """A street in the evening: dim colours with discs of light out of focus."""
    scene = blend(colour(rng, value=(0.2, 0.4)), colour(rng, value=(0.25, 0.5)), _down(size))

    def lamps(draw: ImageDraw.ImageDraw) -> None:
        for _ in range(rng.integers(12, 35)):
            x, y, radius = rng.uniform(0, size), rng.uniform(0, size), rng.uniform(0.02, 0.07) * size
            light = _rgb(colour(rng, (0, 0.17) if rng.random() < 0.7 else (0, 1), (0.1, 0.7), (0.6, 1)))
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=light)

    blurred = gaussian_filter(_paint(scene, lamps), (size / 90, size / 90, 0))
    return 0.45 * scene + 0.55 * blurred + 0.06


def garden(rng: np.random.Generator, size: int) -> np.ndarray:
    """Leaves or grass under a sky, out of focus."""
    sky = blend(colour(rng, (0.54, 0.62), (0.1, 0.5), (0.7, 1)), np.array([0.95, 0.96, 0.98]), _down(size))
    leaves = blend(
        colour(rng, (0.2, 0.38), (0.3, 0.7), (0.15, 0.4)),
        colour(rng, (0.15, 0.35), (0.3, 0.7), (0.5, 0.85)),
        noise(rng, size, 10),
    )
    horizon = rng.uniform(-0.2, 0.7) + 0.25 * (noise(rng, size, 4)[0] - 0.5)
    edge = 1 / (1 + np.exp(-(_down(size) - horizon[None]) * 25))
    return gaussian_filter(blend(sky, leaves, edge), (size / 80, size / 80, 0)) * _light(rng, size)


def tiles(rng: np.random.Generator, size: int) -> np.ndarray:
    """A tiled bathroom wall."""
    paint = colour(rng, saturation=(0.0, 0.35), value=(0.65, 0.97))
    step, shift = rng.uniform(0.09, 0.2) * size, rng.uniform(0, size, 2)
    rows, columns = np.mgrid[0:size, 0:size]
    joint = ((rows + shift[0]) % step < size / 60) | (
        (columns + shift[1]) % (step * rng.choice([1, 1.6])) < size / 60
    )
    scene = np.ones((size, size, 3)) * paint * (0.97 + 0.06 * noise(rng, size, 12)[..., None])
    scene = blend(scene, scene * 0.75, gaussian_filter(joint.astype(float), size / 250))
    return scene * _light(rng, size)


def street(rng: np.random.Generator, size: int) -> np.ndarray:
    """House fronts with windows, out of focus."""
    scene = blend(
        colour(rng, (0.54, 0.62), (0.05, 0.4), (0.7, 1)), np.array([0.6, 0.6, 0.6]), _down(size) > 0.8
    )

    def houses(draw: ImageDraw.ImageDraw) -> None:
        left = -0.1 * size
        while left < size:
            width, top = rng.uniform(0.15, 0.4) * size, rng.uniform(-0.1, 0.35) * size
            front = colour(rng, (0.0, 0.15), (0.05, 0.45), (0.35, 0.85))
            draw.rectangle((left, top, left + width, size), fill=_rgb(front))
            for x in np.arange(left + 0.03 * size, left + width - 0.04 * size, 0.08 * size):
                for y in np.arange(top + 0.05 * size, 0.85 * size, 0.13 * size):
                    draw.rectangle(
                        (x, y, x + 0.04 * size, y + 0.07 * size), fill=_rgb(front * rng.uniform(0.35, 0.6))
                    )
            left += width

    return gaussian_filter(_paint(scene, houses), (size / 70, size / 70, 0)) * _light(rng, size)


def curtain(rng: np.random.Generator, size: int) -> np.ndarray:
    """Cloth in folds."""
    columns = np.linspace(0, rng.uniform(4, 11), size) + 0.3 * noise(rng, size, 3)
    folds = 0.75 + 0.25 * np.sin(2 * np.pi * columns)
    return (
        colour(rng, saturation=(0.1, 0.6))
        * (0.5 + 0.5 * gaussian_filter(folds, size / 80))[..., None]
        * _light(rng, size)
    )


def sea(rng: np.random.Generator, size: int) -> np.ndarray:
    """A beach: sky, water and sand."""
    down = _down(size)
    horizon, shore = rng.uniform(0.25, 0.5), rng.uniform(0.6, 0.9)
    sky = blend(
        colour(rng, (0.52, 0.62), (0.2, 0.5), (0.8, 1)),
        colour(rng, (0.02, 0.15), (0, 0.3), (0.9, 1)),
        down / horizon * (down < horizon),
    )
    water = blend(
        colour(rng, (0.48, 0.6), (0.3, 0.7), (0.4, 0.7)),
        np.array([0.9, 0.95, 1]),
        (noise(rng, size, 24) > 0.72) * 0.5,
    )
    sand = colour(rng, (0.08, 0.13), (0.2, 0.4), (0.7, 0.9)) * (0.92 + 0.16 * noise(rng, size, 30)[..., None])
    scene = np.where((down < horizon)[..., None], sky, np.where((down < shore)[..., None], water, sand))
    return gaussian_filter(scene, (size / 110, size / 110, 0))


SCENES = [wall, wall, room, room, evening_lights, garden, tiles, street, curtain, sea]


def draw_scene(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one background at random, float32 (size, size, 3) in 0..1."""
    return np.clip(SCENES[rng.integers(len(SCENES))](rng, size), 0, 1).astype("float32")


# What is no selfie: the face filter has to tell.


def mountains(rng: np.random.Generator, size: int) -> np.ndarray:
    """Ridges behind each other, paler with distance."""
    down = _down(size)
    far, near = (
        colour(rng, (0.55, 0.7), (0.1, 0.3), (0.7, 0.95)),
        colour(rng, (0.2, 0.6), (0.3, 0.6), (0.1, 0.35)),
    )
    scene = blend(colour(rng, (0.5, 1.1), (0.1, 0.4), (0.8, 1)), far, down)
    for step in np.linspace(0.1, 1, 4):
        ridge = 0.25 + 0.55 * step - 0.3 * (noise(rng, size, rng.integers(2, 5))[0] - 0.3)
        scene = np.where((down > ridge)[..., None], far + (near - far) * step, scene)
    return gaussian_filter(scene, (size / 250, size / 250, 0)) * (
        0.95 + 0.1 * noise(rng, size, 20)[..., None]
    )


def plate(rng: np.random.Generator, size: int) -> np.ndarray:
    """A meal from above: table, plate, colourful heaps."""
    scene = colour(rng, (0.03, 0.12), (0.2, 0.6), (0.3, 0.8)) * (
        0.8 + 0.3 * noise(rng, size, 3, 6)[..., None]
    )
    x, y, radius = (
        rng.uniform(0.35, 0.65) * size,
        rng.uniform(0.35, 0.65) * size,
        rng.uniform(0.28, 0.48) * size,
    )

    def meal(draw: ImageDraw.ImageDraw) -> None:
        for part, shade in ((1.0, 0.8), (0.97, 0.95), (0.72, 0.9)):
            draw.ellipse(
                (x - radius * part, y - radius * part, x + radius * part, y + radius * part),
                fill=_rgb(np.ones(3) * shade),
            )
        for _ in range(rng.integers(8, 40)):
            angle, out, lump = (
                rng.uniform(0, 2 * np.pi),
                rng.uniform(0, 0.55) * radius,
                rng.uniform(0.05, 0.22) * radius,
            )
            at = x + out * np.cos(angle), y + out * np.sin(angle)
            heap = _rgb(colour(rng, (0.0, 0.35), (0.4, 0.9), (0.3, 0.9)))
            draw.ellipse(
                (at[0] - lump, at[1] - lump * rng.uniform(0.5, 1), at[0] + lump, at[1] + lump), fill=heap
            )

    return gaussian_filter(_paint(scene, meal), (size / 160, size / 160, 0)) * _light(rng, size)


def cup(rng: np.random.Generator, size: int) -> np.ndarray:
    """A cup on a table before a room out of focus."""
    table = rng.uniform(0.6, 0.75)
    scene = blend(
        room(rng, size),
        colour(rng, (0.03, 0.12), (0.2, 0.6), (0.3, 0.7)),
        (_down(size) > table).astype(float),
    )
    x, width, height = (
        rng.uniform(0.3, 0.6) * size,
        rng.uniform(0.2, 0.35) * size,
        rng.uniform(0.25, 0.4) * size,
    )
    base, glaze = (table + 0.12) * size, colour(rng, saturation=(0.1, 0.8), value=(0.4, 0.95))

    def crockery(draw: ImageDraw.ImageDraw) -> None:
        draw.ellipse(
            (x + width * 0.8, base - height * 0.8, x + width * 1.35, base - height * 0.2),
            outline=_rgb(glaze * 0.8),
            width=size // 25,
        )
        draw.rounded_rectangle((x, base - height, x + width, base), size // 20, fill=_rgb(glaze))
        draw.rectangle(
            (x + width * 0.7, base - height * 0.9, x + width * 0.95, base - height * 0.1),
            fill=_rgb(glaze * 0.8),
        )
        draw.ellipse((x, base - height * 1.1, x + width, base - height * 0.88), fill=_rgb(glaze * 0.9))
        draw.ellipse(
            (x + width * 0.06, base - height * 1.07, x + width * 0.94, base - height * 0.9),
            fill=_rgb(np.array([0.25, 0.14, 0.07])),
        )

    return gaussian_filter(_paint(scene, crockery), (size / 160, size / 160, 0)) * _light(rng, size)


def sunset(rng: np.random.Generator, size: int) -> np.ndarray:
    """The sun over the sea."""
    down = _down(size)
    horizon = rng.uniform(0.5, 0.7)
    sky = blend(
        colour(rng, (0.6, 0.95), (0.3, 0.6), (0.3, 0.6)),
        colour(rng, (0.03, 0.12), (0.5, 0.8), (0.9, 1)),
        down / horizon,
    )
    rows, columns = np.mgrid[0 : 1 : size * 1j, 0 : 1 : size * 1j]
    distance = np.hypot(rows - horizon + rng.uniform(0.02, 0.2), columns - rng.uniform(0.2, 0.8))
    sky = blend(
        sky, np.array([1, 0.95, 0.8]), np.exp(-((distance / 0.07) ** 4)) + 0.4 * np.exp(-distance / 0.15)
    )
    scene = np.where(
        (down < horizon)[..., None], sky, sky[::-1] * 0.6 * (0.8 + 0.4 * noise(rng, size, 30)[..., None])
    )
    return gaussian_filter(scene, (size / 200, size / 200, 0))


OBJECTS = [mountains, plate, cup, sunset, sea, garden, street, evening_lights]


def draw_object(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw one photo without a face at random, float32 (size, size, 3) in 0..1."""
    return np.clip(OBJECTS[rng.integers(len(OBJECTS))](rng, size), 0, 1).astype("float32")
