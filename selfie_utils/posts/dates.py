"""Dates as people save them: ISO, seconds since 1970, 25.10.2015, 10/25/2015, 25 October 2015."""

import re

import pandas as pd

from selfie_utils.posts.numbers import Unclear

EXPECTED = "a date such as 2015-10-25 or 2015-10-25T18:30:00Z"
# Digits of a whole number of them since 1970, for dates from 1973 to 2286 (seconds) and beyond.
UNITS = {9: "s", 10: "s", 12: "ms", 13: "ms", 15: "us", 16: "us", 18: "ns", 19: "ns"}
PARTS = re.compile(r"(\d{1,2})([/.-])(\d{1,2})\2(\d{4})(?!\d)(.*)", re.DOTALL)
MONTH = r"(?i)\b(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\b"
ORDERED = r"\d{4}[-/.]\d\d?[-/.]\d\d?.*|\d\d?([-/.])\d\d?\1\d{4}.*|[0 :.-]+"


def read_dates(column: pd.Series) -> pd.Series:
    """Read dates; datetime64 in UTC, NaT where a cell is empty or holds none. Without a zone, UTC is meant.

    The whole column decides whether 1/2/2021 begins with the day or the month. Raises Unclear where it can't,
    and for numbers that are no seconds or milliseconds since 1970.
    """
    if column.dtype.kind == "M":
        return pd.to_datetime(column, utc=True)
    texts = column.astype("str") if not pd.api.types.is_numeric_dtype(column) else _whole(column)
    iso = pd.to_datetime(texts.where(texts.str.match(r"\d{4}-", na=False)), errors="coerce", utc=True,
                         format="ISO8601")  # fmt: skip
    others = pd.Series(texts[iso.isna()].dropna().unique(), dtype="str")
    if others.empty:
        return iso
    read = _epochs(others).fillna(_by_parts(others)).fillna(_in_words(others))
    odd = others[read.isna() & others.str.contains(r"\d") & ~others.str.fullmatch(ORDERED)]
    if len(odd):  # dates of another form are not left out one by one
        raise Unclear(odd.iloc[0], EXPECTED)
    more = texts.map(dict(zip(others, read, strict=True)))
    return iso.astype("datetime64[us, UTC]").fillna(
        pd.to_datetime(more, utc=True).astype("datetime64[us, UTC]")
    )


def dates_in_words(column: pd.Series) -> str:
    """Say how dates of another form than ISO are read, by an example; nothing where all are ISO."""
    if column.dtype.kind == "M":
        return ""
    texts = pd.Series(column.dropna().unique()[:1000])
    others = texts[~texts.astype("str").str.match(r"\d{4}-")]
    if others.empty:
        return ""
    dates = read_dates(column).reindex(column[column.isin(others)].index).dropna()
    if dates.empty:
        return ""
    return f"{column.name}: {column[dates.index[0]]} is read as {dates.iloc[0]:%Y-%m-%d %H:%M} UTC."


def _whole(numbers: pd.Series) -> pd.Series:
    """Write numbers as text without a fraction: a gap makes floats of whole ones."""
    whole = numbers.astype("Float64").round().astype("Int64", errors="ignore")
    return whole.astype("string").str.removesuffix(".0")


def _epochs(texts: pd.Series) -> pd.Series:
    """Read seconds, milli-, micro- or nanoseconds since 1970, one unit a column; 20151025 is a day."""
    none = pd.Series(pd.NaT, texts.index, dtype="datetime64[us, UTC]")
    digits = texts.where(texts.str.fullmatch(r"\d+([.,]\d+)?([eE][+-]?\d+)?", na=False)).dropna()
    digits = digits[~digits.str.fullmatch("0+")]
    if digits.empty:
        return none
    if digits.str.fullmatch(r"(19|20)\d{6}").all():
        days = pd.to_datetime(digits, errors="coerce", utc=True, format="%Y%m%d")
        return none.fillna(days)
    units = digits.str.replace(r"[.,]\d+$", "", regex=True).str.len().map(UNITS)
    units = units.mask(digits.str.contains("e", case=False))
    if units.isna().any() or units.nunique() > 1:
        odd = digits[units.isna() | (units != units.mode()[0] if units.notna().any() else True)].iloc[0]
        raise Unclear(odd, f"{EXPECTED}, or all in seconds or all in milliseconds since 1970")
    if units.iloc[0] == "s":  # 1445798400.5 too
        values = pd.to_numeric(digits.str.replace(",", "."))
        return none.fillna(pd.to_datetime(values, unit="s", utc=True))
    values = digits.str.replace(r"[.,]\d+$", "", regex=True).astype("int64")
    dates = pd.to_datetime(values, unit=units.iloc[0], utc=True)
    return none.fillna(dates.astype("datetime64[us, UTC]"))


def _by_parts(texts: pd.Series) -> pd.Series:
    """Read day, month and year in numbers, in the order that the whole column shows; with dots, day first."""
    parts = texts.str.extract(PARTS)
    first, second = (pd.to_numeric(parts[i]) for i in (0, 2))
    day_first, month_first = first > 12, second > 12
    unsure = parts[0].notna() & (parts[1] != ".")
    if unsure.any() and day_first[unsure].any() == month_first[unsure].any():
        odd = texts[unsure & ~day_first & ~month_first] if not day_first[unsure].any() else texts[unsure]
        raise Unclear(
            (odd if len(odd) else texts[unsure]).iloc[0],
            "dates of which it is clear which number is the day: write 2021-02-01",
        )
    dotted = parts[1] == "."
    swap = (dotted & ~(month_first & dotted).any()) | (~dotted & day_first[unsure].any())
    day, month = first.where(swap, second), second.where(swap, first)
    good = parts[0].notna() & (month <= 12)
    iso = parts[3] + "-" + _two(month) + "-" + _two(day) + parts[4].fillna("")
    return _mixed(iso.where(good))


def _two(numbers: pd.Series) -> pd.Series:
    return numbers.astype("Int64").astype("string").str.zfill(2)


def _in_words(texts: pd.Series) -> pd.Series:
    """Read dates with a month's name and a year of four digits, and ISO with slashes or a named UTC."""
    clear = texts.str.contains(MONTH) & texts.str.contains(r"(?<!\d)\d{4}(?![\d:])")
    slashed = texts.str.replace(r"^(\d{4})[/.](\d\d?)[/.](\d\d?)", r"\1-\2-\3", regex=True)
    year_first = slashed.str.match(r"\d{4}-(0?[1-9]|1[0-2])-\d")
    return _mixed(slashed.where(clear | year_first))


def _mixed(texts: pd.Series) -> pd.Series:
    """Let pandas read dates that are clear by now, each in its own way."""
    texts = texts.astype("str").str.replace(r"(?i)\s*(utc|gmt)$", "+00:00", regex=True)
    return pd.to_datetime(texts, errors="coerce", utc=True, format="mixed").astype("datetime64[us, UTC]")
