"""What can be said of a photo without the network: dark or light, black and white, bordered, a group…

Measured attributes exist for any data; for simulated posts the planted truth replaces them.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from selfie_utils.errors import SelfieError
from selfie_utils.images import ImageFolder, ImageZip, UnreadableImage, decode, squish
from selfie_utils.run_folder import RunFolder

SIZE = 64  # px; measures of light and colour need no more
STRIP = 3  # px of SIZE: the edge strip that is looked at for a border

# How tables and charts call them; the columns of truth.parquet bear the same names.
READABLE = {
    "low_light": "low light",
    "black_and_white": "black and white",
    "faded": "faded filter",
    "over_exposed": "over-exposed face",
    "border": "white border",
    "forehead_cut": "forehead cut off",
    "group": "group shot",
    "large_head": "head too large",
    "long_hair": "long hair",
    "upward_hair": "hair combed upwards",
    "tilted": "slightly tilted",
    "centred": "centred",
    "at_top": "at the top",
    "glasses": "glasses",
    "pout": "pout",
    "hat": "hat",
}


def measure(images: ImageFolder | ImageZip, faces: pd.DataFrame) -> pd.DataFrame:
    """Measure the light, colour and framing of photos; `faces` as from `filter_faces`, one row a photo.

    Returns image (str) and, as float64 from 0 to 1: brightness; shadow (5th percentile of luminance) and
    contrast (from there to the 95th); saturation (largest minus smallest channel); edge_white (whiteness of
    the less white of two facing edges); face_glare (share of nearly white pixels in the face); face_width and
    face_top (of the photo's width and height, from the face box); besides faces (int). Photos that can't be
    read are left out.
    """
    rows = []
    for face in tqdm(faces.to_dict("records"), desc="measuring photos", mininterval=2, unit="photo"):
        try:
            photo = squish(decode(images.read(face["image"]), at_least=SIZE), SIZE)
        except UnreadableImage:
            continue
        rows.append({"image": face["image"], **_measures(np.asarray(photo, np.float32) / 255, face)})
    if not rows:
        raise SelfieError("None of the photos can be read: check the images path.")
    return pd.DataFrame(rows)


def _measures(pixels: np.ndarray, face: dict) -> dict[str, float]:
    """Measure one photo, float32 (SIZE, SIZE, 3) in 0..1."""
    luminance = pixels @ np.array([0.299, 0.587, 0.114], np.float32)  # (SIZE, SIZE), Rec. 601
    inner = luminance[SIZE // 6 : -SIZE // 6, SIZE // 6 : -SIZE // 6]  # what a border does not reach
    low, high = np.percentile(inner, [5, 95])
    return {
        "brightness": float(inner.mean()),
        "contrast": float(high - low),
        "shadow": float(low),
        "saturation": float(np.ptp(pixels, axis=2).mean()),
        "edge_white": max(_facing_white(luminance), _facing_white(luminance.T)),
        "face_glare": _glare(luminance, face),
        "faces": int(face["faces"]),
        "face_width": float(face["right"] - face["left"]),
        "face_top": float(face["top"]),
    }


def _facing_white(luminance: np.ndarray) -> float:
    """Return how white the less white of the first and last rows is, as a share of nearly white pixels."""
    return float(min((luminance[:STRIP] > 0.9).mean(), (luminance[-STRIP:] > 0.9).mean()))


def _glare(luminance: np.ndarray, face: dict) -> float:
    """Return the share of nearly white pixels inside the face box, NaN without a face."""
    box = np.array([face["left"], face["top"], face["right"], face["bottom"]], float)
    if np.isnan(box).any():
        return np.nan
    left, top, right, bottom = (np.clip(box, 0, 1) * SIZE).round().astype(int)
    inside = luminance[top : max(bottom, top + 1), left : max(right, left + 1)]
    return float((inside > 0.9).mean()) if inside.size else np.nan


def estimate(measures: pd.DataFrame) -> pd.DataFrame:
    """Turn measures into yes-or-no attributes by fixed thresholds; bool columns, rows as in `measures`.

    The thresholds fit the embedded photos, where `00_data` checks them against the truth; on other photos
    they are a rough guide.
    """
    return pd.DataFrame(
        {
            "low_light": measures["brightness"] < 0.24,
            "black_and_white": measures["saturation"] < 0.02,
            # A filter that fades lifts the shadows; a dark photo has little contrast too, but black shadows.
            "faded": (measures["contrast"] < 0.46) & (measures["shadow"] > 0.3),
            "over_exposed": measures["face_glare"] > 0.05,
            "border": measures["edge_white"] > 0.8,
            "forehead_cut": measures["face_top"] < 0.035,
            "group": measures["faces"] > 1,
            "large_head": measures["face_width"] > 0.42,
        }
    )


def check(estimates: pd.DataFrame, truth: pd.DataFrame) -> pd.DataFrame:
    """Hold estimated attributes, indexed by image, against the planted ones.

    One row an attribute, in words: how often it was planted, how many of the planted were recognised (recall)
    and how many of those recognised were planted (precision).
    """
    planted = truth.set_index("image").reindex(estimates.index)
    rows = {}
    for name in estimates.columns.intersection(planted.columns):
        said, is_so = estimates[name].astype(bool), planted[name].astype(bool)
        rows[READABLE[name]] = {
            "planted": f"{is_so.mean():.0%}",
            "recognised of those planted": f"{said[is_so].mean():.0%}" if is_so.any() else "–",
            "planted of those recognised": f"{is_so[said].mean():.0%}" if said.any() else "–",
        }
    return pd.DataFrame(rows).T


def read_attributes(run: RunFolder, scores: pd.DataFrame) -> pd.DataFrame:
    """Return what is known of each scored post: nullable boolean columns, rows as in `scores`.

    For simulated posts the planted truth, else what `00_data` estimated from the photo; annotation columns
    of the posts table with two to five values join them: a flag as it is, of others one column a value
    (`presented gender: female`).
    """
    truth = run.read_truth()
    source = run.read_table("attributes") if truth is None else truth
    key = "image" if truth is None else "post_id"
    known = scores[[key]].merge(source, on=key, how="left")
    table = known[[c for c in READABLE if c in known]].rename(columns=READABLE)
    return pd.concat([table, _annotations(run, scores)], axis=1).astype("boolean")


def _annotations(run: RunFolder, scores: pd.DataFrame) -> pd.DataFrame:
    """Spread annotation columns of the posts table into one boolean column a value, unknown kept unknown."""
    posts = scores[["post_id"]].merge(run.read_table("posts"), on="post_id", how="left")
    spread = {}
    for column in annotation_columns(posts):
        values = posts[column].dropna().unique()
        if set(values) <= {True, False}:
            spread[column.replace("_", " ")] = posts[column].astype("boolean")
            continue
        for value in sorted(values, key=str)[: 1 if len(values) == 2 else None]:
            spread[f"{column.replace('_', ' ')}: {value}"] = (
                (posts[column] == value).astype("boolean").mask(posts[column].isna())
            )
    return pd.DataFrame(spread, index=scores.index)


def annotation_columns(posts: pd.DataFrame) -> list[str]:
    """List the columns of a posts table that say something of a photo in two to five words."""
    own = {"image", "post_id", "user_id", "followers", "likes", "tags", "posted_at", "collected_at"}
    others = [c for c in posts.columns if c not in own | {"label", "split"}]
    return [c for c in others if 2 <= posts[c].nunique() <= 5]
