"""Feed photos to the network: squished, uint8, in batches; kept in memory where they fit."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from tqdm import tqdm

from selfie_utils.errors import SelfieError
from selfie_utils.images import ImageFolder, ImageZip, UnreadableImage, decode, squish

IN_MEMORY = 4 * 2**30  # bytes; more photos than this are decoded anew for every epoch
WORKERS = min(8, os.cpu_count() or 1)  # processes that decode


def read_photo(images: ImageFolder | ImageZip, size: int, name: str) -> np.ndarray:
    """Return one photo squished to uint8 RGB (size, size, 3); raise UnreadableImage with the reason."""
    return np.array(squish(decode(images.read(name), at_least=size), size))


class PhotoSet(Dataset):
    """Photos by position, uint8 (3, S, S), decoded when asked for."""

    def __init__(self, images: ImageFolder | ImageZip, names: Sequence[str], size: int):
        self.images, self.names, self.size = images, list(names), size

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> torch.Tensor:
        try:
            photo = read_photo(self.images, self.size, self.names[i])
        except UnreadableImage as error:
            raise SelfieError(
                f"{self.names[i]} {error}, but it could be read before: run notebooks/00_data.ipynb again."
            ) from None
        return torch.from_numpy(photo).permute(2, 0, 1)


class InMemory:
    """The photos of a PhotoSet decoded once, on all cores, and kept."""

    def __init__(self, photos: PhotoSet):
        self.pixels = torch.empty((len(photos), photos.size, photos.size, 3), dtype=torch.uint8)
        with ThreadPoolExecutor() as pool:
            decoded = pool.map(photos.__getitem__, range(len(photos)))
            shown = tqdm(decoded, total=len(photos), desc="decoding photos", mininterval=2, unit="photo")
            for i, photo in enumerate(shown):
                self.pixels[i] = photo.permute(1, 2, 0)

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, rows: list[int]) -> torch.Tensor:
        """Return a batch, uint8 (N, 3, S, S)."""
        # (N, 3, S, S) as a view of (N, S, S, 3): channels last, as convolutions like it.
        return self.pixels[rows].permute(0, 3, 1, 2)


def open_photos(images: ImageFolder | ImageZip, names: Sequence[str], size: int) -> PhotoSet | InMemory:
    """Return the photos `names` as a data set, in memory where they fit."""
    photos = PhotoSet(images, names, size)
    return InMemory(photos) if len(photos) * size**2 * 3 <= IN_MEMORY else photos


def forward_batch(device: torch.device) -> int:
    """Return how many photos to score at once: on a CPU, 32 stay in its cache and go twice as fast as 128."""
    return 32 if device.type == "cpu" else 256


def batches_in(photos: int, batch_size: int) -> int:
    """Return into how many batches of almost equal size photos are cut: none is left with a single one."""
    return max(1, round(photos / batch_size))


def batches(
    photos: PhotoSet | InMemory, order: Sequence[int], batch_size: int, skip: int = 0
) -> Iterator[torch.Tensor]:
    """Yield photos in the given order, uint8 (N, 3, S, S), channels last; not the first `skip` batches."""
    parts = np.array_split(order, batches_in(len(order), batch_size))
    parts = [rows.tolist() for rows in parts[skip:]]
    if isinstance(photos, InMemory):
        return map(photos.take, parts)
    return iter(DataLoader(photos, batch_sampler=parts, num_workers=WORKERS, collate_fn=_stack))


def _stack(photos: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack(photos).to(memory_format=torch.channels_last)
