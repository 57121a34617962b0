"""Fine-tune the network to tell good selfies from bad ones."""

import copy
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from tqdm import tqdm

from selfie_utils.errors import SelfieError
from selfie_utils.images import ImageFolder, ImageZip
from selfie_utils.network import SelfieNetwork, build_network, choose_device
from selfie_utils.photo_batches import InMemory, PhotoSet, batches, open_photos

OPTIMIZERS = ("adamw", "sgd")
SCHEDULES = ("one-cycle", "cosine")
WEIGHT_DECAY = 0.01


@dataclass(frozen=True)
class Recipe:
    """How the network is fine-tuned."""

    backbone: str = "efficientnet_lite0"
    weights: str = "imagenet"
    image_size: int = 96  # px
    epochs: int = 4
    batch_size: int = 64
    learning_rate: float = 1e-3  # the highest of the schedule
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
    images: ImageFolder | ImageZip, labels: pd.DataFrame, recipe: Recipe, device: str = "auto"
) -> tuple[SelfieNetwork, pd.DataFrame]:
    """Fine-tune on the train split and keep the epoch with the lowest validation loss.

    `labels` as in labels.parquet. Photos are squished to a square; the only augmentation is the horizontal
    flip, since crops would change the framing that we study. Returns (network, history): history has one row
    an epoch: epoch, train_loss, train_accuracy, validation_loss, validation_accuracy, learning_rate, seconds.
    Raises SelfieError where a split is empty. Source: the post, "Training details".
    """
    where = choose_device(device)
    network = build_network(recipe.backbone, recipe.weights, recipe.image_size, recipe.seed)
    network = network.to(where, memory_format=torch.channels_last)
    train, validation = (_part(images, labels, split, recipe.image_size) for split in ("train", "validation"))
    optimizer = _optimizer(network, recipe)
    steps = recipe.epochs * max(1, round(len(train.labels) / recipe.batch_size))
    schedule = _schedule(optimizer, recipe, steps)
    rng, history, best = np.random.default_rng(recipe.seed), [], (np.inf, None)
    for epoch in range(1, recipe.epochs + 1):
        start = time.perf_counter()
        row = {"epoch": epoch, **_train(network, train, optimizer, schedule, _Epoch(epoch, recipe, rng))}
        row |= evaluate(network, validation, recipe.batch_size)
        row |= {"learning_rate": schedule.get_last_lr()[0], "seconds": time.perf_counter() - start}
        history.append(row)
        if row["validation_loss"] < best[0]:
            best = row["validation_loss"], copy.deepcopy(network.state_dict())
    if best[1] is None:
        raise SelfieError("Training diverged: no epoch had a finite validation loss; lower learning_rate.")
    network.load_state_dict(best[1])
    return network.eval(), pd.DataFrame(history)


@dataclass(frozen=True)
class _Epoch:
    """What one pass over the train split needs to know."""

    number: int
    recipe: Recipe
    rng: np.random.Generator


def _part(images: ImageFolder | ImageZip, labels: pd.DataFrame, split: str, size: int) -> Part:
    some = labels[labels["split"] == split]
    if some.empty:
        raise SelfieError(f"There is no {split} post among the labels: bring more posts, or another split.")
    return Part(open_photos(images, some["image"], size), torch.tensor(some["label"].to_numpy()))


def _optimizer(network: SelfieNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    if recipe.optimizer == "adamw":
        return torch.optim.AdamW(network.parameters(), recipe.learning_rate, weight_decay=WEIGHT_DECAY)
    return torch.optim.SGD(
        network.parameters(), recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=1e-4
    )


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    # With fewer than 4 steps a third of them would be none.
    return OneCycleLR(optimizer, recipe.learning_rate, total_steps=max(steps, 4), pct_start=0.3)


def _train(
    network: SelfieNetwork, part: Part, optimizer: torch.optim.Optimizer, schedule: LRScheduler, epoch: _Epoch
) -> dict[str, float]:
    """Show every photo of the train split once, in random order, half of them mirrored."""
    network.train()
    order = epoch.rng.permutation(len(part.labels))
    total = loss_sum = right = 0
    title = f"epoch {epoch.number} of {epoch.recipe.epochs}"
    with tqdm(total=len(order), desc=title, mininterval=2, unit="photo") as progress:
        for photos, labels in _pairs(part, order, epoch.recipe.batch_size):
            mirrored = torch.from_numpy(epoch.rng.random(len(photos)) < 0.5)
            photos[mirrored] = photos[mirrored].flip(-1)
            loss, correct = _step(network, photos, labels, optimizer)
            schedule.step()
            total, loss_sum, right = total + len(labels), loss_sum + loss * len(labels), right + correct
            progress.update(len(labels))
            progress.set_postfix_str(
                f"loss {loss_sum / total:.3f}, accuracy {right / total:.1%}", refresh=False
            )
    return {"train_loss": loss_sum / total, "train_accuracy": right / total}


def _pairs(part: Part, order: np.ndarray, batch_size: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield batches of photos, uint8 (N, 3, S, S), with their labels, int64 (N,)."""
    start = 0
    for photos in batches(part.photos, order, batch_size):
        yield photos, part.labels[order[start : start + len(photos)]]
        start += len(photos)


def _step(
    network: SelfieNetwork, photos: torch.Tensor, labels: torch.Tensor, optimizer: torch.optim.Optimizer
) -> tuple[float, int]:
    """Learn from one batch; returns its loss and how many it told right."""
    loss, logits = _loss(network, photos, labels)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item(), int((logits.argmax(1).cpu() == labels).sum())


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
