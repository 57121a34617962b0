"""What a file shows although it is at fault: known by its first bytes, read without what is not pixels."""

import re
import struct
import zlib
from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

HEAD = 512  # bytes of a file that tell what it is
STARTS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|BM.{4}\0\0\0\0|II\*\0|MM\0\*|II\+\0|MM\0\+"
    rb"|P[1-6][\s#]|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"
    rb"|.{4}ftyp(?:hei[cxms]|hevc|mif1|msf1|avi[fs])",
    re.DOTALL,
)
NO_PHOTO = "not a photo, by its content"
JPEG_XL = re.compile(rb"\xff\n|\0\0\0\x0cJXL \r\n\x87\n")
ARCHIVES = {
    b"PK\3\4": "zip", b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!\x1a\x07": "rar", b"\x1f\x8b": "gzip",
    b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd",
}  # fmt: skip
POINTER = b"version https://git-lfs"  # what a large-file store leaves in the place of a photo
PIXELS, BESIDE = (
    (b"IHDR", b"PLTE", b"IDAT"),
    (b"tRNS", b"eXIf"),
)  # chunks of PNG that a photo needs, or may use
NEXT_CHUNK = re.compile(b"|".join([*PIXELS, *BESIDE, b"IEND"]))
TAILS = [bytes([byte]) * 4096 for byte in (0x00, 0x55, 0xAA)]
END_OF_JPEG = b"\xff\xd9"


def is_photo(head: bytes) -> bool:
    """Tell by the first bytes of a file, whatever its name, whether it is of a kind that can be decoded."""
    return STARTS.match(head) is not None


def kind_of_archive(head: bytes) -> str:
    """Name what packed a file, by its first bytes; empty where it is no archive."""
    return next((kind for start, kind in ARCHIVES.items() if head.startswith(start)), "")


def why_no_photo(head: bytes) -> str:
    """Say what a file is by its first bytes, in the words of a reason; empty for a photo."""
    if is_photo(head):
        return ""
    if not head:
        return "file is empty"
    if head.startswith(POINTER):
        return "a pointer of Git LFS: fetch the photo itself with `git lfs pull`"
    if JPEG_XL.match(head):
        return "a JPEG XL photo: save it as JPEG"
    if kind_of_archive(head):
        return "an archive inside: unpack it first"
    return NO_PHOTO


def salvage(
    data: bytes, decode: Callable[[bytes], Image.Image], failure: type[Exception]
) -> Image.Image | None:
    """Decode a photo at fault where all of its pixels are there; None where they are not.

    `decode` raises `failure`. Tried are the file without what is not pixels (text, profiles, thumbnails), and
    the file with an end, where its own is missing. What follows a photo that is whole makes no difference to
    it: where three different endings show the same, no pixel was lost.
    """
    for other in _bare(data):
        try:
            return decode(other)
        except failure:
            continue
    end = b""
    if data[:2] == b"\xff\xd8":
        if not _all_scans(data):
            return None
        data, end = data.rstrip(b"\xff"), END_OF_JPEG  # half of an end is none
    try:
        first, *others = [decode(data + tail + end) for tail in TAILS]
    except failure:
        return None
    same = all(np.array_equal(np.asarray(first), np.asarray(other)) for other in others)
    return first if same else None


def _bare(data: bytes) -> Iterator[bytes]:
    """Yield a file without what is not pixels: with the note which side is up, then without it."""
    if data[:8] == b"\x89PNG\r\n\x1a\n":
        yield _bare_png(data, BESIDE)
        yield _bare_png(data, BESIDE[:1])
    elif data[:2] == b"\xff\xd8":
        yield _bare_jpeg(data, (0xE1, 0xEE))
        yield _bare_jpeg(data, (0xEE,))
    elif data[:4] == b"RIFF":
        yield _bare_webp(data)


def _bare_png(data: bytes, beside: tuple[bytes, ...]) -> bytes:
    """Return a PNG of the chunks that its pixels need; one that is damaged beside them is stepped over."""
    parts, at = [data[:8]], 8
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        body, end = data[at + 8 : at + 8 + size], at + 12 + size
        if kind in PIXELS and end <= len(data):
            parts.append(data[at:end])  # with its checksum, which may tell of a fault
        elif kind in beside or kind == b"IDAT":  # the last one, if the end of the file is missing
            parts.append(_chunk(kind, body))
        elif not _is_sound(data, at):  # its length may be wrong as well
            end = _next_chunk(data, at + 8, end)
        at = end
    return b"".join([*parts, _chunk(b"IEND", b"")])


def _is_sound(data: bytes, at: int) -> bool:
    """Tell whether a chunk begins at a place of a PNG that is all there, by its checksum."""
    size = int.from_bytes(data[at : at + 4], "big")
    end = at + 12 + size
    if end > len(data):
        return False
    return data[end - 4 : end] == struct.pack(">I", zlib.crc32(data[at + 4 : end - 4]))


def _next_chunk(data: bytes, after: int, told: int) -> int:
    """Return where the next chunk begins: a sound one, or else what is called like one.

    `told` is the place that the length of the chunk before gives; in what that holds, names may stand too.
    """
    named = [found.start() - 4 for found in NEXT_CHUNK.finditer(data, after)]
    sound = (place for place in (told, *named) if _is_sound(data, place))
    return next(sound, named[0] if named else len(data))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def _bare_jpeg(data: bytes, kept: tuple[int, ...]) -> bytes:
    """Return a JPEG without comments and the segments of applications, but for `kept`."""
    parts, at = [data[:2]], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        side = 0xE0 <= data[at + 1] <= 0xEF or data[at + 1] == 0xFE
        if data[at + 1] in kept or not side:
            parts.append(data[at:end])
        at = end
    return b"".join([*parts, data[at:]])


def _all_scans(data: bytes) -> bool:
    """Tell whether a JPEG has begun to tell the last bit of each of the 64 coefficients of its components.

    A progressive one that ends between two of its scans decodes without complaint, and is blurred.
    """
    data = _bare_jpeg(data, ())  # a thumbnail has scans of its own
    frame = re.search(rb"\xff[\xc0-\xc2]\0.{6}([\x01-\x04])", data, re.DOTALL)
    told = set()
    for scan in re.finditer(rb"\xff\xda\0.([\x01-\x04])", data, re.DOTALL):
        end = scan.end() + 2 * scan[1][0]
        first, last, bits = [*data[end : end + 3], 0, 0, 1][:3]
        if not bits & 15:  # how many are still to come
            told |= {(one, i) for one in data[scan.end() : end : 2] for i in range(first, last + 1)}
    return frame is not None and len(told) == 64 * frame[1][0]


def _bare_webp(data: bytes) -> bytes:
    """Return a WebP of the chunks that its first picture needs."""
    parts, at = [], 12
    while at + 8 <= len(data):
        kind, size = struct.unpack_from("<4sI", data, at)
        end = at + 8 + size + size % 2
        if kind not in (b"ICCP", b"EXIF", b"XMP "):
            body = data[at:end]
            if kind == b"VP8X":  # without the flags of what is left out
                body = body[:8] + bytes([body[8] & ~0b101100]) + body[9:]
            parts.append(body)
        at = end
    whole = b"WEBP" + b"".join(parts)
    return b"RIFF" + struct.pack("<I", len(whole)) + whole
