"""Gathering from a live server with every fault there is: no post twice, none lost, nobody who opted out."""

import datetime
import io
import signal
import sqlite3
import subprocess
import sys
import time
from types import SimpleNamespace

import pandas as pd
import pytest
from mastodon_server import NOW, MastodonServer, account
from PIL import Image
from typer.testing import CliRunner

from selfie_utils.apps.cli import app
from selfie_utils.core.errors import SelfieError
from selfie_utils.posts import gather as gathering
from selfie_utils.posts import server as asking
from selfie_utils.posts.gather import DATABASE, GatherOptions, gather, open_gathered, why_not
from selfie_utils.posts.importers.mastodon import read_mastodon
from selfie_utils.posts.importing import import_posts
from selfie_utils.posts.server import TOKEN
from selfie_utils.posts.takedown import forget

COUNT = 23  # posts: pages of 10, 10 and 3
SOON = 20  # seconds in which even a busy machine has gathered a few posts


@pytest.fixture
def server():
    made = MastodonServer(count=COUNT)
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def small_server():
    """Three posts, for tests of what happens to single ones."""
    made = MastodonServer(count=3)
    yield made
    made.shutdown()
    made.server_close()


def options(server, out, **changes):
    made = {"tags": ("selfie",), "instance": server.url, "out": out, "pause": 0.01, "between": 0}
    return GatherOptions(**made | changes)


def rows(out, what="post_id, state"):
    base = sqlite3.connect(out / DATABASE)
    found = base.execute(f"SELECT {what} FROM posts ORDER BY CAST(post_id AS INTEGER)").fetchall()
    base.close()
    return found


def change(out, statement, *values):
    base = sqlite3.connect(out / DATABASE)
    base.execute(statement, values)
    base.commit()
    base.close()


def all_there(out, count=COUNT):
    """Every post once, with a photo that can be opened."""
    assert rows(out) == [(str(i), "present") for i in range(1, count + 1)]
    for (image,) in rows(out, "image"):
        Image.open(out / "images" / image).verify()


# --- pages -------------------------------------------------------------------------------------------------


def test_all_pages_are_gathered_once_and_again_only_what_is_new(server, tmp_path):
    said = []
    assert gather(options(server, tmp_path), said.append)["posts with their photo"] == COUNT
    all_there(tmp_path)
    assert said == [f"posts with their photo: {COUNT}, photos still to come: 0, photos gone: 0"]
    assert (
        server.asked("/timelines/") == 4 and server.asked("/media/") == COUNT
    )  # 10, 10, 3 and an empty page
    assert server.asked("limit=40") == 4 and server.asked("only_media") == 4
    assert server.asked("max_id") == 3 and server.asked("since_id") == 0
    for i in range(COUNT + 1, 37):
        server.add(i)
    server.seen.clear()
    gather(options(server, tmp_path), said.append)
    all_there(tmp_path, 36)
    assert server.asked("/media/") == 13
    assert server.asked(f"since_id={COUNT}") == server.asked("/timelines/") == 3
    server.seen.clear()
    gather(options(server, tmp_path), said.append)
    assert server.asked("since_id=36") == server.asked("/timelines/") == 1  # nothing is new


def test_what_was_published_while_a_sweep_was_interrupted_is_gathered_too(server, tmp_path):
    gather(options(server, tmp_path, posts=1), print)
    for i in range(COUNT + 1, 37):
        server.add(i)
    gather(options(server, tmp_path, posts=15), print)
    assert len(rows(tmp_path)) == 20  # the old sweep goes on first
    gather(options(server, tmp_path), print)
    all_there(tmp_path, 36)
    assert server.asked("/media/") == 36


def test_a_post_is_kept_with_what_the_suite_needs(small_server, tmp_path):
    made = small_server.add(4, photos=3, days=10)
    film = {"id": "1", "type": "video", "url": small_server.url + "/film.mp4", "description": "a film"}
    lost = {"id": "2", "type": "image", "url": None, "description": "lost"}
    made["media_attachments"] = [film, lost, *made["media_attachments"]]
    gather(options(small_server, tmp_path), print)
    columns = "user_id, followers, likes, tags, tag_names, alt_text, photos, url, image, posted_at"
    posted = (NOW - datetime.timedelta(days=10) + datetime.timedelta(minutes=4)).isoformat()
    assert rows(tmp_path, columns)[-1] == (
        "user4@example.org", 104, 4, 2, "selfie sun", "photo 4", 3, "https://example.org/@user/4", "4/4.jpg",
        posted,
    )  # fmt: skip
    import_posts("mastodon", read_mastodon(tmp_path), tmp_path / "data")
    posts = pd.read_parquet(tmp_path / "data" / "posts.parquet")
    assert len(posts) == 4 and (posts["collected_at"] > posts["posted_at"]).all()
    assert not posts.astype(str).apply(lambda column: column.str.contains("Name ")).any().any()


