"""Make a network quicker on a CPU without changing what it says."""

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional

WATCHED = 2  # calls that PyTorch watches before it fuses; what it says changes by rounding then


def fuse(network: nn.Module, example: torch.Tensor) -> Callable[[torch.Tensor], Any]:
    """Return the forward pass of a network that learns no more, its layers fused where that works.

    `example` is what it takes. Where fusing fails, at once or later, it is the network itself.
    """
    try:
        quick: nn.Module = trace(network, example)
        with torch.no_grad():
            for _ in range(WATCHED):
                quick(example)
    except (RuntimeError, AttributeError):
        return network

    def forward(photos: torch.Tensor) -> Any:
        nonlocal quick
        try:
            return quick(photos)
        # Some networks have the size of the batch traced into them.
        except RuntimeError:
            quick = network
            return network(photos)

    return forward


@torch.no_grad()
def trace(network: nn.Module, example: torch.Tensor) -> torch.jit.ScriptModule:
    """Return a network that learns no more as a graph to be fused, by an example of what it takes.

    Convolution, batch norm and ReLU become one step of oneDNN. Raises RuntimeError where it can't be had.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer is kept, though no longer developed
        torch.jit.enable_onednn_fusion(True)
        return torch.jit.freeze(torch.jit.trace(network.eval(), example, check_trace=False))


class RoomyConv2d(nn.Conv2d):
    """A convolution that puts zeros beside what is smaller than its kernel while it learns.

    Without them oneDNN has no kernel for the gradient of a convolution by channel, and takes four times as
    long. The zeros are those of the padding, so that the result is the same.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return what the convolution makes of x (N, C, H, W)."""
        height, width = x.shape[-2:]
        below, beside = (max(0, k - side) for k, side in zip(self.kernel_size, (height, width), strict=True))
        if not self.training or not below + beside:
            return super().forward(x)
        return super().forward(functional.pad(x, (0, beside, 0, below)))[..., :height, :width]


def give_room(body: nn.Module) -> None:
    """Let the convolutions by channel that keep the size of what they see be `RoomyConv2d`."""
    for layer in body.modules():
        if type(layer) is nn.Conv2d and layer.groups > 1 and layer.stride == (1, 1):
            layer.__class__ = RoomyConv2d  # the same weights by the same names
