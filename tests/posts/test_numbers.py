"""A count is read as it was meant, however people write it, or its column is refused as a whole."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.posts.numbers import Unclear, numbers_in_words, read_numbers


def read(*texts, whole=True):
    """Read texts as a column; NaN becomes None."""
    numbers = read_numbers(pd.Series(texts, dtype="str", name="likes"), whole)
    return [None if np.isnan(number) else number for number in numbers]


def grouped(sign):
    return lambda number: f"{number:,}".replace(",", sign)


def indian(number):
    """1250000 as 12,50,000."""
    head, tail = str(number)[:-3], str(number)[-3:]
    pairs = [head[max(0, i - 2) : i] for i in range(len(head), 0, -2)][::-1]
    return ",".join([*pairs, tail]) if head else tail


STYLES = {
    "plain": str,
    "comma": grouped(","),
    "dot": grouped("."),
    "blank": grouped(" "),
    "no-break blank": grouped("\u00a0"),
    "narrow blank": grouped("\u202f"),
    "apostrophe": grouped("'"),
    "curly apostrophe": grouped("’"),
    "India": indian,
    "float": lambda number: f"{number:.1f}",
    "comma and cents": lambda number: f"{number:,.2f}",
    "wide digits": lambda number: "".join(chr(0xFF10 + int(digit)) for digit in str(number)),
    "Arabic digits": lambda number: "".join(chr(0x0660 + int(digit)) for digit in str(number)),
}


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=30)
@given(counts=st.lists(st.integers(0, 10**9), min_size=1, max_size=8))
def test_a_whole_column_is_read_back_in_the_style_in_which_it_was_written(style, counts):
    counts = [*counts, 1_234_567]  # one that shows what its dots are for
    assert read(*map(STYLES[style], counts)) == counts


@pytest.mark.parametrize(
    ("unit", "times"), [("k", 1e3), ("K", 1e3), (" M", 1e6), ("万", 1e4), (" Mio.", 1e6)]
)
@pytest.mark.parametrize("sign", [".", ","])
@settings(max_examples=20)
@given(tenths=st.lists(st.integers(0, 9999), min_size=1, max_size=8), small=st.integers(0, 999))
def test_shortened_numbers_are_read_back_next_to_plain_ones(unit, times, sign, tenths, small):
    texts = [f"{n // 10}{sign}{n % 10}{unit}" for n in tenths]
    assert read(*texts, str(small)) == [round(n * times / 10) for n in tenths] + [small]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 10**7), min_size=2, max_size=12), st.sampled_from(list(STYLES)), st.data())
def test_no_column_loses_only_its_largest(counts, style, data):
    """Whatever some of the values look like, all are read or none: it is either right or refused."""
    other = data.draw(st.sampled_from([*STYLES, "odd"]))
    write = STYLES.get(other, lambda number: f"~{number}")
    texts = [write(n) if n >= sorted(counts)[len(counts) // 2] else STYLES[style](n) for n in counts]
    try:
        assert read(*texts) == counts
    except Unclear as error:
        assert error.text in texts


@pytest.mark.parametrize(
    ("texts", "numbers"),
    [
        (["1.250", "880"], [1250, 880]),  # half a like is none
        (["12.000", "1.250"], [12000, 1250]),  # one shows what it is for all
        (["12.000", "1.000.000"], [12000, 1000000]),
        (["12.000", "1250.000"], [12, 1250]),  # four digits before it: a fraction
        (["12.000", "0.000"], [12, 0]),
        (["12.0", "13"], [12, 13]),
        (["12,000", "5"], [12000, 5]),
        (["1,000", "1.001"], [1000, 1001]),  # two wrote the table: 1,000 is not one
        (["1.250", "1,2k"], [1250, 1200]),
        (["1,250", "1.2k"], [1250, 1200]),
        (["1.250k", "1.2k"], [1250, 1200]),
        (["1,2 mil", "850"], [1200, 850]),
        (["1e5", "1.3E+05"], [100000, 130000]),
        (["-6", "−1,250", "+5"], [-6, -1250, 5]),
        (["many", None, "NA", "-", "inf"], [None] * 5),
    ],
)
def test_the_whole_column_decides(texts, numbers):
    assert read(*texts) == numbers


@pytest.mark.parametrize(
    "texts",
    [
        ["12.000", "7"],  # 12 or 12000
        ["1.250k", "3"],
        ["1.2 mil", "850K", "3"],  # of English, in which the first is a million
        ["1.000", "1,001"],  # 1 or 1000
        ["1.000", "1001.0"],
        ["1.2k", "1.250"],  # a fraction in one, thousands in the other
        ["12,50", "3"],
        ["1,2500", "1"],
        ["1,250,5", "1"],
        ["12 50", "1"],
        ["10K+", "3"],
        [">1000", "3"],
        ["1.2 B", "3"],
        ["2.5", "1"],
        ["一万", "5"],
        ["1.23456k", "5"],
    ],
)
def test_where_it_cannot_be_decided_the_column_is_refused_with_an_example(texts):
    with pytest.raises(Unclear) as error:
        read(*texts)
    assert error.value.text in texts


@settings(max_examples=30)
@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=8), st.sampled_from([".", ","]))
def test_scores_have_fractions_with_a_dot_or_a_comma(hundredths, sign):
    texts = [f"{n / 100:.2f}".replace(".", sign) for n in hundredths]
    assert read(*texts, whole=False) == [n / 100 for n in hundredths]


def test_three_digits_after_a_dot_are_a_fraction_among_scores_and_after_a_comma_unclear():
    assert read("4.103", "3.953", whole=False) == [4.103, 3.953]
    assert read("4,103", "0,953", whole=False) == [4.103, 0.953]
    with pytest.raises(Unclear):
        read("4,103", "3,953", whole=False)


def test_numbers_of_a_table_that_has_types_stay():
    assert read_numbers(pd.Series([1.5, None, 2**53]), whole=False).tolist()[::2] == [1.5, 2**53]


@pytest.mark.parametrize(
    "column",
    [
        pd.to_timedelta(pd.Series([None, "00:12:34", "01:00:00"])),
        pd.to_datetime(pd.Series(["2025-01-01", None])),
        pd.to_datetime(pd.Series(["2025-01-01"])).dt.tz_localize("UTC"),
        pd.Series([True, False]),  # whether I liked it
        pd.Series([True, None]).astype("boolean"),
    ],
)
def test_durations_dates_and_flags_are_no_counts(column):
    with pytest.raises(Unclear) as error:
        read_numbers(column)
    assert error.value.text == str(column.dropna().iloc[0])


def test_flags_may_be_scores_and_durations_may_not():
    assert read_numbers(pd.Series([True, False]), whole=False).tolist() == [1, 0]
    with pytest.raises(Unclear, match="a number"):
        read_numbers(pd.to_timedelta(pd.Series(["00:12:34"])), whole=False)


def test_a_column_without_any_value_holds_no_count():
    assert read_numbers(pd.to_datetime(pd.Series([None, None]))).isna().all()


def test_an_example_says_how_numbers_are_read():
    def told(*texts):
        return numbers_in_words(pd.Series(texts, dtype="str", name="likes"))

    assert told("7", "1.250") == "likes: 1.250 is read as 1,250."
    assert told("7", "1.2k") == "likes: 1.2k is read as 1,200."
    assert told("7", "8") == told("1,250") == told("many") == ""


@pytest.mark.parametrize("note", ["²", "¹", "₃", "ª"])
def test_the_mark_of_a_footnote_is_no_digit(note):
    with pytest.raises(Unclear) as error:
        read_numbers(pd.Series(["7", f"5{note}", "12"]))
    assert error.value.text == f"5{note}"
