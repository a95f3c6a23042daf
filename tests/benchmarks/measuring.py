"""How the benchmarks measure: the fastest of some runs, bytes a party, a ratio to a baseline."""

import hashlib
import time
from dataclasses import replace

from protocols.oblivious_transfer import connect
from protocols.party import Seat, Trace, play
from protocols.randomness import Randomness

RUNS = 3


def coins(*seed):
    return Randomness(hashlib.sha256(repr(seed).encode()).digest())


def connected(count, depth=4):
    """Seats of so many parties, with wires from real base OTs and trees of this depth."""
    parties = tuple("abcdefghij"[:count])
    seats = {
        me: Seat(
            me,
            parties,
            coins(me),
            {peer: coins(*sorted((me, peer))) for peer in parties if peer != me},
            depth=depth,
        )
        for me in parties
    }
    wires = play({p: connect(s) for p, s in seats.items()})
    return {p: replace(s, wires=wires[p]) for p, s in seats.items()}


def fastest(run):
    """Seconds of the fastest of some runs, after one that warms caches and compiles."""
    run()
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def report(name, run, items, trace: Trace, baseline, plain_s):
    """One line: microseconds and bytes an item, rounds, and the ratio to the baseline."""
    seconds = fastest(run)
    calls = RUNS + 1
    parties = len({sender for sender, _, _, _ in trace.said})
    sent = sum(value.nbytes for _, _, _, value in trace.said) / calls / parties
    rounds = trace.rounds / calls / parties
    line = (
        f"{name}: {seconds / items * 1e6:.3f} us an item (all parties), "
        f"{sent / items:.1f} bytes an item and party, {rounds:.0f} rounds"
    )
    if plain_s:
        line += (
            f"; {seconds / plain_s:.0f} times {baseline} ({plain_s / items * 1e9:.2f} ns an item)"
        )
    print(line)
