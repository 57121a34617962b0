"""The pointing game, by hand: where targets are, what maps point at, and how often that is a hit."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from selfie_utils.analysis import pointing
from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import open_images, tile
from selfie_utils.posts.data_folder import open_data

HEADS = [[0.25, 0.2, 0.5, 0.6], [0.6, 0.3, 0.8, 0.7]]


def row(image="a.jpg", **changes) -> dict:
    """What the truth says of a plain selfie of one person, or of another photo."""
    plain = {"image": image, "selfie": True, "border": False, "border_kind": "none", "forehead_cut": False}
    plain |= {"presented_gender": "female", "group": False, "famous_group": False}
    return plain | {"head_boxes": HEADS[:1], "face_boxes": [[0.3, 0.3, 0.5, 0.6]]} | changes


def boxes_of(name: str, of: dict) -> list:
    return next(target for target in pointing.TARGETS if target.name == name).boxes(of)


def test_a_mask_holds_the_pixels_whose_middle_lies_in_a_box():
    mask = pointing.mask_of([(0.25, 0.0, 0.75, 0.25), (0.9, 0.9, 2.0, 2.0)], 10)
    wanted = np.zeros((10, 10), bool)
    wanted[:2, 2:7] = True  # middles at 0.05, 0.15 and 0.25 to 0.65
    wanted[9, 9] = True
    assert (mask == wanted).all()


@pytest.mark.parametrize(
    ("kind", "area"),
    [("white", 1 - 0.88**2), ("white_bars", 0.28), ("white_sides", 0.28), ("none", 0)],
)
def test_a_border_is_as_large_as_it_was_drawn(kind, area):
    mask = pointing.mask_of(boxes_of("border", row(border_kind=kind)), 500)
    assert mask.mean() == pytest.approx(area, abs=0.005)
    assert not mask[100:400, 100:400].any()


def test_the_borders_are_those_of_the_photos():
    """In embedded photos that have one the border's pixels are white; JPEG softens its inner edge."""
    data = open_data("demo")
    truth = pd.read_parquet(data.posts.parent / "truth.parquet")
    some, photos = truth[truth["border"]].groupby("border_kind").head(3), open_images(data.images)
    assert some["border_kind"].nunique() == 3
    for one in some.to_dict("records"):
        pixels = np.asarray(tile(photos, one["image"], 128))
        mask = pointing.mask_of(pointing.border(one), 128)
        assert (pixels[mask].min(1) > 235).mean() > 0.9


def test_the_forehead_line_lies_under_the_edge_that_cuts_the_head():
    """A head from -0.1 to 0.3: the edge is at 0, or at 0.14 under a bar; a quarter of 0.4 below it."""
    head = [[0.3, -0.1, 0.6, 0.3]]
    assert boxes_of("forehead line", row(head_boxes=head)) == [(0.3, 0, 0.6, pytest.approx(0.1))]
    barred = boxes_of("forehead line", row(head_boxes=head, border_kind="white_bars"))
    assert barred == [(0.3, 0.14, 0.6, pytest.approx(0.24))]


def test_other_heads_are_all_but_the_first():
    assert boxes_of("other heads", row(head_boxes=HEADS)) == [tuple(HEADS[1])]


def test_a_map_points_at_its_highest_its_lowest_or_its_strongest():
    one = np.zeros((20, 20))
    one[3, 4], one[10, 15] = 1.0, -2.0
    assert [pointing.points_at(one, speaks) for speaks in (1, -1, 0)] == [(3, 4), (10, 15), (10, 15)]


def test_of_a_flat_top_the_middle_counts_and_other_tops_do_not():
    one = np.zeros((20, 20))
    one[0:5, 0:7] = 1.0  # as a coarse map's corner
    one[15, 15] = 0.9999
    assert pointing.points_at(one, 1) == (2, 3)


