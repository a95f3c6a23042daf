"""What the Gateway asks of the node process, which makes and ends all actors and holds the keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from nodes.engine.cluster.channel import Channel, dial
from nodes.engine.cluster.letters import (
    GATEWAY_FRAMES,
    Drop,
    Frame,
    Keys,
    Listening,
    Made,
    Make,
    Ready,
    Told,
    WantKeys,
)
from p2pmpc.errors import LocalError

__all__ = ["Orders", "call_house"]

CALL_S = 10.0  # the node process listens before it makes the Gateway
T = TypeVar("T", bound=Frame)


@dataclass(frozen=True, slots=True, repr=False)
class Orders:
    """One connection; questions are asked one after another."""

    channel: Channel
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def keys(self) -> Keys:
        """The member's keys. Raises LocalError when the node process is gone."""
        return await self._ask(WantKeys(), Keys)

    async def make(self, count: int) -> tuple[str, ...]:
        """So many empty Dataset actors, by their names."""
        return (await self._ask(Make(count), Made)).actors

    def drop(self, actors: tuple[str, ...]) -> None:
        """End these Dataset actors."""
        self.channel.send(Drop(actors))

    def listening(self, port: int) -> None:
        """The port that the next Gateway must take."""
        self.channel.send(Listening(port))

    def ready(self, port: int) -> None:
        """People can ask this node."""
        self.channel.send(Ready(port))

    def tell(self, text: str) -> None:
        """A sentence for whoever waits for the node."""
        self.channel.send(Told(text))

    async def _ask(self, frame: Frame, kind: type[T]) -> T:
        async with self.lock:
            self.channel.send(frame)
            answer = await self.channel.receive()
        if not isinstance(answer, kind):
            raise LocalError("the node process does not answer its Gateway")
        return answer


async def call_house(socket: Path) -> Orders:
    """A connection to the node process. Raises LocalError."""
    return Orders(await dial(socket, GATEWAY_FRAMES, CALL_S))
