from fractions import Fraction
from math import prod

import numpy as np
import pytest

from protocols.kernels.moments import (
    OPERANDS_MAX,
    SHIFT_MAX,
    SMALL_ROWS,
    wide_sum,
    wide_sum_portable,
)

EDGES = [0, 1, -1, 2**26, -(2**52), 2**61 - 1, -(2**61), 2**62, -(2**63) + 1]


def rounded(product, shift):
    half = Fraction(1, 2) if shift else 0
    size = int(Fraction(abs(product), 2**shift) + half)
    return size if product >= 0 else -size


def rows_of(count, rows, bits):
    draw = np.random.default_rng(count * 1000 + rows)
    made = draw.integers(-(2**bits), 2**bits, (count, rows))
    fit = [edge for edge in EDGES if abs(edge) <= 2**bits]
    made[:, : len(fit)] = fit
    return made


@pytest.mark.parametrize("count", [1, 2, 3, 4])
@pytest.mark.parametrize("shift", [0, 1, 3, 53, 63, 64, 65, 104, 127, 128, SHIFT_MAX])
@pytest.mark.parametrize("rows", [20, SMALL_ROWS + 77])
def test_sums_of_wide_products_are_those_of_exact_integers(count, shift, rows):
    operands = rows_of(count, rows, 61)
    exact = sum(rounded(prod(map(int, row)), shift) for row in operands.T)
    assert wide_sum(operands, shift) == exact
    assert wide_sum_portable(operands, shift) == exact


def test_no_rows_sum_to_zero():
    assert wide_sum(np.zeros((2, 0), np.int64), 5) == 0


def test_too_many_operands_or_too_far_a_shift_is_refused():
    with pytest.raises(ValueError, match="operands"):
        wide_sum(np.zeros((OPERANDS_MAX + 1, 1), np.int64), 0)
    with pytest.raises(ValueError, match="operands"):
        wide_sum(np.zeros((1, 1), np.int64), SHIFT_MAX + 1)
