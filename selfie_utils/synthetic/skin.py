"""Colours of skin, eyes and teeth, a value for each point; colours are linear RGB unless named otherwise."""

from functools import cache

import numpy as np
from scipy.ndimage import gaussian_filter1d

from selfie_utils.synthetic.blender import mesh_object
from selfie_utils.synthetic.description import Look, Person
from selfie_utils.synthetic.geometry import grid_noise, rot_between, sheet, ss, to_blender
from selfie_utils.synthetic.hair_colours import paint_colour
from selfie_utils.synthetic.makehuman import model
from selfie_utils.synthetic.materials import material
from selfie_utils.synthetic.regions import regions

SKINS = {  # sRGB, 0 to 255, from light to deep; none is white: lamps from the front would turn it chalky
    1: (230, 186, 162),
    2: (224, 176, 149),
    3: (212, 160, 131),
    4: (191, 140, 112),
    5: (164, 115, 89),
    6: (137, 91, 68),
    7: (108, 71, 54),
    8: (86, 57, 44),
}
EYES = {
    "brown": (0.085, 0.038, 0.016),
    "dark": (0.034, 0.017, 0.011),
    "hazel": (0.14, 0.085, 0.030),
    "green": (0.075, 0.095, 0.048),
    "blue": (0.075, 0.125, 0.20),
    "grey": (0.13, 0.155, 0.175),
}
SCLERA = np.array([0.56, 0.53, 0.505])
ENAMEL = np.array([0.62, 0.56, 0.475])
GUMS = np.array([0.36, 0.12, 0.11])
TOOTH_EDGES = np.array([0.0, 0.088, 0.158, 0.232, 0.305, 0.378])  # along the arch, decimetres from the middle
IRIS = 0.565  # radians, seen from the middle of the eye


def lin(colour) -> np.ndarray:
    """Turn sRGB, 0 to 255, into linear RGB."""
    return (np.asarray(colour, float) / 255.0) ** 2.2


def skin_rgb(tone: float) -> np.ndarray:
    """Return the colour of a skin tone, 1 (lightest) to 8 (deepest), also between whole numbers."""
    tones = list(SKINS)
    return lin([np.interp(tone, tones, channel) for channel in zip(*SKINS.values(), strict=True)])


def _blob(x: float, y: float, z: float, size: tuple[float, float, float]) -> np.ndarray:
    """Return a soft spot on both halves of the face, 0 to 1 for each point (N,); decimetres."""
    at = regions()
    away = ((at.x - x) / size[0]) ** 2 + ((at.y - y) / size[1]) ** 2 + ((at.z - z) / size[2]) ** 2
    return np.exp(-away)


@cache
def _spots() -> dict[str, np.ndarray]:
    """Return where faces are redder, darker or painted; for each point (N,); the same for everybody."""
    masks = model().parts["body"].masks
    ears, chin = masks["ears"] > 0.5, _blob(0, 6.3, 1.45, (0.2, 0.12, 0.3))
    below_eyes, lids = _blob(0.32, 7.13, 1.3, (0.2, 0.06, 0.3)), _blob(0.31, 7.4, 1.3, (0.2, 0.07, 0.3))
    return {
        "cheeks": _blob(0.43, 6.97, 1.25, (0.24, 0.19, 0.4)),
        "warm": 0.45 * _blob(0, 6.95, 1.6, (0.15, 0.12, 0.2)) + 0.6 * ears + 0.25 * chin,
        "hollows": 0.05 * below_eyes + 0.05 * lids,
        "freckles": np.clip(_blob(0, 7.0, 1.5, (0.62, 0.32, 0.6)) * 2, 0, 1),
        "shadow": _blob(0.33, 7.39, 1.3, (0.19, 0.06, 0.3)),
        "oily": _blob(0, 7.2, 1.5, (0.25, 0.8, 0.4)),
        "mouth": np.clip(masks["inside-mouth"], 0, 1),
        "lids": np.clip(masks["eyelids"], 0, 1),
        "lips": ss(0.15, 0.95, masks["lips"]),
    }


def _paint(colours: np.ndarray, paint: np.ndarray, amount: np.ndarray) -> np.ndarray:
    return colours + amount[:, None] * (paint - colours)


def skin_colours(person: Person, look: Look) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour (N, 4) and the roughness (N,) of every point of the body."""
    base, spots = skin_rgb(person.skin_tone), _spots()
    colours = _bare_skin(person, look, base)
    colours = _hair_roots(person, look, base, colours)
    colours = _eyes_and_lips(look, base, colours)
    colours = _paint(colours, np.array([0.13, 0.028, 0.026]), spots["mouth"])
    rough = 0.52 - 0.07 * spots["oily"] + 0.2 * regions().scalp * (person.hair_style != "bald")
    rough -= (0.18 if look.lips is not None else 0.10) * spots["lips"]
    return _opaque(np.clip(colours, 0, 1)), np.clip(rough, 0.15, 0.8)


def _opaque(colours: np.ndarray) -> np.ndarray:
    return np.hstack([colours, np.ones((len(colours), 1))])


def _noise(person: Person, frequency: float, number: int) -> np.ndarray:
    """Return the `number`-th noise of somebody's skin (N,)."""
    return grid_noise(model().parts["body"].rest, frequency, person.seed % 10007 + number)


