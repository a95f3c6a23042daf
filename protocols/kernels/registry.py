"""Kernels by name: what a protocol's `Compute` step may ask for.

A kernel is a pure function of its arguments. Its portable twin gives the same bytes on any
machine and is what tests compare it with. `unit` says what one cost unit is.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

__all__ = ["KERNELS", "Kernel", "register", "run_kernel"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A pure function, its twin that gives the same bytes anywhere, and its unit of cost."""

    name: str
    run: Callable[..., Any]
    portable: Callable[..., Any]
    unit: str


KERNELS: dict[str, Kernel] = {}


def register(name: str, run: Callable[..., Any], portable: Callable[..., Any], unit: str) -> None:
    """Add a kernel. A name is registered once."""
    assert name not in KERNELS, f"kernel {name} is registered twice"
    KERNELS[name] = Kernel(name, run, portable, unit)


def run_kernel(name: str, *arguments: Any) -> Any:
    """Run a kernel here and now; the driver runs the same on a thread."""
    return KERNELS[name].run(*arguments)
