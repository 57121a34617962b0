"""The benchmarks run, at sizes that measure nothing."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


def test_the_pipeline_is_timed_against_a_plain_loop_and_its_ceiling():
    command = [sys.executable, str(BENCHMARKS / "pipeline.py"), "--photos", "256", "--size", "32"]
    done = subprocess.run(
        [*command, "--weights", "random", "--device", "cpu"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    for title, ways in (
        ("scoring", ["plain loop", "ours, from the photos", "ours, from the pack", "network alone"]),
        (
            "training",
            ["plain loop", "ours, from the pack", "plain loop, the same layers still", "network alone"],
        ),
    ):
        table = done.stdout.partition(f"\n{title} ")[2].splitlines()[1 : 1 + len(ways)]
        assert [re.split(r"  +", row)[0] for row in table] == ways
        rates = [[float(cell) for cell in row.split()[-3:]] for row in table]
        plain, ceiling = rates[0][0], rates[-1][0]
        for rate, times_plain, of_ceiling in rates:
            assert rate > 0
            assert times_plain == pytest.approx(rate / plain, rel=0.05, abs=0.01)
            assert of_ceiling == pytest.approx(rate / ceiling, rel=0.05, abs=0.01)
