"""Brows and beards: short strands on the face."""

from functools import cache

import numpy as np

from selfie_utils.synthetic.geometry import norm, ss
from selfie_utils.synthetic.regions import BEARD, BROW, GOATEE, MOUST, sample_roots, x_, y_

BEARDS = {  # strands, length in decimetres, lift, radius in metres
    "full": (2600, 0.17, 0.30, 0.00040),
    "short": (2400, 0.070, 0.25, 0.00032),
    "stubble": (1100, 0.026, 0.25, 0.00020),
    "goatee": (800, 0.11, 0.28, 0.00036),
    "moustache": (700, 0.085, 0.20, 0.00036),
}


def facial_strands(head, p, rng) -> list:
    """Grow brows and a beard: a list of (strands (N, 4, 3) decimetres, radius in metres, their kind)."""
    brows = _patch(head, BROW, int(520 * p["brow"]), 0.062, _along_brow, 0.07, 0.002, rng)
    found = [(brows, 0.00014, "brow")]
    if p["beard"] in BEARDS:
        count, length, lift, radius = BEARDS[p["beard"]]
        mask = _moustache() if p["beard"] == "moustache" else GOATEE if p["beard"] == "goatee" else BEARD
        length *= p.get("beard_len", 1) if p["beard"] == "full" else 1
        comb = _aside if p["beard"] == "moustache" else _down
        found.append((_patch(head, mask, count, length, comb, lift, 0.18 * length, rng), radius, "beard"))
    return found


@cache
def _moustache():
    """Where a moustache grows: the region also reaches inside the mouth, only the upper lip counts."""
    return MOUST * ss(6.69, 6.74, y_ + 0.3 * x_)


def _patch(head, mask, count, length, comb, lift, stray, rng):
    """Grow strands where `mask` says, shorter towards its edge; (count, 4, 3) decimetres."""
    points, normals, rest, weight = sample_roots(head.P, head.N, mask, count, rng, 0.1)
    combed = head.dirw(norm(comb(rest)))
    combed = norm(combed - normals * (combed * normals).sum(1, keepdims=True))
    t = np.linspace(0, 1, 4)[None, :, None]
    length = (length * rng.uniform(0.6, 1.1, count) * (0.3 + 0.7 * np.sqrt(weight)))[:, None, None]
    bent = combed[:, None] * (1 - lift) + normals[:, None] * lift * (1 - 0.4 * t)
    return points[:, None] + length * t * bent + rng.normal(size=(count, 1, 3)) * stray * t


def _along_brow(rest):
    x = abs(rest[:, 0])
    outwards = np.sign(rest[:, 0]) * (0.55 + 2.2 * np.clip(x - 0.14, 0, 0.3))
    return np.stack([outwards, 0.62 - 2.6 * np.clip(x - 0.18, 0, 0.45), 0 * x], 1)


def _down(rest):
    return np.stack([rest[:, 0] * 0.5, -np.ones(len(rest)), np.full(len(rest), 0.2)], 1)


def _aside(rest):
    ones = np.ones(len(rest))
    return np.stack([np.sign(rest[:, 0]) * 0.9, -0.8 * ones, 0.1 * ones], 1)
