"""A contact sheet of a rendered data set: a row of photos per planted attribute, for its data card."""

from pathlib import Path

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.core.files import written_whole
from selfie_utils.photos.images import UnreadableImage, decode, open_images

ROWS = (
    *("forehead_cut", "long_hair", "upward_hair", "over_exposed", "faded", "black_and_white", "border"),
    *("tilted", "low_light", "large_head", "group", "glasses", "hat", "pout", "mirror"),
)
TILE, LABEL, COLUMNS = 96, 130, 10  # px, px, photos in a row
INK, PAPER = (40, 40, 40), (255, 255, 255)


def draw_sheet(folder: Path) -> None:
    """Write `folder`/sheet.jpg from its images.zip and truth.parquet."""
    truth, photos = pd.read_parquet(folder / "truth.parquet"), open_images(folder / "images.zip")
    sheet = Image.new("RGB", (LABEL + TILE * COLUMNS, TILE * (len(ROWS) + 1)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(14)
    rows = {"no face": ~truth["selfie"]} | {name: truth[name] for name in ROWS}
    for y, (name, holds) in enumerate(reversed(rows.items())):
        draw.text((8, y * TILE + TILE // 2 - 8), name.replace("_", " "), INK, font)
        for x, photo in enumerate(_readable(photos, truth.loc[holds, "image"])):
            sheet.paste(photo.resize((TILE - 1, TILE - 1)), (LABEL + x * TILE, y * TILE))
    with written_whole(folder / "sheet.jpg") as partial:
        sheet.save(partial, quality=88)


def _readable(photos, names: pd.Series) -> list[Image.Image]:
    """Open the first photos that are not broken."""
    found = []
    for name in names:
        try:
            found.append(decode(photos.read(name)))
        except UnreadableImage:
            continue
        if len(found) == COLUMNS:
            break
    return found
