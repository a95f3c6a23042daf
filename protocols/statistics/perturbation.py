"""How far a least-squares fit moves when the sums it came from move within their errors.

First order, one sum m at a time, with D_m, d_m, q_m the movements of the Gram matrix A, of its
right side and of the response's square:

    estimates      |A^-1 (d_m - D_m b)|
    residual       |q_m - 2 b d_m + b D_m b|
    inverse        |A^-1 D_m A^-1|, its diagonal

added up over the sums. The sums are those about the means (`recentred.py`): one movement of a sum
moves many entries of A together, and much of it cancels. Columns are scaled by powers of two
first, so that any magnitude fits a float64. Where |A^-1 D| adds up to more than 1/4 the first order
says nothing: such a matrix is as near to a singular one as its own error.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from protocols.statistics.distribution import real
from protocols.statistics.elimination import Dependent
from protocols.statistics.plan import Factors
from protocols.statistics.polynomial import Polynomial, times
from protocols.statistics.recentred import Frame

__all__ = ["Movement", "Solution", "movement"]

RESOLVED = 0.25

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Solution:
    """The exact fit: A, its inverse, the estimates b, the response's square and mean (or 0)."""

    matrix: list[list[Fraction]]
    inverse: list[list[Fraction]]
    estimates: list[Fraction]
    square: Fraction
    mean: Fraction


@dataclass(frozen=True, slots=True)
class Movement:
    """Bounds of the errors of the estimates, the inverse's diagonal, and the sums of squares."""

    estimates: list[Fraction]
    diagonal: list[Fraction]
    residual: Fraction
    spread: Fraction


def movement(
    columns: Sequence[Polynomial], response: Polynomial, frame: Frame, fit: Solution
) -> Movement:
    """The bounds. Raises Dependent where the matrix cannot be told from a singular one."""
    moved = [factors for factors, error in frame.errors.items() if error]
    if not moved:
        none = [Fraction(0)] * len(columns)
        return Movement(none, none, Fraction(0), Fraction(0))
    scales = [_scale(row[k]) for k, row in enumerate(fit.matrix)]
    scale = _scale(fit.square)
    gram = _gram_movements(columns, moved, frame, scales)
    right = np.stack(
        [
            _weights(times(c, response), moved, frame, s * scale)
            for c, s in zip(columns, scales, strict=True)
        ],
        axis=1,
    )
    square = _weights(times(response, response), moved, frame, scale * scale)
    total = _weights(response, moved, frame, scale)
    inverse = np.array(
        [
            [real(entry * scales[i] * scales[j]) for j, entry in enumerate(row)]
            for i, row in enumerate(fit.inverse)
        ]
    )
    b = np.array([real(one * s / scale) for one, s in zip(fit.estimates, scales, strict=True)])
    across = np.einsum("ja,mab->mjb", inverse, gram)
    _check_resolved(np.abs(across).sum(axis=0))
    estimates = np.abs((right - gram @ b) @ inverse).sum(axis=0)
    diagonal = np.abs(np.einsum("mjb,bj->mj", across, inverse)).sum(axis=0)
    residual = np.abs(square - 2 * right @ b + (gram @ b) @ b).sum()
    spread = np.abs(square - 2 * real(fit.mean / scale) * total).sum()
    return Movement(
        [_exact(e) * scale / s for e, s in zip(estimates, scales, strict=True)],
        [_exact(e) / (s * s) for e, s in zip(diagonal, scales, strict=True)],
        _exact(residual) * scale**2,
        _exact(spread) * scale**2,
    )


def _exact(value: np.float64) -> Fraction:
    return Fraction(float(value))


def _scale(square: Fraction) -> Fraction:
    """A power of two near the root of a square."""
    bits = square.numerator.bit_length() - square.denominator.bit_length()
    return Fraction(2) ** (bits // 2) if square else Fraction(1)


def _gram_movements(
    columns: Sequence[Polynomial], moved: list[Factors], frame: Frame, scales: list[Fraction]
) -> Floats:
    """float64 (sums, p, p): what the error of each sum does to each entry."""
    size = len(columns)
    found = np.zeros((len(moved), size, size))
    for i in range(size):
        for j in range(i, size):
            entry = times(columns[i], columns[j])
            found[:, i, j] = _weights(entry, moved, frame, scales[i] * scales[j])
            found[:, j, i] = found[:, i, j]
    return found


def _weights(entry: Polynomial, moved: list[Factors], frame: Frame, scale: Fraction) -> Floats:
    """float64 (sums,): the entry's weight of each sum times that sum's error, over the scale."""
    weights = frame.weights(entry)
    return np.array(
        [
            real(weights.get(factors, Fraction(0)) * frame.errors[factors] / scale)
            for factors in moved
        ]
    )


def _check_resolved(reach: Floats) -> None:
    rows = reach.sum(axis=1)
    lost = np.flatnonzero(~(rows < RESOLVED))
    if lost.size:
        raise Dependent(int(lost[-1]))
