"""Products of 64-bit words that do not fit one word: the high half, by 32-bit limbs.

NumPy alone; it is its own portable twin.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["multiply_high", "sum_with_carry"]

Words = npt.NDArray[np.uint64]
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
LIMB_ROWS_MAX = (1 << 32) - 1  # sums of 32-bit limbs stay below 2^64


def multiply_high(x: Words, y: Words) -> Words:
    """The high words of the 128-bit products (Knuth 4.3.1, algorithm M, two limbs a word)."""
    x_low, x_high = x & LOW, x >> HALF
    y_low, y_high = y & LOW, y >> HALF
    middle = x_high * y_low + ((x_low * y_low) >> HALF)
    other = (middle & LOW) + x_low * y_high
    high: Words = x_high * y_high + (middle >> HALF) + (other >> HALF)
    return high


def sum_with_carry(x: Words, axis: int) -> tuple[Words, Words]:
    """The low and high words of the exact sums along an axis of at most 2^32 - 1."""
    if x.shape[axis] > LIMB_ROWS_MAX:
        raise ValueError(f"a sum of {x.shape[axis]} words could lose a carry")
    low = np.atleast_1d((x & LOW).sum(axis=axis, dtype=np.uint64))
    high = np.atleast_1d((x >> HALF).sum(axis=axis, dtype=np.uint64))
    upper = high + (low >> HALF)
    return (upper << HALF) | (low & LOW), upper >> HALF
