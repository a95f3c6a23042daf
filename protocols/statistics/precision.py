"""How far the printed numbers can be from those of the unrounded values.

The opened integers are exact sums of encoded values. Where encoding rounds (a number without
declared decimals, a product longer than the ring), every cell has a bound (`recentred.py`).
`carried` sends it through the statistic, a function in exact fractions, by moving one
cell at a time to both ends of its error (enlarged 2^16 times, so that the float64 of a tail
probability does not hide the movement, then scaled back), adding up the movements, and doubling
the sum for what is not linear. A number that cannot be computed at such an end, because it rests
on a difference smaller than its error, is not a number: it is withheld.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isfinite

from protocols.statistics.distribution import real
from protocols.statistics.encoding import Encoding
from protocols.statistics.plan import ColumnKey, Factors, Plan
from protocols.statistics.recentred import Frame, Sum, plain_frame, recentred

__all__ = [
    "EXACT",
    "Bounded",
    "Numbers",
    "Sum",
    "bounded",
    "carried",
    "frame_of",
    "shown",
    "sums_of",
    "worst_error",
]

EXACT = "exact: sums of integers; only the last division rounds"
MAGNIFIED = 2**16
SAFETY = 2
ROUNDING = Fraction(1, 2**51)  # the last conversion to float64, and what a root leaves
RELATIVE_MAX = Fraction(1, 1000)  # a number less certain than this is named with its own bound

Numbers = Mapping[str, Fraction | None]


@dataclass(frozen=True, slots=True)
class Bounded:
    """A number of the answer, within `error` of what unrounded values give; None: withheld."""

    value: Fraction | None
    error: Fraction


def sums_of(plan: Plan, unit: str, integers: list[int]) -> dict[Factors, Sum]:
    """The unit's opened integers as sums, by their factors. The first cell is its number of rows.

    `integers` may hold the opened cells only or, in a recomputation, the hidden ones after them.
    """
    cells = plan.unit(unit).opened
    rows = abs(integers[0])
    return {
        cell.factors: Sum(
            integer * cell.scale,
            rows * cell.row_error * cell.scale,
            rows * cell.row_rounding * cell.scale,
        )
        for cell, integer in zip(cells, integers, strict=False)
    }


def carried(
    function: Callable[[Mapping[Factors, Fraction]], Numbers],
    sums: Mapping[Factors, Sum],
    encodings: Mapping[ColumnKey, Encoding],
) -> dict[str, Bounded]:
    """The function's numbers at the sums, each with the bound of its error."""
    numbers = function({factors: one.value for factors, one in sums.items()})
    errors: dict[str, Fraction | None] = dict.fromkeys(numbers, Fraction(0))
    frame = frame_of(sums, encodings)
    for factors, error in frame.errors.items():
        if error:
            moved = _movement(
                lambda there: function(frame.back(there)), frame.values, factors, error, numbers
            )
            for name, distance in moved.items():
                known = errors[name]
                errors[name] = None if known is None or distance is None else known + distance
    return {name: bounded(numbers[name], errors[name]) for name in numbers}


def frame_of(sums: Mapping[Factors, Sum], encodings: Mapping[ColumnKey, Encoding]) -> Frame:
    """The sums where their errors are smallest."""
    if not any(one.error for one in sums.values()):
        return plain_frame(sums)
    return recentred(sums, encodings)


def bounded(value: Fraction | None, error: Fraction | None) -> Bounded:
    """The number with twice its first-order error and a float64's rounding; None stays None."""
    if value is None or error is None:
        return Bounded(None, Fraction(0))
    return Bounded(value, SAFETY * error + ROUNDING * abs(value) if error else Fraction(0))


def _movement(
    function: Callable[[Mapping[Factors, Fraction]], Numbers],
    centre: Mapping[Factors, Fraction],
    factors: Factors,
    error: Fraction,
    numbers: Numbers,
) -> dict[str, Fraction | None]:
    far = _ends(function, centre, factors, error * MAGNIFIED, numbers)
    if None not in far.values():
        return {name: None if d is None else d / MAGNIFIED for name, d in far.items()}
    return _ends(function, centre, factors, error, numbers)


def _ends(
    function: Callable[[Mapping[Factors, Fraction]], Numbers],
    centre: Mapping[Factors, Fraction],
    factors: Factors,
    step: Fraction,
    numbers: Numbers,
) -> dict[str, Fraction | None]:
    """The largest movement of each number; None where it cannot be computed at an end."""
    ends = [function({**centre, factors: centre[factors] + s}) for s in (step, -step)]
    moved: dict[str, Fraction | None] = {}
    for name, value in numbers.items():
        there = [end.get(name) for end in ends]
        if value is None:
            moved[name] = Fraction(0)
        elif any(end is None for end in there):
            moved[name] = None
        else:
            moved[name] = max(abs(end - value) for end in there if end is not None)
    return moved


def shown(number: Bounded) -> float | None:
    """The nearest float64; None where there is no number, or none within a float64's range."""
    if number.value is None:
        return None
    nearest = real(number.value)
    return nearest if isfinite(nearest) and (nearest or not number.value) else None


def worst_error(numbers: Mapping[str, Bounded]) -> str:
    """The sentence `precision` of an answer, about all numbers that it prints."""
    inexact = {n: b for n, b in numbers.items() if b.value is not None and b.error}
    if not inexact:
        return EXACT
    relative = {
        name: one.error / abs(one.value)
        for name, one in inexact.items()
        if one.value and one.error <= RELATIVE_MAX * abs(one.value)
    }
    absolute = {name: one.error for name, one in inexact.items() if name not in relative}
    parts = []
    if relative:
        name = max(relative, key=lambda key: relative[key])
        parts.append(f"largest relative error {_upward(relative[name])} (in {name})")
    parts.extend(f"{name} is within {_upward(absolute[name])}" for name in sorted(absolute)[:5])
    if len(absolute) > 5:
        largest = max(absolute.values())
        parts.append(f"{len(absolute) - 5} more numbers are within {_upward(largest)}")
    how = "values without declared decimals are rounded once a row, sums are exact; "
    return how + "; ".join(parts) + " (bounds of each sum carried through the formula, doubled)"


def _upward(bound: Fraction) -> str:
    """Two digits, rounded up, so that what is printed is never smaller than the bound."""
    return f"{real(bound * Fraction(105, 100)):.1e}"
