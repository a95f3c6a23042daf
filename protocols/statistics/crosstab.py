"""`crosstab`: two columns' cross, with tests of independence; by strata, Mantel-Haenszel.

Opens one integer a cell, all or none. chi2 without correction (and Yates beside it for 2 x 2),
Fisher's exact test two-sided as SciPy sums it, the odds ratio with Woolf's interval, Mantel and
Haenszel's common odds ratio and its test with continuity correction. All from exact fractions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import exp, log, sqrt

from protocols.statistics.answer import Finished, Opened, Scalar, finished, withheld
from protocols.statistics.distribution import (
    chi2_tail,
    fisher_two_sided,
    normal_quantile,
    real,
    root,
)
from protocols.statistics.draft import Draft, joined
from protocols.statistics.plan import Factors, Level, Plan, PlanRefused
from protocols.statistics.precision import Bounded, shown

__all__ = ["finish_crosstab", "plan_crosstab"]

METHOD = (
    "Pearson's chi-square without correction; 2 x 2: Yates beside it, Fisher two-sided, odds ratio "
    "ad/bc with Woolf's interval; strata: Mantel-Haenszel, p with continuity correction"
)
Table = list[list[int]]
HALF = Fraction(1, 2)


@dataclass(frozen=True, slots=True)
class Question:
    """The levels' names and the cells, in the order strata, rows, columns."""

    rows: tuple[str, ...]
    columns: tuple[str, ...]
    strata: tuple[str, ...]  # empty: none
    cells: tuple[Factors, ...]  # in the order strata, rows, columns
    confidence: float


def plan_crosstab(draft: Draft) -> Plan:
    """One unit that holds every cell. Raises PlanRefused."""
    words = [draft.parameters["rows"], draft.parameters["columns"]]
    strata = draft.parameters.get("strata")
    columns = [draft.column(word) for word in [*words, *([] if strata is None else [strata])]]
    keys = [column.key for column in columns]
    if len(set(keys)) < len(keys):
        raise PlanRefused("crosstab crosses a column with itself", "different columns")
    levels = [draft.levels(column) for column in columns]
    across = levels[2] if strata is not None else ((-1, ""),)
    cells = []
    for (s, _), (r, _), (c, _) in product(across, levels[0], levels[1]):
        marks = [Level(keys[0], r), Level(keys[1], c)]
        cells.append(joined(tuple(marks), (Level(keys[2], s),) if strata is not None else ()))
    complete = tuple(keys)
    question = Question(
        tuple(name for _, name in levels[0]),
        tuple(name for _, name in levels[1]),
        tuple(name for _, name in across) if strata is not None else (),
        tuple(cells),
        float(draft.parameters.get("confidence", 0.95)),
    )
    units = [draft.unit("main", complete, cells), draft.left_out(complete)]
    return draft.plan(units, question)


def finish_crosstab(plan: Plan, opened: Opened) -> Finished:
    """The table and its tests; each stratum by itself feeds Mantel and Haenszel's alone."""
    integers = opened["main"]
    if integers is None:
        return withheld(plan, opened, plan.unit("main"), METHOD)
    question: Question = plan.question
    counts = {
        cell.factors: integer
        for cell, integer in zip(plan.unit("main").opened, integers, strict=False)
    }
    tables = _tables(question, counts)
    summed = [
        [sum(table[r][c] for table in tables) for c in range(len(question.columns))]
        for r in range(len(question.rows))
    ]
    caveats: list[str] = []
    numbers = _independence(summed, caveats)
    if len(question.rows) == len(question.columns) == 2:
        numbers.update(_two_by_two(summed, question.confidence, caveats))
        if question.strata:
            numbers.update(_mantel_haenszel(tables, caveats))
    elif question.strata:
        caveats.append("The Mantel-Haenszel test is for 2 x 2 tables; it is not given.")
    exact = {name: Bounded(value, Fraction(0)) for name, value in numbers.items()}
    return finished(
        plan,
        opened,
        values={**{name: shown(one) for name, one in exact.items()}, **_degrees(numbers)},
        table=_lines(question, tables),
        n=integers[0],
        numbers=exact,
        method=METHOD,
        caveats=caveats,
    )


def _degrees(numbers: Mapping[str, Fraction | None]) -> dict[str, Scalar]:
    degrees = numbers["df"]
    return {"df": None if degrees is None else int(degrees)}


