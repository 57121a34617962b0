"""The report site: what a page shows, and what it must not let through."""

import base64
import io
import json
import os
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from hostile import HTML, MARKDOWN, SLEEPING, SLEEPING_MARKDOWN, armed
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.runner import report_site
from selfie_utils.runner.report_index import duration, figures, headlines, run_facts
from selfie_utils.runner.report_page import Block, markdown, open_picture, read_page, safe_html, shrink
from selfie_utils.runner.report_site import facts_of, write_single_file, write_site
from selfie_utils.show import display

LEAD = "A sentence that is long enough to stand alone upon the card of a notebook."


def picture(width: int, height: int, kind: str = "PNG") -> str:
    """A picture of coloured noise, which no format can make small, as base64."""
    out = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(noise).save(out, format=kind)
    return base64.b64encode(out.getvalue()).decode()


def shown(data: dict, metadata: dict | None = None) -> dict:
    return {"output_type": "display_data", "data": data, "metadata": metadata or {}}


def write_executed(
    run, name: str, outputs: list, title: str = "Which one?", code: str = "secret_code()",
    parameters: dict | None = None, **artefacts,
):  # fmt: skip
    """Write an executed notebook of one cell into a run folder."""
    cells = [
        {"cell_type": "markdown", "metadata": {}, "source": f"# {title}\n\nWho? {LEAD} Another."},
        {"cell_type": "code", "metadata": {}, "source": code, "outputs": outputs},
    ]
    metadata = {"papermill": {"parameters": parameters or {"seed": 7}}, "selfie": artefacts}
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


def test_a_page_that_a_notebook_wrote_itself_stays_and_is_linked_from_its_card_under_its_title(tmp_path):
    write_executed(tmp_path, "06_tsne", [], writes=["reports/map.html", "reports/none.html", "map.parquet"])
    (tmp_path / "reports").mkdir()
    for name in ("map", "old"):
        (tmp_path / f"reports/{name}.html").write_text("<title>Near &amp; far · Selfie suite</title>")
    write_site(tmp_path, {})
    assert {path.stem for path in (tmp_path / "reports").glob("*.html")} == {"06_tsne", "index", "map"}
    link = page_of(tmp_path, "index").select_one(".cards .own a")
    assert (link["href"], link.get_text()) == ("map.html", "Near & far")


def test_a_link_may_lead_to_the_web_and_into_the_report_and_nowhere_else():
    good = ["https://e.org/a", "../reports/map.html", "../reports/map_high_resolution.jpg"]
    bad = ["../reports/../../x.html", "../reports/a/b.html", "/etc/passwd", "../reports/x.js", "x.html"]
    for href in good + bad:
        link = BeautifulSoup(safe_html(f'<a href="{href}">x</a>'), "html.parser").a
        assert link.get("href") == (href if href in good else None)


def test_a_page_tells_what_it_is_made_from_and_who_made_that(tmp_path):
    write_executed(tmp_path, "00_data", [], writes=["labels.parquet", "posts.parquet"])
    write_executed(tmp_path, "01_train", [], reads=["labels.parquet"], writes=["scores.parquet"])
    own = ["posts.parquet", "scores.parquet", "from_elsewhere.csv", "picks.parquet"]
    write_executed(tmp_path, "03_<b>", [], reads=own, writes=["picks.parquet"])
    for name in ("labels.parquet", *own[:3]):
        (tmp_path / name).touch()
    write_site(tmp_path, {})
    foot = page_of(tmp_path, "03_<b>").footer
    told = " ".join(foot.get_text().split())
    assert told == (
        "Made from notebooks/03_<b>.ipynb with seed = 7. It reads posts.parquet (made by 00_data), "
        "scores.parquet (made by 01_train), from_elsewhere.csv. All notebooks"  # nobody has picked any
    )
    assert [a["href"] for a in foot.select("a")] == ["00_data.html", "01_train.html", "index.html"]
    assert "It reads" not in page_of(tmp_path, "00_data").footer.get_text()


@pytest.mark.parametrize("path", ["/home/anna/my posts", "/data", "/a/b.zip", "/é/ü"])
@pytest.mark.parametrize("given", [str, lambda path: ["x", path], lambda path: {"a": path}])
def test_pages_do_not_tell_where_on_a_machine_they_were_made(tmp_path, path, given):
    """Neither in the footer nor in code, sentences, tables or what a program has printed."""
    given = given(path)
    name = path.rpartition("/")[2]
    outputs = [
        shown({"text/markdown": f"The network is that of {path}."}),
        shown({"text/html": f"<table><tr><td>{path}/one.jpg</td></tr></table>"}),
        {"output_type": "stream", "name": "stdout", "text": [f"read {path}\n", f"file://{path}\n"]},
    ]
    code = f"data = {given!r}  # {path}"
    write_executed(tmp_path, "00_data", outputs, parameters={"data": given, "seed": 7}, code=code)
    write_site(tmp_path, {})
    html = page_of(tmp_path, "00_data").get_text()
    assert path not in html.replace(f"…/{name}", "") and html.count(f"…/{name}") == 7 and "anna" not in html
    assert f"The network is that of …/{name}." in html and f"…/{name}/one.jpg" in html and "seed = 7" in html


