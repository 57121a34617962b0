"""Write files so that a reader never meets half of one, and locks for those who must be alone."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
from filelock import FileLock, Timeout

from selfie_utils.core.errors import SelfieError

NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.ENOSYS)  # a disk that knows none
PATIENCE = 10.0  # seconds; a process that lost the one that started it ends within some


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; rename it to `path` only if all went well."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The name keeps its suffix, since many writers choose the format by it.
    partial = path.with_name(f".{path.stem}.{os.getpid()}.part{path.suffix}")
    try:
        yield partial
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def _plain(value: Any) -> Any:
    """Turn a numpy scalar or array into what JSON knows."""
    return value.tolist()


def write_json(path: Path, content: dict) -> None:
    """Write `content` as readable JSON, whole or not at all."""
    text = json.dumps(content, indent=2, ensure_ascii=False, default=_plain) + "\n"
    with written_whole(path) as partial:
        partial.write_text(text, encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write `table` as Parquet, whole or not at all."""
    with written_whole(path) as partial:
        table.to_parquet(partial, index=False, compression="zstd")


@contextmanager
def locked(path: Path, told: str, patience: float = 0.0) -> Iterator[None]:
    """Hold the lock file `path`, alone; that of a process that was killed is free.

    Raises SelfieError where another still holds it after `patience` seconds: `told`, a sentence with
    {process} for its number.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Windows lets nobody read a file that is locked, so the number stands in another one.
    holder = path.with_name(f"{path.name}.process")
    lock = FileLock(path, timeout=patience, poll_interval=0.2)
    try:
        lock.acquire()
    except Timeout:
        raise SelfieError(told.format(process=_read(holder))) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
    try:
        with suppress(OSError):  # a full disk is for those to tell who have more to write
            holder.write_text(str(os.getpid()), encoding="utf-8")
        yield
    finally:
        with suppress(OSError):
            holder.unlink()
        lock.release()


def _read(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8").strip() or "another"
    except OSError:
        return "another"
