"""The natural logarithm of shared fixed-point numbers.

What       with d = d' 2^e, 1/2 <= d' < 1 (`normal.py`): ln d = ln d' + e ln 2. The first by a
           polynomial of degree 12 in u = 4 d' - 3, the second a public sum over the places, so
           there is no product after the polynomial.
           A number that is zero, negative or below `least` gives 0 and is not sound.
Against    honest-but-curious parties, n - 1 of whom may collude.
Rounds     online (from a stock) those of `normal.places` and 11 or 12: 20 for 30 bits; and fresh
           correlations.
Bytes      to each peer those of bit_slices of bits + 1, of bits - least bits into the ring, and
           of 6 products and 7 truncations.
Error      |held - ln d| <= 10^-8 for the held d, at 30 fraction bits; and what its own error
           makes: e_d / (least - e_d). The form states the sum.
Source     Aly and Smart, ACNS 2019 (2019/354), section 5; the polynomial's error: `polynomial.py`.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from protocols.needs import Needs
from protocols.numbers.counting import counted
from protocols.numbers.division import Quotient
from protocols.numbers.fixed import Fixed, Form, blank, rounded
from protocols.numbers.normal import Extent, argument, argument_form, extent, places, rise
from protocols.numbers.polynomial import (
    UNIT,
    WORKING,
    Polynomial,
    chebyshev_at,
    evaluate,
    interpolated,
    value_form,
)
from protocols.numbers.products import multiply_all
from protocols.party import Protocol, Says, Seat

__all__ = ["LN_2", "ROUNDS", "logarithm", "logarithm_form", "logarithm_needs"]

ROUNDS = (
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit that goes into the ring, at most 16 MiB"),
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("masked", to="all", size="two masked factors a product or gate, at most 16 MiB"),
    Says("elements", to="all", size="8 words a truncation, at most 16 MiB"),
)

LN_2 = Fraction("0.69314718055994530941723212145817656807550013436026")
DEGREE, WIDTH = 12, 4


def _polynomial() -> Polynomial:
    """ln((u + 3) / 4): the integral is at most 3 / (2 DEGREE T(3))."""
    error = Fraction(3, 2 * DEGREE) / chebyshev_at(DEGREE + 1, 3 / UNIT) * UNIT
    return interpolated(lambda u: ((u + 3) / 4).ln(), DEGREE, WIDTH, error)


def logarithm_form(d: Form, least: Fraction) -> Form:
    """The rule of a logarithm; see `logarithm`. Raises Unfit."""
    within = extent(d, least)
    name = f"the logarithm of {d.name}"
    near = value_form(argument_form(d.ring, within), _polynomial(), name)
    ends = (within.exponent(0) - 1, within.exponent(within.bits - 1 - within.least))
    bound = max(abs(end) for end in ends) * LN_2 + 1
    inherited = d.error / (within.smallest - d.error)
    rounding = Fraction(1, 1 << WORKING)
    form = replace(near, bound=bound, error=near.error + inherited + rounding)
    form.check(1)
    return form


def logarithm(seat: Seat, d: Fixed, least: Fraction) -> Protocol[Quotient]:
    """ln d, number by number, at `WORKING` fraction bits. Unfit before anything is sent.

    least  the least number that counts (rounded down to a power of two); below, 0 and not sound
    """
    form = logarithm_form(d.form, least)
    ring, within = d.form.ring, extent(d.form, least)
    number = d.elements.reshape(-1, ring.words)
    found = yield from places(seat, ring, number, within)
    (risen,) = yield from multiply_all(seat, ring, [(number, found.weighted(ring, rise(within)))])
    u, ones = yield from argument(seat, ring, risen, found, within)
    near = yield from evaluate(seat, u, _polynomial(), form.name, ones)
    whole = found.weighted(ring, lambda place: _exponent_part(within, place))
    elements = ring.add(near.elements, whole).reshape(d.elements.shape)
    return Quotient(Fixed(elements, form), found.sound)


def logarithm_needs(parties: int, count: int, d: Form, least: Fraction) -> Needs:
    """What `logarithm` draws."""
    return counted(parties, count, lambda s, m: logarithm(s, blank(d, (m,)), least))


def _exponent_part(within: Extent, place: int) -> int:
    return rounded(within.exponent(place) * LN_2, WORKING)
