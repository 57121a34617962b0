"""Words are alike without regard to case and blanks; a code is read where it is clear, and never guessed."""

import pandas as pd
import pytest

from selfie_utils.posts import words


def plain(column):
    """A column as a list, with None for what is unknown."""
    return None if column is None else [None if pd.isna(value) else value for value in column]


@pytest.mark.parametrize(
    ("given", "folded"),
    [
        (["Male", " MALE", "male "], ["male"] * 3),
        ([1, 0, None], ["1", "0", None]),
        ([1.0, 2.5, None], ["1", "2.5", None]),
        (["1.0", "1", " "], ["1", "1", None]),
        ([True, False, None], ["true", "false", None]),
        (["None", "NA", ""], ["none", "na", None]),
    ],
)
def test_values_that_differ_in_case_blanks_or_as_numbers_are_alike(given, folded):
    assert plain(words.fold(pd.Series(given))) == folded


@pytest.mark.parametrize(
    ("given", "flags"),
    [
        ([1, 0, None], [True, False, None]),
        ([1, -1], [True, False]),
        (["1.0", "-1.0"], [True, False]),
        (["Good", " BAD "], [True, False]),
        (["yes", "N"], [True, False]),
        (["TRUE", "f"], [True, False]),
        ([-1, -1], [False, False]),
        ([1, 0, -1], None),  # 0 may mean no, or unknown
        ([1, 2], None),
        (["good", "great"], None),
    ],
)
def test_yes_and_no_have_many_words(given, flags):
    assert plain(words.read_flag(pd.Series(given))) == flags


@pytest.mark.parametrize(
    ("name", "given", "gender"),
    [
        ("gender", ["M", "f", " m"], ["male", "female", "male"]),
        ("gender", ["Man", "WOMAN", "girl"], ["male", "female", "female"]),
        ("Sex", ["male", None, "unknown"], ["male", None, None]),
        ("gender", ["m", "w"], ["male", "female"]),
        ("gender", ["m", "h"], ["m", "h"]),  # mujer and hombre
        ("gender", ["m", "mujer"], ["m", "mujer"]),
        ("gender", ["male", "non-binary"], ["male", "non-binary"]),
        ("gender", [0, 1], None),
        ("gender", [1, 2], None),
        ("gender", [1, -1], None),
        ("Male", [1, -1], ["male", "female"]),
        ("is_male", ["yes", "no"], ["male", "female"]),
        ("male", [1.0, 0.0, None], ["male", "female", None]),
        ("female", [1, 0], ["female", "male"]),
        ("male", [1, 0, -1], None),
        ("male", ["Male", "female", ""], ["male", "female", None]),  # words say it, whatever the name
        ("female", ["w", "m"], ["female", "male"]),
        ("is_male", [1, 2], None),
    ],
)
def test_gender_is_read_where_it_is_clear(name, given, gender):
    assert plain(words.read_gender(name, pd.Series(given))) == gender


def test_the_values_of_a_column_are_told_the_most_frequent_first():
    assert words.values_in_words(pd.Series([0, 1, 1])) == "1 (2) and 0 (1)"
    assert words.values_in_words(pd.Series([None, None])) == "nothing"
    assert words.values_in_words(pd.Series([*"abcdefgh", "a"]), most=2).endswith("and others")
