"""Copies of a photo are found, other photos are not, and both sides of the split never share one."""

import io

import imagehash
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from skimage import data

from selfie_utils.photos.copies import (
    FINE,
    HASHES,
    copies_in_words,
    count_bits,
    find_copies,
    find_no_copies,
    join,
    near_pairs,
    perceptual_hash,
    tie_users,
)
from selfie_utils.posts.labels import LabelRules, label_posts

SCENES = ["astronaut", "chelsea", "coffee", "rocket", "immunohistochemistry", "retina"]


def photo(name):
    return Image.fromarray(getattr(data, name)())


def resaved(image, scale, quality):
    out = io.BytesIO()
    image.resize((int(image.width * scale), int(image.height * scale))).save(out, "JPEG", quality=quality)
    return Image.open(out)


def tables(photos, users=None, days=None):
    """Posts and faces of some photos, by image name; faces stand in another order."""
    hashes = {name: perceptual_hash(p) for name, p in photos.items()}
    return tables_of_hashes(hashes, users, days)


def tables_of_hashes(hashes, users=None, days=None):
    names = list(hashes)
    posts = pd.DataFrame({"image": names, "post_id": [f"p-{name}" for name in names]})
    posts["user_id"] = users or [f"u{i}" for i in range(len(names))]
    if days:
        posts["posted_at"] = pd.to_datetime([f"2015-01-{day:02d}" for day in days], utc=True)
    faces = pd.DataFrame([{"image": name, "faces": 1, **found} for name, found in hashes.items()])
    return posts, faces.astype(dict.fromkeys(HASHES, "uint64")).iloc[::-1]


def a_hash(coarse=0, fine=(0, 0, 0, 0), detail=True):
    """What perceptual_hash makes of a photo, made up."""
    return {"phash": coarse, **dict(zip(FINE, fine, strict=True)), "detail": detail}


def sets_of(found):
    return sorted(sorted(names) for names in found.groupby("set")["image"].agg(list))


# --- hashes ----------------------------------------------------------------------------------------------


def test_hashes_are_those_of_the_package_imagehash():
    for name in SCENES[:2]:
        found = perceptual_hash(photo(name))
        assert f"{found['phash']:016x}" == str(imagehash.phash(photo(name), 8))
        assert "".join(f"{found[part]:016x}" for part in FINE) == str(imagehash.phash(photo(name), 16))
        assert found["detail"] is True
        assert list(found) == ["phash", "phash_0", "phash_1", "phash_2", "phash_3", "detail"]


@pytest.mark.parametrize(("contrast", "detail"), [(0, False), (4, False), (5, True)])
def test_a_photo_has_detail_where_luminance_spreads_by_more_than_four(contrast, detail):
    halves = np.full(
        (32, 32), 128, np.uint8
    )  # the standard deviation of two equal halves: half their distance
    halves[:16], halves[16:] = 128 - contrast, 128 + contrast
    assert perceptual_hash(Image.fromarray(halves).convert("RGB"))["detail"] is detail
    assert perceptual_hash(Image.new("RGB", (32, 32), "red"))["detail"] is False  # its channels differ


def test_a_photo_resized_and_compressed_anew_is_a_copy_and_others_are_not():
    photos = {name: photo(name) for name in SCENES}
    photos |= {f"{name} again": resaved(photos[name], 0.5, 60) for name in SCENES[:3]}
    photos["astronaut small"] = resaved(photos["astronaut"], 0.3, 80)
    assert sets_of(find_copies(*tables(photos))) == [
        ["astronaut", "astronaut again", "astronaut small"],
        ["chelsea", "chelsea again"],
        ["coffee", "coffee again"],
    ]


def test_plain_photos_are_not_copies_of_each_other():
    photos = {c: Image.new("RGB", (90, 90), c) for c in ("black", "white", "grey", "red")}
    assert find_copies(*tables(photos)).empty


# --- which photos are copies -----------------------------------------------------------------------------

FOUR_BITS, FIVE_BITS = 1 | 1 << 20 | 1 << 41 | 1 << 63, 1 | 1 << 20 | 1 << 41 | 1 << 62 | 1 << 63


@pytest.mark.parametrize(
    ("other", "is_copy"),
    [
        (a_hash(), True),
        (a_hash(FOUR_BITS), True),
        (a_hash(FIVE_BITS), False),
        (a_hash(0, (0xFF, 0xFF, 0, 0xFF)), True),  # 24 fine bits
        (a_hash(0, (0xFF, 0xFF, 0, 0x1FF)), False),  # 25
        (a_hash(FOUR_BITS, (0, 0, 0xFFFFFF << 40, 0)), True),
        (a_hash(FIVE_BITS, (0, 0, 0, 0)), False),
        (a_hash(0, (0, 0, 0, 0), detail=False), False),
    ],
)
def test_copies_differ_in_at_most_4_coarse_and_24_fine_bits(other, is_copy):
    far = a_hash(0x0F0F0F0F0F0F0F0F, (2**64 - 1,) * 4)
    posts, faces = tables_of_hashes({"far": far, "one": a_hash(), "other": other})
    assert sets_of(find_copies(posts, faces)) == ([["one", "other"]] if is_copy else [])


