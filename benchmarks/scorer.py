"""Rate many crops of one photo in one call, compared with a call per crop, and time a single photo.

    python benchmarks/scorer.py [--crops 500] [--size 128] [--device auto]

Crops are pictures of many sizes, cut out of a photo of 306 px, as the search for the best crop makes them;
to squish them is part of the time. Each way has a scorer of its own, loaded before. Who rates hundreds gets
the network with its layers fused, on a CPU, and the first call pays for that: so one call is timed twice.
The last line is one photo of 306 px, the median of --crops / 5 calls.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from face_filter import PHOTO, make_photos
from PIL import Image

from selfie_utils.model.network import build_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.images import decode


def draw_crops(photo: Image.Image, count: int) -> list[Image.Image]:
    """Cut out rectangles of half to all of the photo's width and height."""
    rng, crops = np.random.default_rng(0), []
    for _ in range(count):
        width, height = rng.integers(PHOTO // 2, PHOTO + 1, 2)
        left, top = rng.integers(0, PHOTO - width + 1), rng.integers(0, PHOTO - height + 1)
        crops.append(photo.crop((int(left), int(top), int(left + width), int(top + height))))
    return crops


def seconds(work: Callable[[], object]) -> float:
    """Time one way."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def show(title: str, photos: int, taken: float, alone: float) -> None:
    """Print a line: photos a second, times a call per crop, milliseconds per photo."""
    rate = photos / taken
    print(f"{title:<28} {rate:>9.1f} {rate / alone:>9.2f} {1000 * taken / photos:>9.2f}", flush=True)


def main(count: int, recipe: Recipe, device: str) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        images = make_photos(Path(scratch), 1)
        photo = decode(images.read(images.names()[0]))
    crops = draw_crops(photo, count)
    single, many = (Scorer(build_network(recipe), device) for _ in range(2))
    for scorer in (single, many):
        scorer.rate(photo)  # warms up
    print(f"{count} crops of one photo, {recipe.backbone} at {recipe.image_size} px, {single.network.device}")
    latency = statistics.median(seconds(lambda: single.rate(photo)) for _ in range(max(1, count // 5)))
    single = Scorer(single.network, device)
    one_by_one = seconds(lambda: [single.rate(crop) for crop in crops])
    print(f"{'':<28} {'photos/s':>9} {'x single':>9} {'ms/photo':>9}")
    alone = count / one_by_one
    show("a call per crop", count, one_by_one, alone)
    show("one call, the first", count, seconds(lambda: many.rate(crops)), alone)
    show("one call, the second", count, seconds(lambda: many.rate(crops)), alone)
    show("one photo, once loaded", 1, latency, alone)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--crops", type=int, default=500)
    parser.add_argument("--backbone", default="efficientnet_lite0")
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    main(given.crops, Recipe(given.backbone, given.weights, given.size), given.device)
