from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_diabetes

from protocols.statistics.plan import PlanRefused


def test_pearson_agrees_with_scipy_over_rows_complete_in_all(asked, lung, lung_specs, uneven):
    names = ["age", "meal.cal", "wt.loss", "ph.karno"]
    answer = asked(lung_specs(*names), "correlation", {"columns": names}).answer(*uneven(lung))
    full = lung[names].dropna()
    assert [(line["a"], line["b"]) for line in answer.table] == list(combinations(names, 2))
    for line in answer.table:
        expected = stats.pearsonr(full[line["a"]], full[line["b"]])
        ends = expected.confidence_interval()
        assert line["r"] == pytest.approx(expected.statistic, rel=1e-10)
        assert line["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
        assert (line["conf_low"], line["conf_high"]) == pytest.approx(tuple(ends), rel=1e-9)
        assert line["n"] == len(full)
    assert answer.left_out == len(lung) - len(full)


def test_real_numbers_agree(asked, uneven):
    frame = load_diabetes(as_frame=True).data.iloc[:, 2:8]
    specs = dict.fromkeys(frame, ("number", -0.3, 0.3))
    answer = asked(specs, "correlation", {"columns": list(frame)}).answer(*uneven(frame))
    for line in answer.table:
        expected = stats.pearsonr(frame[line["a"]], frame[line["b"]])
        assert line["r"] == pytest.approx(expected.statistic, rel=1e-9)
        assert line["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_perfect_line_is_one_and_not_more(asked):
    x = np.random.default_rng(5).uniform(0, 1, 50)
    frame = pd.DataFrame({"x": x, "y": 0.1 + 0.3 * x})
    specs = {"x": ("number", 0, 1), "y": ("number", 0, 1)}
    (line,) = asked(specs, "correlation", {"columns": ["x", "y"]}).answer(frame).table
    assert line["r"] is None or 1 - 1e-12 <= line["r"] <= 1


def test_a_constant_column_has_no_correlation_and_says_so(asked):
    frame = pd.DataFrame({"x": [3] * 12, "y": range(12)})
    specs = {"x": ("integer", 0, 9), "y": ("integer", 0, 20)}
    answer = asked(specs, "correlation", {"columns": ["x", "y"]}).answer(frame)
    assert answer.table[0]["r"] is answer.table[0]["p_value"] is None
    assert any("x and y: a column has one value" in caveat for caveat in answer.caveats)


def test_spearman_and_a_column_with_itself_are_refused(asked, lung_specs):
    specs = lung_specs("age", "time")
    with pytest.raises(PlanRefused, match="Spearman"):
        asked(specs, "correlation", {"columns": ["age", "time"], "method": "spearman"}).plan()
    with pytest.raises(PlanRefused, match="different columns"):
        asked(specs, "correlation", {"columns": ["age", "age"]}).plan()
