"""The backbones are the real ones: they know what ImageNet taught them, and fc7 is where it should be."""

import argparse
import copy
import gzip
import os
import tarfile
import tempfile
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import timm
import torch
import torchvision
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file
from skimage import data
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.model.experiments import base_recipe
from selfie_utils.model.fusing import RoomyConv2d, trace
from selfie_utils.model.network import (
    SelfieNetwork,
    build_network,
    efficientnet_lite0,
    fused,
    load_network,
    network_of,
    save_network,
    trained_before,
    vgg16,
)
from selfie_utils.model.processes import choose_device
from selfie_utils.model.recipe import Recipe
from selfie_utils.photos.images import squish

CATS, ESPRESSO = {281, 282, 283, 285}, {967}  # ImageNet classes: tabby, tiger, Persian, Egyptian cat
TINY = "mobilenetv3_small_050"
RANDOM = Recipe(TINY, "random", 32)
ANY = Recipe("any", image_size=32)  # of a body of our own
# Published mean and standard deviation of channels, 0..1.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALVES = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
OTHER = ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))
FACES = ((129.1863 / 255, 104.7624 / 255, 93.594 / 255), (1 / 255, 1 / 255, 1 / 255))


def some_photos(n=4, size=64):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 3, size, size), dtype=np.uint8))


def scaled(photos, mean, std):
    """Photos as a network is taught to see them."""
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (mean, std))
    return (photos.float() / 255 - mean) / std


class MeanColour(nn.Module):
    """A backbone whose fc7 is the mean of each channel as it is shown to it."""

    def forward(self, photos):
        return photos.mean((2, 3))


@pytest.fixture(scope="module")
def lite():
    """EfficientNet-lite0 as ImageNet taught it: for tests that change nothing of it."""
    return build_network(Recipe(image_size=64)).eval()


@pytest.fixture(scope="module")
def vgg(tmp_path_factory):
    """torchvision's VGG16 with weights at random, and where torch keeps what it has downloaded of it."""
    torch.manual_seed(3)
    original = torchvision.models.vgg16(weights=None, init_weights=False).eval()
    state = {name: value.half() for name, value in original.state_dict().items()}  # half as much to write
    original.load_state_dict(state)
    home = tmp_path_factory.mktemp("torch")
    file = home / "hub" / "checkpoints" / Path(torchvision.models.VGG16_Weights.IMAGENET1K_V1.url).name
    file.parent.mkdir(parents=True)
    torch.save(state, file)
    return original, home


