"""Archives as people pack them, and links as people set them: every photo is found once, or told."""

import io
import os
import pickle
import random
import tarfile
import unicodedata
import zipfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.archives import ImageTar, ImageZip
from selfie_utils.photos.images import ImageFolder, UnreadableImage, is_hidden, open_images, written
from selfie_utils.photos.named import photos_at
from selfie_utils.photos.salvage import why_no_photo

NAMES = ["z.jpg", "a/b.jpg", "a/ü.jpg", "c.jpg"]


def tar(path, names=NAMES, mode="w"):
    """A tar archive in which each file holds its own name."""
    with tarfile.open(path, mode) as archive:
        for name in names:
            data = name.encode()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), 1_700_000_000
            archive.addfile(entry, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_a_tar_is_read_by_name_in_any_order_by_threads_and_in_other_processes(tmp_path, mode):
    images = open_images(tar(tmp_path / "photos", mode=mode))  # whatever it is called
    assert isinstance(images, ImageTar) and images.in_order_only == (mode != "w")
    assert images.names() == NAMES
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(images.read, NAMES[::-1] * 3)) == [n.encode() for n in NAMES[::-1]] * 3
    again = pickle.loads(pickle.dumps(images))
    assert again.read("a/b.jpg", 3) == b"a/b" and again.stamp("a/b.jpg") == "7 1700000000"
    if (child := os.fork()) == 0:
        os._exit(0 if images.read("c.jpg") == b"c.jpg" else 1)
    assert os.waitpid(child, 0)[1] == 0 and images.read("z.jpg") == b"z.jpg"
    with pytest.raises(UnreadableImage, match=r"^file is missing$"):
        images.read("never.jpg")
    assert images.read(unicodedata.normalize("NFD", "a/ü.jpg")) == "a/ü.jpg".encode()


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_a_tar_that_was_not_fetched_whole_says_so(tmp_path, mode):
    path = tar(tmp_path / "photos.tar.gz", [f"{i}.jpg" for i in range(200)], mode)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(SelfieError, match=r"cannot be read to its end \(.*\): fetch it again"):
        open_images(path)


def test_links_inside_a_tar_are_followed_and_others_told(tmp_path):
    with tarfile.open(tmp_path / "photos.tar", "w") as archive:
        (tmp_path / "a.jpg").write_bytes(b"photo")
        archive.add(tmp_path / "a.jpg", "a.jpg")
        for name, target in (("in.jpg", "a.jpg"), ("out.jpg", "/etc/passwd")):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = tarfile.SYMTYPE, target
            archive.addfile(entry)
    images = open_images(tmp_path / "photos.tar")
    assert images.names() == ["a.jpg", "in.jpg", "out.jpg"] and images.read("in.jpg") == b"photo"
    with pytest.raises(UnreadableImage, match="cannot be read"):
        images.read("out.jpg")


def test_names_in_utf_8_that_do_not_say_so_are_read_and_others_kept(tmp_path):
    path = tmp_path / "photos.zip"
    names = ["Grüße.jpg", "自撮り.jpg"]
    with zipfile.ZipFile(path, "w") as archive:
        for name in [*names, "plain.jpg"]:
            archive.writestr(name, name)
    data = bytearray(path.read_bytes())
    for start, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):  # of each entry, and of the directory
        at = -1
        while (at := data.find(start, at + 1)) >= 0:
            data[at + flags + 1] &= ~0x08
    path.write_bytes(data)
    assert not any(entry.flag_bits & 0x800 for entry in zipfile.ZipFile(path).infolist())
    images = ImageZip(path)
    assert images.names() == sorted([*names, "plain.jpg"])
    assert all(images.read(name) == name.encode() for name in names)


