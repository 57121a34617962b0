"""The heart of the bot: a photo in, a few sentences and a small picture out; it knows no social network."""

import io

import numpy as np
from PIL import Image

from selfie_utils.analysis.answer import Answer, Rater, read
from selfie_utils.apps.manners import Reply, sorry
from selfie_utils.photos.images import TOO_LARGE, UnreadableImage, squish
from selfie_utils.show.display import encode
from selfie_utils.show.sheets import UNRECOGNISABLE, framed, outlined, small_among, titled

TILE = 112  # px a side, of the photo and of its neighbours
NEIGHBOURS = 3  # posts on each side
SQUARE = 1.03  # longer / shorter side up to which nobody sees that a photo is squished
NINTHS = [
    "at the top left", "at the top", "at the top right", "on the left", "in the middle", "on the right",
    "at the bottom left", "at the bottom", "at the bottom right",
]  # fmt: skip
WORTH_TELLING = 1.0  # points by which a ninth of the photo moves the score
ANIMATED = ("GIF", "WEBP", "PNG", "AVIF")  # a phone's MPO holds two pictures too, and is a photo
GOODBYE = "It is about the photo, never about you. Say delete or stop, and I do."


class Bot:
    """Answers for photos with the network of a run; each is in memory only while it is answered for."""

    def __init__(self, rater: Rater):
        self.rater = rater

    def answer(self, data: bytes) -> Reply:
        """Answer for the file of a photo; never raises for what a file may hold."""
        try:
            if _moves(data):
                return sorry("animation")
            photo = read(data)
        except UnreadableImage as error:
            return sorry("huge" if str(error) == TOO_LARGE else "broken")
        found = self.rater.place(photo)
        if not found.faces:
            return sorry("no face")
        if max(photo.size) > SQUARE * min(photo.size):
            found = self.rater.look(found)
        picture, kind = encode(self.draw(found))
        told = [_score(found), self._trust(found), self._moved(found), _crop(found), _several(found), GOODBYE]
        return Reply(tuple(filter(None, told)), picture, kind, _alt(found))

    def _trust(self, found: Answer) -> str:
        if found.outside:
            return "The network does not know photos like this one, so take it as a guess."
        return "It was taught with people who do not exist." if self.rater.teachers.simulated else ""

    def _moved(self, found: Answer) -> str:
        """Say which ninth of the photo raises the score most and which lowers it: each is painted over.

        Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014.
        """
        pixels = np.asarray(squish(found.photo, self.rater.scorer.size))
        edges = np.linspace(0, len(pixels), 4).round().astype(int)
        painted = np.repeat(pixels[None], 9, axis=0)  # (9, S, S, 3)
        for i, one in enumerate(painted):
            (top, bottom), (left, right) = edges[i // 3 : i // 3 + 2], edges[i % 3 : i % 3 + 2]
            one[top:bottom, left:right] = pixels.mean((0, 1))
        without = self.rater.scorer.rate(painted).score
        change = 100 * (without - found.score)
        ends = (("raises", int(change.argmin()), -1), ("lowers", int(change.argmax()), 1))
        told = [f"what {verb} it most is {NINTHS[i]} (painted over: {without[i]:.1%})"
                for verb, i, sign in ends if sign * change[i] >= WORTH_TELLING]  # fmt: skip
        sentence = ", ".join(told)
        return f"{sentence[0].upper()}{sentence[1:]}." if told else "No part of it counts more than others."

    def draw(self, found: Answer) -> Image.Image:
        """Draw the photo in its place on the continuum, the better posts left; the worst are kept small."""
        above, below = found.above[-NEIGHBOURS:], found.below[:NEIGHBOURS]
        posts, place = [*above, *below], len(above)
        small = {post.image for post in posts if post.small}
        tiles = small_among(self.rater.images, [post.image for post in posts], TILE, small)
        mine = framed(squish(found.photo, UNRECOGNISABLE if found.small else TILE), TILE)
        tiles[place:place] = [outlined(mine)]
        scores = [post.score for post in above] + [found.score] + [post.score for post in below]
        return titled(tiles, [f"{score:.1%}" for score in scores], points=20)


def _moves(data: bytes) -> bool:
    """Tell whether a file holds an animation; what can't be opened is for others to tell."""
    try:
        with Image.open(io.BytesIO(data), formats=[f for f in ANIMATED if f in Image.OPEN]) as image:
            return bool(getattr(image, "is_animated", False))
    except Exception:  # Pillow's plugins raise almost anything on broken files
        return False


def _score(found: Answer) -> str:
    lower = f"of {found.crowd:,} test posts {found.percentile:.0%} score lower"
    return f"Your photo scores {found.score:.1%}: {lower}."


def _crop(found: Answer) -> str:
    if found.look is None:
        return ""
    crop = found.look.crop
    best = f"; its best square crop scores {crop['crop_score']:.1%} ({found.gain:+.1f})" if crop else ""
    return f"For best results send a square image: yours was squished{best}."


def _several(found: Answer) -> str:
    return f"{found.faces} faces share this score." if found.faces > 1 else ""


def _alt(found: Answer) -> str:
    """Say in words what the picture shows."""
    sides = (found.above[-NEIGHBOURS:], found.below[:NEIGHBOURS])
    better, worse = (", ".join(f"{post.score:.1%}" for post in posts) or "nothing" for posts in sides)
    place = f"place {found.rank:,} of {found.crowd + (not found.itself):,}"
    return (
        f"A row of small photos, the best left. Yours, in a yellow frame, has {place}, {found.score:.1%}; "
        f"just better: {better}; just worse: {worse}."
    )
