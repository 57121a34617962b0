"""Networks that are given away as files: they score the same, and say what they are."""

import ast
import json
import re
import shutil
import subprocess
import sys

import numpy as np
import pytest
from exported import make_run
from PIL import Image
from typer.testing import CliRunner

from selfie_utils.apps import export
from selfie_utils.apps.cli import app
from selfie_utils.apps.export import Judge
from selfie_utils.apps.model_card import card_of
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.scorer import Scorer


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("given") / "mine", 32)


@pytest.fixture(scope="module")
def photo(tmp_path_factory):
    """An oblong photo that its EXIF turns upright."""
    path = tmp_path_factory.mktemp("photo") / "me.jpg"
    y, x = np.mgrid[:150, :210]
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = np.stack([x, y, (x * y) % 251], 2).astype(np.uint8)
    Image.fromarray(pixels).save(path, exif=exif, quality=95)
    return path


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.mark.parametrize("kind", [["onnx"], ["onnx", "--half"], ["safetensors"]])
def test_the_example_of_ten_lines_scores_as_selfie_rate_does(run, photo, tmp_path, kind):
    done = invoke("export", kind[0], tmp_path / "out", *kind[1:], "--run", run.root)
    assert done.exit_code == 0, done.output
    assert float(re.search(r"scores 50 photos at the worst ([\d.]+) points", done.stdout)[1]) <= 1
    example = tmp_path / "out" / "example.py"
    lines = ast.parse(example.read_text()).body[1:]  # without its docstring
    assert len(lines) <= 13 and sum(not isinstance(x, ast.Import | ast.ImportFrom) for x in lines) <= 10
    assert "selfie_utils" not in example.read_text()
    told = subprocess.run(
        [sys.executable, example, photo], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    expected = Scorer(run, "cpu").rate(photo).score[0]
    assert float(re.search(r"score ([\d.]+)%", told.stdout)[1]) / 100 == pytest.approx(expected, abs=0.005)
    facts = json.loads((tmp_path / "out" / "network.json").read_text())
    assert facts["classes"] == ["bad", "good"] and facts["preprocessing"]["resize"] == "squish"
    assert facts["preprocessing"]["mean"] == [0.5] * 3 and facts["calibration"]["temperature"] == 1
    assert facts["taught_on"]["simulated_people"] is True


def test_halves_make_the_file_half_as_large(run, tmp_path):
    for name, options in (("whole", []), ("half", ["--half"])):
        assert invoke("export", "onnx", tmp_path / name, *options, "--run", run.root).exit_code == 0
    sizes = [(tmp_path / name / "model.onnx").stat().st_size for name in ("half", "whole")]
    assert sizes[0] < 0.55 * sizes[1]


def test_the_card_says_who_taught_the_network_and_what_it_is_not_for(run, tmp_path):
    simulated = card_of(run)
    assert "people who do not exist" in simulated and "nothing has shown that it is right" in simulated
    assert "judging, ranking, choosing or turning away people" in simulated and "was not tested" in simulated
    assert all(f"\n- {use}" in simulated for use in ("recognising", "saying how attractive"))
    truth = run.place("truth.parquet")
    truth.rename(tmp_path / "truth")
    try:
        real = card_of(run)
    finally:
        (tmp_path / "truth").rename(truth)
    assert "Posts of real people" in real and "do not exist" not in real


def test_the_card_tells_the_figures_of_the_test_posts(run, tmp_path):
    figures = {"test_accuracy": 0.612, "test_accuracy_low": 0.58, "test_accuracy_high": 0.64}
    run.write_metrics("01_train", figures | {"test_auc": 0.654, "calibration_error": 0.031})
    try:
        told = card_of(run)
    finally:
        (run.root / "metrics.json").unlink()
    assert "61.2% right [58.0% to 64.0%]; chance is 50%" in told and "0.654" in told and "3.1 points" in told


def test_of_a_user_s_weights_nothing_but_their_name_is_given_away(run, tmp_path):
    mine = RunFolder(shutil.copytree(run.root, tmp_path / "mine"))
    described = mine.read_json("network/network")
    described["recipe"]["weights"] = "/home/ada/private/faces.pth"
    mine.write_json("network/network", described)
    assert "from weights of the user's own" in card_of(mine)
    out = tmp_path / "out"
    assert invoke("export", "safetensors", out, "--run", mine.root).exit_code == 0
    given = {path.name: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    assert not [name for name, content in given.items() if b"private" in content or b"/ada" in content]
    assert json.loads(given["network.json"])["taught_on"]["recipe"]["weights"] == "faces.pth"


def test_scores_a_point_apart_pass_and_further_apart_do_not(run):
    judge = Judge(run)
    assert len(judge.names) == 50
    near, far, unread = (judge.score.copy() for _ in range(3))
    near[7] += 0.0099
    assert "50 photos at the worst 0.99 points apart" in judge.check(near, "It")
    far[7] -= 0.0101
    with pytest.raises(SelfieError, match=re.escape(judge.names[7])):
        judge.check(far, "It")
    unread[:3] = np.nan
    assert "47 photos" in judge.check(unread, "It") and "3 others cannot be read" in judge.check(unread, "It")
    with pytest.raises(SelfieError, match="none of 50 photos"):
        judge.check(np.full(50, np.nan), "It")


def test_a_wrong_export_is_told_and_leaves_nothing(run, tmp_path, monkeypatch):
    right = export.rate_with_onnx
    monkeypatch.setattr(export, "rate_with_onnx", lambda *given: {"score": 0.9 * right(*given)["score"]})
    done = invoke("export", "onnx", tmp_path / "out", "--run", run.root)
    assert done.exit_code == 1 and "scores photos wrongly" in done.stderr and not (tmp_path / "out").exists()


def test_other_photos_to_check_with_may_be_given(run, photo, tmp_path):
    done = invoke("export", "safetensors", tmp_path / "out", "--run", run.root, "--photos", photo.parent)
    assert done.exit_code == 0 and "scores 1 photos" in done.stdout
    (tmp_path / "none").mkdir()
    done = invoke("export", "onnx", tmp_path / "out2", "--run", run.root, "--photos", tmp_path / "none")
    assert done.exit_code == 1 and "holds no photo" in done.stderr


def test_a_file_is_no_folder_to_export_to(run, photo):
    done = invoke("export", "onnx", photo, "--run", run.root)
    assert done.exit_code == 1 and "is a file, not a folder" in done.stderr
