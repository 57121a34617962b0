"""Train while something else is at work, under several ways in which threads may wait for each other.

    python benchmarks/waiting.py [--seconds 20] [--size 128] [--settings default passive 100 1000 10000]

Threads of torch spin while they wait, and take the cores from any other process that has work to do. Timed
are training steps of EfficientNet-lite0 on the CPU, on one batch again and again: alone, next to a process
that keeps one core busy, and two trainings at once (the slower one counts). Each is a process of its own,
since torch reads the settings as it starts: `default` sets nothing, `passive` OMP_WAIT_POLICY, a number
GOMP_SPINCOUNT. Shares are of the default, alone.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SAID = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME")
BATCH = 32  # photos


def train(seconds: float, size: int, weights: str) -> None:
    """Warm up, and print photos a second of training steps for each line that is read."""
    import torch

    from selfie_utils.model.network import build_network
    from selfie_utils.model.processes import Processes
    from selfie_utils.model.recipe import Recipe
    from selfie_utils.model.training import _Trainer

    recipe = Recipe(weights=weights, image_size=size)
    network = build_network(recipe).to(memory_format=torch.channels_last)
    trainer = _Trainer(network, recipe, 1_000_000, Processes(torch.device("cpu")))
    trainer.start_epoch()
    photos = torch.randint(0, 256, (BATCH, size, size, 3), dtype=torch.uint8).permute(0, 3, 1, 2)
    targets = torch.arange(BATCH) % 2.0
    for _ in range(2):
        trainer.learn(photos, targets, BATCH)
    print("ready", flush=True)
    while sys.stdin.readline():
        start, steps = time.perf_counter(), 0
        while not steps or time.perf_counter() - start < seconds:
            trainer.learn(photos, targets, BATCH)
            steps += 1
        print(BATCH * steps / (time.perf_counter() - start), flush=True)


def environment(setting: str) -> dict[str, str]:
    """Return the environment in which threads wait as the setting says."""
    said = {"default": {}, "passive": {"OMP_WAIT_POLICY": "passive"}}
    usual = {name: value for name, value in os.environ.items() if name not in SAID}
    return usual | said.get(setting, {"GOMP_SPINCOUNT": setting})


@contextmanager
def trainings(setting: str, command: list[str]) -> Iterator[list[subprocess.Popen]]:
    """Have two trainings ready, which wait for a word."""
    ends = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    started = [subprocess.Popen(command, env=environment(setting), **ends) for _ in range(2)]
    try:
        if [training.stdout.readline().strip() for training in started] != ["ready"] * 2:
            raise SystemExit("A training has failed: see above.")
        yield started
    finally:
        for training in started:
            training.communicate()  # no more words: it ends


def photos_a_second(started: list[subprocess.Popen]) -> float:
    """Return photos a second of the slowest of some trainings, which begin together."""
    for training in started:
        training.stdin.write("go\n")
    return min([float(training.stdout.readline()) for training in started])


@contextmanager
def busy_process() -> Iterator[None]:
    """Keep one core busy meanwhile."""
    busy = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        yield
    finally:
        busy.kill()
        busy.wait()


def main(settings: list[str], command: list[str]) -> None:
    """Print the table, a line per setting."""
    columns = "".join(f" {name:>12} {'share':>6}" for name in ("alone", "next to one", "two at once"))
    print(f"training, {os.cpu_count()} cores, photos/s\n{'':<10}{columns}")
    usual = None
    for setting in settings:
        with trainings(setting, command) as both:
            rates = [photos_a_second(both[:1])]
            with busy_process():
                rates.append(photos_a_second(both[:1]))
            rates.append(photos_a_second(both))
        usual = usual or rates[0]
        print(
            f"{setting:<10}" + "".join(f" {rate:>12.1f} {rate / usual:>6.2f}" for rate in rates), flush=True
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--weights", default="imagenet")
    parser.add_argument("--settings", nargs="+", default=["default", "passive", "100", "1000", "10000"])
    parser.add_argument("--train", action="store_true", help=argparse.SUPPRESS)  # one of the trainings
    given = parser.parse_args()
    if given.train:
        train(given.seconds, given.size, given.weights)
    else:
        main(given.settings, [sys.executable, *sys.argv, "--train"])
