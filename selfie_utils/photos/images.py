"""Photos by name, from a folder or an archive, decoded safely and made square."""

import io
import os
import stat
import tarfile
import unicodedata
import warnings
import zipfile
from collections.abc import Sequence
from functools import cache, lru_cache, partial
from pathlib import Path, PurePosixPath
from typing import Protocol

import numpy as np
from PIL import Image, ImageOps, JpegImagePlugin, UnidentifiedImageError

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.salvage import HEAD, NO_PHOTO, is_photo, kind_of_archive, salvage, why_no_photo

MISSING_COLOUR = (96, 96, 96)

# What a photo may be; Pillow knows more, some of which starts other programs.
FORMATS = ("PNG", "WEBP", "GIF", "BMP", "TIFF", "MPO", "AVIF", "HEIF", "PPM", "JPEG2000")
HEIC_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1")
MOST_JPEG_PIXELS = 250_000_000  # the largest sensors of phones have 200 million
LARGEST_FILE = 2**30  # bytes; an archive may promise much more than it holds
BESIDE = {"__MACOSX", "@eaDir"}  # folders with a shadow, or thumbnails, of each photo
TOO_LARGE = "image is too large to decode safely"


class UnreadableImage(SelfieError):
    """One photo cannot be read; its message is the reason, fit for skipped.parquet."""


def leaves_folder(name: str) -> bool:
    """Tell whether an image name points outside its folder: absolute, or upwards by `..`."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


def real(path: Path) -> Path:
    """Return where a path leads in the end; a link that leads round to itself stays as it is."""
    return Path(os.path.realpath(path))  # Path.resolve stops at one with an error of its own


class Images(Protocol):
    """Photos by name, wherever they lie."""

    def read(self, name: str, most: int | None = None) -> bytes:
        """Return the first `most` bytes of one photo, or all; raise UnreadableImage with the reason."""

    def stamp(self, name: str) -> str:
        """Return a short text that changes with the photo; empty where it is missing."""

    def names(self) -> list[str]:
        """List all photos, hidden ones left out: sorted, or in the order in which they are quickly read."""

    def __hash__(self) -> int:
        """Tell this place from others; `tile` keeps photos by it."""


class ImageFolder:
    """Photos in a folder on disk."""

    def __init__(self, root: Path):
        self.root = root

    def read(self, name: str, most: int | None = None) -> bytes:
        """Return the first `most` bytes of one photo, or all; raise UnreadableImage with the reason."""
        try:
            path = self.path(name)
            if leaves_folder(name) or not real(path).is_relative_to(real(self.root)):
                raise UnreadableImage("lies outside the image folder")
            kind = path.stat().st_mode
            if not stat.S_ISREG(kind):  # a pipe would wait for ever
                raise UnreadableImage("is a folder" if stat.S_ISDIR(kind) else "is not a file")
            with path.open("rb") as file:
                return file.read(-1 if most is None else most)
        except FileNotFoundError:
            raise UnreadableImage("file is missing") from None
        except (OSError, ValueError) as error:  # a name may hold what no file's can
            reason = getattr(error, "strerror", None) or error
            raise UnreadableImage(f"file cannot be read ({reason})") from None

    def stamp(self, name: str) -> str:
        """Return size and date of one photo, by which a change is seen; empty where it is missing."""
        try:
            info = self.path(name).stat()
        except (OSError, ValueError):
            return ""
        return f"{info.st_size} {info.st_mtime_ns}"

    def path(self, name: str) -> Path:
        """Find a file also where the disk spells its umlauts in the other of Unicode's two ways."""
        path = self.root / name
        if not name.isascii() and not path.exists():
            return next((p for n in spellings(name) if (p := self.root / n).exists()), path)
        return path

    def names(self) -> list[str]:
        """List every file of the folder, sorted, hidden ones left out.

        A link to a folder is followed where that lies inside too; one that leads out stands in the list
        itself, as one does that can't be opened, and to read it says why it can't be.
        """
        found: list[str] = []
        walk = os.walk(self.root, followlinks=True, onerror=lambda error: found.append(self._shut(error)))
        for folder, folders, names in walk:
            inside = Path(folder).relative_to(self.root).as_posix()
            prefix = "" if inside == "." else f"{inside}/"
            out, round_again = self._not_to_follow(Path(folder), folders)
            found += [prefix + name for name in names + out if not is_hidden(name)]
            left = {*out, *round_again}
            folders[:] = [name for name in folders if not is_hidden(name) and name not in left]
        return sorted(found)

    def _shut(self, error: OSError) -> str:
        """Return the name of a folder that can't be opened; raise SelfieError where it is the root."""
        name = Path(error.filename).relative_to(self.root).as_posix()
        if name == ".":
            raise SelfieError(f"{self.root} cannot be opened ({error.strerror}): check who may read it.")
        return name

    def _not_to_follow(self, folder: Path, names: list[str]) -> tuple[list[str], list[str]]:
        """Return which folders are links that lead out, and which lead back to where we come from."""
        links = {name: real(folder / name) for name in names if (folder / name).is_symlink()}
        if not links:
            return [], []
        root, way = real(self.root), folder.relative_to(self.root)
        passed = {real(self.root / part) for part in (way, *way.parents)}
        out = [name for name, target in links.items() if not target.is_relative_to(root)]
        return out, [name for name, target in links.items() if target in passed]


