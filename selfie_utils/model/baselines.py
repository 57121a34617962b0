"""What a network has to beat: a logistic regression on simple statistics of a photo."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from selfie_utils.photos.images import ImageFolder, ImageZip, UnreadableImage, decode, squish

SIZE = 32  # px
TAUGHT = 20_000  # posts at most that the logistic regression learns from: 31 numbers need no more
GRID = 4  # cells a side, whose mean light is a statistic each


def image_statistics(images: ImageFolder | ImageZip, names: Sequence[str]) -> np.ndarray:
    """Measure photos, float32 (N, 31), in 0..1.

    Means and standard deviations of the three channels, mean and spread of saturation, percentiles of
    luminance, strength of edges across and down, whiteness of two edges, and the light on a coarse grid.
    A photo that can't be read gets the mean of the others.
    """
    rows = []
    for name in tqdm(names, desc="measuring photos", mininterval=2, unit="photo"):
        try:
            photo = squish(decode(images.read(name), at_least=SIZE), SIZE)
            rows.append(_statistics(np.asarray(photo, np.float32) / 255))
        except UnreadableImage:
            rows.append(None)
    known = [row for row in rows if row is not None]
    middle = np.mean(known, axis=0) if known else np.zeros(31)
    return np.array([middle if row is None else row for row in rows], np.float32)


def _statistics(pixels: np.ndarray) -> np.ndarray:
    """Return the statistics of one photo, float32 (SIZE, SIZE, 3) in 0..1, as (31,)."""
    luminance = pixels.mean(axis=2)
    saturation = np.ptp(pixels, axis=2)
    cell = SIZE // GRID
    grid = luminance.reshape(GRID, cell, GRID, cell).mean(axis=(1, 3))
    edges = (luminance[:3], luminance[-3:], luminance[:, :3], luminance[:, -3:])
    return np.concatenate(
        [
            pixels.mean(axis=(0, 1)),
            pixels.std(axis=(0, 1)),
            [saturation.mean(), saturation.std()],
            np.percentile(luminance, [5, 50, 95]) - luminance.mean(),
            [np.abs(np.diff(luminance, axis=a)).mean() for a in (0, 1)],
            [(edge > 0.9).mean() for edge in edges[::2]],
            grid.ravel(),
        ]
    )


def draw_taught(train: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Return the rows that the logistic regression learns from: all, or TAUGHT of them drawn by lot."""
    return train if len(train) <= TAUGHT else train.sample(TAUGHT, random_state=seed)


def fit_baseline(train: np.ndarray, labels: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Fit statistics (N, D) to labels 0 or 1 (N,) and return P(good) of the test rows, float64 (M,)."""
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(train, labels).predict_proba(test)[:, 1]
