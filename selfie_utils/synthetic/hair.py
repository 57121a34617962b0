"""Hair styles: how long hair is, how it is combed, and what is tied."""

import math
from dataclasses import replace
from functools import partial

import numpy as np

from selfie_utils.synthetic.body import HEAD_MIDDLE, Head
from selfie_utils.synthetic.description import Look, Person
from selfie_utils.synthetic.geometry import norm, ss
from selfie_utils.synthetic.regions import regions
from selfie_utils.synthetic.strands import DOWN, Growth, Guides, Roots, Tuft, children, grow, sample_roots

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


def hair_with_hat(head: Head, person: Person, look: Look, rng: np.random.Generator) -> list[Tuft]:
    """Grow the hair of somebody, below the hat where there is one."""
    places = regions()
    if look.hat == "none":
        return hair(head, person, places.roots, rng)
    style = "short" if person.hair_style in HIGH else person.hair_style
    below = ss(0.02, -0.06, places.y - (7.80 + (places.z - 1.3) * 0.33))
    return hair(head, replace(person, hair_style=style, fringe=False), places.roots * below, rng)


def hair(head: Head, person: Person, roots: np.ndarray, rng: np.random.Generator) -> list[Tuft]:
    """Grow hair where `roots`, a density for each point of the body (N,), says."""
    style, size = person.hair_style, person.hair_length
    if style == "bald":
        return []
    roots = roots * (regions().y > 6.4)
    growth = STYLES[style](size, person.parting * 0.24)
    seeds = sample_roots(head, roots, GUIDES, rng)
    lines = _tied(head, seeds, TIES[style], rng) if style in TIES else grow(head, seeds, growth, rng)
    filled = sample_roots(head, roots, STRANDS.get(style, USUAL_STRANDS), rng)
    strands = children(head, Guides(lines, seeds.rest), filled, growth, rng)
    tufts = [Tuft("hair", strands, RADII.get(style, USUAL_RADIUS))]
    if person.fringe and style in WITH_FRINGE:
        tufts.append(Tuft("hair", _fringe(head, person, roots, rng), 0.00046))
    if style == "bun":
        tufts.append(Tuft("hair", _bun(head, size, rng), 0.0006))
    if style == "ponytail":
        tufts.append(Tuft("hair", _ponytail(head, person, rng), 0.0006))
    return tufts


# ---- ways of combing: from roots (N, 3) on the base mesh to directions (N, 3) of any length
def _sideways(rest, parting):
    """Comb away from a parting, at the front a bit back, then down."""
    unit = norm(rest - HEAD_MIDDLE)
    side, front, out = np.sign(rest[:, 0] - parting), ss(0.2, 0.9, unit[:, 2]), abs(unit[:, 0])
    return np.stack([side * (0.9 - 0.3 * out), -0.25 - 0.5 * out + 0.45 * front, -1.1 * front - 0.1], 1)


def _forwards(rest, aside):
    unit = norm(rest - HEAD_MIDDLE)
    down = -0.25 - 0.7 * np.clip(abs(rest[:, 0]) - 0.3, 0, 1)
    return np.stack([rest[:, 0] * 0.2 + aside, down, np.where(unit[:, 2] > -0.3, 1.0, -0.1)], 1)


def _upwards(rest):
    """Comb the front up and back, the rest back: a quiff."""
    front = ss(0.0, 0.6, norm(rest - HEAD_MIDDLE)[:, 2])
    return np.stack([rest[:, 0] * 0.15, 0.1 + 1.5 * front, -1 + 0.55 * front], 1)


def _across(rest, parting):
    """Comb the top to one side, up and a bit back from the forehead."""
    side, front = 1.0 if parting <= 0 else -1.0, ss(0.1, 0.7, norm(rest - HEAD_MIDDLE)[:, 2])
    return np.stack([np.full(len(rest), side), 0.1 + 0.5 * front, -0.35 - 0.25 * front], 1)


def _down(rest):
    ones = np.ones(len(rest))
    return np.stack([rest[:, 0] * 0.3, -ones, -0.1 * ones], 1)


def _outwards(rest):
    return norm(rest - HEAD_MIDDLE)


def _top(rest, low=0.25, high=0.7):
    """Return 1 on top of the head, 0 at its sides (N,)."""
    return ss(low, high, norm(rest - HEAD_MIDDLE)[:, 1])


def _short_sides(rest, comb):
    """Comb the top as `comb` does, the sides down."""
    top = _top(rest, 0.2, 0.6)[:, None]
    return norm(comb(rest)) * top + norm(_down(rest) + BACK / 2) * (1 - top)


