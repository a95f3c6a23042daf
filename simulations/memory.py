"""A node's record in memory, with the contract of the one on disk (`nodes/store/record`).

Thousands of simulated nodes hold the same entries: what can be computed from an entry's bytes alone
(its place, its hash) is computed once for a whole world, in its `Library`, and stores hold
references. A simulated crash loses what the node's core knew and keeps this.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from p2pmpc.errors import LogError, P2pmpcError, SplitView
from p2pmpc.record import Body, Entry, ForkProof, Head, SignedEntry, body_hash, entry_hash

__all__ = ["Library", "MemoryStore", "Volume"]

ZERO = bytes(32)


@dataclass(frozen=True, slots=True, eq=False)
class Volume:
    """One entry as every store of a world holds it."""

    signed: SignedEntry
    entry: Entry
    hash: bytes
    head: Head


@dataclass(slots=True)
class Library:
    """Entries by their bytes, bodies by their hash: each parsed once."""

    volumes: dict[tuple[bytes, bytes], Volume] = field(default_factory=dict)
    bodies: dict[bytes, Body] = field(default_factory=dict)
    reads: dict[tuple[bytes, bytes], tuple[tuple[str, int, bytes], ...]] = field(
        default_factory=dict
    )

    def volume(self, signed: SignedEntry) -> Volume:
        """Raises LogError for bytes that are no entry."""
        key = (signed.entry, signed.signature)
        found = self.volumes.get(key)
        if found is None:
            entry, name = signed.read(), entry_hash(signed)
            found = Volume(signed, entry, name, Head(entry.seq, name, entry.lamport))
            self.volumes[key] = found
        return found

    def newly_read(
        self, volume: Volume, before: Volume | None
    ) -> tuple[tuple[str, int, bytes], ...]:
        """Heads of an entry that the one before it did not have: compared once for the world."""
        key = (volume.hash, b"" if before is None else before.hash)
        found = self.reads.get(key)
        if found is None:
            known = set() if before is None else set(before.entry.heads)
            found = tuple(head for head in volume.entry.heads if head not in known)
            self.reads[key] = found
        return found

    def body(self, entry: Entry, body: Body) -> Body:
        """The one copy of this entry's body. Raises LogError when it is another's."""
        known = self.bodies.get(entry.body_hash)
        if known is not None and known == body:
            return known
        if body_hash(body) != entry.body_hash:
            raise LogError(
                f"entry {entry.seq} of {entry.author} has another body", member=entry.author
            )
        return self.bodies.setdefault(entry.body_hash, body)


class MemoryStore:
    """One node's record: feeds in order, all of a batch or none of it."""

    __slots__ = ("_feeds", "_library", "_notes", "_withheld")

    def __init__(self, library: Library) -> None:
        self._library = library
        self._feeds: dict[str, list[Volume]] = {}
        self._notes: dict[str, bytes] = {}
        self._withheld: set[bytes] = set()  # entries that came without their body

    def __repr__(self) -> str:
        return f"MemoryStore({sum(map(len, self._feeds.values()))} entries)"

    def append(self, entries: Sequence[tuple[SignedEntry, Body | None]]) -> None:
        """Keep checked entries, all or none.

        Raises LogError when one does not follow its feed or comes with a body that is not its own,
        SplitView when a number is taken.
        """
        ends: dict[str, Head] = {}
        kept: list[tuple[Volume, bool]] = []
        for signed, body in entries:
            volume = self._library.volume(signed)
            self._check(volume, ends.get(volume.entry.author) or self.head(volume.entry.author))
            if body is not None:
                self._library.body(volume.entry, body)
            ends[volume.entry.author] = volume.head
            kept.append((volume, body is None))
        for volume, withheld in kept:
            self._feeds.setdefault(volume.entry.author, []).append(volume)
            if withheld:
                self._withheld.add(volume.hash)

    def _check(self, volume: Volume, head: Head | None) -> None:
        entry = volume.entry
        following, previous = (0, ZERO) if head is None else (head.seq + 1, head.hash)
        if entry.seq < following:
            raise self._taken(volume)
        if entry.seq != following or entry.prev != previous:
            raise LogError(
                f"entry {entry.seq} of {entry.author} does not follow the stored feed",
                member=entry.author,
            )

    def _taken(self, volume: Volume) -> P2pmpcError:
        author, seq = volume.entry.author, volume.entry.seq
        stored = self.entries(author, seq, seq)
        same = not stored or stored[0][0].entry == volume.signed.entry
        kind = LogError if same else SplitView
        fault = kind(f"the store already holds entry {seq} of {author}", member=author)
        if isinstance(fault, SplitView):
            fault.proof = ForkProof(stored[0][0], volume.signed)
        return fault

    def heads(self) -> dict[str, Head]:
        """The end of every feed, by author, sorted."""
        return {author: feed[-1].head for author, feed in sorted(self._feeds.items())}

    def head(self, author: str) -> Head | None:
        feed = self._feeds.get(author)
        return feed[-1].head if feed else None

    def length(self, author: str) -> int:
        """How many entries of this author are stored."""
        return len(self._feeds.get(author, ()))

    def volume(self, signed: SignedEntry) -> Volume:
        """An entry as this store's library has it."""
        return self._library.volume(signed)

    def holds(self, signed: SignedEntry) -> bool:
        """Whether this very entry is stored."""
        volume = self._library.volume(signed)
        feed = self._feeds.get(volume.entry.author, ())
        return volume.entry.seq < len(feed) and feed[volume.entry.seq] is volume

    def newly_read(self, volume: Volume) -> tuple[tuple[str, int, bytes], ...]:
        """The heads of a stored entry that its author's entry before did not have."""
        feed, seq = self._feeds.get(volume.entry.author, []), volume.entry.seq
        return self._library.newly_read(volume, feed[seq - 1] if 0 < seq <= len(feed) else None)

    def behind(self, heads: Sequence[tuple[str, int, bytes]]) -> list[str]:
        """Authors of whom less is stored than these heads say."""
        feeds = self._feeds
        return [a for a, seq, _ in heads if len(feeds.get(a, ())) <= seq]

    def entries(self, author: str, first: int, last: int) -> list[tuple[SignedEntry, Body | None]]:
        """Entries first..last, both included, as far as they are stored, in order."""
        found = self._feeds.get(author, [])[max(0, first) : last + 1]
        return [(volume.signed, self.body_of(volume)) for volume in found]

    def entry(self, hash: bytes) -> SignedEntry | None:  # noqa: A002  the record's own word
        """The entry with this hash."""
        feeds = self._feeds.values()
        return next((v.signed for feed in feeds for v in feed if v.hash == hash), None)

    def body(self, hash: bytes) -> Body | None:  # noqa: A002  the record's own word
        """The body with this hash; None when it was withheld."""
        feeds = self._feeds.values()
        holders = (v for feed in feeds for v in feed if v.entry.body_hash == hash)
        return next((body for v in holders if (body := self.body_of(v)) is not None), None)

    def in_causal_order(self) -> list[Volume]:
        """Everything stored, what was read always before who had read it."""
        found = [volume for _, feed in sorted(self._feeds.items()) for volume in feed]
        return sorted(found, key=lambda v: (v.entry.lamport, v.entry.author, v.entry.seq))

    def body_of(self, volume: Volume) -> Body | None:
        if volume.hash in self._withheld:
            return None
        return self._library.bodies.get(volume.entry.body_hash)

    def remember(self, key: str, value: bytes) -> None:
        """Keep a small value in place of the one before."""
        self._notes[key] = value

    def recall(self, key: str) -> bytes | None:
        """What was remembered under the key last."""
        return self._notes.get(key)

    def close(self) -> None:
        """Nothing to give back; here because the store on disk has it."""
