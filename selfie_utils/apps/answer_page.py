"""Answers as HTML: a card for each photo, and a page of cards that needs no other file."""

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader
from PIL import Image

from selfie_utils.analysis.answer import Answer, Answered, Post, Rater, answer_all
from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import written_whole
from selfie_utils.core.run_folder import RunFolder
from selfie_utils.model.saliency import GRAD_CAM
from selfie_utils.model.scorer import Scorer
from selfie_utils.photos.images import Images, squish
from selfie_utils.show.display import encode
from selfie_utils.show.inside import overlay
from selfie_utils.show.sheets import UNRECOGNISABLE, cropped, marked, size_of_crop, small_among

HERE = Path(__file__).parent
LOOK, TILE = 240, 80  # px a side, of what it looks at and of posts
COLOURS = "blue raises the score,\norange lowers it"


def card(answer: Answer, images: Images) -> str:
    """Return an answer as a piece of HTML that holds its pictures; `images` are those of the test posts."""
    return _environment().get_template("answer_page.card.html").render(
        title=f"Score {answer.score:.1%}", sentences=answer.sentences(), small=answer.small,
        looks=_looks(answer), place=_place(answer, images),
        nearest=[_tile(post, images, f"{post.distance:.3f} apart") for post in answer.nearest],
    )  # fmt: skip


def style() -> str:
    """Return the style sheet of cards."""
    return (HERE / "answer_page.css").read_text(encoding="utf-8")


def page(rater: Rater, answered: Answered) -> str:
    """Return a page of answers that needs no other file and asks for nothing."""
    return _environment().get_template("answer_page.html").render(
        style=style(), run=rater.run.root.name, crowd=rater.crowd, unread=answered.unread,
        left_out=answered.left_out, cards=[card(one, rater.images) for one in answered.answers],
    )  # fmt: skip


def write_page(path: Path, rater: Rater, answered: Answered) -> None:
    """Write a page of answers, whole or not at all; raise SelfieError where it can't be written."""
    try:
        with written_whole(path) as partial:
            partial.write_text(page(rater, answered), encoding="utf-8")
    except OSError as error:
        raise SelfieError(
            f"{path} cannot be written ({error.strerror or error}): give another file."
        ) from None


def check_page(path: Path) -> Path:
    """Return where a page is to be written; raise SelfieError for the name of something else, a photo say."""
    path = Path(path).expanduser()
    if path.suffix.lower() not in (".html", ".htm"):
        raise SelfieError(
            f"The page is to be {path}, expected a name that ends in .html, such as yours.html."
        )
    return path


def save_page(path: Path, run: RunFolder, scorer: Scorer, photos: Sequence[Path | str]) -> str:
    """Write a page of answers for photos that somebody has named; returns what was done, in words."""
    rater = Rater(run, scorer=scorer)
    answered = answer_all(rater, photos)
    write_page(check_page(path), rater, answered)
    more = f" with the first {len(answered.answers)} photos" if answered.left_out else ""
    return f"The page is {path}{more}."


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(HERE), autoescape=True, trim_blocks=True, lstrip_blocks=True)


def _looks(answer: Answer) -> list[dict[str, Any]]:
    """Return the photo, its best crop and the map of what its score hangs on, each with a caption."""
    size, look = UNRECOGNISABLE if answer.small else LOOK, answer.look
    score = f"{answer.score:.1%}"
    if look is None or look.crop is None:
        cells = [_cell(_fitted(answer.photo, size), "The photo", "the photo", score)]
    else:
        whole = marked(answer.photo, look.crop, size)
        crop = cropped(answer.photo, look.crop, size_of_crop(answer.photo, look.crop, size, answer.small))
        cells = [
            _cell(whole, "The photo, its best square crop marked", "the photo", score),
            _cell(crop, "The best square crop", "its best crop", f"{look.crop['crop_score']:.1%}"),
        ]
    if look is None:
        return cells
    pixels = np.asarray(squish(answer.photo, len(look.saliency)))
    what = "Grad-CAM" if look.method == GRAD_CAM else look.method
    drawn = overlay(pixels, look.saliency).resize((size, size), Image.Resampling.BICUBIC)
    return [*cells, _cell(drawn, "What the score hangs on", f"what counts ({what})", COLOURS)]


def _fitted(photo: Image.Image, size: int) -> Image.Image:
    fitted = photo.copy()
    fitted.thumbnail((size, size))
    return fitted


def _place(answer: Answer, images: Images) -> list[dict[str, Any]]:
    """Return the photo between the test posts just above and just below."""
    size = UNRECOGNISABLE if answer.small else TILE
    mine = _cell(squish(answer.photo, size), "This photo", "this one", f"{answer.score:.1%}")
    above, below = ([_tile(post, images) for post in posts] for posts in (answer.above, answer.below))
    return [*above, mine | {"mine": True}, *below]


def _tile(post: Post, images: Images, below: str = "") -> dict[str, Any]:
    size = UNRECOGNISABLE if post.small else TILE
    (picture,) = small_among(images, [post.image], size, {post.image} if post.small else ())
    told = f"A test post at rank {post.rank:,} that scores {post.score:.1%}"
    return _cell(picture, told, f"{post.rank:,}.", below or f"{post.score:.1%}")


def _cell(picture: Image.Image, alt: str, caption: str, below: str = "") -> dict[str, Any]:
    data, kind = encode(picture)
    uri = f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
    return {"uri": uri, "alt": alt, "width": picture.width, "caption": caption, "below": below, "mine": False}
