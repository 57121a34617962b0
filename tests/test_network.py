"""The backbones are the real ones: they know what ImageNet taught them, and fc7 is where it should be."""

import numpy as np
import pandas as pd
import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import save_file
from skimage import data

from selfie_utils.errors import SelfieError
from selfie_utils.images import squish
from selfie_utils.network import (
    build_network,
    choose_device,
    efficientnet_lite0,
    fused,
    load_network,
    save_network,
    trace,
    vgg16,
)
from selfie_utils.run_folder import create_run

CATS, ESPRESSO = {281, 282, 283, 285}, {967}  # ImageNet classes: tabby, tiger, Persian, Egyptian cat


def some_photos(n=4, size=64):
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, 3, size, size), dtype=np.uint8))


@pytest.mark.parametrize(("name", "classes"), [("chelsea", CATS), ("coffee", ESPRESSO)])
def test_efficientnet_lite0_recognises_known_photos(name, classes):
    photo = np.asarray(squish(Image.fromarray(getattr(data, name)()), 224), np.float32)
    batch = torch.from_numpy(photo).permute(2, 0, 1)[None] / 127.5 - 1
    with torch.inference_mode():
        best = int(efficientnet_lite0("imagenet").eval()(batch).argmax())
    assert best in classes


@torch.inference_mode()
def test_fc7_is_what_the_last_layer_sees():
    network = build_network("efficientnet_lite0", image_size=64).eval()
    logits, fc7 = network(some_photos())
    assert logits.shape == (4, 2) and fc7.shape == (4, 1280)
    assert torch.allclose(network.head(fc7), logits)


def test_first_stages_stay_as_they_are_and_change_nothing_of_what_is_seen():
    network = build_network("efficientnet_lite0", image_size=64)
    whole = network.eval()(some_photos(11))
    network.freeze_first_stages()
    network.train()
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.eval()
    logits, fc7 = network(some_photos(11))  # in two slices
    assert torch.allclose(fc7, whole[1], atol=1e-5) and torch.allclose(logits, whole[0], atol=1e-5)
    logits.sum().backward()
    still = [name for name, weight in network.body.named_parameters() if weight.grad is None]
    learning = [name for name, weight in network.body.named_parameters() if weight.grad is not None]
    assert {name.rsplit(".", 3)[0] for name in still} >= {"blocks.0", "blocks.1"}
    assert {name.split(".")[1] for name in learning if "blocks" in name} == {"2", "3", "4", "5", "6"}
    assert set(network.state_dict()) == set(build_network("efficientnet_lite0", image_size=64).state_dict())


@torch.inference_mode()
@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "vgg16"])
def test_a_fused_network_says_the_same_with_fewer_layers(backbone):
    network = build_network(backbone, "random" if backbone == "vgg16" else "imagenet", image_size=64).eval()
    assert "batch_norm" not in str(trace(network).inlined_graph)
    quick = fused(network)
    assert quick is not network
    for photos in (some_photos(33), some_photos(1)):  # other numbers than it was traced with
        with torch.inference_mode():
            whole, parts = network(photos), quick(photos)
        assert torch.allclose(parts[0], whole[0], atol=1e-4) and torch.allclose(parts[1], whole[1], atol=1e-4)


@torch.inference_mode()
def test_photos_too_small_to_fuse_for_are_seen_all_the_same():
    network = build_network("efficientnet_lite0", image_size=32)
    seen = fused(network)
    for _ in range(3):
        assert torch.allclose(seen(some_photos(32, 32))[0], network(some_photos(32, 32))[0], atol=1e-4)


@torch.inference_mode()
def test_a_network_that_is_fused_for_one_batch_size_alone_is_used_as_it_is():
    network = build_network(
        "tf_efficientnet_cc_b0_4e", "random", image_size=32
    ).eval()  # mixes kernels by photo
    seen = fused(network)
    for count in (32, 32, 7, 32):
        photos = some_photos(count, 32)
        assert torch.allclose(seen(photos)[0], network(photos)[0], atol=1e-4)


