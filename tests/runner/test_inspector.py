"""Tiles of a report page in a real browser: named and opened by mouse, keyboard and finger, safe, small."""

import base64
import io
import json

import pytest
from chromium import chromium
from PIL import Image
from test_browser import open_page
from test_report_site import picture, shown, write_executed

from selfie_utils.photos.images import ImageFolder
from selfie_utils.runner import report_site
from selfie_utils.show import display, sheets
from selfie_utils.show.closer import MIME, Closer

NAMES = [f"{i}.png" for i in range(9)]
HOSTILE = "</script><img src=x: onerror=alert(1)>{{ 7 * 7 }}"


class Told:
    """What is known of photo i; the last one carries what hostile data would."""

    def in_words(self, names):
        told = [HOSTILE if name == "8.png" else f"Rank {name[0]}, score 5{name[0]}%" for name in names]
        return [
            {"title": one, "brief": one[:9], "facts": {"likes": one, "zeal": "1", "area": "2"}, "has": [one]}
            for one in told
        ]

    def nearest(self, names):
        return [[other for other in (*NAMES, "9.png") if other != name][-5:] for name in names]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A report page with a sheet of 3 x 3 tiles; photo 7 is that of a real person in the worst tenth."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "photos").mkdir()
    for name in (*NAMES, "9.png"):
        Image.new("RGB", (200, 200), (20 + 25 * int(name[0]), 90, 30)).save(folder / "photos" / name)
    photos, small = ImageFolder(folder / "photos"), {"7.png"}
    sheet = sheets.draw_extreme(photos, NAMES, small=small, rows=3, columns=3, size=200, end="best")
    data, told = display.show(sheet, "a sheet", closer=Closer(photos, Told(), small))._repr_mimebundle_()
    write_executed(folder, "00_data", [shown(data, told)])
    report_site.write_site(folder, {})
    return (folder / "reports" / "00_data.html").as_uri()


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def page(browser, site):
    page, requests, errors = open_page(browser)
    page.goto(site)
    yield page
    assert errors == [] and [url for url in requests if not url.startswith(("file:", "data:"))] == []
    page.close()


def heading(page):
    return page.locator("dialog.closer h2").inner_text()


