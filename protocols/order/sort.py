"""Sorts of shared rows by a shared key, and ranks with ties.

What       `sort` gives the rows in rising order of their keys, equal keys in the order in which
           they came (stable). `doubled_ranks` gives twice the average rank of each sorted row.
Against    honest-but-curious parties, n - 1 of whom may collude.
Opens      comparison bits between shuffled rows, and nothing else. Each key is made distinct by its
           row number before the shuffle, as lower digits. After a shuffle by all parties the order
           in which the distinct keys lie is uniform to any n - 1 of them, whatever the keys are;
           every bit that opens, which rows are compared, how deep the search goes and how often it
           compares follow from that order alone. So whoever draws a permutation by chance writes
           down all that opens. Without distinct keys the depth would tell how many are equal.
Rounds     those of `shuffle` and of `bit_slices`; then for each level 2 +
           ceil(log2(bits + log2 N)), and 2 draws now and then of 1 for every 2^20 triples (of 2
           from three parties up), none where the stock holds them; about 28 levels for 10^3 rows,
           45 for 10^4, 65 for 10^5 (a sorted sample cuts the rest near the middle: without it 22,
           30, 40 levels and 6, 17, 22 % more comparisons).
Bytes      to each peer bits + log2 N gates and as many pairs a comparison, each a triple and 1/4
           or 3/8; about N log2 N comparisons.
Error      none.
Source     Hamada, Kikuchi, Ikarashi, Chida, Takahashi, ICISC 2012 (shuffle, then sort in the open
           by comparisons); Hoare 1962; pivots from a sorted sample: Frazer and McKellar, JACM 1970.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log2

import numpy as np
import numpy.typing as npt

import protocols.kernels.gates  # noqa: F401  registers its kernels
from protocols.arithmetic import and_pairs, and_words, open_bits
from protocols.comparison import is_zero
from protocols.digits import bit_slices
from protocols.kernels.bits import pack, unpack, words_for
from protocols.kernels.registry import register
from protocols.masked_sum import zero_bits
from protocols.oblivious_transfer import blocks
from protocols.order.prefix import segmented_sums
from protocols.order.shuffle import shuffle
from protocols.order.tally import carry, carry_pairs
from protocols.party import Compute, Protocol, Says, Seat, together
from protocols.ring import Elements, Ring
from protocols.stock import Needs, Stock
from protocols.triples import and_triples, pair_triples

__all__ = [
    "KEY_BITS_MAX",
    "ROUNDS",
    "ROWS_MAX",
    "Sorted",
    "comparison_needs",
    "comparisons",
    "doubled_ranks",
    "sort",
    "sort_needs",
]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("switch", to="one", size="8 words of a row for each switch, at most 16 MiB"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("masked", to="all", size="1/4 a gate or 3/8 a pair, at most 16 MiB"),
    Says("shifted", to="all", size="8 a value, where a stock holds masks"),
    Says("bits", to="all", size="1/8 a comparison, in whole words"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
KEY_BITS_MAX = 64
ROWS_MAX = 1 << 24  # comparisons of one sort then number 4 * 10^8
SAMPLE_SHARE = (
    32  # one row in so many is sorted first: 8 saves 4 % of comparisons, costs 25 % rounds
)
SAMPLE_ROWS_MIN = 128  # fewer rows are sorted without a sample
BLOCK = 1 << 18  # comparisons at a time: 21 MiB of triples at 80 bits
AHEAD_WORDS = 1 << 17  # of gates and as many pairs drawn at a time: 8 MiB
WORD = 64


@dataclass(frozen=True, slots=True, repr=False)
class Sorted:
    """Shares of the rows in rising order: keys (N, words), values (N, c, words), bits (N, b)."""

    keys: Elements
    values: Elements
    bits: Bits

    def __repr__(self) -> str:
        return f"Sorted({len(self.keys)} rows, <redacted>)"


def sort(
    seat: Seat, ring: Ring, keys: Elements, key_bits: int, values: Elements, bits: Bits
) -> Protocol[Sorted]:
    """The rows in rising order of signed keys, stable.

    keys      (N, words), additively shared, in [-2^(key_bits - 1), 2^(key_bits - 1))
    key_bits  1 to 64
    values    (N, c, words), additively shared, and bits (N, b), XOR-shared: what moves along
    Raises ValueError for other widths and for more than 2^24 rows.
    """
    count = len(keys)
    if not 1 <= key_bits <= KEY_BITS_MAX:
        raise ValueError(f"a key has 1 to {KEY_BITS_MAX} bits, not {key_bits}")
    if count > ROWS_MAX:
        raise ValueError(f"{count} rows are more than a sort takes, {ROWS_MAX}")
    if count < 2:
        return Sorted(keys, values, bits)
    numbers, digits = _numbered(seat, count)
    columns = np.concatenate((keys[:, None], values), axis=1)
    columns, moved = yield from shuffle(
        seat, ring, columns, np.concatenate((numbers, bits), axis=1)
    )
    slices = yield from bit_slices(seat, ring, columns[:, 0], key_bits)
    if seat.index == 0:
        slices[-1] ^= EVERY  # signed order is that of words with the highest bit turned
    width = key_bits + digits
    expected = width * words_for(comparisons(count))
    ahead = _Ahead(Stock(seat.me, seat.parties, "a sort"), expected)
    compared = _Keys(seat, _rows(slices, moved[:, :digits]), width, ahead)
    order = yield from _ordered(compared, np.arange(count, dtype=np.int64))
    return Sorted(columns[order, 0], columns[order, 1:], moved[order, digits:])


def doubled_ranks(seat: Seat, ring: Ring, keys: Elements, key_bits: int) -> Protocol[Elements]:
    """Shares (N, words) of twice the rank, from 1, of sorted keys; equal keys share the mean.

    A row's rank is public but for ties: of a run of equal keys from place i to j, i + j + 2.
    """
    count = len(keys)
    if count == 0:
        return keys
    differences = ring.sub(keys[1:], keys[:-1])
    same = yield from is_zero(seat.fork("equal"), differences, key_bits)
    starts = np.full(count, seat.index == 0, dtype=np.uint8)
    starts[1:] = same ^ np.uint8(seat.index == 0)
    ends = np.roll(starts, -1)  # a run ends where the next row starts one
    ones = ring.from_ints([int(seat.index == 0)] * count)
    runs = yield from together(
        {
            "before": segmented_sums(seat.fork("before"), ring, starts, ones),
            "after": segmented_sums(seat.fork("after"), ring, ends[::-1], ones),
        }
    )
    places = ring.from_ints([2 * (k + 1) if seat.index == 0 else 0 for k in range(count)])
    return ring.add(places, ring.sub(runs["after"][::-1], runs["before"]))


# ---- keys as bits --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, repr=False)
class _Keys:
    """Distinct keys as XOR-shared words (N, 1 or 2), lowest first; `width` bits count."""

    seat: Seat
    words: Words
    width: int
    ahead: _Ahead

    def less(self, left: Indices, right: Indices) -> Protocol[Bits]:
        """Public bits (m,): whether key left[k] < key right[k]."""
        parts = [np.zeros(0, dtype=np.uint8)]
        for block in blocks(len(left), BLOCK):
            parts += [(yield from self._less(left[block], right[block]))]
        return np.concatenate(parts)

    def _less(self, left: Indices, right: Indices) -> Protocol[Bits]:
        """The carry out of (not x) + y."""
        width = words_for(len(left))
        seat = yield from self.ahead.ready(self.seat, comparison_needs(self.width, width))
        x, y = (yield from self._slices(left)), (yield from self._slices(right))
        if seat.index == 0:
            x = x ^ EVERY
        triples = yield from and_triples(seat, WORD * x.size)
        generate = yield from and_words(seat, x, y, triples)
        pairs = yield from pair_triples(seat, WORD * width * sum(carry_pairs(self.width)))

        def join(high: Words, low: Words) -> Protocol[Words]:
            return (yield from and_pairs(seat, high, low, pairs))

        carried: Words = yield from carry(generate, x ^ y, join)
        shared = unpack(carried, len(left)) ^ zero_bits(seat, len(left))
        return (yield from open_bits(seat, shared))

    def _slices(self, chosen: Indices) -> Protocol[Words]:
        words = self.words[chosen]
        widths = [min(WORD, self.width - WORD * word) for word in range(words.shape[1])]
        slices = yield [
            Compute("gates.cut", (words[:, word].copy(), bits), len(chosen))
            for word, bits in enumerate(widths)
        ]
        return np.concatenate(slices)


@dataclass(slots=True, repr=False)
class _Ahead:
    """Triples for the levels to come, drawn many at a time: `expected` words are still to sort."""

    stock: Stock
    expected: int

    def ready(self, seat: Seat, needs: Needs) -> Protocol[Seat]:
        """A seat whose stock holds these needs: the caller's stock while it does, then this one."""
        if seat.stock is not None and seat.stock.holds(needs):
            return seat
        if not self.stock.holds(needs):
            times = max(1, min(self.expected, AHEAD_WORDS) // max(1, needs.counts["and"]))
            yield from self._draw(seat, needs.times(times))
        self.expected = max(0, self.expected - needs.counts["and"])
        return seat.using(self.stock)

    def _draw(self, seat: Seat, needs: Needs) -> Protocol[None]:
        bare = replace(seat, stock=None)
        gates = yield from and_triples(bare, WORD * needs.counts["and"])
        self.stock.put("and", (np.stack((gates.a, gates.b, gates.c)),))
        pairs = yield from pair_triples(bare, WORD * needs.counts["pair"])
        self.stock.put("pair", (np.concatenate((pairs.a[None], pairs.b, pairs.c)),))


def comparisons(count: int) -> int:
    """About how many comparisons a sort of so many rows makes; its coins decide."""
    return int(count * log2(max(2, count)))


def comparison_needs(width: int, words: int) -> Needs:
    """What comparisons of 64 keys a word, `width` bits each, draw."""
    return Needs({"and": width * words, "pair": sum(carry_pairs(width)) * words})


def sort_needs(count: int, key_bits: int) -> Needs:
    """What the comparisons of a sort draw, about: how many there are depends on its coins.

    Its shuffle takes random OTs beside it, its decomposition what `bit_slices` says.
    """
    width = key_bits + max(1, (count - 1).bit_length())
    return comparison_needs(width, words_for(comparisons(count)))


def _numbered(seat: Seat, count: int) -> tuple[Bits, int]:
    """Shares of each row's number, (N, digits) bits, lowest first."""
    digits = max(1, (count - 1).bit_length())
    numbers = unpack(np.arange(count, dtype=np.uint64)[:, None], digits)
    return (numbers if seat.index == 0 else np.zeros_like(numbers)), digits


def _rows(slices: Words, numbers: Bits) -> Words:
    """Row by row, the number's bits below the key's: (N, words)."""
    out = np.zeros((len(numbers), words_for(numbers.shape[1] + len(slices))), dtype=np.uint64)
    for block in blocks(len(numbers), BLOCK):
        span = slice(block.start // WORD, words_for(block.stop))
        key = unpack(slices[:, span], block.stop - block.start).T
        out[block] = pack(np.concatenate((numbers[block], key), axis=1))
    return out


# ---- a sort in the open, of rows that lie by chance ----------------------------------------------


def _ordered(keys: _Keys, items: Indices) -> Protocol[Indices]:
    """The items in rising order of their keys. A sample is sorted first; then each segment is cut
    by the middle one of its sampled rows, or by its first row where it holds none."""
    places = np.full(len(keys.words), -1, dtype=np.int64)  # in the sample's order
    if len(items) >= SAMPLE_ROWS_MIN:
        sample = yield from _ordered(keys, items[: len(items) // SAMPLE_SHARE])
        places[sample] = np.arange(len(sample))
    starts = np.zeros(len(items), dtype=np.int64)  # of each position's segment
    while np.any(starts[1:] == starts[:-1]):
        [(pivots, asked)] = yield [Compute("order.plan", (starts, items, places), len(items))]
        less = yield from keys.less(items[asked], items[pivots[asked]])
        outcome = (pivots, asked, less)
        [(items, starts)] = yield [
            Compute("order.cut", (starts, items, places, outcome), len(items))
        ]
    return items


def plan(starts: Indices, items: Indices, places: Indices) -> tuple[Indices, Indices]:
    """The pivot of each position, and the positions to compare with theirs."""
    pivots = _pivots(starts, places[items])
    known = (places[items] >= 0) & (places[items[pivots]] >= 0)
    return pivots, np.flatnonzero(~known & (pivots != np.arange(len(items))))


def cut(
    starts: Indices, items: Indices, places: Indices, outcome: tuple[Indices, Indices, Bits]
) -> tuple[Indices, Indices]:
    """Each segment falls into the lower rows, the pivot and the upper rows."""
    pivots, asked, less = outcome
    side = np.sign(places[items] - places[items[pivots]]) + 1
    side[asked] = np.where(less == 1, 0, 2)
    label = 3 * starts + side
    order = np.argsort(label, kind="stable")
    label = label[order]
    fresh = np.flatnonzero(np.diff(label, prepend=-1))
    begun: Indices = np.repeat(fresh, np.diff(np.append(fresh, len(items))))
    return items[order], begun


register("order.plan", plan, plan, "one row")
register("order.cut", cut, cut, "one row")


def _pivots(starts: Indices, places: Indices) -> Indices:
    """For each position the position of its segment's pivot."""
    firsts = np.flatnonzero(np.diff(starts, prepend=-1))
    segment = np.cumsum(np.diff(starts, prepend=-1) != 0) - 1
    known = np.flatnonzero(places >= 0)
    known = known[np.lexsort((places[known], segment[known]))]
    counts = np.bincount(segment[known], minlength=len(firsts))
    ends = np.cumsum(counts)
    chosen, sampled = firsts.copy(), counts > 0
    chosen[sampled] = known[(ends - counts + counts // 2)[sampled]]
    pivots: Indices = chosen[segment]
    return pivots
