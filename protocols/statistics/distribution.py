"""Roots and tail probabilities of exact fractions, ready to be rounded to a float64 once.

Roots are fractions good to 2^-220, so that the last rounding is the only one. Tails come from
`scipy.special`, imported here alone; their own error (about 1e-14) is not the protocol's.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, isqrt

import numpy as np

__all__ = [
    "chi2_tail",
    "f_tail",
    "fisher_two_sided",
    "normal_quantile",
    "real",
    "root",
    "t_quantile",
    "t_two_sided",
]

ROOT_BITS = 220
TIES = Fraction(10**14 + 1, 10**14)  # SciPy counts a table as likely as the seen one up to this
EXACT_PERSONS_MAX = 2000  # above, hypergeometric weights by recurrence in float64


def root(value: Fraction) -> Fraction:
    """The square root of a value >= 0, off by less than 2^-220 of itself."""
    if value == 0:
        return Fraction(0)
    inside = value.numerator * value.denominator
    shift = max(0, ROOT_BITS - inside.bit_length() // 2 + 1)
    return Fraction(isqrt(inside << (2 * shift)), value.denominator << shift)


def real(value: Fraction) -> float:
    """The nearest float64; beyond its range, an infinity."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def t_two_sided(t: Fraction, degrees: Fraction) -> Fraction:
    """P(|T| >= |t|) of Student's t; degrees of freedom may be fractional (Welch)."""
    from scipy.special import stdtr

    return Fraction(2 * float(stdtr(real(degrees), -abs(real(t)))))


def t_quantile(probability: float, degrees: Fraction) -> Fraction:
    """The t below which Student's t lies with this probability."""
    from scipy.special import stdtrit

    return Fraction(float(stdtrit(real(degrees), probability)))


def normal_quantile(probability: float) -> Fraction:
    """The z below which a standard normal lies with this probability."""
    from scipy.special import ndtri

    return Fraction(float(ndtri(probability)))


def f_tail(between: Fraction, within: Fraction, statistic: Fraction) -> Fraction:
    """P(F >= statistic) with `between` and `within` degrees of freedom."""
    from scipy.special import fdtrc

    return Fraction(float(fdtrc(real(between), real(within), real(statistic))))


def chi2_tail(degrees: int, statistic: Fraction) -> Fraction:
    """P(chi2 >= statistic) with so many degrees of freedom."""
    from scipy.special import chdtrc

    return Fraction(float(chdtrc(degrees, real(statistic))))


def fisher_two_sided(a: int, b: int, c: int, d: int) -> Fraction:
    """The chance, margins fixed, of a 2 x 2 table no likelier than this one (SciPy's tie rule)."""
    low, high = max(0, a - d), min(a + b, a + c)
    if a + b + c + d > EXACT_PERSONS_MAX:
        return _fisher_by_recurrence((a, b, c, d), low, high)
    weights = {k: comb(a + b, k) * comb(c + d, a + c - k) for k in range(low, high + 1)}
    limit = weights[a] * TIES
    extreme = sum(weight for weight in weights.values() if weight <= limit)
    return Fraction(extreme, sum(weights.values()))


def _fisher_by_recurrence(table: tuple[int, int, int, int], low: int, high: int) -> Fraction:
    """As above in float64: weights relative to the largest, by ratios away from it."""
    a, b, c, d = table
    k = np.arange(low, high, dtype=np.float64)
    ratios = (a + b - k) * (a + c - k) / ((k + 1) * (d - a + k + 1))
    mode = int(np.count_nonzero(ratios >= 1))
    above = np.cumprod(ratios[mode:])
    below = np.cumprod(1 / ratios[:mode][::-1])[::-1]
    weights = np.concatenate([below, [1.0], above])
    extreme = np.sort(weights[weights <= weights[a - low] * (1 + 1e-14)]).sum()
    return Fraction(float(extreme / np.sort(weights).sum()))
