"""A network under the names of its backbone's own package scores what it scored."""

import numpy as np
import pytest
import timm
import torch

from selfie_utils.core.errors import SelfieError
from selfie_utils.model.network import build_network
from selfie_utils.model.plain import as_plain, rate_plain
from selfie_utils.model.recipe import Recipe


@pytest.mark.parametrize(
    ("backbone", "size"), [("efficientnet_lite0", 32), ("test_vit", 96), ("test_convnext", 64)]
)
def test_the_package_s_own_network_scores_the_same(backbone, size, spread):
    network = build_network(Recipe(backbone=backbone, weights="random", image_size=size))
    photos = np.random.default_rng(0).integers(0, 256, (17, size, size, 3), dtype=np.uint8)
    expected = spread(network, photos)
    assert np.ptp(expected) > 0.3
    plain = as_plain(network)
    assert rate_plain(plain, network, photos) == pytest.approx(expected, abs=1e-5)
    # The constructor is Python that anybody can run, and it takes the weights.
    model = eval(plain.constructor, {plain.package: timm})
    assert model.load_state_dict(plain.state).missing_keys == []


def test_a_network_that_the_package_builds_otherwise_is_refused():
    network = build_network(Recipe(image_size=32, weights="random"))
    network.body.conv_stem = torch.nn.Conv2d(3, 16, 3)
    with pytest.raises(SelfieError, match=r"timm builds efficientnet_lite0 otherwise.*ONNX"):
        as_plain(network)
