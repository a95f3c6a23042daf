"""The engine beside the best free libraries of its kind, both measured in this run.

    make bench-peers
    python tests/benchmarks/bench_peers.py [--only multiply] [--runs 3] [--scale 0.01]

Ours: each party a process on a core of its own (as far as there are cores), the product's driver
over the product's transport with pinned TLS, dealer-free, all but one may collude. Beside it SPU's
CHEETAH, the fastest library found with the same promise (two parties, plain TCP), and for scale
MPyC, which trusts a majority. Costs are process CPU seconds of the busier party, offline and online
together where nothing else is said, after a warm-up with a few items and without base OTs on either
side (one line says otherwise); a ratio is the median of the ratios of paired runs, theirs to ours.
Results are checked in the same run. A line with the word "missed" misses its goal. Goals hold at
scale 1; without `make bench-peers` the peers are not there and only our own figures are printed.
"""

import argparse
import os
import statistics
import tempfile
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path

from engine_work import OPERATIONS
from parties import PEERS_PYTHON, busier, cheetah, go_alone, mpyc, ours

WARM_ITEMS = 1000
ITEMS_MIN = 64


@dataclass(frozen=True, slots=True)
class Job:
    """What one side does. `side` is cheetah, mpyc, or our number of parties.

    least  items at any scale, where a goal speaks of so many
    fresh  in new processes, warmed with products alone: base OTs and what else a first comparison
           sets up are part of the cost, on either side
    """

    side: str
    operation: str
    items: int
    stock: bool = False
    silent: bool = False
    least: int = ITEMS_MIN
    fresh: bool = False

    def scaled(self, scale):
        return max(self.least, round(self.items * scale))

    @property
    def options(self):
        ours = self.side not in {"cheetah", "mpyc"}
        chosen = {"stock": self.stock, "silent": self.silent, "fresh": self.fresh}
        return {**chosen, "profile": False} if ours else {}


@dataclass(frozen=True, slots=True)
class Contest:
    """Two jobs and what is promised: theirs costs `times_min` of ours, or ours at most `times_max`
    of theirs; bytes that each of our parties sends for an item; rounds; the result's error."""

    name: str
    ours: Job
    theirs: Job
    times_min: float = 0.0
    times_max: float = 0.0
    bytes_max: float = 0.0
    rounds_max: int = 0
    error_max: float = 0.0


MILLION = 10**6


def both(operation, items, **options):
    return Job("2", operation, items, **options), Job("cheetah", operation, items)