def test_several_tags_are_swept_each_for_itself_and_no_post_is_kept_twice(small_server, tmp_path):
    small_server.add(4, tags=[{"name": "sun", "url": ""}])
    small_server.add(5, tags=[{"name": "selfie", "url": ""}])
    gather(options(small_server, tmp_path, tags=("#Selfie", "sun")), print)
    all_there(tmp_path, 5)
    assert small_server.asked("/tag/selfie?") == small_server.asked("/tag/sun?") == 2
    assert small_server.asked("/media/") == 5
    gather(options(small_server, tmp_path, tags=("selfie",)), print)
    assert small_server.asked("since_id=5") == 1  # its own newest post
    gather(options(small_server, tmp_path, tags=("sun",)), print)
    assert small_server.asked("since_id=4") == 1


@pytest.mark.parametrize(("posts", "kept"), [(10, 10), (11, 20), (0, COUNT)])
def test_it_stops_at_a_number_after_a_whole_page_and_goes_on_there(server, tmp_path, posts, kept):
    gather(options(server, tmp_path, posts=posts), print)
    assert len(rows(tmp_path)) == kept
    gather(options(server, tmp_path), print)
    all_there(tmp_path)
    assert server.asked("/media/") == COUNT


def test_photos_that_are_gone_do_not_count_as_kept(server, tmp_path):
    del server.photos[f"{COUNT}-0.jpg"]
    gather(options(server, tmp_path, posts=10), print)
    assert len(rows(tmp_path)) == 20  # one of the first ten is gone


# --- failures ----------------------------------------------------------------------------------------------


def test_a_server_that_asks_to_slow_down_is_waited_for_and_the_wait_told(small_server, tmp_path, monkeypatch):
    monkeypatch.setattr(asking, "WORTH_SAYING", 0.5)
    said = []
    small_server.fail("/timelines/", "429")
    small_server.fail("/media/2-0.jpg", "429")
    gather(options(small_server, tmp_path), said.append)
    all_there(tmp_path, 3)
    assert small_server.waits("/timelines/")[0] > 0.95 and small_server.waits("/media/2-0.jpg")[0] > 0.95
    assert said[0].startswith("the server asks to slow down: waiting ")
    assert said[1] == "an image fails (429): waiting 1 s" and len(said) == 3


def test_nobody_waits_longer_than_the_longest_wait(small_server, tmp_path):
    said = []
    small_server.asks_to_wait = 100
    small_server.fail("/timelines/", "429")
    small_server.fail("/media/2-0.jpg", "429")
    begun = time.monotonic()
    gather(options(small_server, tmp_path, longest_wait=0.3), said.append)
    all_there(tmp_path, 3)
    assert time.monotonic() - begun < SOON and len(said) == 1  # not worth telling
    assert small_server.waits("/timelines/")[0] > 0.28 and small_server.waits("/media/2-0.jpg")[0] > 0.28


def test_without_other_wishes_nobody_waits_longer_than_a_quarter_of_an_hour(tmp_path):
    asked = GatherOptions(("selfie",), "http://127.0.0.1:1", tmp_path)
    assert (asked.longest_wait, asked.pause) == (900, 2)


def test_a_moment_that_has_passed_is_not_waited_for(small_server, tmp_path):
    small_server.asks_to_wait = -5
    small_server.fail("/timelines/", "429")
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)


@pytest.mark.parametrize("path", ["/timelines/", "/media/2-0.jpg"])
def test_the_wait_doubles_with_every_failure(small_server, tmp_path, path):
    small_server.fail(path, "503", times=4)
    gather(options(small_server, tmp_path, pause=0.03), print)
    all_there(tmp_path, 3)
    waits = small_server.waits(path)[:4]
    assert all(wait > 0.029 * 2**n for n, wait in enumerate(waits)) and len(waits) == 4


