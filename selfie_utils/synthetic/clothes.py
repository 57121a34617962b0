"""Garments: what is worn, cut out of MakeHuman's body suit and hung on a person; decimetres, y up."""

import functools

import numpy as np
import scipy.sparse as sp
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from selfie_utils.synthetic.blender import mesh_object
from selfie_utils.synthetic.body import LBS, joint
from selfie_utils.synthetic.geometry import grid_noise, norm, quad_normals, rot, ss, to_blender, tube
from selfie_utils.synthetic.makehuman import PARTS
from selfie_utils.synthetic.materials import MATS

NECK = np.array([0, 5.89, 0.07])  # the neck's joint of the rest mesh
HEM = 0.35  # height where tops end, on the rest mesh: just below the hips
# Height of the neckline in front and at the sides, its half width, and how far a V dips.
NECKLINES = {
    **{"crew": (5.62, 5.98, 0.75, 0), "tee": (5.55, 5.95, 0.78, 0), "vneck": (5.70, 5.95, 0.62, 0.85)},
    **{"scoop": (5.35, 5.85, 1.05, 0), "tank": (5.20, 5.80, 0.90, 0), "hoodie": (5.72, 6.02, 0.75, 0.25)},
    **{"turtle": (5.86, 6.06, 0.80, 0), "shirt": (5.74, 6.02, 0.55, 0.62), "jacket": (5.60, 6.00, 0.75, 0)},
}
SLEEVES = {"tee": 1.45, "scoop": 0.85, "vneck": 1.25, "tank": -0.2}  # where they end, from the shoulder down
LOOSE = {"hoodie": 0.17, "crew": 0.10, "tee": 0.09, "shirt": 0.10, "jacket": 0.04, "turtle": 0.07}
HANG = {"vneck": 0.55, "scoop": 0.3, "tank": 0.4, "turtle": 0.5}  # 1 falls straight from the chest
TROUSERS = (0.018, 0.022, 0.035)


@functools.cache
def _suit():
    """Return the rest mesh of the suit: points (N, 3), quads, smoother, torso weight, place along the arm."""
    part = PARTS["tights"]
    rest, quads = part["rest"], part["q"]
    ends = np.roll(quads, 1, 1), np.roll(quads, -1, 1)
    pairs = np.concatenate([np.stack([quads.ravel(), end.ravel()]) for end in ends], 1)
    graph = sp.csr_matrix((np.ones(pairs.shape[1]), pairs), shape=(len(rest), len(rest)))
    graph.data[:] = 1
    smoother = sp.diags(1 / np.asarray(graph.sum(1)).ravel().clip(1)) @ graph
    along = (abs(rest[:, 0]) - 1.68) * 0.636 - (rest[:, 1] - 5.25) * 0.772
    return rest, quads, smoother, part["S"] @ LBS["torso"], along


def _neck_cut(kind):
    """Return how far below the neckline each point of the suit lies (N,), negative above."""
    rest = _suit()[0]
    front_height, side, half, dip = NECKLINES[kind]
    across, front = abs(rest[:, 0]), ss(0.0, 0.6, rest[:, 2])
    height = front_height * front + side * (1 - front)
    height = height + (side - height) * ss(0.15, half, across) * front
    height = height - front * dip * np.clip(1 - across / 0.5, 0, 1)
    return height - rest[:, 1]


@functools.cache
def _cut(kind):
    """Return how far inside a garment each point of the suit lies (N,): cloth is where this is positive."""
    rest, _, _, _, along = _suit()
    across, y = abs(rest[:, 0]), rest[:, 1]
    cut = np.minimum(_neck_cut(kind), y - HEM)
    if kind == "tank":
        return np.minimum(cut, 1.18 + 0.28 * ss(5.0, 3.8, y) + 0.6 * ss(3.8, 2.0, y) - across)
    sleeve = SLEEVES.get(kind, 99.0) - along
    return np.where(across > 1.45, np.minimum(cut, sleeve), cut)


