"""Write the report site of a run folder: a page per notebook and an index, which work without the web."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd
import pyarrow.parquet as parquet
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import LIBRARY, RunFolder
from selfie_utils.runner.report_index import (
    PREVIEW,
    draw_preview,
    duration,
    error_of,
    index_content,
    name_number,
    own_pages,
    picture_of_preview,
    widest,
)
from selfie_utils.runner.report_page import (
    AT_NIGHT,
    COLOURS,
    Block,
    Page,
    as_uri,
    markdown,
    read_page,
    shrink,
    without_thumbnails,
)

TEMPLATES = Path(__file__).parent / "templates"
INSPECTOR = LIBRARY / "show" / "inspector.js"  # which opens the photos of a sheet, as in a live notebook
LARGEST_PAGE = 6_000_000  # bytes
LARGEST_FILE = 15_000_000  # bytes; of a whole report in one file, which mail still takes
LEADS_BESIDE = re.compile(r'<a [^>]*?href="(?!#|https?:)[^"]*"[^>]*>(.*?)</a>', re.DOTALL)  # not in one file
CARD = "data_card"  # name of the page
TABLES = "tables"  # folder of the run, for CSV
MOST_ROWS = 100_000  # of a table that is written as CSV
ASKED_THEN = "Then it was asked about selfies that it had never seen."
DESCRIPTIONS = {  # by what a run has: see `facts_of`
    "likes": "A network was shown selfies that were liked more, and selfies that were liked less, than "
    f"others that about as many people saw. {ASKED_THEN}",
    "labels": f"A network was shown selfies labelled good, and selfies labelled bad. {ASKED_THEN}",
    "": "A network that had learned elsewhere which selfies are liked was asked about others.",
}
WIDTHS = (2000, 1400, 1000, 600)  # px; pictures of a page that is too large are drawn again, ever smaller


def write_site(run: Path, state: dict[str, Any], due: Sequence[str] = (), address: str = "") -> Path:
    """Write reports/*.html for every notebook that has run, and return the path of index.html.

    `state` is the runner's record: facts of the run, status and seconds of each notebook. `due` are the
    notebooks that still have to run, the running one first. `address` is where the report will be on the web:
    sites that preview links need the whole address of a picture. Pages of notebooks that are no longer there
    are removed.
    """
    write_tables(run)
    pages, reports, environment = read_pages(run), run / "reports", environment_of(run, address)
    for page in pages:
        around = _around(run, pages, page, state)
        _write(reports / f"{page.name}.html", _small_enough(environment, page, around))
    content = index_content(run, pages, state, due)
    _write(reports / "index.html", environment.get_template("index.html.j2").render(content))
    if environment.globals["card"]:
        _write(reports / f"{CARD}.html", environment.get_template("card.html.j2").render())
    if environment.globals["preview"]:
        with written_whole(reports / PREVIEW) as partial:
            draw_preview(run).save(partial, format="JPEG", quality=85)
    names = {f"{name}.html" for name in [*(page.name for page in pages), "index", CARD]}
    names -= set() if environment.globals["card"] else {f"{CARD}.html"}
    names |= {name for page in pages for name in own_pages(run, page)}
    for stale in set(reports.glob("*.html")) - {reports / name for name in names}:
        stale.unlink()
    return reports / "index.html"


def read_pages(run: Path) -> list[Page]:
    """Read the executed notebooks of a run; those that have not changed are not read again."""
    facts = frozenset(facts_of(run))
    return [_read_once(path, freshness_of(path), facts) for path in executed_notebooks(run)]


def freshness_of(path: Path) -> tuple[int, int]:
    """Return what changes with a file: its date in ns and its size in bytes."""
    return path.stat().st_mtime_ns, path.stat().st_size


@lru_cache(64)
def _read_once(path: Path, changed: tuple[int, int], facts: frozenset[str]) -> Page:
    return read_page(path, facts)


def _around(run: Path, pages: list[Page], page: Page, state: dict[str, Any]) -> dict[str, Any]:
    """Gather what stands around the content of a page."""
    place = pages.index(page)
    return {
        "before": pages[place - 1] if place else None,
        "after": pages[place + 1] if place + 1 < len(pages) else None,
        "parameters": page.parameters,
        "made_from": made_from(run, page, pages),
        "files": files_of(run, page, state),
        "error": error_of(page, state),
    }


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


def description_of(run: Path) -> str:
    """Return how a report begins, by what its labels were made from; before there are any, as the article."""
    facts = facts_of(run) if (run / "labels.parquet").exists() else {"likes"}
    return DESCRIPTIONS[next((fact for fact in ("likes", "labels") if fact in facts), "")]


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
                text = text.replace(f"]({name})", f"]({as_uri(widest(picture.convert('RGB'), 1400))})")
    return markdown(text)


def files_of(run: Path, page: Page, state: dict[str, Any]) -> list[str]:
    """List the figures and tables that a notebook left in the run folder; tables as CSV too."""
    outputs = state.get("notebooks", {}).get(page.name, {}).get("outputs", [])
    files = [name for name in outputs if name.startswith("figures/") or name.endswith((".parquet", ".csv"))]
    tables = [f"{TABLES}/{Path(name).stem}.csv" for name in files if name.endswith(".parquet")]
    return files + [name for name in tables if (run / name).exists()]


def write_tables(run: Path) -> None:
    """Write tables of the run as CSV, for spreadsheets: those of MOST_ROWS at most that have changed.

    A table that is damaged, or does not fit on the disk, is left out: that is for those to say who need it.
    """
    for path in run.glob("*.parquet"):
        target = run / TABLES / f"{path.stem}.csv"
        if target.exists() and target.stat().st_mtime_ns >= path.stat().st_mtime_ns:
            continue
        with suppress(OSError, ValueError):
            if parquet.read_metadata(path).num_rows <= MOST_ROWS:
                with written_whole(target) as partial:
                    pd.read_parquet(path).to_csv(partial, index=False)


def made_from(run: Path, page: Page, pages: list[Page]) -> list[tuple[str, str]]:
    """Return what a notebook reads of what there is, each with the page of its maker, empty without one."""
    makers = {name: other.name for other in pages for name in other.artefacts.writes if other != page}
    return [(name, makers.get(name, "")) for name in page.artefacts.reads if (run / name).exists()]


def executed_notebooks(run: Path) -> list[Path]:
    """List the executed notebooks of a run folder in order, failed ones among them."""
    return sorted((run / "notebooks").glob("[0-9][0-9]_*.ipynb"))


def _write(path: Path, html: str) -> None:
    """Write a page, unless it is there already: while a run goes on, most pages stay as they are."""
    if path.exists() and path.read_text(encoding="utf-8") == html:
        return
    with written_whole(path) as partial:
        partial.write_text(html, encoding="utf-8")


def environment_of(run: Path, address: str = "") -> Environment:
    """Return jinja2 as the pages of a run need it; `address` as in `write_site`."""
    environment = _environment()
    environment.globals |= {
        "description": description_of(run),
        "simulated": (run / "truth.parquet").exists(),
        "card": data_card(run),
        "transferred": RunFolder(run).told_of_transfer(),
        "preview": PREVIEW if picture_of_preview(run) else "",
        "address": f"{address.rstrip('/')}/" if address else "",
        "single": False,
        "link": lambda name: f"{quote(name)}.html",
    }
    return environment


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


def _small_enough(environment: Environment, page: Page, around: dict) -> str:
    """Render a page; where it is too large, with smaller pictures."""
    template = environment.get_template("page.html.j2")

    def render(blocks: list[list[Block]]) -> str:
        return template.render(page=replace(page, blocks=blocks[0]), **around)

    return _shrunk(render, [page.blocks], LARGEST_PAGE)


def _shrunk(render: Callable[[list[list[Block]]], str], pages: list[list[Block]], largest: int) -> str:
    """Render blocks page by page, with pictures that are ever smaller until all of it is small enough."""
    html = render(pages)
    for width in WIDTHS:
        if len(html.encode()) < largest:
            return html
        pages = [[shrink(block, width) for block in blocks] for blocks in pages]
        html = render(pages)
    if len(html.encode()) >= largest:
        html = render([[without_thumbnails(block) for block in blocks] for blocks in pages])
    return html


def write_single_file(run: Path, state: dict[str, Any], out: Path) -> Path:
    """Write the whole report of a run into one HTML file, which can be mailed; return its path.

    Files beside the report can't be reached from it, so links to them are left out. Raises SelfieError where
    no notebook has run.
    """
    pages, environment = read_pages(run), environment_of(run)
    if not pages:
        raise SelfieError(f"{run} has no executed notebook to report: run `selfie reproduce` first.")
    known = {page.name for page in pages} | {"index", *([CARD] if environment.globals["card"] else [])}
    environment.globals |= {"single": True, "preview": "", "link": lambda name: f"#{name}" * (name in known)}
    content = index_content(run, pages, state, ())

    def render(blocks: list[list[Block]]) -> str:
        bodies = [_body(environment, "index", content)]
        for page, some in zip(pages, blocks, strict=True):
            around = _around(run, pages, page, state) | {"files": []}
            bodies.append(_body(environment, "page", {"page": replace(page, blocks=some), **around}))
        bodies += [_body(environment, "card", {})] if environment.globals["card"] else []
        bodies = [LEADS_BESIDE.sub(r"\1", body) for body in bodies]
        return environment.get_template("single.html.j2").render(bodies=bodies)

    with written_whole(out) as partial:
        partial.write_text(_shrunk(render, [page.blocks for page in pages], LARGEST_FILE), encoding="utf-8")
    return out


def _body(environment: Environment, name: str, content: dict[str, Any]) -> str:
    """Render only the body of a page."""
    template = environment.get_template(f"{name}.html.j2")
    return "".join(template.blocks["body"](template.new_context(content)))
