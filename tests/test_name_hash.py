"""Numbers that stand for names are the same everywhere, whatever memory the names lie in."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from selfie_utils.name_hash import argsort, find_names, hash_names

names = st.lists(st.text(st.characters(codec="utf-8"), max_size=30), max_size=40, unique=True)


@given(names)
def test_a_name_has_the_same_number_alone_and_among_others(some):
    together = hash_names(pd.Series(some, dtype="str"))
    assert together.tolist() == [int(hash_names([name])[0]) for name in some]
    assert len(set(together.tolist())) == len(some)


def test_pieces_of_memory_and_python_strings_agree():
    some = [f"user {i}" * (i % 4) for i in range(100)]
    whole = hash_names(some)
    sliced = pa.chunked_array([pa.array(["x", *some[:30]])[1:], pa.array(some[30:])])
    assert (hash_names(pd.Series(sliced.to_pylist(), dtype="object")) == whole).all()
    assert (hash_names(pd.Series(sliced, dtype=pd.ArrowDtype(pa.string()))) == whole).all()


def test_the_numbers_stay_what_they_are():
    # Labels and splits hang on them: a change would silently draw other lots.
    assert hash_names(["", "a", "12345678", "123456789"]).tolist() == [
        0, 8435531736697477361, 17316911634776423582, 18274108972531556241
    ]  # fmt: skip


def test_a_seed_draws_other_numbers():
    some = [f"p{i}" for i in range(1000)]
    assert not (hash_names(some, 0) == hash_names(some, 1)).any()


def test_every_bit_is_a_fair_coin():
    bits = np.unpackbits(hash_names([f"p{i:07d}" for i in range(20_000)]).view(np.uint8))
    assert np.abs(bits.reshape(20_000, 64).mean(axis=0) - 0.5).max() < 0.02


@pytest.mark.parametrize("count", [0, 1, 1000, 300_000])
def test_keys_are_sorted_on_two_cores_as_on_one(count):
    keys = np.random.default_rng(0).permutation(count).astype(np.uint64) ** 2
    assert (argsort(keys) == np.argsort(keys)).all()


@given(names, names)
def test_names_are_found_where_they_are(asked, known):
    found = find_names(pd.Series(asked, dtype="str"), pd.Series(known, dtype="str"))
    assert found.tolist() == [known.index(name) if name in known else -1 for name in asked]
