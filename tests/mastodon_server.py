"""A server on localhost that speaks as much of Mastodon's API as gathering needs, and fails when told to."""

import datetime
import io
import json
import threading
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
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

    def __init__(self, count: int, days: float = 40):
        super().__init__(("127.0.0.1", 0), Handler)
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
