"""Tables as people save them: with commas, semicolons, tabs or blanks, in any usual encoding, or by Excel."""

import csv
import io
import re
import string
import zipfile
from collections import Counter
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd

from selfie_utils.core.errors import SelfieError

SAMPLE = 2**16  # characters that a table's form is judged by
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", ",": "commas", r"\s+": "blanks"}
# Blanks, and what nobody sees: zeros of a disk that failed, marks of UTF-8 from files put together, and of
# the direction of writing.
ROUND = string.whitespace + "\0\xa0\u2007\u202f\u3000" + "\ufeff\u200b\u2060\u200e\u200f\u061c"
ROUND += "".join(map(chr, [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]))
MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
OLD = ["cp1252", "cp1251", "shift_jis", "gb18030", "big5", "euc_kr"]  # from Western to Korean
# What a file begins with that is no table here, and what to do about it.
OTHERS = {
    b"\xd0\xcf\x11\xe0": "is an old Excel file: save it as .xlsx or .csv, without a password",
    b"\x1f\x8b": "is compressed: unpack it first",
    b"{\\rtf": "is a text with formats: save the table as .csv",
    b"{": "is JSON: save it as .csv, one row per post",
    b"[": "is JSON: save it as .csv, one row per post",
    b"<": "is a web page, or other XML: save the table as .csv",
    b"%PDF": "is a PDF: save the table as .csv",
}
# What stands in a row of posts and never in a row of names: a photo's name, an address, a fraction, a date.
DATA = r"\S.*\.(jpe?g|png|webp|gif|bmp|heic)|https?://.*|[+-]?\d+[.,]\d+|\d{4}-\d\d-\d\d.*"
BINARY = r"[\x01-\x08\x0e-\x1b]"  # stands in no text
NEARLY = 4  # letters of UTF-8 for each place that is none, at least
TITLES = 20  # rows that are looked at for the names of the columns
EXCEL_DIGITS = 10**15  # Excel keeps 15 digits of a number and writes zeros for the others


def read_table(path: Path, image: str = "image") -> tuple[pd.DataFrame, list[str]]:
    """Read a table as it is, and say in `notes` what had to be assumed.

    `image` is what the column of photos is called there: by it the sheet and the row of names are known.
    Parquet keeps its types. All else is text: every cell as str with every digit and letter, blanks round it
    left out; only an empty cell is missing. Columns of a table without a header are called 1, 2, 3…
    Raises SelfieError where the file is no table, or is damaged.
    """
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    try:
        if path.suffix.lower() == ".parquet" or head[:4] == b"PAR1":
            return _with_index(pd.read_parquet(path)), []
        if head[:4] == b"PK\x03\x04":
            return _read_excel(path, image)
        told = next((told for start, told in OTHERS.items() if head.lstrip().startswith(start)), None)
        if told:
            raise SelfieError(f"{path} {told}.")
        return _read_text(path, image)
    except SelfieError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:100]
        raise SelfieError(
            f"{path} cannot be read as a table ({reason}): save it again as .parquet or .csv."
        ) from None


def _with_index(table: pd.DataFrame) -> pd.DataFrame:
    """Make columns of the names that pandas keeps beside a table, as `set_index("image")` does."""
    beside = [name for name in table.index.names if name is not None and name not in table]
    return table.reset_index(level=beside) if beside else table


def plain_types(column: pd.Series) -> pd.Series:
    """Turn text into whole numbers, fractions or true and false where nothing is lost by it: not 007."""
    if not pd.api.types.is_string_dtype(column):
        return column
    texts = column.dropna().unique()
    if not len(texts):
        return column
    if all(text in ("True", "False", "true", "false", "TRUE", "FALSE") for text in texts):
        return column.str.lower().map({"true": True, "false": False}).astype("boolean")
    for number, kind in ((int, "Int64"), (float, "Float64")):
        if all(_says_the_same(number, text) for text in texts):
            return column.astype(kind)
    return column


def _says_the_same(number: type, text: str) -> bool:
    try:
        value = number(text)
    except ValueError:
        return False
    return str(value) == text and abs(value) < 2**63 and bool(np.isfinite(float(value)))


