"""Any table of posts, as text, Excel or Parquet, with columns of any name: counts, labels, or a score."""

import datetime
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from selfie_utils.core.errors import SelfieError, did_you_mean
from selfie_utils.photos.images import Images, open_images
from selfie_utils.posts import words
from selfie_utils.posts.dates import dates_in_words
from selfie_utils.posts.importers.origin import Source, drop_list, label_by_score
from selfie_utils.posts.numbers import Unclear, numbers_in_words, read_numbers
from selfie_utils.posts.photo_names import clean, match_names
from selfie_utils.posts.reading import plain_types, read_table
from selfie_utils.posts.table import COUNTS, DATES, IDS

LIKELY = re.compile(r"(?i)like|favou?rite|heart")  # names of columns that may hold likes
OWN = [*IDS, *COUNTS, *DATES, "label", "split"]


@dataclass(frozen=True)
class TableOptions:
    """How to read a table: where its photos are, what its columns are called, what makes a post good."""

    images: Path | None = None  # folder or archive; the table's own folder by default
    columns: tuple[str, ...] = ()  # "likes=favourites": our name, their name
    score: str | None = None  # column of numbers to label by
    outer: float = 0.5  # share labelled good, and bad, by score


def read_posts_table(path: Path, options: TableOptions | None = None) -> Source:
    """Read a table of posts, one per row, with an image column at least.

    Columns are renamed as `options.columns` says, and photos found by `match_names`. With a score, posts are
    labelled by it (`label_by_score`, or its two values); with a column label, by that: 1 or 0, 1 or -1, good
    or bad, true or false. Without either, likes and followers are needed. What is missing and can be made up
    is, and `notes` says so, as well as how numbers and dates were read.
    Raises SelfieError for a table or column that is not there, for labels of other words, and for a score
    that is no number.
    """
    options = options or TableOptions()
    if not path.is_file():
        raise SelfieError(f"There is no table {path}: give the path of a .csv, .xlsx or .parquet file.")
    renamed = _pairs(options.columns)
    image = next((theirs for theirs, ours in renamed.items() if ours == "image"), "image")
    posts, notes = read_table(path, image)
    posts = _own_names(_rename(posts, renamed, path), options.score)
    if "image" not in posts:
        told = "".join(f" {note}" for note in notes if "header" in note)
        raise SelfieError(
            f"{path} has no column image: say which one holds the file names, such as --map image=file; "
            f"it has {', '.join(map(str, posts.columns))}.{told}"
        )
    posts, unnamed = _split(posts, posts["image"].notna(), "row names no photo")
    posts["image"] = _photos(posts["image"], open_images(options.images or path.parent), notes)
    posts = _complete(posts, path, options, notes)
    posts = _gender(posts, {ours: theirs for theirs, ours in renamed.items()}, notes)
    posts, unscored = _label(posts, options, notes)
    notes += [note for name in posts if name in COUNTS + DATES and (note := _how_read(posts[name]))]
    others = [name for name in posts if name not in OWN]
    posts = posts.assign(**{name: plain_types(posts[name]) for name in others})
    return Source(posts, options.images or path.parent, pd.concat([unnamed, unscored]), notes)


def _how_read(column: pd.Series) -> str:
    """Say how numbers or dates of a column are read, where that is not plain."""
    try:
        return numbers_in_words(column) if column.name in COUNTS else dates_in_words(column)
    except Unclear:
        return ""  # to be told with its row


def _photos(column: pd.Series, images: Images, notes: list[str]) -> pd.Series:
    """Replace names by those of the photos that they mean; what is not there stays, as a path."""
    if pd.api.types.is_float_dtype(column) and (column % 1 == 0).all():
        column = column.astype("Int64")
    if isinstance(column.iloc[0] if len(column) else "", bytes | dict | list | np.ndarray):
        raise SelfieError(
            "Column image holds the pictures themselves, expected their file names: write each picture to a "
            "file first, and its name into the table."
        )
    column = column.astype("str")
    found = match_names(column.unique(), images.names())
    other = {name: photo for name, photo in found.items() if photo not in (name, clean(name))}
    if other:
        name, photo = next(iter(other.items()))
        notes.append(f"{len(other):,} photos have another name in the table, such as {name!r} for {photo}.")
    lost = {name: name if "://" in name else clean(name) for name in column.unique() if name not in found}
    return column.map(found | lost)


