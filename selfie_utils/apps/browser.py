"""Open a page in Chromium and hold it to account: what it scores there, and that it asks nobody."""

import base64
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import Images

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# What a page says of itself once it is ready, or after two minutes, also on a busy machine.
READY = """() => Promise.race([
  selfie.ready, new Promise((done) => setTimeout(() => done({error: "not ready after 2 minutes"}), 120000))
])"""
INSIDE = ("file:", "blob:", "data:", "about:")  # addresses that ask nobody
RATE = """async (text) => {
  const bytes = Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  try { return {score: await selfie.rate(new Blob([bytes]))}; } catch (error) { return {why: String(error)}; }
}"""


class Seen(NamedTuple):
    """How photos fared in a browser."""

    score: np.ndarray  # float64 (N,), 0..1; nan where the browser can't read the photo
    seconds: float  # from the opening of the page until it was ready
    browser: str  # its version


@contextmanager
def chromium(*arguments: str) -> Iterator["Browser | None"]:
    """Start a headless Chromium: the system's, or the one that playwright has installed; None without any."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        yield None
        return
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(path).exists():
            yield None
            return
        with playwright.chromium.launch(executable_path=path, args=list(arguments)) as started:
            yield started


def rate_in_page(browser: "Browser", page: Path, images: Images, names: list[str]) -> Seen:
    """Rate photos with a camera page, offline, through the same code as a photo that is uploaded there.

    Raises SelfieError where the page does not get ready, or asks for anything.
    """
    with browser.new_context(offline=True) as context:
        opened, asked = context.new_page(), []
        opened.on("request", lambda request: asked.append(request.url))
        ready = _open(opened, page)
        found = [_rate(opened, images.read(name)) for name in names]
        strangers = [url for url in asked if not url.startswith(INSIDE)]
        if strangers:
            raise SelfieError(f"The page asked for {strangers[0][:80]}, though it must ask nobody.")
        return Seen(np.array(found, float), ready, f"Chromium {browser.version}")


def _open(opened: "Page", page: Path) -> float:
    """Open a page and wait until its network is ready; returns how many seconds that took."""
    opened.goto(page.resolve().as_uri())
    ready = opened.evaluate(READY)
    if "error" in ready:
        raise SelfieError(f"In Chromium the page says: {ready['error']}")
    return ready["seconds"]


def _rate(opened: "Page", data: bytes) -> float:
    return opened.evaluate(RATE, base64.b64encode(data).decode()).get("score", np.nan)
