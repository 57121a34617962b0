"""Feed photos to the network: squished, uint8, in batches, the next ones read while it works on these."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.parallel import WORKERS, in_advance
from selfie_utils.photos.images import Images, UnreadableImage
from selfie_utils.photos.pack import NoRoom, PhotoPack, pack_in_memory, pack_photos, read_photo

IN_MEMORY = 4 * 2**30  # bytes of photos that are kept in memory where there is no folder for a pack


class PhotoSet(Dataset):
    """Photos by position, uint8 (S, S, 3), decoded when asked for."""

    def __init__(self, images: Images, names: Sequence[str], size: int):
        self.images, self.names, self.size = images, list(names), size

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, i: int) -> torch.Tensor:
        try:
            return torch.from_numpy(read_photo(self.images, self.size, self.names[i]))
        except UnreadableImage as error:
            raise _gone(self.names[i], str(error)) from None


def open_photos(
    images: Images, names: Sequence[str], size: int, folder: Path | None = None
) -> PhotoSet | PhotoPack:
    """Return the photos `names`, squished to `size` px: packed in `folder`, or in memory without one.

    Where neither has room they are decoded anew whenever they are asked for. Raises SelfieError for a photo
    that can't be read.
    """
    try:
        if folder:
            pack = pack_photos(images, names, size, folder)
        elif len(names) * size**2 * 3 <= IN_MEMORY:
            pack = pack_in_memory(images, names, size)
        else:
            return PhotoSet(images, names, size)
    except NoRoom as error:
        print(f"{error} They are decoded again in every epoch, which takes longer.", flush=True)
        return PhotoSet(images, names, size)
    for i in np.flatnonzero(pack.reasons != "")[:1]:
        raise _gone(pack.index["image"][i], pack.reasons[i])
    return pack


def _gone(name: str, reason: str) -> SelfieError:
    return SelfieError(f"{name} {reason}, but it could be read before: run notebooks/00_data.ipynb again.")


def forward_batch(device: torch.device) -> int:
    """Return how many photos to score at once: on a CPU, 32 stay in its cache and go twice as fast as 128."""
    return 32 if device.type == "cpu" else 256


def batches_in(photos: int, batch_size: int) -> int:
    """Return into how many batches of almost equal size photos are cut: none is left with a single one."""
    return max(1, round(photos / batch_size))


def cut(order: Sequence[int] | np.ndarray, batch_size: int) -> list[np.ndarray]:
    """Cut positions into batches of almost equal size."""
    return np.array_split(np.asarray(order), batches_in(len(order), batch_size))


def batches(
    photos: PhotoSet | PhotoPack, parts: Sequence[np.ndarray], device: torch.device
) -> Iterator[torch.Tensor]:
    """Yield the photos of each part on `device`, uint8 (N, 3, S, S), channels last."""
    on_cuda = device.type == "cuda"
    if isinstance(photos, PhotoPack):
        read = in_advance(lambda rows: _pinned(torch.from_numpy(photos.take(rows)), on_cuda), parts)
    else:
        rows = [part.tolist() for part in parts]
        read = _by_workers(DataLoader(photos, batch_sampler=rows, num_workers=WORKERS, pin_memory=on_cuda))
    for batch in read:
        # (N, 3, S, S) as a view of (N, S, S, 3): channels last, as convolutions like it.
        yield batch.to(device, non_blocking=True).permute(0, 3, 1, 2)


def _by_workers(loader: DataLoader) -> Iterator[torch.Tensor]:
    """Yield what worker processes read; of their errors only the sentence, not the way it came."""
    try:
        yield from loader
    except SelfieError as error:
        raise SelfieError(str(error).strip().rpartition("SelfieError: ")[2]) from None


def to_device(values: np.ndarray | torch.Tensor, device: torch.device) -> torch.Tensor:
    """Send a few numbers of a batch to the device, without waiting for what a GPU is doing."""
    return _pinned(torch.as_tensor(values), device.type == "cuda").to(device, non_blocking=True)


def _pinned(batch: torch.Tensor, on_cuda: bool) -> torch.Tensor:
    """Put a batch into memory that a GPU can fetch from while it computes."""
    return batch.pin_memory() if on_cuda else batch
