"""Processes of this machine as the kernel lists them, and the memory of this one."""

from __future__ import annotations

import contextlib
import ctypes
import resource
from pathlib import Path

__all__ = [
    "PROC",
    "descendants",
    "give_back_memory",
    "keep_freed_memory",
    "peak_memory",
    "program_of",
]

PROC = Path("/proc")
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # malloc.h
KEPT_BYTES = 2**27  # freed memory at the heap's end beyond which glibc gives back: some mails
ARRAY_BYTES = 2**25  # the largest block that glibc lets stay; a message and its parts are smaller


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


def keep_freed_memory() -> bool:
    """Freed blocks stay with this process for the next array, until `give_back_memory`.

    Else each array of a message's size is given back and taken anew from the kernel, which clears
    every page: more time than is spent on hashing it. False where the C library has no such choice.
    """
    try:
        choose = ctypes.CDLL(None).mallopt
    except AttributeError:
        return False
    chosen = {
        M_ARENA_MAX: 1,  # else each thread would keep as much
        M_MMAP_THRESHOLD: ARRAY_BYTES,
        M_TRIM_THRESHOLD: KEPT_BYTES,
    }
    return all(choose(what, size) for what, size in chosen.items())


def give_back_memory() -> None:
    """All freed memory goes back to the kernel: nothing large is about to be made."""
    with contextlib.suppress(AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
