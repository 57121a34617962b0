"""Photos come to the network in batches of almost equal size, in order, some of them read in advance."""

import threading
import time
import zipfile

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.parallel import in_advance
from selfie_utils.model import batches as module
from selfie_utils.model.batches import (
    PhotoSet,
    batches,
    batches_in,
    cut,
    forward_batch,
    open_photos,
)
from selfie_utils.photos import pack as packing
from selfie_utils.photos.archives import ImageZip
from selfie_utils.photos.images import ImageFolder
from selfie_utils.photos.pack import PhotoPack

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Eleven photos of 8 px, which squishing leaves as they are: their folder, and their pixels by name."""
    folder, rng = tmp_path_factory.mktemp("photos"), np.random.default_rng(0)
    pixels = {f"{i}.png": rng.integers(0, 256, (8, 8, 3), dtype=np.uint8) for i in range(11)}
    for name, photo in pixels.items():
        Image.fromarray(photo).save(folder / name)
    return ImageFolder(folder), pixels


def test_batches_are_almost_equal_and_a_rest_makes_none_of_its_own():
    for photos, batch_size, sizes in (
        (17, 6, [6, 6, 5]), (13, 6, [7, 6]), (7, 6, [7]), (8, 6, [8]), (10, 6, [5, 5]), (3, 6, [3]),
        (1, 6, [1]), (12, 6, [6, 6]), (3, 1, [1, 1, 1]), (33, 32, [33]), (49, 32, [25, 24]),
    ):  # fmt: skip
        order = np.random.default_rng(0).permutation(photos)
        parts = cut(order, batch_size)
        assert [len(part) for part in parts] == sizes
        assert batches_in(photos, batch_size) == len(sizes)
        assert np.concatenate(parts).tolist() == order.tolist()


@given(photos=st.integers(2, 2000), batch_size=st.integers(3, 300))
def test_no_batch_has_a_single_photo_and_none_is_far_from_the_size_asked_for(photos, batch_size):
    sizes = [len(part) for part in cut(range(photos), batch_size)]
    assert sum(sizes) == photos and min(sizes) >= 2 and max(sizes) - min(sizes) <= 1
    assert max(sizes) <= 1.5 * batch_size + 1 and (len(sizes) == 1 or min(sizes) >= batch_size / 2)


def test_a_gpu_scores_more_photos_at_once():
    assert [forward_batch(torch.device(kind)) for kind in ("cpu", "cuda", "mps")] == [32, 256, 256]


def test_photos_of_a_pack_come_in_the_order_of_the_parts(photos, tmp_path):
    images, pixels = photos
    names = pd.Series(pixels).index[[4, 0, 10, 7, 2]]
    parts = [np.array([4, 0]), np.array([1, 2, 3]), np.array([2])]
    for folder in (None, tmp_path / "pack"):
        found = list(batches(open_photos(images, names, 8, folder), parts, CPU))
        for batch, part in zip(found, parts, strict=True):
            assert batch.is_contiguous(memory_format=torch.channels_last) and batch.dtype == torch.uint8
            wanted = np.stack([pixels[names[i]] for i in part])  # (N, S, S, 3)
            assert (batch.numpy() == wanted.transpose(0, 3, 1, 2)).all()
    assert list((tmp_path / "pack").glob("*.npy"))


def test_without_room_photos_of_an_archive_are_decoded_in_processes(photos, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(packing, "_room", lambda folder: 0)
    images, pixels = photos
    names = list(pixels) * 3
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in pixels:
            archive.write(images.root / name, name)
    opened = open_photos(ImageZip(tmp_path / "photos.zip"), names, 8, tmp_path / "pack")
    assert isinstance(opened, PhotoSet) and len(opened) == 33
    assert "choose a smaller image_size. They are decoded again in every epoch" in capsys.readouterr().out
    parts = cut(np.arange(33)[::-1], 4)
    read = torch.cat(list(batches(opened, parts, CPU))).permute(0, 2, 3, 1).numpy()
    assert (read == np.stack([pixels[name] for name in names[::-1]])).all()


def test_photos_are_kept_in_memory_up_to_a_limit(photos, monkeypatch):
    images, pixels = photos
    monkeypatch.setattr(module, "IN_MEMORY", 11 * 8 * 8 * 3)
    assert isinstance(open_photos(images, list(pixels), 8), PhotoPack)
    monkeypatch.setattr(module, "IN_MEMORY", 11 * 8 * 8 * 3 - 1)
    assert isinstance(open_photos(images, list(pixels), 8), PhotoSet)


def test_a_photo_that_has_become_unreadable_is_named_with_the_reason(photos, tmp_path):
    _, pixels = photos
    (tmp_path / "torn.png").write_text("no photo")
    for name, photo in pixels.items():
        Image.fromarray(photo).save(tmp_path / name)
    names = pd.Series(["3.png", "torn.png", "gone.png"], index=[7, 3, 5])
    told = r"^torn\.png not an image, but it could be read before: run notebooks/00_data\.ipynb again\.$"
    for folder in (None, tmp_path / "pack"):
        with pytest.raises(SelfieError, match=told):
            open_photos(ImageFolder(tmp_path), names, 8, folder)
    one_by_one = PhotoSet(ImageFolder(tmp_path), names, 8)
    assert (one_by_one[0].numpy() == pixels["3.png"]).all()
    with pytest.raises(SelfieError, match=told):
        one_by_one[1]


def test_results_come_in_order_though_the_first_takes_longest():
    def work(job):
        time.sleep(0.1 if job == 0 else 0)
        return job * 10

    for jobs in (0, 1, 4, 5, 6, 13):
        assert list(in_advance(work, range(jobs))) == [10 * job for job in range(jobs)]


def test_four_batches_are_read_before_they_are_asked_for_and_no_more():
    asked = []
    found = in_advance(str, (asked.append(i) or i for i in range(20)))
    assert not asked
    for ahead in (5, 6, 7):
        next(found)
        assert len(asked) == ahead  # one to give, four to come
    found.close()


@pytest.mark.parametrize(("threads", "at_once"), [(None, 2), (1, 1), (3, 3)])
def test_so_many_threads_work_at_once(threads, at_once):
    together, lock, now, most = threading.Barrier(at_once, timeout=60), threading.Lock(), [], []

    def work(job):
        with lock:
            now.append(job)
            most.append(len(now))
        together.wait()  # breaks where there are fewer
        with lock:
            now.remove(job)

    list(in_advance(work, range(12), *([threads] if threads else [])))
    assert max(most) == at_once


def test_an_error_comes_where_its_result_would():
    found = in_advance(lambda job: 1 / job, [1, 2, 0, 4])
    assert [next(found), next(found)] == [1, 0.5]
    with pytest.raises(ZeroDivisionError):
        next(found)
