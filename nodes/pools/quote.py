"""What a study will draw of correlations, what the pool holds of it, and what the rest would cost.

The seconds are this program's own, on one core of a machine with vector AES, at rates measured
below; waiting for others is not in them. The bytes are exact, and those of the party that sends
most. Linked parts draw from no pool, and are not in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nodes.pools.pool import missing
from protocols.batches import WIRE, Batch
from protocols.needs import Needs

__all__ = ["RATES", "quote"]

RATES: Mapping[str, float] = {  # CPU seconds a unit and peer, measured among two parties
    "and": 1.3e-6,
    "pair": 1.4e-6,
    "cross": 1.3e-6,
    "product64": 2.3e-6,
    "product128": 7.9e-6,
    "edabit64": 1.4e-6,
    "edabit128": 1.5e-6,
    "dabit64": 1.5e-6,
    "dabit128": 3.0e-6,
    "truncate64": 2.2e-6,
    "truncate128": 4.1e-6,
}
WIRE_S = 0.04  # of a peer: 256 base transfers
WIRE_BYTES = 32 + 4096 + 4096  # to a peer, as `connect` says
LINKED = "; what linked tables say to one another comes on top, by their size"
MB = 10**6


def quote(
    needs: Mapping[str, int], shelf: Sequence[Batch], parties: int, linked: bool
) -> dict[str, Any]:
    """Kind -> units needed and missing, the cost of what is missing, and a sentence about it."""
    (lacking,) = missing(shelf, [needs])
    seconds, megabytes = _cost(lacking, parties)
    return {
        "needs": dict(sorted(needs.items())),
        "missing": lacking,
        "missing_seconds": round(seconds, 3),
        "missing_mb": round(megabytes, 3),
        "said": _sentence(lacking, seconds, megabytes, bool(shelf)) + LINKED * linked,
    }


def _cost(lacking: Mapping[str, int], parties: int) -> tuple[float, float]:
    typed = Needs({kind: units for kind, units in lacking.items() if kind != WIRE})
    wires = lacking.get(WIRE, 0) * (parties - 1)
    seconds = typed.seconds(RATES, parties) + WIRE_S * wires
    return seconds, (typed.bytes(parties) + WIRE_BYTES * wires) / MB


def _sentence(lacking: Mapping[str, int], seconds: float, megabytes: float, holds: bool) -> str:
    if not lacking:
        return "all that its checks need was made ahead with the other members: nothing is missing"
    held = "part of what its checks need was made ahead" if holds else "nothing was made ahead"
    return (
        f"{held}; the rest is made while it runs: about {seconds:.2f} s of work and "
        f"{megabytes:.2f} MB sent here"
    )
