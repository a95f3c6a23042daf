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

__all__ = ["HALVES", "sum_products"]

Ints = npt.NDArray[np.int64]
HALVES = 8  # of 32 bits, in a product of four words


def _high(_typing: Any, _x: Any, _y: Any) -> Any:
    """The high word of the product of two words."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        double = ir.IntType(128)
        left, right = (builder.zext(argument, double) for argument in arguments)
        product = builder.lshr(builder.mul(left, right), ir.Constant(double, 64))
        return builder.trunc(product, ir.IntType(64))

    return types.uint64(types.uint64, types.uint64), generate


high: Any = numba.extending.intrinsic(_high)


def _sum_products(operands: Ints, shift: int) -> Ints:  # noqa: PLR0915  words stay in registers
    """int64 (8,): halves of the sums of operands (k, rows) multiplied, over 2^shift."""
    count, rows = operands.shape
    low, half, zero = np.uint64(0xFFFFFFFF), np.uint64(32), np.uint64(0)
    totals = np.zeros(HALVES, dtype=np.int64)
    t0 = t1 = t2 = t3 = t4 = t5 = t6 = t7 = np.int64(0)
    skip, down = shift // 64, np.uint64(shift % 64)
    # shifted left in two steps, since a word is not shifted by 64
    up = np.uint64(63) - down
    one = np.uint64(1)
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
        w0 = (w0 >> down) | ((w1 << up) << one)
        w1 = (w1 >> down) | ((w2 << up) << one)
        w2 = (w2 >> down) | ((w3 << up) << one)
        w3 = w3 >> down
        t0 += (np.int64(w0 & low) ^ sign) - sign
        t1 += (np.int64(w0 >> half) ^ sign) - sign
        t2 += (np.int64(w1 & low) ^ sign) - sign
        t3 += (np.int64(w1 >> half) ^ sign) - sign
        t4 += (np.int64(w2 & low) ^ sign) - sign
        t5 += (np.int64(w2 >> half) ^ sign) - sign
        t6 += (np.int64(w3 & low) ^ sign) - sign
        t7 += (np.int64(w3 >> half) ^ sign) - sign
    totals[0], totals[1], totals[2], totals[3] = t0, t1, t2, t3
    totals[4], totals[5], totals[6], totals[7] = t4, t5, t6, t7
    return totals


sum_products = compile_loop(_sum_products)
