from itertools import combinations_with_replacement

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer, load_diabetes


def check(line, column):
    column = column.dropna()
    assert line["n"] == len(column)
    assert line["mean"] == pytest.approx(column.mean(), rel=1e-12)
    assert line["var"] == pytest.approx(column.var(), rel=1e-12)
    assert line["sd"] == pytest.approx(column.std(), rel=1e-12)
    assert line["skewness"] == pytest.approx(stats.skew(column), rel=1e-9, abs=1e-12)
    assert line["kurtosis"] == pytest.approx(stats.kurtosis(column), rel=1e-9, abs=1e-12)


def test_lung_is_described_as_pandas_and_scipy_do(asked, lung, lung_specs, uneven):
    names = ["age", "time", "meal.cal", "wt.loss", "ph.ecog"]
    answer = asked(lung_specs(*names), "describe", {"columns": names}).answer(*uneven(lung))
    assert answer.released
    for line in answer.table:
        check(line, lung[line["column"]])
        assert line["missing"] == lung[line["column"]].isna().sum()
        assert line["median"] is line["min"] is None


def test_by_level_is_described_as_pandas_groups(asked, lung, lung_specs, uneven):
    specs = lung_specs("wt.loss", "sex")
    answer = asked(specs, "describe", {"columns": ["wt.loss"], "by": "sex"}).answer(*uneven(lung))
    assert [line["sex"] for line in answer.table] == ["male", "female"]
    for line in answer.table:
        group = lung[lung["sex"] == line["sex"]]["wt.loss"]
        check(line, group)
        assert line["missing"] == group.isna().sum()


@pytest.mark.parametrize("load", [load_breast_cancer, load_diabetes])
def test_real_numbers_without_decimals_agree(asked, load, uneven):
    frame = load(as_frame=True).data.iloc[:, :10]
    specs = {name: ("number", frame[name].min(), frame[name].max()) for name in frame}
    answer = asked(specs, "describe", {"columns": list(frame)}).answer(*uneven(frame))
    for line in answer.table:
        column = frame[line["column"]]
        assert line["mean"] == pytest.approx(column.mean(), rel=1e-12, abs=1e-16)
        assert line["var"] == pytest.approx(column.var(), rel=1e-12)
        assert line["skewness"] == pytest.approx(stats.skew(column), rel=1e-9)
        assert line["kurtosis"] == pytest.approx(stats.kurtosis(column), rel=1e-9)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_huge_and_tiny_magnitudes_agree(asked, scale):
    values = np.random.default_rng(3).uniform(-1, 1, 400) * scale
    frame = pd.DataFrame({"x": values})
    answer = asked({"x": ("number", -scale, scale)}, "describe", {"columns": ["x"]}).answer(frame)
    (line,) = answer.table
    assert line["mean"] == pytest.approx(values.mean(), rel=1e-12)
    assert line["sd"] == pytest.approx((values / scale).std(ddof=1) * scale, rel=1e-12)
    assert line["skewness"] == pytest.approx(stats.skew(values / scale), rel=1e-9)
    if scale in (1e-300, 1e300):
        assert line["var"] is None
        assert any("beyond the range" in caveat for caveat in answer.caveats)


def test_a_narrow_column_far_from_zero_keeps_its_variance(asked):
    values = 1e9 + np.random.default_rng(4).uniform(0, 1, 500)
    frame = pd.DataFrame({"x": values})
    answer = asked({"x": ("number", 1e9, 1e9 + 1)}, "describe", {"columns": ["x"]}).answer(frame)
    assert answer.table[0]["var"] == pytest.approx((values - 1e9).var(ddof=1), rel=1e-12)


def test_a_constant_column_has_no_shape_and_says_so(asked):
    frame = pd.DataFrame({"x": [3.25] * 20})
    answer = asked({"x": ("number", 0, 10)}, "describe", {"columns": ["x"]}).answer(frame)
    (line,) = answer.table
    assert line["mean"] == 3.25
    assert line["skewness"] is line["kurtosis"] is None
    assert any("one value only" in caveat for caveat in answer.caveats)


def test_one_row_has_a_mean_and_no_spread(asked):
    answer = asked({"x": ("integer", 0, 9)}, "describe", {"columns": ["x"]}).answer(
        pd.DataFrame({"x": [4]})
    )
    (line,) = answer.table
    assert (line["n"], line["mean"], line["sd"], line["var"]) == (1, 4.0, None, None)


def test_a_category_is_described_by_its_levels(asked, lung, lung_specs):
    answer = asked(lung_specs("sex"), "describe", {"columns": ["sex"]}).answer(lung)
    assert [(line["level"], line["n"]) for line in answer.table] == [("male", 138), ("female", 90)]


