"""What the simulated audience likes, as the article found it: the truth that findings are compared with."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

Box = Sequence[float] | np.ndarray  # left, top, right, bottom
Boxes = Sequence[Box] | np.ndarray

# In log-odds-like units, each where the attribute holds. What is 0 means nothing, on purpose: what a network
# makes of it, it made up.
EFFECTS = {
    "female": 0.5,
    "forehead_cut": 0.4,
    "long_hair": 0.3,
    "upward_hair": 0.3,
    "over_exposed": 0.3,
    "faded": 0.3,
    "black_and_white": 0.35,
    "border": 0.45,
    "tilted": 0.2,
    "centred": 0.15,
    "at_top": 0.15,
    "low_light": -0.9,
    "large_head": -0.5,
    "group": -0.7,  # but not the famous one
    "glasses": 0.0,
    "pout": 0.0,
    "hat": 0.0,
    "skin_tone": 0.0,
    "age": 0.0,
    "background": 0.0,
}
# Tastes that hold for one presented gender and are worth nothing to the other.
ONLY_FOR = {"forehead_cut": "female", "long_hair": "female", "upward_hair": "male"}
BEST_SHARE = 1 / 3  # of the photo's width that the head takes
FALL_OFF = 12.0  # lost per squared distance from the best share…
FARTHEST = 0.2  # …which counts up to here: more is what `large_head` is for

CENTRED = 0.06  # of the photo's width, at most, from its middle
AT_TOP = 0.42  # of the photo's height: the middle of the head lies above
CUT = 0.10  # of the head's height that the photo's edge cuts off
LARGE = 0.51  # of the photo's width: more is too large
FRAME, BAR = 0.06, 0.14  # widths of borders / the photo's
SEEN = 0.03  # of a crop's width that a border takes at both sides, at least, to be seen as one
KEPT = 0.5  # of what the photo shows of a head: with less of it in a crop, the crop has lost it
OF_PERSON = ["upward_hair", "long_hair", "glasses", "sunglasses", "hat", "smile", "pout", "tilted"]


def true_appeal(truth: pd.DataFrame) -> np.ndarray:
    """Return the appeal of photos, float64 (N,); `truth` has the columns of truth.parquet."""
    gender = truth["presented_gender"]
    appeal = EFFECTS["female"] * (gender == "female").to_numpy(float)
    for name, effect in EFFECTS.items():
        if effect and name != "female":
            appeal += effect * _holds(truth, name, gender)
    distance = truth["face_share"].fillna(BEST_SHARE).to_numpy(float) - BEST_SHARE
    return appeal - FALL_OFF * np.minimum(abs(distance), FARTHEST) ** 2


def _holds(truth: pd.DataFrame, name: str, gender: pd.Series) -> np.ndarray:
    """Return where an attribute counts, float64 (N,) of 0 and 1."""
    holds = truth[name].to_numpy(float)
    if name == "group":
        holds = holds * ~truth["famous_group"].to_numpy(bool)
    return holds * (gender == ONLY_FOR[name]).to_numpy() if name in ONLY_FOR else holds


def framing(head: Sequence[float]) -> dict[str, float | bool]:
    """Say how a head stands in a photo; its box is left, top, right, bottom in 0..1 of the photo."""
    left, top, right, bottom = head
    centre_x, centre_y = (left + right) / 2, (top + bottom) / 2
    return {
        "face_share": right - left,
        "centre_x": centre_x,
        "centre_y": centre_y,
        "centred": abs(centre_x - 0.5) <= CENTRED,
        "at_top": centre_y <= AT_TOP,
        "large_head": right - left > LARGE,
    }


def is_cut(head: Sequence[float], edge: float) -> bool:
    """Tell whether an edge at this height cuts the forehead off, in the units of the head's box."""
    return edge - head[1] >= CUT * (head[3] - head[1])


def in_frame(truth: pd.DataFrame, boxes: np.ndarray) -> pd.DataFrame:
    """Return the truth of crops: `truth` with the columns that follow from what a crop shows.

    `boxes` are left, top, right, bottom, float64 (N, 4) in 0..1 of each photo. A head stays where half of
    what the photo shows of it is in the crop. A crop without the main head is no selfie any more: its appeal
    is 0, as that of any view, or NaN where somebody else is left, of whom the truth says nothing. Light,
    filters, tilt and hair stay what they are.
    """
    crops = truth.copy()
    rows = [
        _of_crop(row, box) if row["selfie"] else {}
        for row, box in zip(truth.to_dict("records"), np.asarray(boxes, float), strict=True)
    ]
    found = pd.DataFrame(rows, index=truth.index)
    for name in found:
        crops[name] = found[name].where(found[name].notna(), truth[name])
    crops = crops.astype({name: truth[name].dtype for name in found})
    lost = truth["selfie"] & ~crops["selfie"]
    crops.loc[lost, ["face_share", "centre_x", "centre_y"]] = np.nan
    crops.loc[lost, [name for name in OF_PERSON if name in crops]] = False
    crops["appeal"] = np.where(crops["selfie"], true_appeal(crops), 0.0)
    crops.loc[lost & (crops["people"] > 0), "appeal"] = np.nan
    return crops


def _of_crop(row: dict, box: np.ndarray) -> dict:
    """Return what a crop changes of one selfie's row."""
    window = _window(row["border_kind"])
    kept = heads_kept(row["head_boxes"], box, window)
    heads = [within(head, box) for head in row["head_boxes"]]
    people, main = int(kept.sum()), bool(kept[0])
    return {
        **{name: value if main else False for name, value in framing(heads[0]).items()},
        "selfie": main,
        "people": people,
        "group": main and people > 1,
        "famous_group": row["famous_group"] and people == row["people"],
        "forehead_cut": main and bool(row["forehead_cut"] or is_cut(row["head_boxes"][0], box[1])),
        "border": row["border"] and _shows_border(within(window, box)),
    }


def heads_kept(heads: Boxes, box: Box, window: Box = (0, 0, 1, 1)) -> np.ndarray:
    """Tell which heads a crop keeps at least half of: bool (K,); all boxes in 0..1 of the photo."""
    shown = np.array([_overlap(head, window) for head in heads])
    seen = np.array([_overlap(_overlap(head, window), box) for head in heads])
    return _area(seen) >= KEPT * _area(shown)


def within(inner: Box, box: Box) -> list[float]:
    """Return a box in 0..1 of another one."""
    (left, top), size = box[:2], (box[2] - box[0], box[3] - box[1])
    return [(value - (left, top)[i % 2]) / size[i % 2] for i, value in enumerate(inner)]


def _overlap(one: Box, other: Box) -> list[float]:
    left, top = max(one[0], other[0]), max(one[1], other[1])
    return [left, top, max(left, min(one[2], other[2])), max(top, min(one[3], other[3]))]


def _area(boxes: np.ndarray) -> np.ndarray:
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def _window(border: str) -> tuple[float, float, float, float]:
    """Return what a border leaves of the photo, a box in 0..1."""
    across = FRAME if border in ("white", "black") else BAR if border.endswith("_sides") else 0.0
    down = FRAME if border in ("white", "black") else BAR if border.endswith("_bars") else 0.0
    return across, down, 1 - across, 1 - down


def _shows_border(window: Sequence[float]) -> bool:
    """Tell whether two facing edges of a border are left in a crop; the window is in 0..1 of the crop."""
    left, top, right, bottom = window
    return max(min(left, 1 - right), min(top, 1 - bottom)) >= SEEN