# ---- styles
def _cropped(top, comb, lift, hug, sides=0.13, **more):
    usual: dict = {"steps": 8, "gravity": 0.06, "hold": 0.7, "offset": (0.03, 0.20), "clump": 0.5}
    usual |= {"frizz": 0.02, "lift": lift, "hug": hug}
    return Growth(
        lambda rest: sides + (top - sides) * _top(rest), partial(_short_sides, comb=comb), **(usual | more)
    )


def _buzz(size, parting):
    more: dict = {"steps": 3, "lift": 0.3, "gravity": 0, "offset": (0.0, 0.08), "clump": 0, "frizz": 0.015}
    return Growth(lambda rest: np.full(len(rest), 0.07), partial(_forwards, aside=0.1), **more)


def _long(length, parting, **more):
    usual: dict = {"steps": 16, "lift": 0.1, "stiff": 0.55, "hold": 0.7, "decay": 5, "gravity": 0.75}
    usual |= {"hug": 0.9, "offset": (0.05, 0.22), "clump": 0.45, "frizz": 0.05, "uneven": 0.2}
    usual |= {"forward": 0.25, "parting": parting, "clear_face": True}
    return Growth(
        lambda rest: np.full(len(rest), length), partial(_sideways, parting=parting), **(usual | more)
    )


def _wavy(size, parting):
    return _long(4.3 * size, parting, steps=22, wave=0.09, turns=3.4 * size, helix=0.5, frizz=0.04)


def _curly_long(size, parting):
    curls: dict = {"wave": 0.14, "turns": 5.5 * size, "helix": 1.0}
    return _long(3.7 * size, parting, steps=30, offset=(0.06, 0.4), clump=0.6, **curls)


def _bob(size, parting):
    more: dict = {"steps": 14, "wave": 0.03, "turns": 1.2, "cut": 6.25 - 0.3 * (size - 1), "forward": 0.0}
    return _long(2.3 * size, parting, uneven=0.1, **more)


def _afro(size, parting):
    more: dict = {"steps": 12, "lift": 0.9, "gravity": 0.02, "hold": 0.7, "offset": (0.05, 0.2)}
    more |= {"clump": 0.3, "frizz": 0.05, "wave": 0.05, "turns": 2.6, "helix": 1.0}
    return Growth(lambda rest: size * (0.30 + 0.42 * ss(7.0, 7.9, rest[:, 1])), _outwards, **more)


def _curly_top(size, parting):
    more: dict = {"steps": 12, "lift": 0.55, "gravity": 0.12, "hold": 0.3, "offset": (0.05, 0.3)}
    more |= {"clump": 0.6, "frizz": 0.06, "wave": 0.09, "turns": 2.2, "helix": 1.0}
    return Growth(
        lambda rest: 0.2 + 0.5 * size * _top(rest, 0.15, 0.6), partial(_short_sides, comb=_upwards), **more
    )


def _combed_to_tie(size, parting):
    # Its guides are those of `_tied`; `grow`, which asks for length and comb, is not called.
    return Growth(length=None, comb=None, clump=0.3, frizz=0.015)  # type: ignore[arg-type]


STYLES = {  # name: (length, parting) -> Growth
    "buzz": _buzz,
    "short": lambda size, parting: _cropped(0.36 * size, partial(_forwards, aside=0.3), 0.28, 0.5),
    "crop": lambda size, parting: _cropped(0.27 * size, partial(_forwards, aside=0.1), 0.25, 0.5),
    "quiff": lambda size, parting: _cropped(0.68 * size, _upwards, 0.45, 0.0, 0.11, gravity=0.0, hold=0.9),
    "swept": lambda size, parting: _cropped(0.66 * size, partial(_across, parting=parting), 0.38, 0.45, 0.12),
    "long": lambda size, parting: _long(4.5 * size, parting),
    "wavy": _wavy,
    "curlylong": _curly_long,
    "bob": _bob,
    "afro": _afro,
    "curlytop": _curly_top,
    "bun": _combed_to_tie,
    "ponytail": _combed_to_tie,
}


