"""Attributes: estimates by thresholds, tried on both sides of each, and what is known of a post."""

import zipfile
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.analysis import attributes
from selfie_utils.core.run_folder import create_run
from selfie_utils.photos import measure
from selfie_utils.photos.archives import ImageZip
from selfie_utils.photos.faces import LANDMARKS


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
FACE = {"faces": 1, "left": 0.3, "top": 0.3, "right": 0.7, "bottom": 0.7} | {
    f"{point}_{axis}": value
    for point, place in zip(
        LANDMARKS, [(0.4, 0.5), (0.6, 0.5), (0.5, 0.55), (0.4, 0.6), (0.6, 0.6)], strict=True
    )
    for axis, value in zip("xy", place, strict=True)
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """Measures of the photos above; one that is broken and one that is missing stand in the middle."""
    path = tmp_path_factory.mktemp("photos") / "photos.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, pixels in PHOTOS.items():
            out = BytesIO()
            Image.fromarray(pixels).save(out, "PNG")
            archive.writestr(f"{name}.png", out.getvalue())
        archive.writestr("broken.png", b"no photo")
    first, *others = PHOTOS
    names = [f"{name}.png" for name in [first, "broken", "missing", *others]]
    return measure.measure(ImageZip(path), pd.DataFrame([{"image": name, **FACE} for name in names]))


def test_each_photo_is_called_what_it_is_and_nothing_else(measured):
    estimated = attributes.estimate(measured).set_index(measured["image"].str.removesuffix(".png"))
    assert not estimated.loc["plain"].any()
    for name in set(PHOTOS) - {"plain"}:
        assert estimated.columns[estimated.loc[name]].tolist() == [name]


NOTHING = {
    "brightness": 0.5, "shadow": 0.1, "highlight": 0.99, "colour": 0.3, "border_width": 0.0,
    "face_glare": 0.0, "faces": 1, "face_width": 0.3, "face_top": 0.2,
}  # fmt: skip
LIGHT_OF_FADED = {"shadow": 0.2, "highlight": 0.9}


@pytest.mark.parametrize(
    ("attribute", "measure", "threshold", "above", "others"),
    [
        ("low_light", "brightness", 0.37, False, {}),
        ("black_and_white", "colour", 0.05, False, {}),
        ("faded", "shadow", 0.15, True, LIGHT_OF_FADED),
        ("faded", "highlight", 0.955, False, LIGHT_OF_FADED),
        ("over_exposed", "face_glare", 0.35, True, {}),
        ("border", "border_width", 0.03, True, {}),
        ("forehead_cut", "face_top", 0.0, False, {}),
        ("large_head", "face_width", 0.415, True, {}),
    ],
)
def test_a_threshold_itself_is_not_passed_and_the_next_number_is(
    attribute, measure, threshold, above, others
):
    beyond = np.nextafter(threshold, np.inf if above else -np.inf)
    rows = [NOTHING | others | {measure: value} for value in (threshold, beyond)] + [NOTHING]
    said = attributes.estimate(pd.DataFrame(rows, index=[7, 3, 5]))
    assert said[attribute].tolist() == [False, True, False]
    assert not said.drop(columns=attribute).any(axis=None)
    assert said.index.tolist() == [7, 3, 5]


def test_two_faces_make_a_group():
    said = attributes.estimate(pd.DataFrame([NOTHING | {"faces": faces} for faces in (0, 1, 2, 3)]))
    assert said["group"].tolist() == [False, False, True, True]


def test_what_no_face_was_there_to_measure_is_not_estimated_as_true():
    said = attributes.estimate(
        pd.DataFrame([NOTHING | dict.fromkeys(("face_glare", "face_width", "face_top"), np.nan)])
    )
    assert not said.any(axis=None)


def test_estimates_are_checked_against_the_truth_of_the_same_photo():
    truth = pd.DataFrame(
        {
            "image": ["d", "b", "other", "a", "c"],
            "low_light": [False, True, True, True, False],
            "border": [True, True, True, True, False],
            "faded": False,
            "hat": True,
        }
    )
    estimates = pd.DataFrame(
        {
            "low_light": [True, False, False, False],
            "border": [True, False, True, True],
            "faded": [False, False, True, False],
            "group": True,  # nothing is known of it
        },
        index=list("abcd"),
    )
    table = attributes.check(estimates, truth)
    assert table.T.to_dict("list") == {
        "low light": ["50%", "50%", "100%"],
        "white border": ["75%", "67%", "67%"],
        "faded filter": ["0%", "–", "0%"],
    }
    assert table.columns.tolist() == [
        "planted", "recognised of those planted", "planted of those recognised"
    ]  # fmt: skip
    nobody = attributes.check(estimates[["faded"]] & False, truth)
    assert nobody.loc["faded filter"].tolist() == ["0%", "–", "–"]


@pytest.fixture
def run(tmp_path):
    return create_run(tmp_path / "run")


SCORES = pd.DataFrame(
    {"post_id": ["b", "a", "c"], "image": ["2.jpg", "1.jpg", "3.jpg"], "score": 0.5}, index=[12, 5, 9]
)


def test_real_posts_have_estimates_by_image_and_annotations_by_post(run):
    """Ids are gapped and in another order than the scores; of post c nothing was estimated."""
    measured = pd.DataFrame({"image": ["1.jpg", "7.jpg", "2.jpg"], "low_light": [True, True, False]})
    run.write_table("attributes", measured.assign(brightness=0.1))
    posts = pd.DataFrame({"post_id": ["x", "a", "b", "c"], "mood": ["glad", "glad", "sad", None]})
    run.write_table("posts", posts)
    known = attributes.read_attributes(run, SCORES)
    assert known.columns.tolist() == ["low light", "mood: glad"]
    assert known["low light"].tolist() == [False, True, pd.NA]
    assert known["mood: glad"].tolist() == [False, True, pd.NA]
    assert known.index.tolist() == [12, 5, 9] and set(known.dtypes) == {pd.BooleanDtype()}


def test_the_planted_truth_replaces_estimates(run):
    run.write_table("attributes", pd.DataFrame({"image": ["1.jpg", "2.jpg"], "low_light": [True, False]}))
    run.write_table("truth", pd.DataFrame({"post_id": ["a", "z", "b"], "low_light": [False, True, True]}))
    run.write_table("posts", pd.DataFrame({"post_id": ["a", "b", "c"]}))
    known = attributes.read_attributes(run, SCORES)
    assert known["low light"].tolist() == [True, False, pd.NA] and known.index.tolist() == [12, 5, 9]


def test_annotations_become_flags_or_a_column_for_each_word(run):
    posts = pd.DataFrame(
        {
            "post_id": list("cbaedf"),
            "wears_red": [True, False, None, True, False, True],
            "has_cat": [1, 0, 1, 1, 0, 0],
            "room": ["café", "bath", None, "gym", "bath", "gym"],
            "presented_gender": ["male", "female", "female", "male", None, "male"],
        }
    )
    run.write_table("truth", pd.DataFrame({"post_id": ["a"]}))
    run.write_table("posts", posts)
    scores = pd.DataFrame({"post_id": list("abcde"), "image": "x.jpg"})
    known = attributes.read_attributes(run, scores)
    assert {name: known[name].tolist() for name in known} == {
        "wears red": [pd.NA, False, True, False, True],
        "has cat": [True, False, True, False, True],
        "room: bath": [pd.NA, True, False, True, False],
        "room: café": [pd.NA, False, True, False, False],
        "room: gym": [pd.NA, False, False, False, True],
        "presented gender: female": [True, True, False, pd.NA, False],
    }
    # Of two words one column says all.
    assert "presented gender: male" not in known


@pytest.mark.parametrize("absent", [True, False])
def test_a_whole_number_is_written_as_one_although_some_are_unknown(run, absent):
    """A column with a gap is one of floats: 31 must not become 31.0."""
    run.write_table("truth", pd.DataFrame({"post_id": ["a"]}))
    posts = pd.DataFrame(
        {"post_id": ["d", "b", "c"] + ["a"] * (not absent), "age": [31, 18, 45] + [None] * (not absent)}
    )
    run.write_table("posts", posts)
    known = attributes.read_attributes(run, pd.DataFrame({"post_id": list("abcd"), "image": "x.jpg"}))
    assert known.columns.tolist() == ["age: 18", "age: 31", "age: 45"]
    assert known["age: 31"].tolist() == [pd.NA, False, False, True]


OWN = [
    "image",
    "post_id",
    "user_id",
    "followers",
    "likes",
    "tags",
    "posted_at",
    "collected_at",
    "label",
    "split",
]


def test_annotations_are_columns_of_two_to_five_words_that_are_not_the_tables_own():
    posts = pd.DataFrame({name: ["a", "b", "c", "a", "b", "c", None] for name in OWN})
    for words in range(1, 8):
        posts[f"of {words}"] = [min(i, words - 1) for i in range(7)]
    posts["one and nothing"] = ["a", None, "a", None, None, None, None]
    assert attributes.annotation_columns(posts) == ["of 2", "of 3", "of 4", "of 5"]


def test_annotations_are_written_alike_and_codes_of_yes_and_no_are_flags(run):
    posts = pd.DataFrame(
        {
            "post_id": list("abcdef"),
            "room": ["Bath", "bath ", " BATH", "gym", "Gym", "gym"],  # two values, not six
            "smiling": [1, -1, 1, None, 1, -1],
            "hat": ["Yes", "no", "YES", "No ", "yes", None],
            "seen": [1, 0, -1, 1, 0, -1],  # nobody knows what 0 means here
        }
    )
    run.write_table("truth", pd.DataFrame({"post_id": ["a"]}))
    run.write_table("posts", posts)
    known = attributes.read_attributes(run, posts[["post_id"]].assign(image="x.jpg"))
    assert known["room: bath"].tolist() == [True, True, True, False, False, False]
    assert known["smiling"].fillna(False).tolist() == [True, False, True, False, True, False]
    assert known["smiling"].isna().tolist() == [False] * 3 + [True] + [False] * 2
    assert known["hat"].isna().tolist() == [False] * 5 + [True]
    assert {"seen: -1", "seen: 0", "seen: 1"} <= set(known) and "seen" not in known
