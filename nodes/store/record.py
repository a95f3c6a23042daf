"""The record on disk: SQLite, one writer, nothing said before it is durable.

A batch of entries is one transaction in WAL mode with synchronous=FULL: either all of it survives a
power cut or none of it happened. The wire bytes are kept verbatim. A second entry with one author
and number is refused by the table itself. `StoreFailed` means that nothing of the batch was kept
and nothing that depends on it may be sent.

Opening checks the file and every feed: numbers without a gap, each entry naming the hash of the one
before, each row as it was written, each body as its entry says. Signatures are checked when entries
come in, not again here.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from nodes.store.lease import Lease
from p2pmpc.codec import digest
from p2pmpc.errors import LogError, P2pmpcError, SplitView, StoreFailed
from p2pmpc.record import Body, Entry, ForkProof, Head, SignedEntry, body_hash, entry_hash

__all__ = ["BUSY_MS", "NOTE_BYTES_MAX", "RecordStore"]

BUSY_MS = 200  # nobody else should hold the file; a reader's backup is given this long
NOTE_BYTES_MAX = 2**20  # small state: an epoch, a ballot, the last cosigned checkpoint
FORMAT = 1
CLOSED = "closed"  # a note: the last process to hold the file gave it back
ZERO = bytes(32)
SIDES = ("-wal", "-shm")  # what SQLite keeps beside the file while it is open

SCHEMA = """
CREATE TABLE entry (
    author TEXT NOT NULL,
    seq INTEGER NOT NULL,
    hash BLOB NOT NULL UNIQUE,
    body_hash BLOB NOT NULL,
    lamport INTEGER NOT NULL,
    entry BLOB NOT NULL,
    signature BLOB NOT NULL,
    row_check BLOB NOT NULL,
    PRIMARY KEY (author, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE body (hash BLOB PRIMARY KEY, salt BLOB NOT NULL, content BLOB NOT NULL) STRICT;
CREATE TABLE note (key TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;
"""
KEEPING = """
CREATE TABLE IF NOT EXISTS kept (
    shelf TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (shelf, name)
) STRICT;
"""


class RecordStore:
    """One node's record. One caller at a time; holds the lease on its file until `close`."""

    def __init__(self, path: Path) -> None:
        """Open or create. Raises LocalError (in use), StoreFailed (disk), LogError (damaged)."""
        self._path = path
        self._lease = Lease(path.with_name(path.name + ".lock"))
        self._heads: dict[str, Head] = {}
        self.clean = False  # it was closed on purpose before, by `close`
        self._doubtful = False  # a commit failed: what the disk holds is known after opening again
        try:
            self._open()
        except BaseException:
            self._release()
            raise

    def __repr__(self) -> str:
        return f"RecordStore({self._path})"

    # ---- opening ----

    def _open(self) -> None:
        with self._guarded("opened"):
            _create_private(self._path)
            self._database = sqlite3.connect(
                self._path, timeout=BUSY_MS / 1000, isolation_level=None, check_same_thread=False
            )
            self._prepare()
        self._check()
        self.clean = self.recall(CLOSED) == b"yes"
        if self.clean:
            self.remember(CLOSED, b"no")  # until it is closed again

    def _prepare(self) -> None:
        (mode,) = self._database.execute("PRAGMA journal_mode=WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"the journal mode is {mode}, not wal")
        self._database.execute("PRAGMA synchronous=FULL")
        self._database.execute("PRAGMA secure_delete=ON")  # erased bodies are overwritten
        self._database.execute("PRAGMA trusted_schema=OFF")
        (found,) = self._database.execute("PRAGMA user_version").fetchone()
        if found == 0:
            self._database.executescript(f"BEGIN;{SCHEMA}PRAGMA user_version={FORMAT};COMMIT;")
        elif found != FORMAT:
            raise sqlite3.DatabaseError(f"it has format {found}; this version reads {FORMAT}")
        self._database.execute(KEEPING)

    def _check(self) -> None:
        with self._guarded("checked"):
            (state,) = self._database.execute("PRAGMA integrity_check(1)").fetchone()
            if state != "ok":
                raise _damaged(self._path, "", "the database file is corrupt")
            self._check_feeds()
            self._check_bodies()

    def _check_feeds(self) -> None:
        rows = self._database.execute(
            "SELECT author, seq, hash, entry, signature, row_check FROM entry ORDER BY author, seq"
        )
        for author, seq, found, entry, signature, check in rows:
            if check != _row_check(entry, signature):
                raise _damaged(self._path, author, f"entry {seq} was changed on the disk")
            signed = SignedEntry(entry, signature)
            parsed = signed.read()
            if (parsed.author, parsed.seq, entry_hash(signed)) != (author, seq, found):
                raise _damaged(self._path, author, f"entry {seq} is filed in the wrong place")
            self._follow(parsed)
            self._heads[author] = Head(seq, found, parsed.lamport)

    def _follow(self, entry: Entry) -> None:
        head = self._heads.get(entry.author)
        if entry.seq != (0 if head is None else head.seq + 1):
            raise _damaged(self._path, entry.author, f"an entry before {entry.seq} is missing")
        if entry.prev != (ZERO if head is None else head.hash):
            raise _damaged(self._path, entry.author, f"entry {entry.seq} does not follow")

    def _check_bodies(self) -> None:
        for found, salt, content in self._database.execute("SELECT hash, salt, content FROM body"):
            if body_hash(Body(salt, content)) != found:
                raise _damaged(self._path, "", "a body was changed on the disk")

    # ---- writing ----

    def append(self, entries: Sequence[tuple[SignedEntry, Body | None]]) -> None:
        """Keep checked entries, all or none, durably when this returns.

        Raises StoreFailed when the disk does not take them, LogError when one does not follow its
        feed or comes with a body that is not its own, SplitView when a number is taken.
        """
        heads = dict(self._heads)
        rows = [self._row(signed, body, heads) for signed, body in entries]
        bodies = [
            (body_hash(body), body.salt, body.content) for _, body in entries if body is not None
        ]
        with self._transaction():
            self._database.executemany("INSERT INTO entry VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
            self._database.executemany("INSERT OR IGNORE INTO body VALUES (?, ?, ?)", bodies)
        self._heads = heads

    def _row(
        self, signed: SignedEntry, body: Body | None, heads: dict[str, Head]
    ) -> tuple[str, int, bytes, bytes, int, bytes, bytes, bytes]:
        entry, name = signed.read(), entry_hash(signed)
        head = heads.get(entry.author)
        following, previous = (0, ZERO) if head is None else (head.seq + 1, head.hash)
        if entry.seq < following:
            raise self._taken(entry, signed)
        if entry.seq != following or entry.prev != previous:
            raise LogError(
                f"entry {entry.seq} of {entry.author} does not follow the stored feed",
                member=entry.author,
            )
        if body is not None and body_hash(body) != entry.body_hash:
            raise LogError(
                f"entry {entry.seq} of {entry.author} has another body", member=entry.author
            )
        heads[entry.author] = Head(entry.seq, name, entry.lamport)
        check = _row_check(signed.entry, signed.signature)
        return (
            entry.author,
            entry.seq,
            name,
            entry.body_hash,
            entry.lamport,
            signed.entry,
            signed.signature,
            check,
        )

    def _taken(self, entry: Entry, signed: SignedEntry) -> P2pmpcError:
        stored = self.entries(entry.author, entry.seq, entry.seq)
        same = not stored or stored[0][0].entry == signed.entry
        kind = LogError if same else SplitView
        fault = kind(
            f"the store already holds entry {entry.seq} of {entry.author}", member=entry.author
        )
        if isinstance(fault, SplitView):
            fault.proof = ForkProof(stored[0][0], signed)
        return fault

    def erase_body(self, hash: bytes) -> bool:  # noqa: A002  the record's own word
        """Forget a body for good; its entry stays. True when there was one."""
        with self._transaction():
            done = self._database.execute("DELETE FROM body WHERE hash = ?", (hash,)).rowcount
        with self._guarded("erased from"):
            self._database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        return bool(done)

    def remember(self, key: str, value: bytes) -> None:
        """Keep a small value durably under a key, in place of the one before."""
        if len(value) > NOTE_BYTES_MAX:
            raise StoreFailed(f"a note of {len(value)} bytes is longer than {NOTE_BYTES_MAX}")
        with self._transaction():
            self._database.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (key, value))

    def put(self, shelf: str, name: str, value: bytes) -> None:
        """Keep a value of any size durably, in place of the one before; no part of the record."""
        with self._transaction():
            self._database.execute(
                "INSERT OR REPLACE INTO kept VALUES (?, ?, ?)", (shelf, name, value)
            )

    def drop(self, shelf: str, name: str) -> None:
        """Forget what was put there."""
        with self._transaction():
            self._database.execute("DELETE FROM kept WHERE shelf = ? AND name = ?", (shelf, name))

    # ---- reading ----

    def heads(self) -> dict[str, Head]:
        """The end of every feed, by author, sorted."""
        return dict(sorted(self._heads.items()))

    def head(self, author: str) -> Head | None:
        """The end of one feed; None when nothing by this author is stored."""
        return self._heads.get(author)

    def entries(self, author: str, first: int, last: int) -> list[tuple[SignedEntry, Body | None]]:
        """Entries first..last, both included, as far as they are stored, in order."""
        with self._guarded("read"):
            rows = self._database.execute(
                "SELECT entry, signature, salt, content FROM entry"
                " LEFT JOIN body ON body.hash = entry.body_hash"
                " WHERE author = ? AND seq BETWEEN ? AND ? ORDER BY seq",
                (author, first, last),
            ).fetchall()
        return [
            (SignedEntry(entry, signature), None if salt is None else Body(salt, content))
            for entry, signature, salt, content in rows
        ]

    def entry(self, hash: bytes) -> SignedEntry | None:  # noqa: A002  the record's own word
        """The entry with this hash."""
        row = self._one("SELECT entry, signature FROM entry WHERE hash = ?", hash)
        return None if row is None else SignedEntry(*row)

    def body(self, hash: bytes) -> Body | None:  # noqa: A002  the record's own word
        """The body with this hash; None when it was withheld or erased."""
        row = self._one("SELECT salt, content FROM body WHERE hash = ?", hash)
        return None if row is None else Body(*row)

    def recall(self, key: str) -> bytes | None:
        """What was remembered under the key last."""
        row = self._one("SELECT value FROM note WHERE key = ?", key)
        return None if row is None else bytes(row[0])

    def noted(self, prefix: str) -> list[str]:
        """The keys of what is remembered that begin so, sorted."""
        question = "SELECT key FROM note WHERE substr(key, 1, ?) = ? ORDER BY key"
        return self._names(question, len(prefix), prefix)

    def fetch(self, shelf: str, name: str) -> bytes | None:
        """What was put there last."""
        row = self._one("SELECT value FROM kept WHERE shelf = ? AND name = ?", shelf, name)
        return None if row is None else bytes(row[0])

    def shelved(self, shelf: str) -> list[str]:
        """The names of what lies on a shelf, sorted."""
        return self._names("SELECT name FROM kept WHERE shelf = ? ORDER BY name", shelf)

    def _names(self, question: str, *values: str | int) -> list[str]:
        with self._guarded("read"):
            return [str(row[0]) for row in self._database.execute(question, values)]

    def _one(self, question: str, *values: bytes | str) -> tuple[bytes, ...] | None:
        with self._guarded("read"):
            row: tuple[bytes, ...] | None = self._database.execute(question, values).fetchone()
        return row

    def size_bytes(self) -> int:
        """What the record's files take on this disk, SQLite's side files among them."""
        files = [self._path, *(self._path.with_name(self._path.name + end) for end in SIDES)]
        return sum(file.stat().st_size for file in files if file.exists())

    # ---- failing and closing ----

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        """All or nothing, durable at the end. Raises StoreFailed."""
        if self._doubtful:
            raise StoreFailed(
                "the record was not written: an earlier write had failed at its end",
                file=str(self._path),
                next="Start the node again; it checks what the disk holds.",
            )
        with self._guarded("written"):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._commit()
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # SQLite may have rolled back already
                    self._database.execute("ROLLBACK")
                raise

    def _commit(self) -> None:
        """After a sync that failed a later one may succeed and mean nothing: this is the last."""
        self._doubtful = True
        self._database.execute("COMMIT")
        self._doubtful = False

    @contextlib.contextmanager
    def _guarded(self, done: str) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError, ValueError) as fault:
            # ValueError: SQLite's message about a corrupt file may quote bytes that are no text
            raise StoreFailed(
                f"the record could not be {done}: {fault}",
                file=str(self._path),
                next=_remedy(str(fault)),
            ) from None

    def close(self) -> None:
        """Close the file and give the lease back. Everything appended is durable already.

        The next to open it finds it `clean`.
        """
        if not self._doubtful:
            with contextlib.suppress(StoreFailed):
                self.remember(CLOSED, b"yes")
        self._release()

    def _release(self) -> None:
        database = getattr(self, "_database", None)
        if database is not None:
            with contextlib.suppress(sqlite3.Error):
                database.close()
        self._lease.close()


def _create_private(path: Path) -> None:
    """The file, for this user only; SQLite gives its side files the same mode."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the name must survive a power cut as well
    finally:
        os.close(folder)


def _row_check(entry: bytes, signature: bytes) -> bytes:
    return digest("p2pmpc/row/1", entry, signature)


def _damaged(path: Path, author: str, what: str) -> LogError:
    feed = f"the stored feed of {author}: " if author else "the store: "
    return LogError(
        f"{feed}{what}",
        file=str(path),
        member=author or None,
        next="Restore the store from a copy, or start an empty one and fetch the feeds anew.",
    )


def _remedy(fault: str) -> str:
    if "full" in fault or "disk I/O" in fault or "No space" in fault:
        return "Free some space on this disk (or raise the quota), then start the node again."
    if "locked" in fault or "busy" in fault:
        return "Another program holds the file (a backup?); end it, then start the node again."
    if (
        "readonly" in fault
        or "read-only" in fault.lower()
        or "denied" in fault
        or "unable" in fault
    ):
        return "Give this user the right to write in the store's folder, then start the node again."
    return "Check this disk and the file, then start the node again."
