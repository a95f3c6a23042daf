"""`correlation`: Pearson's r of every pair of columns, over rows complete in all of them.

From n, the sums, the squares and the cross products about the middle of the bounds. p by the t
distribution with n - 2 degrees of freedom, the interval by Fisher's z.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import combinations
from math import atanh, sqrt, tanh

from protocols.statistics.answer import Finished, Opened, Scalar, finished, withheld
from protocols.statistics.distribution import normal_quantile, real, root, t_two_sided
from protocols.statistics.draft import SQUARES_GIVE, Draft
from protocols.statistics.plan import Factors, Plan, PlanRefused
from protocols.statistics.polynomial import Polynomial, column_polynomial, evaluate, times
from protocols.statistics.precision import Bounded, Numbers, carried, shown, sums_of

__all__ = ["finish_correlation", "plan_correlation"]

METHOD = "Pearson's r; p by Student's t with n - 2 degrees of freedom, interval by Fisher's z"
NAMES = ("r", "p_value", "conf_low", "conf_high")


@dataclass(frozen=True, slots=True)
class Question:
    """What `finish` needs: labels and polynomials of the columns, the intervals' confidence."""

    labels: tuple[str, ...]
    columns: tuple[Polynomial, ...]
    confidence: float


def plan_correlation(draft: Draft) -> Plan:
    """One unit: n and all first and second moments. Raises PlanRefused."""
    if draft.parameters.get("method", "pearson") != "pearson":
        raise PlanRefused("Spearman's correlation is not built yet", 'method = "pearson"')
    columns = [draft.column(word) for word in draft.parameters["columns"]]
    if len({column.key for column in columns}) < max(2, len(columns)):
        raise PlanRefused("correlation needs different columns", "two or more different columns")
    values = tuple(column_polynomial(draft, column) for column in columns)
    complete = tuple(sorted(column.key for column in columns))
    question = Question(
        tuple(draft.label(column.key) for column in columns),
        values,
        float(draft.parameters.get("confidence", 0.95)),
    )
    pairs = [*combinations(values, 2), *((value, value) for value in values)]
    needed = [factors for one, other in pairs for factors in times(one, other)]
    singles = [factors for value in values for factors in value]
    few = [draft.few_values(column, SQUARES_GIVE) for column in columns]
    main = draft.unit("main", complete, [*singles, *needed], crossed=few)
    return draft.plan([main, draft.left_out(complete)], question)


def finish_correlation(plan: Plan, opened: Opened) -> Finished:
    """r, t, p and an interval for each pair; null where a column does not vary."""
    integers = opened["main"]
    if integers is None:
        return withheld(plan, opened, plan.unit("main"), METHOD)
    question: Question = plan.question
    sums = sums_of(plan, "main", integers)
    numbers: dict[str, Bounded] = {}
    table: list[dict[str, Scalar]] = []
    caveats: list[str] = []
    named = list(zip(question.labels, question.columns, strict=True))
    for (a, left), (b, right) in combinations(named, 2):
        needed = {*left, *right, (), *times(left, right), *times(left, left), *times(right, right)}
        found = carried(
            partial(pearson, left, right, question.confidence),
            {factors: sums[factors] for factors in sorted(needed, key=repr)},
            plan.encodings,
        )
        if found["r"].value is None:
            caveats.append(f"{a} and {b}: a column has one value only, so r is not defined.")
        numbers.update({f"{name} of {a} and {b}": one for name, one in found.items()})
        line: dict[str, Scalar] = {"a": a, "b": b}
        table.append({**line, **{k: shown(found[k]) for k in NAMES}, "n": integers[0]})
    return finished(
        plan,
        opened,
        values={},
        table=table,
        n=integers[0],
        numbers=numbers,
        method=METHOD,
        caveats=caveats,
    )


def pearson(
    left: Polynomial, right: Polynomial, confidence: float, sums: Mapping[Factors, Fraction]
) -> Numbers:
    """r of two columns with its p value and interval; None where it is not defined."""
    n = sums[()]
    if n < 2:
        return dict.fromkeys(NAMES)
    covariance, spread, other = (
        evaluate(times(one, two), sums) - evaluate(one, sums) * evaluate(two, sums) / n
        for one, two in ((left, right), (left, left), (right, right))
    )
    if min(spread, other) <= 0:
        return dict.fromkeys(NAMES)
    r = covariance / root(spread * other)
    rest = 1 - covariance**2 / (spread * other)
    if rest < 0:  # only by rounding, or where an error bound is tried
        r, rest = Fraction(1 if r > 0 else -1), Fraction(0)
    return {"r": r, "p_value": _p_value(r, rest, n), **_interval(r, n, confidence)}


def _p_value(r: Fraction, rest: Fraction, n: Fraction) -> Fraction | None:
    if n < 3:
        return None
    return t_two_sided(r * root((n - 2) / rest), n - 2) if rest else Fraction(0)


def _interval(r: Fraction, n: Fraction, confidence: float) -> Numbers:
    if n <= 3:
        return {"conf_low": None, "conf_high": None}
    if abs(real(r)) >= 1:
        return {"conf_low": r, "conf_high": r}
    middle = atanh(real(r))
    reach = real(normal_quantile((1 + confidence) / 2)) / sqrt(n - 3)
    return {"conf_low": Fraction(tanh(middle - reach)), "conf_high": Fraction(tanh(middle + reach))}
