"""A post that is taken down is gone from everywhere, and does not come back."""

import io
import json
import os
import re
import shlex
import shutil
import unicodedata
import zipfile
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import open_images
from selfie_utils.posts.data_folder import open_data
from selfie_utils.posts.gather import open_gathered
from selfie_utils.posts.importers.origin import Source, drop_list
from selfie_utils.posts.importing import import_posts
from selfie_utils.posts.table import read_posts
from selfie_utils.posts.takedown import find_folders, forget, forget_person

LEARNED = "Networks keep what they learned until they are trained again: selfie reproduce."


def jpeg():
    out = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(out, "JPEG")
    return out.getvalue()


def four_posts():
    """Four posts of two users; p3 shows the photo of p2 again."""
    posts = pd.DataFrame({"post_id": ["p0", "p1", "p2", "p3"], "user_id": ["ann", "ann", "bob", "bob"]})
    return posts.assign(image=["0.jpg", "1.jpg", "2.jpg", "2.jpg"])


@pytest.fixture
def source(tmp_path):
    """The four posts with their photos, and a photo that was left out and goes by its post's id."""
    (tmp_path / "photos").mkdir()
    for name in ("0.jpg", "1.jpg", "2.jpg"):
        (tmp_path / "photos" / name).write_bytes(jpeg())
    return Source(
        four_posts().assign(label=[0, 1, 0, 1]), tmp_path / "photos", drop_list([("p7", "a video")])
    )


@pytest.fixture
def run(tmp_path):
    """A run folder that has scored them all, the scores in another order than the posts."""
    root = tmp_path / "runs" / "mine"
    for name in ("figures", "notebooks", "reports", "picker", "tables", "faces.log", "packed", "network"):
        (root / name).mkdir(parents=True)
        (root / name / "file").write_text("x")
    posts = four_posts()
    for name in ("posts", "labels", "map", "copies"):
        posts.to_parquet(root / f"{name}.parquet")
    posts.iloc[[3, 1, 0, 2]].to_parquet(root / "scores.parquet")
    np.save(root / "features.npy", np.arange(8).reshape(4, 2))
    for name in ("faces", "attributes"):
        pd.DataFrame({"image": ["2.jpg", "0.jpg", "1.jpg"]}).to_parquet(root / f"{name}.parquet")
    for name in ("data.json", "metrics.json", "state.json"):
        (root / name).write_text("{}")
    return root


def left(folder, name, column="post_id"):
    table = pd.read_parquet(folder / f"{name}.parquet")
    assert table.index.tolist() == list(range(len(table)))
    return table[column].tolist()


def names_in(run):
    return {path.name for path in run.iterdir() if path.suffix != ".parquet"}


# --- where to look ---------------------------------------------------------------------------------------


def test_folders_right_under_data_and_runs_are_looked_through(tmp_path):
    for name in ("runs/b", "data/c/deep", "data/a", "other/d"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "data" / "file.txt").write_text("")
    assert find_folders(tmp_path) == [tmp_path / name for name in ("data/a", "data/c", "runs/b")]


def test_nowhere_to_look_is_an_error(tmp_path):
    with pytest.raises(
        SelfieError, match="nothing to look in: no data/ or runs/ here; give a folder with --in"
    ):
        forget(["p1"], find_folders(tmp_path))


def test_a_folder_that_is_not_there_is_not_called_looked_through(source, tmp_path):
    import_posts("table", source, tmp_path / "data")
    with pytest.raises(SelfieError, match=r"no folder .*/typo: nothing was looked through"):
        forget(["p1"], [tmp_path / "data", tmp_path / "typo"])
    assert "p1" in set(pd.read_parquet(tmp_path / "data" / "posts.parquet")["post_id"])


# --- what goes -------------------------------------------------------------------------------------------


