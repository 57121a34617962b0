"""Hold saliency maps to account: do they follow the network, and does the score follow them?"""

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd
from scipy import stats
from scipy.integrate import trapezoid
from scipy.ndimage import gaussian_filter

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.shares import mean

Rate = Callable[[np.ndarray], np.ndarray]  # photos uint8 (N, S, S, 3) to their scores, float64 (N,)
GREY = 128  # what a pixel becomes when it is deleted
OWN = 0.3  # rank correlation with a random network's map below which a map is the trained network's own
UNSIGNED = ", without signs"
BLUR = 1 / 12  # of the photo's side: what an insertion begins with


def likeness(maps: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each map with its other, both (N, S, S): float64 (N,), -1 to 1.

    nan where a map is flat.
    """
    found = []
    for one, other in zip(maps, others, strict=True):
        flat = np.ptp(one) == 0 or np.ptp(other) == 0
        found.append(np.nan if flat else stats.spearmanr(one.ravel(), other.ravel()).statistic)
    return np.array(found, float)


def compare_with_random(maps: Mapping[str, np.ndarray], control: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Compare the maps of each method with those of a network of random weights: how alike are they?

    Mean, low, high of `likeness`, a row a method, and one for its maps without their signs. Source: Adebayo
    et al., "Sanity checks for saliency maps", 2018.
    """
    rows = {}
    for method in maps:
        rows[method] = mean(likeness(maps[method], control[method]))
        rows[f"{method}{UNSIGNED}"] = mean(likeness(abs(maps[method]), abs(control[method])))
    return pd.DataFrame(rows).T[["mean", "low", "high"]].rename_axis("maps")


def random_maps(count: int, size: int, seed: int) -> np.ndarray:
    """Return maps that know nothing, float64 (N, S, S): noise, in patches as large as those of real maps."""
    noise = np.random.default_rng(seed).normal(size=(count, size, size))
    return np.stack([gaussian_filter(one, size / 16) for one in noise])


def deletion(rate: Rate, photos: np.ndarray, maps: np.ndarray, steps: int) -> np.ndarray:
    """Return scores, float64 (N, steps + 1), while photos turn grey, first where it raises the score most.

    `photos` are uint8 (N, S, S, 3), `maps` (N, S, S). The better the map, the sooner the score falls. Source:
    Petsiuk, Das and Saenko, "RISE", 2018.
    """
    return _exchange(rate, photos, np.full_like(photos, GREY), maps, steps)


def insertion(rate: Rate, photos: np.ndarray, maps: np.ndarray, steps: int) -> np.ndarray:
    """Return scores, float64 (N, steps + 1), while photos come out of a blur, as in `deletion`.

    The better the map, the sooner the score rises.
    """
    soft = (0, *(2 * [photos.shape[1] * BLUR]), 0)
    blurred = gaussian_filter(photos.astype(np.float32), soft).round().astype(np.uint8)
    return _exchange(rate, blurred, photos, maps, steps)


def _exchange(rate: Rate, start: np.ndarray, end: np.ndarray, maps: np.ndarray, steps: int) -> np.ndarray:
    """Rate photos while `start` becomes `end`, the pixels highest in `maps` first, in equal steps."""
    if steps < 1:
        raise SelfieError(f"{steps} steps were asked for, expected 1 or more.")
    turns = np.argsort(np.argsort(-maps.reshape(len(maps), -1), axis=1, kind="stable"), axis=1)
    turns = turns.reshape(maps.shape) / maps[0].size  # 0 goes first
    shares = np.linspace(0, 1, steps + 1)
    return np.stack([rate(np.where((turns < share)[..., None], end, start)) for share in shares], axis=1)


def area_under(curves: np.ndarray) -> np.ndarray:
    """Return the area under curves (N, K) whose points are evenly spaced between 0 and 1: float64 (N,)."""
    return trapezoid(curves, dx=1 / (curves.shape[1] - 1), axis=1)


def follow(rate: Rate, photos: np.ndarray, maps: Mapping[str, np.ndarray], steps: int) -> pd.DataFrame:
    """Delete and insert the pixels of photos in the order of each map.

    Returns a row a photo, kind ("deletion", "insertion") and order of `maps`: scores at evenly spaced shares,
    a column a share (float, 0..1).
    """
    tables = []
    for kind, run in (("deletion", deletion), ("insertion", insertion)):
        for order, one in maps.items():
            curves = pd.DataFrame(run(rate, photos, one, steps), columns=np.linspace(0, 1, steps + 1))
            index = {"kind": kind, "order": order, "photo": range(len(photos))}
            tables.append(curves.set_index(pd.MultiIndex.from_frame(pd.DataFrame(index))))
    return pd.concat(tables)


def gains(curves: pd.DataFrame, chance: str) -> pd.DataFrame:
    """Return how much better each order of `follow` is than the order `chance`: mean, low, high.

    By the area between the two curves of each photo: positive where the score falls sooner in deletion, and
    where it rises sooner in insertion.
    """
    areas = pd.Series(area_under(curves.to_numpy()), curves.index).unstack("order")
    rows = {}
    for kind, sign in (("deletion", -1), ("insertion", 1)):
        table = areas.xs(kind, level="kind")
        for order in [name for name in curves.index.unique("order") if name != chance]:
            rows[kind, order] = mean(sign * (table[order] - table[chance]))
    return pd.DataFrame(rows).T[["mean", "low", "high"]].rename_axis(["curve", "order"])


def control_in_words(compared: pd.DataFrame) -> str:
    """Say in Markdown which maps are the network's own; `compared` as from `compare_with_random`."""
    told = []
    for name, row in compared[~compared.index.str.endswith(UNSIGNED)].iterrows():
        verdict = "its own map" if row["high"] < OWN else "no clearly different map"
        told.append(f"{name}: {row['mean']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f}), {verdict}")
    return f"The trained network's maps, compared with the random one's: **{'; '.join(told)}**."


def gains_in_words(gained: pd.DataFrame) -> str:
    """Say in Markdown what the curves of `gains` prove."""
    clear = [f"{curve} by {order}" for (curve, order), row in gained.iterrows() if row["low"] > 0]
    told = f"**{len(clear)} of {len(gained)}** are clearly better than the random order"
    return told + (f": {', '.join(clear)}." if clear else ".")


def as_metrics(compared: pd.DataFrame, gained: pd.DataFrame) -> dict[str, float]:
    """Name what `compare_with_random` and `gains` found, each with its interval, without what is nan."""
    rows = [(f"likeness_to_random {name}", row) for name, row in compared.iterrows()]
    rows += [(f"{curve}_gain {order}", row) for (curve, order), row in gained.iterrows()]
    found: dict[str, float] = {}
    for name, row in rows:
        found |= {name: row["mean"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
    return {name: float(value) for name, value in found.items() if np.isfinite(value)}
