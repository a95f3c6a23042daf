from decimal import Decimal
from fractions import Fraction

import pytest

from protocols.disclosure.threshold import PERSONS, Check, Thresholds, all_pass, passes


@pytest.mark.parametrize(
    ("total", "zero_passes", "passed"),
    [
        (9, False, False),
        (10, False, True),
        (0, False, False),
        (0, True, True),
        (1, True, False),
    ],
)
def test_a_check_passes_at_its_threshold_and_at_an_allowed_zero(total, zero_passes, passed):
    check = Check((0, 2), 10, zero_passes, PERSONS, "10 persons")
    assert passes(check, [total - total // 2, 99, total // 2]) is passed


def test_a_unit_passes_only_with_all_its_checks():
    checks = (Check((0,), 5, False, PERSONS, ""), Check((1,), 5, False, PERSONS, ""))
    assert all_pass(checks, [5, 5])
    assert not all_pass(checks, [5, 4])


@pytest.mark.parametrize("share", [Fraction(1, 10), Decimal("0.1"), 0.1])
def test_rows_for_a_model_follow_the_share_as_written(share):
    rules = Thresholds(10, 10, 3, share, "suppress", "never")
    assert [rules.rows_for(k) for k in (1, 3, 7)] == [10, 30, 70]
