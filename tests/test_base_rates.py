"""Shares and their verdicts: planted differences are found, absent ones are not."""

import numpy as np
import pandas as pd
import pytest

from selfie_utils import base_rates, planted
from selfie_utils.attributes import READABLE

N = 2000


@pytest.fixture(scope="module")
def world():
    """Scores that like borders, dislike the dark and don't care for glasses."""
    rng = np.random.default_rng(1)
    known = pd.DataFrame({name: rng.random(N) < 0.3 for name in ("white border", "low light", "glasses")})
    score = 1 / (1 + np.exp(-(1.0 * known["white border"] - 1.0 * known["low light"] + rng.normal(0, 1, N))))
    scores = pd.DataFrame({"post_id": [f"p{i}" for i in range(N)], "score": score})
    return known.astype("boolean"), scores


def test_the_best_show_what_scores_like(world):
    known, scores = world
    top = scores.nlargest(200, "score")
    table = base_rates.compare(known, scores, top)
    assert table["verdict"].to_dict() == {
        "white border": "more",
        "low light": "less",
        "glasses": "no clear difference",
    }
    exact = known["white border"][scores["post_id"].isin(top["post_id"])].mean()
    assert table.loc["white border", "share"] == pytest.approx(exact)
    assert table.loc["white border", "times"] == pytest.approx(exact / known["white border"].mean())


def test_a_blind_choice_shows_no_difference_19_times_of_20(world):
    known, scores = world
    rng = np.random.default_rng(2)
    verdicts = [
        base_rates.compare(known, scores, scores.iloc[rng.choice(N, 200, replace=False)])["verdict"]
        for _ in range(60)
    ]
    clear = np.mean([v != "no clear difference" for one in verdicts for v in one])
    assert clear < 0.08


def test_unknown_values_count_neither_way():
    known = pd.Series([True, False, None, None], dtype="boolean")
    got = base_rates.share(known)
    assert got["share"] == 0.5 and got["known"] == 2
    assert np.isnan(base_rates.share(known[2:])["share"])


def test_bands_are_equal_and_run_from_best_to_worst(world):
    known, scores = world
    bands = base_rates.share_by_band(known["white border"], scores, 5)
    assert bands["known"].tolist() == [400] * 5 and bands["share"].is_monotonic_decreasing
    assert ((bands["low"] < bands["share"]) & (bands["share"] < bands["high"])).all()


def test_percentiles_are_shares_of_the_crowd():
    crowd = pd.Series([0.1, 0.2, 0.3, 0.4])
    assert base_rates.percentile(crowd, pd.Series([0.05, 0.25, 0.9])).tolist() == [0, 0.5, 1]


def test_words_escape_names_from_the_data(world):
    known, scores = world
    comparison = base_rates.compare(known.rename(columns={"glasses": "<script>x"}), scores, scores.head(50))
    assert "<script>" not in base_rates.in_words(comparison, "these")


def test_planted_verdicts():
    names = ["white border", "low light", "glasses", "group shot"]
    comparison = pd.DataFrame(
        {
            "share": 0.5,
            "low": 0.4,
            "high": 0.6,
            "base": 0.5,
            "verdict": ["more", "more", "less", "no clear difference"],
        },
        index=names,
    )
    found = planted.against_planted(comparison)["found"].to_dict()
    assert found == {
        "white border": "as planted",
        "low light": "against",
        "glasses": "made up",
        "group shot": "not seen",
    }
    at_the_end = planted.against_planted(comparison, end="worst")["found"]
    assert at_the_end["low light"] == "as planted" and at_the_end["white border"] == "against"


def test_a_cut_forehead_is_worth_nothing_for_males():
    comparison = pd.DataFrame(
        {"share": 0.5, "low": 0.4, "high": 0.6, "base": 0.5, "verdict": ["no clear difference"]},
        index=["forehead cut off"],
    )
    assert planted.against_planted(comparison)["found"].item() == "not seen"
    assert planted.against_planted(comparison, presented="male")["found"].item() == "as planted"


def a_truth(n=N):
    rng = np.random.default_rng(3)
    truth = pd.DataFrame({column: rng.random(n) < 0.3 for column in READABLE})
    truth["presented_gender"] = rng.choice(["female", "male"], n)
    truth["skin_tone"], truth["face_share"] = rng.uniform(1, 8, n), rng.uniform(0.2, 0.6, n)
    truth["age"], truth["famous_group"] = rng.uniform(18, 60, n), False
    truth["post_id"], truth["appeal"] = [f"p{i}" for i in range(n)], rng.normal(size=n)
    return truth


def test_effects_of_a_network_are_recovered():
    truth = a_truth()
    taste = 0.8 * truth["border"] - 0.5 * truth["group"] + 0.6 * truth["glasses"]
    score = 1 / (1 + np.exp(-(taste + np.random.default_rng(4).normal(0, 0.3, N))))
    effects = planted.recover_effects(truth, truth[["post_id"]].assign(score=score), seed=0)
    assert effects.loc["white border", "recovered"] == pytest.approx(0.8, abs=0.05)
    assert effects.loc["group shot", "recovered"] == pytest.approx(-0.5, abs=0.05)
    assert effects.loc["glasses", "planted"] == 0 and effects.loc["glasses", "low"] > 0.5
    inside = (effects["low"] <= effects["recovered"]) & (effects["recovered"] <= effects["high"])
    assert inside.all() and "glasses" in planted.recovery_in_words(effects, 0.5)


def test_rank_correlation_is_one_for_the_oracle():
    truth = a_truth(50)
    scores = truth[["post_id"]].assign(score=truth["appeal"].rank() / 51).sample(frac=1, random_state=0)
    assert planted.rank_correlation(truth, scores) == pytest.approx(1)
