"""Faces: which details make one face unlike another, and what muscles do in an expression."""

import numpy as np

# Each detail: MakeHuman's targets for more and for less of it, its mean for women and for men, its spread.
# The means are milder than the base mesh, whose faces look stern; the spreads keep everybody plausible.
DETAILS = (
    ("head/head-oval", None, 0.35, 0.1, 0.12),
    ("head/head-round", None, 0.05, 0.0, 0.1),
    ("head/head-square", None, 0.0, 0.10, 0.08),
    ("head/head-invertedtriangular", None, 0.2, 0.05, 0.12),
    ("head/head-age-incr", "head/head-age-decr", -0.1, -0.05, 0.08),
    ("head/head-fat-incr", "head/head-fat-decr", 0.0, -0.05, 0.18),
    ("head/head-scale-horiz-incr", "head/head-scale-horiz-decr", -0.18, -0.05, 0.13),
    ("chin/chin-width-incr", "chin/chin-width-decr", -0.35, 0.0, 0.15),
    ("chin/chin-height-incr", "chin/chin-height-decr", -0.12, 0.0, 0.12),
    ("chin/chin-jaw-drop-incr", "chin/chin-jaw-drop-decr", -0.3, 0.0, 0.12),
    ("chin/chin-bones-incr", "chin/chin-bones-decr", -0.2, 0.0, 0.12),
    ("chin/chin-prominent-incr", "chin/chin-prominent-decr", -0.05, 0.05, 0.15),
    ("nose/nose-scale-horiz-incr", "nose/nose-scale-horiz-decr", -0.45, -0.15, 0.15),
    ("nose/nose-scale-vert-incr", "nose/nose-scale-vert-decr", -0.05, 0.0, 0.12),
    ("nose/nose-scale-depth-incr", "nose/nose-scale-depth-decr", -0.15, -0.05, 0.12),
    ("nose/nose-hump-incr", "nose/nose-hump-decr", -0.35, -0.15, 0.10),
    ("nose/nose-curve-convex", "nose/nose-curve-concave", -0.12, 0.0, 0.07),
    ("nose/nose-point-up", "nose/nose-point-down", 0.18, 0.05, 0.12),
    ("nose/nose-volume-incr", "nose/nose-volume-decr", -0.40, -0.15, 0.14),
    ("nose/nose-width1-incr", "nose/nose-width1-decr", -0.20, 0.0, 0.12),
    ("nose/nose-width2-incr", "nose/nose-width2-decr", -0.30, -0.1, 0.14),
    ("nose/nose-flaring-incr", "nose/nose-flaring-decr", -0.35, -0.2, 0.12),
    ("nose/nose-point-width-incr", "nose/nose-point-width-decr", -0.25, -0.05, 0.14),
    ("mouth/mouth-scale-horiz-incr", "mouth/mouth-scale-horiz-decr", 0.05, 0.05, 0.12),
    ("mouth/mouth-upperlip-height-incr", "mouth/mouth-upperlip-height-decr", 0.18, 0.0, 0.1),
    ("mouth/mouth-lowerlip-height-incr", "mouth/mouth-lowerlip-height-decr", 0.1, 0.0, 0.1),
    ("mouth/mouth-upperlip-volume-incr", "mouth/mouth-upperlip-volume-decr", 0.12, -0.1, 0.1),
    ("mouth/mouth-lowerlip-volume-incr", "mouth/mouth-lowerlip-volume-decr", 0.08, -0.15, 0.1),
    ("mouth/mouth-trans-up", "mouth/mouth-trans-down", 0.05, 0.0, 0.15),
    ("mouth/mouth-angles-up", "mouth/mouth-angles-down", 0.30, 0.20, 0.10),
    ("mouth/mouth-laugh-lines-out", "mouth/mouth-laugh-lines-in", 0.35, 0.1, 0.10),
    ("forehead/forehead-scale-vert-incr", "forehead/forehead-scale-vert-decr", -0.12, -0.05, 0.12),
    ("forehead/forehead-trans-forward", "forehead/forehead-trans-backward", 0.03, 0.0, 0.1),
    ("eyebrows/eyebrows-trans-up", "eyebrows/eyebrows-trans-down", 0.28, 0.15, 0.12),
    ("eyebrows/eyebrows-trans-forward", "eyebrows/eyebrows-trans-backward", -0.45, -0.2, 0.10),
    ("neck/neck-scale-horiz-incr", "neck/neck-scale-horiz-decr", -0.25, 0.0, 0.10),
)
PAIRED_DETAILS = (  # of the left and the right half; names without their side
    ("eyes/eye-scale-incr", "eyes/eye-scale-decr", 0.42, 0.25, 0.08),
    ("eyes/eye-height1-incr", "eyes/eye-height1-decr", 0.18, 0.15, 0.1),
    ("eyes/eye-height2-incr", "eyes/eye-height2-decr", 0.3, 0.2, 0.12),
    ("eyes/eye-corner2-up", "eyes/eye-corner2-down", 0.15, 0.0, 0.16),
    ("eyes/eye-trans-in", "eyes/eye-trans-out", 0.0, 0.0, 0.14),
    ("eyes/eye-eyefold-up", "eyes/eye-eyefold-down", 0.25, 0.2, 0.12),
    ("eyes/eye-bag-incr", "eyes/eye-bag-decr", -0.35, -0.2, 0.10),
    ("cheek/cheek-bones-incr", "cheek/cheek-bones-decr", 0.22, 0.05, 0.14),
    ("cheek/cheek-volume-incr", "cheek/cheek-volume-decr", 0.0, -0.05, 0.14),
    ("cheek/cheek-inner-incr", "cheek/cheek-inner-decr", 0.1, 0.0, 0.1),
    ("ears/ear-wing-incr", "ears/ear-wing-decr", -0.2, -0.1, 0.15),
    ("ears/ear-scale-incr", "ears/ear-scale-decr", -0.1, 0.0, 0.12),
)


