"""Other ways to label: what they must have in common, and where they must differ."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfie_utils.copies import find_no_copies
from selfie_utils.label_choices import (
    AS_CHOSEN,
    Choices,
    agreement,
    in_words,
    label_in_many_ways,
    label_outer,
    right_labels,
)
from selfie_utils.labels import LabelRules, label_posts


@pytest.fixture(scope="module")
def posts():
    rng = np.random.default_rng(0)
    n = 2000
    users = rng.integers(0, 500, n)
    followers = np.exp(rng.normal(6, 1, 500)).astype(int)[users] + 60
    appeal = rng.normal(size=n)
    made = pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(n)], "post_id": [f"p{i}" for i in range(n)],
            "user_id": [f"u{u}" for u in users], "followers": followers, "tags": rng.integers(0, 15, n),
            "posted_at": pd.Timestamp("2015-01-01", tz="UTC"), "appeal": appeal,
            "collected_at": pd.Timestamp("2015-06-01", tz="UTC"),
        }
    )  # fmt: skip
    rate = made["followers"] * (1 + 0.02 * made["tags"]) * 0.1 * np.exp(0.6 * appeal)
    return made.assign(likes=rng.poisson(rate))


@pytest.fixture(scope="module")
def labels(posts):
    faces = pd.DataFrame({"image": posts["image"], "faces": 1})
    return label_in_many_ways(posts, faces, find_no_copies(), LabelRules(), Choices())


def test_the_first_choice_is_what_the_run_is_taught(posts, labels):
    faces = pd.DataFrame({"image": posts["image"], "faces": 1})
    taught, _ = label_posts(posts, faces, LabelRules())
    column = labels[AS_CHOSEN].dropna()
    assert column.sort_index().tolist() == taught.set_index("post_id")["label"].sort_index().tolist()
    assert list(labels)[1:] == [
        "groups of 20", "groups of 50", "groups of 200", "groups of 500", "tag bonus 0%", "tag bonus 5%",
        "tag bonus 10%", "outer 33% of a group", "the user's own posts",
    ]  # fmt: skip


def test_every_choice_calls_half_of_what_it_labels_good(labels):
    for name, column in labels.items():
        assert column.mean() == pytest.approx(0.5, abs=1e-9), name


def test_outer_shares_leave_out_the_middle_and_change_no_label(labels):
    outer, chosen = labels["outer 33% of a group"], labels[AS_CHOSEN]
    assert outer.notna().sum() == 20 * 66
    assert (outer == chosen)[outer.notna()].all()


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 9)), min_size=1, max_size=60),
    st.sampled_from([0.5, 1 / 3]),
)
def test_upper_shares_are_above_lower_ones_in_every_group(rows, outer):
    table = pd.DataFrame(rows, columns=["group", "value"])
    table["label"] = label_outer(table["group"], table["value"], table.index.astype(str).to_series(), outer)
    for _, group in table.groupby("group"):
        good, bad = (group.loc[group["label"] == side, "value"] for side in (1, 0))
        assert len(good) == len(bad) == int(len(group) * outer + 1e-9)
        assert not len(good) or good.min() >= bad.max()


def test_kappa_tells_alike_from_different(labels):
    kappas = agreement(labels)
    assert np.allclose(np.diag(kappas), 1) and np.allclose(kappas, kappas.T)
    assert kappas.loc[AS_CHOSEN, "groups of 50"] > 0.8 > kappas.loc[AS_CHOSEN, "the user's own posts"] > 0.2
    shuffled = labels[AS_CHOSEN].sample(frac=1, random_state=1).set_axis(labels.index)
    assert abs(agreement(labels.assign(luck=shuffled)).loc[AS_CHOSEN, "luck"]) < 0.1
    assert "farthest **the user's own posts**" in in_words(kappas) and "outer" not in in_words(kappas)


def test_right_labels_are_counted_by_one_yardstick(posts, labels):
    found = right_labels(labels, posts)
    assert found.loc[AS_CHOSEN, "posts"] == 2000 and 0.65 < found.loc[AS_CHOSEN, "share"] < 0.95
    assert found.loc["outer 33% of a group", "share"] > found.loc[AS_CHOSEN, "high"]
    assert (found["low"] < found["share"]).all() and (found["share"] < found["high"]).all()
    wrong = right_labels(1 - labels, posts)
    assert np.allclose(wrong["share"], 1 - found["share"])
    assert list(right_labels(labels, None)) == ["posts"]
