"""Trainings with one thing changed are made once, compared on the same posts, and told apart from luck."""

import dataclasses
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.metrics import accuracy_score, roc_auc_score
from toy_posts import chance_of_good, toy

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.model import trials as made
from selfie_utils.model.experiments import (
    AS_TRAINED,
    Outcome,
    Trial,
    agreement_of_seeds,
    can_compare,
    compare,
    in_words,
    on_shares,
    other_recipes,
    part_of_users,
    plan_trials,
    run_trials,
    would_more_help,
)
from selfie_utils.model.metrics import auc_gap, auc_interval, mean_accuracy, mean_auc
from selfie_utils.model.recipe import Recipe

BASE = Recipe(image_size=32, epochs=1, batch_size=8, seed=5)
HALF = "50% of the posts"


@pytest.fixture
def run(tmp_path):
    """A run with 23 posts, in no order, and the scores of its 9 test posts; the users have one post each."""
    run, rng = create_run(tmp_path / "run"), np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    names = [str(3 * i) for i in rng.permutation(23)]
    for name in names:
        pixels = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{name}.png")
    labels = pd.DataFrame({"post_id": names, "image": [f"{n}.png" for n in names], "user_id": names})
    labels = labels.assign(label=rng.permutation(23) % 2, group=-1)
    labels["split"] = ["test", "train", "train", "validation", "test"] * 4 + ["test", "train", "train"]
    run.write_table("labels", labels)
    run.write_table("posts", labels[["post_id", "image"]])
    run.write_json("data", {"images": str(tmp_path / "photos")})
    run.write_json("network/network", {"recipe": dataclasses.asdict(BASE), "made_by": BASE.made_by()})
    test = labels.loc[labels["split"] == "test", ["post_id", "image", "user_id", "label"]]
    run.write_table("scores", test.assign(score=rng.random(9)))
    return run


@pytest.fixture
def trained(monkeypatch):
    """What was asked to be trained: each training gives a toy network of its own, from `toy(seed=number)`."""
    asked = []

    def train(images, labels, recipe, device, folder, checkpoints):
        asked.append((labels, recipe, device, folder, checkpoints))
        checkpoints.mkdir()
        return toy(seed=len(asked)).eval(), None

    monkeypatch.setattr(made, "fine_tune", train)
    return asked


def learned_from(labels):
    return set(labels.loc[labels["split"] == "train", "post_id"])


# --- which trainings ---------------------------------------------------------------------------------------


def test_trials_are_shares_and_recipes_with_their_seeds():
    trials = plan_trials(BASE, [0.5, 0.25, 1.0], ["dropout=0.5 epochs=2"], 2)
    assert [(t.name, t.share, t.recipe.seed) for t in trials] == [
        ("25% of the posts", 0.25, 5), ("25% of the posts", 0.25, 6),
        (HALF, 0.5, 5), (HALF, 0.5, 6),
        (AS_TRAINED, 1.0, 5), (AS_TRAINED, 1.0, 6),
        ("dropout=0.5 epochs=2", 1.0, 5), ("dropout=0.5 epochs=2", 1.0, 6),
    ]  # fmt: skip
    assert all(t.recipe == BASE.but({"seed": t.recipe.seed}) for t in trials[:6])
    assert trials[-1].recipe == BASE.but({"dropout": 0.5, "epochs": 2, "seed": 6})
    assert [t.name for t in plan_trials(BASE, [], [], 1)] == [AS_TRAINED]


@pytest.mark.parametrize(
    ("shares", "seeds", "told"),
    [
        ([0.5, 0.0], 1, r"shares are \[0.5, 0.0\] and seeds 1, expected"),
        ([1.01], 1, r"shares are \[1.01\]"),
        ([-0.1], 1, "above 0 and at most 1"),
        ([0.5], 0, "seeds 0, expected .* at least one seed"),
    ],
)
def test_shares_and_seeds_that_make_no_sense_are_refused(shares, seeds, told):
    with pytest.raises(SelfieError, match=told):
        plan_trials(BASE, shares, [], seeds)
    with pytest.raises(SelfieError, match="no setting 'dropuot'"):
        plan_trials(BASE, [], ["dropuot=1"], 1)


