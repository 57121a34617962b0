"""What Instagram's JSON says of a post, however it is written: counts, dates, captions, photo or video."""

import datetime
import re
from typing import Any

MILLISECONDS = 10**11  # larger numbers are no seconds, which would be dates after the year 5138
LARGEST = 2**62  # of all counts
OWN_EXPORT = (
    "Instagram's own export of one's data, which says of no post how many like it; its photos can be scored: "
    "`selfie import folder`"
)
SCRAPER = (
    "instagram-scraper's JSON, which this does not read: make a table of it with the columns image, post_id, "
    "user_id, followers, likes, posted_at, and give that to `selfie import table`"
)


def other_make(content: Any) -> str:
    """Name the program that wrote a JSON which is not instaloader's; empty where we know none."""
    if isinstance(content, dict) and {"GraphImages", "GraphStories", "GraphProfileInfo"} & content.keys():
        return SCRAPER
    items = content
    if isinstance(content, dict):  # {"ig_stories": [...]}
        items = content.get(next((key for key in content if key.startswith("ig_")), "photos"))
    item = items[0] if isinstance(items, list) and items else None
    dated = dig(item, "creation_timestamp") or dig(item, "taken_at")
    if dig(item, "media", 0, "uri") or (dated and (dig(item, "uri") or dig(item, "path"))):
        return f"this is {OWN_EXPORT}"
    return ""


def dig(node: Any, *keys: str | int) -> Any:
    """Follow keys into nested dictionaries and lists; None where one is missing."""
    for key in keys:
        if isinstance(node, list) and isinstance(key, int):
            node = node[key] if key < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return node


def first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def word(*values: Any) -> str | None:
    """Return the first value that is a name or a number, as text; None where none is."""
    known = (str(v) for v in values if isinstance(v, str | int) and not isinstance(v, bool))
    # Half of a sign of two halves, as JSON may hold it, cannot be written to a table.
    return next((one.encode("utf-8", "replace").decode() for one in known if one), None)


def whole_number(value: Any) -> int | None:
    """Return a count, also one that is written as text; None where it is no whole number."""
    if isinstance(value, str) and re.fullmatch(r"\s*([0-9]{1,18}|[0-9]{1,3}(,[0-9]{3})+)\s*", value):
        value = int(value.replace(",", ""))
    known = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < LARGEST
    return int(value) if known and value == int(value) else None


def id_of(profile: Any) -> str | None:
    return word(dig(profile, "id"), dig(profile, "pk"))


def is_video(node: Any) -> bool:
    """Tell whether a post, or one item of a carousel, is a video, however its make says so."""
    kind = word(dig(node, "__typename")) or ""
    return bool(
        kind.endswith("Video")
        or dig(node, "is_video")
        or dig(node, "video_url")
        or dig(node, "video_versions")
        or dig(node, "media_type") == 2
        or dig(node, "iphone_struct", "media_type") == 2
    )


def items_of(node: dict) -> list[Any]:
    """Return what a carousel shows, in its order; empty where the post is none."""
    edges = dig(node, "edge_sidecar_to_children", "edges")
    if isinstance(edges, list):
        return [dig(edge, "node") for edge in edges]
    media = first(dig(node, "carousel_media"), dig(node, "iphone_struct", "carousel_media"))
    return media if isinstance(media, list) else []


def date_of(value: Any) -> datetime.datetime | None:
    """Read a date: seconds or milliseconds since 1970, also as text, or ISO; None where it is none."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return _iso(value)
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0 <= value < MILLISECONDS * 1000:
        return None
    seconds = value / 1000 if value >= MILLISECONDS else value
    return datetime.datetime.fromtimestamp(int(seconds), datetime.UTC)


def _iso(text: str) -> datetime.datetime | None:
    """Read an ISO date; without a zone it is taken as UTC, which Instagram's own dates are in."""
    try:
        date = datetime.datetime.fromisoformat(text.strip())
        return (date if date.tzinfo else date.replace(tzinfo=datetime.UTC)).astimezone(datetime.UTC)
    except (ValueError, OverflowError):
        return None


def likes_of(node: dict) -> int | str:
    """Return the likes of a post, or why there are none; where its user hides them, Instagram writes -1."""
    hidden = "likes are hidden or unknown"
    if dig(node, "like_and_view_counts_disabled") or dig(
        node, "iphone_struct", "like_and_view_counts_disabled"
    ):
        return hidden
    given = first(
        dig(node, "edge_media_preview_like", "count"),
        dig(node, "edge_liked_by", "count"),
        dig(node, "like_count"),
        dig(node, "iphone_struct", "like_count"),
    )
    count = whole_number(given)
    if given is None or (count is not None and count < 0):
        return hidden
    return "likes are not a whole number" if count is None else count


def text_of(caption: Any) -> str:
    """Return a caption as text, whether it is one, or holds one, or several; empty where it is none."""
    if isinstance(caption, list):
        return " ".join(map(text_of, caption))
    caption = dig(caption, "text") if isinstance(caption, dict) else caption
    return caption if isinstance(caption, str) else ""
