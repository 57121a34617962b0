"""Where posts come from: one module an origin, each turning it into the same posts table."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.posts.labels import label_outer


@dataclass
class Source:
    """What an importer has read: posts, the photos they name, and what it left out.

    `posts` has the columns that `posts.check_posts` asks for; its `image` names are paths inside `images`, a
    folder or a zip archive. `dropped` has one row for each photo left out: image, reason (both str).
    `notes` are sentences for the summary.
    """

    posts: pd.DataFrame
    images: Path
    dropped: pd.DataFrame = field(default_factory=lambda: drop_list([]))
    notes: list[str] = field(default_factory=list)


def drop_list(rows: list[tuple[str, str]]) -> pd.DataFrame:
    """Make the table of what was left out from pairs (image, reason)."""
    return pd.DataFrame(rows, columns=["image", "reason"], dtype="str")


def reasons_in_words(dropped: pd.DataFrame, most: int = 3) -> str:
    """Say the most frequent reasons of what was left out, each with how many and one example."""
    counts = dropped["reason"].value_counts()
    first = dropped.drop_duplicates("reason").set_index("reason")["image"]
    told = [f"{reason}: {count:,}, such as {first[reason]}" for reason, count in counts.head(most).items()]
    return "; ".join([*told, *(["and others"] if len(counts) > most else [])])


def label_by_score(scores: pd.Series, post_ids: pd.Series, outer: float = 0.5) -> pd.Series:
    """Label posts by a score of their own: 1 for the upper share `outer`, 0 for the lower, <NA> between.

    `scores` are numbers, one a post; 0.5 makes halves, 1/3 drops the middle third. Equal scores are told
    apart by lot, drawn from post_id, so that the order of the table does not matter. Returns Int64.
    Raises SelfieError where `outer` is not above 0 and at most 0.5, or a side would be empty.
    """
    if not 0 < outer <= 0.5:
        raise SelfieError(f"outer is {outer:g}, expected a share above 0 and at most 0.5, such as 0.33.")
    if not int(len(scores) * outer + 1e-9):  # 0.29 of 100 is 28.999... in floats
        raise SelfieError(
            f"{len(scores)} posts have a score, too few to label the outer {outer:.0%} on each side."
        )
    return label_outer(pd.Series(0, index=scores.index), scores, post_ids, outer)
