"""Where on the head things grow: scalp, brows, beard; on the rest mesh, whose topology never changes."""

import math
import numpy as np
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.makehuman import MODEL, V0, PARTS, T, WTS

B = PARTS["body"]
BR = B["rest"]
BQ = B["q"]
x_, y_, z_ = np.abs(BR[:, 0]), BR[:, 1], BR[:, 2]
_hz = [-0.6, 0.1, 0.30, 0.36, 0.42, 0.62, 0.66, 0.76, 0.82, 0.95, 1.1, 1.25, 1.37, 1.6]
_hy = [6.70, 6.66, 6.75, 7.05, 7.40, 7.42, 7.05, 7.10, 7.48, 7.70, 7.92, 7.95, 7.93, 7.95]
SCALP = np.where((y_ > 6.5) & (B["masks"]["ears"] < 0.5), ss(-0.05, 0.10, y_ - np.interp(z_, _hz, _hy)), 0)
PAINT = SCALP**1.5
ROOTS = SCALP * (
    1 + 1.5 * ss(0.35, 0.0, y_ - np.interp(z_, _hz, _hy)) * (z_ > 0.8) + 0.8 * ss(0.25, 0.0, x_) * (z_ > 0.3)
)
HEADV = y_ > 6.0
_bx = [0.10, 0.16, 0.26, 0.38, 0.50, 0.58]
_by = [7.505, 7.515, 7.535, 7.550, 7.520, 7.465]
_bw = [0.0, 0.036, 0.042, 0.034, 0.022, 0.0]
BROW = (
    (z_ > 1.0)
    * np.clip(1 - np.abs(y_ - np.interp(x_, _bx, _by)) / (np.interp(x_, _bx, _bw) + 1e-3), 0, 1)
    * (x_ > 0.1)
    * (x_ < 0.58)
)
_jaw = 6.66 + 0.55 * np.clip((1.32 - z_) / 0.62, 0, 1)  # upper edge of the beard
BEARD = (
    (z_ > 0.62)
    * (y_ > 6.02)
    * ss(-0.02, 0.06, _jaw - y_)
    * (y_ < 7.15)
    * (B["masks"]["lips"] < 0.3)
    * (B["masks"]["inside-mouth"] < 0.3)
)
MOUST = (
    (z_ > 1.3)
    * ss(-0.02, 0.02, 6.84 - y_)
    * (y_ > 6.60)
    * ss(-0.03, 0.05, 0.36 - x_)
    * (B["masks"]["lips"] < 0.3)
)
BEARD = np.maximum(BEARD, MOUST * 0.9)
GOATEE = np.maximum(MOUST, BEARD * (x_ < 0.27) * (z_ > 1.2))
_n = len(BR)


def sample_roots(P, N, mask, n, r, thr=0.02):
    """n points on quads, density ~ area x mask."""
    q = BQ[mask[BQ].max(1) > thr]
    a = np.linalg.norm(np.cross(P[q[:, 2]] - P[q[:, 0]], P[q[:, 3]] - P[q[:, 1]]), axis=1) * mask[q].mean(1)
    i = r.choice(len(q), n, p=a / a.sum())
    u, v = r.random((2, n, 1))
    f = q[i]
    bl = lambda A: (
        (A[f[:, 0]] * (1 - u) + A[f[:, 1]] * u) * (1 - v) + (A[f[:, 3]] * (1 - u) + A[f[:, 2]] * u) * v
    )
    return bl(P), norm(bl(N)), bl(BR), bl(mask[:, None])[:, 0]
