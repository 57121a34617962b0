"""Draw descriptions from a seed: who somebody is, how they look today, and how the photo is taken."""

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass, replace

import numpy as np

from selfie_utils.synthetic.description import Camera, Look, Person, Photo
from selfie_utils.synthetic.faces import draw_features

# Linear RGB, as garments and hats are dyed; mostly quiet colours, a few loud ones.
FABRICS = (
    *((0.72, 0.72, 0.71), (0.02, 0.02, 0.025), (0.03, 0.05, 0.14), (0.10, 0.18, 0.36), (0.28, 0.02, 0.03)),
    *((0.05, 0.16, 0.09), (0.50, 0.38, 0.22), (0.62, 0.26, 0.30), (0.42, 0.30, 0.52), (0.45, 0.33, 0.08)),
    *((0.06, 0.24, 0.26), (0.16, 0.16, 0.17), (0.55, 0.12, 0.05), (0.34, 0.42, 0.50), (0.66, 0.60, 0.50)),
)
LIPSTICKS = (
    *((0.42, 0.12, 0.12), (0.48, 0.05, 0.07), (0.40, 0.16, 0.15), (0.30, 0.05, 0.10), (0.55, 0.20, 0.22)),
)
DYES = ((0.50, 0.08, 0.25), (0.08, 0.20, 0.50), (0.25, 0.10, 0.45), (0.10, 0.40, 0.35))
HEAD_ASPECT = 0.74  # width of a head / its height, as a camera sees it
DIM_LIGHTS = {"low": 3, "party": 1.4}
LIGHTS = {
    **{"window": 2.6, "overcast": 1.6, "golden": 1.2, "sun": 1.3, "ring": 0.9},
    **{"flash": 0.6, "studio": 0.9, "lamp": 0.8},
}
MIRROR_LIGHTS = {"window": 2, "lamp": 1.4, "flash": 0.4}  # of rooms that have mirrors
EXPRESSIONS = {
    **{"smile": 4.2, "grin": 3, "laugh": 1.2, "smirk": 1},
    **{"neutral": 1.5, "pout": 1.4, "surprise": 0.2},
}
GARMENTS = {"crew": 1.6, "tee": 1.8, "vneck": 1.2, "hoodie": 1.6, "shirt": 1.8, "jacket": 1.3}
MENS, WOMENS = {"turtle": 0.6}, {"scoop": 1.3, "tank": 1.3, "turtle": 0.8}  # further garments
GRAIN = {"low": 0.010, "party": 0.008, "flash": 0.004, "lamp": 0.004}  # noise of lights that are not bright
FACING = {"beach": -np.pi / 2, "car": np.pi}  # where the sea and the seats are, radians


@dataclass(frozen=True)
class Plan:
    """What a photo must show whatever else is drawn: the tastes that are planted depend on it."""

    people: int = 1
    large_head: bool = False
    forehead_cut: bool = False
    low_light: bool = False
    over_exposed: bool = False
    effect: str = "none"
    border: str = "none"
    mirror: bool = False


def _three(values: np.ndarray) -> tuple[float, float, float]:
    first, second, third = map(float, values)
    return first, second, third


def pick(rng: np.random.Generator, weights: dict):
    """Draw a key of `weights`, as often as its weight says."""
    names, shares = list(weights), np.array(list(weights.values()), float)
    return names[rng.choice(len(names), p=shares / shares.sum())]


def draw_person(rng: np.random.Generator, presented_gender: str) -> Person:
    """Draw somebody of a presented gender, "female" or "male"; everything else follows from `rng`."""
    male = presented_gender == "male"
    age = float(np.clip(18 + rng.gamma(1.5, 7), 18, 60))
    ancestry = _three(rng.dirichlet([0.5, 0.5, 0.5]))
    dark = ancestry[1] + ancestry[2]  # share of ancestors with dark hair and eyes
    return Person(
        seed=int(rng.integers(1 << 30)),
        presented_gender=presented_gender,
        age=age,
        ancestry=ancestry,
        muscle=float(np.clip(rng.normal(0.62 if male else 0.48, 0.08), 0.2, 0.9)),
        weight=float(np.clip(rng.normal(0.48, 0.11), 0.15, 0.9)),
        features=draw_features(rng, presented_gender),
        skin_tone=float(np.clip(np.dot(ancestry, [2.3, 3.0, 6.6]) + rng.normal(0, 0.7), 1, 8)),
        eye_colour=_eye_colour(rng, dark),
        freckles=float(rng.uniform(0.4, 1) if ancestry[0] > 0.6 and rng.random() < 0.3 else 0),
        hair_style=_hair_style(rng, male, age, ancestry[2]),
        hair_length=float(rng.uniform(0.8, 1.2)),
        hair_colour=_hair_colour(rng, dark, age),
        dye=DYES[rng.integers(len(DYES))],
        parting=float(rng.uniform(-1, 1)),
        fringe=bool(not male and rng.random() < 0.3),
        brow=float(rng.uniform(0.75, 1.05) if male else rng.uniform(0.45, 0.7)),
        beard=_beard(rng) if male else "none",
        beard_length=float(rng.uniform(0.8, 1.5)),
    )


