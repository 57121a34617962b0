"""The map: like beside like, every photo in a cell of its own, near the best that can be had."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from selfie_utils import layout, neighbours, photo_map
from selfie_utils.errors import SelfieError
from selfie_utils.images import open_images


def blobs(n, dimensions=2, seed=0, kinds=8):
    """Points in a few clouds, with the cloud of each."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, kinds, n)
    middles = rng.normal(size=(kinds, dimensions)) * 4
    return middles[kind] + rng.normal(size=(n, dimensions)), kind


def cost(points, cells, rows, columns):
    """Sum of squared distances between normalised points and the centres of their cells."""
    index = cells[:, 0] * columns + cells[:, 1]
    centres = layout.cell_centres(rows, columns)[index]
    return ((layout.normalised(points, rows, columns) - centres) ** 2).sum()


def split_only(points, rows, columns):
    return layout.cells_of(layout.median_split(layout.normalised(points, rows, columns), rows, columns))


def is_full(cells, rows, columns):
    """Tell whether every cell is taken exactly once."""
    taken = np.zeros((rows, columns), int)
    np.add.at(taken, tuple(cells.T), 1)
    return (taken == 1).all()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 30),
    columns=st.integers(1, 30),
    seed=st.integers(0, 99),
    step=st.sampled_from([0, 0.5]),
)
def test_every_point_gets_a_cell_of_its_own_on_a_full_grid(rows, columns, seed, step):
    points = np.random.default_rng(seed).normal(size=(rows * columns, 2))
    if step:
        points = np.round(points / step) * step  # many points on top of each other
    cells = layout.grid(points, rows, columns)
    assert is_full(cells, rows, columns)
    before = cost(points, split_only(points, rows, columns), rows, columns)
    assert cost(points, cells, rows, columns) <= before * (1 + 1e-9) + 1e-9


@pytest.mark.parametrize("side", [5, 16, 25])
def test_the_grid_is_within_one_percent_of_exact_assignment(side):
    points, _ = blobs(side * side, seed=side)
    distances = cdist(layout.normalised(points, side, side), layout.cell_centres(side, side), "sqeuclidean")
    exact = distances[linear_sum_assignment(distances)].sum()
    found = cost(points, layout.grid(points, side, side), side, side)
    assert exact <= found * (1 + 1e-9)
    assert found <= 1.01 * exact


def test_the_grid_beats_plain_median_split_by_far_on_clouds():
    points, _ = blobs(40 * 40)
    ours = cost(points, layout.grid(points, 40, 40), 40, 40)
    assert ours < 0.8 * cost(points, split_only(points, 40, 40), 40, 40)


def test_improving_never_makes_it_worse_whatever_the_start():
    points, _ = blobs(18 * 23)
    points = layout.normalised(points, 18, 23)
    owners = np.random.default_rng(1).permutation(18 * 23).reshape(18, 23)
    costs = [cost(points, layout.cells_of(owners), 18, 23)]
    for _ in range(3):
        owners = layout.improve(points, owners)
        costs.append(cost(points, layout.cells_of(owners), 18, 23))
    assert costs[1] < costs[0] / 2
    assert all(later <= earlier * (1 + 1e-12) for earlier, later in pairwise(costs))


def test_blocks_cover_the_grid_at_every_stride_and_overlap():
    blocks = list(layout._blocks(31, 50, 12))
    covered = np.zeros((31, 50), int)
    for block in blocks:
        covered[block] += 1
    assert covered.min() >= 3  # once at least at each stride: 5, 2 and 1
    assert np.median(covered) > 3  # blocks overlap
    assert blocks[0][1].max() - blocks[0][1].min() > 40  # the first reach across the whole grid


def test_the_grid_is_as_the_scatter_shows_it_high_points_on_top():
    x, y = np.meshgrid([0.0, 1.0, 2.0], [0.0, 1.0, 2.0])
    cells = layout.grid(np.stack([x.ravel(), y.ravel()], axis=1), 3, 3)
    assert cells.tolist() == [[2 - row, column] for row in range(3) for column in range(3)]


