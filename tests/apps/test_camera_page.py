"""The camera page in a real Chromium: it scores as Python does, keeps the best, and asks nobody."""

import base64
import io
import json
import re
import threading
import time
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
from chromium import chromium
from exported import make_run
from PIL import Image
from typer.testing import CliRunner

from selfie_utils.apps import export
from selfie_utils.apps.browser import READY
from selfie_utils.apps.camera_page import in_planes
from selfie_utils.apps.cli import app
from selfie_utils.apps.runtime import get_runtime
from selfie_utils.apps.serve import make_server
from selfie_utils.model.as_onnx import in_halves
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.images import open_images, squish

NO_GPU = "--disable-gpu"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("camera") / "mine", 128)


@pytest.fixture(scope="module")
def runtime():
    """The runtime as npm brings it."""
    return get_runtime()


@contextmanager
def bringing(runtime):
    """Let exports take a runtime that was fetched before."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export, "get_runtime", lambda archive: runtime)
        yield patch


@pytest.fixture(scope="module")
def exported(run, runtime):
    """The page that `selfie export web` writes, and what it says."""
    page = run.root / "camera.html"
    with bringing(runtime):
        done = CliRunner().invoke(app, ["export", "web", str(page), "--run", str(run.root)])
    assert done.exit_code == 0, done.output
    return page, done.stdout


@pytest.fixture(scope="module")
def page(exported):
    return exported[0]


@pytest.fixture(scope="module")
def film(run):
    """What a fake camera sees: five photos of people who do not exist, again and again."""
    path, images = run.root / "camera.mjpeg", open_images(run.read_json("data")["images"])
    frames = []
    for name in run.read_table("scores")["image"][:5]:
        file = io.BytesIO()
        Image.open(io.BytesIO(images.read(name))).convert("RGB").resize((640, 480)).save(file, "JPEG")
        frames += [file.getvalue()] * 10
    path.write_bytes(b"".join(frames))
    return path


@contextmanager
def opened(address, *arguments, **options):
    """The page in a fresh browser without a network, and every address that it asks for."""
    with (
        chromium(NO_GPU, *arguments) as browser,
        browser.new_context(**{"offline": True} | options) as context,
    ):
        tab, asked = context.new_page(), []
        tab.on("request", lambda request: asked.append(request.url))
        tab.goto(address)
        yield tab, asked


def camera(film):
    return (
        "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    )  # fmt: skip


def until(tab, expression, seconds=90):
    """Wait for JavaScript to be true; Playwright's own way needs `eval`, which the page forbids."""
    end = time.monotonic() + seconds
    while not tab.evaluate(expression):
        assert time.monotonic() < end, f"{expression} is not true: {tab.inner_text('#told')}"
        time.sleep(0.1)


def told(tab, words):
    until(tab, f"() => document.getElementById('told').textContent.includes({json.dumps(words)})")


def upload(tab, name, data):
    tab.set_input_files("#file", {"name": name, "mimeType": "image/*", "buffer": data})


