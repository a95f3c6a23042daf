"""Running sums and maxima within segments, against a loop over the rows."""

import numpy as np
import pytest

from protocols.order.prefix import (
    prefix_sums,
    segmented_maxima,
    segmented_sums,
    segmented_sums_needs,
)
from protocols.party import Trace, play
from protocols.ring import Ring

RING = Ring(1)
SIZES = [0, 1, 2, 3, 8, 13]


def plain(flags, values, join):
    out = []
    for flag, value in zip(flags, values, strict=True):
        out.append(value if flag or not out else join(out[-1], value))
    return out


def rows(count, size, seed):
    rng = np.random.default_rng([count, size, seed])
    return rng.integers(0, 2, size).astype(np.uint8), rng.integers(-9, 9, size).tolist()


@pytest.mark.parametrize("words", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_sums_of_all_rows_so_far(shares, words, size):
    ring = Ring(words)
    values = [(-1) ** k * 2 ** (60 * words) + k for k in range(size)]
    split = shares.split(ring, ring.from_ints(values), 3)
    found = shares.join(ring, {p: prefix_sums(ring, x) for p, x in split.items()})
    assert ring.to_ints(found) == np.cumsum(np.array(values, object)).tolist()


@pytest.mark.parametrize("count", range(2, 11))
def test_sums_start_anew_at_each_flag(connected, shares, count):
    flags, values = rows(count, 13 if count < 6 else 3, 0)
    ring = Ring(2 if count == 3 else 1)
    bits = shares.split_bits(flags, count)
    split = shares.split(ring, ring.from_ints(values), count)
    found = play(
        {p: segmented_sums(s, ring, bits[p], split[p]) for p, s in connected(count).items()}
    )
    assert ring.to_ints(shares.join(ring, found)) == plain(flags, values, lambda a, b: a + b)


@pytest.mark.parametrize("flagged", [[], [0, 1, 2, 3, 4, 5, 6, 7], [0, 4]])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 8])
def test_sums_of_few_rows_and_of_no_or_all_flags(connected, shares, size, flagged):
    flags = np.array([k in flagged for k in range(size)], np.uint8)
    values = list(range(1, size + 1))
    bits, split = shares.split_bits(flags, 2), shares.split(RING, RING.from_ints(values), 2)
    found = play({p: segmented_sums(s, RING, bits[p], split[p]) for p, s in connected(2).items()})
    assert RING.to_ints(shares.join(RING, found)) == plain(flags, values, lambda a, b: a + b)


@pytest.mark.parametrize("count", range(2, 11))
def test_maxima_start_anew_at_each_flag(connected, shares, count):
    flags, values = rows(count, 9, 1)
    values[2], values[5], values[6] = 2**61, -(2**61), 2**61 - 1
    bits = shares.split_bits(flags, count)
    split = shares.split(RING, RING.from_ints(values), count)
    found = play(
        {p: segmented_maxima(s, RING, bits[p], split[p], 63) for p, s in connected(count).items()}
    )
    assert RING.to_ints(shares.join(RING, found)) == plain(flags, values, max)


@pytest.mark.parametrize("honest", ["a", "b"])
def test_the_other_party_sees_neither_flags_nor_rows(largest_gap, honest):
    def make(table, honest, value):
        mine = {p: np.uint64(p == honest) for p in table}
        flags, numbers = np.full(4, value & 1, np.uint8), RING.from_ints([value] * 4)
        return {
            p: segmented_sums(s, RING, flags * (p == honest), numbers * mine[p])
            for p, s in table.items()
        }

    assert largest_gap(make, honest, (7, 98), 2) < 6


def test_levels_grow_with_the_logarithm_of_the_rows(connected):
    def rounds(size):
        trace = Trace()
        flags, numbers = np.zeros(size, np.uint8), RING.zeros((size,))
        play({p: segmented_sums(s, RING, flags, numbers) for p, s in connected(2).items()}, trace)
        return trace.rounds / 2

    assert rounds(4) == 2 * rounds(2)
    assert rounds(32) == 5 * rounds(2)


def test_what_sums_draw_is_what_is_declared(connected, stocked):
    seats = stocked(connected(3), segmented_sums_needs(13))
    flags, numbers = np.zeros(13, np.uint8), RING.zeros((13,))
    play({p: segmented_sums(s, RING, flags, numbers) for p, s in seats.items()})
    assert all(s.stock.left("and") == 0 for s in seats.values())
