"""The face filter gives one answer however it is run, and never looks twice at a photo that it knows."""

import importlib.util
import io
import os
import signal
import subprocess
import sys
import time
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data

from selfie_utils.core import code
from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.archives import ImageZip
from selfie_utils.photos.copies import perceptual_hash
from selfie_utils.photos.face_filter import filter_faces, need_some
from selfie_utils.photos.faces import COLUMNS
from selfie_utils.photos.images import ImageFolder, UnreadableImage

COUNT = 301  # one more than are looked at without other processes

# Looks at the photos of a folder and notes the name of each that is read; slow enough to be killed.
LOOK = """
import sys, time
from pathlib import Path
from selfie_utils.photos.face_filter import filter_faces
from selfie_utils.photos.images import ImageFolder

class Watched(ImageFolder):
    def read(self, name):
        time.sleep(0.01)
        with open(self.root.parent / "seen.txt", "a") as seen:
            seen.write(name + "\\n")
        return super().read(name)

root = Path(sys.argv[1])
images = Watched(root / "photos")
filter_faces(images, images.names(), root / "log", processes=1)
"""


def jpeg(image):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


@cache
def scenes():
    """A face in the left of a wide photo, the same in the right, none; and what can't be read."""
    person = Image.fromarray(data.astronaut()).resize((160, 160))
    left, right = (Image.new("RGB", (240, 160), (90, 120, 90)) for _ in range(2))
    left.paste(person, (0, 0))
    right.paste(person, (80, 0))
    none = Image.fromarray(data.coffee()).resize((200, 160))
    return {
        "left": jpeg(left),
        "right": jpeg(right),
        "none": jpeg(none),
        "cut": jpeg(none)[:900],
        "empty": b"",
    }


def shows(number):
    """What a photo of the folder shows: most nothing at all, since a look takes its time."""
    return {0: "left", 3: "right", 5: "none", 8: "cut"}.get(number % 13, "empty")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos with and without a face, and many that can't be read."""
    root = tmp_path_factory.mktemp("faces")
    (root / "photos").mkdir()
    content = scenes()
    for i in range(COUNT):
        (root / "photos" / f"{i:03d}.jpg").write_bytes(content[shows(i)])
    return root


@pytest.fixture(scope="module")
def plain(folder):
    """What a single process finds, without a log."""
    images = ImageFolder(folder / "photos")
    return filter_faces(images, images.names(), processes=1)


class Watched(ImageFolder):
    """A folder that notes which process reads what."""

    def read(self, name):
        with open(self.root.parent / "read.txt", "a") as notes:
            notes.write(f"{os.getpid()} {name}\n")
        return super().read(name)

    def taken(self):
        """Return the processes and names of what was read since the last time."""
        notes = self.root.parent / "read.txt"
        lines = [line.split() for line in notes.read_text().splitlines()] if notes.exists() else []
        notes.unlink(missing_ok=True)
        return {int(process) for process, _ in lines}, [name for _, name in lines]


@pytest.fixture
def few(tmp_path):
    """Write the photos that are asked for, by name and what they show; returns their folder, watched."""

    def write(**photos):
        (tmp_path / "photos").mkdir(exist_ok=True)
        for name, what in photos.items():
            (tmp_path / "photos" / f"{name}.jpg").write_bytes(scenes().get(what, what))
        return Watched(tmp_path / "photos")

    return write


