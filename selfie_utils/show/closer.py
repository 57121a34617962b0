"""A closer look at any tile: the table that a contact sheet brings along, from which photos are opened.

It travels as data beside the picture, in a notebook's output and in a report page; `inspector.js` reads it.
"""

import base64
import io
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from PIL import Image

from selfie_utils.photos.images import Images
from selfie_utils.show.sheets import Place, contact_sheet, place_in_grid, places_of, small_among

MIME = "application/vnd.selfie.closer+json"
MOST_TILES = 4000  # of a sheet; a larger one is a picture and nothing else
# Pixels that the thumbnails of a sheet may have together, at 0.2 bytes each: a third of a report page.
OPENED = 9_500_000  # of photos on the sheet, which are opened
OTHERS = 3_000_000  # of their nearest that are not on it
SIDES = (192, 160, 128, 96, 64, 48)  # px of a thumbnail; the largest that so many photos allow
QUALITY = 70


class About(Protocol):
    """What is known of photos, by their names."""

    def in_words(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """Return for each photo title (str), brief (str), facts (dict of str) and has (list of str)."""

    def nearest(self, names: Sequence[str]) -> list[list[str]]:
        """Return for each photo those that are most like it to the network, the nearest first."""


@dataclass(frozen=True)
class Closer:
    """What a closer look at the photos of a sheet needs.

    Photos in `small` are shown at 48 px at most, here too.
    """

    images: Images
    about: About
    small: Collection[str] = ()

    def table(self, sheet: Image.Image) -> dict[str, Any]:
        """Return the table of a sheet, plain JSON; empty where it holds no photo, or too many.

        size: px of the sheet. tiles: for each, its photo, left, top and side (px of the sheet), and 1 where
        what is drawn there is not the plain photo. photos: those on the sheet, then their nearest, each with
        title, brief, facts (pairs), has, near (numbers of photos; not of those that are only near), small
        (bool) and at (sprite, left, top, side), where a sprite holds it. sprites: WebP pictures as data
        URIs. Nothing in it tells the name of a file.
        """
        places = places_of(sheet)
        if not 0 < len(places) <= MOST_TILES:
            return {}
        shown = list(dict.fromkeys(place.image for place in places))
        small = {*self.small, *(place.image for place in places if place.is_small)}
        photos = self._photos(shown, small)
        sprites: list[str] = []
        for names, side in _to_draw(places, list(photos)):
            for name, place in zip(names, places_of(drawn := self._sprite(names, side, small)), strict=True):
                photos[name]["at"] = [len(sprites), place.left, place.top, place.size]
            sprites.append(_as_uri(drawn))
        numbers = {name: i for i, name in enumerate(photos)}
        tiles = [[numbers[p.image], p.left, p.top, p.size, int(not p.is_plain)] for p in places]
        return {"size": [*sheet.size], "tiles": tiles, "photos": [*photos.values()], "sprites": sprites}

    def _photos(self, shown: list[str], small: Collection[str]) -> dict[str, dict[str, Any]]:
        """Return what is known of the photos on a sheet, and of their nearest, by name."""
        near = self.about.nearest(shown)
        names = list(dict.fromkeys([*shown, *(name for some in near for name in some)]))
        numbers = {name: i for i, name in enumerate(names)}
        known = dict(zip(names, self.about.in_words(names), strict=True))
        for name, some in zip(shown, near, strict=True):
            known[name]["near"] = [numbers[other] for other in some]
        return {
            name: {
                "near": [],
                **one,
                "facts": [list(f) for f in one["facts"].items()],
                "small": name in small,
            }
            for name, one in known.items()
        }

    def _sprite(self, names: Sequence[str], side: int, small: Collection[str]) -> Image.Image:
        """Draw thumbnails on one square sheet, which knows their places."""
        columns = max(1, round(len(names) ** 0.5))
        sprite = contact_sheet(small_among(self.images, names, side, small), columns)
        return place_in_grid(sprite, names, columns, side, small)


def _to_draw(places: Sequence[Place], photos: list[str]) -> Iterator[tuple[list[str], int]]:
    """Say which photos need thumbnails, and how large: those that a sheet shows smaller or not at all."""
    plain = list(dict.fromkeys(place.image for place in places if place.is_plain))
    free = {place.image for place in places if not place.is_small}
    side = _side(len(plain), OPENED)
    if free.intersection(plain) and side > max(place.size for place in places):
        yield plain, side
    shown = {place.image for place in places}
    others = [name for name in photos if name not in shown]
    side = min(64, _side(len(others), OTHERS))
    if others:
        yield others[: OTHERS // side**2], side


def _side(count: int, pixels: int) -> int:
    """Return the largest side of which `count` thumbnails have at most so many pixels, or the smallest."""
    return next((side for side in SIDES if count * side**2 <= pixels), SIDES[-1])


def _as_uri(picture: Image.Image) -> str:
    out = io.BytesIO()
    picture.save(out, format="WebP", quality=QUALITY, method=2)
    return f"data:image/webp;base64,{base64.b64encode(out.getvalue()).decode()}"
