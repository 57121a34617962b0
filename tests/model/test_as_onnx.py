"""A network as ONNX scores what it scores in torch, and takes plain pixels."""

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn

from selfie_utils.apps.export import WORST
from selfie_utils.core.errors import SelfieError
from selfie_utils.model.as_onnx import in_halves, rate_with_onnx, to_onnx
from selfie_utils.model.network import SelfieNetwork, build_network
from selfie_utils.model.recipe import Recipe


@pytest.fixture(scope="module")
def network():
    """A lite0 of 32 px with ImageNet's weights: batch norms that have seen something."""
    return build_network(Recipe(image_size=32))


@pytest.fixture(scope="module")
def photos():
    """Seven photos of different brightness and contrast."""
    rng = np.random.default_rng(0)
    noise, light = rng.normal(0, 40, (7, 32, 32, 3)), rng.uniform(30, 220, (7, 1, 1, 3))
    return (light + noise * rng.uniform(0, 1, (7, 1, 1, 1))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def exported(network, expected):  # which changes the network first
    return to_onnx(network)


@pytest.fixture(scope="module")
def expected(network, photos, spread):
    score = spread(network, photos)
    with torch.inference_mode():
        _, fc7 = network(torch.from_numpy(photos).permute(0, 3, 1, 2))
    return score, fc7.numpy()


def test_onnx_scores_pixels_as_torch_does_one_or_many_at_once(exported, photos, expected):
    score, fc7 = expected
    assert np.ptp(score) > 0.3
    single = rate_with_onnx(exported, photos)
    session = onnxruntime.InferenceSession(exported.SerializeToString())
    many = dict(zip(single, session.run(list(single), {"photos": photos}), strict=True))
    for found in (single, many):
        assert found["score"] == pytest.approx(score, abs=1e-5)
        assert 1 / (1 + np.exp(-found["log_odds"])) == pytest.approx(score, abs=1e-5)
        assert np.allclose(found["fc7"], fc7, atol=1e-4 * np.abs(fc7).max())


def test_batch_norm_is_folded_and_the_input_is_what_a_photo_is(exported):
    assert "BatchNormalization" not in {node.op_type for node in exported.graph.node}
    (photos,) = exported.graph.input
    assert photos.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    assert [d.dim_value or d.dim_param for d in photos.type.tensor_type.shape.dim] == ["n", 32, 32, 3]


def test_halves_take_half_the_room_and_hardly_change_a_score(exported, photos, expected):
    before = exported.SerializeToString()
    half = in_halves(exported)
    assert exported.SerializeToString() == before
    assert half.ByteSize() < 0.53 * exported.ByteSize()
    found = rate_with_onnx(half, photos)["score"]
    assert found == pytest.approx(expected[0], abs=WORST) and (found != expected[0]).any()


def test_a_weight_beyond_16_bits_is_refused(exported):
    large = onnx.ModelProto.FromString(exported.SerializeToString())
    tensor = max(large.graph.initializer, key=lambda t: numpy_helper.to_array(t).size)
    values = numpy_helper.to_array(tensor).copy()
    values.flat[3] = 70_000
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    with pytest.raises(SelfieError, match="65,504"):
        in_halves(large)


def test_the_file_of_a_network_that_computes_in_bfloat16_holds_none_of_it(photos, spread):
    network = build_network(Recipe(image_size=32, precision="bfloat16"))
    network.precision = "float32"
    score = spread(network, photos)
    network.precision = "bfloat16"
    model = to_onnx(network)
    assert network.precision == "bfloat16"  # it goes on as it was
    kinds = {t.data_type for t in model.graph.initializer}
    assert onnx.TensorProto.BFLOAT16 not in kinds
    assert rate_with_onnx(model, photos)["score"] == pytest.approx(score, abs=1e-5)


def test_what_torch_cannot_write_is_told_in_a_sentence():
    body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(7), nn.Flatten())  # 30 px into 7
    network = SelfieNetwork(body, Recipe(backbone="of_mine", image_size=32))
    with pytest.raises(SelfieError, match=r"cannot write of_mine at 32 px as ONNX.*safetensors") as told:
        to_onnx(network)
    assert len(str(told.value)) < 400 and "\n" not in str(told.value)
