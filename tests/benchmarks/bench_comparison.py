"""Thresholds and equality on shares.

    python tests/benchmarks/bench_comparison.py

All parties run in this process, so a figure is the work of all together. The baseline is NumPy
comparing the same numbers in the clear, measured in the same run.
"""

import numpy as np
from measuring import connected, fastest, report

from protocols.comparison import at_least, equal_words, is_zero
from protocols.party import Trace, play
from protocols.ring import Ring

ITEMS = 20_000
RING = Ring(1)


def measured(name, parties, make):
    table = connected(parties)
    uses = iter(range(1000))
    trace = Trace()

    def secure():
        label = f"{name} {next(uses)}"
        play({p: make(s.fork(label)) for p, s in table.items()}, trace)

    numbers = np.arange(ITEMS)
    plain = fastest(lambda: numbers >= 10)
    report(f"{name}, {parties} parties", secure, ITEMS, trace, "NumPy comparison", plain)


def thresholds(seat):
    return at_least(seat, RING.zeros((ITEMS,)), [10] * ITEMS, 32)


def equality(seat):
    return equal_words(seat, np.arange(ITEMS, dtype=np.uint64), 64)


if __name__ == "__main__":
    for count in (2, 3, 5):
        measured("at_least, 32 bits", count, thresholds)
    measured("is_zero, 32 bits", 2, lambda seat: is_zero(seat, RING.zeros((ITEMS,)), 32))
    measured("equal_words, 64 bits", 2, equality)
