"""What each notebook reads and writes of a run folder, as its metadata declares it."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from selfie_utils.core.errors import SelfieError

DECLARED = "SELFIE_ARTEFACTS"  # environment variable: what the notebook that runs may touch


@dataclass(frozen=True)
class Artefacts:
    """Names of files in the run folder, such as labels.parquet."""

    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()


def artefacts_of(notebook: Path) -> Artefacts:
    """Return what a notebook declares under "selfie" in its metadata; nothing where it says nothing."""
    try:
        told = json.loads(notebook.read_text(encoding="utf-8"))["metadata"].get("selfie", {})
        return Artefacts(tuple(told.get("reads", ())), tuple(told.get("writes", ())))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise SelfieError(f"{notebook} cannot be read as a notebook: restore the file.") from None


def readers_after_writers(declared: Mapping[str, Artefacts]) -> list[str]:
    """Sort notebooks so that each comes after those that write what it reads, else as they are given."""
    left, order = list(declared), []
    while left:
        ready = (name for name in left if not set(upstream(name, declared)) & set(left))
        chosen = next(ready, None)
        if chosen is None:
            raise SelfieError(f"{', '.join(left)} read what each other write: fix their metadata.")
        left.remove(chosen)
        order.append(chosen)
    return order


def upstream(name: str, declared: Mapping[str, Artefacts]) -> tuple[str, ...]:
    """Return the other notebooks that write what notebook `name` reads."""
    wanted = set(declared[name].reads)
    return tuple(other for other in declared if other != name and wanted & set(declared[other].writes))


def maker_of(artefact: str, folder: Path) -> str:
    """Return the notebook of a folder that writes an artefact; the first one where none says so."""
    notebooks = sorted(folder.glob("[0-9][0-9]_*.ipynb"))
    return next((path.stem for path in notebooks if artefact in artefacts_of(path).writes), "00_data")


@contextmanager
def only(declared: Artefacts) -> Iterator[None]:
    """Let processes that start meanwhile touch nothing of a run folder but what is declared."""
    before = os.environ.get(DECLARED)
    os.environ[DECLARED] = json.dumps(asdict(declared))
    try:
        yield
    finally:
        os.environ.pop(DECLARED)
        if before is not None:
            os.environ[DECLARED] = before


def check_declared(artefact: str, written: bool = False) -> None:
    """Raise SelfieError where the notebook that runs does not declare an artefact, or not as written.

    What a notebook writes it may read, too. Outside a run of notebooks anything may be touched.
    """
    told = os.environ.get(DECLARED)
    if told is None:
        return
    declared = Artefacts(**json.loads(told))
    if artefact not in [*declared.writes, *([] if written else declared.reads)]:
        where = '"writes"' if written else '"reads" or "writes"'
        raise SelfieError(
            f"This notebook {'writes' if written else 'touches'} {artefact} of the run folder, which its "
            f'metadata does not declare: add it to {where} under "selfie".'
        )
