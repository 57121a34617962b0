"""How fast does `13_rate_yours` answer? Seconds per photo, and frames a second, without the browser.

    python benchmarks/rate_yours.py --run runs/demo

With --browser also through JupyterLab, its kernel and Chromium with a fake camera, as a user has it: that
needs what the tests need. CPU seconds count all threads: on a machine that others use too, they say more.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from selfie_utils.analysis.answer import Rater, read
from selfie_utils.apps.answer_page import card
from selfie_utils.core.run_folder import open_run

TESTS = Path(__file__).parents[1] / "tests"
CELL = """from selfie_utils.analysis.answer import Rater
from selfie_utils.apps.rate_widget import show_widget
from selfie_utils.core.run_folder import open_run
show_widget(Rater(open_run({run!r})))"""


def timed(name: str, do: Callable, photos: list[Image.Image]) -> list:
    """Do something for each photo; print the median and the longest time, and the median of CPU time."""
    results, walls, cpus = [], [], []
    for photo in photos:
        start, cpu = time.perf_counter(), time.process_time()
        results.append(do(photo))
        walls.append(time.perf_counter() - start)
        cpus.append(time.process_time() - cpu)
    figures = f"{np.median(walls):8.3f} {max(walls):8.3f} {np.median(cpus):8.3f}"
    print(f"{name:<44} {figures} {1 / np.median(walls):8.1f}", flush=True)
    return results


def in_process(run: str, count: int) -> None:
    start = time.perf_counter()
    rater = Rater(open_run(run), "cpu")
    print(f"loaded in {time.perf_counter() - start:.1f} s, {torch.get_num_threads()} threads, "
          f"{rater.scorer.network.backbone} at {rater.scorer.size} px")  # fmt: skip
    photos = [read(rater.images.read(name)) for name in rater.draw(count, 0)]
    print(f"{'':<44} {'median s':>8} {'longest':>8} {'CPU s':>8} {'per s':>8}")
    places = timed("score, place, neighbours, faces", rater.place, photos)
    answers = timed("best crop and saliency", rater.look, places)
    timed("its card as HTML", lambda answer: card(answer, rater.images), answers)
    timed("all of it", lambda photo: card(rater.answer(photo), rater.images), photos)
    timed("a frame: score and faces", rater.glance, photos)


def in_browser(run: str, seconds: int) -> None:
    sys.path[:0] = [str(TESTS), str(TESTS / "apps")]
    from chromium import chromium
    from jupyter_lab import jupyter_lab, run_all, write_notebook
    from test_rate_widget import large, wait_for_answer, y4m

    folder = Path(tempfile.mkdtemp())
    fake = ("--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream")
    film = f"--use-file-for-fake-video-capture={y4m(folder / 'film.y4m')}"
    with jupyter_lab(folder) as address, chromium(*fake, film) as browser:
        write_notebook(folder / "notebooks" / "rate.ipynb", CELL.format(run=str(Path(run).resolve())))
        page = browser.new_page(viewport={"width": 1280, "height": 1400})
        run_all(page, address.format("rate.ipynb"))
        page.wait_for_selector(".selfie-rate", timeout=300_000)
        for photo in (large(folder / "phone.jpg"), large(folder / "again.jpg")):
            start = time.perf_counter()
            page.set_input_files(".selfie-rate input", photo)
            page.wait_for_selector(".selfie-rate h3", timeout=120_000)
            first = time.perf_counter() - start
            wait_for_answer(page)
            print(f"48 megapixels, {photo.stat().st_size / 1e6:.0f} MB: the score after {first:.2f} s, "
                  f"all after {time.perf_counter() - start:.2f} s")  # fmt: skip
        page.screenshot(path=folder / "answer.png")
        page.click("[data-do=camera]")
        page.wait_for_selector(".speed[data-speed]", timeout=120_000)
        for _ in range(seconds):
            page.wait_for_timeout(1000)
            print(
                f"live: {float(page.get_attribute('.speed', 'data-speed')):.1f} frames a second", flush=True
            )
        page.screenshot(path=folder / "live.png")
        print(f"screenshots in {folder}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", default="runs/demo", help="run folder")
    parser.add_argument("--photos", type=int, default=20, help="test posts to answer for")
    parser.add_argument(
        "--browser", type=int, default=0, metavar="SECONDS", help="of live camera, in JupyterLab"
    )
    asked = parser.parse_args()
    in_process(asked.run, asked.photos)
    if asked.browser:
        in_browser(asked.run, asked.browser)
