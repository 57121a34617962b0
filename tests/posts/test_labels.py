"""What the labelling promises, whatever the posts look like."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.core.draws import draw_lots, largest_first, sort_largest_first
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.posts.labels import (
    LabelRules,
    fingerprint,
    first_half,
    label_posts,
    labels_of,
    oracle,
    rank_in_group,
    rank_within_groups,
    split_users,
)

DAY = pd.Timedelta(days=1)


def some_posts(n, seed=0):
    """Posts with many ties, whose ids and names have gaps and stand in no order."""
    rng = np.random.default_rng(seed)
    numbers = rng.permutation(3 * n)[:n]
    return pd.DataFrame(
        {
            "image": [f"{i}.jpg" for i in numbers],
            "post_id": [f"p{i}" for i in numbers],
            "user_id": [f"u{i}" for i in rng.integers(0, max(n // 3, 1), n)],
            "followers": rng.integers(60, 5000, n),
            "likes": rng.integers(0, 40, n),
            "tags": rng.integers(0, 10, n),
            "posted_at": pd.Timestamp("2015-01-01", tz="UTC"),
            "collected_at": pd.Timestamp("2015-06-01", tz="UTC"),
        }
    )


def all_with_faces(posts):
    """One face in every photo, told in another order than the posts'."""
    return pd.DataFrame({"image": posts["image"], "faces": 1}).sample(frac=1, random_state=5)


def labelled(posts, **rules):
    """Label posts, all of which show a face; indexed by post_id."""
    return label_posts(posts, all_with_faces(posts), LabelRules(**rules))[0].set_index("post_id")


# --- the rules -------------------------------------------------------------------------------------------


def test_the_rules_are_those_that_the_readme_gives():
    assert LabelRules() == LabelRules((50, 50_000), 20, 30, 0.02, 100, "together", 0)


@pytest.mark.parametrize(
    ("rules", "sentence"),
    [
        ({"group_size": 7}, "group_size is 7, expected an even number"),
        ({"group_size": 0}, "group_size is 0, expected an even number"),
        ({"group_size": -2}, "group_size is -2, expected an even number"),
        ({"followers_range": (9, 1)}, r"followers_range is \(9, 1\), expected \[fewest, most\]"),
        ({"followers_range": (9,)}, r"followers_range is \(9,\), expected"),
        ({"followers_range": (1, 5, 9)}, r"followers_range is \(1, 5, 9\), expected"),
        ({"copies": "keep"}, "copies is 'keep', expected one of together, drop, ignore"),
    ],
)
def test_rules_that_make_no_sense_are_refused(rules, sentence):
    with pytest.raises(SelfieError, match=sentence):
        LabelRules(**rules)


def test_the_smallest_rules_that_make_sense_are_allowed():
    assert LabelRules(group_size=2, followers_range=(9, 9)).group_size == 2


# --- the filters -----------------------------------------------------------------------------------------


def kept(posts, **rules):
    return set(labelled(posts, group_size=2, **rules)["image"])


def pairs(**columns):
    """Pairs of posts, so that groups of two drop none: of each, two alike for every value of a column."""
    ((name, values),) = columns.items()
    posts = some_posts(2 * len(values)).assign(**{name: np.repeat(values, 2)})
    return posts.assign(image=[f"{i}{side}" for i in range(len(values)) for side in "ab"])


@pytest.mark.parametrize(
    ("rules", "followers", "inside"),
    [
        ({}, [49, 50, 51, 49_999, 50_000, 50_001], {1, 2, 3, 4}),
        ({"followers_range": (100, 100)}, [99, 100, 101], {1}),
    ],
)
def test_the_range_of_followers_includes_both_of_its_ends(rules, followers, inside):
    assert kept(pairs(followers=followers), **rules) == {f"{i}{side}" for i in inside for side in "ab"}


def test_as_many_tags_as_allowed_are_allowed():
    assert kept(pairs(tags=[0, 19, 20, 21])) == {"0a", "0b", "1a", "1b", "2a", "2b"}
    assert kept(pairs(tags=[0, 1]), max_tags=0) == {"0a", "0b"}


def test_a_post_online_for_exactly_thirty_days_is_kept_and_a_second_less_is_too_young():
    start, second = pd.Timestamp("2015-01-31 12:00", tz="UTC"), pd.Timedelta(seconds=1)
    ages = pd.to_timedelta([30 * DAY - second, 30 * DAY, 30 * DAY + second, 400 * DAY])
    posts = pairs(collected_at=start + ages).assign(posted_at=start)
    assert kept(posts) == {"1a", "1b", "2a", "2b", "3a", "3b"}
    assert kept(posts, min_days=30 + 1e-6) == {"2a", "2b", "3a", "3b"}


