"""Picks by hand: written at once and whole, merged between processes, and compared with an annotation."""

import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from selfie_utils.analysis import picks
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run

MANY = """
import sys
from selfie_utils.analysis.picks import change_picks
from selfie_utils.core.run_folder import create_run
run = create_run(sys.argv[1])
for i in range(8):
    change_picks(run, [f"{sys.argv[2]}{i}"], [f"{sys.argv[2]}{i - 1}"] if i % 2 else [])
"""


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path / "run")


def test_what_is_picked_is_on_disk_and_what_is_dropped_is_not(run):
    assert picks.read_picks(run) == []
    assert picks.change_picks(run, ["b", "a", "b"]) == ["b", "a"]
    assert picks.change_picks(run, ["c", "a"], ["b"]) == ["a", "c"]
    table = pd.read_parquet(run.root / "picks.parquet")
    assert table["post_id"].tolist() == picks.read_picks(run) == ["a", "c"]
    assert table["picked_at"].is_monotonic_increasing and str(table["picked_at"].dt.tz) == "UTC"
    assert picks.change_picks(run, (), ["a", "c", "never"]) == [] == picks.read_picks(run)


def test_two_processes_that_pick_at_once_lose_nothing(run):
    """Each picks eight, and every second time drops the one before."""
    command = [sys.executable, "-c", MANY, str(run.root)]
    with ThreadPoolExecutor() as pool:
        done = [*pool.map(lambda who: subprocess.run([*command, who], capture_output=True), "xy")]
    assert [one.returncode for one in done] == [0, 0], done[0].stderr
    assert sorted(picks.read_picks(run)) == sorted(f"{who}{i}" for who in "xy" for i in range(1, 8, 2))
    assert [path.name for path in run.root.iterdir() if "part" in path.name] == []


def test_a_file_that_holds_no_picks_is_told_and_left_alone(run):
    (run.root / "picks.parquet").write_text("no table")
    for ask in (picks.read_picks, lambda run: picks.change_picks(run, ["a"])):
        with pytest.raises(SelfieError, match=r"picks\.parquet holds no picks .*remove it, and pick again"):
            ask(run)
    assert (run.root / "picks.parquet").read_text() == "no table"


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("a\nb c\n\n", ["a", "b c"]),
        ("post_id\nholiday/IMG 1.jpg\np,2\n", ["holiday/IMG 1.jpg", "p,2"]),
        ('post_id\n"a, ""b"""\n"""c"\n', ['a, "b"', '"c']),
        ("", []),
        ("post_id\n1\n2\n", ["1", "2"]),
        ("\ufeffscore,post_id\r\n0.5,007\r\n0.4,\r\n", ["007"]),
        ('post_id,note\n"a,b","=SUM(1)"\n', ["a,b"]),
    ],
)
def test_ids_are_read_from_lines_and_from_a_table(tmp_path, text, ids):
    (tmp_path / "ids.csv").write_text(text, newline="")
    assert picks.ids_in(tmp_path / "ids.csv") == ids


# Ids with blanks, separators and quotes inside; of öö alone nobody could tell in which old encoding it is.
IDS = st.text('ab1ö \\,;|\t"#/@', min_size=1, max_size=8).map(lambda one: f"p{one}q".replace("öö", "öa"))


@settings(max_examples=60, deadline=None)
@given(st.lists(IDS, min_size=1, max_size=5), st.sampled_from([*";,|\t"]), st.sampled_from([0, 1]), st.data())
def test_ids_of_any_signs_are_read_from_any_table_and_from_lines(ids, separator, quoting, data):
    encoding = data.draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]))
    end = data.draw(st.sampled_from(["\n", "\r\n"]))
    columns = data.draw(st.permutations(["post_id", "x", "y"]))
    table = pd.DataFrame({"post_id": ids, "x": "0.5", "y": "z"})[columns]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "ids.csv")
        told = table.to_csv(sep=separator, index=False, quoting=quoting, lineterminator=end)
        path.write_bytes(told.encode(encoding))
        assert picks.ids_in(path) == ids
        path.write_bytes(end.join(ids).encode(encoding))
        assert picks.ids_in(path) == ids


def test_ids_are_read_from_parquet_and_a_table_without_them_is_told(run):
    picks.change_picks(run, ["b c", "a"])
    assert picks.ids_in(run.root / "picks.parquet") == ["b c", "a"]
    pd.DataFrame({"id": [1]}).to_parquet(run.root / "other.parquet")
    with pytest.raises(
        SelfieError, match=r"other\.parquet has no column post_id: name the one of the ids so"
    ):
        picks.ids_in(run.root / "other.parquet")


BEST = pd.DataFrame({"post_id": list("abcdefg")})


def flags(*values):
    return pd.Series(values, dtype="boolean")


def test_the_sheet_shows_picks_or_else_those_annotated(run):
    said = flags(True, False, pd.NA, True, False, False, False)
    assert picks.among(BEST, ["z", "f", "b"]) == ["b", "f"]
    assert picks.choose(BEST, ["b", "f"], said)["post_id"].tolist() == ["b", "f"]
    assert picks.choose(BEST, [], said)["post_id"].tolist() == ["a", "d"]


def test_agreement_counts_down_to_the_last_pick_and_leaves_unknown_out():
    said = flags(True, False, pd.NA, True, False, True, True)
    found = picks.agreement(BEST, ["a", "e"], said)  # a and b agree, d and e don't; f and g were not seen
    assert (found["share"], found["known"], found["kappa"]) == (0.5, 4, 0.0)


def test_kappa_is_cohen_s_and_its_interval_holds_it_and_covers_as_often_as_it_says():
    rng, hits = np.random.default_rng(0), 0
    best = pd.DataFrame({"post_id": [str(i) for i in range(300)]})
    for draw in range(60):
        word = rng.random(300) < 0.4
        hand = np.where(rng.random(300) < 0.15, ~word, word)
        hand[-1] = True
        found = picks.agreement(best, best["post_id"][hand].tolist(), flags(*word), seed=draw)
        assert found["kappa"] == pytest.approx(cohen_kappa_score(hand, word))
        assert found["kappa_low"] < found["kappa"] < found["kappa_high"]
        hits += found["kappa_low"] < 0.694 < found["kappa_high"]  # (0.85 - 0.51) / 0.49, by the marginals
    assert hits >= 50  # of 60; 57 are expected


def test_agreement_is_told_in_words_also_where_nothing_can_be_compared():
    said = flags(True, False, False, True, False, False, True)
    told = picks.agreement_in_words(picks.agreement(BEST, ["a", "d"], said), 2)
    assert "**2** posts are picked by hand" in told and "100% of 4" in told and "kappa **1.00**" in told
    assert picks.agreement_in_words(picks.agreement(BEST, [], said), 0) == "Nobody has picked by hand yet."
    unknown = picks.agreement(BEST, ["b"], flags(*[pd.NA] * 7))
    assert "it says nothing of the posts" in picks.agreement_in_words(unknown, 1)
    same = picks.agreement(BEST, ["a", "b"], flags(*[True] * 7))
    assert "kappa is unknown" in picks.agreement_in_words(same, 2)
