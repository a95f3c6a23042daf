"""Beaver triples without a dealer: random shared a, b and c = a b, for bits and for ring elements.

Against    honest-but-curious parties, n - 1 of whom may collude: each ordered pair of parties makes
           shares of its own cross product by OT, and the rest is local.
Rounds     and_triples, pair_triples 1 for each 2^20 transfers (from three parties up 1 more for
           each 16 MiB of corrections); ring_triples 2 for each window of 2^14 words. None of them
           where the stock of the seat holds them.
Bytes      to each peer, t a transfer (`protocols.oblivious_transfer`): and_triples t a triple, from
           three parties up 1/8 of correction more for all but one of them; pair_triples t and 1/4;
           ring_triples 64 t + 264 a product of 64 bits, 128 t + 1032 of 128.
Source     bits: Asharov, Lindell, Schneider, Zohner, CCS 2013, section 5.1, extended to n parties
           by one correction bit; ring: Gilboa, CRYPTO 1999, section 4.1, as in Demmler, Schneider,
           Zohner (ABY), NDSS 2015, section III-A5, of whose corrections only the bits that reach
           the ring are said: `protocols.kernels.gilboa`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

import protocols.kernels.gilboa  # noqa: F401  registers its kernels
from protocols.exchange import exchange
from protocols.kernels.bits import unpack, words_for
from protocols.needs import PRODUCTS_A_WINDOW, packed_words
from protocols.oblivious_transfer import BitStrings, Strings, blocks, random_bits, random_ot
from protocols.party import Compute, Expect, Party, Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.stock import Needs, drawn

__all__ = [
    "ROUNDS",
    "AndTriples",
    "PairTriples",
    "RingTriples",
    "and_triples",
    "and_triples_needs",
    "correlated",
    "crossed",
    "fresh_gates",
    "pair_triples",
    "pair_triples_needs",
    "ring_triples",
    "ring_triples_needs",
]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit product, from three parties up"),
    Says("correct", to="one", size="33 words a product of 64 bits, 129 of 128"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
GATES_A_BLOCK = 1 << 18  # words of triples: random bits of as many transfers are held at once


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


@dataclass(slots=True, repr=False)
class PairTriples:
    """XOR shares of random bits a (w,), b and c = a & b (2, w), 64 a word: two ANDs with one a."""

    a: Words
    b: Words
    c: Words
    taken: int = 0

    def __repr__(self) -> str:
        return f"PairTriples({len(self.a)} words, <redacted>)"

    def take(self, words: int) -> tuple[Words, Words, Words]:
        """The next pairs; each is handed out once. Raises ValueError when too few are left."""
        first, self.taken = self.taken, self.taken + words
        if self.taken > len(self.a):
            raise ValueError(f"{words} words of pairs asked for, {len(self.a) - first} left")
        part = slice(first, self.taken)
        return self.a[part], self.b[:, part], self.c[:, part]


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
    held = drawn(seat, "and", words_for(count))
    if held is None:
        return AndTriples(*(yield from fresh_gates(seat, words_for(count))))
    return AndTriples(*held[0])


def pair_triples(seat: Seat, count: int) -> Protocol[PairTriples]:
    """At least `count` pairs of ANDs that share a factor, rounded up to whole words."""
    held = drawn(seat, "pair", words_for(count))
    if held is None:
        return PairTriples(*(yield from _gates(seat, words_for(count), 2)))
    rows = held[0]
    return PairTriples(rows[0], rows[1:3], rows[3:5])


def and_triples_needs(count: int) -> Needs:
    """What `and_triples` draws."""
    return Needs({"and": words_for(count)})


def pair_triples_needs(count: int) -> Needs:
    """What `pair_triples` draws."""
    return Needs({"pair": words_for(count)})


def fresh_gates(seat: Seat, words: int) -> Protocol[tuple[Words, Words, Words]]:
    """AND triples (words,) that come from no stock: for the makers of other correlations."""
    a, b, c = yield from _gates(seat, words, 1)
    return a, b[0], c[0]


def _gates(seat: Seat, words: int, width: int) -> Protocol[tuple[Words, Words, Words]]:
    """a (words,), b and a & b (width, words), a block at a time."""
    a, b, c = np.zeros(words, np.uint64), *np.zeros((2, width, words), np.uint64)
    for block in blocks(words, GATES_A_BLOCK):
        made = yield from _gate_block(seat, block.stop - block.start, width)
        a[block], b[:, block], c[:, block] = made
    return a, b, c


def _gate_block(seat: Seat, words: int, width: int) -> Protocol[tuple[Words, Words, Words]]:
    """P_i chooses with its bits of a. With its first peer b is the difference of the two strings;
    every other peer gets one correction bit, masked by the string that it did not choose."""
    a = seat.rand.words((words,))
    if not seat.peers:
        b = seat.rand.words((width, words))
        return a, b, a & b
    pads = yield from random_bits(seat, 64 * words, width, dict.fromkeys(seat.peers, a), seat.peers)
    b = pads.zeros[seat.peers[0]] ^ pads.ones[seat.peers[0]]
    says = {peer: pads.zeros[peer] ^ pads.ones[peer] ^ b for peer in seat.peers[1:]}
    mends = yield from _mend(seat, says, (width, words))
    c = a & b
    for peer in seat.peers:
        c ^= pads.zeros[peer] ^ pads.chosen[peer]
        if peer in mends:
            c ^= a & mends[peer]
    return a, b, c


def _mend(
    seat: Seat, says: Mapping[Party, Words], shape: tuple[int, int]
) -> Protocol[dict[Party, Words]]:
    if len(seat.parties) == 2:
        return {}
    first = {p: next(q for q in seat.parties if q != p) for p in seat.parties}
    hears = tuple(peer for peer in seat.peers if first[peer] != seat.me)
    flat = {peer: value.reshape(-1) for peer, value in says.items()}
    expect = Expect("uint64", (shape[0] * shape[1],))
    heard = yield from exchange("mend", flat, hears, expect)
    return {peer: value.reshape(shape) for peer, value in heard.items()}


def crossed(seat: Seat, own: Words, edges: Iterable[tuple[Party, Party]]) -> Protocol[Words]:
    """XOR shares (words,) of the sum of x_r & x_s over edges (r, s), x a party's own bits.

    own    uint64 (words,), this party's own bits, 64 a word
    edges  public and the same at all parties: r receives by one OT a bit, s mends by one bit
    """
    listed = tuple(edges)
    hears = tuple(sorted(s for r, s in listed if r == seat.me))
    offers = tuple(sorted(r for r, s in listed if s == seat.me))
    count = 64 * len(own)
    pads: BitStrings = yield from random_bits(seat, count, 1, dict.fromkeys(hears, own), offers)
    says = {peer: pads.zeros[peer][0] ^ pads.ones[peer][0] ^ own for peer in offers}
    heard = yield from exchange("mend", says, hears, Expect("uint64", own.shape))
    share = np.zeros_like(own)
    for peer in offers:
        share ^= pads.zeros[peer][0]
    for peer in hears:
        share ^= pads.chosen[peer][0] ^ (own & heard[peer])
    return share


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
    held = drawn(seat, f"product{ring.bits}", count)
    a, b, c = held[0] if held is not None else (yield from _fresh_triples(seat, ring, count))
    return RingTriples(*(x.reshape(*shape, ring.words) for x in (a, b, c)))


def ring_triples_needs(ring: Ring, shape: tuple[int, ...]) -> Needs:
    """What `ring_triples` draws."""
    return Needs({f"product{ring.bits}": int(np.prod(shape, dtype=np.int64))})


def _fresh_triples(
    seat: Seat, ring: Ring, count: int
) -> Protocol[tuple[Elements, Elements, Elements]]:
    a, b = ring.random(seat.rand, (count,)), ring.random(seat.rand, (count,))
    c = ring.mul(a, b)
    for window in blocks(count, PRODUCTS_A_WINDOW // ring.words):
        products = yield from _products(seat, ring, a[window], b[window])
        c[window] = ring.add(c[window], products)
    return a, b, c


def _products(seat: Seat, ring: Ring, a: Elements, b: Elements) -> Protocol[Elements]:
    """Shares of the sum over ordered pairs of a_i b_j: Gilboa, one OT for each bit of a_i."""
    peers, count = seat.peers, len(a)
    choices = dict.fromkeys(peers, unpack(a, ring.bits).reshape(-1))
    pads = yield from random_ot(seat, ring.bits * count, ring.words, choices, peers)
    sent = yield [
        Compute("gilboa.send", (pads.zeros[peer], pads.ones[peer], b), count) for peer in peers
    ]
    says = {peer: packed for peer, (packed, _) in zip(peers, sent, strict=True)}
    expect = Expect("uint64", (count, packed_words(ring.bits)))
    heard = yield from exchange("correct", says, peers, expect)
    received = yield [
        Compute("gilboa.receive", (pads.chosen[peer], a, heard[peer]), count) for peer in peers
    ]
    share = ring.zeros((count,))
    for part in (*(mine for _, mine in sent), *received):
        share = ring.add(share, part)
    return share


def weigh(ring: Ring, digits: Elements, width: int, signed: bool) -> Elements:
    """Sum over axis -2 of digit t times 2^t; the last counts negative when signed."""
    powers = [1 << t for t in range(width)]
    if signed:
        powers[-1] = -powers[-1]
    return ring.sum(ring.mul(digits, ring.from_ints(powers)), axis=-2)
