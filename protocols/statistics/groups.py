"""`t_test` and `anova`: means of groups compared, from n, sum and sum of squares per group.

Welch's t test (Student's with `equal_var`), paired differences of two columns, one-way analysis of
variance (Welch's with `welch`). Every group's number of persons is tested; a group's mean opens
with its sums. Levene's test rests on absolute deviations, which are not sums of powers; it is null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

from protocols.statistics.answer import Finished, Opened, finished, withheld
from protocols.statistics.distribution import f_tail, root, t_quantile, t_two_sided
from protocols.statistics.draft import SQUARES_GIVE, Draft
from protocols.statistics.plan import (
    ColumnFacts,
    ColumnKey,
    Factors,
    Level,
    Plan,
    PlanRefused,
)
from protocols.statistics.polynomial import (
    Polynomial,
    column_polynomial,
    evaluate,
    indicator,
    power,
    times,
)
from protocols.statistics.precision import Numbers, carried, shown, sums_of

__all__ = ["finish_anova", "finish_t_test", "plan_anova", "plan_t_test"]

T_NAMES = ("t", "df", "p_value", "difference", "conf_low", "conf_high", "cohens_d")
F_NAMES = ("F", "df_between", "df_within", "p_value", "eta_squared")
NO_LEVENE = "Levene's test needs absolute deviations from a median and is not given here."
NO_SPREAD = (
    "A group has fewer than two persons, or no spread that the arithmetic can tell from none: "
    "there is nothing to test."
)


class Group(NamedTuple):
    """One group's rows, mean and squares, in the column's own units."""

    n: Fraction
    mean: Fraction
    squares: Fraction  # sum of squared distances from the mean


@dataclass(frozen=True, slots=True)
class Question:
    """Per group the polynomials of n, sum and sum of squares."""

    labels: tuple[str, ...]
    moments: tuple[tuple[Polynomial, Polynomial, Polynomial], ...]
    confidence: float
    variant: bool  # t_test: equal_var; anova: welch
    paired: bool


def plan_t_test(draft: Draft) -> Plan:
    """n, sum and squares of two groups or of the paired differences. Raises PlanRefused."""
    if draft.parameters.get("paired", False):
        return _plan_paired(draft)
    labels = [name for _, name in draft.levels(draft.column(draft.parameters.get("by")))]
    if len(labels) != 2:
        raise PlanRefused(
            f"t_test compares two groups; {draft.parameters['by']} has {len(labels)} levels",
            "a column with two levels, or `anova`",
        )
    return _plan_groups(draft, bool(draft.parameters.get("equal_var", False)))


def plan_anova(draft: Draft) -> Plan:
    """n, sum and squares of each of two or more groups. Raises PlanRefused."""
    labels = draft.levels(draft.column(draft.parameters.get("by")))
    if len(labels) < 2:
        raise PlanRefused("anova needs at least two groups", "a column with two or more levels")
    if draft.parameters.get("levene_center") == "mean":
        raise PlanRefused("levene_center is not built yet", "anova without levene_center")
    return _plan_groups(draft, bool(draft.parameters.get("welch", False)))


def _plan_groups(draft: Draft, variant: bool) -> Plan:
    by, column = draft.column(draft.parameters["by"]), draft.column(draft.parameters["column"])
    if by.key == column.key:
        raise PlanRefused("the column is compared between its own levels", "another column")
    value = column_polynomial(draft, column)
    levels = draft.levels(by)
    groups = []
    for code, _ in levels:
        mark = indicator(Level(by.key, code))
        groups.append((mark, times(mark, value), times(mark, power(value, 2))))
    complete = (by.key, column.key)
    question = Question(
        tuple(name for _, name in levels), tuple(groups), _confidence(draft), variant, paired=False
    )
    units = [
        draft.unit("main", complete, _needed(question), crossed=_crossed(draft, by, column)),
        draft.left_out(complete),
    ]
    return draft.plan(units, question)


def _crossed(draft: Draft, by: ColumnFacts, column: ColumnFacts) -> list[frozenset[ColumnKey]]:
    few = draft.few_values(column, SQUARES_GIVE)
    return [few | {by.key}] if few else []


def _plan_paired(draft: Draft) -> Plan:
    words = draft.parameters.get("columns")
    if words is None or len(words) != 2:
        raise PlanRefused(
            "a paired t_test by person is not built yet",
            "columns = [after, before] of one row a person",
        )
    first, second = (draft.column(word) for word in words)
    if first.key == second.key:
        raise PlanRefused("a paired t_test of a column with itself", "two different columns")
    one, other = column_polynomial(draft, first), column_polynomial(draft, second)
    change = dict(one)
    for factors, weight in other.items():
        change[factors] = change.get(factors, Fraction(0)) - weight
    ones = indicator()
    question = Question(
        (draft.label(first.key), draft.label(second.key)),
        tuple((ones, value, power(value, 2)) for value in (change, one, other)),
        _confidence(draft),
        variant=False,
        paired=True,
    )
    complete = (first.key, second.key)
    units = [
        draft.unit(
            "main",
            complete,
            _needed(question),
            crossed=[draft.few_values(facts, SQUARES_GIVE) for facts in (first, second)],
        ),
        draft.left_out(complete),
    ]
    return draft.plan(units, question)


def _confidence(draft: Draft) -> float:
    return float(draft.parameters.get("confidence", 0.95))


def _needed(question: Question) -> list[Factors]:
    return list(dict.fromkeys(f for group in question.moments for part in group for f in part))


def finish_t_test(plan: Plan, opened: Opened) -> Finished:
    """Student's, Welch's or the paired test, with Cohen's d and the difference's interval."""
    question: Question = plan.question
    if question.paired:
        method = "paired t test; difference = first minus second; d over the pooled sd of both"
        return _finish(plan, opened, method, T_NAMES, _paired_numbers)
    name = "Student's" if question.variant else "Welch's"
    method = f"{name} t test; difference = first level minus second; Cohen's d over the pooled sd"
    return _finish(plan, opened, method, T_NAMES, _t_numbers)


def finish_anova(plan: Plan, opened: Opened) -> Finished:
    """F, its p and eta squared; Levene's numbers are null, with a caveat that says why."""
    name = "Welch's one-way" if plan.question.variant else "one-way"
    method = f"{name} analysis of variance; eta squared = SSB/SST"
    answer = _finish(plan, opened, method, F_NAMES, _f_numbers)
    if not answer.released:
        return answer
    values = {**answer.values, "levene_W": None, "levene_p": None}
    return replace(answer, values=values, caveats=[NO_LEVENE, *answer.caveats])


