"""Photos as they really are: every one is read as it should be, or skipped with its reason."""

import io
import os
import pickle
import stat
import struct
import unicodedata
import zipfile
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import pandas as pd
import pytest
from PIL import Image, features

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.archives import ImageZip
from selfie_utils.photos.face_filter import filter_faces
from selfie_utils.photos.images import (
    ImageFolder,
    UnreadableImage,
    decode,
    leaves_folder,
    open_images,
    squish,
)

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
        "huge.jpg": (saved(flag((3000, 2000)), "JPEG", quality=70), "flag"),
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
        "telephone.jxl": (b"\xff\n" + bytes(100), "a JPEG XL photo: save it as JPEG"),
        "boxed.jxl": (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL photo: save it as JPEG"),
        "cut.jpg": (jpeg[: len(jpeg) // 2], cut),
        "cut.png": (png[: len(png) // 2], cut),
        "cut progressive.jpg": (progressive[:700], cut),
        "bomb.png": (bomb_png(20_000), too_large),
        "bomb of bombs.png": (bomb_png(60_000), too_large),
        "bomb of which Pillow only warns.png": (bomb_png(10_000), too_large),
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


@pytest.mark.parametrize("asked", ["NFC", "NFD"])
def test_of_two_names_that_look_alike_the_one_asked_for_is_read(tmp_path, asked):
    names = {form: unicodedata.normalize(form, "Grüße.jpg") for form in ("NFC", "NFD")}
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for form, name in names.items():
            (tmp_path / name).write_bytes(form.encode())
            archive.writestr(name, form.encode())
    for images in (ImageFolder(tmp_path), ImageZip(tmp_path / "photos.zip")):
        assert images.read(names[asked]) == asked.encode()


@pytest.mark.parametrize("at_least, fraction", [(None, 1), (81, 4), (80, 8), (161, 2), (160, 4), (321, 1)])
def test_a_jpeg_is_decoded_at_the_smallest_fraction_that_will_do(at_least, fraction):
    data = saved(flag((800, 640)), "JPEG")  # 640 / 8 = 80: both sides must reach what is asked for
    assert decode(data, at_least).size == (800 // fraction, 640 // fraction)
    tall = saved(flag((640, 800)), "JPEG")
    assert decode(tall, at_least).size == (640 // fraction, 800 // fraction)


def test_a_fraction_keeps_the_colours():
    data = saved(Image.new("RGB", (800, 640), (200, 120, 40)), "JPEG", quality=95)
    assert np.abs(np.asarray(decode(data, 80), int) - (200, 120, 40)).max() <= 3
    grey = decode(saved(Image.new("L", (800, 640), 90), "JPEG"), 80)
    assert grey.mode == "RGB" and grey.size == (100, 80) and set(np.asarray(grey).flat) <= {89, 90, 91}


# The header alone claims these sizes; what lacks behind it, the decoder fills with grey.
@pytest.mark.parametrize("size, decoded", [((12_000, 9_000), (1500, 1125)), ((25_000, 10_000), (3125, 1250))])
def test_photos_of_up_to_250_megapixels_are_read_at_a_fraction(size, decoded):
    assert decode(claims(saved(flag(), "JPEG"), *size), at_least=160).size == decoded


def test_a_photo_of_more_than_250_megapixels_is_too_large_at_any_fraction():
    data = claims(saved(flag(), "JPEG"), 25_000, 10_001)
    with pytest.raises(UnreadableImage, match="too large"):
        decode(data, at_least=160)


def test_all_of_108_megapixels_is_too_large():
    with pytest.raises(UnreadableImage, match="too large"):
        decode(claims(saved(flag(), "JPEG"), 12_000, 9_000))


@pytest.mark.parametrize("kind, options", [("PNG", {}), ("JPEG", {}), ("JPEG", {"progressive": True})])
def test_the_limit_on_pixels_is_inclusive(monkeypatch, kind, options):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    assert decode(saved(Image.new("RGB", (25, 40)), kind, **options)).size == (25, 40)
    # 1001, 2000 and 2001: Pillow warns up to twice the limit, beyond it raises.
    for size in ((7, 143), (40, 50), (29, 69)):
        with pytest.raises(UnreadableImage, match=r"^image is too large to decode safely$"):
            decode(saved(Image.new("RGB", size), kind, **options))


def test_who_lifts_pillow_s_limit_reads_photos_up_to_ours(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    assert decode(saved(Image.new("RGB", (25, 40)), "JPEG")).size == (25, 40)
    with pytest.raises(UnreadableImage, match="too large"):
        decode(claims(saved(flag(), "JPEG"), 25_000, 10_001))


def test_the_limit_counts_what_is_decoded_but_all_of_a_progressive_jpeg(monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    photo = Image.new("RGB", (200, 320))
    assert decode(saved(photo, "JPEG"), at_least=25).size == (25, 40)
    with pytest.raises(UnreadableImage, match="too large"):
        decode(saved(Image.new("RGB", (208, 320)), "JPEG"), at_least=25)  # 26 x 40 = 1040
    with pytest.raises(UnreadableImage, match="too large"):
        decode(saved(photo, "JPEG", progressive=True), at_least=25)


def test_threads_can_decode_at_once():
    files = [content for name, (content, _) in readable().items() if name != "huge.jpg"] * 2
    with ThreadPoolExecutor(8) as pool:
        images = list(pool.map(decode, files))
    assert len(images) == len(files) and Image.MAX_IMAGE_PIXELS == 89_478_485


def test_heic_without_its_package_says_what_to_install(monkeypatch):
    from selfie_utils.photos import images

    data = saved(flag((96, 64)), "HEIF") if "HEIF" in Image.SAVE else readable()["iphone.heic"][0]
    images._allow_heic.cache_clear()
    monkeypatch.setitem(__import__("sys").modules, "pillow_heif", None)
    with pytest.raises(UnreadableImage, match="HEIC photo: pip install pillow-heif"):
        decode(data)
    for other in (
        unreadable()["film.mp4"][0],
        data[:4] + b"pytf" + data[8:],
    ):  # of other brands, or no such file
        with pytest.raises(UnreadableImage, match="not an image"):
            decode(other)
    monkeypatch.undo()
    images._allow_heic.cache_clear()
    check(decode(data), "flag")


@pytest.mark.parametrize("brand", ["heic", "heix", "hevc", "heim", "heis", "mif1", "msf1"])
def test_heic_is_read_whichever_brand_it_bears(monkeypatch, brand):
    data = readable()["iphone.heic"][0]
    from selfie_utils.photos import images

    for known in (Image.OPEN, Image.MIME):  # as in a process that has never seen HEIC
        monkeypatch.delitem(known, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", [kind for kind in Image.ID if kind != "HEIF"])
    images._allow_heic.cache_clear()
    assert data[4:8] == b"ftyp"
    check(decode(data[:8] + brand.encode() + data[12:]), "flag")


def test_nothing_of_a_broken_folder_stops_an_import(folder, tmp_path):
    from selfie_utils.posts.importers.folder import read_folder
    from selfie_utils.posts.importing import import_posts

    import_posts("folder", read_folder(folder.root), tmp_path / "out")
    posts, dropped = (pd.read_parquet(tmp_path / "out" / f"{n}.parquet") for n in ("posts", "dropped"))
    assert "plain.jpg" in set(posts["image"]) and "film.mp4" in set(dropped["image"])
    assert len(posts) + len(dropped) == len(folder.names())


@pytest.mark.parametrize(
    "name", ["/etc/passwd", "../a.jpg", "a/../../b.jpg", "..\\a.jpg", "C:\\a.jpg", "\\\\server\\a"]
)
def test_names_that_lead_out_are_known(name):
    assert leaves_folder(name)


@pytest.mark.parametrize("name", ["a.jpg", "sub/a.jpg", "a..b.jpg", "...jpg", "ab:c.jpg", "./a.jpg", ".a/b"])
def test_names_that_stay_inside_are_known(name):
    assert not leaves_folder(name)


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


def test_a_name_that_no_file_can_bear_is_a_reason(tmp_path):
    with pytest.raises(UnreadableImage, match=r"^file cannot be read \(File name too long\)$"):
        ImageFolder(tmp_path).read("a" * 300)
    with pytest.raises(UnreadableImage, match=r"^file cannot be read \(.*null.*\)$"):
        ImageFolder(tmp_path).read("a\x00.jpg")


def test_a_folder_that_is_a_link_is_read(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.jpg").write_bytes(b"photo")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    assert ImageFolder(tmp_path / "link").read("a.jpg") == b"photo"


def shuffled(shape=(32, 48)):
    """Pixels of which no two are alike, so that each is a mark that tells where it went."""
    number = np.random.default_rng(5).permutation(shape[0] * shape[1]).reshape(shape)
    return np.stack([number % 251, number // 251 * 20, number % 7 * 30], axis=2).astype(np.uint8)


# Where the pixel of row r and column c of a stored photo of H rows and W columns is shown, after the table of
# the EXIF standard (CIPA DC-008, "Orientation"): 6, for example, says that the first row is the right edge.
SHOWN_AT = {
    1: lambda r, c, H, W: (r, c),
    2: lambda r, c, H, W: (r, W - 1 - c),
    3: lambda r, c, H, W: (H - 1 - r, W - 1 - c),
    4: lambda r, c, H, W: (H - 1 - r, c),
    5: lambda r, c, H, W: (c, r),
    6: lambda r, c, H, W: (c, H - 1 - r),
    7: lambda r, c, H, W: (W - 1 - c, H - 1 - r),
    8: lambda r, c, H, W: (W - 1 - c, r),
}


def turned(pixels, orientation):
    """Lay out the pixels of a stored photo as its orientation says, one by one."""
    height, width = pixels.shape[:2]
    out = np.zeros((width, height, 3) if orientation > 4 else pixels.shape, np.uint8)
    for r in range(height):
        for c in range(width):
            out[SHOWN_AT[orientation](r, c, height, width)] = pixels[r, c]
    return out


def noted(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def from_folder(content, tmp_path):
    (tmp_path / "a.jpg").write_bytes(content)
    return open_images(tmp_path).read("a.jpg")


def from_zip(content, tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", content)
    return open_images(str(tmp_path / "photos.zip")).read("a.jpg")


@pytest.mark.parametrize("way", [from_folder, from_zip])
@pytest.mark.parametrize("orientation", SHOWN_AT)
def test_every_pixel_of_a_turned_photo_is_where_exif_wants_it(tmp_path, way, orientation):
    pixels = shuffled()
    for kind, options in (("PNG", {}), ("TIFF", {}), ("WEBP", {"lossless": True})):
        content = saved(Image.fromarray(pixels), kind, exif=noted(orientation), **options)
        assert np.array_equal(decode(way(content, tmp_path)), turned(pixels, orientation)), kind


@pytest.mark.parametrize("way", [from_folder, from_zip])
@pytest.mark.parametrize("orientation", SHOWN_AT)
def test_a_turned_jpeg_is_upright_whole_and_as_a_fraction(tmp_path, way, orientation):
    cells = np.random.default_rng(2).integers(0, 256, (4, 6, 3), dtype=np.uint8)
    # Cells of whole JPEG blocks, plain after the decoding at an eighth of the size as well.
    photo = Image.fromarray(np.kron(cells, np.ones((128, 128, 1), np.uint8)))
    content = saved(photo, "JPEG", quality=95, subsampling=0, exif=noted(orientation))
    wanted = turned(cells, orientation).astype(int)
    for at_least, side in ((64, 16), (65, 32), (None, 128)):
        pixels = np.asarray(decode(way(content, tmp_path), at_least), int)
        assert pixels.shape == (wanted.shape[0] * side, wanted.shape[1] * side, 3)
        assert np.abs(pixels - np.kron(wanted, np.ones((side, side, 1), int))).max() <= 4


def row_of(values, mode, kind="PNG", **options):
    """What is read of a photo of one row with these pixels."""
    image = Image.new(mode, (len(values), 1))
    image.putdata(values)
    return np.asarray(decode(saved(image, kind, **options)), int)[0].tolist()


def test_cmyk_is_what_its_inks_leave_of_white():
    # 255 (1 - C) (1 - K): an ink of 51 takes a fifth.
    inks = [(0, 51, 255, 0), (51, 0, 0, 51), (0, 0, 0, 51), (0, 0, 0, 255), (0, 0, 0, 0)]
    light = [[255, 204, 0], [163, 204, 204], [204] * 3, [0] * 3, [255] * 3]
    assert row_of(inks, "CMYK", "TIFF") == light
    for ink, wanted in zip(inks, light, strict=True):
        photo = saved(Image.new("CMYK", (16, 16), ink), "JPEG", quality=100)
        assert np.abs(np.asarray(decode(photo), int) - wanted).max() <= 3


def test_see_through_pixels_are_laid_on_white_by_their_share():
    # alpha 51 is a fifth: 0.2 x 100 + 0.8 x 255 = 224.
    assert row_of([(100, 51), (100, 0), (100, 255)], "LA") == [[224] * 3, [255] * 3, [100] * 3]
    rgba = [(100, 0, 255, 51), (9, 9, 9, 0), (1, 2, 3, 255)]
    assert row_of(rgba, "RGBA") == [[224, 204, 255], [255] * 3, [1, 2, 3]]


def test_a_palette_with_transparency_is_laid_on_white():
    image = Image.new("P", (4, 1))
    image.putpalette([255, 0, 0, 0, 0, 255, 0, 200, 0, 7, 8, 9])
    image.putdata([0, 1, 2, 3])
    pixels = np.asarray(decode(saved(image, "PNG", transparency=bytes([0, 255, 51]))))[0].tolist()
    assert pixels == [[255, 255, 255], [0, 0, 255], [204, 244, 204], [7, 8, 9]]
    assert np.asarray(decode(saved(image, "PNG")))[0].tolist()[0] == [255, 0, 0]


@pytest.mark.parametrize(
    ("mode", "deep", "wanted"),
    [
        # 65535 / 255 = 257 a step, rounded: 128 is less than half of one, 129 more.
        ("uint16", [0, 128, 129, 77 * 257, 65535], [0, 0, 1, 77, 255]),
        ("uint16", [0, 200, 255], [0, 1, 1]),  # a dark photo stays dark
        ("int32", [0, 128, 129, 65535], [0, 0, 1, 255]),
        ("int32", [0, 100, 255], [0, 100, 255]),  # 8 bits in a wide file
        ("int32", [0, 100, 256], [0, 0, 1]),
        ("int32", [0, 2**24, 2**25, 2**26], [0, 64, 128, 255]),  # more than 16 bits: by their range
        ("float32", [0, 0.25, 0.5, 1], [0, 64, 128, 255]),
        ("float32", [0, 1.25, 1.75], [0, 1, 2]),
        ("float32", [0, 100, 255], [0, 100, 255]),
        ("float32", [0, 2570, 255.5], [0, 10, 1]),
        ("float32", [0, 128, 129, 65535], [0, 0, 1, 255]),
        ("float32", [-5, 0.5, np.nan, np.inf, -np.inf, 1], [0, 128, 0, 0, 0, 255]),
        ("float32", [np.nan, 0.25, np.inf, -np.inf], [0, 64, 0, 0]),
        ("float32", [-7, -5], [0, 0]),
        ("float32", [0, 0.2], [0, 51]),
    ],
)
def test_deep_grey_is_brought_to_eight_bits(mode, deep, wanted):
    image = Image.fromarray(np.array([deep], mode))
    for kind in ("TIFF", "PNG") if mode == "uint16" else ("TIFF",):
        pixels = np.asarray(decode(saved(image, kind)))
        assert pixels[0].tolist() == [[value] * 3 for value in wanted]


def test_deep_grey_of_big_endian_files_is_read_the_same():
    deep = np.array([[0, 128, 129, 77 * 257, 65535]], ">u2")
    image = Image.frombytes("I;16B", deep.shape[::-1], deep.tobytes())
    assert np.asarray(decode(saved(image, "TIFF")))[0, :, 2].tolist() == [0, 0, 1, 77, 255]


@pytest.mark.parametrize("kind, options", [("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {})])
def test_a_photo_with_damaged_exif_is_taken_as_it_is(kind, options):
    content = saved(flag(), kind, exif=b"Exif\x00\x00" + b"\xff" * 40, **options)
    check(decode(content), "flag")


def test_one_bit_is_black_and_white():
    assert row_of([0, 255, 255, 0], "1") == [[0] * 3, [255] * 3, [255] * 3, [0] * 3]


def test_squishing_is_bilinear():
    step = Image.fromarray(np.array([[[0] * 3, [100] * 3]], np.uint8))
    # Larger: the centres of the four new pixels lie at -1/4, 1/4, 3/4 and 5/4 between the two old ones.
    assert np.asarray(squish(step, 4))[:, :, 1].tolist() == [[0, 25, 75, 100]] * 4
    # Smaller, by half: neighbours count 3/4, 3/4 and 1/4 of 7/4: 200 / 7 and 600 / 7.
    line = Image.fromarray(np.array([[[v] * 3 for v in (0, 0, 200, 0)]] * 4, np.uint8))
    assert np.asarray(squish(line, 2))[:, :, 0].tolist() == [[29, 86]] * 2
    assert np.asarray(squish(line.transpose(Image.Transpose.TRANSPOSE), 2))[:, :, 0].tolist() == [
        [29, 29],
        [86, 86],
    ]


@pytest.mark.parametrize("size", [3, 7, 32, 50])
def test_squishing_is_what_pillow_does_and_keeps_no_aspect_ratio(size):
    photo = Image.fromarray(shuffled())
    pixels = np.asarray(squish(photo, size))
    assert pixels.shape == (size, size, 3)
    filters = {f: np.asarray(photo.resize((size, size), f)) for f in Image.Resampling}
    assert [f for f, other in filters.items() if np.array_equal(pixels, other)] == [Image.Resampling.BILINEAR]


def test_files_are_listed_sorted_and_hidden_ones_left_out(tmp_path):
    names = ["b.jpg", "a.jpg", "z/9.jpg", "z/10.jpg", "c/deep/er.png", "dot.at.end.", "a.txt"]
    for name in [*names, ".hidden.jpg", ".trash/a.jpg", "z/.hidden.jpg", "z/.deep/a.jpg"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "empty").mkdir()
    wanted = ["a.jpg", "a.txt", "b.jpg", "c/deep/er.png", "dot.at.end.", "z/10.jpg", "z/9.jpg"]
    assert ImageFolder(tmp_path).names() == wanted
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.mkdir("z/")
        for name in names:
            archive.writestr(name, b"")
    assert ImageZip(tmp_path / "photos.zip").names() == wanted


def test_a_photo_of_a_folder_is_stamped_with_size_and_date(tmp_path):
    images, path = ImageFolder(tmp_path), tmp_path / "a.jpg"
    assert images.stamp("a.jpg") == images.stamp("a\x00") == ""
    path.write_bytes(b"12345")
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    assert images.stamp("a.jpg") == "5 1700000000123456789"


def test_a_photo_of_an_archive_is_stamped_with_size_and_checksum(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"12345")
    images = ImageZip(tmp_path / "photos.zip")
    assert images.stamp("a.jpg") == f"5 {zlib.crc32(b'12345')}" and images.stamp("b.jpg") == ""
    with pytest.raises(UnreadableImage, match=r"^file is missing$"):
        images.read("b.jpg")


def archive_that_promises(path, size):
    """An archive with one small photo whose entry claims that it will be `size` bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", b"photo" * 9)
    data = bytearray(path.read_bytes())
    at = data.index(b"PK\x01\x02") + 24  # in the directory at the end, after which Python goes
    assert data[at : at + 4] == struct.pack("<I", 45)
    data[at : at + 4] = struct.pack("<I", size)
    path.write_bytes(data)
    return ImageZip(path)


def test_an_archive_may_promise_a_gigabyte_and_no_byte_more(tmp_path):
    assert archive_that_promises(tmp_path / "a.zip", 2**30).read("a.jpg") == b"photo" * 9
    with pytest.raises(UnreadableImage, match=r"^file is larger than 1024 MB$"):
        archive_that_promises(tmp_path / "b.zip", 2**30 + 1).read("a.jpg")


def test_the_reason_of_a_damaged_entry_is_short(tmp_path):
    path, name = tmp_path / "photos.zip", "a" * 200 + ".jpg"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, b"photo" * 9)
    path.write_bytes(path.read_bytes().replace(b"photophoto", b"phot0photo"))
    with pytest.raises(UnreadableImage) as error:
        ImageZip(path).read(name)
    assert str(error.value) == f"file cannot be read ({f'Bad CRC-32 for file {name!r}'[:80]})"


def place_of_reading(path):
    """Where this process will read next in a file that it holds open."""
    (number,) = [
        fd for fd in os.listdir("/proc/self/fd") if os.path.realpath(f"/proc/self/fd/{fd}") == str(path)
    ]
    return os.lseek(int(number), 0, os.SEEK_CUR)


def test_an_archive_can_be_handed_to_other_processes(tmp_path):
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.jpg", b"photo" * 99_999)  # more than a file's buffer holds
        archive.writestr("between.jpg", b"photo" * 99_999)
        archive.writestr("b.jpg", b"other")
    images = ImageZip(path)
    assert pickle.loads(pickle.dumps(images)).read("b.jpg") == b"other"
    assert images.read("b.jpg") == b"other"
    before = place_of_reading(path)
    child = os.fork()
    if not child:
        os._exit(0 if images.read("a.jpg") == b"photo" * 99_999 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert place_of_reading(path) == before  # a child that shares it would have moved it under its parent


def test_photos_lie_in_a_folder_or_an_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("a.jpg", b"photo")
    (tmp_path / "text.zip").write_text("no archive")
    assert isinstance(open_images(tmp_path), ImageFolder)
    assert isinstance(open_images(str(tmp_path / "photos.zip")), ImageZip)
    for wrong in ("text.zip", "nowhere"):
        with pytest.raises(SelfieError, match=f"{wrong} is neither a folder nor an archive of photos"):
            open_images(tmp_path / wrong)
