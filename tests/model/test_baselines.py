"""The baseline: each statistic of a photo worked by hand, and what it learns from."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.linear_model import LogisticRegression

from selfie_utils.model.baselines import draw_taught, fit_baseline
from selfie_utils.photos.images import open_images
from selfie_utils.photos.measure import image_statistics


@pytest.fixture
def measure(tmp_path):
    """Measure photos given as uint8 (32, 32, 3), which are not resampled."""

    def statistics(*photos):
        names = [f"{i}.png" for i in range(len(photos))]
        for name, photo in zip(names, photos, strict=True):
            Image.fromarray(photo).save(tmp_path / name)
        return image_statistics(open_images(tmp_path), names)

    return statistics


def black():
    return np.zeros((32, 32, 3), np.uint8)


def test_statistics_of_a_photo_that_is_white_on_the_left(measure):
    photo = black()
    photo[:, :16] = 255
    (found,) = measure(photo)
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


def test_statistics_of_a_photo_with_a_red_quarter_on_top(measure):
    photo = np.full((32, 32, 3), 51, np.uint8)  # a fifth of 255
    photo[:8] = (255, 0, 0)
    (found,) = measure(photo)
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


def test_the_darkest_and_the_lightest_twentieth_do_not_count(measure):
    """Luminance climbs from 0 to 127 of 255, eight pixels a step; so its percentiles are known."""
    photo = np.repeat((np.arange(1024) // 8).reshape(32, 32, 1), 3, axis=2).astype(np.uint8)
    (found,) = measure(photo)
    # Percentiles 5, 50 and 95 lie at pixels 51.15, 511.5 and 971.85: values 6, 63.5, 121; the mean is 63.5.
    assert (255 * found[8:11]).tolist() == pytest.approx([6 - 63.5, 0, 121 - 63.5], abs=0.01)


@pytest.mark.parametrize(("level", "white"), [(229, 0), (230, 1)])  # nine tenths of 255 are 229.5
def test_an_edge_of_three_pixels_is_white_above_nine_tenths(measure, level, white):
    top, left, both, narrow, others = (black() for _ in range(5))
    top[:3] = left[:, :3] = level
    both[:2], both[:, :1] = level, level
    narrow[3:], narrow[:, 3:] = level, level
    others[-3:] = others[:, -3:] = level
    found = [row[13:15].tolist() for row in measure(top, left, both, others)]
    assert found[0] == pytest.approx([white, white * 3 / 32], abs=1e-4)
    assert found[1] == pytest.approx([white * 3 / 32, white], abs=1e-4)
    assert found[2] == pytest.approx([white * (2 * 32 + 1) / 96, white * (32 + 2 * 2) / 96], abs=1e-4)
    assert found[3] == pytest.approx([white * 3 / 32, white * 3 / 32], abs=1e-4)
    (inner,) = measure(np.where(np.add.outer(np.arange(32) > 2, np.arange(32) > 2)[..., None], narrow, 0))
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


def test_twenty_thousand_posts_are_learned_from_and_of_more_as_many_are_drawn():
    posts = pd.DataFrame({"image": range(20_001)})
    assert draw_taught(posts[1:], 0).equals(posts[1:])
    drawn = draw_taught(posts, 0)
    assert drawn["image"].nunique() == len(drawn) == 20_000 and set(drawn["image"]) < set(posts["image"])
    assert drawn.equals(draw_taught(posts, 0)) and not drawn.equals(draw_taught(posts, 1))


@pytest.fixture
def taught():
    """Statistics of very different sizes, of which only the smallest says something of the label."""
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.arange(90) % 3 == 0).astype(int)
    statistics = rng.normal(size=(90, 4))
    statistics[:, 2] += 1.5 * labels
    return statistics * [1, 5, 0.001, 3] + [0, 40, 0.2, -9], labels


def test_the_baseline_is_a_logistic_regression_on_statistics_of_equal_weight(taught):
    statistics, labels = taught
    train, test = statistics[:60], statistics[60:]
    middle, spread = train.mean(axis=0), train.std(axis=0)
    model = LogisticRegression(C=1).fit((train - middle) / spread, labels[:60])
    good = 1 / (1 + np.exp(-((test - middle) / spread @ model.coef_[0] + model.intercept_[0])))
    found = fit_baseline(train, labels[:60], test)
    assert found.dtype == np.float64 and found.tolist() == pytest.approx(good.tolist(), abs=1e-3)
    assert found[labels[60:] == 1].mean() > found[labels[60:] == 0].mean() + 0.1


def test_the_unit_of_a_statistic_changes_nothing(taught):
    statistics, labels = taught
    found = fit_baseline(statistics[:60], labels[:60], statistics[60:])
    other = statistics * [100, 0.01, 7, 1] + [3, -2, 0, 50]
    assert fit_baseline(other[:60], labels[:60], other[60:]) == pytest.approx(found, abs=1e-3)