def _finish(
    plan: Plan,
    opened: Opened,
    method: str,
    names: Sequence[str],
    numbers: Callable[[Question, Sequence[Group]], Numbers],
) -> Finished:
    integers = opened["main"]
    if integers is None:
        return withheld(plan, opened, plan.unit("main"), method)
    question: Question = plan.question

    def computed(known: Mapping[Factors, Fraction]) -> Numbers:
        groups = _groups(question, known)
        return {**dict.fromkeys(names), **numbers(question, groups)}

    found = carried(computed, sums_of(plan, "main", integers), plan.encodings)
    undefined = found["p_value"].value is None
    return finished(
        plan,
        opened,
        values={name: shown(found[name]) for name in names},
        table=[],
        n=integers[0],
        numbers=found,
        method=method,
        caveats=[NO_SPREAD] if undefined else [],
    )


def _groups(question: Question, known: Mapping[Factors, Fraction]) -> list[Group]:
    groups = []
    for count, value, square in question.moments:
        n = evaluate(count, known)
        total = evaluate(value, known)
        mean = total / n if n else Fraction(0)
        groups.append(Group(n, mean, evaluate(square, known) - mean * total))
    return groups


def _t_numbers(question: Question, groups: Sequence[Group]) -> Numbers:
    first, second = groups
    if min(first.n, second.n) < 1 or first.n + second.n < 3:
        return {}
    degrees = first.n + second.n - 2
    difference = first.mean - second.mean
    pooled = (first.squares + second.squares) / degrees
    if pooled <= 0 or min(first.squares, second.squares) < 0:
        return {"difference": difference}
    effect: Numbers = {"difference": difference, "cohens_d": difference / root(pooled)}
    if question.variant:
        spread = pooled * (1 / first.n + 1 / second.n)
        return {**effect, **_t_test(difference, spread, degrees, question.confidence)}
    if min(first.n, second.n) < 2:
        return effect
    shares = [group.squares / (group.n - 1) / group.n for group in groups]
    spread = sum(shares, Fraction(0))
    welch = spread**2 / sum(s**2 / (g.n - 1) for s, g in zip(shares, groups, strict=True))
    return {**effect, **_t_test(difference, spread, welch, question.confidence)}


