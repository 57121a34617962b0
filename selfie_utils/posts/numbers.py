"""Counts as people write them: 1,250 and 1.250, 1 250 and 1'250, 1.2k, 3.4M and 1.2万."""

import re
import unicodedata
from collections.abc import Iterable
from numbers import Number

import numpy as np
import pandas as pd

TIMES = {
    "k": 10**3, "tsd": 10**3, "mil": 10**3, "тыс": 10**3, "千": 10**3, "천": 10**3,
    "m": 10**6, "mi": 10**6, "mn": 10**6, "mio": 10**6, "mln": 10**6, "млн": 10**6, "百万": 10**6,
    "万": 10**4, "萬": 10**4, "만": 10**4, "亿": 10**8, "億": 10**8, "억": 10**8,
}  # fmt: skip
NUMBER = re.compile(r"([+-]?)(\d[\d.,]*|[.,]\d+)(e[+-]?\d+)?\s*(\D*?)\.?")
GROUPS = {  # 1,250,000; 1.250.000; and 12,50,000 as in India
    ",": re.compile(r"[1-9]\d{0,2}(,\d{3})+|[1-9]\d?(,\d\d)+,\d{3}"),
    ".": re.compile(r"[1-9]\d{0,2}(\.\d{3})+"),
}
WHOLE = "a whole number, zero or more"
UNIT = {"k": re.compile(r"(?i)\d\s*k$"), "mil": re.compile(r"(?i)\d\s*mil\.?$")}
SIGNS = {",": "comma", ".": "dot"}


class Unclear(ValueError):
    """A column cannot be read for sure; `text` is an example, the message what is expected."""

    def __init__(self, text: str, expected: str):
        super().__init__(expected)
        self.text = text


def read_numbers(column: pd.Series, whole: bool = True) -> pd.Series:
    """Read numbers as people write them; float64, NaN where a cell is empty or holds words only.

    The whole column decides what a comma and a dot mean: 1.250 is 1250 next to 1.250.000 or where only
    `whole` numbers make sense, 1.25 next to 0.5. Raises Unclear where that can't be decided, and for
    any cell that holds digits and can't be read: most often the largest are written in another way, and
    to leave out just those would be worse than to stop.
    """
    if (column.dtype != object and not pd.api.types.is_string_dtype(column)) or _are_numbers(column):
        return _as_they_are(column, whole)
    texts = column.astype("str")
    plain = texts.str.fullmatch(r"[0-9]{1,15}", na=False).to_numpy(bool)
    numbers = pd.to_numeric(texts.where(plain), errors="coerce").astype("float64")
    odd = pd.Series(texts[~plain].dropna().unique(), dtype="str")
    cells = {text: _parts(text) for text in odd}
    _refuse_two_units(cells)
    meaning = _meaning([cell for cell in cells.values() if cell], whole)
    values = {text: _value(text, cell, meaning, whole) for text, cell in cells.items()}
    return numbers.where(plain, texts.map(values).astype("float64"))


def _are_numbers(column: pd.Series) -> bool:
    """Tell whether every value is a number already, such as a decimal of Parquet: its dot is no question."""
    return column.dtype == object and column.dropna().map(lambda value: isinstance(value, Number)).all()


def _as_they_are(column: pd.Series, whole: bool) -> pd.Series:
    """Take numbers that need no reading; raise Unclear for dates, durations, and what is not `whole`."""
    is_time = column.dtype.kind in "mM"
    if (is_time or (whole and pd.api.types.is_bool_dtype(column))) and column.notna().any():
        raise Unclear(str(column.dropna().iloc[0]), WHOLE if whole else "a number")
    column = column.astype("object") if is_time else column  # or an empty cell would be a number
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    if not whole:
        return numbers
    odd = column[(numbers - numbers.round()).abs() > 1e-6]
    if len(odd):
        raise Unclear(str(odd.iloc[0]), WHOLE)
    return numbers.round()


def numbers_in_words(column: pd.Series, whole: bool = True) -> str:
    """Say what a comma and a dot mean in a column, where any number has one; else nothing."""
    if not pd.api.types.is_string_dtype(column):
        return ""
    cells = {text: _parts(text) for text in column.dropna().unique() if not text.isdigit()}
    meaning = _meaning([cell for cell in cells.values() if cell], whole)
    for text, cell in cells.items():
        if cell and (cell[1] or not cell[0].isdigit()):
            value = _value(text, cell, meaning, whole)
            shown = f"{value:,.15g}"
            return f"{column.name}: {text} is read as {shown}." if shown not in (text, "nan") else ""
    return ""


# The digits with their signs, what they are multiplied by (0 where nothing is said), the sign of the number
Cell = tuple[str, int, int]


