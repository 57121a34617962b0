"""The Spatial Transformer cuts what Pillow cuts, and its gradients lead uphill where there is one hill."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import nn

from selfie_utils.core.errors import SelfieError
from selfie_utils.model.spatial_transformer import Climb, climb, cut_evenly, look_through, theta_of
from selfie_utils.photos.crops import boxes_of, cut, numbers_of


class LikesMiddle(nn.Module):
    """Likes crops in whose middle it is light: a bright spot is liked best when it is centred, and large."""

    image_size, device = 32, torch.device("cpu")

    def __init__(self):
        super().__init__()
        row = torch.exp(-((torch.arange(32) - 15.5) ** 2) / 60)
        self.register_buffer("window", row[:, None] * row)

    def forward(self, photos):
        light = (photos.float() / 255 * self.window).mean(dim=(1, 2, 3)) * 40
        return torch.stack([torch.zeros_like(light), light], 1), light[:, None]


@pytest.fixture(scope="module")
def smooth():
    """A photo of 90 x 70 px without sharp edges."""
    pixels = np.random.default_rng(0).normal(0, 1, (70, 90, 3))
    pixels = ndimage.gaussian_filter(pixels, (4, 4, 0))
    return Image.fromarray((128 + 300 * pixels).clip(0, 255).astype(np.uint8))


def tensor_of(photo):
    return torch.from_numpy(np.asarray(photo, np.float32)).permute(2, 0, 1)


@pytest.mark.parametrize("size", [24, 48])  # crops shrink, or are enlarged
def test_a_crop_cut_as_tensor_is_pillows_up_to_rounding(smooth, size):
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 256, (70, 90, 3), dtype=np.uint8))
    boxes = boxes_of(np.random.default_rng(2).random((6, 3)), noise.size)
    for photo in (smooth, noise):
        ours = cut_evenly(tensor_of(photo), torch.tensor(boxes), size).permute(0, 2, 3, 1).numpy()
        assert abs(ours - cut(photo, boxes, size)).max() <= 1.01  # Pillow rounds twice


def test_the_transformer_looks_where_the_box_is(smooth):
    numbers = np.random.default_rng(3).random((6, 3))
    boxes = boxes_of(numbers, smooth.size)
    numbers = numbers_of(boxes, smooth.size)  # of whole pixels
    theta = theta_of(torch.tensor(numbers), smooth.size)
    seen = look_through(tensor_of(smooth).double()[None], theta, 40).permute(0, 2, 3, 1).numpy()
    inside = np.s_[:, 2:-2, 2:-2]  # at the edge one reads beyond the box, the other does not
    assert abs(seen[inside] - cut(smooth, boxes, 40)[inside]).mean() < 2


@pytest.fixture(scope="module")
def spot():
    """A bright spot on a dark photo of 100 x 80 px, right of the middle and above it."""
    rows, columns = np.mgrid[:80, :100]
    light = 255 * np.exp(-((columns - 65) ** 2 + (rows - 30) ** 2) / 200)
    return Image.fromarray(np.repeat(light[:, :, None], 3, 2).astype(np.uint8))


@pytest.mark.parametrize("parameters", [3, 6])
@pytest.mark.parametrize("pyramid", [False, True])
def test_gradients_bring_a_spot_into_the_middle_and_make_it_large(spot, parameters, pyramid):
    starts = np.array([[0.8, 0.5, 0.5], [0.5, 0.7, 0.3]])
    paths = climb(LikesMiddle(), spot, starts, Climb(parameters, pyramid, steps=30))
    assert paths.numbers.shape == (2, 30, 3) and paths.scores.shape == (2, 30)
    assert np.allclose(paths.numbers[:, 0], starts, atol=1e-5)
    assert ((paths.numbers >= 0) & (paths.numbers <= 1)).all()
    boxes = boxes_of(paths.numbers[:, -1], spot.size)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    assert (
        abs(middles - [65, 30]).max() < 8 and (paths.numbers[:, -1, 0] < paths.numbers[:, 0, 0] - 0.2).all()
    )
    whole = Climb(parameters, steps=30)
    assert pyramid or (climb(LikesMiddle(), spot, starts, whole).scores[:, -1] > paths.scores[:, 0]).all()


def test_other_parameters_and_no_steps_are_refused():
    with pytest.raises(SelfieError, match="3 or 6 parameters, not 4"):
        Climb(4)
    with pytest.raises(SelfieError, match="0 steps"):
        Climb(steps=0)
    assert Climb(6, True).name == "gradient, 6 parameters, blurred first"
