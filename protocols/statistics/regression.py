"""`linear_model`: least squares from one opened Gram matrix, solved in exact fractions.

Opens n and the sums of products of the model's columns (predictors, interactions, response) about
the middles of their bounds. Every combination of levels that occurs in one sum is tested as a
cell. Wald intervals by Student's t. Columns are coded as R does: a category by the levels after
the first, in full where the model has no term for the rest of its interaction.

The errors of the numbers follow from those of the sums by `perturbation.py`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from typing import Any

from protocols.statistics.answer import Finished, Opened, Scalar, finished, undefined, withheld
from protocols.statistics.distribution import f_tail, root, t_quantile, t_two_sided
from protocols.statistics.draft import SQUARES_GIVE, Draft
from protocols.statistics.elimination import Dependent, inverse
from protocols.statistics.perturbation import Movement, Solution, movement
from protocols.statistics.plan import ColumnFacts, ColumnKey, Factors, Level, Plan, PlanRefused
from protocols.statistics.polynomial import (
    Polynomial,
    column_polynomial,
    evaluate,
    indicator,
    times,
)
from protocols.statistics.precision import Bounded, bounded, frame_of, shown, sums_of
from protocols.statistics.recentred import Frame, Sum

__all__ = ["finish_linear_model", "plan_linear_model"]

METHOD = "ordinary least squares from the exact Gram matrix; t intervals (as statsmodels' OLS)"
INTERCEPT = "(intercept)"
PARAMETERS_MAX = 64  # p^2/2 sums open and p^3 exact products follow
SCALARS = ("r_squared", "adj_r_squared", "sigma", "F", "p_value")
PARTS = ("estimate", "std_error", "statistic", "p_value", "conf_low", "conf_high")
PERFECT = "The model fits without a residual: standard errors and tests are not defined."

Column = tuple[str, Polynomial]
Term = tuple[tuple[str, bool], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """The model's columns as polynomials, in the order of the estimates."""

    names: tuple[str, ...]
    columns: tuple[Polynomial, ...]
    response: Polynomial
    intercept: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class Fit:
    """A solved model in exact fractions, with how far rounding may have moved it."""

    n: int
    solution: Solution
    residual: Fraction  # sum of squares
    spread: Fraction  # sum of squares of the response, about its mean with an intercept
    errors: Movement


def plan_linear_model(draft: Draft) -> Plan:
    """n and all products of the model's columns. Raises PlanRefused."""
    response = draft.column(draft.parameters["response"])
    terms = [_term(term) for term in draft.parameters["terms"]]
    intercept = bool(draft.parameters.get("intercept", True))
    columns: list[Column] = [(INTERCEPT, indicator())] if intercept else []
    for term in terms:
        columns.extend(_columns(draft, term, terms, intercept))
    names = tuple(name for name, _ in columns)
    keys = {draft.column(word).key for term in terms for word, _ in term}
    _check_terms(names, response, keys)
    question = Question(
        names,
        tuple(column for _, column in columns),
        column_polynomial(draft, response),
        intercept,
        float(draft.parameters.get("confidence", 0.95)),
    )
    complete = tuple(sorted({response.key, *keys}))
    few = [
        draft.few_values(facts, SQUARES_GIVE)
        for facts in draft.facts.values()
        if facts.key in complete
    ]
    main = draft.unit("main", complete, _needed(question), parameters=len(names), crossed=few)
    return draft.plan([main, draft.left_out(complete)], question)


def _check_terms(names: Sequence[str], response: ColumnFacts, keys: Iterable[ColumnKey]) -> None:
    if not names:
        raise PlanRefused("the model has no terms", "at least one predictor or the constant")
    if response.key in keys:
        raise PlanRefused(f"{response.key[1]} is both response and predictor", "another response")
    if len(set(names)) < len(names):
        raise PlanRefused("a term stands twice in the formula", "each term once")
    if len(names) > PARAMETERS_MAX:
        raise PlanRefused(
            f"the model has {len(names)} parameters", f"at most {PARAMETERS_MAX}: use fewer terms"
        )


def _term(found: Any) -> Term:
    """A term is a tuple of (word, categorical) pairs; a single pair stands for a single factor."""
    pairs = [found] if isinstance(found[0], str) else found
    return tuple((str(word), bool(categorical)) for word, categorical in pairs)


def _columns(draft: Draft, term: Term, terms: Sequence[Term], intercept: bool) -> list[Column]:
    """The design columns of one term: the products of its factors' codings."""
    codings = []
    for word, categorical in term:
        rest = tuple(pair for pair in term if pair[0] != word)
        margin = any(set(rest) == set(other) for other in terms) if rest else intercept
        codings.append(_coding(draft, draft.column(word), categorical, margin))
    columns = []
    for chosen in product(*codings):
        polynomial = indicator()
        for _, factor in chosen:
            polynomial = times(polynomial, factor)
        columns.append((":".join(name for name, _ in chosen), polynomial))
    return columns


def _coding(draft: Draft, facts: ColumnFacts, categorical: bool, margin: bool) -> list[Column]:
    label = draft.label(facts.key)
    if not categorical and facts.type not in ("category", "boolean"):
        return [(label, column_polynomial(draft, facts))]
    levels = draft.levels(facts)
    if len(levels) < 2:
        raise PlanRefused(f"{label} has one level only", "a column with two or more levels")
    kept = levels[1:] if margin else levels
    return [(f"{label}[{name}]", indicator(Level(facts.key, code))) for code, name in kept]