def _read_text(path: Path, image: str) -> tuple[pd.DataFrame, list[str]]:
    """Read rows of text: find out the encoding, the separator and whether there is a header."""
    encoding = encoding_of(path)
    notes = [] if encoding.startswith("utf-8") else [f"The table is read as {encoding}: it is not UTF-8."]
    if encoding == "utf-8" and not _is_utf8(path):
        notes.append(
            "The table is UTF-8 but for some bytes, as of letters cut in two: they are read as \\xff."
        )
    with path.open(encoding=encoding, errors=_errors(encoding)) as file:
        sample = file.read(SAMPLE)
    if "\0" in sample and (sample.rstrip("\0").count("\0") > len(sample) / 100 or re.search(BINARY, sample)):
        raise SelfieError(f"{path} is not a table of text: give a .csv, .tsv, .txt, .xlsx or .parquet file.")
    sample, above = _without_empty_lines(sample)
    sample, skipped = _begin(sample)
    lines = sample.split("\n")
    split = [[line.split(sign) for line in lines[:TITLES]] for sign in ",;|\t"]
    titles = 0 if skipped else max(_titles(rows, image) or 0 for rows in split)
    if titles:
        sample, above = "\n".join(lines[titles:]), above + titles
        notes.append(f"The table begins in line {above + 1}, which names its columns.")
    separator = skipped[4:5] if skipped.lower().startswith("sep=") else _separator(sample)
    if separator != ",":
        notes.append(f"The table is read as separated by {SEPARATORS.get(separator, repr(separator))}.")
    names, header = _names(sample, separator, path)
    if not header:
        notes.append(f"The table has no header: its columns are called {', '.join(names)}.")
    skip = above + int(bool(skipped)) + header
    width = max([len(names), *map(len, _rows(sample, separator))])
    every = [*names, *range(width - len(names))]  # else pandas would cut off what is too much
    table = _read_rows(path, encoding, separator, every, skip)
    return _without_more(_tidy(table), names, separator, path), notes


def _read_rows(path: Path, encoding: str, separator: str, names: list[str | int], skip: int) -> pd.DataFrame:
    """Read the rows below the first `skip` lines, every cell as text."""
    try:
        return pd.read_csv(
            path,
            sep=separator,
            encoding=encoding,
            encoding_errors=_errors(encoding),
            skipinitialspace=True,
            names=names,
            index_col=False,
            skiprows=skip,
            dtype=str,
            keep_default_na=False,
            na_values=[""],
        )
    except pd.errors.ParserError as error:
        raise _bad_rows(path, separator, str(error)) from None


def _without_more(table: pd.DataFrame, names: list[str], separator: str, path: Path) -> pd.DataFrame:
    """Leave out empty cells beyond the columns; others mean that a row is shifted, and its numbers wrong."""
    more = table.iloc[:, len(names) :].notna().any(axis=1)
    if more.any():
        raise SelfieError(
            f"{path} has {len(names)} columns, and more cells in {int(more.sum()):,} of its rows, the first "
            f"of {table[names[0]][more.argmax()]}: {_quote(separator)}."
        )
    return table[names]


def _bad_rows(path: Path, separator: str, told: str) -> SelfieError:
    """Turn what pandas tells of a row far down into a sentence."""
    line = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", told)
    if line:
        return SelfieError(f"{path}, line {line[2]} has {line[3]} cells, not {line[1]}: {_quote(separator)}.")
    opened = re.search(r"EOF inside string starting at (row \d+)", told)
    where = f" (opened in {opened[1]} of its data)" if opened else ""
    return SelfieError(f"{path} has a quote that is never closed{where}: close it, or save the table again.")


def _quote(separator: str) -> str:
    named = SEPARATORS.get(separator, repr(separator) + "s")[:-1]
    return f"put a cell that holds a {named} in quotes, and write each quote in it twice"


def _without_empty_lines(sample: str) -> tuple[str, int]:
    """Leave out lines above the table that hold nothing or separators only; return how many."""
    empty = re.match(r"\ufeff?((?:[ \t,;|]*\n)*)", sample)
    return (sample[empty.end() :], empty[1].count("\n")) if empty and empty[1] else (sample, 0)


def _titles(rows: list[list[str]], image: str) -> int | None:
    """Count the rows above the one that names the image column; None where it is not found.

    They hold one cell each at most, or are remarks.
    """
    for i, row in enumerate(rows):
        cells = [cell.strip(ROUND + '"').lower() for cell in row]
        if len(cells) > 1 and image.strip().lower() in (*cells, cells[0].lstrip("# ")):
            return i
        if sum(map(bool, cells)) > 1 and not cells[0].startswith("#"):
            break
    return None


def _begin(sample: str) -> tuple[str, str]:
    """Leave out a first line that is none of the table: `sep=;` of Excel, or a lone number of rows."""
    first, _, rest = sample.partition("\n")
    alone = first.strip()
    skipped = re.fullmatch(r"(?i)sep=.", alone) or (alone.isdigit() and len(rest.split("\n")[0].split()) > 1)
    return (rest, first.lstrip("\ufeff").rstrip("\r\n") or " ") if skipped else (sample, "")


