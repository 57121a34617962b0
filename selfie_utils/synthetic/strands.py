"""Strands of hair: guides that grow from the scalp step by step, and children between them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from selfie_utils.synthetic.body import Head
from selfie_utils.synthetic.geometry import norm, ss
from selfie_utils.synthetic.makehuman import model

DOWN = np.array([0, -1.0, 0])
FIRST_SEGMENTS = (0.25, 0.4, 0.6, 0.8)  # long segments near the root would dive under the skull


class Roots(NamedTuple):
    """Where strands start."""

    points: np.ndarray  # (N, 3) decimetres
    normals: np.ndarray  # (N, 3)
    rest: np.ndarray  # (N, 3) places on the base mesh
    density: np.ndarray  # (N,) of hair there


class Guides(NamedTuple):
    """A few strands that others follow."""

    strands: np.ndarray  # (N, K, 3) decimetres
    rest: np.ndarray  # (N, 3) places of their roots on the base mesh


class Tuft(NamedTuple):
    """Strands of one kind."""

    kind: str  # "hair", "brow" or "beard"
    strands: np.ndarray  # (N, K, 3) decimetres
    radius: float  # metres


def sample_roots(head: Head, mask: np.ndarray, count: int, rng: np.random.Generator, least=0.02) -> Roots:
    """Draw roots on the body, as dense as `mask` (N,) says, where that is more than `least`."""
    body, points = model().parts["body"], head.points
    quads = body.quads[mask[body.quads].max(1) > least]
    across = np.cross(points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]])
    share = np.linalg.norm(across, axis=1) * mask[quads].mean(1)
    faces = quads[rng.choice(len(quads), count, p=share / share.sum())]
    u, v = rng.random((2, count, 1))

    def inside(values: np.ndarray) -> np.ndarray:
        a, b, c, d = (values[faces[:, corner]] for corner in range(4))
        return (a * (1 - u) + b * u) * (1 - v) + (d * (1 - u) + c * u) * v

    return Roots(inside(points), norm(inside(head.normals)), inside(body.rest), inside(mask[:, None])[:, 0])


@dataclass(frozen=True)
class Growth:
    """How hair grows; lengths in decimetres, places in the head's frame (coordinates of the rest mesh)."""

    length: Callable  # of each strand, from its root (N, 3)
    comb: Callable  # the direction each strand is combed in, from its root (N, 3)
    steps: int = 10  # points per strand
    lift: float = 0.35  # 0: leaves the scalp as combed; 1: upright
    stiff: float = 1.0  # how far a strand keeps its heading from step to step
    hold: float = 0.5  # how long the comb's direction is kept, against gravity
    decay: float = 2.0  # how fast the comb is forgotten on the way
    gravity: float = 0.35
    hug: float = 0.0  # 1: lies on the skull
    forward: float = 0.0  # how far long hair comes in front of the shoulders
    offset: tuple[float, float] = (0.05, 0.35)  # height over the skin
    uneven: float = 0.12  # share by which strands are shorter
    clump: float = 0.45  # 1: tips meet their guide
    frizz: float = 0.03  # by how much tips stray
    wave: float = 0.0  # amplitude
    turns: float = 0.0  # waves along a strand
    helix: float = 0.3  # 0: waves lie flat; 1: corkscrews
    parting: float | None = None  # x of a parting that no strand crosses
    clear_face: bool = False
    cut: float | None = None  # height of a blunt cut


def grow(head: Head, roots: Roots, growth: Growth, rng: np.random.Generator) -> np.ndarray:
    """Grow one guide from each of `roots`; (N, steps, 3) decimetres."""
    points, normals, rest, _ = roots
    steps, count = growth.steps, len(points)
    length = growth.length(rest) * rng.uniform(1 - growth.uneven, 1.03, count)
    share = _segments(steps)
    combed = head.direction(norm(growth.comb(rest)))
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


def _segments(steps: int) -> np.ndarray:
    """Return the lengths (steps - 1,) of a strand's segments, which add up to 1."""
    share = np.ones(steps - 1)
    if steps > 8:
        share[:4] = FIRST_SEGMENTS
    return share / share.sum()