def test_a_chain_of_copies_is_one_set_and_posts_of_the_same_photo_too():
    hashes = {"a": a_hash(0b1111), "b": a_hash(0b11111111), "c": a_hash(0b111111111111), "d": a_hash(2**63)}
    posts, faces = tables_of_hashes(hashes)
    again = posts[posts["image"] == "d"].assign(post_id="d again", user_id="another")
    found = find_copies(pd.concat([again, posts]), faces)
    assert sets_of(found) == [["a", "b", "c"], ["d", "d"]]
    assert found.sort_values("post_id")["post_id"].tolist() == ["d again", "p-a", "p-b", "p-c", "p-d"]


def test_photos_that_could_not_be_read_are_left_out():
    posts, faces = tables_of_hashes({name: a_hash() for name in "xaby"})
    found = find_copies(posts, faces[faces["image"].isin(["a", "b"])])
    assert sets_of(found) == [["a", "b"]]
    assert list(found) == ["post_id", "image", "user_id", "set", "first"]
    nothing = find_copies(posts, faces.head(0))
    assert nothing.empty and list(nothing) == list(found)


def test_the_table_without_copies_is_like_that_with_some():
    some = find_copies(*tables_of_hashes({"a": a_hash(), "b": a_hash()}))
    assert find_no_copies().empty and list(find_no_copies()) == list(some)
    assert find_no_copies()["set"].dtype == some["set"].dtype == "int64"
    assert find_no_copies()["first"].dtype == some["first"].dtype == "bool"


# --- which is the first ----------------------------------------------------------------------------------


def sets_of_three(count, days):
    """Sets of three copies each, of days 1 to 3 in an order drawn by lot; the photos of sets differ."""
    rng = np.random.default_rng(0)
    hashes = [int(h) for h in rng.integers(0, 2**63, count)]
    photos = {f"{s}{side}": a_hash(hashes[s], (hashes[s],) * 4) for s in range(count) for side in "abc"}
    dates = [day for _ in range(count) for day in rng.permutation(days)]
    posts, faces = tables_of_hashes(photos, days=dates)
    order = rng.permutation(len(posts))
    return posts.iloc[order], faces


def test_the_earliest_post_of_each_set_is_the_first():
    posts, faces = sets_of_three(30, [1, 2, 3])
    found = find_copies(posts, faces)
    assert sorted(set(found["set"])) == list(range(30)) and len(found) == 90
    assert (found["image"].str[:-1].groupby(found["set"]).nunique() == 1).all()
    assert (found["user_id"].to_numpy() == posts.set_index("image").loc[found["image"], "user_id"]).all()
    days = found["image"].map(posts.set_index("image")["posted_at"]).dt.day
    assert days[found["first"]].tolist() == [1] * 30 and set(days[~found["first"]]) == {2, 3}


@pytest.mark.parametrize("dates", [True, False])
def test_between_posts_of_equal_date_a_lot_decides_whatever_the_order_of_the_table(dates):
    posts, faces = sets_of_three(60, [5, 5, 5])
    posts = posts if dates else posts.drop(columns="posted_at")
    found = [find_copies(posts.sample(frac=1, random_state=s), faces) for s in (1, 2)]
    first, again = ({*table.loc[table["first"], "post_id"]} for table in found)
    assert first == again and len(first) == 60
    for side in "abc":  # fair: a lot that gives fewer than 8 of 60 to one of three has a chance of 1 in 3000
        assert 8 <= sum(name.endswith(side) for name in first) <= 34


# --- near pairs and sets ---------------------------------------------------------------------------------


@given(st.lists(st.integers(0, 2**64 - 1), min_size=1))
def test_bits_are_counted_as_python_counts_them(words):
    words = [0, 2**64 - 1, 1, 2**63, *words]
    assert count_bits(np.array(words, np.uint64)).tolist() == [word.bit_count() for word in words]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 120), st.integers(0, 4))
def test_all_near_pairs_are_found_and_no_others(seed, count, bits):
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 2**64, count, dtype=np.uint64)
    for i in range(1, count, 2):  # every second is the one before it with some bits turned
        turned = rng.choice(64, rng.integers(0, 6), replace=False)
        hashes[i] = hashes[i - 1] ^ np.uint64(sum(1 << int(bit) for bit in turned))
    hashes = rng.permutation(hashes)
    distance = np.bitwise_count(hashes[:, None] ^ hashes[None])
    wanted = [[i, j] for i, j in np.argwhere(distance <= bits).tolist() if i < j]
    assert near_pairs(hashes, bits).tolist() == wanted


