"""What a run knows of one photo: its place, its like, its worth, its best crop, and where to be careful."""

import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import skimage.data
from PIL import Image
from toy_run import POSTS, make_run, open_rater

from selfie_utils.analysis.answer import AROUND, NEAREST, answer_all, answer_folder, read
from selfie_utils.analysis.transfer import GUESS, familiar_with
from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import UnreadableImage


@pytest.fixture(scope="module")
def rater(tmp_path_factory):
    return open_rater(make_run(tmp_path_factory.mktemp("simulated") / "run").root)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    """The same posts, of people who exist."""
    return open_rater(make_run(tmp_path_factory.mktemp("real") / "run", simulated=False).root)


@pytest.fixture(scope="module")
def scores(rater) -> pd.DataFrame:
    return rater.run.read_table("scores")


def stranger(seed: int = 0, size: tuple[int, int] = (90, 70)) -> Image.Image:
    """A photo that is no test post."""
    blocks = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize(size, Image.Resampling.NEAREST)


def post(rater, name: str) -> Image.Image:
    return read(rater.images.read(name))


def test_a_photo_stands_between_those_that_score_better_and_worse(rater, scores):
    answer = rater.answer(stranger())
    falling = sorted(scores["score"], reverse=True)
    better = sum(score > answer.score for score in falling)
    assert 8 < better < 72  # in the middle of the crowd, so that both sides are full
    assert answer.rank == better + 1 and answer.percentile == pytest.approx(1 - better / POSTS)
    assert [one.score for one in answer.above] == falling[better - AROUND : better]
    assert [one.score for one in answer.below] == falling[better : better + AROUND]
    assert [one.rank for one in answer.above + answer.below] == list(range(better - 3, better + 5))
    assert answer.itself == "" and f"Its place would be {better + 1} of 81." in answer.sentences()[0]


def test_a_test_post_is_known_again_and_does_not_stand_next_to_itself(rater, scores):
    ranked = scores.sort_values("score", ascending=False, ignore_index=True)
    answer = rater.answer(post(rater, ranked["image"][30]))
    assert answer.itself == ranked["post_id"][30] and answer.rank == 31
    around = [one.post_id for one in answer.above + answer.below]
    assert around == [*ranked["post_id"][26:30], *ranked["post_id"][31:35]]
    assert answer.itself not in [one.post_id for one in answer.nearest]
    assert len(answer.nearest) == NEAREST and "at place 31 of 80." in answer.sentences()[0]


@pytest.mark.parametrize(("place", "above", "below"), [(0, 0, 4), (1, 1, 4), (79, 4, 0), (77, 4, 2)])
def test_at_both_ends_there_are_fewer_neighbours(rater, scores, place, above, below):
    ranked = scores.sort_values("score", ascending=False, ignore_index=True)
    answer = rater.place(post(rater, ranked["image"][place]))
    assert (len(answer.above), len(answer.below)) == (above, below)


def test_the_nearest_posts_have_the_smallest_angle_to_it_in_fc7(rater, scores):
    fc7, photo = rater.run.read_features().astype(float), stranger(3)
    one = rater.scorer.rate(photo).fc7[0].astype(float)
    cosine = [1 - one @ other / np.sqrt((one @ one) * (other @ other)) for other in fc7]
    answer = rater.answer(photo)
    assert [p.post_id for p in answer.nearest] == scores["post_id"].iloc[
        np.argsort(cosine)[:NEAREST]
    ].tolist()
    assert [p.distance for p in answer.nearest] == pytest.approx(sorted(cosine)[:NEAREST], abs=1e-5)


