"""Keep a training's state on disk, so that one that was killed goes on where it was, to the same result."""

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import PATIENCE, locked, written_whole
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.recipe import Recipe
from selfie_utils.posts.labels import fingerprint

SECONDS = "SELFIE_CHECKPOINT_SECONDS"  # environment variable: least time between two checkpoints
EVERY = 30.0  # seconds, where it is not set
SHARE = 0.02  # of the time that writing may take: large networks are written more rarely
KEPT = 2  # checkpoints; the older one is for the case that the newer cannot be read


class Checkpoints:
    """The checkpoints of one training in a folder of its own; without a folder nothing is kept.

    `key` says which training it is (`training_key`): checkpoints of another are never taken up.
    """

    def __init__(self, folder: Path | None, key: str):
        self.folder, self.key = folder, key
        self._every = float(os.environ.get(SECONDS, EVERY))
        self._next = time.monotonic() + self._every

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keep a second training out of the folder; wait a little for one that is just being killed."""
        if not self.folder:
            yield
            return
        told = f"Process {{process}} is training in {self.folder}: wait for it, or give another run folder."
        with locked(self.folder.parent / f".{self.folder.name}.lock", told, PATIENCE):
            yield

    def load(self) -> dict[str, Any] | None:
        """Return the newest state that can be read and belongs to this training, or None."""
        for path in sorted(self.folder.glob("[0-9]*.pt"), reverse=True) if self.folder else ():
            try:
                kept = torch.load(path, map_location="cpu", weights_only=True)
                if kept["key"] == self.key:
                    return kept["state"]
            except Exception:  # a damaged file raises almost anything; an older one may do
                continue
        return None

    def clear(self) -> None:
        """Remove what another training left: its later steps must not push out the first ones of this."""
        for path in self.folder.glob("[0-9]*.pt") if self.folder else ():
            path.unlink(missing_ok=True)

    def due(self) -> bool:
        """Tell whether it is time to save again."""
        return self.folder is not None and time.monotonic() >= self._next

    def save(self, step: int, state: dict[str, Any]) -> None:
        """Write the state after so many steps, whole or not at all, and remove the oldest ones."""
        if not self.folder:
            return
        start = time.monotonic()
        try:
            with written_whole(self.folder / f"{step:09d}.pt") as partial:
                torch.save({"key": self.key, "state": state}, partial)
        except (OSError, RuntimeError) as error:  # torch raises either
            reason = str(error).splitlines()[0][:80]
            raise SelfieError(
                f"No checkpoint can be written to {self.folder} ({reason}): the disk may be full; make room "
                "and run it again, what was finished is kept."
            ) from None
        for path in sorted(self.folder.glob("[0-9]*.pt"))[:-KEPT]:
            path.unlink()
        now = time.monotonic()
        self._next = now + max(self._every, (now - start) / SHARE)


def remove_checkpoints(run: RunFolder) -> None:
    """Remove what a finished training left to go on with."""
    shutil.rmtree(run.root / "checkpoints", ignore_errors=True)


def training_key(recipe: Recipe, labels: pd.DataFrame, device: torch.device) -> str:
    """Return a text that is the same only for the same recipe, code, posts and kind of device."""
    return f"{recipe} {recipe.made_by()} {fingerprint(labels)} {device.type} torch {torch.__version__}"
