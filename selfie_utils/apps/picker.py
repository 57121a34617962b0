"""Pick posts by hand out of any gallery: every pick is on disk at once, and no tab loses another's."""

import hashlib
import io
import json
import os
import threading
import time
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import pandas as pd
import traitlets
from IPython.core.display_functions import display
from IPython.display import Markdown
from PIL import Image, ImageDraw

from selfie_utils.analysis.picks import PICKS, change_picks, read_picks
from selfie_utils.analysis.ranking import Gallery, best_first
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.show.display import Live, is_live, show
from selfie_utils.show.sheets import MARK, contact_sheet, small_among

SIDE = 72  # px of a tile
ACROSS = 16  # tiles in a row of a sprite
PER_SPRITE = ACROSS**2
STILL_ACROSS = 40  # tiles of half the size in a row of the picture that stays
SPRITES = "picker"  # the folder of a run where sprites are kept
WATCHED = 1.0  # seconds between looks at the file, which another tab may write
UNSEEN = "The picker needs a live notebook: open this one in JupyterLab and run it."


class Picker(anywidget.AnyWidget):
    """A gallery in which posts are picked; `titles` and `filters` go by the place of a post in it.

    `filters` maps what is known of posts to the places of those that have it. Each of `sprites` is a WebP of
    ACROSS x ACROSS tiles; the first arrives before the others.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")
    side = traitlets.Int(SIDE).tag(sync=True)
    across = traitlets.Int(ACROSS).tag(sync=True)
    titles: traitlets.List = traitlets.List().tag(sync=True)
    filters = traitlets.Dict().tag(sync=True)
    sprites: traitlets.List = traitlets.List().tag(sync=True)
    picked: traitlets.List = traitlets.List().tag(sync=True)  # places, sorted

    def __init__(self, gallery: Gallery, offered: pd.DataFrame):
        self.run, self.gallery = gallery.run, gallery
        self.ids, self.images = offered["post_id"].tolist(), offered["image"].tolist()
        self.places = {post_id: place for place, post_id in enumerate(self.ids)}
        self.still: Any = None
        super().__init__(
            titles=_titles(gallery, offered), filters=_filters(gallery, offered), picked=self._read()
        )
        pool = ThreadPoolExecutor(os.cpu_count())
        self._drawn = [pool.submit(draw, gallery, names) for names in _in_parts(self.images)]
        pool.shutdown(wait=False)
        threading.Thread(target=_watch, args=(weakref.ref(self), self.run), daemon=True).start()
        self.on_msg(self._hear)

    def _read(self) -> list[int]:
        """Return the places of what is picked; posts of other galleries stay picked, and out of sight."""
        return sorted(self.places[one] for one in read_picks(self.run) if one in self.places)

    def fill(self) -> None:
        """Send the sprites to the page, the first as soon as it is drawn."""
        for there in sorted({1, len(self._drawn)}):
            self.sprites = [drawn.result() for drawn in self._drawn[:there]]

    def _hear(self, _widget: Any, said: dict[str, Any], _buffers: Any) -> None:
        """Write what the page says was picked and dropped; answer when it is on disk, or why it is not."""
        changed = {side: [self.ids[place] for place in said.get(side, ())] for side in ("add", "remove")}
        try:
            change_picks(self.run, **changed)
            self.picked = self._read()
            self.send({"saved": said["number"]})
        except (SelfieError, OSError) as error:
            self.send({"failed": said["number"], "why": str(error)})
        if self.still is not None:
            self.still.update(self.picture())

    def picture(self) -> Any:
        """Draw the gallery small, those picked with a frame: what stays of it without a kernel."""
        tiles = [tile for sprite in self._drawn for tile in _cut(sprite.result())][: len(self.images)]
        for place in self.picked:
            tiles[place] = _framed(tiles[place])
        return show(
            contact_sheet(tiles, STILL_ACROSS), f"{len(tiles)} posts to pick from, those picked framed"
        )


def _in_parts(images: list[str]) -> list[list[str]]:
    """Cut a list of photos into those of each sprite."""
    return [images[start : start + PER_SPRITE] for start in range(0, len(images), PER_SPRITE)]


def draw(gallery: Gallery, names: list[str]) -> bytes:
    """Return the sprite of some photos, a WebP; one that was drawn before is read from the run folder."""
    path = _path(gallery, names)
    if not path.exists():
        tiles = small_among(gallery.photos, names, SIDE, gallery.small)
        with written_whole(path) as unfinished:
            contact_sheet(tiles, ACROSS, gutter=0).save(unfinished, format="WebP", quality=70, method=2)
    return path.read_bytes()


def _path(gallery: Gallery, names: list[str]) -> Path:
    """Say where a sprite is kept: another place for other photos, or for photos that have changed."""
    told = [[name, gallery.photos.stamp(name), name in gallery.small] for name in names]
    key = hashlib.sha256(json.dumps([SIDE, ACROSS, told]).encode()).hexdigest()
    return gallery.run.root / SPRITES / f"{key[:16]}.webp"


def _cut(sprite: bytes) -> list[Image.Image]:
    """Cut a sprite into its tiles, at half their size, those of a last row that is not full among them."""
    small = Image.open(io.BytesIO(sprite)).convert("RGB").reduce(2)
    side = SIDE // 2
    corners = [(x, y) for y in range(0, small.height, side) for x in range(0, small.width, side)]
    return [small.crop((x, y, x + side, y + side)) for x, y in corners]


def _titles(gallery: Gallery, offered: pd.DataFrame) -> list[str]:
    """Say rank and score of each offered post."""
    ranks = best_first(gallery.scores).reset_index().set_index("post_id")["index"] + 1
    scores = zip(offered["post_id"], offered["score"], strict=True)
    return [f"Rank {ranks[post_id]:,} of {len(ranks):,}, score {score:.1%}" for post_id, score in scores]


def _filters(gallery: Gallery, offered: pd.DataFrame) -> dict[str, list[int]]:
    """Say by the names of what is known which of the offered posts have it; what none has is left out."""
    known = gallery.known.set_axis(gallery.scores["post_id"]).loc[offered["post_id"]]
    found = {name: np.flatnonzero(known[name].fillna(False).to_numpy(bool)).tolist() for name in known}
    return {name: places for name, places in found.items() if places}


def _framed(tile: Image.Image) -> Image.Image:
    framed = tile.copy()
    ImageDraw.Draw(framed).rectangle((0, 0, tile.width - 1, tile.height - 1), outline=MARK, width=3)
    return framed


def _watch(seen: "weakref.ref[Picker]", run: Any) -> None:
    """Take over what another tab has picked, while the widget is there."""
    path, before = run.root / f"{PICKS}.parquet", 0
    while (picker := seen()) is not None and picker.comm is not None:
        now = path.stat().st_mtime_ns if path.exists() else 0
        if now != before:
            with suppress(SelfieError, OSError):  # who picks next is told
                picker.picked = picker._read()
            before = now
        del picker
        time.sleep(WATCHED)


def pick(gallery: Gallery, offered: pd.DataFrame) -> Any:
    """Let somebody pick among `offered` posts (post_id, image, score, best first); live only.

    In batch runs it says where to pick, and draws the tiles, so that they are there at once when it is live.
    """
    if is_live():
        return LivePicker(Picker(gallery, offered))
    parts = _in_parts(offered["image"].tolist())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        deque(pool.map(partial(draw, gallery), parts), maxlen=0)
    for stale in set((gallery.run.root / SPRITES).glob("*.webp")) - {_path(gallery, one) for one in parts}:
        stale.unlink(missing_ok=True)
    return Markdown(UNSEEN)


class LivePicker(Live):
    """A picker, and the picture that stays of it, which is drawn again at every pick."""

    def __init__(self, picker: Picker):
        super().__init__(show(contact_sheet([Image.new("RGB", (1, 1))], 1), ""), picker)

    def _ipython_display_(self) -> None:
        super()._ipython_display_()
        self.widget.fill()
        self.widget.still.update(self.widget.picture())  # last: the page has its tiles by now

    def _show_still(self) -> None:
        self.widget.still = display(self.still, display_id=True)
