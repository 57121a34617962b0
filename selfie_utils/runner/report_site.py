"""Write the report site of a run folder: a page per notebook and an index, which work without the web."""

import base64
import hashlib
import json
import re
from dataclasses import dataclass, replace
from html import unescape
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image, ImageOps

from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import LIBRARY
from selfie_utils.runner.report_page import (
    AT_NIGHT,
    COLOURS,
    Block,
    Page,
    as_uri,
    markdown,
    open_picture,
    read_page,
    shrink,
    without_thumbnails,
)
from selfie_utils.show.sheets import GUTTER_COLOUR

TEMPLATES = Path(__file__).parent / "templates"
INSPECTOR = LIBRARY / "show" / "inspector.js"  # which opens the photos of a sheet, as in a live notebook
LARGEST_PAGE = 6_000_000  # bytes
CARD = "data_card"  # name of the page
TILE = (560, 350)  # px; the picture of a notebook on the index
WIDTHS = (2000, 1400, 1000, 600)  # px; pictures of a page that is too large are drawn again, ever smaller


@dataclass(frozen=True)
class Headline:
    """A figure that index.html starts with, if the run has it."""

    notebook: str
    key: str
    label: str
    form: str
    beside: str  # what to compare with
    oracle: str = ""  # metric of the one who knows the truth, to compare with


HEADLINES = (
    Headline(
        "01_train", "test_accuracy", "of test selfies told right", "{:.1%}",
        "chance is 50%, the article got 60%", "oracle_accuracy",
    ),
    Headline("01_train", "test_auc", "area under the ROC curve", "{:.3f}", "chance is 0.5", "oracle_auc"),
    Headline("01_train", "share_of_oracle", "of the way from chance to the oracle, by AUC", "{:.0%}", ""),
    Headline("00_data", "labels_right", "of labels agree with the planted truth", "{:.1%}", "chance is 50%"),
    Headline("02_continuum", "good_in_best_band", "of the best-ranked are good", "{:.0%}", "chance is 50%"),
    Headline("04_worst_300", "bad", "of the worst-ranked are bad", "{:.0%}", "chance is 50%"),
    Headline("00_data", "labelled", "selfies labelled good or bad", "{:,.0f}", ""),
)  # fmt: skip


def write_site(run: Path, state: dict[str, Any]) -> Path:
    """Write reports/*.html for every notebook that has run, and return the path of index.html.

    `state` is the runner's record: facts of the run, status and seconds of each notebook. Pages of
    notebooks that are no longer there are removed.
    """
    facts = facts_of(run)
    pages = [read_page(path, facts) for path in executed_notebooks(run)]
    reports, card = run / "reports", data_card(run)
    environment = _environment()
    environment.globals |= {"simulated": (run / "truth.parquet").exists(), "has_card": card is not None}
    environment.globals["transferred"] = told_of_transfer(run)
    for place, page in enumerate(pages):
        around = {
            "before": pages[place - 1] if place else None,
            "after": pages[place + 1] if place + 1 < len(pages) else None,
            "made_from": made_from(page, pages),
            "files": files_of(page, state),
            "own_pages": own_pages(run, page),
            "error": _error(page, state),
        }
        template = environment.get_template("page.html.j2")
        _write(reports / f"{page.name}.html", _small_enough(template, page, around))
    index = environment.get_template("index.html.j2").render(_index_content(run, pages, state))
    _write(reports / "index.html", index)
    if card is not None:
        _write(reports / f"{CARD}.html", environment.get_template("card.html.j2").render(card=card))
    names = {f"{name}.html" for name in [*_names(pages), *([CARD] if card is not None else [])]}
    names |= {name for page in pages for name in own_pages(run, page)}
    for stale in set(reports.glob("*.html")) - {reports / name for name in names}:
        stale.unlink()
    return reports / "index.html"


def facts_of(run: Path) -> set[str]:
    """Return what a run has besides photos, as tags of cells name it: truth, labels and likes.

    Likes count where labels were made from them. Where a table is missing or damaged, nothing is known.
    """
    facts = {"truth"} if (run / "truth.parquet").exists() else set()
    try:
        labels = pd.read_parquet(run / "labels.parquet", columns=["label", "group"])
    except (OSError, ValueError, KeyError):
        return facts
    facts |= {"labels"} if labels["label"].notna().any() else set()
    return facts | ({"likes"} if (labels["group"] >= 0).any() else set())


def data_card(run: Path) -> str | None:
    """Return the data card of a simulated run as HTML, with its pictures; None where there is none."""
    try:
        data = Path(json.loads((run / "data.json").read_text(encoding="utf-8"))["posts"]).parent
        text = (data / "README.md").read_text(encoding="utf-8")
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not (run / "truth.parquet").exists():
        return None
    names = set(re.findall(r"!\[[^\]]*\]\((\w+\.(?:jpg|png))\)", text))
    for name in names:
        if (data / name).exists():
            with Image.open(data / name) as picture:
                text = text.replace(f"]({name})", f"]({as_uri(_widest(picture.convert('RGB'), 1400))})")
    return markdown(text)


