"""Fine-tune the network to tell good selfies from bad ones."""

import copy
import time
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import pandas as pd
import torch
import typer
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler, OneCycleLR
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from selfie_utils.core.draws import hash_names
from selfie_utils.core.errors import SelfieError, in_one_sentence
from selfie_utils.core.progress import tqdm
from selfie_utils.core.run_folder import RunFolder, open_run
from selfie_utils.model.batches import (
    PhotoSet,
    batches,
    batches_in,
    cut,
    forward_batch,
    open_photos,
    to_device,
)
from selfie_utils.model.checkpoints import Checkpoints, training_key
from selfie_utils.model.metrics import fit_temperature
from selfie_utils.model.network import SelfieNetwork, build_network, save_network, trained_before
from selfie_utils.model.processes import (
    Processes,
    as_processes,
    choose_device,
    join_processes,
    launch,
    read_device,
)
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scoring import score_pack
from selfie_utils.photos.images import Images, open_images
from selfie_utils.photos.pack import PhotoPack
from selfie_utils.posts.labels import labels_of

WEIGHT_DECAY = 0.01
AVERAGED = 0.2  # share of the training's steps that the running mean of the weights looks back on
FIRST_GUESS = 20_000  # photos at most that the last layer starts from
PENALTY = 3e-4  # of the first guess of the last layer (C): fc7 has nearly as many numbers as we have posts


@dataclass
class Part:
    """The photos of one split, their labels, int64 (N,), and what is to be learned, float32 (N,), 0..1."""

    photos: PhotoSet | PhotoPack
    labels: torch.Tensor
    targets: torch.Tensor


def fine_tune(
    images: Images,
    labels: pd.DataFrame,
    recipe: Recipe,
    device: str | Processes = "auto",
    folder: Path | None = None,
    checkpoints: Path | None = None,
) -> tuple[SelfieNetwork, pd.DataFrame]:
    """Fine-tune on the train split and keep the epoch with the lowest validation loss.

    `labels` as in labels.parquet; with a column `rank` (0..1, as from `labels.rank_in_group`) where the
    recipe learns ranks. Photos are squished to a square; the only augmentation is the horizontal flip, since
    crops would change the framing that we study. The last layer starts as a logistic regression on fc7,
    EfficientNet's first stages and batch norm's statistics stay as ImageNet taught them (unless the weights
    are random), and what is judged and kept is the running mean of the weights: with a few thousand posts
    whose labels are often wrong, all this keeps the network from learning them by heart. At the end the
    log-odds are divided by one number, the temperature, so that scores fit the validation split.

    With a run folder `folder`, photos are packed there, and a training that was killed goes on where it was,
    inside an epoch too, and ends with the same weights (`checkpoints` may lie elsewhere). `device` is a name,
    or the processes that share the work: each learns from its share of every batch, and gradients are
    averaged, so that losses are those of one process, but for what dropout and drop_path leave out.

    Memory: the network, the mean and the best of its weights, its gradients, the optimizer's state, some
    batches, a few numbers per post, and fc7 of 20,000 posts, twice, for the last layer's start.

    Returns (network, history): history has one row per epoch: epoch, train_loss, train_accuracy,
    validation_loss, validation_accuracy, learning_rate, seconds.
    Raises SelfieError where a split is empty. Sources: the article, "Training details"; Kumar et al.,
    "Fine-tuning can distort pretrained features and underperform out-of-distribution", 2022, for the start;
    Guo et al., "On calibration of modern neural networks", 2017, for the temperature.
    """
    processes = as_processes(device)
    network = build_network(recipe).to(processes.device).to(memory_format=torch.channels_last)
    with processes.main_first():
        train, validation = (
            _part(images, labels, split, recipe, folder) for split in ("train", "validation")
        )
    checkpoints = checkpoints or (folder and folder / "checkpoints")
    # The first process's key holds for all: they must agree on where to go on.
    key = processes.gather(training_key(recipe, labels, processes.device))[0]
    keeper = Checkpoints(checkpoints, key)
    with keeper.alone() if processes.is_main else nullcontext():
        progress = _learn_all(network, (train, validation), recipe, processes, keeper)
    if progress.best is None:
        raise SelfieError("Training diverged: no epoch had a finite validation loss; lower learning_rate.")
    network.load_state_dict(progress.best)
    if recipe.temperature:
        scale_temperature(network, validation, processes)
    return network.eval(), pd.DataFrame(progress.history)


