"""Show a camera page a fake camera in headless Chromium, without a GPU, and measure what it does.

    python benchmarks/camera_page.py camera.html [--minutes 10] [--photos DIR]

The page is one that `selfie export web` wrote. The camera shows 640 x 480 px, 30 pictures a second: photos
of the embedded data, or of DIR, half a second each. Printed are the page's size; seconds until it is ready;
milliseconds per frame, from one look of the network to the next, and from the camera's picture to its
score, median and 90th percentile; how many of them the page's own thread computed, beside the network's; and,
minute by minute, the memory of its JavaScript after a collection of garbage, and of all of Chromium's
processes.
"""

import argparse
import io
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image
from playwright.sync_api import CDPSession, Page

from selfie_utils.apps.browser import READY, chromium
from selfie_utils.photos.images import UnreadableImage, decode, open_images
from selfie_utils.posts.data_folder import open_data

SHOWN = 40  # photos
FRAMES = 15  # that each is shown for
FAKE = ("--disable-gpu", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream")


def make_film(path: Path, folder: Path) -> None:
    """Write what the fake camera shows: photos in the middle of 640 x 480 px, one JPEG after the other."""
    images, frames = open_images(folder), []
    for name in images.names()[: SHOWN + 10]:
        try:
            photo = decode(images.read(name), at_least=480).resize((480, 480))
        except UnreadableImage:
            continue
        wide, file = Image.new("RGB", (640, 480), (70, 70, 70)), io.BytesIO()
        wide.paste(photo, (80, 0))
        wide.save(file, "JPEG", quality=90)
        frames += [file.getvalue()] * FRAMES
    path.write_bytes(b"".join(frames))


def metrics(devtools: CDPSession) -> dict[str, float]:
    """Return what Chromium counts: seconds of the page's thread, bytes of its heap and others."""
    return {one["name"]: one["value"] for one in devtools.send("Performance.getMetrics")["metrics"]}


def memory(devtools: CDPSession) -> tuple[float, float]:
    """Return MB of the page's JavaScript, without garbage, and of all processes of Chromium."""
    devtools.send("HeapProfiler.collectGarbage")
    family = psutil.Process().children(recursive=True)
    resident = sum(one.memory_info().rss for one in family if "chrom" in one.name())
    return metrics(devtools)["JSHeapUsedSize"] / 1e6, resident / 1e6


def watch(tab: Page, devtools: CDPSession, seconds: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Let the page watch for a while; returns ms between looks, ms to a score, ms of its thread a frame."""
    tab.evaluate("() => { selfie.times.length = selfie.lags.length = 0; }")
    before = metrics(devtools)["ThreadTime"]
    time.sleep(seconds)
    busy = metrics(devtools)["ThreadTime"] - before
    times, lags = (np.array(tab.evaluate(f"() => selfie.{name}")) for name in ("times", "lags"))
    return times, lags, 1000 * busy / max(len(times), 1)


def measure(page: Path, film: Path, minutes: float) -> None:
    """Print the figures."""
    with chromium(*FAKE, f"--use-file-for-fake-video-capture={film}") as browser:
        assert browser, "there is no Chromium: playwright install chromium"
        tab = browser.new_context(offline=True).new_page()
        devtools = tab.context.new_cdp_session(tab)
        devtools.send("Performance.enable")
        tab.goto(page.resolve().as_uri())
        ready = tab.evaluate(READY)
        size = page.stat().st_size / 1e6
        print(f"Chromium {browser.version}: {size:.1f} MB, ready after {ready['seconds']:.1f} s")
        tab.click("#camera")
        time.sleep(3)  # the first frames are slower
        times, lags, busy = watch(tab, devtools, 15)
        for what, found in (("per frame", times), ("from picture to score", lags)):
            print("ms {}: median {:.1f}, p90 {:.1f}".format(what, *np.quantile(found, [0.5, 0.9])))
        print(f"the page's thread computed {busy:.1f} ms a frame ({len(times)} frames in 15 s)")
        print("minute   heap MB   Chromium MB", flush=True)
        for minute in range(int(minutes) + 1):
            print("{:>6} {:>9.1f} {:>13.0f}".format(minute, *memory(devtools)), flush=True)
            if minute < int(minutes):
                time.sleep(60)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("page", type=Path)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--photos", type=Path, default=open_data("demo").images)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        make_film(Path(scratch) / "film.mjpeg", given.photos)
        measure(given.page, Path(scratch) / "film.mjpeg", given.minutes)
