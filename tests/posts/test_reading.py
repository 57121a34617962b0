"""A table is the same table however it was saved; what is none is named."""

import builtins
import zipfile

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.core.errors import SelfieError
from selfie_utils.posts.reading import encoding_of, plain_types, read_table

ROWS = [
    ["image", "likes", "user_id"],
    ["a.jpg", "7", "José"],
    ["b c.jpg", "1.250", "Zoë"],
    ["d.jpg", "", "NA"],
]
WANTED = [["a.jpg", "7", "José"], ["b c.jpg", "1.250", "Zoë"], ["d.jpg", None, "NA"]]


def write(path, rows=ROWS, sep=",", encoding="utf-8", before="", end="\n", after=""):
    path.write_bytes((before + end.join(sep.join(row) + after for row in rows) + end).encode(encoding))
    return path


def cells(table):
    return table.astype(object).where(table.notna(), None).values.tolist()


@pytest.mark.parametrize(
    ("suffix", "sep", "encoding", "before", "end", "after", "notes"),
    [
        (".csv", ",", "utf-8", "", "\n", "", []),
        (".CSV", ",", "utf-8-sig", "", "\r\n", "", []),
        (".csv", ";", "utf-8", "", "\n", "", ["The table is read as separated by semicolons."]),
        (".csv", ";", "utf-8", "sep=;\n", "\n", "", ["The table is read as separated by semicolons."]),
        (".tsv", "\t", "utf-8", "", "\r", "", ["The table is read as separated by tabs."]),
        (".txt", "|", "utf-8", "", "\n", "", ["The table is read as separated by bars."]),
        (".csv", ",", "cp1252", "", "\n", "", ["The table is read as cp1252: it is not UTF-8."]),
        (".txt", "\t", "utf-16", "", "\r\n", "",
         ["The table is read as utf-16: it is not UTF-8.", "The table is read as separated by tabs."]),
        (".csv", ",", "utf-16-le", "", "\n", "", ["The table is read as utf-16-le: it is not UTF-8."]),
        (".csv", ",", "utf-16-be", "", "\n", "", ["The table is read as utf-16-be: it is not UTF-8."]),
        (".data", ",", "utf-8", "", "\n", "", []),
    ],
)  # fmt: skip
def test_a_table_is_the_same_however_it_was_saved(tmp_path, suffix, sep, encoding, before, end, after, notes):
    path = write(tmp_path / f"posts{suffix}", ROWS, sep, encoding, before, end, after)
    table, told = read_table(path)
    assert list(table) == ROWS[0] and cells(table) == WANTED and told == notes


def test_rows_that_end_in_a_separator_have_a_column_more(tmp_path):
    rows = [ROWS[0], *([*row, ""] for row in ROWS[1:])]
    table, _ = read_table(write(tmp_path / "a.csv", rows))
    assert list(table)[:3] == ROWS[0] and cells(table.iloc[:, :3]) == WANTED


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.text("ab ,;|'\"\n\té1.€", max_size=6), min_size=3, max_size=3), min_size=1, max_size=5
    ),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
)
def test_quoted_cells_hold_anything(tmp_path_factory, rows, sep, encoding):
    path = tmp_path_factory.mktemp("t") / "posts.csv"
    given_table = pd.DataFrame([[f"x{cell}x" for cell in row] for row in rows], columns=["image", "b", "c"])
    given_table.to_csv(path, sep=sep, encoding=encoding, index=False, quoting=1)
    assert cells(read_table(path)[0]) == given_table.values.tolist()


@pytest.mark.parametrize(
    ("encoding", "name"),
    [("cp1252", "für Zoë"), ("latin-1", "José"), ("cp1251", "Анна Петрова"), ("shift_jis", "山田太郎さん"),
     ("gb18030", "王小明和他的朋友们"), ("euc_kr", "김철수 이영희")],
)  # fmt: skip
def test_names_in_old_encodings_are_read(tmp_path, encoding, name):
    rows = [["image", "user_id"], *([f"{i}.jpg", f"{name} {i}"] for i in range(20))]
    path = write(tmp_path / "a.csv", rows, encoding=encoding)
    assert read_table(path)[0]["user_id"].tolist() == [f"{name} {i}" for i in range(20)]


