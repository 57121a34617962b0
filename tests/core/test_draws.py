"""Numbers that stand for names are the same everywhere, whatever memory the names lie in."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from selfie_utils.core.draws import AT_ONCE, argsort, find_names, hash_names, low_bits, sorted_numbers

# Letters of one to four bytes; names end in the middle of a word of eight bytes, at its end and beyond.
DISTINCT = st.lists(st.text("a-ü漢😀", max_size=20), max_size=20, unique=True)
SOME = settings(max_examples=25, deadline=None)


def mix(number):
    """The last steps of splitmix64, as its authors publish them."""
    number = (number ^ (number >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    number = (number ^ (number >> 27)) * 0x94D049BB133111EB % 2**64
    return number ^ (number >> 31)


def hash_in_plain_python(name, seed):
    """Mix in the length, and then eight bytes at a time; those of the last word stand in its upper end."""
    data = name.encode()
    number = mix((len(data) * 0x9E3779B97F4A7C15 + seed) % 2**64)
    for at in range(0, len(data), 8):
        number = mix(number ^ int.from_bytes(data[at : at + 8].rjust(8, b"\0"), "little"))
    return number


@SOME
@given(DISTINCT, st.one_of(st.integers(0, 9), st.integers(-(2**70), 2**70)))
def test_numbers_are_those_of_the_definition_for_every_seed(some, seed):
    together = hash_names(pd.Series(some, dtype="str"), seed)
    assert together.dtype == np.uint64
    assert together.tolist() == [hash_in_plain_python(name, seed) for name in some]
    assert len(set(together.tolist())) == len(some)


def test_names_are_hashed_alike_wherever_they_stand_among_very_many():
    some = [f"user {i}" for i in range(AT_ONCE - 2, AT_ONCE + 3)]
    many = hash_names(["x" * (i % 20) for i in range(AT_ONCE - 2)] + some)
    assert len(many) == AT_ONCE + 3
    assert many[-5:].tolist() == [hash_in_plain_python(name, 0) for name in some]


def test_pieces_of_memory_and_python_strings_agree():
    some = [f"user {i}" * (i % 4) for i in range(100)]
    whole = hash_names(some, 7)
    sliced = pa.chunked_array([pa.array(["x", *some[:30]])[1:], pa.array(some[30:])])
    assert (hash_names(pd.Series(sliced.to_pylist(), dtype="object"), 7) == whole).all()
    assert (hash_names(pd.Series(sliced, dtype=pd.ArrowDtype(pa.string())), 7) == whole).all()
    assert hash_names([]).tolist() == hash_names(pd.Series([], dtype="str")).tolist() == []


def test_the_numbers_stay_what_they_are():
    # Labels and splits hang on them: a change would silently draw other lots.
    assert hash_names(["", "a", "12345678", "123456789"]).tolist() == [
        0, 8435531736697477361, 17316911634776423582, 18274108972531556241
    ]  # fmt: skip


def test_every_bit_is_a_fair_coin_of_its_own():
    found = hash_names([f"p{i:07d}" for i in range(20_000)])
    bits = np.unpackbits(found.view(np.uint8)).reshape(20_000, 64)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 0.02
    other = np.unpackbits(hash_names([f"p{i:07d}" for i in range(20_000)], 1).view(np.uint8)).reshape(-1, 64)
    assert np.abs((bits == other).mean(axis=0) - 0.5).max() < 0.02  # and another seed draws anew


@pytest.mark.parametrize("count", [0, 1, 2, 1000, AT_ONCE, 2 * AT_ONCE + 1])
def test_keys_are_sorted_on_two_cores_as_on_one(count):
    # Squares up to 2**34 agree in all but their lowest bits with many others.
    keys = np.random.default_rng(0).permutation(count).astype(np.uint64) ** 2
    order = argsort(keys)
    assert order.dtype == np.int64 and (order == np.argsort(keys)).all()


@SOME
@given(st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), unique=True, max_size=40))
def test_keys_that_are_close_to_each_other_are_sorted(keys):
    keys = np.array(keys, np.uint64)
    assert argsort(keys).tolist() == np.argsort(keys).tolist()


@pytest.mark.parametrize("spread", [1, 2, 2**60])
def test_many_numbers_are_sorted_also_where_they_are_equal(spread):
    numbers = np.random.default_rng(1).integers(0, spread, AT_ONCE + 7, dtype=np.uint64)
    assert (sorted_numbers(numbers) == np.sort(numbers)).all()


def test_the_lowest_bits_of_numbers():
    numbers = np.array([0, 0b10110, 2**63 + 5, 2**64 - 1], np.uint64)
    assert low_bits(numbers, 3).tolist() == low_bits(numbers, np.uint64(3)).tolist() == [0, 6, 5, 7]
    assert low_bits(numbers, 3).dtype == np.int64


@SOME
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 99))
def test_names_are_found_where_they_are(asked, known, seed):
    rng = np.random.default_rng(seed)
    names = [f"name {i}" for i in rng.integers(0, 80, asked)]  # some twice
    among = [f"name {i}" for i in rng.permutation(80)[:known]]
    found = find_names(pd.Series(names, dtype="str"), pd.Series(among, dtype="str"))
    assert found.tolist() == [among.index(name) if name in among else -1 for name in names]


def test_among_no_names_none_is_found():
    nothing, some = pd.Series([], dtype="str"), pd.Series(["a", "b"])
    assert find_names(some, nothing).tolist() == [-1, -1]
    assert find_names(nothing, some).tolist() == find_names(nothing, nothing).tolist() == []
