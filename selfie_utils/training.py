"""Fine-tune the network to tell good selfies from bad ones."""

import copy
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from selfie_utils.checkpoints import Checkpoints, training_key
from selfie_utils.errors import SelfieError
from selfie_utils.images import ImageFolder, ImageZip
from selfie_utils.network import SelfieNetwork, build_network, choose_device
from selfie_utils.photo_batches import InMemory, PhotoSet, batches, batches_in, forward_batch, open_photos

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one-cycle", "cosine")
WEIGHT_DECAY = 0.01
AVERAGED = 0.2  # share of the training's steps that the running mean of the weights looks back on
FIRST_GUESS = 20_000  # photos at most that the last layer starts from
PENALTY = 3e-4  # of the first guess of the last layer (C): fc7 has nearly as many numbers as we have posts


@dataclass(frozen=True)
class Recipe:
    """How the network is fine-tuned."""

    backbone: str = "efficientnet_lite0"
    weights: str = "imagenet"
    image_size: int = 128  # px
    epochs: int = 3
    batch_size: int = 32
    learning_rate: float = 3e-4  # the highest of the schedule
    optimizer: str = "adamw"
    schedule: str = "one-cycle"
    seed: int = 0

    def __post_init__(self):
        if self.optimizer not in OPTIMIZERS:
            raise SelfieError(f"optimizer is {self.optimizer!r}, expected {' or '.join(OPTIMIZERS)}.")
        if self.schedule not in SCHEDULES:
            raise SelfieError(f"schedule is {self.schedule!r}, expected {' or '.join(SCHEDULES)}.")
        for name in ("epochs", "batch_size", "learning_rate"):
            if getattr(self, name) <= 0:
                raise SelfieError(f"{name} is {getattr(self, name)}, expected more than 0.")


@dataclass
class Part:
    """The photos of one split with their labels, int64 (N,)."""

    photos: PhotoSet | InMemory
    labels: torch.Tensor


def fine_tune(
    images: ImageFolder | ImageZip,
    labels: pd.DataFrame,
    recipe: Recipe,
    device: str = "auto",
    checkpoints: Path | None = None,
) -> tuple[SelfieNetwork, pd.DataFrame]:
    """Fine-tune on the train split and keep the epoch with the lowest validation loss.

    `labels` as in labels.parquet. Photos are squished to a square; the only augmentation is the horizontal
    flip, since crops would change the framing that we study. The last layer starts as a logistic regression
    on fc7, EfficientNet's first stages and batch norm's statistics stay as ImageNet taught them (unless the
    weights are random), and what is judged and kept is the running mean of the weights: with a few thousand
    posts whose labels are often wrong, all this keeps the network from learning them by heart.

    With a folder for `checkpoints`, a training that was killed goes on where it was, inside an epoch too, and
    ends with the same weights. Returns (network, history): history has one row an epoch: epoch, train_loss,
    train_accuracy, validation_loss, validation_accuracy, learning_rate, seconds.
    Raises SelfieError where a split is empty. Sources: the post, "Training details"; Kumar et al.,
    "Fine-tuning can distort pretrained features and underperform out-of-distribution", 2022, for the start.
    """
    where = choose_device(device)
    network = build_network(recipe.backbone, recipe.weights, recipe.image_size, recipe.seed)
    network = network.to(where, memory_format=torch.channels_last)
    train, validation = (_part(images, labels, split, recipe.image_size) for split in ("train", "validation"))
    keeper = Checkpoints(checkpoints, training_key(recipe, labels, where))
    kept = keeper.load()
    if kept is None and recipe.weights != "random":
        start_last_layer(network, train, np.random.default_rng(recipe.seed))
    steps = recipe.epochs * batches_in(len(train.labels), recipe.batch_size)
    learner, course = _Learner(network, recipe, steps), _Course(recipe.seed)
    if kept is not None:
        learner.load(kept["learner"])
        course.load(kept["course"])
    while course.epoch <= recipe.epochs:
        start = time.perf_counter() - course.seconds
        row = {"epoch": course.epoch, **_train(learner, train, course, recipe.epochs, keeper)}
        row |= evaluate(learner.averaged, validation, recipe.batch_size)
        row |= {"learning_rate": learner.schedule.get_last_lr()[0], "seconds": time.perf_counter() - start}
        course.finish_epoch(row, learner.averaged)
        keeper.save(learner.steps, {"learner": learner.state(), "course": course.state()})
    if course.best is None:
        raise SelfieError("Training diverged: no epoch had a finite validation loss; lower learning_rate.")
    network.load_state_dict(course.best)
    return network.eval(), pd.DataFrame(course.history)


