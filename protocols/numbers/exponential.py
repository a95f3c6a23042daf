"""The exponential and the logistic function of shared fixed-point numbers.

What       e^x = 2^n e^r: n is read from the bits of x C, C a short approximation of 1 / ln 2, as
           one shared bit for each n that counts; so 2^n and r = x - (n + 1/2) ln 2 are public sums
           of those bits, the constants rounded once each. e^r by a polynomial of degree 8. Where
           e^x is below half a unit all bits are 0 and so is the result.
           sigmoid(x): k = n, or -1 - n below zero, which is n's bits with the sign added mod 2:
           e^-|x| = 2^-(k + 1/2) e^r in (0, 1], then 1 / (1 + e^-|x|), a polynomial without
           normalising, and 1 less it where x is negative.
Against    honest-but-curious parties, n - 1 of whom may collude.
Rounds     online (from a stock) bit_slices, up to 3 for the bits of n, 1, 7 for the polynomial, 2
           or 4 for the last product: exponential 19, sigmoid 29 for numbers to 1; and fresh
           correlations.
Bytes      to each peer those of bit_slices, of 80 AND and 32 + upper / ln 2 bits into the ring,
           and exponential: 5 products and 6 truncations; sigmoid: 12 and 12.
Error      exponential: |held - e^x| <= 10^-8 max(1, e^upper), sigmoid: 10^-8, at 30 fraction
           bits, for the held x; and what its own error makes: e_x e^upper, e_x / 4.
Source     Aly and Smart, ACNS 2019 (2019/354), section 5 (exponential, by its integer part).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, localcontext
from fractions import Fraction
from math import factorial, floor

import numpy as np
import numpy.typing as npt

from protocols.arithmetic import and_words
from protocols.digits import bit_slices, slices_to_ring
from protocols.needs import Needs
from protocols.numbers.counting import counted
from protocols.numbers.fixed import Fixed, Form, Unfit, blank, plus_public, rounded
from protocols.numbers.logarithm import LN_2
from protocols.numbers.normal import DIGITS_MAX, half_power
from protocols.numbers.polynomial import (
    DIGITS,
    UNIT,
    WORKING,
    Polynomial,
    chebyshev_at,
    decimal,
    evaluate,
    interpolated,
    value_form,
)
from protocols.numbers.products import multiply_all, product, product_form
from protocols.numbers.root import root_above
from protocols.party import Protocol, Says, Seat
from protocols.ring import Elements, Ring
from protocols.triples import and_triples

__all__ = [
    "ROUNDS",
    "exponential",
    "exponential_form",
    "exponential_needs",
    "one_hot",
    "sigmoid",
    "sigmoid_form",
    "sigmoid_needs",
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

Words = npt.NDArray[np.uint64]
SLACK = Fraction(1, 50)  # how far r may leave its interval because C is short
RADIUS = Fraction(74, 100)  # of 2 r: ln 2 + 2 SLACK, and errors
LARGEST = Fraction(29, 20)  # of e^r: at least e^(RADIUS / 2)
LOWEST = -WORKING - 2  # 2^n below it is less than half a unit at the working scale
EXPONENT_MAX = 60  # e^x up to 2^60: no ring product holds more


@dataclass(frozen=True, slots=True)
class _Cut:
    """How n is read from x: C with `fine` bits, and how many bits n has, its sign included.

    lift  by how much x is scaled up to the working scale
    """

    factor: int
    fine: int
    bits: int
    lift: int


def _cut(x: Form) -> _Cut:
    """The shortest C that keeps r within SLACK of its interval. Raises Unfit."""
    if x.divisor != 1 or x.scale > WORKING:
        raise ValueError(f"{x.name}: bring it to {WORKING} fraction bits or fewer first")
    held = x.bound + x.error
    for fine in range(1, 30):
        factor = rounded(1 / LN_2, fine)
        ratio = Fraction(factor, 1 << fine)
        if held * abs(1 - ratio * LN_2) <= SLACK:
            break
    bits = (floor(held * ratio) + 1).bit_length() + 1
    size = WORKING + fine + bits
    if size > min(DIGITS_MAX, x.ring.bits - 2):
        raise Unfit(
            f"{x.name} can be {float(held):g}, too large for an exponential in Z_2^{x.ring.bits};"
            " what would fit: a smaller bound"
        )
    return _Cut(factor, fine, bits, WORKING - x.scale)


def _power_polynomial() -> Polynomial:
    """e^(v / 2), degree 8: the derivative's bound in Chebyshev's nodes."""
    half = RADIUS / 4
    error = 2 * half**9 / factorial(9) * LARGEST
    return interpolated(lambda v: (v / 2).exp(), 8, 4, error, RADIUS)


def _inverse_polynomial() -> Polynomial:
    """1 / (1 + s) for s = (u + 1) / 2: relatively within 1 / T(3), and at most 1."""
    error = UNIT / chebyshev_at(13, 3 / UNIT)
    return interpolated(lambda u: 2 / (u + 3), 12, 4, error)


def _near_form(ring: Ring, name: str) -> Form:
    """e^r, from v = 2 r, whose constants are rounded to half a unit."""
    v = Form("r", ring, WORKING, RADIUS, Fraction(1, 1 << WORKING))
    return replace(value_form(v, _power_polynomial(), name), bound=LARGEST)


# ---- the bits of n -------------------------------------------------------------------------------


def _whole_part(seat: Seat, x: Fixed, cut: _Cut) -> Protocol[tuple[Elements, Words]]:
    """x at the working scale (m, words), and the slices of n = floor(x C), its sign last."""
    ring = x.form.ring
    number = ring.scale(x.elements.reshape(-1, ring.words), 1 << cut.lift)
    long = ring.scale(number, cut.factor)
    place = WORKING + cut.fine
    slices = yield from bit_slices(seat, ring, long, place + cut.bits)
    return number, slices[place:]


def one_hot(seat: Seat, slices: Words, wanted: Sequence[int]) -> Protocol[Words]:
    """Shared bits (len(wanted), words), row k: the slices, lowest first, hold wanted[k].

    Tables of two bits' values are joined to tables of four, and so on; only the values that begin
    or end a wanted one are made.
    """
    ones = np.uint64(0xFFFFFFFFFFFFFFFF) if seat.index == 0 else np.uint64(0)
    tables = [_Table(k, 1, {0: each ^ ones, 1: each}) for k, each in enumerate(slices)]
    while len(tables) > 1:
        pairs = list(zip(tables[0::2], tables[1::2], strict=False))
        joined = yield from _join(seat, pairs, wanted)
        tables = joined + tables[2 * len(pairs) :]
    hot: Words = np.stack([tables[0].rows[value] for value in wanted])
    return hot


@dataclass(frozen=True, slots=True, repr=False)
class _Table:
    """Shared bits: the digits from `place`, so many, hold this value."""

    place: int
    width: int
    rows: dict[int, Words]

    def __repr__(self) -> str:
        return f"_Table({self.place}, {self.width}, <redacted>)"


def _join(
    seat: Seat, pairs: list[tuple[_Table, _Table]], wanted: Sequence[int]
) -> Protocol[list[_Table]]:
    """One round: the rows of each pair's common values, lower digits from its first table."""
    values = [
        sorted({(w >> a.place) % (1 << (a.width + b.width)) for w in wanted}) for a, b in pairs
    ]
    low = [a.rows[v % (1 << a.width)] for (a, _), vs in zip(pairs, values, strict=True) for v in vs]
    high = [b.rows[v >> a.width] for (a, b), vs in zip(pairs, values, strict=True) for v in vs]
    x, y = np.stack(low), np.stack(high)
    triples = yield from and_triples(seat, 64 * x.size)
    rows = iter((yield from and_words(seat, x, y, triples)))
    return [
        _Table(a.place, a.width + b.width, {v: next(rows) for v in vs})
        for (a, b), vs in zip(pairs, values, strict=True)
    ]


