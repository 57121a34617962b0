"""A training that is stopped anywhere goes on to the same weights; a killed run, to the same scores."""

import errno
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model import training
from selfie_utils.model.checkpoints import SECONDS, Checkpoints, remove_checkpoints, training_key
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.training import fine_tune
from selfie_utils.photos.images import ImageFolder

PROJECT = Path(__file__).parents[2]
SMALL = Recipe(image_size=32, epochs=3, batch_size=4, learning_rate=1e-3)
STEPS = 3 * 4  # epochs and batches of SMALL on 16 training photos
CPU = torch.device("cpu")


# --- what is kept of a training ----------------------------------------------------------------------------


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_of_two_checkpoints_is_taken_up(tmp_path):
    keeper = Checkpoints(tmp_path / "checkpoints", "mine")
    assert keeper.load() is None
    for step in (9, 99, 100, 1000):  # not in order of their letters
        keeper.save(step, {"steps": step, "weights": torch.full((2,), 1.0 * step)})
        assert keeper.load()["steps"] == step
    assert names(keeper.folder) == ["000000100.pt", "000001000.pt"]
    assert keeper.load()["weights"].tolist() == [1000, 1000]


def test_a_checkpoint_of_another_training_is_not_taken_up_and_an_older_one_of_this_is(tmp_path):
    keeper, other = Checkpoints(tmp_path, "mine"), Checkpoints(tmp_path, "other")
    keeper.save(3, {"steps": 3})
    other.save(4, {"steps": 4})
    assert keeper.load() == {"steps": 3} and other.load() == {"steps": 4}
    assert Checkpoints(tmp_path, "third").load() is None


