"""A whole network in one process: production cores, virtual time, drawn faults, every check.

One heap holds what happens next. Each step hands one event to one core, looks at every invariant
before anything of it takes effect, and carries the effects out: entries into the store in memory,
messages over links that lose and delay them, timers and sessions back into the heap. The trace is
a hash over all of it; the same plan gives the same trace in every process.

Up to EXACT_NODES_MAX nodes every message is encoded and parsed as on the wire; above, messages are
handed over as they are and weighed ("shape"). Signatures are real Ed25519 in both.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nodes.core.effects import (
    Append,
    DatasetAdded,
    Effect,
    Event,
    Founded,
    LinkLost,
    LinkMade,
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
from nodes.core.node import Core
from p2pmpc.codec import digest
from p2pmpc.errors import P2pmpcError
from p2pmpc.messages import Message, decode_message, encode_message
from p2pmpc.policy import REHEARSAL, Policy
from simulations.chance import Chance
from simulations.checkers import Checkers, Step, Violation
from simulations.clock import Schedule
from simulations.inhabitant import Inhabitant, settle
from simulations.memory import Library, Volume
from simulations.network import HEADER_BYTES, Links, weigh
from simulations.plan import EXACT_NODES_MAX, Errand, Plan, dictionary, member_name
from simulations.reading import SharedReading
from simulations.sessions import Attempt, Seat, facts_of
from simulations.spread import Spread

__all__ = ["World", "make_world"]

UNIX_MS = 1_800_000_000_000  # when a world begins; advisory, like every member's own clock
NOTICE_UP_US = (1_000, 200_000)  # a connection is made: TLS takes a few round trips
NOTICE_DOWN_US = (10_000, 5_000_000)  # a broken one is noticed by pings
START_US = 10_000_000  # nodes are started within this time
AGAIN_US = 10_000_000  # a researcher whose node was away hands the study in again
SESSION_US = (5_000, 200_000)  # from one stage of a session to its next
LOOK_US = 1_000_000  # a session that waits for a link looks again
WATCH_US = 5_000_000
REFUSES = 0.05  # of all members, whose policy refuses every study


@dataclass(frozen=True, slots=True)
class Start:
    node: int


@dataclass(frozen=True, slots=True)
class Happen:
    """An event for one life of a node."""

    node: int
    life: int
    event: Event


@dataclass(frozen=True, slots=True)
class Deliver:
    sender: int
    receiver: int
    connection: int
    message: Message | bytes


@dataclass(frozen=True, slots=True)
class Ring:
    """A timer; it counts if it was not set again."""

    node: int
    life: int
    name: str
    setting: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A node looks at its link to a peer."""

    node: int
    peer: int


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault begins or ends."""

    fault: int
    begins: bool


@dataclass(frozen=True, slots=True)
class Propose:
    errand: int


@dataclass(frozen=True, slots=True)
class Look:
    """A session goes on, if its parties reach each other."""

    session: bytes


@dataclass(frozen=True, slots=True)
class Watch:
    """A session's parties look for one that is gone."""

    session: bytes


Action: TypeAlias = Start | Happen | Deliver | Ring | Notice | Strike | Propose | Look | Watch


