"""Two processes that torchrun starts learn and score what one does, and none outlives who asked for it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import load_file

from selfie_utils.dataset import DEMO, open_data
from selfie_utils.errors import SelfieError
from selfie_utils.images import ImageFolder, open_images
from selfie_utils.recipe import Recipe
from selfie_utils.run_folder import create_run
from selfie_utils.scoring import score_run
from selfie_utils.training import train_run
from selfie_utils.world import launch, read_device

# Plain gradient descent: Adam's first steps would go by the sign of gradients that are rounded to nothing.
RECIPE = Recipe(image_size=32, epochs=2, batch_size=8, learning_rate=1e-3, optimizer="sgd")


def make_run(root):
    """A run folder as 00_data leaves it: 37 photos, a number that two processes can't share evenly."""
    photos, embedded = root / "photos", open_images(open_data(DEMO).images)
    photos.mkdir(parents=True)
    for i, name in enumerate(embedded.names()[:37]):
        (photos / f"{i}.jpg").write_bytes(embedded.read(name))
    run = create_run(root / "run")
    names = [f"{i}" for i in range(37)]
    labels = pd.DataFrame({"post_id": names, "image": [f"{n}.jpg" for n in names], "user_id": names})
    labels["label"], labels["group"] = np.arange(37) % 2, -1
    labels["split"] = ["train"] * 21 + ["validation"] * 5 + ["test"] * 11
    run.write_table("labels", labels)
    run.write_table("posts", labels[["post_id", "image"]])
    run.write_json("data", {"images": str(photos)})
    return run, labels, ImageFolder(photos)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The same training and scoring from a shell, alone and with torchrun in two processes."""
    runs = []
    settings = ["image_size=32", "epochs=2", "batch_size=8", "learning_rate=1e-3", "optimizer=sgd"]
    for processes in (1, 2):
        run, _, _ = make_run(tmp_path_factory.mktemp(f"world{processes}"))
        torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        for module in (["selfie_utils.training", *settings], ["selfie_utils.scoring", "posts"]):
            command = [sys.executable, *(torchrun if processes > 1 else []), "-m", *module]
            command += ["--run-dir", str(run.root), "--device", "cpu"]
            done = subprocess.run(command, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr[-2000:]
        runs.append(run)
    return runs


def test_two_processes_have_the_losses_of_one_with_the_whole_batch(trained):
    one, two = (pd.read_csv(run.root / "training.csv") for run in trained)
    for losses in ("train_loss", "validation_loss"):
        assert one[losses].tolist() == pytest.approx(two[losses].tolist(), abs=1e-4)
    alone, shared = (load_file(run.root / "network" / "model.safetensors") for run in trained)
    assert all(np.allclose(alone[name], shared[name], atol=1e-4) for name in alone if "head" not in name)
    # The head starts as a regression on fc7 that were rounded otherwise: along what fc7 never vary, it may
    # differ, and the scores below do not.
    assert all(np.allclose(alone[name], shared[name], atol=2e-3) for name in alone if "head" in name)


def test_two_processes_score_every_post_once(trained):
    one, two = (run.read_table("scores") for run in trained)
    assert two["post_id"].tolist() == one["post_id"].tolist() == [f"{i}" for i in range(26, 37)]
    assert np.allclose(one["score"], two["score"], atol=1e-4)
    for run in trained:
        fc7 = run.read_features()
        head = load_file(run.root / "network" / "model.safetensors")
        odds = fc7 @ (head["head.weight"][1] - head["head.weight"][0]).numpy()
        odds += float(head["head.bias"][1] - head["head.bias"][0])
        assert np.allclose(1 / (1 + np.exp(-odds)), run.read_table("scores")["score"], atol=1e-5)
        assert not list(run.root.glob(".features*"))


def test_a_notebook_trains_and_scores_in_two_processes(trained, tmp_path):
    run, labels, photos = make_run(tmp_path)
    network, history = train_run(run, photos, labels, RECIPE, "cpu x 2")
    assert history["train_loss"].tolist() == pytest.approx(
        pd.read_csv(trained[1].root / "training.csv")["train_loss"].tolist(), abs=1e-5
    )
    test = labels[labels["split"] == "test"].reset_index(drop=True)
    scores = score_run(run, network, photos, test, "cpu x 2")
    assert np.allclose(scores["score"], trained[1].read_table("scores")["score"], atol=1e-4)


def test_what_goes_wrong_in_a_process_is_said_in_one_sentence(tmp_path):
    run, labels, _ = make_run(tmp_path)
    run.write_table("labels", labels[labels["split"] != "validation"])
    with pytest.raises(SelfieError, match="no validation post"):
        launch("selfie_utils.training", ["--run-dir", str(run.root), "--device", "cpu"], 2)


def test_processes_end_with_the_one_that_started_them(tmp_path):
    run, _, _ = make_run(tmp_path)
    settings = ["image_size=64", "epochs=500", "batch_size=8", "--run-dir", str(run.root), "--device", "cpu"]
    script = f"from selfie_utils.world import launch; launch('selfie_utils.training', {settings!r}, 2)"
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
