"""Addresses at which some member answers: how a node finds the others when it knows too little.

A seed says nothing about who is there. Whoever answers must hold a certificate of the roster, and
by it the node learns which member it is; from then on that is an ordinary link, over which the
others' addresses come. A stranger's certificate is refused and told with its fingerprint. Names are
resolved anew at each attempt, and their addresses tried in turn.
"""

from __future__ import annotations

import asyncio
import socket
from dataclasses import dataclass

from nodes.transport.dial import split_address
from nodes.transport.reason import Reason

__all__ = ["Seed", "places"]


@dataclass(slots=True)
class Seed:
    """One address of the settings. Owned by the task that dials it."""

    address: str
    member: str = ""  # who answered last: a member, or this node itself
    reason: Reason = Reason.NEVER  # why it is not linked
    attempts: int = 0
    told: str = ""  # the stranger's fingerprint that was told, so that it is told once


async def places(address: str) -> list[tuple[str, int]]:
    """Hosts and ports that the address means now; empty when it cannot be resolved."""
    place = split_address(address)
    if place is None:
        return []
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(*place, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return sorted({(str(where[0]), int(where[1])) for *_, where in found})
