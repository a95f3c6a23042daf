"""What a core learns from bytes alone: whose they are, whether they are signed, what they say.

Every question here has one answer for the same bytes, wherever and whenever it is asked. A node
asks once or twice an entry and computes the answer each time. A world of simulated nodes asks
thousands of times, and hands its cores a `Reading` that remembers (`simulations/reading`): the same
bytes, key and signature are then checked once for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol as Shape

from p2pmpc.address import AddressRecord
from p2pmpc.dictionary import Dictionary
from p2pmpc.record import (
    Body,
    Content,
    Entry,
    SignedEntry,
    check_alone,
    check_body,
    entry_hash,
    read_content,
)
from p2pmpc.roster import Roster, found_roster
from p2pmpc.study import Study

__all__ = ["PlainReading", "Progress", "Reading", "progress"]


@dataclass(frozen=True, slots=True)
class Progress:
    """What an entry has read since its author's entry before.

    heads    those of its heads that the one before did not have
    forgets  an author of whom it claims to have read less than before; empty for an honest entry
    """

    heads: tuple[tuple[str, int, bytes], ...]
    forgets: str


class Reading(Shape):
    """Pure functions of bytes; what they raise is as in the functions that they are named after."""

    def entry(self, signed: SignedEntry) -> Entry:
        """Parsed, not checked. Raises LogError."""

    def hash(self, signed: SignedEntry) -> bytes:
        """The entry's name, 32 bytes."""

    def sound(self, signed: SignedEntry, roster: Roster) -> Entry:
        """The entry, signed by a member, all but its place checked. Raises LogError."""

    def content(self, entry: Entry, body: Body) -> Content:
        """What the body says, which must be the entry's own. Raises LogError."""

    def progress(self, entry: Entry, before: Entry | None) -> Progress:
        """What the entry has read since the one before it in its feed."""

    def address(self, record: AddressRecord, roster: Roster) -> None:
        """Raises LogError unless a member signed it for this network."""

    def roster(self, title: str, cards: Sequence[bytes]) -> Roster:
        """The roster of these founding cards. Raises LogError."""

    def dictionary(self, data: bytes) -> Dictionary:
        """A member's description of its data. Raises P2pmpcError."""

    def study(self, data: bytes) -> Study:
        """A proposed study. Raises P2pmpcError."""


class PlainReading:
    """Computes every answer anew: nothing is kept, nothing grows."""

    __slots__ = ()

    def entry(self, signed: SignedEntry) -> Entry:
        return signed.read()

    def hash(self, signed: SignedEntry) -> bytes:
        return entry_hash(signed)

    def sound(self, signed: SignedEntry, roster: Roster) -> Entry:
        return check_alone(signed, roster)

    def content(self, entry: Entry, body: Body) -> Content:
        check_body(entry, body)
        return read_content(entry.kind, body)

    def progress(self, entry: Entry, before: Entry | None) -> Progress:
        return progress(entry, before)

    def address(self, record: AddressRecord, roster: Roster) -> None:
        record.check_signed(roster)

    def roster(self, title: str, cards: Sequence[bytes]) -> Roster:
        return found_roster(title, cards)

    def dictionary(self, data: bytes) -> Dictionary:
        return Dictionary.from_bytes(data)

    def study(self, data: bytes) -> Study:
        return Study.from_bytes(data)


def progress(entry: Entry, before: Entry | None) -> Progress:
    """Compare the heads of two entries that follow each other in one feed."""
    known = {} if before is None else {author: (seq, name) for author, seq, name in before.heads}
    heads = tuple(h for h in entry.heads if known.get(h[0]) != (h[1], h[2]))
    now = {author: seq for author, seq, _ in entry.heads}
    forgets = next((a for a, (seq, _) in known.items() if now.get(a, -1) < seq), "")
    return Progress(heads, forgets)
