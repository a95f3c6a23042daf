"""Products on shares against plain integers, in groups of 2 to 10."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.arithmetic import (
    WIDTH_MAX,
    and_bits,
    and_pairs,
    bits_to_ring,
    cross_sums,
    multiply,
    open_bits,
    open_ring,
    select,
)
from protocols.party import Trace, play
from protocols.ring import Ring
from protocols.triples import pair_triples

GROUPS = range(2, 11)
WORDS = [1, 2]
FEW = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("count", GROUPS)
def test_openings_give_the_value_to_everybody(connected, shares, count):
    ring = Ring(2)
    values = ring.from_ints([5, -(2**100), 0])
    split = shares.split(ring, values, count)
    opened = play({p: open_ring(s, ring, split[p]) for p, s in connected(count).items()})
    assert [ring.to_ints(opened[p]) for p in sorted(opened)] == [[5, -(2**100), 0]] * count
    bits = np.array([[1, 0, 1], [0, 0, 1]], np.uint8)
    split = shares.split_bits(bits, count)
    opened = play({p: open_bits(s, split[p]) for p, s in connected(count).items()})
    assert all(np.array_equal(opened[p], bits) for p in opened)


@pytest.mark.parametrize("count", GROUPS)
def test_the_and_of_shared_bits_is_that_of_the_bits(connected, shares, count):
    x = np.array([[0, 0, 1, 1] * 20, [1] * 80], np.uint8)
    y = np.array([[0, 1, 0, 1] * 20, [0, 1] * 40], np.uint8)
    left, right = shares.split_bits(x, count), shares.split_bits(y, count)
    z = play({p: and_bits(s, left[p], right[p]) for p, s in connected(count).items()})
    assert np.array_equal(shares.join_bits(z), x & y)


@pytest.mark.parametrize("count", GROUPS)
def test_one_shared_word_meets_two_in_one_round(connected, shares, count):
    rng = np.random.default_rng(count)
    x, y = (rng.integers(0, 2**64, shape, dtype=np.uint64) for shape in ((2, 3), (2, 2, 3)))

    def split(words):
        parts = [rng.integers(0, 2**64, words.shape, dtype=np.uint64) for _ in range(count - 1)]
        parts.append(np.bitwise_xor.reduce([words, *parts]))
        return dict(zip("abcdefghij"[:count], parts, strict=True))

    def both(seat, left, right):
        triples = yield from pair_triples(seat, 64 * left.size)
        return (yield from and_pairs(seat, left, right, triples))

    left, right, seats = split(x), split(y), connected(count)
    z = play({p: both(s, left[p], right[p]) for p, s in seats.items()})
    assert np.array_equal(np.bitwise_xor.reduce(list(z.values())), x & y)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("count", GROUPS)
def test_a_product_of_shared_elements_is_that_of_the_integers(connected, shares, count, words):
    ring = Ring(words)
    x, y = [3, -4, 2**40, 0, -(2**62)], [7, -9, 2**23, 5, -1]
    left, right = (shares.split(ring, ring.from_ints(v), count) for v in (x, y))
    z = play({p: multiply(s, ring, left[p], right[p]) for p, s in connected(count).items()})
    modulus = 1 << ring.bits
    plain = [(a * b + modulus // 2) % modulus - modulus // 2 for a, b in zip(x, y, strict=True)]
    assert ring.to_ints(shares.join(ring, z)) == plain


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("count", GROUPS)
def test_select_keeps_the_rows_whose_bit_is_one(connected, shares, count, words):
    ring = Ring(words)
    bits = np.array([1, 0, 1, 1, 0, 0], np.uint8)
    values = np.arange(-6, 12).reshape(6, 3)
    split_bits = shares.split_bits(bits, count)
    split = shares.split(ring, ring.from_ints(values), count)
    seats = connected(count)
    kept = play({p: select(s, ring, split_bits[p], split[p]) for p, s in seats.items()})
    assert ring.to_ints(shares.join(ring, kept)) == (values * bits[:, None]).reshape(-1).tolist()


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("count", GROUPS)
def test_bits_become_zeros_and_ones_of_the_ring(connected, shares, count, words):
    ring = Ring(words)
    bits = np.array([[1, 0, 1], [1, 1, 0]], np.uint8)
    split = shares.split_bits(bits, count)
    trace = Trace()
    made = play({p: bits_to_ring(s, ring, split[p]) for p, s in connected(count).items()}, trace)
    assert ring.to_ints(shares.join(ring, made)) == bits.reshape(-1).tolist()
    assert trace.rounds == count * count
    corrections = [(s, r, v.nbytes) for s, r, name, v in trace.said if name == "correct"]
    pairs = [(p, q) for q in "abcdefghij"[:count] for p in "abcdefghij" if p < q]
    assert corrections == [(p, q, 8 * words * bits.size) for p, q in pairs]


def cross(seats, shares, ring, own, widths, values, pairs, owner):
    split = shares.split(ring, values, len(seats))
    made = play(
        {
            p: cross_sums(s, ring, owner, own if p == owner else None, widths, split[p], pairs)
            for p, s in seats.items()
        }
    )
    return shares.join(ring, made)


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("count", GROUPS)
def test_cross_sums_are_the_sums_of_products(connected, shares, count, words):
    ring = Ring(words)
    rng = np.random.default_rng(count)
    own = np.stack([rng.integers(0, 2, 9), rng.integers(-8, 8, 9), rng.integers(0, 999, 9)], 1)
    values = rng.integers(-1000, 1000, (9, 2))
    pairs = ((0, 0), (1, 1), (2, 0), (1, 0))
    found = cross(
        connected(count), shares, ring, own, (1, -4, 10), ring.from_ints(values), pairs, "b"
    )
    assert ring.to_ints(found) == [int(own[:, i] @ values[:, j]) for i, j in pairs]


@FEW
@given(st.data())
def test_cross_sums_hold_for_any_width_and_sign(connected, shares, data):
    width = data.draw(st.integers(1, 64))
    signed = data.draw(st.booleans())
    low = -(2 ** (width - 1)) if signed else 0
    high = min(low + 2**width - 1, 2**63 - 1)
    column = data.draw(st.lists(st.integers(low, high), min_size=1, max_size=6))
    others = data.draw(
        st.lists(st.integers(-(2**62), 2**62), min_size=len(column), max_size=len(column))
    )
    ring = Ring(2)
    own = np.array(column, dtype=np.int64)[:, None]
    values = ring.from_ints(others)[:, None]
    widths = (-width if signed else width,)
    found = cross(connected(2), shares, ring, own, widths, values, ((0, 0),), "a")
    assert ring.to_ints(found) == [sum(a * b for a, b in zip(column, others, strict=True))]


def test_cross_sums_in_many_blocks_are_the_same(connected, shares, monkeypatch):
    monkeypatch.setattr("protocols.arithmetic.WORDS_A_BLOCK", 40)
    ring = Ring(1)
    own = np.arange(-16, 16)[:, None]
    values = np.arange(64).reshape(32, 2)
    pairs = ((0, 0), (0, 1))
    found = cross(connected(3), shares, ring, own, (-5,), ring.from_ints(values), pairs, "c")
    assert ring.to_ints(found) == [int(own[:, 0] @ values[:, j]) for j in range(2)]


@pytest.mark.parametrize(
    ("value", "width"), [(4, 2), (-1, 2), (2, -2), (-3, -2), (0, WIDTH_MAX + 1), (0, 0), (0, -65)]
)
def test_an_integer_outside_its_width_is_refused_before_anything_is_said(connected, value, width):
    ring = Ring(1)
    seats = connected(2)
    own = np.array([[value]])
    protocol = cross_sums(seats["a"], ring, "a", own, (width,), ring.zeros((1, 1)), ((0, 0),))
    with pytest.raises(ValueError, match="bits"):
        next(protocol)


def test_no_rows_give_a_sum_of_zero(connected, shares):
    ring = Ring(2)
    own, values = np.zeros((0, 1), np.int64), ring.zeros((0, 1))
    found = cross(connected(2), shares, ring, own, (8,), values, ((0, 0),), "a")
    assert ring.to_ints(found) == [0]


def test_select_of_no_rows_or_columns_is_empty(connected):
    ring = Ring(1)
    seats = connected(2)
    none = play(
        {p: select(s, ring, np.zeros(0, np.uint8), ring.zeros((0, 3))) for p, s in seats.items()}
    )
    assert none["a"].shape == (0, 3, 1)
    flat = play(
        {p: select(s, ring, np.zeros(4, np.uint8), ring.zeros((4, 0))) for p, s in seats.items()}
    )
    assert flat["a"].shape == (4, 0, 1)
