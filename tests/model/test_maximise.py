"""Pictures grown for a channel excite it more than photos do, and are no noise."""

import numpy as np
import pytest
import torch

from selfie_utils.core.errors import SelfieError
from selfie_utils.model import activations
from selfie_utils.model.activations import Channel
from selfie_utils.model.maximise import maximise, wishes
from selfie_utils.model.network import build_network
from selfie_utils.model.recipe import Recipe


@pytest.fixture(scope="module")
def network():
    """A network that knows ImageNet: its weights come with a package."""
    return activations.still(build_network(Recipe("efficientnet_lite0", image_size=64)))


@pytest.fixture(scope="module")
def grown(network):
    """What two channels in the middle of it would like to see."""
    stages = activations.stages_of(network)
    chosen = [Channel("stage 4", 3), Channel("stage 4", 21)]
    return chosen, stages, wishes(network, stages, chosen, 24, seed=0)


def excitement(network, layer, number, pictures: np.ndarray) -> np.ndarray:
    """Mean activations of a channel for pictures (N, P, P, 3), 0..1."""
    photos = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() * 255
    with torch.no_grad():
        return activations.run_until(network, layer, photos)[:, number].mean((1, 2)).numpy()


def test_a_grown_picture_excites_its_own_channel_more_than_noise_of_any_kind_does(network, grown):
    chosen, stages, pictures = grown
    rng = np.random.default_rng(0)
    fine = rng.random((20, 54, 54, 3), np.float32)
    coarse = fine[:, ::9, ::9].repeat(9, 1).repeat(9, 2)
    for channel, other in zip(chosen, chosen[::-1], strict=True):
        layer = stages[channel.stage]
        own = excitement(network, layer, channel.number, pictures[channel][None])
        rival = excitement(network, layer, channel.number, pictures[other][None])
        noise = excitement(network, layer, channel.number, np.concatenate([fine, coarse]))
        assert own > rival and own > noise.max()


def test_a_grown_picture_is_smooth_where_noise_is_not(grown):
    """The correlation of neighbouring pixels: 0 in noise, near 1 in photos."""
    for picture in grown[2].values():
        assert 0 <= picture.min() < picture.max() <= 1 and picture.std() > 0.03
        across = np.corrcoef(picture[:, 1:].ravel(), picture[:, :-1].ravel())[0, 1]
        assert across > 0.5


def test_the_same_seed_grows_the_same_picture_and_another_seed_another(network):
    layer = activations.stages_of(network)["stage 2"]
    one, again, other = (maximise(network, layer, [5], 3, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)


def test_no_step_is_told_in_a_sentence(network):
    with pytest.raises(SelfieError, match="0 steps"):
        maximise(network, network.body.conv_stem, [0], 0, seed=0)