@dataclass(slots=True)
class World:
    """Made by `make_world`; `step` takes one action."""

    plan: Plan
    links: Links
    nodes: list[Inhabitant]
    cards: list[tuple[bytes, ...]]
    schedule: Schedule[Action]
    chance: Chance
    checkers: Checkers = field(default_factory=Checkers)
    spread: Spread = field(default_factory=Spread)
    attempts: dict[bytes, Attempt] = field(default_factory=dict)
    gone_us: dict[tuple[bytes, str, str], int] = field(default_factory=dict)
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)  # faults, by kind
    trace: Any = field(default_factory=hashlib.sha256)
    places: dict[str, int] = field(default_factory=dict)

    # ---- time ----

    def step(self) -> None:
        """One action. Raises Violation."""
        action = self.schedule.take()
        self.steps += 1
        self.counts[type(action).__name__] += 1
        ACTIONS[type(action)](self, action)

    @property
    def now_ms(self) -> int:
        return UNIX_MS + self.schedule.now_us // 1000

    # ---- nodes ----

    def start(self, action: Start) -> None:
        if self.nodes[action.node].life == 0:
            self.found(self.nodes[action.node])

    def found(self, node: Inhabitant) -> None:
        node.begin()
        self.links.alive[node.index] = True
        self.happen(node, Founded("simulated", self.cards[node.network]))
        self.offer_data(node)
        self.relink(self.links.of_node(node.index))

    def offer_data(self, node: Inhabitant) -> None:
        """Its owner offers the data set, again if the process had died before it was on record."""
        described = dictionary()
        if node.core is not None and described.name not in node.core.commitments:
            self.happen(node, DatasetAdded(described, digest("p2pmpc/simulated/1", node.card)))

    def on_happen(self, action: Happen) -> None:
        node = self.nodes[action.node]
        if node.life == action.life:
            self.happen(node, action.event)

    def happen(self, node: Inhabitant, event: Event) -> bool:
        """One event through a core; whether it was taken."""
        if node.core is None:
            return False
        self.counts["events"] += 1
        try:
            effects = node.core.handle(self.now_ms, event)
        except P2pmpcError as fault:
            self.refused(node, node.core, event, fault)
            return False
        except Exception as fault:
            raise Violation(
                "the_core_never_fails",
                f"{node.name} on {type(event).__name__}: {type(fault).__name__}: {fault}",
            ) from fault
        self.checkers.counts["the_core_never_fails"] += 1
        self.carry_out(node, type(event).__name__, effects)
        return True

    def refused(self, node: Inhabitant, core: Core, event: Event, fault: P2pmpcError) -> None:
        """As in production: a refusal is nothing, unless core and disk have come apart."""
        self.counts[f"refused {type(event).__name__} ({fault.code})"] += 1
        self.note(node, f"refused {fault.code}", (), ())
        if core.appends:
            raise Violation("the_core_never_fails", f"{node.name}: {fault.message}") from fault

    def carry_out(self, node: Inhabitant, label: str, effects: Sequence[Effect]) -> None:
        batch = [pair for e in effects if isinstance(e, Append) for pair in e.entries]
        if batch and node.armed == "before the store":
            self.die(node, node.armed)
            return
        stored = self.append(node, batch) if batch else ()
        dies = bool(batch) and node.armed == "after the store"
        follows = () if dies else tuple(e for e in effects if not isinstance(e, Append))
        self.note(node, label, stored, follows)
        self.checkers.look(Step(node.name, node.network, node.store, follows, stored))
        if dies:
            self.die(node, node.armed)
            return
        wire: dict[int, tuple[Message | bytes, int]] = {}
        for effect in follows:
            if isinstance(effect, Send):
                self.send(node, effect, wire)
            else:
                act = EFFECTS.get(type(effect))
                if act is not None:
                    act(self, node, effect)

    def append(self, node: Inhabitant, batch: Sequence[Any]) -> tuple[Volume, ...]:
        try:
            node.store.append(batch)
        except P2pmpcError as fault:
            raise Violation("the_core_never_fails", f"{node.name}: {fault.message}") from fault
        members = len(self.plan.networks[node.network])
        found = tuple(node.store.volume(signed) for signed, _ in batch)
        for one in found:
            self.spread.stored(
                one.hash,
                one.entry.author,
                one.entry.kind,
                node.index,
                members,
                self.schedule.now_us,
            )
        return found

    def note(
        self, node: Inhabitant, label: str, stored: Sequence[Volume], effects: Sequence[Effect]
    ) -> None:
        """Into the trace: when, who, what, what it stored and what it will do."""
        kinds = ",".join(type(effect).__name__ for effect in effects)
        line = f"{self.schedule.now_us} {node.index} {label} {kinds}\n"
        self.trace.update(line.encode() + b"".join(one.hash for one in stored))

    def set_timer(self, node: Inhabitant, effect: SetTimer) -> None:
        setting = node.timers[effect.name] = self.schedule.pushed
        wait_us = int(effect.after_s * 1_000_000)
        self.schedule.after(wait_us, Ring(node.index, node.life, effect.name, setting))

    def ring(self, action: Ring) -> None:
        node = self.nodes[action.node]
        if node.life == action.life and node.timers.get(action.name) == action.setting:
            del node.timers[action.name]
            self.happen(node, TimerFired(action.name))

    # ---- links ----

    def relink(self, edges: Sequence[tuple[int, int]]) -> None:
        """Links that changed are noticed by both ends, each in its own time."""
        for first, second in self.links.refresh(edges):
            up = self.links.between(first, second).up
            for node, peer in ((first, second), (second, first)):
                wait = self.chance.between(*(NOTICE_UP_US if up else NOTICE_DOWN_US))
                self.schedule.after(int(wait), Notice(node, peer))

    def notice(self, action: Notice) -> None:
        """A connection that has gone is lost before another is made, as on a real link."""
        node, link = self.nodes[action.node], self.links.between(action.node, action.peer)
        peer = self.nodes[action.peer].name
        known = node.sees.get(action.peer)
        if known is not None and not (link.up and known == link.connection):
            del node.sees[action.peer]
            self.happen(node, LinkLost(peer, "the connection broke"))
        if link.up and action.peer not in node.sees and node.core is not None:
            node.sees[action.peer] = link.connection
            self.happen(node, LinkMade(peer))

    def send(
        self, node: Inhabitant, effect: Send, wire: dict[int, tuple[Message | bytes, int]]
    ) -> None:
        """`wire` keeps what this step has encoded: one message often goes to several peers."""
        receiver = self.places[effect.peer]
        if id(effect.message) not in wire:
            wire[id(effect.message)] = self.on_wire(effect.message)
        message, size = wire[id(effect.message)]
        node.bytes_sent += size
        self.counts[f"sent {type(effect.message).__name__}"] += 1
        connection = node.sees.get(receiver)
        if connection is None or not self.links.alive[node.index]:
            self.counts["lost"] += 1
            return
        link = self.links.between(node.index, receiver)
        wait = self.links.travel_us(link, size)
        if wait is None or not link.up or link.connection != connection:
            self.counts["lost"] += 1
            return
        self.schedule.after(wait, Deliver(node.index, receiver, connection, message))

    def on_wire(self, message: Message) -> tuple[Message | bytes, int]:
        if self.plan.nodes > EXACT_NODES_MAX:
            return message, weigh(message)
        data = encode_message(message)
        return data, len(data) + HEADER_BYTES

    def deliver(self, action: Deliver) -> None:
        link = self.links.between(action.sender, action.receiver)
        node = self.nodes[action.receiver]
        if not link.up or link.connection != action.connection:
            self.counts["lost"] += 1
            return
        sender = self.nodes[action.sender].name
        if node.sees.get(action.sender) != action.connection:
            self.notice(Notice(action.receiver, action.sender))  # hearing is noticing
        message = action.message
        if isinstance(message, bytes):
            message = decode_message(message, sender)
        self.happen(node, Received(sender, message))

    # ---- faults ----

    def strike(self, action: Strike) -> None:
        fault = self.plan.faults[action.fault]
        if action.begins:
            self.happened[fault.kind] += 1
        if fault.kind == "crash":
            self.crash(self.nodes[fault.nodes[0]], fault.point, action.begins)
            return
        edges = self.links.work(fault, action.begins)
        self.relink(edges)

    def crash(self, node: Inhabitant, point: str, begins: bool) -> None:
        if not begins:
            node.armed = ""
            if node.life and not self.links.alive[node.index]:
                self.begin_again(node)
        elif node.core is not None and point == "at rest":
            self.die(node, point)
        else:
            node.armed = point

    def die(self, node: Inhabitant, point: str) -> None:
        self.happened[f"death {point}"] += 1
        self.trace.update(f"{self.schedule.now_us} {node.index} dies\n".encode())
        node.end()
        self.links.alive[node.index] = False
        self.relink(self.links.of_node(node.index))

    def begin_again(self, node: Inhabitant) -> None:
        self.links.alive[node.index] = True
        if node.store.length(node.name):
            self.carry_out(node, "restart", node.begin_again(self.now_ms))
        else:
            self.found(node)
        self.offer_data(node)
        self.relink(self.links.of_node(node.index))

    # ---- studies and sessions ----

    def propose(self, action: Propose) -> None:
        """Hand a study in; a researcher whose node is away, or died of it, comes again."""
        errand = self.plan.errands[action.errand]
        node = self.nodes[errand.node]
        core = node.core
        if core is None or core.feeds.roster is None:
            self.schedule.after(AGAIN_US, action)
            return
        if errand.study.id in core.cases:
            return
        signature = node.signer.sign(core.feeds.roster.network, "study", errand.study.hash)
        self.happen(node, Proposed(errand.study.to_bytes(), node.signer.public, signature))
        self.schedule.after(AGAIN_US, action)

    def start_session(self, node: Inhabitant, effect: StartSession) -> None:
        order = effect.order
        attempt = self.attempts.get(order.session)
        if attempt is None:
            errand = self.errand_of(order.study)
            attempt = self.attempts[order.session] = Attempt(
                order, errand.compute_us, errand.passes
            )
            self.schedule.after(WATCH_US, Watch(order.session))
        attempt.seats[node.name] = Seat(node.index, node.life, self.schedule.now_us)
        if attempt.complete:
            self.schedule.after(attempt.compute_us, Look(order.session))

    def errand_of(self, study: str) -> Errand:
        return next(one for one in self.plan.errands if one.study.id == study)

    def resume(self, node: Inhabitant, effect: ResumeSession) -> None:
        attempt = self.attempts[effect.session]
        seat = attempt.seats[node.name]
        if seat.life != node.life or seat.stage not in {"checking", "sealing"}:
            return
        seat.stage = "certified" if effect.certificate else "checked"
        if attempt.all_at(seat.stage):
            self.look_later(effect.session)

    def look_later(self, session: bytes) -> None:
        self.schedule.after(int(self.chance.between(*SESSION_US)), Look(session))

    def look(self, action: Look) -> None:
        """The parties' next stage together, once all live and reach each other."""
        attempt = self.attempts[action.session]
        stages = {seat.stage for seat in attempt.seats.values()}
        if len(stages) != 1 or not stages <= {"computing", "checked", "certified"}:
            return
        if not self.present(attempt):
            self.schedule.after(LOOK_US, action)
            return
        if stages == {"certified"}:
            self.open(attempt)
            return
        kind, stage = ("checked", "checking") if stages == {"computing"} else ("release", "sealing")
        attempt.advance(stage)
        self.tell(attempt, lambda _: SessionPaused(action.session, kind, facts_of(attempt, kind)))

    def present(self, attempt: Attempt) -> bool:
        """Every party's process still lives, and all reach each other."""
        seats = attempt.seats.values()
        same = all(self.nodes[seat.node].life == seat.life for seat in seats)
        return same and self.links.joined(seat.node for seat in seats)

    def open(self, attempt: Attempt) -> None:
        """All shares of the answer have left: whoever may read it can."""
        session = attempt.order.session
        if attempt.passes:
            self.checkers.opened(session)
        attempt.advance("ended")
        answer = digest("p2pmpc/simulated-answer/1", session)

        def ended(party: str) -> Event:
            reads = attempt.passes and party in attempt.order.recipients
            return SessionEnded(session, answer if reads else b"", attempt.passes)

        self.tell(attempt, ended)

    def tell(self, attempt: Attempt, event: Callable[[str], Event]) -> None:
        for party, seat in sorted(attempt.seats.items()):
            wait = int(self.chance.between(*SESSION_US))
            self.schedule.after(wait, Happen(seat.node, seat.life, event(party)))

    def stop_session(self, node: Inhabitant, effect: StopSession) -> None:
        attempt = self.attempts.get(effect.session)
        if attempt is not None and node.name in attempt.seats:
            attempt.seats[node.name].stage = "stopped"

    def watch(self, action: Watch) -> None:
        """Whoever is gone for too long is named; parties that have ended are not waited for."""
        attempt = self.attempts[action.session]
        waiting = [
            (party, seat)
            for party, seat in sorted(attempt.seats.items())
            if seat.stage not in {"ended", "stopped"} and self.nodes[seat.node].life == seat.life
        ]
        for party, seat in waiting:
            self.judge(attempt, party, seat)
        if waiting:
            self.schedule.after(WATCH_US, action)

    def judge(self, attempt: Attempt, party: str, seat: Seat) -> None:
        node = self.nodes[seat.node]
        for peer in attempt.order.parties:
            key = (attempt.order.session, party, peer)
            why, limit_s = self.absence(attempt, node, peer)
            if not why:
                self.gone_us.pop(key, None)
                continue
            since = self.gone_us.setdefault(key, self.schedule.now_us)
            if self.schedule.now_us - since >= limit_s * 1_000_000:
                stopped = SessionStopped(attempt.order.session, 402, f"{peer}: {why}", peer, "")
                self.happen(node, stopped)
                return

    def absence(self, attempt: Attempt, node: Inhabitant, peer: str) -> tuple[str, float]:
        """Why a party cannot be waited for much longer, and how long it is; empty if it is here."""
        if peer == node.name:
            return "", 0.0
        place, seat = self.places[peer], attempt.seats.get(peer)
        gone = seat is not None and (seat.stage == "stopped" or self.nodes[place].life != seat.life)
        if gone:
            return "its run is over", node.settings.refused_grace_s
        if seat is None or not self.links.joined((node.index, place)):
            return "it was not heard", node.settings.link_grace_s
        return "", 0.0

    # ---- the end ----

    @property
    def finished(self) -> bool:
        return (
            self.spread.missing == 0
            and all(self.links.alive)
            and all(not self.unfinished(errand) for errand in self.plan.errands)
        )

    def unfinished(self, errand: Errand) -> list[str]:
        """The parties at which this study has not come to an end."""
        found = []
        for party in errand.study.parties:
            core = self.nodes[self.places[party]].core
            case = core.cases.get(errand.study.id) if core is not None else None
            if case is None or not case.final:
                found.append(party)
        return found


