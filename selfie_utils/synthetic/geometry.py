"""Vectors, rotations, smooth steps, noise and tubes; arrays of points are float64 (N, 3)."""

import math
import numpy as np
from scipy import ndimage as ndi

DM = 0.1  # MakeHuman decimetres -> metres


def to_blender(v):  # MakeHuman y-up, z-front -> Blender z-up, front = -y
    return np.stack([v[..., 0], -v[..., 2], v[..., 1]], -1) * DM


def norm(v):
    return v / (np.linalg.norm(v, axis=-1, keepdims=True) + 1e-9)


def rot(axis, ang):
    axis = norm(np.asarray(axis, float))
    c, s = math.cos(ang), math.sin(ang)
    x, y, z = axis
    return np.array(
        [
            [c + x * x * (1 - c), x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
            [y * x * (1 - c) + z * s, c + y * y * (1 - c), y * z * (1 - c) - x * s],
            [z * x * (1 - c) - y * s, z * y * (1 - c) + x * s, c + z * z * (1 - c)],
        ]
    )


def rot_between(a, b):
    a, b = norm(a), norm(b)
    ax = np.cross(a, b)
    s = np.linalg.norm(ax)
    return rot(ax, math.atan2(s, a @ b)) if s > 1e-8 else np.eye(3)


ss = lambda a, b, t: np.clip((t - a) / (b - a), 0, 1) ** 2 * (3 - 2 * np.clip((t - a) / (b - a), 0, 1))


def grid_noise(pts, f, seed):
    """smooth value noise on points"""
    r = np.random.default_rng(seed)
    g = r.normal(size=(32, 32, 32))
    c = pts * f
    return ndi.map_coordinates(g, (c % 32).T, order=1, mode="grid-wrap")


def quad_normals(P, q):
    n = np.cross(P[q[:, 2]] - P[q[:, 0]], P[q[:, 3]] - P[q[:, 1]])
    vn = np.zeros_like(P)
    for k in range(4):
        np.add.at(vn, q[:, k], n)
    return norm(vn)


def tube(path, rad, closed, n=8):
    """path (k,3) -> tube mesh"""
    k = len(path)
    T_ = (np.roll(path, -1, 0) - np.roll(path, 1, 0)) if closed else np.gradient(path, axis=0)
    T_ = norm(T_)
    up = np.tile([0.02, 0.05, 1.0], (k, 1))
    a = norm(np.cross(T_, up))
    b = np.cross(T_, a)
    an = np.arange(n) / n * 2 * np.pi
    v = path[:, None] + rad * (
        np.cos(an)[None, :, None] * a[:, None] + np.sin(an)[None, :, None] * b[:, None]
    )
    i = np.arange(k if closed else k - 1)[:, None]
    i2 = (i + 1) % k
    j = np.arange(n)[None]
    j2 = (j + 1) % n
    return v.reshape(-1, 3), np.stack([i * n + j, i * n + j2, i2 * n + j2, i2 * n + j], -1).reshape(-1, 4)
