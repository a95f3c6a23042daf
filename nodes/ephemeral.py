"""Opens a node whose keys live in this process's memory only: rehearsals and tests."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

from nacl.bindings import crypto_scalarmult_base

from nodes.core.node import Core
from nodes.engine.local import LocalEngine
from nodes.logging import make_log
from nodes.shell import Node, addresses, build_node
from nodes.store.record import RecordStore
from nodes.transport.timing import Timing
from nodes.transport.tls import make_certificate
from nodes.transport.transport import Transport
from p2pmpc.errors import LocalError, LogError
from p2pmpc.identity import SecretKeys, Signer, make_card, make_keys, verify_signature
from p2pmpc.policy import REHEARSAL
from p2pmpc.settings import Settings, read_settings, rehearsal_settings

__all__ = ["make_key_pair", "open_node"]


def make_key_pair(secret: bytes) -> tuple[bytes, bytes]:
    """An X25519 key pair of 32 bytes each: (secret, public)."""
    return secret, crypto_scalarmult_base(secret)


async def open_node(name: str, home: Path, settings_file: Path | None) -> Node:
    """A node that listens on loopback, with fresh keys and an empty store in `home`."""
    settings = read_settings(settings_file) if settings_file else rehearsal_settings(name)
    keys = make_keys(os.urandom)
    return await _wire(settings, keys, _private(home))


def _private(home: Path) -> Path:
    """The folder, made or found, that nobody else can enter. Raises LocalError."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = home.stat()
    if found.st_uid != os.getuid() or stat.S_IMODE(found.st_mode) & 0o077:
        raise LocalError(
            f"the folder {home} is open to other users of this machine",
            file=str(home),
            next=f"Make it private (chmod 700 {home}), or let the node make a new one.",
        )
    return home


async def _wire(settings: Settings, keys: SecretKeys, home: Path) -> Node:
    name = settings.name
    store = RecordStore(home / "record.sqlite")
    log = make_log(home / "node.log", name)
    certificate = make_certificate(keys.transport_seed, name)
    cores: list[Core] = []  # the transport asks the core, which is made after it
    nodes: list[Node] = []
    signer = Signer(keys.log_seed)

    def network() -> bytes:
        roster = cores[0].feeds.roster
        return roster.network if roster else bytes(32)

    def check(peer: str, message: bytes, signature: bytes) -> bool:
        roster = cores[0].feeds.roster
        if roster is None or peer not in roster.names:
            return False
        try:
            verify_signature(roster.member(peer).log_key, network(), "mail", message, signature)
        except LogError:
            return False
        return True

    transport = Transport(
        name=name,
        network=network,
        certificate=certificate,
        members=lambda: addresses(cores[0]),
        sign=lambda message: signer.sign(network(), "mail", message),
        check=check,
        on_event=lambda event: nodes[0].on_transport(event),  # noqa: PLW0108  made later
        clock=time.monotonic,
        settings=Timing(linger_s=settings.link_grace_s),
    )
    port = await transport.listen(settings.listen_host, settings.listen_port)
    address = settings.advertise or f"{settings.listen_host}:{port}"
    card = make_card(name, keys, certificate.der, address)
    node = build_node(
        settings=settings,
        keys=keys,
        card=card,
        policy=REHEARSAL,
        clock=time.monotonic,
        wall_ms=lambda: time.time_ns() // 1_000_000,
        randomness=os.urandom,
        store=store,
        transport=transport,
        engine=LocalEngine(name, os.urandom),
        make_key_pair=make_key_pair,
        log=log,
    )
    cores.append(node.core)
    nodes.append(node)
    return node
