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


def test_with_users_who_appear_once_a_share_is_as_without():
    known = pd.Series(
        [True, None, False, True, None, True, False, False, True], dtype="boolean", index=[4] * 9
    )
    one, other = shares.share(known), shares.share(known, list("abcdefghi"))
    assert one == pytest.approx(other)


@given(has=st.lists(st.booleans(), min_size=1, max_size=40), times=st.integers(1, 9))
def test_posts_that_are_copies_of_one_another_count_once(has, times):
    users = np.tile(np.arange(len(has)), times)
    found = shares.share(np.tile(has, times), users)
    assert found["known"] == len(users)
    if len(has) > 1 and 0 < sum(has) < len(has):
        # The variance of copies is that of their users, but for their number less one: nearly.
        assert shares.independent(np.tile(has, times).astype(float), users) == pytest.approx(
            len(has), rel=2 / len(has)
        )
    else:
        assert [found["low"], found["high"]] == pytest.approx(wilson(sum(has), len(has)))


def test_values_that_differ_within_users_count_one_by_one():
    """Each user has one of each kind: drawing users tells the share exactly, and still counts as N values."""
    has, users = np.tile([1.0, 0.0], 20), np.repeat(np.arange(20), 2)
    assert shares.independent(has, users) == 40
    assert shares.share(has.astype(bool), users) == pytest.approx(shares.share(has.astype(bool)))


def test_unknown_values_and_their_users_stay_out():
    has = pd.Series([None, True, False, None, True], dtype="boolean")
    found = shares.share(has, ["x", "a", "b", "y", "a"])
    assert found == pytest.approx(shares.share(pd.Series([True, False, True]), ["a", "b", "a"]))
    assert found["known"] == 3


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
