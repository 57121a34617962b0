"""Photos without counts: two folders `good` and `bad`, or photos to score with a network taught elsewhere."""

from pathlib import Path, PurePosixPath

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import open_images
from selfie_utils.posts.importers.origin import Source, drop_list

PHOTOS = {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic", ".heif",
    ".avif", ".mpo",
}  # fmt: skip
LABELS = {"good": 1, "bad": 0}


def read_folder(source: Path) -> Source:
    """Read every photo of a folder or zip archive, subfolders included.

    Where it has folders good and bad, they are the labels, and photos elsewhere are left out; otherwise no
    photo has a label. post_id and user_id are the photo's path. Raises SelfieError where there is no photo.
    """
    names = open_images(source).names()
    photos = [name for name in names if PurePosixPath(name).suffix.lower() in PHOTOS]
    dropped = [(name, "not a photo, by its name") for name in set(names) - set(photos)]
    if not photos:
        raise SelfieError(f"{source} holds no photo: put some there, or give another folder.")
    posts = pd.DataFrame({"image": photos, "post_id": photos, "user_id": photos}, dtype="str")
    posts["label"] = pd.array([LABELS.get(PurePosixPath(name).parts[0].lower()) for name in photos], "Int64")
    sides = set(posts["label"].dropna())
    if sides == {0, 1}:
        others = posts["label"].isna()
        dropped += [(name, "neither in good nor in bad") for name in posts.loc[others, "image"]]
        posts = posts[~others].reset_index(drop=True)
        notes = ["Labels are the folders good and bad."]
    else:
        posts["label"] = pd.NA
        notes = ["There are no folders good and bad: these photos can only be scored, with --network RUN."]
    notes.append("Users are unknown: each photo counts as one of its own.")
    return Source(posts.astype({"label": "Int64"}), source, drop_list(sorted(dropped)), notes)
