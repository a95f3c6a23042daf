"""Polynomials with public coefficients of shared numbers between -1 and 1.

What       Paterson and Stockmeyer: with the powers u .. u^w, blocks of w coefficients are sums of
           public multiples of powers; from the highest down, a block's value times u^w is added to
           the next block before the one truncation that this next block needs.
Rounds     2 ceil(log2 w) for the powers, 2 a block less 1 for the highest.
Bytes      to each peer those of w - 1 + blocks - 1 products and w - 1 + blocks truncations.
Error      counted by the rules of `fixed`: each power, coefficient and truncation.

Coefficients interpolate the function in Chebyshev's nodes. For f(u) = integral of dm(t) / (t + u)
over t >= 3 (1 / (3 + u), 1 / sqrt(3 + u)) the interpolation of degree n is wrong by
T(u) integral of dm(t) / (T(-t) (t + u)), T Chebyshev's polynomial of degree n + 1: relatively by
1 / T(3) at most. For the logarithm and the root the same integral is of log(3 + u) and sqrt(3 + u).
Source     Paterson, Stockmeyer, SIAM J. Comput. 1973; Trefethen, Approximation Theory 2013, ch. 4.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import numpy as np

from protocols.numbers.fixed import Fixed, Form, rounded
from protocols.numbers.products import multiply_all, truncate_all
from protocols.party import Protocol, Seat
from protocols.ring import Elements

__all__ = [
    "UNIT",
    "WORKING",
    "Polynomial",
    "chebyshev_at",
    "decimal",
    "evaluate",
    "interpolated",
    "value_form",
]

WORKING = 30  # fraction bits inside: products of numbers up to 2 stay in 62 bits
UNIT = Fraction(65537, 65536)  # |u| may be above 1 by its error
ROOM = 61  # bits of a block's value before its truncation
FINEST = 40  # fraction bits of a coefficient, no more than that
DIGITS = 50  # decimal digits of the coefficients
TERMS = 40  # of the cosine's series: the last is below 10^-70
PI = Decimal("3.14159265358979323846264338327950288419716939937510")
FLOATING = Fraction(1, 2**100)  # what 50 digits can lose, generously


@dataclass(frozen=True, slots=True)
class Polynomial:
    """Coefficients from the lowest, `width` to a block, and how far off the function it is."""

    coefficients: tuple[Fraction, ...]
    width: int
    error: Fraction

    @property
    def blocks(self) -> list[tuple[Fraction, ...]]:
        """The coefficients by blocks; the highest may have one more, of u^width."""
        count = max(1, (len(self.coefficients) - 1) // self.width)
        cuts = [self.width * k for k in range(count)] + [len(self.coefficients)]
        found = [self.coefficients[a:b] for a, b in pairwise(cuts)]
        assert len(found[-1]) <= self.width + 1, "a degree that the width does not serve"
        return found

    def bound(self, block: int) -> Fraction:
        """How large the value from this block up can be."""
        rest = self.coefficients[block * self.width :]
        return sum((abs(c) * UNIT**k for k, c in enumerate(rest)), Fraction(0))

    def scales(self) -> list[int]:
        """Fraction bits of each block's coefficients and so of the value that is added to it."""
        return [
            min(FINEST, ROOM - WORKING - int(self.bound(k)).bit_length() - _zero(self.bound(k)))
            for k in range(len(self.blocks))
        ]

    @property
    def products(self) -> int:
        """How many products an evaluation takes; truncations are one more."""
        return self.width - 1 + len(self.blocks) - 1


def _zero(bound: Fraction) -> int:
    """Minus the leading zeros of a bound below 1."""
    zeros = 0
    while bound and bound * 2 < 1 and zeros < FINEST:
        bound, zeros = bound * 2, zeros + 1
    return -zeros


def interpolated(
    function: Callable[[Decimal], Decimal],
    degree: int,
    width: int,
    error: Fraction,
    radius: Fraction = UNIT,
) -> Polynomial:
    """The interpolation of a function on [-radius, radius]; `error` is proved by the caller.

    In decimal arithmetic, whose digits are the same on every machine: parties whose coefficients
    differed in one unit would hold shares of nothing.
    """
    count = degree + 1
    with localcontext(prec=DIGITS):
        nodes = [_cosine(PI * (2 * k + 1) / (2 * count)) for k in range(count)]
        values = [function(node * decimal(radius)) for node in nodes]
        plain = [Decimal(0)] * count
        for number, terms in enumerate(_chebyshev_terms(degree)):
            at = [sum((c * node**k for k, c in enumerate(terms)), Decimal(0)) for node in nodes]
            weight = sum((v * t for v, t in zip(values, at, strict=True)), Decimal(0))
            weight *= 2 if number else 1
            for k, c in enumerate(terms):
                plain[k] += c * weight / count
        found = [Fraction(c / decimal(radius) ** k) for k, c in enumerate(plain)]
    return Polynomial(tuple(found), width, error + FLOATING)


