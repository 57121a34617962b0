"""Colours of skin, eyes and teeth, a value for each vertex; colours are linear RGB unless named otherwise."""

from functools import cache

import bpy
import numpy as np
from scipy.ndimage import gaussian_filter1d

from selfie_utils.synthetic.blender import mesh_object
from selfie_utils.synthetic.geometry import grid_noise, rot_between, ss, to_blender
from selfie_utils.synthetic.hair_colours import HAIR_COLOURS
from selfie_utils.synthetic.makehuman import PARTS
from selfie_utils.synthetic.materials import MATS
from selfie_utils.synthetic.regions import BEARD, BR, BROW, GOATEE, PAINT, SCALP, B, x_, y_, z_

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
    """Return a soft spot on both halves of the face, 0 to 1 for each vertex; decimetres of the rest mesh."""
    away = ((x_ - x) / size[0]) ** 2 + ((y_ - y) / size[1]) ** 2 + ((z_ - z) / size[2]) ** 2
    return np.exp(-away)


@cache
def _spots() -> dict[str, np.ndarray]:
    """Return where faces are redder, darker or painted; the same for everybody, on the rest mesh."""
    ears = B["masks"]["ears"] > 0.5
    return {
        "cheeks": _blob(0.43, 6.97, 1.25, (0.24, 0.19, 0.4)),
        "warm": 0.45 * _blob(0, 6.95, 1.6, (0.15, 0.12, 0.2))
        + 0.6 * ears
        + 0.25 * _blob(0, 6.3, 1.45, (0.2, 0.12, 0.3)),
        "hollows": 0.05 * _blob(0.32, 7.13, 1.3, (0.2, 0.06, 0.3))
        + 0.05 * _blob(0.31, 7.4, 1.3, (0.2, 0.07, 0.3)),
        "freckles": np.clip(_blob(0, 7.0, 1.5, (0.62, 0.32, 0.6)) * 2, 0, 1),
        "shadow": _blob(0.33, 7.39, 1.3, (0.19, 0.06, 0.3)),
        "oily": _blob(0, 7.2, 1.5, (0.25, 0.8, 0.4)),
        "lips": ss(0.15, 0.95, B["masks"]["lips"]),
    }


def _paint(colours: np.ndarray, paint: np.ndarray, amount: np.ndarray) -> np.ndarray:
    return colours + amount[:, None] * (paint - colours)


