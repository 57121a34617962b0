"""The bot's journal: nothing twice, nothing lost, nothing kept that is not needed."""

import sqlite3
from dataclasses import replace

import pytest
from test_manners import PLAIN

from selfie_utils.apps.journal import DAY, open_journal
from selfie_utils.core.errors import SelfieError


@pytest.fixture
def path(tmp_path):
    return tmp_path / "journal.sqlite"


def test_mentions_come_out_once_each_the_oldest_first_and_survive_a_restart(path):
    told = [replace(PLAIN, id=str(i), moment=float(100 - i)) for i in (3, 9, 11)]
    with open_journal(path) as journal:
        assert journal.place is None
        journal.read(told, "55")
    with open_journal(path) as journal:
        journal.read(told, "60")
        assert journal.place == "60" and journal.waiting() == 3
        seen = []
        while mention := journal.next():
            seen.append(mention)
            journal.answered(mention, f"r{mention.id}", "")
        assert seen == sorted(told, key=lambda one: one.moment)
        journal.read(told, "60")  # a server tells of them again
        assert journal.next() is None


def test_a_page_that_fails_half_way_leaves_nothing(path):
    with open_journal(path) as journal:
        with pytest.raises(sqlite3.Error):
            journal.read([PLAIN, replace(PLAIN, id={})], "9")  # an id that no database holds
        assert journal.waiting() == 0 and journal.place is None


def test_a_photo_that_brings_the_bot_down_lets_others_pass(path):
    with open_journal(path) as journal:
        journal.read([PLAIN, replace(PLAIN, id="2", moment=5.0)], None)
        assert journal.try_once_more(PLAIN) == 1 and journal.next() == PLAIN
        assert journal.try_once_more(PLAIN) == 2 and journal.next().id == "2"
        journal.looked(PLAIN)
        assert journal.next() == PLAIN


def test_a_reply_that_was_begun_may_be_out(path):
    with open_journal(path) as journal:
        journal.read([PLAIN], None)
        assert journal.begin(PLAIN) is False and journal.begin(PLAIN) is True


def test_answers_count_for_a_day_deleted_ones_too_and_settled_ones_do_not(path, monkeypatch):
    now = [1000.0]
    monkeypatch.setattr("selfie_utils.apps.journal.time.time", lambda: now[0])
    with open_journal(path) as journal:
        mentions = [replace(PLAIN, id=str(i)) for i in range(4)]
        journal.read([*mentions, replace(PLAIN, id="9", author="8")], None)
        journal.answered(mentions[0], "r0", "")
        journal.answered(mentions[1], "r1", "")
        journal.settle(mentions[2], "no photo")
        assert journal.replies_to("7") == ["r0", "r1"]
        journal.deleted("r0")
        assert journal.replies_to("7") == ["r1"]
        assert (journal.answers_of_today("7"), journal.answers_of_today("8")) == (2, 0)
        now[0] += DAY - 1
        assert journal.answers_of_today("7") == 2
        now[0] += 1
        assert journal.answers_of_today("7") == 0


def test_who_stopped_is_known_until_they_start(path):
    with open_journal(path) as journal:
        journal.stop("7")
        journal.stop("7")
        assert journal.has_stopped("7") and not journal.has_stopped("8")
        journal.stop("7", stopped=False)
        assert not journal.has_stopped("7")


def test_a_journal_is_one_account_s_and_other_files_are_refused(path):
    with open_journal(path) as journal:
        journal.claim("a at http://x")
        journal.claim("a at http://x")
        with pytest.raises(SelfieError, match="that of a at http://x, not of b"):
            journal.claim("b at http://x")
    path.write_bytes(b"this is a letter, and no data base" * 100)
    with pytest.raises(SelfieError, match="no journal"), open_journal(path):
        pass


def test_what_a_settled_mention_said_is_nowhere_in_the_file(path, monkeypatch):
    """Also where SQLite was built so that it leaves what was deleted in its pages."""

    def careless(file):
        base = connect(file)
        base.execute("PRAGMA secure_delete = OFF")
        return base

    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", careless)
    said = ["my grandmother's garden", "a long walk " * 500, "the harbour of Aalborg"]  # one fills pages
    told = [replace(PLAIN, id=str(i), text=text) for i, text in enumerate(said)]
    with open_journal(path) as journal:
        journal.read(told, None)
    before = path.read_bytes()
    assert all(text[:20].encode() in before for text in said)
    with open_journal(path) as journal:
        journal.answered(told[0], "r0", "")
        journal.settle(told[1], "no photo")
    after = path.read_bytes()
    assert [text[:11].encode() in after for text in said] == [False, False, True]
