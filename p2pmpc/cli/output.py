"""What a command says: one JSON object on standard output, or short tables for a person.

    {"schema": "p2pmpc/1", "command": ..., "status": "ok" | "refused" | "aborted" | "error",
     "data": {...}, "error": null | {"code", "message", "where", "next"}}

Progress goes to standard error. Colour and the terminal's width are used only on a terminal. No
traceback is ever shown: `--debug` writes one to a file that only this user can read, and names it.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from p2pmpc.errors import Aborted, P2pmpcError, Refused, RemoteError

__all__ = [
    "ROWS_SHOWN_MAX",
    "SCHEMA",
    "Progress",
    "Reply",
    "Table",
    "failed",
    "perform",
    "show_reply",
]

SCHEMA = "p2pmpc/1"
ASK_DEBUG = "Run it again with --debug and report the file that it names."
GAP = 2  # blanks between two columns
WIDTH_ELSEWHERE = 120  # characters of a line in a file or a pipe
ROWS_SHOWN_MAX = 60  # of one table on a terminal; --json and answer.json have them all


@dataclass(frozen=True, slots=True)
class Table:
    """Rows for a person. Numbers are shown with six significant digits."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    """The end of one command, for people (`lines`) and for programs (`data`)."""

    command: str
    data: Mapping[str, Any] = field(default_factory=dict)
    lines: Sequence[str | Table] = ()
    error: P2pmpcError | None = None

    @property
    def status(self) -> str:
        """ok, refused, aborted (other members' or the run's doing) or error (this machine's)."""
        if self.error is None:
            return "ok"
        if isinstance(self.error, Refused):
            return "refused"
        return "aborted" if isinstance(self.error, Aborted | RemoteError) else "error"

    @property
    def exit(self) -> int:
        """The exit code that docs/commands.md lists."""
        return 0 if self.error is None else self.error.exit

    def to_json(self) -> dict[str, Any]:
        """The one object that `--json` prints, error included."""
        return {
            "schema": SCHEMA,
            "command": self.command,
            "status": self.status,
            "data": dict(self.data),
            "error": None if self.error is None else self.error.to_json(),
        }


class Progress:
    """Progress lines on standard error: seconds, step, who is meant or waited for."""

    def __init__(self, silent: bool) -> None:
        self._silent = silent

    def __call__(self, step: str, member: str, text: str, seconds: float) -> None:
        if self._silent:
            return
        who = f"{member}: " if member and not text.startswith(member) else ""
        print(f"{seconds:6.2f} s  {step:<10} {who}{text}", file=sys.stderr, flush=True)


def perform(command: str, as_json: bool, debug: bool, work: Callable[[], Reply]) -> int:
    """Run one command; whatever happens ends as one reply and one exit code."""
    try:
        reply = work()
    except Exception as fault:  # noqa: BLE001  a person reads a sentence, never a traceback
        reply = failed(command, fault)
        if debug:
            name = _write_traceback(fault)
            reply = Reply(
                command, {**reply.data, "debug_file": name}, (f"details: {name}",), reply.error
            )
    return show_reply(reply, as_json)


def failed(command: str, fault: Exception) -> Reply:
    """The reply for an error; anything that is not one of ours is an internal fault."""
    if isinstance(fault, P2pmpcError):
        if fault.code == P2pmpcError.code and not fault.next:
            fault.next = ASK_DEBUG
        return Reply(command, error=fault)
    if isinstance(fault, MemoryError):
        return Reply(command, error=P2pmpcError("this machine has not enough memory for it"))
    return Reply(
        command,
        error=P2pmpcError(
            f"an internal fault ({type(fault).__name__})",
            next=ASK_DEBUG,
        ),
    )


def show_reply(reply: Reply, as_json: bool) -> int:
    """Print the reply; returns its exit code."""
    if as_json:
        text = json.dumps(reply.to_json(), ensure_ascii=False, allow_nan=False, default=str)
        sys.stdout.write(text + "\n")
        return reply.exit
    for line in reply.lines:
        if isinstance(line, Table):
            _show_table(line)
        else:
            print(line)
    if reply.error is not None:
        _show_error(reply.error)
    return reply.exit


def _show_error(error: P2pmpcError) -> None:
    sys.stdout.flush()
    place = ", ".join(f"{key} {value}" for key, value in error.where.items() if key != "member")
    member = str(error.where.get("member", ""))
    who = f"{member}: " if member and member not in error.message else ""
    head = f"{error.code}: {who}{error.message}"
    if place and not all(str(v) in error.message for v in error.where.values()):
        head += f" ({place})"
    print(_coloured(head, "31"), file=sys.stderr)
    if error.next:
        print(error.next, file=sys.stderr)
    print(f"p2pmpc explain {error.code} says more.", file=sys.stderr)


def _coloured(text: str, colour: str) -> str:
    wanted = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return f"\x1b[{colour}m{text}\x1b[0m" if wanted else text


def _show_table(table: Table) -> None:
    from rich.console import Console

    terminal = sys.stdout.isatty()
    console = Console(
        file=sys.stdout,
        width=None if terminal else WIDTH_ELSEWHERE,
        color_system="auto" if terminal and "NO_COLOR" not in os.environ else None,
        highlight=False,
    )
    shown = replace(table, rows=table.rows[:ROWS_SHOWN_MAX])
    for part in _parts(shown, console.width):
        console.print(_drawn(part))
    if len(table.rows) > ROWS_SHOWN_MAX:
        print(f"... and {len(table.rows) - ROWS_SHOWN_MAX} more rows; --json shows all")


def _parts(table: Table, width: int) -> list[Table]:
    """The table, or below one another its parts that fit: a number is never broken over lines."""
    places = range(len(table.columns))
    wide = [max(map(len, _column(table, place))) + GAP for place in places]
    numbers = [place for place in places if _numeric(table, place)]
    labels = [place for place in places if place not in numbers]
    if not numbers or sum(wide) - GAP <= width:
        return [table]
    room = width + GAP - sum(wide[place] for place in labels)
    parts: list[list[int]] = [[]]
    for place in numbers:
        if parts[-1] and sum(wide[one] for one in (*parts[-1], place)) > room:
            parts.append([])
        parts[-1].append(place)
    return [_only(table, sorted((*labels, *part)), first=part is parts[0]) for part in parts]


def _only(table: Table, places: Sequence[int], *, first: bool) -> Table:
    columns = tuple(table.columns[place] for place in places)
    return Table(
        table.title if first else "", columns, [[row[p] for p in places] for row in table.rows]
    )


def _column(table: Table, place: int) -> list[str]:
    return [table.columns[place], *(str(_cell(row[place])) for row in table.rows)]


def _numeric(table: Table, place: int) -> bool:
    return all(isinstance(row[place], int | float | None) for row in table.rows)


def _drawn(table: Table) -> Any:
    from rich.table import Table as RichTable

    drawn = RichTable(
        title=table.title or None,
        title_justify="left",
        box=None,
        pad_edge=False,
        title_style="bold",
        show_header=any(table.columns),
    )
    for place, name in enumerate(table.columns):
        numeric = _numeric(table, place)
        drawn.add_column(
            name, justify="right" if numeric else "left", overflow="fold", no_wrap=numeric
        )
    for row in table.rows:
        drawn.add_row(*(_cell(value) for value in row))
    return drawn


def _cell(value: Any) -> Any:
    from rich.text import Text

    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return Text(str(value))  # never markup: names are the user's


def _write_traceback(fault: Exception) -> str:
    handle, name = tempfile.mkstemp(prefix="p2pmpc-debug-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write("".join(traceback.format_exception(fault)))
    return name
