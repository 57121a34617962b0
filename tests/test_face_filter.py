"""The face filter gives one answer however it is run, and never looks twice at a photo that it knows."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image
from skimage import data

from selfie_utils.errors import SelfieError
from selfie_utils.face_filter import filter_faces
from selfie_utils.images import ImageFolder

COUNT = 400

# Looks at the photos of a folder and notes the name of each that is read.
LOOK = """
import sys
from pathlib import Path
from selfie_utils.face_filter import filter_faces
from selfie_utils.images import ImageFolder

class Watched(ImageFolder):
    def read(self, name):
        with open(self.root.parent / "seen.txt", "a") as seen:
            seen.write(name + "\\n")
        return super().read(name)

root = Path(sys.argv[1])
images = Watched(root / "photos")
filter_faces(images, images.names(), root / "log", processes=1)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos with and without a face, and two that can't be read."""
    root = tmp_path_factory.mktemp("faces")
    (root / "photos").mkdir()
    faces, none = (Image.fromarray(getattr(data, name)()) for name in ("astronaut", "coffee"))
    for i in range(COUNT):
        out = io.BytesIO()
        (none if i % 4 == 3 else faces).resize((160 + i % 40, 160)).save(out, "JPEG", quality=80)
        content = {7: b"", 250: out.getvalue()[:900]}.get(i, out.getvalue())
        (root / "photos" / f"{i:03d}.jpg").write_bytes(content)
    return root


@pytest.fixture(scope="module")
def plain(folder):
    """What a single process finds, without a log."""
    images = ImageFolder(folder / "photos")
    return filter_faces(images, images.names(), processes=1)


def test_faces_and_reasons_come_in_the_order_asked_for(plain):
    faces, skipped = plain
    assert skipped["image"].tolist() == ["007.jpg", "250.jpg"]
    assert skipped["reason"].tolist() == ["file is empty", "image is cut short"]
    assert faces["image"].is_monotonic_increasing and len(faces) == COUNT - 2
    assert faces["faces"].sum() == pytest.approx(COUNT * 3 / 4, abs=6)


def test_processes_find_the_same_and_end_with_the_run(folder, plain, tmp_path):
    images = ImageFolder(folder / "photos")
    faces, skipped = filter_faces(images, images.names(), tmp_path / "log", processes=2)
    pd.testing.assert_frame_equal(faces, plain[0], atol=1e-4)
    pd.testing.assert_frame_equal(skipped, plain[1])


def test_killed_in_the_middle_it_goes_on_without_looking_twice(folder, plain, tmp_path):
    (tmp_path / "photos").symlink_to(folder / "photos")
    log, seen, command = tmp_path / "log", tmp_path / "seen.txt", [sys.executable, "-c", LOOK, str(tmp_path)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    while process.poll() is None and (not seen.exists() or len(seen.read_text().split()) < 150):
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was done before it could be killed"
    written = next(log.iterdir())
    with open(written, "ab") as torn:  # the kill may have come in the middle of a write
        torn.write(b"\xff\xff\xff\xff\x10\x00")
    before = seen.read_text().split()
    seen.unlink()
    assert subprocess.run(command, stderr=subprocess.DEVNULL).returncode == 0
    after = seen.read_text().split()
    assert set(before) | set(after) == {f"{i:03d}.jpg" for i in range(COUNT)}
    # Only the photos that were in hand when it was killed are looked at again.
    assert len(set(before) & set(after)) <= 64 and len(after) == len(set(after)) < COUNT - 60
    images = ImageFolder(folder / "photos")
    again = filter_faces(images, images.names(), log, processes=1)
    pd.testing.assert_frame_equal(again[0], plain[0])


def test_only_new_and_changed_photos_are_looked_at_again(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(3):
        Image.fromarray(data.coffee()).save(tmp_path / "photos" / f"{i}.jpg")

    class Watched(ImageFolder):
        def read(self, name):
            looked_at.append(name)
            return super().read(name)

    def look(confidence=0.5):
        looked_at.clear()
        images = Watched(tmp_path / "photos")
        faces, _ = filter_faces(images, images.names(), tmp_path / "log", confidence)
        return looked_at[:], faces["faces"].tolist()

    looked_at = []
    assert look() == (["0.jpg", "1.jpg", "2.jpg"], [0, 0, 0]) and look() == ([], [0, 0, 0])
    Image.fromarray(data.astronaut()).save(tmp_path / "photos" / "1.jpg")
    assert look() == (["1.jpg"], [0, 1, 0])
    Image.fromarray(data.astronaut()).save(tmp_path / "photos" / "3.jpg")
    assert look() == (["3.jpg"], [0, 1, 0, 1])
    assert look(0.6)[0] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert [p.name for p in (tmp_path / "log").iterdir()] == ["000000.arrows"]


class Deadly(ImageFolder):
    """A folder whose photos take the process down with them, as a lack of memory would."""

    def read(self, name):
        os.kill(os.getpid(), signal.SIGKILL)


def test_a_process_that_dies_is_told_in_one_sentence(folder):
    images = Deadly(folder / "photos")
    with pytest.raises(SelfieError, match="died, most often for lack of memory"):
        filter_faces(images, images.names(), processes=2)


def test_no_process_is_left_when_the_run_is_killed(folder, tmp_path):
    (tmp_path / "photos").symlink_to(folder / "photos")
    script = tmp_path / "look.py"
    body = LOOK.replace("processes=1", "processes=2").replace(
        "\nfilter_faces", "\nif __name__ == '__main__':\n    filter_faces"
    )
    script.write_text(body)
    process = subprocess.Popen([sys.executable, script, tmp_path], stderr=subprocess.DEVNULL)
    while process.poll() is None and not (tmp_path / "seen.txt").exists():
        time.sleep(0.05)
    children = [int(p) for p in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]
    assert len(children) >= 2
    process.kill()
    process.wait()
    for _ in range(200):
        alive = [pid for pid in children if Path(f"/proc/{pid}/stat").exists() and _state(pid) != "Z"]
        if not alive:
            return
        time.sleep(0.05)
    raise AssertionError(f"still running: {alive}")


def _state(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return "Z"
