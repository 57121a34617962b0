"""A data folder: posts, their photos and, where they are simulated, the truth; `demo` is the embedded one."""

import json
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder, from_root

DEMO = "demo"
NO_CELEBRITIES = (
    "No folder of celebrities was given: `selfie reproduce --set 07_celebrities.folder=FOLDER` (or the "
    "parameter `folder`) ranks the photos of yours, which show under their file names."
)
TABLES = ("posts.parquet", "posts.csv")  # the first that is there counts
IMAGES = ("images.zip", "images")  # likewise, where no record says where the photos are
RECORD = "import.json"  # what `selfie import` leaves: where the photos lie, and what became of the source
EMBEDDED = Path(__file__).parent / "data"


@dataclass(frozen=True)
class DataFolder:
    """Where the posts table and the photos of one data folder are."""

    posts: Path  # .parquet or .csv
    images: Path  # folder or zip archive


@dataclass(frozen=True)
class Twins:
    """Scenes that were rendered twice with one thing changed: their table and their photos."""

    table: Path
    images: Path


def open_data(path: str | Path) -> DataFolder:
    """Find the posts and photos of a data folder; `demo` means the embedded one.

    Photos are where import.json says, else in images.zip, else in images/. Raises SelfieError naming what is
    missing and what makes it.
    """
    root = EMBEDDED / "selfies" if str(path) == DEMO else from_root(path)
    tables = [root / name for name in TABLES if (root / name).is_file()]
    if not tables:
        raise SelfieError(f"There is no posts table in {root}: make such a folder with `selfie import`.")
    return DataFolder(tables[0], _images_of(root))


def is_record(root: Path) -> bool:
    """Tell whether `selfie import` made a folder."""
    return (root / RECORD).is_file()


def images_in_record(root: Path) -> Path:
    """Return where a folder that `selfie import` made has its photos; SelfieError where nobody knows."""
    try:
        # A relative path counts from the data folder, so that a packed one can be moved.
        return root / json.loads((root / RECORD).read_text(encoding="utf-8"))["images"]
    except (ValueError, KeyError, TypeError):
        raise SelfieError(f"{root / RECORD} is damaged: import again into the same --out.") from None


def _images_of(root: Path) -> Path:
    places = [images_in_record(root)] if is_record(root) else [root / name for name in IMAGES]
    found = [place for place in places if place.exists()]
    if not found:
        where = " or ".join(map(str, places))
        raise SelfieError(f"The photos of {root} are not at {where}: put them there, or import again.")
    return found[0]


def locate_celebrities(path: str | Path) -> Path:
    """Resolve a folder of celebrities against the project; `demo` means the embedded, invented ones."""
    return EMBEDDED / "celebrities" if str(path) == DEMO else from_root(path)


def celebrities_of(run: RunFolder, path: str | Path) -> Path | None:
    """Return the folder of celebrities for a run; the embedded ones belong to the embedded posts only."""
    is_demo = Path(run.read_json("data")["posts"]).is_relative_to(EMBEDDED)
    return locate_celebrities(path) if is_demo or str(path) != DEMO else None


def truth_beside(posts: Path) -> Path | None:
    """Return the planted truth that simulated posts bring in the same folder, or None for real posts."""
    path = posts.with_name("truth.parquet")
    return path if path.exists() else None


def locate_twins(images: str | Path) -> Twins | None:
    """Return the twins that simulated posts bring beside their photos `images`, or None without any."""
    folder = Path(images).parent
    twins = Twins(folder / "twins.parquet", folder / "twins.zip")
    return twins if twins.table.is_file() and twins.images.is_file() else None


def keep_truth(posts: Path, run: RunFolder) -> None:
    """Copy the planted truth of simulated posts into the run folder; clear away that of earlier posts.

    Whole descriptions stay behind: photos are rendered from them, and they are larger than all the rest.
    """
    beside = truth_beside(posts)
    if beside:
        run.write_table("truth", pd.read_parquet(beside).drop(columns="description", errors="ignore"))
    else:
        run.place("truth.parquet").unlink(missing_ok=True)