@pytest.mark.parametrize("kind", ["drop", "500"])
def test_a_photo_that_fails_is_asked_for_again(small_server, tmp_path, kind):
    small_server.fail("/media/2-0.jpg", kind, times=2)
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)
    assert small_server.asked("/media/2-0.jpg") == 3
    assert not list(tmp_path.rglob("*.part*"))


def test_a_photo_that_keeps_failing_comes_in_the_next_run(small_server, tmp_path):
    small_server.fail("/media/2-0.jpg", "drop", times=99)
    found = gather(options(small_server, tmp_path), print)
    assert found["posts with their photo"] == 2 and found["photos still to come"] == 1
    # Five tries each time it is looked for: after the page that brought it, and after the empty last one.
    assert small_server.asked("/media/2-0.jpg") == 10
    source = read_mastodon(tmp_path)
    assert source.dropped.values.tolist() == [["2", "image has not come yet"]]
    small_server.faults.clear()
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)


@pytest.mark.parametrize("status", ["401", "403", "404", "410"])
def test_a_photo_that_is_gone_is_noted_and_not_asked_for_again(small_server, tmp_path, status):
    small_server.fail("/media/2-0.jpg", status, times=99)
    for _ in range(2):
        found = gather(options(small_server, tmp_path), print)
    assert found["photos gone"] == 1 and small_server.asked("/media/2-0.jpg") == 1
    assert read_mastodon(tmp_path).dropped.values.tolist() == [["2", f"image is gone ({status})"]]


@pytest.mark.parametrize("address", ["ftp://x.example/a.jpg", "http://[half/a.jpg", "data:,a"])
def test_what_is_no_address_of_a_photo_is_noted_at_once(small_server, tmp_path, address):
    small_server.posts[2]["media_attachments"][0]["url"] = address
    assert gather(options(small_server, tmp_path, pause=60), print)["photos gone"] == 1
    assert read_mastodon(tmp_path).dropped.values.tolist() == [["2", "its address is none of the web"]]


def test_the_path_of_a_photo_is_one_on_its_server(small_server, tmp_path):
    small_server.posts[2]["media_attachments"][0]["url"] = "/media/2-0.jpg"
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)


def test_what_is_no_image_or_too_large_is_noted_with_its_reason(small_server, tmp_path, monkeypatch):
    small_server.add(4)
    small_server.add(5)
    small_server.photos["2-0.jpg"] = b"RIFF1234WAVEnot a photo"
    small_server.photos["3-0.jpg"] = b"\xff\xd8\xffnot much of one"
    largest = 3 * 2**20
    small_server.photos["4-0.jpg"] += b"\0" * (largest - len(small_server.photos["4-0.jpg"]))
    small_server.photos["5-0.jpg"] += b"\0" * (largest + 1 - len(small_server.photos["5-0.jpg"]))
    monkeypatch.setattr(asking, "LARGEST_IMAGE", largest)
    assert gather(options(small_server, tmp_path), print)["posts with their photo"] == 2
    assert dict(read_mastodon(tmp_path).dropped.values.tolist()) == {
        "2": "not an image", "3": "not an image", "5": "image is larger than 3 MB",
    }  # fmt: skip
    assert (tmp_path / "images" / "4" / "4.jpg").stat().st_size == largest


def test_a_server_error_is_tried_again_then_told_and_nothing_is_lost(small_server, tmp_path):
    small_server.fail("/timelines/", "500", times=4)
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)
    small_server.add(4)
    small_server.seen.clear()
    small_server.fail("/timelines/", "500", times=99)
    told = (
        rf"{small_server.url} did not answer in 5 tries, the server fails \(500 .*\): run .* gathered is kept"
    )
    with pytest.raises(SelfieError, match=told):
        gather(options(small_server, tmp_path), print)
    assert small_server.asked("/timelines/") == 5
    all_there(tmp_path, 3)
    small_server.faults.clear()
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 4)


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    told = r"127\.0\.0\.1:1 did not answer in 5 tries, the server fails \(ConnectionError\)"
    with pytest.raises(SelfieError, match=told) as error:
        gather(GatherOptions(("selfie",), "http://127.0.0.1:1/", tmp_path, pause=0.01, between=0), print)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "given", ["mastodon.social", " https://mastodon.social/ ", "https://mastodon.social/tags/selfie?a=b"]
)
def test_a_server_is_one_however_its_address_is_written(tmp_path, given):
    with open_gathered(tmp_path, given) as base:
        assert base.execute("SELECT value FROM about").fetchall() == [("https://mastodon.social",)]
    with open_gathered(tmp_path, "https://mastodon.social"):
        pass


