"""Known answers: what was planted is recovered where nothing else is at work, and told with its sign."""

import numpy as np
import pandas as pd
import pytest
from IPython.display import Markdown
from scipy.special import expit
from scipy.stats import t

from selfie_utils.analysis import planted
from selfie_utils.analysis.attributes import READABLE

N = 400
TONE, AGE = "skin tone (a standard deviation deeper)", "age (a standard deviation older)"


@pytest.mark.parametrize(
    ("presented", "forehead", "long_hair", "upward_hair"),
    [(None, 0.4, 0.3, 0.3), ("female", 0.4, 0.3, 0.0), ("male", 0.0, 0.0, 0.3)],
)
def test_tastes_for_one_gender_are_worth_nothing_to_the_other(presented, forehead, long_hair, upward_hair):
    effects = planted.planted_effects(presented)
    names = ("forehead cut off", "long hair", "hair combed upwards")
    assert tuple(effects[name] for name in names) == (forehead, long_hair, upward_hair)
    others = effects.keys() - set(names)
    assert {name: effects[name] for name in others} == {
        "presented gender: female": 0.5, "low light": -0.9, "black and white": 0.35, "faded filter": 0.3,
        "over-exposed face": 0.3, "white border": 0.45, "group shot": -0.7, "head too large": -0.5,
        "slightly tilted": 0.2, "centred": 0.15, "at the top": 0.15, "glasses": 0, "pout": 0, "hat": 0,
    }  # fmt: skip


def comparison(**verdicts):
    """What a gallery shows, by readable name with _ for spaces."""
    names = [name.replace("_", " ") for name in verdicts]
    table = {"share": 0.5, "low": 0.4, "high": 0.6, "base": 0.45, "verdict": list(verdicts.values())}
    return pd.DataFrame(table, index=names)


MIXED = comparison(
    low_light="more", a_hobby="more", glasses="less", white_border="more", hat="no clear difference",
    pout="more", group_shot="no clear difference", head_too_large="less", long_hair="less",
)  # fmt: skip
IDEAL = comparison(
    low_light="less", a_hobby="less", glasses="less", white_border="more", hat="no clear difference",
    pout="no clear difference", group_shot="less", head_too_large="no clear difference", long_hair="more",
).assign(share=0.9)  # fmt: skip


def test_verdicts_are_held_against_the_gallery_of_the_oracle():
    checked = planted.against_oracle(MIXED, IDEAL)
    assert checked["found"].to_dict() == {
        "white border": "as the oracle",
        "long hair": "against",
        "hat": "as the oracle",
        "glasses": "as the oracle",  # planted as nothing, and rare in the oracle's gallery too
        "pout": "made up",
        "head too large": "made up",
        "group shot": "not seen",
        "low light": "against",
    }
    assert checked["planted"].is_monotonic_decreasing and checked.loc["low light", "planted"] == -0.9
    assert checked.loc["hat", ["share", "oracle", "base", "verdict"]].tolist() == [
        0.5, 0.9, 0.45, "no clear difference"
    ]  # fmt: skip
    assert "planted" not in MIXED


@pytest.mark.parametrize(
    ("share", "found"), [(0.39, "made up"), (0.4, "as the oracle"), (0.6, "as the oracle")]
)
def test_a_difference_is_not_made_up_where_the_interval_holds_the_oracle_s_share(share, found):
    ideal = comparison(pout="no clear difference").assign(share=share)
    checked = planted.against_oracle(comparison(pout="more"), ideal)
    assert checked["found"].item() == found
    # What is not clear here and clear there is not seen, whatever the interval holds.
    unseen = planted.against_oracle(comparison(pout="no clear difference"), ideal.assign(verdict="more"))
    assert unseen["found"].item() == "not seen"


def test_effects_for_one_gender_say_so_unless_only_that_one_is_looked_at():
    seen = comparison(forehead_cut_off="more", upward_hair="more", hair_combed_upwards="less", hat="more")
    everybody = planted.as_text(planted.against_oracle(seen, seen))["planted effect"].to_dict()
    assert everybody == {
        "forehead cut off": "+0.40 (female)", "hair combed upwards": "+0.30 (male)", "hat": "+0.00"
    }  # fmt: skip
    males = planted.as_text(planted.against_oracle(seen, seen, "male"))["planted effect"].to_dict()
    assert males == {"forehead cut off": "+0.00", "hair combed upwards": "+0.30", "hat": "+0.00"}


