"""The shape of a person: MakeHuman's base mesh, morphed and posed."""

import math
import numpy as np
from scipy.spatial import cKDTree
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.makehuman import MODEL, V0, PARTS, T, WTS


# ------------------------------------------------------------------ skin weights (few bones are enough)
def _weights():
    n = len(V0)
    g = {}
    legs = ("leg", "foot", "toe", "pelvis", "root")
    for b, (i, w) in WTS.items():
        side = b[-2:] if b[-2:] in (".L", ".R") else ""
        if b.startswith(("upperarm",)):
            k = "upper" + side
        elif b.startswith(("lowerarm", "wrist", "finger", "metacarpal")):
            k = "lower" + side
        elif b.startswith("shoulder"):
            k = "shoulder" + side
        elif b.startswith(("spine", "clavicle", "breast") + legs):
            k = "torso"
        elif b.startswith("neck"):
            k = "neck"
        else:
            k = "head"
        g.setdefault(k, np.zeros(n))
        np.add.at(g[k], i, w)
    s = sum(g.values())
    for k in g:
        g[k] = np.where(s > 1e-6, g[k] / np.maximum(s, 1e-6), 0)
    g["head"] = np.where(s > 1e-6, g["head"], (V0[:, 1] > 6.2) * 1.0)
    g["torso"] = np.where(s > 1e-6, g["torso"], (V0[:, 1] <= 6.2) * 1.0)
    return g


LBS = _weights()


# ------------------------------------------------------------------ shape
def morph(p):
    """Base vertices of a person: macro targets (gender, age, weight, muscle, ancestry) + details + expression."""
    v = V0.astype(np.float32).copy()

    def add(key, w):
        if abs(w) > 1e-4:
            i, d = T[key]
            v[i] += w * d

    g, a = p["gender"], p["age_param"]
    ages = (
        {"young": 1 - (a - 0.5) / 0.5, "old": (a - 0.5) / 0.5}
        if a >= 0.5
        else {"child": (0.5 - a) / 0.3125, "young": 1 - (0.5 - a) / 0.3125}
    )
    sx = {"female": 1 - g, "male": g}
    mu, we = p["muscle"], p["weight"]
    ms = {
        "averagemuscle": 1 - abs(mu - 0.5) * 2,
        "maxmuscle": max(0, mu - 0.5) * 2,
        "minmuscle": max(0, 0.5 - mu) * 2,
    }
    ws = {
        "averageweight": 1 - abs(we - 0.5) * 2,
        "maxweight": max(0, we - 0.5) * 2,
        "minweight": max(0, 0.5 - we) * 2,
    }
    for s, w1 in sx.items():
        for t, w2 in ages.items():
            for r, w3 in p["ancestry"].items():
                add(f"macro/{r}-{s}-{t}", w1 * w2 * w3)
            for m, w4 in ms.items():
                for w_, w5 in ws.items():
                    add(f"macro/universal-{s}-{t}-{m}-{w_}", w1 * w2 * w4 * w5)
    for k, w in p["details"].items():
        add(k, w)
    for k, w in p["expression"].items():
        add(k, w)
    for k in ("fu/eyeWideLeft", "fu/eyeWideRight"):
        add(k, p.get("eye_open", 0.22))
    return v


def joint(v, name):
    a, b = MODEL["joints"][name]
    return v[a : b + 1].mean(0)


