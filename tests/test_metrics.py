"""Metrics against known values and against simulation."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.metrics import roc_auc_score

from selfie_utils.metrics import (
    accuracy,
    accuracy_by,
    auc_interval,
    auc_way,
    calibration,
    expected_calibration_error,
    fit_temperature,
    wilson_interval,
)


def test_wilson_against_a_published_example():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert all(np.isnan(wilson_interval(0, 0)))


@given(total=st.integers(1, 500), data=st.data())
def test_wilson_holds_its_share(total, data):
    successes = data.draw(st.integers(0, total))
    low, high = wilson_interval(successes, total)
    assert 0 <= low <= successes / total <= high <= 1


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 8)), min_size=2, max_size=60))
def test_auc_agrees_with_scikit_learn_ties_and_all(pairs):
    labels, scores = np.array([int(p[0]) for p in pairs]), np.array([p[1] / 8 for p in pairs])
    auc, low, high = auc_interval(labels, scores)
    if labels.min() == labels.max():
        assert np.isnan([auc, low, high]).all()
    else:
        assert auc == pytest.approx(roc_auc_score(labels, scores))
        assert low <= auc <= high


def test_delong_covers_the_truth_19_times_of_20():
    rng = np.random.default_rng(0)
    truth = 0.76025  # of two normal distributions one standard deviation apart: Phi(1 / sqrt 2)
    hits = 0
    for _ in range(300):
        labels = rng.integers(0, 2, 150)
        _, low, high = auc_interval(labels, labels + rng.normal(0, 1, 150))
        hits += low <= truth <= high
    assert 0.91 <= hits / 300 <= 0.98


def test_the_auc_way_covers_the_truth_and_is_surer_than_the_area_alone():
    rng = np.random.default_rng(0)

    def draw(posts):
        appeal, noise = rng.normal(0, 1, (2, posts))
        return rng.random(posts) < expit(1.5 * appeal), 0.9 * appeal + np.sqrt(1 - 0.81) * noise, appeal

    truth = auc_way(*draw(400_000))[0]
    found = np.array([auc_way(*draw(500)) for _ in range(300)])
    hits = (found[:, 1] <= truth) & (truth <= found[:, 2])
    assert 0.91 <= hits.mean() <= 0.98
    labels, scores, oracle = draw(500)
    _, low, high = auc_way(labels, scores, oracle)
    _, lowest, highest = auc_interval(labels, scores)
    assert high - low < (highest - lowest) / (auc_interval(labels, oracle)[0] - 0.5)


def test_there_is_no_way_to_an_oracle_that_knows_nothing():
    labels, scores = np.array([0, 1, 0, 1]), np.array([0.1, 0.4, 0.2, 0.3])
    assert auc_way(labels, scores, scores) == (1, 1, 1)
    assert np.isnan(auc_way(labels, scores, -scores)).all()
    assert np.isnan(auc_way(np.ones(4), scores, scores)).all()


def test_accuracy_counts_both_sides():
    got = accuracy(np.array([1, 1, 0, 0]), np.array([0.9, 0.4, 0.2, 0.1]))
    assert got[0] == 0.75 and got[1] < 0.75 < got[2]


def test_honest_scores_are_calibrated_and_boasting_ones_are_not():
    rng = np.random.default_rng(1)
    honest = rng.uniform(0.3, 0.7, 4000)
    labels = (rng.random(4000) < honest).astype(int)
    bins = calibration(labels, honest, 8)
    assert bins["posts"].sum() == 4000 and bins["score"].is_monotonic_increasing
    assert ((bins["low"] <= bins["score"]) & (bins["score"] <= bins["high"])).mean() > 0.8
    boasting = calibration(labels, np.where(honest > 0.5, 0.99, 0.01), 2)
    assert (boasting["high"].iloc[-1] < 0.99) and (boasting["low"].iloc[0] > 0.01)
    assert len(calibration(labels[:3], honest[:3])) == 3


def test_one_good_post_among_thousands_has_an_interval():
    labels = np.zeros(3000, int)
    labels[0] = 1
    auc, low, high = auc_interval(labels, np.arange(3000) + 0.5 * labels)
    assert 0 <= low <= auc <= high <= 1


def test_the_temperature_undoes_overconfidence():
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, 20_000)
    labels = (rng.random(20_000) < expit(truth)).astype(int)
    sure = expit(truth * 2.5)
    assert fit_temperature(labels, sure) == pytest.approx(2.5, rel=0.05)
    assert fit_temperature(labels, expit(truth)) == pytest.approx(1, rel=0.05)
    cooled = expit(truth * 2.5 / fit_temperature(labels, sure))
    assert expected_calibration_error(labels, cooled) < 0.02 < 0.1 < expected_calibration_error(labels, sure)


def test_a_few_posts_do_not_change_the_temperature_much():
    assert 0.5 < fit_temperature(np.array([1, 0, 1, 0]), np.array([0.9, 0.2, 0.8, 0.1])) < 1


def test_the_calibration_error_is_the_mean_distance_to_the_diagonal():
    labels = np.repeat([0, 1, 0, 1], [50, 50, 20, 80])
    scores = np.repeat([0.6, 0.9], 100)  # half are good, and eight of ten: off by 0.1 both
    assert expected_calibration_error(labels, scores, bins=2) == pytest.approx(0.1)


def test_accuracy_is_counted_by_audience_and_attribute():
    followers = pd.Series(np.arange(400) + 100)
    scores = pd.DataFrame({"label": np.arange(400) % 2, "score": np.arange(400) % 2})
    scores.loc[:39, "score"] = 1 - scores.loc[:39, "score"]  # all wrong in the smallest tenth
    attributes = pd.DataFrame({"hat": followers < 160, "rare": followers < 110}).astype("boolean")
    groups = accuracy_by(scores, followers, attributes).set_index("group")
    assert groups.loc["100 to 139 followers", ["accuracy", "posts"]].tolist() == [0, 40]
    assert groups.loc["460 to 499 followers", "accuracy"] == 1
    assert groups.loc["hat", "accuracy"] == pytest.approx(20 / 60) and "rare" not in groups.index
    assert len(accuracy_by(scores, followers.where(followers > 100), attributes)) == 1  # no tenths
