"""Shares and their verdicts: worked by hand on a few posts, planted differences found and absent ones not."""

from html import escape

import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest

from selfie_utils.analysis import base_rates

N = 2000


@pytest.fixture(scope="module")
def liked():
    """Scores that like borders, dislike the dark and don't care for glasses."""
    rng = np.random.default_rng(1)
    known = pd.DataFrame({name: rng.random(N) < 0.3 for name in ("white border", "low light", "glasses")})
    score = 1 / (1 + np.exp(-(1.0 * known["white border"] - 1.0 * known["low light"] + rng.normal(0, 1, N))))
    scores = pd.DataFrame({"post_id": [f"p{i}" for i in range(N)], "score": score})
    scores["user_id"] = scores["post_id"]  # each has posted once
    return known.astype("boolean"), scores


def wilson(true, total):
    """Return the ends of Wilson's interval by scipy."""
    found = binomtest(true, total).proportion_ci(method="wilson")
    return found.low, found.high


def test_the_best_show_what_scores_like(liked):
    known, scores = liked
    table = base_rates.compare(known, scores, scores.nlargest(200, "score"))
    assert table["verdict"].to_dict() == {
        "white border": "more",
        "glasses": "no clear difference",
        "low light": "less",
    }


def test_a_blind_choice_shows_no_difference_19_times_of_20(liked):
    known, scores = liked
    rng = np.random.default_rng(2)
    verdicts = [
        base_rates.compare(known, scores, scores.iloc[rng.choice(N, 200, replace=False)])["verdict"]
        for _ in range(30)
    ]
    clear = np.mean([v != "no clear difference" for one in verdicts for v in one])
    assert clear < 0.08


def test_a_share_is_told_in_percent_with_its_interval_or_not_at_all():
    found = {"share": 0.617, "low": 0.502, "high": 0.7, "known": 9}
    assert base_rates.share_in_words(found, "are good") == "**62%** [50% to 70%] are good."
    assert "Nobody has said" in base_rates.share_in_words(found | {"known": 0}, "are good")


def test_a_share_becomes_three_metrics_or_none():
    found = {"share": 0.6, "low": 0.5, "high": 0.7, "known": 9}
    assert base_rates.as_metrics("good", found) == {"good": 0.6, "good_low": 0.5, "good_high": 0.7}
    assert base_rates.as_metrics("good", found | {"known": 0}) == {}


def test_chosen_posts_are_found_by_their_ids_and_compared_with_all():
    """Of ten posts three are chosen; ids, rows and both indexes stand in different orders."""
    ids = [f"p{i}" for i in (7, 31, 2, 19, 11, 5, 3, 23, 13, 17)]
    scores = pd.DataFrame({"post_id": ids, "score": 0.5}, index=np.arange(10)[::-1] + 40)
    scores["user_id"] = scores["post_id"]
    has = {
        "rare": ["p31"],  # one of three, one of ten: + 0.23
        "common": ["p31", "p2", "p5", "p3", "p23", "p13"],  # two of three, six of ten: + 0.07
        "shunned": ["p7", "p11", "p5", "p3", "p23", "p13"],  # none of three, six of ten
        "nobody": [],
        "everybody": ids,
    }
    known = pd.DataFrame({name: [i in some for i in ids] for name, some in has.items()}).astype("boolean")
    known.loc[0, "rare"] = pd.NA  # of p7 it is not known
    chosen = pd.DataFrame({"post_id": ["p17", "p31", "p2"]}, index=[3, 0, 1])
    table = base_rates.compare(known, scores, chosen)
    assert table.index.tolist() == ["rare", "common", "shunned"]  # nobody and everybody set nobody apart
    assert table.index.name == "attribute"
    assert table["share"].tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert table["base"].tolist() == pytest.approx([1 / 9, 6 / 10, 6 / 10])
    assert table["times"].tolist() == pytest.approx([3, 10 / 9, 0])
    assert table.loc["rare", ["low", "high"]].tolist() == pytest.approx(wilson(1, 3))
    assert table["verdict"].tolist() == ["no clear difference"] * 2 + ["less"]


def test_where_no_attribute_varies_there_is_nothing_to_compare_and_that_is_said():
    scores = pd.DataFrame({"post_id": ["a", "b", "c"], "score": 0.5})
    scores["user_id"] = scores["post_id"]
    known = pd.DataFrame({"all": [True] * 3, "none": [False] * 3, "unknown": [None, None, True]})
    for some in (known.astype("boolean"), known[[]]):
        table = base_rates.compare(some, scores, scores.head(1))
        assert table.empty and {"share", "low", "high", "base", "verdict"} <= set(table)
        assert base_rates.in_words(table, "the best post") == base_rates.NOTHING


def test_posts_of_one_user_are_no_evidence_of_their_own():
    """Of eight chosen users with ten posts each six wear a hat in all: six of eight, not sixty of eighty."""
    scores = pd.DataFrame({"post_id": range(100), "score": 0.5, "user_id": np.arange(100) % 10})
    known = pd.DataFrame({"hat": scores["user_id"].isin([0, 1, 2, 3, 4, 5])}, dtype="boolean")
    chosen = scores[scores["user_id"] < 8]  # six of eight users: 75%, of all 60%
    found = base_rates.compare(known, scores, chosen).loc["hat"]
    assert found[["low", "high"]].tolist() == pytest.approx(wilson(6, 8), abs=0.02)
    assert found["verdict"] == "no clear difference"
    alone = base_rates.compare(known, scores.assign(user_id=range(100)), chosen).loc["hat"]
    assert alone[["low", "high"]].tolist() == pytest.approx(wilson(60, 80)) and alone["verdict"] == "more"
    bands = base_rates.share_by_band(known["hat"], scores.assign(score=-scores["user_id"]), 2)
    assert bands[["low", "high"]].to_numpy() == pytest.approx(
        np.array([wilson(5, 5), wilson(1, 5)]), abs=0.05
    )


