"""Render one description: a `Photo` becomes pixels and what is known of them."""

from dataclasses import dataclass

import numpy as np
from PIL import Image

from selfie_utils.synthetic import blender, scenes
from selfie_utils.synthetic.camera import frame, position
from selfie_utils.synthetic.description import Photo
from selfie_utils.synthetic.effects import before_exposure, develop
from selfie_utils.synthetic.materials import make_materials
from selfie_utils.synthetic.people import build_person

SAMPLES = 4  # light paths per pixel; the denoiser makes 4 look like 30


@dataclass(frozen=True)
class Rendered:
    """A photo and what its geometry says: boxes are left, top, right, bottom in 0..1 of the photo."""

    image: Image.Image
    head_boxes: list[list[float]]  # skull and chin, without hair; may reach beyond the photo
    face_boxes: list[list[float]]
    eyes: list[list[list[float]]]  # the left and the right eye of each person, x and y
    window: list[float]  # what a border leaves of the photo


def prepare(size: int, samples: int = SAMPLES, threads: int = 2) -> None:
    """Set Blender up for square photos of `size` px; once a process."""
    blender.setup(size, samples, threads)
    make_materials()
    scenes.load_envs()


def render(photo: Photo) -> Rendered:
    """Render a description; the same one gives the same pixels. Call `prepare` before."""
    made: list = []  # Blender's objects, to be cleared away
    try:
        where = position(photo.camera)
        people = [
            build_person(person, look, where, np.array(place), made, photo.camera.mirror)
            for (person, look), place in zip(photo.people, photo.places, strict=True)
        ]
        view = frame(photo.camera, [one.head for one in people], [one.centre for one in people])
        level = scenes.light(photo, view, np.mean([one.centre for one in people], 0), made)
        background = before_exposure(scenes.background(photo, view, level, blender.size()), photo)
        light = blender.render(view, background, photo.seed)
    finally:
        blender.purge(made)
    known = {
        "head_boxes": [view.box(one.head) for one in people],
        "face_boxes": [view.box(one.face) for one in people],
        "eyes": [view.project(one.eyes).tolist() for one in people],
    }
    return Rendered(**develop(light, photo, known))
