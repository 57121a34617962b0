"""Measures of photos: light, colour and framing worked out by hand, and the statistics of the baseline."""

import os
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos import measure
from selfie_utils.photos.faces import LANDMARKS
from selfie_utils.photos.images import ImageFolder, open_images
from selfie_utils.photos.measure import image_statistics

GREY = 100
FACE = {"faces": 1, "left": 0.3, "top": 0.3, "right": 0.7, "bottom": 0.7} | {
    f"{point}_{axis}": value
    for point, place in zip(
        LANDMARKS, [(0.4, 0.5), (0.6, 0.5), (0.5, 0.55), (0.4, 0.6), (0.6, 0.6)], strict=True
    )
    for axis, value in zip("xy", place, strict=True)
}


def test_nothing_readable_is_refused(tmp_path):
    with pytest.raises(SelfieError, match="None of the photos can be read"):
        measure.measure(ImageFolder(tmp_path), pd.DataFrame([{"image": "gone.png", **FACE}]))


class Slow(ImageFolder):
    """A folder whose first photos take longest to read; it counts how many are read at the same time."""

    def __init__(self, root):
        super().__init__(root)
        self.reading, self.most = [], 0

    def read(self, name):
        self.reading.append(name)
        self.most = max(self.most, len(self.reading))
        time.sleep(0.05 if name < "04" else 0)
        self.reading.remove(name)
        return super().read(name)