def decimal(value: Fraction) -> Decimal:
    """A fraction in the precision of the context."""
    return Decimal(value.numerator) / value.denominator


def _cosine(angle: Decimal) -> Decimal:
    """Taylor's series, for angles up to pi."""
    total = term = Decimal(1)
    for k in range(1, TERMS):
        term = -term * angle * angle / (2 * k * (2 * k - 1))
        total += term
    return total


def _chebyshev_terms(degree: int) -> list[list[int]]:
    """The coefficients, lowest first, of Chebyshev's polynomials 0 to this degree."""
    found = [[1], [0, 1]]
    for _ in range(degree - 1):
        doubled, before = [0, *(2 * c for c in found[-1])], found[-2]
        found += [[c - (before[k] if k < len(before) else 0) for k, c in enumerate(doubled)]]
    return found[: degree + 1]


def chebyshev_at(degree: int, x: Fraction) -> Fraction:
    """Chebyshev's polynomial of this degree at x."""
    before, here = Fraction(1), x
    for _ in range(degree - 1):
        before, here = here, 2 * x * here - before
    return here


# ---- the rule and the protocol -------------------------------------------------------------------


def value_form(u: Form, polynomial: Polynomial, name: str) -> Form:
    """The form of the value, for u at the working scale; |value| as the coefficients allow."""
    unit = Fraction(1, 1 << WORKING)
    errors = [Fraction(0), u.error]
    for k in range(2, polynomial.width + 1):
        a, b = errors[(k + 1) // 2], errors[k // 2]
        errors.append(UNIT**k * (a + b) + a * b + unit)
    blocks, scales = polynomial.blocks, polynomial.scales()
    error, above = Fraction(0), Fraction(0)
    for number in reversed(range(len(blocks))):
        top = errors[polynomial.width]
        error = above * top + error * (UNIT**polynomial.width + top)
        for k, c in enumerate(blocks[number]):
            near = _near(c, k, scales[number])
            error += abs(near) * errors[k] + abs(near - c) * UNIT**k
        error += Fraction(1, 1 << (scales[number - 1] if number else WORKING))
        above = polynomial.bound(number)
        Form(name, u.ring, scales[number] + WORKING, above, error).check(2)
    return Form(name, u.ring, WORKING, above, error + polynomial.error)


def _near(coefficient: Fraction, power: int, scale: int) -> Fraction:
    """What the coefficient is rounded to; the constant has the scale of a product."""
    fine = scale + (0 if power else WORKING)
    return Fraction(rounded(coefficient, fine), 1 << fine)


def evaluate(
    seat: Seat, u: Fixed, polynomial: Polynomial, name: str, one: Elements | None = None
) -> Protocol[Fixed]:
    """The polynomial's value at u, number by number, at the working scale.

    one  shares of 1 where the value counts and of 0 where u is 0 and the value shall be 0
    Raises Unfit. u has `WORKING` fraction bits and is at most UNIT in size.
    """
    form, ring = value_form(u.form, polynomial, name), u.form.ring
    ones = _ones(seat, u) if one is None else one
    powers = yield from _powers(seat, u, polynomial.width)
    blocks, scales = polynomial.blocks, polynomial.scales()
    value: Elements | None = None
    for number in reversed(range(len(blocks))):
        total = ring.scale(ones, rounded(blocks[number][0], scales[number] + WORKING))
        for k, c in enumerate(blocks[number][1:], 1):
            total = ring.add(total, ring.scale(powers[k], rounded(c, scales[number])))
        if value is not None:
            (high,) = yield from multiply_all(seat, ring, [(value, powers[polynomial.width])])
            total = ring.add(total, high)
        shift = scales[number] + WORKING - (scales[number - 1] if number else WORKING)
        (value,) = yield from truncate_all(seat, ring, [(total, shift)])
    assert value is not None
    return Fixed(value, form)


def _ones(seat: Seat, u: Fixed) -> Elements:
    ones = np.zeros_like(u.elements)
    if seat.index == 0:
        ones[..., 0] = 1
    return ones


def _powers(seat: Seat, u: Fixed, width: int) -> Protocol[dict[int, Elements]]:
    """u .. u^width at the working scale; those of one round from those of the rounds before."""
    ring, powers = u.form.ring, {1: u.elements}
    while len(powers) < width:
        known = len(powers)
        fresh = range(known + 1, min(2 * known, width) + 1)
        pairs = [(powers[(k + 1) // 2], powers[k // 2]) for k in fresh]
        raw = yield from multiply_all(seat, ring, pairs)
        cut = yield from truncate_all(seat, ring, [(x, WORKING) for x in raw])
        powers |= dict(zip(fresh, cut, strict=True))
    return powers
