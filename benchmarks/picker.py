"""How soon a picker shows its tiles, and how smoothly it scrolls, in headless Chromium.

    python benchmarks/picker.py [--posts 2000]

The tiles are drawn of embedded photos, as in a notebook, and handed to the widget's own JavaScript on a page
that stands for JupyterLab; so the way through the kernel is not in it. Told are the seconds until the
first sprite is drawn and until all are, and from there until every tile is on the screen. Then the page
scrolls through all of them, 60 px per frame. On a busy machine, look at the processor's seconds.
"""

import argparse
import base64
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from playwright.sync_api import Page, sync_playwright

from selfie_utils.analysis.ranking import Gallery
from selfie_utils.apps import picker as module
from selfie_utils.core.run_folder import create_run
from selfie_utils.photos.images import open_images
from selfie_utils.posts.data_folder import DEMO, open_data

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCRIPT = Path(module.__file__)
SHOW = """async ([code, css, state]) => {
    const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    state.sprites = state.sprites.map(bytes);
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    const { default: widget } = await import(url);
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    const start = performance.now();
    widget.render({ model: { get: (name) => state[name], on() {} }, el: document.body });
    const tiles = [...document.querySelectorAll(".picker-tile")];
    const sources = new Set(tiles.map((tile) => tile.style.backgroundImage.slice(5, -2)));
    await Promise.all([...sources].map((src) => Object.assign(new Image(), { src }).decode()));
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    return [performance.now() - start, tiles.length];
}"""
SCROLL = """async () => {
    const grid = document.querySelector(".picker-grid"), frames = [];
    let last = await new Promise(requestAnimationFrame);
    while (grid.scrollTop + grid.clientHeight < grid.scrollHeight - 1) {
        grid.scrollTop += 60;
        const now = await new Promise(requestAnimationFrame);
        frames.push(now - last);
        last = now;
    }
    return frames;
}"""


def offered(posts: int, scratch: Path) -> tuple[Gallery, pd.DataFrame]:
    """Make a gallery of embedded photos, scored by lot."""
    images = open_images(open_data(DEMO).images)
    names = images.names()[:posts]
    scores = pd.DataFrame({"post_id": names, "image": names, "score": np.linspace(1, 0, len(names))})
    known = pd.DataFrame({"every second": np.arange(len(names)) % 2 == 0}).astype("boolean")
    return Gallery(create_run(scratch), scores, images, known, frozenset()), scores


def draw(gallery: Gallery, scores: pd.DataFrame) -> module.Picker:
    """Draw all tiles, and say how long that took."""
    start, busy = time.perf_counter(), time.process_time()
    picker = module.Picker(gallery, scores)
    picker._drawn[0].result()
    first = time.perf_counter() - start
    picker.fill()
    size = sum(map(len, picker.sprites))
    took, busy = time.perf_counter() - start, time.process_time() - busy
    print(
        f"first sprite drawn {first:.2f} s, all {took:.2f} s ({busy:.2f} s of processor), {size / 1e6:.1f} MB"
    )
    return picker


def measure(page: Page, picker: module.Picker) -> None:
    """Show the tiles and scroll through them."""
    state = {name: getattr(picker, name) for name in ("side", "across", "titles", "filters", "picked")}
    state["sprites"] = [base64.b64encode(sprite).decode() for sprite in picker.sprites]
    page.set_content("<!doctype html><body></body>")
    code, css = (SCRIPT.with_suffix(end).read_text(encoding="utf-8") for end in (".js", ".css"))
    shown, tiles = page.evaluate(SHOW, [code, css, state])
    print(f"{tiles} tiles on the screen after another {shown / 1000:.2f} s")
    frames = np.array(page.evaluate(SCROLL))
    told = f"median {np.median(frames):.1f} ms, 95% within {np.quantile(frames, 0.95):.1f} ms"
    print(f"scrolled in {len(frames)} frames, {told}, longest {frames.max():.1f} ms")


def main(posts: int) -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as playwright:
        gallery, scores = offered(posts, Path(scratch))
        draw(gallery, scores).close()
        picker = draw(gallery, scores)  # as when a notebook is opened that was run before
        path = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        with playwright.chromium.launch(executable_path=path, args=["--no-sandbox"]) as browser:
            measure(browser.new_page(viewport={"width": 1280, "height": 900}), picker)
        picker.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--posts", type=int, default=2000, help="tiles (default: 2000)")
    main(parser.parse_args().posts)
