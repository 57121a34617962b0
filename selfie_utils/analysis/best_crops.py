"""The best crop of each photo: what it gains, whether that is real, and whom it loses."""

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from tqdm import tqdm

from selfie_utils.analysis.appeal import framing, heads_kept, in_frame, within
from selfie_utils.analysis.crop_search import Landscape, Tried, search_coarse_to_fine, spread, survey
from selfie_utils.core.draws import hash_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.shares import share
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
from selfie_utils.photos.faces import BOX, FaceDetector
from selfie_utils.photos.images import Images, UnreadableImage, decode

COMPONENTS = 64  # of fc7 that a second opinion learns from: a few hundred posts teach no more
TONES = ("lighter skin", "middle", "deeper skin")  # thirds of the photos
EVALUATIONS = 150  # crops that are looked at for one photo


def open_photo(images: Images, name: str, size: int, smallest: float = SMALLEST) -> Image.Image:
    """Decode a photo for a network of `size` px; raise SelfieError where it is unreadable or too small."""
    photo = decode(images.read(name), at_least=4 * size)
    check_size(photo.size, smallest)
    return fit_for_crops(photo, size)


def looker(scorer: Any, photo: Image.Image, smallest: float = SMALLEST) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from numbers of crops to scores; crops of the same pixels are rated once."""

    def look(numbers: np.ndarray) -> np.ndarray:
        boxes, where = np.unique(boxes_of(numbers, photo.size, smallest), axis=0, return_inverse=True)
        return scorer.rate(cut(photo, boxes, scorer.size)).score[where.ravel()]

    return look


def find_crop(
    scorer: Any, photo: Image.Image, evaluations: int, smallest: float, rng: np.random.Generator
) -> tuple[dict[str, float], Tried]:
    """Search one photo; returns its row of `find_crops` without image and reason, and all that was tried."""
    tried = search_coarse_to_fine(looker(scorer, photo, smallest), evaluations, rng)
    box = boxes_of(tried.numbers[tried.best], photo.size, smallest)
    side = int(box[0, 2] - box[0, 0])
    blurred = as_sharp_as(photo, [side], scorer.size)
    whole, control = scorer.rate([np.asarray(photo), blurred[0]]).score
    row = {"score": whole, "crop_score": tried.scores[tried.best], "blurred_score": control, "side": side}
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
    crop) and gain (crop_score - score), all 0..1; side (px); scale, x, y; left, top, right, bottom (0..1 of
    the photo); reason (why there is none, else empty). Raises SelfieError where no photo can be cropped.
    """
    if evaluations < 1:
        raise SelfieError(f"evaluations is {evaluations}, expected 1 or more crops per photo.")
    if not len(names):
        raise SelfieError("There is no photo to crop: give one at least.")
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
    if not tries:
        raise SelfieError(f"None of the photos can be cropped; the first one: {rows[0]['reason']}.")
    table = pd.DataFrame(rows)
    table.insert(3, "gain", table["crop_score"] - table["score"])
    return table, tries


def survey_photos(
    scorer: Any, images: Images, names: Sequence[str], scales: int, places: int, smallest: float = SMALLEST
) -> list[Landscape]:
    """Score all crops of a grid, for each photo; takes some seconds per photo on a CPU."""
    scorer.expect(len(names) * scales * places**2)
    return [
        survey(looker(scorer, open_photo(images, name, scorer.size, smallest), smallest), scales, places)
        for name in tqdm(names, "looking at all crops", mininterval=2, unit="photo")
    ]


def heads_of(images: Images, names: Sequence[str], truth: pd.DataFrame | None) -> list[np.ndarray]:
    """Return where everybody's head is, for each photo: float64 (K, 4) in 0..1, the main person's first.

    Of simulated posts from the truth; of all others, faces that the detector finds, the largest first.
    """
    known = {} if truth is None else dict(zip(truth["image"], truth["head_boxes"], strict=True))
    asked = [name for name in names if name not in known]
    found = dict(zip(asked, _faces(images, asked), strict=True)) if asked else {}
    return [_as_boxes(known.get(name, found.get(name))) for name in names]


