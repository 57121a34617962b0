"""Garments: what is worn, cut out of MakeHuman's body suit and hung on a person; decimetres, y up."""

import functools
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import scipy.sparse as sp
from scipy import ndimage as ndi
from scipy.spatial import cKDTree

from selfie_utils.synthetic.blender import mesh_object
from selfie_utils.synthetic.body import body_turn, follow, joint
from selfie_utils.synthetic.description import Look
from selfie_utils.synthetic.geometry import grid_noise, norm, quad_normals, sheet, ss, to_blender, tube
from selfie_utils.synthetic.makehuman import model
from selfie_utils.synthetic.materials import material

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
UP = np.array([0, 1.0, 0])
# The rows of a turtleneck's collar: height, and how far out.
ROLL = ((-0.10, 0.02), (0.03, 0.13), (0.22, 0.15), (0.40, 0.13), (0.55, 0.08), (0.60, 0.0), (0.50, -0.06))


class Suit(NamedTuple):
    """What MakeHuman's body suit is on the base mesh."""

    rest: np.ndarray  # (N, 3) points
    quads: np.ndarray  # (F, 4)
    smoother: sp.csr_matrix  # (N, N): the mean of the neighbours
    torso: np.ndarray  # (N,) 1 on the torso, 0 on the arms
    along: np.ndarray  # (N,) place along the arm, from the shoulder down


@functools.cache
def _suit() -> Suit:
    part = model().parts["tights"]
    rest, quads = part.rest, part.quads
    ends = np.roll(quads, 1, 1), np.roll(quads, -1, 1)
    pairs = np.concatenate([np.stack([quads.ravel(), end.ravel()]) for end in ends], 1)
    graph = sp.csr_matrix((np.ones(pairs.shape[1]), pairs), shape=(len(rest), len(rest)))
    graph.data[:] = 1
    smoother = sp.diags(1 / np.asarray(graph.sum(1)).ravel().clip(1)) @ graph
    along = (abs(rest[:, 0]) - 1.68) * 0.636 - (rest[:, 1] - 5.25) * 0.772
    return Suit(rest, quads, smoother, part.points(follow()["torso"]), along)


def _neck_cut(kind: str) -> np.ndarray:
    """Return how far below the neckline each point of the suit lies (N,), negative above."""
    rest = _suit().rest
    front_height, side, half, dip = NECKLINES[kind]
    across, front = abs(rest[:, 0]), ss(0.0, 0.6, rest[:, 2])
    height = front_height * front + side * (1 - front)
    height = height + (side - height) * ss(0.15, half, across) * front
    height = height - front * dip * np.clip(1 - across / 0.5, 0, 1)
    return height - rest[:, 1]


@functools.cache
def _cut(kind: str) -> np.ndarray:
    """Return how far inside a garment each point of the suit lies (N,): cloth is where this is positive."""
    rest, along = _suit().rest, _suit().along
    across, y = abs(rest[:, 0]), rest[:, 1]
    cut = np.minimum(_neck_cut(kind), y - HEM)
    if kind == "tank":
        return np.minimum(cut, 1.18 + 0.28 * ss(5.0, 3.8, y) + 0.6 * ss(3.8, 2.0, y) - across)
    sleeve = SLEEVES.get(kind, 99.0) - along
    return np.where(across > 1.45, np.minimum(cut, sleeve), cut)


@functools.cache
def _neckline(kind: str, count: int = 96) -> sp.csr_matrix:
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
    loop = [np.interp(wanted, angle[order], axis[order], period=2 * np.pi) for axis in points.T]
    return _weights(ndi.gaussian_filter1d(np.stack(loop, 1), 1.2, axis=0, mode="wrap"))


def _weights(points: np.ndarray) -> sp.csr_matrix:
    """Return weights (K, N) that carry rest points (K, 3) along with the suit."""
    rest = _suit().rest
    far, near = cKDTree(rest).query(points, 4)
    share = 1 / (far + 0.02)
    rows = np.repeat(np.arange(len(points)), 4)
    share = (share / share.sum(1, keepdims=True)).ravel()
    return sp.csr_matrix((share, (rows, near.ravel())), shape=(len(points), len(rest)))


@functools.cache
def _front_line(x: float, top: float, bottom: float, count: int) -> sp.csr_matrix:
    """Return weights (count, N) of a line down the front at `x`, from one height to another."""
    rest = _suit().rest
    front = rest[(rest[:, 2] > 0.2) & (abs(rest[:, 0]) < 1.5)]
    line = np.stack([np.full(count, x), np.linspace(top, bottom, count)], 1)
    far, near = cKDTree(front[:, :2]).query(line, 4)
    share = 1 / (far + 0.02)
    depth = (front[near, 2] * share).sum(1) / share.sum(1)
    return _weights(np.c_[line, depth])


