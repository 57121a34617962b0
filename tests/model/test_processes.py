"""Two processes that torchrun starts learn and score what one does, and none outlives who asked for it."""

import json
import os
import signal
import subprocess
import sys
import threading
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
from selfie_utils.model import scoring, training
from selfie_utils.model.network import load_network
from selfie_utils.model.processes import (
    PARENT,
    Processes,
    end_with_parent,
    join_processes,
    launch,
    read_device,
)
from selfie_utils.model.recipe import Recipe
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
    """The same training and scoring alone, by the commands of a shell, and in two processes, as notebooks do.

    Of each: the run, the network and its history, and the scores. What the two processes are started with is
    the command of a shell, so that both ways are gone through.
    """
    found = []
    for device in ("cpu", "cpu x 2"):
        root = tmp_path_factory.mktemp("processes")
        run, labels, photos = make_run(root)
        test = labels[labels["split"] == "test"].reset_index(drop=True)
        with in_float64(root / "float64"):
            if device == "cpu":
                training.main(SETTINGS, run.root, device)
                scoring.score_test_posts(run.root, device)
                network, history = load_network(run, device), pd.read_csv(run.root / "training.csv")
                scores = run.read_table("scores")
            else:
                network, history = training.train_run(run, photos, labels, RECIPE, device)
                scores = scoring.score_run(run, network, photos, test, device)
        found.append((run, network, history, scores))
    return found


def test_two_processes_have_the_losses_and_weights_of_one_with_the_whole_batch(trained):
    one, two = (pd.read_csv(run.root / "training.csv") for run, *_ in trained)
    alone, shared = (load_file(run.root / "network" / "model.safetensors") for run, *_ in trained)
    assert all(weight.dtype in (torch.float64, torch.int64) for weight in (alone | shared).values())
    assert alone.keys() == shared.keys()
    assert all(np.allclose(alone[name], shared[name], rtol=0, atol=ROUNDING) for name in alone)
    _, network, returned, _ = trained[1]
    assert all(torch.equal(weight, shared[name]) for name, weight in network.state_dict().items())
    for measure in ("train_loss", "train_accuracy", "validation_loss", "validation_accuracy"):
        assert one[measure].tolist() == pytest.approx(two[measure].tolist(), abs=ROUNDING)
        assert two[measure].tolist() == pytest.approx(returned[measure].tolist(), rel=1e-12)


def test_two_processes_score_every_post_once(trained):
    runs = [run for run, *_ in trained]
    one, two = (run.read_table("scores") for run in runs)
    pd.testing.assert_frame_equal(trained[1][-1], two)  # what a notebook is given is what is kept
    labels = runs[0].read_table("labels")
    test = labels.loc[labels["split"] == "test", "post_id"].tolist()
    assert two["post_id"].tolist() == one["post_id"].tolist() == test
    assert np.allclose(one["score"], two["score"], rtol=0, atol=ROUNDING)
    assert np.diff(np.sort(one["score"])).min() > 2 * ROUNDING  # or else a wrong order could pass
    fc7 = [run.read_features() for run in runs]
    assert np.allclose(*fc7, rtol=0, atol=ROUNDING)
    for run, features in zip(runs, fc7, strict=True):
        head = load_file(run.root / "network" / "model.safetensors")
        odds = features @ (head["head.weight"][1] - head["head.weight"][0]).numpy()
        odds += float(head["head.bias"][1] - head["head.bias"][0])
        assert np.allclose(1 / (1 + np.exp(-odds)), run.read_table("scores")["score"], rtol=0, atol=ROUNDING)
        assert not list(run.root.glob(".features*"))


# What is started in two processes; it imports nothing that takes long.
WORK = """
import json, os, sys
from pathlib import Path
from selfie_utils.model import scoring, training
from selfie_utils.core.errors import SelfieError, in_one_sentence
rank = os.environ["RANK"]
known = {name: os.environ.get(name) for name in ("WORLD_SIZE", "SELFIE_PARENT", "OMP_NUM_THREADS")}
Path(sys.argv[1], rank).write_text(json.dumps(known | {"given": sys.argv[2:]}))
print("process", rank, "at work")
with in_one_sentence():
    if sys.argv[2] == "fail" and rank == "1":
        raise SelfieError("There is no light.")
if sys.argv[2] == "crash":
    raise ValueError("dark")
"""


