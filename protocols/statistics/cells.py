"""A party's own part of each cell: exact integer sums over its rows, and linked features.

`pooled_cells` is a party's additive share of every cell of a pooled plan: nothing is sent here.
Rows that lie in several processes give it in two steps: `pooled_sums` of each, then `cells_of`.
`linked_layout` and `features` are what a linked plan needs of each owner: int64 columns, one row
an own row, whose products are summed on shares.

Products of up to 62 bits are int64; longer ones are exact (`protocols.kernels.moments`), and those
longer than the ring are rounded once a row (`Feature.shift`). Sums are taken in halves of 32 bits,
which no number of rows below 2^31 can overflow, and joined as Python integers. Rows are gone
through in windows, so that memory does not grow with their number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from protocols.kernels.moments import LIMB_BITS, wide_product, wide_sum
from protocols.statistics.encoding import encode
from protocols.statistics.plan import (
    Bin,
    Cell,
    ColumnKey,
    Feature,
    Level,
    Plan,
    Power,
    Values,
    factor_bound,
)

__all__ = [
    "Layout",
    "LinkedTerm",
    "cells_of",
    "features",
    "linked_layout",
    "pooled_cells",
    "pooled_sums",
]

WINDOW_ROWS = 1 << 16  # what is worked out about rows at a time, whatever their number
INT_BITS = 62

Ints = NDArray[np.int64]
Mask = NDArray[np.bool_]
LinkedTerm = tuple[int, Mapping[str, int]]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where a linked plan's cells come from.

    `features` lists each alias's columns; the first is 1 where `where` keeps the row. `cells` maps
    a unit to its cells in order; a cell is a list of (sign, {alias: feature index}), and means the
    signed sum over linked rows of the product of these features.
    """

    features: Mapping[str, tuple[Feature, ...]]
    cells: Mapping[str, tuple[tuple[LinkedTerm, ...], ...]]


@dataclass(frozen=True, slots=True, repr=False)
class Rows:
    """One party's rows with what has been worked out about them so far (filled in place)."""

    plan: Plan
    values: Mapping[ColumnKey, Values]
    where: Mask
    encoded: dict[ColumnKey, Ints] = field(default_factory=dict)
    complete: dict[tuple[ColumnKey, ...], Mask] = field(default_factory=dict)
    marked: dict[Level | Bin, Mask] = field(default_factory=dict)

    def numbers(self, key: ColumnKey) -> Ints:
        """The column encoded, int64 (rows,). Raises ValueError where a value has no encoding."""
        if key not in self.encoded:
            column = self.values[key]
            encoding = self.plan.encodings[key]
            try:
                self.encoded[key] = encode(encoding, column.numbers, column.missing)
            except ValueError as fault:
                raise ValueError(f"column {key[1]}: {fault}") from None
        return self.encoded[key]

    def counts(self, complete: tuple[ColumnKey, ...]) -> Mask:
        """Which rows count: kept by where, and complete in these columns."""
        if complete not in self.complete:
            mask = self.where.copy()
            for key in complete:
                mask &= ~self.values[key].missing
            self.complete[complete] = mask
        return self.complete[complete]

    def marks(self, mark: Level | Bin) -> Mask:
        """Which rows have this level or lie in this bin, bool (rows,)."""
        if mark not in self.marked:
            numbers = self.values[mark.key].numbers
            self.marked[mark] = _marks(mark, numbers)
        return self.marked[mark]

    def selected(self, feature: Feature) -> Mask:
        """Rows where the feature is not zero for want of a value or by a level."""
        mask = self.counts(feature.complete)
        for factor in feature.factors:
            if not isinstance(factor, Power):
                mask = mask & self.marks(factor)
        return mask


def _marks(mark: Level | Bin, numbers: NDArray[np.generic]) -> Mask:
    if isinstance(mark, Level):
        return np.asarray(numbers == mark.code)
    real = numbers.astype(np.float64)
    below = real <= mark.high if mark.closed else real < mark.high
    return np.asarray((real >= mark.low) & below)


def pooled_cells(
    plan: Plan, rows: Mapping[ColumnKey, Values], where: NDArray[np.bool_]
) -> dict[str, list[int]]:
    """This party's share of every cell, by unit, hidden cells included, in the plan's order.

    `rows` holds (rows,) arrays of one length; `where` is bool (rows,). Raises ValueError when a
    value lies outside its declared bounds or there are more rows than the plan allows.
    """
    return cells_of(plan, where.size, [pooled_sums(plan, rows, where)])


