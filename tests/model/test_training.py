"""Training does what its formulas say, and twice the same."""

import copy
import math
import shutil
import time
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from scipy.optimize import minimize_scalar
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from toy_posts import chance_of_good, log_odds, of_split, pixels_of, toy

from selfie_utils.core import code
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.model import batches, training
from selfie_utils.model.network import build_network, save_network
from selfie_utils.model.processes import Processes
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer
from selfie_utils.model.scoring import score_run
from selfie_utils.model.training import (
    Part,
    _Progress,
    _Trainer,
    evaluate,
    fine_tune,
    scale_temperature,
    start_last_layer,
    train_run,
)
from selfie_utils.photos import pack as packing
from selfie_utils.photos.images import ImageFolder
from selfie_utils.photos.pack import pack_in_memory

SMALL = Recipe(image_size=32, epochs=2, batch_size=6, learning_rate=1e-3, seed=3, temperature=False)
STILL = SMALL.but({"epochs": 1, "learning_rate": 1e-12, "optimizer": "sgd"})  # stays where it starts
BATCHES = 3  # of 6, 6 and 5 training photos
ALONE = Processes(torch.device("cpu"))


def as_part(posts, split, times=1):
    """The photos of a split, some times over, with their labels."""
    some = pd.concat([of_split(posts, split)] * times)
    labels = torch.tensor(some["label"].to_numpy())
    return Part(pack_in_memory(posts[0], some["image"], 32), labels, labels.float())


# --- a whole training, with every batch noted --------------------------------------------------------------


def train_and_note(posts, recipe):
    """Train, and note every batch: photos, targets, the size it is said to have, what was found."""
    noted, learn = [], _Trainer.learn

    def learn_and_note(self, photos, targets, size):
        found = learn(self, photos, targets, size)
        noted.append(SimpleNamespace(photos=photos.clone(), targets=targets, size=size, found=found))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_Trainer, "learn", learn_and_note)
        begun = time.perf_counter()
        network, history = fine_tune(*posts, recipe, "cpu")
        took = time.perf_counter() - begun
    return SimpleNamespace(network=network, history=history, batches=noted, took=took)


@pytest.fixture(scope="module")
def trained(posts):
    return train_and_note(posts, SMALL)


@pytest.fixture(scope="module")
def other_seed(posts):
    return train_and_note(posts, SMALL.but({"seed": 4}))


def shown(trained, posts):
    """What was shown, in order: name, whether it was mirrored, its target."""
    names = posts[1]["image"].tolist()
    known = {}
    for name, photo in zip(names, pixels_of(posts, names), strict=True):
        known[photo.numpy().tobytes()] = name, False
        known[photo.flip(-1).contiguous().numpy().tobytes()] = name, True
    found = []
    for batch in trained.batches:
        for photo, target in zip(batch.photos, batch.targets.tolist(), strict=True):
            found.append((*known[photo.contiguous().numpy().tobytes()], target))  # KeyError: cropped, say
    return pd.DataFrame(found, columns=["image", "mirrored", "target"])


def test_every_epoch_shows_every_training_photo_once_with_its_label(trained, posts):
    train = of_split(posts, "train").set_index("image")["label"]
    assert [batch.size for batch in trained.batches] == [6, 6, 5] * 2
    assert [len(batch.photos) for batch in trained.batches] == [6, 6, 5] * 2
    seen = shown(trained, posts)
    for epoch in (seen[:17], seen[17:]):
        assert sorted(epoch["image"]) == sorted(train.index)
        assert epoch["target"].tolist() == train[epoch["image"]].tolist()
    assert seen["image"][:17].tolist() != seen["image"][17:].tolist() != train.index.tolist()


def test_half_of_the_photos_are_mirrored_and_none_cropped(trained, other_seed, posts):
    mirrored = pd.concat([shown(trained, posts), shown(other_seed, posts)])["mirrored"]
    assert mirrored.mean() == pytest.approx(0.5, abs=0.24)  # 68 tosses: 4 standard deviations
    photo = pixels_of(posts, ["1.png"])
    assert not any(torch.equal(photo.flip(-2)[0], one) for batch in trained.batches for one in batch.photos)


