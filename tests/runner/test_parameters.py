"""Parameter files: what each notebook is given, and wrong ones told in one sentence."""

import datetime
from pathlib import Path

import pytest
from toy_project import write_notebook

from selfie_utils.core.errors import SelfieError, did_you_mean
from selfie_utils.runner.parameters import (
    ParameterFile,
    assign_parameters,
    declared_parameters,
    find_notebooks,
    find_parameter_file,
    full_name,
    read_parameter_file,
    read_settings,
)

SHIPPED = Path(__file__).parents[2] / "notebooks/parameters"
NAMES = ["00_data", "01_train", "02_gallery", "10_crop"]
DECLARED = {
    "00_data": {"run_dir": "runs/demo", "data": "demo", "seed": 0},
    "01_train": {"run_dir": "runs/demo", "seed": 0, "rate": 0.5},
    "02_gallery": {"rows": 2},
}


def asked(tmp_path, text):
    file = tmp_path / "p.yaml"
    file.write_text(text, encoding="utf-8")
    return read_parameter_file(file)


def test_a_parameter_file_is_one_here_or_one_of_the_notebooks(tmp_path, monkeypatch):
    project, below = tmp_path / "project", tmp_path / "project/notebooks/parameters"
    below.mkdir(parents=True)
    for name in ("demo.yaml", "mine.yaml"):
        (below / name).write_text("")
    name = Path("notebooks/parameters/mine.yaml")
    monkeypatch.chdir(below)
    assert find_parameter_file(None) == below / "demo.yaml"
    assert find_parameter_file(Path("mine.yaml")) == Path("mine.yaml")
    assert find_parameter_file(name) == below / "mine.yaml" == find_parameter_file(below / "mine.yaml")
    assert find_parameter_file(Path("nowhere.yaml")) == Path("nowhere.yaml")  # as typed, for the error
    monkeypatch.chdir(project)
    assert find_parameter_file(name) == name
    monkeypatch.chdir(tmp_path)  # nobody's folder: what came with the library
    assert find_parameter_file(None).read_bytes() == (SHIPPED / "demo.yaml").read_bytes()
    assert (
        find_parameter_file(SHIPPED.relative_to(SHIPPED.parents[1]) / "smoke.yaml") == SHIPPED / "smoke.yaml"
    )


def told(tmp_path, text, sentence):
    with pytest.raises(SelfieError, match=sentence) as error:
        asked(tmp_path, text)
    assert "\n" not in str(error.value)


def test_notebooks_are_found_in_the_order_of_their_numbers(tmp_path):
    for name in ("10_b", "02_c", "00_z", "1_x", "notes", "aa_b"):
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb")
    (tmp_path / "notebooks" / "03_text.txt").write_text("")
    found = find_notebooks(tmp_path)
    assert list(found) == ["00_z", "02_c", "10_b"]
    assert found["02_c"] == tmp_path / "notebooks" / "02_c.ipynb"
    with pytest.raises(
        SelfieError, match=f"no notebooks in {tmp_path / 'elsewhere' / 'notebooks'}: run this"
    ):
        find_notebooks(tmp_path / "elsewhere")


@pytest.mark.parametrize(
    "name", ["02_gallery", "02", "2", 2, "02_gallery.ipynb", "notebooks/02_gallery.ipynb"]
)
def test_a_notebook_may_be_meant_by_name_number_or_path(name):
    assert full_name(name, NAMES) == "02_gallery"


@pytest.mark.parametrize("name", ["gallery", "02_gal", "1_train", "3", "", "100"])
def test_any_other_name_is_refused(name):
    with pytest.raises(
        SelfieError, match=f"no notebook {name}: expected one of 00_data, 01_train, 02_gallery"
    ):
        full_name(name, NAMES)


def test_a_number_that_two_notebooks_bear_names_neither():
    with pytest.raises(SelfieError, match="no notebook 02"):
        full_name("02", [*NAMES, "02_other"])


def test_a_hint_is_the_nearest_word_or_all_there_are():
    assert did_you_mean("rosw", ["seed", "rows", "columns"]) == "did you mean 'rows'?"
    assert did_you_mean("xyz", ["seed", "rows"]) == "it knows rows, seed."
    assert did_you_mean("xyz", []) == "it knows none."


