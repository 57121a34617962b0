"""The posts table: one row a published photo with its counts; what every source is turned into."""

from pathlib import Path

import pandas as pd

from selfie_utils.errors import SelfieError
from selfie_utils.images import leaves_folder

IDS = ["image", "post_id", "user_id"]
COUNTS = ["followers", "likes", "tags"]
DATES = ["posted_at", "collected_at"]
SPLITS = ["train", "validation", "test"]


def read_posts(path: str | Path) -> pd.DataFrame:
    """Read a posts table (.parquet or .csv) and check it.

    Returns one row a post: image, post_id, user_id (str), followers, likes, tags (int64),
    posted_at, collected_at (datetime64, UTC), optional label (int64: 1 good, 0 bad) and split, and any
    annotation columns as they are. A table that brings its own label may leave counts and dates out.

    Raises SelfieError naming the column, the first bad row and its value.
    """
    path = Path(path)
    if not path.is_file():
        raise SelfieError(f"There is no posts table {path}: give the path of a .parquet or .csv file.")
    return check_posts(_read(path), str(path))


def _read(path: Path) -> pd.DataFrame:
    try:
        if path.suffix == ".csv":
            return pd.read_csv(path, dtype=dict.fromkeys(IDS, str))
        return pd.read_parquet(path)
    except Exception as error:
        raise SelfieError(
            f"{path} cannot be read as a table ({str(error)[:100]}): save it again as .parquet or .csv."
        ) from None


def check_posts(posts: pd.DataFrame, source: str = "the posts table") -> pd.DataFrame:
    """Return `posts` with its columns typed; raise SelfieError as `read_posts` does."""
    needed = IDS + ([] if "label" in posts else COUNTS + DATES)
    missing = [c for c in needed if c not in posts]
    if missing:
        raise SelfieError(f"{source} has no column {', '.join(missing)}: it needs {', '.join(needed)}.")
    if posts.empty:
        raise SelfieError(f"{source} has no rows: at least one post is needed.")
    posts = posts.reset_index(drop=True).copy()
    for column in IDS:
        posts[column] = _text(posts[column], source)
    for column in [c for c in COUNTS if c in posts]:
        posts[column] = _count(posts[column], source)
    for column in [c for c in DATES if c in posts]:
        posts[column] = _date(posts[column], source)
    _check_ids(posts, source)
    _check_own_labels(posts, source)
    return posts


def _refuse(source: str, column: pd.Series, bad: pd.Series, expected: str) -> None:
    """Raise SelfieError for the first row where `bad` holds, counting the rest."""
    if not bad.any():
        return
    row = int(bad.to_numpy().argmax())
    more = f" (and {int(bad.sum()) - 1} more rows)" if bad.sum() > 1 else ""
    raise SelfieError(
        f"{source}, column {column.name}, row {row}{more}: got {column.iloc[row]!r}, expected {expected}."
    )


def _text(column: pd.Series, source: str) -> pd.Series:
    text = column.astype("string")
    _refuse(source, column, text.isna() | (text.str.strip() == ""), "a name")
    return text.astype(object)


def _count(column: pd.Series, source: str) -> pd.Series:
    number = pd.to_numeric(column, errors="coerce")
    _refuse(
        source, column, ~(number >= 0) | (number % 1 != 0) | (number > 2**62), "a whole number, zero or more"
    )
    return number.astype("int64")


def _date(column: pd.Series, source: str) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column):
        raise SelfieError(
            f"{source}, column {column.name}: got plain numbers, expected dates such as 2015-10-25."
        )
    date = pd.to_datetime(
        column, errors="coerce", utc=True, format=None if column.dtype.kind == "M" else "ISO8601"
    )
    _refuse(source, column, date.isna(), "a date such as 2015-10-25 or 2015-10-25T18:30:00Z")
    return date


def _check_ids(posts: pd.DataFrame, source: str) -> None:
    _refuse(source, posts["post_id"], posts["post_id"].duplicated(), "each post_id once")
    _refuse(source, posts["image"], posts["image"].map(leaves_folder), "a path inside the image folder")


def _check_own_labels(posts: pd.DataFrame, source: str) -> None:
    if "label" in posts:
        number = pd.to_numeric(posts["label"], errors="coerce")
        _refuse(source, posts["label"], ~number.isin([0, 1]), "1 (good) or 0 (bad)")
        posts["label"] = number.astype("int64")
    if "split" in posts:
        _refuse(source, posts["split"], ~posts["split"].isin(SPLITS), f"one of {', '.join(SPLITS)}")
