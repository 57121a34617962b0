"""Twins: scenes rendered again with one thing changed, for questions of cause."""

from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from selfie_utils.core.files import write_table
from selfie_utils.synthetic.dataset import (
    background_category,
    backgrounds,
    fitting_quality,
    jpeg,
    write_archive,
)
from selfie_utils.synthetic.description import LONG_HAIR, Photo
from selfie_utils.synthetic.drawing import HEAD_ASPECT, LIGHTS, Plan, draw_look, draw_person, draw_photo
from selfie_utils.synthetic.plans import Post
from selfie_utils.synthetic.seeds import generator
from selfie_utils.synthetic.shards import Settings, build_places, read_shards, render_shards
from selfie_utils.synthetic.truth import hair_length, tell_truth

NEAR, BEST = 1 / 2, 1 / 3  # of the photo's width that the head takes
TONES = 3.0  # steps from the lightest skin, 1, to the deepest, 8


@dataclass(frozen=True)
class Twin:
    """A scene after one change, and the changed value before and after."""

    change: str
    photo: Photo
    before: str
    after: str


def synthesize_twins(out: Path, scenes: int = 60, seed: int = 0, settings: Settings | None = None) -> None:
    """Render twins.zip and twins.parquet into the folder `out`.

    The table has a row per change: scene (int64), change, image_before, image_after, value_before and
    value_after (str), appeal_before and appeal_after (float64), description_before and description_after.
    """
    out, places = Path(out), backgrounds()
    bases = [draw_scene(seed, number, places) for number in range(scenes)]
    twins = [draw_twins(seed, number, base) for number, base in enumerate(bases)]
    named = {}
    for number, (base, changed) in enumerate(zip(bases, twins, strict=True)):
        named[f"scene{number:02d}.jpg"] = base
        named |= {f"scene{number:02d}_{twin.change}.jpg": twin.photo for twin in changed}
    folder = out / "shards" / "twins"
    settings = settings or Settings()
    build_places(places, settings)
    render_shards(folder, list(named.values()), settings)
    truth = _truth(named, [known for _, known in read_shards(folder)])
    quality = fitting_quality(image for image, _ in read_shards(folder))
    write_archive(out / "twins.zip", named, (jpeg(image, quality) for image, _ in read_shards(folder)))
    write_table(out / "twins.parquet", pd.DataFrame(_rows(twins, truth)))


def _truth(named: dict[str, Photo], measured: list[dict]) -> pd.DataFrame:
    ids = pd.DataFrame({"post_id": list(named), "image": list(named)})
    posts = [Post(photo) for photo in named.values()]
    return tell_truth(ids, posts, measured, background_category()).set_index("image")


def _rows(twins: list[list[Twin]], truth: pd.DataFrame) -> list[dict]:
    """Put each scene beside each of its twins."""
    rows = []
    for number, changed in enumerate(twins):
        for twin in changed:
            images = {"before": f"scene{number:02d}.jpg", "after": f"scene{number:02d}_{twin.change}.jpg"}
            rows.append(
                {"scene": number, "change": twin.change}
                | {f"image_{when}": image for when, image in images.items()}
                | {"value_before": twin.before, "value_after": twin.after}
                | {f"appeal_{when}": truth.at[image, "appeal"] for when, image in images.items()}
                | {f"description_{when}": truth.at[image, "description"] for when, image in images.items()}
            )
    return rows


def draw_scene(seed: int, number: int, places: dict[str, list[str]]) -> Photo:
    """Draw a plain selfie to change: one person in good light, without filter, border, glasses or hat."""
    rng = generator(seed, "twins", number)
    person = draw_person(rng, ("female", "male")[number % 2])
    photo = draw_photo(rng, [person], Plan(), dict.fromkeys(LIGHTS, places["window"]))
    look = replace(photo.people[0][1], expression="neutral", glasses="none", hat="none")
    camera = _framed(photo, BEST)
    at_window = replace(photo, light="window", noise=0.003, vignette=0.0, exposure=1.0)
    return replace(at_window, people=((person, look),), camera=camera)


def _framed(photo: Photo, width: float):
    """Zoom until the head is so wide, and keep all of it in the frame."""
    share = width / HEAD_ASPECT
    x, y = photo.camera.aim
    return replace(photo.camera, face_share=share, aim=(x, max(y, 0.5 * share + 0.04)))


def draw_twins(seed: int, number: int, base: Photo) -> list[Twin]:
    """Change one thing at a time: a twin per change."""
    person, look = base.people[0]
    tone = person.skin_tone + (TONES if person.skin_tone < 4.5 else -TONES)
    style = "short" if person.hair_style in LONG_HAIR else "long"

    def with_person(**changes) -> Photo:
        return replace(base, people=((replace(person, **changes), look),))

    def with_look(**changes) -> Photo:
        return replace(base, people=((person, replace(look, **changes)),))

    return [
        Twin("glasses", with_look(glasses="clear"), "none", "clear"),
        Twin(
            "hair_length", with_person(hair_style=style), hair_length(person.hair_style), hair_length(style)
        ),
        Twin("smile", with_look(expression="grin"), "neutral", "smile"),
        Twin("pout", with_look(expression="pout"), "neutral", "pout"),
        Twin("skin_tone", with_person(skin_tone=tone), f"{person.skin_tone:.1f}", f"{tone:.1f}"),
        _other_gender(seed, number, base),
        _with_friend(seed, number, base),
        Twin("zoom", replace(base, camera=_framed(base, NEAR)), "1/3", "1/2"),
        Twin("light", replace(base, light="low", noise=0.012), "window", "low"),
    ]


def _other_gender(seed: int, number: int, base: Photo) -> Twin:
    """Draw the same person as presented with the other gender: what goes with it follows, all else stays."""
    person, look = base.people[0]
    gender = "male" if person.presented_gender == "female" else "female"
    drawn = draw_person(generator(seed, "twins", number), gender)
    follow = (
        "presented_gender",
        "muscle",
        "features",
        "hair_style",
        "fringe",
        "brow",
        "beard",
        "beard_length",
    )
    other = replace(person, **{name: getattr(drawn, name) for name in follow})
    made_up = draw_look(generator(seed, "twins", number), other, base.camera)
    worn = ("makeup", "shadow", "lips", "earrings")
    as_other = replace(look, **{name: getattr(made_up, name) for name in worn})
    photo = replace(base, people=((other, as_other),))
    return Twin("presented_gender", photo, person.presented_gender, gender)


def _with_friend(seed: int, number: int, base: Photo) -> Twin:
    """Bring a friend into the picture, framed as groups are."""
    rng = generator(seed, "twins", 10_000 + number)
    friend = draw_person(rng, str(rng.choice(["female", "male"])))
    anywhere = {light: [base.background] for light in LIGHTS}
    pair = draw_photo(rng, [base.people[0][0], friend], Plan(people=2), anywhere)
    camera = replace(pair.camera, yaw=base.camera.yaw, pitch=base.camera.pitch, roll=base.camera.roll)
    main = replace(base.people[0][1], arm=pair.people[0][1].arm)
    people = ((base.people[0][0], main), pair.people[1])
    return Twin("group", replace(base, people=people, places=pair.places, camera=camera), "1", "2")
