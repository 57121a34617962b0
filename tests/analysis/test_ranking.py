"""Who is shown and how large: posts chosen by a number said of them; the worst never larger than 48 px."""

import ast
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from selfie_utils.analysis import ranking
from selfie_utils.core.run_folder import create_run
from selfie_utils.photos.images import ImageFolder
from selfie_utils.show import sheets

WORST_300 = Path(__file__).parents[2] / "notebooks" / "04_worst_300.ipynb"
POSTS = 23


@pytest.mark.parametrize(
    ("ids", "ages"),
    [
        (["c", "x", "a", "b"], [31, 31, 18, 31]),  # nothing is known of d, which has a score
        (["d", "c", "a", "b"], [None, 31, 18, 31]),
        (["d", "c", "a", "b"], ["18", "31", None, "31"]),
        (["d", "c", "a", "b"], pd.array([None, 31, 18, 31], dtype="Int64")),
    ],
)
def test_posts_are_chosen_by_a_whole_number_although_some_are_unknown(ids, ages):
    """Where one is unknown, the others are kept as floats: 31 must not have become 31.0."""
    posts = pd.DataFrame({"post_id": ids, "age": ages})
    scores = pd.DataFrame({"post_id": list("dbca")}, index=[8, 3, 5, 1])
    wanted = ranking.is_wanted(posts, scores, "age", "31")
    assert wanted.dtype == bool and wanted.tolist() == [False, True, True, False]
    for unknown in ("31.0", "nan", "<NA>", "None", ""):
        assert not ranking.is_wanted(posts, scores, "age", unknown).any()


def test_posts_are_chosen_by_a_flag_or_a_fraction():
    posts = pd.DataFrame({"post_id": list("abc"), "famous": [True, False, True], "worth": [1.5, 2.0, 1.5]})
    scores = pd.DataFrame({"post_id": list("dcba")})
    assert ranking.is_wanted(posts, scores, "famous", "True").tolist() == [False, True, False, True]
    assert ranking.is_wanted(posts, scores, "worth", "1.5").tolist() == [False, True, False, True]


@pytest.fixture
def real_posts(tmp_path):
    """A run of real posts, scored, with their photos: no truth, and one annotation."""
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for i in range(POSTS):
        Image.new("RGB", (300, 200), (10 * i,) * 3).save(tmp_path / "photos" / f"{i}.png")
    ids = rng.permutation(POSTS)
    scores = pd.DataFrame(
        {
            "post_id": [f"p{i}" for i in ids],
            "image": [f"{i}.png" for i in ids],
            "score": ids / POSTS,
            "label": ids % 2,
        }
    )
    run = create_run(tmp_path / "run")
    run.write_table("scores", scores)
    run.write_table("posts", scores[["post_id"]].assign(famous=ids < 9))
    run.write_table("attributes", scores[["image"]].assign(low_light=ids < 7))
    run.write_json("data", {"images": str(tmp_path / "photos")})
    return run


@pytest.mark.parametrize(("asked", "shown"), [(47, 47), (48, 48), (49, 48), (160, 48)])
def test_the_worst_are_drawn_in_tiles_of_48_px_at_most_whoever_asks(real_posts, asked, shown):
    photos = ImageFolder(real_posts.root.parent / "photos")
    scores = real_posts.read_table("scores")
    sheet = sheets.draw_extreme(photos, scores, rows=2, columns=3, size=asked, end="worst")
    assert sheet.size == (3 * (shown + 1) - 1, 2 * (shown + 1) - 1)
    assert sheet.getpixel((shown + 1 + shown // 2, shown // 2)) == (10, 10, 10)  # the last but one
    best = sheets.draw_extreme(photos, scores, rows=2, columns=3, size=asked, end="best")
    assert best.size == (3 * (asked + 1) - 1, 2 * (asked + 1) - 1)


def run_cells(path, **parameters):
    """Run a notebook's code in this process with other parameters; return what each cell would show."""
    cells = [c for c in json.loads(path.read_text())["cells"] if c["cell_type"] == "code"]
    names, shown = {}, []
    for cell in cells:
        code = ast.parse("".join(cell["source"]))
        last = code.body.pop() if isinstance(code.body[-1], ast.Expr) else None
        exec(compile(code, str(path), "exec"), names)
        if "parameters" in cell["metadata"].get("tags", []):
            assert parameters.keys() <= names.keys()
            names |= parameters
        shown.append(last and eval(compile(ast.Expression(last.value), str(path), "eval"), names))
    return shown


def test_no_parameter_and_no_slider_of_the_worst_300_shows_real_people_larger(real_posts, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "live")  # as JupyterLab does, so that sliders are shown as well
    shown = run_cells(WORST_300, run_dir=str(real_posts.root), rows=9, columns=2, tile_size=500)
    with Image.open(real_posts.root / "figures" / "worst_300.jpg") as sheet:
        assert sheet.size == (48, 5 * 49 - 1)  # of 23 posts a quarter: 9 x 2 has shrunk to 5 x 1
    (explored,) = [one for one in shown if type(one).__name__ == "VBox"]
    sliders = {knob.description: knob for knob in explored.children[0].children}
    assert sliders["size"].value == sliders["size"].max == 48
