"""Say which parts of a photo the score hangs on, by two methods of captum; and what a random network says."""

from collections.abc import Callable

import numpy as np
import torch
from captum.attr import IntegratedGradients, LayerAttribution, LayerGradCam
from scipy.ndimage import gaussian_filter
from torch import nn

from selfie_utils.core.progress import tqdm
from selfie_utils.model.activations import AT_ONCE, activations, log_odds, stages_of, still
from selfie_utils.model.network import SelfieNetwork, build_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer

OTHER = (
    10_007  # added to the seed of random weights: a network may have started from those of the seed itself
)
FINEST = 7  # places a side that Grad-CAM's grid has at least, where the network has such a stage
SOFTNESS = 1 / 32  # of the photo's side, by which pixels are blurred: single ones say nothing
STEPS = 5  # at which the integral is evaluated, by Gauss and Legendre
INTEGRATED, GRAD_CAM = "integrated gradients", "Grad-CAM"


class LogOdds(nn.Module):
    """The log-odds of good, (N,), of photos (N, 3, S, S), 0..255: what is explained."""

    def __init__(self, network: SelfieNetwork):
        super().__init__()
        self.network = network

    def forward(self, photos: torch.Tensor) -> torch.Tensor:
        """Return the log-odds of each photo."""
        return log_odds(self.network, photos)


def integrated_gradients(
    network: SelfieNetwork, photos: torch.Tensor, baseline: torch.Tensor, steps: int = STEPS
) -> np.ndarray:
    """Return by how much each pixel raises the log-odds of good over a baseline's, float32 (N, S, S).

    `photos` are (N, 3, S, S), 0..255; `baseline` is (1, 3, S, S). The sum over a photo is the difference of
    the two log-odds, but for the `steps` of the integral. Source: Sundararajan, Taly and Yan, "Axiomatic
    attribution for deep networks", 2017; captum.
    """
    explain = IntegratedGradients(LogOdds(network))

    def attribute(part: torch.Tensor) -> torch.Tensor:
        given = part.float(), baseline.float().expand(len(part), -1, -1, -1)
        return explain.attribute(*given, n_steps=steps, internal_batch_size=4 * AT_ONCE).sum(1)

    return _in_parts(attribute, photos, f"{INTEGRATED}")


def grad_cam(network: SelfieNetwork, photos: torch.Tensor, layer: nn.Module) -> np.ndarray:
    """Return where a layer's channels raise the log-odds of good, and where they lower it: float32 (N, S, S).

    The layer's activations, weighted by their mean gradients, as coarse as the layer's grid; what is negative
    is kept, for it speaks against. Source: Selvaraju et al., "Grad-CAM", 2017; captum.
    """
    explain = LayerGradCam(LogOdds(network), layer)
    side = network.image_size

    def attribute(part: torch.Tensor) -> torch.Tensor:
        coarse = explain.attribute(part.float())  # (N, 1, H, W)
        return LayerAttribution.interpolate(coarse, (side, side), "bilinear")[:, 0]

    return _in_parts(attribute, photos, GRAD_CAM)


def _in_parts(
    attribute: Callable[[torch.Tensor], torch.Tensor], photos: torch.Tensor, title: str
) -> np.ndarray:
    """Explain a few photos at a time."""
    found = []
    one = len(photos) == 1
    with tqdm(total=len(photos), desc=title, mininterval=2, unit="photo", disable=one) as progress:
        for part in photos.split(AT_ONCE):
            found.append(attribute(part).detach().float().cpu().numpy())
            progress.update(len(part))
    return np.concatenate(found)


def saliency_maps(
    network: SelfieNetwork, photos: torch.Tensor, baseline: torch.Tensor, steps: int = STEPS
) -> dict[str, np.ndarray]:
    """Return maps of the log-odds, float32 (N, S, S), by method: what raises them is positive.

    Integrated gradients are blurred a little. A backbone without stages of convolutions has no Grad-CAM.
    """
    sharp = integrated_gradients(network, photos, baseline, steps)
    soft = network.image_size * SOFTNESS
    maps = {INTEGRATED: np.stack([gaussian_filter(one, soft) for one in sharp])}
    layer = cam_layer(network)
    return maps if layer is None else maps | {GRAD_CAM: grad_cam(network, photos, layer)}


class Explainer:
    """Says of one photo after the other what its score hangs on; what that needs is found out once.

    By Grad-CAM, which the game of pointing trusts more, or by integrated gradients where a backbone keeps no
    grid. `method` names it.
    """

    def __init__(self, network: SelfieNetwork):
        self.network = still(network)
        self._layer = cam_layer(self.network)
        self.method = INTEGRATED if self._layer is None else GRAD_CAM

    def explain(self, pixels: np.ndarray) -> np.ndarray:
        """Return the map of a photo, uint8 (S, S, 3): float32 (S, S), positive where the score is raised."""
        photo = torch.from_numpy(np.array(pixels)).permute(2, 0, 1)[None].to(self.network.device)
        if self._layer is not None:
            return grad_cam(self.network, photo, self._layer)[0]
        sharp = integrated_gradients(self.network, photo, plain(photo))[0]
        return gaussian_filter(sharp, self.network.image_size * SOFTNESS)


def cam_layer(network: SelfieNetwork) -> nn.Module | None:
    """Return the last layer of the deepest stage whose grid is not too coarse; None without stages."""
    stages = stages_of(network)
    if not stages:
        return None
    side = network.image_size
    with torch.no_grad():
        seen = activations(network, torch.zeros(1, 3, side, side, device=network.device), stages)
    fine = [name for name, maps in seen.items() if min(maps.shape[2:]) >= FINEST]
    return stages[fine[-1] if fine else next(iter(stages))]


def plain(photos: torch.Tensor) -> torch.Tensor:
    """Return a photo of nothing but the mean colour of photos (N, 3, S, S): float32 (1, 3, S, S)."""
    return photos.float().mean((0, 2, 3), keepdim=True).expand(1, -1, *photos.shape[2:])


def rater(network: SelfieNetwork) -> Callable[[np.ndarray], np.ndarray]:
    """Return a function from pictures, uint8 (N, S, S, 3), to their scores, float64 (N,)."""
    return lambda pictures: Scorer(network, str(network.device)).rate(pictures).score


def randomised(network: SelfieNetwork, seed: int) -> SelfieNetwork:
    """Return the same network with random weights, which has seen no selfie and no photo at all.

    A method whose maps stay the same shows the photo, not what the network learned. Source: Adebayo et al.,
    "Sanity checks for saliency maps", 2018.
    """
    recipe = Recipe(network.backbone, "random", network.image_size, seed=seed + OTHER)
    fresh = build_network(recipe)
    fresh.mean, fresh.std = network.mean.cpu(), network.std.cpu()
    return still(fresh.to(network.device))