@pytest.fixture
def work(tmp_path, monkeypatch):
    """A module called `work`, and the folder in which its processes leave what they know."""
    (tmp_path / "work.py").write_text(WORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def test_each_process_knows_who_asked_for_it_and_takes_its_share_of_the_cores(work, monkeypatch, capfd):
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    launch("work", [str(work), "a b", "--c"], 2)
    known = [json.loads(path.read_text()) for path in sorted(work.iterdir())]
    told = {"WORLD_SIZE": "2", "SELFIE_PARENT": str(os.getpid()), "OMP_NUM_THREADS": "3"}
    assert known == [told | {"given": ["a b", "--c"]}] * 2
    said = capfd.readouterr()
    assert "process 0 at work" in said.err and "process 1 at work" in said.err and said.out == ""
    assert PARENT not in os.environ


def test_what_goes_wrong_in_a_process_is_said_in_one_sentence(work):
    with pytest.raises(SelfieError) as error:
        launch("work", [str(work), "fail"], 2)
    assert str(error.value) == "There is no light."
    with pytest.raises(SelfieError) as error:  # whatever else it was: not taken for success
        launch("work", [str(work), "crash"], 1)
    assert str(error.value) == "1 processes of work ended with code 1: see above."


def test_a_training_that_cannot_begin_says_why_and_ends_with_code_1(tmp_path, capsys):
    run, labels, _ = make_run(tmp_path)
    run.write_table("labels", labels[labels["split"] != "validation"])
    with pytest.raises(SystemExit) as ended:
        training.main(SETTINGS, run.root, "cpu")
    assert ended.value.code == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("Error: ") and "no validation post" in said


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


def test_who_was_not_launched_has_no_parent_to_watch(monkeypatch):
    threads = threading.active_count()
    monkeypatch.delenv(PARENT, raising=False)
    end_with_parent()
    assert threading.active_count() == threads


def test_one_process_has_everything_to_itself(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with join_processes("cpu") as processes, processes.main_first():
        assert (processes.device, processes.rank, processes.size) == (torch.device("cpu"), 0, 1)
        assert processes.is_main
        assert processes.mine([3, 1, 2]) == [3, 1, 2] and processes.gather({"a": 1}) == [{"a": 1}]
        assert processes.sum(torch.tensor([1.5, 2.0])).tolist() == [1.5, 2.0]


def test_every_row_is_the_share_of_one_process():
    rows = list("abcdefg")
    shares = [Processes(torch.device("cpu"), rank, 3).mine(rows) for rank in range(3)]
    assert shares == [["a", "d", "g"], ["b", "e"], ["c", "f"]]
    assert [Processes(torch.device("cpu"), rank, 3).is_main for rank in range(3)] == [True, False, False]


def test_devices_are_read_with_their_number_of_processes(monkeypatch):
    assert read_device("cpu x 2") == ("cpu", 2) and read_device("cpu") == ("cpu", 1)
    assert read_device("cuda x 1") == ("cuda", 1) and read_device("mps") == ("mps", 1)
    for there, processes in ((0, 1), (1, 1), (3, 3)):  # every GPU, where nothing else is said
        monkeypatch.setattr(torch.cuda, "device_count", lambda there=there: there)
        assert read_device("auto") == ("auto", processes) and read_device("cuda") == ("cuda", processes)
        assert read_device("cpu") == ("cpu", 1) and read_device("auto x 2") == ("auto", 2)
    for wrong in ("cpu x many", "cpu x 0", "cpu x -1", "cpu x ", "cpu x 1.5"):
        with pytest.raises(SelfieError, match=f"device is '{wrong}', expected a number of processes"):
            read_device(wrong)
