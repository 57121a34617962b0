"""Folders as the real instaloader writes them, in every variant that it has."""

import io
import os
from pathlib import Path

import pandas as pd
import pytest
from instaloader import Instaloader, Post, Profile, StoryItem
from PIL import Image

from selfie_utils.errors import SelfieError
from selfie_utils.importing import import_posts
from selfie_utils.sources.instaloader import FURTHER, NO_FOLLOWERS, read_instaloader

TAKEN = 1_445_731_200  # 2015-10-25 00:00 UTC
COLLECTED = pd.Timestamp("2015-12-24 12:00", tz="UTC")


class Loader(Instaloader):
    """The real instaloader; only the download itself is replaced, and the network is out of reach."""

    def download_pic(self, filename, url, mtime, filename_suffix=None, _attempt=1):
        suffix = ".mp4" if url.endswith("mp4") else ".jpg"
        path = filename + (f"_{filename_suffix}" if filename_suffix else "") + suffix
        out = io.BytesIO()
        Image.new("RGB", (40, 40), "orange").save(out, "JPEG")
        Path(path).write_bytes(out.getvalue())
        os.utime(path, (mtime.timestamp(), mtime.timestamp()))
        return True


def loader(compress=True):
    made = Loader(quiet=True, compress_json=compress, download_video_thumbnails=True, iphone_support=False)
    made.context.get_json = None  # whoever asks the network fails
    made.context.graphql_query = None
    return made


def node(code, at=0, likes=12, caption="hello #Selfie #sun #selfie", owner=None, **more):
    """A post as Instagram's timeline gives it."""
    edges = [{"node": {"text": caption}}] if caption is not None else []
    return {
        "__typename": "GraphImage", "id": str(1000 + at), "shortcode": code, "is_video": False,
        "taken_at_timestamp": TAKEN + at * 3600, "display_url": "https://example.org/a.jpg",
        "edge_media_preview_like": {"count": likes}, "edge_media_to_caption": {"edges": edges},
        "owner": owner or {"id": "7", "username": "anna"}, "title": None, "location": None,
    } | more  # fmt: skip


def sidecar(code, at, videos=(False, False, False)):
    """A carousel of photos and videos."""
    children = [
        {"node": {"shortcode": "x", "is_video": v, "display_url": "https://example.org/s.jpg",
                  "video_url": "https://example.org/v.mp4" if v else None}}
        for v in videos
    ]  # fmt: skip
    return node(code, at, __typename="GraphSidecar", edge_sidecar_to_children={"edges": children})


def save(folder, nodes, target="anna", compress=True):
    """Let instaloader write posts into folder/target."""
    made = loader(compress)
    made.dirname_pattern = str(folder / "{target}")
    for one in nodes:
        made.download_post(Post(made.context, one), target)
    return made


def save_profile(folder, name, number, followers, compress=True):
    made = loader(compress)
    profile = {"id": str(number), "username": name, "edge_followed_by": {"count": followers}}
    made.save_metadata_json(str(folder / name / f"{name}_{number}"), Profile(made.context, profile))


def date_metadata(folder):
    for path in folder.rglob("*.json*"):
        os.utime(path, (COLLECTED.timestamp(), COLLECTED.timestamp()))


@pytest.fixture
def folder(tmp_path):
    """One profile, saved, with a post of every kind."""
    video = {"__typename": "GraphVideo", "is_video": True, "video_url": "https://example.org/v.mp4"}
    nodes = [node("one"), sidecar("three", 1), node("film", 2, **video), node("hidden", 3, likes=-1)]
    nodes += [node("plain", 4, caption=None), sidecar("filmfirst", 5, videos=(True, False))]
    save(tmp_path, nodes)
    save_profile(tmp_path, "anna", 7, 350)
    Image.new("RGB", (9, 9)).save(tmp_path / "anna" / "2015-10-01_00-00-00_UTC_profile_pic.jpg")
    Image.new("RGB", (9, 9)).save(tmp_path / "anna" / "2015-10-02_00-00-00_UTC.jpg")
    date_metadata(tmp_path)
    return tmp_path


def test_every_post_is_read_with_what_the_suite_needs(folder):
    posts = read_instaloader(folder).posts.set_index("post_id")
    assert sorted(posts.index) == ["filmfirst", "one", "plain", "three"]
    one = posts.loc["one"]
    assert one["image"] == "anna/2015-10-25_00-00-00_UTC.jpg"
    assert one[["user_id", "followers", "likes", "tags"]].tolist() == [
        "anna",
        350,
        12,
        2,
    ]  # a tag counts once
    assert one["posted_at"] == pd.Timestamp(TAKEN, unit="s", tz="UTC") and one["collected_at"] == COLLECTED
    assert posts.loc["three", "image"] == "anna/2015-10-25_01-00-00_UTC_1.jpg"
    assert posts.loc["plain", "tags"] == 0


def test_every_other_photo_has_its_reason(folder):
    dropped = dict(read_instaloader(folder).dropped.itertuples(index=False))
    assert dropped == {
        "anna/2015-10-25_01-00-00_UTC_2.jpg": FURTHER,
        "anna/2015-10-25_01-00-00_UTC_3.jpg": FURTHER,
        "anna/2015-10-25_02-00-00_UTC": "a video",
        "anna/2015-10-25_03-00-00_UTC": "likes are hidden or unknown",
        "anna/2015-10-25_05-00-00_UTC_2.jpg": FURTHER,
        "anna/2015-10-01_00-00-00_UTC_profile_pic.jpg": "a profile picture",
        "anna/2015-10-02_00-00-00_UTC.jpg": "photo without metadata",
    }


