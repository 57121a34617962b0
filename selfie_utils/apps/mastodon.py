"""Mastodon, as far as the bot needs it: mentions come in, replies go out, and nothing is decided here."""

import os
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from selfie_utils.apps.answering import Unanswerable
from selfie_utils.apps.manners import ALONE, Mention, Reply
from selfie_utils.core.errors import SelfieError
from selfie_utils.posts.gather import opts_out, plain_text
from selfie_utils.posts.server import TOKEN, Approach, Gone, Refused, Server, get

AGENT = "selfie-suite bot (answers who mentions it with a selfie)"
KEPT = "what was answered is noted, and what waits is answered after the next start"
PAGE = 40  # mentions that are asked for at once
UNSETTLED = 60.0  # seconds in which a server may still put a mention before those that it has shown
FIRST_LOOK = 24 * 3600.0  # seconds; what is older when the bot first starts is not answered
SILENCE = 60.0  # seconds after which a stream without a heartbeat, which comes every 15, is given up
PROCESSING = 10  # times that a server is asked whether a picture is ready
ROOM = 500  # characters of a post, where a server says nothing
ACCOUNT = (401, 403)  # a token was revoked, or may not do it, or the account is suspended: people must help


@dataclass(frozen=True)
class Pace:
    """How many requests a server takes from an account, and how long to wait where it fails."""

    requests: int = 300
    seconds: float = 5 * 60
    pause: float = 2.0  # seconds before a failed request is sent again; doubled each time
    reconnect: float = 5.0  # seconds before a stream that ended is opened again; doubled each time


class _PacedServer(Server):
    """A server that is never asked more often than it takes: at once while there is room, then in step."""

    def __init__(self, instance: str, pace: Pace, say: Callable[[str], None]):
        self._sent: deque[float] = deque(maxlen=pace.requests)  # when, on time.monotonic's clock
        self.pace = pace
        may = "read and write"
        approach = Approach(
            AGENT, KEPT, "bot", may, tries=0, pause=pace.pause, between=0, longest_wait=pace.seconds
        )
        super().__init__(instance, approach, say)

    def take_turn_to_ask(self) -> None:
        """Sleep until the next question may go out; photos, which come from elsewhere, do not count."""
        super().take_turn_to_ask()
        if len(self._sent) == self.pace.requests:
            time.sleep(max(self._sent[0] + self.pace.seconds - time.monotonic(), 0))
        self._sent.append(time.monotonic())


