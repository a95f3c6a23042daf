"""What a simulated run says of itself: one JSON object, the same for the same seed but for `host`.

plan       seed, nodes, networks, topology, fidelity, links, minutes, liars; `command` runs it again
finished   whether everything has, and when in virtual time; `broken` says what did not hold
checks     how often each invariant was looked at; `finally` what held in the end;
           `not_yet` those that do not apply yet
found      how members found each other: connections made, dialled in vain, without an address
shared     signatures of entries: verified once, and known when another node asked
spread     seconds until an entry was everywhere: founding entries and later ones apart
faults     those drawn, and how many of each kind happened
studies    for each how it ended at each party, and who was waited for
traffic    bytes sent and messages, by kind
host       this machine's seconds, events a second and memory: the only part that it decides
"""

from __future__ import annotations

import resource
import sys
from collections import Counter
from dataclasses import asdict
from typing import Any

from simulations.checkers import FINALLY, INVARIANTS, NOT_YET
from simulations.errands import Errand
from simulations.goals import finished
from simulations.plan import Plan
from simulations.run import Run
from simulations.world import World

__all__ = ["host_figures", "make_report"]


def make_report(done: Run) -> dict[str, Any]:
    """Everything but `host`."""
    plan, world = done.plan, done.world
    return {
        "plan": _plan(plan),
        "finished": done.broken is None and finished(world),
        "virtual_s": round(world.schedule.now_us / 1e6, 3),
        "broken": None if done.broken is None else asdict(done.broken),
        "trace": world.trace.hexdigest(),
        "steps": world.steps,
        "events": world.counts["events"],
        "checks": {name: world.checkers.counts[name] for name in INVARIANTS},
        "finally": list(FINALLY),
        "not_yet": list(NOT_YET),
        "found": {
            "connections": world.counts["connections"],
            "in_vain": world.counts["dialled in vain"],
            "without_address": world.counts["dialled without an address"],
        },
        "shared": dict(sorted(world.reading.counts.items())),
        "spread": world.spread.summary(),
        "faults": {
            "drawn": [fault.to_json() for fault in plan.faults],
            "happened": dict(sorted(world.happened.items())),
        },
        "outcomes": dict(sorted(_outcomes(world).items())),
        "studies": [_study(world, errand) for errand in plan.errands],
        "traffic": _traffic(world),
    }


def host_figures(done: Run, seconds: float) -> dict[str, float]:
    """What this machine made of it. Memory is the whole process's peak."""
    scale = 1 if sys.platform == "darwin" else 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale
    return {
        "seconds": round(seconds, 2),
        "events_a_second": round(done.world.counts["events"] / max(seconds, 1e-9), 1),
        "peak_memory_bytes": peak,
        "memory_bytes_a_node": round(peak / done.plan.nodes),
    }


def _plan(plan: Plan) -> dict[str, Any]:
    return {
        "seed": plan.seed,
        "nodes": plan.nodes,
        "networks": [len(inside) for inside in plan.networks],
        "topology": plan.topology,
        "links": plan.graph.number_of_edges(),
        "minutes": plan.minutes,
        "studies": len(plan.errands),
        "fidelity": plan.fidelity,
        "liars": list(plan.liars),
        "command": plan.scenario.command,
    }


def _traffic(world: World) -> dict[str, Any]:
    sent = [node.bytes_sent for node in world.nodes]
    messages = {
        kind.removeprefix("sent "): count
        for kind, count in sorted(world.counts.items())
        if kind.startswith("sent ")
    }
    return {
        "bytes_sent_a_node": round(sum(sent) / len(sent)),
        "bytes_sent_max": max(sent),
        "messages": messages,
        "lost": world.counts["lost"],
    }


def _outcomes(world: World) -> Counter[str]:
    return Counter(_study(world, errand)["outcome"] for errand in world.plan.errands)


def _study(world: World, errand: Errand) -> dict[str, Any]:
    """How it ended at each party; `ended` is the first party's word on why, if it ended early."""
    study = errand.study
    cores = {party: world.nodes[world.places[party]].core for party in study.parties}
    cases = {party: core.cases.get(study.id) for party, core in cores.items() if core is not None}
    known = {party: case for party, case in cases.items() if case is not None}
    notes = [case.ended for case in known.values() if case.ended is not None]
    ends = [world.ends[study.id, party] for party in known if (study.id, party) in world.ends]
    return {
        "study": study.id[:16],
        "title": study.title,
        "network": errand.network,
        "proposed_at_s": round(errand.at_us / 1e6, 3),
        "ended_at_s": round(max(ends) / 1e6, 3) if len(ends) == len(study.parties) else None,
        "outcome": " and ".join(sorted({case.state for case in known.values()})) or "not begun",
        "parties": {party: case.state for party, case in known.items()},
        "attempts": max((case.attempt for case in known.values()), default=0),
        "ended": None
        if not notes
        else {
            "code": notes[0].code,
            "why": notes[0].why,
            "waited_for": notes[0].waited_for,
        },
    }
