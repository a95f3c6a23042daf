"""From a resolved study to the joint protocol's plan (public) and one party's inputs (secret)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import numpy.typing as npt

from nodes.data.dataset import Snapshot
from nodes.data.filter import kept_rows
from nodes.data.keys import key_parts, persons
from p2pmpc.catalogue import Resolved, ResolvedStatistic
from p2pmpc.dictionary import Column, Dictionary
from p2pmpc.errors import Overflow
from p2pmpc.formula import parse_formula
from p2pmpc.policy import Rules
from p2pmpc.study import Link, Study
from protocols.commitment import digest
from protocols.disclosure.differencing import guarded
from protocols.disclosure.threshold import Thresholds
from protocols.joint import WORDS, JointInputs, JointPlan
from protocols.linkage.cohort import Holding, LinkPlan
from protocols.linkage.hashing import CLASS_MAX, size_class
from protocols.linkage.tokens import join_parts, unique_keys
from protocols.statistics.cells import features, linked_layout, pooled_cells
from protocols.statistics.menu import plan_statistic
from protocols.statistics.plan import ColumnFacts, ColumnKey, Plan, PlanRefused, Values

__all__ = ["Drawn", "draw_plan", "gather_inputs", "planned_statistic"]

Catalogue = Mapping[str, Mapping[str, Dictionary]]
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Drawn:
    """The public plan of an attempt, and the statistics that are withheld before it begins.

    refused  statistic -> (reason, what would pass, rule)
    """

    joint: JointPlan
    refused: Mapping[str, tuple[str, str, str]]


# ---- the public plan -----------------------------------------------------------------------------


def draw_plan(session: bytes, resolved: Resolved, catalogue: Catalogue) -> Drawn:
    """The same at every party that holds the same study, descriptions and rules."""
    study = resolved.study
    plans: list[Plan] = []
    refused: dict[str, tuple[str, str, str]] = {}
    for one in resolved.statistics:
        if one.withheld is not None:
            held = one.withheld
            refused[one.name] = (held.reason, held.would_pass, held.rule)
            continue
        try:
            asked = planned_statistic(one, resolved, catalogue)
            plans.append(guarded(asked, plans, _thresholds(resolved.rules)))
        except PlanRefused as fault:
            refused[one.name] = (fault.reason, fault.would_pass, "RingBound")
    pooled = {
        plan.name: tuple(sorted(study.alias(plan.aliases[0]).members))
        for plan in plans
        if not plan.linked
    }
    link = _link_plan(study, plans, catalogue)
    recipients = tuple(sorted(study.recipients or study.parties))
    return Drawn(JointPlan(session, tuple(plans), pooled, link, recipients), refused)


def planned_statistic(one: ResolvedStatistic, resolved: Resolved, catalogue: Catalogue) -> Plan:
    """One statistic's plan. Raises PlanRefused."""
    first = resolved.study.alias(one.aliases[0])
    rows_max = sum(catalogue[member][first.dataset].rows_max for member in first.members)
    return plan_statistic(
        one.name,
        one.kind,
        _parameters(one),
        {word: _facts(alias, column) for word, (alias, column) in one.columns.items()},
        _thresholds(resolved.rules),
        rows_max,
        1,
        one.linked,
        one.aliases,
    )


def _parameters(one: ResolvedStatistic) -> dict[str, Any]:
    found: dict[str, Any] = dict(one.parameters)
    if isinstance(found.get("formula"), str):
        formula = parse_formula(found["formula"])
        found["response"] = formula.response
        found["terms"] = [tuple((f.name, f.categorical) for f in term) for term in formula.terms]
    return found


def _facts(alias: str, column: Column) -> ColumnFacts:
    kind = "number" if column.type == "time_to_event" else column.type
    return ColumnFacts(
        (alias, column.name), kind, column.minimum, column.maximum, column.decimals, column.levels
    )


def _thresholds(rules: Rules) -> Thresholds:
    return Thresholds(
        rules.minimum_cell,
        rules.minimum_cohort,
        rules.minimum_members,
        Fraction(rules.parameters_per_row),
        rules.zeros,  # type: ignore[arg-type]  # one of two words: Rules has checked
        rules.extremes,  # type: ignore[arg-type]  # and so is this
    )


