"""All checks of `node doctor`, one after the other: facts are read first, then judged.

Every reader is small and every judge is a function of the facts alone, in the module of its noun.
Nothing is changed, no key is opened unless its passphrase is given, and a node that runs goes on.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodes.doctor.actors import check_actors, read_actors
from nodes.doctor.clock import check_clock, read_skews
from nodes.doctor.disk import check_memory_folder, check_place, read_place
from nodes.doctor.finding import Finding, fault, ok
from nodes.doctor.folder import check_identity, check_modes, read_identity, read_modes
from nodes.doctor.history import History, check_history, read_history
from nodes.doctor.listeners import (
    check_listeners,
    check_port,
    read_listeners,
    read_port,
)
from nodes.doctor.peers import check_own_address, check_peers, read_own_address, read_peers
from nodes.doctor.surroundings import check_surroundings, read_surroundings
from nodes.home import Home
from nodes.processes import PROC, descendants, program_of
from p2pmpc.client import NodeClient
from p2pmpc.errors import P2pmpcError
from p2pmpc.identity import Card, SecretKeys, check_card
from p2pmpc.settings import Settings

__all__ = ["Running", "check_data", "examine", "read_running"]

ASK_S = 5.0  # a node that is well answers in milliseconds
DIAL_S = 5.0  # TCP and TLS on a slow path; all members at once
MEMORY_FOLDER = Path("/dev/shm")  # noqa: S108  the kernel's own folder in memory


@dataclass(frozen=True, slots=True)
class Running:
    """The node's process, if one holds the record. `card` is None where it does not answer."""

    pid: int | None
    processes: frozenset[int]
    ray: bool  # Ray's own daemon is among them
    answers: str  # why its control socket does not answer; empty when it does, or none runs
    status: Mapping[str, Any]
    card: Card | None


def read_running(home: Home) -> Running:
    """Ask the kernel who holds the record, and that process who it is."""
    pid = home.holder()
    if pid is None:
        return Running(None, frozenset(), False, "", {}, None)
    processes = frozenset({pid, *descendants(pid)}) if pid else frozenset()
    ray = "raylet" in {program_of(one) for one in processes}
    client = NodeClient(home.socket, home.settings().name)
    try:
        status = client.get("/status", ASK_S)
        card = check_card(base64.b64decode(client.get("/card", ASK_S)["card"]))
    except P2pmpcError as wrong:
        return Running(pid, processes, ray, wrong.message, {}, None)
    return Running(pid, processes, ray, "", status, card)


def examine(
    home: Home, keys: SecretKeys | None, ray: bool, environment: Mapping[str, str]
) -> tuple[Finding, ...]:
    """Every finding, in the order of the checks. Raises NotFound where there is no node's folder.

    keys  opened by the caller, to compare them with the card; None leaves them sealed
    ray   what the Ray engine needs is needed here; else only where a node runs on it
    """
    settings = home.settings()
    running = read_running(home)
    history = read_history(home.record_file)
    return (
        *_process(running),
        *check_modes(read_modes(home)),
        *check_identity(read_identity(home, history.roster, keys, running.card)),
        *check_history(history, home.record_file),
        *check_data(running.status),
        *check_clock(read_skews(settings.name, history.feeds)),
        *_machine(home, ray or running.ray, running, environment),
        *_sockets(settings, running),
        *asyncio.run(_network(settings, running, history)),
    )


def _process(running: Running) -> list[Finding]:
    failure = running.status.get("failure")
    if failure:
        return [fault("node", f"the node has ended itself: {failure['message']}", failure["next"])]
    if running.answers:
        text = f"process {running.pid} holds the record and does not answer: {running.answers}"
        return [fault("node", text, f"See node.log; `kill {running.pid}`, then start it again.")]
    if running.pid is None:
        return [ok("node", "the node does not run; what needs it running is left out")]
    return [ok("node", f"the node runs as process {running.pid}")]


def check_data(status: Mapping[str, Any]) -> list[Finding]:
    """Whether a running node can use what it offers; nothing where none runs, or offers none."""
    unusable, offered = status.get("data_faults", {}), status.get("datasets", ())
    if offered and not unusable:
        return [ok("data", f"what this node offers is as announced: {', '.join(offered)}")]
    fix = "Put the files back and start the node again, or offer them anew: p2pmpc data add."
    return [
        fault("data", f"{name} takes part in no study: {why}", fix)
        for name, why in sorted(unusable.items())
    ]


def _machine(
    home: Home, ray: bool, running: Running, environment: Mapping[str, str]
) -> list[Finding]:
    mounts = (PROC / "mounts").read_text("utf-8", "replace")
    place = read_place(home.folder, mounts)
    assert place is not None, "the folder was read a moment ago"
    return [
        *check_surroundings(read_surroundings(running.pid or None, environment, PROC)),
        *check_place(place),
        *check_memory_folder(read_place(MEMORY_FOLDER, mounts), ray),
        *check_actors(read_actors(ray, home.folder, environment)),
    ]


def _sockets(settings: Settings, running: Running) -> list[Finding]:
    found = read_listeners(PROC)
    port = read_port(settings.listen_host, settings.listen_port, found, running.processes)
    return [
        *check_port(port),
        *check_listeners(found, running.processes, settings.listen_port),
    ]


async def _network(settings: Settings, running: Running, history: History) -> list[Finding]:
    members = _members(settings.name, running, history)
    linked = frozenset(running.status.get("links", ()))
    certificate = running.card.certificate if running.card is not None else None
    own = await read_own_address(_address(settings, history), certificate, DIAL_S)
    return [*check_own_address(own), *check_peers(await read_peers(members, linked, DIAL_S))]


def _address(settings: Settings, history: History) -> str:
    """Where others dial this node: set, or as it said last where the system chooses the port."""
    chosen = "" if settings.listen_port else history.addresses.get(settings.name, "")
    return settings.advertise or chosen or f"{settings.listen_host}:{settings.listen_port}"


def _members(name: str, running: Running, history: History) -> dict[str, tuple[bytes, str]]:
    """Certificate and address of every other member: as the node dials it, as it said, its card."""
    if history.roster is None:
        return {}
    dialled = {one["member"]: one["address"] for one in running.status.get("peers", ())}
    known = {**history.addresses, **{peer: at for peer, at in dialled.items() if at}}
    return {
        one.name: (one.certificate, known.get(one.name, one.address))
        for one in history.roster.members
        if one.name != name
    }
