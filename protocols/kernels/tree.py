"""GGM trees that can be given away but for one leaf, many trees side by side.

A tree of depth d grows from a root by the doubling step of `protocols.kernels.aes`: child b of a
seed s is H of s under the public key b. Leaf x is reached by the bits of x, the highest first.

    leaves, sums = grow(roots, depth, keys)           who holds the roots
    leaves = regrow(known, path, keys)                who may know all leaves but the one at `path`
    leaves = placed(leaves, path)                     the same, each leaf at its own place

`sums[t, level, side]` is the xor of all nodes of tree t that are a `side` child at that level. Who
regrows must be given, at each level, the sum of the side that its path does **not** take, and no
more: by one OT a level, in which its choice is 1 xor its bit of the path and the strings are the
two sums, masked with the base keys. It then knows at each level every node but the one on the path.

`regrow` counts leaves by their distance y = x xor path, so that the missing leaf always has number
0: no index and no branch depends on the path (bits of the path only pick by masks).

Source  Goldreich, Goldwasser, Micali, JACM 1986; puncturing by one OT a level as in Boyle et
        al., "Efficient two-round OT extension and silent non-interactive secure computation", CCS
        2019, against honest-but-curious parties.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from protocols.kernels.aes import double

__all__ = ["grow", "placed", "regrow"]

Octets = npt.NDArray[np.uint8]
Bits = npt.NDArray[np.uint8]
Words = npt.NDArray[np.uint64]


def grow(roots: Words, depth: int, keys: Octets) -> tuple[Words, Words]:
    """All leaves, (t, 2^depth, 2), and the sums of each level, (t, depth, 2, 2).

    roots (t, 2) words; keys uint8 (2, 16): public
    """
    trees = len(roots)
    nodes = np.ascontiguousarray(roots).reshape(trees, 1, 2)
    sums = np.empty((trees, depth, 2, 2), dtype=np.uint64)
    for level in range(depth):
        children = double(nodes.reshape(-1, 2), keys).reshape(trees, 1 << level, 2, 2)
        np.bitwise_xor.reduce(children, axis=1, out=sums[:, level])
        nodes = children.reshape(trees, 2 << level, 2)
    return nodes, sums


def regrow(known: Words, path: Bits, keys: Octets) -> Words:
    """All leaves but one, (t, 2^depth, 2), number y at distance y from the path; row 0 is zero.

    known  (t, depth, 2) words: at each level the sum of the side 1 xor the bit of the path
    path   uint8 (t, depth): the bits of the missing leaf's place, the highest first
    """
    trees, depth = path.shape
    nodes = np.zeros((trees, 1, 2), dtype=np.uint64)
    for level in range(depth):
        children = double(nodes.reshape(-1, 2), keys).reshape(trees, 1 << level, 2, 2)
        _swap(children[:, :, 0], children[:, :, 1], path[:, level])
        children[:, 0] = 0  # of the missing node: both unknown
        others = np.bitwise_xor.reduce(children[:, :, 1], axis=1)
        children[:, 0, 1] = known[:, level] ^ others
        nodes = children.reshape(trees, 2 << level, 2)
    return nodes


def placed(leaves: Words, path: Bits) -> Words:
    """Leaves numbered by distance (t, 2^depth, ...) at their own places x = y xor path."""
    trees, depth = path.shape
    out = np.array(leaves)
    for level in range(depth):
        halves = out.reshape(trees, 1 << level, 2, -1)
        _swap(halves[:, :, 0], halves[:, :, 1], path[:, level])
    return out


def _swap(left: Words, right: Words, bits: Bits) -> None:
    """Exchange in place where a tree's bit is 1, by masks."""
    masks = (np.uint64(0) - bits.astype(np.uint64)).reshape(-1, 1, 1)
    change = (left ^ right) & masks
    left ^= change
    right ^= change
