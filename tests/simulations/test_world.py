"""Whole simulated networks finish and repeat; a broken invariant is found and named."""

import os
import subprocess
import sys
from pathlib import Path

import msgspec
import networkx as nx
import pytest

from p2pmpc.messages import Address, Frontier, encode_message
from p2pmpc.roster import MEMBERS_MAX
from simulations.chance import Chance
from simulations.checkers import FINALLY, Violation
from simulations.faults import CRASH_POINTS, Fault, draw_faults
from simulations.goals import missing
from simulations.network import HEADER_BYTES, weigh
from simulations.plan import EXACT_NODES_MAX, draw_plan, member_name
from simulations.report import make_report
from simulations.run import run
from simulations.scenario import Scenario
from simulations.topologies import TOPOLOGIES, draw_topology
from simulations.world import make_world

ROOT = Path(__file__).resolve().parents[2]
TRACE = """
from simulations.plan import draw_plan
from simulations.run import run
from simulations.scenario import Scenario
scenario = Scenario(12, 7, "small-world", 3, 9, None, 1, None)
done = run(draw_plan(scenario), lambda world: None)
assert done.broken is None, done.broken
print(done.world.trace.hexdigest(), done.world.steps)
"""


def silent(world):
    pass


def planned(nodes, seed, topology, minutes, studies, faults=None, liars=0):
    return draw_plan(Scenario(nodes, seed, topology, minutes, studies, faults, liars, None))


ALWAYS = (
    "no_fork_by_an_honest_node",
    "no_address_that_nobody_gave",
    "causal_order",
    "nothing_sent_before_stored",
    "the_core_never_fails",
)


def death(at_us, node, point):
    return Fault("crash", at_us, at_us + 30_000_000, (node,), (), 0.0, point)


def run_until(world, time_us):
    while world.schedule.now_us < time_us:
        world.step()


def finished(nodes, seed, topology, minutes=2, studies=4, liars=0):
    done = run(planned(nodes, seed, topology, minutes, studies, liars=liars), silent)
    assert done.broken is None, f"seed {seed}: {done.broken}"
    return done


@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
@pytest.mark.parametrize("seed", [1, 2])
def test_twelve_nodes_finish_under_whatever_the_seed_draws(topology, seed):
    done = finished(12, seed, topology)
    report = make_report(done)
    assert report["finished"]
    assert report["plan"]["fidelity"] == "exact control plane"
    assert report["spread"]["missing"] == 0
    assert all(report["checks"][name] for name in ALWAYS)
    assert report["finally"] == list(FINALLY)
    for study in report["studies"]:
        early = set(study["parties"].values()) - {"answered", "withheld"}
        assert early <= {"refused", "failed", "expired", "withdrawn", "revoked"}
        assert bool(early) == (study["ended"] is not None)
        assert study["ended"] is None or study["ended"]["why"]


