"""Write files so that a reader never meets half of one."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd


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
        table.to_parquet(partial, index=False)
