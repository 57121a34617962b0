"""The story page: every number is the run's, what is missing is left out, and no real person is shown."""

import json
import re

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from selfie_utils.apps.cli import app
from selfie_utils.runner.findings import SECTIONS
from selfie_utils.runner.story import STEP, best_and_worst, tell

METRICS = {
    "00_data": {
        "posts": 4321,
        "labelled": 3700,
        "groups": 37,
        "labels_right": 0.6543,
        "labels_right_low": 0.6112,
        "labels_right_high": 0.7021,
    },
    "01_train": {
        "scored": 613,
        "test_accuracy": 0.58,
        "test_accuracy_low": 0.49,
        "test_accuracy_high": 0.67,
        "baseline_accuracy": 0.53,
        "test_auc": 0.6174,
        "test_auc_low": 0.5521,
        "test_auc_high": 0.6839,
        "oracle_accuracy": 0.71,
        "share_of_oracle": 0.42,
        "share_of_oracle_low": 0.31,
        "share_of_oracle_high": 0.55,
    },
    "05_male_gallery": {
        "found": 9,
        "share_at_top": 0.19,
        "share_at_top_low": 0.11,
        "share_at_top_high": 0.28,
        "share_in_test_set": 0.46,
    },
}


@pytest.fixture
def run(tmp_path):
    """Make a run folder of simulated posts with a chart and a sheet of two notebooks."""
    root = tmp_path / "run"
    (root / "figures").mkdir(parents=True)
    (root / "truth.parquet").touch()
    (root / "metrics.json").write_text(json.dumps(METRICS))
    Image.new("RGB", (2000, 100), "red").save(root / "figures" / "good_and_bad.jpg")
    Image.new("RGB", (300, 150), "blue").save(root / "figures" / "accuracy.png")
    Image.new("RGB", (300, 150), "blue").save(root / "figures" / "male_gallery.jpg")
    return root


def page_of(run, out) -> str:
    return tell(run, out).read_text(encoding="utf-8")


def section_of(page: str, title: str) -> str:
    return page.split(f"## {title}\n")[1].split("\n## ")[0]


def test_the_numbers_on_the_page_are_those_of_the_metrics(run, tmp_path):
    page = page_of(run, tmp_path / "out")
    labels = section_of(page, "Which selfies are good?")
    assert "3,700 of 4,321 posts" in labels and "37 groups" in labels
    assert "65% [61% to 70%] of the labels agree" in labels and "clearly more than the 50%" in labels
    trained = section_of(page, "Can a network tell?")
    assert "On 613 test posts" in trained and "58% [49% to 67%]" in trained and "colour 53%" in trained
    assert "0.617 [0.552 to 0.684]" in trained and "42% [31% to 55%] of the way" in trained


def test_other_metrics_make_another_page(run, tmp_path):
    before = page_of(run, tmp_path / "a")
    changed = {**METRICS, "00_data": {**METRICS["00_data"], "labelled": 3100}}
    (run / "metrics.json").write_text(json.dumps(changed))
    assert page_of(run, tmp_path / "b") == before.replace("3,700", "3,100")


@pytest.mark.parametrize(
    ("ends", "verdict"),
    [
        ((0.51, 0.67), "clearly more than the 50% of a coin"),
        ((0.50, 0.67), "not clearly different from the 50% of a coin"),
        ((0.31, 0.50), "not clearly different from the 50% of a coin"),
        ((0.31, 0.49), "clearly less than the 50% of a coin"),
    ],
)
def test_the_verdict_follows_the_interval(run, tmp_path, ends, verdict):
    low, high = ends
    trained = {**METRICS["01_train"], "test_accuracy_low": low, "test_accuracy_high": high}
    (run / "metrics.json").write_text(json.dumps({"01_train": trained}))
    assert verdict in page_of(run, tmp_path / "out")


def test_shares_of_a_kind_are_compared_with_their_base_rate(run, tmp_path):
    males = section_of(page_of(run, tmp_path / "out"), "The best males")
    assert "19% [11% to 28%] of the best" in males and "clearly less than the 46% of all test posts" in males


def test_a_notebook_without_metrics_leaves_its_section_out(run, tmp_path):
    page = page_of(run, tmp_path / "out")
    told = {section.title for section in SECTIONS if section.notebook in METRICS}
    assert set(re.findall(r"^## (.+)$", page, re.MULTILINE)) == told
    assert "06_tsne" not in page