def test_a_share_is_as_many_posts_as_it_says_where_users_have_one_each():
    labels = pd.DataFrame({"post_id": range(31), "user_id": range(100, 131), "split": "train"})
    labels.loc[21:, "split"] = ["validation", "test"] * 5
    for share, posts in ((1.0, 21), (0.5, 10), (0.3, 6), (1 / 3, 7), (0.74, 16), (0.01, 1)):
        part = part_of_users(labels, share, 0)
        assert (part["split"] == "train").sum() == posts, share
        assert part[part["split"] != "train"]["post_id"].tolist() == list(range(21, 31))
        assert part.index.tolist() == list(range(len(part))) and part["post_id"].is_monotonic_increasing


def test_smaller_shares_are_parts_of_larger_ones_and_users_stay_whole():
    rng = np.random.default_rng(0)
    labels = pd.DataFrame({"post_id": rng.permutation(63), "user_id": [f"u{i // 3}" for i in range(63)]})
    labels["split"] = ["train"] * 60 + ["validation"] * 3
    labels = labels.sample(frac=1, random_state=0)  # an index with no order
    seen = []
    for share, posts in ((0.01, 3), (0.1, 6), (0.5, 30), (0.508, 30), (0.51, 33), (0.95, 57), (1.0, 60)):
        part = part_of_users(labels, share, seed=1)
        train = part[part["split"] == "train"]
        assert len(train) == posts and (train.groupby("user_id").size() == 3).all()
        seen.append(learned_from(part))
    assert all(smaller <= larger for smaller, larger in pairwise(seen))
    assert learned_from(part_of_users(labels.iloc[::-1], 0.5, seed=1)) == seen[2]
    assert learned_from(part_of_users(labels, 0.5, seed=2)) != seen[2]


def test_users_with_few_posts_in_training_count_by_these():
    # Who has many posts elsewhere is no larger a part of the train split.
    labels = pd.DataFrame({"post_id": range(20), "user_id": ["a", "b"] * 2 + ["a"] * 16})
    labels["split"] = ["train"] * 4 + ["test"] * 16
    for seed in range(4):
        part = part_of_users(labels, 0.5, seed)
        assert (part["split"] == "train").sum() == 2 and (part["split"] == "test").sum() == 16


# --- training them -----------------------------------------------------------------------------------------


def test_each_trial_is_trained_on_its_share_and_scored_in_the_order_of_the_test_posts(run, trained):
    labels, test, told = run.read_table("labels"), run.read_table("scores"), []
    trials = plan_trials(BASE, [0.5], ["learning_rate=0.01"], 2)
    outcome = run_trials(run, trials, "cpu", told.append)
    assert told == [
        f"training 1 of 6: {HALF}, seed 5",
        f"training 2 of 6: {HALF}, seed 6",
        f"training 4 of 6: {AS_TRAINED}, seed 6",
        "training 5 of 6: learning_rate=0.01, seed 5",
        "training 6 of 6: learning_rate=0.01, seed 6",
    ]
    others = [trial for trial in trials if trial != Trial(AS_TRAINED, BASE)]
    assert [recipe for _, recipe, *_ in trained] == [trial.recipe for trial in others]
    for _, _, device, folder, checkpoints in trained:
        assert (device, folder, checkpoints) == ("cpu", run.root, run.root / "experiments")
    assert not (run.root / "experiments").exists()
    parts = [learned_from(some) for some, *_ in trained]
    assert [len(part) for part in parts] == [5, 5, 10, 10, 10] and parts[0] != parts[1]
    assert all("rank" in some and (some["split"] == "validation").sum() == 4 for some, *_ in trained)
    # The toy networks score the photos of the test posts, one after the other.
    photos = np.stack([np.asarray(Image.open(run.root.parent / "photos" / name)) for name in test["image"]])
    photos = torch.from_numpy(photos).permute(0, 3, 1, 2)
    wanted = [chance_of_good(toy(seed=number).eval(), photos) for number in range(1, 6)]
    own = test["score"].to_numpy()
    for name, scores in {
        HALF: wanted[:2],
        AS_TRAINED: [own, wanted[2]],
        "learning_rate=0.01": wanted[3:],
    }.items():
        assert np.allclose(outcome.scores[name], scores, atol=1e-6), name
    assert outcome.labels.tolist() == test["label"].tolist()
    assert outcome.posts == {HALF: 5, AS_TRAINED: 10, "learning_rate=0.01": 10}
    assert outcome.shares == {HALF: 0.5, AS_TRAINED: 1.0, "learning_rate=0.01": 1.0}

    again = run_trials(run, trials[::-1], "cpu", told.append)  # all of it is known by now
    assert len(trained) == 5 and list(again.scores) == list(outcome.scores)[::-1]
    assert all(np.array_equal(again.scores[n][::-1], outcome.scores[n]) for n in outcome.scores)
    run.write_table("labels", labels.assign(label=1 - labels["label"]))  # nothing learned before holds now
    run_trials(run, trials[:1], "cpu", told.append)
    assert len(trained) == 6


