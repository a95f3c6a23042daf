"""Errands on threads, while the main thread only waits in short steps.

Nothing here waits without a deadline. The main thread looks around between its steps: at whether a
node process has died and at whether the user has asked to stop. The threads are daemons: one that
hangs in a library cannot keep the process alive.
"""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any, TypeVar

from p2pmpc.errors import Aborted, LocalError, P2pmpcError

__all__ = ["Stop", "gather", "listening"]

T = TypeVar("T")
STEP_S = 0.02  # how often the main thread looks around; far below what a person notices
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stop:
    """Whether the user asked to stop. Set by signal handlers, read by the main thread."""

    def __init__(self) -> None:
        self.signal = 0

    def check(self) -> None:
        """Raises Aborted once a signal has come."""
        if self.signal:
            raise Aborted(
                f"stopped by {signal.Signals(self.signal).name}; every node was ended and every "
                "temporary file removed"
            )


@contextlib.contextmanager
def listening() -> Iterator[Stop]:
    """Turn Ctrl-C, SIGTERM and SIGHUP into a flag, so that cleaning up is never interrupted.

    Elsewhere than on the main thread signals cannot be caught; the flag then stays unset.
    """
    stop = Stop()

    def note(number: int, _frame: FrameType | None) -> None:
        stop.signal = stop.signal or number

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, note) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # once stopped the process is ending: a second Ctrl-C must not cut its last word
            signal.signal(number, signal.SIG_IGN if stop.signal else handler)


def gather(
    jobs: Mapping[str, Callable[[], T]],
    look: Callable[[], None],
    deadline_s: float,
    what: str,
) -> dict[str, T]:
    """Run all jobs at once; their results by name. The first error ends the wait and is raised.

    `look` is called every few hundredths of a second and may raise; it is called once more before
    a job's error is raised, since a dead process explains a silent socket. Raises LocalError naming
    the first job that was not done after `deadline_s` seconds.
    """
    done: queue.SimpleQueue[tuple[str, T | None, BaseException | None]] = queue.SimpleQueue()
    for name, job in jobs.items():
        threading.Thread(target=_run, args=(name, job, done), daemon=True).start()
    results: dict[str, T] = {}
    deadline = time.monotonic() + deadline_s
    while len(results) < len(jobs):
        look()
        with contextlib.suppress(queue.Empty):
            name, value, fault = done.get(timeout=STEP_S)
            if fault is not None:
                _raise(fault, look)
            results[name] = value  # type: ignore[assignment]  # no fault: the job's own result
        if time.monotonic() > deadline:
            raise _late(sorted(set(jobs) - set(results)), deadline_s, what)
    return results


def _run(name: str, job: Callable[[], Any], done: queue.SimpleQueue[Any]) -> None:
    try:
        done.put((name, job(), None))
    except BaseException as fault:  # noqa: BLE001  raised again on the main thread
        done.put((name, None, fault))


def _raise(fault: BaseException, look: Callable[[], None]) -> None:
    if isinstance(fault, LocalError):
        time.sleep(10 * STEP_S)  # a process that is dying closes its socket first
    look()
    raise fault


def _late(late: list[str], deadline_s: float, what: str) -> P2pmpcError:
    return LocalError(
        f"{', '.join(late)}: {what} took longer than {deadline_s:g} s",
        member=late[0],
        next="Run it again; if it stays, use fewer rows or a less busy machine.",
    )
