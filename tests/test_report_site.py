"""The report site: what a page shows, and what it must not let through."""

import base64
import io
import json
import re

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from PIL import Image

from selfie_utils import report_site
from selfie_utils.report_page import markdown, read_page, safe_html
from selfie_utils.report_site import duration, figures, headlines, write_site

LEAD = "A sentence that is long enough to stand alone upon the card of a notebook."


def picture(width: int, height: int, kind: str = "PNG") -> str:
    """A picture of coloured noise, which no format can make small, as base64."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, format=kind)
    return base64.b64encode(out.getvalue()).decode()


def shown(data: dict, metadata: dict | None = None) -> dict:
    return {"output_type": "display_data", "data": data, "metadata": metadata or {}}


def write_executed(run, name: str, outputs: list, title: str = "Which one?", code: str = "secret_code()"):
    """Write an executed notebook of one cell into a run folder."""
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": f"# {title}\n\nWho? {LEAD} Another."},
        {"cell_type": "code", "metadata": {}, "source": code, "outputs": outputs},
    ]
    metadata = {"papermill": {"parameters": {"seed": 7}}}
    path = run / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": cells, "metadata": metadata}))
    return path


def page_of(run, name: str = "00_data") -> BeautifulSoup:
    return BeautifulSoup((run / "reports" / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_a_picture_is_embedded_once_with_its_alternative_text_and_width(tmp_path):
    png = picture(40, 20)
    metadata = {"image/png": {"alt": 'Two "tiles" <b>', "width": 20}}
    write_executed(tmp_path, "00_data", [shown({"image/png": png, "text/plain": "<Image object>"}, metadata)])
    write_site(tmp_path, {})
    html = (tmp_path / "reports/00_data.html").read_text()
    assert html.count(png[:200]) == 1 and "Image object" not in html
    image = page_of(tmp_path).main.img
    assert (image["alt"], image["width"]) == ('Two "tiles" <b>', "20")


def test_pages_are_linked_in_order_and_titled(tmp_path):
    for name, title in (("00_data", "First"), ("01_train", "Second"), ("02_continuum", "Third & last")):
        write_executed(tmp_path, name, [], title)
    write_site(tmp_path, {})
    second = page_of(tmp_path, "01_train")
    assert [second.find("a", rel=r)["href"] for r in ("prev", "next")] == [
        "00_data.html",
        "02_continuum.html",
    ]
    assert second.title.get_text() == "Second · Selfie suite" and second.html["lang"] == "en"
    links = [a["href"] for a in page_of(tmp_path, "index").select(".cards a")]
    assert links == ["00_data.html", "01_train.html", "02_continuum.html"]
    assert "Third & last" in page_of(tmp_path, "index").get_text()
    assert f"Who? {LEAD}" in page_of(tmp_path, "index").get_text()
    assert "Another." not in page_of(tmp_path, "index").get_text()


def test_code_and_progress_bars_are_folded_away_and_results_are_not(tmp_path):
    bars = {"output_type": "stream", "name": "stderr", "text": "\rfaces: 10%\rfaces: 100%\n"}
    said = {"output_type": "stream", "name": "stdout", "text": "a result"}
    write_executed(tmp_path, "00_data", [bars, said])
    write_site(tmp_path, {})
    page = page_of(tmp_path)
    folded = [tag.get_text() for tag in page.select(".code")]
    assert folded[0].strip() == "secret_code()" and folded[1] == "faces: 100%"
    assert page.select_one("pre.text").get_text() == "a result"
    assert ".code { display: none" in page.style.get_text() and page.find(id="code-button")


EVIL = '<script>alert(1)</script><img src="https://example.com/x.png" onerror="alert(2)">'


def test_nothing_from_the_data_can_act_or_load(tmp_path):
    table = f"<table onclick='x()'><tr><td>{EVIL}Ada</td><td style='background:url(https://example.com)'>1</td></tr></table>"
    outputs = [
        shown({"text/html": table}),
        shown({"text/markdown": f"{EVIL} ![x](https://example.com/y.png) [z](javascript:alert(3))"}),
        shown({"text/plain": EVIL}),
        shown({"image/png": picture(4, 4)}, {"image/png": {"alt": f'">{EVIL}'}}),
        {"output_type": "error", "ename": "E", "evalue": EVIL, "traceback": [EVIL]},
    ]
    write_executed(tmp_path, "00_data", outputs, title=EVIL, code=f"# {EVIL}")
    (tmp_path / "metrics.json").write_text(json.dumps({"00_data": {EVIL: EVIL}}))
    write_site(tmp_path, {"notebooks": {"00_data": {"error": EVIL, "seconds": 1, "finished": EVIL}}})
    for name in ("00_data", "index"):
        page = page_of(tmp_path, name)
        assert len(page.find_all("script")) == 1 and not page.find_all(["iframe", "object"])
        assert all(image["src"].startswith("data:") for image in page.find_all("img", src=True))
        assert not [t for t in page.find_all(True) if any(key.startswith("on") for key in t.attrs)]
        assert "default-src 'none'" in page.find("meta", attrs={"http-equiv": True})["content"]
        assert not page.find_all(href=re.compile("^(javascript|http)"))
    assert "Ada" in page_of(tmp_path).main.get_text()


def test_tables_keep_their_content_and_set_numbers_to_the_right():
    html = """<div><style scoped>.x {color: red}</style><table border="1" class="dataframe">
    <thead><tr style="text-align: right;"><th></th><th>name</th><th>score</th></tr></thead>
    <tbody><tr><th>1</th><td>Ada &amp; Bo</td><td>51.2%</td></tr>
    <tr><th>2</th><td>Cy</td><td>-1,042</td></tr></tbody>
    </table></div>"""
    table = BeautifulSoup(safe_html(html), "html.parser")
    assert [c.get_text() for c in table.select(".number")] == ["score", "51.2%", "-1,042"]
    assert "Ada & Bo" in table.get_text() and "color" not in table.get_text()


def test_the_name_of_an_index_stands_in_the_one_row_of_headings():
    table = pd.DataFrame({"posts": [3]}, index=pd.Index(["test"], name="split"))
    rows = BeautifulSoup(safe_html(table.to_html()), "html.parser").find_all("tr")
    assert [[c.get_text() for c in row.find_all(["th", "td"])] for row in rows] == [
        ["split", "posts"],
        ["test", "3"],
    ]


def test_markdown_tables_and_emphasis_are_rendered():
    html = markdown("**68%** of posts\n\n| a | b |\n|---|---|\n| x | 2 |\n")
    assert "<strong>68%</strong>" in html and 'class="number">2</td>' in html


def test_a_failed_notebook_says_so_on_its_page_and_its_card(tmp_path):
    path = write_executed(tmp_path, "00_data", [])
    path.rename(path.with_name("00_data.failed.ipynb"))
    write_site(
        tmp_path, {"notebooks": {"00_data": {"error": "cell [3]: no light", "seconds": 1, "finished": ""}}}
    )
    assert "no light" in page_of(tmp_path).select_one("main > .failed").get_text()
    assert "no light" in page_of(tmp_path, "index").select_one(".broken").get_text()


def test_a_page_stays_small_whatever_is_on_it(tmp_path):
    pictures = [shown({"image/png": picture(1600, 900)}, {"image/png": {"alt": "noise"}}) for _ in range(3)]
    write_executed(tmp_path, "00_data", pictures)
    assert (tmp_path / "notebooks/00_data.ipynb").stat().st_size > 2 * report_site.LARGEST_PAGE
    write_site(tmp_path, {})
    assert (tmp_path / "reports/00_data.html").stat().st_size < report_site.LARGEST_PAGE
    assert [i["alt"] for i in page_of(tmp_path).main.find_all("img")] == ["noise"] * 3


def test_pages_of_notebooks_that_are_gone_go_too(tmp_path):
    write_executed(tmp_path, "00_data", [])
    write_executed(tmp_path, "09_old", [])
    write_site(tmp_path, {})
    (tmp_path / "notebooks/09_old.ipynb").unlink()
    write_site(tmp_path, {})
    assert sorted(p.name for p in (tmp_path / "reports").iterdir()) == ["00_data.html", "index.html"]


def test_a_broken_picture_leaves_the_old_site_whole(tmp_path):
    write_executed(tmp_path, "00_data", [])
    write_site(tmp_path, {})
    before = (tmp_path / "reports/index.html").read_bytes()
    write_executed(tmp_path, "01_train", [shown({"image/png": "AAAA"})])
    with pytest.raises(OSError):
        write_site(tmp_path, {})
    assert (tmp_path / "reports/index.html").read_bytes() == before
    assert not [p for p in (tmp_path / "reports").iterdir() if ".part" in p.name]


def test_headlines_show_known_figures_with_intervals():
    metrics = {"01_train": {"test_accuracy": 0.613, "test_accuracy_low": 0.59, "test_accuracy_high": 0.64}}
    metrics["01_train"]["oracle_accuracy"] = 0.7
    (told,) = headlines(metrics)
    assert (told["value"], told["interval"]) == ("61.3%", "59.0% to 64.0%") and "oracle gets 70.0%" in told[
        "beside"
    ]


def test_all_figures_of_a_notebook_are_listed():
    assert figures({"posts": 6000, "auc": 0.6543, "auc_low": 0.6, "auc_high": 0.7, "backbone": "x"}) == [
        ("posts", "6,000", ""),
        ("auc", "0.654", "0.600 to 0.700"),
        ("backbone", "x", ""),
    ]


def test_the_index_shows_strips_of_the_continuum_and_facts_of_the_run(tmp_path):
    write_executed(tmp_path, "02_continuum", [shown({"image/jpeg": picture(240, 400, "JPEG")})])
    entry = {"seconds": 125.0, "finished": "2026-01-02T03:04:05+00:00", "status": "done"}
    facts = {"kernel": "python3", "cores": 2, "versions": {"python": "3.11"}}
    write_site(tmp_path, {"facts": facts, "notebooks": {"02_continuum": entry}})
    index = page_of(tmp_path, "index")
    assert [c.get_text() for c in index.select(".hero figcaption")] == ["ranked highest", "ranked lowest"]
    told = index.select_one(".facts").get_text()
    assert all(part in told for part in ("2026-01-02 03:04", "2 min 5 s", "python 3.11", "2 cores", "7"))


@pytest.mark.parametrize(("seconds", "text"), [(3.21, "3.2 s"), (59.7, "1 min 0 s"), (3725, "1 h 2 min")])
def test_durations_read_well(seconds, text):
    assert duration(seconds) == text


def test_an_error_marker_of_papermill_is_not_shown_twice(tmp_path):
    path = write_executed(tmp_path, "00_data", [])
    content = json.loads(path.read_text())
    marker = {
        "cell_type": "markdown",
        "metadata": {"tags": ["papermill-error-cell-tag"]},
        "source": "# Oh no",
    }
    content["cells"].insert(0, marker)
    path.write_text(json.dumps(content))
    assert read_page(path).title == "Which one?"
