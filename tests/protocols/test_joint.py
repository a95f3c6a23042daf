"""A whole study in one process: equal to the plain tables, and silent about the rest."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from protocols.abort import Abort, Inconsistent, Suspected
from protocols.batches import make
from protocols.disclosure.threshold import Thresholds
from protocols.joint import NAMES, JointInputs, JointPlan, joint, joint_needs, unit_name
from protocols.linkage.cohort import Holding, LinkPlan
from protocols.linkage.hashing import size_class
from protocols.party import Trace, play
from protocols.statistics.cells import features, linked_layout, pooled_cells
from protocols.statistics.menu import finish, plan_statistic
from protocols.statistics.plan import ColumnFacts, Values

SESSION = bytes(range(32))
RULES = Thresholds(5, 5, 2, Fraction(1, 10), "show", "never")
AGE = ColumnFacts(("patients", "age"), "integer", 0, 120, None, ())
SEX = ColumnFacts(("patients", "sex"), "category", None, None, None, ("f", "m"))
LDH = ColumnFacts(("labs", "ldh"), "number", 0, 1000, 1, ())


def rng(seed):
    return np.random.default_rng(seed)


def values(numbers, missing=None):
    found = np.asarray(numbers)
    return Values(found, np.zeros(len(found), bool) if missing is None else np.asarray(missing))


def pooled_plan(kind="describe", parameters=None, rules=RULES, recipients=("a", "b", "c")):
    asked = plan_statistic(
        "one",
        kind,
        parameters or {"columns": ("age",)},
        {"age": AGE, "sex": SEX},
        rules,
        1 << 20,
        3,
        False,
        ("patients",),
    )
    return JointPlan(SESSION, (asked,), {"one": ("a", "b", "c")}, None, recipients)


def pooled_inputs(plan, ages, sexes=None):
    (asked,) = plan.plans
    rows = {AGE.key: values(np.array(ages, np.int64))}
    if sexes is not None:
        rows[SEX.key] = values(np.array(sexes, np.int64))
    cells = pooled_cells(asked, rows, np.ones(len(ages), bool))
    return JointInputs({"one": cells}, {}, {}, bytes(32))


def run(seats, plan, inputs, label="joint", trace=None, tamper=None):
    table = seats(len(inputs), label)
    return play({p: joint(table[p], plan, inputs[p]) for p in table}, trace, tamper)


def opened_of(plan, found):
    (asked,) = plan.plans
    return {
        unit.name: None
        if found.integers[unit_name(asked, unit)] is None
        else list(found.integers[unit_name(asked, unit)])
        for unit in asked.units
    }


def test_a_pooled_answer_equals_the_plain_one_at_every_recipient(seats):
    plan = pooled_plan()
    ages = {p: rng(k).integers(20, 90, 8 + k) for k, p in enumerate("abc")}
    found = run(seats, plan, {p: pooled_inputs(plan, ages[p]) for p in ages})
    whole = np.concatenate(list(ages.values()))
    for party in "abc":
        line = finish(plan.plans[0], opened_of(plan, found[party])).table[0]
        assert line["n"] == len(whole)
        assert line["mean"] == pytest.approx(whole.mean(), rel=1e-13)
        assert line["var"] == pytest.approx(whole.var(ddof=1), rel=1e-12)


@pytest.mark.parametrize("count", [2, 3, 4, 5, 6, 7, 8, 9, 10])
def test_every_number_of_parties(seats, count):
    parties = tuple("abcdefghij"[:count])
    plan = replace(pooled_plan("count", {}, recipients=parties), pooled={"one": parties})
    inputs = {p: pooled_inputs(plan, [30 + k] * (k + 5)) for k, p in enumerate(parties)}
    found = run(seats, plan, inputs, f"count {count}")
    expected = sum(k + 5 for k in range(count))
    assert all(opened_of(plan, found[p])["main"] == [expected] for p in parties)


def test_who_is_no_recipient_gets_nothing(seats):
    plan = pooled_plan("count", {}, recipients=("b",))
    found = run(seats, plan, {p: pooled_inputs(plan, [40] * 6) for p in "abc"})
    assert found["a"] is found["c"] is None
    assert opened_of(plan, found["b"])["main"] == [18]


@pytest.mark.parametrize(("rows", "passes"), [((2, 1, 1), False), ((2, 2, 1), True)])
def test_one_person_under_the_minimum_opens_a_zero_bit_and_no_number(seats, rows, passes):
    plan, trace = pooled_plan("count", {}), Trace()
    inputs = {p: pooled_inputs(plan, [40] * n) for p, n in zip("abc", rows, strict=True)}
    found = run(seats, plan, inputs, f"minimum {rows}", trace)
    opened = opened_of(plan, found["a"])
    assert opened["main"] == ([sum(rows)] if passes else None)
    released = [v for _, _, name, v in trace.said if name.endswith("opening")]
    certified = next(p.facts for _, p in trace.pauses if p.kind == "release")
    layout = dict(certified["layout"])
    sizes = sum(
        layout[unit]
        for (unit, _), ok in zip(certified["layout"], certified["verdicts"], strict=True)
        if ok
    )
    assert {v.size for v in released} == {16 + 16 * sizes}


def test_a_member_without_rows_leaves_too_few_members(seats):
    rules = replace(RULES, minimum_members=3)
    plan = pooled_plan("count", {}, rules)
    inputs = {p: pooled_inputs(plan, [40] * n) for p, n in zip("abc", (9, 9, 0), strict=True)}
    assert opened_of(plan, run(seats, plan, inputs, "members")["a"])["main"] is None
    inputs["c"] = pooled_inputs(plan, [40])
    assert opened_of(plan, run(seats, plan, inputs, "members+")["a"])["main"] == [19]


def test_only_declared_names_are_said_and_every_pause_comes_in_order(seats):
    plan, trace = pooled_plan(), Trace()
    run(seats, plan, {p: pooled_inputs(plan, [40] * 6) for p in "abc"}, "names", trace)
    said = {[s for s in name.split("/") if not s.isdigit()][-1] for _, _, name, _ in trace.said}
    assert said <= NAMES
    for party in "abc":
        assert [p.kind for who, p in trace.pauses if who == party] == ["checked", "release"]
    transcripts = {p.facts["transcript"] for _, p in trace.pauses if p.kind == "checked"}
    assert len(transcripts) == 1


def test_nothing_that_depends_on_the_answer_is_said_before_the_certificate(seats):
    """The openings are the last message of every party, after its own `release` pause."""
    plan, order = pooled_plan(), []
    table = seats(3, "order")

    def watched(party):
        inner = joint(table[party], plan, pooled_inputs(plan, [40] * 6))
        sent = None
        try:
            while True:
                step = inner.send(sent)
                if hasattr(step, "kind"):
                    order.append((party, step.kind))
                elif hasattr(step, "says"):
                    order.extend((party, name.rsplit("/", 1)[-1]) for _, name in step.says)
                sent = yield step
        except StopIteration as stop:
            return stop.value

    play({p: watched(p) for p in table})
    for party in table:
        mine = [what for who, what in order if who == party]
        assert mine.index("release") < mine.index("opening")
        assert mine.index("checked") < mine.index("open", mine.index("echo"))
        assert set(mine[mine.index("release") + 1 :]) == {"opening"}


# ---- linked --------------------------------------------------------------------------------------


def linked_scene(seed, count_once=True):
    """Patients at a and b, laboratory at c; the plan, the inputs, and the joined rows."""
    coins = rng(seed)
    people = [f"p{k}".encode() for k in range(60)]
    held = {"a": people[:35], "b": people[30:55]}
    lab = [people[k] for k in coins.permutation(60)[:45]]
    age = {person: int(coins.integers(20, 90)) for person in people}
    sex = {person: int(coins.integers(0, 2)) for person in people}
    ldh = {person: round(float(coins.uniform(100, 900)), 1) for person in people}
    facts = {"age": AGE, "sex": SEX, "ldh": LDH}
    aliases = ("patients", "labs")
    asked = [
        plan_statistic("n", "count", {}, {}, RULES, 1 << 12, 2, True, aliases),
        plan_statistic(
            "t",
            "t_test",
            {"column": "ldh", "by": "sex", "equal_var": False},
            {"ldh": LDH, "sex": SEX},
            RULES,
            1 << 12,
            2,
            True,
            aliases,
        ),
        plan_statistic(
            "r",
            "correlation",
            {"columns": ("age", "ldh"), "method": "pearson"},
            {"age": AGE, "ldh": LDH},
            RULES,
            1 << 12,
            2,
            True,
            aliases,
        ),
    ]
    widths = {"labs": sum(len(linked_layout(one).features["labs"]) for one in asked)}
    classes = {("patients", "a"): 1024, ("patients", "b"): 1024, ("labs", "c"): 1024}
    link = LinkPlan((("patients", ("a", "b")), ("labs", ("c",))), 1, classes, widths, 2, count_once)
    plan = JointPlan(SESSION, tuple(asked), {}, link, ("a", "b", "c"))

    def holding(alias, keys, columns):
        rows = {facts[name].key: values(column) for name, column in columns.items()}
        every = np.ones(len(keys), bool)
        tables = [
            features(
                one,
                alias,
                {k: v for k, v in rows.items() if k in {f.key for f in one.facts}},
                every,
            )
            for one in asked
        ]
        return Holding((list(keys),), every, np.concatenate(tables, axis=1))

    inputs = {}
    for party, keys in held.items():
        columns = {
            "age": np.array([age[k] for k in keys]),
            "sex": np.array([sex[k] for k in keys]),
        }
        inputs[party] = JointInputs(
            {}, {"patients": 1024}, {"patients": holding("patients", keys, columns)}, bytes(32)
        )
    columns = {"ldh": np.array([ldh[k] for k in lab])}
    inputs["c"] = JointInputs(
        {}, {"labs": 1024}, {"labs": holding("labs", lab, columns)}, bytes(32)
    )
    once = held["a"] + [k for k in held["b"] if not count_once or k not in held["a"]]
    joined = [(age[k], sex[k], ldh[k]) for k in once if k in lab]
    return plan, inputs, joined


@pytest.mark.parametrize("count_once", [True, False])
def test_a_linked_answer_equals_the_joined_table(seats, count_once):
    from scipy import stats

    plan, inputs, joined = linked_scene(3, count_once)
    found = run(seats, plan, inputs, f"linked {count_once}")
    answers = {}
    for one in plan.plans:
        single = replace(plan, plans=(one,))
        answers[one.name] = finish(one, opened_of(single, found["b"]))
    age, sex, ldh = (np.array(column) for column in zip(*joined, strict=True))
    assert answers["n"].values["n"] == len(joined)
    t = stats.ttest_ind(ldh[sex == 0], ldh[sex == 1], equal_var=False)
    assert answers["t"].values["t"] == pytest.approx(t.statistic, rel=1e-9)
    assert answers["t"].values["p_value"] == pytest.approx(t.pvalue, rel=1e-9)
    r = stats.pearsonr(age, ldh)
    assert answers["r"].table[0]["r"] == pytest.approx(r.statistic, rel=1e-9)


def test_an_impossible_size_class_is_suspected_by_name(seats):
    plan, inputs, _ = linked_scene(4)

    def lie(sender, receiver, name, value):
        return np.full_like(value, 1000) if sender == "c" and name == "sizes" else value

    with pytest.raises(Suspected, match="labs") as caught:
        run(seats, plan, inputs, "sizes", tamper=lie)
    assert caught.value.party == "c"
    assert size_class(1000) == 1024


@pytest.mark.parametrize("place", ["inputs", "echo", "share", "opening", "hint", "masked"])
def test_a_message_of_another_shape_is_suspected_by_name(seats, place):
    plan, inputs, _ = linked_scene(5)

    def cut(sender, receiver, name, value):
        wrong = sender == "c" and name.endswith(place)
        return value[:-1] if wrong and len(value) else value

    with pytest.raises(Suspected) as caught:
        run(seats, plan, inputs, f"cut {place}", tamper=cut)
    assert caught.value.party == "c"


def test_correlations_that_do_not_hold_together_end_a_study_before_its_checks(seats):
    plan = pooled_plan("count", {})
    inputs = {p: pooled_inputs(plan, [40] * 6) for p in "abc"}
    trace = Trace()

    def spoil(sender, receiver, name, value):
        made = (sender, receiver) == ("c", "a") and "/made/" in name and name.endswith("extend")
        return ~value if made else value

    with pytest.raises(Inconsistent):
        run(seats, plan, inputs, "spoilt", trace=trace, tamper=spoil)
    assert not any("enough" in name for _, _, name, _ in trace.said)


@pytest.mark.parametrize("place", ["inputs", "share"])
def test_telling_two_parties_different_things_ends_before_an_answer(seats, place):
    plan = pooled_plan("count", {})
    inputs = {p: pooled_inputs(plan, [40] * 6) for p in "abc"}

    def split(sender, receiver, name, value):
        return value ^ 1 if (sender, receiver) == ("c", "a") and name.endswith(place) else value

    with pytest.raises(Abort):
        run(seats, plan, inputs, f"split {place}", tamper=split)


def test_views_of_all_others_do_not_depend_on_the_honest_partys_rows(seats):
    """Same answer, other rows at party a: what b and c hear has the same bit frequencies.

    Their own coins are the same in all runs; only a's private coins and those it shares vary.
    """
    plan = pooled_plan("count", {})
    runs, totals = 12, []
    for ages in ([20, 20, 20, 20, 20, 20], [90, 80, 70, 60, 50, 40]):
        total = 0
        for number in range(runs):
            table = seats(3, "view")
            fresh = seats(3, f"view {ages[0]} {number}")
            table = {**table, "a": replace(table["a"], rand=fresh["a"].rand)}
            trace = Trace()
            inputs = {p: pooled_inputs(plan, [40] * 6) for p in "bc"}
            inputs["a"] = pooled_inputs(plan, ages)
            play({p: joint(table[p], plan, inputs[p]) for p in table}, trace)
            heard = [v for _, n, v in trace.heard_by(("b", "c")) if not n.endswith("opening")]
            bits = [
                np.unpackbits(np.ascontiguousarray(v).view(np.uint8).reshape(-1)) for v in heard
            ]
            total = total + np.concatenate(bits).astype(np.int64)
        totals.append(total)
    gap = np.max(np.abs(totals[0] - totals[1])) / np.sqrt(runs / 2)
    assert gap < 6.0


def test_a_threshold_far_above_the_largest_count_is_not_passed_by_wrapping_round(seats):
    """33 rows at most, 200 asked for: 30 - 200 is 86 mod 2^8, and 86 has no sign."""
    rules = replace(RULES, minimum_cohort=200)
    asked = plan_statistic("one", "count", {}, {}, rules, 11, 3, False, ("patients",))
    plan = JointPlan(SESSION, (asked,), {"one": ("a", "b", "c")}, None, ("a",))
    inputs = {
        p: JointInputs({"one": pooled_cells(asked, {}, np.ones(10, bool))}, {}, {}, bytes(32))
        for p in "abc"
    }
    assert opened_of(plan, run(seats, plan, inputs, "wrapping")["a"])["main"] is None


def test_a_party_without_a_linked_table_takes_part_in_a_study_that_links(seats):
    plan, inputs, joined = linked_scene(9)
    asked = plan_statistic("p", "count", {}, {}, RULES, 1 << 12, 2, False, ("other",))
    pooled = {"p": pooled_cells(asked, {}, np.ones(20, bool))}
    plan = replace(plan, plans=(plan.plans[0], asked), pooled={"p": ("c", "d")})
    widths = {"labs": len(linked_layout(plan.plans[0]).features["labs"])}
    plan = replace(plan, link=replace(plan.link, widths=widths))
    inputs["c"] = replace(inputs["c"], pooled=pooled)
    inputs["d"] = JointInputs(pooled, {}, {}, bytes(32))
    found = run(seats, plan, narrowed(inputs, plan), "without")
    assert found["a"].integers == {"n/main": (len(joined),), "p/main": (40,)}


def narrowed(inputs, plan):
    """The inputs with the features of the plan's first statistic alone."""
    layout = linked_layout(plan.plans[0]).features
    return {
        party: replace(
            one,
            holdings={
                alias: replace(held, features=held.features[:, : len(layout[alias])])
                for alias, held in one.holdings.items()
            },
        )
        for party, one in inputs.items()
    }


