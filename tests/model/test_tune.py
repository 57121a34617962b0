"""Recipes are drawn by seed, judged on posts that are not the test's, and never tried twice."""

import os
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score
from test_processes import make_run

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
from selfie_utils.core.run_folder import create_run
from selfie_utils.model import trials
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.tune import draw_changes, table_in_words, tune
from selfie_utils.posts.labels import fingerprint

BASE = Recipe(image_size=32, epochs=1, batch_size=8, seed=2)
SURE, BETTER = "learning_rate=0.001 epochs=2", "targets=ranks"
# How a recipe does here: what a label adds to the log-odds, and what both are multiplied by. Who is too sure
# of itself has the best AUC and the worst loss.
SKILL = {BASE: (0.1, 1), BASE.but(SURE.split()): (0.7, 18), BASE.but([BETTER]): (0.5, 1)}


@pytest.fixture
def run(tmp_path):
    """A run with 67 posts, in no order, of 34 users: 20 to train, 41 for validation, 6 for the test."""
    rng, run = np.random.default_rng(0), create_run(tmp_path / "run")
    labels = pd.DataFrame({"post_id": [str(3 * i) for i in rng.permutation(67)]})
    labels["image"] = labels["post_id"] + ".jpg"
    labels["user_id"] = [f"u{i // 2}" for i in range(67)]
    labels = labels.assign(label=rng.integers(0, 2, 67), group=np.arange(67) % 3)
    labels["split"] = ["train"] * 20 + ["validation"] * 41 + ["test"] * 6
    run.write_table("labels", labels)
    run.write_table("posts", labels[["post_id", "image"]])
    (tmp_path / "photos").mkdir()
    run.write_json("data", {"images": str(tmp_path / "photos")})
    return run


@pytest.fixture
def tried(run, monkeypatch):
    """The trainings asked for: (recipe, labels) of each. A network that is trained is its recipe here."""
    asked = []

    def train(photos, labels, recipe, device, folder, checkpoints):
        assert (photos.root, device) == (run.root.parent / "photos", "cpu")
        assert (folder, checkpoints) == (run.root, run.root / "tuning")
        checkpoints.mkdir()
        asked.append((recipe, labels))
        return recipe, None

    def score(recipe, photos, names, packs):
        assert (photos.root, packs) == (run.root.parent / "photos", run.root / "packed")
        return scores_of(run.read_table("labels"), recipe)[names].to_numpy()

    monkeypatch.setattr(trials, "fine_tune", train)
    monkeypatch.setattr(trials, "_score", score)
    return asked


def scores_of(labels, recipe):
    """The scores of all posts by their photo."""
    by_photo = labels.sort_values("image").set_index("image")["label"]
    noise = np.random.default_rng(1).normal(size=len(by_photo))
    skill, sure = SKILL[recipe]
    return 1 / (1 + np.exp(-sure * (skill * (2 * by_photo - 1) + noise)))


def judge_by_hand(run, splits):
    """What the recipes come to on the posts of some splits, by another way: {recipe: (loss, AUC)}."""
    labels = run.read_table("labels")
    found = {}
    for recipe in SKILL:
        scores = scores_of(labels, recipe)
        judged = labels[labels["split"].isin(splits)]
        p, truth = scores[judged["image"]].to_numpy(), judged["label"].to_numpy()
        found[recipe] = -np.log(np.where(truth == 1, p, 1 - p)).mean(), roc_auc_score(truth, p)
    return found


# --- judging -----------------------------------------------------------------------------------------------


def test_recipes_are_judged_on_validation_posts_and_the_lowest_loss_comes_first(run, tried):
    told = []
    table = tune(run, BASE, [SURE, BETTER], device="cpu", say=told.append)
    (loss, auc), (sure_loss, sure_auc), (better_loss, better_auc) = judge_by_hand(
        run, ["validation"]
    ).values()
    assert better_loss < loss < sure_loss and sure_auc > better_auc > auc  # no two orders are the same
    assert table["changes"].tolist() == [BETTER, "as it is", SURE] and table.index.tolist() == [0, 1, 2]
    assert table["loss"].tolist() == pytest.approx([better_loss, loss, sure_loss])
    assert table["auc"].tolist() == pytest.approx([better_auc, auc, sure_auc])
    assert table["gap"].tolist() == pytest.approx([better_auc - auc, 0, sure_auc - auc])
    assert (table["low"] <= table["gap"]).all() and (table["gap"] <= table["high"]).all()
    assert table.loc[1, ["low", "high"]].tolist() == [0, 0] and (table["low"] < table["high"]).sum() == 2
    assert (
        table[["share_of_oracle", "share_of_oracle_low", "share_of_oracle_high"]].isna().all(axis=None)
    )  # nobody knows the truth here
    assert list(table) == [
        "changes", "seconds", "loss", "auc", "gap", "low", "high",
        "share_of_oracle", "share_of_oracle_low", "share_of_oracle_high",
    ]  # fmt: skip
    assert told == [
        f"trial 1 of 3: as it is: loss {loss:.4f}, AUC {auc:.3f}",
        f"trial 2 of 3: {SURE}: loss {sure_loss:.4f}, AUC {sure_auc:.3f}",
        f"trial 3 of 3: {BETTER}: loss {better_loss:.4f}, AUC {better_auc:.3f}",
    ]
    assert [recipe for recipe, _ in tried] == list(SKILL) and not (run.root / "tuning").exists()
    for _, labels in tried:
        assert Counter(labels["split"]) == {"train": 20, "validation": 41, "judged": 41}
        judged, known = (set(labels.loc[labels["split"] == s, "post_id"]) for s in ("judged", "validation"))
        assert judged == known and "rank" in labels
    kept = run.read_table("tuning")
    assert table["seconds"].sum() == pytest.approx(kept["seconds"].sum()) and (kept["seconds"] >= 0).all()
    assert kept["recipe"].tolist() == [str(recipe) for recipe in SKILL]


