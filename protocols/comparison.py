"""Comparisons on shares: thresholds, zero, equality; and conditions on the bits that come out.

What       the sum of the parties' shares, mod 2^bits, is added up in binary: carry-save adders
           bring n numbers to two, a logarithmic tree brings the carry.
Against    honest-but-curious parties, n - 1 of whom may collude; only values masked by AND triples
           open on the way.
Rounds     triples (1 for every 2^20 of them, 2 from three parties up), then one for each level:
           at_least c + 1 + ceil(log2(bits - 1)), is_zero c + ceil(log2 bits), equal_words
           ceil(log2 length), all_of ceil(log2 of the largest group), either 1, less_than as
           at_least of bits + 1; c = carry-save levels: 0, 1, 2, 3, 5 for 2, 3, 4, 5 to 6, 10 parties.
Bytes      to each peer 16 (from three parties up 16 1/8) a triple and 1/4 a masked pair of bits.
           Triples a value: at_least (n - 2) bits + 3 bits at most, is_zero (n - 2) bits + bits - 1,
           equal_words length - 1.
Source     Wallace 1964 (carry-save); Ladner and Fischer 1980 (the tree); Goldreich, Micali,
           Wigderson 1987 for gates on XOR shares.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_words
from protocols.kernels.bits import pack, slice_words, unpack, words_for
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.triples import AndTriples, and_triples

__all__ = ["ROUNDS", "all_of", "at_least", "either", "equal_words", "is_zero", "less_than"]

ROUNDS = (
    Says("extend", to="one", size="16 a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("masked", to="all", size="1/4 an AND gate, at most 16 MiB"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
BITS_MAX = 64  # shares are compared in their low word


def at_least(seat: Seat, values: Elements, thresholds: Sequence[int], bits: int) -> Protocol[Bits]:
    """Shared bits (m,): whether value k >= thresholds[k].

    values  (m, words), additively shared; value and threshold in [0, 2^(bits - 1)), or at least
            value - threshold in [-2^(bits - 1), 2^(bits - 1)); bits from 2 to 64
    Raises ValueError for other bits.
    """
    _check_bits(bits, 2)
    low = np.ascontiguousarray(values[:, 0])
    if seat.index == 0:
        low = low - np.array([t % (1 << BITS_MAX) for t in thresholds], dtype=np.uint64)
    width = words_for(len(low))
    gates = adder_gates(len(seat.parties), bits) + 3 * bits
    triples = yield from and_triples(seat, 64 * gates * width)
    x, y = yield from two_addends(seat, slice_words(low, bits), triples)
    carry = yield from _carry(seat, x[:-1], y[:-1], triples)
    return _negated(seat, unpack(x[-1] ^ y[-1] ^ carry, len(low)))


def less_than(seat: Seat, ring: Ring, x: Elements, y: Elements, bits: int = 63) -> Protocol[Bits]:
    """Shared bits (m,): whether x < y.

    x, y    (m, words), additively shared
    bits    declared width of both, 1 to 63: integers in [-2^(bits - 1), 2^(bits - 1)) or both in
            [0, 2^bits); their difference has one bit more
    Raises ValueError for other bits.
    """
    _check_bits(bits, 1)
    difference = ring.sub(x, y)
    nothing = [0] * len(difference)
    above = yield from at_least(seat, difference, nothing, bits + 1)
    return _negated(seat, above)


def is_zero(seat: Seat, values: Elements, bits: int) -> Protocol[Bits]:
    """Shared bits (m,): whether a value is zero mod 2^bits; values (m, words), bits to 64.

    x + y - 1 = -1 exactly when x and y, the addends of value - 1, differ in every bit.
    """
    _check_bits(bits, 1)
    low = np.ascontiguousarray(values[:, 0])
    if seat.index == 0:
        low = low - np.ones_like(low)
    width = words_for(len(low))
    gates = adder_gates(len(seat.parties), bits) + bits
    triples = yield from and_triples(seat, 64 * gates * width)
    x, y = yield from two_addends(seat, slice_words(low, bits), triples)
    return unpack((yield from _conjunction(seat, x ^ y, triples)), len(low))


def equal_words(seat: Seat, mine: Words, length: int) -> Protocol[Bits]:
    """Shared bits (rows,) of a seat of two: whether the low `length` bits of both words agree.

    mine  uint64 (rows,), this party's own words
    """
    _check_bits(length, 1)
    if len(seat.parties) != 2:
        raise ValueError("equality of words is a protocol of two parties")
    slices = slice_words(mine, length)
    if seat.index == 0:
        slices = slices ^ EVERY
    triples = yield from and_triples(seat, 64 * (length - 1) * slices.shape[1])
    return unpack((yield from _conjunction(seat, slices, triples)), len(mine))


def all_of(seat: Seat, bits: Bits, groups: Sequence[Sequence[int]]) -> Protocol[Bits]:
    """Shared bits (len(groups),): whether all shared bits of a group of positions are 1.

    Groups are public; an empty group holds.
    """
    depth = max((len(group) for group in groups), default=0)
    neutral = np.uint8(seat.index == 0)
    table = np.full((max(depth, 1), len(groups)), neutral, dtype=np.uint8)
    for column, group in enumerate(groups):
        table[: len(group), column] = bits[list(group)]
    slices = pack(table)
    triples = yield from and_triples(seat, 64 * (len(slices) - 1) * slices.shape[1])
    return unpack((yield from _conjunction(seat, slices, triples)), len(groups))


def either(seat: Seat, x: Bits, y: Bits) -> Protocol[Bits]:
    """Shares of x | y, element by element, for shared bits of one shape."""
    left, right = pack(x.reshape(-1)), pack(y.reshape(-1))
    triples = yield from and_triples(seat, 64 * len(left))
    both = yield from and_words(seat, left, right, triples)
    return unpack(left ^ right ^ both, x.size).reshape(x.shape)


def _check_bits(bits: int, fewest: int) -> None:
    if not fewest <= bits <= BITS_MAX:
        raise ValueError(f"numbers of {bits} bits cannot be compared, only {fewest} to {BITS_MAX}")


def _negated(seat: Seat, bits: Bits) -> Bits:
    return bits ^ np.uint8(seat.index == 0)


# ---- circuits on bit slices: (bits, words), bit b of 64 values a word ----------------------------


def adder_gates(addends: int, bits: int) -> int:
    """AND gates for each value that bring so many addends to two: one a bit and addend."""
    return max(0, addends - 2) * bits


def two_addends(seat: Seat, own: Words, triples: AndTriples) -> Protocol[tuple[Words, Words]]:
    """Shares of two numbers whose sum, mod 2^bits, is that of all parties' own numbers."""
    addends = [own if party == seat.me else np.zeros_like(own) for party in seat.parties]
    while len(addends) > 2:
        whole = len(addends) // 3
        x, y, z = (np.stack(addends[k : 3 * whole : 3]) for k in range(3))
        sums, carries = yield from _save_carries(seat, x, y, z, triples)
        addends = [*sums, *carries, *addends[3 * whole :]]
    if len(addends) == 1:
        addends.append(np.zeros_like(own))
    return addends[0], addends[1]


