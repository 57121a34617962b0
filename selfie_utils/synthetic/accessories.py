"""Glasses, hats, earrings and the phone; decimetres, most of it in the frame of the head (see `Head`)."""

import numpy as np
from scipy import ndimage as ndi

from selfie_utils.synthetic.blender import mesh_object
from selfie_utils.synthetic.body import HEADC, joint
from selfie_utils.synthetic.geometry import norm, rot_between, ss, to_blender, tube
from selfie_utils.synthetic.makehuman import WTS
from selfie_utils.synthetic.materials import MATS
from selfie_utils.synthetic.regions import BQ, BR

# Half width, half height and roundness (2 is an ellipse) of a glass.
FRAMES = {"round": (0.235, 0.220, 2.2), "square": (0.265, 0.195, 4.0), "cat": (0.265, 0.200, 2.8)}
HAT_OFF = {"beanie": 0.20, "cap": 0.15}  # how far a hat lies off the skull: hair is below
PHONE = (0.37, 0.76, 0.045)  # half width, height and depth


def accessories(head, p, eyes, rng, made):
    """Add what a person wears on the head; `eyes` are the centre and radius of both, in the head's frame."""
    if p.get("glasses"):
        _glasses(head, p, eyes, made)
    if p.get("hat"):
        _hat(head, p, made)
    if p.get("earrings"):
        _earrings(head, p["seed"] % 2 == 0, made)


def _glasses(head, p, eyes, made):
    """Set a frame before the eyes, its bridge on the nose and its arms on the ears."""
    (left, radius), (right, _) = eyes
    sun, shape = p["glasses"] == "sun", p["glasses_shape"]
    metal = p["glasses_metal"]
    frame = MATS["metal" if metal else "frame"]
    wide, high, roundness = FRAMES[shape]
    wide, high = wide * (1.06 if sun else 1), high * (1.08 if sun else 1)
    front = max(left[2], right[2]) + radius + 0.16

    def add(name, points, faces, material):
        made.append(mesh_object(name, to_blender(head.wor(points)), faces, material))

    for eye in (left, right):
        side = np.sign(eye[0])
        ring = _rim(eye, side, wide, high, roundness, shape == "cat", front)
        add("frame", *tube(ring, 0.014 if metal else 0.022, True), frame)
        if sun:
            points = np.vstack([ring, ring.mean(0) + [0, 0, 0.03]])
            j = np.arange(len(ring))
            add("lens", points, np.stack([j, (j + 1) % 40, np.full(40, 40)], 1), MATS["lens"])
        outer, y = eye[0] + side * (wide + 0.01), eye[1]
        back = [[side * 0.74, y + 0.06, front - 0.35], [side * 0.80, y + 0.06, 0.62]]
        arm = np.array([[outer, y + 0.05, front - 0.09], *back, [side * 0.80, y - 0.10, 0.35]])
        add("frame", *tube(arm, 0.014, False), frame)
    inner = [[right[0] + wide * 0.92, right[1] + 0.02, front], [0, right[1] + 0.06, front + 0.03]]
    add(
        "frame",
        *tube(np.array([*inner, [left[0] - wide * 0.92, left[1] + 0.02, front]]), 0.014, False),
        frame,
    )


def _rim(eye, side, wide, high, roundness, cat, front):
    """Return the outline of one glass (40, 3), bent round the face."""
    angle = np.arange(40) / 40 * 2 * np.pi
    cos, sin = np.cos(angle), np.sin(angle)
    middle = eye[0] + side * 0.015
    x = middle + np.sign(cos) * np.abs(cos) ** (2 / roundness) * wide
    y = eye[1] - 0.03 + np.sign(sin) * np.abs(sin) ** (2 / roundness) * high
    if cat:
        y = y + 0.07 * np.clip((x - middle) * side / wide, 0, 1) * np.clip(sin, 0, 1)
    return np.stack([x, y, front - 0.25 * x**2], 1)


def _above_brim(points):
    """Return how far points (N, 3) of the rest mesh lie above a hat's rim, which sinks to the nape."""
    return points[:, 1] - (7.80 + (points[:, 2] - 1.3) * 0.33)