def test_a_network_that_cannot_be_fused_is_used_as_it_is(monkeypatch):
    def fail(*args, **kwargs):
        raise RuntimeError("cannot be traced")

    monkeypatch.setattr(torch.jit, "trace", fail)
    network = build_network("efficientnet_lite0", "random", image_size=32)
    assert fused(network) is network and not network.training


def test_vgg16_from_a_local_file_keeps_fc6_and_fc7(tmp_path):
    torch.manual_seed(3)
    original = torchvision.models.vgg16(weights=None).eval()
    torch.save(original.state_dict(), tmp_path / "vgg16.pth")
    network = build_network("vgg16", str(tmp_path / "vgg16.pth"), image_size=64).eval()
    photos = some_photos(2)
    logits, fc7 = network(photos)
    assert logits.shape == (2, 2) and fc7.shape == (2, 4096) and (fc7 >= 0).all()
    # torchvision's own last layer on our fc7 gives what torchvision gives.
    scaled = (photos.float() / 255 - network.mean) / network.std
    assert torch.allclose(original.classifier[-1](fc7), original(scaled), atol=1e-4)


def test_vgg16_has_no_dropout():
    body = build_network("vgg16", "random", image_size=64).body
    assert all(m.p == 0 for m in body.modules() if isinstance(m, torch.nn.Dropout))


