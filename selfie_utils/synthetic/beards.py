"""Brows and beards: short strands on the face."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np

from selfie_utils.synthetic.body import Head
from selfie_utils.synthetic.description import Person
from selfie_utils.synthetic.geometry import norm, ss
from selfie_utils.synthetic.regions import regions
from selfie_utils.synthetic.strands import Tuft, sample_roots


@dataclass(frozen=True)
class Patch:
    """How the hair of a patch of skin is; lengths in decimetres."""

    count: int
    length: float
    lift: float  # 1: upright
    stray: float  # of the tips
    comb: Callable  # the direction of each strand, from its root (N, 3)


BEARDS = {  # strands, length in decimetres, lift, radius in metres
    "full": (2600, 0.17, 0.30, 0.00040),
    "short": (2400, 0.070, 0.25, 0.00032),
    "stubble": (1100, 0.026, 0.25, 0.00020),
    "goatee": (800, 0.11, 0.28, 0.00036),
    "moustache": (700, 0.085, 0.20, 0.00036),
}


def facial_strands(head: Head, person: Person, rng: np.random.Generator) -> list[Tuft]:
    """Grow brows and a beard; strands have 4 points."""
    brows = Patch(int(520 * person.brow), 0.062, 0.07, 0.002, _along_brow)
    found = [Tuft("brow", _grow(head, regions().brows, brows, rng), 0.00014)]
    if person.beard in BEARDS:
        count, length, lift, radius = BEARDS[person.beard]
        length *= person.beard_length if person.beard == "full" else 1
        comb = _aside if person.beard == "moustache" else _down
        masks = {"moustache": _moustache(), "goatee": regions().goatee}
        beard = Patch(count, length, lift, 0.18 * length, comb)
        strands = _grow(head, masks.get(person.beard, regions().beard), beard, rng)
        found.append(Tuft("beard", strands, radius))
    return found


@cache
def _moustache() -> np.ndarray:
    """Return where a moustache grows (N,): on the upper lip; the region also reaches inside the mouth."""
    places = regions()
    return places.moustache * ss(6.69, 6.74, places.y + 0.3 * places.x)


def _grow(head: Head, mask: np.ndarray, patch: Patch, rng: np.random.Generator) -> np.ndarray:
    """Grow strands where `mask` says, shorter towards its edge; (count, 4, 3) decimetres."""
    count, lift = patch.count, patch.lift
    points, normals, rest, density = sample_roots(head, mask, count, rng, 0.1)
    combed = head.direction(norm(patch.comb(rest)))
    combed = norm(combed - normals * (combed * normals).sum(1, keepdims=True))
    t = np.linspace(0, 1, 4)[None, :, None]
    length = (patch.length * rng.uniform(0.6, 1.1, count) * (0.3 + 0.7 * np.sqrt(density)))[:, None, None]
    bent = combed[:, None] * (1 - lift) + normals[:, None] * lift * (1 - 0.4 * t)
    return points[:, None] + length * t * bent + rng.normal(size=(count, 1, 3)) * patch.stray * t


def _along_brow(rest):
    x = abs(rest[:, 0])
    outwards = np.sign(rest[:, 0]) * (0.55 + 2.2 * np.clip(x - 0.14, 0, 0.3))
    return np.stack([outwards, 0.62 - 2.6 * np.clip(x - 0.18, 0, 0.45), 0 * x], 1)


def _down(rest):
    return np.stack([rest[:, 0] * 0.5, -np.ones(len(rest)), np.full(len(rest), 0.2)], 1)


def _aside(rest):
    ones = np.ones(len(rest))
    return np.stack([np.sign(rest[:, 0]) * 0.9, -0.8 * ones, 0.1 * ones], 1)
