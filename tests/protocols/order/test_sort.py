"""Sorts on shares against NumPy's stable sort, and ranks against SciPy's."""

import numpy as np
import pytest
from scipy.stats import rankdata

from protocols.abort import Suspected
from protocols.order import sort as sorting
from protocols.order.sort import (
    KEY_BITS_MAX,
    ROWS_MAX,
    comparison_needs,
    comparisons,
    doubled_ranks,
    sort,
    sort_needs,
)
from protocols.party import Round, Trace, play
from protocols.ring import Ring
from protocols.stock import Stock

RING = Ring(1)
EXTREMES = [2**62, -(2**62), 2**63 - 1, -(2**63), 0, -1, 1, 0]


def run(seats, shares, keys, key_bits=64, ring=RING, trace=None, **further):
    """The sorted keys, where each row came from, and its last bit, which moves along."""
    count, size = len(seats), len(keys)
    split = shares.split(ring, ring.from_ints(list(keys)), count)
    numbers = shares.split(ring, ring.from_ints(np.arange(size)[:, None]), count)
    bits = shares.split_bits((np.arange(size)[:, None] & 1).astype(np.uint8), count)
    made = play(
        {p: sort(s, ring, split[p], key_bits, numbers[p], bits[p]) for p, s in seats.items()},
        trace,
        **further,
    )
    came = ring.to_ints(shares.join(ring, {p: r.values for p, r in made.items()}))
    flags = shares.join_bits({p: r.bits for p, r in made.items()})
    assert flags[:, 0].tolist() == [k & 1 for k in came]
    assert "redacted" in repr(made["a"])
    return ring.to_ints(shares.join(ring, {p: r.keys for p, r in made.items()})), came


def check(keys, found):
    order = sorted(range(len(keys)), key=lambda k: keys[k])
    assert found == ([keys[k] for k in order], order)


@pytest.mark.parametrize("count", range(2, 11))
def test_keys_of_every_number_of_parties(connected, shares, count):
    keys = np.random.default_rng(count).integers(-4, 4, 9).tolist()
    check(keys, run(connected(count), shares, keys, key_bits=4))


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [7],
        [2, 1],
        [1, 2],
        [3, 3, 3],
        [5] * 20,
        list(range(20)),
        list(range(20, 0, -1)),
        EXTREMES,
        [0, 1] * 10,
    ],
    ids=str,
)
def test_few_equal_sorted_and_extreme_keys(connected, shares, keys):
    check(keys, run(connected(2), shares, keys))


@pytest.mark.parametrize("key_bits", [1, 2, 31, 63, 64])
def test_keys_of_any_width(connected, shares, key_bits):
    rng = np.random.default_rng(key_bits)
    keys = rng.integers(-(2 ** (key_bits - 1)), 2 ** (key_bits - 1), 12, dtype=np.int64).tolist()
    check(keys, run(connected(2), shares, keys, key_bits=key_bits))


def test_keys_in_the_wide_ring(connected, shares):
    check(EXTREMES, run(connected(3), shares, EXTREMES, ring=Ring(2)))


@pytest.mark.parametrize("spread", [3, 10**6])
def test_rows_enough_for_a_sample_are_sorted_by_it(connected, shares, monkeypatch, spread):
    monkeypatch.setattr(sorting, "SAMPLE_ROWS_MIN", 16)
    monkeypatch.setattr(sorting, "BLOCK", 64)
    monkeypatch.setattr(sorting, "AHEAD_WORDS", 70)
    keys = np.random.default_rng(spread).integers(-spread, spread, 150).tolist()
    check(keys, run(connected(2), shares, keys, key_bits=22))


class Plain:
    """Keys in the clear in place of shared ones, to look at the search alone."""

    def __init__(self, order):
        self.words, self.made = order, 0

    def less(self, left, right):
        assert np.all(left != right)
        self.made += len(left)
        yield Round()
        return (self.words[left] < self.words[right]).astype(np.uint8)


def searched(order):
    """What a search of rows that lie in this order returns, its comparisons and its levels."""
    keys, trace = Plain(order), Trace()
    found = play({"a": sorting._ordered(keys, np.arange(len(order)))}, trace)
    return found["a"], keys.made, trace.rounds


@pytest.mark.parametrize("size", [1, 2, 3, 10, 127, 128, 1000, 20_000])
def test_the_search_sorts_with_about_as_many_comparisons_as_stated(size):
    order = np.random.default_rng(size).permutation(size)
    found, made, levels = searched(order)
    assert np.array_equal(order[found], np.arange(size))
    if size >= 1000:
        assert 0.9 * comparisons(size) < made < 1.1 * comparisons(size)
        assert levels < 2 * np.log2(size) + 40


def test_the_search_is_never_slower_than_each_with_each():
    for order in (np.arange(60), np.arange(60)[::-1].copy()):
        found, made, _ = searched(order)
        assert np.array_equal(order[found], np.arange(60))
        assert made <= 60 * 59 / 2


