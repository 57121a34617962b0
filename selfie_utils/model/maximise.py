"""Draw what a channel would like to see most: a picture changed by gradients until it excites the channel."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.model.activations import Channel, run_until
from selfie_utils.model.network import SelfieNetwork

# How red, green and blue vary together in photos of ImageNet: columns are brightness and two colours (the
# square root of the covariance, as in Olah et al.). Steps in these leave the greys of photos likely.
COLOURS = torch.tensor([[0.26, 0.09, 0.02], [0.27, 0.00, -0.05], [0.27, -0.09, 0.03]])
STEP = 0.05  # Adam's learning rate
JITTER = 1 / 12  # of the picture's side, by which it is moved about
CONTRAST = 1 / 4  # of the first, random picture


def maximise(
    network: SelfieNetwork, layer: nn.Module, channels: Sequence[int], steps: int, seed: int
) -> np.ndarray:
    """Return a picture for each channel of a layer that excites it on average, float32 (N, P, P, 3), 0..1.

    It is the middle of what the network was shown: at its edges the dark beyond them plays a part. Gradients
    climb on the picture's frequencies rather than on its pixels, low ones faster, and the picture is moved by
    a few px at each step: without that the result is noise that only this network can read. Source: Olah,
    Mordvintsev and Schubert, "Feature visualization", Distill, 2017.
    """
    if steps < 1:
        raise SelfieError(f"{steps} steps were asked for, expected 1 or more.")
    draw = torch.Generator().manual_seed(seed)
    margin = round(network.image_size * JITTER)
    side = network.image_size + 2 * margin
    waves = torch.randn(len(channels), 3, side, side // 2 + 1, 2, generator=draw) * 0.01
    waves = waves.to(network.device).requires_grad_()
    climber, own = torch.optim.Adam([waves], STEP), list(range(len(channels)))
    with torch.enable_grad():
        for _ in tqdm(range(steps), desc="climbing", mininterval=2, unit="step"):
            x, y = torch.randint(0, 2 * margin + 1, (2,), generator=draw).tolist()
            maps = run_until(network, layer, 255 * _cut_out(_picture(waves, side), x, y, network.image_size))
            climber.zero_grad()
            (-maps[own, list(channels)].mean((1, 2)).sum()).backward()
            climber.step()
        final = _cut_out(_picture(waves, side), 2 * margin, 2 * margin, network.image_size - 2 * margin)
    return final.detach().permute(0, 2, 3, 1).cpu().numpy()


def wishes(
    network: SelfieNetwork,
    stages: Mapping[str, nn.Module],
    channels: Sequence[Channel],
    steps: int,
    seed: int,
) -> dict[Channel, np.ndarray]:
    """Return what each channel would like to see, float32 (P, P, 3), 0..1, as from `maximise`."""
    found: dict[Channel, np.ndarray] = {}
    for stage in dict.fromkeys(channel.stage for channel in channels):
        some = [channel for channel in channels if channel.stage == stage]
        numbers = [channel.number for channel in some]
        found |= dict(zip(some, maximise(network, stages[stage], numbers, steps, seed), strict=True))
    return found


def _cut_out(pictures: torch.Tensor, x: int, y: int, size: int) -> torch.Tensor:
    return pictures[:, :, y : y + size, x : x + size]


def _picture(waves: torch.Tensor, side: int) -> torch.Tensor:
    """Turn frequencies (N, 3, side, side // 2 + 1, 2) into pictures (N, 3, side, side), 0..1."""
    down, across = torch.fft.fftfreq(side), torch.fft.rfftfreq(side)
    frequency = torch.hypot(down[:, None], across[None]).clamp(min=1 / side)
    scale = (1 / frequency).to(waves.device)  # photos have that much more of low frequencies
    spectrum = torch.view_as_complex(waves) * scale
    grey = torch.fft.irfft2(spectrum, s=(side, side), norm="ortho") * CONTRAST
    mix = (COLOURS / COLOURS.norm(dim=0).max()).to(waves.device)
    return torch.einsum("nchw,dc->ndhw", grey, mix).sigmoid()
