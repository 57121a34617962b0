"""The map page in a real browser: what it draws, what fingers, pointers and keys do, what it never shows."""

import base64
import colorsys
import csv
import io
import json
import re
import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from chromium import chromium
from PIL import Image

from selfie_utils.core.run_folder import RunFolder
from selfie_utils.photos.images import ImageFolder
from selfie_utils.show import map_page

POSTS, SIDE, OWN = 500, 22, 96  # 484 posts have a cell; px of the photos
EVIL = ['</script><script>document.title = "hacked"</script>', '=1+1,"<img src=x onerror=alert(1)>']
HAT = "hat <b onmouseover=alert(1)>"


def colour_of(i):
    """The one colour of a photo, 32 of 256 away from all others in some channel."""
    return (i % 8 * 32 + 16, i // 8 % 8 * 32 + 16, i // 64 * 32 + 16)


COLOURS = np.array([colour_of(i) for i in range(POSTS)])


@pytest.fixture(scope="module")
def posts(tmp_path_factory):
    """Photos of one colour each, their places and attributes; the worst tenth may not be large."""
    folder = tmp_path_factory.mktemp("photos")
    for i in range(POSTS):
        Image.new("RGB", (OWN, OWN), colour_of(i)).save(folder / f"{i}.png")
    rng = np.random.default_rng(3)
    table = pd.DataFrame(rng.normal(0, 40, (POSTS, 2)), columns=["x", "y"])
    ids = [f"post-{i:03d}" for i in range(POSTS)]
    ids[7], ids[8] = EVIL
    scores = rng.permutation(np.linspace(0.05, 0.95, POSTS))
    label = pd.array([None if i % 50 == 0 else i % 2 for i in range(POSTS)], "Int64")
    table = table.assign(
        post_id=ids, image=[f"{i}.png" for i in range(POSTS)], score=scores, label=label, number=range(POSTS)
    )
    cells = rng.permutation(POSTS)  # those beyond the last cell have none
    row = pd.Series(cells // SIDE, dtype="Int64").mask(cells >= SIDE**2)
    table = table.assign(row=row, column=pd.Series(cells % SIDE, dtype="Int64").mask(row.isna()))
    known = pd.DataFrame({HAT: pd.array([i % 3 == 0 for i in range(POSTS)], "boolean")})
    small = frozenset(table.nsmallest(POSTS // 10, "score")["image"])
    order = rng.permutation(POSTS)
    return ImageFolder(folder), table.iloc[order], known.iloc[order], small


@pytest.fixture(scope="module")
def run(posts, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("run"))
    map_page.write_map(folder, *posts)
    return folder


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture
def opened(browser, run):
    """Open the map in a browser without a network; at the end there was no request and no error."""
    contexts, requests, errors = [], [], []

    def open_at(address="", width=1280, height=800, dense=1.0, path=None, **options):
        context = browser.new_context(
            offline=True, viewport={"width": width, "height": height}, device_scale_factor=dense, **options
        )
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on(
            "console", lambda said: errors.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto((path or run.root / map_page.PAGE).as_uri() + address)
        if path is None:
            rest(page)
        return page

    yield open_at
    for context in contexts:
        context.close()
    assert errors == [] and [url for url in requests if not url.startswith(("file:", "blob:"))] == []


def rest(page):
    """Wait until the map is there, all it needs is decoded, and it has been drawn as it will stay."""
    page.wait_for_selector("html[data-ready]", state="attached")
    page.evaluate("""async () => {
        const frames = async (n) => { while (n--) await new Promise(requestAnimationFrame); };
        await frames(2);
        while (selfieMap.sheets.waiting.size || selfieMap.controls.moving) await frames(1);
        await frames(4);
    }""")


def picture(page):
    """What the canvas of the map shows, uint8 (height, width, 3) in device pixels."""
    data = page.evaluate("document.getElementById('map').toDataURL()")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2]))).convert("RGB"))


