"""Sums of products on shares: bits by AND triples, ring elements by Beaver triples and by OT.

Against    honest-but-curious parties, n - 1 of whom may collude. What opens on the way is masked by
           a fresh uniform triple; what OT hands over is masked by a fresh random string.
Rounds     and_bits 2 (3 from three parties up), multiply 3, select n + 1, bits_to_ring n,
           cross_sums 2; each for every block of 2^20 transfers or 16 MiB. From a stock that holds
           the triples and_bits and multiply 1; and_words and and_pairs 1.
Bytes      to each peer, for words of 64 bits, t a transfer (`protocols.oblivious_transfer`; 4 or
           2): and_bits t + 1/4 a bit, from three parties up 3/8; multiply 64 t + 264 + 16, of which
           16 with a stock; select t + 8 c for each row; bits_to_ring t to each party before this
           one and 8 to each after it; cross_sums, from the owner t for each bit of its columns and
           row, to the owner 8 for each such bit and partner; and_words 16 a word, and_pairs 24.
Source     Beaver, CRYPTO 1991; Gilboa, CRYPTO 1999, section 4.1; the select by signs: Mohassel and
           Rindal (ABY3), CCS 2018, section 5.4.1, chained over the parties here.

Parties whose share is zero take part like all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.exchange import broadcast, exchange
from protocols.kernels.bits import pack, unpack
from protocols.oblivious_transfer import TRANSFERS_MAX, Strings, blocks, random_ot
from protocols.party import Expect, Party, Protocol, Says, Seat, together
from protocols.ring import Elements, Ring
from protocols.stock import Needs
from protocols.triples import (
    AndTriples,
    PairTriples,
    and_triples,
    and_triples_needs,
    corrected,
    correction,
    correlated,
    ring_triples,
    ring_triples_needs,
    weigh,
)

__all__ = [
    "ROUNDS",
    "and_bits",
    "and_bits_needs",
    "and_pairs",
    "and_words",
    "bits_to_ring",
    "cross_sums",
    "multiply",
    "multiply_needs",
    "open_bits",
    "open_ring",
    "select",
]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, 33 words a product, at most 16 MiB"),
    Says("masked", to="all", size="the masked factors of a product, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit, in whole words"),
    Says("elements", to="all", size="8 words an element, at most 16 MiB"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
WIDTH_MAX = 64  # bits of an owner's integer
WORDS_A_BLOCK = 1 << 21  # 16 MiB


# ---- openings ------------------------------------------------------------------------------------


def open_ring(seat: Seat, ring: Ring, x: Elements) -> Protocol[Elements]:
    """The value of shared elements, to every party of the seat. The caller has masked them."""
    shares = yield from broadcast(seat, "elements", x.reshape(-1, ring.words))
    return ring.sum(np.stack([shares[party] for party in seat.parties]), axis=0).reshape(x.shape)


def open_bits(seat: Seat, x: Bits) -> Protocol[Bits]:
    """The value of shared bits (any shape), to every party of the seat."""
    shares = yield from broadcast(seat, "bits", pack(x.reshape(-1)))
    opened = np.bitwise_xor.reduce([shares[party] for party in seat.parties])
    return unpack(opened, x.size).reshape(x.shape)


# ---- bits ----------------------------------------------------------------------------------------


def and_words(seat: Seat, x: Words, y: Words, triples: AndTriples) -> Protocol[Words]:
    """Shares of x & y, 64 bits a word, any shape. One round; uses x.size words of triples."""
    a, b, c = triples.take(x.size)
    masked = np.stack((x.reshape(-1) ^ a, y.reshape(-1) ^ b), axis=1)
    shares = yield from broadcast(seat, "masked", masked)
    d, e = np.bitwise_xor.reduce([shares[party] for party in seat.parties]).T
    z: Words = c ^ (d & b) ^ (e & a)
    if seat.index == 0:
        z ^= d & e
    return z.reshape(x.shape)


def and_pairs(seat: Seat, x: Words, y: Words, triples: PairTriples) -> Protocol[Words]:
    """Shares (2, ...) of x & y[0] and x & y[1], x (...), y (2, ...). One round; x.size pairs."""
    a, b, c = triples.take(x.size)
    masked = np.stack((x.reshape(-1) ^ a, *(y.reshape(2, -1) ^ b)), axis=1)
    shares = yield from broadcast(seat, "masked", masked)
    d, *e = np.bitwise_xor.reduce([shares[party] for party in seat.parties]).T
    z: Words = c ^ (d & b) ^ (np.stack(e) & a)
    if seat.index == 0:
        z ^= d & np.stack(e)
    return z.reshape(y.shape)


def and_bits(seat: Seat, x: Bits, y: Bits) -> Protocol[Bits]:
    """Shares of x & y, element by element, for shared bits of one shape."""
    triples = yield from and_triples(seat, x.size)
    z = yield from and_words(seat, pack(x.reshape(-1)), pack(y.reshape(-1)), triples)
    return unpack(z, x.size).reshape(x.shape)


def and_bits_needs(count: int) -> Needs:
    """What `and_bits` draws for so many bits."""
    return and_triples_needs(count)


# ---- ring elements -------------------------------------------------------------------------------


def multiply(seat: Seat, ring: Ring, x: Elements, y: Elements) -> Protocol[Elements]:
    """Shares of x * y, element by element, for shared elements of one shape."""
    triples = yield from ring_triples(seat, ring, x.shape[:-1])
    a, b = triples.a, triples.b
    masked = np.stack((ring.sub(x, a), ring.sub(y, b)), axis=0).reshape(2, -1, ring.words)
    shares = yield from broadcast(seat, "masked", masked.transpose(1, 0, 2))
    d, e = ring.sum(np.stack([shares[p] for p in seat.parties]), axis=0).transpose(1, 0, 2)
    d, e = d.reshape(x.shape), e.reshape(x.shape)
    z = ring.add(triples.c, ring.add(ring.mul(d, b), ring.mul(e, a)))
    return ring.add(z, ring.mul(d, e)) if seat.index == 0 else z


def multiply_needs(ring: Ring, count: int) -> Needs:
    """What `multiply` draws for so many products."""
    return ring_triples_needs(ring, (count,))


def bits_to_ring(seat: Seat, ring: Ring, bits: Bits) -> Protocol[Elements]:
    """Additive shares (..., words) of shared bits (...)."""
    flat = bits.reshape(-1)
    parts = [ring.zeros((0,))]
    for block in blocks(len(flat), TRANSFERS_MAX):
        parts += [(yield from _added(seat, ring, flat[block]))]
    return np.concatenate(parts).reshape(*bits.shape, ring.words)


def _added(seat: Seat, ring: Ring, bits: Bits) -> Protocol[Elements]:
    """Party k turns u, shared among those before it, into u + b_k - 2 u b_k, in order."""
    me = seat.index
    before, after = seat.parties[:me], seat.parties[me + 1 :]
    pads = yield from random_ot(seat, len(bits), ring.words, dict.fromkeys(before, bits), after)
    share = ring.zeros((len(bits),))
    expect = Expect("uint64", share.shape)
    if me == 0:
        share[:, 0] = bits
    for k, party in enumerate(seat.parties[1:], 1):
        if me == k:
            heard = yield from exchange("correct", {}, before, expect)
            share[:, 0] = bits
            for peer in before:
                share = ring.add(share, corrected(ring, pads, peer, bits, heard[peer]))
        elif me < k:
            share = yield from _given(ring, pads, party, share)
        else:
            yield from exchange("correct", {}, (), expect)
    return share


def _given(ring: Ring, pads: Strings, party: Party, share: Elements) -> Protocol[Elements]:
    """One of the parties before: u is kept, -2 u b_k is made with party k."""
    twice = ring.neg(ring.add(share, share))
    says = {party: correction(ring, pads, party, twice)}
    yield from exchange("correct", says, (), Expect("uint64", share.shape))
    return ring.sub(share, pads.zeros[party].reshape(share.shape))


def select(seat: Seat, ring: Ring, bits: Bits, values: Elements) -> Protocol[Elements]:
    """Shares of bit * value.

    bits    (rows,), XOR-shared; values (rows, c, words), additively shared
    """
    rows, columns, _ = values.shape
    size = max(1, min(TRANSFERS_MAX, WORDS_A_BLOCK // max(1, columns * ring.words)))
    parts = [ring.zeros((0, columns))]
    for block in blocks(rows, size):
        parts += [(yield from _chain(seat, ring, bits[block], values[block]))]
    return np.concatenate(parts)


def _chain(seat: Seat, ring: Ring, bits: Bits, values: Elements) -> Protocol[Elements]:
    """(b_1 xor ... xor b_n) * value: party k turns u into u + b_k (value - 2 u), in order."""
    words = int(np.prod(values.shape[1:], dtype=np.int64))
    pads = yield from random_ot(seat, len(bits), words, dict.fromkeys(seat.peers, bits), seat.peers)
    share = np.zeros_like(values)
    for party in seat.parties:
        turned = ring.sub(values, ring.add(share, share))
        turn = _Turn(party, bits, pads)
        share = ring.add(share, (yield from _turn(seat, ring, turn, turned)))
    return share


@dataclass(frozen=True, slots=True, repr=False)
class _Turn:
    """Whose bits count, and the strings that all parties chose with their bits."""

    owner: Party
    bits: Bits
    pads: Strings


def _turn(seat: Seat, ring: Ring, turn: _Turn, values: Elements) -> Protocol[Elements]:
    """Shares of b * value, b the owner's own bit."""
    owner, bits, pads = turn.owner, turn.bits, turn.pads
    expect = Expect("uint64", values.shape)
    if seat.me != owner:
        says = {owner: correction(ring, pads, owner, values)}
        yield from exchange("correct", says, (), expect)
        return ring.neg(pads.zeros[owner].reshape(values.shape))
    heard = yield from exchange("correct", {}, seat.peers, expect)
    mask = np.uint64(0) - bits.astype(np.uint64).reshape(-1, *([1] * (values.ndim - 1)))
    share = values & mask
    for peer in seat.peers:
        share = ring.add(share, corrected(ring, pads, peer, bits, heard[peer]))
    return share


