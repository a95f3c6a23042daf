"""The shell's view of a session that runs in a process of its own.

Mail that comes before a spare Session is free waits here. When the Session's process dies, or the
shell stops the attempt, the run ends at once: the channel is closed, and with it the process.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from nodes.engine.cluster.channel import Channel
from nodes.engine.cluster.letters import (
    Begin,
    Done,
    Failed,
    Mail,
    Paused,
    Post,
    Posted,
    Progress,
    Resumed,
    Stock,
    fault_of,
    outcome_of,
    pieces_of,
)
from nodes.engine.engine import Pauser
from nodes.session import driver
from nodes.session.mailbox import EARLY_BYTES_MAX
from nodes.session.session import Brief, Outcome
from p2pmpc.errors import Aborted, LocalError
from protocols.party import Pause

__all__ = ["HEARD_BYTES_MAX", "RemoteAttempt"]

HEARD_BYTES_MAX = EARLY_BYTES_MAX  # mail that the Session's process has not yet taken from here


@dataclass(slots=True, repr=False)
class RemoteAttempt:
    """Made by the engine; `spare` gives a channel to a warm Session that has said hello.

    noted  is told the most memory that the Session's process has held
    """

    brief: Brief
    stocks: dict[str, Stock]
    spare: Callable[[], Awaitable[Channel]]
    mail: driver.Post
    noted: Callable[[int], None]
    ending: asyncio.Future[Outcome]
    rounds: int = 0
    posting: str = ""
    missing: tuple[str, ...] = ()
    channel: Channel | None = None
    early: list[Mail] = field(default_factory=list)
    early_bytes: int = 0

    def hear(self, peer: str, name: str, data: bytes) -> None:
        """Take one mail of a peer, each once and in order. What it may not be ends the session."""
        if self.ending.done():
            return
        waiting = self.early_bytes if self.channel is None else self.channel.waiting
        if waiting + len(data) > HEARD_BYTES_MAX:
            self.stop(LocalError(f"more than {HEARD_BYTES_MAX} bytes of mail wait for a session"))
        elif self.channel is None:
            self.early.append(Mail(peer, name, data))
            self.early_bytes += len(data)
        else:
            self.channel.send(Mail(peer, name, data))

    def stop(self, fault: Exception) -> None:
        """End the session now; `run` raises this fault."""
        if not self.ending.done():
            self.ending.set_exception(fault)
            self.ending.exception()  # seen, also where nobody runs it any more

    async def run(self, pause: Pauser) -> Outcome:
        """Raises Abort or P2pmpcError: what ended the session early. Once."""
        if self.ending.done():  # stopped before it began
            return await self.ending
        task = asyncio.create_task(self._guarded(self._drive(pause)))
        try:
            return await self.ending
        finally:
            task.cancel()
            if self.channel is not None:
                self.channel.close()

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except Exception as fault:  # noqa: BLE001  handed to whoever awaits the run
            self.stop(fault)

    async def _drive(self, pause: Pauser) -> None:
        channel = await self.spare()
        pieces = pieces_of(self.brief.held)
        channel.send(Begin.of(self.brief, self.stocks, len(pieces)))
        for piece in pieces:
            channel.send(piece)
        for mail in self.early:
            channel.send(mail)
        self.channel, self.early = channel, []
        posts: asyncio.Queue[Post] = asyncio.Queue()  # bounded by the credit that a Session has
        pauses: asyncio.Queue[Pause] = asyncio.Queue()
        async with asyncio.TaskGroup() as group:
            workers = [
                group.create_task(self._guarded(self._post_all(posts, channel))),
                group.create_task(self._guarded(self._pause_all(pauses, channel, pause))),
            ]
            await self._read(channel, posts, pauses)
            for worker in workers:
                worker.cancel()

    async def _read(
        self, channel: Channel, posts: asyncio.Queue[Post], pauses: asyncio.Queue[Pause]
    ) -> None:
        while not self.ending.done():
            match await channel.receive():
                case Post() as post:
                    posts.put_nowait(post)
                case Paused() as paused:
                    pauses.put_nowait(paused.pause())
                case Progress(rounds, missing, peak):
                    self.rounds, self.missing = rounds, missing
                    self.noted(peak)
                case Done() as done:
                    await posts.join()
                    if not self.ending.done():
                        self.ending.set_result(outcome_of(done))
                case Failed() as failed:
                    self.stop(fault_of(failed))
                case None:
                    self.stop(self._died())

    def _died(self) -> Aborted:
        me = self.brief.me
        return Aborted(
            f"{me}: the process of its session ended",
            member=me,
            next="Nothing was opened. The study is tried again with fresh masks.",
        )

    async def _post_all(self, posts: asyncio.Queue[Post], channel: Channel) -> None:
        while True:
            post = await posts.get()
            self.posting = post.peer
            await self.mail(post.peer, post.name, post.data)
            self.posting = ""
            posts.task_done()
            channel.send(Posted(len(post.data)))

    async def _pause_all(
        self, pauses: asyncio.Queue[Pause], channel: Channel, pause: Pauser
    ) -> None:
        while True:
            step = await pauses.get()
            channel.send(Resumed.of(await pause(step)))
