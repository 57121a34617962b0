"""The posts table: one row per published photo with its counts; what every source is turned into."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import leaves_folder
from selfie_utils.posts.dates import EXPECTED, read_dates
from selfie_utils.posts.numbers import WHOLE, Unclear, read_numbers
from selfie_utils.posts.reading import plain_types, read_table

IDS = ["image", "post_id", "user_id"]
COUNTS = ["followers", "likes", "tags"]
DATES = ["posted_at", "collected_at"]
YEARS = (1900, 2199)  # 2558 is of the Buddhist calendar, 15 has lost its century
SPLITS = dict.fromkeys(("train", "training"), "train")
SPLITS |= dict.fromkeys(("validation", "valid", "val"), "validation")
SPLITS |= dict.fromkeys(("test", "testing"), "test")
EXACT = 2**53  # up to here, a float holds every whole number
SHORTENED = r"[+-]?\d(?:[.,]\d+)?[Ee]\+\d+"  # 1.23457E+17: what Excel, R or floats leave of a long number
SURE = 6  # zeros that are no chance
KEPT = 15  # digits of a number that Excel keeps; it writes zeros for those that follow


def read_posts(path: str | Path) -> pd.DataFrame:
    """Read a posts table (.parquet or .csv) and check it.

    Returns one row per post: image, post_id, user_id (str), followers, likes, tags (int64), optional
    posted_at and collected_at (datetime64, UTC), label (int64: 1 good, 0 bad) and split, and any annotation
    columns. A table that brings its own label may leave counts out; one whose label is empty throughout
    (Int64, <NA>) holds photos that can only be scored.

    Raises SelfieError naming the column, the first bad row and its value.
    """
    path = Path(path)
    if not path.is_file():
        raise SelfieError(f"There is no posts table {path}: give the path of a .parquet or .csv file.")
    posts = read_table(path)[0]
    annotations = posts.columns.difference([*IDS, *COUNTS, *DATES, "split"])
    return check_posts(posts.assign(**{name: plain_types(posts[name]) for name in annotations}), str(path))


def check_posts(posts: pd.DataFrame, source: str = "the posts table") -> pd.DataFrame:
    """Return `posts` with its columns typed; raise SelfieError as `read_posts` does."""
    posts, faults = _typed(posts, source)
    for fault in faults:
        fault.refuse(source)
    return posts


def sift_posts(posts: pd.DataFrame, source: str = "the posts table") -> tuple[pd.DataFrame, pd.Series]:
    """Return the posts that are as they should be, typed, and of the others the reason, by their row.

    Where more than half of the rows have the same fault, the column is to blame, not the rows: that raises
    SelfieError as `read_posts` does.
    """
    posts, faults = _typed(posts, source)
    reasons = pd.Series("", index=posts.index)
    for fault in faults:
        if fault.bad.mean() > 0.5:
            fault.refuse(source)
        reasons[fault.bad & (reasons == "")] = f"{fault.column.name} is not {fault.expected}"
    return posts[reasons == ""].reset_index(drop=True), reasons[reasons != ""]


@dataclass(frozen=True)
class _Fault:
    """What is wrong with a column: the rows, and what was expected there."""

    column: pd.Series  # as it came
    bad: np.ndarray
    expected: str

    def refuse(self, source: str) -> None:
        """Raise SelfieError for the first bad row, counting the rest."""
        row, count = int(self.bad.argmax()), int(self.bad.sum())
        more = f" (and {count - 1} more rows)" if count > 1 else ""
        value = self.column.iloc[row]
        value = value.item() if isinstance(value, np.generic) else value  # 2.5, not np.float64(2.5)
        plain = self.column.name not in IDS and _is_number(value)
        shown = "an empty cell" if np.all(pd.isna(value)) else value if plain else repr(value)
        raise SelfieError(
            f"{source}, column {self.column.name}, row {row}{more}: got {shown}, expected {self.expected}."
        )


def _is_number(value: object) -> bool:
    try:
        float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return False
    return True


def _typed(posts: pd.DataFrame, source: str) -> tuple[pd.DataFrame, list[_Fault]]:
    """Give every column its type, and find what is wrong; a bad value has any value of the type."""
    dates = DATES if "posted_at" in posts else []  # without any, posts count as old enough
    needed = IDS + ([] if "label" in posts else COUNTS + dates)
    missing = [c for c in needed if c not in posts]
    if missing:
        raise SelfieError(f"{source} has no column {', '.join(missing)}: it needs {', '.join(needed)}.")
    if posts.empty:
        raise SelfieError(f"{source} has no rows: at least one post is needed.")
    posts = posts.reset_index(drop=True).copy()
    checks = dict.fromkeys(IDS, _text) | dict.fromkeys(COUNTS, _count) | dict.fromkeys(DATES, _date)
    checks |= {"label": _label, "split": _split}
    faults = []
    for column in [c for c in checks if c in posts]:
        try:
            typed, bad, expected = checks[column](posts[column])
        except Unclear as error:  # of the whole column, for which one value is the example
            is_odd = posts[column].astype("str").fillna("") == error.text
            _Fault(posts[column], is_odd.to_numpy(bool), str(error)).refuse(source)
        faults.append(_Fault(posts[column], np.asarray(bad, bool), expected))
        posts[column] = typed
    ids, images = posts["post_id"], posts["image"]
    faults.append(_Fault(ids, ids.duplicated().to_numpy(), "found once only"))
    faults.append(_Fault(images, _outside(images), "a path inside the image folder"))
    return posts, [fault for fault in faults if fault.bad.any()]


# Each check returns the column with its type, where it is bad, and what was expected.
Checked = tuple[pd.Series, pd.Series, str]


def _text(column: pd.Series) -> Checked:
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        if (column.abs() >= EXACT).any():
            raise Unclear(
                str(column[column.abs() >= EXACT].iloc[0]), "names as text: so long a number has lost digits"
            )
        column = column.astype("Int64")  # 12.0 was 12 before a gap made it a float
    text = column.astype("string").fillna("")
    short = text[text.str.fullmatch(SHORTENED)]
    if len(short):
        raise Unclear(
            short.iloc[0], "a name: a long number was shortened, as Excel does it: save that column as text"
        )
    long = text[text.str.fullmatch(r"[1-9]\d{15,}(\.0)?")].str.removesuffix(".0").drop_duplicates()
    rest = "".join(long.str.slice(KEPT))
    if len(rest) >= SURE and not rest.strip("0"):
        raise Unclear(
            text[long.index[0]], "names as text: Excel has written zeros for the last digits of long numbers"
        )
    return text.astype("str"), text.str.strip() == "", "a name"


def _count(column: pd.Series) -> Checked:
    number = read_numbers(column)
    too_large = number[number > 2**62]
    if len(too_large):  # never only the largest are left out
        raise Unclear(str(column[too_large.index[0]]), WHOLE)
    bad = ~(number >= 0)
    return number.mask(bad, 0).astype("int64"), bad, WHOLE


def _date(column: pd.Series) -> Checked:
    date = read_dates(column)
    return date, ~date.dt.year.between(*YEARS), EXPECTED


def _label(column: pd.Series) -> Checked:
    number = pd.to_numeric(column, errors="coerce")
    if column.isna().all():  # photos to score, of which nobody says how good they are
        return number.astype("Int64"), column.notna(), ""
    bad = ~number.isin([0, 1])
    return number.mask(bad, 0).astype("int64"), bad, "1 (good) or 0 (bad)"


def _split(column: pd.Series) -> Checked:
    expected = f"one of {', '.join(dict.fromkeys(SPLITS.values()))}"
    words = column.astype("str").str.strip().str.lower()
    split = words.map(SPLITS).astype("str")
    odd = words[split.isna() & words.notna() & (words != "")]
    if len(odd):  # never all of one part are left out
        raise Unclear(str(column[odd.index[0]]), expected)
    return split, split.isna(), expected


def _outside(images: pd.Series) -> np.ndarray:
    """Tell which names point outside the image folder."""
    # Looking for signs first leaves a handful of five million names to look at closely.
    outside = images.str.contains(r"^[/\\]|^.:|\.\.", regex=True).to_numpy(bool, copy=True)
    outside[outside] = images[outside].map(leaves_folder).to_numpy(bool)
    return outside
