"""Sums: pooled over parties, and linked products summed by their owner.

    python tests/benchmarks/bench_sums.py

All parties run in this process, so a figure is the work of all together. The baseline is NumPy
doing the same on plain numbers, measured in the same run.
"""

import numpy as np
from measuring import connected, fastest, report

from protocols.arithmetic import cross_sums
from protocols.masked_sum import pooled_sum
from protocols.oblivious_transfer import connect
from protocols.party import Trace, play
from protocols.ring import Ring

ROWS, COLUMNS, WIDTH = 10_000, 5, 16


def pooled(parties):
    ring, cells = Ring(2), 100_000
    own = np.arange(cells, dtype=np.int64)
    shares = ring.from_ints(own)
    table = connected(parties)
    uses = iter(range(1000))
    trace = Trace()

    def secure():
        label = f"pooled {next(uses)}"
        play({p: pooled_sum(s.fork(label), ring, shares) for p, s in table.items()}, trace)

    plain = fastest(lambda: sum(own for _ in range(parties)))
    report(f"pooled_sum, {parties} parties", secure, cells, trace, "NumPy addition", plain)


def linked(words):
    ring = Ring(words)
    rng = np.random.default_rng(1)
    own = rng.integers(0, 1 << WIDTH, (ROWS, COLUMNS))
    values = rng.integers(0, 1 << WIDTH, (ROWS, COLUMNS))
    shared = ring.from_ints(values)
    pairs = tuple((i, j) for i in range(COLUMNS) for j in range(COLUMNS))
    table = connected(2)
    uses = iter(range(1000))
    trace = Trace()

    def secure():
        label = f"linked {words} {next(uses)}"
        play(
            {
                p: cross_sums(
                    s.fork(label),
                    ring,
                    "a",
                    own if p == "a" else None,
                    (WIDTH,) * COLUMNS,
                    shared,
                    pairs,
                )
                for p, s in table.items()
            },
            trace,
        )

    plain = fastest(lambda: own.T @ values)
    name = f"cross_sums, 2 parties, {64 * words} bits, {WIDTH}-bit own"
    report(name, secure, ROWS * len(pairs), trace, "NumPy integer matrix product", plain)


def bases():
    table = connected(2)
    trace = Trace()
    uses = iter(range(1000))

    def secure():
        label = f"bases {next(uses)}"
        play({p: connect(s.fork(label)) for p, s in table.items()}, trace)

    report("connect, 2 parties", secure, 256, trace, "", 0.0)


if __name__ == "__main__":
    bases()
    for count in (2, 5):
        pooled(count)
    for words in (1, 2):
        linked(words)
