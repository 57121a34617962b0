"""The UCF Selfie data set: 46,836 selfies with a popularity score and 36 annotated attributes.

Source: Kalayeh, Seifu, LaLanne and Shah, "How to take a good selfie?", ACM Multimedia 2015.
"""

import math
import re
from pathlib import Path

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.posts.importers.origin import Source, drop_list, label_by_score
from selfie_utils.posts.reading import encoding_of

TABLE = "selfie_dataset.txt"
ATTRIBUTES = [
    "partial_faces", "is_female", "baby", "child", "teenager", "youth", "middle_age", "senior", "white",
    "black", "asian", "oval_face", "round_face", "heart_face", "smiling", "mouth_open", "frowning",
    "wearing_glasses", "wearing_sunglasses", "wearing_lipstick", "tongue_out", "duck_face", "black_hair",
    "blond_hair", "brown_hair", "red_hair", "curly_hair", "straight_hair", "braid_hair", "showing_cellphone",
    "using_earphone", "using_mirror", "braces", "wearing_hat", "harsh_lighting", "dim_lighting",
]  # fmt: skip
COLUMNS = ["name", "popularity", *ATTRIBUTES]


def read_ucf(source: Path) -> Source:
    """Read the data set from the folder `Selfie-dataset`, or the folder around it.

    Its popularity score is a log of views that already allows for the audience, so posts are labelled by
    halves of it. Attributes become annotations: True for 1, False for -1, unknown for 0; `is_female` becomes
    presented_gender. Nobody recorded who posted what, so every photo counts as a user of its own.
    Raises SelfieError where the table is missing or is of another form.
    """
    folder = next((f for f in (source, source / "Selfie-dataset") if (f / TABLE).is_file()), None)
    if folder is None:
        raise SelfieError(f"There is no {TABLE} in {source}: give the folder Selfie-dataset of the data set.")
    rows, dropped = _read_rows(folder / TABLE)
    flags = rows[ATTRIBUTES].replace({"1": True, "-1": False, "0": pd.NA}).astype("boolean")
    posts = pd.DataFrame({"image": rows["name"] + ".jpg", "post_id": rows["name"], "user_id": rows["name"]})
    posts["popularity"] = rows["popularity"].astype(float)
    posts["label"] = label_by_score(posts["popularity"], posts["post_id"])
    if odd := len(posts) % 2:  # the post in the middle is on neither side
        middle = posts["label"].isna()
        dropped += [(image, "in the middle of the scores") for image in posts.loc[middle, "image"][:odd]]
        posts, flags = posts[~middle], flags[~middle]
    posts["presented_gender"] = flags.pop("is_female").map({True: "female", False: "male"})
    notes = ["Labels are halves by popularity score. Users are unknown: each photo counts as one of its own."]
    return Source(posts.join(flags), folder / "images", drop_list(dropped), notes)


def _read_rows(path: Path) -> tuple[pd.DataFrame, list[tuple[str, str]]]:
    """Return the rows of the right form, as text, and of the others the image and what is wrong.

    Values are separated by blanks or commas; 1.0 is 1; a first row without any number is a header.
    """
    good, dropped = [], []
    lines = path.read_text(encoding=encoding_of(path), errors="replace").splitlines()
    for i, line in enumerate(filter(str.strip, lines)):
        by_commas = [value.strip(' "') for value in re.split("[,;]", line)]
        values = by_commas if len(by_commas) == len(COLUMNS) else line.split()
        values[2:] = [re.sub(r"^([+-]?\d+)\.0+$", r"\1", value) for value in values[2:]]
        if i == 0 and not any(map(_is_number, values[1:])):
            continue
        wrong = _what_is_wrong(values)
        if wrong:
            dropped.append((values[0] + ".jpg", wrong))
        else:
            good.append(values)
    if len(good) <= len(dropped):
        raise SelfieError(
            f"{path} is not the table of the UCF Selfie data set: {dropped[0][1] if dropped else 'empty'}."
        )
    return pd.DataFrame(good, columns=COLUMNS), dropped


def _what_is_wrong(values: list[str]) -> str | None:
    if len(values) != len(COLUMNS):
        return f"row has {len(values)} columns, expected {len(COLUMNS)}"
    if not _is_number(values[1]):
        return f"popularity is {values[1][:20]}, expected a number"
    wrong = next((v for v in values[2:] if v not in ("-1", "0", "1")), None)
    return f"an attribute is {wrong[:20]}, expected -1, 0 or 1" if wrong else None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False
