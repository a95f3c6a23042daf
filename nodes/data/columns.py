"""One column's cells under its line of the dictionary: type, bounds, decimals, missing values.

A column is read batch by batch into typed pieces, so that the text of a table of millions of rows
is never in memory at once. Exactness first: a value finer than the declared decimals is refused,
not rounded; without declared decimals every float64 is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nodes.data import cells as read
from nodes.data.cells import CellFault
from nodes.data.source import Cell, RawColumn
from p2pmpc.dictionary import Column
from protocols.statistics.plan import Values

__all__ = ["TEXTS", "ColumnReader"]

TEXTS = ("identifier", "text")
EXACT_POWER = 22  # 10^22 is the last power of ten that a float64 holds exactly
ADJUST_BOUNDS = "correct the cell, or widen the bounds in the dictionary of every member"


class ColumnReader:
    """Collects one column of a data set over batches and files. Owned by one `load` call."""

    def __init__(self, column: Column, missing: Sequence[str]) -> None:
        self.column = column
        self.decimal_comma_seen = False
        self.whole_as_decimal = 0  # identifiers that look like 12.0
        self._missing = read.missing_spellings(missing)
        self._marks: set[str] = set()
        self._numbers: list[NDArray[Any]] = []
        self._absent: list[NDArray[np.bool_]] = []
        self._texts: list[str | None] = []

    def __repr__(self) -> str:
        return f"ColumnReader({self.column.name}, <private>)"

    def start_file(self) -> None:
        """Decimal point or comma is a matter of one file."""
        self._marks.clear()

    def add(self, raw: RawColumn, commas: bool, kept: slice) -> None:
        """Check one batch and keep these rows of it. Raises CellFault, a place in `raw.cells`."""
        absent = self._absent_cells(raw.cells)
        places = np.flatnonzero(~absent)
        present = raw.cells if not absent.any() else [raw.cells[i] for i in places.tolist()]
        try:
            found = self._typed(present, commas)
        except CellFault as fault:
            fault.place = int(places[fault.place])
            raise
        if isinstance(found, list):
            distinct = np.full(len(raw.cells), None, object)
            distinct[places] = found
            self._texts.extend(distinct[raw.codes[kept]].tolist())
            return
        values = np.zeros(len(raw.cells), found.dtype)
        values[places] = found  # zero where missing, so that equal tables hash alike
        self._numbers.append(values[raw.codes[kept]])
        self._absent.append(absent[raw.codes[kept]])

    def values(self) -> Values:
        """All rows of a column that is not text."""
        return Values(np.concatenate(self._numbers), np.concatenate(self._absent))

    def texts(self) -> tuple[str | None, ...]:
        """All rows of a text or identifier column."""
        return tuple(self._texts)

    def _absent_cells(self, cells: Sequence[Cell]) -> NDArray[np.bool_]:
        absent = read.missing_cells(cells, self._missing)
        for place in np.flatnonzero(absent) if self.column.levels else ():
            cell = cells[int(place)]  # NA may be a level: then it is no missing value
            absent[place] = not (isinstance(cell, str) and cell.strip() in self.column.levels)
        return absent

    def _typed(self, present: Sequence[Cell], commas: bool) -> NDArray[Any] | list[str]:
        kind = self.column.type
        if kind in TEXTS:
            return self._read_texts(present)
        if kind == "category":
            return read.level_codes(present, self.column.levels)
        if kind == "boolean":
            return read.booleans(present)
        if kind == "date":
            found: NDArray[Any] = read.dates(present)
        elif kind == "integer":
            found = read.whole_numbers(present, commas)
        else:
            found = read.numbers(present, commas)
            self._check_decimals(found)
        if commas and kind != "date":
            read.refuse_mixed_points(present, self._marks)
            self.decimal_comma_seen |= "," in self._marks
        self._check_bounds(found)
        return found

    def _read_texts(self, present: Sequence[Cell]) -> list[str]:
        found = read.texts(present)
        if self.column.type == "identifier":
            self.whole_as_decimal += sum(text.endswith(".0") for text in found)
        return found

    def _check_bounds(self, found: NDArray[Any]) -> None:
        low, high = self.column.minimum, self.column.maximum
        whole = np.issubdtype(found.dtype, np.integer)
        if low is not None:
            self._refuse(
                found < (int(low) if whole else float(low)), f"below the minimum {self._bound(low)}"
            )
        elif self.column.type == "time_to_event":
            self._refuse(found < 0, "below zero")
        if high is not None:
            self._refuse(
                found > (int(high) if whole else float(high)),
                f"above the maximum {self._bound(high)}",
            )

    def _refuse(self, bad: NDArray[np.bool_], where: str) -> None:
        if bad.any():
            what = "a date" if self.column.type == "date" else "a number"
            raise CellFault(int(np.argmax(bad)), f"{what} {where}", self._range(), ADJUST_BOUNDS)

    def _range(self) -> str:
        low, high = self.column.minimum, self.column.maximum
        ends = [
            f"{word} {self._bound(end)}"
            for word, end in (("from", low), ("to", high))
            if end is not None
        ]
        return " ".join(ends) or "zero or more"

    def _bound(self, bound: Any) -> str:
        if self.column.type == "date":
            return (date(1970, 1, 1) + timedelta(days=int(bound))).isoformat()
        return format(bound, "f")

    def _check_decimals(self, found: NDArray[np.float64]) -> None:
        """Each value must be the float64 nearest to a decimal of the declared fineness."""
        decimals = self.column.decimals
        if decimals is None or decimals > EXACT_POWER:
            return
        power = 10.0**decimals
        with np.errstate(over="ignore"):
            scaled = np.rint(found * power)
        bad = (np.abs(scaled) < read.EXACT_FLOAT) & (scaled / power != found)
        if bad.any():
            raise CellFault(
                int(np.argmax(bad)),
                f"a number with more than {decimals} decimals",
                f"at most {decimals} decimals, as the dictionary declares",
                "round the column first, or leave `decimals` out of the dictionary of every member",
            )
