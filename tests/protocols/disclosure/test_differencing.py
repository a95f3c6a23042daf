"""What two statistics of one study give away when subtracted: the later one stays closed."""

from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

from protocols.disclosure import differencing
from protocols.disclosure.differencing import guarded
from protocols.disclosure.threshold import DIFFERENCE, Thresholds, all_pass
from protocols.statistics.cells import features, linked_layout, pooled_cells
from protocols.statistics.menu import finish, plan_statistic
from protocols.statistics.plan import ColumnFacts, PlanRefused, Values

RULES = Thresholds(5, 5, 2, Fraction(1), "show", "never")
ROWS = 60


def number(name, alias="patients"):
    return ColumnFacts((alias, name), "integer", Decimal(0), Decimal(200), None, ())


SEX = ColumnFacts(("patients", "sex"), "category", None, None, None, ("f", "m"))
AGE, WEIGHT, HEIGHT = number("age"), number("weight"), number("height")
FACTS = {one.key[1]: one for one in (SEX, AGE, WEIGHT, HEIGHT)}


def plans(asked, rules=RULES, aliases=("patients",), linked=False, facts=FACTS):
    """The study's plans in order, each guarded against those before it. asked: (kind, words)"""
    made = []
    for place, (kind, parameters) in enumerate(asked):
        words = {word: one for word, one in facts.items() if word in repr(parameters)}
        plan = plan_statistic(f"s{place}", kind, parameters, words, rules, 100, 2, linked, aliases)
        made.append(guarded(plan, made, rules))
    return made


def table(ages=None, females=20, without=()):
    """60 persons at two members; `without`: (column, row) that has no value."""
    coins = np.random.default_rng(1)
    columns = {
        "sex": (np.arange(ROWS) >= females).astype(np.int64),
        "age": np.asarray(ages) if ages is not None else 20 + np.arange(ROWS),
        "weight": coins.integers(50, 90, ROWS),
        "height": coins.integers(150, 190, ROWS),
    }
    missing = {name: np.zeros(ROWS, bool) for name in columns}
    for name, row in without:
        missing[name][row] = True
    return {FACTS[name].key: (numbers, missing[name]) for name, numbers in columns.items()}


def opened(plan, rows):
    total = {unit.name: [0] * len(unit.cells) for unit in plan.units}
    for part in (slice(0, 30), slice(30, ROWS)):
        mine = {
            one.key: Values(rows[one.key][0][part], rows[one.key][1][part]) for one in plan.facts
        }
        for unit, cells in pooled_cells(plan, mine, np.ones(30, bool)).items():
            total[unit] = [a + b for a, b in zip(total[unit], cells, strict=True)]
    return {
        unit.name: total[unit.name][: unit.opens]
        if all_pass(unit.checks, total[unit.name])
        else None
        for unit in plan.units
    }


MODEL = (
    "linear_model",
    {"response": "age", "terms": [(("weight", False),)], "formula": "age ~ weight"},
)
DESCRIBED = ("describe", {"columns": ("age",)})


@pytest.mark.parametrize(("lacking", "passes"), [(0, True), (1, False), (4, False), (5, True)])
def test_a_person_who_lacks_one_value_is_not_the_difference_of_two_sums(lacking, passes):
    first, later = plans([DESCRIBED, MODEL])
    rows = table(without=[("weight", row) for row in range(lacking)])
    assert opened(first, rows)["age"] is not None
    assert (opened(later, rows)["main"] is not None) == passes
    assert DIFFERENCE in {check.rule for check in later.unit("main").checks}


def test_it_does_not_matter_which_columns_hide_the_one_person():
    """Neither set of columns holds the other: complete in age and height, in age and weight."""
    other = ("correlation", {"columns": ("age", "height")})
    rows = table(without=[("weight", 7)])
    assert opened(plans([other, MODEL])[1], rows)["main"] is None
    assert opened(plans([MODEL, other])[1], rows)["main"] is None


