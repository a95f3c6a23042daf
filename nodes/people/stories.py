"""The story of each study for people: numbered lines that a reader may wait for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["LINES_MAX", "STORIES_MAX", "Line", "Stories"]

LINES_MAX = 1000  # a study's story has tens of lines; a flapping link may add some
STORIES_MAX = 2000  # studies; the one that was silent longest is forgotten, its record is not
LAST = frozenset({"answered", "withheld", "refused", "ended"})
LAST_MAX = 10  # lines past LINES_MAX, so that a flood never hides how a study ended


@dataclass(frozen=True, slots=True)
class Line:
    """The n-th line of a study's story, `t` seconds by the node's own clock."""

    n: int
    t: float
    event: str
    member: str
    text: str
    error: Mapping[str, Any] | None

    def to_json(self) -> dict[str, Any]:
        """The line as the interface spells it, times to a millisecond."""
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
        """Add a line, made printable, and wake all readers; past LINES_MAX only how it ended."""
        text, error = _printable(text), error and {k: _printable(v) for k, v in error.items()}
        lines = self.lines[study] = self.lines.pop(study, [])  # last in order: it was told last
        if len(self.lines) > STORIES_MAX:
            del self.lines[next(iter(self.lines))]
        if len(lines) < LINES_MAX + (LAST_MAX if event in LAST else 0):
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


def _printable(said: Any) -> Any:
    """A text without what steers a terminal: reasons and titles are written by other members."""
    if not isinstance(said, str):
        return said
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in said)
