"""Trials: trainings that are compared with each other; each is made once, and kept with its scores."""

import hashlib
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.batches import open_photos
from selfie_utils.model.network import SelfieNetwork
from selfie_utils.model.processes import choose_device
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scoring import score_pack
from selfie_utils.model.training import fine_tune, finished_key
from selfie_utils.photos.images import Images, open_images

COLUMNS = {"key", "recipe", "seconds", "scores"}


class Trials:
    """The finished trials of one purpose, a row each in <purpose>.parquet of a run folder.

    key says which training it is and which photos it is judged by; recipe is for readers; seconds are those
    of the training; scores are P(good) of the photos, in the order asked for.
    """

    def __init__(self, run: RunFolder, purpose: str, device: str = "auto"):
        self.run, self.purpose, self.device = run, purpose, device
        self.images = open_images(run.read_json("data")["images"])
        path = run.place(f"{purpose}.parquet")
        rows = pd.read_parquet(path).to_dict("records") if path.exists() else []
        self._rows = {row["key"]: row for row in rows if row.keys() == COLUMNS}  # others: an older version's

    def score(
        self,
        recipe: Recipe,
        labels: pd.DataFrame,
        photos: Sequence[str],
        before: Callable[[], None] = lambda: None,
    ) -> tuple[np.ndarray, float]:
        """Return scores (N,) of photos, by a network that learned from `labels`, and its seconds.

        What is not known yet is trained, after a call of `before`; one that was killed goes on where it was.
        """
        key = self._key(recipe, labels, photos)
        if key not in self._rows:
            before()
            scores, seconds = self._make(recipe, labels, photos)
            self._rows[key] = {"key": key, "recipe": str(recipe), "seconds": seconds, "scores": scores}
            self.run.write_table(self.purpose, pd.DataFrame(self._rows.values()))
        return self._rows[key]["scores"], self._rows[key]["seconds"]

    def _key(self, recipe: Recipe, labels: pd.DataFrame, photos: Sequence[str]) -> str:
        training = finished_key(self.images, labels, recipe, choose_device(self.device))
        judged = [(name, self.images.stamp(name)) for name in photos]
        text = f"{training} {judged}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def _make(self, recipe: Recipe, labels: pd.DataFrame, photos: Sequence[str]) -> tuple[np.ndarray, float]:
        """Train, with checkpoints in a folder of their own, and score."""
        start, scratch = time.perf_counter(), self.run.root / self.purpose
        network, _ = fine_tune(self.images, labels, recipe, self.device, self.run.root, scratch)
        seconds = time.perf_counter() - start
        scores = _score(network, self.images, photos, self.run.root / "packed")
        shutil.rmtree(scratch, ignore_errors=True)
        return scores, seconds


def _score(network: SelfieNetwork, images: Images, names: Sequence[str], packs: Path) -> np.ndarray:
    photos = open_photos(images, names, network.image_size, packs / str(network.image_size))
    return score_pack(network, photos, np.arange(len(names)))
