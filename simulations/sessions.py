"""Sessions at shape fidelity: who waits for whom and in which order, without the arithmetic.

What a real session says to its core, a simulated one says too: it pauses for `checked`, pauses for
`release`, ends, or stops and names who was waited for. Between these it takes a time drawn from the
world's chance, and goes on only while its parties live and reach each other. No share exists; the
commitments that are signed are hashes of session and party.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from nodes.core.effects import (
    Event,
    ResumeSession,
    SessionEnded,
    SessionOrder,
    SessionPaused,
    SessionStopped,
    StartSession,
    StopSession,
)
from p2pmpc.codec import digest
from simulations.actions import Happen, Look, Watch

if TYPE_CHECKING:
    from simulations.inhabitant import Inhabitant
    from simulations.world import World

__all__ = ["Attempt", "Seat", "facts_of", "look", "resume", "start", "stop", "watch"]

LAYOUT = (("n", 1),)  # one unit with one cell: a count
STAGE_US = (5_000, 200_000)  # from one stage of a session to its next
LOOK_US = 1_000_000  # a session that waits for a link looks again
WATCH_US = 5_000_000


@dataclass(slots=True)
class Seat:
    """One party's session: the life of its process, and how far it is."""

    node: int
    life: int
    stage: str = "computing"  # checking checked sealing certified ended stopped


@dataclass(slots=True)
class Attempt:
    """One session at all its parties. `gone_us` is since when a party misses a peer."""

    order: SessionOrder
    compute_us: int
    passes: bool
    seats: dict[str, Seat] = field(default_factory=dict)
    gone_us: dict[tuple[str, str], int] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every party's session has started."""
        return set(self.seats) == set(self.order.parties)

    def all_at(self, stage: str) -> bool:
        return self.complete and all(seat.stage == stage for seat in self.seats.values())

    def advance(self, stage: str) -> None:
        for seat in self.seats.values():
            seat.stage = stage


def facts_of(attempt: Attempt, kind: str) -> dict[str, Any]:
    """What every honest party's session says of itself when it pauses."""
    order = attempt.order
    transcript = digest("p2pmpc/simulated-transcript/1", order.session)
    if kind == "checked":
        return {"transcript": transcript}
    commitments = {
        party: digest("p2pmpc/simulated-commitment/1", order.session, party.encode())
        for party in order.parties
    }
    return {
        "transcript": transcript,
        "layout": LAYOUT,
        "verdicts": (attempt.passes,),
        "commitments": commitments,
    }


# ---- what a core asks of its sessions ------------------------------------------------------------


def start(world: World, node: Inhabitant, effect: StartSession) -> None:
    """This party's session begins; it computes once every party's has."""
    order = effect.order
    attempt = world.attempts.get(order.session)
    if attempt is None:
        errand = world.errand_of(order.study)
        attempt = Attempt(order, errand.compute_us, errand.passes)
        world.attempts[order.session] = attempt
        world.schedule.after(WATCH_US, Watch(order.session))
    attempt.seats[node.name] = Seat(node.index, node.life)
    if attempt.complete:
        world.schedule.after(attempt.compute_us, Look(order.session))


def resume(world: World, node: Inhabitant, effect: ResumeSession) -> None:
    """What the session paused for is on record; with the last party's it goes on."""
    attempt = world.attempts[effect.session]
    seat = attempt.seats[node.name]
    if seat.life != node.life or seat.stage not in {"checking", "sealing"}:
        return
    seat.stage = "certified" if effect.certificate else "checked"
    if attempt.all_at(seat.stage):
        world.schedule.after(_stage_us(world), Look(effect.session))


def stop(world: World, node: Inhabitant, effect: StopSession) -> None:
    """This party's session is over."""
    attempt = world.attempts.get(effect.session)
    if attempt is not None and node.name in attempt.seats:
        attempt.seats[node.name].stage = "stopped"


# ---- how a session goes on -----------------------------------------------------------------------


def look(world: World, action: Look) -> None:
    """The parties' next stage together, once all live and reach each other."""
    attempt = world.attempts[action.session]
    stages = {seat.stage for seat in attempt.seats.values()}
    if len(stages) != 1 or not stages <= {"computing", "checked", "certified"}:
        return
    if not _present(world, attempt):
        world.schedule.after(LOOK_US, action)
        return
    if stages == {"certified"}:
        _open(world, attempt)
        return
    kind, stage = ("checked", "checking") if stages == {"computing"} else ("release", "sealing")
    attempt.advance(stage)
    _tell(world, attempt, lambda _: SessionPaused(action.session, kind, facts_of(attempt, kind)))


def _present(world: World, attempt: Attempt) -> bool:
    """Every party's process still lives, and all reach each other."""
    seats = attempt.seats.values()
    same = all(world.nodes[seat.node].life == seat.life for seat in seats)
    return same and world.links.joined(seat.node for seat in seats)


def _open(world: World, attempt: Attempt) -> None:
    """All shares of the answer have left: whoever may read it can."""
    session = attempt.order.session
    if attempt.passes:
        world.checkers.opened(session)
    attempt.advance("ended")
    answer = digest("p2pmpc/simulated-answer/1", session)

    def ended(party: str) -> Event:
        reads = attempt.passes and party in attempt.order.recipients
        return SessionEnded(session, answer if reads else b"", attempt.passes)

    _tell(world, attempt, ended)


def _tell(world: World, attempt: Attempt, event: Callable[[str], Event]) -> None:
    for party, seat in sorted(attempt.seats.items()):
        world.schedule.after(_stage_us(world), Happen(seat.node, seat.life, event(party)))


def _stage_us(world: World) -> int:
    return int(world.chance.between(*STAGE_US))


# ---- who is waited for ---------------------------------------------------------------------------


def watch(world: World, action: Watch) -> None:
    """Whoever is gone for too long is named; parties that have ended are not waited for."""
    attempt = world.attempts[action.session]
    waiting = [
        (party, seat)
        for party, seat in sorted(attempt.seats.items())
        if seat.stage not in {"ended", "stopped"} and world.nodes[seat.node].life == seat.life
    ]
    for party, seat in waiting:
        _judge(world, attempt, party, seat)
    if waiting:
        world.schedule.after(WATCH_US, action)


def _judge(world: World, attempt: Attempt, party: str, seat: Seat) -> None:
    node, now_us = world.nodes[seat.node], world.schedule.now_us
    for peer in attempt.order.parties:
        why, limit_s = _absence(world, attempt, node, peer)
        if not why:
            attempt.gone_us.pop((party, peer), None)
            continue
        since = attempt.gone_us.setdefault((party, peer), now_us)
        if now_us - since >= limit_s * 1_000_000:
            stopped = SessionStopped(attempt.order.session, 402, f"{peer}: {why}", peer, "")
            world.happen(node, stopped)
            return


def _absence(world: World, attempt: Attempt, node: Inhabitant, peer: str) -> tuple[str, float]:
    """Why a party cannot be waited for much longer, and how long it is; empty if it is here."""
    if peer == node.name:
        return "", 0.0
    place, seat = world.places[peer], attempt.seats.get(peer)
    gone = seat is not None and (seat.stage == "stopped" or world.nodes[place].life != seat.life)
    if gone:
        return "its run is over", node.settings.refused_grace_s
    if seat is None or not world.links.joined((node.index, place)):
        return "it was not heard", node.settings.link_grace_s
    return "", 0.0
