"""Opened sums moved from the middles of the bounds to the means, where their errors are smallest.

Bounds are often far wider than the values. A value off by e moves a sum of squares about a far
centre a by up to 2 e n |a|, though it hardly moves the variance; about the mean it moves it by
2 e sqrt(n S2) at most (Cauchy and Schwarz). The move is exact: sums about one centre are linear
forms of sums about another. Third powers use sqrt(S2 S4) for the sum of absolute cubes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import comb, prod

from protocols.statistics.distribution import root
from protocols.statistics.encoding import Encoding
from protocols.statistics.plan import ColumnKey, Factors, Power

__all__ = ["Frame", "Sum", "plain_frame", "recentred"]

SLACK = Fraction(2**20 + 1, 2**20)  # a root may be a little too small


@dataclass(frozen=True, slots=True)
class Sum:
    """One opened sum in the columns' own units; the true sum is within `error` of `value`.

    `rounding` is the part of the error that comes from rounding products, not values.
    """

    value: Fraction
    error: Fraction
    rounding: Fraction


@dataclass(frozen=True, slots=True)
class Column:
    """How far an encoded value may be from the value, and from the centre, in its own units."""

    step: Fraction
    reach: Fraction


@dataclass(frozen=True, slots=True)
class Frame:
    """Sums about `centres` (relative to the middles of the bounds) with their errors."""

    centres: Mapping[ColumnKey, Fraction]
    values: Mapping[Factors, Fraction]
    errors: Mapping[Factors, Fraction]

    def back(self, values: Mapping[Factors, Fraction]) -> Mapping[Factors, Fraction]:
        """The same sums about the middles of the bounds."""
        if not self.centres:
            return values
        return {factors: _moved(factors, values, self.centres) for factors in values}

    def weights(self, polynomial: Mapping[Factors, Fraction]) -> dict[Factors, Fraction]:
        """A polynomial about the middles of the bounds as a linear form of these sums."""
        if not self.centres:
            return dict(polynomial)
        found: dict[Factors, Fraction] = {}
        for factors, weight in polynomial.items():
            for lower, share, rest in _parts(factors):
                size = prod((self.centres.get(key, 0) ** k for key, k in rest), start=Fraction(1))
                if size:
                    found[lower] = found.get(lower, Fraction(0)) + weight * share * size
        return found


def plain_frame(sums: Mapping[Factors, Sum]) -> Frame:
    """The sums as they are, about the middles of the bounds."""
    return Frame(
        {}, {f: one.value for f, one in sums.items()}, {f: one.error for f, one in sums.items()}
    )


def recentred(sums: Mapping[Factors, Sum], encodings: Mapping[ColumnKey, Encoding]) -> Frame:
    """The sums about the means; as they are where a part of a product was not summed."""
    centres = _means(sums)
    columns = {
        key: Column(
            one.error / one.scale, one.bound / one.scale + abs(centres.get(key, Fraction(0)))
        )
        for key, one in encodings.items()
    }
    away = {key: -mean for key, mean in centres.items()}
    known = {factors: one.value for factors, one in sums.items()}
    try:
        values = {factors: _moved(factors, known, away) for factors in sums}
        rounding = _roundings(sums, centres)
        errors = {f: rounding[f] + _error(f, values, rounding, columns) for f in sums}
    except KeyError:
        return plain_frame(sums)
    return Frame(centres, values, errors)


def _means(sums: Mapping[Factors, Sum]) -> dict[ColumnKey, Fraction]:
    """Each column's mean over all groups that are summed."""
    totals: dict[ColumnKey, Fraction] = {}
    rows: dict[ColumnKey, Fraction] = {}
    for factors, one in sums.items():
        marks, powers = _parted(factors)
        if marks in sums and len(powers) == 1 and powers[0].exponent == 1:
            key = powers[0].key
            totals[key] = totals.get(key, Fraction(0)) + one.value
            rows[key] = rows.get(key, Fraction(0)) + sums[marks].value
    return {key: totals[key] / rows[key] for key in totals if rows[key]}


def _parted(factors: Factors) -> tuple[Factors, tuple[Power, ...]]:
    marks = tuple(f for f in factors if not isinstance(f, Power))
    return marks, tuple(f for f in factors if isinstance(f, Power))


def _parts(factors: Factors) -> list[tuple[Factors, int, tuple[tuple[ColumnKey, int], ...]]]:
    """(product, its binomial weight, (column, power left over) ...) of each lower product."""
    marks, powers = _parted(factors)
    parts = []
    for kept in product(*(range(power.exponent + 1) for power in powers)):
        pairs = list(zip(powers, kept, strict=True))
        lower = (*marks, *(Power(power.key, k) for power, k in pairs if k))
        weight = prod(comb(power.exponent, k) for power, k in pairs)
        parts.append((lower, weight, tuple((p.key, p.exponent - k) for p, k in pairs)))
    return parts


def _moved(
    factors: Factors, sums: Mapping[Factors, Fraction], centres: Mapping[ColumnKey, Fraction]
) -> Fraction:
    """The sum of the product with each u replaced by u + its centre."""
    return sum(
        (
            weight * sums[lower] * prod((centres[key] ** k for key, k in rest if k), start=1)
            for lower, weight, rest in _parts(factors)
            if all(k == 0 or centres[key] for key, k in rest)
        ),
        Fraction(0),
    )


def _roundings(
    sums: Mapping[Factors, Sum], centres: Mapping[ColumnKey, Fraction]
) -> dict[Factors, Fraction]:
    sizes = {key: abs(centre) for key, centre in centres.items()}
    parts = {factors: one.rounding for factors, one in sums.items()}
    return {factors: _moved(factors, parts, sizes) for factors in sums}


def _error(
    factors: Factors,
    values: Mapping[Factors, Fraction],
    rounding: Mapping[Factors, Fraction],
    columns: Mapping[ColumnKey, Column],
) -> Fraction:
    """What encoding moves the sum by: sum of prod(|w| + e)^k - prod |w|^k over rows."""
    total = Fraction(0)
    for lower, weight, rest in _parts(factors):
        step = prod((columns[key].step ** k for key, k in rest), start=Fraction(1))
        if lower != factors and step:
            total += weight * step * _absolute(lower, values, rounding, columns)
    return total


def _absolute(
    factors: Factors,
    values: Mapping[Factors, Fraction],
    rounding: Mapping[Factors, Fraction],
    columns: Mapping[ColumnKey, Column],
) -> Fraction:
    """A bound of the sum of the product's absolute values."""
    marks, powers = _parted(factors)
    squares = _squares(powers)
    if squares is None:
        return values[marks] * prod(columns[p.key].reach ** p.exponent for p in powers)
    size = Fraction(1)
    for square in squares:
        known = (*marks, *square)
        size *= max(values[known] + rounding[known], Fraction(0))
    return size if len(squares) == 1 else root(size) * SLACK


def _squares(powers: tuple[Power, ...]) -> tuple[Factors, ...] | None:
    """One sum of squares, or two whose product's root bounds the sum of absolute values."""
    shape = tuple(power.exponent for power in powers)
    squares = tuple((Power(power.key, 2),) for power in powers)
    if shape == ():
        return ((),)
    if shape == (1,):
        return ((), *squares)
    if shape == (2,):
        return squares
    if shape == (3,):
        return (*squares, (Power(powers[0].key, 4),))
    return squares if shape == (1, 1) else None
