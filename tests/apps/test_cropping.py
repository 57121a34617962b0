"""`selfie crop` on real files: the crop is saved at full resolution, and the user's photo is left alone."""

import hashlib
import re
import shlex
import zipfile

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image
from scipy import ndimage
from typer.testing import CliRunner

from selfie_utils.apps.cli import app
from selfie_utils.apps.cropping import best_crops, gains_in_words, save_crop
from selfie_utils.core.run_folder import create_run
from selfie_utils.model.network import build_network, save_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.crops import SMALLEST, boxes_of
from selfie_utils.photos.images import ImageFolder


def invoke(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run folder with an untrained network of 32 px, and scores of a few test posts."""
    run = create_run(tmp_path_factory.mktemp("run") / "run")
    save_network(run, build_network(Recipe(image_size=32)), {}, pd.DataFrame())
    run.write_table("scores", pd.DataFrame({"score": [0.2, 0.4, 0.6]}))
    return run


@pytest.fixture
def photo(tmp_path):
    """A photo of a phone: 300 x 200 px as stored, turned upright by its EXIF to 200 x 300, and its pixels."""
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(0, 1, (200, 300)), 6)
    stored = Image.fromarray((128 + 700 * noise).clip(0, 255).astype(np.uint8)).convert("RGB")
    exif = Image.Exif()
    exif[0x0112], exif[0x9286] = 6, "here I live"  # to be turned to the right; a comment
    path = tmp_path / "me.jpg"
    stored.save(path, exif=exif, quality=95)
    with Image.open(path) as kept:
        upright = kept.convert("RGB").transpose(Image.Transpose.ROTATE_270)
    return path, Image.fromarray(np.asarray(upright))  # without the EXIF, that would turn it again


def hash_of(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_crop_is_saved_upright_at_full_resolution_with_both_scores(run, photo, tmp_path):
    path, upright = photo
    before, out = hash_of(path), tmp_path / "crops"
    done = invoke("crop", path, "--out", out, "--run", run.root, "--evaluations", 40, "--device", "cpu")
    assert done.exit_code == 0, done.output
    header, row = done.stdout.splitlines()
    assert header.split() == ["photo", "score", "crop", "saved", "as"]
    score, cropped = (float(p) for p in re.findall(r"([\d.]+)%", row))
    assert row.endswith(str(out / "me_crop.jpg")) and hash_of(path) == before
    saved = Image.open(out / "me_crop.jpg")
    side = saved.width
    assert saved.height == side and 120 <= side <= 200  # 0.6 of 200 px to all of it
    assert not saved.getexif() and b"here I live" not in (out / "me_crop.jpg").read_bytes()
    # It is a piece of the upright photo, pixel for pixel up to JPEG's rounding.
    (found,) = best_crops(Scorer(run, "cpu"), [path], 40).to_dict("records")
    box = boxes_of((found["scale"], found["x"], found["y"]), (200, 300))[0].tolist()
    assert abs(np.asarray(upright.crop(box), float) - np.asarray(saved, float)).mean() < 2
    rated = Scorer(run, "cpu").rate([upright, saved]).score * 100
    assert score == pytest.approx(rated[0], abs=0.3) and cropped == pytest.approx(rated[1], abs=0.3)
    assert cropped >= score - 1


def test_no_file_is_ever_overwritten(run, photo):
    """Also with the photo's own folder as --out, and where the first name is taken."""
    path, _ = photo
    mine = path.with_name("me_crop.jpg")
    mine.write_bytes(b"my own")
    before = hash_of(path)
    for _ in range(2):
        done = invoke("crop", path, "--out", path.parent, "--run", run.root, "--evaluations", 3)
        assert done.exit_code == 0, done.output
    assert hash_of(path) == before and mine.read_bytes() == b"my own"
    assert sorted(p.name for p in path.parent.iterdir()) == [
        "me.jpg", "me_crop.jpg", "me_crop_2.jpg", "me_crop_3.jpg"
    ]  # fmt: skip


def test_a_png_stays_one_pixel_for_pixel(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (50, 80, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.PNG")
    saved = save_crop(ImageFolder(tmp_path), "a.PNG", (0.0, 1.0, 0.5), tmp_path / "out", smallest=0.4)
    assert saved.name == "a_crop.png"
    assert (np.asarray(Image.open(saved)) == pixels[15:35, 60:80]).all()  # 20 px, at the right, half way down


def test_a_photo_too_large_to_be_decoded_whole_is_cut_at_a_fraction_and_stops_no_other(
    run, photo, tmp_path, monkeypatch
):
    """The search reads a large JPEG at a fraction of its size, so its crop can be found and must be saved."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000_000)  # as if photos of 89 megapixels were such
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((6000, 4000), Image.Resampling.NEAREST).save(tmp_path / "large.jpg")
    Image.new("RGB", (4000, 4000)).save(tmp_path / "flat.png")
    given = (tmp_path / "large.jpg", tmp_path / "flat.png", photo[0])
    done = invoke("crop", *given, "--out", tmp_path / "out", "--run", run.root, "--evaluations", 3)
    assert done.exit_code == 1 and "flat.png cannot be cropped: image is too large" in done.stderr
    saved = {path.name: Image.open(path).size for path in (tmp_path / "out").iterdir()}
    assert saved.keys() == {"large_crop.jpg", "me_crop.jpg"}
    assert 1200 <= saved["large_crop.jpg"][0] <= 2000  # of 2000 px three fifths at least
    assert done.stdout.count("_crop.jpg") == 2


def test_photos_that_cannot_be_cropped_are_told_and_the_others_are_saved(run, photo, tmp_path):
    path, _ = photo
    Image.new("RGB", (20, 20)).save(tmp_path / "tiny.png")
    (tmp_path / "torn.jpg").write_bytes(b"")
    out = tmp_path / "out"
    given = (tmp_path / "torn.jpg", path, tmp_path / "tiny.png", tmp_path / "gone.jpg")
    done = invoke("crop", *given, "--out", out, "--run", run.root, "--evaluations", 3)
    assert done.exit_code == 1 and [p.name for p in out.iterdir()] == ["me_crop.jpg"]
    told = [line for line in done.stderr.splitlines() if line.startswith("Error")]
    assert len(told) == 3 and "torn.jpg cannot be cropped: file is empty." in told[0]
    assert "20 x 20 px" in told[1] and "file is missing" in told[2]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--evaluations", 0], "evaluations"),
        (["--smallest", 0], "smallest"),
        (["--run", "nowhere"], "run notebooks/00_data.ipynb"),
    ],
)
def test_impossible_options_are_refused_before_any_work(run, photo, tmp_path, options, said):
    path, _ = photo
    done = invoke(
        "crop",
        path,
        "--out",
        tmp_path / "out",
        *["--run", run.root][: 2 * ("--run" not in options)],
        *options,
    )
    assert done.exit_code in (1, 2) and said in done.output and not (tmp_path / "out").exists()


def test_a_file_as_folder_is_refused(run, photo):
    path, _ = photo
    done = invoke("crop", path, "--out", path, "--run", run.root, "--evaluations", 2)
    assert done.exit_code == 1 and "is a file, not a folder" in done.stderr


def test_folders_archives_and_addresses_are_cropped_photo_by_photo(run, photo, tmp_path):
    path, _ = photo
    (tmp_path / "all").mkdir()
    path.rename(tmp_path / "all" / "me.jpg")
    (tmp_path / "all" / "notes.txt").write_text("no photo")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        archive.write(tmp_path / "all" / "me.jpg", "deep/me.jpg")
    (tmp_path / "empty").mkdir()
    given = (tmp_path / "all", tmp_path / "all.zip", (tmp_path / "all/me.jpg").as_uri(), tmp_path / "empty")
    done = invoke("crop", *given, "--out", tmp_path / "out", "--run", run.root, "--evaluations", 3)
    assert f"{tmp_path / 'empty'} cannot be cropped: it holds no photo" in done.stderr
    assert len(done.stdout.splitlines()) == 4 and f"{tmp_path}/all.zip/deep/me.jpg" in done.stdout
    saved = [path.read_bytes() for path in (tmp_path / "out").iterdir()]
    assert len(saved) == 3 and sorted(p.name for p in (tmp_path / "out").iterdir())[0] == "me_crop.jpg"


def test_the_smallest_crop_of_the_command_is_the_library_s():
    command = typer.main.get_command(app).commands["crop"]
    assert {p.name: p.default for p in command.params}["smallest"] == SMALLEST


def test_rate_mentions_what_the_best_crop_would_gain(run, photo, tmp_path):
    path, _ = photo
    Image.new("RGB", (20, 20)).save(tmp_path / "tiny.png")
    said = gains_in_words(Scorer(run, "cpu"), [path])
    # Another scorer: one that has seen many photos is fused, and its last digits lead the search elsewhere.
    scorer = Scorer(run, "cpu")
    row = best_crops(scorer, [path]).to_dict("records")[0]
    assert len(said) == 1 and f"{row['crop_score']:.1%} ({100 * row['gain']:+.1f} points)" in said[0]
    assert gains_in_words(scorer, [tmp_path / "tiny.png"]) == []
    spaced = path.with_name("my own photo.jpg")
    path.rename(spaced)
    (line,) = gains_in_words(scorer, [spaced])
    command = line.partition("points): ")[2].removesuffix(" saves it.")
    assert shlex.split(command)[2:] == [str(spaced), "--out", "crops"]  # one photo, as a shell reads it
    spaced.rename(path)
    done = invoke("rate", path, "--run", run.root, "--device", "cpu")
    assert done.exit_code == 0 and done.stdout.splitlines()[-1] == said[0]
