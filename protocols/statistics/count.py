"""`count`: how many persons, overall or in each level of a column.

Opens one integer a level. Each level passes or fails by itself; the total is given only when
every level is, since it would give a single suppressed level away.
"""

from __future__ import annotations

from dataclasses import dataclass

from protocols.statistics.answer import Finished, Opened, Scalar, finished, suppression, withheld
from protocols.statistics.draft import Draft
from protocols.statistics.plan import Level, Plan, Unit

__all__ = ["finish_count", "plan_count"]

METHOD = "number of rows that `where` keeps; by level: of those with a value in the column"


@dataclass(frozen=True, slots=True)
class Question:
    """The column counted by, None for the total, and the unit of each of its levels."""

    by: str | None
    levels: tuple[tuple[str, str], ...]  # (unit, level's name)


def plan_count(draft: Draft) -> Plan:
    """One unit a level, or one for all rows. Raises PlanRefused for a column without levels."""
    by = draft.parameters.get("by")
    if by is None:
        return draft.plan([draft.unit("main", (), ())], Question(None, ()))
    facts = draft.column(by)
    complete = (facts.key,)
    levels = draft.levels(facts)
    units = [
        draft.unit(f"level {code}", complete, (), fixed=(Level(facts.key, code),))
        for code, _ in levels
    ]
    question = Question(
        draft.label(facts.key), tuple((f"level {code}", name) for code, name in levels)
    )
    return draft.plan([*units, draft.left_out(complete)], question)


def finish_count(plan: Plan, opened: Opened) -> Finished:
    """The levels that passed; the total only when all did."""
    question: Question = plan.question
    if question.by is None:
        return _finish_total(plan, opened)
    counts = {level: opened[unit] for unit, level in question.levels}
    if all(found is None for found in counts.values()):
        return withheld(plan, opened, plan.units[0], METHOD)
    table: list[dict[str, Scalar]] = [
        {question.by: level, "n": None if found is None else found[0]}
        for level, found in counts.items()
    ]
    missing = [_suppressed(plan.unit(u), level) for u, level in question.levels if not opened[u]]
    total = None if missing else sum(found[0] for found in counts.values() if found)
    return finished(
        plan,
        opened,
        values={"n": total},
        table=table,
        n=total,
        numbers={},
        method=METHOD,
        caveats=["The total is withheld together with a suppressed level."] if missing else [],
        suppressed=missing,
    )


def _finish_total(plan: Plan, opened: Opened) -> Finished:
    found = opened["main"]
    if found is None:
        return withheld(plan, opened, plan.unit("main"), METHOD)
    (total,) = found[:1]
    return finished(
        plan,
        opened,
        values={"n": total},
        table=[],
        n=total,
        numbers={},
        method=METHOD,
        caveats=[],
    )


def _suppressed(unit: Unit, level: str) -> dict[str, str]:
    return suppression(unit, level, "n")
