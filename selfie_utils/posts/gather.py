"""Gather public selfies from a Mastodon server: politely, and interrupted as often as need be.

Everything is kept in one SQLite file, a transaction per page: a run that was killed goes on where it was.
"""

import datetime
import html
import os
import re
import sqlite3
import time
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
from selfie_utils.photos.salvage import HEAD, is_photo

DATABASE = "gathered.sqlite"
TOKEN = "MASTODON_ACCESS_TOKEN"  # environment variable; read, never written
AGENT = "selfie-suite (gathers public #selfie posts for research; leaves out #nobot)"
PAGE = 40  # posts, the most that a server gives at once
TRIES = 5  # of a request that fails for a reason that may pass
WORTH_SAYING = 5.0  # seconds; who waits longer is told so
LARGEST_IMAGE = 40 * 2**20  # bytes
SETTLED = 30  # days after which the counts of a post hardly change
OPT_OUT = re.compile(r"#(nobots?|noindex|noarchive|noai|nosearch)\b", re.IGNORECASE)
NEED_TOKEN = (401, 403, 422)  # with 422 Mastodon says that a method needs somebody who is logged in
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
    with open_gathered(options.out, options.instance) as base:
        server = _Server(options, say)
        _download_pending(base, server, options.out)
        if options.refresh:
            _refresh(base, server, options.out)
        for tag in options.tags:
            _gather_tag(base, server, options, tag.removeprefix("#").lower())
        found = _count(base)
    say(", ".join(f"{name}: {count:,}" for name, count in found.items()))
    return found


@contextmanager
def open_gathered(folder: Path, instance: str | None = None) -> Iterator[sqlite3.Connection]:
    """Open the database of a gathered folder, making it where there is none; one folder, one server."""
    folder.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(folder / DATABASE)) as base:
        base.executescript(SCHEMA)
        if instance:
            _claim(base, folder, instance.rstrip("/"))
        yield base


def _claim(base: sqlite3.Connection, folder: Path, instance: str) -> None:
    with base:
        base.execute("INSERT OR IGNORE INTO about VALUES ('instance', ?)", (instance,))
    ((owner,),) = base.execute("SELECT value FROM about WHERE key = 'instance'")
    if owner != instance:
        raise SelfieError(f"{folder} holds posts of {owner}, not of {instance}: choose another --out.")


