"""Turn posts into labels as the article did: good or bad by likes, among posts that as many people saw."""

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd
import pyarrow as pa

from selfie_utils.core.draws import (
    draw_lots,
    find_names,
    hash_names,
    largest_first,
    sort_largest_first,
)
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.photos.copies import find_no_copies, tie_users
from selfie_utils.posts.table import IDS

# Share of the posts in train, validation and test; users, not posts, are drawn.
SPLIT_SHARES = {"train": 0.70, "validation": 0.08, "test": 0.22}
# Posts; of more, the rest is trained on: the article tested on 50,000 of two million.
MOST = {"validation": 20_000, "test": 50_000}

COPIES = ("together", "drop", "ignore")


@dataclass(frozen=True)
class LabelRules:
    """How posts are chosen and labelled: every step is the article's, but most numbers are ours."""

    followers_range: tuple[int, int] = (50, 50_000)
    max_tags: int = 20
    min_days: float = 30.0  # days online at collection, "for a near-stable like count"
    tag_bonus: float = 0.02  # share of audience that each tag adds
    group_size: int = 100
    copies: str = "together"  # near-duplicates: on one side of the split, "drop" later ones, or "ignore"
    seed: int = 0

    def __post_init__(self):
        if self.copies not in COPIES:
            raise SelfieError(f"copies is {self.copies!r}, expected one of {', '.join(COPIES)}.")
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
    posts: pd.DataFrame, faces: pd.DataFrame, rules: LabelRules, copies: pd.DataFrame | None = None
) -> tuple[pd.DataFrame, pd.Series]:
    """Label posts good (1) or bad (0) and split them by user.

    `posts` as from `read_posts`, `faces` as from `filter_faces`, `copies` as from `find_copies`. Returns
    (labels, funnel): labels has post_id, image, user_id, audience (float64), group (int64), label (int64),
    split (str), one row per kept post; funnel is the number of posts left after each step, in order, by its
    description. Neither depends on the order of the rows: lots are drawn by post_id.

    A table with a `label` column of its own keeps it (audience NaN, group -1), and likewise `split`; where it
    is empty, nobody knows which posts are good: label is <NA>, and all are test posts.
    Raises SelfieError where too few posts are left for one group.
    Source: the article, section "Training a ConvNet", step 3.
    """
    copies = find_no_copies() if copies is None else copies
    kept, funnel = keep_posts(posts, faces, rules, copies)
    if "label" in posts:
        labels = kept.assign(audience=np.nan, group=-1)
        if labels.empty:
            raise SelfieError("No post of the table shows a face: check the photos.")
        if labels["label"].isna().any():
            labels = labels.assign(label=labels["label"].astype("Int64"), split="test")
    else:
        steps = "; ".join(f"{step}: {count:,}" for step, count in funnel.items())
        labels = rank_within_groups(kept, rules, f" ({steps})")
        funnel["in a full group of like audience"] = len(labels)
    if "split" not in labels:
        units = tie_users(labels["user_id"], copies) if rules.copies == "together" else labels["user_id"]
        labels["split"] = split_users(units, rules.seed)
    columns = ["post_id", "image", "user_id", "audience", "group", "label", "split"]
    return labels[columns].reset_index(drop=True), pd.Series(funnel, name="posts")


