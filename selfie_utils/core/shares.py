"""Shares and means, with what luck may have done to them."""

import math

import numpy as np
import pandas as pd
from scipy.stats import binomtest, norm, sem, t


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Return the 95% interval (low, high) of a share, float in 0..1; (nan, nan) of nothing.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not total:
        return math.nan, math.nan
    found = binomtest(successes, total).proportion_ci(method="wilson")
    # Rounding must not put a share of 0 or 1 outside its own interval.
    return min(successes / total, found.low), max(successes / total, found.high)


def share(values: pd.Series | np.ndarray, users: pd.Series | np.ndarray | None = None) -> dict[str, float]:
    """Return the share of True among known values with its 95% Wilson interval: share, low, high, known.

    With `users`, one per value, the interval allows for the values of one user being alike: it is that of as
    many independent values as tell as much (`independent`).
    """
    known = pd.Series(values).reset_index(drop=True).dropna()
    if users is None:
        low, high = wilson_interval(int(known.sum()), len(known))
    else:
        low, high = _by_user(known.to_numpy(float), np.asarray(users)[known.index])
    return {
        "share": float(known.mean()) if len(known) else np.nan,
        "low": low,
        "high": high,
        "known": len(known),
    }


def independent(values: np.ndarray, users: np.ndarray) -> float:
    """Return how many independent values tell as much about a share as these do: from 1 to N.

    `values` float (N,) of 0 and 1, `users` (N,). N divided by the design effect: the variance of the share
    where whole users are drawn / that where values are, never below 1. Where all values are the same, their
    variance is unknown, and each user counts once. Sources: Kish, "Survey sampling", 1965; Korn and Graubard,
    "Confidence intervals for proportions with small expected number of positive counts", 1998.
    """
    n, middle = len(values), values.mean()
    codes = np.unique(users, return_inverse=True)[1]
    several = codes.max() + 1
    if middle in (0, 1) or several == 1:
        return float(several)
    sums = np.bincount(codes, values - middle)
    by_user = several / (several - 1) * (sums**2).sum() / n**2
    return n / max(1.0, by_user / (middle * (1 - middle) / (n - 1)))


def _by_user(values: np.ndarray, users: np.ndarray) -> tuple[float, float]:
    """Return Wilson's 95% interval of a share, of as many values as `independent` finds; nan of nothing."""
    if not len(values):
        return math.nan, math.nan
    middle, n = values.mean(), independent(values, users)
    z2 = norm.ppf(0.975) ** 2
    centre = (middle + z2 / (2 * n)) / (1 + z2 / n)
    half = math.sqrt(z2 * middle * (1 - middle) / n + z2**2 / (4 * n**2)) / (1 + z2 / n)
    return max(0.0, min(middle, centre - half)), min(1.0, max(middle, centre + half))


def mean(values: pd.Series | np.ndarray) -> dict[str, float]:
    """Return the mean of known values with its 95% interval by Student's t: mean, low, high, known.

    One value has no interval: low and high are nan, as all three are of nothing.
    """
    known = np.asarray(values, float)
    known = known[np.isfinite(known)]
    middle = known.mean() if len(known) else np.nan
    half = t.ppf(0.975, len(known) - 1) * sem(known) if len(known) > 1 else np.nan
    ends = {"low": float(middle - half), "high": float(middle + half)}
    return {"mean": float(middle), **ends, "known": len(known)}


def percentile(everyone: pd.Series, scores: pd.Series) -> np.ndarray:
    """Return for each score the share of `everyone` that scores lower, float64 in 0..1."""
    return np.searchsorted(np.sort(everyone.to_numpy()), scores.to_numpy()) / len(everyone)
