"""Comparisons, decomposition and equality on shares: made ahead, and online from a filled stock.

    python tests/benchmarks/bench_comparison.py [items [name]]

All parties run in this process and in turn, so CPU and bytes are a party's mean. "ahead" makes and
checks the correlations, "online" is the gadget from a stock that holds them. The baseline is NumPy
comparing as many numbers in the clear, measured in the same run.
"""

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from measuring import connected, fastest

from protocols.comparison import (
    at_least,
    at_least_needs,
    equal_words,
    equal_words_needs,
    is_zero,
    is_zero_needs,
    less_than,
    less_than_needs,
)
from protocols.digits import (
    bit_slices,
    bit_slices_needs,
    highest_bit,
    prefix_needs,
    slices_to_ring,
    slices_to_ring_needs,
)
from protocols.field import uniform, zero_test
from protocols.kernels.bits import words_for
from protocols.needs import Needs
from protocols.party import Trace, play
from protocols.ring import Ring
from protocols.supply import supply

ITEMS = 100_000
RUNS = 3
RING = Ring(1)


@dataclass(frozen=True)
class Gadget:
    """One line of the report: what it draws for so many items, and how it is run."""

    name: str
    parties: tuple[int, ...]
    needs: Callable[[int, int], Needs]
    make: Callable[[Any, int], Any]


def values(seat, items):
    return RING.random(seat.rand, (items,))


def slices(seat, items):
    return seat.rand.words((64, words_for(items)))


GADGETS = (
    Gadget(
        "less_than, 63 bits",
        (2, 3),
        less_than_needs,
        lambda s, m: less_than(s, RING, values(s, m), values(s, m)),
    ),
    Gadget(
        "less_than, 63 bits, by edaBits",
        (3,),
        lambda n, m: less_than_needs(n, m, masks=True),
        lambda s, m: less_than(s, RING, values(s, m), values(s, m)),
    ),
    Gadget(
        "at_least, 32 bits",
        (2, 3),
        lambda n, m: at_least_needs(n, m, 32),
        lambda s, m: at_least(s, values(s, m), np.full(m, 10), 32),
    ),
    Gadget(
        "is_zero, 64 bits",
        (2, 3),
        lambda n, m: is_zero_needs(n, m, 64),
        lambda s, m: is_zero(s, values(s, m), 64),
    ),
    Gadget(
        "equal_words, 64 bits",
        (2,),
        lambda _, m: equal_words_needs(m, 64),
        lambda s, m: equal_words(s, values(s, m)[:, 0], 64),
    ),
    *(
        Gadget(
            f"bit_slices, 64 bits, {tree}",
            (2, 3),
            lambda n, m, tree=tree: bit_slices_needs(n, m, 64, tree),
            lambda s, m, tree=tree: bit_slices(s, RING, values(s, m), 64, tree),
        )
        for tree in ("sklansky", "brent-kung")
    ),
    Gadget(
        "highest_bit of 64",
        (2,),
        lambda _, m: prefix_needs(64, words_for(m)),
        lambda s, m: highest_bit(s, slices(s, m)),
    ),
    Gadget(
        "slices_to_ring, 1 bit",
        (2, 3),
        lambda _, m: slices_to_ring_needs(RING, 1, m),
        lambda s, m: slices_to_ring(s, RING, slices(s, m)[:1], m),
    ),
    Gadget(
        "zero_test mod 2^61 - 1, nothing ahead",
        (2, 3),
        lambda _n, _m: Needs({}),
        lambda s, m: zero_test(s, uniform(s.rand, (m,))),
    ),
)


def played(protocols):
    """What came out, CPU seconds and what was said."""
    trace, start = Trace(), time.process_time()
    found = play(protocols, trace)
    return found, time.process_time() - start, trace


def line(part, items, parties, seconds, trace):
    sent = sum(value.nbytes for _, _, _, value in trace.said) / parties
    rounds = trace.rounds / parties
    return (
        f"{part} {seconds / parties / items * 1e6:.3f} us of CPU, "
        f"{sent / items:.1f} bytes an item and party, {rounds:.0f} rounds"
    )


def measured(gadget, parties, items, plain_s):
    table = connected(parties)
    best = None
    for run in range(RUNS + 1):  # the first warms caches and compiles
        seats = {p: s.fork(f"run {run}") for p, s in table.items()}
        needs = gadget.needs(parties, items)
        stocks, ahead_s, ahead = played({p: supply(s, needs, "bench") for p, s in seats.items()})
        ready = {p: s.using(stocks[p]) for p, s in seats.items()}
        _, online_s, online = played({p: gadget.make(s, items) for p, s in ready.items()})
        if best is None or online_s < best[1]:
            best = (ahead_s, online_s, ahead, online)
    ahead_s, online_s, ahead, online = best
    print(f"{gadget.name}, {parties} parties, {items} items")
    print("   ", line("ahead", items, parties, ahead_s, ahead))
    print("   ", line("online", items, parties, online_s, online))
    ratio = online_s / parties / plain_s
    print(
        f"    online {ratio:.0f} times NumPy's comparison ({plain_s / items * 1e9:.2f} ns an item)"
    )


def main(items, named):
    numbers = np.arange(items)
    plain_s = fastest(lambda: numbers >= numbers[::-1])
    for gadget in (each for each in GADGETS if named in each.name):
        for parties in gadget.parties:
            measured(gadget, parties, items, plain_s)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else ITEMS, sys.argv[2] if len(sys.argv) > 2 else "")
