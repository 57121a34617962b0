"""What is made quicker says the same, however often and in whatever order it is asked."""

import pytest
import torch
from torch import nn

from selfie_utils.model.fusing import RoomyConv2d, fuse, give_room
from selfie_utils.model.network import build_network
from selfie_utils.model.recipe import Recipe


def by_channel(kernel: int, stride: int = 1) -> nn.Conv2d:
    torch.manual_seed(kernel)
    return nn.Conv2d(6, 6, kernel, stride, padding=kernel // 2, groups=6)


def gradients(layer: nn.Module, seen: torch.Tensor) -> list[torch.Tensor]:
    """Return what a layer makes of what it sees, and the gradients of weight, bias and what it saw."""
    seen = seen.clone().requires_grad_()
    made = layer(seen)
    (made * torch.arange(made.numel()).reshape(made.shape).cos()).sum().backward()
    return [made.detach(), seen.grad, *(weight.grad for weight in layer.parameters())]


@pytest.mark.parametrize("kernel", [3, 5])
@pytest.mark.parametrize("size", [(1, 1), (2, 4), (4, 4), (4, 7), (5, 5), (8, 3)])
def test_room_changes_neither_what_is_seen_nor_what_is_learned(kernel, size):
    layer, seen = by_channel(kernel), torch.randn(3, 6, *size)
    expected = gradients(layer, seen)
    layer.zero_grad()
    give_room(layer)
    assert type(layer) is RoomyConv2d
    for one, other in zip(expected, gradients(layer.train(), seen), strict=True):
        assert one.shape == other.shape and torch.allclose(one, other, atol=1e-4)


def test_room_is_given_while_learning_and_where_there_is_too_little(monkeypatch):
    shown = []
    monkeypatch.setattr(nn.Conv2d, "forward", lambda self, x: shown.append(x.shape[-2:]) or x)
    layer = by_channel(5)
    give_room(layer)
    for learning in (True, False):
        layer.train(learning)
        for side in (4, 5, 8):
            layer(torch.zeros(1, 6, side, side))
    assert [side for side, _ in shown] == [5, 5, 8, 4, 5, 8]


def test_only_convolutions_by_channel_that_keep_the_size_get_room():
    body = nn.Sequential(nn.Conv2d(3, 6, 5), by_channel(5, stride=2), by_channel(5), nn.ReLU())
    names = list(body.state_dict())
    give_room(body)
    assert [type(layer) is RoomyConv2d for layer in body] == [False, False, True, False]
    assert list(body.state_dict()) == names


@torch.no_grad()
def test_what_is_fused_says_the_same_from_the_first_time_on():
    body = build_network(Recipe(image_size=64)).body.to(memory_format=torch.channels_last)
    photos = torch.randn(8, 3, 64, 64).to(memory_format=torch.channels_last)
    quick = fuse(body, torch.zeros_like(photos))
    said = [quick(photos) for _ in range(4)]
    assert quick is not body and torch.allclose(said[0], body(photos), atol=1e-4)
    assert all(torch.equal(said[0], later) for later in said)
