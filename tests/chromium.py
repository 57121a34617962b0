"""The real browser that pages are tested in."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser

from selfie_utils.apps.browser import chromium as start

MISSING = (
    "No Chromium to test with: install it by `apt-get install chromium` or `playwright install chromium`."
)


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """A headless Chromium: the system's, or the one that playwright has installed."""
    with start(*arguments) as started:
        if started is None:
            pytest.fail(MISSING)
        yield started