ACTIONS: Mapping[type, Callable[[World, Any], None]] = {
    Start: World.start,
    Happen: World.on_happen,
    Deliver: World.deliver,
    Ring: World.ring,
    Notice: World.notice,
    Strike: World.strike,
    Propose: World.propose,
    Look: World.look,
    Watch: World.watch,
}

EFFECTS: Mapping[type, Callable[[World, Inhabitant, Any], None]] = {
    SetTimer: World.set_timer,
    StartSession: World.start_session,
    ResumeSession: World.resume,
    StopSession: World.stop_session,
}


def make_world(plan: Plan) -> World:
    """Everything in its place at time zero, nothing started."""
    chance, reading = Chance(plan.seed, "world"), SharedReading(Library())
    nodes = [
        settle(
            node, member_name(node), place, draw_policy(chance.fork(f"policy {node}")), reading,
            chance.fork(f"node {node}"),
        )
        for place, inside in enumerate(plan.networks)
        for node in inside
    ]  # fmt: skip
    cards = [tuple(nodes[node].card for node in inside) for inside in plan.networks]
    links = Links.of(plan.graph, chance.fork("links"))
    links.alive = [False] * plan.nodes
    schedule: Schedule[Action] = Schedule(chance.fork("ties"))
    world = World(plan, links, nodes, cards, schedule, chance.fork("steps"))
    world.places = {node.name: node.index for node in nodes}
    for node in nodes:
        schedule.at(int(chance.between(0, START_US)), Start(node.index))
    for number, errand in enumerate(plan.errands):
        schedule.at(errand.at_us, Propose(number))
    for number, fault in enumerate(plan.faults):
        schedule.at(fault.begin_us, Strike(number, True))
        schedule.at(fault.end_us, Strike(number, False))
    return world


def draw_policy(chance: Chance) -> Policy:
    """A rehearsal's policy, or one that refuses every study."""
    import msgspec

    if not chance.happens(REFUSES):
        return REHEARSAL
    return Policy(msgspec.structs.replace(REHEARSAL.default, decide="refuse"), ())
