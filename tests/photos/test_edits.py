"""Edits change what they say, by their dose and nothing else; pixels are worked out by hand."""

import numpy as np
import pytest

from selfie_utils.photos import edits
from selfie_utils.photos.edits import EDITS, Head

HEAD = Head(x=0.5, y=0.5, top=0.25, width=0.3, height=0.5)


def flat(*colour, size=(100, 60)):
    """A photo of one colour, higher than wide."""
    return np.full((*size, 3), colour, np.uint8)


@pytest.fixture
def photo():
    """An oblong photo without any symmetry: each pixel is its own place, smoothly."""
    y, x = np.mgrid[0:1:100j, 0:1:60j]
    return (np.stack([200 * x, 220 * y, 40 + 100 * x * y], 2) + 20).astype(np.uint8)


TONES = [
    edits.darken,
    edits.fade,
    edits.saturate,
    edits.black_and_white,
    edits.expose,
    edits.noise,
    edits.blur,
]
OTHERS = [edits.border, edits.bars, edits.mirror, edits.encode_again, edits.shift, edits.resize_and_back]


@pytest.mark.parametrize("edit", TONES + OTHERS)
def test_a_dose_of_nothing_changes_nothing_and_no_edit_touches_its_input(edit, photo):
    before = photo.copy()
    assert (edit(photo, 0.0) == before).all()
    changed = edit(photo, 1.0 if edit in (edits.mirror, edits.shift) else 0.3)
    assert (photo == before).all() and (changed.dtype, changed.shape) == (np.uint8, photo.shape)


def test_framing_by_nothing_changes_nothing(photo):
    assert (edits.zoom(photo, 0.0, HEAD) == photo).all()
    assert (edits.cut_forehead(photo, 0.0, HEAD) == photo).all()
    assert (edits.window(photo, 0.0, 0.0, 1.0) == photo).all()


def test_a_border_of_a_tenth_is_ten_pixels_of_a_hundred_and_the_photo_lies_within():
    framed = edits.border(flat(200, 30, 40, size=(100, 100)), 0.1)
    inside = np.zeros((100, 100), bool)
    inside[10:90, 10:90] = True
    assert (framed[~inside] == 255).all() and (framed[inside] == [200, 30, 40]).all()


def test_a_border_has_the_same_share_of_both_sides_of_an_oblong_photo():
    white = (edits.border(flat(0, 0, 0), 0.2) == 255).all(2)  # 100 rows, 60 columns
    assert (~white).any(1).nonzero()[0][[0, -1]].tolist() == [20, 79]
    assert (~white).any(0).nonzero()[0][[0, -1]].tolist() == [12, 47]


def test_a_border_shows_the_whole_photo(photo):
    inner = edits.border(photo, 0.1)[10:90, 6:54].astype(int)
    corners = [(0, 0), (0, -1), (-1, 0), (-1, -1)]
    assert all(abs(inner[c] - photo[c].astype(int)).max() < 6 for c in corners)


def test_bars_cover_the_left_and_the_right_edge_only(photo):
    covered = edits.bars(photo, 0.1)
    assert (covered[:, :6] == 255).all() and (covered[:, 54:] == 255).all()
    assert (covered[:, 6:54] == photo[:, 6:54]).all()


def test_fading_lifts_black_to_15_and_lowers_white_to_95_percent():
    assert edits.fade(flat(0, 0, 0), 1.0)[0, 0].tolist() == [38] * 3  # 0.15 * 255 = 38.25
    assert edits.fade(flat(255, 255, 255), 1.0)[0, 0].tolist() == [242] * 3  # 255 * 0.8 + 38.25
    assert edits.fade(flat(0, 0, 0), 0.5)[0, 0].tolist() == [19] * 3


def test_fading_takes_a_fifth_of_the_strength_of_colours():
    """Red is 70.1 above the luminance of 129.9: 129.9 + 0.8 * 70.1 = 186, and 0.8 * 186 + 38.25 = 187."""
    assert edits.fade(flat(200, 100, 100), 1.0)[0, 0].tolist() == [187, 123, 123]


def test_saturation_stretches_the_distance_from_grey():
    """Luminance of 200, 100, 100 is 129.9: half of the colour leaves 165, 115; half more makes 235, 85."""
    assert edits.saturate(flat(200, 100, 100), -0.5)[0, 0].tolist() == [165, 115, 115]
    assert edits.saturate(flat(200, 100, 100), 0.5)[0, 0].tolist() == [235, 85, 85]


