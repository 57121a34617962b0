"""Training learns, twice the same, and scoring keeps scores and fc7 side by side."""

import errno
import os
import shutil
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from selfie_utils import pack as packing
from selfie_utils import photo_batches, scoring, training
from selfie_utils.celebrities import score_folder
from selfie_utils.errors import SelfieError
from selfie_utils.files import locked
from selfie_utils.images import ImageFolder
from selfie_utils.network import build_network, save_network
from selfie_utils.recipe import Recipe
from selfie_utils.run_folder import create_run
from selfie_utils.scoring import rate_photos, score_images, score_posts, score_run
from selfie_utils.training import fine_tune

SMALL = Recipe(image_size=32, epochs=4, batch_size=8, learning_rate=1e-3)


@pytest.fixture(scope="module")
def posts(tmp_path_factory):
    """24 noisy photos: the good ones have a bright upper half, the bad ones a bright lower half."""
    folder = tmp_path_factory.mktemp("photos")
    rng, rows = np.random.default_rng(0), []
    for i in range(24):
        pixels = rng.integers(0, 120, (40, 40, 3), dtype=np.uint8)
        pixels[:20] += np.uint8(120 * (i % 2))
        pixels[20:] += np.uint8(120 * (1 - i % 2))
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append({"post_id": f"p{i}", "image": f"{i}.png", "user_id": f"u{i}", "label": i % 2})
    table = pd.DataFrame(rows).assign(split=["train"] * 16 + ["validation"] * 4 + ["test"] * 4)
    return ImageFolder(folder), table


def test_a_tiny_set_is_overfit(posts):
    images, labels = posts
    train = labels[labels["split"] == "train"]
    by_heart = pd.concat([train, train.assign(split="validation")])  # asked about what it was shown
    network, history = fine_tune(images, by_heart, Recipe(image_size=64, epochs=25, batch_size=16), "cpu")
    assert history["epoch"].tolist() == list(range(1, 26))
    assert history["train_accuracy"].iloc[-1] == 1 and history["train_loss"].iloc[-1] < 0.1
    scores, _, _ = score_images(network, images, train["image"].tolist(), "cpu")
    assert ((scores > 0.5) == train["label"]).mean() > 0.9


def test_the_same_seed_gives_the_same_weights_and_another_does_not(posts):
    first, again, other = (
        fine_tune(*posts, Recipe(image_size=32, epochs=1, batch_size=8, seed=s), "cpu")[0].state_dict()
        for s in (1, 1, 2)
    )
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


@pytest.mark.parametrize("change", [{"optimizer": "sgd"}, {"schedule": "cosine"}])
def test_other_optimizers_and_schedules_learn_too(posts, change):
    recipe = Recipe(image_size=32, epochs=6, batch_size=8, learning_rate=1e-3, **change)
    _, history = fine_tune(*posts, recipe, "cpu")
    assert history["train_loss"].iloc[-1] < history["train_loss"].iloc[0]


def test_the_epoch_with_the_lowest_validation_loss_is_kept(posts):
    images, labels = posts
    network, history = fine_tune(
        images, labels, Recipe(image_size=32, epochs=5, batch_size=8, temperature=False), "cpu"
    )
    validation = labels[labels["split"] == "validation"]
    scores, _, _ = score_images(network, images, validation["image"].tolist(), "cpu")
    chance_of_label = np.where(validation["label"] == 1, scores, 1 - scores)
    assert -np.log(chance_of_label).mean() == pytest.approx(history["validation_loss"].min(), abs=1e-3)


def test_the_temperature_makes_scores_fit_the_validation_split(posts):
    images, labels = posts
    turned = labels.assign(label=labels["label"].where(labels["split"] != "validation", [0, 1] * 12))
    losses, orders = [], []
    for temperature in (False, True):
        recipe = Recipe(image_size=32, epochs=5, batch_size=8, learning_rate=1e-3, temperature=temperature)
        network, _ = fine_tune(images, turned, recipe, "cpu")
        validation = turned[turned["split"] == "validation"]
        scores, _, _ = score_images(network, images, validation["image"].tolist(), "cpu")
        losses.append(-np.log(np.where(validation["label"] == 1, scores, 1 - scores)).mean())
        orders.append(np.argsort(scores).tolist())
    assert losses[1] < losses[0] and orders[0] == orders[1]