def ground(shown):
    return np.abs(shown.astype(int) - shown[2, 2]).max(axis=2) < 3


def extent(shown):
    """Left, top, right and bottom of what is drawn on the ground."""
    rows, columns = (np.flatnonzero((~ground(shown)).any(axis=axis)) for axis in (1, 0))
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def post_of(colour, within=24):
    """The post whose photo has this colour, or None."""
    gaps = np.abs(COLOURS - np.asarray(colour, int)).max(axis=1)
    return int(gaps.argmin()) if gaps.min() < within else None


def middles(shown):
    """Which post stands in each cell of the whole grid: int (SIDE, SIDE), by the colour in its middle."""
    left, top, right, bottom = extent(shown)
    places = (np.arange(SIDE) + 0.5) / SIDE
    xs, ys = (left + places * (right - left)).astype(int), (top + places * (bottom - top)).astype(int)
    return np.array([[post_of(shown[y, x]) for x in xs] for y in ys], float)


def in_cells(posts):
    """Which post should stand in each cell."""
    return posts[1].dropna(subset="row").pivot(index="row", columns="column", values="number").to_numpy(float)


def state(page):
    return page.evaluate(
        "({...selfieMap.view, morph: selfieMap.morph, way: selfieMap.way, post: selfieMap.current})"
    )


def box(page):
    return page.locator("#map").bounding_box()


def saved(download):
    return Path(download.value.path()).read_text(encoding="utf-8")


def told(page):
    return page.locator("#status").inner_text()


def test_the_whole_grid_is_drawn_each_photo_in_its_cell_on_a_dense_screen_too(opened, posts):
    for dense in (1.0, 2.0):
        page = opened(dense=dense)
        assert state(page)["way"] == "overview" and "484 of 500 posts shown, 16 without a cell" in told(page)
        assert middles(picture(page)).tolist() == in_cells(posts).tolist()


def test_a_map_that_is_copied_pixel_by_pixel_shows_the_same_photos(opened, posts):
    page = opened("#colour=score&zoom=1")
    assert state(page)["way"] == "pixels"
    page.evaluate(
        "selfieMap.setPaint('colour', 'nothing'); selfieMap.isPlain = () => false; selfieMap.draw()"
    )
    page.evaluate("cancelAnimationFrame(selfieMap.sharpening)")
    assert state(page)["way"] == "pixels"
    assert middles(picture(page)).tolist() == in_cells(posts).tolist()


def test_dragging_pans_and_the_wheel_zooms_at_the_pointer(opened):
    page = opened()
    frame, before = box(page), extent(picture(page))
    page.mouse.move(600, 400)
    page.mouse.down()
    page.mouse.move(640, 430, steps=4)
    page.mouse.up()
    rest(page)
    after = extent(picture(page))
    assert (after[0] - before[0], after[1] - before[1]) == (
        pytest.approx(40, abs=1),
        pytest.approx(30, abs=1),
    )
    x, y = 640 - frame["x"], 430 - frame["y"]
    here = post_of(picture(page)[int(y), int(x)])
    page.mouse.wheel(0, -300)
    rest(page)
    assert state(page)["zoom"] == pytest.approx(np.exp(0.75), rel=0.01)
    assert post_of(picture(page)[int(y), int(x)]) == here


