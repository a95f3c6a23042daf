"""Virtual time: one heap of what happens next, and no other clock.

What falls on one moment happens in an order drawn from the seed: real networks promise none, and a
program that works in the order of sending alone is found out. A number that is never drawn twice
decides between equal draws, so that two actions are never compared.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from simulations.chance import Chance

__all__ = ["Schedule"]

Action = TypeVar("Action")


@dataclass(slots=True)
class Schedule(Generic[Action]):
    """Actions by time in whole microseconds. `now_us` is when the last one taken happened."""

    chance: Chance
    now_us: int = 0
    pushed: int = 0
    heap: list[tuple[int, float, int, Action]] = field(default_factory=list)

    def after(self, wait_us: int, action: Action) -> None:
        """Plan an action `wait_us` from now; one that is due at once follows this moment's."""
        self.at(self.now_us + max(0, wait_us), action)

    def at(self, time_us: int, action: Action) -> None:
        assert time_us >= self.now_us, "nothing is planned for the past"
        self.pushed += 1
        heapq.heappush(self.heap, (time_us, self.chance.number(), self.pushed, action))

    def take(self) -> Action:
        """The next action; the clock stands at its time then."""
        self.now_us, _, _, action = heapq.heappop(self.heap)
        return action

    def __len__(self) -> int:
        return len(self.heap)
