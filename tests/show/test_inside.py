"""Pictures of a network's inside show what they are given, where it belongs."""

import numpy as np
import pytest
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.show import inside


def test_filters_are_enlarged_to_plain_squares_of_whole_pixels():
    filters = np.zeros((5, 3, 3, 3))
    filters[1, 0, 2] = (1.0, 0.5, 0.0)  # first row, last column
    sheet = inside.draw_filters(filters, columns=3, size=20)
    assert sheet.size == (3 * 18 + 2 * 4, 2 * 18 + 4)  # three squares of 6 px are 18
    pixels = np.asarray(sheet)
    assert (pixels[0:6, 22 + 12 : 22 + 18] == (255, 128, 0)).all()
    assert (pixels[6:18, 22:40] == 0).all() and (pixels[0:6, 22:34] == 0).all()


@pytest.fixture
def portrait():
    """A channel that likes red: nine patches, one of them oblong."""
    patches = [np.full((4, 4, 3), (250, 0, 0), np.uint8)] * 8 + [np.full((4, 8, 3), (0, 0, 250), np.uint8)]
    gradients = [np.zeros((4, 4, 3))] * 9
    return inside.Portrait("stage 1:0", patches, gradients, np.full((20, 20, 3), (0.0, 1.0, 0.0)))


def test_a_portrait_holds_patches_gradients_and_a_wish_side_by_side(portrait):
    sheet = np.asarray(inside.draw_portraits([portrait], columns=2, tile=16))
    side, top = 3 * 17 - 1, inside.LABEL + inside.WORDS
    assert sheet.shape == (top + side, 3 * side + 8, 3)
    assert (sheet[top + 5, 5] == (250, 0, 0)).all()
    last = sheet[top + 34 : top + 50, 34:50]  # an oblong patch keeps its shape on a dark tile
    assert (last[8, 8] == (0, 0, 250)).all() and (last[1, 8] == 24).all() and (last[-1, 8] == 24).all()
    assert (sheet[top + 5, side + 4 + 5] == 128).all()  # no gradient is middle grey
    assert (sheet[top + 5, 2 * side + 8 + 5] == (0, 255, 0)).all()
    assert (sheet[: inside.LABEL] < 100).any()  # its name
    for start in (0, side + 4, 2 * side + 8):  # and what each square is
        assert (sheet[inside.LABEL : top, start : start + side] < 160).any()


def test_portraits_stand_in_rows(portrait):
    one = inside.draw_portraits([portrait], columns=2, tile=16)
    three = inside.draw_portraits([portrait] * 3, columns=2, tile=16)
    assert three.size == (2 * one.width + inside.GAP, 2 * one.height + inside.GAP)


def test_what_speaks_for_a_photo_is_blue_and_what_speaks_against_it_orange():
    values = np.zeros((20, 20))
    values[:5], values[15:] = 3.0, -3.0
    pixels = np.asarray(inside.overlay(np.full((20, 20, 3), 100, np.uint8), values), int)
    assert pixels[2, 9, 2] > pixels[2, 9, 0] + 90 and pixels[17, 9, 0] > pixels[17, 9, 2] + 90
    assert (pixels[10, 9] == 150).all()  # 90 + 0.6 * 100: pale grey


def test_maps_stand_in_columns_beside_their_photos_from_first_to_last():
    photos = np.stack([np.full((30, 30, 3), 20 * i, np.uint8) for i in range(7)])
    maps = {"one": np.zeros((7, 30, 30)), "two, random": np.zeros((7, 30, 30))}
    sheet = np.asarray(inside.draw_maps(photos, maps, [f"score {i}" for i in range(7)], most=3))
    rows, columns = len(sheet) // 3, 38
    assert sheet.shape[1] == 3 * columns - 8
    head = len(sheet) - 3 * (30 + inside.LABEL)
    starts = [head + i * (30 + inside.LABEL) for i in range(3)]
    assert [int(sheet[y + 15, 15, 0]) for y in starts] == [0, 60, 120] and rows
    assert [int(sheet[y + 15, columns + 15, 0]) for y in starts] == [90, 126, 162]


def test_nothing_to_draw_is_told_in_a_sentence():
    with pytest.raises(SelfieError, match="no channel to draw"):
        inside.draw_portraits([], columns=2)
    with pytest.raises(SelfieError, match="no photo to show"):
        inside.draw_maps(np.zeros((0, 8, 8, 3), np.uint8), {}, [], most=2)


def test_a_gradient_of_nothing_does_not_divide_by_nothing():
    assert np.asarray(inside._around_grey(np.zeros((3, 3, 3)))).tolist() == [[[128] * 3] * 3] * 3
    assert isinstance(inside._fitted(Image.new("RGB", (1, 90)), 48), Image.Image)