def test_ranks_can_be_learned_instead_of_labels(posts):
    images, labels = posts
    # Ranks that say the opposite of the labels: what is learned shows in the scores.
    recipe = Recipe(image_size=64, epochs=25, batch_size=16, targets="ranks", temperature=False)
    train = labels[labels["split"] == "train"].assign(rank=lambda t: 0.9 - 0.8 * t["label"])
    both = pd.concat([train, train.assign(split="validation", label=1 - train["label"])])
    network, _ = fine_tune(images, both, recipe, "cpu")
    scores, _, _ = score_images(network, images, train["image"].tolist(), "cpu")
    assert ((scores > 0.5) == (train["rank"] > 0.5)).mean() > 0.9


def test_photos_are_only_mirrored_never_cropped(posts, monkeypatch):
    images, labels = posts
    shown = []
    learn = training._Learner.learn
    monkeypatch.setattr(
        training._Learner,
        "learn",
        lambda self, photos, *rest: shown.append(photos.clone()) or learn(self, photos, *rest),
    )
    fine_tune(images, labels, Recipe(image_size=32, epochs=2, batch_size=8), "cpu")
    originals = {
        tuple(photo.flatten().tolist())
        for name in labels["image"]
        for one in [torch.from_numpy(photo_batches.read_photo(images, 32, name)).permute(2, 0, 1)]
        for photo in (one, one.flip(-1))
    }
    seen = {tuple(photo.flatten().tolist()) for batch in shown for photo in batch}
    assert seen <= originals and len(seen) > 16  # both ways round


def test_photos_that_do_not_fit_in_memory_are_read_by_workers(posts, monkeypatch):
    images, labels = posts
    in_memory, _ = fine_tune(images, labels, Recipe(image_size=32, epochs=1, batch_size=8), "cpu")
    monkeypatch.setattr(photo_batches, "IN_MEMORY", 0)
    read_anew, _ = fine_tune(images, labels, Recipe(image_size=32, epochs=1, batch_size=8), "cpu")
    for one, other in zip(in_memory.parameters(), read_anew.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_photo_that_a_worker_cannot_read_is_told_in_one_sentence(posts, tmp_path, monkeypatch):
    images, labels = posts
    shutil.copytree(images.root, tmp_path / "photos")
    (tmp_path / "photos" / "3.png").write_bytes((images.root / "3.png").read_bytes()[:200])
    monkeypatch.setattr(photo_batches, "IN_MEMORY", 0)
    with pytest.raises(SelfieError) as told:
        fine_tune(ImageFolder(tmp_path / "photos"), labels, SMALL, "cpu")
    assert str(told.value).startswith("3.png ") and len(str(told.value).splitlines()) == 1


def test_a_disk_without_room_changes_neither_weights_nor_scores(posts, tmp_path, monkeypatch, capsys):
    images, labels = posts
    recipe, found = Recipe(image_size=32, epochs=1, batch_size=8), []
    for name, room in (("roomy", 2**30), ("full", 0)):
        monkeypatch.setattr(packing, "_room", lambda folder, room=room: room)
        run = create_run(tmp_path / name)
        network, _ = fine_tune(images, labels, recipe, "cpu", run.root)
        found.append(score_run(run, network, images, labels, "cpu")["score"])
    assert found[0].equals(found[1])
    assert (tmp_path / "roomy" / "packed").exists() and not (tmp_path / "full" / "packed").exists()
    assert "decoded again in every epoch" in capsys.readouterr().out


def test_recipes_and_splits_that_make_no_sense_are_refused(posts):
    images, labels = posts
    with pytest.raises(SelfieError, match="no validation post"):
        fine_tune(images, labels[labels["split"] != "validation"], SMALL, "cpu")
    with pytest.raises(SelfieError, match="the same label"):
        fine_tune(images, labels.assign(label=1), SMALL, "cpu")
    for wrong in ({"epochs": 0}, {"optimizer": "adam"}, {"schedule": "step"}, {"learning_rate": -1.0}):
        with pytest.raises(SelfieError, match="expected"):
            Recipe(**wrong)


@pytest.fixture(scope="module")
def scored(posts, tmp_path_factory):
    """A run folder with an untrained network and its scores of all 24 photos."""
    images, labels = posts
    run = create_run(tmp_path_factory.mktemp("scored") / "run")
    network = build_network("efficientnet_lite0", image_size=32)
    save_network(run, network, {}, pd.DataFrame())
    return run, network, score_posts(run, network, images, labels, "cpu")


def test_a_second_scoring_of_a_run_folder_is_refused(scored, posts, monkeypatch):
    run, network, _ = scored
    monkeypatch.setattr(scoring, "PATIENCE", 0.0)
    before = (run.root / "features.npy").read_bytes()
    with locked(run.root / ".scoring.lock", ""), pytest.raises(SelfieError, match="is scoring in"):
        score_posts(run, network, *posts, "cpu")
    assert (run.root / "features.npy").read_bytes() == before


def test_a_disk_without_room_for_fc7_says_so_and_keeps_what_was_there(scored, posts, monkeypatch):
    run, network, _ = scored
    before = {path.name: path.read_bytes() for path in run.root.glob("*.*")}

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SelfieError, match=r"no room in .* for fc7 of 24 posts"):
        score_posts(run, network, *posts, "cpu")
    assert {path.name: path.read_bytes() for path in run.root.glob("*.*")} == before


