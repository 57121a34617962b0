"""Strands of hair: guides that grow from the scalp step by step, and children between them."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from selfie_utils.synthetic.geometry import norm, ss

DOWN = np.array([0, -1.0, 0])
FIRST_SEGMENTS = (0.25, 0.4, 0.6, 0.8)  # long segments near the root would dive under the skull


@dataclass(frozen=True)
class Growth:
    """How hair grows; lengths in decimetres, places in the head's frame (coordinates of the rest mesh)."""

    length: Callable  # of each strand, from its root (N, 3)
    comb: Callable  # the direction each strand is combed in, from its root (N, 3)
    steps: int = 10  # points a strand
    lift: float = 0.35  # 0: leaves the scalp as combed; 1: upright
    stiff: float = 1.0
    hold: float = 0.5  # how long the comb's direction is kept, against gravity
    decay: float = 2.0
    gravity: float = 0.35
    hug: float = 0.0  # 1: lies on the skull
    forward: float = 0.0  # how far long hair comes in front of the shoulders
    offset: tuple[float, float] = (0.05, 0.35)  # height over the skin
    uneven: float = 0.12  # share by which strands are shorter
    clump: float = 0.45
    frizz: float = 0.03
    wave: float = 0.0  # amplitude
    turns: float = 0.0  # waves along a strand
    helix: float = 0.3  # 0: waves lie flat; 1: corkscrews
    parting: float | None = None  # x of a parting that no strand crosses
    clear_face: bool = False
    cut: float | None = None  # height of a blunt cut


def grow(head, roots, growth: Growth, rng) -> np.ndarray:
    """Grow one guide from each of `roots` (points, normals, rest places); (N, steps, 3) decimetres."""
    points, normals, rest, _ = roots
    steps, count = growth.steps, len(points)
    length = growth.length(rest) * rng.uniform(1 - growth.uneven, 1.03, count)
    share = np.ones(steps - 1)
    if steps > 8:
        share[:4] = FIRST_SEGMENTS
    share /= share.sum()
    combed = head.dirw(norm(growth.comb(rest)))
    offset = rng.uniform(*growth.offset, count)
    side = np.where(abs(rest[:, 0]) < 0.05, np.sign(rng.normal(size=count)), np.sign(rest[:, 0]))
    heading = norm(normals * growth.lift + combed * (1 - growth.lift))
    point = points - normals * 0.004
    strand = [point]
    for step in range(1, steps):
        heading = _turn(head, point, heading, combed, growth, step / (steps - 1))
        segment = (length * share[step - 1])[:, None]
        aim = _push_out(head, point + heading * segment, offset * min(1, 0.35 + step / 4))
        if growth.clear_face:
            aim = _beside_face(head, aim, side)
        heading = norm(aim - point)
        point = point + heading * segment
        strand.append(point)
    return np.stack(strand, 1)


def _turn(head, point, heading, combed, growth, t):
    weight = growth.gravity * (0.3 + 0.7 * min(1, t * 2))
    heading = norm(heading * growth.stiff + combed * growth.hold * (1 - t) ** growth.decay + DOWN * weight)
    if growth.forward:
        height = head.loc(point)[:, 1]
        heading = heading + head.dirw(np.array([0, 0, growth.forward])) * ss(7.0, 6.4, height)[:, None]
    if growth.hug:  # no component away from the skin while over the skull
        near = ss(6.9, 7.4, head.loc(point)[:, 1]) * growth.hug
        normal = head.kN[head.tree.query(point)[1]]
        heading = heading - normal * (np.clip((heading * normal).sum(1), 0, None) * near)[:, None]
    return norm(heading)


def _push_out(head, point, offset):
    """Push points out of head, neck and shoulders, to `offset` over the skin and what is worn there."""
    distance, nearest = head.tree.query(point)
    offset = offset + head.worn[nearest]
    height = ((point - head.kP[nearest]) * head.kN[nearest]).sum(1)
    push = np.clip(offset - height, 0, None) * (distance < 1.2)
    return point + head.kN[nearest] * push[:, None]


def _beside_face(head, point, side):
    place = head.loc(point)
    limit = np.where(place[:, 1] > 7.0, 0.72, 0.68)
    inside = (place[:, 2] > 0.45) & (place[:, 1] < 7.95) & (place[:, 1] > 4.9)
    inside &= place[:, 0] * side < limit
    place[:, 0] = np.where(inside, side * limit, place[:, 0])
    place[:, 2] = np.where(inside, np.minimum(place[:, 2], 0.98), place[:, 2])
    return head.wor(place)


