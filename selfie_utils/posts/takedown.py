"""Take posts down: out of what was gathered, out of data folders and out of runs, photo and rows."""

import shlex
import shutil
import zipfile
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import write_table, written_whole
from selfie_utils.photos.archives import ImageZip
from selfie_utils.photos.images import ImageFolder, open_images, real
from selfie_utils.posts.data_folder import IMAGES, TABLES, images_in_record, is_record
from selfie_utils.posts.gather import DATABASE, open_gathered, remove
from selfie_utils.posts.importing import remember
from selfie_utils.posts.reading import read_table

# Of a run: they may show the photo or tell of it, and are made anew.
SHOWN_IN = ("figures", "notebooks", "reports", "tables", "picker", "metrics.json")
NOTES = ("faces.log", "packed")  # likewise: what it knows of photos; the next run looks again
PARTIAL = ".*.part*"  # what a process that was killed has left of a file
Say = Callable[[str], None]


def find_folders(root: Path) -> list[Path]:
    """List the gathered folders, data folders and runs right under data/ and runs/ of a project."""
    folders = [folder for place in ("data", "runs") for folder in sorted((root / place).glob("*"))]
    return [folder for folder in folders if folder.is_dir()]


def forget(ids: Sequence[str], folders: Sequence[Path], say: Say = print) -> dict[str, int]:
    """Remove posts, their photos and their rows from every folder; returns how many rows and photos went.

    An id is a post_id, or `@user_id` for all posts of a user. Gathered and imported folders remember the post
    ids, so that they don't come back. Photos that lie outside a data folder belong to somebody else and stay:
    their paths are said. Figures, notebooks and reports of a run that had such a post are removed, and drawn
    anew by the next `selfie reproduce`. A network that learned from a post keeps what it learned until then.
    Whenever it is stopped, the same call finishes. Raises SelfieError where there is no folder to look in,
    and, when all else is done, where something could not be searched or changed.
    """
    if not folders:
        raise SelfieError("There is nothing to look in: no data/ or runs/ here; give a folder with --in.")
    nowhere = next((folder for folder in folders if not folder.is_dir()), None)
    if nowhere:
        raise SelfieError(f"There is no folder {nowhere}: nothing was looked through, give --in another.")
    faults = _Faults()
    folders = _with_gathered(folders, faults)
    wanted = _post_ids(ids, folders, faults)
    places = [_Place(folder, wanted, faults, say) for folder in folders]
    # The posts go last everywhere: they alone know users and photos, by which another try finds the rest.
    for place in places:
        with faults.at(place.root):
            place.forget_what_hangs_on_posts()
    for place in sorted(places, key=lambda place: place.gathered):  # which alone know bare names
        with faults.at(place.root):
            place.forget_posts()
        if place.rows or place.photos:
            say(f"{place.root}: {place.rows:,} rows and {place.photos:,} photos removed")
    _conclude(ids, places, faults, say)
    return {"rows": sum(place.rows for place in places), "photos": sum(place.photos for place in places)}


def _conclude(ids: Sequence[str], places: Sequence["_Place"], faults: "_Faults", say: Say) -> None:
    """Say what follows; raise SelfieError where something could not be searched or changed."""
    if any(place.rows for place in places):
        say("Networks keep what they learned until they are trained again: selfie reproduce.")
    elif not faults.told:
        say(f"None of {', '.join(ids)} was found in {len(places)} folders; it will not be gathered again.")
    if faults.told:
        told = dict.fromkeys(faults.told)
        # Posts of a user by their ids too, since nobody may know any more whose they were.
        again = shlex.join(sorted({*ids, *places[0].wanted}))
        raise SelfieError(
            f"Not all could be taken down: {'; '.join(told)}; repair or remove what is at fault, and run "
            f"`selfie forget {again}` again."
        )


