"""What the simulated audience likes, as the article found it: the truth that findings are compared with."""

import numpy as np
import pandas as pd

# In log-odds-like units, each where the attribute holds. What is 0 means nothing, on purpose: what a network
# makes of it, it made up.
EFFECTS = {
    "female": 0.5,
    "forehead_cut": 0.4,
    "long_hair": 0.3,
    "upward_hair": 0.3,
    "over_exposed": 0.3,
    "faded": 0.3,
    "black_and_white": 0.35,
    "border": 0.45,
    "tilted": 0.2,
    "centred": 0.15,
    "at_top": 0.15,
    "low_light": -0.9,
    "large_head": -0.5,
    "group": -0.7,  # but not the famous one
    "glasses": 0.0,
    "pout": 0.0,
    "hat": 0.0,
    "skin_tone": 0.0,
    "age": 0.0,
    "background": 0.0,
}
# Tastes that hold for one presented gender and are worth nothing to the other.
ONLY_FOR = {"forehead_cut": "female", "long_hair": "female", "upward_hair": "male"}
BEST_SHARE = 1 / 3  # of the photo's width that the head takes
FALL_OFF = 12.0  # lost per squared distance from the best share…
FARTHEST = 0.2  # …which counts up to here: more is what `large_head` is for


def true_appeal(truth: pd.DataFrame) -> np.ndarray:
    """Return the appeal of photos, float64 (N,); `truth` has the columns of truth.parquet."""
    gender = truth["presented_gender"]
    appeal = EFFECTS["female"] * (gender == "female").to_numpy(float)
    for name, effect in EFFECTS.items():
        if effect and name != "female":
            appeal += effect * _holds(truth, name, gender)
    distance = truth["face_share"].fillna(BEST_SHARE).to_numpy(float) - BEST_SHARE
    return appeal - FALL_OFF * np.minimum(abs(distance), FARTHEST) ** 2


def _holds(truth: pd.DataFrame, name: str, gender: pd.Series) -> np.ndarray:
    """Return where an attribute counts, float64 (N,) of 0 and 1."""
    holds = truth[name].to_numpy(float)
    if name == "group":
        holds = holds * ~truth["famous_group"].to_numpy(bool)
    return holds * (gender == ONLY_FOR[name]).to_numpy() if name in ONLY_FOR else holds
