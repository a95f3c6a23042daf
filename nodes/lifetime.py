"""A node from ready to its end, in whatever process it lives: it answers people, then closes all.

ready     the control socket answers: one line on standard output, READY=1 to a service manager
stopping  SIGTERM, Ctrl-C or POST /stop: runs are ended by name so that others know at once, then
          links, engine and store are closed
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
from collections.abc import Callable, Coroutine, Mapping
from pathlib import Path
from typing import Any

from nodes.notify import notify
from nodes.processes import keep_freed_memory
from nodes.shell import Node

__all__ = ["Say", "answer_people", "close", "end_runs", "keep_private", "ready_line", "run"]

CLOSE_S = 5.0  # mail that others have not yet acknowledged, Ray actors that end
TOLD_S = 1.0  # how long the others are told that a run is over

Say = Callable[[Mapping[str, Any]], None]  # one line of JSON for whoever started this process


def keep_private() -> None:
    """For a process that will hold keys, and all that it starts: files are this user's alone, and
    memory is written to none when it dies."""
    os.umask(0o077)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def run(main_task: Coroutine[Any, Any, None]) -> None:
    """Run the loop: uvloop where it is installed, twice the rounds a second."""
    keep_freed_memory()
    try:
        import uvloop
    except ImportError:
        asyncio.run(main_task)
        return
    uvloop.run(main_task)


def ready_line(socket: Path, port: int) -> dict[str, Any]:
    """The last line that a node prints; a service manager is told the same."""
    notify(os.environ, READY="1", STATUS=f"listening on port {port}")
    return {"ready": True, "socket": str(socket), "pid": os.getpid(), "port": port}


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