def test_a_text_without_a_header_says_so_and_numbers_its_columns(tmp_path):
    for sep, rows in {
        " ": [["p0.jpg", "4.1"], ["p1.JPG", "3.9"]],
        ",": [["7", "https://x/y", "5"], ["8", "https://x/z", "6"]],
        ";": [["p0", "4,5"], ["p1", "3,5"]],
    }.items():
        table, notes = read_table(write(tmp_path / "list.txt", rows, sep))
        columns = [str(i + 1) for i in range(len(rows[0]))]
        assert list(table) == columns and cells(table) == rows
        assert f"The table has no header: its columns are called {', '.join(columns)}." in notes


def test_the_list_of_celeba_is_read_as_it_comes(tmp_path):
    """A lone number of rows, a header without a name for the first column, several blanks."""
    path = tmp_path / "list_attr_celeba.txt"
    path.write_text("2\nSmiling Male \n000001.jpg -1  1\n000002.jpg  1 -1\n")
    table, _ = read_table(path)
    assert list(table) == ["image", "Smiling", "Male"]
    assert cells(table) == [["000001.jpg", "-1", "1"], ["000002.jpg", "1", "-1"]]


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.csv", b"", "has no rows"),
        ("a.csv", b"\n\n", "has no rows"),
        ("a.xls", b"\xd0\xcf\x11\xe0\0\0", "is an old Excel file: save it as .xlsx or .csv"),
        ("a.rtf", b"{\\rtf1 image,likes", "is a text with formats: save the table as .csv"),
        ("a.csv.gz", b"\x1f\x8b\x08", "is compressed: unpack it first"),
        ("a.json", b' [{"image": 1}]', "is JSON: save it as .csv"),
        ("a.csv", b"<!doctype html><html>", "is a web page"),
        ("a.csv", bytes(range(256)) * 9, "is not a table of text"),
        ("a.xlsx", b"PK\x03\x04zz", "cannot be read as a table"),
        ("a.parquet", b"not parquet", "cannot be read as a table"),
        (
            "a.csv",
            b"image,likes\na.jpg,1,250\nb.jpg,2,250\n",
            "row 1 has 3 cells and the header 2: put a cell",
        ),
        ("a.csv", b"image,likes,likes\na.jpg,1,2\n", "has two columns 'likes'"),
        ("a.csv", b'image,text\na.jpg,"open\nb.jpg,x\n', "has a quote that is never closed (opened in row 1"),
    ],
)
def test_what_is_no_table_is_told_in_one_sentence(tmp_path, name, content, sentence):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SelfieError) as error:
        read_table(tmp_path / name)
    told = str(error.value)
    assert told.startswith(str(tmp_path / name)) and sentence in told and "\n" not in told


@pytest.mark.parametrize("inside", [{"mimetype": "application/vnd.oasis"}, {"posts.csv": "image,likes\n"}])
def test_what_is_packed_as_excel_packs_and_is_none_says_what_to_do(tmp_path, inside):
    with zipfile.ZipFile(tmp_path / "a.ods", "w") as archive:
        for name, content in inside.items():
            archive.writestr(name, content)
    with pytest.raises(
        SelfieError, match=r"a\.ods is packed, and no Excel file: unpack it, or save it as \.xlsx"
    ):
        read_table(tmp_path / "a.ods")


@pytest.mark.parametrize("sign", ["\ufeff", "\u200b", "\u200e", "\u202a", "\u2060", "\xa0", "\u3000"])
def test_signs_that_nobody_sees_are_left_out_round_cells(tmp_path, sign):
    """Files put together have a mark of UTF-8 in their middle; a name with one would be another user."""
    text = f"{sign}{sign}image,user_id{sign}\n{sign}a.jpg,anna{sign}\nb.jpg,anna\nc.jpg,👩\u200d🎤\n"
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    table, _ = read_table(tmp_path / "a.csv")
    assert list(table) == ["image", "user_id"]
    assert cells(table) == [["a.jpg", "anna"], ["b.jpg", "anna"], ["c.jpg", "👩\u200d🎤"]]


