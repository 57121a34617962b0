"""The article's rules: in its order, of what is known of posts, and with the columns somebody asks for."""

import numpy as np
import pandas as pd
import pytest

from selfie_utils.analysis.rules import ASKED, DO, DONT, RULES, Rule, applying, describe, own_rules
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder

N = 40


@pytest.fixture
def scores():
    """Scored posts under shuffled, gapped ids."""
    ids = [f"p{7 * i % 41}" for i in range(N)]
    images = [f"{name}.jpg" for name in ids]
    return pd.DataFrame({"post_id": ids, "image": images, "user_id": ids, "score": 0.5, "label": 1})


@pytest.fixture
def simulated(scores, tmp_path):
    """A run of simulated posts, whose truth stands in another order."""
    rng = np.random.default_rng(0)
    truth = scores[["post_id", "image"]].copy()
    for name in ("glasses", "border", "group", "smile", "forehead_cut"):
        truth[name] = rng.random(N) < 0.5
    truth["famous_group"] = truth["group"] & (np.arange(N) % 3 == 0)
    truth["presented_gender"] = rng.choice(["female", "male"], N)
    truth["skin_tone"], truth["age"] = rng.uniform(1, 8, N), rng.uniform(18, 60, N)
    truth["face_share"] = [1 / 3, 1 / 2, 1 / 3 + 0.2, 0.9, np.nan] + [0.3] * (N - 5)
    truth["light"] = rng.choice(["sun", "low", "lamp"], N)
    truth["appeal"], truth["likes"] = 1.0, np.arange(N)
    run = RunFolder(tmp_path)
    run.write_table("truth", truth.sample(frac=1, random_state=1))
    run.write_table("posts", scores.drop(columns=["score", "label"]))
    return run, truth


@pytest.fixture
def real(scores, tmp_path):
    """A run of real posts: measures of the photos, and annotations that somebody made."""
    run = RunFolder(tmp_path)
    measured = scores[["image"]].assign(border=False, forehead_cut=np.arange(N) % 2 == 0, face_width=0.85 / 2)
    measured.loc[0, "border"] = True
    run.write_table("attributes", measured.sample(frac=1, random_state=1))
    posts = scores.drop(columns=["score", "label"]).assign(
        wearing_glasses=pd.array([True, False, None, True] * 10, "boolean"),
        mood=["calm", "merry", "calm", None] * 10,
        city=[f"city {i}" for i in range(N)],
        height=np.arange(N) * 10.0,
        hat=[True, False] * 20,
    )
    run.write_table("posts", posts.sample(frac=1, random_state=2))
    return run


def test_rules_stand_in_the_article_s_order_and_words():
    do = [rule.words for rule in RULES if rule.section == DO]
    starts = ["Be female", "Face should occupy about 1/3", "Cut off your forehead", "Show your long hair"]
    starts += ["Oversaturate the face", "Put a filter on it", "Add a border"]
    places = [next(i for i, words in enumerate(do) if words.startswith(start)) for start in starts]
    assert places == sorted(places)
    assert [rule.words for rule in RULES if rule.section == DONT] == [
        "Take selfies in low lighting", "Frame your head too large", "Take group shots"
    ]  # fmt: skip
    assert len({rule.words for rule in RULES}) == len(RULES)


def test_what_was_planted_is_what_the_data_card_says():
    planted = {rule.words: rule.planted for rule in RULES}
    assert planted["Be female"] == 0.5 and planted["Take group shots"] == -0.7
    assert planted["Cut off your forehead (women)"] == 0.4 and planted["Cut off your forehead (men)"] == 0
    assert planted["Hair combed upwards (men)"] == 0.3 and planted["Glasses"] == 0
    assert planted["Deeper skin (three steps of eight)"] == 0
    # 12 per squared share of the width, from a half to a third: 12 / 36.
    assert planted["Face should occupy about 1/3 of the image (not 1/2)"] == pytest.approx(1 / 3)