def fingers(page):
    """Return a function that puts fingers on the screen, moves them, or lifts them."""
    session = page.context.new_cdp_session(page)

    def touch(kind, *points):
        touches = [{"x": x, "y": y, "id": i} for i, (x, y) in enumerate(points)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    return touch


def test_on_a_telephone_two_fingers_pinch_and_a_tap_chooses(opened):
    page = opened(width=400, height=800, dense=2.0, has_touch=True, is_mobile=True)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0
    touch = fingers(page)
    touch("touchStart", (170, 400), (230, 400))
    for apart in (40, 60, 90):
        touch("touchMove", (200 - apart, 400), (200 + apart, 400))
    touch("touchEnd")
    rest(page)
    assert state(page)["zoom"] == pytest.approx(3, rel=0.05) and state(page)["post"] == -1
    assert page.evaluate("visualViewport.scale") == 1  # the map was zoomed, not the page
    frame, shown = box(page), picture(page)
    x, y = 150, 420
    wanted = post_of(shown[int((y - frame["y"]) * 2), int((x - frame["x"]) * 2)])
    page.touchscreen.tap(x, y)
    page.locator("#post").wait_for()
    number = page.evaluate("selfieMap.table.ids[selfieMap.current]")
    assert number == f"post-{wanted:03d}" == page.locator("#post-id").inner_text()
    assert not page.locator("#controls").is_visible()
    page.get_by_role("button", name="Controls").tap()
    assert page.locator("#search").is_visible() and page.locator("#csv").is_visible()
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") == 0


def test_keys_alone_walk_come_close_select_search_and_let_go(opened, posts):
    page = opened(reduced_motion="reduce")
    grid = in_cells(posts)
    for _ in range(30):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "map":
            break
    page.keyboard.press("Enter")
    first = page.evaluate("selfieMap.table.ids[selfieMap.current]")
    name = posts[1].set_index("number")["post_id"]
    row, column = (int(k[0]) for k in np.where(grid == name[name == first].index[0]))
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    assert page.locator("#post-id").inner_text() == name[grid[row + 1, column + 1]]
    near = state(page)["zoom"]
    page.keyboard.press("-")
    assert state(page)["zoom"] < near
    page.keyboard.press("Space")
    assert page.get_by_role("button", name="Save CSV of 1").is_enabled()
    page.keyboard.press("a")
    assert "484 selected" in told(page)
    page.keyboard.press("g")
    rest(page)
    assert state(page)["morph"] == 0
    page.keyboard.press("/")
    page.keyboard.type("post-321")
    assert page.locator("#post-id").inner_text() == "post-321"
    page.keyboard.press("Escape")
    assert state(page)["post"] == -1 and page.evaluate("document.activeElement.id") == "map"
    page.keyboard.press("0")
    assert state(page)["zoom"] == 1


def test_a_search_goes_to_the_post_at_its_own_size_and_enter_to_the_next_match(opened, posts):
    page = opened()
    page.fill("#search", "POST-123")
    rest(page)
    shown = picture(page)
    assert post_of(shown[shown.shape[0] // 2, shown.shape[1] // 2]) == 123
    score = posts[1].set_index("number")["score"]
    rank = int((score > score[123]).sum()) + 1
    assert f"score {100 * score[123]:.1f}%, rank {rank} of 500" in page.locator("#post-told").inner_text()
    same = np.abs(shown[shown.shape[0] // 2].astype(int) - COLOURS[123]).max(axis=1) < 20
    assert same.sum() == pytest.approx(48 if f"{123}.png" in posts[3] else OWN, abs=3)
    page.fill("#search", "post-32")
    assert told(page).startswith("1 of 10: ")
    page.locator("#search").press("Enter")
    assert told(page).startswith("2 of 10: ")
    page.fill("#search", "nobody")
    assert "No post has an id with “nobody”" in told(page)


def test_a_lasso_selects_what_it_surrounds_and_saves_it_as_a_csv(opened, posts):
    page = opened()
    frame, (left, top, right, _) = box(page), extent(picture(page))
    step = (right - left) / SIDE
    page.get_by_role("button", name="Lasso").click()
    # Around the cells of rows 2 to 4 and columns 1 to 5.
    corners = [(1, 2), (6, 2), (6, 5), (1, 5)]
    points = [(frame["x"] + left + step * x, frame["y"] + top + step * y) for x, y in corners]
    page.mouse.move(*points[0])
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*point, steps=8)
    page.mouse.up()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV of 15").click()
    assert download.value.suggested_filename == "selected_posts.csv"
    rows = list(csv.DictReader(io.StringIO(saved(download))))
    inside = posts[1][posts[1]["row"].isin([2, 3, 4]) & posts[1]["column"].isin([1, 2, 3, 4, 5])]
    best = inside.sort_values("score", ascending=False)
    assert [row["post_id"] for row in rows] == best["post_id"].tolist()
    assert [float(row["score"]) for row in rows] == pytest.approx(best["score"].tolist(), abs=1e-4)
    words = best["label"].map({1: "good", 0: "bad"}).fillna("").tolist()
    assert [row["label"] for row in rows] == words


def test_ids_and_names_that_look_like_html_are_shown_and_saved_as_they_are(opened, run):
    page = opened()
    for evil in EVIL:
        page.fill("#search", evil)
        assert page.locator("#post-id").inner_text() == evil
        page.get_by_role("button", name="Select", exact=True).click()
    with page.expect_download() as download:
        page.get_by_role("button", name="Save CSV of 2").click()
    rows = csv.DictReader(io.StringIO(saved(download)))
    assert {row["post_id"] for row in rows} == set(EVIL)
    page.select_option("#colour", HAT)
    assert HAT in page.locator("#legend").inner_text()
    assert page.title() == "The map, near and far · Selfie suite"
    html = (run.root / map_page.PAGE).read_text()
    assert not any(evil in html for evil in (*EVIL, HAT))
    assert page.locator("b[onmouseover], img[src=x]").count() == 0


def test_the_address_keeps_the_view(opened):
    page = opened(reduced_motion="reduce")
    page.fill("#search", "post-200")
    page.locator("#map").focus()
    page.keyboard.press("g")
    page.select_option("#colour", "score")
    page.select_option("#outline", "label")
    page.locator("#from").fill("20")
    page.wait_for_timeout(400)  # it is written a little later
    rest(page)
    address, before, shown = page.evaluate("location.hash"), state(page), picture(page)
    again = opened(address)
    assert state(again) == pytest.approx(before, abs=1e-4)
    assert np.abs(picture(again).astype(int) - shown).mean() < 0.5
    assert again.input_value("#colour") == "score" and again.input_value("#outline") == "label"
    assert again.input_value("#from") == "20" and again.input_value("#morph") == "0"
    assert again.locator("#post-id").inner_text() == "post-200"
    again.evaluate("location.hash = '#x=NaN&zoom=1e9&morph=-3&from=abc&colour=none&post=nobody'")
    rest(again)
    assert state(again)["x"] == 0.5 and again.input_value("#colour") == "nothing"


def test_half_way_between_grid_and_tsne_a_photo_is_half_way(opened, posts):
    page = opened()
    place = "(i => [selfieMap.x[i], selfieMap.y[i]])(selfieMap.table.ids.indexOf('post-042'))"
    seen = {}
    for morph in (100, 0, 50):
        page.locator("#morph").fill(str(morph))
        seen[morph] = np.array(page.evaluate(place))
    table = posts[1].set_index("post_id")
    row = table.loc["post-042"]
    assert seen[100] == pytest.approx([(row["column"] + 0.5) / SIDE, (row["row"] + 0.5) / SIDE], abs=1e-5)
    assert seen[50] == pytest.approx((seen[0] + seen[100]) / 2, abs=1e-5)
    other = table.loc["post-043"]
    apart = (
        np.array(page.evaluate(place.replace("042", "043"))) * 2
        - np.array([(other["column"] + 0.5) / SIDE, (other["row"] + 0.5) / SIDE])
        - seen[0]
    )
    # At t-SNE places both axes have one scale, and y points upwards.
    scale = (other["x"] - row["x"]) / apart[0]
    assert scale > 0 and -(other["y"] - row["y"]) / apart[1] == pytest.approx(scale, rel=0.01)
    page.locator("#morph").fill("0")
    assert "500 of 500 posts shown." in told(page)


def test_the_slider_leaves_posts_of_other_scores_out(opened, posts):
    page = opened()
    page.locator("#from").fill("60")
    rest(page)
    shown = middles(picture(page).copy())
    score = posts[1].set_index("number")["score"]
    there = {int(post) for post in shown[~np.isnan(shown)]}
    among = posts[1][(posts[1]["score"] >= 0.6) & posts[1]["row"].notna()]
    assert f"{len(among)} of 500 posts shown" in told(page)
    assert there and all(score[post] >= 0.6 for post in there)


def test_colours_and_outlines_say_what_is_chosen(opened, posts):
    page = opened(reduced_motion="reduce")
    page.fill("#search", "post-044")  # labelled bad, without a hat
    page.keyboard.press("Escape")
    page.locator("#map").blur()
    rest(page)
    plain = picture(page)
    page.select_option("#outline", "label")
    rest(page)
    middle, outlined = [side // 2 for side in plain.shape[:2]], picture(page)
    own = 48 if "44.png" in posts[3] else OWN
    edge = (middle[0], middle[1] - own // 2 + 2)
    assert np.abs(outlined[edge].astype(int) - [0xE6, 0x9F, 0x00]).max() < 6  # orange: bad
    assert np.abs(outlined[tuple(middle)].astype(int) - plain[tuple(middle)]).max() < 6
    page.select_option("#outline", "nothing")
    page.select_option("#colour", HAT)
    rest(page)
    tinted = picture(page)[tuple(middle)].astype(int)
    assert tinted == pytest.approx((plain[tuple(middle)].astype(int) + 0x6E) / 2, abs=4)  # grey: not
    assert "not" in page.locator("#legend").inner_text()


def packed_in(html):
    table = json.loads(zlib.decompress(base64.b64decode(re.search(r'id="table">([^<]+)<', html)[1]), 31))
    sheets = re.findall(r'class="sheet">([^<]+)<', html) + re.findall(r'id="overview">([^<]+)<', html)
    return table, [Image.open(io.BytesIO(base64.b64decode(text))) for text in sheets]


def test_the_worst_of_real_photos_are_in_the_page_and_the_picture_at_48_px_only(run, posts):
    table, pictures = packed_in((run.root / map_page.PAGE).read_text())
    *sheets, overview = pictures
    assert max(max(sheet.size) for sheet in pictures) <= 4096 and all(s.format == "WEBP" for s in pictures)
    images = posts[1].set_index("post_id")["image"]
    columns = table["sheet"] // table["size"]
    checked = 0
    for i, post_id in enumerate(table["ids"]):
        number, at = divmod(table["tile"][i], columns**2)
        corner = (at % columns * OWN, at // columns * OWN)
        tile = sheets[number].crop((*corner, corner[0] + OWN, corner[1] + OWN)).convert("RGB")
        like = (
            np.abs(np.asarray(tile, int) - COLOURS[int(images[post_id].removesuffix(".png"))]).max(axis=2)
            < 16
        )
        if images[post_id] in posts[3] and COLOURS[int(images[post_id][:-4])].max() > 60:  # unlike the ground
            assert like[:, 52:].mean() < 0.01 and like[52:].mean() < 0.01 and like[4:44, 4:44].mean() > 0.9
            checked += 1
        elif images[post_id] not in posts[3]:
            assert like[4:-4, 4:-4].mean() > 0.9
    assert checked > 30 and table["mini"] <= 48 and overview.width <= SIDE * 48
    large = np.asarray(Image.open(run.root / map_page.PICTURE), int)
    step = (large.shape[1] + 1) // SIDE
    for row in posts[1][posts[1]["image"].isin(posts[3])].dropna(subset="row").to_dict("records"):
        if COLOURS[row["number"]].max() > 60:
            tile = large[row["row"] * step :, row["column"] * step :][: step - 1, : step - 1]
            wide = (np.abs(tile - COLOURS[row["number"]]).max(axis=2) < 16).any(axis=0).sum()
            assert 40 <= wide <= 52 < step - 1


def test_however_near_the_worst_of_real_photos_stay_at_48_px(opened, posts):
    page = opened(dense=2.0)
    worst = posts[1][posts[1]["image"].isin(posts[3])].dropna(subset="row")
    number = next(n for n in worst["number"] if max(colorsys.rgb_to_hsv(*COLOURS[n] / 255)[1:]) > 0.6)
    page.fill("#search", f"post-{number:03d}")
    seen = []
    for morph, zoom in ((100, 1.5), (100, 3), (100, 99), (0, 3), (0, 99)):
        page.locator("#morph").fill(str(morph))
        page.evaluate(f"selfieMap.moveTo(selfieMap.view.x, selfieMap.view.y, {zoom})")
        rest(page)
        like = np.abs(picture(page).astype(int) - COLOURS[number]).max(axis=2) < 14
        seen.append(max(like.any(axis=0).sum(), like.any(axis=1).sum()) / 2)
    assert 20 < seen[0] < max(seen) <= 49  # CSS px; one is shared with what is around it
    photo = page.locator("#photo").bounding_box()
    assert (photo["width"], photo["height"]) == (48, 48)
    best = posts[1].nlargest(1, "score")["number"].item()
    page.fill("#search", f"post-{best:03d}")
    assert page.locator("#photo").bounding_box()["width"] == OWN


def test_simulated_people_may_be_large_and_the_page_says_that_they_do_not_exist(posts, run):
    assert "nobody in these photos exists" not in (run.root / map_page.PAGE).read_text()
    table, _ = packed_in(page := map_page.map_page(*posts[:3], (), map_page.SIMULATED))
    assert "nobody in these photos exists" in page and set(table["small"]) == {"0"}


def test_a_page_of_many_photos_has_smaller_ones(posts, monkeypatch):
    page = map_page.map_page(*posts, "")
    room = sum(map(len, re.findall(r'class="sheet">([^<]+)<', page)))
    assert packed_in(page)[0]["size"] == OWN
    monkeypatch.setattr(map_page, "SPACE", room // 2)
    smaller = map_page.map_page(*posts, "")
    assert packed_in(smaller)[0]["size"] < OWN and len(smaller) < len(page)


def test_without_a_place_there_is_no_map_and_that_of_an_earlier_run_goes(posts, tmp_path):
    run = RunFolder(tmp_path)
    map_page.write_map(run, *posts)
    assert (tmp_path / map_page.PAGE).exists() and (tmp_path / map_page.PICTURE).exists()
    nowhere = posts[1].assign(row=pd.NA, column=pd.NA, x=np.nan, y=np.nan)
    map_page.write_map(run, posts[0], nowhere, *posts[2:])
    assert not (tmp_path / map_page.PAGE).exists() and not (tmp_path / map_page.PICTURE).exists()
    assert map_page.show_map(run).data == ""


def test_a_notebook_links_to_the_map_and_holds_it_where_somebody_can_walk_in_it(
    opened, run, tmp_path, monkeypatch
):
    for mark in map_page.is_live.__globals__["LIVE_MARKS"]:
        monkeypatch.delenv(mark, raising=False)
    assert "](../reports/map.html)" in map_page.show_map(run).data
    monkeypatch.setenv("JPY_SESSION_NAME", "06.ipynb")
    cell = tmp_path / "cell.html"
    cell.write_text(f"<!doctype html><meta charset=utf-8>{map_page.show_map(run).data}", encoding="utf-8")
    page = opened(path=cell)
    inside = page.frame_locator("iframe")
    inside.locator("html[data-ready]").wait_for(state="attached")
    assert inside.locator("a").count() == 0  # nothing lies beside a cell
    inside.locator("#search").fill("post-033")
    assert inside.locator("#post-id").inner_text() == "post-033"
    inside.get_by_role("button", name="Select", exact=True).click()
    with page.expect_download() as download:
        inside.get_by_role("button", name="Save CSV of 1").click()
    assert "post-033" in saved(download)
