"""Does a network know such photos? New ones are compared with those that it was tested on, by fc7."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from selfie_utils.core.draws import hash_names
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.progress import tqdm
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.core.shares import share

KNOWN = "network/known.npy"  # travels with the network: fc7 of posts that it was tested on
TOLD = "transfer.json"  # of a run whose network was taught elsewhere; its report pages say what it says
MOST = 2000  # posts of which fc7 travels: 5 MB for EfficientNet-lite0, 16 MB for VGG16
LEAST = 40  # posts: of the half of fewer, none would be among the furthest 5%
INSIDE = 0.95  # share of its own test posts that count as inside
NEIGHBOUR = 10  # the distance to the tenth nearest: one odd photo vouches for nobody
SLICE = 4096  # photos that are compared at once

# Inside is not enough there: to the demo's network portraits of real people look like those that it knows.
SIMULATED = (
    "It was taught on simulated people: even inside, nothing has shown that it is right about real ones."
)
SIMULATED_IN_BRIEF = "on simulated people: nothing has shown that it is right about real ones"
GUESS = "The score of a photo outside is a guess: nobody has tested the network on photos like that."
UNKNOWN = (
    "Whether the network knows photos like these cannot be told: where it was taught, fc7 of too few test "
    "posts was kept. Nothing says how far these scores can be trusted."
)


@dataclass(frozen=True)
class Familiar:
    """What a network knows: photos that it was tested on, and how far from them its own photos lie."""

    reference: np.ndarray  # float32 (R, D), fc7 at unit length
    threshold: float  # cosine distance to the k-th neighbour that INSIDE of its own posts don't exceed
    neighbour: int = NEIGHBOUR  # k; of a smaller reference the last

    def distances(self, fc7: np.ndarray) -> np.ndarray:
        """Return the cosine distance of photos to their k-th neighbour in the reference, float32 (N,), 0..2.

        `fc7` float (N, D). The length of fc7 is left out, which Sun et al. found to matter most: it tells how
        much of anything there is in a photo, the direction tells what. (The demo's network set apart all of
        100 small grey faces of LFW by it, three quarters of them by the standardised Euclidean distance.)
        For vectors of unit length it ranks as the Euclidean distance of the paper does. Raises SelfieError
        for fc7 of another network.
        Source: Sun et al., "Out-of-distribution detection with deep nearest neighbors", 2022.
        """
        if fc7.ndim != 2 or fc7.shape[1] != self.reference.shape[1]:
            raise SelfieError(
                f"fc7 is {fc7.shape}, expected (N, {self.reference.shape[1]}) as of the network's own posts: "
                "they are of another network; run notebooks/01_train.ipynb again."
            )
        starts = tqdm(range(0, len(fc7), SLICE), desc="comparing fc7", unit="slice", delay=5)
        parts = [self._distances(fc7[start : start + SLICE]) for start in starts]
        return np.concatenate([np.empty(0, np.float32), *parts])

    def _distances(self, fc7: np.ndarray) -> np.ndarray:
        apart = 1 - _unit(fc7) @ self.reference.T  # (N, R)
        last = min(self.neighbour, len(self.reference)) - 1
        return np.partition(apart, last, axis=1)[:, last]

    def outside(self, fc7: np.ndarray) -> np.ndarray:
        """Tell which photos lie further out than INSIDE of the network's own test posts, bool (N,).

        `fc7` float (N, D). Of photos as it knows them about 5% do. One without fc7 (nan) is not outside.
        """
        return self.distances(fc7) > self.threshold


def familiar_with(known: np.ndarray, neighbour: int = NEIGHBOUR) -> Familiar:
    """Learn from fc7 of a network's own test posts, float (N, D) in random order, what it knows.

    The first half is the reference; of the second half, which had no part in it, INSIDE count as inside.
    Raises SelfieError for fewer than two posts.
    """
    if len(known) < 2:
        raise SelfieError(f"There is fc7 of {len(known)} test posts: expected two or more.")
    half = len(known) // 2
    blank = Familiar(_unit(known[:half]), np.inf, neighbour)
    threshold = np.quantile(blank.distances(known[half:]), INSIDE, method="inverted_cdf")
    return Familiar(blank.reference, float(threshold), neighbour)


def _unit(fc7: np.ndarray) -> np.ndarray:
    """Return vectors (N, D) at unit length, float32; those of zeros stay."""
    fc7 = np.asarray(fc7, np.float32)
    return fc7 / np.maximum(np.linalg.norm(fc7, axis=1, keepdims=True), 1e-12)


class Teachers(NamedTuple):
    """Whom a network was taught with."""

    run: str  # name of the run folder in which it was taught; empty where that is not known
    simulated: bool | None  # people who do not exist; None: not known
    elsewhere: bool  # taught in another run than the one that holds it

    def in_words(self) -> str:
        """Say that the teachers were simulated; nothing where they were not, or nobody knows."""
        return SIMULATED if self.simulated else ""


def teachers_of(run: RunFolder) -> Teachers:
    """Read who taught the network of a run.

    Runs of before this was noted tell by their key, which only a network has that was taught there.
    """
    described = run.read_json("network/network")
    if "teachers" in described:
        return Teachers(**described["teachers"])
    if described.get("key"):
        return _own_teachers(run)
    return Teachers("", None, True)


def _own_teachers(run: RunFolder) -> Teachers:
    """Describe the teachers of a network that is taught in this run; only simulated people have a truth."""
    return Teachers(run.root.name, run.place("truth.parquet").exists(), False)


def brought_from(source: RunFolder, run: RunFolder) -> Teachers:
    """Bring what a network knows from the run `source` into `run`; return its teachers, for `judge`.

    A network may go from run to run: what it knows comes from where it was taught.
    """
    teachers = teachers_of(source)
    if source.root.resolve() == run.root.resolve():
        return teachers
    known = known_of(source)
    if known is None:
        run.place(KNOWN).unlink(missing_ok=True)
    else:
        _write_known(run, known)
    return teachers._replace(elsewhere=True)


def keep_known(run: RunFolder, seed: int = 0) -> Teachers:
    """Keep fc7 of MOST of a run's test posts for those who use the network that was taught in it.

    Returns its teachers, for `judge`. network/known.npy is float16 (N, D) at unit length, in random order.
    The posts of a user come one after the other, so that no user but one has posts in both halves: photos of
    a person are closer than those of strangers.
    """
    _write_known(run, _drawn(run, seed))
    return _own_teachers(run)


def _write_known(run: RunFolder, known: np.ndarray) -> None:
    with written_whole(run.place(KNOWN)) as partial:
        np.save(partial, known)


def _drawn(run: RunFolder, seed: int) -> np.ndarray:
    """Return fc7 at unit length of MOST test posts in random order, user by user, float16 (N, D)."""
    scores, fc7 = run.read_table("scores"), run.read_features()
    users = scores["user_id"].fillna(scores["post_id"])
    rows = np.argsort(hash_names(users, seed), kind="stable")[:MOST]
    return _unit(fc7[rows]).astype(np.float16)  # at unit length none is too large for 16 bits


def known_of(run: RunFolder) -> np.ndarray | None:
    """Return fc7 of posts that the network of a run was tested on where it was taught, float16 (N, D).

    None where fewer than LEAST are known. A run of before this was kept has the fc7 of its scores.
    """
    path = run.place(KNOWN)
    kept = all(run.place(name).exists() for name in ("features.npy", "scores.parquet"))
    if path.exists():
        known = _read_known(run)
    elif kept and not teachers_of(run).elsewhere:
        known = _drawn(run, 0)
    else:
        return None
    return known if len(known) >= LEAST else None


def _read_known(run: RunFolder) -> np.ndarray:
    path = run.place(KNOWN)
    try:
        known = np.load(path)
    except (OSError, ValueError, EOFError):
        raise SelfieError(
            f"{path} cannot be read: remove it and run notebooks/01_train.ipynb again."
        ) from None
    if known.ndim != 2:
        raise SelfieError(
            f"{path} holds {known.shape}, expected a row per post: run notebooks/01_train.ipynb."
        )
    return known


def familiar_of(run: RunFolder) -> Familiar | None:
    """Return what the network of a run knows, or None where that is not known."""
    known = known_of(run)
    return None if known is None else familiar_with(known)


@dataclass(frozen=True)
class Transfer:
    """How photos of a run fare with a network that was taught elsewhere."""

    teachers: Teachers
    outside: np.ndarray | None  # bool (N,), by photo; None: what the network knows is not known

    def metrics(self) -> dict[str, float]:
        """Return the share of photos outside with its 95% interval: outside, outside_low, outside_high."""
        if self.outside is None:
            return {}
        found = share(self.outside)
        return {"outside": found["share"], "outside_low": found["low"], "outside_high": found["high"]}

    def in_words(self) -> str:
        """Say in Markdown where the network comes from, and whether it knows such photos."""
        which = f", `{self.teachers.run}`" if self.teachers.run else ""
        told = [f"The network was taught in another run{which}.", self.teachers.in_words()]
        if self.outside is None:
            return " ".join(filter(None, [*told, UNKNOWN]))
        part, low, high = self.metrics().values()
        told += [
            f"Of these {len(self.outside):,} photos **{part:.1%}** [{low:.1%} to {high:.1%}] lie outside "
            f"what it knows: further from those that it was tested on there than {INSIDE:.0%} of them are "
            f"from each other, by fc7. Of photos like those it would be {1 - INSIDE:.0%}.",
            GUESS if part else "",
        ]
        return " ".join(filter(None, told))

    def in_brief(self) -> str:
        """Say the same in a line without Markdown, for every page of the report."""
        which = f" ({self.teachers.run})" if self.teachers.run else ""
        whom = f", {SIMULATED_IN_BRIEF}" if self.teachers.simulated else ""
        told = f"Scored by a network that was taught in another run{which}{whom}. "
        if self.outside is None:
            return told + "Whether it knows photos like these is not known."
        part = self.metrics()["outside"]
        if not part:
            return told + "None of these photos lies outside what it knows."
        return f"{told}Of these photos {part:.0%} lie outside what it knows: their scores are guesses."


def judge(run: RunFolder, teachers: Teachers) -> Transfer | None:
    """Compare the scored posts of a run with what its network knows, where that was taught elsewhere.

    Notes the `teachers` in network/network.json, for those who use the network next, and keeps the finding as
    transfer.json, which the report says on every page. None, and no such file, where the network was taught
    in this run.
    """
    run.write_json("network/network", run.read_json("network/network") | {"teachers": teachers._asdict()})
    if not teachers.elsewhere:
        run.place(TOLD).unlink(missing_ok=True)
        return None
    familiar = familiar_of(run)
    found = Transfer(teachers, None if familiar is None else familiar.outside(run.read_features()))
    run.write_json("transfer", {"told": found.in_brief(), **teachers._asdict(), **found.metrics()})
    return found


def rated_in_words(outside: pd.Series, teachers: Teachers) -> str:
    """Say of rated photos how many lie outside what a network knows, and who taught it.

    `outside` boolean, missing where it is not known. Empty where no photo was rated.
    """
    if not len(outside):
        return ""
    known = outside.dropna()
    if not len(known):
        return " ".join(filter(None, [teachers.in_words(), UNKNOWN]))
    count = int(known.sum())
    which = f"{count:,} of {len(known):,} photos lie" if len(known) > 1 else "The photo lies"
    where = "outside" if count or len(known) > 1 else "inside"
    told = f"{which} {where} what the network knows."
    return " ".join(filter(None, [told, teachers.in_words(), GUESS if count else ""]))
