"""What one member may sign in the life of a study, judged from its own feed, entry by entry.

Against members who open twice, go on with what they had ended, or let others believe in an attempt
that had not begun: whatever here is a fault, a node that keeps to the rules never writes. Every
rule looks at entries before the one it judges, so that nothing depends on where a bundle ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from p2pmpc.certificate import Certificate
from p2pmpc.record import (
    Answered,
    Consent,
    Ended,
    Entry,
    Ready,
    Recovered,
    Refusal,
    Release,
    Released,
    Revocation,
    Withheld,
    wrong_entry,
)

if TYPE_CHECKING:
    from p2pmpc.audit import Filing

__all__ = ["Attempt", "Lives", "had_read"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """A session that was certified: of which study, the how-manieth attempt at it."""

    certificate: Certificate
    number: int  # 0 where the body of its `ready` is erased

    @property
    def study(self) -> str:
        return self.certificate.study.hex()


@dataclass(slots=True)
class Life:
    """What an author had signed of one study so far."""

    consented: bool = False
    closed: str = ""  # how it left the study
    readies: dict[int, Ready] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    opened: dict[bytes, int] = field(default_factory=dict)  # session -> attempt


@dataclass(slots=True)
class Lives:
    """One walk over all feeds. Made by the audit, for which `erased` are (author, kind)."""

    attempts: Mapping[bytes, Attempt]  # by session
    erased: set[tuple[str, str]]
    ends: dict[tuple[str, int], list[Entry]] = field(default_factory=dict)  # sound ones, by attempt
    revoked: dict[str, list[Entry]] = field(default_factory=dict)
    lives: dict[tuple[str, str], Life] = field(default_factory=dict)  # by author and study

    def gather(self, filings: Iterable[Filing]) -> None:
        """What others may have read: ends of attempts that had begun, consents taken back."""
        begun: set[tuple[str, str, int]] = set()
        given: set[tuple[str, str]] = set()
        for filing in filings:
            author, note = filing.entry.author, filing.content
            if isinstance(note, Ready):
                begun.add((author, note.study, note.attempt))
            elif isinstance(note, Consent):
                given.add((author, note.study))
            elif isinstance(note, Ended) and (author, note.study, note.attempt) in begun:
                self.ends.setdefault((note.study, note.attempt), []).append(filing.entry)
            elif isinstance(note, Revocation) and (author, note.study) in given:
                self.revoked.setdefault(note.study, []).append(filing.entry)

    def check(self, filing: Filing) -> None:
        """The next entry of its author's feed. Raises LogError for what it should not hold."""
        entry, note = filing.entry, filing.content
        match note:
            case Consent():
                self._life(entry, note.study).consented = True
            case Refusal():
                self._check_refusal(entry, self._life(entry, note.study))
            case Ready():
                self._check_ready(entry, note, self._life(entry, note.study))
            case Ended():
                self._check_ended(entry, note, self._life(entry, note.study))
            case Revocation():
                self._life(entry, note.study).closed = "taken its consent back"
            case Release() | Released():
                self._check_open(entry, note)
            case Answered() | Withheld():
                self._check_close(entry, note)
            case Recovered():
                if (note.seq, note.hash) != (entry.seq - 1, entry.prev):
                    raise wrong_entry(entry, "says that its feed was fetched up to another entry")
            case _:
                pass

    def _life(self, entry: Entry, study: str) -> Life:
        return self.lives.setdefault((entry.author, study), Life())

    def _check_refusal(self, entry: Entry, life: Life) -> None:
        if life.consented:
            raise wrong_entry(entry, "refuses a study that it had consented to")
        life.closed = life.closed or "refused it"

    def _check_ready(self, entry: Entry, note: Ready, life: Life) -> None:
        before, first = dict(life.readies), next(iter(life.readies.values()), note)
        life.readies.setdefault(note.attempt, note)
        what = f"is ready for attempt {note.attempt}"
        if life.closed:
            raise wrong_entry(entry, f"{what}, and had {life.closed}")
        if life.opened:
            raise wrong_entry(entry, f"{what}, and its share of an earlier one may have left")
        if before and max(before) >= note.attempt:
            raise wrong_entry(entry, f"{what} after it was ready for attempt {max(before)}")
        if first.snapshot != note.snapshot:
            raise wrong_entry(entry, f"{what} with other rows than for its first")
        if not life.consented and (entry.author, "consent") not in self.erased:
            raise wrong_entry(entry, f"{what} without having consented")
        self._check_due(entry, note, what)

    def _check_due(self, entry: Entry, note: Ready, what: str) -> None:
        """The attempt before had ended at somebody who had been ready for it."""
        hidden = any(kind in {"ended", "ready"} for _, kind in self.erased)
        ends = self.ends.get((note.study, note.attempt - 1), ())
        if note.attempt > 1 and not hidden and not any(had_read(entry, end) for end in ends):
            raise wrong_entry(entry, f"{what}, and had read of no end of the one before")

    def _check_ended(self, entry: Entry, note: Ended, life: Life) -> None:
        if not note.attempt:
            life.closed = life.closed or "ended it"
            return
        life.ended.add(note.attempt)
        if note.attempt in life.opened.values():
            what = f"ends attempt {note.attempt}, and its share of it may have left"
            raise wrong_entry(entry, what)

    def _check_open(self, entry: Entry, note: Release | Released) -> None:
        """What was certified is of a study and an attempt that its author had not left."""
        attempt = self.attempts.get(note.session)
        if attempt is None:
            return
        life = self._life(entry, attempt.study)
        others = set(life.opened) - {note.session}
        if isinstance(note, Released):
            life.opened[note.session] = attempt.number
        if life.closed:
            raise wrong_entry(entry, f"releases a study, and had {life.closed}")
        if attempt.number in life.ended:
            raise wrong_entry(entry, f"releases attempt {attempt.number}, which it had ended")
        if others:
            raise wrong_entry(entry, "releases a second attempt at one study")
        if isinstance(note, Release):  # `released` may follow in the batch that brought both
            self._check_unrevoked(entry, attempt)

    def _check_unrevoked(self, entry: Entry, attempt: Attempt) -> None:
        for end in self.revoked.get(attempt.study, ()):
            if end.author in attempt.certificate.parties and had_read(entry, end):
                raise wrong_entry(entry, f"releases, and had read that {end.author} revoked")

    def _check_close(self, entry: Entry, note: Answered | Withheld) -> None:
        attempt = self.attempts.get(note.session)
        if isinstance(note, Withheld):
            self._check_withheld(entry, note, attempt)
        elif attempt is not None and entry.author not in attempt.certificate.recipients:
            raise wrong_entry(entry, "answers, and is no recipient")

    def _check_withheld(self, entry: Entry, note: Withheld, attempt: Attempt | None) -> None:
        opened = attempt and note.session in self._life(entry, attempt.study).opened
        if not opened and (entry.author, "released") not in self.erased:
            raise wrong_entry(entry, "withholds a session for which it holds no certificate")
        if attempt is not None and any(attempt.certificate.verdicts):
            raise wrong_entry(entry, "withholds what had passed by the certificate")


def had_read(reader: Entry, other: Entry) -> bool:
    """Whether the first entry's author had read the other entry, or written it, before."""
    if reader.author == other.author:
        return other.seq < reader.seq
    return any(author == other.author and seq >= other.seq for author, seq, _ in reader.heads)