def test_each_row_is_of_its_photo_in_the_order_asked_for(folder, plain):
    faces, skipped = plain
    kinds = [shows(i) for i in range(COUNT)]
    assert faces["image"].tolist() == [
        f"{i:03d}.jpg" for i in range(COUNT) if kinds[i] not in ("cut", "empty")
    ]
    assert skipped["image"].tolist() == [f"{i:03d}.jpg" for i in range(COUNT) if kinds[i] in ("cut", "empty")]
    seen = pd.Series([shows(int(name[:3])) for name in faces["image"]])
    assert faces["faces"].tolist() == [0 if kind == "none" else 1 for kind in seen]
    middle = (faces["left"] + faces["right"]) / 2
    # Her face is 0.44 across the square, which takes 160 of 240 px from the left or from px 80 on.
    assert middle[seen == "left"].to_numpy() == pytest.approx(0.44 * 2 / 3, abs=0.03)
    assert middle[seen == "right"].to_numpy() == pytest.approx(1 / 3 + 0.44 * 2 / 3, abs=0.03)
    assert faces.loc[seen == "none", "confidence":"mouth_right_y"].isna().all(axis=None)
    reasons = [
        {"cut": "image is cut short", "empty": "file is empty"}[shows(int(n[:3]))] for n in skipped["image"]
    ]
    assert skipped["reason"].tolist() == reasons and skipped.columns.tolist() == ["image", "reason"]
    assert faces.index.tolist() == list(range(len(faces))) and skipped.index[-1] == len(skipped) - 1


def test_shuffled_names_with_gaps_get_their_own_rows(folder, plain, tmp_path):
    names = np.random.default_rng(8).permutation([f"{i:03d}.jpg" for i in range(0, 130, 3)]).tolist()
    names.insert(5, "vanished.jpg")
    for log in (None, tmp_path / "log"):
        faces, skipped = filter_faces(ImageFolder(folder / "photos"), names, log)
        known = plain[0].set_index("image")
        wanted = known.loc[[name for name in names if name in known.index]].reset_index()
        pd.testing.assert_frame_equal(faces, wanted, atol=1e-3)
        assert skipped["image"].tolist() == [name for name in names if name not in known.index]
        assert skipped.set_index("image")["reason"]["vanished.jpg"] == "file is missing"
    # And the other way round, from what is known.
    again, _ = filter_faces(ImageFolder(folder / "photos"), names[::-1], tmp_path / "log")
    assert again["image"].tolist() == faces["image"].tolist()[::-1]
    pd.testing.assert_frame_equal(again.iloc[::-1].reset_index(drop=True), faces, atol=1e-3)


def test_hashes_are_those_of_the_photo_and_of_the_right_type(plain, folder):
    faces, _ = plain
    for image in ("000.jpg", "003.jpg", "005.jpg"):
        row = faces[faces["image"] == image].iloc[0]
        hashes = perceptual_hash(Image.open(folder / "photos" / image))
        assert {key: row[key] for key in hashes} == hashes
    types = {key: str(faces[key].dtype) for key in ("faces", "confidence", "phash", "phash_3", "detail")}
    assert types == {
        "faces": "int64", "confidence": "float64", "phash": "uint64", "phash_3": "uint64", "detail": "bool"
    }  # fmt: skip


def test_without_any_photo_the_tables_are_empty(few):
    for images, names in ((few(), []), (few(a="empty"), ["a.jpg"])):
        faces, skipped = filter_faces(images, names)
        assert len(faces) == 0 and len(skipped) == len(names)
        assert {"image", "faces", "confidence", "left", "phash", "detail"} <= set(faces.columns)
        assert skipped.columns.tolist() == ["image", "reason"]


def test_the_largest_face_of_a_photo_is_the_one_that_is_kept(few):
    person = Image.fromarray(data.astronaut())
    pair = Image.new("RGB", (768, 512), (90, 120, 90))
    pair.paste(person.resize((256, 256)), (0, 200))
    pair.paste(person, (256, 0))
    faces, _ = filter_faces(few(pair=jpeg(pair)), ["pair.jpg"])
    assert faces["faces"].tolist() == [2] and faces["left"][0] > 0.4


def test_a_face_is_kept_only_above_the_confidence_asked_for(few):
    images = few(a="left")
    ((sure,),) = filter_faces(images, ["a.jpg"])[0][["confidence"]].T.to_numpy()
    for least, count in ((sure - 0.01, 1), (sure + 0.01, 0)):
        assert filter_faces(images, ["a.jpg"], min_confidence=least)[0]["faces"].tolist() == [count]


