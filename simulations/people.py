"""What people do in a world: they hand studies in, decide, withdraw, and take consents back.

A person whose node is away, or died of the request, comes again. A steward comes some time after
its node has asked; some never come, and their study expires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.core.effects import Decided, Proposed, RevokeAsked, WithdrawAsked
from simulations.actions import Change, Decide, Propose
from simulations.errands import Errand

if TYPE_CHECKING:
    from nodes.core.studies import Case
    from simulations.world import World

__all__ = ["asked", "change", "decide", "disagreeing", "plan_errands", "propose", "unfinished"]

AGAIN_US = 10_000_000  # until a person whose node was away comes again


def plan_errands(world: World) -> None:
    """All studies, and who will change their mind about them."""
    for number, errand in enumerate(world.plan.errands):
        world.schedule.at(errand.at_us, Propose(number))
        if errand.withdrawn_us:
            world.schedule.at(errand.at_us + errand.withdrawn_us, Change(number, ""))
        party, after_us = errand.revoked
        if after_us:
            world.schedule.at(errand.at_us + after_us, Change(number, party))


def propose(world: World, action: Propose) -> None:
    """Hand a study in, and come again until it is known to the node."""
    errand = world.plan.errands[action.errand]
    node = world.nodes[errand.node]
    if node.core is not None and errand.study.id in node.core.cases:
        return
    if node.core is not None and node.core.feeds.roster is not None:
        network = node.core.feeds.roster.network
        signature = node.signer.sign(network, "study", errand.study.hash)
        proposed = Proposed(
            errand.study.to_bytes(),
            node.signer.public,
            signature,
            world.now_ms + errand.expires_s * 1000,
        )
        world.happen(node, proposed)
    world.schedule.after(AGAIN_US, action)


def asked(world: World, party: str, study: str) -> None:
    """A party's node asks its steward, who comes when there is time."""
    errand = world.errands.get(study)
    if errand is None:
        return
    steward = errand.stewards[party]
    if steward.says:
        number = world.plan.errands.index(errand)
        world.schedule.after(steward.after_us, Decide(number, party))


def decide(world: World, action: Decide) -> None:
    """The steward says yes or no to exactly the study that the node shows."""
    errand = world.plan.errands[action.errand]
    node, case = world.nodes[world.places[action.party]], _case(world, action.party, errand)
    if case is None:
        world.schedule.after(AGAIN_US, action)
    elif not case.final and action.party not in case.consents:
        says = errand.stewards[action.party].says
        why = "the steward has read it"
        world.happen(node, Decided(errand.study.id, errand.study.hash, says == "approve", why))
        world.schedule.after(AGAIN_US, action)


def change(world: World, action: Change) -> None:
    """Withdraw the study where it was proposed, or revoke one's own consent to it."""
    errand = world.plan.errands[action.errand]
    who = action.who or world.nodes[errand.node].name
    node, case = world.nodes[world.places[who]], _case(world, who, errand)
    if case is None or case.final:
        return
    why = "asked for by the simulation"
    kind = RevokeAsked if action.who else WithdrawAsked
    world.happen(node, kind(errand.study.id, why))


def _case(world: World, party: str, errand: Errand) -> Case | None:
    core = world.nodes[world.places[party]].core
    return None if core is None else core.cases.get(errand.study.id)


def disagreeing(world: World) -> str:
    """What a study has come to, if one honest party has its answer and another says it has none.

    A party whose last share was lost on the way may say `failed` beside `answered`.
    """
    for errand in world.plan.errands:
        cases = [_case(world, party, errand) for party in errand.study.parties]
        ends = {case.state for case in cases if case is not None}
        if "answered" in ends and ends - {"answered", "failed"}:
            return f"{errand.study.title} is {' and '.join(sorted(ends))}"
    return ""


def unfinished(world: World, errand: Errand) -> list[str]:
    """The honest parties at which this study has not come to an end."""
    liars = set(world.plan.liars)
    cases = {
        party: _case(world, party, errand)
        for party in errand.study.parties
        if world.places[party] not in liars
    }
    return [party for party, case in cases.items() if case is None or not case.final]