@functools.cache
def _neckline(kind, count=96):
    """Return weights (count, N) that read the neckline off any pose of the suit, nape to nape."""
    rest, quads = _suit()[:2]
    cut = _neck_cut(kind)
    a, b = quads.ravel(), np.roll(quads, -1, 1).ravel()
    crossing = ((cut[a] > 0) != (cut[b] > 0)) & (rest[a, 1] > 4.4) & (abs(rest[a, 0]) < 1.3)
    a, b = a[crossing], b[crossing]
    share = (cut[a] / (cut[a] - cut[b]))[:, None]
    points = rest[a] + share * (rest[b] - rest[a])
    angle = np.arctan2(points[:, 0], points[:, 2] - 0.25)
    order = np.argsort(angle)
    wanted = np.linspace(-np.pi, np.pi, count, endpoint=False)
    loop = np.stack(
        [np.interp(wanted, angle[order], points[order, k], period=2 * np.pi) for k in range(3)], 1
    )
    return _weights(ndi.gaussian_filter1d(loop, 1.2, axis=0, mode="wrap"))


def _weights(points):
    """Return weights (K, N) that carry rest points (K, 3) along with the suit."""
    rest = _suit()[0]
    far, near = cKDTree(rest).query(points, 4)
    share = 1 / (far + 0.02)
    rows = np.repeat(np.arange(len(points)), 4)
    share = (share / share.sum(1, keepdims=True)).ravel()
    return sp.csr_matrix((share, (rows, near.ravel())), shape=(len(points), len(rest)))


@functools.cache
def _front_line(x, top, bottom, count):
    """Return weights (count, N) of a line down the front at `x`, from one height to another."""
    rest = _suit()[0]
    front = rest[(rest[:, 2] > 0.2) & (abs(rest[:, 0]) < 1.5)]
    heights = np.linspace(top, bottom, count)
    tree = cKDTree(front[:, :2])
    far, near = tree.query(np.stack([np.full(count, x), heights], 1), 4)
    share = 1 / (far + 0.02)
    depth = (front[near, 2] * share).sum(1) / share.sum(1)
    return _weights(np.stack([np.full(count, x), heights, depth], 1))


def _grid_quads(rows, columns, closed):
    """Return the quads between `rows` lines of `columns` points."""
    i = np.arange(rows - 1)[:, None] * columns
    j = np.arange(columns if closed else columns - 1)[None]
    following = (j + 1) % columns
    return np.stack([i + j, i + following, i + columns + following, i + columns + j], -1).reshape(-1, 4)


def _ridge(phase):
    return (0.5 + 0.5 * np.cos(2 * np.pi * phase)) ** 2


def _folds(seed):
    """Return the height of the folds (N,), 0 to 1: pulled, draped and slack."""
    rest, _, _, torso, along = _suit()
    x, y, z = rest.T
    across = abs(x)
    warp, other = grid_noise(rest, 0.8, seed), grid_noise(rest, 0.8, seed + 1)
    right, down = 1.35 - across, 4.5 - y
    far = np.hypot(right, down)
    pulled = _ridge(1.6 * np.arctan2(down, right) + 0.35 * warp) * np.exp(-(((far - 0.7) / 0.65) ** 2))
    draped = _ridge(x / 0.72 + 0.2 * y * np.tanh(3 * x) + 0.5 * warp) * ss(4.2, 2.6, y) * (0.6 + 0.4 * other)
    slack = _ridge(y / 0.8 + 0.3 * across + 0.5 * other) * np.exp(-(((y - 1.4) / 0.9) ** 2))
    shoulder = _ridge((across + 0.5 * y) / 0.42 + 0.3 * warp) * np.exp(-(((y - 5.0) / 0.4) ** 2)) * 0.35
    arm = _ridge(along / 0.5 + 0.45 * z + 0.45 * warp) * ss(0.3, 1.0, along) * (0.55 + 0.45 * other)
    body = ss(5.7, 5.2, y) * (pulled + 0.8 * draped + 0.7 * slack + shoulder)
    return torso * body + (1 - torso) * arm


def _hang(points, share):
    """Let cloth (N, 3) fall from the widest place above it instead of following every hollow."""
    _, _, _, torso, _ = _suit()
    axis = 0.1
    radius = np.hypot(points[:, 0], points[:, 2] - axis)
    row = (-0.9 - points[:, 1]) / 0.2
    column = (np.arctan2(points[:, 0], points[:, 2] - axis) / (2 * np.pi) + 0.5) * 40
    on = (torso > 0.7) & (row > 0) & (row < 30)
    widest = np.zeros((31, 40))
    np.maximum.at(widest, (row[on].astype(int), column[on].astype(int) % 40), radius[on])
    for i in range(1, 31):
        widest[i] = np.maximum(widest[i], 0.992 * widest[i - 1])
    widest = ndi.gaussian_filter(widest, (0.8, 1.2), mode=("nearest", "wrap"))
    target = ndi.map_coordinates(widest, [row - 0.5, (column - 0.5) % 40], order=1, mode="grid-wrap")
    grow = share * torso * ss(0, 3, row) * (row < 29) * np.clip(target - radius, 0, 0.8)
    scale = (1 + grow / np.maximum(radius, 0.3))[:, None]
    return np.where([True, False, True], (points - [0, 0, axis]) * scale + [0, 0, axis], points)


