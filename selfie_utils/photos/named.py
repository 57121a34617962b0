"""Photos that somebody names on a command line: files, folders, archives, file:// addresses."""

import re
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import (
    ImageFolder,
    Images,
    UnreadableImage,
    is_archive,
    open_images,
    real,
    written,
)
from selfie_utils.photos.salvage import HEAD, why_no_photo


class Named(NamedTuple):
    """Photos of one place."""

    images: Images
    names: list[str]  # there
    shown: list[str]  # how to call them


def photos_at(given: Path | str) -> Named:
    """Find the photos that a path or address means: one, or all of a folder or archive.

    A file is not looked into; of a folder or archive, what is no photo is left out. Raises SelfieError where
    it holds none, or can't be opened.
    """
    path = _path_of(given)
    try:
        if not path.is_dir() and not is_archive(path):
            place = real(path)  # a link is followed: it was asked for
            return Named(ImageFolder(place.parent), [place.name], [written(str(given))])
        images = open_images(path)
    except (OSError, ValueError) as error:
        raise SelfieError(str(error)) from None
    why = {name: _why_no_photo(images, name) for name in images.names()}
    names = [name for name, reason in why.items() if not reason]
    if not names:
        told = f" ({next(iter(why.values()))}: {written(next(iter(why)))})" if why else ""
        raise SelfieError(f"it holds no photo{told}")
    return Named(images, names, [written(f"{str(given).rstrip('/')}/{name}") for name in names])


def _path_of(given: Path | str) -> Path:
    """Turn what was asked for into a path: ~ is the home folder, file:// an address on this machine."""
    text = str(given)
    if not text.strip():  # as a variable of the shell that is not set gives it
        raise SelfieError("its name is empty")
    if re.match(r"file:/", text, re.IGNORECASE):  # Path makes one slash of two
        return Path(unquote(re.sub(r"^file:/+(localhost(?=/))?/*", "/", text, flags=re.IGNORECASE)))
    if re.match(r"https?:/", text, re.IGNORECASE):
        raise SelfieError("it lies on the web: save it as a file, and give that")
    return Path(text).expanduser()


def _why_no_photo(images: Images, name: str) -> str:
    """Return why a file of a folder is no photo, or an empty string; what can't be opened is told later."""
    try:
        return why_no_photo(images.read(name, HEAD))
    except UnreadableImage:
        return ""
