"""Move crops uphill by the gradient, through a Spatial Transformer: what the article could not make work."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.model.network import SelfieNetwork
from selfie_utils.photos.crops import SMALLEST, fit_for_crops, numbers_of

PYRAMID = (4, 2, 1)  # times smaller than the photo that each third of the steps sees


@dataclass(frozen=True)
class Climb:
    """How a crop is moved."""

    parameters: int = 3  # scale, x and y, or 6: any affine map
    pyramid: bool = False  # begin with a blurred photo, whose gradients reach farther
    steps: int = 25
    rate: float = 0.04  # of Adam, in shares of the photo

    def __post_init__(self):
        if self.parameters not in (3, 6):
            raise SelfieError(f"A crop has 3 or 6 parameters, not {self.parameters}.")
        if self.steps < 1:
            raise SelfieError(f"A climb of {self.steps} steps leads nowhere: give 1 or more.")

    @property
    def name(self) -> str:
        """What charts call it."""
        return f"gradient, {self.parameters} parameters" + (", blurred first" if self.pyramid else "")


class Paths(NamedTuple):
    """Where crops went, step by step, beginning with where they started."""

    numbers: np.ndarray  # float64 (starts, steps, 3), the nearest square crop: scale, x, y in 0..1
    scores: np.ndarray  # float64 (starts, steps), P(good) of what the network saw


def climb(
    network: SelfieNetwork, photo: Image.Image, starts: np.ndarray, how: Climb, smallest: float = SMALLEST
) -> Paths:
    """Move crops from `starts`, numbers (N, 3), up the gradient of the log-odds; all at once, with Adam.

    Source: Jaderberg et al., "Spatial Transformer Networks", 2015.
    """
    photo = fit_for_crops(photo, network.image_size)
    levels = _levels(photo, network.device, how.pyramid)
    moved = torch.tensor(np.asarray(starts), dtype=torch.float32, device=network.device)  # (N, 3)
    if how.parameters == 6:
        moved = theta_of(moved, photo.size, smallest)  # (N, 2, 3)
    moved.requires_grad_()
    optimizer, numbers, scores = torch.optim.Adam([moved], lr=how.rate), [], []
    for step in range(how.steps):
        theta = moved if how.parameters == 6 else theta_of(moved, photo.size, smallest)
        seen = look_through(levels[step * len(levels) // how.steps], theta, network.image_size)
        odds = _log_odds(network, seen)  # (N,)
        (moved.grad,) = torch.autograd.grad(-odds.sum(), moved)
        numbers.append(_numbers(moved.detach(), photo.size, smallest))
        scores.append(odds.detach().sigmoid().double().cpu().numpy())
        optimizer.step()
        with torch.no_grad():
            if how.parameters == 3:
                moved.clamp_(0, 1)
    return Paths(np.stack(numbers, 1), np.stack(scores, 1))


def climb_all(
    network: SelfieNetwork, photos: Sequence[Image.Image], starts: np.ndarray, steps: int
) -> dict[str, list[Paths]]:
    """Climb from the same starts on each photo, in each way: 6 and 3 parameters, sharp and blurred first."""
    ways = [Climb(parameters, pyramid, steps) for pyramid in (False, True) for parameters in (6, 3)]
    paths: dict[str, list[Paths]] = {way.name: [] for way in ways}
    for way, photo in tqdm(list(product(ways, photos)), "climbing", mininterval=2, unit="photo"):
        paths[way.name].append(climb(network, photo, starts, way))
    return paths


def theta_of(numbers: torch.Tensor, size: tuple[int, int], smallest: float = SMALLEST) -> torch.Tensor:
    """Turn numbers of crops, (N, 3), into the affine maps that cut them, (N, 2, 3), for `affine_grid`."""
    extent = torch.tensor(size, dtype=numbers.dtype, device=numbers.device)  # px: width, height
    side = (smallest + (1 - smallest) * numbers[:, :1]) * min(size)  # (N, 1)
    share = side / extent  # (N, 2), of the photo's width and height
    shift = (2 * numbers[:, 1:] - 1) * (1 - share)  # of the middle, in -1..1
    theta = torch.zeros(len(numbers), 2, 3, dtype=numbers.dtype, device=numbers.device)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = share[:, 0], share[:, 1], shift
    return theta


def look_through(photo: torch.Tensor, theta: torch.Tensor, size: int) -> torch.Tensor:
    """Cut crops out of a photo, float (1, 3, H, W), by affine maps (N, 2, 3): float (N, 3, size, size).

    Each pixel is read between the four nearest of the photo, so the gradient knows no others: that is why it
    is poor where crops shrink (Jiang et al., "Linearized multi-sampling", 2019). Beyond the photo its edge
    goes on.
    """
    grid = F.affine_grid(theta, [len(theta), 3, size, size], align_corners=False)
    photos = photo.expand(len(theta), -1, -1, -1)
    return F.grid_sample(photos, grid, mode="bilinear", padding_mode="border", align_corners=False)


def cut_evenly(photo: torch.Tensor, boxes: torch.Tensor, size: int) -> torch.Tensor:
    """Cut boxes (N, 4), in px, out of a photo, float (3, H, W): (N, 3, size, size), as Pillow does.

    Where a crop shrinks, a pixel is the weighted mean of all that it covers, with weights that fall straight
    to 0 (Pillow's BILINEAR). Differentiable, too.
    """
    height, width = photo.shape[1:]
    across = _weights(boxes[:, 0], boxes[:, 2], width, size)  # (N, size, W)
    down = _weights(boxes[:, 1], boxes[:, 3], height, size)  # (N, size, H)
    return torch.einsum("nih,chw,njw->ncij", down, photo, across)


def _weights(start: torch.Tensor, end: torch.Tensor, pixels: int, size: int) -> torch.Tensor:
    """Return by how much each pixel of a line counts for each of `size` between start and end."""
    step = (end - start)[:, None, None] / size  # (N, 1, 1)
    places = torch.arange(pixels, device=start.device) + 0.5  # (pixels,)
    centres = start[:, None, None] + (torch.arange(size, device=start.device)[:, None] + 0.5) * step
    weights = (1 - (places - centres).abs() / step.clamp(min=1)).clamp(min=0)  # (N, size, pixels)
    inside = (places > start[:, None, None]) & (places < end[:, None, None])
    weights = weights * inside
    return weights / weights.sum(2, keepdim=True)


def _levels(photo: Image.Image, device: torch.device, pyramid: bool) -> list[torch.Tensor]:
    """Return the photo as tensors (1, 3, H, W), 0..255: of each size that is looked at, smallest first."""
    pixels = torch.from_numpy(np.asarray(photo, np.float32)).permute(2, 0, 1)[None].to(device)
    if not pyramid:
        return [pixels]
    return [F.avg_pool2d(pixels, times) if times > 1 else pixels for times in PYRAMID]


def _log_odds(network: SelfieNetwork, photos: torch.Tensor) -> torch.Tensor:
    logits, _ = network(photos)
    return logits[:, 1] - logits[:, 0]


def _numbers(moved: torch.Tensor, size: tuple[int, int], smallest: float) -> np.ndarray:
    """Return the numbers of the nearest square crops, float64 (N, 3); `moved` are numbers or maps."""
    if moved.ndim == 2:
        return moved.double().cpu().numpy()
    theta = moved.double().cpu().numpy()
    # A map may turn and shear: the area that it covers gives the side, its middle the place.
    share = np.sqrt(np.abs(np.linalg.det(theta[:, :, :2])))[:, None]  # (N, 1) of the photo
    side, middle = share * np.sqrt(size[0] * size[1]), (theta[:, :, 2] + 1) / 2 * np.array(size)
    return numbers_of(np.hstack([middle - side / 2, middle + side / 2]), size, smallest)