def _ridge(phase: np.ndarray) -> np.ndarray:
    """Return ridges, 0 to 1, one for each whole number of the phase."""
    return (0.5 + 0.5 * np.cos(2 * np.pi * phase)) ** 2


def _folds(seed: int) -> np.ndarray:
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


def _hang(points: np.ndarray, share: float) -> np.ndarray:
    """Let cloth (N, 3) fall from the widest place above it instead of following every hollow."""
    torso, axis = _suit().torso, 0.1
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


class Line(NamedTuple):
    """A line on cloth."""

    points: np.ndarray  # (K, 3) decimetres
    normals: np.ndarray  # (K, 3) of the cloth

    @classmethod
    def on(cls, weights: sp.csr_matrix, cloth: np.ndarray, normals: np.ndarray) -> "Line":
        """Read a line off cloth: points and normals (N, 3), by weights (K, N)."""
        return cls(weights @ cloth, norm(weights @ normals))


@dataclass(frozen=True)
class Hem:
    """The edge of a garment."""

    width: float  # decimetres
    shade: float  # its colour, as a factor
    rest: float  # decimetres beyond it that are still in the mesh, unseen


@dataclass(frozen=True)
class Piece:
    """Something sewn; points in decimetres, in the frame of the neck."""

    name: str
    points: np.ndarray  # (N, 3)
    quads: np.ndarray  # (F, 4)
    colour: np.ndarray  # linear RGB, of all (3,) or of each point (N, 3)
    material: str = "cloth_plain"
    place: np.ndarray | None = None  # (N, 3) where a pattern sees the points
    cut: np.ndarray | None = None  # (N,) only where this is positive there is cloth


class Wardrobe:
    """One person's suit, in the frame of the neck, and what is sewn from it."""

    def __init__(self, vertices: np.ndarray, look: Look, seed: int, made: list):
        self.look, self.made, self.seed = look, made, seed
        self.neck, self.turn = joint(vertices, "neck"), body_turn(look)
        self.skin = (model().parts["tights"].points(vertices) - self.neck) @ self.turn
        self.skin_normals = quad_normals(self.skin, _suit().quads)
        self.colour, self.second = np.array(look.colour), np.array(look.second_colour)

    def sew(self, piece: Piece) -> None:
        """Put a piece into the scene."""
        points, shape = piece.points, (len(piece.points), 3)
        one = np.ones((len(points), 1))
        attributes = {
            "col": ("FLOAT_COLOR", np.hstack([np.broadcast_to(piece.colour, shape), one])),
            "col2": ("FLOAT_COLOR", np.hstack([np.broadcast_to(self.second, shape), one])),
            "rp": ("FLOAT_VECTOR", points + NECK if piece.place is None else piece.place),
            "cut": ("FLOAT", one[:, 0] if piece.cut is None else piece.cut),
        }
        world = to_blender(points @ self.turn.T + self.neck)
        self.made.append(mesh_object(piece.name, world, piece.quads, material(piece.material), attributes))

    def rows(self, name: str, rows: list, colour: np.ndarray, of="cloth_plain", closed=False) -> None:
        """Sew what lies between rows of points (K, 3), which may close to rings."""
        self.sew(Piece(name, *sheet(rows, closed), colour, of))

    def cloth(self, name: str, points: np.ndarray, cut: np.ndarray, colour: np.ndarray, of: str, hem: Hem):
        """Sew a garment: points (N, 3) of the suit where `cut` (N,) is positive, its hem darker."""
        rest, quads = _suit().rest, _suit().quads
        ends = ((cut > 0) & (cut < hem.width))[:, None]
        kept = quads[(cut[quads] > -hem.rest).any(1)]
        self.sew(Piece(name, points, kept, np.where(ends, colour * hem.shade, colour), of, rest, cut))

    def layer(self, kind: str, loose: float, fold: float) -> tuple[np.ndarray, np.ndarray]:
        """Return the cloth of a garment: points and normals (N, 3), `loose` decimetres off the skin."""
        rest, quads, smoother, torso, _ = _suit()
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
        away = loose * (0.45 + 0.55 * torso) * inside + fold * _folds(self.seed) * inside + 0.02
        return cloth + normals * away[:, None], normals

    def band(self, name: str, line: Line, profile, colour: np.ndarray, of="cloth_plain", closed=True):
        """Sew a flat band along a line; `profile` lists (across, off the cloth) of its rows."""
        at = line.points
        ahead = np.roll(at, -1, 0) - np.roll(at, 1, 0) if closed else np.gradient(at, axis=0)
        across = norm(np.cross(ahead, line.normals))
        rows = [at + across * a + line.normals * b for a, b in profile]
        self.rows(name, rows, colour, of, closed)