def _paired_numbers(question: Question, groups: Sequence[Group]) -> Numbers:
    change, first, second = groups
    if change.n < 2:
        return {}
    found: dict[str, Fraction | None] = {"difference": change.mean}
    pooled = (first.squares + second.squares) / (2 * (change.n - 1))
    if pooled > 0:
        found["cohens_d"] = change.mean / root(pooled)
    if change.squares <= 0:
        return found
    degrees = change.n - 1
    spread = change.squares / degrees / change.n
    return {**found, **_t_test(change.mean, spread, degrees, question.confidence)}


def _t_test(
    difference: Fraction, spread: Fraction, degrees: Fraction, confidence: float
) -> Numbers:
    error = root(spread)
    t = difference / error
    reach = t_quantile((1 + confidence) / 2, degrees) * error
    return {
        "t": t,
        "df": degrees,
        "p_value": t_two_sided(t, degrees),
        "conf_low": difference - reach,
        "conf_high": difference + reach,
    }


def _f_numbers(question: Question, groups: Sequence[Group]) -> Numbers:
    full = [group for group in groups if group.n]
    n = sum((group.n for group in full), Fraction(0))
    k = Fraction(len(full))
    if k < 2 or n <= k:
        return {}
    grand = sum((group.n * group.mean for group in full), Fraction(0)) / n
    between = sum((group.n * (group.mean - grand) ** 2 for group in full), Fraction(0))
    within = sum((group.squares for group in full), Fraction(0))
    if within <= 0:
        return {}
    eta: Numbers = {"eta_squared": between / (between + within)}
    if question.variant:
        return {**eta, **_welch(full)}
    statistic = (between / (k - 1)) / (within / (n - k))
    return {**eta, **_f_test(statistic, k - 1, n - k)}


def _welch(groups: Sequence[Group]) -> Numbers:
    """Welch (1951): groups weighted by n over their variance."""
    if any(group.n < 2 or group.squares <= 0 for group in groups):
        return {}
    k = Fraction(len(groups))
    weights = [group.n * (group.n - 1) / group.squares for group in groups]
    total = sum(weights, Fraction(0))
    pairs = list(zip(weights, groups, strict=True))
    grand = sum((w * group.mean for w, group in pairs), Fraction(0)) / total
    spread = sum((w * (group.mean - grand) ** 2 for w, group in pairs), Fraction(0)) / (k - 1)
    lack = sum(((1 - w / total) ** 2 / (group.n - 1) for w, group in pairs), Fraction(0))
    statistic = spread / (1 + 2 * (k - 2) * lack / (k**2 - 1))
    return _f_test(statistic, k - 1, (k**2 - 1) / (3 * lack))


def _f_test(statistic: Fraction, between: Fraction, within: Fraction) -> Numbers:
    return {
        "F": statistic,
        "df_between": between,
        "df_within": within,
        "p_value": f_tail(between, within, statistic),
    }
