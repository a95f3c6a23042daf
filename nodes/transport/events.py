"""What the transport tells the node, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from p2pmpc.messages import Message

__all__ = [
    "Event",
    "LinkDown",
    "LinkUp",
    "MailIn",
    "MailRefused",
    "MemberAddress",
    "PeerRefused",
    "Received",
    "SessionUnknown",
    "TwinFound",
]


@dataclass(frozen=True, slots=True)
class MemberAddress:
    """A member's certificate (DER) and where it listens (`host:port`)."""

    certificate: bytes
    address: str


@dataclass(frozen=True, slots=True)
class LinkUp:
    """A member's link is up: its certificate is the roster's and its Hello fits."""

    peer: str


@dataclass(frozen=True, slots=True)
class LinkDown:
    """`refused`: nothing listens at the peer's address, so its process is dead."""

    peer: str
    reason: str
    refused: bool


@dataclass(frozen=True, slots=True)
class Received:
    """A control message."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class MailIn:
    """One mail, once, in the order in which the peer posted it."""

    session: bytes
    peer: str
    name: str
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class MailRefused:
    """A peer's mail for this session broke the format or its signature does not hold."""

    session: bytes
    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class PeerRefused:
    """Somebody was not let in, or somebody else answers at a member's address."""

    what: str
    fingerprint: str


@dataclass(frozen=True, slots=True)
class SessionUnknown:
    """The peer does not know this session (any more): its process was started again."""

    session: bytes
    peer: str


@dataclass(frozen=True, slots=True)
class TwinFound:
    """Two processes link with one certificate, in turns: the peer's, or this node's own."""

    member: str


Event: TypeAlias = (
    LinkUp | LinkDown | Received | MailIn | MailRefused | PeerRefused | SessionUnknown | TwinFound
)