class MastodonNetwork:
    """A `Network` of `answering`: an account of a Mastodon server."""

    def __init__(self, instance: str, say: Callable[[str], None] = print, pace: Pace | None = None):
        if not os.environ.get(TOKEN):
            raise SelfieError(
                f"A bot needs an account: set {TOKEN} to a token of it that may read and write "
                "(Preferences, Development, New application)."
            )
        self.pace = pace or Pace()
        self.server = _PacedServer(instance, self.pace, say)
        self.api, self.listening = self.server.api, False
        self.me = self.server.ask(self.api.account_verify_credentials)
        self.name = f"{get(self.me, 'acct')} at {self.server.instance}"
        if not get(self.me, "bot"):
            raise SelfieError(
                f"The account {self.name} is not marked as a bot, and people want to know: tick "
                '"This is an automated account" in its profile, then start again.'
            )
        self.room = self._room()
        self._bell = threading.Event()

    def _room(self) -> int:
        """Return how many characters a post may have."""
        try:
            limits = self.server.ask(self.api.instance_v2).configuration.statuses
        except (Refused, AttributeError):
            return ROOM
        return get(limits, "max_characters") or ROOM

    def listen(self) -> None:
        """Have a stream of the server ring a bell; where it has none, `wait` ends by itself."""
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        waits = self.pace.reconnect
        while True:
            try:
                # Connected anew: Mastodon.py keeps the stream's address, and guesses if the server was down.
                ear = _ear(self._stands, self._bell.set)
                self.server.connect().stream_user_notifications(ear, timeout=SILENCE)
            except Exception:  # requests' and Mastodon.py's own, also where a server has no streams
                pass
            waits = self.pace.reconnect if self.listening else min(2 * waits, SILENCE)
            if self.listening:
                self.listening = False
                self._bell.set()
            time.sleep(waits)

    def _stands(self) -> None:
        """Note that the stream stands; of what came before it did, nobody would ever tell."""
        if not self.listening:
            self.listening = True
            self._bell.set()

    def rang(self) -> bool:
        """Tell whether the stream told of something since this was asked last."""
        if not self._bell.is_set():
            return False
        self._bell.clear()  # before anybody looks, so that what comes meanwhile rings again
        return True

    def wait(self, seconds: float) -> None:
        """Return as soon as the stream tells of something, or after so many seconds."""
        self._bell.wait(max(seconds, 0))

    def arrivals(self, place: str | None) -> Iterator[tuple[list[Mention], str | None]]:
        """Yield mentions after a place, the oldest first; the first time, those of a day."""
        pages = self._first_pages() if place is None else self._pages(place)
        settled = place
        for page in pages:
            for one in page:  # ids may come late and out of order, so the last minute is read again
                if time.time() - one.created_at.timestamp() > UNSETTLED and _age(one.id) > _age(
                    settled or ""
                ):
                    settled = str(one.id)
            yield [found for one in page if (found := self._mention(one))], settled

    def _pages(self, place: str) -> Iterator[list[Any]]:
        """Yield pages of notifications above a place, upwards."""
        while page := self._ask_for_mentions(min_id=place):
            yield page
            place = max((str(one.id) for one in page), key=_age)

    def _first_pages(self) -> Iterator[list[Any]]:
        """Yield notifications of the last day in one page, so that a place is noted when all are read."""
        found: list[Any] = []
        while page := self._ask_for_mentions(max_id=str(found[-1].id) if found else None):
            found += page
            if time.time() - page[-1].created_at.timestamp() > FIRST_LOOK:
                break
        yield [one for one in reversed(found) if time.time() - one.created_at.timestamp() <= FIRST_LOOK]

    def _ask_for_mentions(self, **where: str | None) -> list[Any]:
        page = self.server.ask(self.api.notifications, types=["mention"], limit=PAGE, **where)
        if not isinstance(page, list):
            raise self.server.misunderstood("a list of notifications")
        return [one for one in page if get(one, "id") and get(one, "created_at")]

    def _mention(self, notification: Any) -> Mention | None:
        """Return a notification as a mention; None where a server left out what it can't do without."""
        status = get(notification, "status")
        account = get(status, "account") if status else None
        if not account or not get(status, "id") or str(account.id) == str(self.me.id):
            return None
        media = get(status, "media_attachments") or []
        photos = [get(one, "url") or "" for one in media if get(one, "type") == "image"]
        return Mention(
            id=str(status.id), author=str(account.id), name=account.acct,
            moment=status.created_at.timestamp(), text=_without_names(get(status, "content") or ""),
            kinds=tuple(str(get(one, "type")) for one in media), photo=photos[0] if photos else "",
            visibility=get(status, "visibility") or ALONE,
            sensitive=bool(get(status, "sensitive") or get(status, "spoiler_text")),
            is_reply=bool(get(status, "in_reply_to_id")), is_direct=self._names_me(status),
            by_bot=bool(get(account, "bot") or get(account, "group")), opted_out=opts_out(account),
        )  # fmt: skip

    def _names_me(self, status: Any) -> bool:
        named = {str(get(one, "id")) for one in get(status, "mentions") or []}
        return str(self.me.id) in named and not get(status, "reblog")

    def photo(self, mention: Mention) -> tuple[bytes | None, str]:
        """Return the file of a photo, or None and why: broken, huge, or "" where it may come yet."""
        data, reason = self.server.image(mention.photo)
        return data, reason and ("huge" if "larger" in reason else "broken")

    def send(self, mention: Mention, reply: Reply, visibility: str, maybe_sent: bool) -> str:
        """Send a reply with its picture, once; see `answering.Network`."""
        try:
            if maybe_sent and (found := self.server.ask(self._sent_before, mention)):
                return found
            media = self._upload(reply) if reply.picture else None
            try:
                return self._post(mention, reply, visibility, media)
            except Refused as error:
                if media is None or error.status != 422:
                    raise
                return self._post(mention, reply, visibility, None)  # it would not have the picture
        except Refused as error:
            if error.status in ACCOUNT:
                raise
            raise Unanswerable(f"gone, or not to be answered ({error.status})") from None

    def _post(self, mention: Mention, reply: Reply, visibility: str, media: str | None) -> str:
        """Post; whenever an attempt may have come through, the server is asked before the next one."""
        address, attempts = f"@{mention.name} ", 0

        def post() -> str:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and (found := self._sent_before(mention)):
                return found
            status = self.api.status_post(
                address + reply.text(self.room - len(address)), in_reply_to_id=mention.id,
                media_ids=[media] if media else None, visibility=visibility, language="en",
                idempotency_key=f"selfie-bot-{mention.id}",
            )  # fmt: skip
            return str(status.id)

        return self.server.ask(post)

    def _sent_before(self, mention: Mention) -> str | None:
        """Return the id of our reply, if there is one; servers remember idempotency keys for an hour only."""
        thread = self.api.status_context(mention.id)
        ours = [s for s in thread.descendants if str(s.account.id) == str(self.me.id)
                and str(s.in_reply_to_id) == mention.id]  # fmt: skip
        return str(ours[0].id) if ours else None

    def _upload(self, reply: Reply) -> str | None:
        """Upload the picture of a reply; None where the server takes none, or no more for a long while."""
        try:
            media = self.server.ask(self._upload_once, reply)
            for _ in range(PROCESSING):
                if media is None or get(media, "url"):
                    break
                time.sleep(self.pace.pause)
                media = self.server.ask(self.api.media, media.id)
        except Refused as error:
            if error.status in ACCOUNT:
                raise
            return None
        return str(media.id) if media else None

    def _upload_once(self, reply: Reply) -> Any:
        """Upload, unless pictures have a limit of their own that is reached: words alone come sooner then."""
        name, kind = f"place.{reply.kind}", f"image/{reply.kind}"
        try:
            return self.api.media_post(reply.picture, kind, description=reply.alt, file_name=name)
        except self.server.errors.MastodonRatelimitError:
            if (self.api.ratelimit_reset or 0) - time.time() > self.pace.seconds:
                return None
            raise

    def acknowledge(self, mention: Mention) -> None:
        """Show by a star that a command was understood; words could start a conversation of two bots."""
        try:
            self.server.ask(self.api.status_favourite, mention.id)
        except Refused as error:
            if error.status in ACCOUNT:
                raise

    def delete(self, reply: str) -> None:
        """Take a reply down, if it is still there."""
        with suppress(Gone):
            self.server.ask(self.api.status_delete, reply)