def _weighted(ring: Ring, places: Elements, weights: Sequence[Fraction]) -> Elements:
    """The public weight of the place, at the working scale, 0 where there is none."""
    total: Elements = np.zeros_like(places[0])
    for place, weight in zip(places, weights, strict=True):
        total = ring.add(total, ring.scale(place, rounded(weight, WORKING)))
    return total


# ---- exponential ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """What is public about one exponential, decided on forms before anything is sent."""

    cut: _Cut
    wholes: range  # n that count
    near: Form
    power: Form
    result: Form


def exponential_form(x: Form, upper: Fraction, scale: int) -> Form:
    """The rule of an exponential; see `exponential`. Raises Unfit."""
    return _plan(x, upper, scale).result


def _plan(x: Form, upper: Fraction, scale: int) -> _Plan:
    name, top = f"e^({x.name})", min(upper, x.bound)
    if top > EXPONENT_MAX or x.error > 1:
        raise Unfit(f"{name} can be e^{float(top):g}; what would fit: numbers to {EXPONENT_MAX}")
    cut = _cut(x)
    ratio = Fraction(cut.factor, 1 << cut.fine)
    stop = floor((top + x.error) * ratio) + 1
    start = max(LOWEST, floor(-(x.bound + x.error) * ratio))
    wholes = range(min(start, stop - 1), stop)  # one at least, though its 2^n be no unit
    bound = power_above(top)
    largest = root_above(Fraction(2) ** (2 * wholes[-1] + 1))
    near = _near_form(x.ring, name)
    power = Form(name, x.ring, WORKING, largest, Fraction(1, 1 << WORKING))
    form, _ = product_form(near, power, scale, bound)
    inherited = x.error * bound * (1 + x.error)
    lost = Fraction(1, 1 << WORKING)  # below LOWEST
    result = replace(form, name=name, bound=bound, error=form.error + inherited + lost)
    return _Plan(cut, wholes, near, power, result)


