"""What a network has to beat: a logistic regression on simple statistics of a photo."""

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

TAUGHT = 20_000  # posts at most that the logistic regression learns from: 31 numbers need no more


def draw_taught(train: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the rows that the logistic regression learns from: all, or TAUGHT of them drawn by lot."""
    return train if len(train) <= TAUGHT else train.sample(TAUGHT, random_state=seed)


def fit_baseline(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Fit statistics (N, D) to labels 0 or 1 (N,) and return P(good) of the test rows, float64 (M,)."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(train, labels).predict_proba(test)[:, 1]
