"""A failure made small: fewer faults, then fewer nodes, as long as the same invariant breaks.

Faults are dropped in halves first and then one at a time, the last first, since early ones more
often set the scene. Fewer nodes are another network drawn from the same seed: if it breaks alike it
is the easier one to read. Both stop after SHRINK_RUNS_MAX runs, or when their time is over; what is
left then still fails.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from simulations.faults import Fault
from simulations.plan import Plan, draw_plan
from simulations.run import Broken, Run, run

__all__ = ["SHRINK_RUNS_MAX", "SHRINK_S_MAX", "shrink"]

SHRINK_RUNS_MAX = 64  # a failure that takes longer to shrink is read with the faults that are left
SHRINK_S_MAX = 120.0  # by the clock of whoever waits for it
NODES_LEAST = 3


@dataclass(slots=True)
class Trials:
    """How much is left to try, and the smallest run that failed so far."""

    clock: Callable[[], float]
    until_s: float
    best: Run
    runs: int = field(default=0)

    @property
    def over(self) -> bool:
        return self.runs >= SHRINK_RUNS_MAX or self.clock() >= self.until_s

    def fails(self, plan: Plan, broken: Broken) -> bool:
        """Run it; whether the same invariant breaks. If so it is the best so far."""
        if self.over:
            return False
        self.runs += 1
        tried = run(plan, lambda _: None)
        same = tried.broken is not None and tried.broken.invariant == broken.invariant
        if same:
            self.best = tried
        return same


def shrink(done: Run, clock: Callable[[], float]) -> Run:
    """The smallest run that still breaks what this one broke; itself when none was found.

    clock  seconds of this machine: shrinking waits for nobody longer than SHRINK_S_MAX
    """
    broken = done.broken
    assert broken is not None, "only a failure is made small"
    trials = Trials(clock, clock() + SHRINK_S_MAX, done)
    _fewer_faults(trials, broken)
    _fewer_nodes(trials, broken)
    return trials.best


def _fewer_faults(trials: Trials, broken: Broken) -> None:
    size = len(trials.best.plan.faults)
    while size and not trials.over:
        faults = trials.best.plan.faults
        for begin in range(max(0, len(faults) - size), -1, -size):
            fewer = trials.best.plan.faults
            dropped = set(faults[begin : begin + size])
            left: tuple[Fault, ...] = tuple(one for one in fewer if one not in dropped)
            if len(left) < len(fewer):
                trials.fails(trials.best.plan.with_faults(left), broken)
        size = 0 if size == 1 else size // 2


def _fewer_nodes(trials: Trials, broken: Broken) -> None:
    """Half as many while that fails, each time with fewer faults."""
    while not trials.over:
        scenario = trials.best.plan.scenario
        fewer = max(NODES_LEAST, scenario.liars + 2, scenario.nodes // 2)
        if fewer >= scenario.nodes:
            return
        if not trials.fails(draw_plan(replace(scenario, nodes=fewer, only=None)), broken):
            return
        _fewer_faults(trials, broken)
