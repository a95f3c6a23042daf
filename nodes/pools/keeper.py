"""Who fills and empties a node's pool: looks when the node is idle, talks to peers, runs a fill.

Everything here gives way to studies: a fill ends, and is burnt, as soon as a study holds one of the
node's places. What a peer can make this node do is bounded: by the pool's bytes, by how often it
may offer (`talks`), by a rest after each fill that fails, and by the peer sets that this member's
own studies name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from msgspec.structs import replace

from nodes.core.node import Core
from nodes.pools.fill import Fill
from nodes.pools.needs import Asked, asked_of, size_of, study_needs
from nodes.pools.pool import PeerSet, Pool, missing
from nodes.pools.quote import quote
from nodes.pools.talks import Agreed, Talks
from nodes.session.session import Brief
from nodes.transport.transport import (
    Event,
    LinkDown,
    MailIn,
    MailRefused,
    Received,
    SessionUnknown,
    Transport,
)
from p2pmpc.errors import Aborted, P2pmpcError
from p2pmpc.messages import End, Offer
from protocols.abort import Abort
from protocols.batches import WIRE, Batch
from protocols.party import Parties

__all__ = ["RECENT_MAX", "REST_S_MAX", "SHELF_MAX", "WAITING_MAX", "Keeper", "first_waiting"]

LOOK_EVERY_S = 0.5
IDLE_S = 3.0  # without a study, before anything is offered: people propose several at once
REST_S = 10.0  # after a fill that failed, doubled for each further one
REST_S_MAX = 3600.0
RECENT_MAX = 4  # peer sets that are filled again though none of their studies waits
WAITING_MAX = 8  # studies of one peer set that are filled for
SHELF_MAX = 1024  # batches of one peer set: small ones cost more than their bytes
TICKETS = 8  # wires of one fill: one costs as much as many
FILL_THREADS = 2

Needs = Mapping[str, int]


@dataclass(slots=True)
class Rest:
    """Until when a peer set is left alone."""

    until_s: float
    failures: int


@dataclass(slots=True, repr=False)
class Keeper:
    """One node's, on its event loop.

    busy   whether a study has one of this node's places
    chore  keeps a task until it is done
    """

    name: str
    core: Core
    transport: Transport
    pool: Pool
    clock: Callable[[], float]
    randomness: Callable[[int], bytes]
    make_key_pair: Callable[[bytes], tuple[bytes, bytes]]
    busy: Callable[[], bool]
    chore: Callable[[Coroutine[Any, Any, None]], None]
    log: Any
    talks: Talks = field(init=False)
    filling: Fill | None = None
    gave_way: bool = False
    quiet_s: float = field(init=False)  # since when no study has a place
    rests: dict[Parties, Rest] = field(default_factory=dict)
    recent: dict[Parties, Asked] = field(default_factory=dict)  # the last is the youngest
    known: dict[bytes, Needs] = field(default_factory=dict)  # needs by what they follow from
    threads: Executor | None = None
    filled: int = 0  # fills that ended well

    def __post_init__(self) -> None:
        self.talks = Talks(self.name)
        self.quiet_s = self.clock()

    @property
    def epoch(self) -> int:
        """The roster's; -1 before there is one."""
        return self.core.feeds.roster.epoch if self.core.feeds.roster else -1

    # ---- what a study takes ----

    def take(self, brief: Brief) -> tuple[Batch, ...]:
        """What this attempt begins with; deleted here. Its peer set is filled again later."""
        if not self.pool.bytes_max:
            return ()
        parties = brief.order.parties
        self.remember(parties, Asked(brief.resolved, brief.catalogue))
        peers = PeerSet(parties, self.epoch)
        if not self.pool.held(peers):
            return ()
        return self.pool.take(peers, self._counted(self.recent[parties]))

    def remember(self, parties: Parties, asked: Asked) -> None:
        """A peer set ran this study last: it is filled for the like again."""
        self.recent.pop(parties, None)
        self.recent[parties] = asked
        while len(self.recent) > RECENT_MAX:
            del self.recent[next(iter(self.recent))]

    def quote(self, asked: Asked) -> dict[str, Any]:
        """What a study would draw, what lies here for it, and what the rest costs."""
        parties = asked.resolved.study.parties
        shelf = self.pool.shelves.get(PeerSet(parties, self.epoch), [])
        needs = self.known.get(asked.key) or study_needs(asked)
        self._know(asked.key, needs)
        linked = any(one.linked for one in asked.resolved.statistics)
        return quote(needs, shelf, len(parties), linked)

    def give_way(self) -> None:
        """A study has a place: whatever is offered or made here ends, and is burnt."""
        self.quiet_s = self.clock()
        self.talks.drop()
        fill = self.filling
        if fill is not None and not self.gave_way:
            self.gave_way = True
            self._end(fill, f"{self.name} has a study to run")

    def close(self) -> None:
        """The node ends: nothing is kept."""
        if self.filling is not None:
            self.filling.stop("this node is stopping")
        self.talks.drop()
        self.pool.close()
        if isinstance(self.threads, ThreadPoolExecutor):
            self.threads.shutdown(wait=False, cancel_futures=True)
        self.pool.bytes_max = 0  # what a fill still brings does not fit, and nobody looks any more

    # ---- looking ----

    async def watch(self) -> None:
        """Fill what is missing whenever the node has been idle for a while."""
        while self.pool.bytes_max:
            await asyncio.sleep(LOOK_EVERY_S)
            try:
                await self.look()
            except P2pmpcError as fault:
                self.log.warning("pool not looked at", code=fault.code)
            except Exception:
                self.log.exception("pool fault")  # the next look burns what is of another roster

    async def look(self) -> None:
        """One look: give way, name who did not answer, or offer what is missing most."""
        self.pool.keep_epoch(self.epoch)
        if self.busy():
            self.give_way()
            return
        now = self.clock()
        talk = self.talks.talk
        if late := self.talks.overdue(now):
            assert talk is not None, "who is late was talked with"
            self.log.info("fill ended", peer=late[0], reason="not all answered the offer")
            self._rest(talk.offers[self.name].parties)
        idle = self.filling is None and self.talks.talk is None and now - self.quiet_s >= IDLE_S
        if not idle or self.epoch < 0:
            return
        wanted = await self._wanted()
        for parties, kinds in wanted:
            if self._may_lead(parties, now) and self._fits(parties, kinds):
                self._lead(parties, kinds)
                return

    async def _wanted(self) -> list[tuple[Parties, tuple[tuple[str, int], ...]]]:
        """What each peer set lacks for its next study, as an offer says it."""
        studies = await self._studies()
        found = []
        for parties, needs in sorted(studies.items()):
            shelf = self.pool.shelves.get(PeerSet(parties, self.epoch), [])
            lacking = next((one for one in missing(shelf, needs) if one), None)
            if lacking is not None:
                if WIRE in lacking:
                    lacking[WIRE] = TICKETS
                found.append((parties, tuple(sorted(lacking.items()))))
        return found

    async def _studies(self) -> dict[Parties, list[Needs]]:
        """Peer set -> the needs of its studies that wait, or of the last that ran."""
        asked: dict[Parties, list[Asked]] = {}
        for study in sorted(self.core.places.open):
            case = self.core.cases[study]
            if self.name in case.study.parties and case.state in {"proposed", "agreed"}:
                one = asked_of(self.core, case)
                if one is not None:
                    asked.setdefault(case.study.parties, []).append(one)
        for parties, last in self.recent.items():
            asked.setdefault(parties, [last])
        return {
            parties: [await self._needs(one) for one in some]
            for parties, some in sorted(first_waiting(asked).items())
        }

    async def _needs(self, asked: Asked) -> Needs:
        found = self.known.get(asked.key)
        if found is None:
            loop = asyncio.get_running_loop()
            found = await loop.run_in_executor(self._executor(), self._count, asked)
            self._know(asked.key, found)
        return found

    def _counted(self, asked: Asked) -> Needs:
        found = self.known.get(asked.key)
        if found is None:
            found = self._count(asked)
            self._know(asked.key, found)
        return found

    def _count(self, asked: Asked) -> Needs:
        """Nothing for a study that cannot be counted: its own session names what is wrong."""
        try:
            return study_needs(asked)
        except Exception:
            self.log.exception("needs not counted")
            return {}

    def _know(self, key: bytes, needs: Needs) -> None:
        if len(self.known) > RECENT_MAX * WAITING_MAX:
            self.known.clear()
        self.known[key] = needs

    def _may_lead(self, parties: Parties, now: float) -> bool:
        others = set(parties) - {self.name}
        return parties[0] == self.name and others <= self.core.up and not self._rests(parties, now)

    def _rests(self, parties: Parties, now: float) -> bool:
        rest = self.rests.get(parties)
        return rest is not None and now < rest.until_s

    def _fits(self, parties: Parties, kinds: tuple[tuple[str, int], ...]) -> bool:
        wanted = {PeerSet(p, self.epoch) for p in self._own_sets()}
        size = size_of(kinds, len(parties))
        return self.pool.make_room(size, wanted | {PeerSet(parties, self.epoch)})

    def _own_sets(self) -> set[Parties]:
        """Peer sets that studies of this member name."""
        cases = (self.core.cases[study] for study in self.core.places.open)
        waiting = {case.study.parties for case in cases if self.name in case.study.parties}
        return waiting | set(self.recent)

    # ---- talking ----

    def _lead(self, parties: Parties, kinds: tuple[tuple[str, int], ...]) -> None:
        secret, public = self.make_key_pair(self.randomness(32))
        self._offer(Offer(self.randomness(32), parties, self.epoch, kinds, public), secret)

    def _offer(self, offer: Offer, secret: bytes) -> None:
        for peer in offer.parties:
            if peer != self.name:
                self.transport.send(peer, offer)
        agreed = self.talks.begin(self.clock(), offer, secret)
        if agreed is not None:
            self._start(agreed)

    def hear(self, peer: str, offer: Offer) -> None:
        """An offer over a link; what this node may not or does not want to join is passed over."""
        if not self.pool.bytes_max:
            return
        before = self.talks.talk
        match self.talks.hear(self.clock(), peer, offer):
            case Agreed() as agreed:
                self._start(agreed)
            case Offer():
                why = self._unwilling(offer)
                if why:
                    self.log.info("offer passed over", peer=peer, reason=why)
                    return
                secret, public = self.make_key_pair(self.randomness(32))
                self._offer(replace(offer, key=public), secret)
            case str() as why:
                self.log.warning("offer passed over", peer=peer, reason=why)
                if before is not None and self.talks.talk is None:  # never whom a peer names
                    self._rest(before.offers[self.name].parties)

    def _unwilling(self, offer: Offer) -> str:
        """Why this node does not join; empty when it does."""
        roster = self.core.feeds.roster
        reasons = {
            "not all are members": roster is None or not set(offer.parties) <= set(roster.names),
            "another roster": offer.epoch != self.epoch,
            "busy": self.busy() or self.filling is not None,
            "no study of this member is among these": offer.parties not in self._own_sets(),
            "resting": self._rests(offer.parties, self.clock()),
        }
        found = next((why for why, holds in reasons.items() if holds), "")
        shelf = self.pool.shelves.get(PeerSet(offer.parties, self.epoch), [])
        if not found and len(shelf) >= SHELF_MAX:
            return "many batches already"
        try:
            return found or ("" if self._fits(offer.parties, offer.kinds) else "no room")
        except ValueError:
            return "a kind that this version does not know"

    # ---- filling ----

    def _start(self, agreed: Agreed) -> None:
        if self.busy() or self.filling is not None:
            return  # the others hear nothing and give it up
        fill = Fill(self.name, agreed, self.transport, self._executor(), self.randomness)
        self.filling, self.gave_way = fill, False
        self.chore(self._run(fill))

    async def _run(self, fill: Fill) -> None:
        agreed = fill.agreed
        try:
            batches = await fill.run()
            self.pool.add(PeerSet(agreed.parties, agreed.epoch), batches)
            self.rests.pop(agreed.parties, None)
            self.filled += 1
            self.log.info("pool filled", step=f"{len(agreed.parties)} parties")
        except (Abort, P2pmpcError, TimeoutError) as fault:
            self._failed(fill, fault)
        except Exception:
            self.log.exception("fill fault")
            self._end(fill, f"the fill ended at {self.name}")
            self._rest(agreed.parties)
        finally:
            self.filling = None

    def _failed(self, fill: Fill, fault: Exception) -> None:
        if self.gave_way:
            self.log.info("fill ended", reason="a study began here")
            return
        peer = getattr(fault, "party", "")
        self.log.warning("fill ended", kind=type(fault).__name__, peer=peer, reason=str(fault))
        self._end(fill, f"the fill ended at {self.name}")
        self._rest(fill.agreed.parties)

    def _rest(self, parties: Parties) -> None:
        rest = self.rests.get(parties)
        failures = rest.failures + 1 if rest else 1
        pause_s = min(REST_S_MAX, REST_S * 2.0 ** (failures - 1))
        self.rests[parties] = Rest(self.clock() + pause_s, failures)

    def _end(self, fill: Fill, why: str) -> None:
        for peer in fill.peers:
            self.transport.send(peer, End(fill.agreed.session, Aborted.code, why, self.name))
        fill.stop(why)

    def _executor(self) -> Executor:
        if self.threads is None:
            self.threads = ThreadPoolExecutor(FILL_THREADS, thread_name_prefix="fill")
        return self.threads

    # ---- what the links say of a fill ----

    def takes(self, event: Event) -> bool:
        """Whether an event of the transport is about offers or the fill that runs: taken here."""
        match event:
            case Received(peer, Offer() as offer):
                self.hear(peer, offer)
            case MailIn(session, peer, name, data) if self._owns(session):
                assert self.filling is not None, "it owns the session"
                self.filling.mailbox.put(peer, name, data)
            case Received(peer, End(session)) if self._owns(session):
                self._lost(peer)
            case SessionUnknown(session, peer) | MailRefused(session, peer) if self._owns(session):
                self._lost(peer)
            case LinkDown(peer):
                self._lost(peer)
                return False
            case _:
                return False
        return True

    def _owns(self, session: bytes) -> bool:
        return self.filling is not None and self.filling.agreed.session == session

    def _lost(self, peer: str) -> None:
        """A party ended the fill, does not know it, sent what is no mail, or is out of reach."""
        if self.filling is not None and peer in self.filling.peers:
            self.filling.stop(f"{peer} ended the fill")


def first_waiting(asked: Mapping[Parties, Sequence[Asked]]) -> dict[Parties, list[Asked]]:
    """The studies of each peer set that are filled for."""
    return {parties: list(some[:WAITING_MAX]) for parties, some in asked.items()}
