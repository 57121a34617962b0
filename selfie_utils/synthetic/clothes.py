"""Garments: what is worn above the waist."""

import math
import numpy as np
import scipy.sparse as sp
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.body import *
from selfie_utils.synthetic.blender import *
from selfie_utils.synthetic.materials import *

C_ = PARTS["tights"]
CR = C_["rest"]
CQ = C_["q"]


def _adj():
    i = np.concatenate([CQ[:, k] for k in range(4)] * 2)
    j = np.concatenate([CQ[:, (k + 1) % 4] for k in range(4)] + [CQ[:, (k - 1) % 4] for k in range(4)])
    A = sp.csr_matrix((np.ones(len(i)), (i, j)), shape=(len(CR), len(CR)))
    A.data[:] = 1
    return sp.diags(1 / np.asarray(A.sum(1)).ravel().clip(1)) @ A


C_ADJ = _adj()


def clothes(vp, p, objs, seed):
    P = C_["S"] @ vp
    N = quad_normals(P, CQ)
    P0 = P
    body = (ss(5.9, 5.3, CR[:, 1]) * ss(2.2, 1.6, np.abs(CR[:, 0])))[
        :, None
    ]  # fabric spans the hollows of the torso
    Q = P + N * 0.10
    for _ in range(14):
        Q = Q + 0.6 * (C_ADJ @ Q - Q)
    P = P + body * (Q - P)
    inside = ((P - P0) * N).sum(1)
    P = P + N * np.clip(0.03 - inside, 0, None)[:, None]
    N = quad_normals(P, CQ)
    ax, y, z = np.abs(CR[:, 0]), CR[:, 1], CR[:, 2]
    front = ss(0.0, 0.6, z)
    kind = p["top"]
    yn = {
        "crew": 5.62,
        "tee": 5.55,
        "vneck": 5.70,
        "scoop": 5.35,
        "tank": 5.20,
        "hoodie": 5.78,
        "turtle": 7.0,
    }[kind]
    side = {
        "crew": 5.98,
        "tee": 5.95,
        "vneck": 5.95,
        "scoop": 5.85,
        "tank": 5.8,
        "hoodie": 6.05,
        "turtle": 7.0,
    }[kind]
    neck = yn * front + side * (1 - front)
    neck = (
        neck
        + (side - neck) * ss(0.15, {"vneck": 0.62, "scoop": 1.05, "tank": 0.9}.get(kind, 0.75), ax) * front
    )
    if kind == "vneck":
        neck = np.where(front > 0, neck - front * 0.85 * np.clip(1 - ax / 0.6, 0, 1), neck)
    cut = neck - y
    sl = {"tee": 2.75, "scoop": 2.45, "vneck": 2.6, "tank": 1.42}.get(kind, 99.0)
    if kind == "tank":
        cut = np.minimum(cut, np.where(y > 3.6, (1.18 + 0.28 * ss(5.0, 3.8, y)) - ax, 1.0))
    else:
        cut = np.minimum(cut, sl - ax)
    loose = {"hoodie": 0.16, "crew": 0.10, "tee": 0.07}.get(kind, 0.04)
    P = (
        P
        + N
        * (loose * ss(-0.1, 0.7, cut) + 0.035 * grid_noise(CR, 1.7, seed) * ss(5.9, 5.3, y) + 0.02)[:, None]
    )
    c1, c2 = np.array(p["top_colour"]), np.array(p["top_colour2"])
    band = ((cut > 0) & (cut < 0.10))[:, None]
    col = np.where(band, c1 * (0.72 if p["pattern"] != "stripes" else 0.9), c1)
    o4 = np.ones((len(P), 1))
    objs.append(
        mesh_object(
            "top",
            to_blender(P),
            CQ,
            MATS["cloth_" + p["pattern"]],
            attrs={
                "col": ("FLOAT_COLOR", np.hstack([col, o4])),
                "col2": ("FLOAT_COLOR", np.hstack([np.tile(c2, (len(P), 1)), o4])),
                "rp": ("FLOAT_VECTOR", CR),
                "cut": ("FLOAT", cut),
            },
        )
    )
    if kind in ("hoodie", "turtle"):  # a fabric roll around the neck
        jn = joint(vp, "neck")
        ang = np.linspace(0, 2 * np.pi, 40, endpoint=False)
        hood = kind == "hoodie"
        rx, rz = (0.80, 0.80) if hood else (0.60, 0.62)
        ring = (
            np.stack(
                [
                    np.sin(ang) * rx,
                    (0.05 if hood else 0.32) - np.cos(ang) * (0.42 if hood else 0.12),
                    np.cos(ang) * rz + (0.05 if hood else 0.12),
                ],
                1,
            )
            + jn
        )
        v, q = tube(ring, 0.24 if hood else 0.14, True, 12)
        v = v + 0.02 * grid_noise(v, 3.0, seed)[:, None]
        objs.append(
            mesh_object(
                "hood",
                to_blender(v),
                q,
                MATS["cloth_plain"],
                attrs={
                    "col": ("FLOAT_COLOR", np.tile([*(c1 * 0.92), 1], (len(v), 1))),
                    "col2": ("FLOAT_COLOR", np.ones((len(v), 4))),
                    "rp": ("FLOAT_VECTOR", v),
                    "cut": ("FLOAT", np.ones(len(v))),
                },
            )
        )