def encoding_of(path: Path) -> str:
    """Tell the encoding of a text: by its mark, UTF-8 where it is valid, else what it looks like most."""
    with path.open("rb") as file:
        head = file.read(SAMPLE)
    head = head.rstrip(b"\0")
    marked = next((name for mark, name in MARKS.items() if head.startswith(mark)), None)
    if marked:
        return marked
    for zero, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # Latin letters and separators have a zero each
        zeros, others = head[zero::2].count(0), head[1 - zero :: 2].count(0)
        if len(head) > 3 and zeros > max(len(head) / 100, 4 * others):
            return name
    return "utf-8" if _is_utf8(path) or _is_nearly_utf8(path) else _guess(path)


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text in any usual encoding; what has no sign there is read as \\xff."""
    return path.read_text(encoding_of(path), errors="backslashreplace").splitlines()


def _is_utf8(path: Path) -> bool:
    try:
        with path.open(encoding="utf-8") as file:
            while file.read(2**20):
                pass
    except UnicodeDecodeError:
        return False
    return True


def _is_nearly_utf8(path: Path) -> bool:
    """Tell whether letters of UTF-8 are many more than what is none: texts that were cut in a letter."""
    text = _odd_lines(path).decode("utf-8", "replace")
    broken = text.count("\ufffd")
    return sum(not c.isascii() for c in text) - broken > NEARLY * broken


def _errors(encoding: str) -> str:
    """Return how to read what an encoding has no sign for: in UTF-8, two names stay two."""
    return "backslashreplace" if encoding == "utf-8" else "strict"


def _odd_lines(path: Path) -> bytes:
    """Return the first lines that are not ASCII; the others tell nothing of an encoding."""
    with path.open("rb") as file:
        return b"".join(islice((line for line in file if not line.isascii()), 2000))


def _guess(path: Path) -> str:
    """Guess the encoding of an old text: lone signs from 0xC0 on are accents of Western Windows."""
    from charset_normalizer import from_bytes

    odd = _odd_lines(path)
    lone = len(re.findall(rb"(?<![\x80-\xff])[\xc0-\xff](?![\x80-\xff])", odd))
    western = lone > len(re.findall(rb"[\x80-\xff]", odd)) / 2
    best = None if western else from_bytes(odd, cp_isolation=OLD).best()
    if best is not None:
        return best.encoding
    return "latin-1" if re.search(rb"[\x81\x8d\x8f\x90\x9d]", odd) else "cp1252"


def _rows(sample: str, separator: str) -> list[list[str]]:
    """Split the first rows into cells; the last may be cut by the sample's end."""
    if separator == r"\s+":
        rows = [line.split() for line in sample.splitlines()]
    else:
        rows = list(csv.reader(io.StringIO(sample), delimiter=separator, skipinitialspace=True))
    rows = [row for row in rows[:100] if any(cell.strip() for cell in row)]
    return rows[:-1] if len(sample) >= SAMPLE and len(rows) > 2 else rows


def _separator(sample: str) -> str:
    """Choose the separator by which most rows have as many cells as the first, and more than one."""

    def fit(separator: str) -> tuple[float, int]:
        widths = [len(row) for row in _rows(sample, separator)]
        width = widths[0] if widths else 1
        usual = Counter(widths[1:] or widths).most_common(1)[0][0] if widths else 1
        as_first = usual in (width, width + 1) and usual > 1 and width > 0
        return (widths.count(usual) / len(widths), usual) if as_first else (0.0, 0)

    best = max(SEPARATORS, key=lambda separator: (fit(separator)[0] > 0.9, fit(separator)[0]))
    return best if fit(best)[0] > 0 else ","


