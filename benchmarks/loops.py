"""Ways to score and to train on the same photos and weights, which `pipeline.py` and others compare."""

import io
import os
import statistics
import tempfile
import time
from contextlib import nullcontext, redirect_stderr
from pathlib import Path
from typing import Any

import numpy as np
import torch
from face_filter import make_photos
from torch import nn
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder as TorchFolder

from selfie_utils.model.batches import batches_in, forward_batch
from selfie_utils.model.checkpoints import Checkpoints
from selfie_utils.model.network import SelfieNetwork, build_network, fused
from selfie_utils.model.processes import Processes, choose_device
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer
from selfie_utils.model.scoring import score_pack
from selfie_utils.model.training import Part, _Progress, _train, _Trainer
from selfie_utils.photos.pack import PhotoPack, pack_photos


class Plain(nn.Module):
    """The same network on photos that are normalised already, as a plain loop has them."""

    def __init__(self, network: SelfieNetwork):
        super().__init__()
        self.body, self.head = network.body, network.head

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(photos))


class Bench:
    """Photos, a pack of them and the weights, to be run in several ways."""

    def __init__(self, folder: Path, count: int, rounds: int, recipe: Recipe, device: str):
        self.device, self.size, self.rounds = choose_device(device), recipe.image_size, rounds
        (folder / "photos" / "all").mkdir(parents=True)
        self.images = make_photos(folder / "photos" / "all", count)
        self.names, self.root = self.images.names(), folder / "photos"
        self.make = lambda: build_network(recipe).to(self.device)
        self.made = {}
        self.recipe = recipe.but({"epochs": 1, "batch_size": self.batch})
        start = time.perf_counter()
        self.pack: PhotoPack = pack_photos(self.images, self.names, self.size, folder / "pack")
        print(f"packing (once): {len(self.names) / (time.perf_counter() - start):.0f} photos/s")

    def once(self, name: str, make) -> Any:
        """Return what was made under a name; the round that warms up makes it."""
        if name not in self.made:
            self.made[name] = make()
        return self.made[name]

    def in_channels_last(self) -> SelfieNetwork:
        return self.make().to(memory_format=torch.channels_last).eval()

    @property
    def batch(self) -> int:
        return forward_batch(self.device) if self.device.type == "cpu" else 128

    def precision(self):
        return torch.autocast("cuda", torch.bfloat16) if self.device.type == "cuda" else nullcontext()

    def plain_loader(self, network: SelfieNetwork, shuffle: bool) -> DataLoader:
        mean, std = (values.flatten().tolist() for values in (network.mean, network.std))
        steps = [transforms.RandomHorizontalFlip()] if shuffle else []
        steps = [
            transforms.Resize((self.size, self.size)),
            *steps,
            transforms.ToTensor(),
            transforms.Normalize(mean, std),
        ]
        photos = TorchFolder(self.root, transforms.Compose(steps))
        return DataLoader(
            photos, self.batch, shuffle, num_workers=os.cpu_count(), pin_memory=self.device.type == "cuda"
        )

    @torch.inference_mode()
    def score_plainly(self) -> None:
        network = self.once("plain", self.make).eval()
        plain = Plain(network)
        for photos, _ in self.plain_loader(network, shuffle=False):
            with self.precision():
                plain(photos.to(self.device)).float().softmax(1)[:, 1].cpu()

    def score_from_pack(self) -> None:
        network = self.once("ours", self.in_channels_last)
        score_pack(network, self.pack, np.arange(len(self.names)))

    def score_from_files(self) -> None:
        network = self.once("ours", self.in_channels_last)
        Scorer(network, self.device.type).rate_named(self.images, self.names)

    @torch.inference_mode()
    def forward_alone(self) -> None:
        network = self.once("fused", lambda: fused(self.in_channels_last()))
        batch = self.one_batch()
        for _ in range(len(self.names) // self.batch):
            with self.precision():
                logits, _ = network(batch)
        logits.sum().item()

    def train_plainly(self, still: bool = False) -> None:
        network = self.once("plain, still" if still else "plain", self.make).train()
        if still:  # what `fine_tune` leaves as it is
            network.freeze_first_stages()
            for layer in network.modules():
                layer.train(not isinstance(layer, nn.BatchNorm2d))
        plain = Plain(network)
        optimizer = torch.optim.AdamW([w for w in plain.parameters() if w.requires_grad], 1e-4)
        for photos, labels in self.plain_loader(network, shuffle=True):
            optimizer.zero_grad()
            with self.precision():
                loss = nn.functional.cross_entropy(
                    plain(photos.to(self.device)).float(), labels.to(self.device)
                )
            loss.backward()
            optimizer.step()
            loss.item()

    def learner(self) -> _Trainer:
        steps = (self.rounds + 2) * batches_in(len(self.names), self.batch)
        network = self.make().to(memory_format=torch.channels_last)
        return _Trainer(network, self.recipe, steps, Processes(self.device))

    def train_from_pack(self) -> None:
        targets = torch.zeros(len(self.names))
        part = Part(self.pack, targets.long(), targets)
        learner = self.once("learner", self.learner)
        _train(learner, part, _Progress(0), 1, Checkpoints(None, ""))

    def learn_alone(self) -> None:
        learner, batch = self.once("learner alone", self.learner), self.one_batch()
        learner.start_epoch()
        targets = torch.zeros(len(batch), device=self.device)
        for _ in range(len(self.names) // self.batch):
            found = learner.learn(batch, targets, len(batch))
        found.sum().item()

    def ways_to_score(self) -> dict:
        """Return what is timed for scoring."""
        ways = {"plain loop": self.score_plainly, "ours, from the photos": self.score_from_files}
        return ways | {"ours, from the pack": self.score_from_pack, "network alone": self.forward_alone}

    def ways_to_train(self) -> dict:
        """Return what is timed for training: an epoch each."""
        ways = {"plain loop": self.train_plainly, "ours, from the pack": self.train_from_pack}
        ways["plain loop, the same layers still"] = lambda: self.train_plainly(still=True)
        return ways | {"network alone": self.learn_alone}

    def one_batch(self) -> torch.Tensor:
        """A batch on the device, uint8 (N, 3, S, S), channels last."""
        return torch.from_numpy(self.pack.take(range(self.batch))).to(self.device).permute(0, 3, 1, 2)


def timed(ways: dict, photos: int, rounds: int) -> dict[str, float]:
    """Return photos a second of each way, the median of several rounds in turn."""
    seconds = {name: [] for name in ways}
    for round in range(rounds + 1):
        for name, work in ways.items():
            start = time.perf_counter()
            work()
            if round:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: photos / statistics.median(taken) for name, taken in seconds.items()}


def show_peaks(bench: Bench, ways: dict) -> None:
    """Print the most memory of the GPU that each way takes, with nothing else on it; elsewhere nothing."""
    for name, work in ways.items() if bench.device.type == "cuda" else ():
        bench.made.clear()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        work()
        print(f"peak memory of the GPU, {name}: {torch.cuda.max_memory_allocated() / 2**30:.1f} GB")


def show(title: str, rates: dict[str, float]) -> None:
    """Print a table: photos a second, times the plain loop, share of the ceiling."""
    plain, ceiling = rates["plain loop"], rates["network alone"]
    print(f"\n{title:<34} {'photos/s':>9} {'x plain':>8} {'of ceiling':>11}")
    for name, rate in rates.items():
        print(f"{name:<34} {rate:>9.1f} {rate / plain:>8.2f} {rate / ceiling:>11.2f}", flush=True)


def main(count: int, rounds: int, recipe: Recipe, device: str, tasks: list[str]) -> None:
    """Print both tables."""
    for task in tasks:
        photos = count if task == "scoring" else max(1, count // 4)
        quiet = redirect_stderr(io.StringIO())  # progress bars would take their share of the table
        with quiet, tempfile.TemporaryDirectory() as scratch:
            bench = Bench(Path(scratch), photos, rounds, recipe, device)
            sizes = f"306 px at {recipe.image_size} px"
            print(f"{len(bench.names):,} photos of {sizes}, {recipe.backbone}, {bench.device}")
            ways = bench.ways_to_score() if task == "scoring" else bench.ways_to_train()
            show_peaks(bench, ways)
            show(task, timed(ways, len(bench.names), rounds))
