"""What must hold when a network has healed: every study has ended, everybody holds the same.

Invariants that must hold after every event are in `checkers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from simulations import people
from simulations.inhabitant import Inhabitant

if TYPE_CHECKING:
    from simulations.world import World

__all__ = ["finished", "missing"]

NOTHING = ("", "")


def finished(world: World) -> bool:
    """Whether all of it holds."""
    return missing(world) == NOTHING


def missing(world: World) -> tuple[str, str]:
    """The name of something that must hold in the end and does not yet, and what; or nothing.

    The cheap questions come first: this is asked once a second of virtual time.
    """
    dead = [node.name for node in world.nodes if not world.links.alive[node.index]]
    if dead:
        return "every_node_lives", f"{dead[0]} has not started again"
    for errand in world.plan.errands:
        waits = people.unfinished(world, errand)
        if waits:
            text = f"{errand.study.title} has not ended at {', '.join(waits)}"
            return "every_study_ends", text
    if world.spread.missing:
        text = f"{world.spread.missing} entries are still missing somewhere"
        return "one_record_everywhere", text
    split = people.disagreeing(world)
    if split:
        return "one_end_of_a_study", split
    return _unfrozen(world) or _unlocated(world) or _unlike(world) or NOTHING


def _unfrozen(world: World) -> tuple[str, str] | None:
    """Whoever signed two histories is frozen at every honest member of its network."""
    for forker in sorted(world.forkers):
        liar = world.nodes[forker]
        for node in _honest(world, liar.network):
            if node.core is None or liar.name not in node.core.feeds.forks:
                return "every_fork_is_proved", f"{node.name} has no proof of {liar.name}'s fork"
    return None


def _unlocated(world: World) -> tuple[str, str] | None:
    for network in range(len(world.plan.networks)):
        for node in _honest(world, network):
            for peer in _honest(world, network):
                held = "" if node.core is None else node.core.book.address(peer.name, world.now_ms)
                if held != peer.address:
                    text = f"{node.name} believes {peer.name} at {held or 'no address'}"
                    return "every_address_is_known", f"{text}, it is at {peer.address}"
    return None


def _unlike(world: World) -> tuple[str, str] | None:
    """The stores themselves: every honest feed is the same everywhere."""
    for network in range(len(world.plan.networks)):
        honest = _honest(world, network)
        wanted = {node.name: node.store.head(node.name) for node in honest}
        for node in honest:
            if any(node.store.head(name) != head for name, head in wanted.items()):
                return "one_record_everywhere", f"{node.name} holds another record"
    return None


def _honest(world: World, network: int) -> list[Inhabitant]:
    return [world.nodes[node] for node in world.plan.honest(network)]
