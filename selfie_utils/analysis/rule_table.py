"""The table of rules: how the score differs as seen, all else equal, done to a photo, and re-rendered."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from selfie_utils.analysis.appeal import EFFECTS
from selfie_utils.analysis.attributes import READABLE
from selfie_utils.analysis.effects import (
    clears,
    fit_by_user,
    holm,
    judge,
    log_odds_of,
    mean_by_user,
    summarise,
)
from selfie_utils.analysis.planted import REAL
from selfie_utils.analysis.rules import ASKED, DO, DONT, Rule, is_asked_of

SEEN, EQUAL, DONE, RENDERED = "seen", "all else equal", "done", "re-rendered"
FEWEST = 10  # posts or pairs with and without: of fewer, nothing is said


def observe(
    rules: Sequence[Rule], known: pd.DataFrame, scores: pd.DataFrame, seed: int, draws: int
) -> pd.DataFrame:
    """Measure how the score's log-odds differ with and without each rule, alone and all else being equal.

    Returns two rows a rule, as `table_of` takes them: rule, column (SEEN or EQUAL), effect, low, high, p and
    count (of posts).
    """
    odds = log_odds_of(scores)
    users, rows = scores["user_id"].to_numpy(), []
    for rule in rules:
        value = known[rule.column]
        some = (value.notna() & is_asked_of(rule, known.get("presented_gender"))).to_numpy()
        if value[some].nunique() < 2 or _rarer(value[some]) < FEWEST:
            continue
        design = np.column_stack([np.ones(some.sum()), value[some]])
        found = summarise(*fit_by_user(design, odds[some], users[some], seed, draws)).iloc[1]
        rows.append({"rule": rule.words, "column": SEEN, **found, "count": int(some.sum())})
    judged = [rule for rule in rules if rule.words in {row["rule"] for row in rows}]
    return pd.DataFrame(rows + _all_else_equal(judged, known, odds, users, seed, draws))


def _rarer(value: pd.Series) -> int:
    """Count the posts with and without an attribute, and return the fewer; for a number, count all."""
    return int(value.value_counts().min()) if value.nunique() == 2 else len(value)


def _all_else_equal(
    rules: Sequence[Rule], known: pd.DataFrame, odds: np.ndarray, users: np.ndarray, seed: int, draws: int
) -> list[dict]:
    """Fit all rules at once, with what else is known held equal; returns a row a rule."""
    design = _design(rules, known)
    fitted = np.column_stack([np.ones(len(design)), design])
    found = summarise(*fit_by_user(fitted, odds, users, seed, draws)).iloc[1:].set_axis(design.columns)
    return [
        {"rule": rule.words, "column": EQUAL, **found.loc[rule.words], "count": len(design)}
        for rule in rules
        if rule.words in found.index
    ]


def _design(rules: Sequence[Rule], known: pd.DataFrame) -> pd.DataFrame:
    """Return the numbers to fit on, float64 (N, K): the rules, and what else is known of the posts.

    A rule for one presented gender counts for it only; what the other makes of it is held equal.
    """
    gender, design = known.get("presented_gender"), {}
    for rule in rules:
        value = known[rule.column].fillna(known[rule.column].mean())
        design[rule.words] = value * is_asked_of(rule, gender)
        if rule.only and gender is not None:
            design.setdefault(f"{rule.column} of others", value * ~is_asked_of(rule, gender))
    for column in set(READABLE) - {rule.column for rule in rules}:
        if column in known:
            design[column] = known[column].fillna(known[column].mean())
    if "age" in known and pd.api.types.is_numeric_dtype(known["age"]):
        design["age"] = (known["age"] - known["age"].mean()).fillna(0) / (known["age"].std() or 1)
    both = {rule.column for rule in rules if sum(r.column == rule.column for r in rules) > 1}
    table = pd.DataFrame(design).drop(columns=[f"{column} of others" for column in both])
    return table.loc[:, table.std() > 0]


def do(
    rules: Sequence[Rule],
    known: pd.DataFrame,
    scores: pd.DataFrame,
    edited: pd.DataFrame,
    seed: int,
    draws: int,
):
    """Average what each rule does to photos that do not keep it yet; rows as from `observe`, column DONE."""
    facts = known.set_index(scores["post_id"])
    rows = []
    for rule in rules:
        if rule.edit is None:
            continue
        some = edited[(edited["edit"] == rule.edit[0]) & np.isclose(edited["dose"], rule.edit[1])]
        here = facts.loc[some["post_id"]]
        without = (here[rule.column] != 1).to_numpy() & is_asked_of(rule, here.get("presented_gender"))
        rows.append((rule.words, DONE, some[without]))
    return _averages(rows, seed, draws)


def render(rules: Sequence[Rule], twins: pd.DataFrame | None, seed: int, draws: int) -> pd.DataFrame:
    """Average what each change does to rendered scenes; rows as from `observe`, column RENDERED."""
    rows: list[tuple[str, str, pd.DataFrame]] = []
    for rule in rules:
        if twins is None:
            break
        some = twins[(twins["change"] == rule.twin) & is_asked_of(rule, twins["presented_gender"])]
        rows.append((rule.words, RENDERED, some.rename(columns={"scene": "user_id"})))
    return _averages(rows, seed, draws)


def _averages(parts: Sequence[tuple[str, str, pd.DataFrame]], seed: int, draws: int) -> pd.DataFrame:
    rows = []
    for rule, column, pairs in parts:
        if len(pairs) < FEWEST:
            continue
        found = mean_by_user(pairs["after"] - pairs["before"], pairs["user_id"], seed, draws)
        planted = {"planted": pairs["planted"].mean()} if "planted" in pairs else {}
        rows.append({"rule": rule, "column": column, **found, **planted, "count": len(pairs)})
    return pd.DataFrame(rows)


def table_of(
    rules: Sequence[Rule], parts: Sequence[pd.DataFrame], worth_telling: float, floor: float
) -> pd.DataFrame:
    """Join the columns of all rules, in the article's order; adds section, holm and verdict (see `judge`).

    Holm's correction is over the rules of a column; the placebos' floor is that of what was done or rendered.
    """
    table = pd.concat([part for part in parts if len(part)], ignore_index=True)
    place = {rule.words: i for i, rule in enumerate(rules)}
    table["section"] = table["rule"].map({rule.words: rule.section for rule in rules})
    table["holm"] = table.groupby("column")["p"].transform(lambda p: holm(p.to_numpy()))
    on_photos = table["column"].isin([DONE, RENDERED])
    table["verdict"] = ""
    for which, least in ((~on_photos, 0.0), (on_photos, floor)):
        table.loc[which, "verdict"] = judge(table[which], worth_telling, least)
    columns = pd.Categorical(table["column"], [SEEN, EQUAL, DONE, RENDERED], ordered=True)
    order = np.lexsort([columns.codes, table["rule"].map(place)])
    return table.iloc[order].reset_index(drop=True)


def in_short(rule: Rule, verdicts: Mapping[str, str]) -> str:
    """Say in a few words what becomes of a rule; `verdicts` by column."""
    causes = [verdicts[column] for column in (DONE, RENDERED) if column in verdicts]
    told = {verdict for verdict in causes if verdict in ("more", "less")}
    advised = {DO: "more", DONT: "less"}.get(rule.section)
    if len(told) == 2:
        return "photos and scenes disagree"
    if told:
        (verdict,) = told
        liked = "liked" if verdict == "more" else "disliked"
        return liked if advised is None else "holds" if verdict == advised else "the opposite"
    if not causes:
        return "not tried on a photo"
    seen = verdicts.get(SEEN) in ("more", "less")
    if set(causes) == {"no difference"}:
        return "seen, but no cause" if seen else "no difference"
    return "not clear"


def as_text(table: pd.DataFrame, rules: Sequence[Rule], with_truth: bool) -> pd.DataFrame:
    """Format the table for a reader: a row a rule, a column each way to ask; ± is half of the interval."""
    marks = {"more": "▲", "less": "▼", "no difference": "=", "not clear": "?"}
    cells = [
        f"{row.effect:+.2f}\u00a0±\u00a0{(row.high - row.low) / 2:.2f}\u00a0{marks[row.verdict]}"
        for row in table.itertuples()
    ]
    text = table.assign(text=cells).pivot(index="rule", columns="column", values="text")
    order = [rule for rule in rules if rule.words in text.index]
    text = text.reindex(index=[rule.words for rule in order])
    text = text[[c for c in (SEEN, EQUAL, DONE, RENDERED) if c in text]].fillna("–")
    if with_truth:
        text["planted"] = [f"{rule.planted:+.2f}" for rule in order]
    said = {rule: some.set_index("column")["verdict"].to_dict() for rule, some in table.groupby("rule")}
    text["in short"] = [in_short(rule, said[rule.words]) for rule in order]
    text.index = [f"{rule.section}: {escape(rule.words)}" for rule in order]
    return text.rename_axis(index=None, columns=None)


def in_words(table: pd.DataFrame, rules: Sequence[Rule]) -> str:
    """Say in Markdown which rules hold, which do not, and of which nothing is clear."""
    said = {rule: some.set_index("column")["verdict"].to_dict() for rule, some in table.groupby("rule")}
    found: dict[str, list[str]] = {}
    for rule in rules:
        if rule.words in said:
            name = escape(rule.words.removeprefix("… "))
            found.setdefault(in_short(rule, said[rule.words]), []).append(name)
    return "\n".join(f"- **{what}**: {'; '.join(names)}" for what, names in found.items())


def scale_of(table: pd.DataFrame, rules: Sequence[Rule]) -> float:
    """Return what one planted unit of appeal is in the network's log-odds: a factor, by least squares."""
    planted = {rule.words: rule.planted for rule in rules}
    some = table[table["column"] == EQUAL]
    wanted = some["rule"].map(planted)
    return float((wanted * some["effect"]).sum() / max((wanted**2).sum(), 1e-12))


