"""The bot on a live server, in a process that is killed, with every fault that networks have."""

import itertools
import random
import re
import time
import zipfile
from pathlib import Path

import pytest
from bot_process import QUICK, BotProcess, make_run, until
from mastodon_server import TOKEN_OF_BOT, BotServer, Limit, account
from typer.testing import CliRunner

from selfie_utils.apps.cli import app

SELFIES = Path(__file__).parents[2] / "selfie_utils" / "posts" / "data" / "selfies" / "images.zip"
SILENCE = 1.0  # seconds in which a second reply would have come
# Where the bot is killed: at which request, and whether before the server looks at it, when all is done but
# nothing said, or after the answer is out.
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


def test_a_selfie_is_answered_within_ten_seconds_with_its_score_and_its_place_as_a_picture(
    server, bot, selfie
):
    bot.start()
    until(lambda: server.streams)
    mention = server.mention(selfie, author=7)
    assert until(lambda: server.replies) < 10
    (reply,) = server.replies_to(mention)
    score = re.match(r"@user7@example\.org Your photo scores (\d+\.\d%): of 80 test posts", reply["content"])[
        1
    ]
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


@pytest.mark.kills
def test_twenty_kills_at_every_step_and_at_any_moment_leave_one_reply_to_each_mention(server, bot, selfie):
    mentions, steps, rng = [], itertools.cycle(STEPS), random.Random(5)
    for i in range(20):
        bot.start()
        if i % 10 == 9:  # at any moment, while some wait
            mentions += [server.mention(selfie, author=i) for _ in range(4)]
            time.sleep(rng.uniform(0, 4))
            bot.kill()
            assert bot.ended() == -9
        else:
            mentions.append(kill_at(bot, server, next(steps), selfie))
        if i % 2:
            server.keys.clear()  # as after an hour
    bot.start()
    answered(server, mentions)


def test_a_reply_that_nobody_noted_is_found_though_the_server_forgot_its_idempotency_key(server, bot, selfie):
    bot.start()
    mention = kill_at(bot, server, "while posting", selfie)
    server.keys.clear()
    bot.start()
    later = server.mention(selfie)
    answered(server, [mention, later])


@pytest.mark.parametrize("path", ["/notifications", "POST /api/v2/media", "POST /api/v1/statuses"])
def test_faults_are_waited_for_and_leave_one_reply(server, bot, selfie, path):
    server.asks_to_wait = 0.5
    bot.start()
    until(lambda: server.streams)
    mentions = []
    for kind in ("429", "500", "503", "drop", "drop afterwards"):
        server.fail(path, kind)
        mentions.append(server.mention(selfie))
        until(lambda: server.replies_to(mentions[-1]), 30)
    server.keys.clear()
    server.fail(path, "drop afterwards")
    mentions.append(server.mention(selfie))
    answered(server, mentions)
    assert not any(fault[2] for fault in server.faults)  # each has happened


def test_a_photo_that_fails_for_a_while_is_fetched_later_and_one_that_is_gone_gets_a_kind_sentence(
    server, bot, selfie
):
    bot.start()
    until(lambda: server.streams)
    server.fail("/media/", "503", times=7)  # five tries are one attempt
    first = server.mention(selfie)
    until(lambda: server.replies_to(first))
    assert "scores" in server.replies_to(first)[0]["content"]
    server.photos.clear()
    second = server.mention(media_attachments=[image(server, "nowhere.jpg")])
    until(lambda: server.replies_to(second))
    assert "does not open" in server.replies_to(second)[0]["content"]


def image(server, name, kind="image"):
    return {"id": name, "type": kind, "url": f"{server.url}/media/{name}", "description": None, "meta": {}}


def test_a_server_that_restarts_is_waited_for(server, bot, selfie):
    bot.start()
    until(lambda: server.streams)
    server.stop()
    mention = server.mention(selfie)
    time.sleep(1)
    server.start()
    assert until(lambda: server.replies_to(mention)) < 20
    later = server.mention(selfie)
    answered(server, [mention, later])
    assert "Traceback" not in bot.said()


def test_a_token_that_is_revoked_ends_it_with_a_sentence_and_what_waits_is_answered_later(
    server, bot, selfie
):
    bot.start()
    until(lambda: server.streams)
    server.once("POST /api/v2/media", "before", server.tokens.clear)
    mention = server.mention(selfie)
    assert bot.ended() == 1
    last = bot.said().splitlines()[-1]
    assert last.startswith("Error: ") and "401" in last and "MASTODON_ACCESS_TOKEN" in last
    assert TOKEN_OF_BOT not in bot.said() and "Traceback" not in bot.said()
    server.tokens.add(TOKEN_OF_BOT)
    bot.start()
    answered(server, [mention])


