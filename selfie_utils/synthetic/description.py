"""What a simulated photo shows, said once: who, how they look in this photo, where, and how it was taken.

A photo is a function of its `Photo`: the same description gives the same pixels. Every field has a plain
value, so that a description can be written to a table, compared, and changed in one place for a twin.
"""

import dataclasses
import json
from dataclasses import dataclass

LONG_HAIR = ("long", "wavy", "curlylong")  # hair that runs down the shoulders
UPWARD_HAIR = ("quiff", "swept")  # slightly longer and combed upwards: the article's winning males


@dataclass(frozen=True)
class Person:
    """Somebody who does not exist; all posts of a user show the same person."""

    seed: int  # of what is not named below: skin noise, strands
    presented_gender: str  # "female" or "male"
    age: float  # years, 18 to 60
    ancestry: tuple[float, float, float]  # shares of MakeHuman's three sets of shapes, sum 1
    muscle: float  # 0 to 1
    weight: float  # 0 to 1
    features: tuple[tuple[str, float], ...]  # face details: name of a morph target, and how much of it
    skin_tone: float  # 1 (lightest) to 8 (deepest)
    eye_colour: str  # a key of skin.EYES
    freckles: float  # 0 to 1
    hair_style: str  # "bald" or a key of hair.STYLES
    hair_length: float  # factor around 1
    hair_colour: str  # "dyed" or a key of hair_colours.TINTS
    dye: tuple[float, float, float]  # linear RGB, for hair_colour "dyed"
    parting: float  # -1 (right) to 1 (left)
    fringe: bool
    brow: float  # thickness, factor around 1
    beard: str  # "none" or a key of beards.BEARDS
    beard_length: float  # factor around 1


@dataclass(frozen=True)
class Look:
    """How a person appears in one photo."""

    expression: str  # a key of faces.EXPR
    strength: float  # of the expression, 0.7 to 1.05
    eyes_open: float  # 0.1 to 0.4
    makeup: float  # 0 to 1
    shadow: tuple[float, float, float]  # colour of the eye shadow, as a factor on the skin
    lips: tuple[float, float, float] | None  # linear RGB of lipstick
    blush: float  # 0.5 to 1.4
    garment: str  # a key of clothes.NECKLINES
    pattern: str  # "plain", "stripes", "dots", "plaid" or "knit"
    colour: tuple[float, float, float]  # linear RGB of the garment
    second_colour: tuple[float, float, float]  # of its pattern, or of what is worn below
    glasses: str  # "none", "clear" or "sun"
    frame: str  # "round", "square" or "cat"
    metal_frame: bool
    hat: str  # "none", "beanie" or "cap"
    hat_colour: tuple[float, float, float]
    earrings: bool
    head_yaw: float  # radians; positive turns to the person's left
    head_pitch: float
    head_roll: float
    body_yaw: float
    arm: str  # which arm holds the phone: "none", "l" or "r"
    hand_out: float  # decimetres that the hand lies beside the camera


@dataclass(frozen=True)
class Camera:
    """Where the phone is, and what it frames; angles in radians."""

    distance: float  # metres from the head
    yaw: float
    pitch: float  # positive looks down
    roll: float
    face_share: float  # height of the main head / height of the frame, asked for
    aim: tuple[float, float]  # where the middle of the head lands in the frame, 0 to 1
    mirror: bool = False  # the photo is of a mirror, the phone in view


@dataclass(frozen=True)
class Photo:
    """A whole simulated selfie; `people[0]` is whose post it is."""

    seed: int
    people: tuple[tuple[Person, Look], ...]
    places: tuple[tuple[float, float, float], ...]  # metres: where each stands, the first at the origin
    camera: Camera
    light: str  # a key of scenes.BACKGROUNDS; "low" and "party" are dark
    light_angle: float  # radians beside the camera
    background: str  # name of a panorama, or "backdrop"
    background_turn: float  # radians
    backdrop: tuple[tuple[float, float, float], tuple[float, float, float]] | None  # two colours of a wall
    neon: int  # which pair of colours lights a party, 0 to 2
    blur: float  # of the background, pixels at 192 px
    exposure: float  # of the face: 1 is right, 1.9 over-exposed
    noise: float  # standard deviation, share of white
    effect: str  # a filter, see effects.filtered
    vignette: float  # 0 to 0.3
    border: str  # "none", or "white" or "black", both also with "_bars" and "_sides"
    contrast: float  # 0.3 to 1
    forehead_cut: bool  # asked for

    def to_json(self, digits: int | None = None) -> str:
        """Write the description as one line of JSON; numbers exactly, or rounded to so many digits."""
        fields = dataclasses.asdict(self)
        return json.dumps(fields if digits is None else _rounded(fields, digits), separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> "Photo":
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        people = [(Person(**_tuples(p)), Look(**_tuples(look))) for p, look in fields.pop("people")]
        camera = Camera(**_tuples(fields.pop("camera")))
        return cls(people=tuple(people), camera=camera, **_tuples(fields))


def _tuples(value):
    """Turn the lists of JSON back into tuples, at every depth below a dict."""
    if isinstance(value, dict):
        return {key: _tuples(item) for key, item in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _rounded(value, digits: int):
    """Round every float in nested dicts and tuples."""
    if isinstance(value, dict):
        return {key: _rounded(item, digits) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item, digits) for item in value]
    return round(value, digits) if isinstance(value, float) else value
