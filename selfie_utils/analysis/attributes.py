"""What can be said of a photo without the network: dark or light, black and white, bordered, a group…

Measured attributes exist for any data; for simulated posts the planted truth replaces them.
"""

import numpy as np
import pandas as pd
from tqdm import tqdm

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.photos.images import ImageFolder, ImageZip, UnreadableImage, decode, squish

SIZE = 64  # px; measures of light and colour need no more
WHITE, BLACK = 0.93, 0.07  # luminance: borders are at least so white or so black
GLARE = 0.8  # luminance that skin does not have unless over-exposed
FOREHEAD = 1.6  # from the eyes to the top of the head / from the eyes to the mouth
FEATURES = (("left_eye", "right_eye"), ("mouth_left", "mouth_right"))

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

    Returns image (str) and, as float64 from 0 to 1, all inside the border: brightness; shadow and highlight
    (the darkest and the lightest luminance at `SIZE` px); colour (what luminance
    does not explain of the channels, 0 in black and white and in toned photos alike); face_glare (share of
    pixels in the face brighter than skin is). Then border_width (of the photo's height or
    width, the narrower of two facing white edges), face_width (of the photo's, from the face box), face_top
    (where the head begins below the border, in heights of the face, estimated from eyes and mouth; negative
    where it is cut) and faces (int). Photos that can't be read are left out.
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
    white, edges = _edges(luminance > WHITE), _edges((luminance > WHITE) | (luminance < BLACK))
    top, bottom, left, right = edges if max(edges) < SIZE // 3 else (0, 0, 0, 0)
    inside = slice(top + 1, SIZE - bottom - 1), slice(left + 1, SIZE - right - 1)  # 1 px: edges are blurred
    return {
        "brightness": float(luminance[inside].mean()),
        "shadow": float(luminance[inside].min()),
        "highlight": float(luminance[inside].max()),
        "colour": _colour(pixels[inside], luminance[inside]),
        "border_width": max(min(white[:2]), min(white[2:])) / SIZE,
        "face_glare": _glare(luminance, face),
        "faces": int(face["faces"]),
        "face_width": float(face["right"] - face["left"]),
        "face_top": _head_top(face, top / SIZE),
    }


def _edges(even: np.ndarray) -> tuple[int, int, int, int]:
    """Count the rows at top and bottom, and the columns at left and right, that are nearly all True."""
    counts = []
    for lines in (even, even[::-1], even.T, even.T[::-1]):
        broken = ~(lines.mean(1) > 0.97)
        counts.append(int(broken.argmax()) if broken.any() else SIZE)
    return tuple(counts)


def _colour(pixels: np.ndarray, luminance: np.ndarray) -> float:
    """Return the mean distance of the channels from parabolas of luminance, pixels (H, W, 3) in 0..1."""
    light = luminance.ravel()
    design = np.stack([np.ones_like(light), light, light**2], 1)  # (H*W, 3)
    channels = pixels.reshape(-1, 3)
    explained = design @ np.linalg.lstsq(design, channels, rcond=None)[0]
    return float(np.abs(channels - explained).mean())


def _glare(luminance: np.ndarray, face: dict) -> float:
    """Return the share of glaring pixels inside the face box, NaN without a face."""
    box = np.array([face["left"], face["top"], face["right"], face["bottom"]], float)
    if np.isnan(box).any():
        return np.nan
    left, top, right, bottom = (np.clip(box, 0, 1) * SIZE).round().astype(int)
    inside = luminance[top : max(bottom, top + 1), left : max(right, left + 1)]
    return float((inside > GLARE).mean()) if inside.size else np.nan


def _head_top(face: dict, edge: float) -> float:
    """Estimate where the head begins, from eyes and mouth: `FOREHEAD` times their distance above the eyes."""
    eyes, mouth = ((face[f"{a}_y"] + face[f"{b}_y"]) / 2 for a, b in FEATURES)
    height = max(mouth - eyes, 1e-6)
    return float((eyes - FOREHEAD * height - edge) / height)


def estimate(measures: pd.DataFrame) -> pd.DataFrame:
    """Turn measures into yes-or-no attributes by fixed thresholds; bool columns, rows as in `measures`.

    The thresholds fit the embedded photos, where `00_data` checks them against the truth; on other photos
    they are a rough guide.
    """
    return pd.DataFrame(
        {
            "low_light": measures["brightness"] < 0.37,
            "black_and_white": measures["colour"] < 0.01,
            # A filter that fades lifts the shadows and takes the brilliance from the lights.
            "faded": (measures["shadow"] > 0.15) & (measures["highlight"] < 0.955),
            "over_exposed": measures["face_glare"] > 0.35,
            "border": measures["border_width"] > 0.03,
            "forehead_cut": measures["face_top"] < 0.0,
            "group": measures["faces"] > 1,
            "large_head": measures["face_width"] > 0.415,
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
    return pd.concat([table, _annotations(run, scores)], axis=1).astype("boolean").set_axis(scores.index)


def _annotations(run: RunFolder, scores: pd.DataFrame) -> pd.DataFrame:
    """Spread annotation columns of the posts table into one boolean column a value, unknown kept unknown."""
    posts = scores[["post_id"]].merge(run.read_table("posts"), on="post_id", how="left")
    spread = {}
    for column in annotation_columns(posts):
        said = posts[column].convert_dtypes()  # a gap made floats of whole numbers: 31, not 31.0
        values = said.dropna().unique()
        if set(values) <= {True, False}:
            spread[column.replace("_", " ")] = said.astype("boolean")
            continue
        for value in sorted(values, key=str)[: 1 if len(values) == 2 else None]:
            spread[f"{column.replace('_', ' ')}: {value}"] = (
                (said == value).astype("boolean").mask(said.isna())
            )
    return pd.DataFrame(spread, index=posts.index)


def annotation_columns(posts: pd.DataFrame) -> list[str]:
    """List the columns of a posts table that say something of a photo in two to five words."""
    own = {"image", "post_id", "user_id", "followers", "likes", "tags", "posted_at", "collected_at"}
    others = [c for c in posts.columns if c not in own | {"label", "split"}]
    return [c for c in others if 2 <= posts[c].nunique() <= 5]
