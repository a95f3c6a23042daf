"""RFC 6962 Merkle trees: one hash for a whole feed, short proofs that an entry is in it and that a
later tree only added to an earlier one.

    leaf hash  SHA-256(0x00 | leaf)        node hash  SHA-256(0x01 | left | right)

A feed's leaves are the hashes of its entries, in order. Proofs are lists of 32-byte hashes and are
checked by RFC 9162 sections 2.1.3.2 and 2.1.4.2.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from p2pmpc.errors import LogError

__all__ = ["EMPTY_ROOT", "PROOF_MAX", "Tree", "verify_consistency", "verify_inclusion"]

PROOF_MAX = 64  # hashes in a proof: a tree has fewer than 2^63 leaves
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """RFC 6962, section 2.1: SHA-256 of 0x00 and the leaf; so no leaf passes for a node."""
    return hashlib.sha256(b"\0" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962, section 2.1: SHA-256 of 0x01 and both children, 32 bytes each."""
    return hashlib.sha256(b"\1" + left + right).digest()


class Tree:
    """Grows by `append`. Keeps the hashes of all complete subtrees: 64 bytes a leaf."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        self._levels: list[list[bytes]] = [[]]
        for leaf in leaves:
            self.append(leaf)

    def __len__(self) -> int:
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add one leaf at the end."""
        self._levels[0].append(leaf_hash(leaf))
        level = 0
        while len(self._levels[level]) % 2 == 0:
            if level + 1 == len(self._levels):
                self._levels.append([])
            left, right = self._levels[level][-2:]
            self._levels[level + 1].append(node_hash(left, right))
            level += 1

    def root(self, size: int) -> bytes:
        """The root of the first `size` leaves. Raises ValueError past the end."""
        if not 0 <= size <= len(self):
            raise ValueError(f"the tree has {len(self)} leaves, not {size}")
        return EMPTY_ROOT if size == 0 else self._range(0, size)

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """Proof that leaf `index` is in the tree of `size` leaves (RFC 6962 2.1.1)."""
        if not 0 <= index < size <= len(self):
            raise ValueError(f"no leaf {index} in a tree of {size}")
        return self._path(index, 0, size)

    def consistency(self, first: int, second: int) -> list[bytes]:
        """Proof that the tree of `second` leaves extends that of `first` (RFC 6962 2.1.2)."""
        if not 0 <= first <= second <= len(self):
            raise ValueError(f"no trees of {first} and {second} leaves")
        if first in {0, second}:
            return []
        return self._subproof(first, 0, second, whole=True)

    def _range(self, start: int, end: int) -> bytes:
        """The hash of leaves start..end, a range as RFC 6962 splits them."""
        length = end - start
        if length & (length - 1) == 0:
            level = length.bit_length() - 1
            return self._levels[level][start >> level]
        middle = start + _split(length)
        return node_hash(self._range(start, middle), self._range(middle, end))

    def _path(self, index: int, start: int, end: int) -> list[bytes]:
        if end - start == 1:
            return []
        middle = start + _split(end - start)
        if index < middle:
            return [*self._path(index, start, middle), self._range(middle, end)]
        return [*self._path(index, middle, end), self._range(start, middle)]

    def _subproof(self, first: int, start: int, end: int, *, whole: bool) -> list[bytes]:
        if first == end:
            return [] if whole else [self._range(start, end)]
        middle = start + _split(end - start)
        if first <= middle:
            return [*self._subproof(first, start, middle, whole=whole), self._range(middle, end)]
        return [*self._subproof(first, middle, end, whole=False), self._range(start, middle)]


def _split(length: int) -> int:
    """The largest power of two smaller than `length`, which is at least 2."""
    return 1 << ((length - 1).bit_length() - 1)


def verify_inclusion(
    leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes
) -> None:
    """Raises LogError unless `leaf` is number `index` in the tree of this size and root."""
    if not 0 <= index < size or not _sound(proof):
        raise LogError(f"an inclusion proof for leaf {index} of {size} is malformed")
    position, last, found = index, size - 1, leaf_hash(leaf)
    for step in proof:
        if last == 0:
            raise LogError("an inclusion proof is too long")
        if position % 2 == 1 or position == last:
            found = node_hash(step, found)
            position, last = _up_to_odd(position, last)
        else:
            found = node_hash(found, step)
        position, last = position >> 1, last >> 1
    if last != 0 or found != root:
        raise LogError(f"leaf {index} is not in the tree with this root")


def verify_consistency(
    first: int, second: int, first_root: bytes, second_root: bytes, proof: Sequence[bytes]
) -> None:
    """Raises LogError unless the second tree begins with all of the first."""
    if not 0 <= first <= second or not _sound(proof):
        raise LogError(f"a consistency proof from {first} to {second} is malformed")
    if first in {0, second}:
        expected = EMPTY_ROOT if first == 0 else second_root
        if proof or first_root != expected:
            raise LogError(f"the trees of {first} and {second} leaves are not consistent")
        return
    steps = list(proof) if first & (first - 1) else [first_root, *proof]
    if not steps:
        raise LogError("a consistency proof is too short")
    _climb(first, second, steps, (first_root, second_root))


def _climb(first: int, second: int, steps: list[bytes], roots: tuple[bytes, bytes]) -> None:
    position, last = first - 1, second - 1
    while position % 2 == 1:
        position, last = position >> 1, last >> 1
    old = new = steps[0]
    for step in steps[1:]:
        if last == 0:
            raise LogError("a consistency proof is too long")
        if position % 2 == 1 or position == last:
            old, new = node_hash(step, old), node_hash(step, new)
            position, last = _up_to_odd(position, last)
        else:
            new = node_hash(new, step)
        position, last = position >> 1, last >> 1
    if last != 0 or (old, new) != roots:
        raise LogError(f"the trees of {first} and {second} leaves are not consistent")


def _up_to_odd(position: int, last: int) -> tuple[int, int]:
    while position % 2 == 0 and position != 0:
        position, last = position >> 1, last >> 1
    return position, last


def _sound(proof: Sequence[bytes]) -> bool:
    return len(proof) <= PROOF_MAX and all(len(step) == 32 for step in proof)
