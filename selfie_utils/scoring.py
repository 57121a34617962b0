"""Score photos with the network of a run, and keep fc7, all in one pass."""

import sys
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import torch
import typer
from tqdm import tqdm

from selfie_utils.base_rates import percentile
from selfie_utils.errors import SelfieError
from selfie_utils.files import write_table, written_whole
from selfie_utils.images import ImageFolder, ImageZip, UnreadableImage, open_images
from selfie_utils.network import SelfieNetwork, choose_device, load_network
from selfie_utils.photo_batches import forward_batch, read_photo
from selfie_utils.run_folder import RunFolder, open_run


def score_images(
    network: SelfieNetwork, images: ImageFolder | ImageZip, names: Sequence[str], device: str = "auto"
) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Score photos, each squished and seen once.

    Returns (scores float64 (N,), P(good); fc7 float32 (N, D); reasons, N str, empty where a photo could be
    read). A photo that can't be read has score and fc7 nan.
    """
    network = network.to(choose_device(device), memory_format=torch.channels_last).eval()
    scores = np.full(len(names), np.nan)
    fc7 = np.full((len(names), network.head.in_features), np.nan, np.float32)
    reasons = [""] * len(names)
    size = forward_batch(network.head.weight.device)
    with tqdm(total=len(names), desc="scoring photos", mininterval=2, unit="photo") as progress:
        for start in range(0, len(names), size):
            rows = range(start, min(start + size, len(names)))
            readable, photos = _read(images, names, rows, network.image_size, reasons)
            if readable:
                scores[readable], fc7[readable] = _score(network, np.stack(photos))
            progress.update(len(rows))
    return scores, fc7, reasons


def _read(
    images: ImageFolder | ImageZip, names: Sequence[str], rows: range, size: int, reasons: list[str]
) -> tuple[list[int], list[np.ndarray]]:
    """Read some photos; returns the rows that could be read and their pixels, and notes reasons of others."""
    readable, photos = [], []
    for i in rows:
        try:
            photos.append(read_photo(images, size, names[i]))
            readable.append(i)
        except UnreadableImage as error:
            reasons[i] = str(error)
    return readable, photos


@torch.inference_mode()
def _score(network: SelfieNetwork, photos: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (P(good) (N,), fc7 (N, D)) of photos, uint8 (N, S, S, 3)."""
    device = network.head.weight.device
    batch = torch.from_numpy(photos).permute(0, 3, 1, 2).to(device)  # (N, 3, S, S), channels last
    with torch.autocast("cuda", torch.bfloat16) if device.type == "cuda" else nullcontext():
        logits, fc7 = network(batch)
    return logits.double().softmax(1)[:, 1].cpu().numpy(), fc7.float().cpu().numpy()


def score_posts(
    run: RunFolder,
    network: SelfieNetwork,
    images: ImageFolder | ImageZip,
    posts: pd.DataFrame,
    device: str = "auto",
) -> pd.DataFrame:
    """Score posts and write scores.parquet and features.npy, row by row alike; returns the scores.

    `posts` as in labels.parquet. Posts whose photo can't be read any more are left out.
    """
    scores, fc7, _ = score_images(network, images, posts["image"].tolist(), device)
    known = np.isfinite(scores)
    if not known.any():
        raise SelfieError("None of the test photos can be read: run notebooks/00_data.ipynb again.")
    table = posts[["post_id", "image", "user_id", "label"]].assign(score=scores)[known].reset_index(drop=True)
    with written_whole(run.root / "features.npy") as partial:
        np.save(partial, fc7[known])
    run.write_table("scores", table)
    return table


def rate_photos(run: RunFolder, photos: Sequence[Path], device: str = "auto") -> pd.DataFrame:
    """Rate any photos: photo (str), score (P(good)), percentile among the run's test posts, reason.

    A photo that can't be read has score and percentile nan and a reason; others have an empty reason.
    """
    network = load_network(run, device)
    crowd = run.read_table("scores")["score"]
    # A drive's root as folder, so that photos from anywhere are scored in one go.
    paths = [Path(photo).resolve() for photo in photos]
    names = [path.relative_to(path.anchor).as_posix() for path in paths]
    scores, _, reasons = score_images(network, ImageFolder(Path(paths[0].anchor)), names, device)
    shares = np.where(np.isfinite(scores), percentile(crowd, pd.Series(scores)), np.nan)
    columns = {"photo": [str(p) for p in photos], "score": scores, "percentile": shares, "reason": reasons}
    return pd.DataFrame(columns)


def score_folder(
    run: Annotated[Path, typer.Option(help="Run folder whose network to use.")],
    images: Annotated[Path, typer.Option(help="Folder or zip archive of photos.")],
    out: Annotated[Path, typer.Option(help="Parquet table to write: image, score, reason.")],
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
) -> None:
    """Score every photo of a folder: the command behind `celebrities.score_folder`."""
    try:
        photos = open_images(images)
        network = load_network(open_run(run), device)
        scores, _, reasons = score_images(network, photos, photos.names(), device)
        write_table(out, pd.DataFrame({"image": photos.names(), "score": scores, "reason": reasons}))
    except SelfieError as error:
        print(error, file=sys.stderr)
        raise typer.Exit(1) from None


if __name__ == "__main__":
    typer.run(score_folder)
