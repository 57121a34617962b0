"""Metrics compared with scikit-learn, scipy, published formulas and values worked by hand."""

import math
from functools import reduce

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import bernoulli, binomtest, norm
from sklearn.metrics import accuracy_score, roc_auc_score

from selfie_utils.model.metrics import (
    accuracy,
    accuracy_by,
    auc_gap,
    auc_interval,
    boldness_in_words,
    calibration,
    calibration_error,
    expected_calibration_error,
    fit_temperature,
    mean_accuracy,
    mean_auc,
    share_of_oracle,
)

Z = 1.959964  # of a normal distribution, 95% lie within so many standard deviations


def wilson(successes: int, total: int) -> list[float]:
    """Wilson's interval as scipy has it."""
    return list(binomtest(successes, total).proportion_ci(0.95, method="wilson"))


def shares_beaten(labels, scores) -> tuple[np.ndarray, np.ndarray]:
    """Compare each good post with each bad one, as DeLong et al. (1988) define it; a tie counts half.

    Returns for each good post the share of bad ones that it beats, and for each bad one the share of good
    ones that beat it.
    """
    labels, scores = np.asarray(labels), np.asarray(scores, float)
    good, bad = scores[labels == 1][:, None], scores[labels == 0][None, :]
    wins = (good > bad) + 0.5 * (good == bad)
    return wins.mean(axis=1), wins.mean(axis=0)


def on_logit_scale(share: float, variance: float) -> tuple[float, float]:
    """Turn a share and its variance into an interval by the delta method for its log-odds."""
    half = Z * math.sqrt(variance) / (share * (1 - share))
    return expit(logit(share) - half), expit(logit(share) + half)


def covariance(labels, ones, others) -> np.ndarray:
    """Return DeLong's covariance of two areas, (2, 2): S10 / m + S01 / n."""
    sides = zip(shares_beaten(labels, ones), shares_beaten(labels, others), strict=True)
    return sum(np.cov(one, other) / len(one) for one, other in sides)


