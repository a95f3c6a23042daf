"""Columns as polynomials in what is summed, so that any moment is a linear form of cells.

A column of numbers is centre + u, where u (a `Power`) is its value about the middle of its bounds;
a boolean is the indicator of its second level, and so is a whole-number column of just two values:
its sums are counts, and are tested as counts. Products of columns multiply out into products of
factors; the expectation of each is one cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from protocols.statistics.draft import Draft, canonical
from protocols.statistics.plan import (
    NUMERIC,
    ColumnFacts,
    Factor,
    Factors,
    Level,
    PlanRefused,
    Power,
)

__all__ = ["Polynomial", "column_polynomial", "evaluate", "indicator", "power", "times"]

Polynomial = Mapping[Factors, Fraction]

ONE: Polynomial = {(): Fraction(1)}


def indicator(*factors: Factor) -> Polynomial:
    """The product of these factors, or zero when they exclude each other."""
    product = canonical(factors)
    return {} if product is None else {product: Fraction(1)}


def column_polynomial(draft: Draft, facts: ColumnFacts) -> Polynomial:
    """The column's value. Raises PlanRefused for a column that has no numbers or no bounds."""
    name = facts.key[1]
    if facts.type == "boolean":
        return indicator(Level(facts.key, 1))
    if facts.type not in NUMERIC:
        raise PlanRefused(
            f"the column {name} is of type {facts.type}, not a number",
            "a column of type integer, number or boolean",
        )
    if facts.minimum is None or facts.maximum is None:
        raise PlanRefused(
            f"the column {name} has no bounds in the dictionary",
            f"minimum and maximum for {name} in the dictionary",
        )
    if facts.type == "integer" and facts.maximum - facts.minimum == 1:
        low, high = int(facts.minimum), int(facts.maximum)
        return {(): Fraction(low), (Level(facts.key, high),): Fraction(1)}
    return {(): draft.encodings[facts.key].centre, (Power(facts.key, 1),): Fraction(1)}


def times(left: Polynomial, right: Polynomial) -> dict[Factors, Fraction]:
    """The product, multiplied out; levels of one column that exclude each other vanish."""
    product: dict[Factors, Fraction] = {}
    for one, weight in left.items():
        for other, factor in right.items():
            joined = canonical((*one, *other))
            if joined is not None:
                product[joined] = product.get(joined, Fraction(0)) + weight * factor
    return {factors: weight for factors, weight in product.items() if weight}


def power(polynomial: Polynomial, exponent: int) -> Polynomial:
    """The polynomial times itself; exponent 0 gives 1."""
    product: Polynomial = ONE
    for _ in range(exponent):
        product = times(product, polynomial)
    return product


def evaluate(polynomial: Polynomial, sums: Mapping[Factors, Fraction]) -> Fraction:
    """The polynomial's sum over rows, from the sums of its products."""
    return sum((weight * sums[factors] for factors, weight in polynomial.items()), Fraction(0))
