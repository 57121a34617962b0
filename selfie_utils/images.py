"""Photos by name, from a folder or a zip archive, decoded safely and made square."""

import io
import warnings
import zipfile
from pathlib import Path, PurePosixPath

from PIL import Image, ImageOps, UnidentifiedImageError

from selfie_utils.errors import SelfieError


class UnreadableImage(SelfieError):
    """One photo cannot be read; its message is the reason, fit for skipped.parquet."""


def leaves_folder(name: str) -> bool:
    """Tell whether an image name points outside its folder: absolute, or upwards by `..`."""
    path = PurePosixPath(name.replace("\\", "/"))
    return path.is_absolute() or ".." in path.parts or name[1:2] == ":"


class ImageFolder:
    """Photos in a folder on disk."""

    def __init__(self, root: Path):
        self.root = root

    def read(self, name: str) -> bytes:
        """Return the bytes of one photo; raise UnreadableImage where it is missing or elsewhere."""
        path = self.root / name
        if leaves_folder(name) or not path.resolve().is_relative_to(self.root.resolve()):
            raise UnreadableImage("lies outside the image folder")
        try:
            return path.read_bytes()
        except FileNotFoundError:
            raise UnreadableImage("file is missing") from None
        except OSError as error:
            raise UnreadableImage(f"file cannot be read ({error.strerror})") from None

    def stamp(self, name: str) -> str:
        """Return size and date of one photo, by which a change is seen; empty where it is missing."""
        try:
            info = (self.root / name).stat()
        except OSError:
            return ""
        return f"{info.st_size} {info.st_mtime_ns}"

    def names(self) -> list[str]:
        """List every file of the folder, sorted, hidden ones left out."""
        files = (p.relative_to(self.root) for p in self.root.rglob("*") if p.is_file())
        return sorted(p.as_posix() for p in files if not p.name.startswith("."))


class ImageZip:
    """Photos in a zip archive; safe to hand to worker processes, which open it again."""

    def __init__(self, root: Path):
        self.root = root
        self._archive = zipfile.ZipFile(root)

    def __reduce__(self):
        return ImageZip, (self.root,)

    def read(self, name: str) -> bytes:
        """Return the bytes of one photo; raise UnreadableImage where it is missing or damaged."""
        try:
            return self._archive.read(name)
        except KeyError:
            raise UnreadableImage("file is missing") from None
        except (zipfile.BadZipFile, OSError) as error:
            raise UnreadableImage(f"file cannot be read ({error})") from None

    def stamp(self, name: str) -> str:
        """Return size and checksum of one photo, by which a change is seen; empty where it is missing."""
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            return ""
        return f"{info.file_size} {info.CRC}"

    def names(self) -> list[str]:
        """List every file of the archive, sorted."""
        return sorted(n for n in self._archive.namelist() if not n.endswith("/"))


def open_images(path: str | Path) -> ImageFolder | ImageZip:
    """Open a folder or a zip archive of photos; raise SelfieError where there is neither."""
    path = Path(path)
    if path.is_dir():
        return ImageFolder(path)
    if path.is_file() and zipfile.is_zipfile(path):
        return ImageZip(path)
    raise SelfieError(f"{path} is neither a folder nor a zip archive of photos: check the images path.")


def decode(data: bytes, at_least: int | None = None) -> Image.Image:
    """Decode one photo to upright RGB, or raise UnreadableImage with the reason.

    A JPEG much larger than `at_least` px a side is decoded at a fraction of its size, which is about
    four times faster. EXIF rotation is applied; transparency is laid on white.
    """
    if not data:
        raise UnreadableImage("file is empty")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            if at_least:
                image.draft("RGB", (at_least, at_least))
            return _flat_rgb(ImageOps.exif_transpose(image))
    except (Image.DecompressionBombWarning, Image.DecompressionBombError):
        raise UnreadableImage("image is too large to decode safely") from None
    except UnidentifiedImageError:
        raise UnreadableImage("not an image") from None
    except Exception as error:  # Pillow's plugins raise almost anything on broken files
        if "truncated" in str(error):
            raise UnreadableImage("image is cut short") from None
        raise UnreadableImage(f"image is broken ({str(error)[:80]})") from None


def _flat_rgb(image: Image.Image) -> Image.Image:
    """Convert any mode to RGB, with transparency on white."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def squish(image: Image.Image, size: int) -> Image.Image:
    """Resize to `size` x `size` px without keeping the aspect ratio, as the post did."""
    return image.resize((size, size), Image.Resampling.BILINEAR)