def reach(table: pd.DataFrame, rules: Sequence[Rule], floor: float) -> dict[str, float]:
    """Compare what was measured with what was planted, for metrics.json.

    For each column: strong (planted effects of 0.3 or more), signs (those with their sign), told (those of
    them that are told), zeros (planted nothing), zeros_within_floor (their interval does not clear it), and
    spearman with the planted sizes, over how many rules. Then placebo_floor, scale, and placebo_in_planted
    (the floor in planted units).
    """
    planted, scale = {rule.words: rule.planted for rule in rules}, scale_of(table, rules)
    found = {"placebo_floor": floor, "scale": scale, "placebo_in_planted": floor / scale if scale else np.nan}
    for column, some in table.groupby("column"):
        wanted, name = some["rule"].map(planted), _key(column)
        strong, zero = wanted.abs() >= 0.3, wanted == 0
        right = np.sign(some["effect"]) == np.sign(wanted)
        told = strong & right & some["verdict"].isin(["more", "less"])
        within = ~clears(some, floor)
        found |= {f"strong_{name}": int(strong.sum()), f"signs_{name}": int((strong & right).sum())}
        found[f"told_{name}"] = int(told.sum())
        found |= {f"zeros_{name}": int(zero.sum()), f"zeros_within_floor_{name}": int((zero & within).sum())}
        truth = some["planted"] if column == RENDERED else wanted
        if len(some) > 2:
            found[f"rules_{name}"] = len(some)
            found[f"spearman_{name}"] = float(spearmanr(truth, some["effect"]).statistic)
    return {name: value for name, value in found.items() if value == value}


