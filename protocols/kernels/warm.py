"""Compile every loop once, so that the first study does not wait.

    python -m protocols.kernels.warm

The compiled code lands in the compiler's own cache; later processes only load it.
"""

from __future__ import annotations

import numpy as np

from protocols.kernels import aes, extension, gates, gilboa, prime, silent
from protocols.kernels.compiling import compiled
from protocols.kernels.moments import SMALL_ROWS, wide_sum
from protocols.kernels.okvs import compiled_loops

__all__ = ["warm"]


def warm() -> None:
    """Run each compiled loop on a few numbers of the types that it is called with."""
    compiled("transpose_halves")(np.zeros((128, 1), np.uint64), np.zeros((64, 2), np.uint64))
    compiled("route")(np.array([1, 0]), np.zeros((1, 1), np.uint8))
    loops = compiled_loops()
    positions = np.array([[0, 1, 2], [1, 2, 3]])
    loops.place(positions, 4, 10)
    order = loops.peel(positions, 4)
    dense = np.zeros(2, np.uint64)
    values, table = np.zeros((2, 1), np.uint64), np.zeros((6, 1), np.uint64)
    loops.fill(order, (positions, dense), values, table, 4)
    loops.decode(positions, dense, table, 4)
    prime.compiled_loop()(*np.zeros((3, 1), np.uint64))
    row = np.zeros((1, 1), np.uint64)
    gates.compiled_loops().cut(np.zeros(1, np.uint64), row)
    said = np.zeros((2, 1), np.uint64)
    gates.compiled_loops().settle((said, said), row, (row, row), (row, row), np.uint64(0), row)
    wide_sum(np.zeros((1, SMALL_ROWS + 1), np.int64), 0)
    silent.warm()
    gilboa.warm()
    _warm_transfers()


def _warm_transfers() -> None:
    """AES and OT extension by the instructions that this machine will choose."""
    best = aes.version(aes.host_versions()[0])
    key, row = np.zeros((2, 16), np.uint8), np.zeros((1, 2), np.uint64)
    best.expand(key, 0, 1)
    best.hash_rows(row, key[0])
    best.double(row, key)
    leaves, bits = np.zeros((32, 16, 16), np.uint8), np.zeros(2, np.uint64)
    message, _ = extension.receive(leaves, bits, 0, key[:1], 1)
    extension.send((leaves, bits), message, 0, key[:1], 1)


if __name__ == "__main__":
    warm()
