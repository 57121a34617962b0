"""The map: like next to like, every photo in a cell of its own, near the best that can be had."""

import re
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import zscore

from selfie_utils.analysis import map_layout
from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import ImageFolder


def blobs(n, dimensions=2, seed=0, kinds=8):
    """Points in a few clouds, with the cloud of each."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, n)
    middles = rng.normal(size=(kinds, dimensions)) * 4
    return middles[kind] + rng.normal(size=(n, dimensions)), kind


def costs(points, rows, columns):
    """Squared distance of each point, scaled to the spread of the cells, to each cell, row by row."""
    y, x = np.indices((rows, columns)).reshape(2, -1)
    centres = np.stack([x, -y], axis=1).astype(float)  # y upwards
    scaled = np.nan_to_num(zscore(points)) * centres.std(axis=0) + centres.mean(axis=0)
    return cdist(scaled, centres, "sqeuclidean")


def cost(points, cells, rows, columns):
    """Sum of squared distances between the scaled points and the centres of their cells."""
    return costs(points, rows, columns)[np.arange(len(points)), cells @ [columns, 1]].sum()


def exact_cost(points, rows, columns):
    """The least that the sum can be."""
    table = costs(points, rows, columns)
    return table[linear_sum_assignment(table)].sum()


def split_only(points, rows, columns):
    return map_layout.cells_of(
        map_layout.median_split(map_layout.normalised(points, rows, columns), rows, columns)
    )


def is_full(cells, rows, columns):
    """Tell whether every cell is taken exactly once."""
    return sorted(map(tuple, cells.tolist())) == [(r, c) for r in range(rows) for c in range(columns)]


@settings(max_examples=25)
@given(
    rows=st.integers(1, 20),
    columns=st.integers(1, 20),
    seed=st.integers(0, 99),
    step=st.sampled_from([0, 0.5, 100]),
)
def test_every_point_gets_a_cell_of_its_own_on_a_full_grid(rows, columns, seed, step):
    points = np.random.default_rng(seed).normal(size=(rows * columns, 2))
    if step:
        points = np.round(points / step) * step  # many points on top of each other, or all
    cells = map_layout.grid(points, rows, columns)
    assert is_full(cells, rows, columns) and cells.dtype == np.int64
    before = cost(points, split_only(points, rows, columns), rows, columns)
    assert cost(points, cells, rows, columns) <= before * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize(("rows", "columns"), [(5, 5), (7, 11), (12, 12), (1, 11), (11, 1), (2, 1)])
def test_a_small_grid_is_exactly_the_best_there_is(rows, columns):
    """Up to 12 x 12 cells one assignment sees all of them."""
    points, _ = blobs(rows * columns, seed=rows)
    points = points * [3.0, 0.2] + [100, -5]  # far from the grid, and stretched
    cells = map_layout.grid(points, rows, columns)
    found = cost(points, cells, rows, columns)
    assert is_full(cells, rows, columns)
    assert found == pytest.approx(exact_cost(points, rows, columns), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(("rows", "columns"), [(16, 16), (25, 25), (13, 37), (37, 13)])
def test_a_larger_grid_is_within_one_percent_of_the_best(rows, columns):
    points, _ = blobs(rows * columns, seed=rows)
    found = cost(points, map_layout.grid(points, rows, columns), rows, columns)
    exact = exact_cost(points, rows, columns)
    assert exact <= found * (1 + 1e-9)
    assert found <= 1.01 * exact


def test_the_grid_beats_plain_median_split_by_far_on_clouds():
    points, _ = blobs(30 * 30)
    ours = cost(points, map_layout.grid(points, 30, 30), 30, 30)
    assert ours < 0.8 * cost(points, split_only(points, 30, 30), 30, 30)


def test_improving_never_makes_it_worse_whatever_the_start_and_leaves_that_alone():
    points, _ = blobs(18 * 23)
    scaled = map_layout.normalised(points, 18, 23)
    start = np.random.default_rng(1).permutation(18 * 23).reshape(18, 23)
    owners, found = start.copy(), [cost(points, map_layout.cells_of(start), 18, 23)]
    for _ in range(3):
        owners = map_layout.improve(scaled, given := owners)
        found.append(cost(points, map_layout.cells_of(owners), 18, 23))
    assert given is not owners and sorted(owners.ravel()) == list(range(18 * 23))
    assert found[1] < found[0] / 2
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(found))
    kept = start.copy()
    map_layout.improve(scaled, start)
    assert np.array_equal(start, kept)


def test_blocks_cover_the_grid_at_every_stride_and_overlap():
    blocks = list(map_layout._blocks(31, 50, 12))
    covered = np.zeros((31, 50), int)
    for block in blocks:
        covered[block] += 1
    assert covered.min() >= 3  # once at least at each stride: 5, 2 and 1
    assert np.median(covered) > 3  # blocks overlap
    assert all(side.size <= 12 for block in blocks for side in block)
    # Coarse to fine: every fifth cell first, then every second, then all.
    strides = [int(np.diff(block[1].ravel())[0]) for block in blocks]
    assert sorted(set(strides), reverse=True) == [5, 2, 1] and strides == sorted(strides, reverse=True)


def test_blocks_start_half_a_block_apart_and_at_each_offset_within_a_stride():
    assert map_layout._starts(31, 12, 1) == [0, 6, 12, 18, 19]  # the last one ends with the grid
    assert map_layout._starts(31, 12, 2) == [0, 1, 7, 8]
    assert map_layout._starts(12, 12, 1) == map_layout._starts(5, 12, 1) == [0]
    assert map_layout._starts(2, 12, 3) == [0, 1]  # there is no third cell to start at
    assert map_layout._starts(40, 12, 3) == [0, 1, 2, 4, 5, 6]


def test_median_split_cuts_across_the_longer_side_first():
    points = np.random.default_rng(0).normal(size=(24, 2))
    by_x, by_y = np.argsort(points[:, 0]), np.argsort(-points[:, 1])
    wide = map_layout.median_split(points, 4, 6)
    assert set(wide[:, :3].ravel()) == set(by_x[:12])
    tall = map_layout.median_split(points, 6, 4)
    assert set(tall[:3].ravel()) == set(by_y[:12])  # the highest on top
    even = map_layout.median_split(points[:16], 4, 4)
    assert set(even[:, :2].ravel()) == set(np.argsort(points[:16, 0])[:8])
    assert set(even[:2, :2].ravel()) < set(even[:, :2].ravel())
    odd = map_layout.median_split(points[:15], 3, 5)
    assert set(odd[:, :2].ravel()) == set(np.argsort(points[:15, 0])[:6])


def test_equal_points_are_split_in_their_order():
    assert map_layout.median_split(np.zeros((6, 2)), 1, 6).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert map_layout.median_split(np.zeros((5, 2)), 5, 1).ravel().tolist() == [0, 1, 2, 3, 4]


def test_points_are_scaled_to_the_middle_and_the_spread_of_the_cells():
    points = np.array([[10.0, 5.0], [30.0, 5.0], [10.0, 5.0], [30.0, 5.0], [20.0, 5.0], [20.0, 5.0]])
    # Cells of 2 x 3: x is 0, 1, 2 (middle 1, variance 2/3), y is 1, 0; these points have a variance of 200/3.
    assert map_layout.normalised(points, 2, 3) == pytest.approx(
        np.array([[0, 0.5], [2, 0.5], [0, 0.5], [2, 0.5], [1, 0.5], [1, 0.5]])
    )
    assert map_layout.cell_centres(2, 3).tolist() == [[0, 1], [1, 1], [2, 1], [0, 0], [1, 0], [2, 0]]


def test_each_point_is_told_the_cell_that_it_owns():
    assert map_layout.cells_of(np.array([[2, 0, 5], [4, 1, 3]])).tolist() == [
        [0, 1], [1, 1], [0, 0], [1, 2], [1, 0], [0, 2]
    ]  # fmt: skip


def test_the_grid_is_as_the_scatter_shows_it_high_points_on_top():
    x, y = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    cells = map_layout.grid(np.stack([x.ravel(), y.ravel()], axis=1), 3, 3)
    assert cells.tolist() == [[2 - row, column] for row in range(3) for column in range(3)]
    wide = map_layout.grid(
        np.array([[5.0, 1.0], [1.0, 0.0], [1.0, 1.0], [3.0, 1.0], [3.0, 0.0], [5.0, 0.0]]), 2, 3
    )
    assert wide.tolist() == [[0, 2], [1, 0], [0, 0], [0, 1], [1, 1], [1, 2]]


@pytest.mark.parametrize("shape", [(7, 2), (5, 2), (6, 3), (6,), (2, 3, 2)])
def test_a_grid_refuses_more_or_fewer_points_than_cells(shape):
    with pytest.raises(SelfieError, match=r"grid of 2 x 3: expected \(6, 2\)"):
        map_layout.grid(np.zeros(shape), 2, 3)


@pytest.mark.parametrize(
    ("posts", "most", "side"),
    [(9, 3, 3), (8, 3, 2), (10, 3, 3), (3, 3, 1), (1000, 40, 31), (1, 1, 1), (7, 1, 1)],
)
def test_the_grid_is_as_asked_for_where_it_is_filled_or_else_the_largest_square(posts, most, side):
    assert map_layout.grid_side(posts, most) == side


@pytest.mark.parametrize(("posts", "most"), [(0, 1), (9, 0), (9, -1)])
def test_a_grid_without_any_cell_or_post_is_refused(posts, most):
    with pytest.raises(SelfieError, match=f"grid of {most} x {most} for {posts} posts"):
        map_layout.grid_side(posts, most)


@given(posts=st.integers(1, 500), share=st.floats(0.01, 1), seed=st.integers(0, 9), ties=st.booleans())
def test_a_sample_takes_one_post_out_of_each_equal_stretch_of_the_ranking(posts, share, seed, ties):
    count = max(1, int(posts * share))
    values = np.random.default_rng(seed).integers(0, 3 if ties else 10**9, posts)
    chosen = map_layout.even_sample(values, count, seed)
    assert (np.diff(chosen) > 0).all() and chosen.dtype == np.int64
    # Ties are ranked in the order of rows.
    rank = {row: i for i, row in enumerate(sorted(range(posts), key=lambda row: (values[row], row)))}
    ranks = sorted(rank[row] for row in chosen)
    assert all(int(i * posts / count) <= r <= (i + 1) * posts / count for i, r in enumerate(ranks))
    assert len(ranks) == count


def test_a_samples_start_is_drawn_by_its_seed():
    values = np.random.default_rng(0).random(1000)
    samples = [map_layout.even_sample(values, 10, seed).tolist() for seed in (0, 0, 1, 2)]
    assert samples[0] == samples[1] == map_layout.even_sample(values, 10).tolist()
    assert samples[0] != samples[2] != samples[3] != samples[0]


def test_a_sample_may_be_all_posts_but_not_more():
    assert map_layout.even_sample(np.array([3.0, 1.0, 2.0]), 3, seed=1).tolist() == [0, 1, 2]
    with pytest.raises(SelfieError, match="4 posts were asked for and there are 3"):
        map_layout.even_sample(np.arange(3.0), 4)


def test_projection_keeps_neighbours_and_is_the_same_every_time(capfd):
    features, kind = blobs(90, dimensions=20)
    points = map_layout.project(features.astype(np.float32), seed=3, jobs=2)
    assert points.shape == (90, 2) and points.dtype == np.float64
    assert np.array_equal(points, map_layout.project(features.astype(np.float32), seed=3, jobs=1))
    distances = cdist(points, points) + np.diag([np.inf] * 90)
    assert (kind[distances.argmin(axis=1)] == kind).mean() > 0.9
    assert capfd.readouterr().out == ""  # progress goes to stderr


def test_projection_is_drawn_by_its_seed_where_there_is_much_to_reduce():
    """Of more than 500 numbers a post, PCA draws a sketch."""
    features = np.random.default_rng(0).normal(size=(66, 501)).astype(np.float32)
    one, other = (map_layout.project(features, perplexity=5, seed=seed) for seed in (0, 1))
    assert not np.array_equal(one, other)


def test_perplexity_counts_and_is_lowered_to_a_third_of_the_others():
    features = np.random.default_rng(0).normal(size=(16, 7))
    found = [map_layout.project(features, perplexity=wanted) for wanted in (5, 30, 4)]
    assert np.array_equal(found[0], found[1]) and not np.allclose(found[0], found[2])
    assert np.array_equal(found[0], map_layout.project(features))


@pytest.mark.parametrize("shape", [(4, 2), (4, 1280), (5, 3)])
@pytest.mark.filterwarnings("error")
def test_projection_of_a_handful_of_posts(shape):
    points = map_layout.project(np.random.default_rng(0).normal(size=shape).astype(np.float32), perplexity=30)
    assert points.shape == (shape[0], 2) and np.isfinite(points).all()


ONE_BAD = np.random.default_rng(0).normal(size=(20, 9))
ONE_BAD[7, 3] = np.inf


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.eye(3, 9), r"fc7 \(3, 9\) cannot be drawn: at least 4 posts"),
        (np.arange(9.0)[:, None], r"\(9, 1\).*at least 4 posts with 2 numbers"),
        (np.arange(9.0), r"\(9,\)"),
        (np.ones((20, 9)) * np.arange(9), "All 20 posts have the same fc7"),
        (np.full((20, 9), np.nan), "not finite"),
        (ONE_BAD, "not finite"),
    ],
)
def test_projection_refuses_what_cannot_be_laid_out(features, words):
    with pytest.raises(SelfieError, match=words):
        map_layout.project(features)


def test_posts_that_differ_in_one_number_can_be_laid_out():
    features = np.zeros((4, 3))
    features[2, 1] = 1
    map_layout.project(features)


# --- posts on the grid --------------------------------------------------------------------------------

POSTS = 29  # prime: 25 of them fill a grid of 5 x 5


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Plain photos: photo i has the grey 8 i, and is oblong."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(POSTS):
        Image.new("RGB", (40, 30), (8 * i,) * 3).save(folder / f"{i}.png")
    return ImageFolder(folder)


@pytest.fixture(scope="module")
def scores():
    """Rows, index, ids and scores stand in four different orders, and some scores are equal."""
    rng = np.random.default_rng(0)
    order = rng.permutation(POSTS)
    return pd.DataFrame(
        {
            "post_id": [f"p{7 * i % POSTS:02d}" for i in order],
            "image": [f"{i}.png" for i in order],
            "score": rng.integers(0, 9, POSTS) / 10,
            "label": 1,
        },
        index=3 * rng.permutation(POSTS) + 5,
    )


@pytest.fixture(scope="module")
def points():
    return np.random.default_rng(1).normal(size=(POSTS, 2)) * [5, 1] + [20, 0]


def test_a_map_tells_of_every_post_in_the_order_of_scores(scores, points):
    placed = map_layout.place(scores, points, rows=40)
    assert placed.columns.tolist() == ["post_id", "image", "score", "x", "y", "row", "column"]
    assert placed[["post_id", "image", "score"]].equals(scores[["post_id", "image", "score"]])
    assert np.array_equal(placed[["x", "y"]], points)
    assert placed["row"].dtype == placed["column"].dtype == pd.Int64Dtype()
    assert placed["row"].isna().equals(placed["column"].isna())


@pytest.mark.parametrize(("rows", "side"), [(40, 5), (5, 5), (4, 4), (1, 1)])
def test_as_many_posts_as_fill_a_square_have_a_cell_each(scores, points, rows, side):
    shown = map_layout.place(scores, points, rows).dropna()
    assert sorted(zip(shown["row"], shown["column"], strict=True)) == [
        (row, column) for row in range(side) for column in range(side)
    ]


def test_posts_lie_where_their_own_points_do(scores, points):
    """No other way to give these posts the cells has a smaller sum of squares."""
    shown = map_layout.place(scores, points, rows=40).dropna()
    row, column = np.indices((5, 5)).reshape(2, -1)
    table = cdist(zscore(shown[["x", "y"]].to_numpy()), zscore(np.stack([column, -row], 1)), "sqeuclidean")
    found = table[np.arange(25), (shown["row"] * 5 + shown["column"]).to_numpy(int)].sum()
    assert found == pytest.approx(table[linear_sum_assignment(table)].sum())


def test_those_shown_stand_for_the_whole_ranking_and_are_drawn_by_the_seed(scores, points):
    ranked = scores.sort_values("score", kind="stable").index
    chosen = []
    for seed in (0, 0, 1, 2, 3):
        shown = map_layout.place(scores, points, rows=3, seed=seed).dropna()
        ranks = np.sort(ranked.get_indexer(shown.index))
        assert all(int(i * POSTS / 9) <= rank <= (i + 1) * POSTS / 9 for i, rank in enumerate(ranks))
        chosen.append(tuple(ranks))
    assert chosen[0] == chosen[1] and len(set(chosen)) > 2
    plain = map_layout.place(scores, points, rows=3)
    assert plain.equals(map_layout.place(scores, points, rows=3, seed=0))


def test_posts_with_a_cell_are_listed_row_by_row_from_the_top_left():
    placed = pd.DataFrame(
        {"post_id": list("abcde"), "row": [1, 0, None, 1, 0], "column": [1, 1, None, 0, 0]}, dtype="object"
    ).astype({"row": "Int64", "column": "Int64"})
    assert map_layout.on_grid(placed)["post_id"].tolist() == ["e", "b", "d", "a"]


@pytest.mark.parametrize("seed", [0, 1])
def test_a_grid_is_filled_row_by_row_from_the_top_left_with_the_posts_that_are_placed(scores, points, seed):
    shown = map_layout.fill_grid(scores, points, seed, rows=3)
    cells = list(zip(shown["row"], shown["column"], strict=True))
    assert cells == [(row, column) for row in range(3) for column in range(3)]
    placed = map_layout.place(scores, points, rows=3, seed=seed).set_index("post_id")
    assert placed.loc[shown["post_id"], ["row", "column"]].to_numpy().tolist() == [list(c) for c in cells]


def test_a_grid_of_another_seed_has_other_posts_and_without_one_it_is_0(scores, points):
    unnamed, zero, one = (
        map_layout.fill_grid(scores, points, *seed, rows=2)["post_id"].tolist() for seed in ((), (0,), (1,))
    )
    assert unnamed == zero != one and len(zero) == 4


def test_the_map_of_bare_pixels_puts_photos_that_look_alike_side_by_side(tmp_path):
    """Half of the photos are light on the left, half on the right, in a mixed order, each with its noise."""
    rng = np.random.default_rng(0)
    kind = rng.permutation(np.arange(16) % 2)
    for i, right in enumerate(kind):
        photo = rng.integers(0, 60, (24, 40, 3), dtype=np.uint8)
        photo[:, 20 * right : 20 * right + 20] += 150
        Image.fromarray(photo).save(tmp_path / f"{i}.png")
    names = pd.Series([f"{i}.png" for i in range(16)], index=np.arange(16)[::-1])
    cells = map_layout.pixel_map(ImageFolder(tmp_path), names, 4, perplexity=3)
    assert sorted(map(tuple, cells.tolist())) == [(row, column) for row in range(4) for column in range(4)]
    near = cdist(cells, cells, "cityblock") == 1
    assert (kind[:, None] == kind)[near].mean() > 0.7  # by luck 7 of 15


@pytest.mark.parametrize(
    ("features", "told"),
    [
        (np.eye(3), r"there are 3 test posts, and it takes 4 or more\.$"),
        (np.ones((1, 5)), "there are 1 test posts"),
        (np.ones((8, 5)), "to the network all 8 photos are the same"),
        (np.ones((8, 5)) + 1e-7 * np.arange(8)[:, None], "all 8 photos are the same"),  # rounding
        (np.zeros((4, 5)), "all 4 photos are the same"),
        (np.eye(4), "^$"),
        (np.vstack([np.ones((7, 5)), np.zeros((1, 5))]), "^$"),
    ],
)
def test_why_no_map_is_drawn_is_said_and_where_one_is_it_can_be(features, told):
    why = map_layout.why_no_map(features.astype(np.float32))
    assert re.search(told, why)
    if not why:
        assert np.isfinite(map_layout.project(features, jobs=1)).all()


def test_posts_without_a_place_are_kept_in_a_table_like_that_of_the_others():
    scores = pd.DataFrame({"post_id": list("abcd"), "image": list("abcd"), "score": [0.1, 0.2, 0.3, 0.4]})
    placed, nowhere = map_layout.place(scores, np.eye(4)[:, :2], 2), map_layout.unplaced(scores)
    assert (placed.dtypes == nowhere.dtypes).all() and map_layout.on_grid(nowhere).empty
    assert nowhere[["post_id", "score"]].equals(scores[["post_id", "score"]])
