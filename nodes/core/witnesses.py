"""Before a node that starts again writes: do others hold more of its own feed than its store?

A store that was restored from a copy ends too early. Whoever goes on from there signs a second
history, which proves a fork and freezes its author for good. So a node with a roster first compares
with a peer (two in a network of more than three). What they hold more is fetched and stored, then a
`recovered` entry says so. Meanwhile nothing is written: what people ask waits, what comes in is
learned as at the start.

Alone on the network for `restore_wait_s` it goes on if its store was closed cleanly. Whoever claims
more is asked for the first entry beyond the store: it is signed by this node's own key, so nobody
can invent it, and a node that has one here, placed or not, waits until it has all, however long
that takes. Who claims and shows none in `restore_wait_s` is named and not waited for; one whose
link broke is, AWAY_WAITS times, because a node that goes on too early loses more than time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nodes.core.effects import (
    Emit,
    Event,
    Founded,
    Gone,
    LinkLost,
    LinkMade,
    Listening,
    PolicySet,
    Received,
    Send,
    SessionEnded,
    SessionPaused,
    SessionStopped,
    SetTimer,
    TimerFired,
)
from nodes.core.feeds import Known
from nodes.core.recovery import live_on, recall
from p2pmpc.errors import P2pmpcError, SplitView, WrongUsage
from p2pmpc.messages import Frontier, Want
from p2pmpc.record import Genesis, Recovered

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = [
    "AWAY_WAITS",
    "HELD_MAX",
    "Witnesses",
    "begin",
    "hear",
    "hold",
    "learn",
    "look",
    "on_overdue",
]

AWAY_WAITS = 30  # ten minutes: for a peer that claims more and is gone before it shows anything
HELD_MAX = 64  # of people's requests while the record is compared: more than a minute's typing
CROWD = 3  # a network of more members asks two peers

DRIVEN = frozenset(
    {
        Founded,
        Gone,
        LinkLost,
        LinkMade,
        Listening,
        PolicySet,
        Received,
        SessionEnded,
        SessionPaused,
        SessionStopped,
        TimerFired,
    }
)  # what happens to a node; everything else is what people ask of it


@dataclass(frozen=True, slots=True)
class Record:
    """Entries that are gone through more than once, the older ones read from the store."""

    stored: Iterable[Known]
    learned: Iterable[Known]

    def __iter__(self) -> Iterator[Known]:
        yield from self.stored
        yield from self.learned


@dataclass(slots=True)
class Witnesses:
    """What peers said of this node's own feed. Owned by the core."""

    claims: dict[str, int] = field(default_factory=dict)  # peer -> how far it knows the feed
    doubted: set[str] = field(default_factory=set)  # peers that claimed more than they showed
    away: Counter[str] = field(default_factory=Counter)  # how often such a one was not linked
    first: int = -1  # the last number of the own feed when the process began
    seen: int = -1  # and when the wait was looked at last
    clean: bool = False  # the store was closed on purpose
    told: bool = False
    entries: Iterable[Known] = ()  # what was on record when the process began
    learned: list[Known] = field(default_factory=list)  # and what came since
    held: list[Event] = field(default_factory=list)


def begin(core: Core, entries: Iterable[Known], clean: bool) -> None:
    """Compare before anything is written; at once where the settings say that nobody is asked."""
    at = _own(core)
    core.witnesses = Witnesses(first=at, seen=at, clean=clean, entries=entries)
    if not core.settings.restore_wait_s:
        _go_on(core)
        return
    core.recovering = core.learning = True
    core.effects.append(SetTimer("restore", core.settings.restore_wait_s))


def hold(core: Core, event: Event) -> bool:
    """Whether a request waits until the record was compared. Raises P2pmpcError when it cannot."""
    if type(event) in DRIVEN:
        return False
    if core.name in core.feeds.forks:
        raise SplitView(
            f"two histories were signed as {core.name}; this node writes nothing more",
            member=core.name,
            next="Find the second node with these keys; the members must readmit this one.",
        )
    if not core.recovering:
        return False
    if len(core.witnesses.held) >= HELD_MAX:
        raise WrongUsage(
            "this node still compares its record with the others'",
            next="Ask again when `p2pmpc node status` no longer says recovering.",
        )
    core.witnesses.held.append(event)
    return True


