"""A fault in what is not pixels costs nothing; where a pixel is lost, the photo is refused."""

import io
import re
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFilter

from selfie_utils.photos.images import UnreadableImage, decode
from selfie_utils.photos.salvage import HEAD, is_photo, why_no_photo

KINDS = {
    "JPEG": {}, "progressive": {"progressive": True}, "fine": {"quality": 98, "subsampling": 0}, "PNG": {},
    "WEBP": {}, "lossless": {"lossless": True}, "GIF": {}, "BMP": {}, "TIFF": {}, "AVIF": {},
}  # fmt: skip
FORMATS = {"progressive": "JPEG", "fine": "JPEG", "lossless": "WEBP"}


def photo():
    """Waves of colour, of which no row looks like another."""
    noise = np.random.default_rng(3).integers(0, 256, (61, 83, 3), dtype=np.uint8)
    return Image.fromarray(noise).filter(ImageFilter.GaussianBlur(1.5))


def saved(kind, **options):
    out = io.BytesIO()
    photo().save(out, FORMATS.get(kind, kind), **KINDS.get(kind, {}), **options)
    return out.getvalue()


@pytest.fixture(scope="module")
def whole():
    """Files of every kind, each with what it shows."""
    files = {kind: saved(kind) for kind in KINDS}
    return {kind: (data, np.asarray(decode(data))) for kind, data in files.items()}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(sorted(KINDS)), st.one_of(st.integers(1, 30), st.integers(1, 20_000)))
def test_a_file_that_lost_its_end_shows_all_of_its_pixels_or_is_refused(whole, kind, lost):
    data, pixels = whole[kind]
    try:
        found = decode(data[: max(len(data) - lost, 1)])
    except UnreadableImage:
        return
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("kind", ["JPEG", "progressive", "fine", "PNG", "GIF"])
@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("at_least", [None, 20])
def test_a_photo_without_its_last_two_bytes_is_read(whole, kind, lost, at_least):
    data = whole[kind][0]
    assert np.array_equal(decode(data[:-lost], at_least), decode(data, at_least))


def test_a_progressive_photo_that_ends_between_two_scans_is_refused(whole):
    data = whole["progressive"][0]
    scans = [found.start() for found in re.finditer(b"\xff\xda", data)]
    assert len(scans) > 3
    for end in scans[1:]:
        table = data.rfind(b"\xff\xc4", 0, end)  # the next scan's table stands before it
        with pytest.raises(UnreadableImage, match="cut short"):
            decode(data[:table])


def chunk(kind, body, crc=None):
    crc = zlib.crc32(kind + body) if crc is None else crc
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", crc)


BOMB = zlib.compress(bytes(3_000_000))
FAULTS = {
    "a profile of 3 MB": chunk(b"iCCP", b"p\0\0" + BOMB),
    "a profile packed in an unknown way": chunk(b"iCCP", b"p\0\1" + BOMB),
    "a profile that is none": chunk(b"iCCP", b""),
    "a text of 3 MB": chunk(b"zTXt", b"t\0\0" + BOMB),
    "an international text of 3 MB": chunk(b"iTXt", b"t\0\1\0en\0t\0" + BOMB),
    "a wrong checksum": chunk(b"tEXt", b"a\0b", crc=7),
    "a length that is too large": struct.pack(">I", 10**9) + chunk(b"tEXt", b"a\0b")[4:],
    "a length that is too small": struct.pack(">I", 1) + chunk(b"tEXt", b"a\0bcdefgh")[4:],
    "a date without days": chunk(b"tIME", b"x"),
    "a gamma without a value": chunk(b"gAMA", b""),
    "a size without units": chunk(b"pHYs", b"\0"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_png_with_a_faulty_side_chunk_shows_its_pixels(whole, fault):
    data, pixels = whole["PNG"]
    start = data.index(b"IDAT") - 4
    assert np.array_equal(decode(data[:start] + FAULTS[fault] + data[start:]), pixels)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"sBIT", b"cHRM", b"vpAg"]),
    st.one_of(st.binary(max_size=60), st.sampled_from([b"tRNS", b"IDAT", b"a\0\0\0\1PLTEb", b"IEND"])),
    st.one_of(st.none(), st.integers(0, 2**32 - 1)),
)
def test_whatever_a_side_chunk_holds_the_pixels_are_shown(whole, kind, body, crc):
    data, pixels = whole["PNG"]
    start = data.index(b"IDAT") - 4
    assert np.array_equal(decode(data[:start] + chunk(kind, body, crc) + data[start:]), pixels)


