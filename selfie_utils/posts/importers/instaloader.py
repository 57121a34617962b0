"""Folders that instaloader has written: photos, captions and metadata of posts that a user already has."""

import datetime
import json
import lzma
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pandas as pd
from tqdm import tqdm

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import ImageFolder
from selfie_utils.posts.importers.origin import Source, drop_list

METADATA = (".json.xz", ".json")
PHOTOS = (".jpg", ".jpeg", ".png", ".webp", ".heic")
HASHTAG = re.compile(r"#(\w{1,150})")
FURTHER = "further photo of a carousel: likes belong to the post as it appeared"
NO_FOLLOWERS = "followers of its user are unknown: instaloader saves them when it is given the profile's name"


def read_instaloader(source: Path) -> Source:
    """Read every post below a folder, of one profile, of many, or of a hashtag, with its first photo.

    likes, date, caption and owner come from the metadata (`.json.xz`, or `.json`), followers from the owner's
    profile, saved beside the posts or inside them; tags are counted in the caption. instaloader does not note
    when it looked, so collected_at is the date of the metadata file. Videos, profile pictures, stories and
    posts without one of these are dropped with the reason. Files are only read, and never instaloader's own
    code run, which may ask the network. Raises SelfieError where there is no metadata at all.
    """
    names = ImageFolder(source).names() if source.is_dir() else []
    notes = [name for name in names if name.endswith(METADATA) and not name.endswith("_comments.json")]
    if not notes:
        raise SelfieError(
            f"{source} holds no metadata of instaloader (.json.xz): give the folder it was run in; with "
            "--no-metadata-json there are no likes to label by."
        )
    found = _Found(set(names))
    for name in tqdm(notes, desc="reading metadata", mininterval=2, unit="file"):
        found.add(source, name)
    posts = found.posts()
    dropped = found.dropped + list(_left_over(names, posts, found))
    told = [
        "instaloader does not note when it looked: the date of its metadata file stands for collected_at."
    ]
    return Source(posts, source, drop_list(dropped), told)


class _Found:
    """What the metadata files say, little enough of each to hold hundreds of thousands."""

    def __init__(self, there: set[str]):
        self.there = there  # names of all files
        self.rows: list[dict[str, Any]] = []
        self.followers: dict[str, int] = {}  # by id and by name of their user
        self.stories: set[str] = set()
        self.dropped: list[tuple[str, str]] = []

    def add(self, source: Path, name: str) -> None:
        """Read one metadata file."""
        try:
            data = (source / name).read_bytes()
            content = json.loads(lzma.decompress(data) if name.endswith(".xz") else data)
            kind, node = content["instaloader"]["node_type"], dict(content["node"])
        except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError, EOFError):
            self.dropped.append((name, "metadata is damaged, or not instaloader's"))
            return
        self._note_followers(node if kind == "Profile" else _dig(node, "owner"))
        if kind == "StoryItem":
            self.stories.add(_stem(name))
        elif kind == "Post":
            row = _row(source, name, node, self.there)
            self.rows.append(row) if isinstance(row, dict) else self.dropped.append((_stem(name), row))

    def _note_followers(self, profile: Any) -> None:
        count = _first(
            _dig(profile, "edge_followed_by", "count"),
            _dig(profile, "iphone_struct", "follower_count"),
            _dig(profile, "follower_count"),
        )
        if count is not None:
            self.followers |= {str(key): count for key in (_id(profile), _dig(profile, "username")) if key}

    def posts(self) -> pd.DataFrame:
        """Return the posts whose user's followers are known, each once; the others are dropped."""
        kept, seen = [], set()
        for row in self.rows:
            owner = row.pop("owner")
            known = _first(*(self.followers.get(key) for key in owner))
            reason = "same post in another folder" if row["post_id"] in seen else NO_FOLLOWERS
            if known is None or row["post_id"] in seen:
                self.dropped.append((row["image"], reason))
            else:
                seen.add(row["post_id"])
                kept.append(row | {"followers": known})
        return pd.DataFrame(kept)