def children(head, guides, guide_rest, roots, growth: Growth, rng) -> np.ndarray:
    """Fill in strands at `roots` between guides, with clumps, waves and frizz; (N, steps, 3) decimetres."""
    points, normals, rest, _ = roots
    count, steps = len(points), guides.shape[1]
    near, weight = _neighbours(guide_rest, rest, growth.parting)
    relative = guides - guides[:, :1]
    strands = (points - normals * 0.004)[:, None] + sum(
        weight[:, k, None, None] * relative[near[:, k]] for k in range(near.shape[1])
    )
    t = np.linspace(0, 1, steps)[None, :, None]
    strands += (guides[near[:, 0]] - strands) * (growth.clump * t) * rng.uniform(0.5, 1, (count, 1, 1))
    strands += rng.normal(size=(count, 1, 3)) * growth.frizz * t
    if growth.wave:
        strands += _waves(strands, rest, growth, rng, t)
    if growth.clear_face:
        strands = _clear_face(head, strands, growth)
    return strands if growth.cut is None else _cut(head, strands, growth.cut, rng)


def _neighbours(guide_rest, rest, parting):
    if parting is not None:  # the other side of the parting is far away
        guide_rest = np.column_stack([guide_rest, 4.0 * np.sign(guide_rest[:, 0] - parting)])
        rest = np.column_stack([rest, 4.0 * np.sign(rest[:, 0] - parting)])
    distance, near = cKDTree(guide_rest).query(rest, k=3)
    weight = 1 / (distance + 0.02) ** 2
    return near, weight / weight.sum(1, keepdims=True)


def _waves(strands, rest, growth, rng, t):
    """Wave in locks: the phase changes slowly over the scalp."""
    a, b, c = rng.uniform(0, 6.28, 3)
    x, y, z = rest.T
    phase = 2.2 * np.sin(4 * x + a) + 2.2 * np.sin(4 * z + b) + 1.5 * np.sin(5 * y + c)
    phase = phase + rng.normal(0, 0.4, len(rest))
    turns = growth.turns * (1 + 0.08 * rng.normal(size=len(rest)))
    along = norm(np.gradient(strands, axis=1))
    across = norm(np.cross(along, [0.3, 0.2, 1.0]))
    angle = (2 * np.pi * turns[:, None] * t[..., 0] + phase[:, None])[..., None]
    swing = np.sin(angle) * across + growth.helix * np.cos(angle) * np.cross(along, across)
    start = (
        ss(0.1, 0.45, t) if growth.parting is not None else np.minimum(1, t * 4)
    )  # smooth over the forehead
    return growth.wave * start * swing


def _clear_face(head, strands, growth):
    """Keep strands off eyes, nose and mouth, each on one side, or it would be drawn across the face."""
    steps = strands.shape[1]
    place = head.loc(strands.reshape(-1, 3))
    x = place[:, 0]
    limit = np.interp(place[:, 1], [5.0, 7.0, 7.5, 7.8, 8.0], [0.60, 0.68, 0.60, 0.25, 0.0])
    side = np.sign(x.reshape(-1, steps)[:, steps // 3 :].mean(1) + 1e-6).repeat(steps)
    inside = (place[:, 2] > 0.55) & (limit > 0) & (x * side < limit)
    beside = limit + 0.075 * np.minimum(1, abs(x) / np.maximum(limit, 0.01))
    place[:, 0] = np.where(inside, side * beside, x)
    strands = head.wor(place).reshape(strands.shape)
    soft = ndi.gaussian_filter1d(strands, 0.5 if growth.wave else 0.9, axis=1, mode="nearest")
    strands[:, 1:] = soft[:, 1:]
    return strands


def _cut(head, strands, height, rng):
    """End strands at a height of the head's frame, with as many points as before."""
    steps = strands.shape[1]
    y = head.loc(strands.reshape(-1, 3))[:, 1].reshape(strands.shape[:2])
    below = y < height + rng.normal(0, 0.05, (len(strands), 1))
    last = np.where(below.any(1), below.argmax(1), steps - 1).clip(2)
    at = np.linspace(0, 1, steps) * last[:, None]
    first = np.floor(at).astype(int).clip(0, steps - 2)
    part = (at - first)[..., None]
    one = np.take_along_axis(strands, first[..., None], 1)
    two = np.take_along_axis(strands, first[..., None] + 1, 1)
    return one * (1 - part) + two * part
