"""The signed feeds of all members: what is known, what is next, who has forked.

One feed an author, one writer a feed. Entries are checked when they come in, kept verbatim, and
passed on to whoever knows less. Two entries with one number by one author are a fork: the proof is
kept and told to everyone, and nothing more by that author is taken.

Against members who lie: nothing is kept that its author did not sign; what waits is bounded for
each author, so that a flood costs its author alone; an entry whose body was left out on the way is
not taken from the one who left it out; whoever cites a forked author is still heard.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol as Shape
from typing import TypeAlias

from nodes.core.reading import PlainReading, Reading
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
    check_entry,
    check_place,
    compare_entries,
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
    "News",
    "Shelf",
    "batches",
]


WAITING_MAX = 1024  # entries of one author ahead of what they have read; more come again later
WAITING_BYTES_MAX = 8 * 2**20  # and their bytes: several messages full of them
NEWS_BYTES_MAX = 2 * 2**20  # sent for one frontier: about a second's work; then it asks again
MARKS_MAX = 2**16  # entries whose hash and time are at hand: 20 MB; others are read from the store
LIFE = frozenset(
    {
        "study",
        "consent",
        "refusal",
        "ready",
        "checked",
        "release",
        "released",
        "answered",
        "withheld",
        "ended",
        "withdrawal",
        "revocation",
    }
)  # what moves a study: members conclude alike only from the same bodies
NEWS_STEP = 64  # entries of one feed read from the store at once, after some were wanted

Filed: TypeAlias = tuple[SignedEntry, Body | None]
Placed: TypeAlias = tuple[int, str, int, Filed]  # logical time, author, number


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


@dataclass(frozen=True, slots=True)
class News:
    """What a peer lacks: messages in causal order, and whether there is more than they hold."""

    batches: list[Entries]
    size: int
    cut: bool
    ends: dict[str, int]  # author -> the last number among them


@dataclass(slots=True)
class Feeds:
    """Owned by the core alone. `shelf` lags behind only within one batch of effects."""

    name: str
    signer: Signer
    randomness: Callable[[int], bytes]
    shelf: Shelf
    roster: Roster | None = None
    reading: Reading = field(default_factory=PlainReading)
    heads: dict[str, Head] = field(default_factory=dict)
    forks: dict[str, ForkProof] = field(default_factory=dict)
    waiting: dict[str, dict[int, Filed]] = field(default_factory=dict)  # by author and number
    waiting_bytes: dict[str, int] = field(default_factory=dict)  # by author
    bodiless: dict[str, int] = field(default_factory=dict)  # author -> whose body was left out
    refused: list[P2pmpcError] = field(default_factory=list)  # what had waited and proved wrong
    fresh: dict[tuple[str, int], SignedEntry] = field(default_factory=dict)  # not yet on the shelf
    marks: dict[tuple[str, int], tuple[bytes, int]] = field(default_factory=dict)
    marked: set[bytes] = field(default_factory=set)  # the hashes among the marks
    front: Frontier | None = None  # the last one made, while no feed has grown

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
        known = Known(entry, self.reading.hash(signed), content)
        self._advance(known)
        self.fresh[self.name, entry.seq] = signed
        return signed, body, known

    def take(self, signed: SignedEntry, body: Body | None, peer: str) -> list[tuple[Filed, Known]]:
        """Check an entry that `peer` sent; it and what had waited for it, in causal order.

        An entry is placed when its author's entries before it and all that it has read are here,
        so that nobody sees a consent before the study. Until then it waits, within its author's
        WAITING_MAX and WAITING_BYTES_MAX. A body may be left out by its author alone, and none of
        a study's life: a member that shows it to some would make the others conclude differently,
        and one that starts again would not know what it had done.
        Raises LogError when it is wrong, SplitView when it proves a fork.
        """
        if self.roster is None or self._known_already(signed):
            return []
        entry = self.reading.sound(signed, self.roster)
        if entry.author in self.forks:
            return []
        if self._compare(signed, entry):
            return []
        if body is not None:
            self.reading.content(entry, body)
        elif entry.kind in LIFE or peer != entry.author != self.name:
            self.bodiless[entry.author] = entry.seq
            return []
        if not self._placeable(entry):
            self._keep(entry, signed, body)
            return []
        placed = [((signed, body), self._place(entry, signed, body))]
        return placed + self.place_waiting() if self.waiting else placed

    def _known_already(self, signed: SignedEntry) -> bool:
        """The very bytes that are here: every neighbour passes them on, none needs checking."""
        name = self.reading.hash(signed)
        if name in self.marked:
            return True
        entry = self.reading.entry(signed)
        return self._hash_at(entry.author, entry.seq) == name

    def _placeable(self, entry: Entry) -> bool:
        if entry.seq != self._next(entry.author):
            return False
        heads = self.heads
        for author, seq, _ in entry.heads:  # a plain loop: hundreds of heads for every entry
            head = heads.get(author)
            if (head is None or head.seq < seq) and author not in self.forks:
                return False
        return True

    def _next(self, author: str) -> int:
        head = self.heads.get(author)
        return 0 if head is None else head.seq + 1

    def _keep(self, entry: Entry, signed: SignedEntry, body: Body | None) -> None:
        mine = self.waiting.setdefault(entry.author, {})
        size = self.waiting_bytes.get(entry.author, 0) + _weight(signed, body)
        if len(mine) < WAITING_MAX and size <= WAITING_BYTES_MAX:
            mine[entry.seq] = (signed, body)
            self.waiting_bytes[entry.author] = size

    def _place(self, entry: Entry, signed: SignedEntry, body: Body | None) -> Known:
        check_place(entry, self.heads.get(entry.author))
        self._check_reading(entry)
        content = self.reading.content(entry, body) if body is not None else None
        known = Known(entry, self.reading.hash(signed), content)
        self._advance(known)
        self.fresh[entry.author, entry.seq] = signed
        return known

    def _check_reading(self, entry: Entry) -> None:
        """What an auditor would ask of the heads: true, never un-read, and counted in its time."""
        before = self._entry_at(entry.author, entry.seq - 1) if entry.seq else None
        since = self.reading.progress(entry, before)
        if since.forgets:
            raise wrong_entry(entry, f"forgets what it had read of {since.forgets}'s feed")
        # what its author had read before was checked then, and is older than that entry; only
        # where a history was split since must all of it be looked at again
        heads = entry.heads if self.forks else since.heads
        seen, exact = [0 if before is None else before.lamport], True
        for author, seq, found in heads:
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
            lamport = self.reading.entry(signed).lamport
            mark = self._keep_mark(author, seq, self.reading.hash(signed), lamport)
        return mark

    def _keep_mark(self, author: str, seq: int, found: bytes, lamport: int) -> tuple[bytes, int]:
        if len(self.marks) >= MARKS_MAX:
            self.marks.clear()
            self.marked.clear()
        self.marks[author, seq] = found, lamport
        self.marked.add(found)
        return found, lamport

    def _entry_at(self, author: str, seq: int) -> Entry:
        return self.reading.entry(self._signed_at(author, seq))

    def _signed_at(self, author: str, seq: int) -> SignedEntry:
        return self.fresh.get((author, seq)) or self.shelf.entries(author, seq, seq)[0][0]

    def place_waiting(self) -> list[tuple[Filed, Known]]:
        """Whatever can be placed by now; what proves wrong goes to `refused`."""
        placed: list[tuple[Filed, Known]] = []
        while (filed := self._pop_placeable()) is not None:
            try:
                placed.append((filed, self._place(self.reading.entry(filed[0]), *filed)))
            except P2pmpcError as fault:
                self.refused.append(fault)
        for author in list(self.waiting):
            due = self._next(author)
            left = {seq: f for seq, f in self.waiting.pop(author).items() if seq >= due}
            self.waiting_bytes.pop(author, None)
            if left and author not in self.forks:
                self.waiting[author] = left
                self.waiting_bytes[author] = sum(_weight(*filed) for filed in left.values())
        return placed

    def _pop_placeable(self) -> Filed | None:
        for author, mine in sorted(self.waiting.items()):
            filed = mine.get(self._next(author))
            if filed is None or author in self.forks:
                continue
            if self._placeable(self.reading.entry(filed[0])):
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
        self.front = None
        self._keep_mark(entry.author, entry.seq, known.hash, entry.lamport)

    def frontier(self) -> Frontier:
        """How far each feed is known here."""
        if self.front is None:
            heads = sorted(self.heads.items())
            self.front = Frontier(tuple((a, h.seq, h.hash) for a, h in heads))
        return self.front

    def ahead(self, frontier: Frontier) -> bool:
        """Whether a peer with this frontier says that it knows more than this node."""
        names = self.roster.names if self.roster is not None else ()
        return any(
            seq >= self._next(author) and author in names and author not in self.forks
            for author, seq, _ in _unlike(frontier, self.frontier())
        )

    def news_for(self, frontier: Frontier, room: int) -> News:
        """What a peer with this frontier lacks, up to `room` bytes, in batches that fit a frame.

        In causal order, so that the peer can place each entry as it comes. Where it knows another
        entry under a number, this node's own: together they are proof.
        """
        if frontier.heads == self.frontier().heads:
            return News([], 0, cut=False, ends={})  # most frontiers, once the entries have spread
        theirs = {author: (seq, found) for author, seq, found in frontier.heads}
        runs = [
            self._run(author, self._first_lacking(author, theirs), last)
            for author, last, found in _unlike(self.frontier(), frontier)
            if theirs.get(author) != (last, found)
        ]
        return _news(heapq.merge(*runs, key=lambda one: one[:2]), room)

    def range(self, author: str, first: int, last: int, room: int) -> News:
        """These entries of one feed, as far as they are here and fit into `room` bytes."""
        return _news(self._run(author, first, min(last, self._next(author) - 1)), room)

    def _first_lacking(self, author: str, theirs: Mapping[str, tuple[int, bytes]]) -> int:
        seq, found = theirs.get(author, (-1, b""))
        if not 0 <= seq < self._next(author):
            return seq + 1
        return seq + 1 if self._hash_at(author, seq) == found else seq

    def _run(self, author: str, first: int, last: int) -> Iterator[Placed]:
        """A feed's entries with their logical time, read in growing steps: often one is enough."""
        step = 1
        while first <= last:
            for filed in self.shelf.entries(author, first, min(last, first + step - 1)):
                entry = self.reading.entry(filed[0])
                yield entry.lamport, author, entry.seq, filed
            first, step = first + step, min(4 * step, NEWS_STEP)


def _unlike(these: Frontier, those: Frontier) -> list[tuple[str, int, bytes]]:
    """Heads of these that those may not have: most feeds of most frontiers are alike.

    Where both know the same authors, which is nearly always, the two run side by side.
    """
    if len(these.heads) == len(those.heads):
        pairs = zip(these.heads, those.heads, strict=True)
        return [this for this, that in pairs if this is not that and this != that]
    known = set(those.heads)
    return [this for this in these.heads if this not in known]


def _news(run: Iterable[Placed], room: int) -> News:
    found: list[Filed] = []
    ends: dict[str, int] = {}
    size = 0
    for _, author, seq, filed in run:
        weight = _weight(*filed)
        if found and size + weight > room:
            return News(batches(found), size, cut=True, ends=ends)
        found.append(filed)
        ends[author] = seq
        size += weight
    return News(batches(found), size, cut=False, ends=ends)


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
