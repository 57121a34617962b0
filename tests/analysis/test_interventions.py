"""Photos are edited and scored again: the tastes of a scorer that is known by heart come out as they are."""

import io
import zipfile

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.analysis import interventions
from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import open_images

SIZE = 32  # px of the network; photos are edited at 48
FACE = {"left": 0.4, "right": 0.6, "top": 0.35, "bottom": 0.65}
FACE |= {f"{side}_eye_y": 0.45 for side in ("left", "right")} | {
    f"mouth_{side}_y": 0.55 for side in ("left", "right")
}


def likes_light(photos: np.ndarray) -> np.ndarray:
    """Rate photos by their light alone: log-odds are ten times the mean brightness above a half."""
    return 10 * (photos.mean(axis=(1, 2, 3)) / 255 - 0.5)


def encoded(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    return out.getvalue()


@pytest.fixture
def posts(tmp_path):
    """Seven posts of four users, each of one colour, one broken, one without a face."""
    names = [f"{7 * i % 11:02d}.png" for i in range(7)]
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(
                name, b"no photo" if i == 2 else encoded(np.full((48, 48, 3), 60 + 20 * i, np.uint8))
            )
    scores = pd.DataFrame({"post_id": [f"p{name[:2]}" for name in names], "image": names, "score": 0.5})
    scores["user_id"] = ["ann", "bob", "ann", "cem", "ann", "cem", "dot"]
    faces = pd.DataFrame([{"image": name, "faces": 1, **FACE} for name in sorted(names)])
    faces.loc[faces["image"] == names[5], ["faces", "left", "right"]] = [0, np.nan, np.nan]
    return scores, faces, open_images(tmp_path / "images.zip"), tmp_path / "images.zip"


def edited_of(posts):
    scores, faces, images, _ = posts
    chosen = interventions.choose_photos(scores, faces, 99, seed=0)
    return interventions.edit_photos(likes_light, images, chosen, SIZE)


def change(edited, edit, dose):
    some = edited[(edited["edit"] == edit) & np.isclose(edited["dose"], dose)].set_index("image")
    return some["after"] - some["before"]


def test_what_an_edit_does_to_a_known_taste_is_worked_out_by_hand(posts):
    edited = edited_of(posts)
    border = change(edited, "white border", 0.1)
    # 48 px: a border of 5 px leaves 38 x 38 of the photo; the rest becomes white.
    grey = {"00.png": 60, "07.png": 80, "10.png": 120, "06.png": 140, "09.png": 180}
    for name, value in grey.items():
        assert border[name] == pytest.approx(10 * (1 - 38**2 / 48**2) * (255 - value) / 255, abs=1e-6)
    darker = change(edited, "exposure", -1.0)
    assert darker["09.png"] == pytest.approx(10 * (round(180 * 2 ** (-1 / 2.2)) - 180) / 255, abs=0.02)
    assert (change(edited, "colour", -1.0).abs() < 0.02).all()  # light is kept
    assert (change(edited, "mirror", 1.0) == 0).all()
    assert (change(edited, "head at a third", 1 / 3).abs() < 0.02).all()  # of one colour, a zoom sees nothing


def test_unreadable_photos_and_those_without_a_face_are_left_out(posts):
    edited = edited_of(posts)
    assert set(edited["image"]) == {"00.png", "07.png", "10.png", "06.png", "09.png"}
    assert edited["post_id"].tolist() == [f"p{name[:2]}" for name in edited["image"]]
    users = dict(zip(posts[0]["image"], posts[0]["user_id"], strict=True))
    assert edited["user_id"].tolist() == [users[name] for name in edited["image"]]


def test_an_edit_is_averaged_over_photos_with_the_luck_of_users(posts):
    edited = edited_of(posts)
    average = interventions.average_edits(edited, seed=0).set_index(["edit", "dose"])
    border = change(edited, "white border", 0.2)
    row = average.loc[("white border", 0.2)]
    assert row["effect"] == pytest.approx(border.mean()) and row["photos"] == 5
    assert border.min() < row["low"] < row["effect"] < row["high"] < border.max()
    assert row["unit"] == "width of each edge"
    assert average["placebo"].sum() == 3 and len(average) == edited.groupby(["edit", "dose"]).ngroups


def test_the_floor_is_the_largest_placebo_whichever_way():
    average = pd.DataFrame({"placebo": [True, True, False], "effect": [-0.07, 0.04, 0.9]})
    assert interventions.placebo_floor(average) == 0.07


def test_photos_are_drawn_by_the_seed_and_only_with_a_face(posts):
    scores, faces, *_ = posts
    one, again, other = (interventions.choose_photos(scores, faces, 3, seed)["post_id"] for seed in (1, 1, 4))
    assert one.tolist() == again.tolist() != other.tolist() and len(one) == 3
    assert (
        len(interventions.choose_photos(scores, faces, 6, 0))
        == 6
        == len(interventions.choose_photos(scores, faces, 7, 0))
    )


@pytest.mark.parametrize("count", [0, 1, -3])
def test_fewer_than_two_photos_are_refused(posts, count):
    scores, faces, *_ = posts
    with pytest.raises(SelfieError, match=f"photos = {count}: an effect takes 2 photos at least"):
        interventions.choose_photos(scores, faces, count, seed=0)


def test_test_posts_without_faces_are_refused_in_a_sentence(posts):
    scores, faces, *_ = posts
    for found in (0, 1):
        with pytest.raises(SelfieError, match=f"{found} of 7 test posts show a face"):
            interventions.choose_photos(scores, faces.assign(faces=[found] + [0] * 6), 5, seed=0)


def test_when_no_photo_can_be_read_it_says_so(posts):
    scores, faces, images, _ = posts
    chosen = interventions.choose_photos(scores, faces, 7, 0).assign(image="gone.png")
    with pytest.raises(SelfieError, match="None of 6 photos can be read"):
        interventions.edit_photos(likes_light, images, chosen, SIZE)


@pytest.fixture
def scenes(posts, tmp_path):
    """Two scenes with twins beside the posts' photos: the brightness of each is its likes."""
    light = {
        "a.png": 50,
        "a_g.png": 90,
        "a_skin.png": 60,
        "a_hair.png": 20,
        "b.png": 100,
        "b_g.png": 70,
        "b_skin.png": 130,
    }
    with zipfile.ZipFile(tmp_path / "twins.zip", "w") as archive:
        for name, value in light.items():
            archive.writestr(name, encoded(np.full((48, 48, 3), value, np.uint8)))
    rows = [  # one of the first photos is not there
        (1, "light", "b.png", "gone.png", "window", "low", 0.2, -0.7),
        (0, "presented_gender", "a.png", "a_g.png", "female", "male", 1.0, 0.4),
        (0, "skin_tone", "a.png", "a_skin.png", "2.0", "5.0", 1.0, 1.0),
        (0, "hair_length", "a.png", "a_hair.png", "long", "short", 1.0, 0.7),
        (1, "presented_gender", "b.png", "b_g.png", "male", "female", 0.2, 0.9),
        (1, "skin_tone", "b.png", "b_skin.png", "10.0", "7.0", 0.2, 0.2),
    ]  # fmt: skip
    columns = ["scene", "change", "image_before", "image_after", "value_before", "value_after"]
    pd.DataFrame(rows, columns=[*columns, "appeal_before", "appeal_after"]).to_parquet(
        tmp_path / "twins.parquet"
    )
    return posts[3]


def test_pairs_are_turned_towards_more_of_what_changed(scenes):
    twins = interventions.rate_twins(likes_light, scenes, SIZE).set_index(["scene", "change"])
    step = 10 * (twins["after"] - twins["before"]) * 25.5 / 10
    assert step.round(6).to_dict() == {
        ("0", "presented_gender"): -40.0,  # as male it was 40 brighter: as female it is darker
        ("0", "skin_tone"): 10.0,
        ("0", "hair_length"): 30.0,  # long minus short
        ("1", "presented_gender"): -30.0,
        ("1", "skin_tone"): -30.0,  # 10.0 is deeper than 7.0, though not in the alphabet
    }
    assert twins["planted"].round(6).to_dict() == {
        ("0", "presented_gender"): 0.6, ("0", "skin_tone"): 0, ("0", "hair_length"): 0.3,
        ("1", "presented_gender"): 0.7, ("1", "skin_tone"): 0,
    }  # fmt: skip
    assert twins["presented_gender"].tolist() == ["female"] * 3 + ["male"] * 2


def test_posts_without_twins_have_none(posts):
    assert interventions.rate_twins(likes_light, posts[3], SIZE) is None


def test_edits_and_twins_are_kept_in_one_table(posts, scenes):
    edited, twins = edited_of(posts), interventions.rate_twins(likes_light, scenes, SIZE)
    both = interventions.together(edited, twins)
    assert both["kind"].value_counts().to_dict() == {"edit": len(edited), "twin": 5}
    assert both.loc[both["kind"] == "twin", "user_id"].tolist() == ["0", "0", "0", "1", "1"]
    assert both.loc[both["kind"] == "twin", "post_id"].isna().all()
    assert (interventions.together(edited, None)["kind"] == "edit").all()


@pytest.mark.parametrize(("seen", "told"), [(10, False), (9, True), (0, True)])
def test_with_fewer_than_ten_faces_it_says_why_nothing_is_told(seen, told):
    images = [f"{i}.jpg" for i in range(12)]
    faces = pd.DataFrame({"image": images[::-1], "faces": [0] * (12 - seen) + [2] * seen})
    why = interventions.why_nothing(pd.DataFrame({"image": images}), faces)
    assert why == (
        f"Of 12 test posts {seen} show a face: to tell what an edit does takes 10 at least." if told else ""
    )


def test_edits_of_no_rule_are_told_at_their_largest_dose_where_they_clear_the_placebos():
    rows = [
        ("noise", 0.02, 0.9, 0.8, 1.0), ("noise", 0.05, -0.5, -0.6, -0.4), ("blur", 0.015, 0.25, 0.05, 0.45),
        ("mirror", 1.0, 0.03, 0.01, 0.05), ("faded filter", 1.0, 0.4, 0.3, 0.5),
    ]  # fmt: skip
    average = pd.DataFrame(rows, columns=["edit", "dose", "effect", "low", "high"])
    told = interventions.beyond_rules_in_words(average, 0.02)
    assert told.endswith("all the same: noise (-0.50 [-0.60 to -0.40]), blur (+0.25 [+0.05 to +0.45]).")
    told = interventions.beyond_rules_in_words(average, 0.6)
    assert told == "Of what no rule is about (noise, blur, mirror), nothing clearly moves the score."
