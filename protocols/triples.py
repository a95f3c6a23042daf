"""Beaver triples without a dealer: random shared a, b and c = a b, for bits and for ring elements.

Against    honest-but-curious parties, n - 1 of whom may collude: each ordered pair of parties makes
           shares of its own cross product by OT, and the rest is local.
Rounds     for each 2^20 transfers: and_triples 1 (2 with three parties or more), ring_triples 2.
Bytes      to each peer: and_triples 16 a triple and 1/8 of correction; ring_triples for words of
           64 bits 16 * 64 + 8 * 64 a triple, for 128 bits 16 * 128 + 16 * 128.
Source     bits: Asharov, Lindell, Schneider, Zohner, CCS 2013, section 5.1, extended to n parties
           by one correction bit; ring: Gilboa, CRYPTO 1999, section 4.1, as in Demmler, Schneider,
           Zohner (ABY), NDSS 2015, section III-A5.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.exchange import exchange
from protocols.kernels.bits import pack, unpack, words_for
from protocols.oblivious_transfer import TRANSFERS_MAX, Strings, blocks, random_ot
from protocols.party import Expect, Party, Protocol, Says, Seat
from protocols.ring import Elements, Ring

__all__ = ["ROUNDS", "AndTriples", "RingTriples", "and_triples", "correlated", "ring_triples"]

ROUNDS = (
    Says("extend", to="one", size="16 a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
BITS_A_BLOCK = TRANSFERS_MAX
WORDS_A_BLOCK = 1 << 21  # 16 MiB of corrections


@dataclass(slots=True, repr=False)
class AndTriples:
    """XOR shares of random bits a, b and of a & b, 64 a word. `taken` words are used up."""

    a: Words
    b: Words
    c: Words
    taken: int = 0

    def __repr__(self) -> str:
        return f"AndTriples({len(self.a)} words, <redacted>)"

    def take(self, words: int) -> tuple[Words, Words, Words]:
        """The next triples; each is handed out once. Raises ValueError when too few are left."""
        first, self.taken = self.taken, self.taken + words
        if self.taken > len(self.a):
            raise ValueError(f"{words} words of triples asked for, {len(self.a) - first} left")
        part = slice(first, self.taken)
        return self.a[part], self.b[part], self.c[part]


@dataclass(frozen=True, slots=True, repr=False)
class RingTriples:
    """Additive shares of random elements a, b and of a * b, element by element."""

    a: Elements
    b: Elements
    c: Elements

    def __repr__(self) -> str:
        return f"RingTriples({self.a.shape}, <redacted>)"


# ---- bits ----------------------------------------------------------------------------------------


def and_triples(seat: Seat, count: int) -> Protocol[AndTriples]:
    """At least `count` AND triples of all parties of the seat, rounded up to whole words."""
    parts = []
    for block in blocks(64 * words_for(count), BITS_A_BLOCK):
        parts += [(yield from _bit_block(seat, block.stop - block.start))]
    empty = np.zeros(0, dtype=np.uint64)
    a, b, c = (
        (np.concatenate([empty, *column]) for column in zip(*parts, strict=True))
        if parts
        else (empty,) * 3
    )
    return AndTriples(a, b, c)


def _bit_block(seat: Seat, count: int) -> Protocol[tuple[Words, Words, Words]]:
    """P_i chooses with its bits of a. With its first peer b is the difference of the two strings;
    every other peer gets one correction bit, masked by the string that it did not choose."""
    if not seat.peers:
        a, b = (pack(seat.rand.bits((count,))) for _ in range(2))
        return a, b, a & b
    choices = seat.rand.bits((count,))
    pads = yield from random_ot(seat, count, 1, dict.fromkeys(seat.peers, choices), seat.peers)
    zeros, ones, chosen = (_low_bits(each) for each in (pads.zeros, pads.ones, pads.chosen))
    a, b = pack(choices), zeros[seat.peers[0]] ^ ones[seat.peers[0]]
    mends = yield from _mend(
        seat, {peer: zeros[peer] ^ ones[peer] ^ b for peer in seat.peers[1:]}, len(a)
    )
    c = a & b
    for peer in seat.peers:
        c = c ^ zeros[peer] ^ chosen[peer]
        if peer in mends:
            c = c ^ (a & mends[peer])
    return a, b, c


def _low_bits(strings: Mapping[Party, Words]) -> dict[Party, Words]:
    one = np.uint64(1)
    return {p: pack((words[:, 0] & one).astype(np.uint8)) for p, words in strings.items()}


def _mend(seat: Seat, says: Mapping[Party, Words], words: int) -> Protocol[dict[Party, Words]]:
    if len(seat.parties) == 2:
        return {}
    first = {p: next(q for q in seat.parties if q != p) for p in seat.parties}
    hears = tuple(peer for peer in seat.peers if first[peer] != seat.me)
    return (yield from exchange("mend", says, hears, Expect("uint64", (words,))))


# ---- ring elements -------------------------------------------------------------------------------


def correlated(
    seat: Seat,
    ring: Ring,
    choosing: Mapping[Party, Bits],
    offering: Mapping[Party, Elements],
    shape: tuple[int, ...],
) -> Protocol[Elements]:
    """Shares of the sum over all pairs of bit * element, element by element: (count, ..., words).

    choosing  peer: uint8 (count,), where this party receives
    offering  peer: elements (count, ..., words), where it sends
    shape     (count, ...) without the words, the same for all
    """
    words = int(np.prod(shape[1:], dtype=np.int64)) * ring.words
    senders = tuple(sorted(offering))
    pads = yield from random_ot(seat, shape[0], words, choosing, senders)
    expect = Expect("uint64", (*shape, ring.words))
    says = {peer: correction(ring, pads, peer, offering[peer]) for peer in senders}
    heard = yield from exchange("correct", says, tuple(sorted(choosing)), expect)
    share = ring.zeros(shape)
    for peer in senders:
        share = ring.sub(share, pads.zeros[peer].reshape(share.shape))
    for peer, value in sorted(heard.items()):
        share = ring.add(share, corrected(ring, pads, peer, choosing[peer], value))
    return share


def correction(ring: Ring, pads: Strings, peer: Party, value: Elements) -> Elements:
    """What the sender says: z_0 + value - z_1, so that z_1 plus it is z_0 + value."""
    zeros, ones = pads.zeros[peer].reshape(value.shape), pads.ones[peer].reshape(value.shape)
    return ring.sub(ring.add(zeros, value), ones)


def corrected(ring: Ring, pads: Strings, peer: Party, bits: Bits, said: Elements) -> Elements:
    """What the receiver then holds: z_0 + bit * value."""
    mask = np.uint64(0) - bits.astype(np.uint64).reshape(-1, *([1] * (said.ndim - 1)))
    return ring.add(pads.chosen[peer].reshape(said.shape), said & mask)


def ring_triples(seat: Seat, ring: Ring, shape: tuple[int, ...]) -> Protocol[RingTriples]:
    """Triples of all parties of the seat, arrays of this shape: elements (*shape, words)."""
    count = int(np.prod(shape, dtype=np.int64))
    a, b = ring.random(seat.rand, (count,)), ring.random(seat.rand, (count,))
    parts = [ring.zeros((0,))]
    for block in blocks(count, max(1, WORDS_A_BLOCK // (ring.bits * ring.words) // 2)):
        parts += [(yield from _products(seat, ring, a[block], b[block]))]
    c = ring.add(ring.mul(a, b), np.concatenate(parts))
    return RingTriples(*(x.reshape(*shape, ring.words) for x in (a, b, c)))


def _products(seat: Seat, ring: Ring, a: Elements, b: Elements) -> Protocol[Elements]:
    """Shares of the sum over ordered pairs of a_i b_j: Gilboa, one OT for each bit of a_i."""
    choices = unpack(a, ring.bits).reshape(-1)
    offered = np.repeat(b, ring.bits, axis=0)
    share = yield from correlated(
        seat,
        ring,
        dict.fromkeys(seat.peers, choices),
        dict.fromkeys(seat.peers, offered),
        (len(offered),),
    )
    return weigh(ring, share.reshape(len(a), ring.bits, ring.words), ring.bits, signed=False)


def weigh(ring: Ring, digits: Elements, width: int, signed: bool) -> Elements:
    """Sum over axis -2 of digit t times 2^t; the last counts negative when signed."""
    powers = [1 << t for t in range(width)]
    if signed:
        powers[-1] = -powers[-1]
    return ring.sum(ring.mul(digits, ring.from_ints(powers)), axis=-2)