# ---- sums of products with one party's own integers ----------------------------------------------


@dataclass(frozen=True, slots=True)
class _Batch:
    """Columns of the owner that meet the same shared columns, with their widths."""

    own: tuple[int, ...]
    shared: tuple[int, ...]
    widths: tuple[int, ...]  # negative: two's complement

    @property
    def digits(self) -> int:
        return sum(abs(width) for width in self.widths)


def cross_sums(
    seat: Seat,
    ring: Ring,
    owner: Party,
    own: Integers | None,
    widths: tuple[int, ...],
    shared: Elements,
    pairs: tuple[tuple[int, int], ...],
) -> Protocol[Elements]:
    """Shares (len(pairs), words) of sum_r own[r, i] * shared[r, j] for each pair (i, j).

    own     int64 (rows, a), known to the owner alone; None at the others
    widths  public bits of each of the owner's columns, 1 to 64: column i holds integers in
            [0, 2^width); a width -w says two's complement, integers in [-2^(w - 1), 2^(w - 1))
    shared  (rows, c, words), additively shared among the parties of the seat, the owner too
    Raises ValueError at the owner when an integer does not fit its column's width.
    """
    if seat.me == owner:
        assert own is not None, "the owner brings its own integers"
        _check_widths(own, widths)
    batches = list(_batches(pairs, widths))
    sums = yield from together(
        {
            f"batch{number}": _batch_sums(
                seat.fork(f"cross sums {number}"), ring, owner, batch, (own, shared)
            )
            for number, batch in enumerate(batches)
        }
    )
    places = {
        (i, j): sums[f"batch{number}"][row, column]
        for number, batch in enumerate(batches)
        for row, i in enumerate(batch.own)
        for column, j in enumerate(batch.shared)
    }
    return np.array([places[pair] for pair in pairs], dtype=np.uint64).reshape(-1, ring.words)


