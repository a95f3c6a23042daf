"""Products in the field of p = 2^61 - 1 elements, by 32-bit limbs: compiled, or by NumPy.

Elements are uint64 below p. 2^61 = 1 mod p, so that a product of 122 bits is reduced by adding its
upper 61 bits to its lower ones; one subtraction, masked and not branched, completes it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from protocols.kernels.compiling import compile_loop
from protocols.kernels.registry import register
from protocols.kernels.words import multiply_high

__all__ = ["PRIME", "PRIME_BITS", "multiply", "multiply_portable"]

Words = npt.NDArray[np.uint64]
PRIME_BITS = 61
PRIME = (1 << PRIME_BITS) - 1
MODULUS = np.uint64(PRIME)
SMALL_WORDS = 4096  # up to here loading the compiler costs more than it saves


def multiply(x: Words, y: Words) -> Words:
    """x * y mod p, element by element; arrays of one shape, elements below p."""
    if x.size <= SMALL_WORDS:
        return multiply_portable(x, y)
    out = np.empty(x.shape, dtype=np.uint64)
    flat = (np.ascontiguousarray(each).reshape(-1) for each in (x, y))
    compiled_loop()(*flat, out.reshape(-1))
    return out


def multiply_portable(x: Words, y: Words) -> Words:
    """The same bytes as `multiply`, by NumPy alone."""
    low = x * y
    high = multiply_high(x, y)
    total = (low & MODULUS) + ((high << np.uint64(3)) | (low >> np.uint64(PRIME_BITS)))
    return total - (MODULUS & (np.uint64(0) - (total >= MODULUS).astype(np.uint64)))


def _multiply_rows(x: Any, y: Any, out: Any) -> None:
    """x * y mod p of flat arrays; four products of 32-bit limbs a row."""
    prime, half = np.uint64(PRIME), np.uint64(0xFFFFFFFF)
    shift = np.uint64(32)
    for row in range(x.shape[0]):
        a, b = x[row], y[row]
        a_low, a_high, b_low, b_high = a & half, a >> shift, b & half, b >> shift
        middle = a_high * b_low + ((a_low * b_low) >> shift)
        other = (middle & half) + a_low * b_high
        high = a_high * b_high + (middle >> shift) + (other >> shift)
        low = a * b
        total = (low & prime) + ((high << np.uint64(3)) | (low >> np.uint64(61)))
        out[row] = total - (prime & (np.uint64(0) - np.uint64(total >= prime)))


@functools.cache
def compiled_loop() -> Callable[..., Any]:
    """Made when first used: importing must not import the compiler."""
    return compile_loop(_multiply_rows)


register("prime.multiply", multiply, multiply_portable, "one product")
