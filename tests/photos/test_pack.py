"""A pack holds each photo once, as it would be decoded, and grows, heals and says what it could not read."""

import errno
import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
from selfie_utils.photos import pack as packing
from selfie_utils.photos.images import ImageFolder
from selfie_utils.photos.pack import NoRoom, pack_in_memory, pack_photos, read_photo

NAMES = [f"{i}.png" for i in range(10)]


@pytest.fixture
def images(tmp_path):
    """Ten noisy photos, no two of one shape, and a file that is none."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for i, name in enumerate(NAMES):
        pixels = rng.integers(0, 256, (20 + 10 * i, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "broken.png").write_text("no photo")
    return ImageFolder(folder)


def squished(images, name, size=32):
    """A photo as Pillow squishes it."""
    photo = Image.open(images.root / name)
    return np.asarray(photo.resize((size, size), Image.Resampling.BILINEAR))


def holds(pack, images, names):
    """Tell whether each place of a pack has the photo of its name."""
    assert pack.index["image"].tolist() == list(names) and len(pack) == len(names)
    return all((pack.take([i])[0] == squished(images, name)).all() for i, name in enumerate(names))


@pytest.fixture
def read(monkeypatch):
    """The names of photos that this process decodes, in order."""
    names, decode = [], packing.read_photo
    monkeypatch.setattr(packing, "read_photo", lambda *a: names.append(a[2]) or decode(*a))
    return names


def test_photos_stand_in_the_order_asked_for_whatever_cannot_be_read(images, tmp_path, monkeypatch):
    names = ["7.png", "2.png", "broken.png", "gone.png", *reversed(NAMES), "broken.png", "2.png"]
    in_memory = pack_in_memory(images, names, 32)
    monkeypatch.setattr(packing, "SHARD", 5)  # 12 photos in three shards, in a process for each core
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    monkeypatch.setattr(packing, "read_photo", None)  # not in this one
    packed = pack_photos(images, names, 32, tmp_path / "pack")
    shapes = [np.load(path).shape for path in sorted((tmp_path / "pack").glob("*.npy"))]
    assert shapes == [(5, 32, 32, 3), (5, 32, 32, 3), (2, 32, 32, 3)]
    wanted = [
        np.zeros((32, 32, 3)) if name in ("broken.png", "gone.png") else squished(images, name)
        for name in names
    ]
    told = {"broken.png": "not an image", "gone.png": "file is missing"}
    for pack in (in_memory, packed):
        assert (pack.take(range(16)) == wanted).all() and pack.take(range(16)).dtype == np.uint8
        some = [15, 2, 0, 0, 9]
        assert (pack.take(some) == np.array(wanted)[some]).all()
        assert pack.reasons.tolist() == [told.get(name, "") for name in names]
        assert pack.index["image"].tolist() == names and len(pack) == 16
        assert pack.take([]).shape == (0, 32, 32, 3)
    assert all(isinstance(shard, np.memmap) for shard in packed.shards.values())


def test_of_no_photos_nothing_is_packed(images, tmp_path):
    pack = pack_photos(images, [], 32, tmp_path / "pack")
    assert len(pack) == 0 and pack.take([]).shape == (0, 32, 32, 3) and not (tmp_path / "pack").exists()


def test_a_single_photo_is_squished_as_pillow_does(images):
    photo = read_photo(images, 40, "9.png")
    assert (photo == squished(images, "9.png", 40)).all() and photo.dtype == np.uint8


def test_only_what_is_new_or_changed_or_was_cut_off_is_decoded_again(images, tmp_path, monkeypatch, read):
    monkeypatch.setattr(packing, "SHARD", 3)
    folder, names = tmp_path / "pack", NAMES[:6]
    pack_photos(images, names, 32, folder, processes=1)
    assert read == names
    read.clear()
    assert holds(pack_photos(images, ["9.png", *names], 32, folder, processes=2), images, ["9.png", *names])
    assert read == ["9.png"]  # a single shard does not need another process
    # One photo is replaced; of the second shard a kill left the array without its table, and of another
    # both by the names that they have while they are written.
    before = os.stat(images.root / "0.png")
    Image.new("RGB", (40, 40), "teal").save(images.root / "0.png", compress_level=0)
    os.utime(images.root / "0.png", ns=(before.st_mtime_ns, before.st_mtime_ns))  # of another size only
    (folder / "000001.parquet").unlink()
    (folder / ".000007.1.part.parquet").write_bytes(b"half")
    (folder / ".000007.1.part.npy").write_bytes(b"half")
    read.clear()
    assert holds(pack_photos(images, NAMES, 32, folder, processes=1), images, NAMES)
    assert sorted(read) == ["0.png", "3.png", "4.png", "5.png", "6.png", "7.png", "8.png"]
    teal = (images.root / "0.png").read_bytes()
    Image.new("RGB", (40, 40), "pink").save(images.root / "0.png", compress_level=0)
    pink = (images.root / "0.png").read_bytes()
    assert len(teal) == len(pink)  # of another date only
    os.utime(images.root / "0.png", ns=(1, 1))
    read.clear()
    assert holds(pack_photos(images, NAMES, 32, folder, processes=1), images, NAMES)
    assert read == ["0.png"]


def test_a_photo_that_could_not_be_read_is_not_tried_again_before_it_changes(images, tmp_path, read):
    folder, names = tmp_path / "pack", ["1.png", "broken.png"]
    assert pack_photos(images, names, 32, folder).reasons.tolist() == ["", "not an image"]
    read.clear()
    assert pack_photos(images, names[::-1], 32, folder).reasons.tolist() == ["not an image", ""]
    assert not read
    Image.new("RGB", (40, 40), "teal").save(images.root / "broken.png")
    assert holds(pack_photos(images, names, 32, folder), images, names) and read == ["broken.png"]


# --- two at once -------------------------------------------------------------------------------------------


def test_two_do_not_pack_into_one_folder_at_once(images, tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "PATIENCE", 0.1)
    folder = tmp_path / "pack"
    with locked(folder / ".lock", ""):
        with pytest.raises(SelfieError, match=f"Process {os.getpid()} is packing photos in {folder}: wait"):
            pack_photos(images, NAMES[:2], 32, folder)
        assert not list(folder.glob("*.npy"))
    pack_photos(images, NAMES[:2], 32, folder)
    with locked(folder / ".lock", ""):
        assert len(pack_photos(images, NAMES[:2], 32, folder)) == 2  # nothing to write: no need to wait


def test_who_has_waited_decodes_nothing_that_the_other_has_packed(images, tmp_path, read):
    folder, elsewhere = tmp_path / "pack", tmp_path / "elsewhere"
    pack_photos(images, NAMES[:3], 32, elsewhere)
    read.clear()
    waiting = threading.Event()

    def other():
        with locked(folder / ".lock", ""):
            waiting.set()
            time.sleep(0.5)
            for name in ("000000.npy", "000000.parquet"):
                os.replace(elsewhere / name, folder / name)

    thread = threading.Thread(target=other)
    thread.start()
    waiting.wait()
    pack = pack_photos(images, NAMES[:4], 32, folder)
    thread.join()
    assert read == ["3.png"] and holds(pack, images, NAMES[:4])


# --- disks that are full -----------------------------------------------------------------------------------


def leave_free(monkeypatch, folder, free):
    """Have the disk of a folder, which is there, so many bytes free; of others nothing is known."""
    disks = {folder: SimpleNamespace(free=free)}
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda path: disks[path])


def test_a_pack_may_take_nine_tenths_of_what_is_free(images, tmp_path, monkeypatch):
    folder = tmp_path / "packed" / "32"
    leave_free(monkeypatch, tmp_path, 6826)  # 6,143 bytes; two photos take 6,144
    with pytest.raises(NoRoom, match=rf"need 0.0 GB in {folder}, and a tenth"):
        pack_photos(images, ["0.png", "1.png", "0.png"], 32, folder)
    assert not folder.parent.exists()
    leave_free(monkeypatch, tmp_path, 6827)
    assert len(pack_photos(images, ["0.png", "1.png", "0.png"], 32, folder)) == 3
    leave_free(monkeypatch, folder, 0)
    assert len(pack_photos(images, ["1.png", "0.png"], 32, folder)) == 2  # both are there
    with pytest.raises(NoRoom):
        pack_photos(images, ["1.png", "2.png"], 32, folder)


def test_too_little_room_is_told_in_gigabytes(images, tmp_path, monkeypatch):
    leave_free(monkeypatch, tmp_path, 2**30)
    with pytest.raises(NoRoom, match=r"need 1\.9 GB in .*pack, .* choose a smaller image_size"):
        pack_photos(images, NAMES, 8192, tmp_path / "pack")  # ten photos of 3 * 2**26 bytes


def test_a_disk_that_fills_up_meanwhile_keeps_what_was_whole(images, tmp_path, monkeypatch, read):
    monkeypatch.setattr(packing, "SHARD", 3)
    folder, save = tmp_path / "pack", np.save

    def full(path, photos):
        if len(list(folder.glob("*.npy"))) == 1:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, "No space left on device")
        save(path, photos)

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", full)
        told = rf"cannot be written to {folder} \(.*No space left on device\): the disk may be full"
        with pytest.raises(SelfieError, match=told):
            pack_photos(images, NAMES, 32, folder, processes=1)
    assert sorted(path.name for path in folder.iterdir()) == [".lock", "000000.npy", "000000.parquet"]
    read.clear()
    assert holds(pack_photos(images, NAMES, 32, folder, processes=1), images, NAMES)
    assert read == NAMES[3:]


def test_a_process_that_decodes_does_not_wait_for_the_networks_library():
    """Each that is started imports what its job comes from: torch takes seconds, sixteen at once many."""
    look = (
        "import sys, selfie_utils.photos.pack, selfie_utils.photos.face_filter; print('torch' in sys.modules)"
    )
    assert (
        subprocess.run([sys.executable, "-c", look], capture_output=True, text=True).stdout.strip() == "False"
    )
    assert packing.decode_ahead.__module__ == packing._decode_part.__module__ == packing.__name__
