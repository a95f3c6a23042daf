"""The loops of silent OT, written so that they also run as plain Python.

Only `protocols.kernels.silent` imports this module, and late: it compiles. No branch and no index
depends on a node, a place or a row: places pick by masks. Indices of `gather` are a public code's.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.kernels.compiling import compile_loop

__all__ = ["accumulate", "gather", "halve", "mend", "move", "slice_low", "turn"]

Words = npt.NDArray[np.uint64]


def _turn(rows: Words, out: Words) -> None:
    """Sigma of each row (n, 2): the halves' xor, then the first half."""
    for i in range(rows.shape[0]):
        left = rows[i, 0]
        out[i, 0] = left ^ rows[i, 1]
        out[i, 1] = left


def _halve(parents: Words, hashed: Words, out: Words, left: Words) -> None:
    """Children (2m, trees, 2) of m nodes of each tree; `left` takes up the even ones' xor."""
    for i in range(parents.shape[0]):
        for tree in range(parents.shape[1]):
            for half in range(2):
                value = hashed[i, tree, half]
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


def _gather(regions: Words, picks: Words, out: Words) -> None:
    """Xor into each row of `out` (n, 2) one row of each of four regions (4, size, 2).

    picks  (n,): sixteen bits a region, of which the low ones say which row
    """
    mask = np.uint64(regions.shape[1] - 1)
    for i in range(out.shape[0]):
        pick = picks[i]
        a = np.int64(pick & mask)
        b = np.int64((pick >> np.uint64(16)) & mask)
        c = np.int64((pick >> np.uint64(32)) & mask)
        d = np.int64((pick >> np.uint64(48)) & mask)
        out[i, 0] ^= regions[0, a, 0] ^ regions[1, b, 0] ^ regions[2, c, 0] ^ regions[3, d, 0]
        out[i, 1] ^= regions[0, a, 1] ^ regions[1, b, 1] ^ regions[2, c, 1] ^ regions[3, d, 1]


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


turn = compile_loop(_turn)
halve = compile_loop(_halve)
mend = compile_loop(_mend)
accumulate = compile_loop(_accumulate)
gather = compile_loop(_gather)
slice_low = compile_loop(_slice_low)
move = compile_loop(_move)