def dependent(model_opens):
    """One of 18 persons lacks a weight: a model of 17 and a description of 18 do not both open."""
    from protocols.disclosure.differencing import guarded

    weight = ColumnFacts(("patients", "weight"), "integer", 0, 200, None, ())
    facts = {"age": AGE, "weight": weight}
    rules = replace(RULES, parameters_per_row=Fraction(1) if model_opens else Fraction(1, 10))
    formula = {"response": "age", "terms": [(("weight", False),)], "formula": "age ~ weight"}
    model = plan_statistic(
        "model", "linear_model", formula, facts, rules, 1 << 20, 3, False, ("patients",)
    )
    whole = plan_statistic(
        "whole",
        "describe",
        {"columns": ("age",)},
        {"age": AGE},
        rules,
        1 << 20,
        3,
        False,
        ("patients",),
    )
    plans = (model, guarded(whole, [model], rules))
    plan = JointPlan(
        SESSION, plans, dict.fromkeys(("model", "whole"), ("a", "b", "c")), None, ("a",)
    )
    inputs = {}
    for place, party in enumerate("abc"):
        coins = rng(place)
        lacking = np.arange(6) == 0 if party == "a" else np.zeros(6, bool)
        rows = {
            AGE.key: values(coins.integers(20, 90, 6)),
            weight.key: values(coins.integers(50, 90, 6), lacking),
        }
        every = np.ones(6, bool)
        cells = {
            one.name: pooled_cells(one, {f.key: rows[f.key] for f in one.facts}, every)
            for one in plans
        }
        inputs[party] = JointInputs(cells, {}, {}, bytes(32))
    return plan, inputs


