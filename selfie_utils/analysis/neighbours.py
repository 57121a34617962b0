"""Ask whether photos that are alike are neighbours on the map more often than luck would have it."""

from collections.abc import Callable
from html import escape
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

RARE = 5  # posts: an attribute that fewer have (or lack) can't be judged

# The ninths of a map, as one would point at them.
PLACES = np.array(
    [["top left", "top", "top right"], ["left", "middle", "right"], ["bottom left", "bottom", "bottom right"]]
)


class Kept(NamedTuple):
    """A share of neighbours, and what it would be on a map that knows nothing; both 0 to 1."""

    share: float
    chance: float


class Measured(NamedTuple):
    """A measure of the map, and the middle 95% of what it becomes when photos are shuffled over the cells."""

    value: float
    low: float
    high: float


def touching(cells: np.ndarray) -> np.ndarray:
    """List pairs of posts whose cells share a side or a corner.

    `cells` int (N, 2), row and column of each post; returns int (P, 2), rows of `cells`, each pair once.
    """
    at = {tuple(cell): post for post, cell in enumerate(cells.tolist())}
    pairs = [
        (post, at[row + down, column + right])
        for (row, column), post in at.items()
        for down, right in ((0, 1), (1, -1), (1, 0), (1, 1))
        if (row + down, column + right) in at
    ]
    return np.array(pairs, dtype=np.int64).reshape(-1, 2)


def neighbours_kept(features: np.ndarray, cells: np.ndarray, k: int = 10) -> Kept:
    """Measure which share of neighbours on the map are among the `k` nearest of a post by `features`.

    `features` float (N, D), L2 distance; `cells` int (N, 2). Chance is k / (N - 1): a shuffled map.
    """
    k = min(k, len(features) - 1)
    nearest = NearestNeighbors(n_neighbors=k).fit(features).kneighbors(return_distance=False)  # (N, k)
    pairs = touching(cells)
    both_ways = np.concatenate([pairs, pairs[:, ::-1]])
    kept = (nearest[both_ways[:, 0]] == both_ways[:, 1:]).any(axis=1)
    return Kept(float(kept.mean()), k / (len(features) - 1))


def shared(has: np.ndarray, pairs: np.ndarray) -> float:
    """Return how often a neighbour of a post with an attribute has it too: `has` bool (N,); share 0 to 1."""
    first, second = has[pairs[:, 0]], has[pairs[:, 1]]
    with_it = first.sum() + second.sum()
    return float(2 * (first & second).sum() / with_it) if with_it else 0.0


def score_gap(scores: np.ndarray, pairs: np.ndarray) -> float:
    """Return the mean difference in score between neighbours; `scores` float (N,), in their unit."""
    return float(np.abs(scores[pairs[:, 0]] - scores[pairs[:, 1]]).mean())


def against_shuffles(
    measure: Callable[[np.ndarray, np.ndarray], float],
    values: np.ndarray,
    pairs: np.ndarray,
    seed: int = 0,
    shuffles: int = 500,
) -> Measured:
    """Measure `values` over neighbours, then again after shuffling them over the cells many times.

    `measure` is `shared` or `score_gap`, or the like. A value outside low..high is not luck, at the
    5% level: a permutation test that leaves the shape of the map as it is.
    """
    rng = np.random.default_rng(seed)
    by_luck = [measure(rng.permutation(values), pairs) for _ in range(shuffles)]
    low, high = np.quantile(by_luck, [0.025, 0.975])
    return Measured(measure(values, pairs), float(low), float(high))


def judge(attributes: pd.DataFrame, cells: np.ndarray, seed: int = 0, shuffles: int = 500) -> pd.DataFrame:
    """Compare for each attribute how often neighbours of those who have it have it too, with shuffled maps.

    `attributes` boolean columns (unknown values stay out), rows as in `cells`. Returns one row per attribute:
    base (its share in all posts), neighbours (its share among neighbours), low, high (middle 95% after
    shuffling), times (neighbours / base) and verdict ("together", "apart" or "no clear difference"). What
    fewer than RARE posts have, or lack, is left out.
    """
    rows = {}
    for name, column in attributes.items():
        known = column.notna().to_numpy()
        has = column[known].to_numpy(dtype=bool)
        if min(has.sum(), (~has).sum()) < RARE:
            continue
        found = against_shuffles(shared, has, touching(cells[known]), seed, shuffles)
        rows[name] = {"base": has.mean(), "neighbours": found.value, "low": found.low, "high": found.high}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["base", "neighbours", "low", "high"])
    table["times"] = table["neighbours"] / table["base"]
    sides = [table["neighbours"] > table["high"], table["neighbours"] < table["low"]]
    table["verdict"] = np.select(sides, ["together", "apart"], "no clear difference")
    return table.sort_values("times", ascending=False).rename_axis("attribute")


