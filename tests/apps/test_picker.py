"""Picking in a real browser, by mouse, keyboard and finger: what is picked there is on disk at once."""

import io
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chromium import chromium
from IPython.display import Markdown
from PIL import Image
from widget_page import open_widget

from selfie_utils.analysis.picks import change_picks, read_picks
from selfie_utils.analysis.ranking import Gallery, best_first
from selfie_utils.apps import picker as module
from selfie_utils.apps.picker import Picker, pick
from selfie_utils.core.run_folder import create_run
from selfie_utils.photos.images import ImageFolder
from selfie_utils.photos.images import tile as tile_of

POSTS = 23
SCRIPT = Path(module.__file__)
HOSTILE = "<img src=x: onerror=alert(1)>"


@pytest.fixture
def gallery(tmp_path):
    """Posts p0, the best, to p22; each photo is of its own grey."""
    (tmp_path / "photos").mkdir()
    for i in range(POSTS):
        Image.new("RGB", (90, 90), (10 * i, 10 * i, 10 * i)).save(tmp_path / "photos" / f"{i}.png")
    numbers = np.random.default_rng(0).permutation(POSTS)
    table = {"post_id": [f"p{i}" for i in numbers], "image": [f"{i}.png" for i in numbers]}
    scores = pd.DataFrame(table | {"score": 1 - numbers / 100})
    known = pd.DataFrame({"odd": numbers % 2 == 1, HOSTILE: numbers == 3, "none": False}).astype("boolean")
    photos = ImageFolder(tmp_path / "photos")
    return Gallery(create_run(tmp_path / "run"), scores, photos, known, frozenset({"22.png"}))


@pytest.fixture
def picker(gallery):
    made = Picker(gallery, best_first(gallery.scores))
    made.fill()
    yield made
    made.close()


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def shown(page, picker):
    """Show a picker on a page, connected with it as by a kernel."""

    def hear(message):
        said = []
        picker.send = said.append
        picker._hear(picker, message, [])
        return {"picked": picker.picked}, said

    open_widget(page, picker, SCRIPT, ("sprites",), hear)
    return page


@pytest.fixture
def page(browser, picker):
    made = browser.new_page(viewport={"width": 500, "height": 700})
    errors = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    made.on("dialog", lambda dialog: errors.append(dialog.message))
    yield shown(made, picker)
    assert errors == []
    made.close()


def count(page):
    return page.locator(".picker-count").inner_text()


def saved(page, told):
    page.wait_for_function(f"document.querySelector('.picker-count').textContent === {told + ' · saved'!r}")


def tile(page, i):
    return page.locator(".picker-tile").nth(i)


def test_clicks_pick_and_drop_shift_picks_a_range_and_undo_takes_each_back(page, picker):
    assert count(page) == "0 picked of 23 · saved"
    tile(page, 2).click()
    saved(page, "1 picked of 23")
    assert read_picks(picker.run) == ["p2"]
    tile(page, 6).click(modifiers=["Shift"])
    saved(page, "5 picked of 23")
    assert read_picks(picker.run) == ["p2", "p3", "p4", "p5", "p6"]
    tile(page, 4).click()
    saved(page, "4 picked of 23")
    for left in (5, 1, 0):
        page.get_by_role("button", name="Undo").click()
        saved(page, f"{left} picked of 23")
    assert read_picks(picker.run) == [] and page.get_by_role("button", name="Undo").is_disabled()


def test_the_keyboard_alone_picks_filters_and_undoes(page, picker):
    page.locator("select").focus()
    page.keyboard.press("Tab")  # Undo can't be pressed yet
    for key in ("ArrowRight", "ArrowRight", "Space", "Shift+ArrowRight", "Shift+ArrowRight"):
        page.keyboard.press(key)
    saved(page, "3 picked of 23")
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    saved(page, "4 picked of 23")
    assert read_picks(picker.run) == ["p2", "p3", "p4", "p22"]
    page.keyboard.press("Control+z")
    saved(page, "3 picked of 23")
    across = page.evaluate("Math.floor(document.querySelector('.picker-grid').clientWidth / 74)")
    for key in ("Home", "ArrowDown", "Space"):
        page.keyboard.press(key)
    saved(page, "4 picked of 23")
    assert read_picks(picker.run)[-1] == f"p{across}"


def test_a_filter_shows_those_that_have_it_and_a_range_picks_no_other(page, picker):
    page.locator("select").select_option(label="odd")
    assert page.locator(".picker-tile:visible").count() == 11
    tile(page, 1).click()
    tile(page, 7).click(modifiers=["Shift"])
    saved(page, "4 picked of 23, 4 of the 11 shown")
    assert read_picks(picker.run) == ["p1", "p3", "p5", "p7"]
    options = page.locator("option").all_inner_texts()
    assert options == ["all posts", "picked", "not picked", "odd", HOSTILE]  # what nobody has is left out
    page.locator("select").select_option(label="picked")
    assert page.locator(".picker-tile:visible").count() == 4