def _turn(head, point, heading, combed, growth, t):
    """Turn the heading (N, 3) of strands that are at `point`, the share `t` of their way."""
    weight = growth.gravity * (0.3 + 0.7 * min(1, t * 2))
    heading = norm(heading * growth.stiff + combed * growth.hold * (1 - t) ** growth.decay + DOWN * weight)
    if growth.forward:
        height = head.local(point)[:, 1]
        heading = heading + head.direction(np.array([0, 0, growth.forward])) * ss(7.0, 6.4, height)[:, None]
    if growth.hug:  # no component away from the skin while over the skull
        near = ss(6.9, 7.4, head.local(point)[:, 1]) * growth.hug
        normal = head.skin(point).normals
        heading = heading - normal * (np.clip((heading * normal).sum(1), 0, None) * near)[:, None]
    return norm(heading)


def _push_out(head, point, offset):
    """Push points out of head, neck and shoulders, to `offset` over the skin and what is worn there."""
    skin = head.skin(point)
    push = np.clip(offset + skin.worn - skin.height, 0, None) * (skin.distance < 1.2)
    return point + skin.normals * push[:, None]


def _beside_face(head, point, side):
    """Keep points of long strands on their side of the face, and not before it."""
    place = head.local(point)
    limit = np.where(place[:, 1] > 7.0, 0.72, 0.68)
    inside = (place[:, 2] > 0.45) & (place[:, 1] < 7.95) & (place[:, 1] > 4.9)
    inside &= place[:, 0] * side < limit
    place[:, 0] = np.where(inside, side * limit, place[:, 0])
    place[:, 2] = np.where(inside, np.minimum(place[:, 2], 0.98), place[:, 2])
    return head.world(place)


def children(head: Head, guides: Guides, roots: Roots, growth: Growth, rng) -> np.ndarray:
    """Fill in strands at `roots` between guides, with clumps, waves and frizz; (N, steps, 3) decimetres."""
    points, normals, rest, _ = roots
    lines, count, steps = guides.strands, len(points), guides.strands.shape[1]
    near, weight = _neighbours(guides.rest, rest, growth.parting)
    relative = lines - lines[:, :1]
    between = sum(weight[:, k, None, None] * relative[near[:, k]] for k in range(near.shape[1]))
    strands = (points - normals * 0.004)[:, None] + between
    t = np.linspace(0, 1, steps)[None, :, None]
    strands += (lines[near[:, 0]] - strands) * (growth.clump * t) * rng.uniform(0.5, 1, (count, 1, 1))
    strands += rng.normal(size=(count, 1, 3)) * growth.frizz * t
    if growth.wave:
        strands += _waves(strands, rest, growth, rng, t)
    if growth.clear_face:
        strands = _clear_face(head, strands, growth)
    return strands if growth.cut is None else _cut(head, strands, growth.cut, rng)


def _neighbours(guide_rest, rest, parting):
    """Return the three guides nearest to each root, and how much each of them counts; both (N, 3)."""
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
    smooth = growth.parting is not None  # over the forehead
    start = ss(0.1, 0.45, t) if smooth else np.minimum(1, t * 4)
    return growth.wave * start * swing


def _clear_face(head, strands, growth):
    """Keep strands off eyes, nose and mouth, each on one side, or it would be drawn across the face."""
    steps = strands.shape[1]
    place = head.local(strands.reshape(-1, 3))
    x = place[:, 0]
    limit = np.interp(place[:, 1], [5.0, 7.0, 7.5, 7.8, 8.0], [0.60, 0.68, 0.60, 0.25, 0.0])
    side = np.sign(x.reshape(-1, steps)[:, steps // 3 :].mean(1) + 1e-6).repeat(steps)
    inside = (place[:, 2] > 0.55) & (limit > 0) & (x * side < limit)
    beside = limit + 0.075 * np.minimum(1, abs(x) / np.maximum(limit, 0.01))
    place[:, 0] = np.where(inside, side * beside, x)
    strands = head.world(place).reshape(strands.shape)
    soft = ndi.gaussian_filter1d(strands, 0.5 if growth.wave else 0.9, axis=1, mode="nearest")
    strands[:, 1:] = soft[:, 1:]
    return strands


def _cut(head, strands, height, rng):
    """End strands at a height of the head's frame, with as many points as before."""
    steps = strands.shape[1]
    y = head.local(strands.reshape(-1, 3))[:, 1].reshape(strands.shape[:2])
    below = y < height + rng.normal(0, 0.05, (len(strands), 1))
    last = np.where(below.any(1), below.argmax(1), steps - 1).clip(2)
    at = np.linspace(0, 1, steps) * last[:, None]
    first = np.floor(at).astype(int).clip(0, steps - 2)
    part = (at - first)[..., None]
    one = np.take_along_axis(strands, first[..., None], 1)
    two = np.take_along_axis(strands, first[..., None] + 1, 1)
    return one * (1 - part) + two * part
