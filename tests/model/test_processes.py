"""Two processes that torchrun starts learn and score what one does, and none outlives who asked for it."""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.model.processes import launch, read_device
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scoring import score_run
from selfie_utils.model.training import train_run
from selfie_utils.photos.images import ImageFolder

# Plain gradient descent: Adam's steps have the same length, by whatever the gradients are multiplied.
RECIPE = Recipe(image_size=32, epochs=2, batch_size=8, learning_rate=1e-3, optimizer="sgd")
SETTINGS = ["image_size=32", "epochs=2", "batch_size=8", "learning_rate=1e-3", "optimizer=sgd"]
# Numbers that two processes can't share evenly; the validation split is more than one batch.
SPLITS = ["train"] * 21 + ["validation"] * 49 + ["test"] * 11
# The shares of two processes are batches of other shapes, for which a CPU takes other kernels, which round
# otherwise. The networks here compute in float64 (see `in_float64`), where that comes to about 1e-12 on any
# CPU. Some few numbers on the way are float32 (logits, fc7), so that one may be rounded up here and down
# there, by 1e-7. A post that is lost or counts twice, or gradients not averaged, come to 1e-4 and more.
ROUNDING = 1e-6


def make_run(root):
    """A run folder as 00_data leaves it, with photos of coloured clouds; ids are in no order."""
    rng = np.random.default_rng(0)
    photos = root / "photos"
    photos.mkdir(parents=True)
    names = [f"{i}" for i in rng.permutation(len(SPLITS))]
    for name in names:
        colours = Image.fromarray(rng.integers(0, 256, (4, 4, 3), np.uint8))
        colours.resize((48, 48), Image.Resampling.BICUBIC).save(photos / f"{name}.png")
    run = create_run(root / "run")
    labels = pd.DataFrame({"post_id": names, "image": [f"{n}.png" for n in names], "user_id": names})
    labels["label"], labels["group"] = rng.integers(0, 2, len(SPLITS)), -1
    labels["split"] = SPLITS
    run.write_table("labels", labels)
    run.write_table("posts", labels[["post_id", "image"]])
    run.write_json("data", {"images": str(photos)})
    return run, labels, ImageFolder(photos)


@contextmanager
def in_float64(folder):
    """Have networks of this process, and of those it starts meanwhile, made of float64 numbers."""
    folder.mkdir()
    # Every Python looks for a module of this name as it starts.
    (folder / "sitecustomize.py").write_text("import torch\n\ntorch.set_default_dtype(torch.float64)\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        torch.set_default_dtype(torch.float64)
        try:
            yield
        finally:
            torch.set_default_dtype(torch.float32)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The same training and scoring from a shell, alone and with torchrun in two processes."""
    runs = []
    for processes in (1, 2):
        root = tmp_path_factory.mktemp(f"world{processes}")
        run, _, _ = make_run(root)
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        for module in (["selfie_utils.model.training", *SETTINGS], ["selfie_utils.model.scoring", "posts"]):
            command = [sys.executable, *(torchrun if processes > 1 else []), "-m", *module]
            command += ["--run-dir", str(run.root), "--device", "cpu"]
            with in_float64(root / module[0]):
                done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-2000:]
        runs.append(run)
    return runs


def test_two_processes_have_the_losses_and_weights_of_one_with_the_whole_batch(trained):
    one, two = (pd.read_csv(run.root / "training.csv") for run in trained)
    alone, shared = (load_file(run.root / "network" / "model.safetensors") for run in trained)
    assert all(weight.dtype in (torch.float64, torch.int64) for weight in (alone | shared).values())
    for measure in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert one[measure].tolist() == pytest.approx(two[measure].tolist(), abs=ROUNDING)
    assert alone.keys() == shared.keys()
    assert all(np.allclose(alone[name], shared[name], rtol=0, atol=ROUNDING) for name in alone)


def test_two_processes_score_every_post_once(trained):
    one, two = (run.read_table("scores") for run in trained)
    labels = trained[0].read_table("labels")
    test = labels.loc[labels["split"] == "test", "post_id"].tolist()
    assert two["post_id"].tolist() == one["post_id"].tolist() == test
    assert np.allclose(one["score"], two["score"], rtol=0, atol=ROUNDING)
    assert np.diff(np.sort(one["score"])).min() > 2 * ROUNDING  # or else a wrong order could pass
    fc7 = [run.read_features() for run in trained]
    assert np.allclose(*fc7, rtol=0, atol=ROUNDING)
    for run, features in zip(trained, fc7, strict=True):
        head = load_file(run.root / "network" / "model.safetensors")
        odds = features @ (head["head.weight"][1] - head["head.weight"][0]).numpy()
        odds += float(head["head.bias"][1] - head["head.bias"][0])
        assert np.allclose(1 / (1 + np.exp(-odds)), run.read_table("scores")["score"], rtol=0, atol=ROUNDING)
        assert not list(run.root.glob(".features*"))


def test_a_notebook_trains_and_scores_in_two_processes(trained, tmp_path):
    run, labels, photos = make_run(tmp_path)
    test = labels[labels["split"] == "test"].reset_index(drop=True)
    with in_float64(tmp_path / "float64"):
        network, history = train_run(run, photos, labels, RECIPE, "cpu x 2")
        scores = score_run(run, network, photos, test, "cpu x 2")
    shell = pd.read_csv(trained[1].root / "training.csv")
    assert history["train_loss"].tolist() == pytest.approx(shell["train_loss"].tolist(), abs=ROUNDING)
    assert np.allclose(scores["score"], trained[1].read_table("scores")["score"], rtol=0, atol=ROUNDING)


def test_what_goes_wrong_in_a_process_is_said_in_one_sentence(tmp_path):
    run, labels, _ = make_run(tmp_path)
    run.write_table("labels", labels[labels["split"] != "validation"])
    with pytest.raises(SelfieError, match="no validation post"):
        launch("selfie_utils.model.training", ["--run-dir", str(run.root), "--device", "cpu"], 2)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    run, _, _ = make_run(tmp_path)
    settings = ["image_size=64", "epochs=500", "batch_size=8", "--run-dir", str(run.root), "--device", "cpu"]
    script = "from selfie_utils.model.processes import launch; "
    script += f"launch('selfie_utils.model.training', {settings!r}, 2)"
    started = subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (run.root / "packed").exists() and len(at_work(run)) >= 2, 120)
    finally:
        os.kill(started.pid, signal.SIGKILL)
        started.wait()
    wait_until(lambda: not at_work(run), 60)


def at_work(run) -> list[str]:
    """Command lines of processes that work on a run folder, the one that asked for them left out."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_text()
        except OSError:  # has ended meanwhile
            continue
        if str(run.root) in line and "import launch" not in line:
            found.append(line)
    return found


def wait_until(holds, seconds):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def test_devices_are_read_with_their_number_of_processes():
    assert read_device("cpu x 2") == ("cpu", 2) and read_device("cpu") == ("cpu", 1)
    with pytest.raises(SelfieError, match="expected a number of processes"):
        read_device("cpu x many")