def test_verdicts_are_formatted_for_a_reader():
    seen = comparison(low_light="less", glasses="more")
    table = planted.against_oracle(seen, comparison(glasses="less", low_light="less").assign(share=0.05))
    table.loc["low light", ["share", "base"]] = [0.123, 0.25]
    assert planted.as_text(table).T.to_dict("list") == {
        "glasses": ["+0.00", "50%", "5%", "45%", "more", "against"],
        "low light": ["-0.90", "12%", "5%", "25%", "less", "as the oracle"],
    }
    assert planted.as_text(table).columns.tolist() == [
        "planted effect", "share", "the oracle's", "base rate", "seen", "verdict"
    ]  # fmt: skip


def test_verdicts_are_counted_in_a_sentence():
    found = ["made up", "as the oracle", "not seen", "as the oracle", "not seen", "not seen"]
    assert planted.verdicts_in_words(pd.DataFrame({"found": found})) == (
        "**2 of 6** show as in the gallery of the oracle, 3 not seen, 1 made up."
    )
    all_right = pd.DataFrame({"found": ["as the oracle"] * 3})
    assert planted.verdicts_in_words(all_right) == "**3 of 3** show as in the gallery of the oracle."
    assert planted.verdicts_in_words(pd.DataFrame({"found": ["against"]})) == (
        "**0 of 1** show as in the gallery of the oracle, 1 against."
    )


def test_of_real_posts_one_sentence_says_that_nothing_was_planted():
    scores = pd.DataFrame({"post_id": ["a", "b"], "score": [0.1, 0.2]})
    ideal = planted.oracle_gallery(pd.DataFrame({"hat": [True, False]}), scores, None, 1)
    (told,) = planted.report(MIXED, ideal)
    assert isinstance(told, Markdown)
    assert told.data == "These posts are real: nobody planted anything, so there is no truth to compare with."


def test_of_simulated_posts_a_table_and_a_sentence_are_shown():
    table, told = planted.report(MIXED, IDEAL)
    assert table["verdict"].to_dict() == planted.against_oracle(MIXED, IDEAL)["found"].to_dict()
    assert (table["verdict"] == "as the oracle").sum() == 3
    assert isinstance(told, Markdown) and told.data.startswith("**3 of 8** show as in the gallery")


@pytest.mark.parametrize(("end", "hats"), [("best", 1.0), ("worst", 0.0)])
def test_the_oracle_s_gallery_is_the_one_by_true_appeal(end, hats):
    """The network likes hats least, the audience most: the oracle shows them, whatever the scores say."""
    ids = [f"p{i}" for i in range(40)]
    scores = pd.DataFrame({"post_id": ids, "user_id": ids, "score": np.linspace(0, 1, 40)})
    known = pd.DataFrame({"hat": [i < 10 for i in range(40)]})
    truth = pd.DataFrame({"post_id": ids[::-1], "appeal": np.arange(40.0)})  # p39 has the least
    ideal = planted.oracle_gallery(known, scores, truth, 10, end)
    assert ideal.loc["hat", ["share", "base"]].tolist() == [hats, 0.25]
    assert scores["score"].is_monotonic_increasing


def test_of_the_famous_group_its_place_is_told():
    rated = pd.DataFrame(
        {"name": ["Ann Inkwater", "The Famous Four", "Bo Dusk", "Cy Dusk"], "score": [0.9, 0.3, 0.2, 0.3]}
    )
    told = planted.fame_in_words(rated)
    assert told.startswith(planted.CELEBRITIES) and "The four stand at place **2** of 4." in told


def test_rank_correlation_is_spearmans_of_posts_matched_by_id():
    """Ranks of appeal 1 2 3 4 5, of the score 2 1 4 3 5: 1 - 6 (1 + 1 + 1 + 1) / (5 * 24) = 0.8."""
    truth = pd.DataFrame(
        {"post_id": ["p3", "p9", "p1", "p5", "p8", "p2"], "appeal": [30.0, 1e6, 1.0, 40.0, -7.0, 2.0]}
    )
    truth.loc[len(truth)] = ["unscored", 3.0]
    scores = pd.DataFrame({"post_id": ["p9", "p1", "p2", "p3", "p5"], "score": [0.9, 0.2, 0.1, 0.5, 0.4]})
    assert planted.rank_correlation(truth, scores) == pytest.approx(0.8)
    scores["score"] = -scores["score"]
    assert planted.rank_correlation(truth, scores) == pytest.approx(-0.8)


