"""An oblivious key-value store: a table that gives back the value of each of its keys.

RR22 ("Blazing fast PSI from improved OKVS and subfield VOLE") with three sparse columns a row:
row(key) has ones at three of m sparse columns and a random pattern over g dense binary columns, and
table * row(key) = value, over F_2, for values of k 64-bit words. Encoding peels rows that own a
column, solves the 2-core that remains by elimination over its columns and the dense ones, and
fills backwards. Columns that nothing determines are random.

Sizes depend on the public number of keys alone:
    e* = 1.223, s = 2^(0.555 log2 n + 2.336), e = e* + (lambda + 9.2)/s, m = floor(e n),
    g = floor(lambda / log2(e n)) + lambda  (binary dense columns), lambda = 40.

The rows are words of an OPRF's output, which look random to whoever does not hold the key; they
must be distinct. Against whom: the table of random values is uniform, whatever the keys and
however many, up to the failure probability 2^-40, so it shows nothing of them. No rounds: a local
algorithm, not constant in time (see the kernels).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from protocols.kernels.okvs import PORTABLE, Loops, compiled_loops
from protocols.kernels.registry import register

__all__ = ["ROW_WORDS", "Shape", "decode", "encode", "shape_of"]

SECURITY_BITS = 40  # lambda: an encoding fails with probability 2^-40
ROW_WORDS = 4  # words of hash a row is made of: three positions and the dense pattern
CORE_MAX = 2048  # rows of a 2-core worth eliminating; a larger one has failed anyway

Words = npt.NDArray[np.uint64]
Indexes = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Shape:
    """Public sizes: the columns of the table."""

    sparse: int
    dense: int

    @property
    def columns(self) -> int:
        """Length of the table: what the sender transfers for each word of a value."""
        return self.sparse + self.dense


def shape_of(keys: int) -> Shape:
    """The table's columns for at most `keys` keys."""
    w = math.log2(3)
    slope = 0.093 * w**3 - 1.010 * w**2 + 2.925 * w - 0.133
    s = 2 ** (0.555 * math.log2(keys) + slope)
    expansion = 1.223 + (SECURITY_BITS + 9.2) / s
    sparse = math.floor(expansion * keys)
    return Shape(sparse, math.floor(SECURITY_BITS / math.log2(sparse)) + SECURITY_BITS)


def encode(
    shape: Shape, rows: Words, values: Words, free: Words, loops: Loops | None = None
) -> Words | None:
    """The table uint64 (columns, k) of values uint64 (n, k) at rows uint64 (n, 4).

    `free` uint64 (columns, k) holds the coins of the undetermined columns. None when the rows are
    dependent, with probability 2^-40: hash them anew. Raises ValueError when two rows are equal.
    """
    if len(np.unique(rows, axis=0)) != len(rows):
        raise ValueError("a key may be encoded once")
    positions, dense = _layout(shape, rows)
    table = free.copy()
    loops = loops or compiled_loops()
    order = loops.peel(positions, shape.sparse)
    core = np.setdiff1d(np.arange(len(rows)), order[:, 0])
    if not _solve_core(shape, positions[core], dense[core], values[core], table):
        return None
    filled: Words = (loops or compiled_loops()).fill(
        order, (positions, dense), values, table, shape.sparse
    )
    return filled


def decode(shape: Shape, rows: Words, table: Words, loops: Loops | None = None) -> Words:
    """The values uint64 (n, k) at these rows; random-looking where a row was not encoded."""
    positions, dense = _layout(shape, rows)
    values: Words = (loops or compiled_loops()).decode(positions, dense, table, shape.sparse)
    return values


def _layout(shape: Shape, rows: Words) -> tuple[Indexes, Words]:
    """Three distinct sparse columns (n, 3) and the dense pattern (n,) of each row."""
    first = rows[:, 0] % np.uint64(shape.sparse)
    second = rows[:, 1] % np.uint64(shape.sparse - 1)
    second += second >= first
    third = rows[:, 2] % np.uint64(shape.sparse - 2)
    third += third >= np.minimum(first, second)
    third += third >= np.maximum(first, second)
    positions = np.stack([first, second, third], axis=1).astype(np.int64)
    return positions, rows[:, 3] & np.uint64((1 << shape.dense) - 1)


def _solve_core(
    shape: Shape, positions: Indexes, dense: Words, values: Words, table: Words
) -> bool:
    """Elimination over the 2-core's columns and the dense ones; writes the pivots into table."""
    if len(positions) > CORE_MAX:
        return False
    pivots: list[tuple[int, int, Words]] = []
    for ways, pattern, value in zip(positions, dense, values, strict=True):
        mask = int(pattern) | sum(1 << (shape.dense + int(way)) for way in ways)
        right = value.copy()
        for pivot, other, known in pivots:
            if mask >> pivot & 1:
                mask ^= other
                right ^= known
        if mask == 0:
            return False
        pivots.append(((mask & -mask).bit_length() - 1, mask, right))
    for pivot, mask, right in reversed(pivots):
        others = [_table_index(shape, column) for column in _ones(mask ^ (1 << pivot))]
        table[_table_index(shape, pivot)] = right ^ np.bitwise_xor.reduce(table[others], axis=0)
    return True


def _ones(mask: int) -> list[int]:
    places = []
    while mask:
        places.append((mask & -mask).bit_length() - 1)
        mask &= mask - 1
    return places


def _table_index(shape: Shape, column: int) -> int:
    """Elimination numbers the dense columns first; the table has them last."""
    return column - shape.dense if column >= shape.dense else shape.sparse + column


register("linkage/encode", encode, partial(encode, loops=PORTABLE), "row")
register("linkage/decode", decode, partial(decode, loops=PORTABLE), "row")