@pytest.mark.parametrize("above", ["\n", "\r\n\r\n", ",,\n", " \n,\t,\n", "\ufeff\n", ""])
def test_empty_lines_above_a_table_are_no_rows(tmp_path, above):
    (tmp_path / "a.csv").write_text(f"{above}image,likes\na.jpg,1\nb.jpg,2\n", encoding="utf-8", newline="")
    table, notes = read_table(tmp_path / "a.csv")
    assert (list(table), cells(table), notes) == (["image", "likes"], [["a.jpg", "1"], ["b.jpg", "2"]], [])


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("titles", [["My export"], ["# by a tool", ""], ["Export;", "of 2015;;", ";"]])
def test_titles_above_a_table_are_none_of_its_rows(tmp_path, separator, titles):
    rows = [*titles, "image;likes", "a.jpg;1", "b.jpg;2"]
    (tmp_path / "a.csv").write_text("\n".join(rows).replace(";", separator))
    table, notes = read_table(tmp_path / "a.csv")
    assert (list(table), cells(table)) == (["image", "likes"], [["a.jpg", "1"], ["b.jpg", "2"]])
    assert notes[0] == f"The table begins in line {len(titles) + 1}, which names its columns."


@pytest.mark.parametrize("title", ["My selfies, 2015, of me", "# exported, by a tool", "#"])
@pytest.mark.parametrize("name", ["image", "Image", "file"])
def test_titles_may_hold_commas_and_photos_another_name(tmp_path, title, name):
    (tmp_path / "a.csv").write_text(f"{title}\n\n{name};likes\na.jpg;1\nb.jpg;2\n")
    table, notes = read_table(tmp_path / "a.csv", name)
    assert (list(table), cells(table)) == ([name, "likes"], [["a.jpg", "1"], ["b.jpg", "2"]])
    assert notes[0] == "The table begins in line 3, which names its columns."


def test_a_row_of_names_may_be_marked_as_a_remark(tmp_path):
    np.savetxt(tmp_path / "a.csv", [["a.jpg", "1"]], "%s", ",", header="image,likes")
    table, _ = read_table(tmp_path / "a.csv")
    assert (list(table), cells(table)) == (["image", "likes"], [["a.jpg", "1"]])


def test_blanks_may_stand_before_quotes(tmp_path):
    rows = [f'{i}.jpg, "so, what", {i}\n' for i in range(9)]
    (tmp_path / "a.csv").write_text("image, text, likes\n" + "".join(rows))
    table, _ = read_table(tmp_path / "a.csv")
    assert cells(table) == [[f"{i}.jpg", "so, what", str(i)] for i in range(9)]


@pytest.mark.parametrize("text", ["007", "123456789012345678", "1,250", "", "a b", '="'])
def test_a_text_that_is_kept_from_being_a_number_is_that_text(tmp_path, text):
    quoted = f'="{text}"'.replace('"', '""')
    (tmp_path / "a.csv").write_text(f'image,id\na.jpg,"{quoted}"\nb.jpg,7\n')
    assert cells(read_table(tmp_path / "a.csv")[0]) == [["a.jpg", text or None], ["b.jpg", "7"]]


@pytest.mark.parametrize("at", [0, 70_000])  # in the part that the form is judged by, and below
def test_a_letter_cut_in_two_changes_no_other_cell(tmp_path, at):
    rows = [f"{i}.jpg,Jürgen {i},Grüße aus Köln\n".encode() for i in range(100)]
    rows.append(b"z" * at + b".jpg,anna,\nx.jpg,Z\xc3,Gr\xc3\xbc\ny.jpg,Z\xe2\x82,x\n")
    (tmp_path / "a.csv").write_bytes(b"image,user_id,text\n" + b"".join(rows))
    table, notes = read_table(tmp_path / "a.csv")
    assert cells(table)[:100] == [[f"{i}.jpg", f"Jürgen {i}", "Grüße aus Köln"] for i in range(100)]
    assert cells(table)[101:] == [["x.jpg", "Z\\xc3", "Grü"], ["y.jpg", "Z\\xe2\\x82", "x"]]
    assert notes == [
        "The table is UTF-8 but for some bytes, as of letters cut in two: they are read as \\xff."
    ]


