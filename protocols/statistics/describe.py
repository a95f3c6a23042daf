"""`describe`: n, missing, mean, sd, variance, skewness and kurtosis, by column and level.

From the sums of the first four powers about the middle of the bounds, moved to the mean in exact
fractions. A category is described by the number of persons in each of its levels. Each column, in
each level of `by`, passes or fails by itself. Sums of powers give values away: from n and four of
them the ages of ten persons follow one by one. Skewness and kurtosis therefore need persons enough
(25 of ages), and of a whole number of few values that each value's count would pass as in a table.
Quartiles and extremes are not sums; they are null.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import count
from math import comb

from protocols.statistics.answer import (
    LEFT_OUT_HIDDEN,
    Finished,
    Opened,
    Scalar,
    finished,
    suppression,
    withheld,
)
from protocols.statistics.distribution import root
from protocols.statistics.draft import SQUARES_GIVE, Draft, joined
from protocols.statistics.plan import (
    ColumnFacts,
    ColumnKey,
    Factors,
    Level,
    Plan,
    PlanRefused,
    Unit,
)
from protocols.statistics.polynomial import Polynomial, column_polynomial, evaluate, power
from protocols.statistics.precision import Bounded, Numbers, carried, shown, sums_of

__all__ = ["finish_describe", "plan_describe"]

METHOD = (
    "mean, variance with n - 1, moment skewness g1 and excess kurtosis g2 (as SciPy's default), "
    "from exact sums of the first four powers"
)
NOT_SUMS = "Quartiles, minimum and maximum are not sums of rows and are not given here."
DAYS = "Dates are days since 1970-01-01."
SUBTRACT = "The numbers of persons of two columns can be subtracted from each other."
CONSTANT = "has one value only, or none that the arithmetic can tell apart: no shape is given"
POWERS = (1, 2, 3, 4)
POWERS_GIVE = 12  # values whose counts all but follow from n and the sums of four powers
VALUES_ASSUMED = 128  # more values hide fewer persons; a column may really use fewer than declared
SPARE_BITS = 10
NUMBERS = ("mean", "sd", "var", "skewness", "kurtosis")
NULLS = ("q1", "median", "q3", "min", "max")


@dataclass(frozen=True, slots=True)
class Row:
    """One column in one group: its unit, the unit of its missing values, and its polynomial."""

    column: str
    group: str | None
    unit: str
    missing: str
    shape: str  # the unit of the third and fourth powers, "" where `unit` has them
    value: Polynomial | None
    levels: tuple[tuple[Factors, str], ...]  # of a category


@dataclass(frozen=True, slots=True)
class Question:
    """The rows of the answer and the column that splits them, None where nothing does."""

    by: str | None
    rows: tuple[Row, ...]
    dates: bool


def plan_describe(draft: Draft) -> Plan:
    """A unit of four power sums for each column and level. Raises PlanRefused."""
    words = draft.parameters["columns"]
    if not words:
        raise PlanRefused("describe has no columns", "at least one column")
    by = draft.parameters.get("by")
    groups: list[tuple[str | None, Factors]] = [(None, ())]
    base: tuple[ColumnKey, ...] = ()
    if by is not None:
        facts = draft.column(by)
        base = (facts.key,)
        groups = [(name, (Level(facts.key, code),)) for code, name in draft.levels(facts)]
    units: list[Unit] = []
    rows: list[Row] = []
    for word in dict.fromkeys(words):
        column = draft.column(word)
        if column.key in base:
            raise PlanRefused(f"{word} is both described and the group", "another column as by")
        for group, fixed in groups:
            row, opening = _row(draft, column, group, base, fixed)
            missing = draft.left_out((*base, column.key), name=row.missing, base=base, fixed=fixed)
            units.extend((*opening, missing))
            rows.append(row)
    label = None if by is None else draft.label(base[0])
    dates = any(one.type == "date" for one in draft.facts.values())
    return draft.plan(units, Question(label, tuple(rows), dates))


def _row(
    draft: Draft,
    column: ColumnFacts,
    group: str | None,
    base: tuple[ColumnKey, ...],
    fixed: Factors,
) -> tuple[Row, list[Unit]]:
    label = draft.label(column.key)
    where = "".join(f" in level {mark.code}" for mark in fixed if isinstance(mark, Level))
    complete = (*base, column.key)
    name, missing = f"{label}{where}", f"missing {label}{where}"
    if column.type == "category":
        cells = tuple(
            (joined(fixed, (Level(column.key, code),)), level)
            for code, level in draft.levels(column)
        )
        unit = draft.unit(name, complete, [factors for factors, _ in cells], fixed=fixed)
        return Row(label, group, name, missing, "", None, cells), [unit]
    value = column_polynomial(draft, column)
    sums = {k: [joined(fixed, factors) for factors in power(_about(value), k)] for k in POWERS}
    if column.type == "boolean" or draft.few_values(column, SQUARES_GIVE):
        few = [draft.few_values(column, SQUARES_GIVE)]
        every = [factors for k in POWERS for factors in sums[k]]
        unit = draft.unit(name, complete, every, fixed=fixed, crossed=few)
        return Row(label, group, name, missing, "", value, ()), [unit]
    shape, table = f"shape of {name}", draft.few_values(column, POWERS_GIVE)
    units = [
        draft.unit(name, complete, [*sums[1], *sums[2]], fixed=fixed),
        draft.unit(
            shape,
            complete,
            [*sums[3], *sums[4]],
            fixed=fixed,
            crossed=[table],
            persons=0 if table else _persons_hidden(draft, column),
        ),
    ]
    return Row(label, group, name, missing, shape, value, ()), units


def _persons_hidden(draft: Draft, column: ColumnFacts) -> int:
    """The fewest persons whose values four sums of powers cannot single out.

    By counting: there must be 2^SPARE_BITS times as many ways to give so many persons values as
    there are sums. Where the real resolution is unknown, or finer, VALUES_ASSUMED values are
    assumed.
    """
    if draft.thresholds.minimum_cell <= 1:
        return 0  # single persons may show
    resolved = column.type == "integer" or column.decimals is not None
    values = 2 * draft.encodings[column.key].bound + 1
    values = min(values, VALUES_ASSUMED) if resolved else VALUES_ASSUMED
    return next(n for n in count(1) if _ways(n, values) >= _sums(n, values // 2) + SPARE_BITS)


def _ways(persons: int, values: int) -> int:
    return comb(persons + values - 1, persons).bit_length()


def _sums(persons: int, bound: int) -> int:
    """Bits of all four sums together; the odd ones have a sign."""
    return sum((persons * bound**k).bit_length() + k % 2 for k in POWERS)


def _about(value: Polynomial) -> Polynomial:
    """The column about the middle of its bounds."""
    return {factors: weight for factors, weight in value.items() if factors}


def finish_describe(plan: Plan, opened: Opened) -> Finished:
    """A row for each column and level; what did not pass is null and listed."""
    question: Question = plan.question
    if all(opened[row.unit] is None for row in question.rows):
        return withheld(plan, opened, plan.units[0], METHOD)
    table: list[dict[str, Scalar]] = []
    suppressed: list[dict[str, str]] = []
    numbers: dict[str, Bounded] = {}
    caveats = [NOT_SUMS, *([DAYS] if question.dates else [])]
    for row in question.rows:
        place = row.column if row.group is None else f"{row.column}, {row.group}"
        if opened.get(row.missing, []) is None:
            caveats.append(LEFT_OUT_HIDDEN)
        named = ((row.unit, "n"), (row.shape, "skewness, kurtosis"))
        for unit, column in named:
            if unit and opened[unit] is None:
                suppressed.append(suppression(plan.unit(unit), place, column))
        if row.value is None:
            table.extend(_category(question, row, opened))
            continue
        found = _numbers(plan, row, opened)
        table.append(_line(question, row, opened, found))
        numbers.update({f"{name} of {place}": one for name, one in found.items()})
        hidden = opened[row.unit] is None or (row.shape and opened[row.shape] is None)
        if found["skewness"].value is None and not hidden:
            caveats.append(f"{place} {CONSTANT}.")
    counts = _totals(question, opened)
    single = len(question.rows) == 1
    if len(counts) > 1:
        caveats.append(SUBTRACT)
    return finished(
        plan,
        opened,
        values={},
        table=table,
        n=counts.pop() if len(counts) == 1 else None,
        numbers=numbers,
        method=METHOD,
        caveats=caveats,
        suppressed=suppressed,
        left_out=_first(opened, question.rows[0].missing) if single else None,
    )


def _totals(question: Question, opened: Opened) -> set[int | None]:
    """Each column's persons over all groups; None where a group is suppressed."""
    totals: dict[str, int | None] = {}
    for row in question.rows:
        known, one = totals.get(row.column, 0), _first(opened, row.unit)
        totals[row.column] = None if known is None or one is None else known + one
    return {*totals.values()}


