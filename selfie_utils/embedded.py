"""The data sets that come with the package: synthetic selfies, their posts and made-up celebrities."""

from pathlib import Path

import pandas as pd

from selfie_utils.run_folder import RunFolder, from_root

DEMO = "demo"
_DATA = Path(__file__).parent / "data"
_PATHS = {
    "posts": _DATA / "selfies" / "posts.parquet",
    "images": _DATA / "selfies" / "images.zip",
    "celebrities": _DATA / "celebrities",
}


def locate(path: str | Path, kind: str) -> Path:
    """Resolve a path against the project; `demo` means the embedded posts, images or celebrities."""
    return _PATHS[kind] if str(path) == DEMO else from_root(path)


def truth_beside(posts: Path) -> Path | None:
    """Return the planted truth that simulated posts bring in the same folder, or None for real posts."""
    path = posts.with_name("truth.parquet")
    return path if path.exists() else None


def keep_truth(posts: Path, run: RunFolder) -> None:
    """Copy the planted truth of simulated posts into the run folder; clear away that of earlier posts."""
    beside = truth_beside(posts)
    if beside:
        run.write_table("truth", pd.read_parquet(beside))
    else:
        (run.root / "truth.parquet").unlink(missing_ok=True)
