import numpy as np
import pandas as pd
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2

from protocols.statistics.distribution import fisher_two_sided

AB = {"a": ("category", ("x", "y")), "b": ("category", ("u", "v"))}
ASK = {"rows": "a", "columns": "b"}


def frame_of(table, **more):
    cells = [("x", "u"), ("x", "v"), ("y", "u"), ("y", "v")]
    rows = [cell for cell, count in zip(cells, np.ravel(table), strict=True) for _ in range(count)]
    return pd.DataFrame(rows, columns=["a", "b"]).assign(**more)


@pytest.mark.parametrize("table", [[[12, 5], [29, 2]], [[3, 1], [2, 8]], [[700, 900], [650, 830]]])
def test_two_by_two_agrees_with_scipy_and_statsmodels(asked, table, uneven):
    values = asked(AB, "crosstab", ASK).answer(*uneven(frame_of(table))).values
    chi2, p, df, _ = stats.chi2_contingency(table, correction=False)
    assert values["chi2"] == pytest.approx(chi2, rel=1e-12)
    assert values["p_value"] == pytest.approx(p, rel=1e-9)
    assert values["df"] == df
    yates = stats.chi2_contingency(table, correction=True)[0]
    assert values["chi2_yates"] == pytest.approx(yates, rel=1e-12)
    assert values["cramers_v"] == pytest.approx(stats.contingency.association(table), rel=1e-12)
    assert values["fisher_p"] == pytest.approx(stats.fisher_exact(table)[1], rel=1e-9)
    low, high = Table2x2(np.array(table)).oddsratio_confint()
    assert values["odds_ratio"] == pytest.approx(Table2x2(np.array(table)).oddsratio, rel=1e-12)
    assert (values["conf_low"], values["conf_high"]) == pytest.approx((low, high), rel=1e-9)


def test_a_larger_table_agrees_with_scipy(asked, lung, lung_specs, uneven):
    specs = {**lung_specs("sex"), "ph.ecog": ("integer", 0, 3)}
    answer = asked(specs, "crosstab", {"rows": "sex", "columns": "ph.ecog"}).answer(*uneven(lung))
    table = pd.crosstab(lung["sex"], lung["ph.ecog"]).loc[["male", "female"]]
    assert [line["count"] for line in answer.table] == table.to_numpy().ravel().tolist()
    chi2, p, df, _ = stats.chi2_contingency(table, correction=False)
    assert answer.values["chi2"] == pytest.approx(chi2, rel=1e-12)
    assert answer.values["p_value"] == pytest.approx(p, rel=1e-9)
    assert answer.values["df"] == df
    assert answer.left_out == 1
    assert "fisher_p" not in answer.values


def test_strata_agree_with_mantel_and_haenszel_in_statsmodels(asked):
    tables = [
        np.array([[12, 5], [9, 12]]),
        np.array([[30, 21], [10, 18]]),
        np.array([[4, 3], [2, 6]]),
    ]
    frame = pd.concat([frame_of(t, s=k) for k, t in zip("pqr", tables, strict=True)])
    specs = {**AB, "s": ("category", tuple("pqr"))}
    answer = asked(specs, "crosstab", {**ASK, "strata": "s"}).answer(frame)
    reference = StratifiedTable(tables)
    assert answer.values["mantel_haenszel_or"] == pytest.approx(
        reference.oddsratio_pooled, rel=1e-12
    )
    assert answer.values["mantel_haenszel_p"] == pytest.approx(
        reference.test_null_odds(correction=True).pvalue, rel=1e-9
    )
    summed = sum(tables)
    assert answer.values["chi2"] == pytest.approx(
        stats.chi2_contingency(summed, correction=False)[0], rel=1e-12
    )
    assert [line["count"] for line in answer.table] == np.ravel(tables).tolist()


@pytest.mark.parametrize(
    "table",
    [(3, 1, 1, 3), (10, 0, 0, 10), (1, 9, 11, 3), (5, 5, 5, 5), (0, 4, 5, 1), (900, 950, 30, 1200)],
)
def test_fisher_sums_ties_as_scipy_does(table):
    a, b, c, d = table
    expected = stats.fisher_exact([[a, b], [c, d]])[1]
    assert float(fisher_two_sided(a, b, c, d)) == pytest.approx(expected, rel=1e-9)


def test_fisher_by_recurrence_agrees_with_whole_numbers(monkeypatch):
    from protocols.statistics import distribution

    exact = [fisher_two_sided(a, 120 - a, 90, 200) for a in range(0, 121, 7)]
    monkeypatch.setattr(distribution, "EXACT_PERSONS_MAX", 0)
    rough = [fisher_two_sided(a, 120 - a, 90, 200) for a in range(0, 121, 7)]
    assert [float(p) for p in rough] == pytest.approx([float(p) for p in exact], rel=1e-11)


def test_an_empty_column_is_left_out_of_the_tests_and_said(asked):
    specs = {**AB, "b": ("category", ("u", "v", "w"))}
    answer = asked(specs, "crosstab", ASK).answer(frame_of([[12, 5], [29, 2]]))
    chi2 = stats.chi2_contingency([[12, 5], [29, 2]], correction=False)[0]
    assert answer.values["chi2"] == pytest.approx(chi2, rel=1e-12)
    assert any("left out of the tests" in caveat for caveat in answer.caveats)


def test_an_empty_cell_makes_no_silent_odds_ratio(asked):
    infinite = asked(AB, "crosstab", ASK).answer(frame_of([[12, 0], [9, 5]]))
    assert infinite.values["odds_ratio"] is infinite.values["conf_low"] is None
    assert any("infinite" in caveat for caveat in infinite.caveats)
    zero = asked(AB, "crosstab", ASK).answer(frame_of([[0, 12], [9, 5]]))
    assert zero.values["odds_ratio"] == 0
    assert zero.values["conf_high"] is None


def test_everybody_in_one_row_leaves_nothing_to_test(asked):
    answer = asked(AB, "crosstab", ASK).answer(frame_of([[12, 8], [0, 0]]))
    assert answer.values["chi2"] is answer.values["fisher_p"] is None
    assert any("nothing to test" in caveat for caveat in answer.caveats)


@pytest.mark.parametrize(
    ("smallest", "zeros", "released"),
    [
        (10, "suppress", True),
        (9, "suppress", False),
        (9, "show", False),
        (0, "suppress", False),
        (0, "show", True),
    ],
)
def test_a_table_opens_only_if_every_cell_may(asked, thresholds, smallest, zeros, released):
    rules = thresholds(minimum_cell=10, zeros=zeros)
    answer = asked(AB, "crosstab", ASK, rules).answer(frame_of([[12, 15], [29, smallest]]))
    assert answer.released is released
    if not released:
        assert answer.suppressed[0]["rule"] == "MinimumThresholdCheck"
        assert answer.values == {}
        assert answer.table == []
