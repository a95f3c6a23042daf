"""Symmetric systems solved in whole numbers, so that nothing rounds (Bareiss 1968).

For p unknowns p^3 products of integers that grow by the bits of one entry a step: 30 unknowns
take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import lcm

__all__ = ["Dependent", "inverse"]

Matrix = list[list[Fraction]]


class Dependent(Exception):
    """The column `place` is a combination of the ones before it."""

    def __init__(self, place: int) -> None:
        super().__init__(f"column {place} depends on the ones before it")
        self.place = place


def inverse(matrix: Sequence[Sequence[Fraction]]) -> Matrix:
    """The exact inverse of a Gram matrix, (p, p). Raises Dependent where it has none.

    A Gram matrix needs no exchange of rows: its pivots are squared distances.
    """
    size = len(matrix)
    common = lcm(*(entry.denominator for row in matrix for entry in row))
    work = [
        [int(entry * common) for entry in row] + [int(i == j) for j in range(size)]
        for i, row in enumerate(matrix)
    ]
    before = 1
    for place in range(size):
        pivot = work[place][place]
        if pivot == 0:
            raise Dependent(place)
        for i in range(size):
            if i != place:
                _eliminate(work[i], work[place], place, before)
        before = pivot
    return [[Fraction(common * entry, before) for entry in row[size:]] for row in work]


def _eliminate(row: list[int], pivot_row: list[int], place: int, before: int) -> None:
    """One fraction-free step of Gauss and Jordan; the division by `before` leaves no rest."""
    pivot, factor = pivot_row[place], row[place]
    for j, entry in enumerate(pivot_row):
        row[j] = (pivot * row[j] - factor * entry) // before
