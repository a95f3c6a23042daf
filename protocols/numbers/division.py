"""Division and reciprocals of shared fixed-point numbers.

What       x / d = q: d's highest bit (`normal.py`) gives v, a power of two, with d v = d' 2^bits,
           1/2 <= d' < 1. Then 1 / d' by one polynomial of degree 12, which is as close as three
           steps of Goldschmidt's would bring it and takes five products in place of six; and
           x v / 2^bits = q d' times it.
           A divisor that is zero, negative or below `least` gives 0 and is not sound: a shared bit
           tells it, never a number.
Against    honest-but-curious parties, n - 1 of whom may collude.
Rounds     online (from a stock) those of `normal.places` and 14, 16 to 18 where cut off or split:
           22 for divisors to 1, 27 for divisors to 1024. Without a stock all that is drawn is made
           first and checked, all kinds in the rounds of the longest (`protocols.supply`): 101 in
           all for divisors to 1024 between two parties.
Bytes      to each peer those of bit_slices of bits + 1, of bits - least bits into the ring, and
           of 8 products and 9 truncations (9 and 11 where split).
Error      at 30 fraction bits |held - q| <= 10^-8 max(1, |q|) for the held x and d; and what
           their own errors make: (e_x + |q| e_d) / least. The form states the sum.
Source     Catrina and Saxena, FC 2010, section 4 (normalising); the polynomial's error: head of
           `polynomial.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from protocols.needs import Needs
from protocols.numbers.counting import counted
from protocols.numbers.fixed import Fixed, Form, Unfit, blank, check_scale
from protocols.numbers.normal import Extent, argument, argument_form, extent, places, rise
from protocols.numbers.polynomial import (
    UNIT,
    Polynomial,
    chebyshev_at,
    evaluate,
    interpolated,
    value_form,
)
from protocols.numbers.products import multiply_all, product, product_form, truncate_all
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements
from protocols.supply import provided

__all__ = [
    "ROUNDS",
    "Quotient",
    "divide",
    "divide_needs",
    "quotient_form",
    "reciprocal",
    "reciprocal_form",
    "reciprocal_needs",
]

ROUNDS = (
    Says("crossed", to="one", size="1/8 a bit, at most 16 MiB"),
    Says("bits", to="all", size="1/8 a bit that goes into the ring, at most 16 MiB"),
    Says("extend", to="one", size="16 / depth a transfer, at most 2^20 of them"),
    Says("mend", to="one", size="1/8 a bit triple, from three parties up"),
    Says("correct", to="one", size="8 words a transfer, at most 16 MiB"),
    Says("masked", to="all", size="two masked factors a product or gate, at most 16 MiB"),
    Says("elements", to="all", size="8 words a truncation, at most 16 MiB"),
    Says("shifted", to="all", size="8 a value, where three parties or more decompose by edaBits"),
    Says("commit", to="all", size="32"),
    Says("open", to="all", size="16 + the shares of 128 correlations"),
)

Words = npt.NDArray[np.uint64]
DEGREE, WIDTH = 12, 4
GUARD = 4  # fraction bits of the numerator beyond the quotient's, where there is room


@dataclass(frozen=True, slots=True, repr=False)
class Quotient:
    """Shares of values, and packed shared bits (ceil(m / 64),): the argument was sound."""

    value: Fixed
    sound: Words

    def __repr__(self) -> str:
        return f"Quotient({self.value.form}, <redacted>)"


def reciprocal_of_half() -> Polynomial:
    """1 / d' for d' = (u + 3) / 4: relatively within 1 / T(3), and at most 2."""
    error = 2 / chebyshev_at(DEGREE + 1, 3 / UNIT) * UNIT
    return interpolated(lambda u: 4 / (u + 3), DEGREE, WIDTH, error)


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is public about one division, decided on forms before anything is sent.

    shift  by how many bits x v is cut off; negative: by how many it is scaled up, exactly
    short  q d' then
    """

    within: Extent
    shift: int
    short: Form
    inverse: Form
    quotient: Form


def quotient_form(x: Form, d: Form, least: Fraction, bound: Fraction, scale: int) -> Form:
    """The rule of a division; see `divide`. Raises Unfit."""
    return _plan(x, d, least, bound, scale).quotient


def _plan(x: Form, d: Form, least: Fraction, bound: Fraction, scale: int) -> _Plan:
    if x.ring != d.ring:
        raise ValueError(f"{x.name} and {d.name} are shared in different rings")
    check_scale(f"{x.name} over {d.name}", scale)
    within = extent(d, least)
    inherited = (x.error + bound * d.error) / within.smallest
    inverse = value_form(argument_form(x.ring, within), reciprocal_of_half(), f"1 over {d.name}")
    raw = within.bits + x.scale - d.scale
    risen = Form(f"{x.name} over {d.name}", x.ring, 0, bound + inherited, divisor=x.divisor)
    replace(risen, scale=max(0, raw)).check(2)
    short, result = _numerator(risen, inverse, raw, scale)
    form = replace(result, name=risen.name, bound=bound, error=result.error + inherited)
    return _Plan(within, raw - short.scale, short, inverse, form)


