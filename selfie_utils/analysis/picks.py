"""Posts picked by hand: kept in the run folder at every pick, shared by all who pick at once."""

import csv
import re
from collections.abc import Collection, Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from selfie_utils.core import shares
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.posts.reading import ROUND, read_lines, read_table

PICKS = "picks"
LOCK = ".picks.lock"
ID = "post_id"
PATIENCE = 10.0  # seconds; each holds the lock for some milliseconds
BUSY = "Process {process} has been writing picks for ten seconds: pick again, or end it."


def read_picks(run: RunFolder) -> list[str]:
    """Return the ids of the posts that were picked by hand, in the order of picking; none where nobody did.

    Raises SelfieError where the file is no table of picks.
    """
    path = run.place(f"{PICKS}.parquet")
    return _table(path)["post_id"].tolist() if path.exists() else []


def _table(path: Path) -> pd.DataFrame:
    try:
        table = pd.read_parquet(path)
        return table.astype({"post_id": "str"})[["post_id", "picked_at"]]
    except (OSError, ValueError, KeyError):
        raise SelfieError(f"{path} holds no picks (post_id, picked_at): remove it, and pick again.") from None


def change_picks(run: RunFolder, add: Iterable[str] = (), remove: Iterable[str] = ()) -> list[str]:
    """Pick some posts and drop others, at once and on disk; return all that are picked now.

    Only what has changed is said, so that two who pick at once don't undo each other's: the last word on a
    post counts. The file is whole at any moment. Raises SelfieError where another holds the lock too long.
    """
    path = run.place(f"{PICKS}.parquet")
    with locked(run.root / LOCK, BUSY, PATIENCE):
        gone, table = set(remove), _table(path) if path.exists() else None
        kept = table[~table["post_id"].isin(gone)] if table is not None else None
        there = set(kept["post_id"]) if kept is not None else set()
        new = [one for one in dict.fromkeys(add) if one not in there]
        fresh = pd.DataFrame({"post_id": pd.Series(new, dtype="str"), "picked_at": pd.Timestamp.now("UTC")})
        now = pd.concat([kept, fresh], ignore_index=True) if kept is not None else fresh
        run.write_table(PICKS, now)
    return now["post_id"].tolist()


def ids_in(path: Path) -> list[str]:
    """Read post ids from a file: a table with a column post_id, as a lasso saves it, or one id per line.

    Text may be in any usual encoding; blanks round an id, and quotes round a whole line, are left out. Raises
    SelfieError where a table is damaged, or has no such column.
    """
    if path.suffix.lower() in (".parquet", ".xlsx"):
        return _ids_of_table(path)
    lines = [line for line in map(_id, read_lines(path)) if line]
    if lines and lines[0] != ID and ID in _cells(lines[0]):
        return _ids_of_table(path)
    return lines[1:] if lines[:1] == [ID] else lines


def _ids_of_table(path: Path) -> list[str]:
    table = read_table(path, ID)[0]
    if ID not in table:
        raise SelfieError(f"{path} has no column {ID}: name the one of the ids so, or give one id per line.")
    return table[ID].dropna().astype("str").tolist()


def _cells(line: str) -> list[str]:
    """Split a line wherever a table may, since nobody knows yet how the cells are separated."""
    return [cell.strip(ROUND + "'\"#") for cell in re.split(r"[,;|\s]", line)]


def _id(line: str) -> str:
    """Return what a line says: as it is, or as the one cell in quotes that it is."""
    line = line.strip(ROUND)
    cells = next(csv.reader([line])) if line.startswith('"') else []
    return cells[0] if len(cells) == 1 else line


def among(best: pd.DataFrame, picked: Collection[str]) -> list[str]:
    """Return which of the picked posts are among the best; others may have been picked elsewhere."""
    return best.loc[best["post_id"].isin(set(picked)), "post_id"].tolist()


def choose(best: pd.DataFrame, picked: Collection[str], is_wanted: pd.Series) -> pd.DataFrame:
    """Return which of the best posts to show: those picked by hand, or else those annotated so.

    `best` has post_id and is sorted; `is_wanted` nullable boolean, as `best`.
    """
    by_hand = best["post_id"].isin(set(picked)).to_numpy()
    return best[by_hand if len(picked) else is_wanted.fillna(False).to_numpy(bool)].reset_index(drop=True)


def agreement(
    best: pd.DataFrame, picked: Collection[str], said: pd.Series, seed: int = 0
) -> dict[str, float]:
    """Compare picks with an annotation: share that agrees, low, high, known, kappa, kappa_low, kappa_high.

    Over the best posts down to the last that was picked, for nobody knows whether those below were looked
    at; `said` nullable boolean, as `best`, unknown ones left out. Kappa is Cohen's; its 95% interval is that
    of 2,000 tables drawn with the shares of the one that was found. Nan where there is nothing to compare.
    """
    by_hand = best["post_id"].isin(set(picked)).to_numpy()
    looked = len(best) - int(np.argmax(by_hand[::-1])) if by_hand.any() else 0
    known = said.iloc[:looked].notna().to_numpy()
    hand, word = by_hand[:looked][known], said.iloc[:looked].to_numpy(object)[known].astype(bool)
    counts = np.bincount(2 * hand + word, minlength=4)  # neither, word alone, hand alone, both
    if not len(hand):
        return shares.share(hand == word) | dict.fromkeys(("kappa", "kappa_low", "kappa_high"), np.nan)
    drawn = np.random.default_rng(seed).multinomial(len(hand), counts / len(hand), 2000)
    ends = np.nanquantile(_kappas(drawn), [0.025, 0.975]) if len(set(word)) > 1 else (np.nan, np.nan)
    kappas = {"kappa": _kappas(counts[None])[0], "kappa_low": ends[0], "kappa_high": ends[1]}
    return shares.share(hand == word) | {key: float(value) for key, value in kappas.items()}


def _kappas(counts: np.ndarray) -> np.ndarray:
    """Return Cohen's kappa of tables (N, 4): neither, one alone, the other alone, both; else nan."""
    total = counts.sum(axis=1)
    agreed = (counts[:, 0] + counts[:, 3]) / total
    one, other = ((counts[:, [k, 3]].sum(axis=1)) / total for k in (1, 2))
    by_chance = one * other + (1 - one) * (1 - other)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(by_chance < 1, (agreed - by_chance) / (1 - by_chance), np.nan)


def agreement_in_words(found: dict[str, float], picked: int) -> str:
    """Say how many posts were picked by hand, and how far the picks agree with the annotation."""
    if not picked:
        return "Nobody has picked by hand yet."
    told = f"**{picked:,}** posts are picked by hand (`{PICKS}.parquet`), and the sheet shows those."
    if not found["known"]:
        return (
            f"{told} Whether the annotation agrees is unknown: it says nothing of the posts looked through."
        )
    share = f"{found['share']:.0%} of {found['known']:,} [{found['low']:.0%} to {found['high']:.0%}]"
    told += f" Down to the last of them, picks and annotation say the same of **{share}**"
    if np.isnan(found["kappa"]):
        return f"{told}; kappa is unknown, since the annotation says the same of all."
    ends = f"[{found['kappa_low']:.2f} to {found['kappa_high']:.2f}]"
    return f"{told}, kappa **{found['kappa']:.2f}** {ends}: 1 is the same, 0 what chance gives."
