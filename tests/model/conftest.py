"""What tests of the network share: a few photos with labels, and a run folder with their scores."""

import numpy as np
import pandas as pd
import pytest
import torch
from toy_posts import make_posts

from selfie_utils.core.run_folder import create_run
from selfie_utils.model.network import build_network, save_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scoring import score_posts


@pytest.fixture(scope="module")
def posts(tmp_path_factory):
    """29 noisy photos and their labels in mixed order, as from `make_posts`."""
    return make_posts(tmp_path_factory.mktemp("photos"))


@pytest.fixture(scope="module")
def scored(posts, tmp_path_factory):
    """A run folder with an untrained network, that network, and its scores of all 29 photos."""
    images, labels = posts
    run = create_run(tmp_path_factory.mktemp("scored") / "run")
    network = build_network(Recipe(image_size=32))
    save_network(run, network, {}, pd.DataFrame())
    return run, network, score_posts(run, network, images, labels, "cpu")


def _spread(network, photos: np.ndarray) -> np.ndarray:
    network.eval()
    pixels = torch.from_numpy(photos).permute(0, 3, 1, 2)
    with torch.inference_mode():
        _, fc7 = network(pixels)
        odds = fc7 @ (network.head.weight[1] - network.head.weight[0])
    network.head.weight.data /= odds.std().item()
    network.head.bias.data = torch.tensor([odds.mean().item() / odds.std().item(), 0.0])
    with torch.inference_mode():
        return network(pixels)[0].softmax(1)[:, 1].numpy()


@pytest.fixture(scope="session")
def spread():
    """A function of a network and photos, uint8 (N, S, S, 3): scales the network's last layer so that the
    photos' scores, which it returns, lie all over 0..1; an untaught network's may all be 0.
    """
    return _spread
