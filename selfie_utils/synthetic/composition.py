"""Compose a photo: heads with neck and shoulders before a background; then light, noise and filters."""

from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter

from selfie_utils.synthetic.heads import SIDE, Head
from selfie_utils.synthetic.scenes import blend, colour, draw_object, draw_scene, noise

CANVAS = 256  # px; photos are composed at this size and then reduced


@dataclass(frozen=True)
class Plan:
    """What a photo shows, before it is drawn."""

    face_share: float = 0.33  # width of the head / width of the photo
    people: int = 1
    tilt: float = 0.0  # degrees
    forehead_cut: bool = False
    low_light: bool = False
    black_and_white: bool = False
    faded: bool = False
    over_exposed: bool = False
    border: str = ""  # "", "horizontal" or "vertical"
    seed: int = 0  # of everything that is left to chance
    long_hair: list[bool] = field(default_factory=list)  # one a person


def compose(plan: Plan, heads: list[Head], size: int) -> Image.Image:
    """Draw a selfie of `heads`, the main one first: RGB, `size` x `size` px."""
    rng = np.random.default_rng(plan.seed)
    photo = gaussian_filter(draw_scene(rng, CANVAS), (1.5, 1.5, 0))
    spots = places(plan, rng)
    for head, spot, long_hair in reversed(list(zip(heads, spots, plan.long_hair, strict=True))):
        photo = put_person(photo, head, spot, long_hair, rng)
    photo = develop(photo, plan, spots[0], rng)
    return _to_image(photo, size)


def compose_object(seed: int, size: int) -> Image.Image:
    """Draw a photo that is no selfie: RGB, `size` x `size` px."""
    rng = np.random.default_rng(seed)
    photo = draw_object(rng, CANVAS) + rng.normal(0, 0.01, (CANVAS, CANVAS, 3))
    return _to_image(photo, size)


def _to_image(photo: np.ndarray, size: int) -> Image.Image:
    image = Image.fromarray((photo.clip(0, 1) * 255).round().astype("uint8"))
    return image.resize((size, size), Image.Resampling.LANCZOS)


@dataclass(frozen=True)
class Spot:
    """Where a head goes: centre of the face and width of the head in px of the canvas, tilt in degrees."""

    x: float
    y: float
    width: float
    tilt: float


def places(plan: Plan, rng: np.random.Generator) -> list[Spot]:
    """Place the main head and its friends beside it."""
    width = plan.face_share * CANVAS
    x = CANVAS * (0.5 + rng.normal(0, 0.05))
    if plan.people > 1:
        return _side_by_side(plan, width, rng)
    if plan.forehead_cut:
        # The frame runs just above the eyebrows: a quarter of the head is gone.
        y = width * rng.uniform(0.34, 0.42)
    else:
        lowest_top = 0.14 if plan.border == "horizontal" else 0.03
        y = CANVAS * lowest_top + 0.72 * width
        y += max(0.0, CANVAS * 0.55 - y) * rng.uniform(0.2, 0.9)
    return [Spot(x, y, width, plan.tilt)]


def _side_by_side(plan: Plan, width: float, rng: np.random.Generator) -> list[Spot]:
    """Stand people shoulder to shoulder, the main one somewhere among them."""
    step = width * rng.uniform(0.95, 1.15)
    order = rng.permutation(plan.people)
    start = CANVAS / 2 - step * (plan.people - 1) / 2
    spots = []
    for i, place in enumerate(order):
        smaller = 1.0 if i == 0 else rng.uniform(0.78, 0.97)
        y = CANVAS * rng.uniform(0.40, 0.52) + (0 if i == 0 else rng.normal(0, 0.05) * CANVAS)
        tilt = plan.tilt if i == 0 else rng.normal(0, 7)
        spots.append(Spot(start + step * place + rng.normal(0, 4), y, width * smaller, tilt))
    return spots


def put_person(
    photo: np.ndarray, head: Head, spot: Spot, long_hair: bool, rng: np.random.Generator
) -> np.ndarray:
    """Draw hair behind, shoulders, neck and then the head itself."""
    if long_hair:
        photo = _put_hair(photo, head, spot, rng)
    photo = _put_body(photo, head, spot, rng)
    return _put_head(photo, head, spot)


def _shape(draw_shapes, blur: float) -> np.ndarray:
    """Return what is drawn in white on black, softened, float (CANVAS, CANVAS) in 0..1."""
    image = Image.new("L", (CANVAS, CANVAS))
    draw_shapes(ImageDraw.Draw(image))
    return gaussian_filter(np.asarray(image, float) / 255, blur)


