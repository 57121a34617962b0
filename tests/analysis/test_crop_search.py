"""Searches find the top of a hill whose place is known, within the evaluations that they are given."""

import importlib.util

import numpy as np
import pandas as pd
import pytest

from selfie_utils.analysis import crop_search as cs
from selfie_utils.core.errors import SelfieError

TOP = np.array([0.3, 0.8, 0.2])
SEARCHES = cs.methods()


class Bowl:
    """A hill without any other top: 0.9 there, falling with the squared distance; counts what it is asked."""

    def __init__(self, top=TOP):
        self.top, self.asked, self.all = top, 0, []

    def __call__(self, numbers):
        assert ((numbers >= 0) & (numbers <= 1)).all()
        self.asked += len(numbers)
        self.all.append(numbers)
        return 0.9 - ((numbers - self.top) ** 2).sum(1)


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("budget", [1, 7, 90, 150])
def test_a_search_looks_exactly_as_often_as_it_may_and_tells_all_it_saw(name, budget):
    hill = Bowl()
    tried = SEARCHES[name](hill, budget, np.random.default_rng(0))
    wanted = min(budget, 90) if name == "grid of 90" else budget
    assert hill.asked == len(tried.scores) == len(tried.numbers) == wanted
    assert np.allclose(tried.scores, Bowl()(tried.numbers)) and tried.scores[tried.best] == tried.scores.max()


@pytest.mark.parametrize("name", SEARCHES)
def test_the_same_seed_looks_at_the_same_crops_and_another_at_others(name):
    def seen(seed):
        return SEARCHES[name](Bowl(), 60, np.random.default_rng(seed)).numbers

    assert (seen(1) == seen(1)).all() and not np.array_equal(seen(1), seen(2))


@pytest.mark.parametrize("name", SEARCHES)
@pytest.mark.parametrize("budget", [0, -3])
def test_no_evaluations_are_refused_in_one_sentence(name, budget):
    with pytest.raises(SelfieError, match=f"{budget} evaluations finds nothing"):
        SEARCHES[name](Bowl(), budget, np.random.default_rng(0))


@pytest.mark.parametrize("top", [TOP, np.array([0.0, 1.0, 0.5])])  # also in a corner
@pytest.mark.parametrize("search", [cs.search_coarse_to_fine, cs.search_model])
def test_searches_that_learn_come_five_times_as_near_as_random_crops(top, search):
    def gap(search):
        runs = [search(Bowl(top), 150, np.random.default_rng(seed)) for seed in range(5)]
        return np.mean([0.9 - run.scores.max() for run in runs])

    assert gap(search) < 0.002 and gap(search) * 5 < gap(cs.search_random)


def test_the_gaussian_process_finds_the_higher_of_two_hills_where_going_uphill_would_not():
    """A broad hill of 0.6, and one of 0.8 at the far end of the photo."""

    def hills(numbers):
        broad = 0.6 * np.exp(-((numbers - [0.6, 0.2, 0.2]) ** 2).sum(1) / 0.3)
        return np.maximum(broad, 0.8 * np.exp(-((numbers - [0.1, 0.9, 0.8]) ** 2).sum(1) / 0.04))

    found = [cs.search_model(hills, 150, np.random.default_rng(seed)).scores.max() for seed in range(5)]
    assert min(found) > 0.78


@pytest.mark.skipif(importlib.util.find_spec("cma") is None, reason="needs the extra crop")
def test_cma_es_finds_the_top_too():
    assert 0.9 - cs.search_cma(Bowl(), 200, np.random.default_rng(0)).scores.max() < 1e-3


