"""The loops of silent OT, compiled.

Only `protocols.kernels.silent` imports this module, and late: it needs the compiler and a processor
with AES instructions. A loop's first argument `lanes` is as in `protocols.kernels.aes_loops`. No
branch and no index depends on a node, a place or a row: places pick by masks. What `compress` picks
is a public code's.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from protocols.kernels.aes_loops import BLOCK, WORD, address, hash_loop, intrinsic, load, store
from protocols.kernels.compiling import compile_loop

__all__ = ["accumulate", "compress", "grow", "mend", "move", "slice_low"]

Words = npt.NDArray[np.uint64]
Octets = npt.NDArray[np.uint8]
Lanes = tuple[int, ...]
HASHED = 32  # rows that the hash takes at a time
PAIRS_A_STEP = 1 << 11  # two output rows each, drawn before they are gathered: 32 KiB


def _grow(lanes: Lanes, schedule: Octets, parents: Words, out: Words, left: Words) -> None:
    """Children (2m, trees, 2) of m nodes of each tree; `left` takes up the even ones' xor."""
    trees = parents.shape[1]
    rows = -(-parents.shape[0] * trees // HASHED) * HASHED
    turned = np.zeros((rows, 2), dtype=np.uint64)
    hashed = np.empty((rows, 2), dtype=np.uint64)
    for i in range(parents.shape[0]):
        for tree in range(trees):
            first = parents[i, tree, 0]
            turned[i * trees + tree, 0] = first ^ parents[i, tree, 1]
            turned[i * trees + tree, 1] = first
    hash_loop(lanes, turned, schedule, hashed)
    for i in range(parents.shape[0]):
        for tree in range(trees):
            for half in range(2):
                value = hashed[i * trees + tree, half]
                out[2 * i, tree, half] = value
                out[2 * i + 1, tree, half] = value ^ parents[i, tree, half]
                left[tree, half] ^= value


def _mend(nodes: Words, first: int, places: Words, onto: Words, beside: Words) -> None:
    """Xor `onto` into each tree's node at its place, `beside` into that node's sibling."""
    one, zero = np.uint64(1), np.uint64(0)
    for i in range(nodes.shape[0]):
        number = np.uint64(first + i)
        for tree in range(nodes.shape[1]):
            away = number ^ places[tree]
            here, next_to = zero - np.uint64(away == zero), zero - np.uint64(away == one)
            for half in range(2):
                change = (here & onto[tree, half]) ^ (next_to & beside[tree, half])
                nodes[i, tree, half] ^= change


def _accumulate(rows: Words) -> None:
    """Running xor over all rows (n, 2)."""
    first, second = np.uint64(0), np.uint64(0)
    for i in range(rows.shape[0]):
        first ^= rows[i, 0]
        second ^= rows[i, 1]
        rows[i, 0] = first
        rows[i, 1] = second


def _picked(_typing: Any, target: Any, regions: Any, size: Any, pick: Any) -> Any:
    """Xor into the row at an address one row of each of four regions of `size` rows."""

    def emit(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        place, start, rows, word = arguments
        value = load(builder, place, BLOCK)
        mask, sixteen = builder.sub(rows, ir.Constant(WORD, 1)), ir.Constant(WORD, 16)
        for number in range(4):
            drawn = builder.and_(builder.lshr(word, ir.Constant(WORD, 16 * number)), mask)
            row = builder.add(drawn, builder.mul(rows, ir.Constant(WORD, number)))
            found = builder.add(start, builder.mul(row, sixteen))
            value = builder.xor(value, load(builder, found, BLOCK))
        store(builder, value, place)
        return context.get_dummy_value()

    return types.none(target, regions, size, pick), emit


picked = intrinsic(_picked)


def _compress(
    lanes: Lanes, schedule: Octets, regions: Words, group: int, first: int, out: Words
) -> None:
    """Xor into each row of `out` (n, 2) one row of each of four regions (4, size, 2).

    Row i of `out` is row first + i of the code's rows; n and first are even. A word of draws holds
    sixteen bits a region.
    """
    size = np.int64(regions.shape[1])
    numbers = np.empty((PAIRS_A_STEP, 2), dtype=np.uint64)
    picks = np.empty(2 * PAIRS_A_STEP, dtype=np.uint64)
    for start in range(0, out.shape[0], 2 * PAIRS_A_STEP):
        for pair in range(PAIRS_A_STEP):
            numbers[pair, 0] = np.uint64((first + start) // 2 + pair)
            numbers[pair, 1] = np.uint64(group)
        hash_loop(lanes, numbers, schedule, picks.reshape(-1, 2))
        for i in range(min(2 * PAIRS_A_STEP, out.shape[0] - start)):
            picked(address(out) + 16 * (start + i), address(regions), size, picks[i])


def _slice_low(rows: Words, out: Words) -> None:
    """The low bits of 64 m rows (n, 2), as many as `out` (width, m) has rows."""
    for b in range(out.shape[0]):
        shift = np.uint64(b)
        for word in range(out.shape[1]):
            packed = np.uint64(0)
            for i in range(64):
                bit = (rows[64 * word + i, 0] >> shift) & np.uint64(1)
                packed |= bit << np.uint64(i)
            out[b, word] = packed


def _move(rows: Words, delta: Words, flips: Words, out: Words) -> None:
    """Each row (n, 2), xor delta where the bit of `flips` (n / 64,) is one."""
    for i in range(rows.shape[0]):
        bit = (flips[i >> 6] >> np.uint64(i & 63)) & np.uint64(1)
        mask = np.uint64(0) - bit
        out[i, 0] = rows[i, 0] ^ (mask & delta[0])
        out[i, 1] = rows[i, 1] ^ (mask & delta[1])


grow = compile_loop(_grow)
mend = compile_loop(_mend)
accumulate = compile_loop(_accumulate)
compress = compile_loop(_compress)
slice_low = compile_loop(_slice_low)
move = compile_loop(_move)
