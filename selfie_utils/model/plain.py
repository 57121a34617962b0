"""The network as its backbone's own package knows it: timm's or torchvision's, with two classes."""

from typing import Any, NamedTuple

import numpy as np
import timm
import torch
import torchvision
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.model.batches import cut
from selfie_utils.model.network import CLASSES, SelfieNetwork

TIMM_NAMES = {"efficientnet_lite0": "tf_efficientnet_lite0"}
AT_ONCE = 16  # photos


class Plain(NamedTuple):
    """How to build a network without this project, and its weights under the names that it then has."""

    package: str  # to be imported
    constructor: str  # Python, in that package
    state: dict[str, torch.Tensor]
    model: nn.Module  # built so, with the weights


def as_plain(network: SelfieNetwork) -> Plain:
    """Return a network as its backbone's own package builds it: (N, 3, S, S), normalised, to logits (N, 2).

    Raises SelfieError where the package's network differs from ours.
    """
    name = TIMM_NAMES.get(network.backbone, network.backbone)
    if name == "vgg16":
        package, constructor = "torchvision", f"torchvision.models.vgg16(num_classes={len(CLASSES)})"
        model: Any = torchvision.models.vgg16(num_classes=len(CLASSES), init_weights=False)
        classifier = "classifier.6"
    else:
        options = _options(name, network.image_size)
        told = ", ".join(f"{key}={value}" for key, value in options.items())
        package, constructor = "timm", f'timm.create_model("{name}", {told})'
        model = timm.create_model(name, pretrained=False, **options)
        classifier = model.pretrained_cfg["classifier"]
    state = _renamed(network, classifier)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise SelfieError(
            f"{package} builds {network.backbone} otherwise than it was taught ({str(error).split(':')[0]}): "
            "export it as ONNX."
        ) from None
    return Plain(package, constructor, state, model.eval())


def _options(name: str, image_size: int) -> dict[str, Any]:
    """Return what timm has to be told: transformers are made for one size of photos."""
    fixed = timm.get_pretrained_cfg(name) and timm.get_pretrained_cfg(name).fixed_input_size
    return {"num_classes": len(CLASSES)} | ({"img_size": image_size} if fixed else {})


def _renamed(network: SelfieNetwork, classifier: str) -> dict[str, torch.Tensor]:
    """Return weights by the names of the package: the body's as they are, the head as its classifier."""
    ours = {key: value.detach().cpu().contiguous() for key, value in network.state_dict().items()}
    body = {key.removeprefix("body."): value for key, value in ours.items() if key.startswith("body.")}
    head = {f"{classifier}.{key}": ours[f"head.{key}"] for key in ("weight", "bias")}
    return body | head


@torch.inference_mode()
def rate_plain(plain: Plain, network: SelfieNetwork, pixels: np.ndarray) -> np.ndarray:
    """Rate photos, uint8 (N, S, S, 3), as a user of the package would; returns P(good), float64 (N,)."""
    mean, std = network.mean.cpu(), network.std.cpu()
    scores = np.empty(len(pixels))
    for rows in cut(np.arange(len(pixels)), AT_ONCE):
        photos = torch.from_numpy(pixels[rows]).permute(0, 3, 1, 2).float() / 255
        scores[rows] = plain.model((photos - mean) / std).softmax(1)[:, 1].numpy()
    return scores
