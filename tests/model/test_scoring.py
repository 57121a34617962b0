"""Scores and fc7 stand side by side, of the right posts, whatever cannot be read and whoever helps."""

import errno
import os
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from toy_posts import chance_of_good, pixels_of, toy
from typer.testing import CliRunner

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
from selfie_utils.core.run_folder import create_run
from selfie_utils.model import scoring
from selfie_utils.model.processes import Processes
from selfie_utils.model.scorer import Scorer
from selfie_utils.model.scoring import score_pack, score_posts, score_run
from selfie_utils.photos import pack as packing
from selfie_utils.photos.images import ImageFolder
from selfie_utils.photos.pack import pack_in_memory


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


def from_shell(*arguments):
    """Run a command of the module in this process."""
    done = CliRunner().invoke(scoring.app, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output


def in_threads(size, work):
    """Return work(processes) of so many threads, which meet as processes of torchrun would."""
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
    tables = in_threads(3, lambda processes: score_posts(run, network, images, labels, processes))
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

    monkeypatch.setattr(Scorer, "rate_batch", broken)
    with pytest.raises(KeyboardInterrupt):
        score_posts(run, toy(seed=1), *posts, "cpu")
    assert run.read_table("scores").equals(before) and (run.read_features() == features).all()
    assert not list(run.root.glob(".features*"))


def test_from_a_shell_the_test_posts_of_a_run_are_scored(scored, posts, tmp_path):
    run, _, table = scored
    images, labels = posts
    by_photo = table.set_index("image")["score"]
    other = create_run(tmp_path / "run")
    shutil.copytree(run.root / "network", other.root / "network")
    other.write_table("labels", labels)
    other.write_json("data", {"images": str(images.root)})
    from_shell("posts", "--run-dir", other.root, "--device", "cpu")
    found = other.read_table("scores")
    assert found["post_id"].tolist() == labels.loc[labels["split"] == "test", "post_id"].tolist()
    assert np.allclose(found["score"], by_photo[found["image"]], atol=1e-5)