@pytest.mark.parametrize("damage", ["cut off", "empty", "a list", "without a key", "a folder"])
def test_a_damaged_checkpoint_is_passed_over(tmp_path, damage):
    keeper, newest = Checkpoints(tmp_path, "mine"), tmp_path / "000000004.pt"
    keeper.save(3, {"steps": 3})
    keeper.save(4, {"steps": 4, "weights": torch.zeros(1000)})
    whole = newest.read_bytes()
    newest.unlink()
    if damage == "a folder":
        newest.mkdir()
    elif damage in ("a list", "without a key"):
        torch.save([1] if damage == "a list" else {"state": {"steps": 4}}, newest)
    else:
        newest.write_bytes(whole[: len(whole) // 2] if damage == "cut off" else b"")
    (tmp_path / ".000000005.1.part.pt").write_bytes(whole)  # a kill left it: it may be half
    (tmp_path / "notes.pt").write_bytes(whole)
    assert keeper.load() == {"steps": 3}


def test_what_another_training_left_can_be_cleared_and_nothing_else(tmp_path):
    keeper = Checkpoints(tmp_path, "mine")
    Checkpoints(tmp_path, "other").save(9, {})
    (tmp_path / "notes.txt").touch()
    keeper.clear()
    assert names(tmp_path) == ["notes.txt"] and keeper.load() is None


def test_without_a_folder_nothing_is_kept(monkeypatch):
    monkeypatch.setenv(SECONDS, "0")
    keeper = Checkpoints(None, "mine")
    keeper.save(1, {})
    keeper.clear()
    assert keeper.load() is None and not keeper.due()
    with keeper.alone(), keeper.alone():
        pass


@pytest.mark.parametrize(("asked", "every"), [(None, 30), ("5", 5)])
def test_checkpoints_are_due_after_a_while_and_take_a_fiftieth_of_the_time(
    tmp_path, monkeypatch, asked, every
):
    now, write = [1000.0], torch.save
    monkeypatch.setattr("selfie_utils.model.checkpoints.time", SimpleNamespace(monotonic=lambda: now[0]))
    monkeypatch.delenv(SECONDS, raising=False)
    if asked:
        monkeypatch.setenv(SECONDS, asked)
    keeper = Checkpoints(tmp_path, "mine")
    assert due_between(keeper, now, every)
    keeper.save(1, {})
    assert due_between(keeper, now, every)

    def slowly(*given):
        write(*given)
        now[0] += 3

    monkeypatch.setattr(torch, "save", slowly)
    keeper.save(2, {})
    assert due_between(keeper, now, 150)  # three seconds are a fiftieth of it
    now[0] += 1000
    keeper.save(3, {})
    assert due_between(keeper, now, 150)


def due_between(keeper, now, wait):
    """Tell whether a checkpoint is due after so many seconds, and not just before; go there."""
    begun = now[0]
    now[0] = begun + wait - 0.01
    early = keeper.due()
    now[0] = begun + wait
    return keeper.due() and not early


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left"), RuntimeError("No space left\nat")])
def test_a_disk_that_is_full_keeps_the_checkpoints_before(tmp_path, monkeypatch, error):
    keeper = Checkpoints(tmp_path, "mine")
    keeper.save(1, {"steps": 1})
    keeper.save(2, {"steps": 2})

    def full(content, path):
        path.write_bytes(b"half of it")
        raise error

    monkeypatch.setattr(torch, "save", full)
    told = rf"No checkpoint can be written to {tmp_path} \(.*No space left\): the disk may be full"
    with pytest.raises(SelfieError, match=told):
        keeper.save(3, {"steps": 3})
    assert names(tmp_path) == ["000000001.pt", "000000002.pt"] and keeper.load() == {"steps": 2}


def test_what_a_finished_training_left_is_removed_if_there_is_any(tmp_path):
    run = RunFolder(tmp_path)
    Checkpoints(tmp_path / "checkpoints", "mine").save(1, {})
    (tmp_path / "labels.parquet").touch()
    remove_checkpoints(run)
    remove_checkpoints(run)
    assert names(tmp_path) == ["labels.parquet"]


def test_a_training_is_known_by_its_recipe_posts_code_and_kind_of_device(monkeypatch):
    labels = pd.DataFrame({"post_id": ["c", "a", "b"], "image": ["1", "3", "2"], "label": [1, 0, 1]})
    labels = labels.assign(split=["train", "test", "train"], rank=[0.1, 0.9, 0.5], user_id=["u", "v", "w"])
    key = training_key(SMALL, labels, CPU)
    assert key == training_key(replace(SMALL), labels.copy(), torch.device("cpu"))
    assert key == training_key(SMALL, labels.assign(user_id="u").set_index("post_id", drop=False), CPU)
    changes = [
        {"backbone": "resnet50"}, {"weights": "random"}, {"image_size": 48}, {"epochs": 2}, {"batch_size": 5},
        {"learning_rate": 1e-4}, {"optimizer": "sgd"}, {"schedule": "cosine"}, {"dropout": 0.5},
        {"drop_path": 0.5}, {"targets": "ranks"}, {"temperature": False}, {"seed": 1},
        {"normalise_as": "vgg_face"},
    ]  # fmt: skip
    others = [training_key(SMALL.but(change), labels, CPU) for change in changes]
    for column, values in (
        ("post_id", ["d", "a", "b"]), ("image", ["1", "3", "4"]), ("label", [1, 0, 0]),
        ("split", ["train", "test", "validation"]), ("rank", [0.1, 0.9, 0.4]),
    ):  # fmt: skip
        others.append(training_key(SMALL, labels.assign(**{column: values}), CPU))
    others += [training_key(SMALL, labels.iloc[::-1], CPU), training_key(SMALL, labels, torch.device("cuda"))]
    monkeypatch.setattr(torch, "__version__", "0.1")
    others.append(training_key(SMALL, labels, CPU))
    monkeypatch.undo()
    monkeypatch.setattr(Recipe, "made_by", lambda recipe: "edited")
    others.append(training_key(SMALL, labels, CPU))
    assert len({key, *others}) == 1 + len(others) == 24
    on_gpu = [training_key(SMALL, labels, torch.device("cuda", number)) for number in (0, 1)]
    assert on_gpu[0] == on_gpu[1]


# --- trainings that are stopped ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def posts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng, rows = np.random.default_rng(0), []
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (36, 36, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append({"post_id": f"p{i}", "image": f"{i}.png", "user_id": f"u{i}", "label": i % 2})
    table = pd.DataFrame(rows).assign(split=["train"] * 16 + ["validation"] * 4 + ["test"] * 4)
    return ImageFolder(folder), table


@pytest.fixture
def every_step(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setenv(SECONDS, "0")
    monkeypatch.setattr("selfie_utils.model.checkpoints.SHARE", 1e9)


class Stopped(Exception):
    pass


def train_for(posts, recipe, folder, steps):
    """Train for so many more steps and fall over; return the steps taken, and what came of it."""
    learn, taken = training._Trainer.learn, []

    def learn_or_stop(self, *batch):
        if len(taken) == steps:
            raise Stopped
        taken.append(1)
        return learn(self, *batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Trainer, "learn", learn_or_stop)
        try:
            return len(taken), fine_tune(*posts, recipe, "cpu", folder)
        except Stopped:
            return len(taken), None


def same(one, other):
    one, other = one.state_dict(), other.state_dict()
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    "recipe",
    [
        SMALL.but({"dropout": 0.5, "drop_path": 0.5}),
        SMALL.but({"optimizer": "sgd", "schedule": "cosine", "weights": "random"}),
    ],
)
def test_stopped_again_and_again_the_weights_are_those_of_an_undisturbed_training(
    posts, tmp_path, every_step, recipe
):
    whole, history = fine_tune(*posts, recipe, "cpu")
    # After the first step, inside an epoch, and as an epoch ends, which has 4.
    for steps in (1, 5, 2):
        taken, found = train_for(posts, recipe, tmp_path, steps)
        assert (taken, found) == (steps, None)
    files = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in files] == ["000000007.pt", "000000008.pt"]
    files[1].write_bytes(files[1].read_bytes()[:1000])
    learn, left = training._Trainer.learn, []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training._Trainer, "learn", lambda *a: left.append(1) or learn(*a))
        network, again = fine_tune(*posts, recipe, "cpu", tmp_path)
        assert len(left) == STEPS - 7 and same(whole, network)  # none learned twice but that one
        fine_tune(*posts, recipe, "cpu", tmp_path)  # finished: nothing is left to learn
        assert len(left) == STEPS - 7
    assert list(again) == list(history)
    told = [name for name in history if name != "seconds"]
    pd.testing.assert_frame_equal(history[told], again[told], check_exact=True)


def test_later_steps_of_another_training_do_not_push_out_the_first_ones_of_this(posts, tmp_path, every_step):
    Checkpoints(tmp_path / "checkpoints", "another").save(9, {})
    assert train_for(posts, SMALL, tmp_path, 2) == (2, None)
    keeper = Checkpoints(tmp_path / "checkpoints", training_key(SMALL, posts[1], CPU))
    assert keeper.load()["trainer"]["steps"] == 2 and names(keeper.folder) == ["000000001.pt", "000000002.pt"]


def test_a_second_training_of_a_run_folder_is_refused_before_it_begins(posts, tmp_path, monkeypatch):
    monkeypatch.setattr("selfie_utils.core.files.PATIENCE", 0.1)
    folder = tmp_path / "checkpoints"
    told = f"Process {os.getpid()} is training in {folder}: wait for it, or give another run folder"
    with Checkpoints(folder, "one").alone():
        with pytest.raises(SelfieError, match=told):
            train_for(posts, SMALL, tmp_path, 0)
        with Checkpoints(tmp_path / "others", "one").alone():  # which has nothing to do with it
            pass
    assert not folder.exists()
    assert train_for(posts, SMALL, tmp_path, 0) == (0, None)  # the other has ended, however it did


def test_a_training_waits_a_little_for_one_that_is_just_being_killed(tmp_path):
    taken = threading.Event()

    def other():
        with Checkpoints(tmp_path / "checkpoints", "one").alone():
            taken.set()
            time.sleep(0.5)

    thread = threading.Thread(target=other)
    thread.start()
    taken.wait()
    with Checkpoints(tmp_path / "checkpoints", "one").alone():
        thread.join()


# --- whole reproductions -----------------------------------------------------------------------------------

YAML = """
run_dir: runs/killed
all: {seed: 0, device: cpu}
notebooks:
  00_data: {data: demo, max_posts: 260, group_size: 20}
  01_train: {image_size: 64, epochs: 2}
  02_continuum: {rows: 6, columns: 6, tile_size: 64}
"""
ONLY = ["--only", "00", "--only", "01", "--only", "02"]


def start(folder, run, most_bytes=None):
    """Start the small reproduction; `most_bytes` is the largest file that it may write."""
    environment = os.environ | {SECONDS: "0.5"}
    command = [
        str(Path(sys.executable).parent / "selfie"),
        "reproduce",
        str(folder / "p.yaml"),
        "--run",
        str(run),
    ]
    return subprocess.Popen(
        command + ONLY, cwd=PROJECT, env=environment, start_new_session=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True,
        preexec_fn=most_bytes and (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes,) * 2)),
    )  # fmt: skip


