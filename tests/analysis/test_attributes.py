"""Measured attributes: light, colour and framing worked out by hand, and each threshold on both its sides."""

import zipfile
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.analysis import attributes
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.photos import measure
from selfie_utils.photos.faces import LANDMARKS
from selfie_utils.photos.images import ImageFolder, ImageZip

GREY = 100


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


def test_a_photo_that_cannot_be_read_is_left_out_and_those_after_it_are_measured(measured):
    assert measured["image"].tolist() == [f"{name}.png" for name in PHOTOS]


def test_nothing_readable_is_refused(tmp_path):
    with pytest.raises(SelfieError, match="None of the photos can be read"):
        measure.measure(ImageFolder(tmp_path), pd.DataFrame([{"image": "gone.png", **FACE}]))


@pytest.fixture
def measures_of(tmp_path):
    """Measure one photo given as uint8 (64, 64) or (64, 64, 3), so that no pixel is resampled."""

    def one(pixels, **face):
        pixels = np.asarray(pixels, np.uint8)
        Image.fromarray(np.stack([pixels] * 3, 2) if pixels.ndim == 2 else pixels).save(tmp_path / "a.png")
        table = pd.DataFrame([{"image": "a.png", **FACE, **face}])
        return measure.measure(ImageFolder(tmp_path), table).iloc[0]

    return one


def plain(level=GREY):
    return np.full((64, 64), level, np.uint8)


@pytest.mark.parametrize(
    ("colour", "luminance"), [((255, 0, 0), 0.299), ((0, 255, 0), 0.587), ((0, 0, 255), 0.114)]
)
def test_brightness_is_luminance_by_rec_601(measures_of, colour, luminance):
    found = measures_of(np.broadcast_to(np.array(colour), (64, 64, 3)))
    assert found[["brightness", "shadow", "highlight"]].tolist() == pytest.approx([luminance] * 3, abs=1e-5)


def test_light_is_measured_inside_the_border_and_its_blurred_edge(measures_of):
    """The border has four widths: 4 on top, 6 below, 2 on the left and 5 on the right."""
    photo = plain()
    photo[:4] = photo[-6:] = photo[:, :2] = photo[:, -5:] = 255
    rim = [(4, 30), (64 - 7, 30), (30, 2), (30, 64 - 6)]  # the outermost pixels inside, one at each side
    for row, column in rim:
        photo[row, column] = 3
    photo[5, 3], photo[64 - 8, 64 - 7] = 40, 230  # the first and the last that count
    found = measures_of(photo)
    assert found["shadow"] == pytest.approx(40 / 255, abs=1e-5)
    assert found["highlight"] == pytest.approx(230 / 255, abs=1e-5)
    height, width = 64 - 4 - 6 - 2, 64 - 2 - 5 - 2
    light = (GREY * (height * width - 2) + 40 + 230) / (height * width) / 255
    assert found["brightness"] == pytest.approx(light, abs=1e-5)


def test_without_a_border_only_the_outermost_pixels_do_not_count(measures_of):
    photo = plain()
    photo[0, 9] = photo[-1, 9] = photo[9, 0] = photo[9, -1] = 255
    photo[1, 1], photo[-2, -2] = 30, 200
    found = measures_of(photo)
    assert (found["shadow"], found["highlight"]) == pytest.approx((30 / 255, 200 / 255), abs=1e-5)


@pytest.mark.parametrize(
    ("top", "bottom", "left", "right", "width"),
    [
        (4, 6, 2, 5, 4), (6, 4, 5, 2, 4), (2, 5, 4, 6, 4), (5, 2, 6, 4, 4), (7, 0, 0, 9, 0), (7, 0, 9, 3, 3),
        (64, 64, 64, 64, 64),
    ],
)  # fmt: skip
def test_a_borders_width_is_that_of_two_facing_edges(measures_of, top, bottom, left, right, width):
    photo = plain()
    photo[:top] = photo[64 - bottom :] = photo[:, :left] = photo[:, 64 - right :] = 255
    assert measures_of(photo)["border_width"] == width / 64


@pytest.mark.parametrize(
    ("level", "white", "around"),
    [(238, True, True), (237, False, False), (17, False, True), (18, False, False)],  # 0.93 and 0.07 of 255
)
def test_a_border_is_nearly_white_or_nearly_black(measures_of, level, white, around):
    photo = plain()
    photo[:5] = photo[-5:] = level
    found = measures_of(photo)
    assert found["border_width"] == (5 / 64 if white else 0)
    inside = GREY if around else (GREY * 54 + level * 8) / 62  # one row at each end never counts
    assert found["brightness"] == pytest.approx(inside / 255, abs=1e-5)


@pytest.mark.parametrize(("spoilt", "width"), [(1, 5 / 64), (2, 2 / 64)])
def test_a_line_of_the_border_may_have_one_pixel_of_64_that_is_not(measures_of, spoilt, width):
    photo = plain()
    photo[:5] = photo[-5:] = 255
    photo[2, 10 : 10 + spoilt] = 90
    assert measures_of(photo)["border_width"] == width