def _numerator(risen: Form, inverse: Form, raw: int, scale: int) -> tuple[Form, Form]:
    """q d' with as many fraction bits as are useful and leave room for the last product.

    Its size is at most q's, the inverse is at most 2, and their product is q again, not 2 q.
    """
    found: list[tuple[int, Form, Form]] = []
    for fine in range(scale + GUARD, scale - 1, -1):
        try:
            short = replace(risen, scale=fine, error=_cut_error(risen, raw, fine))
            result, split = product_form(short, inverse, scale, risen.bound)
        except Unfit:
            if fine == scale and not found:
                raise
            continue
        found += [(split, short, result)]
    _, short, result = next((one for one in found if not one[0]), found[0])
    return short, result


def _cut_error(risen: Form, raw: int, fine: int) -> Fraction:
    return replace(risen, scale=fine).ulp if raw > fine else Fraction(0)


def divide(
    seat: Seat, x: Fixed, d: Fixed, least: Fraction, bound: Fraction, scale: int
) -> Protocol[Quotient]:
    """x / d, number by number, at `scale` fraction bits.

    least  the least divisor that counts (rounded down to a power of two); below, 0 and not sound
    bound  what the caller knows of |x / d|; for numbers that break it nothing holds
    Shapes of x and d are alike. Raises Unfit before anything is sent.
    """
    plan = _plan(x.form, d.form, least, bound, scale)
    parties, size = len(seat.parties), int(np.prod(d.shape, dtype=np.int64))
    ready = yield from provided(
        seat, lambda: divide_needs(parties, size, x.form, d.form, least, bound, scale)
    )
    value, sound = yield from _quotient(ready, plan, d.elements, x.elements)
    return Quotient(Fixed(value, plan.quotient), sound)


def reciprocal(seat: Seat, d: Fixed, least: Fraction, scale: int) -> Protocol[Quotient]:
    """1 / d, number by number; as `divide`. The numerator is public: one product fewer."""
    plan = _reciprocal_plan(d.form, least, scale)
    parties, size = len(seat.parties), int(np.prod(d.shape, dtype=np.int64))
    ready = yield from provided(seat, lambda: reciprocal_needs(parties, size, d.form, least, scale))
    value, sound = yield from _quotient(ready, plan, d.elements, None)
    return Quotient(Fixed(value, plan.quotient), sound)


def reciprocal_form(d: Form, least: Fraction, scale: int) -> Form:
    """The rule of a reciprocal; see `divide`. Raises Unfit."""
    return _reciprocal_plan(d, least, scale).quotient


def _reciprocal_plan(d: Form, least: Fraction, scale: int) -> _Plan:
    smallest = extent(d, least).smallest
    one = Form("1", d.ring, 0, Fraction(1))
    return _plan(one, d, least, 1 / (smallest - d.error), scale)


def _quotient(
    seat: Seat, plan: _Plan, divisors: Elements, numerators: Elements | None
) -> Protocol[tuple[Elements, Words]]:
    ring, within = plan.quotient.ring, plan.within
    divisor = divisors.reshape(-1, ring.words)
    found = yield from places(seat, ring, divisor, within)
    power = found.weighted(ring, rise(within))
    pairs = [(divisor, power)]
    if numerators is not None:
        pairs += [(numerators.reshape(-1, ring.words), power)]
    risen = yield from multiply_all(seat, ring, pairs)
    u, ones = yield from argument(seat, ring, risen[0], found, within)
    inverse = yield from evaluate(seat, u, reciprocal_of_half(), plan.inverse.name, ones)
    top = power if numerators is None else risen[1]
    if plan.shift > 0:
        (top,) = yield from truncate_all(seat, ring, [(top, plan.shift)])
    else:
        top = ring.scale(top, 1 << -plan.shift)
    bound = plan.short.bound
    value = yield from product(seat, Fixed(top, plan.short), inverse, plan.quotient.scale, bound)
    return value.elements.reshape(divisors.shape), found.sound


def divide_needs(
    parties: int, count: int, x: Form, d: Form, least: Fraction, bound: Fraction, scale: int
) -> Needs:
    """What `divide` draws."""
    return counted(
        parties,
        count,
        lambda s, m: divide(s, blank(x, (m,)), blank(d, (m,)), least, bound, scale),
    )


def reciprocal_needs(parties: int, count: int, d: Form, least: Fraction, scale: int) -> Needs:
    """What `reciprocal` draws."""
    return counted(parties, count, lambda s, m: reciprocal(s, blank(d, (m,)), least, scale))
