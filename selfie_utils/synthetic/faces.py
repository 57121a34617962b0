"""Faces: which details make one face unlike another, and what muscles do in an expression."""

import numpy as np

DETAILS = [
    ("head", "head-oval", None, 0.35),
    ("head", "head-round", None, 0.35),
    ("head", "head-square", None, 0.35),
    ("head", "head-rectangular", None, 0.35),
    ("head", "head-triangular", None, 0.2),
    ("head", "head-invertedtriangular", None, 0.4),
    ("head", "head-diamond", None, 0.2),
    ("head", "head-scale-horiz-incr", "head-scale-horiz-decr", 0.4),
    ("head", "head-fat-incr", "head-fat-decr", 0.4),
    ("chin", "chin-width-incr", "chin-width-decr", 0.4),
    ("chin", "chin-height-incr", "chin-height-decr", 0.3),
    ("chin", "chin-prominent-incr", "chin-prominent-decr", 0.4),
    ("nose", "nose-scale-horiz-incr", "nose-scale-horiz-decr", 0.35),
    ("nose", "nose-scale-vert-incr", "nose-scale-vert-decr", 0.3),
    ("nose", "nose-hump-incr", "nose-hump-decr", 0.4),
    ("nose", "nose-point-up", "nose-point-down", 0.5),
    ("nose", "nose-volume-incr", "nose-volume-decr", 0.4),
    ("nose", "nose-width2-incr", "nose-width2-decr", 0.4),
    ("mouth", "mouth-scale-horiz-incr", "mouth-scale-horiz-decr", 0.35),
    ("mouth", "mouth-upperlip-height-incr", "mouth-upperlip-height-decr", 0.25),
    ("mouth", "mouth-lowerlip-height-incr", "mouth-lowerlip-height-decr", 0.25),
    ("mouth", "mouth-trans-up", "mouth-trans-down", 0.3),
    ("mouth", "mouth-angles-up", "mouth-angles-down", 0.25),
    ("forehead", "forehead-scale-vert-incr", "forehead-scale-vert-decr", 0.3),
    ("eyebrows", "eyebrows-trans-up", "eyebrows-trans-down", 0.4),
    ("eyebrows", "eyebrows-angle-up", "eyebrows-angle-down", 0.15),
]
DETAILS2 = [
    ("eyes", "eye-height2-incr", "eye-height2-decr", 0.35),
    ("eyes", "eye-corner2-up", "eye-corner2-down", 0.4),
    ("eyes", "eye-trans-in", "eye-trans-out", 0.25),
    ("eyes", "eye-eyefold-up", "eye-eyefold-down", 0.3),
    ("cheek", "cheek-bones-incr", "cheek-bones-decr", 0.4),
    ("cheek", "cheek-volume-incr", "cheek-volume-decr", 0.4),
    ("ears", "ear-wing-incr", "ear-wing-decr", 0.3),
    ("ears", "ear-scale-incr", "ear-scale-decr", 0.3),
]


def sample_details(r, strength=1.0, gender=0.5):
    d = {}
    for grp, a, b, s in DETAILS:
        x = r.normal(0, s) * strength
        if b is None:
            x = max(0, x)
        x = float(np.clip(x, -1, 1))
        d[f"{grp}/{a}" if x >= 0 else f"{grp}/{b}"] = abs(x)
    d["mouth/mouth-lowerlip-height-incr"] = d.get("mouth/mouth-lowerlip-height-incr", 0) + 0.12 * (1 - gender)
    d["mouth/mouth-upperlip-height-incr"] = d.get("mouth/mouth-upperlip-height-incr", 0) + 0.12 * (1 - gender)
    d["nose/nose-scale-horiz-decr"] = d.get("nose/nose-scale-horiz-decr", 0) + 0.3 * (1 - gender)
    d["nose/nose-point-up"] = d.get("nose/nose-point-up", 0) + 0.2 * (1 - gender)
    d["eyebrows/eyebrows-trans-up"] = d.get("eyebrows/eyebrows-trans-up", 0) + 0.25
    d["eyebrows/eyebrows-angle-down"] = d.get("eyebrows/eyebrows-angle-down", 0) * 0.5
    for grp, a, b, s in DETAILS2:
        x = float(np.clip(r.normal(0, s) * strength, -1, 1))
        k = a if x >= 0 else b
        for side in "lr":
            d[f"{grp}/{side}-{k}"] = abs(x) * r.uniform(0.92, 1.0)
    for side in "lr":  # a little stylisation: larger eyes read as friendly at 192 px
        d[f"eyes/{side}-eye-scale-incr"] = 0.72 - 0.25 * gender
        d[f"eyes/{side}-eye-height2-incr"] = d.get(f"eyes/{side}-eye-height2-incr", 0) + 0.25 * (1 - gender)
    return d


LR = lambda **k: {f"fu/{n}{s}": w for n, w in k.items() for s in ("Left", "Right")}
EXPR = {
    "neutral": {**LR(mouthSmile=0.15), "fu/browInnerUp": 0.1},
    "smile": {**LR(mouthSmile=0.72, mouthStretch=0.25, mouthDimple=0.3, cheekSquint=0.5, eyeSquint=0.12)},
    "grin": {
        **LR(
            mouthSmile=0.85,
            mouthStretch=0.2,
            mouthUpperUp=0.95,
            mouthLowerDown=0.55,
            cheekSquint=0.6,
            eyeSquint=0.15,
        ),
        "fu/jawOpen": 0.10,
    },
    "laugh": {
        **LR(
            mouthSmile=0.8,
            mouthStretch=0.2,
            mouthUpperUp=0.6,
            mouthLowerDown=0.3,
            cheekSquint=0.7,
            eyeSquint=0.25,
            browOuterUp=0.2,
        ),
        "fu/jawOpen": 0.32,
    },
    "pout": {**LR(cheekSquint=0.2), "fu/mouthPucker": 0.8, "fu/mouthFunnel": 0.2, "fu/browInnerUp": 0.3},
    "smirk": {
        "fu/mouthSmileLeft": 0.7,
        "fu/mouthSmileRight": 0.12,
        "fu/mouthDimpleLeft": 0.4,
        "fu/browOuterUpLeft": 0.5,
        "fu/cheekSquintLeft": 0.3,
    },
    "surprise": {
        **LR(browOuterUp=0.7, eyeWide=0.5, mouthSmile=0.3),
        "fu/jawOpen": 0.35,
        "fu/mouthFunnel": 0.25,
        "fu/browInnerUp": 0.6,
    },
}


def draw_features(r, presented_gender):
    """Draw face details as pairs of morph target and weight."""
    return tuple(sample_details(r, 0.65, float(presented_gender == "male")).items())
