"""What tests of the network share: a few photos with labels, and a run folder with their scores."""

import pandas as pd
import pytest
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