def test_a_file_says_everything_and_one_that_says_nothing_means_the_demo(tmp_path):
    whole = asked(
        tmp_path,
        "run_dir: runs/x\nall: {seed: 3}\nnotebooks: {02: {rows: 5}, 00_data: null}\n"
        "leave_out: [09_experiments, 10]\ncell_timeout: 1\n",
    )
    assert whole == ParameterFile(
        tmp_path / "p.yaml", "runs/x", {"seed": 3}, {"02": {"rows": 5}, "00_data": None},
        ("09_experiments", 10), 1,
    )  # fmt: skip
    for text in ("", "run_dir:\nall:\nnotebooks:\nleave_out:\ncell_timeout:\n"):
        empty = asked(tmp_path, text)
        assert empty == ParameterFile(tmp_path / "p.yaml", "runs/demo", {}, {}, (), 86_400)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("run_dir: 3", "key run_dir: got 3, expected the path of a folder"),
        ("leave_out: 7", "key leave_out: got 7, expected a list of notebooks"),
        ("leave_out: {09: x}", "expected a list of notebooks"),
        ("cell_timeout: 1.5", "key cell_timeout: got 1.5, expected a whole number of seconds"),
        ("cell_timeout: '60'", "expected a whole number of seconds"),
        ("cell_timeout: true", "key cell_timeout: got True, expected a whole number of seconds"),
        ("cell_timeout: 0", "key cell_timeout: got 0, expected a whole number of seconds, 1 or more"),
        ("cell_timeout: -1", "1 or more"),
        ("all: [1]", r"key all: got \[1\], expected names with their values"),
        ("notebooks: many", "key notebooks: got 'many', expected names with their values"),
        ("notebooks: {02: [rows]}", "key notebooks: got .*, expected names with their values"),
        ("run_dri: x", "p.yaml has an unknown key 'run_dri': did you mean 'run_dir'"),
        ("7: x", "unknown key '7'"),
        (
            "just words",
            "p.yaml holds str, expected the keys run_dir, all, notebooks, leave_out, cell_timeout",
        ),
        ("a: [1", "p.yaml is not readable YAML"),
        ("[" * 3000, "p.yaml is not readable YAML"),
        ("all: {seed: 1}\nrun_dir: x\nall: {rate: 2}", r"found the key all twice in .*line 3"),
        ("notebooks:\n  00_data: {seed: 1}\n  00_data: {data: x}", "found the key 00_data twice"),
        ("all: {seed: 1, 'seed': 2}", "found the key seed twice"),
    ],
)
def test_sections_that_are_unknown_or_of_the_wrong_kind_are_refused(tmp_path, text, sentence):
    told(tmp_path, text, sentence)


def test_files_that_are_none_are_refused(tmp_path):
    for path in (tmp_path / "no.yaml", tmp_path):
        with pytest.raises(SelfieError, match=f"There is no parameter file {path}: give the path"):
            read_parameter_file(path)
    (tmp_path / "wide.yaml").write_text("run_dir: Äpfel", encoding="utf-16")
    assert read_parameter_file(tmp_path / "wide.yaml").run_dir == "Äpfel"
    (tmp_path / "latin.yaml").write_bytes("run_dir: Äpfel".encode("latin-1"))
    with pytest.raises(SelfieError, match="not readable YAML"):
        read_parameter_file(tmp_path / "latin.yaml")


def test_what_a_notebook_declares_is_read_with_its_defaults(tmp_path):
    source = 'rate = 0.5  # per step\nrows: int = 3\nname = "a"\nsome = [1, 2]\non = True\n'
    source += "not_plain = 3 * 4\nno = None"
    found = declared_parameters(write_notebook(tmp_path / "a.ipynb", parameters=source))
    assert found == {
        "rate": 0.5, "rows": 3, "name": "a", "some": [1, 2], "on": True, "not_plain": None, "no": None,
    }  # fmt: skip
    assert [type(found[name]) for name in ("rate", "rows", "on")] == [float, int, bool]
    (tmp_path / "b.ipynb").write_text("{")
    with pytest.raises(SelfieError, match=r"b\.ipynb cannot be read as a notebook \(.*\): restore the file"):
        declared_parameters(tmp_path / "b.ipynb")


def test_a_notebook_is_given_what_is_said_of_it_and_what_is_said_of_all(tmp_path):
    file = asked(
        tmp_path, "run_dir: runs/x\nall: {seed: 3, rate: 1}\nnotebooks: {1: {seed: 4}, 02_gallery: {rows: 9}}"
    )
    given = assign_parameters(file, DECLARED)
    assert given == {
        "00_data": {"seed": 3, "run_dir": "runs/x"},
        "01_train": {"seed": 4, "rate": 1, "run_dir": "runs/x"},  # its own outranks what is said of all
        "02_gallery": {"rows": 9},  # without a parameter run_dir it is given none
    }


def test_the_command_line_outranks_the_file(tmp_path):
    file = asked(tmp_path, "all: {data: a, seed: 1}\nnotebooks: {00: {data: b, seed: 2}}")
    given = assign_parameters(file, DECLARED, {"00_data": {"data": "mine"}})
    assert given["00_data"] == {"data": "mine", "seed": 2, "run_dir": "runs/demo"}
    assert given["01_train"] == {"seed": 1, "run_dir": "runs/demo"}


