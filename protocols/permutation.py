"""Shared rows in an order that one party knows: a Benes network of oblivious switches.

What       Output row o holds input row permutation[o], or zeros where permutation[o] is -1; numbers
           and bits travel together.
Against    honest-but-curious parties, n - 1 of whom may collude: the others see only the OT
           extension's messages, the owner only values masked by strings that it did not choose.
Rounds     for each group of layers, or block of a layer, whose strings have at most 2^22 words: 1 +
           the parts of its corrections (2 at best); the same for the rows that become zero.
Bytes      for N rows, N the next power of two of the larger row count, from the owner to each peer
           t (N log2 N - N / 2 + rows_out), t bytes a transfer (`protocols.oblivious_transfer`:
           4 or 2, silent fewer); to the owner 8 words of a row for each of those.
Source     network: Benes 1964, routed by Opferman and Tsao-Wu 1971; switches over OT: Mohassel and
           Sadeghian, EUROCRYPT 2013, section 4.2, with one correlated string a switch: both outputs
           follow from the share of t (b - a).

Layer l < log2 N joins rows i and i + N / 2^(l + 1) of each block of N / 2^l; the layers after the
middle mirror those before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.exchange import exchange
from protocols.kernels.bits import pack, unpack, words_for
from protocols.kernels.compiling import compiled
from protocols.kernels.loops import route
from protocols.kernels.registry import register
from protocols.oblivious_transfer import Strings, blocks, random_ot
from protocols.party import Compute, Expect, Party, Protocol, Says, Seat
from protocols.ring import Elements, Ring

__all__ = ["ROUNDS", "permute", "switches"]

ROUNDS = (
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("switch", to="one", size="8 words of a row for each switch, at most 16 MiB"),
)

Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]
Indices = npt.NDArray[np.int64]
WORDS_MAX = 1 << 22  # of strings held at a time: 32 MiB a peer, thrice
ZERO_ROW = -1


@dataclass(frozen=True, slots=True, repr=False)
class _Rows:
    """Shares of rows: numbers (rows, c, words) added, packed bits (rows, words) XORed."""

    values: Elements
    bits: Words

    def part(self, chosen: slice) -> _Rows:
        return _Rows(self.values[chosen], self.bits[chosen])


@dataclass(frozen=True, slots=True)
class _Table:
    """The fixed facts of one run."""

    seat: Seat
    ring: Ring
    owner: Party
    columns: int
    bit_words: int

    @property
    def words(self) -> int:
        return self.columns * self.ring.words + self.bit_words

    def flat(self, rows: _Rows) -> Words:
        """One row of words: the numbers, then the bits."""
        return np.concatenate((rows.values.reshape(len(rows.bits), -1), rows.bits), axis=1)

    def rows(self, flat: Words) -> _Rows:
        numbers = flat[:, : self.words - self.bit_words]
        shape = (len(flat), self.columns, self.ring.words)
        return _Rows(numbers.reshape(shape), flat[:, self.words - self.bit_words :])

    def add(self, x: _Rows, y: _Rows) -> _Rows:
        return _Rows(self.ring.add(x.values, y.values), x.bits ^ y.bits)

    def sub(self, x: _Rows, y: _Rows) -> _Rows:
        return _Rows(self.ring.sub(x.values, y.values), x.bits ^ y.bits)


def permute(
    seat: Seat,
    ring: Ring,
    owner: Party,
    permutation: Indices | None,
    rows_in: int,
    rows_out: int,
    values: Elements,
    bits: Bits,
) -> Protocol[tuple[Elements, Bits]]:
    """Shares of the rows in the owner's order.

    permutation  int64 (rows_out,), known to the owner alone (None elsewhere): distinct rows of the
                 input in [0, rows_in), or -1 for a row of zeros
    values       (rows_in, c, words), additively shared; bits (rows_in, b), XOR-shared
    Returns values (rows_out, c, words) and bits (rows_out, b).
    Raises ValueError at the owner when a row is named twice or does not exist.
    """
    size = max(2, 1 << (max(rows_in, rows_out) - 1).bit_length())
    table = _Table(seat, ring, owner, values.shape[1], words_for(bits.shape[1]))
    rows = _Rows(_padded(values, size), _padded(pack(bits), size))
    controls, kept = None, None
    if permutation is not None:
        complete, kept = _complete(permutation, rows_in, rows_out, size)
        (controls,) = yield [Compute("permutation.switches", (complete,), size)]
    for layers in _groups(size, table.words):
        if len(layers) > 1:
            rows = yield from _cross(table, size, layers, controls, rows)
        else:
            settings = controls[layers.start] if controls is not None else None
            rows = yield from _cross_one(table, _span(size, layers.start), settings, rows)
    rows = yield from _times(table, kept, rows.part(slice(0, rows_out)))
    return rows.values, unpack(rows.bits, bits.shape[1])


def _padded(x: Words, size: int) -> Words:
    return np.concatenate((x, np.zeros((size - len(x), *x.shape[1:]), dtype=np.uint64)))


def _complete(permutation: Indices, rows_in: int, rows_out: int, size: int) -> tuple[Indices, Bits]:
    """A permutation of all rows of the network, and which of the first outputs keep their row."""
    kept = permutation != ZERO_ROW
    named = permutation[kept]
    wrong = len(permutation) != rows_out or np.any((named < 0) | (named >= rows_in))
    if wrong or len(np.unique(named)) != len(named):
        raise ValueError("a permutation names distinct rows of its input, or -1 for a row of zeros")
    spare = np.setdiff1d(np.arange(size, dtype=np.int64), named)
    complete = np.full(size, ZERO_ROW, dtype=np.int64)
    complete[:rows_out] = permutation
    complete[complete == ZERO_ROW] = spare
    return complete, kept.astype(np.uint8)


def switches(permutation: Indices) -> Bits:
    """The settings (2 log2(n) - 1, n / 2) of the network's switches for a permutation of n."""
    return _routed(permutation, compiled("route"))


