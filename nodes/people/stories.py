"""The story of each study for people: numbered lines that a reader may wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LINES_MAX", "Line", "Stories"]

LINES_MAX = 1000  # a study's story has tens of lines; a flapping link may add some


@dataclass(frozen=True, slots=True)
class Line:
    n: int
    t: float
    event: str
    member: str
    text: str
    error: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        return {
            "n": self.n,
            "t": round(self.t, 3),
            "event": self.event,
            "member": self.member,
            "text": self.text,
            "error": self.error,
        }


@dataclass(slots=True)
class Stories:
    """Written by the node's shell, read by its people."""

    clock: Callable[[], float]
    lines: dict[str, list[Line]] = field(default_factory=dict)
    waiters: set[asyncio.Event] = field(default_factory=set)

    def tell(
        self, study: str, event: str, member: str, text: str, error: Mapping[str, Any] | None
    ) -> None:
        lines = self.lines.setdefault(study, [])
        if len(lines) < LINES_MAX:
            lines.append(Line(len(lines) + 1, self.clock(), event, member, text, error))
        for waiter in self.waiters:
            waiter.set()

    async def after(self, study: str, n: int, wait_s: float) -> list[Line]:
        """The lines after number n; waits up to wait_s for the first."""
        waiter = asyncio.Event()
        self.waiters.add(waiter)
        deadline = self.clock() + wait_s
        try:
            while not (found := self.lines.get(study, [])[n:]) and self.clock() < deadline:
                waiter.clear()
                try:
                    await asyncio.wait_for(waiter.wait(), max(0.0, deadline - self.clock()))
                except TimeoutError:
                    break
            return found
        finally:
            self.waiters.discard(waiter)
