"""The sessions that run on this machine: started, paused for the record, ended, and their cost."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from nodes.core.effects import (
    Event,
    ResumeSession,
    SessionEnded,
    SessionPaused,
    SessionStopped,
    StopSession,
)
from nodes.core.node import Core
from nodes.engine.engine import Attempt, Engine
from nodes.processes import give_back_memory
from nodes.session.driver import Post
from nodes.session.session import Brief
from nodes.store.outcomes import Outcomes
from nodes.transport.transport import Transport
from p2pmpc.errors import (
    Aborted,
    MemberMisbehaved,
    MemberMissing,
    MemberSuspected,
    P2pmpcError,
    StoreFailed,
)
from p2pmpc.messages import End
from protocols.abort import Abort, Misbehaved, Missing, Suspected
from protocols.party import Pause

__all__ = ["BROKEN_MAX", "Running", "Runs", "explain_fault"]

BROKEN_MAX = 3  # links that a peer may break by a wrong message during one run


@dataclass(slots=True, repr=False)
class Running:
    """A session on this machine. `resume` is set while it pauses for the record."""

    attempt: Attempt
    task: asyncio.Task[None] | None = None
    resume: asyncio.Future[ResumeSession] | None = None
    started: float = 0.0
    broken: Counter[str] = field(default_factory=Counter)  # peer -> links broken by its messages


@dataclass(slots=True, repr=False)
class Runs:
    """Owned by the shell. `take` brings an event to the core; `chore` keeps a task until done.

    watch  names who a running session waits for, until it is cancelled
    """

    name: str
    core: Core
    engine: Engine
    transport: Transport
    clock: Callable[[], float]
    take: Callable[[Event], None]
    take_safely: Callable[[Event], None]
    chore: Callable[[Coroutine[Any, Any, None]], None]
    watch: Callable[[Running], Coroutine[Any, Any, None]]
    failed: Callable[[], bool]
    fail: Callable[[P2pmpcError], None]
    outcomes: Outcomes
    log: Any
    running: dict[bytes, Running] = field(default_factory=dict)
    last_s: float = 0.0  # what the last run took that ended here

    # ---- one run ----

    def start(self, brief: Brief) -> None:
        """Run the session of this brief as a task of its own."""
        session = brief.order.session
        running = Running(
            self.engine.start_session(brief, self._poster(session)), started=self.clock()
        )
        self.running[session] = running
        peers = tuple(p for p in brief.order.parties if p != self.name)
        self.transport.open_session(session, peers)
        running.task = asyncio.get_running_loop().create_task(self._run(running))

    def _poster(self, session: bytes) -> Post:
        async def post(peer: str, name: str, data: bytes) -> None:
            await self.transport.post(session, peer, name, data)

        return post

    async def _run(self, running: Running) -> None:
        order = running.attempt.brief.order
        watch = asyncio.get_running_loop().create_task(self.watch(running))
        try:
            outcome = await running.attempt.run(lambda pause: self._pause(running, pause))
            self.outcomes.keep(order.study, outcome)  # on disk before the record says so
            self.take(SessionEnded(order.session, outcome.answer_hash, outcome.released))
            if self.core.cases[order.study].state not in {"answered", "withheld"}:
                self.outcomes.forget(order.study)
        except StoreFailed as fault:
            self.fail(fault)  # an answer that cannot be kept: no later entry may hide that
        except (Abort, P2pmpcError) as fault:
            self._ended_early(order.session, fault)
        except Exception:
            self.log.exception("session fault")
            self._ended_early(order.session, P2pmpcError("an internal fault ended the run"))
        finally:
            watch.cancel()
            for batch in running.attempt.brief.held:  # also where its protocol never began
                batch.burn()
            self._count_cost(running)
            await self.transport.close_session(order.session)
            self.running.pop(order.session, None)
            if not self.running:
                give_back_memory()

    def _ended_early(self, session: bytes, fault: Abort | P2pmpcError) -> None:
        if self.failed():
            return
        code, why, who = explain_fault(fault)
        self.take_safely(SessionStopped(session, code, why, who, ""))

    async def _pause(self, running: Running, pause: Pause) -> ResumeSession:
        running.resume = asyncio.get_running_loop().create_future()
        session = running.attempt.brief.order.session
        self.take(SessionPaused(session, pause.kind, pause.facts))
        try:
            return await running.resume
        finally:
            running.resume = None

    def _count_cost(self, running: Running) -> None:
        self.last_s = self.clock() - running.started
        if self.failed():
            return
        order = running.attempt.brief.order
        cost = {
            "seconds": round(self.last_s, 4),
            "rounds": running.attempt.rounds,
            "bytes_sent": self.transport.session_traffic(order.session).sent,
            "peak_memory": self.engine.peak_memory(),
        }
        with contextlib.suppress(StoreFailed):  # the next entry meets the same disk
            self.outcomes.keep_cost(order.study, cost)

    # ---- what the core says to it ----

    def resume(self, effect: ResumeSession) -> None:
        """The fact that this session waits for is on disk."""
        running = self.running.get(effect.session)
        if running is not None and running.resume is not None and not running.resume.done():
            running.resume.set_result(effect)

    def stop(self, effect: StopSession) -> None:
        """End a session by the reason that is on record."""
        running = self.running.get(effect.session)
        if running is not None:
            fault = Aborted(effect.why, member=effect.waited_for or None)
            self.halt(effect.session, running, fault)

    def halt(self, session: bytes, running: Running, fault: P2pmpcError) -> None:
        """End a run wherever it waits: for mail, for the record, or for a peer to take its mail."""
        running.attempt.stop(fault)
        if running.resume is not None and not running.resume.done():
            running.resume.set_exception(fault)
        self.chore(self.transport.close_session(session))

    def halt_all(self, fault: P2pmpcError) -> None:
        """This node cannot go on: end every run, and tell its peers by an unsigned message."""
        text = f"{self.name} stopped: error {fault.code} on its own machine"
        for session, running in list(self.running.items()):
            for peer in running.attempt.brief.order.peer_keys:
                self.transport.send(peer, End(session, Aborted.code, text, self.name))
            self.halt(session, running, fault)

    # ---- what the links say to it ----

    def hear(self, session: bytes, peer: str, name: str, data: bytes) -> None:
        """Mail of a session; of one that is over it means nothing."""
        if session in self.running:
            self.running[session].attempt.hear(peer, name, data)

    def lose(self, session: bytes, peer: str) -> None:
        """The peer's process knows nothing of a session that runs here."""
        if session in self.running:
            text = f"{peer} no longer knows this run: its process was started again"
            self.take_safely(SessionStopped(session, MemberMissing.code, text, peer, ""))

    def count_broken(self, peer: str, reason: str) -> None:
        """A peer that breaks link after link by wrong messages would hold its runs up for ever."""
        for session, running in list(self.running.items()):
            running.broken[peer] += 1
            if running.broken[peer] >= BROKEN_MAX:
                self.suspect(session, peer, reason)

    def suspect(self, session: bytes, peer: str, reason: str) -> None:
        """A party sent what the wire format does not allow."""
        running = self.running.get(session)
        if running is not None and peer in running.attempt.brief.order.peer_keys:
            text = f"{peer} sent what the wire format does not allow: {reason}"
            self.take_safely(SessionStopped(session, MemberSuspected.code, text, peer, ""))


def explain_fault(fault: Abort | P2pmpcError) -> tuple[int, str, str]:
    """An error code, a sentence and a member's name for what ended a run."""
    if isinstance(fault, Abort):
        return ABORTS.get(type(fault), Aborted).code, str(fault), fault.party
    return fault.code, fault.message, str(fault.where.get("member", ""))


ABORTS: Mapping[type[Abort], type[Aborted]] = {
    Missing: MemberMissing,
    Misbehaved: MemberMisbehaved,
    Suspected: MemberSuspected,
}
