"""What a crop changes of the planted truth, worked by hand."""

import numpy as np
import pandas as pd
import pytest

from selfie_utils.analysis.appeal import heads_kept, in_frame, true_appeal
from selfie_utils.posts.data_folder import DEMO, open_data, truth_beside

FLAGS = (
    *("upward_hair", "long_hair", "glasses", "sunglasses", "hat", "smile", "pout", "tilted", "centred"),
    *("at_top", "forehead_cut", "group", "large_head", "low_light", "black_and_white", "faded"),
    *("over_exposed", "border", "famous_group"),
)
HEAD = [0.4, 0.2, 0.6, 0.5]  # a fifth of the width, its middle at 0.5, 0.35


def photo(heads=(HEAD,), border="none", **holds):
    """The truth of one photo of a woman."""
    left, top, right, bottom = heads[0]
    row = {"selfie": True, "presented_gender": "female", "head_boxes": [list(h) for h in heads]}
    row |= dict.fromkeys(FLAGS, False) | {"border_kind": border, "border": border.startswith("white")}
    row |= {"face_share": right - left, "centre_x": (left + right) / 2, "centre_y": (top + bottom) / 2}
    row |= {"people": len(heads), "group": len(heads) > 1, **holds}
    table = pd.DataFrame([row])
    return table.assign(appeal=true_appeal(table))


def cropped(truth, *box):
    (row,) = in_frame(truth, np.array([box])).to_dict("records")
    return row


def test_a_closer_crop_has_a_larger_head_at_another_place():
    """Half the side: the head takes twice the share, from 0.2 to 0.4; its middle is at (0.5 - 0.25) / 0.5."""
    row = cropped(photo(), 0.25, 0.1, 0.75, 0.6)
    assert row["face_share"] == pytest.approx(0.4)
    assert (row["centre_x"], row["centre_y"]) == pytest.approx((0.5, 0.5))
    assert row["centred"] and not row["at_top"] and not row["large_head"] and not row["forehead_cut"]
    # female 0.5, centred 0.15; 12 lost per squared distance from a third
    assert row["appeal"] == pytest.approx(0.5 + 0.15 - 12 * (0.4 - 1 / 3) ** 2)


@pytest.mark.parametrize(("top", "cut"), [(0.22, False), (0.229, False), (0.231, True), (0.34, True)])
def test_a_forehead_is_cut_off_by_a_tenth_of_the_head(top, cut):
    """The head is 0.3 high, from 0.2: its tenth ends at 0.23."""
    assert cropped(photo(), 0.1, top, 0.6, top + 0.5)["forehead_cut"] is cut


def test_a_head_that_was_cut_stays_cut():
    assert cropped(photo(forehead_cut=True), 0.0, 0.0, 0.9, 0.9)["forehead_cut"] is True


@pytest.mark.parametrize(("left", "stays"), [(0.49, True), (0.51, False)])
def test_a_head_is_lost_with_more_than_half_of_it(left, stays):
    row = cropped(photo(smile=True, long_hair=True), left, 0.0, left + 0.45, 0.45 + 0.1)
    assert row["selfie"] is stays and row["people"] == int(stays) and row["smile"] is stays
    if not stays:
        assert row["appeal"] == 0 and np.isnan(row["face_share"]) and not row["long_hair"]


def test_what_the_photo_does_not_show_of_a_head_is_not_missed():
    """Half of this head lies beyond the photo's edge: a crop that shows the rest has lost nothing."""
    assert heads_kept([[-0.1, 0.4, 0.1, 0.6]], [0, 0, 0.7, 0.7]).tolist() == [True]
    assert heads_kept([[-0.1, 0.4, 0.1, 0.6]], [0.06, 0, 0.7, 0.7]).tolist() == [False]


def test_a_crop_that_leaves_the_others_out_shows_no_group():
    other = [0.7, 0.2, 0.9, 0.5]
    truth = photo((HEAD, other))
    both, alone = cropped(truth, 0.1, 0.0, 1.0, 0.9), cropped(truth, 0.2, 0.1, 0.7, 0.6)
    assert both["group"] and both["people"] == 2 and not alone["group"] and alone["people"] == 1
    # A group costs 0.7; together they are centred and at the top, 0.15 each, the head 0.2 / 0.9 of the width.
    assert both["appeal"] == pytest.approx(0.5 - 0.7 + 0.3 - 12 * (0.2 / 0.9 - 1 / 3) ** 2)
    assert alone["appeal"] == pytest.approx(0.5 - 12 * (0.2 / 0.5 - 1 / 3) ** 2)
    gone = cropped(truth, 0.62, 0.1, 1.0, 0.48)
    assert not gone["selfie"] and gone["people"] == 1 and np.isnan(gone["appeal"])  # whose face, nobody knows


def test_the_famous_group_is_famous_only_whole():
    truth = photo((HEAD, [0.7, 0.2, 0.9, 0.5], [0.1, 0.2, 0.3, 0.5]), famous_group=True)
    assert cropped(truth, 0.0, 0.0, 1.0, 1.0)["famous_group"]
    two = cropped(truth, 0.35, 0.0, 1.0, 0.65)
    assert two["people"] == 2 and two["group"] and not two["famous_group"]


def test_a_border_is_one_where_two_facing_edges_are_left():
    """A white frame is 0.06 wide; at 0.03 of a crop it is still seen."""
    frame, bars = photo(border="white"), photo(border="white_bars")
    assert cropped(frame, 0.03, 0.03, 0.97, 0.97)["border"]  # 0.03 of 0.94 at all sides
    assert not cropped(frame, 0.04, 0.04, 0.96, 0.96)["border"]
    assert not cropped(frame, 0.0, 0.0, 0.6, 0.6)["border"]  # at the top and at the left alone
    assert cropped(bars, 0.05, 0.0, 0.95, 1.0)["border"]
    assert not cropped(photo(border="black"), 0, 0, 1, 1)["border"]  # only white ones are liked


def test_the_whole_frame_changes_nothing_of_the_embedded_posts():
    truth = pd.read_parquet(truth_beside(open_data(DEMO).posts)).drop(columns="description")
    whole = in_frame(truth, np.tile([0.0, 0, 1, 1], (len(truth), 1)))
    assert np.allclose(whole["appeal"], truth["appeal"])
    pd.testing.assert_frame_equal(whole.drop(columns="appeal"), truth.drop(columns="appeal"))


def test_a_still_life_stays_one():
    truth = pd.concat([photo(), photo()], ignore_index=True)
    truth.loc[1, ["selfie", "people"]] = [False, 0]
    truth.at[1, "head_boxes"] = None
    rows = in_frame(truth, np.tile([0.1, 0.1, 0.9, 0.9], (2, 1)))
    assert rows["selfie"].tolist() == [True, False] and rows["appeal"][1] == 0
