"""Gather public selfies from a Mastodon server: politely, and interrupted as often as need be.

Everything is kept in one SQLite file, a transaction per page: a run that was killed goes on where it was.
"""

import datetime
import html
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.progress import tqdm
from selfie_utils.posts.server import Approach, Gone, Server, address_of, get

DATABASE = "gathered.sqlite"
AGENT = "selfie-suite (gathers public #selfie posts for research; leaves out #nobot)"
PAGE = 40  # posts, the most that a server gives at once
SETTLED = 30  # days after which the counts of a post hardly change
OPT_OUT = re.compile(r"#(nobots?|noindex|noarchive|noai|nosearch)\b", re.IGNORECASE)
NO_COUNTS = "its followers or likes are unknown"
KEPT = "what was gathered is kept"
ODD = "not written as Mastodon writes a post"
SUFFIXES = {"JPEG": ".jpg", "MPO": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "AVIF": ".avif"}

SCHEMA = """
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS posts (
    post_id TEXT PRIMARY KEY, url TEXT, user_id TEXT, followers INTEGER, likes INTEGER, tags INTEGER,
    tag_names TEXT, posted_at TEXT, collected_at TEXT, alt_text TEXT, photos INTEGER, image_url TEXT,
    image TEXT, state TEXT, reason TEXT);
CREATE TABLE IF NOT EXISTS sweeps (tag TEXT PRIMARY KEY, top TEXT, bottom TEXT, floor TEXT, done INTEGER);
CREATE TABLE IF NOT EXISTS left_out (post_id TEXT PRIMARY KEY, reason TEXT);
CREATE TABLE IF NOT EXISTS forgotten (post_id TEXT PRIMARY KEY);
"""


@dataclass(frozen=True)
class GatherOptions:
    """What to gather, from where, and where to keep it."""

    tags: tuple[str, ...]
    instance: str  # URL of the server
    out: Path
    posts: int = 0  # stop when so many are kept; 0 takes all
    refresh: bool = False  # update the counts of posts that were young when they were gathered
    pause: float = 2.0  # seconds to wait before a failed request is sent again; doubled each time
    between: float = 1.0  # seconds from one question to the next, as servers ask; for photos a tenth of it
    longest_wait: float = 15 * 60  # seconds; a server that asks for more is asked again after this


def gather(options: GatherOptions, say: Callable[[str], None] = print) -> dict[str, int]:
    """Gather posts with photos, or go on where an earlier run stopped; returns and says what there is now.

    Kept are public posts of people who have not opted out (#nobot and the like in the profile, the account's
    noindex, bots), without a content warning; of each the first photo, counts, tags, date, account and alt
    text. Raises SelfieError in one sentence where the server can't be reached; what was gathered is kept.
    """
    tags = [tag.strip().lstrip("#").lower() for tag in options.tags]
    if not all(re.fullmatch(r"[^\s/#?&%]+", tag) for tag in tags):
        raise SelfieError(
            f"--tag is {' and '.join(map(repr, options.tags))}, expected a word such as selfie."
        )
    with open_gathered(options.out, options.instance) as base:
        server = _Server(options.instance, _approach(options), say)
        _download_pending(base, server, options.out)
        if options.refresh:
            _refresh(base, server, options.out)
        for tag in tags:
            _gather_tag(base, server, options, tag)
        found = _count(base)
    say(", ".join(f"{name}: {count:,}" for name, count in found.items()))
    return found


def _approach(options: GatherOptions) -> Approach:
    pause, between, longest = options.pause, options.between, options.longest_wait
    return Approach(AGENT, KEPT, "gather", pause=pause, between=between, longest_wait=longest)