class _Server:
    """A Mastodon server that is asked again when it fails, and not before it wants to be."""

    def __init__(self, options: GatherOptions, say: Callable[[str], None]):
        try:
            import mastodon
            import requests
        except ImportError:
            raise SelfieError(
                "Gathering needs Mastodon.py: pip install -e '.[gather]' in the clone."
            ) from None
        self.say, self.instance = say, options.instance.rstrip("/")
        self.pause, self.longest_wait, self.between = options.pause, options.longest_wait, options.between
        self._not_before = 0.0  # on time.monotonic's clock: when the next request may go out
        self.errors, self._requests = mastodon.errors, requests
        self._api = mastodon.Mastodon(
            api_base_url=self.instance,
            access_token=os.environ.get(TOKEN) or None,
            ratelimit_method="throw",  # we wait ourselves, and say so
            version_check_mode="none",
            request_timeout=60,
            user_agent=AGENT,
            session=self._in_turn(requests.Session()),
        )
        # Before each page it would ask what the server offers, and where that fails ask again every time.
        self._api.timeline_is_available = lambda *_, **__: True  # type: ignore[method-assign]  # one of theirs
        self._session = requests.Session()
        self._session.headers["User-Agent"] = AGENT

    def _in_turn(self, session: Any) -> Any:
        """Have every request of a session wait for its turn, also those that a library makes unasked."""
        ask = session.request

        def request(*arguments: Any, **options: Any) -> Any:
            self._take_turn(self.between)
            return ask(*arguments, **options)

        session.request = request
        return session

    def page(self, tag: str, max_id: str | None, since_id: str | None) -> list[Any]:
        """Return up to 40 posts of a hashtag, the newest first, between two ids."""
        ask = self._api.timeline_hashtag
        page = self._answer(ask, tag, limit=PAGE, only_media=True, max_id=max_id, since_id=since_id)
        if not isinstance(page, list) or (page and not any(_get(status, "id") for status in page)):
            raise self._misunderstood("a list of posts")
        return page

    def post(self, post_id: str) -> Any | None:
        """Return a post as it is now, or None where it is gone."""
        try:
            post = self._answer(self._api.status, post_id)
        except _Gone:
            return None
        if not _get(post, "id"):
            raise self._misunderstood("a post")
        return post

    def _answer(self, ask: Callable, *arguments: Any, **options: Any) -> Any:
        """Ask, and turn what the server refuses for good into one sentence that says what to do."""
        try:
            return self._patiently(ask, *arguments, **options)
        except self.errors.MastodonAPIError as error:
            status = error.args[1] if len(error.args) > 2 else None
            if status is None:  # it could not be read as JSON: a page for people, such as one to log in at
                raise self._misunderstood("JSON") from None
            why = f"{self.instance} refuses ({' '.join(map(str, error.args[1:3]))}"
            why += f": {error.args[3]})" if error.args[3:] and error.args[3] else ")"
            if status in (404, 410):
                raise _Gone(f"{why}: check that it is a Mastodon server, and the tag; {KEPT}.") from None
            remedy = "" if status not in NEED_TOKEN else f"set {TOKEN} to a token of an account there; "
            if remedy and os.environ.get(TOKEN):
                remedy = f"check that the token in {TOKEN} is still valid there, and may read; "
            raise SelfieError(f"{why}: {remedy}{KEPT}.") from None

    def _misunderstood(self, wanted: str) -> SelfieError:
        return SelfieError(
            f"{self.instance} answered with something else than {wanted}: is it a Mastodon server? "
            f"If it asks to log in, set {TOKEN} to a token of an account there; {KEPT}."
        )

    def _patiently(self, ask: Callable, *arguments: Any, **options: Any) -> Any:
        for attempt in range(TRIES):
            wait = self.pause * 2**attempt
            try:
                return ask(*arguments, **options)
            except self.errors.MastodonRatelimitError:
                wait = max((self._api.ratelimit_reset or 0) - time.time(), wait)
                problem = "the server asks to slow down"
            except (self.errors.MastodonServerError, self.errors.MastodonNetworkError) as error:
                problem = f"the server fails ({' '.join(map(str, error.args[1:3])) or type(error).__name__})"
            self._wait(wait, problem, told=attempt < TRIES - 1)
        raise SelfieError(
            f"{self.instance} did not answer in {TRIES} tries, {problem}: run the same command again later; "
            f"{KEPT}."
        )

    def _take_turn(self, between: float) -> None:
        """Sleep until the next request may go out, whatever the last one was for."""
        time.sleep(max(self._not_before - time.monotonic(), 0))
        self._not_before = time.monotonic() + between

    def _wait(self, seconds: float, problem: str, told: bool) -> None:
        """Let no request go out for some seconds."""
        seconds = min(seconds, self.longest_wait)
        if seconds > WORTH_SAYING and told:
            self.say(f"{problem}: waiting {seconds:.0f} s")
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def image(self, url: str) -> tuple[bytes | None, str]:
        """Return the bytes of an image, or None and why: a reason for good, or "" where it may come yet."""
        for attempt in range(TRIES):
            wait = self.pause * 2**attempt
            self._take_turn(self.between / 10)
            try:
                with self._session.get(url, stream=True, timeout=60) as answer:
                    if answer.status_code == 200:
                        return _received(answer)
                    if answer.status_code in (401, 403, 404, 410):
                        return None, f"image is gone ({answer.status_code})"
                    wait = max(wait, _seconds(answer.headers.get("Retry-After")))
                    problem = f"an image fails ({answer.status_code})"
            except self._requests.RequestException as error:
                problem = f"an image fails ({type(error).__name__})"
            self._wait(wait, problem, told=attempt < TRIES - 1)
        return None, ""


class _Gone(SelfieError):
    """What was asked for is not there, or not any more."""


def _get(thing: Any, name: str) -> Any:
    """Return an attribute, or None where a server left it out."""
    return getattr(thing, name, None)


def _seconds(header: str | None) -> float:
    return float(header) if header and header.isdigit() else 0.0


def _received(answer: Any) -> tuple[bytes | None, str]:
    """Read an answer whole; requests raises where the connection ends before its length is reached."""
    data = bytearray()
    for part in answer.iter_content(2**16):
        data += part
        if data.lstrip()[:1] in (b"<", b"{"):  # a page for people, such as one to log in at
            return None, ""
        if not is_photo(bytes(data[:HEAD])):  # whatever the server calls it
            return None, "not an image"
        if len(data) > LARGEST_IMAGE:
            return None, f"image is larger than {LARGEST_IMAGE // 2**20} MB"
    return bytes(data), ""


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
        posts = [status for status in page if _get(status, "id")]
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
    further = (_get(page, "_pagination_next") or {}).get("max_id")
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
    account = _get(status, "account")
    if not account or not _get(account, "acct"):
        return "its account is unknown"
    if not isinstance(_get(status, "created_at"), datetime.datetime):
        return "its date is unknown"
    counts = (_get(account, "followers_count"), _get(status, "favourites_count"))
    return "" if all(isinstance(count, int) and 0 <= count < 2**62 for count in counts) else NO_COUNTS


def why_not(status: Any) -> str:
    """Return why a post is not to be kept, or an empty string."""
    account = status.account
    fields = [f"{field.name} {field.value}" for field in account.fields or []]
    profile = html.unescape(re.sub(r"<[^>]*>", "", " ".join([account.note or "", *fields])))
    reasons = {
        "not public": status.visibility != "public",
        "a repost": bool(getattr(status, "reblog", None)),
        "behind a content warning": bool(status.sensitive),
        "by a bot": bool(account.bot),
        "its user opted out": bool(getattr(account, "noindex", None)) or bool(OPT_OUT.search(profile)),
        "no photo": not any(m.type == "image" and m.url for m in status.media_attachments or []),
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


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
