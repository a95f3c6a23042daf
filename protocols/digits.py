"""Digits of shared numbers: bit decomposition, bits back into the ring, prefixes of bits.

What       bit_slices turns additive shares mod 2^bits into XOR shares of every bit: carry-save
           adders bring n numbers to two, Sklansky's prefix tree brings all carries.
           slices_to_ring turns shared bits into shared ring elements 0 and 1.
Against    honest-but-curious parties, n - 1 of whom may collude; only values masked by triples and
           OT strings open on the way.
Rounds     bit_slices: triples (1 for every 2^20 of them, 2 from three parties up), then
           c + 1 + ceil(log2(bits - 1)), c carry-save levels as in `protocols.comparison`;
           slices_to_ring as `bits_to_ring` of `protocols.arithmetic`.
Bytes      to each peer 16 (from three parties up 16 1/8) a triple and 1/4 a masked pair of bits;
           (n - 2) bits + bits + bits log2(bits) triples a value at most.
Source     Sklansky 1960 (the prefix tree); Wallace 1964 (carry-save).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_words, bits_to_ring
from protocols.comparison import adder_gates, two_addends
from protocols.kernels.bits import slice_words, unpack, words_for
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.triples import AndTriples, and_triples

__all__ = ["ROUNDS", "bit_slices", "slices_to_ring"]

ROUNDS = (
    Says("extend", to="one", size="16 a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("masked", to="all", size="1/4 an AND gate, at most 16 MiB"),
)

Words = npt.NDArray[np.uint64]


def bit_slices(seat: Seat, ring: Ring, x: Elements, bits: int) -> Protocol[Words]:
    """XOR shares (bits, ceil(m / 64)) of the low `bits` bits of shared numbers, lowest first.

    x  (m, words), additively shared; bits 1 to the ring's
    Raises ValueError for other bits.
    """
    if not 1 <= bits <= ring.bits:
        raise ValueError(f"numbers of the ring have 1 to {ring.bits} bits, not {bits}")
    own = np.concatenate(
        [
            slice_words(np.ascontiguousarray(x[:, word]), min(64, bits - 64 * word))
            for word in range(-(-bits // 64))
        ]
    )
    width = words_for(len(x))
    gates = adder_gates(len(seat.parties), bits) + bits + 2 * bits * bits.bit_length()
    triples = yield from and_triples(seat, 64 * gates * width)
    addends = yield from two_addends(seat, own, triples)
    return (yield from _sum(seat, *addends, triples))


def slices_to_ring(seat: Seat, ring: Ring, slices: Words, count: int) -> Protocol[Elements]:
    """Additive shares (k, count, words) of the first `count` shared bits of each of k slices."""
    return (yield from bits_to_ring(seat, ring, unpack(slices, count)))


def _sum(seat: Seat, x: Words, y: Words, triples: AndTriples) -> Protocol[Words]:
    """x + y of slices, mod 2^bits: all carries by prefixes of (generate, propagate)."""
    propagate = x ^ y
    if len(x) == 1:
        return propagate
    total = propagate.copy()
    generate = yield from and_words(seat, x[:-1], y[:-1], triples)
    propagate = propagate[:-1].copy()
    span = 1
    while span < len(generate):
        high = [i for i in range(len(generate)) if i & span]
        low = [(i | (span - 1)) - span for i in high]
        right = np.stack((generate[low], propagate[low]))
        joined = yield from and_words(seat, np.stack((propagate[high],) * 2), right, triples)
        generate[high] ^= joined[0]
        propagate[high] = joined[1]
        span *= 2
    total[1:] ^= generate
    return total
