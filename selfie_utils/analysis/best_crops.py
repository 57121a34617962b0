"""Find the best crop of each of some photos, as a network scores them."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from selfie_utils.analysis.about_posts import Posts
from selfie_utils.analysis.attributes import read_attributes
from selfie_utils.analysis.crop_search import Landscape, Tried, search_model, survey
from selfie_utils.analysis.ranking import evenly, worst_of_folder, worst_of_real
from selfie_utils.core.draws import draw_lots, hash_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.core.run_folder import RunFolder, from_root
from selfie_utils.photos.crops import (
    NUMBERS,
    SMALLEST,
    as_shares,
    as_sharp_as,
    boxes_of,
    check_size,
    cut,
    fit_for_crops,
)
from selfie_utils.photos.faces import BOX
from selfie_utils.photos.images import Images, decode, open_images, squish

EVALUATIONS = 150  # crops that are looked at for one photo


# What is known of a best crop; see `find_crops`.
COLUMNS = ["image", "score", "crop_score", "gain", "blurred_score", "side", *NUMBERS, *BOX, "reason"]


class Album(NamedTuple):
    """The photos that are cropped, and what is known of them."""

    images: Images
    names: list[str]
    truth: pd.DataFrame | None  # of simulated posts
    posts: pd.DataFrame  # image, and annotations where there are any
    are_posts: bool  # test posts of the run, else photos of a folder


def open_album(run: RunFolder, folder: str, count: int, seed: int) -> Album:
    """Choose `count` photos to crop, by lot: of the run's test posts, for "test", or of a folder or archive.

    Raises SelfieError where there are none, and for a number below 1.
    """
    if count < 1:
        raise SelfieError(f"photos is {count}, expected 1 or more to crop.")
    if folder != "test":
        images = open_images(from_root(folder))
        found = pd.Series(images.names(), dtype="str")
        if found.empty:
            raise SelfieError(f"{folder} holds no photo: put one there at least, or give another folder.")
        chosen = found.iloc[np.sort(np.argsort(draw_lots(found, seed))[:count])].tolist()
        return Album(images, chosen, None, pd.DataFrame({"image": chosen}), False)
    scores, posts = run.read_table("scores"), run.read_table("posts")
    chosen = scores["image"].iloc[np.argsort(draw_lots(scores["post_id"], seed))[:count]].tolist()
    return Album(open_images(run.read_json("data")["images"]), chosen, run.read_truth(), posts, True)


def to_keep_small(album: Album, crops: pd.DataFrame, scores: pd.DataFrame) -> frozenset[str]:
    """Return the photos that no page may enlarge: the worst of real posts, and of a folder."""
    if album.are_posts:
        return worst_of_real(scores, album.truth)
    return worst_of_folder(crops, scores["score"])


def about(run: RunFolder, album: Album, crops: pd.DataFrame) -> Posts | None:
    """Return what is known of cropped posts, with what their best crops gain; None for photos of a folder."""
    if not album.are_posts:
        return None
    more = {
        row["image"]: {
            "score of the best crop": f"{row['crop_score']:.1%}",
            "gain": f"{100 * row['gain']:+.1f} points",
        }
        for row in crops.to_dict("records")
    }
    scores = run.read_table("scores")
    return Posts(run, scores, read_attributes(run, scores), more)


def open_photo(images: Images, name: str, size: int, smallest: float = SMALLEST) -> Image.Image:
    """Decode a photo, with room for crops of `size` px; raise SelfieError if unreadable or too small."""
    photo = decode(images.read(name), at_least=4 * size)
    check_size(photo.size, smallest)
    return photo


def looker(scorer: Any, photo: Image.Image, smallest: float = SMALLEST) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from numbers of crops to scores; crops of the same pixels are rated once."""

    def look(numbers: np.ndarray) -> np.ndarray:
        boxes, where = np.unique(boxes_of(numbers, photo.size, smallest), axis=0, return_inverse=True)
        return scorer.rate(cut(photo, boxes, scorer.size)).score[where.ravel()]

    return look