def pose(v, p, cam_mh):
    """Linear blend skinning with a handful of rotations. cam_mh: hand target of the selfie arm (MakeHuman frame) or None."""
    out = np.zeros_like(v)
    neck = joint(v, "neck")
    head = joint(v, "head")
    yaw, pitch, roll = p["head_yaw"], p["head_pitch"], p["head_roll"]
    R = rot([0, 1, 0], yaw) @ rot([1, 0, 0], pitch) @ rot([0, 0, 1], roll)
    half = rot([0, 1, 0], yaw * 0.5) @ rot([1, 0, 0], pitch * 0.45) @ rot([0, 0, 1], roll * 0.45)
    headpos = neck + half @ (head - neck)
    tf = {
        "torso": (np.eye(3), np.zeros(3)),
        "neck": (half, neck - half @ neck),
        "head": (R, headpos - R @ head),
    }
    for s, sg in (("l", 1), ("r", -1)):
        sh, el, ha = joint(v, s + "-shoulder"), joint(v, s + "-elbow"), joint(v, s + "-hand")
        S = "." + s.upper()
        l1, l2 = np.linalg.norm(el - sh), np.linalg.norm(ha - el)
        tgt = cam_mh if (cam_mh is not None and p["arm"] == s) else sh + np.array([sg * 0.9, -5.0, 0.9])
        d = tgt - sh
        full = np.linalg.norm(d)
        st = (
            max(1.0, full / ((l1 + l2) * 0.985)) if cam_mh is not None and p["arm"] == s else 1.0
        )  # a stretched arm is invisible in perspective
        l1, l2 = l1 * st, l2 * st
        dist = min(full, (l1 + l2) * 0.995)
        d = norm(d)
        c = np.clip((l1 * l1 + dist * dist - l2 * l2) / (2 * l1 * dist), -1, 1)
        pole = np.array([sg * 0.7, -1.0, -0.2])
        pole = norm(pole - d * (pole @ d))
        d1 = d * c + pole * math.sqrt(1 - c * c)
        el2 = sh + d1 * l1
        d2 = norm(sh + d * dist - el2)
        R1 = rot_between(el - sh, d1)
        R2 = rot_between(R1 @ (ha - el), d2) @ R1
        if st > 1:
            R1 = (np.eye(3) + (st - 1) * np.outer(d1, d1)) @ R1
            R2 = (np.eye(3) + (st - 1) * np.outer(d2, d2)) @ R2
        lift = np.array([0, 0.35, 0.15]) * max(0, d1[1] + 0.25)  # the shoulder comes up with the arm
        Rs = rot_between(el - sh, norm(norm(el - sh) * 0.7 + d1 * 0.3))
        tf["shoulder" + S] = (Rs, sh - Rs @ sh + lift * 0.6)
        tf["upper" + S] = (R1, sh - R1 @ sh + lift)
        tf["lower" + S] = (R2, el2 - R2 @ el + lift)
    for k, (M, t) in tf.items():
        w = LBS[k]
        i = np.nonzero(w)[0]
        out[i] += w[i, None] * (v[i] @ M.T + t)
    return out, R, headpos - R @ head


HEADC = np.array([0, 7.45, 0.45])
SKULL = np.nonzero((V0[:, 1] > 6.6) & (np.arange(len(V0)) < 13380))[0]


class Head:
    """what hair needs to know about one posed head (everything in MakeHuman decimetres)"""

    def __init__(s, P, N, R, t, vm):
        # the morphs move and scale the head (by half a decimetre!): align the head frame to the rest mesh, axis by axis
        s.P, s.N, s.R, s.t = P, N, R, t
        a, b = vm[SKULL], V0[SKULL]
        s.sc = a.std(0) / b.std(0)
        s.cm, s.cr = a.mean(0), b.mean(0)
        keep = (BR[:, 1] > 3.0) & (x_ < 2.6)
        s.tree = cKDTree(P[keep])
        s.kP, s.kN = P[keep], N[keep]

    def loc(s, p):
        return ((p - s.t) @ s.R - s.cm) / s.sc + s.cr  # world -> head frame (rest mesh coordinates, roughly)

    def wor(s, p):
        return ((p - s.cr) * s.sc + s.cm) @ s.R.T + s.t

    def worm(s, p):
        return p @ s.R.T + s.t  # from morphed coordinates

    def dirw(s, d):
        return d @ s.R.T


from selfie_utils.synthetic.regions import *

WSEL = B["S"] @ LBS["head"]