def test_a_boolean_and_a_two_valued_integer_are_means_of_counts(asked, lung, lung_specs):
    frame = lung.assign(dead=lung["status"].astype(bool))
    specs = {**lung_specs("status"), "dead": ("boolean",)}
    answer = asked(specs, "describe", {"columns": ["status", "dead"]}).answer(frame)
    for line in answer.table:
        check(line, lung["status"])


def test_left_out_rows_of_a_single_column_are_counted(asked, lung, lung_specs):
    answer = asked(lung_specs("wt.loss"), "describe", {"columns": ["wt.loss"]}).answer(lung)
    assert (answer.n, answer.left_out) == (214, 14)


def test_one_small_group_is_withheld_and_the_other_shown(asked, lung, lung_specs, thresholds):
    frame = pd.concat([lung[lung.sex == "male"], lung[lung.sex == "female"].iloc[:9]])
    answer = asked(
        lung_specs("age", "sex"),
        "describe",
        {"columns": ["age"], "by": "sex"},
        thresholds(minimum_cell=10),
    ).answer(frame)
    shown, hidden = answer.table
    check(shown, lung[lung.sex == "male"]["age"])
    assert hidden["n"] is hidden["mean"] is None
    assert {"row": "age, female", "column": "n"}.items() <= answer.suppressed[0].items()


def scores(*counts):
    return pd.DataFrame({"x": [k for k, count in enumerate(counts) for _ in range(count)]})


@pytest.mark.parametrize(("smallest", "given"), [(9, False), (10, True)])
def test_four_powers_of_five_values_are_tested_as_their_counts(asked, thresholds, smallest, given):
    frame = scores(30, 20, 20, 15, smallest)
    rules = thresholds(minimum_cell=10, zeros="suppress")
    answer = asked({"x": ("integer", 0, 4)}, "describe", {"columns": ["x"]}, rules).answer(frame)
    (line,) = answer.table
    assert line["sd"] == pytest.approx(frame["x"].std(), rel=1e-12)
    assert (line["skewness"] is not None) == (line["kurtosis"] is not None) == given
    if not given:
        hidden = {item["column"]: item["would_pass"] for item in answer.suppressed}
        assert "10 persons in every group" in hidden["skewness, kurtosis"]
    wide = asked({"x": ("integer", 0, 120)}, "describe", {"columns": ["x"]}, rules).answer(frame)
    check(wide.table[0], frame["x"])


@pytest.mark.parametrize(("smallest", "released"), [(9, False), (10, True)])
def test_squares_of_three_values_are_tested_as_their_counts(asked, thresholds, smallest, released):
    frame = scores(30, 20, smallest).assign(y=lambda f: f.index % 7, g=lambda f: f.index % 2 == 0)
    specs = {"x": ("integer", 0, 2), "y": ("integer", 0, 9)}
    rules = thresholds(minimum_cell=10)
    for kind, ask in (
        ("describe", {"columns": ["x"]}),
        ("correlation", {"columns": ["x", "y"]}),
        ("linear_model", {"response": "x", "terms": [("y", False)]}),
        ("t_test", {"columns": ["y", "x"], "paired": True}),
    ):
        assert asked(specs, kind, ask, rules).answer(frame).released is released
    groups = {**specs, "g": ("boolean",)}
    crossed = asked(groups, "t_test", {"column": "x", "by": "g"}, thresholds(minimum_cell=5))
    assert crossed.answer(frame).released is released  # 5 of each in both groups, or 4 in one


def test_four_powers_do_not_open_where_they_give_every_age_away(asked, thresholds):
    """Of all ways to give six persons ages from 40 to 60 only one has the four sums."""
    ages = (41, 47, 48, 52, 53, 60)
    sums = [sum(age**k for age in ages) for k in (1, 2, 3, 4)]
    ways = combinations_with_replacement(range(40, 61), len(ages))
    assert [w for w in ways if [sum(a**k for a in w) for k in (1, 2, 3, 4)] == sums] == [ages]
    rules = thresholds(minimum_cell=5)
    for specs, persons in ((("integer", 0, 120), 25), (("number", 0, 120), 24)):
        for n in (6, persons - 1, persons):
            frame = pd.DataFrame({"x": [ages[k % len(ages)] for k in range(n)]})
            answer = asked({"x": specs}, "describe", {"columns": ["x"]}, rules).answer(frame)
            (line,) = answer.table
            assert line["sd"] is not None
            assert (line["skewness"] is not None) == (n >= persons)
