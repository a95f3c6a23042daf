import numpy as np
import pandas as pd
import pytest

from p2pmpc.kinds import KINDS
from protocols.disclosure.threshold import MEMBERS
from protocols.statistics.menu import FAMILIES, finish
from protocols.statistics.plan import PlanRefused

X = {"x": ("integer", 0, 50), "g": ("category", ("p", "q"))}
ONE_COLUMN = [
    ("count", {}),
    ("describe", {"columns": ["x"]}),
    ("histogram", {"column": "x", "edges": [0, 25, 50]}),
    ("crosstab", {"rows": "g", "columns": "h"}),
    ("t_test", {"column": "x", "by": "g"}),
    ("anova", {"column": "x", "by": "g"}),
    ("correlation", {"columns": ["x", "y"]}),
    ("linear_model", {"response": "x", "terms": [("y", False)]}),
]
SPECS = {**X, "h": ("boolean",), "y": ("integer", 0, 50)}


def frame_of(rows):
    random = np.random.default_rng(rows)
    return pd.DataFrame(
        {
            "x": np.arange(rows) % 50,
            "y": random.integers(0, 51, rows),
            "g": np.where(np.arange(rows) % 2, "p", "q"),
            "h": np.arange(rows) % 4 < 2,
        }
    )


def test_the_words_of_a_study_and_the_menu_agree_on_what_is_built():
    assert {name for name, kind in KINDS.items() if kind.built} == set(FAMILIES)


def test_every_kind_is_tested_here():
    assert {kind for kind, _ in ONE_COLUMN} == set(FAMILIES)


@pytest.mark.parametrize(("kind", "parameters"), ONE_COLUMN)
@pytest.mark.parametrize(("rows", "released"), [(59, False), (60, True)])
def test_a_cohort_one_below_its_minimum_is_withheld(
    asked, thresholds, kind, parameters, rows, released
):
    frame = frame_of(rows)
    answer = asked(SPECS, kind, parameters, thresholds(minimum_cohort=60)).answer(frame)
    assert answer.released is released
    if not released:
        assert answer.n is None
        assert answer.values == {}
        assert answer.table == []
        assert "60 persons with complete rows" in answer.would_pass
        assert answer.reason


@pytest.mark.parametrize(("kind", "parameters"), ONE_COLUMN)
@pytest.mark.parametrize(("members", "released"), [(2, False), (3, True)])
def test_too_few_members_with_rows_withhold(asked, thresholds, kind, parameters, members, released):
    frame = frame_of(60)
    parts = (
        [frame[:40], frame[40:59], frame[59:]]
        if members == 3
        else [frame[:50], frame[50:], frame[:0]]
    )
    answer = asked(SPECS, kind, parameters, thresholds(minimum_members=3)).answer(*parts)
    assert answer.released is released
    if not released:
        assert "3 members with at least one row" in answer.would_pass


@pytest.mark.parametrize(("kind", "parameters"), ONE_COLUMN)
def test_the_number_of_members_is_tested_but_never_opens(asked, kind, parameters):
    for unit in asked(SPECS, kind, parameters).plan().units:
        assert not any(cell.of_members for cell in unit.opened)
        if not unit.name.startswith(("left_out", "missing")):
            assert unit.checks[-1].rule == MEMBERS


@pytest.mark.parametrize(("kind", "parameters"), ONE_COLUMN)
def test_hidden_cells_change_no_answer(asked, kind, parameters):
    whole = asked(SPECS, kind, parameters)
    sums = whole.sums([frame_of(80)])
    opened = {unit.name: sums[unit.name][: unit.opens] for unit in whole.plan().units}
    assert finish(whole.plan(), sums) == finish(whole.plan(), opened)


@pytest.mark.parametrize(
    ("missing", "zeros", "shown"),
    [
        (10, "suppress", 10),
        (9, "suppress", None),
        (9, "show", None),
        (0, "suppress", None),
        (0, "show", 0),
    ],
)
def test_left_out_rows_are_a_cell_of_their_own(asked, thresholds, missing, zeros, shown):
    frame = frame_of(80).astype({"x": float})
    frame.loc[: missing - 1, "x"] = None
    rules = thresholds(minimum_cell=10, zeros=zeros)
    answer = asked(SPECS, "t_test", {"column": "x", "by": "g"}, rules).answer(frame)
    assert answer.released
    assert answer.n == 80 - missing
    assert answer.left_out == shown
    assert not answer.suppressed
    assert any("left out" in words for words in answer.caveats) == (shown is None)


def test_a_kind_that_is_not_built_is_refused_by_name(asked):
    with pytest.raises(PlanRefused, match="kaplan_meier is not built yet") as refused:
        asked(X, "kaplan_meier", {}).plan()
    assert "describe" in refused.value.would_pass


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (("number", None, None), "no bounds in the dictionary"),
        (("text", None, None), "type text, not a number"),
        (("integer", -(2**70), 2**70), "column x does not fit the arithmetic"),
    ],
)
def test_columns_that_cannot_be_summed_are_refused_by_name(asked, spec, words):
    with pytest.raises(PlanRefused, match=words) as refused:
        asked({"x": spec}, "describe", {"columns": ["x"]}).plan()
    assert "x" in refused.value.reason
    assert refused.value.would_pass


def test_rows_beyond_the_ring_are_refused(asked):
    with pytest.raises(PlanRefused, match="rows do not fit"):
        asked(X, "count", {}, rows_max=2**39).plan()


def test_products_of_too_many_owners_are_refused_by_column(joined):
    specs = {f"t{k}": {f"c{k}": ("number", 0, 1)} for k in range(5)}
    words = [f"t{k}.c{k}" for k in range(5)]
    term = tuple((word, False) for word in words[1:])
    ask = {"response": words[0], "terms": [term]}
    with pytest.raises(PlanRefused, match="products of c1, c2, c3, c4 do not"):
        joined(specs, "linear_model", ask, rows_max=1 << 20).plan()


def test_small_whole_numbers_fit_the_narrow_ring(asked, lung_specs):
    assert asked(lung_specs("age"), "describe", {"columns": ["age"]}).plan().words == 1
    assert asked(lung_specs("meal.cal"), "describe", {"columns": ["meal.cal"]}).plan().words == 2
