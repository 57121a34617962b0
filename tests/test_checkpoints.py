"""A training that is stopped anywhere goes on to the same weights; a killed run, to the same scores."""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from test_world import make_run

from selfie_utils import recipe as recipes
from selfie_utils import training
from selfie_utils.checkpoints import SECONDS, Checkpoints, training_key
from selfie_utils.experiments import Trial
from selfie_utils.images import ImageFolder
from selfie_utils.recipe import Recipe
from selfie_utils.training import fine_tune

PROJECT = Path(__file__).parent.parent
SMALL = Recipe(image_size=32, epochs=3, batch_size=4, learning_rate=1e-3)
STEPS = 3 * 4  # epochs and batches of SMALL on 16 training photos


@pytest.fixture(scope="module")
def posts(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng, rows = np.random.default_rng(0), []
    for i in range(24):
        Image.fromarray(rng.integers(0, 255, (36, 36, 3), dtype=np.uint8)).save(folder / f"{i}.png")
        rows.append({"post_id": f"p{i}", "image": f"{i}.png", "user_id": f"u{i}", "label": i % 2})
    table = pd.DataFrame(rows).assign(split=["train"] * 16 + ["validation"] * 4 + ["test"] * 4)
    return ImageFolder(folder), table


@pytest.fixture(autouse=True)
def every_step(monkeypatch):
    monkeypatch.setenv(SECONDS, "0")
    monkeypatch.setattr("selfie_utils.checkpoints.SHARE", 1e9)


class Stopped(Exception):
    pass


def train_until(posts, recipe, folder, monkeypatch, step):
    """Train up to a step, and fall over there."""
    learn, taken = training._Learner.learn, []

    def learn_or_stop(self, *batch):
        if len(taken) == step:
            raise Stopped
        taken.append(1)
        return learn(self, *batch)

    with monkeypatch.context() as patch:
        patch.setattr(training._Learner, "learn", learn_or_stop)
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
        SMALL,
        SMALL.but({"dropout": 0.5, "drop_path": 0.5}),
        SMALL.but({"optimizer": "sgd", "schedule": "cosine", "weights": "random"}),
    ],
)
def test_stopped_at_any_step_the_weights_are_those_of_an_undisturbed_training(
    posts, tmp_path, monkeypatch, recipe
):
    whole, history = fine_tune(*posts, recipe, "cpu")
    for step in (1, 4, 7):
        folder = tmp_path / str(step)
        assert train_until(posts, recipe, folder, monkeypatch, step) == (step, None)
        network, again = fine_tune(*posts, recipe, "cpu", folder)
        assert same(whole, network), step
        columns = [
            "epoch",
            "train_loss",
            "train_accuracy",
            "validation_loss",
            "validation_accuracy",
            "learning_rate",
        ]
        pd.testing.assert_frame_equal(history[columns], again[columns], check_exact=True)


def test_no_step_is_learned_twice(posts, tmp_path, monkeypatch):
    train_until(posts, SMALL, tmp_path, monkeypatch, 7)
    steps = []
    learn = training._Learner.learn
    monkeypatch.setattr(training._Learner, "learn", lambda *a: steps.append(1) or learn(*a))
    fine_tune(*posts, SMALL, "cpu", tmp_path)
    assert len(steps) == STEPS - 7
    steps.clear()
    fine_tune(*posts, SMALL, "cpu", tmp_path)  # finished: nothing is left to learn
    assert not steps


def test_old_checkpoints_go_and_damaged_ones_are_passed_over(posts, tmp_path, monkeypatch):
    train_until(posts, SMALL, tmp_path, monkeypatch, 6)
    files = sorted((tmp_path / "checkpoints").iterdir())
    assert [path.name for path in files] == ["000000005.pt", "000000006.pt"]
    files[1].write_bytes(files[1].read_bytes()[:1000])
    keeper = Checkpoints(tmp_path / "checkpoints", training_key(SMALL, posts[1], torch.device("cpu")))
    assert keeper.load()["learner"]["steps"] == 5
    whole, _ = fine_tune(*posts, SMALL, "cpu")
    assert same(whole, fine_tune(*posts, SMALL, "cpu", tmp_path)[0])