def test_after_another_training_of_the_run_its_own_scores_hold(run, trained):
    test, trials = run.read_table("scores"), plan_trials(BASE, [0.5], [], 1)
    before = run_trials(run, trials, "cpu", str)
    run.write_table("scores", test.assign(score=1 - test["score"]))
    after = run_trials(run, trials, "cpu", str)
    assert after.scores[AS_TRAINED][0].tolist() == (1 - test["score"]).tolist()
    assert after.scores[HALF][0].tolist() == before.scores[HALF][0].tolist() and len(trained) == 1


def test_a_network_that_older_code_has_made_is_no_trial_of_this_one(run, trained):
    trials = [Trial(AS_TRAINED, BASE)]
    run_trials(run, trials, "cpu", str)
    assert not trained and not (run.root / "experiments.parquet").exists()
    described = run.read_json("network/network")
    run.write_json("network/network", described | {"made_by": "older code"})
    run_trials(run, trials, "cpu", str)
    assert len(trained) == 1
    run_trials(run, trials, "cpu", str)
    assert len(trained) == 1


def test_a_run_without_training_posts_or_both_labels_has_nothing_to_compare(run):
    labels, test = run.read_table("labels"), run.read_table("scores")
    assert can_compare(run)
    run.write_table("scores", test.assign(label=test["label"].where(test["label"] == 1)))
    assert not can_compare(run)
    run.write_table("scores", test.astype({"label": float}).assign(label=1.0))
    with pytest.raises(SelfieError, match=f"{run.root} has no training posts, or .*nothing to compare"):
        run_trials(run, [Trial(AS_TRAINED, BASE)], "cpu")
    run.write_table("scores", test)
    run.write_table("labels", labels[labels["split"] != "train"])
    assert not can_compare(run)


# --- comparing them ----------------------------------------------------------------------------------------


def outcome_of(rng, skill: dict[str, float], seeds=3, posts=599) -> Outcome:
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
    shares = {name: int(name[:2]) / 100 if name.endswith("of the posts") else 1.0 for name in skill}
    learned = {name: 100.0 + number for number, name in enumerate(skill)}
    return Outcome(labels, scores, learned, shares)


def mean_area(outcome, name):
    return np.mean([roc_auc_score(outcome.labels, scores) for scores in outcome.scores[name]])


def test_a_better_recipe_is_told_from_an_equal_one():
    skill = {"other": 1.0, AS_TRAINED: 1.0, HALF: 0.6, "20% of the posts": 0.3}
    outcome = outcome_of(np.random.default_rng(0), skill)
    outcome.scores["other"].pop()
    table = compare(outcome)
    assert list(table.index) == list(skill)
    assert list(table) == [
        "posts", "share", "seeds", "accuracy", "accuracy_low", "accuracy_high", "auc", "auc_low", "auc_high",
        "gap", "gap_low", "gap_high",
    ]  # fmt: skip
    assert table["posts"].tolist() == [100, 101, 102, 103] and table["seeds"].tolist() == [2, 3, 3, 3]
    assert table["share"].tolist() == [1, 1, 0.5, 0.2]
    for name, scores in outcome.scores.items():
        right = [accuracy_score(outcome.labels, some > 0.5) for some in scores]
        assert table.loc[name, "accuracy"] == pytest.approx(np.mean(right))
        assert table.loc[name, "auc"] == pytest.approx(mean_area(outcome, name))
        gap = mean_area(outcome, name) - mean_area(outcome, AS_TRAINED)
        assert table.loc[name, "gap"] == pytest.approx(gap, abs=1e-12)
    for name in ("accuracy", "auc"):
        assert (table[f"{name}_low"] < table[name]).all() and (table[name] < table[f"{name}_high"]).all()
    assert (
        table.loc[HALF, "gap_high"] < 0 and table.loc["other", "gap_low"] < 0 < table.loc["other", "gap_high"]
    )
    assert list(on_shares(table).index) == ["20% of the posts", HALF, AS_TRAINED]
    assert list(other_recipes(table).index) == ["other"]