def test_test_posts_have_no_say(run, tried):
    table = tune(run, BASE, [SURE], device="cpu")
    labels = run.read_table("labels")
    run.write_table("labels", labels[labels["split"] != "test"])
    again = tune(run, BASE, [SURE], device="cpu")
    assert again["loss"].equals(table["loss"]) and len(tried) == 2  # not even trained again


def test_where_one_label_is_missing_there_is_a_loss_and_no_auc(run, tried):
    labels = run.read_table("labels")
    run.write_table("labels", labels.assign(label=labels["label"].where(labels["split"] == "train", 1)))
    found = tune(run, BASE, [], device="cpu").iloc[0]
    judged = labels.loc[labels["split"] == "validation", "image"]
    p = scores_of(run.read_table("labels"), BASE)[judged]
    assert found["loss"] == pytest.approx(-np.log(p).mean())
    assert found[["auc", "gap", "low", "high", "share_of_oracle"]].isna().all()


@pytest.mark.parametrize("folds", [0, 3])
def test_where_the_truth_is_known_the_way_to_the_oracle_is_told(run, tried, folds):
    labels = run.read_table("labels")
    # Who is above the median of its group should be good; what the group adds says nothing.
    rng = np.random.default_rng(2)
    appeal = rng.normal(size=67) + labels["label"] + 100 * labels["group"]
    truth = pd.DataFrame({"post_id": labels["post_id"], "appeal": appeal})
    run.write_table("truth", truth.sample(frac=1, random_state=0))
    found = tune(run, BASE, [], folds=folds, device="cpu").iloc[0]
    best = appeal - appeal.groupby(labels["group"]).transform("median")
    judged = labels[labels["split"].isin(["train", "validation"] if folds else ["validation"])]
    area = roc_auc_score(judged["label"], best[judged.index])
    assert found["share_of_oracle"] == pytest.approx((found["auc"] - 0.5) / (area - 0.5)) and 0.5 < area < 1
    assert found["share_of_oracle_low"] < found["share_of_oracle"] < found["share_of_oracle_high"]


def test_a_training_and_the_scores_of_its_photos_fit_together(tmp_path):
    run, labels, _ = make_run(tmp_path)
    table = tune(run, Recipe(image_size=32, epochs=1, batch_size=8), [], device="cpu")
    assert len(table) == 1 and 0 < table["loss"][0] < 2 and 0 < table["auc"][0] < 1
    assert len(run.read_table("tuning")["scores"][0]) == (labels["split"] == "validation").sum()


# --- folds -------------------------------------------------------------------------------------------------


def test_folds_judge_every_post_but_the_tests_by_a_network_that_did_not_know_its_user(run, tried):
    labels = run.read_table("labels")
    taught = labels[labels["split"] != "test"]
    table = tune(run, BASE, [SURE], folds=3, device="cpu")
    found = judge_by_hand(run, ["train", "validation"])
    for change, recipe in (("as it is", BASE), (SURE, BASE.but(SURE.split()))):
        row = table[table["changes"] == change].iloc[0]
        assert (row["loss"], row["auc"]) == pytest.approx(found[recipe])
    assert len(tried) == 6
    judged = [table[table["split"] == "judged"] for _, table in tried]
    assert sorted(pd.concat(judged[:3])["post_id"]) == sorted(taught["post_id"])
    assert [fold["post_id"].tolist() for fold in judged[:3]] == [f["post_id"].tolist() for f in judged[3:]]
    for (_, fold), test in zip(tried, judged, strict=True):
        assert fold["post_id"].tolist() == taught["post_id"].tolist()
        others = fold[fold["split"] != "judged"]
        assert not set(test["user_id"]) & set(others["user_id"])
        assert (others.groupby("user_id")["split"].nunique() == 1).all()
        # A tenth of the users of other folds, 20 or 21, choose the epoch.
        assert others.loc[others["split"] == "validation", "user_id"].nunique() == 2
        assert others.loc[others["split"] == "train", "user_id"].nunique() in (18, 19)
        assert test["user_id"].nunique() in (10, 11)
    seconds = run.read_table("tuning")["seconds"]
    assert table.set_index("changes")["seconds"][["as it is", SURE]].tolist() == pytest.approx(
        [seconds[:3].sum(), seconds[3:].sum()]
    )
    tune(run, BASE, [SURE], folds=3, device="cpu")
    assert len(tried) == 6
    tune(run, BASE, [], folds=2, device="cpu")
    assert len(tried) == 8


