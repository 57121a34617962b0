"""Answers as HTML: pages that ask for nothing, keep real people small, and show no names."""

import base64
import io
import re
from dataclasses import replace

import numpy as np
import pytest
import skimage.data
from bs4 import BeautifulSoup
from chromium import chromium
from PIL import Image
from toy_run import make_run, open_rater
from typer.testing import CliRunner

from selfie_utils.analysis.answer import Answered, answer_all, read
from selfie_utils.apps.answer_page import card, check_page, page, write_page
from selfie_utils.apps.cli import app
from selfie_utils.core.errors import SelfieError
from selfie_utils.runner.report_page import safe_html
from selfie_utils.show.sheets import GUTTER_COLOUR


@pytest.fixture(scope="module")
def rater(tmp_path_factory):
    return open_rater(make_run(tmp_path_factory.mktemp("simulated") / "run").root)


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return open_rater(make_run(tmp_path_factory.mktemp("real") / "run", simulated=False).root)


def of_rank(rater, rank):
    ranked = rater.run.read_table("scores").sort_values("score", ascending=False, ignore_index=True)
    return rater.answer(read(rater.images.read(ranked["image"][rank - 1])))


def pictures(html: str) -> dict[str, list[Image.Image]]:
    """The pictures of a page by their alternative texts."""
    found = {}
    for image in BeautifulSoup(html, "html.parser").find_all("img"):
        data = base64.b64decode(image["src"].partition(",")[2])
        opened = Image.open(io.BytesIO(data))
        assert int(image["width"]) == opened.width and not opened.getexif()
        found.setdefault(image["alt"], []).append(opened.convert("RGB"))
    return found


def inner_size(tile: Image.Image) -> int:
    """How many px a side a tile has inside its dark frame."""
    away = abs(np.asarray(tile, int) - GUTTER_COLOUR).max(2) > 40
    return max(np.ptp(np.flatnonzero(away.any(axis))) + 1 for axis in (0, 1))


def test_a_card_shows_the_photo_its_crop_the_map_and_posts_in_order(rater):
    answer = of_rank(rater, 20)
    html = card(answer, rater.images)
    shown = pictures(html)
    assert [one.width for one in shown["The best square crop"] + shown["What the score hangs on"]] == [
        240
    ] * 2
    text = BeautifulSoup(html, "html.parser").get_text(" ", strip=True)
    ranks = [int(rank) for rank in re.findall(r"(\d+)\. [\d.]+%", text)]
    assert ranks == [16, 17, 18, 19, 21, 22, 23, 24] and text.index("19.") < text.index("this one")
    assert text.count(" apart") == 5 and all(sentence in text for sentence in answer.sentences())


def test_a_post_s_tile_shows_that_very_post(rater):
    answer = of_rank(rater, 20)
    shown = pictures(card(answer, rater.images))
    for post in answer.above + answer.below + answer.nearest:
        wanted = Image.open(io.BytesIO(rater.images.read(post.image))).convert("RGB").resize((6, 6))
        tile = shown[f"A test post at rank {post.rank} that scores {post.score:.1%}"][0].resize((6, 6))
        assert abs(np.asarray(wanted, int) - np.asarray(tile, int)).mean() < 12


def test_real_people_of_the_worst_tenth_have_48_px_wherever_they_stand(real, rater):
    worst = pictures(card(of_rank(real, 80), real.images))
    assert all(max(one.size) <= 48 for alt in worst if "rank" not in alt for one in worst[alt])
    tiles = [
        (int(re.search(r"rank (\d+)", alt)[1]), one) for alt in worst if "rank" in alt for one in worst[alt]
    ]
    assert {rank for rank, _ in tiles} >= {76, 77, 78, 79}
    for rank, tile in tiles:
        assert (max(tile.size) <= 48) if rank > 72 else (inner_size(tile) > 60)
    edge = pictures(
        card(of_rank(real, 72), real.images)
    )  # the last that may be large, next to some that may not
    sizes = [edge[alt][0].width for alt in edge if re.search("rank 7[3-6]", alt)]
    assert sizes == [48] * 4 and edge["The best square crop"][0].width == 240
    simulated = pictures(card(of_rank(rater, 80), rater.images))
    assert simulated["The best square crop"][0].width == 240