def test_black_and_white_keeps_luminance():
    assert edits.black_and_white(flat(200, 100, 50), 1.0)[0, 0].tolist() == [124] * 3  # 59.8 + 58.7 + 5.7


def test_a_stop_doubles_the_light_and_does_not_wrap_round():
    """Light is pixel ** 2.2: 100 becomes 100 * 2 ** (1 / 2.2) = 137; two stops less, 53; 250 stays white."""
    assert edits.expose(flat(100, 100, 250), 1.0)[0, 0].tolist() == [137, 137, 255]
    assert edits.expose(flat(100, 100, 250), -2.0)[0, 0].tolist() == [53, 53, 133]


def test_low_light_is_darker_and_has_grain():
    """Two stops less make 100 of 188; grain of 2% is 5 of 255."""
    dark = edits.darken(flat(188, 188, 188), 2.0).astype(float)
    assert dark.mean() == pytest.approx(188 * 2 ** (-2 / 2.2), abs=0.5)
    assert dark.std() == pytest.approx(0.02 * 255, rel=0.06)


def test_noise_has_the_strength_asked_for_and_differs_between_photos(photo):
    grey = flat(128, 128, 128)
    grain = edits.noise(grey, 0.05).astype(float) - 128
    assert abs(grain.mean()) < 0.5 and grain.std() == pytest.approx(0.05 * 255, rel=0.05)
    assert (edits.noise(grey, 0.05) == edits.noise(grey, 0.05)).all()
    other = edits.noise(flat(129, 128, 128), 0.05).astype(float)[..., 1] - 128
    assert abs(np.corrcoef(grain[..., 1].ravel(), other.ravel())[0, 1]) < 0.1


def test_a_blurred_edge_is_as_wide_as_its_dose_says():
    """Of an edge, a Gaussian of 3 px leaves 16% of the height one standard deviation away."""
    half = flat(0, 0, 0)
    half[:, 30:] = 200
    soft = edits.blur(half, 0.05)[50, :, 0] / 200
    assert soft[29:31].mean() == pytest.approx(0.5, abs=0.01)
    # Pixel centres stand half a pixel from the edge, which lies between 29 and 30.
    assert np.interp(29.5 - 3, np.arange(60), soft) == pytest.approx(0.159, abs=0.02)


def test_a_window_is_cut_at_its_place(photo):
    """The upper left quarter: its last pixel is what stands in the middle of the photo."""
    quarter = edits.window(photo, 0.0, 0.0, 0.5).astype(int)
    assert abs(quarter[0, 0] - photo[0, 0].astype(int)).max() <= 2
    assert abs(quarter[-1, -1] - photo[49, 29].astype(int)).max() <= 4
    low = edits.window(photo, 0.5, 0.5, 0.5).astype(int)
    assert abs(low[-1, -1] - photo[-1, -1].astype(int)).max() <= 3


def test_beyond_its_edges_a_photo_is_mirrored(photo):
    wide = edits.window(photo, -0.5, -0.5, 2.0).astype(int)
    assert abs(wide[25:75, 15:45] - photo[::2, ::2].astype(int)).max() <= 8
    assert abs(wide[24] - wide[25]).max() <= 8  # no seam
    assert abs(wide[:25] - wide[25:50][::-1]).max() <= 2


def test_a_zoom_leaves_the_head_where_it_is_and_doubles_it():
    spot = flat(0, 0, 0, size=(100, 100))
    spot[60:70, 20:30] = 255
    head = Head(0.25, 0.65, 0.6, 0.1, 0.1)
    seen = edits.zoom(spot, 1.0, head)[..., 0] > 128
    assert seen.any(1).nonzero()[0][[0, -1]].tolist() == [55, 74]
    assert seen.any(0).nonzero()[0][[0, -1]].tolist() == [15, 34]
    out = edits.zoom(spot, -1.0, head)[..., 0] > 128
    assert out[62:68, 22:28].any() and out[63:67, 23:27].all()


