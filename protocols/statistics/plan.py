"""The plan of one statistic: which integer sums are made, tested and opened.

A plan is public and the same at every party: it follows from the study, the dictionaries and the
thresholds alone. It lists *units*; a unit is the smallest thing that passes or fails as a whole.
A unit lists *cells*; a cell is one integer, the sum over rows of a product of integer factors,
plus *checks* on sums of its cells. The first `opens` cells of a passing unit open; the others are
there for the checks alone and never open.

    pooled    a party's sum over its own rows is its additive share of the cell
    linked    a cell is the sum over linked rows of one *feature* of each alias, multiplied

Integers, not floats: the opened sums are the same bits however the rows are split between members,
and the protocol itself adds no error. What rounding there is happens once a row, when a value that
is no decimal of the dictionary is encoded (`encoding.py`), and its bound goes with every cell.

Against whom: nothing here is secret. Sensitivity (for noise) is not stated yet by any family; a
study that asks for noise must be refused before it comes here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from protocols.disclosure.threshold import Check
from protocols.statistics.encoding import Encoding

__all__ = [
    "NUMERIC",
    "POOLED",
    "Bin",
    "Cell",
    "Check",
    "ColumnFacts",
    "ColumnKey",
    "Factor",
    "Factors",
    "Feature",
    "Level",
    "Plan",
    "PlanRefused",
    "Power",
    "Term",
    "Unit",
    "Values",
]

POOLED = ""  # the one owner of a pooled feature; no alias has this name
RING_BITS = 126  # a signed sum in Z_2^128 keeps a bit for the sign and one to spare
NARROW_RING_BITS = 62  # the same in Z_2^64
FEATURE_BITS = 62  # a feature is an int64; its products with a bit of a share stay inside

NUMERIC = ("integer", "number", "time_to_event", "date")

ColumnKey = tuple[str, str]


class PlanRefused(Exception):
    """This statistic cannot be computed as asked; `would_pass` says what could be."""

    def __init__(self, reason: str, would_pass: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.would_pass = would_pass


@dataclass(frozen=True, slots=True)
class ColumnFacts:
    """What the dictionary says in public of the column `key` = (alias, column).

    `minimum` and `maximum` are the declared bounds (days since 1970-01-01 for a date), `decimals`
    the declared resolution, `levels` the levels of a category in dictionary order.
    """

    key: ColumnKey
    type: str
    minimum: Decimal | None
    maximum: Decimal | None
    decimals: int | None
    levels: tuple[str, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Values:
    """One column's private values, one entry a row.

    `numbers` is int64 or float64: a category's level code (place in `levels`), 0 or 1 for a
    boolean, days since 1970-01-01 for a date. `missing` is bool; numbers there mean nothing.
    """

    numbers: NDArray[Any]
    missing: NDArray[np.bool_]

    def __repr__(self) -> str:
        return "Values(<private>)"


@dataclass(frozen=True, slots=True, order=True)
class Power:
    """The encoded value, an integer about the middle of its bounds, to a power."""

    key: ColumnKey
    exponent: int


@dataclass(frozen=True, slots=True, order=True)
class Level:
    """1 where the column holds this level code (or this whole number), else 0."""

    key: ColumnKey
    code: int


@dataclass(frozen=True, slots=True, order=True)
class Bin:
    """1 where low <= value < high (low <= value <= high if `closed`), compared in float64."""

    key: ColumnKey
    low: float
    high: float
    closed: bool


Factor = Power | Level | Bin
Factors = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Feature:
    """One owner's integer a row: the product of `factors` where the row counts, else 0.

    A row counts when `where` keeps it and every column in `complete` has a value. The product is
    divided by 2^shift and rounded half away from zero. |feature| <= bound; |feature * 2^shift -
    true product| <= error * 2^shift. `bits` holds it, the sign included when `signed`.
    """

    owner: str
    factors: Factors
    complete: tuple[ColumnKey, ...]
    shift: int
    bound: int
    error: Fraction

    @property
    def rounding(self) -> Fraction:
        """The part of the error that the shift makes."""
        return Fraction(1, 2) if self.shift else Fraction(0)

    @property
    def signed(self) -> bool:
        """Whether it can be negative: some odd power of a column about its middle."""
        return sum(f.exponent % 2 for f in self.factors if isinstance(f, Power)) > 0

    @property
    def bits(self) -> int:
        """Bits that hold it, the sign included."""
        return max(1, self.bound.bit_length() + self.signed)


@dataclass(frozen=True, slots=True)
class Term:
    """sign * (sum over rows of the product of one feature of each owner)."""

    sign: int
    features: tuple[Feature, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """One integer: the sum of its terms. With `of_members` each member puts 1 if its own sum is
    not zero, else 0.

    Opened integer * scale = the sum in the columns' own units about the middle of their bounds.
    `factors` identifies the cell in its unit. `row_error` bounds what one row adds to the error of
    the integer; `bound` what one row adds to the integer.
    """

    name: str
    factors: Factors
    terms: tuple[Term, ...]
    scale: Fraction
    bound: int
    row_error: Fraction
    of_members: bool

    @property
    def row_rounding(self) -> Fraction:
        """The part of `row_error` that comes from shifting products."""
        features = self.terms[0].features
        reach = prod((f.bound + f.error for f in features), start=Fraction(1))
        unshifted = prod((f.bound + f.error - f.rounding for f in features), start=Fraction(1))
        return Fraction(reach - unshifted)


@dataclass(frozen=True, slots=True)
class Unit:
    """The smallest thing that opens as a whole: `cells[:opens]`, if every check passes."""

    name: str
    cells: tuple[Cell, ...]
    opens: int
    checks: tuple[Check, ...]

    @property
    def opened(self) -> tuple[Cell, ...]:
        """The cells that open when all checks pass; the rest only feed the checks."""
        return self.cells[: self.opens]


@dataclass(frozen=True, slots=True)
class Plan:
    """One statistic's units, and what `finish` needs to turn their integers into the answer.

    `rows_max` bounds the rows of all members together. `question` is the family's own record.
    """

    name: str
    kind: str
    linked: bool
    aliases: tuple[str, ...]
    rows_max: int
    facts: tuple[ColumnFacts, ...]
    encodings: Mapping[ColumnKey, Encoding]
    units: tuple[Unit, ...]
    question: Any

    @property
    def bits(self) -> int:
        """Bits of the largest cell, without the sign."""
        bounds = (cell.bound for unit in self.units for cell in unit.cells)
        return (max(bounds) * self.rows_max).bit_length()

    @property
    def words(self) -> int:
        """Words of the smallest ring that holds every cell: 1 is Z_2^64, 2 is Z_2^128."""
        return 1 if self.bits <= NARROW_RING_BITS else 2

    @property
    def count_bits(self) -> int:
        """Bits that hold every count a check compares."""
        return self.rows_max.bit_length()

    def unit(self, name: str) -> Unit:
        """The unit of this name, which must be the plan's."""
        return next(unit for unit in self.units if unit.name == name)


def factor_bound(factor: Factor, encodings: Mapping[ColumnKey, Encoding]) -> int:
    """The largest magnitude of one encoded factor; 1 for a level or a bin."""
    if not isinstance(factor, Power):
        return 1
    return int(encodings[factor.key].bound ** factor.exponent)


def make_feature(
    owner: str,
    factors: Factors,
    complete: tuple[ColumnKey, ...],
    encodings: Mapping[ColumnKey, Encoding],
    bits_max: int,
) -> Feature:
    """The feature, shifted right by as many bits as its product exceeds `bits_max`."""
    bound = prod(factor_bound(factor, encodings) for factor in factors)
    powers = [f for f in factors if isinstance(f, Power)]
    reach = prod(
        ((encodings[f.key].bound + encodings[f.key].error) ** f.exponent for f in powers),
        start=Fraction(1),
    )
    shift = max(0, bound.bit_length() - bits_max)
    error = (reach - bound) / 2**shift + (Fraction(1, 2) if shift else 0)
    kept = (bound >> shift) + 1 if shift else bound
    return Feature(owner, factors, complete, shift, kept, Fraction(error))
