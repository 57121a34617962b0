"""Folders as the real instaloader writes them, in every variant that it has."""

import io
import json
import os
import tempfile
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from instaloader import Instaloader, Post, Profile, StoryItem
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.posts.importers.instaloader import FILMED, FURTHER, NO_FOLLOWERS, VIDEO, read_instaloader
from selfie_utils.posts.importing import import_posts

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
    assert sorted(posts.index) == ["one", "plain", "three"]
    one = posts.loc["one"]
    assert one["image"] == "anna/2015-10-25_00-00-00_UTC.jpg"
    assert one[["user_id", "followers", "likes", "tags"]].tolist() == ["anna", 350, 12, 2]
    assert one["posted_at"] == pd.Timestamp(TAKEN, unit="s", tz="UTC") and one["collected_at"] == COLLECTED
    assert posts.loc["three", "image"] == "anna/2015-10-25_01-00-00_UTC_1.jpg"
    assert posts.loc["plain", "tags"] == 0
    assert read_instaloader(folder).notes == [
        "instaloader does not note when it looked: the date of its metadata file stands for collected_at."
    ]


def test_every_other_photo_has_its_reason(folder):
    dropped = dict(read_instaloader(folder).dropped.itertuples(index=False))
    assert dropped == {
        "anna/2015-10-25_01-00-00_UTC_2.jpg": FURTHER,
        "anna/2015-10-25_01-00-00_UTC_3.jpg": FURTHER,
        "anna/2015-10-25_02-00-00_UTC": "a video",
        "anna/2015-10-25_03-00-00_UTC": "likes are hidden or unknown",
        "anna/2015-10-25_05-00-00_UTC": FILMED,
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


# --- variants of metadata, written by hand -------------------------------------------------------------

OWNER = {"id": "7", "username": "anna", "edge_followed_by": {"count": 350}}
PLAIN = {"shortcode": "x", "taken_at_timestamp": TAKEN, "like_count": 12, "owner": OWNER, "caption": ""}


def note(folder, content, name="a/one", kind="Post", photo=".jpg"):
    """Write one metadata file, and a photo beside it."""
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"instaloader": {"node_type": kind}, "node": content}))
    os.utime(path, (COLLECTED.timestamp() + 0.75,) * 2)
    if photo:
        (folder / f"{name}{photo}").write_bytes(b"\xff\xd8\xff")


def without(*keys, **more):
    return {key: value for key, value in PLAIN.items() if key not in keys} | more


def read_one(folder, content):
    """Read a folder of one post: its row, or why it was dropped."""
    note(folder, content)
    source = read_instaloader(folder)
    return source.posts.iloc[0] if len(source.posts) else source.dropped["reason"].tolist()


@pytest.mark.parametrize(
    ("content", "likes"),
    [
        (without(), 12),
        (without("like_count", edge_liked_by={"count": 3}), 3),
        (without("like_count", iphone_struct={"like_count": 4}), 4),
        (without(edge_media_preview_like={"count": 5}, edge_liked_by={"count": 3}), 5),
        (without(edge_liked_by={"count": 0}), 0),
        (without(like_count=0), 0),
        (without(like_count=1, like_and_view_counts_disabled=False), 1),
        (without(like_count=-1), None),
        (without("like_count"), None),
        (without(edge_media_preview_like={"count": -1}), None),  # hidden, whatever else it says
        (without(like_and_view_counts_disabled=True), None),
        (without(iphone_struct={"like_and_view_counts_disabled": True, "like_count": 4}), None),
    ],
)
def test_likes_are_found_where_they_may_stand_and_none_is_a_number_too(tmp_path, content, likes):
    found = read_one(tmp_path, content)
    assert found == ["likes are hidden or unknown"] if likes is None else found["likes"] == likes


@pytest.mark.parametrize(
    ("owner", "followers"),
    [
        ({"id": "7", "username": "anna", "edge_followed_by": {"count": 0}}, 0),
        ({"pk": 7, "iphone_struct": {"follower_count": 20}}, 20),
        ({"username": "anna", "follower_count": 30}, 30),
        ({"id": "7", "edge_followed_by": {"count": 1}, "follower_count": 2}, 1),
    ],
)
def test_followers_are_found_where_they_may_stand_in_the_post_or_in_a_profile(tmp_path, owner, followers):
    assert read_one(tmp_path, without(owner=owner))["followers"] == followers
    (tmp_path / "two").mkdir()
    names = {key: value for key, value in owner.items() if key in ("id", "pk", "username")}
    note(tmp_path / "two", owner, "zoe/profile", kind="Profile", photo=None)
    assert read_one(tmp_path / "two", without(owner=names))["followers"] == followers