@pytest.mark.parametrize("blocks", [range(4), range(2, 6), [0, 2, 3, 5]])
def test_four_bits_in_any_four_of_the_six_blocks_are_near(blocks):
    edges = [0, 11, 21, 32, 43, 53, 64]  # 64 bits in six blocks as equal as can be
    for side in (0, 1):
        bits = [edges[b] if side == 0 else edges[b + 1] - 1 for b in blocks]
        hashes = np.array([0, sum(1 << bit for bit in bits)], np.uint64)
        assert near_pairs(hashes).tolist() == [[0, 1]]


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 30), st.data())
def test_a_set_is_all_that_a_chain_of_pairs_leads_to(count, draw):
    number = st.integers(0, count - 1)
    pairs = draw.draw(st.lists(st.tuples(number, number), max_size=20))
    sets = {i: {i} for i in range(count)}
    for a, b in pairs:
        merged = sets[a] | sets[b]
        sets |= dict.fromkeys(merged, merged)
    found = join(np.array(pairs, np.int64).reshape(-1, 2), count)
    assert found.dtype == np.int64
    assert [set(np.flatnonzero(found == found[i])) for i in range(count)] == [sets[i] for i in range(count)]


# --- users and the split ---------------------------------------------------------------------------------


def test_users_who_share_a_photo_are_tied_through_chains():
    users, sets = ["c", "b", "b", "a", "d", "d", "g", "f", "e"], [0, 0, 1, 1, 2, 2, 3, 3, 3]
    asked = pd.Series(["e", "a", "h", "b", "c", "d", "f", "a"], range(5, 13))
    tied = tie_users(asked, pd.DataFrame({"user_id": users, "set": sets}))
    assert tied.tolist() == ["e", "a", "h", "a", "a", "d", "e", "a"]  # named after the first by alphabet
    assert tied.index.equals(asked.index)
    assert tie_users(asked, find_no_copies()).tolist() == asked.tolist()


def copies_of(users, sets):
    return pd.DataFrame({"user_id": users, "set": sets, "post_id": range(len(users))})


@pytest.mark.parametrize(
    ("rule", "fate"),
    [
        ("together", "stay on one side of the split"),
        ("drop", "are dropped, but for the first"),
        ("ignore", "are left as they are"),
    ],
)
def test_words_count_posts_photos_and_users_and_say_what_becomes_of_them(rule, fate):
    copies = copies_of(["a", "a", "b", "c", "b", "c", "b"], [0, 0, 1, 1, 2, 2, 2])
    assert copies_in_words(copies, 12345, rule) == (
        "**7** of 12,345 posts show one of **3** photos that were posted more than once, "
        f"2 of them by more than one user. Such posts {fate}."
    )
    many = copies_of(["a", "b"] * 2000, np.repeat(range(2000), 2))
    assert "**4,000** of 9 posts show one of **2,000** photos" in copies_in_words(many, 9, rule)
    assert (
        copies_in_words(find_no_copies(), 1200, rule) == "None of the 1,200 posts shows a photo of another."
    )


@pytest.fixture(scope="module")
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
    posts, faces = tables(photos, days=[20 + i % 2 * (i % 3 - 1) for i in range(60)])
    posts = posts.assign(
        followers=range(100, 160), likes=range(60), tags=0, collected_at=pd.Timestamp("2015-06-01", tz="UTC")
    )
    return posts, faces


def labelled(many, fate, **changes):
    posts, faces = many
    posts = posts.assign(**changes) if changes else posts
    return label_posts(posts, faces, LabelRules(group_size=2, copies=fate), find_copies(posts, faces))


def crossing(labels):
    """Count the pairs that stand on two sides of the split."""
    pair = labels["image"].str.removesuffix(".jpg").astype(int) // 2
    return int((labels.groupby(pair)["split"].nunique() > 1).sum())


def test_copies_stay_together_or_are_split_or_dropped_as_the_rule_says(many):
    together, _ = labelled(many, "together")
    assert len(together) == 60 and crossing(together) == 0
    apart, _ = labelled(many, "ignore")
    assert len(apart) == 60 and crossing(apart) > 0
    dropped, funnel = labelled(many, "drop")
    assert len(dropped) == 30 and funnel["not a copy of an earlier photo"] == 30
    assert list(funnel.index)[2:4] == ["with at least one face", "not a copy of an earlier photo"]
    posts = many[0].set_index("image")
    for name in dropped["image"]:
        twin = f"{int(name.removesuffix('.jpg')) ^ 1}.jpg"
        assert posts.loc[name, "posted_at"] <= posts.loc[twin, "posted_at"]  # the earlier one stays
    assert len(set(dropped["image"].str.removesuffix(".jpg").astype(int) // 2)) == 30


def test_copies_among_posts_of_own_labels_stay_together_too(many):
    together, _ = labelled(many, "together", label=[0, 1] * 30)
    apart, _ = labelled(many, "ignore", label=[0, 1] * 30)
    assert crossing(together) == 0 < crossing(apart)
