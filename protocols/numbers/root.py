"""Square roots and inverse square roots of shared fixed-point numbers.

What       with d = d' 2^e, 1/2 <= d' < 1 (`normal.py`): sqrt(d) = sqrt(d') 2^(e / 2) and
           1 / sqrt(d) = 1 / sqrt(d') 2^(-e / 2). The polynomial of u = 4 d' - 3 brings the first
           factor (degree 9 and 12), the highest bit's place the second as a public sum: odd
           exponents need nothing of their own.
           A number that is zero, negative or below `least` gives 0 and is not sound.
Against    honest-but-curious parties, n - 1 of whom may collude.
Rounds     online (from a stock) those of `normal.places` and 13 to 17: 24 for 30 bits; and fresh
           correlations.
Bytes      to each peer those of bit_slices of bits + 1, of bits - least bits into the ring, and
           of 7 products and 8 truncations for 1 / sqrt, 6 and 7 for sqrt (where split 1 and 2
           more).
Error      at 30 fraction bits |held - y| <= 10^-8 max(1, |y|) for the held d, and what its own
           error makes: e_d / (2 sqrt(least)), e_d / (2 least^(3/2)). The form states the sum.
Source     Aly and Smart, ACNS 2019 (2019/354), section 4 (roots by normalising and polynomials).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isqrt

from protocols.needs import Needs
from protocols.numbers.counting import counted
from protocols.numbers.division import Quotient
from protocols.numbers.fixed import Fixed, Form, blank
from protocols.numbers.normal import (
    Extent,
    argument,
    argument_form,
    extent,
    places,
    power_weight,
    rise,
)
from protocols.numbers.polynomial import (
    UNIT,
    WORKING,
    Polynomial,
    chebyshev_at,
    evaluate,
    interpolated,
    value_form,
)
from protocols.numbers.products import multiply_all, product, product_form
from protocols.party import Protocol, Says, Seat
from protocols.ring import Ring

__all__ = [
    "ROUNDS",
    "inverse_root",
    "inverse_root_form",
    "inverse_root_needs",
    "root_above",
    "square_root",
    "square_root_form",
    "square_root_needs",
]

ROUNDS = (
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit that goes into the ring, at most 16 MiB"),
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("masked", to="all", size="two masked factors a product or gate, at most 16 MiB"),
    Says("elements", to="all", size="8 words a truncation, at most 16 MiB"),
)

FINE = 64  # bits to which bounds are rounded up


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is public about one root, decided on forms before anything is sent."""

    within: Extent
    polynomial: Polynomial
    near: Form  # of the polynomial's value
    power: Form  # of 2^(e / 2) or 2^(-e / 2)
    halves: int
    result: Form


def _root_polynomial() -> Polynomial:
    """sqrt((u + 3) / 4), degree 9: see `polynomial.py`; the integral is at most 0.03 / T(3)."""
    error = Fraction(3, 200) / chebyshev_at(10, 3 / UNIT) * UNIT
    return interpolated(lambda u: ((u + 3) / 4).sqrt(), 9, 3, error)


def _inverse_polynomial() -> Polynomial:
    """1 / sqrt((u + 3) / 4), degree 12: relatively within 1 / T(3), and below 1.5."""
    error = Fraction(3, 2) / chebyshev_at(13, 3 / UNIT) * UNIT
    return interpolated(lambda u: 2 / (u + 3).sqrt(), 12, 4, error)


def root_above(value: Fraction) -> Fraction:
    """A rational that is at least the square root, by less than 2^-60 relatively for value >= 1."""
    return Fraction(isqrt(value.numerator * (1 << 2 * FINE) // value.denominator) + 1, 1 << FINE)


def square_root_form(d: Form, least: Fraction, scale: int) -> Form:
    """The rule of a square root; see `square_root`. Raises Unfit."""
    return _root_plan(d, least, scale).result


def inverse_root_form(d: Form, least: Fraction, scale: int) -> Form:
    """The rule of an inverse square root; see `inverse_root`. Raises Unfit."""
    return _inverse_plan(d, least, scale).result


def _root_plan(d: Form, least: Fraction, scale: int) -> _Plan:
    within = extent(d, least)
    bound = root_above(d.bound + d.error)
    inherited = d.error * root_above(1 / (within.smallest - d.error)) / 2
    name = f"the root of {d.name}"
    return _plan((name, d.ring, scale), within, _root_polynomial(), 1, (bound, inherited))


def _inverse_plan(d: Form, least: Fraction, scale: int) -> _Plan:
    within = extent(d, least)
    smallest = within.smallest - d.error
    bound = root_above(1 / smallest)
    inherited = d.error * bound / smallest / 2
    name = f"1 over the root of {d.name}"
    return _plan((name, d.ring, scale), within, _inverse_polynomial(), -1, (bound, inherited))


def _plan(
    kind: tuple[str, Ring, int],
    within: Extent,
    polynomial: Polynomial,
    halves: int,
    ends: tuple[Fraction, Fraction],
) -> _Plan:
    name, ring, scale = kind
    bound, inherited = ends
    near = value_form(argument_form(ring, within), polynomial, name)
    place = within.bits - 1 - within.least if halves > 0 else 0
    largest = root_above(Fraction(2) ** (halves * within.exponent(place)))
    power = Form(name, ring, WORKING, largest, Fraction(1, 1 << WORKING))
    result, _ = product_form(near, power, scale, bound)
    form = replace(result, name=name, bound=bound, error=result.error + inherited)
    return _Plan(within, polynomial, near, power, halves, form)


def square_root(seat: Seat, d: Fixed, least: Fraction, scale: int) -> Protocol[Quotient]:
    """sqrt(d), number by number, at `scale` fraction bits; Unfit before anything is sent.

    least  the least number that counts (rounded down to a power of two); below, 0 and not sound
    """
    return (yield from _rooted(seat, d, _root_plan(d.form, least, scale)))


def inverse_root(seat: Seat, d: Fixed, least: Fraction, scale: int) -> Protocol[Quotient]:
    """1 / sqrt(d), number by number; as `square_root`."""
    return (yield from _rooted(seat, d, _inverse_plan(d.form, least, scale)))


def _rooted(seat: Seat, d: Fixed, plan: _Plan) -> Protocol[Quotient]:
    ring, within = d.form.ring, plan.within
    number = d.elements.reshape(-1, ring.words)
    found = yield from places(seat, ring, number, within)
    (risen,) = yield from multiply_all(seat, ring, [(number, found.weighted(ring, rise(within)))])
    u, ones = yield from argument(seat, ring, risen, found, within)
    near = yield from evaluate(seat, u, plan.polynomial, plan.near.name, ones)
    weight: Callable[[int], int] = power_weight(plan.halves, WORKING, within)
    power = Fixed(found.weighted(ring, weight), plan.power)
    value = yield from product(seat, near, power, plan.result.scale, plan.result.bound)
    return Quotient(Fixed(value.elements.reshape(d.elements.shape), plan.result), found.sound)


def square_root_needs(parties: int, count: int, d: Form, least: Fraction, scale: int) -> Needs:
    """What `square_root` draws."""
    return counted(parties, count, lambda s, m: square_root(s, blank(d, (m,)), least, scale))


def inverse_root_needs(parties: int, count: int, d: Form, least: Fraction, scale: int) -> Needs:
    """What `inverse_root` draws."""
    return counted(parties, count, lambda s, m: inverse_root(s, blank(d, (m,)), least, scale))