def _as_boxes(boxes: Any) -> np.ndarray:
    return np.empty((0, 4)) if boxes is None or not len(boxes) else np.array([list(b) for b in boxes], float)


def _faces(images: Images, names: Sequence[str]) -> list[np.ndarray]:
    detector, boxes = FaceDetector(), []
    for name in tqdm(names, "looking for faces", mininterval=2, unit="photo"):
        try:
            boxes.append(detector.detect([decode(images.read(name), at_least=320)])[0][BOX].to_numpy())
        except UnreadableImage:
            boxes.append(None)
    return boxes


def whom_it_loses(boxes: np.ndarray, heads: Sequence[np.ndarray]) -> pd.DataFrame:
    """Tell whom crops lose; boxes float (N, 4) in 0..1. Nullable booleans: main, and another.

    main: less than half of the main head is left (unknown without one); another: that of somebody else
    (unknown where nobody else is in the photo).
    """
    kept = [heads_kept(head, box) if len(head) else [] for head, box in zip(heads, boxes, strict=True)]
    main = [not k[0] if len(k) else pd.NA for k in kept]
    another = [not all(k[1:]) if len(k) > 1 else pd.NA for k in kept]
    return pd.DataFrame({"main": main, "another": another}, dtype="boolean")


def draw_by_score(tries: dict[str, Tried], photos: Sequence[str], seed: int = 0) -> np.ndarray:
    """Draw one crop per photo, numbers (N, 3), each with a chance as its odds of being good.

    Drawn among the crops that the search spread evenly; picking the best one enlarges small differences
    between people (Yee et al., "Image cropping on Twitter", 2021).
    """
    rng, drawn = np.random.default_rng(seed), []
    for name in photos:
        numbers, scores = evenly_spread(tries[name])
        odds = scores / np.maximum(1 - scores, 1e-6)
        drawn.append(numbers[rng.choice(len(numbers), p=odds / odds.sum())])
    return np.array(drawn)


def draw_blindly(tries: dict[str, Tried], photos: Sequence[str], seed: int = 0) -> np.ndarray:
    """Draw one crop per photo, numbers (N, 3), by lot: what any crop does, whoever chooses it."""
    rng = np.random.default_rng(seed)
    return np.array([rng.permutation(evenly_spread(tries[name])[0])[0] for name in photos])


def evenly_spread(tried: Tried) -> Tried:
    """Return the first crops of a search from coarse to fine, which know nothing of scores."""
    count = max(1, round(0.2 * len(tried.scores)))
    return Tried(tried.numbers[:count], tried.scores[:count])


def shares_of(
    images: Images, photos: Sequence[str], numbers: np.ndarray, size: int, smallest: float
) -> np.ndarray:
    """Return the boxes of one crop per photo as shares of it, float64 (N, 4)."""
    opened = [open_photo(images, name, size, smallest).size for name in photos]
    return np.vstack([as_shares(boxes_of(n, s, smallest), s) for n, s in zip(numbers, opened, strict=True)])


def people(images: Sequence[str], truth: pd.DataFrame | None, posts: pd.DataFrame) -> pd.DataFrame:
    """Return to which groups the person of each photo belongs: presented gender, and third by skin tone.

    Columns only of what is known of these photos, as strings, missing where it is not.
    """
    groups, asked = pd.DataFrame(index=range(len(images))), pd.DataFrame({"image": list(images)})
    if "presented_gender" in posts:
        said = asked.merge(posts[["image", "presented_gender"]], on="image", how="left")
        groups["presented gender"] = said["presented_gender"]
    if truth is not None:
        tones = asked.merge(truth[["image", "skin_tone"]], on="image", how="left")["skin_tone"]
        if tones.nunique() > 2:
            rank = tones.rank(pct=True)
            groups["skin tone"] = (
                pd.cut(rank, [0, 1 / 3, 2 / 3, 1], labels=TONES).astype("str").mask(tones.isna())
            )
    return groups.dropna(axis=1, how="all")


