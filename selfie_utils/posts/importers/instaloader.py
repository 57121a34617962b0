"""Folders that instaloader has written: photos, captions and metadata of posts that a user already has."""

import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.images import ImageFolder, UnreadableImage, written
from selfie_utils.posts.importers.instagram import (
    OWN_EXPORT,
    date_of,
    dig,
    first,
    id_of,
    is_video,
    items_of,
    likes_of,
    other_make,
    text_of,
    whole_number,
    word,
)
from selfie_utils.posts.importers.origin import Source, drop_list

METADATA = (".json.xz", ".json")
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".heic")
FILMS = (".mp4", ".mov", ".webm")
HASHTAG = re.compile(r"#(\w{1,150})")
FURTHER = "further photo of a carousel: likes belong to the post as it appeared"
VIDEO = "a video"
FILMED = "a carousel that begins with a video, which its likes may be for"
FOREIGN = "metadata is damaged, or not instaloader's"
NO_FOLLOWERS = "followers of its user are unknown: instaloader saves them when it is given the profile's name"


def read_instaloader(source: Path) -> Source:
    """Read every post below a folder, of one profile, of many, or of a hashtag, with its first photo.

    likes, date, caption and owner come from the metadata (`.json.xz`, or `.json`), followers from the owner's
    profile, saved beside the posts or inside them; tags are counted in the caption. instaloader does not note
    when it looked, so collected_at is the date of the metadata file. Videos, profile pictures, stories and
    posts without one of these are dropped with the reason. Files are only read, and never instaloader's own
    code run, which may ask the network. Raises SelfieError where there is no metadata at all.
    """
    names, odd = _names(source)
    notes = [name for name in names if name.endswith(METADATA) and not name.endswith("_comments.json")]
    if not notes:
        make = _of_whom(names)
        of_whom = f" {make[0].upper()}{make[1:]}." if make else ""
        raise SelfieError(
            f"{source} holds no metadata of instaloader (.json.xz): give the folder it was run in; with "
            f"--no-metadata-json there are no likes to label by.{of_whom}"
        )
    found = _Found(names, notes)
    for name in tqdm(notes, desc="reading metadata", mininterval=2, unit="file"):
        found.add(source, name)
    make = next(iter(found.other_makes), _of_whom(names))
    if make and not found.read:
        raise SelfieError(f"{source} holds no metadata of instaloader: {make}.")
    posts = found.posts()
    dropped = odd + found.dropped + list(_left_over(names, posts, found))
    told = [
        "instaloader does not note when it looked: the date of its metadata file stands for collected_at."
    ]
    return Source(posts, source, drop_list(dropped), told)


def _names(source: Path) -> tuple[list[str], list[tuple[str, str]]]:
    """Return the files of a folder whose names can be written down, and the others with the reason."""
    names = ImageFolder(source).names() if source.is_dir() else []
    odd = [
        (written(name), "its file name is not UTF-8: rename it") for name in names if written(name) != name
    ]
    return [name for name in names if written(name) == name], odd


def _of_whom(names: list[str]) -> str:
    """Name the maker of another download by the files that it leaves; empty where we know none."""
    own = any("your_instagram_activity/" in f"/{name}" or name.endswith("posts_1.html") for name in names)
    return f"this is {OWN_EXPORT}" if own else ""