def colour(page, canvas="dialog.closer .closer-body canvas"):
    """The colour in the middle of what is drawn, and the size at which it is shown."""
    page.wait_for_function("canvas => !!document.querySelector(canvas)?.dataset.wanted", arg=canvas)
    page.wait_for_timeout(150)  # a thumbnail is decoded when it is first needed
    uri, width = page.locator(canvas).first.evaluate("c => [c.toDataURL(), c.clientWidth]")
    drawn = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    return drawn.getpixel((drawn.width // 2, 9))[0], width, drawn.width


def test_a_tile_is_named_under_the_pointer_and_opened_by_a_click(page):
    tile = page.get_by_role("button", name="Rank 4, score 54%")
    tile.hover()
    assert page.locator(".closer-name").inner_text() == "Rank 4, score 54%"
    tile.click()
    assert heading(page) == "Rank 4, score 54%"
    red, width, _ = colour(page)
    assert abs(red - 120) < 6 and width > 190
    facts = page.locator("dialog.closer dt").all_inner_texts()
    assert facts == ["likes", "zeal", "area"]  # in the order in which they were given
    near = page.locator("dialog.closer li button")
    assert near.count() == 5
    near.last.click()  # photo 9 is not on the sheet
    assert heading(page) == "Rank 9, score 59%" and abs(colour(page)[0] - 245) < 6
    page.get_by_role("button", name="Back").click()
    assert heading(page) == "Rank 4, score 54%"
    page.get_by_role("button", name="Close").click()
    assert not page.locator("dialog.closer").is_visible()


def test_the_keyboard_alone_reaches_names_opens_and_leaves(page):
    page.locator(".closer-tile").first.focus()
    focused = "document.activeElement.getAttribute('aria-label') ?? ''"
    for key, rank in (
        ("ArrowRight", 1), ("ArrowDown", 4), ("ArrowDown", 7), ("ArrowDown", 7), ("ArrowLeft", 6),
        ("ArrowUp", 3), ("Home", 0), ("ArrowUp", 0), ("ArrowLeft", 0), ("ArrowDown", 3),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate(focused).startswith(f"Rank {rank}"), key
        assert page.locator(".closer-name").inner_text().startswith(f"Rank {rank}")
    page.keyboard.press("Enter")
    page.keyboard.press("ArrowRight")
    assert heading(page) == "Rank 4, score 54%"
    page.keyboard.press("Escape")
    # Where the eye was last; the browser tells that a dialog is closed a little later than it closes it.
    page.wait_for_function(f"({focused}) === 'Rank 4, score 54%'")
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.classList.contains('closer-tile')")  # one stop a sheet


def test_what_may_not_be_enlarged_is_48_px_opened_too(page):
    page.get_by_role("button", name="Rank 7, score 57%").click()
    red, width, pixels = colour(page)
    assert abs(red - 195) < 6 and width <= 48 and pixels <= 48
    near = page.locator("dialog.closer li canvas").evaluate_all("all => all.map(one => one.width)")
    assert len(near) == 5 and page.locator("dialog.closer dd").count() == 3


def test_hostile_words_are_words(page):
    page.locator(".closer-tile").last.click()
    assert heading(page) == HOSTILE
    assert page.locator("dialog.closer p").inner_text() == f"Shows: {HOSTILE}."
    assert page.locator("img[src^='x:']").count() == 0


def test_screen_readers_are_told_what_is_what(page):
    group = page.get_by_role("group", name="Photos on this sheet: arrow keys move, Enter opens")
    assert group.get_by_role("button").count() == 9 and page.get_by_role("img", name="a sheet").count() == 1
    page.locator(".closer-tile").first.click()
    dialog = page.get_by_role("dialog", name="A closer look")
    assert dialog.get_by_role("img", name="The photo: Rank 0, score 50%").is_visible()
    assert dialog.get_by_role("heading", name="Rank 0, score 50%").is_visible()


def test_paper_shows_the_sheet_and_nothing_of_the_inspector(page):
    page.emulate_media(media="print")
    assert page.locator(".closer-tile").first.is_visible() is False
    assert page.locator("main img").first.is_visible() and not page.locator(".whole").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_finger_opens_a_tile_on_a_telephone(browser, site, scheme):
    context = browser.new_context(
        viewport={"width": 400, "height": 800}, has_touch=True, is_mobile=True, color_scheme=scheme
    )
    page = context.new_page()
    page.goto(site)
    page.get_by_role("button", name="Rank 5, score 55%").tap()
    assert heading(page) == "Rank 5, score 55%"
    page.get_by_role("button", name="Next").tap()
    assert heading(page) == "Rank 6, score 56%"
    box = page.locator("dialog.closer").bounding_box()
    assert box["x"] >= 0 and box["x"] + box["width"] <= 400
    ink, ground = (
        page.locator("dialog.closer").evaluate(f"d => getComputedStyle(d).{one}")
        for one in ("color", "backgroundColor")
    )
    bright = [sum(map(int, text[4:-1].split(","))) for text in (ink, ground)]
    assert bright[0] - bright[1] > 450 if scheme == "dark" else bright[1] - bright[0] > 450
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
    page.get_by_role("button", name="Close").tap()
    page.get_by_role("button", name="Whole sheet at full size").tap()
    assert page.locator("#zoom img").is_visible()
    context.close()


def test_a_table_with_pictures_from_elsewhere_or_none_at_all_is_left_out(tmp_path):
    png = {"image/png": picture(9, 9)}
    good = {"size": [9, 9], "tiles": [[0, 0, 0, 9, 0]], "photos": [{"title": "x"}], "sprites": []}
    bad = [
        good | {"sprites": ["https://e.org/x.webp"]},
        good | {"sprites": 3},
        [],
        "x",
        {},
        good | {"tiles": []},
    ]
    write_executed(tmp_path, "00_data", [shown(png | {MIME: table}) for table in [*bad, good]])
    report_site.write_site(tmp_path, {})
    html = (tmp_path / "reports" / "00_data.html").read_text()
    assert html.count('class="closer-table"') == 1 and "e.org" not in html


def test_a_page_that_is_too_large_keeps_its_tiles_and_loses_thumbnails(tmp_path, monkeypatch, site):
    monkeypatch.setattr(report_site, "LARGEST_PAGE", 60_000)
    sprite = "data:image/webp;base64," + "A" * 80_000
    photo = {"title": "x", "at": [0, 0, 0, 9]}
    table = {"size": [9, 9], "tiles": [[0, 0, 0, 9, 0]], "photos": [photo], "sprites": [sprite]}
    data, _ = display.show(Image.new("RGB", (9, 9)), "a sheet")._repr_mimebundle_()
    write_executed(tmp_path, "00_data", [shown(data | {MIME: json.loads(json.dumps(table))})])
    report_site.write_site(tmp_path, {})
    html = (tmp_path / "reports" / "00_data.html").read_text()
    assert "A" * 100 not in html and '"tiles"' in html and '"at"' not in html
