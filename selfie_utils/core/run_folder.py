"""The run folder: the only interface between notebooks."""

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from selfie_utils.core.artefacts import check_declared, maker_of
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked, write_json, write_table
from selfie_utils.core.given import check_given

METRICS = "metrics.json"
PATIENCE = 30.0  # seconds to wait for another notebook that writes there
LIBRARY = Path(__file__).parents[1]  # the folder selfie_utils


def project_root() -> Path:
    """Find the project that we are in: the nearest folder upwards that holds notebooks/parameters.

    Without one it is the current folder.
    """
    here = Path.cwd()
    return next(filter(_holds_notebooks, (here, *here.parents)), here)


def shipped_root() -> Path:
    """Return the folder that holds the notebooks which came with the library.

    A wheel brings them inside the library; in a clone they lie beside it.
    """
    return next(filter(_holds_notebooks, (LIBRARY, LIBRARY.parent)), LIBRARY)


def notebooks_root() -> Path:
    """Return the folder whose notebooks run here: the project, else what came with the library."""
    return project_root() if _holds_notebooks(project_root()) else shipped_root()


def _holds_notebooks(folder: Path) -> bool:
    return (folder / "notebooks" / "parameters").is_dir()


def from_root(path: str | Path) -> Path:
    """Resolve a relative path against the project, so that a notebook and a shell mean the same file."""
    return project_root() / Path(path).expanduser()


@dataclass(frozen=True)
class RunFolder:
    """Everything one reproduction makes, by name."""

    root: Path

    def place(self, name: str) -> Path:
        """Return the path of artefact `name`, there or not; raise SelfieError where it is not declared."""
        check_declared(name)
        return self.root / name

    def need(self, name: str) -> Path:
        """Return the path of artefact `name`; raise SelfieError naming the notebook that makes it."""
        path = self.place(name)
        if not path.exists():
            maker = maker_of(name, notebooks_root() / "notebooks")
            raise SelfieError(f"{path} is missing: run notebooks/{maker}.ipynb on this run folder first.")
        return path

    def damaged(self, name: str) -> SelfieError:
        """Return the error that says that an artefact can't be read, and which notebook makes it."""
        maker = maker_of(name, notebooks_root() / "notebooks")
        return SelfieError(
            f"{self.place(name)} is damaged: run notebooks/{maker}.ipynb on this run folder again."
        )

    def read_table(self, name: str) -> pd.DataFrame:
        """Read a Parquet table of this run; raise SelfieError where it is missing or damaged."""
        path = self.need(f"{name}.parquet")
        try:
            return pd.read_parquet(path)
        except (OSError, ValueError):  # which those of pyarrow are
            raise self.damaged(f"{name}.parquet") from None

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write a Parquet table of this run, whole or not at all."""
        check_declared(f"{name}.parquet", written=True)
        write_table(self.place(f"{name}.parquet"), table)

    def read_json(self, name: str) -> dict[str, Any]:
        """Read a JSON file of this run; raise SelfieError where it is missing or damaged."""
        path = self.need(f"{name}.json")
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError:
            raise self.damaged(f"{name}.json") from None

    def write_json(self, name: str, content: dict[str, Any]) -> None:
        """Write a JSON file of this run, whole or not at all."""
        check_declared(f"{name}.json", written=True)
        write_json(self.place(f"{name}.json"), content)

    def read_features(self) -> np.ndarray:
        """Map fc7 of the scored posts into memory: float32 (N, D), rows as in scores.parquet."""
        return np.load(self.need("features.npy"), mmap_mode="r")

    def read_truth(self) -> pd.DataFrame | None:
        """Read the planted truth of simulated posts, or None: real posts have none."""
        return self.read_table("truth") if self.place("truth.parquet").exists() else None

    def told_of_transfer(self) -> str:
        """Return the line that 01_train has left where the network was taught elsewhere, else nothing."""
        path = self.place("transfer.json")
        try:
            told = json.loads(path.read_text(encoding="utf-8"))["told"]
        except (OSError, ValueError, KeyError, TypeError):
            return ""
        return told if isinstance(told, str) else ""

    def read_metrics(self) -> dict[str, dict]:
        """Read the metrics that the notebooks have left so far, by notebook; raise SelfieError if damaged."""
        path = self.root / METRICS
        try:
            metrics = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError:
            metrics = None
        if not isinstance(metrics, dict):
            raise SelfieError(
                f"{path} is damaged: run `selfie reproduce --force` on it, which writes it anew."
            )
        return metrics

    def write_metrics(self, notebook: str, metrics: dict) -> None:
        """Keep the headline figures of one notebook, next to the others'; damaged ones are dropped."""
        told = f"Process {{process}} is writing {self.root / METRICS}: run this again when it has ended."
        with locked(self.root / f".{METRICS}.lock", told, PATIENCE):
            others: dict[str, dict] = {}
            with suppress(SelfieError):
                others = self.read_metrics()
            write_json(self.root / METRICS, {**others, notebook: metrics})


def create_run(run_dir: str | Path) -> RunFolder:
    """Open a run folder, making it where it is missing; only 00_data does this."""
    root = from_root(run_dir)
    if root.exists() and not root.is_dir():
        raise SelfieError(f"{root} is a file, not a folder: choose another run_dir.")
    root.mkdir(parents=True, exist_ok=True)
    return RunFolder(root)


def open_run(run_dir: str | Path) -> RunFolder:
    """Open a run folder that 00_data has made; raise SelfieError where there is none."""
    check_given()  # here, since every notebook but 00_data begins with this
    root = from_root(run_dir)
    if not root.is_dir():
        raise SelfieError(
            f"There is no run folder {root}: run notebooks/00_data.ipynb with this run_dir first."
        )
    return RunFolder(root)