def test_another_seed_shows_photos_in_another_order_and_mirrors_others(trained, other_seed, posts):
    one, other = shown(trained, posts), shown(other_seed, posts)
    assert one["image"].tolist() != other["image"].tolist()
    by_photo = [table[:17].set_index("image")["mirrored"].sort_index() for table in (one, other)]
    assert not by_photo[0].equals(by_photo[1])


def test_the_same_seed_gives_the_same_weights_and_another_does_not(trained, other_seed, posts):
    again, _ = fine_tune(*posts, SMALL, "cpu")
    first, again, other = (n.state_dict() for n in (trained.network, again, other_seed.network))
    assert all(torch.equal(first[k], again[k]) for k in first)
    assert not torch.equal(first["head.weight"], other["head.weight"])


def test_history_tells_of_every_epoch_what_was_found_in_it(trained):
    history = trained.history
    assert list(history) == [
        "epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy", "learning_rate",
        "seconds",
    ]  # fmt: skip
    found = torch.stack([batch.found for batch in trained.batches]).view(2, BATCHES, 2).sum(1) / 17
    assert history["epoch"].tolist() == [1, 2]
    assert history["train_loss"].tolist() == pytest.approx(found[:, 0].tolist(), rel=1e-6)
    assert history["train_accuracy"].tolist() == pytest.approx(found[:, 1].tolist())
    assert (history["seconds"] > 0).all() and history["seconds"].sum() <= trained.took
    # One cycle: up to the highest within a fifth of (at least ten) steps, from a 25th, and down by a cosine.
    after = [1e-3 * (1 - (1 - 1 / 250_000) * (1 - math.cos(math.pi * (s - 1) / 8)) / 2) for s in (3, 6)]
    assert history["learning_rate"].tolist() == pytest.approx(after, rel=1e-4)


def test_first_stages_and_statistics_stay_as_imagenet_taught_them_and_the_rest_learns(trained):
    before = build_network(Recipe(image_size=32)).state_dict()
    after = trained.network.state_dict()
    still = {name for name in after if torch.equal(before[name], after[name])}
    frozen = ("body.conv_stem.", "body.bn1.", "body.blocks.0.", "body.blocks.1.")
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert still == {name for name in after if name.startswith(frozen) or name.endswith(statistics)}
    assert not trained.network.training


def test_random_weights_learn_whole_and_their_statistics_too(posts):
    network, _ = fine_tune(*posts, STILL.but({"weights": "random", "learning_rate": 1e-6}), "cpu")
    before = build_network(Recipe(weights="random", image_size=32, seed=3)).state_dict()
    after = network.state_dict()
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert {"body.conv_stem.weight", "body.bn1.running_mean", "body.bn2.running_var"} <= changed
    # No start from fc7 that nobody has taught.
    assert torch.allclose(before["head.weight"], after["head.weight"], atol=1e-5)


def test_a_training_starts_as_a_logistic_regression_on_fc7(posts):
    train = of_split(posts, "train")
    network, _ = fine_tune(*posts, STILL, "cpu")
    (scores, _, fc7), _ = Scorer(network, "cpu").rate_named(posts[0], train["image"].tolist())
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=3e-4, max_iter=300))
    wanted = regression.fit(fc7, train["label"]).predict_proba(fc7)[:, 1]
    assert np.allclose(scores, wanted, atol=1e-4) and wanted.std() > 1e-3  # ten times what may differ


def test_the_network_is_as_its_recipe_says(posts):
    changes = {"dropout": 0.25, "drop_path": 0.5, "normalise_as": "vgg_face", "image_size": 40}
    network, _ = fine_tune(*posts, STILL.but(changes), "cpu")
    shares = [layer.drop_prob for layer in network.modules() if "DropPath" in type(layer).__name__]
    assert (network.image_size, network.dropout.p, network.backbone) == (40, 0.25, "efficientnet_lite0")
    assert 0.4 < max(shares) < 0.5 and not network.training
    assert (network.mean.flatten() * 255).tolist() == pytest.approx([129.1863, 104.7624, 93.594])