def test_a_total_does_not_give_back_a_level_that_was_too_small():
    total, levels = plans([("count", {}), ("count", {"by": "sex"})])
    rows = table(females=3)
    assert opened(total, rows)["main"] == [ROWS]
    found = opened(levels, rows)
    assert found["level 0"] is None
    assert found["level 1"] is None
    levels, total = plans([("count", {"by": "sex"}), ("count", {})])
    assert opened(levels, rows)["level 1"] == [ROWS - 3]
    assert opened(total, rows)["main"] is None
    assert "differs from s0" in finish(total, opened(total, rows)).would_pass


def test_a_total_that_follows_from_the_persons_left_out_is_a_total():
    """Weights lack for the three women and five men: 52 described, 8 left out, 57 men."""
    described = ("describe", {"columns": ("weight",)})
    rows = table(females=3, without=[("weight", row) for row in range(8)])
    first, levels = plans([described, ("count", {"by": "sex"})])
    assert opened(first, rows)["missing weight"] == [8]
    assert opened(levels, rows)["level 1"] is None
    levels, later = plans([("count", {"by": "sex"}), described])
    assert opened(levels, rows)["level 1"] == [ROWS - 3]
    assert opened(later, rows) == {"weight": None, "shape of weight": None, "missing weight": None}


@pytest.mark.parametrize(("smallest", "passes"), [(4, False), (5, True)])
def test_two_levels_that_are_shown_do_not_give_the_third_with_a_total(smallest, passes):
    stage = ColumnFacts(("patients", "stage"), "category", None, None, None, ("x", "y", "z"))
    facts = {**FACTS, "stage": stage}
    codes = np.where(np.arange(ROWS) < smallest, 2, np.arange(ROWS) % 2)
    rows = table() | {stage.key: (codes, np.zeros(ROWS, bool))}
    for split in (("count", {"by": "stage"}), ("describe", {"columns": ("age",), "by": "stage"})):
        alone = opened(plans([split], facts=facts)[0], rows)
        assert sum(found is not None for found in alone.values()) >= 2
        for asked in ([("count", {}), split], [split, ("count", {})]):
            later = opened(plans(asked, facts=facts)[1], rows)
            main = [
                found
                for name, found in later.items()
                if name.split()[0] in ("main", "level", "age")
            ]
            assert all((found is not None) == passes for found in main)


def test_the_mean_of_a_small_group_does_not_follow_from_the_others_and_all():
    grouped, whole = plans([("describe", {"columns": ("age",), "by": "sex"}), DESCRIBED])
    rows = table(females=3)
    assert opened(grouped, rows)["age in level 1"] is not None
    assert opened(whole, rows)["age"] is None


@pytest.mark.parametrize(
    ("edges", "passes"),
    [
        ([20, 50, 80], True),
        ([20, 51, 80], False),
        ([20, 55, 80], True),
        ([20, 40, 50, 60, 80], True),
        ([20, 40, 54, 80], False),
        ([20, 50, 78], False),
        ([20, 50, 79], True),
        ([20, 50], False),
        ([50, 60, 80], True),
        ([0, 50, 200], True),
    ],
)
def test_two_histograms_do_not_show_the_persons_between_two_edges(edges, passes):
    """Ages 20 to 79, one person each; [20, 50] holds the person of 50, whom [50, 80] counts too."""
    first, later = plans(
        [
            ("histogram", {"column": "age", "edges": [20, 50, 80]}),
            ("histogram", {"column": "age", "edges": edges}),
        ]
    )
    assert opened(first, table())["main"] == [30, 30]
    assert (opened(later, table())["main"] is not None) == passes


def test_persons_outside_a_histogram_do_not_follow_from_the_number_described():
    asked = [DESCRIBED, ("histogram", {"column": "age", "edges": [20, 50, 78]})]
    assert opened(plans(asked)[1], table())["main"] is None
    assert opened(plans(asked)[1], table(ages=20 + np.arange(ROWS) % 50))["main"] is not None


