"""How good is yours? All that a run knows of one photo: its score, its place, its like, its best crop."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from selfie_utils.analysis.best_crops import find_crop
from selfie_utils.analysis.ranking import best_first, worst_of_real
from selfie_utils.analysis.transfer import familiar_of, rated_in_words, teachers_of
from selfie_utils.core.draws import draw_lots
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder, from_root
from selfie_utils.core.shares import share
from selfie_utils.model.saliency import Explainer
from selfie_utils.model.scorer import WORTH_FUSING, Scorer
from selfie_utils.photos.crops import SMALLEST
from selfie_utils.photos.faces import FaceDetector
from selfie_utils.photos.images import (
    Images,
    UnreadableImage,
    decode,
    open_images,
    squish,
    upright_rgb,
    written,
)
from selfie_utils.photos.named import photos_at

AROUND = 4  # posts just above and just below
NEAREST = 5  # posts in fc7
LIKE = 100  # test posts of like score, whose labels say what a score is worth; at most a quarter of all
EVALUATIONS = 96  # crops that are looked at: what a second leaves time for
SAME = 1e-5  # cosine distance within which two photos are one, but for rounding
MOST = 40  # photos that are answered for at once: a page of 5 MB
TOLD = 5  # photos that can't be read and are named
TEST = "test"  # instead of a folder: test posts of the run
ENOUGH = 512  # px a side to which a photo is decoded, for crops


class Post(NamedTuple):
    """A test post that a photo is compared with."""

    post_id: str
    image: str
    score: float  # 0..1
    rank: int  # from 1, the best
    small: bool  # no page may enlarge its photo
    distance: float  # of fc7, by cosine, 0..2


@dataclass(frozen=True)
class Look:
    """What takes a moment longer: the best crop, and what the score hangs on."""

    crop: dict[str, float] | None  # as a row of `find_crops`, without image and reason
    why_no_crop: str  # empty where there is one
    tried: int  # crops
    saliency: np.ndarray  # float32 (S, S): positive where the score is raised
    method: str  # that made it


@dataclass(frozen=True)
class Answer:
    """What a run knows of one photo."""

    photo: Image.Image  # upright, RGB
    score: float  # P(good), 0..1
    percentile: float  # share of test posts that score lower, 0..1
    rank: int  # the place that it takes, from 1
    crowd: int  # test posts
    good: dict[str, float]  # share, low, high, known: of good ones among test posts of like score
    like: tuple[float, float]  # lowest and highest score of those
    above: tuple[Post, ...]  # just better, the best first
    below: tuple[Post, ...]  # just worse, the best first
    nearest: tuple[Post, ...]  # most alike first, by fc7
    itself: str  # post_id where the photo is a test post itself, else empty
    small: bool  # no page may enlarge it: a real photo that scores as the worst tenth does
    faces: int
    seen: int  # px a side that the network looks at
    outside: bool | None  # of what the network knows; None: what it knows is not known
    trust: str  # whether it knows such photos, and who taught it, in words
    look: Look | None = None

    def sentences(self) -> list[str]:
        """Say it in plain sentences, the most important first."""
        told = [self._place(), self._worth(), self._faces(), self.trust, self._size(), *self._crop()]
        return [sentence for sentence in told if sentence]

    def _place(self) -> str:
        which = "It is one of them itself" if self.itself else "Its place would be"
        where = f"{which}{', at place' if self.itself else ''} {self.rank:,} of {self._places:,}"
        return (
            f"Its score is {self.score:.1%}: of {self.crowd:,} test posts {self.percentile:.1%} score lower. "
            f"{where}."
        )

    @property
    def _places(self) -> int:
        return self.crowd + (not self.itself)

    def _worth(self) -> str:
        """Say what a score like this has been worth."""
        if not self.good["known"]:
            return "What such a score is worth is not known: nobody has said which test posts are good."
        low, high = self.like
        return (
            f"Of the {self.good['known']} test posts that score most like it ({low:.1%} to {high:.1%}) "
            f"{self.good['share']:.0%} [{self.good['low']:.0%} to {self.good['high']:.0%}] are good."
        )

    def _faces(self) -> str:
        if self.faces == 0:
            return "No face was found: the network was taught with faces alone, so do not trust its score."
        if self.faces > 1:
            return f"{self.faces} faces were found: the score is that of the photo, not of one of them."
        return ""

    def _size(self) -> str:
        if min(self.photo.size) >= self.seen:
            return ""
        width, height = self.photo.size
        return (
            f"The photo has {width} x {height} px, the network looks at {self.seen} x {self.seen}: it was "
            "enlarged, and what is blurred by that is scored too."
        )

    @property
    def gain(self) -> float:
        """By how many points the best crop beats the photo; nan where there is none."""
        crop = self.look.crop if self.look else None
        return 100 * (crop["crop_score"] - crop["score"]) if crop else float("nan")

    def _crop(self) -> list[str]:
        if self.look is None:
            return []
        if self.look.crop is None:
            return [f"No crop was tried: {self.look.why_no_crop}."]
        if self.gain <= 0:
            return [f"None of {self.look.tried} square crops scores higher than the whole photo."]
        return [
            f"The best of {self.look.tried} square crops scores {self.look.crop['crop_score']:.1%} "
            f"({self.gain:+.1f} points), says the network that chose it."
        ]


class Glance(NamedTuple):
    """What can be said of a frame of a film, many times a second."""

    score: float  # 0..1
    percentile: float  # 0..1
    faces: int


class Rater:
    """Answers for one photo after the other; network, detector and test posts of a run are loaded once."""

    def __init__(
        self,
        run: RunFolder,
        device: str = "auto",
        scorer: Scorer | None = None,
        evaluations: int = EVALUATIONS,
    ):
        self.run, self.evaluations = run, evaluations
        self.scorer = scorer or Scorer(run, device)
        self.images: Images = open_images(run.read_json("data")["images"])
        scores, truth = run.read_table("scores"), run.read_truth()
        self.crowd, self.simulated = len(scores), truth is not None
        self._fc7 = run.read_features()  # (N, D), on disk: rows as in scores.parquet
        self._lengths = np.maximum(np.linalg.norm(self._fc7, axis=1), 1e-12)
        self._ranked = best_first(scores.assign(row=np.arange(len(scores))))
        self._places = self._ranked["row"].argsort().to_numpy()  # by row of scores.parquet, from 0
        self.scores: pd.Series = scores["score"]  # of the test posts, 0..1
        self._rising = self._ranked["score"].to_numpy()[::-1]
        self._small = worst_of_real(scores, truth)
        self._worst = scores["score"].quantile(0.1)
        self._familiar, self.teachers = familiar_of(run), teachers_of(run)
        self._detector, self._explainer = FaceDetector(), Explainer(self.scorer.network)
        self._warm_up()

    def _warm_up(self) -> None:
        """Have layers fused and memory taken now, so that the first photo is answered as fast as others."""
        self.scorer.expect(WORTH_FUSING)
        grey = Image.new("RGB", (2 * self.scorer.size,) * 2, (127, 127, 127))
        for _ in range(2):
            self.answer(grey)
            self.glance(grey)

    def draw(self, count: int, seed: int) -> list[str]:
        """Choose photos of test posts by lot."""
        lots = np.argsort(draw_lots(self._ranked["post_id"], seed))
        return self._ranked["image"].iloc[lots[:count]].tolist()

    def glance(self, photo: Image.Image, faces: int | None = None) -> Glance:
        """Score a frame, RGB, and count its faces, unless they were counted in one just before."""
        score = float(self.scorer.rate(photo).score[0])
        if faces is None:
            faces = len(self._detector.detect([upright_rgb(photo)])[0])
        return Glance(score, self._percentile(score), faces)

    def answer(self, photo: Image.Image) -> Answer:
        """Say all that is known of a photo; about a second on two cores for a network of 128 px."""
        return self.look(self.place(photo))

    def place(self, photo: Image.Image) -> Answer:
        """Say what is known of a photo at once: all but its best crop and what its score hangs on."""
        photo = upright_rgb(photo)
        rated = self.scorer.rate(photo)
        score, apart = float(rated.score[0]), self._apart(rated.fc7[0])
        itself = self._itself(apart)
        place = self._place(score) if itself is None else int(self._places[itself])
        outside = None if self._familiar is None else bool(self._familiar.outside(rated.fc7)[0])
        return Answer(
            photo, score, self._percentile(score), place + 1, self.crowd,
            *self._like(place),
            above=self._posts(range(place - AROUND, place), apart),
            below=self._posts(range(place, place + AROUND + 1), apart, itself)[:AROUND],
            nearest=self._nearest(apart, itself),
            itself="" if itself is None else str(self._ranked["post_id"][place]),
            small=score <= self._worst and not (self.simulated and itself is not None),
            faces=len(self._detector.detect([photo])[0]), seen=self.scorer.size,
            outside=outside,
            trust=rated_in_words(pd.Series([outside], dtype="boolean"), self.teachers),
        )  # fmt: skip

    def look(self, answer: Answer) -> Answer:
        """Add to an answer the best crop of its photo, and what its score hangs on."""
        crop, why = None, ""
        try:
            rng = np.random.default_rng(0)  # the same photo gets the same answer
            crop, _ = find_crop(self.scorer, answer.photo, self.evaluations, SMALLEST, rng)
        except SelfieError as error:
            why = str(error).rstrip(".")
        pixels = np.asarray(squish(answer.photo, self.scorer.size))
        found = Look(crop, why, self.evaluations, self._explainer.explain(pixels), self._explainer.method)
        return replace(answer, look=found)

    def _percentile(self, score: float) -> float:
        return float(np.searchsorted(self._rising, score) / len(self._rising))

    def _place(self, score: float) -> int:
        """Return how many test posts score higher."""
        return len(self._rising) - int(np.searchsorted(self._rising, score, side="right"))

    def _like(self, place: int) -> tuple[dict[str, float], tuple[float, float]]:
        """Return the share of good ones among posts of like score, and the range of their scores."""
        count = max(1, min(LIKE, len(self._ranked) // 4))
        start = min(max(0, place - count // 2), len(self._ranked) - count)
        some = self._ranked.iloc[start : start + count]
        good = some["label"].astype("Int64").eq(1)
        return share(good), (float(some["score"].min()), float(some["score"].max()))

    def _apart(self, fc7: np.ndarray) -> np.ndarray:
        """Return the cosine distance to each test post, float32 (N,), rows as in scores.parquet."""
        return 1 - (self._fc7 @ fc7) / (self._lengths * max(float(np.linalg.norm(fc7)), 1e-12))

    def _itself(self, apart: np.ndarray) -> int | None:
        """Return the row of the test post that the photo is, or None."""
        row = int(np.argmin(apart))
        return row if apart[row] < SAME else None

    def _nearest(self, apart: np.ndarray, itself: int | None) -> tuple[Post, ...]:
        rows = np.argsort(apart)[: NEAREST + 1]
        return self._posts(self._places[rows].tolist(), apart, itself)[:NEAREST]

    def _posts(self, places: Sequence[int], apart: np.ndarray, itself: int | None = None) -> tuple[Post, ...]:
        """Return the posts at some places of the ranking that there are, but for the photo itself."""
        rows = [self._ranked.iloc[place] for place in places if 0 <= place < len(self._ranked)]
        return tuple(
            Post(
                str(post["post_id"]), post["image"], float(post["score"]), int(self._places[post["row"]]) + 1,
                post["image"] in self._small, float(apart[post["row"]]),
            )
            for post in rows
            if post["row"] != itself
        )  # fmt: skip


@dataclass(frozen=True)
class Answered:
    """What became of photos that somebody has named."""

    answers: list[Answer]
    unread: list[tuple[str, str]]  # how the photo was called, and why it can't be read
    left_out: int  # photos beyond the most that were asked for

    def in_words(self) -> str:
        """Say in Markdown which photos are missing, and why."""
        told = [f"**{len(self.answers)} photos** are answered for."]
        if self.left_out:
            told.append(f"{self.left_out:,} more are left out: raise `most` for more.")
        told += [f"`{photo}` cannot be rated: {reason}." for photo, reason in self.unread[:TOLD]]
        more = len(self.unread) - TOLD
        return " ".join(told + ([f"{more:,} more cannot be rated."] if more > 0 else []))

    def table(self) -> pd.DataFrame:
        """Return a row per answer: score, percentile, rank, faces, low, high (of the share of good), gain.

        The gain of the best crop is in points, nan where there was none to try.
        """
        columns = ["score", "percentile", "rank", "faces", "low", "high", "gain"]
        rows = [
            (a.score, a.percentile, a.rank, a.faces, a.good["low"], a.good["high"], a.gain)
            for a in self.answers
        ]
        return pd.DataFrame(rows, columns=columns)


def answer_all(rater: Rater, photos: Iterable[Path | str], most: int = MOST) -> Answered:
    """Answer for photos, all those of a folder or archive, and file:// addresses, at most for `most`.

    In the order in which they are named; one that can't be read is told.
    """
    found, unread = [], []
    for given in photos:
        try:
            images, names, shown = photos_at(given)
            found += [(images, name, title) for name, title in zip(names, shown, strict=True)]
        except SelfieError as error:
            unread.append((written(str(given)), str(error).rstrip(".")))
    answers = []
    for images, name, title in found[:most]:
        try:
            answers.append(rater.answer(read(images.read(name))))
        except UnreadableImage as error:
            unread.append((title, str(error)))
    return Answered(answers, unread, max(0, len(found) - most))


def answer_folder(
    rater: Rater, photos: str, most: int = MOST, test_posts: int = 6, seed: int = 0
) -> Answered:
    """Answer for the photos of a folder or archive, or for some of the run's test posts, for "test".

    The best comes first. Raises SelfieError where there is none, none can be read, or a number is below 1.
    """
    for name, number in (("most", most), ("test_posts", test_posts)):
        if number < 1:
            raise SelfieError(f"{name} is {number}, expected 1 or more photos.")
    if photos == TEST:
        answers = [rater.answer(read(rater.images.read(name))) for name in rater.draw(test_posts, seed)]
        found = Answered(answers, [], 0)
    else:
        found = answer_all(rater, [from_root(photos)], most)
    if not found.answers:
        raise SelfieError(f"No photo of {photos} can be rated: {found.unread[0][1]}; give another folder.")
    return replace(found, answers=sorted(found.answers, key=lambda answer: -answer.score))


def read(data: bytes) -> Image.Image:
    """Decode the file of a photo as large as answers need it; raises UnreadableImage with the reason."""
    return decode(data, at_least=ENOUGH)