def keep_posts(
    posts: pd.DataFrame, faces: pd.DataFrame, rules: LabelRules, copies: pd.DataFrame
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Drop posts that the rules leave out, and count what is left after each step."""
    at = find_names(posts["image"], faces["image"])
    steps = {"with a readable photo": at >= 0}
    # A photo that could not be read stands at -1: the zero at the end.
    steps["with at least one face"] = np.append(faces["faces"].to_numpy(), 0)[at] > 0
    if rules.copies == "drop":
        later = copies.loc[~copies["first"], "post_id"]
        steps["not a copy of an earlier photo"] = find_names(posts["post_id"], later) < 0
    if "label" not in posts:
        fewest, most = rules.followers_range
        steps[f"by users of {fewest:,} to {most:,} followers"] = posts["followers"].between(fewest, most)
        steps[f"with at most {rules.max_tags} tags"] = posts["tags"] <= rules.max_tags
        if "posted_at" in posts:
            days = (posts["collected_at"] - posts["posted_at"]) / pd.Timedelta(days=1)
            steps[f"online for {rules.min_days:g} days or more"] = days >= rules.min_days
    funnel, keep = {"all posts": len(posts)}, np.ones(len(posts), bool)
    for step, holds in steps.items():
        keep &= np.asarray(holds)
        funnel[step] = int(keep.sum())
    columns = [*IDS, *(c for c in ("followers", "likes", "tags", "label", "split") if c in posts)]
    return posts.loc[keep, columns], funnel


def rank_within_groups(posts: pd.DataFrame, rules: LabelRules, told: str = "") -> pd.DataFrame:
    """March down the posts by audience in groups; label the half with more likes good, the other bad.

    Ties are broken by lots drawn from seed and post_id, whatever the order of the table; the last, incomplete
    group is dropped. Returns image, post_id, user_id, audience, group and label, the largest audience first.
    Raises SelfieError where they are too few for one group, with what is `told` of where the others went.
    """
    size = rules.group_size
    if len(posts) < size:
        raise SelfieError(
            f"Only {len(posts)} posts are left after the filters, and a group needs {size}{told}: "
            "bring more posts, loosen the filters or lower group_size."
        )
    audience = posts["tags"].to_numpy(np.float64, copy=True)
    audience *= rules.tag_bonus
    audience += 1
    audience *= posts["followers"].to_numpy()
    lots = draw_lots(posts["post_id"], rules.seed)
    order = sort_largest_first(audience, lots)[: len(posts) // size * size]
    with _quick_memory(), ThreadPoolExecutor() as pool:  # the columns don't need each other
        columns = {name: pool.submit(posts[name].array.take, order) for name in IDS}
        columns["audience"] = pool.submit(audience.take, order)
        columns["group"] = pool.submit(np.repeat, np.arange(len(order) // size), size)
        columns["label"] = pool.submit(_label, posts["likes"].to_numpy(), lots, order, size)
        return pd.DataFrame({name: column.result() for name, column in columns.items()}, copy=False)


@contextmanager
def _quick_memory() -> Iterator[None]:
    """Let Arrow use the system's memory for a while: its own pool is slower with columns of strings."""
    before = pa.default_memory_pool()
    pa.set_memory_pool(pa.system_memory_pool())
    try:
        yield
    finally:
        pa.set_memory_pool(before)


def _label(likes: np.ndarray, lots: np.ndarray, order: np.ndarray, size: int) -> np.ndarray:
    """Return the labels of posts that stand in groups of `size` in this order, int64 (N,)."""
    return first_half(largest_first(likes, lots)[order].reshape(-1, size)).ravel().astype("int64")


def first_half(keys: np.ndarray) -> np.ndarray:
    """Mark the smaller half of every row: (G, size) to bool (G, size)."""
    half = keys.shape[1] // 2
    chosen = np.argpartition(keys, half - 1, axis=1)[:, :half]
    good = np.zeros(keys.shape, bool)
    np.put_along_axis(good, chosen, True, axis=1)
    return good


def split_users(user_ids: pd.Series, seed: int) -> pd.Series:
    """Draw users, not posts, into train, validation and test: nobody stands on two sides.

    Users are shuffled and dealt out until each share of the posts is reached, or as many as are needed;
    returns one split (str) a row.
    """
    codes, users = pd.factorize(user_ids)
    order = np.argsort(hash_names(users, seed))
    posts = np.bincount(codes)[order]
    # The middle of a user's posts on the line from 0 to 1 says where the user falls.
    middle = (posts.cumsum() - posts / 2) / len(codes)
    held_out = [min(SPLIT_SHARES[name], most / len(codes)) for name, most in MOST.items()]
    edges = 1 - np.cumsum(held_out[::-1])[::-1]  # where validation begins, and where test does
    side = np.empty(len(users), np.int8)
    side[order] = np.searchsorted(edges, middle, side="right")
    return pd.Series(np.array(list(SPLIT_SHARES), object)[side[codes]], index=user_ids.index)


def labels_of(run: RunFolder) -> pd.DataFrame:
    """Read labels.parquet of a run, with the rank of each post in its group."""
    labels = run.read_table("labels")
    return labels.assign(rank=rank_in_group(labels, run.read_table("posts")))


def fingerprint(labels: pd.DataFrame) -> str:
    """Return a short text that changes with the posts, their photos, labels, ranks or split."""
    columns = ["post_id", "image", "label", "split"]
    if "rank" in labels and labels["rank"].notna().any():
        columns.append("rank")
    rows = pd.util.hash_pandas_object(labels[columns], index=False)
    return hashlib.sha256(rows.to_numpy().tobytes()).hexdigest()[:16]


def rank_in_group(labels: pd.DataFrame, posts: pd.DataFrame) -> pd.Series:
    """Return how each post did by likes among its group, float64 in 0..1, one value per row of `labels`.

    The article labels a post by the half that it falls into; its rank says more: the first of a hundred is
    surer to be good than the fiftieth. NaN where labels did not come from likes.
    """
    if "likes" not in posts:
        return pd.Series(np.nan, labels.index)
    likes = labels["post_id"].map(posts.set_index("post_id")["likes"])
    groups = likes.where(labels["group"] >= 0).groupby(labels["group"])
    return (groups.rank() - 0.5) / groups.transform("size")


def oracle(labels: pd.DataFrame, truth: pd.DataFrame) -> pd.Series:
    """Return what nobody could beat from the photo alone: true appeal minus the median of its group.

    float64, one value per row of `labels`; above 0 the oracle says good. Only simulated posts have a truth.
    """
    appeal = labels["post_id"].map(truth.set_index("post_id")["appeal"])
    return appeal - appeal.groupby(labels["group"]).transform("median")


def label_outer(groups: pd.Series, values: pd.Series, post_ids: pd.Series, outer: float) -> pd.Series:
    """Call the upper share `outer` of each group good and the lower bad; Int64, <NA> between.

    Groups may be of any size; one of a single post is not labelled. Ties are broken by lot, drawn from
    post_id, so that the order of the table does not matter.
    """
    codes, values = pd.factorize(groups)[0], values.to_numpy(float)
    order = np.lexsort((largest_first(values - values.min(), draw_lots(post_ids, seed=0)), codes))
    sizes = np.bincount(codes)
    place = np.arange(len(codes)) - np.repeat(np.cumsum(sizes) - sizes, sizes)  # in its group, 0 is the best
    size = np.repeat(sizes, sizes)
    count = np.floor(size * outer + 1e-9)  # 0.29 of 100 is 28.999... in floats
    labels = np.full(len(codes), -1)
    labels[order] = np.select([place < count, place >= size - count], [1, 0], -1)
    return pd.Series(labels, index=groups.index, dtype="Int64").replace(-1, pd.NA)
