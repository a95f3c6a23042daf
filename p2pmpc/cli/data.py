"""`data describe | check | add | list`: data files, and what is offered of them to the network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from p2pmpc.cli.home import node_option
from p2pmpc.cli.member import moment, own_node
from p2pmpc.cli.output import Reply, Table
from p2pmpc.cli.word import spoken
from p2pmpc.dictionary import Dictionary, read_dictionary
from p2pmpc.errors import WrongUsage
from p2pmpc.folder import write_atomically

__all__ = ["register"]


def register(group: click.Group) -> None:
    """Add the words of `data` that this version knows."""
    _register_describe(group)
    _register_check(group)
    _register_add(group)
    _register_list(group)


def _register_describe(group: click.Group) -> None:
    @spoken(group, "describe", "draft the data dictionary of a file")
    @click.argument("file", metavar="FILE", type=click.Path(path_type=Path))
    @click.option("--name", help="the data set's name; by default the file's stem")
    @click.option(
        "--out",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="write the draft here instead of printing it",
    )
    def describe(file: Path, name: str | None, out: Path | None) -> Reply:
        from nodes.data.derive import describe_file

        if out is not None and out.exists():
            raise WrongUsage(
                f"{out} exists already", file=str(out), next="Choose another name, or remove it."
            )
        draft = describe_file(file)
        if name is not None:
            draft = msgspec.structs.replace(draft, name=name)
        return _described(draft, out)


def _described(dictionary: Dictionary, out: Path | None) -> Reply:
    text = dictionary.to_toml()
    data = {"dictionary": text, "file": None if out is None else str(out)}
    if out is None:
        return Reply("data describe", data, (text.rstrip(),))
    write_atomically(out, text.encode())
    advice = "Check its bounds, levels and uses: they are public, and they come from your data."
    return Reply("data describe", data, (f"{out} is written", advice))


def _register_check(group: click.Group) -> None:
    @spoken(group, "check", "read files as a node would, and say what was found")
    @click.argument("files", metavar="FILE...", nargs=-1, required=True)
    @click.option("--dictionary", required=True, metavar="FILE", help="the data dictionary")
    def check(files: Sequence[str], dictionary: str) -> Reply:
        from nodes.data.dataset import load

        described = read_dictionary(Path(dictionary))
        found = load([Path(file) for file in files], described, "this site")
        columns = [_column(found, name) for name in described.names]
        data = {"rows": found.rows, "columns": columns, "notes": list(found.notes)}
        rows = [[c["name"], c["type"], c["missing"]] for c in columns]
        lines: list[str | Table] = [
            f"{found.rows} rows, usable as the data set {described.name!r}",
            Table("", ("column", "type", "missing"), rows),
            *found.notes,
        ]
        return Reply("data check", data, lines)


def _column(found: Any, name: str) -> dict[str, Any]:
    missing = int(found.missing(name).sum())
    return {"name": name, "type": found.column(name).type, "missing": missing}


def _register_add(group: click.Group) -> None:
    @spoken(group, "add", "offer a data set: checked here fully, then described to all members")
    @click.argument("files", metavar="FILE...", nargs=-1, required=True)
    @click.option("--dictionary", required=True, metavar="FILE", help="the data dictionary")
    @click.option("--encoding", metavar="NAME", help="latin-1, where a file is in that")
    @node_option
    def add(
        files: Sequence[str], dictionary: str, encoding: str | None, node: Path | None
    ) -> Reply:
        own, described = own_node(node), read_dictionary(Path(dictionary))
        found = own.add_data(files, described, encoding)
        data = {"name": described.name, "rows": found["rows"], "notes": found["notes"]}
        data["replaced"] = bool(found.get("replaced"))
        lines = [
            f"{described.name}: {found['rows']} rows were read and checked; "
            "that number stays on this machine",
            *found["notes"],
            f"All members can now read its description: {len(described.names)} columns with their "
            "types, bounds and levels. No row has left this machine.",
            "p2pmpc data list --all shows what everybody offers.",
        ]
        if data["replaced"]:
            lines.insert(1, "It takes the place of the data set that was offered by this name.")
        return Reply("data add", data, lines)


def _register_list(group: click.Group) -> None:
    @spoken(group, "list", "this node's data sets; with --all what every member offers")
    @click.option("--all", "everybody", is_flag=True, help="the catalogue of all members")
    @node_option
    def list_(everybody: bool, node: Path | None) -> Reply:
        own = own_node(node)
        if everybody:
            return _catalogue(own.catalogue_rows())
        return _own(own.datasets())


def _own(found: Sequence[Mapping[str, Any]]) -> Reply:
    rows = [
        [one["name"], one["rows"], one["columns"], ", ".join(one["files"]), moment(one["at_ms"])]
        for one in found
    ]
    if not rows:
        advice = "p2pmpc data describe FILE drafts its dictionary, p2pmpc data add offers it."
        lines: list[str | Table] = ["This node offers no data set yet.", advice]
    else:
        lines = [
            Table("", ("data set", "rows", "columns", "files", "offered"), rows),
            "The number of rows is for you alone: no other member is told it.",
        ]
    lines += [
        f"{one['name']} takes part in no study now: {one['fault']}. Offer it again: p2pmpc data add"
        for one in found
        if one["fault"]
    ]
    return Reply("data list", {"datasets": list(found)}, lines)


def _catalogue(found: Sequence[Mapping[str, Any]]) -> Reply:
    columns = (
        "member",
        "data set",
        "column",
        "type",
        "units",
        "from",
        "to",
        "levels",
        "may be used to",
    )
    rows = [
        [
            *(one[key] for key in ("member", "dataset", "column", "type", "units")),
            *(one[key] or "" for key in ("minimum", "maximum")),
            ", ".join(one["levels"]),
            ", ".join(one["uses"]) or "never leaves",
        ]
        for one in found
    ]
    lines: tuple[str | Table, ...] = (
        Table("", columns, rows) if rows else "No member offers a data set yet.",
        "This is all that members say of their data: no rows, no counts.",
    )
    return Reply("data list", {"catalogue": list(found)}, lines)
