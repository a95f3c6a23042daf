"""What others are told when a study ends early at this member: a code, a sentence, nothing private.

An end is said to every party and stands on the record. What went wrong on this machine alone (a
file, a row, a full disk) is told to its own people in full and to everybody else as a number.
"""

from __future__ import annotations

from typing import Any

from p2pmpc.errors import Aborted, P2pmpcError, Refused, RemoteError, error_tree
from p2pmpc.messages import sentence

__all__ = ["error_json", "shared_code", "shared_text"]


def shared_code(code: int) -> int:
    """The code of an end that concerns other members; this machine's own troubles are 401."""
    cls = error_tree().get(code, P2pmpcError)
    return code if issubclass(cls, Aborted | Refused | RemoteError) else Aborted.code


def shared_text(name: str, code: int, why: str) -> str:
    """What other members and the record are told of an end: no file, row or value of this one."""
    if shared_code(code) == code:
        return sentence(why)
    return f"{name} could not go on: error {code} on its own machine"


def error_json(code: int, message: str, member: str, would_pass: str) -> dict[str, Any]:
    """The error as the interface spells it."""
    cls = error_tree().get(code, P2pmpcError)
    return cls(message, next=would_pass, member=member or None).to_json()