CONTESTS = (
    Contest("multiply", *both("multiply", MILLION), times_min=1.2, bytes_max=600),
    Contest("less than", *both("less_than", MILLION), times_min=2.5, bytes_max=450),
    Contest("multiply, silent OT", *both("multiply", MILLION, silent=True), bytes_max=120),
    Contest("less than, silent OT", *both("less_than", MILLION, silent=True), bytes_max=60),
    Contest("multiply, stock filled", *both("multiply", MILLION, stock=True), times_min=40),
    Contest(
        "less than, stock filled",
        *both("less_than", MILLION, stock=True),
        times_min=40,
        rounds_max=7,
    ),
    Contest("division", *both("divide", 10**4), times_min=2, error_max=1e-8),
    Contest("sort", *both("sort", 10**4), times_min=8),
    Contest(
        "pooled median, this many rows each, beside CHEETAH's of 1,000",
        Job("2", "median", MILLION),
        Job("cheetah", "median", 1000, least=1000),
        times_min=50,
    ),
    Contest(
        "pooled median with the set-up of OTs, this many rows each, beside CHEETAH's of 1,000",
        Job("2", "median", MILLION, fresh=True),
        Job("cheetah", "median", 1000, least=1000, fresh=True),
        times_min=50,
    ),
    Contest(
        "multiply, 3 parties beside our own 2",
        Job("3", "multiply", MILLION),
        Job("2", "multiply", MILLION),
        times_max=3.5,
    ),
    Contest(
        "less than, 3 parties beside our own 2",
        Job("3", "less_than", MILLION),
        Job("2", "less_than", MILLION),
        times_max=3.5,
    ),
    Contest(
        "multiply, 3 parties beside MPyC, which trusts a majority",
        Job("3", "multiply", MILLION // 10),
        Job("mpyc", "multiply", MILLION // 10),
    ),
    Contest(
        "less than, 3 parties beside MPyC, which trusts a majority",
        Job("3", "less_than", MILLION // 100),
        Job("mpyc", "less_than", MILLION // 100),
    ),
)


class Sides:
    """All processes, each side started when it is first needed and warmed at each operation."""

    def __init__(self, stack, folder):
        self.stack, self.folder = stack, folder
        self.made, self.warm = {}, set()

    def run(self, job, items):
        if job.fresh:
            return self._run_fresh(job, items)
        side = self._side(job.side)
        kind = (job.side, job.operation, job.stock, job.silent)
        if kind not in self.warm:
            self.warm.add(kind)
            side.run(job.operation, min(items, WARM_ITEMS), **job.options)
        return busier(side.run(job.operation, items, **job.options))

    def _run_fresh(self, job, items):
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            side = stack.enter_context(closing(started(job.side, folder)))
            side.run("multiply", WARM_ITEMS, **job.options)
            return busier(side.run(job.operation, items, **job.options))

    def _side(self, name):
        if name not in self.made:
            folder = self.folder / name
            folder.mkdir()
            self.made[name] = self.stack.enter_context(closing(started(name, folder)))
        return self.made[name]


def started(name, folder):
    start = {"cheetah": cheetah, "mpyc": mpyc}.get(name)
    return start(folder) if start else ours(int(name), folder)


def measured(contest, sides, options):
    """Paired figures: (ours, theirs) for each run; theirs None where the peer is not installed."""
    absent = contest.theirs.side in {"cheetah", "mpyc"} and not PEERS_PYTHON.exists()
    pairs = []
    for _ in range(options.runs):
        mine = sides.run(contest.ours, contest.ours.scaled(options.scale))
        theirs = None
        if not absent and not options.ours_only:
            theirs = sides.run(contest.theirs, contest.theirs.scaled(options.scale))
        pairs.append((mine, theirs))
    return pairs


def median(figures, name):
    return statistics.median(figure[name] for figure in figures)


def line(contest, pairs, options):
    """One line of text, and whether a goal is missed."""
    items = contest.ours.scaled(options.scale)
    mine = [pair[0] for pair in pairs]
    sent, rounds = median(mine, "sent_bytes") / items, int(median(mine, "rounds"))
    error = max(figure["error"] for figure in mine)
    words = [
        f"{contest.name}, {items:,}: {cost(mine, items)}",
    ]
    missed = error > contest.error_max
    if pairs[0][1] is not None:
        text, behind = compared(contest, pairs, options)
        words.append(text)
        missed |= behind
    words.append(f"{sent:.0f} B an item sent by each" + goal("", contest.bytes_max, " B at most"))
    missed |= bool(contest.bytes_max) and sent > contest.bytes_max
    words.append(f"{rounds} rounds" + goal("", contest.rounds_max, " at most"))
    missed |= bool(contest.rounds_max) and rounds > contest.rounds_max
    words.append(f"error {error:.2g}")
    return "; ".join(words) + ("; missed" if missed else "")


def compared(contest, pairs, options):
    theirs = [pair[1] for pair in pairs]
    items = contest.theirs.scaled(options.scale)
    error = max(figure["error"] for figure in theirs)
    beside = f"theirs ({items:,}) {cost(theirs, items)}, "
    beside += f"{median(theirs, 'sent_bytes') / items:.0f} B, error {error:.2g}"
    if contest.times_max:
        times = statistics.median(mine["cpu_s"] / other["cpu_s"] for mine, other in pairs)
        limit = goal(" x the cost", contest.times_max, " x at most")
        return f"{times:.2f}{limit}; {beside}", times > contest.times_max
    times = statistics.median(other["cpu_s"] / mine["cpu_s"] for mine, other in pairs)
    limit = goal(" x less CPU", contest.times_min, " x at least")
    return f"{times:.2f}{limit}; {beside}", times < contest.times_min


def cost(figures, items):
    busy, wall = median(figures, "cpu_s"), median(figures, "wall_s")
    return f"{busy:.3f} s CPU, {busy / items * 1e6:.3f} us an item, {wall:.2f} s wall"


def goal(unit, bound, word):
    return unit + (f" (goal {bound:g}{word})" if bound else "")


def arguments():
    parser = argparse.ArgumentParser(description="Ours beside CHEETAH and MPyC.")
    parser.add_argument("--only", default="", help="contests whose name has these words")
    parser.add_argument("--runs", type=int, default=3, help="paired runs of each")
    parser.add_argument("--scale", type=float, default=0.01, help="1 is what the goals speak of")
    parser.add_argument("--ours-only", action="store_true", help="without the peers")
    return parser.parse_args()


def main():
    options = arguments()
    alone = go_alone()
    where = "a loopback of its own" if alone else "the plain loopback: theirs counts others' bytes"
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f}, {where}")
    if options.scale != 1:
        print(
            f"at {options.scale:g} of the sizes that the goals are for: a missed goal says little"
        )
    chosen = [one for one in CONTESTS if options.only in one.name]
    assert all(one.ours.operation in OPERATIONS for one in chosen), "an operation without work"
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sides = Sides(stack, folder)
        for contest in chosen:
            print(line(contest, measured(contest, sides, options), options), flush=True)


if __name__ == "__main__":
    main()
