"""`histogram`: how many persons between each two edges, as numpy.histogram counts them.

Opens one integer a bin; the table is withheld whole when one bin is too small. Values outside the
edges are left out and counted with the missing ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import isfinite
from typing import Any

from protocols.statistics.answer import Finished, Opened, Scalar, finished, withheld
from protocols.statistics.draft import COMBINATIONS_MAX, Draft, cell_advice
from protocols.statistics.plan import NUMERIC, Bin, Check, Plan, PlanRefused, Unit

__all__ = ["finish_histogram", "plan_histogram"]

METHOD = "half-open bins, the last one closed (numpy.histogram); values outside are left out"


@dataclass(frozen=True, slots=True)
class Question:
    """(low, high) of each bin; the last holds its upper edge too."""

    edges: tuple[tuple[float, float], ...]


def plan_histogram(draft: Draft) -> Plan:
    """One unit that holds every bin. Raises PlanRefused for a column that is no number."""
    facts = draft.column(draft.parameters["column"])
    if facts.type not in NUMERIC:
        raise PlanRefused(
            f"the column {facts.key[1]} is of type {facts.type}, not a number",
            "a column of numbers; `count` with `by` counts levels",
        )
    pairs = tuple(pairwise(_edges(draft.parameters["edges"])))
    bins = [Bin(facts.key, low, high, closed=(low, high) == pairs[-1]) for low, high in pairs]
    parts = [(one,) for one in bins]
    complete = (facts.key,)
    inside = draft.unit("main", complete, parts)
    unit = _bins_only(draft, inside)
    return draft.plan([unit, draft.left_out(complete, kept=parts)], Question(pairs))


def _edges(found: Any) -> list[float]:
    edges = [float(edge) for edge in found]
    rising = all(low < high for low, high in pairwise(edges))
    if len(edges) < 2 or not rising or not all(isfinite(edge) for edge in edges):
        raise PlanRefused("the edges of the histogram do not rise", "two or more rising edges")
    if len(edges) > COMBINATIONS_MAX:
        raise PlanRefused(
            f"the histogram has more than {COMBINATIONS_MAX} bins", "fewer and wider bins"
        )
    return edges


def _bins_only(draft: Draft, unit: Unit) -> Unit:
    """The unit without its number of complete rows: with the bins it would tell who is outside."""
    cells = unit.cells[1:]
    every = tuple(range(unit.opens - 1))
    advice = cell_advice((), ())
    checks = [draft.cohort_check(every), *(draft.cell_check((k,), advice) for k in every)]
    checks += [_earlier(check) for check in unit.checks if check.cells[0] >= unit.opens]
    return Unit(unit.name, cells, unit.opens - 1, tuple(checks))


def _earlier(check: Check) -> Check:
    places = tuple(place - 1 for place in check.cells)
    return Check(places, check.at_least, check.zero_passes, check.rule, check.would_pass)


def finish_histogram(plan: Plan, opened: Opened) -> Finished:
    """Counts by bin, in the order of the edges."""
    counts = opened["main"]
    if counts is None:
        return withheld(plan, opened, plan.unit("main"), METHOD)
    edges = plan.question.edges
    table: list[dict[str, Scalar]] = [
        {"low": low, "high": high, "count": count}
        for (low, high), count in zip(edges, counts, strict=False)
    ]
    return finished(
        plan,
        opened,
        values={},
        table=table,
        n=sum(counts[: len(edges)]),
        numbers={},
        method=METHOD,
        caveats=[],
    )
