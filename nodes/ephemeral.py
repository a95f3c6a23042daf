"""Opens a node whose keys live in this process's memory only: rehearsals and tests."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from nodes.engine.engine import Engine
from nodes.home import check_private
from nodes.logging import details_file, make_log
from nodes.shell import Node
from nodes.store.record import RecordStore
from nodes.transport.tls import make_certificate
from nodes.wiring import Parts, open_engine, wire
from p2pmpc.identity import SecretKeys, make_card, make_keys
from p2pmpc.policy import REHEARSAL
from p2pmpc.settings import Settings, read_settings, rehearsal_settings

__all__ = ["open_node", "throwaway_card", "throwaway_parts"]


async def open_node(
    name: str, home: Path, settings_file: Path | None, engine: str = "process"
) -> Node:
    """A node that listens on loopback, with fresh keys and an empty store in `home`."""
    settings = read_settings(settings_file) if settings_file else rehearsal_settings(name)
    _private(home)
    keys = make_keys(os.urandom)
    parts = throwaway_parts(settings, keys, home, await open_engine(settings, engine, home))
    node, _ = await wire(parts, throwaway_card(parts))
    return node


def throwaway_parts(settings: Settings, keys: SecretKeys, home: Path, engine: Engine) -> Parts:
    """What such a node is made of, with a rehearsal's policy."""
    file = home / "node.log"
    return Parts(
        settings=settings,
        keys=keys,
        certificate=make_certificate(keys.transport_seed, settings.name),
        policy=REHEARSAL,
        store=RecordStore(home / "record.sqlite"),
        engine=engine,
        log=make_log(file, settings.name, details_file(file, os.environ)),
    )


def throwaway_card(parts: Parts) -> Callable[[int], bytes]:
    """Its card, by the port that it listens on."""
    settings = parts.settings

    def card(port: int) -> bytes:
        address = settings.advertise or f"{settings.listen_host}:{port}"
        return make_card(settings.name, parts.keys, parts.certificate.der, address)

    return card


def _private(home: Path) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(home)
