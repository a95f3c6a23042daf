"""Random masks shared twice, in the ring and in bits: for comparisons, conversions, truncations.

What       eda_bits: r uniform in [0, 2^bits), shared in the ring and as bit slices; da_bits: random
           bits shared both ways; truncation_pairs: r uniform in the ring, r shifted right, and the
           top bit of r.
Against    honest-but-curious parties, n - 1 of whom may collude. Each party draws a number of its
           own; the sum is added up in binary on XOR shares. What opens on the way is masked by a
           fresh dabit or triple.
Rounds     for each 2^17 values. da_bits n, one for the strings and one for each party but the
           first. eda_bits: cross products of own bits 2 (from three parties up), triples 1 (2 from
           three up), carry-save levels after the first (0, 0, 1, 2, 2, 3, 3, 3, 4 for 2 to 10
           parties), the carry bit by bit bits + o - 1; and n + 1 where o > 0 bits overflow.
           truncation_pairs: eda_bits of shift and of the other bits but one, and da_bits.
           A ripple, because these masks are made before they are used: a prefix adder would take
           2.4 to 4 times the bytes and work, and log2(bits) rounds. None where a stock holds them.
Bytes      t a transfer (`protocols.oblivious_transfer`): da_bits for party k of n (from 0) in all
           k t + 8 words (n - 1 - k) a value. eda_bits to each peer t + 1/4 (from three parties up
           3/8) a gate: bits + o - 1 and those of the levels after the first, in which n - 3
           joins of about `bits` gates remain; the first takes t and 1/8 a bit from each party
           inside a group of three. o = ceil(log2 n) where the ring has room for it.
Source     edaBits: Escudero, Ghosh, Keller, Rachuri, Scholl, CRYPTO 2020, section 4 (without the
           cut and choose, which is for active adversaries); daBits: Rotaru and Wood, INDOCRYPT
           2019, made by correlated OT, Gilboa, CRYPTO 1999; pairs for truncation: Dalskov,
           Escudero, Keller, CCS 2020, section 5.1.

Masked truncation. For x in [-2^(k - 2), 2^(k - 2)) of a ring of k bits open c = x + 2^(k - 2) + r,
which is uniform. With c' = c mod 2^(k - 1) and b = top(r) xor top(c),
    (c' >> shift) - high + (top(r) + b) 2^(k - 1 - shift) - 2^(k - 2 - shift)
is floor(x / 2^shift) or that plus 1. Which of the two depends on r and on the low bits of x: it
rounds up with probability (x mod 2^shift) / 2^shift, so the result is a randomised rounding whose
coin is biased by the data. An exact floor needs one comparison more. A share is never truncated by
itself, which would be wrong by 2^(k - shift) now and then.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_words, bits_to_ring
from protocols.exchange import broadcast
from protocols.kernels.bits import slice_words, unpack, words_for
from protocols.needs import VALUES_A_WINDOW, addend_levels, overflow_bits
from protocols.oblivious_transfer import blocks
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.stock import Needs, drawn
from protocols.triples import AndTriples, crossed, fresh_gates

__all__ = [
    "ROUNDS",
    "DaBits",
    "EdaBits",
    "TruncationPairs",
    "da_bits",
    "da_bits_needs",
    "eda_bits",
    "eda_bits_needs",
    "truncation_pairs",
    "truncation_pairs_needs",
]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a product of two parties' own bits or of a bit triple"),
    Says("masked", to="all", size="1/4 an AND gate"),
    Says("correct", to="one", size="8 words a dabit, at most 16 MiB"),
    Says("bits", to="all", size="1/8 an overflowing bit"),
)

Words = npt.NDArray[np.uint64]
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)


@dataclass(frozen=True, slots=True, repr=False)
class EdaBits:
    """Numbers r in [0, 2^bits): value (count, words) in the ring, bits (bits, words_for(count)).

    Slices are XOR shares, lowest bit first; those of places from `count` on are of no number.
    """

    value: Elements
    bits: Words

    def __repr__(self) -> str:
        return f"EdaBits({len(self.value)} of {len(self.bits)} bits, <redacted>)"


@dataclass(frozen=True, slots=True, repr=False)
class DaBits:
    """Random bits: bits (words_for(count),) XOR shares, value (count, words) in the ring."""

    bits: Words
    value: Elements

    def __repr__(self) -> str:
        return f"DaBits({len(self.value)}, <redacted>)"


@dataclass(frozen=True, slots=True, repr=False)
class TruncationPairs:
    """Shares in the ring (count, words) of r, of r >> shift (unsigned), and of r's top bit."""

    value: Elements
    high: Elements
    top: Elements

    def __repr__(self) -> str:
        return f"TruncationPairs({len(self.value)}, <redacted>)"


