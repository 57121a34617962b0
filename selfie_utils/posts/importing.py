"""Turn what a source holds into a data folder: check it, leave out what can't be used, say what was done."""

import datetime
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path, PurePosixPath

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import write_json, write_table, written_whole
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.archives import ImageTar
from selfie_utils.photos.images import Images, UnreadableImage, open_images
from selfie_utils.photos.salvage import HEAD, why_no_photo
from selfie_utils.posts.data_folder import RECORD
from selfie_utils.posts.importers.origin import Source, drop_list, reasons_in_words
from selfie_utils.posts.importers.table import id_by_path
from selfie_utils.posts.labels import LabelRules
from selfie_utils.posts.photo_names import SUFFIX
from selfie_utils.posts.reading import read_lines
from selfie_utils.posts.table import sift_posts

MISSING = "photo is missing"
AMBIGUOUS = "several photos are called so: write the folder before its name"
FORGOTTEN = "forgotten.txt"  # post ids that were taken down, one per line: an import leaves them out


def import_posts(kind: str, source: Source, out: Path, pack: bool = False) -> list[str]:
    """Write a data folder: posts.parquet, dropped.parquet, import.json and, packed, images.zip.

    Rows that can't be used, posts without their photo and posts that were taken down are dropped, with the
    reason. The source stays as it is; photos are referenced where they lie, or copied with `pack`, as those
    of a compressed tar archive always are, which only gives them in its own order. Returns the summary, line
    by line. Whenever it is stopped, the same command may be given again. Raises SelfieError where nothing is
    left, or `out` holds posts of another make.
    """
    if (out / "posts.csv").exists() or ((out / "posts.parquet").exists() and not (out / RECORD).exists()):
        raise SelfieError(f"{out} holds posts that were not imported: choose another --out, they are kept.")
    if source.posts.empty and len(source.dropped):
        raise _nothing_left(source.dropped)
    images = open_images(source.images)
    pack = pack or (isinstance(images, ImageTar) and images.in_order_only)
    posts, dropped = _usable(source, images, forgotten_in(out))
    summary = list(_summary(kind, source, posts, dropped))
    record = {
        "kind": kind,
        "images": "images.zip" if pack else str(source.images.resolve()),
        "imported_at": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "summary": summary,
    }
    # All is written before anything gets its name. The last to be opened is named first: the record, since
    # posts without one are taken for somebody's own.
    with ExitStack() as opened:
        write_table(opened.enter_context(written_whole(out / "posts.parquet")), posts)
        write_table(opened.enter_context(written_whole(out / "dropped.parquet")), dropped)
        if pack:
            _pack(images, posts["image"].unique(), opened.enter_context(written_whole(out / "images.zip")))
        write_json(opened.enter_context(written_whole(out / RECORD)), record)
    return summary


def forgotten_in(folder: Path) -> set[str]:
    """Return the lines that `remember` has left in a data folder."""
    return set(read_lines(folder / FORGOTTEN)) if (folder / FORGOTTEN).exists() else set()


def remember(folder: Path, ids: Iterable[str], posts: pd.DataFrame) -> None:
    """Note that posts were taken down, so that the next import leaves them out, each by its id.

    `posts` (post_id, image) is what the folder knows of any: an id that was made of a file's name is noted
    with the whole path too, for the import that finds another photo called so.
    """
    known = posts[posts["post_id"].isin(set(ids))]
    paths = set(map(id_by_path, known["post_id"], known["image"]))
    lines = forgotten_in(folder) | {_in_one_line(name) for name in {*ids, *paths}}
    with written_whole(folder / FORGOTTEN) as partial:
        partial.write_text("".join(f"{line}\n" for line in sorted(lines)), encoding="utf-8")


def _in_one_line(name: str) -> str:
    return " ".join(name.splitlines())  # a file's name may hold a line break


def _are_forgotten(posts: pd.DataFrame, forgotten: set[str]) -> pd.Series:
    """Tell which posts were taken down, by their id or by what it would be among photos of the same name."""
    gone = posts["post_id"].map(_in_one_line).isin(forgotten)
    if forgotten:
        paths = pd.Series(map(id_by_path, posts["post_id"], posts["image"]), posts.index, dtype="str")
        gone |= paths.map(_in_one_line).isin(forgotten)
    return gone


