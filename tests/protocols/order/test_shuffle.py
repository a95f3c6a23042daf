"""Oblivious shuffles: the same rows, in an order that each honest party alone makes uniform."""

from dataclasses import replace

import numpy as np
import pytest

from protocols.order.shuffle import shuffle, uniform_permutation
from protocols.party import Trace, play
from protocols.randomness import Randomness
from protocols.ring import Ring


def run(seats, shares, ring, values, bits, trace=None):
    count = len(seats)
    numbers = shares.split(ring, ring.from_ints(values), count)
    flags = shares.split_bits(bits, count)
    made = play(
        {p: shuffle(s, ring, numbers[p], flags[p]) for p, s in seats.items()},
        trace,
    )
    return (
        shares.join(ring, {p: made[p][0] for p in made}),
        shares.join_bits({p: made[p][1] for p in made}),
    )


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("count", range(2, 11))
def test_rows_stay_whole_and_none_is_lost(connected, shares, count, words):
    ring = Ring(words)
    values = np.stack((np.arange(9), -np.arange(9)), axis=1)
    bits = (np.arange(9)[:, None] >> np.arange(4) & 1).astype(np.uint8)
    moved, flags = run(connected(count), shares, ring, values, bits)
    order = ring.to_ints(moved)[::2]
    assert sorted(order) == list(range(9))
    assert ring.to_ints(moved)[1::2] == [-v for v in order]
    assert np.array_equal(flags, bits[order])


@pytest.mark.parametrize("size", [0, 1, 2, 3])
def test_few_rows(connected, shares, size):
    moved, _ = run(
        connected(2), shares, Ring(1), np.arange(size)[:, None], np.zeros((size, 0), np.uint8)
    )
    assert sorted(Ring(1).to_ints(moved)) == list(range(size))


@pytest.mark.parametrize("honest", ["a", "b"])
def test_every_order_comes_up_whoever_alone_is_honest(seats, dealt, shares, honest):
    """The other's coins are fixed; 6 orders of 3 rows in 120 runs: 20 each, deviation 4.1."""
    seen = {}
    for number in range(120):
        table = seats(2, "shuffled")
        mine = seats(2, f"shuffled {number}")[honest]
        table |= {honest: replace(table[honest], rand=mine.rand)}
        moved, _ = run(
            dealt(table), shares, Ring(1), np.arange(3)[:, None], np.zeros((3, 0), np.uint8)
        )
        order = tuple(Ring(1).to_ints(moved))
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 6
    assert all(abs(times - 20) < 5 * 4.1 for times in seen.values())


def test_a_uniform_permutation_gives_every_order_alike():
    rand = Randomness(bytes(32))
    seen = {}
    for _ in range(2400):
        order = tuple(uniform_permutation(rand, 4))
        seen[order] = seen.get(order, 0) + 1
    assert len(seen) == 24
    assert sum((times - 100) ** 2 / 100 for times in seen.values()) < 23 + 6 * 6.8


def test_equal_words_are_drawn_anew():
    class Coins:
        calls = 0

        def words(self, shape):
            self.calls += 1
            return np.array([4, 4, 2] if self.calls == 1 else [5, 4, 2], np.uint64)

    coins = Coins()
    assert uniform_permutation(coins, 3).tolist() == [2, 1, 0]
    assert coins.calls == 2


@pytest.mark.parametrize("honest", ["a", "b"])
def test_the_other_party_sees_nothing_of_the_rows(largest_gap, honest):
    def make(table, honest, value):
        numbers, bits = (
            Ring(1).from_ints([value] * 4)[:, None],
            np.full((4, 1), value & 1, np.uint8),
        )
        return {
            p: shuffle(s, Ring(1), numbers * np.uint64(p == honest), bits * (p == honest))
            for p, s in table.items()
        }

    assert largest_gap(make, honest, (7, 98), 2) < 6


@pytest.mark.parametrize("count", [2, 3])
def test_each_party_permutes_in_turn(connected, shares, count):
    trace = Trace()
    run(connected(count), shares, Ring(1), np.arange(8)[:, None], np.zeros((8, 0), np.uint8), trace)
    turns = [(r, s) for s, r, n, _ in trace.said if n == "switch"]
    owners = list(dict.fromkeys(receiver for receiver, _ in turns))
    assert owners == list("abc"[:count])
    assert all({s for r, s in turns if r == p} == set(owners) - {p} for p in owners)
