"""The Gateway: a whole node in an actor, whose heavy work is done by other actors.

Port, links, record, core and control socket are the ones of a node in one process; only the engine
differs. Its constructor knows paths and names alone: Ray keeps those, and starts a dead Gateway
again with them. It then asks the node process for the keys and opens its record again.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from nodes.durable import open_keys, open_record
from nodes.engine.cluster.engine import ClusterEngine, open_engine
from nodes.engine.cluster.letters import Keys
from nodes.engine.cluster.orders import Orders, call_house
from nodes.ephemeral import throwaway_card, throwaway_parts
from nodes.home import Home
from nodes.lifetime import answer_people, close, end_runs
from nodes.processes import keep_freed_memory
from nodes.shell import Node
from p2pmpc.errors import P2pmpcError
from p2pmpc.settings import Settings, parse_settings

__all__ = ["HOUSE_SOCKET", "SESSIONS_SOCKET", "Berth", "Gateway"]

HOUSE_SOCKET = "house.sock"
SESSIONS_SOCKET = "sessions.sock"


class Berth(Struct, frozen=True):
    """Where a node lies: all that is known to Ray of it.

    home      the member's folder
    throwaway the settings of a node without a folder of its own, as TOML; empty for a member's node
    sockets   the folder of the node's inner sockets
    """

    name: str
    home: str
    throwaway: str
    sockets: str


class Gateway:
    """The actor. `run` is one long call: as long as the node runs."""

    def __init__(self, berth: Berth) -> None:
        keep_freed_memory()
        self._berth = berth
        self._node: Node | None = None
        self._stopping = False

    async def run(self) -> dict[str, Any]:
        """Open the node and serve it until it is asked to stop; the error that ended it, or {}."""
        orders = await call_house(Path(self._berth.sockets) / HOUSE_SOCKET)
        try:
            await self._serve(orders)
        except P2pmpcError as fault:
            return fault.to_json()
        except Exception as fault:  # noqa: BLE001  Ray would write its text to a file
            text = f"an internal fault ended the node ({type(fault).__name__})"
            return P2pmpcError(text, next="Start the node again.").to_json()
        return {}

    async def stop(self) -> None:
        """Ask the node to stop; `run` returns soon."""
        self._stopping = True
        if self._node is not None:
            self._node.ask_to_stop()

    async def _serve(self, orders: Orders) -> None:
        self._node, port = await self._open(orders)
        socket = Path(self._berth.home) / "control.sock"
        orders.listening(port)
        if self._stopping:
            self._node.ask_to_stop()
        try:
            await answer_people(self._node, socket, lambda: orders.ready(port))
        finally:
            if not self._berth.throwaway:
                await end_runs(self._node)
            await close(self._node)
            socket.unlink(missing_ok=True)

    async def _open(self, orders: Orders) -> tuple[Node, int]:
        keys = await orders.keys()
        if self._berth.throwaway:
            return await self._open_throwaway(orders, keys)
        home = Home(Path(self._berth.home))

        async def engine() -> ClusterEngine:
            return await self._engine(home.settings(), orders)

        return await open_keys(home, keys.secret(), engine, orders.tell)

    async def _open_throwaway(self, orders: Orders, keys: Keys) -> tuple[Node, int]:
        settings = parse_settings(self._berth.throwaway, "settings")
        if keys.port:
            settings = msgspec.structs.replace(settings, listen_port=keys.port)
        engine = await self._engine(settings, orders)
        parts = throwaway_parts(settings, keys.secret(), Path(self._berth.home), engine)
        return await open_record(parts, throwaway_card(parts), orders.tell)

    async def _engine(self, settings: Settings, orders: Orders) -> ClusterEngine:
        socket = Path(self._berth.sockets) / SESSIONS_SOCKET
        return await open_engine(settings.name, socket, orders, settings.rows_per_partition)
