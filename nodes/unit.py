"""The systemd unit of nodes on one machine, one instance a node: `p2pmpc-node@NAME.service`."""

from __future__ import annotations

import sys
from importlib.resources import files
from pathlib import Path

__all__ = ["unit_text"]


def unit_text() -> str:
    """The unit with the place of this installation in it."""
    plain = files("nodes").joinpath("p2pmpc-node@.service").read_text("utf-8")
    return plain.replace("@PYTHON@", sys.executable).replace("@ROOT@", _root())


def _root() -> str:
    return str(Path(__file__).resolve().parent.parent)
