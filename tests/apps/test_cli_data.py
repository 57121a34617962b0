"""The commands that bring posts in and take them out hand on what they are told."""

import io
import json
import shlex

import pandas as pd
import pytest
from mastodon_server import MastodonServer
from PIL import Image
from typer.testing import CliRunner

from selfie_utils.apps.cli import app
from selfie_utils.posts.data_folder import open_data
from selfie_utils.posts.gather import open_gathered
from selfie_utils.posts.table import read_posts


def selfie(*arguments):
    """Run the command in this process."""
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def photos(tmp_path):
    """A folder with eight photos."""
    folder = tmp_path / "photos"
    folder.mkdir()
    out = io.BytesIO()
    Image.new("RGB", (20, 30), "orange").save(out, "JPEG")
    for i in range(8):
        (folder / f"{i}.jpg").write_bytes(out.getvalue())
    return folder


def write_csv(path, **columns):
    pd.DataFrame(columns).to_csv(path, index=False)
    return path


def posts_in(folder):
    return read_posts(open_data(folder).posts).set_index("post_id")


def test_a_table_is_imported_by_likes_with_its_columns_mapped(photos, tmp_path):
    table = write_csv(
        photos / "mine.csv", file=["0.jpg", "1.jpg"], favourites=[3, 4], followers=9,
        posted_at="2015-01-01", collected_at="2015-06-01",
    )  # fmt: skip
    out = tmp_path / "out"
    done = selfie("import", "table", table, "--map", "image=file", "--map", "likes=favourites", "--out", out)
    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert (
        lines[0] == "table: 2 posts by 2 users"
        and lines[-1] == f"Next: selfie reproduce --data {out} --group-size 2"
    )
    assert posts_in(out)["likes"].tolist() == [3, 4] and open_data(out).images == photos


def test_a_table_is_imported_by_score_with_photos_from_elsewhere(photos, tmp_path):
    table = write_csv(
        tmp_path / "mine.csv", image=[f"{i}.jpg" for i in range(8)], stars=[5, 3, 8, 1, 7, 2, 6, 4]
    )
    out = tmp_path / "out"
    options = ["--images", photos, "--score", "stars", "--outer", 0.25, "--pack", "--out", out]
    done = selfie("import", "table", table, *options)
    assert done.exit_code == 0, done.output
    assert posts_in(out)["label"].to_dict() == {"2": 1, "4": 1, "3": 0, "5": 0}
    assert open_data(out).images == out / "images.zip"
    done = selfie(
        "import", "table", table, "--images", photos, "--score", "stars", "--out", tmp_path / "halves"
    )
    assert "labels: 4 good, 4 bad" in done.output  # halves where nothing else is said
    assert open_data(tmp_path / "halves").images == photos


@pytest.mark.parametrize("pack", [True, False])
def test_photos_without_labels_go_on_to_a_network(photos, tmp_path, pack):
    done = selfie("import", "folder", photos, "--out", tmp_path / "out", *["--pack"] * pack)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[0] == "folder: 8 posts by 8 users"
    assert done.stdout.splitlines()[-1] == f"Next: selfie reproduce --data {tmp_path / 'out'} --network RUN"
    assert (tmp_path / "out" / "images.zip").exists() == pack


@pytest.mark.parametrize("pack", [True, False])
def test_ucf_and_instaloader_are_imported(photos, tmp_path, pack):
    (tmp_path / "ucf").mkdir()
    photos.rename(tmp_path / "ucf" / "images")
    rows = [" ".join([str(i), str(i / 2), *["1"] * 36]) for i in range(8)]
    (tmp_path / "ucf" / "selfie_dataset.txt").write_text("\n".join(rows))
    done = selfie("import", "ucf", tmp_path / "ucf", "--out", tmp_path / "out", *["--pack"] * pack)
    assert done.stdout.splitlines()[0] == "ucf: 8 posts by 8 users", done.output
    assert (tmp_path / "out" / "images.zip").exists() == pack
    node = {"shortcode": "x", "is_video": False, "taken_at_timestamp": 1_445_731_200, "like_count": 5}
    node |= {"owner": {"id": "7", "follower_count": 9}}
    content = {"instaloader": {"node_type": "Post"}, "node": node}
    (tmp_path / "ucf" / "images" / "0.json").write_text(json.dumps(content))
    done = selfie("import", "instaloader", tmp_path / "ucf", "--out", tmp_path / "posts", *["--pack"] * pack)
    assert done.stdout.splitlines()[0] == "instaloader: 1 posts by 1 users", done.output
    assert (tmp_path / "posts" / "images.zip").exists() == pack


