"""What all cores of a world would compute anew from the same bytes, computed once.

Every answer is a function of the bytes that are asked about (`nodes/core/reading`), and the bytes
themselves are the key: an entry that differs in one bit, or comes with another signature or under
another roster, is checked for itself. What fails is not kept and fails again. So a world of n nodes
verifies each signature once instead of n times; nothing is left out.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nodes.core.reading import PlainReading, Progress, progress
from p2pmpc.address import AddressRecord
from p2pmpc.dictionary import Dictionary
from p2pmpc.record import Body, Content, Entry, SignedEntry
from p2pmpc.roster import Roster
from p2pmpc.study import Study
from simulations.memory import Library

__all__ = ["SharedReading"]


@dataclass(slots=True)
class SharedReading:
    """One for all cores of a world. `counts` says how many answers were new and how many known."""

    library: Library
    plain: PlainReading = field(default_factory=PlainReading)
    checked: dict[tuple[bytes, bytes, bytes], Entry] = field(default_factory=dict)
    contents: dict[tuple[str, bytes, bytes, bytes], Content] = field(default_factory=dict)
    steps: dict[tuple[int, int], tuple[Entry, Entry | None, Progress]] = field(default_factory=dict)
    addresses: set[tuple[AddressRecord, bytes]] = field(default_factory=set)
    rosters: dict[tuple[str, tuple[bytes, ...]], Roster] = field(default_factory=dict)
    dictionaries: dict[bytes, Dictionary] = field(default_factory=dict)
    studies: dict[bytes, Study] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def entry(self, signed: SignedEntry) -> Entry:
        return self.library.volume(signed).entry

    def hash(self, signed: SignedEntry) -> bytes:
        return self.library.volume(signed).hash

    def sound(self, signed: SignedEntry, roster: Roster) -> Entry:
        key = (signed.entry, signed.signature, roster.hash)
        found = self.checked.get(key)
        self.counts["entries checked" if found is None else "entries known"] += 1
        if found is None:
            self.plain.sound(signed, roster)
            found = self.checked[key] = self.entry(signed)
        return found

    def content(self, entry: Entry, body: Body) -> Content:
        key = (entry.kind, entry.body_hash, body.salt, body.content)
        found = self.contents.get(key)
        if found is None:
            found = self.contents[key] = self.plain.content(entry, body)
        return found

    def progress(self, entry: Entry, before: Entry | None) -> Progress:
        key = (id(entry), id(before))  # both are kept, so that no other ever has their ids
        found = self.steps.get(key)
        if found is None:
            found = self.steps[key] = (entry, before, progress(entry, before))
        return found[2]

    def address(self, record: AddressRecord, roster: Roster) -> None:
        key = (record, roster.hash)
        known = key in self.addresses
        self.counts["addresses known" if known else "addresses checked"] += 1
        if not known:
            self.plain.address(record, roster)
            self.addresses.add(key)

    def roster(self, title: str, cards: Sequence[bytes]) -> Roster:
        key = (title, tuple(cards))
        found = self.rosters.get(key)
        if found is None:
            found = self.rosters[key] = self.plain.roster(title, cards)
        return found

    def dictionary(self, data: bytes) -> Dictionary:
        found = self.dictionaries.get(data)
        if found is None:
            found = self.dictionaries[data] = self.plain.dictionary(data)
        return found

    def study(self, data: bytes) -> Study:
        found = self.studies.get(data)
        if found is None:
            found = self.studies[data] = self.plain.study(data)
        return found