@pytest.mark.parametrize(
    "given",
    ["", " ", "mastodon social", "@me@mastodon.social", "ftp://x.example", "https://", "http://x:99999"],
)
def test_what_is_no_address_of_a_server_is_refused_at_once(tmp_path, given):
    with pytest.raises(SelfieError, match=f"no server {given!r}: give an address such as https://mastodon"):
        gather(GatherOptions(("selfie",), given, tmp_path / "out"), print)


@pytest.mark.parametrize("tag", ["", "#", "two words", "a/b", "#a#b"])
def test_what_is_no_tag_is_refused_at_once(small_server, tmp_path, tag):
    with pytest.raises(SelfieError, match="expected a word such as selfie"):
        gather(options(small_server, tmp_path, tags=("selfie", tag)), print)
    assert not small_server.seen


def test_a_tag_is_one_however_it_is_written(small_server, tmp_path):
    gather(options(small_server, tmp_path, tags=("##Selfie ", "सेल्फी")), print)
    all_there(tmp_path, 3)


RUN = """
import sys
from pathlib import Path
from selfie_utils.posts.gather import GatherOptions, gather
gather(GatherOptions(("selfie",), sys.argv[1], Path(sys.argv[2]), pause=0.01, between=0))
"""


def test_killed_again_and_again_it_takes_no_post_twice_and_loses_none(server, tmp_path):
    server.slow = 0.05
    kills = 0
    command = [sys.executable, "-c", RUN, server.url, str(tmp_path)]
    for until in (1, 7, 18):  # within the first page, after it, and within the second
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and server.asked("") < until + kills:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 3
    server.add(COUNT + 1)  # published while we were down
    server.slow = 0.0
    gather(options(server, tmp_path), print)
    all_there(tmp_path, COUNT + 1)
    # What was in hand at a kill may be asked for twice, nothing else.
    assert server.asked("/media/") <= COUNT + 1 + kills


# --- servers that answer in their own way -------------------------------------------------------------------


def sweeps(out):
    base = sqlite3.connect(out / DATABASE)
    found = base.execute("SELECT tag, top, bottom, done FROM sweeps").fetchall()
    base.close()
    return found


def test_a_server_that_gives_the_same_page_for_ever_is_left_and_the_sweep_stays_open(server, tmp_path):
    server.ignores = {"max_id"}
    said = []
    gather(options(server, tmp_path), said.append)
    assert len(rows(tmp_path)) == 10 and server.asked("/timelines/") == 2
    assert said[0] == f"{server.url} gives the same posts of #selfie again: it shows no older ones."
    assert sweeps(tmp_path) == [("selfie", "23", "14", 0)]  # nothing is done that was not seen
    server.add(COUNT + 1)
    gather(options(server, tmp_path), said.append)
    assert (
        len(rows(tmp_path)) == 11
        and server.asked("/timelines/") == 3
        and sweeps(tmp_path)[0][2:] == ("14", 0)
    )
    server.ignores = set()
    gather(options(server, tmp_path), said.append)
    all_there(tmp_path, COUNT + 1)
    assert sweeps(tmp_path)[0][3] == 1


def test_a_server_that_does_not_look_at_since_id_is_asked_down_to_what_is_known(server, tmp_path):
    gather(options(server, tmp_path), print)
    server.ignores, server.seen = {"since_id"}, []
    server.add(COUNT + 1)
    gather(options(server, tmp_path), print)
    all_there(tmp_path, COUNT + 1)
    assert server.asked("/timelines/") == 1  # the page holds the newest of the last sweep


@pytest.mark.parametrize("hidden", [range(14, 24), range(4, 14), range(1, 4), range(1, 24)])
def test_an_empty_page_is_not_the_end_where_the_server_says_how_to_go_on(server, tmp_path, hidden):
    server.links, server.hidden = True, set(hidden)
    gather(options(server, tmp_path), print)
    assert {int(post_id) for post_id, _ in rows(tmp_path)} == set(range(1, 24)) - set(hidden)
    assert server.asked("/timelines/") == 4
    assert all(done for *_, done in sweeps(tmp_path))