def test_photos_need_a_face_and_have_to_be_readable():
    posts = pairs(tags=[0] * 5)
    faces = pd.DataFrame({"image": posts["image"], "faces": np.repeat([0, 1, 2, 7, 1], 2)})
    readable = faces[~faces["image"].str.startswith("4")].sample(frac=1, random_state=1)
    labels, _ = label_posts(posts, readable, LabelRules(group_size=2))
    assert set(labels["image"]) == {"1a", "1b", "2a", "2b", "3a", "3b"}


def test_the_funnel_counts_what_is_left_after_each_step_in_order():
    posts = some_posts(103)
    faces = all_with_faces(posts).set_index("image")["faces"]
    faces = faces.drop(posts["image"][0])  # a photo that could not be read
    faces[posts["image"][1]] = 0
    posts.loc[2, "followers"], posts.loc[3, "followers"] = 49, 50_001
    posts.loc[4, "tags"] = 21
    posts.loc[5, "collected_at"] = posts.loc[5, "posted_at"] + 29 * DAY
    posts.loc[[0, 1, 2], ["tags", "collected_at"]] = 99, posts.loc[0, "posted_at"]  # counted once
    labels, funnel = label_posts(posts, faces.reset_index(), LabelRules(group_size=10))
    assert list(funnel.items()) == [
        ("all posts", 103),
        ("with a readable photo", 102),
        ("with at least one face", 101),
        ("by users of 50 to 50,000 followers", 99),
        ("with at most 20 tags", 98),
        ("online for 30 days or more", 97),
        ("in a full group of like audience", 90),
    ]
    assert funnel.name == "posts" and not set(labels["post_id"]) & set(posts["post_id"][:6])


def test_the_funnel_names_the_rules_that_were_given():
    posts = some_posts(8)
    rules = LabelRules(followers_range=(0, 1_000_000), max_tags=30, min_days=7.5, group_size=4)
    assert list(label_posts(posts, all_with_faces(posts), rules)[1].index)[3:6] == [
        "by users of 0 to 1,000,000 followers",
        "with at most 30 tags",
        "online for 7.5 days or more",
    ]


def test_where_too_few_are_left_the_error_says_after_which_step():
    posts = some_posts(6).assign(likes=1)
    swapped = posts.assign(posted_at=posts["collected_at"], collected_at=posts["posted_at"])
    told = r"a group needs 4 \(all posts: 6; with a readable photo: 6; .*days or more: 0\): bring"
    with pytest.raises(SelfieError, match=told):
        label_posts(swapped, all_with_faces(posts), LabelRules(group_size=4))


def test_where_no_photo_could_be_read_the_error_is_a_sentence():
    posts = some_posts(6)
    nothing = all_with_faces(posts).head(0)
    with pytest.raises(SelfieError, match="Only 0 posts are left after the filters, and a group needs 100"):
        label_posts(posts, nothing, LabelRules())
    with pytest.raises(SelfieError, match="No post of the table shows a face"):
        label_posts(posts.assign(label=1), nothing, LabelRules())


# --- ranking within groups -------------------------------------------------------------------------------


def test_labels_worked_by_hand():
    # Audience is followers x (1 + 0.1 x tags); groups of four, the largest audience first.
    posts = some_posts(11).assign(
        post_id=list("kbxaqzmcdwe"),
        followers=[100, 400, 200, 300, 100, 300, 250, 90, 80, 200, 120],
        tags=[1, 0, 5, 1, 5, 2, 1, 0, 0, 0, 0],
        likes=[9, 3, 40, 8, 2, 7, 5, 99, 99, 4, 6],
    )
    labels, _ = label_posts(posts, all_with_faces(posts), LabelRules(group_size=4, tag_bonus=0.1))
    # b 400, z 360, a 330, x 300 / m 275, w 200, q 150, e 120 / k 110, c 90, d 80 are left over
    assert labels["post_id"].tolist() == list("bzaxmwqe")
    assert labels["audience"].tolist() == pytest.approx([400, 360, 330, 300, 275, 200, 150, 120])
    assert labels["group"].tolist() == [0] * 4 + [1] * 4
    assert labels["label"].tolist() == [0, 0, 1, 1, 1, 0, 0, 1]  # likes 3, 7, 8, 40 / 5, 4, 2, 6
    images = posts.set_index("post_id")[["image", "user_id"]]
    assert labels[["image", "user_id"]].values.tolist() == images.loc[labels["post_id"]].values.tolist()
    assert list(labels) == ["post_id", "image", "user_id", "audience", "group", "label", "split"]
    assert labels.dtypes[["audience", "group", "label"]].astype(str).tolist() == ["float64", "int64", "int64"]