@pytest.mark.parametrize("share", [0.6, 0.8])
def test_a_crop_of_real_people_of_the_worst_tenth_shows_them_no_larger_than_their_photo(real, share):
    answer = of_rank(real, 80)
    assert answer.small and answer.look
    crop = answer.look.crop | {"left": 0.0, "top": 0.0, "right": share, "bottom": share}
    shown = pictures(card(replace(answer, look=replace(answer.look, crop=crop)), real.images))
    across = share * answer.photo.width / max(answer.photo.size)  # of the longer side, which has 48 px
    assert shown["The best square crop"][0].width == round(48 * across)


def test_a_card_keeps_its_texts_and_pictures_in_a_report(rater):
    html = card(of_rank(rater, 20), rater.images)
    before, after = (BeautifulSoup(text, "html.parser") for text in (html, safe_html(html)))
    assert after.get_text(" ", strip=True) == before.get_text(" ", strip=True)
    assert [i["src"] for i in after.find_all("img")] == [i["src"] for i in before.find_all("img")]


def test_a_page_tells_no_names_of_photos_but_of_those_that_cannot_be_read(rater, tmp_path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(tmp_path / "Ada_Byte.png")
    (tmp_path / "<b>torn.jpg").write_bytes(b"\xff\xd8\xff")
    html = page(rater, answer_all(rater, [tmp_path]))
    assert "Ada" not in html and "&lt;b&gt;torn.jpg: " in html and "<b>" not in html


def test_a_page_says_how_many_photos_it_leaves_out(rater):
    html = page(rater, Answered([of_rank(rater, 5)], [], 1_200))
    assert "Of 1,201 photos the first 1 are shown." in html


@pytest.mark.parametrize("name", ["me.jpg", "page", "page.htm.png"])
def test_a_page_is_never_written_over_a_photo(name):
    with pytest.raises(SelfieError, match=r"expected a name that ends in \.html"):
        check_page(name)


def test_a_page_that_cannot_be_written_is_told(rater, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SelfieError, match="cannot be written"):
        write_page(tmp_path / "file" / "a.html", rater, Answered([], [], 0))


def test_a_page_fits_every_screen_and_asks_for_nothing(rater, tmp_path):
    write_page(tmp_path / "yours.html", rater, Answered([of_rank(rater, 20)], [], 0))
    with chromium() as browser:
        for width, scheme in ((1280, "light"), (400, "dark")):
            view = browser.new_page(viewport={"width": width, "height": 900}, color_scheme=scheme)
            asked = []
            view.on("request", lambda request, asked=asked: asked.append(request.url))
            view.goto((tmp_path / "yours.html").as_uri())
            assert view.evaluate("document.documentElement.scrollWidth") <= width
            assert [url for url in asked if not url.startswith("data:")] == [view.url]
            assert all(view.eval_on_selector_all("img", "all => all.map(i => i.naturalWidth > 0)"))


def test_rate_writes_a_page_with_the_same_score(smoke_run, tmp_path):
    Image.fromarray(skimage.data.astronaut()[:256, 96:352]).save(tmp_path / "me.png")
    asked = ["rate", tmp_path / "me.png", "--run", smoke_run.root, "--html", tmp_path / "me.html"]
    done = CliRunner().invoke(app, [*map(str, asked), "--device", "cpu"])
    assert done.exit_code == 0, done.output
    score = re.search(r"me\.png +([\d.]+)%", done.stdout)[1]
    told = BeautifulSoup((tmp_path / "me.html").read_text(), "html.parser").get_text()
    assert re.search(r"Score ([\d.]+)%", told)[1] == score and str(tmp_path / "me.html") in done.stdout
    refused = CliRunner().invoke(app, [*map(str, asked[:-1]), str(tmp_path / "me.png")])
    assert refused.exit_code == 1 and refused.stderr.count("\n") == 1
    assert Image.open(tmp_path / "me.png").size == (256, 256)
