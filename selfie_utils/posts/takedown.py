"""Take posts down: out of what was gathered, out of data folders and out of runs, photo and rows."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import write_table, written_whole
from selfie_utils.posts.data_folder import RECORD, images_in_record
from selfie_utils.posts.gather import DATABASE, open_gathered, remove
from selfie_utils.posts.importing import FORGOTTEN

SHOWN_IN = (
    "figures",
    "notebooks",
    "reports",
    "tables",
    "picker",
)  # of a run: they may show the photo or tell of it, and are made anew


def find_folders(root: Path) -> list[Path]:
    """List the gathered folders, data folders and runs right under data/ and runs/ of a project."""
    folders = [folder for place in ("data", "runs") for folder in sorted((root / place).glob("*"))]
    return [folder for folder in folders if folder.is_dir()]


def forget(ids: Sequence[str], folders: Sequence[Path], say: Callable[[str], None] = print) -> dict[str, int]:
    """Remove posts, their photos and their rows from every folder; returns how many rows and photos went.

    An id is a post_id, or `@user_id` for all posts of a user. Gathered and imported folders remember the post
    ids, so that they don't come back. Photos that lie outside a data folder belong to somebody else and stay:
    their paths are said. Figures, notebooks and reports of a run that had such a post are removed, and drawn
    anew by the next `selfie reproduce`. A network that learned from a post keeps what it learned until then.
    Raises SelfieError where there is no folder to look in.
    """
    if not folders:
        raise SelfieError("There is nothing to look in: no data/ or runs/ here; give a folder with --in.")
    nowhere = next((folder for folder in folders if not folder.is_dir()), None)
    if nowhere:
        raise SelfieError(f"There is no folder {nowhere}: nothing was looked through, give --in another.")
    folders = _with_gathered(folders)
    removed = {"rows": 0, "photos": 0}
    wanted = _post_ids(ids, folders)
    for folder in folders:
        rows, photos = _forget_in(folder, wanted, say)
        removed["rows"] += rows
        removed["photos"] += photos
        if rows or photos:
            say(f"{folder}: {rows:,} rows and {photos:,} photos removed")
    if not removed["rows"]:
        say(f"None of {', '.join(ids)} was found in {len(folders)} folders; it will not be gathered again.")
    else:
        say("Networks keep what they learned until they are trained again: selfie reproduce.")
    return removed


def forget_person(
    name: str, instance: str, folders: Sequence[Path], say: Callable[[str], None] = print
) -> dict[str, int]:
    """Do as `forget` for all posts of a person whom a server `instance` calls `name`, user or user@server.

    A name without a server means somebody else on every other server, so only what was gathered from this
    one is looked through for it.
    """
    if "@" in name:
        return forget([f"@{name}"], folders, say)
    here = [folder for folder in _with_gathered(folders) if (folder / DATABASE).is_file()]
    ids: set[str] = set()
    for folder in here:
        with open_gathered(folder) as base:
            if ("instance", instance.rstrip("/")) in base.execute("SELECT key, value FROM about").fetchall():
                rows = base.execute("SELECT post_id FROM posts WHERE user_id = ?", (name,))
                ids |= {post_id for (post_id,) in rows.fetchall()}
    return forget([f"@{name}@{urlsplit(instance).netloc}", *sorted(ids)], folders, say)


def _with_gathered(folders: Sequence[Path]) -> list[Path]:
    """Add the gathered folders whose photos the data folders show, wherever they are; each folder once."""
    places = [folder.resolve() for folder in folders]
    beside = [images_in_record(folder).parent.resolve() for folder in places if (folder / RECORD).is_file()]
    return list(dict.fromkeys(places + [folder for folder in beside if (folder / DATABASE).is_file()]))


def _post_ids(ids: Sequence[str], folders: Sequence[Path]) -> set[str]:
    """Resolve users to the ids of their posts, wherever they are known."""
    users = {name.removeprefix("@") for name in ids if name.startswith("@")}
    wanted = {name for name in ids if not name.startswith("@")}
    for folder in folders if users else ():
        for table in _posts_of(folder):
            wanted |= set(table.loc[table["user_id"].isin(users), "post_id"])
    return wanted


def _posts_of(folder: Path) -> list[pd.DataFrame]:
    """Return post_id and user_id of all posts that a folder knows."""
    tables = []
    if (folder / "posts.parquet").is_file():
        tables.append(pd.read_parquet(folder / "posts.parquet", columns=["post_id", "user_id"]))
    if (folder / DATABASE).is_file():
        with open_gathered(folder) as base:
            tables.append(pd.read_sql_query("SELECT post_id, user_id FROM posts", base))
    return tables


def _forget_in(folder: Path, wanted: set[str], say: Callable[[str], None]) -> tuple[int, int]:
    """Remove posts from one folder; returns how many rows and photos went."""
    if (folder / DATABASE).is_file():
        return _forget_gathered(folder, wanted)
    images = _images_of_posts(folder, wanted)
    photos = _forget_photos(folder, images, say) if (folder / RECORD).is_file() else 0
    if (folder / RECORD).is_file():
        _remember(folder, wanted)
    rows = sum(_forget_rows(path, wanted, images) for path in sorted(folder.glob("*.parquet")))
    _forget_notes(folder, images)
    if rows and (folder / "data.json").is_file():
        for name in SHOWN_IN:
            shutil.rmtree(folder / name, ignore_errors=True)
        (folder / "metrics.json").unlink(missing_ok=True)
    return rows, photos


def _forget_gathered(folder: Path, wanted: set[str]) -> tuple[int, int]:
    with open_gathered(folder) as base:
        with_photo = base.execute("SELECT post_id FROM posts WHERE image IS NOT NULL").fetchall()
        photos = len(wanted & {post_id for (post_id,) in with_photo})
        return sum(remove(base, folder, post_id) for post_id in sorted(wanted)), photos


def _images_of_posts(folder: Path, wanted: set[str]) -> set[str]:
    """Return the photos of these posts that no other post of the folder shows."""
    path = folder / "posts.parquet"
    if not path.is_file():
        return set()
    posts = pd.read_parquet(path, columns=["post_id", "image"])
    gone = posts["post_id"].isin(wanted)
    return set(posts.loc[gone, "image"]) - set(posts.loc[~gone, "image"])


def _forget_photos(folder: Path, images: set[str], say: Callable[[str], None]) -> int:
    """Remove photos that a data folder holds itself; say where others lie."""
    place = images_in_record(folder)
    if not images or not place.exists():
        return 0
    if place.parent.resolve() != folder.resolve():
        gathered = (place.parent / DATABASE).is_file()
        for image in sorted(images) if not gathered else ():
            say(f"{place / image} is not ours to delete: remove it there if it is to go.")
        return 0
    if place.is_dir():
        there = [place / image for image in images if (place / image).is_file()]
        for path in there:
            path.unlink()
        return len(there)
    return _forget_in_zip(place, images)


def _forget_in_zip(path: Path, images: set[str]) -> int:
    """Write an archive anew without some photos."""
    with zipfile.ZipFile(path) as archive, written_whole(path) as partial:
        gone = images & set(archive.namelist())
        with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as smaller:
            for entry in archive.infolist():
                if entry.filename not in gone:
                    smaller.writestr(entry, archive.read(entry))
    return len(gone)


def _remember(folder: Path, wanted: set[str]) -> None:
    """Note the ids, so that the next import leaves them out."""
    path = folder / FORGOTTEN
    known = set(path.read_text(encoding="utf-8").split()) if path.exists() else set()
    with written_whole(path) as partial:
        partial.write_text("".join(f"{one}\n" for one in sorted(known | wanted)), encoding="utf-8")


def _forget_rows(path: Path, wanted: set[str], images: set[str]) -> int:
    """Drop the rows of posts and photos from one table, and fc7 in step with the scores."""
    table = pd.read_parquet(path)
    gone = pd.Series(False, index=table.index)
    if "post_id" in table:
        gone |= table["post_id"].isin(wanted)
    if "image" in table:
        gone |= table["image"].isin(images | wanted)  # what was dropped at once has only its id
    if not gone.any():
        return 0
    features = path.with_name("features.npy")
    if path.name == "scores.parquet" and features.is_file():
        kept = np.load(features)[~gone.to_numpy()]
        with written_whole(features) as partial:
            np.save(partial, kept)
        # What the network of this run knows is chosen among these; the next 01_train chooses again.
        path.with_name("network").joinpath("known.npy").unlink(missing_ok=True)
    write_table(path, table[~gone].reset_index(drop=True))
    return int(gone.sum())


def _forget_notes(folder: Path, images: set[str]) -> None:
    """Empty the notes and packed photos of a run that knew such a photo; the next run looks again."""
    if images:
        for name in ("faces.log", "packed"):
            shutil.rmtree(folder / name, ignore_errors=True)