def power_above(x: Fraction) -> Fraction:
    """A rational that is at least e^x, by less than 10^-40 relatively."""
    with localcontext(prec=DIGITS):
        return Fraction(decimal(x).exp() * (1 + Decimal(10) ** -45))


def exponential(seat: Seat, x: Fixed, upper: Fraction, scale: int) -> Protocol[Fixed]:
    """e^x, number by number, at `scale` fraction bits. Raises Unfit before anything is sent.

    upper  what the caller knows of x from above (its bound where nothing is known)
    """
    plan = _plan(x.form, upper, scale)
    ring, size = x.form.ring, 1 << plan.cut.bits
    number, slices = yield from _whole_part(seat, x, plan.cut)
    hot = yield from one_hot(seat, slices, [n % size for n in plan.wholes])
    places = yield from slices_to_ring(seat, ring, hot, len(number))
    middle = _weighted(ring, places, [(2 * n + 1) * LN_2 for n in plan.wholes])
    v = Fixed(ring.sub(ring.scale(number, 2), middle), _rest(ring))
    near = yield from evaluate(seat, v, _power_polynomial(), plan.result.name)
    power = _weighted(ring, places, [half_power(2 * n + 1) for n in plan.wholes])
    value = yield from product(
        seat, Fixed(near.elements, plan.near), Fixed(power, plan.power), scale, plan.result.bound
    )
    return Fixed(value.elements.reshape(x.elements.shape), plan.result)


def _rest(ring: Ring) -> Form:
    return Form("r", ring, WORKING, RADIUS, Fraction(1, 1 << WORKING))


# ---- the logistic function -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Logistic:
    """What is public about one logistic function."""

    cut: _Cut
    counts: range  # k that count
    near: Form
    power: Form
    share: Form  # of e^-|x|
    u: Form
    result: Form


def sigmoid_form(x: Form) -> Form:
    """The rule of the logistic function; see `sigmoid`. Raises Unfit."""
    return _logistic(x).result


def _logistic(x: Form) -> _Logistic:
    name, cut = f"the logistic function of {x.name}", _cut(x)
    counts = range(min(-LOWEST, 1 << (cut.bits - 1)))
    near = _near_form(x.ring, name)
    power = Form(name, x.ring, WORKING, root_above(Fraction(1, 2)), Fraction(1, 1 << WORKING))
    share, _ = product_form(near, power, WORKING, Fraction(1))
    share = replace(share, bound=Fraction(1), error=share.error + Fraction(1, 1 << WORKING))
    u = Form("u", x.ring, WORKING, Fraction(1), 2 * share.error)
    value = value_form(u, _inverse_polynomial(), name)
    result = replace(value, bound=Fraction(1), error=value.error + x.error / 4)
    return _Logistic(cut, counts, near, power, share, u, result)


def sigmoid(seat: Seat, x: Fixed) -> Protocol[Fixed]:
    """1 / (1 + e^-x), number by number, at `WORKING` fraction bits. Raises Unfit."""
    plan = _logistic(x.form)
    ring = x.form.ring
    number, slices = yield from _whole_part(seat, x, plan.cut)
    hot = yield from one_hot(seat, slices[:-1] ^ slices[-1], plan.counts)
    both = np.concatenate((slices[-1:], hot))
    places = yield from slices_to_ring(seat, ring, both, len(number))
    negative, places = places[0], places[1:]
    (below,) = yield from multiply_all(seat, ring, [(number, negative)])
    size = ring.sub(ring.scale(below, 4), ring.scale(number, 2))  # -2 |x|
    v = ring.add(size, _weighted(ring, places, [(2 * k + 1) * LN_2 for k in plan.counts]))
    near = yield from evaluate(seat, Fixed(v, _rest(ring)), _power_polynomial(), plan.result.name)
    power = _weighted(ring, places, [half_power(-2 * k - 1) for k in plan.counts])
    share = yield from product(
        seat, Fixed(near.elements, plan.near), Fixed(power, plan.power), WORKING, Fraction(1)
    )
    u = plus_public(seat.index, Fixed(ring.scale(share.elements, 2), plan.u), Fraction(-1))
    u = Fixed(u.elements, plan.u)
    upper = yield from evaluate(seat, u, _inverse_polynomial(), plan.result.name)
    (flip,) = yield from multiply_all(seat, ring, [(upper.elements, negative)])
    value = ring.sub(upper.elements, ring.scale(flip, 2))
    value = ring.add(value, ring.scale(negative, 1 << WORKING))
    return Fixed(value.reshape(x.elements.shape), plan.result)


def exponential_needs(parties: int, count: int, x: Form, upper: Fraction, scale: int) -> Needs:
    """What `exponential` draws."""
    return counted(parties, count, lambda s, m: exponential(s, blank(x, (m,)), upper, scale))


def sigmoid_needs(parties: int, count: int, x: Form) -> Needs:
    """What `sigmoid` draws."""
    return counted(parties, count, lambda s, m: sigmoid(s, blank(x, (m,))))
