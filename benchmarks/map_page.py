"""Make a map page of many posts, and measure it in Chromium without a GPU: size, first view, time per frame.

    python benchmarks/map_page.py [--posts 50000] [--out FOLDER] [--frames 12] [--dense 1]

The embedded photos are repeated under other ids, at places drawn from a few clouds as t-SNE makes them; the
grid is filled by `map_layout.median_split` alone, which is enough to measure. The page is opened from disk,
offline. A frame is `draw()` of the page and one pixel read back, which waits until the canvas is painted; the
view moves between frames. Printed are the median and the slowest frame per zoom, at t-SNE places, half-way
and in the grid, plain and with colours by score and outlines by label; for busy machines also the CPU time of
the page's thread per frame, all it did counted; and how long zooming takes from frame to frame as the browser
counts them.
"""

import argparse
import math
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from chromium import chromium
from playwright.sync_api import Page

from selfie_utils.analysis.map_layout import cells_of, median_split, normalised
from selfie_utils.photos.images import open_images
from selfie_utils.posts.data_folder import DEMO, open_data
from selfie_utils.show.map_page import map_page

ZOOMS = (0.0, 0.15, 0.3, 0.45, 0.6, 0.8, 1.0)  # from the whole to the nearest, even steps of the logarithm
STATES = {"grid": 1.0, "half-way": 0.5, "t-SNE": 0.0}
FRAMES = """([share, morph, painted, frames]) => {
  const map = selfieMap, pick = (kind, name) => map.setPaint(kind, painted ? name : "nothing");
  pick("colour", "score"); pick("outline", "label");
  map.setMorph(morph);
  const zoom = Math.exp(share * Math.log(map.mostZoom)), took = [];
  const one = (i) => {
    map.view = { x: .5 + .05 * Math.cos(i) / zoom, y: .5 + .05 * Math.sin(i) / zoom, zoom };
    const begun = performance.now();
    map.draw();
    map.context.getImageData(0, 0, 1, 1);
    return performance.now() - begun;
  };
  for (let i = 0; i < frames; i++) took.push(one(i));
  const seen = map.inView, way = map.way;
  map.setMorph(1); pick("colour", "nothing"); pick("outline", "nothing");
  return { took, seen, way };
}"""
DECODED = """async () => {
  while (selfieMap.sheets.waiting.size) await new Promise((done) => setTimeout(done, 20));
}"""
WHEEL = """async () => {
  const map = selfieMap, gaps = [];
  map.moveTo(.5, .5, 1);
  let before = await new Promise(requestAnimationFrame);
  for (let i = 0; i < 60; i++) {
    map.zoomAt(map.width / 2, map.height / 2, Math.pow(map.mostZoom, 1 / 60));
    const now = await new Promise(requestAnimationFrame);
    gaps.push(now - before);
    before = now;
  }
  return gaps;
}"""


def make_posts(count: int, seed: int = 0) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return a table of `count` posts with places, as `map_layout.place` does, and two attributes."""
    rng = np.random.default_rng(seed)
    names = pd.read_parquet(open_data(DEMO).posts)["image"].head(2500)
    centres = rng.normal(0, 30, (12, 2))
    points = centres[rng.integers(0, 12, count)] + rng.normal(0, 9, (count, 2))
    posts = pd.DataFrame(points, columns=["x", "y"]).assign(
        post_id=[f"post{i:06d}" for i in range(count)],
        image=np.resize(names, count),
        score=rng.beta(4, 4, count),
        label=rng.integers(0, 2, count),
    )
    side = math.isqrt(count)
    shown = np.sort(rng.permutation(count)[: side * side])
    cells = cells_of(median_split(normalised(points[shown], side, side), side, side))
    for i, axis in enumerate(("row", "column")):
        posts[axis] = pd.Series(cells[:, i], index=shown, dtype="Int64")
    return posts, pd.DataFrame(rng.random((count, 2)) < 0.3, columns=["glasses", "hat"]).astype("boolean")


def measure(path: Path, frames: int, dense: float) -> None:
    """Open the page and print what it takes."""
    with chromium() as browser:
        size = {"width": 1280, "height": 800}
        page = browser.new_context(offline=True, viewport=size, device_scale_factor=dense).new_page()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url[:60]))
        busy = cpu_clock(page)
        begun = time.perf_counter()
        page.goto(path.as_uri(), wait_until="commit")
        page.wait_for_selector("html[data-ready]", state="attached")
        first = time.perf_counter() - begun
        print(f"first view: {first:.2f} s, {busy():.2f} s of the CPU; requests: {len(requests) - 1}")
        print("\nstate      painted   zoom   posts way        median  slowest     CPU  ms")
        for state, morph in STATES.items():
            for painted in (False, True):
                for share in ZOOMS:
                    print(row_of(page, busy, (state, morph, painted, share), frames))
        gaps = np.sort(page.evaluate(WHEEL))
        print(f"\nzooming in: {np.median(gaps):.1f} ms from frame to frame, slowest {gaps[-1]:.1f}")


def cpu_clock(page: Page) -> Callable[[], float]:
    """Return a function that tells how long the page's thread has been at work, in seconds."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def busy() -> float:
        told = session.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in told if one["name"] == "TaskDuration")

    return busy


def row_of(page: Page, busy: Callable[[], float], at: tuple[str, float, bool, float], frames: int) -> str:
    """Draw some frames in a state at a zoom, and say what they took."""
    state, morph, painted, share = at
    page.evaluate(FRAMES, [share, morph, painted, 2])  # sheets in view are decoded
    page.evaluate(DECODED)
    before = busy()
    told = page.evaluate(FRAMES, [share, morph, painted, frames])
    cpu, took = 1000 * (busy() - before) / frames, np.sort(told["took"])
    row = f"{state:<10} {'yes' if painted else 'no':<8} {share:>5} {told['seen']:>7,} {told['way']:<9}"
    return f"{row} {np.median(took):>7.1f} {took[-1]:>8.1f} {cpu:>7.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=50_000)
    parser.add_argument("--out", type=Path, help="where the page is kept")
    parser.add_argument("--frames", type=int, default=12)
    parser.add_argument("--dense", type=float, default=1.0, help="device pixels per CSS px")
    options = parser.parse_args()
    posts, known = make_posts(options.posts)
    begun = time.perf_counter()
    html = map_page(open_images(open_data(DEMO).images), posts, known, (), "")
    took = time.perf_counter() - begun
    print(f"{options.posts:,} posts: {len(html.encode()) / 1e6:.1f} MB, made in {took:.0f} s")
    with tempfile.TemporaryDirectory() as scratch:
        path = (options.out or Path(scratch)) / "map.html"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(html, encoding="utf-8")
        measure(path.resolve(), options.frames, options.dense)


if __name__ == "__main__":
    main()
