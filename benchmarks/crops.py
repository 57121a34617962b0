"""Search for best crops: in batches compared with crop by crop, and tensors' crops compared with Pillow's.

    python benchmarks/crops.py [--run runs/demo] [--photos 4] [--evaluations 150] [--device auto]

Photos are test posts of the run. Crop by crop means Pillow's crop and a call of the scorer each. By how
many points crops cut as tensors differ from Pillow's is told at the median and at the 95th percentile.
"""

import argparse
import time

import numpy as np
import torch

from selfie_utils.analysis.best_crops import find_crop, open_album, open_photo
from selfie_utils.analysis.crop_search import spread
from selfie_utils.core.run_folder import open_run
from selfie_utils.model.scorer import Scorer
from selfie_utils.model.spatial_transformer import cut_evenly, look_through, theta_of
from selfie_utils.photos.crops import SMALLEST, boxes_of, cut, fit_for_crops


@torch.inference_mode()
def differences(scorer: Scorer, photo, count: int) -> dict[str, np.ndarray]:
    """Return by how many points crops cut as tensors differ from Pillow's: (count,) by way to cut."""
    photo = fit_for_crops(photo, scorer.size)
    numbers = spread(count, np.random.default_rng(0))
    boxes = boxes_of(numbers, photo.size)
    wanted = scorer.rate(cut(photo, boxes, scorer.size)).score
    pixels = torch.from_numpy(np.asarray(photo, np.float32)).permute(2, 0, 1)
    theta = theta_of(torch.from_numpy(numbers).float(), photo.size)
    ways = {
        "as tensors, rounded": cut_evenly(pixels, torch.from_numpy(boxes), scorer.size).round(),
        "by the Spatial Transformer": look_through(pixels[None], theta, scorer.size),
    }
    device = scorer.network.device
    return {way: 100 * abs(scorer.rate_batch(seen.to(device)).score - wanted) for way, seen in ways.items()}


def seconds_per_photo(scorer: Scorer, plain: Scorer, photo, evaluations: int) -> tuple[float, float]:
    """Time the search of one photo by `scorer`, and as many crops one by one by `plain`: seconds, both."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    find_crop(scorer, photo, evaluations, SMALLEST, rng)
    middle = time.perf_counter()
    for box in boxes_of(spread(evaluations, rng), photo.size):
        plain.rate(photo.crop(box.tolist()))
    return middle - start, time.perf_counter() - middle


def main(run_dir: str, photos: int, evaluations: int, device: str) -> None:
    """Print the table."""
    run = open_run(run_dir)
    scorer, album = Scorer(run, device), open_album(run, "test", photos, 0)
    opened = [open_photo(album.images, name, scorer.size) for name in album.names]
    plain = Scorer(scorer.network, device)
    scorer.expect(photos * evaluations)
    seconds_per_photo(scorer, plain, opened[0], 40)  # warms up
    taken = np.array([seconds_per_photo(scorer, plain, photo, evaluations) for photo in opened])
    batched, alone = np.median(taken, axis=0)
    print(f"{evaluations} crops per photo, {len(opened)} photos, {scorer.network.device}")
    print(f"search in batches    {batched:6.2f} s per photo")
    print(f"crop by crop         {alone:6.2f} s per photo, {alone / batched:.1f} times as long")
    gaps = [differences(scorer, photo, 64) for photo in opened]
    for way in gaps[0]:
        gap = np.concatenate([one[way] for one in gaps])
        print(f"{way:<28} differ by {np.median(gap):.2f} points, 95% by {np.percentile(gap, 95):.2f} or less")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", default="runs/demo")
    parser.add_argument("--photos", type=int, default=4)
    parser.add_argument("--evaluations", type=int, default=150)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    main(given.run, given.photos, given.evaluations, given.device)
