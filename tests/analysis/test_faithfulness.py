"""Deletion and insertion give the curves that arithmetic gives; maps that are alike are found alike."""

import numpy as np
import pandas as pd
import pytest

from selfie_utils.analysis import faithfulness
from selfie_utils.core.errors import SelfieError

SIZE = 16


def left_brightness(photos: np.ndarray) -> np.ndarray:
    """A score that hangs on the left half alone: its mean brightness, 0..1."""
    return photos[:, :, : SIZE // 2].mean((1, 2, 3)) / 255


@pytest.fixture
def white():
    """Three white photos."""
    return np.full((3, SIZE, SIZE, 3), 255, np.uint8)


def left_first(count: int = 3) -> np.ndarray:
    """Maps that name the left half, column by column."""
    return np.tile(-np.arange(SIZE, dtype=float), (count, SIZE, 1))


def test_deleting_what_counts_lowers_the_score_by_just_that_much(white):
    """Grey is 128 of 255. After a quarter of the pixels half of the left half is grey, after two all."""
    grey = 128 / 255
    curves = faithfulness.deletion(left_brightness, white, left_first(), steps=4)
    assert np.allclose(curves, [[1, (1 + grey) / 2, grey, grey, grey]] * 3)
    curves = faithfulness.deletion(left_brightness, white, -left_first(), steps=4)
    assert np.allclose(curves, [[1, 1, 1, (1 + grey) / 2, grey]] * 3)


def test_inserting_starts_from_a_blur_and_ends_at_the_photo():
    photos = np.zeros((1, SIZE, SIZE, 3), np.uint8)
    photos[:, :, 4:6] = 255  # a bright line that the blur spreads
    seen = []

    def rate(pictures):
        seen.append(pictures)
        return left_brightness(pictures)

    curves = faithfulness.insertion(rate, photos, left_first(1), steps=2)
    assert (seen[-1] == photos).all() and 0 < seen[0].max() < 255 and (seen[0] > 0).sum() > (photos > 0).sum()
    assert (seen[1][:, :, :8] == photos[:, :, :8]).all() and (seen[1][:, :, 8:] == seen[0][:, :, 8:]).all()
    assert curves[0, 1] == curves[0, 2] == pytest.approx(2 / 8)


def test_the_area_under_a_curve_is_that_of_its_trapezes():
    assert np.allclose(faithfulness.area_under(np.array([[1, 0, 0], [1, 1, 1], [0, 0.5, 1]])), [0.25, 1, 0.5])


def test_a_map_that_knows_the_score_beats_the_random_order_and_its_opposite_loses(white):
    orders = {"good": left_first(), "wrong": -left_first(), "chance": faithfulness.random_maps(3, SIZE, 0)}
    curves = faithfulness.follow(left_brightness, white, orders, steps=8)
    assert curves.shape == (2 * 3 * 3, 9) and curves.columns.tolist() == [i / 8 for i in range(9)]
    gained = faithfulness.gains(curves, "chance")
    assert gained.index.tolist() == [(k, o) for k in ("deletion", "insertion") for o in ("good", "wrong")]
    assert gained.loc[("deletion", "good"), "low"] > 0 > gained.loc[("deletion", "wrong"), "high"]
    assert (gained.loc["insertion", "mean"].abs() < 1e-9).all()  # a blur leaves white as it is
    assert "**1 of 4** are clearly better" in faithfulness.gains_in_words(gained)


def test_gains_are_positive_where_insertion_rises_sooner():
    index = pd.MultiIndex.from_product(
        [["insertion"], ["map", "chance"], [0, 1]], names=["kind", "order", "photo"]
    )
    curves = pd.DataFrame([[0, 1, 1], [0, 0.8, 1], [0, 0, 1], [0, 0, 1]], index, columns=[0, 0.5, 1])
    deletion = (1 - curves).rename(index={"insertion": "deletion"}, level="kind")
    gained = faithfulness.gains(pd.concat([deletion, curves]), "chance")
    assert np.allclose(gained["mean"], [0.45, 0.45])  # half of 1 and of 0.8, on average


def test_likeness_is_the_rank_correlation_of_pixels():
    rng = np.random.default_rng(0)
    one = rng.normal(size=(1, SIZE, SIZE))
    maps = np.concatenate([one, one, one, one * 0])
    others = np.concatenate([np.exp(one), -one, rng.normal(size=one.shape), one])
    found = faithfulness.likeness(maps, others)
    assert found[:2].tolist() == pytest.approx([1, -1]) and abs(found[2]) < 0.2 and np.isnan(found[3])


def test_the_control_tells_its_own_maps_from_those_that_any_network_draws():
    rng = np.random.default_rng(1)
    maps = {"same": rng.normal(size=(6, SIZE, SIZE)), "other": rng.normal(size=(6, SIZE, SIZE))}
    control = {"same": maps["same"] * 2, "other": rng.normal(size=(6, SIZE, SIZE))}
    compared = faithfulness.compare_with_random(maps, control)
    assert compared.index.tolist() == ["same", "same, without signs", "other", "other, without signs"]
    assert np.allclose(compared.loc["same", ["mean", "low", "high"]], 1)
    told = faithfulness.control_in_words(compared)
    assert "same: +1.00 (+1.00 to +1.00), no clearly different map" in told and told.count("its own map") == 1


def test_random_maps_follow_their_seed_and_come_in_patches():
    one, again, other = (faithfulness.random_maps(2, 64, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again) and not np.array_equal(one, other)
    assert np.corrcoef(one[0, 1:].ravel(), one[0, :-1].ravel())[0, 1] > 0.9


def test_metrics_leave_out_what_is_not_known():
    row = pd.DataFrame([[0.1, np.nan, np.nan]], ["a"], ["mean", "low", "high"])
    gained = row.set_axis(pd.MultiIndex.from_tuples([("deletion", "a")]))
    assert faithfulness.as_metrics(row, gained) == {"likeness_to_random a": 0.1, "deletion_gain a": 0.1}


def test_no_step_is_told_in_a_sentence(white):
    with pytest.raises(SelfieError, match="0 steps"):
        faithfulness.deletion(left_brightness, white, left_first(), steps=0)