def _eye_colour(rng: np.random.Generator, dark: float) -> str:
    light = 1 - dark
    weights = {"brown": 1, "dark": 0.3 + 1.5 * dark, "hazel": 0.05 + 0.7 * light}
    return pick(rng, weights | {"green": 0.5 * light, "blue": 0.9 * light, "grey": 0.3 * light})


def _hair_style(rng: np.random.Generator, male: bool, age: float, curls: float) -> str:
    if male:
        short = {"short": 2.6, "crop": 1.6, "buzz": 1.1, "curlytop": 0.8 + 2 * curls, "afro": 1.2 * curls}
        upward = {"swept": 2.4, "quiff": 2.2}
        return pick(
            rng, short | upward | {"bald": 0.3 + (age > 38) * 1.2, "long": 0.3, "wavy": 0.3, "bun": 0.25}
        )
    long = {"long": 3.2, "wavy": 2.8, "curlylong": 0.8 + 2 * curls}
    return pick(rng, long | {"bob": 1.8, "bun": 1.1, "ponytail": 1.4, "afro": 1.3 * curls, "swept": 0.4})


def _hair_colour(rng: np.random.Generator, dark: float, age: float) -> str:
    if age > 46 and rng.random() < (age - 42) / 26:
        return "grey"
    light = 1.05 - dark
    weights = {"black": 0.4 + 3 * dark, "darkbrown": 1.2, "brown": 0.2 + 1.4 * light, "chestnut": 0.8 * light}
    return pick(
        rng, weights | {"blonde": 1.2 * light, "darkblonde": light, "red": 0.45 * light, "dyed": 0.12}
    )


def _beard(rng: np.random.Generator) -> str:
    weights = {"none": 4.5, "stubble": 2.4, "short": 1.7, "full": 1.2, "goatee": 0.4, "moustache": 0.3}
    return pick(rng, weights)


def draw_look(rng: np.random.Generator, person: Person, camera: Camera, alone: bool = True) -> Look:
    """Draw how a person looks in one photo, turned to the camera and holding it where `alone` and near."""
    male = person.presented_gender == "male"
    makeup = 0.0 if male else float(np.clip(rng.normal(0.4, 0.3), 0, 1))
    colours = rng.choice(len(FABRICS), 3, replace=False)
    return Look(
        expression=pick(rng, EXPRESSIONS),
        strength=float(rng.uniform(0.75, 1.05)),
        eyes_open=float(np.clip(rng.normal(0.24, 0.06), 0.1, 0.4)),
        makeup=makeup,
        shadow=_three(rng.uniform([0.5, 0.35, 0.35], [0.8, 0.6, 0.65])),
        lips=LIPSTICKS[rng.integers(len(LIPSTICKS))] if makeup > 0.35 else None,
        blush=float(rng.uniform(0.5, 1.4)),
        garment=pick(rng, GARMENTS | (MENS if male else WOMENS)),
        pattern=pick(rng, {"plain": 5.5, "stripes": 1.4, "dots": 0.4, "plaid": 0.8, "knit": 1.0}),
        colour=FABRICS[colours[0]],
        second_colour=FABRICS[colours[1]],
        glasses=pick(rng, {"none": 7.6, "clear": 1.6, "sun": 0.8}),
        frame=pick(rng, {"round": 1, "square": 1.2, "cat": 0 if male else 0.8}),
        metal_frame=bool(rng.random() < 0.3),
        hat=pick(rng, {"none": 8.8, "beanie": 0.7, "cap": 0.5}),
        hat_colour=FABRICS[colours[2]],
        earrings=bool(rng.random() < (0.06 if male else 0.5)),
        head_yaw=float(0.62 * camera.yaw + rng.normal(0, 0.14)),
        head_pitch=float(-0.45 * camera.pitch + rng.normal(0.02, 0.06)),
        head_roll=float(rng.normal(0, 0.11)),
        body_yaw=float(rng.normal(0, 0.22)),
        arm=_arm(rng, camera) if alone else "none",
        hand_out=float(rng.uniform(0.9, 1.8)),
    )


def _arm(rng: np.random.Generator, camera: Camera) -> str:
    if camera.mirror:
        return "l" if rng.random() < 0.5 else "r"
    if camera.distance > 0.95 or rng.random() > 0.8:
        return "none"
    return "l" if camera.yaw + rng.normal(0, 0.2) > 0 else "r"


