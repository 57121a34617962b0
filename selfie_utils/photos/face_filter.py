"""Look for faces in millions of photos: on all cores, in bounded memory, never twice at the same photo."""

import importlib.util
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from PIL import Image

from selfie_utils.core.code import fingerprint
from selfie_utils.core.draws import find_names, hash_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.parallel import in_processes
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.copies import HASHES, perceptual_hash
from selfie_utils.photos.faces import BATCH, COLUMNS, SIDE, FaceDetector
from selfie_utils.photos.images import Images, UnreadableImage, decode

AT_ONCE = 64  # photos that one process is given, and that are written together
DECIDING = ("selfie_utils.photos.images", "selfie_utils.photos.copies")  # code that decides on a row
FEW = 300  # photos; starting processes for fewer takes longer than it saves
SCHEMA = pa.schema(
    {"image": pa.large_string(), "stamp": pa.uint64(), "reason": pa.large_string(), "faces": pa.int64()}
    | dict.fromkeys(COLUMNS[2:], pa.float64())
    | dict.fromkeys(HASHES, pa.uint64())
    | {"detail": pa.bool_()}
)
NO_STAMP = 0  # no photo's: what has it is looked at again
# Numbers of a photo that can't be read: missing ones would turn whole columns into floats, which lose bits.
UNREAD = {"faces": 0, **dict.fromkeys(HASHES, 0), "detail": False}