@settings(max_examples=25, deadline=None)
@given(n=st.integers(2, 300), half=st.integers(1, 20), seed=st.integers(0, 99))
def test_every_group_is_full_half_good_and_ranked_by_likes(n, half, seed):
    rules = LabelRules(group_size=2 * half, seed=seed)
    posts = some_posts(n, seed)
    if n < 2 * half:
        with pytest.raises(SelfieError, match=f"Only {n} posts are left .* a group needs {2 * half}:"):
            rank_within_groups(posts, rules)
        return
    labels = rank_within_groups(posts, rules)
    assert len(labels) == n // (2 * half) * 2 * half
    likes = labels["post_id"].map(posts.set_index("post_id")["likes"]).to_numpy().reshape(-1, 2 * half)
    good = labels["label"].to_numpy().reshape(-1, 2 * half) == 1
    assert (good.sum(axis=1) == half).all()
    assert (np.where(good, likes, 99).min(axis=1) >= np.where(good, -1, likes).max(axis=1)).all()
    # Groups march down the audience; 1023.0 and 1023.0000000000001 are one.
    assert (np.diff(labels["audience"]) < 1e-9).all()
    assert labels["group"].tolist() == np.repeat(np.arange(n // (2 * half)), 2 * half).tolist()
    left_out = posts[~posts["post_id"].isin(labels["post_id"])]
    smaller = left_out["followers"] * (1 + 0.02 * left_out["tags"])
    assert (smaller <= labels["audience"].min() + 1e-9).all()


def test_exactly_one_group_is_enough():
    assert len(labelled(some_posts(100))) == 100


@pytest.mark.parametrize("count", [211, 70_001])  # many are sorted on two cores
def test_labels_do_not_depend_on_the_order_of_the_table(count):
    posts = some_posts(count)
    first, _ = label_posts(posts, all_with_faces(posts), LabelRules(group_size=20))
    shuffled = posts.sample(frac=1, random_state=3)
    second, _ = label_posts(shuffled, all_with_faces(posts), LabelRules(group_size=20))
    pd.testing.assert_frame_equal(first, second)


@pytest.mark.parametrize("alike", ["likes", "followers"])
def test_ties_are_broken_by_the_seed(alike):
    posts = some_posts(200).assign(tags=0, likes=range(200), followers=range(1000, 1200))
    posts = posts.assign(**{alike: 700})
    changing = {"likes": "label", "followers": "group"}[alike]
    draws = [labelled(posts, group_size=20, seed=s)[changing].sort_index() for s in (0, 0, 1)]
    assert draws[0].equals(draws[1]) and not draws[0].equals(draws[2])


def test_the_seed_also_draws_the_split():
    posts = some_posts(200).assign(tags=0, likes=range(200), followers=range(1000, 1200))
    draws = [labelled(posts, group_size=20, seed=s).sort_index() for s in (0, 0, 1)]
    assert draws[0].equals(draws[1])
    assert draws[0]["label"].equals(draws[2]["label"]) and not draws[0]["split"].equals(draws[2]["split"])


def test_tags_raise_the_audience():
    posts = some_posts(4).assign(followers=100, tags=[0, 1, 2, 50])
    labels = labelled(posts, group_size=2, tag_bonus=0.1, max_tags=99)
    assert sorted(labels["audience"]) == pytest.approx([100, 110, 120, 600])
    assert (labelled(posts, group_size=2, tag_bonus=0.0, max_tags=99)["audience"] == 100).all()


def test_arrows_memory_is_as_it_was_afterwards():
    before = pa.default_memory_pool().backend_name
    rank_within_groups(some_posts(20), LabelRules(group_size=2))
    assert pa.default_memory_pool().backend_name == before != "system"


# --- lots and sorting ------------------------------------------------------------------------------------


def test_lots_are_numbers_from_0_drawn_by_seed_and_id():
    ids = some_posts(997)["post_id"]
    lots = pd.Series(draw_lots(ids, 3), ids)
    assert sorted(lots) == list(range(997)) and lots.to_numpy().dtype == np.uint64
    shuffled = ids.sample(frac=1, random_state=1)
    assert (draw_lots(shuffled, 3) == lots[shuffled]).all()  # the order of the table does not matter
    assert abs(np.corrcoef(draw_lots(ids, 4), lots)[0, 1]) < 0.2  # another seed draws anew
    assert abs(np.corrcoef(np.arange(997), lots)[0, 1]) < 0.2


VALUES = st.one_of(st.integers(0, 3), st.integers(0, 10**9), st.sampled_from([0.001, 0.002, 0.5, 1e12]))


@settings(max_examples=50, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=70), st.integers(0, 99))
def test_the_largest_comes_first_and_of_equal_ones_the_lowest_lot(values, seed):
    values = np.array(values, float)
    lots = np.random.default_rng(seed).permutation(len(values)).astype(np.uint64)
    wanted = np.lexsort((lots, -values)).tolist()
    assert np.argsort(largest_first(values, lots)).tolist() == wanted
    assert sort_largest_first(values, lots).tolist() == wanted


def test_many_values_from_zero_to_a_billion_are_sorted_to_their_tenth_digit():
    rng = np.random.default_rng(0)
    values = np.concatenate([[0, 0, 1e9], 1e9 - np.arange(50), (10 ** rng.uniform(0, 9, 3000)).astype(int)])
    lots = rng.permutation(len(values)).astype(np.uint64)
    assert sort_largest_first(values, lots).tolist() == np.lexsort((lots, -values)).tolist()


def test_half_of_every_row_is_marked_the_smaller_one():
    keys = np.array([[5, 1, 9, 3], [0, 8, 2, 7]], np.uint64)
    assert first_half(keys).tolist() == [[False, True, False, True], [True, False, True, False]]


@given(st.integers(1, 60), st.integers(0, 99))
def test_the_smaller_half_of_a_large_group_is_marked_whatever_its_order(half, seed):
    keys = np.random.default_rng(seed).permuted(np.tile(np.arange(2 * half), (5, 1)), axis=1)
    assert (first_half(keys) == (keys < half)).all()


# --- the split -------------------------------------------------------------------------------------------


def sides_of(users, seed=0):
    return split_users(pd.Series(users), seed).value_counts().to_dict()


@pytest.mark.parametrize(
    ("count", "train", "validation", "test"),
    # 97: a post lies at (i + 0.5) / 97; 68 of these are below 0.70, and 76 below 0.78
    [(1000, 700, 80, 220), (97, 68, 8, 21), (300_000, 230_000, 20_000, 50_000)],
)
def test_sides_have_their_shares_and_of_many_posts_no_more_than_is_needed(count, train, validation, test):
    users = [f"u{i}" for i in range(0, 2 * count, 2)]
    assert sides_of(users) == {"train": train, "validation": validation, "test": test}


def test_shares_are_of_posts_not_of_users():
    users = np.repeat([f"u{i}" for i in range(400)], np.random.default_rng(0).integers(1, 40, 400))
    for name, count in sides_of(users, seed=1).items():
        assert count / len(users) == pytest.approx(
            {"train": 0.7, "validation": 0.08, "test": 0.22}[name], abs=0.01
        )


def test_a_user_stands_where_the_middle_of_the_posts_falls():
    assert sides_of(["one"] * 9) == {"train": 9}  # at 0.5
    assert sides_of(["one", "two"] * 3) == {"train": 3, "validation": 3}  # at 0.25 and at 0.75
    assert sides_of(["one", "two", "three"]) == {"train": 2, "test": 1}  # at 0.17, 0.5 and 0.83


@settings(max_examples=30, deadline=None)
@given(n=st.integers(3, 400), seed=st.integers(0, 99))
def test_no_user_stands_on_two_sides_and_the_order_of_rows_does_not_matter(n, seed):
    users = some_posts(n, seed)["user_id"].sample(frac=1, random_state=seed)
    split = split_users(users, seed)
    assert (split.groupby(users).nunique() == 1).all() and split.index.equals(users.index)
    assert set(split) <= {"train", "validation", "test"}
    pd.testing.assert_series_equal(split_users(users.sort_index(), seed), split.sort_index())


def test_another_seed_splits_otherwise_and_the_same_one_alike():
    users = pd.Series([f"u{i}" for i in range(500)])
    first, again, other = (split_users(users, seed) for seed in (5, 5, 6))
    assert first.equals(again)
    # Two independent splits would agree on 0.7 x 0.7 + 0.08 x 0.08 + 0.22 x 0.22 of the users.
    assert (first == other).mean() == pytest.approx(0.545, abs=0.1)


# --- labels of one's own ---------------------------------------------------------------------------------


def own(n, **columns):
    return some_posts(n)[["image", "post_id", "user_id"]].assign(**columns)


def test_own_labels_and_splits_are_kept():
    posts = own(10, label=[0, 1, 1, 0, 1] * 2, split=["test", "train"] * 5)
    faces = all_with_faces(posts)
    faces.loc[3, "faces"] = 0
    labels, funnel = label_posts(posts, faces, LabelRules())
    assert labels[["post_id", "label", "split"]].values.tolist() == (
        posts.drop(index=3)[["post_id", "label", "split"]].values.tolist()
    )
    assert labels["audience"].isna().all() and (labels["group"] == -1).all()
    assert funnel.to_dict() == {"all posts": 10, "with a readable photo": 10, "with at least one face": 9}
    assert labels.index.tolist() == list(range(9))


def test_own_labels_without_a_split_are_split_by_user():
    posts = own(1000, label=[0, 1] * 500)
    labels = labelled(posts, seed=4)
    assert labels["split"].tolist() == split_users(posts["user_id"], 4).tolist()
    assert set(labels["split"]) == {"train", "validation", "test"}


def test_photos_that_nobody_has_labelled_are_all_to_be_tested():
    posts = own(7, label=pd.array([pd.NA] * 7, "Int64"), split="train")
    labels = labelled(posts)
    assert labels["label"].isna().all() and labels["label"].dtype == "Int64"
    assert (labels["split"] == "test").all()


# --- ranks, fingerprints and the oracle ------------------------------------------------------------------


def test_ranks_worked_by_hand():
    labels = pd.DataFrame({"post_id": list("hcafbgde"), "group": [1, 0, 0, -1, 0, 1, 0, -1]}, range(10, 18))
    likes = {"a": 10, "b": 30, "c": 20, "d": 20, "g": 5, "h": 0, "e": 1, "f": 2, "other": 99}
    posts = pd.DataFrame({"post_id": list(likes), "likes": list(likes.values())}).sample(
        frac=1, random_state=2
    )
    ranks = rank_in_group(labels, posts)
    # (place from below - 1/2) / size, places of equals averaged: c and d share places 2 and 3 of 4.
    assert ranks.index.equals(labels.index)
    assert dict(zip(labels["post_id"], ranks.fillna(-1), strict=True)) == {
        "a": 0.125, "b": 0.875, "c": 0.5, "d": 0.5, "g": 0.75, "h": 0.25, "e": -1, "f": -1,
    }  # fmt: skip
    assert rank_in_group(labels, posts.drop(columns="likes")).isna().all()


def test_labels_of_a_run_come_with_their_ranks(tmp_path):
    run = RunFolder(tmp_path)
    posts = some_posts(60)
    run.write_table("posts", posts)
    run.write_table("labels", labelled(posts, group_size=20).reset_index())
    labels = labels_of(run)
    for _, group in labels.groupby("group"):
        assert group["rank"].mean() == pytest.approx(0.5)
        assert group.loc[group["label"] == 1, "rank"].min() >= group.loc[group["label"] == 0, "rank"].max()
    likes = labels["post_id"].map(posts.set_index("post_id")["likes"])
    assert (likes.groupby(labels["group"]).corr(labels["rank"]) > 0.9).all()


def test_the_fingerprint_changes_with_all_that_a_network_learns_from_and_with_nothing_else():
    labels = own(6, label=[0, 1] * 3, split="train", rank=[0.25, 0.75] * 3, group=[0, 0, 1, 1, 2, 2])
    before = fingerprint(labels)
    changes = {"post_id": "new", "image": "new.jpg", "label": 1, "split": "test", "rank": 0.3}
    after = {before}
    for column, value in changes.items():
        changed = labels.copy()
        changed.loc[4, column] = value
        after.add(fingerprint(changed))
    assert len(after) == 6 and all(len(text) == 16 for text in after)
    assert fingerprint(labels.assign(group=7, user_id="x").set_index(labels.index + 3)) == before
    without = fingerprint(labels.drop(columns="rank"))
    assert without == fingerprint(labels.assign(rank=np.nan)) != before  # own labels have no ranks


def test_the_oracle_compares_with_the_median_of_its_group():
    labels = pd.DataFrame({"post_id": list("abcdefgh"), "group": [0, 0, 0, 1, 1, 1, 2, 2]})
    truth = pd.DataFrame({"post_id": list("xhgfedcba"), "appeal": [77, 9, 6, 9.0, 6.0, 5.0, 3.0, 2.0, 0.0]})
    assert oracle(labels, truth).tolist() == [-2, 0, 1, -1, 0, 3, -1.5, 1.5]
