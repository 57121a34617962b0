"""Recipes are drawn by seed, judged on validation posts alone, and never tried twice."""

import numpy as np
import pandas as pd
import pytest
from test_world import make_run

from selfie_utils import tune as tuning
from selfie_utils.errors import SelfieError
from selfie_utils.recipe import Recipe
from selfie_utils.tune import draw_changes, table_in_words, tune

BASE = Recipe(image_size=32, epochs=1, batch_size=8)


CHANGES = ["learning_rate=0.001", "epochs=2 image_size=48"]


def test_changes_are_drawn_by_seed_and_more_trials_only_add():
    changes = draw_changes(6, seed=1)
    assert changes[:3] == draw_changes(3, seed=1) and len(set(changes)) == 6
    assert changes != draw_changes(6, seed=2)
    recipes = [BASE.but(change.split()) for change in changes]
    assert all(1e-4 <= recipe.learning_rate <= 1e-3 for recipe in recipes)
    assert len({recipe.image_size for recipe in recipes}) > 1


def test_trials_are_judged_on_validation_posts_and_kept(tmp_path, monkeypatch):
    run, labels, _ = make_run(tmp_path / "one")
    told = []
    table = tune(run, BASE, CHANGES, device="cpu", say=told.append)
    assert len(table) == len(told) == 3 and table["loss"].is_monotonic_increasing
    assert not (run.root / "tuning").exists()
    first = table[table["changes"] == "as it is"].to_dict("records")[0]
    assert first["gap"] == 0
    assert table["way"].isna().all()  # nobody knows the truth here
    by_hand = table["auc"] - first["auc"]
    assert table["gap"].tolist() == pytest.approx(by_hand.tolist()) and by_hand.abs().max() > 0

    other, _, _ = make_run(tmp_path / "other")  # without any test posts
    other.write_table("labels", labels[labels["split"] != "test"])
    pd.testing.assert_frame_equal(
        tune(other, BASE, CHANGES, device="cpu").drop(columns="seconds"), table.drop(columns="seconds")
    )

    tried = record(monkeypatch)
    assert len(tune(run, BASE, [*CHANGES, "dropout=0.5"], device="cpu")) == 4
    assert [recipe for recipe, _ in tried] == [BASE.but(["dropout=0.5"])]
    turned = labels.assign(label=1 - labels["label"])
    run.write_table("labels", turned)
    tune(run, BASE, [], device="cpu")  # other labels: what was tried before says nothing
    assert len(tried) == 2


def test_where_the_truth_is_known_the_way_to_the_oracle_is_told(tmp_path):
    run, labels, _ = make_run(tmp_path)
    # Whose appeal is the label could not be better, and lies as far from chance as one can.
    run.write_table("truth", pd.DataFrame({"post_id": labels["post_id"], "appeal": labels["label"] * 1.0}))
    found = tune(run, BASE, [], folds=3, device="cpu").iloc[0]
    assert found["way"] == pytest.approx(2 * found["auc"] - 1)
    assert found["way_low"] < found["way"] < found["way_high"]


def record(monkeypatch):
    """Note the recipe and the labels of every training."""
    tried, train = [], tuning.fine_tune
    monkeypatch.setattr(tuning, "fine_tune", lambda *a, **k: tried.append((a[2], a[1])) or train(*a, **k))
    return tried


def test_folds_judge_every_post_but_the_tests_by_a_network_that_did_not_know_its_user(tmp_path, monkeypatch):
    run, labels, _ = make_run(tmp_path)
    run.write_table("labels", labels.assign(user_id=[f"u{i // 2}" for i in range(len(labels))]))
    taught = labels[labels["split"] != "test"]
    copies = labels.loc[[0, 20], ["post_id", "image"]].assign(user_id=["u0", "u10"])
    run.write_table("copies", copies.assign(set=0, first=[True, False]))
    tried = record(monkeypatch)
    tune(run, BASE, [], folds=3, device="cpu")
    judged = [table[table["split"] == "judged"] for _, table in tried]
    learned = [table[table["split"].isin(["train", "validation"])] for _, table in tried]
    assert len(tried) == 3
    assert sorted(pd.concat(judged)["post_id"]) == sorted(taught["post_id"])
    for test, others in zip(judged, learned, strict=True):
        assert not set(test["user_id"]) & set(others["user_id"])
        assert {"u0", "u10"} <= set(test["user_id"]) or not {"u0", "u10"} & set(test["user_id"])
        sides = others.groupby("user_id")["split"].nunique()
        assert (sides == 1).all() and others["split"].nunique() == 2
        assert len(test) + len(others) == len(taught)
    assert len(tune(run, BASE, [], folds=3, device="cpu")) == 1 and len(tried) == 3


def test_the_best_is_told_as_lines_for_a_parameter_file():
    rows = [("learning_rate=5e-5 targets=ranks", 0.6), ("as it is", 0.7)]
    trials = pd.DataFrame(rows, columns=["changes", "loss"]).assign(auc=0.7, gap=0, low=0, high=0, seconds=1)
    trials = trials.assign(way=np.nan, way_low=np.nan, way_high=np.nan)
    told = table_in_words(trials, BASE).splitlines()
    assert "oracle" not in told[0]
    known = table_in_words(trials.assign(way=0.9, way_low=0.85, way_high=0.95), BASE)
    assert "90.0% [85.0% to 95.0%]" in known
    assert [line.strip() for line in told[-6:]] == [
        "01_train:", "image_size: 32", "epochs: 1", "batch_size: 8", "learning_rate: 0.00005",
        'settings: ["targets=ranks"]',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("folds", "told"),
    [
        (0, "no validation posts"),
        (1, "expected 2 or more"),
        (40, "users cannot be dealt into 40"),
    ],
)
def test_too_few_posts_to_judge_by_are_refused(tmp_path, folds, told):
    run, labels, _ = make_run(tmp_path)
    run.write_table("labels", labels[labels["split"] != "validation"])
    with pytest.raises(SelfieError, match=told):
        tune(run, BASE, [], folds, "cpu")


def test_settings_are_read_as_their_types_and_misspelt_ones_refused():
    recipe = Recipe().but(["dropout=0.5", "epochs=2", "temperature=false", "optimizer=sgd"])
    assert (recipe.dropout, recipe.epochs, recipe.temperature, recipe.optimizer) == (0.5, 2, False, "sgd")
    for wrong, told in (
        ("dropuot=0.5", "dropout"),
        ("dropout", "no value"),
        ("epochs=many", "expected int"),
        ("temperature=warm", "expected bool"),
        ("dropout=1", "less than 1"),
        ("drop_path=-1", "0 or more"),
        ("backbone=vgg16 drop_path=0.1", "no residual branches"),
        ("targets=likes", "labels or ranks"),
    ):
        with pytest.raises(SelfieError, match=told):
            Recipe().but(wrong.split())
