"""What happens to a node (events) and what it does about it (effects), as plain values.

The core turns one into the other and touches nothing else. A shell carries effects out in order,
and before all others the `Append`s of one batch, in one durable transaction: what is signed is on
this disk before any other machine sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from p2pmpc.dictionary import Dictionary
from p2pmpc.messages import Message
from p2pmpc.policy import Policy
from p2pmpc.record import Body, SignedEntry

__all__ = [
    "Append",
    "Connect",
    "DatasetAdded",
    "Decided",
    "Effect",
    "Emit",
    "Event",
    "Founded",
    "Gone",
    "LinkLost",
    "LinkMade",
    "Listening",
    "PolicySet",
    "Proposed",
    "Received",
    "Remember",
    "ResumeSession",
    "RevokeAsked",
    "Send",
    "SessionEnded",
    "SessionOrder",
    "SessionPaused",
    "SessionStopped",
    "SetTimer",
    "StartSession",
    "StopSession",
    "TimerFired",
    "WithdrawAsked",
]

# ---- events --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Founded:
    """A person handed in the cards of all founding members, this one's among them."""

    title: str
    cards: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class DatasetAdded:
    """A data set was read and checked on this machine; `commitment` binds its content."""

    dictionary: Dictionary
    commitment: bytes


@dataclass(frozen=True, slots=True)
class PolicySet:
    """The member's own rules from now on."""

    policy: Policy


@dataclass(frozen=True, slots=True)
class Proposed:
    """A researcher handed in a study.

    expires_ms  until when members may decide, by this node's clock; 0 leaves it to the settings
    """

    study: bytes
    researcher: bytes
    signature: bytes
    expires_ms: int = 0


@dataclass(frozen=True, slots=True)
class Decided:
    """A steward of this member has read exactly the study with this hash, and says yes or no."""

    study: str
    study_hash: bytes
    approve: bool
    why: str


@dataclass(frozen=True, slots=True)
class WithdrawAsked:
    """A person takes back a study that was proposed through this member."""

    study: str
    why: str


@dataclass(frozen=True, slots=True)
class RevokeAsked:
    """A person takes this member's consent back."""

    study: str
    why: str


@dataclass(frozen=True, slots=True)
class Listening:
    """Other members dial this node at `address` (`host:port`) from now on."""

    address: str


@dataclass(frozen=True, slots=True)
class LinkMade:
    """A member can be sent to."""

    peer: str


@dataclass(frozen=True, slots=True)
class LinkLost:
    """A member can no longer be sent to; what was sent may not have arrived."""

    peer: str
    reason: str


@dataclass(frozen=True, slots=True)
class Received:
    """A control message from an authenticated peer."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class TimerFired:
    """A timer that the core set has run out."""

    name: str


@dataclass(frozen=True, slots=True)
class SessionPaused:
    """The session waits for a fact to be on disk (`checked`) or certified (`release`)."""

    session: bytes
    kind: str
    facts: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session ran to its end; a recipient has the hash of the answer and its salt."""

    session: bytes
    answer_hash: bytes
    released: bool


@dataclass(frozen=True, slots=True)
class SessionStopped:
    """The session ended early. `waited_for` is empty when nobody in particular was."""

    session: bytes
    code: int
    why: str
    waited_for: str
    told_by: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A member that a study waits for before its session has not been reached for too long."""

    study: str
    member: str
    why: str


Event: TypeAlias = (
    Founded
    | DatasetAdded
    | PolicySet
    | Proposed
    | Decided
    | WithdrawAsked
    | RevokeAsked
    | Listening
    | LinkMade
    | LinkLost
    | Received
    | TimerFired
    | SessionPaused
    | SessionEnded
    | SessionStopped
    | Gone
)

# ---- effects -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Append:
    """Entries for the store. All of one batch are durable before its other effects happen."""

    entries: tuple[tuple[SignedEntry, Body | None], ...]


@dataclass(frozen=True, slots=True)
class Remember:
    """A small value for the store, in place of the one before under this key."""

    key: str
    value: bytes


@dataclass(frozen=True, slots=True)
class Connect:
    """The roster holds: listen to and dial these members."""

    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Send:
    """A control message for one peer; lost when its link is, gossip repeats what matters."""

    peer: str
    message: Message


@dataclass(frozen=True, slots=True)
class SetTimer:
    """Fire once, `after_s` from now; setting a name again moves it."""

    name: str
    after_s: float


@dataclass(frozen=True, slots=True)
class SessionOrder:
    """All that a session is told. `secret` is this attempt's X25519 key and dies with it."""

    session: bytes
    study: str
    parties: tuple[str, ...]
    recipients: tuple[str, ...]
    peer_keys: Mapping[str, bytes]
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartSession:
    """All parties are ready: run the protocol."""

    order: SessionOrder


@dataclass(frozen=True, slots=True)
class ResumeSession:
    """What the session paused for holds; a release comes with the complete certificate."""

    session: bytes
    certificate: bytes = b""
    signatures: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class StopSession:
    """End the run at its next wait; `told_by` is who said so, empty when it is this node."""

    session: bytes
    code: int
    why: str
    waited_for: str
    told_by: str


@dataclass(frozen=True, slots=True)
class Emit:
    """One line of a study's story, for people: a word of a closed vocabulary and plain text."""

    study: str
    event: str
    member: str
    text: str
    error: Mapping[str, Any] | None = None


Effect: TypeAlias = (
    Append
    | Remember
    | Connect
    | Send
    | SetTimer
    | StartSession
    | ResumeSession
    | StopSession
    | Emit
)
