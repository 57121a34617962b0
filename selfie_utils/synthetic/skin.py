"""Colours of skin and eyes, a value for each vertex."""

import math
import numpy as np
from scipy import ndimage as ndi
from selfie_utils.synthetic.geometry import *
from selfie_utils.synthetic.regions import *
from selfie_utils.synthetic.blender import *
from selfie_utils.synthetic.materials import *

HAIR_COLOURS = {  # name: (melanin, redness, approx linear rgb for scalp/brow paint)
    "black": (0.97, 0.4, (0.010, 0.008, 0.007)),
    "darkbrown": (0.84, 0.5, (0.030, 0.017, 0.010)),
    "brown": (0.70, 0.6, (0.065, 0.034, 0.017)),
    "chestnut": (0.62, 0.85, (0.085, 0.034, 0.015)),
    "blonde": (0.17, 0.50, (0.36, 0.23, 0.10)),
    "darkblonde": (0.33, 0.55, (0.18, 0.105, 0.05)),
    "red": (0.45, 1.0, (0.24, 0.065, 0.018)),
    "grey": (0.12, 0.1, (0.38, 0.37, 0.36)),
    "dyed": (0, 0, (0.35, 0.05, 0.2)),
}
SKINS = {  # light -> deep, sRGB
    1: (241, 206, 186),
    2: (233, 188, 160),
    3: (221, 168, 134),
    4: (203, 144, 108),
    5: (178, 118, 82),
    6: (146, 92, 62),
    7: (112, 70, 48),
    8: (84, 54, 40),
}
lin = lambda c: (np.asarray(c, float) / 255.0) ** 2.2
EYES = {
    "brown": (0.065, 0.030, 0.013),
    "dark": (0.028, 0.015, 0.010),
    "hazel": (0.16, 0.10, 0.03),
    "green": (0.085, 0.115, 0.055),
    "blue": (0.10, 0.17, 0.27),
    "grey": (0.20, 0.24, 0.27),
}

FACE_FRECK = None


def skin_colours(p, seed):
    base = lin(SKINS[p["skin"]]) if not isinstance(p["skin"], (tuple, list)) else lin(p["skin"])
    m = B["masks"]
    n = len(BR)
    c = np.tile(base, (n, 1))
    lum = base.mean()
    warm = np.array([1.06, 0.84, 0.80]) if lum > 0.2 else np.array([1.05, 0.88, 0.85])
    blob = lambda cx, cy, cz, s: np.exp(
        -(((x_ - cx) / s[0]) ** 2 + ((y_ - cy) / s[1]) ** 2 + ((z_ - cz) / s[2]) ** 2)
    )
    red = (
        0.8 * blob(0.42, 6.98, 1.25, (0.22, 0.2, 0.4)) * p["blush"]
        + 0.55 * blob(0, 6.97, 1.6, (0.16, 0.14, 0.2))
        + 0.7 * (m["ears"] > 0.5)
        + 0.3 * blob(0, 6.3, 1.45, (0.2, 0.12, 0.3))
    )
    c *= 1 + (warm - 1) * np.clip(red, 0, 1)[:, None]
    c *= (
        1 - 0.10 * blob(0.32, 7.13, 1.3, (0.2, 0.06, 0.3)) - 0.06 * blob(0.31, 7.40, 1.3, (0.2, 0.07, 0.3))
    )[:, None]
    c *= (1 + 0.035 * grid_noise(BR, 5.0, seed) + 0.03 * grid_noise(BR, 13.0, seed + 1))[:, None]
    if p["freckles"]:
        f = (
            (grid_noise(BR, 23.0, seed + 2) > 1.15)
            * np.clip(blob(0, 7.0, 1.5, (0.62, 0.32, 0.6)) * 2, 0, 1)
            * p["freckles"]
        )
        c *= 1 - f[:, None] * np.array([0.25, 0.38, 0.45])
    hc = np.array(HAIR_COLOURS[p["hair_colour"]][2]) if p["hair_colour"] != "dyed" else np.array(p["dye"])
    if p["hair"] != "bald" or p.get("hat"):
        k = PAINT * (0.82 if p["hair"] not in ("buzz",) else 0.6)
        c = c * (1 - k[:, None]) + k[:, None] * (hc * 0.8 + base * 0.05)
    else:
        c *= (1 - 0.10 * SCALP)[:, None]
    bc = np.minimum(hc, np.array([0.12, 0.075, 0.045]))
    k = np.clip(BROW * 1.6 * (1 + 0.25 * grid_noise(BR, 30.0, seed + 5)), 0, 0.74) * min(1, 0.25 + p["brow"])
    c = c * (1 - k[:, None]) + k[:, None] * bc
    st = {"stubble": 0.40, "full": 0.55, "short": 0.6}.get(p["beard"], 0.0)
    k = BEARD * st
    if p["beard"] == "goatee":
        k = GOATEE * 0.4
    c = c * (1 - k[:, None]) + k[:, None] * (bc * 0.7 + base * 0.18)
    if p["makeup"]:  # eye shadow + liner
        k = blob(0.33, 7.39, 1.3, (0.17, 0.055, 0.3)) * 0.55 * p["makeup"]
        c = c * (1 - k[:, None]) + k[:, None] * base * np.array(p["shadow"])
    k = np.clip(m["eyelids"], 0, 1) * (0.35 + 0.5 * min(1, p["makeup"]))
    c = c * (1 - k[:, None]) + k[:, None] * base * np.array([0.35, 0.25, 0.24])
    k = np.clip(m["lips"] * 1.6 - 0.6, 0, 1) * 0.85
    lip = (
        np.array(p["lip"]) * (0.30 + 1.0 * lum) * 1.15 * 0.7 + base * np.array([0.95, 0.5, 0.5]) * 0.3
        if p.get("lip") is not None
        else base * np.array([0.95, 0.62, 0.60]) + np.array([0.02, 0, 0])
    )
    c = c * (1 - k[:, None]) + k[:, None] * lip
    inn = np.clip(m["inside-mouth"], 0, 1)
    c = c * (1 - inn[:, None]) + inn[:, None] * np.array([0.16, 0.03, 0.03])
    rough = (
        0.50
        - 0.08 * blob(0, 7.2, 1.5, (0.25, 0.8, 0.4))
        - 0.22 * m["lips"] * (1 if p.get("lip") is not None else 0.6)
        + 0.2 * SCALP * (p["hair"] != "bald")
    )
    return np.hstack([np.clip(c, 0, 1), np.ones((n, 1))]), np.clip(rough, 0.15, 0.8)