@pytest.fixture(scope="module")
def truth():
    """Simulated posts with every attribute, in mixed order; some have no face and one knows no age."""
    rng = np.random.default_rng(3)
    table = pd.DataFrame({column: rng.random(N) < 0.4 for column in READABLE})
    table["presented_gender"] = rng.choice(["female", "male"], N)
    table["skin_tone"], table["age"] = rng.uniform(1, 8, N), rng.uniform(18, 60, N)
    table["face_share"] = rng.uniform(0.2, 0.6, N)
    table.loc[:9, ["face_share", "skin_tone"]] = np.nan
    table.loc[7, "age"] = np.nan
    table["famous_group"] = table["group"] & (rng.random(N) < 0.2)
    table["post_id"] = [f"p{7 * i % 401}" for i in range(N)]
    return table.sample(frac=1, random_state=0)


def standardised(values):
    values = values.fillna(values.mean())
    return (values - values.mean()) / values.std()


def scores_of(truth, log_odds):
    """Score some of the posts, in another order than the truth."""
    table = truth[["post_id"]].assign(user_id=truth["post_id"], score=expit(log_odds))
    return table.sample(frac=1, random_state=5).reset_index(drop=True)


def test_a_network_with_known_tastes_is_read_exactly(truth):
    """Log-odds are a sum of tastes, one for each attribute: least squares finds them to many places."""
    female = truth["presented_gender"] == "female"
    only = {"forehead_cut": 0.21, "long_hair": 0.22, "upward_hair": 0.23}
    everyone = {c: 0.02 * (i + 1) - 0.15 for i, c in enumerate(READABLE) if c not in only}
    holds = truth[list(READABLE)].astype(float)
    holds["group"] *= ~truth["famous_group"]
    log_odds = 0.3 + 0.4 * female + sum(taste * holds[c] for c, taste in everyone.items())
    log_odds += sum(holds[c] * np.where(female, taste, -2 * taste) for c, taste in only.items())
    log_odds += 0.11 * standardised(truth["skin_tone"]) - 0.12 * standardised(truth["age"])
    log_odds -= 12 * (truth["face_share"].fillna(1 / 3) - 1 / 3) ** 2
    effects = planted.recover_effects(truth, scores_of(truth, log_odds), seed=0, draws=20)
    wanted = {READABLE[c]: taste for c, taste in everyone.items()}
    wanted |= {f"{READABLE[c]} (female)": taste for c, taste in only.items()}
    wanted |= {f"{READABLE[c]} (male)": -2 * taste for c, taste in only.items()}
    wanted |= {"presented gender: female": 0.4, TONE: 0.11, AGE: -0.12}
    assert effects["recovered"].to_dict() == pytest.approx(wanted, abs=1e-6)
    # Without noise every sample says the same.
    assert effects[["low", "high"]].to_numpy() == pytest.approx(
        np.stack([effects["recovered"]] * 2, axis=1), abs=1e-6
    )
    assert effects.columns.tolist() == ["planted", "recovered", "low", "high"]


def test_what_was_planted_stands_beside_what_was_recovered_the_strongest_first(truth):
    effects = planted.recover_effects(truth, scores_of(truth, 0.1 * truth["border"]), seed=0, draws=2)
    assert effects["planted"].is_monotonic_decreasing
    found = effects["planted"].to_dict()
    assert {name: effect for name, effect in found.items() if "male)" in name} == {
        "forehead cut off (female)": 0.4, "forehead cut off (male)": 0.0,
        "long hair (female)": 0.3, "long hair (male)": 0.0,
        "hair combed upwards (female)": 0.0, "hair combed upwards (male)": 0.3,
    }  # fmt: skip
    assert (found["low light"], found["group shot"], found[TONE], found[AGE]) == (-0.9, -0.7, 0, 0)
    assert found["presented gender: female"] == 0.5 and len(found) == len(READABLE) - 3 + 6 + 3


def test_what_all_or_none_have_is_left_out(truth):
    plain = truth.assign(hat=False, pout=True, skin_tone=4.0).drop(columns="famous_group")
    effects = planted.recover_effects(plain, scores_of(truth, 0.5 * truth["group"]), seed=0, draws=2)
    assert {"hat", "pout", TONE}.isdisjoint(effects.index) and "glasses" in effects.index
    assert effects.loc["group shot", "recovered"] == pytest.approx(0.5)  # no group is famous here


def test_certain_scores_count_as_one_in_a_million(truth):
    log_odds = np.where(truth["glasses"], np.inf, np.where(truth["hat"], -np.inf, 0.0))
    only = truth["glasses"] & truth["hat"]
    some = truth[~only]
    effects = planted.recover_effects(some, scores_of(some, log_odds[~only]), seed=0, draws=2)
    million = np.log((1 - 1e-6) / 1e-6)
    assert effects.loc["glasses", "recovered"] == pytest.approx(million)
    assert effects.loc["hat", "recovered"] == pytest.approx(-million)


