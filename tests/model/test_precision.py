"""Numbers are rounded to bfloat16 where the recipe asks for it or where it pays, and nowhere else."""

import numpy as np
import pandas as pd
import pytest
import torch
from toy_posts import pixels_of, toy

from selfie_utils.core.run_folder import create_run
from selfie_utils.model import network as networks
from selfie_utils.model.network import SelfieNetwork, build_network, fused, load_network, save_network
from selfie_utils.model.recipe import Recipe
from selfie_utils.model.scorer import Scorer
from selfie_utils.model.scoring import score_posts
from selfie_utils.model.training import fine_tune

PRECISIONS = ("auto", "float32", "bfloat16")
CPU = torch.device("cpu")
STEP = 2**-8  # by so much bfloat16 rounds at most, as a share of the number


@pytest.fixture
def photos(posts):
    return pixels_of(posts, posts[1]["image"])


@pytest.fixture(params=[False, True], ids=["without AMX", "with AMX"])
def amx(request, monkeypatch):
    monkeypatch.setattr(networks, "has_amx", lambda: request.param)
    return request.param


def rated(precision, pixels):
    """Log-odds of photos by the same network, whatever its precision."""
    return Scorer(build_network(Recipe(image_size=32, precision=precision)), "cpu").rate(pixels).log_odds


def in_float32(network, photos):
    """What a network says by plain arithmetic of its layers."""
    with torch.inference_mode():
        fc7 = network.body((photos.float() / 255 - network.mean) / network.std)
        return network.head(fc7), fc7


def test_scores_in_bfloat16_differ_by_little_and_are_not_rounded_to_each_other(posts, photos):
    pixels = photos.permute(0, 2, 3, 1).numpy()
    exact, rounded = rated("float32", pixels), rated("bfloat16", pixels)
    assert not np.array_equal(exact, rounded) and np.abs(exact - rounded).max() < 0.1 * np.ptp(exact)
    assert np.corrcoef(exact, rounded)[0, 1] > 0.99
    assert len(np.unique(rounded)) == len(photos)  # 8 bits of log-odds would be the same for some


def test_float32_is_exact_on_any_cpu(amx, photos):
    network = toy(precision="float32").eval()
    with torch.inference_mode():
        assert all(map(torch.equal, network(photos), in_float32(network, photos)))


def test_auto_is_float32_to_the_bit_without_amx_and_bfloat16_with_it(amx, photos):
    automatic, asked = (toy(precision=name).eval() for name in ("auto", "bfloat16"))
    with torch.inference_mode():
        found = automatic(photos)
        assert all(map(torch.equal, found, asked(photos) if amx else in_float32(automatic, photos)))
        assert all(part.dtype == torch.float32 for part in found)
        assert torch.allclose(found[1], in_float32(automatic, photos)[1], rtol=4 * STEP, atol=4 * STEP)


@pytest.mark.parametrize("learning", [True, False])
@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "vgg16", "vgg19_bn", "resnet18"])
def test_bfloat16_is_taken_where_it_pays(amx, backbone, learning):
    network = SelfieNetwork(toy().body, Recipe(backbone, image_size=32)).train(learning)
    pays = not learning or backbone.startswith("vgg")  # EfficientNet trains at 0.8 of the speed with it
    assert network.in_bfloat16(CPU) == (amx and pays)
    assert network.in_bfloat16(torch.device("cuda")) and not network.in_bfloat16(torch.device("mps"))
    for name in ("float32", "bfloat16"):
        said = SelfieNetwork(toy().body, Recipe(backbone, image_size=32, precision=name)).train(learning)
        assert [said.in_bfloat16(torch.device(d)) for d in ("cpu", "cuda", "mps")] == [name == "bfloat16"] * 3


def test_a_network_that_computes_in_bfloat16_is_not_fused(amx):
    kept = {name: fused(network) is network for name in PRECISIONS for network in [toy(precision=name)]}
    assert kept == {"auto": amx, "float32": False, "bfloat16": True}


def test_a_training_in_bfloat16_ends_close_to_one_in_float32(posts):
    recipe = Recipe(image_size=32, epochs=1, batch_size=6, learning_rate=1e-3, temperature=False)
    found = {name: fine_tune(*posts, recipe.but({"precision": name}), "cpu") for name in PRECISIONS[1:]}
    (exact, history), (rounded, other) = found.values()
    measures = ["train_loss", "validation_loss"]
    assert np.isfinite(other[measures]).all(axis=None)
    assert np.allclose(history[measures], other[measures], atol=0.1) and not history.equals(other)
    assert all(weight.dtype == torch.float32 for weight in rounded.parameters())
    assert not torch.equal(exact.head.weight, rounded.head.weight)


@pytest.mark.parametrize("precision", PRECISIONS)
def test_the_network_of_a_run_scores_with_the_precision_of_its_recipe(posts, photos, tmp_path, precision):
    run, recipe = create_run(tmp_path / "run"), Recipe(image_size=32, precision=precision)
    network = build_network(recipe).eval()
    save_network(run, network, vars(recipe), pd.DataFrame())
    assert load_network(run, "cpu").precision == precision
    pixels = photos.permute(0, 2, 3, 1).numpy()
    exact = rated("float32", pixels)
    found = Scorer(run, "cpu").rate(pixels).log_odds
    rounds = np.abs(found - exact).max() > 1e-3 * np.ptp(exact)
    assert rounds == load_network(run, "cpu").in_bfloat16(CPU)
    assert rounds == (precision == "bfloat16" or (precision == "auto" and networks.has_amx()))
    scores = score_posts(run, load_network(run, "cpu"), *posts, "cpu")["score"]
    assert np.allclose(np.log(scores / (1 - scores)), found, atol=0.2 * np.ptp(exact) if rounds else 1e-4)
