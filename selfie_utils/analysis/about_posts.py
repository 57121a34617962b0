"""What is known of single posts, in words: for whoever opens a photo of a gallery."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn.neighbors import NearestNeighbors

from selfie_utils.analysis.ranking import best_first
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.core.shares import percentile

NEAREST = 5
FEATURES = "features.npy"


@dataclass(frozen=True)
class Posts:
    """The scored posts of a run, asked about by the names of their photos; no name ever leaves.

    `known` as from `attributes.read_attributes`, rows as in `scores`. `more` has facts by photo that only one
    notebook knows, as text.
    """

    run: RunFolder
    scores: pd.DataFrame
    known: pd.DataFrame
    more: dict[str, dict[str, str]] = field(default_factory=dict)

    def in_words(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return title, brief, facts and has (true attributes) of each photo; what is unknown is left out."""
        table = self._table()
        rows = table.loc[list(names)].to_dict("records")
        has = self.known.set_axis(self.scores["image"]).fillna(False).astype(bool)
        has = has[~has.index.duplicated()].loc[list(names)]
        true = [[name for name, one in zip(has, row, strict=True) if one] for row in has.to_numpy()]
        return [
            {**_titles(row, len(self.scores)), "facts": _facts(row) | self.more.get(name, {}), "has": some}
            for name, row, some in zip(names, rows, true, strict=True)
        ]

    def _table(self) -> pd.DataFrame:
        """Join what is known of each scored post, by image; first of a photo that was posted twice."""
        ranked = best_first(self.scores).assign(rank=np.arange(1, len(self.scores) + 1))
        table = ranked[["post_id", "image", "label", "score", "rank"]]
        for name, columns in (("posts", ["likes"]), ("labels", ["audience", "group"])):
            told = self.run.read_table(name)
            told = told[["post_id", *(c for c in columns if c in told)]].drop_duplicates("post_id")
            table = table.merge(told, on="post_id", how="left")
        return table.drop_duplicates("image").set_index("image")

    def nearest(self, names: Sequence[str]) -> list[list[str]]:
        """Return for each photo its five nearest in fc7 (L2), the nearest first; none without fc7."""
        if not self.run.place(FEATURES).exists():
            return [[] for _ in names]
        return _nearest(self.run.read_features(), self.scores["image"].to_numpy(), names)


@dataclass(frozen=True)
class Named:
    """Photos whose names may be shown, as from `scorer.rate_folder`: best first, all with a score.

    `crowd` float (N,): the scores of test posts, which they are compared with.
    """

    rated: pd.DataFrame
    crowd: pd.Series

    def in_words(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return title, with the name, brief and facts of each photo."""
        below = dict(zip(self.rated["image"], percentile(self.crowd, self.rated["score"]), strict=True))
        rows = self.rated.assign(rank=range(1, len(self.rated) + 1)).set_index("image", drop=False)
        titles = [_titles(row, len(rows)) for row in rows.loc[list(names)].to_dict("records")]
        return [
            {
                "title": f"{rows.at[name, 'name']}: {title['title'].lower()}",
                "brief": rows.at[name, "name"],
                "facts": {"test posts that score lower": f"{below[name]:.0%}"},
                "has": [],
            }
            for name, title in zip(names, titles, strict=True)
        ]

    def nearest(self, names: Sequence[str]) -> list[list[str]]:
        """Return for each photo the five of the folder that are nearest in fc7 (L2), the nearest first."""
        return _nearest(np.stack(self.rated["fc7"].tolist()), self.rated["image"].to_numpy(), names)


def _nearest(features: np.ndarray, images: np.ndarray, names: Sequence[str]) -> list[list[str]]:
    """Return the five nearest of each of `names`, itself left out; `features` float (N, D), as `images`."""
    if not len(names):
        return []
    features = np.nan_to_num(features)
    rows = pd.Series(range(len(images)), images).groupby(level=0).first()[list(names)].to_numpy()
    search = NearestNeighbors(n_neighbors=min(NEAREST + 1, len(images))).fit(features)
    found = search.kneighbors(features[rows], return_distance=False)  # (names, NEAREST + 1)
    return [[images[i] for i in near if i != row][:NEAREST] for row, near in zip(rows, found, strict=True)]


def _titles(row: dict[str, Any], count: int) -> dict[str, str]:
    """Say rank and score: long as a title, short below a thumbnail."""
    score = f"{row['score']:.1%}"
    return {
        "title": f"Rank {row['rank']:,} of {count:,}, score {score}",
        "brief": f"#{row['rank']:,} · {score}",
    }


def _facts(row: dict[str, Any]) -> dict[str, str]:
    """Write what is known of a post; likes, audience and group exist only where there are likes."""
    label = row["label"]
    facts = {} if pd.isna(label) else {"label": "good" if label == 1 else "bad"}
    counts = {key: row[key] for key in ("likes", "audience", "group") if not pd.isna(row.get(key))}
    return facts | {key: f"{value:,.0f}" for key, value in counts.items()}