def test_a_large_photo_is_read_as_a_fraction(few):
    # 90 megapixels in the header alone: more than would be decoded whole.
    content = scenes()["left"]
    at = content.index(b"\xff\xc0") + 5
    claims = content[:at] + (9000).to_bytes(2, "big") + (10_000).to_bytes(2, "big") + content[at + 4 :]
    faces, skipped = filter_faces(few(a=claims), ["a.jpg"])
    assert faces["image"].tolist() == ["a.jpg"] and skipped.empty


def test_processes_find_the_same_and_end_with_the_run(folder, plain, tmp_path):
    (tmp_path / "photos").symlink_to(folder / "photos")
    images = Watched(tmp_path / "photos")
    faces, skipped = filter_faces(images, images.names(), tmp_path / "deep" / "log", processes=2)
    pd.testing.assert_frame_equal(faces, plain[0], atol=1e-3)
    pd.testing.assert_frame_equal(skipped, plain[1])
    processes, names = images.taken()
    assert os.getpid() not in processes and sorted(names) == images.names()


def test_300_photos_are_looked_at_in_this_process(few):
    names = [f"{i}.jpg" for i in range(300)]  # none of them is there
    images = few()
    assert len(filter_faces(images, names, processes=2)[1]) == 300
    assert images.taken() == ({os.getpid()}, names)


def test_one_process_is_this_one(few):
    names = [f"{i}.jpg" for i in range(301)]
    images = few()
    assert len(filter_faces(images, names, processes=1)[1]) == 301
    assert images.taken() == ({os.getpid()}, names)


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
    images = Watched(tmp_path / "photos")
    again = filter_faces(images, images.names(), log, processes=1)
    _, after = images.taken()
    assert set(before) | set(after) == {f"{i:03d}.jpg" for i in range(COUNT)}
    # Only the photos that were in hand when it was killed are looked at again.
    assert len(set(before) & set(after)) <= 64 and len(after) == len(set(after)) <= COUNT - 128
    pd.testing.assert_frame_equal(again[0], plain[0], atol=1e-3)
    pd.testing.assert_frame_equal(again[1], plain[1])


class Stops(Watched):
    """A folder at whose photo number `at` somebody presses Ctrl-C."""

    def __init__(self, root, at):
        super().__init__(root)
        self.left = at

    def read(self, name):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return super().read(name)


def test_what_was_found_last_counts_however_often_it_was_stopped(few):
    names = [f"{i:03d}" for i in range(70)]
    images = few(**dict.fromkeys(names, b"no photo"))
    log, files = images.root.parent / "log", [f"{name}.jpg" for name in names]
    for content in (b"no photo either", b"nor this one here"):  # each longer, so of another stamp
        with pytest.raises(KeyboardInterrupt):
            filter_faces(Stops(images.root, 66), files, log)
        few(**dict.fromkeys(names[:64], content))
    with pytest.raises(KeyboardInterrupt):
        filter_faces(Stops(images.root, 66), files, log)
    assert len(list(log.iterdir())) == 3
    images.taken()
    few(**{"069": "none"})
    faces, skipped = filter_faces(images, files, log)
    assert images.taken()[1] == files[64:]  # those of the second batch, which was never finished
    assert faces["image"].tolist() == ["069.jpg"] and skipped["image"].tolist() == files[:69]
    assert [path.name for path in log.iterdir()] == ["000000.arrows"]
    filter_faces(images, files, log)
    assert images.taken()[1] == []