def test_a_grid_refuses_more_or_fewer_points_than_cells():
    with pytest.raises(SelfieError, match=r"\(7, 2\).*2 x 3"):
        layout.grid(np.zeros((7, 2)), 2, 3)


@settings(max_examples=100, deadline=None)
@given(posts=st.integers(1, 5000), side=st.integers(1, 60), seed=st.integers(0, 9))
def test_the_grid_is_as_large_as_fits_and_its_posts_stand_for_all(posts, side, seed):
    rows, columns = layout.grid_sides(posts, side, side)
    assert rows == columns == min(side, int(np.sqrt(posts)))
    values = np.random.default_rng(seed).random(posts)
    chosen = layout.even_sample(values, rows * columns, seed)
    assert len(set(chosen)) == rows * columns
    # One post out of each equal stretch of the ranking.
    ranks = np.sort(np.argsort(np.argsort(values))[chosen])
    gaps = np.diff(ranks)
    assert not len(gaps) or gaps.max() <= np.ceil(posts / (rows * columns))


def test_a_sample_larger_than_the_posts_is_refused():
    with pytest.raises(SelfieError, match="5 posts were asked for and there are 3"):
        layout.even_sample(np.arange(3.0), 5)


def test_projection_keeps_neighbours_and_is_the_same_every_time(capfd):
    features, kind = blobs(150, dimensions=20)
    points = layout.project(features.astype(np.float32), seed=3, jobs=2)
    assert points.shape == (150, 2) and points.dtype == np.float64
    assert np.array_equal(points, layout.project(features.astype(np.float32), seed=3, jobs=1))
    distances = cdist(points, points) + np.diag([np.inf] * 150)
    assert (kind[distances.argmin(axis=1)] == kind).mean() > 0.9
    assert capfd.readouterr().out == ""  # progress goes to stderr


@pytest.mark.parametrize("n", [4, 5, 16])
@pytest.mark.filterwarnings("error")
def test_projection_of_a_handful_of_posts(n):
    points = layout.project(np.random.default_rng(0).normal(size=(n, 1280)).astype(np.float32), perplexity=30)
    assert points.shape == (n, 2) and np.isfinite(points).all()


@pytest.mark.parametrize(
    ("features", "words"),
    [
        (np.ones((3, 9)), "at least 4 posts"),
        (np.ones((20, 9)), "same fc7"),
        (np.full((20, 9), np.nan), "not finite"),
    ],
)
def test_projection_refuses_what_cannot_be_laid_out(features, words):
    with pytest.raises(SelfieError, match=words):
        layout.project(features)


def test_touching_counts_sides_and_corners_once():
    cells = np.stack(np.divmod(np.arange(12), 4), axis=1)  # 3 x 4
    pairs = neighbours.touching(cells)
    assert len(pairs) == 3 * 3 + 2 * 4 + 2 * (2 * 3)  # across, down, both diagonals
    apart = np.abs(cells[pairs[:, 0]] - cells[pairs[:, 1]]).max(axis=1)
    assert (apart == 1).all()
    assert len({frozenset(pair) for pair in pairs.tolist()}) == len(pairs)


def test_neighbours_on_the_map_beat_chance_and_a_shuffled_map_does_not():
    features, _ = blobs(196, dimensions=20)
    cells = layout.grid(layout.project(features), 14, 14)
    kept = neighbours.neighbours_kept(features, cells)
    assert kept.chance == pytest.approx(10 / 195)
    assert kept.share > 4 * kept.chance
    shuffled = np.random.default_rng(0).permutation(cells)
    assert neighbours.neighbours_kept(features, shuffled).share < 2 * kept.chance


