"""What notebooks declare to read and write: the order follows from it, and they touch nothing else."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from toy_project import write_notebook

from selfie_utils.core.artefacts import (
    DECLARED,
    Artefacts,
    artefacts_of,
    maker_of,
    only,
    readers_after_writers,
    upstream,
)
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder

CHAIN = {
    "00_data": Artefacts((), ("posts", "labels")),
    "01_train": Artefacts(("labels",), ("scores", "network")),
    "02_gallery": Artefacts(("posts", "scores"), ()),
    "08_choices": Artefacts(("posts",), ("choices",)),
}


def test_upstream_are_the_notebooks_that_write_what_another_reads():
    assert {name: upstream(name, CHAIN) for name in CHAIN} == {
        "00_data": (), "01_train": ("00_data",), "02_gallery": ("00_data", "01_train"),
        "08_choices": ("00_data",),
    }  # fmt: skip
    again = CHAIN | {"08_choices": Artefacts(("posts", "choices"), ("choices",))}
    assert upstream("08_choices", again) == ("00_data",)  # what it goes on with itself is its own affair


def test_readers_come_after_writers_and_others_stay_as_they_are_given():
    assert readers_after_writers(CHAIN) == list(CHAIN)
    backwards = dict(reversed(CHAIN.items()))
    assert readers_after_writers(backwards) == ["00_data", "08_choices", "01_train", "02_gallery"]
    apart = {name: Artefacts(writes=(name,)) for name in ("b", "c", "a")}
    assert readers_after_writers(apart) == ["b", "c", "a"]
    assert readers_after_writers({}) == []


def test_notebooks_that_wait_for_each_other_are_told():
    circle = {"a": Artefacts((), ("x",)), "b": Artefacts(("z",), ("y",)), "c": Artefacts(("y",), ("z",))}
    with pytest.raises(SelfieError, match=r"^b, c read what each other write: fix their metadata\.$"):
        readers_after_writers(circle)
    own = {"a": Artefacts(("x",), ("x",))}
    assert readers_after_writers(own) == ["a"]


def test_a_notebook_tells_what_it_reads_and_writes(tmp_path):
    notebook = write_notebook(tmp_path / "01_train.ipynb", "1")
    assert artefacts_of(notebook) == Artefacts(("posts.parquet",), ("scores.parquet",))
    for told, found in (
        ({}, Artefacts()),
        ({"selfie": {}}, Artefacts()),
        ({"selfie": {"reads": ["a"]}}, Artefacts(("a",), ())),
        ({"selfie": {"writes": ["b", "c"]}}, Artefacts((), ("b", "c"))),
    ):
        notebook.write_text(json.dumps({"cells": [], "metadata": told}))
        assert artefacts_of(notebook) == found


@pytest.mark.parametrize(
    "text", [None, "{", "[]", "3", "{}", '{"metadata": []}', '{"metadata": {"selfie": {"reads": 3}}}']
)
def test_a_notebook_that_is_none_is_told(tmp_path, text):
    if text is not None:
        (tmp_path / "a.ipynb").write_text(text)
    with pytest.raises(SelfieError, match=r"a\.ipynb cannot be read as a notebook: restore the file\.$"):
        artefacts_of(tmp_path / "a.ipynb")


def test_who_makes_an_artefact_is_read_from_the_notebooks(tmp_path):
    for name in ("00_data", "01_train", "02_gallery", "notes"):
        write_notebook(tmp_path / f"{name}.ipynb", "1")
    assert maker_of("scores.parquet", tmp_path) == "01_train"
    assert maker_of("posts.parquet", tmp_path) == "00_data"
    assert maker_of("else.parquet", tmp_path) == "00_data"  # with it everything begins
    assert maker_of("scores.parquet", tmp_path / "nowhere") == "00_data"


READS, WRITES = ("scores.parquet", "data.json", "network/network.json"), ("map.parquet", "more.json")


@pytest.fixture
def run(tmp_path):
    """A run folder in which everything is, and a notebook that runs and declares some of it."""
    table = pd.DataFrame({"post_id": ["a"]})
    for name in ("scores", "labels", "map", "truth"):
        table.to_parquet(tmp_path / f"{name}.parquet")
    (tmp_path / "network").mkdir()
    for name in ("data", "more", "facts", "network/network"):
        (tmp_path / f"{name}.json").write_text("{}")
    np.save(tmp_path / "features.npy", np.zeros((1, 2), np.float32))
    with only(Artefacts(READS, WRITES)):
        yield RunFolder(tmp_path)


TABLE = pd.DataFrame({"post_id": ["a", "b"]})


def test_what_is_declared_may_be_touched(run):
    assert run.place("scores.parquet") == run.need("scores.parquet") == run.root / "scores.parquet"
    assert len(run.read_table("scores")) == len(run.read_table("map")) == 1
    assert run.read_json("data") == run.read_json("network/network") == {}
    run.write_table("map", TABLE)
    run.write_json("more", {"seed": 1})
    assert len(run.read_table("map")) == 2 and run.read_json("more") == {"seed": 1}
    run.write_metrics("06_tsne", {"kept": 1.0})  # which every notebook has
    assert run.read_metrics() == {"06_tsne": {"kept": 1.0}}


@pytest.mark.parametrize(
    ("touch", "name"),
    [
        (lambda run: run.place("labels.parquet"), "labels.parquet"),
        (lambda run: run.place("not_there.parquet"), "not_there.parquet"),
        (lambda run: run.need("labels.parquet"), "labels.parquet"),
        (lambda run: run.need("not_there.parquet"), "not_there.parquet"),
        (lambda run: run.read_table("labels"), "labels.parquet"),
        (lambda run: run.read_json("facts"), "facts.json"),
        (lambda run: run.read_features(), "features.npy"),
        (lambda run: run.read_truth(), "truth.parquet"),
        (lambda run: run.place("network"), "network"),
        (lambda run: run.write_table("labels", TABLE), "labels.parquet"),
        (lambda run: run.write_json("facts", {"a": 1}), "facts.json"),
        (lambda run: run.write_table("new", TABLE), "new.parquet"),
        (lambda run: run.write_table("scores", TABLE), "scores.parquet"),  # declared to be read
        (lambda run: run.write_json("data", {"a": 1}), "data.json"),
    ],
)
def test_touching_anything_else_is_one_sentence_that_names_it_and_nothing_is_written(run, touch, name):
    before = {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()}
    with pytest.raises(SelfieError) as error:
        touch(run)
    told = str(error.value)
    assert told.startswith("This notebook ") and f" {name} of the run folder" in told
    assert '"writes"' in told and "\n" not in told and told.count(". ") == 0
    assert {path: path.read_bytes() for path in run.root.rglob("*") if path.is_file()} == before


def test_outside_a_run_of_notebooks_anything_may_be_touched(tmp_path, monkeypatch):
    monkeypatch.delenv(DECLARED, raising=False)
    with only(Artefacts()):
        pass
    run = RunFolder(tmp_path)
    run.write_table("anything", TABLE)
    assert len(run.read_table("anything")) == 2 and DECLARED not in os.environ


def test_what_held_before_holds_again_afterwards(tmp_path):
    run = RunFolder(tmp_path)
    with only(Artefacts(("a",))):
        with pytest.raises(KeyError), only(Artefacts(("b",))):
            assert run.place("b")
            with pytest.raises(SelfieError):
                run.place("a")
            raise KeyError
        assert run.place("a")
        with pytest.raises(SelfieError):
            run.place("b")
    assert run.place("b")