def noisy(seed: int, posts: int, scores: int) -> tuple[np.ndarray, list[np.ndarray]]:
    """Labels, 3 of 10 good, and several scores of the same posts that agree in part; many ties."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(posts) < 0.3).astype(int)
    shared = labels + rng.normal(size=posts)
    return labels, [np.round(expit(shared + rng.normal(0, 0.7, posts)), 1) for _ in range(scores)]


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.7])
def test_accuracy_calls_good_only_what_lies_above_the_threshold(threshold):
    labels, scores = np.array([1, 1, 0, 0, 1]), np.array([0.5, 0.7, 0.5, 0.2, 0.9])
    right = accuracy_score(labels, scores > threshold)
    assert accuracy(labels, scores, threshold) == pytest.approx((right, *wilson(round(5 * right), 5)))


def test_accuracy_takes_one_half_as_threshold_and_one_half_itself_is_not_good():
    # Said: bad, good, bad, bad, good; only the last is wrong.
    labels, scores = np.array([0, 1, 0, 0, 0]), np.array([0.5, 0.51, 0.5, 0.49, 0.9])
    assert accuracy(labels, scores) == pytest.approx((0.8, *wilson(4, 5)))
    assert mean_accuracy(labels, [scores])[0] == 0.8


def test_the_mean_accuracy_has_the_luck_of_the_posts_and_of_the_seeds_in_its_interval():
    labels = np.array([1, 0, 1, 0])
    several = [np.array([0.9, 0.1, 0.8, 0.7]), np.array([0.6, 0.2, 0.4, 0.9])]
    # Right are posts 1, 2 and 3 by the first seed, 1 and 2 by the second: 3/4 and 2/4. On average over the
    # seeds the posts are right by 1, 1, 1/2 and 0, of variance 0.6875 / 3; the seeds have 0.03125.
    expected = on_logit_scale(0.625, 0.6875 / 3 / 4 + 0.03125 / 2)
    assert mean_accuracy(labels, several) == pytest.approx((0.625, *expected))
    assert expected == pytest.approx((0.1484, 0.9410), abs=1e-4)


def test_a_mean_accuracy_of_one_is_no_division_by_zero():
    assert mean_accuracy(np.array([1, 0]), [np.array([0.9, 0.1])]) == (1, 1, 1)


@pytest.mark.parametrize(("posts", "groups"), [(300, [30] * 10), (299, [30] * 9)])
def test_a_group_of_exactly_30_is_shown_and_one_of_29_is_not(posts, groups):
    scores = pd.DataFrame({"label": 1, "score": np.full(posts, 0.9)})
    attributes = pd.DataFrame({"just": np.arange(posts) < 30, "too few": np.arange(posts) < 29})
    found = accuracy_by(scores, pd.Series(np.arange(posts)), attributes)
    assert found["posts"].tolist() == [*groups, 30]
    assert found["group"].iloc[-1] == "just"


def test_accuracy_is_counted_in_tenths_by_followers_and_by_attribute():
    rng = np.random.default_rng(0)
    order, index = rng.permutation(400), rng.permutation(400)
    followers = pd.Series(order * 10 + 500, index)
    labels = order % 2
    # All wrong in the smallest tenth, one wrong in the largest.
    said = np.where((order < 40) | (order == 399), 1 - labels, labels)
    scores = pd.DataFrame({"label": labels, "score": 0.4 + 0.2 * said})
    hat = pd.Series(order < 60, index).astype("boolean").mask(order < 10)  # unknown is as good as no
    found = accuracy_by(scores, followers, pd.DataFrame({"hat": hat, "rare": order < 10}))
    assert found.columns.tolist() == ["group", "accuracy", "low", "high", "posts"]
    assert found["group"].tolist() == [
        "500 to 890 followers", "900 to 1,290 followers", "1,300 to 1,690 followers",
        "1,700 to 2,090 followers", "2,100 to 2,490 followers", "2,500 to 2,890 followers",
        "2,900 to 3,290 followers", "3,300 to 3,690 followers", "3,700 to 4,090 followers",
        "4,100 to 4,490 followers", "hat",
    ]  # fmt: skip
    assert found["accuracy"].tolist() == pytest.approx([0, *[1] * 8, 39 / 40, 20 / 50])
    assert found["posts"].tolist() == [*[40] * 10, 50]
    assert found[["low", "high"]].iloc[-1].tolist() == pytest.approx(wilson(20, 50))


def test_missing_followers_make_no_tenths():
    scores = pd.DataFrame({"label": 1, "score": np.full(300, 0.9)})
    followers = pd.Series(np.arange(300.0)).replace(7, np.nan)
    found = accuracy_by(scores, followers, pd.DataFrame({"all": np.ones(300, bool)}))
    assert found["group"].tolist() == ["all"]


def test_tenths_that_bear_the_same_name_are_one_group():
    followers = pd.Series([100] * 200 + [200] * 100)  # tenths 1 to 6 are all "100 to 100"
    scores = pd.DataFrame({"label": 1, "score": np.arange(300) % 2})
    found = accuracy_by(scores, followers, pd.DataFrame(index=range(300)))
    assert found["group"].tolist() == [
        "100 to 100 followers", "100 to 200 followers", "200 to 200 followers"
    ]  # fmt: skip
    assert found["posts"].tolist() == [180, 30, 90]


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
def test_the_area_is_scikit_learns_and_its_interval_delongs_ties_and_all(pairs):
    labels, scores = np.array([int(p[0]) for p in pairs]), np.array([p[1] / 8 for p in pairs])
    auc, low, high = auc_interval(labels, scores)
    if labels.min() == labels.max():
        assert np.isnan([auc, low, high]).all()
        return
    assert auc == pytest.approx(roc_auc_score(labels, scores))
    assert low <= auc <= high
    sides = shares_beaten(labels, scores)
    if 0 < auc < 1 and min(map(len, sides)) > 1:
        variance = sum(np.var(side, ddof=1) / len(side) for side in sides)
        assert (low, high) == pytest.approx(on_logit_scale(auc, variance), abs=1e-6)


def test_an_area_of_one_has_no_room_for_an_interval():
    assert auc_interval(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3])) == (1, 1, 1)
    assert auc_interval(np.array([0, 0, 1]), np.array([0.3, 0.2, 0.1])) == (0, 0, 0)


def test_one_good_post_counts_as_surely_as_a_coin():
    # It beats 2 of 3 bad ones, two of which it beats wholly. Of a single value no variance is known: 1/4 is
    # the largest that a number between 0 and 1 can have.
    auc, low, high = auc_interval(np.array([0, 1, 0, 0]), np.array([0.1, 0.3, 0.2, 0.4]))
    assert auc == pytest.approx(2 / 3)
    assert (low, high) == pytest.approx(on_logit_scale(2 / 3, 0.25 + (1 / 3) / 3), abs=1e-6)


def test_two_good_posts_are_enough_for_a_variance():
    # They beat 2 of 2 and 1 of 2 bad ones, which are beaten by both and by one: 1/8 on both sides.
    auc, low, high = auc_interval(np.array([0, 1, 1, 0]), np.array([0.1, 0.3, 0.2, 0.25]))
    assert auc == pytest.approx(3 / 4)
    assert (low, high) == pytest.approx(on_logit_scale(3 / 4, (1 / 8) / 2 + (1 / 8) / 2), abs=1e-6)


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_the_mean_area_has_the_luck_of_the_posts_and_of_the_seeds_in_its_interval(seeds):
    labels, several = noisy(0, 47, seeds)
    areas = [roc_auc_score(labels, scores) for scores in several]
    sides = [np.mean(side, axis=0) for side in zip(*(shares_beaten(labels, s) for s in several), strict=True)]
    variance = sum(np.var(side, ddof=1) / len(side) for side in sides)
    variance += np.var(areas, ddof=1) / seeds if seeds > 1 else 0
    expected = (np.mean(areas), *on_logit_scale(np.mean(areas), variance))
    assert mean_auc(labels, several) == pytest.approx(expected, abs=1e-6)


def test_the_gap_between_two_areas_is_delongs():
    labels, (one, other) = noisy(1, 47, 2)
    gap, low, high = auc_gap(labels, [one], [other])
    assert gap == pytest.approx(roc_auc_score(labels, one) - roc_auc_score(labels, other)) and gap != 0
    variance = np.array([1, -1]) @ covariance(labels, one, other) @ np.array([1, -1])
    assert (low, high) == pytest.approx((gap - Z * variance**0.5, gap + Z * variance**0.5), abs=1e-6)
    assert auc_gap(labels, [other], [one]) == pytest.approx((-gap, -high, -low))


def test_the_gap_has_the_luck_of_the_seeds_of_both_sides_in_its_interval():
    labels, several = noisy(2, 47, 5)
    ones, others = several[:2], several[2:]
    areas = [[roc_auc_score(labels, scores) for scores in side] for side in (ones, others)]
    variance = np.var(areas[0], ddof=1) / 2 + np.var(areas[1], ddof=1) / 3
    for side in (0, 1):  # good posts, then bad ones
        means = [np.mean([shares_beaten(labels, s)[side] for s in group], axis=0) for group in (ones, others)]
        variance += np.var(means[0] - means[1], ddof=1) / len(means[0])
    gap = np.mean(areas[0]) - np.mean(areas[1])
    expected = (gap, gap - Z * variance**0.5, gap + Z * variance**0.5)
    assert auc_gap(labels, ones, others) == pytest.approx(expected, abs=1e-6)


def test_the_way_to_the_oracle_is_a_ratio_with_the_interval_of_the_delta_method():
    labels, (scores, oracle) = noisy(3, 47, 2)
    way = [roc_auc_score(labels, values) - 0.5 for values in (scores, oracle)]
    share = way[0] / way[1]
    slopes = np.array([1, -share]) / way[1]
    half = Z * math.sqrt(slopes @ covariance(labels, scores, oracle) @ slopes)
    assert share_of_oracle(labels, scores, oracle) == pytest.approx(
        (share, share - half, share + half), abs=1e-6
    )
    assert share + half > 1  # an oracle may be beaten by luck, which is not to be hidden


def test_there_is_no_way_to_an_oracle_that_knows_nothing():
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.2, 0.3])
    assert share_of_oracle(labels, scores, scores) == (1, 1, 1)
    assert share_of_oracle(labels, np.zeros(4), scores)[0] == 0
    for oracle in (-scores, np.zeros(4)):  # worse than chance, and exactly chance
        assert np.isnan(share_of_oracle(labels, scores, oracle)).all()
    assert np.isnan(share_of_oracle(np.ones(4), scores, scores)).all()
    # Of nine pairs the oracle has five right: hardly better than chance is still better.
    labels, oracle = np.array([1, 0, 0, 1, 1, 0]), np.array([6, 5, 4, 3, 2, 1])
    assert share_of_oracle(labels, oracle, oracle)[0] == 1


def test_intervals_cover_the_truth_19_times_of_20():
    rng = np.random.default_rng(0)
    area = 0.76025  # of two normal distributions one standard deviation apart: Phi(1 / sqrt 2)
    hits = {"area": 0, "gap": 0}
    for _ in range(300):
        labels, shared = rng.integers(0, 2, 150), rng.normal(0, 0.8, 150)
        one, other = (labels + shared + rng.normal(0, 0.6, 150) for _ in range(2))
        _, low, high = auc_interval(labels, one)
        hits["area"] += low <= area <= high
        _, low, high = auc_gap(labels, [one], [other])
        hits["gap"] += low <= 0 <= high
    assert all(0.91 <= n / 300 <= 0.98 for n in hits.values())


def test_the_auc_way_covers_the_truth_and_is_surer_than_the_area_alone():
    rng = np.random.default_rng(0)

    def draw(posts):
        appeal, noise = rng.normal(0, 1, (2, posts))
        return rng.random(posts) < expit(1.5 * appeal), 0.9 * appeal + np.sqrt(1 - 0.81) * noise, appeal

    truth = share_of_oracle(*draw(400_000))[0]
    found = np.array([share_of_oracle(*draw(500)) for _ in range(300)])
    hits = (found[:, 1] <= truth) & (truth <= found[:, 2])
    assert 0.91 <= hits.mean() <= 0.98
    labels, scores, oracle = draw(500)
    _, low, high = share_of_oracle(labels, scores, oracle)
    _, lowest, highest = auc_interval(labels, scores)
    assert high - low < (highest - lowest) / (auc_interval(labels, oracle)[0] - 0.5)


SEVEN = np.array([0.9, 0.2, 0.6, 0.2, 0.8, 0.1, 0.5])  # sorted: 0.1 0.2 0.2 | 0.5 0.6 | 0.8 0.9
LABELS = np.array([1, 1, 0, 0, 1, 0, 1])  # in that order: 0 1 0 | 1 0 | 1 1


def test_calibration_cuts_posts_into_equal_bins_from_the_lowest_score():
    bins = calibration(LABELS, SEVEN, 3)
    assert bins.columns.tolist() == ["score", "share", "low", "high", "posts"]
    assert bins["score"].tolist() == pytest.approx([0.5 / 3, 0.55, 0.85])
    assert bins["share"].tolist() == pytest.approx([1 / 3, 1 / 2, 1])
    assert bins["posts"].tolist() == [3, 2, 2]
    ends = [wilson(1, 3), wilson(1, 2), wilson(2, 2)]
    assert bins[["low", "high"]].to_numpy() == pytest.approx(np.array(ends))


def test_there_are_ten_bins_and_never_more_than_posts():
    assert len(calibration(LABELS, SEVEN)) == 7
    assert calibration(np.ones(23), np.linspace(0, 1, 23))["posts"].tolist() == [3, 3, 3, *[2] * 7]


def test_posts_of_equal_scores_stay_in_their_order():
    assert calibration(np.array([1, 1, 0, 0]), np.full(4, 0.5), 2)["share"].tolist() == [1, 0]


def test_honest_scores_are_calibrated_and_boasting_ones_are_not():
    rng = np.random.default_rng(1)
    honest = rng.uniform(0.3, 0.7, 4000)
    labels = (rng.random(4000) < honest).astype(int)
    bins = calibration(labels, honest, 8)
    assert ((bins["low"] <= bins["score"]) & (bins["score"] <= bins["high"])).mean() > 0.8
    boasting = calibration(labels, np.where(honest > 0.5, 0.99, 0.01), 2)
    assert (boasting["high"].iloc[-1] < 0.99) and (boasting["low"].iloc[0] > 0.01)


def test_the_calibration_error_is_the_mean_distance_to_the_diagonal_over_posts():
    # The bins of three, two and two posts above are off by 1/6, 0.05 and 0.15.
    expected = (3 / 6 + 2 * 0.05 + 2 * 0.15) / 7
    assert expected_calibration_error(LABELS, SEVEN, bins=3) == pytest.approx(expected)
    # One bin is above the diagonal, the other below: they don't make up for each other.
    assert expected_calibration_error(np.array([1, 0]), np.array([0.4, 0.6]), 2) == pytest.approx(0.6)


def test_the_calibration_error_takes_ten_bins():
    scores = np.full(40, 0.5)
    assert expected_calibration_error(np.repeat(np.tile([0, 1], 5), 4), scores) == 0.5  # good alone, or bad
    assert expected_calibration_error(np.repeat(np.tile([0, 1], 10), 2), scores) == 0  # two of each


def test_luck_makes_of_right_scores_what_the_binomial_distribution_says():
    # One post of P(good) 0.2 is off by 0.8 in a fifth of all draws and by 0.2 in the others.
    labels, scores = np.zeros(10, int), np.full(10, 0.2)
    error, by_luck = calibration_error(labels, scores)
    assert error == pytest.approx(0.2)
    assert by_luck == pytest.approx(0.2 * 0.8 + 0.8 * 0.2, abs=0.03)  # six standard errors
    assert calibration_error(np.array([0, 1]), np.array([0.0, 1.0])) == (0, 0)


def test_luck_is_drawn_200_times_by_seed():
    def draw(**seed):
        return calibration_error(np.array([0]), np.array([0.2]), **seed)[1]

    found = [draw(seed=seed) for seed in range(3)]
    assert len(set(found)) > 1 and draw(seed=2) == found[2]
    assert draw() == found[0]
    drawn_good = (np.array(found) - 0.2) / 0.6 * 200  # how often the one post was drawn good
    assert drawn_good == pytest.approx(drawn_good.round(), abs=1e-6)
    assert reduce(math.gcd, drawn_good.round().astype(int).tolist()) == 1  # of 20 draws it would be 10


def best_temperature(labels, scores) -> float:
    """Try one temperature after the other: the likelihood of the labels, with the prior of the logarithm."""
    logs = np.linspace(-3, 3, 3001)
    cooled = expit(logit(scores) / np.exp(logs)[:, None])  # (3001, N)
    fit = bernoulli.logpmf(labels, cooled).sum(axis=1) + norm.logpdf(logs, scale=0.5)
    return float(np.exp(logs[np.argmax(fit)]))


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 99), posts=st.sampled_from([4, 60]), boast=st.sampled_from([0.4, 1.0, 3.0]))
def test_the_temperature_is_the_one_that_fits_best_with_a_prior_around_one(seed, posts, boast):
    rng = np.random.default_rng(seed)
    truth = rng.normal(0, 1, posts)
    labels = (rng.random(posts) < expit(truth)).astype(int)
    scores = expit(boast * truth)
    assert fit_temperature(labels, scores) == pytest.approx(best_temperature(labels, scores), rel=0.003)


def test_the_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 20_000)
    labels = (rng.random(20_000) < expit(truth)).astype(int)
    sure = expit(truth * 2.5)
    assert fit_temperature(labels, sure) == pytest.approx(2.5, rel=0.05)
    cooled = expit(truth * 2.5 / fit_temperature(labels, sure))
    assert expected_calibration_error(labels, cooled) < 0.02 < 0.1 < expected_calibration_error(labels, sure)


def test_the_temperature_stays_between_a_twentieth_and_twenty():
    sure, right = np.full(2000, 1 - 1e-5), np.ones(2000)
    assert fit_temperature(right, np.full(2000, 0.501)) == pytest.approx(1 / 20, rel=0.01)
    assert fit_temperature(1 - right, sure) == pytest.approx(20, rel=0.01)


def test_scores_of_exactly_zero_and_one_have_a_temperature():
    # Wrong once in a thousand though certain: log-odds of a million to one are much too many.
    labels = np.tile([0, 1], 500)
    scores = labels.astype(float)
    scores[0] = 1
    expected = best_temperature(labels, np.clip(scores, 1e-6, 1 - 1e-6))
    assert fit_temperature(labels, scores) == pytest.approx(expected, rel=0.003)
    assert expected > 1.5


@pytest.mark.parametrize(
    ("by", "what"),
    [
        (3, "**bolder** than they should be"),
        (1 / 3, "**more timid** than they should be"),
        (1, "about right"),
    ],
)
def test_scores_whose_log_odds_are_stretched_are_told_as_bolder_or_more_timid(by, what):
    right = np.random.default_rng(0).uniform(0.1, 0.9, 20_000)
    labels = np.random.default_rng(1).random(20_000) < right
    told = boldness_in_words(labels.astype(int), expit(by * logit(right)))
    assert f"divided by {by:.1f}" in told and f"these scores are {what}" in told
