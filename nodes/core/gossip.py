"""How entries, forks and addresses reach every member, whoever is linked to whom.

An own entry goes to every linked peer at once. Whatever was placed is spread: a moment later some
peers, chosen at random, are told how far all feeds are known here. A peer that knows less asks by
telling the same of itself, and gets what it lacks in causal order; what does not fit is followed by
another frontier, so that a long absence is made up run by run. Every `gossip_s` all this is done
with every peer, so that nothing depends on one message.

Against peers who lie or flood: a frontier is only ever answered by what is asked of it; the same
question is answered once an interval, and nothing is sent twice while it may be on its way; a peer
gets SERVED_BYTES_MAX of entries an interval, may send REFUSED_MAX wrong things, and makes this node
ask again only after something new was placed. What is wrong is told to people by name, never
raised.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nodes.core import attempts, witnesses
from nodes.core.effects import Emit, LinkLost, LinkMade, Received, Remember, Send, SetTimer
from nodes.core.ending import end_forked
from nodes.core.feeds import NEWS_BYTES_MAX, Filed, Known, News
from p2pmpc.address import AddressRecord
from p2pmpc.codec import encode
from p2pmpc.errors import P2pmpcError, SplitView
from p2pmpc.messages import Address, End, Entries, ForkNotice, Frontier, Want
from p2pmpc.record import ForkNote, ForkProof

if TYPE_CHECKING:
    from nodes.core.node import Core

__all__ = [
    "ASK_BYTES",
    "REFUSED_MAX",
    "SERVED_BYTES_MAX",
    "Gossip",
    "on_gossip",
    "on_link_lost",
    "on_link_made",
    "on_received",
    "on_spread",
    "spread_soon",
    "take_fork",
    "tell_address",
]

SPREAD_S = 0.1  # news is collected for so long, and up to SPREAD_JITTER_S more
SPREAD_JITTER_S = 0.2  # so that neighbours do not all speak at once
FANOUT = 3  # peers that news is spread to: all of n are reached in about log3(n) steps
SERVED_BYTES_MAX = 64 * 2**20  # of entries for one peer an interval: a long absence, not a siege
ASK_BYTES = 16 * 2**10  # what a question counts for beside its answer: 4,096 of them an interval
REFUSED_MAX = 100  # wrong entries and addresses of one peer an interval: each costs a signature


@dataclass(slots=True)
class Gossip:
    """What is remembered of this interval, by peer. Owned by the core."""

    placed: int = 0  # entries that were news here since this process began
    spreading: bool = False  # the timer runs
    moved: set[str] = field(default_factory=set)  # members whose new address is not passed on yet
    noted: bool = True  # the book is in the store as it is
    kept: bool = False  # it was written there in this interval: a flood costs one write
    pulled: dict[str, int] = field(default_factory=dict)  # `placed` when it was asked last
    answered: dict[str, tuple[Frontier, Frontier]] = field(default_factory=dict)  # theirs, own
    heard: dict[str, Frontier] = field(default_factory=dict)  # the last of each peer
    before: dict[str, Frontier] = field(default_factory=dict)  # and when the interval began
    flying: dict[str, dict[str, int]] = field(default_factory=dict)  # sent last: author -> number
    served: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    wanted: set[str] = field(default_factory=set)  # authors whose bodies were asked for

    def begin_interval(self) -> None:
        """Forget what the last one counted."""
        for peer in [p for p in self.flying if self.before.get(p) == self.heard.get(p)]:
            del self.flying[peer]  # nothing of it has arrived in all this time
        self.pulled, self.answered, self.before = {}, {}, dict(self.heard)
        self.served, self.refused = Counter(), Counter()
        self.wanted, self.kept = set(), False

    def forget(self, peer: str) -> None:
        """Its link changed: what was on the way may be lost. What it was served still counts."""
        self.pulled.pop(peer, None)
        self.answered.pop(peer, None)
        self.flying.pop(peer, None)

    def awaits(self, peer: str, theirs: Frontier) -> bool:
        """Whether the peer has not placed yet what it was sent: it gets no second copy."""
        flying = self.flying.get(peer)
        if flying is None:
            return False
        known = {author: seq for author, seq, _ in theirs.heads if author in flying}
        if any(known.get(author, -1) < seq for author, seq in flying.items()):
            return True
        del self.flying[peer]
        return False


# ---- links and timers ----------------------------------------------------------------------------


def on_link_made(core: Core, event: LinkMade) -> None:
    """Say what is known here, and where members listen; the peer sends what is missing."""
    core.up.add(event.peer)
    core.gossip.forget(event.peer)
    core.effects.append(Send(event.peer, core.feeds.frontier()))
    _tell_book(core, [event.peer], core.book.holding(core.now_ms))


def on_link_lost(core: Core, event: LinkLost) -> None:
    """Nothing is sent to this peer until its link is back."""
    core.up.discard(event.peer)
    core.gossip.forget(event.peer)


def on_gossip(core: Core) -> None:
    """The regular comparison: with all peers, and one of them gets the whole book."""
    core.gossip.begin_interval()
    for peer in sorted(core.up):
        core.effects.append(Send(peer, core.feeds.frontier()))
    _tell_book(core, _some(core, 1), core.book.holding(core.now_ms))
    tell_address(core)
    _note_book(core)
    core.effects.append(SetTimer("gossip", core.settings.gossip_s))


def spread_soon(core: Core) -> None:
    """Something is news: tell some peers in a moment."""
    if core.gossip.spreading:
        return
    core.gossip.spreading = True
    share = core.randomness(1)[0] / 255
    core.effects.append(SetTimer("spread", SPREAD_S + SPREAD_JITTER_S * share))


def on_spread(core: Core) -> None:
    """Tell some peers, whoever they are, how far the feeds are known here, and who has moved."""
    core.gossip.spreading = False
    peers = _some(core, FANOUT)
    moved, core.gossip.moved = core.gossip.moved, set()
    for peer in peers:
        core.effects.append(Send(peer, core.feeds.frontier()))
    _tell_book(core, peers, [r for r in core.book.holding(core.now_ms) if r.name in moved])
    if not core.gossip.kept:
        _note_book(core)


def _some(core: Core, count: int) -> list[str]:
    peers = sorted(core.up)
    if len(peers) <= count:
        return peers
    return sorted(peers, key=lambda _: core.randomness(8))[:count]


# ---- what peers say ------------------------------------------------------------------------------


def on_received(core: Core, event: Received) -> None:
    """A peer's word. What is wrong with it is told to people, never raised."""
    step = MESSAGES.get(type(event.message))
    if step is None:
        return
    try:
        step(core, event.peer, event.message)
    except P2pmpcError as fault:
        if core.appends:
            raise
        _refuse(core, event.peer, "message refused", fault)


