"""Is fine-tuning worth it on few posts? Five-fold AUC, beside a logistic regression on frozen fc7.

    python benchmarks/cross_validation.py runs/mine [--folds 5] [settings such as epochs=3]

The run folder needs 00_data only. Folds go by user; in each, a tenth of the other users' posts validate. The
logistic regression sees fc7 as ImageNet left it, and chooses its penalty by cross-validation among the posts
that it learns from. Every post is scored once, by networks that never saw its user; the paired bootstrap says
whether the difference is more than luck.
"""

import argparse

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegressionCV
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from selfie_utils.core.run_folder import open_run
from selfie_utils.model.metrics import auc_interval
from selfie_utils.model.network import build_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer
from selfie_utils.model.training import fine_tune
from selfie_utils.photos.images import open_images
from selfie_utils.posts.labels import labels_of

PENALTIES = np.logspace(-5, 0, 11)


def cross_validate(run_dir: str, folds: int, recipe: Recipe) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return labels (N,) and what each way scores the posts that it did not learn from (N,)."""
    run = open_run(run_dir)
    labels = labels_of(run)
    photos = open_images(run.read_json("data")["images"])
    fc7 = Scorer(build_network(recipe)).rate_named(photos, labels["image"].tolist())[0].fc7
    found = {"fine-tuned": np.empty(len(labels)), "frozen fc7": np.empty(len(labels))}
    split = GroupKFold(folds, shuffle=True, random_state=recipe.seed)
    for train, test in split.split(fc7, groups=labels["user_id"]):
        model = LogisticRegressionCV(Cs=PENALTIES, scoring="roc_auc", max_iter=1000)
        model = make_pipeline(StandardScaler(), model).fit(
            fc7[train], labels["label"].iloc[train].astype(int)
        )
        found["frozen fc7"][test] = model.predict_proba(fc7[test])[:, 1]
        sides = pd.Series("test", index=labels.index)
        sides.iloc[train] = "train"
        users = labels["user_id"].iloc[train].drop_duplicates().sample(frac=0.1, random_state=recipe.seed)
        sides[labels["user_id"].isin(users)] = "validation"
        network, _ = fine_tune(photos, labels.assign(split=sides), recipe)
        rated, _ = Scorer(network).rate_named(photos, labels["image"].iloc[test].tolist())
        found["fine-tuned"][test] = rated.score
    return labels["label"].to_numpy(int), found


def main(run_dir: str, folds: int, recipe: Recipe) -> None:
    """Print the table."""
    truth, found = cross_validate(run_dir, folds, recipe)
    for name, scores in found.items():
        print("{:<12} AUC {:.3f} [{:.3f} to {:.3f}]".format(name, *auc_interval(truth, scores)))
    rng, gaps = np.random.default_rng(0), []
    for _ in range(2000):
        rows = rng.integers(0, len(truth), len(truth))
        gaps.append(np.subtract(*(roc_auc_score(truth[rows], scores[rows]) for scores in found.values())))
    low, high = np.percentile(gaps, [2.5, 97.5])
    print(f"fine-tuned minus frozen: {np.mean(gaps):+.3f} [{low:+.3f} to {high:+.3f}]")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Cross-validate fine-tuning against frozen features.")
    parser.add_argument("run")
    parser.add_argument("settings", nargs="*")
    parser.add_argument("--folds", type=int, default=5)
    given = parser.parse_args()
    main(given.run, given.folds, Recipe().but(given.settings))