def _hat(head, p, made):
    """Lift the skull's cap off as a beanie or a baseball cap."""
    beanie = p["hat"] == "beanie"
    faces = BQ[(_above_brim(BR) > 0)[BQ].all(1)]
    chosen, faces_of_chosen = np.unique(faces, return_inverse=True)
    points = head.P[chosen] + head.N[chosen] * HAT_OFF[p["hat"]]
    if beanie:
        rise = ss(7.9, 8.6, head.loc(points)[:, 1])[:, None]
        points = points + head.dirw(np.array([0, 0.24, -0.12])) * rise
    material = MATS["cloth_knit" if beanie else "cloth_plain"]

    def add(name, points, faces, place, shade):
        colour = np.tile([*(np.array(p["hat_colour"]) * shade), 1], (len(points), 1))
        cut = ("FLOAT", np.ones(len(points)))
        place = ("FLOAT_VECTOR", place)
        attributes = {
            "col": ("FLOAT_COLOR", colour),
            "col2": ("FLOAT_COLOR", colour),
            "rp": place,
            "cut": cut,
        }
        made.append(mesh_object(name, to_blender(points), faces, material, attrs=attributes))

    add("hat", points, faces_of_chosen.reshape(faces.shape), BR[chosen], 1.0)
    azimuth, edge = _edge(head, points, BR[chosen])
    up, away = head.dirw(np.array([0, 1.0, 0.1])), norm(edge - points.mean(0))
    turned_up = ((-0.12, 0.02), (-0.14, 0.08), (0.0, 0.11), (0.22, 0.10), (0.26, 0.03))
    profile = turned_up if beanie else ((-0.05, -0.04), (-0.07, 0.025), (0.05, 0.03), (0.12, -0.03))
    rows = np.stack([edge + up * u + away * o for u, o in profile])
    add("band", rows.reshape(-1, 3), _grid_quads(*rows.shape[:2], True), rows.reshape(-1, 3), 0.8)
    if not beanie:
        rows = _peak(head, edge, azimuth)
        add("peak", rows.reshape(-1, 3), _grid_quads(*rows.shape[:2], False), rows.reshape(-1, 3), 0.7)


def _edge(head, points, rest, count=72):
    """Return azimuths (count,) and the smooth lower rim of a hat (count, 3)."""
    azimuth = np.linspace(-np.pi, np.pi, count, endpoint=False)
    local = head.loc(points) - HEADC
    angle = np.arctan2(local[:, 0], local[:, 2])
    off = np.abs((angle - azimuth[:, None] + np.pi) % (2 * np.pi) - np.pi)
    nearest = (off * 1.5 + np.abs(_above_brim(rest))).argmin(1)
    return azimuth, ndi.gaussian_filter1d(points[nearest], 2.5, axis=0, mode="wrap")


def _peak(head, edge, azimuth):
    """Return the rows (4, K, 3) of a cap's peak: forward, then down at the tip."""
    half = 0.95
    rim = edge[np.abs(azimuth) < half]
    bend = np.cos(azimuth[np.abs(azimuth) < half] / half * np.pi / 2)[:, None] ** 0.7
    forward, down = head.dirw(np.array([0, -0.24, 1.0])), head.dirw(np.array([0, -1.0, 0]))
    steps = ((0, 0), (0.32, 0), (0.62, 0.08), (0.63, 0.12))
    return np.stack([rim + forward * f * bend + down * d * bend for f, d in steps])


def _grid_quads(rows, columns, closed):
    """Return the quads between `rows` lines of `columns` points."""
    i = np.arange(rows - 1)[:, None] * columns
    j = np.arange(columns if closed else columns - 1)[None]
    following = (j + 1) % columns
    return np.stack([i + j, i + following, i + columns + following, i + columns + j], -1).reshape(-1, 4)


def _earrings(head, hoops, made):
    """Hang a hoop from, or set a stud on, each lobe."""
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for side in (-1, 1):
        vertex = np.linalg.norm(BR - [side * 0.75, 6.88, 0.53], axis=1).argmin()
        lobe = head.loc(head.P[vertex][None])[0] + [side * 0.02, 0.0, 0.02]
        radius = 0.13 if hoops else 0.02
        ring = lobe + np.stack(
            [np.sin(angle) * radius * 0.5, -radius + np.cos(angle) * radius, np.sin(angle) * radius * 0.85], 1
        )
        points, faces = tube(ring, 0.016 if hoops else 0.028, True, 6)
        made.append(mesh_object("earring", to_blender(head.wor(points)), faces, MATS["silver"]))


