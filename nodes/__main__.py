"""One node as one process.

    python -m nodes --home DIR --passphrase-fd N        a member's node, on its folder
    python -m nodes --ephemeral --name NAME --home DIR  a throw-away node of a rehearsal

An ephemeral node makes its keys in memory and never writes them; it ends when its standard input
closes. Both print lines of JSON: what they are doing, and last `{"ready": true, ...}` when their
control socket is up, or the error that took its place.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from nodes.lifetime import keep_private
from p2pmpc.errors import P2pmpcError

__all__ = ["main"]

CLOSE_S = 1.0  # a rehearsal is over: nothing is worth waiting for


def main(arguments: list[str]) -> int:
    """The process's exit code."""
    options = _parser().parse_args(arguments)
    keep_private()
    try:
        if options.ephemeral:
            _run_ephemeral(options.name, options.home, options.settings, options.engine)
        else:
            _run_durable(options.home, options.passphrase_fd, options.engine)
    except P2pmpcError as fault:
        _say({"ready": False, "error": fault.to_json()})
        return fault.exit
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m nodes")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--ephemeral", action="store_true")
    kind.add_argument("--passphrase-fd", type=int)
    parser.add_argument("--name")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--settings", type=Path)
    parser.add_argument("--engine", default="process")
    return parser


def _say(said: Mapping[str, Any]) -> None:
    """One line for whoever started this process, who may be gone by now."""
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(said), flush=True)


def _run_durable(folder: Path, passphrase_fd: int, engine: str) -> None:
    from nodes.home import Home
    from nodes.service import run_home

    with os.fdopen(passphrase_fd, "rb") as pipe:
        passphrase = pipe.read()
    run_home(Home(folder), passphrase, engine, _say_and_let_go)
    os._exit(0)  # a kernel thread may still run; nothing is left to write


def _say_and_let_go(said: Mapping[str, Any]) -> None:
    """After the ready line nobody reads this process's output."""
    _say(said)
    if said.get("ready"):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _run_ephemeral(name: str, home: Path, settings_file: Path | None, engine: str) -> None:
    from nodes.lifetime import run

    if engine == "ray":
        from nodes.engine.cluster.node import run_throwaway

        run_throwaway(name, home, settings_file, _say)
        os._exit(0)
    run(_serve_ephemeral(name, home, settings_file, engine))


async def _serve_ephemeral(name: str, home: Path, settings: Path | None, engine: str) -> None:
    from nodes.ephemeral import open_node
    from nodes.service import serve

    node = await open_node(name, home, settings, engine)
    with contextlib.suppress(OSError, ValueError):
        loop = asyncio.get_running_loop()
        loop.add_reader(sys.stdin.fileno(), lambda: _closed(node.ask_to_stop))
    socket = home / "control.sock"
    await serve(
        node, socket, lambda: _say({"ready": True, "socket": str(socket), "pid": os.getpid()})
    )
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(node.close(), CLOSE_S)
    os._exit(0)  # a kernel thread may still run; nothing is left to write


def _closed(stop: Callable[[], object]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
