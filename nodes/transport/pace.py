"""How fast a peer may speak: it pays for its control messages, so that none fills a node's time.

Each link has a purse of CONTROLS_BURST_MAX, refilled by CONTROLS_PER_S. Who cannot pay is not read
from until it can, which holds the sender back by TCP; who comes into debt by DEBT_MAX sends what no
node sends, and the link ends. Mail and its acknowledgements cost nothing here: they have windows of
their own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from nodes.transport.reason import Reason
from p2pmpc.errors import RemoteError

__all__ = ["CONTROLS_BURST_MAX", "CONTROLS_PER_S", "DEBT_MAX", "Pace"]

CONTROLS_PER_S = 500  # 128,000 entries a second in full batches; signatures allow a twentieth
CONTROLS_BURST_MAX = 4096  # what waits at most for a slow peer (peer.CONTROLS_MAX) comes at once

DEBT_MAX = 1000  # one read holds more only of empty messages: a node's own are a hundred bytes


@dataclass(slots=True)
class Pace:
    """Owned by one link. `purse` may be negative: a debt."""

    clock: Callable[[], float]
    now: float
    purse: float = CONTROLS_BURST_MAX

    def pay(self, count: int) -> float:
        """Seconds until more may be read, after so many messages. Raises RemoteError: a flood."""
        before, self.now = self.now, self.clock()
        earned = (self.now - before) * CONTROLS_PER_S
        self.purse = min(CONTROLS_BURST_MAX, self.purse + earned) - count
        if self.purse < -DEBT_MAX:
            raise RemoteError(Reason.FLOOD)
        return max(0.0, -self.purse / CONTROLS_PER_S)