def test_the_epoch_with_the_lowest_validation_loss_is_kept(posts):
    images, labels = posts
    # Who is asked for the opposite of what is taught does worse with every epoch.
    against = labels["label"].where(labels["split"] != "validation", 1 - labels["label"])
    network, history = fine_tune(images, labels.assign(label=against), SMALL.but({"epochs": 3}), "cpu")
    assert history["validation_loss"].idxmin() == 0 and history["validation_loss"].nunique() == 3
    asked = of_split(posts, "validation")
    good = chance_of_good(network, pixels_of(posts, asked["image"]))
    loss = -np.log(np.where(asked["label"] == 0, good, 1 - good)).mean()
    assert loss == pytest.approx(history["validation_loss"][0], abs=1e-4)


def test_the_temperature_is_that_of_the_validation_split(posts):
    asked = of_split(posts, "validation")
    photos = pixels_of(posts, asked["image"])
    hot, cooled = (
        log_odds(fine_tune(*posts, STILL.but({"temperature": by}), "cpu")[0], photos) for by in (False, True)
    )
    assert np.allclose(hot / cooled, best_temperature(hot, asked["label"]), rtol=1e-3)


def best_temperature(odds, labels):
    """By another minimiser than the code's: labels that fit, and a log-temperature of 0, give or take 0.5."""
    side = np.where(np.asarray(labels) == 1, odds, -odds)

    def cost(log):
        return np.log1p(np.exp(-side / np.exp(log))).sum() + log**2 / (2 * 0.25)

    return math.exp(minimize_scalar(cost, bracket=(-0.5, 0.5), method="golden", tol=1e-10).x)


def test_a_tiny_set_is_overfit(posts):
    images, _ = posts
    train = of_split(posts, "train")
    by_heart = pd.concat([train, train.assign(split="validation")])  # asked about what it was shown
    network, history = fine_tune(images, by_heart, Recipe(image_size=32, epochs=25, batch_size=17), "cpu")
    assert history["epoch"].tolist() == list(range(1, 26))
    assert history["train_accuracy"].iloc[-1] == 1 and history["train_loss"].iloc[-1] < 0.1
    scores = Scorer(network, "cpu").rate_named(images, train["image"].tolist())[0].score
    assert ((scores > 0.5) == train["label"]).mean() > 0.9


def test_a_training_that_diverges_says_what_to_change(posts):
    with pytest.raises(SelfieError, match=r"no epoch had a finite validation loss; lower learning_rate"):
        fine_tune(*posts, SMALL.but({"learning_rate": 1e30, "optimizer": "sgd", "epochs": 1}), "cpu")


# --- its parts, compared with what is written out here ------------------------------------------------------


@pytest.mark.parametrize("weights", ["imagenet", "random"])
@pytest.mark.parametrize("optimizer", ["adamw", "sgd"])
@pytest.mark.parametrize("steps", [4, 40])
def test_steps_and_the_running_mean_are_those_of_a_loop_written_out(posts, weights, optimizer, steps):
    schedule = "one-cycle" if optimizer == "adamw" else "cosine"
    recipe = SMALL.but(
        {"weights": weights, "optimizer": optimizer, "schedule": schedule, "learning_rate": 0.01}
    )
    photos, targets = pixels_of(posts, posts[1]["image"]), torch.linspace(0, 1, 29)  # ranks, say
    network, model = toy(), toy()
    learner = _Trainer(network, recipe, steps, ALONE)
    learner.start_epoch()
    model.train()
    if weights == "imagenet":
        model.body[2].eval()  # keeps its statistics
    if optimizer == "adamw":
        adjust = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
        plan = torch.optim.lr_scheduler.OneCycleLR(adjust, 0.01, total_steps=max(steps, 10), pct_start=0.2)
    else:
        adjust = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, weight_decay=1e-4, nesterov=True)
        plan = SimpleNamespace(step=lambda: None)
    mean, decay = {}, {4: 0.5, 40: 1 - 1 / 8}[steps]  # a fifth of the steps are looked back on, two at least
    for step in range(4):
        rows = np.arange(step, 29, 4)
        found = learner.learn(photos[rows], targets[rows], 10)  # our share of a batch of ten
        if optimizer == "sgd":
            adjust.param_groups[0]["lr"] = 0.01 * (1 + math.cos(math.pi * step / steps)) / 2
        good = model(photos[rows])[0].softmax(1)[:, 1]
        losses = -(targets[rows] * good.log() + (1 - targets[rows]) * (1 - good).log())
        on_halves = -torch.where(targets[rows] > 0.5, good, 1 - good).log().sum()  # as validation is measured
        assert found[0].item() == pytest.approx(on_halves.item(), rel=1e-4)
        assert found[1] == ((good > 0.5) == (targets[rows] > 0.5)).sum()
        adjust.zero_grad()
        (losses.sum() / 10).backward()
        adjust.step()
        plan.step()
        now = {name: value.clone() for name, value in model.state_dict().items()}
        mean = {k: decay * mean.get(k, v) + (1 - decay) * v for k, v in now.items()}
    for name, value in network.state_dict().items():
        assert torch.allclose(value, now[name], rtol=1e-4, atol=1e-6), name
    for name, value in learner.averaged.state_dict().items():
        if name != "body.2.num_batches_tracked":
            assert torch.allclose(value, mean[name], rtol=1e-4, atol=1e-6), name
    assert learner.steps == 4 and (network.body[2].num_batches_tracked > 0) == (weights == "random")