# ---- what is tied or cut separately
def _tied(head: Head, seeds: Roots, tie: np.ndarray, rng: np.random.Generator, steps: int = 10) -> np.ndarray:
    """Lay guides (N, steps, 3) on the skull from their roots to a tie, along great circles."""
    points, _, rest, _ = seeds
    count = len(points)
    start, end = norm(rest - HEAD_MIDDLE), norm(tie - HEAD_MIDDLE)
    angle = np.arccos(np.clip(start @ end, -1, 1))[:, None, None]
    t = np.linspace(0, 1, steps)[None, :, None]
    arc = (np.sin((1 - t) * angle) * start[:, None] + np.sin(t * angle) * end) / np.sin(angle)
    radius = np.linalg.norm(head.local(points) - HEAD_MIDDLE, axis=1)[:, None, None]
    below = head.local(head.skin(head.world(tie[None])).points)
    last = np.linalg.norm(below - HEAD_MIDDLE, axis=1)[:, None, None] + 0.08
    laid = head.world((HEAD_MIDDLE + arc * (radius * (1 - t) + last * t)).reshape(-1, 3))
    offset = (rng.uniform(0.03, 0.13, (count, 1)) * np.minimum(1, np.linspace(0.15, 3.5, steps))).ravel()
    for _ in range(2):
        skin = head.skin(laid)
        laid = laid + skin.normals * (offset - skin.height)[:, None] * 0.9
    return laid.reshape(count, steps, 3)


def _fringe(head: Head, person: Person, roots: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Grow hair that is cut over the brows, combed forward from the hairline."""
    front = roots * ss(-0.05, 0.1, regions().z - 0.98) * (regions().x < 0.64)
    growth = Growth(
        length=lambda rest: 0.60 + 0.25 * abs(rest[:, 0]) - 0.6 * np.clip(8.35 - rest[:, 1], -0.3, 0.2),
        comb=lambda rest: rest * [0.5, 0, 0] + [0.15 * person.parting, -0.2, 1.0],
        lift=0.22,
        gravity=0.42,
        offset=(0.04, 0.13),
        clump=0.4,
        frizz=0.02,
    )
    seeds, filled = sample_roots(head, front, 70, rng), sample_roots(head, front, 600, rng)
    return children(head, Guides(grow(head, seeds, growth, rng), seeds.rest), filled, growth, rng)


def _bun(head: Head, size: float, rng: np.random.Generator, count: int = 600) -> np.ndarray:
    """Set a ball of strands that swirl on the crown."""
    start = norm(rng.normal(size=(count, 3)))
    radius = 0.38 * math.sqrt(size)
    centre = TIES["bun"] + norm(TIES["bun"] - HEAD_MIDDLE) * radius * 0.8
    turn = norm(np.cross(norm(np.array([0.2, 1.0, -0.4])), start))
    arcs = np.stack([start * math.cos(a) + turn * math.sin(a) for a in np.linspace(0, 1.6, 8)], 1)
    ball = arcs * radius * rng.uniform(0.9, 1.02, (count, 1, 1)) * [1.1, 0.85, 1.1] + centre
    return head.world(ball.reshape(-1, 3)).reshape(ball.shape)


def _ponytail(head: Head, person: Person, rng: np.random.Generator, count=700, steps=16) -> np.ndarray:
    """Hang a tail that falls from the tie over one shoulder, thickest in its middle."""
    side = np.sign(person.parting or 1)
    path = _tail_path(head, side, 3.6 * person.hair_length, steps)
    t = np.linspace(0, 1, steps)
    across, around = np.sqrt(rng.random(count)), rng.uniform(0, 2 * np.pi, count)
    thick = 0.24 * np.sin(np.pi * np.clip(0.12 + 0.78 * t, 0, 1)) ** 0.7
    ring = np.stack([np.cos(around), 0 * around, np.sin(around)], 1) * across[:, None]
    strands = path + ring[:, None] * thick[None, :, None]
    wave = 0.04 * np.sin(9 * t + rng.normal(0, 0.3, (count, 1)))
    return strands + wave[..., None] * [1.0, 0, 0.4]


def _tail_path(head, side, length, steps):
    """Return the middle of a tail: back from the tie, down, then forward over the shoulder; (steps, 3)."""
    point, heading = (
        head.world(TIES["ponytail"][None]),
        head.direction(norm(np.array([0.5 * side, 0.3, -0.8]))),
    )
    path = [point]
    for step in range(1, steps):
        low = ss(0.15, 0.4, step / steps)
        pull = head.direction(np.array([0.75 * side * (1 - 0.8 * low), 0, 0.85 * low])) + 0.75 * DOWN
        heading = norm(heading * 0.8 + pull * 0.6)
        aim = point + heading * length / (steps - 1)
        skin = head.skin(aim)
        push = np.clip(0.22 - skin.height, 0, None) * (skin.distance < 1.2)
        point = aim + skin.normals * push[:, None]
        path.append(point)
    return np.concatenate(path)