def told_of_transfer(run: Path) -> str:
    """Return the line that 01_train has left where the network was taught elsewhere, else nothing."""
    try:
        told = json.loads((run / "transfer.json").read_text(encoding="utf-8"))["told"]
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    return told if isinstance(told, str) else ""


def files_of(page: Page, state: dict[str, Any]) -> list[str]:
    """List the figures and tables that a notebook left in the run folder, as the runner noted them."""
    outputs = state.get("notebooks", {}).get(page.name, {}).get("outputs", [])
    return [name for name in outputs if name.startswith("figures/") or name.endswith((".parquet", ".csv"))]


def own_pages(run: Path, page: Page) -> dict[str, str]:
    """Return pages that a notebook has written into the report itself, such as map.html: name and title."""
    paths = [run / name for name in page.artefacts.writes if re.fullmatch(r"reports/[\w-]+\.html", name)]
    return {path.name: _title(path) for path in paths if path.exists()}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        told = re.search(r"<title>(.*?)( · .*)?</title>", file.read(5000))
    return unescape(told[1]) if told else path.stem


def made_from(page: Page, pages: list[Page]) -> list[tuple[str, str]]:
    """Return what a notebook reads of the run, each with the page of its maker, empty where there is none."""
    makers = {name: other.name for other in pages for name in other.artefacts.writes if other != page}
    return [(name, makers.get(name, "")) for name in page.artefacts.reads]