def test_only_new_and_changed_photos_are_looked_at_again(few):
    def look(confidence=0.5):
        faces, _ = filter_faces(images, images.names(), log, confidence)
        return images.taken()[1], faces["faces"].tolist()

    images = few(**{"0": "none", "1": "none", "2": "none"})
    log = images.root.parent / "log"
    assert look() == (["0.jpg", "1.jpg", "2.jpg"], [0, 0, 0]) and look() == ([], [0, 0, 0])
    few(**{"1": "left"})
    assert look() == (["1.jpg"], [0, 1, 0])
    few(**{"3": "right"})
    assert look() == (["3.jpg"], [0, 1, 0, 1])
    assert look(0.6)[0] == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    os.utime(images.root / "2.jpg", ns=(1, 1))  # as after an edit that keeps its size
    assert look(0.6)[0] == ["2.jpg"]
    assert [p.name for p in log.iterdir()] == ["000000.arrows"]


def test_a_photo_that_vanishes_and_comes_back_is_looked_at_each_time(few):
    images = few(a="left", b="none")
    log, names = images.root.parent / "log", ["b.jpg", "a.jpg"]
    filter_faces(images, names, log)
    (images.root / "a.jpg").rename(images.root / "kept")
    faces, skipped = filter_faces(images, names, log)
    assert faces["image"].tolist() == ["b.jpg"]
    assert skipped.to_numpy().tolist() == [["a.jpg", "file is missing"]]
    (images.root / "kept").rename(images.root / "a.jpg")
    images.taken()
    faces, skipped = filter_faces(images, names, log)
    assert faces["faces"].tolist() == [0, 1] and skipped.empty and images.taken()[1] == ["a.jpg"]


class Away(Watched):
    """A folder whose disk does not answer."""

    def read(self, name):
        super().read(name)
        raise UnreadableImage("file cannot be read (Input/output error)")


def test_what_could_not_be_read_at_all_is_looked_at_again_and_what_is_no_photo_is_not(few):
    images = few(a="left", b="cut", c="none")
    log, names = images.root.parent / "log", ["a.jpg", "b.jpg", "c.jpg"]
    faces, skipped = filter_faces(Away(images.root), names, log)
    assert faces.empty and skipped["image"].tolist() == names
    images.taken()
    faces, skipped = filter_faces(images, names, log)
    assert faces["faces"].tolist() == [1, 0] and skipped["image"].tolist() == ["b.jpg"]
    assert images.taken()[1] == names
    filter_faces(images, names, log)
    assert images.taken()[1] == []


def test_with_another_decoder_photos_are_looked_at_again(few, monkeypatch):
    """A photo that nobody could read yesterday is read once the package that can is there."""
    images = few(a="left", b="empty")
    log = images.root.parent / "log"
    find = importlib.util.find_spec
    for there in (True, False, True):
        heic = {"pillow_heif": there or None}
        monkeypatch.setattr("importlib.util.find_spec", lambda name, heic=heic: heic.get(name, find(name)))
        images.taken()
        filter_faces(images, ["a.jpg", "b.jpg"], log)
        assert images.taken()[1] == ["a.jpg", "b.jpg"]
        filter_faces(images, ["a.jpg", "b.jpg"], log)
        assert images.taken()[1] == []


def test_a_look_at_some_known_photos_forgets_none_of_the_others(few):
    images = few(a="none", b="left", c="empty")
    log = images.root.parent / "log"
    filter_faces(images, ["a.jpg", "b.jpg", "c.jpg"], log)
    faces, _ = filter_faces(images, ["b.jpg"], log)
    assert faces["image"].tolist() == ["b.jpg"] and faces["faces"].tolist() == [1]
    images.taken()
    filter_faces(images, ["c.jpg", "b.jpg", "a.jpg"], log)
    assert images.taken()[1] == []


def test_notes_hold_for_photos_of_an_archive_until_their_content_changes(tmp_path):
    class WatchedZip(ImageZip):
        def read(self, name):
            looked_at.append(name)
            return super().read(name)

    looked_at = []
    for content, wanted in ((b"1234", ["a", "b"]), (b"1234", []), (b"1235", ["b"])):  # the same size
        with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
            archive.writestr("a", b"same")
            archive.writestr("b", content)
        filter_faces(WatchedZip(tmp_path / "photos.zip"), ["a", "b"], tmp_path / "log")
        assert looked_at == wanted
        looked_at.clear()


