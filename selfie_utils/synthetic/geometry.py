"""Vectors, rotations, smooth steps, noise and tubes; arrays of points are float64 (N, 3)."""

import math

import numpy as np
from scipy import ndimage

DM = 0.1  # MakeHuman's decimetres -> metres


def to_blender(points: np.ndarray) -> np.ndarray:
    """Turn MakeHuman's frame (decimetres, y up, z to the front) into Blender's (metres, z up, front -y)."""
    return np.stack([points[..., 0], -points[..., 2], points[..., 1]], -1) * DM


def from_blender(point: np.ndarray) -> np.ndarray:
    """Turn a point (3,) of Blender's frame into MakeHuman's."""
    return np.array([point[0], point[2], -point[1]]) / DM


def norm(vectors: np.ndarray) -> np.ndarray:
    """Return vectors (..., 3) of length 1."""
    return vectors / (np.linalg.norm(vectors, axis=-1, keepdims=True) + 1e-9)


def rot(axis, angle: float) -> np.ndarray:
    """Return the matrix (3, 3) of a turn around an axis, radians."""
    x, y, z = norm(np.asarray(axis, float))
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def rot_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the shortest turn (3, 3) from one direction to another."""
    a, b = norm(a), norm(b)
    axis = np.cross(a, b)
    sine = np.linalg.norm(axis)
    return rot(axis, math.atan2(sine, a @ b)) if sine > 1e-8 else np.eye(3)


def ss(start, end, value) -> np.ndarray:
    """Step smoothly from 0 at `start` to 1 at `end`, which may be below `start`."""
    t = np.clip((value - start) / (end - start), 0, 1)
    return t * t * (3 - 2 * t)


def grid_noise(points: np.ndarray, frequency: float, seed: int) -> np.ndarray:
    """Return smooth noise (N,) at points, standard deviation below 1."""
    grid = np.random.default_rng(seed).normal(size=(32, 32, 32))
    return ndimage.map_coordinates(grid, (points * frequency % 32).T, order=1, mode="grid-wrap")


def quad_normals(points: np.ndarray, quads: np.ndarray) -> np.ndarray:
    """Return the normal (N, 3) of a mesh at each of its points."""
    faces = np.cross(points[quads[:, 2]] - points[quads[:, 0]], points[quads[:, 3]] - points[quads[:, 1]])
    corners = quads.ravel()
    each = np.repeat(faces, 4, 0)
    sums = [np.bincount(corners, each[:, axis], len(points)) for axis in range(3)]
    return norm(np.stack(sums, 1))


def sheet(rows, closed: bool) -> tuple[np.ndarray, np.ndarray]:
    """Return the points (R * K, 3) and quads between rows (R, K, 3) of points, which may close to rings."""
    rows = np.asarray(rows)
    count, columns = rows.shape[:2]
    i = np.arange(count - 1)[:, None] * columns
    j = np.arange(columns if closed else columns - 1)[None]
    following = (j + 1) % columns
    quads = np.stack([i + j, i + following, i + columns + following, i + columns + j], -1)
    return rows.reshape(-1, 3), quads.reshape(-1, 4)


def tube(path: np.ndarray, radius: float, closed: bool, n: int = 8) -> tuple[np.ndarray, np.ndarray]:
    """Return a tube of `n` sides along a path (K, 3): its points (K * n, 3) and its quads."""
    count = len(path)
    ahead = np.roll(path, -1, 0) - np.roll(path, 1, 0) if closed else np.gradient(path, axis=0)
    ahead = norm(ahead)
    side = norm(np.cross(ahead, [0.02, 0.05, 1.0]))
    angles = np.arange(n)[:, None] / n * 2 * np.pi
    ring = np.cos(angles) * side[:, None] + np.sin(angles) * np.cross(ahead, side)[:, None]
    i = np.arange(count if closed else count - 1)[:, None]
    j = np.arange(n)[None]
    following, beside = (i + 1) % count, (j + 1) % n
    quads = np.stack([i * n + j, i * n + beside, following * n + beside, following * n + j], -1)
    return (path[:, None] + radius * ring).reshape(-1, 3), quads.reshape(-1, 4)
