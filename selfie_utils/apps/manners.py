"""The bot's manners: whom it answers, and how it says what; the same on every network."""

import re
from dataclasses import dataclass
from typing import NamedTuple

COMMANDS = ("stop", "start", "delete")
SORRY = {
    "no face": "I find no face in it, and know of nothing but selfies: no score this time.",
    "several photos": "Several photos at once are too many for me: please send one, then I score it.",
    "sensitive": "This post is marked as sensitive, so I did not look at it: no score.",
    "video": "I know only photos, and this is something else: please send a single picture.",
    "animation": "This one moves, and I know only still photos: please send a single picture.",
    "broken": "This file does not open as a photo: please send it again as JPEG or PNG.",
    "huge": "This file is too large for me: please send a smaller one, 2000 pixels a side are plenty.",
    "quota": "That was your last answer for today, so that others get theirs: I'm glad to go on tomorrow.",
    "trouble": "Something went wrong on my side with this photo, sorry: no score.",
}  # why there is no score, to a kind sentence
# How widely a reply is seen: at most as the mention, and never in public timelines. "private" is for an
# author's followers, and the bot's are others, so such a mention is answered to its author alone.
VISIBILITY = {"public": "unlisted", "unlisted": "unlisted"}
ALONE = "direct"
NOT_PHOTOS = {
    "gifv": "animation",
    "video": "video",
    "audio": "video",
}  # kinds of attachments, and what to say


@dataclass(frozen=True)
class Mention:
    """A post that mentions the bot, as far as it matters."""

    id: str
    author: str  # id
    name: str  # to address its author by, as user@server
    moment: float  # seconds since 1970
    text: str  # without the names that it mentions
    kinds: tuple[str, ...]  # of what is attached: image, video, …
    photo: str  # address of the first image, empty where there is none
    visibility: str
    sensitive: bool
    is_reply: bool  # to any post
    is_direct: bool  # it is its author's own, and names the bot
    by_bot: bool
    opted_out: bool  # its author's profile says #nobot or the like


@dataclass(frozen=True)
class Reply:
    """What to say to a photo."""

    sentences: tuple[str, ...]  # the most important first
    picture: bytes = b""  # empty where there is none
    kind: str = ""  # of the picture: png, jpeg or webp
    alt: str = ""  # what the picture shows, in words

    def text(self, room: int) -> str:
        """Return the first sentences, as many whole ones as have room, but one at least."""
        told = self.sentences[0]
        for sentence in self.sentences[1:]:
            if len(told) + 1 + len(sentence) <= room:
                told += f" {sentence}"
        return told[:room]


def sorry(why: str) -> Reply:
    """Say kindly why there is no score."""
    return Reply((SORRY[why],))


class Decision(NamedTuple):
    """What to do about a mention: one of the three, or look at its photo where all are empty."""

    silence: str = ""  # why
    command: str = ""
    sorry: str = ""  # why there is no score: a key of SORRY


def decide(mention: Mention, has_stopped: bool, answers_today: int, quota: int) -> Decision:
    """Decide what a mention gets; a person gets `quota` answers a day, the last one is a goodbye."""
    command = command_in(mention.text)
    if silence := _silence(mention, command, has_stopped):
        return Decision(silence=silence)
    if command:
        return Decision(command=command)
    if not mention.kinds:
        return Decision(silence="no photo")
    if answers_today > quota:
        return Decision(silence="more than a day's answers")
    return Decision(sorry="quota" if answers_today == quota else _no_score(mention))


def _silence(mention: Mention, command: str, has_stopped: bool) -> str:
    """Return why a mention gets no answer; people who want none may still tell the bot what to do."""
    reasons = {
        "by a bot": mention.by_bot,
        "not a mention of its author's own": not mention.is_direct,
        "its author opted out": mention.opted_out and not command,
        "its author said stop": has_stopped and not command,
        "an answer to a post": mention.is_reply and not command,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def _no_score(mention: Mention) -> str:
    """Return why a mention has no score, a key of SORRY; empty where its photo is to be looked at."""
    if mention.sensitive:
        return "sensitive"
    other = [kind for kind in mention.kinds if kind != "image"]
    if other:
        return NOT_PHOTOS.get(other[0], "broken")
    return "several photos" if len(mention.kinds) > 1 else "" if mention.photo else "broken"


def command_in(text: str) -> str:
    """Return the command that a mention consists of, or an empty string; words around it make it none."""
    word = re.sub(r"[^\w]+", " ", text).strip().lower()
    return word if word in COMMANDS else ""


def seen_by(mention: Mention) -> str:
    """Return who may see the reply."""
    return VISIBILITY.get(mention.visibility, ALONE)