def clothes(vertices: np.ndarray, look: Look, seed: int, made: list) -> None:
    """Dress a person; `vertices` is the posed base mesh in decimetres, `made` collects Blender's objects."""
    suit, kind = Wardrobe(vertices, look, seed % 1009, made), look.garment
    rest, quads = _suit().rest, _suit().quads
    below = quads[(rest[quads, 1] < HEM + 0.9).all(1) & (abs(rest[quads, 0]) < 2.7).all(1)]
    legs = suit.skin + 0.05 * suit.skin_normals
    suit.sew(Piece("trousers", legs, below, np.array(TROUSERS), place=rest))
    cloth, normals = suit.layer(kind, LOOSE.get(kind, 0.04), 0.11 if kind != "tank" else 0.06)
    bare = kind in ("jacket", "hoodie", "turtle") or (kind == "shirt" and look.pattern == "knit")
    base, printed = suit.second if kind == "jacket" else suit.colour, "plain" if bare else look.pattern
    suit.cloth("top", cloth, _cut(kind), base, "cloth_" + printed, Hem(0.09, 0.8, 0.3))
    if kind not in ("tank", "scoop"):
        line = Line.on(_neckline(kind), cloth, normals)
        {"hoodie": _hood, "turtle": _roll, "shirt": _shirt}.get(kind, _rib)(suit, cloth, normals, line)
    if kind == "jacket":
        _jacket(suit)


def _rib(suit: Wardrobe, cloth: np.ndarray, normals: np.ndarray, line: Line) -> None:
    kind = suit.look.garment
    base = suit.second if kind == "jacket" else suit.colour
    wide = 0.11 if kind in ("crew", "tee", "jacket") else 0.06
    profile = [(-wide, -0.04), (-wide, 0.01), (0, 0.03), (wide, 0.015), (wide, -0.04)]
    suit.band("rib", line, profile, base * 0.82)


