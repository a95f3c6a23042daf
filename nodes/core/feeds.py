"""The signed feeds of all members: what is known, what is next, who has forked.

One feed an author, one writer a feed. Entries are checked when they come in, kept verbatim, and
passed on to whoever knows less. Two entries with one number by one author are a fork: the proof is
kept and told to everyone, and nothing more by that author is taken.

Against members who lie: nothing is kept that its author did not sign; what waits is bounded for
each author, so that a flood costs its author alone; an entry whose body was left out on the way is
not taken from the one who left it out; whoever cites a forked author is still heard.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol as Shape
from typing import TypeAlias

from p2pmpc.errors import LogError, P2pmpcError, SplitView
from p2pmpc.identity import Signer
from p2pmpc.limits import ENTRIES_BATCH_MAX, ENTRIES_BYTES_MAX
from p2pmpc.messages import Entries, Frontier
from p2pmpc.record import (
    LAMPORT_MAX,
    Body,
    Content,
    Entry,
    ForkProof,
    Head,
    SignedEntry,
    author_entry,
    check_alone,
    check_body,
    check_entry,
    check_place,
    compare_entries,
    entry_hash,
    read_content,
    wrong_entry,
)
from p2pmpc.roster import Roster

__all__ = [
    "MARKS_MAX",
    "NEWS_BYTES_MAX",
    "WAITING_BYTES_MAX",
    "WAITING_MAX",
    "Feeds",
    "Known",
    "Shelf",
    "batches",
]


WAITING_MAX = 1024  # entries of one author ahead of what they have read; more come again later
WAITING_BYTES_MAX = 8 * 2**20  # and their bytes: several messages full of them
NEWS_BYTES_MAX = 8 * 2**20  # sent for one frontier; the rest goes with the next
MARKS_MAX = 2**16  # entries whose hash and time are at hand: 20 MB; others are read from the store
NEWS_STEP = 16  # entries read from the store at once, each up to most of a frame

Filed: TypeAlias = tuple[SignedEntry, Body | None]


class Shelf(Shape):
    """What the core reads of the store: committed entries, by author and number."""

    def entries(self, author: str, first: int, last: int) -> list[tuple[SignedEntry, Body | None]]:
        """The author's entries from `first` to `last`, both included, in order."""


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
    waiting: dict[str, dict[int, Filed]] = field(default_factory=dict)  # by author and number
    refused: list[P2pmpcError] = field(default_factory=list)  # what had waited and proved wrong
    fresh: dict[tuple[str, int], SignedEntry] = field(default_factory=dict)  # not yet on the shelf
    marks: dict[tuple[str, int], tuple[bytes, int]] = field(default_factory=dict)
    marked: set[bytes] = field(default_factory=set)  # the hashes among the marks

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

    def take(self, signed: SignedEntry, body: Body | None, peer: str) -> list[tuple[Filed, Known]]:
        """Check an entry that `peer` sent; it and what had waited for it, in causal order.

        An entry is placed when its author's entries before it and all that it has read are here,
        so that nobody sees a consent before the study. Until then it waits, within its author's
        WAITING_MAX and WAITING_BYTES_MAX. A body may be left out by its author alone.
        Raises LogError when it is wrong, SplitView when it proves a fork.
        """
        if self.roster is None or self._known_already(signed):
            return []
        entry = check_alone(signed, self.roster)
        if entry.author in self.forks:
            return []
        if self._compare(signed, entry):
            return []
        if body is not None:
            check_body(entry, body)
            read_content(entry.kind, body)
        elif peer != entry.author:
            return []
        if not self._placeable(entry):
            self._keep(entry, signed, body)
            return []
        placed = [((signed, body), self._place(entry, signed, body))]
        return placed + self.place_waiting()

    def _known_already(self, signed: SignedEntry) -> bool:
        """The very bytes that are here: every neighbour passes them on, none needs checking."""
        name = entry_hash(signed)
        if name in self.marked:
            return True
        entry = signed.read()
        return self._hash_at(entry.author, entry.seq) == name

    def _placeable(self, entry: Entry) -> bool:
        return entry.seq == self._next(entry.author) and all(
            seq < self._next(author) or author in self.forks for author, seq, _ in entry.heads
        )

    def _next(self, author: str) -> int:
        head = self.heads.get(author)
        return 0 if head is None else head.seq + 1

    def _keep(self, entry: Entry, signed: SignedEntry, body: Body | None) -> None:
        mine = self.waiting.setdefault(entry.author, {})
        size = sum(_weight(*filed) for filed in mine.values())
        if len(mine) < WAITING_MAX and size + _weight(signed, body) <= WAITING_BYTES_MAX:
            mine[entry.seq] = (signed, body)

    def _place(self, entry: Entry, signed: SignedEntry, body: Body | None) -> Known:
        check_place(entry, self.heads.get(entry.author))
        self._check_reading(entry)
        content = read_content(entry.kind, body) if body is not None else None
        known = Known(entry, entry_hash(signed), content)
        self._advance(known)
        self.fresh[entry.author, entry.seq] = signed
        return known

    def _check_reading(self, entry: Entry) -> None:
        """What an auditor would ask of the heads: true, never un-read, and counted in its time."""
        before = self._entry_at(entry.author, entry.seq - 1) if entry.seq else None
        now = {author: seq for author, seq, _ in entry.heads}
        for author, seq, _ in before.heads if before is not None else ():
            if now.get(author, -1) < seq:
                raise wrong_entry(entry, f"forgets what it had read of {author}'s feed")
        seen, exact = [0 if before is None else before.lamport], True
        for author, seq, found in entry.heads:
            if author in self.forks and self._hash_at(author, seq) != found:
                exact = False  # it had read the other history: its time cannot be counted
            else:
                seen.append(self._lamport_at(entry, author, seq, found))
        if exact and entry.lamport != min(LAMPORT_MAX, 1 + max(seen)):
            raise wrong_entry(entry, "has a wrong logical time")

    def _lamport_at(self, reader: Entry, author: str, seq: int, found: bytes) -> int:
        """The time of the entry that was read, which must be the one that is known here."""
        mine, lamport = self._mark(author, seq)
        if mine != found:
            raise LogError(
                f"{reader.author} has read another history of {author} than is known here",
                member=reader.author,
                next=f"Compare the records of {reader.author} and {author}: one has two.",
            )
        return lamport

    def _hash_at(self, author: str, seq: int) -> bytes:
        """Empty where nothing is known under this number."""
        return self._mark(author, seq)[0] if seq < self._next(author) else b""

    def _mark(self, author: str, seq: int) -> tuple[bytes, int]:
        """Hash and time of a known entry: asked for every feed that another entry has read."""
        mark = self.marks.get((author, seq))
        if mark is None:
            signed = self._signed_at(author, seq)
            mark = self._keep_mark(author, seq, entry_hash(signed), signed.read().lamport)
        return mark

    def _keep_mark(self, author: str, seq: int, found: bytes, lamport: int) -> tuple[bytes, int]:
        if len(self.marks) >= MARKS_MAX:
            self.marks.clear()
            self.marked.clear()
        self.marks[author, seq] = found, lamport
        self.marked.add(found)
        return found, lamport

    def _entry_at(self, author: str, seq: int) -> Entry:
        return self._signed_at(author, seq).read()

    def _signed_at(self, author: str, seq: int) -> SignedEntry:
        return self.fresh.get((author, seq)) or self.shelf.entries(author, seq, seq)[0][0]

    def place_waiting(self) -> list[tuple[Filed, Known]]:
        """Whatever can be placed by now; what proves wrong goes to `refused`."""
        placed: list[tuple[Filed, Known]] = []
        while (filed := self._pop_placeable()) is not None:
            try:
                placed.append((filed, self._place(filed[0].read(), *filed)))
            except P2pmpcError as fault:
                self.refused.append(fault)
        for author in list(self.waiting):
            due = self._next(author)
            left = {seq: f for seq, f in self.waiting.pop(author).items() if seq >= due}
            if left and author not in self.forks:
                self.waiting[author] = left
        return placed

    def _pop_placeable(self) -> Filed | None:
        for author, mine in sorted(self.waiting.items()):
            filed = mine.get(self._next(author))
            if filed and author not in self.forks and self._placeable(filed[0].read()):
                return mine.pop(self._next(author))
        return None

    def _compare(self, signed: SignedEntry, entry: Entry) -> bool:
        """True when this entry is here already. Raises SplitView: the number is taken."""
        assert self.roster is not None
        author, seq = entry.author, entry.seq
        if seq < self._next(author):
            mine = self._signed_at(author, seq)
        elif seq in self.waiting.get(author, {}):
            mine = self.waiting[author][seq][0]
        else:
            return False
        try:
            compare_entries(mine, signed, self.roster)
        except SplitView:
            self.forks[author] = ForkProof(mine, signed)
            raise
        return True

    def _advance(self, known: Known) -> None:
        entry = known.entry
        self.heads[entry.author] = Head(entry.seq, known.hash, entry.lamport)
        self._keep_mark(entry.author, entry.seq, known.hash, entry.lamport)

    def frontier(self) -> Frontier:
        """How far each feed is known here."""
        return Frontier(tuple((a, h.seq, h.hash) for a, h in sorted(self.heads.items())))

    def news_for(self, frontier: Frontier) -> list[Entries]:
        """What a peer with this frontier lacks, in batches that fit a frame.

        Where the peer knows another entry under a number, this node's own: together they are proof.
        """
        theirs = {author: (seq, found) for author, seq, found in frontier.heads}
        lacking: list[Filed] = []
        room = NEWS_BYTES_MAX
        for author, head in sorted(self.heads.items()):
            if theirs.get(author) == (head.seq, head.hash):
                continue  # most feeds of most frontiers
            for filed in self._from(author, self._first_lacking(author, theirs), head.seq):
                room -= _weight(*filed)
                if room < 0:
                    return batches(lacking)
                lacking.append(filed)
        return batches(lacking)

    def _first_lacking(self, author: str, theirs: Mapping[str, tuple[int, bytes]]) -> int:
        seq, found = theirs.get(author, (-1, b""))
        if not 0 <= seq < self._next(author):
            return seq + 1
        return seq + 1 if self._hash_at(author, seq) == found else seq

    def _from(self, author: str, first: int, last: int) -> Iterator[Filed]:
        last = min(last, first + ENTRIES_BATCH_MAX - 1)
        for start in range(first, last + 1, NEWS_STEP):
            yield from self.shelf.entries(author, start, min(last, start + NEWS_STEP - 1))


def _weight(signed: SignedEntry, body: Body | None) -> int:
    """About the bytes that these take in a message, and at least what they take in memory."""
    return len(signed.entry) + 200 + (len(body.content) + 100 if body is not None else 0)


def batches(entries: Sequence[tuple[SignedEntry, Body | None]]) -> list[Entries]:
    """Entries as messages that fit a frame each."""
    found: list[Entries] = []
    batch: list[tuple[SignedEntry, Body | None]] = []
    size = 0
    for signed, body in entries:
        weight = _weight(signed, body)
        if batch and (size + weight > ENTRIES_BYTES_MAX or len(batch) == ENTRIES_BATCH_MAX):
            found.append(Entries(tuple(batch)))
            batch, size = [], 0
        batch.append((signed, body))
        size += weight
    if batch:
        found.append(Entries(tuple(batch)))
    return found
