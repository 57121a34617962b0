"""The shape of a person: MakeHuman's base mesh, morphed and posed; lengths in decimetres."""

import math
from functools import cache

import numpy as np
from scipy.spatial import cKDTree

from selfie_utils.synthetic.geometry import norm, rot, rot_between, ss
from selfie_utils.synthetic.makehuman import model
from selfie_utils.synthetic.regions import regions

HEADC = np.array([0, 7.45, 0.45])  # the middle of the skull on the base mesh
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


def __getattr__(name: str):
    """Give what is derived from the base mesh by its short name."""
    if name == "LBS":
        return follow()
    if name == "WSEL":  # how much each point of the body belongs to the head
        return model().parts["body"]["S"] @ follow()["head"]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def _levels(value: float, name: str) -> dict[str, float]:
    """Split a value, 0 to 1, into shares of MakeHuman's minimum, average and maximum."""
    away = (value - 0.5) * 2
    return {"average" + name: 1 - abs(away), "max" + name: max(0, away), "min" + name: max(0, -away)}


def _macro_weights(p: dict):
    """Yield macro targets and weights; `age_param` is 0.5 for the youngest adults, 1 for the oldest."""
    old = (p["age_param"] - 0.5) * 2
    for sex, of_sex in {"female": 1 - p["gender"], "male": p["gender"]}.items():
        for age, of_age in {"young": 1 - old, "old": old}.items():
            for ancestry, share in p["ancestry"].items():
                yield f"macro/{ancestry}-{sex}-{age}", of_sex * of_age * share
            for muscle, of_muscle in _levels(p["muscle"], "muscle").items():
                for weight, of_weight in _levels(p["weight"], "weight").items():
                    name = f"macro/universal-{sex}-{age}-{muscle}-{weight}"
                    yield name, of_sex * of_age * of_muscle * of_weight


def morph(p: dict) -> np.ndarray:
    """Return the base vertices (V, 3) of a person with an expression, not yet posed."""
    vertices = model().vertices.astype(np.float32)
    eyes = {f"fu/eyeWide{side}": p.get("eye_open", 0.22) for side in ("Left", "Right")}
    for weights in (_macro_weights(p), p["details"].items(), p["expression"].items(), eyes.items()):
        for name, weight in weights:
            if abs(weight) > 1e-4:
                indices, moved = model().targets[name]
                vertices[indices] += weight * moved
    return vertices


def joint(vertices: np.ndarray, name: str) -> np.ndarray:
    """Return where a joint is (3,)."""
    first, last = model().joints[name]
    return vertices[first : last + 1].mean(0)


def pose(vertices: np.ndarray, p: dict, hand: np.ndarray | None):
    """Bend neck, head and arms; `hand` is where the hand of the arm that holds the phone goes.

    Returns the vertices (V, 3), and the head's rotation (3, 3) and translation (3,).
    """
    moves = _head_moves(vertices, p)
    for side, out in ARMS.items():
        reaches = hand is not None and p["arm"] == side
        moves |= _arm_moves(vertices, side, out, hand if reaches else None)
    posed = np.zeros_like(vertices)
    for piece, (turn, shift) in moves.items():
        weights = follow()[piece]
        some = np.nonzero(weights)[0]
        posed[some] += weights[some, None] * (vertices[some] @ turn.T + shift)
    return posed, *moves["head"]


def _turn(p: dict, yaw: float = 1, other: float = 1) -> np.ndarray:
    turn = rot([0, 1, 0], p["head_yaw"] * yaw) @ rot([1, 0, 0], p["head_pitch"] * other)
    return turn @ rot([0, 0, 1], p["head_roll"] * other)


def _head_moves(vertices: np.ndarray, p: dict) -> dict:
    neck, head = joint(vertices, "neck"), joint(vertices, "head")
    whole, half = _turn(p), _turn(p, 0.5, 0.45)  # the neck takes half of it
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
    upper, lower = np.linalg.norm(elbow - shoulder), np.linalg.norm(wrist - elbow)
    far = np.linalg.norm(reach)
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


def _bend(
    reach: np.ndarray, far: float, upper: float, lower: float, out: int
) -> tuple[np.ndarray, np.ndarray]:
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


class Head:
    """What hair and accessories need to know about one posed head."""

    def __init__(self, points, normals, turn, shift, morphed):
        """Take the posed body's points and normals (N, 3), its head's move, and the figure before posing."""
        self.P, self.N, self.R, self.t = points, normals, turn, shift
        # Morphs move and scale the head, by half a decimetre: align its frame to the base mesh, axis by axis.
        mine, base = morphed[_skull()], model().vertices[_skull()]
        self.sc = mine.std(0) / base.std(0)
        self.cm, self.cr = mine.mean(0), base.mean(0)
        near = (regions()["y_"] > 3.0) & (regions()["x_"] < 2.6)
        self.kP, self.kN = points[near], normals[near]
        # What is worn stands off the skin, most where it hangs from the chest: hair lies over it.
        self.worn = 0.26 * ss(6.0, 5.6, regions()["y_"][near]) + 0.3 * ss(5.0, 4.0, regions()["y_"][near])
        self.tree = cKDTree(self.kP)

    def loc(self, points: np.ndarray) -> np.ndarray:
        """Turn points of the world into the head's frame: places on the base mesh, roughly."""
        return ((points - self.t) @ self.R - self.cm) / self.sc + self.cr

    def wor(self, points: np.ndarray) -> np.ndarray:
        """Turn points of the head's frame into the world's."""
        return ((points - self.cr) * self.sc + self.cm) @ self.R.T + self.t

    def worm(self, points: np.ndarray) -> np.ndarray:
        """Turn points of the morphed figure's head, before posing, into the world's."""
        return points @ self.R.T + self.t

    def dirw(self, directions: np.ndarray) -> np.ndarray:
        """Turn directions of the head into the world's."""
        return directions @ self.R.T
