"""Numbers that stand for names: lots that don't depend on the order of a table, and names looked up fast."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import pyarrow as pa

# Multipliers of splitmix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
_SEED, _FIRST, _SECOND = (np.uint64(n) for n in (0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB))

AT_ONCE = 2**16  # names hashed at once: what they need stays in the processor's cache


def hash_names(names: pd.Series | Sequence[str], seed: int = 0) -> np.ndarray:
    """Hash each name, together with a seed, to uint64 (N,); equal names get equal numbers on every machine.

    Works on the bytes of Arrow's string columns, eight at a time: five million take a fraction of a second.
    Two different names among five million share a number with a probability of about one in a million.
    """
    text = pa.array(names, type=pa.large_string())
    chunks = text.chunks if isinstance(text, pa.ChunkedArray) else [text]
    return np.concatenate([np.empty(0, np.uint64), *(_hash_chunk(chunk, seed) for chunk in chunks)])


def _hash_chunk(text: pa.LargeStringArray, seed: int) -> np.ndarray:
    """Hash the strings of one piece of memory, some thousand at a time."""
    _, offsets, data = text.buffers()
    edges = np.frombuffer(offsets, np.int64)[text.offset : text.offset + len(text) + 1]
    # Room for a last word that is not full.
    data = np.append(np.frombuffer(data or b"", np.uint8), np.zeros(8, np.uint8))
    words = np.ndarray(len(data) - 7, "<u8", data, strides=(1,))  # the eight bytes from every position on
    hashes = np.empty(len(text), np.uint64)
    for start in range(0, len(text), AT_ONCE):
        part = slice(start, min(start + AT_ONCE, len(text)))
        hashes[part] = _hash(words, edges[part.start : part.stop + 1], seed)
    return hashes


def _hash(words: np.ndarray, edges: np.ndarray, seed: int) -> np.ndarray:
    """Hash the names between neighbouring `edges`, eight bytes at a time."""
    starts, sizes = edges[:-1], np.diff(edges)
    with np.errstate(over="ignore"):
        hashes = _mix(sizes.astype(np.uint64) * _SEED + np.uint64(seed % 2**64))
        for at in range(0, int(sizes.max()), 8):
            hashes = _add_word(hashes, words, starts + at, sizes - at)
    return hashes


def _add_word(hashes: np.ndarray, words: np.ndarray, starts: np.ndarray, left: np.ndarray) -> np.ndarray:
    """Mix in the next eight bytes of every name that has any `left`."""
    word = words[np.minimum(starts, len(words) - 1)]
    beyond = np.uint64(8) * (np.uint64(8) - np.clip(left, 1, 8).astype(np.uint64))  # bits of other names
    return np.where(left > 0, _mix(hashes ^ (word << beyond)), hashes)


def _mix(numbers: np.ndarray) -> np.ndarray:
    numbers = (numbers ^ (numbers >> np.uint64(30))) * _FIRST
    numbers = (numbers ^ (numbers >> np.uint64(27))) * _SECOND
    return numbers ^ (numbers >> np.uint64(31))


def find_names(names: pd.Series, among: pd.Series) -> np.ndarray:
    """Return for each name its position in `among`, whose names are distinct: int64 (N,), or -1."""
    with ThreadPoolExecutor(2) as pool:
        (asked, asked_order), (known, order) = pool.map(_sorted_hashes, (names, among))
    if not len(known):
        return np.full(len(asked), -1)
    # Asking in sorted order keeps the search in the processor's cache.
    place = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    found = np.empty(len(asked), np.int64)
    found[asked_order] = np.where(known[place] == asked, order[place], -1)
    return found


def _sorted_hashes(names: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Return the hashes of names in rising order, and the positions that they come from."""
    hashes = hash_names(names)
    order = np.argsort(hashes)
    return hashes[order], order


def argsort(keys: np.ndarray) -> np.ndarray:
    """Return the order that sorts distinct keys, uint64 (N,), as int64 (N,).

    Numbers are sorted several times as fast as positions, so positions take the place of the lowest bits;
    the few keys that agree in all others are put right afterwards.
    """
    room = np.uint64(len(keys).bit_length())
    packed = keys >> room << room
    packed |= np.arange(len(keys), dtype=np.uint64)
    packed = sorted_numbers(packed)
    order = low_bits(packed, room)
    packed >>= room
    alike = np.flatnonzero(packed[1:] == packed[:-1])
    alike = np.union1d(alike, alike + 1)
    order[alike] = order[alike][np.argsort(keys[order[alike]])]
    return order


def sorted_numbers(numbers: np.ndarray) -> np.ndarray:
    """Return numbers (N,) sorted; of many, a core sorts the lower half and another the upper one."""
    if len(numbers) < AT_ONCE:
        return np.sort(numbers)
    below = numbers < np.median(numbers[:: len(numbers) // 1000])
    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(list(pool.map(lambda side: np.sort(numbers[side]), (below, ~below))))


def low_bits(numbers: np.ndarray, room: int | np.uint64) -> np.ndarray:
    """Return the lowest `room` bits of numbers, uint64 (N,), as int64 (N,)."""
    return (numbers & np.uint64((1 << int(room)) - 1)).view(np.int64)


def draw_lots(post_ids: pd.Series, seed: int) -> np.ndarray:
    """Give every post a number of its own from 0 to N - 1, uint64 (N,), at random by seed and post_id."""
    order = argsort(hash_names(post_ids, seed))
    lots = np.empty(len(order), np.uint64)
    lots[order] = np.arange(len(order), dtype=np.uint64)
    return lots


def largest_first(values: np.ndarray, lots: np.ndarray) -> np.ndarray:
    """Return keys to sort by, uint64 (N,): the largest value first, of equal ones the one of the lowest lot.

    `values` are 0 or more; those that agree in their first ten digits count as equal. A single number to
    compare makes sorting several times as fast as two.
    """
    room = len(lots).bit_length()
    keys = (values + 1.0).view(np.int64)  # floats above 0 are in the order of their bits
    np.subtract(keys.max(), keys, out=keys)
    keys >>= max(0, int(keys.max()).bit_length() + room - 64)
    keys = keys.view(np.uint64)
    keys <<= np.uint64(room)  # in place: touching new memory takes longer than the arithmetic
    keys |= lots
    return keys


def sort_largest_first(values: np.ndarray, lots: np.ndarray) -> np.ndarray:
    """Return the order that sorts posts as the keys of `largest_first` do, int64 (N,)."""
    by_lot = np.empty(len(lots), np.int64)
    by_lot[lots.view(np.int64)] = np.arange(len(lots))
    keys = sorted_numbers(largest_first(values, lots))
    return by_lot[low_bits(keys, len(lots).bit_length())]  # a key ends with its post's lot
