"""Neighbours on the map: worked out by hand on small maps, and held against luck."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from selfie_utils.analysis import map_layout, neighbours


def full(rows, columns):
    """The cells of a full map, row by row."""
    return np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)


def as_boolean(**columns):
    return pd.DataFrame(columns).astype("boolean")


@settings(max_examples=40)
@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=30), st.randoms())
def test_posts_touch_whose_cells_share_a_side_or_a_corner_each_pair_once(cells, random):
    cells = random.sample(sorted(cells), len(cells))
    pairs = neighbours.touching(np.array(cells, int).reshape(-1, 2))
    assert pairs.shape == (len(pairs), 2) and pairs.dtype == np.int64
    near = cdist(cells, cells, "chebyshev") == 1 if cells else np.zeros((0, 0))
    wanted = {(i, j) for i, j in np.argwhere(near).tolist() if i < j}
    assert sorted(tuple(sorted(pair)) for pair in pairs.tolist()) == sorted(wanted)


def test_neighbours_kept_are_counted_from_each_of_the_two():
    """In a row of three the nearest of 0 is 1, that of 1 is 2 and that of 2 is 1."""
    features = np.array([[0.0, 0.0], [0.0, 2.0], [0.0, 3.0]])
    for order, share in (([0, 1, 2], 3 / 4), ([2, 1, 0], 3 / 4), ([1, 0, 2], 1 / 4)):
        cells = np.empty((3, 2), int)
        cells[order] = [[0, 0], [0, 1], [0, 2]]  # the first of them stands on the left
        assert neighbours.neighbours_kept(features, cells, k=1) == (share, 1 / 2), order
    assert neighbours.neighbours_kept(features, full(1, 3), k=2) == (1, 1)
    assert neighbours.neighbours_kept(features, full(1, 3)) == (1, 1)  # ten of two are two


def test_neighbours_kept_are_those_by_euclidean_distance():
    features = np.array([[0.0, 0.0], [3.0, 3.0], [0.0, 5.0], [0.0, 12.0]])
    # From post 0 it is 4.2 to post 1, and 5 to post 2 (by the sum of differences 6 and 5).
    cells = np.array([[0, 0], [0, 1], [5, 5], [9, 9]])
    assert neighbours.neighbours_kept(features, cells, k=1).share == 1 / 2  # from post 1 it is 3.6 to post 2
    cells = np.array([[0, 0], [5, 5], [0, 1], [9, 9]])
    assert neighbours.neighbours_kept(features, cells, k=1).share == 0


def test_ten_neighbours_count_on_the_map_of_a_layout_and_beat_chance():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 8, 81)
    features = rng.normal(size=(8, 20))[kind] * 4 + rng.normal(size=(81, 20))
    cells = map_layout.grid(map_layout.project(features), 9, 9)
    kept = neighbours.neighbours_kept(features, cells)
    assert kept.chance == pytest.approx(10 / 80)
    assert kept.share > 3 * kept.chance
    shuffled = rng.permutation(cells)
    assert neighbours.neighbours_kept(features, shuffled).share < 2 * kept.chance


ROW = np.array([[0, 1], [1, 2], [2, 3]])  # four posts in a row


def test_shared_is_the_share_of_neighbours_of_those_who_have_it():
    """Post 0 has one neighbour (who has it), post 1 two (one has it), post 3 one (who lacks it)."""
    assert neighbours.shared(np.array([True, True, False, True]), ROW) == 2 / 4
    assert neighbours.shared(np.array([False, True, True, True]), ROW) == 4 / 5
    assert neighbours.shared(np.array([True, False, False, True]), ROW) == 0
    assert neighbours.shared(np.zeros(4, bool), ROW) == 0
    assert neighbours.shared(np.ones(4, bool), ROW) == 1


def test_the_score_gap_is_the_mean_difference_whichever_is_higher():
    assert neighbours.score_gap(np.array([0.2, 0.5, 0.1, 0.2]), ROW) == pytest.approx((0.3 + 0.4 + 0.1) / 3)


def first(values, _pairs):
    return float(values[0])


def test_luck_is_the_middle_95_percent_of_shuffled_maps():
    """The first of 0 to 999 is any of them after shuffling: 95% lie between 25 and 975."""
    found = neighbours.against_shuffles(first, np.arange(1000.0), ROW, seed=3, shuffles=4000)
    assert found.value == 0
    assert found.low == pytest.approx(25, abs=8) and found.high == pytest.approx(975, abs=8)


def test_shuffles_are_as_many_as_asked_for_and_drawn_by_the_seed():
    values = np.arange(1000.0)
    one = neighbours.against_shuffles(first, values, ROW, seed=1, shuffles=1)
    assert one.low == one.high
    again, other = (neighbours.against_shuffles(first, values, ROW, seed=s, shuffles=1) for s in (1, 2))
    assert again == one != other
    assert neighbours.against_shuffles(first, values, ROW) == neighbours.against_shuffles(
        first, values, ROW, seed=0, shuffles=500
    )


def test_every_shuffle_leaves_the_values_and_the_pairs_as_they_are():
    seen = set()

    def note(values, pairs):
        seen.add((tuple(sorted(values)), pairs.tobytes()))
        return 0.0

    neighbours.against_shuffles(note, np.array([3.0, 1.0, 1.0, 2.0]), ROW, shuffles=20)
    assert seen == {((1.0, 1.0, 2.0, 3.0), ROW.tobytes())}


def test_attributes_are_judged_together_only_where_they_are():
    cells = full(20, 20)
    rng = np.random.default_rng(0)
    strewn = pd.Series(rng.random(400) < 0.3, dtype="boolean")
    strewn[:10] = pd.NA
    judged = neighbours.judge(
        as_boolean(
            strewn=strewn,
            columns=cells[:, 1] % 2 == 0,
            left=cells[:, 1] < 10,
            chessboard=cells.sum(axis=1) % 2 == 0,
        ),
        cells,
        shuffles=200,
    )
    # Every cell of the left half has 8 neighbours there, or 5 at the edges, but for the tenth column: 5 of 8.
    assert judged.loc["left", "neighbours"] == pytest.approx(0.95, abs=0.03)
    assert judged["verdict"].to_dict() == {
        "left": "together",
        "strewn": "no clear difference",
        "chessboard": "no clear difference",  # corners are alike, sides are not
        "columns": "apart",  # 2 of 8 neighbours, where luck gives half
    }
    assert judged["times"].is_monotonic_decreasing and judged.index.name == "attribute"
    assert judged["times"].tolist() == pytest.approx((judged["neighbours"] / judged["base"]).tolist())
    assert judged.loc["strewn", "base"] == pytest.approx(strewn.mean())
    assert ((judged["low"] < judged["base"]) & (judged["base"] < judged["high"])).all()


def test_posts_of_which_nothing_is_known_are_no_neighbours():
    """In a row of twelve, 5 have it at one end and 5 lack it at the other; two between are unknown."""
    known = as_boolean(group=[True] * 5 + [pd.NA] * 2 + [False] * 5)
    judged = neighbours.judge(known, full(1, 12), shuffles=50)
    assert judged.loc["group", ["base", "neighbours"]].tolist() == [0.5, 1]


@pytest.mark.parametrize(("have", "lack", "is_judged"), [(5, 5, True), (4, 9, False), (9, 4, False)])
def test_what_fewer_than_five_posts_have_or_lack_is_not_judged(have, lack, is_judged):
    known = as_boolean(
        group=[True] * have + [False] * lack, too=[True, False] * 5 + [pd.NA] * (have + lack - 10)
    )
    judged = neighbours.judge(known, full(1, have + lack), shuffles=10)
    assert ("group" in judged.index) == is_judged and "too" in judged.index


def test_what_luck_can_reach_is_no_difference():
    """Nobody touches anybody: the share among neighbours is 0, as on every shuffled map."""
    apart = as_boolean(group=[True] * 5 + [False] * 6)
    judged = neighbours.judge(apart, 3 * full(1, 11), shuffles=10)
    assert judged.loc["group", ["neighbours", "low", "high", "verdict"]].tolist() == [
        0, 0, 0, "no clear difference"
    ]  # fmt: skip


def test_a_judgement_is_drawn_by_its_seed_and_from_as_many_shuffles_as_asked_for():
    known = as_boolean(group=np.random.default_rng(0).random(77) < 0.4)
    one, again, other = (neighbours.judge(known, full(7, 11), seed=s, shuffles=9) for s in (1, 1, 2))
    assert one.equals(again) and not one.equals(other)
    assert neighbours.judge(known, full(7, 11)).equals(
        neighbours.judge(known, full(7, 11), seed=0, shuffles=500)
    )
    single = neighbours.judge(known, full(7, 11), shuffles=1).loc["group"]
    assert single["low"] == single["high"]


def test_nothing_to_judge_is_an_empty_table():
    judged = neighbours.judge(as_boolean(group=[True, False, pd.NA, True]), full(2, 2))
    assert judged.empty and "verdict" in judged
    densest = neighbours.where_densest(pd.DataFrame(index=range(4)), full(2, 2))
    assert "Nothing gathers" in neighbours.places_in_words(densest)
    assert neighbours.verdicts_in_words(judged, judged).count("nothing") == 3


def test_a_map_is_cut_into_fields_as_even_as_can_be():
    """Of 5 rows two, two and one come to a field, and of 7 columns three, two and two."""
    cells = full(5, 7)
    order = np.random.default_rng(0).permutation(35)
    in_field = [
        (cells[:, 0] < 2) & (cells[:, 1] >= 5),  # top right: 4 posts
        (cells[:, 0] == 4) & (cells[:, 1] < 3),  # bottom left: 3 posts
    ]
    has = pd.Series(in_field[0] | (in_field[1] & (cells[:, 1] > 0)), dtype="boolean")
    has[cells[:, 0] // 2 + (cells[:, 1] > 2) * 5 == 1] = pd.NA  # rows 2 and 3 of the first columns: a field
    fields = neighbours.shares_by_region(has[order].reset_index(drop=True), cells[order], 3)
    assert fields.dtype == float
    assert np.array_equal(fields, [[0, 0, 1], [np.nan, 0, 0], [2 / 3, 0, 0]], equal_nan=True)


def test_fields_hold_means_of_numbers_too_and_are_8_by_8_unless_the_map_is_smaller():
    row = pd.Series(full(16, 24)[:, 0])
    fields = neighbours.shares_by_region(row, full(16, 24))
    assert fields.shape == (8, 8) and fields[:, 3].tolist() == [2 * i + 0.5 for i in range(8)]
    small = neighbours.shares_by_region(pd.Series([1, 2, 3, 4, 5, 6]), full(2, 3))
    assert small.tolist() == [[1.5, 3], [4.5, 6]]


@pytest.mark.parametrize(
    ("row", "column", "place"),
    [
        (0, 0, "top left"), (0, 1, "top"), (0, 2, "top right"),
        (1, 0, "left"), (1, 1, "middle"), (1, 2, "right"),
        (2, 0, "bottom left"), (2, 1, "bottom"), (2, 2, "bottom right"),
    ],
)  # fmt: skip
def test_the_densest_ninth_is_named_as_one_points_at_it(row, column, place):
    cells = full(9, 12)
    here = (cells[:, 0] // 3 == row) & (cells[:, 1] // 4 == column)
    half = pd.Series(here & (cells[:, 0] % 3 < 2), dtype="boolean")  # two of its three rows
    found = neighbours.where_densest(pd.DataFrame({"group": half, "none": ~here}), cells)
    assert found.loc["group"].tolist() == [place, pytest.approx(2 / 3), pytest.approx(8 / 108)]
    assert found.loc["none", "share"] == 1 and found.index.name == "attribute"


@pytest.mark.parametrize(
    ("side", "cell", "place"), [(2, (1, 0), "bottom left"), (2, (0, 1), "top right"), (1, (0, 0), "middle")]
)
def test_a_small_map_has_corners_or_a_middle_only(side, cell, place):
    here = pd.DataFrame({"group": (full(side, side) == cell).all(axis=1)})
    assert neighbours.where_densest(here, full(side, side)).loc["group", "place"] == place


def test_the_densest_ninth_and_the_base_are_of_known_posts():
    cells = full(3, 3)
    known = as_boolean(group=[pd.NA, False, False, pd.NA, False, False, True, True, False])
    found = neighbours.where_densest(known, cells)
    assert found.loc["group"].tolist() == ["bottom left", 1.0, pytest.approx(2 / 7)]


def test_places_are_told_with_their_share_and_the_share_of_all():
    densest = pd.DataFrame(
        {"place": ["top", "bottom left"], "share": [0.5, 0.333], "base": [0.126, 0.25]}, index=["<b>", "hat"]
    )
    assert neighbours.places_in_words(densest) == (
        "- **&lt;b&gt;**: top, 50% there, compared with 13% of all\n"
        "- **hat**: bottom left, 33% there, compared with 25% of all"
    )


def test_verdicts_are_told_one_a_line():
    judged = pd.DataFrame(
        {
            "verdict": ["together", "no clear difference", "together", "together", "together"],
            "neighbours": [0.5, 0.2, 0.6, 0.7, 0.4],
        },
        index=["hat", "mood: <script>", "border", "<light>", "pout"],
    )
    baseline = pd.DataFrame({"neighbours": [0.3, 0.6, 0.9, 0.7]}, index=["pout", "border", "mood", "<light>"])
    told = (
        "- **together**: hat, border, &lt;light&gt;, pout\n- **apart**: nothing\n"
        "- **no clear difference**: mood: &lt;script&gt;"
    )
    needed_none = "\n- **no network needed**: border, &lt;light&gt;"
    assert neighbours.verdicts_in_words(judged, baseline) == told + needed_none
    assert neighbours.as_by_pixels(judged, baseline) == ["border", "<light>"]
    assert neighbours.verdicts_in_words(judged, baseline[:1]) == told


def test_what_stands_together_is_put_beside_its_planted_effect_the_strongest_first():
    names = ["hat", "border", "age", "low light", "pout"]
    judged = pd.DataFrame(
        {
            "base": [0.1, 0.2, 0.5, 0.301, 0.25],
            "neighbours": [0.2, 0.5, 0.5, 0.256, 0.25],
            "times": [2.0, 2.46, 1.0, 0.85, 1.0],
            "verdict": ["together", "together", "apart", "apart", "no clear difference"],
        },
        index=names,
    )
    effects = {"low light": -0.9, "hat": 0.0, "border": 0.45, "pout": 0.0, "group shot": 1.0}
    table = neighbours.beside_planted(judged, effects)
    assert table.T.to_dict("list") == {
        "low light": ["-0.90", "26%", "30%", "0.8", "apart"],
        "border": ["+0.45", "50%", "20%", "2.5", "together"],
        "hat": ["0", "20%", "10%", "2.0", "together"],
        "pout": ["0", "25%", "25%", "1.0", "no clear difference"],
    }
    assert table.index.tolist() == ["low light", "border", "hat", "pout"]
    assert table.columns.tolist() == ["planted effect", "among neighbours", "of all", "times", "verdict"]
