"""The photo map: posts chosen for a full grid, placed on it and drawn as one sheet of small tiles."""

import numpy as np
import pandas as pd
from PIL import Image

from selfie_utils.analysis.map_layout import even_sample, grid, grid_sides, project
from selfie_utils.photos.images import ImageFolder, ImageZip
from selfie_utils.show.sheets import contact_sheet, tiles

THUMBNAIL = 8  # px a side: a photo reduced to its light, colours and coarse framing


def place(scores: pd.DataFrame, points: np.ndarray, rows: int, seed: int = 0) -> pd.DataFrame:
    """Put as many posts as fit on a full square grid of at most `rows` x `rows` cells.

    `scores` one row a post, `points` float (N, 2) from `project`, rows alike. Where there are more posts than
    cells, those shown are drawn evenly along the ranking by score. Returns post_id, image, score, x, y and
    row, column (Int64, missing for posts without a cell), rows as in `scores`.
    """
    table = scores[["post_id", "image", "score"]].assign(x=points[:, 0], y=points[:, 1])
    rows, columns = grid_sides(len(table), rows, rows)
    shown = even_sample(table["score"].to_numpy(), rows * columns, seed)
    cells = grid(points[shown], rows, columns)
    for i, name in enumerate(("row", "column")):
        table[name] = pd.Series(cells[:, i], index=table.index[shown], dtype="Int64")
    return table


def on_grid(placed: pd.DataFrame) -> pd.DataFrame:
    """Return the posts that have a cell, row by row from the top left."""
    return placed.dropna(subset=["row"]).sort_values(["row", "column"])


def draw_map(
    images: ImageFolder | ImageZip,
    scores: pd.DataFrame,
    points: np.ndarray,
    seed: int = 0,
    *,
    rows: int,
    size: int,
) -> Image.Image:
    """Place posts on a grid of at most `rows` x `rows` and draw it in tiles of `size` px."""
    shown = on_grid(place(scores, points, rows, seed))
    return contact_sheet(tiles(images, shown["image"], size), columns=int(shown["column"].max()) + 1)


def pixel_map(
    images: ImageFolder | ImageZip, names: pd.Series, side: int, perplexity: float, seed: int = 0
) -> np.ndarray:
    """Lay photos out by their bare pixels, to hold the network's map against: what does a thumbnail know?

    Each photo is 8 x 8 px, 192 numbers; as many `names` as `side` x `side`. Returns cells int (N, 2).
    """
    pixels = [np.asarray(tile, np.float32).ravel() / 255 for tile in tiles(images, names, THUMBNAIL)]
    return grid(project(np.stack(pixels), perplexity, seed), side, side)
