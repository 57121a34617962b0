"""Progress bars are written where they are no alarm."""

import io
import sys

from selfie_utils.core.progress import tqdm


class KernelStream(io.StringIO):
    """What stdout is in a kernel, by the name of its module."""


KernelStream.__module__ = "ipykernel.iostream"


def run_through(**options):
    assert list(tqdm(range(3), desc="counting", **options)) == [0, 1, 2]


def test_in_a_kernel_a_bar_is_printed_and_elsewhere_told_on_stderr(monkeypatch, capsys):
    run_through()
    said = capsys.readouterr()
    assert "counting: 100%" in said.err and not said.out
    kernel = KernelStream()
    monkeypatch.setattr(sys, "stdout", kernel)
    run_through()
    assert "counting: 100%" in kernel.getvalue() and not capsys.readouterr().err


def test_a_file_that_is_asked_for_is_kept(monkeypatch):
    kernel, asked = KernelStream(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", kernel)
    run_through(file=asked)
    assert "counting: 100%" in asked.getvalue() and not kernel.getvalue()
