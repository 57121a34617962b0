"""Other ways to label: what they must have in common, and where they must differ."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from selfie_utils.photos.copies import find_no_copies
from selfie_utils.posts.label_choices import (
    AS_CHOSEN,
    Choices,
    agreement,
    in_words,
    label_in_many_ways,
    right_labels,
)
from selfie_utils.posts.labels import LabelRules, label_outer, label_posts

OUTER, OWN = "outer 33% of a group", "the user's own posts"


@pytest.fixture(scope="module")
def posts():
    """1999 posts in no order, 97 of which the rules leave out."""
    rng = np.random.default_rng(0)
    n = 1999
    numbers, users = rng.permutation(3 * n)[:n], rng.integers(0, 500, n)
    followers = np.exp(rng.normal(6, 1, 500)).astype(int)[users] + 60
    appeal = rng.normal(size=n)
    made = pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in numbers], "post_id": [f"p{i}" for i in numbers],
            "user_id": [f"u{u}" for u in users], "followers": followers, "tags": rng.integers(0, 15, n),
            "posted_at": pd.Timestamp("2015-01-01", tz="UTC"), "appeal": appeal,
            "collected_at": pd.Timestamp("2015-06-01", tz="UTC"),
        }
    )  # fmt: skip
    made.loc[made.index[:97], "tags"] = 21
    rate = made["followers"] * (1 + 0.02 * made["tags"]) * 0.1 * np.exp(0.6 * appeal)
    return made.assign(likes=rng.poisson(rate))


def many_ways(posts, rules, choices):
    faces = pd.DataFrame({"image": posts["image"], "faces": 1})
    return label_in_many_ways(posts, faces, find_no_copies(), rules, choices)


def taught(posts, rules):
    """The labels that a run with these rules is taught, by post_id."""
    faces = pd.DataFrame({"image": posts["image"], "faces": 1})
    return label_posts(posts, faces, rules)[0].set_index("post_id")


@pytest.fixture(scope="module")
def labels(posts):
    return many_ways(posts, LabelRules(seed=3), Choices())


def test_every_choice_has_its_column_in_order(labels):
    assert list(labels) == [
        "as chosen", "groups of 20", "groups of 50", "groups of 200", "groups of 500", "tag bonus 0%",
        "tag bonus 5%", "tag bonus 10%", OUTER, OWN,
    ]  # fmt: skip
    assert (labels.dtypes == "Int64").all()


def test_all_kept_posts_have_a_row_and_no_others(posts, labels):
    assert labels.index.tolist() == posts["post_id"].tolist()[97:]


@pytest.mark.parametrize(
    ("column", "changes"),
    [
        ("as chosen", {}),
        ("groups of 20", {"group_size": 20}),
        ("groups of 500", {"group_size": 500}),
        ("tag bonus 0%", {"tag_bonus": 0.0}),
        ("tag bonus 10%", {"tag_bonus": 0.1}),
    ],
)
def test_a_choice_labels_as_a_run_with_such_rules_would(posts, labels, column, changes):
    wanted = taught(posts, replace(LabelRules(seed=3), **changes))["label"]
    pd.testing.assert_series_equal(
        labels[column].dropna().astype("int64").sort_index(), wanted.sort_index(), check_names=False
    )


def test_choices_that_change_nothing_and_groups_larger_than_all_posts_are_left_out(posts):
    few = posts.tail(100)
    choices = Choices(group_sizes=(4, 50, 100, 102), tag_bonuses=(0.07, 0.5), outer=0.1)
    assert list(many_ways(few, LabelRules(group_size=4, tag_bonus=0.07), choices)) == [
        "as chosen", "groups of 50", "groups of 100", "tag bonus 50%", "outer 10% of a group", OWN,
    ]  # fmt: skip


def test_every_choice_calls_half_of_what_it_labels_good(labels):
    for name, column in labels.items():
        assert column.mean() == pytest.approx(0.5, abs=1e-9), name


def test_outer_shares_leave_out_the_middle_by_likes_and_change_no_label(posts, labels):
    outer, chosen = labels[OUTER], labels[AS_CHOSEN]
    assert outer.notna().sum() == 19 * 66
    assert (outer == chosen)[outer.notna()].all()
    likes, groups = posts.set_index("post_id")["likes"], taught(posts, LabelRules(seed=3))["group"]
    for _, group in groups.groupby(groups):
        sides = outer[group.index].fillna(-1)
        good, middle, bad = (likes[group.index][sides == side] for side in (1, -1, 0))
        assert (len(good), len(middle), len(bad)) == (33, 34, 33)
        assert good.min() >= middle.max() and middle.min() >= bad.max()


def test_against_a_users_own_posts_what_counts_is_likes_for_the_audience():
    rows = [
        # post, user, followers, tags, likes
        ("b", "u", 1000, 0, 50),  # 0.05 of the audience
        ("a", "u", 100, 0, 10),  # 0.1
        ("d", "v", 400, 0, 1),
        ("g", "w", 100, 0, 5),  # alone
        ("c", "u", 100, 20, 13),  # 13 / 140 = 0.093: the tags count
        ("e", "v", 500, 0, 2),
        ("h", "x", 0, 0, 3),  # an audience of nobody counts as one
        ("k", "x", 1, 0, 9),
    ]
    posts = pd.DataFrame(rows, columns=["post_id", "user_id", "followers", "tags", "likes"])
    dates = {"posted_at": pd.Timestamp("2015-01-01"), "collected_at": pd.Timestamp("2015-06-01")}
    posts = posts.assign(image=posts["post_id"] + ".jpg", **dates)
    own = many_ways(posts, LabelRules((0, 9999), group_size=2), Choices())[OWN]
    assert own.fillna(-1).to_dict() == {"a": 1, "b": 0, "c": -1, "d": 0, "e": 1, "g": -1, "h": 0, "k": 1}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=40),
    st.sampled_from([0.5, 1 / 3]),
)
def test_upper_shares_are_above_lower_ones_in_every_group(rows, outer):
    table = pd.DataFrame(rows, columns=["group", "value"])
    table["label"] = label_outer(table["group"], table["value"], table.index.astype(str).to_series(), outer)
    for _, group in table.groupby("group"):
        good, bad = (group.loc[group["label"] == side, "value"] for side in (1, 0))
        middle = group.loc[group["label"].isna(), "value"]
        assert len(good) == len(bad) == int(len(group) * outer + 1e-9)
        assert not len(good) or good.min() >= bad.max()
        assert not len(middle) or not len(good) or good.min() >= middle.max() >= middle.min() >= bad.max()


@pytest.mark.parametrize(
    ("size", "outer", "count"),
    # 100 x 0.29 is 28.999... in floats
    [(100, 0.29, 29), (7, 1 / 3, 2), (3, 1 / 3, 1), (2, 1 / 3, 0), (7, 0.5, 3), (1, 0.5, 0)],
)
def test_so_many_of_a_group_are_good_and_as_many_bad(size, outer, count):
    ids = pd.Series([f"p{i}" for i in range(size)])
    labels = label_outer(pd.Series("g", ids.index), pd.Series(range(size)), ids, outer)
    assert labels.fillna(-1).tolist() == [0] * count + [-1] * (size - 2 * count) + [1] * count


def test_equal_posts_are_told_apart_by_lots_whatever_the_order():
    ids = pd.Series([f"p{i}" for i in range(300)])
    same, values = pd.Series("g", ids.index), pd.Series(1.0, ids.index)
    labels = label_outer(same, values, ids, 1 / 3)
    order = np.random.default_rng(0).permutation(300)
    again = label_outer(same[order], values[order], ids[order], 1 / 3)
    assert again.index.tolist() == order.tolist() and again.sort_index().equals(labels)
    assert 20 < (labels[:100] == 1).sum() < 47  # a third, not those that stand first


# --- how far choices agree -------------------------------------------------------------------------------


def known_labels(**columns):
    return pd.DataFrame({k: pd.array([None if v == "-" else int(v) for v in c]) for k, c in columns.items()})


def test_kappa_worked_by_hand():
    # 20 both good, 5 only by the one, 10 only by the other, 15 neither: (0.7 - 0.5) / (1 - 0.5) = 0.4
    one, other = "1" * 25 + "0" * 25, "1" * 20 + "0" * 5 + "1" * 10 + "0" * 15
    table = known_labels(
        one=one + "-10", other=other + "1--", opposite=one.translate({48: 49, 49: 48}) + "---"
    )
    kappas = agreement(table)
    assert kappas.loc["one", "other"] == kappas.loc["other", "one"] == pytest.approx(0.4)
    assert kappas.loc["one", "one"] == kappas.loc["other", "other"] == 1
    assert kappas.loc["one", "opposite"] == -1
    assert kappas.loc["opposite", "other"] == pytest.approx(-0.4)


def test_kappa_is_unknown_only_where_there_is_nothing_to_agree_on():
    kappas = agreement(known_labels(mixed="1010-", ones="1111-", other="----0", none="-----"))
    assert np.isnan(kappas.loc["ones", "ones"]) and np.isnan(kappas.loc["mixed", "other"])
    assert np.isnan(kappas.loc["none", "mixed"])
    assert kappas.loc["mixed", "ones"] == kappas.loc["ones", "mixed"] == 0  # no better than chance


def test_kappa_tells_alike_from_different(labels):
    kappas = agreement(labels[[AS_CHOSEN, "groups of 50", OUTER, OWN]])
    assert kappas.loc[AS_CHOSEN, "groups of 50"] > 0.8 > kappas.loc[AS_CHOSEN, OWN] > 0.2
    assert kappas.loc[AS_CHOSEN, OUTER] == 1


def test_labels_that_agree_with_the_appeal_are_counted_by_one_yardstick():
    # Appeals of p0 to p6 are 6, 5, 4, 3, 2, 1, 0: above the median, 3, are p0 to p2.
    truth = pd.DataFrame({"post_id": ["p9", *[f"p{i}" for i in range(6, -1, -1)]], "appeal": [99, *range(7)]})
    labels = known_labels(good="1110000", bad="0001111", some="1-0--01").set_index(
        pd.Index([f"p{i}" for i in range(7)])
    )
    order = [3, 0, 6, 1, 5, 2, 4]
    found = right_labels(labels.iloc[order], truth)
    assert list(found) == ["posts", "share", "low", "high"] and found["posts"].tolist() == [7, 7, 4]
    assert found["share"].tolist() == [1, 0, 0.5]  # right: p0 and p5
    for right, (low, high) in zip((7, 0, 2), found[["low", "high"]].values, strict=True):
        interval = binomtest(right, 4 if right == 2 else 7).proportion_ci(method="wilson")
        assert (low, high) == pytest.approx(tuple(interval))
    assert right_labels(labels, None).to_dict() == {"posts": {"good": 7, "bad": 7, "some": 4}}


def test_outer_labels_are_right_more_often(posts, labels):
    found = right_labels(labels, posts)
    assert found.loc[AS_CHOSEN, "posts"] == 1900 and 0.65 < found.loc[AS_CHOSEN, "share"] < 0.95
    assert found.loc[OUTER, "share"] > found.loc[AS_CHOSEN, "high"]


def test_words_name_the_nearest_and_the_farthest_choice():
    kappas = pd.DataFrame(
        {AS_CHOSEN: {AS_CHOSEN: 1, "a": 0.25, "b": 0.876, "c": 1.0, "d": -0.5, "e": np.nan}}
    )
    assert in_words(kappas.assign(other=0.99)) == (
        "Of the choices that change labels, the nearest to those as chosen is **b** (kappa 0.88), the "
        "farthest **d** (kappa -0.50)."
    )
    nothing = "No other choice changes a label, or there are too few posts for another."
    assert in_words(kappas.loc[[AS_CHOSEN, "c", "e"]]) == in_words(kappas.loc[[AS_CHOSEN]]) == nothing
