"""Glasses, hats, earrings and the phone."""

import math
import numpy as np
from scipy import ndimage as ndi
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.regions import *
from selfie_utils.synthetic.body import *
from selfie_utils.synthetic.blender import *
from selfie_utils.synthetic.materials import *


def accessories(hd, p, eyes, r, objs):
    """glasses, sunglasses, hats: simple geometry in the head frame"""
    (el, rl), (er, r2) = eyes  # head-frame eye centres
    if p.get("glasses"):
        sun = p["glasses"] == "sun"
        sh = p.get("glasses_shape", "round")
        fr = MATS["metal"] if p.get("glasses_metal") else MATS["frame"]
        w, h, e = {"round": (0.235, 0.215, 2.2), "square": (0.265, 0.19, 4.0), "cat": (0.265, 0.195, 2.8)}[sh]
        if sun:
            w *= 1.12
            h *= 1.18
        t = np.arange(40) / 40 * 2 * np.pi
        zf = max(el[2], er[2]) + rl * 1.0 + 0.16
        parts = []
        for c in (el, er):
            s = np.sign(c[0])
            cx = c[0] + s * 0.015
            ct, st = np.cos(t), np.sin(t)
            X = cx + np.sign(ct) * np.abs(ct) ** (2 / e) * w
            Y = c[1] - 0.03 + np.sign(st) * np.abs(st) ** (2 / e) * h
            if sh == "cat":
                Y = Y + 0.07 * np.clip((X - cx) * s / w, 0, 1) * np.clip(st, 0, 1)
            Z = zf - 0.10 * (np.abs(X) / 0.6) ** 2 * 0.9
            ring = np.stack([X, Y, Z], 1)
            parts.append(tube(ring, 0.020 if fr is MATS["frame"] else 0.010, True))
            if sun:
                v = np.vstack([ring, ring.mean(0, keepdims=True) + [0, 0, 0.03]])
                q = np.stack([np.arange(40), (np.arange(40) + 1) % 40, np.full(40, 40)], 1)
                objs.append(mesh_object("lens", to_blender(hd.wor(v)), q, MATS["lens"]))
            out = cx + s * w
            parts.append(
                tube(
                    np.array(
                        [
                            [out, c[1] + 0.05, zf - 0.09],
                            [s * 0.74, c[1] + 0.06, zf - 0.35],
                            [s * 0.80, c[1] + 0.06, 0.62],
                            [s * 0.80, c[1] - 0.10, 0.35],
                        ]
                    ),
                    0.014,
                    False,
                )
            )
        parts.append(
            tube(
                np.array(
                    [
                        [er[0] + w * 0.92, er[1] + 0.02, zf],
                        [0, er[1] + 0.05, zf + 0.03],
                        [el[0] - w * 0.92, el[1] + 0.02, zf],
                    ]
                ),
                0.014,
                False,
            )
        )
        for v, q in parts:
            objs.append(mesh_object("frame", to_blender(hd.wor(v)), q, fr))
    if p.get("hat"):
        line = 7.80 + (z_ - 1.3) * 0.33
        keep = BR[:, 1] > line
        q = BQ[keep[BQ].all(1)]
        vid, inv = np.unique(q, return_inverse=True)
        off = 0.30 if p["hat"] == "beanie" else 0.24
        v = hd.P[vid] + hd.N[vid] * off
        u = hd.loc(v)
        if p["hat"] == "beanie":
            v = v + hd.dirw(np.array([0, 0.35, -0.12])) * ss(7.9, 8.6, u[:, 1])[:, None]
        attr = {
            "col": ("FLOAT_COLOR", np.tile([*p["hat_colour"], 1], (len(v), 1))),
            "col2": ("FLOAT_COLOR", np.tile([*p["hat_colour"], 1], (len(v), 1))),
            "rp": ("FLOAT_VECTOR", BR[vid]),
            "cut": ("FLOAT", np.ones(len(v))),
        }
        objs.append(
            mesh_object(
                "hat",
                to_blender(v),
                inv.reshape(q.shape),
                MATS["cloth_knit" if p["hat"] == "beanie" else "cloth_plain"],
                attrs=attr,
            )
        )
        az = np.linspace(-np.pi, np.pi, 72, endpoint=False)
        hc = v.mean(0)
        hu = hd.loc(v) - HEADC
        aa = np.arctan2(hu[:, 0], hu[:, 2])
        edge = []
        ln = BR[vid][:, 1] - (7.80 + (BR[vid][:, 2] - 1.3) * 0.33)
        for a in az:  # lower rim of the hat
            d = np.abs((aa - a + np.pi) % (2 * np.pi) - np.pi)
            k = np.argmin(d * 1.5 + np.abs(ln) * 1.0)
            edge.append(v[k])
        edge = np.array(edge)
        edge = np.stack([ndi.gaussian_filter1d(edge[:, i], 2.5, mode="wrap") for i in range(3)], 1)

        def cl(v, q, name):
            at = {
                "col": ("FLOAT_COLOR", np.tile([*(np.array(p["hat_colour"]) * 0.8), 1], (len(v), 1))),
                "col2": ("FLOAT_COLOR", np.ones((len(v), 4))),
                "rp": ("FLOAT_VECTOR", v),
                "cut": ("FLOAT", np.ones(len(v))),
            }
            objs.append(
                mesh_object(
                    name,
                    to_blender(v),
                    q,
                    MATS["cloth_knit" if p["hat"] == "beanie" else "cloth_plain"],
                    attrs=at,
                )
            )

        if p["hat"] == "beanie":
            upv = hd.dirw(np.array([0, 1.0, 0.1]))
            rows = np.stack(
                [
                    edge + upv * t + norm(edge - hc) * o
                    for t, o in ((-0.12, 0.02), (-0.14, 0.10), (0.0, 0.14), (0.22, 0.13), (0.26, 0.04))
                ],
                0,
            )
            k = len(edge)
            i = np.arange(4)[:, None] * k
            j = np.arange(k)[None]
            q = np.stack([i + j, i + (j + 1) % k, i + k + (j + 1) % k, i + k + j], -1).reshape(-1, 4)
            cl(rows.reshape(-1, 3), q, "brim")
        else:
            upv = hd.dirw(np.array([0, 1.0, 0.1]))
            rows = np.stack(
                [
                    edge + upv * t + norm(edge - hc) * o
                    for t, o in ((-0.05, -0.04), (-0.07, 0.025), (0.05, 0.03), (0.12, -0.03))
                ],
                0,
            )
            k = len(edge)
            i = np.arange(3)[:, None] * k
            j = np.arange(k)[None]
            q = np.stack([i + j, i + (j + 1) % k, i + k + (j + 1) % k, i + k + j], -1).reshape(-1, 4)
            cl(rows.reshape(-1, 3), q, "band")
            sel = np.abs(az) < 1.05
            e = edge[sel]
            a = az[sel]
            fw = hd.dirw(np.array([0, -0.22, 1.0]))
            ex = np.cos(a / 1.05 * np.pi / 2)[:, None]
            rows = np.stack(
                [
                    e,
                    e + fw * 0.35 * ex,
                    e + fw * 0.75 * ex - hd.dirw(np.array([0, 0.12, 0])) * ex,
                    e + fw * 0.76 * ex - hd.dirw(np.array([0, 0.16, 0])) * ex,
                ],
                0,
            )
            k = len(e)
            i = np.arange(3)[:, None] * k
            j = np.arange(k - 1)[None]
            q = np.stack([i + j, i + j + 1, i + k + j + 1, i + k + j], -1).reshape(-1, 4)
            cl(rows.reshape(-1, 3), q, "peak")
