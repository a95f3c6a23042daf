"""Members that know few others find everybody, and again wherever they move."""

import networkx as nx

from nodes.core.gossip import MESSAGES
from p2pmpc.messages import Address
from simulations.chance import Chance
from simulations.dialling import SEEDS, draw_seeds
from simulations.faults import Fault
from simulations.plan import draw_plan
from simulations.run import run
from simulations.scenario import Scenario
from simulations.topologies import draw_topology
from simulations.world import make_world


def silent(world):
    pass


def planned(nodes, faults=(), topology="small-world", minutes=2):
    return draw_plan(Scenario(nodes, 5, topology, minutes, 0, faults, 0, None))


def test_seeds_are_few_and_join_everybody():
    graph = draw_topology("scale-free", 40, Chance(1, "test"))
    seeds = draw_seeds(graph, range(40), Chance(1, "seeds"))
    assert all(1 <= len(found) <= SEEDS for found in seeds.values())
    assert all(graph.has_edge(node, seed) for node, found in seeds.items() for seed in found)
    known = nx.Graph([(node, seed) for node, found in seeds.items() for seed in found])
    assert nx.is_connected(known)
    assert known.number_of_edges() < graph.number_of_edges()


def test_cards_and_seeds_name_a_few_and_gossip_names_the_rest():
    world = make_world(planned(12))
    assert all(not node.core for node in world.nodes)
    while world.schedule.now_us < 90_000_000:
        world.step()
    for node in world.nodes:
        held = {peer.name: node.core.book.address(peer.name, world.now_ms) for peer in world.nodes}
        assert held == {peer.name: peer.address for peer in world.nodes}
    assert all(world.links.between(*edge).up for edge in world.plan.graph.edges)
    assert world.counts["dialled without an address"] > 0


def test_a_process_that_starts_again_elsewhere_is_found_there():
    crash = Fault("crash", 40_000_000, 60_000_000, (3,), (), 0.0, "at rest")
    done = run(planned(10).with_faults((crash,)), silent)
    assert done.broken is None, done.broken
    moved = done.world.nodes[3]
    assert moved.life == 1
    assert done.world.addresses[moved.address] == 3
    assert len(done.world.addresses) == 10  # nobody listens where it did before
    assert done.world.counts["dialled in vain"] > 0
    assert all(
        node.core.book.records["n0003"].address == moved.address for node in done.world.nodes
    )


def test_nothing_is_dialled_through_a_cut_and_lossy_links_lose_calls():
    edges = tuple(sorted(tuple(sorted(edge)) for edge in planned(8).graph.edges))
    for fault in (
        Fault("partition", 0, 50_000_000, (0,), (), 0.0, ""),
        Fault("loss", 0, 50_000_000, (), edges, 1.0, ""),
    ):
        world = make_world(planned(8).with_faults((fault,)))
        while world.schedule.now_us < 50_000_000:
            world.step()
        assert not any(world.links.between(0, peer).up for peer in world.links.neighbours[0])
        while world.schedule.now_us < 80_000_000:
            world.step()
        assert all(world.links.between(0, peer).up for peer in world.links.neighbours[0])


def test_an_address_that_nobody_learns_is_what_has_not_finished(monkeypatch):
    monkeypatch.setattr("simulations.run.PATIENCE_US", 30_000_000)
    deaf = {kind: take for kind, take in MESSAGES.items() if kind is not Address}
    monkeypatch.setattr("nodes.core.gossip.MESSAGES", deaf)
    done = run(planned(4, topology="ring", minutes=1), silent)
    assert done.broken.invariant == "every_address_is_known"
    assert "no address" in done.broken.text
