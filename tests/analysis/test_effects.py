"""Effects and their luck: least squares, intervals of users instead of posts, Holm's published example."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm, ttest_ind

from selfie_utils.analysis.effects import fit_by_user, holm, judge, mean_by_user, summarise


def test_holm_is_that_of_a_published_example():
    """Wikipedia, "Holm-Bonferroni method": 0.01 and 0.005 are rejected at 5%, 0.03 and 0.04 are not."""
    assert holm([0.01, 0.04, 0.03, 0.005]).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])


def test_holm_stays_below_one_and_keeps_ties_and_gaps():
    assert holm([0.6, 0.5]).tolist() == [1.0, 1.0]
    assert holm([0.02, np.nan, 0.02]).tolist() == pytest.approx([0.04, np.nan, 0.04], nan_ok=True)
    assert holm([0.2]).tolist() == [0.2] and holm([]).tolist() == []


def test_copies_of_a_post_do_not_make_an_interval_narrower():
    """Thirty users with a value each; with seven copies of every post we know no more than with one."""
    value = np.random.default_rng(1).normal(0.3, 1, 30)
    users = np.array([f"u{7 * i % 31}" for i in range(30)])
    once = mean_by_user(value, users, seed=0, draws=4000)
    often = mean_by_user(np.repeat(value, 7), np.repeat(users, 7), seed=0, draws=4000)
    assert often["low"] == pytest.approx(once["low"]) and often["high"] == pytest.approx(once["high"])
    half = norm.ppf(0.975) * value.std() / np.sqrt(30)
    assert (often["high"] - often["low"]) / 2 == pytest.approx(half, rel=0.06)
    posts = mean_by_user(np.repeat(value, 7), np.arange(210).astype(str), seed=0, draws=4000)
    assert posts["high"] - posts["low"] == pytest.approx(2 * half / np.sqrt(7), rel=0.06)


def test_a_difference_of_two_groups_is_that_of_their_means_with_the_luck_of_welchs_test():
    rng = np.random.default_rng(2)
    has = rng.random(800) < 0.3
    target = rng.normal(0, 1, 800) + 0.4 * has
    found = fit_by_user(np.column_stack([np.ones(800), has]), target, np.arange(800), 0, 3000)
    table = summarise(*found)
    assert table["effect"][1] == pytest.approx(target[has].mean() - target[~has].mean())
    welch = ttest_ind(target[has], target[~has], equal_var=False).confidence_interval()
    assert (table["low"][1], table["high"][1]) == pytest.approx((welch.low, welch.high), abs=0.02)


def test_everything_else_is_held_equal():
    """Two attributes go together; only one of them counts."""
    rng = np.random.default_rng(3)
    one = rng.random(500) < 0.5
    other = np.where(rng.random(500) < 0.8, one, ~one)
    design = np.column_stack([np.ones(500), one, other])
    slopes, drawn = fit_by_user(design, 2 + 0.7 * one, rng.integers(0, 90, 500).astype(str), 0, 30)
    assert slopes.tolist() == pytest.approx([2, 0.7, 0]) and drawn == pytest.approx(np.tile(slopes, (30, 1)))


def test_samples_go_by_the_seed_and_the_order_of_posts_does_not_matter():
    rng = np.random.default_rng(4)
    value, users = rng.normal(size=60), rng.integers(0, 13, 60).astype(str)
    one, again, other = (mean_by_user(value, users, seed, draws=50) for seed in (1, 1, 2))
    assert one == again and one["low"] != other["low"] and one["effect"] == other["effect"]
    order = rng.permutation(60)
    assert mean_by_user(value[order], users[order], 1, draws=50) == pytest.approx(one)


def test_a_single_user_has_an_effect_and_no_interval():
    found = mean_by_user([0.2, 0.4], ["ann", "ann"], seed=0)
    assert found["effect"] == pytest.approx(0.3) and np.isnan([found["low"], found["high"], found["p"]]).all()


def effects(**rows):
    return pd.DataFrame.from_dict(rows, orient="index", columns=["low", "high", "holm"])


def test_an_effect_is_told_where_luck_is_ruled_out_and_placebos_are_cleared():
    table = effects(
        clear=(0.15, 0.4, 0.001), clear_harm=(-0.4, -0.15, 0.001), lucky=(0.15, 0.4, 0.05),
        below_placebos=(0.05, 0.4, 0.001), none=(-0.09, 0.08, 0.9), wide=(-0.11, 0.08, 0.9),
        small_but_sure=(0.02, 0.09, 0.001), at_the_limit=(0.0, 0.1, 0.9), unknown=(np.nan, np.nan, np.nan),
    )  # fmt: skip
    assert dict(zip(table.index, judge(table, worth_telling=0.1, floor=0.06), strict=True)) == {
        "clear": "more", "clear_harm": "less", "lucky": "not clear", "below_placebos": "not clear",
        "none": "no difference", "wide": "not clear", "small_but_sure": "no difference",
        "at_the_limit": "not clear", "unknown": "not clear",
    }  # fmt: skip
    assert judge(table.loc[["below_placebos"]], 0.1) == ["more"]  # without placebos nothing is in the way