def test_rows_photos_and_pictures_go_from_a_packed_folder_and_a_run(source, run, tmp_path):
    packed, said = tmp_path / "data" / "packed", []
    import_posts("table", source, packed, pack=True)
    removed = forget(["p1", "p3"], find_folders(tmp_path), said.append)
    assert removed == {"rows": 14, "photos": 1}  # p2 still shows the photo of p3
    assert said == [
        f"{packed}: 2 rows and 1 photos removed",
        f"{run}: 12 rows and 0 photos removed",  # five tables of posts, two of photos
        LEARNED,
    ]
    with zipfile.ZipFile(packed / "images.zip") as archive:
        assert archive.namelist() == ["0.jpg", "2.jpg"] and archive.read("0.jpg") == jpeg()
        assert all(
            e.compress_type == zipfile.ZIP_STORED and e.date_time[0] == 1980 for e in archive.infolist()
        )
    for name in ("posts", "labels", "map", "copies"):
        assert left(run, name) == ["p0", "p2"]
    assert left(packed, "posts") == ["p0", "p2"] and left(packed, "dropped", "image") == ["p7"]
    assert left(run, "faces", "image") == left(run, "attributes", "image") == ["2.jpg", "0.jpg"]
    assert left(run, "scores") == ["p0", "p2"] and np.load(run / "features.npy").tolist() == [[4, 5], [6, 7]]
    assert names_in(run) == {"network", "data.json", "state.json", "features.npy"}
    assert not list(tmp_path.rglob("*.part*"))


def test_fc7_that_travels_with_the_network_goes_with_its_post_and_stays_without(source, run, tmp_path):
    import_posts("table", source, tmp_path / "data" / "packed", pack=True)
    np.save(run / "network" / "known.npy", np.arange(8).reshape(4, 2))
    forget(["nobody"], find_folders(tmp_path), print)
    assert (run / "network" / "known.npy").exists()
    forget(["p1"], find_folders(tmp_path), print)
    assert not (run / "network" / "known.npy").exists() and (run / "network" / "file").exists()


def test_a_photo_that_another_post_shows_stays_with_all_that_was_measured_in_it(source, run, tmp_path):
    import_posts("table", source, tmp_path / "data" / "packed", pack=True)
    assert forget(["p3"], find_folders(tmp_path), print) == {"rows": 6, "photos": 0}
    assert left(run, "faces", "image") == ["2.jpg", "0.jpg", "1.jpg"]
    assert names_in(run) == {"network", "data.json", "state.json", "features.npy", "faces.log", "packed"}
    assert forget(["p2"], find_folders(tmp_path), print) == {"rows": 8, "photos": 1}  # and now it goes
    assert left(run, "faces", "image") == ["0.jpg", "1.jpg"]
    with zipfile.ZipFile(tmp_path / "data" / "packed" / "images.zip") as archive:
        assert archive.namelist() == ["0.jpg", "1.jpg"]


def test_photos_in_a_folder_of_the_data_folder_itself_go(source, tmp_path):
    mine = tmp_path / "data" / "mine"
    import_posts("table", source, mine)
    source.images.rename(mine / "images")
    record = json.loads((mine / "import.json").read_text())
    (mine / "import.json").write_text(json.dumps(record | {"images": "images"}))
    (mine / "images" / "0.jpg").unlink()
    assert forget(["p0", "p1"], [mine], print) == {"rows": 2, "photos": 1}  # one was gone before
    assert [path.name for path in (mine / "images").iterdir()] == ["2.jpg"]


def test_photos_that_are_not_ours_stay_and_are_named(source, tmp_path):
    linked, said = tmp_path / "data" / "linked", []
    import_posts("table", source, linked)
    assert forget(["p1", "p0"], [linked], said.append) == {"rows": 2, "photos": 0}
    assert sorted(path.name for path in source.images.iterdir()) == ["0.jpg", "1.jpg", "2.jpg"]
    assert said == [
        f"{source.images / '0.jpg'} is not ours to delete: remove it there if it is to go.",
        f"{source.images / '1.jpg'} is not ours to delete: remove it there if it is to go.",
        f"{linked}: 2 rows and 0 photos removed",
        LEARNED,
    ]


def test_photos_that_lie_nowhere_any_more_stop_nothing(source, tmp_path):
    import_posts("table", source, tmp_path / "data" / "linked")
    source.images.rename(tmp_path / "moved")
    assert forget(["p1"], find_folders(tmp_path), print) == {"rows": 1, "photos": 0}
    assert left(tmp_path / "data" / "linked", "posts") == ["p0", "p2", "p3"]


