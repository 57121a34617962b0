"""The real browser that pages are tested in."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
MISSING = (
    "No Chromium to test with: install it by `apt-get install chromium` or `playwright install chromium`."
)


@contextmanager
def chromium(*options: str) -> Iterator[Browser]:
    """A headless Chromium with `options`: the system's, or the one that playwright has installed."""
    with sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not Path(path).exists():
            pytest.fail(MISSING)
        with playwright.chromium.launch(executable_path=path, args=["--no-sandbox", *options]) as started:
            yield started
