"""Hair styles: how long hair is, how it is combed, and what is tied."""

import math

import numpy as np

from selfie_utils.synthetic.beards import facial_strands  # noqa: F401
from selfie_utils.synthetic.body import HEADC
from selfie_utils.synthetic.geometry import norm, ss
from selfie_utils.synthetic.regions import ROOTS, sample_roots, x_, y_, z_
from selfie_utils.synthetic.strands import DOWN, Growth, children, grow

BACK = np.array([0, 0, -1.0])
GUIDES = 300
STRANDS = {"buzz": 5600, "short": 4200, "crop": 4200, "quiff": 4200, "swept": 4200, "afro": 3600}
STRANDS |= {"curlytop": 3400}
USUAL_STRANDS = 3200
RADII = {"buzz": 0.00045, "short": 0.00042, "crop": 0.00042, "quiff": 0.00044, "swept": 0.00044}
RADII |= {"afro": 0.00046, "curlytop": 0.00048, "curlylong": 0.00055}  # metres
USUAL_RADIUS = 0.00056
TIES = {"bun": np.array([0, 8.42, 0.10]), "ponytail": np.array([0, 7.75, -0.45])}
WITH_FRINGE = ("long", "bob", "wavy", "curlylong", "bun", "ponytail")
HIGH = ("afro", "curlytop", "quiff", "swept", "bun")  # nothing of it would fit under a hat


def hair_with_hat(head, p, rng) -> list:
    """Grow the hair of somebody: a list of (strands (N, K, 3) decimetres, radius in metres, "hair")."""
    if not p.get("hat"):
        return hair(head, p, rng, ROOTS)
    style = "short" if p["hair"] in HIGH else p["hair"]
    below = ss(0.02, -0.06, y_ - (7.80 + (z_ - 1.3) * 0.33))
    return hair(head, p | {"hair": style, "fringe": False}, rng, ROOTS * below)


def hair(head, p, rng, roots) -> list:
    """Grow hair where `roots`, a density for each vertex of the body, says."""
    style = p["hair"]
    if style == "bald":
        return []
    roots = roots * (y_ > 6.4)
    growth = STYLES[style](p["hair_len"], p["part"] * 0.24)
    count, radius = STRANDS.get(style, USUAL_STRANDS), RADII.get(style, USUAL_RADIUS)
    seeds = sample_roots(head.P, head.N, roots, GUIDES, rng)
    guides = _tied(head, seeds, TIES[style], rng) if style in TIES else grow(head, seeds, growth, rng)
    filled = sample_roots(head.P, head.N, roots, count, rng)
    parts = [(children(head, guides, seeds[2], filled, growth, rng), radius, "hair")]
    if p.get("fringe") and style in WITH_FRINGE:
        parts.append((_fringe(head, p, rng, roots), 0.00046, "hair"))
    if style == "bun":
        parts.append((_bun(head, p["hair_len"], rng), 0.0006, "hair"))
    if style == "ponytail":
        parts.append((_ponytail(head, p, rng), 0.0006, "hair"))
    return parts


# ------------------------------------------------------------------ ways of combing: root (N, 3) -> direction
def _sideways(parting):
    """Comb away from a parting, at the front a bit back, then down."""

    def comb(rest):
        unit = norm(rest - HEADC)
        side = np.sign(rest[:, 0] - parting)
        front = ss(0.2, 0.9, unit[:, 2])
        out = abs(unit[:, 0])
        return np.stack([side * (0.9 - 0.3 * out), -0.25 - 0.5 * out + 0.45 * front, -1.1 * front - 0.1], 1)

    return comb


def _backwards(rest):
    behind = ss(0, 0.6, -norm(rest - HEADC)[:, 2])
    return np.stack([rest[:, 0] * 0.25, 0.05 - 0.5 * behind, -np.ones(len(rest))], 1)


def _forwards(aside):
    def comb(rest):
        unit = norm(rest - HEADC)
        down = -0.25 - 0.7 * np.clip(abs(rest[:, 0]) - 0.3, 0, 1)
        return np.stack([rest[:, 0] * 0.2 + aside, down, np.where(unit[:, 2] > -0.3, 1.0, -0.1)], 1)

    return comb


def _upwards(rest):
    """Comb the front up and back, the rest back: a quiff."""
    unit = norm(rest - HEADC)
    front = ss(0.0, 0.6, unit[:, 2])
    return np.stack([rest[:, 0] * 0.15, 0.1 + 1.5 * front, -1 + 0.55 * front], 1)


def _across(parting):
    """Comb the top to one side, up and a bit back from the forehead."""
    side = 1.0 if parting <= 0 else -1.0

    def comb(rest):
        front = ss(0.1, 0.7, norm(rest - HEADC)[:, 2])
        return np.stack([np.full(len(rest), side), 0.1 + 0.5 * front, -0.35 - 0.25 * front], 1)

    return comb