def test_names_of_an_old_windows_stay_as_its_code_page_says(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("Gr@sse.jpg", b"photo")
    data = (tmp_path / "photos.zip").read_bytes().replace(b"Gr@sse", b"Gr\x81sse")  # ü of code page 437
    (tmp_path / "photos.zip").write_bytes(data)
    assert ImageZip(tmp_path / "photos.zip").names() == ["Grüsse.jpg"]


@pytest.mark.parametrize(
    ("names", "asked", "found"),
    [
        (["photos/a.jpg", "photos/b/c.jpg"], "a.jpg", "photos/a.jpg"),
        (["photos/a.jpg", "photos/b/c.jpg"], "b/c.jpg", "photos/b/c.jpg"),
        (["photos/a.jpg", "photos/b/c.jpg"], "c.jpg", None),
        (["x/y/a.jpg", "x/y/b.jpg"], "a.jpg", "x/y/a.jpg"),
        (["x/y/a.jpg", "x/y/b.jpg"], "y/a.jpg", "x/y/a.jpg"),
        (["x/a.jpg", "__MACOSX/x/._a.jpg"], "a.jpg", "x/a.jpg"),
        (["x/a.jpg", "y/a.jpg"], "a.jpg", None),  # which of them?
        (["a.jpg", "x/a.jpg"], "a.jpg", "a.jpg"),
    ],
)
def test_a_folder_around_all_files_may_be_left_out_of_a_name(tmp_path, names, asked, found):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in names:
            archive.writestr(name, name)
    images = (ImageZip(tmp_path / "photos.zip"), ImageTar(tar(tmp_path / "photos.tar", names)))
    for one in images:
        if found:
            assert one.read(asked) == found.encode() and one.stamp(asked)
        else:
            assert one.stamp(asked) == ""


@pytest.mark.parametrize(
    "name", [".a.jpg", "x/._a.jpg", "__MACOSX/x/a.jpg", ".git/a.jpg", "x/__MACOSX/a", "x/@eaDir/a.jpg/M.jpg"]
)
def test_shadows_and_hidden_files_are_no_photos(tmp_path, name):
    assert is_hidden(name) and not is_hidden("x/a.jpg") and not is_hidden("__MACOSX_.jpg")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr(name, b"")
        archive.writestr("b.jpg", b"")
    (tmp_path / "in" / name).parent.mkdir(parents=True)
    for one in (name, "b.jpg"):
        (tmp_path / "in" / one).write_bytes(b"")
    for images in (tmp_path / "photos.zip", tmp_path / "in", tar(tmp_path / "photos.tar", [name, "b.jpg"])):
        assert open_images(images).names() == ["b.jpg"]


# --- links --------------------------------------------------------------------------------------------------


def test_a_folder_that_is_a_link_is_followed_inside_and_told_outside(tmp_path):
    root = tmp_path / "photos"
    (root / "all").mkdir(parents=True)
    (tmp_path / "elsewhere").mkdir()
    (root / "all" / "a.jpg").write_bytes(b"photo")
    (tmp_path / "elsewhere" / "b.jpg").write_bytes(b"other")
    (root / "good").symlink_to("all")
    (root / "far").symlink_to(tmp_path / "elsewhere")
    images = ImageFolder(root)
    assert images.names() == ["all/a.jpg", "far", "good/a.jpg"] and images.read("good/a.jpg") == b"photo"
    with pytest.raises(UnreadableImage, match="lies outside the image folder"):
        images.read("far")
    (tmp_path / "named").symlink_to(root)  # what the user names may be a link itself
    assert ImageFolder(tmp_path / "named").names() == images.names()


def test_links_that_go_round_are_followed_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a" / "1.jpg").write_bytes(b"")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "to_b").symlink_to(tmp_path / "b")
    (tmp_path / "b" / "to_a").symlink_to(tmp_path / "a")
    names = ImageFolder(tmp_path).names()
    assert names == ["a/1.jpg", "b/to_a/1.jpg"]


def test_a_name_that_is_not_utf_8_is_written_with_a_sign():
    assert written(os.fsdecode(b"J\xfcrgen.jpg")) == "J\ufffdrgen.jpg" and written("Jürgen") == "Jürgen"


@pytest.mark.parametrize("root", ["/", "C:\\", "//server/"])
def test_names_that_begin_at_the_root_of_a_disk_are_read_without_it(tmp_path, root):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in (root + "good/a.jpg", "bad/b.jpg", "../c.jpg"):  # of both kinds in one archive
            archive.writestr(zipfile.ZipInfo(name), name)
    names = [root + "good/a.jpg", "bad/b.jpg", "../c.jpg"]
    for images in (ImageZip(tmp_path / "photos.zip"), ImageTar(tar(tmp_path / "photos.tar", names))):
        (inside,) = set(images.names()) - {"bad/b.jpg", "../c.jpg"}
        assert inside == root.removeprefix("//").lstrip("/").removeprefix("C:\\") + "good/a.jpg"
        assert images.read(inside) == names[0].encode() and images.read("bad/b.jpg") == b"bad/b.jpg"


def test_encrypted_photos_have_one_reason(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in ("open.jpg", "a.jpg", "b.jpg"):
            archive.writestr(name, b"photo")
    images = ImageZip(tmp_path / "photos.zip")
    for name in ("a.jpg", "b.jpg"):
        images._entries[name].flag_bits |= 1
        with pytest.raises(UnreadableImage, match=r"^it is encrypted: unpack it with its password first$"):
            images.read(name)
    assert images.read("open.jpg") == b"photo"


@pytest.mark.parametrize("kind", ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"])
def test_an_archive_with_any_fault_is_read_or_refused_in_a_sentence(tmp_path, kind):
    names = [f"é{i}.jpg" for i in range(4)]
    path = tmp_path / f"photos.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for name in names:
                archive.writestr(name, b"\xff\xd8\xff" * 20)
    else:
        tar(path, names, f"w:{kind[4:]}")
    whole, lots = path.read_bytes(), random.Random(7)
    for _ in range(300):
        data = bytearray(whole[: lots.choice([len(whole), lots.randrange(1, len(whole))])])
        for _ in range(lots.randrange(4)):
            data[lots.randrange(len(data))] = lots.choice([0, 255, lots.randrange(256)])
        path.write_bytes(data)
        with suppress(SelfieError):
            images = open_images(path)
            for name in images.names():
                with suppress(UnreadableImage):
                    images.read(name, 512)


def test_what_is_packed_otherwise_is_called_so(tmp_path):
    begins = {"7z": b"7z\xbc\xaf\x27\x1c", "rar": b"Rar!\x1a\x07\x01\0", "zstd": b"\x28\xb5\x2f\xfd"}
    for kind, head in begins.items():
        (tmp_path / "photos").write_bytes(head + bytes(600))
        with pytest.raises(SelfieError, match=rf"\(zip, tar\): it is packed by {kind}, so unpack it first"):
            open_images(tmp_path / "photos")
        assert why_no_photo(head) == "an archive inside: unpack it first"
    with zipfile.ZipFile(tmp_path / "photos", "w") as archive:
        archive.writestr("a.jpg", bytes(600))
    (tmp_path / "photos").write_bytes((tmp_path / "photos").read_bytes()[:400])
    with pytest.raises(SelfieError, match="it begins as a zip file and ends too early, so fetch it again"):
        open_images(tmp_path / "photos")
    (tmp_path / "photos").write_bytes(b"\xff\xd8\xff" + bytes(600))
    with pytest.raises(SelfieError, match="give the folder of the photo"):
        open_images(tmp_path / "photos")


def test_a_link_that_leads_to_itself_is_a_reason(tmp_path):
    (tmp_path / "a.jpg").symlink_to("a.jpg")
    (tmp_path / "b.jpg").symlink_to("c.jpg")
    (tmp_path / "c.jpg").symlink_to("b.jpg")
    assert ImageFolder(tmp_path).names() == ["a.jpg", "b.jpg", "c.jpg"]
    for name in "abc":
        with pytest.raises(UnreadableImage, match="symbolic links"):
            ImageFolder(tmp_path).read(f"{name}.jpg")
        images, names, _ = photos_at(tmp_path / f"{name}.jpg")
        with pytest.raises(UnreadableImage, match="symbolic links"):
            images.read(names[0])


def test_a_folder_that_can_t_be_opened_is_told(tmp_path, monkeypatch):
    (tmp_path / "shut").mkdir()
    (tmp_path / "a.jpg").write_bytes(b"photo")
    scandir = os.scandir

    def refuse(path):  # root may open every folder
        if os.fspath(path).endswith("shut"):
            raise PermissionError(13, "Permission denied", os.fspath(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert ImageFolder(tmp_path).names() == ["a.jpg", "shut"]
    with pytest.raises(
        SelfieError, match=r"shut cannot be opened \(Permission denied\): check who may read it"
    ):
        ImageFolder(tmp_path / "shut").names()