def test_what_was_left_out_at_once_is_forgotten_by_its_id(source, tmp_path):
    import_posts("table", source, tmp_path / "data" / "packed", pack=True)
    assert forget(["p7"], find_folders(tmp_path), print) == {"rows": 1, "photos": 0}
    assert left(tmp_path / "data" / "packed", "dropped", "image") == []


def test_figures_and_packs_of_a_folder_that_is_no_run_stay(run):
    (run / "data.json").unlink()
    forget(["p1"], [run], print)
    assert names_in(run) >= {"figures", "notebooks", "reports", "metrics.json", "faces.log", "packed"}


def test_scores_without_features_lose_their_rows_all_the_same(run):
    (run / "features.npy").unlink()
    forget(["p1"], [run], print)
    assert left(run, "scores") == ["p3", "p0", "p2"]


# --- users -----------------------------------------------------------------------------------------------


def test_a_user_takes_all_posts_along_from_wherever_they_are_known(source, run, tmp_path):
    packed = tmp_path / "data" / "packed"
    import_posts("table", source, packed, pack=True)
    scored = tmp_path / "runs" / "scored"  # knows ids only
    scored.mkdir()
    four_posts()[["post_id"]].to_parquet(scored / "scores.parquet")
    forget(["@ann", "p3"], find_folders(tmp_path), print)
    for folder, table in ((run, "scores"), (packed, "posts"), (scored, "scores")):
        assert left(folder, table) == ["p2"]
    assert (packed / "forgotten.txt").read_text() == "p0\np1\np3\n"


def test_a_post_named_like_a_user_is_not_that_user(run):
    forget(["ann", "@p1", "bob"], [run], print)
    assert len(left(run, "posts")) == 4


# --- gathered folders ------------------------------------------------------------------------------------


@pytest.fixture
def gathered(tmp_path):
    """A gathered folder: two posts with their photo, one whose photo has not come, one left out."""
    folder = tmp_path / "gathered"
    with open_gathered(folder) as base, base:
        for i, image in ((0, "0.jpg"), (1, "1.jpg"), (2, None)):
            row = (f"p{i}", "ann" if i else "bob", image)
            base.execute("INSERT INTO posts (post_id, user_id, image) VALUES (?, ?, ?)", row)
        base.execute("INSERT INTO left_out VALUES ('p5', 'by a bot')")
    (folder / "images").mkdir()
    for name in ("0.jpg", "1.jpg"):
        (folder / "images" / name).write_bytes(jpeg())
    return folder


def ask(folder, question):
    with open_gathered(folder) as base:
        return [value for (value,) in base.execute(question)]


def test_gathered_posts_go_with_their_photos_and_are_remembered(gathered):
    said = []
    assert forget(["@ann", "p5", "p9"], [gathered], said.append) == {"rows": 2, "photos": 1}
    assert said == [f"{gathered}: 2 rows and 1 photos removed", LEARNED]
    assert ask(gathered, "SELECT post_id FROM posts") == ["p0"] and not ask(
        gathered, "SELECT * FROM left_out"
    )
    assert sorted(ask(gathered, "SELECT post_id FROM forgotten")) == ["p1", "p2", "p5", "p9"]
    assert [path.name for path in (gathered / "images").iterdir()] == ["0.jpg"]


def test_the_gathered_folder_of_an_imported_one_is_looked_through_once_wherever_it_is(gathered, tmp_path):
    posts = four_posts().head(2).assign(label=[0, 1])
    data, said = tmp_path / "data" / "imported", []
    import_posts("mastodon", Source(posts, gathered / "images"), data)
    removed = forget(["p1"], [data, gathered, data / ".." / "imported"], said.append)
    assert removed == {"rows": 2, "photos": 1}
    assert said == [
        f"{data}: 1 rows and 0 photos removed",
        f"{gathered}: 1 rows and 1 photos removed",
        LEARNED,
    ]
    assert not (gathered / "images" / "1.jpg").exists()
    assert forget(["p0"], [data], print) == {"rows": 2, "photos": 1}  # also where it is not named


