"""Dates are read in the styles in which people save them; what could be two days is refused."""

import datetime
import warnings

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.posts.dates import dates_in_words, read_dates
from selfie_utils.posts.numbers import Unclear

MOMENTS = st.datetimes(datetime.datetime(2005, 1, 1), datetime.datetime(2035, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0)
)
STYLES = {
    "ISO": "%Y-%m-%dT%H:%M:%S",
    "ISO with a zone": "%Y-%m-%dT%H:%M:%S+00:00",
    "ISO with Z": "%Y-%m-%d %H:%M:%SZ",
    "ISO with UTC": "%Y-%m-%d %H:%M:%S UTC",
    "slashes, year first": "%Y/%m/%d %H:%M:%S",
    "German": "%d.%m.%Y %H:%M:%S",
    "British": "%d/%m/%Y %H:%M:%S",
    "American": "%m/%d/%Y %I:%M:%S %p",
    "Twitter": "%a %b %d %H:%M:%S +0000 %Y",
    "month's name": "%d %B %Y %H:%M:%S",
    "mail": "%a, %d %b %Y %H:%M:%S +0000",
}
SHOWS = datetime.datetime(2015, 10, 25, 18, 30)  # the 25th is no month


def read(*texts):
    return read_dates(pd.Series(texts, dtype="str", name="posted_at"))


@pytest.mark.parametrize("style", STYLES)
@settings(max_examples=15)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=5))
def test_dates_are_read_back_in_the_style_in_which_they_were_written(style, moments):
    moments = [*moments, SHOWS]
    dates = read(*(moment.strftime(STYLES[style]) for moment in moments))
    assert dates.dt.tz_localize(None).tolist() == moments


@pytest.mark.parametrize("unit", [1, 1000, 10**6, 10**9])
@settings(max_examples=15)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=5))
def test_seconds_and_their_parts_since_1970_are_read_back(unit, moments):
    numbers = [int(moment.replace(tzinfo=datetime.UTC).timestamp()) * unit for moment in moments]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # pandas will refuse to mix units of time
        assert read(*map(str, numbers)).dt.tz_localize(None).tolist() == moments
    assert read_dates(pd.Series(numbers)).dt.tz_localize(None).tolist() == moments


@settings(max_examples=15)
@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=6))
def test_a_day_that_could_be_the_month_is_refused(parts):
    with pytest.raises(Unclear):
        read(*(f"{one}/{other}/2021" for one, other in parts))
    dates = read(*(f"{one}/{other}/2021" for one, other in parts), "13/1/2021")
    assert [(date.day, date.month) for date in dates] == [*parts, (13, 1)]
    dates = read(*(f"{one}/{other}/2021" for one, other in parts), "1/13/2021")
    assert [(date.month, date.day) for date in dates] == [*parts, (1, 13)]
    with pytest.raises(Unclear):  # both orders
        read("13/1/2021", "1/13/2021")


@pytest.mark.parametrize(
    "texts",
    [["3"], ["44205"], ["2015"], ["1.6E+12"], ["1609459200", "1609459200000"], ["2021-01-01", "5-Oct-21"]],
)
def test_numbers_and_styles_that_are_no_dates_are_refused(texts):
    with pytest.raises(Unclear) as error:
        read(*texts)
    assert error.value.text in texts


def test_single_dates_that_do_not_exist_are_left_out():
    dates = read("2021-02-30", "2021-13-01", "0000-00-00", "soon", None, "2021-02-03")
    assert dates.isna().tolist() == [True] * 5 + [False]
    assert read("0", "1609459200").isna().tolist() == [True, False]
    assert read("30/02/2021", "1/2/2021").isna().tolist() == [True, False]
    assert read("20151025").tolist() == [pd.Timestamp("2015-10-25", tz="UTC")]


def test_an_example_says_how_dates_are_read():
    column = pd.Series(["2021-01-01", "1/2/2021", "13/2/2021"], name="posted_at")
    assert dates_in_words(column) == "posted_at: 1/2/2021 is read as 2021-02-01 00:00 UTC."
    assert dates_in_words(column[:1]) == "" == dates_in_words(pd.to_datetime(column[:1]))