def _numbers(plan: Plan, row: Row, opened: Opened) -> dict[str, Bounded]:
    integers = opened[row.unit]
    if integers is None:
        return dict.fromkeys(NUMBERS, Bounded(None, Fraction(0)))
    sums = sums_of(plan, row.unit, integers)
    shape = opened[row.shape] if row.shape else None
    if shape is not None:
        sums |= sums_of(plan, row.shape, shape)
    held = plan.unit(row.unit).cells[0].factors
    bare = {tuple(f for f in factors if f not in held): one for factors, one in sums.items()}
    assert row.value is not None
    value = row.value
    return carried(lambda known: moments(value, known), bare, plan.encodings)


def moments(value: Polynomial, sums: Mapping[Factors, Fraction]) -> Numbers:
    """Mean, sd, var, skewness and kurtosis of a column from the sums of its powers."""
    n = sums[()]
    if n <= 0:
        return dict.fromkeys(NUMBERS)
    centre = value.get((), Fraction(0))
    powers = [power(_about(value), k) for k in (0, *POWERS)]
    raw = [evaluate(one, sums) / n for one in powers if one.keys() <= sums.keys()]
    a = raw[1]
    m2 = raw[2] - a**2
    var = m2 * n / (n - 1) if n > 1 else None
    shape: dict[str, Fraction | None] = {"skewness": None, "kurtosis": None}
    if m2 > 0 and len(raw) == len(powers):
        m3 = raw[3] - 3 * a * raw[2] + 2 * a**3
        m4 = raw[4] - 4 * a * raw[3] + 6 * a**2 * raw[2] - 3 * a**4
        shape = {"skewness": m3 / (m2 * root(m2)), "kurtosis": m4 / m2**2 - 3}
    sd = root(var) if var is not None and var >= 0 else None
    return {"mean": centre + a, "sd": sd, "var": None if sd is None else var, **shape}


def _line(
    question: Question, row: Row, opened: Opened, found: Mapping[str, Bounded]
) -> dict[str, Scalar]:
    line = _head(question, row)
    line["n"] = _first(opened, row.unit)
    line["missing"] = _first(opened, row.missing)
    line.update({name: shown(found[name]) for name in NUMBERS})
    line.update(dict.fromkeys(NULLS))
    return line


def _category(question: Question, row: Row, opened: Opened) -> list[dict[str, Scalar]]:
    """One line a level, with the number of persons."""
    integers = opened[row.unit]
    lines = []
    for place, (_, level) in enumerate(row.levels):
        line = _head(question, row)
        line["level"] = level
        line["n"] = None if integers is None else integers[place + 1]
        line["missing"] = _first(opened, row.missing)
        line.update(dict.fromkeys((*NUMBERS, *NULLS)))
        lines.append(line)
    return lines


def _head(question: Question, row: Row) -> dict[str, Scalar]:
    line: dict[str, Scalar] = {"column": row.column}
    if question.by is not None:
        line[question.by] = row.group
    return line


def _first(opened: Opened, unit: str) -> int | None:
    found = opened[unit]
    return None if found is None else found[0]