def test_what_dropout_leaves_out_follows_from_seed_step_and_process_alone(posts):
    photos, targets = pixels_of(posts, posts[1]["image"][:8]), torch.ones(8)

    def losses(seed=0, rank=0, noise=0):
        learner = _Trainer(toy(dropout=0.5), STILL.but({"seed": seed}), 4, Processes(ALONE.device, rank))
        learner.start_epoch()
        torch.manual_seed(noise)
        return [learner.learn(photos, targets, 8)[0].item() for _ in range(2)]

    first = losses()
    assert first == losses(noise=5) and first[0] != first[1]
    assert set(first).isdisjoint(losses(seed=1)) and set(first).isdisjoint(losses(rank=7))


def test_a_checkpoint_of_a_learner_holds_all_that_the_next_step_depends_on(posts):
    photos, targets = pixels_of(posts, posts[1]["image"][:8]), torch.ones(8)
    one, other = (_Trainer(toy(0.5, seed), SMALL, 20, ALONE) for seed in (0, 1))
    for learner in (one, other):
        learner.start_epoch()
    for _ in range(3):
        one.learn(photos, targets, 8)
    other.load(copy.deepcopy(one.state()))
    for learner in (one, other):
        for _ in range(2):
            learner.learn(photos, targets, 8)
    for ours, theirs in ((one.network, other.network), (one.averaged, other.averaged)):
        pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
        assert all(torch.equal(a, b) for a, b in pairs)
    assert one.schedule.get_last_lr() == other.schedule.get_last_lr() and other.steps == 5


def test_an_epoch_is_added_up_where_the_network_computes(posts, monkeypatch):
    """On the meta device, which every machine has and whose numbers nobody can read; so they are not noted.

    A GPU would refuse to add up what lies elsewhere.
    """
    noted, elsewhere = [], Processes(torch.device("meta"), rank=1)  # the second one shows and writes nothing
    monkeypatch.setattr(_Progress, "note", lambda self, found: noted.append(found.device.type))
    trainer = _Trainer(toy().to("meta"), STILL, 4, elsewhere)
    training._train(trainer, as_part(posts, "train"), _Progress(0), 1, SimpleNamespace(due=lambda: False))
    assert noted == ["meta"] and trainer.steps == 3  # 17 photos by six