def _parts(text: str) -> Cell | None:
    """Take a number apart; None where the text has another form, or a footnote: 5² is not 52."""
    if any(unicodedata.decomposition(c).startswith(("<super>", "<sub>")) for c in text):
        return None
    text = unicodedata.normalize("NFKC", text).strip().lower().replace("−", "-")
    text = "".join(str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text)
    text = re.sub(r"(?<=\d)[ '’_٬](?=\d{3}(?!\d))", "", text)  # these separate thousands and nothing else
    found = NUMBER.fullmatch(text)
    if not found:
        return None
    sign, digits, power, unit = found.groups()
    times = TIMES.get(unit.strip(), 0)
    if (unit and not times) or (power and unit):
        return None
    return digits + (power or ""), times, -1 if sign == "-" else 1


def _refuse_two_units(texts: Iterable[str]) -> None:
    """Raise Unclear where "mil" stands beside k: a thousand in Spanish, a million in English."""
    found = {unit: text for text in texts for unit in ("k", "mil") if UNIT[unit].search(text)}
    if len(found) == 2:
        raise Unclear(found["mil"], f"{WHOLE}: next to {found['k']}, mil may be a thousand or a million")


def _meaning(cells: list[Cell], whole: bool) -> dict[str, set[str]]:
    """Collect for comma and dot what cells say of them: "thousands", "fraction", "either"."""
    said: dict[str, set[str]] = {",": set(), ".": set()}
    for digits, times, _ in cells:
        last = max(",.", key=digits.rfind)
        for sign in SIGNS:
            if sign in digits:
                said[sign].add(_says(digits, sign, sign == last, whole and not times))
    plain = whole and not any(times for _, times, _ in cells)
    for sign, other in ((",", "."), (".", ",")):  # they never mean the same, but where two wrote the table
        if said[sign] == {"either"}:
            if "fraction" in said[other]:
                said[sign] = {"thousands"}
            elif "thousands" in said[other] and not plain:
                said[sign] = {"fraction"}
            elif not whole and sign == ".":
                said[sign] = {"fraction"}  # 4.103 among scores
            elif plain and sign == ",":
                said[sign] = {"thousands"}  # nobody writes a count as 12,000 and means 12
    for sign, meant in said.items():
        if meant != {"either"} and not (plain and _of_other_lengths(cells, sign)):
            meant.discard("either")
    return said


def _of_other_lengths(cells: list[Cell], sign: str) -> bool:
    """Tell whether fractions differ in length: then 1.000 next to 1001.0 may be a thousand."""
    return len({len(digits.partition(sign)[2]) for digits, _, _ in cells if digits.count(sign) == 1}) > 1


def _says(digits: str, sign: str, is_last: bool, whole: bool) -> str:
    """Tell what one number says of a sign in it."""
    if not is_last or digits.count(sign) > 1:
        return "thousands"
    before, after = digits.replace("," if sign == "." else ".", "").split(sign)
    if "e" in after or len(after) != 3 or not before or before.startswith("0") or len(before) > 3:
        return "thousands" if sign == "," and GROUPS[","].fullmatch(digits) else "fraction"
    if "," in digits and "." in digits:
        return "fraction"
    return "thousands" if whole and int(after) else "either"


def _value(text: str, cell: Cell | None, meaning: dict[str, set[str]], whole: bool) -> float:
    """Work out what a text is worth; NaN for words."""
    expected = WHOLE if whole else "a number"
    if cell is None:
        if any(unicodedata.numeric(c, None) is not None for c in text):
            raise Unclear(text, f"{expected}, such as 1250, 1,250 or 1.2k")
        return np.nan
    digits, times, sign = cell
    for mark in SIGNS:
        if mark not in digits:
            continue
        if len(meaning[mark]) != 1 or meaning[mark] == {"either"}:
            raise Unclear(
                text,
                f"numbers of which it is clear whether the {SIGNS[mark]} is for thousands: write "
                f"{digits.replace(mark, '')} or {digits.split(mark)[0]}",
            )
        if meaning[mark] == {"thousands"}:
            digits = _without(digits, mark, text, expected)
    value = float(digits.replace(",", ".")) * (times or 1) * sign
    if abs(value - round(value)) < 1e-6 * max(1, times):  # 1.2 times 1000 in floats
        value = float(round(value))
    if whole and value != round(value):
        raise Unclear(text, expected)
    return value


def _without(digits: str, mark: str, text: str, expected: str) -> str:
    """Take out what separates thousands; raise Unclear where the groups are not of three."""
    other = "." if mark == "," else ","
    head, dot, tail = digits.partition(other)
    if not GROUPS[mark].fullmatch(head):
        raise Unclear(text, f"{expected}, with groups of three digits such as 1{mark}250")
    return head.replace(mark, "") + dot + tail
