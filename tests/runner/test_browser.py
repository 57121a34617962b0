"""The product as people meet it: report pages from disk, and a notebook in JupyterLab with a slider moved."""

import json
import shutil
from pathlib import Path

import pandas as pd
import pytest
from chromium import chromium
from jupyter_lab import jupyter_lab, reopen, run_all
from PIL import Image
from playwright.sync_api import Browser, Page

from selfie_utils.core.run_folder import create_run
from selfie_utils.runner import report_site
from selfie_utils.show import film

PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def open_page(browser: Browser, width: int = 1280) -> tuple[Page, list[str], list[str]]:
    """Open an empty page; return it with its requests and its errors as they will come in."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    requests, errors = [], []
    page.on("request", lambda request: requests.append(request.url))
    page.on("console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return page, requests, errors


@pytest.fixture(scope="module")
def reports(smoke_run) -> list[Path]:
    """The index, the data card, the map, and a page per notebook."""
    return sorted((smoke_run.root / "reports").glob("*.html"))


def test_report_pages_ask_nothing_of_the_web_and_show_their_pictures(browser, reports):
    assert len(reports) == len(list((PROJECT / "notebooks").glob("*.ipynb"))) + 3
    for report in reports:
        page, requests, errors = open_page(browser)
        page.goto(report.as_uri())
        assert errors == []
        assert [url[:80] for url in requests if not url.startswith(("file:", "data:"))] == []
        widths = page.eval_on_selector_all("img[src]", "pictures => pictures.map(p => p.naturalWidth)")
        assert min(widths, default=0) > 0 or report.stem == "map", report.name
        page.close()


def test_report_pages_fit_a_telephone(browser, reports):
    for report in reports:
        page, _, _ = open_page(browser, width=400)
        page.goto(report.as_uri())
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0, report.name
        page.close()


def seen_pictures(page: Page) -> list[str]:
    """Tell by their class which pictures of a page take room."""
    return page.eval_on_selector_all(
        "main img", "all => all.filter(one => one.clientWidth > 0).map(one => one.className)"
    )


def test_a_film_moves_on_the_screen_and_stands_still_on_paper_and_where_nothing_shall_move(browser, tmp_path):
    frames = [Image.new("RGB", (60, 40), colour) for colour in ("black", "white")]
    shown = film.save_film(create_run(tmp_path), "film", frames, "a film")
    data, told = shown._repr_mimebundle_()
    output = {"output_type": "display_data", "data": data, "metadata": told}
    cells = [{"cell_type": "code", "metadata": {}, "source": "film", "outputs": [output]}]
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "00_film.ipynb").write_text(json.dumps({"cells": cells, "metadata": {}}))
    report_site.write_site(tmp_path, {})
    page, requests, errors = open_page(browser)
    page.goto((tmp_path / "reports" / "00_film.html").as_uri())
    assert seen_pictures(page) == ["moves"]
    page.emulate_media(media="print")
    assert seen_pictures(page) == ["still"]
    page.emulate_media(media="screen", reduced_motion="reduce")
    assert seen_pictures(page) == ["still"]
    assert errors == [] and [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()


def test_a_button_shows_the_code_and_a_click_enlarges_a_picture(browser, smoke_run):
    page, _, errors = open_page(browser, width=300)  # px; smaller than the sheet, so that it can be enlarged
    page.goto((smoke_run.root / "reports" / "02_continuum.html").as_uri())
    code = page.locator("pre.code").first
    assert not code.is_visible()
    page.get_by_role("button", name="Show code").click()
    assert code.is_visible()
    page.get_by_role("button", name="Hide code").click()
    assert not code.is_visible()
    page.get_by_role("button", name="Whole sheet at full size").click()
    assert page.locator("#zoom img").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#zoom img").is_visible()
    page.locator("main figure picture img").first.click()  # a chart, which has no tiles
    assert page.locator("#zoom img").is_visible() and errors == []
    page.close()


def test_the_index_leads_to_every_notebook_and_the_data_card_and_back(browser, smoke_run, reports):
    page, _, errors = open_page(browser)
    for report in reports:
        if report.stem != "index":
            page.goto((smoke_run.root / "reports" / "index.html").as_uri())
            page.locator(f'main a[href="{report.name}"]').click()
            assert page.url == report.as_uri()
            page.get_by_role("link", name="Selfie suite").click()
            assert page.url.endswith("/index.html") and errors == []
    page.close()


SMALL = {
    "02_continuum": {"rows": 4, "columns": 6, "tile_size": 64},
    "05_male_gallery": {"rows": 2, "columns": 3},
}


@pytest.fixture(scope="module")
def galleries(smoke_run, tmp_path_factory) -> Path:
    """A folder with two notebooks, small and set to a copy of the smoke run, in which posts may be picked."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(smoke_run.root, folder / "run")
    (folder / "notebooks").mkdir()
    for name, wanted in SMALL.items():
        notebook = json.loads((PROJECT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
        (cell,) = (c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
        wanted = {"run_dir": str(folder / "run")} | wanted
        cell["source"] = "".join(cell["source"]) + "".join(f"\n{k} = {v!r}" for k, v in wanted.items())
        (folder / "notebooks" / f"{name}.ipynb").write_text(json.dumps(notebook), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def lab(galleries):
    with jupyter_lab(galleries) as address:
        yield address


def open_notebook(browser: Browser, address: str) -> Page:
    """Open a notebook in JupyterLab, and run all its cells."""
    page, _, _ = open_page(browser)
    page.set_default_timeout(90_000)
    run_all(page, address)
    return page


def choose(page: Page, menu: str, entry: str) -> None:
    page.get_by_role("menuitem", name=menu, exact=True).click()
    page.get_by_role("menuitem", name=entry, exact=True).click()


def test_in_jupyterlab_a_slider_changes_the_picture_and_a_tile_opens_and_the_picture_stays(browser, lab):
    page = open_notebook(browser, lab.format("02_continuum.ipynb"))
    picture = page.locator("img.selfie-picture")
    picture.wait_for()
    before = _shown(picture)
    assert (before["width"], before["height"]) == (6 * 65 - 1, 4 * 65 - 1)
    slider = page.locator(".widget-slider", has_text="rows").locator(".noUi-handle")
    slider.focus()
    slider.press("ArrowLeft")
    page.wait_for_function(
        "height => document.querySelector('img.selfie-picture').naturalHeight < height", arg=before["height"]
    )
    after = _shown(picture)
    assert after["src"] != before["src"] and after["height"] == 3 * 65 - 1
    assert page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
    page.wait_for_function("document.querySelectorAll('.closer-tile').length === 18")
    _open_by_keyboard(page)
    stills = page.locator(".jp-RenderedImage img").first
    assert _shown(stills)["height"] == 4 * 65 - 1 and not stills.is_visible()  # the widget is in its place
    reopen(page, lab.format("02_continuum.ipynb"))
    stills.wait_for()
    assert _shown(stills)["height"] == 4 * 65 - 1
    assert not page.get_by_text("Error displaying widget").is_visible()
    page.close()


def _open_by_keyboard(page: Page) -> None:
    page.locator(".closer-tile").first.focus()
    for key in ("ArrowDown", "ArrowRight", "Enter"):
        page.keyboard.press(key)
    title = page.locator("dialog.closer h2")
    title.wait_for()
    named = page.locator(".closer-tile").nth(7).get_attribute("aria-label")
    assert title.inner_text() == named and page.locator("dialog.closer li").count() == 5
    page.keyboard.press("Escape")
    assert not title.is_visible()


def test_in_jupyterlab_picks_are_on_disk_at_once_and_survive_a_restart_of_the_kernel(browser, lab, galleries):
    page = open_notebook(browser, lab.format("05_male_gallery.ipynb"))
    page.locator(".picker-tile").nth(2).click()
    count = page.locator(".picker-count")
    page.wait_for_function("/^1 picked .* saved$/.test(document.querySelector('.picker-count').textContent)")
    page.locator(".picker-tile").nth(4).click(modifiers=["Shift"])
    page.wait_for_function("/^3 picked .* saved$/.test(document.querySelector('.picker-count').textContent)")
    picked = pd.read_parquet(galleries / "run" / "picks.parquet")["post_id"].tolist()
    scores = pd.read_parquet(galleries / "run" / "scores.parquet")
    best = scores.sort_values(["score", "post_id"], ascending=[False, True])["post_id"].tolist()
    assert picked == best[2:5]
    choose(page, "Kernel", "Restart Kernel and Run All Cells…")
    page.locator(".jp-Dialog-button.jp-mod-warn").click()
    page.get_by_text("3 posts are picked by hand").wait_for()
    page.locator(".picker-tile[aria-selected=true]").nth(2).wait_for()
    assert count.inner_text().startswith("3 picked")
    picture = page.locator("img.selfie-picture")
    picture.wait_for()
    assert "picked by hand" in picture.get_attribute("alt")
    page.close()


def _shown(picture) -> dict:
    return picture.evaluate("p => ({src: p.src, width: p.naturalWidth, height: p.naturalHeight})")
