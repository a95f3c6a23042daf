"""Thresholds, zero and equality on shares, against Python's comparisons."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.comparison import (
    BITS_MAX,
    all_of,
    at_least,
    either,
    equal_words,
    is_zero,
    less_than,
)
from protocols.party import Trace, play
from protocols.ring import Ring

GROUPS = [2, 3, 5, 10]
FEW = settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("count", GROUPS)
def test_counts_around_their_thresholds(connected, shares, count, words):
    ring = Ring(words)
    counts = [0, 0, 1, 9, 10, 11, 2**31 - 1, 2**31 - 2, 5]
    thresholds = [0, 1, 1, 10, 10, 10, 2**31 - 1, 2**31 - 1, 2**31 - 1]
    split = shares.split(ring, ring.from_ints(counts), count)
    seats = connected(count)
    found = play({p: at_least(s, split[p], thresholds, 32) for p, s in seats.items()})
    assert shares.join_bits(found).tolist() == [
        int(c >= t) for c, t in zip(counts, thresholds, strict=True)
    ]


@FEW
@given(st.data())
def test_any_counts_and_thresholds_compare_as_integers(connected, shares, data):
    bits = data.draw(st.integers(2, 64))
    number = st.integers(0, 2 ** (bits - 1) - 1)
    rows = data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=70))
    ring = Ring(2)
    split = shares.split(ring, ring.from_ints([value for value, _ in rows]), 3)
    thresholds = [threshold for _, threshold in rows]
    seats = connected(3)
    found = play({p: at_least(s, split[p], thresholds, bits) for p, s in seats.items()})
    assert shares.join_bits(found).tolist() == [int(v >= t) for v, t in rows]


@pytest.mark.parametrize("bits", [1, 2, 32, 63, 64])
@pytest.mark.parametrize("count", GROUPS)
def test_zero_is_told_from_every_other_number(connected, shares, count, bits):
    ring = Ring(1)
    numbers = [0, 1, 2 ** (bits - 1), 2**bits - 1, 0]
    split = shares.split(ring, ring.from_ints(numbers), count)
    found = play({p: is_zero(s, split[p], bits) for p, s in connected(count).items()})
    assert shares.join_bits(found).tolist() == [int(n % 2**bits == 0) for n in numbers]


@FEW
@given(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=80), st.integers(1, 64))
def test_words_are_equal_when_their_low_bits_are(connected, shares, words, length):
    mine = np.array(words, np.uint64)
    theirs = mine.copy()
    theirs[::2] ^= np.uint64(1) << np.uint64(length - 1)
    if length < 64:
        theirs[1::2] ^= np.uint64(1) << np.uint64(63)
    seats = connected(2)
    found = play({p: equal_words(seats[p], x, length) for p, x in {"a": mine, "b": theirs}.items()})
    assert shares.join_bits(found).tolist() == [i % 2 for i in range(len(words))]


def test_equality_of_words_is_for_two_parties(connected):
    with pytest.raises(ValueError, match="two parties"):
        next(equal_words(connected(3)["a"], np.zeros(1, np.uint64), 8))


@pytest.mark.parametrize("count", GROUPS)
def test_all_of_a_group_and_either_of_two(connected, shares, count):
    bits = np.array([1, 1, 0, 1, 1], np.uint8)
    groups = ((0,), (2,), (0, 1), (0, 1, 2), (0, 1, 3, 4), ())
    split = shares.split_bits(bits, count)
    seats = connected(count)
    found = play({p: all_of(s.fork("all"), split[p], groups) for p, s in seats.items()})
    assert shares.join_bits(found).tolist() == [1, 0, 1, 0, 1, 1]
    x, y = np.array([[0, 0], [1, 1]], np.uint8), np.array([[0, 1], [0, 1]], np.uint8)
    left, right = shares.split_bits(x, count), shares.split_bits(y, count)
    found = play({p: either(s.fork("or"), left[p], right[p]) for p, s in seats.items()})
    assert np.array_equal(shares.join_bits(found), x | y)


@pytest.mark.parametrize("bits", [0, BITS_MAX + 1])
def test_more_bits_than_a_word_has_are_refused(connected, bits):
    seat, values = connected(2)["a"], Ring(2).zeros((1,))
    for protocol in (
        at_least(seat, values, [1], bits),
        is_zero(seat, values, bits),
        equal_words(seat, values[:, 0], bits),
    ):
        with pytest.raises(ValueError, match="cannot be compared"):
            next(protocol)


def test_no_groups_and_no_values_give_no_bits(connected):
    seats = connected(2)
    none = np.zeros(0, np.uint8)
    assert play({p: all_of(s, none, ()) for p, s in seats.items()})["a"].shape == (0,)
    empty = Ring(1).zeros((0,))
    assert play({p: at_least(s, empty, [], 32) for p, s in seats.items()})["a"].shape == (0,)


@pytest.mark.parametrize(("count", "rounds"), [(2, 7), (3, 9), (4, 10), (5, 11), (10, 13)])
def test_a_threshold_takes_the_rounds_that_the_head_states(connected, count, rounds):
    trace = Trace()
    values = Ring(1).zeros((3,))
    play({p: at_least(s, values, [1, 2, 3], 32) for p, s in connected(count).items()}, trace)
    assert trace.rounds == rounds * count


@pytest.mark.parametrize("count", range(2, 11))
def test_of_two_shared_numbers_the_lesser_is_told(connected, shares, count):
    ring = Ring(1)
    pairs = [(0, 0), (0, 1), (1, 0), (-1, 0), (2**62 - 1, -(2**62)), (-(2**62), 2**62 - 1), (7, 7)]
    x, y = (shares.split(ring, ring.from_ints([p[k] for p in pairs]), count) for k in range(2))
    seats = connected(count)
    found = play({p: less_than(s, ring, x[p], y[p]) for p, s in seats.items()})
    assert shares.join_bits(found).tolist() == [int(a < b) for a, b in pairs]