def as_file(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def test_fifty_photos_score_in_chromium_as_in_python_and_the_page_is_small(exported):
    page, said = exported
    apart = float(re.search(r"Chromium [\d.]+ scores 50 photos at the worst ([\d.]+) points", said)[1])
    assert apart <= 1 and "ready after" in said
    assert page.stat().st_size <= 14e6


def squished(tab, pixels, box):
    """What the page makes of a box of a picture, uint8 (H, W, 3)."""
    height, width, _ = pixels.shape
    rgba = np.dstack([pixels, np.full((height, width), 255, np.uint8)])
    found = tab.evaluate(
        """([text, width, height, box]) => {
          const data = Uint8ClampedArray.from(atob(text), (sign) => sign.charCodeAt(0));
          return Array.from(selfie.squish({data, width, height}, box));
        }""",
        [base64.b64encode(rgba.tobytes()).decode(), width, height, box],
    )
    return np.array(found).reshape(128, 128, 3)


def test_photos_are_squished_as_pillow_does_it_to_the_last_bit(page):
    """Of tall ones to one level of 256: which pass comes first is another matter in another Pillow."""
    rng = np.random.default_rng(0)
    boxes = [
        (640, 480, (0, 0, 640, 480)), (640, 480, (101, 53, 401, 353)), (128, 128, (0, 0, 128, 128)),
        (50, 40, (3, 1, 30, 28)), (301, 97, (0, 0, 301, 97)), (128, 500, (0, 0, 128, 500)),
    ]  # fmt: skip
    with opened(page.as_uri()) as (tab, _):
        for width, height, box in [*boxes, (97, 301, (0, 0, 97, 301))]:
            pixels = rng.integers(0, 256, (height, width, 3), dtype=np.uint8)
            expected = np.asarray(squish(Image.fromarray(pixels).crop(box), 128)).astype(int)
            apart = np.abs(squished(tab, pixels, box) - expected).max()
            assert apart <= (width == 97), (width, height, box)


def test_with_a_camera_by_keyboard_on_a_small_dark_screen(page, film):
    small = {"viewport": {"width": 400, "height": 800}, "color_scheme": "dark"}
    with opened(page.as_uri(), *camera(film), **small) as (tab, asked):
        assert tab.evaluate(READY)["place"] == "wasm"
        assert tab.evaluate("() => document.documentElement.scrollWidth") == 400
        dark = tab.evaluate("() => getComputedStyle(document.documentElement).backgroundColor")
        assert sum(map(int, re.findall(r"\d+", dark))) < 120
        tab.keyboard.press("Tab")
        assert tab.evaluate("() => document.activeElement.id") == "camera"
        tab.keyboard.press("Enter")
        scores = set()
        end = time.monotonic() + 60
        while len(scores) < 3 and time.monotonic() < end:  # the film shows five photos
            scores.add(tab.inner_text("#score"))
            time.sleep(0.2)
        assert len(scores) >= 3
        assert tab.get_attribute("#meter", "aria-valuenow") != "0"
        until(tab, "() => !document.getElementById('frame').hidden")
        best = float(tab.inner_text("#bestScore"))
        assert best >= max(float(score) for score in scores if score != "–") - 0.1
        tab.keyboard.press("Enter")
        told(tab, "best square crop")
        until(tab, "() => !document.getElementById('bestFrame').hidden")
        assert float(tab.inner_text("#score")) >= best and "best square crop" in tab.inner_text("#gain")
        for name, words in (("savePhoto", "best.jpg"), ("saveCrop", "best_crop.jpg")):
            with tab.expect_download() as saved:
                tab.focus(f"#{name}")
                tab.keyboard.press("Enter")
            assert saved.value.suggested_filename == words
            with Image.open(saved.value.path()) as image:
                sides = image.size
        assert sides[0] == sides[1]  # of the crop
        assert all(url.startswith(("file:", "blob:", "data:")) for url in asked)
        assert tab.evaluate("() => document.documentElement.scrollWidth") == 400


def test_watching_does_not_fill_the_memory(page, film):
    def heap(tab, devtools):
        devtools.send("HeapProfiler.collectGarbage")
        found = devtools.send("Performance.getMetrics")["metrics"]
        return next(one["value"] for one in found if one["name"] == "JSHeapUsedSize")

    with opened(page.as_uri(), *camera(film)) as (tab, _):
        devtools = tab.context.new_cdp_session(tab)
        devtools.send("Performance.enable")
        tab.click("#camera")
        until(tab, "() => selfie.times.length > 40")
        before, frames = heap(tab, devtools), tab.evaluate("() => selfie.times.length")
        until(tab, f"() => selfie.times.length > {frames + 100}")
        assert heap(tab, devtools) - before < 1e6  # a frame has 1.2 MB: not one is kept


def test_uploaded_photos_score_as_in_python_whatever_their_form(page, run):
    y, x = np.mgrid[:200, :300]
    pixels = np.stack([x % 256, y, (x + y) % 256], 2).astype(np.uint8)
    exif = Image.Exif()
    exif[0x0112] = 6
    clear = Image.fromarray(np.dstack([pixels, (x % 256).astype(np.uint8)]))
    photos = {
        "turned.jpg": as_file(Image.fromarray(pixels), "JPEG", exif=exif, quality=95),
        "clear.png": as_file(clear),
        "grey.png": as_file(Image.fromarray(pixels).convert("L")),
        "web.webp": as_file(Image.fromarray(pixels), "WEBP", lossless=True),
    }
    scorer = Scorer(run, "cpu")
    with opened(page.as_uri()) as (tab, _):
        tab.evaluate(READY)
        for name, data in photos.items():
            tab.evaluate("() => { document.getElementById('told').textContent = ''; }")
            upload(tab, name, data)
            told(tab, "The frame is its best square crop")
            expected = scorer.rate(Image.open(io.BytesIO(data))).score[0]
            assert float(tab.inner_text("#score")) / 100 == pytest.approx(expected, abs=0.01), name
        upload(tab, "torn.jpg", photos["turned.jpg"][:300])
        told(tab, "torn.jpg cannot be read as a picture here: give a JPEG or PNG.")
        tab.click("#about summary")
        until(tab, "() => document.getElementById('licenceTexts').textContent.includes('MIT License')")
        assert tab.evaluate("() => document.getElementById('licenceTexts').textContent.length") > 100_000


def altered(page, tmp_path, **settings):
    """The page with other settings."""
    text = page.read_text()
    found = re.search(r'(id="settings">)(.*?)(</script>)', text)
    other = json.loads(found[2]) | settings
    copy = tmp_path / "altered.html"
    copy.write_text(text[: found.start(2)] + json.dumps(other) + text[found.end(2) :])
    return copy.as_uri()


def test_a_photo_of_the_worst_tenth_is_shown_no_larger_than_48_px(page, tmp_path):
    photo = as_file(Image.fromarray(np.full((300, 400, 3), 90, np.uint8)))
    sides = (
        "() => { const b = document.getElementById(%r).getBoundingClientRect(); return [b.width, b.height]; }"
    )
    for crowd, small in (([1.0] * 101, True), ([0.0] * 101, False)):
        with opened(altered(page, tmp_path, crowd=crowd)) as (tab, _):
            tab.evaluate(READY)
            upload(tab, "me.png", photo)
            told(tab, "best square crop")
            assert ("worst tenth" in tab.inner_text("#told")) is small
            for name in ("still", "best"):
                assert (max(tab.evaluate(sides % name)) <= 48) is small


def test_where_a_browser_computes_otherwise_no_score_is_shown(page, tmp_path):
    with opened(altered(page, tmp_path, expected=0.987)) as (tab, _):
        assert "scores a known picture" in tab.evaluate(READY)["error"]
        assert "where Python said 98.7" in tab.inner_text("#told")
        assert tab.is_disabled("#camera") and tab.is_disabled("#upload")


MUTE = "window.Worker = class { constructor() { setTimeout(() => this.onerror(new Event('error'))); } };"
PROMISES = "delete WebAssembly.Suspending; delete WebAssembly.promising;"


@pytest.mark.parametrize("lacking", ["", "delete window.Worker;", MUTE, "delete window.Worker;" + PROMISES])
def test_browsers_without_threads_or_promises_in_webassembly_score_the_same(page, film, lacking):
    with (
        chromium(NO_GPU, *camera(film)) as browser,
        browser.new_context(offline=True) as context,
    ):
        tab = context.new_page()
        tab.add_init_script(lacking)
        tab.goto(page.as_uri())
        assert tab.evaluate(READY)["place"] == "wasm"  # it has scored the known picture rightly
        assert len(tab.workers) == (not lacking)
        tab.click("#camera")
        until(tab, "() => selfie.times.length > 5 && document.getElementById('score').textContent !== '–'")


def test_the_best_picture_is_the_one_that_had_its_score(page, tmp_path):
    """While the network looks at one picture, the page has the next one ready: they must not be mixed up."""
    shown, frames = [40, 200], []
    for light in shown:
        file = io.BytesIO()
        Image.new("RGB", (640, 480), (light, light, light)).save(file, "JPEG")
        frames.append(file.getvalue())
    (tmp_path / "two.mjpeg").write_bytes(b"".join(frames))  # another one thirty times a second
    seen = "() => Array.from(document.getElementById('best').getContext('2d').getImageData(9, 9, 1, 1).data)"
    with opened(page.as_uri(), *camera(tmp_path / "two.mjpeg")) as (tab, _):
        tab.evaluate(READY)
        rate = """([text]) => selfie.rate(
            new Blob([Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0))]))"""
        scores = [tab.evaluate(rate, [base64.b64encode(frame).decode()]) for frame in frames]
        assert abs(scores[0] - scores[1]) > 0.002
        for _ in range(4):
            tab.click("#camera")
            until(tab, "() => selfie.times.length > 40")
            assert abs(tab.evaluate(seen)[0] - shown[int(np.argmax(scores))]) < 60
            tab.click("#camera")
            tab.click("#forget")
            tab.evaluate("() => { selfie.times.length = 0; }")


def test_without_a_camera_without_permission_and_over_plain_http_a_sentence_says_so(page):
    with opened(page.as_uri(), "--use-fake-ui-for-media-stream") as (tab, _):
        tab.click("#camera")
        told(tab, "There is no camera here: upload a photo.")
    with opened(page.as_uri(), "--use-fake-device-for-media-stream") as (tab, _):
        tab.click("#camera")
        told(tab, "The camera was not allowed")
    server = make_server(page, False, 0)
    threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    address = f"http://phone.test:{server.server_address[1]}/"
    with opened(address, "--host-resolver-rules=MAP phone.test 127.0.0.1", offline=False) as (tab, asked):
        tab.click("#camera")
        told(tab, "This page came over plain http")
        assert [url for url in asked if url.startswith("http")] == [address]
    server.shutdown()
    server.server_close()


def test_over_https_with_its_own_certificate_the_camera_opens(page, film):
    server = make_server(page, True, 0)
    threading.Thread(target=partial(server.serve_forever, 0.05), daemon=True).start()
    address = f"https://phone.test:{server.server_address[1]}/"
    lead = "--host-resolver-rules=MAP phone.test 127.0.0.1"
    with opened(address, lead, *camera(film), offline=False, ignore_https_errors=True) as (tab, asked):
        tab.click("#camera")
        until(tab, "() => selfie.times.length > 3")
        assert [url for url in asked if url.startswith("http")] == [address]
    server.shutdown()
    server.server_close()


def test_a_wrong_network_is_found_and_no_page_is_written(run, runtime, tmp_path):
    def wrong(model):
        model = in_halves(model)
        tensor = max(model.graph.initializer, key=lambda one: len(one.raw_data))
        tensor.raw_data = tensor.raw_data[::-1]
        return model

    with bringing(runtime) as patch:
        patch.setattr(export, "in_halves", wrong)
        done = CliRunner().invoke(app, ["export", "web", str(tmp_path / "a.html"), "--run", str(run.root)])
    assert done.exit_code == 1 and "scores photos wrongly" in done.stderr and list(tmp_path.iterdir()) == []


def test_without_a_browser_it_says_that_none_has_checked_the_page(run, runtime, tmp_path):
    @contextmanager
    def none():
        yield None

    with bringing(runtime) as patch:
        patch.setattr(export, "chromium", none)
        done = CliRunner().invoke(app, ["export", "web", str(tmp_path / "a.html"), "--run", str(run.root)])
    assert done.exit_code == 0 and "NOT checked in a browser" in done.stdout
    assert "onnxruntime scores 50 photos" in done.stdout and (tmp_path / "a.html").exists()


def test_a_page_needs_the_name_of_a_file(run, tmp_path):
    done = CliRunner().invoke(app, ["export", "web", str(tmp_path), "--run", str(run.root)])
    assert done.exit_code == 1 and "give a file such as camera.html" in done.stderr


@pytest.mark.parametrize("data", [b"", b"a", b"abcd", b"abcde"])
def test_planes_lie_one_after_the_other(data):
    planes = in_planes(data)
    half = (len(data) + 1) // 2
    assert planes[:half] == data[::2] and planes[half:] == data[1::2]
