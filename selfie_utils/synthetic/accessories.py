"""Glasses, hats, earrings and the phone; decimetres, most of it in the frame of the head (see `Head`)."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy import ndimage as ndi

from selfie_utils.synthetic.blender import mesh_object
from selfie_utils.synthetic.body import ARMS, HEAD_MIDDLE, Head, joint
from selfie_utils.synthetic.description import Look
from selfie_utils.synthetic.geometry import norm, rot_between, sheet, ss, to_blender, tube
from selfie_utils.synthetic.makehuman import model
from selfie_utils.synthetic.materials import material

# Half width, half height and roundness (2 is an ellipse) of a glass.
FRAMES = {"round": (0.235, 0.220, 2.2), "square": (0.265, 0.195, 4.0), "cat": (0.265, 0.200, 2.8)}
HAT_OFF = {"beanie": 0.20, "cap": 0.15}  # how far a hat lies off the skull: hair is below
PHONE = (0.37, 0.76, 0.045)  # half width, height and depth


def glasses(head: Head, look: Look, eyes: list, made: list) -> None:
    """Set a frame before the eyes, its bridge on the nose and its arms on the ears.

    `eyes` are the centre (3,) and the radius of the left and the right one, in the frame of the head.
    """
    (left, radius), (right, _) = eyes
    sun, metal = look.glasses == "sun", look.metal_frame
    wide, high, _ = FRAMES[look.frame]
    wide, high = wide * (1.06 if sun else 1), high * (1.08 if sun else 1)
    front = max(left[2], right[2]) + radius + 0.16

    def add(points, faces, name="frame"):
        of = "metal" if metal and name == "frame" else name
        made.append(mesh_object(name, to_blender(head.world(points)), faces, material(of)))

    for eye in (left, right):
        ring = _rim(eye, look.frame, wide, high)
        ring = np.c_[ring, front - 0.25 * ring[:, 0] ** 2]  # bent round the face
        add(*tube(ring, 0.014 if metal else 0.022, True))
        if sun:
            points = np.vstack([ring, ring.mean(0) + np.array([0, 0, 0.03])])
            j = np.arange(len(ring))
            add(points, np.stack([j, (j + 1) % 40, np.full(40, 40)], 1), "lens")
        side, y = np.sign(eye[0]), eye[1]
        hinge = [eye[0] + side * (wide + 0.01), y + 0.05, front - 0.09]
        arm = [hinge, [side * 0.74, y + 0.06, front - 0.35], [side * 0.80, y + 0.06, 0.62]]
        add(*tube(np.array([*arm, [side * 0.80, y - 0.10, 0.35]]), 0.014, False))
    bridge = [[right[0] + wide * 0.92, right[1] + 0.02, front], [0, right[1] + 0.06, front + 0.03]]
    add(*tube(np.array([*bridge, [left[0] - wide * 0.92, left[1] + 0.02, front]]), 0.014, False))


def _rim(eye: np.ndarray, frame: str, wide: float, high: float) -> np.ndarray:
    """Return the outline of one glass (40, 2), seen from the front."""
    (cos, sin), side, power = _circle(40), np.sign(eye[0]), 2 / FRAMES[frame][2]
    middle = eye[0] + side * 0.015
    x = middle + np.sign(cos) * np.abs(cos) ** power * wide
    y = eye[1] - 0.03 + np.sign(sin) * np.abs(sin) ** power * high
    if frame == "cat":  # the outer corner rises
        y = y + 0.07 * np.clip((x - middle) * side / wide, 0, 1) * np.clip(sin, 0, 1)
    return np.stack([x, y], 1)


def _circle(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return cosine and sine (count,) once round."""
    angle = np.arange(count) / count * 2 * np.pi
    return np.cos(angle), np.sin(angle)


def _above_brim(points: np.ndarray) -> np.ndarray:
    """Return how far points (N, 3) of the rest mesh lie above a hat's rim, which sinks to the nape."""
    return points[:, 1] - (7.80 + (points[:, 2] - 1.3) * 0.33)


