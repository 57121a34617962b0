"""Photos decoded once: squished, and kept on disk as the network wants them."""

import os
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from selfie_utils.core.draws import find_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked, write_table, written_whole
from selfie_utils.core.parallel import WORKERS, in_advance, in_processes
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.images import Images, UnreadableImage, decode, squish

SHARD = 512  # photos; what a kill can cost
LEFT_FREE = 0.1  # share of the free room that a pack never takes
PATIENCE = 60.0  # seconds to wait for another process that packs into the same folder
WORTH_PROCESSES = 5000  # photos; for fewer it takes longer to start processes than threads need
COLUMNS = ["image", "stamp", "reason", "shard", "row"]


def read_photo(images: Images, size: int, name: str) -> np.ndarray:
    """Return one photo squished to uint8 RGB (size, size, 3); raise UnreadableImage with the reason."""
    return np.array(squish(decode(images.read(name), at_least=size), size))


class NoRoom(SelfieError):
    """The disk has too little room for a pack."""


class PhotoPack:
    """Photos of one size by position, mapped into memory; copies share what the system has read.

    `index` has a row per photo: image, reason (str, empty where it could be read), shard and row (int64).
    """

    def __init__(self, folder: Path | None, index: pd.DataFrame, size: int):
        self.folder, self.index, self.size = folder, index, size
        self.shards: dict[int, np.ndarray] = {}  # those that are open
        self._places = index[["shard", "row"]].to_numpy()

    def __len__(self) -> int:
        return len(self.index)

    @property
    def reasons(self) -> np.ndarray:
        """Why each photo could not be read, str (N,), empty where it could."""
        return self.index["reason"].to_numpy()

    def take(self, positions: Sequence[int]) -> np.ndarray:
        """Return some photos, uint8 (N, size, size, 3); one that could not be read is black."""
        photos = np.empty((len(positions), self.size, self.size, 3), np.uint8)
        for photo, i in zip(photos, positions, strict=True):
            shard, row = self._places[i].tolist()
            photo[:] = self._shard(shard)[row]
        return photos

    def _shard(self, number: int) -> np.ndarray:
        if number not in self.shards:
            assert self.folder, "in memory all shards are open"
            self.shards[number] = np.load(self.folder / f"{number:06d}.npy", mmap_mode="r")
        return self.shards[number]


def pack_photos(
    images: Images,
    names: Sequence[str],
    size: int,
    folder: Path,
    processes: int = 0,
) -> PhotoPack:
    """Decode photos to `size` px, on all cores, and keep them in `folder`; returns them in order of `names`.

    Those that the folder holds already, and that have not changed since, are not decoded again: a pack that
    was killed goes on where it was, and grows with new posts. Shards are arrays uint8 (n, size, size, 3), not
    compressed, so that a photo scores the same from the pack as from its file. Memory: one shard per process.
    Raises NoRoom where the disk has too little.
    """
    wanted = pd.Series(list(names), dtype="str")
    stamps = pd.Series([images.stamp(name) for name in wanted], dtype="str")
    missing = wanted[_find(_read_index(folder), wanted, stamps) < 0]
    if len(missing):
        _need_room(folder, missing.nunique() * size**2 * 3)
        told = f"Process {{process}} is packing photos in {folder}: wait for it, then run this again."
        with locked(folder / ".lock", told, PATIENCE):
            _pack_missing(images, wanted, stamps, size, folder, processes)
    known = _read_index(folder)
    index = known.iloc[_find(known, wanted, stamps)].reset_index(drop=True)
    return PhotoPack(folder, index, size)


def _pack_missing(
    images: Images,
    names: pd.Series,
    stamps: pd.Series,
    size: int,
    folder: Path,
    processes: int,
) -> None:
    """Write shards of the photos that the folder does not hold; nobody else may write there meanwhile."""
    known = _read_index(folder)
    wanted = pd.DataFrame({"image": names, "stamp": stamps})[_find(known, names, stamps) < 0]
    wanted = wanted.drop_duplicates("image")
    first = int(known["shard"].max()) + 1 if len(known) else 0
    jobs = [(images, size, folder, number, part) for number, part in enumerate(_parts(wanted), first)]
    with tqdm(total=len(wanted), desc="packing photos", mininterval=2, unit="photo") as progress:
        for packed in _on_all_cores(jobs, processes or os.cpu_count() or 1):
            progress.update(packed)


