"""A member's node as a process: the folder's lease, the engine that it runs on, signals."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from pathlib import Path

from nodes.home import Home
from nodes.lifetime import Say, answer_people, close, end_runs, keep_private, ready_line, run
from nodes.logging import make_log
from nodes.notify import notify
from nodes.shell import Node
from nodes.store.lease import Lease
from p2pmpc.errors import LocalError, P2pmpcError

__all__ = ["run_home", "serve"]


def run_home(home: Home, passphrase: bytes, engine: str, say: Say) -> None:
    """Run a member's node until it is stopped. Raises what keeps it from starting.

    This process holds the folder's lease all the while, whichever of its actors has the record.
    """
    keep_private()
    home.check()
    lease = Lease(home.lease_file)
    try:
        _write_pid(home)
        _run_engine(home, passphrase, engine, say)
    except P2pmpcError:
        raise
    except Exception as fault:  # noqa: BLE001  its message may hold a value of the data
        make_log(home.log_file, home.settings().name).error("core fault", exc_info=fault)
        raise P2pmpcError(
            f"an internal fault ended the node ({type(fault).__name__})",
            file=str(home.log_file),
            next="The log names the place. Start the node again.",
        ) from None
    finally:
        home.pid_file.unlink(missing_ok=True)
        lease.close()


def _write_pid(home: Home) -> None:
    try:
        home.pid_file.write_text(f"{os.getpid()}\n")
    except OSError as fault:
        raise LocalError(
            f"{home.pid_file} cannot be written: {fault.strerror}",
            file=str(home.pid_file),
            next="Check that this user may write there, and that the disk has room.",
        ) from None


def _run_engine(home: Home, passphrase: bytes, engine: str, say: Say) -> None:
    if engine == "ray":
        from nodes.engine.cluster.node import run_member

        run_member(home, passphrase, say)
    else:
        run(_serve_home(home, passphrase, engine, say))


async def _serve_home(home: Home, passphrase: bytes, engine: str, say: Say) -> None:
    from nodes.durable import open_home

    node, port = await open_home(home, passphrase, engine, lambda text: say({"text": text}))
    try:
        await serve(node, home.socket, lambda: say(ready_line(home.socket, port)))
    finally:
        notify(os.environ, STOPPING="1")
        await end_runs(node)
        await close(node)
        home.socket.unlink(missing_ok=True)


async def serve(node: Node, socket: Path, ready: Callable[[], None]) -> None:
    """Answer people on this socket until the node is asked to stop, by a signal among others."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.ask_to_stop)
    await answer_people(node, socket, ready)
