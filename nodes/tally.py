"""What passes by the shell and would be forgotten: counted for the figures of a node."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from p2pmpc.messages import Frontier

__all__ = ["Tally"]


@dataclass(slots=True)
class Tally:
    """Owned by the shell; one item a member and one a code at most."""

    frontiers: dict[str, tuple[float, Frontier]] = field(default_factory=dict)  # peer -> when, what
    refused: Counter[str] = field(default_factory=Counter)  # events by their error's code

    def hear(self, peer: str, frontier: Frontier, now_s: float) -> None:
        """A peer said how far it knows each feed."""
        self.frontiers[peer] = (now_s, frontier)
