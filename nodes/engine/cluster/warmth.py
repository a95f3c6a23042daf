"""What a Session does before its brief comes, so that no study pays for it.

It plays a tiny study of two parties with itself: everything is imported, compiled kernels are
loaded from their cache or made, tables are built. Its keys and rows are fixed and mean nothing.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from protocols.disclosure.threshold import Thresholds
from protocols.joint import JointInputs, JointPlan, joint
from protocols.linkage.cohort import Holding, LinkPlan
from protocols.linkage.hashing import size_class
from protocols.party import Parties, Party, Seat, play
from protocols.randomness import RAND_BYTES, Randomness
from protocols.statistics.cells import cells_of, features, linked_layout, pooled_sums
from protocols.statistics.menu import finish, plan_statistic
from protocols.statistics.plan import Plan

__all__ = ["warm_up"]

PARTIES: Parties = ("a", "b")
ALIASES = ("here", "there")  # a holds the first table, b the second
ROWS = 8
ALL = np.ones(ROWS, np.bool_)
RULES = Thresholds(1, 1, 2, Fraction(1), "show", "never")


def warm_up(linked: bool) -> None:
    """Play it once; with linkage, which takes longer, if so asked."""
    import scipy.special  # noqa: F401  distribution functions of the answer

    plans = [_plan("pooled", False), *([_plan("linked", True)] if linked else [])]
    link = _link(plans[1]) if linked else None
    plan = JointPlan(bytes(32), tuple(plans), {"pooled": PARTIES}, link, PARTIES)
    found = play({party: joint(_seat(party), plan, _inputs(party, plan)) for party in PARTIES})
    opened = found["a"]
    assert opened is not None, "both are recipients"
    units = {unit.name: opened.integers[f"pooled/{unit.name}"] for unit in plans[0].units}
    finish(plans[0], {name: None if n is None else list(n) for name, n in units.items()})


def _plan(name: str, linked: bool) -> Plan:
    aliases = ALIASES if linked else ALIASES[:1]
    return plan_statistic(name, "count", {}, {}, RULES, 2 * ROWS, 1, linked, aliases)


def _link(plan: Plan) -> LinkPlan:
    return LinkPlan(
        tables=(("here", ("a",)), ("there", ("b",))),
        passes=1,
        sizes={("here", "a"): size_class(ROWS), ("there", "b"): size_class(ROWS)},
        widths={"there": len(linked_layout(plan).features["there"])},
        words=2,
        count_once=False,
    )


def _seat(me: Party) -> Seat:
    pair = Randomness(bytes(RAND_BYTES))
    peers = {peer: pair for peer in PARTIES if peer != me}
    return Seat(me, PARTIES, Randomness(me.encode() * RAND_BYTES), peers)


def _inputs(me: Party, plan: JointPlan) -> JointInputs:
    pooled = {
        one.name: cells_of(one, ROWS, [pooled_sums(one, {}, ALL)])
        for one in plan.plans
        if not one.linked
    }
    if plan.link is None:
        return JointInputs(pooled, {}, {}, bytes(32))
    alias = ALIASES[PARTIES.index(me)]
    columns = np.concatenate([features(one, alias, {}, ALL) for one in plan.linked], axis=1)
    holding = Holding(([bytes([row]) for row in range(ROWS)],), ALL, columns)
    return JointInputs(pooled, {alias: size_class(ROWS)}, {alias: holding}, bytes(32))
