"""What the record on disk says: the roster, the newest entries, where members were last.

Read-only and without the store's lease: a running node is not disturbed, and no file is changed.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from nodes.doctor.finding import Finding, fault, ok
from nodes.store.roster import ADDRESSES, ROSTER
from p2pmpc.codec import decode
from p2pmpc.errors import LogError
from p2pmpc.messages import Address
from p2pmpc.record import Entry, SignedEntry
from p2pmpc.roster import Roster, read_roster

__all__ = ["ENTRIES_MAX", "History", "check_history", "read_history"]

ENTRIES_MAX = 256  # of each feed, the newest: a clock that was mended is forgiven soon
BUSY_S = 1.0


@dataclass(frozen=True, slots=True)
class History:
    """`trouble` is why the file cannot be read; empty where there is none yet, or it can."""

    trouble: str
    roster: Roster | None
    feeds: Mapping[str, tuple[Entry, ...]]
    addresses: Mapping[str, str]  # member -> where it said last that it listens


def read_history(file: Path) -> History:
    """The record in this file; an empty one where there is no file yet."""
    if not file.exists():
        return History("", None, {}, {})
    try:
        with _opened(file) as database:
            return History("", _roster(database), _feeds(database), _addresses(database))
    except (sqlite3.Error, OSError) as wrong:
        return History(str(wrong), None, {}, {})
    except LogError as wrong:
        return History(wrong.message, None, {}, {})


@contextlib.contextmanager
def _opened(file: Path) -> Iterator[sqlite3.Connection]:
    database = sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", timeout=BUSY_S, uri=True)
    try:
        yield database
    finally:
        database.close()


def _note(database: sqlite3.Connection, key: str) -> bytes | None:
    row = database.execute("SELECT value FROM note WHERE key = ?", (key,)).fetchone()
    return None if row is None else bytes(row[0])


def _roster(database: sqlite3.Connection) -> Roster | None:
    data = _note(database, ROSTER)
    return None if data is None else read_roster(data)


def _addresses(database: sqlite3.Connection) -> dict[str, str]:
    data = _note(database, ADDRESSES)
    records = decode(data, Address, "the stored addresses", error=LogError).records if data else ()
    return {record.name: record.address for record in records}


def _feeds(database: sqlite3.Connection) -> dict[str, tuple[Entry, ...]]:
    authors = [row[0] for row in database.execute("SELECT DISTINCT author FROM entry ORDER BY 1")]
    found = {}
    for author in authors:
        rows = database.execute(
            "SELECT entry, signature FROM entry WHERE author = ? ORDER BY seq DESC LIMIT ?",
            (author, ENTRIES_MAX),
        )
        found[author] = tuple(SignedEntry(*row).read() for row in rows)
    return found


def check_history(history: History, file: Path) -> list[Finding]:
    """Whether the record can be read."""
    if history.trouble:
        text = f"the record {file} cannot be read: {history.trouble}"
        return [
            fault("record", text, "Restore it from a copy, or let the node fetch the feeds anew.")
        ]
    if history.roster is None:
        return [ok("record", "the record is empty: this node belongs to no network yet")]
    return [ok("record", f"the record can be read; {len(history.feeds)} members have written")]