def test_without_cma_its_search_is_left_out(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert "CMA-ES" not in cs.methods() and len(cs.methods()) == 5 and "[crop]" in cs.NO_CMA


def test_the_fixed_grid_is_90_different_crops_of_five_sizes():
    grid = cs.search_pyramid(Bowl(), 90, np.random.default_rng(0)).numbers
    assert len(np.unique(grid, axis=0)) == 90
    sizes, counts = np.unique(grid[:, 0].round(6), return_counts=True)
    assert counts.tolist() == [36, 25, 16, 9, 4] and sizes[0] > 0 and sizes[-1] < 1


def test_spread_crops_leave_no_gap():
    """With 64 crops every eighth of the cube has exactly eight: the first numbers of Sobol's are a net."""
    numbers = cs.spread(64, np.random.default_rng(0))
    assert np.unique((numbers >= 0.5) @ [1, 2, 4], return_counts=True)[1].tolist() == [8] * 8
    assert cs.spread(1, np.random.default_rng(0)).shape == (1, 3)


def test_a_survey_knows_the_grid_and_what_lies_straight_between():
    land = cs.survey(Bowl(np.array([0.5, 0.25, 1.0])), scales=3, places=5)
    assert land.scores.shape == (3, 5, 5) and land.best.tolist() == [0.5, 0.25, 1.0]
    assert land.scores.max() == pytest.approx(0.9)
    between = land(np.array([[0.5, 0.25, 1.0], [0.25, 0.25, 1.0]]))  # on the grid; half way down in scale
    assert between.tolist() == pytest.approx([0.9, 0.9 - 0.125])
    assert land.hills().sum() == 1
    with pytest.raises(SelfieError, match="2 or more"):
        cs.survey(Bowl(), 12, 1)


def two_hills():
    """A landscape with a broad hill of 0.6 at the left, and the best crop, 0.8, at the right."""
    scores = np.full((3, 5, 5), 0.1)
    scores[:, 0, 2], scores[1, 4, 2] = 0.6, 0.8
    return cs.Landscape(scores)


def test_regret_is_what_the_best_crop_found_lacks_in_points():
    def at_left(score, budget, rng):
        numbers = np.tile([0.5, 0.0, 0.5], (budget, 1))
        numbers[3:, 1] = 1.0  # the fourth look finds it
        return cs.Tried(numbers, score(numbers))

    table = cs.compare([two_hills()], [1, 3, 4, 9], 2, {"mine": at_left})
    assert (
        table.pivot(index="seed", columns="evaluations", values="regret").round(6).to_numpy().tolist()
        == [[20, 20, 0, 0]] * 2
    )
    for budgets, seeds in (([0, 5], 1), ([], 1), ([5], 0)):
        with pytest.raises(SelfieError, match="1 or more"):
            cs.compare([two_hills()], budgets, seeds)


def test_more_evaluations_never_raise_the_regret_of_a_search_that_goes_on():
    table = cs.compare([cs.survey(Bowl())], [25, 50, 100], 3)
    rising = table[table["method"] != cs.COARSE_TO_FINE].sort_values("evaluations")
    assert (rising.groupby(["method", "seed"])["regret"].diff().fillna(0) <= 0).all()
    assert table.loc[table["method"] == "grid of 90", "evaluations"].unique().tolist() == [90]
    assert (table["regret"] >= -1e-9).all()


def test_regrets_are_summed_up_over_photos_and_seeds():
    """Six photos, four seeds: the median of twelve times 0, nine times 4 and three times 8 is 2."""
    regrets = pd.DataFrame({"photo": np.repeat(range(6), 4), "method": "a", "seed": [0, 1, 2, 3] * 6})
    regrets = regrets.assign(evaluations=25, regret=[0.0, 0, 0, 0] * 3 + [4, 4, 4, 8] * 3)
    (row,) = cs.summarise(regrets).to_dict("records")
    assert row["median"] == 2 and row["worst"] == pytest.approx(np.percentile(regrets["regret"], 95))
    assert row["median_low"] == 0 and row["median_high"] == 4  # mostly the one half, or mostly the other
    for photos, known in ((5, True), (4, False), (1, False)):  # of a few photos no interval is told
        (few,) = cs.summarise(regrets[regrets["photo"] < photos]).to_dict("records")
        assert few["median"] == 0 and np.isfinite([few["median_low"], few["worst_high"]]).all() == known


def test_the_best_of_the_gradients_is_compared_with_as_many_random_crops():
    rows = [
        (cs.RANDOM, 25, 3.0), (cs.RANDOM, 50, 2.5), (cs.MODEL, 50, 0.1),
        ("gradient, 3 parameters, 1 start", 25, 9.0),
        ("gradient, 6 parameters, 2 starts", 25, 8.0), ("gradient, 6 parameters, 2 starts", 50, 0.625),
    ]  # fmt: skip
    summary = pd.DataFrame(rows, columns=["method", "evaluations", "median"])
    assert cs.climbs_in_words(summary) == (
        "Of the gradients, **gradient, 6 parameters, 2 starts** comes nearest: 0.62 points below the best "
        "crop after 50 evaluations, where random crops stay 2.50 below."
    )
    assert cs.climbs_in_words(summary[:3]) == ""


def test_paths_count_as_searches_of_as_many_evaluations_as_steps():
    ways = np.full((2, 3, 3), 0.5)
    ways[0, :, 1], ways[1, :, 1] = [0.5, 0.0, 0.0], [0.5, 0.5, 1.0]  # to the broad hill, and to the best crop
    alone = cs.climbs(ways, two_hills(), "g", 7, 1, [1, 2, 3, 4])
    wanted = {(0, 1): 70, (0, 2): 20, (0, 3): 20, (1, 1): 70, (1, 2): 70, (1, 3): 0}
    found = {(row.seed, row.evaluations): round(row.regret, 6) for row in alone.itertuples()}
    assert found == wanted and set(alone["photo"]) == {7}
    both = cs.climbs(ways, two_hills(), "g", 7, 2, [1, 2, 4, 6])
    assert dict(zip(both["evaluations"], both["regret"].round(6), strict=True)) == {2: 70, 4: 20, 6: 0}


def test_a_profile_runs_from_the_end_of_a_path_to_the_best_crop():
    ways = np.full((1, 2, 3), 0.5)
    ways[0, -1, 1] = 0.0
    profile = cs.profiles(ways, two_hills(), points=5)
    assert profile.round(6).tolist() == [[0.6, 0.1, 0.1, 0.1, 0.8]]  # a valley lies between


def test_a_real_search_that_found_more_than_the_grid_is_below_zero():
    """The best crops of both grids have 0.8; the searches found 0.5, and 0.85 between those crops."""
    tries = {
        "b": cs.Tried(np.zeros((2, 3)), np.array([0.1, 0.5])),
        "c": cs.Tried(np.zeros((1, 3)), np.ones(1)),
    }
    tries["a"] = cs.Tried(np.zeros((2, 3)), np.array([0.85, 0.2]))
    assert cs.real_regrets([two_hills()] * 2, tries, ["b", "a"]).tolist() == pytest.approx([30, -5])


@pytest.mark.parametrize(
    ("asked", "ours", "random"), [(60, (1.0, 2.0), (7.0, 8.0)), (999, (0.5, 0.6), (5.0, 6.0))]
)
def test_metrics_hold_our_search_against_random_crops_at_about_so_many_evaluations(asked, ours, random):
    rows = [
        (cs.RANDOM, 50, 7.0, 8.0), (cs.RANDOM, 100, 5.0, 6.0), (cs.COARSE_TO_FINE, 50, 3.0, 4.0),
        (cs.MODEL, 100, 0.5, 0.6), (cs.MODEL, 50, 1.0, 2.0),
    ]  # fmt: skip
    summary = pd.DataFrame(rows, columns=["method", "evaluations", "median", "worst"])
    found = cs.regret_metrics(summary, asked)
    assert (found["regret"], found["regret_95"]) == ours
    assert (found["random_regret"], found["random_regret_95"]) == random and len(found) == 4
