"""The bot's journal: which mentions were read and what became of each; none is answered twice or lost.

One SQLite file. It keeps ids, times and outcomes; what a mention said goes as soon as it is settled, and no
pixel ever comes in.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path

from selfie_utils.apps.manners import Mention
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import locked

OPEN, ANSWERED, SETTLED, DELETED = "open", "answered", "settled", "deleted"
DAY = 24 * 3600.0  # seconds

SCHEMA = """
PRAGMA secure_delete = ON;
CREATE TABLE IF NOT EXISTS about (key TEXT PRIMARY KEY, value TEXT);
CREATE TABLE IF NOT EXISTS mentions (
    id TEXT PRIMARY KEY, author TEXT, moment REAL, told TEXT, state TEXT, why TEXT DEFAULT '',
    tries INTEGER DEFAULT 0, begun INTEGER DEFAULT 0, reply TEXT, noted REAL);
CREATE INDEX IF NOT EXISTS by_state ON mentions (state, moment);
CREATE INDEX IF NOT EXISTS by_author ON mentions (author);
CREATE TABLE IF NOT EXISTS stopped (author TEXT PRIMARY KEY);
"""


class Journal:
    """What was read, and what became of it; every method is a transaction."""

    def __init__(self, base: sqlite3.Connection):
        self._base = base
        base.executescript(SCHEMA)

    def claim(self, account: str) -> None:
        """Keep the journal for one account; raises SelfieError where it is another's."""
        with self._base:
            self._base.execute("INSERT OR IGNORE INTO about VALUES ('account', ?)", (account,))
        owner = self._about("account")
        if owner != account:
            raise SelfieError(f"This journal is that of {owner}, not of {account}: give another --journal.")

    def _about(self, key: str) -> str | None:
        row = self._base.execute("SELECT value FROM about WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    @property
    def place(self) -> str | None:
        """The notification up to which all is read; None at the very beginning."""
        return self._about("place")

    def read(self, mentions: Iterable[Mention], place: str | None) -> int:
        """Note mentions, those that are known once more being ignored, and the place, all or nothing."""
        with self._base:
            rows = [(m.id, m.author, m.moment, json.dumps(asdict(m)), OPEN) for m in mentions]
            statement = (
                "INSERT OR IGNORE INTO mentions (id, author, moment, told, state) VALUES (?, ?, ?, ?, ?)"
            )
            new = self._base.executemany(statement, rows).rowcount
            if place is not None:
                self._base.execute("INSERT OR REPLACE INTO about VALUES ('place', ?)", (place,))
        return max(new, 0)

    def next(self) -> Mention | None:
        """Return the mention to settle next: the oldest, but those whose photo failed again come last."""
        statement = (
            "SELECT told FROM mentions WHERE state = ? ORDER BY tries > 1, moment, length(id), id LIMIT 1"
        )
        row = self._base.execute(statement, (OPEN,)).fetchone()
        if row is None:
            return None
        told = json.loads(row[0])
        return Mention(**told | {"kinds": tuple(told["kinds"])})  # JSON knows lists only

    def waiting(self) -> int:
        """Count the mentions that are not settled."""
        return self._base.execute("SELECT count(*) FROM mentions WHERE state = ?", (OPEN,)).fetchone()[0]

    def try_once_more(self, mention: Mention) -> int:
        """Note that a photo is about to be looked at; returns how often that has begun, now included."""
        self._set(mention, "tries = tries + 1")
        return self._get(mention, "tries")

    def looked(self, mention: Mention) -> None:
        """Note that looking at the photo came to an end."""
        self._set(mention, "tries = 0")

    def begin(self, mention: Mention) -> bool:
        """Note that a reply is about to be sent; tells whether one may be out already."""
        before = bool(self._get(mention, "begun"))
        self._set(mention, "begun = 1")
        return before

    def answered(self, mention: Mention, reply: str, why: str) -> None:
        """Note a reply, and forget what the mention said."""
        self._set(
            mention,
            "state = ?, reply = ?, why = ?, noted = ?, told = NULL",
            ANSWERED,
            reply,
            why,
            time.time(),
        )

    def settle(self, mention: Mention, why: str) -> None:
        """Note that there is nothing more to do for a mention, and forget what it said."""
        self._set(mention, "state = ?, why = ?, noted = ?, told = NULL", SETTLED, why, time.time())

    def answers_of_today(self, author: str) -> int:
        """Count the replies that a person got within a day."""
        statement = "SELECT count(*) FROM mentions WHERE author = ? AND state IN (?, ?) AND noted > ?"
        return self._base.execute(statement, (author, ANSWERED, DELETED, time.time() - DAY)).fetchone()[0]

    def replies_to(self, author: str) -> list[str]:
        """List the replies to a person that are still there."""
        rows = self._base.execute(
            "SELECT reply FROM mentions WHERE author = ? AND state = ?", (author, ANSWERED)
        )
        return [reply for (reply,) in rows.fetchall()]

    def deleted(self, reply: str) -> None:
        """Note that a reply was taken down."""
        with self._base:
            self._base.execute(
                "UPDATE mentions SET state = ?, reply = NULL WHERE reply = ?", (DELETED, reply)
            )

    def stop(self, author: str, stopped: bool = True) -> None:
        """Note that a person wants no answers, or wants them again."""
        statement = (
            "INSERT OR IGNORE INTO stopped VALUES (?)" if stopped else "DELETE FROM stopped WHERE author = ?"
        )
        with self._base:
            self._base.execute(statement, (author,))

    def has_stopped(self, author: str) -> bool:
        """Tell whether a person wants no answers."""
        return bool(self._base.execute("SELECT 1 FROM stopped WHERE author = ?", (author,)).fetchone())

    def _set(self, mention: Mention, what: str, *values: object) -> None:
        with self._base:
            self._base.execute(f"UPDATE mentions SET {what} WHERE id = ?", (*values, mention.id))

    def _get(self, mention: Mention, what: str) -> int:
        return self._base.execute(f"SELECT {what} FROM mentions WHERE id = ?", (mention.id,)).fetchone()[0]


@contextmanager
def open_journal(path: Path | None) -> Iterator[Journal]:
    """Open a journal, making it where there is none, alone; None keeps it in memory.

    Raises SelfieError where another bot is at work with it, or where it is no such file.
    """
    if path is None:
        with closing(sqlite3.connect(":memory:")) as base:
            yield Journal(base)
        return
    told = f"Another bot (process {{process}}) is at work with {path}: stop it, or give another --journal."
    with locked(path.with_name(f"{path.name}.lock"), told), closing(sqlite3.connect(path)) as base:
        try:
            journal = Journal(base)
        except sqlite3.DatabaseError as error:
            raise SelfieError(f"{path} is no journal of a bot ({error}): give another --journal.") from None
        yield journal
