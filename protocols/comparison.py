"""Comparisons on shares: thresholds, order, zero, equality; and conditions on what comes out.

What       the sum of the parties' shares, mod 2^bits, is added up in binary (`protocols.adders`) as
           far as its highest bit needs.
Against    honest-but-curious parties, n - 1 of whom may collude; only bits masked by random ones
           open on the way.
Rounds     the draws that the stock does not hold, then for every 2^20 values: at_least, sign_bits
           c + 1 + ceil(log2(bits - 1)), less_than as sign_bits of bits + 1 (of as many bits as the
           ring: of those, and 1), is_zero, equal c + ceil(log2 bits); by edaBits, from three
           parties up where the stock has them: these without c, is_zero with 1 in its place.
           equal_words ceil(log2 length), all_of ceil(log2 of the largest group), either 1.
           c = carry-save levels: 0, 1, 2, 3, 4, 5 for 2, 3, 4, 5 to 6, 7 to 9, 10 parties. A
           message of more than 16 MiB takes another round. Drawing takes 1 for every 2^20
           transfers (2 from three parties up) of each kind: cross products, AND triples, pairs.
Bytes      to each peer online, a value of 64 bits: 30.4 between two parties, 26.8 by edaBits, 46.2
           among three without them. Correlations a value of k + 1 bits: two parties k / 2 cross
           products and k - 1 pairs; from three up an edaBit, k / 2 AND triples and k / 2 pairs, or
           k cross products, (m + 1) k AND triples and k - 1 pairs (m = 0, 1, 2, 2 majorities of
           shared bits for 3, 4, 5, 6 parties). is_zero (m k and) bits - 1 AND triples, or an edaBit
           and bits - 1; equal_words length - 1; all_of the largest group's size - 1; either 1.
Which way  measured in turn in one run, 10^5 numbers of 63 bits, CPU of a party in all: two parties
           1.60 us; three 5.58 by carry-save (3.64 times two parties'), 6.11 by edaBits (3.81).
           Both take as many transfers and bytes in all, and edaBits many rounds ahead: so what is
           needed counts carry-save, unless its caller, whose pools fill beforehand, asks for masks.
Source     as `protocols.adders`; x < y by the sign of x - y.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from protocols.adders import (
    borrowed_pairs,
    carry_levels,
    carry_out,
    generated,
    generated_needs,
    majorities,
    mask_kind,
    masks_held,
    opened_masked,
    own_slices,
    tree_needs,
    two_addends,
)
from protocols.arithmetic import and_words
from protocols.kernels.bits import pack, unpack, words_for
from protocols.oblivious_transfer import blocks
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.stock import Needs
from protocols.triples import AndTriples, and_triples

__all__ = [
    "ROUNDS",
    "all_of",
    "all_of_needs",
    "at_least",
    "at_least_needs",
    "either",
    "either_needs",
    "equal",
    "equal_words",
    "equal_words_needs",
    "is_zero",
    "is_zero_needs",
    "less_than",
    "less_than_needs",
    "sign_bits",
]

ROUNDS = (
    Says("extend", to="one", size="as random_ot"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("masked", to="all", size="1/4 an AND gate, 3/8 a pair, at most 16 MiB"),
    Says("shifted", to="all", size="8 a value, 4 up to 32 bits, at most 16 MiB"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
WORD = Ring(1)
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
BITS_MAX = 64  # thresholds and zero are told of the low word
VALUES_A_WINDOW = 1 << 20  # compared at a time: memory is this window's, whatever the count


def at_least(
    seat: Seat, values: Elements, thresholds: Sequence[int] | Integers, bits: int
) -> Protocol[Bits]:
    """Shared bits (m,): whether value k >= thresholds[k].

    values  (m, words), additively shared; value and threshold in [0, 2^(bits - 1)), or at least
            value - threshold in [-2^(bits - 1), 2^(bits - 1)); bits from 2 to 64
    thresholds  public; many of them go fastest as an array
    Raises ValueError for other bits.
    """
    _check_bits(bits, 2)
    low = np.ascontiguousarray(values[:, :1])
    if seat.index == 0:
        low = low - WORD.from_ints(thresholds)
    return _negated(seat, (yield from _signs(seat, low, bits)))


def less_than(
    seat: Seat, ring: Ring, x: Elements, y: Elements, bits: int = 63, signed: bool = True
) -> Protocol[Bits]:
    """Shared bits (m,): whether x < y, for all x and y of the declared width.

    x, y    (m, words), additively shared
    bits    of both, 1 to the ring's: integers in [-2^(bits - 1), 2^(bits - 1)) or, where not
            signed, in [0, 2^bits). As many bits as the ring has cost three times the others and
            one round more, because the difference does not fit.
    Raises ValueError for other bits.
    """
    _check_width(ring, bits, 1)
    difference = ring.sub(x, y)
    if bits < ring.bits:
        return (yield from _signs(seat, difference, bits + 1))
    every = np.concatenate((x, y, difference))
    of_x, of_y, of_both = np.split((yield from _signs(seat, every, bits)), 3)
    apart, turned = of_x ^ of_y, of_both ^ (of_x if signed else of_y)
    triples = yield from and_triples(seat, len(apart))
    wrong = yield from and_words(seat, pack(apart), pack(turned), triples)
    return of_both ^ unpack(wrong, len(apart))


def sign_bits(seat: Seat, ring: Ring, x: Elements, bits: int) -> Protocol[Bits]:
    """Shared bits (m,): the highest of the low `bits` bits of shared numbers (m, words).

    It says whether the number is negative, where it lies in [-2^(bits - 1), 2^(bits - 1)).
    Raises ValueError for more bits than the ring's, or none.
    """
    _check_width(ring, bits, 1)
    return (yield from _signs(seat, x, bits))


def equal(seat: Seat, ring: Ring, x: Elements, y: Elements, bits: int) -> Protocol[Bits]:
    """Shared bits (m,): whether the low `bits` bits of x and y (m, words), shared, agree."""
    return (yield from is_zero(seat, ring.sub(x, y), bits))


def is_zero(seat: Seat, values: Elements, bits: int) -> Protocol[Bits]:
    """Shared bits (m,): whether a value is zero mod 2^bits; values (m, words), bits to 64.

    x + y - 1 = -1 exactly when x and y, the addends of value - 1, differ in every bit.
    """
    _check_bits(bits, 1)
    low = values[:, :1]
    return (yield from _windows(len(low), lambda part: _zeros(seat, low[part], bits)))


def _zeros(seat: Seat, values: Elements, bits: int) -> Protocol[Words]:
    if masks_held(seat, bits, len(values)):
        return (yield from _masked_zeros(seat, values, bits))
    if seat.index == 0:
        values = values - np.ones_like(values)
    own = yield from own_slices(values, bits)
    gates = len(own[:-1]) * (majorities(len(seat.parties)) + 1)
    triples = yield from and_triples(seat, 64 * gates * own.shape[1])
    x, y = yield from two_addends(seat, own, triples)
    return (yield from _conjunction(seat, x ^ y, triples))


def _masked_zeros(seat: Seat, values: Elements, bits: int) -> Protocol[Words]:
    """x = c - r is zero where c and r agree in every bit."""
    opened, masks = yield from opened_masked(seat, values, bits)
    agree = masks ^ ~opened if seat.index == 0 else masks
    triples = yield from and_triples(seat, 64 * agree[:-1].size)
    return (yield from _conjunction(seat, agree, triples))


def _signs(seat: Seat, values: Elements, bits: int) -> Protocol[Bits]:
    return (yield from _windows(len(values), lambda part: _sign(seat, values[part], bits)))


def _sign(seat: Seat, values: Elements, bits: int) -> Protocol[Words]:
    """Slice bits - 1 of the sum: what the two addends have there and the carry into it."""
    if masks_held(seat, bits, len(values)):
        return (yield from _masked_sign(seat, values, bits))
    own = yield from own_slices(values, bits)
    generate, propagate = yield from generated(seat, own)
    sign: Words = propagate[-1] ^ (yield from carry_out(seat, generate, propagate[:-1]))
    return sign


def _masked_sign(seat: Seat, values: Elements, bits: int) -> Protocol[Words]:
    """Slice bits - 1 of c - r, c public: its first level of borrows takes one gate a pair."""
    opened, masks = yield from opened_masked(seat, values, bits)
    generate, propagate = yield from borrowed_pairs(seat, opened[:-1], masks[:-1])
    sign: Words = masks[-1] ^ (yield from carry_out(seat, generate, propagate))
    return sign ^ opened[-1] if seat.index == 0 else sign


def _windows(count: int, make: Callable[[slice], Protocol[Words]]) -> Protocol[Bits]:
    """Bits of all values from words of each window of them."""
    found: Bits = np.empty(count, dtype=np.uint8)
    for block in blocks(count, VALUES_A_WINDOW):
        words = yield from make(block)
        found[block] = unpack(words, block.stop - block.start)
    return found


def equal_words(seat: Seat, mine: Words, length: int) -> Protocol[Bits]:
    """Shared bits (rows,) of a seat of two: whether the low `length` bits of both words agree.

    mine  uint64 (rows,), this party's own words
    """
    _check_bits(length, 1)
    if len(seat.parties) != 2:
        raise ValueError("equality of words is a protocol of two parties")
    column = mine[:, None]
    return (yield from _windows(len(mine), lambda part: _agree(seat, column[part], length)))


def _agree(seat: Seat, mine: Elements, length: int) -> Protocol[Words]:
    slices = yield from own_slices(mine, length)
    if seat.index == 0:
        slices = slices ^ EVERY
    triples = yield from and_triples(seat, 64 * slices[:-1].size)
    return (yield from _conjunction(seat, slices, triples))


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
    triples = yield from and_triples(seat, 64 * slices[:-1].size)
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


def _check_width(ring: Ring, bits: int, fewest: int) -> None:
    if not fewest <= bits <= ring.bits:
        raise ValueError(f"numbers of {bits} bits cannot be compared, only {fewest} to {ring.bits}")


def _negated(seat: Seat, bits: Bits) -> Bits:
    return bits ^ np.uint8(seat.index == 0)


def _conjunction(seat: Seat, slices: Words, triples: AndTriples) -> Protocol[Words]:
    """The AND of all slices, two by two."""
    while len(slices) > 1:
        half = len(slices) // 2
        joined = yield from and_words(seat, slices[:half], slices[half : 2 * half], triples)
        slices = np.concatenate((joined, slices[2 * half :]))
    every: Words = slices[0]
    return every


# ---- what is drawn -------------------------------------------------------------------------------


def at_least_needs(parties: int, count: int, bits: int, masks: bool = False) -> Needs:
    """What `at_least` and `sign_bits` draw.

    masks  from three parties up, whether by edaBits: fewer rounds and bytes online, and more work
           and rounds ahead; in all, carries that are saved are the cheaper ones
    """
    total = Needs({})
    for words in _window_words(count):
        total = total + _sign_needs(parties, words, bits, masks)
    return total


def less_than_needs(
    parties: int, count: int, bits: int = 63, ring_bits: int = 64, masks: bool = False
) -> Needs:
    """What `less_than` draws in a ring of so many bits; masks as in `at_least_needs`."""
    if bits < ring_bits:
        return at_least_needs(parties, count, bits + 1, masks)
    return at_least_needs(parties, 3 * count, bits, masks) + Needs({"and": words_for(count)})


def is_zero_needs(parties: int, count: int, bits: int, masks: bool = False) -> Needs:
    """What `is_zero` and `equal` draw; masks as in `at_least_needs`."""
    total = Needs({})
    for words in _window_words(count):
        total = total + _zero_needs(parties, words, bits, masks)
    return total


def _zero_needs(parties: int, words: int, bits: int, masks: bool) -> Needs:
    products = (bits - 1) * words
    if parties < 3:
        return Needs({"and": products})
    if masks:
        return Needs({mask_kind(bits): words, "and": products})
    return generated_needs(parties, bits, words)


def equal_words_needs(count: int, length: int) -> Needs:
    """What `equal_words` draws."""
    return Needs({"and": (length - 1) * words_for(count)})


def all_of_needs(groups: Sequence[Sequence[int]]) -> Needs:
    """What `all_of` draws."""
    depth = max((len(group) for group in groups), default=1)
    return Needs({"and": max(0, depth - 1) * words_for(len(groups))})


def either_needs(count: int) -> Needs:
    """What `either` draws."""
    return Needs({"and": words_for(count)})


def _sign_needs(parties: int, words: int, bits: int, masks: bool) -> Needs:
    if masks and parties > 2 and bits <= BITS_MAX:
        pairs = (bits - 1) // 2
        opened = Needs({mask_kind(bits): words, "and": pairs * words})
        return opened + tree_needs(carry_levels(bits - 1 - pairs), words)
    return generated_needs(parties, bits, words) + tree_needs(carry_levels(bits - 1), words)


def _window_words(count: int) -> list[int]:
    return [words_for(block.stop - block.start) for block in blocks(count, VALUES_A_WINDOW)]