def _own_names(posts: pd.DataFrame, score: str | None) -> pd.DataFrame:
    """Take a column for ours whose name differs in case or blanks only: Image, " likes"."""
    alike = [(name, str(name).strip().lower()) for name in posts if name not in OWN and name != score]
    ours = [own for _, own in alike]
    return posts.rename(
        columns={name: own for name, own in alike if own in OWN and own not in posts and ours.count(own) == 1}
    )


def _gender(posts: pd.DataFrame, originals: dict[str, str], notes: list[str]) -> pd.DataFrame:
    """Turn what a table says of gender into the annotation that the galleries ask for, where it is clear."""
    known = words.OF_GENDER | words.IS_MALE | words.IS_FEMALE
    columns = [str(name) for name in posts if str(name).strip().lower() in known]
    if not columns:
        return posts
    column = words.GENDER if words.GENDER in columns else columns[0]
    name = originals.get(column, column)
    told_by = name if column == words.GENDER and name.strip().lower() in known else column
    gender = words.read_gender(told_by, posts[column])
    if gender is None:
        advice = f"give --map male={name} where 1 means male, or --map female={name} where 1 means female"
        if told_by.strip().lower() not in words.OF_GENDER or words.read_flag(posts[column]) is None:
            advice = "write male and female there"
        said = words.values_in_words(posts[column])
        notes.append(f"{column} holds {said}, which does not say who is male: {advice}.")
        return posts
    if column != words.GENDER:
        notes.append(f"{column} is taken for presented_gender, an annotation of the photo.")
    return posts.drop(columns=column).assign(**{words.GENDER: gender})


def _pairs(columns: Sequence[str]) -> dict[str, str]:
    """Read "ours=theirs" into {theirs: ours}."""
    wrong = [pair for pair in columns if "=" not in pair]
    if wrong:
        raise SelfieError(f"--map {wrong[0]!r}: expected OURS=THEIRS, such as likes=favourites.")
    names = [pair.split("=", 1) for pair in columns]
    twice = next((ours for ours, count in Counter(ours for ours, _ in names).items() if count > 1), None)
    if twice:
        raise SelfieError(f"--map {twice} is given twice: one column can be {twice}, name that alone.")
    return {theirs: ours for ours, theirs in names}


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
    left = posts.loc[~keep, "image"]
    dropped = [(f"row {row}" if pd.isna(image) else str(image), reason) for row, image in left.items()]
    return posts[keep].reset_index(drop=True), drop_list(dropped)


def _complete(posts: pd.DataFrame, path: Path, options: TableOptions, notes: list[str]) -> pd.DataFrame:
    """Make up what a table may leave out."""
    if "post_id" not in posts:
        posts["post_id"], by_path = _made_ids(posts["image"])
        told = ", with its path and suffix where several photos are called so" if by_path else ""
        notes.append(f"post_id is the file name{told}.")
        again = posts["image"][posts["image"].duplicated()]
        if len(again):
            notes.append(
                f"{len(again):,} rows name a photo that stands above already, such as {again.iloc[0]}: each "
                "row counts as a post."
            )
    if "user_id" not in posts:
        posts["user_id"] = posts["post_id"]
        notes.append("There is no user_id: each post counts as one of a user of its own.")
    if options.score is None and "label" not in posts and "likes" in posts:
        if "tags" not in posts:
            posts["tags"] = 0
            notes.append("There are no tags: audience is the number of followers alone.")
        if "posted_at" not in posts:
            notes.append("There is no posted_at: every post counts as old enough for its likes to settle.")
        elif "collected_at" not in posts:
            saved = datetime.datetime.fromtimestamp(path.stat().st_mtime, datetime.UTC)
            posts["collected_at"] = saved.isoformat(timespec="seconds")
            notes.append(
                f"There is no collected_at: the day the table was saved, {saved:%Y-%m-%d}, stands for it."
            )
    return posts


