"""The benchmarks run, at sizes that measure nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
UNTAUGHT = ("--weights", "random")


def run(name, *options):
    """What a benchmark prints."""
    command = [sys.executable, str(BENCHMARKS / f"{name}.py"), *options]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows_after(text, header):
    """The lines below a header: (title, numbers) of each, up to an empty one."""
    lines = text.partition(header)[2].partition("\n\n")[0].splitlines()[1:]
    cells = [re.split(r"  +", line) for line in lines]
    return [(title, [float(cell) for cell in " ".join(rest).split()]) for title, *rest in cells]


def near(value):
    return pytest.approx(value, rel=0.05, abs=0.01)


def test_the_pipeline_is_timed_against_a_plain_loop_and_its_ceiling():
    told = run("pipeline", "--photos", "128", "--size", "32", "--device", "cpu", "--rounds", "1", *UNTAUGHT)
    for title, ways in (
        ("scoring", ["plain loop", "ours, from the photos", "ours, from the pack", "network alone"]),
        (
            "training",
            ["plain loop", "ours, from the pack", "plain loop, the same layers still", "network alone"],
        ),
    ):
        rows = rows_after(told, f"\n{title} ")[:4]
        assert [name for name, _ in rows] == ways
        plain, ceiling = rows[0][1][0], rows[-1][1][0]
        for _, (rate, times_plain, of_ceiling) in rows:
            assert rate > 0 and times_plain == near(rate / plain) and of_ceiling == near(rate / ceiling)


def test_many_crops_in_one_call_are_timed_against_a_call_per_crop():
    rows = rows_after(
        run("scorer", "--crops", "12", "--size", "32", "--device", "cpu", *UNTAUGHT), "photos/s"
    )
    ways = ["a call per crop", "one call, the first", "one call, the second", "one photo, once loaded"]
    assert [name for name, _ in rows] == ways and rows[0][1][1] == 1
    for _, (rate, times, milliseconds) in rows:
        assert rate > 0 and times == near(rate / rows[0][1][0]) and milliseconds == near(1000 / rate)


def test_ways_to_wait_are_timed_alone_next_to_a_busy_process_and_two_at_once():
    told = run("waiting", "--seconds", "0.1", "--size", "32", "--settings", "passive", *UNTAUGHT)
    rows = rows_after(told, "alone ")
    assert [name for name, _ in rows] == ["passive"]
    usual = rows[0][1][0]
    for _, numbers in rows:
        assert len(numbers) == 6 and min(numbers) > 0
        assert all(
            share == near(rate / usual) for rate, share in zip(numbers[::2], numbers[1::2], strict=True)
        )


def test_an_edit_is_found_in_photos_that_did_not_show_it_before():
    told = run("attributes", "--photos", "12").splitlines()
    rows = [[int(share) for share in re.findall(r"(\d+)%", line.split("  ", 1)[1])] for line in told[3:]]
    assert len(rows) == 7 and all(len(row) in (5, 6) for row in rows)  # "border of 6%" is the sixth
    for after, before, *harmless in (row[-5:] for row in rows):
        assert after >= 80 and before < 50
        assert max(abs(share - before) for share in harmless) <= 20


def test_a_page_of_the_map_is_measured_at_every_zoom_in_every_state():
    told = run("map_page", "--posts", "450", "--frames", "2")
    assert re.match(r"450 posts: \d\.\d MB, made in", told) and "requests: 0" in told
    rows = [line.split() for line in told.partition(" ms\n")[2].partition("\n\n")[0].splitlines()]
    assert [row[:2] for row in rows[::7]] == [
        [s, p] for s in ("grid", "half-way", "t-SNE") for p in ("no", "yes")
    ]
    assert all(
        0 < float(row[5]) <= float(row[6]) and float(row[7]) > 0 and row[4] in ("overview", "pixels", "tiles")
        for row in rows
    )


def test_a_picker_is_timed_until_its_tiles_are_there_and_while_it_scrolls():
    told = run("picker", "--posts", "300")
    assert re.search(r"first sprite drawn [\d.]+ s, all [\d.]+ s", told) and "300 tiles on the screen" in told
    assert int(re.search(r"scrolled in (\d+) frames", told)[1]) > 5
