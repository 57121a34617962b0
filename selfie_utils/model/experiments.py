"""Would more data help, or another recipe? The same training again with one thing changed, and compared."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import combinations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from selfie_utils.core.draws import hash_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.metrics import auc_gap, mean_accuracy, mean_auc
from selfie_utils.model.recipe import Recipe, kept_recipe
from selfie_utils.posts.labels import labels_of

AS_TRAINED = "as trained"


@dataclass(frozen=True)
class Trial:
    """One training: its name, its recipe, and the share of the training users that it learns from."""

    name: str
    recipe: Recipe
    share: float = 1.0


@dataclass(frozen=True)
class Outcome:
    """What trials came to on the same test posts: labels (N,), and by name scores (N,), an array per seed."""

    labels: np.ndarray
    scores: dict[str, list[np.ndarray]]
    posts: dict[str, float]  # that it learned from, on average over the seeds
    shares: dict[str, float]


def plan_trials(base: Recipe, shares: Sequence[float], others: Sequence[str], seeds: int) -> list[Trial]:
    """List the trainings to compare: the recipe on shares of the data, and other recipes on all of it.

    `others` are texts of one or more settings, such as "dropout=0.5" or "backbone=vgg16 image_size=224". Each
    is repeated with so many seeds, the recipe's own first. Raises SelfieError for a share that is not above 0
    and at most 1, for less than one seed, and for a setting that there is not.
    """
    if seeds < 1 or not all(0 < share <= 1 for share in shares):
        raise SelfieError(
            f"shares are {list(shares)} and seeds {seeds}, expected shares above 0 and at most 1, and at "
            "least one seed."
        )
    changes = [(_share_name(share), base, share) for share in sorted({*shares, 1.0})]
    changes += [(other, base.but(other.split()), 1.0) for other in others]
    return [
        Trial(name, recipe.but({"seed": base.seed + number}), share)
        for name, recipe, share in changes
        for number in range(seeds)
    ]


def _share_name(share: float) -> str:
    return AS_TRAINED if share == 1 else f"{share:.0%} of the posts"


def part_of_users(labels: pd.DataFrame, share: float, seed: int) -> pd.DataFrame:
    """Leave so large a share of the train split, by user; a smaller share is part of a larger one."""
    train = labels["split"] == "train"
    users, posts = np.unique(labels.loc[train, "user_id"].astype("str"), return_counts=True)
    order = np.argsort(hash_names(pd.Series(users), seed))
    enough = int(np.searchsorted(posts[order].cumsum(), share * train.sum() - 0.5)) + 1
    kept = labels["user_id"].astype("str").isin(users[order[:enough]])
    return labels[~train | kept].reset_index(drop=True)


def base_recipe(run: RunFolder) -> Recipe:
    """Return how the network of a run was trained."""
    return kept_recipe(run.read_json("network/network")["recipe"])


def can_compare(run: RunFolder) -> bool:
    """Tell whether a run has posts to train on, and test posts of both labels."""
    return bool(
        (run.read_table("labels")["split"] == "train").any()
        and run.read_table("scores")["label"].dropna().nunique() == 2
    )


def run_trials(
    run: RunFolder, trials: Sequence[Trial], device: str = "auto", say: Callable[[str], None] = print
) -> Outcome:
    """Train each trial and score the test posts of a run with it.

    They are kept in experiments.parquet (see `trials`), so that each is trained once. The network that the
    run has already counts as a trial. Raises SelfieError where the run has no training posts, or no labels of
    both kinds to test on.
    """
    if not can_compare(run):
        raise SelfieError(
            f"{run.root} has no training posts, or no test posts of both labels: there is nothing to compare."
        )
    from selfie_utils.model.trials import Trials  # imports torch

    labels, test, kept = labels_of(run), run.read_table("scores"), Trials(run, "experiments", device)
    own, scores, posts = _own_recipe(run), defaultdict(list), defaultdict(list)
    for number, trial in enumerate(trials, 1):
        some = part_of_users(labels, trial.share, trial.recipe.seed)
        told = f"training {number} of {len(trials)}: {trial.name}, seed {trial.recipe.seed}"
        if (trial.recipe, trial.share) == (own, 1.0):
            found = test["score"].to_numpy()
        else:
            found, _ = kept.score(trial.recipe, some, test["image"].tolist(), partial(say, told))
        scores[trial.name].append(found)
        posts[trial.name].append((some["split"] == "train").sum())
    mean_posts = {name: float(np.mean(counts)) for name, counts in posts.items()}
    shares = {trial.name: trial.share for trial in trials}
    return Outcome(test["label"].to_numpy(int), dict(scores), mean_posts, shares)


def _own_recipe(run: RunFolder) -> Recipe | None:
    """Return how the run's network was trained, or None where the code that did it has changed since."""
    recipe = base_recipe(run)
    return recipe if run.read_json("network/network").get("made_by") == recipe.made_by() else None


