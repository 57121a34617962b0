"""Gathering from a live server with every fault there is: no post twice, none lost, nobody who opted out."""

import datetime
import signal
import sqlite3
import subprocess
import sys
import time

import pandas as pd
import pytest
from mastodon_server import NOW, MastodonServer, account
from PIL import Image

from selfie_utils.errors import SelfieError
from selfie_utils.gather import DATABASE, TOKEN, GatherWish, gather
from selfie_utils.importing import import_posts
from selfie_utils.sources.mastodon import read_mastodon
from selfie_utils.takedown import forget


@pytest.fixture
def server():
    made = MastodonServer(count=100)
    yield made
    made.shutdown()
    made.server_close()


def wish(server, out, **changes):
    return GatherWish(**{"tags": ("selfie",), "instance": server.url, "out": out, "pause": 0.01} | changes)


def rows(out, what="post_id, state"):
    base = sqlite3.connect(out / DATABASE)
    found = base.execute(f"SELECT {what} FROM posts ORDER BY CAST(post_id AS INTEGER)").fetchall()
    base.close()
    return found


def all_there(out, count=100):
    """Every post once, with a photo that can be opened."""
    assert rows(out) == [(str(i), "present") for i in range(1, count + 1)]
    for (image,) in rows(out, "image"):
        Image.open(out / "images" / image).verify()


def test_all_pages_are_gathered_once_and_again_only_what_is_new(server, tmp_path):
    said = []
    assert gather(wish(server, tmp_path), said.append)["posts with their photo"] == 100
    all_there(tmp_path)
    assert said[-1].startswith("posts with their photo: 100")
    assert server.asked("/timelines/") == 4 and server.asked("/media/") == 100  # 40, 40, 20 and an empty page
    for i in range(101, 131):
        server.add(i)
    server.seen.clear()
    gather(wish(server, tmp_path), said.append)
    all_there(tmp_path, 130)
    assert server.asked("/media/") == 30 and server.asked("since_id=100") == server.asked("/timelines/") == 2


def test_a_post_is_kept_with_what_the_suite_needs(server, tmp_path):
    server.add(101, photos=3, days=10)
    gather(wish(server, tmp_path), print)
    columns = "user_id, followers, likes, tags, tag_names, alt_text, photos, url"
    assert rows(tmp_path, columns)[-1] == (
        "user3@example.org", 103, 101, 2, "selfie sun", "photo 101", 3, "https://example.org/@user/101",
    )  # fmt: skip
    import_posts("mastodon", read_mastodon(tmp_path), tmp_path / "data")
    posts = pd.read_parquet(tmp_path / "data" / "posts.parquet")
    assert len(posts) == 101 and (posts["collected_at"] > posts["posted_at"]).all()
    assert not posts.astype(str).apply(lambda column: column.str.contains("Name ")).any().any()


def test_it_stops_at_a_number_and_goes_on_there(server, tmp_path):
    gather(wish(server, tmp_path, posts=50), print)
    assert len(rows(tmp_path)) == 80  # whole pages
    gather(wish(server, tmp_path), print)
    all_there(tmp_path)
    assert server.asked("/media/") == 100


def test_a_rate_limit_is_waited_for(server, tmp_path):
    server.fail("/timelines/", "429")
    server.fail("/media/50-0.jpg", "429")
    start = time.monotonic()
    gather(wish(server, tmp_path), print)
    all_there(tmp_path)
    assert time.monotonic() - start > 1.5  # both said to wait for a second


@pytest.mark.parametrize("kind", ["drop", "500"])
def test_a_photo_that_fails_is_asked_for_again(server, tmp_path, kind):
    server.fail("/media/7-0.jpg", kind, times=2)
    gather(wish(server, tmp_path), print)
    all_there(tmp_path)
    assert server.asked("/media/7-0.jpg") == 3
    assert not list(tmp_path.rglob("*.part*"))


