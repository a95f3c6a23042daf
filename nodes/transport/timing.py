"""How long a link waits for what, in seconds. Tests shorten these; operators have no reason to."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timing"]


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds, each with its reason; all by the monotonic clock."""

    connect_s: float = 10.0  # TCP and TLS; a satellite path with lost packets needs several
    hello_s: float = 10.0  # from TLS to the peer's Hello
    ping_s: float = 5.0  # between pings
    silent_s: float = 15.0  # three pings unanswered: the path is dead, or the process is stuck
    backoff_first_s: float = 0.05  # a restarted process is met again at once
    backoff_last_s: float = 2.0  # so that a path that returns is used within two seconds
    settled_s: float = 2.0  # a link that lasts this long has shown that dialling works
    dial_back_s: float = 1.0  # the other end dials too when it has had no link for so long
    tie_s: float = 1.0  # two links made within this time: both ends keep the lower name's
    early_s: float = 20.0  # how long mail waits for a session that is not open yet
    linger_s: float = 600.0  # how long a closed session's mail is kept for a peer out of reach
    drain_s: float = 0.5  # how long closing the node waits for unacknowledged mail
