"""What best crops do to photos, worked by hand: what they gain, to whom, what they want, whom they lose."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from test_appeal import photo

from selfie_utils.analysis import crop_effects
from selfie_utils.analysis.best_crops import Album
from selfie_utils.analysis.crop_search import Tried
from selfie_utils.core.errors import SelfieError
from selfie_utils.model.scorer import Ratings
from selfie_utils.photos.faces import BOX
from selfie_utils.photos.images import ImageFolder

OWN, BLUR, NET = crop_effects.OWN, crop_effects.BLUR, crop_effects.NET
NOBODY = np.empty((0, 4))
RIGHT_HALF = [0.5, 0.0, 1.0, 1.0]


def album_of(images=None, truth=None, are_posts=True):
    return Album(images, [], truth, pd.DataFrame(), are_posts)


def crops_of(images, boxes=None, index=None):
    boxes = [RIGHT_HALF] * len(images) if boxes is None else boxes
    return pd.DataFrame(boxes, columns=BOX, index=index).assign(image=images)


def test_a_crop_loses_those_of_whom_less_than_half_is_left():
    left, right = [0.1, 0.4, 0.3, 0.6], [0.7, 0.4, 0.9, 0.6]
    heads = [np.array([left, right]), np.array([right, left]), np.array([left]), NOBODY]
    heads.append(np.array([left, left, right]))  # one of two others
    lost = crop_effects.whom_it_loses(np.tile([0.0, 0.2, 0.6, 0.8], (5, 1)), heads)
    assert lost["main"].astype(object).tolist() == [False, True, False, pd.NA, False]
    assert lost["another"].astype(object).tolist() == [True, False, pd.NA, pd.NA, True]


def test_losses_are_counted_by_group_with_known_photos_only():
    lost = pd.Series([True, False, pd.NA, True], dtype="boolean", index=[2, 0, 3, 1])
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


def test_a_photo_without_a_known_skin_tone_is_in_no_third_and_of_two_tones_there_are_none():
    posts = pd.DataFrame({"image": list("abcd")})
    truth = pd.DataFrame({"image": list("dcba"), "skin_tone": [9.0, 5, 2, 2]})
    groups = crop_effects.people(list("dxbc"), truth, posts)
    assert groups["skin tone"].fillna("?").tolist() == ["deeper skin", "?", "lighter skin", "middle"]
    assert crop_effects.people(list("dbax"), truth, posts).empty


def test_a_photo_that_was_posted_twice_moves_nobody_to_another_s_group():
    posts = pd.DataFrame({"image": list("abbc"), "presented_gender": ["male", "female", "female", "male"]})
    truth = pd.DataFrame({"image": list("abbc"), "skin_tone": [3.0, 1, 1, 2]})
    groups = crop_effects.people(pd.Series(list("bca"), index=[5, 0, 2]), truth, posts)
    assert groups["presented gender"].tolist() == ["female", "male", "male"]
    assert groups["skin tone"].tolist() == ["lighter skin", "middle", "deeper skin"]
    assert groups.index.tolist() == [0, 1, 2]


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

    class Astronaut:
        def read(self, name):
            out = io.BytesIO()
            Image.fromarray(data.astronaut()).save(out, "PNG")
            return out.getvalue() if name == "astronaut" else b"no photo"

    for known in (None, truth):  # also where the truth knows others only
        torn, found = crop_effects.heads_of(Astronaut(), ["torn", "astronaut"], known)
        assert torn.shape == (0, 4)
        assert len(found) >= 1 and 0.3 < found[0][[0, 2]].mean() < 0.55 and found[0][[1, 3]].mean() < 0.4


def test_the_gain_net_of_blur_is_what_the_blur_alone_does_not_explain():
    scores = {"score": [0.5, 0.25], "crop_score": [0.75, 0.375], "blurred_score": [0.625, 0.125]}
    crops = pd.DataFrame({**scores, "gain": [0.25, 0.125]}, index=[8, 3])
    found = crop_effects.gains(crops, pd.DataFrame({"other": [1.0, 2.0]}, index=[8, 3]))
    assert found.to_dict("list") == {OWN: [25, 12.5], BLUR: [12.5, -12.5], NET: [12.5, 25], "other": [1, 2]}
    assert found.index.tolist() == [8, 3]
    summary = crop_effects.summarise_gains(found)
    assert summary.index.tolist() == [OWN, BLUR, NET, "other"]
    # Of two values t is 12.706, and the standard error half of their distance.
    assert summary.loc["other"].tolist() == pytest.approx(
        [1.5, 1.5 - 12.706 / 2, 1.5 + 12.706 / 2, 2], abs=1e-3
    )


def test_judges_are_told_with_how_good_they_are_and_how_often_they_agree():
    found = pd.DataFrame({OWN: [2.0] * 4, BLUR: [1.0] * 4, NET: [7.0] * 4})
    found = found.assign(one=[1.0, 1, 1, -3], two=[-4.0] * 4)
    told = crop_effects.gains_in_words(found, {"one": 0.7, "two": 0.9})
    assert told.splitlines() == [
        "To the network the best crop gains **+2.00 points [+2.00 to +2.00]** per photo, of which blur alone "
        "would bring +1.00 points [+1.00 to +1.00].",
        "",
        "- *one* (AUC on posts: 0.70, chance is 0.50) sees **+0.00 points [-3.18 to +3.18]**, "
        "and has the same sign for 75% of the crops.",
        "- *two* (AUC on posts: 0.90, chance is 0.50) sees **-4.00 points [-4.00 to -4.00]**, "
        "and has the same sign for 0% of the crops.",
    ]  # the standard deviation of `one` is 2, its standard error 1, and t is 3.182


@pytest.fixture
def simulated():
    """The truth of three photos: of a, in the middle, of an empty one, and of b, at the left."""
    empty = photo(selfie=False, people=0).assign(head_boxes=[[]])
    empty[["face_share", "centre_x", "centre_y"]] = np.nan
    rows = [photo(), empty, photo([[0.1, 0.1, 0.3, 0.4]])]
    return pd.concat(rows, ignore_index=True).assign(image=["a", "n", "b"])


def test_planted_gains_are_those_of_the_crop_over_the_whole_photo(simulated):
    """Each head takes 0.2 of the width, which costs 12 (0.2 - 1/3)²; a woman has 0.5."""
    whole = 0.5 - 12 * (0.2 - 1 / 3) ** 2
    in_the_middle = 0.5 + 0.15 - 12 * (0.4 - 1 / 3) ** 2  # centred, twice as large; b's head is lost: 0
    boxes = {"best crop": np.array([[0.25, 0.1, 0.75, 0.6]] * 2), "any crop": np.array([[0.0, 0, 1, 1]] * 2)}
    found = crop_effects.planted_gain(album_of(truth=simulated), crops_of(["b", "a"], index=[4, 2]), boxes)
    assert list(found) == ["best crop", "any crop"]
    best = found["best crop"]
    assert best["whole"].tolist() == pytest.approx([whole, whole])
    assert best["crop"].tolist() == pytest.approx([0, in_the_middle])
    assert best["gain"].tolist() == pytest.approx([-whole, in_the_middle - whole])
    # What the whole photo shows: both heads at the top, for 0.15, a's centred, too.
    assert found["any crop"]["gain"].tolist() == pytest.approx([0.15, 0.3])
    assert crop_effects.planted_gain(album_of(), crops_of(["b"]), boxes) is None


@pytest.mark.parametrize(("sign", "correlation"), [(1, "1.00"), (-1, "-1.00")])
def test_planted_gains_are_told_of_photos_where_they_are_known(sign, correlation):
    gains = {"best crop": [1.0, 2, -1, np.nan, 0], "drawn by score": [3.0] * 5, "any crop": [-2.0] * 5}
    planted = {way: pd.DataFrame({"gain": values}) for way, values in gains.items()}
    found = pd.DataFrame({OWN: sign * np.array([3.0, 4, 1, 9 * sign, 2]), NET: 0.0})
    told = crop_effects.planted_in_words(planted, found)
    # Of four known ones two rise, not the one of 0: Wilson's interval of 2 of 4 is 15% to 85%.
    assert "It rises for **50%** [15% to 85%] of the photos" in told
    assert "changes by **+0.50 log-odds [-1.55 to +2.55]** for the best crop (+3.00 log-odds" in told
    others = (
        "+3.00 log-odds [+3.00 to +3.00] for a crop drawn by score, -2.00 log-odds [-2.00 to -2.00] for any"
    )
    assert f"({others} crop)" in told and f"correlate by {correlation} " in told
    assert crop_effects.planted_in_words(None, found) == ""


def test_metrics_have_the_gains_of_known_judges_and_the_planted_ones():
    found = pd.DataFrame({OWN: [2.0] * 3, BLUR: [9.0] * 3, NET: [-1.0] * 3, "other judge": [5.0] * 3})
    found["silent"] = np.nan
    planted = {
        "best crop": pd.DataFrame({"gain": [0.5, 0.5]}),
        "any crop": pd.DataFrame({"gain": [0.25] * 2}),
    }
    wanted = {"gain": 2, "gain_net_of_blur": -1, "other_judge": 5}
    for given, more in ((None, {}), (planted, {"planted_gain": 0.5, "planted_gain_of_any_crop": 0.25})):
        values = {f"{name}{end}": x for name, x in (wanted | more).items() for end in ("", "_low", "_high")}
        assert crop_effects.gain_metrics(found, given) == pytest.approx(values)


def post_table(count: int, first: list) -> pd.DataFrame:
    """Test posts whose labels alternate, after some of other labels; every photo has a name of its own."""
    labels = [*first, *(i % 2 for i in range(count))]
    return pd.DataFrame({"image": [f"{7 * i % 101}.png" for i in range(len(labels))]}).assign(
        label=pd.array(labels, "Int64")
    )


def test_who_teaches_a_second_judge_has_a_label_and_is_not_cropped():
    scores = post_table(4, [pd.NA, 1, pd.NA])  # labels: none, 1, none, 0, 1, 0, 1
    crops = crops_of([scores["image"][i] for i in (4, 1, 2)])
    assert crop_effects.jurors(scores, crops).tolist() == [3, 5, 6]


class Judge:
    """A judge whose fc7 of a post is its label, unknown of `broken` ones, and of pixels how red they are."""

    size = 24

    def __init__(self, scores, broken=()):
        self.labels, self.broken, self.asked = scores.set_index("image")["label"], broken, []

    def rate_named(self, images, names):
        self.asked.append(list(names))
        fc7 = self.labels[list(names)].to_numpy(float)
        fc7[[name in self.broken for name in names]] = np.nan
        return Ratings(fc7, fc7, fc7[:, None]), ["broken" if np.isnan(x) else "" for x in fc7]

    def rate(self, pixels):
        red = pixels[..., 0].mean((1, 2)) / 255
        return Ratings(red, red, red[:, None])


@pytest.fixture
def folder(tmp_path):
    """Oblong photos that are black at the left and red at the right, or the other way round."""
    for name, place in {"right.png": (60, 0), "left.png": (0, 0)}.items():
        half = Image.new("RGB", (120, 60))
        half.paste((255, 0, 0), (*place, place[0] + 60, 60))
        half.save(tmp_path / name)
    return ImageFolder(tmp_path)


def test_photos_and_crops_are_given_to_a_judge_as_they_are_seen(folder):
    before, after = crop_effects.pixels_of(folder, crops_of(["left.png", "right.png"]), 24)
    assert before.shape == after.shape == (2, 24, 24, 3)
    assert before[..., 0].mean((1, 2)).tolist() == pytest.approx([127.5, 127.5], abs=1)
    assert after[..., 0].mean((1, 2)).tolist() == pytest.approx([0, 255], abs=1)
    low = crops_of(["right.png"], [[0.75, 0.5, 1.0, 1.0]])  # the shares are of width and of height
    assert crop_effects.pixels_of(folder, low, 24)[1][0, ..., 0].min() == 255


def test_a_crop_has_the_whole_pixels_that_its_shares_are_nearest_to(tmp_path):
    """Of 96 px, 0.495 and 0.995 are 47.52 and 95.52: with the 48th px the black half would show."""
    half = Image.new("RGB", (96, 48))
    half.paste((255, 0, 0), (48, 0, 96, 48))
    half.save(tmp_path / "half.png")
    crops = crops_of(["half.png"], [[0.495, 0.0, 0.995, 1.0]])
    assert crop_effects.pixels_of(ImageFolder(tmp_path), crops, 24)[1][..., 0].min() == 255


@pytest.fixture
def case(folder):
    """Two crops, one redder and one blacker than its photo, and 40 labelled posts after these two."""
    scores = post_table(40, [0, 1])
    scores.loc[:1, "image"] = ["right.png", "left.png"]
    return folder, crops_of(["left.png", "right.png"], index=[9, 4]), scores


def test_a_judge_whose_features_are_known_learns_from_all_posts_that_are_not_cropped(case):
    """What is good is red; of the cropped posts the features say the opposite."""
    folder, crops, scores = case
    features = scores["label"].to_numpy(float)[:, None]
    features[:2] = [[50.0], [-50.0]]
    judge, turned = Judge(scores), Judge(scores)
    judges = {"red": (judge, features), "black": (turned, 1 - features)}
    gains, aucs = crop_effects.opinions(judges, album_of(folder), crops, scores, count=5)
    assert aucs == {"red": 1.0, "black": 1.0} and gains.index.tolist() == [9, 4]
    assert gains.loc[9, "red"] < -10 and gains.loc[4, "red"] > 10  # half red before, none and all after
    assert np.allclose(gains["black"], -gains["red"], atol=1e-6) and judge.asked == []


def test_a_judge_who_must_look_first_learns_from_the_photos_that_can_be_read(case):
    """The first ones cannot: labels counted from the beginning would be those of other posts."""
    folder, crops, scores = case
    judge = Judge(scores, broken=scores["image"][2:5].tolist())
    gains, aucs = crop_effects.opinions({"late": (judge, None)}, album_of(folder), crops, scores, count=99)
    assert aucs == {"late": 1.0} and gains.loc[9, "late"] < -10 and gains.loc[4, "late"] > 10


def test_a_judge_who_must_look_first_looks_at_so_many_that_are_drawn_by_the_seed(case):
    folder, crops, scores = case
    judge = Judge(scores)
    for seed in (1, 1, 2):
        crop_effects.opinions({"late": (judge, None)}, album_of(folder), crops, scores, 30, seed)
    one, again, other = judge.asked
    assert one == again and set(one) != set(other)
    assert len(set(one)) == len(set(other)) == 30 and not {*one, *other} & set(crops["image"])


def test_without_labels_of_both_kinds_no_judge_is_asked(case):
    folder, crops, scores = case
    judge = Judge(scores)
    few = scores.assign(label=[0, 1, *[0] * 9, *[1] * 31])
    for album, table in ((album_of(folder, are_posts=False), scores), (album_of(folder), few)):
        gains, aucs = crop_effects.opinions({"late": (judge, None)}, album, crops, table, 30)
        assert gains.index.tolist() == [9, 4] and not gains.size and not aucs and judge.asked == []


def test_what_a_second_judge_learned_by_heart_is_not_how_good_it_is():
    """In noise there is nothing to learn, however many features there are to remember."""
    features = np.random.default_rng(1).normal(size=(60, 40))
    labels = np.random.default_rng(2).permutation(60) % 2
    assert 0.25 < crop_effects.second_opinion(features, labels, features, features)[1] < 0.65


def test_a_second_judge_sees_what_is_good_however_small_its_feature_is():
    """Of 40 features as many as a quarter of the 40 posts count, the largest unless all are scaled."""
    rng, labels = np.random.default_rng(0), np.arange(40) % 2
    features = np.hstack([1000 * rng.normal(size=(40, 30)), np.tile(labels[:, None] / 1000, 10)])
    assert crop_effects.second_opinion(features, labels, features, features)[1] == 1


@pytest.mark.parametrize(("bad", "good", "enough"), [(10, 10, True), (9, 30, False), (30, 9, False)])
def test_a_second_opinion_takes_ten_of_each(bad, good, enough):
    labels = np.array([0] * bad + [1] * good)
    given = labels[:, None].astype(float), labels, np.zeros((1, 1)), np.ones((1, 1))
    if enough:
        gain, auc = crop_effects.second_opinion(*given)
        assert gain.shape == (1,) and gain[0] > 10 and auc == 1
    else:
        with pytest.raises(SelfieError, match="10 good and 10 bad posts"):
            crop_effects.second_opinion(*given)


@pytest.fixture
def tries():
    """As many crops at the left, of which the network thinks nothing, as perfect ones at the right."""
    return {"right.png": Tried(np.array([[0.0, 0, 0], [1, 1, 1]] * 16), np.array([1e-6, 1.0] * 16))}


def test_each_way_to_crop_has_a_box_of_each_photo(folder, tries):
    """Of 120 x 60 px the largest square is 60 px; the smallest has 36 px, which are 0.3 of the width."""
    crops = crops_of(["right.png"] * 40, [[0.1, 0.2, 0.3, 0.4]] * 40)
    ways = crop_effects.ways_to_crop(album_of(folder), crops, tries, 24, seed=0)
    assert list(ways) == ["best crop", "drawn by score", "any crop"]
    assert (ways["best crop"] == [0.1, 0.2, 0.3, 0.4]).all()
    assert (ways["drawn by score"] == [0.5, 0, 1, 1]).all()
    assert set(map(tuple, ways["any crop"])) == {(0.5, 0, 1, 1), (0, 0, 0.3, 0.6)}
    again, other = (crop_effects.ways_to_crop(album_of(folder), crops, tries, 24, seed) for seed in (0, 1))
    assert (again["any crop"] == ways["any crop"]).all() and (other["any crop"] != ways["any crop"]).any()


def test_crops_drawn_by_score_follow_the_seed(tries):
    even = {"a": Tried(tries["right.png"].numbers, np.full(32, 0.5))}
    one, again, other = (crop_effects.draw_by_score(even, ["a"] * 40, seed) for seed in (1, 1, 2))
    assert (one == again).all() and (one != other).any()


WANTED = ["face (% of the width)", "its middle (% from the left)", "its middle (% from the top)"]
LOST, CUT = "face lost (% of photos)", "forehead cut off (%)"


def test_what_crops_want_is_told_of_the_faces_that_they_keep(simulated):
    """The crop takes the top sixth of a's head, 0.05 of 0.3, and loses b's; nobody is on the one between."""
    crops = crops_of(["a", "n", "b"], [[0.3, 0.25, 0.8, 0.75], [0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1]])
    heads = [np.array([[0.4, 0.2, 0.6, 0.5]]), NOBODY, np.array([[0.1, 0.1, 0.3, 0.4]])]
    ways = {"best crop": crops[BOX].to_numpy(float)}
    table = crop_effects.what_it_wants(ways, album_of(truth=simulated), crops, heads)
    found = table.set_index(["way", "measure"])[["mean", "known"]]
    names = [*WANTED, LOST, CUT]
    # The heads are 0.2 wide; their middles are at (0.5, 0.35) and (0.2, 0.25).
    whole = dict(zip(names, [[20, 2], [35, 2], [30, 2], [0, 2], [0, 2]], strict=True))
    # Of the crop, half as wide, a's head takes 0.4, from (0.2, -0.1) to (0.6, 0.5). b's forehead is unknown.
    best = dict(zip(names, [[40, 1], [40, 1], [20, 1], [50, 2], [100, 1]], strict=True))
    for way, wanted in (("whole photo", whole), ("best crop", best)):
        for name in names:
            assert found.loc[(way, name)].tolist() == pytest.approx(wanted[name]), (way, name)
    lost = table[(table["way"] == "best crop") & (table["measure"] == LOST)].iloc[0]
    assert (lost["low"], lost["high"]) == pytest.approx((9.45, 90.55), abs=0.01)  # Wilson's of 1 of 2
    real = crop_effects.what_it_wants(ways, album_of(), crops, heads)
    assert real["measure"].unique().tolist() == [*WANTED, LOST] and len(real) == 2 * 4


def wants(*rows):
    """A table of wants: mean, low and high of best crops, the same of any crops, the mean of whole photos."""
    table = []
    for name, best, blind, whole in rows:
        for way, ends in (("whole photo", (whole, 0, 99)), ("best crop", best), ("any crop", blind)):
            known = 0 if np.isnan(ends[0]) else 9
            row = dict(zip(("mean", "low", "high"), ends, strict=True))
            table.append({"measure": name, "way": way, **row, "known": known})
    return pd.DataFrame(table)


def test_a_wish_is_told_where_intervals_lie_apart_on_either_side():
    nothing = (np.nan,) * 3
    told = crop_effects.wants_in_words(
        wants(
            ("more", (50, 41, 60), (30, 20, 40), 10), ("less", (30, 20, 39), (50, 40, 60), 10),
            ("same", (50, 40, 60), (30, 20, 40), 10), ("alike", (50, 25, 60), (49, 20, 70), 10),
            ("unseen", nothing, (49, 20, 70), 10), ("unknown", (49, 20, 70), nothing, 10),
        )
    )  # fmt: skip
    assert told.splitlines() == [
        "In the best crops, compared with any crops:",
        "",
        "- more: **50** [41 to 60], any crop 30, whole photo 10: a wish of the network's",
        "- less: **30** [20 to 39], any crop 50, whole photo 10: a wish of the network's",
        "- same: **50** [40 to 60], any crop 30, whole photo 10: no clear wish",
        "- alike: **50** [25 to 60], any crop 49, whole photo 10: no clear wish",
    ]


def test_losses_of_the_main_face_are_counted_by_group_and_of_others_together():
    left, right = [0.1, 0.4, 0.3, 0.6], [0.7, 0.4, 0.9, 0.6]
    heads = [np.array([left, right]), np.array([right]), np.array([left])]
    ways = {"best crop": np.array([[0.0, 0.2, 0.6, 0.8]] * 3), "any crop": np.array([RIGHT_HALF] * 3)}
    groups = pd.DataFrame({"skin tone": ["middle", "lighter skin", "deeper skin"]})
    main, another = crop_effects.losses(ways, heads, groups)
    # Of each way all first, then groups from light to deep, which is not their order in the alphabet.
    assert main["group"].tolist() == ["all", "lighter skin", "middle", "deeper skin"] * 2
    assert main["share"].tolist() == pytest.approx([1 / 3, 1, 0, 0, 2 / 3, 0, 1, 1])
    assert main["known"].tolist() == [3, 1, 1, 1] * 2 and main["way"].unique().tolist() == list(ways)
    assert another[["group", "way", "share", "known"]].to_numpy().tolist() == [
        ["all", "best crop", 1, 1], ["all", "any crop", 0, 1],
    ]  # fmt: skip


def lost(way, *rows):
    columns = ["group", "share", "low", "high", "known"]
    return pd.DataFrame([(*row, 9) for row in rows], columns=columns).assign(way=way)


@pytest.mark.parametrize(
    ("women", "men", "told"),
    [
        ((0.7, 0.41, 0.8), (0.3, 0.2, 0.4), "Groups differ clearly."),
        ((0.3, 0.2, 0.4), (0.7, 0.41, 0.8), "Groups differ clearly."),
        ((0.7, 0.4, 0.8), (0.3, 0.2, 0.4), "Groups do not differ clearly"),
        ((0.5, 0.2, 0.8), (0.5, 0.3, 0.7), "Groups do not differ clearly"),
    ],
)
def test_losses_are_told_by_way_and_groups_differ_where_their_intervals_lie_apart(women, men, told):
    """What counts is the first way; of the other one groups lie apart, as they do from all."""
    everybody = ("all", 0.06, 0.01, 0.1)
    best = lost("best crop", everybody, ("female", *women), ("male", *men))
    others = lost("any crop", ("all", 0.5, 0.4, 0.6), ("female", 0.9, 0.8, 1.0), ("male", 0.1, 0.0, 0.2))
    another = pd.concat(
        [lost("any crop", ("all", 0.5, 0.25, 0.75)), lost("best crop", ("all", 1.0, 0.9, 1.0))]
    )
    another["known"] = [9, 0]
    lines = crop_effects.losses_in_words(pd.concat([best, others]), another).splitlines()
    assert lines[:3] == [
        "- best crop: **6%** [1% to 10%] lose the main face.",
        "- any crop: **50%** [40% to 60%] lose the main face. Of photos with others, **50%** [25% to 75%] "
        "lose one of them.",
        "",
    ]
    assert len(lines) == 4 and lines[3].startswith(told)


@pytest.mark.parametrize("groups", [(), (("female", 0.1, 0.05, 0.2),)])
def test_of_one_group_alone_no_difference_is_told(groups):
    table = lost("best crop", ("all", 0.1, 0.05, 0.2), *groups)
    told = crop_effects.losses_in_words(table, lost("best crop", ("all", 0.2, 0.1, 0.4)))
    assert "\n" not in told and told.startswith("- best crop: **10%**")
