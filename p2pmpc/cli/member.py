"""What the words of a member share: the running node, a study's id, moments and progress."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from p2pmpc.cli.home import node_client
from p2pmpc.cli.word import progress
from p2pmpc.client import NodeClient
from p2pmpc.errors import WrongUsage
from p2pmpc.node import Line, Node

__all__ = ["SHORT", "confirm", "is_id", "moment", "own_node", "reason", "telling", "why_option"]

SHORT = 16  # hexadecimal digits of an id that people are shown; --json has all 64


def own_node(folder: Path | None) -> Node:
    """The running node that the command speaks to. Raises WrongUsage, NotFound."""
    client = node_client(folder)
    return Node(client.member, NodeClient(client.path, ""))


def why_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--why TEXT`: a reason that goes on record, for all members to read."""
    return click.option(
        "--why",
        required=True,
        metavar="TEXT",
        help="the reason, for the record: all members read it",
    )(function)


def reason(why: str) -> str:
    """The reason without blanks around it. Raises WrongUsage for none."""
    if not why.strip():
        raise WrongUsage("--why is empty", field="--why", next="Say in a sentence why.")
    return why.strip()


def telling() -> Line:
    """Shows each line of a study's story as it comes, with the seconds since the command began."""
    say, began = progress(), time.monotonic()

    def tell(line: Mapping[str, Any]) -> None:
        say(str(line["event"]), str(line["member"]), str(line["text"]), time.monotonic() - began)

    return tell


def moment(unix_ms: object) -> str:
    """A day and minute in UTC; empty where there is none."""
    if not isinstance(unix_ms, int):
        return ""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def is_id(text: str) -> bool:
    """Whether this can be a study's id or the beginning of one, and no file's name."""
    return bool(text) and set(text.lower()) <= set("0123456789abcdef")


def confirm(lines: Sequence[str], question: str) -> None:
    """Show what there is to compare and ask. Raises WrongUsage where nobody can answer, click.Abort
    for no."""
    if click.get_current_context().meta["as_json"] or not sys.stdin.isatty():
        raise WrongUsage(
            "\n".join((*lines, "Nobody can be asked here whether they are the same.")),
            next="When you have compared them, run it again with --yes.",
        )
    for line in lines:
        click.echo(line, err=True)
    click.confirm(question, abort=True, err=True)
