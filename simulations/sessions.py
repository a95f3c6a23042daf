"""Sessions at shape fidelity: who waits for whom and in which order, without the arithmetic.

What a real session says to its core, a simulated one says too: it pauses for `checked`, pauses for
`release`, ends, or stops and names who was waited for. Between these it takes a time drawn from the
session's own hash, and goes on only while its parties live and reach each other. No share exists;
the commitments that are signed are hashes of session and party.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from nodes.core.effects import SessionOrder
from p2pmpc.codec import digest

__all__ = ["Attempt", "Seat", "facts_of"]

LAYOUT = (("n", 1),)  # one unit with one cell: a count


@dataclass(slots=True)
class Seat:
    """One party's session: the life of its process, and how far it is."""

    node: int
    life: int
    since_us: int
    stage: str = "computing"  # checking checked sealing certified over
    told: bool = False  # the watch has ended it


@dataclass(slots=True)
class Attempt:
    """One session at all its parties."""

    order: SessionOrder
    compute_us: int
    passes: bool
    seats: dict[str, Seat] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every party's session has started."""
        return set(self.seats) == set(self.order.parties)

    def all_at(self, stage: str) -> bool:
        return self.complete and all(seat.stage == stage for seat in self.seats.values())

    def advance(self, stage: str) -> None:
        for seat in self.seats.values():
            seat.stage = stage

    @property
    def over(self) -> bool:
        return self.complete and all(seat.stage == "over" for seat in self.seats.values())


def facts_of(attempt: Attempt, kind: str) -> dict[str, Any]:
    """What every honest party's session says of itself when it pauses."""
    order = attempt.order
    transcript = digest("p2pmpc/simulated-transcript/1", order.session)
    if kind == "checked":
        return {"transcript": transcript}
    commitments = {
        party: digest("p2pmpc/simulated-commitment/1", order.session, party.encode())
        for party in order.parties
    }
    return {
        "transcript": transcript,
        "layout": LAYOUT,
        "verdicts": (attempt.passes,),
        "commitments": commitments,
    }