def _save_carries(
    seat: Seat, x: Words, y: Words, z: Words, triples: AndTriples
) -> Protocol[tuple[Words, Words]]:
    """x + y + z = sums + carries; the majority of three bits takes one AND."""
    majority = (yield from and_words(seat, x ^ z, y ^ z, triples)) ^ z
    carries = np.zeros_like(majority)
    carries[:, 1:] = majority[:, :-1]
    return x ^ y ^ z, carries


def _carry(seat: Seat, x: Words, y: Words, triples: AndTriples) -> Protocol[Words]:
    """The carry out of x + y: pairs (generate, propagate) joined two by two, lowest first."""
    generate = yield from and_words(seat, x, y, triples)
    propagate = x ^ y
    while len(generate) > 1:
        even = len(generate) // 2 * 2
        high = propagate[1:even:2]
        right = np.concatenate((generate[0:even:2], propagate[0:even:2]))
        joined = yield from and_words(seat, np.concatenate((high, high)), right, triples)
        half = even // 2
        generate = np.concatenate((generate[1:even:2] ^ joined[:half], generate[even:]))
        propagate = np.concatenate((joined[half:], propagate[even:]))
    carry: Words = generate[0]
    return carry


def _conjunction(seat: Seat, slices: Words, triples: AndTriples) -> Protocol[Words]:
    """The AND of all slices, two by two."""
    while len(slices) > 1:
        half = len(slices) // 2
        joined = yield from and_words(seat, slices[:half], slices[half : 2 * half], triples)
        slices = np.concatenate((joined, slices[2 * half :]))
    every: Words = slices[0]
    return every