def test_the_same_seed_gives_the_same_trace_under_two_hash_seeds():
    found = []
    for hashed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", TRACE],
            env={**os.environ, "PYTHONHASHSEED": hashed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found.append(done.stdout)
    assert found[0] == found[1]


def test_another_seed_gives_another_trace():
    first, second = (finished(6, seed, "ring").world.trace.digest() for seed in (1, 2))
    assert first != second


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_node_that_dies_in_a_study_comes_back_from_its_record(point):
    """Every party dies once while the study is under way; all ends, by name or with an answer."""
    plan = planned(8, 5, "scale-free", 4, 2)
    parties = [int(name[1:]) for name in plan.errands[0].study.parties]
    begin = plan.errands[0].at_us
    deaths = tuple(
        death(begin + 4_000_000 * number, node, point) for number, node in enumerate(parties, 1)
    )
    done = run(plan.with_faults(deaths), silent)
    assert done.broken is None, done.broken
    assert done.world.happened[f"death {point}"] >= 1
    assert make_report(done)["finished"]


def forgetful():
    """A world in which the record of one node has lost its end when it died."""
    plan = planned(8, 3, "small-world", 3, 4)
    victim = plan.errands[0].node
    begin = plan.errands[0].at_us + 20_000_000
    world = make_world(plan.with_faults((death(begin, victim, "at rest"),)))
    while not world.happened["death at rest"]:
        world.step()
    world.nodes[victim].store._feeds[member_name(victim)].pop()
    return world, plan, victim


def test_a_store_that_forgets_its_last_entry_is_completed_by_the_others():
    world, plan, victim = forgetful()
    run_until(world, plan.end_us)
    kinds = [volume.entry.kind for volume in world.nodes[victim].store._feeds[member_name(victim)]]
    assert "recovered" in kinds
    world.spread.missing += 1  # the entry came to this store a second time
    assert missing(world) == ("", "")


def test_a_store_that_forgets_and_asks_nobody_is_found_by_the_name_of_the_invariant():
    """It writes a second history."""
    world, plan, victim = forgetful()
    node = world.nodes[victim]
    node.settings = msgspec.structs.replace(node.settings, restore_wait_s=0.0)
    with pytest.raises(Violation, match="no_fork_by_an_honest_node") as broken:
        run_until(world, plan.end_us)
    assert member_name(victim) in str(broken.value)


def test_a_world_larger_than_a_roster_is_several_networks_side_by_side():
    plan = planned(MEMBERS_MAX + 1, 1, "ring", 1, 4)
    assert [len(inside) for inside in plan.networks] == [128, 129]
    assert nx.number_connected_components(plan.graph) == 2
    assert {errand.network for errand in plan.errands} == {0, 1}
    for errand in plan.errands:
        inside = {member_name(node) for node in plan.networks[errand.network]}
        assert set(errand.study.parties) <= inside


@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
@pytest.mark.parametrize("nodes", [2, 3, 7, 60])
def test_every_topology_connects_at_every_size(topology, nodes):
    graph = draw_topology(topology, nodes, Chance(1, "test"))
    assert sorted(graph) == list(range(nodes))
    assert nx.is_connected(graph)
    assert all(graph.edges[edge]["latency_us"] > 0 for edge in graph.edges)


def test_every_fault_ends_before_the_network_heals_and_seeds_differ_in_which_exist():
    graph = draw_topology("hospital-regions", 30, Chance(1, "test"))
    kinds = set()
    for seed in range(20):
        faults = draw_faults(graph, 10**8, None, frozenset(), Chance(seed, "faults"))
        assert faults == draw_faults(graph, 10**8, None, frozenset(), Chance(seed, "faults"))
        assert [fault.number for fault in faults] == list(range(len(faults)))
        assert all(0 < fault.begin_us < fault.end_us <= 10**8 for fault in faults)
        kinds.add(frozenset(fault.kind for fault in faults))
    assert len(kinds) > 5


def test_messages_are_encoded_up_to_a_size_and_weighed_above():
    at, above = (planned(n, 1, "ring", 1, 0) for n in (EXACT_NODES_MAX, EXACT_NODES_MAX + 1))
    assert (at.fidelity, above.fidelity) == ("exact control plane", "shape")
    message = Frontier((("n0000", 3, bytes(32)),))
    assert make_world(at).on_wire(message)[0] == encode_message(message)
    assert make_world(above).on_wire(message)[0] is message


def test_what_is_weighed_is_what_is_encoded_within_two_percent():
    world = make_world(planned(12, 3, "ring", 1, 2))
    sizes = []
    for _ in range(4000):
        world.step()
    for node in world.nodes:
        message = node.core.feeds.frontier()
        sizes.append((weigh(message), len(encode_message(message)) + HEADER_BYTES))
        book = Address(node.core.book.holding(world.now_ms))
        sizes.append((weigh(book), len(encode_message(book)) + HEADER_BYTES))
        for news in node.core.feeds.news_for(Frontier(()), 2**20).batches:
            sizes.append((weigh(news), len(encode_message(news)) + HEADER_BYTES))
    assert len(sizes) > 20
    assert all(abs(weighed - size) <= 0.02 * size + 30 for weighed, size in sizes)


@pytest.mark.slow
@pytest.mark.parametrize("topology", sorted(TOPOLOGIES))
def test_two_hundred_nodes_finish(topology):
    done = finished(200, 7, topology, minutes=6, studies=4)
    assert make_report(done)["plan"]["fidelity"] == "shape"


@pytest.mark.slow
def test_a_hundred_seeds_of_small_networks_finish():
    kinds = sorted(TOPOLOGIES)
    for seed in range(100):
        finished(5 + seed % 9, seed, kinds[seed % len(kinds)], minutes=3, studies=9, liars=seed % 3)


def test_a_plan_can_be_run_again_with_other_faults():
    plan = planned(6, 1, "ring", 1, 1)
    other = plan.with_faults(())
    assert other.faults == ()
    assert other.errands == plan.errands
