"""Score a folder of photos that stands outside the posts, such as the post's celebrity selfies."""

import subprocess
import sys
import tempfile
from pathlib import Path

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.photos.images import open_images


def score_folder(run: RunFolder, folder: Path, device: str = "auto") -> pd.DataFrame:
    """Score every photo of a folder or zip with the network of a run, best first.

    Returns image and post_id (str, both the file name), name (str, from the file name), score (float64,
    P(good)) and reason (str, why a photo could not be scored, else empty); those without a score come last.
    The network runs in a process of its own, so that the notebook itself needs no torch. Raises SelfieError
    on an empty folder.
    """
    run.need("network/model.safetensors")
    if not open_images(folder).names():
        raise SelfieError(f"{folder} holds no photo: put at least one there, or give another folder.")
    with tempfile.TemporaryDirectory() as scratch:
        out = Path(scratch) / "scores.parquet"
        _run_scoring(["folder", "--run-dir", run.root, "--images", folder, "--out", out, "--device", device])
        scores = pd.read_parquet(out)
    if scores["score"].isna().all():
        raise SelfieError(f"No file in {folder} can be read as a photo: give a folder of JPEG or PNG files.")
    scores["name"], scores["post_id"] = scores["image"].map(person), scores["image"]
    return scores.sort_values(["score", "image"], ascending=[False, True], ignore_index=True)


def person(image: str) -> str:
    """Read a name from a file name: Ada_Byte.jpg becomes Ada Byte."""
    return Path(image).stem.replace("_", " ").replace("-", " ").strip()


def _run_scoring(arguments: list) -> None:
    """Run `python -m selfie_utils.model.scoring`, passing its progress on; its last line is the error, if any."""
    command = [sys.executable, "-m", "selfie_utils.model.scoring", *map(str, arguments)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, errors="replace") as process:
        last = ""
        for line in process.stderr:
            print(line, end="", file=sys.stderr)
            last = line.strip() or last
    if process.returncode:
        raise SelfieError(f"The photos could not be scored: {last.removeprefix('Error: ')}")
