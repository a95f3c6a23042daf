"""The life of a study at one node, as a table.

    proposed -> agreed -> ready -> computing -> checked -> releasing -> opening -> answered
                                                                               \\-> withheld
    side exits from everywhere before `releasing`: refused, failed

What moves it are entries in the members' feeds and the session on this machine; anything else is
refused by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from p2pmpc.certificate import Certificate
from p2pmpc.dictionary import Dictionary
from p2pmpc.errors import LogError, P2pmpcError
from p2pmpc.record import Checked, Consent, Content, Ended, Ready, Refusal, Release
from p2pmpc.study import Study

__all__ = ["STUDY", "Case", "EndedNote", "Word", "move", "read_or_refuse", "topic_of"]

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
    ("proposed", "refused"): "refused",
    ("agreed", "refused"): "refused",
    ("proposed", "ended"): "failed",
    ("agreed", "ended"): "failed",
    ("ready", "ended"): "failed",
    ("computing", "ended"): "failed",
    ("checked", "ended"): "failed",
    ("releasing", "ended"): "failed",
    ("opening", "ended"): "failed",
}

FINAL = frozenset({"answered", "withheld", "refused", "failed"})


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
    """One study as this node knows it. Written by the core alone."""

    study: Study
    state: str = "proposed"
    proposer: str = ""  # the member through whom it was proposed
    expires_ms: int = 0  # members may decide until then, by their own clocks; 0: for ever
    words: dict[str, Word] = field(default_factory=dict)  # member -> its last word, for people
    consents: dict[str, bytes] = field(default_factory=dict)  # member -> entry hash
    rules: dict[str, bytes] = field(default_factory=dict)  # member -> its rules, as consented
    refusals: dict[str, str] = field(default_factory=dict)
    asked: bool = False  # a steward was asked, once
    described: Mapping[str, Mapping[str, Dictionary]] = field(default_factory=dict)  # as consented
    commitments: Mapping[str, bytes] = field(default_factory=dict)  # own data sets, as ready
    readies: dict[str, tuple[bytes, Ready]] = field(default_factory=dict)  # member -> hash, content
    secret: bytes = b""
    session: bytes = b""
    certificate: Certificate | None = None
    checked: dict[str, bytes] = field(default_factory=dict)  # member -> transcript
    releases: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)  # hash, signature
    ended: EndedNote | None = None

    def __repr__(self) -> str:
        return f"Case({self.study.id}, {self.state})"

    @property
    def id(self) -> str:
        return self.study.id

    @property
    def final(self) -> bool:
        return self.state in FINAL


def move(case: Case, event: str) -> None:
    """Follow the table. Raises P2pmpcError for a step that it does not have."""
    following = STUDY.get((case.state, event))
    if following is None:
        raise P2pmpcError(f"study {case.id} is {case.state}; {event!r} cannot happen now")
    case.state = following


def topic_of(content: Content | None) -> str | bytes | None:
    """The study or session that an entry is about and that must be known before it."""
    if isinstance(content, Consent | Refusal | Ready | Ended):
        return content.study
    return content.session if isinstance(content, Checked | Release) else None


def read_or_refuse(read: Callable[[], T]) -> T:
    """What other people wrote. Whatever trips its reader means nothing, and stops nothing."""
    try:
        return read()
    except (ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as fault:
        raise LogError(f"it cannot be read ({type(fault).__name__})") from None
