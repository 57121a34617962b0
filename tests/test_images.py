"""Photos as they really are: every one is read as it should be, or skipped with its reason."""

import io
import os
import stat
import struct
import time
import unicodedata
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pandas as pd
import pytest
from PIL import Image, features
from skimage import data as pictures

from selfie_utils.face_filter import filter_faces
from selfie_utils.images import ImageFolder, ImageZip, UnreadableImage, decode, leaves_folder

# Four corners that tell every rotation and mirroring apart: red, green above blue, white.
CORNERS = [(220, 30, 30), (30, 200, 40), (40, 60, 210), (245, 245, 245)]
SIZE = (48, 32)  # px, width and height
TOLERANCE = 30  # of 255, a channel; JPEG blurs and CMYK bends colours


def flag(size=SIZE):
    """A photo with four corners of one colour each."""
    image = Image.new("RGB", (2, 2))
    image.putdata(CORNERS)
    return image.resize(size, Image.Resampling.NEAREST)


def saved(image, kind, **options):
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def with_orientation(value, kind="JPEG"):
    """The flag, stored turned as cameras do it, with the note that turns it back."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    turned = flag().transpose(undo[value]) if value in undo else flag()
    exif = Image.Exif()
    exif[0x0112] = value
    return saved(turned, kind, exif=exif, **({"quality": 95} if kind == "JPEG" else {}))


def animated(kind):
    frames = [flag(), Image.new("RGB", SIZE, "black")]
    return saved(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def transparent(mode):
    """The flag, of which the middle third is see-through over black."""
    image = flag().convert("RGBA")
    hole = Image.new("RGBA", (SIZE[0] // 3, SIZE[1]), (0, 0, 0, 0))
    image.paste(hole, (SIZE[0] // 3, 0))
    return image if mode == "RGBA" else image.convert(mode)


def bomb_png(side):
    """A PNG of some kilobytes that claims to be `side` px wide and high."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(3 * side + 1) * 10)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def claims(data, width, height):
    """A JPEG whose header claims another size than it has."""
    at = next(i for i in range(2, len(data)) if data[i] == 0xFF and data[i + 1] in (0xC0, 0xC2))
    return data[: at + 5] + struct.pack(">HH", height, width) + data[at + 9 :]


def grey_ramp(mode):
    """Deep grey from black on the left to white on the right."""
    ramp = np.tile(np.linspace(0, 1, SIZE[0]), (SIZE[1], 1))
    deep = {
        "I;16": (ramp * 65535).astype(np.uint16),
        "I": (ramp * 65535).astype(np.int32),
        "F": ramp.astype(np.float32),
    }
    return Image.fromarray(deep[mode])