def executed_notebooks(run: Path) -> list[Path]:
    """List the executed notebooks of a run folder in order, failed ones among them."""
    return sorted((run / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def _names(pages: list[Page]) -> list[str]:
    return [page.name for page in pages] + ["index"]


def _write(path: Path, html: str) -> None:
    with written_whole(path) as partial:
        partial.write_text(html, encoding="utf-8")


def _environment() -> Environment:
    """Set up jinja2: everything is escaped, and a misspelt name in a template is an error."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    scripts = (INSPECTOR, TEMPLATES / "script.js")
    script = "\n".join(path.read_text(encoding="utf-8") for path in scripts).strip()
    styles = (TEMPLATES / "style.css", INSPECTOR.with_suffix(".css"))
    style = "\n".join(path.read_text(encoding="utf-8") for path in styles)
    environment.globals |= {
        "script": script,
        # The page's policy lets this one script run and none that slipped in with the data.
        "script_hash": base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        "style": style + COLOURS.get_style_defs(".code") + _at_night(AT_NIGHT.get_style_defs(".code")),
    }
    environment.filters |= {"duration": duration, "number": name_number}
    return environment


def _at_night(style: str) -> str:
    return "\n@media screen and (prefers-color-scheme: dark) {\n" + style + "\n}"


def duration(seconds: float) -> str:
    """Write a duration as people say it: 7 s, 2 min 10 s, 3 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def name_number(name: str) -> str:
    """Return the number that a notebook's name starts with."""
    return name.partition("_")[0]


def _small_enough(template: Any, page: Page, around: dict) -> str:
    """Render a page; where it is too large, with smaller pictures."""
    html = template.render(page=page, **around)
    for widest in WIDTHS:
        if len(html.encode()) < LARGEST_PAGE:
            break
        page = replace(page, blocks=[shrink(block, widest) for block in page.blocks])
        html = template.render(page=page, **around)
    if len(html.encode()) >= LARGEST_PAGE:
        bare = replace(page, blocks=[without_thumbnails(block) for block in page.blocks])
        html = template.render(page=bare, **around)
    return html


def _index_content(run: Path, pages: list[Page], state: dict[str, Any]) -> dict[str, Any]:
    """Gather what index.html shows."""
    metrics = _read_metrics(run)
    return {
        "hero": _hero(pages, metrics),
        "headlines": headlines(metrics),
        "cards": [_card(page, state) | {"own_pages": own_pages(run, page)} for page in pages],
        "facts": run_facts(pages, state, metrics),
        "figures": [(name, figures(values)) for name, values in sorted(metrics.items())],
    }


def _read_metrics(run: Path) -> dict[str, dict]:
    path = run / "metrics.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def headlines(metrics: dict[str, dict], most: int = 6) -> list[dict[str, str]]:
    """Return the known figures of a run that are there: value, interval, label and what to compare with."""
    found = []
    for headline in HEADLINES:
        values = metrics.get(headline.notebook, {})
        if values.get(headline.key) and isinstance(values[headline.key], int | float):
            value = headline.form.format(values[headline.key])
            interval = _interval(values, headline.key, headline.form)
            told = {"label": headline.label, "value": value, "interval": interval}
            found.append(told | {"beside": _beside(headline, values)})
    return found[:most]


def _beside(headline: Headline, values: dict) -> str:
    """Fill in what stands beside a figure: chance, and the oracle where the truth is known."""
    oracle = values.get(headline.oracle)
    known = isinstance(oracle, int | float)
    return headline.beside + (f", the oracle gets {headline.form.format(oracle)}" if known else "")


def _interval(values: dict, key: str, form: str) -> str:
    """Write the 95% interval that stands beside a metric as KEY_low and KEY_high, if it does."""
    ends = [values.get(f"{key}_{end}") for end in ("low", "high")]
    return " to ".join(form.format(e) for e in ends) if all(isinstance(e, int | float) for e in ends) else ""


def figures(values: dict) -> list[tuple[str, str, str]]:
    """Return every metric of a notebook as label, value and interval, for the table of all figures."""
    rows = []
    for key, value in values.items():
        if key.endswith(("_low", "_high")) and key.rpartition("_")[0] in values:
            continue
        form = "{:,}" if isinstance(value, int) else "{:.3f}"
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        text = form.format(value) if is_number else str(value)
        rows.append((key.replace("_", " "), text, _interval(values, key, form)))
    return rows


def _card(page: Page, state: dict[str, Any]) -> dict[str, Any]:
    """Gather what the card of one notebook shows."""
    return {
        "page": page,
        "thumbnail": _thumbnail(page.pictures),
        "seconds": state.get("notebooks", {}).get(page.name, {}).get("seconds"),
        "error": _error(page, state),
    }


def _error(page: Page, state: dict[str, Any]) -> str:
    """Return the error of a failed notebook in one line, as the runner kept it."""
    return state.get("notebooks", {}).get(page.name, {}).get("error", "") if page.failed else ""


def _thumbnail(pictures: list[Block]) -> str:
    """Draw the picture of a card: of the tallest sheet of photos, or else of the first chart."""
    sheets = [open_picture(block) for block in pictures if block.content.startswith("data:image/jpeg")]
    if sheets:
        return as_uri(_fill_tile(max(sheets, key=lambda s: s.height)), 78)
    if not pictures:
        return ""
    width, height = TILE
    chart = ImageOps.pad(open_picture(pictures[0]), (width - 40, height - 40), color="white")
    return as_uri(ImageOps.expand(chart, 20, "white"), 85)


def _fill_tile(sheet: Image.Image) -> Image.Image:
    """Fill the picture of a card with the top of a sheet, which is never enlarged: some photos are small."""
    shrunk = (
        sheet.resize((TILE[0], round(sheet.height * TILE[0] / sheet.width)))
        if sheet.width > TILE[0]
        else sheet
    )
    card = Image.new("RGB", TILE, GUTTER_COLOUR)
    card.paste(
        shrunk,
        ((TILE[0] - shrunk.width) // 2, 0 if shrunk.height > TILE[1] else (TILE[1] - shrunk.height) // 2),
    )
    return card


def _hero(pages: list[Page], metrics: dict[str, dict]) -> list[dict[str, str]]:
    """Cut the best and the worst rows out of the continuum."""
    found = [page for page in pages if page.name == "02_continuum" and page.pictures]
    if not found:
        return []
    image = open_picture(found[0].pictures[0])
    # Of few posts the sheet has fewer columns than were asked for; 12 is the article's.
    columns = metrics.get(found[0].name, {}).get("columns") or found[0].parameters.get("columns", 12)
    tile = (image.width + 1) // columns  # with the gutter beside it
    band = min(max(1, round(columns / 4)) * tile - 1, image.height // 2)
    best, worst = (image.crop((0, top, image.width, top + band)) for top in (0, image.height - band))
    strips = (("ranked highest", best), ("ranked lowest", worst))
    return [{"caption": caption, "uri": as_uri(_widest(strip, 1240))} for caption, strip in strips]


def _widest(image: Image.Image, width: int) -> Image.Image:
    """Return a picture that is at most `width` px wide."""
    image.thumbnail((width, image.height))
    return image


def run_facts(pages: list[Page], state: dict[str, Any], metrics: dict[str, dict]) -> list[tuple[str, str]]:
    """Say when, where and on what the notebooks ran."""
    facts, entries = state.get("facts", {}), state.get("notebooks", {}).values()
    versions = facts.get("versions", {})
    seeds = {str(p.parameters["seed"]) for p in pages if "seed" in p.parameters}
    devices = {str(found["device"]) for found in metrics.values() if "device" in found}
    rows = [
        ("finished", max((e["finished"].replace("T", " ")[:16] for e in entries), default="")),
        ("wall time", duration(sum(e.get("seconds", 0) for e in entries))),
        ("seed", ", ".join(sorted(seeds))),
        ("device", ", ".join(sorted(devices))),
        ("processor", f"{facts['cores']} cores" if "cores" in facts else ""),
        ("kernel", facts.get("kernel", "")),
        ("versions", ", ".join(f"{name} {number}" for name, number in versions.items())),
    ]
    return [(topic, value) for topic, value in rows if value]
