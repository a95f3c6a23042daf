"""From a resolved study to the joint protocol's plan (public) and one party's inputs (secret)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
from protocols.statistics.cells import cells_of, features, linked_layout, pooled_sums
from protocols.statistics.menu import plan_statistic
from protocols.statistics.plan import ColumnFacts, ColumnKey, Plan, PlanRefused, Values

__all__ = [
    "Drawn",
    "Share",
    "draw_plan",
    "gather_inputs",
    "join_shares",
    "planned_statistic",
    "share_of",
]

Catalogue = Mapping[str, Mapping[str, Dictionary]]


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


@dataclass(frozen=True, slots=True, repr=False)
class Share:
    """What an attempt takes of some rows of one alias: sums and linkage inputs, no column. Secret.

    pooled    statistic -> unit -> the sums over these rows
    keys      for each pass the key of each row, None where it is missing; () where nothing links
    persons   the `person` value of each row, or None
    columns   int64 (rows, features) of all linked statistics side by side
    """

    rows: int
    pooled: Mapping[str, Mapping[str, Sequence[int]]]
    keys: tuple[list[bytes | None], ...]
    persons: list[bytes | None] | None
    columns: npt.NDArray[np.int64]


def gather_inputs(
    me: str, resolved: Resolved, plan: JointPlan, snapshots: Mapping[str, Snapshot]
) -> tuple[JointInputs, dict[str, int]]:
    """This party's inputs; and for each linked alias the rows that repeat a person here.

    snapshots  this member's data sets by name
    Raises Overflow when a value lies outside what the plan allows.
    """
    shares = {
        alias.name: [share_of(me, alias.name, resolved, plan, snapshots[alias.dataset])]
        for alias in resolved.study.data
        if me in alias.members
    }
    return join_shares(me, plan, shares, {name: one.root for name, one in snapshots.items()})


def share_of(me: str, alias: str, resolved: Resolved, plan: JointPlan, snapshot: Snapshot) -> Share:
    """What these rows put in. Raises ValueError when a value lies outside its declared bounds."""
    where = kept_rows(resolved.where[alias], snapshot, alias)
    pooled = {
        one.name: pooled_sums(one, _values(one, alias, snapshot), where)
        for one in plan.plans
        if not one.linked and one.aliases[0] == alias and me in plan.pooled[one.name]
    }
    link = resolved.study.link
    if plan.link is None or link is None or alias not in dict(plan.link.tables):
        return Share(snapshot.rows, pooled, (), None, np.zeros((snapshot.rows, 0), np.int64))
    columns = [features(one, alias, _values(one, alias, snapshot), where) for one in plan.linked]
    named = persons(snapshot)
    return Share(
        snapshot.rows,
        pooled,
        _keys(snapshot, link),
        None if named is None else [None if p is None else p.encode() for p in named],
        np.concatenate(columns, axis=1),
    )


def join_shares(
    me: str, plan: JointPlan, shares: Mapping[str, Sequence[Share]], roots: Mapping[str, bytes]
) -> tuple[JointInputs, dict[str, int]]:
    """The inputs of a party from all its rows, each alias's in the order of the rows.

    Raises Overflow when a linked table is too long.
    """
    pooled = {
        one.name: cells_of(
            one,
            sum(share.rows for share in shares[one.aliases[0]]),
            [share.pooled[one.name] for share in shares[one.aliases[0]]],
        )
        for one in plan.plans
        if not one.linked and me in plan.pooled[one.name]
    }
    holdings: dict[str, Holding] = {}
    duplicates: dict[str, int] = {}
    sizes: dict[str, int] = {}
    for alias, _ in plan.link.tables if plan.link is not None else ():
        if alias in shares:
            sizes[alias] = _class(alias, sum(share.rows for share in shares[alias]))
            holdings[alias], duplicates[alias] = _holding(shares[alias])
    return JointInputs(pooled, sizes, holdings, _digest(roots, pooled)), duplicates


def _values(plan: Plan, alias: str, snapshot: Snapshot) -> dict[ColumnKey, Values]:
    return {
        facts.key: snapshot.values(facts.key[1]) for facts in plan.facts if facts.key[0] == alias
    }


def _keys(snapshot: Snapshot, link: Link) -> tuple[list[bytes | None], ...]:
    return tuple(
        [join_parts(number, part) for part in one_pass]
        for number, one_pass in enumerate(key_parts(snapshot, link.by), 1)
    )


def _class(alias: str, rows: int) -> int:
    if rows > CLASS_MAX:
        raise Overflow(
            f"{alias} has more rows than linkage takes of one member ({CLASS_MAX})",
            next="Link a part of the rows.",
            field=f"data.{alias}",
        )
    return size_class(rows)


def _holding(shares: Sequence[Share]) -> tuple[Holding, int]:
    """Who repeats whom is judged over all rows; a row that repeats a person puts in zeros."""
    keys = [
        [key for one_pass in passes for key in one_pass]
        for passes in zip(*(share.keys for share in shares), strict=True)
    ]
    named = [share.persons for share in shares]
    whose = None if None in named else [p for part in named if part is not None for p in part]
    unique, keep, duplicates = unique_keys(keys, whose)
    columns = np.concatenate([share.columns for share in shares])
    columns[~keep] = 0
    return Holding(tuple(unique), keep, columns), duplicates


def _digest(roots: Mapping[str, bytes], pooled: Mapping[str, Any]) -> bytes:
    """Binds the rows and, for readers of the code, that nothing else went in."""
    parts = [part for name, root in sorted(roots.items()) for part in (name.encode(), root)]
    cells = [
        f"{statistic}/{unit}={','.join(map(str, numbers))}".encode()
        for statistic, units in sorted(pooled.items())
        for unit, numbers in sorted(units.items())
    ]
    return digest("p2pmpc/own-inputs/1", *parts, *cells)