def test_a_level_draws_what_is_declared(connected, stocked):
    """Then nothing is made afresh, and of the stock nothing is left."""
    seats = stocked(connected(2), comparison_needs(9, 2))
    words = np.arange(100, dtype=np.uint64)[:, None]
    trace = Trace()
    left, right = np.arange(99), np.arange(99)[::-1] + 1

    def one(seat):
        ahead = sorting._Ahead(Stock(seat.me, seat.parties, "none"), 0)
        keys = sorting._Keys(seat, words * np.uint64(seat.index == 0), 9, ahead)
        return (yield from keys.less(left, right))

    found = play({p: one(s) for p, s in seats.items()}, trace)
    assert found["a"].tolist() == found["b"].tolist() == (left < right).astype(int).tolist()
    assert {name for _, _, name, _ in trace.said} == {"masked", "bits"}
    assert all(s.stock.left("and") == s.stock.left("pair") == 0 for s in seats.values())


def test_a_stock_for_a_sort_is_used_and_suffices_or_nearly(connected, shares, stocked):
    """Beyond its decomposition a sort of few rows makes little afresh."""
    keys = list(range(60, 0, -1))
    needs = sort_needs(60, 8)
    seats = stocked(connected(2), needs.times(3))  # levels of few comparisons fill no words
    check(keys, run(seats, shares, keys, key_bits=8))
    used = needs.times(3).counts["pair"] - seats["a"].stock.left("pair")
    assert needs.counts["pair"] // 2 < used


def opened(seats, shares, keys):
    trace = Trace()
    run(seats, shares, keys, key_bits=4, trace=trace)
    halves = [[v for s, _, n, v in trace.said if n == "bits" and s == p] for p in "ab"]
    return [tuple(int(w) for w in x ^ y) for x, y in zip(*halves, strict=True)]


def test_what_opens_depends_on_the_shuffle_and_on_no_key(seats, dealt, shares):
    """Keys equal, or apart and falling: over fresh shuffles the first bits to open, three
    rows against the pivot, come up alike, and so does the number of levels."""
    patterns = ([2, 2, 2, 2], [3, 2, 1, 0])
    runs, depths, firsts = 60, [], []
    for number, keys in enumerate(patterns):
        seen = [opened(dealt(seats(2, f"opened {number} {k}")), shares, keys) for k in range(runs)]
        depths.append(np.mean([len(bits) for bits in seen]))
        firsts.append(np.bincount([bits[0][0].bit_count() for bits in seen], minlength=4))
    assert max(depths) - min(depths) < 6 * 0.5 * np.sqrt(2 / runs)
    for counts in firsts:  # as many rows below the pivot as its rank: uniform
        assert ((counts - runs / 4) ** 2 / (runs / 4)).sum() < 3 + 6 * 2.5


def test_the_other_party_sees_nothing_of_the_keys_before_bits_open(largest_gap):
    """Two rows: one comparison, whose bit is a fair coin; all that is heard looks alike."""

    def make(table, honest, value):
        keys = RING.from_ints(value)
        none, bits = RING.zeros((2, 0)), np.zeros((2, 0), np.uint8)
        return {
            p: sort(s, RING, keys * np.uint64(p == honest), 8, none, bits) for p, s in table.items()
        }

    assert largest_gap(make, "b", ([3, 3], [90, -70]), 2) < 6


@pytest.mark.parametrize("count", range(2, 11))
def test_ranks_share_the_mean_among_equal_keys(connected, shares, count):
    keys = [-5, -5, -1, 0, 0, 0, 7, 9, 9]
    split = shares.split(RING, RING.from_ints(keys), count)
    found = play({p: doubled_ranks(s, RING, split[p], 8) for p, s in connected(count).items()})
    assert RING.to_ints(shares.join(RING, found)) == (2 * rankdata(keys)).astype(int).tolist()


@pytest.mark.parametrize("keys", [[], [4], [4, 4], [3, 4], [1] * 5])
def test_ranks_of_few_rows(connected, shares, keys):
    split = shares.split(RING, RING.from_ints(keys), 2)
    found = play({p: doubled_ranks(s, RING, split[p], 8) for p, s in connected(2).items()})
    assert RING.to_ints(shares.join(RING, found)) == [int(2 * r) for r in rankdata(keys)]


@pytest.mark.parametrize("key_bits", [0, KEY_BITS_MAX + 1])
def test_keys_of_no_or_too_many_bits_are_refused(connected, key_bits):
    seat, none = connected(2)["a"], RING.zeros((3, 0))
    with pytest.raises(ValueError, match="a key has"):
        next(sort(seat, RING, RING.zeros((3,)), key_bits, none, np.zeros((3, 0), np.uint8)))


def test_more_rows_than_a_sort_takes_are_refused(connected):
    seat, size = connected(2)["a"], ROWS_MAX + 1
    keys = np.lib.stride_tricks.as_strided(np.zeros(1, np.uint64), (size, 1), (0, 0))
    with pytest.raises(ValueError, match="more than a sort takes"):
        next(sort(seat, RING, keys, 8, keys[:, :0, None], np.zeros((size, 0), np.uint8)))


@pytest.mark.parametrize("name", ["extend", "mend", "switch", "masked", "bits"])
def test_a_cut_message_names_its_sender(connected, shares, name):
    def tamper(sender, _receiver, said, value):
        return value[:-1] if (sender, said) == ("c", name) else value

    with pytest.raises(Suspected) as caught:
        run(connected(3), shares, [3, 1, 2], key_bits=4, tamper=tamper)
    assert caught.value.party == "c"
