"""Look inside a network: its stages by name, what each makes of a photo, and what excites a channel most."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.model.batches import batches, open_photos
from selfie_utils.model.network import SelfieNetwork
from selfie_utils.photos.images import Images

LEAST_SEEN = 8  # px; a smaller patch is a few coloured squares, which tell a viewer nothing
AT_ONCE = 16  # photos on their way through the network, forwards and backwards
NO_STAGES = (
    "This backbone has no stages of convolutions, whose channels keep the places of a photo (it may be a "
    "transformer): there are no channels to look at."
)


class Channel(NamedTuple):
    """One channel of a stage."""

    stage: str
    number: int  # from 0

    def __str__(self) -> str:
        return f"{self.stage}:{self.number}"


class Patch(NamedTuple):
    """Where a channel is excited most in a photo, and by how much."""

    photo: int  # position among the photos that were looked at
    box: tuple[int, int, int, int]  # left, top, right, bottom, px: what that place sees of the photo
    place: tuple[int, int]  # row and column in the stage's grid
    value: float


def still(network: SelfieNetwork) -> SelfieNetwork:
    """Return a copy that can be looked into: it learns nothing, in float32, and overwrites no tensor.

    Layers that work in place would change what a hook has just seen.
    """
    seen = copy.deepcopy(network).eval().requires_grad_(False)
    seen.precision = "float32"
    for layer in seen.modules():
        if getattr(layer, "inplace", False):
            setattr(layer, "inplace", False)  # noqa: B010 -- not of all layers, as mypy knows
    return seen


def read_photos(network: SelfieNetwork, images: Images, names: Sequence[str]) -> torch.Tensor:
    """Return photos as the network gets them, uint8 (N, 3, S, S) on its device; SelfieError without any."""
    if not len(names):
        raise SelfieError("There is no photo to look at: score some test posts first.")
    photos, rows = open_photos(images, list(names), network.image_size), [np.arange(len(names))]
    return next(iter(batches(photos, rows, network.device)))


def stages_of(network: SelfieNetwork) -> dict[str, nn.Module]:
    """Return the last layer of each stage of convolutions by name: "stage 1", the first, and so on.

    A stage ends where the backbone's own ends: an EfficientNet's stem, its groups of blocks and its last
    convolution; a VGG's layers before each pooling; of others what timm names. Empty where a backbone has
    none (a transformer, whose layers are no grid of channels). Where a ReLU6 comes last, a stage ends before
    it: cut off at 6, one place could not be told from the next.
    """
    found = [(layer, channels) for layer, channels in _candidates(network.body) if layer is not None]
    if not found:
        return {}
    with torch.no_grad(), _kept([layer for layer, _ in found]) as kept:
        size, device = network.image_size, network.device
        network.body(torch.zeros(1, 3, size, size, device=device))
    layers = [
        layer
        for layer, channels in found
        if kept[layer].ndim == 4 and channels in (None, kept[layer].shape[1])
    ]
    return {f"stage {i}": layer for i, layer in enumerate(layers, 1)}


def _candidates(body: Any) -> Iterator[tuple[nn.Module | None, int | None]]:
    """Yield where stages may end, each with its number of channels where that is told."""
    if hasattr(body, "conv_stem") and hasattr(body, "blocks"):  # an EfficientNet, or one of its kin
        last = getattr(body, "bn2", None)
        yield from ((layer, None) for layer in (_before_activation(body.bn1), *body.blocks))
        yield _before_activation(last), None
    elif isinstance(getattr(body, "features", None), nn.Sequential):  # a VGG
        pairs = pairwise(body.features)
        yield from ((before, None) for before, layer in pairs if isinstance(layer, nn.MaxPool2d))
    else:
        known = dict(body.named_modules())
        yield from ((known.get(told["module"]), told["num_chs"]) for told in _told_by_timm(body))


def _before_activation(norm: Any) -> nn.Module | None:
    """Return what timm's batch norm calls between normalising and its activation, else the layer itself."""
    return norm.drop if hasattr(norm, "act") and hasattr(norm, "drop") else norm