class Wardrobe:
    """One person's suit, in the frame of the neck, and what is sewn from it."""

    def __init__(self, vertices, p, made, seed):
        self.p, self.made, self.seed = p, made, seed
        self.neck, self.turn = joint(vertices, "neck"), rot([0, 1, 0], p.get("body_yaw", 0.0))
        self.skin = (PARTS["tights"]["S"] @ vertices - self.neck) @ self.turn
        self.skin_normals = quad_normals(self.skin, _suit()[1])
        self.colour, self.second = np.array(p["top_colour"]), np.array(p["top_colour2"])

    def add(self, name, points, quads, colour, material, place=None, cut=None):
        """Make a mesh of points in the neck's frame; `place` says where a pattern sees them."""
        colours = np.broadcast_to(colour, (len(points), 3))
        one = np.ones((len(points), 1))
        attributes = {
            "col": ("FLOAT_COLOR", np.hstack([colours, one])),
            "col2": ("FLOAT_COLOR", np.hstack([np.tile(self.second, (len(points), 1)), one])),
            "rp": ("FLOAT_VECTOR", points + NECK if place is None else place),
            "cut": ("FLOAT", one[:, 0] if cut is None else cut),
        }
        world = to_blender(points @ self.turn.T + self.neck)
        self.made.append(mesh_object(name, world, quads, MATS[material], attrs=attributes))

    def layer(self, kind, loose, fold):
        """Return the cloth of a garment: points and normals (N, 3), `loose` decimetres off the skin."""
        rest, quads, smoother, _, _ = _suit()
        cloth = self.skin + 0.10 * self.skin_normals
        for _ in range(10):
            cloth = cloth + 0.6 * (smoother @ cloth - cloth)
        spans = (ss(5.9, 5.3, rest[:, 1]) * ss(2.2, 1.6, abs(rest[:, 0])))[:, None]  # hollows of the torso
        cloth = self.skin + spans * (cloth - self.skin)
        inside = ((cloth - self.skin) * self.skin_normals).sum(1)
        cloth = cloth + self.skin_normals * np.clip(0.03 - inside, 0, None)[:, None]
        cloth = _hang(cloth, HANG.get(kind, 0.85))
        normals = quad_normals(cloth, quads)
        inside = ss(-0.1, 0.5, _cut(kind))
        away = loose * (0.45 + 0.55 * _suit()[3]) * inside + fold * _folds(self.seed) * inside + 0.02
        return cloth + normals * away[:, None], normals

    def band(self, name, line, normals, profile, colour, material="cloth_plain", closed=True):
        """Sew a flat band along a line (K, 3); `profile` lists (across, off the cloth) of its rows."""
        ahead = np.roll(line, -1, 0) - np.roll(line, 1, 0) if closed else np.gradient(line, axis=0)
        across = norm(np.cross(ahead, normals))
        rows = np.stack([line + across * a + normals * b for a, b in profile])
        self.add(name, rows.reshape(-1, 3), _grid_quads(len(rows), len(line), closed), colour, material)


def clothes(vertices, p, made, seed):
    """Dress a person; `vertices` is the posed base mesh in decimetres, `made` collects Blender's objects."""
    suit = Wardrobe(vertices, p, made, seed)
    kind = p["top"]
    rest, quads, _, _, _ = _suit()
    below = quads[(rest[quads, 1] < HEM + 0.9).all(1) & (abs(rest[quads, 0]) < 2.7).all(1)]
    suit.add("trousers", suit.skin + 0.05 * suit.skin_normals, below, TROUSERS, "cloth_plain", rest)
    cloth, normals = suit.layer(kind, LOOSE.get(kind, 0.04), 0.11 if kind != "tank" else 0.06)
    jacket = kind == "jacket"
    bare = kind in ("jacket", "hoodie", "turtle") or (kind == "shirt" and p["pattern"] == "knit")
    printed = "plain" if bare else p["pattern"]
    base = suit.second if jacket else suit.colour
    cut = _cut(kind)
    ends = ((cut > 0) & (cut < 0.09))[:, None]
    material = "cloth_" + printed
    above = quads[(cut[quads] > -0.3).any(1)]
    suit.add("top", cloth, above, np.where(ends, base * 0.8, base), material, rest, cut)
    at = _neckline(kind)
    line, out = at @ cloth, norm(at @ normals)
    if kind in ("tank", "scoop"):
        return
    {"hoodie": _hood, "turtle": _roll, "shirt": _shirt}.get(kind, _rib)(suit, cloth, normals, line, out)
    if jacket:
        _jacket(suit)


