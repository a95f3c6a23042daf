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
from typing import Any

from nodes.core.effects import (
    Append,
    DatasetAdded,
    Effect,
    Emit,
    Event,
    Founded,
    LinkLost,
    LinkMade,
    Received,
    Remember,
    ResumeSession,
    Send,
    SetTimer,
    StartSession,
    StopSession,
    TimerFired,
)
from nodes.core.node import Core
from nodes.store.roster import recall_roster
from p2pmpc.codec import digest
from p2pmpc.errors import P2pmpcError
from p2pmpc.messages import Address, Message, decode_message, encode_message
from simulations import dialling, liars, people, sessions
from simulations.actions import (
    Action,
    Change,
    Decide,
    Deliver,
    Dial,
    Happen,
    Lie,
    Look,
    Notice,
    Propose,
    Ring,
    Start,
    Strike,
    Watch,
)
from simulations.chance import Chance
from simulations.checkers import Checkers, Step, Violation
from simulations.clock import Schedule
from simulations.errands import Errand, draw_policy
from simulations.inhabitant import Inhabitant, settle
from simulations.memory import Library, Volume
from simulations.network import HEADER_BYTES, Links, Weights
from simulations.plan import EXACT_NODES_MAX, Plan, dictionary, member_name
from simulations.reading import SharedReading
from simulations.spread import Spread

__all__ = ["World", "make_world"]

UNIX_MS = 1_800_000_000_000  # when a world begins; advisory, like every member's own clock
NOTICE_DOWN_US = (10_000, 5_000_000)  # a broken link is noticed by pings
START_US = 10_000_000  # nodes are started within this time


@dataclass(slots=True)
class World:
    """Made by `make_world`; `step` takes one action."""

    plan: Plan
    links: Links
    nodes: list[Inhabitant]
    cards: list[tuple[bytes, ...]]
    schedule: Schedule[Action]
    chance: Chance
    checkers: Checkers
    reading: SharedReading
    spread: Spread = field(default_factory=Spread)
    attempts: dict[bytes, sessions.Attempt] = field(default_factory=dict)
    steps: int = 0
    counts: Counter[str] = field(default_factory=Counter)
    happened: Counter[str] = field(default_factory=Counter)  # faults, by kind
    trace: Any = field(default_factory=hashlib.sha256)
    weights: Weights = field(default_factory=Weights)
    places: dict[str, int] = field(default_factory=dict)
    addresses: dict[str, int] = field(default_factory=dict)  # who listens where now
    errands: dict[str, Errand] = field(default_factory=dict)  # by study
    ends: dict[tuple[str, str], int] = field(default_factory=dict)  # (study, node) -> when
    forkers: set[int] = field(default_factory=set)  # liars that have signed a second history

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
        self.settle_in(node)

    def settle_in(self, node: Inhabitant) -> None:
        """A process that begins: where it listens, what data it has, whom it reaches."""
        dialling.listen(self, node)
        self.offer_data(node)
        self.relink(self.links.of_node(node.index))
        dialling.seek(self, node)

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
        if isinstance(event, Received) and isinstance(event.message, Address):
            self.checkers.heard(node.network, node.name, node.core.book, event.message)
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
        self.remember(node, effects)
        stored = self.append(node, batch) if batch else ()
        dies = bool(batch) and node.armed == "after the store"
        follows = () if dies else tuple(e for e in effects if not isinstance(e, Append | Remember))
        self.note(node, label, stored, follows)
        if node.core is not None:
            self.checkers.issues(node.network, node.name, node.core.book)
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

    def remember(self, node: Inhabitant, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Remember):
                node.store.remember(effect.key, effect.value)

    def append(self, node: Inhabitant, batch: Sequence[Any]) -> tuple[Volume, ...]:
        try:
            node.store.append(batch)
        except P2pmpcError as fault:
            raise Violation("the_core_never_fails", f"{node.name}: {fault.message}") from fault
        members = len(self.plan.honest(node.network))
        found = tuple(node.store.volume(signed) for signed, _ in batch)
        for one in found if node.index not in self.plan.liars else ():
            if self.places[one.entry.author] in self.plan.liars:
                continue
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
        """Both ends notice a link that broke, each in its own time, and dial through a free one."""
        for first, second in self.links.refresh(edges):
            free = self.links.between(first, second).free
            for node, peer in ((first, second), (second, first)):
                if free:
                    dialling.seek(self, self.nodes[node])
                else:
                    wait = self.chance.between(*NOTICE_DOWN_US)
                    self.schedule.after(int(wait), Notice(node, peer))

    def notice(self, action: Notice) -> None:
        """A connection that has gone is lost before another is made, as on a real link."""
        node, link = self.nodes[action.node], self.links.between(action.node, action.peer)
        peer = self.nodes[action.peer].name
        known = node.sees.get(action.peer)
        if known is not None and not (link.up and known == link.connection):
            del node.sees[action.peer]
            self.happen(node, LinkLost(peer, "the connection broke"))
            dialling.seek(self, node)
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
            return message, self.weights.of(message)
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
        """A dead node's process starts again, on its record if there is one."""
        if recall_roster(node.store) is None:
            self.found(node)
            return
        self.links.alive[node.index] = True
        self.carry_out(node, "restart", node.begin_again(self.now_ms))
        self.settle_in(node)

    def emitted(self, node: Inhabitant, effect: Emit) -> None:
        case = node.core.cases.get(effect.study) if node.core is not None else None
        if case is not None and case.final:
            self.ends.setdefault((effect.study, node.name), self.schedule.now_us)
        if effect.event == "asked":
            people.asked(self, node.name, effect.study)

    def errand_of(self, study: str) -> Errand:
        return self.errands[study]


