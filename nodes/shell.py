"""The plain asyncio shell of a node: carries out what the core decides, in the order it says.

`build_node` wires the whole node; nothing is made anywhere else. One task, the event loop, owns
everything here; sessions and reading data use threads and come back by `take`. What runs is in
`runs`, who is waited for in `waits`, what people ask in `people/desk`.

A failed write to the store ends the node: the core has moved on, the disk has not, so nothing more
may be signed or sent by this process. The same holds for any fault of the program in the core. The
others are told, and find nobody listening.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from nodes.core.effects import (
    Append,
    Connect,
    Effect,
    Emit,
    Event,
    LinkLost,
    LinkMade,
    Received,
    Remember,
    ResumeSession,
    Send,
    SessionOrder,
    SessionStopped,
    SetTimer,
    StartSession,
    StopSession,
    TimerFired,
)
from nodes.core.feeds import Feeds, Known
from nodes.core.node import Core
from nodes.engine.engine import Engine
from nodes.people.stories import Stories
from nodes.pools.keeper import Keeper
from nodes.pools.pool import Pool
from nodes.runs import Runs
from nodes.session.session import Brief
from nodes.store.outcomes import Outcomes
from nodes.store.record import RecordStore
from nodes.tally import Tally
from nodes.transport.reason import Reason
from nodes.transport.transport import Event as TransportEvent
from nodes.transport.transport import (
    LinkDown,
    LinkUp,
    MailIn,
    MailRefused,
    MemberAddress,
    PeerRefused,
    SessionUnknown,
    Transport,
    TwinFound,
)
from nodes.transport.transport import Received as MessageIn
from nodes.waits import Waits
from p2pmpc.errors import Aborted, LocalError, P2pmpcError, StoreFailed
from p2pmpc.identity import SecretKeys, Signer
from p2pmpc.messages import Frontier
from p2pmpc.policy import Policy
from p2pmpc.settings import Settings

__all__ = ["Node", "addresses", "build_node"]

BROKEN = frozenset(
    {Reason.FRAME_LENGTH, Reason.MALFORMED, Reason.UNEXPECTED, Reason.MAIL_ACK, Reason.FLOOD}
)  # what a network under TLS cannot do; wrong mail has an event of its own


MB = 10**6


@dataclass(slots=True, repr=False)
class Node:
    """One member's running node."""

    name: str
    settings: Settings
    core: Core
    store: RecordStore
    transport: Transport
    engine: Engine
    clock: Callable[[], float]
    wall_ms: Callable[[], int]
    signer: Signer
    card: bytes
    log: Any
    stories: Stories = field(init=False)
    keeper: Keeper = field(init=False)
    waits: Waits = field(init=False)
    runs: Runs = field(init=False)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    chores: set[asyncio.Task[None]] = field(default_factory=set)  # kept until they are done
    tally: Tally = field(default_factory=Tally)
    watching: bool = False
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    failure: P2pmpcError | None = None

    def __post_init__(self) -> None:
        """Its neighbours bring their events back to it by the calls that they are given here."""
        self.stories = Stories(self.clock)
        self.keeper = Keeper(
            name=self.name,
            core=self.core,
            transport=self.transport,
            pool=Pool(self.settings.pool_mb * MB),
            clock=self.clock,
            randomness=self.core.randomness,
            make_key_pair=self.core.make_key_pair,
            busy=lambda: bool(self.core.places.held or self.runs.running),
            chore=self.chore,
            log=self.log,
        )
        self.waits = Waits(
            self.name,
            self.core,
            self.transport,
            self.settings,
            self.stories,
            self.clock,
            self.take_safely,
        )
        self.runs = Runs(
            name=self.name,
            core=self.core,
            engine=self.engine,
            transport=self.transport,
            clock=self.clock,
            take=self.take,
            take_safely=self.take_safely,
            chore=self.chore,
            watch=self.waits.watch,
            failed=lambda: self.failure is not None,
            fail=self.fail,
            outcomes=Outcomes(self.store),
            log=self.log,
        )

    # ---- events in, effects out ----

    def take(self, event: Event) -> None:
        """One event through the core. Raises what it refuses; a store failure ends the node.

        So does whatever else goes wrong once the core has moved: it and the disk must not differ.
        """
        self.log.debug("event taken", kind=type(event).__name__)
        self._carry_out_all(lambda: self.core.handle(self.wall_ms(), event))

    def restore(self, entries: Iterable[Known]) -> None:
        """Start again on a record, given in causal order and gone through more than once.

        Raises LogError for one that cannot be followed; a store failure ends the node.
        """
        clean = self.store.clean
        self._carry_out_all(lambda: self.core.restore(self.wall_ms(), entries, clean))

    def _carry_out_all(self, conclude: Callable[[], list[Effect]]) -> None:
        self.check_alive()
        try:
            for effect in conclude():
                self._carry_out(effect)
        except P2pmpcError as fault:
            if self.core.appends:
                self.fail(fault)
            raise
        except Exception:
            self.log.exception("core fault")
            ended = P2pmpcError(
                "an internal fault ended the node",
                next="Stop the node and start it again; the log names the place.",
            )
            self.fail(ended)
            raise ended from None

    def check_alive(self) -> None:
        """Raises what ended this node."""
        if self.failure is not None:
            raise self.failure

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Append(entries):
                self.store.append(entries)
            case Send(peer, message):
                self.log.debug("message sent", peer=peer, kind=type(message).__name__)
                self.transport.send(peer, message)
            case Remember(key, value):
                self.store.remember(key, value)
            case Connect(members):
                self.transport.connect(members)
                self.transport.seek(self.settings.seeds)
                self._watch_open()
            case SetTimer(name, after_s):
                self._set_timer(name, after_s)
            case StartSession(order):
                self._start_session(order)
            case ResumeSession():
                self.runs.resume(effect)
            case StopSession():
                self.runs.stop(effect)
            case Emit(study, event, member, text, error):
                self.stories.tell(study, event, member, text, error)
                self.log.info("story", study=study, step=event, member=member)

    def _start_session(self, order: SessionOrder) -> None:
        """With what was made ahead for it; a fill that runs gives way first."""
        self.keeper.give_way()
        brief = Brief.of(order, self.core)
        thin = self.settings.thin_links
        self.runs.start(replace(brief, held=self.keeper.take(brief), thin_links=thin))

    def fail(self, fault: P2pmpcError) -> None:
        """The record cannot be written: stop before anything else is signed or sent.

        Other members are told by an unsigned message, and then by a port that refuses them.
        """
        if self.failure is not None:
            return
        self.failure = fault
        if isinstance(fault, StoreFailed):
            self.log.error("store failed", code=fault.code)
        for study, case in sorted(self.core.cases.items()):
            if not case.final:
                self.stories.tell(study, "ended", self.name, fault.message, fault.to_json())
        self.keeper.close()
        self.runs.halt_all(fault)
        self.chore(self.transport.close())

    def _watch_open(self) -> None:
        if not self.watching:
            self.watching = True
            self.chore(self.waits.watch_open())
            self.chore(self.keeper.watch())

    def chore(self, work: Coroutine[Any, Any, None]) -> None:
        """Run this beside everything else, and keep it until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self.chores.add(task)
        task.add_done_callback(self.chores.discard)

    def _set_timer(self, name: str, after_s: float) -> None:
        if name in self.timers:
            self.timers[name].cancel()
        loop = asyncio.get_running_loop()
        self.timers[name] = loop.call_later(after_s, self._fire, name)

    def _fire(self, name: str) -> None:
        self.timers.pop(name, None)
        self.take_safely(TimerFired(name))

    def take_safely(self, event: Event) -> None:
        """For events that nobody waits for: a fault is logged, a failed node stays silent."""
        if self.failure is not None:
            return
        try:
            self.take(event)
        except P2pmpcError as fault:
            self.tally.refused[str(fault.code)] += 1
            self.log.warning("event refused", code=fault.code, kind=type(event).__name__)

    # ---- the transport's events ----

    def on_transport(self, event: TransportEvent) -> None:
        """What the links say: handed to the core, to a session's mailbox, or named as a fault."""
        if self.keeper.takes(event):
            return
        match event:
            case LinkUp(peer):
                self.log.info("link up", peer=peer)
                self.take_safely(LinkMade(peer))
            case LinkDown(peer):
                self.log.info("link down", peer=peer, reason=event.reason)
                self.take_safely(LinkLost(peer, event.reason))
                if event.reason in BROKEN:
                    self.runs.count_broken(peer, event.reason)
            case MessageIn(peer, message):
                self.log.debug("message heard", peer=peer, kind=type(message).__name__)
                if isinstance(message, Frontier):
                    self.tally.hear(peer, message, asyncio.get_running_loop().time())
                self.take_safely(Received(peer, message))
            case MailIn(session, peer, name, data):
                self.runs.hear(session, peer, name, data)
            case SessionUnknown(session, peer):
                self.runs.lose(session, peer)
            case PeerRefused():
                self.log.warning("peer refused", what=event.what, fingerprint=event.fingerprint)
            case TwinFound(member):
                self.log.error("twin found", peer=member)
                text = f"two nodes run with the identity of {member}: one link replaces the other"
                self.stories.tell("", "twin", member, text, None)
            case MailRefused(session, peer):
                self.log.warning("mail refused", peer=peer, reason=event.reason)
                self.runs.suspect(session, peer, event.reason)

    # ---- ending ----

    def stop_runs(self, why: str) -> None:
        """End every run by this member's name: on record, and told to the others."""
        for session in list(self.runs.running):
            self.take_safely(SessionStopped(session, Aborted.code, why, self.name, ""))

    def ask_to_stop(self) -> None:
        """The process ends soon; called from a signal's handler."""
        self.stopping.set()

    async def close(self) -> None:
        """End sessions, links and the store, in this order."""
        for running in list(self.runs.running.values()):
            running.attempt.stop(LocalError("this node is stopping"))
        self.keeper.close()
        for handle in self.timers.values():
            handle.cancel()
        for task in list(self.chores):
            task.cancel()
        await self.transport.close()
        await self.engine.close()
        self.store.close()


def build_node(
    settings: Settings,
    keys: SecretKeys,
    card: bytes,
    policy: Policy,
    clock: Callable[[], float],
    wall_ms: Callable[[], int],
    randomness: Callable[[int], bytes],
    store: RecordStore,
    transport: Transport,
    engine: Engine,
    make_key_pair: Callable[[bytes], tuple[bytes, bytes]],
    log: Any,
) -> Node:
    """The whole node, wired."""
    name = settings.name
    signer = Signer(keys.log_seed)
    feeds = Feeds(name, signer, randomness, store)
    return Node(
        name=name,
        settings=settings,
        core=Core(name, settings, feeds, signer, randomness, make_key_pair, policy),
        store=store,
        transport=transport,
        engine=engine,
        clock=clock,
        wall_ms=wall_ms,
        signer=signer,
        card=card,
        log=log,
    )


def addresses(core: Core) -> Mapping[str, MemberAddress]:
    """Where the roster's members are: as they said last, else by the cards of the founding."""
    roster = core.feeds.roster
    members = roster.members if roster is not None else ()
    told = {one.name: core.book.address(one.name, core.now_ms) for one in members}
    return {
        one.name: MemberAddress(one.certificate, told[one.name] or one.address) for one in members
    }
