"""Kernels as Ray tasks, for clusters that span machines; the same bytes as on one's own threads.

A kernel is a pure function: a task that died with its machine is run again, twice at most. Its
arguments lie in Ray's object store while it runs, session keys among them, which is why threads are
the default: on one machine they give all the speed there is.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

__all__ = ["RETRIES", "TaskExecutor"]

RETRIES = 2


def run_here(name: str, *arguments: Any) -> Any:
    """The task: a fresh worker registers all kernels first."""
    import protocols.joint  # noqa: F401  registers the kernels
    from protocols.kernels.registry import run_kernel

    return run_kernel(name, *arguments)


class TaskExecutor(Executor):
    """Takes `run_kernel` alone, and runs it somewhere in the cluster."""

    def __init__(self) -> None:
        import ray

        self._task = ray.remote(num_cpus=1, max_retries=RETRIES)(run_here)

    def submit(  # type: ignore[override]  # one function, whose arguments are known
        self, work: Callable[..., Any], name: str, /, *arguments: Any
    ) -> Future[Any]:
        """The future of one kernel's result."""
        assert work.__name__ == "run_kernel", "only kernels are tasks"
        found: Future[Any] = self._task.remote(name, *arguments).future()
        return found