def _part(images: ImageFolder | ImageZip, labels: pd.DataFrame, split: str, size: int) -> Part:
    some = labels[labels["split"] == split]
    if some.empty:
        raise SelfieError(f"There is no {split} post among the labels: bring more posts, or another split.")
    if split == "train" and some["label"].nunique() < 2:
        raise SelfieError("All training posts bear the same label: there is nothing to tell apart.")
    return Part(open_photos(images, some["image"], size), torch.tensor(some["label"].to_numpy()))


@torch.inference_mode()
def start_last_layer(network: SelfieNetwork, part: Part, rng: np.random.Generator) -> None:
    """Set the last layer to a logistic regression on the fc7 that ImageNet taught."""
    rows = rng.permutation(len(part.labels))[:FIRST_GUESS]
    labels = part.labels.numpy()[rows]
    network.eval()
    device = network.head.weight.device
    fc7 = []
    with tqdm(total=len(rows), desc="reading fc7", mininterval=2, unit="photo") as progress:
        for photos in batches(part.photos, rows, forward_batch(device)):
            fc7.append(network(photos.to(device))[1].float().cpu())
            progress.update(len(photos))
    fc7 = torch.cat(fc7).numpy()  # (N, D)
    mean, spread = fc7.mean(axis=0), fc7.std(axis=0) + 1e-6
    model = LogisticRegression(C=PENALTY, max_iter=300).fit((fc7 - mean) / spread, labels)
    slopes = model.coef_[0] / spread
    bias = (model.intercept_[0] - slopes @ mean) / 2
    # Half of the log-odds for good, half against bad.
    network.head.weight.copy_(torch.tensor(np.stack([-slopes, slopes]) / 2, dtype=torch.float32))
    network.head.bias.copy_(torch.tensor([-bias, bias], dtype=torch.float32))