@contextmanager
def open_gathered(folder: Path, instance: str | None = None) -> Iterator[sqlite3.Connection]:
    """Open the database of a gathered folder, making it where there is none; one folder, one server."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with closing(sqlite3.connect(folder / DATABASE)) as base:
            base.executescript(SCHEMA)
            if instance:
                _claim(base, folder, address_of(instance))
            yield base
    except (sqlite3.ProgrammingError, sqlite3.IntegrityError):
        raise  # a slip of ours
    except sqlite3.DatabaseError as error:  # locked, shut, full, or none at all
        raise SelfieError(
            f"{folder / DATABASE} cannot be used ({error}): wait for what else works there, or choose "
            "another folder."
        ) from None


def _claim(base: sqlite3.Connection, folder: Path, instance: str) -> None:
    with base:
        base.execute("INSERT OR IGNORE INTO about VALUES ('instance', ?)", (instance,))
    ((owner,),) = base.execute("SELECT value FROM about WHERE key = 'instance'")
    if owner != instance:
        raise SelfieError(f"{folder} holds posts of {owner}, not of {instance}: choose another --out.")


class _Server(Server):
    """The server that posts come from."""

    def page(self, tag: str, max_id: str | None, since_id: str | None) -> list[Any]:
        """Return up to 40 posts of a hashtag, the newest first, between two ids."""
        ask = self.api.timeline_hashtag
        page = self.ask(ask, tag, limit=PAGE, only_media=True, max_id=max_id, since_id=since_id)
        if not isinstance(page, list) or (page and not any(get(status, "id") for status in page)):
            raise self.misunderstood("a list of posts")
        return page

    def post(self, post_id: str) -> Any | None:
        """Return a post as it is now, or None where it is gone."""
        try:
            post = self.ask(self.api.status, post_id)
        except Gone:
            return None
        if not get(post, "id"):
            raise self.misunderstood("a post")
        return post


def _gather_tag(base: sqlite3.Connection, server: _Server, options: GatherOptions, tag: str) -> None:
    """Finish a sweep that was interrupted, then sweep over what is newer than the top of the last one."""
    row = base.execute("SELECT top, bottom, floor, done FROM sweeps WHERE tag = ?", (tag,)).fetchone()
    with tqdm(desc=f"#{tag}", unit="post", mininterval=2) as progress:
        if row and not row[3]:
            _sweep(base, server, options, (tag, *row[:3]), progress)
            row = base.execute("SELECT top, bottom, floor, done FROM sweeps WHERE tag = ?", (tag,)).fetchone()
        if not row or row[3]:
            _sweep(base, server, options, (tag, None, None, row[0] if row else None), progress)


def _sweep(
    base: sqlite3.Connection,
    server: _Server,
    options: GatherOptions,
    place: tuple[str, str | None, str | None, str | None],
    progress: tqdm,
) -> None:
    """Walk from the newest post to the oldest, or down to the floor; keep each page with the place in it.

    A sweep is done where the server has no more to give. One that gives the same posts again, whatever it is
    asked for, ends the walk and leaves the sweep open.
    """
    tag, top, bottom, floor = place
    while not (options.posts and _kept(base) >= options.posts):
        page = server.page(tag, bottom, floor)
        posts = [status for status in page if get(status, "id")]
        below = _next_place(page, posts, floor)
        stuck = below is not None and bottom is not None and _age(below) >= _age(bottom)
        if posts:
            top = top or max((str(status.id) for status in posts), key=_age)
        bottom = below if below and not stuck else bottom
        with base:  # the page and the place together, or neither
            for status in posts:
                _store(base, status)
            if top:
                now = (tag, top, bottom, floor, int(below is None))
                base.execute("INSERT OR REPLACE INTO sweeps VALUES (?, ?, ?, ?, ?)", now)
        progress.update(_download_pending(base, server, options.out))
        if stuck:
            server.say(f"{server.instance} gives the same posts of #{tag} again: it shows no older ones.")
        if stuck or below is None:
            return


def _next_place(page: Any, posts: list[Any], floor: str | None) -> str | None:
    """Return the id below which the next page begins, or None where there is no more.

    A server that hides posts may send an empty page and say in its Link header where to go on.
    """
    further = (get(page, "_pagination_next") or {}).get("max_id")
    ids = [str(status.id) for status in posts] or ([str(further)] if further else [])
    below = min(ids, key=_age, default=None)
    return None if below and floor and _age(below) <= _age(floor) else below


def _age(post_id: str) -> tuple[int, str]:
    """Return what sorts ids by their age: they are numbers or texts that grow."""
    return len(post_id), post_id


def _kept(base: sqlite3.Connection) -> int:
    return base.execute("SELECT count(*) FROM posts WHERE state != 'gone'").fetchone()[0]


def _store(base: sqlite3.Connection, status: Any) -> None:
    """Put a post down, its photo still to come; one that is known already stays as it is."""
    post_id = str(status.id)
    if base.execute("SELECT 1 FROM forgotten WHERE post_id = ?", (post_id,)).fetchone():
        return
    try:
        reason = _unknown(status) or why_not(status)
        row = {} if reason else _row(status)
    except (AttributeError, TypeError, ValueError):  # whatever a server writes
        reason = ODD
    if reason:
        base.execute("INSERT OR IGNORE INTO left_out VALUES (?, ?)", (post_id, reason))
        return
    names = ", ".join(row)
    base.execute(f"INSERT OR IGNORE INTO posts ({names}) VALUES (:{', :'.join(row)})", row)


def _row(status: Any) -> dict[str, Any]:
    """Return a post as the database keeps it; TypeError where a server writes what that cannot hold."""
    photos = [m for m in status.media_attachments if m.type == "image" and m.url]
    row = {
        "post_id": str(status.id), "url": status.url, "posted_at": _iso(status.created_at), **_counts(status),
        "alt_text": photos[0].description, "photos": len(photos), "image_url": photos[0].url,
        "state": "pending",
    }  # fmt: skip
    if not all(isinstance(value, str | int | None) for value in row.values()):
        raise TypeError
    return row


def _counts(status: Any) -> dict[str, Any]:
    """Return what changes about a post, as it is now."""
    names = [tag.name for tag in status.tags or []]
    return {
        "user_id": status.account.acct, "followers": status.account.followers_count,
        "likes": status.favourites_count, "tags": len(names), "tag_names": " ".join(names),
        "collected_at": _iso(datetime.datetime.now(datetime.UTC)),
    }  # fmt: skip


def _iso(moment: datetime.datetime) -> str:
    return moment.astimezone(datetime.UTC).isoformat(timespec="seconds")


def _unknown(status: Any) -> str:
    """Return what a server left out that a post can't do without, or an empty string."""
    account = get(status, "account")
    if not account or not get(account, "acct"):
        return "its account is unknown"
    if not isinstance(get(status, "created_at"), datetime.datetime):
        return "its date is unknown"
    if get(get(account, "pleroma"), "hide_followers_count"):
        return NO_COUNTS  # Pleroma and Akkoma then say 0
    counts = (get(account, "followers_count"), get(status, "favourites_count"))
    return "" if all(isinstance(count, int) and 0 <= count < 2**62 for count in counts) else NO_COUNTS


