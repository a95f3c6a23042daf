"""Bit decomposition, bits in the ring, prefixes and choices, against Python's integers."""

import numpy as np
import pytest

from protocols.adders import TREES, carry_levels
from protocols.digits import (
    bit_slices,
    bit_slices_needs,
    highest_bit,
    prefix_and,
    prefix_needs,
    prefix_or,
    select_slices,
    select_slices_needs,
    slices_to_ring,
    slices_to_ring_needs,
)
from protocols.kernels.bits import pack, unpack
from protocols.party import Trace, play
from protocols.ring import Ring

EDGES = [0, 1, -1, 2**62, -(2**63), 2**63 - 1, 5]


def drained(seats):
    return all(s.stock.left(kind) == 0 for s in seats.values() for kind in s.stock.lots)


@pytest.mark.parametrize(
    ("count", "tree"),
    [*((n, "sklansky") for n in range(1, 11)), (2, "brent-kung"), (3, "brent-kung")],
)
def test_the_slices_of_a_number_are_its_bits(connected, shares, count, tree):
    ring = Ring(1)
    split = shares.split(ring, ring.from_ints(EDGES), count)
    seats = connected(count)
    found = play({p: bit_slices(s, ring, split[p], 64, tree) for p, s in seats.items()})
    bits = unpack(shares.join_bits(found), len(EDGES))
    assert bits.T.tolist() == [[v >> b & 1 for b in range(64)] for v in EDGES]


@pytest.mark.parametrize("bits", [1, 2, 31, 64, 65, 128])
def test_low_bits_of_two_words_are_taken_apart(connected, shares, bits):
    ring = Ring(2)
    split = shares.split(ring, ring.from_ints(EDGES), 3)
    found = play({p: bit_slices(s, ring, split[p], bits) for p, s in connected(3).items()})
    made = unpack(shares.join_bits(found), len(EDGES))
    assert made.T.tolist() == [[v >> b & 1 for b in range(bits)] for v in EDGES]


@pytest.mark.parametrize(("tree", "rounds"), [("sklansky", 7), ("brent-kung", 11)])
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("size", [0, 1, 65])
def test_decomposition_takes_the_rounds_of_its_tree_and_draws_what_it_needs(
    connected, stocked, shares, tree, rounds, count, size
):
    ring, numbers = Ring(1), [(-1) ** k * k * 2**56 + k for k in range(size)]
    split = shares.split(ring, ring.from_ints(numbers).reshape(-1, 1), count)
    seats = stocked(connected(count), bit_slices_needs(count, size, 64, tree))
    trace = Trace()
    found = play({p: bit_slices(s, ring, split[p], 64, tree) for p, s in seats.items()}, trace)
    made = unpack(shares.join_bits(found), size)
    assert made.T.tolist() == [[v >> b & 1 for b in range(64)] for v in numbers]
    assert drained(seats)
    assert trace.rounds == (count * rounds if size else 0)


def test_decomposition_says_and_draws_what_the_head_states(connected, stocked):
    for tree, pairs, octets in (("sklansky", 186, 70), ("brent-kung", 114, 43)):
        needs = bit_slices_needs(2, 64, 64, tree)
        assert needs.counts == {"cross": 32, "pair": pairs}
        trace, values = Trace(), Ring(1).zeros((64,))
        seats = stocked(connected(2), needs)
        play({p: bit_slices(s, Ring(1), values, 64, tree) for p, s in seats.items()}, trace)
        said = sum(v.nbytes for s, _, _, v in trace.said if s == "a") / 64
        assert said == octets


def test_more_numbers_than_a_window_are_taken_apart_in_their_order(connected, shares, monkeypatch):
    monkeypatch.setattr("protocols.digits.VALUES_A_WINDOW", 64)
    ring, numbers = Ring(1), list(range(150))
    split = shares.split(ring, ring.from_ints(numbers), 2)
    found = play({p: bit_slices(s, ring, split[p], 8) for p, s in connected(2).items()})
    made = unpack(shares.join_bits(found), 150)
    assert made.T.tolist() == [[v >> b & 1 for b in range(8)] for v in numbers]


