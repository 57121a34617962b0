"""A pointing game: where something was planted, does the map of a photo point at it?"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.ndimage import label

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.shares import wilson_interval

REAL = "These posts are real: nobody knows what their audience looked at, so there is nothing to point at."

Box = tuple[float, float, float, float]  # left, top, right, bottom, 0..1 of the photo
# Widths of the borders of simulated photos / the photo's.
BORDERS = {
    "white": (0.06, 0.06, 0.06, 0.06), "black": (0.06, 0.06, 0.06, 0.06), "white_bars": (0, 0.14, 0, 0.14),
    "black_bars": (0, 0.14, 0, 0.14), "white_sides": (0.14, 0, 0.14, 0), "none": (0, 0, 0, 0),
}  # fmt: skip
FOREHEAD = 0.25  # of the head's height below the edge that cuts it off: where a cut is to be seen
TWICE = 2  # times its area: from here on a target counts as found
FLAT = 1e-3  # of a map's range: what is that near to the top belongs to it


class Target(NamedTuple):
    """Something planted that has a place in the photo."""

    name: str
    holds: Callable[[pd.DataFrame], pd.Series]  # which rows of the truth have it
    boxes: Callable[[dict], list[Box]]  # where it is in the photo of a row
    speaks: int  # 1 for the photo, -1 against it, 0 one or the other


def window(row: Mapping) -> Box:
    """Return the part of a photo inside its border."""
    left, top, right, bottom = BORDERS.get(row["border_kind"], BORDERS["none"])
    return left, top, 1 - right, 1 - bottom


def border(row: Mapping) -> list[Box]:
    """Return the four sides of the border."""
    left, top, right, bottom = window(row)
    return [(0, 0, 1, top), (0, bottom, 1, 1), (0, top, left, bottom), (right, top, 1, bottom)]


def forehead(row: Mapping) -> list[Box]:
    """Return where the photo's edge cuts the main head: a strip as wide as the head."""
    left, top, right, bottom = row["head_boxes"][0]
    edge = max(window(row)[1], top)
    return [(left, edge, right, edge + FOREHEAD * (bottom - top))]


TARGETS = (
    Target("border", lambda truth: truth["border"], border, 1),
    Target(
        "forehead line",
        lambda truth: truth["forehead_cut"] & (truth["presented_gender"] == "female"),
        forehead,
        1,
    ),
    Target("face", lambda truth: truth["selfie"], lambda row: [tuple(row["face_boxes"][0])], 0),
    Target(
        "other heads",
        lambda truth: truth["group"] & ~truth["famous_group"],
        lambda row: [tuple(box) for box in row["head_boxes"][1:]],
        -1,
    ),
)


def choose_photos(truth: pd.DataFrame, images: pd.Series, count: int, seed: int) -> pd.DataFrame:
    """Choose up to `count` photos of `images` for each target at random: target, image, and the truth's row.

    Raises SelfieError where `count` is less than 1.
    """
    if count < 1:
        raise SelfieError(f"{count} photos a target were asked for, expected 1 or more.")
    known, tables = truth[truth["image"].isin(images)].sort_values("image"), []
    for target in TARGETS:
        some = known[target.holds(known).astype(bool)]
        some = some.sample(min(count, len(some)), random_state=seed)
        tables.append(some.assign(target=target.name))
    return pd.concat(tables, ignore_index=True)


def mask_of(boxes: list[Box], size: int) -> np.ndarray:
    """Return which pixels have their middle in one of the boxes: bool (S, S)."""
    middles = (np.arange(size) + 0.5) / size
    inside = np.zeros((size, size), bool)
    for left, top, right, bottom in boxes:
        rows, columns = (middles >= top) & (middles < bottom), (middles >= left) & (middles < right)
        inside |= rows[:, None] & columns[None]
    return inside


def points_at(one: np.ndarray, speaks: int) -> tuple[int, int]:
    """Return the pixel (row, column) that a map (S, S) points at: its highest, lowest or strongest.

    Of a flat top, as a coarse map has one in a corner, it is the middle.
    """
    told = abs(one) if speaks == 0 else speaks * one
    top = told >= told.max() - FLAT * np.ptp(told)
    peak = np.unravel_index(told.argmax(), told.shape)
    parts, _ = label(top)  # of several tops only the one that holds the highest pixel counts
    rows, columns = np.nonzero(parts == parts[peak])
    return int(rows.mean()), int(columns.mean())


