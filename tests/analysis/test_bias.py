"""Groups of people: scores, errors, calibration and differences, worked out by hand."""

import numpy as np
import pandas as pd
import pytest

from selfie_utils.analysis import bias

# Of each group of 40: score, label, and how many posts have them.
HAND = {
    "female": [(0.8, 1, 20), (0.6, 0, 10), (0.4, 1, 4), (0.2, 0, 6)],
    "male": [(0.6, 1, 8), (0.6, 0, 4), (0.3, 0, 20), (0.3, 1, 8)],
}


@pytest.fixture
def posts():
    """Eighty posts in mixed order: scores, and who is in them."""
    rows = [(g, s, y) for g, parts in HAND.items() for s, y, count in parts for _ in range(count)]
    table = pd.DataFrame(rows, columns=["presented_gender", "score", "label"])
    table["user_id"] = [f"u{i // 2}" for i in range(80)]
    table = table.sample(frac=1, random_state=3).reset_index(drop=True)
    return table[["score", "label", "user_id"]], table[["presented_gender"]]


def test_scores_and_errors_of_each_group_are_worked_out_by_hand(posts):
    scores, known = posts
    table = bias.by_group(scores, bias.groups_of(known, ["presented_gender"]), seed=0).set_index("group")
    women, men = table.loc["female"], table.loc["male"]
    assert (women["posts"], women["score"]) == (40, pytest.approx((16 + 6 + 1.6 + 1.2) / 40))
    assert (women["good"], women["accuracy"]) == pytest.approx((24 / 40, 26 / 40))
    assert (women["bad_called_good"], women["good_called_bad"]) == pytest.approx((10 / 16, 4 / 24))
    assert women["gap"] == pytest.approx(24.8 / 40 - 24 / 40)
    assert (men["bad_called_good"], men["good_called_bad"]) == pytest.approx((4 / 24, 8 / 16))
    assert men["score"] == pytest.approx(15.6 / 40) and men["gap"] == pytest.approx(-0.4 / 40)
    text = bias.groups_as_text(bias.by_group(scores, bias.groups_of(known, ["presented_gender"]), seed=0))
    assert text.loc["presented gender: female", "labelled good"] == "60%"
    assert text.loc["presented gender: female", "score - good"].startswith("+2.0\u00a0±\u00a0")
    assert women["low"] < women["accuracy"] < women["high"]
    assert women["gap_low"] < women["gap"] < women["gap_high"]


def test_a_difference_is_held_against_that_of_the_labels(posts):
    """Scores differ by 24.8 / 40 - 15.6 / 40, labels by 24 / 40 - 16 / 40: 0.2 of 0.23 was there already."""
    scores, known = posts
    groups = bias.groups_of(known, ["presented_gender"])
    found = bias.differences(scores, groups, simulated=True, seed=0).loc["presented_gender"]
    assert found["between"] == "male minus female"
    assert found["score"] == pytest.approx(-0.23) and found["good"] == pytest.approx(-0.2)
    assert found["in_labels"] == pytest.approx(20 / 23) and found["planted"] == -0.5
    told = bias.in_words(found.to_frame().T, ["presented_gender"])
    assert "**-23.0 points**" in told and "87% of the network's difference was in the labels already" in told
    assert "; -0.5 log-odds were planted." in told
    real = bias.differences(scores, groups, simulated=False, seed=0)
    assert "planted" not in real and "planted" not in bias.in_words(real, ["presented_gender"])


@pytest.mark.parametrize(("labels", "share"), [(lambda s: s > 0.5, 1.0), (lambda s: s < 0.5, 0.0)])
def test_the_part_in_the_labels_is_a_share_of_0_to_1(posts, labels, share):
    scores, known = posts
    scores = scores.assign(label=labels(scores["score"]).astype(int))
    found = bias.differences(scores, bias.groups_of(known, ["presented_gender"]), False, seed=0)
    assert found["in_labels"].item() == share


def test_where_there_may_be_no_difference_nothing_is_a_share_of_it(posts):
    scores, known = posts
    mixed = known.sample(frac=1, random_state=0).reset_index(drop=True)
    found = bias.differences(scores, bias.groups_of(mixed, ["presented_gender"]), False, seed=0)
    assert np.isnan(found["in_labels"].item())
    assert "in_labels_presented_gender" not in bias.as_metrics(found)
    assert bias.as_metrics(found)["score_gap_presented_gender"] == found["score"].item()


def test_without_labels_only_scores_are_told(posts):
    scores, known = posts
    groups = bias.groups_of(known, ["presented_gender"])
    unlabelled = scores.assign(label=np.nan)
    assert "good" not in bias.by_group(unlabelled, groups, seed=0)
    assert list(bias.groups_as_text(bias.by_group(unlabelled, groups, seed=0))) == ["posts", "score"]
    told = bias.in_words(bias.differences(unlabelled, groups, False, 0), ["presented_gender"])
    assert "mean score differs" in told and "label" not in told


def test_numbers_are_cut_into_thirds_in_the_order_of_their_size():
    known = pd.DataFrame({"age": np.r_[np.arange(2.0, 92.0), np.full(10, 100.0), [np.nan] * 2]})
    groups = bias.groups_of(known, ["age"])["age"]
    scores = pd.DataFrame({"score": 0.5, "label": 1, "user_id": np.arange(102).astype(str)})
    table = bias.by_group(scores, {"age": groups}, seed=0)
    assert table["group"].tolist() == ["2.0 to 35.0", "36.0 to 68.0", "69.0 to 100.0"]
    assert table["posts"].tolist() == [34, 33, 33] and groups.isna().sum() == 2
    found = bias.differences(scores, {"age": groups}, True, seed=0)
    assert found["between"].item() == "69.0 to 100.0 minus 2.0 to 35.0" and found["planted"].item() == 0


def test_small_groups_single_ones_and_texts_of_all_kinds_are_left_out():
    known = pd.DataFrame(
        {
            "presented_gender": ["female"] * 30 + ["male"] * 30 + ["other"] * 29,
            "age": ["unknown"] * 89,
            "skin_tone": np.r_[np.zeros(60), np.ones(29)],
            "city": [f"city {i}" for i in range(89)],
        }
    )
    groups = bias.groups_of(known, ["presented_gender", "age", "skin_tone", "city", "missing"])
    assert list(groups) == ["presented_gender"]
    assert groups["presented_gender"].value_counts().to_dict() == {"female": 30, "male": 30}


def test_what_nobody_annotated_is_said_in_a_sentence():
    told = bias.in_words(pd.DataFrame(), ["age", "skin_tone"])
    assert (
        told.startswith("- Of age and skin tone these posts say nothing, or too little") and "\n" not in told
    )