def take_frontier(core: Core, peer: str, theirs: Frontier) -> None:
    """Send what the peer lacks; ask for what it knows more, once until something new is here."""
    gossip, own = core.gossip, core.feeds.frontier()
    gossip.heard[peer] = theirs
    witnesses.hear(core, peer, theirs)
    if core.feeds.ahead(theirs) and gossip.pulled.get(peer) != gossip.placed:
        gossip.pulled[peer] = gossip.placed
        core.effects.append(Send(peer, own))
    if gossip.answered.get(peer) == (theirs, own):
        return  # the very question of before, and nothing has changed
    if gossip.awaits(peer, theirs):
        return
    gossip.answered[peer] = theirs, own
    news = _serve(core, peer, lambda room: core.feeds.news_for(theirs, room))
    if news is not None and news.ends:
        gossip.flying[peer] = news.ends
    if news is not None and news.cut:
        core.effects.append(Send(peer, own))  # whoever has placed it asks for more


def take_want(core: Core, peer: str, want: Want) -> None:
    """A range of one feed, as far as it is here."""
    _serve(core, peer, lambda room: core.feeds.range(want.author, want.first, want.last, room))


def _serve(core: Core, peer: str, find: Callable[[int], News]) -> News | None:
    """Send what `find` finds within the peer's budget; None when that is used up."""
    served = core.gossip.served
    served[peer] += ASK_BYTES
    room = SERVED_BYTES_MAX - served[peer]
    if room <= 0:
        return None
    news = find(min(room, NEWS_BYTES_MAX))
    served[peer] += news.size
    core.effects += [Send(peer, batch) for batch in news.batches]
    return news


def take_entries(core: Core, peer: str, message: Entries) -> None:
    """Check what came and put on record what can be placed."""
    before = core.gossip.placed
    for signed, body in message.entries:
        if core.gossip.refused[peer] >= REFUSED_MAX:
            break
        try:
            put_on_record(core, core.feeds.take(signed, body, peer))
        except SplitView as fork:
            tell_fork(core, str(fork.where.get("member", "")))
        except P2pmpcError as fault:
            _refuse(core, peer, "entry refused", fault)
    _want_bodies(core, peer)
    if core.gossip.placed != before:
        spread_soon(core)
        witnesses.look(core)


