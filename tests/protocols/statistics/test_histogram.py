import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import load_diabetes

from protocols.statistics.plan import PlanRefused


def test_bins_are_those_of_numpy(asked, lung, lung_specs, uneven):
    edges = [39, 50, 60, 70, 82]
    answer = asked(lung_specs("age"), "histogram", {"column": "age", "edges": edges}).answer(
        *uneven(lung)
    )
    assert [line["count"] for line in answer.table] == np.histogram(lung["age"], edges)[0].tolist()
    assert (answer.n, answer.left_out) == (228, 0)


def test_values_on_edges_of_real_numbers_fall_as_in_numpy(asked):
    frame = load_diabetes(as_frame=True).data[["bmi"]]
    edges = np.quantile(frame["bmi"], [0, 0.25, 0.5, 0.75, 1]).tolist()
    specs = {"bmi": ("number", -1, 1)}
    answer = asked(specs, "histogram", {"column": "bmi", "edges": edges}).answer(frame)
    assert [line["count"] for line in answer.table] == np.histogram(frame, edges)[0].tolist()


def test_values_outside_the_edges_and_missing_ones_are_left_out(asked):
    frame = pd.DataFrame({"x": [1, 2, 3, 9, np.nan]})
    answer = asked(
        {"x": ("number", 0, 10)}, "histogram", {"column": "x", "edges": [1, 2, 3]}
    ).answer(frame)
    assert [line["count"] for line in answer.table] == [1, 2]
    assert (answer.n, answer.left_out) == (3, 2)


def test_one_small_bin_withholds_the_whole_table(asked, lung, lung_specs, thresholds):
    edges = [30, 40, 60, 90]
    rules = thresholds(minimum_cell=10)
    answer = asked(lung_specs("age"), "histogram", {"column": "age", "edges": edges}, rules).answer(
        lung
    )
    assert not answer.released
    assert answer.table == []
    assert "10 persons in every cell: use fewer or wider bins" in answer.would_pass


@pytest.mark.parametrize("edges", [[1], [1, 1], [2, 1], [0, float("inf")], [float("nan"), 1]])
def test_edges_that_do_not_rise_are_refused(asked, lung_specs, edges):
    with pytest.raises(PlanRefused, match="do not rise"):
        asked(lung_specs("age"), "histogram", {"column": "age", "edges": edges}).plan()
