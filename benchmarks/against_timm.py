"""Train against timm's own train.py on the same card: the same network, photos, size and batch.

    python benchmarks/against_timm.py PATH/train.py [--photos 5500] [--backbone vgg16] [--size 224]

train.py is not in timm's package: take it from the repository, at the version that is installed. It reads the
photos with all its workers, mirrors them and nothing else, in channels last, with bfloat16 on a GPU; its
rate is the average of the last of two epochs, as it tells it. Ours is an epoch from the pack, and the ceiling
our network on one batch that is on the device already. Weights are random: they do not change the time.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from loops import Bench, show, show_peaks, timed

from selfie_utils.model.recipe import Recipe

ROUNDS = 3
RATE = re.compile(r"\([0-9.]+s, +([0-9.]+)/s\)")  # the average, in a line of train.py's log


def sort_into_classes(bench: Bench, folder: Path) -> None:
    """Lay the photos out as train.py wants them: a folder per class."""
    for split, names in {"train": bench.names, "validation": bench.names[: bench.batch]}.items():
        for i, name in enumerate(names):
            place = folder / split / ("good" if i % 2 else "bad")
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(bench.images.root / name, place / name)


def timm_rate(train: Path, bench: Bench, model: str, folder: Path) -> float:
    """Return photos a second of train.py, by its own log."""
    options = {
        "data-dir": folder, "model": model, "num-classes": 2, "batch-size": bench.batch, "epochs": 2,
        "workers": os.cpu_count(), "opt": "adamw", "lr": 1e-4, "warmup-epochs": 0, "log-interval": 1,
        "device": bench.device.type, "output": folder / "output", "img-size": bench.size,
    }  # fmt: skip
    if model.startswith("vgg"):  # which takes no img_size
        options |= {"input-size": f"3 {bench.size} {bench.size}"}
        del options["img-size"]
    command = [sys.executable, str(train), "--channels-last", "--no-aug", "--pin-mem"]
    command += ["--amp", "--amp-dtype", "bfloat16"] if bench.device.type == "cuda" else []
    for name, value in options.items():
        command += [f"--{name}", *str(value).split()]
    done = subprocess.run(command, capture_output=True, text=True)
    rates = RATE.findall(done.stdout + done.stderr)
    if done.returncode or not rates:
        raise SystemExit(f"train.py failed: {(done.stderr or done.stdout)[-800:]}")
    return float(rates[-1])


def main(train: Path, count: int, backbone: str, size: int, device: str) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(Path(scratch), count, ROUNDS, Recipe(backbone, "random", size), device)
        sort_into_classes(bench, Path(scratch) / "classes")
        model = {"efficientnet_lite0": "tf_efficientnet_lite0"}.get(backbone, backbone)
        rates = {"plain loop": timm_rate(train, bench, model, Path(scratch) / "classes")}
        ways = bench.ways_to_train()
        ways = {name: work for name, work in ways.items() if "plain" not in name}
        show_peaks(bench, ways)
        print(f"{len(bench.names):,} photos at {size} px, {backbone}, {bench.device}; plain: timm's train.py")
        show("training", rates | timed(ways, len(bench.names), ROUNDS))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("train", type=Path)
    parser.add_argument("--photos", type=int, default=5500)
    parser.add_argument("--backbone", default="vgg16")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--device", default="auto")
    given = parser.parse_args()
    main(given.train, given.photos, given.backbone, given.size, given.device)