def pooled_sums(
    plan: Plan, rows: Mapping[ColumnKey, Values], where: NDArray[np.bool_]
) -> dict[str, list[int]]:
    """The sum of every cell over some of this party's rows; `cells_of` makes cells of them.

    Raises ValueError when a value lies outside its declared bounds.
    """
    assert not plan.linked, "a linked plan's cells are made on shares"
    terms = [term for unit in plan.units for cell in unit.cells for term in cell.terms]
    wanted = dict.fromkeys(feature for term in terms for feature in term.features)
    sums: dict[Feature, int] = {}
    for start in range(0, where.size, WINDOW_ROWS):
        window = slice(start, start + WINDOW_ROWS)
        part = {key: Values(v.numbers[window], v.missing[window]) for key, v in rows.items()}
        known = Rows(plan, part, np.asarray(where[window], dtype=np.bool_))
        for feature in wanted:
            sums[feature] = sums.get(feature, 0) + _feature_sum(feature, known)
    return {unit.name: [_sum_of(cell, sums) for cell in unit.cells] for unit in plan.units}


def cells_of(
    plan: Plan, rows: int, parts: Sequence[Mapping[str, Sequence[int]]]
) -> dict[str, list[int]]:
    """This party's cells from the sums over all parts of its rows.

    Raises ValueError when there are more rows than the plan allows.
    """
    if rows > plan.rows_max:
        raise ValueError(f"more rows than the declared bound of {plan.rows_max}")
    found = {}
    for unit in plan.units:
        totals = [sum(part[unit.name][place] for part in parts) for place in range(len(unit.cells))]
        found[unit.name] = [
            int(total != 0) if cell.of_members else total
            for cell, total in zip(unit.cells, totals, strict=True)
        ]
    return found


def _sum_of(cell: Cell, sums: Mapping[Feature, int]) -> int:
    total = 0
    for term in cell.terms:
        (feature,) = term.features
        total += term.sign * sums.get(feature, 0)
    return total


def _feature_sum(feature: Feature, rows: Rows) -> int:
    mask = rows.selected(feature)
    if not any(isinstance(factor, Power) for factor in feature.factors):
        return int(np.count_nonzero(mask))
    operands = _operands(feature, rows, np.flatnonzero(mask))
    if len(operands) == 1 and not feature.shift:
        return _sum(operands[0])
    return wide_sum(np.stack(operands), feature.shift)


def _sum(numbers: Ints) -> int:
    return (int(np.sum(numbers >> 32)) << 32) + int(np.sum(numbers & 0xFFFFFFFF))


def _operands(feature: Feature, rows: Rows, chosen: NDArray[np.intp]) -> list[Ints]:
    """The feature's factors, multiplied together as far as int64 holds them."""
    operands: list[Ints] = []
    bound = 1 << INT_BITS
    for factor in feature.factors:
        if not isinstance(factor, Power):
            continue
        column = rows.numbers(factor.key)[chosen]
        one = max(1, factor_bound(Power(factor.key, 1), rows.plan.encodings))
        for _ in range(factor.exponent):
            bound *= one
            if bound >= 1 << INT_BITS:
                operands.append(column)
                bound = one
            else:
                operands[-1] = operands[-1] * column
    return operands


def linked_layout(plan: Plan) -> Layout:
    """The features each alias owns and how the cells are made of them. Public, the same for all."""
    assert plan.linked, "a pooled plan has no features"
    owned: dict[str, dict[Feature, int]] = {
        alias: {Feature(alias, (), (), 0, 1, Fraction(0)): 0} for alias in plan.aliases
    }
    cells = {
        unit.name: tuple(_linked_cell(cell, owned) for cell in unit.cells) for unit in plan.units
    }
    return Layout({alias: tuple(owned[alias]) for alias in plan.aliases}, cells)


def _linked_cell(cell: Cell, owned: dict[str, dict[Feature, int]]) -> tuple[LinkedTerm, ...]:
    return tuple(
        (
            term.sign,
            {f.owner: owned[f.owner].setdefault(f, len(owned[f.owner])) for f in term.features},
        )
        for term in cell.terms
    )


def features(
    plan: Plan, alias: str, rows: Mapping[ColumnKey, Values], where: NDArray[np.bool_]
) -> Ints:
    """int64 (rows, columns): the alias's features in the order of `linked_layout(plan)`.

    Raises ValueError when a value lies outside its declared bounds.
    """
    known = Rows(plan, rows, np.asarray(where, dtype=np.bool_))
    listed = linked_layout(plan).features[alias]
    table = np.zeros((known.where.size, len(listed)), dtype=np.int64)
    for place, feature in enumerate(listed):
        selected = np.flatnonzero(known.selected(feature))
        table[selected, place] = _feature_values(feature, known, selected)
    return table


def _feature_values(feature: Feature, rows: Rows, chosen: NDArray[np.intp]) -> Ints:
    operands = _operands(feature, rows, chosen)
    if not operands:
        return np.ones(chosen.size, dtype=np.int64)
    if len(operands) == 1 and not feature.shift:
        return operands[0]
    limbs, sign = wide_product(operands, feature.shift)
    total = np.zeros(chosen.size, dtype=np.int64)
    for place, limb in enumerate(limbs):
        if LIMB_BITS * place < INT_BITS:
            total += limb.astype(np.int64) << (LIMB_BITS * place)
    return total * sign
