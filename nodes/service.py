"""One node as a process: signals, the control socket, readiness, and an end in good order.

ready     the control socket answers: one line on standard output, READY=1 to a service manager
stopping  SIGTERM, Ctrl-C or POST /stop: runs are ended by name so that others know at once, then
          links, engine and store are closed
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from nodes.home import Home
from nodes.notify import notify
from nodes.shell import Node
from nodes.store.lease import Lease
from p2pmpc.errors import LocalError

__all__ = ["Say", "answer_people", "close", "end_runs", "ready_line", "run", "run_home", "serve"]

CLOSE_S = 5.0  # mail that others have not yet acknowledged, Ray actors that end
TOLD_S = 1.0  # how long the others are told that a run is over

Say = Callable[[Mapping[str, Any]], None]  # one line of JSON for whoever started this process


def run_home(home: Home, passphrase: bytes, engine: str, say: Say) -> None:
    """Run a member's node until it is stopped. Raises what keeps it from starting.

    This process holds the folder's lease all the while, whichever of its actors has the record.
    """
    os.umask(0o077)
    home.check()
    lease = Lease(home.lease_file)
    try:
        _write_pid(home)
        _run_engine(home, passphrase, engine, say)
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


def run(main_task: Coroutine[Any, Any, None]) -> None:
    """Run the loop: uvloop where it is installed, twice the rounds a second."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(main_task)
        return
    uvloop.run(main_task)


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


def ready_line(socket: Path, port: int) -> dict[str, Any]:
    """The last line that a node prints; a service manager is told the same."""
    notify(os.environ, READY="1", STATUS=f"listening on port {port}")
    return {"ready": True, "socket": str(socket), "pid": os.getpid(), "port": port}


async def serve(node: Node, socket: Path, ready: Callable[[], None]) -> None:
    """Answer people on this socket until the node is asked to stop, by a signal among others."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, node.ask_to_stop)
    await answer_people(node, socket, ready)


async def answer_people(node: Node, socket: Path, ready: Callable[[], None]) -> None:
    """Answer people on this socket until the node is asked to stop."""
    from nodes.people.api import People
    from nodes.people.desk import Desk
    from nodes.people.http import serve as listen

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _loop, what: _log_fault(node.log, what.get("exception")))
    server = await listen(socket, People(Desk(node), node.log).answer)
    metrics = await _metrics(node)
    ready()
    await node.stopping.wait()
    server.close()
    if metrics is not None:
        metrics.close()


async def _metrics(node: Node) -> asyncio.Server | None:
    """The figures of the node, where a port is set for them."""
    if not node.settings.metrics_port:
        return None
    from nodes.metrics import serve_metrics

    return await serve_metrics(node, node.settings.metrics_port)


def _log_fault(log: Any, fault: BaseException | None) -> None:
    """Instead of a traceback on standard error, whose last line may hold a value of the data."""
    log.error("loop fault", exc_info=fault)


async def end_runs(node: Node) -> None:
    """End every run by this member's name: on record, and told to the others while links are up."""
    node.stop_runs(f"{node.name} was stopped by its own people")
    tasks = [one.task for one in node.runs.running.values() if one.task is not None]
    if tasks:
        await asyncio.wait(tasks, timeout=TOLD_S)


async def close(node: Node) -> None:
    """Close links, engine and store; a peer that does not answer is not waited for."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(node.close(), CLOSE_S)
    node.log.info("node stopped", pid=os.getpid())
