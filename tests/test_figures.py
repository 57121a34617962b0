"""Pictures reach the run folder once, and controls appear only where somebody can move them."""

import ipywidgets
import pytest
from IPython.display import Image as Shown
from PIL import Image

from selfie_utils import charts, figures
from selfie_utils.run_folder import create_run


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path / "run")


def plain(rows, end):
    return Image.new("RGB", (40, 10 * rows), "white" if end == "best" else "black")


def test_photos_become_jpeg_and_charts_png(run):
    shown = figures.save_figure(run, "sheet", plain(2, "best"), alt="a sheet")
    assert Image.open(run.root / "figures" / "sheet.jpg").size == (40, 20) and shown.alt == "a sheet"
    figure, _ = charts.new_axes()
    figures.save_figure(run, "chart", figure, alt="a chart")
    assert Image.open(run.root / "figures" / "chart.png").format == "PNG"
    assert sorted(p.name for p in (run.root / "figures").iterdir()) == ["chart.png", "sheet.jpg"]


def test_a_batch_run_shows_the_default_picture_alone(run, monkeypatch):
    for mark in figures.LIVE_MARKS:
        monkeypatch.delenv(mark, raising=False)
    shown = figures.explore(run, "sheet", plain, "a sheet", rows=(3, 1, 9), end=["best", "worst"])
    assert isinstance(shown, Shown)
    assert Image.open(run.root / "figures" / "sheet.jpg").size == (40, 30)


def test_live_controls_draw_again(run, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook")
    box = figures.explore(run, "sheet", plain, "a sheet", rows=(3, 1, 9), end=["best", "worst"])
    knobs, frame = box.children
    rows, end = knobs.children
    assert isinstance(rows, ipywidgets.IntSlider) and (rows.value, rows.min, rows.max) == (3, 1, 9)
    before = frame.value
    assert before == (run.root / "figures" / "sheet.jpg").read_bytes()
    end.value = "worst"
    assert frame.value != before
    after = frame.value
    rows.value = 5
    assert frame.value != after
    # What is kept is the picture of the batch run, not the last one that was played with.
    assert (run.root / "figures" / "sheet.jpg").read_bytes() == before
