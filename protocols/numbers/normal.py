"""Normal form of positive shared numbers: the highest set bit, and what stands above one half.

What       of a number h of `bits` bits the place of its highest bit comes as one shared bit a
           place (one of them 1, the rest 0), so that every function of the place is a public sum:
           a power of two that brings h to [2^(bits - 1), 2^bits), its root, its logarithm. The
           sign goes first into the prefix OR: for a number that is negative or below 2^least all
           places are 0, and so is everything that is multiplied by such a sum.
Against    honest-but-curious parties, n - 1 of whom may collude.
Rounds     places, online (from a stock): those of `bit_slices` of bits + 1,
           ceil(log2(bits - least + 1)) for the prefix OR, 1 into the ring; then 1 or 2 to scale up
           and cut off.
Bytes      to each peer those of these; `bits - least` bits into the ring a number.
Error      u = 4 h' - 3, h' = h / 2^bits brought to [1/2, 1), is within 2^-30 of its exact value.
Source     Catrina and Saxena, FC 2010, section 4; Sklansky 1960 (the prefix tree).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from math import floor, isqrt

import numpy as np
import numpy.typing as npt

from protocols.digits import bit_slices, prefix_or, slices_to_ring
from protocols.numbers.fixed import Fixed, Form, Unfit, rounded, shown
from protocols.numbers.polynomial import WORKING
from protocols.numbers.products import truncate_all
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring

__all__ = [
    "DIGITS_MAX",
    "ROUNDS",
    "Extent",
    "Places",
    "argument",
    "argument_form",
    "extent",
    "half_power",
    "places",
    "power_weight",
    "rise",
]

ROUNDS = (
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit that goes into the ring, at most 16 MiB"),
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("masked", to="all", size="1/4 an AND gate, at most 16 MiB"),
    Says("elements", to="all", size="8 words a truncation, at most 16 MiB"),
)

Words = npt.NDArray[np.uint64]
ROOT_BITS = 100
DIGITS_MAX = 62  # bits of a number that is brought to normal form: its low word has 64


@dataclass(frozen=True, slots=True)
class Extent:
    """Which held integers count: at least 2^least, below 2^bits; the scale of the numbers."""

    least: int
    bits: int
    scale: int

    def exponent(self, place: int) -> int:
        """e, so that a number whose highest bit is `least + place` lies in [2^(e - 1), 2^e)."""
        return self.least + place + 1 - self.scale

    @property
    def smallest(self) -> Fraction:
        """The smallest number that counts."""
        return Fraction(1 << self.least, 1 << self.scale)


@dataclass(frozen=True, slots=True, repr=False)
class Places:
    """Shares of one bit a place, as ring elements (places, m, words); of whether there is one.

    sound  packed bits (ceil(m / 64),): the number counts
    """

    bits: Elements
    sound: Words

    def __repr__(self) -> str:
        return f"Places({self.bits.shape}, <redacted>)"

    def weighted(self, ring: Ring, weight: Callable[[int], int]) -> Elements:
        """Shares of the weight of the place, (m, words); 0 where there is none."""
        total: Elements = np.zeros_like(self.bits[0])
        for place in range(len(self.bits)):
            total = ring.add(total, ring.scale(self.bits[place], weight(place)))
        return total


def extent(form: Form, least: Fraction) -> Extent:
    """The extent of numbers of this form that are at least `least`, rounded down to 2^i.

    Raises Unfit when it has no numbers, more bits than a word serves, or too large an error.
    """
    if form.divisor != 1:
        raise ValueError(f"{form.name} is carried over {form.divisor}: multiply that in first")
    form.check(2)
    units = floor(least * (1 << form.scale))
    if units < 1 or least > form.bound:
        raise Unfit(
            f"{form.name} is at most {float(form.bound):g} with {form.scale} fraction bits, and a"
            f" least value of {float(least):g} lies outside of that; what would fit: a least value"
            f" from {float(form.ulp):g} to {float(form.bound):g}"
        )
    if form.bits > DIGITS_MAX:
        fewer = form.scale - form.bits + DIGITS_MAX
        bits = f"{fewer} fraction bits instead of {form.scale}, or " if fewer >= 0 else ""
        bound = shown(((1 << DIGITS_MAX) - 1) * form.ulp - form.error, up=False)
        raise Unfit(
            f"{form.name} takes {form.bits} bits with {form.scale} fraction bits, and at most"
            f" {DIGITS_MAX} can be decomposed; what would fit: {bits}a bound of {bound}"
        )
    within = Extent(units.bit_length() - 1, form.bits, form.scale)
    if form.error >= within.smallest:
        raise Unfit(
            f"{form.name} has an error as large as its least value {float(least):g}:"
            f" {shown(form.error)}; what would fit: a least value of"
            f" {shown(2 * form.error + form.ulp)}, or a smaller error"
        )
    return within


def places(seat: Seat, ring: Ring, x: Elements, within: Extent) -> Protocol[Places]:
    """The place of the highest bit of each number (m, words), from `least` to bits - 1."""
    slices = yield from bit_slices(seat, ring, x, within.bits + 1)
    prefix = yield from prefix_or(seat, slices[within.least :][::-1])
    hot = (prefix[1:] ^ prefix[:-1])[::-1]
    elements = yield from slices_to_ring(seat, ring, np.ascontiguousarray(hot), len(x))
    return Places(elements, prefix[-1] ^ prefix[0])


# ---- what polynomials take -----------------------------------------------------------------------


def argument_form(ring: Ring, within: Extent) -> Form:
    """The form of u = 4 h' - 3 for the held numbers."""
    cut = within.bits > WORKING + 2
    error = Fraction(1, 1 << WORKING) if cut else Fraction(0)
    return Form("u", ring, WORKING, Fraction(1), error)


def argument(
    seat: Seat, ring: Ring, risen: Elements, found: Places, within: Extent
) -> Protocol[tuple[Fixed, Elements]]:
    """u and shares of 1 for numbers that count; both 0 for those that do not.

    risen  the numbers times 2^(bits - 1 - highest place)
    """
    ones = found.weighted(ring, lambda _place: 1)
    shift = within.bits - WORKING - 2
    if shift > 0:
        (risen,) = yield from truncate_all(seat, ring, [(risen, shift)])
    else:
        risen = ring.scale(risen, 1 << -shift)
    u = ring.sub(risen, ring.scale(ones, 3 << WORKING))
    return Fixed(u, argument_form(ring, within)), ones


def rise(within: Extent) -> Callable[[int], int]:
    """The power of two that brings a number with this place to normal form."""
    return lambda place: 1 << (within.bits - 1 - within.least - place)


def power_weight(halves: int, scale: int, within: Extent) -> Callable[[int], int]:
    """2^(halves e / 2) rounded to `scale` bits, e the number's exponent."""
    return lambda place: rounded(half_power(halves * within.exponent(place)), scale)


def half_power(halves: int) -> Fraction:
    """2^(halves / 2), within 2^-100 relatively; the same on every machine."""
    root = Fraction(isqrt(2 << 2 * ROOT_BITS), 1 << ROOT_BITS) if halves % 2 else Fraction(1)
    return root * Fraction(2) ** (halves // 2)