def test_followers_of_somebody_else_or_of_a_story_are_not_taken(tmp_path):
    note(tmp_path, OWNER | {"id": "8", "username": "ben"}, "zoe/profile", kind="Profile", photo=None)
    assert read_one(tmp_path, without(owner={"id": "7", "username": "anna"})) == [NO_FOLLOWERS]
    note(tmp_path, {"owner": OWNER}, "zoe/story", kind="StoryItem")  # a story knows them as well
    source = read_instaloader(tmp_path)
    assert source.posts["followers"].tolist() == [350]
    assert dict(source.dropped.itertuples(index=False)) == {
        "zoe/story.jpg": "a story, which nobody likes in public"
    }


@pytest.mark.parametrize(
    ("content", "column", "value"),
    [
        (without("shortcode", code="y"), "post_id", "y"),
        (without(shortcode="x", code="y"), "post_id", "x"),
        (without("taken_at_timestamp", date=TAKEN + 5), "posted_at", pd.Timestamp("2015-10-25 00:00:05Z")),
        (
            without("taken_at_timestamp", taken_at=TAKEN + 6.9),
            "posted_at",
            pd.Timestamp("2015-10-25 00:00:06Z"),
        ),
        (without(taken_at_timestamp=0, date=TAKEN), "posted_at", pd.Timestamp("1970-01-01 00:00Z")),
        (without(), "collected_at", COLLECTED),
        (without(), "user_id", "anna"),
        (without(owner=OWNER | {"username": None}), "user_id", "7"),
        (without(owner=OWNER | {"username": ""}), "user_id", "7"),
        (without("owner", user=OWNER | {"username": "ben"}), "user_id", "ben"),
    ],
)
def test_ids_users_and_dates_are_found_where_they_may_stand(tmp_path, content, column, value):
    content = content if "owner" in content else content | {"owner": None}
    if "user" in content:
        note(tmp_path, content["user"], "zoe/profile", kind="Profile", photo=None)
    assert read_one(tmp_path, content)[column] == value


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (without("shortcode"), "metadata has no post_id"),
        (without("taken_at_timestamp"), "metadata has no posted_at"),
        (without("owner"), "metadata has no user_id"),
        (without(is_video=True), "a video"),
        (without(is_video=True, __typename="GraphVideo"), "a video"),
        (without(taken_at_timestamp="soon"), "its date cannot be read"),
        (without(taken_at_timestamp=10**15), "its date cannot be read"),
        (without(like_count="many"), "likes are not a whole number"),
        (without(like_count=1.5), "likes are not a whole number"),
        (without(owner=[1]), "metadata has no user_id"),
        (without(shortcode=["x"]), "metadata has no post_id"),
        ("text", "metadata is damaged, or not instaloader's"),
        (None, "metadata is damaged, or not instaloader's"),
    ],
)
def test_a_post_without_what_is_needed_has_one_reason(tmp_path, content, reason):
    assert read_one(tmp_path, content)[0] == reason


@pytest.mark.parametrize("text", ["[]", "{}", '{"instaloader": {}}', '{"node": {}}', "{", "\udcff"])
def test_files_that_are_not_instaloaders_stop_nothing(tmp_path, text):
    note(tmp_path, PLAIN, "a/good")
    (tmp_path / "a" / "bad.json").write_bytes(text.encode(errors="surrogateescape"))
    (tmp_path / "a" / "worse.json.xz").write_bytes(text.encode(errors="surrogateescape"))
    (tmp_path / "a" / "good_comments.json").write_text("[]")  # instaloader's, and not looked at
    source = read_instaloader(tmp_path)
    damaged = "metadata is damaged, or not instaloader's"
    assert source.dropped.values.tolist() == [["a/bad.json", damaged], ["a/worse.json.xz", damaged]]
    assert source.posts["post_id"].tolist() == ["x"]


