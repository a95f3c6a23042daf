"""The plain asyncio shell of a node: carries out what the core decides, in the order it says.

`build_node` wires the whole node; nothing is made anywhere else. One task, the event loop, owns
everything here; sessions and reading data use threads and come back by `take`.

A failed write to the store ends the node: the core has moved on, the disk has not, so nothing more
may be signed or sent by this process. The same holds for any fault of the program in the core. The
others are told, and find nobody listening.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodes.core.effects import (
    Append,
    Connect,
    DatasetAdded,
    Effect,
    Emit,
    Event,
    Founded,
    Gone,
    LinkLost,
    LinkMade,
    PolicySet,
    Proposed,
    Received,
    ResumeSession,
    Send,
    SessionEnded,
    SessionPaused,
    SessionStopped,
    SetTimer,
    StartSession,
    StopSession,
    TimerFired,
)
from nodes.core.feeds import Feeds
from nodes.core.node import Core
from nodes.engine.local import LocalEngine
from nodes.people.bundle import export_bundle
from nodes.people.stories import Stories
from nodes.session.driver import Post
from nodes.session.session import Brief, Outcome, Session
from nodes.store.record import RecordStore
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
)
from nodes.transport.transport import Received as MessageIn
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import Aborted, LocalError, NotFound, P2pmpcError, StoreFailed
from p2pmpc.identity import SecretKeys, Signer, check_card
from p2pmpc.messages import End
from p2pmpc.policy import Policy, parse_policy
from p2pmpc.settings import Settings
from p2pmpc.study import Study
from protocols.abort import Abort

__all__ = ["Node", "build_node"]

WATCH_EVERY_S = 0.25  # how often waits are looked at; far below every limit on waiting
NAME_AFTER_S = 2.0  # who is waited for is said once a wait is longer than a hiccup
NAME_EVERY_S = 5.0  # and said again
BROKEN_MAX = 3  # links that a peer may break by a wrong message during one run
BROKEN = frozenset(
    {Reason.FRAME_LENGTH, Reason.MALFORMED, Reason.UNEXPECTED, Reason.MAIL_ACK}
)  # what a network under TLS cannot do; wrong mail has an event of its own


@dataclass(slots=True, repr=False)
class Running:
    """A session on this machine. `resume` is set while it pauses for the record."""

    session: Session
    task: asyncio.Task[None] | None = None
    resume: asyncio.Future[ResumeSession] | None = None
    started: float = 0.0
    broken: Counter[str] = field(default_factory=Counter)  # peer -> links broken by its messages


@dataclass(slots=True, repr=False)
class Node:
    """One member's running node."""

    name: str
    settings: Settings
    core: Core
    store: RecordStore
    transport: Transport
    engine: LocalEngine
    stories: Stories
    clock: Callable[[], float]
    wall_ms: Callable[[], int]
    signer: Signer
    card: bytes
    log: Any
    running: dict[bytes, Running] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    costs: dict[str, dict[str, Any]] = field(default_factory=dict)
    timers: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    named: dict[tuple[str, str], float] = field(default_factory=dict)  # (study, peer) -> last said
    chores: set[asyncio.Task[None]] = field(default_factory=set)  # kept until they are done
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    failure: P2pmpcError | None = None

    # ---- events in, effects out ----

    def take(self, event: Event) -> None:
        """One event through the core. Raises what it refuses; a store failure ends the node.

        So does whatever else goes wrong once the core has moved: it and the disk must not differ.
        """
        self._alive()
        try:
            for effect in self.core.handle(self.wall_ms(), event):
                self._carry_out(effect)
        except P2pmpcError as fault:
            if self.core.appends:
                self._fail(fault)
            raise
        except Exception:
            self.log.exception("core fault")
            ended = P2pmpcError("an internal fault ended the node", next="Start the node again.")
            self._fail(ended)
            raise ended from None

    def _alive(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _carry_out(self, effect: Effect) -> None:
        match effect:
            case Append(entries):
                self.store.append(entries)
            case Send(peer, message):
                self.transport.send(peer, message)
            case Connect(members):
                self.transport.connect(members)
                self._chore(self._watch_open())
            case SetTimer(name, after_s):
                self._set_timer(name, after_s)
            case StartSession(order):
                self._start_session(Brief.of(order, self.core))
            case ResumeSession(session):
                self._resume(session, effect)
            case StopSession():
                self._stop_session(effect)
            case Emit(study, event, member, text, error):
                self.stories.tell(study, event, member, text, error)
                self.log.info("story", study=study, step=event, member=member)

    def _fail(self, fault: P2pmpcError) -> None:
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
        text = f"{self.name} stopped: error {fault.code} on its own machine"
        for session, running in self.running.items():
            for peer in running.session.brief.order.peer_keys:
                self.transport.send(peer, End(session, Aborted.code, text, self.name))
            self._halt(session, running, fault)
        self._chore(self.transport.close())

    def _halt(self, session: bytes, running: Running, fault: P2pmpcError) -> None:
        """End a run wherever it waits: for mail, for the record, or for a peer to take its mail."""
        running.session.stop(fault)
        if running.resume is not None and not running.resume.done():
            running.resume.set_exception(fault)
        self._chore(self.transport.close_session(session))

    def _chore(self, work: Coroutine[Any, Any, None]) -> None:
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
        self._take_safely(TimerFired(name))

    def _take_safely(self, event: Event) -> None:
        """For events that nobody waits for: a fault is logged, a failed node stays silent."""
        if self.failure is not None:
            return
        try:
            self.take(event)
        except P2pmpcError as fault:
            self.log.warning("event refused", code=fault.code, kind=type(event).__name__)

    # ---- the transport's events ----

    def on_transport(self, event: TransportEvent) -> None:
        """What the links say: handed to the core, to a session's mailbox, or named as a fault."""
        match event:
            case LinkUp(peer):
                self.log.info("link up", peer=peer)
                self._take_safely(LinkMade(peer))
            case LinkDown(peer):
                self.log.info("link down", peer=peer, reason=event.reason)
                self._take_safely(LinkLost(peer, event.reason))
                if event.reason in BROKEN:
                    self._count_broken(peer, event.reason)
            case MessageIn(peer, message):
                self._take_safely(Received(peer, message))
            case MailIn(session, peer, name, data):
                if session in self.running:
                    self.running[session].session.mailbox.put(peer, name, data)
            case SessionUnknown(session, peer):
                self._lost_session(session, peer)
            case PeerRefused():
                self.log.warning("peer refused", what=event.what, fingerprint=event.fingerprint)
            case MailRefused(session, peer):
                self.log.warning("mail refused", peer=peer, reason=event.reason)
                self._suspect(session, peer, event.reason)

    def _lost_session(self, session: bytes, peer: str) -> None:
        if session in self.running:
            text = f"{peer} no longer knows this run: its process was started again"
            self._take_safely(SessionStopped(session, 402, text, peer, ""))

    def _count_broken(self, peer: str, reason: str) -> None:
        """A peer that breaks link after link by wrong messages would hold its runs up for ever."""
        for session, running in list(self.running.items()):
            running.broken[peer] += 1
            if running.broken[peer] >= BROKEN_MAX:
                self._suspect(session, peer, reason)

    def _suspect(self, session: bytes, peer: str, reason: str) -> None:
        running = self.running.get(session)
        if running is not None and peer in running.session.brief.order.peer_keys:
            text = f"{peer} sent what the wire format does not allow: {reason}"
            self._take_safely(SessionStopped(session, 404, text, peer, ""))

    # ---- sessions ----

    def _start_session(self, brief: Brief) -> None:
        session = Session.prepare(
            brief, self.engine, self._poster(brief.order.session), self.core.randomness
        )
        running = Running(session, started=self.clock())
        self.running[brief.order.session] = running
        peers = tuple(p for p in brief.order.parties if p != self.name)
        self.transport.open_session(brief.order.session, peers)
        running.task = asyncio.get_running_loop().create_task(self._run_session(running))

    def _poster(self, session: bytes) -> Post:
        async def post(peer: str, name: str, data: bytes) -> None:
            await self.transport.post(session, peer, name, data)

        return post

    async def _run_session(self, running: Running) -> None:
        order = running.session.brief.order
        watch = asyncio.get_running_loop().create_task(self._watch(running))
        try:
            outcome = await running.session.run(lambda pause: self._pause(running, pause))
            self.take(SessionEnded(order.session, outcome.answer_hash, outcome.released))
            if self.core.cases[order.study].state in {"answered", "withheld"}:
                self.outcomes[order.study] = outcome  # not before it is on record
        except (Abort, P2pmpcError) as fault:
            self._ended_early(order.session, fault)
        except Exception:
            self.log.exception("session fault")
            self._ended_early(order.session, P2pmpcError("an internal fault ended the run"))
        finally:
            watch.cancel()
            self._count_cost(running)
            await self.transport.close_session(order.session)
            self.running.pop(order.session, None)

    def _ended_early(self, session: bytes, fault: Abort | P2pmpcError) -> None:
        if self.failure is not None:
            return
        code, why, who = explain_fault(fault)
        self._take_safely(SessionStopped(session, code, why, who, ""))

    async def _pause(self, running: Running, pause: Any) -> ResumeSession:
        running.resume = asyncio.get_running_loop().create_future()
        session = running.session.brief.order.session
        self.take(SessionPaused(session, pause.kind, pause.facts))
        try:
            return await running.resume
        finally:
            running.resume = None

    def _resume(self, session: bytes, effect: ResumeSession) -> None:
        running = self.running.get(session)
        if running is not None and running.resume is not None and not running.resume.done():
            running.resume.set_result(effect)

    def _stop_session(self, effect: StopSession) -> None:
        running = self.running.get(effect.session)
        if running is None:
            return
        fault = Aborted(effect.why, member=effect.waited_for or None)
        self._halt(effect.session, running, fault)

    def _count_cost(self, running: Running) -> None:
        order = running.session.brief.order
        self.costs[order.study] = {
            "seconds": round(self.clock() - running.started, 4),
            "rounds": running.session.toll.rounds,
            "bytes_sent": self.transport.session_traffic(order.session).sent,
            "peak_memory": self.engine.peak_memory(),
        }

    # ---- waits ----

    async def _watch(self, running: Running) -> None:
        """Name who is waited for; end the attempt when a peer's time is up."""
        order = running.session.brief.order
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for peer in self._waited_for(running):
                self._judge(order.study, order.session, peer)
            if self.clock() - running.started > self.settings.attempt_deadline_s:
                late = self._waited_for(running)
                self._overdue(running, late[0] if late else "", "the attempt's deadline has passed")

    def _waited_for(self, running: Running) -> tuple[str, ...]:
        if running.resume is not None:
            case = self.core.cases[running.session.brief.order.study]
            return tuple(p for p in case.study.parties if p not in case.releases)
        posting = running.session.toll.posting
        return (posting,) if posting else running.session.mailbox.missing

    async def _watch_open(self) -> None:
        """The same for studies that wait for members before their session.

        Consent may take days: whose node is away is said, and ends nothing before all agree.
        """
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for study, case in sorted(self.core.cases.items()):
                if case.final or case.session:
                    continue
                done = case.consents if case.state == "proposed" else case.readies
                for peer in sorted(set(case.study.parties) - set(done) - {self.name}):
                    self._judge(study, b"", peer)

    def _judge(self, study: str, session: bytes, peer: str) -> None:
        if peer == self.name:
            return
        patient = self.core.cases[study].state == "proposed"
        link = self.transport.link_state(peer)
        if link.up:
            self.named.pop((study, peer), None)
            return
        down_s = self.clock() - link.since
        limit_s = self.settings.refused_grace_s if link.refused else self.settings.link_grace_s
        address = self.transport.address_of(peer)
        if patient:
            if down_s > NAME_AFTER_S and (study, peer) not in self.named:
                self.named[study, peer] = self.clock()
                text = f"waiting for {peer} at {address} ({link.reason})"
                self.stories.tell(study, "waiting", peer, text, None)
        elif down_s > limit_s:
            why = f"{peer}: not heard for {down_s:.0f} s at {address}: {link.reason}"
            gone = Gone(study, peer, why)
            self._take_safely(SessionStopped(session, 402, why, peer, "") if session else gone)
        elif down_s > NAME_AFTER_S and self.clock() - self._said(study, peer) > NAME_EVERY_S:
            self.named[study, peer] = self.clock()
            text = f"waiting for {peer} at {address} ({link.reason}); {limit_s - down_s:.0f} s left"
            self.stories.tell(study, "waiting", peer, text, None)

    def _said(self, study: str, peer: str) -> float:
        return self.named.get((study, peer), -NAME_EVERY_S)

    def _overdue(self, running: Running, peer: str, why: str) -> None:
        session = running.session.brief.order.session
        self._take_safely(SessionStopped(session, 402, f"{peer}: {why}" if peer else why, peer, ""))

    # ---- what people ask ----

    def status(self) -> dict[str, Any]:
        """What `GET /status` answers: this member, its links, data sets and studies."""
        roster = self.core.feeds.roster
        return {
            "name": self.name,
            "fingerprint": check_card(self.card).fingerprint,
            "members": list(roster.names) if roster else [],
            "links": sorted(self.core.up),
            "datasets": sorted(self.core.commitments),
            "studies": {study: case.state for study, case in sorted(self.core.cases.items())},
            "failure": self.failure.to_json() if self.failure else None,
        }

    def found(self, title: str, cards: tuple[bytes, ...]) -> str:
        """Join this member's card to the others' as a network; returns its 64 hex digits."""
        self.take(Founded(title, cards))
        assert self.core.feeds.roster is not None
        return self.core.feeds.roster.network.hex()

    async def add_data(
        self, paths: tuple[str, ...], dictionary: bytes, encoding: str | None
    ) -> dict[str, Any]:
        """Read and check files on a thread; others are told their description and commitment alone.

        Raises BadData naming file and column, and whatever the core refuses.
        """
        self._alive()
        described = Dictionary.from_bytes(dictionary)
        facts = await self.engine.load_dataset(described, paths, encoding)
        self.take(DatasetAdded(described, facts.commitment))
        return {"rows": facts.rows, "notes": list(facts.notes)}

    def set_policy(self, text: str) -> None:
        """From now on decide by these rules; what was consented to keeps its own."""
        self.take(PolicySet(parse_policy(text, "policy", self.core.policy.default)))

    def propose(self, study: bytes) -> str:
        """Sign a study as its researcher and put it on record; returns its id."""
        proposed = Study.from_bytes(study)
        signature = self.signer.sign(self.network, "study", proposed.hash)
        self.take(Proposed(study, self.signer.public, signature))
        return proposed.id

    @property
    def network(self) -> bytes:
        """The network's 32 bytes. Raises NotFound before there is one."""
        roster = self.core.feeds.roster
        if roster is None:
            raise NotFound("this node belongs to no network yet")
        return roster.network

    def _case(self, study: str) -> Any:
        if study not in self.core.cases:
            raise NotFound(f"study {study} is not known here")
        return self.core.cases[study]

    def state_of(self, study: str) -> str:
        """running, answered, withheld, refused or aborted."""
        if self.failure is not None:
            return "aborted"
        if study not in self.core.cases:
            return "running"
        state = self.core.cases[study].state
        words = {"answered": "answered", "withheld": "withheld", "refused": "refused"}
        return "aborted" if state == "failed" else words.get(state, "running")

    def result(self, study: str) -> dict[str, Any]:
        """The answer as the interface spells it. Raises NotFound where there is none here."""
        self._alive()
        case = self._case(study)
        outcome = self.outcomes.get(study)
        if outcome is not None and outcome.answer is not None and case.final:
            return dict(outcome.answer)
        raise NotFound(f"study {study} has no answer here (it is {case.state})")

    def receipt(self, study: str) -> bytes:
        """The receipt's bytes. Raises NotFound at a member that is no recipient."""
        self._alive()
        outcome = self.outcomes.get(study)
        if outcome is None or not outcome.receipt:
            raise NotFound(f"study {study} has no receipt here")
        return outcome.receipt

    def cost(self, study: str) -> dict[str, Any]:
        """What the study cost here; for this owner alone, its rows that repeat a person."""
        found, outcome = self.costs.get(study, {}), self.outcomes.get(study)
        return found if outcome is None else {**found, "duplicates": dict(outcome.duplicates)}

    def export(self) -> bytes:
        """A log bundle of all that this node knows, with the receipts that it holds."""
        receipts = tuple(o.receipt for _, o in sorted(self.outcomes.items()) if o.receipt)
        return export_bundle(self.core.feeds, self.store, self.signer, receipts, self.wall_ms())

    def ask_to_stop(self) -> None:
        """The process ends soon; called from a signal's handler."""
        self.stopping.set()

    async def close(self) -> None:
        """End sessions, links and the store, in this order."""
        for running in list(self.running.values()):
            running.session.stop(LocalError("this node is stopping"))
        for handle in self.timers.values():
            handle.cancel()
        for task in list(self.chores):
            task.cancel()
        await self.transport.close()
        self.engine.close()
        self.store.close()


def explain_fault(fault: Abort | P2pmpcError) -> tuple[int, str, str]:
    """An error code, a sentence and a member's name for what ended a run."""
    if isinstance(fault, Abort):
        code = ABORT_CODES.get(type(fault).__name__, 401)
        return code, str(fault), fault.party
    return fault.code, fault.message, str(fault.where.get("member", ""))


ABORT_CODES: Mapping[str, int] = {
    "Missing": 402,
    "Misbehaved": 403,
    "Suspected": 404,
    "Inconsistent": 401,
}


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
    engine: LocalEngine,
    make_key_pair: Callable[[bytes], tuple[bytes, bytes]],
    log: Any,
) -> Node:
    """The whole node, wired."""
    name = settings.name
    signer = Signer(keys.log_seed)
    feeds = Feeds(name, signer, randomness, store)
    core = Core(name, settings, feeds, signer, randomness, make_key_pair, policy)
    stories = Stories(clock)
    return Node(
        name,
        settings,
        core,
        store,
        transport,
        engine,
        stories,
        clock,
        wall_ms,
        signer,
        card,
        log,
    )


def addresses(core: Core) -> Mapping[str, MemberAddress]:
    """Where the roster's members are, by the cards that founded the network."""
    roster = core.feeds.roster
    members = roster.members if roster is not None else ()
    return {one.name: MemberAddress(one.certificate, one.address) for one in members}
