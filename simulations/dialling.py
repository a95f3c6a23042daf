"""How simulated nodes find each other: seeds whose names always lead there, and what is gossiped.

A topology says which members can reach each other. A link between two of them exists once one has
dialled the other at the address where it listens now: by a seed (a DNS name in its settings, which
leads wherever that member is), or by the newest address record that it holds. A process that starts
again listens elsewhere; whoever dials its old address finds nobody. Loss and delay work on dialling
as on everything else, and nothing can be dialled through a cut.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from nodes.core.effects import Listening
from simulations.actions import Dial, Notice

if TYPE_CHECKING:
    import networkx as nx

    from simulations.chance import Chance
    from simulations.inhabitant import Inhabitant
    from simulations.world import World

__all__ = ["dial", "draw_seeds", "listen", "seek"]

SEEDS = 2  # names in a member's settings: few, so that the rest is learned
RETRY_US = (1_000_000, 5_000_000)  # between two tries
HANDSHAKE_US = (1_000, 100_000)  # beside two ways over the link: TLS, the first messages
FIRST_PORT = 7443
PORTS = 50_000


def draw_seeds(graph: nx.Graph[int], inside: range, chance: Chance) -> dict[int, tuple[int, ...]]:
    """For each node its seeds among its neighbours; by them alone all are joined."""
    import networkx as nx

    first = chance.pick(inside)
    towards = dict(nx.bfs_predecessors(graph.subgraph(inside), first))
    found = {}
    for node in inside:
        others = sorted(graph[node])
        seeds = {towards[node]} if node in towards else set()
        seeds |= set(chance.some(others, SEEDS - len(seeds)))
        found[node] = tuple(sorted(seeds))
    return found


def listen(world: World, node: Inhabitant) -> None:
    """A process that begins listens where it never did before, and its node is told."""
    world.addresses.pop(node.address, None)
    host = f"10.{node.index >> 8}.{node.index & 255}.1"
    node.address = f"{host}:{FIRST_PORT + node.life % PORTS}"
    world.addresses[node.address] = node.index
    world.happen(node, Listening(node.address))


def seek(world: World, node: Inhabitant) -> None:
    """Dial soon, unless that is planned already."""
    if node.core is not None and not node.seeks:
        node.seeks = True
        wait = int(world.chance.between(*RETRY_US))
        world.schedule.after(wait, Dial(node.index, node.life))


def dial(world: World, action: Dial) -> None:
    """Try every neighbour that there is no link to, and again later where that failed."""
    node = world.nodes[action.node]
    if node.life != action.life:
        return
    node.seeks = False
    missing = [
        peer
        for peer in world.links.neighbours[node.index]
        if not world.links.between(node.index, peer).up
    ]
    tried = [_reach(world, node, world.nodes[peer]) for peer in missing]
    if not all(tried):
        seek(world, node)


def _reach(world: World, node: Inhabitant, peer: Inhabitant) -> bool:
    """Whether the peer answered where it was dialled."""
    address = _known_address(world, node, peer)
    if not address:
        world.counts["dialled without an address"] += 1
        return False
    link = world.links.between(node.index, peer.index)
    way_us = world.links.travel_us(link, 0)
    if world.addresses.get(address) != peer.index or not link.free or way_us is None:
        world.counts["dialled in vain"] += 1
        return False
    world.links.connect(link)
    world.counts["connections"] += 1
    for end, other in ((node, peer), (peer, node)):
        wait = 2 * way_us + int(world.chance.between(*HANDSHAKE_US))
        world.schedule.after(wait, Notice(end.index, other.index))
    return True


def _known_address(world: World, node: Inhabitant, peer: Inhabitant) -> str:
    if peer.index in node.seeds:
        return peer.address
    assert node.core is not None, "only a living node dials"
    return node.core.book.address(peer.name, world.now_ms)
