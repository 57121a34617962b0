"""A network knows photos like those that it was tested on, and says so where others come."""

import json

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import NearestNeighbors

from selfie_utils.analysis import transfer
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run

WIDTH = 12  # numbers of fc7


def cloud(photos, seed, shift=0.0):
    """A Gaussian around a point off the origin, float32 (N, WIDTH); shifted along the first axis."""
    middle = np.arange(WIDTH) + 3.0
    found = np.random.default_rng(seed).normal(middle, 1.0, (photos, WIDTH)).astype(np.float32)
    found[:, 0] += shift
    return found


def make_run(path, fc7, simulated=False, elsewhere=False, users=None):
    """Make a run whose network was taught there, or `elsewhere`, and has scored posts with these fc7."""
    run = create_run(path)
    if simulated:
        (run.root / "truth.parquet").touch()
    run.write_json("network/network", {"key": "" if elsewhere else "k"})
    names = [f"p{i}" for i in range(len(fc7))]
    users = [f"u{i}" for i in range(len(fc7))] if users is None else users
    run.write_table("scores", pd.DataFrame({"post_id": names, "user_id": users}))
    np.save(run.root / "features.npy", fc7)
    return run


def score_with(source, path, fc7):
    """Score posts with the network of another run, as 01_train does it; returns the run and what is found."""
    teachers = transfer.brought_from(source, create_run(path))
    run = make_run(path, fc7, elsewhere=True)
    return run, transfer.judge(run, teachers)


# --- distances --------------------------------------------------------------------------------------------


def test_distances_are_those_of_another_library_whatever_the_length_of_fc7():
    reference, asked = cloud(57, 0), cloud(23, 1, 4.0)
    for k in (1, 10, 57):
        known = transfer.Familiar(transfer._unit(reference), 0.0, k)
        nearest = NearestNeighbors(n_neighbors=k, metric="cosine").fit(reference)
        wanted = nearest.kneighbors(asked)[0][:, -1]
        assert np.allclose(known.distances(asked), wanted, atol=1e-5)
        assert np.allclose(known.distances(asked * 7), wanted, atol=1e-5)


def test_a_right_angle_is_a_distance_of_one_and_zeros_are_no_error():
    known = transfer.Familiar(np.eye(3, dtype=np.float32)[:1], 0.5)
    asked = np.array([[9.0, 0, 0], [0, 2, 0], [-1, 0, 0], [0, 0, 0]])
    assert known.distances(asked).tolist() == [0, 1, 2, 1]
    assert known.outside(asked).tolist() == [False, True, True, True]


def test_photos_are_compared_slice_by_slice_to_the_same_result(monkeypatch):
    known, asked = transfer.familiar_with(cloud(80, 0)), cloud(23, 1)
    whole = known.distances(asked)
    monkeypatch.setattr(transfer, "SLICE", 5)
    assert np.allclose(known.distances(asked), whole, atol=1e-6)


# --- inside and outside -----------------------------------------------------------------------------------


def test_of_its_own_kind_about_a_twentieth_is_outside_and_of_a_shifted_kind_all():
    known = transfer.familiar_with(cloud(2000, 0))
    assert 0.03 < known.outside(cloud(4000, 1)).mean() < 0.07
    assert known.outside(cloud(300, 2, 40.0)).all()
    assert 0.07 < known.outside(cloud(4000, 3, 3.0)).mean() < 1  # the further away, the more


def test_of_the_half_that_sets_the_threshold_just_the_furthest_five_in_a_hundred_are_outside():
    posts = cloud(200, 5)
    known = transfer.familiar_with(posts)
    assert known.outside(posts[100:]).sum() == 5 and len(known.reference) == 100


