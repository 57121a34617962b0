"""Best crops of photos: found as pixels decide, told with intervals, and counted by whom they lose."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.analysis import best_crops, crop_effects
from selfie_utils.analysis.crop_search import Tried
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


def test_a_crop_loses_those_of_whom_less_than_half_is_left():
    left, right = [0.1, 0.4, 0.3, 0.6], [0.7, 0.4, 0.9, 0.6]
    heads = [np.array([left, right]), np.array([right, left]), np.array([left]), np.empty((0, 4))]
    lost = crop_effects.whom_it_loses(np.tile([0.0, 0.2, 0.6, 0.8], (4, 1)), heads)
    assert lost["main"].astype(object).tolist() == [False, True, False, pd.NA]
    assert lost["another"].astype(object).tolist() == [True, False, pd.NA, pd.NA]


def test_losses_are_counted_by_group_with_known_photos_only():
    lost = pd.Series([True, False, pd.NA, True], dtype="boolean")
    groups = pd.DataFrame({"presented gender": ["male", "female", "female", None]})
    table = crop_effects.losses_by_group({"best": lost, "any": ~lost}, groups).set_index(["way", "group"])
    assert table.loc[("best", "all"), ["share", "known"]].tolist() == pytest.approx([2 / 3, 3])
    assert table.loc[("best", "female"), ["share", "known"]].tolist() == [0, 1]
    assert table.loc[("any", "male"), ["share", "known"]].tolist() == [0, 1]
    assert (table["low"] <= table["share"]).all() and (table["share"] <= table["high"]).all()


def test_groups_are_told_only_where_something_is_known():
    truth = pd.DataFrame({"image": list("abcdef"), "skin_tone": [1.0, 6, 3, 2, 5, 4]})
    posts = pd.DataFrame({"image": list("abc"), "presented_gender": ["male", None, "female"]})
    groups = crop_effects.people(list("fab"), truth, posts)
    assert groups["presented gender"].isna().tolist() == [True, False, True]
    assert groups["skin tone"].tolist() == ["middle", "lighter skin", "deeper skin"]
    assert crop_effects.people(["a"], None, posts[["image"]]).shape[1] == 0


def test_crops_drawn_by_score_follow_the_odds():
    """Scores 0.5 and 0.75 have the odds 1 and 3: three of four draws take the second."""
    numbers = np.array([[0.1, 0.2, 0.3], [0.4, 0.5, 0.6]] * 16 + [[1.0, 1, 1]] * 8)
    tries = {str(i): Tried(numbers, np.array([0.5, 0.75] * 16 + [0.99] * 8)) for i in range(2000)}
    drawn = crop_effects.draw_by_score(tries, list(tries), seed=0)
    assert set(map(tuple, drawn)) == {(0.1, 0.2, 0.3), (0.4, 0.5, 0.6)}  # the later ones are no even spread
    assert (drawn[:, 0] == 0.4).mean() == pytest.approx(0.75, abs=0.03)
    assert (crop_effects.draw_blindly(tries, list(tries))[:, 0] == 0.4).mean() == pytest.approx(0.5, abs=0.04)


def test_a_head_in_a_crop_is_told_in_shares_of_the_crop():
    boxes = np.array([[0.25, 0.25, 0.75, 0.75], [0.0, 0.0, 0.2, 0.2]])
    table = crop_effects.frames(boxes, [np.array([[0.4, 0.3, 0.6, 0.6]])] * 2)
    assert table.loc[0].tolist() == pytest.approx([0.4, 0.5, 0.4]) and table.loc[1].isna().all()


def test_a_mean_is_told_with_its_interval_and_unit():
    assert crop_effects.mean_in_words(np.array([1.0, 1.0])) == "+1.00 points [+1.00 to +1.00]"
    told = crop_effects.mean_in_words(np.array([1.0, 2.0, 3.0, np.nan]), "log-odds")
    assert told == "+2.00 log-odds [-0.48 to +4.48]"  # 2 plus or minus 4.303 / sqrt 3


def test_a_second_judge_sees_a_real_gain_and_none_in_noise():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    features = rng.normal(0, 1, (400, 20))
    features[:, 3] += 2 * labels  # what is good shows here
    before = rng.normal(0, 1, (200, 20))
    after = before.copy()
    after[:, 3] += 2
    gain, auc = crop_effects.second_opinion(features, labels, before, after)
    assert auc > 0.85 and gain.mean() > 25 and gain.std() < gain.mean()
    after = before.copy()
    after[:, 5] += 2  # a change that means nothing
    assert abs(crop_effects.second_opinion(features, labels, before, after)[0].mean()) < 6
    with pytest.raises(SelfieError, match="10 good and 10 bad"):
        crop_effects.second_opinion(features[:19], labels[:19], before, after)


def test_heads_come_from_the_truth_else_from_the_detector():
    from skimage import data

    truth = pd.DataFrame({"image": ["a", "b"], "head_boxes": [[[0.1, 0.2, 0.3, 0.4]], None]})
    heads = crop_effects.heads_of(None, ["b", "a"], truth)
    assert heads[0].shape == (0, 4) and heads[1].tolist() == [[0.1, 0.2, 0.3, 0.4]]

    class One:
        def read(self, name):
            import io

            out = io.BytesIO()
            Image.fromarray(data.astronaut()).save(out, "PNG")
            return out.getvalue()

    (found,) = crop_effects.heads_of(One(), ["astronaut"], None)
    assert len(found) >= 1 and 0.3 < found[0][[0, 2]].mean() < 0.55 and found[0][[1, 3]].mean() < 0.4


@pytest.mark.parametrize(("count", "named"), [(1, "d"), (2, "da"), (3, "dba"), (9, "dba")])
def test_searches_are_compared_on_photos_from_the_largest_gain_to_the_middle_one(count, named):
    cropped = pd.DataFrame({"image": list("abcde"), "gain": [0.1, 0.2, 0.0, 0.3, 0.05]})
    assert best_crops.most_to_gain(cropped, count) == list(named)
    with pytest.raises(SelfieError, match="0 photos were asked for, expected 1 or more"):
        best_crops.most_to_gain(cropped, 0)