def _rib(suit, cloth, normals, line, out):
    base = suit.second if suit.p["top"] == "jacket" else suit.colour
    wide = 0.11 if suit.p["top"] in ("crew", "tee", "jacket") else 0.06
    profile = [(-wide, -0.04), (-wide, 0.01), (0, 0.03), (wide, 0.015), (wide, -0.04)]
    suit.band("rib", line, out, profile, base * 0.82)


def _around(line):
    """Return unit vectors (K, 3) away from the neck's axis, and how far to the front each point is, 0 to 1."""
    flat = line - line.mean(0)
    flat[:, 1] = 0
    flat = norm(flat)
    return flat, ss(-0.2, 1.0, flat[:, 2])


def _roll(suit, cloth, normals, line, out):
    """Fold the collar of a turtleneck: ribbed, two rolls high."""
    count = 320
    at = np.linspace(0, len(line), count, endpoint=False)
    line = np.stack([np.interp(at, np.arange(len(line) + 1), np.r_[c, c[0]]) for c in line.T], 1)
    away = _around(line)[0]
    middle = line.mean(0)
    rib = 0.012 * np.cos(np.arange(count) * np.pi / 2)
    profile = [
        (-0.10, 0.02),
        (0.03, 0.13),
        (0.22, 0.15),
        (0.40, 0.13),
        (0.55, 0.08),
        (0.60, 0.0),
        (0.50, -0.06),
    ]
    radius = 0.62 + 0.5 * (np.hypot(*(line - middle)[:, [0, 2]].T) - 0.62)
    base = np.stack([away[:, 0] * radius, line[:, 1] - 0.02, away[:, 2] * radius + middle[2]], 1)
    rows = np.stack([base + away * (o + rib * (o > 0.03))[:, None] + [0, u, 0.08 * u] for u, o in profile])
    quads = _grid_quads(len(rows), count, True)
    suit.add("roll", rows.reshape(-1, 3), quads, suit.colour * 0.95, "cloth_plain")


def _hood(suit, cloth, normals, line, out):
    """Lay a hood round the neck, thin in front and full behind, and hang two cords from it."""
    away, front = _around(line)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    thick = 0.10 + 0.20 * (1 - front)
    creases = 1 + 0.16 * grid_noise(line, 2.2, suit.seed)
    centre = line + away * (0.04 + 0.10 * (1 - front))[:, None] + [0, 0.10, 0]
    rows = np.stack(
        [
            centre
            + away * (np.cos(a) * thick * creases)[:, None]
            + (np.sin(a) * thick * 1.15)[:, None] * np.array([0, 1.0, 0])
            for a in [*angle, 0]
        ]
    )
    quads = _grid_quads(len(rows), len(line), True)
    suit.add("hood", rows.reshape(-1, 3), quads, suit.colour * 0.9, "cloth_plain")
    for side, bottom in ((-0.24, 4.1), (0.24, 4.25)):
        at = _front_line(side, 5.5, bottom, 14)
        v, q = tube(at @ cloth + norm(at @ normals) * 0.05, 0.028, False, 6)
        suit.add("cord", v, q, suit.colour * 0.4 + 0.42, "cloth_plain")