def _usable(source: Source, images: Images, forgotten: set[str]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the posts that can be used, typed, and all that was dropped with its reason."""
    given = source.posts.reset_index(drop=True)
    posts, faults = sift_posts(given, "the source")
    at_fault = zip(given.loc[faults.index, "image"].astype("str"), faults, strict=True)
    dropped = [source.dropped, drop_list(list(at_fault))]
    gone = _are_forgotten(posts, forgotten)
    dropped.append(drop_list([(name, "was taken down") for name in posts.loc[gone, "image"]]))
    faults = _why_not(images, posts.loc[~gone, "image"].unique())
    lost = posts["image"].isin(faults) & ~gone
    dropped.append(drop_list([(name, faults[name]) for name in posts.loc[lost, "image"]]))
    posts = posts[~gone & ~lost]
    dropped = pd.concat(dropped, ignore_index=True)
    if posts.empty:
        raise _nothing_left(dropped, images)
    return posts.reset_index(drop=True), dropped


def _nothing_left(dropped: pd.DataFrame, images: Images | None = None) -> SelfieError:
    """Say why no post is left: the most frequent reasons, and what photos are called where none was found."""
    told = ""
    if images and (dropped["reason"] == MISSING).any():
        there = sorted(images.names(), key=lambda name: not SUFFIX.search(name.lower()))  # photos first
        told = f"; a photo that is there: {there[0]}" if there else "; there is no photo at all"
    return SelfieError(f"No post can be used, of {len(dropped):,} ({reasons_in_words(dropped)}{told}).")


def _why_not(images: Images, names: Iterable[str]) -> dict[str, str]:
    """Return of each photo that can't be used why, by its first bytes: missing, empty, no photo."""
    reasons, wanted = {}, dict.fromkeys(names)
    listed = [
        name for name in images.names() if name in wanted
    ]  # in the order in which they are quickly read
    for name in tqdm(
        dict.fromkeys([*listed, *wanted]), desc="looking at photos", mininterval=2, delay=5, unit="photo"
    ):
        try:
            reason = why_no_photo(images.read(name, HEAD))
        except UnreadableImage as error:
            reason = str(error)
        if reason:
            reasons[name] = MISSING if not images.stamp(name) else f"photo can't be read: {reason}"
    missing = [name for name, reason in reasons.items() if reason == MISSING]
    if missing:
        files = Counter(PurePosixPath(name).name.casefold() for name in images.names())
        reasons |= {name: AMBIGUOUS for name in missing if files[PurePosixPath(name).name.casefold()] > 1}
    return reasons


def _pack(images: Images, names: Iterable[str], path: Path) -> None:
    """Copy photos, as they are, into a zip archive."""
    place = {name: i for i, name in enumerate(images.names())}
    names = sorted(names, key=lambda name: place.get(name, -1))  # a compressed tar has one quick order
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name in tqdm(names, desc="packing photos", mininterval=2, unit="photo"):
            with suppress(UnreadableImage):  # one that can't be read is told when it is looked at
                archive.writestr(zipfile.ZipInfo(name), images.read(name))


def _summary(kind: str, source: Source, posts: pd.DataFrame, dropped: pd.DataFrame) -> Iterator[str]:
    """Say what came in, what did not and why."""
    missing = int((dropped["reason"] == MISSING).sum())
    yield f"{kind}: {len(posts):,} posts by {posts['user_id'].nunique():,} users"
    yield f"photos: {posts['image'].nunique():,} found, {missing:,} missing, in {source.images}"
    if "posted_at" in posts:
        yield f"posted: {posts['posted_at'].min():%Y-%m-%d} to {posts['posted_at'].max():%Y-%m-%d}"
    if "label" not in posts:
        yield "labels: to be made from likes and followers"
        yield from _enough(posts)
    elif posts["label"].isna().all():
        yield "labels: none"
    else:
        yield f"labels: {int(posts['label'].sum()):,} good, {int((posts['label'] == 0).sum()):,} bad"
    yield f"dropped: {len(dropped):,}" + (", because" if len(dropped) else "")
    for reason, count in dropped["reason"].value_counts().items():
        yield f"  {count:>9,}  {reason}"
    yield from source.notes


def fitting_group_size(posts: pd.DataFrame) -> int | None:
    """Return the size of groups for few posts, which makes three of them; None where the usual one fits."""
    if "label" in posts or len(posts) >= LabelRules().group_size:
        return None
    return max(2, len(posts) // 6 * 2)


def _enough(posts: pd.DataFrame) -> Iterator[str]:
    """Say how many posts a group needs, where there are fewer."""
    some = fitting_group_size(posts)
    if some:
        yield (
            f"groups: {len(posts):,} posts; a group needs {LabelRules().group_size}: give --group-size "
            f"{some} below, or label by a column of your own here (--map label=COLUMN or --score COLUMN)"
        )