class DryRun(MastodonNetwork):
    """Reads mentions and prints what it would send; nothing is sent, starred or deleted."""

    def send(self, mention: Mention, reply: Reply, visibility: str, maybe_sent: bool) -> str:
        """Print a reply."""
        address = f"@{mention.name} "
        text = address + reply.text(self.room - len(address))
        picture = f"\n[{reply.kind}, {len(reply.picture):,} bytes: {reply.alt}]" if reply.picture else ""
        self.server.say(f"to {mention.id}, {visibility}: {text}{picture}")
        return f"dry run {mention.id}"

    def acknowledge(self, mention: Mention) -> None:
        """Print that a command was understood."""
        self.server.say(f"to {mention.id}: a star")

    def delete(self, reply: str) -> None:
        """Print which reply would be deleted."""
        self.server.say(f"{reply}: deleted")


def _ear(on_heartbeat: Callable[[], None], on_event: Callable[[], None]) -> Any:
    """Return who hears that something has come; what it was, the list of mentions tells."""
    from mastodon import StreamListener

    class Ear(StreamListener):
        def handle_heartbeat(self) -> None:
            on_heartbeat()

        def on_any_event(self, *_: Any, **__: Any) -> None:
            on_heartbeat()
            on_event()

        def on_unknown_event(self, *_: Any, **__: Any) -> None:
            """Say nothing of what later versions may tell."""

    return Ear()


def _without_names(markup: str) -> str:
    """Return the text of a post without the names that it mentions."""
    return " ".join(re.sub(r"@[\w.-]+(@[\w.-]+)?", " ", plain_text(markup.replace("<br", " <br"))).split())


def _age(notification_id: Any) -> tuple[int, str]:
    """Return what sorts ids by their age: they are numbers or texts that grow."""
    return len(str(notification_id)), str(notification_id)
