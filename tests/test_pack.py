"""A pack holds each photo once, as it would be decoded, and grows, heals and says what it could not read."""

import os
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from selfie_utils import pack as packing
from selfie_utils.errors import SelfieError
from selfie_utils.files import locked
from selfie_utils.images import ImageFolder, ImageZip
from selfie_utils.pack import NoRoom, pack_in_memory, pack_photos, read_photo
from selfie_utils.photo_batches import batches, open_photos


@pytest.fixture
def images(tmp_path):
    """Ten noisy JPEGs of different shapes, and a file that is none."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i in range(10):
        pixels = rng.integers(0, 256, (50 + 10 * i, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.jpg")
    (folder / "broken.jpg").write_text("no photo")
    return ImageFolder(folder)


def test_packed_photos_are_those_that_would_be_decoded(images, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "SHARD", 4)  # three shards, in two processes
    names = ["7.jpg", "2.jpg", "broken.jpg", *(f"{i}.jpg" for i in range(10))]
    pack = pack_photos(images, names, 32, tmp_path / "pack", processes=2)
    for i, name in enumerate(names):
        if name != "broken.jpg":
            assert (pack.take([i])[0] == read_photo(images, 32, name)).all()
    assert [bool(reason) for reason in pack.reasons] == [name == "broken.jpg" for name in names]
    in_memory = pack_in_memory(images, names, 32)
    everywhere = np.arange(len(names))
    assert (in_memory.take(everywhere) == pack.take(everywhere)).all()
    assert in_memory.reasons.tolist() == pack.reasons.tolist()


def test_two_do_not_pack_into_one_folder_at_once(images, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "PATIENCE", 0.5)
    folder, names = tmp_path / "pack", ["0.jpg", "1.jpg"]
    with locked(folder / ".lock", ""):
        with pytest.raises(SelfieError, match=f"Process {os.getpid()} is packing"):
            pack_photos(images, names, 32, folder)
        assert not list(folder.glob("*.npy"))
    pack_photos(images, names, 32, folder)
    with locked(folder / ".lock", ""):
        assert len(pack_photos(images, names, 32, folder).reasons) == 2  # nothing to write: no need to wait


def test_only_what_is_new_or_changed_or_was_cut_off_is_decoded_again(images, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "SHARD", 3)
    folder, read = tmp_path / "pack", []
    decode = packing.read_photo
    monkeypatch.setattr(packing, "read_photo", lambda *a: read.append(a[2]) or decode(*a))
    names = [f"{i}.jpg" for i in range(6)]
    pack_photos(images, names, 32, folder, processes=1)
    assert sorted(read) == names
    read.clear()
    pack_photos(images, [*names, "9.jpg"], 32, folder, processes=1)
    assert read == ["9.jpg"]
    # One photo is replaced, and of the second shard a kill left the array without its table.
    Image.new("RGB", (40, 40), "teal").save(images.root / "0.jpg")
    os.utime(images.root / "0.jpg", ns=(1, 1))
    (folder / "000001.parquet").unlink()
    read.clear()
    pack = pack_photos(images, names, 32, folder, processes=1)
    assert sorted(read) == ["0.jpg", "3.jpg", "4.jpg", "5.jpg"]
    assert all((pack.take([i])[0] == decode(images, 32, name)).all() for i, name in enumerate(names))


def test_without_room_photos_of_an_archive_are_decoded_in_processes(images, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_room", lambda folder: 0)
    names = [f"{i}.jpg" for i in range(10)] * 20
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in names[:10]:
            archive.write(images.root / name, name)
    photos = open_photos(ImageZip(tmp_path / "photos.zip"), names, 32, tmp_path / "pack")
    read = batches(photos, np.arange(200).reshape(-1, 4), torch.device("cpu"))
    decoded = pack_in_memory(images, names, 32).take(range(200))
    assert (torch.cat(list(read)).permute(0, 2, 3, 1).numpy() == decoded).all()


def test_on_a_disk_that_is_nearly_full_a_small_pack_has_room(images, tmp_path, monkeypatch):
    usage = type(packing.shutil.disk_usage(tmp_path))
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda path: usage(2**40, 2**40 - 2**24, 2**24))
    assert len(pack_photos(images, ["0.jpg"], 32, tmp_path / "pack").reasons) == 1
    with pytest.raises(NoRoom):
        pack_photos(images, [f"{i}.jpg" for i in range(10)], 1024, tmp_path / "large")


def test_a_disk_without_room_is_said_before_anything_is_written(images, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_room", lambda folder: 2**20)
    with pytest.raises(NoRoom, match=r"need .* GB in .*pack"):
        pack_photos(images, [f"{i}.jpg" for i in range(10)], 256, tmp_path / "pack")
    assert not (tmp_path / "pack").exists()
