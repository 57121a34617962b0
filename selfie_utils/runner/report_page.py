"""Turn an executed notebook into the parts of a report page: safe HTML, every picture once."""

import base64
import io
import json
import os
import re
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import mistune
import nh3
from bs4 import BeautifulSoup
from nbconvert.filters import strip_ansi
from PIL import Image
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from selfie_utils.core.artefacts import Artefacts, artefacts_of
from selfie_utils.show import closer
from selfie_utils.show.display import NARROW

# What a text, a table or a picture inside the page needs. Anything else is dropped, for it may come from the
# data: a script, or a picture that would be fetched from the web.
TAGS = {
    "table", "thead", "tbody", "tfoot", "tr", "th", "td", "caption", "div", "span", "p", "br", "hr", "b", "i",
    "em", "strong", "del", "code", "pre", "blockquote", "sub", "sup", "small", "ul", "ol", "li", "a", "img",
    "h1", "h2", "h3", "h4", "h5", "h6",
}  # fmt: skip
ATTRIBUTES = {
    "*": {"colspan", "rowspan", "scope"}, "a": {"href"}, "img": {"src", "alt", "width", "height"},
    "ol": {"start"},
}  # fmt: skip
DROPPED_WHOLE = {"style", "script", "template", "iframe", "object"}  # their content is no text to read
LEADS_TO = {  # where a link and a picture may: the web or the report, and the page itself
    "href": re.compile(r"https?://|\.\./reports/\w+\.(html|jpg)$", re.IGNORECASE),
    "src": re.compile("data:image/", re.IGNORECASE),
}
NUMBER = re.compile(r"^[-+−]?(\d[\d,]*)?\.?\d+(e[-+]?\d+)?( ?%| ?[a-z]{1,3})?$|^(nan|NaN|–|-|)$")
ONLY_WITH = "with:"  # tag of a cell that has something to say only where a figure, or a fact, is there
BAR = re.compile(r"[|\s]\d+(/\d+)? ?\w* \[\d\d:\d\d")  # a progress bar, which kernels write to stdout
PICTURES = ("image/png", "image/jpeg", "image/gif", "image/webp")
MOVING = ("data:image/gif", "data:image/webp")  # pictures that may be animations
COLOURS = HtmlFormatter(style="friendly", nowrap=True)
AT_NIGHT = HtmlFormatter(style="github-dark", nowrap=True)


_to_html = mistune.create_markdown(escape=True, plugins=["table", "strikethrough"])


@dataclass(frozen=True)
class Block:
    """One part of a page: kind is prose, code, log, text, table, picture or error."""

    kind: str
    content: str  # HTML for prose, code and table; a data URI for a picture; plain text otherwise
    alt: str = ""
    width: int = 0  # px on the page, for a picture
    still: str = ""  # of a picture that moves: its last frame as a data URI, for print and for quiet screens
    narrow: str = ""  # of a chart: the same for narrow screens, as a data URI
    narrow_width: int = 0  # px
    figure: str = ""  # name of the figure, if it has one
    table: dict[str, Any] = field(default_factory=dict)  # of a contact sheet whose photos can be opened


@dataclass(frozen=True)
class Page:
    """One executed notebook, ready to be laid out."""

    name: str
    title: str
    lead: str  # what the notebook asks, plain text
    blocks: list[Block]
    parameters: dict[str, Any]
    failed: bool
    artefacts: Artefacts = field(default_factory=Artefacts)
    sections: list[str] = field(default_factory=list)  # titles, whose anchors are NAME-1, NAME-2…

    @property
    def pictures(self) -> list[Block]:
        return [block for block in self.blocks if block.kind == "picture"]


def read_page(path: Path, facts: Collection[str] = ()) -> Page:
    """Read an executed notebook; NAME.failed.ipynb makes the page of a failed one.

    A cell tagged `with:WORD` is left out unless WORD is among `facts`, what the run has, or the name of a
    figure that the notebook has drawn: pages speak only of what is there.
    """
    notebook = _of_no_machine(json.loads(path.read_text(encoding="utf-8")))
    name, failed = path.name.removesuffix(".ipynb").removesuffix(".failed"), ".failed." in path.name
    cells = [c for c in notebook["cells"] if not {"papermill-error-cell-tag"} & set(_tags(c))]
    drawn = [(cell, _cell_blocks(cell)) for cell in cells]
    there = {*facts, *(block.figure for _, blocks in drawn for block in blocks)}
    blocks = [block for cell, some in drawn if _needed(cell) <= there for block in some]
    prose = next((b.content for b in blocks if b.kind == "prose"), "")
    head = BeautifulSoup(prose, "html.parser")
    title = head.h1.get_text() if head.h1 else name
    lead = _opening(head.p.get_text()) if head.p else ""
    parameters = notebook["metadata"].get("papermill", {}).get("parameters", {})
    blocks, sections = _with_anchors(blocks, name)
    return Page(name, title, lead, blocks, parameters, failed, artefacts_of(path), sections)


