"""What is told of an opened photo: its own numbers, whatever the order of tables, and its nearest by fc7."""

import numpy as np
import pandas as pd
import pytest

from selfie_utils.analysis.about_posts import Named, Posts
from selfie_utils.core.run_folder import create_run

POSTS = 7  # on a line in fc7: post i at 10 to the power of i, so that all distances differ
USERS = ["ada", "bo", "cem", "dot", "eve", "fay", "gus"]


@pytest.fixture
def posts(tmp_path):
    """Seven posts whose tables have different orders; the best is 6."""
    run, order = create_run(tmp_path / "run"), np.random.default_rng(0).permutation(POSTS)
    ids = [f"id_{i}" for i in range(POSTS)]
    scores = pd.DataFrame({"post_id": [ids[i] for i in order], "image": [f"{i}.jpg" for i in order]})
    scores["user_id"] = [USERS[i] for i in order]
    scores = scores.assign(score=(order + 1) / 10, label=pd.array(order % 2, "Int64"))
    likes = pd.DataFrame({"post_id": ids, "likes": [1000 * i for i in range(POSTS)]})
    run.write_table("posts", likes.assign(user_id=USERS, image=scores["image"].sort_values().tolist()))
    labels = {
        "post_id": ["id_4", "id_6"],
        "user_id": ["eve", "gus"],
        "audience": [1234.5, 99.9],
        "group": [3, 0],
    }
    run.write_table("labels", pd.DataFrame(labels))
    np.save(run.root / "features.npy", np.array([[10.0**i, 0] for i in order], np.float32))
    known = pd.DataFrame({"hat": order == 4, "pout": [pd.NA] * POSTS}, dtype="boolean")
    return Posts(run, scores, known, {"4.jpg": {"gain": "+1.0 points"}})


def test_a_photo_has_its_own_rank_score_counts_and_attributes(posts):
    four, none = posts.in_words(["4.jpg", "1.jpg"])
    assert four == {
        "title": "Rank 3 of 7, score 50.0%", "brief": "#3 · 50.0%", "has": ["hat"],
        "facts": {
            "label": "bad", "likes": "4,000", "audience": "1,234", "group": "3", "gain": "+1.0 points",
        },
    }  # fmt: skip
    # What was never in a group has none, and what is unknown is not told as absent.
    assert none["facts"] == {"label": "good", "likes": "1,000"} and none["has"] == []


def test_a_photo_that_was_posted_twice_is_told_as_its_better_post_among_all(posts):
    scores = posts.scores.assign(image=posts.scores["image"].replace("4.jpg", "6.jpg"))
    (six,) = Posts(posts.run, scores, posts.known).in_words(["6.jpg"])
    assert six["title"] == "Rank 1 of 7, score 70.0%"
    (one,) = Posts(posts.run, scores, posts.known).in_words(["0.jpg"])
    assert one["title"] == "Rank 7 of 7, score 10.0%"


def test_posts_without_likes_and_labels_are_told_without_them(posts):
    posts.run.write_table("posts", pd.DataFrame({"post_id": ["id_4"]}))
    posts.run.write_table("labels", pd.DataFrame({"post_id": ["id_4"]}))
    unlabelled = Posts(posts.run, posts.scores.assign(label=pd.NA), posts.known)
    assert unlabelled.in_words(["4.jpg"])[0]["facts"] == {}


def test_the_five_nearest_come_nearest_first_and_never_the_photo_itself(posts):
    assert posts.nearest(["6.jpg", "0.jpg"]) == [
        [f"{i}.jpg" for i in (5, 4, 3, 2, 1)],
        [f"{i}.jpg" for i in (1, 2, 3, 4, 5)],
    ]
    (posts.run.root / "features.npy").unlink()
    assert posts.nearest(["6.jpg"]) == [[]]


def test_no_name_of_a_file_a_post_or_a_user_is_told(posts):
    told = str(posts.in_words(posts.scores["image"].tolist()))
    assert not [name for name in (".jpg", "id_", *USERS) if name in told]


def test_names_are_told_where_they_may_be():
    rated = {"image": ["b.jpg", "a.jpg"], "name": ["Bo Octet", "Ada Byte"], "score": [0.8, 0.4]}
    named = Named(pd.DataFrame(rated).assign(fc7=[np.zeros(2), np.ones(2)]), pd.Series([0.1, 0.5, 0.6, 0.9]))
    (ada,) = named.in_words(["a.jpg"])
    assert (ada["title"], ada["brief"]) == ("Ada Byte: rank 2 of 2, score 40.0%", "Ada Byte")
    assert ada["facts"] == {"test posts that score lower": "25%"}
    assert named.nearest(["a.jpg"]) == [["b.jpg"]]
