"""Copies of a photo are found, other photos are not, and both sides of the split never share one."""

import io

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from skimage import data

from selfie_utils.copies import (
    HASHES,
    copies_in_words,
    find_copies,
    find_no_copies,
    near_pairs,
    perceptual_hash,
    tie_users,
)
from selfie_utils.labels import LabelRules, label_posts

SCENES = ["astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry", "retina"]


def photo(name):
    return Image.fromarray(getattr(data, name)())


def resaved(image, scale, quality):
    out = io.BytesIO()
    image.resize((int(image.width * scale), int(image.height * scale))).save(out, "JPEG", quality=quality)
    return Image.open(out)


def tables(photos, users=None, days=None):
    """Posts and faces of some photos, by image name."""
    names = list(photos)
    posts = pd.DataFrame({"image": names, "post_id": [f"p-{name}" for name in names]})
    posts["user_id"] = users or [f"u{i}" for i in range(len(names))]
    if days:
        posts["posted_at"] = pd.to_datetime([f"2015-01-{day:02d}" for day in days], utc=True)
    faces = pd.DataFrame([{"image": name, "faces": 1, **perceptual_hash(p)} for name, p in photos.items()])
    return posts, faces.astype(dict.fromkeys(HASHES, "uint64"))


def test_a_photo_resized_and_compressed_anew_is_a_copy_and_others_are_not():
    photos = {name: photo(name) for name in SCENES}
    photos |= {f"{name} again": resaved(photos[name], 0.5, 60) for name in SCENES[:3]}
    photos["astronaut small"] = resaved(photos["astronaut"], 0.3, 80)
    found = find_copies(*tables(photos))
    sets = found.groupby("set")["image"].agg(set).tolist()
    assert "**7** of 10 posts show one of **3** photos" in copies_in_words(found, 10, "together")
    assert copies_in_words(find_no_copies(), 10, "drop") == "None of the 10 posts shows a photo of another."
    assert sorted(map(sorted, sets)) == [
        ["astronaut", "astronaut again", "astronaut small"],
        ["chelsea", "chelsea again"],
        ["coffee", "coffee again"],
    ]


def test_plain_photos_are_not_copies_of_each_other():
    photos = {c: Image.new("RGB", (90, 90), c) for c in ("black", "white", "grey", "red")}
    assert find_copies(*tables(photos)).empty


def test_the_earliest_post_is_the_first():
    photos = {"late": photo("coffee"), "early": resaved(photo("coffee"), 0.6, 70), "other": photo("rocket")}
    found = find_copies(*tables(photos, days=[9, 3, 1])).set_index("image")["first"]
    assert found.to_dict() == {"early": True, "late": False}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 200), st.integers(0, 4))
def test_all_near_pairs_are_found_and_no_others(seed, count, bits):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**63, count, dtype=np.uint64)
    for i in range(1, count, 2):  # every second is the one before it with some bits turned
        turned = rng.choice(64, rng.integers(0, 8), replace=False)
        hashes[i] = hashes[i - 1] ^ np.uint64(sum(1 << int(bit) for bit in turned))
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None])
    wanted = {(i, j) for i, j in np.argwhere(distance <= bits).tolist() if i < j}
    assert set(map(tuple, near_pairs(hashes, bits).tolist())) == wanted


def test_users_who_share_a_photo_are_tied_through_chains():
    copies = pd.DataFrame({"user_id": ["a", "b", "b", "c", "d", "d"], "set": [0, 0, 1, 1, 2, 2]})
    tied = tie_users(pd.Series(["a", "b", "c", "d", "e"]), copies)
    assert tied.nunique() == 3 and tied[0] == tied[1] == tied[2]
    assert tie_users(pd.Series(["x"]), find_no_copies()).tolist() == ["x"]


@pytest.fixture
def many():
    """Sixty users with a drawing each; users come in pairs who post the same one."""
    rng, photos = np.random.default_rng(0), {}
    for i in range(0, 60, 2):
        image = Image.new("RGB", (96, 96), tuple(rng.integers(0, 256, 3)))
        draw = ImageDraw.Draw(image)
        for _ in range(12):
            x, y, w, h = rng.integers(0, 60, 4)
            draw.ellipse((x, y, x + w + 8, y + h + 8), fill=tuple(rng.integers(0, 256, 3)))
        photos |= {f"{i}.jpg": image, f"{i + 1}.jpg": resaved(image, 0.8, 85)}
    return tables(photos)


def labelled(many, fate):
    posts, faces = many
    posts = posts.assign(
        followers=range(100, 160), likes=range(60), tags=0,
        posted_at=pd.Timestamp("2015-01-01", tz="UTC"), collected_at=pd.Timestamp("2015-06-01", tz="UTC"),
    )  # fmt: skip
    return label_posts(posts, faces, LabelRules(group_size=2, copies=fate), find_copies(posts, faces))


def crossing(labels):
    """Count the pairs that stand on two sides of the split."""
    pair = labels["image"].str.removesuffix(".jpg").astype(int) // 2
    return int((labels.groupby(pair)["split"].nunique() > 1).sum())


def test_copies_stay_on_one_side_or_are_dropped(many):
    together, _ = labelled(many, "together")
    assert len(together) == 60 and crossing(together) == 0
    assert crossing(labelled(many, "ignore")[0]) > 0  # so that the test above is no luck
    dropped, funnel = labelled(many, "drop")
    assert len(dropped) == 30 and funnel["not a copy of an earlier photo"] == 30
