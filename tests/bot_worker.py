"""What a process of `bot_process` does; importing it takes long, and is done once."""

import os
import sys
from pathlib import Path

import torch
from mastodon_server import TOKEN_OF_BOT
from toy_run import make_run, open_rater

from selfie_utils.analysis.answer import Rater
from selfie_utils.apps.bot import Bot
from selfie_utils.apps.cli_bot import start
from selfie_utils.apps.mastodon import DryRun, MastodonNetwork, Pace
from selfie_utils.core.errors import in_one_sentence
from selfie_utils.posts.server import TOKEN

Rater._warm_up = lambda self: None  # the first answer may take a little longer; the process starts at once


def make(root: Path) -> None:
    """Write a run folder with a tiny network."""
    torch.set_num_threads(1)
    make_run(root)


def work(url: str, root: Path, journal: Path | None, pace: dict[str, float], quota: int, log: Path) -> None:
    """Do what `selfie bot mastodon` does, with a tiny network, at the pace of the test."""
    torch.set_num_threads(1)
    with log.open("a") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.stdout.reconfigure(line_buffering=True)
    os.environ[TOKEN] = TOKEN_OF_BOT
    with in_one_sentence():
        network = (MastodonNetwork if journal else DryRun)(url, print, Pace(**pace))
        start(network, Bot(open_rater(root)).answer, journal, quota, once=False)
