"""Lay photos out so that those alike are neighbours: t-SNE of fc7, then every photo in a cell of its own."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from openTSNE import TSNE
from openTSNE.initialization import rescale
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from sklearn.decomposition import PCA

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.images import Images, tiles

THUMBNAIL = 8  # px a side: a photo reduced to its light, colours and coarse framing

DIMENSIONS = 50  # kept by PCA before t-SNE: less noise, and distances are cheap
STEPS = {"early_exaggeration_iter": 250, "n_iter": 500}  # openTSNE's own defaults, named for the progress bar
FEWEST = 4  # posts that t-SNE can lay out
SAME = 1e-5  # of the largest number of fc7: what differs by less differs by rounding
BLOCK = 12  # cells per side that one exact assignment handles, in about 3 ms


def project(features: np.ndarray, perplexity: float = 30.0, seed: int = 0, jobs: int = 2) -> np.ndarray:
    """Lay rows of `features` out in the plane, near ones near: PCA to 50 dimensions, then t-SNE.

    `features` float (N, D), such as fc7; returns float64 (N, 2), x to the right and y upwards, no unit.
    Perplexity is about how many neighbours count; it is lowered to (N - 1) / 3 where there are few rows.
    The same seed gives the same map whatever `jobs` is. Raises SelfieError where there is nothing to lay out.
    Source: van der Maaten and Hinton 2008; PCA start as Kobak and Berens 2019 advise.
    """
    features = np.asarray(features)
    _check_features(features)
    kept = min(DIMENSIONS, *features.shape)
    reduced = PCA(kept, random_state=seed).fit_transform(features).astype(np.float64)  # (N, 50)
    perplexity = min(perplexity, (len(features) - 1) / 3)
    with tqdm(total=sum(STEPS.values()), desc="t-SNE", unit="step", mininterval=2) as bar:
        tsne = TSNE(
            perplexity=perplexity,
            # Exact neighbours take seconds even at 50,000 rows, and are the same on every machine.
            neighbors="exact",
            initialization=rescale(reduced[:, :2]),
            callbacks=lambda *_: bar.update(50) and False,
            callbacks_every_iters=50,
            # For few posts two cores gain a second on a quiet machine, and lose a minute on a busy one: they
            # wait for each other at every step.
            n_jobs=jobs if len(features) >= 5000 else 1,
            random_state=seed,
            **STEPS,
        )
        return np.array(tsne.fit(reduced), dtype=np.float64)


def _check_features(features: np.ndarray) -> None:
    """Refuse what t-SNE would answer with nonsense or a traceback."""
    if features.ndim != 2 or len(features) < FEWEST or features.shape[1] < 2:
        raise SelfieError(
            f"A map of fc7 {features.shape} cannot be drawn: "
            f"at least {FEWEST} posts with 2 numbers each are needed."
        )
    if not np.isfinite(features).all():
        raise SelfieError("fc7 holds numbers that are not finite: run notebooks/01_train.ipynb again.")
    if np.ptp(features, axis=0).max() == 0:
        raise SelfieError(
            f"All {len(features)} posts have the same fc7: the network has learned nothing, "
            "run notebooks/01_train.ipynb again with a lower learning rate."
        )


def why_no_map(features: np.ndarray) -> str:
    """Say in a sentence why fc7, float (N, D), gives no map to draw; an empty text where it does."""
    posts, widest = len(features), float(np.abs(features).max(initial=1))
    if posts < FEWEST:
        return f"**The map is not drawn:** there are {posts:,} test posts, and it takes {FEWEST} or more."
    # Batches of other sizes round otherwise, so that copies of one photo differ by a little.
    if np.ptp(features, axis=0).max() <= SAME * widest:
        return (
            f"**The map is not drawn:** to the network all {posts:,} photos are the same. Either they are "
            "copies of one photo, or it has learned nothing, and a lower learning rate in 01_train may help."
        )
    return ""


def unplaced(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the table that `place` does, of posts that have no place: x, y, row and column are missing."""
    table = scores[["post_id", "image", "score"]].assign(x=np.nan, y=np.nan)
    return table.assign(row=pd.array([pd.NA] * len(table), "Int64"), column=table["x"].astype("Int64"))