def test_a_bare_name_means_a_person_only_where_it_was_gathered(gathered, run, tmp_path):
    with open_gathered(gathered, "https://here.org/"):
        pass
    elsewhere = tmp_path / "elsewhere"
    with open_gathered(elsewhere, "https://there.org") as base, base:
        for post_id, user in (("q1", "ann"), ("q2", "ann@here.org")):
            base.execute("INSERT INTO posts (post_id, user_id) VALUES (?, ?)", (post_id, user))
    forget_person("ann", "https://here.org", [gathered, elsewhere, run], print)
    assert ask(gathered, "SELECT post_id FROM posts") == ["p0"]
    assert ask(elsewhere, "SELECT post_id FROM posts") == ["q1"]  # another ann
    assert left(run, "labels") == ["p0", "p3"]  # what was gathered here, by its ids
    forget_person("ann@there.org", "https://here.org", [elsewhere], print)
    assert ask(elsewhere, "SELECT post_id FROM posts") == ["q1"]  # she is called ann there


# --- not to come back ------------------------------------------------------------------------------------


def test_a_post_stays_out_of_the_next_import(source, tmp_path):
    mine = tmp_path / "data" / "mine"
    import_posts("table", source, mine)
    for name in ("p3", "p1"):
        forget([name], [mine], print)
    assert (mine / "forgotten.txt").read_text() == "p1\np3\n"
    import_posts("table", source, mine)
    assert left(mine, "posts") == ["p0", "p2"]


def test_a_second_time_there_is_nothing_left_to_do(source, run, tmp_path):
    import_posts("table", source, tmp_path / "data" / "packed", pack=True)
    said = []
    assert forget(["p1"], find_folders(tmp_path), said.append)["rows"] > 0
    said.clear()
    assert forget(["p1", "p8"], find_folders(tmp_path), said.append) == {"rows": 0, "photos": 0}
    assert said == ["None of p1, p8 was found in 2 folders; it will not be gathered again."]
    remembered = (tmp_path / "data" / "packed" / "forgotten.txt").read_text()
    assert remembered == "p1\np8\n" and not (run / "forgotten.txt").exists()