def _made_ids(images: pd.Series) -> tuple[pd.Series, bool]:
    """Name posts by their photos, so that rows added elsewhere change no id; tell whether paths were needed.

    An id is the file's name without its suffix, or the whole path where another photo is called so; further
    rows that show the same photo have their number behind it: a, a#2.
    """
    photos = images.unique()
    names = pd.Series([Path(photo).stem for photo in photos], index=photos, dtype="str")
    by_path = not names.is_unique
    while (alike := names.duplicated(keep=False) & (names != names.index)).any():
        names = names.mask(
            alike, pd.Series(names.index, names.index)
        )  # which may be another's file name, so we look again
    further = images.groupby(images).cumcount() + 1
    return images.map(names) + further.map(lambda n: f"#{n}" if n > 1 else ""), by_path


def id_by_path(post_id: str, image: str) -> str:
    """Return the id that a post gets once another photo has its file name; its own where that is given."""
    stem = Path(image).stem
    number = post_id.removeprefix(stem)
    is_made = post_id.startswith(stem) and re.fullmatch(r"(#\d+)?", number)
    return image + number if is_made else post_id


def _label(posts: pd.DataFrame, options: TableOptions, notes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Label by a score or by the table's own words; without either, leave it to the likes."""
    if options.score is not None:
        return _label_by(options.score, options.outer, posts, notes)
    if "label" in posts and not posts["label"].isna().all():
        return _by_words(posts, notes)
    if not {"label", "likes"} & set(posts):
        posts["label"] = pd.Series(pd.NA, posts.index, "Int64")
        others = [str(name) for name in posts if name not in OWN and LIKELY.search(str(name))]
        told = f" (where {words.join(others[:6])} says it: --map likes={others[0]!r})" if others else ""
        notes.append(
            f"There are neither likes nor labels nor a score: these photos can only be scored{told}."
        )
    return posts, drop_list([])


def _by_words(posts: pd.DataFrame, notes: list[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Label by the table's own words; rows without one are left out."""
    said = words.fold(posts["label"])
    flags = words.read_flag(said.mask(said.isin(words.UNKNOWN)))
    if flags is None:
        raise SelfieError(
            f"Column label holds {words.values_in_words(posts['label'])}, expected 1 and 0, 1 and -1, good "
            "and bad, yes and no or true and false: change the others, or empty their cells."
        )
    if flags.isna().any() and flags.nunique() < 2:
        word = posts["label"].dropna().iloc[0]
        raise SelfieError(
            f"Column label holds {word} or nothing: where nothing means the contrary, write that there."
        )
    posts["label"] = flags.astype("Int64")
    return _split(posts, flags.notna(), "label is empty")


def _label_by(
    score: str, outer: float, posts: pd.DataFrame, notes: list[str]
) -> tuple[pd.DataFrame, pd.DataFrame]:
    if score not in posts:
        raise SelfieError(f"There is no column {score!r} to score by: {did_you_mean(score, posts.columns)}")
    values = words.fold(posts[score])
    if values.nunique() == 2 and words.read_flag(values) is not None:
        notes.append(f"{score} has two values, and is a label.")
        posts["label"] = values
        return _by_words(posts, notes)
    numbers = _scores(posts[score])
    posts, unscored = _split(posts.assign(**{score: numbers}), numbers.notna(), f"{score} is no number")
    if posts[score].nunique() == 2:
        low, high = sorted(posts[score].unique())
        notes.append(f"{score} has two values, and is a label: {high:g} is good, {low:g} bad.")
        return posts.assign(label=(posts[score] == high).astype("Int64")), unscored
    if len(posts) > 1 and posts[score].nunique() == 1:
        raise SelfieError(f"Every post has the same {score}, {posts[score].iloc[0]:g}: nothing to label by.")
    posts["label"] = label_by_score(posts[score], posts["post_id"].astype("str"), outer)
    at_edge = int(posts[score].duplicated(keep=False).sum())
    if at_edge:
        notes.append(f"{at_edge:,} posts share their {score} with another; on the border, lots decided.")
    reason = "in the middle of the scores"
    posts, middle = _split(posts, posts["label"].notna(), reason)
    return posts, pd.concat([unscored, middle])


def _scores(column: pd.Series) -> pd.Series:
    """Read numbers to score by; NaN for words and what is not finite."""
    try:
        numbers = read_numbers(column, whole=False).replace([np.inf, -np.inf], np.nan)
    except Unclear as error:
        raise SelfieError(f"Column {column.name}: got {error.text!r}, expected {error}.") from None
    if numbers.notna().mean() < 0.5:
        raise SelfieError(f"Column {column.name} holds {column.iloc[0]!r}, expected numbers to score by.")
    return numbers