def _learn_all(
    network: SelfieNetwork,
    parts: tuple[Part, Part],
    recipe: Recipe,
    processes: Processes,
    keeper: Checkpoints,
) -> "_Progress":
    """Go through all epochs, from where `keeper` knows that an earlier process came to."""
    train, validation = parts
    with processes.main_first():  # the others wait until the lock is taken and all find the same
        kept = keeper.load()
        if kept is None and processes.is_main:
            keeper.clear()
    if kept is None and recipe.weights != "random":
        start_last_layer(network, train, np.random.default_rng(recipe.seed), processes)
    steps = recipe.epochs * batches_in(len(train.labels), recipe.batch_size)
    trainer, progress = _Trainer(network, recipe, steps, processes), _Progress(recipe.seed)
    if kept is not None:
        trainer.load(kept["trainer"])
        progress.load(kept["progress"])
    while progress.epoch <= recipe.epochs:
        start = time.perf_counter() - progress.seconds
        row = {"epoch": progress.epoch, **_train(trainer, train, progress, recipe.epochs, keeper)}
        row |= evaluate(trainer.averaged, validation, processes)
        row |= {
            "learning_rate": float(trainer.schedule.get_last_lr()[0]),
            "seconds": time.perf_counter() - start,
        }
        progress.finish_epoch(row, trainer.averaged)
        trainer.save(keeper, progress)
    return progress


def _part(images: Images, labels: pd.DataFrame, split: str, recipe: Recipe, folder: Path | None) -> Part:
    some = labels[labels["split"] == split]
    if some.empty:
        raise SelfieError(f"There is no {split} post among the labels: bring more posts, or another split.")
    if split == "train" and some["label"].nunique() < 2:
        raise SelfieError("All training posts have the same label: there is nothing to tell apart.")
    size = recipe.image_size
    photos = open_photos(images, some["image"], size, folder and folder / "packed" / str(size))
    labels = torch.tensor(some["label"].to_numpy(np.int64))
    by_rank = recipe.targets == "ranks" and split == "train" and "rank" in some
    targets = some["rank"].fillna(some["label"]) if by_rank else some["label"]
    return Part(photos, labels, torch.tensor(targets.to_numpy(np.float32)))


@torch.no_grad()
def start_last_layer(
    network: SelfieNetwork, part: Part, rng: np.random.Generator, processes: Processes
) -> None:
    """Set the last layer to a logistic regression on the fc7 that ImageNet taught."""
    rows = np.sort(rng.permutation(len(part.labels))[:FIRST_GUESS])
    mine = np.array_split(rows, processes.size)[processes.rank]
    fc7 = np.empty((len(mine), network.head.in_features), np.float32)
    score_pack(network, part.photos, mine, fc7, "reading fc7")
    fc7 = np.concatenate(processes.gather(fc7))  # (N, D)
    mean, spread = fc7.mean(axis=0), fc7.std(axis=0) + 1e-6
    model = LogisticRegression(C=PENALTY, max_iter=300).fit((fc7 - mean) / spread, part.labels.numpy()[rows])
    slopes = model.coef_[0] / spread
    bias = (model.intercept_[0] - slopes @ mean) / 2
    # Half of the log-odds for good, half against bad.
    network.head.weight.copy_(torch.tensor(np.stack([-slopes, slopes]) / 2, dtype=torch.float32))
    network.head.bias.copy_(torch.tensor([-bias, bias], dtype=torch.float32))


@torch.no_grad()
def scale_temperature(network: SelfieNetwork, part: Part, processes: Processes) -> None:
    """Divide the log-odds by the temperature at which they fit the labels of `part` best."""
    rows = np.array_split(np.arange(len(part.labels)), processes.size)[processes.rank]
    scores = np.concatenate(processes.gather(score_pack(network, part.photos, rows)))
    temperature = fit_temperature(part.labels.numpy(), scores)
    network.head.weight.div_(temperature)
    network.head.bias.div_(temperature)


