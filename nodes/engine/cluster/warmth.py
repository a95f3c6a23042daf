"""What a Session does before its brief comes, so that no study pays for it."""

from __future__ import annotations

from protocols import joint

__all__ = ["warm_up"]


def warm_up() -> None:
    """Load everything that a session uses, compiled kernels among it."""
    assert joint.NAMES