def test_of_simulated_posts_the_truth_is_told(simulated, scores):
    run, truth = simulated
    known = describe(run, scores)
    assert known["glasses"].tolist() == truth["glasses"].astype(float).tolist()
    assert known["female"].tolist() == (truth["presented_gender"] == "female").astype(float).tolist()
    assert known["group"].tolist() == (truth["group"] & ~truth["famous_group"]).astype(float).tolist()
    assert known["skin"].tolist() == pytest.approx((truth["skin_tone"] / 3).tolist())
    assert known["age"].tolist() == truth["age"].tolist()
    assert {"likes", "appeal", "user_id"}.isdisjoint(known)


def test_one_more_of_a_third_leads_from_a_half_to_a_third(simulated, scores):
    """0 at a third, -1 at a half; at a third + 0.2 it is -0.04 * 36, and beyond it falls no further."""
    third = describe(simulated[0], scores)["third"]
    assert third[:4].tolist() == pytest.approx([0, -1, -1.44, -1.44]) and np.isnan(third[4])


def test_of_real_posts_measures_and_annotations_are_told(real, scores):
    known = describe(real, scores)
    assert known["border"].tolist() == [1.0] + [0.0] * (N - 1)
    assert known["hat"].tolist() == [1.0, 0.0] * 20  # what somebody annotated under the name of an attribute
    assert known["third"].tolist() == pytest.approx([-1] * N)  # of faces 0.425 wide, heads are a half
    assert {"female", "skin", "glasses"}.isdisjoint(known)
    assert known["wearing_glasses"].tolist()[:2] == [True, False]


def test_only_rules_are_judged_that_something_is_known_of(real, simulated, scores):
    known = describe(simulated[0], scores)
    words = [rule.words for rule in applying(RULES, known)]
    assert "Cut off your forehead (women)" in words and "Cut off your forehead (men)" in words
    assert "A pout" not in words and "Glasses" in words
    ungendered = known.drop(columns=["female", "presented_gender"])
    rules = {rule.words: rule for rule in applying(RULES, ungendered)}
    assert "Cut off your forehead" in rules and rules["Cut off your forehead"].only is None
    assert "Face should occupy about 1/3 of the image (not 1/2)" in rules
    assert not [name for name in rules if "men)" in name] and rules["Cut off your forehead"].section == DO
    assert "Glasses" not in [rule.words for rule in applying(RULES, known.assign(glasses=0.0))]


def test_a_rule_that_goes_on_with_the_words_of_another_stands_alone_without_that(simulated, scores):
    flags = {"faded": [1.0, 0.0] * 20, "black_and_white": [0.0, 1.0] * 20, "tilted": [0.0, 1.0] * 20}
    known = describe(simulated[0], scores).assign(**flags)
    words = [rule.words for rule in applying(RULES, known)]
    assert {"Put a filter on it: faded", "… black and white", "… slightly tilted"} <= set(words)
    without = [rule.words for rule in applying(RULES, known.drop(columns=["faded", "third"]))]
    assert {"Black and white", "Slightly tilted"} <= set(without)
    assert not [words for words in without if "…" in words]
    only = [rule.words for rule in applying(RULES, known.drop(columns=["faded", "female"]))]
    assert "… slightly tilted" in only and "Black and white" in only


def annotated(run, **columns):
    """The run with more annotations, each of so many values in turn."""
    posts = run.read_table("posts")
    more = {name: [values[i % len(values)] for i in range(N)] for name, values in columns.items()}
    run.write_table("posts", posts.assign(**more))
    return run


