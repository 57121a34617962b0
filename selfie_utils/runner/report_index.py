"""The first page of a report: the story in the article's order, headlines, and how the run went."""

import datetime
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont, ImageOps

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.runner.findings import SECTIONS, find
from selfie_utils.runner.report_page import Block, Page, as_uri, open_picture
from selfie_utils.runner.story import DARK, best_and_worst
from selfie_utils.show.sheets import GUTTER_COLOUR

TILE = (560, 350)  # px; the picture of a notebook on the index
PREVIEW = "preview.jpg"  # what other sites show where somebody links to the report
PREVIEW_SIZE = (1200, 630)  # px, as these sites ask for
TITLE = "What a deep neural network\nthinks about your #selfie"


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
    Headline("02_continuum", "good_in_best_band", "of the best part are good", "{:.0%}", "chance is 50%"),
    Headline("04_worst_300", "bad", "of the worst on the sheet are bad", "{:.0%}", "chance is 50%"),
    Headline("00_data", "labelled", "selfies labelled good or bad", "{:,.0f}", ""),
)  # fmt: skip


def index_content(run: Path, pages: list[Page], state: dict[str, Any], due: Sequence[str]) -> dict[str, Any]:
    """Gather what index.html shows; `due` are the notebooks that still have to run, the running one first."""
    metrics = _read_metrics(run)
    simulated = (run / "truth.parquet").exists()
    return {
        "hero": _hero(pages, metrics),
        "headlines": headlines(metrics),
        "cards": [_card(run, page, state, metrics, simulated) for page in in_order_of_the_article(pages)],
        "facts": run_facts(pages, state, metrics),
        "figures": [(name, figures(values)) for name, values in sorted(metrics.items())],
        "due": list(due),
        "written": datetime.datetime.now().strftime("%H:%M:%S"),
    }


def in_order_of_the_article(pages: list[Page]) -> list[Page]:
    """Sort pages as the article tells its story; those that it does not know come last, as they are."""
    told = [section.notebook for section in SECTIONS]
    return sorted(pages, key=lambda page: told.index(page.name) if page.name in told else len(told))


def answers(page: Page, metrics: dict[str, dict], simulated: bool) -> list[tuple[str, str]]:
    """Return the questions that a notebook answers, each with the answer of this run in one sentence."""
    if page.failed or page.name not in metrics:
        return []
    own = [section for section in SECTIONS if section.notebook == page.name]
    found = [(section.question, find(section, metrics[page.name], simulated)) for section in own]
    return [(question, sentences[0]) for question, sentences in found if sentences]


def _read_metrics(run: Path) -> dict[str, dict]:
    with suppress(SelfieError):  # damaged: the notebooks that still run write them anew
        return RunFolder(run).read_metrics()
    return {}


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


def _card(
    run: Path, page: Page, state: dict[str, Any], metrics: dict[str, dict], simulated: bool
) -> dict[str, Any]:
    """Gather what the card of one notebook shows."""
    return {
        "page": page,
        "answers": answers(page, metrics, simulated),
        "thumbnail": _thumbnail(page.pictures),
        "seconds": state.get("notebooks", {}).get(page.name, {}).get("seconds"),
        "error": error_of(page, state),
        "own_pages": own_pages(run, page),
    }


def error_of(page: Page, state: dict[str, Any]) -> str:
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
    if sheet.width >= TILE[0] and sheet.height >= TILE[1]:
        return ImageOps.fit(sheet, TILE, centering=(0, 0))
    card = Image.new("RGB", TILE, GUTTER_COLOUR)
    sheet = sheet.crop((0, 0, min(sheet.width, TILE[0]), min(sheet.height, TILE[1])))
    card.paste(sheet, ((TILE[0] - sheet.width) // 2, (TILE[1] - sheet.height) // 2))
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
    return [{"caption": caption, "uri": as_uri(widest(strip, 1240))} for caption, strip in strips]


def widest(image: Image.Image, width: int) -> Image.Image:
    """Return a picture that is at most `width` px wide."""
    image.thumbnail((width, image.height))
    return image


def picture_of_preview(run: Path) -> Path | None:
    """Return the figure that a preview shows: of simulated people the continuum, of real ones a chart."""
    name = "continuum.jpg" if (run / "truth.parquet").exists() else "accuracy.png"
    path = run / "figures" / name
    return path if path.exists() else None


def draw_preview(run: Path) -> Image.Image:
    """Draw the picture that other sites show of a report: its title over best and worst, or a chart."""
    path = picture_of_preview(run)
    assert path, "asked for only where there is one"
    with Image.open(path) as opened:
        picture = opened.convert("RGB")
    picture = (best_and_worst(picture) if path.suffix == ".jpg" else None) or picture
    card = Image.new("RGB", PREVIEW_SIZE, DARK)
    ImageDraw.Draw(card).multiline_text((48, 44), TITLE, font=ImageFont.load_default(52), fill="white")
    room = (PREVIEW_SIZE[0], PREVIEW_SIZE[1] - 220)
    shown = ImageOps.contain(picture, room)
    card.paste(shown, ((room[0] - shown.width) // 2, 200 + (room[1] - shown.height) // 2))
    return card


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


def own_pages(run: Path, page: Page) -> dict[str, str]:
    """Return pages that a notebook has written into the report itself, such as map.html: name and title."""
    paths = [run / name for name in page.artefacts.writes if re.fullmatch(r"reports/[\w-]+\.html", name)]
    return {path.name: _title(path) for path in paths if path.exists()}


def _title(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        told = re.search(r"<title>(.*?)( · .*)?</title>", file.read(5000))
    return unescape(told[1]) if told else path.stem


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