@pytest.fixture(scope="module")
def vgg_network(vgg):
    """A network on that VGG16, as after a download, with dropout."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TORCH_HOME", str(vgg[1]))
        return build_network(Recipe("vgg16", image_size=32, dropout=0.25))


@pytest.mark.parametrize(("name", "classes"), [("chelsea", CATS), ("coffee", ESPRESSO)])
def test_efficientnet_lite0_recognises_known_photos(name, classes):
    photo = np.asarray(squish(Image.fromarray(getattr(data, name)()), 224), np.float32)
    batch = torch.from_numpy(photo).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        best = int(efficientnet_lite0("imagenet").eval()(batch).argmax())
    assert best in classes


@torch.inference_mode()
def test_fc7_is_what_the_last_layer_sees(lite):
    logits, fc7 = lite(some_photos())
    assert logits.shape == (4, 2) and fc7.shape == (4, 1280)
    by_hand = fc7 @ lite.head.weight.T + lite.head.bias
    assert torch.allclose(by_hand, logits, atol=1e-5) and logits.std() > 0.01
    assert torch.allclose(lite.body(scaled(some_photos(), *HALVES)), fc7, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize(
    ("backbone", "known", "normalise_as", "published"),
    [
        ("efficientnet_lite0", None, "backbone", HALVES),
        ("vgg16", None, "backbone", IMAGENET),
        ("vgg16", None, "vgg_face", FACES),
        ("efficientnet_lite0", None, "vgg_face", FACES),
        ("any", {"mean": OTHER[0], "std": OTHER[1]}, "backbone", OTHER),
        ("any", {"mean": OTHER[0]}, "backbone", (OTHER[0], IMAGENET[1])),
        ("any", {"std": OTHER[1]}, "backbone", (IMAGENET[0], OTHER[1])),
    ],
)  # fmt: skip
def test_channels_are_scaled_as_those_who_taught_the_network_did(backbone, known, normalise_as, published):
    body = MeanColour()
    if known:
        body.pretrained_cfg = known  # as timm's models have it
    network = SelfieNetwork(body, Recipe(backbone, image_size=32, normalise_as=normalise_as)).eval()
    colour = [10, 120, 250]
    photo = torch.tensor(colour, dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 32, 32)
    wanted = [(c / 255 - m) / s for c, m, s in zip(colour, *published, strict=True)]
    assert network(photo)[1][0].tolist() == pytest.approx(wanted, rel=1e-4)


def test_published_channels_are_those_of_torchvision_and_timm():
    shown = torchvision.models.VGG16_Weights.IMAGENET1K_V1.transforms()
    assert (tuple(shown.mean), tuple(shown.std)) == IMAGENET
    cfg = timm.get_pretrained_cfg("tf_efficientnet_lite0")
    assert (cfg.mean, cfg.std) == HALVES


def test_a_new_network_leaves_its_backbone_as_it_was_given():
    body = nn.Sequential(nn.BatchNorm2d(3), MeanColour())
    body.train()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    network = SelfieNetwork(body, ANY)
    assert body.training and all(torch.equal(before[k], v) for k, v in body.state_dict().items())
    assert network.head.in_features == 3 and network.head.out_features == 2
    body.eval()
    assert not SelfieNetwork(body, ANY).body.training


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "mobilenetv3_small_050"])
def test_convolutions_by_channel_have_room_to_learn_quickly(backbone):
    network = build_network(Recipe(backbone, "random", image_size=32))
    by_channel = [c for c in network.body.modules() if isinstance(c, nn.Conv2d) and c.groups > 1]
    quick = [type(layer) is RoomyConv2d for layer in by_channel if layer.stride == (1, 1)]
    assert quick and all(quick)


def test_the_new_layer_is_drawn_by_seed():
    first, again, other = (build_network(RANDOM.but({"seed": seed})) for seed in (1, 1, 2))
    assert torch.equal(first.head.weight, again.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)
    one, another = (next(network.body.parameters()) for network in (first, other))
    assert torch.equal(one, next(again.body.parameters())) and not torch.equal(one, another)


def test_photos_of_32_px_are_the_smallest():
    assert build_network(RANDOM).image_size == 32
    with pytest.raises(SelfieError, match="image_size is 31 px, expected 32 or more"):
        build_network(Recipe(TINY, "random", 31))


def test_first_stages_stay_as_they_are_and_change_nothing_of_what_is_seen(lite):
    network = copy.deepcopy(lite)
    photos = some_photos(11)  # in two slices
    whole = network(photos)
    network.freeze_first_stages()
    network.train()
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.eval()
    logits, fc7 = network(photos)
    assert torch.allclose(fc7, whole[1], atol=1e-5) and torch.allclose(logits, whole[0], atol=1e-5)
    logits.sum().backward()
    still = {name for name, weight in network.body.named_parameters() if weight.grad is None}
    frozen = ("conv_stem.", "bn1.", "blocks.0.", "blocks.1.")
    assert still == {name for name, _ in network.body.named_parameters() if name.startswith(frozen)}
    assert still == {name for name, weight in network.body.named_parameters() if not weight.requires_grad}
    assert network.head.weight.grad is not None and set(network.state_dict()) == set(lite.state_dict())


def test_first_stages_never_learn_statistics_nor_drop_paths():
    network = build_network(Recipe(image_size=32, drop_path=0.5))
    network.freeze_first_stages()
    for name, layer in network.body.named_modules():
        if "DropPath" in type(layer).__name__:
            layer.drop_prob = 0.9 if name.startswith(("blocks.0.", "blocks.1.")) else 0.0
    before = copy.deepcopy(network.state_dict())
    network.train()
    one, other = (network(some_photos(9, 32))[1] for _ in range(2))
    assert torch.equal(one, other)
    changed = {name for name, value in network.state_dict().items() if not torch.equal(value, before[name])}
    assert changed and all("running" in name or "tracked" in name for name in changed)
    assert not any(name.startswith(("body.bn1.", "body.blocks.0.", "body.blocks.1.")) for name in changed)


def test_other_backbones_learn_whole():
    network = build_network(RANDOM)
    network.freeze_first_stages()
    network.train()(some_photos(2, 32))[0].sum().backward()
    assert all(weight.grad is not None for weight in network.parameters())


@torch.inference_mode()
@pytest.mark.parametrize("name", ["lite", "vgg_network"])
def test_a_fused_network_says_the_same_with_fewer_layers(name, request):
    network = request.getfixturevalue(name).train()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick = fused(network)
    assert quick is not network and not network.training
    assert "batch_norm" not in str(trace(network, some_photos(8, network.image_size)).inlined_graph)
    size = network.image_size
    for photos in (some_photos(33, size), some_photos(1, size)):  # other numbers than it was traced with
        whole, parts = network(photos), quick(photos)
        assert torch.allclose(parts[0], whole[0], atol=1e-4) and torch.allclose(parts[1], whole[1], atol=1e-4)


@torch.inference_mode()
def test_a_fused_network_says_the_same_from_the_first_photos_on():
    """PyTorch fuses anew, and rounds otherwise, for photos that lie in memory unlike those of the example."""
    network = build_network(Recipe(image_size=64))
    pixels = np.random.default_rng(0).integers(0, 256, (32, 64, 64, 3), dtype=np.uint8)
    quick = fused(network)
    said = [quick(torch.from_numpy(pixels).permute(0, 3, 1, 2))[0] for _ in range(3)]  # as photos are read
    assert torch.equal(said[0], said[1]) and torch.equal(said[0], said[2])


@torch.inference_mode()
def test_photos_too_small_to_fuse_for_are_seen_all_the_same():
    network = build_network(Recipe(image_size=32))
    seen = fused(network)
    for _ in range(3):
        assert torch.allclose(seen(some_photos(32, 32))[0], network(some_photos(32, 32))[0], atol=1e-4)


class OneBatchSize(nn.Module):
    """A backbone into whose graph the number of photos is written, as into those that mix their kernels."""

    def forward(self, photos):
        return photos.mean((2, 3)).reshape(int(photos.shape[0]), 3)


@torch.inference_mode()
def test_a_network_that_is_fused_for_one_batch_size_alone_is_used_as_it_is():
    network = SelfieNetwork(OneBatchSize(), ANY).eval()
    seen = fused(network)
    for count in (32, 32, 7, 32):
        photos = some_photos(count, 32)
        assert torch.allclose(seen(photos)[0], network(photos)[0], atol=1e-4)


def test_a_network_that_cannot_be_fused_is_used_as_it_is(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("cannot be traced")

    monkeypatch.setattr(torch.jit, "trace", fail)
    network = SelfieNetwork(MeanColour(), ANY).train()
    assert fused(network) is network and not network.training


@torch.inference_mode()
def test_vgg16_as_downloaded_keeps_fc6_and_fc7(vgg, vgg_network):
    original, photos = vgg[0], some_photos(2, 32)
    logits, fc7 = vgg_network.eval()(photos)
    assert logits.shape == (2, 2) and fc7.shape == (2, 4096) and (fc7 >= 0).all()
    # torchvision's own last layer on our fc7 gives what torchvision gives.
    assert torch.allclose(original.classifier[-1](fc7), original(scaled(photos, *IMAGENET)), atol=1e-4)
    dropouts = [layer.p for layer in vgg_network.modules() if isinstance(layer, nn.Dropout)]
    assert dropouts == [0.25, 0.25, 0]  # after fc6 and fc7, and not once more before the last layer


@torch.inference_mode()
def test_a_network_that_learned_faces_brings_its_own_names_and_sees_photos_as_it_is_used_to(vgg, tmp_path):
    faces = vgg[0]
    values = list(faces.state_dict().values())[:-2]
    named = {f"layer{i}": value.half() for i, value in enumerate(values)}
    named |= {"last.weight": torch.zeros(2622, 4096), "last.bias": torch.zeros(2622)}  # people
    torch.save({"state_dict": named, "epoch": 7}, tmp_path / "vgg_face.pth")
    recipe = Recipe("vgg16", str(tmp_path / "vgg_face.pth"), 32, normalise_as="vgg_face")
    network = build_network(recipe)
    # As the copies of VGG-Face have it: 0..255, less the mean colour, not scaled.
    shown = some_photos(2, 32).float() - torch.tensor([129.1863, 104.7624, 93.594]).view(1, 3, 1, 1)
    wanted = faces.classifier[:-1](faces.avgpool(faces.features(shown)).flatten(1))
    assert torch.allclose(network.eval()(some_photos(2, 32))[1], wanted, rtol=1e-3, atol=1e-3)
    assert all(layer.p == 0 for layer in network.modules() if isinstance(layer, nn.Dropout))


def test_vgg16_weights_that_cannot_be_downloaded_name_the_way_out(monkeypatch):
    def no_network(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", no_network)
    with pytest.raises(
        SelfieError, match=r"\(no network\): fetch https://\S*vgg16\S* .* give the path of the file"
    ):
        vgg16("imagenet")


@pytest.fixture(scope="module")
def taught():
    """The weights of an EfficientNet-lite0 by timm's names; every number is another one."""
    torch.manual_seed(8)
    state = timm.create_model("tf_efficientnet_lite0", pretrained=False).state_dict()
    return {name: torch.rand(value.shape).to(value.dtype) for name, value in state.items()}


