"""How good are scores? Accuracy, ROC and calibration, each with a 95% interval."""

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from scipy.optimize import minimize_scalar
from scipy.special import expit, logit
from scipy.stats import norm, rankdata

from selfie_utils.core.shares import wilson_interval

LEVEL = 0.95
JUDGED = 30  # posts; the accuracy among fewer says nothing


def accuracy(labels: np.ndarray, scores: np.ndarray, threshold: float = 0.5) -> tuple[float, float, float]:
    """Return (accuracy, low, high) of calling scores above `threshold` good; labels are 0 or 1, both (N,)."""
    right = int(((np.asarray(scores) > threshold) == (np.asarray(labels) == 1)).sum())
    return (right / len(labels), *wilson_interval(right, len(labels)))


def mean_accuracy(labels: np.ndarray, several: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return (mean accuracy, low, high) of several scores (N,) of the same posts, as `mean_auc` does."""
    right = np.array([(np.asarray(scores) > 0.5) == (np.asarray(labels) == 1) for scores in several])
    shares = right.mean(axis=1)
    variance = _variance(right.mean(axis=0)) / right.shape[1] + _variance_of_mean(shares)
    return (float(shares.mean()), *_logit_interval(float(shares.mean()), math.sqrt(variance)))


def accuracy_by(scores: pd.DataFrame, followers: pd.Series, attributes: pd.DataFrame) -> pd.DataFrame:
    """Return the accuracy in each tenth of the posts by followers, and among posts with each attribute.

    `scores` as in scores.parquet, with labels; `followers` and the boolean columns of `attributes` have its
    rows; missing followers make no tenths. One row per group of 30 posts or more: group (str), accuracy, low,
    high (95%), posts.
    """
    groups: dict[str, pd.Series] = {}
    if followers.notna().all():
        tenth = (followers.rank(method="first") - 1) * 10 // len(followers)
        for i in range(10):
            fewest, most = followers[tenth == i].agg(["min", "max"])
            name = f"{fewest:,.0f} to {most:,.0f} followers"
            groups[name] = (tenth == i) | groups.get(name, False)  # many posts may have the same followers
    groups |= {name: column.fillna(False).astype(bool) for name, column in attributes.items()}
    parts = {name: scores[has.to_numpy()] for name, has in groups.items() if has.sum() >= JUDGED}
    rows = [(name, *accuracy(part["label"], part["score"]), len(part)) for name, part in parts.items()]
    return pd.DataFrame(rows, columns=["group", "accuracy", "low", "high", "posts"])


def auc_interval(labels: np.ndarray, scores: np.ndarray) -> tuple[float, float, float]:
    """Return (area under the ROC curve, low, high) of scores (N,) for labels 0 or 1 (N,).

    The interval is DeLong's, on the logit scale so that it stays within 0..1; all three are nan where a
    class is missing. Source: Sun and Xu, "Fast implementation of DeLong's algorithm", 2014.
    """
    if len(np.unique(labels)) < 2:
        return math.nan, math.nan, math.nan
    return mean_auc(labels, [scores])


def mean_auc(labels: np.ndarray, several: Sequence[np.ndarray]) -> tuple[float, float, float]:
    """Return (mean AUC, low, high) of several scores (N,) of the same posts, such as those of a few seeds.

    The 95% interval allows for the luck of the posts, as `auc_interval` does, and for that of the seeds.
    """
    areas, beaten, beating = _auc_parts(labels, several)
    variance = _variance(beaten) / len(beaten) + _variance(beating) / len(beating) + _variance_of_mean(areas)
    return (float(areas.mean()), *_logit_interval(float(areas.mean()), math.sqrt(variance)))


def auc_gap(
    labels: np.ndarray, ones: Sequence[np.ndarray], others: Sequence[np.ndarray]
) -> tuple[float, float, float]:
    """Return (gap, low, high): by how much the mean AUC of `ones` exceeds that of `others`; 95%.

    Both hold scores (N,) of the same posts, so the gap is surer than either AUC. Source: DeLong, DeLong and
    Clarke-Pearson, "Comparing the areas under two or more correlated receiver operating characteristic
    curves", 1988; the luck of the seeds is added.
    """
    one, other = _auc_parts(labels, ones), _auc_parts(labels, others)
    variance = sum(_variance_of_mean(areas) for areas, *_ in (one, other))
    variance += sum(_variance(a - b) / len(a) for a, b in zip(one[1:], other[1:], strict=True))
    gap = float(one[0].mean() - other[0].mean())
    half = norm.ppf((1 + LEVEL) / 2) * math.sqrt(variance)
    return gap, gap - half, gap + half


def share_of_oracle(labels: np.ndarray, scores: np.ndarray, oracle: np.ndarray) -> tuple[float, float, float]:
    """Return (share, low, high): how far `scores` went from chance to `oracle`, by AUC; 95%.

    Both (N,), of the same posts, hence their luck is shared and the interval narrower than that of either
    AUC. All three are nan where a class is missing or the oracle itself is no better than chance. Source:
    DeLong et al., as for `auc_gap`, with the delta method for the ratio.
    """
    if len(np.unique(labels)) < 2:
        return (math.nan,) * 3
    one, best = _auc_parts(labels, [scores]), _auc_parts(labels, [oracle])
    way = float(best[0][0]) - 0.5
    if way <= 0:
        return (math.nan,) * 3
    share = (float(one[0][0]) - 0.5) / way
    parts = ((a - share * b) / way for a, b in zip(one[1:], best[1:], strict=True))
    half = norm.ppf((1 + LEVEL) / 2) * math.sqrt(sum(_variance(part) / len(part) for part in parts))
    return share, share - half, share + half


def _auc_parts(
    labels: np.ndarray, several: Sequence[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the AUC of each set of scores, and on average over them, what each post adds to it.

    The latter are, of each good post, the share of bad ones below it, and of each bad one, the share of good
    ones above it.
    """
    is_good, areas, sides = np.asarray(labels) == 1, [], []
    for scores in several:
        good, bad = np.asarray(scores, float)[is_good], np.asarray(scores, float)[~is_good]
        everyone = rankdata(np.concatenate([good, bad]))
        beaten = (everyone[: len(good)] - rankdata(good)) / len(bad)
        sides.append((beaten, 1 - (everyone[len(good) :] - rankdata(bad)) / len(good)))
        areas.append(beaten.mean())
    of_good, of_bad = (np.mean(side, axis=0) for side in zip(*sides, strict=True))
    return np.array(areas), of_good, of_bad


def _variance_of_mean(areas: np.ndarray) -> float:
    return float(areas.var(ddof=1)) / len(areas) if len(areas) > 1 else 0.0


def _variance(values: np.ndarray) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.25


def _logit_interval(share: float, spread: float) -> tuple[float, float]:
    """Return the 95% interval of a share whose standard error is `spread`, by way of its log-odds."""
    if not 0 < share < 1:
        return share, share
    half = norm.ppf((1 + LEVEL) / 2) * spread / (share * (1 - share))
    odds = math.log(share / (1 - share))
    return float(expit(odds - half)), float(expit(odds + half))


def calibration(labels: np.ndarray, scores: np.ndarray, bins: int = 10) -> pd.DataFrame:
    """Cut posts into equal bins by score and count the good ones in each.

    One row a bin: score (mean), share (of good posts), low, high (95%), posts.
    """
    order = np.argsort(scores, kind="stable")
    rows = []
    for part in np.array_split(order, min(bins, len(order))):
        good = int(np.asarray(labels)[part].sum())
        low, high = wilson_interval(good, len(part))
        rows.append((np.asarray(scores)[part].mean(), good / len(part), low, high, len(part)))
    return pd.DataFrame(rows, columns=["score", "share", "low", "high", "posts"])


def expected_calibration_error(labels: np.ndarray, scores: np.ndarray, bins: int = 10) -> float:
    """Return by how much score and share of good posts differ on average over equal bins, 0..1.

    Source: Naeini et al., "Obtaining well calibrated probabilities using Bayesian binning", 2015; our bins
    hold equal numbers of posts.
    """
    table = calibration(labels, scores, bins)
    return float((abs(table["share"] - table["score"]) * table["posts"]).sum() / table["posts"].sum())


def calibration_error(labels: np.ndarray, scores: np.ndarray, seed: int = 0) -> tuple[float, float]:
    """Return the expected calibration error, and what luck makes of scores that are exactly right; 0..1.

    So few posts are never good in exactly the share that their scores say: labels are drawn 200 times.
    """
    lucky = np.random.default_rng(seed).random((200, len(scores))) < scores
    by_luck = np.mean([expected_calibration_error(drawn, scores) for drawn in lucky])
    return expected_calibration_error(labels, scores), float(by_luck)


def boldness_in_words(labels: np.ndarray, scores: np.ndarray) -> str:
    """Say in Markdown by what log-odds would have to be divided to fit these labels, and what that means."""
    by = fit_temperature(labels, scores)
    bold = "bolder" if by > 1.1 else "more timid" if by < 1 / 1.1 else ""
    meaning = f"these scores are **{bold}** than they should be" if bold else "these scores are about right"
    return f"To fit these posts best, log-odds would have to be divided by {by:.2f} once more: {meaning}."


def fit_temperature(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the number that log-odds are to be divided by, so that they fit labels 0 or 1 (N,) best.

    Above 1 where scores are surer than they should be, and from 1/20 to 20. With few posts it stays near 1:
    its logarithm is taken to be normal, around 0, with a standard deviation of 0.5.
    Source: Guo et al., "On calibration of modern neural networks", 2017.
    """
    right = logit(np.clip(scores, 1e-6, 1 - 1e-6)) * np.where(np.asarray(labels) == 1, 1, -1)

    def loss(log: float) -> float:
        return np.logaddexp(0, -right / np.exp(log)).sum() + log**2 / (2 * 0.5**2)

    return float(np.exp(minimize_scalar(loss, bounds=(-3, 3)).x))
