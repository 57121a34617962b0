"""Label five million posts: the library against the recipe as one would first write it, on the same tables.

    python benchmarks/labelling.py [--posts 5000000] [--folder DIR]

Each step of each way runs in a process of its own. From file to file: read two Parquet tables, filter, rank,
split the users, write one. The ranking alone: all the posts, audience, groups of 100, halves. Shown are
seconds and the peak of memory.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from selfie_utils.core.files import write_table
from selfie_utils.posts.labels import LabelRules, label_posts, rank_within_groups

COLUMNS = ["image", "post_id", "user_id", "followers", "likes", "tags", "posted_at", "collected_at"]


def make_tables(folder: Path, posts: int, seed: int = 0) -> None:
    """Write posts.parquet and, in another order, faces.parquet: a few users post much, most post little."""
    rng = np.random.default_rng(seed)
    users = rng.zipf(1.6, posts) % max(posts * 3 // 10, 2)
    followers = np.exp(rng.normal(6, 1.5, users.max() + 1)).astype("int64")[users]
    ids = pa.array(np.char.mod("p%07d", rng.permutation(posts)))
    images = pc.binary_join_element_wise(ids, ".jpg", "")
    online = rng.integers(0, 250, posts).astype("timedelta64[D]")
    collected = np.full(posts, np.datetime64("2015-10-01", "us"))
    columns = [
        images, ids, pa.array(np.char.mod("u%07d", users)), followers,
        rng.poisson(followers * 0.05), rng.integers(0, 25, posts),
        *(pa.array(day).cast(pa.timestamp("us", "UTC")) for day in (collected - online, collected)),
    ]  # fmt: skip
    pq.write_table(pa.table(columns, names=COLUMNS), folder / "posts.parquet")
    found = pa.table({"image": images, "faces": (rng.random(posts) < 0.8).astype("int64")})
    pq.write_table(found.take(pa.array(rng.permutation(posts))), folder / "faces.parquet")


def first_thought(posts: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """Label as one would first write it: merge, filter, rank, and split the users."""
    rules, rng = LabelRules(), np.random.default_rng(0)
    posts = posts.merge(faces, on="image")
    days = (posts["collected_at"] - posts["posted_at"]).dt.days
    fewest, most = rules.followers_range
    wanted = (posts["faces"] > 0) & posts["followers"].between(fewest, most)
    labels = rank_by_apply(
        posts[wanted & (posts["tags"] <= rules.max_tags) & (days >= rules.min_days)], rules
    )
    users = labels["user_id"].unique()
    shuffled = rng.permutation(len(users)) / len(users)
    part = np.select([shuffled < 0.70, shuffled < 0.78], ["train", "validation"], "test")
    labels["split"] = labels["user_id"].map(dict(zip(users, part, strict=True)))
    return labels[["post_id", "image", "user_id", "audience", "group", "label", "split"]]


def rank_by_apply(posts: pd.DataFrame, rules: LabelRules) -> pd.DataFrame:
    """Cut the posts, sorted by audience, into groups of 100, and apply a function to each."""
    posts = posts.assign(audience=posts["followers"] * (1 + rules.tag_bonus * posts["tags"]))
    posts = posts.sample(frac=1, random_state=0).sort_values("audience", ascending=False, kind="stable")
    posts = posts.head(len(posts) // 100 * 100)
    posts["group"] = np.arange(len(posts)) // 100
    return posts.groupby(posts["group"].to_numpy(), group_keys=False).apply(_label_group)


def _label_group(group: pd.DataFrame) -> pd.DataFrame:
    group = group.sort_values("likes", ascending=False)
    group["label"] = [1] * 50 + [0] * 50
    return group


WAYS = {
    "library": (lambda posts, faces: label_posts(posts, faces, LabelRules())[0], rank_within_groups),
    "groupby-apply": (first_thought, rank_by_apply),
}


def file_to_file(way: str, folder: Path) -> dict[str, float]:
    """Read posts and faces, label, write the labels."""
    start = time.perf_counter()
    posts = pd.read_parquet(folder / "posts.parquet", columns=COLUMNS)
    faces = pd.read_parquet(folder / "faces.parquet", columns=["image", "faces"])
    labels = WAYS[way][0](posts, faces)
    write_table(folder / f"{way}.parquet", labels)
    return {"seconds": time.perf_counter() - start, "posts": len(labels)}


def ranking_alone(way: str, folder: Path) -> dict[str, float]:
    """Rank all posts, which are in memory already."""
    posts = pd.read_parquet(folder / "posts.parquet", columns=COLUMNS)
    start = time.perf_counter()
    ranked = WAYS[way][1](posts, LabelRules())
    return {"seconds": time.perf_counter() - start, "posts": len(ranked)}


STEPS = {"file to file": file_to_file, "ranking alone": ranking_alone}


def measure(step: str, way: str, folder: Path) -> None:
    """Do one step in this process; print its seconds and the peak of memory as JSON."""
    found = STEPS[step](way, folder)
    found["GiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20  # from KiB
    print(json.dumps(found))


def compare(folder: Path, posts: int, rounds: int) -> None:
    """Run both ways on the same tables, the library's several times, and print a table."""
    make_tables(folder, posts)
    print(f"{'step':<14} {'way':<14} {'seconds':>8} {'GiB':>6} {'labelled posts':>16}")
    for step in STEPS:
        seconds = {}
        for way in ["library"] * rounds + ["groupby-apply"]:
            command = [sys.executable, __file__, "--measure", step, way, "--folder", str(folder)]
            one = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            print(
                f"{step:<14} {way:<14} {one['seconds']:>8.2f} {one['GiB']:>6.2f} {one['posts']:>16,}",
                flush=True,
            )
            seconds.setdefault(way, []).append(one["seconds"])
        ratio = seconds["groupby-apply"][0] / float(np.median(seconds["library"]))
        print(f"{step}: {ratio:.1f} times as fast as groupby-apply")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=5_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--measure", nargs=2, metavar=("STEP", "WAY"))
    asked = parser.parse_args()
    if asked.measure:
        measure(*asked.measure, asked.folder)
    elif asked.folder:
        compare(asked.folder, asked.posts, asked.rounds)
    else:
        with tempfile.TemporaryDirectory() as folder:
            compare(Path(folder), asked.posts, asked.rounds)