def is_hidden(name: str) -> bool:
    """Tell whether a file is hidden, or what a Mac or a network disk puts beside photos."""
    return any(part.startswith(".") or part in BESIDE for part in name.split("/"))


def written(name: str) -> str:
    """Return a file's name as it can be written down: what is not UTF-8 becomes a sign that stands for it."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def spellings(name: str) -> list[str]:
    """Return the ways to write a name in Unicode: an umlaut is one sign, or a vowel and its dots."""
    return [unicodedata.normalize(form, name) for form in ("NFC", "NFD")]


def is_archive(path: Path) -> bool:
    """Tell whether a file is an archive that may hold photos."""
    return path.is_file() and (zipfile.is_zipfile(path) or _is_tar(path))


def _is_tar(path: Path) -> bool:
    """Tell whether a file is a tar archive; one whose first entry is cut short counts as none."""
    try:
        return tarfile.is_tarfile(path)
    except Exception:  # zlib, bz2 and lzma have an error each
        return False


def open_images(path: str | Path) -> Images:
    """Open a folder or an archive (zip, tar, .tar.gz) of photos; raise SelfieError where there is neither."""
    from selfie_utils.photos.archives import ImageTar, ImageZip  # which need what is above

    path = Path(path)
    if path.is_dir():
        return ImageFolder(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return ImageZip(path)
    if path.is_file() and _is_tar(path):
        return ImageTar(path)
    raise SelfieError(f"{path} is neither a folder nor an archive of photos (zip, tar): {_what_to_do(path)}.")


def _what_to_do(path: Path) -> str:
    """Say what to do about a file that stands where a folder or an archive should, by its first bytes."""
    if not path.is_file():
        return "check the images path"
    with path.open("rb") as file:
        head = file.read(HEAD)
    kind = kind_of_archive(head)
    if kind == "zip":
        return "it begins as a zip file and ends too early, so fetch it again"
    if kind:
        return f"it is packed by {kind}, so unpack it first, or fetch it again if that fails"
    return "give the folder of the photo" if is_photo(head) else "check the images path"


def decode(data: bytes, at_least: int | None = None) -> Image.Image:
    """Decode one photo to upright RGB, or raise UnreadableImage with the reason.

    A JPEG much larger than `at_least` px a side is decoded at a fraction of its size, which is about
    four times faster and lets photos of 200 megapixels in. EXIF rotation is applied; transparency is laid on
    white; of an animation the first picture counts; deeper colours are brought to 8 bits. A fault in what is
    not pixels, such as a colour profile or the last two bytes, costs nothing: see `salvage`.
    """
    if not data:
        raise UnreadableImage("file is empty")
    try:
        return _decode(data, at_least)
    except UnreadableImage as error:
        if str(error) == TOO_LARGE:
            raise
        saved = salvage(data, partial(_decode, at_least=at_least), UnreadableImage)
        if saved is None:
            raise
        return saved


def _decode(data: bytes, at_least: int | None) -> Image.Image:
    """Decode one photo as it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of damaged EXIF and odd TIFF tags; the pixels are what counts
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = _open(data, at_least)
            image.load()
            return upright_rgb(image)
    except UnreadableImage:
        raise
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UnreadableImage(TOO_LARGE) from None
    except UnidentifiedImageError:
        told = why_no_photo(data[:HEAD])
        raise UnreadableImage("not an image" if told in ("", NO_PHOTO) else told) from None
    except Exception as error:  # Pillow's plugins raise almost anything on broken files
        if "truncated" in str(error) or isinstance(error, EOFError):
            raise UnreadableImage("image is cut short") from None
        raise UnreadableImage(f"image is broken ({str(error)[:80]})") from None