def compare(outcome: Outcome) -> pd.DataFrame:
    """Judge each trial on average over its seeds, compared with the recipe as the run's network was trained.

    One row per name: posts (learned from), share (of the data), seeds, then accuracy, auc and gap (of its AUC
    to that as trained), each with low and high (95%).
    """
    rows = {}
    for name, scores in outcome.scores.items():
        rows[name] = {"posts": outcome.posts[name], "share": outcome.shares[name], "seeds": len(scores)}
        rows[name] |= _with_ends("accuracy", mean_accuracy(outcome.labels, scores))
        rows[name] |= _with_ends("auc", mean_auc(outcome.labels, scores))
        rows[name] |= _with_ends("gap", auc_gap(outcome.labels, scores, outcome.scores[AS_TRAINED]))
    return pd.DataFrame.from_dict(rows, orient="index")


def _with_ends(name: str, found: tuple[float, float, float]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), found, strict=True))


def on_shares(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the learning curve, the smallest share first."""
    return compared[(compared["share"] < 1) | (compared.index == AS_TRAINED)].sort_values("share")


def other_recipes(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of other recipes on all of the data."""
    return compared[(compared["share"] == 1) & (compared.index != AS_TRAINED)]


def agreement_of_seeds(outcome: Outcome) -> list[float]:
    """Return Spearman's correlation between the scores of any two seeds of the recipe as trained."""
    pairs = combinations(outcome.scores[AS_TRAINED], 2)
    return [float(spearmanr(one, other).statistic) for one, other in pairs]


def would_more_help(outcome: Outcome) -> str:
    """Say in Markdown what the last step of the learning curve brought, and what that means."""
    shares = {name: share for name, share in outcome.shares.items() if share < 1}
    if not shares:
        return "Only all of the posts were tried: there is no curve to read."
    last = max(shares, key=shares.__getitem__)
    gap, low, high = auc_gap(outcome.labels, outcome.scores[AS_TRAINED], outcome.scores[last])
    told = f"From {last} to all of them the AUC changed by **{gap:+.3f}** [{low:+.3f} to {high:+.3f}]: "
    if low > 0:
        return told + "more data helped, and nothing here says that still more would not."
    if high < 0:
        return told + "more data of this kind did harm, which is hard to believe: look at the recipe."
    return told + "the interval holds zero, so this test set can't tell whether more data would help."


def in_words(compared: pd.DataFrame) -> pd.DataFrame:
    """Return the comparison as texts to show, a row per name."""
    forms = {"accuracy": "{:.1%}", "auc": "{:.3f}", "gap": "{:+.3f}"}
    titles = {"accuracy": "accuracy", "auc": "AUC", "gap": "AUC, change"}
    table = pd.DataFrame({"posts": compared["posts"].map("{:,.0f}".format), "seeds": compared["seeds"]})
    for name, form in forms.items():
        ends = zip(compared[name], compared[f"{name}_low"], compared[f"{name}_high"], strict=True)
        table[titles[name]] = [f"{form} [{form} to {form}]".format(*values) for values in ends]
    table.loc[AS_TRAINED, titles["gap"]] = ""  # it is not to be compared with itself
    return table
