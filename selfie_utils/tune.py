"""Choose a recipe by trying some at random, judged on the validation split only: `selfie tune`."""

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score

from selfie_utils.errors import SelfieError
from selfie_utils.files import write_table
from selfie_utils.images import open_images
from selfie_utils.labels import labels_of
from selfie_utils.recipe import Recipe
from selfie_utils.run_folder import RunFolder
from selfie_utils.scoring import score_images
from selfie_utils.training import fine_tune

LEARNING_RATES = (1e-4, 1e-3)  # between these, evenly by their logarithm
EPOCHS = (2, 3, 4, 5)
SIZES = (96, 128, 160)  # px
TARGETS = ("labels", "ranks")
TRIED = ["learning_rate", "epochs", "image_size", "targets"]


def draw_recipes(base: Recipe, trials: int, seed: int = 0) -> list[Recipe]:
    """Draw recipes at random; the first is `base` itself, and more trials only add to fewer."""
    recipes = [base]
    for trial in range(1, trials):
        rng = np.random.default_rng([seed, trial])
        rate = float(np.exp(rng.uniform(*np.log(LEARNING_RATES))))
        drawn = {"learning_rate": float(f"{rate:.1e}"), "epochs": int(rng.choice(EPOCHS))}
        drawn |= {"image_size": int(rng.choice(SIZES)), "targets": str(rng.choice(TARGETS))}
        recipes.append(base.but(drawn))
    return recipes


def tune(
    run: RunFolder, base: Recipe, trials: int, device: str = "auto", say: Callable[[str], None] = print
) -> pd.DataFrame:
    """Train with each of some recipes and see how it does on the validation split; nothing of the test split.

    Returns one row a trial, the best first: the settings that were tried, loss (cross-entropy), auc, seconds.
    Trials are kept in tuning.parquet of the run folder: one that is there is not trained again, and one that
    was killed goes on where it was. Raises SelfieError where the run has no validation posts.
    """
    labels = labels_of(run)
    photos = open_images(run.read_json("data")["images"])
    if not (labels["split"] == "validation").any():
        raise SelfieError(f"{run.root} has no validation posts to judge recipes by: label more posts.")
    path = run.root / "tuning.parquet"
    known = pd.read_parquet(path).to_dict("records") if path.exists() else []
    rows = []
    for number, recipe in enumerate(draw_recipes(base, trials, base.seed), 1):
        row = next((row for row in known if row["recipe"] == str(recipe)), None)
        if row is None:
            row = _try(run, photos, labels, recipe, device)
            known.append(row)
            write_table(path, pd.DataFrame(known))
        rows.append(row)
        tried = ", ".join(f"{name} {row[name]}" for name in TRIED)
        say(f"trial {number} of {trials}: {tried}: loss {row['loss']:.4f}, AUC {row['auc']:.3f}")
    return pd.DataFrame(rows).sort_values("loss", ignore_index=True)


def _try(run: RunFolder, photos, labels: pd.DataFrame, recipe: Recipe, device: str) -> dict:
    """Train with one recipe and judge it."""
    start = time.perf_counter()
    scratch = run.root / "tuning"
    network, history = fine_tune(photos, labels, recipe, device, run.root, checkpoints=scratch)
    seconds = time.perf_counter() - start
    shutil.rmtree(scratch, ignore_errors=True)
    validation = labels[labels["split"] == "validation"]
    scores, _, _ = score_images(network, photos, validation["image"].tolist(), device)
    truth = validation["label"].astype(int)
    one_class = truth.nunique() < 2
    found = {"recipe": str(recipe), **{name: asdict(recipe)[name] for name in TRIED}}
    found |= {"best_epoch": int(history["validation_loss"].idxmin()) + 1}
    found |= {"loss": log_loss(truth, scores, labels=[0, 1])}
    return found | {"auc": np.nan if one_class else roc_auc_score(truth, scores), "seconds": seconds}


def table_in_words(trials: pd.DataFrame) -> str:
    """Write the trials as a table, and the best of them as lines for a parameter file."""
    shown = trials[[*TRIED, "best_epoch", "loss", "auc", "seconds"]]
    best = trials.to_dict("records")[0]
    lines = [f"    {name}: {best[name]}" for name in ("image_size", "epochs", "learning_rate")]
    settings = f'    settings: ["targets={best["targets"]}"]'
    table = shown.to_string(index=False, float_format="{:.4g}".format)
    return "\n".join([table, "", "The best for a parameter file:", "  01_train:", *lines, settings])