@pytest.mark.parametrize("status", ["401", "403", "404", "410", "418", "422"])
def test_what_a_server_refuses_is_one_sentence_that_names_the_remedy(
    small_server, tmp_path, status, monkeypatch
):
    monkeypatch.delenv(TOKEN, raising=False)
    small_server.fail("/timelines/", status, times=9)
    with pytest.raises(SelfieError, match=rf"refuses \({status} .*\): .*kept\.$") as error:
        gather(options(small_server, tmp_path), print)
    assert (TOKEN in str(error.value)) == (status in ("401", "403", "422"))
    assert small_server.asked("/timelines/") == 1 and sweeps(tmp_path) == [] and "\n" not in str(error.value)
    monkeypatch.setenv(TOKEN, "very-secret-token")
    with pytest.raises(SelfieError) as error:
        gather(options(small_server, tmp_path), print)
    assert "very-secret" not in str(error.value)
    assert ("still valid" in str(error.value)) == (status in ("401", "403", "422"))
    small_server.faults.clear()
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)


@pytest.mark.parametrize(
    "answer",
    [
        b"<!DOCTYPE html><html>Log in</html>",
        {"error": "log in"},
        b"",
        "text",
        [1, 2],
        [None],
        [{}],
        7,
        None,
    ],
)
def test_an_answer_that_is_no_list_of_posts_is_told_and_nothing_is_done(small_server, tmp_path, answer):
    small_server.instead["/timelines/"] = answer
    with pytest.raises(SelfieError, match=r"answered with something else than .*: is it a Mastodon server\?"):
        gather(options(small_server, tmp_path), print)
    assert sweeps(tmp_path) == [] and rows(tmp_path) == []
    small_server.instead.clear()
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)


@pytest.mark.parametrize("answer", [b"<html>Log in</html>", {"error": "log in"}, [], {}])
def test_a_post_that_is_answered_with_something_else_stays_when_counts_are_refreshed(
    small_server, tmp_path, answer
):
    gather(options(small_server, tmp_path), print)
    gathered_at(tmp_path, "2", 1)
    small_server.instead["/statuses/"] = answer
    with pytest.raises(SelfieError, match="answered with something else than"):
        gather(options(small_server, tmp_path, refresh=True), print)
    all_there(tmp_path, 3)


ODD_POSTS = [
    ({"account": None}, "its account is unknown"),
    ({"created_at": None}, "its date is unknown"),
    ({"created_at": "soon"}, "its date is unknown"),
    ({"favourites_count": None}, "its followers or likes are unknown"),
    ({"favourites_count": "many"}, "its followers or likes are unknown"),
    ({"account": account(5, followers_count=None)}, "its followers or likes are unknown"),
    ({"account": account(5, pleroma={"hide_followers_count": True})}, "its followers or likes are unknown"),
    ({"media_attachments": None}, "no photo"),
    ({"media_attachments": [None]}, "not written as Mastodon writes a post"),
    ({"tags": [None, {"name": "selfie", "url": ""}]}, "not written as Mastodon writes a post"),
    ({"url": {"a": 1}}, "not written as Mastodon writes a post"),
    ({"account": account(5, fields=[1])}, "not written as Mastodon writes a post"),
]


@pytest.mark.parametrize(("change", "reason"), ODD_POSTS)
def test_one_odd_post_is_left_out_with_its_reason_and_stops_no_other(small_server, tmp_path, change, reason):
    small_server.add(4, **change)
    small_server.add(5)
    found = gather(options(small_server, tmp_path), print)
    assert {post_id for post_id, _ in rows(tmp_path)} == {"1", "2", "3", "5"} and found[reason] == 1


def test_a_post_without_what_is_needed_stays_as_it_was_when_counts_are_refreshed(small_server, tmp_path):
    gather(options(small_server, tmp_path), print)
    gathered_at(tmp_path, "2", 1)
    small_server.posts[2] |= {"account": None}
    gather(options(small_server, tmp_path, refresh=True), print)
    all_there(tmp_path, 3)