@pytest.fixture
def game():
    """Three bordered photos and two plain ones; the first two maps point at the border, the third inside.

    One of the plain ones points at the edge, too: what borders get by luck.
    """
    chosen = [row(f"{i}.jpg", border=True, border_kind="white", target="border") for i in range(3)]
    chosen += [row(f"{i}.jpg", target="face") for i in (3, 4)]
    maps = np.zeros((5, 50, 50))
    for i, (y, x) in enumerate([(0, 20), (49, 3), (25, 25), (1, 1), (20, 20)]):
        maps[i, y, x] = 1.0
    return pd.DataFrame(chosen), {"a method": maps}


def test_hits_are_counted_by_hand(game):
    hits = pointing.count_hits(pointing.play(*game))
    border = hits.loc[("border", "a method")]
    assert (border["photos"], border["share"]) == (3, pytest.approx(2 / 3))
    area = 1 - 44**2 / 50**2
    assert border["base"] == pytest.approx(area) and border["times"] == pytest.approx(2 / 3 / area)
    # Of two plain photos one: Wilson's interval of 1 of 2 ends at 90.5%.
    assert border["elsewhere_high"] == pytest.approx(binomtest(1, 2).proportion_ci(0.95, "wilson").high)
    assert border["elsewhere"] == 0.5 and border["energy"] == pytest.approx(2 / 3 / area)
    assert border["low"] < 2 / 3 < border["high"]
    face = hits.loc[("face", "a method")]  # from 0.3 to 0.5 and to 0.6: 0.06 of the photo
    assert (face["share"], face["base"]) == (0.5, pytest.approx(0.06))
    assert face["elsewhere"] == pytest.approx((0 + 1 / 4) / 2)  # all have a face: of four others one, or none


def test_words_say_how_many_rows_found_their_target(game):
    hits = pointing.count_hits(pointing.play(*game))
    hits[["times", "low", "base", "elsewhere_high"]] = [[3.0, 0.5, 0.2, 0.4], [2.0, 0.3, 0.2, 0.4]]
    told = pointing.in_words(hits)
    assert "**2 of 2** rows" in told and "in 2 the interval" in told and "In 1 it also" in told
    text = pointing.as_text(hits)
    assert text["hits"].tolist() == ["67%", "50%"] and "other photos there" in text
    named = pointing.as_metrics(hits)
    assert (
        named["points_at border a method"] == pytest.approx(2 / 3)
        and named["times_area border a method"] == 3
    )
    assert named["elsewhere border a method"] == hits["elsewhere"].iloc[0]


def test_photos_are_chosen_for_each_target_by_what_they_show():
    rows = [row(f"b{i}", border=True, border_kind="white") for i in range(5)]
    rows += [row("f", forehead_cut=True), row("m", forehead_cut=True, presented_gender="male")]
    rows += [row("g", group=True), row("famous", group=True, famous_group=True), row("n", selfie=False)]
    truth = pd.DataFrame(rows)
    images = truth["image"][truth["image"] != "b0"]
    chosen = pointing.choose_photos(truth, images, 3, seed=0)
    counts = chosen["target"].value_counts().to_dict()
    assert counts == {"border": 3, "forehead line": 1, "face": 3, "other heads": 1}
    assert set(chosen.loc[chosen["target"] == "border", "image"]) <= {"b1", "b2", "b3", "b4"}
    assert chosen.loc[chosen["target"] == "other heads", "image"].tolist() == ["g"]
    assert "n" not in set(chosen["image"])
    again = pointing.choose_photos(truth.iloc[::-1], images, 3, seed=0)
    assert again["image"].tolist() == chosen["image"].tolist()  # whatever the order of the table
    others = [pointing.choose_photos(truth, images, 3, seed)["image"].tolist() for seed in range(5)]
    assert len(set(map(tuple, others))) > 1


def test_no_photo_is_told_in_a_sentence():
    with pytest.raises(SelfieError, match="0 photos"):
        pointing.choose_photos(pd.DataFrame([row()]), pd.Series(["a.jpg"]), 0, seed=0)
