"""Score photos with the network of a run, and keep fc7, all in one pass."""

import errno
import os
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer

from selfie_utils.core.errors import SelfieError, in_one_sentence
from selfie_utils.core.files import PATIENCE, locked, written_whole
from selfie_utils.core.progress import tqdm
from selfie_utils.core.run_folder import RunFolder, open_run
from selfie_utils.model.batches import PhotoSet, batches, cut, forward_batch
from selfie_utils.model.network import SelfieNetwork, load_network
from selfie_utils.model.processes import Processes, as_processes, join_processes, launch, read_device
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.images import Images, open_images
from selfie_utils.photos.pack import NoRoom, PhotoPack, pack_photos

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # on the disk, in a quota, by a limit


def score_pack(
    network: SelfieNetwork,
    photos: PhotoPack | PhotoSet,
    rows: np.ndarray,
    fc7: np.ndarray | None = None,
    title: str = "scoring photos",
) -> np.ndarray:
    """Return P(good) of some photos of a pack, float64 (N,); their fc7 go into `fc7`, float32 (N, D)."""
    parts = cut(rows, forward_batch(network.device)) if len(rows) else []
    scorer = Scorer(network, str(network.device))
    scorer.expect(len(rows))
    scores, done = np.empty(len(rows)), 0
    with tqdm(total=len(rows), desc=title, mininterval=2, unit="photo") as progress:
        for batch in batches(photos, parts, network.device):
            here = slice(done, done + len(batch))
            rated = scorer.rate_batch(batch)
            scores[here] = rated.score
            if fc7 is not None:
                fc7[here] = rated.fc7
            done += len(batch)
            progress.update(len(batch))
    return scores


def score_posts(
    run: RunFolder,
    network: SelfieNetwork,
    images: Images,
    posts: pd.DataFrame,
    device: str | Processes = "auto",
) -> pd.DataFrame:
    """Score posts and write scores.parquet and features.npy, row by row alike; returns the scores.

    `posts` as in labels.parquet. Posts whose photo can't be read any more are left out. Photos are packed in
    the run folder (without room for that, one that is damaged stops it), and fc7 goes to the disk batch by
    batch: memory holds one batch and a number per post. `device` is a name, or the processes that share the
    work: each scores its share, and the leading one puts them together.

    Raises SelfieError where another scores in this run folder, or none of the photos can be read.
    """
    processes = as_processes(device)
    told = f"Process {{process}} is scoring in {run.root}: wait for it."
    with locked(run.root / ".scoring.lock", told, PATIENCE) if processes.is_main else nullcontext():
        return _score_alone(run, network, images, posts, processes)


def _score_alone(
    run: RunFolder,
    network: SelfieNetwork,
    images: Images,
    posts: pd.DataFrame,
    processes: Processes,
) -> pd.DataFrame:
    network = network.to(processes.device).to(memory_format=torch.channels_last).eval()
    with processes.main_first():
        photos, known = _open_readable(run, images, posts["image"], network.image_size)
    if not known.any():
        raise SelfieError("None of the test photos can be read: run notebooks/00_data.ipynb again.")
    rows = np.flatnonzero(known)
    mine = np.array_split(rows, processes.size)[processes.rank]
    part = run.root / f".features.{processes.rank}.part.npy"
    shape = (len(mine), network.head.in_features)
    try:
        fc7 = _room_for(part, shape) if len(mine) else np.empty(shape)
        scores = processes.gather(score_pack(network, photos, mine, fc7))
        del fc7  # written out
        if processes.is_main:
            _join_features(run, [run.root / f".features.{rank}.part.npy" for rank in range(processes.size)])
        processes.gather(None)  # the parts are read: they may go
    finally:
        part.unlink(missing_ok=True)
    table = posts[["post_id", "image", "user_id", "label"]].iloc[rows].reset_index(drop=True)
    table["score"] = np.concatenate(scores)
    if processes.is_main:
        run.write_table("scores", table)
    return table


def _open_readable(
    run: RunFolder, images: Images, names: pd.Series, size: int
) -> tuple[PhotoPack | PhotoSet, np.ndarray]:
    """Open the photos of posts; returns them and which could be read, bool (N,)."""
    try:
        pack = pack_photos(images, names, size, run.root / "packed" / str(size))
        return pack, pack.reasons == ""
    except NoRoom:
        readable = [bool(images.stamp(name)) for name in names]
        return PhotoSet(images, names, size), np.array(readable)


def _room_for(path: Path, shape: tuple[int, int]) -> np.memmap:
    """Return a file of float32 in memory, all of its room taken: a disk that fills up later would kill us."""
    try:
        whole = np.lib.format.open_memmap(path, "w+", np.float32, shape)
        _take_room(path)
    except OSError as error:
        if error.errno not in NO_ROOM:
            raise
        size = 4 * shape[0] * shape[1] / 1e6
        raise SelfieError(
            f"There is no room in {path.parent} for fc7 of {shape[0]:,} posts, twice {size:,.0f} MB for a "
            "while: make room and run it again."
        ) from None
    return whole


def _take_room(path: Path) -> None:
    """Have the disk set aside what a file may need; macOS and some disks do not."""
    with open(path, "r+b") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except AttributeError:
            return
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL):
                raise


def _join_features(run: RunFolder, parts: list[Path]) -> None:
    """Write fc7 of all processes into features.npy, one after the other."""
    pieces = [np.load(path, mmap_mode="r") for path in parts if path.exists()]
    shape = (sum(map(len, pieces)), pieces[0].shape[1])
    with written_whole(run.place("features.npy")) as partial:
        whole, done = _room_for(partial, shape), 0
        for piece in pieces:
            whole[done : done + len(piece)] = piece
            done += len(piece)
        whole.flush()


def score_run(
    run: RunFolder, network: SelfieNetwork, images: Images, posts: pd.DataFrame, device: str
) -> pd.DataFrame:
    """Score posts as `score_posts` does; where `device` means many processes, with the saved network."""
    device, count = read_device(device)
    if count == 1:
        return score_posts(run, network, images, posts, device)
    launch("selfie_utils.model.scoring", ["posts", "--run-dir", str(run.root), "--device", device], count)
    return run.read_table("scores")


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]


@app.callback()
def main() -> None:
    """Score with the network of a run."""  # without this, Typer would know no command by its name


@app.command("posts")
def score_test_posts(
    run_dir: Annotated[Path, typer.Option(help="Run folder with labels and a network.")],
    device: Device = "auto",
) -> None:
    """Score the test posts of a run anew; under torchrun, each process a share of them."""
    with in_one_sentence(), join_processes(device) as processes:
        folder = open_run(run_dir)
        labels = folder.read_table("labels")
        posts = labels[labels["split"] == "test"].reset_index(drop=True)
        photos = open_images(folder.read_json("data")["images"])
        network = load_network(folder, "cpu")
        score_posts(folder, network, photos, posts, processes)


if __name__ == "__main__":
    app()