def _hair_colour(head: Head) -> np.ndarray:
    """Return the colour above the forehead, the darker half of it: float (3,) in 0..1."""
    top, middle = int(max(head.face["top"], 5)), int((head.face["left"] + head.face["right"]) / 2)
    rows = slice(max(top - 5, 0), max(top - 1, 1))
    above = head.pixels[rows, middle - 8 : middle + 9].reshape(-1, 3) / 255
    return above[above.sum(axis=1) <= np.median(above.sum(axis=1))].mean(axis=0)


def _put_hair(photo: np.ndarray, head: Head, spot: Spot, rng: np.random.Generator) -> np.ndarray:
    """Let long hair fall behind the head onto the shoulders, in strands."""
    half, down = 0.56 * spot.width * rng.uniform(0.95, 1.1), spot.width * rng.uniform(0.9, 1.5)
    box = (spot.x - half, spot.y - 0.62 * spot.width, spot.x + half, spot.y + down)
    mask = _shape(lambda draw: draw.rounded_rectangle(box, half * 0.95, fill=255), 2.5)
    strands = gaussian_filter(rng.normal(0, 1, (CANVAS, CANVAS)), (14, 1))
    shade = 0.85 + 0.12 * (strands / strands.std())[..., None]
    return blend(photo, (_hair_colour(head) * shade).clip(0, 1), mask)


def _put_body(photo: np.ndarray, head: Head, spot: Spot, rng: np.random.Generator) -> np.ndarray:
    """Draw a neck in the colour of the skin, and clothed shoulders with a collar."""
    width, x = spot.width, spot.x + spot.tilt * 0.01 * spot.width
    chin, throat = spot.y + 0.44 * width, spot.y + 0.68 * width
    neck = (x - 0.25 * width, spot.y + 0.2 * width, x + 0.25 * width, throat + 0.25 * width)
    half = width * rng.uniform(1.15, 1.45)
    skin = (
        head.skin
        * (0.96 - 0.22 * np.exp(-(((np.arange(CANVAS) - chin) / (0.12 * width)) ** 2)))[:, None, None]
    )
    photo = blend(
        photo, skin * np.ones((CANVAS, CANVAS, 3)), _shape(lambda d: d.rectangle(neck, fill=255), 2)
    )
    shoulders = _shape(lambda draw: _draw_shoulders(draw, x, throat, half, width), 1.5)
    collar = (
        x - 0.30 * width,
        throat - 0.3 * width,
        x + 0.30 * width,
        throat + rng.uniform(0.12, 0.3) * width,
    )
    neckline = _shape(lambda draw: draw.ellipse(collar, fill=255), 1.2)
    photo = blend(photo, _cloth(x, half, rng), shoulders * (1 - neckline))
    return blend(photo, skin * np.ones((CANVAS, CANVAS, 3)) * 1.05, shoulders * neckline)


def _draw_shoulders(draw: ImageDraw.ImageDraw, x: float, top: float, half: float, width: float) -> None:
    """Draw sloping shoulders that reach to the lower edge."""
    slope = 0.42 * width
    outline = [(x - 0.27 * width, top - 0.04 * width), (x + 0.27 * width, top - 0.04 * width)]
    outline += [
        (x + 0.75 * half, top + 0.5 * slope),
        (x + half, top + 1.5 * slope),
        (x + half * 1.05, 2 * CANVAS),
    ]
    outline += [
        (x - half * 1.05, 2 * CANVAS),
        (x - half, top + 1.5 * slope),
        (x - 0.75 * half, top + 0.5 * slope),
    ]
    draw.polygon(outline, fill=255)


def _cloth(x: float, half: float, rng: np.random.Generator) -> np.ndarray:
    """Return a cloth of one colour, striped now and then, with folds and shade to the sides."""
    dye = colour(rng, saturation=(0.0, 0.6), value=(0.1, 0.85))
    rows, columns = np.mgrid[0:CANVAS, 0:CANVAS]
    cloth = np.ones((CANVAS, CANVAS, 3)) * dye
    if rng.random() < 0.25:
        stripe = np.sin(rows / CANVAS * rng.uniform(60, 160)) > rng.uniform(-0.3, 0.7)
        cloth = blend(cloth, colour(rng, saturation=(0, 0.5)) * np.ones(3), stripe * 0.9)
    shade = 1 - 0.35 * np.clip(abs(columns - x) / half, 0, 1) ** 2
    return cloth * (shade * (0.85 + 0.25 * noise(rng, CANVAS, 5, 3)))[..., None]