@pytest.mark.parametrize(
    "module, again",
    [("photos.faces", True), ("photos.images", True), ("photos.copies", True), ("show.charts", False)],
)
def test_an_edit_of_the_code_that_looks_makes_what_is_known_outdated(
    few, monkeypatch, tmp_path, module, again
):
    images = few(a="empty")
    for wanted in (["a.jpg"], []):
        filter_faces(images, ["a.jpg"], tmp_path / "log")
        assert images.taken()[1] == wanted
    source = code._source
    edited = lambda name: source(name) + b"# edited" * (name == f"selfie_utils.{module}")  # noqa: E731
    monkeypatch.setattr(code, "_source", edited)
    code.fingerprint.cache_clear()  # as in a new process
    filter_faces(images, ["a.jpg"], tmp_path / "log")
    code.fingerprint.cache_clear()
    assert images.taken()[1] == (["a.jpg"] if again else [])


class OneEverywhere:
    """A detector that finds one face in every photo, over its left half, however sure one must be."""

    def __init__(self, min_confidence, threads):
        pass

    def detect(self, images):
        row = {"confidence": 1.0, "left": 0.0, "top": 0.0, "right": 0.5, "bottom": 1.0}
        return [pd.DataFrame([row | dict.fromkeys(COLUMNS[7:], 0.25)]) for _ in images]


def test_another_detector_is_asked_and_has_notes_of_its_own(few, tmp_path):
    images, log = few(a="left", b="none"), tmp_path / "log"
    names = ["a.jpg", "b.jpg"]
    assert filter_faces(images, names, log)[0]["faces"].tolist() == [1, 0]
    for wanted in (names, []):
        images.taken()
        faces, _ = filter_faces(images, names, log, detector=OneEverywhere)
        assert faces["faces"].tolist() == [1, 1] and faces["right"].tolist() == [0.5, 0.5]
        assert faces["left_eye_x"].tolist() == [0.25, 0.25] and images.taken()[1] == wanted
    assert filter_faces(images, names, log)[0]["faces"].tolist() == [1, 0]  # not what the other found


def test_another_detector_is_asked_in_processes_too(folder, plain):
    images = ImageFolder(folder / "photos")
    faces, skipped = filter_faces(images, images.names(), processes=2, detector=OneEverywhere)
    assert faces["image"].tolist() == plain[0]["image"].tolist()
    assert (faces["faces"] == 1).all() and (faces["right"] == 0.5).all()
    pd.testing.assert_frame_equal(skipped, plain[1])


def test_the_bar_starts_where_the_last_run_ended(few, capsys):
    images = few(a="empty", b="empty")
    log = images.root.parent / "log"
    for names in (["a.jpg", "b.jpg"], ["a.jpg", "b.jpg"], ["a.jpg", "b.jpg", "c.jpg"]):
        filter_faces(images, names, log)
        told = capsys.readouterr().err
        assert "looking for faces: 100%" in told and f"{len(names)}/{len(names)}" in told


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


def test_photos_of_which_none_can_be_read_end_with_the_reason_and_an_example(tmp_path):
    for name in ("a.jpg", "b.jpg"):
        (tmp_path / name).write_text("version https://git-lfs.github.com/spec/v1\n")
    (tmp_path / "c.jpg").write_bytes(b"")
    told = r"None of the 3 photos can be read \(a pointer of Git LFS: .*: 2, such as a\.jpg\)"
    with pytest.raises(SelfieError, match=told):
        need_some(*filter_faces(ImageFolder(tmp_path), ["c.jpg", "a.jpg", "b.jpg"]))
    need_some(*filter_faces(ImageFolder(tmp_path), []))
    Image.new("RGB", (64, 64)).save(tmp_path / "c.jpg")
    need_some(*filter_faces(ImageFolder(tmp_path), ["c.jpg", "a.jpg", "b.jpg"]))