@pytest.mark.parametrize("posts", [2, 3, 5, 19])  # halves of 1, 1, 2 and 9, fewer than the tenth neighbour
def test_fewer_posts_than_neighbours_are_compared_with_the_furthest_of_them(posts):
    known = transfer.familiar_with(cloud(posts, 0))
    nearest = NearestNeighbors(n_neighbors=posts // 2, metric="cosine").fit(cloud(posts, 0)[: posts // 2])
    assert np.allclose(known.distances(cloud(4, 1)), nearest.kneighbors(cloud(4, 1))[0][:, -1], atol=1e-5)
    assert known.outside(cloud(5, 2, 90.0)).all()


def test_no_photo_one_photo_and_one_that_was_not_seen():
    known = transfer.familiar_with(cloud(100, 0))
    assert known.outside(np.empty((0, WIDTH), np.float32)).shape == (0,)
    assert known.outside(cloud(1, 1)).shape == (1,)
    unseen = cloud(3, 2, 40.0)
    unseen[1] = np.nan
    assert known.outside(unseen).tolist() == [True, False, True]


def test_fc7_of_another_network_and_too_few_posts_are_refused():
    known = transfer.familiar_with(cloud(10, 0))
    for wrong in (np.zeros((3, WIDTH + 1)), np.zeros(WIDTH)):
        with pytest.raises(SelfieError, match=r"expected \(N, 12\) .* another network"):
            known.outside(wrong)
    with pytest.raises(SelfieError, match="fc7 of 1 test posts: expected two or more"):
        transfer.familiar_with(cloud(1, 0))


# --- what travels with the network ------------------------------------------------------------------------


def test_what_is_kept_is_small_in_random_order_and_the_same_again(tmp_path, monkeypatch):
    monkeypatch.setattr(transfer, "MOST", 50)
    fc7 = cloud(90, 0) * 1e5  # more than 16 bits hold
    run = make_run(tmp_path / "a", fc7)
    kept = []
    for seed in (0, 0, 1):
        transfer.keep_known(run, seed)
        kept.append(np.load(run.root / "network" / "known.npy"))
    assert kept[0].shape == (50, WIDTH) and kept[0].dtype == np.float16
    assert np.array_equal(kept[0], kept[1]) and not np.array_equal(kept[0], kept[2])
    apart = abs(kept[0][:, None] - transfer._unit(fc7)[None]).max(axis=2)  # (50, 90)
    rows = apart.argmin(axis=1)
    assert apart.min(axis=1).max() < 1e-3 and len(set(rows)) == 50 and sorted(rows) != rows.tolist()


def test_no_user_but_one_stands_in_both_halves(tmp_path):
    """Else a photo of somebody would be compared with others of the same person, and strangers look odd."""
    users = [f"u{i * 7 % 20}" for i in range(100)]
    fc7 = np.eye(20, dtype=np.float32)[[int(user[1:]) for user in users]]  # fc7 tells the user
    run = make_run(tmp_path / "a", fc7, users=users)
    transfer.keep_known(run)
    shown = np.load(run.root / "network" / "known.npy").argmax(axis=1)
    assert len(set(shown[:50]) & set(shown[50:])) <= 1 and len(set(shown)) == 20


def test_a_run_of_before_anything_was_kept_has_the_fc7_of_its_scores(tmp_path):
    run = make_run(tmp_path / "a", cloud(60, 0), simulated=True)
    run.write_json("network/network", {"key": "k"})  # as older runs have it
    assert transfer.teachers_of(run) == ("a", True, False)
    assert transfer.known_of(run).shape == (60, WIDTH)
    run.write_json("network/network", {"key": ""})  # the network came from elsewhere, nobody knows whence
    assert transfer.teachers_of(run) == ("", None, True) and transfer.known_of(run) is None


def test_of_39_posts_nothing_is_known_and_of_40_it_is(tmp_path):
    for posts, known in ((39, False), (40, True)):
        run = make_run(tmp_path / f"run{posts}", cloud(posts, 0))
        for _ in range(2):  # from features.npy, and then as it is kept
            assert (transfer.familiar_of(run) is not None) == known
            transfer.keep_known(run)


def test_what_cannot_be_read_is_named(tmp_path):
    run = make_run(tmp_path / "a", cloud(60, 0))
    for content in (b"", b"no array"):
        (run.root / "network" / "known.npy").write_bytes(content)
        with pytest.raises(SelfieError, match=r"known\.npy cannot be read: .* run notebooks/01_train"):
            transfer.known_of(run)
    np.save(run.root / "network" / "known.npy", np.zeros(5))
    with pytest.raises(SelfieError, match="expected a row per post"):
        transfer.known_of(run)


# --- from run to run --------------------------------------------------------------------------------------


def test_a_chain_of_runs_asks_what_the_first_one_knows(tmp_path):
    first = make_run(tmp_path / "demo", cloud(400, 0), simulated=True)
    assert transfer.judge(first, transfer.keep_known(first)) is None
    second, of_second = score_with(first, tmp_path / "second", cloud(80, 1, 40.0))
    third, of_third = score_with(second, tmp_path / "third", cloud(2000, 2))
    assert of_second.metrics()["outside"] == 1 and 0.01 < of_third.metrics()["outside"] < 0.1
    for run, found in ((second, of_second), (third, of_third)):
        assert found.teachers == transfer.teachers_of(run) == ("demo", True, True)
        assert np.array_equal(transfer.known_of(run), transfer.known_of(first))
    assert transfer.teachers_of(first) == ("demo", True, False)


def test_a_chain_from_a_run_that_kept_nothing_takes_its_features_once_and_never_those_of_others(tmp_path):
    first = make_run(tmp_path / "demo", cloud(400, 0))
    second, found = score_with(first, tmp_path / "second", cloud(80, 1, 40.0))
    assert found.metrics()["outside"] == 1
    (second.root / "network" / "known.npy").unlink()
    assert transfer.known_of(second) is None  # its features are of photos that the network never learned
    _, found = score_with(second, tmp_path / "third", cloud(80, 1, 40.0))
    assert found.outside is None and found.metrics() == {}


def test_a_network_that_brings_nothing_leaves_nothing_of_the_one_before(tmp_path):
    large, small = (make_run(tmp_path / f"of{n}", cloud(n, 0)) for n in (100, 10))
    run, _ = score_with(large, tmp_path / "mine", cloud(50, 1))
    assert transfer.known_of(run) is not None
    run, found = score_with(small, tmp_path / "mine", cloud(50, 1))
    assert not (run.root / "network" / "known.npy").exists() and found.outside is None


def test_a_run_that_is_scored_again_with_its_own_network_has_it_from_where_it_had_it(tmp_path):
    first = make_run(tmp_path / "demo", cloud(100, 0), simulated=True)
    teachers = transfer.keep_known(first)
    kept = (first.root / "network" / "known.npy").read_bytes()
    assert transfer.brought_from(first, first) == teachers == ("demo", True, False)
    assert (first.root / "network" / "known.npy").read_bytes() == kept
    second, _ = score_with(first, tmp_path / "second", cloud(80, 1))
    _, again = score_with(second, tmp_path / "second", cloud(80, 1))
    assert again.teachers == ("demo", True, True) and again.outside is not None


def test_a_network_that_is_taught_here_has_no_line_and_clears_one_away(tmp_path):
    first = make_run(tmp_path / "demo", cloud(100, 0), simulated=True)
    run, _ = score_with(first, tmp_path / "mine", cloud(80, 1))
    assert (run.root / "transfer.json").exists()
    assert transfer.judge(run, transfer.keep_known(run)) is None
    assert not (run.root / "transfer.json").exists()
    assert transfer.teachers_of(run) == ("mine", False, False)


# --- in words ---------------------------------------------------------------------------------------------


@pytest.fixture
def theirs(tmp_path):
    """A network that was taught on simulated people, and a run of photos that are all unlike them."""
    first = make_run(tmp_path / "demo", cloud(200, 0), simulated=True)
    return score_with(first, tmp_path / "mine", cloud(80, 1, 40.0))


def test_a_share_comes_with_its_interval(theirs):
    found = theirs[1].metrics()
    assert found["outside"] == found["outside_high"] == 1
    assert found["outside_low"] == pytest.approx(80 / (80 + 1.959964**2))  # Wilson's, of 80 out of 80


def test_the_page_says_in_words_what_was_found_and_who_the_teachers_were(theirs):
    told = theirs[1].in_words()
    assert told.startswith(
        "The network was taught in another run, `demo`. It was taught on simulated people:"
    )
    assert "Of these 80 photos **100.0%** [95.4% to 100.0%] lie outside what it knows" in told
    assert "than 95% of them" in told and "it would be 5%" in told and told.endswith(transfer.GUESS)
    kept = json.loads((theirs[0].root / "transfer.json").read_text())
    assert kept["told"] == (
        "Scored by a network that was taught in another run (demo), on simulated people: nothing has shown "
        "that it is right about real ones. Of these photos 100% lie outside what it knows: their scores are "
        "guesses."
    )
    assert kept["run"] == "demo" and kept["simulated"] and kept["outside"] == 1


def test_where_nothing_is_known_that_is_said_and_of_real_teachers_no_word(tmp_path):
    for simulated in (True, False):
        first = make_run(tmp_path / f"few{simulated}", cloud(10, 0), simulated=simulated)
        run, found = score_with(first, tmp_path / f"mine{simulated}", cloud(80, 1))
        assert found.in_words().endswith(transfer.UNKNOWN)
        assert "is not known" in json.loads((run.root / "transfer.json").read_text())["told"]
        assert ("simulated" in found.in_words()) == ("simulated" in found.in_brief()) == simulated


def test_where_no_photo_is_outside_no_score_is_called_a_guess():
    found = transfer.Transfer(transfer.Teachers("theirs", False, True), np.zeros(7, dtype=bool))
    assert "**0.0%** [0.0% to " in found.in_words() and transfer.GUESS not in found.in_words()
    assert found.in_brief().endswith("run (theirs). None of these photos lies outside what it knows.")


def test_a_run_that_nobody_can_name_is_no_gap_in_the_sentence():
    nameless = transfer.Transfer(transfer.Teachers("", None, True), None)
    assert nameless.in_words().startswith("The network was taught in another run. Whether")
    assert nameless.in_brief().startswith("Scored by a network that was taught in another run. Whether")


@pytest.mark.parametrize(
    ("outside", "simulated", "told"),
    [
        ([True, None, False], False, f"1 of 2 photos lie outside what the network knows. {transfer.GUESS}"),
        ([False, False], True, f"0 of 2 photos lie outside what the network knows. {transfer.SIMULATED}"),
        ([True], False, f"The photo lies outside what the network knows. {transfer.GUESS}"),
        ([False], False, "The photo lies inside what the network knows."),
        ([None], True, f"{transfer.SIMULATED} {transfer.UNKNOWN}"), ([None, None], None, transfer.UNKNOWN),
        ([], True, ""),
    ],
)  # fmt: skip
def test_rated_photos_are_told_apart_in_one_line(outside, simulated, told):
    teachers = transfer.Teachers("demo", simulated, False)
    assert transfer.rated_in_words(pd.Series(outside, dtype="boolean"), teachers) == told