def close_hand(vertices, arm):
    """Fold the hand of an arm ("l" or "r") upwards and small, so that a phone hides it; (V, 3) decimetres."""
    wrist = joint(vertices, f"{arm}-hand")
    follows = np.zeros(len(vertices))
    for bone, (indices, weights) in WTS.items():
        if bone.startswith(("wrist", "metacarpal", "finger")) and bone.endswith("." + arm.upper()):
            np.add.at(follows, indices, weights)
    fold = 0.55 * rot_between(joint(vertices, f"{arm}-finger-3-2") - wrist, np.array([0, 1.0, 0.1]))
    moved = np.nonzero(follows)[0]
    folded = wrist + (vertices[moved] - wrist) @ fold.T
    closed = vertices.copy()
    closed[moved] += np.minimum(follows[moved], 1)[:, None] * (folded - vertices[moved])
    return closed


def phone(wrist, camera, side, flesh, made):
    """Put a phone into a raised hand, its back towards the camera, with fingers round its edge.

    `wrist` and `camera` (3,) are in decimetres, `side` is 1 for the left arm, `flesh` is linear RGBA.
    """
    toward = norm(camera - wrist)
    up = norm(np.array([-0.12 * side, 1.0, 0]) - toward * toward[1])
    right = np.cross(up, toward)
    axes = np.stack([right, up, toward])
    centre = wrist + up * 0.75 + toward * 0.42
    half_width, half_height, depth = PHONE

    def add(name, points, faces, material, attributes=None):
        world = to_blender(centre + points @ axes)
        made.append(mesh_object(name, world, faces, MATS[material], attrs=attributes or {}))

    outline = _rounded(half_width, half_height)
    rims = [(0.0, -depth), (1.0, -depth), (1.0, depth * 0.6), (0.96, depth), (0.0, depth)]
    rows = np.stack([np.c_[outline * share, np.full(len(outline), z)] for share, z in rims])
    add("phone", rows.reshape(-1, 3), _grid_quads(5, len(outline), True), "phone")
    for x, y in ((-0.20, 0.58), (-0.20, 0.38), (-0.04, 0.48)):
        disc = np.stack(
            [np.c_[_rounded(0.065, 0.065, 2.0) * s + [x, y], np.full(40, depth + 0.012)] for s in (0, 1)]
        )
        add("lens", disc.reshape(-1, 3), _grid_quads(2, 40, True), "lens")
        ring = np.c_[_rounded(0.07, 0.07, 2.0) + [x, y], np.full(40, depth + 0.012)]
        add("rim", *tube(ring, 0.007, True, 6), "silver")
    edge = half_width + 0.03
    for i in range(4):  # fingers come round the outer edge
        y = 0.12 - 0.17 * i
        path = [
            [edge - 0.1, y - 0.04, -0.2],
            [edge + 0.05, y - 0.02, -0.05],
            [edge, y, 0.09],
            [0.14, y + 0.03, 0.10],
        ]
        _finger(add, np.array(path) * [side, 1, 1], flesh)
    thumb = [
        [0.1 - edge, -0.45, -0.2],
        [-edge - 0.05, -0.3, -0.05],
        [-edge - 0.02, -0.05, 0.05],
        [-0.3, 0.08, 0.09],
    ]
    _finger(add, np.array(thumb) * [side, 1, 1], flesh)


def _rounded(half_width, half_height, roundness=7.0, count=40):
    """Return the outline (count, 2) of a rectangle with round corners."""
    angle = np.arange(count) / count * 2 * np.pi
    x, y = np.cos(angle), np.sin(angle)
    size = (np.abs(x) ** roundness + np.abs(y) ** roundness) ** (-1 / roundness)
    return np.stack([x * size * half_width, y * size * half_height], 1)


def _finger(add, joints, flesh):
    """Bend a finger of skin along a few joints (4, 3)."""
    at = np.linspace(0, 3, 14)
    path = np.stack([np.interp(at, range(4), c) for c in joints.T], 1)
    path = ndi.gaussian_filter1d(path, 1.2, axis=0, mode="nearest")
    points, faces = tube(path, 0.075, False, 8)
    taper = np.repeat(np.r_[np.ones(11), 0.9, 0.7, 0.25], 8)[:, None]
    points = np.repeat(path, 8, 0) + (points - np.repeat(path, 8, 0)) * taper
    colour, rough = np.tile(flesh, (len(points), 1)), np.full(len(points), 0.5)
    attributes = {"col": ("FLOAT_COLOR", colour), "rough": ("FLOAT", rough), "rp": ("FLOAT_VECTOR", points)}
    add("finger", points, faces, "skin", attributes)