def _around(line: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return unit vectors (K, 3) away from the neck's axis, and how far to the front they point, 0 to 1."""
    flat = line - line.mean(0)
    flat[:, 1] = 0
    flat = norm(flat)
    return flat, ss(-0.2, 1.0, flat[:, 2])


def _roll(suit: Wardrobe, cloth: np.ndarray, normals: np.ndarray, line: Line) -> None:
    """Fold the collar of a turtleneck: ribbed, two rolls high."""
    count, points = 320, line.points
    at = np.linspace(0, len(points), count, endpoint=False)
    fine = np.stack([np.interp(at, np.arange(len(points) + 1), np.r_[c, c[0]]) for c in points.T], 1)
    away, middle = _around(fine)[0], fine.mean(0)
    rib = 0.012 * np.cos(np.arange(count) * np.pi / 2)
    radius = 0.62 + 0.5 * (np.hypot(*(fine - middle)[:, [0, 2]].T) - 0.62)
    base = np.stack([away[:, 0] * radius, fine[:, 1] - 0.02, away[:, 2] * radius + middle[2]], 1)
    rows = [base + away * (o + rib * (o > 0.03))[:, None] + [0, u, 0.08 * u] for u, o in ROLL]
    suit.rows("roll", rows, suit.colour * 0.95, closed=True)


def _hood(suit: Wardrobe, cloth: np.ndarray, normals: np.ndarray, line: Line) -> None:
    """Lay a hood round the neck, thin in front and full behind, and hang two cords from it."""
    away, front = _around(line.points)
    angle = np.linspace(0, 2 * np.pi, 12, endpoint=False)
    thick = 0.10 + 0.20 * (1 - front)
    creases = 1 + 0.16 * grid_noise(line.points, 2.2, suit.seed)
    centre = line.points + away * (0.04 + 0.10 * (1 - front))[:, None] + [0, 0.10, 0]
    ring = [(np.cos(a) * thick * creases, np.sin(a) * thick * 1.15) for a in [*angle, 0]]
    rows = [centre + away * out[:, None] + rise[:, None] * UP for out, rise in ring]
    suit.rows("hood", rows, suit.colour * 0.9, closed=True)
    for side, bottom in ((-0.24, 4.1), (0.24, 4.25)):
        cord = Line.on(_front_line(side, 5.5, bottom, 14), cloth, normals)
        string = tube(cord.points + cord.normals * 0.05, 0.028, False, 6)
        suit.sew(Piece("cord", *string, suit.colour * 0.4 + 0.42))


def _collar(line: np.ndarray, cloth: np.ndarray, normals: np.ndarray) -> list[np.ndarray]:
    """Turn a shirt's collar down round the neckline (K, 3); returns its rows (K - 4, 3)."""
    line = np.roll(line, -np.argmax(line[:, 2]), 0)[2:-2]
    away, front = _around(line)
    fall = (0.36 + (0.80 - 0.36) * front**3)[:, None]
    side = np.sign(line[:, :1]) * front[:, None] ** 6 * 0.12 * np.array([1, 0, 0])
    stand = 0.09 * (1 - 0.55 * front**2)[:, None]
    slope = norm(away * (1.05 - 0.55 * front[:, None]) - UP * (0.35 + 0.65 * front[:, None]))
    top = line + UP * stand + away * 0.02
    rows = [line - UP * 0.05, line + UP * stand * 0.6, top, top + away * 0.06]
    rows += [top + away * 0.08 + slope * fall * t + side * t for t in (0.5, 1.0)]
    tree = cKDTree(cloth)
    for row in rows[4:]:  # above the cloth
        near = tree.query(row)[1]
        over = ((row - cloth[near]) * normals[near]).sum(1)
        row += normals[near] * np.clip(0.07 - over, 0, 0.5)[:, None]
    return rows


def _shirt(suit: Wardrobe, cloth: np.ndarray, normals: np.ndarray, line: Line) -> None:
    """Sew a collar with two flaps, a button line and buttons."""
    pattern = "cloth_" + ("plain" if suit.look.pattern == "knit" else suit.look.pattern)
    suit.rows("collar", _collar(line.points, cloth, normals), suit.colour * 0.93, pattern)
    smooth = functools.partial(ndi.gaussian_filter1d, sigma=1.5, axis=0)
    at = _front_line(0.0, 5.12, HEM + 0.1, 60)
    down = Line(smooth(at @ cloth), norm(smooth(at @ normals)))
    profile = [(-0.16, -0.02), (-0.15, 0.03), (0.15, 0.03), (0.16, -0.02)]
    suit.band("placket", down, profile, suit.colour * 0.9, pattern, closed=False)
    for middle, out in list(zip(*down, strict=True))[2::10]:
        suit.sew(Piece("button", *_button(middle, out), suit.colour * 0.3 + 0.5))


def _button(middle: np.ndarray, out: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (11, 3) and triangles of a button."""
    angle = np.linspace(0, 2 * np.pi, 10, endpoint=False)[:, None]
    side, up = np.array([1.0, 0, 0]), norm(np.cross(out, [1.0, 0, 0]))
    ring = middle + (np.cos(angle) * side + np.sin(angle) * up) * 0.065 + out * 0.045
    j = np.arange(10)
    return np.vstack([ring, [middle + out * 0.06]]), np.stack([j, (j + 1) % 10, np.full(10, 10)], 1)


def _jacket(suit: Wardrobe) -> None:
    """Put an open jacket with a collar and lapels over the tee."""
    rest = _suit().rest
    y = rest[:, 1]
    cloth, normals = suit.layer("jacket", 0.17, 0.15)
    gap = 0.38 + 0.16 * ss(4.5, 1.0, y) + 0.1 * ss(5.0, 5.8, y)
    cut = np.where(rest[:, 2] > 0.15, abs(rest[:, 0]) - gap, 1.0)
    cut = np.minimum(np.minimum(cut, 6.0 - y), y - HEM + 0.1)
    of = "leather" if max(suit.look.colour) < 0.06 else "cloth_plain"
    suit.cloth("jacket", cloth, cut, suit.colour, of, Hem(0.07, 0.75, 0.2))
    for side in (-1, 1):
        suit.rows("lapel", _lapel(side, cloth, normals), suit.colour * 0.85, of)
    suit.rows("collar", _jacket_collar(_neckline("jacket") @ cloth), suit.colour * 0.85, of)


def _lapel(side: int, cloth: np.ndarray, normals: np.ndarray) -> list[np.ndarray]:
    """Return the rows (30, 3) of a lapel, folded back from the edge of a jacket."""
    width = 0.62 * np.sin(np.linspace(0.35, np.pi, 30))[:, None] ** 0.8
    edge, out = Line.on(_front_line(side * 0.44, 5.55, 2.9, 30), cloth, normals)
    over = norm(np.cross(out, np.gradient(edge, axis=0)) * side)
    over = over * np.sign(over[:, :1] * side)
    return [edge, edge + out * 0.10, edge + out * 0.11 + over * width * 0.5, edge + out * 0.07 + over * width]


def _jacket_collar(line: np.ndarray) -> list[np.ndarray]:
    """Return the rows (K, 3) of a collar that stands behind the neckline and falls over."""
    away = _around(line)[0]
    back = line[:, 2] < line[:, 2].mean() + 0.42
    order = np.roll(np.arange(len(line)), -np.argmax(line[:, 2]))
    order = order[back[order]]
    line, away = line[order], away[order]
    return [line, line + UP * 0.28, line + UP * 0.3 + away * 0.08, line + away * 0.42 - UP * 0.02]
