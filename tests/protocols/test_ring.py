"""Z_2^64 and Z_2^128 against Python's integers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.randomness import Randomness
from protocols.ring import Ring

INTEGERS = st.lists(st.integers(-(2**140), 2**140), min_size=1, max_size=8)
EDGES = [0, 1, -1, 2**31, 2**32 - 1, 2**63, -(2**63), 2**64 - 1, 2**64, 2**127 - 1, -(2**127)]


def centred(value, bits):
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


@pytest.mark.parametrize("words", [1, 2])
@given(INTEGERS, INTEGERS)
def test_arithmetic_is_that_of_integers_modulo_the_ring(words, x, y):
    ring = Ring(words)
    size = min(len(x), len(y))
    x, y = x[:size], y[:size]
    left, right = ring.from_ints(x), ring.from_ints(y)
    for made, plain in (
        (ring.add(left, right), [a + b for a, b in zip(x, y, strict=True)]),
        (ring.sub(left, right), [a - b for a, b in zip(x, y, strict=True)]),
        (ring.mul(left, right), [a * b for a, b in zip(x, y, strict=True)]),
        (ring.neg(left), [-a for a in x]),
        (ring.sum(left), [sum(x)]),
        (ring.scale(left, y[0]), [a * y[0] for a in x]),
    ):
        assert ring.to_ints(made) == [centred(value, ring.bits) for value in plain]


@pytest.mark.parametrize("words", [1, 2])
def test_carries_at_the_edges_of_words_are_exact(words):
    ring = Ring(words)
    pairs = [(a, b) for a in EDGES for b in EDGES]
    x, y = (ring.from_ints([pair[k] for pair in pairs]) for k in range(2))
    assert ring.to_ints(ring.add(x, y)) == [centred(a + b, ring.bits) for a, b in pairs]
    assert ring.to_ints(ring.mul(x, y)) == [centred(a * b, ring.bits) for a, b in pairs]


@pytest.mark.parametrize("words", [1, 2])
def test_a_long_sum_of_largest_words_carries_into_the_high_word(words):
    ring = Ring(words)
    column = ring.from_ints([2**64 - 1] * 1000).reshape(10, 100, words)
    assert ring.to_ints(ring.sum(column, axis=1)) == [centred(100 * (2**64 - 1), ring.bits)] * 10


def test_an_array_of_integers_keeps_its_shape_and_sign():
    ring = Ring(2)
    values = np.array([[1, -2], [3, -(2**63)]])
    assert ring.from_ints(values).shape == (2, 2, 2)
    assert ring.to_ints(ring.from_ints(values)) == [1, -2, 3, -(2**63)]


def test_low_words_of_shares_are_shares_of_the_low_word():
    wide, narrow = Ring(2), Ring(1)
    shares = [wide.random(Randomness(bytes([k]) * 32), (5,)) for k in range(3)]
    total = wide.sum(np.stack(shares))
    low = narrow.sum(np.stack([share[:, :1] for share in shares]))
    assert np.array_equal(low[:, 0], total[:, 0])


def test_a_ring_of_three_words_is_refused():
    with pytest.raises(ValueError, match="one or two words"):
        Ring(3)