def put_on_record(core: Core, placed: list[tuple[Filed, Known]]) -> None:
    """Entries that are news here go to the store, and their conclusions are drawn."""
    for filed, known in placed:
        core.appends.append(filed)
        core.gossip.placed += 1
        if core.recovering:
            witnesses.learn(core, known)
            continue
        core.apply(known)
        if known.entry.author == core.name:
            tell_twin(core, f"entry {known.entry.seq} of this member was written elsewhere")
    for fault in core.feeds.refused:
        author = str(fault.where.get("member", ""))
        core.effects.append(Emit("", "entry refused", author, fault.message))
    core.feeds.refused = []


def _want_bodies(core: Core, peer: str) -> None:
    """A body that was left out on the way: its author has it, or has erased it and says so."""
    for author, seq in sorted(core.feeds.bodiless.items()):
        others = [author] if author in core.up else [p for p in _some(core, 2) if p != peer]
        if others and author not in core.gossip.wanted:
            core.gossip.wanted.add(author)
            core.effects.append(Send(others[0], Want(author, seq, seq)))
    core.feeds.bodiless = {}


def _refuse(core: Core, peer: str, event: str, fault: P2pmpcError) -> None:
    core.gossip.refused[peer] += 1
    core.effects.append(Emit("", event, peer, fault.message))
    if core.gossip.refused[peer] == REFUSED_MAX:
        text = f"{peer} has sent {REFUSED_MAX} wrong things: the rest waits for the next comparison"
        core.effects.append(Emit("", event, peer, text))


# ---- forks and twins -----------------------------------------------------------------------------


def take_fork(core: Core, proof: ForkProof) -> None:
    """Somebody has proof of a fork; it is checked here before it is believed. Raises LogError."""
    if core.feeds.roster is None:
        return
    if core.feeds.reading.entry(proof.first).author in core.feeds.forks:
        return  # every member tells of it: one proof is enough
    author = proof.check(core.feeds.roster)
    if author not in core.feeds.forks:
        core.feeds.forks[author] = proof
        tell_fork(core, author)


def tell_fork(core: Core, author: str) -> None:
    """The proof goes to everyone and into this member's own feed; then on without the author.

    What others wrote after they had read the author's other history is placed from now on.
    """
    proof = core.feeds.forks[author]
    core.effects.append(Emit("", "fork found", author, f"{author} signed two histories"))
    for peer in sorted(core.up):
        core.effects.append(Send(peer, ForkNotice(proof)))
    end_forked(core, author)
    if author == core.name:
        tell_twin(core, f"two histories were signed as {author}; this node writes nothing more")
        witnesses.look(core)
    else:
        core.write("fork", ForkNote(proof))
    put_on_record(core, core.feeds.place_waiting())


def tell_twin(core: Core, what: str) -> None:
    """Somebody else signs with this node's keys: its people must know, whatever came of it."""
    text = f"another node runs with the identity of {core.name}: {what}"
    fault = SplitView(text, member=core.name, next="Stop one of the two, and ask the other members")
    core.effects.append(Emit("", "twin", core.name, text, fault.to_json()))


# ---- addresses -----------------------------------------------------------------------------------


def tell_address(core: Core) -> None:
    """Sign this node's own address when that is due, and tell every peer."""
    if core.feeds.roster is None or not core.book.due(core.now_ms):
        return
    own = core.book.issue(core.feeds.roster.network, core.now_ms)
    core.gossip.noted = False
    _tell_book(core, sorted(core.up), [own])


def take_address(core: Core, peer: str, message: Address) -> None:
    """Keep what is news and pass it on in a moment."""
    for record in message.records:
        if core.gossip.refused[peer] >= REFUSED_MAX or core.feeds.roster is None:
            return
        try:
            if core.book.take(record, core.feeds.roster, core.now_ms):
                core.gossip.moved.add(record.name)
                core.gossip.noted = False
                spread_soon(core)
        except P2pmpcError as fault:
            _refuse(core, peer, "address refused", fault)
    if core.book.twin():
        tell_twin(core, "it gives another address in this member's name")


def _note_book(core: Core) -> None:
    """The book into the store, so that a node that starts again knows where to dial."""
    if not core.gossip.noted:
        core.gossip.noted = core.gossip.kept = True
        records = Address(core.book.holding(core.now_ms))
        core.effects.append(Remember("addresses", encode(records)))


def _tell_book(core: Core, peers: Iterable[str], records: Iterable[AddressRecord]) -> None:
    found = tuple(records)
    if found:
        core.effects += [Send(peer, Address(found)) for peer in peers]


def _take_notice(core: Core, _peer: str, message: ForkNotice) -> None:
    take_fork(core, message.proof)


MESSAGES: Mapping[type, Callable[[Core, str, Any], None]] = {
    Entries: take_entries,
    Frontier: take_frontier,
    Want: take_want,
    Address: take_address,
    ForkNotice: _take_notice,
    End: attempts.take_end,
}