def test_a_comparison_is_shown_with_its_intervals_and_the_first_not_with_itself():
    numbers = {
        "posts": [1234.5, 99.0], "share": [1.0, 0.5], "seeds": [2, 1],
        "accuracy": [0.5125, 0.5], "accuracy_low": [0.4, 0.45], "accuracy_high": [0.6, 0.55],
        "auc": [0.7004, 0.65], "auc_low": [0.65, 0.6], "auc_high": [0.7506, 0.7],
        "gap": [0.0, -0.05], "gap_low": [0.0, -0.1204], "gap_high": [0.0, 0.02],
    }  # fmt: skip
    shown = in_words(pd.DataFrame(numbers, index=[AS_TRAINED, HALF]))
    assert list(shown) == ["posts", "seeds", "accuracy", "AUC", "AUC, change"]
    assert shown.loc[HALF].tolist() == [
        "99", 1, "50.0% [45.0% to 55.0%]", "0.650 [0.600 to 0.700]", "-0.050 [-0.120 to +0.020]",
    ]  # fmt: skip
    assert shown.loc[AS_TRAINED].tolist() == [
        "1,234", 2, "51.2% [40.0% to 60.0%]", "0.700 [0.650 to 0.751]", "",
    ]  # fmt: skip


def test_seeds_agree_by_spearmans_correlation_of_every_pair():
    scores = [np.array([0.1, 0.2, 0.3, 0.9]), np.array([0.1, 0.2, 0.9, 0.3]), np.array([0.9, 0.3, 0.2, 0.1])]
    outcome = Outcome(np.array([0, 1, 0, 1]), {AS_TRAINED: scores, "other": scores[:1] * 2}, {}, {})
    # 1 - 6 * (sum of squared differences of ranks) / (4 * 15), by hand.
    assert agreement_of_seeds(outcome) == pytest.approx([1 - 6 * 2 / 60, -1, 1 - 6 * 18 / 60])
    assert agreement_of_seeds(Outcome(outcome.labels, {AS_TRAINED: scores[:1]}, {}, {})) == []


@pytest.mark.parametrize(
    ("skill", "answer"),
    [
        (0.6, "more data helped, and nothing here says"),
        (1.0, "the interval holds zero, so this test set can't tell"),
        (1.4, "more data of this kind did harm"),
    ],
)
def test_an_answer_is_only_given_where_the_interval_allows_it(skill, answer):
    # Of two shares the larger one is looked at, whichever comes first; another recipe is none of them.
    skills = {HALF: skill, "20% of the posts": 1.2, AS_TRAINED: 1.0, "other": 3.0}
    outcome = outcome_of(np.random.default_rng(1), skills)
    told = would_more_help(outcome)
    gap = mean_area(outcome, AS_TRAINED) - mean_area(outcome, HALF)
    assert gap != 0 and answer in told
    assert told.startswith(f"From {HALF} to all of them the AUC changed by **{gap:+.3f}** [")
    low, high = (float(end) for end in told.split("[")[1].split("]")[0].split(" to "))
    assert low < gap < high and (low > 0) + (high < 0) == (skill != 1.0)


def test_where_only_all_of_the_posts_were_tried_there_is_no_curve():
    outcome = outcome_of(np.random.default_rng(1), {AS_TRAINED: 1.0, "other": 1.0})
    assert "there is no curve to read" in would_more_help(outcome)


def test_one_seed_has_the_intervals_of_the_usual_method():
    rng = np.random.default_rng(2)
    labels, scores = rng.integers(0, 2, 300), rng.random(300)
    assert mean_auc(labels, [scores]) == auc_interval(labels, scores)
    assert auc_gap(labels, [scores], [scores]) == (0, 0, 0)
    share, low, high = mean_accuracy(labels, [scores])
    assert low < share < high and share == ((scores > 0.5) == labels).mean()


def test_the_gap_covers_the_truth_19_times_of_20():
    rng, held = np.random.default_rng(3), 0
    for _ in range(200):
        outcome = outcome_of(rng, {"one": 1.0, "other": 1.0}, seeds=2, posts=100)
        _, low, high = auc_gap(outcome.labels, *outcome.scores.values())
        held += low <= 0 <= high
    assert held / 200 >= 0.92
