"""Time the photo grid, and hold it against SciPy's exact assignment of all points at once, in the same run.

    python benchmarks/grid_layout.py [--sizes 1600 3600 10000 50000] [--exact-up-to 3600]

Prints, for points in clouds as t-SNE leaves them: seconds, and the sum of squared distances over the exact
minimum where that is affordable (1 is perfect); the same ratio for the plain median split that we start from.
"""

import argparse
import time

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from selfie_utils.analysis import map_layout


def clouds(n: int, seed: int = 0, kinds: int = 12) -> np.ndarray:
    """Draw points of a few clouds of different width, float64 (n, 2)."""
    rng = np.random.default_rng(seed)
    middles = rng.normal(size=(kinds, 2)) * 3
    return middles[rng.integers(0, kinds, n)] + rng.normal(size=(n, 2)) * rng.uniform(0.3, 1, (n, 1))


def cost(points: np.ndarray, owners: np.ndarray) -> float:
    """Sum the squared distances between normalised points and the cells that they own."""
    return float(((points[owners.ravel()] - map_layout.cell_centres(*owners.shape)) ** 2).sum())


def exact(points: np.ndarray, rows: int, columns: int) -> float:
    """Return the least sum of squared distances that any assignment has."""
    distances = cdist(points, map_layout.cell_centres(rows, columns), "sqeuclidean")
    return float(distances[linear_sum_assignment(distances)].sum())


def timed(work, *arguments):
    """Return the result of `work` and the seconds it took."""
    start = time.perf_counter()
    return work(*arguments), time.perf_counter() - start


def measure(n: int, exact_up_to: int) -> str:
    """Lay out about `n` points and return one row of the table."""
    rows, columns = map_layout.grid_sides(n, int(np.sqrt(n)), int(np.sqrt(n)))
    points = map_layout.normalised(clouds(rows * columns), rows, columns)
    split, split_seconds = timed(map_layout.median_split, points, rows, columns)
    improved, seconds = timed(map_layout.improve, points, split)
    ours, plain = cost(points, improved), cost(points, split)
    best, wait = timed(exact, points, rows, columns) if n <= exact_up_to else (np.nan, np.nan)
    return (
        f"{rows * columns:>7,}  {split_seconds + seconds:>8.2f}  {wait:>9.2f}  {ours / best:>10.4f}  "
        f"{plain / best:>11.4f}  {plain / ours:>10.4f}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[1600, 3600, 10_000, 50_000])
    parser.add_argument("--exact-up-to", type=int, default=3600, help="more points take minutes to hours")
    asked = parser.parse_args()
    print("  cells    ours s    exact s  ours/exact  split/exact  split/ours")
    for n in asked.sizes:
        print(measure(n, asked.exact_up_to), flush=True)


if __name__ == "__main__":
    main()
