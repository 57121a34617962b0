"""The truth about each photo: what its description says and its geometry shows, nothing estimated."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from selfie_utils.analysis.appeal import framing, is_cut, true_appeal
from selfie_utils.synthetic.description import LONG_HAIR, UPWARD_HAIR, Look, Person, Photo
from selfie_utils.synthetic.drawing import DIM_LIGHTS
from selfie_utils.synthetic.plans import Post, shows_back

EXPRESSIONS = {"neutral": "neutral", "pout": "pout", "surprise": "open mouth"}  # all others smile
MEDIUM_HAIR = ("bob", "bun", "ponytail", "afro")
TILTED = (4.0, 16.0)  # degrees between the eyes' line and the horizon: slightly, as the article says
BRIGHT = 1.4  # exposure
DIGITS = 4  # of the numbers in a kept description: more are not seen, and cost ten megabytes
FLAGS = (
    *("upward_hair", "long_hair", "glasses", "sunglasses", "hat", "smile", "pout", "tilted", "centred"),
    *("at_top", "forehead_cut", "group", "large_head", "mirror", "low_light", "black_and_white", "faded"),
    *("over_exposed", "border", "famous_group"),
)


def tell_truth(
    ids: pd.DataFrame, posts: Sequence[Post], measured: Sequence[dict], category: Callable[[str], str] = str
) -> pd.DataFrame:
    """Return truth.parquet: `ids` (post_id, image), then a row per post.

    `measured` as from `read_shards`; `category` names the kind of a background. Boxes are lists of left, top,
    right, bottom in 0..1 of the photo, the main person's first. Where there is no face, flags are False,
    numbers NaN and words None.
    """
    rows = [describe(post, known, category) for post, known in zip(posts, measured, strict=True)]
    truth = pd.DataFrame(rows, columns=list(_columns()))
    for name in ("selfie", *FLAGS):
        truth[name] = truth[name].astype("boolean").fillna(False).astype(bool)
    truth["people"] = truth["people"].fillna(0).astype("int64")
    truth = pd.concat([ids.reset_index(drop=True), truth], axis=1)
    truth.insert(3, "appeal", np.where(truth["selfie"], true_appeal(truth), 0.0))
    return truth


def _columns() -> tuple[str, ...]:
    """Name the columns that `describe` fills, in order."""
    return (
        *(
            "selfie",
            "presented_gender",
            "age",
            "skin_tone",
            "ita",
            "hair_style",
            "hair_length",
            "hair_colour",
        ),
        *(
            "upward_hair",
            "long_hair",
            "beard",
            "glasses",
            "sunglasses",
            "hat",
            "hat_kind",
            "expression",
            "smile",
            "pout",
        ),
        *("head_boxes", "face_boxes", "face_share", "tilt", "centre_x", "centre_y", "tilted", "centred"),
        *("at_top", "forehead_cut", "group", "people", "large_head", "mirror", "light", "low_light"),
        *("effect", "black_and_white", "faded", "over_exposed", "border", "border_kind", "background"),
        *("famous_group", "description"),
    )


def describe(post: Post, known: dict, category: Callable[[str], str] = str) -> dict:
    """Return the columns of one post."""
    photo = post.shows
    if isinstance(photo, int):  # a still life
        return {"selfie": False}
    row = {"selfie": False, "description": photo.to_json(DIGITS), **_of_style(photo, category)}
    if shows_back(photo):
        return row
    row |= {"selfie": True, "ita": known["ita"], "famous_group": post.famous_group}
    row |= _of_person(*photo.people[0]) | _of_geometry(known)
    return row | {"group": len(photo.people) > 1, "people": len(photo.people), "mirror": photo.camera.mirror}


def _of_person(person: Person, look: Look) -> dict:
    """Say who it is and how they look; hair that a hat hides is not combed upwards."""
    expression = EXPRESSIONS.get(look.expression, "smile")
    return {
        **{name: getattr(person, name) for name in ("presented_gender", "age", "skin_tone", "hair_style")},
        "hair_length": hair_length(person.hair_style),
        "hair_colour": person.hair_colour,
        "upward_hair": person.hair_style in UPWARD_HAIR and look.hat == "none",
        "long_hair": person.hair_style in LONG_HAIR,
        "beard": person.beard,
        "glasses": look.glasses == "clear",
        "sunglasses": look.glasses == "sun",
        "hat": look.hat != "none",
        "hat_kind": look.hat,
        "expression": expression,
        "smile": expression == "smile",
        "pout": expression == "pout",
    }


def hair_length(style: str) -> str:
    """Return "short", "medium" or "long"."""
    return "long" if style in LONG_HAIR else "medium" if style in MEDIUM_HAIR else "short"


def _of_style(photo: Photo, category: Callable[[str], str]) -> dict:
    """Say what light, filter and place the photo has; these hold without a face too."""
    return {
        "light": photo.light,
        "low_light": photo.light in DIM_LIGHTS,
        "effect": photo.effect,
        "black_and_white": photo.effect == "black_and_white",
        "faded": photo.effect == "faded",
        "over_exposed": photo.exposure > BRIGHT,
        "border": photo.border.startswith("white"),
        "border_kind": photo.border,
        "background": "backdrop" if photo.background == "backdrop" else category(photo.background),
    }


def _of_geometry(known: dict) -> dict:
    """Say where the main head is, from its boxes and eyes."""
    head, angle = known["head_boxes"][0], tilt(known["eyes"][0])
    return {
        "head_boxes": known["head_boxes"],
        "face_boxes": known["face_boxes"],
        **framing(head),
        "tilt": angle,
        "tilted": TILTED[0] <= abs(angle) <= TILTED[1],
        "forehead_cut": is_cut(head, known["window"][1]),
    }


def tilt(eyes: list[list[float]]) -> float:
    """Return by how many degrees the line from the left to the right eye is tilted, -90 to 90."""
    (left_x, left_y), (right_x, right_y) = eyes
    if left_x < right_x:
        left_x, left_y, right_x, right_y = right_x, right_y, left_x, left_y
    return math.degrees(math.atan2(left_y - right_y, left_x - right_x))