def reach_in_words(found: Mapping[str, float]) -> str:
    """Say in Markdown what `reach` found, what is reached and what is not; of real posts, nothing."""
    if not found:
        return REAL
    hoped = (
        "We hoped for four things: the sign of every planted effect of 0.3 or more, placebos below a tenth "
        "of the smallest one, what means nothing within the placebos, and an order of sizes that correlates "
        "by 0.9. What is reached:"
    )
    lines = [_column_in_words(column, found) for column in (EQUAL, DONE, RENDERED)]
    smallest, floor = min(abs(effect) for effect in EFFECTS.values() if effect), found["placebo_in_planted"]
    reached = "less" if floor < smallest / 10 else "more"
    lines.append(
        f"**placebos** move the score by up to {found['placebo_floor']:.3f} log-odds, which is {floor:.3f} "
        f"in planted units: {reached} than a tenth of the smallest planted effect ({smallest})."
    )
    shaky = "An order over so few rules rests on each of them, and moves with the photos that were drawn."
    return "\n".join([hoped, "", *(f"- {line}" for line in lines if line), "", shaky])


def _column_in_words(column: str, found: Mapping[str, float]) -> str:
    """Say how well one column agrees with what was planted."""
    name = _key(column)
    if f"strong_{name}" not in found:
        return ""
    told = (
        f"**{column}**: {found[f'signs_{name}']} of {found[f'strong_{name}']} planted effects of 0.3 or more "
        f"have their sign, {found[f'told_{name}']} of them told"
    )
    if found[f"zeros_{name}"]:
        within = found[f"zeros_within_floor_{name}"]
        told += (
            f"; of {found[f'zeros_{name}']} that are planted as nothing, {within} do not clear the placebos"
        )
    if f"spearman_{name}" in found:
        order, count = found[f"spearman_{name}"], found[f"rules_{name}"]
        told += f"; the order of sizes correlates by {order:.2f}, over {count} rules"
    return told + "."


def made_up_in_words(table: pd.DataFrame, rules: Sequence[Rule], floor: float) -> str:
    """Name in Markdown what was planted as nothing, and clearly moves the score by more than placebos do."""
    nothing = {rule.words for rule in rules if rule.planted == 0}
    some = table[table["rule"].isin(nothing) & table["column"].isin([DONE, RENDERED])]
    some = some[clears(some, floor)]
    told = [f"{escape(row.rule)} ({row.column}: {row.effect:+.2f})" for row in some.itertuples()]
    if not told:
        return "Nothing that was planted as nothing is clearly beyond the placebos."
    return f"Planted as nothing, and yet clearly beyond the placebos: {'; '.join(told)}."


def _key(column: str) -> str:
    """Name a column in metrics.json."""
    return column.replace(" ", "_").replace("-", "_")


def counts(table: pd.DataFrame, rules: Sequence[Rule]) -> dict[str, int]:
    """Count for metrics.json what becomes of the article's rules (`in_short`): rules_hold, and so on.

    rules_tried are those that were done to a photo or rendered.
    """
    said = {rule: some.set_index("column")["verdict"].to_dict() for rule, some in table.groupby("rule")}
    short = [in_short(r, said[r.words]) for r in rules if r.section != ASKED and r.words in said]
    names = {"rules_hold": "holds", "rules_seen_without_cause": "seen, but no cause"}
    names |= {"rules_opposite": "the opposite", "rules_not_clear": "not clear"}
    tried = len(short) - short.count("not tried on a photo")
    return {"rules_tried": tried} | {name: short.count(what) for name, what in names.items()}


def planted_of(rules: Sequence[Rule]) -> pd.Series:
    """Return what each rule is worth to the simulated audience, float64 by the rule's words."""
    return pd.Series({rule.words: rule.planted for rule in rules})