def test_vgg16_weights_that_cannot_be_downloaded_name_the_way_out(monkeypatch):
    def no_network(*_args, **_options):
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", no_network)
    monkeypatch.setattr(torchvision.models._api, "load_state_dict_from_url", no_network)
    with pytest.raises(SelfieError, match="give the path of the file"):
        vgg16("imagenet")


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "vgg16"])
def test_weights_that_do_not_fit_are_refused(tmp_path, backbone):
    save_file({"a": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(SelfieError, match="does not hold the weights"):
        build_network(backbone, str(tmp_path / "other.safetensors"))
    (tmp_path / "broken.pth").write_bytes(b"no weights")
    with pytest.raises(SelfieError, match="cannot be read as weights"):
        build_network(backbone, str(tmp_path / "broken.pth"))
    with pytest.raises(SelfieError, match="no file of weights"):
        build_network(backbone, str(tmp_path / "missing.pth"))


def test_an_unknown_backbone_is_refused():
    with pytest.raises(
        SelfieError, match=r"choose efficientnet_lite0, vgg16 or one of timm's; did you mean .*resnet18"
    ):
        build_network("resnet_18")


@torch.inference_mode()
@pytest.mark.parametrize(
    ("name", "width"), [("resnet18", 512), ("mobilenetv3_small_050", 1024), ("deit_tiny_patch16_224", 192)]
)
def test_any_backbone_of_timm_can_be_had_by_name(tmp_path, name, width):
    network = build_network(name, "random", image_size=64).eval()
    logits, fc7 = network(some_photos())
    assert logits.shape == (4, 2) and fc7.shape == (4, width)
    run = create_run(tmp_path / "run")
    save_network(run, network, {}, pd.DataFrame())
    again = load_network(run, "cpu")
    assert torch.allclose(again(some_photos())[0], logits, atol=1e-5)


@torch.inference_mode()
def test_a_backbone_of_timm_takes_weights_from_a_file(tmp_path):
    taught = build_network("resnet18", "random", image_size=64).eval()
    save_file({k: v.contiguous() for k, v in taught.body.state_dict().items()}, tmp_path / "own.safetensors")
    filled = build_network("resnet18", str(tmp_path / "own.safetensors"), image_size=64, seed=9).eval()
    assert torch.allclose(filled(some_photos())[1], taught(some_photos())[1], atol=1e-5)


@torch.inference_mode()
def test_a_network_that_learned_faces_is_taken_over_with_its_own_names_for_layers(tmp_path):
    torch.manual_seed(4)
    faces = torchvision.models.vgg16(weights=None, num_classes=2622).eval()
    named = {f"layer{i}": value for i, value in enumerate(faces.state_dict().values())}
    torch.save({"state_dict": named}, tmp_path / "vgg_face.pth")
    network = build_network("vgg16", str(tmp_path / "vgg_face.pth"), image_size=64).eval()
    photos = some_photos(2)
    scaled = (photos.float() / 255 - network.mean) / network.std
    assert torch.allclose(faces.classifier[-1](network(photos)[1]), faces(scaled), atol=1e-4)


@torch.inference_mode()
def test_a_network_of_faces_sees_photos_as_it_is_used_to(tmp_path):
    faces = torchvision.models.vgg16(weights=None).eval()
    torch.save(faces.state_dict(), tmp_path / "vgg_face.pth")
    recipe = {"channels": "vgg_face"}
    network = build_network("vgg16", str(tmp_path / "vgg_face.pth"), image_size=64, **recipe).eval()
    photos = some_photos(2)
    # As the copies of VGG-Face have it: 0..255, less the mean colour, not scaled.
    shown = photos.float() - torch.tensor([129.1863, 104.7624, 93.594]).view(1, 3, 1, 1)
    wanted = faces.classifier[:-1](faces.avgpool(faces.features(shown)).flatten(1))
    assert torch.allclose(network(photos)[1], wanted, rtol=1e-3, atol=1e-3)
    run = create_run(tmp_path / "run")
    save_network(run, network, recipe, pd.DataFrame())
    assert torch.allclose(load_network(run, "cpu")(photos)[1], network(photos)[1], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("backbone", ["efficientnet_lite0", "mobilenetv2_050"])
def test_paths_are_dropped_in_training_alone(backbone):
    torch.manual_seed(0)
    photos = some_photos(1)
    still = build_network(backbone, "random", 64)
    network = build_network(backbone, "random", 64, drop_path=0.5)
    for layer in network.eval().modules():
        layer.training = "DropPath" in type(layer).__name__
    seen = torch.stack([network(photos)[1] for _ in range(8)])
    assert len(torch.unique(seen.round(decimals=4), dim=0)) > 1
    assert torch.allclose(network.eval()(photos)[1], still.eval()(photos)[1], atol=1e-5)


def test_dropout_is_as_asked_for():
    vgg = build_network("vgg16", "random", image_size=32, dropout=0.5)
    assert [m.p for m in vgg.body.modules() if isinstance(m, torch.nn.Dropout)] == [0.5, 0.5]
    lite = build_network("efficientnet_lite0", image_size=32, dropout=0.5)
    assert lite.dropout.p == 0.5
    photos = some_photos(1, 32)
    lite.eval()
    once = lite(photos)[0]
    lite.dropout.train()
    assert not torch.equal(lite(photos)[0], once)


def test_a_device_that_is_missing_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto").type in ("cpu", "mps")
    with pytest.raises(SelfieError, match=r"device is 'cuda', but this kernel has only .*cpu"):
        choose_device("cuda")
    with pytest.raises(SelfieError, match="device is 'toaster'"):
        choose_device("toaster")


@torch.inference_mode()
def test_a_saved_network_scores_the_same(tmp_path):
    run = create_run(tmp_path / "run")
    network = build_network("efficientnet_lite0", image_size=64, seed=5).eval()
    save_network(run, network, {"epochs": 1}, pd.DataFrame([{"accuracy": 0.6}]))
    again = load_network(run, "cpu")
    assert again.image_size == 64
    assert torch.allclose(again(some_photos())[0], network(some_photos())[0], atol=1e-5)
    described = run.read_json("network/network")
    assert described["preprocessing"]["resize"] == "squish" and described["metrics"] == {"accuracy": 0.6}
