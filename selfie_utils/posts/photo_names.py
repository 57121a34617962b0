"""Photos as tables name them: by address, by a path of another machine, in another case, without a suffix."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote, urlsplit

SUFFIX = re.compile(r"\.(jpe?g|jpe|jfif|png|webp|gif|bmp|tiff?|hei[cf]|avif)$")

ASKED = re.compile(r"(?i)(\.(?:jpe?g|png|webp|gif|bmp|tiff?|hei[cf]|avif))[?#].*$", re.DOTALL)  # a.jpg?v=2


def clean(name: str) -> str:
    """Write a name as a path: without what an address adds behind it, blanks round it or `./` before it."""
    name = name.strip().strip("\"'").strip()
    if re.match(r"(?i)(https?|file|s3|gs)://", name):
        name = unquote(urlsplit(name).path)
    name = ASKED.sub(r"\1", name)
    name = re.sub(r"/{2,}", "/", name.replace("\\", "/"))
    return re.sub(r"^(\./)+", "", name)


def match_names(wanted: Iterable[str], there: Iterable[str]) -> dict[str, str]:
    """Find the photo that each name means: {name as wanted: name as it is there}.

    A name that is there, as `clean` writes it, means that photo. Of the others, each is taken for a photo
    where that is the only one, and the name the only one for it, that agree in the path but for the folder
    around all, then in the file's name, without its suffix, as a number (9 for 000009.jpg), and with %20 for
    a blank; without regard to case throughout. What fits twice is not matched.
    """
    photos_there, named = dict.fromkeys(there), dict.fromkeys(wanted)
    found = {name: name for name in named if name in photos_there and "\\" not in name}  # nearly all
    names = _cleaned([name for name in named if name not in found])
    found |= {name: cleaned for name, cleaned in names.items() if cleaned in photos_there}
    left = _without(photos_there, found)
    if len(found) == len(named) or not left:
        return found
    ours = _common_folder(names.values())
    theirs = _common_folder(
        photo for photo in left if SUFFIX.search(photo.lower())
    )  # the table may lie outside
    keys: list[tuple[Callable[[str], str], Callable[[str], str]]] = [
        (lambda path: _folded(path.removeprefix(ours)), lambda path: _folded(path.removeprefix(theirs))),
        (_file, _file),
        (_stem, _stem),
        (_number, _number),
        (lambda path: _file(unquote(path)), _file),
    ]
    for of_name, of_photo in keys:
        rest = {name: cleaned for name, cleaned in names.items() if name not in found}
        photos = _unique({photo: of_photo(photo) for photo in left})
        asked = _unique_names({name: of_name(cleaned) for name, cleaned in rest.items()}, names)
        new = {name: photos[key] for name, key in asked.items() if key in photos}
        found |= {name: photo for name, photo in new.items() if _may_be(names[name], photo)}
        left = _without(left, found)
    return found


def _cleaned(names: Iterable[str]) -> dict[str, str]:
    """Clean names, but for addresses such as photo?id=7 that only what follows `?` tells apart."""
    cleaned = {name: clean(name) for name in names}
    asking = {name for name in cleaned if "?" in name and not SUFFIX.search(cleaned[name].lower())}
    counts = Counter(cleaned[name] for name in asking)
    return {n: n if n in asking and counts[path] > 1 else path for n, path in cleaned.items()}


def _without(photos: Iterable[str], found: dict[str, str]) -> list[str]:
    """Return the photos that no name has found yet."""
    taken = set(found.values())
    return [photo for photo in photos if photo not in taken]


def _unique(keys: dict[str, str]) -> dict[str, str]:
    """Turn {photo: key} round, without the keys of several photos."""
    counts = Counter(keys.values())
    return {key: photo for photo, key in keys.items() if key and counts[key] == 1}


def _unique_names(keys: dict[str, str], names: dict[str, str]) -> dict[str, str]:
    """Leave out the keys of names that differ."""
    meant: dict[str, set[str]] = {}
    for name, key in keys.items():
        meant.setdefault(key, set()).add(names[name])
    return {name: key for name, key in keys.items() if len(meant[key]) == 1}


def _may_be(name: str, photo: str) -> bool:
    """Tell whether the kinds agree: a name with a suffix does not mean a photo of another kind."""
    kind, other = (SUFFIX.search(_folded(text)) for text in (name, photo))
    return not kind or not other or kind[0] == other[0]


def _folded(text: str) -> str:
    text = unicodedata.normalize("NFC", text).casefold()
    return re.sub(r"\.(jpeg|jpe|jfif)$", ".jpg", text)


def _file(path: str) -> str:
    return _folded(PurePosixPath(path).name)


def _stem(path: str) -> str:
    return SUFFIX.sub("", _file(path))


def _number(path: str) -> str:
    stem = _stem(path).removesuffix(".0")  # 9.0 was 9 before a gap in the column
    return stem.lstrip("0") or "0" if stem.isascii() and stem.isdigit() else ""


def _common_folder(paths: Iterable[str]) -> str:
    """Return the folder around all, with its slash; empty where there is none."""
    folders = [PurePosixPath(path).parent.parts for path in paths]
    depth = 0
    while folders and all(len(parts) > depth and parts[depth] == folders[0][depth] for parts in folders):
        depth += 1
    common = "/".join(folders[0][:depth]) if folders else ""
    return (common.replace("//", "/").rstrip("/") + "/") if common else ""
