"""Reports of hostile data, in a real browser: nothing in them may act, load or lead astray."""

import json
import re
import time
from contextlib import contextmanager, suppress
from html import escape
from pathlib import Path

import mistune
import pandas as pd
import pytest
from chromium import chromium
from hostile import HTML, MARK, MARKDOWN, SLEEPING, SLEEPING_MARKDOWN, arm, armed
from playwright.sync_api import Error
from test_report_site import picture, shown

from selfie_utils.runner.report_site import write_site

ALL_HTML, ALL_MARKDOWN = HTML | SLEEPING, MARKDOWN | SLEEPING_MARKDOWN
ARTICLE = "https://karpathy.github.io/2015/10/25/selfie/"  # our own link at the foot of the index
POLICY = re.compile('<meta http-equiv="Content-Security-Policy"[^>]*>')
# One of each way for which a policy has a rule of its own.
POLICED = (
    "script", "script-source", "img-onerror", "iframe-javascript", "iframe", "object", "embed", "base",
    "form-action", "formaction", "style-import", "link-stylesheet", "link-prefetch", "img", "video",
    "track", "svg-script-source",
)  # fmt: skip
# Kinds that need a frame of their own, for they swallow or change what follows; the others share one.
ALONE = (
    "script-unclosed",
    "frameset",
    "base",
    "meta-refresh",
    "form-action",
    "form-javascript",
    "formaction",
)
# Hover over, enter and click everything, in frames too, and say which links lead elsewhere than to the web
# (of many that were clicked only one is followed); links to other pages of the site lead nowhere here.
TOUCH_ALL = """() => {
    addEventListener("click", (event) => {
        const link = event.target.closest("a");
        if (link?.protocol === "file:" && link.pathname.endsWith(".html")) event.preventDefault();
    });
    const frames = Array.from(document.querySelectorAll("iframe"), (frame) => frame.contentDocument);
    for (const page of [document, ...frames.filter(Boolean)])
        for (const element of page.querySelectorAll("*")) {
            const target = String(element.href?.baseVal ?? element.href ?? "");
            if (!/^(https?:|file:.*[.]html?(#|$)|$)/.test(target)) console.log(target);
            for (const kind of ["mouseover", "focus", "click"])
                element.dispatchEvent(new MouseEvent(kind, { bubbles: true, cancelable: true }));
        }
}"""


@pytest.fixture
def browser():
    """A browser for each test: one that hostile pages have brought down must not take the others with it."""
    with chromium() as started:
        yield started


@contextmanager
def watched(browser, path: Path):
    """Open a page and touch everything on it; yields the page and the list of whatever happens.

    What the policy of a page stops is not in the list: only requests that would have left are routed.
    """
    context, seen = browser.new_context(), []

    def let_go(route):
        seen.append(route.request.url)
        local = route.request.url.startswith(("file:", "data:"))
        _ = route.continue_() if local else route.fulfill(status=204)  # nothing: the page stays where it is

    def dismiss(dialog):
        seen.append(f"{dialog.type} {dialog.message}")
        dialog.dismiss()

    context.route("**/*", let_go)
    context.on("dialog", dismiss)
    context.on("console", lambda said: seen.append(said.text) if said.type == "log" else None)
    page = context.new_page()
    page.set_default_timeout(120_000)  # ms; machines may be busy
    page.on("framenavigated", lambda frame: seen.append(frame.url) if frame == page.main_frame else None)
    context.on("page", lambda opened: seen.append(opened.url))
    page.goto(path.as_uri())
    page.evaluate(TOUCH_ALL)
    yield page, seen
    with suppress(Error):  # Chromium was seen to crash here once, when all had been judged
        context.close()


def settle(page, seen: list[str], until: set[str], patience: float = 60) -> set[str]:
    """Wait until all marks of `until` were seen, and a little longer; return all that were."""
    end = time.monotonic() + patience
    while not until <= marks(seen) and time.monotonic() < end:
        page.wait_for_timeout(50)
    page.wait_for_timeout(300)
    return marks(seen)


def marks(seen: list[str]) -> set[str]:
    return {f"{channel} {kind}" for text in seen for channel, kind in MARK.findall(text)}


def as_it_is(folder: Path, attempts: list[str], policy: str = "") -> Path:
    """Write a page that shows hostile HTML as it is, each in a frame of its own."""
    frames = (f'<iframe srcdoc="{escape(attempt)}"></iframe>' for attempt in attempts)
    path = folder / "raw.html"
    path.write_text(f"<!doctype html><meta charset=utf-8>{policy}{''.join(frames)}", encoding="utf-8")
    return path


def test_the_harness_sees_every_kind_that_a_browser_obeys(browser, tmp_path):
    obey_all = mistune.HTMLRenderer(escape=False, allow_harmful_protocols=True)
    to_html = mistune.create_markdown(renderer=obey_all, plugins=["table"])
    alone = {kind: HTML[kind] for kind in ALONE}
    together = {kind: attempt for kind, attempt in HTML.items() if kind not in alone}
    prose = [to_html(text) for text in armed("markdown", MARKDOWN)]
    attempts = ["".join(prose), "</svg>".join(armed("html", together)), *armed("html", alone)]
    expected = {f"html {kind}" for kind in HTML} | {f"markdown {kind}" for kind in MARKDOWN}
    with watched(browser, as_it_is(tmp_path, attempts)) as (page, seen):
        assert expected - settle(page, seen, until=expected) == set()