def why_not(status: Any) -> str:
    """Return why a post is not to be kept, or an empty string."""
    account = status.account
    reasons = {
        "not public": status.visibility != "public",
        "a repost": bool(getattr(status, "reblog", None)),
        "behind a content warning": bool(status.sensitive),
        "by a bot": bool(account.bot),
        "its user opted out": bool(getattr(account, "noindex", None)) or opts_out(account),
        "no photo": not any(m.type == "image" and m.url for m in status.media_attachments or []),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def opts_out(account: Any) -> bool:
    """Tell whether the profile of an account says #nobot or the like."""
    fields = [f"{field.name} {field.value}" for field in account.fields or []]
    return bool(OPT_OUT.search(plain_text(" ".join([account.note or "", *fields]))))


def plain_text(markup: str) -> str:
    """Return the text of a piece of HTML, as servers write profiles and posts."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup))


def _download_pending(base: sqlite3.Connection, server: _Server, out: Path) -> int:
    """Fetch the photos that are still to come; returns how many came."""
    pending = base.execute("SELECT post_id, image_url FROM posts WHERE state = 'pending'").fetchall()
    came = 0
    for post_id, url in pending:
        data, reason = server.image(url)
        if data is None and not reason:
            continue  # next time
        image = _keep_image(data, post_id, out) if data else None
        reason = reason or ("" if image else "not an image")
        with base:
            values = (image, "present" if image else "gone", reason, post_id)
            base.execute("UPDATE posts SET image = ?, state = ?, reason = ? WHERE post_id = ?", values)
        came += bool(image)
    return came


def _keep_image(data: bytes, post_id: str, out: Path) -> str | None:
    """Write a photo under a name made of its post id; None where it is no image."""
    try:
        with Image.open(BytesIO(data)) as image:
            suffix = SUFFIXES[image.format or ""]
    except Exception:  # whatever a server sends
        return None
    safe = re.sub(r"[^0-9A-Za-z_-]", "_", post_id)
    name = f"{safe[-2:]}/{safe}{suffix}"
    with written_whole(out / "images" / name) as partial:
        partial.write_bytes(data)
    return name


def _refresh(base: sqlite3.Connection, server: _Server, out: Path) -> None:
    """Update the counts of posts that were younger than a month when gathered; drop those that are gone."""
    rows = base.execute("SELECT post_id, posted_at, collected_at FROM posts WHERE state != 'gone'").fetchall()
    month, now = datetime.timedelta(days=SETTLED), datetime.datetime.now(datetime.UTC)
    due = []
    for post_id, posted, collected in rows:
        settled = datetime.datetime.fromisoformat(posted) + month
        if datetime.datetime.fromisoformat(collected) < settled <= now:
            due.append(post_id)
    for post_id in tqdm(due, desc="refreshing", unit="post", mininterval=2):
        status = server.post(post_id)
        if status is not None and _unknown(status):
            continue  # it stays as it was
        if status is None or why_not(status):
            remove(base, out, post_id)
            continue
        row = {**_counts(status), "post_id": post_id}
        with base:
            base.execute(
                f"UPDATE posts SET {', '.join(f'{k} = :{k}' for k in row)} WHERE post_id = :post_id", row
            )


def remove(base: sqlite3.Connection, out: Path, post_id: str) -> bool:
    """Remove a post and its photo, and remember never to take it again; tells whether it was there."""
    row = base.execute("SELECT image FROM posts WHERE post_id = ?", (post_id,)).fetchone()
    if row and row[0]:
        (out / "images" / row[0]).unlink(missing_ok=True)
    with base:
        base.execute("INSERT OR IGNORE INTO forgotten VALUES (?)", (post_id,))
        base.execute("DELETE FROM posts WHERE post_id = ?", (post_id,))
        base.execute("DELETE FROM left_out WHERE post_id = ?", (post_id,))
    return bool(row)


def _count(base: sqlite3.Connection) -> dict[str, int]:
    """Count what there is, and what was left out and why."""
    states = dict(base.execute("SELECT state, count(*) FROM posts GROUP BY state"))
    names = {"present": "posts with their photo", "pending": "photos still to come", "gone": "photos gone"}
    found = {name: states.get(state, 0) for state, name in names.items()}
    found |= dict(base.execute("SELECT reason, count(*) FROM left_out GROUP BY reason ORDER BY 2 DESC"))
    return found