def test_some_zeros_in_a_text_are_passed_over(tmp_path):
    rows = "".join(f"{i}.jpg,{i}\n" for i in range(100))
    (tmp_path / "a.csv").write_text(f"image,likes\na.jpg\0,7\n{rows}" + "\0" * 5000)
    found = cells(read_table(tmp_path / "a.csv")[0])
    assert found[0] == ["a.jpg", "7"] and found[100] == ["99.jpg", "99"] and found[101:] == [[None, None]]


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_its_mark_is_known_in_any_script(tmp_path, encoding):
    text = "自撮り写真です" * 20
    (tmp_path / "a.csv").write_bytes(f"image,text\na.jpg,{text}\nb.jpg,{text}\n".encode(encoding))
    table, notes = read_table(tmp_path / "a.csv")
    assert cells(table) == [["a.jpg", text], ["b.jpg", text]] and notes[0].startswith(
        f"The table is read as {encoding}"
    )


def test_a_kind_of_post_called_image_names_no_columns(tmp_path):
    (tmp_path / "a.csv").write_text("file,type\na.jpg,image\nb.jpg,image\n")
    assert cells(read_table(tmp_path / "a.csv")[0]) == [["a.jpg", "image"], ["b.jpg", "image"]]


def test_the_names_that_pandas_keeps_beside_a_table_are_a_column(tmp_path):
    table = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "likes": [1, 2]})
    table.set_index("image").to_parquet(tmp_path / "a.parquet")
    pd.testing.assert_frame_equal(read_table(tmp_path / "a.parquet")[0], table)


@pytest.mark.parametrize("at", [0, 1, 3, 150, 299])
@pytest.mark.parametrize("separator", [",", ";", "\t", " "])
def test_a_row_with_more_cells_than_columns_is_refused_wherever_it_stands(tmp_path, separator, at):
    """1,250 without quotes is neither one like nor 250 of them, and a caption is not cut at its comma."""
    rows = [["image", "likes", "followers"], *([f"{i}.jpg", "7", "100"] for i in range(300))]
    rows[at + 1] = [f"{at}.jpg", "1", "250", "100"]
    (tmp_path / "a.txt").write_text("".join(separator.join(row) + "\n" for row in rows))
    with pytest.raises(SelfieError, match=rf"(of {at}\.jpg|line {at + 2} has 4 cells, not 3): put"):
        read_table(tmp_path / "a.txt")


@pytest.mark.parametrize("separator", [" ", "\t"])
def test_a_photo_is_not_given_a_second_column_where_each_row_has_a_cell_too_many(tmp_path, separator):
    rows = [["image", "likes", "followers"], ["a.jpg", "1", "250", "7"], ["b.jpg", "2", "250", "7"]]
    (tmp_path / "a.txt").write_text("".join(separator.join(row) + "\n" for row in rows))
    with pytest.raises(SelfieError, match="row 1 has 4 cells and the header 3: put a cell that holds a"):
        read_table(tmp_path / "a.txt")
    rows = [["image", "likes"], ["1", "a.jpg", "7"], ["2", "b.jpg", "8"]]  # as R numbers its rows
    (tmp_path / "a.txt").write_text("".join(separator.join(row) + "\n" for row in rows))
    assert list(read_table(tmp_path / "a.txt")[0]) == ["row", "image", "likes"]


@pytest.mark.parametrize("more", [(1, 0, 0), (0, 2, 1), (2, 2, 2)])
def test_empty_cells_beyond_the_columns_are_none(tmp_path, more):
    rows = [f"{i}.jpg,{i}{',' * n}\n" for i, n in enumerate(more)]
    (tmp_path / "a.csv").write_text("image,likes\n" + "".join(rows))
    table, _ = read_table(tmp_path / "a.csv")
    assert cells(table[["image", "likes"]]) == [["0.jpg", "0"], ["1.jpg", "1"], ["2.jpg", "2"]]