def hat(head: Head, look: Look, made: list) -> None:
    """Lift the skull's cap off as a beanie or a baseball cap."""
    beanie, body = look.hat == "beanie", model().parts["body"]
    quads = body.quads[(_above_brim(body.rest) > 0)[body.quads].all(1)]
    chosen, faces = np.unique(quads, return_inverse=True)
    points = head.points[chosen] + head.normals[chosen] * HAT_OFF[look.hat]
    if beanie:
        rise = ss(7.9, 8.6, head.local(points)[:, 1])[:, None]
        points = points + head.direction(np.array([0, 0.24, -0.12])) * rise

    def add(name, points, faces, shade, place=None):
        colour = ("FLOAT_COLOR", np.tile([*(np.array(look.hat_colour) * shade), 1], (len(points), 1)))
        attributes = {"col": colour, "col2": colour, "cut": ("FLOAT", np.ones(len(points)))}
        attributes["rp"] = ("FLOAT_VECTOR", points if place is None else place)
        cloth = material("cloth_knit" if beanie else "cloth_plain")
        made.append(mesh_object(name, to_blender(points), faces, cloth, attributes))

    add("hat", points, faces.reshape(quads.shape), 1.0, body.rest[chosen])
    azimuth, edge = _edge(head, points, body.rest[chosen])
    up, away = head.direction(np.array([0, 1.0, 0.1])), norm(edge - points.mean(0))
    turned_up = ((-0.12, 0.02), (-0.14, 0.08), (0.0, 0.11), (0.22, 0.10), (0.26, 0.03))
    profile = turned_up if beanie else ((-0.05, -0.04), (-0.07, 0.025), (0.05, 0.03), (0.12, -0.03))
    add("band", *sheet([edge + up * u + away * o for u, o in profile], True), 0.8)
    if not beanie:
        add("peak", *sheet(_peak(head, edge, azimuth), False), 0.7)


def _edge(head: Head, points: np.ndarray, rest: np.ndarray, count: int = 72) -> tuple:
    """Return azimuths (count,) and the smooth lower rim of a hat (count, 3)."""
    azimuth = np.linspace(-np.pi, np.pi, count, endpoint=False)
    local = head.local(points) - HEAD_MIDDLE
    angle = np.arctan2(local[:, 0], local[:, 2])
    off = np.abs((angle - azimuth[:, None] + np.pi) % (2 * np.pi) - np.pi)
    nearest = (off * 1.5 + np.abs(_above_brim(rest))).argmin(1)
    return azimuth, ndi.gaussian_filter1d(points[nearest], 2.5, axis=0, mode="wrap")


def _peak(head: Head, edge: np.ndarray, azimuth: np.ndarray) -> list[np.ndarray]:
    """Return the rows (K, 3) of a cap's peak: forward, then down at the tip."""
    half = 0.95
    rim = edge[np.abs(azimuth) < half]
    bend = np.cos(azimuth[np.abs(azimuth) < half] / half * np.pi / 2)[:, None] ** 0.7
    forward, down = head.direction(np.array([0, -0.24, 1.0])), head.direction(np.array([0, -1.0, 0]))
    steps = ((0, 0), (0.32, 0), (0.62, 0.08), (0.63, 0.12))
    return [rim + forward * f * bend + down * d * bend for f, d in steps]


def earrings(head: Head, hoops: bool, made: list) -> None:
    """Hang a hoop from, or set a stud on, each lobe."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    radius, thick = (0.13, 0.016) if hoops else (0.02, 0.028)
    cos, sin = np.cos(angle) * radius, np.sin(angle) * radius
    for side in (-1, 1):
        vertex = np.linalg.norm(model().parts["body"].rest - [side * 0.75, 6.88, 0.53], axis=1).argmin()
        lobe = head.local(head.points[vertex][None])[0] + [side * 0.02, 0.0, 0.02]
        points, faces = tube(lobe + np.stack([sin * 0.5, -radius + cos, sin * 0.85], 1), thick, True, 6)
        made.append(mesh_object("earring", to_blender(head.world(points)), faces, material("silver")))


def close_hand(vertices: np.ndarray, arm: str) -> np.ndarray:
    """Fold the hand of an arm ("l" or "r") upwards and small, so that a phone hides it; (V, 3) decimetres."""
    wrist = joint(vertices, f"{arm}-hand")
    follows = np.zeros(len(vertices))
    for bone, (indices, weights) in model().weights.items():
        if bone.startswith(("wrist", "metacarpal", "finger")) and bone.endswith("." + arm.upper()):
            np.add.at(follows, indices, weights)
    fold = 0.55 * rot_between(joint(vertices, f"{arm}-finger-3-2") - wrist, np.array([0, 1.0, 0.1]))
    moved = np.nonzero(follows)[0]
    folded = wrist + (vertices[moved] - wrist) @ fold.T
    closed = vertices.copy()
    closed[moved] += np.minimum(follows[moved], 1)[:, None] * (folded - vertices[moved])
    return closed


@dataclass(frozen=True)
class RaisedHand:
    """A hand that holds a phone; decimetres."""

    wrist: np.ndarray  # (3,)
    arm: str  # "l" or "r"
    camera: np.ndarray  # (3,) what the phone's back is turned to
    flesh: np.ndarray  # linear RGBA (4,) of its fingers

    @cached_property
    def axes(self) -> np.ndarray:
        """To the right, up and to the camera, as rows (3, 3)."""
        toward = norm(self.camera - self.wrist)
        up = norm(np.array([-0.12 * ARMS[self.arm], 1.0, 0]) - toward * toward[1])
        return np.stack([np.cross(up, toward), up, toward])

    def mesh(self, name: str, points: np.ndarray, faces: np.ndarray, of: str, attributes: dict | None = None):
        """Make a mesh of points (N, 3) in the phone's frame."""
        _, up, toward = self.axes
        world = to_blender(self.wrist + up * 0.75 + toward * 0.42 + points @ self.axes)
        return mesh_object(name, world, faces, material(of), attributes)


