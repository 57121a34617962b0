"""Looking inside a network sees what its layers return, and just that part of a photo that they see."""

from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.model import activations
from selfie_utils.model.activations import Channel
from selfie_utils.model.network import SelfieNetwork, build_network
from selfie_utils.model.recipe import Recipe

FAMILIES = {"efficientnet_lite0": 64, "vgg16": 32, "resnet18": 64, "convnext_atto": 64}
# Kernel, stride and padding of a stack; what one place of its last layer sees is 37 px, see below.
STACK = [(3, 2, 1), (3, 1, 1), (5, 2, 2), (2, 2, 0), (3, 1, 1)]


def of_layers(*layers: nn.Module, size: int, told=()) -> SelfieNetwork:
    """A network of these layers, whose first convolution sees colours; `told` as timm tells of stages."""
    torch.manual_seed(0)
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    body.feature_info = list(told)
    return SelfieNetwork(body, Recipe("toy", image_size=size))


def photos_of(network: SelfieNetwork, count: int, seed: int = 0) -> torch.Tensor:
    draw, side = torch.Generator().manual_seed(seed), network.image_size
    return torch.randint(0, 256, (count, 3, side, side), generator=draw).float()


@cache
def looked_into(backbone: str) -> SelfieNetwork:
    """A network of random weights, ready to be looked into."""
    network = activations.still(build_network(Recipe(backbone, "random", FAMILIES[backbone])))
    for name, weights in network.named_parameters():
        if weights.ndim == 1 and not name.endswith("bias"):  # some start at nothing, and hide their branch
            weights.fill_(1.0)
    return network


@pytest.fixture(scope="module", params=FAMILIES)
def family(request):
    """A network of each family and its stages."""
    network = looked_into(request.param)
    return network, activations.stages_of(network)


@pytest.fixture(scope="module")
def stack():
    """Convolutions and poolings whose receptive field is known, with ReLUs that would hide some of it."""
    layers, channels = [], 3
    for i, (kernel, stride, padding) in enumerate(STACK):
        pools = i == 3
        layers.append(
            nn.MaxPool2d(kernel, stride, padding)
            if pools
            else nn.Conv2d(channels, 4, kernel, stride, padding)
        )
        layers.append(nn.ReLU(inplace=True))
        channels = 4
    return of_layers(*layers, size=96)


def test_stages_are_found_in_every_family(family):
    network, stages = family
    counts = {"efficientnet_lite0": 9, "vgg16": 5, "resnet18": 5, "convnext_atto": 4}
    assert list(stages) == [f"stage {i}" for i in range(1, counts[network.backbone] + 1)]
    sides = [
        maps.shape[2] for maps in activations.activations(network, photos_of(network, 1), stages).values()
    ]
    assert sides == sorted(sides, reverse=True) and sides[0] >= network.image_size // 4  # ever coarser


def test_a_transformer_has_no_stages_of_convolutions():
    network = build_network(Recipe("vit_tiny_patch16_224", "random", 64))
    assert activations.stages_of(network) == {}