# ---- dabits --------------------------------------------------------------------------------------


def da_bits(seat: Seat, ring: Ring, count: int) -> Protocol[DaBits]:
    """`count` random bits, shared as bits and in the ring."""
    held = drawn(seat, f"dabit{ring.bits}", words_for(count))
    if held is None:
        return (yield from _fresh_da_bits(seat, ring, count))
    return DaBits(held[1][0], _values(ring, held[0], count))


def da_bits_needs(ring: Ring, count: int) -> Needs:
    """What `da_bits` draws."""
    return Needs({f"dabit{ring.bits}": words_for(count)})


def _values(ring: Ring, held: Words, count: int) -> Elements:
    return held.reshape(-1, ring.words)[:count]


def _fresh_da_bits(seat: Seat, ring: Ring, count: int) -> Protocol[DaBits]:
    padded = 64 * words_for(count)
    bits, value = seat.rand.words((words_for(count),)), ring.zeros((padded,))
    for window in blocks(padded, VALUES_A_WINDOW):
        own = unpack(bits[window.start // 64 : window.stop // 64], window.stop - window.start)
        value[window] = yield from bits_to_ring(seat, ring, own)
    return DaBits(bits, value[:count])


# ---- edabits -------------------------------------------------------------------------------------


def eda_bits(seat: Seat, ring: Ring, bits: int, count: int) -> Protocol[EdaBits]:
    """`count` random numbers in [0, 2^bits), shared in the ring and in bits.

    Raises ValueError unless bits is 1 to the ring's.
    """
    _check_size(ring, bits, ring.bits, "random numbers of {} bits")
    held = drawn(seat, f"edabit{ring.bits}/{bits}", words_for(count))
    if held is None:
        return (yield from _fresh_eda_bits(seat, ring, bits, count))
    return EdaBits(_values(ring, held[0], count), held[1])


def eda_bits_needs(ring: Ring, bits: int, count: int) -> Needs:
    """What `eda_bits` draws."""
    return Needs({f"edabit{ring.bits}/{bits}": words_for(count)})


def _check_size(ring: Ring, size: int, most: int, what: str) -> None:
    if not 1 <= size <= most:
        raise ValueError(f"{what.format(size)}: a ring of {ring.bits} bits has 1 to {most}")


def _fresh_eda_bits(seat: Seat, ring: Ring, bits: int, count: int) -> Protocol[EdaBits]:
    width = words_for(count)
    value, slices = ring.zeros((64 * width,)), np.zeros((bits, width), np.uint64)
    for window in blocks(width, VALUES_A_WINDOW // 64):
        made = yield from _eda_window(seat, ring, bits, window.stop - window.start)
        value[64 * window.start : 64 * window.stop], slices[:, window] = made.value, made.bits
    return EdaBits(value[:count], slices)


def _eda_window(seat: Seat, ring: Ring, bits: int, words: int) -> Protocol[EdaBits]:
    """Own numbers, their sum in binary, and what overflows taken off in the ring."""
    own = _own_numbers(seat, ring, bits, 64 * words)
    over = overflow_bits(len(seat.parties), bits, ring.bits)
    total = yield from _sum(seat, _slices(own, bits), bits + over)
    value = own
    if over and seat.peers:
        taken = yield from _in_ring(seat, ring, total[bits:])
        powers = ring.from_ints([1 << (bits + place) for place in range(over)])
        value = ring.sub(value, ring.sum(ring.mul(taken, powers[:, None]), axis=0))
    return EdaBits(value, total[:bits])


def _own_numbers(seat: Seat, ring: Ring, bits: int, count: int) -> Elements:
    """Uniform in [0, 2^bits)."""
    mask = ring.from_ints([(1 << bits) - 1])
    return ring.random(seat.rand, (count,)) & mask


def _slices(numbers: Elements, bits: int) -> Words:
    parts = [
        slice_words(np.ascontiguousarray(numbers[:, word]), min(64, bits - 64 * word))
        for word in range(-(-bits // 64))
    ]
    return np.concatenate(parts)


def _sum(seat: Seat, own: Words, width: int) -> Protocol[Words]:
    """XOR shares (width, words) of the sum of all parties' own numbers (bits, words)."""
    bits, words = own.shape
    if not seat.peers:
        return np.concatenate((own, np.zeros((width - bits, words), np.uint64)))
    levels = addend_levels(len(seat.parties), bits, width)
    gates = sum(sum(level) for level in levels[1:]) + width - 1
    addends = yield from _own_level(seat, own, width)
    a, b, c = yield from fresh_gates(seat, gates * words)
    triples = AndTriples(a, b, c)
    for level in levels[1:]:
        addends = yield from _level(seat, addends, level, triples)
    x, y = addends
    return (yield from _ripple(seat, x, y, triples))


def _own_level(seat: Seat, own: Words, width: int) -> Protocol[list[Words]]:
    """The first carry-save level: three parties' own numbers, products of two parties at a time."""
    bits, words = own.shape
    whole = len(seat.parties) // 3 * 3
    addends = []
    if whole:
        groups = [seat.parties[k : k + 3] for k in range(0, whole, 3)]
        edges = [(g[k], g[(k + 1) % 3]) for g in groups for k in range(3)]
        majority = (yield from crossed(seat, own.reshape(-1), edges)).reshape(bits, words)
        for group in groups:
            inside = EVERY if seat.me in group else np.uint64(0)
            addends += [_grown(own & inside, width), _carried(majority & inside, width)]
    for party in seat.parties[whole:]:
        addends.append(_grown(own if party == seat.me else np.zeros_like(own), width))
    return addends


def _grown(slices: Words, width: int) -> Words:
    return np.concatenate((slices, np.zeros((width - len(slices), slices.shape[1]), np.uint64)))


def _carried(majority: Words, width: int) -> Words:
    """Carries one place up; what leaves the width is dropped."""
    return _grown(np.concatenate((np.zeros_like(majority[:1]), majority))[:width], width)


def _level(
    seat: Seat, addends: list[Words], gates: tuple[int, ...], triples: AndTriples
) -> Protocol[list[Words]]:
    """One more carry-save level: the majority of three shared bits takes one AND."""
    width, whole = len(addends[0]), 3 * len(gates)
    groups = [addends[k : k + 3] for k in range(0, whole, 3)]
    left = np.concatenate([(x ^ z)[:g] for (x, _, z), g in zip(groups, gates, strict=True)])
    right = np.concatenate([(y ^ z)[:g] for (_, y, z), g in zip(groups, gates, strict=True)])
    both = yield from and_words(seat, left, right, triples)
    joined, start = [], 0
    for (x, y, z), count in zip(groups, gates, strict=True):
        majority = both[start : start + count] ^ z[:count]
        joined += [x ^ y ^ z, _carried(majority, width)]
        start += count
    return joined + addends[whole:]


def _ripple(seat: Seat, x: Words, y: Words, triples: AndTriples) -> Protocol[Words]:
    """x + y mod 2^width, one AND a place: c' = c + (x + c)(y + c)."""
    total = x ^ y
    carry = np.zeros_like(x[0])
    for place in range(len(x) - 1):
        both = yield from and_words(seat, x[place] ^ carry, y[place] ^ carry, triples)
        carry = carry ^ both
        total[place + 1] ^= carry
    return total


def _in_ring(seat: Seat, ring: Ring, slices: Words) -> Protocol[Elements]:
    """Shared bits (k, words) in the ring (k, 64 words, ring's words): open b + d, take d off."""
    pads = yield from _fresh_da_bits(seat, ring, 64 * slices.size)
    shares = yield from broadcast(seat, "bits", slices.reshape(-1) ^ pads.bits)
    opened = np.bitwise_xor.reduce([shares[party] for party in seat.parties])
    turned = unpack(opened, 64 * slices.size)
    mask = (np.uint64(0) - turned.astype(np.uint64))[:, None]
    value = ring.add(pads.value & ~mask, ring.neg(pads.value) & mask)
    if seat.index == 0:
        ones = ring.zeros((len(turned),))
        ones[:, 0] = turned
        value = ring.add(value, ones)
    return value.reshape(len(slices), -1, ring.words)


# ---- pairs for truncation ------------------------------------------------------------------------


def truncation_pairs(seat: Seat, ring: Ring, shift: int, count: int) -> Protocol[TruncationPairs]:
    """Pairs for `count` masked truncations by `shift` bits: see the module's head.

    Raises ValueError unless shift is 1 to the ring's bits - 2.
    """
    _check_size(ring, shift, ring.bits - 2, "a truncation by {} bits")
    held = drawn(seat, f"truncate{ring.bits}/{shift}", count)
    if held is not None:
        return TruncationPairs(*held[0])
    low = yield from _fresh_eda_bits(seat, ring, shift, count)
    high = yield from _fresh_eda_bits(seat, ring, ring.bits - 1 - shift, count)
    top = (yield from _fresh_da_bits(seat, ring, count)).value
    above = ring.add(high.value, ring.scale(top, 1 << (ring.bits - 1 - shift)))
    return TruncationPairs(ring.add(low.value, ring.scale(above, 1 << shift)), above, top)


def truncation_pairs_needs(ring: Ring, shift: int, count: int) -> Needs:
    """What `truncation_pairs` draws."""
    return Needs({f"truncate{ring.bits}/{shift}": count})
