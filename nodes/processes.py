"""Processes of this machine as the kernel lists them, and the memory of this one."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

__all__ = ["PROC", "descendants", "peak_memory", "program_of"]

PROC = Path("/proc")


def descendants(ancestor: int) -> list[int]:
    """The process ids below this one, the deepest last."""
    children: dict[int, list[int]] = {}
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):  # it is gone by now
                state = (entry / "stat").read_text("utf-8", "replace")  # its name may be any bytes
                parent = int(state.rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found = [ancestor]
    for one in found:
        found += children.get(one, [])
    return found[1:]


def program_of(pid: int) -> str:
    """The name of a process's program; empty when it is gone."""
    try:
        return (PROC / str(pid) / "comm").read_text("utf-8", "replace").strip() if pid else ""
    except OSError:
        return ""


def peak_memory() -> int:
    """Bytes that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
