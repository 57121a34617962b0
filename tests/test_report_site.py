"""The report site: what a page shows, and what it must not let through."""

import base64
import io
import json

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hostile import HTML, MARKDOWN, SLEEPING, SLEEPING_MARKDOWN, armed
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


KEPT = {
    "a": {"href", "rel"},
    "img": {"src", "alt"},
    "div": {"class", "tabindex"},
    "td": {"class"},
    "th": {"class"},
}


@pytest.mark.parametrize("to_html", [safe_html, markdown])
def test_of_hostile_html_and_markdown_only_what_is_harmless_is_left(to_html):
    for attempt in armed("x", HTML | SLEEPING | MARKDOWN | SLEEPING_MARKDOWN):
        for attempt_or_cell in (attempt, f"<table><tr><td>{attempt}</td></tr></table>", f"text {attempt}"):
            soup = BeautifulSoup(to_html(attempt_or_cell), "html.parser")
            assert not soup.find_all(
                ["script", "style", "svg", "math", "iframe", "object", "embed", "link", "meta"]
            )
            for tag in soup.find_all(True):
                assert set(tag.attrs) <= KEPT.get(tag.name, set()), attempt
            assert all(tag["href"].startswith("https://") for tag in soup.find_all(href=True)), attempt
            assert all(tag["src"].startswith("data:image/") for tag in soup.find_all(src=True)), attempt


def test_links_to_the_web_and_pictures_in_the_page_are_kept():
    dot = f"data:image/png;base64,{picture(1, 1)}"
    html = f'<a href="HTTPS://karpathy.github.io/?a=1&amp;b=2">post</a><img src="{dot}" alt="dot" width="9">'
    soup = BeautifulSoup(safe_html(html), "html.parser")
    assert soup.a["href"] == "HTTPS://karpathy.github.io/?a=1&b=2" and soup.a["rel"] == [
        "noopener",
        "noreferrer",
    ]
    assert soup.img.attrs == {"src": dot, "alt": "dot", "width": "9"}
    soup = BeautifulSoup(
        markdown(f"[post](http://karpathy.github.io) ![dot]({dot}) ![far](https://x.y/z.png)"), "html.parser"
    )
    assert soup.a["href"] == "http://karpathy.github.io"
    assert [image.attrs for image in soup.find_all("img")] == [{"src": dot, "alt": "dot"}, {"alt": "far"}]


def test_what_is_dropped_whole_leaves_no_text_and_what_is_unwrapped_does():
    dropped = "".join(f"<{tag}>gone</{tag}>" for tag in ("script", "style", "template", "iframe", "object"))
    assert safe_html(f"{dropped}<section><font>stays</font></section><!-- gone -->") == "stays"


def test_html_in_markdown_is_shown_as_it_is_written():
    assert BeautifulSoup(markdown("a <b>b</b>"), "html.parser").get_text() == "a <b>b</b>\n"


def test_marks_that_a_text_is_made_of_are_kept():
    text = {"p", "strong", "b", "em", "i", "del", "code", "pre", "sub", "sup", "small", "span", "br", "hr"}
    larger = {"div", "blockquote", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6"}
    html = "".join(f"<{part}>x</{part}>" for part in sorted(text | larger))
    assert {tag.name for tag in BeautifulSoup(safe_html(html), "html.parser").find_all(True)} == text | larger
    merged = "<table><caption>x</caption><tr><td colspan=2 rowspan=3>y</td><th scope=row>z</th></tr></table>"
    soup = BeautifulSoup(safe_html(merged), "html.parser")
    assert (soup.caption.get_text(), soup.td["colspan"], soup.td["rowspan"], soup.th["scope"]) == (
        "x", "2", "3", "row",
    )  # fmt: skip
    assert BeautifulSoup(markdown("3. c\n4. d\n"), "html.parser").ol["start"] == "3"


def test_a_table_with_colours_of_pandas_shows_its_cells():
    table = pd.DataFrame({"auc": [0.61, 0.7]}, index=["a", "b"]).style.format(precision=2).highlight_max()
    soup = BeautifulSoup(safe_html(table.to_html()), "html.parser")
    assert [c.get_text() for c in soup.find_all("td")] == [
        "0.61",
        "0.70",
    ] and "background" not in soup.get_text()


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
