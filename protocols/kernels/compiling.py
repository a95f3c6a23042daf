"""Compiled loops, fetched when first used: importing a protocol must not import the compiler.

The loops stand in `protocols.kernels.loops`. Where no compiler is installed the same functions run
as plain Python, slowly and with the same results. The compiler's cache folder may be read-only;
then each process compiles for itself.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

__all__ = ["compiled"]


@functools.cache
def compiled(name: str) -> Callable[..., Any]:
    """The named loop of `protocols.kernels.loops`, compiled; it releases the interpreter's lock."""
    from protocols.kernels import loops

    plain: Callable[..., Any] = getattr(loops, name)
    try:
        import numba
    except ImportError:
        return plain
    try:
        made: Callable[..., Any] = numba.njit(cache=True, nogil=True)(plain)
    except RuntimeError:  # no folder for the cache can be written
        made = numba.njit(nogil=True)(plain)
    return made
