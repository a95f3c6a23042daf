"""The loop of `protocols.kernels.moments`, which alone imports this module, and late.

A product lies in four words that stay in registers; a product of words gives both halves in one
instruction. No branch depends on a value.
"""

from __future__ import annotations

from typing import Any

import numba.extending
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types

from protocols.kernels.compiling import compile_loop

__all__ = ["sum_products"]

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]


def _high(_typing: Any, _x: Any, _y: Any) -> Any:
    """The high word of the product of two words."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        double = ir.IntType(128)
        left, right = (builder.zext(argument, double) for argument in arguments)
        product = builder.lshr(builder.mul(left, right), ir.Constant(double, 64))
        return builder.trunc(product, ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


high: Any = numba.extending.intrinsic(_high)


def _sum_products(operands: Ints, shift: int) -> Words:  # noqa: PLR0915  words stay in registers
    """uint64 (5,): the sum of operands (k, rows) multiplied, over 2^shift, in four words of two's
    complement, to which the fifth, a count, is still to be added."""
    count, rows = operands.shape
    zero, one = np.uint64(0), np.uint64(1)
    a0 = a1 = a2 = a3 = negatives = zero
    skip, down = shift // 64, np.uint64(shift % 64)
    up = np.uint64(63) - down  # left in two steps, since a word is not shifted by 64
    bits = np.zeros(4, dtype=np.uint64)
    if shift > 0:
        bits[(shift - 1) // 64] = one << np.uint64((shift - 1) % 64)
    b0, b1, b2, b3 = bits[0], bits[1], bits[2], bits[3]
    for row in range(rows):
        value = operands[0, row]
        sign = value >> np.int64(63)  # all ones or none
        w0, w1, w2, w3 = np.uint64((value ^ sign) - sign), zero, zero, zero
        for k in range(1, count):
            value = operands[k, row]
            negative = value >> np.int64(63)
            sign ^= negative
            f = np.uint64((value ^ negative) - negative)
            h0, h1, h2 = high(w0, f), high(w1, f), high(w2, f)
            w0 = w0 * f
            w1 = w1 * f + h0
            h1 += np.uint64(w1 < h0)
            w2 = w2 * f + h1
            h2 += np.uint64(w2 < h1)
            w3 = w3 * f + h2
        w0 += b0
        carry = np.uint64(w0 < b0)
        w1 += carry
        carry = np.uint64(w1 < carry)
        w1 += b1
        carry += np.uint64(w1 < b1)
        w2 += carry
        carry = np.uint64(w2 < carry)
        w2 += b2
        carry += np.uint64(w2 < b2)
        w3 += carry + b3
        if skip == 1:
            w0, w1, w2, w3 = w1, w2, w3, zero
        elif skip == 2:
            w0, w1, w2, w3 = w2, w3, zero, zero
        mask = np.uint64(sign)
        w0 = ((w0 >> down) | ((w1 << up) << one)) ^ mask
        w1 = ((w1 >> down) | ((w2 << up) << one)) ^ mask
        w2 = ((w2 >> down) | ((w3 << up) << one)) ^ mask
        w3 = (w3 >> down) ^ mask
        negatives -= mask
        a0 += w0
        carry = np.uint64(a0 < w0)
        a1 += carry
        carry = np.uint64(a1 < carry)
        a1 += w1
        carry += np.uint64(a1 < w1)
        a2 += carry
        carry = np.uint64(a2 < carry)
        a2 += w2
        carry += np.uint64(a2 < w2)
        a3 += w3 + carry
    return np.array([a0, a1, a2, a3, negatives])


sum_products = compile_loop(_sum_products)