def draw_photo(rng: np.random.Generator, people: Sequence[Person], plan: Plan, backgrounds: dict) -> Photo:
    """Draw one photo of `people`, the first of them whose post it is, that shows what `plan` says.

    `backgrounds` lists for each light the names of panoramas that go with it (`scenes.BACKGROUNDS`).
    """
    camera = _draw_camera(rng, plan)
    looks = [draw_look(rng, person, camera, alone=i == 0) for i, person in enumerate(people)]
    places, looks = _places(rng, looks)
    light, place = _draw_place(rng, plan, backgrounds)
    return Photo(
        seed=int(rng.integers(1 << 30)),
        people=tuple(zip(people, looks, strict=True)),
        places=places,
        camera=camera,
        light=light,
        light_angle=float(rng.choice([-1, 1]) * rng.uniform(0.2, 1.1)),
        background=place,
        background_turn=_background_turn(rng, place),
        backdrop=_backdrop(rng) if place == "backdrop" else None,
        neon=int(rng.integers(3)),
        blur=float(rng.choice([0.8, 1.6, 3.5])),
        exposure=float((1.9 if plan.over_exposed else 1) * rng.uniform(0.93, 1.07)),
        noise=float(GRAIN.get(light, 0.0025) * rng.uniform(0.7, 1.3)),
        effect=plan.effect,
        vignette=float(rng.choice([0, 0.15, 0.3], p=[0.65, 0.25, 0.1])),
        border=plan.border,
        contrast=float(rng.uniform(0.3, 1)),
        forehead_cut=plan.forehead_cut,
    )


def _draw_place(rng: np.random.Generator, plan: Plan, backgrounds: dict) -> tuple[str, str]:
    """Draw the light, and the name of a background that goes with it."""
    light = pick(rng, DIM_LIGHTS if plan.low_light else MIRROR_LIGHTS if plan.mirror else LIGHTS)
    may_be_plain = light in ("ring", "window", "lamp") and not plan.mirror
    if light == "studio" or (may_be_plain and rng.random() < 0.2):
        return light, "backdrop"
    return light, str(rng.choice(backgrounds["mirror" if plan.mirror else light]))


def _draw_camera(rng: np.random.Generator, plan: Plan) -> Camera:
    """Draw where the phone is; face_share is asked for as a height, `plan` speaks of widths."""
    width = float(np.clip(rng.normal(0.36, 0.07), 0.2, 0.48))
    if plan.mirror:
        width = float(rng.uniform(0.15, 0.24))
    if plan.large_head:
        width = float(rng.uniform(0.62, 0.76))
    share = width / HEAD_ASPECT
    distance = (
        max(rng.uniform(0.45, 0.70), 0.62 * 0.26 / share) if plan.people == 1 else 0.62 + 0.16 * plan.people
    )
    x, y = rng.normal(0.5, 0.07), max(rng.normal(0.46, 0.06), 0.5 * share + 0.04)
    if plan.forehead_cut:
        y = (0.5 - rng.uniform(0.16, 0.28)) * share
    if plan.large_head:
        y = 0.5 * share + rng.uniform(0.02, 0.06)
    return Camera(
        distance=float(1.5 if plan.mirror else distance),
        yaw=float(rng.normal(0, 0.28)),
        pitch=float(np.clip(rng.normal(0.15, 0.13), -0.12, 0.45)) * (0.3 if plan.mirror else 1),
        roll=float(rng.normal(0, 0.09)),
        face_share=share if plan.people == 1 else 0.4,
        aim=(float(np.clip(x, 0.32, 0.68)), float(y)),
        mirror=plan.mirror,
    )


def _places(rng: np.random.Generator, looks: list[Look]) -> tuple[tuple, list[Look]]:
    """Line up a group around its first person, in front; the others lean in and turn to the camera."""
    count = len(looks)
    if count == 1:
        return ((0.0, 0.0, 0.0),), looks
    across = (np.arange(count) - (count - 1) / 2) * rng.uniform(0.24, 0.29)
    first = int(np.argmin(abs(across) + rng.random(count) * 0.2))
    order = [first, *[i for i in range(count) if i != first]]
    places, turned = [], []
    for rank, i in enumerate(order):
        x = float(across[i] - across[first])
        places.append((x, float(rng.uniform(0.06, 0.2)) if rank else 0.0, float(rng.normal(0, 0.025))))
        turned.append(_lean(looks[rank], x))
    return tuple(places), turned


def _lean(look: Look, x: float) -> Look:
    return replace(
        look,
        head_roll=look.head_roll + 0.12 * float(np.sign(x)),
        head_yaw=look.head_yaw - 0.25 * x,
        body_yaw=look.body_yaw - 0.8 * x,
    )


def _background_turn(rng: np.random.Generator, place: str) -> float:
    """Draw how a panorama is turned, radians: anyhow, unless only one side of it is worth a photo."""
    for kind, front in FACING.items():
        if place.startswith(kind):
            return float(rng.normal(front, 0.5))
    return float(rng.uniform(0, 2 * np.pi))


def _backdrop(rng: np.random.Generator) -> tuple:
    """Draw the two colours of a wall, linear RGB."""
    hue = rng.random()
    first = hsv_to_rgb(hue, rng.uniform(0.05, 0.4), rng.uniform(0.45, 0.95))
    second = hsv_to_rgb((hue + rng.normal(0, 0.05)) % 1, rng.uniform(0.05, 0.4), rng.uniform(0.3, 0.85))
    return tuple(tuple(float(c) ** 2.2 for c in colour) for colour in (first, second))