def test_beside_a_faulty_chunk_a_photo_is_still_turned_upright_and_see_through():
    exif = Image.Exif()
    exif[0x0112] = 6  # the first row is the right edge
    out = io.BytesIO()
    photo().convert("RGBA").save(out, "PNG", exif=exif)
    data = out.getvalue()
    start = data.index(b"IDAT") - 4
    damaged = data[:start] + FAULTS["a wrong checksum"] + data[start:]
    assert np.array_equal(decode(damaged), np.rot90(np.asarray(photo()), -1))
    out = io.BytesIO()
    Image.new("RGB", (4, 3), (1, 2, 3)).save(out, "PNG", transparency=(1, 2, 3))
    data = out.getvalue()
    start = data.index(b"IDAT") - 4
    assert np.asarray(decode(data[:start] + FAULTS["a wrong checksum"] + data[start:])).min() == 255


@settings(max_examples=60, deadline=None)
@given(st.integers(0xE0, 0xEF), st.binary(max_size=40))
def test_whatever_a_segment_of_an_application_holds_a_jpeg_shows_its_pixels(whole, marker, body):
    if marker == 0xEE and body.startswith(b"Adobe"):
        return  # which says what the colours are
    data, pixels = whole["JPEG"]
    segment = bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body
    found = np.asarray(decode(data[:2] + segment + data[2:]))
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("kind", [b"ICCP", b"EXIF", b"XMP "])
def test_a_webp_with_a_side_chunk_of_nonsense_shows_its_pixels(kind):
    data = saved("WEBP", exif=b"Exif\0\0nonsense", icc_profile=b"no profile", xmp=b"<x")
    pixels = np.asarray(decode(data))
    at = data.index(kind)
    assert np.array_equal(decode(data[:at] + b"\xff" + data[at + 1 :]), pixels)


def test_a_damaged_pixel_is_still_a_reason(whole):
    data = bytearray(whole["PNG"][0])
    data[data.index(b"IDAT") + 30] ^= 0xFF
    with pytest.raises(UnreadableImage):
        decode(bytes(data))


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_is_known_by_its_first_bytes(whole, kind):
    assert is_photo(whole[kind][0][:HEAD]) and why_no_photo(whole[kind][0][:HEAD]) == ""


@settings(deadline=None)
@given(st.binary(max_size=HEAD))
def test_other_bytes_are_no_photo_unless_they_begin_as_one(head):
    begins = (
        b"\xff\xd8\xff",
        b"\x89PNG",
        b"GIF8",
        b"RIFF",
        b"BM",
        b"II",
        b"MM",
        b"P",
        b"\0\0\0\x0c",
        b"\xff\x4f",
    )
    if not head.startswith(begins) and head[4:8] != b"ftyp":
        assert why_no_photo(head)


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"", "file is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a pointer of Git LFS"),
        (b"<!DOCTYPE html>", "not a photo"),
        (b"<svg xmlns=", "not a photo"),
        (b"%PDF-1.4", "not a photo"),
        (b"\0\0\0\x18ftypmp42\0\0", "not a photo"),
        (b"\0\0\0\x14ftypqt  \0\0", "not a photo"),
        (b"\x1aE\xdf\xa3webm", "not a photo"),
        (b"Person,likes\nanna,3\n", "not a photo"),
        (b"PK\3\4\x14\0", "an archive inside: unpack it first"),
        (b"BMW is a maker of cars", "not a photo"),
    ],
)
def test_what_is_no_photo_is_named(head, reason):
    assert why_no_photo(head).startswith(reason)