class _Trainer:
    """A network that learns from one batch after the other, and the running mean of its weights."""

    def __init__(self, network: SelfieNetwork, recipe: Recipe, steps: int, processes: Processes):
        self.network, self.batch_size, self.processes = network, recipe.batch_size, processes
        self._seed, self._taught = recipe.seed, recipe.weights != "random"
        if self._taught:
            network.freeze_first_stages()
        decay = 1 - 1 / max(2, AVERAGED * steps)
        self._mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True)
        self.averaged = self._mean.module
        self._shared = network if processes.size == 1 else DistributedDataParallel(network)
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

    def learn(self, photos: torch.Tensor, targets: torch.Tensor, size: int) -> torch.Tensor:
        """Learn from our share of a batch of `size`; returns what `_loss` tells of all of it."""
        # What dropout leaves out follows from step and process, so that no random state need be kept.
        torch.manual_seed((self._seed * 1_000_003 + self.steps) * self.processes.size + self.processes.rank)
        losses, told = _loss(self._shared, photos, targets)
        # Averaging the gradients of all processes must give that of the mean loss of the whole batch.
        loss = losses.sum() * (self.processes.size / size)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self._optimizer.step()
        self.schedule.step()
        self._mean.update_parameters(self.network)
        self.steps += 1
        return self.processes.sum(told)

    def save(self, keeper: Checkpoints, progress: "_Progress") -> None:
        """Write a checkpoint; one process does it for all, who stand at the same place."""
        if self.processes.is_main:
            keeper.save(self.steps, {"trainer": self.state(), "progress": progress.state()})


def _optimizer(network: SelfieNetwork, recipe: Recipe) -> torch.optim.Optimizer:
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    if recipe.optimizer == "adamw":
        fused = network.device.type in ("cpu", "cuda")  # one pass over the weights instead of ten
        return torch.optim.AdamW(weights, recipe.learning_rate, weight_decay=WEIGHT_DECAY, fused=fused)
    return torch.optim.SGD(weights, recipe.learning_rate, momentum=0.9, nesterov=True, weight_decay=1e-4)


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> LRScheduler:
    if recipe.schedule == "cosine":
        return CosineAnnealingLR(optimizer, steps)
    # With a handful of steps the fifth that warms up would be none.
    return OneCycleLR(optimizer, recipe.learning_rate, total_steps=max(steps, 10), pct_start=0.2)


class _Progress:
    """Where a training stands: the epoch, the place in it, what was found so far."""

    def __init__(self, seed: int):
        self.rng = np.random.default_rng(seed)
        self.epoch, self.best_loss = 1, np.inf
        self.history: list[dict[str, float]] = []  # a row per epoch
        self.best: dict[str, torch.Tensor] | None = None  # weights
        self._begin_epoch()

    def _begin_epoch(self) -> None:
        self.order: np.ndarray | None = None  # of the photos, drawn when the epoch begins
        self.batches, self.photos, self.loss_sum, self.right, self.seconds = 0, 0, 0.0, 0.0, 0.0

    def note(self, found: torch.Tensor) -> None:
        """Note (sum of losses, how many right) of the epoch so far."""
        self.loss_sum, self.right = found.tolist()

    def finish_epoch(self, row: dict[str, float], network: nn.Module) -> None:
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
    trainer: _Trainer, part: Part, progress: _Progress, epochs: int, keeper: Checkpoints
) -> dict[str, float]:
    """Show every photo of the train split once, in random order, half of them mirrored."""
    processes = trainer.processes
    trainer.start_epoch()
    if progress.order is None:
        progress.order = progress.rng.permutation(len(part.labels))
    start = time.perf_counter() - progress.seconds
    bar = {"desc": f"epoch {progress.epoch} of {epochs}", "mininterval": 2, "unit": "photo"}
    parts = cut(progress.order, trainer.batch_size)[progress.batches :]
    shares = [processes.mine(rows) for rows in parts]
    # Read only now and then, since a GPU would have to wait.
    exact = torch.float32 if processes.device.type == "mps" else torch.float64
    found = torch.tensor([progress.loss_sum, progress.right], dtype=exact, device=processes.device)
    with tqdm(
        total=len(progress.order), initial=progress.photos, disable=not processes.is_main, **bar
    ) as shown:
        for rows, share, photos in zip(
            parts, shares, batches(part.photos, shares, processes.device), strict=True
        ):
            mirrored = to_device(processes.mine(progress.rng.random(len(rows)) < 0.5), processes.device)
            photos = torch.where(mirrored[:, None, None, None], photos.flip(-1), photos)
            found += trainer.learn(photos, to_device(part.targets[share], processes.device), len(rows))
            progress.batches, progress.photos = progress.batches + 1, progress.photos + len(rows)
            progress.seconds = time.perf_counter() - start
            if keeper.due() and processes.is_main:
                progress.note(found)
                trainer.save(keeper, progress)
            if shown.update(len(rows)):
                shown.set_postfix_str(f"loss {found[0].item() / progress.photos:.3f}", refresh=False)
    progress.note(found)
    return {
        "train_loss": progress.loss_sum / progress.photos,
        "train_accuracy": progress.right / progress.photos,
    }


