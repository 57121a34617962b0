"""What `selfie gather mastodon` has gathered."""

from pathlib import Path

import pandas as pd

from selfie_utils.core.errors import SelfieError
from selfie_utils.posts.gather import DATABASE, open_gathered
from selfie_utils.posts.importers.origin import Source, drop_list

COLUMNS = "image, post_id, user_id, followers, likes, tags, posted_at, collected_at, url, alt_text"


def read_mastodon(source: Path) -> Source:
    """Read the posts of a gathered folder that have their photo; of the others, say why not.

    Raises SelfieError where nothing was gathered.
    """
    if not (source / DATABASE).is_file():
        raise SelfieError(
            f"There is no {DATABASE} in {source}: gather there first, with `selfie gather mastodon`."
        )
    with open_gathered(source) as base:
        posts = pd.read_sql_query(f"SELECT {COLUMNS} FROM posts WHERE state = 'present'", base)
        others = base.execute(
            "SELECT post_id, coalesce(reason, '') FROM posts WHERE state != 'present'"
        ).fetchall()
        others += base.execute("SELECT post_id, reason FROM left_out").fetchall()
    if posts.empty and not others:
        raise SelfieError(f"Nothing was gathered in {source} yet: run `selfie gather mastodon` again.")
    dropped = [(post_id, reason or "image has not come yet") for post_id, reason in others]
    notes = ["Posts younger than a month are labelled only after `selfie gather mastodon --refresh`."]
    return Source(posts, source / "images", drop_list(dropped), notes)