def test_a_photo_is_known_by_its_content_whatever_the_server_calls_it(small_server, tmp_path):
    kinds = ["application/octet-stream", "text/html", ""]
    small_server.kinds = {f"{i}-0.jpg": kind for i, kind in enumerate(kinds, 1)}
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)


def test_a_page_to_log_in_at_in_the_place_of_a_photo_is_not_taken_for_its_end(small_server, tmp_path):
    photo, small_server.photos["2-0.jpg"] = small_server.photos["2-0.jpg"], b"\n<html>Log in</html>"
    assert gather(options(small_server, tmp_path), print)["photos still to come"] == 1
    small_server.photos["2-0.jpg"] = photo
    gather(options(small_server, tmp_path), print)
    all_there(tmp_path, 3)


def test_no_request_goes_out_without_its_pause(small_server, tmp_path):
    gather(options(small_server, tmp_path, between=1.5), print)
    assert small_server.waits("/timelines/")[0] > 1.4
    waits = small_server.waits("")  # page, three photos, page: a photo waits for a tenth of the time
    assert len(waits) == 4 and waits[0] > 1.4 and min(waits) > 0.1


def test_after_a_photo_that_failed_to_the_last_the_next_one_waits_too(small_server, tmp_path):
    small_server.fail("/media/2-0.jpg", "503", times=5)  # photos come by their number
    gather(options(small_server, tmp_path, pause=0.02), print)
    paths = [path for path, _ in small_server.seen]
    last = max(i for i, path in enumerate(paths) if "/media/2-0" in path and i < 9)
    assert small_server.moments[last + 1] - small_server.moments[last] > 0.02 * 2**4 - 0.01


# --- who and what is left out ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "user, reason",
    [
        ({"note": '<p>hi <a href="/tags/nobot">#<span>NoBot</span></a></p>'}, "its user opted out"),
        ({"fields": [{"name": "me", "value": "#noindex", "verified_at": None}]}, "its user opted out"),
        ({"noindex": True}, "its user opted out"),
        ({"bot": True}, "by a bot"),
    ],
)
def test_people_who_opted_out_are_left_out(small_server, tmp_path, user, reason):
    small_server.add(4, user=account(99, **user))
    assert gather(options(small_server, tmp_path), print)[reason] == 1
    all_there(tmp_path, 3)
    assert small_server.asked("/media/4") == 0
    assert b"user99" not in (tmp_path / DATABASE).read_bytes()


@pytest.mark.parametrize(
    "change, reason",
    [({"visibility": "unlisted"}, "not public"), ({"sensitive": True}, "behind a content warning"),
     ({"media_attachments": []}, "no photo")],
)  # fmt: skip
def test_only_public_photos_are_taken(small_server, tmp_path, change, reason):
    small_server.add(4, **change)
    assert gather(options(small_server, tmp_path), print)[reason] == 1
    all_there(tmp_path, 3)


def status(user=None, **changes):
    """A post as Mastodon.py gives it."""
    user = {"note": "", "fields": [], "bot": False, "noindex": None} | (user or {})
    photo = SimpleNamespace(type="image", url="https://example.org/1.jpg")
    made = {
        "visibility": "public",
        "reblog": None,
        "sensitive": False,
        "media_attachments": [photo],
    } | changes
    return SimpleNamespace(account=SimpleNamespace(**user), **made)


FILM = SimpleNamespace(type="video", url="https://example.org/1.mp4")
LOST = SimpleNamespace(type="image", url=None)
OPTED_OUT = "its user opted out"


@pytest.mark.parametrize(
    ("post", "reason"),
    [
        (status(), ""),
        (status(visibility="unlisted"), "not public"),
        (status(visibility="private"), "not public"),
        (status(reblog=status()), "a repost"),
        (status(sensitive=True), "behind a content warning"),
        (status({"bot": True}), "by a bot"),
        (status({"noindex": True}), OPTED_OUT),
        (status({"noindex": False}), ""),
        *((status({"note": f"<p>about me #{word}</p>"}), OPTED_OUT) for word in (
            "nobot", "nobots", "noindex", "noarchive", "noai", "nosearch", "NoBot", "NOAI",
        )),
        (status({"note": "&#35;nobot"}), OPTED_OUT),
        (status({"note": "#<b>no</b>bot, please"}), OPTED_OUT),
        (status({"note": "no bot, nobot"}), ""),
        (status({"note": "#nobotany #noaim"}), ""),
        (status({"note": '<a href="https://example.org/#nobot">x</a>'}), ""),  # no word of it is said
        (status({"note": None, "fields": None}), ""),
        (status({"fields": [SimpleNamespace(name="a", value="b"), SimpleNamespace(name="#noai", value="")]}),
         OPTED_OUT),
        (status({"fields": [SimpleNamespace(name="me", value="#nobots")]}), OPTED_OUT),
        (status(media_attachments=[]), "no photo"),
        (status(media_attachments=None), "no photo"),
        (status(media_attachments=[FILM, LOST]), "no photo"),
        (status({"bot": True}, visibility="private", media_attachments=[]), "not public"),  # the first
    ],
)  # fmt: skip
def test_why_a_post_is_not_kept(post, reason):
    assert why_not(post) == reason


