"""Scores and fc7 stand side by side, of the right posts, whatever cannot be read and whoever helps."""

import errno
import math
import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_training import chance_of_good, make_posts, pixels_of, toy
from typer.testing import CliRunner

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
from selfie_utils.core.run_folder import create_run
from selfie_utils.model import celebrities, scoring
from selfie_utils.model.celebrities import score_folder
from selfie_utils.model.network import build_network, save_network
from selfie_utils.model.processes import Processes
from selfie_utils.model.scoring import rate_photos, score_images, score_pack, score_posts, score_run
from selfie_utils.photos import pack as packing
from selfie_utils.photos.images import ImageFolder
from selfie_utils.photos.pack import pack_in_memory


@pytest.fixture(scope="module")
def posts(tmp_path_factory):
    return make_posts(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def scored(posts, tmp_path_factory):
    """A run folder with an untrained network and its scores of all 29 photos."""
    images, labels = posts
    run = create_run(tmp_path_factory.mktemp("scored") / "run")
    network = build_network("efficientnet_lite0", image_size=32)
    save_network(run, network, {}, pd.DataFrame())
    return run, network, score_posts(run, network, images, labels, "cpu")


def test_a_second_scoring_of_a_run_folder_is_refused(scored, posts, monkeypatch):
    run, network, _ = scored
    monkeypatch.setattr(scoring, "PATIENCE", 0.0)
    before = (run.root / "features.npy").read_bytes()
    told = f"Process {os.getpid()} is scoring in {run.root}: wait for it"
    with locked(run.root / ".scoring.lock", ""), pytest.raises(SelfieError, match=told):
        score_posts(run, network, *posts, "cpu")
    assert (run.root / "features.npy").read_bytes() == before


def test_a_disk_without_room_for_fc7_says_so_and_keeps_what_was_there(scored, posts, monkeypatch):
    run, network, _ = scored
    before = {path.name: path.read_bytes() for path in run.root.glob("*.*")}
    asked = []

    def full(file, start, length):
        asked.append((start, length))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SelfieError, match=r"no room in .* for fc7 of 29 posts"):
        score_posts(run, network, *posts, "cpu")
    assert {path.name: path.read_bytes() for path in run.root.glob("*.*")} == before
    assert asked == [(0, 128 + 29 * 1280 * 4)]  # NumPy's header and float32


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_room_for_fc7_is_asked_for_before_it_is_needed(tmp_path, monkeypatch, number):
    def full(*_):
        raise OSError(number, "")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(SelfieError, match=rf"no room in {tmp_path} for fc7 of 2,500 posts, twice 10 MB for"):
        scoring._room_for(tmp_path / "a.npy", (2500, 1000))


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, None])
def test_a_disk_that_cannot_set_room_aside_is_written_all_the_same(tmp_path, monkeypatch, number):
    def unable(*_):
        raise OSError(number, "") if number else AttributeError

    monkeypatch.setattr(os, "posix_fallocate", unable)
    whole = scoring._room_for(tmp_path / "a.npy", (3, 2))
    whole[:] = 7
    whole.flush()
    assert np.load(tmp_path / "a.npy").tolist() == [[7, 7]] * 3 and whole.dtype == np.float32


def test_a_disk_that_fails_otherwise_is_told_as_it_is(tmp_path, monkeypatch):
    def broken(*_):
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "posix_fallocate", broken)
    with pytest.raises(OSError, match="broken"):
        scoring._room_for(tmp_path / "a.npy", (3, 2))


def test_scores_and_fc7_lie_side_by_side(scored, posts):
    run, network, table = scored
    labels = posts[1]
    assert list(table) == ["post_id", "image", "user_id", "label", "score"]
    assert table.drop(columns="score").equals(labels.drop(columns="split").reset_index(drop=True))
    assert run.read_table("scores").equals(table)
    with torch.inference_mode():
        _, wanted = network(pixels_of(posts, labels["image"]))
    fc7 = torch.from_numpy(np.array(run.read_features()))
    assert fc7.dtype == torch.float32 and torch.allclose(fc7, wanted, atol=1e-4)
    assert np.allclose(chance_of_good(network, pixels_of(posts, labels["image"])), table["score"], atol=1e-5)
    assert not list(run.root.glob(".features*"))


