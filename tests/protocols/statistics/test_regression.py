import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
import statsmodels.formula.api as smf
from sklearn.datasets import load_breast_cancer, load_diabetes

from protocols.statistics.plan import PlanRefused


def terms(*words):
    return [tuple((w, False) for w in word.split(":")) for word in words]


def check(answer, fitted, order=None):
    order = list(fitted.params.index) if order is None else order
    ends = fitted.conf_int()
    assert len(answer.table) == len(order)
    for line, name in zip(answer.table, order, strict=True):
        assert line["estimate"] == pytest.approx(fitted.params[name], rel=1e-9)
        assert line["std_error"] == pytest.approx(fitted.bse[name], rel=1e-9)
        assert line["statistic"] == pytest.approx(fitted.tvalues[name], rel=1e-9)
        assert line["p_value"] == pytest.approx(fitted.pvalues[name], rel=1e-7)
        assert line["conf_low"] == pytest.approx(ends[0][name], rel=1e-8)
        assert line["conf_high"] == pytest.approx(ends[1][name], rel=1e-8)
    values = answer.values
    assert values["n"] == fitted.nobs
    assert values["r_squared"] == pytest.approx(fitted.rsquared, rel=1e-9)
    assert values["adj_r_squared"] == pytest.approx(fitted.rsquared_adj, rel=1e-9)
    assert values["sigma"] == pytest.approx(np.sqrt(fitted.scale), rel=1e-9)
    assert values["F"] == pytest.approx(fitted.fvalue, rel=1e-9)
    assert values["p_value"] == pytest.approx(fitted.f_pvalue, rel=1e-7)


def test_lung_with_a_category_agrees_with_statsmodels(asked, lung, lung_specs, uneven):
    specs = lung_specs("time", "age", "sex", "wt.loss")
    ask = {"response": "time", "terms": terms("age", "sex", "wt.loss")}
    answer = asked(specs, "linear_model", ask).answer(*uneven(lung))
    frame = lung.rename(columns={"wt.loss": "loss"})
    fitted = smf.ols("time ~ age + C(sex, Treatment('male')) + loss", frame).fit()
    order = ["Intercept", "age", "C(sex, Treatment('male'))[T.female]", "loss"]
    check(answer, fitted, order)
    names = [line["term"] for line in answer.table]
    assert names == ["(intercept)", "age", "sex[female]", "wt.loss"]
    assert answer.left_out == 14
    assert answer.precision.startswith("exact")


def test_interactions_and_categories_of_whole_numbers_agree(asked, lung, lung_specs):
    specs = {**lung_specs("time", "age", "sex"), "ecog": ("integer", 0, 2)}
    frame = lung.rename(columns={"ph.ecog": "ecog"})
    frame = frame[frame["ecog"] != 3]
    ask = {"response": "time", "terms": [*terms("age", "sex", "age:sex"), (("ecog", True),)]}
    answer = asked(specs, "linear_model", ask).answer(frame[:90], frame[90:])
    sex = "C(sex, Treatment('male'))"
    fitted = smf.ols(f"time ~ age * {sex} + C(ecog)", frame).fit()
    order = [
        "Intercept",
        "age",
        f"{sex}[T.female]",
        f"age:{sex}[T.female]",
        "C(ecog)[T.1.0]",
        "C(ecog)[T.2.0]",
    ]
    check(answer, fitted, order)
    assert [line["term"] for line in answer.table][3:] == ["age:sex[female]", "ecog[1]", "ecog[2]"]


def test_an_interaction_without_its_margin_is_coded_in_full(asked, lung, lung_specs):
    specs = lung_specs("time", "age", "sex")
    ask = {"response": "time", "terms": terms("age:sex")}
    answer = asked(specs, "linear_model", ask).answer(lung)
    fitted = smf.ols("time ~ age:sex", lung).fit()
    check(answer, fitted, ["Intercept", "age:sex[male]", "age:sex[female]"])


@pytest.mark.parametrize(("load", "columns"), [(load_diabetes, 10), (load_breast_cancer, 9)])
def test_real_numbers_agree_with_statsmodels(asked, load, columns, uneven):
    data = load(as_frame=True)
    frame = data.data.iloc[:, :columns].copy()
    frame.columns = [name.replace(" ", "_") for name in frame.columns]
    frame["y"] = data.target if columns == 10 else data.data.iloc[:, 9]
    specs = {name: ("number", frame[name].min(), frame[name].max()) for name in frame}
    names = list(frame)[:-1]
    answer = asked(specs, "linear_model", {"response": "y", "terms": terms(*names)}).answer(
        *uneven(frame)
    )
    fitted = sm.OLS(frame["y"], sm.add_constant(frame[names])).fit()
    check(answer, fitted)


def test_randhie_with_twenty_thousand_rows_agrees(asked):
    frame = sm.datasets.randhie.load_pandas().data
    specs = {name: ("number", frame[name].min(), frame[name].max()) for name in frame}
    names = [name for name in frame if name != "mdvis"]
    ask = {"response": "mdvis", "terms": terms(*names)}
    answer = asked(specs, "linear_model", ask).answer(frame[:17], frame[17:12000], frame[12000:])
    check(answer, sm.OLS(frame["mdvis"], sm.add_constant(frame[names])).fit())