@pytest.mark.parametrize(
    ("content", "beside", "tags"),
    [
        (without(caption="#a #B #b#c, ## #ü_1 # d"), "", 4),
        (without(caption={"text": "#a #b"}), "", 2),
        (without(caption={"text": None}), "", 0),
        (without(caption=""), "#beside", 0),  # an empty caption is a caption
        (without(caption=None), "#beside #me", 2),
        (without("caption"), "#beside", 1),
        (without("caption"), None, 0),
        (without(caption="#a", edge_media_to_caption={"edges": [{"node": {"text": "#x #y #z"}}]}), "", 3),
        (without(caption="#a", edge_media_to_caption={"edges": [{"node": {"text": None}}]}), "", 0),
        (without(caption="#a", edge_media_to_caption={"edges": []}), "", 1),
    ],
)
def test_different_hashtags_are_counted_wherever_the_caption_stands(tmp_path, content, beside, tags):
    (tmp_path / "a").mkdir()
    if beside is not None:
        (tmp_path / "a" / "one.txt").write_text(beside, encoding="utf-8")
    assert read_one(tmp_path, content)["tags"] == tags


def test_a_caption_file_in_another_encoding_stops_nothing(tmp_path):
    note(tmp_path, without("caption"))
    (tmp_path / "a" / "one.txt").write_bytes("#me für immer".encode("latin-1"))
    assert read_instaloader(tmp_path).posts["tags"].tolist() == [1]


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (["one.jpeg"], "a/one.jpeg"),
        (["one.png"], "a/one.png"),
        (["one.webp"], "a/one.webp"),
        (["one.heic"], "a/one.heic"),
        (["one_1.heic", "one_2.jpg"], "a/one_1.heic"),
        (["one_10.jpg", "one_3.jpg"], "a/one_3.jpg"),
        (["one_20.jpg"], "a/one_20.jpg"),
        (["one_1.jpg", "one.jpg"], "a/one.jpg"),
        (["one_21.jpg"], None),  # a carousel has twenty at most
    ],
)
def test_the_first_photo_of_a_post_that_was_saved_is_its_photo(tmp_path, names, first):
    note(tmp_path, PLAIN, photo=None)
    for name in names:
        (tmp_path / "a" / name).write_bytes(b"")
    source = read_instaloader(tmp_path)
    assert [*source.posts.get("image", [])] == ([first] if first else [])
    assert ("photo is missing" in source.dropped["reason"].tolist()) == (first is None)


def test_of_posts_saved_twice_the_first_folder_counts_and_others_have_their_reason(tmp_path):
    note(tmp_path, PLAIN, "b/2015-10-25_00-00-00_UTC")
    note(tmp_path, PLAIN, "a/2015-10-25_00-00-00_UTC")
    note(tmp_path, without(shortcode="y"), "b/2015-10-25_01-00-00_UTC", photo="_2.jpg")
    for name in (
        "b/2015-10-25_01-00-00_UTC_11.png",
        "b/2015-10-25_01-00-00_UTC_profile_pic.jpg",
        "b/list.txt",
    ):
        (tmp_path / name).write_bytes(b"")
    source = read_instaloader(tmp_path)
    assert source.posts["image"].tolist() == [
        "a/2015-10-25_00-00-00_UTC.jpg", "b/2015-10-25_01-00-00_UTC_2.jpg",
    ]  # fmt: skip
    assert source.dropped.values.tolist() == [
        ["b/2015-10-25_00-00-00_UTC.jpg", "same post in another folder"],
        ["b/2015-10-25_01-00-00_UTC_11.png", FURTHER],
        ["b/2015-10-25_01-00-00_UTC_profile_pic.jpg", "a profile picture"],
    ]


def test_a_folder_without_metadata_is_refused(tmp_path):
    with pytest.raises(SelfieError, match="holds no metadata of instaloader"):
        read_instaloader(tmp_path)
    with pytest.raises(SelfieError, match="holds no metadata of instaloader"):
        read_instaloader(tmp_path / "nowhere")


def test_it_becomes_a_data_folder_and_the_source_stays_as_it_is(folder, tmp_path_factory):
    before = {p: p.stat().st_mtime_ns for p in folder.rglob("*")}
    out = tmp_path_factory.mktemp("out")
    summary = import_posts("instaloader", read_instaloader(folder), out)
    assert summary[0] == "instaloader: 3 posts by 1 users"
    assert "posted: 2015-10-25 to 2015-10-25" in summary
    assert before == {p: p.stat().st_mtime_ns for p in folder.rglob("*")}


# --- videos, odd fields, other patterns and other makes -------------------------------------------------


def carousel(*films):
    """A carousel by hand; `films` tells which of its items are videos."""
    edges = [{"node": {"is_video": film}} for film in films]
    return without(__typename="GraphSidecar", edge_sidecar_to_children={"edges": edges})


