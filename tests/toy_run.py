"""A run folder with a tiny network and 80 test posts, which answers for photos in milliseconds."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from toy_posts import toy

from selfie_utils.analysis.answer import Rater
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.scorer import Scorer

POSTS = 80


def make_run(root: Path, simulated: bool = True) -> RunFolder:
    """Write all that answers are made from; ids and rows are shuffled, 3 labels are not known."""
    (root / "photos").mkdir(parents=True)
    (root / "network").mkdir()
    rng = np.random.default_rng(5)
    order = rng.permutation(POSTS)
    for i in order:
        blocks = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        photo = Image.fromarray(blocks).resize((40, 52), Image.Resampling.NEAREST)
        photo.save(root / "photos" / f"{i}.png")
    names = [f"{i}.png" for i in order]
    rated = Scorer(toy(), "cpu").rate([root / "photos" / name for name in names])
    label = pd.array(rng.random(POSTS) < rated.score, "boolean").astype("Int64")
    label[:3] = pd.NA
    scores = pd.DataFrame({"post_id": [f"p{i}" for i in order], "image": names})
    scores["user_id"] = [f"u{i % 37}" for i in order]
    scores.assign(label=label, score=rated.score).to_parquet(root / "scores.parquet")
    np.save(root / "features.npy", rated.fc7)
    (root / "data.json").write_text(json.dumps({"images": str(root / "photos")}))
    teachers = {"run": "toy", "simulated": simulated, "elsewhere": False}
    (root / "network" / "network.json").write_text(json.dumps({"teachers": teachers}))
    if simulated:
        pd.DataFrame({"post_id": scores["post_id"]}).to_parquet(root / "truth.parquet")
    return RunFolder(root)


def open_rater(root: str | Path) -> Rater:
    """Open such a run folder as a notebook would."""
    return Rater(RunFolder(Path(root)), scorer=Scorer(toy(), "cpu"), evaluations=24)
