"""Whom the bot answers: decisions, from both sides of each."""

from dataclasses import replace

import pytest

from selfie_utils.apps.manners import COMMANDS, SORRY, Decision, Mention, command_in, decide, seen_by

PLAIN = Mention("1", "7", "a@b.org", 0.0, "look", ("image",), "http://x/1.jpg", "public",
                sensitive=False, is_reply=False, is_direct=True, by_bot=False, opted_out=False)  # fmt: skip


def what(mention, stopped=False, today=0):
    return decide(mention, stopped, today, 3)


def test_a_person_s_own_photo_is_looked_at():
    assert what(PLAIN) == Decision()


@pytest.mark.parametrize(
    "change",
    [{"by_bot": True}, {"opted_out": True}, {"is_reply": True}, {"is_direct": False}, {"kinds": ()}],
)
def test_who_does_not_want_an_answer_gets_none(change):
    assert what(replace(PLAIN, **change)).silence


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"sensitive": True}, "sensitive"),
        ({"kinds": ("image", "image")}, "several photos"),
        ({"kinds": ("video",)}, "video"),
        ({"kinds": ("image", "gifv")}, "animation"),
        ({"kinds": ("unknown",), "photo": ""}, "broken"),
        ({"kinds": ("image",), "photo": ""}, "broken"),
    ],
)
def test_what_can_have_no_score_gets_a_sentence(change, why):
    assert what(replace(PLAIN, **change)) == Decision(sorry=why)
    assert why in SORRY


def test_the_last_answer_of_a_day_is_a_goodbye():
    assert [what(PLAIN, today=n) for n in (2, 3)] == [Decision(), Decision(sorry="quota")]
    assert what(PLAIN, today=4).silence


def test_who_said_stop_is_left_alone_but_may_still_say_delete_and_start():
    assert what(PLAIN, stopped=True).silence
    for command in COMMANDS:
        asked = replace(PLAIN, text=command, is_reply=True, opted_out=True)
        assert what(asked, stopped=True, today=9) == Decision(command=command)
        assert what(replace(asked, by_bot=True)).silence


def test_a_command_stands_alone():
    assert [command_in(text) for text in ("stop", " STOP! ", "Delete.", "start")] == [
        "stop", "stop", "delete", "start"]  # fmt: skip
    assert [command_in(text) for text in ("don't stop", "stop it", "", "please delete", "stopp")] == [""] * 5


def test_a_reply_is_seen_by_no_more_people_than_the_mention_and_never_public():
    expected = {
        "public": "unlisted",
        "unlisted": "unlisted",
        "private": "direct",
        "direct": "direct",
        "?": "direct",
    }
    assert {kind: seen_by(replace(PLAIN, visibility=kind)) for kind in expected} == expected
