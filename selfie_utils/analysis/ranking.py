"""Choose posts by the rank of their score: the best, the worst, evenly between, or those of an annotation."""

import math
from collections.abc import Collection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from selfie_utils.analysis.attributes import read_attributes
from selfie_utils.analysis.picks import ids_in
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder, from_root, open_run
from selfie_utils.photos.images import Images, open_images
from selfie_utils.posts import words

# The article took its best and worst out of 50,000 selfies. Where there are fewer, a gallery is never more
# than a quarter of them: beyond that, "best" and "worst" would soon mean "average".
LARGEST_SHARE = 0.25


class Gallery(NamedTuple):
    """What a gallery is drawn from."""

    run: RunFolder
    scores: pd.DataFrame  # of the test posts, as in scores.parquet
    photos: Images
    known: pd.DataFrame  # what is known of each scored post, as from `read_attributes`
    small: frozenset[str]  # photos that no page may enlarge, as from `worst_of_real`


def open_gallery(run_dir: str | Path) -> Gallery:
    """Open a run folder whose test posts were scored; raise SelfieError naming what has to run first."""
    run = open_run(run_dir)
    scores, photos = run.read_table("scores"), open_images(run.read_json("data")["images"])
    return Gallery(run, scores, photos, read_attributes(run, scores), worst_of_real(scores, run.read_truth()))


def worst_of_real(scores: pd.DataFrame, truth: pd.DataFrame | None) -> frozenset[str]:
    """Return the photos of the worst tenth, rounded up, where the posts are real; none of simulated ones.

    Nobody who published a selfie asked to be shown as a bad example; simulated people cannot mind. A photo
    that is the only one is not ranked.
    """
    if len(scores) < 2:
        return frozenset()
    worst = extreme(scores, -(-len(scores) // 10), "worst")
    return frozenset(worst["image"] if truth is None else ())


def worst_of_folder(rated: pd.DataFrame, crowd: pd.Series) -> frozenset[str]:
    """Return the photos of a folder that no page may enlarge, since their people may be real.

    Those that score as the worst tenth of the test posts do, whose scores are `crowd`, and the worst tenth
    of the folder, rounded down. `rated` has image and score.
    """
    own = rated["score"].rank(method="first") <= len(rated) // 10
    return frozenset(rated.loc[own | (rated["score"] <= crowd.quantile(0.1)), "image"])


def best_first(scores: pd.DataFrame) -> pd.DataFrame:
    """Sort scored posts from best to worst; equal scores by post_id, so that every run agrees."""
    return scores.sort_values(["score", "post_id"], ascending=[False, True]).reset_index(drop=True)


def top_share(scores: pd.DataFrame, wanted: int) -> pd.DataFrame:
    """Return the best `wanted` posts, or the best quarter where the test set is smaller than that takes."""
    return best_first(scores).head(min(wanted, math.ceil(len(scores) * LARGEST_SHARE)))


def fit_top(scores: pd.DataFrame, rows: int, columns: int) -> tuple[int, int]:
    """Shrink a sheet of the best or the worst to what `top_share` leaves of them; returns (rows, columns)."""
    return fit(rows, columns, len(top_share(scores, rows * columns)))


def extreme(scores: pd.DataFrame, count: int, end: str = "best") -> pd.DataFrame:
    """Choose the `count` best or worst posts, the most extreme first."""
    ranked = best_first(scores)
    return ranked.head(count) if end == "best" else ranked.iloc[::-1].head(count)


def may_be_large(scores: pd.DataFrame, small: Collection[str]) -> pd.DataFrame:
    """Return the posts whose photos may be shown at any size, best first; `small` as from `worst_of_real`."""
    return best_first(scores[~scores["image"].isin(small)])


def evenly(ranked: pd.DataFrame, count: int) -> pd.DataFrame:
    """Choose `count` posts at even ranks of `ranked`, from first to last; all where there are fewer."""
    if count < 1:
        raise SelfieError(f"{count} photos were asked for, expected 1 or more.")
    places = np.linspace(0, len(ranked) - 1, min(count, len(ranked))).round().astype(int)
    return ranked.iloc[places].reset_index(drop=True)


def at_place(ranked: pd.DataFrame, place: int) -> pd.Series:
    """Return the post at a place of `ranked`, from 0; raise SelfieError where nobody stands there."""
    if not len(ranked):
        raise SelfieError("There is no photo to show: score some test posts first.")
    if not 0 <= place < len(ranked):
        raise SelfieError(f"photo is {place}, expected a place from 0, the best, to {len(ranked) - 1}.")
    return ranked.iloc[place]


def is_wanted(
    posts: pd.DataFrame, scores: pd.DataFrame, annotation: str, value: str, picked_ids: str = ""
) -> pd.Series:
    """Tell which scored posts to choose from: nullable boolean (N,), rows as in `scores`.

    By the value of an annotation column, without regard to case and blanks, or by a file of hand-picked
    post ids, as `picks.ids_in` reads it. <NA> where nothing is known: of all posts where the column is
    missing or has no such value, since "unknown" is not "no". Raises SelfieError where the file is missing
    or names no scored post.
    """
    if picked_ids:
        path = from_root(picked_ids)
        if not path.is_file():
            raise SelfieError(f"There is no file {path}: save the hand-picked post ids there, one per line.")
        wanted = scores["post_id"].isin(ids_in(path)).astype("boolean")
        if not wanted.any():
            raise SelfieError(f"{path} names no scored post: give ids of test posts, one per line.")
        return wanted
    said = _said(posts, scores, annotation)
    wanted = (said == words.fold(pd.Series([value]))[0]).astype("boolean").mask(said.isna())
    return wanted if wanted.any() else wanted.mask(wanted.notna())


def _said(posts: pd.DataFrame, scores: pd.DataFrame, annotation: str) -> pd.Series:
    """Return what an annotation says of each scored post, folded; <NA> where it says nothing."""
    if annotation not in posts:
        return pd.Series(pd.NA, scores.index, dtype="string")
    known = scores[["post_id"]].merge(posts[["post_id", annotation]], on="post_id", how="left")
    return words.fold_annotation(annotation, known[annotation]).set_axis(scores.index)


def why_unknown(posts: pd.DataFrame, scores: pd.DataFrame, annotation: str, value: str) -> str:
    """Say why nobody can tell which posts are of a kind: what is missing, or which values there are."""
    said = _said(posts, scores, annotation)
    if said.isna().all():
        return f"Unknown: the posts have no annotation {annotation}, which would say who is {value}."
    return f"Unknown: {annotation} holds {words.values_in_words(said)}, and none of them is {value}."


def fit(rows: int, columns: int, available: int) -> tuple[int, int]:
    """Shrink a sheet to what `available` posts can fill, keeping its shape; returns (rows, columns)."""
    if available < 1:
        raise SelfieError("There is no post to show: score some test posts first.")
    scale = min(1.0, math.sqrt(available / (rows * columns)))
    columns = min(available, max(1, math.floor(columns * scale + 1e-9)))
    return max(1, min(rows, round(rows * scale), available // columns)), columns
