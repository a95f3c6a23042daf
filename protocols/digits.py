"""Digits of shared numbers: bit decomposition, bits back into the ring, prefixes, choices.

What       bit_slices turns additive shares mod 2^bits into XOR shares of every bit;
           slices_to_ring turns shared bits into ring elements 0 and 1; prefix_and, prefix_or and
           highest_bit go along the bits of a number; select_slices chooses between two numbers.
Against    honest-but-curious parties, n - 1 of whom may collude; only bits and numbers masked by
           random ones open on the way.
Rounds     the draws that the stock does not hold, as in `protocols.comparison`; then bit_slices
           c + 1 + L for every 2^18 values, or 1 + L by edaBits (from three parties up, where the
           stock holds them), with L = ceil(log2(bits - 1)), by Brent and Kung's tree up
           to 2 L - 1 (7 and 11 rounds at 64 bits); c as in `protocols.adders`. slices_to_ring 1,
           prefixes ceil(log2 bits), select_slices 1.
Bytes      to each peer online: bit_slices of two parties by Sklansky 70 at 64 bits, by Brent
           and Kung 43; slices_to_ring 1/8 a bit, select_slices 3/8 for two bits.
           Correlations of a value of 64 bits: 32 cross products and 186 pairs (114 by Brent and
           Kung); slices_to_ring a daBit a bit; prefixes 112 pairs; select_slices half a pair a bit.
Source     trees as in `protocols.adders`. B2A: Escudero et al. ("Improved primitives for MPC over
           mixed arithmetic-binary circuits"), CRYPTO 2020, section 3. Gates of a prefix tree that
           have their lower block in common go two by two as pairs.

A shared bit times a ring element is `arithmetic.select`, two OTs with each peer whatever the
element's size: cheaper than a daBit and a product, which takes 64 OTs; where both are in the stock,
slices_to_ring and multiply take two rounds and 17 bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.adders import (
    TREES,
    all_carries,
    borrowed,
    gates,
    generated,
    generated_needs,
    mask_kind,
    masks_held,
    opened_masked,
    own_slices,
    tree_needs,
)
from protocols.exchange import broadcast
from protocols.kernels.bits import unpack, words_for
from protocols.masks import da_bits
from protocols.oblivious_transfer import blocks
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.stock import Needs
from protocols.triples import pair_triples

__all__ = [
    "ROUNDS",
    "bit_slices",
    "bit_slices_needs",
    "highest_bit",
    "prefix_and",
    "prefix_needs",
    "prefix_or",
    "select_slices",
    "select_slices_needs",
    "slices_to_ring",
    "slices_to_ring_needs",
]

ROUNDS = (
    Says("extend", to="one", size="as random_ot"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a daBit, at most 16 MiB"),
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("masked", to="all", size="1/4 an AND gate, 3/8 a pair, at most 16 MiB"),
    Says("shifted", to="all", size="8 a value, 4 up to 32 bits, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit, in whole words"),
)

Words = npt.NDArray[np.uint64]
Pairs = tuple[list[int], list[int], list[int]]
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
VALUES_A_WINDOW = 1 << 18  # taken apart at a time: 64 bits of them and their triples are 64 MiB
BITS_A_WINDOW = 1 << 20  # brought into the ring at a time


# ---- decomposition -------------------------------------------------------------------------------


def bit_slices(
    seat: Seat, ring: Ring, x: Elements, bits: int, tree: str = "sklansky"
) -> Protocol[Words]:
    """XOR shares (bits, ceil(m / 64)) of the low `bits` bits of shared numbers, lowest first.

    x     (m, words), additively shared; bits 1 to the ring's
    tree  "sklansky": fewest rounds; "brent-kung": fewest gates, for thin links
    Raises ValueError for other bits, KeyError for another tree.
    """
    if not 1 <= bits <= ring.bits:
        raise ValueError(f"numbers of the ring have 1 to {ring.bits} bits, not {bits}")
    found = np.empty((bits, words_for(len(x))), dtype=np.uint64)
    for block in blocks(len(x), VALUES_A_WINDOW):
        words = slice(block.start // 64, words_for(block.stop))
        found[:, words] = yield from _sum(seat, x[block], bits, tree)
    return found


def _sum(seat: Seat, x: Elements, bits: int, tree: str) -> Protocol[Words]:
    """Each bit of the sum: what both addends have there and the carry from below."""
    if masks_held(seat, bits, len(x)):
        return (yield from _difference(seat, x, bits, tree))
    own = yield from own_slices(x, bits)
    generate, propagate = yield from generated(seat, own)
    carries = yield from all_carries(seat, generate, propagate[:-1], tree)
    total = propagate.copy()
    total[1:] ^= carries
    return total


def _difference(seat: Seat, x: Elements, bits: int, tree: str) -> Protocol[Words]:
    """The same of c - r: c opened, r a mask whose bits are shared."""
    opened, masks = yield from opened_masked(seat, x, bits)
    generate, propagate = yield from borrowed(seat, opened[:-1], masks[:-1])
    borrows = yield from all_carries(seat, generate, propagate, tree)
    total = masks ^ opened if seat.index == 0 else masks.copy()
    total[1:] ^= borrows
    return total


def bit_slices_needs(parties: int, count: int, bits: int, tree: str = "sklansky") -> Needs:
    """What `bit_slices` draws; from three parties up the edaBits of the quick way, to 64 bits."""
    total, levels = Needs({}), TREES[tree](bits - 1)
    for block in blocks(count, VALUES_A_WINDOW):
        words = words_for(block.stop - block.start)
        if parties > 2 and bits <= 64:
            total = total + Needs({mask_kind(bits): words})
        else:
            total = total + generated_needs(parties, bits, words)
        total = total + tree_needs(levels, words)
    return total


# ---- bits into the ring --------------------------------------------------------------------------


def slices_to_ring(seat: Seat, ring: Ring, slices: Words, count: int) -> Protocol[Elements]:
    """Additive shares (k, count, words) of the first `count` shared bits of each of k slices.

    slices  (k, ceil(count / 64)); b = m + (1 - 2 m) d, m = b ^ d opened, d a daBit
    """
    flat = slices.reshape(-1)
    found = ring.zeros((64 * len(flat),))
    for block in blocks(len(flat), BITS_A_WINDOW // 64):
        places = slice(64 * block.start, 64 * block.stop)
        found[places] = yield from _in_ring(seat, ring, flat[block])
    return found.reshape(len(slices), 64 * slices.shape[1], ring.words)[:, :count]


def _in_ring(seat: Seat, ring: Ring, words: Words) -> Protocol[Elements]:
    masks = yield from da_bits(seat, ring, 64 * len(words))
    shares = yield from broadcast(seat, "bits", words ^ masks.bits)
    opened = np.bitwise_xor.reduce([shares[party] for party in seat.parties])
    turned = unpack(opened, 64 * len(words)).astype(np.uint64)[:, None]
    ones = ring.zeros((len(turned),))
    ones[:, :1] = turned << np.uint64(seat.index == 0)  # -d is its complement and 1
    return ring.add(masks.value ^ (np.uint64(0) - turned), ones)


def slices_to_ring_needs(ring: Ring, slices: int, count: int) -> Needs:
    """What `slices_to_ring` draws for so many slices of `count` bits."""
    return Needs({f"dabit{ring.bits}": slices * words_for(count)})


# ---- along the bits ------------------------------------------------------------------------------


def prefix_and(seat: Seat, slices: Words) -> Protocol[Words]:
    """Shares (k, width): row i is the AND of rows 0 to i of shared slices (k, width)."""
    found = slices.copy()
    levels = _fans(len(slices))
    rows = sum(len(low) for low, _, _ in levels)
    triples = yield from pair_triples(seat, 64 * rows * slices.shape[1])
    for low, high, other in levels:
        sides = found[low], found[high], found[other]
        found[high], found[other] = yield from gates(seat, *sides, triples)
    return found


def prefix_or(seat: Seat, slices: Words) -> Protocol[Words]:
    """Shares (k, width): row i is the OR of rows 0 to i of shared slices (k, width)."""
    return _negated(seat, (yield from prefix_and(seat, _negated(seat, slices))))


def highest_bit(seat: Seat, slices: Words) -> Protocol[Words]:
    """Shares (k, width): of each number the highest bit that is set, alone; none of zero.

    slices  (k, width), lowest bit first
    """
    above = (yield from prefix_or(seat, slices[::-1]))[::-1].copy()
    above[:-1] ^= above[1:]
    return above


def prefix_needs(slices: int, words: int) -> Needs:
    """What `prefix_and`, `prefix_or` and `highest_bit` draw for (slices, words)."""
    return Needs({"pair": words * sum(len(low) for low, _, _ in _fans(slices))})


def _fans(bits: int) -> list[Pairs]:
    """Levels of Sklansky's tree: places (low, high, other), two gates of one low place a row.

    The last rows have an `other`, where a low place has an even number of gates.
    """
    levels, span = [], 1
    while span < bits:
        single, double = [], []
        for first in range(span, bits, 2 * span):
            fan = list(range(first, min(first + span, bits)))
            single += [(first - 1, fan.pop())] if len(fan) % 2 else []
            double += [(first - 1, *pair) for pair in zip(fan[::2], fan[1::2], strict=True)]
        low = [row[0] for row in (*single, *double)]
        high = [row[1] for row in (*single, *double)]
        levels.append((low, high, [row[2] for row in double]))
        span *= 2
    return levels


def _negated(seat: Seat, slices: Words) -> Words:
    return slices ^ EVERY if seat.index == 0 else slices


# ---- choices -------------------------------------------------------------------------------------


def select_slices(seat: Seat, choice: Words, x: Words, y: Words) -> Protocol[Words]:
    """Shares (k, width) of x where the shared bit is 1 and of y where it is 0.

    choice  (width,); x, y  (k, width)
    """
    apart = x ^ y
    rows = -(-len(apart) // 2)
    triples = yield from pair_triples(seat, 64 * rows * len(choice))
    factor = np.broadcast_to(choice, (rows, len(choice)))
    made = yield from gates(seat, factor, apart[:rows], apart[rows:], triples)
    return y ^ np.concatenate(made)


def select_slices_needs(slices: int, words: int) -> Needs:
    """What `select_slices` draws for (slices, words)."""
    return Needs({"pair": -(-slices // 2) * words})
