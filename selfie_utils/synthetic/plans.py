"""Decide what each post of the data set shows: whose face, and how often each taste is met."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from selfie_utils.synthetic.celebrities import famous_four
from selfie_utils.synthetic.description import Person, Photo
from selfie_utils.synthetic.drawing import Plan, draw_person, draw_photo, pick
from selfie_utils.synthetic.seeds import generator

# Shares of selfies. Framings exclude each other, so each is seen alone.
FRAMINGS = {"group": 0.12, "large_head": 0.14, "forehead_cut": 0.24, "mirror": 0.05, "plain": 0.45}
LOW_LIGHT, OVER_EXPOSED = 0.20, 0.19
EFFECTS = {"black_and_white": 0.16, "faded": 0.20, "warm": 0.08, "cool": 0.05, "vivid": 0.07, "none": 0.44}
BORDERS = {"white": 0.07, "white_bars": 0.07, "white_sides": 0.06, "black": 0.02, "black_bars": 0.02}
# A bar on top would hide where a forehead was cut, and cut it where it was not.
NO_BARS = {"white": 0.10, "white_sides": 0.10, "black": 0.04}
GROUP_SIZES = {2: 0.45, 3: 0.35, 4: 0.20}
STILL_LIFES, BACKS = 0.06, 0.02  # shares of posts without a face: of things, and of backs of heads
FEWEST_FOR_FAME = 1000  # posts; in a smaller data set four users would have most of them


def draw_plan(rng: np.random.Generator) -> Plan:
    """Draw what one selfie must show."""
    framing = pick(rng, FRAMINGS)
    low_light = bool(rng.random() < LOW_LIGHT)
    return Plan(
        people=int(pick(rng, GROUP_SIZES)) if framing == "group" else 1,
        large_head=framing == "large_head",
        forehead_cut=framing == "forehead_cut",
        mirror=framing == "mirror",
        low_light=low_light,
        # In the dark there is nothing to over-expose, and a faded filter would undo it.
        over_exposed=bool(not low_light and rng.random() < OVER_EXPOSED / (1 - LOW_LIGHT)),
        effect=_draw_effect(rng, low_light),
        border=_draw_border(rng, bars=framing in ("plain", "mirror")),
    )


def _draw_effect(rng: np.random.Generator, low_light: bool) -> str:
    faded = 0.0 if low_light else EFFECTS["faded"] / (1 - LOW_LIGHT)
    rest = 1 - faded - sum(EFFECTS[name] for name in ("black_and_white", "warm", "cool", "vivid"))
    return pick(rng, EFFECTS | {"faded": faded, "none": rest})


def _draw_border(rng: np.random.Generator, bars: bool) -> str:
    borders = BORDERS if bars else NO_BARS
    return pick(rng, borders | {"none": 1 - sum(borders.values())})


def draw_cast(seed: int, users: pd.DataFrame) -> tuple[list[Person], list[int]]:
    """Draw one person per user, half presented as female; and which four users are the famous ones.

    Four users with the most posts are celebrities, whose posts all show the four of them together. In a
    small data set there are none.
    """
    genders = generator(seed, "genders").permutation(["female", "male"] * (len(users) // 2 + 1))
    people = [
        draw_person(generator(seed, "people", i), str(gender))
        for i, gender in enumerate(genders[: len(users)])
    ]
    famous: list[int] = []
    if users["posts"].sum() >= FEWEST_FOR_FAME:
        known = users[users["followers"].between(200, 50_000)]  # what usual filters keep
        famous = known["posts"].sort_values(ascending=False, kind="stable").index[:4].tolist()
        for user, person in zip(famous, famous_four(seed), strict=True):
            people[user] = person
    return people, famous


@dataclass(frozen=True)
class Post:
    """What one post shows: a selfie, the back of a head (a `Photo` too), or things (a seed)."""

    shows: Photo | int
    famous_group: bool = False

    @property
    def is_still_life(self) -> bool:
        """Tell whether it shows things, and nobody."""
        return isinstance(self.shows, int)


def draw_post(
    rng: np.random.Generator, user: int, cast: Sequence[Person], famous: list[int], backgrounds: dict
) -> Post:
    """Draw one post of `cast[user]`; friends in group photos are other users."""
    if user in famous:
        four = [user, *[other for other in famous if other != user]]
        plan = replace(draw_plan(rng), people=4, large_head=False, forehead_cut=False, mirror=False)
        if plan.border.endswith("bars"):
            plan = replace(plan, border=plan.border.removesuffix("_bars"))
        return Post(draw_photo(rng, [cast[i] for i in four], plan, backgrounds), famous_group=True)
    chance = rng.random()
    if chance < STILL_LIFES:
        return Post(int(rng.integers(1 << 30)))
    if chance < STILL_LIFES + BACKS:
        return Post(draw_back(rng, cast[user], backgrounds))
    plan = draw_plan(rng)
    friends = (
        [i for i in rng.permutation(len(cast)) if i != user and i not in famous] if plan.people > 1 else []
    )
    friends = friends[: plan.people - 1]
    return Post(draw_photo(rng, [cast[user], *[cast[i] for i in friends]], plan, backgrounds))


def draw_back(rng: np.random.Generator, person: Person, backgrounds: dict) -> Photo:
    """Draw a photo of the back of somebody's head."""
    plan = replace(draw_plan(rng), people=1, large_head=False, forehead_cut=False, mirror=False)
    photo = draw_photo(rng, [person], plan, backgrounds)
    camera = replace(
        photo.camera,
        yaw=float(np.pi + rng.normal(0, 0.2)),
        distance=float(rng.uniform(0.8, 1.6)),
        face_share=float(rng.uniform(0.3, 0.5)),
    )
    turned = replace(photo.people[0][1], arm="none", head_yaw=float(rng.normal(0, 0.1)), head_pitch=0.0)
    return replace(photo, camera=camera, people=((person, turned),))


def shows_back(photo: Photo) -> bool:
    """Tell whether the camera stands behind the people."""
    return abs(photo.camera.yaw) > np.pi / 2