ACTIONS: Mapping[type, Callable[[World, Any], None]] = {
    Start: World.start,
    Happen: World.on_happen,
    Deliver: World.deliver,
    Ring: World.ring,
    Dial: dialling.dial,
    Notice: World.notice,
    Strike: World.strike,
    Propose: people.propose,
    Decide: people.decide,
    Change: people.change,
    Lie: liars.lie,
    Look: sessions.look,
    Watch: sessions.watch,
}

EFFECTS: Mapping[type, Callable[[World, Inhabitant, Any], None]] = {
    SetTimer: World.set_timer,
    StartSession: sessions.start,
    ResumeSession: sessions.resume,
    StopSession: sessions.stop,
    Emit: World.emitted,
}


def make_world(plan: Plan) -> World:
    """Everything in its place at time zero, nothing started."""
    chance, reading = Chance(plan.seed, "world"), SharedReading(Library())
    nodes = _settled(plan, reading, chance)
    cards = [tuple(nodes[node].card for node in inside) for inside in plan.networks]
    links = Links.of(plan.graph, chance.fork("links"))
    links.alive = [False] * plan.nodes
    schedule: Schedule[Action] = Schedule(chance.fork("ties"))
    checkers = Checkers(frozenset(member_name(node) for node in plan.liars))
    world = World(plan, links, nodes, cards, schedule, chance.fork("steps"), checkers, reading)
    world.places = {node.name: node.index for node in nodes}
    world.errands = {errand.study.id: errand for errand in plan.errands}
    for node in nodes:
        schedule.at(int(chance.between(0, START_US)), Start(node.index))
    people.plan_errands(world)
    for number, fault in enumerate(plan.faults):
        schedule.at(fault.begin_us, Strike(number, True))
        schedule.at(fault.end_us, Strike(number, False))
    liars.plan_lies(world)
    return world


def _settled(plan: Plan, reading: SharedReading, chance: Chance) -> list[Inhabitant]:
    found = []
    for place, inside in enumerate(plan.networks):
        seeds = dialling.draw_seeds(plan.graph, inside, chance.fork(f"seeds {place}"))
        found += [
            settle(
                node,
                member_name(node),
                place,
                draw_policy(chance.fork(f"policy {node}")),
                reading,
                seeds[node],
                chance.fork(f"node {node}"),
            )
            for node in inside
        ]
    return found
