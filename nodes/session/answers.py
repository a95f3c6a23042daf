"""From opened integers to the answer that a recipient reads, and the receipt that proves it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from nodes.session.inputs import Drawn
from p2pmpc.answer import INTEGRITY
from p2pmpc.catalogue import Resolved, ResolvedStatistic
from p2pmpc.certificate import Certificate, certificate_hash
from protocols.joint import unit_name
from protocols.statistics.menu import Finished, finish
from protocols.statistics.plan import Plan

__all__ = ["answer_bytes", "make_answer"]


def make_answer(
    resolved: Resolved,
    drawn: Drawn,
    integers: Mapping[str, tuple[int, ...] | None],
    certificate: Certificate,
    heads: Mapping[str, str],
) -> dict[str, Any]:
    """The answer as the interface writes it. A pure function of what the receipt holds."""
    plans = {plan.name: plan for plan in drawn.joint.plans}
    statistics = {
        one.name: _finished(plans[one.name], integers)
        if one.name in plans
        else _refused(one, drawn.refused[one.name])
        for one in resolved.statistics
    }
    return {
        "study": resolved.study.id,
        "released": all(_whole(one) for one in statistics.values()),
        "members": list(resolved.study.parties),
        "statistics": statistics,
        "integrity": INTEGRITY,
        "receipt": {
            "certificate": certificate_hash(certificate).hex(),
            "log_heads": dict(sorted(heads.items())),
            "signers": list(certificate.parties),
        },
    }


def answer_bytes(answer: Mapping[str, Any]) -> bytes:
    """The one JSON spelling that the receipt keeps and the record's hash is over."""
    return json.dumps(answer, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def _whole(statistic: Mapping[str, Any]) -> bool:
    """Everything that was asked for is there; how many were left out may stay suppressed."""
    return bool(statistic["released"]) and all(
        one.get("column") in {"left_out", "missing"} for one in statistic["suppressed"]
    )


def _finished(plan: Plan, integers: Mapping[str, tuple[int, ...] | None]) -> dict[str, Any]:
    opened = {}
    for unit in plan.units:
        numbers = integers[unit_name(plan, unit)]
        opened[unit.name] = None if numbers is None else list(numbers)
    return _spelled(plan.kind, finish(plan, opened))


def _spelled(kind: str, done: Finished) -> dict[str, Any]:
    found: dict[str, Any] = {
        "kind": kind,
        "released": done.released,
        "n": done.n,
        "left_out": done.left_out,
        "values": done.values,
        "table": done.table,
        "method": done.method,
        "opened": done.opened,
        "precision": done.precision,
        "suppressed": done.suppressed,
        "noise": None,
        "caveats": done.caveats,
    }
    if not done.released:
        found |= {"reason": done.reason, "would_pass": done.would_pass}
    return found


def _refused(one: ResolvedStatistic, why: tuple[str, str, str]) -> dict[str, Any]:
    reason, would_pass, rule = why
    return {
        "kind": one.kind,
        "released": False,
        "n": None,
        "left_out": None,
        "values": {},
        "table": [],
        "method": "",
        "opened": [],
        "precision": "",
        "suppressed": [{"row": "", "column": "", "rule": rule, "would_pass": would_pass}],
        "noise": None,
        "caveats": [],
        "reason": reason,
        "would_pass": would_pass,
    }
