"""Effects with what luck may have done to them: least squares, a bootstrap by user, Holm's correction."""

import numpy as np
import pandas as pd
from scipy.special import logit
from scipy.stats import norm

LEVEL = 0.05  # chance of being wrong once in a table of effects of which none is real
FEWEST = 2  # users; of a single one nobody can tell what luck does


def log_odds_of(scores: pd.DataFrame) -> np.ndarray:
    """Return the log-odds of scores, float64 (N,); certain ones count as one in a million."""
    return logit(scores["score"].clip(1e-6, 1 - 1e-6)).to_numpy()


def fit_by_user(
    design: np.ndarray, target: np.ndarray, users: np.ndarray, seed: int, draws: int = 400
) -> tuple[np.ndarray, np.ndarray]:
    """Fit `target` (N,) on `design` (N, K) by least squares; returns slopes (K,), and drawn ones (draws, K).

    Whole users are drawn, each with all of their posts: the posts of one user are not independent. What a
    user adds to the normal equations is summed up first, so that a draw costs the same however many posts
    there are. Drawn slopes are nan where there are fewer than two users.
    Source: Cameron, Gelbach and Miller, "Bootstrap-based improvements for inference with clustered errors",
    2008.
    """
    names = np.asarray(users).astype(str)
    order = np.argsort(names, kind="stable")
    design, target = design[order], target[order]
    names, first = np.unique(names[order], return_index=True)
    squares = np.add.reduceat(design[:, :, None] * design[:, None, :], first)  # (U, K, K)
    products = np.add.reduceat(design * target[:, None], first)  # (U, K)
    slopes = _solve(squares.sum(0)[None], products.sum(0)[None])[0]
    if len(names) < FEWEST:
        return slopes, np.full((draws, len(slopes)), np.nan)
    rng = np.random.default_rng(seed)
    times = rng.multinomial(len(names), np.full(len(names), 1 / len(names)), draws).astype(float)
    return slopes, _solve(np.tensordot(times, squares, 1), times @ products)


def _solve(squares: np.ndarray, products: np.ndarray) -> np.ndarray:
    """Solve normal equations (D, K, K) and (D, K); what nothing is known of becomes 0."""
    return (np.linalg.pinv(squares, hermitian=True) @ products[..., None])[..., 0]


def summarise(slopes: np.ndarray, drawn: np.ndarray) -> pd.DataFrame:
    """Return a row an effect: effect, low, high (95%, by the draws) and p (two-sided, by their spread)."""
    if np.isnan(drawn).any():
        low = high = spread = np.full(len(slopes), np.nan)
    else:
        low, high = np.percentile(drawn, [2.5, 97.5], axis=0)
        spread = drawn.std(axis=0, ddof=1) if len(drawn) > 1 else np.full(len(slopes), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * norm.sf(abs(slopes) / spread)  # an effect of 0 that never varies gives nan
    return pd.DataFrame({"effect": slopes, "low": low, "high": high, "p": p})


def mean_by_user(values: np.ndarray, users: np.ndarray, seed: int, draws: int = 400) -> dict[str, float]:
    """Return the mean of values (N,) as an effect: effect, low, high, p."""
    found = fit_by_user(np.ones((len(values), 1)), np.asarray(values, float), users, seed, draws)
    return summarise(*found).iloc[0].to_dict()


def holm(p: np.ndarray) -> np.ndarray:
    """Return p-values (N,) corrected for there being N of them; those that are nan do not count.

    Source: Holm, "A simple sequentially rejective multiple test procedure", 1979.
    """
    p = np.asarray(p, float)
    order = np.argsort(p, kind="stable")  # nan come last
    known = int(np.isfinite(p).sum())
    corrected = np.full(len(p), np.nan)
    steps = p[order[:known]] * np.arange(known, 0, -1)
    corrected[order[:known]] = np.minimum(np.maximum.accumulate(steps), 1)
    return corrected


def judge(effects: pd.DataFrame, worth_telling: float, floor: float = 0.0) -> list[str]:
    """Say of each effect (low, high, holm) "more", "less", "no difference" or "not clear".

    A difference is told where luck is ruled out and the whole interval lies beyond `floor`; no difference
    only where the whole interval lies within `worth_telling`.
    """
    low, high, sure = effects["low"], effects["high"], effects["holm"] < LEVEL
    nothing = (low > -worth_telling) & (high < worth_telling)
    told = [nothing, sure & (low > floor), sure & (high < -floor)]
    return np.select(told, ["no difference", "more", "less"], "not clear").tolist()


def clears(effects: pd.DataFrame, floor: float) -> pd.Series:
    """Tell which intervals (low, high) lie wholly beyond `floor`, either way: bool (N,)."""
    return (effects["low"] > floor) | (effects["high"] < -floor)
