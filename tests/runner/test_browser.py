"""The product as people meet it: report pages from disk, and a notebook in JupyterLab with a slider moved."""

import json
import os
import secrets
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from chromium import chromium
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
    page.locator("main figure img").first.click()
    assert page.locator("dialog img").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("dialog img").is_visible() and errors == []
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


@pytest.fixture(scope="module")
def gallery(smoke_run, tmp_path_factory) -> Path:
    """The continuum's notebook in a folder of its own, set to the smoke run and small."""
    notebook = json.loads((PROJECT / "notebooks" / "02_continuum.ipynb").read_text(encoding="utf-8"))
    wanted = {"run_dir": str(smoke_run.root), "rows": 4, "columns": 6, "tile_size": 64}
    (cell,) = (c for c in notebook["cells"] if "parameters" in c["metadata"].get("tags", []))
    cell["source"] = "".join(cell["source"]) + "".join(f"\n{k} = {v!r}" for k, v in wanted.items())
    path = tmp_path_factory.mktemp("lab") / "02_continuum.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def lab(gallery):
    """JupyterLab, started as a user would, with settings and tokens of its own; yields the notebook's URL."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token, home = secrets.token_hex(8), gallery.parent / "home"
    own = {f"JUPYTER_{kind}_DIR": str(home / kind.lower()) for kind in ("CONFIG", "DATA", "RUNTIME")}
    options = {"port": port, "port_retries": 0, "root_dir": gallery.parent, "ip": "127.0.0.1"}
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += [f"--ServerApp.{key}={value}" for key, value in options.items()]
    command += [
        f"--IdentityProvider.token={token}",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    ]
    log = gallery.parent / "lab.log"
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=out, env={**os.environ, **own})
    try:
        _wait_for(f"http://127.0.0.1:{port}/api?token={token}", server, log)
        yield f"http://127.0.0.1:{port}/lab/tree/{gallery.name}?token={token}&reset"
    finally:
        server.terminate()
        server.wait(30)


def _wait_for(url: str, server: subprocess.Popen, log: Path, patience: float = 60) -> None:
    """Wait until the server answers; show its log where it does not."""
    until = time.monotonic() + patience
    while time.monotonic() < until and server.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=5)
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def test_a_slider_in_jupyterlab_changes_the_picture(browser, lab):
    page, _, _ = open_page(browser)
    page.set_default_timeout(90_000)
    page.goto(lab)
    page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    page.locator("#jp-main-statusbar").get_by_text("| Idle").wait_for()  # the kernel is up
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
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
    page.close()


def _shown(picture) -> dict:
    return picture.evaluate("p => ({src: p.src, width: p.naturalWidth, height: p.naturalHeight})")
