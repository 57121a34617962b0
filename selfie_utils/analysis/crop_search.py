"""Search for the best crop: several ways to spend a number of looks, and how far each stays from the best."""

import importlib.util
from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.linalg import solve_triangular
from scipy.ndimage import map_coordinates, maximum_filter
from scipy.spatial.distance import cdist
from scipy.stats.qmc import Sobol

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.progress import tqdm
from selfie_utils.photos.crops import SMALLEST

Score = Callable[[np.ndarray], np.ndarray]  # numbers of crops, (N, 3) in 0..1, to scores (N,)
COARSE_TO_FINE, RANDOM = "coarse to fine", "random (the article's)"
MODEL = "Gaussian process"
FEWEST = 5  # photos; of fewer no interval is told
PYRAMID = 90  # crops of the fixed grid
# Of the Gaussian process; chosen on eight photos.
FIRST, CANDIDATES = 32, 400  # crops that are spread evenly, and those to choose among, twice
HOPE, NOISE = 2.5, 1e-3  # standard deviations; variance of the noise / that of the scores
AKIN = (0.4, 0.12)  # of the logarithm of the side, and of a square photo's width
NO_CMA = "CMA-ES is left out: pip install 'selfie-suite[crop]' to compare with it."


class Tried(NamedTuple):
    """The crops that a search has looked at, in order."""

    numbers: np.ndarray  # float64 (N, 3): scale, x, y in 0..1
    scores: np.ndarray  # float64 (N,)

    @property
    def best(self) -> int:
        """The position of the best one."""
        return int(np.argmax(self.scores))


def search_random(score: Score, budget: int, rng: np.random.Generator) -> Tried:
    """Look at random crops, as the article did."""
    return _look(score, rng.random((_checked(budget), 3)))


def search_sobol(score: Score, budget: int, rng: np.random.Generator) -> Tried:
    """Look at crops that leave no gaps: Sobol's sequence, scrambled (Owen, 1998)."""
    return _look(score, spread(_checked(budget), rng))


def search_pyramid(score: Score, budget: int, rng: np.random.Generator) -> Tried:
    """Look at a fixed grid of 90 crops, as many as the literature on cropping looks at.

    Those of Zeng et al. ("Reliable and efficient image cropping: a grid anchor based approach", CVPR 2019)
    have any shape; these are square, in five sizes, at 2 x 2 places for the largest to 6 x 6 for the
    smallest. `rng` only chooses which are left out where the budget is smaller.
    """
    levels = [np.linspace(0, 1, places) for places in range(2, 7)]
    scales = [1 - (places - 1) / 6 for places in range(2, 7)]
    grid = np.array([(s, x, y) for s, at in zip(scales, levels, strict=True) for x, y in product(at, at)])
    return _look(score, grid[np.sort(rng.permutation(len(grid))[: _checked(budget)])])


def search_coarse_to_fine(
    score: Score,
    budget: int,
    rng: np.random.Generator,
    first: float = 0.2,
    rounds: int = 8,
    kept: int = 3,
    shrink: float = 1.5,
) -> Tried:
    """Spread some crops evenly, then look ever closer around the best ones.

    `first` is the share of the budget that is spread; each of `rounds` then draws evenly in cubes around the
    `kept` best crops so far, whose sides are `shrink` times shorter in each round.
    """
    tried = _look(score, spread(max(1, round(first * _checked(budget))), rng))
    width = 0.5
    for left in range(rounds, 0, -1):
        count = round((budget - len(tried.scores)) / left)
        around = tried.numbers[np.argsort(-tried.scores, kind="stable")[:kept]]
        centres = around[np.arange(count) % len(around)]
        near = (centres + width * (rng.random((count, 3)) - 0.5)).clip(0, 1)
        tried = _joined(tried, _look(score, near))
        width /= shrink
    return tried


