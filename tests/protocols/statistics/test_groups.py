import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.datasets import load_breast_cancer
from statsmodels.stats.oneway import anova_oneway
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from protocols.statistics.plan import PlanRefused

SEXES = ["male", "female"]


def split(frame, column, by, levels):
    return [frame[frame[by] == level][column].dropna().to_numpy(float) for level in levels]


@pytest.mark.parametrize("equal_var", [False, True])
def test_t_test_agrees_with_scipy(asked, lung, lung_specs, uneven, equal_var):
    ask = {"column": "wt.loss", "by": "sex", "equal_var": equal_var}
    answer = asked(lung_specs("wt.loss", "sex"), "t_test", ask).answer(*uneven(lung))
    first, second = split(lung, "wt.loss", "sex", SEXES)
    expected = stats.ttest_ind(first, second, equal_var=equal_var)
    means = CompareMeans(DescrStatsW(first), DescrStatsW(second))
    low, high = means.tconfint_diff(usevar="pooled" if equal_var else "unequal")
    values = answer.values
    assert values["t"] == pytest.approx(expected.statistic, rel=1e-12)
    assert values["df"] == pytest.approx(expected.df, rel=1e-12)
    assert values["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
    assert values["difference"] == pytest.approx(first.mean() - second.mean(), rel=1e-12)
    assert (values["conf_low"], values["conf_high"]) == pytest.approx((low, high), rel=1e-9)
    pooled = means.std_meandiff_pooledvar / np.sqrt(1 / len(first) + 1 / len(second))
    assert values["cohens_d"] == pytest.approx((first.mean() - second.mean()) / pooled, rel=1e-9)
    assert (answer.n, answer.left_out) == (214, 14)


def test_t_test_of_real_numbers_agrees(asked, uneven):
    data = load_breast_cancer(as_frame=True)
    frame = data.data[["mean area"]].assign(benign=data.target.astype(bool))
    specs = {"mean area": ("number", 0, 3000), "benign": ("boolean",)}
    ask = {"column": "mean area", "by": "benign"}
    values = asked(specs, "t_test", ask).answer(*uneven(frame)).values
    first, second = split(frame, "mean area", "benign", [False, True])
    expected = stats.ttest_ind(first, second, equal_var=False)
    assert values["t"] == pytest.approx(expected.statistic, rel=1e-9)
    assert values["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_paired_t_test_agrees_with_scipy(asked, lung, lung_specs, uneven):
    specs = {**lung_specs("ph.karno"), "pat.karno": ("integer", 0, 100)}
    ask = {"columns": ["ph.karno", "pat.karno"], "paired": True}
    answer = asked(specs, "t_test", ask).answer(*uneven(lung))
    both = lung[["ph.karno", "pat.karno"]].dropna()
    expected = stats.ttest_rel(both["ph.karno"], both["pat.karno"])
    assert answer.values["t"] == pytest.approx(expected.statistic, rel=1e-12)
    assert answer.values["df"] == expected.df
    assert answer.values["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
    ends = expected.confidence_interval()
    assert answer.values["conf_low"] == pytest.approx(ends.low, rel=1e-9)
    pooled = np.sqrt((both["ph.karno"].var() + both["pat.karno"].var()) / 2)
    difference = (both["ph.karno"] - both["pat.karno"]).mean()
    assert answer.values["cohens_d"] == pytest.approx(difference / pooled, rel=1e-9)


def test_anova_agrees_with_scipy(asked, lung, uneven):
    specs = {"time": ("integer", 0, 2000), "ph.ecog": ("integer", 0, 2)}
    frame = lung[lung["ph.ecog"] != 3]
    answer = asked(specs, "anova", {"column": "time", "by": "ph.ecog"}).answer(*uneven(frame))
    groups = split(frame, "time", "ph.ecog", [0, 1, 2])
    expected = stats.f_oneway(*groups)
    assert answer.values["F"] == pytest.approx(expected.statistic, rel=1e-12)
    assert answer.values["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)
    assert (answer.values["df_between"], answer.values["df_within"]) == (2, len(frame) - 1 - 3)
    every = np.concatenate(groups)
    between = sum(len(g) * (g.mean() - every.mean()) ** 2 for g in groups)
    total = ((every - every.mean()) ** 2).sum()
    assert answer.values["eta_squared"] == pytest.approx(between / total, rel=1e-10)
    assert answer.values["levene_W"] is None


def test_welch_anova_agrees_with_statsmodels(asked, lung):
    specs = {"time": ("integer", 0, 2000), "ph.ecog": ("integer", 0, 2)}
    frame = lung[lung["ph.ecog"] != 3]
    ask = {"column": "time", "by": "ph.ecog", "welch": True}
    answer = asked(specs, "anova", ask).answer(frame)
    expected = anova_oneway(split(frame, "time", "ph.ecog", [0, 1, 2]), use_var="unequal")
    assert answer.values["F"] == pytest.approx(expected.statistic, rel=1e-10)
    assert answer.values["df_within"] == pytest.approx(expected.df_denom, rel=1e-10)
    assert answer.values["p_value"] == pytest.approx(expected.pvalue, rel=1e-9)


def test_a_level_absent_at_a_site_changes_nothing(asked, lung, lung_specs, thresholds):
    ask = {"column": "age", "by": "sex"}
    members = asked(lung_specs("age", "sex"), "t_test", ask, thresholds(minimum_members=2))
    apart = members.answer(lung[lung.sex == "male"], lung[lung.sex == "female"])
    assert apart.values == members.answer(lung[:100], lung[100:]).values


def test_a_group_of_one_value_leaves_nothing_to_test(asked):
    frame = pd.DataFrame({"x": [2, 2, 2, 2], "g": [True, True, False, False]})
    specs = {"x": ("integer", 0, 9), "g": ("boolean",)}
    answer = asked(specs, "t_test", {"column": "x", "by": "g"}).answer(frame)
    assert answer.values["difference"] == 0
    assert answer.values["t"] is answer.values["p_value"] is None
    assert any("nothing to test" in caveat for caveat in answer.caveats)


def test_an_empty_group_leaves_nothing_to_test(asked):
    frame = pd.DataFrame({"x": [2, 3, 4, 7], "g": [True] * 4})
    specs = {"x": ("integer", 0, 9), "g": ("boolean",)}
    t = asked(specs, "t_test", {"column": "x", "by": "g"}).answer(frame)
    assert all(value is None for value in t.values.values())
    f = asked(specs, "anova", {"column": "x", "by": "g"}).answer(frame)
    assert f.values["F"] is None


def test_more_than_two_levels_are_refused_with_the_way_out(asked, lung_specs):
    specs = lung_specs("age", "ph.ecog")
    with pytest.raises(PlanRefused, match="has 5 levels") as refused:
        asked(specs, "t_test", {"column": "age", "by": "ph.ecog"}).plan()
    assert "anova" in refused.value.would_pass


@pytest.mark.parametrize(("size", "released"), [(9, False), (10, True)])
def test_every_group_needs_the_minimum(asked, thresholds, size, released):
    frame = pd.DataFrame({"x": np.arange(30 + size) % 7, "g": [True] * 30 + [False] * size})
    specs = {"x": ("integer", 0, 9), "g": ("boolean",)}
    for kind in ("t_test", "anova"):
        rules = thresholds(minimum_cell=10)
        answer = asked(specs, kind, {"column": "x", "by": "g"}, rules).answer(frame)
        assert answer.released is released
        if not released:
            assert "10 persons in every group" in answer.would_pass