def shares_by_region(has: pd.Series, cells: np.ndarray, regions: int = 8) -> np.ndarray:
    """Cut the map into `regions` x `regions` fields; return the mean of `has` in each, float (R, R).

    `has` boolean or numeric, rows as in `cells`; a field where nothing is known is NaN. A smaller map is cut
    into fewer fields.
    """
    sides = cells.max(axis=0) + 1
    regions = int(min(regions, *sides))
    field = cells * regions // sides  # (N, 2)
    means = has.astype("Float64").groupby([field[:, 0], field[:, 1]]).mean()
    return means.to_numpy(dtype=float, na_value=np.nan).reshape(regions, regions)


def where_densest(attributes: pd.DataFrame, cells: np.ndarray) -> pd.DataFrame:
    """Name the ninth of the map where each attribute is most frequent, such as "top left".

    A map of fewer than 3 x 3 cells has halves or quarters. Returns a row per attribute: place, share there,
    base (share of all posts). The highest of nine is always above the base, by luck alone: read it together
    with `judge`.
    """
    rows = {}
    for name, column in attributes.items():
        shares = shares_by_region(column, cells, 3)
        best = np.unravel_index(np.nanargmax(shares), shares.shape)
        # The first and the last of two fields are the outer ones of three; an only one is the middle.
        at = tuple(i * 2 // (n - 1) if n > 1 else 1 for i, n in zip(best, shares.shape, strict=True))
        rows[name] = {"place": PLACES[at], "share": shares[best], "base": float(column.mean())}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["place", "share", "base"])
    return table.rename_axis("attribute")


def places_in_words(densest: pd.DataFrame) -> str:
    """Say in Markdown where on the map each attribute is most frequent; `densest` as from `where_densest`."""
    lines = [
        f"- **{escape(name)}**: {place}, {share:.0%} there, compared with {base:.0%} of all"
        for name, place, share, base in zip(densest.index, *_columns(densest), strict=True)
    ]
    return "\n".join(lines) or "Nothing gathers anywhere on this map more than luck would have it."


def verdicts_in_words(judged: pd.DataFrame, baseline: pd.DataFrame) -> str:
    """Say in Markdown what stands together, apart, or as luck would have it; both tables as from `judge`.

    Of what stands together, that is named for which a map of the pixels (`baseline`) does as well.
    """
    names = {verdict: [escape(n) for n in some.index] for verdict, some in judged.groupby("verdict")}
    lines = [
        f"- **{verdict}**: {', '.join(names.get(verdict, ['nothing']))}"
        for verdict in ("together", "apart", "no clear difference")
    ]
    plain = [escape(name) for name in as_by_pixels(judged, baseline)]
    lines += [f"- **no network needed**: {', '.join(plain)}"] if plain else []
    return "\n".join(lines)


def as_by_pixels(judged: pd.DataFrame, baseline: pd.DataFrame) -> list[str]:
    """Name what stands together and would as well on a map of the pixels, `baseline` as from `judge`."""
    together = judged[judged["verdict"] == "together"]
    by_pixels = baseline["neighbours"].reindex(together.index)
    return together.index[by_pixels >= together["neighbours"]].tolist()


def beside_planted(judged: pd.DataFrame, effects: dict[str, float]) -> pd.DataFrame:
    """Format for a reader what stands together and what it is worth: `effects` by attribute, log-odds."""
    table = judged[judged.index.isin(effects)]
    return pd.DataFrame(
        {
            "planted effect": [f"{effects[name]:+.2f}" if effects[name] else "0" for name in table.index],
            "among neighbours": table["neighbours"].map("{:.0%}".format),
            "of all": table["base"].map("{:.0%}".format),
            "times": table["times"].map("{:.1f}".format),
            "verdict": table["verdict"],
        },
        index=table.index,
    ).sort_values("planted effect", key=lambda effect: -effect.astype(float).abs(), kind="stable")


def _columns(densest: pd.DataFrame) -> list[list]:
    return [densest[column].tolist() for column in ("place", "share", "base")]
