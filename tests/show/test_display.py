"""Pictures reach the run folder once, and controls appear only where somebody can move them."""

import base64
import io

import ipywidgets
import numpy as np
import pandas as pd
import pytest
from IPython.display import Image as Shown
from matplotlib.figure import Figure
from PIL import Image

from selfie_utils.core.run_folder import create_run
from selfie_utils.show import chart, charts_of_training, display


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path / "run")


def plain(rows, end):
    return Image.new("RGB", (40, 10 * rows), "white" if end == "best" else "black")


def test_facts_are_a_row_each_with_counts_that_can_be_read():
    shown = display.facts(
        test_posts=1234567, photos_on_the_sheet=np.int64(240), seed=0, loss=np.float32(0.5), share=0.25,
        scores="1% to 99%", live=True, with_truth=np.bool_(False), nothing=None, negative=-1500,
    )  # fmt: skip
    assert shown.columns.tolist() == ["this run"]
    assert shown["this run"].to_dict() == {
        "test posts": "1,234,567", "photos on the sheet": "240", "seed": "0", "loss": "0.5", "share": "0.25",
        "scores": "1% to 99%", "live": "True", "with truth": "False", "nothing": "None", "negative": "-1,500",
    }  # fmt: skip
    assert shown.index.tolist()[:2] == ["test posts", "photos on the sheet"]  # in the order given


def test_photos_become_jpeg_and_charts_png(run):
    shown = display.save_figure(run, "sheet", plain(2, "best"), alt="a sheet")
    assert Image.open(run.root / "figures" / "sheet.jpg").size == (40, 20) and shown.alt == "a sheet"
    figure, _ = chart.new_axes()
    display.save_figure(run, "chart", figure, alt="a chart")
    assert Image.open(run.root / "figures" / "chart.png").format == "PNG"
    assert sorted(p.name for p in (run.root / "figures").iterdir()) == ["chart.png", "chart.svg", "sheet.jpg"]
    drawn = (run.root / "figures" / "chart.svg").read_bytes()
    display.save_figure(run, "chart", figure, alt="a chart")
    assert b"<svg" in drawn and (run.root / "figures" / "chart.svg").read_bytes() == drawn


def test_a_batch_run_shows_the_default_picture_alone(run, monkeypatch):
    for mark in display.LIVE_MARKS:
        monkeypatch.delenv(mark, raising=False)
    shown = display.explore(run, "sheet", plain, "a sheet", rows=(3, 1, 9), end=["best", "worst"])
    assert isinstance(shown, Shown)
    assert Image.open(run.root / "figures" / "sheet.jpg").size == (40, 30)


