"""The table of rules: a scorer's known tastes are recovered in every column, and told as they are."""

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from selfie_utils.analysis import rule_table
from selfie_utils.analysis.planted import REAL
from selfie_utils.analysis.rule_table import DONE, EQUAL, RENDERED, SEEN
from selfie_utils.analysis.rules import ASKED, DO, DONT, Rule

N = 900
RULES = (
    Rule("Be female", DO, "female"),
    Rule("Forehead (women)", DO, "forehead_cut", "female", ("forehead cut", 0.2)),
    Rule("Border", DO, "border", None, ("white border", 0.05)),
    Rule("Low light", DONT, "low_light", None, ("low light", 2.0), "light"),
    Rule("Glasses", ASKED, "glasses", twin="glasses"),
    Rule("Forehead (men)", ASKED, "forehead_cut", "male", ("forehead cut", 0.2)),
)


@pytest.fixture(scope="module")
def posts():
    """Posts whose log-odds are a sum of tastes, without noise: known attributes and scores."""
    rng = np.random.default_rng(1)
    known = pd.DataFrame({"presented_gender": rng.choice(["female", "male"], N)})
    female = known["presented_gender"] == "female"
    known["female"] = female.astype(float)
    known["forehead_cut"] = (rng.random(N) < 0.3).astype(float)
    # Borders go with females and glasses with borders: seen alone, each borrows from the other.
    known["border"] = (rng.random(N) < np.where(female, 0.6, 0.2)).astype(float)
    known["glasses"] = (rng.random(N) < np.where(known["border"] == 1, 0.6, 0.2)).astype(float)
    known["low_light"] = (rng.random(N) < 0.2).astype(float)
    odds = 0.5 * female + 0.3 * known["border"] - 0.4 * known["low_light"] - 0.1
    odds += 0.2 * known["forehead_cut"] * female
    scores = pd.DataFrame({"post_id": [f"p{7 * i % 907}" for i in range(N)], "score": expit(odds)})
    return known, scores.assign(user_id=rng.integers(0, 300, N).astype(str))


def column(table, name):
    return table[table["column"] == name].set_index("rule")["effect"]


def test_all_else_being_equal_the_tastes_come_out_exactly(posts):
    found = column(rule_table.observe(RULES, *posts, seed=0, draws=20), EQUAL)
    assert found.to_dict() == pytest.approx(
        {"Be female": 0.5, "Forehead (women)": 0.2, "Border": 0.3, "Low light": -0.4, "Glasses": 0,
         "Forehead (men)": 0}, abs=1e-9,
    )  # fmt: skip


def test_seen_is_the_difference_of_means_with_what_travels_along(posts):
    known, scores = posts
    table = rule_table.observe(RULES, known, scores, seed=0, draws=200)
    seen, odds = column(table, SEEN), np.log(scores["score"] / (1 - scores["score"]))
    has = known["glasses"] == 1
    assert seen["Glasses"] == pytest.approx(odds[has].mean() - odds[~has].mean()) and seen["Glasses"] > 0.1
    women = known["presented_gender"] == "female"
    cut = known["forehead_cut"] == 1
    assert seen["Forehead (women)"] == pytest.approx(odds[women & cut].mean() - odds[women & ~cut].mean())
    assert table.set_index(["rule", "column"]).loc[("Forehead (women)", SEEN), "count"] == women.sum()


def test_rare_attributes_and_unknown_posts_are_left_out(posts):
    known, scores = posts
    rare = known.assign(border=(np.arange(N) < 9).astype(float))
    assert "Border" not in rule_table.observe(RULES, rare, scores, 0, 20)["rule"].tolist()
    enough = known.assign(border=(np.arange(N) < 10).astype(float))
    assert "Border" in rule_table.observe(RULES, enough, scores, 0, 20)["rule"].tolist()
    gaps = known.assign(glasses=known["glasses"].where(np.arange(N) % 2 == 0))
    table = rule_table.observe(RULES, gaps, scores, 0, 20).set_index(["rule", "column"])
    assert table.loc[("Glasses", SEEN), "count"] == N / 2 and table.loc[("Glasses", EQUAL), "count"] == N