class _Found:
    """What the metadata files say, little enough of each to hold hundreds of thousands."""

    def __init__(self, names: list[str], notes: list[str]):
        self.stems = {_stem(name) for name in notes}
        self.photos = _by_stem(names, PHOTOS)
        self.films = _by_stem(names, FILMS)
        self.rows: list[dict[str, Any]] = []
        self.followers: dict[str, int] = {}  # by id and by name of their user
        self.stories: set[str] = set()
        self.dropped: list[tuple[str, str]] = []
        self.read = 0  # files that were instaloader's
        self.other_makes: list[str] = []

    def add(self, source: Path, name: str) -> None:
        """Read one metadata file; nothing that it holds stops the others."""
        try:
            data = ImageFolder(source).read(name)  # which waits for no pipe
            content = json.loads(lzma.decompress(data) if name.endswith(".xz") else data)
        except (UnreadableImage, ValueError, RecursionError, lzma.LZMAError, EOFError):
            content = None
        kind, node = dig(content, "instaloader", "node_type"), dig(content, "node")
        if not isinstance(kind, str) or not isinstance(node, dict):
            make = other_make(content)
            self.other_makes += [make] if make else []
            self.dropped.append((name, make or FOREIGN))
            return
        self.read += 1
        self._note_followers(node if kind == "Profile" else dig(node, "owner"))
        if kind == "StoryItem":
            self.stories.add(_stem(name))
        elif kind == "Post":
            row = self._row(source, name, node)
            self.rows.append(row) if isinstance(row, dict) else self.dropped.append((_stem(name), row))

    def _note_followers(self, profile: Any) -> None:
        counts = [
            dig(profile, "edge_followed_by", "count"),
            dig(profile, "iphone_struct", "follower_count"),
            dig(profile, "follower_count"),
        ]
        count = first(*map(whole_number, counts))
        if count is not None:
            self.followers |= {key: count for key in (id_of(profile), word(dig(profile, "username"))) if key}

    def _row(self, source: Path, name: str, node: dict) -> dict[str, Any] | str:
        """Return one post, its followers still to come, or why it is dropped."""
        stem, items = _stem(name), items_of(node)
        if is_video(node) and not items and not (word(dig(node, "__typename")) or "").endswith("Sidecar"):
            return VIDEO
        if stem in self.films:  # whatever the metadata says
            return VIDEO
        if is_video(items[0]) if items else f"{stem}_1" in self.films:
            return FILMED
        likes = likes_of(node)
        if isinstance(likes, str):
            return likes
        owner = first(dig(node, "owner"), dig(node, "user"), {})
        given = (dig(node, key) for key in ("taken_at_timestamp", "date", "taken_at"))
        taken = first(*given)
        image = self._first_photo(stem, items)
        if image is None:
            return "photo is missing"
        row = {
            "image": image,
            "post_id": word(dig(node, "shortcode"), dig(node, "code")),
            "likes": likes,
            "posted_at": date_of(taken),
            "user_id": word(dig(owner, "username"), id_of(owner)),
        }
        for column, value in row.items():
            if value is None:
                odd = column == "posted_at" and taken is not None
                return "its date cannot be read" if odd else f"metadata has no {column}"
        return row | {
            "owner": (id_of(owner), word(dig(owner, "username"))),
            "tags": len(set(HASHTAG.findall(_caption(source, stem, node).lower()))),
            "collected_at": date_of((source / name).stat().st_mtime),
        }

    def _first_photo(self, stem: str, items: list[Any]) -> str | None:
        """Return the post's photo; of a carousel the first that was saved and is no still of a video."""
        stills = {f"{stem}_{n}" for n, item in enumerate(items, 1) if is_video(item)} | self.films.keys()
        further = [f"{stem}_{n}" for n in range(1, 21)]
        own = [stem, *(one for one in further if one not in self.stems)]  # another post may be called so
        return next((self.photos[one] for one in own if one in self.photos and one not in stills), None)

    def post_of(self, photo: str) -> str | None:
        """Return the post that a photo belongs to, by its name without suffix and number; None where none."""
        stem = PurePosixPath(photo).with_suffix("").as_posix()
        own = (stem, re.sub(r"_\d+$", "", stem))
        return next((one for one in own if one in self.stems), None)

    def posts(self) -> pd.DataFrame:
        """Return the posts whose user's followers are known, each once; the others are dropped."""
        kept, seen = [], set()
        for row in self.rows:
            owner = row.pop("owner")
            known = first(*(self.followers.get(key) for key in owner))
            reason = "same post in another folder" if row["post_id"] in seen else NO_FOLLOWERS
            if known is None or row["post_id"] in seen:
                self.dropped.append((row["image"], reason))
            else:
                seen.add(row["post_id"])
                kept.append(row | {"followers": known})
        return pd.DataFrame(kept)


def _stem(name: str) -> str:
    return name.removesuffix(".xz").removesuffix(".json")


def _by_stem(names: list[str], suffixes: tuple[str, ...]) -> dict[str, str]:
    """Return files by their name without its suffix; of several with one name the first kind counts."""
    found: dict[str, str] = {}
    kinds = {suffix: i for i, suffix in enumerate(suffixes)}
    known = [name for name in names if PurePosixPath(name).suffix.lower() in kinds]
    for name in sorted(known, key=lambda name: kinds[PurePosixPath(name).suffix.lower()]):
        found.setdefault(PurePosixPath(name).with_suffix("").as_posix(), name)
    return found


def _caption(source: Path, stem: str, node: dict) -> str:
    """Return the caption from the metadata, or else from the text file beside it."""
    if dig(node, "edge_media_to_caption", "edges"):
        return text_of(dig(node, "edge_media_to_caption", "edges", 0, "node", "text"))
    caption = dig(node, "caption")
    text = source / f"{stem}.txt"
    if caption is None and text.is_file():
        return text.read_text(encoding="utf-8", errors="replace")
    return text_of(caption)


def _left_over(names: list[str], posts: pd.DataFrame, found: _Found) -> Iterator[tuple[str, str]]:
    """Give the reason for every photo that is no post's first."""
    used = set(posts["image"]) if len(posts) else set()
    shown = {found.post_of(image) for image in used}
    told = {name for name, _ in found.dropped}
    for name in names:
        path, post = PurePosixPath(name), found.post_of(name)
        stem = path.with_suffix("").as_posix()
        if path.suffix.lower() not in PHOTOS or name in used or told & {name, stem, post}:
            continue
        if path.stem.endswith("_profile_pic"):
            yield name, "a profile picture"
        elif post in shown:
            yield name, FURTHER
        elif stem in found.stories:
            yield name, "a story, which nobody likes in public"
        else:
            yield name, VIDEO if stem in found.films else "photo without metadata"