def test_what_is_left_out_is_counted_by_reason_the_most_frequent_first(small_server, tmp_path):
    small_server.add(4, sensitive=True)
    for i in (5, 6, 7):
        small_server.add(i, visibility="unlisted")
    for i in (8, 9):
        small_server.add(i, user=account(99, bot=True))
    said = []
    found = gather(options(small_server, tmp_path), said.append)
    assert list(found.items())[3:] == [("not public", 3), ("by a bot", 2), ("behind a content warning", 1)]
    assert said[-1].endswith("photos gone: 0, not public: 3, by a bot: 2, behind a content warning: 1")


@pytest.mark.parametrize(
    ("kind", "post_id", "name"),
    [
        ("PNG", "117", "17/117.png"), ("WEBP", "5", "5/5.webp"), ("GIF", "12", "12/12.gif"),
        ("JPEG", "1/../../9", "_9/1_______9.jpg"), ("BMP", "1", None),
    ],
)  # fmt: skip
def test_photos_are_named_by_id_and_what_they_are_wherever_the_id_would_lead(tmp_path, kind, post_id, name):
    out = io.BytesIO()
    Image.new("RGB", (5, 4), "red").save(out, kind)
    assert gathering._keep_image(out.getvalue(), post_id, tmp_path) == name
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path.read_bytes() for path in kept] == ([out.getvalue()] if name else [])
    assert kept == ([tmp_path / "images" / name] if name else [])


# --- later -------------------------------------------------------------------------------------------------


def gathered_at(out, post_id, days):
    """Pretend that a post was gathered some days after it was posted."""
    posted = datetime.datetime.fromisoformat(dict(rows(out, "post_id, posted_at"))[post_id])
    moment = (posted + datetime.timedelta(days=days)).isoformat()
    change(out, "UPDATE posts SET collected_at = ? WHERE post_id = ?", moment, post_id)


def test_refreshing_updates_counts_once_and_drops_what_is_gone(small_server, tmp_path):
    gather(options(small_server, tmp_path), print)
    for post_id in "123":
        gathered_at(tmp_path, post_id, 1)
    small_server.posts[1]["favourites_count"] = 5000
    small_server.posts[1]["account"]["followers_count"] = 777
    small_server.posts[1]["tags"] = [{"name": "selfie", "url": ""}]
    del small_server.posts[2]
    small_server.posts[3]["account"] = account(98, note="#nobot")
    images = dict(rows(tmp_path, "post_id, image"))
    gather(options(small_server, tmp_path), print)
    assert small_server.asked("/statuses/") == 0  # only where it is asked for
    gather(options(small_server, tmp_path, refresh=True), print)
    found = rows(tmp_path, "post_id, likes, followers, tags, tag_names, collected_at")
    assert [row[:5] for row in found] == [("1", 5000, 777, 1, "selfie")] and found[0][5] >= NOW.isoformat()
    left = [path.relative_to(tmp_path / "images").as_posix() for path in tmp_path.rglob("*.jpg")]
    assert left == [images["1"]]
    gather(options(small_server, tmp_path, refresh=True), print)
    assert small_server.asked("/statuses/") == 3
    small_server.add(2)
    assert (
        gather(options(small_server, tmp_path), print)["posts with their photo"] == 1
    )  # it never comes back