def _loss(
    network: nn.Module, photos: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the cross-entropy of each photo (N,), and what is told of all (2,): its sum, how many are right.

    What is told is measured on halves, whatever is learned, so that training and validation compare.
    """
    logits, good = network(photos)[0].float(), targets > 0.5
    losses = nn.functional.cross_entropy(logits, torch.stack([1 - targets, targets], 1), reduction="none")
    on_halves = nn.functional.cross_entropy(logits.detach(), good.long(), reduction="sum")
    return losses, torch.stack([on_halves, (logits.detach().argmax(1) == good).sum()])


@torch.inference_mode()
def evaluate(network: nn.Module, part: Part, processes: Processes) -> dict[str, float]:
    """Return validation_loss and validation_accuracy over all photos of a split."""
    network.eval()
    rows = cut(np.arange(len(part.labels)), forward_batch(processes.device))
    rows = processes.mine(rows)
    found = torch.zeros(2, device=processes.device)
    for here, photos in zip(rows, batches(part.photos, rows, processes.device), strict=True):
        found += _loss(network, photos, part.targets[here].to(processes.device))[1]
    loss_sum, right = (processes.sum(found) / len(part.labels)).tolist()
    return {"validation_loss": loss_sum, "validation_accuracy": right}


def train_run(
    run: RunFolder, images: Images, labels: pd.DataFrame, recipe: Recipe, device: str = "auto"
) -> tuple[SelfieNetwork, pd.DataFrame]:
    """Fine-tune as `fine_tune` does, with all GPUs of this host, or in as many processes as `device` says.

    The network and its history are kept in the run folder; one that the same recipe, code and labels have
    left there is not trained again. Several processes are started with torchrun; what they print is passed
    on. They leave their last checkpoint, from which the network is taken.
    """
    device, count = read_device(device)
    key = finished_key(images, labels, recipe, choose_device(device))
    before = trained_before(run, key, device)
    if before:
        return before
    if count > 1:
        settings = [f"{name}={value}" for name, value in asdict(recipe).items()]
        launch(
            "selfie_utils.model.training",
            ["--run-dir", str(run.root), "--device", device, *settings],
            count,
        )
    network, history = fine_tune(images, labels, recipe, device, run.root)
    save_network(run, network, asdict(recipe), history, key)
    return network, history


def finished_key(images: Images, labels: pd.DataFrame, recipe: Recipe, device: torch.device) -> str:
    """Return what a finished training is known by: its key, and the photos as they were."""
    learned = labels.loc[labels["split"] != "test", "image"]
    stamps = hash_names([images.stamp(name) for name in learned])
    return f"{training_key(recipe, labels, device)} photos {hash_names([str(stamps.tolist())])[0]}"


def main(
    settings: Annotated[list[str] | None, typer.Argument(metavar="SETTING=VALUE...", help="Recipe.")] = None,
    run_dir: Annotated[Path, typer.Option(help="Run folder, after 00_data.")] = Path("runs/demo"),
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Train the network of a run folder: in this process, or, under torchrun, in many on one host or more.

    Then `01_train` with the same recipe takes the network up, or
    `python -m selfie_utils.model.scoring posts`.
    """
    with in_one_sentence(), join_processes(device) as processes:
        folder, recipe = open_run(run_dir), Recipe().but(settings or [])
        labels = labels_of(folder)
        photos = open_images(folder.read_json("data")["images"])
        network, history = fine_tune(photos, labels, recipe, processes, folder.root)
        if processes.is_main:
            key = finished_key(photos, labels, recipe, processes.device)
            save_network(folder, network, asdict(recipe), history, key)
            print(history.to_string(index=False))


if __name__ == "__main__":
    typer.run(main)