@pytest.mark.parametrize(
    ("content", "files", "told"),
    [
        (without(is_video=True), ["one.jpg"], VIDEO),
        (without(__typename="XDTGraphVideo"), ["one.jpg"], VIDEO),
        (without(media_type=2), ["one.jpg"], VIDEO),
        (without(iphone_struct={"media_type": 2}), ["one.jpg"], VIDEO),
        (without(video_url="https://example.org/v.mp4"), ["one.jpg"], VIDEO),
        (without(), ["one.jpg", "one.mp4"], VIDEO),  # whatever the metadata says
        (carousel(True, False), ["one_1.jpg", "one_2.jpg"], FILMED),
        (carousel(True, False), ["one_2.jpg"], FILMED),  # of the video nothing was saved
        (without(carousel_media=[{"media_type": 2}, {"media_type": 1}]), ["one_1.jpg", "one_2.jpg"], FILMED),
        (without(__typename="GraphSidecar"), ["one_1.jpg", "one_1.mp4", "one_2.jpg"], FILMED),
        (carousel(False, True), ["one_2.jpg"], "photo is missing"),  # the still of a video that comes later
        (carousel(False, True, False), ["one_2.jpg", "one_3.jpg"], "a/one_3.jpg"),
        (carousel(False, True), ["one_1.jpg", "one_2.jpg", "one_2.mp4"], "a/one_1.jpg"),
        (without(is_video=False, video_url=None), ["one.jpg"], "a/one.jpg"),
    ],
)
def test_the_still_of_a_video_never_takes_its_likes(tmp_path, content, files, told):
    note(tmp_path, content, photo=None)
    for name in files:
        (tmp_path / "a" / name).write_bytes(b"")
    source = read_instaloader(tmp_path)
    found = source.posts["image"].tolist() if len(source.posts) else source.dropped["reason"].tolist()[:1]
    assert found == [told]


@pytest.mark.parametrize("value", [1012, "1012", 1012.0, " 1012 ", "1,012"])
def test_a_count_is_read_as_it_is_written(tmp_path, value):
    assert read_one(tmp_path, without(like_count=value))["likes"] == 1012


@pytest.mark.parametrize(
    "value", [TAKEN, float(TAKEN), str(TAKEN), TAKEN * 1000, f"{TAKEN}000", "2015-10-25",
              "2015-10-25T00:00:00", "2015-10-25T00:00:00.000Z", "2015-10-25T02:00:00+02:00"],
)  # fmt: skip
def test_a_date_is_read_as_it_is_written(tmp_path, value):
    found = read_one(tmp_path, without(taken_at_timestamp=value))
    assert found["posted_at"] == pd.Timestamp(TAKEN, unit="s", tz="UTC")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["count", "text", "edges", "node", "id", "username"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)
FIELDS = [*PLAIN, "edge_media_preview_like", "edge_media_to_caption", "edge_liked_by", "is_video", "code",
          "edge_sidecar_to_children", "iphone_struct", "carousel_media", "date", "user", "__typename",
]  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(FIELDS), JSON), min_size=8, max_size=20))
def test_odd_fields_of_some_posts_stop_no_other(odd):
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        note(folder, without(shortcode="good"), "a/good")
        for i, (field, value) in enumerate(odd):
            note(folder, without(**{"shortcode": f"odd{i}", field: value}), f"b/odd{i}")
            note(folder, {field: value}, f"b/profile{i}", kind="Profile", photo=None)
        summary = import_posts("instaloader", read_instaloader(folder), folder / "out")
        kept, dropped = (pd.read_parquet(folder / "out" / f"{name}.parquet") for name in ("posts", "dropped"))
    assert "a/good.jpg" in set(kept["image"]) and summary[0].startswith("instaloader: ")
    named = {*kept["image"], *dropped["image"], *(f"{name}.jpg" for name in dropped["image"])}
    assert {f"b/odd{i}.jpg" for i in range(len(odd))} <= named  # each is read, or told


@pytest.mark.parametrize(
    "pattern", ["CX{}ab", "2018-03-0{} 10-00-00 UTC", "anna_{}", "anna.b_{}", "{}", "{}_UTC"]
)
def test_photos_of_a_carousel_are_known_whatever_the_pattern_of_their_names(tmp_path, pattern):
    for i in (1, 2, 3):
        note(tmp_path, without(shortcode=f"s{i}"), "a/" + pattern.format(i), photo="_1.jpg")
        for n in (2, 3, 11):
            (tmp_path / "a" / f"{pattern.format(i)}_{n}.jpg").write_bytes(b"")
    source = read_instaloader(tmp_path)
    assert sorted(source.posts["image"]) == [f"a/{pattern.format(i)}_1.jpg" for i in (1, 2, 3)]
    assert set(source.dropped["reason"]) == {FURTHER} and len(source.dropped) == 9


