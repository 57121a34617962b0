"""Measured attributes: photos made dark, grey, bordered or glaring are called so, others are not."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils import attributes
from selfie_utils.faces import LANDMARKS
from selfie_utils.images import ImageZip
from selfie_utils.run_folder import create_run


def scene(seed=0):
    """Return a plain colourful photo, uint8 (96, 96, 3)."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.array([15, 120, 225], np.uint8), (6, 6, 3))
    return np.asarray(Image.fromarray(coarse).resize((96, 96), Image.Resampling.BICUBIC))


def bordered():
    photo = scene().copy()
    photo[:10] = photo[-10:] = 250
    return photo


def glaring():
    photo = scene().copy()
    photo[30:70, 30:70] = 252
    return photo


PHOTOS = {
    "plain": scene(),
    "low_light": scene() // 6,
    "black_and_white": np.repeat(scene()[..., 1:2], 3, axis=2),
    "faded": (110 + scene() * 0.25).astype(np.uint8),
    "border": bordered(),
    "over_exposed": glaring(),
}


@pytest.fixture
def measured(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, pixels in PHOTOS.items():
            out = io.BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            archive.writestr(f"{name}.png", out.getvalue())
        archive.writestr("broken.png", b"no photo")
    names = [f"{name}.png" for name in [*PHOTOS, "broken"]]
    faces = pd.DataFrame({"image": names, "faces": 1, "left": 0.3, "top": 0.3, "right": 0.7, "bottom": 0.7})
    for point, (x, y) in zip(
        LANDMARKS, [(0.4, 0.5), (0.6, 0.5), (0.5, 0.55), (0.4, 0.6), (0.6, 0.6)], strict=True
    ):
        faces[f"{point}_x"], faces[f"{point}_y"] = x, y
    return attributes.measure(ImageZip(tmp_path / "photos.zip"), faces)


def test_each_photo_is_called_what_it_is_and_nothing_else(measured):
    estimated = attributes.estimate(measured).set_index(measured["image"].str.removesuffix(".png"))
    assert not estimated.loc["plain"].any()
    for name in set(PHOTOS) - {"plain"}:
        assert estimated.columns[estimated.loc[name]].tolist() == [name]


def test_a_broken_photo_is_left_out(measured):
    assert measured["image"].tolist() == [f"{name}.png" for name in PHOTOS]


def test_framing_comes_from_the_face_box():
    measures = pd.DataFrame(
        {
            "brightness": 0.5,
            "shadow": 0.1,
            "highlight": 0.9,
            "colour": 0.3,
            "border_width": 0.0,
            "face_glare": 0.0,
        }
        | {"faces": [1, 3, 1, 1], "face_width": [0.3, 0.2, 0.8, 0.3], "face_top": [0.2, 0.2, 0.1, -0.1]},
        index=range(4),
    )
    estimated = attributes.estimate(measures)
    assert estimated["group"].tolist() == [False, True, False, False]
    assert estimated["large_head"].tolist() == [False, False, True, False]
    assert estimated["forehead_cut"].tolist() == [False, False, False, True]


def test_real_posts_have_estimates_and_annotations(tmp_path):
    run = create_run(tmp_path / "run")
    scores = pd.DataFrame({"post_id": ["b", "a", "c"], "image": ["b.jpg", "a.jpg", "c.jpg"]})
    run.write_table("attributes", pd.DataFrame({"image": ["a.jpg", "b.jpg"], "low_light": [True, False]}))
    run.write_table(
        "posts",
        pd.DataFrame(
            {"post_id": ["a", "b", "c"], "mood": ["glad", "sad", None], "score_of_3": [1.5, 2.5, 3.5]}
        ),
    )
    known = attributes.read_attributes(run, scores)
    assert known["low light"].tolist() == [False, True, pd.NA]
    assert known["mood: glad"].tolist() == [False, True, pd.NA]


def test_the_planted_truth_replaces_estimates(tmp_path):
    run = create_run(tmp_path / "run")
    scores = pd.DataFrame({"post_id": ["b", "a"], "image": ["b.jpg", "a.jpg"]})
    run.write_table("attributes", pd.DataFrame({"image": ["a.jpg", "b.jpg"], "low_light": [True, False]}))
    run.write_table("truth", pd.DataFrame({"post_id": ["a", "b"], "low_light": [False, True]}))
    run.write_table("posts", pd.DataFrame({"post_id": ["a", "b"]}))
    assert attributes.read_attributes(run, scores)["low light"].tolist() == [True, False]


def test_estimates_are_checked_against_the_truth():
    truth = pd.DataFrame({"image": list("abcd"), "low_light": [True, True, False, False]})
    estimates = pd.DataFrame({"low_light": [True, False, False, False]}, index=list("abcd"))
    row = attributes.check(estimates, truth).loc["low light"]
    assert row.tolist() == ["50%", "50%", "100%"]