@pytest.mark.parametrize("room", [2**30, 0])
def test_posts_whose_photo_has_vanished_are_left_out_and_no_other_slips(posts, tmp_path, monkeypatch, room):
    monkeypatch.setattr(packing, "_room", lambda folder: room)
    images, labels = posts
    shutil.copytree(images.root, tmp_path / "photos")
    for row in (0, 5, 6, 28):
        (tmp_path / "photos" / labels["image"].iloc[row]).unlink()
    kept = labels.drop(labels.index[[0, 5, 6, 28]])
    run, network = create_run(tmp_path / "run"), toy()
    table = score_posts(run, network.train(), ImageFolder(tmp_path / "photos"), labels, "cpu")
    assert table["post_id"].tolist() == kept["post_id"].tolist() and table.index.tolist() == list(range(25))
    photos = pixels_of(posts, kept["image"])
    assert np.allclose(table["score"], chance_of_good(network, photos), atol=1e-5)
    assert np.allclose(run.read_features(), network(photos)[1].detach(), atol=1e-5)
    assert table["score"].nunique() == 25
    shutil.rmtree(tmp_path / "photos")
    (tmp_path / "photos").mkdir()
    with pytest.raises(SelfieError, match="None of the test photos can be read"):
        score_posts(run, network, ImageFolder(tmp_path / "photos"), labels, "cpu")


def test_photos_are_scored_in_order_whatever_cannot_be_read_between_them(posts, tmp_path):
    shutil.copytree(posts[0].root, tmp_path / "photos")
    (tmp_path / "photos" / "torn.png").write_bytes(b"")
    names = [f"{i % 29}.png" for i in range(45)]  # more than one batch
    for i in (0, 7, 44):
        names[i] = "torn.png"
    network = toy(dropout=0.5)
    scores, fc7, reasons = score_images(network.train(), ImageFolder(tmp_path / "photos"), names, "cpu")
    good = [i for i in range(45) if i not in (0, 7, 44)]
    assert [i for i, reason in enumerate(reasons) if not reason] == good and reasons[0] == reasons[44] != ""
    assert np.flatnonzero(np.isfinite(scores)).tolist() == good
    assert np.flatnonzero(np.isfinite(fc7).all(1)).tolist() == good and np.isnan(fc7[7]).all()
    photos = pixels_of(posts, [names[i] for i in good])
    assert np.allclose(scores[good], chance_of_good(network, photos), atol=1e-6) and not network.training
    assert np.allclose(fc7[good], network(photos)[1].detach(), atol=1e-6)
    assert scores.dtype == np.float64 and fc7.dtype == np.float32
    none = score_images(network, posts[0], [], "cpu")
    assert (none[0].shape, none[1].shape, none[2]) == ((0,), (0, 16), [])


def test_rows_of_a_pack_are_scored_in_the_order_asked_for(posts):
    names = posts[1]["image"].tolist()
    network, rows = toy(dropout=0.5).train(), np.arange(28, -1, -3)
    fc7 = np.zeros((10, 16), np.float32)
    pack = pack_in_memory(posts[0], names, 32)
    scores = score_pack(network, pack, rows, fc7)
    photos = pixels_of(posts, [names[i] for i in rows])
    assert np.allclose(scores, chance_of_good(network, photos), atol=1e-6) and scores.dtype == np.float64
    assert np.allclose(fc7, network(photos)[1].detach(), atol=1e-6)
    assert score_pack(network, pack, rows[:0]).shape == (0,)