@pytest.mark.parametrize("kind", ["in another order", "in parallel", "of a checkpoint", "under other names"])
def test_weights_are_taken_from_files_of_every_kind(taught, tmp_path, kind, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    file, content = "own.pth", taught
    if kind == "in another order":
        file, content = "own.safetensors", dict(reversed(taught.items()))
    elif kind == "in parallel":  # as torch's DataParallel names them, with something that is no weight
        content = {f"module.{name}": value for name, value in taught.items()} | {"epoch": 3}
    elif kind == "of a checkpoint":
        content = {"optimizer": {"lr": 1.0}, "model": taught}
    elif kind == "under other names":
        content = {f"w{i}": value for i, value in enumerate(taught.values())}
    save = save_file if file.endswith("safetensors") else torch.save
    save(content, tmp_path / file)
    filled = efficientnet_lite0(f"~/{file}").state_dict()
    assert all(torch.equal(filled[name], value) for name, value in taught.items())


@pytest.mark.parametrize("classes", [0, 7])
def test_weights_without_a_classifier_or_with_another_are_taken_too(taught, tmp_path, classes):
    content = {name: value for name, value in taught.items() if not name.startswith("classifier.")}
    if classes:
        content |= {"classifier.weight": torch.ones(classes, 1280), "classifier.bias": torch.ones(classes)}
    torch.save(content, tmp_path / "own.pth")
    filled = efficientnet_lite0(str(tmp_path / "own.pth")).state_dict()
    assert filled["classifier.weight"].shape == (1000, 1280)
    names = [name for name in taught if not name.startswith("classifier.")]
    assert all(torch.equal(filled[name], taught[name]) for name in names)


@pytest.mark.parametrize("change", ["another shape", "one is missing", "other weights"])
def test_weights_that_do_not_fit_are_refused(taught, tmp_path, change):
    content = {"a": torch.zeros(3)} if change == "other weights" else dict(taught)
    if change == "another shape":
        content["conv_head.weight"] = torch.zeros(1280, 320, 3, 3)
    elif change == "one is missing":
        del content["blocks.3.0.bn1.bias"]
    save_file(content, tmp_path / "other.safetensors")
    with pytest.raises(
        SelfieError, match=r"other\.safetensors does not hold the weights of EfficientNet-lite0"
    ):
        efficientnet_lite0(str(tmp_path / "other.safetensors"))


def small_state(seed=5):
    """The weights of a small network of timm's, every number another one."""
    torch.manual_seed(seed)
    state = timm.create_model("resnet10t", pretrained=False).state_dict()
    return {name: torch.rand(value.shape).to(value.dtype) for name, value in state.items()}


def filled_from(path, state):
    """Tell whether a network filled from a file has the weights of `state`."""
    body = build_network(Recipe("resnet10t", str(path), 32)).body.state_dict()
    counted = [name for name in body if not name.endswith("num_batches_tracked")]
    return all(torch.equal(body[name], state[name]) for name in counted)


@pytest.mark.parametrize("file", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("counted", [True, False])
def test_layers_under_numbers_are_taken_in_their_order_or_refused(tmp_path, file, counted):
    """A safetensors file is sorted by name; bias, mean, variance and weight have the same shape."""
    state, layers, content = small_state(), {}, {}
    for name, value in state.items():
        layer, _, kind = name.rpartition(".")
        if counted or kind != "num_batches_tracked":
            content[f"{layers.setdefault(layer, len(layers)):03}.{kind}"] = value
    (torch.save if file.endswith("pth") else save_file)(content, tmp_path / file)
    if file.endswith("pth"):
        assert filled_from(tmp_path / file, state)
        return
    with pytest.raises(SelfieError, match="does not hold the weights of resnet10t"):
        filled_from(tmp_path / file, state)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_of_a_training_that_failed_are_refused(tmp_path, value):
    state = small_state()
    state["conv1.0.weight"][0, 0, 0, 0] = value
    torch.save(state, tmp_path / "a.pth")
    with pytest.raises(
        SelfieError, match=r"a\.pth holds what is no number, in conv1\.0\.weight: its training"
    ):
        filled_from(tmp_path / "a.pth", state)


@pytest.mark.parametrize("content", [[1, 2], torch.ones(3), 5])
def test_a_file_that_holds_no_names_says_what_it_holds(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(SelfieError, match=r"it holds a \w+, expected weights by their names"):
        build_network(Recipe("resnet10t", str(tmp_path / "a.pth"), 32))


WORDS = ["module.", "model.", "_orig_mod.", "backbone.", "net."]


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.sampled_from(WORDS), max_size=3).map("".join), st.sampled_from(["a.pth", "a.safetensors"]),
    st.booleans(), st.booleans(),
    st.sampled_from([(), ("state_dict",), ("model_state_dict",), ("model",), ("model", "state_dict")]),
)  # fmt: skip
def test_weights_are_found_whatever_their_names_begin_with_and_wherever_they_stand(
    begin, file, counted, beside, inside
):
    state = small_state()
    content = {begin + k: v for k, v in state.items() if counted or not k.endswith("num_batches_tracked")}
    if beside:  # which in a .pth comes first
        content = {"loss.weight": torch.ones(3), **content}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / file
        if file.endswith("pth"):
            for word in reversed(inside):
                content = {"epoch": 3, word: content}
            torch.save(content, path)
        else:
            save_file(content, path)
        assert filled_from(path, state)


def test_a_checkpoint_of_timm_s_own_training_is_read(tmp_path):
    state = small_state()
    content = {"epoch": 3, "arch": "resnet10t", "state_dict": state, "version": 2, "metric": np.float64(81.2)}
    content["args"] = argparse.Namespace(lr=0.1, model="resnet10t", mean=(0.5, 0.5, 0.5))
    content |= {"optimizer": {"state": {}, "param_groups": []}, "amp_scaler": {"scale": 65536.0}}
    torch.save(content, tmp_path / "last.pth.tar")
    assert filled_from(tmp_path / "last.pth.tar", state)


def test_of_two_networks_in_one_file_the_first_is_taken_whole(tmp_path):
    first, second = small_state(5), small_state(6)
    content = {f"teacher.{k}": v for k, v in first.items()} | {f"student.{k}": v for k, v in second.items()}
    torch.save(content, tmp_path / "two.pth")
    assert filled_from(tmp_path / "two.pth", first)


@pytest.mark.parametrize(("taught_at", "asked"), [(224, 128), (160, 96), (64, 96)])
def test_a_transformer_taught_at_another_size_says_which(tmp_path, taught_at, asked):
    name = "vit_tiny_patch16_224"
    state = timm.create_model(name, pretrained=False, img_size=taught_at).state_dict()
    save_file({f"module.{k}": v.contiguous() for k, v in state.items()}, tmp_path / "own.safetensors")
    with pytest.raises(SelfieError, match=rf"pos_embed is .*: set image_size to {taught_at}\.$"):
        build_network(Recipe(name, str(tmp_path / "own.safetensors"), asked))
    assert build_network(Recipe(name, str(tmp_path / "own.safetensors"), taught_at)).image_size == taught_at


@pytest.mark.parametrize(("name", "size"), [("crossvit_tiny_240", 240), ("efficientformer_l1", 224)])
def test_a_backbone_that_takes_one_size_only_says_which(name, size):
    with pytest.raises(SelfieError, match=rf"takes no photos of 96 px \(.*\): set image_size to {size}\.$"):
        build_network(Recipe(name, "random", 96))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"version https://git-lfs.github.com/spec/v1\n", "pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "it is a web page"),
        (b"", "it is empty"),
    ],
)
@pytest.mark.parametrize("file", ["a.pth", "a.safetensors"])
def test_a_file_that_is_something_else_says_what(tmp_path, content, told, file):
    (tmp_path / file).write_bytes(content)
    with pytest.raises(SelfieError, match=f"cannot be read as weights .*{told}"):
        build_network(Recipe("resnet10t", str(tmp_path / file), 32))