@pytest.mark.parametrize("model_opens", [False, True])
def test_a_statistic_that_stays_closed_closes_no_later_one(seats, model_opens):
    plan, inputs = dependent(model_opens)
    found = run(seats, plan, inputs, f"closed {model_opens}")["a"].integers
    assert (found["model/main"] is not None) == model_opens
    assert (found["whole/age"] is not None) == (not model_opens)


# ---- what was made before ------------------------------------------------------------------------


def made_before(seats, plan, count):
    kinds = (*joint_needs(plan, count).counts.items(), ("wire", 1))
    table = seats(count, f"before {count} {kinds}")
    return play({p: make(table[p], SESSION, tuple(sorted(kinds))) for p in table})


@pytest.mark.parametrize("count", [2, 3, 5])
def test_with_all_that_it_needs_in_stock_a_study_makes_nothing(seats, count):
    parties = tuple("abcde"[:count])
    plan = replace(
        pooled_plan("describe", {"columns": ("age",), "by": "sex"}, recipients=parties),
        pooled={"one": parties},
    )
    inputs = {p: pooled_inputs(plan, [30 + k] * 9, [0, 1] * 4 + [0]) for k, p in enumerate(parties)}
    held, traces, found = made_before(seats, plan, count), (Trace(), Trace()), []
    for trace, have in zip(traces, (held, dict.fromkeys(parties, ())), strict=True):
        table = seats(count, "stock")
        found.append(
            play({p: joint(table[p], plan, inputs[p], have[p]) for p in table}, trace)["a"].integers
        )
    assert found[0] == found[1]
    said = [{name.rsplit("/", 1)[-1] for _, _, name, _ in trace.said} for trace in traces]
    assert said[1] - said[0] >= {"extend", "points", "sums"}
    assert traces[0].rounds < traces[1].rounds
    sent = [sum(v.nbytes for _, _, _, v in trace.said) for trace in traces]
    assert sent[0] < sent[1] / 2
    assert not any(a.any() for one in held.values() for b in one for a in b.arrays.values())