def test_a_score_is_worth_what_posts_of_like_score_were_labelled(rater, scores):
    """Of 20 posts, a quarter of the 80, some are good; Wilson's interval by his own formula."""
    answer = rater.answer(stranger())
    ranked = scores.sort_values("score", ascending=False)
    some = ranked.iloc[answer.rank - 1 - 10 : answer.rank - 1 + 10]
    known = some["label"].dropna()
    n, p, z = len(known), known.mean(), 1.959964
    middle, half = p + z * z / (2 * n), z * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = ((middle + sign * half) / (1 + z * z / n) for sign in (-1, 1))
    assert 17 <= n <= 20 and answer.good == pytest.approx({"share": p, "low": low, "high": high, "known": n})
    assert answer.like == (some["score"].min(), some["score"].max())
    assert f"{p:.0%} [{low:.0%} to {high:.0%}] are good" in answer.sentences()[1]


def test_without_labels_nothing_is_said_of_worth(rater):
    answer = rater.answer(stranger())
    unknown = replace(answer, good={"share": np.nan, "low": np.nan, "high": np.nan, "known": 0})
    assert "is not known" in unknown.sentences()[1] and not any("nan" in s for s in unknown.sentences())


def test_real_photos_of_the_worst_tenth_are_small_and_simulated_ones_are_not(rater, real, scores):
    ranked = scores.sort_values("score", ignore_index=True)
    worst, second = post(real, ranked["image"][0]), post(real, ranked["image"][10])
    assert real.place(worst).small and not real.place(second).small
    assert [one.small for one in real.place(worst).above] == [True] * AROUND  # ranks 76 to 79 of 80
    assert not rater.place(worst).small  # it is a test post, and nobody is in it
    marked = worst.copy()
    marked.paste((255, 0, 0), (0, 0, 8, 8))  # no test post any more: who knows who that is?
    assert rater.place(marked).score < scores["score"].quantile(0.1) and rater.place(marked).small
    assert not any(one.small for one in rater.place(worst).above)


def test_the_best_crop_is_no_worse_than_what_was_tried_and_the_same_each_time(rater):
    photo = stranger(1, (200, 120))
    one, other = rater.answer(photo), rater.answer(photo)
    assert one.look.crop == other.look.crop and one.look.tried == 24
    box = [round(one.look.crop[edge] * (200, 120)[i % 2]) for i, edge in enumerate(("left", "top"))]
    side = int(one.look.crop["side"])
    cut = photo.crop((*box, box[0] + side, box[1] + side))
    assert rater.scorer.rate(cut).score[0] == pytest.approx(one.look.crop["crop_score"], abs=1e-6)
    assert one.gain == pytest.approx(100 * (one.look.crop["crop_score"] - one.score))


def test_a_crop_that_gains_nothing_is_not_praised(rater):
    answer = rater.answer(stranger())
    flat = replace(answer.look, crop=answer.look.crop | {"crop_score": 0.3, "score": 0.3})
    assert "None of 24 square crops scores higher" in replace(answer, look=flat).sentences()[-1]


def test_the_map_says_where_the_score_is_raised(rater):
    """Integrated gradients add up to the difference of the log-odds from those of the plain photo."""
    photo = stranger(2, (32, 32))
    found = rater.answer(photo).look
    plain = Image.new("RGB", (32, 32), tuple(np.asarray(photo).mean((0, 1)).round().astype(int)))
    wanted = float(np.diff(rater.scorer.log_odds([plain, photo]))[0])
    assert found.saliency.shape == (32, 32) and found.method == "integrated gradients"
    assert found.saliency.sum() == pytest.approx(wanted, abs=0.15 * max(1, abs(wanted)))


@pytest.mark.parametrize(("size", "tried"), [((26, 40), False), ((27, 40), True)])
def test_a_photo_too_small_for_a_crop_is_scored_all_the_same(rater, size, tried):
    answer = rater.answer(stranger(4, size))  # 16 px is the least, and 0.6 of the side the smallest crop
    told = " ".join(answer.sentences())
    assert 0 < answer.score < 1 and f"{size[0]} x 40 px" in told and "it was enlarged" in told
    assert (answer.look.crop is not None) == tried and ("No crop was tried" in told) != tried