@pytest.mark.parametrize("file", ["a.pth", "a.safetensors", "a.bin"])
@pytest.mark.parametrize("save", [torch.save, save_file])
def test_a_file_of_weights_is_known_by_its_content(tmp_path, save, file):
    state = small_state()
    save(state, tmp_path / file)
    assert filled_from(tmp_path / file, state)


@pytest.mark.parametrize("word", ["params", "ema_state_dict", "weights"])
def test_weights_are_found_under_any_name_where_there_are_no_others(tmp_path, word):
    state = small_state()
    beside = {"epoch": 3, "optimizer": {"state": {0: {"step": torch.ones(1)}}, "param_groups": []}}
    torch.save(beside | {"kept": {word: state}}, tmp_path / "a.pth")
    assert filled_from(tmp_path / "a.pth", state)


@pytest.mark.parametrize(
    ("content", "held"),
    [
        ({"state": {i: {"a": torch.ones(1)} for i in (0, 1)}, "param_groups": []}, "state, param_groups"),
        ({0: torch.ones(3), 1: torch.ones(3)}, "0, 1"),
        ({}, "nothing"),
    ],
)
def test_a_file_without_weights_by_their_names_says_what_it_holds(tmp_path, content, held):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(SelfieError, match=rf"a\.pth holds no weights by their names, but {held}: save"):
        build_network(Recipe("resnet10t", str(tmp_path / "a.pth"), 32))


