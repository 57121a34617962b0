"""The photo map: which posts get a cell, where each lies, and that its picture shows them there."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.stats import zscore

from selfie_utils.analysis import map_layout
from selfie_utils.photos.images import ImageFolder
from selfie_utils.show import sheets

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
def test_the_picture_shows_each_photo_in_its_cell(photos, scores, points, seed):
    placed = map_layout.place(scores, points, rows=3, seed=seed).dropna()
    sheet = sheets.draw_map(photos, scores, points, seed, rows=3, size=10)
    assert sheet.size == (32, 32)  # three tiles of 10 px and two gutters
    for post in placed.itertuples():
        wanted = 8 * int(post.image.removesuffix(".png"))
        assert sheet.getpixel((post.column * 11 + 5, post.row * 11 + 5)) == (wanted,) * 3


def test_a_picture_of_another_seed_shows_other_posts_and_without_one_it_is_0(photos, scores, points):
    unnamed, zero, one = (
        np.asarray(sheets.draw_map(photos, scores, points, *seed, rows=2, size=8))
        for seed in ((), (0,), (1,))
    )
    assert np.array_equal(unnamed, zero) and not np.array_equal(zero, one)


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
