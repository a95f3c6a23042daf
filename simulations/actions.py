"""What can happen in a world, as plain values; `world.ACTIONS` says what comes of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from nodes.core.effects import Event
from p2pmpc.messages import Message

__all__ = [
    "Action",
    "Change",
    "Decide",
    "Deliver",
    "Dial",
    "Happen",
    "Lie",
    "Look",
    "Notice",
    "Propose",
    "Ring",
    "Start",
    "Strike",
    "Watch",
]


@dataclass(frozen=True, slots=True)
class Start:
    node: int


@dataclass(frozen=True, slots=True)
class Happen:
    """An event for one life of a node."""

    node: int
    life: int
    event: Event


@dataclass(frozen=True, slots=True)
class Deliver:
    sender: int
    receiver: int
    connection: int
    message: Message | bytes


@dataclass(frozen=True, slots=True)
class Ring:
    """A timer; it counts if it was not set again."""

    node: int
    life: int
    name: str
    setting: int


@dataclass(frozen=True, slots=True)
class Dial:
    """A node tries the members that it has no link to."""

    node: int
    life: int


@dataclass(frozen=True, slots=True)
class Notice:
    """A node looks at its link to a peer."""

    node: int
    peer: int


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault begins or ends."""

    fault: int
    begins: bool


@dataclass(frozen=True, slots=True)
class Propose:
    errand: int


@dataclass(frozen=True, slots=True)
class Decide:
    """A party's steward comes to the study that it was asked about."""

    errand: int
    party: str


@dataclass(frozen=True, slots=True)
class Change:
    """A researcher withdraws its study, or a party ("who") takes its consent back."""

    errand: int
    who: str


@dataclass(frozen=True, slots=True)
class Lie:
    """A member that lies does its next deed."""

    node: int
    deed: int


@dataclass(frozen=True, slots=True)
class Look:
    """A session goes on, if its parties reach each other."""

    session: bytes


@dataclass(frozen=True, slots=True)
class Watch:
    """A session's parties look for one that is gone."""

    session: bytes


Action: TypeAlias = (
    Start
    | Happen
    | Deliver
    | Ring
    | Dial
    | Notice
    | Strike
    | Propose
    | Decide
    | Change
    | Lie
    | Look
    | Watch
)
