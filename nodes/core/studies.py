"""The life of a study at one node, as a table.

    proposed -> agreed -> ready -> computing -> checked -> releasing -> opening -> answered
       ^          ^ \\______________________________________/             \\-> withheld
    proposal      the attempt ended: the next one, at most attempts in all

    exit        from                    by
    refused     proposed                one member's refusal
    expired     proposed, agreed        the node's clock, or a party whose clock says so
    withdrawn   proposed to releasing   the member through whom it was proposed
    revoked     proposed to opening     a member that had consented; it holds no `released`
    failed      everywhere              a fault that would recur, or the last attempt

One attempt is `ready` to `opening`. Until its own `released` a node's share of the answer has not
left it, and what ends the attempt leads back to `agreed`; afterwards it ends the study, because
nobody opens a second answer beside one that may exist. A node that is no party follows what the
parties write: `agreed` until one of them says how it ended.

What moves it are entries in the members' feeds, the session on this machine and the clock; anything
else is refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from nodes.core.feeds import Known
from p2pmpc.certificate import Certificate, read_certificate
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import Expired, LogError, P2pmpcError, Revoked, Withdrawn
from p2pmpc.record import (
    Answered,
    Checked,
    Consent,
    Content,
    Ended,
    Ready,
    Refusal,
    Release,
    Released,
    Revocation,
    Withdrawal,
    Withheld,
)
from p2pmpc.study import Study

__all__ = [
    "ENDS",
    "FINAL",
    "RUNNING",
    "STUDY",
    "Case",
    "EndedNote",
    "Word",
    "following",
    "read_or_refuse",
    "topic_of",
]

T = TypeVar("T")

STUDY: Mapping[tuple[str, str], str] = {
    ("proposed", "consents held"): "agreed",
    ("agreed", "own ready"): "ready",
    ("ready", "all ready"): "computing",
    ("computing", "transcript recorded"): "checked",
    ("checked", "own release"): "releasing",
    ("releasing", "certificate complete"): "opening",
    ("opening", "answer read"): "answered",
    ("opening", "nothing passed"): "withheld",
    ("ready", "attempt ended"): "agreed",
    ("computing", "attempt ended"): "agreed",
    ("checked", "attempt ended"): "agreed",
    ("releasing", "attempt ended"): "agreed",
    ("proposed", "refused"): "refused",
    ("proposed", "expired"): "expired",
    ("agreed", "expired"): "expired",
    ("proposed", "withdrawn"): "withdrawn",
    ("agreed", "withdrawn"): "withdrawn",
    ("ready", "withdrawn"): "withdrawn",
    ("computing", "withdrawn"): "withdrawn",
    ("checked", "withdrawn"): "withdrawn",
    ("releasing", "withdrawn"): "withdrawn",
    ("proposed", "revoked"): "revoked",
    ("agreed", "revoked"): "revoked",
    ("ready", "revoked"): "revoked",
    ("computing", "revoked"): "revoked",
    ("checked", "revoked"): "revoked",
    ("releasing", "revoked"): "revoked",
    ("opening", "revoked"): "revoked",
    ("proposed", "ended"): "failed",
    ("agreed", "ended"): "failed",
    ("ready", "ended"): "failed",
    ("computing", "ended"): "failed",
    ("checked", "ended"): "failed",
    ("releasing", "ended"): "failed",
    ("opening", "ended"): "failed",
    ("agreed", "seen answered"): "answered",
    ("agreed", "seen withheld"): "withheld",
}

FINAL = frozenset({"answered", "withheld", "refused", "failed", "expired", "withdrawn", "revoked"})
RUNNING = ("ready", "computing", "checked", "releasing", "opening")  # holds one of the places
ENDS: Mapping[int, str] = {  # the code of an end of the whole study -> the event in the table
    Expired.code: "expired",
    Withdrawn.code: "withdrawn",
    Revoked.code: "revoked",
}


@dataclass(frozen=True, slots=True)
class EndedNote:
    """Why a study ended early: an error code, a sentence, and who was waited for."""

    code: int
    why: str
    waited_for: str
    would_pass: str = ""


@dataclass(frozen=True, slots=True)
class Word:
    """What a member said when it decided, and when by its own clock."""

    reason: str
    unix_ms: int


@dataclass(slots=True)
class Case:
    """One study as this node knows it. Written by the core alone.

    attempt  the attempt that this member was last ready for; 0 before the first
    due      the attempt that the members are at: one more than the last that a party ended
    """

    study: Study
    proposer: str = ""  # the member through whom it was first proposed, as heard here
    expires_ms: int = 0  # members may decide until then, by the proposer's clock
    state: str = "proposed"
    proposers: set[str] = field(default_factory=set)  # each may take back that it asks this
    withdrew: set[str] = field(default_factory=set)  # proposers that did
    due_ms: int = 0  # when it expires here
    words: dict[str, Word] = field(default_factory=dict)  # member -> its last word, for people
    consents: dict[str, bytes] = field(default_factory=dict)  # member -> entry hash
    rules: dict[str, bytes] = field(default_factory=dict)  # member -> its rules, as consented
    refusals: dict[str, str] = field(default_factory=dict)
    asked: bool = False  # a steward was asked, once
    described: Mapping[str, Mapping[str, Dictionary]] = field(default_factory=dict)  # as consented
    attempt: int = 0
    due: int = 1
    resting: bool = False  # the next attempt waits for its timer, or for another member's `ready`
    ready_ms: int = 0  # since when this member waits for the others of the attempt
    over: dict[int, EndedNote] = field(default_factory=dict)  # attempt -> why it ended
    commitments: Mapping[str, bytes] = field(default_factory=dict)  # own data sets, as ready
    snapshots: dict[str, bytes] = field(default_factory=dict)  # member -> of its first `ready`
    readies: dict[str, tuple[bytes, Ready]] = field(default_factory=dict)  # of the attempt `due`
    gathered: dict[int, dict[str, bytes]] = field(default_factory=dict)  # attempt -> entry hashes
    secret: bytes = b""
    session: bytes = b""
    certificate: Certificate | None = None
    checked: dict[str, bytes] = field(default_factory=dict)  # member -> transcript
    releases: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)  # hash, signature
    released: set[str] = field(default_factory=set)  # members whose share may have left
    certified: bytes = b""  # digest of the signed certificate that was checked here last
    early: list[Known] = field(default_factory=list)  # of attempts that have not begun here
    ended: EndedNote | None = None

    def __repr__(self) -> str:
        return f"Case({self.study.id}, {self.state})"

    @property
    def id(self) -> str:
        return self.study.id

    @property
    def final(self) -> bool:
        return self.state in FINAL

    def begin_attempt(self) -> None:
        """Nothing of an earlier session is left for the next."""
        self.secret, self.session, self.certificate = b"", b"", None
        self.checked, self.releases = {}, {}

    def forget(self) -> None:
        """It has ended: keep what people ask later, and which session was its last."""
        session = self.session
        self.begin_attempt()
        self.session = session
        self.rules, self.described, self.commitments = {}, {}, {}
        self.readies, self.snapshots, self.released = {}, {}, set()
        self.early = []
        self.gathered = {k: mine for k, mine in self.gathered.items() if k == self.due}


def following(case: Case, event: str) -> str:
    """Where the table leads. Raises P2pmpcError for a step that it does not have."""
    found = STUDY.get((case.state, event))
    if found is None:
        raise P2pmpcError(f"study {case.id} is {case.state}; {event!r} cannot happen now")
    return found


def topic_of(content: Content | None) -> str | bytes | None:
    """The study or session that an entry is about and that must be known before it."""
    if isinstance(content, Consent | Refusal | Ready | Ended | Withdrawal | Revocation):
        return content.study
    if isinstance(content, Released):
        return _certified_study(content)
    return content.session if isinstance(content, Checked | Release | Answered | Withheld) else None


def _certified_study(note: Released) -> str | None:
    try:
        return read_certificate(note.certificate).study.hex()
    except LogError:
        return None  # it is refused where its conclusions are drawn


def read_or_refuse(read: Callable[[], T]) -> T:
    """What other people wrote. Whatever trips its reader means nothing, and stops nothing."""
    try:
        return read()
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as fault:
        raise LogError(f"it cannot be read ({type(fault).__name__})") from None
