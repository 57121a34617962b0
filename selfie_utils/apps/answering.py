"""Answer mentions, each exactly once and in order, whatever fails in between; the same on every network."""

import time
import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from selfie_utils.apps.journal import Journal
from selfie_utils.apps.manners import Mention, Reply, decide, seen_by, sorry
from selfie_utils.core.errors import SelfieError

ATTEMPTS = 4  # to look at a photo, after which the bot says sorry: one of them may bring it down each time
POLL, SAFETY = 5.0, 60.0  # seconds between looks for mentions, without and with a stream that tells of them


class Unanswerable(SelfieError):
    """A mention that can't be answered any more; its message says why."""


class Network(Protocol):
    """A social network, as far as the bot needs it; only `send` may do something that others see twice."""

    listening: bool  # whether a stream tells of mentions as they come

    def arrivals(self, place: str | None) -> Iterable[tuple[list[Mention], str | None]]:
        """Yield mentions after a place, by pages, each with the place up to which all is read then."""

    def photo(self, mention: Mention) -> tuple[bytes | None, str]:
        """Return the file of a photo, or None and why: broken, huge, or "" where it may come yet."""

    def send(self, mention: Mention, reply: Reply, visibility: str, maybe_sent: bool) -> str:
        """Send a reply once, and return its id; where `maybe_sent`, look first whether it is there already.

        Raises Unanswerable where the mention is gone, or its author wants no replies.
        """

    def acknowledge(self, mention: Mention) -> None:
        """Show without words that a command was understood."""

    def delete(self, reply: str) -> None:
        """Take a reply down, if it is still there."""

    def wait(self, seconds: float) -> None:
        """Return as soon as something may have come, or after so many seconds."""

    def rang(self) -> bool:
        """Tell whether something may have come since this was asked last."""


@dataclass(frozen=True)
class Service:
    """A bot at work: how it answers, where it notes what it did, and how much a person may ask for."""

    network: Network
    answer: Callable[[bytes], Reply]
    journal: Journal
    forget: Callable[[str], None]  # takes down what was gathered of a person, by name
    quota: int = 3  # answers for a person within a day
    say: Callable[[str], None] = print

    def serve(self, once: bool = False) -> None:
        """Answer for ever, or with `once` only what waits now."""
        due = 0.0  # on time.monotonic's clock
        while True:
            if self.network.rang() or time.monotonic() >= due:
                self.read()
                due = time.monotonic() + (SAFETY if self.network.listening else POLL)
            mention = self.journal.next()
            if mention:
                self.settle(mention)
            elif once:
                return
            else:
                self.network.wait(due - time.monotonic())

    def read(self) -> None:
        """Note what has come since it was last read."""
        for mentions, place in self.network.arrivals(self.journal.place):
            self.journal.read(mentions, place)

    def settle(self, mention: Mention) -> None:
        """Do what is to be done for one mention, and note it."""
        journal = self.journal
        stopped, today = journal.has_stopped(mention.author), journal.answers_of_today(mention.author)
        decision = decide(mention, stopped, today, self.quota)
        try:
            if decision.silence:
                self._settle(mention, f"no answer: {decision.silence}")
            elif decision.command:
                self._obey(mention, decision.command)
                self._settle(mention, decision.command)
            elif reply := sorry(decision.sorry) if decision.sorry else self._look(mention):
                self._send(mention, reply, decision.sorry or "looked at")
        except Unanswerable as error:
            self._settle(mention, f"no answer: {error}")

    def _settle(self, mention: Mention, why: str) -> None:
        self.journal.settle(mention, why)
        self.say(f"mention {mention.id}: {why}")

    def _look(self, mention: Mention) -> Reply | None:
        """Fetch and rate a photo, which is in memory only meanwhile; None where it may come yet."""
        if self.journal.try_once_more(mention) > ATTEMPTS:
            return sorry("trouble")
        data, why = self.network.photo(mention)
        if data is None:
            return sorry(why) if why else None
        try:
            reply = self.answer(data)
        except Exception:  # one photo never stops the others
            traceback.print_exc()
            reply = sorry("trouble")
        self.journal.looked(mention)
        return reply

    def _send(self, mention: Mention, reply: Reply, why: str) -> None:
        maybe_sent = self.journal.begin(mention)
        sent = self.network.send(mention, reply, seen_by(mention), maybe_sent)
        self.journal.answered(mention, sent, why)
        self.say(f"mention {mention.id}: answered ({why}, {time.time() - mention.moment:.0f} s after it)")

    def _obey(self, mention: Mention, command: str) -> None:
        """Do as a person says; each step may be done again without harm."""
        if command != "delete":
            self.journal.stop(mention.author, stopped=command == "stop")
        else:
            for reply in self.journal.replies_to(mention.author):
                self.network.delete(reply)
                self.journal.deleted(reply)
            self.forget(mention.name)
        self.network.acknowledge(mention)
