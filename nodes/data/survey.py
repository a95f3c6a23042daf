"""What a column's cells look like, over all files that hold it: the facts that a draft needs.

A survey never raises for a cell: what does not fit is counted, and the import will name its row.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_CEILING, ROUND_FLOOR, Context, Decimal

import numpy as np
from numpy.typing import NDArray

from nodes.data import cells as read
from nodes.data.cells import MISSING, CellFault
from nodes.data.source import Cell, RawColumn
from p2pmpc.limits import LEVELS_MAX

__all__ = ["DECIMALS_SEEN_MAX", "Survey", "outward"]

DECIMALS_SEEN_MAX = 9  # finer columns are measurements: their resolution is left to the ring
DASHED = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
TRUTHS = read.TRUE | read.FALSE


class Survey:
    """Facts of one column, gathered batch by batch. Owned by one call of `derive`.

    present, number_rows, date_rows   rows with a value, with a number, with an ISO date
    low, high, day_low, day_high      over the cells that are numbers, or dates
    whole, decimals                   all numbers whole; the most decimals, None above 9
    levels                            distinct spellings, None once there are more than LEVELS_MAX
    truths, words                     every cell is a boolean; every one a word such as yes
    dashed                            every cell is a date written with dashes (or typed)
    repeats                           some cell stands twice in one batch
    """

    def __init__(self) -> None:
        self.present = self.number_rows = self.date_rows = 0
        self.low: float | None = None
        self.high: float | None = None
        self.day_low: int | None = None
        self.day_high: int | None = None
        self.whole = True
        self.decimals: int | None = 0
        self.levels: set[str] | None = set()
        self.truths = self.words = self.dashed = True
        self.repeats = False

    def __repr__(self) -> str:
        return "Survey(<private>)"

    @property
    def mostly_numbers(self) -> bool:
        """Whether at least half of the cells that are not missing read as numbers."""
        return self.present > 0 and 2 * self.number_rows >= self.present

    @property
    def mostly_dates(self) -> bool:
        """Whether at least half of the cells that are not missing read as dates."""
        return self.present > 0 and 2 * self.date_rows >= self.present

    def add(self, raw: RawColumn, commas: bool) -> None:
        """Take in one batch of cells."""
        times = np.bincount(raw.codes, minlength=len(raw.cells))
        places = np.flatnonzero((times > 0) & ~read.missing_cells(raw.cells, MISSING))
        present = [raw.cells[i] for i in places.tolist()]
        counts = times[places]
        self.present += int(counts.sum())
        self.repeats |= len(set(present)) < int(counts.sum())
        self._add_numbers(present, counts, commas)
        self._add_dates(present, counts)
        self._add_words(present)

    def _add_numbers(
        self, present: Sequence[Cell], counts: NDArray[np.int64], commas: bool
    ) -> None:
        try:
            values, rows = read.numbers(present, commas), int(counts.sum())
        except CellFault:
            fit = [i for i, cell in enumerate(present) if _is_finite(cell, commas)]
            values = read.numbers([present[i] for i in fit], commas)
            rows = int(counts[fit].sum())
        if not values.size:
            return
        self.number_rows += rows
        low, high = float(values.min()), float(values.max())
        self.low = low if self.low is None else min(low, self.low)
        self.high = high if self.high is None else max(high, self.high)
        self.whole &= bool((values == np.rint(values)).all())
        while self.decimals is not None and not _fits(values, self.decimals):
            self.decimals = self.decimals + 1 if self.decimals < DECIMALS_SEEN_MAX else None

    def _add_dates(self, present: Sequence[Cell], counts: NDArray[np.int64]) -> None:
        fit = {i: day for i, cell in enumerate(present) if (day := _day(cell)) is not None}
        self.dashed &= len(fit) == len(present)
        if fit:
            self.date_rows += int(counts[list(fit)].sum())
            low, high = min(fit.values()), max(fit.values())
            self.day_low = low if self.day_low is None else min(low, self.day_low)
            self.day_high = high if self.day_high is None else max(high, self.day_high)

    def _add_words(self, present: Sequence[Cell]) -> None:
        if self.truths:
            try:
                read.booleans(present)
            except CellFault:
                self.truths = self.words = False
        if self.words:
            self.words = all(
                isinstance(c, bool) or (isinstance(c, str) and c.strip().casefold() in TRUTHS)
                for c in present
            )
        if self.levels is not None:
            self.levels.update(_level(cell) for cell in present)
            if len(self.levels) > LEVELS_MAX:
                self.levels = None


def _is_finite(cell: Cell, commas: bool) -> bool:
    if not read.is_number(cell, commas):
        return False
    try:
        return bool(read.numbers([cell], commas).size)
    except CellFault:
        return False


def _level(cell: Cell) -> str:
    """A cell as a level: 2.0 is the level 2, since files with gaps spell whole numbers so."""
    spellings = read.level_text(cell)
    return spellings[0] if isinstance(cell, bool) else spellings[-1]


def _fits(values: NDArray[np.float64], decimals: int) -> bool:
    power = 10.0**decimals
    with np.errstate(over="ignore"):
        scaled = np.rint(values * power)
    return bool(((np.abs(scaled) >= read.EXACT_FLOAT) | (scaled / power == values)).all())


def _day(cell: Cell) -> int | None:
    """Days since 1970-01-01 of a typed date or one written with dashes, else None."""
    if isinstance(cell, str) and not DASHED.match(cell.strip()):
        return None
    try:
        return int(read.dates([cell])[0])
    except CellFault:
        return None


def outward(low: float, high: float) -> tuple[Decimal, Decimal]:
    """Bounds around low and high that are multiples of a power of ten, two digits or so."""
    first, last = Decimal(repr(low)), Decimal(repr(high))
    span = (last - first) or abs(last) or Decimal(1)
    step = Decimal(1).scaleb((span / 2).adjusted())
    return _multiple(first, step, up=False), _multiple(last, step, up=True)


def _multiple(value: Decimal, step: Decimal, *, up: bool) -> Decimal:
    exact = Context(prec=400)
    whole = exact.divide(value, step).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR)
    return exact.multiply(whole, step) + 0