@pytest.mark.parametrize(
    ("text", "extra", "sentence"),
    [
        ("all: {sede: 1}", {}, r"p\.yaml, all: no notebook has a parameter 'sede': did you mean 'seed'"),
        ("notebooks: {0: {rows: 1}}", {}, "p.yaml, 00_data: the notebook has no parameter 'rows': it knows"),
        ("notebooks: {0: {run_dri: x}}", {}, "no parameter 'run_dri': it knows data, seed"),
        ("notebooks: {0: {run_dir: x}}", {}, "00_data: run_dir is one for all notebooks: set it at the top"),
        ("all: {run_dir: x}", {}, "run_dir is one for all notebooks"),
        ("notebooks: {0: {seed: 1}, 00_data: {data: x}}", {}, r"p\.yaml names notebook 00_data twice: put"),
        ("notebooks: {9: {rows: 1}}", {}, "no notebook 9: expected one of 00_data, 01_train, 02_gallery"),
        ("all: {rate: true}", {}, r"01_train, rate: got True, expected a number such as 0\.5"),
        ("all: {seed: 1.5}", {}, "00_data, seed: got 1.5, expected a whole number, 0 or more, such as 0"),
        ("", {"01_train": {"rate": "fast"}}, "01_train, rate: got 'fast', expected a number such as 0.5"),
        ("", {"01_train": {"none": 1}}, "01_train: the notebook has no parameter 'none'"),
    ],
)
def test_values_that_no_notebook_can_take_are_refused(tmp_path, text, extra, sentence):
    file = asked(tmp_path, text)
    with pytest.raises(SelfieError, match=sentence):
        assign_parameters(file, DECLARED, extra)


EVERYTHING = [
    0, 4, -1, 0.1, 2.0, True, False, "b", "", None, [], [1], ["a", 1, 0.5, True, None], [[1]], [{"a": 1}],
    {"a": 1}, {}, datetime.date(2015, 1, 1),
]  # fmt: skip


@pytest.mark.parametrize(
    ("default", "kinds", "words"),
    [
        (0.5, (int, float, type(None)), "a number such as 0.5"),
        (3, (int, type(None)), "a whole number such as 3"),
        (True, (bool, type(None)), "true or false such as True"),
        ("a", (str, type(None)), "a text such as 'a'"),
        ([1, 2], (list, type(None)), r"a list such as \[1, 2\]"),
        (None, (int, float, bool, str, type(None), list), "a plain value such as None"),
    ],
)
def test_a_value_is_of_the_kind_of_its_default_or_refused(tmp_path, default, kinds, words):
    for value in EVERYTHING:
        file = ParameterFile(tmp_path / "p.yaml", everywhere={"x": value})
        nested = isinstance(value, list) and any(isinstance(one, list | dict) for one in value)
        if type(value) in kinds and not nested:  # not isinstance: true is no number
            assert assign_parameters(file, {"00_data": {"x": default}}) == {"00_data": {"x": value}}
        else:
            with pytest.raises(SelfieError, match=rf"00_data, x: got .*, expected {words}"):
                assign_parameters(file, {"00_data": {"x": default}})


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("10", 10), ("0.5", 0.5), ("1e-4", 0.0001), ("-2E+3", -2000.0), ("true", True), ("null", None),
        ("[0.5, a]", [0.5, "a"]), ("runs/a=b", "runs/a=b"), ("'10'", "10"), ("", None), ("e-4", "e-4"),
        ("1e-4x", "1e-4x"), ("010", "010"), ("1:40", "1:40"), ("0", 0), ("-7", -7), ("+1_000", 1000),
        ("2021-02-20", "2021-02-20"), ("2021-02-30", "2021-02-30"), ("2021-2-3 4:05:06", "2021-2-3 4:05:06"),
        ("5.", 5.0), (".5e1", 5.0), (".inf", float("inf")), ("0x10", "0x10"), ("2015", 2015),
    ],
)  # fmt: skip
def test_values_that_are_set_are_read_as_in_yaml_where_1e_4_is_a_number(tmp_path, text, value):
    assert read_settings([f"00.x={text}", "02_gallery.y=1"], NAMES) == {
        "00_data": {"x": value},
        "02_gallery": {"y": 1},
    }
    (tmp_path / "p.yaml").write_text(f"all: {{x: {text}}}")
    read = read_parameter_file(tmp_path / "p.yaml").everywhere
    assert read == {"x": value} and type(read["x"]) is type(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("group_size=10", "expected NOTEBOOK.PARAMETER=VALUE such as 00_data.group_size=10"),
        ("00.group_size", "expected NOTEBOOK.PARAMETER=VALUE"),
        ("00.=3", "expected NOTEBOOK.PARAMETER=VALUE"),
        ("07.x=3", "There is no notebook 07: expected one of 00_data"),
        ("00.x=[1", "whose value is no YAML"),
    ],
)
def test_what_cannot_be_set_is_refused_in_a_sentence(text, said):
    with pytest.raises(SelfieError, match=said):
        read_settings([text], NAMES)