def test_a_post_whose_name_looks_like_a_further_photo_of_another_keeps_its_own(tmp_path):
    note(tmp_path, without(shortcode="x"), "a/anna", photo=None)  # its photo was lost
    note(tmp_path, without(shortcode="y"), "a/anna_1")
    source = read_instaloader(tmp_path)
    assert source.posts[["post_id", "image"]].values.tolist() == [["y", "a/anna_1.jpg"]]
    assert source.dropped.values.tolist() == [["a/anna", "photo is missing"]]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"GraphImages": [], "GraphProfileInfo": {}}, "instagram-scraper's JSON"),
        ([{"media": [{"uri": "media/posts/1.jpg", "creation_timestamp": 1}]}], "Instagram's own export"),
        ({"photos": [{"caption": "", "taken_at": "2016", "path": "photos/1.jpg"}]}, "Instagram's own export"),
        ({"ig_stories": [{"uri": "media/1.jpg", "creation_timestamp": 1}]}, "Instagram's own export"),
        ({"ig_profile_picture": [{"uri": "m/1.jpg", "creation_timestamp": 1}]}, "Instagram's own export"),
        ({"ig_reels_media": [{"media": [{"uri": "m/1.jpg"}]}]}, "Instagram's own export"),
    ],
)
def test_downloads_of_another_make_are_named_in_one_sentence(tmp_path, content, told):
    (tmp_path / "posts.json").write_text(json.dumps(content))
    (tmp_path / "1.jpg").write_bytes(b"")
    with pytest.raises(SelfieError, match=rf"holds no metadata of instaloader: .*{told}.*selfie import"):
        read_instaloader(tmp_path)
    note(tmp_path, PLAIN)  # beside posts of instaloader's it is only left out
    source = read_instaloader(tmp_path)
    assert len(source.posts) == 1 and told in dict(source.dropped.values.tolist())["posts.json"]


def test_an_export_of_pages_is_named_by_its_folders(tmp_path):
    (tmp_path / "your_instagram_activity" / "media").mkdir(parents=True)
    (tmp_path / "your_instagram_activity" / "media" / "posts_1.html").write_text("<html>")
    with pytest.raises(
        SelfieError, match="This is Instagram's own export of one's data, which says of no post"
    ):
        read_instaloader(tmp_path)


@pytest.mark.parametrize("content", [[{"label_values": [], "fbid": "1"}], {"likes_media_likes": []}])
def test_an_export_whose_files_say_nothing_is_named_by_its_folders(tmp_path, content):
    (tmp_path / "your_instagram_activity" / "media").mkdir(parents=True)
    (tmp_path / "your_instagram_activity" / "media" / "posts.json").write_text(json.dumps(content))
    with pytest.raises(
        SelfieError, match=r"holds no metadata of instaloader: this is Instagram's own export"
    ):
        read_instaloader(tmp_path)


def test_what_is_no_file_is_not_waited_for(tmp_path):
    note(tmp_path, PLAIN, "a/good")
    os.mkfifo(tmp_path / "a" / "pipe.json")
    (tmp_path / "a" / "loop.json").symlink_to("loop.json")
    source = read_instaloader(tmp_path)
    assert len(source.posts) == 1
    assert [name for name, _ in source.dropped.values.tolist()] == ["a/loop.json", "a/pipe.json"]


def test_where_nothing_is_left_the_error_is_the_reasons_with_an_example_each(tmp_path):
    for i in range(3):
        note(tmp_path, without(shortcode=f"f{i}", is_video=True), f"a/film{i}")
    note(tmp_path, without(owner={"id": "9"}), "a/unknown")
    told = r"of 4 \(a video: 3, such as a/film0; followers of its user are unknown: .*: 1, such as a/unknown"
    with pytest.raises(SelfieError, match=told):
        import_posts("instaloader", read_instaloader(tmp_path), tmp_path / "out")


def test_a_name_that_is_not_utf_8_is_left_out(tmp_path):
    note(tmp_path, PLAIN)
    (tmp_path / "a" / os.fsdecode(b"J\xfcrgen.jpg")).write_bytes(b"")
    source = read_instaloader(tmp_path)
    assert len(source.posts) == 1
    assert source.dropped.values.tolist() == [["a/J\ufffdrgen.jpg", "its file name is not UTF-8: rename it"]]
