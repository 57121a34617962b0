"""Near-duplicates: the same photo posted twice must not stand on both sides of the split."""

from itertools import combinations, pairwise

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from selfie_utils.core.draws import find_names, hash_names
from selfie_utils.core.progress import tqdm

FINE = ["phash_0", "phash_1", "phash_2", "phash_3"]
HASHES = ["phash", *FINE]
MOST_BITS = 4  # of 64 in which the coarse hashes of copies may differ
MOST_FINE_BITS = 24  # of 256: copies differ in 20 at most, the most similar of different selfies in 48
BLOCKS = 6  # two at least of six blocks are equal where at most four bits differ
DETAIL = 4  # standard deviation of luminance, of 255, below which a photo shows nothing to compare


def perceptual_hash(photo: Image.Image) -> dict[str, int | bool]:
    """Hash what a photo looks like: phash, 64 bits, phash_0 to phash_3, 256 bits, and detail.

    Bits say which of the lowest frequencies of the photo are strong, so that a photo that was resized or
    compressed anew keeps nearly all of them. A photo without detail, such as a plain colour, has only noise
    to hash. Source: pHash, as in the package imagehash.
    """
    coarse, fine = (np.packbits(imagehash.phash(photo, side).hash).view(">u8").tolist() for side in (8, 16))
    detail = float(np.asarray(photo.convert("L").resize((32, 32)), np.float32).std()) > DETAIL
    return {**dict(zip(HASHES, coarse + fine, strict=True)), "detail": detail}


def find_copies(posts: pd.DataFrame, faces: pd.DataFrame) -> pd.DataFrame:
    """Find posts whose photo is nearly that of another post: resized, compressed anew, posted again.

    `posts` as from `read_posts`, `faces` as from `filter_faces`. Photos without detail all look alike and are
    left out. Returns a row per post that has a copy: post_id, image, user_id, set (int64, one number for all
    copies of a photo), first (bool, the earliest post of its set).
    """
    at = find_names(posts["image"], faces["image"])
    # A photo that could not be read stands at -1: the last of these, which tells nothing.
    telling = np.append(faces["detail"].to_numpy(bool), False)[at]
    found = posts.loc[telling, ["post_id", "image", "user_id"]].copy()
    hashes, which = np.unique(faces[HASHES].to_numpy(np.uint64)[at[telling]], axis=0, return_inverse=True)
    pairs = near_pairs(hashes[:, 0])
    bits = count_bits(hashes[pairs[:, 0], 1:] ^ hashes[pairs[:, 1], 1:]).sum(axis=1)
    found["set"] = join(pairs[bits <= MOST_FINE_BITS], len(hashes))[which]
    found["when"] = posts.loc[telling, "posted_at"] if "posted_at" in posts else 0
    found = found[found["set"].duplicated(keep=False)]
    found["lot"] = hash_names(found["post_id"])
    found = found.sort_values(["set", "when", "lot"])
    found["set"] = pd.factorize(found["set"])[0]
    found["first"] = ~found["set"].duplicated()
    return found.drop(columns=["when", "lot"]).reset_index(drop=True)


def find_no_copies() -> pd.DataFrame:
    """Return the table of `find_copies` without a row."""
    empty = pd.DataFrame(columns=["post_id", "image", "user_id", "set", "first"])
    return empty.astype({"post_id": "str", "image": "str", "user_id": "str", "set": "int64", "first": "bool"})


def count_bits(words: np.ndarray) -> np.ndarray:
    """Return how many bits are set in each uint64; NumPy's own `bitwise_count` came with NumPy 2 only.

    Counts of pairs of bits, then of four, then of bytes, which a multiplication adds up.
    Source: Warren, "Hacker's Delight", 2002, section 5-1.
    """
    twos, fours, bytes_, ones = (np.uint64(int(byte * 8, 16)) for byte in ("55", "33", "0f", "01"))
    words = words - ((words >> np.uint64(1)) & twos)
    words = (words & fours) + ((words >> np.uint64(2)) & fours)
    words = (words + (words >> np.uint64(4))) & bytes_
    return (words * ones >> np.uint64(56)).astype(np.int64)


def near_pairs(hashes: np.ndarray, most_bits: int = MOST_BITS) -> np.ndarray:
    """Return all pairs of positions whose hashes differ in at most `most_bits` bits: int64 (P, 2).

    `hashes` are uint64 (N,). Cut into six blocks, two hashes that differ in up to four bits agree
    in two blocks at least; so we sort by every two blocks and compare only neighbours, in time that grows
    about as N log N. Source: Manku, Jain and Das Sarma, "Detecting near-duplicates for web crawling", 2007.
    """
    edges = np.linspace(0, 64, BLOCKS + 1).round().astype(int)
    masks = [np.uint64(((1 << int(end)) - 1) ^ ((1 << int(start)) - 1)) for start, end in pairwise(edges)]
    ways = tqdm(list(combinations(masks, 2)), desc="comparing hashes", mininterval=2, delay=5)
    found = [_pairs_that_share(hashes, a | b, most_bits) for a, b in ways]
    return np.unique(np.concatenate(found), axis=0)


def _pairs_that_share(hashes: np.ndarray, mask: np.uint64, most_bits: int) -> np.ndarray:
    """Return pairs near each other among hashes that agree in the bits of `mask`."""
    order = np.argsort(hashes & mask, kind="stable")
    key, left = (hashes & mask)[order], np.arange(len(hashes))
    found, step = [np.empty((0, 2), np.int64)], 0
    while len(left):  # compare each with its next neighbour, the one after that, and so on
        step += 1
        left = left[left < len(hashes) - step]
        left = left[key[left] == key[left + step]]
        bits = count_bits(hashes[order[left]] ^ hashes[order[left + step]])
        near = left[bits <= most_bits]
        found.append(np.sort(np.stack([order[near], order[near + step]], axis=1), axis=1))
    return np.concatenate(found)


def join(pairs: np.ndarray, count: int) -> np.ndarray:
    """Number the sets that pairs of positions join: int64 (count,), equal where a chain of pairs leads."""
    graph = coo_matrix((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return connected_components(graph, directed=False)[1].astype(np.int64)


def tie_users(user_ids: pd.Series, copies: pd.DataFrame) -> pd.Series:
    """Give users who posted copies of one photo a common name, so that they stay on one side of the split."""
    if copies.empty:
        return user_ids
    users = pd.factorize(copies["user_id"])
    first_of_set = copies.groupby("set")["user_id"].transform("first")
    other = users[1].get_indexer(first_of_set)
    tied = join(np.stack([users[0], other], axis=1).reshape(-1, 2), len(users[1]))
    leader = pd.Series(users[1], dtype="object").groupby(tied).transform("min")
    at = find_names(user_ids, pd.Series(users[1], dtype="str"))
    names = user_ids.astype("object").to_numpy().copy()
    names[at >= 0] = leader.to_numpy()[at[at >= 0]]
    return pd.Series(names, index=user_ids.index)


def copies_in_words(copies: pd.DataFrame, posts: int, rule: str) -> str:
    """Say in Markdown how many of so many posts show a photo that was posted more than once."""
    if copies.empty:
        return f"None of the {posts:,} posts shows a photo of another."
    users = copies.groupby("set")["user_id"].nunique()
    fates = {"together": "stay on one side of the split", "drop": "are dropped, but for the first"}
    return (
        f"**{len(copies):,}** of {posts:,} posts show one of **{len(users):,}** photos that were posted more "
        f"than once, {int((users > 1).sum()):,} of them by more than one user. Such posts "
        f"{fates.get(rule, 'are left as they are')}."
    )
