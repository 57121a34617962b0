"""What the simulated audience likes, as the post found it: the planted truth that notebooks check against."""

import numpy as np
import pandas as pd

# In log-odds-like units, each where the attribute holds. Glasses and skin tone mean nothing, on purpose:
# what a network makes of them, it made up.
EFFECTS = {
    "female": 0.5,
    "large_head": -0.5,
    "group": -0.7,
    "low_light": -0.9,
    "black_and_white": 0.35,
    "faded": 0.3,
    "over_exposed": 0.3,
    "border": 0.45,
    "forehead_cut": 0.4,  # of those presented as female; 0 for males
    "glasses": 0.0,
    "skin_tone": 0.0,
}
BEST_SHARE = 1 / 3  # of the photo's width that the head takes
FALL_OFF = 12.0  # lost per squared distance from the best share…
FARTHEST = 0.2  # …which counts up to here: more is what `large_head` is for


def true_appeal(truth: pd.DataFrame) -> np.ndarray:
    """Return the appeal of photos, float64 (N,); `truth` has the columns of truth.parquet."""
    female = (truth["presented_gender"] == "female").to_numpy(float)
    appeal = EFFECTS["female"] * female
    appeal += EFFECTS["forehead_cut"] * female * truth["forehead_cut"].to_numpy(float)
    for name in set(EFFECTS) & set(truth.columns) - {"forehead_cut", "skin_tone"}:
        appeal += EFFECTS[name] * truth[name].to_numpy(float)
    distance = truth["face_share"].fillna(BEST_SHARE).to_numpy(float) - BEST_SHARE
    return appeal - FALL_OFF * np.minimum(abs(distance), FARTHEST) ** 2