def search_model(score: Score, budget: int, rng: np.random.Generator) -> Tried:
    """Learn from what was seen which crops may be best, and look there: a Gaussian process, in batches.

    After `FIRST` crops that are spread evenly, each batch takes, one after the other, the crop whose score
    may be highest: what the process expects and `HOPE` standard deviations (Srinivas et al., "Gaussian
    process optimization in the bandit setting", 2010; a crop that is taken counts as seen, as in Desautels
    et al., 2014). This is how `selfie crop` and `10_optimal_crop` search.
    """
    numbers = spread(min(FIRST, _checked(budget)), rng)
    numbers[:, 0] **= 1.5  # of small crops there are more different ones
    tried = _look(score, numbers)
    while (left := budget - len(tried.scores)) > 0:
        batch = min(left, max(8, len(tried.scores) // 40 * 8))
        tried = _joined(tried, _look(score, _promising(tried, batch, rng)))
    return tried


def _promising(tried: Tried, count: int, rng: np.random.Generator) -> np.ndarray:
    """Choose the next crops among some anywhere and some near the best ones: numbers (count, 3)."""
    anywhere = rng.random((CANDIDATES, 3)) ** (1.5, 1, 1)
    best = tried.numbers[np.argsort(-tried.scores, kind="stable")[:10]]
    away = 0.15 * rng.random((CANDIDATES, 1)) * rng.normal(0, 1, (CANDIDATES, 3))  # some very near
    near = best[rng.integers(0, len(best), CANDIDATES)] + away
    numbers = np.vstack([anywhere, near.clip(0, 1)])
    seen, asked, n = _as_crops(tried.numbers), _as_crops(numbers), len(tried.scores)
    root = np.linalg.cholesky(_kinship(seen, seen) + NOISE * np.eye(n))
    rows = np.empty((n + count, len(numbers)))  # the part of the crops' kinship that is explained
    rows[:n] = solve_triangular(root, _kinship(seen, asked), lower=True)
    scores = (tried.scores - tried.scores.mean()) / (tried.scores.std() or 1.0)
    expected = rows[:n].T @ solve_triangular(root, scores, lower=True)
    unknown, chosen = 1 - (rows[:n] ** 2).sum(0), []
    for at in range(n, n + count):
        chosen.append(int(np.argmax(expected + HOPE * np.sqrt(unknown.clip(0)))))
        one = asked[chosen[-1:]]
        rows[at] = _kinship(one, asked)[0] - rows[:at, chosen[-1]] @ rows[:at]
        rows[at] /= np.sqrt(max(unknown[chosen[-1]], 0) + NOISE)
        unknown = unknown - rows[at] ** 2
    return numbers[chosen]


def _as_crops(numbers: np.ndarray) -> np.ndarray:
    """Return where crops lie, float64 (N, 3): size and middle, in lengths within which scores are akin."""
    side = SMALLEST + (1 - SMALLEST) * numbers[:, :1]
    middle = numbers[:, 1:] * (1 - side) + side / 2
    return np.hstack([np.log(side) / AKIN[0], middle / AKIN[1]])


def _kinship(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return how akin the scores of crops are, (N, M) in 0..1: Matérn's kernel of order 3/2."""
    apart = np.sqrt(3) * cdist(one, other)
    return (1 + apart) * np.exp(-apart)


def search_cma(score: Score, budget: int, rng: np.random.Generator) -> Tried:
    """Let CMA-ES move and shape a cloud of crops (Hansen's `cma`; started anew wherever it has settled)."""
    import cma

    tried = Tried(np.empty((0, 3)), np.empty(0))
    while len(tried.scores) < _checked(budget):
        start = rng.random(3) if len(tried.scores) else np.full(3, 0.5)
        options = {"bounds": [0, 1], "seed": int(rng.integers(1, 2**31)), "verbose": -9}
        cloud = cma.CMAEvolutionStrategy(start, 0.3, options)
        while not cloud.stop() and len(tried.scores) < budget:
            asked = np.array(cloud.ask())
            found = _look(score, asked[: budget - len(tried.scores)])
            tried = _joined(tried, found)
            if len(found.scores) == len(asked):
                cloud.tell(list(asked), (-found.scores).tolist())
    return tried


def methods() -> dict[str, Callable[..., Tried]]:
    """Return the searches that can be compared, by name; CMA-ES where the package `cma` is installed."""
    known = {RANDOM: search_random, "grid of 90": search_pyramid, "Sobol": search_sobol}
    known |= {COARSE_TO_FINE: search_coarse_to_fine, MODEL: search_model}
    return known | ({"CMA-ES": search_cma} if importlib.util.find_spec("cma") else {})


def spread(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return evenly spread numbers of crops, float64 (count, 3) in 0..1."""
    sobol = Sobol(3, rng=rng)
    return sobol.random_base2(max(0, int(count - 1).bit_length()))[:count]


def _checked(budget: int) -> int:
    if budget < 1:
        raise SelfieError(f"A search of {budget} evaluations finds nothing: give 1 or more.")
    return budget


def _look(score: Score, numbers: np.ndarray) -> Tried:
    return Tried(numbers, np.asarray(score(numbers), float) if len(numbers) else np.empty(0))


def _joined(one: Tried, other: Tried) -> Tried:
    return Tried(np.vstack([one.numbers, other.numbers]), np.concatenate([one.scores, other.scores]))


class Landscape:
    """The scores of all crops of a fine grid, float64 (scales, places, places): by scale, x and y."""

    def __init__(self, scores: np.ndarray):
        self.scores = scores

    def __call__(self, numbers: np.ndarray) -> np.ndarray:
        """Return scores (N,) of any crops, (N, 3) in 0..1, straight between the nearest of the grid."""
        at = np.asarray(numbers, float).T * (np.array(self.scores.shape) - 1)[:, None]
        return map_coordinates(self.scores, at, order=1, mode="nearest")

    @property
    def best(self) -> np.ndarray:
        """The numbers of the best crop, float64 (3,)."""
        at = np.unravel_index(int(np.argmax(self.scores)), self.scores.shape)
        return np.array(at) / (np.array(self.scores.shape) - 1)

    def hills(self) -> np.ndarray:
        """Find crops that no neighbour on the grid beats: bool, as `scores`; plateaus count throughout."""
        return self.scores >= maximum_filter(self.scores, size=3, mode="nearest")


def survey(score: Score, scales: int = 12, places: int = 13) -> Landscape:
    """Score all crops of a grid of `scales` x `places` x `places`."""
    if min(scales, places) < 2:
        raise SelfieError(f"A grid of {scales} scales and {places} places has none between: give 2 or more.")
    grid = np.array(list(product(*(np.linspace(0, 1, n) for n in (scales, places, places)))))
    return Landscape(np.asarray(score(grid), float).reshape(scales, places, places))


def compare(
    landscapes: Sequence[Landscape], budgets: Sequence[int], seeds: int, known: dict | None = None
) -> pd.DataFrame:
    """Let every search look for the best crop of every photo, once a seed, in each number of evaluations.

    Returns photo, method, seed, evaluations, regret (points: how much the best crop found scores below the
    best of the grid). Searches ask the landscape, so that they cost nothing. Coarse to fine plans by its
    budget; of the others the first evaluations of the longest search count; the grid of 90 has 90.
    """
    if not len(budgets) or min(budgets) < 1 or seeds < 1:
        raise SelfieError(f"Evaluations are {list(budgets)} with {seeds} seeds, expected 1 or more of each.")
    rows = []
    for photo, land in enumerate(tqdm(landscapes, "searching", mininterval=2, unit="photo")):
        for (name, search), seed in product((known or methods()).items(), range(seeds)):
            for evaluations, reached in _reached(search, land, budgets, seed).items():
                regret = 100 * (land.scores.max() - reached)
                rows.append((photo, name, seed, evaluations, regret))
    return pd.DataFrame(rows, columns=["photo", "method", "seed", "evaluations", "regret"])


def _reached(search: Callable, land: Landscape, budgets: Sequence[int], seed: int) -> dict[int, float]:
    """Return the best score that a search has seen, by its number of evaluations."""

    def look(budget):
        return search(land, budget, np.random.default_rng([seed, 77])).scores

    if search is search_pyramid:
        return {PYRAMID: look(PYRAMID).max()}
    if search is search_coarse_to_fine:
        return {budget: look(budget).max() for budget in budgets}
    scores = look(max(budgets))
    return {budget: scores[:budget].max() for budget in budgets}


def summarise(regrets: pd.DataFrame, seed: int = 0, draws: int = 500) -> pd.DataFrame:
    """Sum regrets up: method, evaluations, median and worst (95th percentile), over photos and seeds.

    median_low, median_high, worst_low and worst_high are 95% intervals, from `draws` bootstrap samples of
    photos; nan with fewer than five, since two photos say nothing of others.
    """
    rng, rows = np.random.default_rng(seed), []
    for (method, evaluations), some in regrets.groupby(["method", "evaluations"], sort=False):
        table = some.pivot(index="photo", columns="seed", values="regret").to_numpy()  # (photos, seeds)
        drawn = table[rng.integers(0, len(table), (draws, len(table)))].reshape(draws, -1)
        row = {"method": method, "evaluations": evaluations}
        for name, share in (("median", 50), ("worst", 95)):
            low, high = np.percentile(np.percentile(drawn, share, axis=1), [2.5, 97.5])
            if len(table) < FEWEST:
                low = high = np.nan
            row |= {name: np.percentile(table, share), f"{name}_low": low, f"{name}_high": high}
        rows.append(row)
    return pd.DataFrame(rows)


def climbs(
    paths: np.ndarray, land: Landscape, name: str, photo: int, starts: int, budgets: Sequence[int]
) -> pd.DataFrame:
    """Turn paths of gradients, numbers (starts, steps, 3), into regrets as those of `compare`.

    With `starts` of 1 each path counts for itself, as a seed; else the first `starts` count together. An
    evaluation is a step of one path.
    """
    seen = np.maximum.accumulate(land(paths.reshape(-1, 3)).reshape(paths.shape[:2]), axis=1)
    groups = [seen[i : i + 1] for i in range(len(seen))] if starts == 1 else [seen[:starts]]
    rows = []
    for seed, group in enumerate(groups):
        for evaluations in budgets:
            step = evaluations // len(group)
            if 1 <= step <= group.shape[1]:
                regret = 100 * (land.scores.max() - group[:, step - 1].max())
                rows.append((photo, name, seed, evaluations, regret))
    return pd.DataFrame(rows, columns=["photo", "method", "seed", "evaluations", "regret"])


def compare_climbs(
    paths: dict[str, list], lands: Sequence[Landscape], budgets: Sequence[int]
) -> pd.DataFrame:
    """Turn the paths of `climb_all` into regrets: of one start, and of all starts together."""
    tables = []
    for (name, photos), alone in product(paths.items(), (True, False)):
        for photo, (path, land) in enumerate(zip(photos, lands, strict=True)):
            starts = 1 if alone else len(path.numbers)
            said = f"{name}, {starts} start{'s' * (starts > 1)}"
            tables.append(climbs(path.numbers, land, said, photo, starts, budgets))
    return pd.concat(tables, ignore_index=True)


def profiles(paths: np.ndarray, land: Landscape, points: int = 60) -> np.ndarray:
    """Return scores on the straight way from the end of each path to the best crop: float64 (starts, points).

    Where they fall before they rise, a gradient that is right at every step still ends at the wrong crop.
    """
    along = np.linspace(0, 1, points)[:, None]
    return np.stack([land(end + along * (land.best - end)) for end in paths[:, -1]])


def starts_of(count: int, seed: int) -> np.ndarray:
    """Return where gradients start: evenly spread numbers of crops, float64 (count, 3)."""
    if count < 1:
        raise SelfieError(f"starts is {count}, expected 1 or more.")
    return spread(count, np.random.default_rng(seed))


def real_regrets(lands: Sequence[Landscape], tries: dict[str, Tried], photos: Sequence[str]) -> np.ndarray:
    """Return by how many points real searches stayed below the best of the grid, float64 (N,).

    A search looks between the crops of the grid, too, so it may find a better one: then it is below 0.
    """
    found = [tries[name].scores.max() for name in photos]
    return np.array([100 * (land.scores.max() - best) for land, best in zip(lands, found, strict=True)])


def in_words(summary: pd.DataFrame, real: np.ndarray, evaluations: int) -> str:
    """Say in Markdown how far searches stay from the best crop at about so many evaluations."""
    lines = ["| search | evaluations | median | 95% within |", "| --- | ---: | ---: | ---: |"]
    for _, some in summary.groupby("method", sort=False):
        row = some.iloc[(some["evaluations"] - evaluations).abs().argmin()]
        lines.append(f"| {row['method']} | {row['evaluations']} | {row['median']:.2f} | {row['worst']:.2f} |")
    below = ", ".join(f"{round(regret, 2) + 0.0:+.2f}" for regret in real[:10])  # no -0.00
    told = (
        "Numbers are points of score. The real searches of section 1, which looked at crops and not at a "
        f"grid, stayed below the best of the grid by {below} points on these {len(real)} photos; below zero "
        "they found a better one between."
    )
    return "\n".join([*lines, "", told, "", climbs_in_words(summary)])


def climbs_in_words(summary: pd.DataFrame) -> str:
    """Say in Markdown how the best of the gradients compares with as many random crops; "" without any."""
    climbed = summary[summary["method"].str.startswith("gradient")]
    if climbed.empty:
        return ""
    best = climbed.loc[climbed["median"].idxmin()]
    random = summary[(summary["method"] == RANDOM) & (summary["evaluations"] == best["evaluations"])]
    return (
        f"Of the gradients, **{best['method']}** comes nearest: {best['median']:.2f} points below the best "
        f"crop after {best['evaluations']} evaluations, where random crops stay "
        f"{random['median'].item():.2f} below."
    )


def why_stuck(land: Landscape, ways: np.ndarray) -> str:
    """Say in Markdown how many hills a landscape has, and what lies between a gradient's end and the best."""
    lost = 100 * (land.scores.max() - ways[:, 0])
    valley = 100 * (ways[:, 0] - ways.min(axis=1))
    stuck = lost > 0.5
    return (
        f"**{int(land.hills().sum())} hills**, which no neighbour beats, among {land.scores.size:,} crops. "
        f"{int(stuck.sum())} of {len(lost)} paths end more than half a point below the best crop, and from "
        f"{int((stuck & (valley > 0.1)).sum())} of these the straight way to it leads down first, by "
        f"{valley[stuck].mean() if stuck.any() else 0:.1f} points on average."
    )


def regret_metrics(summary: pd.DataFrame, evaluations: int) -> dict[str, float]:
    """Return the regret (points) at about so many evaluations, of our search and of random crops."""
    metrics: dict[str, float] = {}
    for key, method in (("regret", MODEL), ("random_regret", RANDOM)):
        some = summary[summary["method"] == method]
        row = some.iloc[(some["evaluations"] - evaluations).abs().argmin()]
        metrics |= {key: row["median"], f"{key}_95": row["worst"]}
    return metrics