def test_plain_json_reads_the_same(folder, tmp_path_factory):
    plain = tmp_path_factory.mktemp("plain")
    save(plain, [node("one"), sidecar("three", 1)], compress=False)
    save_profile(plain, "anna", 7, 350, compress=False)
    date_metadata(plain)
    both = [read_instaloader(f).posts.set_index("post_id").loc[["one", "three"]] for f in (folder, plain)]
    pd.testing.assert_frame_equal(*both)


def test_hashtag_folders_take_followers_from_saved_profiles_and_from_inside(tmp_path):
    inside = {"id": "9", "username": "cleo", "edge_followed_by": {"count": 900}}
    nodes = [node("a", owner={"id": "7"}), node("b", 1, owner={"id": "8"}), node("c", 2, owner=inside)]
    save(tmp_path, [*nodes, node("d", 3, owner={"id": "9"})], target="#selfie")
    save_profile(tmp_path, "anna", 7, 350)
    source = read_instaloader(tmp_path)
    found = source.posts.set_index("post_id")["followers"].to_dict()
    assert found == {"a": 350, "c": 900, "d": 900}
    assert dict(source.dropped.itertuples(index=False)) == {
        "#selfie/2015-10-25_01-00-00_UTC.jpg": NO_FOLLOWERS
    }


def test_nodes_of_other_makes_are_read(tmp_path):
    phone = {
        "code": "p", "id": "1", "is_video": False, "__typename": "GraphImage", "date": TAKEN,
        "caption": {"text": "#me"}, "iphone_struct": {"like_count": 5},
        "user": {"pk": 7, "username": "anna"}, "display_url": "https://example.org/a.jpg",
    }  # fmt: skip
    made = loader()
    stem = str(tmp_path / "anna" / "2015-10-25_00-00-00_UTC")
    made.save_metadata_json(stem, Post(made.context, phone))
    made.download_pic(stem, "https://example.org/a.jpg", pd.Timestamp(TAKEN, unit="s"))
    save_profile(tmp_path, "anna", 7, 350)
    row = read_instaloader(tmp_path).posts.iloc[0]
    assert row[["post_id", "user_id", "followers", "likes", "tags"]].tolist() == ["p", "anna", 350, 5, 1]


def test_the_caption_file_stands_in_for_metadata_without_one(tmp_path):
    one = node("one")
    save(tmp_path, [one])
    del one["edge_media_to_caption"]
    made = loader()
    made.save_metadata_json(str(tmp_path / "anna" / "2015-10-25_00-00-00_UTC"), Post(made.context, one))
    save_profile(tmp_path, "anna", 7, 350)
    assert (tmp_path / "anna" / "2015-10-25_00-00-00_UTC.txt").exists()
    assert read_instaloader(tmp_path).posts["tags"].tolist() == [2]


def test_stories_damage_and_doubles_are_dropped_with_reasons(tmp_path):
    save(tmp_path, [node("one"), node("torn", 1), node("lost", 2)])
    save(tmp_path, [node("one")], target="#selfie")
    save_profile(tmp_path, "anna", 7, 350)
    made = loader()
    story = {
        "id": "5",
        "__typename": "GraphStoryImage",
        "taken_at_timestamp": TAKEN + 9 * 3600,
        "is_video": False,
    }
    stem = str(tmp_path / "anna" / "2015-10-25_09-00-00_UTC")
    made.save_metadata_json(stem, StoryItem(made.context, story))
    made.download_pic(stem, "https://example.org/a.jpg", pd.Timestamp(TAKEN, unit="s"))
    torn = tmp_path / "anna" / "2015-10-25_01-00-00_UTC.json.xz"
    torn.write_bytes(torn.read_bytes()[:100])
    (tmp_path / "anna" / "2015-10-25_02-00-00_UTC.jpg").unlink()
    source = read_instaloader(tmp_path)
    assert source.posts["post_id"].tolist() == ["one"]
    assert dict(source.dropped.itertuples(index=False)) == {
        "anna/2015-10-25_01-00-00_UTC.json.xz": "metadata is damaged, or not instaloader's",
        "anna/2015-10-25_01-00-00_UTC.jpg": "photo without metadata",
        "anna/2015-10-25_02-00-00_UTC": "photo is missing",
        "anna/2015-10-25_09-00-00_UTC.jpg": "a story, which nobody likes in public",
        "anna/2015-10-25_00-00-00_UTC.jpg": "same post in another folder",
    }


def test_a_folder_without_metadata_is_refused(tmp_path):
    with pytest.raises(SelfieError, match="holds no metadata of instaloader"):
        read_instaloader(tmp_path)
    with pytest.raises(SelfieError, match="holds no metadata of instaloader"):
        read_instaloader(tmp_path / "nowhere")


def test_it_becomes_a_data_folder_and_the_source_stays_as_it_is(folder, tmp_path_factory):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    out = tmp_path_factory.mktemp("out")
    summary = import_posts("instaloader", read_instaloader(folder), out)
    assert summary[0] == "instaloader: 4 posts by 1 users"
    assert "posted: 2015-10-25 to 2015-10-25" in summary
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