def test_of_few_users_one_chooses_the_epoch(run, tried):
    labels = run.read_table("labels")
    run.write_table("labels", labels.assign(user_id=labels.index % 4))
    tune(run, BASE, [], folds=4, device="cpu")
    for _, fold in tried:
        sides = fold.groupby("split")["user_id"].nunique()
        assert sides.to_dict() == {"judged": 1, "train": 2, "validation": 1}


def test_users_who_posted_the_same_photo_stand_on_one_side(run, tried):
    labels = run.read_table("labels")
    run.write_table("labels", labels.assign(user_id=[f"u{i % 4}" for i in range(67)]))
    copies = pd.DataFrame(
        {
            "post_id": labels["post_id"][[0, 1, 62, 63]],  # the last two are test posts
            "user_id": ["u0", "u1", "u2", "u3"], "set": [0, 0, 1, 1], "first": [True, False] * 2,
        }
    )  # fmt: skip
    run.write_table("copies", copies.assign(image=copies["post_id"] + ".jpg"))
    with pytest.raises(SelfieError, match="3 users cannot be dealt into 4 folds: ask for fewer"):
        tune(run, BASE, [], 4, "cpu")
    tune(run, BASE, [], folds=3, device="cpu")
    judged = [set(fold.loc[fold["split"] == "judged", "user_id"]) for _, fold in tried]
    assert sorted(map(sorted, judged)) == [["u0", "u1"], ["u2"], ["u3"]]


@pytest.mark.parametrize(
    ("folds", "told"),
    [
        (0, "no validation posts to judge recipes by"),
        (1, "folds is 1, expected 2 or more, or 0"),
        (-1, "folds is -1, expected 2 or more, or 0"),
        (11, "10 users cannot be dealt into 11 folds"),
    ],
)
def test_too_few_posts_to_judge_by_are_refused(run, tried, folds, told):
    labels = run.read_table("labels")
    run.write_table("labels", labels[labels["split"] != "validation"])
    with pytest.raises(SelfieError, match=told):
        tune(run, BASE, [], folds, "cpu")
    assert not tried


# --- never twice -------------------------------------------------------------------------------------------


def test_a_trial_is_made_again_only_where_recipe_labels_or_splits_are_others(run, tried):
    labels = run.read_table("labels")
    tune(run, BASE, [SURE], device="cpu")
    tune(run, BASE, [BETTER, SURE], device="cpu")
    assert [recipe for recipe, _ in tried] == [BASE, BASE.but(SURE.split()), BASE.but([BETTER])]
    sides = labels["split"].to_numpy()
    for other in (
        labels.assign(label=1 - labels["label"]),
        labels.assign(image="other_" + labels["image"]),
        labels.assign(split=np.roll(sides[:61], 1).tolist() + sides[61:].tolist()),
    ):
        before = len(tried)
        run.write_table("labels", other)
        tune(run, BASE, [], device="cpu")
        tune(run, BASE, [], device="cpu")
        assert len(tried) == before + 1
    before = len(tried)
    run.write_table("labels", labels)
    tune(run, BASE, [BETTER], device="cpu")
    assert len(tried) == before  # what was tried meanwhile has not pushed it out
    assert fingerprint(labels) != fingerprint(other)


def test_a_trial_that_was_killed_is_made_again_and_none_before_it(run, tried, monkeypatch):
    train = trials.fine_tune

    def killed(*given, **named):
        train(*given, **named)
        if len(tried) == 3:
            (run.root / "tuning" / "000000001.pt").touch()
            raise KeyboardInterrupt
        return given[2], None

    with monkeypatch.context() as patch:
        patch.setattr(trials, "fine_tune", killed)
        with pytest.raises(KeyboardInterrupt):
            tune(run, BASE, [SURE], folds=2, device="cpu")
    assert len(run.read_table("tuning")) == 2
    assert (run.root / "tuning" / "000000001.pt").exists()  # to go on with
    (run.root / "tuning" / "000000001.pt").unlink()
    (run.root / "tuning").rmdir()
    table = tune(run, BASE, [SURE], folds=2, device="cpu")
    assert [recipe for recipe, _ in tried[2:]] == [BASE.but(SURE.split())] * 3
    assert tried[2][1].equals(tried[3][1]) and not tried[3][1].equals(tried[4][1])
    found = judge_by_hand(run, ["train", "validation"])
    wanted = {"as it is": found[BASE][0], SURE: found[BASE.but(SURE.split())][0]}
    assert dict(zip(table["changes"], table["loss"], strict=True)) == pytest.approx(wanted)