def test_live_controls_draw_again(run, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook")
    box = display.explore(run, "sheet", plain, "a sheet", rows=(3, 1, 9), end=["best", "worst"]).widget
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


def test_a_chart_is_shown_at_half_its_pixels_and_a_photo_at_its_own(run):
    figure = Figure(figsize=(5.5, 2), dpi=144)
    shown = display.show(figure, "a chart")
    assert (shown.format, shown.width, shown.alt) == ("png", 396, "a chart")  # 5.5 inches of 72 points
    assert Image.open(io.BytesIO(shown.data)).size == (792, 288)
    sheet = display.show(Image.new("RGB", (40, 30)), "a sheet")
    assert (sheet.format, sheet.width, sheet.alt) == ("jpeg", 40, "a sheet")
    html = sheet._repr_mimebundle_()[0]
    assert list(html) == ["image/jpeg"]


def test_what_is_shown_is_what_is_kept_pixel_by_pixel(run):
    ramp = Image.fromarray(np.tile(np.arange(0, 240, 4, dtype=np.uint8)[None, :, None], (20, 1, 3)))
    ramp.putpixel((0, 0), (255, 255, 255))
    shown = display.save_figure(run, "ramp", ramp, "a ramp")
    kept = (run.root / "figures" / "ramp.jpg").read_bytes()
    assert kept == shown.data
    pixels = np.asarray(Image.open(io.BytesIO(kept)), int)
    assert pixels.shape == (20, 60, 3) and np.abs(pixels - np.asarray(ramp, int))[8:, 8:].max() <= 8


def test_a_photo_is_kept_at_a_quality_of_85(run):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    out = io.BytesIO()
    noise.save(out, "JPEG", quality=85)
    with Image.open(io.BytesIO(out.getvalue())) as wanted:
        tables = wanted.quantization
    assert Image.open(io.BytesIO(display.encode(noise)[0])).quantization == tables
    assert len(display.encode(noise)[0]) < len(out.getvalue())  # `optimize`: smaller, and as good


def knobs_of(run, monkeypatch, draw, mark="JPY_SESSION_NAME", **controls):
    monkeypatch.setenv(mark, "1")
    row, frame = display.explore(run, "sheet", draw, "a sheet", **controls).widget.children
    return row.children, frame


@pytest.mark.parametrize(
    "mark", ["JPY_SESSION_NAME", "VSCODE_PID", "COLAB_RELEASE_TAG", "KAGGLE_KERNEL_RUN_TYPE"]
)
def test_where_somebody_sits_in_front_is_live_and_nothing_else(monkeypatch, mark):
    for other in display.LIVE_MARKS:
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("JPY_PARENT_PID", "1")  # which papermill's kernels have as well
    assert not display.is_live()
    monkeypatch.setenv(mark, "")
    assert display.is_live()
    monkeypatch.setenv(mark, "Batch")  # Kaggle's, of a saved notebook that runs by itself
    assert not display.is_live()


def test_a_slider_reaches_from_the_smallest_to_the_largest_in_its_steps(run, monkeypatch):
    controls = {"a": (30, 10, 90, 5), "b": (3, 1, 9), "c": (0, 1, 9), "d": (12, 1, 9)}
    knobs, _ = knobs_of(run, monkeypatch, lambda **_: plain(1, "best"), **controls)
    read = [(k.description, k.value, k.min, k.max, k.step, k.continuous_update) for k in knobs]
    # What the notebook was given lies in reach, even where the suggestion did not foresee it.
    assert read == [
        ("a", 30, 10, 90, 5, False), ("b", 3, 1, 9, 1, False), ("c", 0, 0, 9, 1, False),
        ("d", 12, 1, 12, 1, False),
    ]  # fmt: skip


def test_a_choice_begins_with_its_first_entry_and_each_control_is_named(run, monkeypatch):
    knobs, _ = knobs_of(run, monkeypatch, plain, rows=(2, 1, 9), end=["worst", "best"])
    assert isinstance(knobs[1], ipywidgets.Dropdown)
    assert [k.description for k in knobs] == ["rows", "end"]
    assert knobs[1].value == "worst" and knobs[1].options == ("worst", "best")


def test_each_control_draws_with_its_own_value_and_those_of_the_others(run, monkeypatch):
    knobs, frame = knobs_of(run, monkeypatch, plain, rows=(3, 1, 9), end=["best", "worst"])

    def drawn():
        image = Image.open(io.BytesIO(frame.value))
        return image.height // 10, "best" if image.getpixel((5, 5))[0] > 200 else "worst"

    assert drawn() == (3, "best") and frame.value[:2] == b"\xff\xd8"  # a JPEG
    knobs[1].value = "worst"
    assert drawn() == (3, "worst")
    knobs[0].value = 7
    assert drawn() == (7, "worst")
    knobs[1].value = "best"
    assert drawn() == (7, "best")


def test_what_can_stand_at_one_place_only_gets_no_control(run, monkeypatch):
    controls = {"rows": (3, 3, 3), "size": (1, 1, 2), "less": (3, 1, 1), "end": ["best"], "way": ["a", "b"]}
    knobs, _ = knobs_of(run, monkeypatch, lambda **_: plain(1, "best"), **controls)
    assert [knob.description for knob in knobs] == ["size", "less", "way"]
    monkeypatch.delenv("JPY_SESSION_NAME")


def test_a_chart_brings_its_narrow_variant_and_its_name(run):
    columns = ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy")
    chart = charts_of_training.training_curves(pd.DataFrame({"epoch": [1], **dict.fromkeys(columns, 0.5)}))
    data, told = display.save_figure(run, "training", chart, "curves")._repr_mimebundle_()
    assert told["image/png"] == {"alt": "curves", "width": 720, "figure": "training"}
    narrow = Image.open(io.BytesIO(base64.b64decode(data[display.NARROW])))
    assert (
        narrow.width == 720 and narrow.height > narrow.width
    )  # 360 px on the page: one panel above the other
    assert Image.open(run.root / "figures" / "training.png").width == 1440


def test_a_live_sheet_is_a_picture_that_stays_and_a_widget_without_a_text_that_would(run, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "notebook")
    shown = []
    monkeypatch.setattr(display, "display", lambda one, **_: shown.append(one))
    display.explore(run, "sheet", plain, "a sheet", rows=(3, 1, 9), end=["best", "worst"])._ipython_display_()
    still, between, widget = shown
    assert still.data == (run.root / "figures" / "sheet.jpg").read_bytes()
    assert "selfie-still" in between.data and list(widget) == [display.VIEW]