def phone(hand: RaisedHand, made: list) -> None:
    """Put a phone into a raised hand, its back towards the camera, with fingers round its edge."""
    half_width, half_height, depth = PHONE
    outline = _rounded(half_width, half_height)
    rims = [(0.0, -depth), (1.0, -depth), (1.0, depth * 0.6), (0.96, depth), (0.0, depth)]
    rows = [np.c_[outline * share, np.full(len(outline), z)] for share, z in rims]
    made.append(hand.mesh("phone", *sheet(rows, True), "phone"))
    for x, y in ((-0.20, 0.58), (-0.20, 0.38), (-0.04, 0.48)):
        _camera(hand, np.array([x, y]), made)
    edge = half_width + 0.03
    # Fingers come round the outer edge, the thumb from the other side.
    finger = [[edge - 0.1, -0.04, -0.2], [edge + 0.05, -0.02, -0.05], [edge, 0, 0.09], [0.14, 0.03, 0.10]]
    thumb = [[0.1 - edge, -0.45, -0.2], [-edge - 0.05, -0.3, -0.05], [-edge - 0.02, -0.05, 0.05]]
    paths = [np.array(finger) + np.array([0, 0.12 - 0.17 * i, 0]) for i in range(4)]
    for path in [*paths, np.array([*thumb, [-0.3, 0.08, 0.09]])]:
        made.append(_finger(hand, path * [ARMS[hand.arm], 1, 1]))


def _camera(hand: RaisedHand, at: np.ndarray, made: list) -> None:
    """Set a lens with a rim into the phone's back."""
    height = np.full(40, PHONE[2] + 0.012)
    disc = [np.c_[_rounded(0.065, 0.065, 2.0) * share + at, height] for share in (0, 1)]
    made.append(hand.mesh("lens", *sheet(disc, True), "lens"))
    ring = np.c_[_rounded(0.07, 0.07, 2.0) + at, height]
    made.append(hand.mesh("rim", *tube(ring, 0.007, True, 6), "silver"))


def _rounded(half_width: float, half_height: float, roundness: float = 7.0) -> np.ndarray:
    """Return the outline (40, 2) of a rectangle with round corners."""
    x, y = _circle(40)
    size = (np.abs(x) ** roundness + np.abs(y) ** roundness) ** (-1 / roundness)
    return np.stack([x * size * half_width, y * size * half_height], 1)


def _finger(hand: RaisedHand, joints: np.ndarray):
    """Bend a finger of skin along a few joints (4, 3)."""
    at = np.linspace(0, 3, 14)
    path = np.stack([np.interp(at, range(4), c) for c in joints.T], 1)
    path = ndi.gaussian_filter1d(path, 1.2, axis=0, mode="nearest")
    points, faces = tube(path, 0.075, False, 8)
    taper = np.repeat(np.r_[np.ones(11), 0.9, 0.7, 0.25], 8)[:, None]
    points = np.repeat(path, 8, 0) + (points - np.repeat(path, 8, 0)) * taper
    colour, rough = np.tile(hand.flesh, (len(points), 1)), np.full(len(points), 0.5)
    attributes = {"col": ("FLOAT_COLOR", colour), "rough": ("FLOAT", rough), "rp": ("FLOAT_VECTOR", points)}
    return hand.mesh("finger", points, faces, "skin", attributes)