def _told_by_timm(body: nn.Module) -> list[dict]:
    """Return what timm tells of a model's stages; nothing of a model that is not its own."""
    told = getattr(body, "feature_info", None) or []
    return told if isinstance(told, list) else list(told.info)


@contextmanager
def _kept(layers: Sequence[nn.Module]) -> Iterator[dict[nn.Module, torch.Tensor]]:
    """Keep what layers return while the network is called within this block."""
    kept: dict[nn.Module, torch.Tensor] = {}
    hooks = [layer.register_forward_hook(lambda layer, _, out: kept.update({layer: out})) for layer in layers]
    try:
        yield kept
    finally:
        for hook in hooks:
            hook.remove()


def activations(
    network: SelfieNetwork, photos: torch.Tensor, stages: Mapping[str, nn.Module]
) -> dict[str, torch.Tensor]:
    """Return what each stage makes of photos (N, 3, S, S), 0..255: float32 (N, C, H, W), by stage."""
    with _kept(list(stages.values())) as kept:
        network(photos)
    return {name: kept[layer] for name, layer in stages.items()}


def describe_stages(network: SelfieNetwork, stages: Mapping[str, nn.Module]) -> pd.DataFrame:
    """Return channels, grid, and what the middle place sees of a photo in px: a row a stage."""
    rows = {}
    for name, maps in _of_no_photo(network, stages).items():
        _, channels, height, width = maps.shape
        seen = _middle_sees(network, stages[name], maps)
        rows[name] = {"channels": channels, "grid": f"{height} x {width}"}
        rows[name]["sees of a photo (px)"] = f"{seen[0]} x {seen[1]}"
    return pd.DataFrame(rows).T.rename_axis("stage")


def _of_no_photo(network: SelfieNetwork, stages: Mapping[str, nn.Module]) -> dict[str, torch.Tensor]:
    """Return what each stage makes of a black photo, for its shape."""
    size = network.image_size
    with torch.no_grad():
        return activations(network, torch.zeros(1, 3, size, size, device=network.device), stages)


