"""The bot on a live server of Mastodon's API, in a process that is killed, with every fault that networks have."""

import itertools
import re
import time
import zipfile
from pathlib import Path

import pytest
from bot_process import QUICK, BotProcess, make_run, until
from mastodon_server import TOKEN_OF_BOT, BotServer, Limit, account

SELFIES = Path(__file__).parents[2] / "selfie_utils" / "posts" / "data" / "selfies" / "images.zip"
SILENCE = 1.5  # seconds in which a second reply would have come
# Where the bot is killed, once each: what a request is about, and whether it is before the server looks at it,
# when all is done but nothing said, or after the answer is out.
STEPS = {
    "after reading": ("GET /media", "before"),
    "after rating": ("POST /api/v2/media", "before"),
    "while uploading": ("POST /api/v2/media", "between"),
    "after uploading": ("POST /api/v1/statuses", "before"),
    "while posting": ("POST /api/v1/statuses", "between"),
    "after posting": ("POST /api/v1/statuses", "after"),
}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("bot") / "run")


@pytest.fixture(scope="module")
def selfie():
    """The photo of somebody who does not exist, a face in it."""
    with zipfile.ZipFile(SELFIES) as archive:
        return archive.read("00000.jpg")


@pytest.fixture
def server():
    made = BotServer()
    yield made
    made.stop()


@pytest.fixture
def bot(server, run, tmp_path):
    made = BotProcess(server, run, tmp_path)
    yield made
    if made.process:
        made.kill()
    print(made.said())


def answered(server, mentions, patience=60):
    """Wait until each mention has a reply, and longer; none has two."""
    until(lambda: all(server.replies_to(one) for one in mentions), patience)
    time.sleep(SILENCE)
    assert [len(server.replies_to(one)) for one in mentions] == [1] * len(mentions)


def kill_at(bot, server, step, selfie):
    """Have the bot killed at a step of its next answer, and started again; returns the mention."""
    server.once(*STEPS[step], bot.kill)
    mention = server.mention(selfie)
    assert bot.ended() == -9, step
    return mention


def test_a_selfie_is_answered_within_ten_seconds_with_its_score_and_its_place_as_a_picture(server, bot, selfie):
    bot.start()
    until(lambda: server.streams)
    mention = server.mention(selfie, author=7)
    assert until(lambda: server.replies) < 10
    (reply,) = server.replies_to(mention)
    score = re.match(r"@user7@example\.org Your photo scores (\d+\.\d%): of 80 test posts", reply["content"])[1]
    (media,) = reply["media"]
    picture = server.media[media]
    assert picture["file"][:3] == b"\xff\xd8\xff" and score in picture["description"]
    assert len(reply["content"]) <= 500 and reply["visibility"] == "unlisted"
    assert "Idempotency-Key" in next(h for path, h in server.seen if path == "POST /api/v1/statuses")


def test_without_a_stream_it_looks_for_mentions_itself(server, bot, selfie):
    server.has_streams = False
    bot.start()
    until(lambda: server.asked("/notifications"))
    mention = server.mention(selfie)
    assert until(lambda: server.replies_to(mention)) < 10


def test_killed_at_every_step_it_answers_each_mention_exactly_once(server, bot, selfie):
    mentions = []
    for step in STEPS:
        bot.start()
        mentions.append(kill_at(bot, server, step, selfie))
    bot.start()
    answered(server, mentions)


def test_load(server, bot, selfie):
    server.limit = Limit(300, 10)
    bot.pace = QUICK | {"requests": 300, "seconds": 10}
    mentions = [server.mention(selfie, author=i) for i in range(200)]
    bot.start()
    begun=time.time()
    until(lambda: len(server.replies) > 5)
    m = bot.memory()
    until(lambda: len(server.replies) == 200, 300)
    print(time.time()-begun, m, bot.memory(), server.refused)
