"""Turn posts into labels as the post did: good or bad by likes, among posts that as many people saw."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from selfie_utils.errors import SelfieError

# Share of the posts in train, validation and test; users, not posts, are drawn.
SPLIT_SHARES = {"train": 0.70, "validation": 0.08, "test": 0.22}


@dataclass(frozen=True)
class LabelRules:
    """How posts are chosen and labelled: every step is the post's; it gives few numbers, so most are ours."""

    followers_range: tuple[int, int] = (50, 50_000)
    max_tags: int = 20
    min_days: float = 30.0  # days online at collection, "for a near-stable like count"
    tag_bonus: float = 0.02  # share of audience that each tag adds
    group_size: int = 100
    seed: int = 0

    def __post_init__(self):
        if self.group_size < 2 or self.group_size % 2:
            raise SelfieError(
                f"group_size is {self.group_size}, expected an even number of posts such as 100: "
                "half of each group becomes good, half bad."
            )
        if len(self.followers_range) != 2 or self.followers_range[0] > self.followers_range[1]:
            raise SelfieError(
                f"followers_range is {self.followers_range}, expected [fewest, most] such as [50, 50000]."
            )


def label_posts(
    posts: pd.DataFrame, faces: pd.DataFrame, rules: LabelRules
) -> tuple[pd.DataFrame, pd.Series]:
    """Label posts good (1) or bad (0) and split them by user.

    `posts` as from `read_posts`, `faces` as from `filter_faces`. Returns (labels, funnel): labels has
    post_id, image, user_id, audience (float64), group (int64), label (int64), split (str), one row a kept
    post; funnel is the number of posts left after each step, in order, by its description.

    A table with a `label` column of its own keeps it (audience NaN, group -1), and likewise `split`.
    Raises SelfieError where too few posts are left for one group.
    Source: the post, section "Training a ConvNet", step 3.
    """
    kept, funnel = keep_posts(posts, faces, rules)
    if "label" in posts:
        labels = kept.assign(audience=np.nan, group=-1)
        if labels.empty:
            raise SelfieError("No post of the table shows a face: check the images path.")
    else:
        labels = rank_within_groups(kept, rules)
        funnel["in a full group of like audience"] = len(labels)
    if "split" not in labels:
        labels = labels.assign(split=split_users(labels["user_id"], rules.seed))
    columns = ["post_id", "image", "user_id", "audience", "group", "label", "split"]
    return labels[columns].reset_index(drop=True), pd.Series(funnel, name="posts")


def keep_posts(
    posts: pd.DataFrame, faces: pd.DataFrame, rules: LabelRules
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Drop posts that the rules leave out, and count what is left after each step."""
    found = posts["image"].map(faces.set_index("image")["faces"])
    steps = {"with a readable photo": found.notna(), "with at least one face": found > 0}
    if "label" not in posts:
        fewest, most = rules.followers_range
        days = (posts["collected_at"] - posts["posted_at"]) / pd.Timedelta(days=1)
        steps[f"by users of {fewest:,} to {most:,} followers"] = posts["followers"].between(fewest, most)
        steps[f"with at most {rules.max_tags} tags"] = posts["tags"] <= rules.max_tags
        steps[f"online for {rules.min_days:g} days or more"] = days >= rules.min_days
    funnel, keep = {"all posts": len(posts)}, np.ones(len(posts), bool)
    for step, holds in steps.items():
        keep &= holds.to_numpy()
        funnel[step] = int(keep.sum())
    return posts[keep], funnel


def rank_within_groups(posts: pd.DataFrame, rules: LabelRules) -> pd.DataFrame:
    """March down the posts by audience in groups; label the half with more likes good, the other bad.

    Ties are broken by a seeded shuffle, whatever the order of the table; the last, incomplete group is
    dropped. Adds audience, group and label.
    """
    size = rules.group_size
    if len(posts) < size:
        raise SelfieError(
            f"Only {len(posts)} posts are left after the filters, and a group needs {size}: "
            "bring more posts, loosen the filters or lower group_size."
        )
    audience = posts["followers"] * (1 + rules.tag_bonus * posts["tags"])
    posts = posts.assign(audience=audience.astype("float64")).sort_values("post_id", kind="stable")
    posts = posts.sample(frac=1, random_state=np.random.default_rng(rules.seed))
    posts = posts.sort_values("audience", ascending=False, kind="stable")
    posts = posts.head(len(posts) // size * size)
    posts["group"] = np.arange(len(posts)) // size
    posts = posts.sort_values(["group", "likes"], ascending=[True, False], kind="stable")
    posts["label"] = (np.arange(len(posts)) % size < size // 2).astype("int64")
    return posts


def split_users(user_ids: pd.Series, seed: int) -> pd.Series:
    """Draw users, not posts, into train, validation and test: nobody stands on two sides.

    Users are shuffled and dealt out until each share of the posts is reached; returns one split (str) a row.
    """
    users = user_ids.value_counts().sort_index()
    users = users.sample(frac=1, random_state=np.random.default_rng(seed))
    # The middle of a user's posts on the line from 0 to 1 says where the user falls.
    middle = (users.cumsum() - users / 2) / users.sum()
    edges = np.cumsum(list(SPLIT_SHARES.values()))[:-1]
    side = np.array(list(SPLIT_SHARES))[np.searchsorted(edges, middle, side="right")]
    return user_ids.map(pd.Series(side, index=users.index)).astype(object)


def oracle(labels: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Return what nobody could beat from the photo alone: true appeal minus the median of its group.

    float64, one value a row of `labels`; above 0 the oracle says good. Only simulated posts have a truth.
    """
    appeal = labels["post_id"].map(truth.set_index("post_id")["appeal"])
    return appeal - appeal.groupby(labels["group"]).transform("median")