def test_a_photo_that_keeps_failing_comes_in_the_next_run(server, tmp_path):
    server.fail("/media/7-0.jpg", "drop", times=99)
    found = gather(wish(server, tmp_path), print)
    assert found["posts with their photo"] == 99 and found["photos still to come"] == 1
    source = read_mastodon(tmp_path)
    assert source.dropped.values.tolist() == [["7", "image has not come yet"]]
    server.faults.clear()
    gather(wish(server, tmp_path), print)
    all_there(tmp_path)


def test_a_deleted_photo_is_noted_and_not_asked_for_again(server, tmp_path):
    del server.photos["9-0.jpg"]
    server.photos["11-0.jpg"] = b"<html>not a photo</html>"
    for _ in range(2):
        found = gather(wish(server, tmp_path), print)
    assert found["photos gone"] == 2 and server.asked("/media/9-0.jpg") == 1
    dropped = dict(read_mastodon(tmp_path).dropped.values.tolist())
    assert dropped == {"9": "image is gone (404)", "11": "not an image"}


def test_a_server_error_is_tried_again_then_told_and_nothing_is_lost(server, tmp_path):
    server.fail("/timelines/", "500", times=2)
    gather(wish(server, tmp_path), print)
    all_there(tmp_path)
    server.add(101)
    server.fail("/timelines/", "500", times=99)
    with pytest.raises(
        SelfieError, match=r"did not answer in 5 tries, the server fails .*500.*what was gathered is kept"
    ):
        gather(wish(server, tmp_path), print)
    all_there(tmp_path)
    server.faults.clear()
    gather(wish(server, tmp_path), print)
    all_there(tmp_path, 101)


def test_a_server_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(SelfieError, match=r"127\.0\.0\.1:1 did not answer in 5 tries") as error:
        gather(GatherWish(("selfie",), "http://127.0.0.1:1", tmp_path, pause=0.01), print)
    assert "\n" not in str(error.value)


RUN = """
import sys
from pathlib import Path
from selfie_utils.gather import GatherWish, gather
gather(GatherWish(("selfie",), sys.argv[1], Path(sys.argv[2]), pause=0.01))
"""


def test_killed_again_and_again_it_takes_no_post_twice_and_loses_none(server, tmp_path):
    server.slow = 0.02
    kills = 0
    command = [sys.executable, "-c", RUN, server.url, str(tmp_path)]
    for until in (1, 3, 25, 60, 85, 90):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and server.asked("") < until + kills:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        kills += process.wait() == -signal.SIGKILL
    assert kills == 6
    server.add(101)  # published while we were down
    assert subprocess.run(command, capture_output=True).returncode == 0
    all_there(tmp_path, 101)
    # What was in hand at a kill may be asked for twice, nothing else.
    assert server.asked("/media/") <= 101 + kills


@pytest.mark.parametrize(
    "user, reason",
    [
        ({"note": '<p>hi <a href="/tags/nobot">#<span>NoBot</span></a></p>'}, "its user opted out"),
        ({"fields": [{"name": "me", "value": "#noindex", "verified_at": None}]}, "its user opted out"),
        ({"noindex": True}, "its user opted out"),
        ({"bot": True}, "by a bot"),
    ],
)
def test_people_who_opted_out_are_left_out(server, tmp_path, user, reason):
    server.add(101, user=account(99, **user))
    assert gather(wish(server, tmp_path), print)[reason] == 1
    all_there(tmp_path)
    assert server.asked("/media/101") == 0
    assert b"user99" not in (tmp_path / DATABASE).read_bytes()


@pytest.mark.parametrize(
    "change, reason",
    [({"visibility": "unlisted"}, "not public"), ({"sensitive": True}, "behind a content warning"),
     ({"media_attachments": []}, "no photo")],
)  # fmt: skip
def test_only_public_photos_are_taken(server, tmp_path, change, reason):
    server.add(101, **change)
    assert gather(wish(server, tmp_path), print)[reason] == 1
    all_there(tmp_path)