@pytest.mark.parametrize(("width", "is_border"), [(20, True), (21, False)])
def test_what_takes_a_third_of_the_photo_is_no_border_but_a_part_of_it(measures_of, width, is_border):
    photo = plain()
    photo[:width] = 255
    rows = 63 - width  # below the white, without the last
    light = GREY if is_border else (GREY * rows + 255 * (width - 1)) / 62
    assert measures_of(photo)["brightness"] == pytest.approx(light / 255, abs=1e-5)
    for counts, row, column in (
        (True, 62, 62),
        (True, 62, 1),
        (False, 63, 30),
        (False, 30, 63),
        (False, 30, 0),
    ):
        marked = photo.copy()
        marked[row, column] = 5
        assert (measures_of(marked)["shadow"] < 0.1) == counts, (row, column)
    photo[1, 1] = 5
    assert (measures_of(photo)["shadow"] < 0.1) == (not is_border)


def test_colour_is_what_a_parabola_of_luminance_leaves_over(measures_of):
    rng = np.random.default_rng(0)
    tone = rng.integers(20, 236, (64, 64)) / 255
    photo = np.stack([tone, tone**2, np.sqrt(tone)], axis=2) + rng.normal(0, 0.02, (64, 64, 3))
    photo = (photo.clip(0.1, 0.9) * 255).round().astype(np.uint8)
    inside = photo[1:-1, 1:-1].reshape(-1, 3) / 255
    light = 0.299 * inside[:, 0] + 0.587 * inside[:, 1] + 0.114 * inside[:, 2]
    left = [channel - np.polyval(np.polyfit(light, channel, 2), light) for channel in inside.T]
    assert measures_of(photo)["colour"] == pytest.approx(np.mean(np.abs(left)), rel=1e-3)
    assert measures_of(np.stack([photo[..., 0]] * 3, axis=2))["colour"] == pytest.approx(0, abs=1e-5)
    sepia = (tone[..., None] * [230, 180, 130]).astype(np.uint8)
    assert measures_of(sepia)["colour"] < 0.005


def box(left, top, right, bottom):
    """A face box, given in pixels of 64."""
    edges = zip(("left", "top", "right", "bottom"), (left, top, right, bottom), strict=True)
    return {name: edge / 64 for name, edge in edges}


def test_glare_is_the_share_of_the_faces_pixels_that_are_over_four_fifths(measures_of):
    photo = plain()
    photo[32, 16] = photo[32, 31] = photo[47, 16] = photo[47, 31] = 205  # the corners of the face
    photo[33, 20:30] = 203
    photo[31] = photo[48] = photo[:, 15] = photo[:, 32] = 205  # just outside
    assert measures_of(photo, **box(16, 32, 32, 48))["face_glare"] == 4 / (16 * 16)
    assert measures_of(photo, **box(15.6, 32.4, 31.6, 48.4))["face_glare"] == 4 / (16 * 16)  # rounded
    assert measures_of(photo, **box(16, 32, 32, 49))["face_glare"] == (4 + 16) / (16 * 17)


@pytest.mark.parametrize("edge", ["left", "top", "right", "bottom"])
def test_without_a_face_there_is_no_glare(measures_of, edge):
    assert np.isnan(measures_of(plain(255), **{edge: np.nan})["face_glare"])


def test_a_face_may_reach_beyond_the_photo_or_be_a_line(measures_of):
    photo = plain()
    photo[:32] = 255
    assert measures_of(photo, **box(-10, -20, 80, 90))["face_glare"] == 0.5
    assert measures_of(photo, **box(10, 31, 10, 31))["face_glare"] == 1  # one pixel
    assert measures_of(photo, **box(10, 32, 12, 32))["face_glare"] == 0
    assert np.isnan(measures_of(photo, **box(64, 10, 70, 20))["face_glare"])  # outside: nothing to see


def eyes_and_mouth(left_eye, right_eye, left, right):
    return {"left_eye_y": left_eye, "right_eye_y": right_eye, "mouth_left_y": left, "mouth_right_y": right}


def test_the_head_begins_above_the_eyes_by_1_6_times_their_distance_to_the_mouth(measures_of):
    tilted = eyes_and_mouth(0.38, 0.42, 0.57, 0.63)  # 0.4 and 0.6 on average: the head begins at 0.08
    assert measures_of(plain(), **tilted)["face_top"] == pytest.approx(0.08 / 0.2)
    framed = plain()
    framed[:8] = framed[-8:] = 255
    assert measures_of(framed, **tilted)["face_top"] == pytest.approx((0.08 - 8 / 64) / 0.2)
    upside_down = measures_of(plain(), **eyes_and_mouth(0.6, 0.6, 0.4, 0.4))
    assert 0 < upside_down["face_top"] < np.inf


def test_the_faces_are_counted_and_the_box_is_measured_across(measures_of):
    found = measures_of(plain(), **box(8, 10, 40, 60) | {"faces": 3})
    assert found["face_width"] == 0.5 and found["faces"] == 3


NOTHING = {
    "brightness": 0.5, "shadow": 0.1, "highlight": 0.99, "colour": 0.1, "border_width": 0.0,
    "face_glare": 0.0, "faces": 1, "face_width": 0.3, "face_top": 0.2,
}  # fmt: skip
LIGHT_OF_FADED = {"shadow": 0.2, "highlight": 0.9}


@pytest.mark.parametrize(
    ("attribute", "measure", "threshold", "above", "others"),
    [
        ("low_light", "brightness", 0.37, False, {}),
        ("black_and_white", "colour", 0.01, False, {}),
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
