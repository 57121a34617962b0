"""A Mastodon server that is asked politely: in turn, again when it fails, and not before it wants to be."""

import os
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any
from urllib.parse import urljoin, urlsplit

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.salvage import HEAD, is_photo

TOKEN = "MASTODON_ACCESS_TOKEN"  # environment variable; read, never written
TRIES = 5  # of the request for a photo that fails for a reason that may pass
WORTH_SAYING = 5.0  # seconds; who waits longer is told so
LARGEST_IMAGE = 40 * 2**20  # bytes
NEED_TOKEN = (401, 403, 422)  # with 422 Mastodon says that a method needs somebody who is logged in
LONGEST_DOUBLING = 6  # times that a pause is doubled at most


@dataclass(frozen=True)
class Approach:
    """Who asks, how often, and how patiently."""

    agent: str  # how requests call themselves
    kept: str  # what an error says of what was done so far
    extra: str  # of the package that brings Mastodon.py
    may: str = "read"  # what the token has to allow
    tries: int = TRIES  # of a request that fails for a reason that may pass; 0 tries for ever
    pause: float = 2.0  # seconds to wait before a failed request is sent again; doubled each time
    between: float = 1.0  # seconds from one question to the next, as servers ask; for photos a tenth of it
    longest_wait: float = 15 * 60  # seconds; a server that asks for more is asked again after this


class Refused(SelfieError):
    """A server says no, and would say no again; `status` is its HTTP status."""

    def __init__(self, told: str, status: int):
        super().__init__(told)
        self.status = status


class Gone(Refused):
    """What was asked for is not there, or not any more."""


def address_of(instance: str) -> str:
    """Write the address of a server in one way: mastodon.social and any page there as https://mastodon.social.

    Raises SelfieError where it is none.
    """
    text = instance.strip()
    parts = urlsplit(text if "://" in text else f"https://{text}")
    try:
        is_one = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:  # a port that is no number
        is_one = False
    if not is_one or re.search(r"[\s@]", parts.netloc):
        raise SelfieError(
            f"There is no server {instance!r}: give an address such as https://mastodon.social."
        )
    return f"{parts.scheme}://{parts.netloc}"