def make_young(out, post_ids):
    """Pretend that posts were gathered a day after they were posted."""
    base = sqlite3.connect(out / DATABASE)
    for post_id in post_ids:
        ((posted,),) = base.execute("SELECT posted_at FROM posts WHERE post_id = ?", (post_id,))
        day = datetime.datetime.fromisoformat(posted) + datetime.timedelta(days=1)
        base.execute("UPDATE posts SET collected_at = ? WHERE post_id = ?", (day.isoformat(), post_id))
    base.commit()
    base.close()


def test_refreshing_updates_counts_once_and_drops_what_is_gone(server, tmp_path):
    server.add(101, days=3)  # too young to be looked at again
    gather(wish(server, tmp_path), print)
    make_young(tmp_path, ["1", "2", "3"])
    server.posts[1]["favourites_count"] = 5000
    server.posts[1]["account"]["followers_count"] = 777
    del server.posts[2]
    server.posts[3]["account"] = account(98, note="#nobot")
    image = dict(rows(tmp_path, "post_id, image"))["2"]
    gather(wish(server, tmp_path, refresh=True), print)
    found = {row[0]: row[1:] for row in rows(tmp_path, "post_id, likes, followers, collected_at")}
    assert found["1"][:2] == (5000, 777) and found["1"][2] >= NOW.isoformat()
    assert not {"2", "3"} & set(found) and not (tmp_path / "images" / image).exists()
    asked = server.asked("/statuses/")
    gather(wish(server, tmp_path, refresh=True), print)
    assert asked == server.asked("/statuses/") == 3


def test_a_forgotten_post_never_comes_back(server, tmp_path):
    gather(wish(server, tmp_path, posts=10), print)  # the newest forty
    assert forget(["100", "5"], [tmp_path], print)["photos"] == 1
    gather(wish(server, tmp_path), print)
    assert {"100", "5"}.isdisjoint(post_id for post_id, _ in rows(tmp_path)) and len(rows(tmp_path)) == 98


def test_taking_down_an_imported_post_reaches_the_gathered_photo(server, tmp_path):
    gather(wish(server, tmp_path / "gathered"), print)
    import_posts("mastodon", read_mastodon(tmp_path / "gathered"), tmp_path / "data")
    photo = tmp_path / "gathered" / "images" / dict(rows(tmp_path / "gathered", "post_id, image"))["50"]
    assert photo.exists() and forget(["50"], [tmp_path / "data"], print) == {"rows": 2, "photos": 1}
    assert not photo.exists() and len(rows(tmp_path / "gathered")) == 99


def test_the_token_is_used_and_never_written(server, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv(TOKEN, "very-secret-token")
    gather(wish(server, tmp_path), print)
    assert {h.get("Authorization") for p, h in server.seen if "/api/" in p} == {"Bearer very-secret-token"}
    assert all("Authorization" not in h for p, h in server.seen if "/media/" in p)
    assert all("selfie-suite" in h["User-Agent"] for _, h in server.seen)
    assert not any(b"very-secret" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    out = capsys.readouterr()
    assert "very-secret" not in out.out + out.err


def test_a_folder_belongs_to_one_server(server, tmp_path):
    gather(wish(server, tmp_path), print)
    with pytest.raises(SelfieError, match=r"holds posts of http://127.*, not of https://elsewhere\.example"):
        gather(wish(server, tmp_path, instance="https://elsewhere.example"), print)


def test_the_command_gathers_and_says_how_to_go_on(server, tmp_path, selfie):
    done = selfie("gather", "mastodon", "--tag", "selfie", "--instance", server.url, "--out", tmp_path / "g")
    assert done.returncode == 0, done.stderr
    assert "posts with their photo: 100" in done.stdout and "selfie import mastodon" in done.stdout
    done = selfie("import", "mastodon", tmp_path / "g", "--out", tmp_path / "d", "--pack")
    assert done.returncode == 0 and "mastodon: 100 posts by 7 users" in done.stdout
    assert (tmp_path / "d" / "images.zip").exists()