def _of_no_machine(notebook: dict) -> dict:
    """Leave of whole paths among the parameters only the last names, wherever they are told; ~ for home."""
    given = notebook["metadata"].get("papermill", {}).get("parameters", {})
    texts = sorted(set(_texts(given)), key=len, reverse=True)
    names = {text: f"…/{Path(text).name}" for text in texts if Path(text).is_absolute()}
    names[os.path.expanduser("~")] = "~"
    paths = {path: name for path, name in names.items() if Path(path).name}  # but not /
    told = "|".join(map(re.escape, paths)) or "(?!)"  # nothing
    whole = re.compile(rf"(?<![\w.~-])(?:{told})(?![\w-])")
    return _replaced(notebook, lambda text: whole.sub(lambda found: paths[found[0]], text))


def _texts(value: Any) -> Iterator[str]:
    """Yield all texts in a parameter."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _replaced(value: Any, replace_in: Callable[[str], str]) -> Any:
    """Return a part of a notebook with all its texts replaced, but not pictures."""
    if isinstance(value, str):
        return replace_in(value)
    if isinstance(value, list):
        return [_replaced(one, replace_in) for one in value]
    if isinstance(value, dict):
        return {k: v if k.startswith("image/") else _replaced(v, replace_in) for k, v in value.items()}
    return value


def _with_anchors(blocks: list[Block], name: str) -> tuple[list[Block], list[str]]:
    """Give the headings of sections anchors, for a list of contents; return the blocks and the titles."""
    marked, titles = [], []
    for block in blocks:
        soup = BeautifulSoup(block.content if block.kind == "prose" else "", "html.parser")
        for heading in soup.find_all("h2"):
            titles.append(heading.get_text())
            heading["id"] = f"{name}-{len(titles)}"
        marked.append(replace(block, content=soup.decode(formatter="html")) if soup.h2 else block)
    return marked, titles


def _tags(cell: dict) -> list[str]:
    return cell["metadata"].get("tags", [])


def _needed(cell: dict) -> set[str]:
    """Return the figures and facts without which a cell has nothing to say."""
    return {tag.removeprefix(ONLY_WITH) for tag in _tags(cell) if tag.startswith(ONLY_WITH)}


def _opening(text: str, enough: int = 60) -> str:
    """Return the first sentence of a text, or more of them until there are `enough` characters."""
    sentences = re.split(r"(?<=[.?!])\s+(?=[A-Z“\"])", " ".join(text.split()))
    told = sentences[0]
    for sentence in sentences[1:]:
        if len(told) >= enough:
            break
        told += f" {sentence}"
    return told


def _cell_blocks(cell: dict) -> list[Block]:
    """Turn one cell into blocks, outputs after the code that made them."""
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return [Block("prose", markdown(source))]
    if cell["cell_type"] != "code" or not source.strip():
        return []
    code = Block("code", highlight(source, PythonLexer(), COLOURS))
    return [code, *(block for output in cell["outputs"] for block in _output_blocks(output))]


def markdown(text: str) -> str:
    """Turn Markdown into HTML; HTML inside it is shown as it is written."""
    return safe_html(str(_to_html(text)))


def _output_blocks(output: dict) -> list[Block]:
    """Turn one output into blocks: of its several forms only the best is kept."""
    if output["output_type"] == "stream":
        lines = _last_states("".join(output["text"]))
        told = output["name"] == "stderr"
        parts = groupby(lines, lambda line: "log" if told or BAR.search(line) else "text")
        return [Block(kind, "\n".join(some)) for kind, some in parts]
    if output["output_type"] == "error":
        return [Block("error", strip_ansi("\n".join(output["traceback"])))]
    data = {kind: _text(value) for kind, value in output["data"].items()}
    for kind in PICTURES:
        if kind in data:
            told = output["metadata"].get(kind, output["metadata"])
            block = _picture(kind, data[kind], told, data.get(NARROW, ""))
            return [replace(block, table=_table(output["data"].get(closer.MIME)))]
    if "application/vnd.jupyter.widget-view+json" in data:
        return []  # controls need a kernel
    if "text/html" in data:
        return [Block("table", safe_html(data["text/html"]))]
    if "text/markdown" in data:
        return [Block("prose", markdown(data["text/markdown"]))]
    return [Block("text", data["text/plain"])] if "text/plain" in data else []


def _text(value: Any) -> str:
    return "".join(value) if isinstance(value, list) else str(value)


def _last_states(text: str) -> list[str]:
    """Return the lines of a text that are not empty, of a progress bar only what it showed last."""
    lines = (line.rstrip("\r").rpartition("\r")[2].rstrip() for line in strip_ansi(text).split("\n"))
    return [line for line in lines if line]


def _picture(kind: str, data: str, metadata: dict, narrow: str = "") -> Block:
    width = metadata.get("width", 0)
    uri = f"data:{kind};base64,{''.join(data.split())}"
    width = int(width) if str(width).isdecimal() else 0
    block = Block("picture", uri, str(metadata.get("alt", "")), width, figure=str(metadata.get("figure", "")))
    if narrow:
        block = _with_narrow(block, f"data:image/png;base64,{''.join(narrow.split())}")
    return replace(block, still=as_uri(open_picture(block))) if _moves(block) else block


def _with_narrow(block: Block, uri: str) -> Block:
    """Add the variant for narrow screens, if it is a picture; both are drawn at twice their size."""
    try:
        with _opened(uri) as image:
            return replace(block, narrow=uri, narrow_width=image.width // 2)
    except Exception:  # Pillow's plugins raise almost anything on broken files
        return block


def _table(data: Any) -> dict[str, Any]:
    """Return the table of a contact sheet, empty where it is none or a picture would come from elsewhere."""
    try:
        ours = all(uri.startswith("data:image/webp;base64,") for uri in data["sprites"])
        return dict(data) if ours and data["tiles"] and data["photos"] and data["size"] else {}
    except (TypeError, KeyError, AttributeError):
        return {}


def _moves(block: Block) -> bool:
    """Tell whether a picture is an animation; one that can't be read stands still."""
    if not block.content.startswith(MOVING):
        return False
    try:
        return getattr(_opened(block.content), "n_frames", 1) > 1
    except Exception:  # Pillow's plugins raise almost anything on broken files
        return False