@cache
def readable():
    """Files that must be read, by name: content, and what they show: flag, ramp, hole, dark or a colour."""
    jpeg = saved(flag(), "JPEG", quality=95)
    files = {f"turned {i}.jpg": (with_orientation(i), "flag") for i in range(1, 9)}
    files |= {f"turned {i}.png": (with_orientation(i, "PNG"), "flag") for i in (3, 6)}
    files |= {f"turned {i}.webp": (with_orientation(i, "WEBP"), "flag") for i in (6, 8)}
    files |= {
        "turned by nobody.jpg": (
            saved(flag(), "JPEG", quality=95, exif=b"Exif\x00\x00" + b"\xff" * 40),
            "flag",
        ),
        "turned nowhere.jpg": (with_orientation(77), "flag"),
        "plain.jpg": (jpeg, "flag"),
        "progressive.jpg": (saved(flag(), "JPEG", quality=95, progressive=True), "flag"),
        "grey.jpg": (saved(flag().convert("L"), "JPEG"), "grey flag"),
        "cmyk.jpg": (saved(flag().convert("CMYK"), "JPEG", quality=95), "flag"),
        "cmyk.tif": (saved(flag().convert("CMYK"), "TIFF"), "flag"),
        "jpeg inside.tif": (saved(flag(), "TIFF", compression="jpeg", quality=95), "flag"),
        "wrong suffix.png": (jpeg, "flag"),
        "no suffix": (jpeg, "flag"),
        "with tail.jpg": (jpeg + b"\x00" * 500, "flag"),
        "subsampled.jpg": (saved(flag((96, 64)), "JPEG", quality=90, subsampling=2), "flag"),
        "mpo.jpg": (saved(flag(), "MPO", save_all=True, append_images=[flag()]), "flag"),
        "rgb.png": (saved(flag(), "PNG"), "flag"),
        "interlaced.png": (saved(flag(), "PNG", interlace=1), "flag"),
        "one bit.png": (saved(flag().convert("1"), "PNG"), None),
        "palette.png": (saved(flag().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"), "flag"),
        "16 bit.png": (saved(grey_ramp("I;16"), "PNG"), "ramp"),
        "16 bit.tif": (saved(grey_ramp("I;16"), "TIFF"), "ramp"),
        "32 bit.tif": (saved(grey_ramp("I"), "TIFF"), "ramp"),
        "float.tif": (saved(grey_ramp("F"), "TIFF"), "ramp"),
        "rgba.png": (saved(transparent("RGBA"), "PNG"), "hole"),
        "palette with hole.png": (saved(transparent("P"), "PNG"), None),
        "grey with hole.png": (saved(transparent("LA"), "PNG"), None),
        "key colour.png": (
            saved(Image.new("RGB", SIZE, (1, 2, 3)), "PNG", transparency=(1, 2, 3)),
            (255,) * 3,
        ),
        "rgba.webp": (saved(transparent("RGBA"), "WEBP", lossless=True), "hole"),
        "rgba.tif": (saved(transparent("RGBA"), "TIFF"), "hole"),
        "still.gif": (saved(flag(), "GIF"), "flag"),
        "animated.gif": (animated("GIF"), "flag"),
        "animated.webp": (animated("WEBP"), "flag"),
        "animated.png": (animated("PNG"), "flag"),
        "lossy.webp": (saved(flag(), "WEBP", quality=95), "flag"),
        "plain.bmp": (saved(flag(), "BMP"), "flag"),
        "plain.tif": (saved(flag(), "TIFF"), "flag"),
        "packed.tif": (saved(flag(), "TIFF", compression="tiff_lzw"), "flag"),
        "pages.tif": (saved(flag(), "TIFF", save_all=True, append_images=[Image.new("RGB", SIZE)]), "flag"),
        "plain.ppm": (saved(flag(), "PPM"), "flag"),
        "one pixel.png": (saved(Image.new("RGB", (1, 1), "red"), "PNG"), (255, 0, 0)),
        "one pixel.jpg": (saved(Image.new("RGB", (1, 1), (200, 30, 30)), "JPEG"), (200, 30, 30)),
        "one row.png": (saved(Image.new("RGB", (500, 1), "blue"), "PNG"), (0, 0, 255)),
        "huge.jpg": (saved(flag((6000, 4000)), "JPEG", quality=70), "flag"),
        "-dash.jpg": (jpeg, "flag"),
        "--help": (jpeg, "flag"),
        "two  spaces .jpg": (jpeg, "flag"),
        "süße Grüße.jpg": (jpeg, "flag"),
        "自撮り🤳.jpg": (jpeg, "flag"),
        "line\nbreak.jpg": (jpeg, "flag"),
        "dots..jpg": (jpeg, "flag"),
        "percent%20.jpg": (jpeg, "flag"),
        "sub/folder/plain.jpg": (jpeg, "flag"),
    }
    if features.check("avif"):
        files["plain.avif"] = (saved(flag(), "AVIF", quality=90), "flag")
    import pillow_heif

    pillow_heif.register_heif_opener()
    files["iphone.heic"] = (saved(flag((96, 64)), "HEIF", quality=90), "flag")
    return files


@cache
def unreadable():
    """Files that can't be read, by name: content and reason."""
    jpeg, png = saved(flag((300, 200)), "JPEG", quality=95), saved(flag((300, 200)), "PNG")
    eps = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n"
    progressive = saved(flag((300, 200)), "JPEG", progressive=True)
    too_large, cut = "image is too large to decode safely", "image is cut short"
    return {
        "empty.jpg": (b"", "file is empty"),
        "text.jpg": (b"This is no photo, whatever its name says.", "not an image"),
        "page.jpg": (b"<html><body>429 Too Many Requests</body></html>", "not an image"),
        "drawing.svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "not an image"),
        "print.eps": (eps, "not an image"),
        "paper.pdf": (b"%PDF-1.4\n%%EOF\n", "not an image"),
        "film.mp4": (b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 100, "not an image"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], cut),
        "cut.png": (png[: len(png) // 2], cut),
        "cut progressive.jpg": (progressive[:700], cut),
        "bomb.png": (bomb_png(20_000), too_large),
        "bomb of bombs.png": (bomb_png(60_000), too_large),
        "claims a gigapixel.jpg": (claims(jpeg, 40_000, 40_000), too_large),
        "large progressive.jpg": (claims(progressive, 12_000, 9_000), too_large),
        "zeros.jpg": (b"\x00" * 5000, "not an image"),
        "only a header.jpg": (jpeg[:20], None),
        "damaged.png": (png[:60] + b"\x00" * 40 + png[100:], None),
        "damaged.webp": (saved(flag(), "WEBP")[:40], None),
    }  # fmt: skip


def check(image, shows):
    """Hold the pixels of a decoded photo against what the file shows."""
    assert image.mode == "RGB"
    pixels = np.asarray(image, int)
    height, width = pixels.shape[:2]
    if shows in ("flag", "hole", "grey flag"):
        corners = [pixels[y, x] for y in (height // 8, -height // 8) for x in (width // 8, -width // 8)]
        wanted = np.array(CORNERS)
        if shows == "grey flag":
            wanted = np.repeat((wanted @ [0.299, 0.587, 0.114])[:, None], 3, axis=1)
        assert width > height and np.abs(np.array(corners) - wanted).max() <= TOLERANCE
    if shows == "hole":
        assert pixels[height // 2, width // 2].min() > 250  # on white
    if shows == "ramp":
        row = pixels[height // 2, :, 0]
        assert np.abs(row - np.linspace(0, 255, width)).max() <= 2 and (np.diff(row) >= 0).all()
    if isinstance(shows, tuple):
        assert np.abs(pixels - shows).max() <= TOLERANCE


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with every file above, and some that only a file system has."""
    root = tmp_path_factory.mktemp("pictures") / "photos"
    for name, (content, _) in (readable() | unreadable()).items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    (root.parent / "secret.jpg").write_bytes(saved(flag(), "JPEG"))
    (root / "way out.jpg").symlink_to(root.parent / "secret.jpg")
    (root / "way in.jpg").symlink_to(root / "plain.jpg")
    (root / "nowhere.jpg").symlink_to(root / "gone.jpg")
    (root / "folder.jpg").mkdir()
    os.mkfifo(root / "pipe.jpg")
    return ImageFolder(root)


OUTSIDE = "lies outside the image folder"
# What only a file system has, with its reason; None where the photo is read.
ODD = {
    "way out.jpg": OUTSIDE, "../secret.jpg": OUTSIDE, "way in.jpg": None, "nowhere.jpg": "file is missing",
    "folder.jpg": "is a folder", "pipe.jpg": "is not a file", "never there.jpg": "file is missing",
    "nul\x00.jpg": "file cannot be read",
}  # fmt: skip


def test_there_are_sixty_files_at_least():
    assert len(readable()) + len(unreadable()) + len(ODD) >= 60


@pytest.mark.parametrize("name", readable())
def test_a_photo_is_read_as_it_should_be(folder, name):
    for at_least in (None, 32):
        check(decode(folder.read(name), at_least), readable()[name][1])


@pytest.mark.parametrize("name", unreadable())
def test_an_unreadable_file_has_its_reason(folder, name):
    for at_least in (None, 64):
        with pytest.raises(UnreadableImage) as error:
            decode(folder.read(name), at_least)
        wanted = unreadable()[name][1]
        assert (
            str(error.value) == wanted
            if wanted
            else str(error.value).startswith(("image is", "not an image"))
        )


def test_the_face_filter_accounts_for_every_file(folder):
    names = [*readable(), *unreadable(), *ODD]
    faces, skipped = filter_faces(folder, names)
    assert sorted([*faces["image"], *skipped["image"]]) == sorted(names)
    assert set(faces["image"]) == {*readable(), "way in.jpg"}
    reasons = skipped.set_index("image")["reason"]
    for name, reason in ({n: r for n, (_, r) in unreadable().items()} | ODD).items():
        assert reason is None or reasons[name].startswith(reason), name


def test_a_zip_archive_reads_the_same(folder, tmp_path):
    names = [n for n in {**readable(), **unreadable()} if "\n" not in n]
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name in names:
            archive.write(folder.root / name, name)
    packed = ImageZip(tmp_path / "photos.zip")
    assert packed.names() == sorted(names)
    assert all(packed.read(name) == folder.read(name) for name in names)


@pytest.mark.parametrize(
    "way", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
)
def test_a_damaged_archive_loses_the_damaged_photo_only(tmp_path, way):
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)  # hardly to be compressed
    content, whole = saved(Image.fromarray(noise), "BMP"), tmp_path / "whole.zip"
    with zipfile.ZipFile(whole, "w", way) as archive:
        archive.writestr("a.bmp", content)
        archive.writestr("b.bmp", content)
        end = archive.getinfo("b.bmp").header_offset
    data = whole.read_bytes()
    for place in range(end // 8, end - 99, end // 8):  # in the first photo
        other = bytes(byte ^ 0xFF for byte in data[place : place + 9])
        (tmp_path / "photos.zip").write_bytes(data[:place] + other + data[place + 9 :])
        images = ImageZip(tmp_path / "photos.zip")
        with pytest.raises(UnreadableImage):
            images.read("a.bmp")
        assert images.read("b.bmp") == content


@pytest.mark.parametrize("kept, asked", [("NFC", "NFD"), ("NFD", "NFC")])
def test_umlauts_are_found_however_they_are_spelt(tmp_path, kept, asked):
    content = saved(flag(), "JPEG")
    name = unicodedata.normalize(kept, "Grüße aus Köln.jpg")
    (tmp_path / name).write_bytes(content)
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr(name, content)
    for images in (ImageFolder(tmp_path), ImageZip(tmp_path / "photos.zip")):
        other = unicodedata.normalize(asked, name)
        assert images.read(other) == content and images.stamp(other) == images.stamp(name) != ""


def test_a_photo_of_108_megapixels_is_read_small(tmp_path):
    data = saved(Image.new("RGB", (12_000, 9_000), (200, 120, 40)), "JPEG", quality=50)
    image = decode(data, at_least=160)
    check(image, (200, 120, 40))
    assert max(image.size) <= 12_000 / 8
    with pytest.raises(UnreadableImage, match="too large"):
        decode(data)  # all of it would take half a gigabyte


def test_a_fraction_of_a_large_photo_is_much_faster():
    photo = Image.fromarray(pictures.astronaut()).resize((4000, 3000))
    data = saved(photo, "JPEG", quality=85)

    def seconds(at_least):
        start = time.process_time()  # of this process alone: others don't count
        decode(data, at_least)
        return time.process_time() - start

    whole, small = min(seconds(None) for _ in range(3)), min(seconds(200) for _ in range(3))
    assert small < whole / 2


def test_threads_can_decode_at_once():
    files = [content for content, _ in readable().values()] * 4
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(decode, files))
    assert len(images) == len(files) and Image.MAX_IMAGE_PIXELS == 89_478_485


def test_heic_without_its_package_says_what_to_install(monkeypatch):
    from selfie_utils import images

    data = saved(flag((96, 64)), "HEIF") if "HEIF" in Image.SAVE else readable()["iphone.heic"][0]
    images._allow_heic.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(UnreadableImage, match="HEIC photo: pip install pillow-heif"):
        decode(data)
    monkeypatch.undo()
    images._allow_heic.cache_clear()
    check(decode(data), "flag")


def test_nothing_of_a_broken_folder_stops_an_import(folder, tmp_path):
    from selfie_utils.importing import import_posts
    from selfie_utils.sources.folder import read_folder

    import_posts("folder", read_folder(folder.root), tmp_path / "out")
    posts, dropped = (pd.read_parquet(tmp_path / "out" / f"{n}.parquet") for n in ("posts", "dropped"))
    assert "plain.jpg" in set(posts["image"]) and "film.mp4" in set(dropped["image"])
    assert len(posts) + len(dropped) == len(folder.names())


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "..\\a.jpg", "C:\\a.jpg", "\\\\server\\a"]
)
def test_names_that_lead_out_are_known(name):
    assert leaves_folder(name)


def test_no_permission_is_a_reason(tmp_path):
    path = tmp_path / "mine.jpg"
    path.write_bytes(saved(flag(), "JPEG"))
    path.chmod(0)
    if os.access(path, os.R_OK):  # root may read everything
        path.chmod(stat.S_IRUSR)
        assert ImageFolder(tmp_path).read("mine.jpg")
        return
    with pytest.raises(UnreadableImage, match="Permission denied"):
        ImageFolder(tmp_path).read("mine.jpg")
