"""A simulated social network: users with followers, posts with tags and dates, likes that appeal earns."""

import numpy as np
import pandas as pd

COLLECTED = pd.Timestamp("2015-10-20", tz="UTC")
RATE = 0.08  # likes per head of audience of a photo without any appeal
TAG_BONUS = 0.02  # share of audience that a tag really adds
APPEAL = 0.6  # log likes per unit of appeal
USER_EFFECT = 0.25  # standard deviation of what a user's name is worth, log likes
# Standard deviation of luck, log likes: chosen so that the oracle labels 67 to 70% of posts right.
LUCK = 0.64
TOO_MANY_TAGS, TOO_FAMOUS = 0.02, 0.005  # share of posts and of users beyond the usual limits


def draw_users(rng: np.random.Generator, posts: int) -> pd.DataFrame:
    """Draw users until they have `posts` posts: user_id, followers (median near 500), posts (1 to 10)."""
    counts = np.minimum(rng.geometric(0.42, posts), 10)
    users = int(np.searchsorted(counts.cumsum(), posts)) + 1
    counts = counts[:users]
    counts[-1] -= counts.sum() - posts
    followers = np.exp(rng.normal(np.log(500), 1.15, users))
    famous = rng.random(users) < TOO_FAMOUS
    followers[famous] = rng.uniform(60_000, 2_000_000, famous.sum())
    ids = [f"user{i:05d}" for i in range(users)]
    return pd.DataFrame({"user_id": ids, "followers": followers.astype("int64"), "posts": counts})


def draw_posts(rng: np.random.Generator, users: pd.DataFrame) -> pd.DataFrame:
    """Draw the posts of users in random order: ids, tags (Poisson), and dates over a year."""
    posts = users.loc[users.index.repeat(users["posts"]), ["user_id", "followers"]]
    posts = posts.sample(frac=1, random_state=rng).reset_index(drop=True)
    count = len(posts)
    tags = np.where(rng.random(count) < TOO_MANY_TAGS, rng.poisson(28, count), rng.poisson(4, count))
    age = pd.to_timedelta(rng.uniform(8, 373, count).round(4), unit="D").round("s")
    names = {
        "image": [f"{i:05d}.jpg" for i in range(count)],
        "post_id": [f"post{i:05d}" for i in range(count)],
    }
    return posts.assign(**names, tags=tags, posted_at=COLLECTED - age, collected_at=COLLECTED)


def draw_likes(rng: np.random.Generator, posts: pd.DataFrame, appeal: np.ndarray) -> np.ndarray:
    """Draw likes, int64 (N,): Poisson around what audience, appeal, the user's name and luck make of it."""
    audience = posts["followers"] * (1 + TAG_BONUS * posts["tags"])
    users, index = np.unique(posts["user_id"], return_inverse=True)
    fame = rng.normal(0, USER_EFFECT, len(users))[index]
    luck = rng.normal(0, LUCK, len(posts))
    days = (posts["collected_at"] - posts["posted_at"]) / pd.Timedelta(days=1)
    seen = 1 - np.exp(-days / 6)  # a young post has not been seen by all yet
    return rng.poisson(audience * seen * RATE * np.exp(APPEAL * appeal + fame + luck)).astype("int64")