def _switches_portable(permutation: Indices) -> Bits:
    return _routed(permutation, route)


def _routed(permutation: Indices, run: Callable[[Indices, Bits], None]) -> Bits:
    n = len(permutation)
    out = np.zeros((2 * (n.bit_length() - 1) - 1, n // 2), dtype=np.uint8)
    run(permutation.copy(), out)
    return out


register("permutation.switches", switches, _switches_portable, "one row")


# ---- the network ---------------------------------------------------------------------------------


def _groups(size: int, words: int) -> Iterator[range]:
    """Runs of layers whose strings are held at a time."""
    layers = 2 * (size.bit_length() - 1) - 1
    step = max(1, WORDS_MAX // max(1, words * size // 2))
    for first in range(0, layers, step):
        yield range(first, min(first + step, layers))


def _span(size: int, layer: int) -> int:
    """How far apart the two rows of a switch are."""
    depth = size.bit_length() - 1
    return size >> (1 + min(layer, 2 * depth - 2 - layer))


def _cross(
    table: _Table, size: int, layers: range, controls: Bits | None, rows: _Rows
) -> Protocol[_Rows]:
    """Several layers. All corrections of a peer follow from its strings: one message."""
    seat, half = table.seat, size // 2
    count = half * len(layers)
    settings = controls[layers.start : layers.stop].reshape(-1) if controls is not None else None
    pads = yield from _strings(table, count, settings)
    expect = Expect("uint64", (count, table.words))
    if settings is None:
        said, rows = _send_layers(table, size, layers, pads, rows)
        yield from exchange("switch", {table.owner: said}, (), expect)
        return rows
    heard = yield from exchange("switch", {}, seat.peers, expect)
    arrived = [(pads.chosen[peer], heard[peer]) for peer in seat.peers]
    for number, layer in enumerate(layers):
        block = slice(half * number, half * (number + 1))
        upper, lower = _split(rows, _span(size, layer))
        moved = _received(table, settings[block], table.sub(lower, upper), arrived, block)
        rows = _join(table.add(upper, moved), table.sub(lower, moved), _span(size, layer))
    return rows


def _cross_one(table: _Table, span: int, settings: Bits | None, rows: _Rows) -> Protocol[_Rows]:
    """A layer by itself, of any size."""
    upper, lower = _split(rows, span)
    moved = yield from _times(table, settings, table.sub(lower, upper))
    return _join(table.add(upper, moved), table.sub(lower, moved), span)


def _strings(table: _Table, count: int, settings: Bits | None) -> Protocol[Strings]:
    seat = table.seat
    if settings is None:
        return (yield from random_ot(seat, count, table.words, {}, (table.owner,)))
    choosing = dict.fromkeys(seat.peers, settings)
    return (yield from random_ot(seat, count, table.words, choosing, ()))


def _send_layers(
    table: _Table, size: int, layers: range, pads: Strings, rows: _Rows
) -> tuple[Words, _Rows]:
    half, said = size // 2, []
    for number, layer in enumerate(layers):
        block = slice(half * number, half * (number + 1))
        upper, lower = _split(rows, _span(size, layer))
        word, moved = _sent(table, pads, table.sub(lower, upper), block)
        said.append(word)
        rows = _join(table.add(upper, moved), table.sub(lower, moved), _span(size, layer))
    return np.concatenate(said), rows


def _split(rows: _Rows, span: int) -> tuple[_Rows, _Rows]:
    pairs = len(rows.bits) // (2 * span)
    halves = [x.reshape(pairs, 2, span, *x.shape[1:]) for x in (rows.values, rows.bits)]
    upper, lower = ([h[:, k].reshape(pairs * span, *h.shape[3:]) for h in halves] for k in range(2))
    return _Rows(*upper), _Rows(*lower)


def _join(upper: _Rows, lower: _Rows, span: int) -> _Rows:
    both = []
    for a, b in ((upper.values, lower.values), (upper.bits, lower.bits)):
        shape = (len(a) // span, 1, span, *a.shape[1:])
        pair = np.concatenate((a.reshape(shape), b.reshape(shape)), axis=1)
        both.append(pair.reshape(2 * len(a), *a.shape[1:]))
    return _Rows(*both)


def _sent(table: _Table, pads: Strings, rows: _Rows, block: slice) -> tuple[Words, _Rows]:
    """The sender: its correction z_0 + rows - z_1, and its share -z_0 of bit * rows."""
    zeros = table.rows(pads.zeros[table.owner][block])
    ones = table.rows(pads.ones[table.owner][block])
    word = table.sub(table.add(zeros, rows), ones)
    return table.flat(word), _Rows(table.ring.neg(zeros.values), zeros.bits)


def _received(
    table: _Table, bits: Bits, own: _Rows, arrived: list[tuple[Words, Words]], block: slice
) -> _Rows:
    """The owner: its share of bit * rows, its own rows and every sender's."""
    mask = (np.uint64(0) - bits.astype(np.uint64))[:, None]
    share = table.rows(table.flat(own) & mask)
    for chosen, said in arrived:
        share = table.add(share, table.rows(chosen[block]))
        share = table.add(share, table.rows(said[block] & mask))
    return share


def _times(table: _Table, bits: Bits | None, rows: _Rows) -> Protocol[_Rows]:
    """Rows times the owner's bits, a block at a time: no sender runs ahead of the owner."""
    parts = [rows.part(slice(0, 0))]
    for block in blocks(len(rows.bits), max(1, WORDS_MAX // max(1, table.words))):
        own = bits[block] if bits is not None else None
        parts += [(yield from _times_block(table, own, rows.part(block)))]
    return _Rows(*(np.concatenate(column) for column in zip(*map(_columns, parts), strict=True)))


def _columns(rows: _Rows) -> tuple[Words, Words]:
    return rows.values, rows.bits


def _times_block(table: _Table, bits: Bits | None, rows: _Rows) -> Protocol[_Rows]:
    count = len(rows.bits)
    pads = yield from _strings(table, count, bits)
    expect = Expect("uint64", (count, table.words))
    whole = slice(0, count)
    if bits is None:
        said, share = _sent(table, pads, rows, whole)
        yield from exchange("switch", {table.owner: said}, (), expect)
        return share
    heard = yield from exchange("switch", {}, table.seat.peers, expect)
    arrived = [(pads.chosen[peer], heard[peer]) for peer in table.seat.peers]
    return _received(table, bits, rows, arrived, whole)
