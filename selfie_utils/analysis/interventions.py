"""Change photos and score them again: what an edit, or another scene, does to the score of the same photo."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from selfie_utils.analysis.effects import clears, mean_by_user
from selfie_utils.core.draws import draw_lots
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.edits import EDITS, Edit, Head, apply, head_of
from selfie_utils.photos.images import Images, open_images
from selfie_utils.photos.pack import pack_in_memory
from selfie_utils.posts.data_folder import locate_twins

Rate = Callable[[np.ndarray], np.ndarray]  # from photos, uint8 (N, H, W, 3), to their log-odds, (N,)

LARGER = 1.5  # photos are edited at this times the network's size: a zoom shall not look blurred for it
FEWEST = 2  # photos; a single one says nothing of others

OF_NO_RULE = ("noise", "blur", "mirror")  # edits
ENOUGH = 10  # photos with a face, for all the comparisons of a table of rules


def why_nothing(scores: pd.DataFrame, faces: pd.DataFrame) -> str:
    """Say why so few test posts tell nothing about effects; nothing where there are enough."""
    seen = int(scores["image"].isin(faces.loc[faces["faces"] > 0, "image"]).sum())
    if seen >= ENOUGH:
        return ""
    told = f"Of {len(scores):,} test posts {seen} show a face"
    return f"{told}: to tell what an edit does takes {ENOUGH} at least."


def choose_photos(scores: pd.DataFrame, faces: pd.DataFrame, count: int, seed: int) -> pd.DataFrame:
    """Draw `count` test posts with a face, or all where there are fewer; returns scores with their faces.

    Raises SelfieError where fewer than two are asked for, or have a face.
    """
    if count < FEWEST:
        raise SelfieError(f"photos = {count}: an effect takes {FEWEST} photos at least; give more.")
    seen = scores.merge(faces[faces["faces"] > 0], on="image")
    if len(seen) < FEWEST:
        raise SelfieError(
            f"{len(seen)} of {len(scores):,} test posts show a face, expected {FEWEST} at least: add posts."
        )
    lots = draw_lots(seen["post_id"], seed)
    return seen[lots < count].reset_index(drop=True)


def read_photos(images: Images, names: Sequence[str], size: int) -> tuple[np.ndarray, np.ndarray]:
    """Decode photos to edit, for a network of `size` px; returns uint8 (N, S, S, 3) and where it went well.

    S is 1.5 times the network's size. Raises SelfieError where none can be read.
    """
    pack = pack_in_memory(images, names, round(LARGER * size))
    known = np.flatnonzero(pack.reasons == "")
    if not len(known):
        raise SelfieError(f"None of {len(names):,} photos can be read: check the images path of the run.")
    return pack.take(known.tolist()), known


def edit_photos(rate: Rate, images: Images, chosen: pd.DataFrame, size: int) -> pd.DataFrame:
    """Edit photos in every way and dose, and rate them; `chosen` as from `choose_photos`.

    Returns a row for each photo, edit and dose: post_id, image, user_id, edit (str), dose (float64), placebo
    (bool), before, after (float64, log-odds of good). An edit that does not apply to a photo leaves no row.
    """
    photos, known = read_photos(images, chosen["image"].tolist(), size)
    posts = chosen.iloc[known].reset_index(drop=True)
    heads = [head_of(face) for face in posts.to_dict("records")]
    plain, parts = rate(photos), []
    jobs = [(edit, dose) for edit in EDITS for dose in edit.doses]
    for edit, dose in tqdm(jobs, "scoring edits", mininterval=2, unit="edit"):
        rows, before, after = _rate_edit(rate, photos, heads, edit, dose, plain)
        told = {"edit": edit.name, "dose": dose, "placebo": edit.placebo, "before": before, "after": after}
        parts.append(posts.loc[rows, ["post_id", "image", "user_id"]].assign(**told))
    return pd.concat(parts, ignore_index=True)


def _rate_edit(
    rate: Rate, photos: np.ndarray, heads: Sequence[Head | None], edit: Edit, dose: float, plain: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return which photos an edit applies to, and their log-odds before and after."""
    pairs = [apply(edit, photo, dose, head) for photo, head in zip(photos, heads, strict=True)]
    rows = np.array([i for i, pair in enumerate(pairs) if pair], int)
    if not len(rows):
        return rows, np.empty(0), np.empty(0)
    before, after = (np.stack([pairs[i][side] for i in rows]) for side in (0, 1))
    return rows, rate(before) if edit.before else plain[rows], rate(after)