def test_a_score_near_1_is_not_rounded_to_it():
    logits = torch.tensor([[0.0, 25.0], [25.0, 0.0]])
    scores, _ = scoring._score(lambda batch: (logits, torch.zeros(2, 3)), torch.zeros(2, 3, 1, 1))
    assert 1 - scores[0] == pytest.approx(math.exp(-25), rel=1e-3)
    assert scores[1] == pytest.approx(math.exp(-25), rel=1e-6)


def test_a_photo_that_cannot_be_read_has_a_reason_and_the_others_a_rating(
    scored, posts, tmp_path, monkeypatch
):
    run, _, table = scored
    (tmp_path / "broken.jpg").write_text("no photo")
    monkeypatch.chdir(posts[0].root)
    asked = ["3.png", tmp_path / "broken.jpg", posts[0].root / "8.png"]
    rated = rate_photos(run, asked, "cpu")
    by_name = table.set_index("image")["score"]
    for row, name in ((0, "3.png"), (2, "8.png")):
        assert rated["score"][row] == pytest.approx(by_name[name], abs=1e-5)
        # The run's scores were found in other batches, which round otherwise: itself it may pass or not.
        lower = [(by_name.drop(name) < by_name[name]).sum() + own for own in (0, 1)]
        assert rated["percentile"][row] * 29 in [pytest.approx(count) for count in lower]
    assert rated[["score", "percentile"]].iloc[1].isna().all()
    assert rated["reason"].tolist() == ["", "not an image", ""]
    assert rated["photo"].tolist() == [str(photo) for photo in asked]


def test_a_folder_is_scored_without_torch_in_the_notebook(scored, tmp_path):
    run, network, _ = scored
    for name in ("Ada_Byte", "Bo_Octet"):
        Image.new("RGB", (40, 40), "teal" if name == "Ada_Byte" else "pink").save(tmp_path / f"{name}.png")
    (tmp_path / "notes.txt").write_text("no photo")
    famous = score_folder(run, tmp_path, "cpu")
    assert set(famous["name"][:2]) == {"Ada Byte", "Bo Octet"} and famous["score"][:2].is_monotonic_decreasing
    colours = torch.tensor([[0, 128, 128], [255, 192, 203]], dtype=torch.uint8).view(2, 3, 1, 1)
    wanted = chance_of_good(network, colours.expand(2, 3, 32, 32))  # teal and pink
    by_name = famous.set_index("name")["score"]
    assert np.allclose(by_name[["Ada Byte", "Bo Octet"]], wanted, atol=1e-5)
    assert np.isnan(famous["score"][2]) and famous["reason"][2] == "not an image"
    script = "import selfie_utils.model.celebrities, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0


def test_a_folder_that_cannot_be_scored_is_refused_in_one_sentence(scored, tmp_path, monkeypatch):
    run, _, _ = scored
    with pytest.raises(SelfieError, match=f"{tmp_path} holds no photo"):
        score_folder(run, tmp_path, "cpu")
    (tmp_path / "notes.txt").write_text("no photo")
    with pytest.raises(SelfieError, match="could not be scored: device is 'toaster'"):
        score_folder(run, tmp_path, "toaster")
    # The same command in this process, which is quicker.
    monkeypatch.setattr(celebrities, "_run_scoring", lambda args: from_shell(*args))
    with pytest.raises(SelfieError, match=f"No file in {tmp_path} can be read as a photo"):
        score_folder(run, tmp_path, "cpu")


