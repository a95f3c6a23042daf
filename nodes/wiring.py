"""One node, wired: store, transport, engine and core, for whatever folder and keys it gets.

Both ways to open a node end here: `ephemeral`, with keys in memory, and `durable`, a member's own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nacl.bindings import crypto_scalarmult_base

from nodes.core.effects import Listening
from nodes.core.node import Core
from nodes.engine.engine import Engine
from nodes.engine.local import LocalEngine
from nodes.shell import Node, addresses, build_node
from nodes.store.record import RecordStore
from nodes.transport.timing import Timing
from nodes.transport.tls import OwnCertificate
from nodes.transport.transport import Transport
from p2pmpc.errors import LogError, WrongUsage
from p2pmpc.identity import SecretKeys, Signer, verify_signature
from p2pmpc.policy import Policy
from p2pmpc.settings import Settings

__all__ = ["ENGINES", "Parts", "make_key_pair", "open_engine", "wire"]

ENGINES = ("process", "ray")


@dataclass(frozen=True, slots=True, repr=False)
class Parts:
    """What a node is made of, before it listens."""

    settings: Settings
    keys: SecretKeys
    certificate: OwnCertificate
    policy: Policy
    store: RecordStore
    engine: Engine
    log: Any


async def open_engine(settings: Settings, kind: str, folder: Path) -> Engine:  # noqa: ARG001
    """What a node in one process computes on. Raises WrongUsage for another kind.

    A node on Ray is opened by its Gateway (`engine/cluster/gateway`), inside Ray.
    """
    if kind == "process":
        return LocalEngine(settings.name, os.urandom)
    raise WrongUsage(
        f"a node in one process cannot run on the engine {kind!r}",
        field="--engine",
        next=f"Choose one of {', '.join(ENGINES)} when the node is started.",
    )


def make_key_pair(secret: bytes) -> tuple[bytes, bytes]:
    """An X25519 key pair of 32 bytes each: (secret, public)."""
    return secret, crypto_scalarmult_base(secret)


async def wire(parts: Parts, card: Callable[[int], bytes]) -> tuple[Node, int]:
    """A node that listens, and its port. Raises LocalError when the port is taken.

    card  this member's card, by the port that the node listens on
    """
    settings = parts.settings
    nodes: list[Node] = []  # the transport asks the node and tells it, and is made before it
    transport = _transport(parts, lambda: nodes[0])
    port = await transport.listen(settings.listen_host, settings.listen_port)
    node = build_node(
        settings=settings,
        keys=parts.keys,
        card=card(port),
        policy=parts.policy,
        clock=time.monotonic,
        wall_ms=lambda: time.time_ns() // 1_000_000,
        randomness=os.urandom,
        store=parts.store,
        transport=transport,
        engine=parts.engine,
        make_key_pair=make_key_pair,
        log=parts.log,
    )
    nodes.append(node)
    address = _advertised(settings, port)
    if address:
        node.take(Listening(address))
    return node, port


def _transport(parts: Parts, node: Callable[[], Node]) -> Transport:
    """It asks the node who the members are, and tells it what comes in; nothing else."""
    signer = Signer(parts.keys.log_seed)

    def network() -> bytes:
        roster = node().core.feeds.roster
        return roster.network if roster else bytes(32)

    return Transport(
        name=parts.settings.name,
        network=network,
        certificate=parts.certificate,
        members=lambda: addresses(node().core),
        sign=lambda message: signer.sign(network(), "mail", message),
        check=lambda peer, message, given: _signed(node().core, network(), peer, message, given),
        on_event=lambda event: node().on_transport(event),
        clock=time.monotonic,
        settings=Timing(linger_s=parts.settings.link_grace_s),
    )


def _advertised(settings: Settings, port: int) -> str:
    """Where others dial this node; empty when only its card can say so."""
    if settings.advertise:
        return settings.advertise
    host = settings.listen_host
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not listened on
        return ""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _signed(core: Core, network: bytes, peer: str, message: bytes, signature: bytes) -> bool:
    """Whether this member signed this mail."""
    roster = core.feeds.roster
    if roster is None or peer not in roster.names:
        return False
    try:
        verify_signature(roster.member(peer).log_key, network, "mail", message, signature)
    except LogError:
        return False
    return True