def eye_object(ctr, r, gaze, colour, rr):
    nt, nphi = 30, 36
    th = np.concatenate([np.linspace(0, 0.62, 20), np.linspace(0.68, 2.4, nt - 20)])
    ph = np.arange(nphi) / nphi * 2 * np.pi
    TH, PH = np.meshgrid(th, ph, indexing="ij")
    bulge = 1 + 0.045 * np.exp(-((TH / 0.42) ** 2))
    v = np.stack([np.sin(TH) * np.cos(PH), np.sin(TH) * np.sin(PH), np.cos(TH)], -1) * (r * bulge)[..., None]
    M = rot_between(np.array([0, 0, 1.0]), gaze)
    vv = v.reshape(-1, 3) @ M.T + ctr
    iris = np.array(EYES[colour])
    ti = 0.565
    rad = rr.normal(size=nphi)
    rad = ndi.gaussian_filter1d(rad, 1.0, mode="wrap")
    fib = 1 + 0.35 * rad[None, :]
    s = np.clip(TH / ti, 0, 1)
    col = iris[None, None] * (fib * (1.25 - 0.55 * s))[..., None]
    col = np.where((TH < ti * 0.40)[..., None], 0.004, col)
    lim = np.exp(-(((TH - ti * 0.97) / 0.05) ** 2))
    col = col * (1 - 0.75 * lim)[..., None]
    scl = (
        np.array([0.54, 0.52, 0.50])
        * (1 - 0.18 * np.clip((TH - 0.8) / 0.8, 0, 1))[..., None]
        * np.array([1, 0.985, 0.97])
    )
    k = np.clip((TH - ti) / 0.05, 0, 1)[..., None]
    col = col * (1 - k) + scl * k
    i = np.arange(nt - 1)[:, None] * nphi
    j = np.arange(nphi)[None]
    j2 = (j + 1) % nphi
    q = np.stack([i + j, i + nphi + j, i + nphi + j2, i + j2], -1).reshape(-1, 4)
    return mesh_object(
        "eye",
        to_blender(vv),
        q,
        MATS["eye"],
        attrs={"col": ("FLOAT_COLOR", np.concatenate([col.reshape(-1, 3), np.ones((len(vv), 1))], 1))},
    )
