"""The ring Z_2^64 or Z_2^128, in which numbers are shared.

An element is 1 or 2 little-endian 64-bit words on the last axis of a uint64 array, so an array of
elements of shape `s` has shape `s + (words,)`. Shares of a value are any elements, one a party,
that add up to it. Reduction mod 2^64 is a ring homomorphism: the low words of shares are shares of
the low words. Lifting to a larger ring is not possible without interaction and is never done.
Everything here is local and takes the same time for every secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from protocols.kernels.words import multiply_high, sum_with_carry
from protocols.randomness import Randomness

__all__ = ["Elements", "Ring"]

Elements = npt.NDArray[np.uint64]
WORD = 64


@dataclass(frozen=True, slots=True)
class Ring:
    """Arithmetic mod 2^(64 words) on arrays whose last axis holds the words of an element."""

    words: int

    def __post_init__(self) -> None:
        if self.words not in (1, 2):
            raise ValueError("a ring has one or two words")

    @property
    def bits(self) -> int:
        """Bits of an element: 64 or 128."""
        return WORD * self.words

    def zeros(self, shape: tuple[int, ...]) -> Elements:
        """Elements of this shape, all zero: uint64 (*shape, words)."""
        return np.zeros((*shape, self.words), dtype=np.uint64)

    def random(self, rand: Randomness, shape: tuple[int, ...]) -> Elements:
        """Uniform elements from the next coins of this stream."""
        return rand.words((*shape, self.words))

    def add(self, x: Elements, y: Elements) -> Elements:
        """x + y, element by element; shapes broadcast, the words' axis apart."""
        if self.words == 1:
            return x + y
        low = x[..., :1] + y[..., :1]
        carry = (low < x[..., :1]).astype(np.uint64)
        return np.concatenate((low, x[..., 1:] + y[..., 1:] + carry), axis=-1)

    def sub(self, x: Elements, y: Elements) -> Elements:
        """x - y, element by element; shapes broadcast, the words' axis apart."""
        if self.words == 1:
            return x - y
        low, borrow = np.broadcast_arrays(x[..., :1] - y[..., :1], x[..., :1] < y[..., :1])
        high = x[..., 1:] - y[..., 1:] - borrow.astype(np.uint64)
        return np.concatenate((low, high), axis=-1)

    def neg(self, x: Elements) -> Elements:
        """-x, element by element."""
        return self.sub(np.zeros_like(x), x)

    def mul(self, x: Elements, y: Elements) -> Elements:
        """x * y, element by element; of public or of a party's own numbers, not of two shares."""
        if self.words == 1:
            return x * y
        x_low, x_high, y_low, y_high = x[..., :1], x[..., 1:], y[..., :1], y[..., 1:]
        high = multiply_high(x_low, y_low) + x_low * y_high + x_high * y_low
        return np.concatenate((x_low * y_low, high), axis=-1)

    def scale(self, x: Elements, factor: int) -> Elements:
        """The elements times one public integer."""
        return self.mul(x, self.from_ints([factor])[0])

    def sum(self, x: Elements, axis: int = 0) -> Elements:
        """Sums along an axis of the elements (not the last, which holds the words)."""
        axis = axis % x.ndim
        assert axis != x.ndim - 1, "the last axis holds the words of an element"
        if self.words == 1:
            total: Elements = x.sum(axis=axis, dtype=np.uint64)
            return total
        low, carry = sum_with_carry(x[..., :1], axis)
        return np.concatenate((low, x[..., 1:].sum(axis=axis, dtype=np.uint64) + carry), axis=-1)

    def from_ints(self, values: Sequence[int] | npt.NDArray[np.int64]) -> Elements:
        """Integers of either sign: a list gives (m, words), an array of shape s (*s, words)."""
        if isinstance(values, np.ndarray):
            signed = values.astype(np.int64)
            low = signed.view(np.uint64)
            high = (signed >> np.int64(WORD - 1)).view(np.uint64)
            return np.stack((low, high)[: self.words], axis=-1)
        mask = (1 << WORD) - 1
        rows = [[(int(v) >> (WORD * k)) & mask for k in range(self.words)] for v in values]
        return np.array(rows, dtype=np.uint64).reshape(len(rows), self.words)

    def to_ints(self, x: Elements) -> list[int]:
        """The elements as integers centred about zero, flat: in [-2^(bits-1), 2^(bits-1))."""
        words = x.reshape(-1, self.words)
        plain = [sum(int(w) << (WORD * k) for k, w in enumerate(row)) for row in words]
        return [v - (1 << self.bits) if v >> (self.bits - 1) else v for v in plain]
