"""A film of a photo going through a network: a column of channels a stage, one after the other."""

import base64
import io
from collections.abc import Mapping
from typing import NamedTuple

import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.show.display import save_figure
from selfie_utils.show.sheets import GUTTER_COLOUR

PAUSE, AT_THE_END = 600, 3000  # ms that a frame stands, and the last one
GAP, HEAD = 10, 38  # px between columns, and above them for the names of stages
SOFT, BRIGHT, MARK = (150, 150, 150), (240, 240, 240), (240, 228, 66)


class Scene(NamedTuple):
    """What a film shows."""

    photo: Image.Image  # square
    stages: Mapping[str, np.ndarray]  # channels of each stage, (K, H, W), strongest first
    verdict: str  # what the network says in the end


def colour(maps: np.ndarray) -> np.ndarray:
    """Colour channels (K, H, W), each from 0, dark, to its own largest value: uint8 (K, H, W, 3)."""
    top = maps.max((1, 2), keepdims=True)
    shares = np.where(top > 0, maps.clip(min=0) / np.where(top > 0, top, 1), 0)
    return (matplotlib.colormaps["inferno"](shares)[..., :3] * 255).round().astype(np.uint8)


def film_frames(scene: Scene, size: int = 52) -> list[Image.Image]:
    """Draw a frame a stage, each with one column more; the last one has them all, and the verdict.

    A channel is a tile of `size` px, its grid enlarged without smoothing.
    """
    if not scene.stages:
        raise SelfieError("There is no stage to show: a film needs a network with stages of convolutions.")
    rows = max(len(maps) for maps in scene.stages.values())
    height = rows * (size + 2) - 2
    photo = scene.photo.resize((4 * size, 4 * size), Image.Resampling.LANCZOS)
    width = photo.width + len(scene.stages) * (size + GAP + 8) + 2 * GAP + 3 * size
    ground = Image.new("RGB", (width, height + HEAD + 2 * GAP), GUTTER_COLOUR)
    ground.paste(photo, (GAP, HEAD + GAP + (height - photo.height) // 2))
    frames: list[Image.Image] = []
    for i, (name, maps) in enumerate(scene.stages.items()):
        if frames:
            ground = _heading(ground, i - 1, list(scene.stages)[i - 1], photo.width, size, SOFT)
        left = _left_of(i, photo.width, size)
        for row, pixels in enumerate(colour(maps)):
            tile = Image.fromarray(pixels).resize((size, size), Image.Resampling.NEAREST)
            ground.paste(tile, (left, HEAD + GAP + row * (size + 2)))
        ground = _heading(ground, i, f"{name}", photo.width, size, MARK)
        _grid(ground, maps, left, size)
        frames.append(ground.copy())
    _tell(frames[-1], scene.verdict, _left_of(len(scene.stages), photo.width, size), height)
    return frames


def _left_of(column: int, photo: int, size: int) -> int:
    return photo + 2 * GAP + column * (size + GAP + 8)


def _heading(
    ground: Image.Image, column: int, name: str, photo: int, size: int, fill: tuple[int, int, int]
) -> Image.Image:
    """Write the name of a stage above its column, over the one that stood there."""
    left = _left_of(column, photo, size)
    draw = ImageDraw.Draw(ground)
    draw.rectangle((left - 4, 4, left + size + 12, HEAD // 2 + 2), fill=GUTTER_COLOUR)
    draw.text((left, 5), name, font=ImageFont.load_default(13), fill=fill)
    return ground


def _grid(ground: Image.Image, maps: np.ndarray, left: int, size: int) -> None:
    """Write under the name how fine the stage's grid is."""
    text = f"{maps.shape[1]} x {maps.shape[2]}"
    ImageDraw.Draw(ground).text((left, HEAD // 2 + 5), text, font=ImageFont.load_default(11), fill=SOFT)


def _tell(ground: Image.Image, verdict: str, left: int, height: int) -> None:
    """Write the verdict at the end of the row, in the middle."""
    at = (left, HEAD + GAP + height // 2)
    ImageDraw.Draw(ground).multiline_text(
        at, verdict, font=ImageFont.load_default(20), fill=BRIGHT, anchor="lm"
    )


def animate(frames: list[Image.Image]) -> bytes:
    """Return frames as an animated WebP that starts again for ever."""
    out, pauses = io.BytesIO(), [PAUSE] * (len(frames) - 1) + [AT_THE_END]
    options = {"append_images": frames[1:], "save_all": True, "duration": pauses, "loop": 0}
    frames[0].save(out, format="WEBP", quality=80, method=4, **options)
    return out.getvalue()


class Film(NamedTuple):
    """An animated WebP for display; IPython's own pictures know that format only lately."""

    data: bytes
    alt: str
    width: int  # px
    name: str  # of the figure

    def _repr_mimebundle_(self, **_asked: object) -> tuple[dict, dict]:
        told = {"image/webp": {"alt": self.alt, "width": self.width, "figure": self.name}}
        return {"image/webp": base64.b64encode(self.data).decode()}, told


def save_film(run: RunFolder, name: str, frames: list[Image.Image], alt: str) -> Film:
    """Write figures/NAME.webp, the film, and NAME.jpg, its last frame; return the film for display."""
    save_figure(run, name, frames[-1], alt)
    film = animate(frames)
    with written_whole(run.root / "figures" / f"{name}.webp") as partial:
        partial.write_bytes(film)
    return Film(film, alt, frames[0].width, name)