def test_more_bits_than_the_ring_has_are_refused(connected):
    seat, ring = connected(2)["a"], Ring(1)
    for bits in (0, 65):
        with pytest.raises(ValueError, match="1 to 64 bits"):
            next(bit_slices(seat, ring, ring.zeros((1,)), bits))


@pytest.mark.parametrize("bits", range(1, 66))
def test_trees_join_every_bit_once_with_all_below_it(bits):
    """Blocks as (lowest bit, highest bit): each node joins two that touch."""
    for tree, all_bits in ((carry_levels, False), *((t, True) for t in TREES.values())):
        lowest = list(range(bits))
        for level in tree(bits):
            before = list(lowest)
            for place, (high, low) in enumerate(zip(level.high, level.low, strict=True)):
                assert before[high] == low + 1
                lowest[high] = before[low]
                assert (before[low] == 0) == (place < level.single)
        assert lowest[-1] == 0
        assert not all_bits or not any(lowest)


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("count", range(2, 11))
def test_shared_bits_become_elements_in_one_round(connected, stocked, shares, count, words):
    ring = Ring(words)
    bits = np.random.default_rng(count).integers(0, 2, (2, 70)).astype(np.uint8)
    split = shares.split_bits(bits, count)
    seats = stocked(connected(count), slices_to_ring_needs(ring, 2, 70))
    trace = Trace()
    made = {p: slices_to_ring(s, ring, pack(split[p]), 70) for p, s in seats.items()}
    found = play(made, trace)
    assert ring.to_ints(shares.join(ring, found)) == bits.reshape(-1).tolist()
    assert trace.rounds == count
    assert drained(seats)


def test_bits_without_a_stock_become_elements_window_by_window(connected, shares, monkeypatch):
    monkeypatch.setattr("protocols.digits.BITS_A_WINDOW", 128)
    ring, bits = Ring(1), np.random.default_rng(3).integers(0, 2, (3, 70)).astype(np.uint8)
    split = shares.split_bits(bits, 3)
    seats = connected(3)
    found = play({p: slices_to_ring(s, ring, pack(split[p]), 70) for p, s in seats.items()})
    assert shares.join(ring, found)[..., 0].tolist() == bits.tolist()


@pytest.mark.parametrize("rows", [1, 2, 3, 7, 8, 37, 64])
@pytest.mark.parametrize("count", range(1, 11))
def test_prefixes_and_the_highest_bit(connected, stocked, shares, count, rows):
    rng = np.random.default_rng(rows)
    bits = (rng.random((rows, 65)) < rng.random(65) ** 3).astype(np.uint8)
    bits[:, 0], bits[:, 1] = 0, 1
    split = shares.split_bits(bits, count)
    highest = np.where(np.cumsum(bits[::-1], axis=0)[::-1] - bits == 0, bits, 0)
    wanted = {
        prefix_and: np.minimum.accumulate(bits),
        prefix_or: np.maximum.accumulate(bits),
        highest_bit: highest,
    }
    for make, answer in wanted.items():
        seats = stocked(connected(count), prefix_needs(rows, 2))
        trace = Trace()
        found = play({p: make(s, pack(split[p])) for p, s in seats.items()}, trace)
        assert np.array_equal(unpack(shares.join_bits(found), 65), answer)
        assert drained(seats)
        assert trace.rounds == count * (rows - 1).bit_length()


@pytest.mark.parametrize("rows", [1, 2, 5])
@pytest.mark.parametrize("count", range(2, 11))
def test_a_shared_bit_chooses_between_numbers(connected, stocked, shares, count, rows):
    rng = np.random.default_rng(rows)
    x, y = (rng.integers(0, 2, (rows, 65)).astype(np.uint8) for _ in range(2))
    choice = rng.integers(0, 2, 65).astype(np.uint8)
    parts = [shares.split_bits(each, count) for each in (choice, x, y)]
    seats = stocked(connected(count), select_slices_needs(rows, 2))
    found = play(
        {p: select_slices(s, *(pack(part[p]) for part in parts)) for p, s in seats.items()}
    )
    assert np.array_equal(unpack(shares.join_bits(found), 65), np.where(choice == 1, x, y))
    assert drained(seats)
