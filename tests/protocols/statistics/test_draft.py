import pytest

from protocols.statistics.answer import NAMED_MAX
from protocols.statistics.draft import COMBINATIONS_MAX, WHOLE_LEVELS_MAX, canonical
from protocols.statistics.menu import ROWS_MAX
from protocols.statistics.plan import Level, PlanRefused, Power
from protocols.statistics.regression import PARAMETERS_MAX

X, Y = ("t", "x"), ("t", "y")


def test_products_have_one_spelling():
    assert canonical([Power(Y, 1), Level(X, 2), Power(Y, 2), Level(X, 2)]) == (
        Level(X, 2),
        Power(Y, 3),
    )
    assert canonical([Level(X, 1), Level(X, 2)]) is None
    assert canonical([]) == ()


def test_a_cross_of_more_cells_than_its_limit_is_refused(asked):
    side = int(COMBINATIONS_MAX**0.5)
    levels = [str(k) for k in range(side)]
    specs = {"a": ("category", levels), "b": ("category", levels)}
    ask = {"rows": "a", "columns": "b"}
    assert asked(specs, "crosstab", ask).plan().unit("main").opens == COMBINATIONS_MAX + 1
    specs["b"] = ("category", [*levels, "one more"])
    with pytest.raises(PlanRefused, match=f"more than {COMBINATIONS_MAX} cells"):
        asked(specs, "crosstab", ask).plan()


def test_a_whole_number_of_more_values_than_its_limit_is_no_group(asked):
    for last, fits in ((WHOLE_LEVELS_MAX - 1, True), (WHOLE_LEVELS_MAX, False)):
        whole = asked({"a": ("integer", 0, last)}, "count", {"by": "a"})
        if fits:
            assert len(whole.plan().units) == WHOLE_LEVELS_MAX + 1
        else:
            with pytest.raises(PlanRefused, match="the column a has no levels"):
                whole.plan()


def test_rows_up_to_their_limit_are_planned(asked):
    assert asked({}, "count", {}, rows_max=ROWS_MAX - 1, members=1).plan().rows_max
    with pytest.raises(PlanRefused, match=f"{ROWS_MAX} rows do not fit"):
        asked({}, "count", {}, rows_max=ROWS_MAX, members=1).plan()


def test_a_model_of_more_parameters_than_its_limit_is_refused(asked):
    specs = {f"x{k}": ("integer", 0, 9) for k in range(PARAMETERS_MAX + 1)}
    names = list(specs)
    fits = [(name, False) for name in names[1:PARAMETERS_MAX]]  # and the constant
    asked(specs, "linear_model", {"response": "x0", "terms": fits}).plan()
    more = [(name, False) for name in names[1:]]
    with pytest.raises(PlanRefused, match=f"the model has {PARAMETERS_MAX + 1} parameters"):
        asked(specs, "linear_model", {"response": "x0", "terms": more}).plan()


@pytest.mark.parametrize(("columns", "words"), [(9, ""), (10, " and 6 more sums alike")])
def test_opened_sums_are_named_one_by_one_up_to_a_limit(asked, lung, columns, words):
    names = [f"x{k}" for k in range(columns)]
    specs = dict.fromkeys(names, ("integer", 0, 12))
    frame = lung[["age"]].assign(**{name: lung["age"] % (k + 2) for k, name in enumerate(names)})
    answer = asked(specs, "correlation", {"columns": names}).answer(frame)
    assert 1 + 2 * 9 + 9 * 8 // 2 <= NAMED_MAX < 1 + 2 * 10 + 10 * 9 // 2
    assert answer.opened[0].endswith(words)
    assert ("alike" in answer.opened[0]) == bool(words)


def test_columns_of_one_name_carry_their_alias(joined):
    specs = {"a": {"x": ("integer", 0, 9), "z": ("integer", 0, 9)}, "b": {"x": ("integer", 0, 9)}}
    ask = {"response": "a.z", "terms": [("a.x", False), ("b.x", False)]}
    plan = joined(specs, "linear_model", ask).plan()
    assert plan.question.names == ("(intercept)", "a.x", "b.x")
