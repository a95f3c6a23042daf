"""The hot loops of linkage: cuckoo placement, and the peeling, filling and decoding of an OKVS.

Each is one plain function: Numba compiles it, and the portable twin is the function itself, so the
two give the same bytes. All of them branch on, and look up by, values that depend on a party's
keys. They run on that party's own machine and are not constant in time; what a peer sees (sizes,
and the moment of a reply) depends on them only through this jitter.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from protocols.kernels.compiling import compile_loop

__all__ = ["PORTABLE", "Loops", "compiled_loops"]


def _place_items(positions: Any, bins: int, steps_max: int) -> Any:
    """Cuckoo placement by a random walk: which of its three positions each item takes.

    positions int64 (n, 3); returns int64 (n,) of 0, 1, 2, or of -1 for an item left without a bin.
    """
    held = np.full(bins, -1, dtype=np.int64)
    choice = np.full(positions.shape[0], -1, dtype=np.int64)
    state = 0x9E3779B9  # the walk's own coins; the seed's entropy is in the positions
    for first in range(positions.shape[0]):
        item = first
        for _ in range(steps_max):
            for way in range(3):
                if held[positions[item, way]] < 0:
                    choice[item] = way
                    break
            if choice[item] >= 0:
                held[positions[item, choice[item]]] = item
                item = -1
                break
            state = (state * 1103515245 + 12345) % 2147483648
            way = (state >> 16) % 3
            target = positions[item, way]
            other = held[target]
            held[target] = item
            choice[item] = way
            choice[other] = -1
            item = other
        if item >= 0:
            return np.full(positions.shape[0], -1, dtype=np.int64)
    return choice


def _peel_rows(positions: Any, columns: int) -> Any:
    """Peel rows that own a column no other unpeeled row has (RR22, triangulation).

    positions int64 (n, 3), distinct in each row. Returns int64 (peeled, 2) of (row, column) in the
    order of peeling; rows that are not listed form the 2-core.
    """
    rows = positions.shape[0]
    count = np.zeros(columns, dtype=np.int64)
    mixed = np.zeros(columns, dtype=np.int64)
    for row in range(rows):
        for way in range(3):
            count[positions[row, way]] += 1
            mixed[positions[row, way]] ^= row
    order = np.empty((rows, 2), dtype=np.int64)
    stack = np.empty(columns + 3 * rows, dtype=np.int64)
    depth = 0
    for column in range(columns):
        if count[column] == 1:
            stack[depth] = column
            depth += 1
    peeled = 0
    while depth > 0:
        depth -= 1
        column = stack[depth]
        if count[column] != 1:
            continue
        row = mixed[column]
        order[peeled, 0] = row
        order[peeled, 1] = column
        peeled += 1
        for way in range(3):
            other = positions[row, way]
            count[other] -= 1
            mixed[other] ^= row
            if count[other] == 1:
                stack[depth] = other
                depth += 1
    return order[:peeled].copy()


def _fill_columns(order: Any, rows: Any, values: Any, table: Any, sparse: int) -> Any:
    """Solve the peeled rows backwards: table uint64 (sparse + dense columns, k), in place.

    rows: (positions int64 (n, 3), dense patterns uint64 (n,)).
    """
    positions, dense = rows
    words = values.shape[1]
    columns = table.shape[0] - sparse
    for step in range(order.shape[0] - 1, -1, -1):
        row = order[step, 0]
        pivot = order[step, 1]
        for word in range(words):
            total = values[row, word]
            for way in range(3):
                if positions[row, way] != pivot:
                    total ^= table[positions[row, way], word]
            for column in range(columns):
                if (dense[row] >> np.uint64(column)) & np.uint64(1):
                    total ^= table[sparse + column, word]
            table[pivot, word] = total
    return table


def _decode_rows(positions: Any, dense: Any, table: Any, sparse: int) -> Any:
    """The value of each row: the XOR of its columns. Returns uint64 (n, k)."""
    words = table.shape[1]
    columns = table.shape[0] - sparse
    values = np.zeros((positions.shape[0], words), dtype=np.uint64)
    for row in range(positions.shape[0]):
        for word in range(words):
            total = np.uint64(0)
            for way in range(3):
                total ^= table[positions[row, way], word]
            for column in range(columns):
                if (dense[row] >> np.uint64(column)) & np.uint64(1):
                    total ^= table[sparse + column, word]
            values[row, word] = total
    return values


@dataclass(frozen=True, slots=True)
class Loops:
    """One version of the loops: compiled, or plain Python."""

    place: Callable[..., Any]
    peel: Callable[..., Any]
    fill: Callable[..., Any]
    decode: Callable[..., Any]


PORTABLE = Loops(_place_items, _peel_rows, _fill_columns, _decode_rows)


@functools.cache
def compiled_loops() -> Loops:
    """The compiled version, made when first used: importing must not import the compiler."""
    return Loops(
        compile_loop(_place_items),
        compile_loop(_peel_rows),
        compile_loop(_fill_columns),
        compile_loop(_decode_rows),
    )
