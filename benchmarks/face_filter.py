"""Look for faces in photos of 306 px: the filter in processes, in one process, and the plain loop.

    python benchmarks/face_filter.py [--photos 1200]

All on the same photos in the same run: photos a second, and the same a core. The filter also hashes every
photo, to find near-duplicates, and writes notes. The last line resumes one that had seen two thirds.
"""

import argparse
import os
import tempfile
import time
from pathlib import Path

from selfie_utils.photos.face_filter import filter_faces
from selfie_utils.photos.faces import SIDE, FaceDetector
from selfie_utils.photos.images import ImageFolder, UnreadableImage, decode, open_images
from selfie_utils.posts.data_folder import DEMO, open_data

PHOTO = 306  # px a side, as in the UCF Selfie data set


def make_photos(folder: Path, count: int) -> ImageFolder:
    """Enlarge embedded photos to the size of real ones."""
    embedded = open_images(open_data(DEMO).images)
    for name in embedded.names():
        if count <= 0:
            break
        try:
            decode(embedded.read(name)).resize((PHOTO, PHOTO)).save(folder / name, quality=88)
            count -= 1
        except UnreadableImage:
            continue
    return ImageFolder(folder)


def plain_loop(images: ImageFolder, names: list[str]) -> int:
    """Read, decode and look at one photo after the other."""
    detector = FaceDetector()
    return sum(bool(len(detector.detect([decode(images.read(name), at_least=SIDE)])[0])) for name in names)


def show(title: str, photos: int, work, cores: int) -> None:
    """Time one way and print its line."""
    start = time.perf_counter()
    found = work()
    seconds = time.perf_counter() - start
    print(
        f"{title:<28} {photos / seconds:>8.1f} {photos / seconds / cores:>10.1f}   {found:>6,} with a face",
        flush=True,
    )


def main(count: int) -> None:
    """Print the table."""
    cores = os.cpu_count() or 1
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "photos").mkdir()
        images = make_photos(Path(scratch) / "photos", count)
        names, log = images.names(), Path(scratch) / "log"

        def filtered(some: list[str], processes: int, notes: Path | None = None) -> int:
            return int((filter_faces(images, some, notes, processes=processes)[0]["faces"] > 0).sum())

        print(
            f"{len(names):,} photos of {PHOTO} px, {cores} cores\n{'':<28} {'photos/s':>8} {'per core':>10}"
        )
        show("plain loop", len(names), lambda: plain_loop(images, names), cores)
        show("filter, one process", len(names), lambda: filtered(names, 1), cores)
        show(f"filter, {cores} processes", len(names), lambda: filtered(names, cores), cores)
        filtered(names[: len(names) * 2 // 3], cores, log)
        show("resumed at two thirds", len(names), lambda: filtered(names, cores, log), cores)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1200)
    main(parser.parse_args().photos)
