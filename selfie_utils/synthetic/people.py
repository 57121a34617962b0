"""A whole person, built in Blender: body, eyes, hair, clothes, accessories."""

import math
from dataclasses import dataclass

import numpy as np

from selfie_utils.synthetic.accessories import RaisedHand, close_hand, earrings, glasses, hat, phone
from selfie_utils.synthetic.beards import facial_strands
from selfie_utils.synthetic.blender import curves_object, mesh_object
from selfie_utils.synthetic.body import ARMS, Head, body_turn, follow, head_turn, joint, morph, pose
from selfie_utils.synthetic.clothes import clothes
from selfie_utils.synthetic.description import Look, Person
from selfie_utils.synthetic.geometry import from_blender, norm, to_blender
from selfie_utils.synthetic.hair import hair_with_hat
from selfie_utils.synthetic.hair_colours import beard_colour, hair_material, strand_colour
from selfie_utils.synthetic.makehuman import model
from selfie_utils.synthetic.materials import material
from selfie_utils.synthetic.regions import regions
from selfie_utils.synthetic.skin import eye_object, skin_colours, teeth_colours

CURLY = ("afro", "curlytop", "curlylong")
STEEPEST = 32  # degrees that the lids follow the eyes, up or down


@dataclass(frozen=True)
class Built:
    """Where the head of somebody is, metres; hair is no part of it."""

    head: np.ndarray  # (N, 3) points of skull and chin
    face: np.ndarray  # (M, 3) those of the face
    centre: np.ndarray  # (3,)
    eyes: np.ndarray  # (2, 3) the left and the right one


@dataclass(frozen=True)
class Figure:
    """A person posed; decimetres, MakeHuman's axes, of the world unless named otherwise."""

    vertices: np.ndarray  # (V, 3)
    head: Head
    eyes: list[tuple[np.ndarray, float]]  # centres (3,) before posing, and radii
    camera: np.ndarray  # (3,)
    holds_phone: bool  # in view


def build_person(
    person: Person, look: Look, camera: np.ndarray, place: np.ndarray, made: list, mirror: bool = False
) -> Built:
    """Build a person who looks into a camera.

    `camera` (3,) and `place` (3,), where the base of the neck stands, are in metres. `made` collects
    Blender's objects. In front of a mirror, the phone is in view.
    """
    rng = np.random.default_rng(person.seed)
    figure = _figure(person, look, from_blender(camera), from_blender(place), mirror)
    colours, rough = skin_colours(person, look)
    _add_body(figure, colours, rough, made)
    _add_eyes(figure, person.eye_colour, rng, made)
    _add_mouth_and_lashes(figure, look.makeup, made)
    clothes(figure.vertices, look, person.seed, made)
    _add_hair(figure.head, person, look, rng, made)
    _add_accessories(figure, look, person.seed % 2 == 0, made)
    if figure.holds_phone:
        flesh = colours[np.abs(model().parts["body"].rest[:, 0]) > 4.3].mean(0)  # that of the hands
        wrist = joint(figure.vertices, f"{look.arm}-hand")
        phone(RaisedHand(wrist, look.arm, figure.camera, flesh), made)
    return _built(figure)


def _figure(person: Person, look: Look, camera: np.ndarray, place: np.ndarray, mirror: bool) -> Figure:
    """Morph and pose; `camera` and `place` in decimetres."""
    vertices = morph(person, look)
    neck, turn = joint(vertices, "neck").astype(float), body_turn(look)
    seen_from = turn.T @ (camera - place) + neck  # the camera in the frame of this body
    _move_lids(vertices, look, seen_from)
    hand = None
    if look.arm in ARMS:
        hand = _hand_in_mirror(vertices, look.arm, seen_from) if mirror else _hand(look, seen_from)
    posed, (head_turned, head_shift) = pose(vertices, look, hand)
    holds_phone = mirror and hand is not None
    if holds_phone:
        posed = close_hand(posed, look.arm)
    posed = (posed - neck) @ turn.T + place
    move = turn @ head_turned, turn @ (head_shift - neck) + place
    head = Head(model().parts["body"].points(posed), move, vertices)
    return Figure(posed, head, _eyes(vertices), camera, holds_phone)


def _move_lids(vertices: np.ndarray, look: Look, camera: np.ndarray) -> None:
    """Let the lids follow the eyes, which follow the camera, in place."""
    left, right = (vertices[model().eyes[f"helper-{side}-eye"][0]] for side in "lr")
    gaze = head_turn(look).T @ norm(camera - 0.5 * (left + right))
    rise = math.degrees(math.asin(np.clip(gaze[1], -1, 1)))
    for side in ("Left", "Right"):
        indices, moved = model().targets[f"fu/eyeLook{'Up' if rise > 0 else 'Down'}{side}"]
        vertices[indices] += min(1, abs(rise) / STEEPEST) * moved