def average_edits(edited: pd.DataFrame, seed: int, draws: int = 400) -> pd.DataFrame:
    """Average each edit and dose over photos, with intervals by user; `edited` as from `edit_photos`.

    Returns a row for each edit and dose: edit, dose, unit (of the dose), placebo, effect, low, high
    (log-odds, 95%), p, photos.
    """
    rows, units = [], {edit.name: edit.unit for edit in EDITS}
    for (edit, dose, placebo), some in edited.groupby(["edit", "dose", "placebo"], sort=False):
        found = mean_by_user(some["after"] - some["before"], some["user_id"], seed, draws)
        told = {"edit": edit, "dose": dose, "unit": units[edit], "placebo": placebo}
        rows.append({**told, **found, "photos": len(some)})
    return pd.DataFrame(rows)


def placebo_floor(average: pd.DataFrame) -> float:
    """Return the largest effect of a placebo, either way, in log-odds; `average` as from `average_edits`."""
    return float(average.loc[average["placebo"], "effect"].abs().max())


def beyond_rules_in_words(average: pd.DataFrame, floor: float) -> str:
    """Say in Markdown which edits of no rule move the score all the same, each at its largest dose."""
    some = average[average["edit"].isin(OF_NO_RULE)].drop_duplicates("edit", keep="last")
    some = some[clears(some, floor)]
    told = [f"{r.edit} ({r.effect:+.2f} [{r.low:+.2f} to {r.high:+.2f}])" for r in some.itertuples()]
    if not told:
        return f"Of what no rule is about ({', '.join(OF_NO_RULE)}), nothing clearly moves the score."
    return f"No rule is about these, and the score follows them all the same: {', '.join(told)}."


def rate_twins(rate: Rate, images_path: str | Path, size: int) -> pd.DataFrame | None:
    """Rate scenes that were rendered twice, with one thing changed; None where the data bring none.

    `images_path` is where the posts' photos lie: twins lie beside them. Returns a row a pair, turned round
    where needed so that the change is towards more of it (female, long hair, deeper skin, a third): scene
    (str), change, presented_gender (of the plain scene), before, after (log-odds), planted (change of the
    true appeal).
    """
    place = locate_twins(images_path)
    if place is None:
        return None
    pairs = pd.read_parquet(place.table)
    names = pd.unique(pairs[["image_before", "image_after"]].to_numpy().ravel()).tolist()
    photos, known = read_photos(open_images(place.images), names, size)
    odds = pd.Series(rate(photos), [names[i] for i in known])
    return _orient(pairs.assign(**{when: pairs[f"image_{when}"].map(odds) for when in ("before", "after")}))


def _orient(pairs: pd.DataFrame) -> pd.DataFrame:
    """Turn pairs round where the change was towards less of what it is named after."""
    is_gender = pairs["change"] == "presented_gender"
    gender = pairs[is_gender].set_index("scene")["value_before"]
    skin = pairs["change"] == "skin_tone"
    lighter = pd.to_numeric(pairs["value_after"], "coerce") < pd.to_numeric(pairs["value_before"], "coerce")
    turned = (is_gender & (pairs["value_after"] == "male")) | (skin & lighter) | (pairs["change"] == "zoom")
    turned |= (pairs["change"] == "hair_length") & (pairs["value_before"] == "long")
    before, after = pairs["before"].mask(turned, pairs["after"]), pairs["after"].mask(turned, pairs["before"])
    planted = (pairs["appeal_after"] - pairs["appeal_before"]) * np.where(turned, -1, 1)
    return pd.DataFrame(
        {
            "scene": pairs["scene"].astype(str),
            "change": pairs["change"],
            "presented_gender": pairs["scene"].map(gender),
            "before": before,
            "after": after,
            "planted": planted,
        }
    ).dropna(subset=["before", "after"], ignore_index=True)


def together(edited: pd.DataFrame, twins: pd.DataFrame | None) -> pd.DataFrame:
    """Join edits and twins to one table, interventions.parquet; a twin has a scene for its user."""
    if twins is None:
        return edited.assign(kind="edit")
    pairs = twins.rename(columns={"change": "edit", "scene": "user_id"})
    columns = ["user_id", "edit", "before", "after", "planted", "presented_gender"]
    return pd.concat([edited.assign(kind="edit"), pairs[columns].assign(kind="twin")], ignore_index=True)
