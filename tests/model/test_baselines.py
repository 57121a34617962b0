"""The baseline: what it learns from, and that it is a logistic regression."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from selfie_utils.model.baselines import draw_taught, fit_baseline


def test_twenty_thousand_posts_are_learned_from_and_of_more_as_many_are_drawn():
    posts = pd.DataFrame({"image": range(20_001)})
    assert draw_taught(posts[1:], 0).equals(posts[1:])
    drawn = draw_taught(posts, 0)
    assert drawn["image"].nunique() == len(drawn) == 20_000 and set(drawn["image"]) < set(posts["image"])
    assert drawn.equals(draw_taught(posts, 0)) and not drawn.equals(draw_taught(posts, 1))


@pytest.fixture
def taught():
    """Statistics of very different sizes, of which only the smallest says something of the label."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(90) % 3 == 0).astype(int)
    statistics = rng.normal(size=(90, 4))
    statistics[:, 2] += 1.5 * labels
    return statistics * [1, 5, 0.001, 3] + [0, 40, 0.2, -9], labels


def test_the_baseline_is_a_logistic_regression_on_statistics_of_equal_weight(taught):
    statistics, labels = taught
    train, test = statistics[:60], statistics[60:]
    middle, spread = train.mean(axis=0), train.std(axis=0)
    model = LogisticRegression(C=1).fit((train - middle) / spread, labels[:60])
    good = 1 / (1 + np.exp(-((test - middle) / spread @ model.coef_[0] + model.intercept_[0])))
    found = fit_baseline(train, labels[:60], test)
    assert found.dtype == np.float64 and found.tolist() == pytest.approx(good.tolist(), abs=1e-3)
    assert found[labels[60:] == 1].mean() > found[labels[60:] == 0].mean() + 0.1


def test_the_unit_of_a_statistic_changes_nothing(taught):
    statistics, labels = taught
    found = fit_baseline(statistics[:60], labels[:60], statistics[60:])
    other = statistics * [100, 0.01, 7, 1] + [3, -2, 0, 50]
    assert fit_baseline(other[:60], labels[:60], other[60:]) == pytest.approx(found, abs=1e-3)