def _check_widths(own: Integers, widths: Sequence[int]) -> None:
    for i, width in enumerate(widths):
        if not 1 <= abs(width) <= WIDTH_MAX:
            raise ValueError(f"column {i} of the owner's integers has {width} bits, not 1 to 64")
        low, high = (0, 1 << width) if width > 0 else (-(1 << (-width - 1)), 1 << (-width - 1))
        column = own[:, i]
        if column.size and not low <= int(column.min()) <= int(column.max()) < high:
            raise ValueError(f"column {i} holds an integer outside its declared {width} bits")


def _batches(pairs: Sequence[tuple[int, int]], widths: Sequence[int]) -> Iterator[_Batch]:
    partners: dict[int, set[int]] = {}
    for i, j in pairs:
        partners.setdefault(i, set()).add(j)
    alike: dict[tuple[int, ...], list[int]] = {}
    for i, group in sorted(partners.items()):
        alike.setdefault(tuple(sorted(group)), []).append(i)
    for shared, columns in sorted(alike.items()):
        yield _Batch(tuple(columns), shared, tuple(widths[i] for i in columns))


def _batch_sums(
    seat: Seat, ring: Ring, owner: Party, batch: _Batch, rows: tuple[Integers | None, Elements]
) -> Protocol[Elements]:
    """Gilboa with each other party, a block of rows at a time: (own, shared, words) of sums."""
    own, shared = rows
    per_row = batch.digits * len(batch.shared) * ring.words
    size = max(1, min(TRANSFERS_MAX // batch.digits, WORDS_A_BLOCK // per_row))
    sums = ring.zeros((batch.digits, len(batch.shared)))
    for block in blocks(len(shared), size):
        values = shared[block][:, list(batch.shared)]
        if own is None:
            part = yield from _sending(seat, ring, owner, values, batch.digits)
        else:
            part = yield from _choosing(seat, ring, _digits(own[block], batch), values)
        sums = ring.add(sums, part)
    return _weigh_columns(ring, sums, batch)


def _digits(own: Integers, batch: _Batch) -> Bits:
    """(rows, digits): each column's bits, lowest first, cut off at its width."""
    words = own.view(np.uint64)
    parts = [
        (words[:, i : i + 1] >> np.arange(abs(width), dtype=np.uint64)) & np.uint64(1)
        for i, width in zip(batch.own, batch.widths, strict=True)
    ]
    return np.concatenate(parts, axis=1).astype(np.uint8)


def _choosing(seat: Seat, ring: Ring, bits: Bits, values: Elements) -> Protocol[Elements]:
    """The owner's shares (digits, c, words) of sum_r bit[r, t] * value[r, j], all parties'."""
    rows, digits = bits.shape
    shape = (rows * digits, values.shape[1])
    choosing = dict.fromkeys(seat.peers, bits.reshape(-1))
    share = yield from correlated(seat, ring, choosing, {}, shape)
    masks = (np.uint64(0) - bits.astype(np.uint64))[:, :, None, None]
    return ring.sum(
        ring.add(share.reshape(rows, digits, *values.shape[1:]), values[:, None] & masks)
    )


def _sending(
    seat: Seat, ring: Ring, owner: Party, values: Elements, digits: int
) -> Protocol[Elements]:
    rows, columns, _ = values.shape
    offering = {owner: np.repeat(values, digits, axis=0)}
    share = yield from correlated(seat, ring, {}, offering, (rows * digits, columns))
    return ring.sum(share.reshape(rows, digits, *values.shape[1:]))


def _weigh_columns(ring: Ring, digits: Elements, batch: _Batch) -> Elements:
    parts, first = [], 0
    for width in batch.widths:
        part = digits[first : first + abs(width)].swapaxes(0, 1)
        parts.append(weigh(ring, part, abs(width), signed=width < 0))
        first += abs(width)
    return np.stack(parts)