def draw_features(rng: np.random.Generator, presented_gender: str) -> tuple[tuple[str, float], ...]:
    """Draw face details as pairs of morph target and weight, 0 to 1."""
    male = presented_gender == "male"
    features = [_draw_detail(rng, male, detail) for detail in DETAILS]
    for detail in PAIRED_DETAILS:
        name, weight = _draw_detail(rng, male, detail)
        for side in "lr":  # no face is quite symmetrical
            features.append((name.replace("/", f"/{side}-"), weight * float(rng.uniform(0.92, 1))))
    return tuple(features)


def _draw_detail(rng: np.random.Generator, male: bool, detail: tuple) -> tuple[str, float]:
    more, less, for_women, for_men, spread = detail
    amount = float(np.clip(rng.normal(for_men if male else for_women, spread), -1, 1))
    if less is None:
        return more, max(0.0, amount)
    return (more if amount >= 0 else less), abs(amount)


WHOLE = ("browInnerUp", "jawOpen", "mouthFunnel", "mouthPucker")  # units that both halves of a face share


def _units(**weights: float) -> dict[str, float]:
    """Name the targets of face units, as MakeHuman calls them after ARKit's."""
    sides = {name: [""] if name in WHOLE else ["Left", "Right"] for name in weights}
    return {f"fu/{name}{side}": weight for name, weight in weights.items() for side in sides[name]}


_GRIN = {"mouthSmile": 0.95, "mouthUpperUp": 1.0, "mouthLowerDown": 0.35, "cheekSquint": 0.55}
_LAUGH = {"mouthSmile": 0.95, "mouthUpperUp": 0.9, "mouthLowerDown": 0.20, "cheekSquint": 0.65}
_SMILE = {"mouthSmile": 0.9, "mouthUpperUp": 0.15, "mouthDimple": 0.08, "cheekSquint": 0.6}
EXPR = {
    "neutral": _units(mouthSmile=0.48, cheekSquint=0.25, browOuterUp=0.05, browInnerUp=0.15),
    "smile": _units(**_SMILE, eyeSquint=0.12, browOuterUp=0.10, browInnerUp=0.20),
    "grin": _units(**_GRIN, eyeSquint=0.15, browOuterUp=0.08, jawOpen=0.12, browInnerUp=0.22),
    "laugh": _units(**_LAUGH, eyeSquint=0.28, browOuterUp=0.15, jawOpen=0.28, browInnerUp=0.25),
    "pout": _units(mouthSmile=0.1, cheekSquint=0.15, browOuterUp=0.25, mouthPucker=0.55, browInnerUp=0.15),
    "smirk": _units(mouthSmile=0.30, cheekSquint=0.2, browOuterUp=0.15)
    | {
        "fu/mouthSmileLeft": 0.70,
        "fu/mouthDimpleLeft": 0.3,
        "fu/browOuterUpLeft": 0.35,
        "fu/browInnerUp": 0.1,
    },
    "surprise": _units(browOuterUp=0.6, eyeWide=0.35, mouthSmile=0.45, cheekSquint=0.2)
    | _units(jawOpen=0.28, mouthFunnel=0.12, browInnerUp=0.45),
}