def test_attributes_are_judged_together_only_where_they_are():
    cells = np.stack(np.divmod(np.arange(400), 20), axis=1)
    rng = np.random.default_rng(0)
    strewn = pd.Series(rng.random(400) < 0.3, dtype="boolean")
    strewn[:10] = pd.NA
    attributes = pd.DataFrame(
        {
            "left half": cells[:, 1] < 10,
            "strewn": strewn,
            "chessboard": cells.sum(axis=1) % 2 == 0,
            "columns": cells[:, 1] % 2 == 0,
            "rare": np.arange(400) < 3,
            "everybody": np.ones(400, bool),
        }
    ).astype("boolean")
    judged = neighbours.judge(attributes, cells, shuffles=200)
    assert set(judged.index) == {"left half", "strewn", "chessboard", "columns"}
    assert judged.loc["left half", "verdict"] == "together"
    assert judged.loc["columns", "verdict"] == "apart"  # 2 of 8 neighbours, where luck gives half
    assert judged.loc["strewn", "verdict"] == "no clear difference"
    assert judged.loc["left half", "neighbours"] == pytest.approx(0.95, abs=0.03)
    assert judged.loc["strewn", "base"] == pytest.approx(strewn.mean())


def test_nothing_to_judge_is_an_empty_table():
    cells = np.stack(np.divmod(np.arange(4), 2), axis=1)
    judged = neighbours.judge(pd.DataFrame({"group": [True, False, pd.NA, True]}, dtype="boolean"), cells)
    assert judged.empty and "verdict" in judged
    densest = neighbours.where_densest(pd.DataFrame(index=range(4)), cells)
    assert "Nothing gathers" in neighbours.places_in_words(densest)
    assert neighbours.verdicts_in_words(judged).count("nothing") == 3


def test_names_from_the_data_are_escaped_in_words():
    cells = np.stack(np.divmod(np.arange(64), 8), axis=1)
    evil = pd.DataFrame({"mood: <script>": cells[:, 1] < 4}, dtype="boolean")
    judged = neighbours.judge(evil, cells, shuffles=50)
    for words in (
        neighbours.verdicts_in_words(judged),
        neighbours.places_in_words(neighbours.where_densest(evil, cells)),
    ):
        assert "&lt;script&gt;" in words and "<script>" not in words


def test_score_gap_is_smaller_among_like_neighbours_than_after_shuffling():
    cells = np.stack(np.divmod(np.arange(100), 10), axis=1)
    pairs = neighbours.touching(cells)
    found = neighbours.against_shuffles(neighbours.score_gap, cells[:, 1] / 10, pairs, shuffles=100)
    assert found.value < 0.1 < found.low < found.high


def test_the_densest_ninth_is_named_as_one_points_at_it():
    cells = np.stack(np.divmod(np.arange(81), 9), axis=1)
    corner = (cells[:, 0] < 3) & (cells[:, 1] >= 6)
    found = neighbours.where_densest(pd.DataFrame({"group": corner}, dtype="boolean"), cells)
    assert found.loc["group", "place"] == "top right"
    assert found.loc["group", "share"] == 1 and found.loc["group", "base"] == pytest.approx(1 / 9)


def test_the_photo_map_shows_each_chosen_photo_where_it_was_placed(tmp_path):
    rng = np.random.default_rng(0)
    colours = rng.integers(0, 255, (11, 3))
    for i, colour in enumerate(colours):
        Image.new("RGB", (32, 32), tuple(map(int, colour))).save(tmp_path / f"{i}.png")
    names = [f"{i}.png" for i in range(11)]
    scores = pd.DataFrame({"post_id": list("abcdefghijk"), "image": names, "score": rng.random(11)})
    points = rng.normal(size=(11, 2))
    placed = photo_map.place(scores, points, rows=40)
    assert list(placed["post_id"]) == list(scores["post_id"])
    shown = photo_map.on_grid(placed)
    assert len(shown) == 9 and is_full(shown[["row", "column"]].to_numpy(int), 3, 3)
    sheet = photo_map.draw_map(open_images(tmp_path), scores, points, rows=40, size=10)
    assert sheet.size == (32, 32)  # three tiles of 10 px and two gutters
    for post in shown.itertuples():
        colour = colours[int(post.image.removesuffix(".png"))]
        assert np.abs(np.array(sheet.getpixel((post.column * 11 + 5, post.row * 11 + 5))) - colour).max() <= 2