def grid_side(posts: int, most: int) -> int:
    """Return the side of the largest square grid that `posts` fill, at most that asked for.

    1,000 posts fill 31 x 31. Raises SelfieError where there is no post or no cell.
    """
    if most < 1 or posts < 1:
        raise SelfieError(f"A grid of {most} x {most} for {posts} posts was asked for: expected 1 or more.")
    return min(most, math.isqrt(posts))


def even_sample(values: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """Choose `count` rows evenly along the ranking by `values`, so that they stand for all rows.

    Every N / count-th rank is taken, from a drawn start; returns int (count,), ascending row numbers.
    """
    if count > len(values):
        raise SelfieError(f"{count} posts were asked for and there are {len(values)}: ask for fewer.")
    start = np.random.default_rng(seed).random()
    ranks = np.floor((np.arange(count) + start) * len(values) / count).astype(int)
    return np.sort(np.argsort(values, kind="stable")[ranks])


def grid(points: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Give each point a cell of its own in a full grid, as near to where it lies as can be.

    `points` float (rows x columns, 2); returns int (N, 2), row and column of each, row 0 on top (high y).
    The sum of squared distances between points, scaled to the spread of the cells, and cell centres is made
    small: a recursive median split, then exact assignment inside overlapping blocks, those of far-apart cells
    first. Each block can only lower the sum. On t-SNE-like points it ends within 1% of the exact minimum and
    takes 2 s for 10,000 where exact assignment of the whole takes 5 minutes (see benchmarks/grid_layout.py).
    Raises SelfieError unless there are as many points as cells.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.shape != (rows * columns, 2):
        raise SelfieError(
            f"Points {points.shape} were given for a full grid of {rows} x {columns}: "
            f"expected ({rows * columns}, 2), one point per cell."
        )
    points = normalised(points, rows, columns)
    owners = improve(points, median_split(points, rows, columns))
    return cells_of(owners)


def normalised(points: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Shift and stretch points to the middle and spread of the grid's cell centres, axis by axis."""
    centres = cell_centres(rows, columns)
    spread = points.std(axis=0)
    spread[spread == 0] = 1
    return (points - points.mean(axis=0)) / spread * centres.std(axis=0) + centres.mean(axis=0)


def cell_centres(rows: int, columns: int) -> np.ndarray:
    """Return float (rows x columns, 2): x and y of every cell, row by row from the top, in cells."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    return np.stack([column, rows - 1 - row], axis=1).astype(np.float64)


def cells_of(owners: np.ndarray) -> np.ndarray:
    """Turn the owner of each cell (rows, columns) into the cell of each point, int (N, 2)."""
    cells = np.empty((owners.size, 2), dtype=np.int64)
    cells[owners.ravel()] = np.stack(np.divmod(np.arange(owners.size), owners.shape[1]), axis=1)
    return cells


def median_split(points: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """Halve points and grid again and again, across the longer side; returns the owner of each cell.

    Returns int (rows, columns). Like a k-d tree: fast and even, but a bad first cut is never undone.
    """
    owners = np.empty((rows, columns), dtype=np.int64)
    waiting = [(np.arange(len(points)), owners)]
    while waiting:
        inside, part = waiting.pop()
        if part.size == 1:
            part[:] = inside
            continue
        across = part.shape[1] >= part.shape[0]
        key = points[inside, 0] if across else -points[inside, 1]
        inside = inside[np.argsort(key, kind="stable")]
        half = part.shape[across] // 2
        first, second = (part[:, :half], part[:, half:]) if across else (part[:half], part[half:])
        waiting += [(inside[: first.size], first), (inside[first.size :], second)]
    return owners


def improve(points: np.ndarray, owners: np.ndarray, block: int = BLOCK) -> np.ndarray:
    """Assign anew, exactly, inside each of many overlapping blocks; the sum of squares never rises.

    `points` as from `normalised`, `owners` int (rows, columns). A block takes every stride-th row and
    column; strides halve from the width of the whole grid down to 1, so that points first travel far and
    then settle. Returns int (rows, columns).
    """
    owners = owners.copy()
    rows, columns = owners.shape
    centres = cell_centres(rows, columns).reshape(rows, columns, 2)
    blocks = list(_blocks(rows, columns, block))
    for here in tqdm(blocks, desc="grid", unit="block", mininterval=2, disable=len(blocks) < 1000):
        inside = owners[here].ravel()
        cost = cdist(points[inside], centres[here].reshape(-1, 2), "sqeuclidean")  # (points, cells)
        point, cell = linear_sum_assignment(cost)
        inside[cell] = inside[point]
        owners[here] = inside.reshape(owners[here].shape)
    return owners


def _blocks(rows: int, columns: int, block: int) -> Iterator[tuple]:
    """List index pairs of blocks, coarse to fine; neighbours in a level overlap by half."""
    stride = -(-max(rows, columns) // block)
    while stride:
        for top in _starts(rows, block, stride):
            for left in _starts(columns, block, stride):
                yield np.ix_(
                    np.arange(top, min(top + block * stride, rows), stride),
                    np.arange(left, min(left + block * stride, columns), stride),
                )
        stride //= 2


def _starts(cells: int, block: int, stride: int) -> list[int]:
    """List where blocks start along one side: half a block apart, for each offset within a stride."""
    span = block * stride
    last = max(cells - span, 0)
    firsts = {*range(0, last, span // 2), last}
    return sorted({first + offset for first in firsts for offset in range(stride) if first + offset < cells})


def place(scores: pd.DataFrame, points: np.ndarray, rows: int, seed: int = 0) -> pd.DataFrame:
    """Put as many posts as fit on a full square grid of at most `rows` x `rows` cells.

    `scores` a row per post, `points` float (N, 2) from `project`, rows alike. Where there are more posts than
    cells, those shown are drawn evenly along the ranking by score. Returns post_id, image, score, x, y and
    row, column (Int64, missing for posts without a cell), rows as in `scores`.
    """
    table = scores[["post_id", "image", "score"]].assign(x=points[:, 0], y=points[:, 1])
    side = grid_side(len(table), rows)
    shown = even_sample(table["score"].to_numpy(), side * side, seed)
    cells = grid(points[shown], side, side)
    for i, name in enumerate(("row", "column")):
        table[name] = pd.Series(cells[:, i], index=table.index[shown], dtype="Int64")
    return table


def fill_grid(scores: pd.DataFrame, points: np.ndarray, seed: int = 0, *, rows: int) -> pd.DataFrame:
    """Place posts as `place` does; returns those that have a cell, row by row from the top left."""
    return on_grid(place(scores, points, rows, seed))


def on_grid(placed: pd.DataFrame) -> pd.DataFrame:
    """Return the posts that have a cell, row by row from the top left."""
    return placed.dropna(subset=["row"]).sort_values(["row", "column"])


def pixel_map(images: Images, names: pd.Series, side: int, perplexity: float, seed: int = 0) -> np.ndarray:
    """Lay photos out by their bare pixels, to compare the network's map with: what does a thumbnail know?

    Each photo is 8 x 8 px, 192 numbers; as many `names` as `side` x `side`. Returns cells int (N, 2).
    """
    pixels = [np.asarray(tile, np.float32).ravel() / 255 for tile in tiles(images, names, THUMBNAIL)]
    return grid(project(np.stack(pixels), perplexity, seed), side, side)
