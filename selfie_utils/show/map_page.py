"""The map, near and far: one page that holds every photo, to walk from the whole to single posts."""

import base64
import gzip
import hashlib
import html
import io
import json
import math
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from string import Template

import matplotlib
import numpy as np
import pandas as pd
from IPython.display import HTML, Markdown
from matplotlib.colors import to_hex
from PIL import Image

from selfie_utils.core.files import written_whole
from selfie_utils.core.parallel import in_advance
from selfie_utils.core.progress import tqdm
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.photos.images import Images, UnreadableImage, decode, tile
from selfie_utils.show.chart import BAD, GOOD, GREEN, GREY
from selfie_utils.show.display import is_live
from selfie_utils.show.sheets import GUTTER_COLOUR, UNRECOGNISABLE, contact_sheet, small_among

PAGE, PICTURE = "reports/map.html", "reports/map_high_resolution.jpg"
ROWS = 240  # of the grid on the page at most: 57,600 posts
SPACE = 11_400_000  # bytes of the page for tiles; with the overview and the table it stays below 15 MB
SIZES = (256, 192, 128, 96, 64, 48, 32, 24, 16)  # px per tile
MINIS = (32, 16, 8, 4)  # px per photo in the overview; halved again and again, so powers of two
OVERVIEW = 4_500_000  # pixels of the overview at most
SHEET = 1024  # px a side of a sprite sheet: 4 MB once decoded, and only what is in view is decoded
QUALITY = 72  # of WebP
SIMULATED = "Simulated: nobody in these photos exists."
LARGEST = 6000  # px a side of the picture in high resolution
BESIDE, PARTS = Path(__file__), (".html", ".css", ".js", ".controls.js")