def filter_faces(
    images: Images,
    names: Sequence[str],
    log: Path | None = None,
    min_confidence: float = 0.5,
    processes: int | None = None,
    detector: type = FaceDetector,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Look for faces in every photo of `names`, which are distinct; nothing that a file holds stops the run.

    Returns (faces, skipped), both in the order of `names`. faces: image (str), faces (int64, how many), and
    of the largest face confidence, its box and landmarks as from `FaceDetector.detect` (NaN without a face);
    then what `copies.perceptual_hash` makes of the photo. skipped: image, reason (str) of each photo that
    can't be read.

    What is found is written to the folder `log` as it comes. A photo that stands there, and has not changed
    since, is not looked at again: not after the run was killed, and not in the next run either. `processes`
    share the work, as many as there are cores by default; 1 stays in this one. Another `detector` is a class
    of a module, made and asked as `FaceDetector` is.
    Raises SelfieError where a process dies, most often for lack of memory.
    """
    asked = pd.Series(list(names), dtype="str")
    look = _Look(images, min_confidence, detector)
    with _Log(log) as notes:
        left = asked[~_is_known(look, asked, notes.read())].tolist()
        with tqdm(
            total=len(asked),
            initial=len(asked) - len(left),
            desc="looking for faces",
            mininterval=2,
            unit="photo",
        ) as progress:
            for batch in _look_at_all(look, left, processes or os.cpu_count() or 1):
                notes.add(batch)
                progress.update(len(batch))
        table = notes.read()
        table = table.iloc[find_names(asked, table["image"])].reset_index(drop=True)
        notes.keep_only(table)
    unreadable = table["reason"].notna()
    skipped = table.loc[unreadable, ["image", "reason"]].reset_index(drop=True)
    faces = table[~unreadable].drop(columns=["stamp", "reason"]).reset_index(drop=True)
    return faces, skipped.astype("str")


def need_some(faces: pd.DataFrame, skipped: pd.DataFrame) -> None:
    """Raise SelfieError with the most frequent reason where no photo could be read, of some."""
    if len(faces) or skipped.empty:
        return
    most = skipped["reason"].value_counts()
    first = skipped.loc[skipped["reason"] == most.index[0], "image"].iloc[0]
    raise SelfieError(
        f"None of the {len(skipped):,} photos can be read ({most.index[0]}: {most.iloc[0]:,}, such as "
        f"{first}): fetch them again, and import the posts again."
    )


class _Look:
    """Looks at photos; can be handed to another process, where it starts a detector of its own."""

    def __init__(self, images: Images, min_confidence: float, kind: type, threads: int = 0, way: str = ""):
        self.images, self.min_confidence, self.kind, self.threads = images, min_confidence, kind, threads
        self._detector: Any = None  # a `kind`, from the first photo on
        heic = importlib.util.find_spec("pillow_heif") is not None
        made_by = fingerprint(kind.__module__, *DECIDING)
        self.way = way or f"{kind.__qualname__} {made_by} {min_confidence} {heic}"

    def __reduce__(self):
        return _Look, (self.images, self.min_confidence, self.kind, 1, self.way)

    def stamps(self, names: Sequence[str]) -> np.ndarray:
        """Return a number for each photo as it is now, uint64 (N,): file, this code and the threshold."""
        return hash_names([f"{self.images.stamp(name)} {self.way}" for name in names])

    def at(self, names: Sequence[str]) -> pa.RecordBatch:
        """Look at some photos; returns a row for each, as in SCHEMA."""
        self._detector = self._detector or self.kind(self.min_confidence, self.threads)
        rows = []
        for some in _parts(names, BATCH):
            read = [self._read(name) for name in some]
            photos = [photo for photo in read if isinstance(photo, Image.Image)]
            found = iter(self._detector.detect(photos) if photos else [])
            rows += [
                _row(photo, next(found)) if isinstance(photo, Image.Image) else UNREAD | {"reason": photo}
                for photo in read
            ]
        for row, name, stamp in zip(rows, names, self.stamps(names).tolist(), strict=True):
            row |= {"image": name, "stamp": NO_STAMP if isinstance(row.get("reason"), _Passing) else stamp}
        return pa.RecordBatch.from_pylist(rows, SCHEMA)

    def _read(self, name: str) -> Image.Image | str:
        """Return the photo, or the reason why it can't be read."""
        try:
            data = self.images.read(name)
        except UnreadableImage as error:
            return _Passing(error)
        try:
            return decode(data, at_least=SIDE)
        except UnreadableImage as error:
            return str(error)


class _Passing(str):
    """A reason that may pass while the file stays as it is: a disk that is away, a right that is missing."""


def _row(photo: Image.Image, faces: pd.DataFrame) -> dict[str, Any]:
    """Return what is kept of one photo: how many faces, the largest of them, its hashes."""
    largest = faces.iloc[0].to_dict() if len(faces) else {}
    return {"faces": len(faces), **largest, **perceptual_hash(photo)}


def _parts(names: Iterable[str], size: int) -> Iterator[list[str]]:
    """Cut names into lists of `size`."""
    left = iter(names)
    while part := list(islice(left, size)):
        yield part


def _is_known(look: _Look, names: pd.Series, notes: pd.DataFrame) -> np.ndarray:
    """Tell which photos stand in the notes as they are now, bool (N,)."""
    at = find_names(names, notes["image"])
    known = at >= 0
    known[known] = look.stamps(names[known].tolist()) == notes["stamp"].to_numpy()[at[known]]
    return known


def _look_at_all(look: _Look, names: list[str], processes: int) -> Iterator[pa.RecordBatch]:
    """Look at photos in processes, a few batches ahead of what is asked for; few photos in this one."""
    if processes == 1 or len(names) <= FEW:
        yield from map(look.at, _parts(names, AT_ONCE))
        return
    yield from in_processes(_look_here, _parts(names, AT_ONCE), processes, _remember, (look,))


_look: _Look  # there only in a process that `_remember` has run in


def _remember(look: _Look) -> None:
    """Keep in a new process what to look with."""
    global _look
    _look = look


def _look_here(names: list[str]) -> pa.RecordBatch:
    return _look.at(names)


class _Log:
    """Notes in a folder, batch by batch, each there or not; without a folder they stay in memory."""

    def __init__(self, folder: Path | None):
        self.folder = folder
        self._batches: list[pa.RecordBatch] = []
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._open_files = ExitStack()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._open_files.close()

    def add(self, batch: pa.RecordBatch) -> None:
        """Write down some rows, so that they outlast this process."""
        if not self.folder:
            self._batches.append(batch)
            return
        if not self._writer:
            self.folder.mkdir(parents=True, exist_ok=True)
            path = self.folder / f"{len(list(self.folder.iterdir())) + 1:06d}.{os.getpid()}.arrows"
            self._file = self._open_files.enter_context(path.open("wb"))
            self._writer = pa.ipc.new_stream(self._file, SCHEMA)
        self._writer.write_batch(batch)
        self._file.flush()

    def read(self) -> pd.DataFrame:
        """Return all notes, of each photo the last."""
        files = sorted(self.folder.glob("*.arrows")) if self.folder and self.folder.is_dir() else []
        batches = [batch for path in files for batch in _read_stream(path)] + self._batches
        table = pa.Table.from_batches(batches, SCHEMA).to_pandas()
        return table.drop_duplicates("image", keep="last")

    def keep_only(self, table: pd.DataFrame) -> None:
        """Put one file with these rows in the place of all that there are."""
        if not self.folder or not self._writer:
            return
        self._open_files.close()
        first = self.folder / "000000.arrows"
        others = [path for path in self.folder.iterdir() if path != first]
        with written_whole(first) as partial, pa.ipc.new_stream(partial, SCHEMA) as writer:
            writer.write_table(pa.Table.from_pandas(table, SCHEMA, preserve_index=False))
        for path in others:
            path.unlink()


def _read_stream(path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a file up to where it was cut off, if it was."""
    try:
        with pa.ipc.open_stream(path) as stream:
            yield from stream
    except (pa.ArrowInvalid, OSError):
        return
