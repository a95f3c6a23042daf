"""A Session: one attempt in a process of its own, driven over a channel to the Gateway.

It is made warm and waits for its brief; it runs once and is ended by the node process. When the
channel ends, so does the run, whatever it was doing: masks are in this memory only and die with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nodes.core.effects import ResumeSession
from nodes.engine.cluster.channel import Channel, dial
from nodes.engine.cluster.dataset import answer_of
from nodes.engine.cluster.kernels import TaskExecutor
from nodes.engine.cluster.letters import (
    SESSION_FRAMES,
    Begin,
    Done,
    Failed,
    Hello,
    Mail,
    Paused,
    Post,
    Posted,
    Progress,
    Resumed,
    Stock,
    brief_of,
)
from nodes.engine.cluster.warmth import warm_up
from nodes.processes import keep_freed_memory, peak_memory
from nodes.session.inputs import Drawn, Share, join_shares
from nodes.session.session import Brief, Session
from p2pmpc.errors import LocalError, NotFound, P2pmpcError, Refused
from protocols.abort import Abort
from protocols.joint import JointInputs
from protocols.party import Pause

__all__ = ["AHEAD_BYTES_MAX", "Host", "Rows"]

THREADS = 4  # one steps the generator, the others run kernels
AHEAD_BYTES_MAX = 8 * 2**20  # posted and not yet taken on by the Gateway; the protocol waits then
TELL_EVERY_S = 0.2  # the shell looks at waits four times a second
FAREWELL_S = 10.0  # until the Gateway has read the last word and closed
DIAL_S = 120.0  # a Gateway that is started again takes a second or two


@dataclass(frozen=True, slots=True, repr=False)
class Rows:
    """This member's rows, wherever in the cluster they lie."""

    stocks: Mapping[str, Stock]
    threads: Executor

    async def gather(self, brief: Brief, drawn: Drawn) -> tuple[JointInputs, dict[str, int]]:
        """This party's inputs; linked alias -> rows that repeat a person.

        Raises NotFound, Refused where the rows are not those that this member was ready with.
        """
        for name, wanted in sorted(brief.commitments.items()):
            self._check(brief.me, name, wanted)
        own = {
            one.name: one.dataset for one in brief.resolved.study.data if brief.me in one.members
        }
        shares = {alias: await self._ask(brief, drawn, alias, own[alias]) for alias in sorted(own)}
        roots = {name: self.stocks[name].root for name in brief.commitments}
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, join_shares, brief.me, drawn.joint, shares, roots
        )

    def _check(self, me: str, name: str, wanted: bytes) -> None:
        if name not in self.stocks:
            raise NotFound(f"the data set {name!r} is not loaded here", member=me)
        if self.stocks[name].commitment != wanted:
            raise Refused(
                f"{me} has read the data set {name!r} anew since it was ready",
                member=me,
                next="Propose the study again: other rows need another consent.",
            )

    async def _ask(self, brief: Brief, drawn: Drawn, alias: str, name: str) -> list[Share]:
        import ray

        calls = [
            ray.get_actor(portion.actor).share.remote(
                portion, brief.me, alias, brief.resolved, drawn.joint
            )
            for portion in self.stocks[name].portions
        ]
        found: list[Any] = await asyncio.gather(*calls)
        return [answer_of(share) for share in found]


