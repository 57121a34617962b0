"""Any table of posts, CSV or Parquet, with columns of any name: counts, labels of one's own, or a score."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from selfie_utils.core.errors import SelfieError, did_you_mean
from selfie_utils.posts.importers.origin import Source, drop_list, label_by_score
from selfie_utils.posts.table import IDS, read_table

WORDS = {"good": 1, "bad": 0, "true": 1, "false": 0, "yes": 1, "no": 0, "1": 1, "0": 0, "1.0": 1, "0.0": 0}


@dataclass(frozen=True)
class TableOptions:
    """How to read a table: where its photos are, what its columns are called, what makes a post good."""

    images: Path | None = None  # folder or zip archive; the table's own folder by default
    columns: tuple[str, ...] = ()  # "likes=favourites": our name, their name
    score: str | None = None  # column of numbers to label by
    outer: float = 0.5  # share labelled good, and bad, by score


def read_posts_table(path: Path, options: TableOptions | None = None) -> Source:
    """Read a table of posts, one per row, with an image column at least.

    Columns are renamed as `options.columns` says. With a score, posts are labelled by it (`label_by_score`);
    with a column label, by that: 1 or 0, good or bad, true or false. Without either, likes and followers
    are needed. What is missing and can be made up is, and `notes` says so: post_id from the file name, a user
    for each post, no tags, collected on the day the table was saved.
    Raises SelfieError for a table or column that is not there, and a score that is no number.
    """
    options = options or TableOptions()
    if not path.is_file():
        raise SelfieError(f"There is no table {path}: give the path of a .csv or .parquet file.")
    posts = _rename(read_table(path), _pairs(options.columns), path)
    if "image" not in posts:
        raise SelfieError(
            f"{path} has no column image: say which one holds the file names, such as --map image=file; "
            f"it has {', '.join(map(str, posts.columns))}."
        )
    notes: list[str] = []
    posts, unnamed = _split(posts, posts["image"].notna(), "row names no photo")
    posts["image"] = posts["image"].astype("str").str.replace("\\", "/", regex=False)
    posts = _complete(posts, path, options, notes)
    posts, unscored = _label(posts, options, notes)
    return Source(posts, options.images or path.parent, pd.concat([unnamed, unscored]), notes)


def _pairs(columns: Sequence[str]) -> dict[str, str]:
    """Read "ours=theirs" into {theirs: ours}."""
    wrong = [pair for pair in columns if "=" not in pair]
    if wrong:
        raise SelfieError(f"--map {wrong[0]!r}: expected OURS=THEIRS, such as likes=favourites.")
    return {theirs: ours for ours, theirs in (pair.split("=", 1) for pair in columns)}


def _rename(posts: pd.DataFrame, names: dict[str, str], path: Path) -> pd.DataFrame:
    """Give columns our names; one of theirs that already bears such a name makes room."""
    for theirs in names:
        if theirs not in posts:
            raise SelfieError(
                f"{path} has no column {theirs!r}: {did_you_mean(theirs, map(str, posts.columns))}"
            )
    in_the_way = [c for c in posts if c in names.values() and c not in names]
    return posts.drop(columns=in_the_way).rename(columns=names)


def _split(posts: pd.DataFrame, keep: pd.Series, reason: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keep some posts, and list the others with the reason."""
    dropped = [(str(image), reason) for image in posts.loc[~keep, "image"]]
    return posts[keep].reset_index(drop=True), drop_list(dropped)


def _complete(posts: pd.DataFrame, path: Path, options: TableOptions, notes: list[str]) -> pd.DataFrame:
    """Make up what a table may leave out."""
    if "post_id" not in posts:
        stems = posts["image"].map(lambda name: Path(name).stem)
        numbers = pd.Series(range(len(posts)), index=posts.index).astype("str")
        posts["post_id"] = stems if stems.is_unique else numbers
        notes.append(f"post_id is the {'file name' if stems.is_unique else 'number of the row'}.")
    if "user_id" not in posts:
        posts["user_id"] = posts["post_id"]
        notes.append("There is no user_id: each post counts as one of a user of its own.")
    if "gender" in posts and "presented_gender" not in posts:
        posts = posts.rename(columns={"gender": "presented_gender"})
        notes.append("gender is taken for presented_gender, an annotation of the photo.")
    for column in IDS[1:]:
        if pd.api.types.is_float_dtype(posts[column]) and (posts[column].dropna() % 1 == 0).all():
            posts[column] = posts[column].astype("Int64")  # 12.0 was 12 before a gap made it a float
    if options.score is None and "label" not in posts and "likes" in posts:
        if "tags" not in posts:
            posts["tags"] = 0
            notes.append("There are no tags: audience is the number of followers alone.")
        if "collected_at" not in posts:
            saved = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
            posts["collected_at"] = saved.isoformat(timespec="seconds")
            notes.append(
                f"There is no collected_at: the day the table was saved, {saved:%Y-%m-%d}, stands for it."
            )
    return posts


def _label(posts: pd.DataFrame, options: TableOptions, notes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Label by a score or by the table's own words; without either, leave it to the likes."""
    if options.score is not None:
        return _label_by(options.score, options.outer, posts, notes)
    if "label" in posts and not posts["label"].isna().all():
        words = posts["label"].astype("string").str.strip().str.lower()
        posts["label"] = (
            words.map(WORDS).astype("Int64").astype(object).where(words.isin(WORDS), posts["label"])
        )
    elif not {"label", "likes"} & set(posts):
        posts["label"] = pd.array([pd.NA] * len(posts), dtype="Int64")
        notes.append("There are neither likes nor labels nor a score: these photos can only be scored.")
    return posts, drop_list([])


def _label_by(
    score: str, outer: float, posts: pd.DataFrame, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if score not in posts:
        raise SelfieError(f"There is no column {score!r} to score by: {did_you_mean(score, posts.columns)}")
    numbers = pd.to_numeric(posts[score], errors="coerce").replace([np.inf, -np.inf], np.nan)
    if numbers.notna().mean() < 0.5:
        raise SelfieError(f"Column {score} holds {posts[score].iloc[0]!r}, expected numbers to score by.")
    posts, unscored = _split(posts.assign(**{score: numbers}), numbers.notna(), f"{score} is no number")
    posts["label"] = label_by_score(posts[score], posts["post_id"].astype("str"), outer)
    at_edge = int(posts[score].duplicated(keep=False).sum())
    if at_edge:
        notes.append(f"{at_edge:,} posts share their {score} with another; on the border, lots decided.")
    reason = "in the middle of the scores"
    posts, middle = _split(posts, posts["label"].notna(), reason)
    return posts, pd.concat([unscored, middle])
