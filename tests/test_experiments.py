"""Trainings with one thing changed are made once, compared on the same posts, and told apart from luck."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from test_world import RECIPE, make_run

from selfie_utils import experiments
from selfie_utils.errors import SelfieError
from selfie_utils.experiments import (
    AS_TRAINED,
    Outcome,
    Trial,
    compare,
    part_of_users,
    plan_trials,
    run_trials,
)
from selfie_utils.metrics import auc_gap, auc_interval, mean_accuracy, mean_auc
from selfie_utils.network import save_network
from selfie_utils.scoring import score_posts
from selfie_utils.training import fine_tune

BASE = dataclasses.replace(RECIPE, epochs=1)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run with a trained network and scored test posts."""
    run, labels, photos = make_run(tmp_path_factory.mktemp("experiments"))
    network, history = fine_tune(photos, labels, BASE, "cpu", run.root)
    save_network(run, network, dataclasses.asdict(BASE), history)
    score_posts(run, network, photos, labels[labels["split"] == "test"].reset_index(drop=True), "cpu")
    return run


def test_trials_are_shares_and_recipes_with_their_seeds():
    trials = plan_trials(BASE, [0.5], ["dropout=0.5 epochs=2"], 2)
    assert [(t.name, t.share, t.recipe.seed) for t in trials] == [
        ("50% of the posts", 0.5, 0), ("50% of the posts", 0.5, 1),
        (AS_TRAINED, 1.0, 0), (AS_TRAINED, 1.0, 1),
        ("dropout=0.5 epochs=2", 1.0, 0), ("dropout=0.5 epochs=2", 1.0, 1),
    ]  # fmt: skip
    assert (trials[-1].recipe.dropout, trials[-1].recipe.epochs) == (0.5, 2)
    assert len({trial.key for trial in trials}) == 6
    for wrong in (([0.0], [], 1), ([1.5], [], 1), ([0.5], [], 0), ([], ["dropuot=1"], 1)):
        with pytest.raises(SelfieError):
            plan_trials(BASE, *wrong)