@pytest.mark.parametrize("per_user", [1, 10])
def test_what_users_keep_to_does_not_turn_luck_into_findings(per_user):
    """Scores and hats are each a habit of users, and know nothing of each other."""
    rng, told = np.random.default_rng(0), []
    for _ in range(60):
        users = np.repeat(np.arange(1000 // per_user), per_user)
        known = pd.DataFrame(
            {i: rng.random(1000 // per_user)[users] < 0.4 for i in range(5)}, dtype="boolean"
        )
        score = rng.normal(size=1000 // per_user)[users] + rng.normal(size=1000)
        scores = pd.DataFrame({"post_id": range(1000), "user_id": users, "score": score})
        found = base_rates.compare(known, scores, scores.nlargest(100, "score"))["verdict"]
        told += (found != "no clear difference").tolist()
    assert np.mean(told) < 0.09  # by posts alone it is a quarter with ten posts a user


@pytest.mark.parametrize(
    ("true", "verdict"), [(9, "more"), (8, "no clear difference"), (2, "no clear difference"), (1, "less")]
)
def test_a_difference_is_clear_where_the_interval_leaves_out_the_base_rate(true, verdict):
    """Of ten chosen and ten others, ten have it: half. Wilson's interval of 8 of 10 is 49% to 94%."""
    low, high = wilson(true, 10)
    assert (low > 0.5, high < 0.5) == (verdict == "more", verdict == "less")
    has = [True] * true + [False] * (10 - true)
    known = pd.DataFrame({"hat": has + [not one for one in has]}, dtype="boolean")
    scores = pd.DataFrame({"post_id": list("abcdefghijklmnopqrst"), "score": 0.5})
    scores["user_id"] = scores["post_id"]
    assert base_rates.compare(known, scores, scores.head(10))["verdict"].item() == verdict


def test_bands_are_as_equal_as_can_be_where_posts_cannot_be_divided():
    """Eleven posts in five bands: three in the best, two in each other one. Ties are ranked by post_id."""
    ids = ["k", "b", "g", "a", "f", "i", "c", "e", "d", "j", "h"]
    score = [0.5 if post in "cdefghi" else 0.9 if post in "ab" else 0.1 for post in ids]
    scores = pd.DataFrame({"post_id": ids, "score": score}, index=np.arange(11)[::-1])
    scores["user_id"] = scores["post_id"]
    has = pd.Series([post in ("b", "e", "f", "g", "k") for post in ids], dtype="boolean")
    has[ids.index("i")] = pd.NA
    bands = base_rates.share_by_band(has, scores)
    # abc, de, fg, hi, jk
    assert bands["band"].tolist() == [1, 2, 3, 4, 5]
    assert bands["known"].tolist() == [3, 2, 2, 1, 2]
    assert bands["share"].tolist() == pytest.approx([1 / 3, 1 / 2, 1, 0, 1 / 2])
    assert bands.loc[0, ["low", "high"]].tolist() == pytest.approx(wilson(1, 3))


def test_bands_are_as_many_as_asked_for_also_for_fewer_posts():
    scores = pd.DataFrame({"post_id": list("abc"), "score": [0.1, 0.2, 0.3]})
    scores["user_id"] = scores["post_id"]
    bands = base_rates.share_by_band(pd.Series([True, False, False]), scores, 4)
    assert bands["band"].tolist() == [1, 2, 3, 4] and bands["known"].tolist() == [1, 1, 1, 0]
    assert bands["share"].tolist()[:3] == [0, 0, 1]
    halves = base_rates.share_by_band(pd.Series([True, False, False]), scores, 2)
    assert halves["share"].tolist() == [0, 1]


def test_a_comparison_is_told_by_verdict_with_escaped_names():
    comparison = pd.DataFrame(
        {
            "share": [0.5, 0.255, 0.3, 0.1, 0.2],
            "low": [0.4, 0.2, 0.21, 0.05, 0.1],
            "high": [0.6, 0.312, 0.4, 0.15, 0.3],
            "base": [0.3, 0.1, 0.3, 0.333, 0.2],
            "verdict": ["more", "more", "no clear difference", "less", "no clear difference"],
        },
        index=["hat", "<script>x", "pout & smile", "<b>", "glasses"],
    )
    assert base_rates.in_words(comparison, "these") == (
        "Compared with the whole test set, these show\n\n"
        "- **more of** hat (50% [40% to 60%], base rate 30%); "
        "&lt;script&gt;x (26% [20% to 31%], base rate 10%)\n"
        "- **less of** &lt;b&gt; (10% [5% to 15%], base rate 33%)\n"
        "- **no clear difference** in pout &amp; smile, glasses"
    )
    close = comparison[comparison["verdict"] == "no clear difference"]
    assert base_rates.in_words(close.head(1), "those", "all men") == (
        "Compared with all men, those show\n\n- **more of** nothing in particular\n"
        f"- **less of** nothing in particular\n- **no clear difference** in {escape(close.index[0])}"
    )