def _middle_sees(network: SelfieNetwork, layer: nn.Module, maps: torch.Tensor) -> tuple[int, int]:
    """Return width and height in px of what the middle place of a layer's `maps` (N, C, H, W) sees."""
    height, width = maps.shape[2:]
    left, top, right, bottom = receptive_boxes(network, layer, [(height // 2, width // 2)])[0]
    return right - left, bottom - top


def choose_stages(network: SelfieNetwork, stages: Mapping[str, nn.Module], count: int) -> list[str]:
    """Return `count` stages, evenly between the first that sees 8 px of a photo and the last.

    All of these where there are fewer, and the last one where none sees as much.
    """
    if count < 1:
        raise SelfieError(f"{count} stages were asked for, expected 1 or more.")
    shown = _of_no_photo(network, stages).items()
    wide = [name for name, maps in shown if min(_middle_sees(network, stages[name], maps)) >= LEAST_SEEN]
    wide = wide or list(stages)[-1:]
    places = np.linspace(0, len(wide) - 1, min(count, len(wide))).round().astype(int)
    return [wide[place] for place in places]


def read_channels(
    told: Sequence[str], network: SelfieNetwork, stages: Mapping[str, nn.Module]
) -> list[Channel]:
    """Read channels from texts such as "stage 4:17"; SelfieError for a stage or a channel there is not."""
    channels = {name: maps.shape[1] for name, maps in _of_no_photo(network, stages).items()}
    return [_read_channel(text, channels) for text in told]


def _read_channel(text: str, channels: Mapping[str, int]) -> Channel:
    stage, _, number = str(text).rpartition(":")
    if stage not in channels:
        raise SelfieError(f'There is no channel {text!r}: expected one like "{next(iter(channels))}:0"; '
                          f"the stages are {', '.join(channels)}.")  # fmt: skip
    if not number.strip().isdecimal() or int(number) >= channels[stage]:
        raise SelfieError(
            f"{stage} has no channel {number.strip()!r}: its channels are 0 to {channels[stage] - 1}."
        )
    return Channel(stage, int(number))


def log_odds(network: SelfieNetwork, photos: torch.Tensor) -> torch.Tensor:
    """Return the log-odds of good, float32 (N,), through which gradients flow; photos as in `activations`."""
    logits = network(photos)[0]
    return logits[:, 1] - logits[:, 0]


def pulls(
    network: SelfieNetwork, photos: torch.Tensor, stages: Mapping[str, nn.Module]
) -> dict[str, np.ndarray]:
    """Return how far each channel pulls the score of each photo, float64 (N, C), by stage.

    That is its activations times the gradients of the log-odds, summed over the places: to first order, what
    the score would lose if the channel fell silent.
    """
    found: dict[str, list[np.ndarray]] = {name: [] for name in stages}
    for part in photos.split(AT_ONCE):
        with torch.enable_grad(), _kept(list(stages.values())) as kept:
            odds = log_odds(network, part.float().clone().requires_grad_())
            maps = [kept[layer] for layer in stages.values()]
            gradients = torch.autograd.grad(odds.sum(), maps)
        for name, seen, gradient in zip(stages, maps, gradients, strict=True):
            found[name].append((seen * gradient).sum((2, 3)).detach().double().cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}


def strongest_pulls(pulled: Mapping[str, np.ndarray], chosen: Sequence[str], count: int) -> list[Channel]:
    """Return the `count` channels of each chosen stage that pull hardest on average, up or down."""
    if count < 1:
        raise SelfieError(f"{count} channels a stage were asked for, expected 1 or more.")
    order = {stage: np.argsort(-abs(pulled[stage]).mean(0), kind="stable") for stage in chosen}
    return [Channel(stage, int(number)) for stage in chosen for number in order[stage][:count]]


def effects_in_words(pulled: Mapping[str, np.ndarray], channels: Sequence[Channel]) -> dict[Channel, str]:
    """Say of each channel what it does to the score, from `pulls`: "stage 4:17, raises the score by 0.12"."""
    means = {channel: pulled[channel.stage][:, channel.number].mean() for channel in channels}
    return {
        channel: f"{channel}, {'raises' if mean > 0 else 'lowers'} the log-odds by {abs(mean):.2f} on average"
        for channel, mean in means.items()
    }


def film(
    network: SelfieNetwork, photo: torch.Tensor, stages: Mapping[str, nn.Module], count: int
) -> dict[str, np.ndarray]:
    """Return the `count` strongest channels of each stage for one photo (3, S, S), 0..255, strongest first.

    Strongest is the largest standard deviation, over the places, of activations that are not negative: a
    channel that answers to every place alike shows nothing. float32 (K, H, W), by stage.
    """
    if count < 1:
        raise SelfieError(f"{count} channels a stage were asked for, expected 1 or more.")
    with torch.no_grad():
        seen = activations(network, photo[None], stages)
    frames = {}
    for name, (maps,) in seen.items():
        strength = maps.clamp(min=0).flatten(1).std(1, correction=0)
        order = strength.argsort(descending=True, stable=True)[:count]
        frames[name] = maps[order].float().cpu().numpy()
    return frames


def as_pictures(photos: torch.Tensor) -> np.ndarray:
    """Return photos, uint8 (N, 3, S, S) on any device, as pictures (N, S, S, 3)."""
    return photos.permute(0, 2, 3, 1).cpu().numpy()


def first_filters(network: SelfieNetwork) -> np.ndarray:
    """Return the filters of the first convolution that sees colours, float32 (C, K, K, 3), in 0..1.

    Each is stretched over its own range with 0 as middle grey, so that colours show what it looks for.
    """
    layers = (m for m in network.body.modules() if isinstance(m, nn.Conv2d) and m.in_channels == 3)
    first = next(layers, None)
    if first is None:
        raise SelfieError(
            f"{network.backbone} has no convolution that sees colours: it has no filters to show."
        )
    weights = first.weight.detach().float().cpu().permute(0, 2, 3, 1).numpy()
    return 0.5 + weights / (2 * abs(weights).max((1, 2, 3), keepdims=True)).clip(1e-12)


def top_patches(
    network: SelfieNetwork,
    photos: torch.Tensor,
    stages: Mapping[str, nn.Module],
    channels: Sequence[Channel],
    count: int = 9,
) -> dict[Channel, list[Patch]]:
    """Find the `count` places that excite each channel most, at most one a photo, the most exciting first.

    `photos` are (N, 3, S, S), 0..255. Source of the idea: Zeiler and Fergus, "Visualizing and understanding
    convolutional networks", 2014.
    """
    if not len(photos):
        raise SelfieError("There is no photo to look at: score some test posts first.")
    wanted = {name: layer for name, layer in stages.items() if name in {c.stage for c in channels}}
    best: dict[Channel, list] = {channel: [] for channel in channels}
    with tqdm(total=len(photos), desc="looking at photos", mininterval=2, unit="photo") as progress:
        for part in photos.split(AT_ONCE):
            with torch.no_grad():
                seen = activations(network, part, wanted)
            for channel in channels:
                best[channel].append(_peaks(seen[channel.stage][:, channel.number]))
            progress.update(len(part))
    return {
        channel: _as_patches(network, stages[channel.stage], np.concatenate(found), count)
        for channel, found in best.items()
    }


def _peaks(maps: torch.Tensor) -> np.ndarray:
    """Return the highest place of each map (N, H, W): value, row and column, float64 (N, 3)."""
    values, places = maps.flatten(1).max(1)
    width = maps.shape[2]
    return torch.stack([values.double(), places // width, places % width], 1).cpu().numpy()


def _as_patches(network: SelfieNetwork, layer: nn.Module, peaks: np.ndarray, count: int) -> list[Patch]:
    order = np.argsort(-peaks[:, 0], kind="stable")[:count]
    places = [(int(row), int(column)) for _, row, column in peaks[order]]
    boxes = receptive_boxes(network, layer, places)
    return [
        Patch(int(photo), box, place, float(peaks[photo, 0]))
        for photo, box, place in zip(order, boxes, places, strict=True)
    ]


def receptive_boxes(
    network: SelfieNetwork, layer: nn.Module, places: Sequence[tuple[int, int]]
) -> list[tuple[int, int, int, int]]:
    """Return what places (row, column) of a layer's grid see of a photo: left, top, right, bottom, px.

    Exact, whatever the layers: a copy of the network whose weights are all positive and whose layers are
    linear lets nothing cancel, so that its gradient is above 0 just where a place sees the photo (in float64,
    whose convolutions leave exact zeros). The photo's edges cut a box off.
    """
    body = _all_seeing(network.body)
    name, known = (
        next(n for n, own in network.body.named_modules() if own is layer),
        dict(body.named_modules()),
    )
    while name not in known:  # a part of a layer that was replaced
        name = name.rpartition(".")[0]
    seeing = known[name]
    size = network.image_size
    boxes: dict[tuple[int, int], tuple[int, int, int, int]] = {}
    distinct = sorted(set(places))
    for part in (distinct[i : i + AT_ONCE] for i in range(0, len(distinct), AT_ONCE)):
        photos = torch.ones(len(part), 3, size, size, dtype=torch.float64, requires_grad=True)
        maps = _until(body, seeing, photos)
        looked = torch.stack([maps[i, :, row, column].sum() for i, (row, column) in enumerate(part)]).sum()
        (support,) = torch.autograd.grad(looked, photos)
        boxes |= dict(zip(part, map(_box_of, (support.sum(1) > 0).numpy()), strict=True))
    return [boxes[place] for place in places]


def _box_of(seen: np.ndarray) -> tuple[int, int, int, int]:
    """Return the smallest box around what is seen, bool (S, S)."""
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


class _Reached(Exception):
    """A layer was reached; what comes after it need not be computed."""


def _until(body: nn.Module, layer: nn.Module, photos: torch.Tensor) -> torch.Tensor:
    """Return what a layer makes of photos that are normalised, without going on to the end."""

    def stop(_layer: nn.Module, _given: tuple, out: torch.Tensor) -> None:
        raise _Reached(out)

    hook = layer.register_forward_hook(stop)
    try:
        body(photos)
    except _Reached as reached:
        return reached.args[0]
    finally:
        hook.remove()
    raise SelfieError("The network returned before it came to this layer: choose another one.")


def run_until(network: SelfieNetwork, layer: nn.Module, photos: torch.Tensor) -> torch.Tensor:
    """Return what a layer makes of photos (N, 3, S, S), 0..255, without computing the layers after it."""
    return _until(network.body, layer, (photos.float() / 255 - network.mean) / network.std)


@lru_cache(maxsize=1)
def _all_seeing(body: nn.Module) -> nn.Module:
    """Copy a body with positive weights and linear layers; its own weights are not copied."""
    weights = {id(own): _positive(name, own) for name, own in body.named_parameters()}
    body = copy.deepcopy(body, weights).double().cpu().eval()
    for name, module in list(body.named_modules()):
        linear = _linear(module)
        if linear is not None and name:
            parent, _, child = name.rpartition(".")
            setattr(body.get_submodule(parent), child, linear)
    return body


def _positive(name: str, weights: nn.Parameter) -> nn.Parameter:
    """Return weights of one value, which take no memory: those of a mean, or none for a bias."""
    value = 1 / weights[0].numel() if weights.ndim > 1 else float(not name.endswith("bias"))
    same = torch.tensor(value, dtype=torch.float64).expand(weights.shape)
    return nn.Parameter(same, requires_grad=False)


def _linear(layer: nn.Module) -> nn.Module | None:
    """Return what stands in for a layer that is not linear or may cancel: same places, plain sums."""
    if isinstance(layer, nn.MaxPool2d):
        edges = layer.kernel_size, layer.stride, layer.padding, layer.ceil_mode
        return nn.AvgPool2d(*edges)
    norms = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)
    return nn.Identity() if isinstance(layer, norms) or _is_nonlinearity(layer) else None


def _is_nonlinearity(layer: nn.Module) -> bool:
    """Tell whether a layer is a ReLU or one of its kin, PyTorch's or timm's."""
    return type(layer).__module__ in ("torch.nn.modules.activation", "timm.layers.activations")


def cut_out(pictures: Sequence[np.ndarray], patches: Sequence[Patch]) -> list[np.ndarray]:
    """Cut each patch out of its picture (S, S, 3)."""
    boxes = [patch.box for patch in patches]
    return [p[top:bottom, left:right] for p, (left, top, right, bottom) in zip(pictures, boxes, strict=True)]


def patches_of(
    network: SelfieNetwork,
    stages: Mapping[str, nn.Module],
    channel: Channel,
    photos: torch.Tensor,
    patches: Sequence[Patch],
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Return a channel's patches, uint8 (h, w, 3), and what of each excites it, float32 (h, w, 3)."""
    pictures = as_pictures(photos[[patch.photo for patch in patches]])
    guided = list(guided_pictures(network, stages[channel.stage], channel.number, photos, patches))
    return cut_out(list(pictures), patches), cut_out(guided, patches)


def guided_pictures(
    network: SelfieNetwork, layer: nn.Module, number: int, photos: torch.Tensor, patches: Sequence[Patch]
) -> np.ndarray:
    """Return what in each patch's photo excites its place, float32 (N, S, S, 3): guided backpropagation.

    The gradient of one activation, in which every nonlinearity lets only positive parts through. Source:
    Springenberg et al., "Striving for simplicity: the all convolutional net", 2015; a cleaner cousin of the
    deconvolution that the article shows.
    """
    given = photos[[p.photo for p in patches]].float().clone().requires_grad_()
    with torch.enable_grad(), _only_positive(network):
        maps = run_until(network, layer, given)
        places = [maps[i, number, p.place[0], p.place[1]] for i, p in enumerate(patches)]
        (gradient,) = torch.autograd.grad(torch.stack(places).sum(), given)
    return gradient.permute(0, 2, 3, 1).float().cpu().numpy()


@contextmanager
def _only_positive(network: SelfieNetwork) -> Iterator[None]:
    """Let only positive gradients through the nonlinear layers within this block."""

    def keep(_layer: nn.Module, given: Any, _out: Any) -> Any:
        return tuple(g if g is None else g.clamp(min=0) for g in given)

    layers = [m for m in network.modules() if _is_nonlinearity(m)]
    hooks = [layer.register_full_backward_hook(keep) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()
