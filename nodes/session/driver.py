"""Runs one protocol generator: sends, hears, has kernels run, pauses for the record.

The generator is stepped on a thread of its own, so that a long step never delays the node's links.
The driver never continues with a subset of the parties: any fault closes the generator.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any
from typing import Protocol as Shape

from nodes.session.arrays import encode_array
from nodes.session.mailbox import Mailbox
from protocols.kernels.registry import run_kernel
from protocols.party import Compute, Pause, Protocol, Round, Step

__all__ = ["Driver", "Post", "Toll"]


class Post(Shape):
    """Sends one mail of this session; kept until the peer has acknowledged it."""

    def __call__(self, peer: str, name: str, data: bytes) -> Awaitable[None]: ...


@dataclass(slots=True)
class Toll:
    """What the attempt has cost this party so far. Written by the driver alone."""

    rounds: int = 0
    posting: str = ""  # the peer that a mail is being posted to; it waits while the peer takes none


@dataclass(frozen=True, slots=True, repr=False)
class Driver:
    """One attempt. `pause` returns when the fact that the protocol waits for is on disk."""

    protocol: Protocol[Any]
    mailbox: Mailbox
    post: Post
    pause: Callable[[Pause], Awaitable[Any]]
    threads: Executor
    kernels: Executor  # the same threads, or the cluster
    toll: Toll

    async def run(self) -> Any:
        """The protocol's result. Raises what ended it early; the generator is closed either way."""
        sent: Any = None
        try:
            while True:
                step = await self._step(sent)
                if isinstance(step, _Result):
                    return step.value
                sent = await self._answer(step)
        finally:
            self.protocol.close()

    async def _step(self, sent: Any) -> Step | _Result:
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, _advance, self.protocol, sent, self.kernels is self.threads
        )

    async def _answer(self, step: Step) -> Any:
        if isinstance(step, Round):
            return await self._exchange(step)
        if isinstance(step, Pause):
            return await self.pause(step)
        return await self._compute(step)

    async def _exchange(self, step: Round) -> Any:
        if step.says or step.hears:
            self.toll.rounds += 1
        for (peer, name), value in sorted(step.says.items(), key=lambda said: said[0]):
            self.toll.posting = peer
            await self.post(peer, name, encode_array(value))
        self.toll.posting = ""
        return await self.mailbox.hear(step.hears)

    async def _compute(self, computes: list[Compute]) -> list[Any]:
        loop = asyncio.get_running_loop()
        jobs = [
            loop.run_in_executor(self.kernels, run_kernel, one.kernel, *one.arguments)
            for one in computes
        ]
        return list(await asyncio.gather(*jobs))


@dataclass(frozen=True, slots=True, repr=False)
class _Result:
    value: Any


def _advance(protocol: Protocol[Any], sent: Any, here: bool) -> Step | _Result:
    """Up to the next step that others answer; a kernel alone runs on this thread where it may.

    To hand it to another thread and back costs as much as a short kernel.
    """
    try:
        step = protocol.send(sent)
        while here and isinstance(step, list) and len(step) == 1:
            step = protocol.send([run_kernel(step[0].kernel, *step[0].arguments)])
        return step
    except StopIteration as stop:  # it cannot cross a future
        return _Result(stop.value)
