"""Each column's values as integers about the middle of their declared bounds.

    whole numbers and columns with declared decimals    x = value * 10^decimals - centre, exactly
    other numbers                                       x = rint((value - centre) * 2^k)

k is the largest for which |x| <= 2^51: two values at the bounds differ by the last bit of a
float64. Encoding is a function of the one value and of public bounds, so sums of x are the same
bits however rows are split, and everything after it is integer arithmetic. About the middle of
the bounds rather than about zero, powers lose nothing to a common offset.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import ceil, floor

import numpy as np
from numpy.typing import NDArray

BINARY_BITS = 51
DECIMAL_BITS = 52  # a float64 times 10^decimals still names each whole number below this
WHOLE_BITS = 61


@dataclass(frozen=True, slots=True)
class Encoding:
    """x = (value - centre) * base^exponent; |x| <= bound; |x - unrounded x| <= error."""

    centre: Fraction
    base: int
    exponent: int
    bound: int
    error: Fraction

    @property
    def scale(self) -> Fraction:
        """Encoded units in one unit of the column."""
        return Fraction(self.base) ** self.exponent


def encoding_of(type_: str, minimum: Decimal, maximum: Decimal, decimals: int | None) -> Encoding:
    """The column's encoding. Raises ValueError when whole numbers are too far apart for 64 bits."""
    low, high = Fraction(minimum), Fraction(maximum)
    if type_ in ("integer", "date"):
        return _decimal(low, high, 0, WHOLE_BITS)
    if decimals is not None and max(abs(low), abs(high)) * 10**decimals < 2**DECIMAL_BITS:
        return _decimal(low, high, decimals, DECIMAL_BITS)
    return _binary(low, high)


def _decimal(low: Fraction, high: Fraction, decimals: int, bits_max: int) -> Encoding:
    first, last = floor(low * 10**decimals), ceil(high * 10**decimals)
    if max(abs(first), abs(last)).bit_length() > bits_max:
        raise ValueError("its bounds are further apart than 2^61")
    middle = (first + last) // 2
    centre = Fraction(middle, 10**decimals)
    return Encoding(centre, 10, decimals, max(last - middle, middle - first), Fraction(0))


def _binary(low: Fraction, high: Fraction) -> Encoding:
    centre = Fraction(float((low + high) / 2))
    half = max(high - centre, centre - low, Fraction(1, 2**1000))
    exponent = BINARY_BITS - 1
    while half * Fraction(2) ** exponent > 2**BINARY_BITS:
        exponent -= _excess(half * Fraction(2) ** exponent)
    while half * Fraction(2) ** (exponent + 1) <= 2**BINARY_BITS:
        exponent += 1
    # rint leaves 1/2, the subtraction value - centre in float64 at most 1/4 more
    bound = ceil(half * Fraction(2) ** exponent) + 1
    return Encoding(centre, 2, exponent, bound, Fraction(3, 4))


def _excess(reach: Fraction) -> int:
    return max(1, (ceil(reach) - 1).bit_length() - BINARY_BITS)


def encode(
    encoding: Encoding, numbers: NDArray[np.generic], missing: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """int64 (rows,): the encoded values, 0 where missing.

    Raises ValueError for a value outside the declared bounds; import refuses those, and a sum
    that could leave the ring must not be opened.
    """
    present = np.where(missing, numbers.dtype.type(0), numbers)
    encoded = _whole(encoding, present) if encoding.base == 10 else _fine(encoding, present)
    encoded[missing] = 0
    if encoded.size and max(int(encoded.max()), -int(encoded.min())) > encoding.bound:
        raise ValueError("a value outside the declared bounds reached a sum")
    return encoded


def _whole(encoding: Encoding, numbers: NDArray[np.generic]) -> NDArray[np.int64]:
    middle = int(encoding.centre * encoding.scale)
    if np.issubdtype(numbers.dtype, np.integer):
        return np.asarray(numbers.astype(np.int64) * 10**encoding.exponent - middle)
    scaled = np.rint(numbers.astype(np.float64) * float(10**encoding.exponent))
    if not np.all(np.abs(scaled) < 2.0**62):
        raise ValueError("a value outside the declared bounds reached a sum")
    return np.asarray(scaled.astype(np.int64) - middle)


def _fine(encoding: Encoding, numbers: NDArray[np.generic]) -> NDArray[np.int64]:
    offset = numbers.astype(np.float64) - float(encoding.centre)
    with np.errstate(over="ignore"):  # an infinity is outside the bounds, and refused below
        scaled = np.rint(np.ldexp(offset, encoding.exponent))
    if not np.all(np.abs(scaled) < 2.0**62):
        raise ValueError("a value outside the declared bounds reached a sum")
    return scaled.astype(np.int64)