def test_a_notebook_with_fewer_metrics_than_are_told_is_left_out(run, tmp_path):
    (run / "metrics.json").write_text(json.dumps({**METRICS, "03_top_100": {"shown": 100}}))
    assert "The top 100" not in page_of(run, tmp_path / "out")


def test_what_nobody_could_measure_is_left_out(run, tmp_path):
    males = {**METRICS["05_male_gallery"], "share_at_top": float("nan")}
    (run / "metrics.json").write_text(json.dumps({**METRICS, "05_male_gallery": males}))
    assert "The best males" not in page_of(run, tmp_path / "a")
    males = {"found": 0, "share_at_top": 0.0, "share_in_test_set": 0.0}
    (run / "metrics.json").write_text(json.dumps({**METRICS, "05_male_gallery": males}))
    assert "The best males" not in page_of(run, tmp_path / "b")


def test_every_picture_on_the_page_exists_and_is_at_most_1200_px_wide(run, tmp_path):
    page = page_of(run, tmp_path / "out")
    names = re.findall(r'<img src="([^"]+)" width="\d+" alt="[^"]+">', page)
    assert names == ["good_and_bad.jpg", "accuracy.png", "male_gallery.jpg"]
    sizes = [Image.open(tmp_path / "out" / name).size for name in names]
    assert sizes == [(1200, 60), (300, 150), (300, 150)]


def test_nothing_of_a_photo_but_its_pixels_is_published(run, tmp_path):
    exif = Image.Exif()
    exif[0x010E] = "taken at home"
    Image.new("RGB", (90, 90)).save(run / "figures" / "good_and_bad.jpg", exif=exif)
    tell(run, tmp_path / "out")
    assert not Image.open(tmp_path / "out" / "good_and_bad.jpg").getexif()


def test_real_posts_have_no_oracle_and_show_no_photo(run, tmp_path):
    (run / "truth.parquet").unlink()
    page = page_of(run, tmp_path / "out")
    assert "oracle" not in page and "planted" not in page and "true appeal" not in page
    assert "0.617 [0.552 to 0.684]; chance is 0.500" in page
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"README.md", "accuracy.png"}


def test_the_strip_shows_the_first_and_the_last_tiles():
    columns, rows = 7, 6
    greys = np.arange(columns * rows) * 5  # a grey of its own for each tile
    tiles = np.kron(greys.reshape(rows, columns), np.ones((STEP, STEP)))[:-1, :-1]
    strip = best_and_worst(Image.fromarray(tiles.astype(np.uint8)).convert("RGB"))
    pixels = np.asarray(strip)[..., 0]
    assert strip.width == 1200 and strip.height <= 400
    centres = [
        [pixels[36 + 49 + 99 * row, left + 49 + 99 * i] for row in range(3) for i in range(6)]
        for left in (0, 1200 - 593)
    ]
    assert centres == [list(greys[:18]), list(greys[-18:])]


def test_a_small_continuum_or_one_of_other_tiles_has_no_strip():
    assert best_and_worst(Image.new("RGB", (5 * STEP - 1, 7 * STEP - 1))) is None
    assert best_and_worst(Image.new("RGB", (1000, 2000))) is None


@pytest.mark.parametrize("content", [None, "{}", '{"02_continuum": {"test_posts": 3}}', "{half"])
def test_a_run_that_has_nothing_to_tell_ends_in_one_sentence(tmp_path, content):
    (tmp_path / "run").mkdir()
    if content:
        (tmp_path / "run" / "metrics.json").write_text(content)
    done = CliRunner().invoke(app, ["story", "--run", str(tmp_path / "run"), "--out", str(tmp_path / "out")])
    assert done.exit_code == 1 and not (tmp_path / "out").exists()
    assert re.fullmatch(r"Error: .+ `selfie reproduce( --force)?`.+\.\n", done.stderr)


def test_a_missing_run_is_named(tmp_path):
    done = CliRunner().invoke(app, ["story", "--run", str(tmp_path / "nowhere")])
    assert done.exit_code == 1 and f"There is no run folder {tmp_path / 'nowhere'}" in done.stderr


def test_the_smoke_run_is_told_with_a_section_for_every_notebook(smoke_run, tmp_path):
    page = page_of(smoke_run.root, tmp_path / "out")
    assert all(
        f"../notebooks/{s.notebook}.ipynb" in page for s in SECTIONS if s.notebook in smoke_run.read_metrics()
    )
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) < 3e6