@pytest.fixture(scope="module")
def edited(posts):
    """Every fifth post with a border (+0.3), less light (-0.4), and a cut forehead: women's +0.2."""
    known, scores = posts
    some = scores.iloc[::5].reset_index(drop=True)
    women = (known["presented_gender"].iloc[::5] == "female").to_numpy()
    parts = []
    for edit, dose, change in (
        ("white border", 0.05, 0.3), ("white border", 0.2, 9.0), ("low light", 2.0, -0.4),
        ("forehead cut", 0.2, 0.2 * women), ("shifted by a pixel", 1.0, 0.05),
    ):  # fmt: skip
        parts.append(some.assign(edit=edit, dose=dose, before=0.1, after=0.1 + change))
    return pd.concat(parts, ignore_index=True)


def test_done_is_the_mean_change_of_photos_that_had_it_not(posts, edited):
    known, scores = posts
    table = rule_table.do(RULES, known, scores, edited, seed=0, draws=20).set_index("rule")
    assert table["effect"].to_dict() == pytest.approx(
        {"Border": 0.3, "Low light": -0.4, "Forehead (women)": 0.2, "Forehead (men)": 0}, abs=1e-9
    )
    fifth = known.iloc[::5]
    assert table.loc["Border", "count"] == (fifth["border"] == 0).sum()
    women = fifth["presented_gender"] == "female"
    assert table.loc["Forehead (women)", "count"] == (women & (fifth["forehead_cut"] == 0)).sum()


@pytest.fixture(scope="module")
def twins():
    scenes = [str(i) for i in range(12)]
    light = pd.DataFrame({"scene": scenes, "change": "light", "before": 0.5, "after": -0.1, "planted": -0.9})
    glasses = light.assign(change="glasses", after=0.5 + 0.01 * np.resize([-1, 1], 12), planted=0.0)
    few = light.head(9).assign(change="group")
    return pd.concat([light, glasses, few], ignore_index=True).assign(presented_gender="female")


def test_re_rendered_is_the_mean_over_scenes_of_what_there_are_ten_of(twins):
    rules = (*RULES, Rule("Group", DONT, "group", twin="group"))
    table = rule_table.render(rules, twins, seed=0, draws=50).set_index("rule")
    assert table["effect"].to_dict() == pytest.approx({"Low light": -0.6, "Glasses": 0.0}, abs=1e-12)
    assert table["planted"].to_dict() == pytest.approx({"Low light": -0.9, "Glasses": 0.0})
    assert rule_table.render(rules, None, seed=0, draws=5).empty


@pytest.fixture(scope="module")
def table(posts, edited, twins):
    parts = [rule_table.observe(RULES, *posts, 0, 200), rule_table.do(RULES, *posts, edited, 0, 200)]
    return rule_table.table_of(RULES, [*parts, rule_table.render(RULES, twins, 0, 200)], 0.1, floor=0.05)


def test_a_rule_that_is_only_seen_is_told_so(table):
    verdicts = {rule: some.set_index("column")["verdict"] for rule, some in table.groupby("rule")}
    assert verdicts["Glasses"].to_dict() == {SEEN: "more", EQUAL: "no difference", RENDERED: "no difference"}
    assert verdicts["Border"].to_dict() == {SEEN: "more", EQUAL: "more", DONE: "more"}
    assert verdicts["Low light"][RENDERED] == "less"
    told = rule_table.in_words(table, RULES)
    assert "- **seen, but no cause**: Glasses" in told
    assert "- **holds**: Forehead (women); Border; Low light" in told
    assert "- **not tried on a photo**: Be female" in told


def test_the_table_keeps_the_order_of_rules_and_columns(table):
    assert pd.unique(table["rule"]).tolist() == [rule.words for rule in RULES]
    border = table[table["rule"] == "Border"]["column"].tolist()
    assert border == [SEEN, EQUAL, DONE]
    text = rule_table.as_text(table, RULES, with_truth=True)
    assert text.index.tolist()[:2] == ["Do: Be female", "Do: Forehead (women)"]
    assert text.loc["Do: Border", "done"] == "+0.30\u00a0±\u00a00.00\u00a0▲"
    assert text.loc["Do: Be female", "done"] == "–" and text.loc["Do: Be female", "planted"] == "+0.50"
    assert "planted" not in rule_table.as_text(table, RULES, with_truth=False)


def test_holm_counts_the_rules_of_a_column_only():
    part = pd.DataFrame({"rule": ["Be female", "Border"], "effect": 1.0, "low": 0.5, "high": 1.5})
    seen, done = part.assign(column=SEEN, p=[0.02, 0.03]), part.head(1).assign(column=DONE, p=0.04)
    table = rule_table.table_of(RULES, [seen, done, pd.DataFrame()], 0.1, floor=0.6)
    assert table["holm"].tolist() == pytest.approx([0.04, 0.04, 0.04])  # the larger p may not become smaller
    # The floor is that of what was done; what is seen needs no placebo.
    assert table["verdict"].tolist() == ["more", "not clear", "more"]


