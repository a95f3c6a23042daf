"""One node as one process: `python -m nodes --ephemeral --name NAME --home DIR`.

An ephemeral node makes its keys in memory and never writes them; it serves one rehearsal and ends
when its standard input closes. It prints one line when its control socket is up.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from p2pmpc.errors import P2pmpcError

__all__ = ["main"]


def main(arguments: list[str]) -> int:
    """The process's exit code."""
    parser = argparse.ArgumentParser(prog="python -m nodes")
    parser.add_argument("--ephemeral", action="store_true", required=True)
    parser.add_argument("--name", required=True)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--settings", type=Path)
    options = parser.parse_args(arguments)
    os.umask(0o077)
    try:
        _run(_serve(options.name, options.home, options.settings))
    except P2pmpcError as fault:
        print(json.dumps({"ready": False, "error": fault.to_json()}), flush=True)
        return fault.exit
    return 0


def _run(main_task: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main_task)
        return
    uvloop.run(main_task)


async def _serve(name: str, home: Path, settings_file: Path | None) -> None:
    from nodes.ephemeral import open_node
    from nodes.people.api import People
    from nodes.people.desk import Desk
    from nodes.people.http import serve

    node = await open_node(name, home, settings_file)
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, what: _log_fault(node.log, what.get("exception")))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.ask_to_stop)
    with contextlib.suppress(OSError, ValueError):
        loop.add_reader(sys.stdin.fileno(), lambda: _closed(node.ask_to_stop))
    socket_path = home / "control.sock"
    server = await serve(socket_path, People(Desk(node), node.log).answer)
    print(json.dumps({"ready": True, "socket": str(socket_path), "pid": os.getpid()}), flush=True)
    await node.stopping.wait()
    server.close()
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(node.close(), 1.0)
    os._exit(0)  # a kernel thread may still run; nothing is left to write


def _log_fault(log: Any, fault: BaseException | None) -> None:
    """Instead of a traceback on standard error, whose last line may hold a value of the data."""
    log.error("loop fault", exc_info=fault)


def _closed(stop: Callable[[], object]) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