def test_scores_and_fc7_lie_side_by_side(scored, posts):
    run, network, table = scored
    assert table["post_id"].tolist() == posts[1]["post_id"].tolist()
    fc7 = torch.from_numpy(np.array(run.read_features()))
    assert fc7.dtype == torch.float32 and fc7.shape == (24, 1280)
    with torch.inference_mode():
        from_fc7 = network.head(fc7).softmax(1)[:, 1].numpy()
    assert np.allclose(from_fc7, run.read_table("scores")["score"], atol=1e-5)


def test_a_photo_that_cannot_be_read_has_a_reason_and_the_others_a_rating(scored, posts, tmp_path):
    run, _, table = scored
    (tmp_path / "broken.jpg").write_text("no photo")
    rated = rate_photos(run, [posts[0].root / "3.png", tmp_path / "broken.jpg"], "cpu")
    assert rated["score"][0] == pytest.approx(table["score"][3], abs=1e-5)
    assert rated["percentile"][0] == pytest.approx((table["score"] < rated["score"][0]).mean(), abs=0.05)
    assert np.isnan(rated["score"][1]) and rated["reason"].tolist() == ["", "not an image"]


def test_a_folder_is_scored_without_torch_in_the_notebook(scored, tmp_path):
    run, _, _ = scored
    for name in ("Ada_Byte", "Bo_Octet"):
        Image.new("RGB", (40, 40), "teal" if name == "Ada_Byte" else "pink").save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no photo")
    famous = score_folder(run, tmp_path, "cpu")
    assert set(famous["name"][:2]) == {"Ada Byte", "Bo Octet"} and famous["score"][:2].is_monotonic_decreasing
    assert np.isnan(famous["score"][2]) and famous["reason"][2] == "not an image"
    script = "import selfie_utils.celebrities, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_a_folder_that_cannot_be_scored_is_refused_in_one_sentence(scored, tmp_path):
    run, _, _ = scored
    with pytest.raises(SelfieError, match="holds no photo"):
        score_folder(run, tmp_path, "cpu")
    (tmp_path / "notes.txt").write_text("no photo")
    with pytest.raises(SelfieError, match="can be read as a photo"):
        score_folder(run, tmp_path, "cpu")
    with pytest.raises(SelfieError, match="device is 'toaster'"):
        score_folder(run, tmp_path, "toaster")