def test_an_archive_from_which_no_photo_goes_is_not_written_again(source, tmp_path):
    import_posts("table", source, tmp_path / "packed", pack=True)
    (archive,) = (tmp_path / "packed").glob("*.zip")
    before = archive.stat()
    forget(["nobody"], [tmp_path / "packed"])
    assert (archive.stat().st_ino, archive.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    forget(["p1"], [tmp_path / "packed"])
    assert archive.stat().st_ino != before.st_ino


def test_runs_without_such_a_post_keep_what_they_show(run):
    before = {p: p.stat().st_mtime_ns for p in run.rglob("*")}
    forget(["p9"], [run])
    assert {p: p.stat().st_mtime_ns for p in run.rglob("*")} == before


@pytest.mark.parametrize("name", ["", "@"])
def test_no_name_means_nobody_and_not_whatever_has_no_name(source, run, tmp_path, name):
    import_posts("table", source, tmp_path / "data" / "packed", pack=True)
    assert forget([name], find_folders(tmp_path), print) == {"rows": 0, "photos": 0}


# --- folders made by hand, and of several kinds ----------------------------------------------------------


MÜSLI = "müsli.jpg"


def by_hand(folder, table, photos):
    """A folder made by hand: five posts with ids that are numbers, two of which show the same photo."""
    posts = four_posts().assign(post_id=[7, 8, 9, 10], label=[0, 1, 0, 1], note=["a", "b; c", "d, e", "ü"])
    posts = pd.concat([posts, posts.tail(1).assign(post_id=11, image=MÜSLI)], ignore_index=True)
    folder.mkdir(parents=True)
    if table == "parquet":
        posts.to_parquet(folder / "posts.parquet")
    elif table == "index":
        posts.set_index("image").to_parquet(folder / "posts.parquet")
    else:
        encoding = "cp1252" if table == ";" else "utf-8"
        posts.to_csv(folder / "posts.csv", sep=table, index=False, encoding=encoding)
    if photos == "images":
        (folder / photos).mkdir()
        for name in ("0.jpg", "1.jpg", "2.jpg", unicodedata.normalize("NFD", MÜSLI)):
            (folder / photos / name).write_bytes(jpeg())
    else:
        with zipfile.ZipFile(folder / "images.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for name in ("0.jpg", "1.jpg", "2.jpg", MÜSLI):
                archive.writestr(f"{photos}{name}", jpeg())


@pytest.mark.parametrize(
    ("table", "photos"),
    [
        *((table, "images") for table in ("parquet", "index", ",", ";", "\t")),
        (",", ""),
        ("index", "around/all/"),
    ],
)
def test_a_folder_made_by_hand_loses_row_and_photo_and_keeps_the_others(tmp_path, table, photos):
    folder = tmp_path / "data" / "hand"
    by_hand(folder, table, photos)
    before = read_posts(open_data(folder).posts)
    assert forget(["8", "10", "11"], find_folders(tmp_path), print) == {"rows": 3, "photos": 2}
    left = before[before["post_id"].isin(["7", "9"])].reset_index(drop=True)
    pd.testing.assert_frame_equal(read_posts(open_data(folder).posts), left)
    there = open_images(open_data(folder).images)
    stamps = [there.stamp(name) for name in ("0.jpg", "1.jpg", "2.jpg", MÜSLI)]
    assert list(map(bool, stamps)) == [True, False, True, False]
    assert forget(["@ann"], [folder], print) == {"rows": 1, "photos": 1}
    assert not (folder / "forgotten.txt").exists()  # no import will ever write here


@pytest.mark.parametrize("name", ["../../own.jpg", "link/own.jpg"])
def test_a_photo_outside_is_not_removed_whatever_a_table_calls_it(tmp_path, name):
    folder, own = tmp_path / "data" / "hand", tmp_path / "own.jpg"
    by_hand(folder, "parquet", "images")
    own.write_bytes(jpeg())
    (folder / "images" / "link").symlink_to(tmp_path)
    pd.DataFrame({"post_id": ["p1"], "image": [name], "user_id": "u"}).to_parquet(folder / "posts.parquet")
    assert forget(["p1"], [folder], print) == {"rows": 1, "photos": 0}
    assert own.exists()


def test_photos_behind_a_link_are_not_ours(source, tmp_path):
    folder, said = tmp_path / "data" / "hand", []
    by_hand(folder, "parquet", "images")
    (folder / "images").rename(tmp_path / "own")
    (folder / "images").symlink_to(tmp_path / "own")
    assert forget(["8"], [folder], said.append) == {"rows": 1, "photos": 0}
    assert said[0] == f"{folder / 'images' / '1.jpg'} is not ours to delete: remove it there if it is to go."


def test_a_gathered_folder_that_is_imported_into_loses_both(gathered):
    posts = four_posts().head(2).assign(label=[0, 1])
    import_posts("mastodon", Source(posts, gathered / "images"), gathered)
    assert forget(["p1"], [gathered], print) == {"rows": 2, "photos": 1}
    assert left(gathered, "posts") == ask(gathered, "SELECT post_id FROM posts WHERE image != ''") == ["p0"]
    import_posts("mastodon", Source(posts.head(1), gathered / "images"), gathered)
    assert (gathered / "forgotten.txt").read_text() == "p1\n"


def test_photos_of_an_earlier_import_go_as_well(source, tmp_path):
    folder = tmp_path / "data" / "mine"
    import_posts("table", source, folder, pack=True)
    import_posts("table", source, folder)  # which refers to the photos where they lie
    assert forget(["p1"], [folder], print) == {"rows": 1, "photos": 1}
    with zipfile.ZipFile(folder / "images.zip") as archive:
        assert archive.namelist() == ["0.jpg", "2.jpg"]


# --- what is at fault, and who is killed -----------------------------------------------------------------


@pytest.fixture
def everywhere(source, run, gathered, tmp_path):
    """A project that knows p1 of ann in folders of all kinds, and a foreign table beside them."""
    data = tmp_path / "data"
    import_posts("table", source, data / "packed", pack=True)
    shutil.move(gathered, data / "gathered")
    by_hand(data / "hand", "\t", "images")
    posts = four_posts()
    posts.to_csv(data / "hand" / "posts.csv", index=False)
    (data / "foreign").mkdir()
    pd.DataFrame({"x": [1]}).to_parquet(data / "foreign" / "posts.parquet")
    four_posts()[["post_id"]].to_parquet(run / "crops.parquet")
    return tmp_path


def found(root, post="p1", photo="1.jpg"):
    """Name the files that hold a post, or its photo, in any folder under data/ and runs/."""
    holding = []
    for path in sorted([*root.glob("data/*/*"), *root.glob("runs/*/*"), *root.glob("data/*/images/*")]):
        with suppress(OSError, ValueError, zipfile.BadZipFile, SelfieError):  # as one that is damaged
            if path.suffix in (".parquet", ".csv"):
                table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
                holds = post in set(table.get("post_id", []))
            elif path.suffix == ".sqlite":
                holds = post in ask(path.parent, "SELECT post_id FROM posts")
            else:
                holds = path.name == photo
                holds |= path.suffix == ".zip" and photo in zipfile.ZipFile(path).namelist()
            holding += [path.relative_to(root).as_posix()] * holds
    return holding


DAMAGED = [
    "data/foreign/import.json", "data/foreign/posts.parquet", "data/packed/import.json",
    "data/packed/images.zip", "data/packed/posts.parquet", "data/packed/dropped.parquet",
    "data/gathered/gathered.sqlite", "data/hand/posts.csv", "runs/mine/posts.parquet",
    "runs/mine/scores.parquet", "runs/mine/crops.parquet", "runs/mine/faces.parquet",
]  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_one_damaged_file_stops_nothing_and_is_named_at_the_end(everywhere, name):
    path = everywhere / name
    whole = path.read_bytes() if path.exists() else None
    path.write_bytes(b"{ PAR1 cut off" * 9)
    with pytest.raises(SelfieError) as error:
        forget(["@ann"], find_folders(everywhere), print)
    told = str(error.value)
    assert told.startswith("Not all could be taken down: ") and str(path) in told and "\n" not in told
    held_back = {  # by these the photo is found once it can be
        "data/packed/images.zip": ["data/packed/posts.parquet"],
        "data/packed/posts.parquet": ["data/packed/images.zip"],
        "data/hand/posts.csv": ["data/hand/images/1.jpg"],
        "data/gathered/gathered.sqlite": ["data/gathered/images/1.jpg"],
    }
    assert found(everywhere) == held_back.get(name, [])
    assert not (everywhere / "runs" / "mine" / "figures").exists()
    path.unlink() if whole is None else path.write_bytes(whole)
    forget(shlex.split(told.split("`")[1])[2:], find_folders(everywhere), print)  # as it says
    assert found(everywhere) == []


def test_a_table_of_somebody_else_is_no_fault_and_stays(everywhere):
    before = (everywhere / "data" / "foreign" / "posts.parquet").read_bytes()
    forget(["@ann"], find_folders(everywhere), print)
    assert (everywhere / "data" / "foreign" / "posts.parquet").read_bytes() == before


def test_all_faults_are_told_at_once_each_once(everywhere):
    for name in DAMAGED:
        (everywhere / name).write_bytes(b"{ PAR1 cut off" * 9)
    with pytest.raises(SelfieError) as error:
        forget_person("ann", "https://here.org", find_folders(everywhere), print)
    for name in set(DAMAGED) - {"data/packed/images.zip"}:  # what is in there, its posts would say
        assert len(re.findall(f"{everywhere / name} (is|cannot be) ", str(error.value))) == 1


def test_a_folder_that_may_not_be_searched_stops_nothing(everywhere, monkeypatch):
    """As pathlib says it to who is not root."""
    shut, is_file = everywhere / "data" / "foreign", Path.is_file

    def is_file_unless_shut(path):
        if path.parent == shut:
            raise PermissionError(13, "Permission denied", str(path))
        return is_file(path)

    with monkeypatch.context() as patched, pytest.raises(SelfieError, match=r"foreign.*: Permission denied"):
        patched.setattr(Path, "is_file", is_file_unless_shut)
        forget_person("ann", "https://here.org", find_folders(everywhere), print)
    with monkeypatch.context() as patched, pytest.raises(SelfieError, match=r"foreign.*: Permission denied"):
        patched.setattr(Path, "is_file", is_file_unless_shut)
        forget(["@ann"], find_folders(everywhere), print)
    assert found(everywhere) == []


def test_a_bare_name_can_be_taken_down_again_after_a_fault_since_what_was_gathered_goes_last(everywhere):
    """Only there it is known whose posts they are."""
    with open_gathered(everywhere / "data" / "gathered", "https://here.org"):
        pass
    for stop in range(0, 120, 13):
        with pytest.MonkeyPatch.context() as monkeypatch, suppress(Killed):
            kill_at(monkeypatch, stop)
            forget_person("ann", "https://here.org", find_folders(everywhere), print)
        if found(everywhere):
            assert "data/gathered/gathered.sqlite" in found(everywhere)
    assert found(everywhere) == []


class Killed(BaseException):
    """What nothing catches."""


def kill_at(monkeypatch, stop):
    """Stop for good before the n-th naming or removing of a file; nothing is cleaned up."""
    steps = count()

    def killable(act):
        def acting(*args, **options):
            if next(steps) >= stop:
                raise Killed
            return act(*args, **options)

        return acting

    for name in ("replace", "unlink", "rmdir"):
        monkeypatch.setattr(os, name, killable(getattr(os, name)))


@pytest.mark.parametrize(("folders", "step"), [("runs", 1), ("data runs", 5)])
def test_whoever_is_killed_anywhere_begins_again_and_finishes(everywhere, tmp_path_factory, folders, step):
    """fc7 stands beside the scores of its own posts or not at all, at any moment."""
    fc7 = {"p3": [0, 1], "p1": [2, 3], "p0": [4, 5], "p2": [6, 7]}
    run = everywhere / "runs" / "mine"
    for name in ("tables", "picker", "notebooks", "reports", "faces.log"):  # which only take time here
        shutil.rmtree(run / name)
    for name in ("labels", "map", "copies", "attributes"):
        (run / f"{name}.parquet").unlink()
    for stop in range(0, 200, step):
        root = tmp_path_factory.mktemp("killed") / "project"
        for name in folders.split():
            shutil.copytree(everywhere / name, root / name)
        finished = False
        with pytest.MonkeyPatch.context() as monkeypatch, suppress(Killed):
            kill_at(monkeypatch, stop)
            forget(["@ann"], find_folders(root), lambda told: None)
            finished = True
        scores, features = root / "runs" / "mine" / "scores.parquet", root / "runs" / "mine" / "features.npy"
        if features.exists():
            assert np.load(features).tolist() == [fc7[one] for one in pd.read_parquet(scores)["post_id"]]
        forget(["@ann"], find_folders(root), lambda told: None)
        assert found(root) == found(root, "p0", "no photo") == []
        assert not (root / "runs" / "mine" / "figures").exists()
        if finished:
            break
    assert finished and stop > 8


@pytest.mark.parametrize("content", [b"", b"cut", None])
def test_fc7_that_fits_no_scores_is_removed_and_told(run, content):
    features, said = run / "features.npy", []
    np.save(features, np.arange(6).reshape(3, 2)) if content is None else features.write_bytes(content)
    assert forget(["p1"], [run], said.append)["rows"] > 0
    told = f"{features} did not fit its scores and is removed: selfie reproduce makes it again."
    assert said[0] == told and not features.exists() and left(run, "scores") == ["p3", "p0", "p2"]


def test_what_a_killed_process_has_left_goes_with_the_post_and_stays_without(source, tmp_path):
    mine = tmp_path / "data" / "mine"
    import_posts("table", source, mine, pack=True)
    shutil.copy(mine / "images.zip", mine / ".images.4711.part.zip")
    forget(["nobody"], [mine], print)
    assert (mine / ".images.4711.part.zip").exists()
    forget(["p1"], [mine], print)
    assert not (mine / ".images.4711.part.zip").exists()
