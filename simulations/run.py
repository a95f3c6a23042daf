"""One simulated run from its plan to its end.

A run lasts as long as its plan says, and then until everything has finished: all entries at all
nodes, all studies ended at all their parties, every fork proved, every address known, everybody
alive. What has not finished PATIENCE_US later never will, and is a violation like any other. The
step at which an invariant broke is the number of actions taken; the same plan breaks at the same
step everywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulations.checkers import Violation
from simulations.goals import finished, missing
from simulations.plan import Plan
from simulations.world import World, make_world

__all__ = ["PATIENCE_US", "Broken", "Run", "run"]

PATIENCE_US = 3_600_000_000  # an hour: six times the longest wait for a peer
CHECK_US = 1_000_000  # how often it is asked whether all is finished
TELL_US = 60_000_000  # how often progress is told, in virtual time

Tell = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Broken:
    """Which invariant broke, at which step and virtual time, and what was seen."""

    invariant: str
    step: int
    at_s: float
    text: str


@dataclass(frozen=True, slots=True)
class Run:
    """What came of a plan. `broken` is None when every check held and everything finished."""

    plan: Plan
    world: World
    broken: Broken | None


def run(plan: Plan, tell: Tell) -> Run:
    """Run it to its end or to the first invariant that breaks. `tell` hears of progress."""
    world = make_world(plan)
    try:
        _until(world, plan.end_us, tell)
        _until_finished(world, plan.end_us + PATIENCE_US, tell)
    except Violation as fault:
        at_s = world.schedule.now_us / 1e6
        return Run(plan, world, Broken(fault.invariant, world.steps, at_s, str(fault)))
    return Run(plan, world, None)


def _until(world: World, time_us: int, tell: Tell) -> None:
    told = world.schedule.now_us
    while world.schedule.now_us < time_us and world.schedule:
        world.step()
        if world.schedule.now_us - told >= TELL_US:
            told = world.schedule.now_us
            tell(world)


def _until_finished(world: World, limit_us: int, tell: Tell) -> None:
    while not finished(world):
        if world.schedule.now_us >= limit_us or not world.schedule:
            raise Violation(*missing(world))
        _until(world, world.schedule.now_us + CHECK_US, tell)