def _link_plan(study: Study, plans: list[Plan], catalogue: Catalogue) -> LinkPlan | None:
    linked = [plan for plan in plans if plan.linked]
    if study.link is None or not linked:
        return None
    tables = tuple((alias, study.alias(alias).members) for alias in study.link.tables)
    layouts = [linked_layout(plan) for plan in linked]
    most = {
        (alias, member): _largest_class(catalogue[member][study.alias(alias).dataset])
        for alias, members in tables
        for member in members
    }
    widths = {
        alias: sum(len(layout.features[alias]) for layout in layouts) for alias, _ in tables[1:]
    }
    return LinkPlan(
        tables=tables,
        passes=len(study.link.by),
        sizes=most,
        widths=widths,
        words=WORDS,
        count_once=study.link.count_once,
    )


def _largest_class(dictionary: Dictionary) -> int:
    return size_class(min(dictionary.rows_max, CLASS_MAX))


# ---- one party's own part ------------------------------------------------------------------------


def gather_inputs(
    me: str, resolved: Resolved, plan: JointPlan, snapshots: Mapping[str, Snapshot]
) -> tuple[JointInputs, dict[str, int]]:
    """This party's inputs; and for each linked alias the rows that repeat a person here.

    snapshots  this member's data sets by name
    Raises Overflow when a value lies outside what the plan allows.
    """
    study = resolved.study
    rows = {
        alias.name: _Rows(alias.name, snapshots[alias.dataset], resolved)
        for alias in study.data
        if me in alias.members
    }
    pooled = {
        one.name: pooled_cells(one, rows[one.aliases[0]].values(one), rows[one.aliases[0]].where)
        for one in plan.plans
        if not one.linked and me in plan.pooled[one.name]
    }
    holdings: dict[str, Holding] = {}
    duplicates: dict[str, int] = {}
    if plan.link is not None and study.link is not None:
        for alias, members in plan.link.tables:
            if me in members:
                holdings[alias], duplicates[alias] = _holding(rows[alias], plan, study.link)
    sizes = {alias: _class(rows[alias], alias) for alias in holdings}
    return JointInputs(pooled, sizes, holdings, _digest(snapshots, pooled)), duplicates


class _Rows:
    """One alias's rows at this member."""

    def __init__(self, alias: str, snapshot: Snapshot, resolved: Resolved) -> None:
        self.alias = alias
        self.snapshot = snapshot
        self.where: Mask = kept_rows(resolved.where[alias], snapshot, alias)

    def values(self, plan: Plan) -> dict[ColumnKey, Values]:
        return {
            facts.key: self.snapshot.values(facts.key[1])
            for facts in plan.facts
            if facts.key[0] == self.alias
        }


def _class(rows: _Rows, alias: str) -> int:
    if rows.snapshot.rows > CLASS_MAX:
        raise Overflow(
            f"{alias} has more rows than linkage takes of one member ({CLASS_MAX})",
            next="Link a part of the rows.",
            field=f"data.{alias}",
        )
    return size_class(rows.snapshot.rows)


def _holding(rows: _Rows, plan: JointPlan, link: Link) -> tuple[Holding, int]:
    parts = key_parts(rows.snapshot, link.by)
    keys = [
        [join_parts(number, part) for part in one_pass] for number, one_pass in enumerate(parts, 1)
    ]
    named = persons(rows.snapshot)
    whose = None if named is None else [None if p is None else p.encode() for p in named]
    unique, keep, duplicates = unique_keys(keys, whose)
    columns = [
        features(one, rows.alias, rows.values(one), rows.where & keep) for one in plan.linked
    ]
    return Holding(tuple(unique), keep, np.concatenate(columns, axis=1)), duplicates


def _digest(snapshots: Mapping[str, Snapshot], pooled: Mapping[str, Any]) -> bytes:
    """Binds the rows and, for readers of the code, that nothing else went in."""
    roots = [part for name, one in sorted(snapshots.items()) for part in (name.encode(), one.root)]
    cells = [
        f"{statistic}/{unit}={','.join(map(str, numbers))}".encode()
        for statistic, units in sorted(pooled.items())
        for unit, numbers in sorted(units.items())
    ]
    return digest("p2pmpc/own-inputs/1", *roots, *cells)