def _tables(question: Question, counts: Mapping[Factors, int]) -> list[Table]:
    found = iter(counts[factors] for factors in question.cells)
    return [
        [[next(found) for _ in question.columns] for _ in question.rows]
        for _ in question.strata or ("",)
    ]


def _lines(question: Question, tables: Sequence[Table]) -> list[dict[str, Scalar]]:
    lines: list[dict[str, Scalar]] = []
    for place, table in enumerate(tables):
        for row, counts in zip(question.rows, table, strict=True):
            for column, count in zip(question.columns, counts, strict=True):
                line: dict[str, Scalar] = {"row": row, "column": column}
                if question.strata:
                    line["stratum"] = question.strata[place]
                lines.append({**line, "count": count})
    return lines


def _independence(table: Table, caveats: list[str]) -> dict[str, Fraction | None]:
    """chi2, df, p_value and cramers_v over the rows and columns that are not empty."""
    rows = [row for row in table if sum(row)]
    kept = [c for c in range(len(table[0])) if sum(row[c] for row in table)]
    full = [[row[c] for c in kept] for row in rows]
    if len(rows) < len(table) or len(kept) < len(table[0]):
        caveats.append("Empty rows or columns are left out of the tests.")
    if len(rows) < 2 or len(kept) < 2:
        caveats.append("The persons are all in one row or one column: there is nothing to test.")
        return dict.fromkeys(("chi2", "df", "p_value", "cramers_v"))
    chi2 = sum(((o - e) ** 2 / e for o, e in _expected(full)), Fraction(0))
    degrees = (len(rows) - 1) * (len(kept) - 1)
    n = sum(map(sum, full))
    if any(e < 5 for _, e in _expected(full)):
        caveats.append("Some expected counts are below 5: chi-square is rough there.")
    return {
        "chi2": chi2,
        "df": Fraction(degrees),
        "p_value": chi2_tail(degrees, chi2),
        "cramers_v": root(chi2 / (n * min(len(rows) - 1, len(kept) - 1))),
    }


def _expected(table: Table) -> list[tuple[int, Fraction]]:
    """(observed, expected) of each cell."""
    rows = [sum(row) for row in table]
    columns = [sum(row[c] for row in table) for c in range(len(table[0]))]
    n = sum(rows)
    return [
        (count, Fraction(rows[r] * columns[c], n))
        for r, row in enumerate(table)
        for c, count in enumerate(row)
    ]


def _two_by_two(table: Table, confidence: float, caveats: list[str]) -> dict[str, Fraction | None]:
    (a, b), (c, d) = table
    names = ("chi2_yates", "fisher_p", "odds_ratio", "conf_low", "conf_high")
    found: dict[str, Fraction | None] = dict.fromkeys(names)
    if min(a + b, c + d, a + c, b + d) == 0:
        return found
    found["chi2_yates"] = sum(
        ((abs(o - e) - min(HALF, abs(o - e))) ** 2 / e for o, e in _expected(table)), Fraction(0)
    )
    found["fisher_p"] = fisher_two_sided(a, b, c, d)
    if b * c == 0:
        caveats.append("The odds ratio is infinite: a cell is empty.")
        return found
    found["odds_ratio"] = Fraction(a * d, b * c)
    if a * d == 0:
        caveats.append("Woolf's interval needs four cells that are not empty.")
        return found
    middle = log(a) + log(d) - log(b) - log(c)
    reach = real(normal_quantile((1 + confidence) / 2)) * sqrt(1 / a + 1 / b + 1 / c + 1 / d)
    found["conf_low"] = Fraction(exp(middle - reach))
    found["conf_high"] = Fraction(exp(middle + reach))
    return found


def _mantel_haenszel(tables: Sequence[Table], caveats: list[str]) -> dict[str, Fraction | None]:
    above = below = distance = variance = Fraction(0)
    for (a, b), (c, d) in tables:
        n = a + b + c + d
        if n < 2:
            continue
        above += Fraction(a * d, n)
        below += Fraction(b * c, n)
        distance += a - Fraction((a + b) * (a + c), n)
        variance += Fraction((a + b) * (c + d) * (a + c) * (b + d), n * n * (n - 1))
    if not below or not variance:
        caveats.append("The common odds ratio is not defined: too many cells are empty.")
        return {"mantel_haenszel_or": None, "mantel_haenszel_p": None}
    statistic = (abs(distance) - min(HALF, abs(distance))) ** 2 / variance
    return {"mantel_haenszel_or": above / below, "mantel_haenszel_p": chi2_tail(1, statistic)}