def skin_colours(p: dict, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the colour (N, 4) and the roughness (N,) of every vertex of the body."""
    base = skin_rgb(p["skin"])
    colours = _bare_skin(p, base, seed)
    colours = _hair_roots(p, base, colours, seed)
    colours = _eyes_and_lips(p, base, colours)
    inside = np.clip(B["masks"]["inside-mouth"], 0, 1)
    colours = _paint(colours, np.array([0.13, 0.028, 0.026]), inside)
    spots = _spots()
    rough = 0.52 - 0.07 * spots["oily"] + 0.2 * SCALP * (p["hair"] != "bald")
    rough -= (0.18 if p.get("lip") is not None else 0.10) * spots["lips"]
    return np.hstack([np.clip(colours, 0, 1), np.ones((len(BR), 1))]), np.clip(rough, 0.15, 0.8)


def _bare_skin(p: dict, base: np.ndarray, seed: int) -> np.ndarray:
    spots = _spots()
    red = np.clip(0.75 * spots["cheeks"] * p["blush"] + spots["warm"], 0, 1)
    tint = np.array([1.04, 0.84, 0.82]) if base.mean() > 0.2 else np.array([1.03, 0.91, 0.89])
    colours = base * (1 + (tint - 1) * red[:, None])
    mottled = 0.025 * grid_noise(BR, 5.0, seed) + 0.02 * grid_noise(BR, 13.0, seed + 1)
    colours *= ((1 - spots["hollows"]) * (1 + mottled))[:, None]
    if p["freckles"]:
        freckled = (grid_noise(BR, 23.0, seed + 2) > 1.15) * spots["freckles"] * p["freckles"]
        colours *= 1 - freckled[:, None] * np.array([0.18, 0.30, 0.36])
    return colours


def _hair_roots(p: dict, base: np.ndarray, colours: np.ndarray, seed: int) -> np.ndarray:
    """Paint below the strands of scalp, brows and beard, so that few strands are enough."""
    hair = np.array(p["dye"] if p["hair_colour"] == "dyed" else HAIR_COLOURS[p["hair_colour"]][2])
    if p["hair"] != "bald" or p.get("hat"):
        colours = _paint(colours, hair * 0.8 + base * 0.05, PAINT * (0.8 if p["hair"] == "buzz" else 0.82))
    else:
        colours = colours * (1 - 0.10 * SCALP)[:, None]
    brown = np.minimum(hair, [0.12, 0.075, 0.045])
    brows = np.clip(BROW * 1.5 * (1 + 0.15 * grid_noise(BR, 30.0, seed + 5)), 0, 0.62) * min(
        1, 0.2 + p["brow"]
    )
    colours = _paint(colours, brown, brows)
    beard = BEARD * {"stubble": 0.34, "full": 0.55, "short": 0.55}.get(p["beard"], 0.0)
    if p["beard"] == "goatee":
        beard = GOATEE * 0.4
    return _paint(colours, brown * 0.7 + base * 0.18, beard)


def _eyes_and_lips(p: dict, base: np.ndarray, colours: np.ndarray) -> np.ndarray:
    spots, makeup = _spots(), min(1, p["makeup"])
    colours = _paint(colours, base * np.array(p["shadow"]), spots["shadow"] * 0.35 * makeup)
    liner = np.clip(B["masks"]["eyelids"], 0, 1) * (0.22 + 0.4 * makeup)
    colours = _paint(colours, base * np.array([0.35, 0.25, 0.24]), liner)
    lips = base * (np.array([0.90, 0.58, 0.58]) if base.mean() > 0.12 else np.array([0.95, 0.70, 0.72]))
    if p.get("lip") is not None:
        lips = 0.55 * lips + 0.45 * np.array(p["lip"]) * (0.35 + 0.8 * base.mean())
    return _paint(colours, lips, 0.80 * spots["lips"])


def enamel_material() -> bpy.types.Material:
    """Return the material of teeth, made once a Blender session: colours come from the vertices."""
    material = bpy.data.materials.get("enamel")
    if material is None:
        material = bpy.data.materials.new("enamel")
        material.use_nodes = True
        nodes = material.node_tree.nodes
        colour = nodes.new("ShaderNodeAttribute")
        colour.attribute_name = "col"
        surface = next(n for n in nodes if n.type == "BSDF_PRINCIPLED")
        surface.inputs["Roughness"].default_value = 0.3
        material.node_tree.links.new(colour.outputs["Color"], surface.inputs["Base Color"])
    return material


@cache
def teeth_colours() -> np.ndarray:
    """Return the colour (N, 4) of every vertex of the teeth: gums above, a darker line between two teeth."""
    rest = PARTS["teeth"]["rest"]
    x, y, depth = np.abs(rest[:, 0]), rest[:, 1], rest[:, 2].max() - rest[:, 2]
    along = np.hypot(x, 0.8 * depth)
    gap = np.abs(along[:, None] - TOOTH_EDGES).min(1)
    upper = y > 6.655
    shade = (1 - 0.55 * ss(0.022, 0.004, gap)) * (1 - 0.6 * ss(0.12, 0.42, along)) * np.where(upper, 1, 0.55)
    gums = ss(6.765, 6.80, y) + ss(6.50, 6.46, y)
    colours = _paint(ENAMEL * shade[:, None], GUMS, np.clip(gums, 0, 1))
    return np.hstack([colours, np.ones((len(rest), 1))])


def eye_object(centre, radius: float, gaze, colour: str, rng: np.random.Generator):
    """Build an eye that looks along `gaze` (unit vector); centre and radius in MakeHuman's decimetres."""
    around = 36
    down = np.concatenate([np.linspace(0, 0.62, 20), np.linspace(0.68, 2.4, 10)])
    theta, phi = np.meshgrid(down, np.arange(around) / around * 2 * np.pi, indexing="ij")
    bulge = radius * (1 + 0.045 * np.exp(-((theta / 0.42) ** 2)))
    ball = np.stack([np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], -1)
    turn = rot_between(np.array([0, 0, 1.0]), gaze)
    vertices = (ball * bulge[..., None]).reshape(-1, 3) @ turn.T + centre
    colours = np.concatenate(
        [_eye_colours(theta, colour, rng).reshape(-1, 3), np.ones((len(vertices), 1))], 1
    )
    first = np.arange(len(down) - 1)[:, None] * around
    j = np.arange(around)[None]
    k = (j + 1) % around
    quads = np.stack([first + j, first + around + j, first + around + k, first + k], -1).reshape(-1, 4)
    attributes = {"col": ("FLOAT_COLOR", colours)}
    return mesh_object("eye", to_blender(vertices), quads, MATS["eye"], attrs=attributes)


def _eye_colours(theta: np.ndarray, colour: str, rng: np.random.Generator) -> np.ndarray:
    """Colour pupil, iris with its darker rim, and sclera; theta: radians from the gaze (rows, around)."""
    fibres = gaussian_filter1d(rng.normal(size=theta.shape[1]), 1.0, mode="wrap")
    iris = (
        np.array(EYES[colour]) * ((1 + 0.25 * fibres) * (1.3 - 0.6 * np.clip(theta / IRIS, 0, 1)))[..., None]
    )
    iris = np.where((theta < IRIS * 0.40)[..., None], 0.004, iris)
    iris *= (1 - 0.75 * np.exp(-(((theta - IRIS * 0.97) / 0.05) ** 2)))[..., None]
    white = SCLERA * (1 - 0.22 * np.clip((theta - 0.75) / 0.7, 0, 1))[..., None]
    share = np.clip((theta - IRIS) / 0.05, 0, 1)[..., None]
    return iris * (1 - share) + white * share