def find_crop(
    scorer: Any, photo: Image.Image, evaluations: int, smallest: float, rng: np.random.Generator
) -> tuple[dict[str, float], Tried]:
    """Search one photo; returns its row of `find_crops` without image and reason, and all that was tried.

    Crops are tried on a copy that is fast to cut from; the best one is then cut out of the photo itself, so
    that its score is what the saved crop has.
    """
    tried = search_model(looker(scorer, fit_for_crops(photo, scorer.size), smallest), evaluations, rng)
    box = boxes_of(tried.numbers[tried.best], photo.size, smallest)
    side = int(box[0, 2] - box[0, 0])
    shown = [np.asarray(squish(photo, scorer.size)), *cut(photo, box, scorer.size)]
    whole, crop, control = scorer.rate([*shown, *as_sharp_as(photo, [side], scorer.size)]).score
    row = {"score": whole, "crop_score": crop, "blurred_score": control, "side": side}
    row |= dict(zip(NUMBERS, tried.numbers[tried.best], strict=True))
    return row | dict(zip(BOX, as_shares(box, photo.size)[0], strict=True)), tried


def find_crops(
    scorer: Any,
    images: Images,
    names: Sequence[str],
    evaluations: int = EVALUATIONS,
    smallest: float = SMALLEST,
    seed: int = 0,
) -> tuple[pd.DataFrame, dict[str, Tried]]:
    """Find the best of `evaluations` crops of each photo; `scorer` as `model.scorer.Scorer`.

    Returns a table in the order of `names` and, by image, the crops that were tried. Columns: image; score
    (of the whole photo, squished), crop_score, blurred_score (of the whole photo with as few pixels as the
    crop) and gain (crop_score - score), all 0..1; side (px of the photo as decoded); scale, x, y; left, top,
    right, bottom (0..1 of the photo); reason (why there is none, else empty). Raises SelfieError where no
    photo can be cropped.
    """
    if not len(names):
        raise SelfieError("There is no photo to crop: give one at least.")
    table, tries = crop_each(scorer, images, names, evaluations, smallest, seed)
    if not tries:
        raise SelfieError(f"None of the photos can be cropped; the first one: {table['reason'].iloc[0]}.")
    return table, tries


def crop_each(
    scorer: Any, images: Images, names: Sequence[str], evaluations: int, smallest: float, seed: int
) -> tuple[pd.DataFrame, dict[str, Tried]]:
    """Do as `find_crops`, also where no photo can be cropped."""
    if evaluations < 1:
        raise SelfieError(f"evaluations is {evaluations}, expected 1 or more crops per photo.")
    scorer.expect(len(names) * evaluations)
    rows, tries = [], {}
    for name in tqdm(names, "finding crops", mininterval=2, unit="photo"):
        try:
            photo = open_photo(images, name, scorer.size, smallest)
            rng = np.random.default_rng([seed, *hash_names([name])])
            row, tries[name] = find_crop(scorer, photo, evaluations, smallest, rng)
            rows.append({"image": name, **row, "reason": ""})
        except SelfieError as error:  # unreadable, or too small
            rows.append({"image": name, "reason": str(error).rstrip(".")})
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["gain"] = table["crop_score"] - table["score"]
    return table, tries


def most_to_gain(cropped: pd.DataFrame, count: int) -> list[str]:
    """Name `count` cropped photos at even ranks, from the one that gains most to the middle one.

    Where a crop gains nothing, every search is right at once.
    """
    ranked = cropped.sort_values(["gain", "image"], ascending=[False, True])
    return evenly(ranked.head(len(ranked) // 2 + 1), count)["image"].tolist()


def survey_photos(
    scorer: Any, images: Images, names: Sequence[str], scales: int, places: int, smallest: float = SMALLEST
) -> list[Landscape]:
    """Score all crops of a grid, for each photo; takes some seconds per photo on a CPU."""
    scorer.expect(len(names) * scales * places**2)
    lands = []
    for name in tqdm(names, "looking at all crops", mininterval=2, unit="photo"):
        photo = fit_for_crops(open_photo(images, name, scorer.size, smallest), scorer.size)
        lands.append(survey(looker(scorer, photo, smallest), scales, places))
    return lands