def _collar(suit, line, height, back, tip, colour, material, gap=0.0, cloth=None, normals=None):
    """Turn a collar down round the neckline: it stands `height`, falls `back` behind and `tip` in front."""
    start = np.argmax(line[:, 2])
    line = np.roll(line, -start, 0)[2:-2]
    away, front = _around(line)
    fall = (back + (tip - back) * front**3)[:, None]
    side = np.sign(line[:, :1]) * front[:, None] ** 6 * 0.12
    stand = height * (1 - 0.55 * front**2)[:, None]
    up = np.array([0, 1.0, 0])
    slope = norm(away * (1.05 - 0.55 * front[:, None]) - up * (0.35 + 0.65 * front[:, None]))
    top = line + up * stand + away * 0.02
    rows = [line - up * 0.05, line + up * stand * 0.6, top, top + away * 0.06]
    rows += [
        top + away * (0.08 + gap) + slope * fall * t + side * t * np.array([1, 0, 0]) for t in (0.5, 1.0)
    ]
    rows = np.stack(rows)
    tree = cKDTree(cloth)
    for row in rows[4:]:  # above the cloth
        near = tree.query(row)[1]
        below = ((row - cloth[near]) * normals[near]).sum(1)
        row += normals[near] * np.clip(0.07 + gap - below, 0, 0.5)[:, None]
    suit.add("collar", rows.reshape(-1, 3), _grid_quads(len(rows), len(line), False), colour, material)


def _shirt(suit, cloth, normals, line, out):
    """Sew a collar with two flaps, a button line and buttons."""
    pattern = "cloth_" + ("plain" if suit.p["pattern"] == "knit" else suit.p["pattern"])
    _collar(suit, line, 0.09, 0.36, 0.80, suit.colour * 0.93, pattern, 0.0, cloth, normals)
    at = _front_line(0.0, 5.12, HEM + 0.1, 60)
    smooth = functools.partial(ndi.gaussian_filter1d, sigma=1.5, axis=0)
    down, out = smooth(at @ cloth), norm(smooth(at @ normals))
    profile = [(-0.16, -0.02), (-0.15, 0.03), (0.15, 0.03), (0.16, -0.02)]
    suit.band("placket", down, out, profile, suit.colour * 0.9, pattern, closed=False)
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)[:, None]
    for i in range(2, 60, 10):
        side, up = np.array([1.0, 0, 0]), norm(np.cross(out[i], [1.0, 0, 0]))
        ring = down[i] + (np.cos(angle) * side + np.sin(angle) * up) * 0.065 + out[i] * 0.045
        points = np.vstack([ring, [down[i] + out[i] * 0.06]])
        j = np.arange(10)
        quads = np.stack([j, (j + 1) % 10, np.full(10, 10)], 1)
        suit.add("button", points, quads, suit.colour * 0.3 + 0.5, "cloth_plain")


def _jacket(suit):
    """Put an open jacket with a collar and lapels over the tee."""
    rest, quads, _, _, _ = _suit()
    y = rest[:, 1]
    cloth, normals = suit.layer("jacket", 0.17, 0.15)
    open_ = 0.38 + 0.16 * ss(4.5, 1.0, y) + 0.1 * ss(5.0, 5.8, y)
    cut = np.where(rest[:, 2] > 0.15, abs(rest[:, 0]) - open_, 1.0)
    cut = np.minimum(np.minimum(cut, 6.0 - y), y - HEM + 0.1)
    leather = max(suit.p["top_colour"]) < 0.06
    material = "leather" if leather else "cloth_plain"
    ends = ((cut > 0) & (cut < 0.07))[:, None]
    above = quads[(cut[quads] > -0.2).any(1)]
    suit.add("jacket", cloth, above, np.where(ends, suit.colour * 0.75, suit.colour), material, rest, cut)
    width = 0.62 * np.sin(np.linspace(0.35, np.pi, 30))[:, None] ** 0.8
    for side in (-1, 1):
        at = _front_line(side * 0.44, 5.55, 2.9, 30)
        edge, out = at @ cloth, norm(at @ normals)
        over = norm(np.cross(out, np.gradient(edge, axis=0)) * side)
        over = over * np.sign(over[:, :1] * side)
        rows = np.stack([edge + out * 0.0, edge + out * 0.10, edge + out * 0.11 + over * width * 0.5])
        rows = np.vstack([rows, (edge + out * 0.07 + over * width)[None]])
        suit.add("lapel", rows.reshape(-1, 3), _grid_quads(4, 30, False), suit.colour * 0.85, material)
    line = _neckline("jacket") @ cloth
    away = _around(line)[0]
    back = line[:, 2] < line[:, 2].mean() + 0.42
    order = np.roll(np.arange(len(line)), -np.argmax(line[:, 2]))
    order = order[back[order]]
    line, away = line[order], away[order]
    up = np.array([0, 1.0, 0])
    rows = np.stack([line, line + up * 0.28, line + up * 0.3 + away * 0.08, line + away * 0.42 - up * 0.02])
    suit.add("collar", rows.reshape(-1, 3), _grid_quads(4, len(line), False), suit.colour * 0.85, material)
