"""Shares of a whole: worked by hand, by a published table and by scipy."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from selfie_utils.core import shares
from selfie_utils.core.shares import wilson_interval


def wilson(successes: int, total: int) -> list[float]:
    """Return the ends of Wilson's interval by scipy."""
    return list(binomtest(successes, total).proportion_ci(0.95, method="wilson"))


def test_wilson_has_the_values_of_a_published_table():
    # Newcombe, "Two-sided confidence intervals for the single proportion", 1998, table I: 81 of 263.
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert all(np.isnan(wilson_interval(0, 0)))


@given(total=st.integers(1, 3000), data=st.data())
def test_wilson_is_what_scipy_finds(total, data):
    successes = data.draw(st.integers(0, total))
    low, high = wilson_interval(successes, total)
    assert [low, high] == pytest.approx(wilson(successes, total), abs=1e-9)


def test_wilson_holds_a_share_of_0_or_1_to_the_last_bit():
    # Left to rounding, 3, 6, 7, 12 and many more posts would begin above 0.
    assert all(wilson_interval(0, total)[0] == 0 for total in range(1, 200))
    assert all(wilson_interval(total, total)[1] == 1 for total in range(1, 200))


def test_a_share_is_of_known_values_with_wilsons_interval():
    known = pd.Series([True, None, False, True, None, True, False, False, True], dtype="boolean")
    got = shares.share(known)
    assert (got["share"], got["known"]) == (4 / 7, 7)
    assert (got["low"], got["high"]) == pytest.approx(tuple(wilson(4, 7)))
    assert shares.share(np.array([True, False]))["share"] == 0.5


def test_of_nothing_known_there_is_no_share():
    got = shares.share(pd.Series([None, None], dtype="boolean"))
    assert got.pop("known") == 0 and np.isnan(list(got.values())).all() and len(got) == 3


def test_a_percentile_is_the_share_of_the_crowd_that_scores_lower():
    crowd = pd.Series([0.4, 0.2, 0.1, 0.2, 0.3], index=[3, 1, 4, 0, 2])
    scores = pd.Series([0.2, 0.05, 0.25, 0.9, 0.1, 0.4])
    # Who scores the same does not score lower.
    assert shares.percentile(crowd, scores).tolist() == [0.2, 0, 0.6, 1, 0, 0.8]


def test_a_mean_is_of_known_values_with_student_s_interval():
    """Of 1, 2, 3: the standard error is 1 / sqrt 3, and t of two degrees of freedom 4.303."""
    found = shares.mean(pd.Series([1, np.nan, 2, 3, np.inf]))
    assert found["mean"] == 2 and found["known"] == 3
    assert found["high"] - 2 == 2 - found["low"] == pytest.approx(4.303 / 3**0.5, abs=1e-3)
    many = shares.mean(np.array([1.0, 3.0] * 200))
    assert many["low"] == pytest.approx(2 - 1.96 / 20, abs=2e-3)  # of many it is the normal's


def test_one_value_has_no_interval_and_nothing_no_mean():
    one, none = shares.mean(np.array([5.0])), shares.mean(np.array([np.nan]))
    assert one["mean"] == 5 and one["known"] == 1 and none["known"] == 0
    assert np.isnan([one["low"], one["high"], none["mean"], none["low"]]).all()
