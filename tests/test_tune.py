"""Recipes are drawn by seed, judged on validation posts alone, and never tried twice."""

import pandas as pd
import pytest
from test_world import make_run

from selfie_utils import tune as tuning
from selfie_utils.errors import SelfieError
from selfie_utils.recipe import Recipe
from selfie_utils.tune import draw_recipes, table_in_words, tune

BASE = Recipe(image_size=32, epochs=1, batch_size=8)


@pytest.fixture(autouse=True)
def small_recipes(monkeypatch):
    monkeypatch.setattr(tuning, "SIZES", (32, 48))
    monkeypatch.setattr(tuning, "EPOCHS", (1, 2))


def test_recipes_are_drawn_by_seed_and_more_trials_only_add():
    recipes = draw_recipes(BASE, 6, seed=1)
    assert recipes[0] == BASE and recipes[:3] == draw_recipes(BASE, 3, seed=1)
    assert recipes != draw_recipes(BASE, 6, seed=2) and len(set(recipes)) == 6
    assert all(1e-4 <= recipe.learning_rate <= 1e-3 for recipe in recipes)


def test_trials_are_judged_on_validation_posts_and_kept(tmp_path, monkeypatch):
    run, labels, _ = make_run(tmp_path / "one")
    told = []
    table = tune(run, BASE, 3, "cpu", told.append)
    assert len(table) == len(told) == 3 and table["loss"].is_monotonic_increasing
    assert not (run.root / "tuning").exists()

    other, _, _ = make_run(tmp_path / "other")  # without any test posts
    other.write_table("labels", labels[labels["split"] != "test"])
    pd.testing.assert_frame_equal(
        tune(other, BASE, 3, "cpu").drop(columns="seconds"), table.drop(columns="seconds")
    )

    tried = []
    train = tuning.fine_tune
    monkeypatch.setattr(tuning, "fine_tune", lambda *a, **k: tried.append(a[2]) or train(*a, **k))
    assert len(tune(run, BASE, 4, "cpu")) == 4
    assert tried == draw_recipes(BASE, 4)[3:]
    best = table.to_dict("records")[0]
    assert f"image_size: {best['image_size']}" in table_in_words(table)


def test_a_run_without_validation_posts_is_refused(tmp_path):
    run, labels, _ = make_run(tmp_path)
    run.write_table("labels", labels[labels["split"] != "validation"])
    with pytest.raises(SelfieError, match="no validation posts"):
        tune(run, BASE, 1, "cpu")


def test_settings_are_read_as_their_types_and_misspelt_ones_refused():
    recipe = Recipe().but(["dropout=0.5", "epochs=2", "temperature=false", "optimizer=sgd"])
    assert (recipe.dropout, recipe.epochs, recipe.temperature, recipe.optimizer) == (0.5, 2, False, "sgd")
    for wrong, told in (
        ("dropuot=0.5", "dropout"),
        ("dropout", "no value"),
        ("epochs=many", "expected int"),
        ("temperature=warm", "expected bool"),
        ("dropout=1", "less than 1"),
        ("targets=likes", "labels or ranks"),
    ):
        with pytest.raises(SelfieError, match=told):
            Recipe().but([wrong])