def test_an_account_that_is_not_marked_as_a_bot_is_refused(server, bot):
    server.me["bot"] = False
    assert bot.start().ended() == 1
    assert "not marked as a bot" in bot.said() and not server.asked("notifications")


def test_two_bots_do_not_share_a_journal(server, bot, run, tmp_path):
    bot.start()
    until(lambda: server.streams)
    second = BotProcess(server, run, tmp_path)
    assert second.start().ended() == 1
    assert "at work with" in bot.said()


def test_many_are_answered_in_order_and_never_faster_than_the_server_takes(server, bot, selfie):
    load(server, bot, selfie, mentions=24, limit=Limit(25, 3))


@pytest.mark.kills
def test_two_hundred_at_once_are_answered_in_order_at_the_limit_and_memory_stays_flat(server, bot, selfie):
    memory = load(server, bot, selfie, mentions=200, limit=Limit(300, 60))
    warm = memory[len(memory) // 4]  # by now its network is fused
    assert memory[-1] < warm + 10  # MB


def load(server, bot, selfie, mentions, limit):
    """Have many mention the bot at once; returns the megabytes that it held meanwhile."""
    server.limit = limit
    bot.pace = QUICK | {"requests": limit.requests, "seconds": limit.seconds}
    waiting = [server.mention(selfie, author=i) for i in range(mentions)]
    begun, memory = time.monotonic(), []
    bot.start()
    until(lambda: len(server.replies) >= mentions // 8, 240)
    while len(server.replies) < mentions:
        memory.append(bot.memory())
        time.sleep(0.5)
        assert time.monotonic() - begun < 400
    took = time.monotonic() - begun
    answered(server, waiting)
    assert [reply["in_reply_to_id"] for reply in server.all_replies] == waiting
    assert server.refused <= 1  # the first window of the server's clock began before the bot did
    asked = sum("/media/" not in path and "/streaming" not in path for path, _ in server.seen)
    print(f"{mentions} in {took:.1f} s, {asked} requests, {memory[0]:.0f} to {memory[-1]:.0f} MB")
    assert took >= (asked // limit.requests) * limit.seconds * 0.8
    return memory


def test_where_pictures_have_a_limit_of_their_own_that_is_reached_words_alone_come(server, bot, selfie):
    server.media_limit = Limit(1, 24 * 3600)
    bot.start()
    mentions = [server.mention(selfie) for _ in range(3)]
    answered(server, mentions)
    assert [len(server.replies_to(one)[0]["media"]) for one in mentions] == [1, 0, 0]
    assert all("scores" in server.replies_to(one)[0]["content"] for one in mentions)


def test_a_picture_that_the_server_has_to_work_on_is_waited_for(server, bot, selfie):
    server.ready_after = 2
    bot.start()
    mention = server.mention(selfie)
    answered(server, [mention])
    assert server.replies_to(mention)[0]["media"]


MANNERS = {  # what is mentioned how, and a piece of the reply, or None for silence
    "unlisted stays so": ({"visibility": "unlisted"}, "scores", "unlisted"),
    "to followers": ({"visibility": "private"}, "scores", "direct"),
    "to the bot alone": ({"visibility": "direct"}, "scores", "direct"),
    "sensitive": ({"sensitive": True}, "marked as sensitive", "unlisted"),
    "behind a warning": ({"spoiler_text": "skin"}, "marked as sensitive", "unlisted"),
    "by a bot": ({"account": account(3, bot=True)}, None, None),
    "by somebody with #nobot": ({"account": account(3, note="<p>hi, #NoBot</p>")}, None, None),
    "an answer": ({"in_reply_to_id": "5"}, None, None),
    "somebody else's post": ({"reblog": {"id": "5"}}, None, None),
    "not by name": ({"mentions": []}, None, None),
}


def test_it_has_manners(server, bot, selfie):
    bot.start()
    told = {}
    for i, (name, (changes, _, _)) in enumerate(MANNERS.items()):
        told[name] = server.mention(selfie, **{"author": 20 + i} | changes)
    told |= {"no photo": server.mention()}
    attached = (
        [image(server, "a.gif", "gifv")],
        [image(server, "a.mp4", "video")],
        [image(server, "a.jpg")] * 2,
    )
    kinds = ("moves", "only photos", "Several photos")
    for i, media in enumerate(attached):
        told[kinds[i]] = server.mention(media_attachments=media, author=40 + i)
    told["last"] = server.mention(selfie, author=50)
    until(lambda: server.replies_to(told["last"]))
    for name, (_, piece, visibility) in MANNERS.items():
        found = server.replies_to(told[name])
        assert len(found) == (piece is not None), name
        if piece:
            assert piece in found[0]["content"] and found[0]["visibility"] == visibility, name
            assert bool(found[0]["media"]) == (piece == "scores")
    assert server.replies_to(told["no photo"]) == []
    assert all(piece in server.replies_to(told[piece])[0]["content"] for piece in kinds)


def test_a_person_gets_a_quota_then_a_goodbye_then_silence_and_others_go_on(server, bot, selfie):
    bot.quota = 2
    bot.start()
    mine = [server.mention(selfie, author=1) for _ in range(5)]
    other = server.mention(selfie, author=2)
    answered(server, [*mine[:3], other])
    assert "last answer for today" in server.replies_to(mine[2])[0]["content"]
    assert not server.replies_to(mine[3]) and not server.replies_to(mine[4])


def test_stop_start_and_delete_are_understood_and_answered_with_a_star(server, bot, selfie):
    bot.start()
    first = server.mention(selfie, author=1)
    other = server.mention(selfie, author=2)
    until(lambda: len(server.replies) == 2)
    reply = server.replies_to(first)[0]["id"]
    stop = server.mention(author=1, text="Stop!", in_reply_to_id=reply)
    silent = server.mention(selfie, author=1)
    delete = server.mention(author=1, text="delete", in_reply_to_id=reply)
    until(lambda: len(server.stars) == 2)
    assert server.stars == [stop, delete]
    assert [one["in_reply_to_id"] for one in server.replies.values()] == [other]
    server.mention(author=1, text="start")
    again = server.mention(selfie, author=1)
    answered(server, [again])
    assert not server.replies_to(silent)


def test_a_mention_that_is_gone_stops_nobody(server, bot, selfie):
    bot.start()
    until(lambda: server.streams)
    server.once("POST /api/v2/media", "between", lambda: server.mentions.pop(gone))
    gone = server.mention(selfie)
    later = server.mention(selfie)
    answered(server, [later])
    assert not server.replies_to(gone) and "gone" in bot.said()


def test_what_a_mention_said_and_showed_is_nowhere_after_the_answer(server, bot, selfie, tmp_path):
    bot.start()
    mention = server.mention(selfie, text="a sentence that nobody keeps")
    answered(server, [mention])
    bot.kill()
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert mention.encode() in kept
    assert b"nobody keeps" not in kept and f"{mention}.jpg".encode() not in kept and selfie[:64] not in kept
    assert TOKEN_OF_BOT.encode() not in kept


def test_mentions_of_more_than_a_day_before_its_first_start_are_left_alone(server, bot, selfie):
    old, new = server.mention(selfie), server.mention(selfie)
    old_note = server.notifications[0]
    old_note["created_at"] = "2026-01-01T00:00:00.000Z"
    bot.start()
    answered(server, [new])
    assert not server.replies_to(old)


def test_a_mention_whose_id_comes_late_and_below_others_is_found(server, bot, selfie):
    early = server.mention(selfie)
    late = server.notifications.pop()  # another process of the server is still at it
    bot.start()
    later = server.mention(selfie)
    until(lambda: server.replies_to(later))
    server.notifications.append(late)
    for stream in server.streams:
        stream.put(late)
    answered(server, [early, later])


def test_a_dry_run_prints_and_sends_nothing(server, bot, selfie):
    server.mention(selfie)
    server.mention(text="delete")
    bot.journal = None
    bot.start()
    until(lambda: "a star" in bot.said())
    assert "Your photo scores" in bot.said() and "A row of small photos" in bot.said()
    assert not any(path.startswith(("POST", "DELETE")) for path, _ in server.seen)


def test_without_a_token_the_command_says_what_to_do(run, monkeypatch):
    monkeypatch.delenv("MASTODON_ACCESS_TOKEN", raising=False)
    done = CliRunner().invoke(app, ["bot", "mastodon", "--instance", "http://127.0.0.1:9", "--run", str(run)])
    assert done.exit_code == 1 and "MASTODON_ACCESS_TOKEN" in done.stderr