def test_the_needs_are_all_that_is_drawn_and_no_more(seats):
    """Also where one statistic waits for another; one unit less of any kind, and some is made."""
    plan, inputs = dependent(model_opens=False)
    needs = joint_needs(plan, 3)
    held = made_before(seats, plan, 3)
    for lacking in (None, *needs.counts):
        mine = {
            p: [
                replace(
                    batch,
                    units=batch.units - (batch.kind == lacking),
                    arrays={
                        name: array[:, 1:].copy() if batch.kind == lacking else array.copy()
                        for name, array in batch.arrays.items()
                    },
                )
                for batch in held[p]
            ]
            for p in held
        }
        table, trace = seats(3, f"needs {lacking}"), Trace()
        play({p: joint(table[p], plan, inputs[p], mine[p]) for p in table}, trace)
        made = any(name.endswith("/extend") for _, _, name, _ in trace.said)
        assert made == (lacking is not None)


def test_what_a_run_leaves_early_is_burnt(seats):
    plan = pooled_plan("count", {})
    held = made_before(seats, plan, 3)
    table = seats(3, "early")
    inputs = pooled_inputs(plan, [40] * 6)
    runs = {p: joint(table[p], plan, inputs, held[p]) for p in table}
    for run in runs.values():
        next(run)
        run.close()
    assert not any(a.any() for one in held.values() for b in one for a in b.arrays.values())
