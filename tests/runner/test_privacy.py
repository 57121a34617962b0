"""Real people whom the network ranks in the worst tenth are 48 px at most, wherever one looks."""

import base64
import io
import json
import re
from itertools import product
from pathlib import Path

import hues
import pytest
from chromium import chromium
from PIL import Image
from playwright.sync_api import Page

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
COUNT, APART = 40, 256 / 40  # photos of the run, and hues between them
MOST = 48 + 1  # px; JPEG's colours spill over by one


@pytest.fixture(scope="module")
def worst(unlabelled_run) -> dict[str, int]:
    """The hue of each photo of the worst tenth, rounded up, by name."""
    scores = unlabelled_run.read_table("scores").sort_values("score")
    names = scores["image"].head(-(-len(scores) // 10))
    return {name: hues.hue_of(int(name[:3]), COUNT) for name in names}


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def decode(uri: str) -> Image.Image | None:
    """Read a picture of photos from a data URI; charts are PNG."""
    kind, _, data = uri.partition(",")
    return Image.open(io.BytesIO(base64.b64decode(data))) if re.search("jpeg|webp", kind) else None


def sizes(pictures: list[Image.Image], worst: dict[str, int]) -> list[int]:
    """Return how large the worst are drawn in pictures, in px."""
    return [side for picture in pictures for side in hues.sides_of(picture, worst.values(), APART)]


SHOWN = """all => all.filter(one => one.clientWidth > 0).map(one =>
    [one.currentSrc, Math.max(1, one.clientWidth / one.naturalWidth)])"""


def shown_in(page: Page, uri: str) -> dict[str, float]:
    """Return the pictures of a page and the largest scale at which narrow and wide screens show them."""
    scales: dict[str, float] = {}
    page.goto(uri)
    for width in (400, 1280):
        page.set_viewport_size({"width": width, "height": 900})
        for picture, scale in page.eval_on_selector_all("main img", SHOWN):
            scales[picture] = max(scale, scales.get(picture, 0))
    return scales


def test_every_picture_of_every_page_shows_them_small(unlabelled_run, worst, browser):
    seen, page = [], browser.new_page()
    for path in sorted((unlabelled_run.root / "reports").glob("*.html")):
        pictures = [(decode(uri), scale) for uri, scale in shown_in(page, path.as_uri()).items()]
        found = [scale * side for one, scale in pictures if one for side in sizes([one], worst)]
        assert max(found, default=0) <= MOST, path.name
        seen += found
    page.close()
    assert len(seen) > 20 and max(seen) > 40  # they are there, and were found


def test_every_figure_shows_them_small_and_others_large(unlabelled_run, worst):
    pictures = [Image.open(path) for path in (unlabelled_run.root / "figures").glob("*.jpg")]
    assert max(sizes(pictures, worst)) <= MOST
    scores = unlabelled_run.read_table("scores").sort_values("score", ascending=False)
    best = {name: hues.hue_of(int(name[:3]), COUNT) for name in scores["image"].head(2)}
    assert max(sizes(pictures, best)) > 60


def explored(name: str, **given: object) -> list[tuple]:
    """Run a notebook's code in this process; returns what it lets its reader explore: (draw, controls)."""
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text())["cells"]
    names, found = {"display": lambda *_: None}, []

    def explore(run, figure, draw, alt, closer=None, **controls):
        found.append((draw, controls))

    for cell in [cell for cell in cells if cell["cell_type"] == "code"]:
        exec("".join(cell["source"]), names)
        names["display"] = lambda *_: None
        if "explore" in names:
            names["explore"] = explore
        if "parameters" in cell["metadata"].get("tags", []):
            assert given.keys() <= names.keys()
            names |= given
        if found:
            break
    return found


@pytest.mark.parametrize("name", ["02_continuum", "03_top_100", "04_worst_300", "06_tsne", "10_optimal_crop"])
def test_no_slider_of_a_notebook_shows_them_larger(unlabelled_run, worst, name):
    given = {"photos": COUNT, "evaluations": 4} if name == "10_optimal_crop" else {}
    (draw, controls), *_ = explored(name, run_dir=str(unlabelled_run.root), **given)
    ends = [spec if isinstance(spec, list) else [spec[1], spec[2]] for spec in controls.values()]
    assert len(ends) >= 2
    for values in product(*ends):
        sheet = draw(**dict(zip(controls, values, strict=True)))
        assert max(sizes([sheet], worst), default=0) <= MOST, values


def test_celebrities_that_score_as_they_do_are_small_too(unlabelled_run, worst):
    folder = str(unlabelled_run.root.with_name("tinted"))
    (draw, _), *_ = explored("07_celebrities", run_dir=str(unlabelled_run.root), folder=folder, device="cpu")
    sheet = draw(rows=8, size=256, end="best")
    assert max(sizes([sheet], worst)) <= MOST


def test_an_edit_of_one_of_them_is_small(unlabelled_run, worst):
    scores = unlabelled_run.read_table("scores").set_index("image")["post_id"]
    cells = json.loads((NOTEBOOKS / "11_what_it_rewards.ipynb").read_text())["cells"]
    (source,) = ["".join(c["source"]) for c in cells if "best_edit.best_edits(" in "".join(c["source"])]
    from selfie_utils.analysis import best_edit, ranking
    from selfie_utils.model.scorer import Scorer
    from selfie_utils.photos.images import squish
    from selfie_utils.show import sheets

    gallery = ranking.open_gallery(unlabelled_run.root)
    name = next(iter(worst))
    drawn: list[Image.Image] = []
    shown = {"display": drawn.append, "save_figure": lambda run, figure, sheet, alt: sheet}
    tools = {"best_edit": best_edit, "sheets": sheets, "squish": squish, "Image": Image}
    known = {"scores": gallery.scores, "images": gallery.photos, "small": gallery.small, "run": gallery.run}
    known |= {"photo": scores[name], "scorer": Scorer(gallery.run, "cpu"), "floor": 0.0, "can_tell": True}
    exec(source, shown | tools | known)
    assert max(sizes(drawn, {name: worst[name]})) <= MOST