@pytest.mark.parametrize(
    ("section", "verdicts", "short"),
    [
        (DO, {DONE: "more"}, "holds"), (DO, {DONE: "less"}, "the opposite"),
        (DONT, {RENDERED: "less"}, "holds"), (DONT, {DONE: "more", RENDERED: "not clear"}, "the opposite"),
        (DO, {DONE: "more", RENDERED: "less"}, "photos and scenes disagree"),
        (ASKED, {RENDERED: "less"}, "disliked"), (ASKED, {DONE: "more"}, "liked"),
        (DO, {SEEN: "more", DONE: "no difference"}, "seen, but no cause"),
        (DO, {SEEN: "not clear", DONE: "no difference"}, "no difference"),
        (DO, {SEEN: "more", DONE: "no difference", RENDERED: "not clear"}, "not clear"),
        (DO, {SEEN: "more", EQUAL: "more"}, "not tried on a photo"),
    ],
)  # fmt: skip
def test_a_rule_is_summed_up_by_what_was_done_to_photos(section, verdicts, short):
    assert rule_table.in_short(Rule("x", section, "x"), verdicts) == short


def test_what_is_reached_is_counted_column_by_column():
    rows = [
        ("Be female", EQUAL, 0.20), ("Forehead (women)", EQUAL, -0.10), ("Border", EQUAL, 0.18),
        ("Low light", EQUAL, -0.36), ("Glasses", EQUAL, 0.02), ("Forehead (men)", EQUAL, 0.04),
        ("Low light", RENDERED, -0.3), ("Glasses", RENDERED, 0.03), ("Be female", RENDERED, 0.1),
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["rule", "column", "effect"])
    table["planted"] = [np.nan] * 6 + [-0.9, 0.0, 0.6]
    # Of what is planted as nothing, glasses clear a floor of 0.015 when rendered, and foreheads none of 0.03.
    half = np.array([0.1, 0.1, 0.1, 0.1, 0.001, 0.03, 0.1, 0.01, 0.01])
    table["low"], table["high"] = table["effect"] - half, table["effect"] + half
    table["verdict"] = ["more", "less", "not clear", "less", "more", "not clear", "less", "not clear", "more"]
    found = rule_table.reach(table, RULES, floor=0.03)
    assert (found["strong_all_else_equal"], found["signs_all_else_equal"]) == (4, 3)
    assert (found["told_all_else_equal"], found["rules_all_else_equal"]) == (2, 6)
    assert (found["zeros_all_else_equal"], found["zeros_within_floor_all_else_equal"]) == (2, 2)
    low = rule_table.reach(table, RULES, floor=0.015)
    assert (low["zeros_within_floor_all_else_equal"], low["zeros_within_floor_re_rendered"]) == (1, 0)
    assert (found["zeros_re_rendered"], found["zeros_within_floor_re_rendered"]) == (1, 1)
    assert found["spearman_re_rendered"] == 1.0
    # Planted 0.5, 0.4, 0.45, -0.9: the factor is (0.1 - 0.04 + 0.081 + 0.324) / 1.4225.
    assert found["scale"] == pytest.approx(0.465 / 1.4225)
    assert found["placebo_in_planted"] == pytest.approx(0.03 / (0.465 / 1.4225))
    told = rule_table.reach_in_words(found)
    assert "**all else equal**: 3 of 4 planted effects of 0.3 or more have their sign" in told
    assert "more than a tenth of the smallest planted effect (0.15)" in told and "**done**" not in told
    assert rule_table.reach_in_words({}) == REAL
    made_up = rule_table.made_up_in_words(table, RULES, floor=0.015)
    assert made_up == "Planted as nothing, and yet clearly beyond the placebos: Glasses (re-rendered: +0.03)."
    assert rule_table.made_up_in_words(table, RULES, floor=0.02).startswith("Nothing that was planted")
    turned = table.assign(low=-table["high"], high=-table["low"], effect=-table["effect"])
    assert "Glasses (re-rendered: -0.03)" in rule_table.made_up_in_words(turned, RULES, floor=0.015)


def test_the_article_s_rules_are_counted_for_metrics(table):
    assert rule_table.counts(table, RULES) == {
        "rules_tried": 3, "rules_hold": 3, "rules_seen_without_cause": 0, "rules_opposite": 0,
        "rules_not_clear": 0,
    }  # fmt: skip