def test_hooks_return_what_the_layers_called_by_hand_return():
    network = looked_into("vgg16")
    photos = photos_of(network, 2)
    seen = activations.activations(network, photos, activations.stages_of(network))
    x = (photos / 255 - network.mean) / network.std
    by_hand = []
    for layer in network.body.features:
        if isinstance(layer, nn.MaxPool2d):
            by_hand.append(x)
        x = layer(x)
    assert len(by_hand) == len(seen) == 5
    for mine, theirs in zip(by_hand, seen.values(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_copy_to_look_into_overwrites_nothing_and_leaves_the_network_as_it_was():
    network = build_network(Recipe("resnet18", "random", 32)).train()
    looked = activations.still(network)
    assert network.training and any(getattr(m, "inplace", False) for m in network.modules())
    assert not looked.training and not any(getattr(m, "inplace", False) for m in looked.modules())
    photos = photos_of(network, 2)
    assert torch.equal(looked(photos)[0], network.eval()(photos)[0])


def test_what_a_place_sees_is_the_published_formula(stack):
    """Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", 2019.

    Size: 1 + sum of (k - 1) times the strides before. Start: place times all strides, less the paddings,
    each times the strides before.
    """
    before, size, start = 1, 1, 0
    for kernel, stride, padding in STACK:
        size += (kernel - 1) * before
        start -= padding * before
        before *= stride
    assert (size, before) == (35, 8)
    places = [(5, 6), (6, 5), (6, 6), (5, 5)]
    boxes = activations.receptive_boxes(stack, stack.body[len(STACK) * 2 - 1], places)
    for (row, column), box in zip(places, boxes, strict=True):
        left, top = start + before * column, start + before * row
        assert box == (left, top, left + size, top + size)


def test_the_edges_of_the_photo_cut_off_what_a_corner_sees(stack):
    last = stack.body[len(STACK) * 2 - 1]
    assert activations.receptive_boxes(stack, last, [(0, 0)]) == [(0, 0, 20, 20)]  # from -15 to 20
    side = 96 // 8 - 1
    assert activations.receptive_boxes(stack, last, [(side, side)]) == [(73, 73, 96, 96)]


def test_no_pixel_outside_the_box_moves_an_activation_and_those_at_its_edges_do(family):
    network, stages = family
    layer = stages["stage 2"]
    row = column = 3
    left, top, right, bottom = activations.receptive_boxes(network, layer, [(row, column)])[0]
    given = photos_of(network, 1).requires_grad_()
    maps = activations.run_until(network, layer, given)
    (gradient,) = torch.autograd.grad(maps[0, :, row, column].square().sum(), given)
    support = (abs(gradient[0]) > 1e-7 * abs(gradient).max()).any(0).numpy()
    inside = np.zeros_like(support)
    inside[top:bottom, left:right] = True
    assert not (support & ~inside).any()
    assert support[top].any() and support[bottom - 1].any()
    assert support[:, left].any() and support[:, right - 1].any()


def test_patches_are_the_places_of_the_highest_activations_one_a_photo():
    """A convolution of one px that sees red: the reddest pixel of each photo is its place."""
    network = of_layers(nn.Conv2d(3, 2, 1), size=32, told=[{"module": "0", "num_chs": 2}])
    with torch.no_grad():
        network.body[0].weight.zero_()[1, 0] = 1.0  # of channel 1
        network.body[0].bias.zero_()
    photos = torch.full((37, 3, 32, 32), 50.0)
    spots = {31: (250, 4, 9), 3: (200, 30, 2), 20: (240, 0, 31)}
    for photo, (red, row, column) in spots.items():
        photos[photo, 0, row, column] = red
    channel = Channel("stage 1", 1)
    stages = activations.stages_of(network)
    found = activations.top_patches(network, photos, stages, [channel], 3)[channel]
    assert [(p.photo, p.place) for p in found] == [(31, (4, 9)), (20, (0, 31)), (3, (30, 2))]
    assert [p.box for p in found] == [(9, 4, 10, 5), (31, 0, 32, 1), (2, 30, 3, 31)]
    assert found[0].value == pytest.approx((250 / 255 - 0.485) / 0.229, rel=1e-5)


def test_the_pull_of_a_channel_is_what_the_score_loses_without_it():
    """After the last stage this network is linear: log-odds are the channels' means times their weights."""
    network = of_layers(nn.Conv2d(3, 5, 3), nn.ReLU(), size=32, told=[{"module": "1", "num_chs": 5}])
    network, photos = activations.still(network), photos_of(network, 19)
    stages = activations.stages_of(network)
    pulled = activations.pulls(network, photos, stages)["stage 1"]
    with torch.no_grad():
        maps = activations.activations(network, photos, stages)["stage 1"]
        weights = network.head.weight[1] - network.head.weight[0]
        wanted = (maps.mean((2, 3)) * weights).numpy()
    assert np.allclose(pulled, wanted, atol=1e-5)
    strongest = activations.strongest_pulls({"stage 1": pulled}, ["stage 1"], 2)
    assert [c.number for c in strongest] == sorted(range(5), key=lambda c: -abs(wanted[:, c].mean()))[:2]


def test_a_film_takes_the_channels_that_vary_most_from_place_to_place(family):
    network, stages = family
    (photo,) = photos_of(network, 1)
    frames = activations.film(network, photo, stages, 7)
    assert list(frames) == list(stages)
    for name, maps in activations.activations(network, photo[None], stages).items():
        spread = np.sort(maps[0].clamp(min=0).numpy().std((1, 2)))[::-1][:7]
        assert np.allclose(frames[name].clip(min=0).std((1, 2)), spread, atol=1e-6)


def test_filters_are_stretched_around_grey():
    network = of_layers(nn.Conv2d(3, 2, 3), size=32)
    with torch.no_grad():
        network.body[0].weight.zero_()
        network.body[0].weight[0, 2, 1, 0] = -0.25  # blue, second row, first column
        network.body[0].weight[0, 0, 0, 2] = 0.125
    filters = activations.first_filters(network)
    assert filters.shape == (2, 3, 3, 3) and (filters[1] == 0.5).all()
    assert (filters[0, 1, 0, 2], filters[0, 0, 2, 0], filters[0, 2, 2, 1]) == (0.0, 0.75, 0.5)


def test_guided_pictures_hold_what_excites_a_place_and_nothing_outside_what_it_sees(family):
    network, stages = family
    photos, name = photos_of(network, 5), next(iter(stages))
    channel = Channel(name, 3)
    found = activations.top_patches(network, photos, {name: stages[name]}, [channel], 4)[channel]
    pictures = activations.guided_pictures(network, stages[name], 3, photos, found)
    assert pictures.shape == (4, network.image_size, network.image_size, 3)
    for picture, patch in zip(pictures, found, strict=True):
        left, top, right, bottom = patch.box
        assert abs(picture[top:bottom, left:right]).sum() > 0
        picture[top:bottom, left:right] = 0
        assert not picture.any()


def test_guided_gradients_let_only_positive_parts_through():
    """y = relu(x) - relu(-x), so dy/dx = 1 everywhere; a path of negative gradient is not let through."""
    network = of_layers(nn.Conv2d(3, 2, 1, bias=False), nn.ReLU(), nn.Conv2d(2, 1, 1, bias=False), size=32)
    with torch.no_grad():
        network.body[0].weight.zero_()[:, 0] = torch.tensor([1.0, -1.0])[:, None, None]
        network.body[2].weight.copy_(torch.tensor([1.0, -1.0])[None, :, None, None])
    photos = torch.zeros(2, 3, 32, 32)
    photos[0] = 255.0  # above the mean, so that x is positive; the other is below
    patches = [activations.Patch(i, (0, 0, 1, 1), (2, 3), 0.0) for i in range(2)]
    pictures = activations.guided_pictures(network, network.body[2], 0, photos, patches)
    slope = 1 / 255 / 0.229
    assert pictures[0, 2, 3, 0] == pytest.approx(slope, rel=1e-5) and pictures[1, 2, 3, 0] == 0


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        ("stage 9:0", "no channel 'stage 9:0'"),
        ("stage 1:5", "no channel '5': its channels are 0 to 4"),
        ("stage 1:-1", "its channels are 0 to 4"),
        ("stage 1", 'expected one like "stage 1:0"'),
        ("", "the stages are stage 1"),
    ],
)
def test_a_channel_there_is_not_is_told_in_a_sentence(told, sentence):
    network = of_layers(nn.Conv2d(3, 5, 3), size=32, told=[{"module": "0", "num_chs": 5}])
    with pytest.raises(SelfieError, match=sentence.replace("(", "\\(")):
        activations.read_channels([told], network, activations.stages_of(network))
    good = activations.read_channels(["stage 1:4"], network, activations.stages_of(network))
    assert good == [Channel("stage 1", 4)]


