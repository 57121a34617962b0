"""Crops: numbers become boxes inside the photo, and pixels are those of Pillow's crop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos import crops

SHARE = st.floats(0, 1)


@pytest.fixture
def noise():
    """An oblong photo of noise, 90 x 61 px, with a red mark in its bottom right corner."""
    pixels = np.random.default_rng(0).integers(0, 200, (61, 90, 3), dtype=np.uint8)
    pixels[-9:, -7:] = (255, 0, 0)
    return Image.fromarray(pixels)


def test_boxes_of_a_photo_of_200_x_100_px_as_worked_by_hand():
    """Sides from 40 to 100 px; what is left of width and height is where a crop may move."""
    numbers = [(1, 0, 0), (1, 0.5, 1), (0, 0, 0), (0, 1, 1), (0.5, 0.25, 0.5)]
    wanted = [[0, 0, 100, 100], [50, 0, 150, 100], [0, 0, 40, 40], [160, 60, 200, 100]]
    wanted.append([32, 15, 102, 85])  # 70 px a side: a quarter of 130 px across, half of 30 px down, rounded
    boxes = crops.boxes_of(np.array(numbers), (200, 100), smallest=0.4)
    assert abs(boxes - wanted).max() == 0 and boxes.dtype == np.int64


@given(
    st.lists(st.tuples(SHARE, SHARE, SHARE), min_size=1, max_size=9),
    st.integers(60, 400),
    st.integers(60, 400),
)
def test_boxes_are_square_and_inside_and_lead_back_to_their_numbers(numbers, width, height):
    boxes = crops.boxes_of(np.array(numbers), (width, height))
    sides = boxes[:, 2:] - boxes[:, :2]
    assert (sides[:, 0] == sides[:, 1]).all() and (sides >= 0.35 * min(width, height) - 0.5).all()
    assert (boxes >= 0).all() and (boxes[:, 2] <= width).all() and (boxes[:, 3] <= height).all()
    again = crops.boxes_of(crops.numbers_of(boxes, (width, height)), (width, height))
    assert abs(again - boxes).max() <= 1  # rounding


def test_a_photo_too_small_for_the_smallest_crop_is_refused_in_one_sentence():
    crops.boxes_of(crops.WHOLE, (46, 300), smallest=0.35)  # 16.1 px
    with pytest.raises(SelfieError, match=r"45 x 300 px.*16 px a side, expected 16 or more"):
        crops.boxes_of(crops.WHOLE, (45, 300), smallest=0.35)
    for smallest in (0, 1.01):
        with pytest.raises(SelfieError, match="smallest crop is"):
            crops.boxes_of(crops.WHOLE, (100, 100), smallest)


@pytest.mark.parametrize("numbers", [(0.5, 0.5), (0.5, 0.5, 1.01), (-0.01, 0.5, 0.5), (np.nan, 0, 0)])
def test_other_than_three_numbers_from_0_to_1_are_no_crop(numbers):
    with pytest.raises(SelfieError, match="three numbers from 0 to 1"):
        crops.boxes_of(np.array(numbers), (100, 100))


@pytest.mark.parametrize("size", [16, 32, 64])  # crops shrink, or are enlarged
def test_pixels_are_those_of_pillows_crop_and_resize(noise, size):
    boxes = crops.boxes_of(np.random.default_rng(1).random((7, 3)), noise.size)
    cut = crops.cut(noise, boxes, size)
    assert cut.shape == (7, size, size, 3) and cut.dtype == np.uint8
    for crop, box in zip(cut, boxes.tolist(), strict=True):
        wanted = noise.crop(box).resize((size, size), Image.Resampling.BILINEAR)
        assert (crop == np.asarray(wanted)).all()


def test_the_last_crop_shows_the_bottom_right_corner(noise):
    (crop,) = crops.cut(noise, crops.boxes_of((0, 1, 1), noise.size), 21)
    assert crop[-1, -1].tolist() == [255, 0, 0] and crop[0, 0, 0] < 210


def test_a_photo_is_decoded_at_twice_the_networks_size_and_never_enlarged(noise):
    assert crops.fit_for_crops(noise, 32) is noise
    small = crops.fit_for_crops(noise, 15)
    assert small.size == (44, 30)


def test_the_control_is_the_whole_photo_with_as_few_pixels_as_the_crop(noise):
    """Of stripes 1 px wide nothing is left at half the size; a crop as large as the network leaves all."""
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    sharp, blurred = crops.as_sharp_as(Image.fromarray(stripes), [64, 16], 64)
    assert (sharp == stripes).all()
    assert blurred[8:-8, 8:-8].std() < 30 and abs(int(blurred.mean()) - 127) < 3
    assert crops.as_sharp_as(noise, [], 8).shape == (0, 8, 8, 3)


def test_boxes_as_shares_of_width_and_height():
    assert crops.as_shares([[50, 0, 150, 100]], (200, 100)).tolist() == [[0.25, 0, 0.75, 1]]
