"""Choose a recipe by trying some, judged on posts that are not the test's: `selfie tune`."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import log_loss
from sklearn.model_selection import GroupKFold

from selfie_utils.core.draws import hash_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.metrics import auc_gap, auc_interval, share_of_oracle
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.trials import Trials
from selfie_utils.photos.copies import find_no_copies, tie_users
from selfie_utils.posts.labels import labels_of, oracle

LEARNING_RATES = (1e-4, 1e-3)  # between these, evenly by their logarithm
EPOCHS = (2, 3, 4, 5)
SIZES = (96, 128, 160)  # px
TARGETS = ("labels", "ranks")
STOPPING = 0.1  # share of the users of other folds that choose the epoch and the temperature
PARAMETERS = ("backbone", "weights", "image_size", "epochs", "batch_size", "learning_rate")  # of 01_train
AS_IT_IS = "as it is"
OF_ORACLE = ("share_of_oracle", "share_of_oracle_low", "share_of_oracle_high")


def draw_changes(trials: int, seed: int = 0) -> list[str]:
    """Draw changes of a recipe at random, as texts; more trials only add to fewer."""
    changes = []
    for trial in range(1, trials + 1):
        rng = np.random.default_rng([seed, trial])
        rate = float(f"{np.exp(rng.uniform(*np.log(LEARNING_RATES))):.1e}")
        drawn = {"learning_rate": rate, "epochs": rng.choice(EPOCHS)}
        drawn |= {"image_size": rng.choice(SIZES), "targets": rng.choice(TARGETS)}
        changes.append(" ".join(f"{name}={value}" for name, value in drawn.items()))
    return changes


def tune(
    run: RunFolder,
    base: Recipe,
    changes: Sequence[str],
    folds: int = 0,
    device: str = "auto",
    say: Callable[[str], None] = print,
) -> pd.DataFrame:
    """Train as `base` says, and again with each change of it, and judge by posts that are not the test's.

    A change is a text such as "image_size=160 epochs=2". Judged are the validation posts, or, with two
    `folds` or more, all training and validation posts, each by a network that learned from other folds; folds
    are drawn by user. Returns one row per trial, the best first: changes, loss (cross-entropy), auc; gap, low
    and high (of its AUC to that of `base`, 95%); share_of_oracle and its two ends, _low and _high (95%; nan
    where the truth is not known); seconds.

    The interval allows for the luck of the posts: each recipe is trained once, and the best of many looks
    better than it is. Without folds the validation posts also choose the epoch and the temperature.

    Trials are kept in tuning.parquet of the run folder: one that is there is not trained again, and one that
    was killed goes on where it was. Raises SelfieError where there are no such posts.
    """
    told = f"Process {{process}} is tuning in {run.root}: wait for it."
    with locked(run.root / ".tune.lock", told):
        return _tune(run, base, changes, folds, device, say)


def _tune(
    run: RunFolder, base: Recipe, changes: Sequence[str], folds: int, device: str, say: Callable[[str], None]
) -> pd.DataFrame:
    recipes = {AS_IT_IS: base} | {change: base.but(change.split()) for change in changes}
    splits = _splits(run, folds)
    judged = pd.concat([table[table["split"] == "judged"] for table in splits])
    truth, best = judged["label"].to_numpy(int), _oracle(run, judged)
    tried = Trials(run, "tuning", device)
    rows: list[dict[str, Any]] = []
    for number, (change, recipe) in enumerate(recipes.items(), 1):
        parts = [
            tried.score(recipe, table, table.loc[table["split"] == "judged", "image"].tolist())
            for table in splits
        ]
        scores = np.concatenate([part for part, _ in parts])
        first = rows[0]["scores"] if rows else scores
        row = {"changes": change, "scores": scores, "seconds": sum(seconds for _, seconds in parts)}
        row |= _judge(truth, scores, first) | dict(
            zip(OF_ORACLE, share_of_oracle(truth, scores, best), strict=True)
        )
        rows.append(row)
        say(f"trial {number} of {len(recipes)}: {change}: loss {row['loss']:.4f}, AUC {row['auc']:.3f}")
    return pd.DataFrame(rows).drop(columns="scores").sort_values("loss", ignore_index=True)


def _judge(truth: np.ndarray, scores: np.ndarray, first: np.ndarray) -> dict[str, float]:
    """Return loss and AUC of scores, and by how much the AUC differs from that of the first trial."""
    auc = auc_interval(truth, scores)[0]  # nan where a class is missing
    gap = (np.nan,) * 3 if np.isnan(auc) else auc_gap(truth, [scores], [first])
    found = {"loss": log_loss(truth, scores, labels=[0, 1]), "auc": auc}
    return found | dict(zip(("gap", "low", "high"), gap, strict=True))


def _oracle(run: RunFolder, judged: pd.DataFrame) -> np.ndarray:
    """Return what nobody could beat; the same for all, which is chance, where the truth is not known."""
    truth = run.read_truth()
    if truth is None:
        return np.zeros(len(judged))
    everyone = labels_of(run)
    best = oracle(everyone, truth).set_axis(everyone["post_id"])
    return judged["post_id"].map(best).to_numpy()


def _splits(run: RunFolder, folds: int) -> list[pd.DataFrame]:
    """Return all labels but the test's, once or once a fold: train, validation, and those to be judged."""
    labels = labels_of(run)
    known = labels[labels["split"] != "test"].reset_index(drop=True)
    if folds == 1 or folds < 0:
        raise SelfieError(f"folds is {folds}, expected 2 or more, or 0 to judge by the validation posts.")
    if not folds:
        return [_judged_twice(run, known)]
    units = _units(run, known)
    if units.nunique() < folds:
        raise SelfieError(f"{units.nunique()} users cannot be dealt into {folds} folds: ask for fewer.")
    dealt = GroupKFold(folds, shuffle=True, random_state=0).split(known, groups=units)
    return [known.assign(split=_sides(units, judged)) for _, judged in dealt]