def _down(rest):
    ones = np.ones(len(rest))
    return np.stack([rest[:, 0] * 0.3, -ones, -0.1 * ones], 1)


def _outwards(rest):
    return norm(rest - HEADC)


def _top(rest, low=0.25, high=0.7):
    """1 on top of the head, 0 at its sides."""
    return ss(low, high, norm(rest - HEADC)[:, 1])


def _short_sides(comb):
    def both(rest):
        top = _top(rest, 0.2, 0.6)[:, None]
        return norm(comb(rest)) * top + norm(_down(rest) + BACK / 2) * (1 - top)

    return both


# ------------------------------------------------------------------ styles
def _cropped(top, comb, lift, hug, sides=0.13, **more):
    return Growth(
        length=lambda rest: sides + (top - sides) * _top(rest),
        comb=_short_sides(comb),
        **({"steps": 8, "gravity": 0.06, "hold": 0.7, "offset": (0.03, 0.20), "clump": 0.5} | more),
        frizz=0.02,
        lift=lift,
        hug=hug,
    )


def _buzz(size, parting):
    return Growth(
        length=lambda rest: np.full(len(rest), 0.07),
        comb=_forwards(0.1),
        steps=3,
        lift=0.3,
        gravity=0,
        offset=(0.0, 0.08),
        clump=0,
        frizz=0.015,
    )


def _long(length, parting, **more):
    usual = {"steps": 16, "lift": 0.1, "stiff": 0.55, "hold": 0.7, "decay": 5, "gravity": 0.75, "hug": 0.9}
    usual |= {"offset": (0.05, 0.22), "clump": 0.45, "frizz": 0.05, "uneven": 0.2, "forward": 0.25}
    return Growth(
        length=lambda rest: np.full(len(rest), length),
        comb=_sideways(parting),
        parting=parting,
        clear_face=True,
        **(usual | more),
    )


def _wavy(size, parting):
    return _long(4.3 * size, parting, steps=22, wave=0.09, turns=3.4 * size, helix=0.5, frizz=0.04)


def _curly_long(size, parting):
    curls = {"wave": 0.14, "turns": 5.5 * size, "helix": 1.0}
    return _long(3.7 * size, parting, steps=30, offset=(0.06, 0.4), clump=0.6, **curls)


def _bob(size, parting):
    more = {"steps": 14, "wave": 0.03, "turns": 1.2, "cut": 6.25 - 0.3 * (size - 1), "forward": 0.0}
    return _long(2.3 * size, parting, uneven=0.1, **more)


def _afro(size, parting):
    return Growth(
        length=lambda rest: size * (0.30 + 0.42 * ss(7.0, 7.9, rest[:, 1])),
        comb=_outwards,
        steps=12,
        lift=0.9,
        gravity=0.02,
        hold=0.7,
        offset=(0.05, 0.2),
        clump=0.3,
        frizz=0.05,
        wave=0.05,
        turns=2.6,
        helix=1.0,
    )


def _curly_top(size, parting):
    return Growth(
        length=lambda rest: 0.2 + 0.5 * size * _top(rest, 0.15, 0.6),
        comb=_short_sides(_upwards),
        steps=12,
        lift=0.55,
        gravity=0.12,
        hold=0.3,
        offset=(0.05, 0.3),
        clump=0.6,
        frizz=0.06,
        wave=0.09,
        turns=2.2,
        helix=1.0,
    )


def _combed_to_tie(size, parting):
    return Growth(length=None, comb=None, clump=0.3, frizz=0.015)


STYLES = {  # name: (length, parting) -> Growth
    "buzz": _buzz,
    "short": lambda size, parting: _cropped(0.36 * size, _forwards(0.3), 0.28, 0.5),
    "crop": lambda size, parting: _cropped(0.27 * size, _forwards(0.1), 0.25, 0.5),
    "quiff": lambda size, parting: _cropped(0.68 * size, _upwards, 0.45, 0.0, 0.11, gravity=0.0, hold=0.9),
    "swept": lambda size, parting: _cropped(0.66 * size, _across(parting), 0.38, 0.45, 0.12),
    "long": lambda size, parting: _long(4.5 * size, parting),
    "wavy": _wavy,
    "curlylong": _curly_long,
    "bob": _bob,
    "afro": _afro,
    "curlytop": _curly_top,
    "bun": _combed_to_tie,
    "ponytail": _combed_to_tie,
}


