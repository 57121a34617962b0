"""Render the embedded data set: selfies in one archive, their posts, and the truth about both."""

import io
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from selfie_utils.errors import SelfieError
from selfie_utils.files import write_table, written_whole
from selfie_utils.synthetic.appeal import true_appeal
from selfie_utils.synthetic.audience import draw_likes, draw_posts, draw_users
from selfie_utils.synthetic.composition import Plan, compose, compose_object
from selfie_utils.synthetic.heads import (
    LATENT,
    SPREAD,
    GenderEstimator,
    Head,
    HeadMaker,
    skin_tone,
    wears_glasses,
)

SIZE = 128  # px
QUALITY = 90  # of the JPEGs
NO_SELFIE, BROKEN = 0.08, 0.004  # shares of posts
BATCH = 128
ANOTHER_MOMENT = 0.25  # radians that a user's latent turns from photo to photo

# How often each attribute is drawn, independently where it can be seen beside the others.
SHARES = {
    "group": 0.18,
    "large_head": 0.16,
    "forehead_cut": 0.25,
    "low_light": 0.20,
    "black_and_white": 0.18,
    "faded": 0.22,
    "over_exposed": 0.20,
    "border": 0.22,
}
SHARES_IN_GROUPS = {2: 0.30, 3: 0.25, 4: 0.21}  # head width / photo width, by number of people


def synthesize(out: Path, images: int = 6000, seed: int = 0) -> None:
    """Render `images` posts into the folder `out`: images.zip, posts.parquet and truth.parquet.

    The same seed and number give the same posts and truth. Raises SelfieError where the extra `synthetic`
    is not installed or `images` is below 10.
    """
    if images < 10:
        raise SelfieError(f"{images} images were asked for: a data set needs 10 at least.")
    # A generator a stage: what one draws must not move the others.
    people, acting, planning, liking, breaking = np.random.default_rng(seed).spawn(5)
    users = draw_users(people, images)
    posts = draw_posts(people, users)
    cast = Cast(acting, len(users))
    user = posts["user_id"].map(pd.Series(range(len(users)), index=users["user_id"])).to_numpy()
    truth, plans = draw_plans(planning, posts, [cast.genders[u] for u in user])
    heads = cast.play(acting, user, truth)
    truth["glasses"] = [bool(h) and wears_glasses(h[0]) for h in heads]
    truth["skin_tone"] = [skin_tone(h[0].skin) if h else np.nan for h in heads]
    truth.insert(2, "appeal", np.where(truth["selfie"], true_appeal(truth), 0.0))
    posts["likes"] = draw_likes(liking, posts, truth["appeal"].to_numpy())
    posts["presented_gender"] = truth["presented_gender"]
    order = ["image", "post_id", "user_id", "followers", "likes", "tags", "posted_at", "collected_at"]
    _write_archive(Path(out) / "images.zip", posts["image"], _render(plans, heads), breaking)
    write_table(Path(out) / "truth.parquet", truth)
    write_table(Path(out) / "posts.parquet", posts[[*order, "presented_gender"]])


def draw_plans(
    rng: np.random.Generator, posts: pd.DataFrame, genders: list[str]
) -> tuple[pd.DataFrame, list[Plan | int]]:
    """Draw what each photo shows: the columns of truth.parquet, and a plan (a bare seed where no selfie)."""
    draws = {name: rng.random(len(posts)) < share for name, share in SHARES.items()}
    draws["large_head"] &= ~draws["group"]
    draws["forehead_cut"] &= ~draws["group"]
    # In the dark there is nothing to over-expose, and a faded filter would undo it.
    draws["faded"] &= ~draws["low_light"]
    draws["over_exposed"] &= ~draws["low_light"]
    truth = posts[["post_id", "image"]].assign(selfie=rng.random(len(posts)) >= NO_SELFIE)
    truth["presented_gender"] = np.where(truth["selfie"], genders, None)
    people = np.where(draws["group"], rng.choice([2, 3, 4], len(posts), p=[0.45, 0.35, 0.2]), 1)
    truth["face_share"] = np.where(truth["selfie"], _face_shares(rng, draws, people), np.nan)
    for name, holds in draws.items():
        truth[name] = holds & truth["selfie"]
    seeds = rng.integers(0, 2**31, len(posts))
    tilts, long_hair = rng.normal(0, 7, len(posts)), rng.random(len(posts)) < 0.8
    plans = []
    for i, row in enumerate(truth.to_dict("records")):
        hair = [bool(long_hair[i]) and row["presented_gender"] == "female", *[False] * (people[i] - 1)]
        plans.append(
            _plan(row, int(people[i]), float(tilts[i]), int(seeds[i]), hair)
            if row["selfie"]
            else int(seeds[i])
        )
    return truth, plans


def _face_shares(rng: np.random.Generator, draws: dict[str, np.ndarray], people: np.ndarray) -> np.ndarray:
    """Draw the width of the main head as a share of the photo's."""
    count = len(people)
    share = np.clip(rng.normal(0.37, 0.08, count), 0.22, 0.56)
    share = np.where(draws["large_head"], rng.uniform(0.68, 0.85, count), share)
    in_groups = pd.Series(people).map(SHARES_IN_GROUPS).to_numpy()
    return np.where(draws["group"], in_groups, share)


def _plan(row: dict, people: int, tilt: float, seed: int, long_hair: list[bool]) -> Plan:
    """Turn one row of the truth into what the composer needs."""
    flags = {
        name: bool(row[name])
        for name in ("forehead_cut", "low_light", "black_and_white", "faded", "over_exposed")
    }
    # A bar on top would hide where the forehead was cut.
    side = "vertical" if row["forehead_cut"] or seed % 2 else "horizontal"
    border = side if row["border"] else ""
    return Plan(row["face_share"], people, tilt, border=border, seed=seed, long_hair=long_hair, **flags)