@dataclass(slots=True, repr=False)
class Run:
    """One attempt between its channel and its session."""

    channel: Channel
    session: Session
    ahead: int = 0
    room: asyncio.Event = field(default_factory=asyncio.Event)
    resumed: asyncio.Future[ResumeSession] | None = None

    async def play(self) -> None:
        """Until the session has ended or the channel has."""
        running = asyncio.create_task(self._run())
        telling = asyncio.create_task(self._tell())
        hearing = asyncio.create_task(self._hear())
        await asyncio.wait({running, hearing, telling}, return_when=asyncio.FIRST_COMPLETED)
        for task in (hearing, telling):
            if task.done() and (fault := task.exception()) is not None:
                self.channel.send(Failed.of(shown(fault)))
        for task in (running, telling):
            task.cancel()
        self.channel.finish()
        await asyncio.wait({hearing}, timeout=FAREWELL_S)
        hearing.cancel()
        await asyncio.gather(running, telling, hearing, return_exceptions=True)
        self.channel.close()

    async def _run(self) -> None:
        try:
            outcome = await self.session.run(self._pause)
            self._progress()
            self.channel.send(Done.of(outcome))
        except Exception as fault:  # noqa: BLE001  handed on
            self.channel.send(Failed.of(shown(fault)))

    async def _pause(self, step: Pause) -> ResumeSession:
        self.resumed = asyncio.get_running_loop().create_future()
        self.channel.send(Paused.of(step))
        return await self.resumed

    async def post(self, peer: str, name: str, data: bytes) -> None:
        """Hand a mail to the Gateway; waits while it has not taken on what went before."""
        while self.ahead and self.ahead + len(data) > AHEAD_BYTES_MAX:
            self.room.clear()
            await self.room.wait()
        self.ahead += len(data)
        self.channel.send(Post(peer, name, data))

    async def _hear(self) -> None:
        while (frame := await self.channel.receive()) is not None:
            match frame:
                case Mail(peer, name, data):
                    self.session.hear(peer, name, data)
                case Posted(size):
                    self.ahead -= size
                    self.room.set()
                case Resumed():
                    if self.resumed is not None and not self.resumed.done():
                        self.resumed.set_result(frame.resume())

    async def _tell(self) -> None:
        told: tuple[int, tuple[str, ...]] = (0, ())
        while True:
            await asyncio.sleep(TELL_EVERY_S)
            if (now := (self.session.rounds, self.session.missing)) != told:
                told = now
                self._progress()

    def _progress(self) -> None:
        self.channel.send(Progress(self.session.rounds, self.session.missing, peak_memory()))


class Host:
    """The actor: warm from its construction on, for one attempt.

    socket   where the Gateway listens for sessions
    kernels  "threads" of this process, or "tasks" of the cluster
    """

    def __init__(self, socket: str, kernels: str) -> None:
        keep_freed_memory()
        self._socket = Path(socket)
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="kernel")
        self._kernels: Executor = TaskExecutor() if kernels == "tasks" else self._threads
        self._taken = asyncio.Event()
        warm_up()

    async def taken(self) -> None:
        """Returns when a brief has come: another spare is wanted."""
        await self._taken.wait()

    async def serve(self) -> None:
        """Wait for a brief, run it, and return; a Gateway that goes away before is called again."""
        while True:
            channel = await dial(self._socket, SESSION_FRAMES, DIAL_S)
            channel.send(Hello(os.getpid()))
            begin = await channel.receive()
            if isinstance(begin, Begin):
                break
            channel.close()
        self._taken.set()
        with contextlib.suppress(ConnectionError):
            pieces = [await channel.receive() for _ in range(begin.pieces)]
            if None not in pieces:
                await self._play(channel, begin, pieces)

    async def _play(self, channel: Channel, begin: Begin, pieces: list[Any]) -> None:
        try:
            brief = brief_of(begin, pieces)
        except P2pmpcError as fault:
            channel.send(Failed.of(fault))
            channel.finish()
            with contextlib.suppress(TimeoutError, LocalError):
                async with asyncio.timeout(FAREWELL_S):
                    while await channel.receive() is not None:
                        pass  # mail for an attempt that is over
            channel.close()
            return
        runs: list[Run] = []  # the session posts through the run, which is made after it
        session = Session.prepare(
            brief,
            Rows(begin.stocks, self._threads),
            lambda peer, name, data: runs[0].post(peer, name, data),  # noqa: PLW0108  made later
            os.urandom,
            self._threads,
            self._kernels,
        )
        runs.append(Run(channel, session))
        await runs[0].play()


def shown(fault: BaseException) -> Abort | P2pmpcError:
    """What the Gateway is told of it: the text of a fault of the program may hold a value."""
    if isinstance(fault, Abort | P2pmpcError):
        return fault
    return P2pmpcError(f"an internal fault ended the run ({type(fault).__name__})")
