"""The best edit of one photo: a crop, a filter, a border and an exposure, each the one that is liked most."""

import math
from collections.abc import Collection
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from selfie_utils.analysis.interventions import Rate
from selfie_utils.analysis.ranking import best_first
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import from_root
from selfie_utils.photos.edits import bars, black_and_white, border, expose, fade, saturate, window
from selfie_utils.photos.images import ImageFolder, Images, UnreadableImage
from selfie_utils.photos.pack import read_photo


class Step(NamedTuple):
    """A photo after some edits."""

    name: str
    photo: np.ndarray  # uint8 (H, W, 3)
    log_odds: float

    @property
    def score(self) -> float:
        """P(good), 0 to 1."""
        return 1 / (1 + math.exp(-self.log_odds))

    @property
    def title(self) -> str:
        """What was done last, and the score, as a caption."""
        return f"{self.name}\nscore {100 * self.score:.1f}"


SMALLEST_WINDOW = 0.65  # of the photo's side


def _crops() -> dict:
    """Return a handful of windows, in the middle and at the top of the photo."""
    return {
        f"crop to {side:.0%}, {where}": partial(window, left=(1 - side) / 2, top=(1 - side) * down, side=side)
        for side in (0.9, 0.8, SMALLEST_WINDOW)
        for where, down in (("top", 0.0), ("upper", 0.25), ("middle", 0.5))
    }


CHOICES = {
    "crop": _crops(),
    "filter": {
        "faded": partial(fade, dose=1.0),
        "black and white": partial(black_and_white, dose=1.0),
        "stronger colours": partial(saturate, dose=0.4),
        "softer colours": partial(saturate, dose=-0.4),
    },
    "border": {
        "border of 5%": partial(border, dose=0.05),
        "border of 10%": partial(border, dose=0.1),
        "bars of 14%": partial(bars, dose=0.14),
    },
    "exposure": {f"{stops:+.1f} stops": partial(expose, dose=stops) for stops in (-1.0, -0.5, 0.5, 1.0, 1.5)},
}


def open_photo(photo: str, scores: pd.DataFrame, images: Images, size: int) -> tuple[str, np.ndarray]:
    """Return the name of a photo and the photo, uint8 (size, size, 3).

    `photo` is the path of a file, the post_id of a test post, or empty for the post in the middle of the
    ranking. Raises SelfieError where it is none of these, or can't be read.
    """
    ranked, path = best_first(scores), from_root(photo)
    if photo and path.is_file():
        images, name = ImageFolder(path.parent), path.name
    elif photo and photo not in set(scores["post_id"]):
        raise SelfieError(f"photo = {photo!r} is neither a file nor the post_id of a test post: give one.")
    else:
        chosen = ranked[ranked["post_id"] == photo] if photo else ranked.iloc[[len(ranked) // 2]]
        name = chosen["image"].item()
    try:
        return name, read_photo(images, size, name)
    except UnreadableImage as error:
        raise SelfieError(f"photo: {name} cannot be edited: {error}.") from None


def is_among_worst(photo: str, name: str, small: Collection[str], score: float, crowd: pd.Series) -> bool:
    """Tell whether a photo, as `open_photo` finds it, may not be enlarged.

    A test post where it is one of `small`, as from `ranking.worst_of_real`; a file where it scores as the
    worst tenth of the test posts do (`crowd`, their scores).
    """
    is_file = bool(photo) and from_root(photo).is_file()
    return score <= crowd.quantile(0.1) if is_file else name in small


def best_edits(rate: Rate, photo: np.ndarray, least: float) -> list[Step]:
    """Edit a photo, uint8 (H, W, 3), greedily: at each step whatever raises the score most.

    Of crop, filter, border and exposure each is used once at most; it ends where none raises the log-odds by
    more than `least`. Returns the photo as it was and after each step, the best last.
    """
    steps, left = [Step("as it was", photo, float(rate(photo[None])[0]))], dict(CHOICES)
    while left:
        tried = {(kind, name): do(steps[-1].photo) for kind in left for name, do in left[kind].items()}
        odds = rate(np.stack(list(tried.values())))
        best = int(np.argmax(odds))
        if odds[best] <= steps[-1].log_odds + least:
            break
        (kind, name), edited = list(tried.items())[best]
        steps.append(Step(name, edited, float(odds[best])))
        del left[kind]
    return steps