def _bare_skin(person: Person, look: Look, base: np.ndarray) -> np.ndarray:
    spots = _spots()
    red = np.clip(0.75 * spots["cheeks"] * look.blush + spots["warm"], 0, 1)
    tint = np.array([1.04, 0.84, 0.82]) if base.mean() > 0.2 else np.array([1.03, 0.91, 0.89])
    colours = base * (1 + (tint - 1) * red[:, None])
    mottled = 0.025 * _noise(person, 5.0, 0) + 0.02 * _noise(person, 13.0, 1)
    colours *= ((1 - spots["hollows"]) * (1 + mottled))[:, None]
    if person.freckles:
        freckled = (_noise(person, 23.0, 2) > 1.15) * spots["freckles"] * person.freckles
        colours *= 1 - freckled[:, None] * np.array([0.18, 0.30, 0.36])
    return colours


def _hair_roots(person: Person, look: Look, base: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Paint below the strands of scalp, brows and beard, so that few strands are enough."""
    places, hair = regions(), paint_colour(person)
    if person.hair_style != "bald" or look.hat != "none":
        amount = 0.8 if person.hair_style == "buzz" else 0.82
        colours = _paint(colours, hair * 0.8 + base * 0.05, places.scalp**1.5 * amount)
    else:
        colours = colours * (1 - 0.10 * places.scalp)[:, None]
    brown = np.minimum(hair, [0.12, 0.075, 0.045])
    brows = np.clip(places.brows * 1.5 * (1 + 0.15 * _noise(person, 30.0, 5)), 0, 0.62)
    colours = _paint(colours, brown, brows * min(1, 0.2 + person.brow))
    beard = places.beard * {"stubble": 0.34, "full": 0.55, "short": 0.55}.get(person.beard, 0.0)
    if person.beard == "goatee":
        beard = places.goatee * 0.4
    return _paint(colours, brown * 0.7 + base * 0.18, beard)


def _eyes_and_lips(look: Look, base: np.ndarray, colours: np.ndarray) -> np.ndarray:
    spots, makeup = _spots(), min(1, look.makeup)
    colours = _paint(colours, base * np.array(look.shadow), spots["shadow"] * 0.35 * makeup)
    colours = _paint(colours, base * np.array([0.35, 0.25, 0.24]), spots["lids"] * (0.22 + 0.4 * makeup))
    lips = base * (np.array([0.90, 0.58, 0.58]) if base.mean() > 0.12 else np.array([0.95, 0.70, 0.72]))
    if look.lips is not None:
        lips = 0.55 * lips + 0.45 * np.array(look.lips) * (0.35 + 0.8 * base.mean())
    return _paint(colours, lips, 0.80 * spots["lips"])


@cache
def teeth_colours() -> np.ndarray:
    """Return the colour (N, 4) of every point of the teeth: gums above, a darker line between two teeth."""
    rest = model().parts["teeth"].rest
    x, y, depth = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2].max() - rest[:, 2]
    along = np.hypot(x, 0.8 * depth)
    gap = np.abs(along[:, None] - TOOTH_EDGES).min(1)
    upper = y > 6.655
    shade = (1 - 0.55 * ss(0.022, 0.004, gap)) * (1 - 0.6 * ss(0.12, 0.42, along)) * np.where(upper, 1, 0.55)
    gums = ss(6.765, 6.80, y) + ss(6.50, 6.46, y)
    return _opaque(_paint(ENAMEL * shade[:, None], GUMS, np.clip(gums, 0, 1)))


def eye_object(centre: np.ndarray, radius: float, gaze: np.ndarray, colour: str, rng: np.random.Generator):
    """Build an eye that looks along `gaze` (unit vector); centre and radius in MakeHuman's decimetres."""
    around = 36
    down = np.concatenate([np.linspace(0, 0.62, 20), np.linspace(0.68, 2.4, 10)])
    theta, phi = np.meshgrid(down, np.arange(around) / around * 2 * np.pi, indexing="ij")
    bulge = radius * (1 + 0.045 * np.exp(-((theta / 0.42) ** 2)))
    ball = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    turn = rot_between(np.array([0, 0, 1.0]), gaze)
    points, quads = sheet((ball * bulge[..., None]) @ turn.T + centre, closed=True)
    colours = {"col": ("FLOAT_COLOR", _opaque(_eye_colours(theta, colour, rng).reshape(-1, 3)))}
    # Quads the other way round face out.
    return mesh_object("eye", to_blender(points), quads[:, [0, 3, 2, 1]], material("eye"), colours)


def _eye_colours(theta: np.ndarray, colour: str, rng: np.random.Generator) -> np.ndarray:
    """Colour pupil, iris with its darker rim, and sclera; theta: radians from the gaze (rows, around)."""
    fibres = gaussian_filter1d(rng.normal(size=theta.shape[1]), 1.0, mode="wrap")
    shade = (1 + 0.25 * fibres) * (1.3 - 0.6 * np.clip(theta / IRIS, 0, 1))
    iris = np.array(EYES[colour]) * shade[..., None]
    iris = np.where((theta < IRIS * 0.40)[..., None], 0.004, iris)
    iris *= (1 - 0.75 * np.exp(-(((theta - IRIS * 0.97) / 0.05) ** 2)))[..., None]
    white = SCLERA * (1 - 0.22 * np.clip((theta - 0.75) / 0.7, 0, 1))[..., None]
    share = np.clip((theta - IRIS) / 0.05, 0, 1)[..., None]
    return iris * (1 - share) + white * share
