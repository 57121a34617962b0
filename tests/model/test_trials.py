"""A trial is made once, kept with its scores, and made again where anything that it depends on is another."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from toy_posts import chance_of_good, make_posts, of_split, pixels_of, toy

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.model import trials
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.trials import Trials

BASE = Recipe(image_size=32, epochs=1, batch_size=8)


@pytest.fixture
def posts(tmp_path):
    (tmp_path / "photos").mkdir()
    return make_posts(tmp_path / "photos")


@pytest.fixture
def run(posts, tmp_path):
    run = create_run(tmp_path / "run")
    run.write_json("data", {"images": str(posts[0].root)})
    return run


@pytest.fixture
def trained(monkeypatch):
    """The recipes that were trained: each gives a toy network of its own, from `toy(seed=number)`."""
    asked = []

    def train(images, labels, recipe, device, folder, checkpoints):
        assert not checkpoints.exists()
        checkpoints.mkdir()
        asked.append(recipe)
        return toy(seed=len(asked)).eval(), None

    monkeypatch.setattr(trials, "fine_tune", train)
    return asked


def test_a_trial_is_scored_in_the_order_asked_for_and_kept(run, posts, trained):
    names, told = of_split(posts, "test")["image"].tolist()[::-1], []
    scores, seconds = Trials(run, "tuning", "cpu").score(BASE, posts[1], names, lambda: told.append(1))
    wanted = chance_of_good(toy(seed=1).eval(), pixels_of(posts, names))
    assert np.allclose(scores, wanted, atol=1e-6) and seconds > 0 and told == [1]
    assert not (run.root / "tuning").exists()  # the checkpoints
    kept = run.read_table("tuning")
    assert kept["recipe"].tolist() == [str(BASE)] and kept["seconds"].tolist() == [seconds]
    again = Trials(run, "tuning", "cpu")
    same, took = again.score(BASE, posts[1], names, lambda: told.append(2))
    assert same.tolist() == scores.tolist() and took == seconds and len(trained) == 1 and told == [1]
    Trials(run, "experiments", "cpu").score(BASE, posts[1], names)
    assert len(trained) == 2  # each purpose has its own


def test_trials_are_the_same_only_where_nothing_differs(run, posts, trained, tmp_path, monkeypatch):
    labels, names = posts[1], of_split(posts, "test")["image"].tolist()
    weights = tmp_path / "faces.pth"
    weights.write_text("some")
    changes = [
        {"backbone": "resnet50"}, {"weights": str(weights)}, {"image_size": 48}, {"epochs": 2},
        {"batch_size": 4}, {"learning_rate": 1e-3}, {"optimizer": "sgd"}, {"schedule": "cosine"},
        {"dropout": 0.5}, {"drop_path": 0.5}, {"targets": "ranks"}, {"temperature": False}, {"seed": 6},
        {"precision": "float32"}, {"normalise_as": "vgg_face"},
    ]  # fmt: skip
    assert {name for change in changes for name in change} == set(vars(BASE))
    recipes = [BASE, *(BASE.but(change) for change in changes)]
    for _ in range(2):
        for recipe in recipes:
            Trials(run, "tuning", "cpu").score(recipe, labels, names)
    assert trained == recipes

    def is_made(labels=labels, names=names, recipe=BASE):
        before = len(trained)
        for _ in range(2):
            Trials(run, "tuning", "cpu").score(recipe, labels, names)
        assert len(trained) <= before + 1
        return len(trained) > before

    assert not is_made()
    assert is_made(labels.assign(label=1 - labels["label"]))
    assert is_made(labels[labels["image"] != of_split(posts, "train")["image"].iloc[0]])
    assert is_made(names=names[1:]) and is_made(names=names[::-1])
    weights.write_text("other")
    assert is_made(recipe=BASE.but({"weights": str(weights)}))
    for photo in (names[0], of_split(posts, "train")["image"].iloc[0]):  # judged by, learned from
        Image.new("RGB", (32, 32), "teal").save(posts[0].root / photo)
        assert is_made()
    monkeypatch.setattr(Recipe, "made_by", lambda recipe: "edited")
    assert is_made()


def test_trials_before_one_that_was_killed_are_kept_and_its_checkpoints_too(run, posts, trained, monkeypatch):
    names = of_split(posts, "test")["image"].tolist()

    def killed(*given):
        given[-1].mkdir()
        raise KeyboardInterrupt

    Trials(run, "tuning", "cpu").score(BASE, posts[1], names)
    with monkeypatch.context() as patch:
        patch.setattr(trials, "fine_tune", killed)
        with pytest.raises(KeyboardInterrupt):
            Trials(run, "tuning", "cpu").score(BASE.but(["epochs=2"]), posts[1], names)
    (run.root / "tuning").rmdir()  # it was there, to go on with
    after = Trials(run, "tuning", "cpu")
    for recipe in (BASE, BASE.but(["epochs=2"])):
        after.score(recipe, posts[1], names)
    assert trained == [BASE, BASE.but(["epochs=2"])] and len(run.read_table("tuning")) == 2


def test_what_an_older_version_has_kept_is_passed_over(run, posts, trained):
    names = of_split(posts, "test")["image"].tolist()
    for old in (
        pd.DataFrame({"data": ["d"], "trial": ["t"], "post_id": ["p"], "score": [0.5]}),
        pd.DataFrame({"key": ["k"], "loss": [0.5]}),
    ):
        run.write_table("tuning", old)
        before = len(trained)
        Trials(run, "tuning", "cpu").score(BASE, posts[1], names)
        assert len(trained) == before + 1
        assert set(run.read_table("tuning")) == {"key", "recipe", "seconds", "scores"}


def test_a_photo_to_judge_by_that_cannot_be_read_is_named(run, posts, trained):
    names = of_split(posts, "test")["image"].tolist()
    (posts[0].root / names[2]).write_bytes(b"")
    with pytest.raises(SelfieError, match=f"{names[2]} file is empty, but it could be read before"):
        Trials(run, "tuning", "cpu").score(BASE, posts[1], names)