def test_a_second_tab_s_picks_come_in_and_neither_is_lost(page, picker, gallery):
    tile(page, 0).click()
    saved(page, "1 picked of 23")
    other = Picker(gallery, best_first(gallery.scores))
    assert other.picked == [0]  # as after a restart of the kernel
    other._hear(other, {"add": [9], "remove": [0], "number": 1}, [])
    tile(page, 5).click()
    saved(page, "2 picked of 23")
    assert read_picks(picker.run) == ["p9", "p5"]
    selected = page.locator(".picker-tile[aria-selected=true]").evaluate_all("all => all.map(o => o.title)")
    assert [title.split(",")[0] for title in selected] == ["Rank 6 of 23", "Rank 10 of 23"]


def test_what_another_writes_is_seen_without_a_pick_of_one_s_own(gallery, monkeypatch):
    monkeypatch.setattr(module, "WATCHED", 0.05)
    watching = Picker(gallery, best_first(gallery.scores))
    change_picks(gallery.run, ["p3", "not offered"])
    until = time.monotonic() + 10
    while watching.picked != [3] and time.monotonic() < until:
        time.sleep(0.05)
    assert watching.picked == [3]
    watching.close()


def test_a_pick_that_can_t_be_written_is_told_and_not_shown_as_picked(page, picker):
    (picker.run.root / "picks.parquet").write_text("no table")
    tile(page, 3).click()
    page.wait_for_function("document.querySelector('.picker-count').textContent.includes('holds no picks')")
    assert tile(page, 3).get_attribute("aria-selected") == "false"


def test_every_tile_shows_its_own_photo_and_real_people_stay_small(page, picker):
    places = page.locator(".picker-tile").evaluate_all("all => all.map(t => t.style.backgroundPosition)")
    sprite = Image.open(io.BytesIO(picker.sprites[0]))
    for i, place in enumerate(places):
        left, top = (-int(float(part[:-2])) for part in place.split())
        middle = sprite.crop((left, top, left + 72, top + 72)).getpixel((36, 36))
        assert abs(middle[0] - 10 * i) < 8
        wide = (np.asarray(sprite.crop((left, top, left + 72, top + 72)))[36, :, 0] > 60).sum()
        assert i != 22 or wide <= 48
    drawn = page.locator(".picker-tile").nth(9).screenshot()
    assert abs(Image.open(io.BytesIO(drawn)).convert("RGB").getpixel((20, 36))[0] - 90) < 8


def test_screen_readers_hear_a_list_of_named_options(page):
    box = page.get_by_role("listbox", name="Posts: arrow keys move, Space picks")
    assert box.get_by_role("option").count() == POSTS and box.get_attribute("aria-multiselectable") == "true"
    tile(page, 1).click()
    assert page.get_by_role("option", name="Rank 2 of 23, score 99.0%", selected=True).count() == 1
    assert box.get_attribute("aria-activedescendant") == tile(page, 1).get_attribute("id")


def test_a_finger_picks_on_a_telephone(browser, picker):
    context = browser.new_context(viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True)
    page = shown(context.new_page(), picker)
    tile(page, 4).tap()
    saved(page, "1 picked of 23")
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0
    context.close()


def test_the_picture_that_stays_frames_what_is_picked(picker, gallery):
    plain = picker.picture()
    change_picks(gallery.run, ["p2"])
    picker.picked = picker._read()
    framed = np.asarray(Image.open(io.BytesIO(picker.picture().data)))
    changed = np.abs(framed.astype(int) - np.asarray(Image.open(io.BytesIO(plain.data)))).sum(axis=2) > 200
    columns = np.flatnonzero(changed.any(axis=0))
    assert columns.min() >= 2 * 37 and columns.max() < 3 * 37


def test_a_batch_run_says_where_to_pick(gallery, monkeypatch):
    for mark in ("JPY_SESSION_NAME", "VSCODE_PID"):
        monkeypatch.delenv(mark, raising=False)
    told = pick(gallery, best_first(gallery.scores))
    assert isinstance(told, Markdown) and "JupyterLab" in told.data


def test_tiles_drawn_once_are_there_at_once_and_drawn_again_where_a_photo_changed(gallery, monkeypatch):
    for mark in ("JPY_SESSION_NAME", "VSCODE_PID"):
        monkeypatch.delenv(mark, raising=False)
    best = best_first(gallery.scores)
    pick(gallery, best)  # as in a batch run
    (kept,) = (gallery.run.root / "picker").iterdir()
    monkeypatch.setattr(module, "small_among", lambda *_: pytest.fail("drawn again"))
    before = module.draw(gallery, best["image"].tolist())
    assert before == kept.read_bytes()
    monkeypatch.undo()
    Image.new("RGB", (91, 91), "red").save(gallery.photos.root / "3.png")
    tile_of.cache_clear()  # which another process would not share
    pick(gallery, best)
    assert [path.name for path in (gallery.run.root / "picker").iterdir()] != [kept.name]
    assert module.draw(gallery, best["image"].tolist()) != before
    assert not kept.exists()