def test_counts_are_looked_at_again_a_month_after_a_post_and_not_before(tmp_path):
    server = MastodonServer(count=0)
    for i, days in enumerate((29.9, 30.1, 31, 31, 31), 1):
        server.add(i, days=days)
    gather(options(server, tmp_path), print)
    for i, days in enumerate((1, 1, 29.99, 30, 30.5), 1):
        gathered_at(tmp_path, str(i), days)
    gather(options(server, tmp_path, refresh=True), print)
    looked_at = [path.rpartition("/")[2] for path, _ in server.seen if "/statuses/" in path]
    assert sorted(looked_at) == ["2", "3"]
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(("code", "stays"), [("401", 3), ("403", 3), ("404", 2), ("410", 2), ("422", 3)])
def test_a_post_that_is_gone_is_dropped_and_one_that_cannot_be_asked_for_stays(
    small_server, tmp_path, code, stays
):
    gather(options(small_server, tmp_path), print)
    gathered_at(tmp_path, "2", 1)
    small_server.fail("/statuses/2", code)
    if stays == 3:
        with pytest.raises(
            SelfieError, match=rf"refuses \({code} .*: so it is\): set MASTODON_ACCESS_TOKEN to"
        ):
            gather(options(small_server, tmp_path, refresh=True), print)
    else:
        gather(options(small_server, tmp_path, refresh=True), print)
    assert len(rows(tmp_path)) == stays and small_server.asked("/statuses/") == 1


def test_a_forgotten_post_never_comes_back(server, tmp_path):
    gather(options(server, tmp_path, posts=10), print)  # the newest ten
    assert forget([str(COUNT), "5"], [tmp_path], print)["photos"] == 1
    gather(options(server, tmp_path), print)
    assert {str(COUNT), "5"}.isdisjoint(post_id for post_id, _ in rows(tmp_path))
    assert len(rows(tmp_path)) == COUNT - 2


def test_taking_down_an_imported_post_reaches_the_gathered_photo(small_server, tmp_path):
    gather(options(small_server, tmp_path / "gathered"), print)
    import_posts("mastodon", read_mastodon(tmp_path / "gathered"), tmp_path / "data")
    photo = tmp_path / "gathered" / "images" / dict(rows(tmp_path / "gathered", "post_id, image"))["2"]
    assert photo.exists() and forget(["2"], [tmp_path / "data"], print) == {"rows": 2, "photos": 1}
    assert not photo.exists() and len(rows(tmp_path / "gathered")) == 2


def test_the_token_is_used_and_never_written(small_server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(TOKEN, "very-secret-token")
    gather(options(small_server, tmp_path), print)
    headers = {h.get("Authorization") for p, h in small_server.seen if "/api/" in p}
    assert headers == {"Bearer very-secret-token"}
    assert all("Authorization" not in h for p, h in small_server.seen if "/media/" in p)
    assert all("selfie-suite" in h["User-Agent"] for _, h in small_server.seen)
    assert not any(b"very-secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    out = capsys.readouterr()
    assert "very-secret" not in out.out + out.err


def test_a_folder_belongs_to_one_server(small_server, tmp_path):
    gather(options(small_server, tmp_path), print)
    gather(options(small_server, tmp_path, instance=small_server.url + "/"), print)  # the same
    with pytest.raises(SelfieError, match=r"holds posts of http://127.*, not of https://elsewhere\.example"):
        gather(options(small_server, tmp_path, instance="https://elsewhere.example"), print)


def test_the_command_gathers_and_says_how_to_go_on(server, tmp_path):
    def invoke(*arguments):
        return CliRunner().invoke(app, list(map(str, arguments)))

    asked = ["gather", "mastodon", "--instance", server.url, "--out", tmp_path / "g"]
    done = invoke(*asked, "--tag", "sun", "--posts", 10)
    assert done.exit_code == 0, done.output
    assert "posts with their photo: 10, " in done.output and server.asked("/tag/sun") == 1
    done = invoke(*asked, "--refresh")
    assert done.exit_code == 0 and server.asked("/tag/selfie") == 4  # which is the tag where none is given
    assert f"Next: selfie import mastodon {tmp_path}/g --out {tmp_path}/g-posts\n" in done.stdout
    done = invoke("import", "mastodon", tmp_path / "g", "--out", tmp_path / "d", "--pack")
    assert done.exit_code == 0 and f"mastodon: {COUNT} posts by 7 users" in done.output
    assert (tmp_path / "d" / "images.zip").exists()