def test_two_do_not_tune_in_one_run_folder_at_once(run, tried):
    told = f"Process {os.getpid()} is tuning in {run.root}: wait for it"
    with locked(run.root / ".tune.lock", ""), pytest.raises(SelfieError, match=told):
        tune(run, BASE, [], device="cpu")
    assert not tried


# --- drawing and telling -----------------------------------------------------------------------------------


def test_changes_are_drawn_by_seed_and_more_trials_only_add():
    changes = draw_changes(6, seed=1)
    assert changes[:3] == draw_changes(3, seed=1) and len(set(changes)) == len(changes) == 6
    assert not set(changes) & set(draw_changes(6, seed=2))
    assert draw_changes(2) == draw_changes(2, seed=0) and draw_changes(0) == []


def test_changes_are_drawn_evenly_from_what_is_worth_trying():
    changes = draw_changes(300)
    form = r"learning_rate=(0\.\d+) epochs=(\d) image_size=(\d+) targets=(\w+)"
    rates, *others = zip(*(re.fullmatch(form, change).groups() for change in changes), strict=True)
    for drawn, choices in zip(
        others, (["2", "3", "4", "5"], ["96", "128", "160"], ["labels", "ranks"]), strict=True
    ):
        counts = Counter(drawn)
        assert sorted(counts) == sorted(choices)
        # Five standard deviations of a binomial count.
        share = 1 / len(choices)
        assert all(abs(n - 300 * share) < 5 * np.sqrt(300 * share * (1 - share)) for n in counts.values())
    rates = np.array(rates, float)
    assert (rates >= 1e-4).all() and (rates <= 1e-3).all() and len(set(rates)) > 50
    assert all(float(f"{rate:.1e}") == rate for rate in rates)  # two digits
    # By their logarithm: half of them below the geometric mean.
    assert abs((rates < np.sqrt(1e-7)).mean() - 0.5) < 5 * 0.5 / np.sqrt(300)


def test_trials_are_told_as_a_table_and_the_best_as_lines_for_a_parameter_file():
    rows = [("learning_rate=5e-5 targets=ranks", 0.61239, 0.7, 1.5), ("as it is", 0.7, 0.65, 59.6)]
    trials = pd.DataFrame(rows, columns=["changes", "loss", "auc", "seconds"])
    trials = trials.assign(gap=[0.05, 0], low=[-0.01, 0], high=[0.11, 0])
    unknown = trials.assign(share_of_oracle=np.nan, share_of_oracle_low=np.nan, share_of_oracle_high=np.nan)
    told = [" ".join(line.split()) for line in table_in_words(unknown, BASE).splitlines()]
    assert told == [
        "changes loss auc compared with the first seconds",
        "learning_rate=5e-5 targets=ranks 0.6124 0.7000 +0.0500 [-0.0100 to +0.1100] 2",
        "as it is 0.7000 0.6500 +0.0000 [+0.0000 to +0.0000] 60",
        "", "The best for a parameter file:",
        "01_train:", "image_size: 32", "epochs: 1", "batch_size: 8", "learning_rate: 0.00005",
        'settings: ["targets=ranks"]',
    ]  # fmt: skip
    known = table_in_words(
        trials.assign(share_of_oracle=0.9, share_of_oracle_low=0.85, share_of_oracle_high=0.95), BASE
    ).splitlines()
    assert "of the way to the oracle" in known[0] and known[1].endswith(" 90.0% [85.0% to 95.0%]       2")
    as_it_is = (
        trials[::-1]
        .reset_index(drop=True)
        .assign(share_of_oracle=np.nan, share_of_oracle_low=np.nan, share_of_oracle_high=np.nan)
    )
    lines = table_in_words(as_it_is, BASE.but(["dropout=0.25", "optimizer=sgd"])).splitlines()
    assert lines[-5:] == [
        "  01_train:", "    image_size: 32", "    epochs: 1", "    batch_size: 8",
        '    settings: ["optimizer=sgd", "dropout=0.25"]',
    ]  # fmt: skip
    assert table_in_words(as_it_is, Recipe()).endswith("\n  01_train:")  # nothing to change
    assert "    learning_rate: 2.0\n" in table_in_words(as_it_is, Recipe(learning_rate=2.0, targets="ranks"))
