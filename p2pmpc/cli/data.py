"""`data describe | check`: a data file and its dictionary, before a node offers it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import msgspec

from p2pmpc.cli.commands import spoken
from p2pmpc.cli.output import Reply, Table
from p2pmpc.dictionary import Dictionary, read_dictionary
from p2pmpc.errors import WrongUsage
from p2pmpc.folder import write_atomically

__all__ = ["register"]


def register(group: click.Group) -> None:
    """Add the words of `data` that need no node."""
    _register_describe(group)
    _register_check(group)


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