@pytest.fixture(scope="module")
def hostile_site(tmp_path_factory) -> Path:
    """The reports of a run in which whatever may come from the data is hostile."""
    run = tmp_path_factory.mktemp("hostile")
    notebook = run / "notebooks" / "00_<img src=x: onerror=console.log('~name~img~')>.ipynb"
    notebook.parent.mkdir()
    notebook.write_text(json.dumps(hostile_notebook()), encoding="utf-8")
    broken = hostile_notebook() | {"cells": hostile_notebook()["cells"][:1]}
    notebook.with_name("01_after.failed.ipynb").write_text(json.dumps(broken), encoding="utf-8")
    figures = dict(zip(armed("key", ALL_HTML), armed("value", ALL_HTML), strict=True))
    (run / "metrics.json").write_text(json.dumps({all_of("notebook"): figures}))
    entry = {"error": all_of("message"), "seconds": 1, "finished": all_of("finished"), "status": "failed"}
    facts = {"cores": all_of("cores"), "kernel": all_of("kernel")}
    facts["versions"] = {all_of("package"): all_of("version")}
    write_site(run, {"facts": facts, "notebooks": {"01_after": entry}})
    return run / "reports"


def all_of(channel: str) -> str:
    return " ".join(armed(channel, ALL_HTML))


def hostile_notebook() -> dict:
    """An executed notebook that is hostile in each of its parts and in outputs of every type."""
    table = pd.DataFrame({all_of("column"): armed("post", ALL_HTML)}, index=armed("user", ALL_HTML))
    in_cells = [f"<table><tr><th>{each}</th><td>{each}</td></tr></table>" for each in armed("cell", ALL_HTML)]
    prose = armed("prose", ALL_HTML) + armed("prose-markdown", ALL_MARKDOWN)
    told = armed("told", ALL_HTML) + armed("told-markdown", ALL_MARKDOWN)
    told += [f"in a sentence {each}" for each in armed("in-a-sentence", ALL_HTML)]
    alt = {"image/png": {"alt": f'">{all_of("alt")}', "width": f'9">{all_of("width")}'}}
    views = "application/vnd.jupyter.widget-view+json"
    outputs = [
        *(shown({"text/html": each}) for each in [*armed("html", ALL_HTML), *in_cells]),
        *(shown({"text/markdown": each}) for each in told),
        *(shown({"text/plain": each}) for each in armed("plain", ALL_HTML)),
        *(shown({"image/svg+xml": each, "text/plain": "a drawing"}) for each in armed("svg", ALL_HTML)),
        shown({"text/html": table.to_html()}),
        shown(
            {"application/javascript": arm("javascript", "run", "RUN"), "text/plain": all_of("script-text")}
        ),
        shown({"text/latex": all_of("latex"), "application/json": all_of("json")}),
        shown({views: {"model_id": all_of("model")}, "text/html": all_of("widget")}),
        shown({"image/png": picture(4, 4)}, alt),
        shown({"image/png": f'AA">{all_of("picture")}'}),
        {"output_type": "stream", "name": "stdout", "text": all_of("stdout")},
        {"output_type": "stream", "name": "stderr", "text": all_of("stderr")},
        {"output_type": "error", "ename": "E", "evalue": "", "traceback": armed("traceback", ALL_HTML)},
    ]
    title = f"# {all_of('title')}\n\n{all_of('lead')}"
    cells = [{"cell_type": "markdown", "metadata": {}, "source": each} for each in (title, *prose)]
    code = f"{all_of('code')}\n# {all_of('comment')}\n'{all_of('string')}'"
    cells.append({"cell_type": "code", "metadata": {}, "source": code, "outputs": outputs})
    parameters = {all_of("parameter"): all_of("setting")}
    return {"cells": cells, "metadata": {"papermill": {"parameters": parameters}}}


@pytest.mark.parametrize("name", ["00_*", "01_after", "index"])
def test_nothing_hostile_acts_or_loads_even_without_the_policy(browser, hostile_site, name):
    (report,) = hostile_site.glob(f"{name}.html")
    html, policies = POLICY.subn("", report.read_text(encoding="utf-8"))
    assert policies == 1
    bare = hostile_site / f"bare_{name[:2]}.htm"
    bare.write_text(html, encoding="utf-8")
    with watched(browser, bare) as (page, seen):
        settle(page, seen, until=set())
        assert marks(seen) == set()
        addresses = {text.partition("#")[0] for text in seen if not text.startswith("data:")}
        assert addresses <= {bare.as_uri(), "about:blank", ARTICLE}
    bare.unlink()


def test_the_policy_alone_stops_hostile_html_that_slipped_through(browser, hostile_site, tmp_path):
    (policy,) = POLICY.findall((hostile_site / "index.html").read_text(encoding="utf-8"))
    attempts = [arm("html", kind, HTML[kind]) for kind in POLICED]
    with watched(browser, as_it_is(tmp_path, attempts, policy)) as (page, seen):
        assert settle(page, seen, until=set()) == set()
        assert page.locator("iframe").count() == len(POLICED)  # all were there


def test_a_page_of_hostile_data_still_works(browser, hostile_site):
    (report,) = hostile_site.glob("00_*.html")
    page = browser.new_page()
    page.goto(report.as_uri())
    code = page.locator("pre.code").first
    page.get_by_role("button", name="Show code").click()
    assert code.is_visible()
    page.close()
