"""Compiled loops, fetched when first used: importing a protocol must not import the compiler.

The loops stand in `protocols.kernels.loops`. Where no compiler is installed the same functions run
as plain Python, slowly and with the same results. The compiler's cache folder may be read-only;
then each process compiles for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["compile_loop", "compiled"]


@functools.cache
def compiled(name: str) -> Callable[..., Any]:
    """The named loop of `protocols.kernels.loops`, compiled."""
    from protocols.kernels import loops

    return compile_loop(getattr(loops, name))


def compile_loop(plain: Callable[..., Any]) -> Callable[..., Any]:
    """This loop compiled, releasing the interpreter's lock; itself where no compiler is."""
    try:
        import numba
    except ImportError:
        return plain
    try:
        made: Callable[..., Any] = numba.njit(cache=True, nogil=True)(plain)
    except RuntimeError:  # no folder for the cache can be written
        made = numba.njit(nogil=True)(plain)
    return made
