"""Weights that others have taught a network: read from a file or fetched, and fitted to a backbone."""

import argparse
import re
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from safetensors.torch import load_file
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.salvage import POINTER, kind_of_archive

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
    more = _more_blocks(own, found)
    if more:
        raise SelfieError(
            f"{source} holds the weights of a larger network than {name}, with {more}: name that."
        )
    coded = next((key for key in needed if _is_coded(found[key], own[key])), None)
    if coded:
        kind = f"{found[coded].dtype}, {found[coded].layout}"
        raise SelfieError(f"{source} holds {kind} in {coded}: give weights that are plain floats.")
    broken = next((key for key in needed if not torch.isfinite(found[key]).all()), None)
    if broken:
        raise SelfieError(
            f"{source} holds what is no number, in {broken}: its training failed, give another file."
        )
    kept = {key: found[key] for key in own if key in found and found[key].shape == own[key].shape}
    model.load_state_dict(own | kept)


def _more_blocks(own: Iterable[str], found: Iterable[str]) -> str:
    """Return a numbered layer that weights have and a network has not; empty where there is none.

    By name, ResNet-34 has all that ResNet-18 asks for, and more; heads of another use have other names.
    """
    known = {part for key in own for part in _numbered(key)}
    stems = {part.rpartition(".")[0] for part in known}
    others = (part for key in found for part in _numbered(key))
    return next((part for part in others if part not in known and part.rpartition(".")[0] in stems), "")


def _numbered(key: str) -> list[str]:
    """Return the numbered layers around a tensor: layer1.2.conv1.weight lies in layer1.2."""
    parts = key.split(".")
    return [".".join(parts[: i + 1]) for i, part in enumerate(parts[:-1]) if part.isdigit()]


def _is_coded(found: torch.Tensor, own: torch.Tensor) -> bool:
    """Tell whether a tensor of floats is written as something else: quantised to whole numbers, or sparse."""
    floats = found.is_floating_point() and not found.is_quantized
    return found.layout != torch.strided or (own.is_floating_point() and not floats)


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
        with path.open("rb") as file:
            is_safe = file.read(9)[8:] == b"{"  # after the length of what it begins with
        read = load_file(path) if is_safe else _load_pth(path)
    except Exception as error:
        raise SelfieError(f"{path} cannot be read as weights ({_why_unread(path, error)}).") from None
    weights = {key: value for key, value in _innermost(read).items() if _is_weight(key, value)}
    if not weights:
        held = ", ".join(map(str, list(read)[:5])) or "nothing"
        raise SelfieError(f"{path} holds no weights by their names, but {held}: save a model's state_dict.")
    return weights


def _innermost(read: dict[Any, Any]) -> dict[Any, Any]:
    """Return the weights inside a checkpoint: what is usually called so, or else the most that there are."""
    while True:
        inside = next((read[key] for key in INSIDE if isinstance(read.get(key), dict)), None)
        if inside is None and not any(_is_weight(*item) for item in read.items()):
            counts = [(_count(value), value) for value in read.values() if isinstance(value, dict)]
            most = max((count for count, _ in counts), default=0)
            largest = [value for count, value in counts if count == most > 0]
            inside = largest[0] if len(largest) == 1 else None
        if inside is None:
            return read
        read = inside


def _count(read: dict[Any, Any]) -> int:
    return sum(_is_weight(*item) for item in _innermost(read).items())


def _is_weight(key: Any, value: Any) -> bool:
    return isinstance(key, str) and isinstance(value, torch.Tensor)


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
    if "TorchScript" in str(error):
        return "it is a TorchScript module: save its state_dict alone"
    if found := re.search(r"GLOBAL (\S+)", str(error)):
        return f"it holds {found[1]}, code that is not run: save the state_dict of the model alone"
    if "PytorchStreamReader" in str(error) or "inline_container" in str(error):
        return _why_no_zip_of_torch(path)
    if "legacy .tar" in str(error):
        return "it is a tar archive: unpack it first"
    kind = kind_of_archive(head)
    if kind and kind != "zip":
        return f"it is packed by {kind}: unpack it first"
    if "Weights only load failed" in str(error):
        return "it is neither of torch.save nor of safetensors"
    return str(error)[:80]


def _why_no_zip_of_torch(path: Path) -> str:
    """Say why a zip file, as torch.save writes them, can't be read."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            if not any(name.endswith("/data.pkl") for name in packed.namelist()):
                return "it is a zip archive of something else: unpack it first"
    return "it is damaged, or cut short: fetch the file again"


def _load_pth(path: Path) -> dict[Any, Any]:
    """Load what torch.save has written: weights, or a checkpoint that holds them, as timm's train.py does."""
    with torch.serialization.safe_globals(PLAIN), path.open("rb") as file:  # its suffix says nothing
        read = torch.load(file, map_location="cpu", weights_only=True)
    if not isinstance(read, dict):
        raise TypeError(f"it holds a {type(read).__name__}, expected weights by their names")
    return read