def _opened(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def open_picture(block: Block) -> Image.Image:
    """Decode the picture of a block to RGB; of an animation the last frame, which shows how it ends."""
    image = _opened(block.content)
    image.seek(getattr(image, "n_frames", 1) - 1)
    if image.has_transparency_data:
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


def as_uri(image: Image.Image, quality: int = 82) -> str:
    """Encode a picture as a JPEG inside a data URI."""
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=quality, optimize=True, progressive=True)
    return f"data:image/jpeg;base64,{base64.b64encode(out.getvalue()).decode()}"


def shrink(block: Block, widest: int) -> Block:
    """Return a picture block drawn again at most `widest` px wide; blocks of other kinds as they are.

    An animation becomes its last frame.
    """
    if block.kind != "picture":
        return block
    image = open_picture(block)
    shown = block.width or image.width
    image.thumbnail((widest, 4 * widest))
    return replace(block, content=as_uri(image), width=shown, still="")


def without_thumbnails(block: Block) -> Block:
    """Return a block whose photos are opened from the sheet's own pixels alone."""
    bare = [
        {key: value for key, value in one.items() if key != "at"} for one in block.table.get("photos", [])
    ]
    return replace(block, table=block.table | {"photos": bare, "sprites": []}) if block.table else block


def safe_html(html: str) -> str:
    """Keep tables, formatting, links to the web and pictures in the page; nothing that could act or load."""
    clean = nh3.clean(
        html,
        tags=TAGS,
        clean_content_tags=DROPPED_WHOLE,
        attributes=ATTRIBUTES,
        attribute_filter=_only_where_it_may_lead,
        url_schemes={"https", "http", "data"},
    )
    return _lay_out_tables(clean)


def _only_where_it_may_lead(tag: str, attribute: str, value: str) -> str | None:
    return value if attribute not in LEADS_TO or LEADS_TO[attribute].match(value) else None


def _lay_out_tables(html: str) -> str:
    """Let wide tables scroll by themselves, and set columns of numbers to the right."""
    soup = BeautifulSoup(html, "html.parser")
    for table in soup.find_all("table"):
        _join_headings(table)
        _align(table)
        frame = soup.new_tag("div", attrs={"class": "table", "tabindex": "0"})
        table.wrap(frame)
    return soup.decode(formatter="html")


def _join_headings(table: Any) -> None:
    """Put the name of an index, for which pandas spends a row of its own, into the row above."""
    rows = table.select("thead tr")
    if len(rows) != 2:
        return
    (name, *rest), (corner, *_) = (row.find_all("th") for row in reversed(rows))
    if not corner.get_text().strip() and not any(cell.get_text().strip() for cell in rest):
        corner.string = name.get_text()
        rows[1].decompose()


def _align(table: Any) -> None:
    """Mark the cells of every column that holds nothing but numbers, and their headings."""
    rows = [row.find_all(["th", "td"])[::-1] for row in table.find_all("tr")]
    for column in range(max((len(row) for row in rows), default=0)):
        cells = [row[column] for row in rows if column < len(row)]
        values = [c.get_text().strip() for c in cells if c.name == "td"]
        if values and all(NUMBER.match(v) for v in values):
            for cell in cells:
                cell["class"] = "number"