def test_a_model_without_a_constant_agrees(asked, lung, lung_specs):
    ask = {"response": "time", "terms": terms("age", "ph.karno"), "intercept": False}
    answer = asked(lung_specs("time", "age", "ph.karno"), "linear_model", ask).answer(lung)
    full = lung[["time", "age", "ph.karno"]].dropna()
    check(answer, sm.OLS(full["time"], full[["age", "ph.karno"]]).fit())


@pytest.mark.parametrize("specs", [("integer", 0, 100), ("number", 0, 100)])
def test_collinear_predictors_are_named_and_not_fitted(asked, specs):
    random = np.random.default_rng(6)
    frame = pd.DataFrame({"a": random.integers(0, 40, 60), "y": random.integers(0, 40, 60)})
    frame["b"] = 2 * frame["a"] + 1
    if specs[0] == "number":
        frame["a"] = frame["a"] / 3
        frame["b"] = frame["a"] * 1.7
    ask = {"response": "y", "terms": terms("a", "b")}
    answer = asked({"a": specs, "b": specs, "y": specs}, "linear_model", ask).answer(frame)
    assert not answer.released
    assert answer.table == []
    assert "predictor b is constant, empty, or a combination" in answer.reason


def test_a_constant_predictor_and_an_empty_level_are_named(asked, lung, lung_specs):
    frame = lung[lung.sex == "male"]
    ask = {"response": "time", "terms": terms("age", "sex")}
    answer = asked(lung_specs("time", "age", "sex"), "linear_model", ask).answer(frame)
    assert not answer.released
    assert "sex[female]" in answer.reason


@pytest.mark.parametrize("spec", [("integer", 0, 100), ("number", 0, 100)])
def test_a_perfect_fit_has_no_tests(asked, spec):
    frame = pd.DataFrame({"a": np.arange(20)})
    frame["y"] = 3 * frame["a"] + 4
    ask = {"response": "y", "terms": terms("a")}
    answer = asked({"a": spec, "y": spec}, "linear_model", ask).answer(frame)
    assert [line["estimate"] for line in answer.table] == pytest.approx([4, 3], abs=1e-9)
    assert all(line["std_error"] is line["p_value"] is None for line in answer.table)
    assert any("without a residual" in caveat for caveat in answer.caveats)


@pytest.mark.parametrize(("rows", "released"), [(29, False), (30, True)])
def test_a_model_needs_ten_rows_a_parameter(asked, thresholds, rows, released):
    random = np.random.default_rng(7)
    frame = pd.DataFrame(random.integers(0, 50, (rows, 3)), columns=list("aby"))
    specs = dict.fromkeys("aby", ("integer", 0, 50))
    rules = thresholds(parameters_per_row=0.1)
    ask = {"response": "y", "terms": terms("a", "b")}
    answer = asked(specs, "linear_model", ask, rules).answer(frame)
    assert answer.released is released
    if not released:
        assert "30 complete rows for the 3 parameters" in answer.would_pass


@pytest.mark.parametrize(("small", "released"), [(9, False), (10, True)])
def test_levels_crossed_by_a_sum_are_tested_as_cells(asked, thresholds, small, released):
    counts = {("x", "u"): 40, ("x", "v"): 40, ("y", "u"): 40, ("y", "v"): small}
    rows = [pair for pair, count in counts.items() for _ in range(count)]
    frame = pd.DataFrame(rows, columns=["a", "b"])
    frame["z"] = np.random.default_rng(8).integers(0, 50, len(frame))
    specs = {"a": ("category", ("y", "x")), "b": ("category", ("v", "u")), "z": ("integer", 0, 50)}
    # (y, v) is the reference of both: its cell does not open, yet follows by subtraction
    ask = {"response": "z", "terms": terms("a", "b")}
    answer = asked(specs, "linear_model", ask, thresholds(minimum_cell=10)).answer(frame)
    assert answer.released is released


def test_thirty_predictors_are_solved_exactly_in_seconds(asked):
    random = np.random.default_rng(9)
    frame = pd.DataFrame(random.normal(size=(300, 31)), columns=[f"x{k}" for k in range(31)])
    specs = dict.fromkeys(frame, ("number", -8, 8))
    names = list(frame)[1:]
    answer = asked(specs, "linear_model", {"response": "x0", "terms": terms(*names)}).answer(frame)
    check(answer, sm.OLS(frame["x0"], sm.add_constant(frame[names])).fit())


@pytest.mark.parametrize(
    ("ask", "words"),
    [
        ({"response": "y", "terms": terms("y")}, "both response and predictor"),
        ({"response": "y", "terms": terms("a", "a")}, "stands twice"),
        ({"response": "y", "terms": [], "intercept": False}, "no terms"),
        ({"response": "c", "terms": terms("a")}, "type category, not a number"),
    ],
)
def test_formulas_that_cannot_be_fitted_are_refused(asked, ask, words):
    specs = {"y": ("integer", 0, 9), "a": ("integer", 0, 9), "c": ("category", ("p", "q"))}
    with pytest.raises(PlanRefused, match=words):
        asked(specs, "linear_model", ask).plan()
