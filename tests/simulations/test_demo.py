"""The demo's comparison notices an answer that is off."""

from __future__ import annotations

import pytest

from simulations.demo import DIFFERENCE_MAX
from simulations.lung import HOSPITALS, read_lung, split
from simulations.pooled import Comparison, compare


def test_a_number_one_past_the_largest_difference_is_noticed() -> None:
    assert Comparison("s", "m", 1.0, 1.0).difference == 0.0
    assert Comparison("s", "m", 1.0 + 2 * DIFFERENCE_MAX, 1.0).difference > DIFFERENCE_MAX
    assert Comparison("s", "m", None, 1.0).difference > DIFFERENCE_MAX


def test_a_measure_that_the_answer_lacks_is_not_passed_over() -> None:
    answer = {"statistics": {"s": {"kind": "t_test", "n": 3, "values": {"t": 2.0}, "table": []}}}
    found = compare(answer, {("s", "n"): 3, ("s", "t"): 2.0, ("s", "p_value"): 0.1})
    assert [one.joint for one in found] == [3, 2.0, None]


def test_every_patient_with_a_centre_is_in_one_hospital() -> None:
    parts = split(read_lung())
    rows = sum(len(frame) for frame in parts.hospitals.values())
    assert set(parts.hospitals) == set(HOSPITALS)
    assert rows == len(parts.pooled) == 227
    assert len(parts.lab) == 228
    assert parts.left_out == 1
    people = [one for frame in parts.hospitals.values() for one in frame["patient_id"]]
    assert len(set(people)) == rows
    assert set(people) < set(parts.lab["patient_id"])


@pytest.mark.parametrize("name", sorted(HOSPITALS))
def test_a_hospital_has_no_column_of_the_laboratory(name: str) -> None:
    parts = split(read_lung())
    assert not {"meal_cal", "wt_loss", "pat_karno"} & set(parts.hospitals[name].columns)
