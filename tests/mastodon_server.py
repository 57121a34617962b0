"""Servers on localhost with as much of Mastodon's API as gathering and a bot need; they fail when told to."""

import datetime
import email
import io
import json
import queue
import re
import socket
import threading
import time
from contextlib import suppress
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count, pairwise
from typing import NamedTuple
from urllib.parse import parse_qs, urlparse

from PIL import Image

NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)


def photo(i: int) -> bytes:
    """A small JPEG of a colour of its own."""
    out = io.BytesIO()
    Image.new("RGB", (64, 48), (i * 37 % 256, i * 71 % 256, i * 13 % 256)).save(out, "JPEG")
    return out.getvalue()


def account(i: int, **changes) -> dict:
    """An account as the API gives it."""
    return {
        "id": str(i), "username": f"user{i}", "acct": f"user{i}@example.org", "display_name": f"Name {i}",
        "note": "<p>I like photos</p>", "fields": [], "bot": False, "locked": False, "noindex": None,
        "followers_count": 100 + i, "following_count": 1, "statuses_count": 1, "emojis": [], "group": False,
        "created_at": "2020-01-01T00:00:00.000Z", "url": "", "avatar": "", "header": "", "discoverable": True,
    } | changes  # fmt: skip


class MastodonServer(ThreadingHTTPServer):
    """Posts with rising ids under #selfie and #sun; `fail` makes the next requests for a path fail."""

    daemon_threads = True
    handler: type[BaseHTTPRequestHandler]

    def __init__(self, count: int, days: float = 40):
        super().__init__(("127.0.0.1", 0), self.handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.posts: dict[int, dict] = {}
        self.photos: dict[str, bytes] = {}
        self.faults: list[list] = []
        self.kinds: dict[str, str] = {}  # Content-Type of a photo, where it is not that of a JPEG
        self.seen: list[tuple[str, dict]] = []  # path and headers of every request
        self.moments: list[float] = []  # when each came
        self.most = 10  # posts on a page, however many are asked for
        self.asks_to_wait = 1.0  # seconds, when it answers 429
        self.slow = 0.0  # seconds before each answer
        self.ignores: set[str] = set()  # what it does not look at of a question: max_id, since_id
        self.hidden: set[int] = set()  # posts that it leaves out of its pages, which then may be empty
        self.links = False  # whether it says in a header where the next page begins
        self.instead: dict[str, object] = {}  # an answer, with 200, by a part of the path: JSON, or bytes
        for i in range(1, count + 1):
            self.add(i, days=days)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    def add(self, i: int, days: float = 40, photos: int = 1, user: dict | None = None, **changes) -> dict:
        """Publish a post."""
        media = []
        for n in range(photos):
            self.photos[f"{i}-{n}.jpg"] = photo(i + n)
            url = f"{self.url}/media/{i}-{n}.jpg"
            media.append(
                {"id": f"{i}{n}", "type": "image", "url": url, "description": f"photo {i}", "meta": {}}
            )
        posted = NOW - datetime.timedelta(days=days, minutes=-i)
        self.posts[i] = {
            "id": str(i), "uri": f"tag:{i}", "url": f"https://example.org/@user/{i}", "visibility": "public",
            "sensitive": False, "spoiler_text": "", "content": "<p>#selfie</p>", "reblog": None,
            "created_at": posted.isoformat().replace("+00:00", ".000Z"), "favourites_count": i,
            "tags": [{"name": "selfie", "url": ""}, {"name": "sun", "url": ""}], "mentions": [], "emojis": [],
            "account": user or account(i % 7), "media_attachments": media, "reblogs_count": 0,
        } | changes  # fmt: skip
        return self.posts[i]

    def fail(self, path: str, kind: str, times: int = 1) -> None:
        """Make the next requests whose path holds `path` fail: with a status such as 429, or drop."""
        self.faults.append([path, kind, times])

    def fault_for(self, path: str) -> str | None:
        """Take the next fault that is due for a path."""
        for fault in self.faults:
            if fault[0] in path and fault[2] > 0:
                fault[2] -= 1
                return fault[1]
        return None

    def asked(self, part: str) -> int:
        """Count the requests whose path holds `part`."""
        return sum(part in path for path, _ in self.seen)

    def waits(self, part: str) -> list[float]:
        """Seconds between the requests whose path holds `part`."""
        when = [moment for moment, (path, _) in zip(self.moments, self.seen, strict=True) if part in path]
        return [later - before for before, later in pairwise(when)]


class Handler(BaseHTTPRequestHandler):
    server: MastodonServer
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body in one packet

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.seen.append((self.path, dict(self.headers)))
        self.server.moments.append(time.monotonic())
        time.sleep(self.server.slow)
        fault = self.server.fault_for(self.path)
        path = urlparse(self.path)
        if fault == "429":
            seconds = self.server.asks_to_wait
            reset = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
            limits = {"X-RateLimit-Limit": "300", "X-RateLimit-Remaining": "0"}
            limits["Retry-After"] = f"{seconds:.0f}"
            limits["X-RateLimit-Reset"] = reset.isoformat().replace("+00:00", "Z")
            self.answer(429, {"error": "Too many requests"}, limits)
        elif fault and fault != "drop":
            self.answer(int(fault), {"error": "so it is"})
        elif instead := [answer for part, answer in self.server.instead.items() if part in self.path]:
            self.answer(200, instead[0])
        elif path.path.startswith("/api/v1/timelines/tag/"):
            self.answer_page(path.path.rpartition("/")[2], parse_qs(path.query))
        elif path.path.startswith("/api/v1/statuses/"):
            post = self.server.posts.get(int(path.path.rpartition("/")[2]))
            self.answer(200, post) if post else self.answer(404, {"error": "Record not found"})
        elif path.path.startswith("/media/"):
            self.media(path.path.rpartition("/")[2], drop=fault == "drop")
        else:
            self.answer(404, {"error": "no such endpoint"})

    def answer_page(self, tag: str, query: dict) -> None:
        query = {key: value for key, value in query.items() if key not in self.server.ignores}
        newest = int(query.get("max_id", ["999999"])[0])
        oldest = int(query.get("since_id", ["0"])[0])
        posts = [post for i, post in self.server.posts.items() if oldest < i < newest]
        posts = [post for post in posts if tag in [one["name"] for one in post["tags"] if one]]
        posts.sort(key=lambda post: int(post["id"]), reverse=True)
        posts = posts[: min(int(query["limit"][0]), self.server.most)]
        link = (
            f'<{self.server.url}/api/v1/timelines/tag/{tag}?max_id={posts[-1]["id"]}>; rel="next"'
            if posts
            else ""
        )
        shown = [post for post in posts if int(post["id"]) not in self.server.hidden]
        self.answer(200, shown, {"Link": link} if link and self.server.links else None)

    def media(self, name: str, drop: bool) -> None:
        data = self.server.photos.get(name)
        if data is None:
            return self.answer(404, {"error": "gone"})
        self.send_response(200)
        self.send_header("Content-Type", self.server.kinds.get(name, "image/jpeg"))
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if drop else data)
        self.close_connection = drop

    def answer(self, status: int, content: object, headers: dict[str, str] | None = None) -> None:
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response_only(status)
        common = {
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
            "Date": formatdate(usegmt=True),
        }
        for name, value in (common | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


MastodonServer.handler = Handler

TOKEN_OF_BOT = "secret-of-the-bot"
ME = "900"  # account of the bot
HEARTBEAT = 0.5  # seconds; Mastodon's is 15


class Limit(NamedTuple):
    """So many requests in a window of so many seconds."""

    requests: int
    seconds: float


class BotServer(MastodonServer):
    """A server with the account of a bot, which people mention; it counts requests, and may go down."""

    def __init__(self):
        self.lock = threading.RLock()
        self.tokens = {TOKEN_OF_BOT}
        self.me = account(900, id=ME, acct="selfiebot", username="selfiebot", bot=True)
        self.notifications: list[dict] = []
        self.mentions: dict[str, dict] = {}
        self.replies: dict[str, dict] = {}  # by id, those that are there
        self.all_replies: list[dict] = []  # in order, also those that were deleted
        self.keys: dict[str, str] = {}  # idempotency keys, to replies
        self.media: dict[str, dict] = {}
        self.stars: list[str] = []
        self.limit, self.media_limit = Limit(10**6, 300), Limit(10**6, 1800)
        self.windows: dict[tuple, int] = {}
        self.refused = 0  # requests that were too many
        self.hooks: list[list] = []  # [part of "METHOD /path", "before" or "after", what to do], each once
        self.streams: list[queue.Queue] = []
        self.has_streams = True
        self.ready_after = 0  # times that a picture is asked for before it is ready
        self.ids = count(1000)
        self.open: set = set()  # sockets
        super().__init__(0)

    def mention(self, photo_data: bytes | None = None, author: int = 1, text: str = "", **changes) -> str:
        """Have somebody mention the bot, with a photo or without; returns the id of the mention."""
        with self.lock:
            key = str(next(self.ids))
            media = []
            if photo_data is not None:
                self.photos[f"{key}.jpg"] = photo_data
                url = f"{self.url}/media/{key}.jpg"
                media = [{"id": f"m{key}", "type": "image", "url": url, "description": None, "meta": {}}]
            moment = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
            status = {
                "id": key, "uri": f"tag:{key}", "url": "", "visibility": "public", "sensitive": False,
                "spoiler_text": "", "content": f"<p><span>@<span>selfiebot</span></span> {text}</p>",
                "reblog": None, "created_at": moment, "in_reply_to_id": None, "account": account(author),
                "mentions": [{"id": ME, "acct": "selfiebot", "username": "selfiebot", "url": ""}],
                "media_attachments": media, "tags": [], "emojis": [],
            } | changes  # fmt: skip
            self.mentions[key] = status
            note = {"id": str(next(self.ids)), "type": "mention", "created_at": moment,
                    "account": status["account"], "status": status}  # fmt: skip
            self.notifications.append(note)
            for stream in self.streams:
                stream.put(note)
        return key

    def replies_to(self, mention: str) -> list[dict]:
        """List the replies to a mention that there ever were."""
        return [reply for reply in self.all_replies if reply["in_reply_to_id"] == mention]

    def once(self, part: str, when: str, do) -> None:
        """Do something at the next request that holds `part`, once.

        Before it is looked at, between that it is done and answered, or after the answer is out.
        """
        self.hooks.append([part, when, do])

    def hook(self, request: str, when: str) -> None:
        with self.lock:
            due = [hook for hook in self.hooks if hook[0] in request and hook[1] == when]
            for hook in due[:1]:
                self.hooks.remove(hook)
        for hook in due[:1]:
            hook[2]()

    def within(self, name: str, limit: Limit) -> tuple[bool, dict[str, str]]:
        """Count a request in its window; tells whether it fits in, and the headers of the answer."""
        window = int(time.time() // limit.seconds)
        with self.lock:
            used = self.windows[name, window] = self.windows.get((name, window), 0) + 1
        reset = datetime.datetime.fromtimestamp((window + 1) * limit.seconds, datetime.UTC)
        headers = {
            "X-RateLimit-Limit": str(limit.requests),
            "X-RateLimit-Remaining": str(max(limit.requests - used, 0)),
            "X-RateLimit-Reset": reset.isoformat().replace("+00:00", "Z"),
        }
        return used <= limit.requests, headers

    def process_request(self, request, client_address):
        self.open.add(request)
        super().process_request(request, client_address)

    def handle_error(self, request, client_address):
        """Say nothing of clients that are gone: some were killed."""

    def stop(self) -> None:
        """Go down: nobody listens any more, and every connection is cut."""
        self.shutdown()
        self.server_close()
        for one in list(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self.open.clear()
        self.streams.clear()

    def start(self) -> None:
        """Come back at the same address, with all that was there."""
        self.socket = socket.socket(self.address_family, self.socket_type)
        self.server_bind()
        self.server_activate()
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()


class BotHandler(Handler):
    """What a bot asks for."""

    server: BotServer

    def do_GET(self):
        if self.path.startswith("/media/"):
            self.server.hook(f"GET {self.path}", "before")
            return super().do_GET()
        self.take()

    def do_POST(self):
        self.take()

    def do_DELETE(self):
        self.take()

    def take(self) -> None:
        """Answer one request, or fail as told."""
        server, request = self.server, f"{self.command} {self.path}"
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        server.seen.append((request, dict(self.headers)))
        server.moments.append(time.monotonic())
        server.hook(request, "before")
        if self.headers.get("Authorization", "").removeprefix("Bearer ") not in server.tokens:
            return self.answer(401, {"error": "The access token was revoked"})
        if "/streaming/" in self.path:
            return self.stream()
        limits = [("all", server.limit)]
        limits += [("media", server.media_limit)] if "POST /api/v2/media" in request else []
        for name, limit in limits:
            fits, headers = server.within(name, limit)
            if not fits:
                server.refused += 1
                return self.answer(429, {"error": "Too many requests"}, headers)
        fault = server.fault_for(request)
        if fault == "429":
            reset = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=server.asks_to_wait)
            headers["X-RateLimit-Reset"] = reset.isoformat().replace("+00:00", "Z")
            return self.answer(429, {"error": "Too many requests"}, headers)
        if fault == "drop":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        if fault and fault.isdigit():
            return self.answer(int(fault), {"error": "so it is"}, headers)
        status, content = self.do()
        server.hook(request, "between")
        if fault == "drop afterwards":
            self.close_connection = True
            return self.connection.shutdown(socket.SHUT_RDWR)
        self.answer(status, content, headers)
        self.wfile.flush()
        server.hook(request, "after")

    def do(self) -> tuple[int, object]:
        """Do what is asked; returns status and content."""
        path, server = urlparse(self.path).path, self.server
        with server.lock:
            for method, pattern, do in ROUTES:
                found = re.fullmatch(pattern, path)
                if method == self.command and found:
                    return do(self, *found.groups())
        return 404, {"error": "no such endpoint"}

    def instance(self) -> tuple[int, object]:
        urls = {"streaming_api": self.server.url.replace("http", "ws"), "streaming": self.server.url}
        statuses = {"max_characters": 500}
        return 200, {"version": "4.3.1", "urls": urls, "api_versions": {"mastodon": 2},
                     "configuration": {"statuses": statuses, "urls": urls}}  # fmt: skip

    def verify(self) -> tuple[int, object]:
        return 200, self.server.me

    def list_notifications(self) -> tuple[int, object]:
        query = parse_qs(urlparse(self.path).query)
        above, below = int(query.get("min_id", ["0"])[0]), int(query.get("max_id", ["999999999"])[0])
        found = [one for one in self.server.notifications if above < int(one["id"]) < below]
        found = [one for one in found if one["type"] in query.get("types[]", [one["type"]])]
        found.sort(key=lambda one: int(one["id"]))
        most = int(query["limit"][0])
        return 200, (found[:most] if above else found[-most:])[::-1]

    def post_media(self) -> tuple[int, object]:
        kind = self.headers["Content-Type"]
        parts = email.message_from_bytes(
            b"Content-Type: " + kind.encode() + b"\r\n\r\n" + self.body
        ).get_payload()
        named = {
            part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
            for part in parts
        }
        key = f"{len(self.server.media) + 1}"
        made = {"file": named["file"], "description": named["description"].decode(), "asked": 0}
        self.server.media[key] = made
        return (202 if self.server.ready_after else 200), self.shown(key)

    def shown(self, key: str) -> dict:
        made = self.server.media[key]
        url = f"{self.server.url}/made/{key}" if made["asked"] >= self.server.ready_after else None
        return {"id": key, "type": "image", "url": url, "description": made["description"], "meta": {}}

    def get_media(self, key: str) -> tuple[int, object]:
        self.server.media[key]["asked"] += 1
        return 200, self.shown(key)

    def post_status(self) -> tuple[int, object]:
        server, form = self.server, parse_qs(self.body.decode())
        key = self.headers.get("Idempotency-Key", "")
        if key in server.keys:
            return 200, server.replies.get(server.keys[key]) or next(
                reply for reply in server.all_replies if reply["id"] == server.keys[key]
            )
        mention = form["in_reply_to_id"][0]
        if mention not in server.mentions:
            return 404, {"error": "Record not found"}
        media = form.get("media_ids[]", [])
        if any(server.media[one]["asked"] < server.ready_after for one in media):
            return 422, {"error": "Cannot attach files that have not finished processing"}
        reply = {
            "id": str(next(server.ids)), "in_reply_to_id": mention, "account": server.me, "media": media,
            "content": form["status"][0], "visibility": form["visibility"][0], "media_attachments": [],
            "created_at": datetime.datetime.now(datetime.UTC).isoformat(), "mentions": [], "tags": [],
        }  # fmt: skip
        server.replies[reply["id"]] = reply
        server.all_replies.append(reply)
        server.keys[key] = reply["id"]
        return 200, reply

    def context(self, key: str) -> tuple[int, object]:
        if key not in self.server.mentions:
            return 404, {"error": "Record not found"}
        ours = [reply for reply in self.server.replies.values() if reply["in_reply_to_id"] == key]
        return 200, {"ancestors": [], "descendants": ours}

    def favourite(self, key: str) -> tuple[int, object]:
        if key not in self.server.mentions:
            return 404, {"error": "Record not found"}
        self.server.stars.append(key)
        return 200, self.server.mentions[key]

    def delete_status(self, key: str) -> tuple[int, object]:
        reply = self.server.replies.pop(key, None)
        return (200, reply) if reply else (404, {"error": "Record not found"})

    def stream(self) -> None:
        """Tell of notifications as they come, in chunks, with a heartbeat."""
        server = self.server
        if not server.has_streams:
            return self.answer(404, {"error": "no streams here"})
        self.send_response_only(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        mine: queue.Queue = queue.Queue()
        server.streams.append(mine)
        self.close_connection = True
        try:
            self.chunk(":)\n")
            while mine in server.streams:
                try:
                    self.chunk(f"event: notification\ndata: {json.dumps(mine.get(timeout=HEARTBEAT))}\n\n")
                except queue.Empty:
                    self.chunk(":thump\n")
        except (OSError, ValueError):
            pass
        finally:
            if mine in server.streams:
                server.streams.remove(mine)

    def chunk(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


ROUTES = [
    ("GET", r"/api/v1/instance/?", BotHandler.instance),
    ("GET", r"/api/v2/instance/?", BotHandler.instance),
    ("GET", r"/api/v1/accounts/verify_credentials", BotHandler.verify),
    ("GET", r"/api/v1/notifications", BotHandler.list_notifications),
    ("POST", r"/api/v2/media", BotHandler.post_media),
    ("GET", r"/api/v1/media/(\w+)", BotHandler.get_media),
    ("POST", r"/api/v1/statuses", BotHandler.post_status),
    ("GET", r"/api/v1/statuses/(\w+)/context", BotHandler.context),
    ("POST", r"/api/v1/statuses/(\w+)/favourite", BotHandler.favourite),
    ("DELETE", r"/api/v1/statuses/(\w+)", BotHandler.delete_status),
]
BotServer.handler = BotHandler
