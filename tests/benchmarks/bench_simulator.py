"""The simulator: core events a second, bytes a node sends, memory a node takes.

    python tests/benchmarks/bench_simulator.py [NODES ...]

Each size runs in a process of its own, because memory is measured by its peak. The baseline is
measured in the same process: a bare loop that pushes and pops as many actions through the same
heap, with the same draws for ties, and does nothing about them. 2,000 nodes (eight networks of 250
in one world) take two to three minutes: ask for them by number.
"""

import json
import resource
import subprocess
import sys
import time

from simulations.chance import Chance
from simulations.clock import Schedule
from simulations.plan import draw_plan
from simulations.run import run
from simulations.scenario import Scenario
from simulations.topologies import TOPOLOGIES

SIZES = (20, 200)
SEED = 7
MINUTES = 10
STUDIES = 10
PENDING = 4096  # actions in the heap at once, as in a world of some hundred nodes


def world(nodes, topology):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    done = run(draw_plan(Scenario(nodes, SEED, topology, MINUTES, STUDIES, None, 0, None)), quiet)
    seconds = time.perf_counter() - began
    assert done.broken is None, done.broken
    taken = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    sent = sum(node.bytes_sent for node in done.world.nodes)
    return {
        "nodes": nodes,
        "topology": topology,
        "seconds": seconds,
        "virtual_s": done.world.schedule.now_us / 1e6,
        "events": done.world.counts["events"],
        "steps": done.world.steps,
        "sent": sent / nodes,
        "memory": taken * 1024 / nodes,
        "bare_s": bare(done.world.steps),
    }


def quiet(_world):
    """Nobody watches."""


def bare(steps):
    """Seconds for as many actions that nobody does anything about."""
    schedule = Schedule(Chance(SEED, "bare"))
    waits = Chance(SEED, "waits")
    for number in range(PENDING):
        schedule.after(number, number)
    began = time.perf_counter()
    for _ in range(steps):
        schedule.after(int(waits.between(0, 1e6)), schedule.take())
    return time.perf_counter() - began


def line(found):
    return (
        f"{found['nodes']} nodes, {found['topology']}: {found['events'] / found['seconds']:.0f} "
        f"core events a second ({found['virtual_s']:.0f} s of virtual time in "
        f"{found['seconds']:.1f} s), {found['sent'] / 1e6:.2f} MB sent and "
        f"{found['memory'] / 1e6:.2f} MB of memory a node; "
        f"{found['seconds'] / found['bare_s']:.0f} times a bare heap loop "
        f"({found['steps'] / found['bare_s']:.0f} actions a second)"
    )


def main():
    sizes = [int(word) for word in sys.argv[1:]] or list(SIZES)
    for nodes in sizes:
        kinds = sorted(TOPOLOGIES) if nodes == SIZES[0] else ["hospital-regions"]
        for topology in kinds:
            words = [sys.executable, __file__, "--one", str(nodes), topology]
            done = subprocess.run(words, check=True, capture_output=True, text=True)
            print(line(json.loads(done.stdout)), flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(world(int(sys.argv[2]), sys.argv[3])))
    else:
        main()
