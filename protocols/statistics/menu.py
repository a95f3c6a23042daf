"""The kinds of statistics that are built, each with its way to plan and to finish.

    plan_statistic    public facts -> which sums, which checks       before anything is computed
    finish            opened integers -> the answer                  after everything has opened

Both are pure and the same everywhere, so anyone can recompute an answer from its opened integers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from protocols.disclosure.threshold import Thresholds
from protocols.statistics.answer import Finished, Opened
from protocols.statistics.correlation import finish_correlation, plan_correlation
from protocols.statistics.count import finish_count, plan_count
from protocols.statistics.crosstab import finish_crosstab, plan_crosstab
from protocols.statistics.describe import finish_describe, plan_describe
from protocols.statistics.draft import Draft, encodings_of
from protocols.statistics.groups import finish_anova, finish_t_test, plan_anova, plan_t_test
from protocols.statistics.histogram import finish_histogram, plan_histogram
from protocols.statistics.plan import ColumnFacts, Plan, PlanRefused
from protocols.statistics.regression import finish_linear_model, plan_linear_model

__all__ = ["FAMILIES", "Family", "Finished", "finish", "plan_statistic"]

ROWS_MAX = 1 << 40  # of all members together; more leaves no room for values in the ring


@dataclass(frozen=True, slots=True)
class Family:
    """A kind's two halves; both pure, so that any machine gives the same plan and answer."""

    plan: Callable[[Draft], Plan]
    finish: Callable[[Plan, Opened], Finished]


FAMILIES: Mapping[str, Family] = {
    "count": Family(plan_count, finish_count),
    "describe": Family(plan_describe, finish_describe),
    "histogram": Family(plan_histogram, finish_histogram),
    "crosstab": Family(plan_crosstab, finish_crosstab),
    "correlation": Family(plan_correlation, finish_correlation),
    "t_test": Family(plan_t_test, finish_t_test),
    "anova": Family(plan_anova, finish_anova),
    "linear_model": Family(plan_linear_model, finish_linear_model),
}


def plan_statistic(
    name: str,
    kind: str,
    parameters: Mapping[str, Any],
    facts: Mapping[str, ColumnFacts],
    thresholds: Thresholds,
    rows_max: int,
    members: int,
    linked: bool,
    aliases: tuple[str, ...],
) -> Plan:
    """The plan of one statistic of a study.

    `parameters` are the study's, with words as written there; `facts` gives each such word's
    column. A linear model has `response` (a word) and `terms` (a list of terms, each a tuple of
    (word, categorical) pairs) beside its formula, and `intercept` if it has none. `rows_max` is the
    largest bound on rows of one member, `members` how many members' rows are pooled (linked: how
    many lead). `aliases` are the tables linked, or the one pooled. Raises PlanRefused.
    """
    if kind not in FAMILIES:
        raise PlanRefused(f"the kind {kind} is not built yet", "one of " + ", ".join(FAMILIES))
    rows = rows_max * members
    if not 0 < rows < ROWS_MAX:
        raise PlanRefused(
            f"{rows} rows do not fit the arithmetic", "a smaller rows_max in the dictionaries"
        )
    draft = Draft(
        name,
        kind,
        parameters,
        facts,
        thresholds,
        rows,
        linked,
        tuple(sorted(aliases)),
        encodings_of(facts.values()),
    )
    return FAMILIES[kind].plan(draft)


def finish(plan: Plan, opened: Opened) -> Finished:
    """The answer from the opened integers, `{unit: integers}`; None for a unit that did not pass.

    A unit's integers are its first `opens` cells in order; hidden ones after them are ignored.
    """
    return FAMILIES[plan.kind].finish(plan, opened)
