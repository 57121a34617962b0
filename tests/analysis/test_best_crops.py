"""Best crops of photos: found as pixels decide; bad photos are left out, and the worst stay small."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.analysis import best_crops
from selfie_utils.core.errors import SelfieError
from selfie_utils.model.scorer import Ratings
from selfie_utils.photos.images import ImageFolder


class LikesRed:
    """A scorer of 24 px that gives a photo the share of red in it; counts what it rates."""

    size = 24

    def __init__(self):
        self.rated = 0

    def expect(self, photos):
        pass

    def rate(self, photos):
        self.rated += len(photos)
        red = [np.asarray(Image.fromarray(p).resize((24, 24)), float)[:, :, 0].mean() / 255 for p in photos]
        return Ratings(np.array(red), np.array(red), np.zeros((len(red), 1), np.float32))


@pytest.fixture
def folder(tmp_path):
    """A photo with a red patch at the right of its lower half, one upside down by its EXIF, and odd ones."""
    photo = Image.new("RGB", (120, 60))
    photo.paste((255, 0, 0), (80, 30, 110, 60))
    photo.save(tmp_path / "a.png")
    exif = Image.Exif()
    exif[0x0112] = 3  # turned by 180 degrees
    photo.rotate(180).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    Image.new("RGB", (20, 300)).save(tmp_path / "tiny.png")
    (tmp_path / "torn.png").write_bytes(b"no photo")
    return ImageFolder(tmp_path)


def test_the_best_crop_is_the_red_patch_however_the_photo_lies(folder):
    scorer = LikesRed()
    table, tries = best_crops.find_crops(scorer, folder, ["a.png", "turned.jpg"], 120, smallest=0.4)
    for row in table.to_dict("records"):
        found = [row[edge] * (120, 60)[i % 2] for i, edge in enumerate(("left", "top", "right", "bottom"))]
        assert found[0] >= 79 and found[1] >= 29 and found[2] <= 111 and found[3] <= 61, found
        assert row["crop_score"] > 0.95 and row["score"] == pytest.approx(900 / 7200, abs=0.02)
        assert (
            row["gain"] == row["crop_score"] - row["score"]
            and 19 <= row["side"] <= 24
            and row["reason"] == ""
        )
    assert len(tries["a.png"].scores) == 120 and scorer.rated <= 2 * (120 + 3)


def test_bad_photos_are_left_out_with_their_reason_and_the_others_stay(folder):
    table, tries = best_crops.find_crops(
        LikesRed(), folder, ["torn.png", "a.png", "tiny.png", "gone.png"], 10
    )
    assert table["reason"].tolist()[1] == "" and list(tries) == ["a.png"]
    assert table["crop_score"].notna().tolist() == [False, True, False, False]
    reasons = table["reason"].tolist()
    assert reasons[0] == "not an image" and "20 x 300 px" in reasons[2] and "missing" in reasons[3]


@pytest.mark.parametrize(
    ("names", "evaluations", "said"),
    [
        ([], 10, "no photo to crop"),
        (["a.png"], 0, "evaluations is 0"),
        (["tiny.png", "torn.png"], 10, "None of the photos can be cropped.*20 x 300"),
    ],
)
def test_what_cannot_be_cropped_is_refused_in_one_sentence(folder, names, evaluations, said):
    with pytest.raises(SelfieError, match=said):
        best_crops.find_crops(LikesRed(), folder, names, evaluations)


def test_the_crop_of_a_photo_hangs_on_its_name_and_the_seed_alone(folder):
    def numbers(names, seed):
        table, _ = best_crops.find_crops(LikesRed(), folder, names, 20, seed=seed)
        return table.set_index("image").loc["a.png", ["scale", "x", "y"]].tolist()

    assert numbers(["a.png"], 0) == numbers(["turned.jpg", "a.png"], 0) != numbers(["a.png"], 1)


@pytest.mark.parametrize(("count", "named"), [(1, "d"), (2, "da"), (3, "dba"), (9, "dba")])
def test_searches_are_compared_on_photos_from_the_largest_gain_to_the_middle_one(count, named):
    cropped = pd.DataFrame({"image": list("abcde"), "gain": [0.1, 0.2, 0.0, 0.3, 0.05]})
    assert best_crops.most_to_gain(cropped, count) == list(named)
    with pytest.raises(SelfieError, match="0 photos were asked for, expected 1 or more"):
        best_crops.most_to_gain(cropped, 0)


@pytest.mark.parametrize(
    ("scores", "small"),
    [
        ([0.5, 0.11, 0.9, 0.1, 0.7, 0.09, *[0.6] * 6], {"3.jpg", "5.jpg"}),  # as the worst tenth of posts
        ([0.5, 0.8, 0.9, 0.3, 0.7, 0.4, *[0.6] * 6], {"3.jpg"}),  # the worst tenth of these, rounded down
        ([0.5, 0.8, 0.9, 0.3, 0.7], set()),
    ],
)
def test_the_worst_photos_of_a_folder_are_kept_small(scores, small):
    crops = pd.DataFrame({"image": [f"{i}.jpg" for i in range(len(scores))], "score": scores})
    posts = pd.DataFrame({"image": "post.jpg", "score": np.linspace(0, 1, 101)})
    album = best_crops.Album(None, [], None, crops, are_posts=False)
    assert best_crops.to_keep_small(album, crops, posts) == small


def test_the_worst_tenth_of_real_posts_is_kept_small_and_nobody_who_is_simulated():
    scores = pd.DataFrame({"image": [f"{i}.jpg" for i in range(11)], "post_id": [f"p{i}" for i in range(11)]})
    scores["score"] = [0.5, 0.2, 0.9, 0.1, *[0.6] * 7]
    for truth, small in ((None, {"1.jpg", "3.jpg"}), (scores[["image"]], set())):
        album = best_crops.Album(None, [], truth, scores, are_posts=True)
        assert best_crops.to_keep_small(album, scores[2:3], scores) == small
