"""Exact sums of products of whole numbers that fit no word: powers of a column, and the like.

A sum is that of |product| / 2^shift, rounded half up, under the product's sign, over the rows. The
compiled loop keeps products and sum in four words; the twin does the same with limbs of 26 bits in
NumPy. Operands are below 2^61 and rows below 2^31, so that neither overflows. Both run on a party's
own rows, and take the same time for all values of one count of operands.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from protocols.kernels.registry import register

__all__ = ["LIMB_BITS", "wide_product", "wide_sum", "wide_sum_portable"]

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
LIMB_BITS = 26  # products of limbs and their sums stay below 2^63
LIMB_MASK = np.uint64((1 << LIMB_BITS) - 1)
LIMB_SHIFT = np.uint64(LIMB_BITS)
SMALL_ROWS = 1 << 10  # up to here loading the compiler costs more than it saves
CHUNK_ROWS = 1 << 15  # a chunk's limbs stay in the cache
OPERANDS_MAX = 4  # words of their product
TOTAL_BITS = 64 * OPERANDS_MAX
SHIFT_MAX = 191  # the compiled loop leaves out two words and a part of one


def wide_sum(operands: Ints, shift: int) -> int:
    """The sum over rows of the products of the operands, int64 (k, rows), over 2^shift.

    Raises ValueError for no operand, for more than four, or for a shift beyond SHIFT_MAX.
    """
    _check(operands, shift)
    if operands.shape[1] <= SMALL_ROWS:
        return wide_sum_portable(operands, shift)
    try:
        from protocols.kernels.moments_loops import sum_products
    except ImportError:  # no compiler here
        return wide_sum_portable(operands, shift)
    *words, negatives = map(int, sum_products(np.ascontiguousarray(operands), shift))
    total = negatives + sum(word << (64 * place) for place, word in enumerate(words))
    total %= 1 << TOTAL_BITS
    return total - (1 << TOTAL_BITS) if total >> (TOTAL_BITS - 1) else total


def wide_sum_portable(operands: Ints, shift: int) -> int:
    """The same number by NumPy alone."""
    _check(operands, shift)
    total = 0
    for start in range(0, operands.shape[1], CHUNK_ROWS):
        limbs, sign = wide_product(list(operands[:, start : start + CHUNK_ROWS]), shift)
        total += sum(
            int(np.sum(limb.astype(np.int64) * sign)) << (LIMB_BITS * place)
            for place, limb in enumerate(limbs)
        )
    return total


def _check(operands: Ints, shift: int) -> None:
    if not 1 <= len(operands) <= OPERANDS_MAX or not 0 <= shift <= SHIFT_MAX:
        raise ValueError(f"no sum of {len(operands)} operands over 2^{shift}")


# ---- the twin ------------------------------------------------------------------------------------


def wide_product(operands: list[Ints], shift: int) -> tuple[list[Words], Ints]:
    """(limbs, sign): the product of the operands over 2^shift, rounded half away from zero."""
    sign = np.sign(operands[0])
    product = _limbs(operands[0])
    for operand in operands[1:]:
        sign = sign * np.sign(operand)
        product = _multiply(product, _limbs(operand))
    return (_shifted(product, shift) if shift else product), sign


def _limbs(numbers: Ints) -> list[Words]:
    rest = np.abs(numbers).astype(np.uint64)
    largest = int(rest.max()) if rest.size else 0
    places = max(1, -(-largest.bit_length() // LIMB_BITS))
    return [(rest >> np.uint64(LIMB_BITS * place)) & LIMB_MASK for place in range(places)]


def _multiply(left: Sequence[Words], right: Sequence[Words]) -> list[Words]:
    product = [np.zeros_like(left[0]) for _ in range(len(left) + len(right))]
    for i, one in enumerate(left):
        for j, other in enumerate(right):
            product[i + j] += one * other
    return _carried(product)


def _carried(limbs: list[Words]) -> list[Words]:
    for place in range(len(limbs) - 1):
        limbs[place + 1] += limbs[place] >> LIMB_SHIFT
        limbs[place] &= LIMB_MASK
    return limbs


def _shifted(limbs: list[Words], shift: int) -> list[Words]:
    """Magnitudes over 2^shift, rounded half up."""
    whole, part = divmod(shift, LIMB_BITS)
    half_place, half_bit = divmod(shift - 1, LIMB_BITS)
    spare = np.zeros_like(limbs[0])
    limbs = [*limbs, *(spare.copy() for _ in range(max(0, half_place + 2 - len(limbs)))), spare]
    limbs[half_place] = limbs[half_place] + np.uint64(1 << half_bit)
    limbs = _carried(limbs)[whole:]
    if not part:
        return limbs
    down, up = np.uint64(part), np.uint64(LIMB_BITS - part)
    above = [*limbs[1:], np.zeros_like(spare)]
    return [
        (one >> down) | ((next_one << up) & LIMB_MASK)
        for one, next_one in zip(limbs, above, strict=True)
    ]


register("moments.wide_sum", wide_sum, wide_sum_portable, "one row")
