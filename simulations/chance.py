"""Chance from a seed: one named stream a purpose, so that one more draw here changes nothing there.

For simulated networks only: numpy's generators are not cryptographic, and a simulated key protects
nobody. Nothing here reads the machine's clock or entropy, and no stream depends on the order of a
set or on Python's own hashing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

__all__ = ["Chance"]

T = TypeVar("T")
BLOCK = 4096  # numbers drawn at once: a single draw costs thirty times as much
BYTES = 256  # the same for bytes


class Chance:
    """A stream of draws, the same for the same seed and label on every machine."""

    __slots__ = ("_block", "_generator", "_label", "_next", "_seed", "_text")

    def __init__(self, seed: int, label: str) -> None:
        self._seed, self._label = seed, label
        start = hashlib.sha256(f"p2pmpc/chance/1 {seed} {label}".encode()).digest()
        self._generator = np.random.Generator(np.random.PCG64(int.from_bytes(start, "big")))
        self._block: list[float] = []
        self._next = 0
        self._text = b""

    def __repr__(self) -> str:
        return f"Chance({self._seed}, {self._label!r})"

    def fork(self, label: str) -> Chance:
        """A stream of its own, whatever was drawn here before."""
        return Chance(self._seed, f"{self._label}/{label}")

    def number(self) -> float:
        """Uniform in [0, 1)."""
        if self._next == len(self._block):
            self._block, self._next = self._generator.random(BLOCK).tolist(), 0
        self._next += 1
        return self._block[self._next - 1]

    def happens(self, share: float) -> bool:
        return self.number() < share

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.number()

    def below(self, count: int) -> int:
        """A whole number from 0 to count - 1."""
        return int(self.number() * count)

    def pick(self, things: Sequence[T]) -> T:
        return things[self.below(len(things))]

    def some(self, things: Sequence[T], count: int) -> list[T]:
        """`count` different ones of them, in the order drawn."""
        left = list(things)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]

    def bytes(self, count: int) -> bytes:
        """As many bytes as a simulated key, salt or card needs."""
        if len(self._text) < count:
            self._text += self._generator.bytes(max(count, BYTES))
        found, self._text = self._text[:count], self._text[count:]
        return found
