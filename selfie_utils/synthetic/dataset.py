"""Render the embedded data set: selfies in one archive, their posts, and the truth about both."""

import importlib.util
import io
import zipfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from selfie_utils.core.errors import SelfieError
from selfie_utils.core.files import write_table, written_whole
from selfie_utils.synthetic.audience import draw_likes, draw_posts, draw_users
from selfie_utils.synthetic.celebrities import MOST, draw_celebrities
from selfie_utils.synthetic.plans import Post, draw_cast, draw_plan, draw_post
from selfie_utils.synthetic.seeds import generator
from selfie_utils.synthetic.shards import DATE, Settings, build_places, read_shards, render_shards
from selfie_utils.synthetic.sheet import draw_sheet
from selfie_utils.synthetic.truth import tell_truth

BYTES = 9100  # of a photo, at most on average: 6,000 photos must stay below 55 MB
QUALITIES = (92, 91, 90, 89, 88, 87, 86, 85, 84, 82, 80)  # of the JPEGs, the first that is small enough
EVERY = 20  # photos, of which one is tried
BROKEN = 0.004  # share of files
POSTS_COLUMNS = (
    *("image", "post_id", "user_id", "followers", "likes", "tags", "posted_at", "collected_at"),
    "presented_gender",
)


def synthesize(out: Path, images: int = 6000, seed: int = 0, settings: Settings | None = None) -> None:
    """Render `images` posts into the folder `out`: images.zip, posts.parquet, truth.parquet, and
    a contact sheet of them.

    What is rendered is kept in `out`/shards: a run that was stopped goes on. The same seed, number and
    versions give the same files. Raises SelfieError where the extra `synthetic` is not installed, where
    `images` is below 10, and where `out` was begun otherwise.
    """
    if images < 10:
        raise SelfieError(f"{images} images were asked for: a data set needs 10 at least.")
    settings = settings or Settings()
    out = Path(out)
    places = backgrounds()
    table, posts = draw(images, seed, places)
    shards = out / "shards"
    build_places(places, settings)
    render_shards(shards / "posts", [p.shows for p in posts if not p.is_still_life], settings)
    render_shards(shards / "still_lifes", [p.shows for p in posts if p.is_still_life], settings)
    measured = [known for _, known in read_posts(shards, posts)]
    truth = tell_truth(table[["post_id", "image"]], posts, measured, background_category())
    table["likes"] = draw_likes(generator(seed, "likes"), table, truth["appeal"].to_numpy())
    table["presented_gender"] = truth["presented_gender"]
    quality = fitting_quality(image for image, _ in islice(read_posts(shards, posts), None, None, EVERY))
    photos = (jpeg(image, quality) for image, _ in read_posts(shards, posts))
    write_archive(out / "images.zip", table["image"], break_some(photos, images, generator(seed, "files")))
    write_table(out / "truth.parquet", truth)
    write_table(out / "posts.parquet", table[list(POSTS_COLUMNS)])
    draw_sheet(out)


def backgrounds() -> dict[str, list[str]]:
    """Return which backgrounds go with each light; raise SelfieError where `[synthetic]` is not installed."""
    if importlib.util.find_spec("bpy") is None:
        raise SelfieError(
            "Rendering needs Blender as a Python package (bpy), which is not installed: "
            "with Python 3.11, pip install -e '.[synthetic]'."
        )
    from selfie_utils.synthetic import makehuman

    makehuman.model()  # says here, once, what is missing, and is in the cache when all workers ask for it
    from selfie_utils.synthetic.scenes import BACKGROUNDS

    return BACKGROUNDS


def background_category():
    """Return the function that names the kind of place of a background, such as "street"."""
    from selfie_utils.synthetic import scenes

    return getattr(scenes, "category", str)


def draw(images: int, seed: int, places: dict[str, list[str]]) -> tuple[pd.DataFrame, list[Post]]:
    """Draw posts and what they show; `places` lists the backgrounds that go with each light.

    The table has post_id, image, user_id, followers, tags, posted_at and collected_at.
    """
    rng = generator(seed, "users")
    users = draw_users(rng, images)
    table = draw_posts(rng, users)
    cast, famous = draw_cast(seed, users)
    numbers = pd.Series(users.index, index=users["user_id"])
    posts = [
        draw_post(generator(seed, "posts", i), user, cast, famous, places)
        for i, user in enumerate(table["user_id"].map(numbers))
    ]
    return table, posts


def read_posts(shards: Path, posts: list[Post]) -> Iterator[tuple[Image.Image, dict]]:
    """Read the rendered photos in the order of `posts`, and what is known of each."""
    people, things = read_shards(shards / "posts"), read_shards(shards / "still_lifes")
    for post in posts:
        yield next(things if post.is_still_life else people)


def fitting_quality(photos: Iterable[Image.Image]) -> int:
    """Return the best quality at which the photos take `BYTES` each on average, or the least of all."""
    photos = list(photos)
    for quality in QUALITIES:
        if sum(len(jpeg(photo, quality)) for photo in photos) <= BYTES * len(photos):
            return quality
    return QUALITIES[-1]


def jpeg(photo: Image.Image, quality: int) -> bytes:
    """Return a photo as the bytes of a JPEG, colours at full resolution."""
    out = io.BytesIO()
    photo.save(out, "JPEG", quality=quality, subsampling=0, optimize=True)
    return out.getvalue()


def break_some(photos: Iterable[bytes], count: int, rng: np.random.Generator) -> Iterable[bytes]:
    """Break a few of `count` files on purpose: cut short, empty, or no image at all."""
    broken = rng.choice(count, max(3, round(BROKEN * count)), replace=False)
    kinds = {number: place % 3 for place, number in enumerate(broken.tolist())}
    for i, data in enumerate(photos):
        damaged = (data[: len(data) // 3], b"", b"This is no photo.\n", data)
        yield damaged[kinds.get(i, 3)]


def write_archive(path: Path, names: Iterable[str], photos: Iterable[bytes]) -> None:
    """Write files into a zip with fixed dates: the same photos give the same archive."""
    with written_whole(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
        for name, data in zip(names, photos, strict=True):
            archive.writestr(zipfile.ZipInfo(name, DATE), data)


def synthesize_celebrities(
    out: Path, count: int = 60, seed: int = 0, settings: Settings | None = None
) -> None:
    """Render `count` files into `out`/celebrities: one a celebrity, and the group selfie of the famous four.

    With the seed of a data set, the four are those whose posts are in it.
    """
    if not 5 <= count <= MOST:
        raise SelfieError(f"{count} celebrities were asked for: 5 to {MOST} have names.")
    out = Path(out)
    places = backgrounds()
    photos = draw_celebrities(seed, count, draw_plan, places)
    folder, settings = out / "shards" / "celebrities", settings or Settings(per_shard=20)
    build_places(places, settings)
    render_shards(folder, list(photos.values()), settings)
    for name, (image, _) in zip(photos, read_shards(folder), strict=True):
        with written_whole(out / "celebrities" / f"{name}.jpg") as partial:
            partial.write_bytes(jpeg(image, QUALITIES[0]))
