"""Photos in an archive, zip or tar, as people pack them: a folder around all, names that say UTF-8 or not."""

import io
import os
import re
import tarfile
import zipfile
from abc import ABC, abstractmethod
from pathlib import Path, PurePosixPath
from threading import Lock
from typing import Any

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import LARGEST_FILE, UnreadableImage, is_hidden, leaves_folder, spellings


class _Archive(ABC):
    """Entries by name; safe to hand to worker processes, which open the archive again.

    A forked process opens its own too, since a shared one has one place to read at.
    """

    def __init__(self, root: Path):
        self.root = root
        self._open()

    def __reduce__(self):
        return type(self), (self.root,)

    def _open(self) -> None:
        self._opened_by, self._entries = os.getpid(), self._list()
        # Tables name photos without the folder that was packed with them.
        shown = [name for name in self._entries if not is_hidden(name) and not leaves_folder(name)]
        folders = [name.rpartition("/")[0] for name in shown]
        common = os.path.commonpath(folders) if folders else ""
        self._around = [f"{folder}/" for folder in (common, *map(str, PurePosixPath(common).parents))]

    @abstractmethod
    def _list(self) -> dict[str, Any]:
        """Open the archive; return its files by name, in their order."""

    @abstractmethod
    def _size(self, entry: Any) -> int:
        """Return how many bytes an entry promises."""

    @abstractmethod
    def _start(self, entry: Any, most: int | None) -> bytes:
        """Return the first `most` bytes of one entry, or all."""

    def read(self, name: str, most: int | None = None) -> bytes:
        """Return the first `most` bytes of one photo, or all; raise UnreadableImage with the reason."""
        entry = self.find(name)
        if entry is None:
            raise UnreadableImage("file is missing")
        if most is None and self._size(entry) > LARGEST_FILE:
            raise UnreadableImage(f"file is larger than {LARGEST_FILE // 2**20} MB")
        try:
            return self._start(entry, most)
        except UnreadableImage:
            raise
        except Exception as error:  # zlib, bz2 and lzma have an error each, zipfile and tarfile some
            raise UnreadableImage(f"file cannot be read ({str(error)[:80]})") from None

    def find(self, name: str) -> Any | None:
        """Find an entry also by the other spelling of its umlauts, or without the folder around all."""
        if self._opened_by != os.getpid():
            self._open()
        asked = [name, *spellings(name)]
        asked += [around + one for around in self._around for one in asked]
        return next((self._entries[one] for one in asked if one in self._entries), None)

    def names(self) -> list[str]:
        """List every file of the archive in its order, hidden ones and a Mac's shadows of files left out."""
        return [name for name in self._entries if not is_hidden(name)]


class ImageZip(_Archive):
    """Photos in a zip archive."""

    def _list(self) -> dict[str, zipfile.ZipInfo]:
        try:
            self._zip = zipfile.ZipFile(self.root)
        except Exception as error:  # zipfile raises some that are not its own
            raise SelfieError(f"{self.root} cannot be read ({error}): fetch or pack it again.") from None
        return {_inside(_name(entry)): entry for entry in self._zip.infolist() if not entry.is_dir()}

    def _size(self, entry: zipfile.ZipInfo) -> int:
        return entry.file_size

    def _start(self, entry: zipfile.ZipInfo, most: int | None) -> bytes:
        if entry.flag_bits & 1:
            raise UnreadableImage("it is encrypted: unpack it with its password first")
        with self._zip.open(entry) as file:
            return file.read(-1 if most is None else most)

    def stamp(self, name: str) -> str:
        """Return size and checksum of one photo, by which a change is seen; empty where it is missing."""
        entry = self.find(name)
        return f"{entry.file_size} {entry.CRC}" if entry else ""

    def names(self) -> list[str]:
        """List every file of the archive, sorted, hidden ones and a Mac's shadows of files left out."""
        return sorted(super().names())


def _inside(name: str) -> str:
    """Return the name of an entry without the root of the disk that it was packed from, as unzip does."""
    return re.sub(r"^([A-Za-z]:)?[\\/]+", "", name)


def _name(entry: zipfile.ZipInfo) -> str:
    """Return the name of an entry; many programs write UTF-8 and do not say so."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return entry.filename


class ImageTar(_Archive):
    """Photos in a tar archive; a compressed one is quick in the order of its names only."""

    def _list(self) -> dict[str, tarfile.TarInfo]:
        self._lock = Lock()
        try:
            self._tar = tarfile.open(self.root)  # noqa: SIM115 -- it stays open
            entries = self._tar.getmembers()
        except Exception as error:  # of tarfile, zlib, bz2 and lzma
            raise SelfieError(f"{self.root} cannot be read to its end ({error}): fetch it again.") from None
        files = [entry for entry in entries if entry.isreg() or entry.issym() or entry.islnk()]
        return {_inside(entry.name.removeprefix("./")): entry for entry in files}

    @property
    def in_order_only(self) -> bool:
        """Tell whether the archive is compressed, so that a photo is reached only through those before it."""
        return not isinstance(self._tar.fileobj, io.BufferedReader)

    def _size(self, entry: tarfile.TarInfo) -> int:
        return entry.size

    def _start(self, entry: tarfile.TarInfo, most: int | None) -> bytes:
        with self._lock:
            file = self._tar.extractfile(entry)  # of a link, what it leads to inside
            if file is None:
                raise UnreadableImage("file leads to no file")
            with file:
                return file.read(-1 if most is None else most)

    def stamp(self, name: str) -> str:
        """Return size and date of one photo, by which a change is seen; empty where it is missing."""
        entry = self.find(name)
        return f"{entry.size} {entry.mtime}" if entry else ""
