"""Weights that others have taught a network: read from a file or fetched, and fitted to a backbone."""

import argparse
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.salvage import POINTER

INSIDE = ("state_dict", "model_state_dict", "model", "network", "net")  # what checkpoints call the weights
# What checkpoints hold beside weights, and runs nothing: the settings of a training, and a number of NumPy.
PLAIN: list[Any] = [
    argparse.Namespace,
    np.dtype,
    np.dtypes.Float64DType,
    np.dtypes.Float32DType,
    np.dtypes.Int64DType,
]
PLAIN += [np.float64(0).__reduce__()[0]]
KINDS = {"weight", "bias", "running_mean", "running_var"}  # what tensors of a layer are called


def fill(model: nn.Module, state: dict[str, torch.Tensor], source: str, name: str) -> None:
    """Load weights by name, or else in order; the classifier, the last layer, keeps what it has.

    How many batches a layer has seen is no weight: old files do not hold it, and nothing depends on it.
    """
    own = model.state_dict()
    classifier = list(own)[len(own) - 2 :]  # its weight and its bias come last
    counters = [key for key in own if key.endswith("num_batches_tracked")]
    needed = [key for key in own if key not in {*classifier, *counters}]
    found = _named_as(needed, state)
    if found is None:
        has_counters = any(value.ndim == 0 for value in state.values())  # whatever they are called
        order = own if has_counters else [key for key in own if key not in counters]
        in_order = zip(order, state.items(), strict=False)
        found = {key: value for key, (other, value) in in_order if _may_be(key, other)}
    wrong = [key for key in needed if key not in found or found[key].shape != own[key].shape]
    if wrong:
        size = _size_in_words(model, found, own, wrong)
        raise SelfieError(f"{source} does not hold the weights of {name}{size or ': give another file'}.")
    broken = next((key for key in needed if not torch.isfinite(found[key]).all()), None)
    if broken:
        raise SelfieError(
            f"{source} holds what is no number, in {broken}: its training failed, give another file."
        )
    kept = {key: found[key] for key in own if key in found and found[key].shape == own[key].shape}
    model.load_state_dict(own | kept)


def _may_be(key: str, other: str) -> bool:
    """Tell whether two names may be those of one tensor: a bias is no weight, in whatever order they come.

    Files of safetensors are sorted by name, and those of a normalisation all have the same shape.
    """
    kinds = [name.rpartition(".")[2] for name in (key, other)]
    return kinds[0] == kinds[1] or not set(kinds) <= KINDS


def _named_as(needed: list[str], state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor] | None:
    """Return weights by the names that are needed, whatever these begin with; None where one is missing.

    Training in parallel, compiled or inside of another model puts its own word before each name.
    """
    state = {key.replace("_orig_mod.", ""): value for key, value in state.items()}
    begins = [key.removesuffix(needed[0]) for key in state if f".{key}".endswith(f".{needed[0]}")]
    for begin in begins:
        if all(begin + key in state for key in needed):
            return {key.removeprefix(begin): value for key, value in state.items() if key.startswith(begin)}
    return None


def _size_in_words(
    model: nn.Module, found: dict[str, torch.Tensor], own: dict[str, torch.Tensor], wrong: list[str]
) -> str:
    """Say that weights are for photos of another size, where a network is made for one; else nothing."""
    known = getattr(model, "pretrained_cfg", None) or {}
    if not known.get("fixed_input_size") or any(key not in found for key in wrong):
        return ""
    key = wrong[0]
    shapes = " and ".join(f"{tuple(weights[key].shape)}" for weights in (found, own))
    size = known.get("input_size", (3, 224, 224))[-1]
    patch = getattr(getattr(model, "patch_embed", None), "patch_size", None)
    if key == "pos_embed" and patch and found[key].ndim == 3:
        side = round((found[key].shape[1] - getattr(model, "num_prefix_tokens", 1)) ** 0.5) * patch[0]
        size = side or size
    return f" for photos of this size ({key} is {shapes}): set image_size to {size}"


def download_vgg16() -> dict[str, torch.Tensor]:
    """Fetch torchvision's ImageNet weights (528 MB), kept in torch's cache."""
    known = torchvision.models.VGG16_Weights.IMAGENET1K_V1
    try:
        return known.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise SelfieError(
            f"VGG16's ImageNet weights could not be downloaded ({error}): fetch {known.url} "
            "where there is a network, and give the path of the file as weights."
        ) from None


def read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a state dict from .safetensors or .pth, without running anything that the file may hold."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise SelfieError(f"There is no file of weights {path}: give a path, or imagenet or random.")
    try:
        read = load_file(path) if path.suffix == ".safetensors" else _load_pth(path)
        return {key: value for key, value in read.items() if isinstance(value, torch.Tensor)}
    except Exception as error:
        raise SelfieError(f"{path} cannot be read as weights ({_why_unread(path, error)}).") from None


def _why_unread(path: Path, error: Exception) -> str:
    """Say in some words why a file can't be read as weights."""
    with path.open("rb") as file:
        head = file.read(64).lstrip()
    if head.startswith(POINTER):
        return "it is a pointer of Git LFS: fetch the file itself with `git lfs pull`"
    if not head:
        return "it is empty"
    if head.startswith(b"<"):
        return "it is a web page: fetch the file again"
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it holds {found[1]}, code that is not run: save the state_dict of the model alone"
    return str(error)[:80]


def _load_pth(path: Path) -> dict[str, torch.Tensor]:
    """Load a state dict, also from within a checkpoint, as timm's train.py and others write it."""
    with torch.serialization.safe_globals(PLAIN):
        read = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(read, dict):
        raise TypeError(f"it holds a {type(read).__name__}, expected weights by their names")
    while inside := next((read[key] for key in INSIDE if isinstance(read.get(key), dict)), None):
        read = inside
    return read
