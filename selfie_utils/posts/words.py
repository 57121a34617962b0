"""Words in a table: compared without regard to case and blanks, and the usual codes of yes, no, gender."""

from collections.abc import Iterable

import pandas as pd

YES = {"1", "+1", "true", "yes", "y", "t", "good"}
NO = {"0", "-1", "false", "no", "n", "f", "bad"}
UNKNOWN = {"unknown", "?", "-", "na", "n/a", "nan", "none", "null", "undefined", "not sure", "unsure"}
MALE = {"male", "man", "men", "boy", "masculine"}
FEMALE = {"female", "woman", "women", "girl", "feminine"}
LETTERS = {"m": "male", "f": "female", "w": "female"}
GENDERS = dict.fromkeys(MALE, "male") | dict.fromkeys(FEMALE, "female")
GENDER = "presented_gender"
# Columns that say what a photo's people are presented as, in words, or by yes and no.
OF_GENDER, IS_MALE, IS_FEMALE = {GENDER, "gender", "sex"}, {"male", "is_male"}, {"female", "is_female"}


def fold(column: pd.Series) -> pd.Series:
    """Write values alike that differ in case, in blanks, or as 1 and 1.0; str, <NA> where there is none."""
    words = column.convert_dtypes().astype("string")  # a gap makes floats of whole numbers: 31, not 31.0
    words = words.str.strip().str.casefold()
    words = words.str.replace(r"^([+-]?\d+)\.0+$", r"\1", regex=True)
    return words.mask(words == "")


def read_flag(column: pd.Series) -> pd.Series | None:
    """Read yes and no, true and false, 1 and 0, or 1 and -1: nullable booleans; None where there is more.

    Where 1, 0 and -1 all stand, nobody can tell what 0 means.
    """
    words = fold(column)
    said = set(words.dropna())
    if not said <= YES | NO or {"0", "-1"} <= said:
        return None
    return words.map(dict.fromkeys(YES, True) | dict.fromkeys(NO, False)).astype("boolean")


def read_gender(name: str, column: pd.Series) -> pd.Series | None:
    """Read "male" and "female" from words, from m and f, or from yes and no in a column named male or female.

    Other words stay, folded; unknown is <NA>. None where codes do not say which is which, such as 0 and 1 in
    a column named gender.
    """
    words = fold(column)
    words = words.mask(words.isin(UNKNOWN))
    flags = read_flag(words)
    if name.strip().lower() in IS_MALE | IS_FEMALE and flags is not None:
        one, other = ("male", "female") if name.strip().lower() in IS_MALE else ("female", "male")
        return flags.map({True: one, False: other}).astype("str")
    said = set(words.dropna())
    if any(word.lstrip("+-").isdigit() for word in said):
        return None
    known = GENDERS
    if {word for word in said if len(word) == 1} <= set(LETTERS) and said <= set(LETTERS) | set(GENDERS) | {
        "o"
    }:
        known = GENDERS | LETTERS
    return words.map(lambda word: known.get(word, word), na_action="ignore").astype("str")


def fold_annotation(name: str, column: pd.Series) -> pd.Series:
    """Fold an annotation; one of gender with its codes read, where they are clear."""
    gender = read_gender(name, column) if name.strip().lower() in OF_GENDER else None
    return fold(column if gender is None else gender)


def values_in_words(column: pd.Series, most: int = 6) -> str:
    """List the values of a column, the most frequent first, each with how many there are."""
    counts = column.astype("string").str.strip().value_counts()
    told = [f"{value} ({count:,})" for value, count in counts.head(most).items()]
    return join(told + (["others"] if len(counts) > most else []))


def join(words: Iterable[str]) -> str:
    """Write a list in words: a, b and c."""
    *first, last = list(words) or ["nothing"]
    return f"{', '.join(first)} and {last}" if first else last
