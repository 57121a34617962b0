"""Shares and means, with what luck may have done to them."""

import math

import numpy as np
import pandas as pd
from scipy.stats import binomtest, sem, t


def wilson_interval(successes: int, total: int) -> tuple[float, float]:
    """Return the 95% interval (low, high) of a share, float in 0..1; (nan, nan) of nothing.

    Source: Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    """
    if not total:
        return math.nan, math.nan
    found = binomtest(successes, total).proportion_ci(method="wilson")
    # Rounding must not put a share of 0 or 1 outside its own interval.
    return min(successes / total, found.low), max(successes / total, found.high)


def share(values: pd.Series | np.ndarray) -> dict[str, float]:
    """Return the share of True among known values with its 95% Wilson interval: share, low, high, known."""
    known = pd.Series(values).dropna()
    low, high = wilson_interval(int(known.sum()), len(known)) if len(known) else (np.nan, np.nan)
    return {
        "share": float(known.mean()) if len(known) else np.nan,
        "low": low,
        "high": high,
        "known": len(known),
    }


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