def _names(sample: str, separator: str, path: Path) -> tuple[list[str], bool]:
    """Return the columns' names, and whether the first row holds them."""
    rows = _rows(sample, separator)
    if not rows:
        raise SelfieError(f"{path} has no rows: at least one post is needed.")
    first = [cell.strip(ROUND) for cell in rows[0]]
    first[0] = first[0].lstrip("# ") or first[0]  # as NumPy marks a row of names
    if any(map(_is_data, first)):
        return [str(i + 1) for i in range(max(map(len, rows)))], False
    widths = [len(row) for row in rows[1:]]
    if widths and Counter(widths).most_common(1)[0][0] == len(first) + 1:
        if all(not row[-1].strip() for row in rows[1:] if len(row) > len(first)):
            first.append("")  # every row ends in a separator
        elif separator in (r"\s+", "\t") and not ("image" in first and _is_data(rows[1][0])):
            # Rows of R and of CelebA begin with a name that has no column.
            first.insert(0, "image" if _is_data(rows[1][0]) else "row")
        else:
            raise SelfieError(
                f"{path}, row 1 has {len(first) + 1} cells and the header {len(first)}: {_quote(separator)}, "
                "and name each column."
            )
    names = [name or f"column {i + 1}" for i, name in enumerate(first)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise SelfieError(f"{path} has two columns {twice[0]!r}: rename one of them.")
    return names, True


def _is_data(cell: str) -> bool:
    return re.fullmatch(DATA, cell, re.IGNORECASE) is not None


def _tidy(table: pd.DataFrame) -> pd.DataFrame:
    """Leave out blanks and unseen signs round cells, and cells that are nothing else; ="007" is 007."""

    def tidy(column: pd.Series) -> pd.Series:
        texts = column.astype("str").str.strip(ROUND)
        if texts.str.startswith('="').any():  # how a text is kept from becoming a number in Excel
            texts = texts.str.replace(r'^="(.*)"$', r"\1", regex=True)
        return texts.replace("", np.nan).astype("str")

    return table.apply(tidy)


def _read_excel(path: Path, image: str) -> tuple[pd.DataFrame, list[str]]:
    """Read a sheet of an Excel file, every cell as the text that it stands for."""
    try:
        import openpyxl  # noqa: F401
    except ImportError:
        raise SelfieError(
            f"{path} is an Excel file: pip install 'selfie-suite[xlsx]' to read it, or save it as .csv."
        ) from None
    with zipfile.ZipFile(path) as packed:
        is_office = "[Content_Types].xml" in packed.namelist()
    if not is_office:
        raise SelfieError(f"{path} is packed, and no Excel file: unpack it, or save it as .xlsx or .csv.")
    cells, notes = _sheet(path, image)
    first = [str(cell) for cell in cells.iloc[0].fillna("")]
    text = cells.to_csv(index=False, header=False)
    names, header = _names(text[: SAMPLE - 1], ",", path)
    if not header:
        names = names[: len(first)]
        notes.append(f"The table has no header: its columns are called {', '.join(names)}.")
    return _tidy(cells.set_axis(names, axis=1).iloc[int(header) :].reset_index(drop=True)), notes


def _sheet(path: Path, image: str) -> tuple[pd.DataFrame, list[str]]:
    """Return the first sheet that names the image column, or else that holds anything: its cells as text.

    The rows are named by their place in the sheet. The notes say which sheet it is, where there are several.
    """
    found: dict[str, pd.DataFrame] = {}
    with pd.ExcelFile(path, engine="openpyxl") as book:
        sheets = [str(name) for name in book.sheet_names]
        for name in sheets:
            cells = pd.read_excel(
                book, sheet_name=name, header=None, dtype=object, keep_default_na=False, na_values=[""]
            )
            cells = cells.dropna(how="all").map(_as_text, na_action="ignore")
            titles = _titles(cells.head(TITLES).fillna("").to_numpy().tolist(), image)
            if titles is not None:
                found = {name: cells.iloc[titles:]}
                break
            if len(cells):
                found.setdefault(name, cells)
    if not found:
        raise SelfieError(f"{path} has no rows: at least one post is needed.")
    name, cells = next(iter(found.items()))
    _refuse_formulas(path, name, cells)
    at = "the first" if name == sheets[0] else f"number {sheets.index(name) + 1}"
    return cells, [] if len(sheets) == 1 else [f"The table is {at} of {len(sheets)} sheets, {name}."]


def _refuse_formulas(path: Path, sheet: str, cells: pd.DataFrame) -> None:
    """Refuse a column of formulas that nobody has worked out yet, as programs write them: it looks empty."""
    empty = [place for place in cells if cells[place].notna().sum() < 2]
    if not empty or len(cells) < 2:
        return
    import openpyxl

    book = openpyxl.load_workbook(path, read_only=True)
    try:
        row = next(book[sheet].iter_rows(cells.index[1] + 1, cells.index[1] + 1, values_only=True))
    finally:
        book.close()
    formulas = [place for place in empty if place < len(row) and str(row[place]).startswith("=")]
    if formulas:
        name = cells.iloc[0][formulas[0]]
        raise SelfieError(
            f"{path}, column {name} holds formulas without their values: open the file in Excel or "
            "LibreOffice, and save it again."
        )


def _as_text(cell: object) -> str:
    """Write what a cell holds; a number that Excel has rounded is written so that it is seen."""
    if isinstance(cell, (int, float)) and not isinstance(cell, bool):
        if abs(cell) >= EXCEL_DIGITS:
            return f"{cell:.14E}"
        return str(int(cell)) if cell == int(cell) else repr(cell)
    return cell.isoformat() if hasattr(cell, "isoformat") else str(cell)
