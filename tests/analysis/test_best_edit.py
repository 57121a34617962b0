"""The best edit of a photo: greedy, each kind once, and no step that gains too little."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.analysis import best_edit
from selfie_utils.core.errors import SelfieError
from selfie_utils.photos.images import open_images


def white(photos):
    """Log-odds are the share of white pixels."""
    return (photos == 255).all(axis=3).mean(axis=(1, 2))


def nothing(photos):
    return np.zeros(len(photos))


@pytest.fixture
def photo():
    return np.random.default_rng(0).integers(60, 130, (40, 40, 3)).astype(np.uint8)


def test_a_network_that_likes_white_gets_the_border_with_the_most_of_it(photo):
    """Edges of 10% make 36% white, bars of 14% (6 of 40 px) 30%, edges of 5% 19%."""
    steps = best_edit.best_edits(white, photo, least=0.05)
    assert [step.name for step in steps][:2] == ["as it was", "border of 10%"]
    assert steps[1].log_odds == pytest.approx(0.36) and steps[0].photo is photo
    odds = [step.log_odds for step in steps]
    assert all(after > before + 0.05 for before, after in pairwise(odds))
    assert len({step.name for step in steps} & set(best_edit.CHOICES["border"])) == 1


def test_the_brightest_exposure_is_the_best_for_who_likes_light(photo):
    steps = best_edit.best_edits(lambda photos: photos.mean(axis=(1, 2, 3)) / 255, photo, least=0.1)
    assert "+1.5 stops" in [step.name for step in steps]


def test_each_kind_is_used_once_at_most_and_a_gain_must_exceed_the_least(photo):
    assert len(best_edit.best_edits(nothing, photo, least=0.0)) == 1
    calls = iter(range(1, 99))
    eager = best_edit.best_edits(lambda photos: np.full(len(photos), float(next(calls))), photo, least=0.9)
    assert len(eager) == 1 + len(best_edit.CHOICES)
    calls = iter(range(1, 99))
    assert len(best_edit.best_edits(lambda photos: np.full(len(photos), float(next(calls))), photo, 1.0)) == 1


def test_a_caption_tells_the_edit_and_the_score():
    step = best_edit.Step("faded", np.zeros((2, 2, 3), np.uint8), np.log(0.445 / 0.555))
    assert step.title == "faded\nscore 44.5" and step.score == pytest.approx(0.445)


@pytest.fixture
def posts(tmp_path):
    for i in range(5):
        Image.new("RGB", (20, 10), (50 * i, 0, 0)).save(tmp_path / f"{i}.png")
    (tmp_path / "broken.png").write_bytes(b"no photo")
    scores = pd.DataFrame({"post_id": list("edcbax"), "score": [0.9, 0.1, 0.5, 0.3, 0.7, 0.2]})
    scores["image"] = ["0.png", "1.png", "2.png", "3.png", "4.png", "broken.png"]
    return scores, open_images(tmp_path), tmp_path


def test_the_photo_is_a_file_a_post_or_the_middle_of_the_ranking(posts):
    scores, images, folder = posts
    by_post = best_edit.open_photo("b", scores, images, 8)
    assert by_post[0] == "3.png" and by_post[1].shape == (8, 8, 3) and by_post[1][0, 0, 0] == 150
    name, pixels = best_edit.open_photo(str(folder / "4.png"), scores, images, 8)
    assert name == "4.png" and pixels[0, 0, 0] == 200
    # Of scores 0.9, 0.7, 0.5, 0.3, 0.2, 0.1 the fourth of six.
    assert best_edit.open_photo("", scores, images, 8)[0] == "3.png"


@pytest.mark.parametrize(
    ("photo", "sentence"),
    [
        ("nobody", "photo = 'nobody' is neither a file nor"),
        ("x", "broken.png cannot be edited: not an image"),
    ],
)
def test_what_is_no_photo_is_refused_in_a_sentence(posts, photo, sentence):
    with pytest.raises(SelfieError, match=sentence):
        best_edit.open_photo(photo, *posts[:2], 8)