def _hand(look: Look, camera: np.ndarray) -> np.ndarray:
    """Return where the hand is that holds the camera: behind it, to one side."""
    return camera + norm(camera) * 1.2 + np.array([ARMS[look.arm] * look.hand_out, -0.9, 0])


def _hand_in_mirror(vertices: np.ndarray, arm: str, camera: np.ndarray) -> np.ndarray:
    """Return where the hand is whose phone is seen: before the shoulder, beside the chin."""
    out, neck = ARMS[arm], joint(vertices, "neck")
    hand = joint(vertices, f"{arm}-shoulder") + np.array([out * 0.45, 0.25, 2.45])
    beside = out * norm(np.cross([0, 1.0, 0], camera - neck))
    return hand + beside * max(0, 2.1 - (hand - neck) @ beside)  # the phone must not hide the face


def _eyes(vertices: np.ndarray) -> list[tuple[np.ndarray, float]]:
    """Return centre (3,) and radius of the left and the right eye."""
    found = []
    for first, last in (model().eyes[f"helper-{side}-eye"] for side in "lr"):
        low, high = vertices[first : last + 1].min(0), vertices[first : last + 1].max(0)
        radius = (high[0] - low[0]) / 2
        centre = [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2] + radius]
        found.append((np.array(centre), radius))
    return found


def _add_body(figure: Figure, colours: np.ndarray, rough: np.ndarray, made: list) -> None:
    body = model().parts["body"]
    attributes = {
        "col": ("FLOAT_COLOR", colours),
        "rough": ("FLOAT", rough),
        "rp": ("FLOAT_VECTOR", body.rest),
    }
    points = to_blender(figure.head.points)
    made.append(mesh_object("body", points, body.quads, material("skin"), attributes))


def _add_eyes(figure: Figure, colour: str, rng: np.random.Generator, made: list) -> None:
    """Add eyes that look into the camera, as far as eyes turn."""
    head = figure.head
    for centre, radius in figure.eyes:
        where = head.posed(centre)
        gaze = head.turn.T @ norm(figure.camera - where)
        gaze = np.array([np.clip(gaze[0], -0.45, 0.45), np.clip(gaze[1], -0.35, 0.35), max(gaze[2], 0.5)])
        made.append(eye_object(where, radius, head.direction(norm(gaze)), colour, rng))


def _add_mouth_and_lashes(figure: Figure, makeup: float, made: list) -> None:
    parts = model().parts
    teeth, tongue, lash = (parts[name].points(figure.vertices) for name in ("teeth", "tongue", "lash"))
    upper = parts["teeth"].rest[:, 1:2] > 6.6
    teeth = teeth + figure.head.direction(np.array([0, -0.055, 0.0])) * upper  # as smiles show them
    enamel = {"col": ("FLOAT_COLOR", teeth_colours())}
    thick = {"cut": ("FLOAT", np.full(len(lash), 0.35 + 0.3 * min(1, makeup)))}
    for name, points, attributes in (("teeth", teeth, enamel), ("tongue", tongue, {}), ("lash", lash, thick)):
        made.append(mesh_object(name, to_blender(points), parts[name].quads, material(name), attributes))


def _add_hair(head: Head, person: Person, look: Look, rng: np.random.Generator, made: list) -> None:
    rough = 0.55 if person.hair_style in CURLY else 0.34
    soft = 0.9 if person.hair_style == "buzz" else 0.5  # light through short hair would glitter
    on_head = hair_material(strand_colour(person), rough, soft)
    on_face = hair_material(beard_colour(person.hair_colour), 0.6, 0.85)
    for tuft in [*hair_with_hat(head, person, look, rng), *facial_strands(head, person, rng)]:
        of = on_head if tuft.kind == "hair" else on_face
        made.append(curves_object(tuft.kind, tuft.strands, tuft.radius, of))


def _add_accessories(figure: Figure, look: Look, hoops: bool, made: list) -> None:
    head = figure.head
    if look.glasses != "none":
        eyes = [(head.local(head.posed(centre)), radius) for centre, radius in figure.eyes]
        glasses(head, look, eyes, made)
    if look.hat != "none":
        hat(head, look, made)
    if look.earrings:
        earrings(head, hoops, made)


def _built(figure: Figure) -> Built:
    """Return what the boxes are drawn around: everything of the head above the chin."""
    head, body, depth = figure.head, model().parts["body"], regions().z
    height = body.rest[:, 1]
    skull = (height > 6.15) & (body.points(follow()["head"]) > 0.5)
    face = skull & (depth > 0.55) & (height < 8.05) & (body.masks["ears"] < 0.5)
    centre = head.world(np.array([[0, 7.2, 0.9]]))[0]
    eyes = np.array([head.posed(middle) for middle, _ in figure.eyes])
    points = to_blender(head.points)
    return Built(points[skull], points[face], to_blender(centre), to_blender(eyes))