def play(chosen: pd.DataFrame, maps: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Let maps point, (N, S, S) by method, rows as in `chosen`: a row a photo, method and target.

    Columns hit (bool), area (float, the target's share of the photo: how often a blind finger hits it),
    elsewhere (float, how often the maps of other photos, without such a target, point at the same place: a
    method may love edges), others (int, how many these are) and energy (float, the share of the map's
    weight, of the sign in question, that lies on the target). Where all photos have such a target,
    elsewhere is about all others.
    Sources: Zhang et al., "Top-down neural attention by excitation backprop", 2016; for energy Wang et al.,
    "Score-CAM", 2020.
    """
    targets, rows = {target.name: target for target in TARGETS}, []
    have = {name: target.holds(chosen).to_numpy(bool) for name, target in targets.items()}
    for method, several in maps.items():
        places = {speaks: np.array([points_at(one, speaks) for one in several]) for speaks in (-1, 0, 1)}
        for i, row in enumerate(chosen.to_dict("records")):
            target, one = targets[row["target"]], several[i]
            inside = mask_of(target.boxes(row), len(one))
            hits = inside[tuple(places[target.speaks].T)]
            weight = abs(one) if target.speaks == 0 else (target.speaks * one).clip(min=0)
            told = {"target": target.name, "method": method, "area": inside.mean(), "hit": bool(hits[i])}
            others = hits[_others(have[target.name], i)]
            told |= {"elsewhere": others.mean(), "others": len(others)}
            rows.append(told | {"energy": weight[inside].sum() / (weight.sum() or 1)})
    return pd.DataFrame(rows, columns=["target", "method", "hit", "area", "elsewhere", "others", "energy"])


def _others(has: np.ndarray, i: int) -> np.ndarray:
    """Return the photos to compare photo `i` with: those without the target, else all others, bool (N,)."""
    return (np.arange(len(has)) != i) & (~has if not has.all() else True)


def count_hits(played: pd.DataFrame) -> pd.DataFrame:
    """Count hits by target and method: a row each.

    Columns photos, share (of hits), low, high (its 95% interval), base (the mean area), times (share / base),
    energy (the weight on the target / base), elsewhere (hits at the same places of other photos) and
    elsewhere_high (the upper end of its interval).
    """
    rows = {}
    for key, some in played.groupby(["target", "method"], sort=False):
        low, high = wilson_interval(int(some["hit"].sum()), len(some))
        area, share = some["area"].mean(), some["hit"].mean()
        rows[key] = {"photos": len(some), "share": share, "low": low, "high": high, "base": area}
        rows[key] |= {"times": share / area, "energy": some["energy"].mean() / area}
        there, others = some["elsewhere"].mean(), round(some["others"].mean())
        rows[key] |= {"elsewhere": there, "elsewhere_high": wilson_interval(round(there * others), others)[1]}
    return pd.DataFrame(rows).T.rename_axis(["target", "method"])


def as_text(hits: pd.DataFrame) -> pd.DataFrame:
    """Format what `count_hits` returns for a reader."""
    return pd.DataFrame(
        {
            "photos": hits["photos"].map("{:.0f}".format),
            "hits": hits["share"].map("{:.0%}".format),
            "95% interval": [
                f"{low:.0%} to {high:.0%}" for low, high in zip(hits["low"], hits["high"], strict=True)
            ],
            "area": hits["base"].map("{:.0%}".format),
            "other photos there": hits["elsewhere"].map("{:.0%}".format),
            "hits / area": hits["times"].map("{:.1f}".format),
            "weight / area": hits["energy"].map("{:.1f}".format),
        }
    ).rename_axis([None, None])


def in_words(hits: pd.DataFrame) -> str:
    """Say in Markdown how often maps point better than a blind finger."""
    twice, clear = hits["times"] >= TWICE, hits["low"] > hits["base"]
    own = clear & (hits["low"] > hits["elsewhere_high"])
    return (
        f"In **{int(twice.sum())} of {len(hits)}** rows maps hit at least twice as often as a blind finger; "
        f"in {int(clear.sum())} the interval lies wholly above the blind one's share. In {int(own.sum())} it "
        "also lies above the interval of what maps of other photos hit at the same place: only there is it "
        "clear that the target is found, and not a place that maps like."
    )


def as_metrics(hits: pd.DataFrame) -> dict[str, float]:
    """Name what `count_hits` found: shares of hits with their intervals, and how many times the area's."""
    found: dict[str, float] = {}
    for (target, method), row in hits.iterrows():
        name = f"points_at {target} {method}"
        found |= {name: row["share"], f"{name}_low": row["low"], f"{name}_high": row["high"]}
        found |= {
            f"times_area {target} {method}": row["times"],
            f"elsewhere {target} {method}": row["elsewhere"],
        }
    return {name: float(value) for name, value in found.items()}
