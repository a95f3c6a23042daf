"""The signed feeds of all members: what is known, what is next, who has forked.

One feed an author, one writer a feed. Entries are checked when they come in, kept verbatim, and
passed on to whoever knows less. Two entries with one number by one author are a fork: the proof is
kept and told to everyone, and nothing more by that author is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol as Shape
from typing import TypeAlias

from p2pmpc.errors import LogError, RemoteError, SplitView
from p2pmpc.identity import Signer
from p2pmpc.limits import ENTRIES_BATCH_MAX, ENTRIES_BYTES_MAX
from p2pmpc.messages import Entries, Frontier
from p2pmpc.record import (
    Body,
    Content,
    Entry,
    ForkProof,
    Head,
    SignedEntry,
    author_entry,
    check_body,
    check_entry,
    compare_entries,
    entry_hash,
    read_content,
)
from p2pmpc.roster import Roster

__all__ = ["WAITING_MAX", "Feeds", "Known", "Shelf", "batches"]


WAITING_MAX = 4096  # entries ahead of what they have read; the rest comes again with a frontier

Filed: TypeAlias = tuple[SignedEntry, Body | None]


class Shelf(Shape):
    """What the core reads of the store: committed entries, by author and number."""

    def entries(
        self, author: str, first: int, last: int
    ) -> list[tuple[SignedEntry, Body | None]]: ...


@dataclass(frozen=True, slots=True)
class Known:
    """One checked entry with its content; None where the body was withheld or erased."""

    entry: Entry
    hash: bytes
    content: Content | None


@dataclass(slots=True)
class Feeds:
    """Owned by the core alone. `shelf` lags behind only within one batch of effects."""

    name: str
    signer: Signer
    randomness: Callable[[int], bytes]
    shelf: Shelf
    roster: Roster | None = None
    heads: dict[str, Head] = field(default_factory=dict)
    forks: dict[str, ForkProof] = field(default_factory=dict)
    waiting: dict[tuple[str, int], Filed] = field(default_factory=dict)
    fresh: dict[tuple[str, int], SignedEntry] = field(default_factory=dict)  # not yet on the shelf

    def write(self, kind: str, content: Content, unix_ms: int) -> tuple[SignedEntry, Body, Known]:
        """The next entry of this member's own feed. It must be stored before it is sent."""
        assert self.roster is not None, "a feed begins with the roster"
        signed, body = author_entry(
            signer=self.signer,
            roster=self.roster,
            name=self.name,
            head=self.heads.get(self.name),
            kind=kind,
            content=content,
            heads={a: h for a, h in sorted(self.heads.items()) if a != self.name},
            unix_ms=unix_ms,
            salt=self.randomness(16),
        )
        entry = check_entry(signed, self.roster, self.heads.get(self.name))
        known = Known(entry, entry_hash(signed), content)
        self._advance(known)
        self.fresh[self.name, entry.seq] = signed
        return signed, body, known

    def take(self, signed: SignedEntry, body: Body | None) -> list[tuple[Filed, Known]]:
        """Check an entry that came in; it and what had waited for it, in causal order.

        An entry is placed when its author's entries before it and all that it has read are here,
        so that nobody sees a consent before the study. Until then it waits, up to WAITING_MAX.
        Raises LogError or RemoteError when it is wrong, SplitView when it proves a fork.
        """
        if self.roster is None:
            return []
        entry = self._read(signed)
        if entry.author in self.forks:
            return []
        head = self.heads.get(entry.author)
        if head is not None and entry.seq <= head.seq:
            self._compare(signed, entry)
            return []
        if not self._placeable(entry):
            if len(self.waiting) < WAITING_MAX:
                self.waiting[entry.author, entry.seq] = (signed, body)
            return []
        placed = [((signed, body), self._place(signed, body))]
        return placed + self._place_waiting()

    def _placeable(self, entry: Entry) -> bool:
        known = {author: head.seq for author, head in self.heads.items()}
        return entry.seq == known.get(entry.author, -1) + 1 and all(
            seq <= known.get(author, -1) for author, seq, _ in entry.heads
        )

    def _place(self, signed: SignedEntry, body: Body | None) -> Known:
        assert self.roster is not None
        author = signed.read().author
        entry = check_entry(signed, self.roster, self.heads.get(author))
        self._compare_heads(entry)
        content = None
        if body is not None:
            check_body(entry, body)
            content = read_content(entry.kind, body)
        known = Known(entry, entry_hash(signed), content)
        self._advance(known)
        self.fresh[author, entry.seq] = signed
        return known

    def _compare_heads(self, entry: Entry) -> None:
        """What the author has read must be what is known here: feeds vouch for each other."""
        for author, seq, found in entry.heads:
            head = self.heads[author]
            known = head.hash if head.seq == seq else self._hash_at(author, seq)
            if known != found:
                raise LogError(
                    f"{entry.author} has read another history of {author} than is known here",
                    member=entry.author,
                    next=f"Compare the records of {entry.author} and {author}: one has two.",
                )

    def _hash_at(self, author: str, seq: int) -> bytes:
        fresh = self.fresh.get((author, seq))
        return entry_hash(fresh or self.shelf.entries(author, seq, seq)[0][0])

    def _place_waiting(self) -> list[tuple[Filed, Known]]:
        placed: list[tuple[Filed, Known]] = []
        found = True
        while found:
            ready = [key for key, (one, _) in self.waiting.items() if self._placeable(one.read())]
            found = bool(ready)
            for key in sorted(ready)[:1]:
                filed = self.waiting.pop(key)
                placed.append((filed, self._place(*filed)))
        heads = self.heads
        self.waiting = {
            (author, seq): filed
            for (author, seq), filed in self.waiting.items()
            if author not in heads or seq > heads[author].seq
        }
        return placed

    def _read(self, signed: SignedEntry) -> Entry:
        entry = signed.read()
        assert self.roster is not None
        if entry.author not in self.roster.names:
            raise RemoteError(f"an entry by {entry.author!r}, who is no member")
        return entry

    def _compare(self, signed: SignedEntry, entry: Entry) -> None:
        """An entry with a number that is taken: the same again, or the proof of a fork."""
        assert self.roster is not None
        mine = self.fresh.get((entry.author, entry.seq))
        if mine is None:
            mine, _ = self.shelf.entries(entry.author, entry.seq, entry.seq)[0]
        try:
            compare_entries(mine, signed, self.roster)
        except SplitView:
            self.forks[entry.author] = ForkProof(mine, signed)
            raise

    def _advance(self, known: Known) -> None:
        entry = known.entry
        self.heads[entry.author] = Head(entry.seq, known.hash, entry.lamport)

    def frontier(self) -> Frontier:
        """How far each feed is known here."""
        return Frontier(tuple((a, h.seq, h.hash) for a, h in sorted(self.heads.items())))

    def news_for(self, frontier: Frontier) -> list[Entries]:
        """What a peer with this frontier lacks, in batches that fit a frame."""
        theirs = {author: seq for author, seq, _ in frontier.heads}
        lacking: list[tuple[SignedEntry, Body | None]] = []
        for author, head in sorted(self.heads.items()):
            first = theirs.get(author, -1) + 1
            if first <= head.seq:
                last = min(head.seq, first + ENTRIES_BATCH_MAX - 1)
                lacking.extend(self.shelf.entries(author, first, last))
        return batches(lacking)


def batches(entries: Sequence[tuple[SignedEntry, Body | None]]) -> list[Entries]:
    """Entries as messages that fit a frame each."""
    found: list[Entries] = []
    batch: list[tuple[SignedEntry, Body | None]] = []
    size = 0
    for signed, body in entries:
        weight = len(signed.entry) + 200 + (len(body.content) + 100 if body is not None else 0)
        if batch and (size + weight > ENTRIES_BYTES_MAX or len(batch) == ENTRIES_BATCH_MAX):
            found.append(Entries(tuple(batch)))
            batch, size = [], 0
        batch.append((signed, body))
        size += weight
    if batch:
        found.append(Entries(tuple(batch)))
    return found