def _put_head(photo: np.ndarray, head: Head, spot: Spot) -> np.ndarray:
    """Paste a head, enlarged, tilted and softly cut out, its face centred on the spot."""
    face, scale = head.face, spot.width / head.width
    centre = np.array([face["left"] + face["right"], face["top"] + face["bottom"]]) / 2
    turn = np.radians(spot.tilt)
    # Pillow asks where in the tile each px of the canvas comes from: turn and shrink around the centre.
    across, down = np.cos(turn) / scale, np.sin(turn) / scale
    shift_x = centre[0] - across * spot.x - down * spot.y
    shift_y = centre[1] + down * spot.x - across * spot.y
    matrix = (across, down, shift_x, -down, across, shift_y)
    opacity = np.round(_fade_below(head) * 255).astype("uint8")
    tile = Image.fromarray(np.dstack([head.pixels, opacity]))
    layer = tile.convert("RGBa").transform(
        (CANVAS, CANVAS), Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC
    )
    layer = np.asarray(layer.convert("RGBA"), float) / 255
    return blend(photo, layer[..., :3], layer[..., 3])


def _fade_below(head: Head) -> np.ndarray:
    """Return the opacity of a head, fading out under the chin where the drawn neck takes over."""
    rows = np.arange(SIDE)[:, None]
    end = min(head.face["bottom"] + 3, SIDE - 1)
    return head.mask * np.clip((end - rows) / 4 + 0.5, 0, 1)


def develop(photo: np.ndarray, plan: Plan, spot: Spot, rng: np.random.Generator) -> np.ndarray:
    """Do to a composed photo what light, camera, filters and frames do; float (S, S, 3) in 0..1."""
    photo = photo * rng.uniform(0.92, 1.1) * (1 + rng.normal(0, 0.03, 3))
    photo = photo + rng.normal(0, 0.012, photo.shape)
    if plan.over_exposed:
        photo = _flash(photo, spot, rng)
    if plan.faded:
        photo = _fade(photo, rng)
    if plan.low_light:
        photo = _darken(photo, rng)
    if plan.black_and_white:
        photo = np.repeat((photo @ np.array([0.299, 0.587, 0.114]))[..., None], 3, axis=2)
    return _frame(photo, plan.border, rng) if plan.border else photo


def _flash(photo: np.ndarray, spot: Spot, rng: np.random.Generator) -> np.ndarray:
    """Burn out the face, as a flash or strong sun does."""
    rows, columns = np.mgrid[0:CANVAS, 0:CANVAS]
    distance = np.hypot(columns - spot.x, (rows - spot.y) / 1.25) / (0.40 * spot.width)
    glow = np.exp(-(distance**5))
    brighter = (
        photo * (1 + rng.uniform(0.7, 1.0) * glow[..., None]) + rng.uniform(0.18, 0.26) * glow[..., None]
    )
    return brighter.clip(0, 1)


def _fade(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Lift the shadows and flatten the contrast, with a tint, as faded filters do."""
    tint = 1 + np.array([1, 0.2, -1]) * rng.normal(0, 0.05)
    return (rng.uniform(0.38, 0.46) + rng.uniform(0.36, 0.45) * photo.clip(0, 1)) * tint


def _darken(photo: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Take the light away and add the noise of a small sensor, coarse and coloured."""
    dark = (
        photo.clip(0, 1) ** 1.15
        * rng.uniform(0.30, 0.42)
        * (1 + np.array([1, 0.2, -1]) * rng.normal(0, 0.08))
    )
    grain = gaussian_filter(rng.normal(0, 1, photo.shape), (0.8, 0.8, 0))
    return dark + rng.uniform(0.045, 0.07) * grain + 0.015


def _frame(photo: np.ndarray, border: str, rng: np.random.Generator) -> np.ndarray:
    """Lay white bars along two facing edges."""
    framed, bar = photo.copy(), int(CANVAS * rng.uniform(0.09, 0.13))
    framed = framed if border == "horizontal" else framed.transpose(1, 0, 2)
    framed[:bar], framed[-bar:] = 1.0, 1.0
    return framed if border == "horizontal" else framed.transpose(1, 0, 2)