def _open(data: bytes, at_least: int | None) -> Image.Image:
    """Open a photo of a known format, a JPEG at the smallest fraction of its size that will do."""
    if data[:3] == b"\xff\xd8\xff":
        return _open_jpeg(data, at_least)
    if data[4:8] == b"ftyp" and data[8:12] in HEIC_BRANDS:
        _allow_heic()
    Image.init()  # does nothing from the second time on
    return Image.open(io.BytesIO(data), formats=[known for known in FORMATS if known in Image.OPEN])


def _open_jpeg(data: bytes, at_least: int | None) -> Image.Image:
    """Open a JPEG; what counts for the limit on pixels is the fraction that is decoded.

    Image.open would count all of them, and refuse the photos of a good phone.
    """
    image = JpegImagePlugin.JpegImageFile(io.BytesIO(data))
    pixels = image.width * image.height
    if at_least:
        image.draft("RGB", (at_least, at_least))
    # A progressive JPEG keeps all coefficients in memory, six bytes per pixel, however few are decoded.
    decoded = pixels if "progressive" in image.info else image.width * image.height
    if pixels > MOST_JPEG_PIXELS or decoded > (Image.MAX_IMAGE_PIXELS or MOST_JPEG_PIXELS):
        raise UnreadableImage(TOO_LARGE)
    return image


@cache
def _allow_heic() -> None:
    """Teach Pillow HEIC, once, where the package that can is installed."""
    try:
        from pillow_heif import register_heif_opener
    except ImportError:
        raise UnreadableImage("HEIC photo: pip install pillow-heif to read it") from None
    register_heif_opener(thumbnails=False)


def upright_rgb(image: Image.Image) -> Image.Image:
    """Turn a photo as its EXIF data says, and convert any mode to RGB of 8 bits, transparency on white."""
    return _flat_rgb(_upright(image))


def _upright(image: Image.Image) -> Image.Image:
    """Turn a photo as its EXIF data says; where they are damaged, take it as it is."""
    try:
        return ImageOps.exif_transpose(image)
    except Exception:
        return image


def _flat_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB of 8 bits, with transparency on white."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        image = _eight_bits(image)
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring deep grey to 0..255: from 8 or 16 bits, floats from 0..1 where they fit in, deeper by range."""
    values = np.asarray(image, np.float64)
    values = np.nan_to_num(values, nan=0, posinf=0, neginf=0)
    top = values.max(initial=0)
    if image.mode == "F":
        white = 1.0 if top <= 1 else 255.0 if top <= 255 else 65535.0
    else:
        white = 255.0 if image.mode == "I" and top <= 255 else 65535.0
    return Image.fromarray((values / max(white, top) * 255).clip(0, 255).round().astype(np.uint8))


def squish(image: Image.Image, size: int) -> Image.Image:
    """Resize to `size` x `size` px without keeping the aspect ratio, as the article did."""
    return image.resize((size, size), Image.Resampling.BILINEAR)


@lru_cache(maxsize=4096)
def tile(images: Images, name: str, size: int) -> Image.Image:
    """Return one photo squished to `size` x `size` px, RGB; a grey tile where it can't be read any more."""
    try:
        return squish(decode(images.read(name), at_least=size), size)
    except UnreadableImage:
        return Image.new("RGB", (size, size), MISSING_COLOUR)


def tiles(images: Images, names: Sequence[str], size: int) -> list[Image.Image]:
    """Return the photos `names` as square tiles of `size` px."""
    return [tile(images, name, size) for name in names]
