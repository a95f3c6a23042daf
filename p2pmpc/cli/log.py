"""`log show BUNDLE`: the entries of a record. `log verify` begins in `entry`, without click."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from p2pmpc.bundle import Bundle, open_bundle
from p2pmpc.cli.commands import spoken
from p2pmpc.cli.output import Reply, Table
from p2pmpc.errors import LogError
from p2pmpc.folder import read_bytes
from p2pmpc.record import Body, Content, SignedEntry, check_body, entry_hash, read_content

__all__ = ["register"]

WORDS_MAX = 60  # characters of one cell on a terminal; --json has them all


def register(group: click.Group) -> None:
    """Add the words of `log` that need no node."""

    @spoken(
        group, "verify", "check a log bundle offline: signatures, chains, certificates, receipts"
    )
    @click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="BUNDLE")
    def verify(words: Sequence[str]) -> Reply:
        raise AssertionError(f"`log verify` begins in entry.main, not here ({len(words)} words)")

    @spoken(group, "show", "list the entries of a log bundle")
    @click.argument("file", type=click.Path(path_type=Path), metavar="BUNDLE")
    def show(file: Path) -> Reply:
        bundle = open_bundle(read_bytes(file, "a log bundle"))
        entries = sorted(_entries(bundle), key=lambda one: (one["lamport"], one["author"]))
        data = {
            "exporter": bundle.exporter,
            "members": list(bundle.roster.names),
            "network": bundle.roster.network.hex(),
            "entries": entries,
            "receipts": len(bundle.receipts),
        }
        rows = [[one[key] for key in ("author", "seq", "time", "kind", "says")] for one in entries]
        rows = [[*row[:4], str(row[4])[:WORDS_MAX]] for row in rows]
        lines = (
            f"{len(entries)} entries of {len(bundle.roster.names)} members, exported by "
            f"{bundle.exporter}",
            Table("", ("author", "number", "time", "kind", "says"), rows),
            "Times are each author's own clock. p2pmpc log verify checks the signatures.",
        )
        return Reply("log show", data, lines)


def _entries(bundle: Bundle) -> Iterator[dict[str, Any]]:
    for feed in bundle.feeds:
        for signed, body in feed.entries:
            yield _entry(signed, body)


def _entry(signed: SignedEntry, body: Body | None) -> dict[str, Any]:
    entry = signed.read()
    moment = datetime.fromtimestamp(entry.unix_ms / 1000, UTC)
    return {
        "author": entry.author,
        "seq": entry.seq,
        "lamport": entry.lamport,
        "time": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "kind": entry.kind,
        "hash": entry_hash(signed).hex(),
        "says": "(erased)" if body is None else _says(signed, body),
    }


def _says(signed: SignedEntry, body: Body) -> str:
    """The plain words of an entry's body: its texts and names, no bytes."""
    entry = signed.read()
    try:
        check_body(entry, body)
        content = read_content(entry.kind, body)
    except LogError as fault:
        return f"(unreadable: {fault.message})"
    return ", ".join(f"{key} {value}" for key, value in _words(content))


def _words(content: Content) -> Iterator[tuple[str, str]]:
    for key in content.__struct_fields__:
        value = getattr(content, key)
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            text = str(value)
            yield key, text[:16] if key == "study" else text