def from_shell(*arguments):
    """Run a command of the module in this process."""
    done = CliRunner().invoke(scoring.app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def in_threads(size, work):
    """Return work(world) of so many threads, which meet as processes of torchrun would."""
    barrier, values = threading.Barrier(size, timeout=60), [None] * size

    class Meeting(Processes):
        def gather(self, value):
            values[self.rank] = value
            barrier.wait()
            everyone = list(values)
            barrier.wait()
            return everyone

        @contextmanager
        def main_first(self):
            if not self.is_main:
                barrier.wait()
            yield
            if self.is_main:
                barrier.wait()

    with ThreadPoolExecutor(size) as pool:
        return list(pool.map(lambda rank: work(Meeting(torch.device("cpu"), rank, size)), range(size)))


@pytest.mark.parametrize("readable", [23, 2])  # neither can be shared evenly; the last has nothing to do
def test_three_processes_put_their_shares_together_in_order(posts, tmp_path, readable):
    shutil.copytree(posts[0].root, tmp_path / "photos")
    images, labels = ImageFolder(tmp_path / "photos"), posts[1]
    kept = labels.iloc[np.sort(np.random.default_rng(0).permutation(29)[:readable])]
    for name in set(labels["image"]) - set(kept["image"]):
        (tmp_path / "photos" / name).unlink()
    run, network = create_run(tmp_path / "run"), toy().eval()
    tables = in_threads(3, lambda world: score_posts(run, network, images, labels, "cpu", world))
    assert run.read_table("scores").equals(tables[0]) and tables[0].equals(tables[1])
    assert tables[0]["post_id"].tolist() == kept["post_id"].tolist()
    photos = pixels_of(posts, kept["image"])
    assert np.allclose(tables[0]["score"], chance_of_good(network, photos), atol=1e-6)
    assert np.allclose(run.read_features(), network(photos)[1].detach(), atol=1e-6)
    assert not list(run.root.glob(".features*"))


def test_a_single_process_scores_by_itself(posts, tmp_path):
    run, network = create_run(tmp_path / "run"), toy()
    table = score_run(run, network, *posts, "cpu")
    wanted = chance_of_good(network.eval(), pixels_of(posts, posts[1]["image"]))
    assert np.allclose(table["score"], wanted, atol=1e-6) and run.read_table("scores").equals(table)


def test_a_scoring_that_breaks_off_leaves_no_parts_and_what_was_there(posts, tmp_path, monkeypatch):
    run = create_run(tmp_path)
    before = score_posts(run, toy(), *posts, "cpu")
    features = np.array(run.read_features())

    def broken(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(scoring, "_score", broken)
    with pytest.raises(KeyboardInterrupt):
        score_posts(run, toy(seed=1), *posts, "cpu")
    assert run.read_table("scores").equals(before) and (run.read_features() == features).all()
    assert not list(run.root.glob(".features*"))


def test_layers_are_fused_from_12_batches_on(monkeypatch):
    network = toy().train()
    monkeypatch.setattr(scoring, "fused", lambda network: "fused")
    assert scoring._forward(network, [None] * 12) == "fused"
    assert scoring._forward(network, [None] * 11) is network and not network.training


def test_from_a_shell_a_folder_or_the_test_posts_of_a_run_are_scored(scored, posts, tmp_path):
    run, _, table = scored
    images, labels = posts
    by_photo = table.set_index("image")["score"]
    out = tmp_path / "out.parquet"
    from_shell("folder", "--run-dir", run.root, "--images", images.root, "--device", "cpu", "--out", out)
    found = pd.read_parquet(out)
    assert list(found) == ["image", "score", "reason"]
    assert sorted(found["image"]) == sorted(labels["image"]) and (found["reason"] == "").all()
    assert np.allclose(found["score"], by_photo[found["image"]], atol=1e-5)

    other = create_run(tmp_path / "run")
    shutil.copytree(run.root / "network", other.root / "network")
    other.write_table("labels", labels)
    other.write_json("data", {"images": str(images.root)})
    from_shell("posts", "--run-dir", other.root, "--device", "cpu")
    found = other.read_table("scores")
    assert found["post_id"].tolist() == labels.loc[labels["split"] == "test", "post_id"].tolist()
    assert np.allclose(found["score"], by_photo[found["image"]], atol=1e-5)
