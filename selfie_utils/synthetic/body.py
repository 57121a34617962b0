"""The shape of a person: MakeHuman's base mesh, morphed and posed; lengths in decimetres."""

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from selfie_utils.synthetic.description import Look, Person
from selfie_utils.synthetic.faces import EXPR
from selfie_utils.synthetic.geometry import norm, quad_normals, rot, rot_between, ss
from selfie_utils.synthetic.makehuman import model
from selfie_utils.synthetic.regions import regions

HEAD_MIDDLE = np.array([0, 7.45, 0.45])  # the middle of the skull on the base mesh
ANCESTRIES = ("caucasian", "asian", "african")  # as MakeHuman calls its sets of shapes
ARMS = {"l": 1, "r": -1}  # which way is out
TORSO = ("spine", "clavicle", "breast", "leg", "foot", "toe", "pelvis", "root")


def _group(bone: str) -> str:
    """Return which of the few rigid pieces a bone belongs to."""
    side = bone[-2:] if bone[-2:] in (".L", ".R") else ""
    pieces = {"upperarm": "upper" + side, "shoulder": "shoulder" + side, "neck": "neck"}
    pieces |= dict.fromkeys(("lowerarm", "wrist", "finger", "metacarpal"), "lower" + side)
    pieces |= dict.fromkeys(TORSO, "torso")
    return next((piece for start, piece in pieces.items() if bone.startswith(start)), "head")


@cache
def follow() -> dict[str, np.ndarray]:
    """Return how much each vertex follows each rigid piece, (V,), summing to 1."""
    height = model().vertices[:, 1]
    pieces: dict[str, np.ndarray] = {}
    for bone, (indices, weights) in model().weights.items():
        np.add.at(pieces.setdefault(_group(bone), np.zeros(len(height))), indices, weights)
    total = sum(pieces.values())
    known = total > 1e-6
    pieces = {name: np.where(known, w / np.maximum(total, 1e-6), 0) for name, w in pieces.items()}
    pieces["head"] = np.where(known, pieces["head"], height > 6.2)
    pieces["torso"] = np.where(known, pieces["torso"], height <= 6.2)
    return pieces


def _levels(value: float, name: str) -> dict[str, float]:
    """Split a value, 0 to 1, into shares of MakeHuman's minimum, average and maximum."""
    away = (value - 0.5) * 2
    return {"average" + name: 1 - abs(away), "max" + name: max(0, away), "min" + name: max(0, -away)}


def _macro_weights(person: Person) -> Iterator[tuple[str, float]]:
    """Yield macro targets and their weights."""
    tint = 0.06 * np.random.default_rng(person.seed).random()  # of the other sex
    male = 1 - tint if person.presented_gender == "male" else tint
    old = max(0, person.age - 25) / 100
    for sex, of_sex in {"female": 1 - male, "male": male}.items():
        for age, of_age in {"young": 1 - old, "old": old}.items():
            for ancestry, share in zip(ANCESTRIES, person.ancestry, strict=True):
                yield f"macro/{ancestry}-{sex}-{age}", of_sex * of_age * share
            for muscle, of_muscle in _levels(person.muscle, "muscle").items():
                for weight, of_weight in _levels(person.weight, "weight").items():
                    name = f"macro/universal-{sex}-{age}-{muscle}-{weight}"
                    yield name, of_sex * of_age * of_muscle * of_weight


def morph(person: Person, look: Look) -> np.ndarray:
    """Return the base vertices (V, 3) of a person with an expression, not yet posed."""
    vertices = model().vertices.astype(np.float32)
    weights = [*_macro_weights(person), *person.features]
    weights += [(name, weight * look.strength) for name, weight in EXPR[look.expression].items()]
    weights += [(f"fu/eyeWide{side}", look.eyes_open) for side in ("Left", "Right")]
    for name, weight in weights:
        if abs(weight) > 1e-4:
            indices, moved = model().targets[name]
            vertices[indices] += weight * moved
    return vertices


def joint(vertices: np.ndarray, name: str) -> np.ndarray:
    """Return where a joint is (3,)."""
    first, last = model().joints[name]
    return vertices[first : last + 1].mean(0)


def pose(vertices: np.ndarray, look: Look, hand: np.ndarray | None) -> tuple[np.ndarray, tuple]:
    """Bend neck, head and arms; `hand` is where the hand of the arm that holds the phone goes.

    Returns the vertices (V, 3), and the head's rotation (3, 3) and translation (3,).
    """
    moves = _head_moves(vertices, look)
    for side, out in ARMS.items():
        reaches = hand is not None and look.arm == side
        moves |= _arm_moves(vertices, side, out, hand if reaches else None)
    posed = np.zeros_like(vertices)
    for piece, (turn, shift) in moves.items():
        weights = follow()[piece]
        some = np.nonzero(weights)[0]
        posed[some] += weights[some, None] * (vertices[some] @ turn.T + shift)
    return posed, moves["head"]


def body_turn(look: Look) -> np.ndarray:
    """Return how the body is turned (3, 3), head and all."""
    return rot([0, 1, 0], look.body_yaw)


def head_turn(look: Look, yaw: float = 1, other: float = 1) -> np.ndarray:
    """Return how the head is turned (3, 3), or shares of it."""
    turn = rot([0, 1, 0], look.head_yaw * yaw) @ rot([1, 0, 0], look.head_pitch * other)
    return turn @ rot([0, 0, 1], look.head_roll * other)


