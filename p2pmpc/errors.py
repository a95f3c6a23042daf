"""Everything that can go wrong, as one tree. The text of an error is the sentence the user needs.

P2pmpcError             101  an internal fault
├── WrongUsage          201  the command, a setting or a file's form is wrong
│   ├── BadStudy        202  the study file is malformed
│   ├── BadExpression   203  a `where` or a `formula` cannot be read
│   ├── BadDictionary   204  a data dictionary is malformed
│   └── BadPolicy       205  a policy file is malformed
├── Refused             301  policy or a member said no
│   ├── NotBuilt        302  a word of the interface that this version does not know yet
│   ├── Mismatch        303  members describe the same data differently
│   ├── Overflow        304  a value could leave the ring that the study needs
│   ├── Withheld        305  part of what was asked for was not released
│   ├── Withdrawn       306  the member that had proposed the study took it back
│   └── Revoked         307  a member took its consent back
├── Aborted             401  the run ended early; nothing was opened
│   ├── MemberMissing   402  a member was not heard
│   │   └── Expired     406  members did not decide before the proposal expired
│   ├── MemberMisbehaved 403 signed messages prove it
│   └── MemberSuspected 404  this member, or whoever relayed for it
├── BadData             501  a file or a value in it is unusable
├── NotFound            601  there is no such thing
├── LogError            701  a record does not verify
│   └── SplitView       702  two histories by one author
├── LocalError          102  this machine: disk, port, lock
│   └── StoreFailed     103  the record could not be written; nothing was sent
└── RemoteError         405  a peer sent what the wire format does not allow
"""

from __future__ import annotations

from typing import Any, ClassVar

__all__ = [
    "Aborted",
    "BadData",
    "BadDictionary",
    "BadExpression",
    "BadPolicy",
    "BadStudy",
    "Expired",
    "LocalError",
    "LogError",
    "MemberMisbehaved",
    "MemberMissing",
    "MemberSuspected",
    "Mismatch",
    "NotBuilt",
    "NotFound",
    "Overflow",
    "P2pmpcError",
    "Refused",
    "RemoteError",
    "Revoked",
    "SplitView",
    "StoreFailed",
    "Withdrawn",
    "Withheld",
    "WrongUsage",
    "error_from_json",
    "error_tree",
]

WHERE = ("file", "row", "column", "member", "field")


class P2pmpcError(Exception):
    """An internal fault: please report it with the file that `--debug` names."""

    code: ClassVar[int] = 101
    exit: ClassVar[int] = 1

    def __init__(self, message: str, *, next: str = "", **where: str | int | None) -> None:  # noqa: A002
        unknown = set(where) - set(WHERE)
        if unknown:
            raise TypeError(f"where has no {sorted(unknown)}")
        super().__init__(message)
        self.message = message
        self.next = next
        self.where = {k: where[k] for k in WHERE if where.get(k) is not None}

    def to_json(self) -> dict[str, Any]:
        """The `error` object of the command line: code, message, where, next."""
        return {
            "code": self.code,
            "message": self.message,
            "where": dict(self.where),
            "next": self.next,
        }


class WrongUsage(P2pmpcError):
    """The command, a setting or a file's form is wrong."""

    code, exit = 201, 2


class BadStudy(WrongUsage):
    """The study file is malformed."""

    code = 202


class BadExpression(WrongUsage):
    """A `where` or a `formula` cannot be read."""

    code = 203


class BadDictionary(WrongUsage):
    """A data dictionary is malformed."""

    code = 204


class BadPolicy(WrongUsage):
    """A policy file is malformed."""

    code = 205


class Refused(P2pmpcError):
    """Policy or a member said no."""

    code, exit = 301, 3


class NotBuilt(Refused):
    """A word of the interface that this version does not know yet."""

    code = 302


class Mismatch(Refused):
    """Members describe the same data differently."""

    code = 303


class Overflow(Refused):
    """A value could leave the ring that the study needs."""

    code = 304


class Withheld(Refused):
    """Part of what was asked for was not released."""

    code = 305


class Withdrawn(Refused):
    """The member that had proposed the study took it back."""

    code = 306


class Revoked(Refused):
    """A member took its consent back before anything was opened."""

    code = 307


class Aborted(P2pmpcError):
    """The run ended early and nothing was opened."""

    code, exit = 401, 4


class MemberMissing(Aborted):
    """A member was not heard in time."""

    code = 402


class Expired(MemberMissing):
    """Members did not decide before the proposal expired."""

    code = 406


class MemberMisbehaved(Aborted):
    """Signed messages prove that a member broke the protocol."""

    code = 403


class MemberSuspected(Aborted):
    """A member, or whoever relayed for it, sent what the protocol does not allow."""

    code = 404


class RemoteError(P2pmpcError):
    """A peer sent what the wire format does not allow."""

    code, exit = 405, 4


class BadData(P2pmpcError):
    """A file or a value in it is unusable."""

    code, exit = 501, 5


class NotFound(P2pmpcError):
    """There is no such thing."""

    code, exit = 601, 6


class LogError(P2pmpcError):
    """A record does not verify."""

    code, exit = 701, 7


class SplitView(LogError):
    """Two entries with one number by one author; `proof` holds both, for anyone to check."""

    code = 702
    proof: Any = None  # a record.ForkProof, where both entries are at hand


class LocalError(P2pmpcError):
    """This machine cannot do it: disk, port, lock."""

    code = 102


class StoreFailed(LocalError):
    """The record could not be written, so nothing that depends on it was sent."""

    code = 103


def error_tree() -> dict[int, type[P2pmpcError]]:
    """Every error class by its code."""
    found: dict[int, type[P2pmpcError]] = {}
    waiting: list[type[P2pmpcError]] = [P2pmpcError]
    while waiting:
        cls = waiting.pop()
        assert cls.code not in found, f"{cls.__name__} and {found[cls.code].__name__} share a code"
        found[cls.code] = cls
        waiting.extend(cls.__subclasses__())
    return dict(sorted(found.items()))


def error_from_json(error: dict[str, Any]) -> P2pmpcError:
    """The error that another process reported; an unknown code becomes an internal fault."""
    cls = error_tree().get(error["code"], P2pmpcError)
    return cls(error["message"], next=error.get("next", ""), **error.get("where", {}))
