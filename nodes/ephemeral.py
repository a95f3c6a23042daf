"""Opens a node whose keys live in this process's memory only: rehearsals and tests."""

from __future__ import annotations

import os
from pathlib import Path

from nodes.home import check_private
from nodes.logging import make_log
from nodes.shell import Node
from nodes.store.record import RecordStore
from nodes.transport.tls import make_certificate
from nodes.wiring import Parts, make_key_pair, open_engine, wire
from p2pmpc.identity import make_card, make_keys
from p2pmpc.policy import REHEARSAL
from p2pmpc.settings import read_settings, rehearsal_settings

__all__ = ["make_key_pair", "open_node"]


async def open_node(
    name: str, home: Path, settings_file: Path | None, engine: str = "process"
) -> Node:
    """A node that listens on loopback, with fresh keys and an empty store in `home`."""
    settings = read_settings(settings_file) if settings_file else rehearsal_settings(name)
    _private(home)
    keys = make_keys(os.urandom)
    certificate = make_certificate(keys.transport_seed, settings.name)
    parts = Parts(
        settings=settings,
        keys=keys,
        certificate=certificate,
        policy=REHEARSAL,
        store=RecordStore(home / "record.sqlite"),
        engine=await open_engine(settings, engine, home),
        log=make_log(home / "node.log", settings.name),
    )

    def card(port: int) -> bytes:
        address = settings.advertise or f"{settings.listen_host}:{port}"
        return make_card(settings.name, keys, certificate.der, address)

    node, _ = await wire(parts, card)
    return node


def _private(home: Path) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(home)