# ------------------------------------------------------------------ what is tied or cut separately
def _tied(head, seeds, tie, rng, steps=10):
    """Lay guides on the skull from their roots to a tie, along great circles."""
    points, _, rest, _ = seeds
    count = len(points)
    start, end = norm(rest - HEADC), norm(tie - HEADC)
    angle = np.arccos(np.clip(start @ end, -1, 1))[:, None, None]
    t = np.linspace(0, 1, steps)[None, :, None]
    arc = (np.sin((1 - t) * angle) * start[:, None] + np.sin(t * angle) * end) / np.sin(angle)
    radius = np.linalg.norm(head.loc(points) - HEADC, axis=1)[:, None, None]
    below = head.loc(head.kP[head.tree.query(head.wor(tie[None]))[1]])
    last = np.linalg.norm(below - HEADC, axis=1)[:, None, None] + 0.08
    laid = head.wor((HEADC + arc * (radius * (1 - t) + last * t)).reshape(-1, 3))
    offset = (rng.uniform(0.03, 0.13, (count, 1)) * np.minimum(1, np.linspace(0.15, 3.5, steps))).ravel()
    for _ in range(2):
        nearest = head.tree.query(laid)[1]
        height = ((laid - head.kP[nearest]) * head.kN[nearest]).sum(1)
        laid = laid + head.kN[nearest] * (offset - height)[:, None] * 0.9
    return laid.reshape(count, steps, 3)


def _fringe(head, p, rng, roots):
    """Hair cut over the brows, combed forward from the hairline."""
    front = roots * ss(-0.05, 0.1, z_ - 0.98) * (x_ < 0.64)
    growth = Growth(
        length=lambda rest: 0.60 + 0.25 * abs(rest[:, 0]) - 0.6 * np.clip(8.35 - rest[:, 1], -0.3, 0.2),
        comb=lambda rest: rest * [0.5, 0, 0] + [0.15 * p["part"], -0.2, 1.0],
        lift=0.22,
        gravity=0.42,
        offset=(0.04, 0.13),
        clump=0.4,
        frizz=0.02,
    )
    seeds = sample_roots(head.P, head.N, front, 70, rng)
    filled = sample_roots(head.P, head.N, front, 600, rng)
    return children(head, grow(head, seeds, growth, rng), seeds[2], filled, growth, rng)


def _bun(head, size, rng, count=600):
    """A ball of strands that swirl, on the crown."""
    start = norm(rng.normal(size=(count, 3)))
    radius = 0.38 * math.sqrt(size)
    centre = TIES["bun"] + norm(TIES["bun"] - HEADC) * radius * 0.8
    turn = norm(np.cross(norm(np.array([0.2, 1.0, -0.4])), start))
    arcs = np.stack([start * math.cos(a) + turn * math.sin(a) for a in np.linspace(0, 1.6, 8)], 1)
    ball = arcs * radius * rng.uniform(0.9, 1.02, (count, 1, 1)) * [1.1, 0.85, 1.1] + centre
    return head.wor(ball.reshape(-1, 3)).reshape(ball.shape)


def _ponytail(head, p, rng, count=700, steps=16):
    """A tail that falls from the tie over one shoulder, thickest in its middle."""
    side = np.sign(p["part"] or 1)
    path = _tail_path(head, side, 3.6 * p["hair_len"], steps)
    t = np.linspace(0, 1, steps)
    across, around = np.sqrt(rng.random(count)), rng.uniform(0, 2 * np.pi, count)
    thick = 0.24 * np.sin(np.pi * np.clip(0.12 + 0.78 * t, 0, 1)) ** 0.7
    ring = np.stack([np.cos(around), 0 * around, np.sin(around)], 1) * across[:, None]
    strands = path + ring[:, None] * thick[None, :, None]
    wave = 0.04 * np.sin(9 * t + rng.normal(0, 0.3, (count, 1)))
    return strands + wave[..., None] * [1.0, 0, 0.4]


def _tail_path(head, side, length, steps):
    """The middle of a tail: back from the tie, down, then forward over the shoulder; (steps, 3)."""
    point, heading = head.wor(TIES["ponytail"][None]), head.dirw(norm(np.array([0.5 * side, 0.3, -0.8])))
    path = [point]
    for step in range(1, steps):
        low = ss(0.15, 0.4, step / steps)
        pull = head.dirw(np.array([0.75 * side * (1 - 0.8 * low), 0, 0.85 * low])) + 0.75 * DOWN
        heading = norm(heading * 0.8 + pull * 0.6)
        aim = point + heading * length / (steps - 1)
        distance, nearest = head.tree.query(aim)
        height = ((aim - head.kP[nearest]) * head.kN[nearest]).sum(1)
        push = np.clip(0.22 - height, 0, None) * (distance < 1.2)
        point = aim + head.kN[nearest] * push[:, None]
        path.append(point)
    return np.concatenate(path)
