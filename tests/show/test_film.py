"""The film has a frame a stage, each with a column more, and reaches the run folder as it moves."""

import io
from itertools import pairwise

import numpy as np
import pytest
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import create_run
from selfie_utils.show import film


@pytest.fixture
def scene():
    """A red photo, and three stages of ever coarser grids."""
    rng = np.random.default_rng(0)
    stages = {f"stage {i}": rng.random((4, side, side)) for i, side in enumerate((16, 8, 2), 1)}
    return film.Scene(Image.new("RGB", (40, 40), "red"), stages, "score\n71%")


def changed(one: Image.Image, other: Image.Image) -> np.ndarray:
    return np.flatnonzero((np.asarray(one) != np.asarray(other)).any((0, 2)))


def test_a_film_has_a_frame_a_stage_and_each_adds_a_column(scene):
    frames = film.film_frames(scene, size=20)
    assert len(frames) == 3 and len({frame.size for frame in frames}) == 1
    first, second = changed(frames[0], frames[1]), changed(frames[1], frames[2])
    assert np.asarray(frames[0])[:, : first.min()].max() > 200  # the photo stands there from the beginning
    below = [np.asarray(frame)[film.HEAD + film.GAP :] for frame in frames]  # the names are above
    columns = [np.flatnonzero((a != b).any((0, 2))) for a, b in pairwise(below)]
    assert columns[0].max() < columns[1].min() and len(first) and len(second)


def test_a_channel_runs_from_dark_to_bright_by_its_own_maximum():
    maps = np.array([[[0.0, 2.0], [-5.0, 1.0]], [[0.0, 200.0], [-5.0, 100.0]], [[-1.0, -2.0], [0.0, 0.0]]])
    pixels = film.colour(maps).astype(int).sum(3)
    assert (pixels[0] == pixels[1]).all()
    assert pixels[0, 0, 1] > pixels[0, 1, 1] > pixels[0, 0, 0] == pixels[0, 1, 0]
    assert (pixels[2] == pixels[0, 0, 0]).all()  # nothing responds


def test_a_film_is_kept_moving_and_with_its_last_frame(scene, tmp_path):
    run, frames = create_run(tmp_path / "run"), film.film_frames(scene, size=20)
    shown = film.save_film(run, "film", frames, "a film")
    moving = Image.open(run.root / "figures" / "film.webp")
    assert moving.n_frames == 3 and moving.size == frames[0].size and moving.info["loop"] == 0
    last = Image.open(run.root / "figures" / "film.jpg").convert("RGB")
    assert abs(np.asarray(last, int) - np.asarray(frames[-1], int)).mean() < 6
    data, told = shown._repr_mimebundle_()
    assert list(data) == ["image/webp"]
    assert told == {"image/webp": {"alt": "a film", "width": frames[0].width, "figure": "film"}}
    assert Image.open(io.BytesIO(shown.data)).format == "WEBP"


def test_a_film_of_nothing_is_told_in_a_sentence(scene):
    with pytest.raises(SelfieError, match="no stage to show"):
        film.film_frames(scene._replace(stages={}))