@pytest.mark.parametrize("home", ["/home/ann", "/"])
@pytest.mark.parametrize("value", ["runs/mine", 7, "", "no/path", True, "/", "~"])
def test_what_is_no_whole_path_is_told_as_it_is(tmp_path, monkeypatch, value, home):
    monkeypatch.setenv("HOME", home)
    write_executed(
        tmp_path, "00_data", [], parameters={"data": value}, code=f"data = {value!r}  # /data/x, 1 / 2"
    )
    write_site(tmp_path, {})
    html = page_of(tmp_path, "00_data").get_text()
    assert f"data = {value}" in " ".join(html.split()) and "/data/x, 1 / 2" in html


def test_the_home_folder_is_told_as_a_tilde_and_pictures_stay_as_they_are(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", "/iVB")
    plain = picture(40, 20)  # begins with iVB, as PNGs do in base64
    outputs = [
        shown({"text/markdown": "Kept in /iVB/runs, not in /mnt/iVB/x or /iVBx."}),
        shown({"image/png": plain}),
    ]
    write_executed(tmp_path, "00_data", outputs)
    write_site(tmp_path, {})
    page = page_of(tmp_path, "00_data")
    assert "Kept in ~/runs, not in /mnt/iVB/x or /iVBx." in page.get_text()
    assert any(img["src"].endswith(plain[-40:]) for img in page.select("img"))


@pytest.mark.parametrize(
    ("label", "group", "told"),
    [
        ([1, 0], [0, 0], "were liked more"),
        ([1, 0], [-1, -1], "labelled good, and selfies labelled bad"),
        ([None, None], [-1, -1], "had learned elsewhere"),
        (None, None, "were liked more"),  # nothing is labelled yet
    ],
)
def test_the_report_begins_with_what_its_network_was_shown(tmp_path, label, group, told):
    if label:
        labels = pd.DataFrame({"label": pd.array(label, "Int64"), "group": group})
        labels.to_parquet(tmp_path / "labels.parquet")
    write_executed(tmp_path, "00_data", [])
    write_site(tmp_path, {})
    assert told in page_of(tmp_path, "index").select_one(".lead").get_text()


@pytest.mark.parametrize(
    ("name", "metrics", "told"),
    [
        (
            "00_data",
            {"posts": 7, "labelled": 7, "groups": 0},
            "7 of 7 posts have a label, which they brought",
        ),
        ("00_data", {"posts": 7, "labelled": 6, "groups": 2}, "In each of 2 groups"),
        ("00_data", {"posts": 7, "labelled": 0, "groups": 0}, "they are only scored"),
        ("05_male_gallery", {}, "Unknown: no annotation says who is presented as male."),
        ("07_celebrities", {}, "No folder of celebrities was given."),
        ("08_label_choices", {"choices": 0}, "No labels were made from likes"),
    ],
)
def test_a_card_tells_what_is_not_known_instead_of_what_is_not_there(tmp_path, name, metrics, told):
    write_executed(tmp_path, name, [])
    (tmp_path / "metrics.json").write_text(json.dumps({name: metrics}))
    write_site(tmp_path, {})
    assert told in page_of(tmp_path, "index").select_one(".cards").get_text()


def test_a_page_links_to_its_figures_and_tables_as_files(tmp_path):
    write_executed(tmp_path, "00_data", [])
    made = ["notebooks/00_data.ipynb", "figures/a b.png", "labels.parquet", "training.csv", "features.npy"]
    write_site(tmp_path, {"notebooks": {"00_data": {"outputs": made, "finished": "2026-01-01T10:00"}}})
    links = [a["href"] for a in page_of(tmp_path).footer.select("a")]
    assert links == ["../figures/a%20b.png", "../labels.parquet", "../training.csv", "index.html"]


def test_tables_are_linked_as_csv_too_and_written_again_where_they_changed(tmp_path):
    write_executed(tmp_path, "00_data", [])
    state = {"notebooks": {"00_data": {"outputs": ["labels.parquet", "broken.parquet"], "finished": ""}}}
    (tmp_path / "broken.parquet").write_text("no table")
    for rows in (["a,b", "ü"], ["c"]):
        pd.DataFrame({"post_id": rows, "label": 1.5}).to_parquet(tmp_path / "labels.parquet")
        write_site(tmp_path, state)
        told = pd.read_csv(tmp_path / "tables" / "labels.csv")
        assert told["post_id"].tolist() == rows and told["label"].tolist() == [1.5] * len(rows)
        os.utime(tmp_path / "tables" / "labels.csv", (0, 0))
    links = [a["href"] for a in page_of(tmp_path).footer.select("a")]
    assert links == ["../labels.parquet", "../broken.parquet", "../tables/labels.csv", "index.html"]


def test_a_table_of_too_many_rows_is_not_written_as_csv(tmp_path, monkeypatch):
    monkeypatch.setattr(report_site, "MOST_ROWS", 2)
    for name, rows in (("two", 2), ("three", 3)):
        pd.DataFrame({"post_id": range(rows)}).to_parquet(tmp_path / f"{name}.parquet")
    write_site(tmp_path, {})
    assert [path.name for path in (tmp_path / "tables").iterdir()] == ["two.csv"]


METRICS = {
    "01_train": {"scored": 613, "test_accuracy": 0.58, "test_accuracy_low": 0.49, "test_accuracy_high": 0.67},
    "06_tsne": {"posts_on_map": 400, "neighbours_kept": 0.4, "neighbours_kept_by_chance": 0.02,
                "attributes_together": 3, "attributes_judged": 9, "attributes_as_by_pixels": 1},
}  # fmt: skip


def test_the_index_answers_the_articles_questions_in_its_order_with_the_runs_own_numbers(tmp_path):
    for name in ("06_tsne", "07_celebrities", "42_mine", "01_train"):
        write_executed(tmp_path, name, [])
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    write_site(tmp_path, {})
    cards = page_of(tmp_path, "index").select(".cards li")
    assert [card.select_one("h3 a")["href"].removesuffix(".html") for card in cards] == [
        "01_train", "07_celebrities", "06_tsne", "42_mine",
    ]  # fmt: skip
    asked = [[line.get_text() for line in card.select(".asked")] for card in cards]
    assert "Sixty percent" in asked[0][0] and asked[1] == [] == asked[3]
    assert "blind compression" in asked[2][0]
    assert "right 58% [49% to 67%] of the time" in cards[0].get_text()
    assert "On a map of 400 selfies, 40% of a photo's neighbours" in cards[2].get_text()
    assert all(LEAD in cards[i].get_text() for i in (1, 3)), "without an answer a card says what is asked"


def test_while_notebooks_run_the_index_says_which_and_looks_for_a_newer_one(tmp_path):
    write_executed(tmp_path, "00_data", [])
    write_executed(tmp_path, "01_train", [])
    write_site(tmp_path, {}, due=["01_train", "02_continuum", "03_top_100"])
    index = page_of(tmp_path, "index")
    told = index.select_one(".running").get_text()
    assert "while 01_train was running" in told and "02_continuum, 03_top_100" in told
    assert int(index.find("meta", {"http-equiv": "refresh"})["content"]) <= 60
    assert ["earlier run" in card.get_text() for card in index.select(".cards li")] == [False, True]
    write_site(tmp_path, {})
    index = page_of(tmp_path, "index")
    assert not index.select(".running") and not index.find("meta", {"http-equiv": "refresh"})
    assert "earlier run" not in index.get_text()


def test_one_file_holds_all_pages_and_every_link_leads_into_it_or_to_the_web(tmp_path):
    chapters = [shown({"text/markdown": f"## Chapter {n}\n\nWords."}) for n in (1, 2, 3)]
    link = shown({"text/html": '<a href="../reports/map.html">near and far</a>'})
    write_executed(tmp_path, "00_data", [*chapters, shown({"image/png": picture(40, 20)})], "First")
    write_executed(
        tmp_path, "06_tsne", [*chapters, link], "Second", reads=["x.parquet"], writes=["reports/map.html"]
    )
    state = {"notebooks": {"00_data": {"outputs": ["figures/a.png"], "finished": ""}}}
    out = write_single_file(tmp_path, state, tmp_path / "to mail.html")
    page = BeautifulSoup(out.read_text(encoding="utf-8"), "html.parser")
    assert not (tmp_path / "reports").exists()
    ids = [tag["id"] for tag in page.select("[id]")]
    assert len(ids) == len(set(ids)) and {"index", "00_data", "06_tsne", "06_tsne-3"} <= set(ids)
    links = [a["href"] for a in page.select("a[href]")]
    assert links and {href for href in links if href[1:] not in ids} == {
        "https://karpathy.github.io/2015/10/25/selfie/"
    }
    assert "near and far" in page.get_text() and "figures/a.png" not in page.get_text()
    assert [len(page.find(id=name).select("figure img")) for name in ("00_data", "06_tsne")] == [1, 0]
    assert len([script for script in page.select("script") if script.get("type") != "application/json"]) == 1


def test_one_file_stays_small_enough_to_mail(tmp_path, monkeypatch):
    for name in ("00_data", "01_train"):
        write_executed(tmp_path, name, [shown({"image/png": picture(700, 700)})])
    whole = write_single_file(tmp_path, {}, tmp_path / "whole.html").stat().st_size
    monkeypatch.setattr(report_site, "LARGEST_FILE", whole // 2)
    assert write_single_file(tmp_path, {}, tmp_path / "small.html").stat().st_size < whole // 2
    with pytest.raises(SelfieError, match="no executed notebook"):
        write_single_file(tmp_path / "empty", {}, tmp_path / "none.html")
    assert not (tmp_path / "none.html").exists()


@pytest.mark.parametrize("simulated", [True, False])
def test_sites_that_preview_links_get_a_picture_and_of_real_people_a_chart(tmp_path, simulated):
    write_executed(tmp_path, "00_data", [])
    (tmp_path / "figures").mkdir()
    Image.new("RGB", (12 * 129 - 1, 20 * 129 - 1), "red").save(tmp_path / "figures/continuum.jpg")
    Image.new("RGB", (300, 150), "blue").save(tmp_path / "figures/accuracy.png")
    (tmp_path / "truth.parquet").touch() if simulated else None
    write_site(tmp_path, {}, address="https://example.org/selfies/")
    told = page_of(tmp_path, "index").find("meta", property="og:image")["content"]
    assert told == "https://example.org/selfies/preview.jpg"
    with Image.open(tmp_path / "reports/preview.jpg") as preview:
        colours = np.asarray(preview.convert("RGB"), dtype=int).reshape(-1, 3)
    shown_colours = [(np.abs(colours - colour).max(1) < 30).any() for colour in ((254, 0, 0), (0, 0, 254))]
    assert preview.size == (1200, 630) and shown_colours == [simulated, not simulated]


def test_a_sheet_that_is_smaller_than_a_card_is_not_enlarged(tmp_path):
    write_executed(tmp_path, "00_data", [shown({"image/jpeg": picture(100, 80, "JPEG")})])
    write_site(tmp_path, {})
    card = open_picture(Block("picture", page_of(tmp_path, "index").select_one(".cards img")["src"]))
    columns = np.flatnonzero(np.asarray(card, dtype=int).std(axis=(0, 2)) > 15)
    assert card.size == (560, 350) and 90 <= np.ptp(columns) <= 110


def test_without_a_picture_no_preview_is_promised(tmp_path):
    write_executed(tmp_path, "00_data", [])
    write_site(tmp_path, {})
    assert not page_of(tmp_path, "index").find("meta", property="og:image")
    assert not (tmp_path / "reports/preview.jpg").exists()


def test_sections_are_listed_where_there_are_three_and_lead_to_their_headings(tmp_path):
    texts = [shown({"text/markdown": f"## {n}. About <b> & co\n\nWords."}) for n in (1, 2, 3)]
    write_executed(tmp_path, "00_data", texts)
    write_executed(tmp_path, "01_train", texts[:2])
    write_site(tmp_path, {})
    page = page_of(tmp_path)
    links = page.select(".contents a")
    assert [a.get_text() for a in links] == [f"{n}. About <b> & co" for n in (1, 2, 3)]
    assert [page.find(id=a["href"][1:]).get_text() for a in links] == [a.get_text() for a in links]
    assert not page_of(tmp_path, "01_train").select(".contents")


def simulate(run, card: str | None):
    """Let a run be one of simulated posts, whose data folder has a card or none."""
    (run / "data").mkdir()
    (run / "truth.parquet").touch()
    (run / "data.json").write_text(json.dumps({"posts": str(run / "data/posts.parquet")}))
    if card is not None:
        (run / "data" / "README.md").write_text(card)
        Image.new("RGB", (40, 20), "red").save(run / "data" / "sheet.jpg")


@pytest.mark.parametrize("card", [None, "# All made up\n\n![Tiles](sheet.jpg) ![web](https://a.b/c.jpg)"])
def test_simulated_posts_are_called_so_on_every_page_with_their_data_card(tmp_path, card):
    write_executed(tmp_path, "00_data", [])
    simulate(tmp_path, card)
    write_site(tmp_path, {})
    for name in ("00_data", "index"):
        told = page_of(tmp_path, name).select_one("main .simulated")
        assert "nobody in these photos exists" in told.get_text()
        links = [a["href"] for a in told.select("a")]
        assert links == [
            *(["data_card.html"] if card else []),
            "https://karpathy.github.io/2015/10/25/selfie/",
        ]
    assert (tmp_path / "reports/data_card.html").exists() == bool(card)
    if card:
        pictures = page_of(tmp_path, "data_card").select("img")
        assert pictures[0]["alt"] == "Tiles" and pictures[0]["src"].startswith("data:image/jpeg")
        assert not any(img.get("src", "").startswith("http") for img in pictures)


def test_of_real_posts_no_page_says_that_they_are_simulated(tmp_path):
    write_executed(tmp_path, "00_data", [])
    simulate(tmp_path, "# Mine")
    (tmp_path / "truth.parquet").unlink()
    write_site(tmp_path, {})
    assert not any(page_of(tmp_path, name).select(".simulated") for name in ("00_data", "index"))
    assert not (tmp_path / "reports/data_card.html").exists()
    assert page_of(tmp_path, "index").footer.a["href"].startswith("https://karpathy.github.io")


def test_every_page_says_where_a_network_from_elsewhere_was_taught(tmp_path):
    write_executed(tmp_path, "00_data", [])
    (tmp_path / "transfer.json").write_text(json.dumps({"told": "Taught in <b> & co: 93% lie outside."}))
    write_site(tmp_path, {})
    for name in ("00_data", "index"):
        (line,) = page_of(tmp_path, name).select("main .transferred")
        assert line.get_text() == "Taught in <b> & co: 93% lie outside."


@pytest.mark.parametrize("content", [None, "", "[1]", "{}", '{"told": null}', '{"told": ""}', '{"told": 3}'])
def test_of_a_network_that_was_taught_here_no_page_says_so(tmp_path, content):
    write_executed(tmp_path, "00_data", [])
    if content is not None:
        (tmp_path / "transfer.json").write_text(content)
    write_site(tmp_path, {})
    assert not any(page_of(tmp_path, name).select(".transferred") for name in ("00_data", "index"))


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


def film(kind: str, colours: tuple[str, ...] = ("black", "grey", "white")) -> str:
    """An animation of plain frames, 30 x 20 px, as base64."""
    first, *others = [Image.new("RGB", (30, 20), colour) for colour in colours]
    out = io.BytesIO()
    first.save(out, format=kind, save_all=True, append_images=others, duration=100)
    return base64.b64encode(out.getvalue()).decode()


@pytest.mark.parametrize("kind", ["WEBP", "GIF"])
def test_an_animation_is_embedded_with_its_last_frame_for_print(tmp_path, kind):
    mime, moving = f"image/{kind.lower()}", film(kind)
    metadata = {mime: {"alt": "a film", "width": 30}}
    path = write_executed(tmp_path, "00_data", [shown({mime: moving}, metadata)])
    write_site(tmp_path, {})
    moves, still = page_of(tmp_path).main.figure.find_all("img")
    assert (moves["class"], moves["src"]) == (["moves"], f"data:{mime};base64,{moving}")
    assert (still["class"], still["alt"], still["width"]) == (["still"], "a film", "30")
    (block,) = read_page(path).pictures
    assert open_picture(replace(block, content=still["src"])).getpixel((9, 9)) == (255, 255, 255)
    assert open_picture(block).getpixel((9, 9)) == (255, 255, 255)  # where only one frame can be shown
    assert shrink(block, 15).still == "" and open_picture(shrink(block, 15)).size == (15, 10)


def test_a_webp_that_does_not_move_or_cannot_be_read_comes_alone(tmp_path):
    broken = base64.b64encode(b"RIFF____WEBP").decode()
    outputs = [shown({"image/webp": film("WEBP", ("white",))}), shown({"image/webp": broken})]
    path = write_executed(tmp_path, "00_data", outputs)
    assert [block.still for block in read_page(path).pictures] == ["", ""]


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


def test_numbers_are_set_to_the_right_also_where_a_row_is_shorter():
    rows = "<tr><th>a</th><th>b</th></tr><tr><td>7</td></tr><tr><td>x</td><td>8</td></tr>"
    table = BeautifulSoup(safe_html(f"<table>{rows}</table>"), "html.parser")
    assert [c.get_text() for c in table.select(".number")] == ["b", "7", "8"]
    rows = "<tr><td>1</td><td>7</td></tr><tr><td>8</td></tr><tr><td>2</td><td>9</td></tr>"
    table = BeautifulSoup(safe_html(f"<table>{rows}</table>"), "html.parser")
    assert [c.get_text() for c in table.select(".number")] == ["1", "7", "8", "2", "9"]


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
    assert figures({"is_planted": False, "is_real": True, "share_low": 0.5, "n": 999}) == [
        ("is planted", "False", ""),
        ("is real", "True", ""),
        ("share low", "0.500", ""),  # the end of no interval
        ("n", "999", ""),
    ]


def test_of_headlines_the_first_six_that_are_there_are_shown():
    metrics = {
        "00_data": {"labelled": 5400, "labels_right": 0.7},
        "01_train": {"test_accuracy": 0.6, "test_auc": 0.7, "oracle_auc": 0.8, "share_of_oracle": "unknown"},
        "02_continuum": {"good_in_best_band": 0.9},
        "04_worst_300": {"bad": 0.8},
    }
    values = ["60.0%", "0.700", "70.0%", "90%", "80%", "5,400"]
    assert [told["value"] for told in headlines(metrics)] == values
    assert headlines(metrics)[1]["beside"] == "chance is 0.5, the oracle gets 0.800"
    assert headlines(metrics)[0]["beside"] == "chance is 50%, the article got 60%"
    metrics["01_train"]["share_of_oracle"] = 0.5
    assert [told["value"] for told in headlines(metrics)] == ["60.0%", "0.700", "50%", "70.0%", "90%", "80%"]


def test_the_index_shows_strips_of_the_continuum_and_facts_of_the_run(tmp_path):
    write_executed(tmp_path, "02_continuum", [shown({"image/jpeg": picture(240, 400, "JPEG")})])
    entry = {"seconds": 125.0, "finished": "2026-01-02T03:04:05+00:00", "status": "done"}
    facts = {"kernel": "python3", "cores": 2, "versions": {"python": "3.11"}}
    write_site(tmp_path, {"facts": facts, "notebooks": {"02_continuum": entry}})
    index = page_of(tmp_path, "index")
    assert [c.get_text() for c in index.select(".hero figcaption")] == ["ranked highest", "ranked lowest"]
    told = index.select_one(".facts").get_text()
    assert all(part in told for part in ("2026-01-02 03:04", "2 min 5 s", "python 3.11", "2 cores", "7"))


DURATIONS = {
    3.21: "3.2 s", 9.94: "9.9 s", 10: "10 s", 59.4: "59 s", 59.7: "1 min 0 s", 125: "2 min 5 s",
    3599.4: "59 min 59 s", 3600: "1 h 0 min", 3725: "1 h 2 min", 7322: "2 h 2 min",
}  # fmt: skip


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
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


def blocks_of(tmp_path, outputs: list, code: str = "x") -> list[Block]:
    """The blocks that the outputs of a cell become."""
    _, *blocks = read_page(write_executed(tmp_path, "00_data", outputs, code=code)).blocks
    return [block for block in blocks if block.kind != "code"]


def test_of_the_forms_of_an_output_the_best_is_shown(tmp_path):
    png = picture(2, 2)
    forms = {"image/png": png, "text/html": "<b>h</b>", "text/markdown": "m", "text/plain": "p"}
    kinds = []
    for dropped in (None, *forms):
        forms.pop(dropped, None)
        kinds.append([(block.kind, block.content) for block in blocks_of(tmp_path, [shown(forms)])])
    assert kinds == [
        [("picture", f"data:image/png;base64,{png}")],
        [("table", "<b>h</b>")],
        [("prose", "<p>m</p>\n")],
        [("text", "p")],
        [],
    ]
    slider = {"application/vnd.jupyter.widget-view+json": "{}", "text/html": "h", "text/plain": "p"}
    assert blocks_of(tmp_path, [shown(slider)]) == []
    assert blocks_of(tmp_path, [shown({"text/plain": "gone"})], code=" \n") == []  # an empty cell


def test_the_width_of_a_picture_is_a_whole_number_of_pixels_or_none(tmp_path):
    for told, width in ((300, 300), ("40", 40), ("²", 0), ("50%", 0), (-3, 0), (None, 0)):
        metadata = {"image/png": {"width": told}}
        (block,) = blocks_of(tmp_path, [shown({"image/png": picture(2, 2)}, metadata)])
        assert (block.width, block.alt) == (width, "")


def test_of_a_progress_bar_the_last_state_is_kept_without_colours(tmp_path):
    text = "\r10%\r\x1b[32m100%\x1b[0m \r\n\nsaved\r\n"
    (block,) = blocks_of(
        tmp_path, [{"output_type": "stream", "name": "stderr", "text": [text[:9], text[9:]]}]
    )
    assert (block.kind, block.content) == ("log", "100%\nsaved")


@pytest.mark.parametrize(
    "text", ["7", "1,042", "-3.5", "−.5", "51.2%", "51.2 %", "3 s", "1e-05", "nan", "–", ""]
)
def test_a_column_of_numbers_is_set_to_the_right(text):
    table = f"<table><tr><th>a</th><th>b</th></tr><tr><td>x</td><td>{text}</td></tr></table>"
    assert 'class="number">b' in safe_html(table) and 'class="number">a' not in safe_html(table)
    mixed = table.replace("</table>", "<tr><td>y</td><td>2 of 3</td></tr></table>")
    assert "number" not in safe_html(mixed)


def test_a_lead_takes_sentences_until_it_has_60_characters(tmp_path):
    for length, told in ((59, "Next one."), (60, "")):
        path = write_executed(tmp_path, "00_data", [])
        first = "x" * (length - 1) + "."
        content = json.loads(path.read_text())
        content["cells"][0]["source"] = f"# T\n\n{first} Next one. Last."
        path.write_text(json.dumps(content))
        assert read_page(path).lead == f"{first} {told}".strip()


def test_a_picture_is_drawn_again_no_wider_than_asked_and_shown_as_wide_as_before():
    block = Block("picture", f"data:image/png;base64,{picture(100, 40)}", "alt")
    small = shrink(block, 50)
    assert (open_picture(small).size, small.width, small.alt) == ((50, 20), 100, "alt")
    assert shrink(replace(block, width=30), 50).width == 30
    assert open_picture(shrink(block, 200)).size == (100, 40)
    text = Block("text", "x")
    assert shrink(text, 50) == text


def test_what_is_transparent_becomes_white():
    out = io.BytesIO()
    Image.new("RGBA", (1, 1), (255, 0, 0, 0)).save(out, format="PNG")
    block = Block("picture", f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}")
    assert open_picture(block).getpixel((0, 0)) == (255, 255, 255)


def test_the_index_opens_with_the_first_and_the_last_three_rows_of_twelve_columns(tmp_path):
    sheet = Image.new("RGB", (12 * 21 - 1, 10 * 21 - 1), "gray")
    sheet.paste("red", (0, 0, 251, 3 * 21 - 1))
    sheet.paste("blue", (0, 7 * 21, 251, 209))
    out = io.BytesIO()
    sheet.save(out, format="PNG")
    png = base64.b64encode(out.getvalue()).decode()
    write_executed(tmp_path, "02_continuum", [shown({"image/png": png})])
    write_site(tmp_path, {})
    strips = [
        open_picture(Block("picture", i["src"])) for i in page_of(tmp_path, "index").select(".hero img")
    ]
    assert [strip.size for strip in strips] == [(251, 62), (251, 62)]
    for strip, colour in zip(strips, ((255, 0, 0), (0, 0, 255)), strict=True):
        assert np.abs(np.asarray(strip, dtype=int) - colour).max() < 30  # JPEG


def test_facts_sum_seconds_take_the_last_end_and_leave_out_what_is_unknown(tmp_path):
    pages = [read_page(write_executed(tmp_path, name, [])) for name in ("00_data", "01_train")]
    entries = {
        "00_data": {"seconds": 3600, "finished": "2026-01-02T03:04:05"},
        "01_train": {"seconds": 60, "finished": "2026-01-01T09:00:00"},
    }
    told = dict(run_facts(pages, {"notebooks": entries}, {"01_train": {"device": "cpu"}, "00_data": {}}))
    assert told == {"finished": "2026-01-02 03:04", "wall time": "1 h 1 min", "seed": "7", "device": "cpu"}


def test_a_card_shows_the_tallest_sheet_of_photos_from_its_top_never_enlarged_or_a_number(tmp_path):
    outputs = []
    for size, top, rest in (
        ((900, 30), "red", "red"),
        ((1120, 800), "blue", "white"),
        ((40, 80), "red", "red"),
    ):
        out, sheet = io.BytesIO(), Image.new("RGB", size, rest)
        sheet.paste(top, (0, 0, size[0], 350))
        sheet.save(out, format="JPEG")
        outputs.append(shown({"image/jpeg": base64.b64encode(out.getvalue()).decode()}))
    write_executed(tmp_path, "00_data", outputs)
    write_executed(tmp_path, "01_train", [])
    write_site(tmp_path, {"notebooks": {"01_train": {"error": "old news", "seconds": 1, "finished": ""}}})
    index = page_of(tmp_path, "index")
    card = open_picture(Block("picture", index.select_one(".cards img")["src"]))
    assert card.size == (560, 350)
    assert all(np.abs(np.subtract(card.getpixel(at), (0, 0, 255))).max() < 30 for at in ((0, 0), (559, 150)))
    assert np.abs(np.subtract(card.getpixel((300, 200)), 255)).max() < 30
    assert index.select_one(".blank").get_text() == "01" and "old news" not in index.get_text()


def test_a_small_sheet_stands_on_its_card_as_large_as_it_is(tmp_path):
    out = io.BytesIO()
    Image.new("RGB", (100, 48), "red").save(out, format="JPEG")
    write_executed(
        tmp_path, "04_worst_300", [shown({"image/jpeg": base64.b64encode(out.getvalue()).decode()})]
    )
    write_site(tmp_path, {})
    card = np.asarray(
        open_picture(Block("picture", page_of(tmp_path, "index").select_one(".cards img")["src"])), int
    )
    red = (card[..., 0] > 150) & (card[..., 1] < 90)
    assert (np.ptp(np.flatnonzero(red.any(0))) + 1, np.ptp(np.flatnonzero(red.any(1))) + 1) == (100, 48)


def of_figure(name, kind="image/png", **more):
    """Return the output that shows a figure by name."""
    return {
        "output_type": "display_data",
        "data": {kind: picture(8, 8), **more},
        "metadata": {kind: {"figure": name, "width": 8}},
    }


def write_cells(run, cells):
    """Write an executed notebook of cells (kind, tags, source, outputs)."""
    told = [
        {"cell_type": kind, "metadata": {"tags": tags}, "source": source}
        | ({"outputs": outputs, "execution_count": 1} if kind == "code" else {})
        for kind, tags, source, outputs in cells
    ]
    path = run / "notebooks" / "02_page.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"cells": told, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


SPOKEN = [
    ("markdown", [], "# A page\n\nAlways.", []),
    ("code", [], "draw()", [of_figure("drawn")]),
    ("markdown", ["with:drawn"], "Of what is drawn.", []),
    ("markdown", ["with:other"], "## Of what is not drawn\n\nIt falls.", []),
    ("code", ["with:truth"], "compare()", [shown({"text/plain": "Known."})]),
    ("markdown", ["with:drawn", "with:truth"], "Of both.", []),
]  # fmt: skip


def test_a_page_leaves_out_what_is_written_about_figures_that_were_not_drawn(tmp_path):
    path = write_cells(tmp_path, SPOKEN)
    told = " ".join(block.content for block in read_page(path).blocks)
    assert "Always." in told and "Of what is drawn." in told
    assert not [word for word in ("It falls.", "compare", "Known.", "Of both.") if word in told]
    assert read_page(path).sections == []
    known = " ".join(block.content for block in read_page(path, {"truth"}).blocks)
    assert "Known." in known and "Of both." in known and "It falls." not in known


@pytest.mark.parametrize(
    ("labels", "truth", "facts"),
    [
        ({"label": [1, 0], "group": [0, 0]}, True, {"truth", "labels", "likes"}),
        ({"label": [1, 0], "group": [-1, -1]}, False, {"labels"}),
        ({"label": [None, None], "group": [-1, -1]}, False, set()),
        ({"label": [1, 0]}, True, {"truth"}),
        (None, False, set()),
    ],
)
def test_what_a_run_has_is_read_from_its_tables(tmp_path, labels, truth, facts):
    if labels:
        pd.DataFrame(labels).to_parquet(tmp_path / "labels.parquet")
    if truth:
        (tmp_path / "truth.parquet").touch()
    assert facts_of(tmp_path) == facts


def test_a_chart_has_a_variant_for_narrow_screens_and_none_where_it_is_damaged(tmp_path):
    narrow = picture(20, 10)
    write_cells(
        tmp_path,
        [
            (
                "code",
                [],
                "draw()",
                [of_figure("a", **{display.NARROW: narrow}), of_figure("b", **{display.NARROW: "bad"})],
            )
        ],
    )
    write_site(tmp_path, {})
    page = page_of(tmp_path, "02_page")
    (source,) = page.select("figure picture source")
    assert source["srcset"] == f"data:image/png;base64,{narrow}" and source["width"] == "10"
    assert source["media"] == "screen and (max-width: 40rem)"
    assert len(page.select("figure img")) == 2


def test_a_headline_of_nothing_is_left_out():
    assert headlines({"00_data": {"labelled": 0}}) == [] and headlines({"00_data": {"labelled": 7}})


def test_progress_bars_of_stdout_are_a_log_and_what_is_printed_stays(tmp_path):
    begun, ended = "faces:   0%|  | 0/9 [00:00<?, ?photo/s]", "faces: 100%|##| 9/9 [00:01<00:00, 8photo/s]"
    text = f"hello\n\r{begun}\r{ended}\nbye 5/9\n"
    path = write_executed(tmp_path, "00_data", [{"output_type": "stream", "name": "stdout", "text": text}])
    found = [(block.kind, block.content) for block in read_page(path).blocks if block.kind in ("log", "text")]
    assert found == [("text", "hello"), ("log", ended), ("text", "bye 5/9")]
