"""What a file shows although it is at fault: known by its first bytes."""

import re

HEAD = 512  # bytes of a file that tell what it is
STARTS = re.compile(
    rb"\xff\xd8\xff|\x89PNG\r\n\x1a\n|GIF8[79]a|RIFF.{4}WEBP|BM.{4}\0\0\0\0|II\*\0|MM\0\*|II\+\0|MM\0\+"
    rb"|P[1-6][\s#]|\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"
    rb"|.{4}ftyp(?:hei[cxms]|hevc|mif1|msf1|avi[fs])",
    re.DOTALL,
)
POINTER = b"version https://git-lfs"  # what a large-file store leaves in the place of a photo


def is_photo(head: bytes) -> bool:
    """Tell by the first bytes of a file, whatever its name, whether it is of a kind that can be decoded."""
    return STARTS.match(head) is not None


def why_no_photo(head: bytes) -> str:
    """Say what a file is by its first bytes, in the words of a reason; empty for a photo."""
    if is_photo(head):
        return ""
    if not head:
        return "file is empty"
    if head.startswith(POINTER):
        return "a pointer of Git LFS: fetch the photo itself with `git lfs pull`"
    return "not a photo, by its content"