def children(pid):
    """Return all processes below one, kernels and their helpers."""
    try:
        found = [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except FileNotFoundError:
        return []
    return found + [below for child in found for below in children(child)]


def kill(pids):
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


@pytest.fixture(scope="module")
def undisturbed_run(tmp_path_factory):
    """A small reproduction that nobody kills: its folder, and how long it took."""
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "p.yaml").write_text(YAML)
    begun = time.monotonic()
    process = start(folder, folder / "run")
    said = process.communicate()[0]
    assert process.returncode == 0, said
    return folder / "run", time.monotonic() - begun


# Each stage is known by the first file that is new in it; the next comes seconds later.
FACES, TRAINING, SCORING, GALLERIES = (
    "faces.log/*.arrows", "checkpoints/*.pt", "network/model.safetensors", "figures/continuum.jpg",
)  # fmt: skip
KILLS = [
    (FACES, "kernel"),
    (FACES, "runner"),
    (TRAINING, "runner"),
    (TRAINING, "kernel"),
    (SCORING, "both"),
    (GALLERIES, "kernel"),
]


def test_killed_at_every_stage_the_scores_are_the_same_bytes(undisturbed_run, tmp_path):
    wanted, _ = undisturbed_run
    (tmp_path / "p.yaml").write_text(YAML)
    run = tmp_path / "run"
    for stage, victim in KILLS:
        before = dates(run, stage)
        process = start(tmp_path, run)
        wait_for(lambda stage=stage, before=before: dates(run, stage) - before, process, every=0.01)
        assert kill_some(process, victim) != 0, (stage, victim)
    assert (run / "notebooks" / "02_continuum.failed.ipynb").exists()
    finish(tmp_path, run, wanted)


