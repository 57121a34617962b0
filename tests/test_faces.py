"""The face detector finds people, finds them in the right place, and stops at nothing."""

import io
import zipfile

import numpy as np
import pytest
from PIL import Image
from skimage import data

from selfie_utils.face_filter import filter_faces
from selfie_utils.faces import BOX, COLUMNS, FaceDetector
from selfie_utils.images import ImageZip


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
    assert list(faces.columns)[: len(COLUMNS)] == COLUMNS
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