def test_faces_are_counted(rater):
    one = Image.fromarray(skimage.data.astronaut()[:256, 96:352])
    two = Image.new("RGB", (512, 256))
    two.paste(one, (0, 0)), two.paste(one, (256, 0))
    told = {name: " ".join(rater.place(p).sentences()) for name, p in {"1": one, "2": two}.items()}
    assert (rater.place(one).faces, rater.place(two).faces) == (1, 2)
    assert "face" not in told["1"] and "2 faces were found" in told["2"]
    assert "No face was found" in " ".join(rater.place(stranger()).sentences())
    assert rater.glance(two).faces == 2


def test_a_photo_unlike_all_test_posts_is_a_guess(tmp_path):
    rater = open_rater(make_run(tmp_path / "run").root)
    photo = stranger()
    assert rater.place(photo).outside is False
    fc7 = np.random.default_rng(0).normal(1, 0.01, (50, rater.run.read_features().shape[1]))
    rater._familiar = familiar_with(fc7)  # of a network that knows one kind of photo only
    answer = rater.place(photo)
    assert answer.outside is True and GUESS in " ".join(answer.sentences())


def test_at_a_glance_a_frame_has_the_score_of_the_photo(rater):
    photo = stranger(6)
    glance, answer = rater.glance(photo), rater.place(photo)
    assert glance == (pytest.approx(answer.score, abs=1e-6), answer.percentile, answer.faces)


def save(image: Image.Image, path) -> bytes:
    image.save(path)
    return path.read_bytes()


def test_of_named_photos_one_that_is_broken_is_told_and_the_others_answered_for(rater, tmp_path):
    save(stranger(1), tmp_path / "b.png"), save(stranger(2), tmp_path / "c.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "b.png").read_bytes()[:200])
    found = answer_all(rater, [tmp_path, tmp_path / "none.jpg"])
    assert [a.score for a in found.answers] == [rater.place(stranger(seed)).score for seed in (1, 2)]
    assert [name.rpartition("/")[2] for name, _ in found.unread] == ["a.png", "none.jpg"]
    assert all(name in found.in_words() for name in ("a.png", "none.jpg", "**2 photos**"))
    few = answer_all(rater, [tmp_path / "b.png", tmp_path / "c.png"], most=1)
    assert (len(few.answers), few.left_out) == (1, 1) and "1 more are left out" in few.in_words()


def test_a_folder_is_answered_for_best_first_and_without_one_some_test_posts(rater, tmp_path):
    for seed in range(5):
        save(stranger(seed), tmp_path / f"{seed}.png")
    table = answer_folder(rater, str(tmp_path)).table()
    assert table["score"].is_monotonic_decreasing and len(table) == 5
    own, again, others = (answer_folder(rater, "test", test_posts=4, seed=seed) for seed in (0, 0, 1))
    names = [{a.itself for a in found.answers} for found in (own, again, others)]
    assert names[0] == names[1] != names[2] and len(names[0]) == 4 and "" not in names[0]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"photos": "nowhere"}, "No photo of nowhere can be rated"),
        ({"photos": "test", "test_posts": 0}, "test_posts is 0, expected 1 or more"),
        ({"photos": "test", "most": -1}, "most is -1"),
    ],
)
def test_bad_input_is_one_sentence(rater, given, sentence):
    with pytest.raises(SelfieError, match=sentence):
        answer_folder(rater, **given)


def test_a_photo_is_read_upright_and_large_enough_for_crops(tmp_path):
    exif = Image.Exif()
    exif[274] = 6  # a quarter turn
    large = Image.new("RGB", (3000, 2000), "red")
    out = io.BytesIO()
    large.save(out, "JPEG", exif=exif)
    photo = read(out.getvalue())
    assert photo.size[0] < photo.size[1] and min(photo.size) >= 512
    with pytest.raises(UnreadableImage):
        read(b"no photo")