def dates(run, pattern):
    """Return names and dates of files of a run."""
    return {(path.name, path.stat().st_mtime_ns) for path in run.glob(pattern)}


def kill_some(process, victim):
    """Kill the runner, its kernels or both; return the exit code of the runner when none is left."""
    kernels = children(process.pid)
    kill({"runner": [process.pid], "kernel": kernels, "both": [process.pid, *kernels]}[victim])
    process.wait()
    gone(kernels)
    return process.returncode


def finish(folder, run, wanted):
    """Run what is left of a reproduction, and compare."""
    process = start(folder, run)
    said = process.communicate()[0]
    assert process.returncode == 0, said
    same_results(wanted, run)


@pytest.mark.kills
def test_killed_twenty_times_at_random_the_scores_are_the_same_bytes(undisturbed_run, tmp_path):
    wanted, seconds = undisturbed_run
    (tmp_path / "p.yaml").write_text(YAML)
    rng, run = random.Random(0), tmp_path / "run"
    kills = 0
    while kills < 20:
        process = start(tmp_path, run)
        try:
            process.wait(rng.uniform(2, min(seconds / 2, 20)))  # on a busy machine not for ever
            assert process.returncode == 0, process.stdout.read()
            same_results(wanted, run)
            shutil.rmtree(run)  # and from the beginning
        except subprocess.TimeoutExpired:
            kill_some(process, rng.choice(["runner", "kernel", "both"]))
            kills += 1
    finish(tmp_path, run, wanted)


def gone(pids):
    """Wait until kernels whose runner was killed have noticed; then end what is left, as a reboot would."""
    for _ in range(40):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return
        time.sleep(0.1)
    kill(pids)


def same_results(wanted, run):
    for name in (
        "scores.parquet",
        "features.npy",
        "labels.parquet",
        "faces.parquet",
        "network/model.safetensors",
    ):
        assert (run / name).read_bytes() == (wanted / name).read_bytes(), name
    left = [path for path in run.rglob("*") if ".part" in path.name or path.name.startswith(".0")]
    assert not left and not (run / "checkpoints").exists()


def test_a_disk_that_is_full_leaves_nothing_half_written(undisturbed_run, tmp_path):
    wanted, _ = undisturbed_run
    (tmp_path / "p.yaml").write_text(YAML)
    run = after_the_first_notebook(wanted, tmp_path / "run")
    # First the tables fit and the packed photos do not, then these and not the network.
    for most_bytes, told in (
        (1_000_000, "Packed photos cannot be written"),
        (8_000_000, "No checkpoint can be"),
    ):
        full = start(tmp_path, run, most_bytes)
        said = full.communicate()[0]
        assert full.returncode == 1 and told in said
    assert not (run / "network" / "model.safetensors").exists()
    assert not list((run / "checkpoints").glob("[0-9]*"))
    process = start(tmp_path, run)
    assert process.communicate()[0].count("run   ") == 2 and process.returncode == 0
    same_results(wanted, run)


def after_the_first_notebook(whole, run):
    """Copy a run as it was when 00_data had run."""
    shutil.copytree(whole, run)
    state = json.loads((whole / "state.json").read_text().replace(str(whole), str(run)))
    for name in ("01_train", "02_continuum"):
        outputs = state["notebooks"].pop(name)["outputs"]
        for path in (run / output for output in outputs if (run / output).exists()):
            path.unlink()
    (run / "state.json").write_text(json.dumps(state))
    assert not (run / "scores.parquet").exists() and not list((run / "packed").rglob("*.npy"))
    return run


def wait_for(happened, process, seconds=300, every=0.1):
    """Wait until something has happened, while a process lives."""
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(every)
