"""Quantiles, shuffles, sorts and running sums on shares.

    python tests/benchmarks/bench_order.py [quantile | shuffle | sort | prefix]

All parties run in this process: CPU a party is the process's divided by the parties, drawing the
correlations included. The baseline is NumPy on the pooled rows in the clear, in the same run.
"""

import statistics
import sys
import time

import numpy as np
from measuring import connected

from protocols.order.prefix import segmented_sums
from protocols.order.quantile import INVERSE, Grid, Quantile, ladder, quantiles
from protocols.order.shuffle import shuffle
from protocols.order.sort import sort
from protocols.party import Trace, play
from protocols.ring import Ring

RING, RUNS = Ring(1), 3
RNG = np.random.default_rng(11)


def cpu_s(run):
    start = time.process_time()
    run()
    return time.process_time() - start


def measured(name, parties, make, plain):
    """`make(seat)` gives a party's protocol; pairs of runs, the median of their ratios."""
    seats, pairs = connected(parties), []
    for number in range(RUNS + 1):
        trace, forks = Trace(), {p: s.fork(f"{name} {number}") for p, s in seats.items()}
        secure = cpu_s(lambda t=trace, f=forks: play({p: make(s) for p, s in f.items()}, t))
        pairs.append((secure / parties, cpu_s(plain)))
    taken, clear = (statistics.median(column) for column in zip(*pairs[1:], strict=True))
    ratio = statistics.median(a / b for a, b in pairs[1:])
    sent = max(sum(v.nbytes for s, _, _, v in trace.said if s == p) for p in seats)
    print(
        f"{name}, {parties} parties: {taken:.3f} s of CPU a party, {sent / 1e6:.3f} MB sent,"
        f" {trace.rounds // parties} rounds; {ratio:.1f} times NumPy's {clear * 1e3:.3g} ms"
    )


def quantile(parties, rows, ways, asked):
    grid = Grid(0, 1, 1 << 20)
    own = {p: RNG.integers(0, 1 << 20, rows) for p in "abcdefghij"[:parties]}
    pooled = np.concatenate(list(own.values()))
    questions = [Quantile(0, k, asked + 1, INVERSE) for k in range(1, asked + 1)]
    places = [-(-len(pooled) * q.numerator // q.denominator) - 1 for q in questions]

    def make(seat):
        made = yield from ladder(grid, own[seat.me], None)
        return (yield from quantiles(seat, [made], questions, len(pooled), ways, False))

    def plain():
        np.partition(pooled, places)

    words = "median" if asked == 1 else f"{asked} quantiles"
    measured(f"{words} of {rows} rows a party by {ways} ways", parties, make, plain)


def shares(values):
    return lambda seat: RING.from_ints(values * (seat.index == 0))


def sorted_keys(parties, rows, bits):
    keys = RNG.integers(-(1 << (bits - 1)), 1 << (bits - 1), rows, dtype=np.int64)
    split, none = shares(keys), np.zeros((rows, 0), np.uint8)

    def make(seat):
        return sort(seat, RING, split(seat), bits, RING.zeros((rows, 1)), none)

    measured(f"sort of {rows} keys of {bits} bits", parties, make, lambda: np.sort(keys))


def shuffled(parties, rows, words):
    values, none = RING.zeros((rows, words)), np.zeros((rows, 0), np.uint8)
    plain = RNG.permutation(rows)
    clear = values.copy()

    def make(seat):
        return shuffle(seat, RING, values, none)

    measured(f"shuffle of {rows} rows of {words} words", parties, make, lambda: clear[plain])


def segmented(parties, rows):
    flags, values = np.zeros(rows, np.uint8), RING.zeros((rows,))

    def make(seat):
        return segmented_sums(seat, RING, flags, values)

    measured(f"segmented sums of {rows} rows", parties, make, lambda: np.cumsum(values))


def quantile_lines():
    for rows in (10**3, 10**6, 10**7):
        quantile(3, rows, 16, 1)
    for ways in (2, 4, 8):
        quantile(3, 10**6, ways, 1)
    quantile(2, 10**6, 16, 1)
    quantile(3, 10**6, 2, 9)


def shuffle_lines():
    for parties, rows, words in ((2, 10**4, 1), (2, 10**4, 4), (3, 10**4, 1), (2, 10**5, 1)):
        shuffled(parties, rows, words)


def sort_lines():
    for parties, rows, bits in ((2, 10**3, 64), (2, 10**4, 64), (2, 10**4, 32), (3, 10**4, 64)):
        sorted_keys(parties, rows, bits)


def prefix_lines():
    segmented(2, 10**4)


LINES = {
    "quantile": quantile_lines,
    "shuffle": shuffle_lines,
    "sort": sort_lines,
    "prefix": prefix_lines,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(LINES):
        LINES[name]()