def hear(core: Core, peer: str, frontier: Frontier) -> None:
    """A peer says how far it knows every feed, this node's own among them."""
    if core.recovering and peer not in core.witnesses.doubted:
        known = {author: seq for author, seq, _ in frontier.heads}
        claim, at = known.get(core.name, -1), _own(core)
        core.witnesses.claims[peer] = claim
        if claim > at:
            core.effects.append(Send(peer, Want(core.name, at + 1, at + 1)))
        look(core)


def learn(core: Core, known: Known) -> None:
    """An entry that came meanwhile counts as one that was on record before."""
    mark = len(core.effects)
    recall(core, [known])
    told = [effect for effect in core.effects[mark:] if isinstance(effect, Emit)]
    core.effects[mark:] = told
    core.witnesses.learned.append(known)


def look(core: Core) -> None:
    """Go on once enough peers have shown all that they hold of the own feed."""
    if not core.recovering:
        return
    members = len(core.feeds.roster.names) if core.feeds.roster is not None else 0
    needed = 2 if members > CROWD else 1
    forked = core.name in core.feeds.forks
    spoken = len(core.witnesses.claims) >= needed and core.up <= _heard(core)
    if forked or (spoken and not _ahead(core) and not _waiting(core)):
        _go_on(core)


def on_overdue(core: Core) -> None:
    """The wait is over: go on, name who shows less than it claims, or wait on."""
    if not core.recovering:
        return
    found = core.witnesses
    at, ahead = _own(core), _ahead(core)
    if at == found.seen and not _waiting(core):
        for peer in ahead:
            _doubt(core, peer)
    found.seen = at
    if not _ahead(core) and not _waiting(core) and (found.claims or found.clean):
        _go_on(core)
        return
    _tell_waiting(core, _ahead(core))
    core.effects.append(SetTimer("restore", core.settings.restore_wait_s))


def _doubt(core: Core, peer: str) -> None:
    """A peer that claims more had its time to show it; one that is away gets more of it."""
    found = core.witnesses
    found.away[peer] += peer not in core.up
    if peer not in core.up and found.away[peer] < AWAY_WAITS:
        return
    found.doubted.add(peer)
    del found.claims[peer]
    text = f"{peer} claims to hold more of this member's record than it shows"
    core.effects.append(Emit("", "recovering", peer, text))


def _tell_waiting(core: Core, ahead: Sequence[str]) -> None:
    if not core.witnesses.told:
        core.witnesses.told = True
        who = " or ".join(ahead) or "any other member"
        text = f"waiting for {who}: {core.name}'s record is compared before anything is written"
        core.effects.append(Emit("", "recovering", core.name, text))


def _own(core: Core) -> int:
    head = core.feeds.heads.get(core.name)
    return -1 if head is None else head.seq


def _heard(core: Core) -> set[str]:
    return core.witnesses.claims.keys() | core.witnesses.doubted


def _waiting(core: Core) -> bool:
    """Whether an own entry is here that the store lacks and that cannot be placed yet."""
    return bool(core.feeds.waiting.get(core.name))


def _ahead(core: Core) -> list[str]:
    at = _own(core)
    return [peer for peer, seq in sorted(core.witnesses.claims.items()) if seq > at]


def _go_on(core: Core) -> None:
    """Say that the feed was fetched, take up what waits, then what people had asked."""
    assert core.feeds.roster is not None, "whoever compares has a roster"
    core.recovering = core.learning = False
    found, core.witnesses = core.witnesses, Witnesses()
    head = core.feeds.heads.get(core.name)
    if head is None:
        core.write("genesis", Genesis(roster=core.feeds.roster.hash))
    elif head.seq > found.first:
        core.write("recovered", Recovered(seq=head.seq, hash=head.hash))
        text = f"{head.seq - found.first} entries of {core.name} were fetched from other members"
        core.effects.append(Emit("", "recovered", core.name, text))
    live_on(core, Record(found.entries, found.learned))
    for event in found.held:
        try:
            core.dispatch(event)
        except P2pmpcError as fault:
            core.effects.append(Emit("", "request refused", core.name, fault.message))