@pytest.mark.parametrize(("larger", "name", "more"), [("resnet34", "resnet18", "layer1.2")])
def test_weights_of_a_larger_network_of_the_same_family_are_refused(tmp_path, larger, name, more):
    """All that the smaller one asks for is there, by name and shape: half a network would be filled."""
    save_file(timm.create_model(larger, pretrained=False).state_dict(), tmp_path / "a.safetensors")
    with pytest.raises(SelfieError, match=rf"of a larger network than {name}, with {more}: name that"):
        build_network(Recipe(name, str(tmp_path / "a.safetensors"), 32))


@pytest.mark.parametrize(
    "change", [lambda w: (w * 100).to(torch.int8), torch.Tensor.to_sparse, lambda w: w.to(torch.complex64)]
)
def test_numbers_in_another_form_are_refused(tmp_path, change):
    state = small_state()
    torch.save(state | {"conv1.0.weight": change(state["conv1.0.weight"])}, tmp_path / "a.pth")
    with pytest.raises(SelfieError, match=r"holds torch\.\w+, torch\.\w+ in conv1\.0\.weight: give"):
        build_network(Recipe("resnet10t", str(tmp_path / "a.pth"), 32))


def test_a_damaged_or_foreign_file_of_weights_has_a_remedy(tmp_path):
    torch.save(small_state(), tmp_path / "whole.pth")
    whole = (tmp_path / "whole.pth").read_bytes()
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.write(tmp_path / "whole.pth", "whole.pth")
    with tarfile.open(tmp_path / "packed.tar", "w") as archive:
        archive.add(tmp_path / "whole.pth", "whole.pth")
    contents = {
        "damaged, or cut short: fetch": whole[: len(whole) // 2],
        "a zip archive of something else: unpack": (tmp_path / "packed.zip").read_bytes(),
        "a tar archive: unpack": (tmp_path / "packed.tar").read_bytes(),
        "packed by gzip: unpack": gzip.compress(whole[:1000]),
        "neither of torch.save nor": b"\x89HDF\r\n\x1a\n\0",
    }
    for told, content in contents.items():
        (tmp_path / "a.pth").write_bytes(content)
        with pytest.raises(SelfieError, match=rf"a\.pth cannot be read as weights \(it is {told}"):
            build_network(Recipe("resnet10t", str(tmp_path / "a.pth"), 32))


def test_a_model_that_was_saved_with_its_code_says_how_to_save_it(tmp_path):
    torch.save(timm.create_model("resnet10t"), tmp_path / "whole.pth")
    with pytest.raises(
        SelfieError, match=r"it holds timm\.models\S*, code that is not run: save the state_dict"
    ):
        build_network(Recipe("resnet10t", str(tmp_path / "whole.pth"), 32))


class Harmful:
    """What a file of weights may hold that runs something when it is read."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_files_that_hold_no_weights_are_refused_and_never_run(tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    torch.save({"a": Harmful(tmp_path / "made")}, tmp_path / "harmful.pth")
    for name in ("broken.pth", "harmful.pth"):
        with pytest.raises(SelfieError, match=f"{name} cannot be read as weights"):
            build_network(Recipe(TINY, str(tmp_path / name), 32))
    assert not (tmp_path / "made").exists()
    with pytest.raises(SelfieError, match=r"no file of weights .*missing\.pth: give a path, or imagenet"):
        build_network(Recipe(weights=str(tmp_path / "missing.pth")))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("resnet_18", r"choose efficientnet_lite0, vgg16 or one of timm's; did you mean .*resnet18"),
        ("efficientnet-lite0", r"did you mean .*efficientnet_lite0"),
        ("0", r"no backbone '0': .*; see timm\.list_models\(\)\."),
    ],
)
def test_an_unknown_backbone_is_refused(name, told):
    with pytest.raises(SelfieError, match=told):
        build_network(Recipe(name))


def test_weights_of_timm_that_cannot_be_had_name_the_way_out(monkeypatch):
    create = timm.create_model

    def no_network(name, pretrained=False, **options):
        if pretrained:
            raise OSError("no network " + 200 * "x")
        return create(name, pretrained, **options)

    monkeypatch.setattr(timm, "create_model", no_network)
    told = rf"{TINY} with imagenet weights at 48 px cannot be had \(no network x{{109}}\): give a file"
    with pytest.raises(SelfieError, match=told):
        build_network(Recipe(TINY, "imagenet", 48))
    assert build_network(Recipe(TINY, "random", 48)).image_size == 48


@torch.inference_mode()
@pytest.mark.parametrize(("name", "width"), [("resnet18", 512), (TINY, 1024), ("deit_tiny_patch16_224", 192)])
def test_any_backbone_of_timm_can_be_had_by_name(tmp_path, name, width):
    network = build_network(Recipe(name, "random", 64)).eval()
    logits, fc7 = network(some_photos())
    assert logits.shape == (4, 2) and fc7.shape == (4, width)
    run = create_run(tmp_path / "run")
    save_network(run, network, {}, pd.DataFrame())
    again = load_network(run, "cpu")
    assert torch.allclose(again(some_photos())[0], logits, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("network.json", b"{"), ("network.json", b"{}"), ("network.json", b'{"recipe": 3}'),
        ("model.safetensors", b""), ("model.safetensors", None),
    ],
)  # fmt: skip
def test_a_network_that_was_damaged_names_the_notebook_that_makes_it(tmp_path, name, content):
    run = create_run(tmp_path / "run")
    save_network(run, build_network(RANDOM), {}, pd.DataFrame())
    path = run.root / "network" / name
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(SelfieError, match=rf"{name} is damaged: run notebooks/01_train\.ipynb on this run"):
        load_network(run, "cpu")


@torch.inference_mode()
def test_a_backbone_of_timm_takes_weights_from_a_file(tmp_path):
    taught = build_network(RANDOM).eval()
    save_file({k: v.contiguous() for k, v in taught.body.state_dict().items()}, tmp_path / "own.safetensors")
    filled = build_network(Recipe(TINY, str(tmp_path / "own.safetensors"), 32, seed=9)).eval()
    assert torch.allclose(filled(some_photos())[1], taught(some_photos())[1], atol=1e-5)


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "mobilenetv2_050"])
def test_paths_are_dropped_in_training_alone_and_more_of_them_with_depth(backbone):
    torch.manual_seed(0)
    photos = some_photos(1, 32)
    still = build_network(Recipe(backbone, "random", 32))
    network = build_network(Recipe(backbone, "random", 32, drop_path=0.5))
    shares = [layer.drop_prob for layer in network.modules() if "DropPath" in type(layer).__name__]
    assert shares == sorted(shares) and len(set(shares)) == len(shares) and 0.4 < shares[-1] < 0.5
    for layer in network.eval().modules():
        layer.training = "DropPath" in type(layer).__name__
    seen = torch.stack([network(photos)[1] for _ in range(8)])
    assert len(torch.unique(seen.round(decimals=4), dim=0)) > 1
    assert torch.allclose(network.eval()(photos)[1], still.eval()(photos)[1], atol=1e-5)


def test_dropout_leaves_out_its_share_of_fc7_in_training_alone():
    class Ones(nn.Module):
        def forward(self, photos):
            return torch.ones(len(photos), 500)

    network = SelfieNetwork(Ones(), ANY.but({"dropout": 0.2}))
    network.head = nn.Identity()
    torch.manual_seed(0)
    left, fc7 = network.train()(some_photos(20, 32))
    assert (left == 0).float().mean().item() == pytest.approx(0.2, abs=0.02)  # 5 standard deviations
    assert left.max().item() == pytest.approx(1.25) and (fc7 == 1).all()
    assert (network.eval()(some_photos(2, 32))[0] == 1).all()
    assert build_network(Recipe(weights="random", image_size=32, dropout=0.5)).dropout.p == 0.5


@pytest.mark.parametrize(
    ("cuda", "mps", "asked", "chosen"),
    [
        (True, True, "auto", "cuda"), (False, True, "auto", "mps"), (False, False, "auto", "cpu"),
        (True, True, "cpu", "cpu"), (True, False, "cuda:1", "cuda:1"), (False, True, "mps", "mps"),
        (False, False, "cpu x 2", "cpu"), (True, False, "cuda x 3", "cuda"),
    ],
)  # fmt: skip
def test_the_quickest_device_is_taken_or_the_one_that_is_asked_for(monkeypatch, cuda, mps, asked, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert choose_device(asked) == torch.device(chosen)


def test_a_device_that_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for asked in ("cuda", "mps", "toaster", "cuda:1"):
        told = f"device is '{asked}', but this kernel has only cpu: use auto or one of these"
        with pytest.raises(SelfieError, match=told):
            choose_device(asked)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(SelfieError, match="has only cpu, mps:"):
        choose_device("cuda")


@torch.inference_mode()
def test_a_saved_network_scores_the_same_and_tells_what_it_is(tmp_path):
    run = create_run(tmp_path / "run")
    network = build_network(Recipe(image_size=64, seed=5, normalise_as="vgg_face")).eval()
    history = pd.DataFrame({"epoch": [1, 2], "accuracy": [0.6, 0.7]})
    recipe = {"epochs": 2, "normalise_as": "vgg_face"}
    save_network(run, network, recipe, history)
    described = run.read_json("network/network")
    assert described["preprocessing"]["resize"] == "squish"
    assert described["preprocessing"]["mean"] == pytest.approx(FACES[0])
    assert described["preprocessing"]["std"] == pytest.approx(FACES[1])
    assert described["metrics"] == {"epoch": 2, "accuracy": 0.7}  # of the last epoch
    assert described["made_by"] == Recipe(**recipe).made_by()
    said = {name: described[name] for name in ("backbone", "image_size", "classes", "recipe")}
    assert said == {
        "backbone": "efficientnet_lite0", "image_size": 64, "classes": ["bad", "good"], "recipe": recipe,
    }  # fmt: skip
    kept = load_file(run.root / "network" / "model.safetensors")
    assert kept.keys() == network.state_dict().keys()  # without mean and std, which the recipe tells
    again, same_recipe, same_history = network_of(str(run.root), "cpu")
    assert again.image_size == 64 and not again.training and again.backbone == "efficientnet_lite0"
    assert all(torch.equal(again.state_dict()[name], value) for name, value in network.state_dict().items())
    assert torch.allclose(again(some_photos())[0], network(some_photos())[0], atol=1e-5)
    assert same_recipe == recipe and same_history.equals(history)


def test_a_network_kept_with_a_setting_that_nobody_knows_is_refused_in_one_sentence(tmp_path):
    """It might see other photos than those that it learned from, and nobody would be told."""
    run = create_run(tmp_path / "run")
    save_network(run, build_network(Recipe(TINY, "random", 32)), {}, pd.DataFrame({"epoch": [1]}))
    described = run.read_json("network/network")
    run.write_json("network/network", described | {"recipe": {"epochs": 2, "channels": "vgg_face"}})
    told = r"another version of this project \(A recipe has no setting 'channels'.*\): run notebooks/01_train"
    for use in (
        lambda: load_network(run, "cpu"),
        lambda: network_of(str(run.root), "cpu"),
        lambda: base_recipe(run),
    ):
        with pytest.raises(SelfieError, match=told):
            use()


@pytest.mark.parametrize("full", ["save_file", "write_json"])
def test_where_there_is_no_room_for_a_network_the_one_before_stays_whole_and_is_not_taken_for_it(
    tmp_path, monkeypatch, full
):
    run, history = create_run(tmp_path / "run"), pd.DataFrame({"epoch": [1]})
    first, second = (build_network(replace(RANDOM, seed=seed)) for seed in (1, 2))
    save_network(run, first, vars(RANDOM), history, "first")
    whole = {path.name: path.read_bytes() for path in (run.root / "network").iterdir()}

    def no_room(*_):
        raise OSError("no room")

    with monkeypatch.context() as patch, pytest.raises(OSError, match="no room"):
        patch.setattr(f"selfie_utils.model.network.{full}", no_room)
        save_network(run, second, vars(RANDOM), history, "second")
    assert {path.name: path.read_bytes() for path in (run.root / "network").iterdir()} == whole
    assert trained_before(run, "second", "cpu") is None and trained_before(run, "first", "cpu")
    save_network(run, second, vars(RANDOM), history, "second")
    kept, _ = trained_before(run, "second", "cpu")
    assert torch.equal(kept.head.weight, second.head.weight)
    # A kill between the last two steps leaves the new description beside the old weights.
    (run.root / "network" / "model.safetensors").write_bytes(whole["model.safetensors"])
    assert trained_before(run, "first", "cpu") is None and trained_before(run, "second", "cpu") is None


@pytest.mark.parametrize("name", ["network/network.json", "network/model.safetensors", "training.csv"])
def test_a_run_without_a_whole_network_says_what_to_run(tmp_path, name):
    run = create_run(tmp_path / "run")
    save_network(run, build_network(RANDOM), {}, pd.DataFrame({"epoch": [1]}))
    (run.root / name).unlink()
    with pytest.raises(SelfieError, match=f"{name} is missing: run notebooks/01_train"):
        network_of(str(run.root), "cpu")