def test_checkpoints_of_another_training_are_left_alone(posts, tmp_path, monkeypatch):
    _, labels = posts
    train_until(posts, SMALL, tmp_path, monkeypatch, 6)
    cpu = torch.device("cpu")
    others = [
        training_key(Recipe(image_size=32, epochs=3, batch_size=4, seed=1), labels, cpu),
        training_key(SMALL, labels.assign(label=1 - labels["label"]), cpu),
        training_key(SMALL, labels.iloc[::-1], cpu),
        training_key(SMALL, labels, torch.device("cuda")),
    ]
    assert all(Checkpoints(tmp_path / "checkpoints", key).load() is None for key in others)
    assert Checkpoints(None, others[0]).load() is None and not Checkpoints(None, others[0]).due()


def test_another_file_of_weights_or_other_code_is_another_training(tmp_path, monkeypatch):
    weights = tmp_path / "faces.pth"
    weights.write_text("some")
    one = SMALL.but({"weights": str(weights)})
    before = one.made_by()
    assert one.made_by() == before
    os.utime(weights, ns=(1, 1))
    assert one.made_by() == before  # a date is not another content
    weights.write_text("others")
    other = one.made_by()
    assert other != before
    labels, cpu = pd.DataFrame({"post_id": ["a"], "image": ["a"], "label": [1], "split": ["train"]}), "cpu"
    keys = training_key(one, labels, torch.device(cpu)), Trial("", one).key
    monkeypatch.setattr(recipes, "_code", lambda: "edited")
    assert one.made_by() != other
    assert training_key(one, labels, torch.device(cpu)) != keys[0] and Trial("", one).key != keys[1]


def test_later_steps_of_another_training_do_not_push_out_the_first_ones_of_this(posts, tmp_path, monkeypatch):
    train_until(posts, SMALL, tmp_path, monkeypatch, 9)
    other = SMALL.but({"seed": 1})
    train_until(posts, other, tmp_path, monkeypatch, 3)
    key = training_key(other, posts[1], torch.device("cpu"))
    assert Checkpoints(tmp_path / "checkpoints", key).load()["learner"]["steps"] == 3


# --- whole reproductions -----------------------------------------------------------------------------------

YAML = """
run_dir: runs/killed
all: {seed: 0, device: cpu}
notebooks:
  00_data: {data: demo, max_posts: 400, group_size: 20}
  01_train: {image_size: 64, epochs: 2}
  02_continuum: {rows: 6, columns: 6, tile_size: 64}
"""
ONLY = ["--only", "00", "--only", "01", "--only", "02", "--only", "04"]


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
    assert not (run / "figures" / "worst_300.jpg").exists()
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
    run = tmp_path / "run"
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
    assert (
        process.communicate()[0].count("run   ") == 3 and process.returncode == 0
    )  # 00_data is not run again
    same_results(wanted, run)


def test_a_second_training_of_a_run_folder_is_refused(tmp_path, monkeypatch):
    run, _, _ = make_run(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [sys.executable, "-m", "selfie_utils.training", "--run-dir", str(run.root), "--device", "cpu"]
    settings = ["image_size=32", "batch_size=4"]
    with subprocess.Popen([*command, *settings, "epochs=10000"], stderr=subprocess.DEVNULL) as first:
        try:
            wait_for(lambda: any((run.root / "checkpoints").glob("*.pt")), first)
            second = subprocess.run([*command, *settings, "epochs=1"], capture_output=True, text=True)
        finally:
            first.kill()
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith(f"Error: Process {first.pid} is training in {run.root}")
    assert not (run.root / "network").exists()
    third = subprocess.run([*command, *settings, "epochs=1"], capture_output=True, text=True)
    assert third.returncode == 0 and (run.root / "network" / "model.safetensors").exists()


def wait_for(happened, process, seconds=300, every=0.1):
    """Wait until something has happened, while a process lives."""
    end = time.monotonic() + seconds
    while not happened():
        assert process.poll() is None and time.monotonic() < end
        time.sleep(every)