class Server:
    """A Mastodon server; `api` is Mastodon.py's, to be called by `ask`."""

    def __init__(self, instance: str, approach: Approach, say: Callable[[str], None]):
        try:
            import mastodon
            import requests
        except ImportError:
            raise SelfieError(
                f"This needs Mastodon.py: pip install -e '.[{approach.extra}]' in the clone."
            ) from None
        self.say, self.instance, self.approach = say, address_of(instance), approach
        self._not_before = 0.0  # on time.monotonic's clock: when the next request may go out
        self.errors, self._requests, self._mastodon = mastodon.errors, requests, mastodon
        self.api = self.connect(self._in_turn(requests.Session()))
        self._session = requests.Session()
        self._session.headers["User-Agent"] = approach.agent

    def connect(self, session: Any = None) -> Any:
        """Return Mastodon.py's view of the server, which asks by a session of requests of its own."""
        api = self._mastodon.Mastodon(
            api_base_url=self.instance,
            access_token=os.environ.get(TOKEN) or None,
            ratelimit_method="throw",  # we wait ourselves, and say so
            version_check_mode="none",
            request_timeout=60,
            user_agent=self.approach.agent,
            session=session,
        )
        # Before each page it would ask what the server offers, and where that fails ask again every time.
        api.timeline_is_available = lambda *_, **__: True  # type: ignore[method-assign]  # one of theirs
        return api

    def _in_turn(self, session: Any) -> Any:
        """Have every request of a session wait for its turn, also those that a library makes unasked."""
        ask = session.request

        def request(*arguments: Any, **options: Any) -> Any:
            self.take_turn_to_ask()
            return ask(*arguments, **options)

        session.request = request
        return session

    def ask(self, ask: Callable, *arguments: Any, **options: Any) -> Any:
        """Ask, and turn what the server refuses for good into one sentence that says what to do."""
        try:
            return self._patiently(ask, *arguments, **options)
        except self.errors.MastodonAPIError as error:
            status = error.args[1] if len(error.args) > 2 else None
            if status is None:  # it could not be read as JSON: a page for people, such as one to log in at
                raise self.misunderstood("JSON") from None
            kept = self.approach.kept
            why = f"{self.instance} refuses ({' '.join(map(str, error.args[1:3]))}"
            why += f": {error.args[3]})" if error.args[3:] and error.args[3] else ")"
            if status in (404, 410):
                told = f"{why}: check that it is a Mastodon server, and the tag; {kept}."
                raise Gone(told, status) from None
            remedy = "" if status not in NEED_TOKEN else f"set {TOKEN} to a token of an account there; "
            if remedy and os.environ.get(TOKEN):
                may = self.approach.may
                remedy = f"check that the token in {TOKEN} is still valid there, and may {may}; "
            raise Refused(f"{why}: {remedy}{kept}.", status) from None

    def misunderstood(self, wanted: str) -> SelfieError:
        """Return the error that says that the server speaks of something else."""
        return SelfieError(
            f"{self.instance} answered with something else than {wanted}: is it a Mastodon server? "
            f"If it asks to log in, set {TOKEN} to a token of an account there; {self.approach.kept}."
        )

    def _patiently(self, ask: Callable, *arguments: Any, **options: Any) -> Any:
        tries = self.approach.tries
        for attempt in range(tries) if tries else count():
            wait = self.approach.pause * 2 ** min(attempt, LONGEST_DOUBLING)
            try:
                return ask(*arguments, **options)
            except self.errors.MastodonRatelimitError:
                wait = max((self.api.ratelimit_reset or 0) - time.time(), wait)
                problem = "the server asks to slow down"
            except (self.errors.MastodonServerError, self.errors.MastodonNetworkError) as error:
                cause = type(error.__context__ or error).__name__  # such as TooManyRedirects, of requests
                problem = f"the server fails ({' '.join(map(str, error.args[1:3])) or cause})"
            self._wait(wait, problem, told=attempt != tries - 1)
        raise SelfieError(
            f"{self.instance} did not answer in {tries} tries, {problem}: run the same command again later; "
            f"{self.approach.kept}."
        )

    def take_turn_to_ask(self) -> None:
        """Sleep until the next question, which is no photo, may go out."""
        self._take_turn(self.approach.between)

    def _take_turn(self, between: float) -> None:
        """Sleep until the next request may go out, whatever the last one was for."""
        time.sleep(max(self._not_before - time.monotonic(), 0))
        self._not_before = time.monotonic() + between

    def _wait(self, seconds: float, problem: str, told: bool) -> None:
        """Let no request go out for some seconds."""
        seconds = min(seconds, self.approach.longest_wait)
        if seconds > WORTH_SAYING and told:
            self.say(f"{problem}: waiting {seconds:.0f} s")
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    def image(self, url: str) -> tuple[bytes | None, str]:
        """Return the bytes of an image, or None and why: a reason for good, or "" where it may come yet."""
        for attempt in range(TRIES):
            wait = self.approach.pause * 2**attempt
            self._take_turn(self.approach.between / 10)
            try:
                address = urljoin(f"{self.instance}/", url)  # some servers give a path alone
                with self._session.get(address, stream=True, timeout=60) as answer:
                    if answer.status_code == 200:
                        return _received(answer)
                    if answer.status_code in (401, 403, 404, 410):
                        return None, f"image is gone ({answer.status_code})"
                    wait = max(wait, _seconds(answer.headers.get("Retry-After")))
                    problem = f"an image fails ({answer.status_code})"
            except ValueError:  # requests has no other errors of this kind here
                return None, "its address is none of the web"
            except self._requests.RequestException as error:
                problem = f"an image fails ({type(error).__name__})"
            self._wait(wait, problem, told=attempt < TRIES - 1)
        return None, ""


def get(thing: Any, name: str) -> Any:
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