def test_an_error_is_one_sentence_and_nothing_is_written(photos, tmp_path):
    done = selfie("import", "ucf", photos, "--out", tmp_path / "no")
    assert done.exit_code == 1 and done.stderr.startswith("Error: There is no selfie_dataset.txt in")
    assert len(done.stderr.splitlines()) == 1 and not (tmp_path / "no").exists()


@pytest.mark.parametrize("place", ["file", "file/inside", "x" * 300])
def test_a_place_that_is_no_folder_is_one_sentence(photos, tmp_path, place):
    (tmp_path / "file").write_text("mine")
    for command in (("import", "folder", photos), ("gather", "mastodon", "--instance", "http://localhost:9")):
        done = selfie(*command, "--out", tmp_path / place)
        assert done.exit_code == 1 and isinstance(done.exception, SystemExit)
        (line,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert (place in line and ": a folder is wanted there" in line) or "choose a shorter name" in line
    assert (tmp_path / "file").read_text() == "mine"


def test_gathering_stops_at_a_number_takes_every_tag_and_refreshes(tmp_path):
    server, out = MastodonServer(count=45), tmp_path / "g"
    gather = ["gather", "mastodon", "--instance", server.url, "--out", out]
    try:
        done = selfie(*gather, "--posts", 3)
        assert done.exit_code == 0, done.output
        assert done.stdout.splitlines()[-1] == f"Next: selfie import mastodon {out} --out {out}-posts"
        assert server.asked("/timelines/tag/selfie?") == server.asked("/timelines/") == 1
        with open_gathered(out) as base, base:  # as if they had been gathered when they were young
            base.execute("UPDATE posts SET collected_at = posted_at")
        selfie(*gather, "--posts", 3, "--tag", "sun")
        assert server.asked("/statuses/") == 0
        selfie(*gather, "--posts", 3, "--refresh")
        assert 3 <= server.asked("/statuses/") < 45
        assert server.asked("/timelines/") == 1  # there are as many as are wanted
        selfie(*gather, "--tag", "sun", "--tag", "beach")
        assert server.asked("/timelines/tag/sun?") > 0 < server.asked("/timelines/tag/beach?")
        assert server.asked("/timelines/tag/selfie?") == 1
    finally:
        server.shutdown()
        server.server_close()
    done = selfie("import", "mastodon", out, "--out", tmp_path / "d", "--pack")
    assert "mastodon: 45 posts by 7 users" in done.stdout and (tmp_path / "d" / "images.zip").exists()


def test_forgetting_looks_in_the_project_and_where_it_is_told(tmp_path, monkeypatch):
    folders = [tmp_path / "data" / "a", tmp_path / "runs" / "b", tmp_path / "elsewhere"]
    (tmp_path / "notebooks" / "parameters").mkdir(parents=True)
    for folder in folders:
        folder.mkdir(parents=True)
        posts = pd.DataFrame(
            {"post_id": ["p0", "p1", "p2"], "user_id": ["x", "y", "y"], "image": list("012")}
        )
        posts.to_parquet(folder / "posts.parquet")
    monkeypatch.chdir(tmp_path / "notebooks")
    done = selfie("forget", "p1", "@x", "--in", folders[2])
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines()[-1].startswith("Networks keep what they learned")
    for folder in folders:
        assert pd.read_parquet(folder / "posts.parquet")["post_id"].tolist() == ["p2"]
    assert selfie("forget", "p2").exit_code == 0
    assert len(pd.read_parquet(folders[0] / "posts.parquet")) == 0
    assert len(pd.read_parquet(folders[2] / "posts.parquet")) == 1


def test_the_next_command_can_be_pasted_whatever_the_folder_is_called(photos, tmp_path):
    out = tmp_path / "my data #1 (new)"
    done = selfie("import", "folder", photos, "--out", out)
    assert shlex.split(done.stdout.splitlines()[-1], comments=True)[-4:] == [
        "--data",
        str(out),
        "--network",
        "RUN",
    ]
