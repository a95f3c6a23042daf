"""`log show | export`: the record as people read it. `log verify` begins in `entry`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from p2pmpc.bundle import Bundle, open_bundle
from p2pmpc.cli.entries import Reader, read_entry
from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import is_id, own_node
from p2pmpc.cli.output import ROWS_SHOWN_MAX, Reply, Table
from p2pmpc.cli.word import spoken
from p2pmpc.errors import WrongUsage
from p2pmpc.folder import as_typed, read_bytes, write_atomically

__all__ = ["register"]


def register(group: click.Group) -> None:
    """Add the words of `log`."""

    @spoken(
        group, "verify", "check a log bundle offline: signatures, chains, certificates, receipts"
    )
    @click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="BUNDLE")
    def verify(words: Sequence[str]) -> Reply:
        raise AssertionError(f"`log verify` begins in entry.main, not here ({len(words)} words)")

    _register_show(group)
    _register_export(group)


def _register_show(group: click.Group) -> None:
    @spoken(group, "show", "what the record says, of a log bundle or of one's own node")
    @click.argument("file", type=click.Path(path_type=Path), metavar="[BUNDLE]", required=False)
    @click.option("--study", metavar="ID", help="only what is about this study")
    @node_option
    def show(file: Path | None, study: str | None, node: Path | None) -> Reply:
        data = own_node(node).export_log() if file is None else read_bytes(file, "a log bundle")
        if study is not None and not is_id(study):
            raise WrongUsage(f"{study!r} is no study's id", next="p2pmpc study list shows the ids.")
        return _shown(open_bundle(data), study)


def _shown(bundle: Bundle, study: str | None) -> Reply:
    filed = [one for feed in bundle.feeds for one in feed.entries]
    reader = Reader.of(filed)
    entries = [read_entry(reader, signed, body) for signed, body in filed]
    if study is not None:
        entries = [one for one in entries if one["study"].startswith(study)]
    entries.sort(key=lambda one: (one["lamport"], one["author"]))
    data: dict[str, Any] = {
        "exporter": bundle.exporter,
        "members": list(bundle.roster.names),
        "network": bundle.roster.network.hex(),
        "entries": entries,
        "receipts": len(bundle.receipts),
    }
    shown = entries[-ROWS_SHOWN_MAX:]  # a reader asks what happened lately
    rows = [[one["time"][:19], one["author"], one["says"]] for one in shown]
    earlier = "" if shown == entries else f"; the last {len(shown)} are shown, --json has all"
    lines = (
        f"{len(entries)} entries of {len(bundle.roster.names)} members, exported by "
        f"{bundle.exporter}{earlier}",
        Table("", ("time (UTC)", "member", "says"), rows),
        "Times are each member's own clock. p2pmpc log verify FILE checks every signature.",
    )
    return Reply("log show", data, lines)


def _register_export(group: click.Group) -> None:
    @spoken(group, "export", "this node's whole record as one file, for an auditor")
    @click.option(
        "--out", required=True, type=click.Path(path_type=Path), metavar="FILE", help="the bundle"
    )
    @node_option
    def export(out: Path, node: Path | None) -> Reply:
        if out.exists():
            raise WrongUsage(
                f"{out} exists already",
                file=str(out),
                next="Choose another name; an export never overwrites a file.",
            )
        data = own_node(node).export_log()
        bundle = open_bundle(data)
        write_atomically(out, data)
        entries = sum(len(feed.entries) for feed in bundle.feeds)
        lines = (
            f"{out} is written: {entries} entries of {len(bundle.roster.names)} members, "
            f"{len(bundle.receipts)} receipts",
            f"Anybody can check it, offline: p2pmpc log verify {as_typed(out)}",
        )
        facts = {"file": str(out), "entries": entries, "receipts": len(bundle.receipts)}
        return Reply("log export", facts, lines)
