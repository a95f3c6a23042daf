"""Thresholds, zero and equality on shares, against Python's comparisons."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from protocols.comparison import (
    BITS_MAX,
    all_of,
    all_of_needs,
    at_least,
    at_least_needs,
    either,
    either_needs,
    equal,
    equal_words,
    equal_words_needs,
    is_zero,
    is_zero_needs,
    less_than,
    less_than_needs,
    sign_bits,
)
from protocols.party import Trace, play
from protocols.ring import Ring

GROUPS = range(2, 11)
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


@pytest.mark.parametrize(("count", "rounds"), [(2, 8), (3, 12), (4, 13), (5, 14), (10, 16)])
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


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_numbers_as_wide_as_their_ring_compare_for_all_inputs(connected, shares, count, signed):
    ring = Ring(1)
    edges = [0, 1, 2**62, 2**63 - 1, -1, -(2**63), -(2**62)]
    pairs = [(a, b) for a in edges for b in edges]
    x, y = (shares.split(ring, ring.from_ints([p[k] for p in pairs]), count) for k in range(2))
    seats = connected(count)
    found = play({p: less_than(s, ring, x[p], y[p], 64, signed) for p, s in seats.items()})
    plain = [p if signed else (p[0] % 2**64, p[1] % 2**64) for p in pairs]
    assert shares.join_bits(found).tolist() == [int(a < b) for a, b in plain]


@pytest.mark.parametrize("bits", [1, 64, 100, 127])
def test_numbers_of_two_words_compare(connected, shares, bits):
    ring = Ring(2)
    edges = [0, 1, 2 ** (bits - 1), 2**bits - 1, 2**bits // 3]
    pairs = [(a, b) for a in edges for b in edges]
    x, y = (shares.split(ring, ring.from_ints([p[k] for p in pairs]), 3) for k in range(2))
    seats = connected(3)
    found = play({p: less_than(s, ring, x[p], y[p], bits) for p, s in seats.items()})
    assert shares.join_bits(found).tolist() == [int(a < b) for a, b in pairs]


@FEW
@given(st.data())
def test_any_two_shared_numbers_of_a_width_compare(connected, shares, data):
    bits = data.draw(st.integers(1, 63))
    number = st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    pairs = data.draw(st.lists(st.tuples(number, number), min_size=1, max_size=70))
    ring = Ring(1)
    x, y = (shares.split(ring, ring.from_ints([p[k] for p in pairs]), 2) for k in range(2))
    seats = connected(2)
    found = play({p: less_than(s, ring, x[p], y[p], bits) for p, s in seats.items()})
    assert shares.join_bits(found).tolist() == [int(a < b) for a, b in pairs]


@pytest.mark.parametrize("bits", [1, 2, 63, 64])
def test_the_highest_bit_is_the_sign(connected, shares, bits):
    ring, numbers = Ring(1), [0, 1, -1, 2 ** (bits - 1), 2 ** (bits - 1) - 1]
    split = shares.split(ring, ring.from_ints([n % 2**bits for n in numbers]), 2)
    found = play({p: sign_bits(s, ring, split[p], bits) for p, s in connected(2).items()})
    assert shares.join_bits(found).tolist() == [n >> (bits - 1) & 1 for n in numbers]


def test_numbers_are_equal_when_their_low_bits_are(connected, shares):
    ring = Ring(1)
    x, y = (shares.split(ring, ring.from_ints(each), 3) for each in ([5, -1, 0], [21, 255, 1]))
    found = play({p: equal(s, ring, x[p], y[p], 4) for p, s in connected(3).items()})
    assert shares.join_bits(found).tolist() == [1, 1, 0]


@pytest.mark.parametrize("bits", [0, 65])
def test_a_width_that_the_ring_lacks_is_refused(connected, bits):
    seat, ring = connected(2)["a"], Ring(1)
    none = ring.zeros((1,))
    for protocol in (less_than(seat, ring, none, none, bits), sign_bits(seat, ring, none, bits)):
        with pytest.raises(ValueError, match="cannot be compared"):
            next(protocol)


def drained(seats):
    return all(s.stock.left(kind) == 0 for s in seats.values() for kind in s.stock.lots)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65])
@pytest.mark.parametrize("count", range(2, 11))
def test_what_a_comparison_needs_is_what_it_draws_from_the_stock(
    connected, stocked, shares, count, size
):
    ring = Ring(1)
    numbers = [(7919 * k) % 11 - 5 for k in range(size)]
    x = shares.split(ring, ring.from_ints(numbers).reshape(-1, 1), count)
    y = shares.split(ring, ring.zeros((size,)), count)
    for bits in (63, 31):
        seats = stocked(connected(count), less_than_needs(count, size, bits, masks=True))
        trace = Trace()
        found = play({p: less_than(s, ring, x[p], y[p], bits) for p, s in seats.items()}, trace)
        assert shares.join_bits(found).tolist() == [int(n < 0) for n in numbers]
        assert drained(seats)
        assert not {name for _, _, name, _ in trace.said} - {"crossed", "masked", "shifted"}
        assert trace.rounds == (count * (7 if bits == 63 else 6) if size else 0)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_every_gadget_draws_what_it_needs(connected, stocked, shares, count):
    ring = Ring(1)
    numbers = ring.from_ints([0, 3, -3] * 30)
    split = shares.split(ring, numbers, count)
    bits = shares.split_bits(np.array([1, 0, 1] * 30, np.uint8), count)
    groups = ((0, 1), (0, 2, 3, 5), ())
    made = {
        "at_least": (
            at_least_needs(count, 90, 16),
            lambda p, s: at_least(s, split[p], [1] * 90, 16),
            [0, 1, 0] * 30,
        ),
        "at_least by masks": (
            at_least_needs(count, 90, 16, masks=True),
            lambda p, s: at_least(s, split[p], [1] * 90, 16),
            [0, 1, 0] * 30,
        ),
        "is_zero": (
            is_zero_needs(count, 90, 16),
            lambda p, s: is_zero(s, split[p], 16),
            [1, 0, 0] * 30,
        ),
        "is_zero by masks": (
            is_zero_needs(count, 90, 16, masks=True),
            lambda p, s: is_zero(s, split[p], 16),
            [1, 0, 0] * 30,
        ),
        "whole": (
            less_than_needs(count, 90, 64),
            lambda p, s: less_than(s, ring, split[p], split[p] * np.uint64(3), 64),
            [0, 1, 0] * 30,
        ),
        "whole by masks": (
            less_than_needs(count, 90, 64, masks=True),
            lambda p, s: less_than(s, ring, split[p], split[p] * np.uint64(3), 64),
            [0, 1, 0] * 30,
        ),
        "all_of": (all_of_needs(groups), lambda p, s: all_of(s, bits[p], groups), [0, 1, 1]),
        "either": (
            either_needs(90),
            lambda p, s: either(s, bits[p], bits[p] * 0),
            [1, 0, 1] * 30,
        ),
    }
    for needs, make, wanted in made.values():
        seats = stocked(connected(count), needs)
        trace = Trace()
        found = play({p: make(p, s) for p, s in seats.items()}, trace)
        assert shares.join_bits(found).tolist() == wanted
        assert drained(seats)
        assert not {name for _, _, name, _ in trace.said} - {"crossed", "masked", "shifted"}


def test_equal_words_draw_what_they_need(connected, stocked, shares):
    words = np.arange(70, dtype=np.uint64)
    seats = stocked(connected(2), equal_words_needs(70, 31))
    found = play({p: equal_words(s, words ^ np.uint64(p == "a"), 31) for p, s in seats.items()})
    assert not shares.join_bits(found).any()
    assert drained(seats)


@pytest.mark.parametrize("count", [2, 3])
def test_more_values_than_a_window_compare_in_their_order(
    connected, stocked, shares, monkeypatch, count
):
    monkeypatch.setattr("protocols.comparison.VALUES_A_WINDOW", 64)
    monkeypatch.setattr("protocols.kernels.gates.SMALL_WORDS", 0)
    monkeypatch.setattr("protocols.adders.SMALL_WORDS", 0)
    ring, numbers = Ring(1), [(7919 * k) % 11 - 5 for k in range(150)]
    split = shares.split(ring, ring.from_ints(numbers), count)
    zeros = ring.zeros((150,))
    needs = [less_than_needs(count, 150, masks=masks) for masks in (False, True)]
    for seats in (connected(count), *(stocked(connected(count), each) for each in needs)):
        found = play({p: less_than(s, ring, split[p], zeros) for p, s in seats.items()})
        assert shares.join_bits(found).tolist() == [int(n < 0) for n in numbers]


@pytest.mark.parametrize(
    ("count", "masks", "octets"), [(2, False, 30.375), (3, True, 26.75), (3, False, 46.125)]
)
def test_a_comparison_says_online_what_the_head_states(connected, stocked, count, masks, octets):
    trace, values = Trace(), Ring(1).zeros((640,))
    seats = stocked(connected(count), less_than_needs(count, 640, masks=masks))
    play({p: less_than(s, Ring(1), values, values) for p, s in seats.items()}, trace)
    said = sum(v.nbytes for s, r, _, v in trace.said if (s, r) == ("a", "b"))
    assert said == 640 * octets


@pytest.mark.parametrize(("count", "rounds"), [(3, 8), (4, 9), (5, 10), (7, 11), (10, 12)])
def test_carries_are_saved_where_the_stock_has_no_masks(connected, stocked, shares, count, rounds):
    ring, numbers = Ring(1), [5, -5, 0] * 30
    split = shares.split(ring, ring.from_ints(numbers), count)
    seats = stocked(connected(count), less_than_needs(count, 90))
    trace, zeros = Trace(), ring.zeros((90,))
    found = play({p: less_than(s, ring, split[p], zeros) for p, s in seats.items()}, trace)
    assert shares.join_bits(found).tolist() == [int(n < 0) for n in numbers]
    assert trace.rounds == count * rounds
    assert drained(seats)


@pytest.mark.parametrize(("masks", "online"), [(False, 2 * 46.125), (True, 53.5)])
def test_two_parties_take_95_pairs_and_three_at_most_three_and_a_half_times_that(masks, online):
    count = 1 << 18
    two, three = less_than_needs(2, count), less_than_needs(3, count, masks=masks)
    assert 64 * (two.counts["cross"] + two.counts["pair"]) <= 95 * count
    both = two.bytes(2) / count + 30.375
    assert both <= 450
    assert three.bytes(3) / count + online <= 3.5 * both