def test_excel_is_read_as_text_with_long_numbers_marked(tmp_path):
    pytest.importorskip("openpyxl")
    table = pd.DataFrame(
        {
            "image": ["a.jpg", "b.jpg"],
            "id": ["007", 123456789012345678],
            "likes": [1250, "1,250"],
            "w": [0.5, None],
        }
    )
    with pd.ExcelWriter(tmp_path / "posts.XLSX", engine="openpyxl") as book:
        table.assign(day=pd.Timestamp("2021-02-03 10:00")).to_excel(book, index=False, sheet_name="Posts")
        table.to_excel(book, sheet_name="other")
    found, notes = read_table(tmp_path / "posts.XLSX")
    assert cells(found) == [
        ["a.jpg", "007", "1250", "0.5", "2021-02-03T10:00:00"],
        ["b.jpg", "1.23456789012346E+17", "1,250", None, "2021-02-03T10:00:00"],
    ]
    assert notes == ["The table is the first of 2 sheets, Posts."]


def workbook(path, **sheets):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


@pytest.mark.parametrize("name", ["image", "file"])
@pytest.mark.parametrize("first", [[], [["About"], ["made by me"]], [["key", "value"], ["a", 1]]])
def test_of_several_sheets_the_first_that_names_the_photos_is_read(tmp_path, first, name):
    posts = [["My posts"], [], [name, "likes"], ["a.jpg", 1]]
    path = workbook(tmp_path / "a.xlsx", notes=first, posts=posts, more=[[name, "likes"], ["b.jpg", 2]])
    table, notes = read_table(path, name)
    assert (list(table), cells(table)) == ([name, "likes"], [["a.jpg", "1"]])
    assert notes == ["The table is number 2 of 3 sheets, posts."]


def test_formulas_that_nobody_has_worked_out_are_told(tmp_path):
    rows = [[f"{i}.jpg", f"=1+{i}", None] for i in range(3)]
    path = workbook(tmp_path / "a.xlsx", posts=[["My posts"], ["image", "likes", "empty"], *rows])
    with pytest.raises(
        SelfieError, match=r"column likes holds formulas without their values: open the file in"
    ):
        read_table(path)
    path = workbook(tmp_path / "b.xlsx", posts=[["image", "empty"], *([row[0], None] for row in rows)])
    assert cells(read_table(path)[0]) == [[f"{i}.jpg", None] for i in range(3)]  # an empty column is none


def test_excel_without_its_package_says_what_to_install(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "openpyxl":
            raise ImportError
        return real(name, *arguments, **options)

    (tmp_path / "posts.xlsx").write_bytes(b"PK\x03\x04")
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(SelfieError, match=r"Excel file: pip install 'selfie-suite\[xlsx\]' to read it"):
        read_table(tmp_path / "posts.xlsx")


@pytest.mark.parametrize(
    ("texts", "values"),
    [
        (["1", "12", None], [1, 12, None]),
        (["-1", "1"], [-1, 1]),
        (["1.5", "2.25"], [1.5, 2.25]),
        (["True", "false"], [True, False]),
        (["007", "12"], ["007", "12"]),
        (["12.000", "7"], ["12.000", "7"]),
        (["1e3", "2"], ["1e3", "2"]),
        (["nan", "1.5"], ["nan", "1.5"]),
        (["123456789012345678", None], [123456789012345678, None]),
        (["99999999999999999999"], ["99999999999999999999"]),
        (["None", "NA"], ["None", "NA"]),
    ],
)
def test_text_becomes_numbers_only_where_nothing_is_lost(texts, values):
    column = plain_types(pd.Series(texts, dtype="str"))
    assert [None if pd.isna(value) else value for value in column] == values


def test_an_encoding_is_told_by_its_mark_first(tmp_path):
    for encoding in ("utf-8-sig", "utf-16"):
        assert encoding_of(write(tmp_path / "a.csv", encoding=encoding)) == encoding
    assert encoding_of(write(tmp_path / "a.csv")) == "utf-8"