def test_statistics_of_other_columns_and_of_separate_levels_stay_open():
    asked = [
        ("count", {}),
        ("describe", {"columns": ("height",)}),
        ("t_test", {"column": "weight", "by": "sex"}),
        ("crosstab", {"rows": "sex", "columns": "decade"}),
    ]
    decade = ColumnFacts(("patients", "decade"), "category", None, None, None, ("x", "y"))
    facts = {**FACTS, "decade": decade}
    rows = table(without=[("weight", 1), ("height", 2)])
    rows[decade.key] = (np.arange(ROWS) % 2, np.zeros(ROWS, bool))
    found = [opened(plan, rows) for plan in plans(asked, facts=facts)]
    assert found[1]["height"] is not None
    assert None not in [found[k]["main"] for k in (0, 2, 3)]


def test_an_empty_level_passes_only_where_the_policy_shows_it():
    asked = [("count", {}), ("count", {"by": "sex"})]
    rows = table(females=0)
    assert opened(plans(asked)[1], rows)["level 1"] == [ROWS]
    hiding = Thresholds(5, 5, 2, Fraction(1), "suppress", "never")
    assert opened(plans(asked, hiding)[1], rows)["level 1"] is None


def test_linked_statistics_are_compared_over_the_linked_rows():
    days = number("days", "labs")
    facts = {"age": AGE, "weight": WEIGHT, "days": days}
    asked = [
        ("correlation", {"columns": ("age", "days")}),
        ("correlation", {"columns": ("weight", "days")}),
    ]
    later = plans(asked, aliases=("labs", "patients"), linked=True, facts=facts)[1]
    numbers = np.arange(ROWS)
    for lacking, passes in ((0, True), (1, False), (5, True)):
        missing = {key: np.zeros(ROWS, bool) for key in (AGE.key, WEIGHT.key, days.key)}
        missing[AGE.key][:lacking] = True
        tables = {
            alias: features(
                later,
                alias,
                {key: Values(numbers, gaps) for key, gaps in missing.items() if key[0] == alias},
                np.ones(ROWS, bool),
            )
            for alias in later.aliases
        }
        sums = [
            sum(
                sign * int(np.prod([tables[alias][:, k] for alias, k in places.items()], 0).sum())
                for sign, places in terms
            )
            for terms in linked_layout(later).cells["main"]
        ]
        assert all_pass(later.unit("main").checks, sums) == passes


def test_one_difference_more_than_the_limit_refuses_the_statistic(monkeypatch):
    edges = ([20, 50, 80], [10, 40, 70])
    asked = [("histogram", {"column": "age", "edges": one}) for one in edges]
    first, last = (
        sum(len(unit.cells) for unit in plan.units)
        for plan in (plans(asked[1:])[0], plans(asked)[1])
    )
    made = last - first
    monkeypatch.setattr(differencing, "DIFFERENCES_MAX", made)
    plans(asked)
    monkeypatch.setattr(differencing, "DIFFERENCES_MAX", made - 1)
    with pytest.raises(PlanRefused, match="in too many ways"):
        plans(asked)


def test_one_pair_of_sets_of_rows_more_than_the_limit_refuses_the_statistic(monkeypatch):
    asked = [("count", {"by": "sex"}), ("crosstab", {"rows": "sex", "columns": "ward"})]
    ward = ColumnFacts(("patients", "ward"), "category", None, None, None, ("x", "y"))
    facts = {**FACTS, "ward": ward}
    pairs = (2 + 1) * (1 + 4 + 1)  # two levels and who is left out; n, four cells and the same
    monkeypatch.setattr(differencing, "PAIRS_MAX", pairs)
    plans(asked, facts=facts)
    monkeypatch.setattr(differencing, "PAIRS_MAX", pairs - 1)
    with pytest.raises(PlanRefused, match="in too many ways"):
        plans(asked, facts=facts)