class _Learner:
    """A network that learns from one batch after the other, and the running mean of its weights."""

    def __init__(self, network: SelfieNetwork, recipe: Recipe, steps: int):
        self.network, self.batch_size = network, recipe.batch_size
        self._taught = recipe.weights != "random"
        if self._taught:
            network.freeze_first_stages()
        decay = 1 - 1 / max(2, AVERAGED * steps)
        self._mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self.averaged = self._mean.module
        self._optimizer = _optimizer(network, recipe)
        self.schedule = _schedule(self._optimizer, recipe, steps)
        self.steps = 0  # taken so far

    def state(self) -> dict[str, Any]:
        """Return all that the next step depends on."""
        return {
            "network": self.network.state_dict(), "mean": self._mean.state_dict(), "steps": self.steps,
            "optimizer": self._optimizer.state_dict(), "schedule": self.schedule.state_dict(),
        }  # fmt: skip

    def load(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        self.network.load_state_dict(state["network"])
        self._mean.load_state_dict(state["mean"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.steps = state["steps"]

    def start_epoch(self) -> None:
        """Switch to training; batch norm goes on with the statistics of ImageNet, if there are any."""
        self.network.train()
        for layer in self.network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.train(not self._taught)

    def learn(self, photos: torch.Tensor, labels: torch.Tensor) -> tuple[float, int]:
        """Learn from one batch; return its loss and how many it told right."""
        loss, logits = _loss(self.network, photos, labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.schedule.step()
        self._mean.update_parameters(self.network)
        self.steps += 1
        return loss.item(), int((logits.argmax(1).cpu() == labels).sum())


def _optimizer(network: SelfieNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(weights, recipe.learning_rate, weight_decay=WEIGHT_DECAY)
    return torch.optim.SGD(weights, recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=1e-4)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    # With a handful of steps the fifth that warms up would be none.
    return OneCycleLR(optimizer, recipe.learning_rate, total_steps=max(steps, 10), pct_start=0.2)


class _Course:
    """Where a training stands: the epoch, the place in it, what was found so far."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.epoch, self.history = 1, []
        self.best_loss, self.best = np.inf, None
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.order: np.ndarray | None = None  # of the photos, drawn when the epoch begins
        self.batches, self.photos, self.right, self.loss_sum, self.seconds = 0, 0, 0, 0.0, 0.0

    def count(self, photos: int, loss: float, right: int) -> None:
        """Count a batch that was learned from."""
        self.batches, self.photos, self.right = self.batches + 1, self.photos + photos, self.right + right
        self.loss_sum += loss * photos

    def finish_epoch(self, row: dict[str, float], network: SelfieNetwork) -> None:
        """Note what an epoch came to, and keep its weights where they are the best so far."""
        self.history.append({name: float(value) for name, value in row.items()} | {"epoch": self.epoch})
        if row["validation_loss"] < self.best_loss:
            self.best_loss, self.best = row["validation_loss"], copy.deepcopy(network.state_dict())
        self.epoch += 1
        self._begin_epoch()

    def state(self) -> dict[str, Any]:
        """Return all of it in plain types and tensors."""
        order = None if self.order is None else torch.from_numpy(self.order)
        plain = {name: value for name, value in vars(self).items() if name not in ("rng", "order")}
        return plain | {"order": order, "rng": self.rng.bit_generator.state}

    def load(self, state: dict[str, Any]) -> None:
        """Go back to where `state` was taken."""
        vars(self).update({name: value for name, value in state.items() if name not in ("rng", "order")})
        self.order = None if state["order"] is None else state["order"].numpy()
        self.rng.bit_generator.state = state["rng"]


def _train(
    learner: _Learner, part: Part, course: _Course, epochs: int, keeper: Checkpoints
) -> dict[str, float]:
    """Show every photo of the train split once, in random order, half of them mirrored."""
    learner.start_epoch()
    if course.order is None:
        course.order = course.rng.permutation(len(part.labels))
    start = time.perf_counter() - course.seconds
    title = f"epoch {course.epoch} of {epochs}"
    with tqdm(
        total=len(course.order), initial=course.photos, desc=title, mininterval=2, unit="photo"
    ) as progress:
        for photos, labels in _pairs(part, course.order, learner.batch_size, course.batches):
            mirrored = torch.from_numpy(course.rng.random(len(photos)) < 0.5)
            photos[mirrored] = photos[mirrored].flip(-1)
            course.count(len(labels), *learner.learn(photos, labels))
            course.seconds = time.perf_counter() - start
            if keeper.due():
                keeper.save(learner.steps, {"learner": learner.state(), "course": course.state()})
            progress.update(len(labels))
            loss, accuracy = course.loss_sum / course.photos, course.right / course.photos
            progress.set_postfix_str(f"loss {loss:.3f}, accuracy {accuracy:.1%}", refresh=False)
    return {"train_loss": course.loss_sum / course.photos, "train_accuracy": course.right / course.photos}


def _pairs(
    part: Part, order: np.ndarray, batch_size: int, skip: int = 0
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of photos, uint8 (N, 3, S, S), with their labels, int64 (N,); not the first `skip`."""
    parts = np.array_split(order, batches_in(len(order), batch_size))
    start = sum(map(len, parts[:skip]))
    for photos in batches(part.photos, order, batch_size, skip):
        yield photos, part.labels[order[start : start + len(photos)]]
        start += len(photos)


def _loss(
    network: SelfieNetwork, photos: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return (cross-entropy, logits (N, 2)); in bfloat16 on CUDA, where it is much faster."""
    device = network.head.weight.device
    on_cuda = device.type == "cuda"
    with torch.autocast("cuda", torch.bfloat16) if on_cuda else nullcontext():
        logits, _ = network(photos.to(device, non_blocking=True))
    logits = logits.float()
    return nn.functional.cross_entropy(logits, labels.to(device)), logits


@torch.inference_mode()
def evaluate(network: SelfieNetwork, part: Part, batch_size: int) -> dict[str, float]:
    """Return validation_loss and validation_accuracy over all photos of a split."""
    network.eval()
    loss_sum = right = 0
    for photos, labels in _pairs(part, np.arange(len(part.labels)), batch_size):
        loss, logits = _loss(network, photos, labels)
        loss_sum += loss.item() * len(labels)
        right += int((logits.argmax(1).cpu() == labels).sum())
    return {"validation_loss": loss_sum / len(part.labels), "validation_accuracy": right / len(part.labels)}