def pack_in_memory(images: Images, names: Sequence[str], size: int, threads: int = 0) -> PhotoPack:
    """Decode a few photos with threads, of which 0 means one per core, and keep them in memory only."""
    names = list(names)
    pixels = np.zeros((len(names), size, size, 3), np.uint8)
    with ThreadPoolExecutor(threads or os.cpu_count()) as pool:
        reasons = list(pool.map(lambda i: _decode_into(pixels, i, images, names[i]), range(len(names))))
    named = pd.Series(names, dtype=object)  # a name that is not UTF-8 is no text to pandas
    index = pd.DataFrame({"image": named, "reason": reasons, "shard": 0, "row": np.arange(len(names))})
    pack = PhotoPack(None, index, size)
    pack.shards[0] = pixels
    return pack


def decode_ahead(images: Images, parts: Sequence[Sequence[str]], size: int) -> Iterator[PhotoPack]:
    """Yield the photos of each part, the next ones decoded meanwhile: of many by processes, else by threads.

    Threads take turns between two photos, so that 16 of them decode no faster than two or three. The
    processes import nothing of the network's, which would take longer than all they do.
    """
    if len(parts) and len(parts) * len(parts[0]) >= WORTH_PROCESSES and WORKERS > 2:
        return in_processes(_decode_part, [(images, part, size, 1) for part in parts], WORKERS)
    return in_advance(_decode_part, [(images, part, size) for part in parts], 1)


def _decode_part(job: tuple) -> PhotoPack:
    return pack_in_memory(*job)


def _on_all_cores(jobs: list[tuple], processes: int) -> Iterator[int]:
    """Pack shard by shard; a single one stays in this process."""
    if processes == 1 or len(jobs) == 1:
        return map(_pack_shard, jobs)
    return in_processes(_pack_shard, jobs, processes)


def _parts(wanted: pd.DataFrame) -> Iterator[pd.DataFrame]:
    for start in range(0, len(wanted), SHARD):
        yield wanted.iloc[start : start + SHARD]


def _pack_shard(job: tuple) -> int:
    """Decode the photos of one shard and write it; the table goes last, and says that the array is whole."""
    images, size, folder, number, wanted = job
    photos = np.zeros((len(wanted), size, size, 3), np.uint8)
    reasons = [_decode_into(photos, i, images, name) for i, name in enumerate(wanted["image"])]
    table = wanted.assign(reason=reasons, shard=number, row=np.arange(len(wanted)))
    try:
        with written_whole(folder / f"{number:06d}.npy") as partial:
            np.save(partial, photos)
        write_table(folder / f"{number:06d}.parquet", table)
    except OSError as error:
        raise SelfieError(
            f"Packed photos cannot be written to {folder} ({error}): the disk may be full; make room and run "
            "it again, what was packed is kept."
        ) from None
    return len(wanted)


def _decode_into(photos: np.ndarray, i: int, images: Images, name: str) -> str:
    """Put one photo into its place in `photos`; returns why it can't be read, or nothing."""
    try:
        photos[i] = read_photo(images, photos.shape[1], name)
    except UnreadableImage as error:
        return str(error)
    return ""


def _read_index(folder: Path) -> pd.DataFrame:
    """Return what the shards hold, a row per photo; one that changed since has a row for each stamp."""
    tables = sorted(folder.glob("[0-9]*.parquet")) if folder.is_dir() else []
    if not tables:
        return pd.DataFrame(columns=COLUMNS).astype({"shard": "int64", "row": "int64"})
    return pd.concat([pq.read_table(path).to_pandas() for path in tables], ignore_index=True)


def _find(known: pd.DataFrame, names: pd.Series, stamps: pd.Series) -> np.ndarray:
    """Return the row of each photo in the index, -1 where it is not there as it is now; int64 (N,)."""
    return find_names(names + "\n" + stamps, known["image"] + "\n" + known["stamp"])


def _room(folder: Path) -> int:
    """Return how many bytes may be written beside `folder`."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return int((1 - LEFT_FREE) * shutil.disk_usage(there).free)


def _need_room(folder: Path, needed: int) -> None:
    if needed > _room(folder):
        raise NoRoom(
            f"Packed photos need {needed / 2**30:.1f} GB in {folder}, and a tenth of what is free stays so: "
            "make room, or choose a smaller image_size."
        )
