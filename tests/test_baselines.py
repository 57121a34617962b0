"""The baseline: what it measures, what it may know, and photos that can't be read."""

import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils import baselines
from selfie_utils.baselines import draw_taught, fit_baseline, image_statistics
from selfie_utils.images import open_images


@pytest.fixture
def photos(tmp_path):
    """Forty noisy photos, the odd ones brighter, and a broken one."""
    rng = np.random.default_rng(0)
    for i in range(40):
        pixels = rng.normal(150 if i % 2 else 90, 20, (48, 64, 3)).clip(0, 255).astype(np.uint8)
        out = io.BytesIO()
        Image.fromarray(pixels).save(out, format="PNG")
        (tmp_path / f"{i:02d}.png").write_bytes(out.getvalue())
    (tmp_path / "broken.png").write_bytes(b"not a photo")
    return open_images(tmp_path)


NAMES = [f"{i:02d}.png" for i in range(40)]
LABELS = np.arange(40) % 2


def test_baseline_tells_bright_from_dark_on_photos_it_never_saw(photos):
    measured = image_statistics(photos, NAMES)
    scores = fit_baseline(measured[:30], LABELS[:30], measured[30:])
    assert ((scores > 0.5) == (LABELS[30:] == 1)).all()
    assert ((scores >= 0) & (scores <= 1)).all()


def test_statistics_are_finite_and_follow_the_photo(photos):
    measured = image_statistics(photos, NAMES)
    assert measured.dtype == np.float32 and np.isfinite(measured).all()
    assert (measured[1::2, :3].min() > measured[::2, :3].max()) and len(measured) == 40
    assert np.array_equal(measured, image_statistics(photos, NAMES))


def test_a_photo_that_cannot_be_read_gets_the_mean_of_the_others(photos):
    measured = image_statistics(photos, [*NAMES[:4], "broken.png", "missing.png"])
    assert measured[4] == pytest.approx(measured[:4].mean(axis=0), abs=1e-6)
    assert np.array_equal(measured[4], measured[5])


def test_of_many_posts_a_part_is_learned_from(monkeypatch):
    posts = pd.DataFrame({"image": NAMES, "label": LABELS})
    assert draw_taught(posts, 0) is posts
    monkeypatch.setattr(baselines, "TAUGHT", 10)
    drawn = draw_taught(posts, 0)
    assert drawn["image"].nunique() == 10 and drawn.equals(draw_taught(posts, 0))
    assert not drawn.equals(draw_taught(posts, 1))


def test_nothing_readable_is_no_crash(photos):
    assert image_statistics(photos, ["missing.png"]).shape == image_statistics(photos, NAMES[:1]).shape


def test_framing_counts_not_only_the_mean(tmp_path):
    for name, rows in (("top.png", slice(0, 32)), ("bottom.png", slice(32, 64))):
        pixels = np.zeros((64, 64, 3), np.uint8)
        pixels[rows] = 255
        Image.fromarray(pixels).save(tmp_path / name)
    top, bottom = image_statistics(open_images(tmp_path), ["top.png", "bottom.png"])
    assert top[:3] == pytest.approx(bottom[:3], abs=0.02) and np.abs(top - bottom).max() > 0.9