def _needed(question: Question) -> list[Factors]:
    """Every product of factors that an entry of the Gram matrix expands to."""
    columns = [*question.columns, question.response]
    found = dict.fromkeys(factors for factors in question.response)
    for place, one in enumerate(columns):
        for other in columns[place:]:
            found.update(dict.fromkeys(times(one, other)))
    return list(found)


def finish_linear_model(plan: Plan, opened: Opened) -> Finished:
    """Estimates, Wald intervals, R squared; names the column that depends on the others."""
    integers = opened["main"]
    if integers is None:
        return withheld(plan, opened, plan.unit("main"), METHOD)
    question: Question = plan.question
    sums = sums_of(plan, "main", integers)
    try:
        fit = _fit(question, sums, frame_of(sums, plan.encodings))
    except Dependent as fault:
        name = question.names[fault.place]
        return undefined(
            plan,
            opened,
            METHOD,
            f"the predictor {name} is constant, empty, or a combination of the ones before it",
            f"a formula without {name}",
        )
    return _answer(plan, opened, fit)


def _fit(question: Question, sums: Mapping[Factors, Sum], frame: Frame) -> Fit:
    values = {factors: one.value for factors, one in sums.items()}
    y, columns = question.response, question.columns
    matrix = [[evaluate(times(one, other), values) for other in columns] for one in columns]
    right = [evaluate(times(one, y), values) for one in columns]
    solved = inverse(matrix)
    b = [_dot(row, right) for row in solved]
    square, total, n = evaluate(times(y, y), values), evaluate(y, values), values[()]
    mean = total / n if question.intercept else Fraction(0)
    solution = Solution(matrix, solved, b, square, mean)
    errors = movement(columns, y, frame, solution)
    return Fit(int(n), solution, square - _dot(b, right), square - mean * total, errors)


def _dot(one: Sequence[Fraction], other: Sequence[Fraction]) -> Fraction:
    return sum((a * b for a, b in zip(one, other, strict=True)), Fraction(0))


def _answer(plan: Plan, opened: Opened, fit: Fit) -> Finished:
    question: Question = plan.question
    degrees = fit.n - len(question.names)
    tested = degrees > 0 and fit.residual > 0 and 4 * fit.errors.residual < fit.residual
    numbers: dict[str, Bounded] = {}
    table: list[dict[str, Scalar]] = []
    for place, name in enumerate(question.names):
        found = _line(question, fit, place, degrees, tested)
        numbers.update({f"{part} of {name}": found[part] for part in PARTS})
        table.append({"term": name, **{part: shown(found[part]) for part in PARTS}})
    scalars = _scalars(question, fit, degrees, tested)
    numbers.update(scalars)
    return finished(
        plan,
        opened,
        values={"n": fit.n, **{name: shown(scalars[name]) for name in SCALARS}},
        table=table,
        n=fit.n,
        numbers=numbers,
        method=METHOD,
        caveats=[] if tested else [PERFECT],
    )


def _line(
    question: Question, fit: Fit, place: int, degrees: int, tested: bool
) -> dict[str, Bounded]:
    estimate, error = fit.solution.estimates[place], fit.errors.estimates[place]
    line = dict.fromkeys(PARTS, Bounded(None, Fraction(0)))
    line["estimate"] = bounded(estimate, error)
    if not tested:
        return line
    diagonal = fit.solution.inverse[place][place]
    deviation = root(fit.residual / degrees * diagonal)
    share = (fit.errors.residual / fit.residual + fit.errors.diagonal[place] / diagonal) / 2
    t = estimate / deviation
    t_error = error / deviation + abs(t) * share
    reach = t_quantile((1 + question.confidence) / 2, Fraction(degrees)) * deviation
    ends_error = error + reach * share
    line["std_error"] = bounded(deviation, deviation * share)
    line["statistic"] = bounded(t, t_error)
    line["p_value"] = _tail(lambda at: t_two_sided(at, Fraction(degrees)), abs(t), t_error)
    line["conf_low"] = bounded(estimate - reach, ends_error)
    line["conf_high"] = bounded(estimate + reach, ends_error)
    return line


def _tail(tail: Any, statistic: Fraction, error: Fraction) -> Bounded:
    """A tail probability of a statistic >= 0; its movement over a step that a float64 sees."""
    step = max(error, statistic / 2**30)
    if not error:
        return bounded(tail(statistic), Fraction(0))
    low, high = tail(statistic + step), tail(max(Fraction(0), statistic - step))
    return bounded(tail(statistic), (high - low) * error / step)


def _scalars(question: Question, fit: Fit, degrees: int, tested: bool) -> dict[str, Bounded]:
    found = dict.fromkeys(SCALARS, Bounded(None, Fraction(0)))
    rss_error, tss_error = fit.errors.residual, fit.errors.spread
    if degrees <= 0 or fit.spread <= 0:
        return found
    unexplained = fit.residual / fit.spread
    error = (rss_error + unexplained * tss_error) / fit.spread
    factor = Fraction(fit.n - question.intercept, degrees)
    found["r_squared"] = bounded(1 - unexplained, error)
    found["adj_r_squared"] = bounded(1 - unexplained * factor, error * factor)
    if not tested:
        return found
    share = rss_error / fit.residual
    sigma = root(fit.residual / degrees)
    found["sigma"] = bounded(sigma, sigma * share / 2)
    predictors = len(question.names) - question.intercept
    explained = fit.spread - fit.residual
    if predictors and explained > 0:
        statistic = explained / predictors / (fit.residual / degrees)
        f_error = statistic * ((rss_error + tss_error) / explained + share)
        found["F"] = bounded(statistic, f_error)
        found["p_value"] = _tail(
            lambda at: f_tail(Fraction(predictors), Fraction(degrees), at), statistic, f_error
        )
    return found