def write_map(
    run: RunFolder, images: Images, placed: pd.DataFrame, known: pd.DataFrame, small: Collection[str] = ()
) -> None:
    """Write reports/map.html of the run folder, and the same grid as one large JPEG beside it.

    `placed` has post_id, image, score (0 to 1), label (1, 0 or missing), x and y of t-SNE, row and column of
    the grid (missing for posts without a cell), as `map_layout.place` gives them; `known` a nullable boolean
    column per attribute, rows alike. Of photos in `small` at most `UNRECOGNISABLE` px are in either file.
    Where no post has a cell there is nothing to show, and files of an earlier run go.
    """
    if not len(_on_grid(placed)):
        for name in (PAGE, PICTURE):
            run.place(name).unlink(missing_ok=True)
        return
    about = [SIMULATED] if run.place("truth.parquet").exists() else []
    about += [run.told_of_transfer()]
    page = map_page(images, placed, known, small, " ".join(filter(None, about)))
    with written_whole(run.place(PAGE)) as partial:
        partial.write_text(page, encoding="utf-8")
    names = _on_grid(placed)["image"]
    side = math.isqrt(len(names))
    size = min(SIZES[1], max(1, LARGEST // side - 1))
    with written_whole(run.place(PICTURE)) as partial:
        sheet = contact_sheet(small_among(images, names, size, small), side)
        sheet.save(partial, quality=85, optimize=True)


def show_map(run: RunFolder) -> HTML | Markdown:
    """Return what a notebook shows of the map: the page itself where somebody can walk in it, else a link.

    The page is part of the notebook then, so that it still works when that is saved, closed and opened again.
    """
    path = run.place(PAGE)
    if not path.exists():
        return Markdown("")
    if not is_live():
        return Markdown(
            f"**[Walk the map](../{PAGE})**, or see [the whole grid in one large picture](../{PICTURE})."
        )
    page = html.escape(path.read_text(encoding="utf-8"))
    frame = 'sandbox="allow-scripts allow-downloads" style="width: 100%; height: 44rem; border: 0"'
    return HTML(f'<div><iframe title="The map, near and far" {frame} srcdoc="{page}"></iframe></div>')


def map_page(
    images: Images, placed: pd.DataFrame, known: pd.DataFrame, small: Collection[str], about: str
) -> str:
    """Return the page, which needs nothing besides; `about` is what to say of it, else as in `write_map`.

    Photos are tiles in sprite sheets, as large as `SPACE` lets them be, and once more very small in the
    overview, from which the map is drawn as long as it is far away.
    """
    shown = _on_grid(placed)
    left = placed.drop(shown.index) if len(placed) <= ROWS**2 else placed.head(0)
    posts = pd.concat([shown, left])
    size = _tile_size(images, posts["image"], small)
    mini = next((m for m in MINIS if len(posts) * m * m <= OVERVIEW), MINIS[-1])
    order = _sheet_order(posts)
    minis, sheets = _draw(images, posts["image"].iloc[order].tolist(), small, size, mini)
    overview = [minis[i] for i in np.argsort(order)]
    table = _table(posts, known.loc[posts.index], small) | {"size": size, "mini": mini, "sheet": SHEET}
    table["tile"] = np.argsort(order).tolist()
    side = int(shown["column"].max()) + 1
    return _fill(table, _webp(contact_sheet(overview, side, gutter=0)), sheets, about)


def _on_grid(placed: pd.DataFrame) -> pd.DataFrame:
    return placed.dropna(subset=["row"]).sort_values(["row", "column"])


def _tile_size(images: Images, names: pd.Series, small: Collection[str], tried: int = 48) -> int:
    """Return the largest size of tiles that keeps the page small; never larger than photos are themselves."""
    some = names.iloc[np.linspace(0, len(names) - 1, min(tried, len(names))).astype(int)].tolist()
    own = np.median([_own_side(images, name) for name in some])
    for size in SIZES:
        if size <= max(own, UNRECOGNISABLE):
            _, sheets = _draw(images, some, small, size, MINIS[-1])
            if sum(map(len, sheets)) / len(some) * len(names) <= SPACE:
                return size
    return SIZES[-1]


def _own_side(images: Images, name: str) -> int:
    try:
        return min(decode(images.read(name), at_least=SIZES[0]).size)
    except UnreadableImage:
        return SIZES[0]


def _sheet_order(posts: pd.DataFrame) -> np.ndarray:
    """Sort posts so that a sheet holds a patch of the map: by cell along Morton's curve, the rest at last."""
    cells = posts[["row", "column"]].astype("float").fillna(2**15 - 1).to_numpy(np.int64)
    bits = np.arange(15)
    spread = (cells[:, :, None] >> bits & 1) << (2 * bits)  # (N, 2, 15)
    code = (spread.sum(axis=2) * [2, 1]).sum(axis=1)
    return np.argsort(code, kind="stable")


def _draw(
    images: Images, names: Sequence[str], small: Collection[str], size: int, mini: int
) -> tuple[list[Image.Image], list[str]]:
    """Return the photos at `mini` px, and sprite sheets of them at `size` px as base64."""

    def at(name: str) -> Image.Image:
        return tile(images, name, min(size, UNRECOGNISABLE) if name in small else size)

    def drawn() -> Iterator[Image.Image]:
        bar = tqdm(names, "map", unit="photo", mininterval=2, disable=len(names) < 500)
        for photo in in_advance(at, bar, os.cpu_count() or 1):
            minis.append(photo.resize((mini, mini), Image.Resampling.BOX))
            yield photo

    minis: list[Image.Image] = []
    columns, photos, sheets = SHEET // size, drawn(), []
    for start in range(0, len(names), columns**2):
        count = min(columns**2, len(names) - start)
        sheet = Image.new("RGB", (columns * size, -(-count // columns) * size), GUTTER_COLOUR)
        for i in range(count):
            sheet.paste(next(photos), (i % columns * size, i // columns * size))
        sheets.append(_webp(sheet))
    return minis, sheets


def _webp(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, format="WEBP", quality=QUALITY, method=4)
    return base64.b64encode(out.getvalue()).decode()


def _table(posts: pd.DataFrame, known: pd.DataFrame, small: Collection[str]) -> dict:
    """Return what the page knows of each post, column by column; "1", "0" or "?" where it is yes or no."""
    places = posts[["x", "y"]].to_numpy(float)
    middle = (places.max(axis=0) + places.min(axis=0)) / 2
    spread = np.ptp(places, axis=0).max() or 1.0
    unit = ((places - middle) / spread * (1, -1) + 0.5).round(5)  # y downwards, as on a screen
    score = posts["score"].to_numpy(float)
    ramp = matplotlib.colormaps["cividis"](np.linspace(0, 1, 32))
    return {
        "ids": posts["post_id"].astype(str).tolist(),
        "score": score.round(4).tolist(),
        # As in map_scatter: a few extreme posts would leave all others alike.
        "span": np.percentile(score, [2, 98]).tolist(),
        "ramp": [to_hex(colour) for colour in ramp],
        "palette": {"good": GOOD, "bad": BAD, "yes": GREEN, "no": GREY},
        "x": unit[:, 0].tolist(),
        "y": unit[:, 1].tolist(),
        **{axis: posts[axis].fillna(-1).astype(int).tolist() for axis in ("row", "column")},
        "small": _yes_or_no(posts["image"].isin(small)),
        "unrecognisable": UNRECOGNISABLE,
        "label": _yes_or_no(posts["label"]),
        "known": {name: _yes_or_no(known[name]) for name in known},
    }


def _yes_or_no(column: pd.Series) -> str:
    return "".join("?" if pd.isna(value) else "1" if value else "0" for value in column)


def _fill(table: dict, overview: str, sheets: list[str], about: str) -> str:
    """Put table, pictures, style and script into the page."""
    packed = gzip.compress(json.dumps(table, ensure_ascii=True).encode(), mtime=0)
    page, style, *scripts = (BESIDE.with_suffix(end).read_text(encoding="utf-8").strip() for end in PARTS)
    script = "\n\n".join(scripts)
    return Template(page).substitute(
        style=style,
        script=script,
        # The page's policy lets this one script run and none that slipped in with the data.
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        table=base64.b64encode(packed).decode(),
        overview=overview,
        sheets="\n".join(f'<script type="text/plain" class="sheet">{sheet}</script>' for sheet in sheets),
        about=html.escape(f"{about} ") if about else "",
    )