def test_nothing_to_look_at_is_told_in_a_sentence():
    network = of_layers(nn.Conv2d(3, 5, 3), size=32, told=[{"module": "0", "num_chs": 5}])
    stages, one = activations.stages_of(network), [Channel("stage 1", 0)]
    with pytest.raises(SelfieError, match="no photo"):
        activations.top_patches(network, torch.zeros(0, 3, 32, 32), stages, one)
    with pytest.raises(SelfieError, match="0 channels"):
        activations.film(network, torch.zeros(3, 32, 32), stages, 0)
    with pytest.raises(SelfieError, match="0 stages"):
        activations.choose_stages(network, stages, 0)
    with pytest.raises(SelfieError, match="no filters"):
        activations.first_filters(of_layers(nn.AvgPool2d(4), size=32))


def of_convolutions(*kernels):
    told = [{"module": f"{i}", "num_chs": 2} for i in range(len(kernels))]
    layers = [nn.Conv2d(2 if i else 3, 2, kernel, padding=kernel // 2) for i, kernel in enumerate(kernels)]
    return of_layers(*layers, size=32, told=told)


# A stage of kernels 3, 5, 3 and 3 sees 3, 7, 9 and 11 px: the third is the first to see 8.
@pytest.mark.parametrize(("count", "chosen"), [(1, [3]), (2, [3, 7]), (3, [3, 5, 7]), (20, range(3, 8))])
def test_stages_are_chosen_evenly_between_the_first_that_sees_8_px_and_the_last(count, chosen):
    network = of_convolutions(3, 5, 3, 3, 3, 3, 3)
    stages = activations.stages_of(network)
    assert activations.choose_stages(network, stages, count) == [f"stage {i}" for i in chosen]


@pytest.mark.parametrize(("kernels", "chosen"), [((8, 1), [1, 2]), ((7, 1), [2]), ((3, 5), [2]), ((3,), [1])])
def test_8_px_are_enough_and_where_no_stage_sees_as_much_the_last_one_is_chosen(kernels, chosen):
    network = of_convolutions(*kernels)
    stages = activations.stages_of(network)
    assert activations.choose_stages(network, stages, 4) == [f"stage {i}" for i in chosen]