def _sides(units: pd.Series, judged: np.ndarray) -> np.ndarray:
    """Return the split of each post: those at `judged`, and of other users a few for validation."""
    lots = hash_names(units)
    others = np.unique(np.delete(lots, judged))
    last = others[max(1, round(STOPPING * len(others))) - 1]
    sides = np.where(lots <= last, "validation", "train").astype(object)
    sides[judged] = "judged"
    return sides


def _judged_twice(run: RunFolder, known: pd.DataFrame) -> pd.DataFrame:
    """Return labels whose validation posts are the ones to be judged too."""
    judged = known[known["split"] == "validation"].assign(split="judged")
    if judged.empty:
        raise SelfieError(f"{run.root} has no validation posts to judge recipes by: label more posts.")
    return pd.concat([known, judged], ignore_index=True)


def _units(run: RunFolder, labels: pd.DataFrame) -> pd.Series:
    """Return who must not stand on two sides: users, and those who posted copies of the same photo as one."""
    users, path = labels["user_id"].astype("str"), run.root / "copies.parquet"
    copies = pd.read_parquet(path) if path.exists() else find_no_copies()
    return tie_users(users, copies[copies["post_id"].isin(labels["post_id"])]).astype("str")


def table_in_words(trials: pd.DataFrame, base: Recipe) -> str:
    """Write the trials as a table, and the best of them as lines for a parameter file."""
    columns = {"changes": trials["changes"]}
    columns |= {name: trials[name].map("{:.4f}".format) for name in ("loss", "auc")}
    ends = zip(trials["gap"], trials["low"], trials["high"], strict=True)
    columns["compared with the first"] = ["{:+.4f} [{:+.4f} to {:+.4f}]".format(*values) for values in ends]
    if trials["share_of_oracle"].notna().all():
        ways = zip(*(trials[name] for name in OF_ORACLE), strict=True)
        columns["of the way to the oracle"] = ["{:.1%} [{:.1%} to {:.1%}]".format(*values) for values in ways]
    columns["seconds"] = trials["seconds"].map("{:.0f}".format)
    best = trials["changes"][0]
    recipe = base if best == AS_IT_IS else base.but(best.split())
    table = pd.DataFrame(columns).to_string(index=False)
    return "\n".join([table, "", "The best for a parameter file:", *_parameter_lines(recipe)])


def _parameter_lines(recipe: Recipe) -> list[str]:
    """Write a recipe as the parameters of 01_train, where it differs from what they are by default."""
    usual, ours = asdict(Recipe()), asdict(recipe)
    changed = {name: value for name, value in ours.items() if value != usual[name] and name != "seed"}
    changed |= {
        name: np.format_float_positional(value, trim="0")  # YAML takes 5e-05 for a text
        for name, value in changed.items()
        if isinstance(value, float)
    }
    lines = [f"    {name}: {value}" for name, value in changed.items() if name in PARAMETERS]
    settings = [f'"{name}={value}"' for name, value in changed.items() if name not in PARAMETERS]
    return ["  01_train:", *lines, *([f"    settings: [{', '.join(settings)}]"] if settings else [])]
