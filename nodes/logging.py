"""Every log line: JSON, with event names and fields from closed vocabularies.

A line never holds bytes, arrays, containers, long texts or numbers whose field is not listed: a
size that a policy hides, a row's value or a key cannot get into a log by an incautious call. What
is refused is replaced by a word that says so; logging itself never raises, also on a full disk. Of
an exception a line holds the class and the places, never the message.

A log is at most LOG_FILES_MAX files of LOG_BYTES_MAX each: node.log, then node.log.1 (older), ... A
node that was asked for details writes every line, the small steps too, to node.debug.log as well.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import structlog

__all__ = [
    "DETAILS",
    "EVENTS",
    "FIELDS",
    "LOG_BYTES_MAX",
    "LOG_FILES_MAX",
    "NUMBERS",
    "PLACES_MAX",
    "TEXT_MAX",
    "Log",
    "Pages",
    "details_file",
    "make_log",
    "refuse",
]

Log = Any  # a structlog logger: debug, info, warning, error, exception

# Every event name in the program, with what it says. A test compares this with the calls.
EVENTS: Mapping[str, str] = {
    "node started": "the node listens and serves people",
    "node stopped": "the node has closed its links and its store",
    "link up": "a peer is linked and authenticated",
    "link down": "a link ended; `reason` is of the transport's vocabulary",
    "peer refused": "somebody was not let in, or another certificate answers",
    "twin found": "another process signs in this member's name: two nodes with one identity",
    "mail refused": "a peer's mail broke the format or its signature does not hold",
    "event refused": "the core did not accept an event; `code` says why",
    "story": "a step of a study, as people are told it",
    "core fault": "an internal fault ended the node",
    "loop fault": "an internal fault in a task or callback that nobody waits for",
    "data set fault": "an internal fault in the process that holds a data set",
    "session fault": "an internal fault ended a run",
    "data set unusable": "a data set's files are not those that were announced; `what` names it",
    "store failed": "the record could not be written: the node stops",
    "gateway started again": "the Gateway's process died, and its runs with it; `attempt` counts",
    "session lost": "the process of a session died: its run is over, another spare is made",
    "pool filled": "correlations were made ahead with others; `step` says for how many parties",
    "fill ended": "others and this node stopped making some; `reason` says why, `peer` who",
    "fill fault": "an internal fault ended it",
    "offer passed over": "a peer's offer to make correlations was not joined; `reason` says why",
    "pool not looked at": "what studies need could not be counted; `code` says why",
    "needs not counted": "an internal fault: what a study draws is not known; it runs all the same",
    "pool fault": "an internal fault while it was looked at whether to make correlations",
    "request failed": "a person's request met an internal fault",
    "event taken": "detail: the core was told an event of this `kind`",
    "message heard": "detail: a peer's message of this `kind` came in",
    "message sent": "detail: a message of this `kind` was handed to a link",
}

# Fields that hold a short text.
FIELDS = frozenset(
    {
        "event",
        "level",
        "time",
        "node",
        "peer",
        "member",
        "study",
        "step",
        "kind",
        "what",
        "reason",
        "fingerprint",
        "fault",
        "places",
    }
)

# Fields that may hold a number: none counts rows, persons or bytes of data.
NUMBERS = frozenset({"code", "port", "pid", "attempt", "seconds"})

TEXT_MAX = 400  # two fingerprints and an address fit; a table does not
PLACES_MAX = 12  # innermost places of a traceback


DETAILS = "P2PMPC_DEBUG"  # the variable that asks for details; `node start --debug` sets it
LOG_BYTES_MAX = 10 * 2**20  # of one file: a year of a quiet node, a day of a loud one
LOG_FILES_MAX = 3  # the one that is written and two older ones


def make_log(path: Path | None, name: str, details: Path | None = None) -> Log:
    """A logger of node `name` that appends to `path` (mode 0600), or to stderr when None.

    details  also write every line, the small steps too, to this file
    """
    lines: Lines = Screen() if path is None else Pages(path, LOG_BYTES_MAX, LOG_FILES_MAX)
    more = None if details is None else Pages(details, LOG_BYTES_MAX, LOG_FILES_MAX)
    return structlog.wrap_logger(
        Printer(lines, more),
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            describe_exception,
            refuse,
            structlog.processors.JSONRenderer(sort_keys=True),
        ],
        wrapper_class=structlog.make_filtering_bound_logger("info" if more is None else "debug"),
        cache_logger_on_first_use=True,
    ).bind(node=name)


def details_file(log: Path, environment: Mapping[str, str]) -> Path | None:
    """Where the small steps go beside this log, if the environment asks for them; else nowhere."""
    return log.with_name("node.debug.log") if environment.get(DETAILS) else None


class Lines(Protocol):
    """Where finished lines go."""

    def write(self, line: str) -> None:
        """One line, without its line break. Never raises."""


class Screen:
    """Standard error, whatever it is at the moment."""

    def write(self, line: str) -> None:
        """One line."""
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


class Pages:
    """One file of bounded size, older lines in numbered files beside it; all mode 0600.

    Each line is one write, so that lines of threads and of a forked child do not mix. A line that
    the disk does not take is lost: the node itself must be able to say so elsewhere and go on.
    """

    def __init__(self, path: Path, bytes_max: int, files_max: int) -> None:
        self._path = path
        self._bytes_max = bytes_max
        self._files_max = files_max
        self._turning = threading.Lock()
        self._file = _open_private(path)
        self._size = os.fstat(self._file.fileno()).st_size

    def write(self, line: str) -> None:
        """One line."""
        data = line.encode("utf-8", "backslashreplace") + b"\n"
        with self._turning, contextlib.suppress(OSError, ValueError):
            if self._size and self._size + len(data) > self._bytes_max:
                self._turn()
            self._size += self._file.write(data)

    def _turn(self) -> None:
        """The oldest file goes, the others move on by one, and a new one begins."""
        names = [self._path, *(self._numbered(n) for n in range(1, self._files_max))]
        for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
            if newer.exists():
                newer.replace(older)
        fresh = _open_private(self._path)  # where that fails, lines go on into the older file
        self._file.close()
        self._file, self._size = fresh, 0

    def _numbered(self, number: int) -> Path:
        return self._path.with_name(f"{self._path.name}.{number}")


@dataclass(frozen=True, slots=True)
class Printer:
    """What structlog hands finished lines to, by their level."""

    lines: Lines
    details: Lines | None

    def debug(self, line: str) -> None:
        """A small step: for the file of details alone."""
        if self.details is not None:
            self.details.write(line)

    def info(self, line: str) -> None:
        """Everything else goes to both."""
        self.lines.write(line)
        self.debug(line)

    warning = error = critical = info


def _open_private(path: Path) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    return os.fdopen(descriptor, "wb", buffering=0)


def describe_exception(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """The class and the places of an exception; its message may hold values and stays out."""
    fault = line.pop("exc_info", None)
    if fault is True:
        fault = sys.exc_info()[1]
    if isinstance(fault, BaseException):
        frames = traceback.extract_tb(fault.__traceback__)[-PLACES_MAX:]
        places = [f"{Path(f.filename).name}:{f.lineno} {f.name}" for f in frames]
        line["fault"] = type(fault).__name__
        line["places"] = " < ".join(reversed(places))[:TEXT_MAX]
    return line


def refuse(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace whatever has no place in a log by a word that says so."""
    found = {key: _allowed(key, value) for key, value in line.items() if _known(key)}
    if line.get("event") not in EVENTS:
        found["event"] = "unlisted event"
    if len(found) < len(line):
        found["withheld"] = len(line) - len(found)
    return found


def _known(key: str) -> bool:
    return key in FIELDS or key in NUMBERS


def _allowed(key: str, value: object) -> object:
    if value is None or isinstance(value, bool):
        return value
    if key in NUMBERS:
        return value if isinstance(value, int | float) else "withheld: not a number"
    if not isinstance(value, str):
        return f"withheld: {type(value).__name__}"
    return str(value) if len(value) <= TEXT_MAX else "withheld: a long text"