def _head_moves(vertices: np.ndarray, look: Look) -> dict:
    neck, head = joint(vertices, "neck"), joint(vertices, "head")
    whole, half = head_turn(look), head_turn(look, 0.5, 0.45)  # the neck takes half of it
    moved = neck + half @ (head - neck)
    return {
        "torso": (np.eye(3), np.zeros(3)),
        "neck": (half, neck - half @ neck),
        "head": (whole, moved - whole @ head),
    }


def _arm_moves(vertices: np.ndarray, side: str, out: int, hand: np.ndarray | None) -> dict:
    """Return the moves of shoulder, upper and lower arm: to `hand`, or hanging down."""
    shoulder, elbow, wrist = (joint(vertices, f"{side}-{name}") for name in ("shoulder", "elbow", "hand"))
    reach = (hand - shoulder) if hand is not None else np.array([out * 0.9, -5.0, 0.9])
    upper, lower = float(np.linalg.norm(elbow - shoulder)), float(np.linalg.norm(wrist - elbow))
    far = float(np.linalg.norm(reach))
    # A stretched arm cannot be told in perspective.
    stretch = max(1.0, far / ((upper + lower) * 0.985)) if hand is not None else 1.0
    along, bent = _bend(norm(reach), far, upper * stretch, lower * stretch, out)
    new_elbow = shoulder + along * upper * stretch
    first = rot_between(elbow - shoulder, along)
    second = rot_between(first @ (wrist - elbow), bent) @ first
    thin = (0.9, 0.8) if stretch > 1 else (1.0, 1.0)  # but near the camera it would look swollen
    first = (thin[0] * np.eye(3) + (stretch - thin[0]) * np.outer(along, along)) @ first
    second = (thin[1] * np.eye(3) + (stretch - thin[1]) * np.outer(bent, bent)) @ second
    lift = np.array([0, 0.35, 0.15]) * max(0, along[1] + 0.25)  # the shoulder comes up with the arm
    rest = elbow - shoulder
    hunch = rot_between(rest, norm(norm(rest) * 0.7 + along * 0.3))
    name = "." + side.upper()
    return {
        "shoulder" + name: (hunch, shoulder - hunch @ shoulder + lift * 0.6),
        "upper" + name: (first, shoulder - first @ shoulder + lift),
        "lower" + name: (second, new_elbow - second @ elbow + lift),
    }


def _bend(reach: np.ndarray, far: float, upper: float, lower: float, out: int) -> tuple:
    """Return the directions of upper and lower arm, elbow down and out, for a hand `far` along `reach`."""
    far = min(far, (upper + lower) * 0.995)
    cosine = np.clip((upper**2 + far**2 - lower**2) / (2 * upper * far), -1, 1)
    pole = np.array([out * 0.7, -1.0, -0.2])
    pole = norm(pole - reach * (pole @ reach))
    along = reach * cosine + pole * math.sqrt(1 - cosine**2)
    return along, norm(reach * far - along * upper)


@cache
def _skull() -> np.ndarray:
    height = model().vertices[:, 1]
    return np.nonzero((height > 6.6) & (np.arange(len(height)) < 13380))[0]  # helpers lie behind the body


class Skin(NamedTuple):
    """What lies nearest to some points: skin of head, neck or shoulders; decimetres."""

    distance: np.ndarray  # (N,)
    height: np.ndarray  # (N,) of the points over it, negative below
    points: np.ndarray  # (N, 3)
    normals: np.ndarray  # (N, 3)
    worn: np.ndarray  # (N,) thickness of what is worn there


class Head:
    """What hair and accessories need to know about one posed head."""

    def __init__(self, points: np.ndarray, move: tuple, morphed: np.ndarray):
        """Take the posed body's points (N, 3), its head's turn and shift, and the figure before posing."""
        self.points, (self.turn, self.shift) = points, move
        self.normals = quad_normals(points, model().parts["body"].quads)
        # Morphs move and scale the head, by half a decimetre: align its frame to the base mesh, axis by axis.
        mine, base = morphed[_skull()], model().vertices[_skull()]
        self.scale = mine.std(0) / base.std(0)
        self.middle, self.rest_middle = mine.mean(0), base.mean(0)
        near = (regions().y > 3.0) & (regions().x < 2.6)
        height = regions().y[near]
        # What is worn stands off the skin, most where it hangs from the chest: hair lies over it.
        self.worn = 0.26 * ss(6.0, 5.6, height) + 0.3 * ss(5.0, 4.0, height)
        self.near_points, self.near_normals = points[near], self.normals[near]
        self.tree = cKDTree(self.near_points)

    def skin(self, points: np.ndarray) -> Skin:
        """Return the skin nearest to points (N, 3) of the world."""
        distance, nearest = self.tree.query(points)
        skin, normals = self.near_points[nearest], self.near_normals[nearest]
        return Skin(distance, ((points - skin) * normals).sum(1), skin, normals, self.worn[nearest])

    def local(self, points: np.ndarray) -> np.ndarray:
        """Turn points of the world into the head's frame: places on the base mesh, roughly."""
        return ((points - self.shift) @ self.turn - self.middle) / self.scale + self.rest_middle

    def world(self, points: np.ndarray) -> np.ndarray:
        """Turn points of the head's frame into the world's."""
        return self.posed((points - self.rest_middle) * self.scale + self.middle)

    def posed(self, points: np.ndarray) -> np.ndarray:
        """Turn points of the morphed figure's head, before posing, into the world's."""
        return points @ self.turn.T + self.shift

    def direction(self, directions: np.ndarray) -> np.ndarray:
        """Turn directions of the head into the world's."""
        return directions @ self.turn.T
