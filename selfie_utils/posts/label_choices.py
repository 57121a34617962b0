"""What if we had labelled otherwise? The same posts under other rules, and how far the labels agree."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from sklearn.metrics import cohen_kappa_score

from selfie_utils.core.shares import share
from selfie_utils.posts.labels import LabelRules, keep_posts, label_outer, rank_within_groups

AS_CHOSEN = "as chosen"


@dataclass(frozen=True)
class Choices:
    """Which other rules to try."""

    group_sizes: Sequence[int] = (20, 50, 100, 200, 500)  # posts
    tag_bonuses: Sequence[float] = (0.0, 0.02, 0.05, 0.1)  # share of audience a tag
    outer: float = 1 / 3  # share of a group that is called good, and bad


def label_in_many_ways(
    posts: pd.DataFrame, faces: pd.DataFrame, copies: pd.DataFrame, rules: LabelRules, choices: Choices
) -> pd.DataFrame:
    """Label the same posts by every choice: a row per kept post, by post_id, and an Int64 column per choice.

    1 is good, 0 bad, <NA> not labelled. The first column is `rules` themselves. Tables as in `label_posts`;
    posts need likes. Source of the ranking among a user's own posts: later replications of the article, which
    argued that nothing else allows for who the user is.
    """
    kept, _ = keep_posts(posts, faces, rules, copies)
    return pd.DataFrame(dict(_each_way(kept, rules, choices)), index=kept["post_id"])


def _each_way(kept: pd.DataFrame, rules: LabelRules, choices: Choices) -> Iterator[tuple[str, pd.Series]]:
    chosen = rank_within_groups(kept, rules)
    yield AS_CHOSEN, _by_post(chosen)
    for size in choices.group_sizes:
        if size != rules.group_size and size <= len(kept):
            yield f"groups of {size}", _by_post(rank_within_groups(kept, replace(rules, group_size=size)))
    for bonus in choices.tag_bonuses:
        if bonus != rules.tag_bonus:
            yield (
                f"tag bonus {bonus:.0%}",
                _by_post(rank_within_groups(kept, replace(rules, tag_bonus=bonus))),
            )
    likes = chosen["post_id"].map(kept.set_index("post_id")["likes"])
    groups = chosen.assign(label=label_outer(chosen["group"], likes, chosen["post_id"], choices.outer))
    yield f"outer {choices.outer:.0%} of a group", _by_post(groups)
    audience = kept["followers"] * (1 + rules.tag_bonus * kept["tags"])
    own = label_outer(kept["user_id"], kept["likes"] / audience.clip(lower=1), kept["post_id"], 0.5)
    yield "the user's own posts", _by_post(kept.assign(label=own))


def _by_post(labelled: pd.DataFrame) -> pd.Series:
    return labelled.set_index("post_id")["label"].astype("Int64")


def agreement(labels: pd.DataFrame) -> pd.DataFrame:
    """Return Cohen's kappa between any two choices, on posts that both label: 1 all alike, 0 as by chance.

    Source: Cohen, "A coefficient of agreement for nominal scales", 1960.
    """
    return pd.DataFrame({a: {b: _kappa(labels[a], labels[b]) for b in labels} for a in labels})


def _kappa(one: pd.Series, other: pd.Series) -> float:
    both = (one.notna() & other.notna()).to_numpy()
    if one[both].nunique() < 2 and other[both].nunique() < 2:
        return np.nan  # nothing to agree on
    return float(cohen_kappa_score(one[both].astype(int), other[both].astype(int)))


def right_labels(labels: pd.DataFrame, truth: pd.DataFrame | None) -> pd.DataFrame:
    """Count what each choice labels, and how many are right: posts, share, low, high (95%), by choice.

    A label is right where good posts have a true appeal above the median of all posts here, bad ones below:
    one yardstick for all. Without a truth, only posts is known.
    """
    table = pd.DataFrame({"posts": labels.notna().sum()})
    if truth is None:
        return table
    appeal = truth.set_index("post_id")["appeal"].reindex(labels.index)
    good = (appeal > appeal.median()).astype("Int64")
    found = {name: share((column == good)[column.notna()].astype(bool)) for name, column in labels.items()}
    return table.join(pd.DataFrame(found).T[["share", "low", "high"]])


def in_words(kappas: pd.DataFrame) -> str:
    """Say which choice changes the labels least and most; one that only leaves some out changes none."""
    others = kappas[AS_CHOSEN].drop(AS_CHOSEN).dropna().sort_values()
    others = others[others < 1]
    if others.empty:
        return "No other choice changes a label, or there are too few posts for another."
    return (
        "Of the choices that change labels, the nearest to those as chosen is "
        f"**{others.index[-1]}** (kappa {others.iloc[-1]:.2f}), the "
        f"farthest **{others.index[0]}** (kappa {others.iloc[0]:.2f})."
    )
