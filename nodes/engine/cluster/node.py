"""A node whose engine is Ray, as a process: keys, Ray, actors, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nodes.engine.cluster.gateway import Berth
from nodes.engine.cluster.house import House
from nodes.engine.cluster.runtime import Runtime, end, find, start
from nodes.home import Home, check_private
from nodes.lifetime import Say, ready_line, run
from nodes.logging import make_log
from nodes.notify import notify
from nodes.store.lease import Lease
from p2pmpc.identity import make_keys
from p2pmpc.settings import Settings, read_settings, rehearsal_settings

__all__ = ["run_member", "run_throwaway"]

LEASE = "ray.lease"  # held while this process runs: Ray's folder has one owner


def run_member(home: Home, passphrase: bytes, say: Say) -> None:
    """Run a member's node on Ray until it is stopped. Raises what keeps it from starting."""
    settings, keys = home.settings(), home.keys(passphrase)

    def house(runtime: Runtime, log: Any) -> House:
        berth = Berth(settings.name, str(home.folder), "", str(runtime.folder))

        def ready(port: int) -> None:
            say(ready_line(home.socket, port))

        return House(runtime, settings, keys, berth, ready, lambda text: say({"text": text}), log)

    try:
        _run(home.folder, settings, house, None)
    finally:
        notify(os.environ, STOPPING="1")


def run_throwaway(name: str, home: Path, settings_file: Path | None, say: Say) -> None:
    """Run a node of a rehearsal, with keys in memory, until its standard input closes."""
    settings = read_settings(settings_file) if settings_file else rehearsal_settings(name)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    check_private(home)
    socket = str(home / "control.sock")
    told: list[int] = []

    def ready(port: int) -> None:
        if not told:  # a Gateway that was started again is no news
            say({"ready": True, "socket": socket, "pid": os.getpid()})
        told.append(port)

    def house(runtime: Runtime, log: Any) -> House:
        berth = Berth(settings.name, str(home), settings.to_toml(), str(runtime.folder))
        keys = make_keys(os.urandom)
        return House(runtime, settings, keys, berth, ready, lambda _text: None, log)

    _run(home, settings, house, sys.stdin.fileno())


def _run(
    home: Path, settings: Settings, make: Callable[[Runtime, Any], House], leash: int | None
) -> None:
    """`leash` is a file whose end stops the node."""
    lease = Lease(home / LEASE)
    runtime = find(home)
    try:
        start(runtime, settings)
        run(_stand(make(runtime, make_log(home / "node.log", settings.name)), leash))
    finally:
        end(runtime)
        lease.close()


async def _stand(house: House, leash: int | None) -> None:
    if leash is not None:
        with contextlib.suppress(OSError, ValueError):
            loop = asyncio.get_running_loop()
            loop.add_reader(leash, lambda: _let_go(leash, house.stopping))
    await house.run()


def _let_go(leash: int, stopping: asyncio.Event) -> None:
    if not os.read(leash, 4096):
        stopping.set()
