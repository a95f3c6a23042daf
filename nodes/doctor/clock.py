"""Is this machine's clock near the others'? Read from the record, which bounds the difference.

Every entry carries its author's time and names the entries that its author had read. What was read
was written before: where north's entry of 12:00 names south's of 13:00, south's clock was at least
an hour ahead of north's; where south's entry of 11:00 names north's of 12:00, at least an hour
behind. No peer is asked, and it holds however long an entry travelled.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from nodes.doctor.finding import Finding, fault, note, ok
from p2pmpc.record import Entry

__all__ = ["FAULT_S", "NOTE_S", "Skew", "check_clock", "read_skews"]

NOTE_S = 300.0  # a well-kept clock is right to a second; minutes say that nobody keeps it
FAULT_S = 3600.0  # a wrong time zone: expiry dates of studies and addresses go wrong


@dataclass(frozen=True, slots=True)
class Skew:
    """How far a peer's clock is ahead of this one, in seconds: at least `low`, at most `high`."""

    peer: str
    low_s: float
    high_s: float

    @property
    def proved_s(self) -> float:
        """The nearest to zero that the bounds allow: positive ahead, negative behind."""
        return self.low_s if self.low_s > 0 else min(0.0, self.high_s)


def read_skews(name: str, feeds: Mapping[str, Iterable[Entry]]) -> tuple[Skew, ...]:
    """The bounds for each peer, from the newest entries of each feed."""
    entries = {author: list(found) for author, found in feeds.items()}
    own = entries.get(name, [])
    peers = sorted(set(entries) - {name})
    return tuple(
        Skew(
            peer,
            max((-late for late in _reading(own, peer, entries[peer])), default=float("-inf")),
            min(_reading(entries[peer], name, own), default=float("inf")),
        )
        for peer in peers
    )


def _reading(readers: list[Entry], author: str, read: list[Entry]) -> Iterable[float]:
    """Seconds from each entry that was read to the entry that names it, each by its own clock."""
    written = {entry.seq: entry.unix_ms for entry in read}
    for entry in readers:
        seqs = [seq for other, seq, _ in entry.heads if other == author and seq in written]
        yield from ((entry.unix_ms - written[seq]) / 1000 for seq in seqs)


def check_clock(skews: tuple[Skew, ...]) -> list[Finding]:
    """One finding for each peer whose clock provably differs; one that says so if none does."""
    known = [s for s in skews if s.low_s != float("-inf") or s.high_s != float("inf")]
    if not known:
        text = "there are no entries of other members yet to compare the clock with"
        return [ok("clock", text)]
    off = [skew for skew in known if abs(skew.proved_s) > NOTE_S]
    if not off:
        names = ", ".join(skew.peer for skew in known)
        return [ok("clock", f"the record shows no difference from the clocks of {names}")]
    return [_differs(skew, alone=len(off) < len(known) or len(off) == 1) for skew in off]


def _differs(skew: Skew, alone: bool) -> Finding:
    seconds = skew.proved_s
    side = "ahead of" if seconds > 0 else "behind"
    text = f"the clock of {skew.peer} is at least {_spoken(abs(seconds))} {side} this machine's"
    fix = "Compare with a watch, and let a time service (chrony, systemd-timesyncd) keep this clock"
    fix += f"; if this one is right, tell {skew.peer}." if alone else "; all the others differ."
    return (fault if abs(seconds) > FAULT_S else note)("clock", text, fix)


def _spoken(seconds: float) -> str:
    minutes = int(seconds) // 60
    return f"{minutes // 60} h {minutes % 60} min" if minutes >= 60 else f"{minutes} min"
