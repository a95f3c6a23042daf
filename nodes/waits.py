"""Who is waited for: named to people, and ended when a peer's time is up.

Before its session a study may wait for days for a member's consent: whose node is away is said, and
ends nothing; the same while it waits for a place or rests between two attempts. Once this member is
ready, and while a session runs, an unreachable peer has `link_grace_s` and one whose port refuses
has `refused_grace_s`; a run has its deadline as a whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from nodes.core.effects import Event, Gone, SessionStopped
from nodes.core.node import Core
from nodes.people.stories import Stories
from nodes.runs import Running
from nodes.transport.transport import Transport
from p2pmpc.errors import MemberMissing
from p2pmpc.settings import Settings

__all__ = ["Waits"]

WATCH_EVERY_S = 0.25  # how often waits are looked at; far below every limit on waiting
NAME_AFTER_S = 2.0  # who is waited for is said once a wait is longer than a hiccup


@dataclass(slots=True, repr=False)
class Waits:
    """Owned by the shell."""

    name: str
    core: Core
    transport: Transport
    settings: Settings
    stories: Stories
    clock: Callable[[], float]
    take_safely: Callable[[Event], None]
    named: dict[tuple[str, str], float] = field(default_factory=dict)  # (study, peer) -> last said

    async def watch(self, running: Running) -> None:
        """Name who a session waits for; end the attempt when a peer's time is up."""
        order = running.attempt.brief.order
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for peer in self.waited_for(running):
                self._judge(order.study, order.session, peer)
            if self.clock() - running.started > self.settings.attempt_deadline_s:
                late = self.waited_for(running)
                self._overdue(running, late[0] if late else "", "the attempt's deadline has passed")

    def waited_for(self, running: Running) -> tuple[str, ...]:
        """The members whose mail or signature this run needs next."""
        if running.resume is not None:
            case = self.core.cases[running.attempt.brief.order.study]
            return tuple(p for p in case.study.parties if p not in case.releases)
        posting = running.attempt.posting
        return (posting,) if posting else running.attempt.missing

    async def watch_open(self) -> None:
        """The same for studies that wait for members before their session."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            for study in sorted(self.core.places.open):
                case = self.core.cases[study]
                if case.session:
                    continue
                done = case.consents if case.state == "proposed" else case.readies
                for peer in sorted(set(case.study.parties) - set(done) - {self.name}):
                    self._judge(study, b"", peer)

    def _judge(self, study: str, session: bytes, peer: str) -> None:
        """Say that a peer is away, or end what waits for it when its time is up."""
        if peer == self.name:
            return
        link = self.transport.link_state(peer)
        if link.up:
            self.named.pop((study, peer), None)
            return
        down_s = self.clock() - link.since
        where = f"at {self.transport.address_of(peer)}"
        if self.core.cases[study].state in {"proposed", "agreed"}:
            if (study, peer) not in self.named:
                self._say(study, peer, down_s, f"{where} ({link.reason})")
            return
        limit_s = self.settings.refused_grace_s if link.refused else self.settings.link_grace_s
        if down_s > limit_s:
            why = f"{peer}: not heard for {down_s:.0f} s {where}: {link.reason}"
            gone = Gone(study, peer, why)
            self.take_safely(_missing(session, why, peer) if session else gone)
        elif self.clock() - self._said(study, peer) > self.settings.progress_s:
            self._say(
                study, peer, down_s, f"{where} ({link.reason}); {limit_s - down_s:.0f} s left"
            )

    def _say(self, study: str, peer: str, down_s: float, what: str) -> None:
        if down_s > NAME_AFTER_S:
            self.named[study, peer] = self.clock()
            self.stories.tell(study, "waiting", peer, f"waiting for {peer} {what}", None)

    def _said(self, study: str, peer: str) -> float:
        return self.named.get((study, peer), float("-inf"))

    def _overdue(self, running: Running, peer: str, why: str) -> None:
        session = running.attempt.brief.order.session
        self.take_safely(_missing(session, f"{peer}: {why}" if peer else why, peer))


def _missing(session: bytes, why: str, peer: str) -> SessionStopped:
    return SessionStopped(session, MemberMissing.code, why, peer, "")