def test_a_head_is_brought_to_its_share_of_the_width_by_zooming_in_only():
    face = flat(0, 0, 0, size=(200, 200))
    face[60:140, 70:130] = 255  # 0.3 of the width
    head = Head(0.5, 0.5, 0.3, 0.3, 0.4)
    seen = (edits.head_at(face, 0.5, head)[..., 0] > 128).any(0)
    assert seen.mean() == pytest.approx(0.5, abs=0.01)
    assert edits.head_at(face, 0.25, head) is None  # it takes more already
    assert edits.head_at(face, 0.8, head) is None  # 3/8 of the photo is too little
    assert edits.head_at(face, 0.74, head) is not None  # 0.4 is just enough
    assert edits.head_at(face, 0.76, head) is None


def test_a_cut_forehead_and_one_that_is_kept_are_seen_at_the_same_size():
    """The head is a bar from 25% to 75%: a fifth of it lies above the window, which reaches the bottom."""
    face = flat(0, 0, 0, size=(200, 200))
    face[50:150, 80:120] = 255
    cut = edits.cut_forehead(face, 0.2, HEAD)[..., 0] > 128
    kept = edits.keep_forehead(face, 0.2, HEAD)[..., 0] > 128
    side = 1 - 0.25 - 0.2 * 0.5
    assert cut[0].any()  # nothing above it
    assert cut.any(1).mean() == pytest.approx(0.5 * 0.8 / side, abs=0.01)
    assert kept.any(1).argmax() / 200 == pytest.approx(0.08 * 0.5 / side, abs=0.01)
    assert kept.any(1).mean() == pytest.approx(0.5 / side, abs=0.01)
    assert cut.any(0).mean() == pytest.approx(kept.any(0).mean(), abs=0.006)


def test_a_forehead_that_is_cut_already_is_not_cut_again(photo):
    assert edits.cut_forehead(photo, 0.2, HEAD._replace(top=0.0)) is None
    assert edits.cut_forehead(photo, 0.2, HEAD._replace(top=-0.1)) is None
    low = HEAD._replace(top=0.55, height=0.4)  # too little would be left below
    assert edits.cut_forehead(photo, 0.2, low) is None


def test_the_mirror_swaps_left_and_right(photo):
    assert (edits.mirror(photo, 1.0)[:, 0] == photo[:, -1]).all()


def test_a_shift_moves_right_and_down_and_repeats_the_edges(photo):
    moved = edits.shift(photo, 1.0)
    assert (moved[1:, 1:] == photo[:-1, :-1]).all() and (moved[0, 1:] == photo[0, :-1]).all()


@pytest.mark.parametrize("edit", [e for e in EDITS if e.placebo], ids=lambda e: e.name)
def test_nobody_sees_a_placebo(edit, photo):
    before, after = edits.apply(edit, photo, edit.doses[0], None)
    assert before is photo and (after != photo).any()
    assert abs(after.astype(int) - photo.astype(int)).mean() < 3  # of 255


@pytest.mark.parametrize("edit", [e for e in EDITS if not e.needs_head], ids=lambda e: e.name)
def test_a_higher_dose_changes_more(edit, photo):
    for sign in (-1, 1):
        doses = sorted((d for d in edit.doses if d * sign > 0), key=abs)
        changed = [abs(edit.change(photo, d).astype(int) - photo.astype(int)).sum() for d in doses]
        assert changed == sorted(changed) and len(set(changed)) == len(changed)


def test_every_edit_has_a_name_of_its_own_and_rising_doses():
    assert len({edit.name for edit in EDITS}) == len(EDITS)
    assert all(list(edit.doses) == sorted(set(edit.doses)) for edit in EDITS)
    assert sum(edit.placebo for edit in EDITS) == 3


def test_without_a_face_what_needs_one_does_not_apply(photo):
    for edit in EDITS:
        assert (edits.apply(edit, photo, edit.doses[0], None) is None) == edit.needs_head


def test_a_head_is_estimated_from_a_face_and_none_from_no_face():
    """Eyes at 0.5, mouth at 0.6: the head begins 1.6 times their distance above the eyes, at 0.34."""
    face = {"left": 0.4, "right": 0.57, "top": 0.42, "bottom": 0.7}
    face |= {f"{side}_eye_y": 0.5 for side in ("left", "right")}
    face |= {f"mouth_{side}_y": 0.6 for side in ("left", "right")}
    head = edits.head_of(face)
    assert (head.x, head.top, head.y) == pytest.approx((0.485, 0.34, 0.52))
    assert (head.width, head.height) == pytest.approx((0.2, 0.36))
    assert edits.head_of(face | {"left": np.nan, "right": np.nan}) is None
