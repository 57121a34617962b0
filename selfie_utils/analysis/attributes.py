"""What can be said of a photo without the network: dark or light, black and white, bordered, a group…

Measured attributes exist for any data; for simulated posts the planted truth replaces them.
"""

import pandas as pd

from selfie_utils.core.run_folder import RunFolder
from selfie_utils.posts import words

# How tables and charts call them; the columns of truth.parquet have the same names.
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

ROUGH = (
    "These are estimates, by fixed thresholds that fit the embedded photos, and no more than a rough guide: "
    "of photos of real people that were made grey, dark, faded, over-exposed or bordered, they found 91% to "
    "100% (`benchmarks/attributes.py`)."
)


def estimate(measures: pd.DataFrame) -> pd.DataFrame:
    """Turn measures into yes-or-no attributes by fixed thresholds; bool columns, rows as in `measures`.

    The thresholds fit the embedded photos, where `00_data` compares them with the truth; on other photos
    they are a rough guide.
    """
    return pd.DataFrame(
        {
            "low_light": measures["brightness"] < 0.37,
            "black_and_white": measures["colour"] < 0.05,
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
    """Compare estimated attributes, indexed by image, with the planted ones.

    A row per attribute, in words: how often it was planted, how many of the planted were recognised (recall)
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
    of the posts table with two to five values join them: a flag as it is, of others one column per value
    (`presented gender: female`), written alike in case and blanks.
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
        said, flags = words.fold_annotation(column, posts[column]), words.read_flag(posts[column])
        values = said.dropna().unique()
        name = column.replace("_", " ")
        if flags is not None:
            spread[name] = flags
            continue
        for value in sorted(values, key=str)[: 1 if len(values) == 2 else None]:
            spread[f"{name}: {value}"] = (said == value).astype("boolean").mask(said.isna())
    return pd.DataFrame(spread, index=posts.index)


def annotation_columns(posts: pd.DataFrame) -> list[str]:
    """List the columns of a posts table that say something of a photo in two to five words."""
    own = {"image", "post_id", "user_id", "followers", "likes", "tags", "posted_at", "collected_at"}
    others = [c for c in posts.columns if c not in own | {"label", "split"}]
    return [c for c in others if 2 <= words.fold(posts[c]).nunique() <= 5]