@pytest.mark.parametrize("values", [["yes", "no"], ["Yes ", "NO", None], ["1", "-1"], [1, 0], [True, False]])
@pytest.mark.parametrize("name", ["glasses", "pout", "tilted", "long_hair"])
def test_an_annotation_named_as_a_rule_keeps_it_where_it_says_yes(real, scores, name, values):
    posts = annotated(real, **{name: values}).read_table("posts").set_index("post_id")[name]
    known = describe(real, scores)
    assert known[name].dtype == "float64" and name in {rule.column for rule in applying(RULES, known)}
    wanted = posts.reindex(scores["post_id"]).map({values[0]: 1.0, values[1]: 0.0, None: np.nan})
    assert known[name].tolist() == pytest.approx(wanted.tolist(), nan_ok=True)


@pytest.mark.parametrize(
    "values", [["round", "none", "square"], ["round", "square"], [3, 12, 40], [1, 0, -1], ["f", "m"]]
)
@pytest.mark.parametrize("name", ["glasses", "tilted", "female"])
def test_an_annotation_named_as_a_rule_that_says_more_than_yes_and_no_keeps_none(real, scores, name, values):
    known = describe(annotated(real, **{name: values}), scores)
    assert name not in {rule.column for rule in applying(RULES, known)}
    assert own_rules(name, known)[0], "it can be asked about"


@pytest.mark.parametrize("values", [["female", "male"], ["Female", " MALE"], ["f", "m"], ["w", "m"]])
def test_gender_is_read_in_any_writing(real, scores, values):
    run = annotated(real, presented_gender=values)
    said = run.read_table("posts").set_index("post_id")["presented_gender"].reindex(scores["post_id"])
    assert describe(run, scores)["female"].tolist() == (said == values[0]).tolist()


def test_a_question_that_is_answered_by_yes_and_no_is_one_rule(real, scores):
    rules, known = own_rules("braces", describe(annotated(real, braces=["no", "Yes"]), scores))
    assert [rule.words for rule in rules] == ["braces"] and sorted(known["braces"].unique()) == [0, 1]


@pytest.mark.parametrize(
    ("ask", "names"),
    [
        (None, []), ("", []), ([], []),
        ("wearing_glasses", ["wearing glasses"]),
        (["mood", "wearing_glasses", "mood"], ["mood: calm", "wearing glasses"]),
        ("height", ["height (a standard deviation more)"]),
    ],
)  # fmt: skip
def test_an_annotation_that_is_asked_for_becomes_a_rule(real, scores, ask, names):
    before = describe(real, scores)
    rules, known = own_rules(ask, before)
    assert [rule.words for rule in rules] == names and all(rule.section == ASKED for rule in rules)
    assert set(known) == set(before) | set(names)


def test_flags_words_and_numbers_become_numbers(real, scores):
    _, known = own_rules(["wearing_glasses", "mood", "height"], describe(real, scores))
    assert known["wearing glasses"].tolist()[:4] == pytest.approx([1, 0, np.nan, 1], nan_ok=True)
    assert known["mood: calm"].tolist()[:4] == pytest.approx([1, 0, 1, np.nan], nan_ok=True)
    one_more = known["height (a standard deviation more)"]
    assert (one_more.mean(), one_more.std()) == pytest.approx((0, 1))


def test_each_of_three_words_becomes_a_rule(simulated, scores):
    rules, _ = own_rules("light", describe(simulated[0], scores))
    assert [rule.words for rule in rules] == ["light: lamp", "light: low", "light: sun"]


def test_what_has_a_row_already_is_not_asked_twice(simulated, scores):
    known = describe(simulated[0], scores)
    assert own_rules(["glasses", "presented_gender", "skin_tone"], known)[0] == ()
    assert own_rules("smile", known)[0] == (Rule("smile", ASKED, "smile", twin="smile"),)


def test_an_unknown_column_is_answered_with_a_guess_and_free_text_is_refused(real, scores):
    known = describe(real, scores)
    with pytest.raises(
        SelfieError, match=r"no annotation 'wearing_glases': did you mean 'wearing_glasses'\?"
    ):
        own_rules("wearing_glases", known)
    with pytest.raises(
        SelfieError, match="city has 40 different texts, expected a flag, a number or up to five"
    ):
        own_rules(["city"], known)