def forget_person(name: str, instance: str, folders: Sequence[Path], say: Say = print) -> dict[str, int]:
    """Do as `forget` for all posts of a person whom a server `instance` calls `name`, user or user@server.

    A name without a server means somebody else on every other server, so only what was gathered from this
    one is looked through for it.
    """
    if "@" in name:
        return forget([f"@{name}"], folders, say)
    faults = _Faults()  # `forget` meets them again, and tells them
    ids: set[str] = set()
    for folder in _with_gathered(folders, faults):
        with faults.at(folder):
            ids |= _gathered_of(folder, name, instance.rstrip("/"))
    return forget([f"@{name}@{urlsplit(instance).netloc}", *sorted(ids)], folders, say)


def _gathered_of(folder: Path, name: str, instance: str) -> set[str]:
    """Return the ids of a person's posts in a folder, if that was gathered from this server."""
    if not (folder / DATABASE).is_file():
        return set()
    with open_gathered(folder) as base:
        if ("instance", instance) not in base.execute("SELECT key, value FROM about").fetchall():
            return set()
        return {one for (one,) in base.execute("SELECT post_id FROM posts WHERE user_id = ?", (name,))}


class _Faults:
    """What could not be searched or changed, in words: one bad file stops nothing."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def at(self, path: Path) -> Iterator[None]:
        """Go on after this block whatever happens in it, and note what did."""
        try:
            yield
        except SelfieError as error:
            self.told.append(str(error).rstrip("."))
        except OSError as error:
            self.told.append(f"{error.filename or path}: {error.strerror or error}")
        except Exception as error:  # of zipfile, zlib, sqlite3, NumPy and pyarrow, which have many
            self.told.append(f"{path}: {' '.join(str(error).split())[:100] or type(error).__name__}")


def _with_gathered(folders: Sequence[Path], faults: _Faults) -> list[Path]:
    """Add the gathered folders whose photos the data folders show, wherever they are; each folder once."""
    places = [folder.resolve() for folder in folders]
    beside = []
    for folder in places:
        with faults.at(folder):
            if is_record(folder) and (images_in_record(folder).parent / DATABASE).is_file():
                beside.append(images_in_record(folder).parent.resolve())
    return list(dict.fromkeys(places + beside))


def _post_ids(ids: Sequence[str], folders: Sequence[Path], faults: _Faults) -> set[str]:
    """Resolve users to the ids of their posts, wherever they are known."""
    users = {name.removeprefix("@") for name in ids if name.startswith("@")} - {""}
    wanted = {name for name in ids if not name.startswith("@")} - {""}  # which would mean what has no name
    for folder in folders if users else ():
        with faults.at(folder):
            for posts in [*_posts_in(folder, faults), *_gathered_in(folder, faults)]:
                wanted |= set(posts.loc[_names(posts, "user_id").isin(users), "post_id"])
    return wanted


def _posts_in(folder: Path, faults: _Faults) -> list[pd.DataFrame]:
    """Read the posts tables of a folder that have post_id, as str; a foreign table names no post."""
    tables = []
    for path in (folder / name for name in TABLES if (folder / name).is_file()):
        with faults.at(path):
            table = read_table(path)[0]
            if "post_id" in table:
                tables.append(table.assign(post_id=_names(table, "post_id"), image=_names(table, "image")))
    return tables


def _gathered_in(folder: Path, faults: _Faults) -> list[pd.DataFrame]:
    tables = []
    if (folder / DATABASE).is_file():
        with faults.at(folder / DATABASE), open_gathered(folder) as base:
            tables.append(pd.read_sql_query("SELECT post_id, user_id FROM posts", base))
    return tables


def _names(table: pd.DataFrame, column: str) -> pd.Series:
    """Return ids or names as the posts table reads them, 12 and 12.0 as "12"; empty where there is none."""
    if column not in table:
        return pd.Series("", table.index, dtype="str")
    cells = table[column]
    if pd.api.types.is_float_dtype(cells) and (cells.dropna() % 1 == 0).all():
        cells = cells.astype("Int64")
    if pd.api.types.is_numeric_dtype(cells):
        return cells.astype("string").fillna("").astype("str")
    return pd.Series([c if isinstance(c, str) else "" for c in cells], table.index, dtype="str")


@dataclass
class _Place:
    """One folder, which may be of several kinds at once: each of its parts is looked at by itself."""

    root: Path
    wanted: set[str]  # post ids
    faults: _Faults
    say: Say
    rows: int = field(default=0, init=False)  # that went
    photos: int = field(default=0, init=False)  # likewise
    held_back: bool = field(default=False, init=False)  # posts whose photo could not be removed

    @property
    def gathered(self) -> bool:
        """Tell whether posts were gathered here."""
        with self.faults.at(self.root):
            return (self.root / DATABASE).is_file()
        return False

    def forget_what_hangs_on_posts(self) -> None:
        """Remove photos, notes, pictures and all rows but those of the posts; remember the ids."""
        posts = _posts_in(self.root, self.faults)
        images = _only_theirs(posts, self.wanted)
        if is_record(self.root):
            with self.faults.at(self.root):
                known = pd.concat([pd.DataFrame({"post_id": [], "image": []}, dtype="str"), *posts])
                remember(self.root, self.wanted, known)
        self._forget_photos(images)
        holding = [path for path in self._tables() if self._holds(path, images)]
        is_run = (self.root / "data.json").is_file()
        if holding or any(table["post_id"].isin(self.wanted).any() for table in posts):
            self._clear(PARTIAL, *(SHOWN_IN if is_run else ()))
        if images and is_run:
            self._clear(*NOTES)
        for path in holding:
            with self.faults.at(path):
                self.rows += _forget_rows(path, self.wanted, images, self.say)

    def forget_posts(self) -> None:
        """Remove the posts themselves, from tables and from what was gathered."""
        for path in (self.root / name for name in TABLES if (self.root / name).is_file()):
            if not self.held_back:
                with self.faults.at(path):
                    self.rows += _forget_rows(path, self.wanted, set(), self.say)
        if self.gathered:
            with self.faults.at(self.root / DATABASE):
                self._forget_gathered()

    def _forget_gathered(self) -> None:
        with open_gathered(self.root) as base:
            for post_id in sorted(self.wanted):
                with self.faults.at(self.root / DATABASE):
                    found = base.execute("SELECT image FROM posts WHERE post_id = ?", (post_id,)).fetchone()
                    there = bool(found and found[0]) and (self.root / "images" / found[0]).is_file()
                    self.rows += remove(base, self.root, post_id)
                    self.photos += there

    def _tables(self) -> list[Path]:
        """List the tables that hang on posts; a file that begins with a dot is not whole."""
        found: list[Path] = []
        with self.faults.at(self.root):
            found = [path for path in sorted(self.root.iterdir()) if path.suffix == ".parquet"]
        return [path for path in found if path.name not in TABLES and path.name[0] != "."]

    def _holds(self, path: Path, images: set[str]) -> bool:
        with self.faults.at(path):
            return bool(_gone(path, read_table(path)[0], self.wanted, images).any())
        return False

    def _clear(self, *patterns: str) -> None:
        """Remove files and folders of this folder, whichever are there."""
        for path in [path for pattern in patterns for path in self.root.glob(pattern)]:
            with self.faults.at(path), suppress(FileNotFoundError):
                path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)

    def _forget_photos(self, images: set[str]) -> None:
        """Remove photos that the folder holds itself; say where others lie."""
        places = [self.root / name for name in IMAGES]
        if is_record(self.root):
            with self.faults.at(self.root):
                places.append(images_in_record(self.root))
        for place in dict.fromkeys(places) if images else ():
            before = len(self.faults.told)
            with self.faults.at(place):
                if place.exists():
                    self._forget_photos_in(place, images)
            self.held_back |= len(self.faults.told) > before

    def _forget_photos_in(self, place: Path, images: set[str]) -> None:
        if real(place).parent == real(self.root):
            self.photos += _remove_photos(place, images)
        elif not (place.parent / DATABASE).is_file():  # from there they go with the posts
            for image in sorted(images):
                self.say(f"{place / image} is not ours to delete: remove it there if it is to go.")


def _only_theirs(posts: Sequence[pd.DataFrame], wanted: set[str]) -> set[str]:
    """Return the photos of the wanted posts that no other post shows."""
    gone, kept = set(), set()
    for table in posts:
        is_gone = table["post_id"].isin(wanted)
        gone |= set(table.loc[is_gone, "image"])
        kept |= set(table.loc[~is_gone, "image"])
    return gone - kept - {""}


def _remove_photos(place: Path, images: Collection[str]) -> int:
    """Remove photos from a folder or a zip archive; returns how many were there."""
    photos = open_images(place)
    if isinstance(photos, ImageFolder):
        there = [path for image in images if _is_inside(path := photos.path(image), place)]
        for path in there:
            path.unlink()
        return len(there)
    if not isinstance(photos, ImageZip):
        raise SelfieError(f"{place} is no zip archive: take {', '.join(sorted(images))} out of it by hand.")
    gone = {entry.filename for image in images if (entry := photos.find(image))}
    if gone:
        _rewrite_zip(place, gone)
    return len(gone)


def _is_inside(path: Path, folder: Path) -> bool:
    """Tell whether a file is there and in a folder: a table may name any path."""
    return path.is_file() and real(path.parent).is_relative_to(real(folder))


def _rewrite_zip(path: Path, gone: Collection[str]) -> None:
    """Write an archive anew without some entries."""
    with (
        written_whole(path) as partial,
        zipfile.ZipFile(path) as archive,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as smaller,
    ):
        for entry in archive.infolist():
            if entry.filename not in gone:
                smaller.writestr(entry, archive.read(entry))


def _gone(path: Path, table: pd.DataFrame, wanted: set[str], images: set[str]) -> pd.Series:
    """Tell which rows of a table go: those of posts, or of photos that no other post shows."""
    of_photos = images | wanted if path.name == "dropped.parquet" else images  # which may name posts by id
    return _names(table, "post_id").isin(wanted) | _names(table, "image").isin(of_photos)


def _forget_rows(path: Path, wanted: set[str], images: set[str], say: Say) -> int:
    """Drop the rows of posts and photos from one table, and fc7 in step with the scores."""
    table = read_table(path)[0]
    gone = _gone(path, table, wanted, images)
    if not gone.any():
        return 0
    kept = table[~gone].reset_index(drop=True)
    if path.name == "scores.parquet":
        _write_scores(path, kept, ~gone.to_numpy(), say)
    elif path.suffix == ".csv":
        with written_whole(path) as partial:
            kept.to_csv(partial, index=False)
    else:
        write_table(path, kept)
    return int(gone.sum())


def _write_scores(path: Path, scores: pd.DataFrame, kept: np.ndarray, say: Say) -> None:
    """Write scores (M,) of those `kept` (N,), bool, and their fc7; fc7 that fits no scores is removed."""
    # What the network of this run knows is chosen among these; the next 01_train chooses again.
    path.with_name("network").joinpath("known.npy").unlink(missing_ok=True)
    features = path.with_name("features.npy")
    if not features.is_file():
        write_table(path, scores)
        return
    fc7 = _read_features(features)
    if fc7.shape[:1] != kept.shape:
        features.unlink()
        say(f"{features} did not fit its scores and is removed: selfie reproduce makes it again.")
        write_table(path, scores)
        return
    with written_whole(features) as fewer, written_whole(path) as shorter:
        np.save(fewer, fc7[kept])
        write_table(shorter, scores)
        features.unlink()  # whoever is killed now leaves scores without fc7, never with that of other posts


def _read_features(path: Path) -> np.ndarray:
    """Read fc7, (N, D); nothing, (0, 0), where the file holds none."""
    try:
        return np.asarray(np.load(path))
    except (ValueError, EOFError):
        return np.empty((0, 0))
