"""What the labelling promises, whatever the posts look like."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.errors import SelfieError
from selfie_utils.labels import SPLIT_SHARES, LabelRules, label_posts, oracle, rank_in_group, split_users


def some_posts(n, seed=0):
    rng = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in range(n)],
            "post_id": [f"p{i}" for i in range(n)],
            "user_id": [f"u{i}" for i in rng.integers(0, max(n // 3, 1), n)],
            "followers": rng.integers(60, 5000, n),
            "likes": rng.integers(0, 40, n),  # many ties
            "tags": rng.integers(0, 10, n),
            "posted_at": pd.Timestamp("2015-01-01", tz="UTC"),
            "collected_at": pd.Timestamp("2015-06-01", tz="UTC"),
        }
    )


def all_with_faces(posts):
    return pd.DataFrame({"image": posts["image"], "faces": 1})


@settings(max_examples=40, deadline=None)
@given(n=st.integers(10, 300), half=st.integers(1, 20), seed=st.integers(0, 99))
def test_every_group_is_full_half_good_and_ranked_by_likes(n, half, seed):
    rules = LabelRules(group_size=2 * half, seed=seed)
    posts = some_posts(n, seed)
    if n < 2 * half:
        with pytest.raises(SelfieError, match="posts are left"):
            label_posts(posts, all_with_faces(posts), rules)
        return
    labels, funnel = label_posts(posts, all_with_faces(posts), rules)
    assert len(labels) == n // (2 * half) * 2 * half == funnel.iloc[-1]
    merged = labels.merge(posts[["post_id", "likes"]], on="post_id")
    for _, group in merged.groupby("group"):
        assert len(group) == 2 * half and group["label"].sum() == half
        assert group.loc[group["label"] == 1, "likes"].min() >= group.loc[group["label"] == 0, "likes"].max()
    # Groups march down the audience.
    by_group = labels.groupby("group")["audience"]
    assert (by_group.min().to_numpy()[:-1] >= by_group.max().to_numpy()[1:]).all()


def test_of_two_million_posts_fifty_thousand_are_tested():
    users = pd.Series(np.random.default_rng(0).integers(0, 600_000, 2_000_000)).astype(str)
    sides = split_users(users, seed=0).value_counts()
    assert sides["test"] == pytest.approx(50_000, abs=50)
    assert sides["validation"] == pytest.approx(20_000, abs=50)
    assert sides.sum() == 2_000_000


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 400), seed=st.integers(0, 99))
def test_no_user_stands_on_two_sides(n, seed):
    users = some_posts(n, seed)["user_id"]
    split = split_users(users, seed)
    assert (split.groupby(users).nunique() == 1).all()
    assert set(split) <= set(SPLIT_SHARES)


def test_splits_have_their_shares():
    split = split_users(some_posts(5000)["user_id"], seed=1)
    for name, share in split.value_counts(normalize=True).items():
        assert share == pytest.approx(SPLIT_SHARES[name], abs=0.01)


@pytest.mark.parametrize("count", [200, 70_000])  # many are sorted on two cores
def test_labels_do_not_depend_on_the_order_of_the_table(count):
    posts = some_posts(count)
    first, _ = label_posts(posts, all_with_faces(posts), LabelRules(group_size=20))
    shuffled = posts.sample(frac=1, random_state=3)
    second, _ = label_posts(shuffled, all_with_faces(posts), LabelRules(group_size=20))
    pd.testing.assert_frame_equal(first, second)


def test_ties_are_broken_by_the_seed():
    posts = some_posts(200).assign(likes=7, followers=500, tags=0)
    draws = [
        label_posts(posts, all_with_faces(posts), LabelRules(group_size=20, seed=s))[0]
        .set_index("post_id")["label"]
        .sort_index()
        for s in (0, 0, 1)
    ]
    assert draws[0].equals(draws[1]) and not draws[0].equals(draws[2])


def test_tags_raise_the_audience():
    posts = some_posts(4).assign(followers=100, tags=[0, 1, 2, 50])
    labels, _ = label_posts(
        posts, all_with_faces(posts), LabelRules(group_size=2, tag_bonus=0.1, max_tags=99)
    )
    assert sorted(labels["audience"]) == pytest.approx([100, 110, 120, 600])


def test_the_funnel_counts_each_reason():
    posts = some_posts(100)
    faces = all_with_faces(posts).iloc[1:].copy()  # photo 0 could not be read
    faces.loc[1, "faces"] = 0
    posts.loc[2, "followers"], posts.loc[3, "followers"] = 49, 50_001
    posts.loc[4, "tags"] = 21
    posts.loc[5, "collected_at"] = posts.loc[5, "posted_at"] + pd.Timedelta(days=29)
    labels, funnel = label_posts(posts, faces, LabelRules(group_size=10))
    assert funnel.tolist() == [100, 99, 98, 96, 95, 94, 90]
    assert not set(labels["post_id"]) & {f"p{i}" for i in range(6)}


def test_own_labels_and_splits_are_kept():
    posts = some_posts(10)[["image", "post_id", "user_id"]].assign(label=[0, 1] * 5, split="test")
    labels, _ = label_posts(posts, all_with_faces(posts), LabelRules())
    assert labels["label"].tolist() == [0, 1] * 5 and set(labels["split"]) == {"test"}


def test_the_oracle_compares_with_the_median_of_its_group():
    labels = pd.DataFrame({"post_id": list("abcdef"), "group": [0, 0, 0, 1, 1, 1]})
    truth = pd.DataFrame({"post_id": list("fedcba"), "appeal": [9.0, 6.0, 5.0, 3.0, 2.0, 0.0]})
    assert oracle(labels, truth).tolist() == [-2, 0, 1, -1, 0, 3]


@pytest.mark.parametrize("rules", [{"group_size": 7}, {"group_size": 0}, {"followers_range": (9, 1)}])
def test_rules_that_make_no_sense_are_refused(rules):
    with pytest.raises(SelfieError, match="expected"):
        LabelRules(**rules)


def test_ranks_go_with_labels_and_say_more():
    posts = some_posts(200, 3)
    labels, _ = label_posts(posts, all_with_faces(posts), LabelRules(group_size=20))
    ranks = rank_in_group(labels, posts)
    assert ranks.between(0, 1, inclusive="neither").all()
    assert np.allclose(ranks.groupby(labels["group"]).mean(), 0.5)
    for _, group in labels.assign(rank=ranks).groupby("group"):
        assert group.loc[group["label"] == 1, "rank"].min() >= group.loc[group["label"] == 0, "rank"].max()
    assert rank_in_group(labels, posts.drop(columns="likes")).isna().all()
    assert rank_in_group(labels.assign(group=-1), posts).isna().all()
