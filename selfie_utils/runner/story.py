"""The story of a finished run on one page: a README with pictures, to read on the web without installing."""

from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import RunFolder, from_root, open_run
from selfie_utils.runner.findings import SECTIONS, Picture, Section, find

WIDEST = 1200  # px; what a web page shows without scrolling
JPEG_QUALITY = 80
STRIP = "best_and_worst.jpg"
STEP = 129  # px from one tile of the continuum to the next: 128 and the gutter
STRIP_ROWS, STRIP_COLUMNS, STRIP_TILE = 3, 6, 98  # of each half of the strip
DARK = (24, 24, 24)


def tell(run_dir: str | Path, out: str | Path = "figures") -> Path:
    """Write the page and its pictures from run folder `run_dir` into `out`; return the path of the page.

    Raises SelfieError where there is no such run, or no notebook of it has left metrics.
    """
    run, out = open_run(run_dir), from_root(out)
    page = write_page(run)
    out.mkdir(parents=True, exist_ok=True)
    for picture in _pictures(run):
        _copy(run.root / "figures" / picture.name, out / picture.name, 2 * picture.width)
    _draw_strip(run, out)
    with written_whole(out / "README.md") as partial:
        partial.write_text(page, encoding="utf-8")
    return out / "README.md"


def write_page(run: RunFolder) -> str:
    """Return the page as Markdown: every number in it comes from the metrics of the run."""
    metrics, simulated = _read_metrics(run), _is_simulated(run)
    parts = [_write_section(run, section, metrics[section.notebook]) for section in _told(run)]
    if not any(parts):
        raise SelfieError(f"{run.root} has no finding to tell yet: run `selfie reproduce` to the end first.")
    return "\n\n".join([_write_opening(simulated), *filter(None, parts), CLOSING])


def _read_metrics(run: RunFolder) -> dict[str, dict]:
    metrics = run.read_metrics()
    if not metrics:
        raise SelfieError(f"{run.root} has no metrics.json: run `selfie reproduce` on it first.")
    return metrics


def _is_simulated(run: RunFolder) -> bool:
    """Only simulated posts have a truth, and only their photos may be published: nobody is in them."""
    return (run.root / "truth.parquet").exists()


def _told(run: RunFolder) -> list[Section]:
    """List the sections whose notebook has left metrics."""
    metrics = _read_metrics(run)
    return [section for section in SECTIONS if section.notebook in metrics]


def _pictures(run: RunFolder, section: Section | None = None) -> list[Picture]:
    """List the pictures that the run has and may show: of real people charts only, never photos."""
    sections = [section] if section else _told(run)
    wanted = [picture for one in sections for picture in one.pictures]
    may = [picture for picture in wanted if picture.name.endswith(".png") or _is_simulated(run)]
    return [picture for picture in may if (run.root / "figures" / picture.name).exists()]


def _write_opening(simulated: bool) -> str:
    who = OF_SIMULATED if simulated else OF_REAL
    return f"# The story in pictures\n\n{who} {INTERVALS}"


def _write_section(run: RunFolder, section: Section, metrics: dict) -> str:
    """Return one section as Markdown, or nothing where the metrics do not hold what it tells."""
    found = find(section, metrics, _is_simulated(run))
    if not found:
        return ""
    shown = [f'<img src="{p.name}" width="{p.width}" alt="{p.alt}">' for p in _pictures(run, section)]
    source = f"From [`{section.notebook}`](../notebooks/{section.notebook}.ipynb)."
    head = [f"## {section.title}", f"*{section.question}*", f"{' '.join(found)} {source}"]
    return "\n\n".join(head + shown)


def _copy(source: Path, target: Path, widest: int) -> None:
    """Save a picture again, at most `widest` px wide, without whatever else its file holds."""
    with Image.open(source) as opened:
        picture = opened.convert("RGB")
    width = min(picture.width, widest, WIDEST)
    if width < picture.width:
        size = (width, round(picture.height * width / picture.width))
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    _save(picture, target)


def _save(picture: Image.Image, target: Path) -> None:
    options: dict[str, Any] = {"quality": JPEG_QUALITY} if target.suffix == ".jpg" else {}
    with written_whole(target) as partial:
        picture.save(partial, optimize=True, **options)


def _draw_strip(run: RunFolder, out: Path) -> None:
    """Draw the wide picture of the project's README, where the run has a continuum that may be shown."""
    sheet = run.root / "figures" / "continuum.jpg"
    if _is_simulated(run) and sheet.exists():
        with Image.open(sheet) as opened:
            strip = best_and_worst(opened.convert("RGB"))
        if strip:
            _save(strip, out / STRIP)


def best_and_worst(continuum: Image.Image) -> Image.Image | None:
    """Lay the first and the last tiles of a continuum side by side, WIDEST px wide.

    Returns None for a sheet of too few tiles, or of tiles that are not 128 px.
    """
    columns, rows = (continuum.width + 1) // STEP, (continuum.height + 1) // STEP
    count = STRIP_ROWS * STRIP_COLUMNS
    if columns * rows < 2 * count or (continuum.width + 1) % STEP:
        return None
    tiles = [_tile(continuum, i, columns) for i in range(columns * rows)]
    halves = {"the best, says the network": tiles[:count], "the worst": tiles[-count:]}
    strip = Image.new("RGB", (WIDEST, 36 + STRIP_ROWS * (STRIP_TILE + 1)), DARK)
    left, width = 0, STRIP_COLUMNS * (STRIP_TILE + 1)
    for title, half in halves.items():
        _lay_half(strip, left, title, half)
        left = WIDEST - width + 1
    return strip


def _tile(sheet: Image.Image, i: int, columns: int) -> Image.Image:
    left, top = i % columns * STEP, i // columns * STEP
    tile = sheet.crop((left, top, left + STEP - 1, top + STEP - 1))
    return tile.resize((STRIP_TILE, STRIP_TILE), Image.Resampling.LANCZOS)


def _lay_half(strip: Image.Image, left: int, title: str, tiles: list[Image.Image]) -> None:
    """Write a title at `left` px and lay the tiles below it, row by row."""
    ImageDraw.Draw(strip).text((left + 8, 6), title, font=ImageFont.load_default(20), fill="white")
    for i, tile in enumerate(tiles):
        row, column = divmod(i, STRIP_COLUMNS)
        strip.paste(tile, (left + column * (STRIP_TILE + 1), 36 + row * (STRIP_TILE + 1)))


INTERVALS = (
    "Each section starts with a question such as readers asked in the comments of "
    "[the article](https://karpathy.github.io/2015/10/25/selfie/), and answers it from the metrics of "
    "one run. "
    "Square brackets hold 95% intervals."
)
OF_SIMULATED = (
    "What a network thinks of selfies of people who do not exist: they were rendered, and their "
    "audience is simulated, "
    "with tastes that we wrote ourselves. So every finding can be compared with the truth, and none is "
    "evidence about "
    "real audiences."
)
OF_REAL = (
    "What a network thinks of the selfies of this run. People's photos stay out of this page; charts "
    "are shown."
)
CLOSING = (
    "---\n\nThis page is written by `selfie story` from a finished run; do not edit it by hand. `make "
    "reproduce` makes "
    "the run, and its full report is `runs/demo/reports/index.html`. [Back to the project](../README.md); "
    "[the words used here](../docs/glossary.md)."
)
