"""A stored record as its entries in causal order, read from the disk as they are asked for.

An author's entries stand in the order of their logical times, and whatever an entry has read has an
earlier one: merging the feeds by (time, author, number) gives what was read always before who had
read it. One page of each feed is in memory, however long the record is.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator

from nodes.core.feeds import Known
from nodes.store.record import RecordStore
from p2pmpc.record import Body, SignedEntry, entry_hash, read_content

__all__ = ["Replay"]

PAGE = 16  # entries of one feed in memory; of 256 feeds at most 16 MiB of bodies


class Replay:
    """Can be gone through more than once; each time from the beginning."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def __repr__(self) -> str:
        return f"Replay({len(self._store.heads())} feeds)"

    def __iter__(self) -> Iterator[Known]:
        """Every stored entry with its content; None where the body was withheld or erased."""
        feeds = [self._feed(author) for author in self._store.heads()]
        return heapq.merge(*feeds, key=lambda one: (one.entry.lamport, one.entry.author))

    def _feed(self, author: str) -> Iterator[Known]:
        first = 0
        while page := self._store.entries(author, first, first + PAGE - 1):
            for signed, body in page:
                yield _known(signed, body)
            first += len(page)


def _known(signed: SignedEntry, body: Body | None) -> Known:
    entry = signed.read()
    content = read_content(entry.kind, body) if body is not None else None
    return Known(entry, entry_hash(signed), content)