def test_intervals_are_those_of_least_squares(truth):
    """For noise that is normal and alike for all, the bootstrap's intervals are Student's."""
    names = ["border", "glasses"]
    plain = truth.assign(**dict.fromkeys(set(READABLE) - set(names), False)).assign(
        presented_gender="male", skin_tone=1.0, age=30.0, face_share=1 / 3
    )
    noise = np.random.default_rng(4).normal(0, 0.5, N)
    log_odds = 0.8 * plain["border"] - 0.6 * plain["glasses"] + noise
    effects = planted.recover_effects(plain, scores_of(plain, log_odds), seed=0, draws=1500)
    design = np.column_stack([np.ones(N), plain[names].astype(float)])
    inverse = np.linalg.inv(design.T @ design)
    slopes = inverse @ design.T @ log_odds
    spread = np.sqrt(((log_odds - design @ slopes) ** 2).sum() / (N - 3) * np.diag(inverse))
    half = t.ppf(0.975, N - 3) * spread
    found = effects.loc[["white border", "glasses"]]
    assert found["recovered"].tolist() == pytest.approx(slopes[1:].tolist())
    assert ((found["high"] - found["low"]) / 2).tolist() == pytest.approx(half[1:].tolist(), rel=0.12)
    middle = (found["high"] + found["low"]) / 2
    assert middle.tolist() == pytest.approx(slopes[1:].tolist(), abs=0.2 * half[1:].max())
    assert found["planted"].tolist() == [0.45, 0] and len(effects) == 2


def test_samples_are_drawn_by_the_seed_and_as_many_as_asked_for(truth):
    noise = np.random.default_rng(4).normal(0, 0.5, N)
    scores = scores_of(truth, noise)
    one, again, other = (planted.recover_effects(truth, scores, seed=s, draws=9) for s in (1, 1, 2))
    assert one.equals(again) and not one["low"].equals(other["low"])
    assert one["recovered"].equals(other["recovered"])
    single = planted.recover_effects(truth, scores, seed=0, draws=1)
    assert single["low"].equals(single["high"])
    many = planted.recover_effects(truth, scores, seed=0)
    assert many.equals(planted.recover_effects(truth, scores, seed=0, draws=300))


def test_a_user_s_posts_count_together(truth):
    """Ten times the same posts are no more evidence, when they are the same users'."""
    noise = np.random.default_rng(4).normal(0, 0.5, N)
    scores = scores_of(truth, noise)
    tenfold = pd.concat([scores] * 10, ignore_index=True)
    once, again = (planted.recover_effects(truth, table, seed=0) for table in (scores, tenfold))
    # Posts of ten times as many users would have a third of the width; ages are scaled by N - 1.
    assert np.allclose(once, again, atol=1e-3)


def effects_table(**rows):
    """Rows of planted, low and high; what was recovered lies in the middle."""
    table = pd.DataFrame.from_dict(rows, orient="index", columns=["planted", "low", "high"])
    return table.assign(recovered=(table["low"] + table["high"]) / 2)


def test_an_effect_is_found_with_the_right_sign_and_an_interval_on_one_side_of_nothing():
    effects = effects_table(
        right=(0.5, 0.1, 0.9),
        harmful=(-0.5, -0.9, -0.1),
        harmful_too=(-0.2, -0.4, -0.3),
        unclear=(0.5, -0.1, 0.9),
        unclear_harm=(-0.5, -0.9, 0.1),
        against=(0.5, -0.9, -0.1),
        harm_liked=(-0.5, 0.1, 0.9),
        touching=(0.5, 0.0, 0.9),
        too=(0.1, 0.01, 0.02),
        hat=(0.0, -0.2, 0.3),
        pout=(0.0, 0.0, 0.3),
    )
    told = planted.recovery_in_words(effects, 0.456)
    assert told == (
        "Of the 9 planted effects **4** are found, with the right sign. 2 attributes mean nothing; the "
        "network makes nothing of them. The ranking correlates with the true appeal by **0.46** (1 is the "
        "oracle, 0 is chance)."
    )


def test_what_a_network_made_up_is_named():
    effects = effects_table(
        right=(0.5, 0.1, 0.9), hat=(0.0, 0.1, 0.3), pout=(0.0, -0.1, 0.3), glasses=(0.0, -0.3, -0.1)
    )
    told = planted.recovery_in_words(effects, -0.2)
    assert "3 attributes mean nothing; the network makes something of hat, glasses." in told
    assert "**1** are found" in told and "**-0.20**" in told
