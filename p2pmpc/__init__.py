"""p2pmpc: a peer-to-peer network for secure joint statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from p2pmpc import errors
    from p2pmpc.answer import Answer
    from p2pmpc.client import rehearse
    from p2pmpc.dictionary import Dictionary
    from p2pmpc.node import Node, StudyHandle, connect
    from p2pmpc.policy import Policy, Rules
    from p2pmpc.study import Alias, Link, Privacy, Statistic, Study

__version__ = "0.1.0"

__all__ = [
    "Alias",
    "Answer",
    "Dictionary",
    "Link",
    "Node",
    "Policy",
    "Privacy",
    "Rules",
    "Statistic",
    "Study",
    "StudyHandle",
    "__version__",
    "connect",
    "errors",
    "rehearse",
]

# Name -> module; loaded when first asked for, so that `import p2pmpc` stays light.
PLACES = {
    "Alias": "p2pmpc.study",
    "Answer": "p2pmpc.answer",
    "Dictionary": "p2pmpc.dictionary",
    "Link": "p2pmpc.study",
    "Node": "p2pmpc.node",
    "Policy": "p2pmpc.policy",
    "Privacy": "p2pmpc.study",
    "Rules": "p2pmpc.policy",
    "Statistic": "p2pmpc.study",
    "Study": "p2pmpc.study",
    "StudyHandle": "p2pmpc.node",
    "connect": "p2pmpc.node",
    "rehearse": "p2pmpc.client",
}


def __getattr__(name: str) -> Any:
    from importlib import import_module

    if name == "errors":
        return import_module("p2pmpc.errors")
    if name not in PLACES:
        raise AttributeError(f"module 'p2pmpc' has no attribute {name!r}")
    return getattr(import_module(PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