class Cast:
    """One person a user, half of them presented as female by estimate, and their looks in each photo."""

    def __init__(self, rng: np.random.Generator, users: int):
        self._maker = HeadMaker()
        self.genders = list(rng.permutation(["female", "male"] * (users // 2 + 1))[:users])
        self._latents, self._heads = self._audition(rng)

    def _audition(self, rng: np.random.Generator) -> tuple[np.ndarray, list[Head]]:
        """Draw heads until every user has one of the wanted presented gender."""
        estimator, found = GenderEstimator(), {"female": [], "male": []}
        wanted = {gender: self.genders.count(gender) for gender in found}
        with tqdm(total=len(self.genders), desc="drawing people", mininterval=2, unit="head") as progress:
            while any(len(found[g]) < wanted[g] for g in found):
                latents = rng.normal(0, SPREAD, (BATCH, LATENT))
                for latent, head in zip(latents, self._maker.make(latents), strict=True):
                    gender = estimator.estimate(head) if head else None
                    if gender and len(found[gender]) < wanted[gender]:
                        found[gender].append((latent, head))
                        progress.update()
        queues = {gender: iter(pairs) for gender, pairs in found.items()}
        latents, heads = zip(*[next(queues[gender]) for gender in self.genders], strict=True)
        return np.array(latents), list(heads)

    def play(self, rng: np.random.Generator, user: np.ndarray, truth: pd.DataFrame) -> list[list[Head]]:
        """Return the heads of each post, the user's own first; none where it is no selfie."""
        moments = rng.normal(0, SPREAD, (len(user), LATENT))
        latents = np.cos(ANOTHER_MOMENT) * self._latents[user] + np.sin(ANOTHER_MOMENT) * moments
        people = np.where(
            truth["group"], truth["face_share"].map({v: k for k, v in SHARES_IN_GROUPS.items()}), 1
        )
        posts = []
        for start in tqdm(
            range(0, len(user), BATCH), desc="drawing their photos", mininterval=2, unit="batch"
        ):
            rows = range(start, min(start + BATCH, len(user)))
            for i, head in zip(rows, self._maker.make(latents[start : start + BATCH]), strict=True):
                friends = rng.integers(0, len(self._heads), int(people[i]) - 1)
                posts.append([head or self._heads[user[i]], *[self._heads[f] for f in friends]])
        return [heads if selfie else [] for heads, selfie in zip(posts, truth["selfie"], strict=True)]


def _render(plans: list[Plan | int], heads: list[list[Head]]) -> Iterator[bytes]:
    """Render every post as JPEG bytes, in order, on all cores."""
    with ProcessPoolExecutor() as pool:
        done = pool.map(render_one, plans, heads, chunksize=32)
        yield from tqdm(done, total=len(plans), desc="composing photos", mininterval=2, unit="photo")


def render_one(plan: Plan | int, heads: list[Head], size: int = SIZE) -> bytes:
    """Render one post as JPEG bytes; a bare seed stands for a photo that is no selfie."""
    photo = compose_object(plan, size) if isinstance(plan, int) else compose(plan, heads, size)
    return jpeg(photo)


def jpeg(photo: Image.Image) -> bytes:
    """Return a photo as the bytes of a JPEG."""
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()


def _write_archive(path: Path, names: pd.Series, photos: Iterator[bytes], rng: np.random.Generator) -> None:
    """Write the archive, breaking a few files on purpose: cut short, empty, or no image at all."""
    broken = dict.fromkeys(rng.choice(len(names), max(3, round(BROKEN * len(names))), replace=False))
    for place, i in enumerate(broken):
        broken[i] = ("cut short", "empty", "no image")[place % 3]
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for i, (name, data) in enumerate(zip(names, photos, strict=True)):
            data = {
                "cut short": data[: len(data) // 3],
                "empty": b"",
                "no image": b"This is no photo.\n",
            }.get(broken.get(i), data)
            # A fixed date, so that the same photos give the same archive.
            archive.writestr(zipfile.ZipInfo(name, (2015, 10, 20, 0, 0, 0)), data)


# People who do not exist, under names that nobody bears.
FIRST = [
    "Alvira",
    "Bremio",
    "Calitha",
    "Dorvane",
    "Elspira",
    "Fenno",
    "Galdis",
    "Hesper",
    "Imolio",
    "Jorvik",
    "Kessia",
    "Lumar",
    "Mirelo",
    "Nolwenna",
    "Orsino",
]
LAST = [
    "Abernox",
    "Blythering",
    "Corvantes",
    "Dusk",
    "Ellowen",
    "Farthingdale",
    "Glimmerhorn",
    "Hollowbrook",
    "Inkwater",
    "Quillfeather",
]


def synthesize_celebrities(out: Path, count: int = 60, seed: int = 1, size: int = 256) -> None:
    """Render `count` people of invented names into the folder `out`, one JPEG of `size` px each."""
    rng = np.random.default_rng(seed)
    cast = Cast(rng, count)
    posts = pd.DataFrame({"post_id": range(count), "image": range(count)})
    truth, plans = draw_plans(rng, posts, cast.genders)
    truth["selfie"] = True
    names = rng.permutation([f"{first}_{last}" for first in FIRST for last in LAST])[:count]
    for name, plan, heads in zip(names, plans, cast.play(rng, np.arange(count), truth), strict=True):
        plan = Plan(seed=plan, long_hair=[False]) if isinstance(plan, int) else plan
        with written_whole(Path(out) / f"{name}.jpg") as partial:
            partial.write_bytes(render_one(plan, heads[: plan.people], size))