def _stem(name: str) -> str:
    return name.removesuffix(".xz").removesuffix(".json")


def _dig(node: Any, *keys: str) -> Any:
    """Follow keys into nested dictionaries; None where one is missing."""
    for key in keys:
        node = node.get(key) if isinstance(node, dict) else None
    return node


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _id(profile: Any) -> str | None:
    return _first(_dig(profile, "id"), _dig(profile, "pk"))


def _row(source: Path, name: str, node: dict, there: set[str]) -> dict[str, Any] | str:
    """Return one post, its followers still to come, or why it is dropped."""
    stem = _stem(name)
    if _dig(node, "is_video") and _dig(node, "__typename") != "GraphSidecar":
        return "a video"
    taken = _first(_dig(node, "taken_at_timestamp"), _dig(node, "date"), _dig(node, "taken_at"))
    owner = _first(_dig(node, "owner"), _dig(node, "user"), {})
    row = {
        "image": _first_photo(stem, there),
        "post_id": _first(_dig(node, "shortcode"), _dig(node, "code")),
        "likes": _likes(node),
        "posted_at": None if taken is None else _date(taken),
        "user_id": _first(_dig(owner, "username") or None, _id(owner)),
    }
    missing = {"image": "photo is missing", "likes": "likes are hidden or unknown"}
    for column, value in row.items():
        if value is None:
            return missing.get(column, f"metadata has no {column}")
    row["owner"] = (str(_id(owner)), str(_dig(owner, "username")))
    row["tags"] = len(set(HASHTAG.findall(_caption(source, stem, node).lower())))
    return row | {"collected_at": _date((source / name).stat().st_mtime), "user_id": str(row["user_id"])}


def _date(seconds: float) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def _first_photo(stem: str, there: set[str]) -> str | None:
    """Return the post's photo; of a carousel the first that was saved."""
    numbers = ["", *(f"_{n}" for n in range(1, 21))]
    return next((name for n in numbers for suffix in PHOTOS if (name := stem + n + suffix) in there), None)


def _likes(node: dict) -> int | None:
    """Return the likes of a post; None where its user hides them, which Instagram writes as -1."""
    if _dig(node, "like_and_view_counts_disabled") or _dig(
        node, "iphone_struct", "like_and_view_counts_disabled"
    ):
        return None
    count = _first(
        _dig(node, "edge_media_preview_like", "count"),
        _dig(node, "edge_liked_by", "count"),
        _dig(node, "like_count"),
        _dig(node, "iphone_struct", "like_count"),
    )
    return count if count is not None and count >= 0 else None


def _caption(source: Path, stem: str, node: dict) -> str:
    """Return the caption from the metadata, or else from the text file beside it."""
    edges = _dig(node, "edge_media_to_caption", "edges")
    if edges:
        return _dig(edges[0], "node", "text") or ""
    caption = _dig(node, "caption")
    caption = _dig(caption, "text") if isinstance(caption, dict) else caption
    text = source / f"{stem}.txt"
    if caption is None and text.is_file():
        return text.read_text(encoding="utf-8", errors="replace")
    return caption or ""


def _left_over(names: list[str], posts: pd.DataFrame, found: _Found) -> Iterator[tuple[str, str]]:
    """Give the reason for every photo that is no post's first."""
    used = set(posts["image"]) if len(posts) else set()
    stems, told = {_bare(image) for image in used}, {name for name, _ in found.dropped}
    for name in names:
        path = PurePosixPath(name)
        stem = path.with_suffix("").as_posix()
        if path.suffix not in PHOTOS or name in used or told & {name, stem, _bare(name)}:
            continue
        if _bare(name) in stems:
            yield name, FURTHER
        elif path.stem.endswith("_profile_pic"):
            yield name, "a profile picture"
        else:
            is_story = stem in found.stories
            yield name, "a story, which nobody likes in public" if is_story else "photo without metadata"


def _bare(name: str) -> str:
    """Return a photo's name without its suffix and its number in a carousel."""
    return re.sub(r"(_UTC)_\d+$", r"\1", PurePosixPath(name).with_suffix("").as_posix())
