"""Are estimated attributes right on photos other than ours? Photos are edited, and the edit is looked for.

    python benchmarks/attributes.py [FOLDER] [--photos 200]

One row per edit: the attribute that it should show, and how many photos are said to show it after the edit
and before. Before it, some photos may well show it. The last columns are the same photos darkened, lightened
and faded a little, where the answer should be as before. By default photos of the embedded data; give a
folder of real ones for a guide to your own.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from PIL import Image, ImageOps

from selfie_utils.analysis.attributes import READABLE, estimate
from selfie_utils.photos.faces import COLUMNS, FaceDetector
from selfie_utils.photos.images import ImageFolder, UnreadableImage, decode, open_images
from selfie_utils.photos.measure import measure
from selfie_utils.posts.data_folder import DEMO, open_data

LARGEST = 512  # px; enough for every measure
Edit = Callable[[Image.Image], Image.Image]


def levels(black: float, white: float) -> Edit:
    """Map light, 0 to 1, to black..white: darken, lighten or fade."""
    return lambda photo: photo.point([round(255 * black + (white - black) * v) for v in range(256)] * 3)


def grey(photo: Image.Image) -> Image.Image:
    return ImageOps.grayscale(photo).convert("RGB")


def sepia(photo: Image.Image) -> Image.Image:
    return ImageOps.colorize(ImageOps.grayscale(photo), (20, 10, 0), (255, 240, 200))


def bordered(photo: Image.Image) -> Image.Image:
    """Add a white border of 6% of the shorter side."""
    return ImageOps.expand(photo, round(0.06 * min(photo.size)), "white")


EDITS = {  # attribute -> edits that should show it
    "low_light": {"light x 0.3": levels(0, 0.3)},
    "black_and_white": {"grey": grey, "sepia": sepia, "grey, light x 0.3": lambda p: levels(0, 0.3)(grey(p))},
    "faded": {"black lifted to 0.25, white to 0.9": levels(0.25, 0.9)},
    "over_exposed": {"light x 2.2": levels(0, 2.2)},
    "border": {"border of 6%": bordered},
}
HARMLESS = {"light x 0.8": levels(0, 0.8), "light x 1.1": levels(0, 1.1), "black to 0.05": levels(0.05, 1)}


def read_photos(folder: str, count: int) -> list[Image.Image]:
    """Read photos that show a face, each LARGEST px at most."""
    images, detector, photos = (
        open_images(open_data(DEMO).images if folder == DEMO else folder),
        FaceDetector(),
        [],
    )
    for name in images.names():
        try:
            photo = decode(images.read(name), at_least=LARGEST)
        except UnreadableImage:
            continue
        photo.thumbnail((LARGEST, LARGEST))
        if len(detector.detect([photo])[0]):
            photos.append(photo)
        if len(photos) == count:
            break
    return photos


def said_of(photos: list[Image.Image], edit: Edit) -> pd.DataFrame:
    """Estimate the attributes of photos after an edit; a face that is no longer found counts as none."""
    detector, rows = FaceDetector(), []
    with tempfile.TemporaryDirectory() as folder:
        for number, photo in enumerate(photos):
            edited, name = edit(photo), f"{number:05d}.jpg"
            edited.save(Path(folder) / name, quality=90)
            found = detector.detect([edited])[0]
            face = found.iloc[0].to_dict() if len(found) else dict.fromkeys(COLUMNS, float("nan"))
            rows.append({**face, "image": name, "faces": len(found)})
        return estimate(measure(ImageFolder(Path(folder)), pd.DataFrame(rows)))


def main(folder: str, count: int) -> None:
    """Print the table."""
    photos = read_photos(folder, count)
    if not photos:
        raise SystemExit(f"No photo of {folder} shows a face: give a folder of selfies.")
    before = said_of(photos, lambda photo: photo)
    harmless = {title: said_of(photos, edit) for title, edit in HARMLESS.items()}
    print(f"{len(photos)} photos with a face\n")
    print(
        f"{'attribute':<20} {'edit':<36} {'after':>6} {'before':>7}" + "".join(f" {t:>14}" for t in harmless)
    )
    for name, edits in EDITS.items():
        for title, edit in edits.items():
            shares = [said_of(photos, edit)[name].mean(), before[name].mean()]
            line = f"{READABLE[name]:<20} {title:<36} {shares[0]:>6.0%} {shares[1]:>7.0%}"
            print(line + "".join(f" {said[name].mean():>14.0%}" for said in harmless.values()), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Are estimated attributes right on other photos?")
    parser.add_argument("folder", nargs="?", default=DEMO, help="a folder of photos; demo: the embedded ones")
    parser.add_argument("--photos", type=int, default=200)
    asked = parser.parse_args()
    main(asked.folder, asked.photos)
