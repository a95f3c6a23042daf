"""The cluster as the Gateway sees it: data sets in actors, sessions in warm processes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from nodes.data.dataset import BLOCK_ROWS, commitment_of, root_of
from nodes.engine.cluster.attempt import RemoteAttempt
from nodes.engine.cluster.channel import Channel, listen
from nodes.engine.cluster.dataset import Loaded, answer_of
from nodes.engine.cluster.letters import SESSION_FRAMES, Hello, Portion, Stock
from nodes.engine.cluster.orders import Orders
from nodes.engine.engine import DatasetFacts
from nodes.processes import peak_memory
from nodes.session.driver import Post
from nodes.session.session import Brief
from p2pmpc.dictionary import Dictionary

__all__ = ["ClusterEngine", "open_engine", "spans_of"]


@dataclass(slots=True, repr=False)
class Spares:
    """Warm Sessions that have called. One that goes away while it waits is forgotten."""

    idle: asyncio.Queue[Channel] = field(default_factory=asyncio.Queue)

    async def welcome(self, channel: Channel) -> None:
        """A Session has called."""
        if isinstance(await channel.receive(), Hello):
            self.idle.put_nowait(channel)
        else:
            channel.close()

    async def take(self) -> Channel:
        """A warm Session's channel, as soon as there is one."""
        while True:
            channel = await self.idle.get()
            if not channel.reader.at_eof() and not channel.writer.is_closing():
                return channel
            channel.close()

    def close(self) -> None:
        """Let them go."""
        with contextlib.suppress(asyncio.QueueEmpty):
            while True:
                self.idle.get_nowait().close()


@dataclass(slots=True, repr=False)
class ClusterEngine:
    """An `Engine`. `orders` asks the node process, which makes and ends all actors."""

    member: str
    orders: Orders
    rows_per_actor: int
    spares: Spares
    server: asyncio.Server
    stocks: dict[str, Stock] = field(default_factory=dict)
    peaks: dict[str, int] = field(default_factory=dict)

    async def load_dataset(
        self, dictionary: Dictionary, paths: tuple[str, ...], encoding: str | None, salt: bytes
    ) -> DatasetFacts:
        """Read and check; nothing is kept unless all of it is sound. Raises BadData."""
        made: list[str] = []
        whole = Portion("", self.member, paths, dictionary.to_bytes(), encoding, 0, 0, b"")
        try:
            stock, facts = await self._load(dictionary, whole, salt, made)
        except BaseException:
            self.orders.drop(tuple(made))
            raise
        before = self.stocks.get(dictionary.name)
        self.stocks[dictionary.name] = stock
        if before is not None:
            self.orders.drop(tuple(portion.actor for portion in before.portions))
        return facts

    async def _load(
        self, dictionary: Dictionary, whole: Portion, salt: bytes, made: list[str]
    ) -> tuple[Stock, DatasetFacts]:
        """The first actor reads every row and keeps its own; then the others, side by side."""
        first, *_ = found = await self._fill(whole, spans_of(0, 1, self.rows_per_actor), made)
        rows = first[1].table_rows
        found += await self._fill(whole, spans_of(first[0].stop, rows, self.rows_per_actor), made)
        blocks = {
            column: tuple(block for _, part in found for block in part.blocks[column])
            for column in first[1].blocks
        }
        root = root_of(dictionary, rows, blocks)
        self.peaks |= {portion.actor: part.peak for portion, part in found}
        portions = tuple(replace(portion, seal=part.seal) for portion, part in found)
        commitment = commitment_of(salt, root)
        return Stock(portions, root, commitment), DatasetFacts(rows, first[1].notes, commitment)

    async def _fill(
        self, whole: Portion, spans: Sequence[range], made: list[str]
    ) -> list[tuple[Portion, Loaded]]:
        import ray

        if not spans:
            return []
        actors = await self.orders.make(len(spans))
        made += actors
        portions = [
            replace(whole, actor=actor, start=span.start, stop=span.stop)
            for actor, span in zip(actors, spans, strict=True)
        ]
        calls = [ray.get_actor(portion.actor).load.remote(portion) for portion in portions]
        found: list[Any] = await asyncio.gather(*calls)
        return [(portion, answer_of(part)) for portion, part in zip(portions, found, strict=True)]

    def start_session(self, brief: Brief, post: Post) -> RemoteAttempt:
        """A session with an empty mailbox; nothing runs before its `run`."""

        def noted(peak: int) -> None:
            self.peaks["session"] = max(peak, self.peaks.get("session", 0))

        wanted = {name: self.stocks[name] for name in brief.commitments if name in self.stocks}
        ending: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        return RemoteAttempt(brief, wanted, self.spares.take, post, noted, ending)

    def peak_memory(self) -> int:
        """Bytes that the Gateway, the largest session and the data sets held at most, together."""
        return peak_memory() + sum(self.peaks.values())

    async def close(self) -> None:
        """Let the sessions go; the node process ends all actors."""
        self.server.close()
        self.spares.close()


async def open_engine(
    member: str, socket: Path, orders: Orders, rows_per_actor: int
) -> ClusterEngine:
    """An engine that Sessions call at this socket."""
    spares = Spares()
    server = await listen(socket, SESSION_FRAMES, spares.welcome)
    return ClusterEngine(member, orders, rows_per_actor, spares, server)


def spans_of(first: int, rows: int, rows_per_actor: int) -> list[range]:
    """The rows from `first` on, shared out among actors in whole blocks."""
    step = max(1, rows_per_actor // BLOCK_ROWS) * BLOCK_ROWS
    return [range(start, start + step) for start in range(first, rows, step)]
