"""AND gates on bit slices, and the cutting of numbers into slices.

Slices are uint64 (k, width): bit b of 64 values a word. A batch of gates has a shared factor:
row j gives x[j] & y[j], and the last len(z) rows give x[j] & z as well. Short batches run by NumPy,
for which no compiler need be loaded; long ones by compiled loops in one pass over memory.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.kernels.bits import slice_words, words_for
from protocols.kernels.compiling import compile_loop
from protocols.kernels.registry import register

__all__ = ["SMALL_WORDS", "borrow", "borrow_pairs", "cut", "mask", "settle"]

Words = npt.NDArray[np.uint64]
Triples = tuple[Words, Words, Words]  # a (k, width), b and c (2, k, width): c[i] = a & b[i]
SMALL_WORDS = 4096  # up to here loading the compiler costs more than it saves
EVERY = np.uint64(0xFFFFFFFFFFFFFFFF)
ABREAST = 8  # blocks transposed side by side: one cache line of each row


def cut(values: Words, bits: int) -> Words:
    """Bit slices (bits, ceil(m / 64)) of numbers (m,): slice b holds all bits b."""
    if len(values) <= SMALL_WORDS:
        return slice_words(values, bits)
    out = np.empty((bits, words_for(len(values))), dtype=np.uint64)
    compiled_loops().cut(np.ascontiguousarray(values), out)
    return out


def mask(x: Words, y: Words, z: Words, a: Words, b: Words) -> Words:
    """What a party says of its shares: x ^ a, y ^ b[0], z ^ b[1], one after another.

    x, y  (k, width); z (l, width), l <= k; a (k, width); b (2, k, width)
    """
    rows, pairs = len(x), len(z)
    out = np.empty((2 * rows + pairs, x.shape[1]), dtype=np.uint64)
    np.bitwise_xor(x, a, out=out[:rows])
    np.bitwise_xor(y, b[0], out=out[rows : 2 * rows])
    np.bitwise_xor(z, b[1, rows - pairs :], out=out[2 * rows :])
    return out


def settle(said: tuple[Words, ...], triples: Triples, first: bool) -> tuple[Words, Words]:
    """This party's shares of x & y (k, width) and x & z (l, width), from what all parties said.

    first  whether this party adds the public product of what opened
    """
    a, b, c = triples
    if a.size <= SMALL_WORDS:
        return settle_portable(said, triples, first)
    own, *others = said
    opened = functools.reduce(np.bitwise_xor, others) if others else np.zeros_like(own)
    out = np.empty((len(own) - len(a), a.shape[1]), dtype=np.uint64)
    keep = EVERY if first else np.uint64(0)
    compiled_loops().settle((own, opened), a, (b[0], b[1]), (c[0], c[1]), keep, out)
    return out[: len(a)], out[len(a) :]


def settle_portable(said: tuple[Words, ...], triples: Triples, first: bool) -> tuple[Words, Words]:
    """The same bytes as `settle`, by NumPy alone."""
    opened = functools.reduce(np.bitwise_xor, said)
    a, b, c = triples
    rows = len(a)
    d, e, f = opened[:rows], opened[rows : 2 * rows], opened[2 * rows :]
    pairs = slice(rows - len(f), rows)
    return (
        _product(d, e, (a, b[0], c[0]), first),
        _product(d[pairs], f, (a[pairs], b[1, pairs], c[1, pairs]), first),
    )


def _product(d: Words, e: Words, triple: Triples, first: bool) -> Words:
    a, b, c = triple
    z: Words = c ^ (d & b) ^ (e & a)
    return z ^ (d & e) if first else z


def borrow(opened: Words, masks: Words, first: bool) -> tuple[Words, Words]:
    """Shares (k, width) of what each bit of c - r generates as a borrow, and propagates.

    opened  public slices of c; masks shares of the slices of r; first, whether constants are added
    """
    lacks = ~opened
    propagate = masks ^ lacks if first else masks.copy()
    return masks & lacks, propagate


def borrow_pairs(opened: Words, masks: Words, both: Words, first: bool) -> tuple[Words, Words]:
    """The same of pairs of bits, from shares `both` of r[1::2] & r[::2]: one gate a pair.

    With n = ~c: the upper bit propagates r_h ^ n_h, the lower generates r_l & n_l.
    """
    pairs = len(both)
    upper, lower = masks[1 : 2 * pairs : 2], masks[: 2 * pairs : 2]
    lacks = ~opened
    lacks_upper, lacks_lower = lacks[1 : 2 * pairs : 2], lacks[: 2 * pairs : 2]
    generate = both ^ (lower & lacks_upper)
    generate &= lacks_lower
    generate ^= upper & lacks_upper
    propagate = both ^ (upper & lacks_lower)
    propagate ^= lower & lacks_upper
    if first:
        propagate ^= lacks_upper & lacks_lower
    rest = borrow(opened[2 * pairs :], masks[2 * pairs :], first)
    return np.concatenate((generate, rest[0])), np.concatenate((propagate, rest[1]))


# ---- loops ---------------------------------------------------------------------------------------


def _cut_blocks(values: Any, out: Any) -> None:
    """64 x 64 blocks of bits transposed, eight abreast; see `protocols.kernels.bits`."""
    bits, width = out.shape
    count = values.shape[0]
    block = np.empty((64, ABREAST), dtype=np.uint64)
    for start in range(0, width, ABREAST):
        lanes = min(ABREAST, width - start)
        for lane in range(lanes):
            first = 64 * (start + lane)
            for row in range(64):
                place = first + row
                block[row, lane] = values[place] if place < count else np.uint64(0)
        distance = 32
        mask = np.uint64(0x00000000FFFFFFFF)
        while distance > 0:
            shift = np.uint64(distance)
            for row in range(64):
                if row & distance == 0:
                    for lane in range(ABREAST):
                        upper = block[row, lane]
                        lower = block[row + distance, lane]
                        swap = ((upper >> shift) ^ lower) & mask
                        block[row + distance, lane] = lower ^ swap
                        block[row, lane] = upper ^ (swap << shift)
            distance //= 2
            mask ^= mask << np.uint64(max(distance, 1))
        for row in range(bits):
            for lane in range(lanes):
                out[row, start + lane] = block[row, lane]


def _settle_rows(said: Any, a: Any, b: Any, c: Any, keep: Any, out: Any) -> None:
    """All rows in one pass: see `settle`; keep is all ones at the first party."""
    own, others = said
    rows, width = a.shape
    single = 2 * rows - out.shape[0]
    for row in range(rows):
        for word in range(width):
            d = own[row, word] ^ others[row, word]
            e = own[rows + row, word] ^ others[rows + row, word]
            z = c[0][row, word] ^ (e & a[row, word])
            out[row, word] = z ^ (d & (b[0][row, word] ^ (e & keep)))
        if row >= single:
            last = 2 * rows + row - single
            for word in range(width):
                d = own[row, word] ^ others[row, word]
                f = own[last, word] ^ others[last, word]
                z = c[1][row, word] ^ (f & a[row, word])
                out[last - rows, word] = z ^ (d & (b[1][row, word] ^ (f & keep)))


@dataclass(frozen=True, slots=True)
class Loops:
    """The loops, compiled where a compiler is."""

    cut: Callable[..., Any]
    settle: Callable[..., Any]


@functools.cache
def compiled_loops() -> Loops:
    """Made when first used: importing must not import the compiler."""
    return Loops(compile_loop(_cut_blocks), compile_loop(_settle_rows))


register("gates.borrow", borrow, borrow, "one word of slices")
register("gates.borrow_pairs", borrow_pairs, borrow_pairs, "one word of slices")
register("gates.cut", cut, slice_words, "one number")
register("gates.mask", mask, mask, "one word of gates")
register("gates.settle", settle, settle_portable, "one word of gates")