def test_smaller_shares_are_parts_of_larger_ones_and_users_stay_whole(run):
    labels = run.read_table("labels")
    labels["user_id"] = (np.arange(len(labels)) // 3).astype(str)
    parts = [part_of_users(labels, share, seed=1) for share in (0.3, 0.6, 1.0)]
    seen = [set(part.loc[part["split"] == "train", "post_id"]) for part in parts]
    assert seen[0] < seen[1] < seen[2] and len(seen[2]) == 21
    assert 4 <= len(seen[0]) <= 10 and 10 <= len(seen[1]) <= 16
    for part in parts:
        assert (part["split"] == "test").sum() == 11
        inside, outside = (
            set(p["user_id"]) for p in (part, labels[~labels["post_id"].isin(part["post_id"])])
        )
        assert not {u for u in outside if u in inside} - set(
            labels.loc[labels["split"] != "train", "user_id"]
        )


def test_each_trial_is_trained_once_and_the_runs_own_not_at_all(run, monkeypatch):
    trials = plan_trials(BASE, [0.5], ["learning_rate=0.01"], 2)
    told = []
    outcome = run_trials(run, trials, "cpu", told.append)
    assert len(told) == 5 and outcome.scores.keys() == {"50% of the posts", AS_TRAINED, "learning_rate=0.01"}
    assert (outcome.scores[AS_TRAINED][0] == run.read_table("scores")["score"]).all()
    assert outcome.posts[AS_TRAINED] == 21 and 8 <= outcome.posts["50% of the posts"] <= 13
    monkeypatch.setattr(experiments, "_train_and_score", lambda *_: pytest.fail("trained twice"))
    again = run_trials(run, trials, "cpu", told.append)
    assert all((again.scores[n][i] == outcome.scores[n][i]).all() for n in outcome.scores for i in (0, 1))
    assert not (run.root / "experiments").exists()
    labels = run.read_table("labels")
    run.write_table("labels", labels.assign(label=1 - labels["label"]))  # nothing learned before holds now
    with pytest.raises(pytest.fail.Exception, match="trained twice"):
        run_trials(run, trials, "cpu", told.append)
    run.write_table("labels", labels)


def test_a_network_that_older_code_has_made_is_no_trial_of_this_one(run):
    test, described = run.read_table("scores"), run.read_json("network/network")
    known = experiments._known(run, test, "these posts")
    assert known["score"].tolist() == test["score"].tolist()
    run.write_json("network/network", described | {"made_by": "older code"})
    assert experiments._known(run, test, "these posts").empty
    run.write_json("network/network", described)


def test_a_run_without_labels_has_nothing_to_compare(tmp_path):
    run, labels, _ = make_run(tmp_path)
    test = labels[labels["split"] == "test"]
    run.write_table("scores", test.assign(score=0.5, label=1))
    assert not experiments.can_compare(run)
    with pytest.raises(SelfieError, match="nothing to compare"):
        run_trials(run, [Trial(AS_TRAINED, BASE)], "cpu")


def outcome_of(rng, skill: dict[str, float], seeds=3, posts=600) -> Outcome:
    """Scores that follow the labels as well as `skill` says."""
    labels = rng.integers(0, 2, posts)
    shared = rng.normal(size=posts)
    scores = {
        name: [
            1 / (1 + np.exp(-(good * (labels - 0.5) + shared + 0.1 * rng.normal(size=posts))))
            for _ in range(seeds)
        ]
        for name, good in skill.items()
    }
    shares = {name: 0.5 if name.startswith("50%") else 1.0 for name in skill}
    return Outcome(labels, scores, dict.fromkeys(skill, posts), shares)


def test_a_better_recipe_is_told_from_an_equal_one():
    outcome = outcome_of(np.random.default_rng(0), {AS_TRAINED: 1.0, "50% of the posts": 0.6, "other": 1.0})
    table = compare(outcome)
    assert table.loc["50% of the posts", "gap_high"] < 0
    assert table.loc["other", "gap_low"] < 0 < table.loc["other", "gap_high"]
    assert (table["auc_low"] < table["auc"]).all() and (table["auc"] < table["auc_high"]).all()
    aucs = [roc_auc_score(outcome.labels, scores) for scores in outcome.scores["other"]]
    assert table.loc["other", "auc"] == pytest.approx(np.mean(aucs))
    assert "more data helped" in experiments.would_more_help(outcome)
    assert list(experiments.on_shares(table).index) == ["50% of the posts", AS_TRAINED]
    assert list(experiments.other_recipes(table).index) == ["other"]
    shown = experiments.in_words(table)
    assert shown.loc[AS_TRAINED, "AUC, change"] == "" and shown.loc["other", "AUC, change"].startswith(
        ("+", "-")
    )
    assert all(0.9 < rho < 1 for rho in experiments.agreement_of_seeds(outcome))


def test_an_answer_is_only_given_where_the_interval_allows_it():
    outcome = outcome_of(np.random.default_rng(1), {AS_TRAINED: 1.0, "50% of the posts": 0.6})
    outcome.scores["50% of the posts"] = outcome.scores[AS_TRAINED][::-1]
    assert "can't tell" in experiments.would_more_help(outcome)
    outcome.scores["50% of the posts"] = [2 * scores for scores in outcome.scores.pop(AS_TRAINED)]
    outcome.scores[AS_TRAINED] = [np.zeros_like(outcome.labels)] * 3
    assert "did harm" in experiments.would_more_help(outcome)


def test_one_seed_has_the_intervals_of_the_usual_method():
    rng = np.random.default_rng(2)
    labels, scores = rng.integers(0, 2, 300), rng.random(300)
    assert mean_auc(labels, [scores]) == auc_interval(labels, scores)
    assert auc_gap(labels, [scores], [scores]) == (0, 0, 0)
    share, low, high = mean_accuracy(labels, [scores])
    assert low < share < high and share == ((scores > 0.5) == labels).mean()


def test_the_gap_covers_the_truth_19_times_of_20():
    rng, held = np.random.default_rng(3), 0
    for _ in range(400):
        outcome = outcome_of(rng, {"one": 1.0, "other": 1.0}, seeds=2, posts=200)
        _, low, high = auc_gap(outcome.labels, *outcome.scores.values())
        held += low <= 0 <= high
    assert held / 400 >= 0.92
