"""Saliency is what it claims to be: a linear network's weights, sums that add up, maps of what is learned."""

import numpy as np
import pytest
import torch
from torch import nn
from toy_posts import toy

from selfie_utils.analysis.faithfulness import likeness
from selfie_utils.model import activations, saliency
from selfie_utils.model.network import SelfieNetwork, build_network
from selfie_utils.model.recipe import Recipe

SIZE = 32
FAMILIES = ["efficientnet_lite0", "vgg16", "resnet18", "convnext_atto"]


class Linear(nn.Module):
    """Pixels as they are: fc7 is the photo."""

    def forward(self, photos):
        return photos.flatten(1)


@pytest.fixture
def linear():
    """A network whose log-odds are a weighted sum of pixels."""
    torch.manual_seed(0)
    return activations.still(SelfieNetwork(Linear(), Recipe("toy", image_size=SIZE)))


def photos_of(count: int, size: int = SIZE) -> torch.Tensor:
    """Photos, uint8, each with a pattern of its own."""
    draw = torch.Generator().manual_seed(3)
    coarse = torch.randint(0, 256, (count, 3, size // 8, size // 8), generator=draw).float()
    return nn.functional.interpolate(coarse, size=(size, size), mode="bilinear").round().to(torch.uint8)


def odds(network, photos):
    with torch.no_grad():
        return activations.log_odds(network, photos).numpy()


def test_integrated_gradients_of_a_linear_network_are_its_weights_times_the_difference(linear):
    photos = photos_of(19)
    baseline = saliency.plain(photos)
    weights = (linear.head.weight[1] - linear.head.weight[0]).view(1, 3, SIZE, SIZE) / linear.std / 255
    wanted = ((photos.float() - baseline) * weights).sum(1).numpy()
    found = saliency.integrated_gradients(linear, photos, baseline)
    assert found.shape == (19, SIZE, SIZE) and np.allclose(found, wanted, atol=1e-5)


def test_integrated_gradients_sum_to_the_difference_of_the_log_odds():
    network, photos = activations.still(toy().eval()), photos_of(17)
    baseline = saliency.plain(photos)
    found = saliency.integrated_gradients(network, photos, baseline, steps=64).sum((1, 2))
    wanted = odds(network, photos) - odds(network, baseline)
    assert abs(wanted).max() > 0.05 and np.allclose(found, wanted, atol=0.03 * abs(wanted).max())


def test_the_plain_photo_has_the_mean_colour_of_all(linear):
    photos = photos_of(5)
    plain = saliency.plain(photos)
    assert plain.shape == (1, 3, SIZE, SIZE) and (plain == plain[:, :, :1, :1]).all()
    assert np.allclose(plain[0, :, 0, 0], photos.numpy().mean((0, 2, 3)), atol=0.01)


def test_grad_cam_of_one_convolution_is_its_channels_weighted_by_their_mean_gradients():
    """After the convolution: the mean over places, then weights: a mean gradient is its weight / H W."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 4, 8, stride=8), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = activations.still(SelfieNetwork(body, Recipe("toy", image_size=SIZE)))
    photos = photos_of(17)
    with torch.no_grad():
        maps = body[0]((photos / 255 - network.mean) / network.std)  # (17, 4, 4, 4)
        coarse = torch.einsum("nchw,c->nhw", maps, network.head.weight[1] - network.head.weight[0]) / 16
        wanted = nn.functional.interpolate(coarse[:, None], size=(SIZE, SIZE), mode="bilinear")[:, 0]
    found = saliency.grad_cam(network, photos, network.body[0])
    assert np.allclose(found, wanted, atol=1e-5) and found.min() < 0 < found.max()


@pytest.mark.parametrize("backbone", FAMILIES)
def test_every_family_has_maps_by_both_methods(backbone):
    size = 32 if backbone == "vgg16" else 64
    network = activations.still(build_network(Recipe(backbone, "random", size, seed=1)))
    photos = photos_of(3, size)
    maps = saliency.saliency_maps(network, photos, saliency.plain(photos), steps=2)
    assert list(maps) == [saliency.INTEGRATED, saliency.GRAD_CAM]
    for found in maps.values():
        assert found.shape == (3, size, size) and np.ptp(found) > 0 and np.isfinite(found).all()


def test_maps_of_a_random_network_are_others():
    network = activations.still(build_network(Recipe("efficientnet_lite0", image_size=64)))
    photos = photos_of(5, 64)
    baseline = saliency.plain(photos)
    maps = saliency.saliency_maps(network, photos, baseline, steps=2)
    other = saliency.randomised(network, seed=2)
    again = saliency.saliency_maps(other, photos, baseline, steps=2)
    for name in maps:
        assert abs(likeness(maps[name], again[name]).mean()) < 0.5


def test_a_transformer_has_no_grad_cam_but_integrated_gradients():
    network = activations.still(build_network(Recipe("vit_tiny_patch16_224", "random", SIZE)))
    maps = saliency.saliency_maps(network, photos_of(2), saliency.plain(photos_of(2)), steps=2)
    assert list(maps) == [saliency.INTEGRATED]


def test_a_random_network_follows_its_seed_and_keeps_what_photos_are_normalised_by():
    network = build_network(Recipe("resnet18", "random", SIZE, seed=1))
    network.mean += 0.25
    one, again, other = (saliency.randomised(network, seed) for seed in (5, 5, 6))
    photos = photos_of(3)
    assert np.array_equal(odds(one, photos), odds(again, photos))
    assert not np.allclose(odds(one, photos), odds(other, photos))
    assert torch.equal(one.mean, network.mean)
    start = build_network(Recipe("resnet18", "random", SIZE, seed=5))  # what a training may have started from
    assert not np.allclose(odds(one, photos), odds(start.eval(), photos))


def test_a_rater_scores_as_the_network_does(linear):
    photos = photos_of(7)
    pictures = activations.as_pictures(photos)
    wanted = 1 / (1 + np.exp(-odds(linear, photos).astype(float)))
    assert np.allclose(saliency.rater(linear)(pictures), wanted, atol=1e-6)


@pytest.mark.parametrize(("size", "grid"), [(64, 8), (56, 7), (48, 12), (12, 6)])
def test_grad_cam_looks_at_the_deepest_stage_whose_grid_is_not_too_coarse(size, grid):
    """ResNet's stages have grids of a half, a quarter, an eighth and so on; 7 places a side are enough.

    Where not even the first has these (12 px), it is the first.
    """
    network = activations.still(build_network(Recipe("resnet18", "random", max(size, 32))))
    network.image_size = size
    layer = saliency.cam_layer(network)
    seen = activations.activations(network, torch.zeros(1, 3, size, size), {"it": layer})["it"]
    assert seen.shape[2:] == (grid, grid)
    explainer = saliency.Explainer(network)
    assert explainer.method == saliency.GRAD_CAM
    pixels = activations.as_pictures(photos_of(1, 64))[0, :size, :size]
    wanted = saliency.grad_cam(network, torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None], layer)[0]
    assert np.array_equal(explainer.explain(pixels), wanted)


@torch.no_grad()
def test_what_one_pixel_does_is_shown_as_a_soft_spot(linear):
    """All weights are the same, so only one pixel counts; of 32 px the spot's deviation is one px.

    A Gaussian bell falls to exp(-d^2 / 2) in the distance d.
    """
    linear.head.weight[:] = torch.tensor([[0.0], [1.0]])
    photo = np.zeros((SIZE, SIZE, 3), np.uint8)
    photo[16, 10] = 255
    with torch.enable_grad():
        explainer = saliency.Explainer(linear)
        spot = explainer.explain(photo)
        maps = saliency.saliency_maps(
            linear, torch.from_numpy(photo).permute(2, 0, 1)[None], torch.zeros(1, 3, 1, 1)
        )
    assert explainer.method == saliency.INTEGRATED
    for found in (spot, maps[saliency.INTEGRATED][0]):
        bell = found - found[0, 0]  # what the mean colour takes away is the same everywhere
        assert np.unravel_index(bell.argmax(), bell.shape) == (16, 10)
        for down, right in ((1, 0), (0, 1), (1, 1), (2, 0), (0, -2)):
            wanted = np.exp(-(down**2 + right**2) / 2)
            assert bell[16 + down, 10 + right] / bell[16, 10] == pytest.approx(wanted, abs=0.01)