def test_losses_are_told_photo_by_photo_and_a_target_of_a_half_counts_as_bad():
    logits = torch.tensor([[0.0, 2.0], [0.0, 2.0], [1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    targets = torch.tensor([1.0, 0.0, 0.5, 0.7, 0.5])
    losses, told = training._loss(lambda photos: (logits, None), torch.zeros(5), targets)
    softplus = [math.log1p(math.exp(x)) for x in (-2, 2, 1, 1, 0)]
    wanted = [softplus[0], softplus[1], softplus[2] - 0.5, softplus[3] - 0.7, softplus[4]]
    assert losses.tolist() == pytest.approx(wanted, rel=1e-5)
    on_halves = [*softplus[:2], softplus[2] - 1, softplus[3] - 1, softplus[4]]  # good, bad, bad, good, bad
    assert told.tolist() == [pytest.approx(sum(on_halves), rel=1e-5), 4]


def test_a_split_is_judged_photo_by_photo_by_a_network_that_learns_no_more(posts):
    part, network = as_part(posts, "train", times=3), toy(dropout=0.5)  # 51 photos in batches of 26 and 25
    part.targets[:9] = 0.3  # so that the batches differ
    photos = pixels_of(posts, list(of_split(posts, "train")["image"]) * 3)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    found = evaluate(network.train(), part, ALONE)
    good, targets = chance_of_good(network.eval(), photos), part.targets.numpy().astype(float)
    losses = -np.log(np.where(targets > 0.5, good, 1 - good))
    assert found["validation_loss"] == pytest.approx(losses.mean(), rel=1e-5)
    assert found["validation_accuracy"] == pytest.approx(((good > 0.5) == (targets > 0.5)).mean())
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_cooling_divides_the_log_odds_by_what_a_minimiser_finds(posts):
    part, network = as_part(posts, "validation"), toy(seed=2).eval()
    with torch.no_grad():
        network.head.weight *= 60  # surer than it has reason to be
        network.head.bias += torch.tensor([0.0, 3.0])
    photos = pixels_of(posts, of_split(posts, "validation")["image"])
    before = log_odds(network, photos)
    scale_temperature(network, part, ALONE)
    wanted = best_temperature(before, part.labels)
    assert np.allclose(log_odds(network, photos), before / wanted, rtol=1e-3) and wanted > 1.05


def test_the_last_layer_starts_where_scikit_learn_ends(posts):
    part, network = as_part(posts, "train"), toy(seed=1).eval()
    with torch.no_grad():
        network.body[2].bias[0] = -1e3  # a feature that is 0 for every photo
    start_last_layer(network, part, np.random.default_rng(0), ALONE)
    photos = pixels_of(posts, of_split(posts, "train")["image"])
    fc7 = network(photos)[1].detach().numpy()
    assert (fc7[:, :4] == 0).all()
    regression = make_pipeline(StandardScaler(), LogisticRegression(C=3e-4, max_iter=300))
    wanted = regression.fit(fc7, part.labels.numpy()).predict_proba(fc7)[:, 1]
    assert np.allclose(chance_of_good(network, photos), wanted, atol=1e-5)
    assert torch.equal(network.head.weight[0], -network.head.weight[1])
    assert torch.equal(network.head.bias[0], -network.head.bias[1])


def test_of_many_posts_the_last_layer_starts_from_some_drawn_by_seed(posts, monkeypatch):
    monkeypatch.setattr(training, "FIRST_GUESS", 11)
    part, heads = as_part(posts, "train"), []
    for seed in (0, 0, 1):
        network = toy(seed=1).eval()
        start_last_layer(network, part, np.random.default_rng(seed), ALONE)
        heads.append(network.head.weight.detach().clone())
    assert torch.equal(heads[0], heads[1]) and not torch.equal(heads[0], heads[2])
    fc7 = network(pixels_of(posts, of_split(posts, "train")["image"]))[1].detach().numpy()
    regression = LogisticRegression(C=3e-4, max_iter=300)
    rows = np.random.default_rng(1).permutation(17)[:11]
    some = StandardScaler().fit(fc7[rows])
    regression.fit(some.transform(fc7[rows]), part.labels.numpy()[rows])
    slopes = regression.coef_[0] / some.scale_ / 2
    assert np.allclose(heads[2][1].numpy(), slopes, rtol=1e-2, atol=1e-6)


def test_ranks_are_learned_where_they_are_asked_for_and_known(posts):
    images, labels = posts
    ranked = labels.assign(rank=np.linspace(0.9, 0.1, 29))
    ranked.loc[ranked.index[ranked["split"] == "train"][2], "rank"] = np.nan
    ranks = SMALL.but({"targets": "ranks"})
    train = ranked[ranked["split"] == "train"]
    part = training._part(images, ranked, "train", ranks, None)
    wanted = [r if r == r else float(y) for r, y in zip(train["rank"], train["label"], strict=True)]
    assert part.targets.tolist() == pytest.approx(wanted) and part.targets.dtype == torch.float32
    assert part.labels.tolist() == train["label"].tolist() and part.labels.dtype == torch.int64
    shown = part.photos.take(range(17)).transpose(0, 3, 1, 2)
    assert (shown == pixels_of(posts, train["image"]).numpy()).all()
    for table, split, recipe in (
        (ranked, "validation", ranks),  # what is judged is good or bad
        (ranked, "train", SMALL),
        (labels, "train", ranks),  # ranks that nobody knows
    ):
        part = training._part(images, table, split, recipe, None)
        assert part.targets.tolist() == table.loc[table["split"] == split, "label"].tolist()


def test_the_best_epoch_is_kept_as_it_was_and_of_equals_the_first():
    course, network = _Progress(0), toy()
    for epoch, loss in enumerate((0.7, 0.5, 0.6, 0.5, float("nan")), 1):
        with torch.no_grad():
            network.head.bias.fill_(epoch)
        course.batches, course.photos, course.order = 9, 99, np.arange(3)
        course.finish_epoch({"epoch": epoch, "validation_loss": torch.tensor(loss)}, network)
        assert course.order is None and (course.batches, course.photos, course.epoch) == (0, 0, epoch + 1)
    assert course.best["head.bias"].tolist() == [2, 2] and course.best_loss == 0.5
    assert [row["epoch"] for row in course.history] == [1, 2, 3, 4, 5]
    assert type(course.history[0]["validation_loss"]) is float
    other = _Progress(1)
    course.rng.random(5)
    course.order = np.arange(4)[::-1].copy()
    other.load(copy.deepcopy(course.state()))
    assert other.rng.random() == course.rng.random() and other.order.tolist() == [3, 2, 1, 0]
    assert other.epoch == 6 and other.history == course.history


# --- what goes wrong ---------------------------------------------------------------------------------------


def test_photos_that_do_not_fit_in_memory_are_read_by_workers(trained, posts, monkeypatch):
    monkeypatch.setattr(batches, "IN_MEMORY", 0)
    read_anew, _ = fine_tune(*posts, SMALL, "cpu")
    for one, other in zip(trained.network.parameters(), read_anew.parameters(), strict=True):
        assert torch.equal(one, other)


def test_a_photo_that_a_worker_cannot_read_is_told_in_one_sentence(posts, tmp_path, monkeypatch):
    images, labels = posts
    shutil.copytree(images.root, tmp_path / "photos")
    (tmp_path / "photos" / "3.png").write_bytes((images.root / "3.png").read_bytes()[:200])
    monkeypatch.setattr(batches, "IN_MEMORY", 0)
    with pytest.raises(SelfieError) as told:
        fine_tune(ImageFolder(tmp_path / "photos"), labels, SMALL, "cpu")
    assert str(told.value).startswith("3.png ") and len(str(told.value).splitlines()) == 1


def test_a_disk_without_room_changes_neither_weights_nor_scores(posts, tmp_path, monkeypatch, capsys):
    images, labels = posts
    found = []
    for name, room in (("roomy", 2**30), ("full", 0)):
        monkeypatch.setattr(packing, "_room", lambda folder, room=room: room)
        run = create_run(tmp_path / name)
        network, _ = fine_tune(images, labels, SMALL.but({"epochs": 1}), "cpu", run.root)
        found.append(score_run(run, network, images, labels, "cpu")["score"])
    assert found[0].equals(found[1])
    assert (tmp_path / "roomy" / "packed" / "32").exists() and not (tmp_path / "full" / "packed").exists()
    assert "decoded again in every epoch" in capsys.readouterr().out


def test_splits_that_make_no_sense_are_refused(posts):
    images, labels = posts
    for split in ("train", "validation"):
        with pytest.raises(SelfieError, match=f"no {split} post"):
            fine_tune(images, labels[labels["split"] != split], SMALL, "cpu")
    with pytest.raises(SelfieError, match="the same label"):
        fine_tune(images, labels.assign(label=1), SMALL, "cpu")


def test_one_label_among_validation_posts_is_no_reason_to_stop(posts):
    images, labels = posts
    good = labels[(labels["split"] != "validation") | (labels["label"] == 1)]
    assert len(fine_tune(images, good, STILL, "cpu")[1]) == 1


# --- a finished training is not done again ------------------------------------------------------------------

LITTLE = Recipe("mobilenetv3_small_050", "random", 32, epochs=1)


@pytest.fixture
def trainings(monkeypatch):
    """The recipes that were trained; what a training makes of them is a network as it is drawn by seed."""
    asked = []

    def train(images, labels, recipe, device, folder):
        asked.append(recipe)
        return build_network(recipe).eval(), pd.DataFrame({"epoch": [1], "train_loss": [0.1 + 0.2]})

    monkeypatch.setattr(training, "fine_tune", train)
    return asked


@pytest.fixture
def own(posts, tmp_path):
    """A run folder, and posts whose photos may be changed."""
    shutil.copytree(posts[0].root, tmp_path / "photos")
    return create_run(tmp_path / "run"), ImageFolder(tmp_path / "photos"), posts[1]


def test_a_training_is_kept_to_the_bit_and_not_made_twice(posts, tmp_path, monkeypatch):
    run = create_run(tmp_path / "run")
    recipe = STILL.but({"image_size": 32})
    network, history = train_run(run, *posts, recipe, "cpu")
    monkeypatch.setattr(training, "fine_tune", None)  # nobody may train now
    again, same = train_run(run, *posts, recipe, "cpu")
    pairs = zip(network.state_dict().items(), again.state_dict().items(), strict=True)
    assert all(one == other and torch.equal(a, b) for (one, a), (other, b) in pairs) and not again.training
    pd.testing.assert_frame_equal(history, same, check_exact=True)
    assert run.read_json("network/network")["recipe"] == vars(recipe)


def is_trained(trainings, own, recipe=LITTLE, **changed):
    """Tell whether it is trained, and see that it is not trained once more right after."""
    run, images, labels = own
    before = len(trainings)
    for _ in range(2):
        network, history = train_run(run, images, changed.get("labels", labels), recipe, "cpu")
    assert len(trainings) <= before + 1
    assert history["train_loss"].tolist() == [0.1 + 0.2]
    assert torch.equal(network.head.weight, build_network(recipe).head.weight)
    return len(trainings) > before


def test_a_training_is_made_again_where_its_recipe_labels_photos_or_code_are_others(
    trainings, own, tmp_path, monkeypatch
):
    _, images, labels = own
    assert is_trained(trainings, own) and not is_trained(trainings, own)
    for change in (
        {"seed": 1},
        {"epochs": 2},
        {"dropout": 0.5},
        {"precision": "float32"},
        {"image_size": 40},
    ):
        assert is_trained(trainings, own, LITTLE.but(change)), change
    assert is_trained(trainings, own)  # a run keeps one network
    label = labels["label"].copy()
    label.iloc[2] = 1 - label.iloc[2]
    assert is_trained(trainings, own, labels=labels.assign(label=label))
    assert is_trained(trainings, own)
    for split in ("train", "validation"):
        image = labels.loc[labels["split"] == split, "image"].iloc[0]
        Image.new("RGB", (32, 32), "teal").save(images.root / image)
        assert is_trained(trainings, own), split
    image = labels.loc[labels["split"] == "test", "image"].iloc[0]
    Image.new("RGB", (32, 32), "teal").save(images.root / image)
    assert not is_trained(trainings, own)  # nothing is learned from it
    file = tmp_path / "own.safetensors"
    for seed in (1, 2):
        state = build_network(LITTLE.but({"seed": seed})).body.state_dict()
        save_file({name: value.contiguous() for name, value in state.items()}, file)
        assert is_trained(trainings, own, LITTLE.but({"weights": str(file)})), seed
    source = code._source
    edited = "selfie_utils.model.batches"
    monkeypatch.setattr(code, "_source", lambda module: source(module) + b"#" * (module == edited))
    code.fingerprint.cache_clear()
    try:
        assert is_trained(trainings, own, LITTLE.but({"weights": str(file)}))
    finally:
        code.fingerprint.cache_clear()


@pytest.mark.parametrize("name", ["network/network.json", "network/model.safetensors", "training.csv"])
@pytest.mark.parametrize("damage", [None, b"", b"{}", "half"])
def test_a_training_whose_files_are_damaged_or_missing_is_made_again(trainings, own, name, damage):
    run, _, _ = own
    assert is_trained(trainings, own)
    path = run.root / name
    whole = path.read_bytes()
    path.unlink()
    if damage is not None and (name, damage) != ("training.csv", "half"):
        path.write_bytes(whole[: len(whole) // 2] if damage == "half" else damage)
    assert is_trained(trainings, own)
    assert path.read_bytes() == whole


def test_a_network_that_was_trained_elsewhere_is_no_training_of_this_run(trainings, own):
    run, _, _ = own
    save_network(run, build_network(LITTLE), vars(LITTLE), pd.DataFrame({"epoch": [1]}))
    assert is_trained(trainings, own)