def losses_by_group(losses: dict[str, pd.Series], groups: pd.DataFrame) -> pd.DataFrame:
    """Count how often a crop loses somebody: a row a group and a way to choose, with 95% intervals.

    `losses` has nullable booleans (N,) by way. Columns: group, way, share, low, high, known (photos).
    """
    rows = []
    for way, lost in losses.items():
        rows.append({"group": "all", "way": way, **share(lost)})
        for column in groups:
            for group in sorted(groups[column].dropna().unique(), key=_in_order):
                some = lost.reset_index(drop=True)[(groups[column] == group).to_numpy()]
                rows.append({"group": group, "way": way, **share(some)})
    return pd.DataFrame(rows)


def _in_order(group: str) -> tuple[int, str]:
    return (TONES.index(group) if group in TONES else 0, group)


def frames(boxes: np.ndarray, heads: Sequence[np.ndarray]) -> pd.DataFrame:
    """Say how the main head stands in crops, (N, 4) in 0..1, as shares of them; NaN where it is lost.

    Columns: face_share, centre_x, centre_y.
    """
    rows = []
    for box, head in zip(boxes, heads, strict=True):
        kept = len(head) and heads_kept(head, box)[0]
        rows.append(framing(within(head[0], box)) if kept else {})
    table = pd.DataFrame(rows, index=range(len(rows)))
    return table.reindex(columns=["face_share", "centre_x", "centre_y"]).astype("float64")


def mean_in_words(values: np.ndarray, unit: str = "points") -> str:
    """Write a mean with its interval: +3.1 points [1.0 to 5.2]."""
    found = mean_of(values)
    return f"{found['mean']:+.2f} {unit} [{found['low']:+.2f} to {found['high']:+.2f}]"


def mean_of(values: np.ndarray, seed: int = 0, draws: int = 1000) -> dict[str, float]:
    """Return the mean of known values with its 95% bootstrap interval: mean, low, high, known."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    if not len(values):
        return {"mean": np.nan, "low": np.nan, "high": np.nan, "known": 0}
    rng = np.random.default_rng(seed)
    low, high = np.percentile(values[rng.integers(0, len(values), (draws, len(values)))].mean(1), [2.5, 97.5])
    return {"mean": float(values.mean()), "low": float(low), "high": float(high), "known": len(values)}


def second_opinion(
    features: np.ndarray, labels: np.ndarray, before: np.ndarray, after: np.ndarray
) -> tuple[np.ndarray, float]:
    """Ask a judge who had no part in the choice what crops gain, in points (N,), and how good it is (AUC).

    It is a logistic regression on `features` (M, D) of posts that are not cropped, with labels 0 or 1 (M,);
    `before` and `after` are features (N, D) of photos and their crops. Its AUC is cross-validated.
    """
    parts = min(COMPONENTS, len(features) // 4, features.shape[1])
    judge = make_pipeline(StandardScaler(), PCA(parts, random_state=0), LogisticRegression(C=0.1))
    if min(np.bincount(labels.astype(int), minlength=2)) < 10:
        raise SelfieError("A second opinion needs 10 good and 10 bad posts that are not cropped, at least.")
    said = cross_val_predict(judge, features, labels, cv=5, method="predict_proba")[:, 1]
    judge.fit(features, labels)
    gain = judge.predict_proba(after)[:, 1] - judge.predict_proba(before)[:, 1]
    return 100 * gain, float(roc_auc_score(labels, said))


def planted_gain(truth: pd.DataFrame, images: Sequence[str], boxes: np.ndarray) -> pd.DataFrame:
    """Return the planted appeal of simulated photos and of their crops: whole, crop, gain (log-odds)."""
    rows = truth.set_index("image", drop=False).loc[list(images)].reset_index(drop=True)
    crop = in_frame(rows, boxes)["appeal"]
    return pd.DataFrame({"whole": rows["appeal"], "crop": crop, "gain": crop - rows["appeal"]})


def seconds_per_photo(
    scorer: Any, photo: Image.Image, evaluations: int, smallest: float
) -> tuple[float, float]:
    """Time the search of one photo, and the same crops one by one: seconds, both."""
    rng = np.random.default_rng(0)
    start = time.perf_counter()
    find_crop(scorer, photo, evaluations, smallest, rng)
    middle = time.perf_counter()
    for box in boxes_of(spread(evaluations, rng), photo.size, smallest):
        scorer.rate(photo.crop(box.tolist()))
    return middle - start, time.perf_counter() - middle