@pytest.fixture
def many(tmp_path):
    """Twenty photos of noise, of which photo 3 is missing and photo 12 broken, and their faces, shuffled."""
    rng = np.random.default_rng(0)
    for i in range(20):
        pixels = rng.integers(0, 256 - 6 * i, (70, 90, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{i:02d}.png")
    (tmp_path / "03.png").unlink()
    (tmp_path / "12.png").write_bytes(b"no photo")
    rows = [{"image": f"{i:02d}.png", **FACE, "faces": i, "right": 0.4 + i / 40} for i in range(20)]
    faces = pd.DataFrame(rows).sample(frac=1, random_state=1)
    faces.index = rng.permutation(20)
    return Slow(tmp_path), faces


def test_each_photo_is_measured_with_its_own_face_in_the_order_of_faces(many):
    images, faces = many
    found = measure.measure(images, faces)
    readable = faces[~faces["image"].isin(["03.png", "12.png"])]
    assert found["image"].tolist() == readable["image"].tolist() and found.index.tolist() == list(range(18))
    assert found["faces"].tolist() == readable["faces"].tolist()
    assert found["face_width"].tolist() == pytest.approx((readable["right"] - 0.3).tolist())
    for row in found.iloc[[0, 9, 17]].to_dict("records"):
        alone = measure.measure(images, faces[faces["image"] == row["image"]])
        assert alone.iloc[0].to_dict() == row


def test_all_cores_measure_what_one_does(many, monkeypatch):
    images, faces = many
    found = {}
    for cores in (1, 5):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        images.most = 0
        found[cores] = measure.measure(images, faces), image_statistics(images, faces["image"].tolist())
        assert (images.most > 1) == (cores > 1)
    pd.testing.assert_frame_equal(found[1][0], found[5][0], check_exact=True)
    assert np.array_equal(found[1][1], found[5][1])


@pytest.fixture
def measures_of(tmp_path):
    """Measure one photo given as uint8 (64, 64) or (64, 64, 3), so that no pixel is resampled."""

    def one(pixels, **face):
        pixels = np.asarray(pixels, np.uint8)
        Image.fromarray(np.stack([pixels] * 3, 2) if pixels.ndim == 2 else pixels).save(tmp_path / "a.png")
        table = pd.DataFrame([{"image": "a.png", **FACE, **face}])
        return measure.measure(ImageFolder(tmp_path), table).iloc[0]

    return one


def plain(level=GREY):
    return np.full((64, 64), level, np.uint8)


@pytest.mark.parametrize(
    ("colour", "luminance"), [((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)]
)
def test_brightness_is_luminance_by_rec_601(measures_of, colour, luminance):
    found = measures_of(np.broadcast_to(np.array(colour), (64, 64, 3)))
    assert found[["brightness", "shadow", "highlight"]].tolist() == pytest.approx([luminance] * 3, abs=1e-5)


def test_light_is_measured_inside_the_border_and_its_blurred_edge(measures_of):
    """The border has four widths: 4 on top, 6 below, 2 on the left and 5 on the right."""
    photo = plain()
    photo[:4] = photo[-6:] = photo[:, :2] = photo[:, -5:] = 255
    rim = [(4, 30), (64 - 7, 30), (30, 2), (30, 64 - 6)]  # the outermost pixels inside, one at each side
    for row, column in rim:
        photo[row, column] = 3
    photo[5, 3], photo[64 - 8, 64 - 7] = 40, 230  # the first and the last that count
    found = measures_of(photo)
    assert found["shadow"] == pytest.approx(40 / 255, abs=1e-5)
    assert found["highlight"] == pytest.approx(230 / 255, abs=1e-5)
    height, width = 64 - 4 - 6 - 2, 64 - 2 - 5 - 2
    light = (GREY * (height * width - 2) + 40 + 230) / (height * width) / 255
    assert found["brightness"] == pytest.approx(light, abs=1e-5)


def test_without_a_border_only_the_outermost_pixels_do_not_count(measures_of):
    photo = plain()
    photo[0, 9] = photo[-1, 9] = photo[9, 0] = photo[9, -1] = 255
    photo[1, 1], photo[-2, -2] = 30, 200
    found = measures_of(photo)
    assert (found["shadow"], found["highlight"]) == pytest.approx((30 / 255, 200 / 255), abs=1e-5)


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right", "width"),
    [
        (4, 6, 2, 5, 4), (6, 4, 5, 2, 4), (2, 5, 4, 6, 4), (5, 2, 6, 4, 4), (7, 0, 0, 9, 0), (7, 0, 9, 3, 3),
        (64, 64, 64, 64, 64),
    ],
)  # fmt: skip
def test_a_borders_width_is_that_of_two_facing_edges(measures_of, top, bottom, left, right, width):
    photo = plain()
    photo[:top] = photo[64 - bottom :] = photo[:, :left] = photo[:, 64 - right :] = 255
    assert measures_of(photo)["border_width"] == width / 64


@pytest.mark.parametrize(
    ("level", "white", "around"),
    [(238, True, True), (237, False, False), (17, False, True), (18, False, False)],  # 0.93 and 0.07 of 255
)
def test_a_border_is_nearly_white_or_nearly_black(measures_of, level, white, around):
    photo = plain()
    photo[:5] = photo[-5:] = level
    found = measures_of(photo)
    assert found["border_width"] == (5 / 64 if white else 0)
    inside = GREY if around else (GREY * 54 + level * 8) / 62  # one row at each end never counts
    assert found["brightness"] == pytest.approx(inside / 255, abs=1e-5)


@pytest.mark.parametrize(("spoilt", "width"), [(1, 5 / 64), (2, 2 / 64)])
def test_a_line_of_the_border_may_have_one_pixel_of_64_that_is_not(measures_of, spoilt, width):
    photo = plain()
    photo[:5] = photo[-5:] = 255
    photo[2, 10 : 10 + spoilt] = 90
    assert measures_of(photo)["border_width"] == width


@pytest.mark.parametrize(("width", "is_border"), [(20, True), (21, False)])
def test_what_takes_a_third_of_the_photo_is_no_border_but_a_part_of_it(measures_of, width, is_border):
    photo = plain()
    photo[:width] = 255
    rows = 63 - width  # below the white, without the last
    light = GREY if is_border else (GREY * rows + 255 * (width - 1)) / 62
    assert measures_of(photo)["brightness"] == pytest.approx(light / 255, abs=1e-5)
    for counts, row, column in (
        (True, 62, 62),
        (True, 62, 1),
        (False, 63, 30),
        (False, 30, 63),
        (False, 30, 0),
    ):
        marked = photo.copy()
        marked[row, column] = 5
        assert (measures_of(marked)["shadow"] < 0.1) == counts, (row, column)
    photo[1, 1] = 5
    assert (measures_of(photo)["shadow"] < 0.1) == (not is_border)


def test_colour_is_what_a_parabola_of_luminance_leaves_over(measures_of):
    rng = np.random.default_rng(0)
    tone = rng.integers(20, 236, (64, 64)) / 255
    photo = np.stack([tone, tone**2, np.sqrt(tone)], axis=2) + rng.normal(0, 0.02, (64, 64, 3))
    photo = (photo.clip(0.1, 0.9) * 255).round().astype(np.uint8)
    inside = photo[1:-1, 1:-1].reshape(-1, 3) / 255
    light = 0.299 * inside[:, 0] + 0.587 * inside[:, 1] + 0.114 * inside[:, 2]
    left = [channel - np.polyval(np.polyfit(light, channel, 2), light) for channel in inside.T]
    by_hand = np.mean(np.abs(left)) / np.std(light)
    assert measures_of(photo)["colour"] == pytest.approx(by_hand, rel=1e-3)
    assert measures_of(np.stack([photo[..., 0]] * 3, axis=2))["colour"] == pytest.approx(0, abs=1e-5)
    sepia = (tone[..., None] * [230, 180, 130]).astype(np.uint8)
    assert measures_of(sepia)["colour"] < 0.02


@pytest.mark.parametrize(("black", "white"), [(0, 0.2), (0, 0.5), (0.3, 0.9), (0.2, 0.5)])
def test_a_photo_keeps_its_colour_when_it_is_darkened_or_faded_and_gains_none(measures_of, black, white):
    rng = np.random.default_rng(0)
    photo = rng.integers(20, 220, (64, 64, 1)) + rng.normal(0, 12, (64, 64, 3))
    grey = photo.mean(axis=2, keepdims=True).repeat(3, axis=2)

    def colour(pixels):
        return measures_of((255 * black + (white - black) * pixels).clip(0, 255).round())["colour"]

    plain = measures_of(photo.round())["colour"]
    assert plain > 0.1 and colour(photo) == pytest.approx(plain, rel=0.1)
    assert colour(grey) < 0.01


@pytest.mark.parametrize("level", [(0, 0, 0), (255, 255, 255), (200, 40, 40)])
def test_a_photo_of_one_level_has_no_colour_and_divides_by_nothing(measures_of, level):
    assert measures_of(np.full((64, 64, 3), level))["colour"] == pytest.approx(0, abs=1e-3)


def box(left, top, right, bottom):
    """A face box, given in pixels of 64."""
    edges = zip(("left", "top", "right", "bottom"), (left, top, right, bottom), strict=True)
    return {name: edge / 64 for name, edge in edges}


def test_glare_is_the_share_of_the_faces_pixels_that_are_over_four_fifths(measures_of):
    photo = plain()
    photo[32, 16] = photo[32, 31] = photo[47, 16] = photo[47, 31] = 205  # the corners of the face
    photo[33, 20:30] = 203
    photo[31] = photo[48] = photo[:, 15] = photo[:, 32] = 205  # just outside
    assert measures_of(photo, **box(16, 32, 32, 48))["face_glare"] == 4 / (16 * 16)
    assert measures_of(photo, **box(15.6, 32.4, 31.6, 48.4))["face_glare"] == 4 / (16 * 16)  # rounded
    assert measures_of(photo, **box(16, 32, 32, 49))["face_glare"] == (4 + 16) / (16 * 17)


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_without_a_face_there_is_no_glare(measures_of, edge):
    assert np.isnan(measures_of(plain(255), **{edge: np.nan})["face_glare"])


def test_a_face_may_reach_beyond_the_photo_or_be_a_line(measures_of):
    photo = plain()
    photo[:32] = 255
    assert measures_of(photo, **box(-10, -20, 80, 90))["face_glare"] == 0.5
    assert measures_of(photo, **box(10, 31, 10, 31))["face_glare"] == 1  # one pixel
    assert measures_of(photo, **box(10, 32, 12, 32))["face_glare"] == 0
    assert np.isnan(measures_of(photo, **box(64, 10, 70, 20))["face_glare"])  # outside: nothing to see


def eyes_and_mouth(left_eye, right_eye, left, right):
    return {"left_eye_y": left_eye, "right_eye_y": right_eye, "mouth_left_y": left, "mouth_right_y": right}


def test_the_head_begins_above_the_eyes_by_1_6_times_their_distance_to_the_mouth(measures_of):
    tilted = eyes_and_mouth(0.38, 0.42, 0.57, 0.63)  # 0.4 and 0.6 on average: the head begins at 0.08
    assert measures_of(plain(), **tilted)["face_top"] == pytest.approx(0.08 / 0.2)
    framed = plain()
    framed[:8] = framed[-8:] = 255
    assert measures_of(framed, **tilted)["face_top"] == pytest.approx((0.08 - 8 / 64) / 0.2)
    upside_down = measures_of(plain(), **eyes_and_mouth(0.6, 0.6, 0.4, 0.4))
    assert 0 < upside_down["face_top"] < np.inf


def test_the_faces_are_counted_and_the_box_is_measured_across(measures_of):
    found = measures_of(plain(), **box(8, 10, 40, 60) | {"faces": 3})
    assert found["face_width"] == 0.5 and found["faces"] == 3


# --- statistics of the baseline ----------------------------------------------------------------------


@pytest.fixture
def statistics_of(tmp_path):
    """Measure photos given as uint8 (32, 32, 3), which are not resampled."""

    def statistics(*photos):
        names = [f"{i}.png" for i in range(len(photos))]
        for name, photo in zip(names, photos, strict=True):
            Image.fromarray(photo).save(tmp_path / name)
        return image_statistics(open_images(tmp_path), names)

    return statistics


def black():
    return np.zeros((32, 32, 3), np.uint8)


def test_statistics_of_a_photo_that_is_white_on_the_left(statistics_of):
    photo = black()
    photo[:, :16] = 255
    (found,) = statistics_of(photo)
    assert found.shape == (31,) and found.dtype == np.float32
    assert found.tolist() == pytest.approx(
        [0.5] * 3  # means of red, green and blue
        + [0.5] * 3  # their standard deviations
        + [0, 0]  # no saturation anywhere
        + [-0.5, 0, 0.5]  # luminance: the darkest, the middle, the lightest, less the mean
        + [0, 1 / 31]  # downwards nothing changes, across one step of 31
        + [0.5, 1]  # white on top, white on the left
        + [1, 1, 0, 0] * 4,  # the light of a grid, row by row
        abs=1e-4,
    )


def test_statistics_of_a_photo_with_a_red_quarter_on_top(statistics_of):
    photo = np.full((32, 32, 3), 51, np.uint8)  # a fifth of 255
    photo[:8] = (255, 0, 0)
    (found,) = statistics_of(photo)
    spread = np.sqrt(1 / 4 * 3 / 4)  # of what holds for a quarter, as 0 or 1
    light = 1 / 4 * 1 / 3 + 3 / 4 * 0.2
    assert found.tolist() == pytest.approx(
        [0.25 + 0.15, 0.15, 0.15]
        + [0.8 * spread, 0.2 * spread, 0.2 * spread]
        + [0.25, spread]
        + [0.2 - light, 0.2 - light, 1 / 3 - light]
        + [(1 / 3 - 0.2) / 31, 0]
        + [0, 0]
        + [1 / 3] * 4
        + [0.2] * 12,
        abs=1e-4,
    )


def test_the_darkest_and_the_lightest_twentieth_do_not_count(statistics_of):
    """Luminance climbs from 0 to 127 of 255, eight pixels a step; so its percentiles are known."""
    photo = np.repeat((np.arange(1024) // 8).reshape(32, 32, 1), 3, axis=2).astype(np.uint8)
    (found,) = statistics_of(photo)
    # Percentiles 5, 50 and 95 lie at pixels 51.15, 511.5 and 971.85: values 6, 63.5, 121; the mean is 63.5.
    assert (255 * found[8:11]).tolist() == pytest.approx([6 - 63.5, 0, 121 - 63.5], abs=0.01)


@pytest.mark.parametrize(("level", "white"), [(229, 0), (230, 1)])  # nine tenths of 255 are 229.5
def test_an_edge_of_three_pixels_is_white_above_nine_tenths(statistics_of, level, white):
    top, left, both, narrow, others = (black() for _ in range(5))
    top[:3] = left[:, :3] = level
    both[:2], both[:, :1] = level, level
    narrow[3:], narrow[:, 3:] = level, level
    others[-3:] = others[:, -3:] = level
    found = [row[13:15].tolist() for row in statistics_of(top, left, both, others)]
    assert found[0] == pytest.approx([white, white * 3 / 32], abs=1e-4)
    assert found[1] == pytest.approx([white * 3 / 32, white], abs=1e-4)
    assert found[2] == pytest.approx([white * (2 * 32 + 1) / 96, white * (32 + 2 * 2) / 96], abs=1e-4)
    assert found[3] == pytest.approx([white * 3 / 32, white * 3 / 32], abs=1e-4)
    (inner,) = statistics_of(
        np.where(np.add.outer(np.arange(32) > 2, np.arange(32) > 2)[..., None], narrow, 0)
    )
    assert inner[13:15].tolist() == pytest.approx([white * 29 / 32] * 2, abs=1e-4)


def test_a_photo_is_squished_whole(tmp_path):
    photo = np.zeros((64, 192, 3), np.uint8)
    photo[32:, 144:] = 255  # white in the bottom right corner, a quarter of the width
    Image.fromarray(photo).save(tmp_path / "wide.png")
    (found,) = image_statistics(open_images(tmp_path), ["wide.png"])
    assert found[15:].reshape(4, 4) == pytest.approx(np.outer([0, 0, 1, 1], [0, 0, 0, 1]), abs=0.1)


def test_a_photo_that_cannot_be_read_gets_the_mean_of_the_others(tmp_path):
    for name, level in (("a.png", 30), ("b.png", 90), ("c.png", 180)):
        Image.new("RGB", (40, 50), (level,) * 3).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"not a photo")
    names = ["a.png", "broken.png", "c.png", "missing.png", "b.png"]
    found = image_statistics(open_images(tmp_path), names)
    assert found.shape == (5, 31)
    assert (255 * found[:, 0]).tolist() == pytest.approx([30, 100, 180, 100, 90], abs=0.01)
    assert found[3] == pytest.approx(found[[0, 2, 4]].mean(axis=0), abs=1e-4)


def test_where_nothing_can_be_read_all_is_nought(tmp_path):
    found = image_statistics(open_images(tmp_path), ["missing.png", "too.png"])
    assert found.shape == (2, 31) and not found.any()
