"""Photos without counts: two folders `good` and `bad`, or photos to score with a network taught elsewhere."""

from collections.abc import Mapping
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd

from selfie_utils.core.draws import hash_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.images import Images, UnreadableImage, open_images, written
from selfie_utils.photos.salvage import HEAD, why_no_photo
from selfie_utils.posts.importers.origin import Source, drop_list, reasons_in_words
from selfie_utils.posts.table import SPLITS

LABELS = {"good": 1, "bad": 0}
HELD_OUT = 10  # one of so many training photos validates, where no folder says which


def read_folder(source: Path) -> Source:
    """Read every photo of a folder or archive, subfolders included, known by its content, not by its name.

    Where there are folders good and bad, in any case and at any depth, the innermost is a photo's label, and
    photos elsewhere are left out; otherwise no photo has a label. Where each of them lies below a folder
    train, validation or test as well, that is its split. post_id and user_id are the photo's path. Raises
    SelfieError where there is no photo.
    """
    images = open_images(source)
    names = images.names()
    looked_at = tqdm(names, desc="looking for photos", mininterval=2, delay=2, unit="file")
    reasons = {name: _why_not(images, name) for name in looked_at}
    photos = [name for name, reason in reasons.items() if not reason]
    dropped = [(written(name), reason) for name, reason in reasons.items() if reason]
    if not photos:
        told = f" ({reasons_in_words(drop_list(dropped))})" if dropped else ""
        raise SelfieError(f"{source} holds no photo{told}: put some there, or give another folder.")
    posts = pd.DataFrame({"image": photos, "post_id": photos, "user_id": photos}, dtype="str")
    posts["label"] = pd.array([_innermost(name, LABELS) for name in photos], "Int64")
    if set(posts["label"].dropna()) == {0, 1}:
        others = posts["label"].isna()
        dropped += [(name, "neither in good nor in bad") for name in posts.loc[others, "image"]]
        posts = posts[~others].reset_index(drop=True)
        notes = ["Labels are the folders good and bad.", *_split(posts)]
    else:
        posts["label"] = pd.NA
        notes = ["There are no folders good and bad: these photos can only be scored, with --network RUN."]
    notes.append("Users are unknown: each photo counts as one of its own.")
    return Source(posts.astype({"label": "Int64"}), source, drop_list(sorted(dropped)), notes)


def _why_not(images: Images, name: str) -> str:
    """Return why a file is no photo that can be named, or an empty string."""
    if written(name) != name:
        return "its file name is not UTF-8: rename it"
    try:
        return why_no_photo(images.read(name, HEAD))
    except UnreadableImage as error:
        return str(error)


def _innermost(name: str, meanings: Mapping[str, int | str]) -> int | str | None:
    """Return what the innermost folder around a photo means that means anything, or None."""
    folders = PurePosixPath(name.replace("\\", "/")).parts[:-1]
    known = [meanings[word] for folder in folders if (word := folder.strip().lower()) in meanings]
    return known[-1] if known else None


def _split(posts: pd.DataFrame) -> list[str]:
    """Give photos the split that their folders name, where all have one; returns what to say of it."""
    split = posts["image"].map(lambda name: _innermost(name, SPLITS))
    if split.isna().any() or not {"train", "test"} <= set(split):
        return []
    told = "The split is the folders train, validation and test."
    if "validation" not in set(split):
        lot = hash_names(posts["image"]) % np.uint64(HELD_OUT)
        split = split.mask((split == "train") & (lot == 0), "validation")
        told = f"The split is the folders train and test; one in {HELD_OUT} of train, by lot, validates."
    posts["split"] = split.astype("str")
    return [told]
